"""Shared by the tests of recurrent layers: layers, their inputs, and the results of both passes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from numpyrnn import GRU, LSTM, RNN
from numpyrnn.activations import sigmoid
from numpyrnn.cells import Cell
from numpyrnn.layer import glorot, leaves
from numpyrnn.recurrent import Recurrent

T, N, D, H = 7, 5, 4, 6
LENGTHS = np.array([3, 7, 0, 1, 7])
LENGTHS.flags.writeable = False


def hard_lstm(input_size, hidden_size, dtype=np.float32, rng=None):
    """An LSTM whose gates o, i and f are at 0, at 1, and between."""
    layer = LSTM(input_size, hidden_size, dtype, rng, hard_sigmoid=True)
    layer.params.flat[...] *= 4
    return layer


class ProjectedCell(Cell):
    """LSTM with a projection (Sak et al. 2014): h = (o tanh(c)) Wp, so that h is smaller than c."""

    gates, n_states = 4, 2
    P = 2

    @classmethod
    def shapes(cls, D, H):
        return {"Wx": (4, D, H), "Wh": (4, cls.P, H), "b": (4, H), "Wp": (H, cls.P)}

    @classmethod
    def state_sizes(cls, H):
        return cls.P, H

    def at(self, t, n):
        h, c = self.states
        return self.z[:, t, :n], self.hWh[:, :n], c[t, :n], c[t + 1, :n], h[t + 1, :n]

    def step(self, x, views):
        z, hWh, c_prev, c, h = views
        z[...] = x + hWh
        z[:3], z[3] = sigmoid(z[:3]), np.tanh(z[3])
        c[...] = z[1] * z[3] + z[2] * c_prev
        h[...] = (z[0] * np.tanh(c)) @ self.p["Wp"]

    def backward(self, t, n):
        (o, i, f, g), c, dz, (dh, dc) = self.z[:, t, :n], self.states[1], self.dz[:, t, :n], self.dstates
        dm, dc, tanh_c = dh[:n] @ self.p["Wp"].T, dc[:n], np.tanh(c[t + 1, :n])
        dc += dm * o * (1 - tanh_c**2)
        dz[0] = dm * tanh_c * o * (1 - o)
        dz[1], dz[2], dz[3] = dc * g * i * (1 - i), dc * c[t, :n] * f * (1 - f), dc * i * (1 - g**2)
        dc *= f
        self.dWp = getattr(self, "dWp", 0) + (o * tanh_c).T @ dh[:n]

    def own_gradients(self, grads):
        grads["Wp"][...] = self.dWp
        del self.dWp  # a second backward pass over the same cell must start afresh


class WideCell(ProjectedCell):
    """A projected cell with more features of h than of c."""

    P = 9


class Projected(Recurrent):
    cell = ProjectedCell

    def __init__(self, *sizes, rng=None, **settings):
        rng = np.random.default_rng(rng)
        super().__init__(*sizes, rng=rng, **settings)
        self.params["Wp"] = glorot(rng, *self.params["Wp"].shape)


class Widened(Projected):
    cell = WideCell


KINDS = [RNN, LSTM, GRU, hard_lstm]
kinds = pytest.mark.parametrize("kind", KINDS)
every_kind = pytest.mark.parametrize("kind", [*KINDS, Projected, Widened])


def make(kind, dtype=np.float64, input_size=D, hidden_size=H):
    """A layer whose biases are not zero."""
    layer = kind(input_size, hidden_size, dtype=dtype, rng=0)
    layer.params.flat[...] += np.random.default_rng(1).normal(0, 0.3, layer.params.flat.shape)
    return layer


def draw(layer, steps=T):
    """x, initial state, dy and dstate for N sequences."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((steps, N, layer.input_size)).astype(layer.dtype)
    dy = rng.standard_normal((steps, N, layer.output_size)).astype(layer.dtype)
    sizes = layer.cell.state_sizes(layer.hidden_size)
    state, dstate = (tuple(rng.standard_normal((N, size)).astype(layer.dtype) for size in sizes) for _ in range(2))
    return (x, state, dy, dstate) if len(sizes) > 1 else (x, state[0], dy, dstate[0])


def both_ways(layer, x, state, dy, dstate, lengths=None):
    """All results of forward and backward, by name."""
    y, end, cache = layer.forward(x, state, lengths)
    dx, dinitial, grads = layer.backward(dy, cache, dstate)
    return {"y": y, "end": end, "dx": dx, "dinitial": dinitial, **grads}


def assert_same(got, expected, tolerance=1e-12):
    """Assert equal names and equal arrays, also within states."""
    assert got.keys() == expected.keys()
    for name in expected:
        for one, other in zip(leaves(got[name]), leaves(expected[name]), strict=True):
            assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=name)


def at(state, rows):
    """Some rows of a state, which is h or (h, c)."""
    return tuple(part[rows] for part in state) if isinstance(state, tuple) else state[rows]
