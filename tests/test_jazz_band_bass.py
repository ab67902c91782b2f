"""The bass of the band: walking lines, two notes a bar, roots and fifths."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from bandstand import CASES, TUNES, by_bar, long, name, of, play, under

from jazz.changes import FORMS, form, parse_changes
from jazz.chords import parse_chord
from jazz.playing.band import BASS
from jazz.playing.bass import BASS_RANGE, nearest, walkable

SEEDS = range(3)
EVEN = ("straight", "bossa")
SWING = [changes for changes in TUNES if changes.feel == "swing"]


def line(changes, seed=0, **settings):
    return of(BASS, play(changes, seed, ["bass"], **settings))


def plain(notes):
    """The notes without ghosted ones."""
    return [note for note in notes if note.velocity > 60]


def leads(changes, notes):
    """The interval from the last note before each new root to that root, in semitones."""
    for before, span in pairwise(changes.spans()):
        if before[0] + before[1] == span[0] and before[1] > 1 and before[2].bass != span[2].bass:
            yield under(span, notes)[0].pitch - under(before, notes)[-1].pitch


@pytest.mark.parametrize("changes", CASES, ids=name)
def test_each_chords_bass_is_where_the_chord_begins_and_the_bass_plays_on(changes):
    for seed in SEEDS:
        notes = line(changes, seed)
        assert all(a.onset + a.duration <= b.onset for a, b in pairwise(notes))
        for span in changes.spans():
            mine = under(span, notes)
            assert mine[0].onset == span[0]
            assert mine[0].pitch % 12 == span[2].bass
            assert sum(note.duration for note in mine) == span[1]


@pytest.mark.parametrize("changes", [c for c in TUNES if c.feel not in EVEN and c.name != "modal"], ids=name)
def test_half_of_the_approaches_at_most_are_semitones_and_the_others_are_mixed(changes):
    found = [abs(step) for seed in range(6) for step in leads(long(changes), line(long(changes), seed))]
    assert 0.15 <= np.mean([step == 1 for step in found]) <= 0.5
    assert np.mean([step == 2 for step in found]) > 0.15
    assert np.mean([3 <= step <= 7 for step in found]) > 0.15
    assert np.mean([1 <= step <= 7 for step in found]) > 0.9


def test_semitones_lead_from_above_and_from_below():
    changes = long(form("rhythm-changes"))
    assert {1, -1} <= {step for seed in SEEDS for step in leads(changes, line(changes, seed))}


@pytest.mark.parametrize("name", FORMS)
def test_no_bar_is_played_twice_in_a_row(name):
    feels = {"straight", "bossa"} if form(name).feel in EVEN else {"swing", "ballad"}
    for feel, seed in product(sorted(feels), SEEDS):
        changes = replace(form(name), feel=feel).times(2)
        bars = by_bar(changes, [note._replace(velocity=0) for note in line(changes, seed)])
        assert not any(bars[i] == bars[i + 1] for i in range(len(changes.bars) - 1))


@pytest.mark.parametrize("changes", TUNES, ids=name)
def test_no_leap_is_wider_than_an_octave(changes):
    for seed in SEEDS:
        notes = plain(line(long(changes), seed))
        assert max(abs(b.pitch - a.pitch) for a, b in pairwise(notes)) <= 12


@pytest.mark.parametrize("changes", SWING, ids=name)
def test_a_walking_bass_moves_mostly_by_step_and_third_in_quarters(changes):
    moves, quarters = [], []
    for seed in SEEDS:
        notes = line(long(changes), seed)
        heard = plain(notes)
        moves += [abs(b.pitch - a.pitch) for a, b in pairwise(heard)]
        quarters.append(np.mean([note.onset % 1 == 0 for note in heard]))
        assert len(heard) == long(changes).end
        ghosts = len(notes) - len(heard)
        assert 0.02 < ghosts / len(heard) < 0.25
    assert min(quarters) == 1
    assert np.mean([1 <= move <= 2 for move in moves]) > 0.4
    assert np.mean([move <= 5 for move in moves]) > 0.8
    assert moves.count(12) > 0 or len(changes.flat()) > len(changes.bars)  # an octave now and then, if there is time
    assert moves.count(0) < 0.02 * len(moves)


def test_skips_are_eighths_or_triplets_and_ghosted():
    found = {seed: [n for n in line(long(SWING[0]), seed) if n.velocity < 60] for seed in range(20)}
    places = [note.onset % 1 for notes in found.values() for note in notes]
    assert {*places} == {Fraction(1, 2), Fraction(1, 3), Fraction(2, 3)}
    assert places.count(Fraction(1, 2)) > places.count(Fraction(1, 3)) > 0
    fast = [n.onset % 1 for seed in range(20) for n in line(long(SWING[0]), seed, tempo=260)]
    assert {*fast} == {0, Fraction(1, 2)}  # no triplets at speed


def test_the_bass_walks_on_the_scale_between_strong_beats_and_does_not_lead_away_from_a_chord_that_stays():
    changes = parse_changes("Dm7 | % | % | % | % | % | % | %")
    steps = set()
    for seed in range(10):
        for note in line(changes, seed):
            assert note.pitch % 12 in walkable(parse_chord("Dm7"))
            if note.onset % 2 == 0:
                assert note.pitch % 12 in parse_chord("Dm7").tones
            steps.add(note.pitch % 12)
    assert steps - {2, 5, 9, 0}  # not chord tones only


def test_bars_in_two_have_a_root_a_fifth_and_at_most_one_note_more():
    changes = form("blues-f").times(2)
    for seed in range(6):
        bars = by_bar(changes, line(changes, seed, two_beat=range(12)))
        for bar in range(12):
            assert [note.onset for note in bars[bar]] in ([0, 2], [0, 2, 3])
            assert bars[bar][0].pitch % 12 == changes.bars[bar][0][1].bass
            if len(changes.bars[bar]) == 1:
                assert bars[bar][1].pitch % 12 in changes.bars[bar][0][1].tones[1:3]
        assert all(len(bars[bar]) >= 4 for bar in range(12, 24))


def test_a_ballad_is_in_two_for_its_first_chorus():
    changes = replace(form("ballad-bb"), feel="ballad").times(2)
    for seed in SEEDS:
        sizes = [len(plain(bar)) for _, bar in sorted(by_bar(changes, line(changes, seed)).items())]
        assert max(sizes[:16]) <= 3
        assert {*sizes[16:]} == {4}
    assert max(len(bar) for bar in by_bar(changes, line(changes, two_beat=range(8, 32))).values()) <= 3


@pytest.mark.parametrize("changes", [changes for changes in TUNES if changes.feel == "waltz"], ids=name)
def test_a_waltz_is_mostly_walked_in_three(changes):
    sizes = [len(plain(bar)) for seed in range(5) for bar in by_bar(changes, line(changes, seed)).values()]
    assert {*sizes} == {1, 2, 3}
    assert sizes.count(3) > 0.65 * len(sizes)


@pytest.mark.parametrize("changes", [changes for changes in CASES if changes.feel in EVEN], ids=name)
def test_an_even_feel_has_the_bass_and_the_fifth(changes):
    for seed in SEEDS:
        notes = line(changes, seed)
        for span in changes.spans():
            tones = span[2].tones
            fifth = tones[2] if len(tones) > 2 else tones[0]
            assert {note.pitch % 12 for note in under(span, notes)} <= {span[2].bass, fifth}


def test_a_bossa_has_several_rhythms_and_the_fifth_above_and_below():
    changes = long(replace(form("bossa"), feel="bossa"))
    bars = by_bar(changes, line(changes))
    rhythms = [tuple(note.onset for note in bar) for bar in bars.values()]
    assert 3 <= len({*rhythms}) <= 8
    assert max(map(rhythms.count, rhythms)) < 0.85 * len(rhythms)
    jumps = {bar[i].pitch - bar[0].pitch for bar in bars.values() for i in range(1, len(bar))}
    assert {7, -5} <= jumps


@pytest.mark.parametrize("pitch", [28, 36, 39, 50])
@pytest.mark.parametrize("pitch_class", range(12))
def test_the_nearest_pitch_of_a_class(pitch_class, pitch):
    found = nearest(pitch_class, pitch)
    inside = [p for p in BASS_RANGE if p % 12 == pitch_class]
    assert found in inside
    assert abs(found - pitch) == min(abs(p - pitch) for p in inside)


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("Dm7", {2, 5, 9, 0, 4, 7, 11}),  # D Dorian
        ("G7", {7, 11, 2, 5, 9, 0, 4}),  # G Mixolydian
        ("G7b9", {7, 11, 2, 5, 8, 0}),
        ("Bm7b5", {11, 2, 5, 9, 4}),
        ("C", {0, 4, 7, 2, 5, 9}),
    ],
)
def test_where_the_bass_may_walk(symbol, expected):
    assert walkable(parse_chord(symbol)) == expected
