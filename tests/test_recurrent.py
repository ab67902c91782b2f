"""The recurrent layers: padding, dtypes, what is left alone, where gradients go, and the hard sigmoid."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from passes import KINDS, LENGTHS, D, H, N, T, assert_same, both_ways, draw, hard_lstm, kinds, make

from numpyrnn import GRU, LSTM, RNN, Dense, Dropout, Embedding, Sequential, gradcheck
from numpyrnn.layer import leaves

pytestmark = pytest.mark.usefixtures("back_end")
STACK = "Sequential"


def name_of(kind):
    return getattr(kind, "__name__", kind)


@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e300, -7])
@pytest.mark.parametrize("kind", [*KINDS, Dense, Embedding, Dropout, STACK], ids=name_of)
def test_what_stands_in_the_padding_does_not_matter(kind, garbage):
    if kind is STACK:
        layer = Sequential(make(LSTM), GRU(H, H, np.float64, rng=3), Dense(H, H, np.float64, rng=4))
    else:
        layer = Dropout(0.5, dtype=np.float64) if kind is Dropout else make(kind)
    rng = np.random.default_rng(5)
    x = rng.integers(0, D, (T, N)) if kind is Embedding else rng.standard_normal((T, N, D))
    dy = rng.standard_normal((T, N, D if kind is Dropout else H))
    padding = np.arange(T)[:, None] >= LENGTHS
    clean = both_ways(layer, x, None, dy, None, LENGTHS)
    x[padding], dy[padding] = 99 if kind is Embedding else garbage, garbage
    dirty = both_ways(layer, x, None, dy, None, LENGTHS)
    for name, expected in clean.items():
        for got, wanted in zip(leaves(dirty[name]), leaves(expected), strict=True):
            assert_allclose(got, wanted, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@pytest.mark.parametrize("integers", [False, True], ids=["floats", "integers"])
@kinds
def test_arguments_are_never_written_to(kind, integers, lengths):
    layer = make(kind)
    x, state, dy, dstate = draw(layer)
    if integers:
        x = np.random.default_rng(6).integers(0, D, (T, N))
    arguments = [*leaves((x, state, dy, dstate)), *layer.params.values()]
    copies = [array.copy() for array in arguments]
    expected = both_ways(layer, x, state, dy, dstate, lengths)
    for array in arguments:
        array.flags.writeable = False  # from here on, writing raises
    assert_same(both_ways(layer, x, state, dy, dstate, lengths), expected)
    for array, copy in zip(arguments, copies, strict=True):
        assert_array_equal(array, copy)


@kinds
def test_results_share_no_memory_with_arguments_or_with_each_other(kind):
    layer = make(kind)
    x, state, dy, dstate = draw(layer)
    y, end, cache = layer.forward(x, state)
    dx, dinitial, grads = layer.backward(dy, cache, dstate)
    results = leaves((y, end, dx, dinitial, grads.flat))
    arguments = leaves((x, state, dy, dstate, layer.params.flat))
    for i, result in enumerate(results):
        assert not any(np.shares_memory(result, other) for other in arguments + results[:i])


@pytest.mark.parametrize("kind", [*KINDS, Dense, STACK], ids=name_of)
def test_gradients_are_written_into_the_buffer_given(kind):
    layer = Sequential(make(RNN), Dense(H, H, np.float64, rng=3)) if kind is STACK else make(kind)
    rng = np.random.default_rng(7)
    x, dy = rng.standard_normal((T, N, D)), rng.standard_normal((T, N, H))
    _, _, cache = layer.forward(x)
    _, _, expected = layer.backward(dy, cache)
    buffer = layer.params.zeros_like()
    buffer.flat[...] = np.nan
    _, _, grads = layer.backward(dy, cache, grads=buffer)
    assert grads is buffer
    assert_array_equal(buffer.flat, expected.flat)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@pytest.mark.parametrize("integers", [False, True], ids=["floats", "integers"])
@kinds
def test_float32_stays_float32(kind, integers, lengths):
    layer = make(kind, np.float32)
    x, state, dy, dstate = draw(make(kind))  # arguments of float64 are taken
    if integers:
        x = np.random.default_rng(6).integers(0, D, (T, N))
    results = both_ways(layer, x, state, dy, dstate, lengths)
    dtypes = {name: {leaf.dtype for leaf in leaves(result)} for name, result in results.items()}
    assert all(dtype <= {np.dtype(np.float32)} for dtype in dtypes.values()), dtypes
    y, end, _ = layer.forward(x, state, lengths, cache=False)
    assert {leaf.dtype for leaf in leaves((y, end))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint64])
@pytest.mark.parametrize("cache", [True, False])
def test_lengths_of_any_integer_dtype_give_the_same(dtype, cache):
    x = np.random.default_rng(0).standard_normal((40, 3, 3))
    layer = LSTM(3, 4, np.float64, 0)
    y, state, _ = layer.forward(x, lengths=np.array([35, 0, 20], dtype), cache=cache)
    expected, last, _ = layer.forward(x, lengths=[35, 0, 20])
    assert_array_equal(y, expected)
    assert_array_equal(state[1], last[1])


# The hard sigmoid


def plain_hard_lstm(layer, x, state):
    """The equations of the LSTM's docstring, one number after the other: h and c after each step, and the gates."""
    Wx, Wh, b = layer.params.values()
    (h, c), steps, gates = state, [], []
    for x_t in x:
        h_t, c_t = np.zeros_like(h), np.zeros_like(c)
        for n, j in np.ndindex(h.shape):
            z = [x_t[n] @ Wx[k, :, j] + h[n] @ Wh[k, :, j] + b[k, j] for k in range(4)]
            o, i, f = (min(max(z_k / 5 + 1 / 2, 0), 1) for z_k in z[:3])
            c_t[n, j] = i * np.tanh(z[3]) + f * c[n, j]
            h_t[n, j] = o * np.tanh(c_t[n, j])
            gates.append((o, i, f))
        h, c = h_t, c_t
        steps.append((h, c))
    return *(np.stack(states) for states in zip(*steps, strict=True)), np.array(gates)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_hard_lstm_is_its_equations(dtype, tolerance):
    layer = make(hard_lstm, dtype)
    x, state, *_ = draw(layer)
    y, end, _ = layer.forward(x, state)
    h, c, gates = plain_hard_lstm(layer, x.astype(np.float64), state)
    for gate in gates.T:  # each of o, i and f
        assert {0, 1} < set(gate.tolist())
    assert_same({"y": y, "h": end[0], "c": end[1]}, {"y": h, "h": h[-1], "c": c[-1]}, tolerance)


