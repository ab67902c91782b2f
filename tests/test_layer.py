"""What all layers share: who may write to `y`, what a pass draws, names and descriptions; and models as lists."""

import re

import numpy as np
import pytest
from every_layer import EVERY, V, input_of, make
from numpy.testing import assert_allclose, assert_array_equal

import numpyrnn
from numpyrnn import (
    LSTM,
    RNN,
    Dense,
    Dropout,
    Embedding,
    MaxPool1D,
    NumpyrnnError,
    Sampler,
    Sequential,
    cells,
    save,
)
from numpyrnn.layer import LAYERS, Layer, is_ours, leaves
from numpyrnn.recurrent import Recurrent
from numpyrnn.sequential import UnknownLayerError, from_config

every = pytest.mark.parametrize("name", EVERY)
padded = pytest.mark.parametrize("lengths", [None, np.array([9, 4, 0, 7])], ids=["full", "padded"])


@pytest.fixture
def registry():
    """Classes that a test defines are forgotten after it."""
    before = dict(LAYERS)
    yield LAYERS
    LAYERS.clear()
    LAYERS.update(before)


def error(*parts):
    """Expects a NumpyrnnError of one line, whose message has these parts, in this order."""
    return pytest.raises(NumpyrnnError, match="^" + ".*".join(re.escape(part) for part in parts) + ".*$")


def test_every_kind_of_layer_is_among_them():
    kinds = {type(layer).__name__ for layer in map(make, EVERY)}
    assert kinds >= {name for name, kind in LAYERS.items() if is_ours(kind)}


# Who may write to y


@padded
@every
def test_y_is_read_only_with_a_cache_and_ones_own_without(back_end, name, lengths):
    layer, x = make(name), input_of(name)
    x.flags.writeable = False
    y, _, cache = layer.forward(x, lengths=lengths)
    with pytest.raises(ValueError, match="read-only"):
        y[...] = 0
    expected = y.copy()
    own, state, nothing = layer.forward(x, lengths=lengths, cache=False)
    assert nothing is None
    assert_allclose(own, expected, rtol=1e-12, atol=1e-15)
    for array in [own, *leaves(state)]:
        array[...] = 0  # it is the caller's
    assert_allclose(layer.forward(x, lengths=lengths, cache=False)[0], expected, rtol=1e-12, atol=1e-15)
    assert_array_equal(y, expected)
    layer.backward(np.ones_like(expected), cache)


@every
def test_y_without_a_cache_shares_no_memory_with_x_and_the_parameters(name):
    layer, x = make(name), input_of(name)
    y, state, _ = layer.forward(x, cache=False)
    for array in [y, *leaves(state)]:
        assert not np.shares_memory(array, x)
        assert not np.shares_memory(array, layer.params.flat)


@every
def test_a_call_is_the_evaluation_pass(back_end, name):
    layer, x, lengths = make(name), input_of(name), [9, 4, 0, 7]
    assert_allclose(layer(x), layer.forward(x)[0], rtol=1e-12, atol=1e-15)
    assert_allclose(layer(x, lengths), layer.forward(x, lengths=lengths)[0], rtol=1e-12, atol=1e-15)


# What a pass draws


DROPPING = {
    "Dropout",
    "Dropout, shared: time",
    "Dropout, shared: features",
    "weight dropout",
    "Sequential",
    "model in model",
    "model of one's own",
}


@padded
@every
def test_what_is_drawn_beforehand_is_what_a_pass_draws(back_end, name, lengths):
    layer, x = make(name), input_of(name)
    ours, its = np.random.default_rng(5), np.random.default_rng(5)
    drawn = layer.draw(ours, x.shape)
    assert (drawn is not None) == (name in DROPPING)
    y = layer.forward(x, lengths=lengths, rng=its)[0]
    assert_array_equal(layer.forward(x, lengths=lengths, rng=drawn)[0], y)
    assert_array_equal(layer.forward(x, lengths=lengths, rng=5)[0], y)
    assert ours.bit_generator.state == its.bit_generator.state
    if name in DROPPING:
        assert (y != layer.forward(x, lengths=lengths)[0]).any()


@padded
@pytest.mark.parametrize("name", sorted(DROPPING))
def test_a_shard_of_it_is_the_part_for_some_of_the_sequences(back_end, name, lengths):
    layer, x = make(name), input_of(name)
    drawn = layer.draw(np.random.default_rng(5), x.shape)
    whole = layer.forward(x, lengths=lengths, rng=drawn)[0]
    for rows in (slice(0, 1), slice(1, 4), slice(0, 4)):
        part = None if lengths is None else lengths[rows]
        y = layer.forward(x[:, rows], lengths=part, rng=drawn.shard(rows))[0]
        assert_allclose(y, whole[:, rows], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("shared", "axis"), [(None, None), ("time", 0), ("features", 2)])
