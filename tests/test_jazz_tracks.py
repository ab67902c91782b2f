"""The melody and the chords of a MIDI file are found, or named, or one clear error says why not."""

from fractions import Fraction

import pytest

from jazz.grammar import sounding
from jazz.reading.estimate import estimate_chords
from jazz.reading.tracks import Part, bars_of, choose, named, parts_of, tune_of_midi
from music.midi import Midi, Note, midi_bytes, parse_midi, read_midi
from numpyrnn import NumpyrnnError

F = Fraction
SCALE = (67, 69, 71, 72, 74, 76, 72, 71)
CHORDS = {"Dm7": (62, 65, 69, 72), "G7": (55, 59, 62, 65), "Cmaj7": (60, 64, 67, 71)}
FORM = ("Dm7", "G7", "Cmaj7", "Cmaj7")


def melody(bars=8, shift=0, silent=(), **kwargs):
    """Eighths, one after the other."""
    return [
        Note(F(4 * bar) + F(i, 2), F(1, 2), SCALE[(bar + i) % 8] + shift, **kwargs)
        for bar in range(bars)
        if bar + 1 not in silent
        for i in range(8)
    ]


def comping(bars=8, **kwargs):
    return [Note(F(4 * bar), F(4), pitch, **kwargs) for bar in range(bars) for pitch in CHORDS[FORM[bar % 4]]]


def bass(bars=8, **kwargs):
    return [Note(F(4 * bar + beat), F(1), 36 + beat, **kwargs) for bar in range(bars) for beat in range(4)]


def drums(bars=8, **kwargs):
    return [Note(F(4 * bar) + F(i, 2), F(1, 4), 60 + i, channel=9, **kwargs) for bar in range(bars) for i in range(8)]


def midi(*parts, names=None, **kwargs):
    """Each part in a track of its own."""
    notes = [note._replace(track=track) for track, part in enumerate(parts) for note in part]
    return Midi(sorted(notes, key=lambda note: note.onset), names or [""] * len(parts), **kwargs)


def numbers(choice):
    return choice.melody.number, choice.chords and choice.chords.number


def classes(element):
    return {pitch % 12 for pitch in element.pitches}


# which part


def test_a_line_over_chords_bass_and_drums_is_found_wherever_it_stands():
    others = [comping(channel=1), bass(channel=2, program=33), drums()]
    for place in range(4):
        found = choose(midi(*others[:place], melody(), *others[place:]))
        assert numbers(found) == (place + 1, 1 if place else 2)


def test_the_higher_of_two_lines_is_the_melody():
    assert numbers(choose(midi(melody(shift=-24), melody(channel=1))))[0] == 2


def test_the_line_that_plays_more_is_the_melody():
    assert numbers(choose(midi(melody(8, silent=range(3, 9)), melody(8, channel=1))))[0] == 2


def test_the_line_and_not_the_chords_is_the_melody():
    higher = [note._replace(pitch=note.pitch + 9) for note in comping()]
    assert numbers(choose(midi(higher, melody(shift=-7, channel=1)))) == (2, 1)


def test_a_name_decides_between_equal_parts():
    for names in (["x", "Lead 2"], ["Rhodes", "y"], ["Piano", "SOLO-sax"], ["upright bass", "z"]):
        assert numbers(choose(midi(melody(), melody(channel=1), names=names)))[0] == 2
    assert numbers(choose(midi(melody(), melody(channel=1), names=["x", "misleading"])))[0] == 1  # no whole words


def test_an_instrument_decides_between_equal_parts():
    assert numbers(choose(midi(melody(program=0), melody(channel=1, program=66))))[0] == 2  # a saxophone
    assert numbers(choose(midi(melody(program=33), melody(channel=1))))[0] == 2  # a bass


def test_drums_are_never_the_melody_nor_the_chords():
    hits = [note._replace(pitch=70) for note in drums()]
    assert numbers(choose(midi(hits, melody(shift=-12), names=["melody", ""])))[0] == 2
    assert numbers(choose(midi(melody(), melody(shift=-12, channel=1), names=["Drum kit", ""])))[0] == 2
    loud = [note._replace(pitch=pitch) for note in drums() for pitch in (48, 55)]
    assert numbers(choose(midi(melody(), loud, names=["", "piano"]))) == (1, None)


