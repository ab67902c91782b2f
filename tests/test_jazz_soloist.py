"""The soloist: whatever the model, the line keeps time, range and harmony."""

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product

import pytest

from jazz.changes import Changes, form, parse_changes
from jazz.grammar import Element, kinds, parse_value, semitones
from jazz.model import RECIPES, EncodedTune, Settings, tunes_of, values_of
from jazz.reading.choruses import read_chorus, tune_of_chorus
from jazz.reading.corpus import read_tunes
from jazz.soloist import HIGH, LOW, Soloist
from jazz.spot import NEAR, Spot
from jazz.tokens import Place
from jazz.training import JazzTraining
from jazz.tunes import Bar, chord_pitches
from numpyrnn import Dense, NumpyrnnError, Sequential
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.sampling import Sampler
from numpyrnn.vocab import Vocabulary
from workbench.files import data_path, load_model

HALF, ONE, THIRD = Fraction(1, 2), Fraction(1), Fraction(1, 3)
# Chords that no shipped chorus has, passages without one, more chords than beats, bars that end within a beat.
OTHERS = [
    parse_changes("Csus4 F#5/B | N.C. | % | A+ Ebm9/Db | E6/9 | B7alt", (3, 4)),
    parse_changes("N.C. | Dm7 G7 | Cmaj7 | % N.C. | Ao7", (5, 4)),
    parse_changes("Cm7 F7 | Bb | Am7b5 | D7b9", (7, 8)),
    parse_changes("Eb | Ab7 Db7 | Gsus2 | C13", (6, 8)),
    parse_changes("C7 D7 E7 F7 G7 A7 | B7", (4, 4)).times(3),
]
SOME = ("blues-f", "waltz", "giant-cycle", "bossa-dm", "blues-34", "rhythm-changes-ab")
CHANGES = [*map(form, SOME), *OTHERS]
HOW = list(product((0.0, 0.5, 1.0, 2.0), (None, 1, 5), (1e-6, 0.25, 0.5, 1.0, 2.0, 4.0)))  # temperature, top k, density


def trained(settings, *names, epochs=2):
    tunes = read_tunes([data_path(f"choruses/{name}.txt") for name in names])
    training = JazzTraining.of_tunes(tunes, replace(settings, hidden=12, embedding=6 * bool(settings.embedding)))
    training.run(epochs)
    return training.checkpoint()


@pytest.fixture(scope="module")
def models():
    """A model of each recipe that has hardly learned anything, so that only the rules shape its lines."""
    return {name: trained(recipe, "blues-f-1", "bossa-1", "waltz-1") for name, recipe in RECIPES.items()}


@pytest.fixture(scope="module")
def repeating(tmp_path_factory):
    """A model of two bars that come again and again, which it copies if it may."""
    bars = ["C | C5/8 E5/8 G5/4 F5/8t E5/8t D5/8t C#5/8 D5/8", "C | C5/4 D5/8 E5/8 r/8 G5/4 A5/8"] * 8
    path = tmp_path_factory.mktemp("chorus") / "two-bars.txt"
    path.write_text("\n".join(["title: Two bars", "form: two", "meter: 4/4", "tempo: 120", "feel: swing", *bars]))
    by_heart = Settings(
        context=("position",), hidden=24, embedding=12, dropout=0, input_dropout=0, weight_dropout=0, patience=60
    )
    training = JazzTraining.of_tunes([tune_of_chorus(read_chorus(path))], replace(by_heart, learning_rate=0.02))
    training.run(60)
    return training.checkpoint()


def play(checkpoint, changes, seed=0, temperature=1.0, top_k=None, **settings):
    return Soloist(checkpoint, Sampler(seed, temperature, top_k), **settings).play(changes)


@pytest.fixture(scope="module")
def lines(models):
    """Lines of all recipes over all changes, with all settings in turn."""
    cases = list(product(models, CHANGES))
    hows = [HOW[i * 7 % len(HOW)] for i in range(len(cases))]
    return [
        play(models[recipe], changes, seed, temperature, top_k, density=density)
        for seed, ((recipe, changes), (temperature, top_k, density)) in enumerate(zip(cases, hows, strict=True))
    ]


def as_text(line):
    return [str(value) for value in line.values]


def longest_run(values, tune):
    """The longest run of `values` in `tune`, place by place."""
    best, runs = 0, [0] * (len(tune) + 1)
    for value in values:
        runs = [0, *(runs[i] + 1 if value == other else 0 for i, other in enumerate(tune))]
        best = max(best, *runs)
    return best


def copied(line, checkpoint):
    return max(longest_run(as_text(line), values_of(checkpoint, tune)) for tune in tunes_of(checkpoint).training)


# what holds for every line


