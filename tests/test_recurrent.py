"""The fused kernels, through their layers: against the textbook, in pieces, padded, from integers, and left alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import GRU, LSTM, RNN, Dense, Dropout, Embedding, Sequential, course, gradcheck
from numpyrnn.activations import one_hot

pytestmark = pytest.mark.usefixtures("back_end")
T, N, D, H = 7, 5, 4, 6
GATES = {"o": 0, "i": 1, "f": 2, "c": 3}  # the course's names to the LSTM's slots
LENGTHS = np.array([3, 7, 0, 1, 7])
LENGTHS.flags.writeable = False


def hard_lstm(input_size, hidden_size, dtype=np.float32, rng=None):
    """An LSTM whose gates o, i and f are at 0, at 1, and between."""
    layer = LSTM(input_size, hidden_size, dtype, rng, hard_sigmoid=True)
    layer.params.flat[...] *= 4
    return layer


KINDS = [RNN, LSTM, GRU, hard_lstm]
kinds = pytest.mark.parametrize("kind", KINDS)


def make(kind, dtype=np.float64):
    """A layer whose biases are not zero."""
    layer = kind(D, H, dtype, rng=0)
    layer.params.flat[...] += np.random.default_rng(1).normal(0, 0.3, layer.params.flat.shape)
    return layer


def draw(kind, steps=T, dtype=np.float64):
    """x, initial state, dy and dstate."""
    rng = np.random.default_rng(2)
    state, dstate = rng.standard_normal((2, 2, N, H)).astype(dtype)
    x, dy = rng.standard_normal((steps, N, D)).astype(dtype), rng.standard_normal((steps, N, H)).astype(dtype)
    return (x, tuple(state), dy, tuple(dstate)) if kind in (LSTM, hard_lstm) else (x, state[0], dy, dstate[0])


def both_ways(layer, x, state, dy, dstate, lengths=None):
    """All that forward and backward give, by name."""
    y, end, cache = layer.forward(x, state, lengths)
    dx, dinitial, grads = layer.backward(dy, cache, dstate)
    return {"y": y, "end": end, "dx": dx, "dinitial": dinitial, **grads}


def assert_same(got, expected, tolerance=1e-12):
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        if array is None:
            assert got[name] is None, name
        else:
            assert_allclose(got[name], array, rtol=tolerance, atol=tolerance, err_msg=name)


def leaves(value):
    """The arrays in a state, a result or any nesting of such."""
    if isinstance(value, tuple | list):
        return [leaf for part in value for leaf in leaves(part)]
    return [] if value is None else [value]


def at(state, rows):
    """The rows of a state, be it h or (h, c)."""
    return tuple(part[rows] for part in state) if isinstance(state, tuple) else state[rows]


def major(array):
    """(T, N, H) to the course's (H, N, T), and back."""
    return array.transpose(2, 1, 0)


def textbook_rnn(layer, x, h0, dy, dh):
    """The course's functions with the layer's weights; its results under the layer's names."""
    p = {name: array.astype(np.float64) for name, array in layer.params.items()}
    parameters = {"Wax": p["Wx"].T, "Waa": p["Wh"].T, "ba": p["b"][:, None]}
    parameters |= {"Wya": np.zeros((1, H)), "by": np.zeros((1, 1))}
    a, _, caches = course.rnn_forward(major(x), h0.T, parameters)
    da = major(dy).copy()
    da[:, :, -1] += dh.T
    g = course.rnn_backward(da, caches)
    return {
        "y": major(a),
        "end": a[:, :, -1].T,
        "dx": major(g["dx"]),
        "dinitial": g["da0"].T,
        "Wx": g["dWax"].T,
        "Wh": g["dWaa"].T,
        "b": g["dba"][:, 0],
    }


def textbook_lstm(layer, x, h0, dy, dh):
    """Likewise; the course's LSTM starts from c = 0 and takes no gradient of the last c."""
    p = {name: array.astype(np.float64) for name, array in layer.params.items()}
    parameters = {"Wy": np.zeros((1, H)), "by": np.zeros((1, 1))}
    for gate, k in GATES.items():
        parameters[f"W{gate}"] = np.concatenate([p["Wh"][k], p["Wx"][k]]).T  # over [a; x]
        parameters[f"b{gate}"] = p["b"][k][:, None]
    a, _, c, caches = course.lstm_forward(major(x), h0.T, parameters)
    da = major(dy).copy()
    da[:, :, -1] += dh.T
    g = course.lstm_backward(da, caches)
    return {
        "y": major(a),
        "end": (a[:, :, -1].T, c[:, :, -1].T),
        "dx": major(g["dx"]),
        "dinitial": g["da0"].T,
        "Wx": np.stack([g[f"dW{gate}"][:, H:].T for gate in GATES]),
        "Wh": np.stack([g[f"dW{gate}"][:, :H].T for gate in GATES]),
        "b": np.stack([g[f"db{gate}"][:, 0] for gate in GATES]),
    }


