"""A tune always adds up: one line on a grid, cut into bars without a gap, over chords that are always known."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jazz.changes import parse_changes
from jazz.chords import parse_chord
from jazz.grammar import Element, encode
from jazz.reading.choruses import read_chorus, tune_of_chorus
from jazz.tunes import Bar, Tune, chord_elements, chord_pitches, line, make_bars
from numpyrnn import NumpyrnnError

F = Fraction
FILES = sorted((Path(__file__).parents[1] / "data" / "choruses").glob("*.txt"))
TIMES = st.fractions(0, 12, max_denominator=480)
NOTES = st.lists(st.tuples(TIMES, st.fractions(0, 5, max_denominator=96), st.integers(0, 127)), min_size=1, max_size=16)
LENGTHS = st.lists(st.sampled_from([F(1), F(2), F(3), F(4), F(5), F(3, 2)]), min_size=1, max_size=8)


def notes(*rows):
    return [(F(onset), F(duration), pitch) for onset, duration, pitch in rows]


def spans(elements):
    return [(e.onset, e.end, *e.pitches) for e in elements]


def consecutive(lengths, start=0):
    """Bars of these lengths, one after the other."""
    return [(start + sum(lengths[:i]), length) for i, length in enumerate(lengths)]


# one line


@settings(max_examples=60)
@given(NOTES)
def test_a_line_is_in_order_on_the_grid_and_has_nothing_too_short(played):
    found = line(played)
    assert found
    for element in found:
        assert len(element.pitches) == 1
        assert element.onset.denominator in (1, 2, 3, 4)
        assert element.end.denominator in (1, 2, 3, 4)
        assert element.duration >= F(1, 4)
    for before, after in pairwise(found):
        assert before.end <= after.onset
        assert after.onset - before.end == 0 or after.onset - before.end >= F(1, 4)  # a rest is no shorter either


@settings(max_examples=60)
@given(NOTES)
def test_a_beat_has_sixteenths_or_triplets_and_not_both(played):
    beats = {}
    for element in line(played):
        beats.setdefault(element.onset // 1, set()).add(element.onset.denominator)
    assert not any(3 in parts and parts & {2, 4} for parts in beats.values())


@settings(max_examples=60)
@given(NOTES)
def test_every_note_of_a_line_was_played_there(played):
    for element in line(played):
        assert any(pitch == element.pitches[0] and abs(onset - element.onset) <= F(1, 4) for onset, _, pitch in played)


@settings(max_examples=60)
@given(NOTES, st.randoms(use_true_random=False))
def test_the_order_of_the_notes_does_not_matter(played, rng):
    shuffled = list(played)
    rng.shuffle(shuffled)
    assert line(shuffled) == line(played)


@given(
    st.lists(st.sampled_from(["4", "3", "2", "1", "112", "211"]), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_a_legato_line_on_the_grid_stays_as_it_is(beats, rng):
    parts = {"4": [F(1, 4)] * 4, "3": [F(1, 3)] * 3, "2": [F(1, 2)] * 2, "1": [F(1)]}
    parts |= {"112": [F(1, 4), F(1, 4), F(1, 2)], "211": [F(1, 2), F(1, 4), F(1, 4)]}
    durations = [duration for beat in beats for duration in parts[beat]]
    played = [(sum(durations[:i], F(0)), duration, rng.randrange(128)) for i, duration in enumerate(durations)]
    assert [(e.onset, e.duration, *e.pitches) for e in line(played)] == played


def test_of_notes_that_begin_together_the_highest_is_kept():
    chord = notes((0, 2, 60), (0, 1, 67), ("1/50", 2, 64), (2, 1, 62))
    assert spans(line(chord)) == [(0, 1, 67), (2, 3, 62)]


def test_a_note_ends_where_the_next_begins():
    assert spans(line(notes((0, 4, 60), (1, "1/2", 62), (2, 1, 64)))) == [(0, 1, 60), (1, F(3, 2), 62), (2, 3, 64)]


def test_a_short_silence_is_articulation_and_a_longer_one_a_rest():
    short, long = (line(notes((0, duration, 60), (1, 1, 62))) for duration in ("9/10", "3/4"))
    assert spans(short) == [(0, 1, 60), (1, 2, 62)]
    assert spans(long) == [(0, F(3, 4), 60), (1, 2, 62)]


def test_a_note_without_duration_gets_a_step_of_its_grid():
    assert spans(line(notes((0, 0, 60), (2, 0, 62), ("7/3", 0, 64), ("8/3", 0, 65)))) == [
        (0, F(1, 4), 60),
        (2, F(7, 3), 62),
        (F(7, 3), F(8, 3), 64),
        (F(8, 3), 3, 65),
    ]


def test_a_triplet_played_loosely_becomes_one_and_an_early_note_belongs_to_its_beat():
    loose = notes((0, "3/10", 60), ("7/20", "3/10", 62), ("13/20", "3/10", 64), ("19/20", 1, 65))
    assert spans(line(loose)) == [(0, F(1, 3), 60), (F(1, 3), F(2, 3), 62), (F(2, 3), 1, 64), (1, 2, 65)]


# bars


@settings(max_examples=60)
@given(NOTES, LENGTHS, st.lists(TIMES, min_size=1, max_size=8))
def test_bars_are_filled_exactly_by_what_begins_in_them_and_what_is_held(played, lengths, changes):
    bars = consecutive(lengths)
    end = sum(lengths)
    melody = [e for e in line(played) if e.onset < end]
    chords = [Element(onset, F(0), (48, 60, 64, 67)) for onset in sorted(changes)]
    made = make_bars(melody, chords, bars)
    assert [(bar.onset, bar.length) for bar in made] == bars
    assert [e for bar in made for e in bar.melody if e.pitches] == melody
    now = F(0)
    for bar in made:
        for element in bar.melody:
            assert element.onset == now
            assert bar.onset <= element.onset < bar.onset + bar.length
            assert element.pitches or element.end <= bar.onset + bar.length  # a rest never crosses a bar line
            now = element.end
        assert now >= bar.onset + bar.length


@given(LENGTHS, st.lists(TIMES, min_size=1, max_size=8, unique=True))
def test_a_bar_has_the_chord_at_its_beginning_and_those_that_come_in_it(lengths, changes):
    chords = [Element(onset, F(0), (48, 60, 64, 67)) for onset in sorted(changes)]
    for bar in make_bars([], chords, consecutive(lengths)):
        inside = [chord for chord in chords if bar.onset < chord.onset < bar.onset + bar.length]
        at_its_beginning = [chord for chord in chords if chord.onset <= bar.onset][-1:]
        assert list(bar.chords) == ([*at_its_beginning, *inside] or chords[:1])


def test_bars_by_hand():
    melody = [Element(F(5), F(4), (60,)), Element(F(10), F(1), (62,))]
    chords = [Element(F(t), F(0), (48, 60, 64, 67)) for t in (4, 6, 12)]
    bars = make_bars(melody, chords, consecutive([F(4), F(2), F(3)], F(4)))
    assert [spans(bar.melody) for bar in bars] == [[(4, 5), (5, 9, 60)], [(9, 10)], [(10, 11, 62), (11, 13)]]
    assert [[c.onset for c in bar.chords] for bar in bars] == [[4, 6], [6], [6, 12]]


# chords


@pytest.mark.parametrize(
    ("symbol", "pitches"),
    [
        ("C", (48, 60, 64, 67)),
        ("G7", (55, 67, 71, 74, 77)),
        ("Bb6/D", (50, 70, 74, 77, 79)),
        ("B7b9", (59, 71, 75, 78, 81, 72)),
        ("F9", (53, 65, 69, 72, 75, 67)),
    ],
)
def test_a_chord_stands_above_middle_c_with_its_bass_below(symbol, pitches):
    assert chord_pitches(parse_chord(symbol)) == pitches


def test_no_chord_is_the_chord_before_or_at_the_beginning_the_next():
    found = chord_elements(parse_changes("N.C. | C | N.C. G7 | N.C.").flat())
    c, g = (chord_pitches(parse_chord(symbol)) for symbol in ("C", "G7"))
    assert [(e.onset, e.pitches) for e in found] == [(0, c), (4, c), (8, c), (10, g), (12, g)]
    with pytest.raises(NumpyrnnError, match="changes must have a chord"):
        chord_elements([(F(0), parse_chord("N.C."))])


# tunes


def test_values_of_a_tune_are_those_of_its_bars():
    chord = (Element(F(0), F(0), (48, 60, 64, 67)),)
    bars = (Bar(F(0), F(1), (Element(F(0), F(1), (64,)),), chord), Bar(F(1), F(1), (Element(F(1), F(1)),), chord))
    assert Tune("t", bars).values() == [encode(bar.melody, bar.chords) for bar in bars]
    assert [[str(value) for value in values] for values in Tune("t", bars).values()] == [["C,1.000"], ["R,1.000"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_chorus_becomes_a_tune_that_adds_up(path):
    chorus = read_chorus(path)
    tune = tune_of_chorus(chorus)
    assert (tune.name, tune.group, len(tune.bars)) == (chorus.name, chorus.changes.name, len(chorus.changes.bars))
    sounding = [e for bar in tune.bars for e in bar.melody if e.pitches]
    assert [(e.onset, e.duration, e.pitches) for e in sounding] == [
        (t.onset, t.duration, (t.pitch,)) for t in chorus.melody
    ]
    assert sum(e.duration for bar in tune.bars for e in bar.melody) == chorus.changes.bar * len(chorus.changes.bars)
    assert all(bar.chords[0].onset == bar.onset for bar in tune.bars)
    assert [chord.onset for bar in tune.bars for chord in bar.chords] == [onset for onset, _ in chorus.changes.flat()]


def test_a_first_bar_has_only_the_chord_that_sounds():
    chords = [Element(F(t), F(0), (48, 60, 64, 67)) for t in (0, 4)]
    assert [c.onset for c in make_bars([], chords, [(F(4), F(4))])[0].chords] == [4]


def test_no_notes_are_no_line():
    assert line([]) == []