def test_values_tile_the_form(lines):
    for line in lines:
        now = Fraction(0)
        for value, element in zip(line.values, line.elements, strict=True):
            assert (element.onset, element.duration) == (now, value.duration)
            assert value.duration >= Fraction(1, 8)
            assert len(element.pitches) == (value.kind != "R")
            now += value.duration
        assert now == line.changes.bar * len(line.changes.bars)


def test_every_bar_adds_up(lines):
    for line in lines:
        tune, held = line.tune(), Fraction(0)  # what the last note of the bar before takes of this one
        assert [bar.length for bar in tune.bars] == [line.changes.bar] * len(line.changes.bars)
        for bar in tune.bars:
            length = held + sum(element.duration for element in bar.melody)
            held = length - bar.length
            assert held == 0 or (held > 0 and (not bar.melody or bar.melody[-1].pitches))
        assert held == 0


def test_a_line_that_is_read_again_has_its_values(lines):
    for line in lines:
        again = [value for bar in line.tune().values() for value in bar]
        assert [(v.kind, v.duration) for v in again] == [(v.kind, v.duration) for v in line.values]
        assert [v.interval is None for v in again] == [v.interval is None for v in line.values]


def test_a_note_is_as_far_from_the_one_before_as_it_may_be(lines):
    intervals = 0
    for line in lines:
        before = 71  # three fifths up the range
        for value, pitch in ((v, e.pitches[0]) for v, e in zip(line.values, line.elements, strict=True) if e.pitches):
            upper, lower = map(semitones, value.interval) if value.interval else (NEAR, -NEAR)
            assert lower <= pitch - before <= upper
            intervals += value.interval is not None
            before = pitch
    assert intervals > 500


def test_types_hold_under_the_chord_that_sounds(lines):
    for line in lines:
        known = [(onset, chord) for onset, chord in line.changes.flat() if chord.tones]
        for value, element in zip(line.values, line.elements, strict=True):
            if element.pitches:
                chord = next((c for onset, c in reversed(known) if onset <= element.onset), known[0][1])
                assert kinds(chord_pitches(chord))[element.pitches[0] % 12] == value.kind


def test_pitches_are_in_range_and_struck_twice_running_only_where_the_value_says_so(lines):
    for line in lines:
        assert all(LOW <= pitch <= HIGH for element in line.elements for pitch in element.pitches)
        for (a, _), (b, value) in pairwise(zip(line.elements, line.values, strict=True)):
            if a.pitches == b.pitches != ():
                assert sum(map(semitones, value.interval)) == 0


