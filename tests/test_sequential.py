"""Models of all kinds of layers: their tables, twins and files, padding through pooling, and that they learn."""

import copy
import doctest
import json
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import numpyrnn.sequential
from numpyrnn import (
    GRU,
    LSTM,
    CausalConv1D,
    Dense,
    Dropout,
    Embedding,
    GatedBlock,
    GatedStack,
    GlobalMaxPool1D,
    LastStep,
    MaxPool1D,
    NumpyrnnError,
    ReLU,
    Sequential,
    gradcheck,
)
from numpyrnn.batches import Batch, windows
from numpyrnn.checkpoint import Checkpoint, load, save
from numpyrnn.layer import LAYERS, Layer, is_ours, leaves
from numpyrnn.losses import softmax_cross_entropy
from numpyrnn.optim import SGD, Adam
from numpyrnn.parameters import Parameters
from numpyrnn.sequential import from_config
from numpyrnn.train import Trainer, mean_loss
from numpyrnn.vocab import Vocabulary

V, H = 5, 4
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def error(*parts):
    """Expects a NumpyrnnError whose message has these parts, in this order."""
    return pytest.raises(NumpyrnnError, match=".*".join(re.escape(part) for part in parts))


def all_kinds(dtype=np.float64):
    """A model with a stack inside it and a model inside it."""
    rng = np.random.default_rng(7)  # not the seed with which `load` makes a model before it sets the parameters
    return Sequential(
        Embedding(V, H, dtype, rng),
        CausalConv1D(H, 3, 2, 3, dtype, rng),
        GatedStack(3, 2, 2, (1, 2), dtype, rng),
        ReLU(dtype),
        GatedBlock(2, 1, 2, 1, dtype, rng),
        MaxPool1D(2, dtype),
        Sequential(LSTM(3, H, dtype, rng, hard_sigmoid=True), Dropout(0.5, dtype=dtype)),
        LastStep(dtype),
        GlobalMaxPool1D(dtype),
        Dense(H, V, dtype, rng),
    )


def stacked(dtype=np.float64):
    stack = GatedStack(H, 3, 2, (1, 2), dtype, 1)
    return Sequential(Embedding(V, H, dtype, 0), stack, LastStep(dtype), Dense(3, V, dtype, 2))


def sonnets():
    lower = LSTM(38, 128, hard_sigmoid=True), Dropout(0.2), LSTM(128, 128, hard_sigmoid=True), Dropout(0.2)
    return Sequential(*lower, LastStep(), Dense(128, 38))


def simple_wavenet():
    layers = [Embedding(55, 100)]
    for below, above, dilation in ((100, 64, 1), (64, 128, 2), (128, 256, 4)):
        layers += [CausalConv1D(below, above, 3, dilation), ReLU(), Dropout(0.2), MaxPool1D(2)]
    return Sequential(*layers, GlobalMaxPool1D(), Dense(256, 256), ReLU(), Dense(256, 55))


# Tables


def rows(model, steps=None):
    """The lines of the summary as (layer, output, parameters)."""
    header, *lines = model.summary(steps).split("\n")
    assert header.split() == ["layer", "output", "parameters"]
    assert len({len(line) for line in (header, *lines)}) == 1
    return [tuple(re.split(r"  +", line)) for line in lines]


def outputs(table):
    return [row[1] for row in table]


def test_the_courses_models_have_as_many_parameters_as_the_course_says(plain):
    table = rows(sonnets())
    assert outputs(table[:-1]) == [*["(T, N, 128)"] * 4, "(1, N, 128)", "(1, N, 38)"]
    assert [row[2] for row in table[:-1]] == ["85,504", "0", "131,584", "0", "0", "4,902"]
    assert table[0][0] == "LSTM(input_size=38, hidden_size=128, hard_sigmoid=True)"
    assert table[-1] == ("all", "221,990")
    assert rows(Sequential(LSTM(90, 64), Dense(64, 90)))[-1] == ("all", "45,530")