def test_dropout_keeps_where_a_number_from_0_to_1_is_not_below_the_rate(shared, axis):
    x = np.ones((5, 4, 3))
    shape = tuple(1 if i == axis else size for i, size in enumerate(x.shape))
    keep = np.random.default_rng(3).random(shape, np.float32) >= 0.2
    assert_array_equal(Dropout(0.2, shared).forward(x, rng=3)[0], np.broadcast_to(np.where(keep, 1.25, 0), x.shape))


def test_weight_dropout_is_a_pass_with_some_weights_at_zero_and_the_rest_scaled_up(back_end):
    layer = RNN(3, 4, np.float64, rng=0, weight_dropout=0.5)
    keep = np.random.default_rng(3).random((4, 4), np.float32) >= 0.5
    dropped = RNN(3, 4, np.float64, rng=0)
    dropped.params["Wh"] = 2 * keep * layer.params["Wh"]
    x = np.random.default_rng(0).standard_normal((5, 2, 3))
    assert_allclose(layer.forward(x, rng=3)[0], dropped(x), rtol=1e-12)


def test_a_layer_in_a_model_draws_for_what_comes_to_it():
    """After pooling there are fewer steps, after a dense layer other features: the masks are of that size."""
    model = Sequential(Dense(3, 5, np.float64, rng=0), MaxPool1D(2), Dropout(0.5))
    x, rng = np.random.default_rng(0).standard_normal((9, 4, 3)), np.random.default_rng(7)
    keep = rng.random((4, 4, 5), np.float32) >= 0.5
    assert_allclose(model.forward(x, rng=7)[0], 2 * keep * model(x), rtol=1e-12)
    again = np.random.default_rng(7)
    model.draw(again, x.shape)
    assert again.bit_generator.state == rng.bit_generator.state


# Names and descriptions


def namesake(name, base, **attributes):
    """A user's class of this name."""
    return type(name, (base,), {"__module__": "users", **attributes})


def test_a_users_layer_with_a_name_of_ours_is_not_taken_for_ours(registry, tmp_path):
    mine = namesake("LSTM", Recurrent, cell=cells.RNN)
    assert registry["LSTM"] is LSTM
    layer = mine(3, 2, rng=0)
    with error("a layer class must have a name of its own, LSTM is also that of", "numpyrnn.recurrent.LSTM"):
        layer.config()
    with error("a layer class must have a name of its own, LSTM"):
        save(tmp_path / "model.npz", Sequential(layer))
    assert list(tmp_path.iterdir()) == []
    assert type(from_config(LSTM(3, 2).config())) is LSTM


def test_of_two_users_classes_of_one_name_only_the_later_can_be_described(registry):
    first = namesake("Mine", LSTM)
    second = namesake("Mine", LSTM)
    second.__module__ = "others"
    assert type(from_config(second(3, 2).config())) is second
    with error("a layer class must have a name of its own, Mine is also that of", "others.Mine"):
        first(3, 2).config()


def test_a_users_layer_is_described_with_its_module_and_ours_without(registry):
    mine = namesake("Mine", LSTM)
    config = mine(3, 2, weight_dropout=0.25).config()
    assert config == LSTM(3, 2, weight_dropout=0.25).config() | {"layer": "Mine", "module": "users"}
    assert from_config(config).config() == config
    assert "module" not in LSTM(3, 2).config()
    del registry["Mine"]
    with pytest.raises(UnknownLayerError, match=r"a layer of the class Mine of users: import it, then load$"):
        from_config(config)


def test_an_abstract_class_is_not_among_the_kinds(registry):
    class Unfinished(Layer, abstract=True):
        pass

    class Finished(Unfinished):
        pass

    assert "Unfinished" not in registry
    assert registry["Finished"] is Finished


@pytest.mark.parametrize("name", ["Layer", "Recurrent", "Convolution", "Plain", "OneOf", "Container", "object", "", 3])
def test_an_abstract_or_unknown_class_is_refused(name):
    config = {"layer": name, "input_size": 2, "hidden_size": 3}
    with error("a layer must be of a known class, with its sizes, got ", repr(config)):
        from_config(config)