def test_a_part_without_chords_is_no_accompaniment():
    assert numbers(choose(midi(melody(), bass(channel=1)))) == (1, None)
    assert numbers(choose(midi(melody()))) == (1, None)


def test_every_part_has_its_reasons():
    found = choose(midi(comping(), melody(channel=1), drums(), names=["Piano", "Lead", "Kit"]))
    assert sorted(found.as_melody) == sorted(found.as_chords) == [1, 2, 3]
    assert "+2.0 its name says melody" in found.as_melody[2].why
    assert "+2.0 its name says chords" in found.as_chords[1].why
    assert found.as_melody[3] == (-100.0, ["drums are never a melody"])
    assert found.as_chords[3] == (-100.0, ["drums are never chords"])


def test_a_file_without_a_melody_is_refused():
    for piece, message in (
        (Midi([]), "must have notes"),
        (midi(drums()), "no notes but drums"),
        (midi(bass(program=33)), "no part looks like one; --melody names it"),
    ):
        with pytest.raises(NumpyrnnError, match=message):
            choose(piece)
    assert numbers(choose(midi(bass(program=33)), melody="1")) == (1, None)


# naming


def test_a_part_is_named_by_its_number_its_name_or_a_piece_of_it():
    parts = parts_of(midi(melody(), comping(), bass(), names=["Sax", "Sax 2", "3 basses"]))
    for wanted, number in (("1", 1), ("3", 3), ("sax", 1), ("SAX 2", 2), ("ax 2", 2), ("basses", 3)):
        assert named(parts, wanted, "--melody").number == number
    for wanted in ("4", "0", "s", "tuba", "sa"):
        with pytest.raises(
            NumpyrnnError, match=rf"--chords must name one of .*1 'Sax', 2 'Sax 2', 3 .*; got '{wanted}'"
        ):
            named(parts, wanted, "--chords")


def test_named_parts_are_taken():
    piece = midi(melody(), comping(channel=1), melody(shift=-5, channel=2), names=["a", "b", "c"])
    assert numbers(choose(piece)) == (1, 2)
    assert numbers(choose(piece, melody="c")) == (3, 2)
    assert numbers(choose(piece, melody="2", chords="a")) == (2, 1)
    with pytest.raises(NumpyrnnError, match="--chords must name"):
        choose(piece, chords="d")


def test_channels_of_one_track_are_parts_of_their_own():
    notes = [*melody(channel=3, program=65), *comping(channel=0), *drums()]
    piece = Midi(sorted(notes, key=lambda note: note.onset), ["all"])
    assert [(p.number, p.name, p.program, p.drums) for p in parts_of(piece)] == [
        (1, "all", 0, False),
        (2, "all", 65, False),
        (3, "all", 0, True),
    ]
    assert numbers(choose(piece)) == numbers(choose(parse_midi(midi_bytes(piece), "written"))) == (2, 1)


def test_parts_are_counted_without_tracks_that_have_no_notes():
    piece = midi([], melody(), [], comping(channel=1), names=["tempo", "a", "text", "b"])
    assert [str(part) for part in parts_of(piece)] == ["1 'a'", "2 'b'"]


# bars


@pytest.mark.parametrize(
    ("meters", "end", "lengths"),
    [
        ([(0, 4, 4)], 8, [4, 4]),
        ([(0, 4, 4)], "33/4", [4, 4, 4]),
        ([(0, 3, 4)], 7, [3, 3, 3]),
        ([(0, 6, 8)], 6, [3, 3]),
        ([(0, 7, 8)], 7, ["7/2", "7/2"]),
        ([(0, 5, 4), (10, 3, 4)], 14, [5, 5, 3, 3]),
        ([(0, 4, 4), (6, 3, 4)], 12, [4, 2, 3, 3]),  # a meter that changes within a bar
        ([(0, 1, 4), (1, 4, 4)], 9, [1, 4, 4]),  # a pickup
    ],
)
def test_bars_follow_the_meters(meters, end, lengths):
    piece = Midi([Note(F(0), F(end), 60)], meters=[(F(onset), beats, unit) for onset, beats, unit in meters])
    bars = bars_of(piece)
    assert [length for _, length in bars] == [F(length) for length in lengths]
    assert [onset for onset, _ in bars] == [sum(map(F, lengths[:i])) for i in range(len(lengths))]