def test_the_simple_wavenet_has_its_parameters_and_says_one_thing_of_each_sequence():
    model = simple_wavenet()
    table = rows(model)
    assert table[-1] == ("all", "227,955")
    assert outputs(table[:-1:4]) == ["(T, N, 100)", "(T/2, N, 64)", "(T/4, N, 128)", "(T/8, N, 256)", "(1, N, 55)"]
    lengths = [int(re.match(r"\((\d+), N, ", output)[1]) for output in outputs(rows(model, 30)[:-1])]
    assert lengths == [30, 30, 30, 30, 15, 15, 15, 15, 7, 7, 7, 7, 3, 1, 1, 1, 1]
    y, state, _ = model.forward(np.zeros((30, 4), int), cache=False)
    assert y.shape == (1, 4, 55)
    assert [part.shape for part in leaves(state)] == [(4, 2, 100), (4, 4, 64), (4, 8, 128)]


def test_a_table_says_steps_where_they_are_given_and_t_where_not():
    model = Sequential(CausalConv1D(3, 4, 2), GatedBlock(4, 2), MaxPool1D(3), ReLU(), MaxPool1D(2), Dense(6, 1))
    table = rows(model)[:-1]
    assert outputs(table) == ["(T, N, 4)", "(T, N, 6)", "(T/3, N, 6)", "(T/3, N, 6)", "(T/6, N, 6)", "(T/6, N, 1)"]
    assert [row[2] for row in table] == ["28", "102", "0", "0", "0", "7"]
    table = rows(model, 7)[:-1]
    assert outputs(table) == ["(7, N, 4)", "(7, N, 6)", "(2, N, 6)", "(2, N, 6)", "(1, N, 6)", "(1, N, 1)"]
    with error("steps must be a whole number of at least 1"):
        model.summary(0)
    with error("steps must be larger: MaxPool1D(size=2) leaves none of 5"):
        model.summary(5)


@pytest.mark.parametrize("sizes", [(100,), (3, 3, 3, 3), (1500,)], ids=str)
def test_a_table_names_large_groups_rightly(sizes):
    model = Sequential(Dense(2, 3), *[MaxPool1D(size) for size in sizes])
    assert rows(model)[-2][1] == f"(T/{np.prod(sizes)}, N, 3)"


def test_a_table_can_begin_with_a_model_that_begins_with_an_embedding():
    assert rows(Sequential(Sequential(Embedding(3, 4)), Dense(4, 3)))[0][1:] == ("(T, N, 4)", "12")


def test_the_docstrings_examples_are_true():
    names = vars(numpyrnn) | vars(numpyrnn.sequential) | {"np": np}
    assert doctest.testmod(numpyrnn.sequential, globs=names) == (0, 3)  # failed, tried


# Twins, files, buffers


def assert_views(model):
    """All parameters, down to those of a stack's blocks, lie in the model's one buffer, each in a place of its own."""
    places = np.arange(model.params.flat.size)
    before, found = model.params.flat.copy(), []
    model.params.flat[...] = places

    def visit(layer):
        assert np.shares_memory(layer.params.flat, model.params.flat) or not layer.params
        for one in getattr(layer, "layers", []):
            visit(one)
        if not hasattr(layer, "layers"):
            found.extend(number for array in layer.params.values() for number in array.ravel().tolist())

    visit(model)
    model.params.flat[...] = before
    assert found == places.tolist()


@dtypes
@pytest.mark.parametrize("duplicate", [lambda model: model.copy(), copy.deepcopy], ids=["copy", "deepcopy"])
def test_copies_are_equal_and_on_their_own(duplicate, dtype):
    model = all_kinds(dtype)
    before = model.params.flat.copy()
    twin = duplicate(model)
    assert repr(twin) == repr(model)
    assert twin.config() == model.config()
    assert_array_equal(twin.params.flat, before)
    for one in (model, twin):
        assert one.dtype == dtype
        assert_views(one)
    twin.params.flat[...] = 0
    assert_array_equal(model.params.flat, before)