def textbook_gru(layer, x, h):
    """The equations of the GRU's docstring, a step at a time: y."""
    (Wx_r, Wx_z, Wx_n), (Wh_r, Wh_z, Wh_n), (b_r, b_z, b_n), bh = layer.params.values()
    y = []
    for x_t in x:
        r = 1 / (1 + np.exp(-(x_t @ Wx_r + h @ Wh_r + b_r)))
        z = 1 / (1 + np.exp(-(x_t @ Wx_z + h @ Wh_z + b_z)))
        n = np.tanh(x_t @ Wx_n + b_n + r * (h @ Wh_n + bh))
        h = (1 - z) * n + z * h
        y.append(h)
    return np.stack(y)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_fused_rnn_is_the_textbooks(dtype, tolerance):
    layer, arguments = make(RNN, dtype), draw(RNN, dtype=dtype)
    assert_same(both_ways(layer, *arguments), textbook_rnn(layer, *arguments), tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_fused_lstm_is_the_textbooks(dtype, tolerance):
    layer = make(LSTM, dtype)
    x, (h0, c0), dy, (dh, dc) = draw(LSTM, dtype=dtype)
    got = both_ways(layer, x, (h0, 0 * c0), dy, (dh, 0 * dc))
    assert_same(got | {"dinitial": got["dinitial"][0]}, textbook_lstm(layer, x, h0, dy, dh), tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_fused_gru_is_its_equations(dtype, tolerance):
    layer = make(GRU, dtype)
    x, h0, *_ = draw(GRU, dtype=dtype)
    y, end, _ = layer.forward(x, h0)
    expected = textbook_gru(layer, x.astype(np.float64), h0.astype(np.float64))
    assert_same({"y": y, "end": end}, {"y": expected, "end": expected[-1]}, tolerance)


@kinds
def test_one_pass_is_three_chunks_that_carry_their_state(kind):
    layer, (x, state, dy, dstate) = make(kind), draw(kind)
    whole = both_ways(layer, x, state, dy, dstate)
    chunks = [slice(0, 3), slice(3, 4), slice(4, T)]
    y, dx, caches = np.empty_like(dy), np.empty_like(x), []
    for chunk in chunks:
        y[chunk], state, cache = layer.forward(x[chunk], state)
        caches.append(cache)
    total = layer.params.zeros_like()
    for chunk, cache in zip(chunks[::-1], caches[::-1], strict=True):
        dx[chunk], dstate, grads = layer.backward(dy[chunk], cache, dstate)
        total.flat += grads.flat
    assert_same({"y": y, "end": state, "dx": dx, "dinitial": dstate, **total}, whole)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@pytest.mark.parametrize("kind", [*KINDS, Dense])
def test_integers_are_one_hot_rows(kind, lengths):
    layer = make(kind)
    _, state, dy, dstate = draw(kind)
    if kind is Dense:
        state = dstate = None
    ids = np.random.default_rng(4).integers(0, D, (T, N))
    from_ids = both_ways(layer, ids, state, dy, dstate, lengths)
    from_rows = both_ways(layer, one_hot(ids, D, np.float64), state, dy, dstate, lengths)
    assert from_ids.pop("dx") is None
    assert from_rows.pop("dx").shape == (T, N, D)
    assert_same(from_ids, from_rows)


@kinds
def test_a_padded_batch_is_each_sequence_alone(kind):
    layer, (x, state, dy, dstate) = make(kind), draw(kind)
    batch = both_ways(layer, x, state, dy, dstate, LENGTHS)
    total = layer.params.zeros_like()
    for n, length in enumerate(LENGTHS):
        assert not batch["y"][length:, n].any()
        assert not batch["dx"][length:, n].any()
        one = [n]
        got = {"end": at(batch["end"], one), "dinitial": at(batch["dinitial"], one)}
        if length == 0:
            assert_same(got, {"end": at(state, one), "dinitial": at(dstate, one)})
            continue
        alone = both_ways(layer, x[:length, one], at(state, one), dy[:length, one], at(dstate, one))
        got |= {"y": batch["y"][:length, one], "dx": batch["dx"][:length, one]}
        assert_same(got, {name: alone[name] for name in got})
        for name in total:
            total[name] += alone[name]
    assert_same({name: batch[name] for name in total}, total)


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


@pytest.mark.parametrize("steps", [1, 31, 32, 33, 70])
@pytest.mark.parametrize("padded", [False, True])
@kinds
def test_without_cache_the_numbers_are_the_same(kind, padded, steps):
    layer, (x, state, *_) = make(kind), draw(kind, steps)
    lengths = np.array([steps // 2, steps, 0, min(steps, 32), steps - 1]) if padded else None
    y, end, cache = layer.forward(x, state, lengths, cache=False)
    y_kept, end_kept, kept = layer.forward(x, state, lengths)
    assert cache is None
    assert kept is not None
    assert_same({"y": y, "end": end}, {"y": y_kept, "end": end_kept})


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@pytest.mark.parametrize("integers", [False, True], ids=["floats", "integers"])
@kinds
def test_arguments_are_never_written_to(kind, integers, lengths):
    layer, (x, state, dy, dstate) = make(kind), draw(kind)
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


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@kinds
def test_backward_twice_over_one_cache_gives_the_same(kind, lengths):
    layer, (x, state, dy, dstate) = make(kind), draw(kind)
    _, _, cache = layer.forward(x, state, lengths)
    (dx, dinitial, grads), (dx_2, dinitial_2, grads_2) = (layer.backward(dy, cache, dstate) for _ in range(2))
    assert_same({"dx": dx_2, "dinitial": dinitial_2, **grads_2}, {"dx": dx, "dinitial": dinitial, **grads})
    assert not np.shares_memory(grads.flat, grads_2.flat)


@kinds
def test_results_share_no_memory_with_arguments_or_with_each_other(kind):
    layer, (x, state, dy, dstate) = make(kind), draw(kind)
    y, end, cache = layer.forward(x, state)
    dx, dinitial, grads = layer.backward(dy, cache, dstate)
    results = leaves((y, end, dx, dinitial, grads.flat))
    arguments = leaves((x, state, dy, dstate, layer.params.flat))
    for i, result in enumerate(results):
        assert not any(np.shares_memory(result, other) for other in arguments + results[:i])


@kinds
def test_y_cannot_be_written_to_while_a_cache_holds_it(kind):
    layer, (x, *_) = make(kind), draw(kind)
    y, _, _ = layer.forward(x)
    with pytest.raises(ValueError, match="read-only"):
        y[...] = 0
    y, _, _ = layer.forward(x, cache=False)
    y[...] = 0


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
    layer, (x, state, dy, dstate) = make(kind, np.float32), draw(kind)  # arguments of float64 are taken
    if integers:
        x = np.random.default_rng(6).integers(0, D, (T, N))
    results = both_ways(layer, x, state, dy, dstate, lengths)
    dtypes = {name: {leaf.dtype for leaf in leaves(result)} for name, result in results.items()}
    assert all(dtype <= {np.dtype(np.float32)} for dtype in dtypes.values()), dtypes
    y, end, _ = layer.forward(x, state, lengths, cache=False)
    assert {leaf.dtype for leaf in leaves((y, end))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@kinds
def test_forward_takes_complex_numbers(kind, lengths):
    layer, (x, state, *_) = make(kind), draw(kind)
    y, end, _ = layer.forward(x, state, lengths)
    y_complex, end_complex, _ = layer.copy(np.complex128).forward(x.astype(np.complex128), state, lengths)
    assert y_complex.dtype == np.complex128
    assert_same({"y": y_complex, "end": end_complex}, {"y": y, "end": end})


@kinds
def test_a_gradient_of_zero_gives_zeros(kind):
    layer, (x, state, dy, _) = make(kind), draw(kind)
    results = both_ways(layer, x, state, 0 * dy, None)
    assert not any(np.any(results[name]) for name in results.keys() - {"y", "end"})


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
    x, state, *_ = draw(LSTM, dtype=dtype)
    y, end, _ = layer.forward(x, state)
    h, c, gates = plain_hard_lstm(layer, x.astype(np.float64), state)
    for gate in gates.T:  # each of o, i and f
        assert {0, 1} < set(gate.tolist())
    assert_same({"y": y, "h": end[0], "c": end[1]}, {"y": h, "h": h[-1], "c": c[-1]}, tolerance)


@pytest.mark.parametrize("lengths", [None, [4, 0, 2]], ids=["full", "padded"])
def test_gradients_of_the_hard_lstm_are_right_where_gates_are_at_their_ends_and_where_not(lengths):
    layer, (x, (h, c), *_) = make(hard_lstm), draw(LSTM)
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
