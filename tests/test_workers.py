"""A step's sequences divided among workers: the same sums, the same dropout, whatever is missing or goes wrong."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import (
    GRU,
    LSTM,
    RNN,
    Dense,
    Dropout,
    Embedding,
    GlobalMaxPool1D,
    LastStep,
    MaxPool1D,
    NumpyrnnError,
    Sequential,
    threads,
)
from numpyrnn.batches import Batch, padded, streams
from numpyrnn.layer import leaves
from numpyrnn.losses import LabelSmoothing, softmax_cross_entropy
from numpyrnn.optim import SGD, Adam
from numpyrnn.threads import blas_threads, loss_and_gradients
from numpyrnn.train import Trainer, mean_loss

T, N, V, H = 6, 7, 5, 4
LENGTHS = np.array([6, 6, 4, 3, 2, 1, 0])
RNG = np.random.default_rng(0)
X, TARGETS = RNG.integers(0, V, (2, T, N))
SOFT = RNG.dirichlet(np.ones(V), (T, N))
MASK = RNG.random((T, N)) < 0.4
MASK[:, 1::3] = False  # the second of three workers has no target that counts
VECTORS = RNG.normal(size=(T, N, 3))
F64 = np.float64


@pytest.fixture(autouse=True)
def _any_work_is_worth_it(monkeypatch):
    monkeypatch.setattr(threads, "WORTH", 0)
    monkeypatch.setattr(threads, "WORTH_A_STEP", 0)


def dropping(cell=LSTM, *top):
    """A model with every kind of dropout."""
    return Sequential(
        Embedding(V, H, F64, rng=0),
        Dropout(0.2, shared="features"),
        cell(H, H, F64, rng=1, weight_dropout=0.3),
        Dropout(0.3, shared="time"),
        GRU(H, H, F64, rng=2, weight_dropout=0.2),
        Dropout(0.4),
        *top,
        Dense(H, V, F64, rng=3),
    )


CASES = {
    "full": (dropping(), Batch(X, TARGETS)),
    "padded": (dropping(), Batch(X, TARGETS, LENGTHS)),
    "padded, not sorted": (dropping(RNN), Batch(X, TARGETS, LENGTHS[::-1])),
    "soft": (dropping(GRU), Batch(X, SOFT, LENGTHS)),
    "masked": (dropping(), Batch(X, TARGETS, None, MASK)),
    "padded and masked": (dropping(), Batch(X, TARGETS, LENGTHS, MASK & (np.arange(T)[:, None] < LENGTHS))),
    "vectors": (
        Sequential(LSTM(3, H, F64, rng=0), Dense(H, V, F64, rng=1)),
        Batch(RNG.normal(size=(T, N, 3)), TARGETS),
    ),
    "last step": (dropping(LSTM, LastStep()), Batch(X, TARGETS[:1], LENGTHS)),
    "pooled": (
        dropping(RNN, MaxPool1D(), GlobalMaxPool1D()),
        Batch(X, TARGETS[:1], LENGTHS, (LENGTHS > 1)[None]),
    ),
    "one place": (dropping(), Batch(X, TARGETS, None, np.arange(T * N).reshape(T, N) == 5)),
}
cases = pytest.mark.parametrize(("model", "batch"), CASES.values(), ids=CASES)


def step(model, batch, n, **options):
    """Loss, gradients and state of one step among n workers."""
    grads = model.params.zeros_like()
    grads.flat[...] = np.nan  # all is overwritten
    loss, state = loss_and_gradients(model, batch, grads, workers=n, **options)
    return [loss, grads.flat, *leaves(state)]


def by_hand(model, batch, **options):
    logits, state, cache = model.forward(batch.x, lengths=batch.lengths, **options)
    loss, dlogits = softmax_cross_entropy(logits, batch.targets, batch.counts)
    return [loss, model.backward(dlogits, cache)[2].flat, *leaves(state)]


@cases
@pytest.mark.parametrize("rng", [None, 3], ids=["plain", "dropout"])
def test_one_worker_is_the_models_own_pass_and_more_agree_with_it(model, batch, rng):
    expected = by_hand(model, batch, rng=rng)
    for n in (1, 2, 3, N):
        found = step(model, batch, n, rng=rng)
        for one, other in zip(found, expected, strict=True):
            if n == 1:
                assert_array_equal(one, other)
            assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@cases
@pytest.mark.parametrize("n", [2, 3])
def test_one_number_of_workers_gives_one_set_of_bits(model, batch, n):
    buffers = []
    first, *others = (step(model, batch, n, rng=5, buffers=buffers) for _ in range(4))
    others.append(step(model, batch, n, rng=5))
    for other in others:
        for one, another in zip(first, other, strict=True):
            assert_array_equal(one, another)
    assert len(buffers) == n - 1


def test_the_generator_is_left_where_one_worker_leaves_it():
    model, batch = CASES["padded"]
    rngs = [np.random.default_rng(1) for _ in range(3)]
    for n, rng in enumerate(rngs, 1):
        step(model, batch, n, rng=rng)
    assert rngs[0].bit_generator.state == rngs[1].bit_generator.state == rngs[2].bit_generator.state


def test_buffers_of_more_workers_serve_fewer():
    model, batch = CASES["padded"]
    buffers, grads = [], model.params.zeros_like()
    loss_and_gradients(model, batch, grads, workers=5, buffers=buffers)
    loss_and_gradients(model, batch, grads, workers=2, buffers=buffers)
    assert_array_equal(grads.flat, step(model, batch, 2)[1])


def test_without_gradients_there_is_the_loss_and_the_state_alone():
    model, batch = CASES["padded"]
    expected = step(model, batch, 1)
    for n in (1, 2, 3):
        loss, state = loss_and_gradients(model, batch, None, workers=n)
        for one, other in zip([loss, *leaves(state)], [expected[0], *expected[2:]], strict=True):
            assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_a_state_goes_in_and_comes_out_in_the_order_of_the_batch():
    model, _ = CASES["full"]
    _, state, _ = model.forward(RNG.integers(0, V, (3, N)))
    whole = step(model, Batch(X, TARGETS), 1, state=state)
    found = step(model, Batch(X, TARGETS), 3, state=state)
    for one, other in zip(found, whole, strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-13)
    assert abs(step(model, Batch(X, TARGETS), 3)[0] - whole[0]) > 1e-3


# How many there are


def recorded(model, seen):
    """The model, whose passes write down how many sequences they take."""
    twin = model.copy()
    forward = twin.forward
    twin.forward = lambda x, *rest, **more: seen.append(np.shape(x)[1]) or forward(x, *rest, **more)
    return twin


@pytest.mark.parametrize(("n", "passes"), [(1, [7]), (2, [3, 4]), (3, [2, 2, 3]), (7, [1] * 7), (8, [7]), (100, [7])])
def test_fewer_sequences_than_workers_are_one_workers(n, passes):
    model = recorded(CASES["full"][0], seen := [])
    step(model, CASES["full"][1], n)
    assert sorted(seen) == passes


@pytest.mark.parametrize(("name", "steps"), [("WORTH", T), ("WORTH_A_STEP", 1)])
def test_too_little_work_is_one_workers(name, steps, monkeypatch):
    model = CASES["full"][0]
    operations = 2 * model.params.flat.size * N * steps
    for worth, passes in ((operations, [3, 4]), (operations + 1, [7])):
        monkeypatch.setattr(threads, name, worth)
        step(recorded(model, seen := []), CASES["full"][1], 2)
        assert sorted(seen) == passes


def trained(n=None, **settings):
    """Training with dropout, padding, clipping and an average."""
    names = [np.random.default_rng(i).integers(0, V, 3 + i % 4) for i in range(14)]
    settings = {"clip": 1e-2, "clip_norm": 0.05, "average": 0.9, "workers": n} | settings
    trainer = Trainer(dropping().copy(), Adam(0.02), **settings)
    trainer.run(lambda rng: padded(names[3:], 5, rng), 3, lambda: padded(names[:3], 3))
    return trainer


def test_trainings_with_another_number_of_workers_agree():
    one = trained()
    assert_array_equal(trained(1).weights, one.weights)
    for n in (2, 3):
        more = trained(n)
        assert_allclose(more.weights, one.weights, rtol=1e-9, atol=1e-11)
        assert_allclose(more.best_loss, one.best_loss, rtol=1e-10)
        assert_array_equal(trained(n).weights, more.weights)


@pytest.mark.parametrize("n", [2, 3])
def test_states_are_carried_from_batch_to_batch(n):
    ids, models = RNG.integers(0, V, 200), []
    for count in (1, n):
        models.append(Sequential(LSTM(V, H, F64, rng=0), Dense(H, V, F64, rng=1)))
        trainer = Trainer(models[-1], SGD(0.5), carry=True, workers=count)
        history = trainer.run(lambda rng: streams(ids, N, 4), 3, lambda: streams(ids, N, 4))
        assert history[-1]["valid_loss"] == mean_loss_in(models[-1], ids, count)
    assert_allclose(models[1].params.flat, models[0].params.flat, rtol=1e-10, atol=1e-12)


def mean_loss_in(model, ids, n):
    with blas_threads(n):
        return mean_loss(model, streams(ids, N, 4), carry=True)


def test_clipping_comes_after_the_sum():
    # One step from 0: x is always id 0; targets 0 and 1 pull in opposite directions, and cancel out to 2 of 6 places.
    batch = Batch(np.zeros((1, 6), int), np.array([[0, 1, 0, 1, 0, 0]]))
    for n in (1, 2):  # the second of two has all the ones
        model = Sequential(Dense(1, 2, F64))
        model.params.flat[...] = 0
        Trainer(model, SGD(1.0), clip=0.1, workers=n).run(lambda rng: [batch], 1)
        assert_allclose(model.params.flat, [0.1, -0.1, 0.1, -0.1], rtol=1e-12)  # clipped from (4 - 2) / 12
    assert_allclose(step(model, batch, 2)[1], step(model, batch, 1)[1], rtol=1e-12)


@pytest.mark.parametrize(("around", "given", "passes"), [(2, None, 2), (3, 1, 1), (2, 3, 3), (None, None, 1)])
def test_a_trainer_has_the_workers_it_is_given_else_the_threads_around_its_run(around, given, passes, monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    model = recorded(CASES["full"][0], seen := [])
    trainer = Trainer(model, SGD(0.1), workers=given)
    with blas_threads(around):
        trainer.run(lambda rng: [CASES["full"][1]], 1)
    assert len(seen) == passes
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    seen.clear()
    trainer.run(lambda rng: [CASES["full"][1]], 2)
    assert len(seen) == (given or 2)


# Any loss


def squares(logits, targets, mask):
    """Half the mean square of the logits minus the targets' one-hot rows."""
    d = (logits - np.eye(V)[targets]) * (1 if mask is None else mask[..., None])
    count = targets.size if mask is None else mask.sum()
    return (d**2).sum() / 2 / count, d / count


