"""Figures of a soloist: copies checked by brute force, losses checked step by step."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from jazz.changes import form, parse_changes
from jazz.cli import app
from jazz.evaluation import RUN, Copied, longest_copy, measure, share_copied
from jazz.model import RECIPES, EncodedTune, Settings, training_values, tunes_of, values_of
from jazz.reading.corpus import read_tunes
from jazz.soloist import Soloist
from jazz.tokens import is_of_value
from jazz.training import JazzTraining, ngram_on_values
from jazz.yardstick.bands import bands_for, distance
from jazz.yardstick.measures import measure as measure_solo
from jazz.yardstick.quality import played
from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import save
from numpyrnn.sampling import Sampler
from numpyrnn.stepper import Stepper
from numpyrnn.vocab import Vocabulary
from workbench.files import data_path
from workbench.ngram import KneserNey

NAMES = ("blues-f-1", "bossa-1", "waltz-1")
CHANGES = parse_changes("Dm7 | G7 | Cmaj7 | %")
VALUES = st.lists(st.sampled_from("abc"), max_size=14)
TUNES = st.lists(VALUES, max_size=4)


@pytest.fixture(scope="module", params=["parts", "course"])
def checkpoint(request):
    tunes = read_tunes([data_path(f"choruses/{name}.txt") for name in NAMES])
    training = JazzTraining.of_tunes(tunes, replace(RECIPES[request.param], hidden=8, batch_size=4))
    training.run(3)
    return training.checkpoint(resumable=False)


@pytest.fixture(scope="module")
def figures(checkpoint):
    return measure(checkpoint, CHANGES, 3, seed=1)


def with_values(values, bar=3):
    """Tunes with these values, so many a bar."""
    sizes = [[min(bar, len(tune) - i) for i in range(0, len(tune), bar)] for tune in values]
    return [(EncodedTune(f"tune {n}", "", [], sizes[n]), tune) for n, tune in enumerate(values)]


def occurs(run, tune):
    return any(tune[i : i + len(run)] == run for i in range(len(tune) - len(run) + 1))


# copies


@given(VALUES, TUNES)
def test_the_longest_copy_by_brute_force(values, tunes):
    runs = [values[i:j] for i in range(len(values)) for j in range(i + 1, len(values) + 1)]
    longest = max((len(run) for run in runs if any(occurs(run, tune) for tune in tunes)), default=0)
    places = [
        (number, start)
        for number, tune in enumerate(tunes)
        for start in range(len(tune) - longest + 1)
        if tune[start : start + longest] in runs
    ]
    number, start = min(places, default=(0, 0))  # of equally long runs, the first in the tunes
    expected = Copied(longest, f"tune {number}", start // 3 + 1) if longest else Copied(0)
    assert longest_copy(values, with_values(tunes)) == expected


@given(VALUES, TUNES, st.integers(1, 5))
def test_the_share_copied_by_brute_force(values, tunes, length):
    inside = [
        any(
            start <= i < start + length and occurs(values[start : start + length], tune)
            for start in range(len(values) - length + 1)
            for tune in tunes
        )
        for i in range(len(values))
    ]
    assert_allclose(share_copied(values, with_values(tunes), length), np.mean(inside) if inside else 0)


def test_the_bar_of_a_copy_is_where_it_begins_also_after_bars_in_which_nothing_does():
    tune = EncodedTune("a ballad", "", [], [2, 0, 0, 3, 1])
    found = [longest_copy([value], [(tune, list("abcdef"))]) for value in "abcdef"]
    assert [copied.bar for copied in found] == [1, 1, 4, 4, 4, 5]
    assert str(longest_copy(list("xdefx"), [(tune, list("abcdef"))])) == "3 values, from bar 4 of a ballad"
    assert str(Copied(0)) == "none"


def test_a_run_of_six_counts_as_copied_and_one_of_five_does_not():
    tunes = with_values([list("abcdefgh")])
    assert RUN == 6
    assert share_copied(list("xxabcdefxx"), tunes) == 0.6
    assert share_copied(list("xxabcdexxx"), tunes) == 0


# n-grams


def test_the_best_n_gram_is_the_best_of_all_orders_on_values(checkpoint):
    training, _, held_out = ([values_of(checkpoint, tune) for tune in part] for part in tunes_of(checkpoint))
    everything = Vocabulary(value for tune in (*training, *held_out) for value in tune)
    losses = {}
    for order in range(1, 8):
        model = KneserNey([everything.encode(tune).tolist() for tune in training], len(everything), order)
        logs = [model.log_probabilities(everything.encode(tune).tolist()).sum() for tune in held_out]
        losses[order] = -sum(logs) / sum(map(len, held_out))
    _, ngram, loss = ngram_on_values(checkpoint)
    order = ngram.order
    assert order == min(losses, key=losses.get)
    assert_allclose(loss, losses[order], rtol=1e-12)


# all together


def test_the_figures_of_an_evaluation_by_independent_computation(checkpoint, figures):
    training, _, held_out = tunes_of(checkpoint)
    assert figures["training"] == (2, sum(sum(tune.bars) for tune in training))
    assert figures["held_out"] == (1, sum(sum(tune.bars) for tune in held_out))
    network, on_values, on_tokens, guess = figures["losses"].items()
    logarithms = []
    for tune in held_out:
        step = Stepper(checkpoint.model)
        for token, wanted in pairwise(tune.ids):
            logits = step(token).astype(np.float64)
            if is_of_value(checkpoint.vocabulary.tokens[wanted]):
                logarithms.append(logits[wanted] - np.logaddexp.reduce(logits))
    places = 3 if Settings.of(checkpoint).form == "parts" else 1
    assert network[0] == "network"
    assert_allclose(network[1], -np.mean(logarithms) * places, rtol=1e-5)
    _, ngram, loss = ngram_on_values(checkpoint)
    assert on_values == (f"Kneser-Ney on values, order {ngram.order}", loss)
    assert on_tokens[0].startswith("Kneser-Ney on the network's tokens, order ")
    assert 0 < on_tokens[1] < math.inf
    different = {value for tune in (*training, *held_out) for value in values_of(checkpoint, tune)}
    assert guess[0] == f"a uniform guess among {len(different)} values"
    assert_allclose(guess[1], math.log(len(different)), rtol=1e-12)


def test_the_copies_of_an_evaluation_are_those_of_its_solos(checkpoint, figures):
    known, held_out = training_values(checkpoint), tunes_of(checkpoint).held_out
    solos = [
        list(map(str, Soloist(checkpoint, Sampler(np.random.default_rng([1, i]))).play(CHANGES).values))
        for i in range(3)
    ]
    unseen = [values_of(checkpoint, tune) for tune in held_out]
    assert list(figures["copies"]) == ["network", "n-gram", "held-out tunes"]
    for name, sample in (("network", solos), ("held-out tunes", unseen)):
        runs, share = figures["copies"][name]
        assert runs == [longest_copy(values, known) for values in sample]
        assert_allclose(share, np.mean([share_copied(values, known) for values in sample]))
    assert len(figures["copies"]["n-gram"][0]) == 3


def test_a_tune_that_was_learned_counts_as_copied_from_beginning_to_end(checkpoint):
    config = checkpoint.config | {"held_out": checkpoint.config["training"][:1]}
    tune = config["held_out"][0]
    runs, share = measure(replace(checkpoint, config=config), CHANGES, 1)["copies"]["held-out tunes"]
    assert runs == [Copied(sum(tune["bars"]), tune["name"], 1)]
    assert share == 1


def test_an_evaluation_repeats_with_its_seed_and_heeds_the_temperature(checkpoint, figures):
    assert measure(checkpoint, CHANGES, 3, seed=1) == figures
    cold, again = (measure(checkpoint, CHANGES, 2, seed, temperature=0.0) for seed in (1, 1))
    assert cold == again
    assert cold["losses"] == figures["losses"]
    assert cold["copies"]["network"] != figures["copies"]["network"]


@pytest.mark.parametrize(("held_out", "solos"), [([], 2), (None, 0)])
def test_an_evaluation_needs_held_out_tunes_and_solos(checkpoint, held_out, solos):
    config = checkpoint.config | ({} if held_out is None else {"held_out": held_out})
    message = (
        "must hold its training and held-out tunes"
        if held_out == []
        else "n_solos must be a whole number of at least 1, got 0"
    )
    with pytest.raises(NumpyrnnError, match=message):
        measure(replace(checkpoint, config=config), CHANGES, solos)


def test_the_command_prints_the_figures(checkpoint, tmp_path):
    save(tmp_path / "model.npz", checkpoint)
    arguments = (
        f"evaluate --model {tmp_path / 'model.npz'} --samples 2 --form modal --seed 1 --temperature 0.5 --solos 2"
    )
    done = CliRunner().invoke(app, arguments.split())
    assert done.exit_code == 0, done.output
    expected = measure(checkpoint, form("modal"), 2, 1, 0.5)
    (tunes, values), (unseen, unseen_values) = expected["training"], expected["held_out"]
    learned = f"trained on {tunes} tunes, {values} values"
    assert done.stdout.startswith(f"{unseen} held-out tunes, {unseen_values} values; {learned}.\n")
    above, below = done.stdout.split("\ncopied, 2 solos of 32 bars")
    rows = {line[:52].rstrip(): line[52:].split() for line in above.splitlines()}
    for name, loss in expected["losses"].items():
        assert rows[name] == [f"{loss:.3f}"]
    rows = {line[:36].rstrip(): line[36:].split(maxsplit=2) for line in below.splitlines()}
    for name, (runs, share) in expected["copies"].items():
        assert rows[name][:2] == [f"{share:.1%}", str(max(run.length for run in runs))]
    solos = played(checkpoint, 2, 1, 0.5)
    far = f"{distance([measure_solo(solo) for solo in solos], bands_for(solos)):.2f}"
    assert f"2 solos over seven shipped forms, at least 32 bars each.\nDistance from players: {far} " in below
