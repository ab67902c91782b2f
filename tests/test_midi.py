"""Music is written as MIDI so that it reads back the same, here and by others; `test_midi_reader` has the reading."""

from collections import Counter, defaultdict
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music import reader
from music.midi import Midi, Note, midi_bytes, parse_midi, read_midi, write_midi
from numpyrnn import NumpyrnnError

TICKS = 24

SMALL = Midi(
    [
        Note(Fraction(0), Fraction(1, 2), 60, 90, channel=1, program=4, track=1),
        Note(Fraction(0), Fraction(3), 64, 1, channel=1, program=4, track=1),
        Note(Fraction(1, 2), Fraction(0), 60, channel=1, program=4, track=1),
        Note(Fraction(5, 8), Fraction(1, 3), 60, channel=1, program=9, track=2),
        Note(Fraction(2), Fraction(1, 3), 38, channel=9, track=2),
    ],
    ["Grün", "left", ""],
    [(Fraction(0), 400_001), (Fraction(5, 4), 1)],
    [(Fraction(0), 3, 4), (Fraction(3), 255, 64)],
    Fraction(100),
)


def simple(*notes, **kwargs):
    return Midi([Note(Fraction(onset), Fraction(duration), pitch) for onset, duration, pitch in notes], **kwargs)


def read_back(midi, ticks=480):
    return parse_midi(midi_bytes(midi, ticks), "written")


def test_a_file_reads_back_as_it_was(tmp_path):
    write_midi(tmp_path / "small.mid", SMALL)
    assert read_midi(tmp_path / "small.mid") == SMALL
    assert (tmp_path / "small.mid").read_bytes() == midi_bytes(SMALL)


def test_the_bytes_of_a_small_file():
    track = (
        b"\0\xff\x03\1A\0\xff\x51\3\x07\xa1\x20\0\xff\x58\4\4\2\x18\x08\0\xc0\0"
        b"\0\x90\x3c\x50\x60\x80\x3c\0\0\x90\x3c\x50\x60\x80\x3c\0\0\xff\x2f\0"
    )
    expected = b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\0" + bytes([len(track)]) + track
    assert midi_bytes(simple((0, 1, 60), (1, 1, 60), names=["A"]), 96) == expected


def test_a_pitch_that_begins_again_ends_the_note_before():
    cut = read_back(simple((0, 4, 60), (1, 1, 60), (0, 4, 61), (1, 1, 60)))
    assert [(note.onset, note.duration, note.pitch) for note in cut.notes] == [
        (0, 1, 60),
        (0, 4, 61),
        (1, 0, 60),
        (1, 1, 60),
    ]
    assert read_back(cut) == cut


def test_times_off_the_ticks_go_to_the_nearest():
    midi = read_back(simple(("0.34", "0.33", 60)), 4)
    assert (midi.notes[0].onset, midi.notes[0].duration) == (Fraction(1, 4), Fraction(1, 2))


def test_the_length_is_at_least_that_of_the_notes():
    assert read_back(simple((2, 3, 60))).length == 5
    assert read_back(simple((2, 3, 60), length=Fraction(8))).length == 8


def test_names_are_cleaned_when_written():
    assert read_back(Midi([], ["a\nb\x00\ud800", "x" * 81])).names == ["ab", "x" * 80]


