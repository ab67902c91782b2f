"""The cells, one step at a time and without the loops: their equations by hand, and the way back."""

from math import log, tanh

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import cells, fast

pytestmark = pytest.mark.usefixtures("back_end")
KINDS = [cells.RNN, cells.LSTM, cells.HardLSTM, cells.GRU]
kinds = pytest.mark.parametrize("kind", KINDS)
H, N = 3, 2


def prepared(kind, T, N, H, own=None):
    """A cell for T steps, whose b is zero, of the chosen back end."""
    p = {name: np.zeros(shape) for name, shape in kind.shapes(1, H).items()} | (own or {})
    return fast.compiled_cell(kind)(p, T, N, np.zeros)


def step(cell, t, x, hWh, states):
    """Run step t, from x Wx + b, h Wh and the states before it."""
    scale = np.broadcast_to(cell.scale, len(x))[:, None, None]
    cell.z[:, t] = x * scale
    cell.hWh[...] = hWh * scale[: len(hWh)]
    for array, state in zip(cell.states, states, strict=True):
        array[t] = state
    cell.forward(t, cell.N)


# Sums for which the values are known: sigmoid(ln 3) = 3/4, sigmoid(-ln 3) = 1/4, tanh(ln 2) = 3/5
THREE, ONE_THIRD, TWO = log(3), -log(3), log(2)


@pytest.mark.parametrize(
    ("kind", "x", "hWh", "states", "own", "expected"),
    [
        (cells.RNN, [0.5], [TWO - 0.5], [9], {}, [3 / 5]),
        # o = 3/4, i = 1/2, f = 1/4, g = 3/5: c = 1/2 3/5 + 1/4 2 = 0.8
        (cells.LSTM, [THREE - 1, 2, ONE_THIRD, 0], [1, -2, 0, TWO], [9, 2], {}, [0.75 * tanh(0.8), 0.8]),
        # o = 1/5 + 1/2, i = -1/5 + 1/2, f = 5/5 + 1/2 > 1, g = 3/5: c = 0.3 3/5 + 1 2 = 2.18
        (cells.HardLSTM, [3, 0, 4, TWO], [-2, -1, 1, 0], [9, 2], {}, [0.7 * tanh(2.18), 2.18]),
        # o = -5/5 + 1/2 < 0, i = 1/2, f = 1/2
        (cells.HardLSTM, [-5, 0, 0, TWO], [0, 0, 0, 0], [9, 2], {}, [0, 1.3]),
        # r = 3/4, z = 1/4, u = 0.5 + 0.3, n = tanh(ln 2 - 0.6 + 3/4 0.8) = 3/5: h = 3/5 + 1/4 (1 - 3/5)
        (cells.GRU, [THREE, 1, TWO - 0.6], [0, ONE_THIRD - 1, 0.5], [1], {"bh": np.array([0.3])}, [0.7]),
    ],
    ids=["RNN", "LSTM", "HardLSTM", "HardLSTM, closed", "GRU"],
)
def test_a_step_of_one_unit_is_the_docstrings_equations(kind, x, hWh, states, own, expected):
    cell = prepared(kind, 1, 1, 1, own)
    step(cell, 0, *(np.reshape(part, (-1, 1, 1)) for part in (x, hWh, states)))
    assert_allclose([state[1].item() for state in cell.states], expected, rtol=1e-14, atol=1e-15)


@kinds
def test_a_sequence_that_has_ended_is_left_at_zero(kind):
    cell, rng = prepared(kind, 1, 3, H), np.random.default_rng(0)
    cell.z[...], cell.hWh[...] = rng.standard_normal(cell.z.shape), rng.standard_normal(cell.hWh.shape)
    for state in cell.states:
        state[0] = rng.standard_normal(state[0].shape)
    cell.forward(0, 2)
    for state in cell.states:
        assert state[1, :2].any(axis=1).all()
        assert not state[1, 2:].any()


@kinds
def test_states_have_the_sizes_and_parameters_the_shapes_that_are_stated(kind):
    cell = prepared(kind, 4, N, H)
    assert [state.shape for state in cell.states] == [(5, N, size) for size in kind.state_sizes(H)]
    assert len(cell.states) == kind.n_states
    assert cell.z.shape == (kind.gates, 4, N, H)
    shapes = kind.shapes(5, H)
    assert list(shapes)[:3] == ["Wx", "Wh", "b"]
    assert (shapes["Wx"], shapes["b"]) == ((kind.gates, 5, H), (kind.gates, H))
    assert len(cell.hWh) == shapes["Wh"][0]