@cases
@pytest.mark.parametrize("loss", [LabelSmoothing(0.1), squares], ids=["smoothed", "squares"])
def test_any_loss_is_divided(model, batch, loss):
    if batch.targets.ndim == 3 and loss is squares:
        batch = Batch(batch.x, TARGETS, batch.lengths)
    logits, _, cache = model.forward(batch.x, lengths=batch.lengths)
    expected, dlogits = loss(logits, batch.targets, batch.counts)
    gradient = model.backward(dlogits, cache)[2].flat
    for n in (1, 2, 3):
        found, grads, *_ = step(model, batch, n, loss=loss)
        assert_allclose(found, expected, rtol=1e-12)
        assert_allclose(grads, gradient, rtol=1e-12, atol=1e-13)


def test_a_trainer_takes_any_loss_and_measures_held_out_parts_by_its_validation():
    batch = Batch(X, TARGETS)

    def trainer(loss):
        return Trainer(Sequential(LSTM(V, H, F64, rng=0), Dense(H, V, F64, rng=1)), SGD(0.1), loss=loss, clip=None)

    by_squares, smoothed = trainer(squares), trainer(LabelSmoothing(0.2))
    before = smoothed.model.copy()
    for one, loss in ((by_squares, squares), (smoothed, softmax_cross_entropy)):
        history = one.run(lambda rng: [batch], 2, lambda: [batch])
        assert history[-1]["valid_loss"] == one.best_loss == mean_loss(one.model, [batch], loss=loss)
        assert history[1]["loss"] < history[0]["loss"]
    smooth = 0.8 * np.eye(V)[TARGETS] + 0.2 / V
    assert_allclose(smoothed.history[0]["loss"], mean_loss(before, [Batch(X, smooth)]), rtol=1e-12)