NOTE = SMALL.notes[0]
BAD = [
    (replace(SMALL, notes=[NOTE._replace(pitch=128)]), "pitch must be a whole number from 0 to 127, got 128"),
    (replace(SMALL, notes=[NOTE._replace(pitch=60.0)]), "pitch must be a whole number from 0 to 127, got 60.0"),
    (replace(SMALL, notes=[NOTE._replace(velocity=0)]), "velocity must be a whole number from 1 to 127, got 0"),
    (replace(SMALL, notes=[NOTE._replace(channel=16)]), "channel must be"),
    (replace(SMALL, notes=[NOTE._replace(program=-1)]), "program must be"),
    (replace(SMALL, notes=[NOTE._replace(track=3)]), "track must be a whole number from 0 to 2, got 3"),
    (replace(SMALL, notes=[NOTE._replace(onset=Fraction(-1, 2))]), "from 0 to 100000 quarters, got -1/2"),
    (replace(SMALL, notes=[NOTE._replace(duration=Fraction(-1))]), "duration must be at least 0, got -1"),
    (replace(SMALL, notes=[NOTE._replace(duration=Fraction(100_001))]), "from 0 to 100000 quarters"),
    (replace(SMALL, notes=[NOTE] * 125_000), "number of events"),
    (replace(SMALL, names=[""] * 1025), "number of tracks"),
    (Midi([], []), "number of tracks must be a whole number from 1"),
    (replace(SMALL, tempos=[(Fraction(0), 0)]), "tempo must be"),
    (replace(SMALL, tempos=[(Fraction(0), 1 << 24)]), "tempo must be"),
    (replace(SMALL, tempos=[(Fraction(-1), 1)]), "a time must be"),
    (replace(SMALL, meters=[(Fraction(0), 0, 4)]), "beats of a meter must be"),
    (replace(SMALL, meters=[(Fraction(0), 4, 3)]), "unit of a meter must be 1, 2, 4 ... 64, got 3"),
    (replace(SMALL, length=Fraction(-1)), "a time must be"),
]


@pytest.mark.parametrize(("midi", "message"), BAD)
def test_what_does_not_fit_into_a_file_is_not_written(midi, message, tmp_path):
    with pytest.raises(NumpyrnnError) as caught:
        write_midi(tmp_path / "bad.mid", midi)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_ticks_out_of_range_and_pauses_too_long_for_the_format():
    for ticks in (0, 1 << 15, 1.5):
        with pytest.raises(NumpyrnnError, match="ticks must be"):
            midi_bytes(SMALL, ticks)
    with pytest.raises(NumpyrnnError, match="ticks between two events must be"):
        midi_bytes(simple((100_000, 0, 60)), 32_767)


# time


def test_seconds_follow_the_tempos_exactly():
    midi = Midi([], tempos=[(Fraction(0), 500_000), (Fraction(2), 300_000), (Fraction(8, 3), 1_000_000)])
    places = [0, 1, 2, Fraction(7, 3), Fraction(8, 3), Fraction(14, 3)]
    assert [midi.seconds(place) for place in places] == [0, 0.5, 1, 1.1, 1.2, 3.2]
    assert midi.seconds(0.5) == 0.25


@given(st.lists(st.integers(1, 1 << 24), min_size=1, max_size=9), st.integers(0, 10))
def test_seconds_are_the_sum_over_the_tempos(tempos, place):
    midi = Midi([], tempos=[(Fraction(i), tempo) for i, tempo in enumerate(tempos)])
    sums = [0, *accumulate([*tempos, *[tempos[-1]] * 10])]
    assert midi.seconds(place) == sums[place] / 1e6


# anything


@st.composite
def midis(draw):
    """Well-formed music: times on ticks, no pitch over itself, one program at a time in a channel."""
    time = st.integers(0, 200).map(lambda tick: Fraction(tick, TICKS))
    text = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=80)
    names = draw(st.lists(text, min_size=1, max_size=4))
    pieces = st.tuples(time, time, st.integers(58, 62), st.integers(1, 127), st.integers(0, 2))
    programs = draw(st.lists(st.integers(0, 127), min_size=603, max_size=603))
    notes, free = [], defaultdict(Fraction)
    for onset, duration, pitch, velocity, channel in sorted(draw(st.lists(pieces, max_size=20)), key=lambda p: p[0]):
        voice = draw(st.integers(0, len(names) - 1)), channel, pitch
        if free[voice] <= onset:
            free[voice] = onset + duration
            program = programs[channel * 201 + int(onset * TICKS)]
            notes.append(Note(onset, duration, pitch, velocity, channel, program, voice[0]))
    notes.sort(key=lambda note: (note.onset, note.track))
    tempos = draw(st.dictionaries(time, st.integers(1, reader.MAX_TEMPO), max_size=3))
    units = st.sampled_from([1, 2, 4, 8, 16, 32, 64])
    meters = draw(st.dictionaries(time, st.tuples(st.integers(1, 255), units), max_size=3))
    tempos.setdefault(Fraction(0), 500_000)
    meters.setdefault(Fraction(0), (4, 4))
    ends = [note.onset + note.duration for note in notes]
    length = max([*ends, *tempos, *meters]) + draw(time)
    return Midi(notes, names, sorted(tempos.items()), sorted((at, *meter) for at, meter in meters.items()), length)


