"""The soloist: what its batches count, that it learns, repeats and resumes; and the one that ships."""

import math
from collections import Counter
from dataclasses import asdict, fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from jazz.model import RECIPES, EncodedTune, Parts, Settings, build, tunes_of, values_of
from jazz.reading.choruses import read_chorus, tune_of_chorus
from jazz.reading.corpus import read_tunes, shipped_choruses
from jazz.tokens import is_of_value, stream
from jazz.training import JazzTraining, masked, ngram_on_values, split_tunes, three_parts
from jazz.tunes import Tune
from numpyrnn import LSTM, Dense, Dropout, Embedding, NumpyrnnError
from numpyrnn.batches import crops, padded
from numpyrnn.checkpoint import load, save
from numpyrnn.stepper import Stepper
from numpyrnn.train import mean_loss
from numpyrnn.vocab import Vocabulary
from workbench.files import data_path

NAMES = ("blues-f-1", "bossa-1", "waltz-1")
TINY = {name: replace(recipe, hidden=6, batch_size=4) for name, recipe in RECIPES.items()}
NO_NOISE = {"dropout": 0.0, "input_dropout": 0.0, "weight_dropout": 0.0, "average": 0.0}
SEQUENCES = st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=9), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def tunes():
    return read_tunes([data_path(f"choruses/{name}.txt") for name in NAMES])


@pytest.fixture(scope="module")
def checkpoint(tunes):
    return trained(tunes, TINY["parts"], 2).checkpoint()


@pytest.fixture(scope="module")
def shipped():
    return load(data_path("models/jazz.npz"), "jazz")


def trained(tunes, settings, epochs):
    training = JazzTraining.of_tunes(tunes, settings)
    training.run(epochs)
    return training


def step_by_step(checkpoint, tunes):
    """Natural logarithms of the probabilities of all the parts of values but what a tune begins with."""
    logarithms, tokens = [], checkpoint.vocabulary.tokens
    for tune in tunes:
        step = Stepper(checkpoint.model)
        for token, wanted in pairwise(tune.ids):
            logits = step(token).astype(np.float64)
            if is_of_value(tokens[wanted]):
                logarithms.append(logits[wanted] - np.logaddexp.reduce(logits))
    return logarithms


def without_times(history):
    return [{name: record[name] for name in ("epoch", "step", "loss", "valid_loss")} for record in history]


# building


@pytest.mark.parametrize(
    ("recipe", "kinds", "sizes"),
    [
        ("parts", [Embedding, Dropout, LSTM, Dropout, Dense], [128]),
        ("atomic", [Embedding, Dropout, LSTM, Dropout, Dense], [128]),
        ("course", [LSTM, Dropout, Dense], [64]),
        ("deepjazz", [LSTM, Dropout, LSTM, Dropout, Dense], [128, 128]),
    ],
)
def test_a_recipe_has_its_layers(recipe, kinds, sizes):
    settings, vocabulary = RECIPES[recipe], Vocabulary("abcdefg")
    model = build(settings, vocabulary)
    assert [type(layer) for layer in model.layers] == kinds
    assert [layer.hidden_size for layer in model.layers if isinstance(layer, LSTM)] == sizes
    assert model.forward(np.zeros((2, 3), int))[0].shape == (2, 3, 7)
    assert model.dtype == np.float32
    assert bool(settings.context) == (recipe in ("parts", "atomic"))
    assert settings.step == len(settings.context) + (3 if recipe == "parts" else 1)
    assert (build(replace(settings, seed=1), vocabulary).params.flat != model.params.flat).any()
    assert_array_equal(build(settings, vocabulary).params.flat, model.params.flat)


# what is held out


@given(st.integers(2, 40), st.integers(0, 9), st.sampled_from([0.1, 0.2, 0.5]))
def test_whole_tunes_are_held_out_by_seed(n, seed, share):
    tunes = [Tune(str(i), ()) for i in range(n)]
    training, held_out = split_tunes(tunes, seed, share)
    assert len(held_out) == max(1, round(n * share))
    assert sorted([*training, *held_out], key=tunes.index) == tunes
    assert split_tunes(tunes, seed, share) == (training, held_out)
    assert training == sorted(training, key=tunes.index)


def test_another_seed_holds_out_other_tunes():
    tunes = [Tune(str(i), ()) for i in range(40)]
    assert len({tuple(tune.name for tune in split_tunes(tunes, seed)[1]) for seed in range(5)}) == 5


