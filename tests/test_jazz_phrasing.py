"""Phrases: a solo breathes, remembers, rises to a climax, and ends, in the manner and the range that are wanted."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from statistics import mean

import numpy as np
import pytest

from jazz.changes import form, parse_changes
from jazz.evaluation import longest_copy
from jazz.grammar import Element, kinds, parse_value
from jazz.model import RECIPES, Settings, training_values, tunes_of
from jazz.phrasing import LONGEST_RUN, PAUSE, Breath, Phrases, can_end, last_note, plan, usual_shape
from jazz.reading.corpus import read_tunes
from jazz.soloist import Soloist
from jazz.tokens import Shape
from jazz.training import JazzTraining
from jazz.tunes import chord_elements
from jazz.yardstick.melody import patterns_again
from jazz.yardstick.quality import solo_of_line
from numpyrnn import NumpyrnnError
from numpyrnn.sampling import Sampler
from workbench.files import data_path

BLUES = Shape("blues", 6.0, 70.0, 0.1, 0.1)
FILES = ("blues-f-1", "bossa-1", "waltz-1")
SYMBOLS = ("C", "Dm7", "G7", "Bb7alt", "Am7b5", "Ebmaj7", "F#dim7", "Csus4", "N.C.", "A+", "Fm6/Ab", "E7#9")
METERS = ((4, 4), (3, 4), (5, 4), (2, 4), (6, 8), (7, 8), (1, 4), (1, 8))


def trained(settings):
    """A model that has hardly learned anything, so that the rules shape its lines."""
    tunes = read_tunes([data_path(f"choruses/{name}.txt") for name in FILES])
    training = JazzTraining.of_tunes(tunes, replace(settings, hidden=12, embedding=6 * bool(settings.embedding)))
    training.run(2)
    return training.checkpoint()


@pytest.fixture(scope="module")
def models():
    """One model of each recipe, and one that was not told of styles and shapes, as older models."""
    older = Settings(context=("position", "chord", "degree", "register", "next"))
    return {name: trained(recipe) for name, recipe in (RECIPES | {"older": older}).items()}


def chart(rng):
    """Changes at random."""
    meter = METERS[rng.integers(len(METERS))]
    most = min(meter[0], 3)
    bars = [" ".join(rng.choice(SYMBOLS, rng.integers(1, most + 1))) for _ in range(rng.integers(1, 9))]
    return parse_changes(" | ".join(["C7", *bars]), meter).times(int(rng.integers(1, 6)))


def play(checkpoint, changes, seed=0, temperature=1.0, *, tempo=130, primer=(), style=None, **settings):
    return Soloist(checkpoint, Sampler(seed, temperature), **settings).play(changes, primer, tempo=tempo, style=style)


def notes_of(line):
    return [element for element in line.elements if element.pitches]


def unbroken(line):
    """The notes of the longest run without a rest of half a beat."""
    longest = run = 0
    end = None
    for note in notes_of(line):
        run = 1 if end is None or note.onset - end >= Fraction(1, 2) else run + 1
        longest, end = max(longest, run), note.end
    return longest


# breath


@pytest.mark.torture
def test_no_run_is_longer_than_a_breath(models, rounds, tell):
    longest = 0
    primer = [parse_value(text) for text in ("C,0.250", *["C,0.250,<P4,m-2>"] * 60)]
    seeds = range(rounds(30, 200))
    for seed in seeds:
        rng = np.random.default_rng(seed)
        checkpoint = models[sorted(models)[seed % len(models)]]
        temperature = (0.0, 0.3, 1.0, 1.1, 3.0)[rng.integers(5)]
        changes = chart(rng)
        changes = changes.with_ending() if rng.random() < 0.3 else changes
        given = primer[: rng.integers(40)] if rng.random() < 0.3 else ()
        limit = (None, 2, 8)[rng.integers(3)]
        tempo = int(rng.integers(20, 401))
        line = play(checkpoint, changes, seed, temperature, tempo=tempo, primer=given, longest_copy=limit)
        assert sum(value.duration for value in line.values) == changes.end
        longest = max(longest, unbroken(line))
        assert unbroken(line) <= LONGEST_RUN
        if limit:
            assert longest_copy([str(value) for value in line.values], training_values(checkpoint)).length <= limit
    words = "no copy longer than allowed, no run without a rest longer than"
    tell(f"{len(seeds):,} lines over random changes: {words} {longest} notes")


def test_a_line_that_never_wants_to_rest_still_breathes(models, monkeypatch):
    monkeypatch.setattr("jazz.phrasing.RELUCTANCE", 1e9)
    monkeypatch.setattr("jazz.phrasing.LEAST_PHRASE", 10**6)
    line = play(models["parts"], form("rhythm-changes"))
    assert 20 < unbroken(line) <= LONGEST_RUN


def test_phrases_end_on_tones_that_can_end(models):
    ends = 0
    for seed in range(8):
        line = play(models["parts"], form("blues-f").times(2), seed)
        chords = chord_elements(line.changes.flat())
        for note, following in pairwise(line.elements):
            if note.pitches and not following.pitches and following.duration >= PAUSE:
                chord = next(chord for chord in reversed(chords) if chord.onset <= note.onset)
                ends += 1
                assert can_end(note.pitches[0], chord)
    assert ends > 10


@pytest.mark.parametrize(
    ("symbol", "pitch", "expected"),
    [("C", 64, True), ("C", 62, True), ("C", 63, False), ("Cmaj7", 65, False), ("G7", 64, True), ("G7", 60, False)],
)
def test_a_phrase_ends_on_a_chord_tone_or_on_a_scale_tone_above_none(symbol, pitch, expected):
    (chord,) = chord_elements(parse_changes(symbol).flat())
    assert can_end(pitch, chord) is expected


def test_phrases_are_longer_at_speed():
    def lengths(tempo):
        return mean(Breath(tempo, np.random.default_rng(seed)).wanted for seed in range(400))

    assert lengths(60) < 0.9 * lengths(130) < 0.8 * lengths(280)


# memory


def recalled(elements, now, seed, chords="C | F7 | Dm7 G7 | C"):
    memory = Phrases(elements, chord_elements(parse_changes(chords).flat()))
    return memory.recall(Fraction(now), np.random.default_rng(seed), 55, 82)


def phrase(pitches, onset=0, step=Fraction(1, 2)):
    return [Element(onset + i * step, step, (pitch,)) for i, pitch in enumerate(pitches)]


def test_a_phrase_comes_back_transposed_with_its_intervals_and_durations():
    said = [*phrase([60, 64, 67, 64, 62, 60]), Element(Fraction(3), Fraction(1))]
    steps = set()
    for seed in range(30):
        again = recalled(said, 4, seed)
        first, count = again[0].pitches[0] - 60, len(again)
        assert 4 <= count <= 6
        assert [e.pitches[0] - first for e in again] == [60, 64, 67, 64, 62, 60][:count]
        assert [e.onset - 4 for e in again] == [e.onset for e in said[:count]]
        steps.add(first)
    assert len(steps) > 1


def test_what_comes_back_begins_a_phrase_at_most_8_bars_ago_and_can_be_displaced():
    short = [*phrase([60, 64, 67]), Element(Fraction(3, 2), Fraction(5, 2))]
    said = [*phrase([60, 64, 67, 64, 62, 60]), Element(Fraction(3), Fraction(1))]
    assert recalled(short, 4, 0) == []
    assert recalled(said, 1, 0) == []
    assert recalled(said, 33, 0) == []
    assert recalled(said, 5, 0)[0].onset == 5
    assert recalled(said, Fraction(11, 2), 0)[0].onset == Fraction(11, 2)
    thirds = [*phrase([60, 64, 67, 64, 62, 60], step=Fraction(1, 3)), Element(Fraction(2), Fraction(2))]
    assert recalled(thirds, 5, 0) != []
    assert recalled(thirds, Fraction(11, 2), 0) == []


def test_what_comes_back_stays_in_range_and_ends_on_a_tone_of_its_chord_or_scale():
    said = [*phrase([60, 64, 67, 64, 62, 60]), Element(Fraction(3), Fraction(1))]
    (chord,) = chord_elements(parse_changes("F#7").flat())
    for seed in range(20):
        memory = Phrases(said, [chord])
        again = memory.recall(Fraction(8), np.random.default_rng(seed), 58, 70)
        assert all(58 <= e.pitches[0] <= 70 for e in again)
        assert kinds(chord.pitches)[again[-1].pitches[0] % 12] in "CS"


def test_patterns_come_again_more_often_than_by_chance(models, monkeypatch):
    changes = form("blues-f").times(3)

    def again(share):
        monkeypatch.setattr("jazz.soloist.RECALL", share)
        solos = [solo_of_line(play(models["parts"], changes, seed, density=2.0), "x") for seed in range(8)]
        return mean(patterns_again(solo) for solo in solos)

    assert again(1) > again(0) + 0.02


# form


def test_a_solo_rises_to_its_climax_and_each_solo_is_another():
    shapes = [plan(form("blues-f").times(3), BLUES, 1.0, np.random.default_rng(seed)) for seed in range(200)]
    assert all(len(of_bars) == 36 and of_bars[0] == of_bars[3] and of_bars[0].style == "blues" for of_bars in shapes)
    for what in ("density", "height"):
        means = [mean(getattr(of_bars[bar], what) for of_bars in shapes) for bar in range(0, 36, 4)]
        assert means.index(max(means)) in (5, 6)
        assert min(means) in (means[0], means[-1])
    assert np.std([mean(shape.density for shape in of_bars) for of_bars in shapes]) > 1
    assert mean(shape.density for of_bars in shapes for shape in of_bars) == pytest.approx(6, rel=0.15)


def test_the_plan_of_twice_the_density_has_twice_the_notes():
    one, two = (plan(form("modal"), BLUES, density, np.random.default_rng(3)) for density in (1.0, 2.0))
    assert [b.density / a.density for a, b in zip(one, two, strict=True)] == pytest.approx([2] * 32)


def test_the_usual_shape_of_a_manner_is_the_mean_of_what_its_values_were_told():
    shape = {"style: cool": 1, "density: 4": 1, "density: 2": 1, "density: 3": 0, "height: 8": 1, "height: -": 1}
    told = (shape | {"triplets: 0": 3, "triplets: 1": 3, "type C": 2}).items()
    assert usual_shape("cool", told) == Shape("cool", 4.5, 72.0, pytest.approx(0.05), None)
    assert usual_shape("", []) == Shape()


@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (7, 8), (6, 8), (2, 4)])
@pytest.mark.parametrize("name", ["parts", "atomic", "course", "older"])
def test_the_last_note_is_a_chord_tone_on_a_strong_beat_held_to_the_end(models, name, meter):
    changes = parse_changes("C7 | F7 | Dm7b5 | Bbmaj7", meter)
    strong = {Fraction(0)} | ({Fraction(2)} if meter == (4, 4) else set())
    for seed, temperature in ((0, 0.0), (1, 1.0), (2, 1.0), (3, 2.0)):
        line = play(models[name], changes, seed, temperature)
        last = notes_of(line)[-1]
        assert last.onset - changes.end + changes.bar in strong
        assert last.end == changes.end
        assert kinds(chord_elements(changes.flat())[-1].pitches)[last.pitches[0] % 12] == "C"


def test_a_form_of_one_bar_is_played_to_its_last_beat():
    rng = np.random.default_rng(0)
    assert last_note(parse_changes("C"), rng) == 3
    assert last_note(parse_changes("C", (7, 8)), rng) == 3
    assert last_note(parse_changes("C", (1, 8)), rng) == 0
    assert last_note(parse_changes("C | F").with_ending(), rng) == 8


# style


def test_the_style_is_told_to_the_model_and_shapes_the_line(models):
    soloist = Soloist(models["parts"], Sampler(1))
    assert soloist.styles == ["blues", "bossa", "waltz"]
    told = [play(models["parts"], form("blues-f"), 1, style=style) for style in soloist.styles]
    assert len({str(line.values) for line in told}) > 1


def test_the_style_is_by_default_that_of_the_form_or_else_goes_with_meter_and_feel(models):
    soloist = Soloist(models["parts"], Sampler(1))
    group = next(tune.group for tune in tunes_of(models["parts"])[0])
    assert soloist.style_of(form(group)) in soloist.styles
    unknown = parse_changes("C | F | G7 | C")
    assert soloist.style_of(replace(unknown, feel="straight")) == "bossa"
    assert soloist.style_of(parse_changes("C | F", (3, 4))) == "waltz"
    assert soloist.style_of(unknown) in soloist.styles
    changes = form("bossa")
    other = next(style for style in soloist.styles if style != soloist.style_of(changes))
    assert play(models["parts"], changes, 2) != play(models["parts"], changes, 2, style=other)


def test_an_unknown_style_is_an_error_that_lists_the_known(models):
    with pytest.raises(NumpyrnnError, match="the style must be one of blues, bossa, waltz, got 'punk'"):
        play(models["parts"], form("blues-f"), style="punk")
    for name in ("older", "course"):
        with pytest.raises(NumpyrnnError, match="this model knows no styles, got 'bossa'"):
            play(models[name], form("blues-f"), style="bossa")
        assert Soloist(models[name], Sampler(0)).style_of(form("blues-f")) == ""


# range


@pytest.mark.torture
def test_all_notes_are_in_the_range(models, rounds, tell):
    seeds = range(rounds(12, 80))
    for seed in seeds:
        rng = np.random.default_rng(seed)
        low = int(rng.integers(0, 115))
        high = int(rng.integers(low + 12, 128))
        line = play(models[sorted(models)[seed % len(models)]], chart(rng), seed, low=low, high=high)
        assert all(low <= note.pitches[0] <= high for note in notes_of(line))
    tell(f"{len(seeds):,} lines in ranges of an octave and more: no note outside")


def test_a_low_instrument_plays_as_another_does_an_octave_down(models):
    changes = form("blues-f")
    usual, low = (play(models["parts"], changes, 3, low=55 - down, high=82 - down) for down in (0, 24))
    assert [n.pitches[0] - 24 for n in notes_of(usual)] == [n.pitches[0] for n in notes_of(low)]


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (60, 71, "the range must be at least an octave, got the pitches 60 to 71"),
        (72, 60, "the range must be at least an octave, got the pitches 72 to 60"),
        (-1, 60, "low must be a whole number of at least 0, got -1"),
        (60, 128, "high must be a whole number of at most 127, got 128"),
    ],
)
def test_a_range_that_is_too_narrow_or_no_range_is_an_error(models, low, high, message):
    with pytest.raises(NumpyrnnError, match=message):
        Soloist(models["parts"], Sampler(0), low=low, high=high)


def test_a_tempo_out_of_range_is_an_error(models):
    with pytest.raises(NumpyrnnError, match="tempo must be at least 20 and at most 400, got 500"):
        play(models["parts"], form("blues-f"), tempo=500)
