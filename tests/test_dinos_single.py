"""One sequence at a time: the same numbers as the layers', and the same step as clipping and gradient descent."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dinos.single import SingleRNN
from numpyrnn import GRU, RNN, Dense, Dropout, NumpyrnnError, Sequential
from numpyrnn.losses import softmax_cross_entropy
from numpyrnn.optim import SGD, clip_by_value

V, H = 7, 9
LENGTHS = [5, 1, 60, 5, 2, 33, 150, 1]  # longer ones make new buffers, shorter ones use part of them

pytestmark = pytest.mark.usefixtures("back_end")
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-4}


def make(dtype=np.float64, scale=1.0):
    """A model with biases that are not zero; `scale` makes its logits large."""
    model = Sequential(RNN(V, H, dtype, rng=0), Dense(H, V, dtype, rng=1))
    model.params.flat[...] += np.random.default_rng(2).normal(0, 0.3, model.params.flat.shape)
    for name in ("1.W", "1.b"):
        model.params[name] *= scale
    return model


def draw(T, seed=3):
    """ids, targets and initial state."""
    rng = np.random.default_rng(seed + T)
    return rng.integers(0, V, T), rng.integers(0, V, T), rng.uniform(-1, 1, H)


def by_layers(model, ids, targets, h0):
    """Loss, gradients and last state by way of the layers; an id of -1 is a row of zeros."""
    x = np.eye(V, dtype=model.dtype)[ids.clip(0)] * (ids >= 0)[:, None]
    logits, (h, _), cache = model.forward(x[:, None], (h0[None], None))
    loss, dlogits = softmax_cross_entropy(logits, targets[:, None], reduction="sum")
    _, _, grads = model.backward(dlogits, cache)
    return loss, grads.flat, h[0]


def assert_agrees(single, model, ids, targets, h0):
    tolerance = TOLERANCE[model.dtype.type]
    loss, grad, h = by_layers(model, ids, targets, h0)
    assert_allclose(single(ids, targets, h0), loss, rtol=tolerance)
    assert_allclose(single.grads.flat, grad, rtol=tolerance, atol=tolerance * np.abs(grad).max())
    assert_allclose(single.h, h, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_loss_gradients_and_last_state_are_the_layers(dtype):
    model = make(dtype)
    single = SingleRNN(model)
    for T in LENGTHS:
        assert_agrees(single, model, *draw(T))


@pytest.mark.parametrize("T", [1, 2, 40])
def test_a_first_id_of_minus_one_is_a_step_without_input(T):
    model = make()
    single = SingleRNN(model)
    for first in (-1, 0, -1):  # in turn: no trace of it stays in the buffers
        ids, targets, h0 = draw(T)
        ids[0] = first
        assert_agrees(single, model, ids, targets, h0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [30.0, 100.0, 1e3, 1e6])
def test_huge_logits_are_stable(scale, dtype):
    model = make(dtype, scale)
    ids, targets, h0 = draw(20)
    logits, _, _ = model.forward(ids[:, None], (h0[None], None))
    assert np.abs(logits).max() > scale
    assert_agrees(SingleRNN(model), model, ids, targets, h0)


@pytest.mark.parametrize("shift", [-1e3, -200.0, -90.0, 59.0, 90.0, 1e3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_shift_of_all_logits_changes_nothing(dtype, shift):
    model, shifted = make(dtype), make(dtype)
    shifted.params["1.b"] += shift
    arguments = draw(10)
    loss, grad, _ = by_layers(model, *arguments)
    single = SingleRNN(shifted)
    assert_allclose(single(*arguments), loss, rtol=TOLERANCE[dtype] * 10)
    assert_allclose(single.grads.flat, grad, atol=TOLERANCE[dtype] * 10)


@pytest.mark.parametrize("share", [0.01, 0.7, 1.5])
def test_an_update_is_clipping_and_gradient_descent(share):
    """The limit is a share of the largest gradient: it bites much, a little, and not at all."""
    model, twin = make(), make()
    single, arguments = SingleRNN(model), draw(12)
    for _ in range(3):
        _, grad, _ = by_layers(twin, *arguments)
        limit = share * np.abs(grad).max()
        clip_by_value(grad, limit)
        SGD(0.1).update(twin.params.flat, grad)
        single(*arguments)
        single.update(0.1, limit)
        assert_allclose(single.grads.flat, grad, rtol=1e-12, atol=1e-13)
        assert_allclose(model.params.flat, twin.params.flat, rtol=1e-12, atol=1e-13)


def test_the_models_parameters_are_used_in_place():
    model, arguments = make(), draw(6)
    single = SingleRNN(model)
    single(*arguments)
    single.update(0.5, 5)
    assert_agrees(single, model, *arguments)
    model.params["0.b"] = np.zeros(H)
    assert_agrees(single, model, *arguments)


def test_arguments_are_not_written_to_and_the_state_is_a_copy():
    single, arguments = SingleRNN(make()), draw(6)
    for array in arguments:
        array.flags.writeable = False
    loss = single(*arguments)
    h, kept = single.h, single.h.copy()
    single(*draw(9))
    assert_array_equal(h, kept)
    assert single(*arguments) == loss


@pytest.mark.parametrize(
    "model",
    [
        Sequential(RNN(3, 4)),
        Sequential(GRU(3, 4), Dense(4, 3)),
        Sequential(RNN(3, 4), Dropout(0.1), Dense(4, 3)),
        Sequential(RNN(3, 4, np.complex128), Dense(4, 3, np.complex128)),
    ],
    ids=repr,
)
def test_another_model_is_refused(model):
    with pytest.raises(
        NumpyrnnError, match=r"SingleRNN needs Sequential\(RNN, Dense\) of real numbers, got Sequential"
    ):
        SingleRNN(model)