@pytest.mark.parametrize(("n", "kept"), [(2, 1), (3, 2), (12, 10), (16, 13)])
def test_of_a_single_tune_the_last_bars_are_held_out(tunes, n, kept):
    tune = replace(tunes[2], bars=tunes[2].bars[:n])
    (start,), (end,) = split_tunes([tune], 0)
    assert (*start.bars, *end.bars) == tune.bars
    assert len(start.bars) == kept
    assert (start.name, end.name) == (tune.name, f"{tune.name}, the end")


def test_a_single_bar_is_not_enough(tunes):
    with pytest.raises(NumpyrnnError, match="waltz-1 must have two bars or more to learn from, it has 1"):
        split_tunes([replace(tunes[2], bars=tunes[2].bars[:1])], 0)


@pytest.mark.parametrize(("n", "sizes"), [(2, (1, 0, 1)), (9, (7, 0, 2)), (10, (7, 1, 2)), (122, (86, 12, 24))])
def test_ten_tunes_or_more_have_a_part_for_validation(n, sizes):
    tunes = [Tune(str(i), ()) for i in range(n)]
    parts = three_parts(tunes, 3)
    assert (len(parts.training), len(parts.validation), len(parts.held_out)) == sizes
    assert sorted((tune for part in parts for tune in part), key=tunes.index) == tunes


@given(st.integers(10, 60), st.integers(2, 12), st.integers(0, 9))
def test_no_group_is_in_two_parts(n, n_groups, seed):
    tunes = [Tune(str(i), (), f"group {i % n_groups}") for i in range(n)]
    parts = [{tune.group for tune in part} for part in three_parts(tunes, seed, by_group=True)]
    assert sum(map(len, parts)) == min(n, n_groups)


def test_the_tunes_for_validation_decide_and_the_held_out_ones_are_measured(tunes):
    tunes = [replace(tunes[i % 3], name=str(i)) for i in range(12)]
    training = JazzTraining.of_tunes(tunes, replace(TINY["parts"], **NO_NOISE))
    (record,) = training.run(1)
    best = training.checkpoint(resumable=False)
    assert_allclose(-np.mean(step_by_step(best, training.parts.validation)), record["valid_loss"], rtol=1e-4)
    total = -sum(step_by_step(best, training.held_out))
    assert_allclose(training.held_out_loss(), total / sum(sum(tune.bars) for tune in training.held_out), rtol=1e-4)
    assert training.held_out_loss() != 3 * record["valid_loss"]
    assert f"{training.held_out_loss():.3f} nats a value" in training.verdict({"n-gram": 9.0})


def test_a_file_without_a_part_for_validation_reads_as_before(checkpoint):
    config = {name: part for name, part in checkpoint.config.items() if name != "validation"}
    training = JazzTraining.of(replace(checkpoint, config=config))
    assert training.parts == Parts(tunes_of(checkpoint).training, [], tunes_of(checkpoint).held_out)
    pairs = zip(training.validation_batches(), training.held_out_batches(), strict=True)
    assert all(np.array_equal(a.x, b.x) for a, b in pairs)


# batches


@given(SEQUENCES, st.lists(st.booleans(), min_size=5, max_size=5))
def test_the_loss_counts_where_a_part_of_a_value_comes_next_and_nowhere_else(sequences, said):
    (batch,) = masked(padded([np.array(ids) for ids in sequences], len(sequences)), np.array(said))
    assert batch.lengths.tolist() == sorted((len(ids) - 1 for ids in sequences), reverse=True)
    for n, ids in enumerate(sorted(sequences, key=len, reverse=True)):
        length = len(ids) - 1
        assert batch.x[:length, n].tolist() == ids[:-1]
        assert batch.targets[:length, n].tolist() == ids[1:]
        assert batch.counts[:, n].tolist() == [said[i] for i in ids[1:]] + [False] * (len(batch.x) - length)


@pytest.mark.parametrize(("known", "parts"), [(0, 1), (4, 1), (4, 3), (1, 3)])
@pytest.mark.parametrize("width", [10, 32])
def test_every_value_is_counted_at_most_once_an_epoch_and_mostly_once(known, parts, width):
    # Every token is another id, so that it is known where a piece was cut.
    step, lengths, epochs = known + parts, (90, 33, 12, 5), 200
    ends = np.cumsum([n * step for n in lengths])
    sequences = [np.arange(end - n * step, end) for n, end in zip(lengths, ends, strict=True)]
    said = np.arange(ends[-1]) % step >= known
    rng, counted, cuts = np.random.default_rng(0), Counter(), set()
    for _ in range(epochs):
        epoch = []
        for batch in masked(padded(crops(sequences, width, rng, step), 3, rng), said):
            assert batch.x.shape[1] <= 3
            assert len(batch.x) <= width * step
            for n, length in enumerate(batch.lengths):
                assert_array_equal(np.diff(batch.x[:length, n]), 1)
                assert batch.x[0, n] % step == 0
            assert_array_equal(batch.targets[batch.counts], batch.x[batch.counts] + 1)
            epoch += batch.targets[batch.counts].tolist()
            cuts |= set(batch.x[0].tolist())
        assert len(epoch) == len(set(epoch))
        counted.update(epoch)
    beginnings = set() if known else {int(ids[0]) for ids in sequences}  # nothing comes before these
    assert set(counted) == set(np.flatnonzero(said).tolist()) - beginnings
    inner = [counted[i] for i in sequences[0][8 * step : -8 * step].tolist() if said[i]]
    assert set(inner) == {epochs}
    assert len(cuts) > width