@pytest.mark.parametrize(
    "config",
    [
        "LSTM",
        ["layer"],
        7,
        {"layer": ["LSTM"]},
        {"layer": "Sequential", "layers": "LSTM"},
        {"layer": "Sequential", "layers": [{"layer": "LSTM", "input_size": 2, "hidden_size": 3}, 7]},
        {"layer": "Sequential", "layers": {"layer": "LSTM"}},
        {"layer": "Dense", "layers": [{"layer": "ReLU"}]},
        {"layer": "ReLU", "dtype": "float64"},
        {"layer": "ReLU", "rng": 1},
    ],
    ids=str,
)
def test_a_description_of_anything_else_is_refused_in_one_line(config):
    with error("a layer must be of a known class, with its sizes, got"):
        from_config(config)


def test_a_layer_that_is_not_written_says_so_and_not_by_accident(registry):
    class Empty(Layer):
        pass

    with pytest.raises(NotImplementedError):
        Empty()
    with error("a layer must be of a known class, with its sizes, got"):
        from_config({"layer": "Empty"})


# Models as lists, and the package's names


def test_a_model_is_a_list_of_its_layers():
    layers = [Embedding(V, 3, rng=0), LSTM(3, 4, rng=1), Dense(4, V, rng=2)]
    model = Sequential(*layers)
    assert len(model) == 3
    assert model[0] is layers[0]
    assert model[-1] is layers[-1]
    assert list(model) == layers
    assert len(Sequential(Dense(2, 2))) == 1
    with pytest.raises(IndexError):
        model[3]


def test_a_model_takes_its_layers_one_by_one_or_in_a_list():
    def layers():
        return Embedding(V, 3, rng=0), Dense(3, V, rng=2)

    ids = np.arange(V)[:, None]
    one = Sequential(*layers())(ids)
    assert_array_equal(Sequential(list(layers()))(ids), one)
    assert_array_equal(Sequential(layers())(ids), one)


def test_what_a_program_needs_is_in_the_package():
    from numpyrnn import (  # noqa: F401
        SGD,
        Adam,
        Checkpoint,
        RMSprop,
        Sampler,
        Trainer,
        Vocabulary,
        generate,
        load,
        save,
    )

    assert {"SGD", "Adam", "Checkpoint", "RMSprop", "Sampler", "Trainer", "Vocabulary"} <= set(numpyrnn.__all__)
    assert {"generate", "load", "save"} <= set(numpyrnn.__all__)
    assert all(hasattr(numpyrnn, name) for name in numpyrnn.__all__)
    ours = {name for name, kind in LAYERS.items() if is_ours(kind)}
    assert ours <= set(numpyrnn.__all__)


@pytest.mark.parametrize("rng", ["x", -1, 1.5, [1, "a"]], ids=str)
def test_a_seed_that_is_none_is_refused_in_one_line(rng):
    for use in (
        lambda: LSTM(2, 3, rng=rng),
        lambda: Dense(2, 3).forward(np.zeros((1, 1, 2)), rng=rng),
        lambda: Sampler(rng),
    ):
        with pytest.raises(NumpyrnnError, match=r"^rng must be a numpy Generator"):
            use()


def test_a_layer_that_could_not_be_made_again_is_not_saved(tmp_path):
    class Bare(Dense):
        def __init__(self):
            super().__init__(2, 3)

    class Nameless(Dense):
        sizes = ("input_size", "output_size", "depth")

    for layer in (Bare(), Nameless(2, 3)):
        with pytest.raises(NumpyrnnError, match=rf"^{type(layer).__name__} must take its sizes, dtype and rng by name"):
            save(tmp_path / "model.npz", Sequential(layer))
    assert not list(tmp_path.iterdir())


def test_backward_refuses_what_is_no_cache():
    with pytest.raises(NumpyrnnError, match=r"^backward needs the cache of forward\(..., cache=True\), got int$"):
        Dense(2, 3).backward(np.zeros((1, 1, 3)), 3)


def test_ragged_input_is_named():
    with pytest.raises(NumpyrnnError, match=r"x must be an array, got list \(.*inhomogeneous"):
        RNN(2, 3)([[[1.0, 2.0]], [[1.0]]])


def test_gradients_are_not_written_into_an_array_of_another_shape():
    layer = Dense(2, 3, np.float64, rng=0)
    y, _, cache = layer.forward(np.ones((4, 1, 2)))
    grads = {"W": np.zeros((1, 2, 3)), "b": np.zeros(3)}  # NumPy would broadcast it
    with pytest.raises(NumpyrnnError, match=r"grads\['W'\] must have shape \(2, 3\), got \(1, 2, 3\)"):
        layer.backward(y, cache, grads=grads)
    assert not grads["b"].any()
