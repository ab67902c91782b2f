"""Chords are found in notes where they are clear to hear."""

from fractions import Fraction

import pytest

from jazz.chords import QUALITIES, root_of
from jazz.reading.estimate import best_chord, estimate_chords
from music.midi import Note

F = Fraction
FOUR = [(F(4 * i), F(4)) for i in range(8)]
ESTIMATED = [quality.tones for quality in QUALITIES if quality.prior is not None]
CLEAR = [(0, 4, 7, 10), (0, 4, 7, 11), (0, 4, 7)]  # no other shape has these tones; C6 is Am7


def weights(*tones):
    return [float(tone in {t % 12 for t in tones}) for tone in range(12)]


def notes(onset, *pitches, duration=4):
    return [Note(F(onset), F(duration), pitch) for pitch in pitches]


def found(chords):
    return [(chord.onset, chord.pitches[0] % 12, {pitch % 12 for pitch in chord.pitches}) for chord in chords]


@pytest.mark.parametrize("root", range(12))
@pytest.mark.parametrize("shape", ESTIMATED, ids=str)
def test_a_chord_over_its_root_is_that_chord(root, shape):
    assert best_chord(weights(*(root + step for step in shape)), root) == (root, shape)


@pytest.mark.parametrize("shape", CLEAR, ids=str)
@pytest.mark.parametrize("inversion", [1, 2])
def test_a_clear_chord_is_itself_also_over_another_of_its_tones(shape, inversion):
    assert best_chord(weights(*shape), shape[inversion]) == (0, shape)


def test_of_two_chords_with_the_same_tones_the_bass_decides():
    tones = weights(0, 4, 7, 9)
    assert best_chord(tones, 0) == (0, (0, 4, 7, 9))  # C6
    assert best_chord(tones, 9) == (9, (0, 3, 7, 10))  # Am7
    tones = weights(0, 3, 7, 9)
    assert best_chord(tones, 0) == (0, (0, 3, 7, 9))  # Cm6
    assert best_chord(tones, 9) == (9, (0, 3, 6, 10))  # Am7b5


def test_a_tone_in_passing_changes_nothing():
    tones = weights(2, 5, 9, 0)
    tones[4] = 0.2
    assert best_chord(tones, 2) == (2, (0, 3, 7, 10))


def test_each_bar_has_the_chord_that_sounds_in_it():
    played = notes(0, 38, 60, 65, 69) + notes(4, 43, 59, 65, 62) + notes(8, 36, 64, 67, 71)
    assert found(estimate_chords(played, FOUR[:3])) == [
        (0, 2, {2, 5, 9, 0}),
        (4, 7, {7, 11, 2, 5}),
        (8, 0, {0, 4, 7, 11}),
    ]
    assert estimate_chords(played[::-1], FOUR[:3]) == estimate_chords(played, FOUR[:3])


def test_an_arpeggio_is_a_chord_as_well():
    played = [Note(F(i, 2), F(1, 2), pitch) for i, pitch in enumerate((53, 57, 60, 63, 65, 63, 60, 57))]
    assert found(estimate_chords(played, FOUR[:1])) == [(0, 5, {5, 9, 0, 3})]


def test_long_notes_weigh_more_than_short_ones():
    short = [Note(F(i, 4), F(0), pitch) for i, pitch in enumerate((61, 66, 68, 70))]
    assert found(estimate_chords(notes(0, 48, 64, 67, 70) + short, FOUR[:1])) == [(0, 0, {0, 4, 7, 10})]


def test_a_silent_bar_has_no_chord_and_the_first_chord_stands_at_the_beginning():
    played = notes(4, 48, 64, 67, 71) + notes(12, 41, 57, 60, 64)
    assert found(estimate_chords(played, FOUR)) == [(0, 0, {0, 4, 7, 11}), (12, 5, {5, 9, 0, 4})]


def test_a_bar_heeds_what_begins_in_it_and_no_more_of_it_than_its_length():
    before = notes(0, 49, 53, 56, 59, duration=8)  # rings on, but began a bar earlier
    assert found(estimate_chords(before + notes(4, 48, 52, 55), FOUR[1:2])) == [(4, 0, {0, 4, 7})]
    held = [Note(F(7), F(100), 66), Note(F(4), F(4), 48), Note(F(4), F(4), 52), Note(F(4), F(4), 55)]
    assert found(estimate_chords(held, FOUR[1:2])) == found(estimate_chords(held[1:], FOUR[1:2]))


@pytest.mark.parametrize("played", [[], notes(40, 60, 64, 67)], ids=["no notes", "after the last bar"])
def test_where_nothing_sounds_there_are_no_chords(played):
    assert estimate_chords(played, FOUR) == []


def test_bars_of_any_length_are_looked_at_one_by_one():
    bars = [(F(0), F(3)), (F(3), F(5, 2)), (F(11, 2), F(1))]
    played = [Note(*bar, 48 + i + step) for i, bar in enumerate(bars) for step in (0, 4, 7)]
    chords = estimate_chords(played, bars)
    assert found(chords) == [(onset, i, {i, i + 4, i + 7}) for i, (onset, _) in enumerate(bars)]
    assert [chord.duration for chord in chords] == [length for _, length in bars]


def test_the_root_of_a_chord_in_any_inversion():
    for pitches in ((60, 64, 67), (52, 60, 67), (55, 60, 64)):
        assert root_of(pitches) == 0
    assert root_of((53, 55, 59, 62)) == 7  # G7 over its seventh