def test_a_tune_too_short_for_a_piece_is_learned_whole():
    ids = np.arange(3 * 5)
    cut = [crop for seed in range(50) for crop in crops([ids], 32, np.random.default_rng(seed), 5)]
    lengths = [batch.lengths.tolist() for batch in padded(cut, 1)]
    assert lengths
    assert all(length == [14] for length in lengths)


# training


@pytest.mark.parametrize("recipe", ["parts", "atomic", "course"])
def test_a_tiny_tune_can_be_learned_by_heart(tunes, recipe):
    settings = replace(RECIPES[recipe], **NO_NOISE, hidden=32, learning_rate=0.02, decay=0.0, patience=200)
    tokens = stream(replace(tunes[0], bars=tunes[0].bars[:3]), settings.context, settings.form)
    vocabulary = Vocabulary(token for value in tokens for token in value)
    ids = vocabulary.encode(token for value in tokens for token in value).tolist()
    tune = EncodedTune("tiny", "", ids, [len(tokens)])
    training = JazzTraining(Parts([tune], [], [tune]), settings, vocabulary)
    history = training.run(120)
    assert min(record["valid_loss"] for record in history) < 0.02
    right = [math.exp(logarithm) for logarithm in step_by_step(training.checkpoint(), [tune])]
    assert min(right) > 0.8
    assert len(right) == (3 if recipe == "parts" else 1) * len(tokens) - (recipe == "course")


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_untrained_model_guesses_and_an_epoch_makes_it_better(tunes, recipe):
    training = JazzTraining.of_tunes(tunes, replace(RECIPES[recipe], hidden=16, batch_size=2))
    guess = math.log(len(training.vocabulary))
    assert_allclose(mean_loss(training.model, training.held_out_batches()), guess, rtol=0.1)
    (record,) = training.run(1)
    assert record["valid_loss"] < guess


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_resumed_training_equals_one_without_a_break(tunes, tmp_path, recipe):
    whole, half = trained(tunes, TINY[recipe], 4), trained(tunes, TINY[recipe], 2)
    save(tmp_path / "half.npz", half.checkpoint())
    resumed = JazzTraining.resume(load(tmp_path / "half.npz", "jazz"))
    assert resumed.trainer.epoch == 2
    resumed.run(4)
    assert_array_equal(resumed.model.params.flat, whole.model.params.flat)
    assert_array_equal(resumed.trainer.state()["weights"], whole.trainer.state()["weights"])
    assert without_times(resumed.trainer.history) == without_times(whole.trainer.history)


def test_training_repeats_with_its_seed(tunes):
    one, again, other = (trained(tunes, replace(TINY["parts"], seed=seed), 2) for seed in (1, 1, 2))
    assert_array_equal(one.model.params.flat, again.model.params.flat)
    assert without_times(one.trainer.history) == without_times(again.trainer.history)
    assert without_times(one.trainer.history) != without_times(other.trainer.history)


def test_a_finished_model_cannot_be_resumed(tunes):
    with pytest.raises(NumpyrnnError, match="state of its training to be resumed; a shipped or --slim one does not"):
        JazzTraining.resume(trained(tunes, TINY["parts"], 1).checkpoint(resumable=False))


# model files


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_model_file_gives_back_settings_tunes_and_values(tunes, tmp_path, recipe):
    training = JazzTraining.of_tunes(tunes, TINY[recipe])
    save(tmp_path / "a.npz", training.checkpoint(resumable=False))
    checkpoint = load(tmp_path / "a.npz", "jazz")
    assert Settings.of(checkpoint) == TINY[recipe]
    assert {field.name for field in fields(Settings)} == set(checkpoint.config["settings"])
    assert checkpoint.vocabulary == training.vocabulary
    assert tunes_of(checkpoint) == training.parts
    parts = three_parts(tunes, TINY[recipe].seed)
    for found, expected in zip(tunes_of(checkpoint), parts, strict=True):
        assert [(tune.name, tune.group) for tune in found] == [(tune.name, tune.group) for tune in expected]
        for tune, source in zip(found, expected, strict=True):
            assert tune.bars == [len(values) for values in source.values()]
            assert values_of(checkpoint, tune) == [str(value) for values in source.values() for value in values]