def test_rests_end_with_their_bar_and_are_not_two_in_it_or_two_bars_long(lines, models):
    short_bars = parse_changes("C7 | F7", (2, 4)).times(8)  # the models know rests that fill them
    for line in [*lines, play(models["parts"], short_bars, density=1e-6)]:
        bar, silence = line.changes.bar, Fraction(0)
        for element in line.elements:
            if element.pitches:
                silence = Fraction(0)
                continue
            assert silence == 0 or element.onset % bar == 0
            assert element.end <= (element.onset // bar + 1) * bar
            silence += element.duration
            assert silence < 2 * bar


def test_no_beat_mixes_triplets_and_sixteenths(lines):
    found = set()
    for line in lines:
        places = defaultdict(set)
        for element in line.elements:
            bar, within = divmod(element.onset, line.changes.bar)  # the beats of 7/8 begin with its bars
            places[bar, within // 1].add(within % 1)
        for within in places.values():
            grids = [grid for grid in (4, 3) if all((place * grid).denominator == 1 for place in within)]
            assert grids, within
            found.update(grids if len(within) > 1 else [])
    assert found == {3, 4}


# settings


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_line_repeats_with_its_seed_and_changes_with_it(models, recipe):
    changes = form("waltz")
    one, again, other = (play(models[recipe], changes, seed) for seed in (1, 1, 2))
    assert one == again
    assert as_text(one) != as_text(other)
    assert len({tuple(as_text(play(models[recipe], changes, seed))) for seed in range(5)}) == 5


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_line_does_not_hear_the_one_before(models, recipe):
    soloist = Soloist(models[recipe], Sampler(0))
    soloist.play(form("waltz"))
    soloist.sampler = Sampler(5)
    assert soloist.play(form("blues-f")) == play(models[recipe], form("blues-f"), 5)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["parts", "atomic"])
def test_density_makes_notes_more_and_the_least_density_is_the_most_silent(models, recipe):
    notes, silence = [], []
    for density in (1e-6, 0.5, 4.0):
        played = [play(models[recipe], form("waltz"), seed, density=density) for seed in range(6)]
        values = [value for line in played for value in line.values]
        notes.append(sum(value.kind != "R" for value in values))
        silence.append(sum(value.duration for value in values if value.kind == "R"))
    assert notes[0] < notes[1] < notes[2]
    assert silence[0] > 6 * 48 / 5
    assert silence[0] > max(silence[1:])


@pytest.mark.slow
@pytest.mark.parametrize(("longest", "temperature"), [(2, 1.0), (4, 0.5), (8, 0.0), (8, 1.0)])
def test_no_run_is_longer_than_may_be_copied(repeating, models, longest, temperature):
    changes = parse_changes("C").times(24)
    freely = [copied(play(repeating, changes, seed, temperature), repeating) for seed in range(6)]
    limited = [copied(play(repeating, changes, s, temperature, longest_copy=longest), repeating) for s in range(6)]
    assert max(freely) > 8
    assert max(limited) == longest  # it goes as far as it may
    for checkpoint in models.values():
        for over in (form("blues-f"), form("waltz")):
            assert copied(play(checkpoint, over, 1, temperature, longest_copy=longest), checkpoint) <= longest


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_line_begins_with_its_primer_as_far_as_it_fits(models, recipe):
    soloist = Soloist(models[recipe], Sampler(1))
    primer = [parse_value(text) for text in ("C,1.000", "C,0.500,<P4,m-2>", "C,0.500,<d1,P-5>", "R,2.000", "C,4.000")]
    assert as_text(soloist.play(parse_changes("C7 | F7"), primer))[:5] == [str(value) for value in primer]
    rough = [parse_value("R,0.500"), parse_value("C,0.333"), parse_value("C,0.500,<P8,P5>")]  # off the beat no triplet
    line = soloist.play(parse_changes("C7 | F7"), rough)
    assert as_text(line)[0] == "R,0.500"
    assert as_text(line)[1] != "C,0.333"
    assert sum(value.duration for value in line.values) == 8


def test_a_primer_changes_what_comes_after_it(models):
    primer = [parse_value("S,2.000"), parse_value("C,2.000,<P4,m-2>")]
    plain, primed = (Soloist(models["parts"], Sampler(1)).play(form("blues-f"), given) for given in ([], primer))
    assert as_text(primed)[:2] == [str(value) for value in primer]
    assert as_text(plain) != as_text(primed)


@pytest.mark.parametrize("recipe", ["parts", "atomic"])
def test_an_approach_tone_resolves_at_once_and_the_last_note_is_a_chord_tone(models, recipe):
    approaches = near = 0
    for seed in range(8):
        line = play(models[recipe], form("rhythm-changes"), seed)
        for (value, element), (after, following) in pairwise(zip(line.values, line.elements, strict=True)):
            if value.kind == "A":
                approaches += 1
                near += after.kind != "R" and abs(element.pitches[0] - following.pitches[0]) <= 2
        assert line.values[-1].kind in "CR"
    assert approaches > 10
    assert near >= 0.95 * approaches  # where a small model knows no interval that small, it may leap


@pytest.mark.parametrize("name", SOME)
def test_an_ending_is_a_bar_more_held_on_a_chord_tone(models, name):
    changes = form(name).with_ending()
    line = play(models["parts"], changes, 1)
    bar = line.tune().bars[-1]
    assert len(line.tune().bars) == len(form(name).bars) + 1
    final = [element for element in bar.melody if element.pitches]
    assert len(final) <= 1
    assert all(element.end == changes.bar * len(changes.bars) for element in final)
    assert line.values[-1].kind == "C"


def test_the_other_changes_have_what_the_models_do_not_know(models):
    known = set(models["parts"].vocabulary.tokens)
    assert "chord: augmented" not in known
    assert "position: 4.000" not in known
    assert not any(token.startswith("chord: ") for token in models["course"].vocabulary.tokens)


def test_a_line_is_a_tune_over_its_changes(models):
    changes = form("waltz")
    tune = play(models["parts"], changes).tune()
    assert (tune.name, tune.group) == ("solo", "waltz")
    assert [bar.onset for bar in tune.bars] == [3 * i for i in range(16)]
    assert tune.bars[0].chords[0].pitches == chord_pitches(changes.bars[0][0][1])


# one place

C7 = Element(Fraction(0), Fraction(0), (48, 60, 64, 67, 70))


def spot(position=2, length=4, previous=60, first=False, sounding=None):
    bar, place = Bar(Fraction(0), Fraction(length), (), (C7,)), Place(Fraction(position), C7, previous)
    return Spot(place, bar, Fraction(8), sounding, first, rest=True, resolve=False)


@pytest.mark.parametrize(
    ("value", "changed", "expected"),
    [
        ("C,0.500,<P4,m-2>", {}, [60, 64]),  # 59 to 65
        ("C,0.500,<P4,m-2>", {"sounding": 60}, [64]),
        ("A,0.500,<P4,m-2>", {}, [59, 61, 63]),
        ("C,0.500", {}, []),  # only a bar's first note has no interval
        ("C,0.500", {"first": True}, [55, 58, 60, 64, 67, 70, 72]),  # 48 to 72, from 55 on
        ("C,0.500", {"first": True, "previous": None}, [60, 64, 67, 70, 72, 76, 79, 82]),  # 59 to 82
        ("C,0.500,<P4,m-2>", {"first": True}, []),
    ],
)
def test_the_pitches_that_a_value_may_stand_for(value, changed, expected):
    assert spot(**changed).pitches(parse_value(value)) == expected


@pytest.mark.parametrize(
    ("now", "duration", "kind", "fits"),
    [
        (2, THIRD, "C", True),
        (2, Fraction(1, 5), "C", False),
        (2 + THIRD, 2 * THIRD, "C", True),
        (2 + THIRD, 1 + THIRD, "C", True),
        (2 + THIRD, Fraction(5, 12), "C", False),  # from a triplet to a sixteenth
        (2 + HALF, Fraction(1, 6), "C", False),
        (2, ONE * 2, "R", True),
        (2, Fraction(9, 4), "R", False),  # a rest ends with its bar
        (2, Fraction(9, 4), "C", True),
        (7, Fraction(3, 2), "C", False),  # nothing goes beyond the end
    ],
)
def test_the_durations_that_fit(now, duration, kind, fits):
    assert spot(now, 4 if now < 4 else 8).fits(kind, duration) is fits


@pytest.mark.parametrize(
    ("position", "length", "expected"), [(2, 4, 1), (2 + THIRD, 4, 2 * THIRD), (3, Fraction(7, 2), HALF)]
)
def test_the_way_to_the_next_beat(position, length, expected):
    assert spot(position, length).to_the_beat() == expected


# errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"density": float("nan")}, "density must be above 0, got nan"),
        ({"longest_copy": 0}, "longest_copy must be a whole number of at least 1, got 0"),
        ({"longest_copy": 2.5}, "longest_copy must be a whole number of at least 1, got 2.5"),
    ],
)
def test_bad_settings_are_errors(models, settings, message):
    with pytest.raises(NumpyrnnError, match=message):
        Soloist(models["parts"], Sampler(0), **settings)


