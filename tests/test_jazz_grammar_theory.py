"""Chords, scales and intervals are those that the original programs saw, held to rules worked out by hand."""

import random
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from music21 import interval, scale
from music21.chord import Chord
from music21.pitch import Pitch
from test_jazz_chords import ORDINARY

from jazz.grammar import interval_range, kinds, name_of, quality, scale_tones, semitones

NAMES = ["C", "C#", "D", "E-", "E", "F", "F#", "G", "G#", "A", "B-", "B"]
LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
TONICS = ["C", "C#", "D-", "D", "D#", "E-", "E", "F", "F#", "G", "G#", "A", "B-", "B", "C-"]
STEPS = {"major": (2, 2, 1, 2, 2, 2), "dorian": (2, 1, 2, 2, 2, 1)}
PITCHES = st.lists(st.integers(36, 84), min_size=1, max_size=6, unique=True).map(tuple)


def pitch_class(name):
    return (LETTERS[name[0]] + name.count("#") - name.count("-")) % 12


def scale_names(tonic, mode):
    """The seven names of a scale, a letter each."""
    letters = ("CDEFGAB" * 2)["CDEFGAB".index(tonic[0]) :][:7]
    names = []
    for letter, place in zip(letters, accumulate(STEPS[mode], initial=pitch_class(tonic)), strict=True):
        sharps = (place - LETTERS[letter] + 6) % 12 - 6
        names.append(letter + "#" * sharps + "-" * -sharps)
    return names


def derived(pitches, mode):
    """Of all tonics the scale with most of the pitches; ties go to the highest tonic, then to the later one."""

    def rank(tonic):
        names = scale_names(tonic, mode)
        height = LETTERS[tonic[0]] + tonic.count("#") - tonic.count("-")
        held = {pitch % 12 for pitch in pitches} & {pitch_class(name) for name in names}
        return len(held), height, TONICS.index(tonic)

    return scale_names(max(TONICS, key=rank), mode)