@dtypes
def test_a_config_survives_json_and_makes_every_kind_again(dtype):
    model = all_kinds(dtype)
    config = json.loads(json.dumps(model.config()))
    again = from_config(config, dtype, rng=5)
    assert repr(again) == repr(model)
    assert again.config() == model.config()
    assert again.params.shapes == model.params.shapes
    assert_array_equal(again.params.flat, from_config(config, dtype, rng=5).params.flat)
    assert_views(again)
    kinds = {type(layer).__name__ for layer in (*model.layers, *model.layers[6].layers)}
    ours = {name for name, kind in LAYERS.items() if is_ours(kind)}
    assert kinds | {"RNN", "GRU", "Sequential"} >= ours


def test_a_config_is_not_the_layers_own_list():
    layer = GatedStack(2, 3, 2, (1, 2))
    layer.config()["dilations"].append(9)
    assert layer.config()["dilations"] == [1, 2]


@pytest.mark.parametrize(
    "config",
    [
        {"layer": "GatedStack", "input_size": 2, "skip_size": 3, "kernel_size": 2, "dilations": "12"},
        {"layer": "GatedStack", "input_size": 2, "skip_size": 3, "kernel_size": 2, "dilations": [1, 0]},
        {"layer": "CausalConv1D", "input_size": 2, "output_size": 3},
        {"layer": "ReLU", "size": 2},
    ],
    ids=str,
)
def test_a_config_of_no_layer_is_an_error(config):
    with error("got"):
        from_config(config)


@dtypes
def test_a_file_gives_the_model_back(dtype, tmp_path):
    model, ids = all_kinds(dtype), np.random.default_rng(1).integers(0, V, (9, 3))
    save(tmp_path / "model.npz", Checkpoint("test", model, Vocabulary("abcde")))
    again = load(tmp_path / "model.npz").model
    assert repr(again) == repr(model)
    assert again.dtype == dtype
    assert_array_equal(again.params.flat, model.params.flat)
    assert_array_equal(again.forward(ids)[0], model.forward(ids)[0])
    assert_views(again)


@pytest.mark.parametrize("make", [all_kinds, lambda: Sequential(stacked())], ids=["all kinds", "model in model"])
def test_moved_parameters_stay_views_down_to_the_blocks(make):
    model = make()
    before, old = model.params.flat.copy(), model.params.flat
    params = Parameters(model.params.shapes, model.dtype)
    model.move(params)
    assert model.params is params
    assert_array_equal(params.flat, before)
    assert_views(model)
    old[...] = np.nan
    assert np.isfinite(model.forward(np.zeros((9, 1), int))[0]).all()


def test_a_models_and_its_stacks_gradients_have_the_names_of_their_parameters():
    model, ids = all_kinds(), np.random.default_rng(1).integers(0, V, (9, 3))
    assert "2.1.Wo" in model.params
    assert_array_equal(model.params["2.1.Wo"], model.layers[2].layers[1].params["Wo"])
    errors = gradcheck.check_layer(model, ids, [9, 4, 0])
    states = {f"state {i}" for i in range(6)}  # a convolution, two blocks of a stack, a block, h and c
    assert {one.what for one in errors} == set(model.params) | states
    assert not [one for one in errors if not one.ok]


# What fits on what


@pytest.mark.parametrize(
    ("below", "above", "given"),
    [
        (GatedBlock(3, 2), Dense(3, 1), 5),
        (GatedStack(3, 2), Dense(5, 1), 2),
        (CausalConv1D(3, 4, 2), GatedStack(3, 2), 4),
    ],
    ids=repr,
)
def test_layers_must_fit_also_past_those_without_sizes(below, above, given):
    with error(f"{above!r} must take what {below!r} gives: {given} features"):
        Sequential(below, ReLU(), MaxPool1D(2), above)


