"""The score of a piano piece, as music21 reads it back."""

import random
from fractions import Fraction
from itertools import groupby
from xml.etree import ElementTree

import pytest
from music21 import chord, clef, converter, note, stream, tempo

from music.midi import Note
from piano.notation import score, written
from piano.play import Music, midi_of
from piano.tokens import GAPS, LENGTHS, NAMES

F = Fraction


def parse(xml):
    return converter.parse(xml.decode(), format="musicxml", forceSource=True)


def exact(time):
    return F(time).limit_denominator(48)


def sounding(xml):
    """(staff, onset, end, pitch) of the notes, tied ones as one."""
    found = []
    for number, staff in enumerate(parse(xml).parts):
        pieces, merged = [], []
        for element in staff.flatten().notes:
            onset, length = exact(element.offset), exact(element.quarterLength)
            for single in element.notes if isinstance(element, chord.Chord) else [element]:
                tie = single.tie.type if single.tie else ""
                pieces.append((onset, onset + length, single.pitch.midi, tie))
        for onset, end, pitch, tie in sorted(pieces, key=lambda piece: (piece[0], piece[3] != "stop")):
            if tie in ("continue", "stop"):
                (tied,) = [i for i, other in enumerate(merged) if other[1:] == (onset, pitch, True)][:1]
                merged[tied] = (merged[tied][0], end, pitch, tie == "continue")
            else:
                merged.append((onset, end, pitch, tie == "start"))
        assert not [piece for piece in merged if piece[3]], "a tie leads nowhere"
        found += [(number, *piece[:3]) for piece in merged]
    return sorted(found)


def expected(notes):
    return sorted({(int(n.pitch < 60), n.onset, n.onset + n.duration, n.pitch) for n in notes})


def piece(seed, places, lengths, pitches=range(21, 109), bars=4):
    """Random notes, none of which begins or ends where another of its pitch sounds."""
    rng, notes = random.Random(seed), []
    free = dict.fromkeys(pitches, F(0))
    for onset in sorted(rng.sample(places, min(len(places), 8 * bars))):
        for pitch in rng.sample(sorted(pitches), rng.randint(1, 4)):
            if free[pitch] <= onset:
                notes.append(Note(onset, rng.choice(lengths), pitch))
                free[pitch] = notes[-1].onset + notes[-1].duration
    return notes


SIXTEENTHS = [F(i, 4) for i in range(64)]
TRIPLETS = [F(i, 3) for i in range(48)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("places", "lengths"),
    [
        (SIXTEENTHS, [F(1, 4), F(1, 2), F(3, 4), F(1), F(5, 4), F(7, 2), F(9)]),
        (TRIPLETS, [F(1, 3), F(2, 3), F(1), F(5, 3), F(4)]),
    ],
)
def test_notes_on_sixteenths_or_triplets_are_written_where_they_are(seed, places, lengths):
    notes = piece(seed, places, lengths)
    assert written(notes) == notes
    assert sounding(score("", notes, 80)) == expected(notes)


@pytest.mark.parametrize("seed", range(10))
def test_any_notes_are_written_near_where_they_are_and_none_is_lost(seed):
    notes = piece(seed, [F(i, 48) for i in range(16 * 48)], list(LENGTHS.values()))
    moved = written(notes)
    assert [n.pitch for n in moved] == [n.pitch for n in notes]
    for before, after in zip(notes, moved, strict=True):
        assert abs(after.onset - before.onset) <= F(1, 8)
        assert after.duration > 0
        end = before.onset + before.duration
        assert abs(after.onset + after.duration - end) <= F(3, 8)  # the shortest notes become longer
    order = [[k for k, _ in groupby(n.onset for n in version)] for version in (notes, moved)]
    assert len(order[0]) == len(order[1])  # what began apart is still apart
    assert order[1] == sorted(order[1])
    assert sounding(score("", notes, 80)) == expected(moved)