@pytest.mark.parametrize("lengths", [None, [4, 0, 2]], ids=["full", "padded"])
def test_gradients_of_the_hard_lstm_are_right_where_gates_are_at_their_ends_and_where_not(lengths):
    layer = make(hard_lstm)
    x, (h, c), *_ = draw(layer)
    x = x[:4, :3]
    y, before = layer.forward(x, (h[:3], c[:3]))[0], layer.params
    h_prev = np.concatenate([h[None, :3], y[:-1]])
    gates = [x @ before["Wx"][k] + h_prev @ before["Wh"][k] + before["b"][k] for k in range(3)]
    assert 0.1 < (np.abs(gates) >= 2.5).mean() < 0.9  # z / 5 + 1/2 is at an end
    errors = gradcheck.check_layer(layer, x, lengths)
    assert {error.what for error in errors} == {"Wx", "Wh", "b", "x", "state 0", "state 1"}
    assert not [error for error in errors if not error.ok]


def test_a_gate_at_its_end_lets_no_gradient_through():
    layer = LSTM(1, 1, np.float64, rng=0, hard_sigmoid=True)
    layer.params.flat[...] = 0
    layer.params["b"] = np.array([[3.0], [-3.0], [2.0], [0.5]])  # o = 1, i = 0, f = 0.9, g = tanh(0.5)
    y, (_, c), cache = layer.forward(np.ones((1, 1, 1)), (np.ones((1, 1)), np.ones((1, 1))))
    assert c.item() == pytest.approx(0.9)
    assert y.item() == pytest.approx(np.tanh(0.9))
    _, (_, dc), grads = layer.backward(np.ones((1, 1, 1)), cache)
    slope = 1 - np.tanh(0.9) ** 2
    assert_allclose(grads["b"].ravel(), [0, 0, slope / 5, 0], rtol=1e-12)
    assert dc.item() == pytest.approx(0.9 * slope)


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_the_summary_has_no_remark_on_a_cell_that_runs_as_chosen(kind):
    assert "plain" not in Sequential(kind(2, 3, rng=0)).summary()
