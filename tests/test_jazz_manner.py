"""Turns, feels, the arc over choruses, and breath as it is heard, by the notes of the shipped model."""

from dataclasses import replace
from functools import cache
from itertools import pairwise
from statistics import mean

import numpy as np
import pytest

from jazz.changes import form, parse_changes
from jazz.manner import FEELINGS, PRIOR, Feeling, feel_lean
from jazz.phrasing import turns_of
from jazz.playing.feel import played
from jazz.soloist import LONGEST_COPY, TEMPERATURE, Soloist
from jazz.tokens import Shape
from jazz.yardstick.measures import MEASURES, measure
from jazz.yardstick.quality import solo_of_line
from numpyrnn.sampling import Sampler
from workbench.files import load_model


@cache
def soloist():
    return Soloist(load_model(None, "jazz"), Sampler(0), 1, LONGEST_COPY)


def play(changes, seed, tempo=130, **settings):
    soloist().sampler = Sampler(np.random.default_rng([seed, 0]), TEMPERATURE)
    return soloist().play(changes, tempo=tempo, **settings)


def notes_of(line):
    return [element for element in line.elements if element.pitches]


def test_turns_are_the_bars_that_are_not_silent():
    changes = form("blues-f").times(2)
    turns = turns_of(changes, [range(4, 8), range(12, 16), range(20, 24)], np.random.default_rng(0))
    assert [(turn.start, turn.stop, turn.held) for turn in turns] == [(0, 16, False), (32, 48, False), (64, 80, False)]
    assert all(turn.stop - 4 <= turn.last < turn.stop for turn in turns)
    (whole,) = turns_of(changes, [], np.random.default_rng(0))
    assert (whole.start, whole.stop, whole.held) == (0, 96, True)


@pytest.mark.parametrize("each", [1, 2, 4])
@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (7, 8), (1, 8)])
def test_each_turn_ends_before_the_drums_begin(each, meter):
    changes = parse_changes("Dm7 | G7 | Cmaj7 | A7", meter).times(4)
    for seed in range(3):
        silent = [range(bar, bar + each) for bar in range(each, 16, 2 * each)]
        line = play(changes, seed, silent=silent, held=False)
        assert sum(value.duration for value in line.values) == changes.end
        for turn in turns_of(changes, silent, np.random.default_rng(0), held=False):
            heard = [note for note in notes_of(line) if turn.start <= note.onset < turn.stop]
            assert all(note.end < turn.stop for note in heard)
        for bars in silent:
            drums = (bars.start * changes.bar, bars.stop * changes.bar)
            assert not [note for note in notes_of(line) if drums[0] <= note.onset < drums[1]]


def test_turns_of_four_bars_end_on_chord_tones():
    ends = []
    for seed in range(4):
        line = play(form("blues-f").times(2), seed, silent=[range(4, 8), range(12, 16), range(20, 24)])
        pairs = [(element, value) for element, value in zip(line.elements, line.values, strict=True) if element.pitches]
        ends += [[value.kind for note, value in pairs if note.onset < stop][-1] for stop in (16, 48, 80)]
    assert ends == ["C"] * 12


def test_a_run_has_30_notes_at_most_as_heard():
    for seed in range(6):
        changes, tempo = form(("blues-f", "rhythm-changes", "waltz")[seed % 3]).times(2), (90, 200)[seed % 2]
        notes = played(play(changes, seed, tempo).elements, changes, tempo, np.random.default_rng(seed))
        run = 1
        for note, following in pairwise(notes):
            run = 1 if following.onset - note.onset - note.duration >= 0.5 else run + 1
            assert run <= 30


def test_what_a_feel_adds_to_the_logits_of_durations():
    length = np.array([0, 1 / 3, 0.5, 1, 2, 2 / 3])  # 0: no duration
    straight, ballad = (feel_lean(FEELINGS[name], length, 0.5, 4.0) for name in ("straight", "ballad"))
    assert straight[0] == straight[2] == 0
    assert straight[1] < -1 < 0 < straight[3] == straight[4]
    assert ballad[0] == ballad[2] == 0
    assert ballad[3] == ballad[4] > 0
    assert not feel_lean(FEELINGS["swing"], length, 0.5, 4.0, [0.5, 1.0]).any()


def test_a_waltz_leans_to_ends_of_bars_to_hemiolas_and_to_the_rhythm_of_the_bars_before():
    length, waltz = np.array([0, 0.5, 1, 1.5, 2]), FEELINGS["waltz"]  # 0: no duration
    assert feel_lean(waltz, length, 2.0, 3.0).tolist() == [0, 0, waltz.bars, 0, waltz.hemiola]
    assert feel_lean(waltz, length, 0.0, 3.0).tolist() == [0, 0, 0, waltz.hemiola, waltz.hemiola]
    assert feel_lean(waltz, length, 0.5, 3.0, [0.5, 0.5]).tolist() == [0, 2 * waltz.echo, 0, 0, 0]