def test_a_model_without_sizes_fits_anywhere():
    model = Sequential(Dense(3, 4, np.float64), Sequential(ReLU(np.float64), MaxPool1D(2, np.float64)))
    assert model.forward(np.ones((4, 1, 3)))[0].shape == (2, 1, 4)


def test_a_model_checks_the_states_of_its_stacks():
    model = stacked()
    ids = np.zeros((4, 2), int)
    _, state, cache = model.forward(ids)
    with error("state must be a tuple of 2 (one entry per layer), got"):
        model.forward(ids, (None, state[1][:1], None, None))
    with error("state of GatedBlock(", "must have shape (2, 2, 4), got (2, 1, 4)"):
        model.forward(ids, (None, (state[1][0], state[1][0]), None, None))
    with error("dy must have shape (1, 2, 5), got (4, 2, 5)"):
        model.backward(np.zeros((4, 2, V)), cache)


# Padding


def pooled(dtype=np.float64):
    lower = CausalConv1D(3, H, 2, 1, dtype, 0), MaxPool1D(2, dtype), CausalConv1D(H, H, 2, 2, dtype, 1)
    return [*lower, ReLU(dtype), GlobalMaxPool1D(dtype), Dense(H, 2, dtype, 2)]


def recurrent():
    return GRU(3, H, np.float64, 0), LastStep(np.float64), Dense(H, 2, np.float64, 1)


PADDED = {
    "pooling": lambda: Sequential(pooled()),
    "pooling in a model of its own": lambda: Sequential(Sequential(pooled()[:2]), *pooled()[2:]),
    "last step": lambda: Sequential(recurrent()),
    "last step in a model of its own": lambda: Sequential(Sequential(recurrent()[:2]), recurrent()[2]),
}


