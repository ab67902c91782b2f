"""One buffer for all parameters: a layer is part of one model, and every kind of copy is whole and free."""

import copy
import multiprocessing
import pickle
import re

import joblib
import numpy as np
import pytest
from every_layer import EVERY, Noted, V, input_of, make
from numpy.testing import assert_array_equal

from numpyrnn import LSTM, Adam, Dense, Embedding, NumpyrnnError, Sequential, Trainer
from numpyrnn.batches import Batch
from numpyrnn.parameters import Parameters

every = pytest.mark.parametrize("name", EVERY)


def pickled(layer):
    return pickle.loads(pickle.dumps(layer))  # noqa: S301


COPIES = {
    "layer.copy()": lambda layer: layer.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": pickled,
    "pickle, twice": lambda layer: pickled(pickled(layer)),
}
copies = pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)


def innermost(layer):
    """The innermost layers of a layer, or the layer itself."""
    return [one for part in getattr(layer, "layers", []) for one in innermost(part)] or [layer]


def assert_one_memory(layer):
    """Assert that the innermost layers' parameters are views of the layer's buffer, without overlap."""
    before = layer.params.flat.copy()
    layer.params.flat[...] = np.arange(before.size)
    found = [array.ravel() for one in innermost(layer) for array in one.params.values()]
    assert_array_equal(np.concatenate([*found, []]), np.arange(before.size))
    for one in innermost(layer):
        one.params.flat[...] = -1
    assert (layer.params.flat == -1).all()
    layer.params.flat[...] = before


def assert_twins(layer, twin, x):
    """Assert that both have one class and equal parameters, but share no memory."""
    assert type(twin) is type(layer)
    assert repr(twin) == repr(layer)
    assert twin.config() == layer.config()
    assert twin.dtype == layer.dtype
    assert_array_equal(twin(x), layer(x))
    before = layer.params.flat.copy()
    twin.params.flat[...] = 0
    assert_array_equal(layer.params.flat, before)


# Copies


@copies
@every
def test_a_copy_is_equal_of_one_memory_and_on_its_own(name, duplicate):
    layer = make(name)
    twin = duplicate(layer)
    assert_one_memory(twin)
    assert_one_memory(layer)
    assert_twins(layer, twin, input_of(name))


@copies
def test_a_copy_keeps_attributes_of_ones_own(duplicate):
    model = make("model of one's own")
    model[-1].factor = 3.0
    twin = duplicate(model)
    assert twin.title == "mine"
    assert twin.table.tolist() == [0, 1, 2]
    assert twin.table is not model.table
    assert twin[-1].factor == 3.0
    twin.title = "other"
    assert model.title == "mine"


def cycle_batches(rng=None):
    ids = np.arange(40).reshape(10, 4) % V
    return [Batch(ids[:-1], ids[1:])] * 5


def learner(kind=Sequential, **attributes):
    lower = Embedding(V, 8, rng=0), Sequential(LSTM(8, 12, rng=1))
    return kind(*lower, Dense(12, V, rng=2), **attributes)


def train(model):
    """Train the layer, and return the losses of the first and the last epoch."""
    history = Trainer(model, Adam(0.02), rng=0).run(cycle_batches, 10)
    return history[0]["loss"], history[-1]["loss"]


def assert_trains(model):
    before, (first, last) = model[1][0].params.flat.copy(), train(model)
    assert last < 0.5 * first
    assert (model[1][0].params.flat != before).all()  # the innermost layers see the model's buffer
    assert_one_memory(model)


@copies
def test_a_copy_can_be_trained_and_the_model_is_as_it_was(duplicate):
    model = learner()
    before = model.params.flat.copy()
    assert_trains(duplicate(model))
    assert_array_equal(model.params.flat, before)
    assert_trains(model)


@every
def test_joblib_gives_the_layer_back(tmp_path, name):
    layer = make(name)
    joblib.dump(layer, tmp_path / "layer.joblib")
    twin = joblib.load(tmp_path / "layer.joblib")
    assert_one_memory(twin)
    assert_twins(layer, twin, input_of(name))


def test_after_joblib_a_model_can_be_trained(tmp_path):
    joblib.dump(learner(Noted, title="mine"), tmp_path / "model.joblib")
    model = joblib.load(tmp_path / "model.joblib")
    assert model.title == "mine"
    assert_trains(model)


def there_and_back(layer):
    """Check the layer's memory in another process, and return the layer."""
    assert_one_memory(layer)
    return layer


def train_there(model):
    return train(model), model