@pytest.mark.torture
def test_every_piece_of_tokens_can_be_written(rounds, tell):
    names, gaps, count = ["C4", "E-5", "0.4.7", "7", "A0", "C8", "wait"], list(GAPS), rounds(10, 300)
    for seed in range(count):
        rng = random.Random(seed)
        tokens = []
        for name in rng.choices(names, k=rng.randint(0, 40)):
            duration = rng.choice(gaps if name == "wait" else list(LENGTHS))
            tokens.append(
                f"{name}|{duration}|{rng.choice(gaps if rng.random() < 0.5 else ['0', '1/24', '1/4', '1/3'])}"
            )
        notes = midi_of(tokens).notes
        drawn = ElementTree.fromstring(score("", notes, 80))
        pitches = {NAMES[n.pitch][-1:] for n in notes}
        assert {octave.text for octave in drawn.iter("octave")} == pitches
        moved = written(notes)
        for voice in measures(drawn):
            assert sum(voice) == 4
        assert len({n.onset for n in moved}) == len({n.onset for n in notes})
    tell(f"{count} random pieces of tokens: all written, and every voice fills its bars")


def measures(root):
    """The durations in each voice of each measure, in quarters; backups lead to the next voice."""
    divisions = F(0)
    for measure in root.iter("measure"):
        voices = [[]]
        for element in measure:
            if element.tag == "attributes" and element.find("divisions") is not None:
                divisions = int(element.findtext("divisions"))
            if element.tag == "backup":
                assert F(int(element.findtext("duration")), divisions) == sum(voices[-1])
                voices.append([])
            elif element.tag in ("note", "forward") and element.find("chord") is None:
                voices[-1].append(F(int(element.findtext("duration")), divisions))
        yield from voices


@pytest.mark.parametrize(
    ("onsets", "places"),
    [
        ([F(1, 24), F(7, 24), F(13, 24), F(19, 24)], [0, F(1, 4), F(1, 2), F(3, 4)]),  # sixteenths that are late
        ([F(1, 12), F(7, 12), F(13, 12)], [0, F(1, 2), 1]),
        ([F(5, 12), F(11, 12), F(17, 12)], [F(1, 2), 1, F(3, 2)]),  # eighths that are early
        ([0, F(1, 3), F(2, 3), 1], [0, F(1, 3), F(2, 3), 1]),
        ([0, F(2, 3)], [0, F(2, 3)]),
        ([0, F(1, 8), F(1, 4)], [0, F(1, 8), F(1, 4)]),
        ([0, F(1, 6), F(1, 3)], [0, F(1, 6), F(1, 3)]),
        ([0, F(1, 48), F(1, 24)], [0, F(1, 48), F(1, 24)]),
        ([F(23, 24), 1], [F(15, 16), 1]),  # a grace note stays before the beat
        ([F(47, 48), 1, F(49, 48)], [F(47, 48), 1, F(49, 48)]),
    ],
)
def test_each_beat_is_written_in_the_simplest_values_that_keep_its_notes_apart(onsets, places):
    notes = [Note(F(onset), F(1, 4), 60 + i) for i, onset in enumerate(onsets)]
    assert [n.onset for n in written(notes)] == places


def test_a_note_ends_where_the_next_one_begins_although_both_were_moved():
    notes = [Note(F(1, 24), F(1, 4), 60), Note(F(7, 24), F(1, 4), 62), Note(F(3), F(1, 16), 64)]
    assert [(n.onset, n.duration) for n in written(notes)] == [(0, F(1, 4)), (F(1, 4), F(1, 4)), (3, F(1, 4))]