def test_a_waltz_with_a_pickup_becomes_bars_that_add_up():
    line = [Note(F(i), F(1), 65 + i % 7) for i in range(25)]
    chords = [Note(F(1 + 3 * bar), F(3), pitch, channel=1) for bar in range(8) for pitch in (48, 55, 64)]
    piece = midi(line, chords, meters=[(F(0), 1, 4), (F(1), 3, 4)])
    tune, _ = tune_of_midi(piece, choose(piece), "waltz")
    assert [(bar.onset, bar.length) for bar in tune.bars] == [(0, 1), *((1 + 3 * i, 3) for i in range(8))]
    assert [sum(e.duration for e in bar.melody) for bar in tune.bars] == [1, *[3] * 8]


# tunes


def test_a_tune_has_the_melody_and_the_chords_of_its_parts():
    piece = midi(comping(4), melody(4, channel=1), drums(4))
    tune, left_out = tune_of_midi(piece, choose(piece), "song")
    assert (tune.name, left_out) == ("song", [])
    assert [(e.onset, e.duration, *e.pitches) for bar in tune.bars for e in bar.melody] == [
        (n.onset, n.duration, n.pitch) for n in melody(4)
    ]
    assert [[chord.pitches for chord in bar.chords] for bar in tune.bars] == [[CHORDS[name]] for name in FORM]


def test_some_bars_of_a_file():
    piece = midi(comping(), melody(channel=1))
    tune, left_out = tune_of_midi(piece, choose(piece), "some", 3, 5)
    assert [bar.onset for bar in tune.bars] == [8, 12, 16]
    assert [sounding(bar.chords, bar.onset).pitches for bar in tune.bars] == [
        CHORDS[name] for name in ("Cmaj7", "Cmaj7", "Dm7")
    ]
    assert left_out == []
    assert len(tune_of_midi(piece, choose(piece), "more", 7, 99)[0].bars) == 2
    for wrong in ((9, None), (5, 4), (-1, 3)):
        with pytest.raises(NumpyrnnError, match="must lie in 1 to 8"):
            tune_of_midi(piece, choose(piece), "none", *wrong)


def test_bars_in_which_the_melody_is_silent_are_refused_where_there_are_no_others():
    piece = midi(comping(), melody(silent=(3, 4), channel=1))
    with pytest.raises(NumpyrnnError, match="the melody must have notes in bars 3 to 4"):
        tune_of_midi(piece, choose(piece), "silent", 3, 4)


def test_a_long_silence_is_left_out_and_told():
    piece = midi(comping(14), melody(14, silent=(1, 2, 5, 6, 8, 9, 10, 13, 14), channel=1))
    tune, left_out = tune_of_midi(piece, choose(piece), "pauses")
    assert [bar.onset / 4 + 1 for bar in tune.bars] == [3, 4, 5, 6, 7, 11, 12]
    assert left_out == [f"{n} bars without a melody from bar {bar}" for n, bar in ((2, 1), (3, 8), (2, 13))]


def test_notes_of_the_melody_below_another_are_left_out_and_told():
    doubled = sorted([*melody(), *(note._replace(pitch=50) for note in melody()[::8])], key=lambda note: note.onset)
    piece = midi(doubled, comping(channel=1))
    tune, left_out = tune_of_midi(piece, choose(piece, melody="1"), "doubled")
    assert [max(e.pitches) for bar in tune.bars for e in bar.melody] == [note.pitch for note in melody()]
    assert left_out == ["8 notes of the melody that sound below another, or too near to it"]


# estimated chords


