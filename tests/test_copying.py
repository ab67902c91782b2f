"""A copy trains on as its original would, to the bit, and leaves the original alone: every layer, every way."""

import copy
import gc
import io
import multiprocessing
import os
import pickle
from functools import partial

import joblib
import numpy as np
import pytest
from every_layer import EVERY, V, input_of, make
from numpy.testing import assert_array_equal
from test_parameters import assert_one_memory

from numpyrnn import GRU, LSTM, Adam, Dense, Dropout, Embedding, NumpyrnnError, RMSprop, Sequential, Trainer
from numpyrnn.batches import Batch
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.losses import LabelSmoothing
from numpyrnn.optim import SGD
from numpyrnn.sampler import Sampler
from numpyrnn.stepper import Stepper
from numpyrnn.vocab import Vocabulary


def pickled(protocol, value):
    return pickle.loads(pickle.dumps(value, protocol))  # noqa: S301


def out_of_band(value):
    """A pickle whose arrays travel beside it, in memory that cannot be written to."""
    buffers = []
    data = pickle.dumps(value, 5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])  # noqa: S301


def by_joblib(value):
    stream = io.BytesIO()
    joblib.dump(value, stream)
    stream.seek(0)
    return joblib.load(stream)


@pytest.fixture(autouse=True)
def _files_are_closed(request):
    """Free the arrays that a slow test has mapped: each keeps a file open, and there are many of these tests."""
    yield
    if request.node.get_closest_marker("slow"):
        gc.collect()


def mapped(folder, mode, value):
    """A copy whose arrays joblib has mapped into memory, from a file."""
    path = folder / f"{len(os.listdir(folder))}.joblib"
    joblib.dump(value, path)
    return joblib.load(path, mmap_mode=mode)


WAYS = {f"pickle {protocol}": partial(pickled, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)}
WAYS |= {"pickle, out of band": out_of_band, "joblib": by_joblib, "copy": copy.copy, "deepcopy": copy.deepcopy}
MAPPED = {f"joblib, mapped {mode}": mode for mode in ("r", "r+", "c")}


@pytest.fixture(params=[*WAYS, *MAPPED])
def duplicate(request, tmp_path):
    """One way to copy."""
    return WAYS.get(request.param) or partial(mapped, tmp_path, MAPPED[request.param])


def step(layer, x, optimizer=None):
    """One training step; what follows of the weights."""
    y, _, cache = layer.forward(x, rng=5)
    _, _, grads = layer.backward(np.cos(np.arange(y.size)).reshape(y.shape), cache)
    (optimizer or SGD(0.1)).update(layer.params.flat, grads.flat)
    return layer.params.flat.copy()


@pytest.mark.parametrize("name", EVERY)
def test_a_step_of_a_copy_is_that_of_its_original(name, duplicate):
    x, layer = input_of(name), make(name)
    before = layer.params.flat.copy()
    once, twice = (step(one, x) for one in [make(name)] for _ in range(2))
    assert (once != before).any() or not before.size
    twin = duplicate(layer)
    assert_array_equal(step(twin, x), once)
    assert_array_equal(layer.params.flat, before)
    again = duplicate(duplicate(twin))  # a copy of a copy, after training
    assert_array_equal(step(again, x), twice)
    assert_array_equal(twin.params.flat, once)
    for one in (layer, twin, again):
        assert_one_memory(one)
    assert_array_equal(step(layer, x), once)


@pytest.mark.parametrize("name", [name for name in EVERY if make(name).params])
def test_a_copy_of_another_dtype_trains_and_is_copied_too(name, duplicate):
    x, layer = input_of(name), make(name)
    single = layer.copy(np.float32)
    before, expected = single.params.flat.copy(), step(layer.copy(np.float32), x)
    twin = duplicate(single)
    assert twin.dtype == np.float32
    assert_array_equal(step(twin, x), expected)
    assert_array_equal(single.params.flat, before)
    assert layer.dtype == np.float64


def steps_there(layers):
    """The weights after a step, in another process."""
    return {name: step(layer, input_of(name)) for name, layer in layers.items()}