@pytest.mark.slow
def test_solos_over_a_waltz_repeat_rhythms_of_bars_and_cut_bars_in_two_more_often_than_without_a_feel(monkeypatch):
    def figures():
        same, halves = [], []
        for seed in range(12):
            notes = notes_of(play(form(("waltz", "waltz-am")[seed % 2]).times(2), seed))
            end = int(max(note.onset for note in notes) // 3) + 1
            bars = [tuple(note.onset % 3 for note in notes if note.onset // 3 == bar) for bar in range(end)]
            same += [a == b for back in (1, 2) for a, b in zip(bars, bars[back:], strict=False) if a and len(b) > 1]
            halves += [1.5 in bar and not {1, 2} & {*bar} for bar in bars if bar]
        return mean(same), mean(halves)

    repeated, hemiolas = figures()
    monkeypatch.setitem(FEELINGS, "waltz", Feeling())
    assert repeated > 1.3 * figures()[0]
    assert hemiolas > 1.3 * figures()[1]


def test_leanings_compare_the_tokens_of_a_style_at_a_place_with_those_of_all_tunes():
    manners = soloist().manners
    tokens = manners.tokens
    assert manners.settings.context[0] == "position"
    positions = {token for token in tokens if token.startswith("position: ") and token.endswith(".500")}
    rows = {style: [row for row in manners.of(style) if tokens[row[0]] in positions] for style in ("", "bossa")}
    usual, own = (
        [tokens[row[-3]] for row in rows[style]].count("type A") / len(rows[style]) for style in ("", "bossa")
    )
    n = len(rows["bossa"])
    expected = np.log((own * n + PRIOR * usual) / (n + PRIOR) / usual)
    found = manners.leanings("bossa")["0.500"][tokens.index("type A")]
    assert found == pytest.approx(expected, abs=0.001)
    assert found < 0


def test_a_style_without_a_training_tune_leans_nowhere():
    shape, longer, leanings = soloist().manners.told("baroque", False)
    assert (shape, longer, leanings) == (Shape("baroque"), 1.0, {})
    assert soloist().manners.of("baroque").shape == (0, soloist().settings.step)
    assert max(abs(lean).max() for lean in soloist().manners.leanings("baroque").values()) < 1e-9


@pytest.mark.slow
def test_a_ballad_has_fewer_and_longer_notes_and_straight_eighths_fewer_triplets():
    def figures(feel, tempo):
        lines = [play(replace(form("swing-16").times(2), feel=feel), seed, tempo) for seed in range(5)]
        notes = [note for line in lines for note in notes_of(line)]
        thirds = mean((note.onset % 1).denominator == 3 for note in notes)
        return len(notes), mean(note.duration >= 1 for note in notes), thirds

    swing, ballad, straight = figures("swing", 160), figures("ballad", 66), figures("straight", 130)
    assert ballad[0] < 0.8 * swing[0]
    assert ballad[1] > 2 * swing[1]
    assert straight[2] < 0.5 * swing[2]


@pytest.mark.slow
def test_the_chorus_of_the_climax_is_denser_and_higher_than_the_first_and_the_end_is_calm():
    higher, denser, calm = [], [], []
    for seed in range(20):
        notes = notes_of(play(form("blues-f").times(3), seed))
        first, climax = ([note for note in notes if start <= note.onset < start + 48] for start in (0, 96))
        higher.append(mean(n.pitches[0] for n in climax) - mean(n.pitches[0] for n in first))
        denser.append(len(climax) / len(first))
        calm.append(sum(note.onset >= 128 for note in notes) / (len(climax) / 3))
    assert mean(higher) >= 1
    assert mean(denser) >= 1.15
    assert mean(calm) < 0.9


@pytest.mark.slow
def test_at_least_half_of_the_solos_in_a_style_are_recognised_by_those_of_other_seeds():
    styles, names = soloist().styles, ("blues-f", "swing-16", "modal", "ii-v-i")
    found = np.array(
        [
            [measures_of(form(name).times(-(-32 // len(form(name).bars))), seed, style) for style in styles]
            for seed, name in enumerate(names)
        ]
    )  # (seeds, styles, measures)
    recognised = []
    for seed in range(len(names)):
        others = np.delete(found, seed, axis=0)
        middle, spread = others.mean((0, 1)), others.std((0, 1)) + 1e-9
        means = (others.mean(0) - middle) / spread
        for i in range(len(styles)):
            away = ((means - (found[seed, i] - middle) / spread) ** 2).mean(1)
            recognised.append(int(away.argmin()) == i)
    assert mean(recognised) >= 0.5


def measures_of(changes, seed, style):
    solo = solo_of_line(play(changes, seed, style=style), style)
    found = measure(solo)
    return [*np.nan_to_num([found[name] for name in MEASURES]), mean(note.pitch for note in solo.notes)]


@pytest.mark.parametrize("name", ["blues-f", "bossa", "waltz-am"])
def test_long_notes_are_of_the_chord_or_its_scale(name):
    lines = [play(form(name).times(2), seed) for seed in range(4)]
    long = [value for line in lines for value in line.values if value.kind != "R" and value.duration >= 1]
    assert len(long) > 10
    assert {value.kind for value in long} <= {"C", "S"}
