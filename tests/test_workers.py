"""Several workers: the loss and the gradients of one, the same bits from the same seed, errors passed on."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import LSTM, Dense, Dropout, NumpyrnnError, Sequential
from numpyrnn.batches import Batch, padded, streams
from numpyrnn.optim import Adam
from numpyrnn.train import Trainer
from numpyrnn.workers import Workers

pytestmark = pytest.mark.usefixtures("back_end")
V, H, T, N = 5, 6, 7, 5
RNG = np.random.default_rng(0)
X, TARGETS = RNG.integers(V, size=(2, T, N))
SOFT = RNG.dirichlet(np.ones(V), size=(T, N))
MASK = RNG.random((T, N)) < 0.6
ONE_SILENT = MASK & (np.arange(N) % 2 == 0)  # of two workers the second has no place that counts
LENGTHS = np.array([7, 3, 5, 1, 7])
BATCHES = {
    "whole": Batch(X, TARGETS),
    "soft targets": Batch(X, SOFT),
    "mask": Batch(X, TARGETS, None, MASK),
    "a worker with nothing to learn": Batch(X, TARGETS, None, ONE_SILENT),
    "padded": Batch(X, TARGETS, LENGTHS),
    "one sequence": Batch(X[:, :1], TARGETS[:, :1]),
}


def make(dropout=0.0, dtype=np.float64):
    return Sequential(LSTM(V, H, dtype, rng=0, weight_dropout=dropout), Dropout(dropout), Dense(H, V, dtype, rng=1))


@pytest.mark.parametrize("n", [2, 3, 9])
@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_loss_and_gradients_are_those_of_one_worker(batch, n):
    model = make()
    one, several = Workers(model), Workers(model, n)
    several.grads.flat[...] = np.nan  # what is left from before must not matter
    expected, _ = one(batch)
    loss, _ = several(batch)
    assert_allclose(loss, expected, rtol=1e-12)
    assert_allclose(several.grads.flat, one.grads.flat, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n", [1, 2])
def test_states_are_carried(n):
    model = make()
    workers = Workers(model, n)
    whole, _ = Workers(model)(Batch(X, TARGETS))
    first, states = workers(Batch(X[:3], TARGETS[:3]))
    second, _ = workers(Batch(X[3:], TARGETS[3:]), states)
    assert_allclose((3 * first + 4 * second) / 7, whole, rtol=1e-12)


def test_parts_have_every_sequence_once():
    parts = BATCHES["padded"].split(2)
    assert [part.lengths.tolist() for part in parts] == [[7, 5, 7], [3, 1]]
    assert_array_equal(parts[1].x, X[:, [1, 3]])
    assert sum(part.places for part in parts) == BATCHES["padded"].places


def trained(workers, seed=3, dropout=0.2):
    model = make(dropout)
    sequences = [np.arange(length) % V for length in (4, 9, 6, 7, 5, 8, 3)]
    trainer = Trainer(model, Adam(0.01), rng=seed, workers=workers)
    trainer.run(lambda rng: padded(sequences, 4, rng if dropout else None), 3)  # dropout takes of `rng` too
    return model.params.flat


def test_one_seed_gives_the_same_bits():
    assert_array_equal(trained(3), trained(3))
    assert np.any(trained(3) != trained(3, seed=4))


def test_a_training_without_dropout_is_that_of_one_worker():
    assert_allclose(trained(2, dropout=0.0), trained(1, dropout=0.0), rtol=1e-9, atol=1e-12)


def test_a_training_over_streams_carries_each_workers_states():
    flats = []
    for n in (1, 2):
        model = make()
        trainer = Trainer(model, Adam(0.01), carry=True, workers=n)
        trainer.run(lambda rng: streams(np.arange(200) ** 2 % V, 4, 5), 2)
        flats.append(model.params.flat)
    assert_allclose(flats[1], flats[0], rtol=1e-9, atol=1e-12)


def test_an_error_of_one_worker_is_passed_on_and_the_next_call_works():
    workers = Workers(make(), 2)
    wrong = TARGETS.copy()
    wrong[0, 1] = V
    with pytest.raises(NumpyrnnError, match="targets"):
        workers(Batch(X, wrong))
    assert workers(Batch(X, TARGETS))[0] == pytest.approx(Workers(make())(Batch(X, TARGETS))[0], rel=1e-12)


@pytest.mark.parametrize("n", [0, -1, 1.5, "2"])
def test_workers_must_be_a_whole_number_of_at_least_one(n):
    with pytest.raises(NumpyrnnError, match="workers"):
        Trainer(make(), Adam(0.01), workers=n)