# What goes wrong


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_place_at_all_is_the_losss_error(n):
    with pytest.raises(NumpyrnnError, match="at least one target that counts, got none"):
        step(CASES["full"][0], Batch(X, TARGETS, None, MASK & False), n)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X + 9}, "x must hold ids from 0 to 4"),
        ({"x": X[0]}, r"x must have shape"),
        ({"targets": TARGETS[:, :6]}, r"targets must have shape \(.*7\), got \(6, 6\)"),
        ({"targets": TARGETS - 9}, "targets must hold ids"),
        ({"targets": SOFT[:, :6]}, r"targets must have shape \(.*7, .*\), got \(6, 6, 5\)"),
        ({"lengths": np.array([6, 6, 4, 3, 2, 1, 0, 0])}, r"lengths must have shape \(7,\), got \(8,\)"),
        ({"lengths": LENGTHS + 1}, "lengths must be integers from 0 to T = 6"),
        ({"mask": MASK[:, :6]}, r"mask must have shape \(6, 7\), got \(6, 6\)"),
    ],
)
def test_what_does_not_fit_is_named(change, message, n):
    with pytest.raises(NumpyrnnError, match=message):
        step(dropping(), Batch(**{"x": X, "targets": TARGETS} | change), n)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_state_of_other_sequences_is_named(n):
    model, batch = CASES["full"]
    _, state, _ = model.forward(np.zeros((1, N + 1), int))
    with pytest.raises(NumpyrnnError, match=r"state .*must have shape \(7, 4\), got \(8, 4\)"):
        step(model, batch, n, state=state)