def test_a_checkpoint_holds_the_weights_with_the_best_held_out_loss_so_far(tunes):
    training, found = JazzTraining.of_tunes(tunes, replace(TINY["parts"], **NO_NOISE, learning_rate=0.5)), []
    history = training.run(10, on_epoch=lambda record: found.append(training.checkpoint(resumable=False)))
    losses = [record["valid_loss"] for record in history]
    assert losses != sorted(losses, reverse=True)  # at so high a rate it is not always the last that is the best
    best = [-np.mean(step_by_step(checkpoint, training.held_out)) for checkpoint in found]
    assert_allclose(best, np.minimum.accumulate(losses), rtol=1e-4)


def damaged(checkpoint, **parts):
    return replace(checkpoint, config=checkpoint.config | parts)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (None, "the model must hold its settings, it does not"),
        ([1], "the model must hold its settings, it does not"),
        (asdict(Settings()) | {"form": "whole"}, "form must be one of parts, atomic, got 'whole'"),
        (asdict(Settings()) | {"optimiser": "sgd"}, "optimiser must be one of adam, rmsprop, got 'sgd'"),
        (asdict(Settings()) | {"width": 0}, "width must be a whole number of at least 1, got 0"),
        (asdict(Settings()) | {"width": 3, "swing": 1}, "unexpected keyword argument 'swing'"),
        (asdict(Settings()) | {"context": None}, "the model must hold its settings"),
        (asdict(Settings()) | {"context": ["mood"]}, "context must be one of position, .*, got 'mood'\\)"),
    ],
)
def test_damaged_settings_are_one_error(checkpoint, settings, message):
    with pytest.raises(NumpyrnnError, match=message):
        Settings.of(damaged(checkpoint, settings=settings))


@pytest.mark.parametrize(
    "found",
    [None, 3, "abc", {"a": 1}, [{"name": "a"}], [{"name": "a", "group": "", "ids": [10**6], "bars": [1]}]],
    ids=str,
)
@pytest.mark.parametrize("part", Parts._fields)
def test_damaged_tunes_are_one_error(checkpoint, part, found):
    with pytest.raises(NumpyrnnError, match="the model must hold its training and held-out tunes, it does not"):
        tunes_of(damaged(checkpoint, **{part: found}))


def test_a_tune_with_a_part_too_many_or_parts_in_no_order_is_one_error(checkpoint):
    tune, *others = tunes_of(checkpoint).training
    for damage in ({"ids": tune.ids[1:]}, {"bars": tune.bars[1:]}):
        broken = damaged(checkpoint, training=[asdict(replace(tune, **damage)), *map(asdict, others)])
        with pytest.raises(NumpyrnnError, match=f"'{tune.name}' has .* tokens for .* values of {TINY['parts'].step}"):
            tunes_of(broken)
    with pytest.raises(NumpyrnnError, match="a value must have three parts or be one symbol"):
        values_of(checkpoint, replace(tune, ids=tune.ids[::-1]))


# the soloist that ships


def test_the_shipped_soloist_held_out_whole_choruses_that_it_has_not_seen(shipped):
    choruses = {path.stem: tune_of_chorus(read_chorus(path)) for path in shipped_choruses()}
    training, validation, held_out = tunes_of(shipped)
    seen = [values_of(shipped, tune) for tune in (*training, *validation)]
    assert (len(training), len(validation), len(held_out)) == (86, 12, 24)
    assert {tune.name for part in tunes_of(shipped) for tune in part} == {*choruses}
    for tune in held_out:
        values = values_of(shipped, tune)
        assert values == [str(value) for bar in choruses[tune.name].values() for value in bar]
        assert tune.bars == [len(bar.melody) for bar in choruses[tune.name].bars]
        assert values not in seen


def test_the_shipped_soloist_predicts_unseen_choruses_better_than_any_n_gram(shipped):
    training = JazzTraining.of(shipped)
    held_out = training.held_out
    logarithms = step_by_step(shipped, held_out)
    a_value = -sum(logarithms) / sum(sum(tune.bars) for tune in held_out)
    assert_allclose(3 * mean_loss(shipped.model, training.held_out_batches()), a_value, 1e-4)
    assert a_value < ngram_on_values(shipped)[2]