def check_steps(layers, there):
    for name, layer in layers.items():
        before = layer.params.flat.copy()
        np.testing.assert_allclose(there[name], step(make(name), input_of(name)), rtol=1e-12, atol=1e-12)
        assert_array_equal(layer.params.flat, before)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_layers_train_in_other_processes(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    layers = {name: make(name) for name in EVERY}
    with multiprocessing.get_context(method).Pool(1) as pool:
        check_steps(layers, pool.apply(steps_there, (layers,)))


def test_layers_train_in_joblibs_processes_which_map_large_arrays_read_only():
    layers = {name: make(name) for name in EVERY}
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        first, second = joblib.Parallel(max_nbytes=1)(joblib.delayed(steps_there)(layers) for _ in range(2))
    check_steps(layers, first)
    check_steps(layers, second)


# Optimisers and trainers


@pytest.mark.parametrize("kind", [partial(SGD, momentum=0.9), SGD, RMSprop, partial(Adam, weight_decay=0.1)])
def test_a_copy_of_an_optimiser_goes_on_with_moments_of_its_own(kind, duplicate):
    rng = np.random.default_rng(0)
    start, *grads = rng.normal(size=(4, 50))
    optimizer, w = kind(0.1), start.copy()
    optimizer.update(w, grads[0])
    twin, v = duplicate(optimizer), w.copy()
    assert (twin.t, twin.settings, twin.slots) == (optimizer.t, optimizer.settings, optimizer.slots)
    for grad in grads[1:]:
        twin.update(v, grad)
    assert optimizer.t == 1
    for grad in grads[1:]:
        optimizer.update(w, grad)
    assert_array_equal(v, w)


def batches(rng):
    """Batches of an epoch, some of them padded, in random order."""
    ids = np.arange(60).reshape(10, 6) % V
    return [Batch(ids[:-1, rows], ids[1:, rows]) for rows in (rng.permutation(6)[:4] for _ in range(3))]


def trainer():
    model = Sequential(Embedding(V, 8, rng=0), Sequential(LSTM(8, 9, rng=1), Dropout(0.3)), Dense(9, V, rng=2))
    how = {"average": 0.9, "clip_norm": 1.0, "patience": 9, "loss": LabelSmoothing(0.1), "rng": 4}
    return Trainer(model, Adam(0.02), **how)


def progress(trained):
    """All that a training has come to, without its times."""
    state = trained.state()
    history = [{**record, "seconds": 0, "items_per_second": 0} for record in state.pop("history")]
    arrays = {name: value.tobytes() for name, value in state.items() if isinstance(value, np.ndarray)}
    return history, trained.model.params.flat.tobytes(), state | arrays


def test_a_copy_of_a_trainer_trains_on_as_the_original_would(duplicate):
    original, expected = trainer(), trainer()
    original.run(batches, 2)
    expected.run(batches, 2)
    before = progress(original)
    twin = duplicate(original)
    assert progress(twin) == before
    twin.run(batches, 4)
    assert progress(original) == before
    expected.run(batches, 4)
    assert progress(twin) == progress(expected) != before
    original.run(batches, 4)
    assert progress(original) == progress(expected)
    assert_one_memory(twin.model)


# What reads and writes text


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 0.5}, {"temperature": 0}, {"top_k": 3}, {"top_p": 0.7}], ids=str
)
def test_a_copy_of_a_sampler_draws_on_as_the_original_would(settings, duplicate):
    rows = np.random.default_rng(0).normal(0, 1, (40, 9)).astype(np.float32)
    original, expected = Sampler(3, **settings), Sampler(3, **settings)
    for sampler in (original, expected):
        sampler.draw(rows)
        sampler.draw_one(rows[0])
    following = [expected.draw_one(row) for row in rows] + expected.draw(rows).tolist()
    twin = copy.deepcopy(original) if duplicate is copy.copy else duplicate(original)
    assert [twin.draw_one(row) for row in rows] + twin.draw(rows).tolist() == following
    assert [original.draw_one(row) for row in rows] + original.draw(rows).tolist() == following


def test_a_copy_of_a_checkpoint_writes_the_same_and_its_model_trains(duplicate):
    model = Sequential(GRU(V, 8, rng=0), Dense(8, V, rng=1))
    checkpoint = Checkpoint("numpyrnn", model, Vocabulary("abcdef"), {"a": 1}, {"weights": model.params.flat.copy()})
    twin, expected = duplicate(checkpoint), step(model.copy(), input_of("Sequential"))
    assert twin.vocabulary == checkpoint.vocabulary
    assert twin.vocabulary.encode("fab").tolist() == [5, 0, 1]
    assert twin.generate("ab", 30, seed=1) == checkpoint.generate("ab", 30, seed=1)
    assert_array_equal(step(twin.model, input_of("Sequential")), expected)


def test_a_stepper_refuses_to_be_copied_in_one_line(duplicate):
    stepper = Stepper(Sequential(GRU(V, 8, rng=0), Dense(8, V, rng=1)))
    with pytest.raises(
        NumpyrnnError, match=r"^a Stepper cannot be copied, since two would share a state: make another"
    ):
        duplicate(stepper)