def test_a_model_that_is_no_soloist_is_an_error(models):
    model = Sequential(Dense(3, 3, rng=0))
    with pytest.raises(NumpyrnnError, match="must hold its settings"):
        Soloist(Checkpoint("dinos", model, Vocabulary("ab\n"), {}), Sampler(0))
    letters = replace(models["parts"], vocabulary=Vocabulary(map(str, range(len(models["parts"].vocabulary)))))
    with pytest.raises(NumpyrnnError, match="must know the parts of values, it does not"):
        Soloist(letters, Sampler(0))
    broken = models["parts"].config | {"training": [vars(EncodedTune("x", "", [10**6], [1]))]}
    with pytest.raises(NumpyrnnError, match="must hold its training and held-out tunes"):
        Soloist(replace(models["parts"], config=broken), Sampler(0), longest_copy=8)


def test_changes_without_a_chord_are_an_error(models):
    silent = Changes([[(Fraction(0), parse_changes("N.C. | C").bars[0][0][1])]])
    with pytest.raises(NumpyrnnError, match="changes must have a chord"):
        play(models["parts"], silent)


@pytest.mark.slow
def test_at_temperature_0_every_seed_gives_the_same_line(models):
    for checkpoint in [*models.values(), load_model(None, "jazz")]:
        for changes in (form("blues-f"), OTHERS[0]):
            lines = [play(checkpoint, changes, seed, temperature=0) for seed in range(4)]
            assert all((line.values, line.elements) == (lines[0].values, lines[0].elements) for line in lines)
    assert play(checkpoint, changes, 1).elements != play(checkpoint, changes, 2).elements


@pytest.mark.parametrize(
    ("text", "previous", "pitch"),
    [
        ("C,1.000", 60, 60),
        ("C,1.000", 62, 60),  # as near as 64
        ("C,1.000,<P8,P1>", 60, 67),  # the middle is 66
        ("C,1.000,<M7,P1>", 60, 64),  # the middle is 65.5, as near to 67
    ],
)
def test_at_temperature_0_the_pitch_is_the_most_probable_and_the_lower_of_two(models, text, previous, pitch):
    value = parse_value(text)
    place = spot(previous=previous, first=value.interval is None)
    soloists = [Soloist(models["parts"], Sampler(seed, temperature=0)) for seed in range(4)]
    assert [soloist._choose(place, value) for soloist in soloists] == [pitch] * 4