# The way back


def inputs(kind):
    """All that a step depends on: x Wx + b, h Wh, the states before it, parameters of the cell's own."""
    rng, shapes = np.random.default_rng(0), kind.shapes(1, H)
    arrays = {"x": (kind.gates, N, H), "hWh": (shapes["Wh"][0], N, H)}
    arrays |= {f"state {i}": (N, size) for i, size in enumerate(kind.state_sizes(H))}
    arrays |= {name: shape for name, shape in shapes.items() if name not in ("Wx", "Wh", "b")}
    return {name: rng.normal(0, 1.5, shape) for name, shape in arrays.items()}


def run(kind, arrays):
    """A cell that has made three steps, the last one from `arrays`, those before it from others."""
    own = {name: array for name, array in arrays.items() if name in kind.shapes(1, H)}
    cell = prepared(kind, 3, N, H, own)
    for t, source in enumerate((inputs(kind), inputs(kind), arrays)):
        step(cell, t, source["x"] / (3 - t), source["hWh"], [source[f"state {i}"] for i in range(kind.n_states)])
    return cell


def back(kind, cell, dstates, n=N):
    """The gradients of what the third step depends on, by `slopes` and `backward`; n sequences are still running."""
    dh, *others = dstates
    dz, dback = np.zeros((kind.slabs or kind.gates, 3, N, H)), np.zeros((kind.straight + len(cell.hWh), N, H))
    dy = np.zeros((3, N, H))
    if cell.sums_back:  # it takes dh in two parts
        dy[2], dback[-1] = 0.25 * dh, 0.75 * dh
    cell.start_back(dy, dz, dback, [dh.copy(), *(d.copy() for d in others)])
    cell.slopes(slice(1, 3))
    cell.backward(2, n)
    dz[:, :2] = 0
    grads = {"x": dz[: kind.gates, 2], "hWh": np.empty_like(cell.hWh)}
    for slabs, gates in kind.from_h:
        grads["hWh"][gates] = dz[slabs, 2]
    grads["state 0"] = dback[0] if kind.straight else np.zeros_like(dh)
    grads |= {f"state {i}": d for i, d in enumerate(cell.dstates[1:], 1)}
    own = {name: np.full_like(array, np.nan) for name, array in cell.p.items() if name not in ("Wx", "Wh", "b")}
    cell.own_gradients(own)
    return grads | own


@kinds
def test_a_step_back_is_the_slope_of_the_step_forward(kind):
    arrays, rng = inputs(kind), np.random.default_rng(1)
    cell = run(kind, arrays)
    dstates = [rng.standard_normal(state[0].shape) for state in cell.states]
    if kind is cells.HardLSTM:  # some gates saturate, some do not
        gates = cell.z[:3, 2]
        assert len({*((gates > 0) & (gates < 1)).ravel().tolist()}) == 2

    def weighted(arrays):
        states = run(kind, arrays).states
        return sum((state[3] * d).sum() for state, d in zip(states, dstates, strict=True))

    gradients = back(kind, cell, dstates)
    assert gradients.keys() == arrays.keys()
    for name, array in arrays.items():
        for place in np.ndindex(array.shape):
            change = np.zeros_like(array)
            change[place] = 1e-6
            up, down = (weighted(arrays | {name: array + sign * change}) for sign in (1, -1))
            assert_allclose(gradients[name][place], (up - down) / 2e-6, rtol=1e-7, atol=1e-8, err_msg=f"{name} {place}")


@kinds
def test_a_step_back_takes_only_the_sequences_that_run(kind):
    rng, cell = np.random.default_rng(1), run(kind, inputs(kind))
    dstates = [rng.standard_normal(state[0].shape) for state in cell.states]
    whole, part = back(kind, cell, dstates), back(kind, run(kind, inputs(kind)), dstates, n=1)
    for name in inputs(kind).keys() - kind.shapes(1, H).keys():
        assert_allclose(part[name][..., :1, :], whole[name][..., :1, :], rtol=1e-12, err_msg=name)
    for i, given in enumerate(dstates[1:], 1):  # after its end a sequence's gradient waits
        assert_array_equal(part[f"state {i}"][1:], given[1:])