def test_every_layer_goes_to_another_process_and_comes_back_and_models_are_trained_there():
    layers = {name: make(name) for name in EVERY}
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for (name, layer), twin in zip(layers.items(), pool.map(there_and_back, layers.values()), strict=True):
            assert_one_memory(twin)
            assert_twins(layer, twin, input_of(name))
        (first, last), model = pool.apply(train_there, (learner(),))
    assert last < 0.5 * first
    expected = learner()
    train(expected)
    np.testing.assert_allclose(model.params.flat, expected.params.flat, rtol=1e-3, atol=1e-4)
    assert_trains(model)


def test_a_copy_of_parameters_has_views_of_its_own():
    params = LSTM(3, 4, rng=0).params
    for twin in (copy.copy(params), copy.deepcopy(params), pickled(params)):
        assert_array_equal(twin.flat, params.flat)
        assert twin.shapes == params.shapes
        twin.flat[...] = 1
        assert (twin["Wh"] == 1).all()
        assert not np.shares_memory(twin.flat, params.flat)


# Part of a model


def error(*parts):
    """Expects a NumpyrnnError of one line, whose message has these parts, in this order."""
    return pytest.raises(NumpyrnnError, match="^" + ".*".join(re.escape(part) for part in parts) + "$")


def model_of(layer):
    """A model whose first layer is this one."""
    return Sequential(layer)


@every
def test_a_layer_in_a_model_is_refused_by_a_second_one_and_its_copy_is_taken(name):
    layer = make(name)
    assert not layer.params.is_part
    model, before = model_of(layer), layer.params.flat.copy()
    assert layer.params.is_part
    assert not model.params.is_part
    beginning = re.escape(repr(layer)[:60])  # a long message loses its middle
    with pytest.raises(NumpyrnnError, match=f"^{beginning}.* is part of a model already: give this one layer"):
        model_of(layer)
    assert_one_memory(model)
    assert_array_equal(layer.params.flat, before)
    other = model_of(layer.copy())
    other.params.flat[...] = 0
    assert_array_equal(layer.params.flat, before)


@copies
@every
def test_a_copy_of_a_part_is_free_and_can_be_part_of_another_model(name, duplicate):
    layer = make(name)
    model = model_of(layer)
    twin, twin_model = duplicate(layer), duplicate(model)
    assert not twin.params.is_part
    assert not twin_model.params.is_part
    assert twin_model[0].params.is_part
    assert_one_memory(model_of(twin))
    assert_one_memory(model_of(twin_model))
    with error("", "is part of a model already: give this one layer.copy()"):
        model_of(twin)


def test_a_model_in_a_model_is_a_part_and_so_are_its_layers():
    inner = Sequential(Dense(3, 3, rng=0))
    outer = Sequential(inner)
    for part in (inner, inner[0]):
        with error("", "is part of a model already: give this one layer.copy()"):
            Sequential(part)
    outer.params.flat[...] = 7
    assert (inner[0].params["W"] == 7).all()


def test_a_block_of_a_stack_is_a_part():
    block = make("GatedStack").layers[0]
    with error("GatedBlock(", "is part of a model already: give this one layer.copy()"):
        Sequential(block)


def test_a_refused_model_leaves_the_other_layers_free():
    part, free = Dense(3, 3, rng=0), Dense(3, 3, rng=1)
    Sequential(part)
    with error("", "is part of a model already: give this one layer.copy()"):
        Sequential(free, part)
    with error("Sequential needs layers of one dtype, got float32, float64"):
        Sequential(free, Dense(3, 3, np.float64))
    assert not free.params.is_part
    assert_one_memory(Sequential(free))


def test_parameters_of_a_part_are_written_by_name_as_before():
    model = Sequential(Dense(3, 3, rng=0))
    model[0].params["W"] = np.eye(3)
    assert_array_equal(model.params["0.W"], np.eye(3))
    model.params.update({"0.b": np.arange(3)})
    assert_array_equal(model[0].params["b"], np.arange(3))
    assert isinstance(model.params.zeros_like(), Parameters)
    assert not model[0].params.zeros_like().is_part


@pytest.mark.parametrize("size", [10**18, 10**30])
def test_more_numbers_than_an_array_can_have_are_one_error(size):
    with pytest.raises(NumpyrnnError, match="parameters must fit into memory"):
        Parameters({"W": (size, 10)})


def test_a_lack_of_memory_is_named_so(monkeypatch):
    def none_left(*_):
        raise MemoryError

    monkeypatch.setattr(np, "zeros", none_left)
    with pytest.raises(MemoryError, match="there is not enough memory for 30 parameters of float32"):
        Parameters({"W": (3, 10)})
