"""Pooling, the last step and ReLU: what they compute, where the gradient goes, padding, errors."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import (
    CausalConv1D,
    GatedBlock,
    GatedStack,
    GlobalMaxPool1D,
    LastStep,
    MaxPool1D,
    NumpyrnnError,
    ReLU,
    gradcheck,
)

T, N, D = 7, 4, 3
X, LENGTHS = np.random.default_rng(0).standard_normal((T, N, D)), np.array([5, 0, 7, 2])
LAYERS = {
    "MaxPool1D": MaxPool1D(2, np.float64),
    "MaxPool1D of 3": MaxPool1D(3, np.float64),
    "GlobalMaxPool1D": GlobalMaxPool1D(np.float64),
    "LastStep": LastStep(np.float64),
    "ReLU": ReLU(np.float64),
}
layers = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
padded = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])


def plainly(layer, x):
    """The expected y of one sequence (T, D), and the step from which each number of y comes (-1: none)."""
    T, D = x.shape
    if isinstance(layer, ReLU):
        return np.where(x < 0, 0, x), np.where(x > 0, np.arange(T)[:, None], -1)
    if isinstance(layer, LastStep):
        groups = [[T - 1]] if T else []
    elif isinstance(layer, GlobalMaxPool1D):
        groups = [list(range(T))] if T else []
    else:
        groups = [list(range(t, t + layer.size)) for t in range(0, T - layer.size + 1, layer.size)]
    y, origin = np.zeros((len(groups), D)), np.zeros((len(groups), D), int)
    for i, d in np.ndindex(y.shape):
        best = groups[i][0]
        for t in groups[i]:
            if x[t, d] > x[best, d]:  # not >=, so that the first of equals wins
                best = t
        y[i, d], origin[i, d] = x[best, d], best
    return y, origin


def assert_plain(layer, x, lengths):
    """Assert that both passes agree with `plainly` on each sequence, and are zero elsewhere."""
    y, state, cache = layer.forward(x, lengths=lengths)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dx, dstate, grads = layer.backward(dy, cache)
    assert (state, dstate, grads) == (None, None, {})
    expected_y, expected_dx = np.zeros(y.shape), np.zeros(x.shape)
    for n in range(x.shape[1]):
        length = len(x) if lengths is None else lengths[n]
        own, origin = plainly(layer, x[:length, n])
        expected_y[: len(own), n] = own
        for i, d in np.ndindex(own.shape):
            if origin[i, d] >= 0:
                expected_dx[origin[i, d], n, d] += dy[i, n, d]
        assert layer.lengths_out(np.array([length])).tolist() == [len(own)]
    assert_array_equal(y, expected_y)
    assert_array_equal(dx, expected_dx)


@padded
@layers
def test_they_are_what_plain_loops_say(layer, lengths):
    assert_plain(layer, X, lengths)
    assert_plain(layer, np.abs(X), lengths)
    assert_plain(layer, -np.abs(X), lengths)  # the zeros of the padding are larger, and must not win


@layers
@given(
    x=st.tuples(st.integers(3, 9), st.integers(1, 3), st.just(2)).flatmap(
        lambda shape: arrays(np.float64, shape, elements=st.sampled_from([-2.0, -1.0, 0.0, 1.0]))
    ),
    data=st.data(),
)
@settings(max_examples=30)
def test_of_equals_the_first_has_the_gradient(layer, x, data):
    sizes = st.lists(st.integers(0, len(x)), min_size=x.shape[1], max_size=x.shape[1])
    assert_plain(layer, x, data.draw(st.none() | sizes))


def test_ties_and_rests_by_hand():
    x = np.array([2, 2, -1, -3, 5.0])[:, None, None]
    y, _, cache = MaxPool1D(2).forward(x)
    assert y.ravel().tolist() == [2, -1]
    dx, _, _ = MaxPool1D(2).backward(np.array([[[10.0]], [[20.0]]]), cache)
    assert dx.ravel().tolist() == [10, 0, 20, 0, 0]  # the fifth step is left over
    y, _, cache = GlobalMaxPool1D().forward(np.array([1, 4, 4.0])[:, None, None])
    assert y.ravel().tolist() == [4]
    assert GlobalMaxPool1D().backward(np.full((1, 1, 1), 3.0), cache)[0].ravel().tolist() == [0, 3, 0]
    y, _, cache = ReLU().forward(np.array([-1, 0, 2.0])[:, None, None])
    assert y.ravel().tolist() == [0, 0, 2]
    assert ReLU().backward(np.ones((3, 1, 1)), cache)[0].ravel().tolist() == [0, 0, 1]


def test_two_is_the_size_by_default_and_one_changes_nothing():
    assert MaxPool1D().size == 2
    y, _, cache = MaxPool1D(1).forward(X)
    assert_array_equal(y, X)
    assert_array_equal(MaxPool1D(1).backward(X, cache)[0], X)


@pytest.mark.parametrize("shift", [0, -9], ids=["both signs", "negative"])
@pytest.mark.parametrize("lengths", [None, [5, 0, 7, 2], [0, 0, 0, 0], [1, 6, 3, 4]], ids=str)
@layers
def test_every_gradient_is_right(layer, lengths, shift):
    errors = gradcheck.check_layer(layer, X + shift, lengths)
    assert [error.what for error in errors] == ["x"]
    assert all(error.ok for error in errors)


@padded
@layers
def test_arguments_are_left_alone_and_the_dtype_is_kept(layer, lengths):
    x = X.astype(np.float32)
    x.flags.writeable = False
    y, _, cache = layer.forward(x, lengths=lengths)
    dy = y + 1
    dy.flags.writeable = False
    dx, _, _ = layer.backward(dy, cache)
    assert y.dtype == dx.dtype == np.float32
    for i, one in enumerate((x, y, dy, dx)):
        assert not any(np.shares_memory(one, other) for other in (x, y, dy, dx)[:i])
    assert_array_equal(layer.backward(dy, cache)[0], dx)
    lean, _, nothing = layer.forward(x, lengths=lengths, cache=False)
    assert nothing is None
    assert_array_equal(lean, y)


CONVOLUTIONS = {
    "CausalConv1D": CausalConv1D(D, D, 3, 2, np.float64, 0),
    "GatedBlock": GatedBlock(D, 2, 3, 2, np.float64, 0),
    "GatedStack": GatedStack(D, 2, 2, (1, 2), np.float64, 0),
}


@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e300, -7])
@pytest.mark.parametrize("layer", [*LAYERS.values(), *CONVOLUTIONS.values()], ids=[*LAYERS, *CONVOLUTIONS])
def test_what_stands_in_the_padding_of_x_and_dy_does_not_matter(layer, garbage):
    y, _, cache = layer.forward(X, lengths=LENGTHS)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dx, _, grads = layer.backward(dy, cache)
    x = np.where((np.arange(T)[:, None] < LENGTHS)[..., None], X, garbage)
    dy = np.where((np.arange(len(y))[:, None] < layer.lengths_out(LENGTHS))[..., None], dy, garbage)
    dirty, _, cache = layer.forward(x, lengths=LENGTHS)
    assert_array_equal(dirty, y)
    dx_dirty, _, grads_dirty = layer.backward(dy, cache)
    assert_array_equal(dx_dirty, dx)
    for name in grads:
        assert_allclose(grads_dirty[name], grads[name], rtol=1e-12)


def error(*parts):
    """Expects a NumpyrnnError of one line, whose message has these parts, in this order."""
    return pytest.raises(NumpyrnnError, match="^" + ".*".join(re.escape(part) for part in parts) + ".*$")


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "2"])
def test_a_size_is_a_whole_number(size):
    with error("size must be a whole number of at least 1, got ", repr(size)):
        MaxPool1D(size)


def test_a_group_needs_its_steps():
    with error("x of MaxPool1D(size=3) must have at least 3 steps, got 2"):
        MaxPool1D(3).forward(X[:2])
    y, _, _ = MaxPool1D(3).forward(X[:3], lengths=[2, 3, 0, 1])  # but a short sequence among long ones has no group
    assert_array_equal(y[0].any(axis=1), [False, True, False, False])


@layers
def test_passes_say_what_they_need(layer):
    y, _, cache = layer.forward(X)
    with error(f"x of {layer!r} must be floating (T, N, D), got int64 of shape (7, 4, 3)"):
        layer.forward(X.astype(int))
    with error(f"x of {layer!r} must be floating (T, N, D), got int64 of shape (7, 4)"):
        layer.forward(np.zeros((T, N), int))
    with error(f"x of {layer!r} must be floating (T, N, D), got float64 of shape (7, 4)"):
        layer.forward(X[..., 0])
    with error("x must be finite, got inf at index (0, 0, 0)"):
        layer.forward(np.where(X[0, 0, 0] == X, np.inf, X))
    with error("x must have at least one step, one sequence and one feature, got shape (7, 0, 3)"):
        layer.forward(X[:, :0])
    with error("lengths must be integers from 0 to T = 7, got"):
        layer.forward(X, lengths=[1, 2, 3, 8])
    with error("lengths must have shape (4,), got (3,)"):
        layer.forward(X, lengths=[1, 2, 3])
    with error(f"{layer!r} has no state: state must be None, got ndarray"):
        layer.forward(X, y)
    with error(f"{layer!r} has no state: dstate must be None, got ndarray"):
        layer.backward(y, cache, y)
    with error(f"dy must have shape {y.shape}, got {(*y.shape[:2], D + 1)}"):
        layer.backward(np.zeros((*y.shape[:2], D + 1)), cache)
    with error("backward needs the cache of forward(..., cache=True), got None"):
        layer.backward(y, layer.forward(X, cache=False)[2])
    with error("grads must have the names"):
        layer.backward(y, cache, grads={"W": y})


@layers
def test_a_layer_that_may_be_read_in_pieces_gives_at_the_end_what_it_gives_at_once(layer):
    whole, *pieces = (layer(X[start:])[-1] for start in (0, 3, 4))  # none of these layers has a state to carry over
    assert layer.stepwise == all(np.array_equal(whole, piece) for piece in pieces)