def test_the_score_has_title_tempo_meter_clefs_and_one_part_of_two_staves():
    xml = score("A piece", [Note(F(0), F(1), 60), Note(F(0), F(1), 59)], 96)
    root = ElementTree.fromstring(xml)
    assert [name.text for name in root.iter("part-name")] == ["Piano"]
    assert [part.get("id") for part in root.iter("part")] == ["P1"]
    assert root.findtext(".//staves") == "2"
    read = parse(xml)
    assert read.metadata.title == "A piece"
    upper, lower = read.parts
    assert isinstance(upper.recurse().getElementsByClass(clef.Clef)[0], clef.TrebleClef)
    assert isinstance(lower.recurse().getElementsByClass(clef.Clef)[0], clef.BassClef)
    assert [mark.number for mark in read.recurse().getElementsByClass(tempo.MetronomeMark)] == [96]
    for staff in (upper, lower):
        first, *_, last = [*staff.getElementsByClass(stream.Measure)] * 2
        assert first.timeSignature.ratioString == "4/4"
        assert last.rightBarline.type == "final"


def test_a_staff_has_only_as_many_voices_as_sound_and_only_one_shows_rests():
    held = [Note(F(0), F(4), 72), Note(F(1), F(1), 76), Note(F(4), F(1), 72)]
    root = ElementTree.fromstring(score("", held, 80))
    upper = [[n for n in measure.iter("note") if n.findtext("staff") == "1"] for measure in root.iter("measure")]
    assert [len({n.findtext("voice") for n in notes}) for notes in upper] == [2, 1]
    shown = [n for n in upper[0] if n.find("rest") is not None and n.get("print-object") != "no"]
    assert shown == []


def test_accidentals_are_written_where_the_bar_needs_them():
    notes = [Note(F(i), F(1), pitch) for i, pitch in enumerate([61, 61, 60, 61, 61])]
    root = ElementTree.fromstring(score("", notes, 80))
    assert [n.findtext("accidental") for n in root.iter("note") if n.find("pitch") is not None] == [
        *("sharp", None, "natural", "sharp"),  # first bar
        "sharp",
    ]


def test_a_piece_without_rhythm_is_written_in_quarters():
    xml = Music(["C4", "E-5", "0.4.7"], 0, midi_of(["C4", "E-5", "0.4.7"]), 120, 3).musicxml()
    assert parse(xml).metadata.title == "Piano piece"
    assert sounding(xml) == sorted(
        [(0, 0, 1, 60), (0, 1, 2, 75), (1, 2, 3, 48), (1, 2, 3, 52), (1, 2, 3, 55)],
    )


@pytest.mark.parametrize("tokens", [[], ["wait|1|1"]])
def test_a_piece_of_silence_is_a_bar_of_rests(tokens):
    (bar,) = list(parse(score("", midi_of(tokens).notes, 80)).parts[0].getElementsByClass(stream.Measure))
    assert [type(element) for element in bar.notesAndRests] == [note.Rest]


def test_the_same_piece_gives_the_same_bytes():
    notes = piece(1, SIXTEENTHS, [F(1, 2), F(3)])
    assert score("x", notes, 80) == score("x", notes, 80)


def test_notes_of_a_beat_are_beamed_and_rests_and_beats_break_beams():
    notes, now = [], F(0)
    for length in [F(1, 2), F(1, 2), F(1, 4), F(1, 2), F(1, 4), F(1, 4), F(3, 4), F(3, 4), F(1, 4)]:
        notes.append(Note(now, length, 60))
        now += length
    notes += [Note(F(4), F(1, 4), 60), Note(F(9, 2), F(1, 4), 60), Note(F(19, 4), F(1, 4), 60)]
    root = ElementTree.fromstring(score("", notes, 80))
    upper = [n for n in root.iter("note") if n.findtext("staff") == "1" and n.find("pitch") is not None]
    assert [[level.text for level in n.findall("beam")] for n in upper] == [
        *(["begin"], ["end"]),
        *(["begin", "forward hook"], ["continue"], ["end", "backward hook"]),
        *(["begin", "forward hook"], ["end"]),
        *(["begin"], ["end", "backward hook"]),
        [],  # before a rest
        *(["begin", "begin"], ["end", "end"]),
    ]