@given(midis())
def test_any_music_reads_back_as_it_was(midi):
    data = midi_bytes(midi, TICKS)
    assert parse_midi(data, "x") == midi
    assert midi_bytes(parse_midi(data, "x"), TICKS) == data


# other readers


def music21_notes(data):
    """The notes as music21 finds them, as (track, channel, pitch, onset, end) in ticks, and its file.

    The nth beginning of a pitch is paired with its nth end, which is right where all notes have one.
    """
    from music21 import midi

    file = midi.MidiFile()
    file.readstr(data)
    begins, ends = defaultdict(list), defaultdict(list)
    for number, track in enumerate(file.tracks):
        tick = 0
        for event in track.events:
            if event.isDeltaTime():
                tick += event.time
            elif event.isNoteOn() or event.isNoteOff():
                (begins if event.isNoteOn() else ends)[number, event.channel - 1, event.pitch].append(tick)
    pairs = {voice: zip(begins[voice], ends[voice], strict=True) for voice in begins}
    return sorted((*voice, begin, end) for voice in pairs for begin, end in pairs[voice]), file


def in_ticks(midi, ticks):
    return sorted((n.track, n.channel, n.pitch, n.onset * ticks, (n.onset + n.duration) * ticks) for n in midi.notes)


def test_music21_reads_what_is_written():
    notes, file = music21_notes(midi_bytes(SMALL))
    assert (file.format, file.ticksPerQuarterNote, len(file.tracks)) == (1, 480, 3)
    assert notes == in_ticks(SMALL, 480)


def test_a_real_file(shared_data):
    path = shared_data / "original_metheny.mid"
    midi = read_midi(path)
    notes, file = music21_notes(path.read_bytes())
    assert file.ticksPerQuarterNote == 96
    assert in_ticks(midi, 96) == notes
    counts = Counter(note.track for note in midi.notes)
    assert (len(midi.names), len(counts), len(midi.notes)) == (25, 19, 12_962)
    heard = [midi.names[track] for track in sorted(counts)]
    assert (heard[0], heard[5]) == ("Piano", "Guitar")
    assert (counts[6], counts[11]) == (2221, 1330)
    assert midi.tempos == [(0, 535_714)]
    assert midi.seconds(midi.length) == pytest.approx(465.0165, abs=1e-4)


def test_a_real_file_written_and_read_again(shared_data):
    midi = read_midi(shared_data / "original_metheny.mid")
    again = parse_midi(midi_bytes(midi, 96), "again")
    # one of its notes sounds into the next of its pitch
    different = [(old, new) for old, new in zip(midi.notes, again.notes, strict=True) if old != new]
    assert [(old._replace(duration=new.duration) == new, new.duration < old.duration) for old, new in different] == [
        (True, True)
    ]
    assert replace(again, notes=midi.notes) == midi
    assert midi_bytes(again, 96) == midi_bytes(midi, 96)


def test_markers_are_written_and_read_back():
    markers = [(Fraction(0), "Dm7"), (Fraction(5, 2), "G7b9"), (Fraction(5, 2), "Strophe \N{EIGHTH NOTE}")]
    midi = Midi([Note(Fraction(0), Fraction(1), 60)], markers=markers, length=Fraction(4))
    assert parse_midi(midi_bytes(midi), "x").markers == markers
    assert parse_midi(midi_bytes(midi), "x") == midi
