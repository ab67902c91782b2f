"""The loops over a sequence: the textbook's numbers, in pieces, padded, from integers, of one row, in blocks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from passes import LENGTHS, D, H, N, Projected, T, Widened, assert_same, at, both_ways, draw, every_kind, make

from numpyrnn import GRU, LSTM, RNN, cells, course, gradcheck, products, unroll
from numpyrnn.layer import leaves

pytestmark = pytest.mark.usefixtures("back_end")
GATES = {"o": 0, "i": 1, "f": 2, "c": 3}  # the course's names to the LSTM's slots


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
    layer = make(RNN, dtype)
    arguments = draw(layer)
    assert_same(both_ways(layer, *arguments), textbook_rnn(layer, *arguments), tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_fused_lstm_is_the_textbooks(dtype, tolerance):
    layer = make(LSTM, dtype)
    x, (h0, c0), dy, (dh, dc) = draw(layer)
    got = both_ways(layer, x, (h0, 0 * c0), dy, (dh, 0 * dc))
    assert_same(got | {"dinitial": got["dinitial"][0]}, textbook_lstm(layer, x, h0, dy, dh), tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_fused_gru_is_its_equations(dtype, tolerance):
    layer = make(GRU, dtype)
    x, h0, *_ = draw(layer)
    y, end, _ = layer.forward(x, h0)
    expected = textbook_gru(layer, x.astype(np.float64), h0.astype(np.float64))
    assert_same({"y": y, "end": end}, {"y": expected, "end": expected[-1]}, tolerance)


@every_kind
def test_one_pass_is_three_chunks_that_carry_their_state(kind):
    layer = make(kind)
    x, state, dy, dstate = draw(layer)
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
@every_kind
def test_integers_are_one_hot_rows(kind, lengths):
    layer = make(kind)
    _, state, dy, dstate = draw(layer)
    ids = np.random.default_rng(4).integers(0, D, (T, N))
    from_ids = both_ways(layer, ids, state, dy, dstate, lengths)
    from_rows = both_ways(layer, np.eye(D)[ids], state, dy, dstate, lengths)
    assert from_ids.pop("dx") is None
    assert from_rows.pop("dx").shape == (T, N, D)
    assert_same(from_ids, from_rows)


@every_kind
def test_a_padded_batch_is_each_sequence_alone(kind):
    layer = make(kind)
    x, state, dy, dstate = draw(layer)
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


@pytest.mark.parametrize("steps", [1, 31, 32, 33, 70])
@pytest.mark.parametrize("padded", [False, True])
@every_kind
def test_without_cache_the_numbers_are_the_same(kind, padded, steps):
    layer = make(kind)
    x, state, *_ = draw(layer, steps)
    lengths = np.array([steps // 2, steps, 0, min(steps, 32), steps - 1]) if padded else None
    y, end, cache = layer.forward(x, state, lengths, cache=False)
    y_kept, end_kept, kept = layer.forward(x, state, lengths)
    assert cache is None
    assert kept is not None
    assert_same({"y": y, "end": end}, {"y": y_kept, "end": end_kept})


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@every_kind
def test_backward_twice_over_one_cache_gives_the_same(kind, lengths):
    layer = make(kind)
    x, state, dy, dstate = draw(layer)
    _, _, cache = layer.forward(x, state, lengths)
    (dx, dinitial, grads), (dx_2, dinitial_2, grads_2) = (layer.backward(dy, cache, dstate) for _ in range(2))
    assert_same({"dx": dx_2, "dinitial": dinitial_2, **grads_2}, {"dx": dx, "dinitial": dinitial, **grads})
    assert not np.shares_memory(grads.flat, grads_2.flat)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@every_kind
def test_forward_takes_complex_numbers(kind, lengths):
    layer = make(kind)
    x, state, *_ = draw(layer)
    y, end, _ = layer.forward(x, state, lengths)
    y_complex, end_complex, _ = layer.copy(np.complex128).forward(x.astype(np.complex128), state, lengths)
    assert y_complex.dtype == np.complex128
    assert_same({"y": y_complex, "end": end_complex}, {"y": y, "end": end})


@every_kind
def test_a_gradient_of_zero_gives_zeros(kind):
    layer = make(kind)
    x, state, dy, _ = draw(layer)
    results = both_ways(layer, x, state, 0 * dy, None)
    assert not any(np.any(part) for name in results.keys() - {"y", "end"} for part in leaves(results[name]))


class Steeper(cells.RNN):
    """h = tanh(3 z)."""

    scale = (3.0,)

    def backward(self, t, n):
        super().backward(t, n)
        self.dz[0, t, :n] *= 3


class SteeperRNN(RNN):
    cell = Steeper


def test_scale_multiplies_the_sums_of_the_gates_above_one_too():
    steeper, plain = make(SteeperRNN), make(RNN)
    plain.params.flat[...] *= 3
    x, *_ = draw(plain)
    assert_allclose(steeper(x), plain(x), rtol=1e-12)
    gradcheck.assert_gradients(steeper, x[:3, :2])


# Blocks of steps whose slopes are formed at once


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@pytest.mark.parametrize("at_once", [0, 1, 2, 3, T - 1, T, 100])  # 0: a single step has more numbers than a block
@every_kind
def test_slopes_of_any_number_of_steps_at_once_give_the_same_bits(monkeypatch, kind, at_once, lengths):
    layer = make(kind)
    arguments = draw(layer)
    expected = both_ways(layer, *arguments, lengths)
    monkeypatch.setattr(unroll, "BLOCK", at_once * N * H)
    for name, got in both_ways(layer, *arguments, lengths).items():
        for one, other in zip(leaves(got), leaves(expected[name]), strict=True):
            assert_array_equal(one, other, err_msg=name)


# One sequence


def assert_one_is_the_first_of_two(kind, steps, hidden_size, tolerance):
    """One sequence alone, and a batch of two copies of it, whose products are computed in another way."""
    layer = make(kind, hidden_size=hidden_size)
    x, state, dy, dstate = draw(layer, steps)
    one, two = ([part[..., rows, :] for part in (x, dy)] for rows in ([0], [0, 0]))
    alone, twice = (
        both_ways(layer, x, at(state, rows), dy, at(dstate, rows)) for (x, dy), rows in ((one, [0]), (two, [0, 0]))
    )
    for name in ("y", "dx"):
        twice[name] = twice[name][:, :1]
    twice |= {name: at(twice[name], [0]) for name in ("end", "dinitial")}
    twice |= {name: twice[name] / 2 for name in layer.params}
    assert_same(alone, twice, tolerance)


STEPS = [1, products.WORTH_A_COPY - 1, products.WORTH_A_COPY, 20]


@pytest.mark.parametrize("steps", STEPS)
@every_kind
def test_one_sequence_is_as_of_several(kind, steps):
    assert_one_is_the_first_of_two(kind, steps, H, 1e-12)


@pytest.mark.parametrize("steps", [products.WORTH_A_COPY - 1, products.WORTH_A_COPY])
@pytest.mark.parametrize(
    ("kind", "hidden_size"), [(RNN, 256), (RNN, 257), (LSTM, 128), (LSTM, 129), (GRU, 147), (GRU, 148)]
)
def test_one_sequence_is_as_of_several_with_weights_up_to_the_limit_and_above(kind, hidden_size, steps):
    size = make(kind, hidden_size=hidden_size).params["Wh"].size
    assert abs(size - products.ONE_ROW) < 0.03 * products.ONE_ROW
    assert_one_is_the_first_of_two(kind, steps, hidden_size, 1e-9)


# States of different sizes


@pytest.mark.parametrize("lengths", [None, [4, 0, 2]], ids=["full", "padded"])
@pytest.mark.parametrize("kind", [Projected, Widened])
def test_gradients_with_an_h_of_another_size_than_c_are_right(kind, lengths):
    layer = make(kind, input_size=2, hidden_size=3)
    assert layer.cell.state_sizes(3) == (layer.output_size, 3)
    report = gradcheck.assert_gradients(layer, draw(layer, 4)[0][:, :3], lengths)
    assert {error.what for error in report} == {"Wx", "Wh", "b", "Wp", "x", "state 0", "state 1"}


@pytest.mark.parametrize("steps", [1, products.WORTH_A_COPY + 1])
@pytest.mark.parametrize("kind", [Projected, Widened])
def test_and_of_one_sequence(kind, steps):
    layer = make(kind, input_size=2, hidden_size=3)
    gradcheck.assert_gradients(layer, draw(layer, steps)[0][:, :1])
    ids = np.random.default_rng(0).integers(0, 2, (steps, 1))
    gradcheck.assert_gradients(layer, ids)


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
@pytest.mark.parametrize("T", [2, 9, 40])
@pytest.mark.parametrize("length", [0, 1, 7])
def test_one_padded_sequence_is_that_sequence_alone(kind, T, length):
    length, layer = min(length, T), kind(3, 4, np.float64, rng=0)
    x, dy = np.random.default_rng(1).standard_normal((2, T, 1, 4))
    y, _, cache = layer.forward(x[..., :3], lengths=[length])
    dx, _, grads = layer.backward(dy, cache)
    assert not y[length:].any()
    assert not dx[length:].any()
    if length:
        alone, _, cache = layer.forward(x[:length, :, :3])
        dx_alone, _, grads_alone = layer.backward(dy[:length], cache)
        assert_allclose(y[:length], alone, rtol=1e-12)
        assert_allclose(dx[:length], dx_alone, rtol=1e-12)
        assert_allclose(grads.flat, grads_alone.flat, rtol=1e-10, atol=1e-14)
    else:
        assert not grads.flat.any()