def test_chords_are_estimated_from_broken_chords_over_a_bass():
    broken = [Note(F(4 * i + j), F(1), p, channel=1) for i, name in enumerate(FORM) for j, p in enumerate(CHORDS[name])]
    roots = [Note(F(4 * i), F(4), pitch, channel=2, program=33) for i, pitch in enumerate((38, 43, 36, 36))]
    piece = midi(melody(4, shift=1), broken, roots, drums(4))
    found = choose(piece, melody="1")
    assert found.chords is None
    tune, _ = tune_of_midi(piece, found, "estimated")
    assert [classes(bar.chords[0]) for bar in tune.bars] == [{pitch % 12 for pitch in CHORDS[name]} for name in FORM]
    assert [bar.chords[0].pitches[0] % 12 for bar in tune.bars] == [2, 7, 0, 0]


@pytest.mark.parametrize(
    "shape", [(0, 4, 7, 10), (0, 3, 7, 10), (0, 4, 7, 11), (0, 3, 6, 10), (0, 4, 7), (0, 3, 7), (0, 4, 7, 9)]
)
def test_a_chord_over_its_root_is_recognised_in_every_key(shape):
    for root in range(12):
        notes = [Note(F(0), F(2), 36 + root), *(Note(F(2), F(1), 60 + (root + step) % 12) for step in shape)]
        (chord,) = estimate_chords(notes, [(F(0), F(4))])
        assert classes(chord) == {(root + step) % 12 for step in shape}
        assert chord.pitches[0] % 12 == root


def test_a_bar_without_notes_has_the_chord_before_and_the_first_the_next():
    notes = [Note(F(4 * bar), F(1), pitch) for bar, name in ((1, "G7"), (3, "Cmaj7")) for pitch in CHORDS[name]]
    found = estimate_chords(notes, [(F(4 * i), F(4)) for i in range(5)])
    assert [(chord.onset, chord.pitches[0] % 12) for chord in found] == [(0, 7), (12, 0)]


def test_the_guitar_over_the_piano_is_found_in_the_original_file(shared_data):
    piece = read_midi(shared_data / "original_metheny.mid")
    found = choose(piece)
    assert (str(found.melody), str(found.chords)) == ("6 'Guitar'", "1 'Piano'")
    tune, left_out = tune_of_midi(piece, found, "metheny")
    assert len(tune.bars) > 100
    assert left_out
    assert all(values for values in tune.values())


def test_a_held_note_is_no_silence():
    notes = [*melody(4), Note(F(16), F(20), 75), *(n._replace(onset=n.onset + 36) for n in melody(4))]
    piece = Midi(notes)
    tune_, left_out = tune_of_midi(piece, choose(piece), "held")
    assert left_out == []
    assert len(tune_.bars) == 13


def test_bars_without_other_notes_have_chords():
    piece = midi(melody(8), comping(2, channel=1))
    tune_, _ = tune_of_midi(piece, choose(piece, chords="2"), "x", 3, 4)
    assert tune_.values()


def test_counts_of_left_out_notes_are_true():
    notes = [*melody(1)[:-1], Note(F(79, 20), F(1, 2), 72), *(n._replace(onset=n.onset + F(9, 2)) for n in melody(4))]
    piece = Midi(notes)
    assert not any(text.startswith("-") for text in tune_of_midi(piece, choose(piece), "x", 2)[1])


def test_a_chord_played_by_hand_is_polyphonic():
    notes = sorted(Note(F(i) + d, F(1), p) for i in range(1, 20) for d, p in ((F(-1, 480), 60), (F(1, 480), 67)))
    assert Part(1, "", 0, False, notes).polyphony == 1


def test_bar_0_is_refused():
    piece = midi(comping(), melody(channel=1))
    with pytest.raises(NumpyrnnError):
        tune_of_midi(piece, choose(piece), "x", 0)


def test_to_bar_0_is_refused():
    piece = midi(comping(), melody(channel=1))
    with pytest.raises(NumpyrnnError):
        tune_of_midi(piece, choose(piece), "x", 1, 0)


def test_a_pad_is_chords():
    assert "+2.0 its name says chords" in (
        choose(midi(melody(), melody(channel=1), names=["pad", "accompaniment"])).as_chords[1].why
    )


def test_drums_cannot_be_named_as_the_melody():
    parts = parts_of(midi(melody(), drums(), names=["lead", "kit"]))
    with pytest.raises(NumpyrnnError, match=r"--melody must name a part with pitches, .*is drums"):
        named(parts, "kit", "--melody")