def directed_name(start, end):
    """Name of the interval between two (letters from C0, semitones from C0)."""
    letters, steps = end[0] - start[0], end[1] - start[1]
    sign = -1 if letters < 0 else 1
    letters, steps = sign * letters, sign * steps
    plain = 12 * (letters // 7) + (0, 2, 4, 5, 7, 9, 11)[letters % 7]
    over = steps - plain
    if letters % 7 in (0, 3, 4):
        quality = "P" if over == 0 else "A" * over + "d" * -over
    else:
        quality = {0: "M", -1: "m"}.get(over, "A" * over + "d" * (-over - 1))
    return f"{quality}{'-' if sign < 0 else ''}{letters + 1}"


def spelled(midi):
    name = NAMES[midi % 12]
    return 7 * (midi // 12) + "CDEFGAB".index(name[0]), midi


# names and chords


def test_a_pitch_has_one_name():
    assert [name_of(midi) for midi in range(12)] == NAMES
    assert [name_of(midi) for midi in range(128)] == [Pitch(midi=midi).name for midi in range(128)]


@pytest.mark.parametrize(
    ("pitches", "expected"),
    [
        ((60, 64, 67), "major"),
        ((60, 64), "major"),
        ((55, 59, 62, 65), "major"),  # G7
        ((60, 63, 67), "minor"),
        ((62, 65, 69, 72), "minor"),  # Dm7
        ((60, 64, 68), "augmented"),
        ((59, 62, 65), "diminished"),
        ((60, 65, 67), "other"),
        ((60, 67), "other"),
        ((60,), "other"),
        ((61, 65, 68), "other"),  # C# F G#: as they are spelled these are no thirds
    ],
)
def test_quality_of_a_chord(pitches, expected):
    assert quality(pitches) == expected
    assert quality(tuple(pitch + 12 for pitch in pitches[::-1])) == expected


def test_every_set_of_pitch_classes_has_the_quality_that_music21_finds():
    draw = random.Random(0)
    tables = [[root + tone for tone in row] for row in sorted({*ORDINARY.values()}) for root in range(48, 60, 5)]
    some = [[pc + 12 * draw.randint(3, 6) for pc in draw.sample(range(12), draw.randint(1, 7))] for _ in range(500)]
    for pitches in [*tables, *([bass - 12, *pitches] for bass, pitches in zip(range(48, 60), tables)), *some]:
        expected = Chord([Pitch(midi=midi) for midi in sorted(pitches)]).quality
        assert quality(pitches) == expected, pitches


# scales


def scale_of(pitches):
    return scale_tones({pitch % 12 for pitch in pitches}, quality(pitches) == "major")


@pytest.mark.parametrize(
    ("pitches", "tonic", "mode", "names"),
    [
        ((60, 64, 67), "G", "major", "G A B C D E F#"),
        ((60, 63, 67), "B-", "dorian", "B- C D- E- F G A-"),
        ((55, 59, 62, 65), "C", "major", "C D E F G A B"),
        ((60, 64, 67, 70), "F", "major", "F G A B- C D E"),
    ],
)
def test_scales_of_clear_chords(pitches, tonic, mode, names):
    assert scale_names(tonic, mode) == derived(pitches, mode) == names.split()
    assert scale_of(pitches) == {NAMES.index(name) for name in names.split() if name in NAMES}


@settings(max_examples=60)  # music21 takes 10 ms a scale
@given(PITCHES)
def test_the_scale_is_the_one_with_most_of_the_chord(pitches):
    names = derived(pitches, "major" if quality(pitches) == "major" else "dorian")
    assert scale_of(pitches) == {NAMES.index(name) for name in names if name in NAMES}


def test_a_scale_tone_that_no_pitch_is_spelled_like_is_none():
    assert scale_of((60, 63, 67)) == {10, 0, 3, 5, 7}  # D- and A- of B- dorian are C# and G# here


# types


@pytest.mark.parametrize(
    ("pitches", "expected"),
    [
        ((60, 64, 67, 70), "CASACSACASCA"),
        ((60, 64, 67), "CASACASCASXS"),
        ((60, 63, 67), "CAACASACAXSA"),
    ],
)
def test_types_of_all_notes_over_a_chord(pitches, expected):
    assert "".join(kinds(pitches)) == expected


@settings(max_examples=40)
@given(PITCHES)
def test_every_note_has_exactly_one_type(pitches):
    found, scale_of_it = kinds(pitches), scale_of(pitches)
    tones = {pitch % 12 for pitch in pitches}
    near = {(tone + step) % 12 for tone in tones for step in (1, 11)}
    by_type = {kind: {pc for pc in range(12) if found[pc] == kind} for kind in "CSAX"}
    assert by_type["C"] == tones
    assert by_type["S"] == scale_of_it - tones
    assert by_type["A"] == near - tones - scale_of_it
    assert by_type["X"] == set(range(12)) - tones - near - scale_of_it


# intervals


def test_names_of_intervals():
    assert interval_range(60, 60) == ("m3", "m-3")
    assert interval_range(60, 62) == ("P4", "m-2")  # a major second, and a minor third around it
    assert interval_range(60, 57) == ("P1", "d-5")


def test_an_interval_range_is_a_minor_third_around_the_interval():
    for previous in range(48, 60):
        for step in range(-24, 25):
            upper, lower = interval_range(previous, previous + step)
            assert (semitones(upper), semitones(lower)) == (step + 3, step - 3)


def test_intervals_are_named_by_the_letters_of_their_pitches():
    for previous in range(48, 60):
        for midi in range(previous - 14, previous + 15):
            start, (letter, height) = spelled(previous), spelled(midi)
            expected = directed_name(start, (letter + 2, height + 3)), directed_name(start, (letter - 2, height - 3))
            assert interval_range(previous, midi) == expected, (previous, midi)


def test_an_octave_changes_no_name():
    for previous in range(128):
        for midi in range(128):
            octaves = min(previous, midi) // 12
            lowest = interval_range(previous - 12 * octaves, midi - 12 * octaves)
            assert interval_range(previous, midi) == lowest


def test_intervals_are_named_as_by_music21():
    third = "m3"
    for low in range(12):  # all pairs of MIDI pitches, but for octaves
        for high in range(128):
            for previous, midi in ((low, high), (high, low)):
                step = interval.Interval(Pitch(midi=previous), Pitch(midi=midi))
                upper, lower = interval.add([step, third]), interval.subtract([step, third])
                assert interval_range(previous, midi) == (upper.directedName, lower.directedName)
                assert semitones(upper.directedName) == upper.semitones
                assert semitones(lower.directedName) == lower.semitones


def test_semitones_of_names():
    names = {
        "P1": 0,
        "m2": 1,
        "M-2": -2,
        "A4": 6,
        "d5": 6,
        "P-8": -12,
        "d-5": -6,
        "d6": 7,
        "A1": 1,
        "d1": -1,
        "m10": 15,
    }
    assert {name: semitones(name) for name in names} == names


@pytest.mark.parametrize("kind", [scale.MajorScale, scale.DorianScale])
def test_the_scale_is_the_one_that_music21_derives(kind):
    draw = random.Random(0)
    for _ in range(40):
        tones = draw.sample(range(12), draw.randint(1, 7))
        derived_by_music21 = kind().derive(Chord([Pitch(midi=60 + tone) for tone in tones]))
        names = {tone.name for tone in derived_by_music21.getPitches()}
        expected = {NAMES.index(name) for name in names if name in NAMES}
        assert scale_tones(set(tones), kind is scale.MajorScale) == expected
