"""A step at a time: the same logits as the layers', for every stack of layers."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import GRU, LSTM, RNN, CausalConv1D, Dense, Dropout, Embedding, LastStep, NumpyrnnError, ReLU, Sequential
from numpyrnn.stepper import Stepper

pytestmark = pytest.mark.usefixtures("back_end")
V, H, T = 6, 5, 12
IDS = np.random.default_rng(0).integers(0, V, T)
KINDS = {kind.__name__: kind for kind in (RNN, LSTM, GRU, Dense, Embedding)}
KINDS["HardLSTM"] = partial(LSTM, hard_sigmoid=True)
STACKS = [
    "RNN",
    "LSTM",
    "GRU",
    "Dense",
    "RNN Dense",
    "LSTM Dense",
    "GRU Dense",
    "Dense Dense",
    "Embedding RNN Dense",
    "Embedding Dropout LSTM Dense",
    "Embedding GRU Dropout Dense",
    "LSTM Dropout LSTM Dropout Dense",
    "RNN GRU LSTM Dense",
    "GRU Dense Dense",
    "Embedding Dense RNN Dense GRU Dense",
    "HardLSTM",
    "HardLSTM Dropout HardLSTM Dense",
    "LSTM HardLSTM GRU Dense",
]
stacks = pytest.mark.parametrize("stack", STACKS)


def make(stack, dtype=np.float64):
    """A model of these layers, from V ids by way of H to V numbers, with biases that are not zero."""
    rng, layers, size = np.random.default_rng(1), [], V
    *lower, last = stack.split()
    for name, out in [*((name, H) for name in lower), (last, V)]:
        if name == "Dropout":
            layers.append(Dropout(0.5))
        else:
            layers.append(KINDS[name](size, out, dtype, rng))
            size = out
    model = Sequential(layers)
    model.params.flat[...] += rng.normal(0, 0.3, model.params.flat.shape)
    return model


def run(stepper, ids=IDS):
    """The rows for ids one after the other; copies, for a stepper overwrites what it gave."""
    return np.stack([stepper(token).copy() for token in ids.tolist()])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@stacks
def test_every_step_is_the_layers(stack, dtype, tolerance):
    model = make(stack, dtype)
    expected, _, _ = model.forward(IDS[:, None])
    got = run(Stepper(model))
    assert got.dtype == dtype
    assert_allclose(got, expected[:, 0], rtol=tolerance, atol=tolerance)


@stacks
def test_reset_goes_back_to_the_start(stack):
    stepper = Stepper(make(stack))
    first = run(stepper)
    if set(stack.split()) != {"Dense"}:
        assert (run(stepper) != first).any()  # the state is kept between the calls
    stepper.reset()
    assert_array_equal(run(stepper), first)


@stacks
def test_later_updates_of_the_model_are_not_seen(stack):
    model = make(stack)
    stepper = Stepper(model)
    first = run(stepper)
    model.params.flat[...] = np.nan
    stepper.reset()
    assert_array_equal(run(stepper), first)


def test_making_a_stepper_leaves_the_model_as_it_was_and_two_are_apart():
    model = make("LSTM GRU Dense")
    before = model.params.flat.copy()
    one, other = Stepper(model), Stepper(model)
    first = run(one)
    assert_allclose(run(other), first, rtol=1e-12)
    assert_array_equal(model.params.flat, before)


def gate_sums(lstm, x):
    """What the gates of a layer are made of, (4, T, N, H), for ids x."""
    h = lstm(x)
    before, p = np.concatenate([np.zeros_like(h[:1]), h[:-1]]), lstm.params
    return np.stack([p["Wx"][k][x] + before @ p["Wh"][k] + p["b"][k] for k in range(4)])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_courses_model_with_hard_sigmoids_and_a_last_step_is_stepped_through(dtype, tolerance):
    rng = np.random.default_rng(1)
    lower = LSTM(V, H, dtype, rng, hard_sigmoid=True), Dropout(0.5), LSTM(H, H, dtype, rng, hard_sigmoid=True)
    model = Sequential(*lower, Dropout(0.5), LastStep(), Dense(H, V, dtype, rng))
    model.params.flat[...] *= 4  # so that gates are at both ends
    gates = gate_sums(model[0], IDS[:, None]) / 5 + 0.5
    assert (gates[:3] <= 0).any()
    assert (gates[:3] >= 1).any()
    assert ((gates > 0) & (gates < 1)).any()
    rows = run(Stepper(model))
    for t in range(T):
        expected, _, _ = model.forward(IDS[: t + 1, None])
        assert expected.shape == (1, 1, V)
        assert_allclose(rows[t], expected[0, 0], rtol=tolerance, atol=tolerance)


def test_sizes_of_input_and_output():
    stepper = Stepper(Sequential(Embedding(11, 3), GRU(3, 4), Dense(4, 9)))
    assert (stepper.input_size, stepper.output_size) == (11, 9)


@pytest.mark.parametrize(
    "model",
    [
        Sequential(Sequential(RNN(V, H)), Dense(H, V)),
        Sequential(RNN(V, H), Embedding(H, V)),
        Sequential(Embedding(V, V)),
        Sequential(Dropout(0.5)),
        Sequential(Embedding(V, H), LastStep()),
        Sequential(Embedding(V, H), CausalConv1D(H, H, 2), Dense(H, V)),
        Sequential(RNN(V, H), ReLU(), Dense(H, V)),
        Sequential(RNN(V, H), LastStep(), RNN(H, H), Dense(H, V)),  # the upper layer sees one step a pass
        Sequential(LSTM(V, H, np.complex128), Dense(H, V, np.complex128)),
    ],
    ids=repr,
)
def test_a_model_it_cannot_step_through_is_refused(model):
    with pytest.raises(
        NumpyrnnError, match=r"Stepper needs RNN, LSTM, GRU and Dense layers of real numbers, got Sequent"
    ):
        Stepper(model)