@pytest.mark.parametrize("count", [0, 1.5, True, "2"])
def test_a_number_of_workers_is_a_whole_number_of_at_least_one(count):
    with pytest.raises(NumpyrnnError, match="workers must be a whole number of at least 1"):
        step(*CASES["full"], count)
    with pytest.raises(NumpyrnnError, match="workers must be a whole number of at least 1"):
        Trainer(dropping(), SGD(), workers=count)


def test_a_loss_that_is_no_function_or_not_finite_is_one_error():
    with pytest.raises(NumpyrnnError, match=r"loss must be a function of \(logits, targets, mask\), got 'mse'"):
        Trainer(dropping(), SGD(), loss="mse")
    for n in (1, 2):
        with pytest.raises(NumpyrnnError, match="the loss must stay finite, got nan"):
            step(*CASES["full"], n, loss=lambda logits, targets, mask: (np.nan, logits))


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("size", [3, 2], ids=["here", "in another thread"])
def test_an_error_in_one_worker_is_raised_when_all_have_ended_and_training_rolls_back(error, size):
    ended = []

    def loss(logits, targets, mask):
        if targets.shape[1] == size and trainer.step:
            raise error
        result = softmax_cross_entropy(logits, targets, mask)
        ended.append(targets.shape[1])
        return result

    model = Sequential(LSTM(V, H, F64, rng=0), Dense(H, V, F64, rng=1))
    trainer = Trainer(model, SGD(0.1), loss=loss, workers=2)
    before = model.params.flat.copy()
    batches = [Batch(X[:, :5], TARGETS[:, :5])] * 2  # 3 sequences here, 2 in the other thread
    with pytest.raises(error):
        trainer.run(lambda rng: batches, 1)
    assert sorted(ended) == sorted([2, 3, 5 - size])
    assert_array_equal(model.params.flat, before)