@pytest.mark.parametrize("make", PADDED.values(), ids=PADDED)
def test_padded_sequences_through_pooling_are_each_alone(make):
    model, lengths, rng = make(), np.array([3, 9, 2, 8, 6]), np.random.default_rng(0)
    model.params.flat[...] += rng.normal(0, 0.3, model.params.flat.shape)
    x = rng.standard_normal((9, 5, 3))
    y, end, cache = model.forward(x, lengths=lengths)
    dy = rng.standard_normal(y.shape)
    dx, _, grads = model.backward(dy, cache)
    total = np.zeros_like(grads.flat)
    for n, length in enumerate(lengths):
        alone, own_end, cache = model.forward(x[:length, [n]])
        dx_alone, _, grads_alone = model.backward(dy[:, [n]], cache)
        total += grads_alone.flat
        assert_allclose(y[:, [n]], alone, rtol=1e-12)
        assert_allclose(dx[:length, [n]], dx_alone, rtol=1e-12, atol=1e-15)
        assert not dx[length:, n].any()
        for part, own in zip(leaves(end), leaves(own_end), strict=True):
            assert_allclose(part[[n]], own, rtol=1e-12)
    assert_allclose(grads.flat, total, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("make", PADDED.values(), ids=PADDED)
def test_a_sequence_without_a_step_gives_zeros_and_takes_no_gradient(make):
    model, x = make(), np.random.default_rng(0).standard_normal((8, 2, 3))
    y, _, cache = model.forward(x, lengths=[0, 8])
    assert y[0].any(axis=1).tolist() == [False, True]
    dx, _, _ = model.backward(np.ones_like(y), cache)
    assert dx.any(axis=(0, 2)).tolist() == [False, True]


# Learning from windows


CYCLE = np.tile(np.arange(8), 12)


def recurrent_ending():
    return Sequential(LSTM(8, 12, hard_sigmoid=True, rng=0), LastStep(), Dense(12, 8, rng=1))


def stacked_ending():
    stack = GatedStack(6, 12, 2, (1, 2), rng=1)
    return Sequential(Embedding(8, 6, rng=0), stack, LastStep(), Dense(12, 8, rng=2))


def pooled_ending():
    lower = Embedding(8, 6, rng=0), CausalConv1D(6, 16, 2, rng=1), ReLU(), MaxPool1D(2)
    return Sequential(*lower, GlobalMaxPool1D(), Dense(16, 8, rng=2))


endings = pytest.mark.parametrize("make", [recurrent_ending, stacked_ending, pooled_ending])


def test_windows_for_the_last_step_have_one_target_each():
    batches = list(windows(CYCLE, 4, 3, 5, last_only=True))
    pairs = [pair for b in batches for pair in zip(b.x.T.tolist(), b.targets.T.tolist(), strict=True)]
    assert pairs == [(CYCLE[i : i + 4].tolist(), [CYCLE[i + 4]]) for i in range(0, len(CYCLE) - 4, 3)]
    assert [batch.places for batch in batches] == [batch.x.shape[1] for batch in batches]


def test_places_are_the_targets_that_count():
    x, one = np.zeros((4, 3), int), np.zeros((1, 3), int)
    assert Batch(x, x).places == 12
    assert Batch(x, x, np.array([4, 0, 2])).places == 6
    assert Batch(x, one).places == 3
    assert Batch(x, one, np.array([4, 0, 2])).places == 2
    assert Batch(x, one, np.array([4, 0, 2]), np.array([[True, True, False]])).places == 2


@endings
def test_the_end_of_a_window_is_learned(make):
    model = make()
    history = Trainer(model, Adam(0.02), rng=0).run(lambda rng: windows(CYCLE, 4, 1, 16, rng, last_only=True), 30)
    assert history[0]["loss"] > 1.0  # knowing nothing costs ln 8 = 2.08
    assert history[-1]["loss"] < 0.1
    assert mean_loss(model, windows(CYCLE, 4, 1, 16, last_only=True)) < 0.1


@endings
def test_losses_are_means_over_windows_whatever_their_batches(make):
    model = make()
    each = []
    for batch in windows(CYCLE, 4, 7, 1, last_only=True):
        logits, _, _ = model.forward(batch.x)
        each.append(softmax_cross_entropy(logits, batch.targets)[0])
    assert len(each) == 14
    assert np.ptp(each) > 0.01
    uneven = list(windows(CYCLE, 4, 7, 9, last_only=True))  # of 9 and 5
    assert mean_loss(model, uneven) == pytest.approx(np.mean(each), rel=1e-5)
    [record] = Trainer(model, SGD(1e-12), rng=0).run(lambda rng: uneven, 1, lambda: uneven)
    assert record["loss"] == pytest.approx(np.mean(each), rel=1e-5)
    assert record["valid_loss"] == pytest.approx(np.mean(each), rel=1e-5)


class Spectrum(Layer, abstract=True):
    """Makes six features, of however many."""

    output_size = 6

    def __init__(self, dtype=np.float32, rng=None):
        self.params = Parameters({}, dtype)

    def run(self, x, state, padding, drawn, cache):
        return np.repeat(x.sum(-1, keepdims=True), 6, -1), None, None


def test_the_input_size_of_a_model_is_not_that_of_a_layer_behind_other_features():
    assert not hasattr(Sequential(Spectrum(), Dense(6, 27, rng=0)), "input_size")
    assert not hasattr(Sequential(Dropout(0.1), Spectrum(), Dense(6, 27, rng=0)), "input_size")
    assert Sequential(Dropout(0.1), MaxPool1D(2), Dense(6, 27, rng=0)).input_size == 6


def test_a_description_of_a_model_with_an_unknown_argument_is_refused():
    config = Sequential(Dense(3, 2, rng=0)).config()
    from_config(config)
    with pytest.raises(NumpyrnnError, match="a layer must be of a known class"):
        from_config(config | {"more": 1})
