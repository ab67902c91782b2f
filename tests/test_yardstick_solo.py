"""Places are reduced as the yardstick says; chord tones and scales are those of its plain table."""

from fractions import Fraction

import pytest
from yardsticks import line, made

from jazz.chords import parse_chord
from jazz.yardstick.harmony import harmony_of, scale_of
from jazz.yardstick.solo import Note, Solo, places_in_beat, reduce_notes
from numpyrnn import NumpyrnnError

F = Fraction


@pytest.mark.parametrize(
    ("places", "reduced"),
    [
        ([0], [0]),
        ([F(29, 100)], [0]),
        ([F(3, 10)], [F(1, 2)]),
        ([F(9, 10)], [F(1, 2)]),
        ([0, F(2, 3)], [0, F(1, 2)]),
        ([F(1, 10), F(2, 5)], [0, F(1, 2)]),
        ([0, F(39, 100)], [0, F(1, 4)]),
        ([F(1, 2), F(3, 4)], [F(1, 2), F(3, 4)]),
        ([F(3, 10), F(2, 5)], [F(1, 2), F(3, 4)]),
        ([0, F(1, 4), F(1, 2)], [0, F(1, 3), F(2, 3)]),
        ([0, F(1, 5), F(2, 5), F(4, 5)], [0, F(1, 4), F(1, 2), F(3, 4)]),
        ([F(i, 5) for i in range(5)], [F(i, 5) for i in range(5)]),
    ],
)
def test_places_in_a_beat_follow_from_the_number_of_notes(places, reduced):
    assert places_in_beat([F(place) for place in places]) == reduced


def test_of_notes_with_one_onset_the_highest_is_kept():
    notes = [Note(0, F(0), pitch, F(0), F(1)) for pitch in (64, 72, 60)]
    assert [note.pitch for note in reduce_notes(notes)] == [72]


def test_beats_are_reduced_one_by_one():
    solo = made([(0, 60), (F(2, 3), 62), (1, 64), (F(4, 3), 65), (F(5, 3), 67), (4, 69)], bars=2)
    assert solo.onsets == [0, F(1, 2), 1, F(4, 3), F(5, 3), 4]
    assert [note.bar for note in solo.notes] == [0] * 5 + [1]


def test_a_solo_needs_two_notes():
    with pytest.raises(NumpyrnnError, match="at least two notes"):
        made([(0, 60)])
    with pytest.raises(NumpyrnnError, match="two notes"):
        line([60, 62], bars=2).excerpt(1, 1)


def test_an_excerpt_begins_anew_under_the_chord_that_sounds():
    solo = made([(0, 60), (5, 62), (7, 64), (9, 65)], "Cmaj7 Dm7 | % G7 | Cmaj7").excerpt(1, 2)
    assert isinstance(solo, Solo)
    assert solo.onsets == [1, 3, 5]
    assert [note.begin for note in solo.notes] == [1, 3, 5]
    assert [(onset, chord.symbol) for onset, chord in solo.chords] == [(0, "Dm7"), (2, "G7"), (4, "Cmaj7")]
    assert solo.bars == [4, 4]


@pytest.mark.parametrize(
    ("symbol", "tones"),
    [
        ("C", {0, 4, 7}),
        ("C6", {0, 4, 7, 9}),
        ("C69", {0, 4, 7, 9}),
        ("C13", {0, 4, 7, 10}),
        ("C7#9", {0, 4, 7, 10}),
        ("C9#11", {0, 4, 7, 10}),
        ("C7b5", {0, 4, 6, 10}),
        ("C7b13", {0, 4, 7, 10}),
        ("Caug", {0, 4, 8}),
        ("C7sus4", {0, 7, 10}),
        ("Cdim7", {0, 3, 6, 9}),
        ("Cm11", {0, 3, 7, 10}),
        ("Cm7b5", {0, 3, 6, 10}),
        ("C/E", {0, 4, 7}),
    ],
)
def test_chord_tones_are_root_third_fifth_and_seventh_or_sixth(symbol, tones):
    assert harmony_of(parse_chord(symbol)).tones == tones
    moved = harmony_of(parse_chord(symbol.replace("C", "F").replace("/E", "/A")))
    assert moved.tones == {(tone + 5) % 12 for tone in tones}


@pytest.mark.parametrize(
    ("symbol", "scale"),
    [
        ("C7", "0 2 4 5 7 9 10"),
        ("C7b9", "0 1 3 4 5 7 8 10"),
        ("C7alt", "0 1 3 4 5 7 8 10"),
        ("C7#11", "0 2 4 5 6 7 9 10"),
        ("Cmaj7", "0 2 4 5 7 9 11"),
        ("Cmaj7#11", "0 2 4 5 6 7 9 11"),
        ("C", "0 2 4 5 7 9 11"),
        ("Cm7b5", "0 1 3 5 6 8 10"),
        ("Cdim7", "0 2 3 5 6 8 9 11"),
        ("Cdim", "0 2 3 5 6 8 9 11"),
        ("Cmmaj7", "0 2 3 5 7 9 11"),
        ("Cm7", "0 2 3 5 7 9 10"),
        ("Cm6", "0 2 3 5 7 9 10"),
        ("C7sus4", "0 2 4 5 7 9 10"),
        ("C13b9", "0 1 3 4 5 7 8 9 10"),
    ],
)
def test_the_scale_of_a_chord_and_its_own_tones(symbol, scale):
    chord = parse_chord(symbol)
    assert sorted(harmony_of(chord).scale) == [int(tone) for tone in scale.split()]
    assert scale_of(chord.intervals) <= harmony_of(chord).scale


def test_no_chord_has_no_harmony():
    found = harmony_of(parse_chord("N.C."))
    assert (found.root, found.tones, found.scale) == (None, set(), set())


def test_guide_tones_are_third_and_seventh():
    assert harmony_of(parse_chord("G7")).guides == {11, 5}
    assert harmony_of(parse_chord("F6")).guides == {9, 2}
    assert harmony_of(parse_chord("Gsus4")).guides == set()
