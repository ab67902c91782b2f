"""The cells of `numpyrnn.cells`, compiled by Numba. The loops around them are the same (`numpyrnn.unroll`).

A plain cell makes up to a dozen passes over the gates. A compiled one makes a single pass, in which each number is read
and written once, and precomputes nothing, so `slopes` is empty. Read the plain cells first: names, layouts and caches
are the same.

In the compiled functions the N sequences of a step and their H units are one axis. Constants are avoided or typed,
because a float32 times an int or a float would become a float64. Numba compiles each function when it is first called,
in a fraction of a second, and keeps the result in a cache beside this file.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import cells
from ..cells import Empty, Named
from ..checks import Array
from .math import add_product, compiled, inlined, sigmoid, tanh


class Compiled(cells.Cell):
    """The base of the compiled cells.

    Attributes
    ----------
    forward_step, backward_step : compiled functions of t, the number of units, and the arrays below
    forward_arrays, backward_arrays : methods that return these arrays
    one_step : compiled function (x, h_1, memory, W, product) for a `Stepper`, or None
        From x and `product`, which holds h Wh, it computes h (in h_1) and c (`memory`), then `product` = [h; 1] W.
    """

    scale: ClassVar[tuple[float, ...]] = (1.0,)
    sums_back = True
    one_step: Any = None
    forward_step: Any
    backward_step: Any
    forward_arrays: Any
    backward_arrays: Any

    def __init__(self, p: Named, T: int, N: int, empty: Empty):
        super().__init__(p, T, N, empty)
        self.H = p["b"].shape[-1]
        self.arrays = flat(*self.forward_arrays())

    def forward(self, t: int, n: int) -> None:
        """One compiled pass over the gates."""
        self.forward_step(t, n * self.H, *self.arrays)

    def start_back(self, dy: Array, dz: Array, back: Array, dstates: list[Array]) -> None:
        """Take the arrays of the backward pass."""
        super().start_back(dy, dz, back, dstates)
        self.arrays = flat(*self.backward_arrays())

    def slopes(self, block: slice) -> None:
        """Precompute nothing."""

    def backward(self, t: int, n: int) -> None:
        """One compiled pass over the gates."""
        self.backward_step(t, n * self.H, *self.arrays)


def flat(*arrays: Array) -> tuple[Array, ...]:
    """The arrays (..., N, H) as (..., N H), as the compiled functions take them."""
    return tuple(np.ascontiguousarray(array).reshape(*array.shape[:-2], -1) for array in arrays)


@compiled
def rnn_forward(t: int, size: int, hWh: Array, h: Array) -> None:
    """See `cells.RNN`."""
    for j in range(size):
        h[t + 1, j] = tanh(h[t + 1, j] + hWh[j])
    h[t + 1, size:] = 0


@compiled
def rnn_backward(t: int, size: int, dy: Array, back: Array, h: Array, dz: Array) -> None:
    """See `cells.RNN`."""
    for j in range(size):
        d, h_t = back[j] + dy[t, j], h[t + 1, j]
        dz[t, j] = d - d * h_t * h_t


@compiled
def rnn_step(x: Array, h_1: Array, _: Array, W: Array, product: Array) -> None:
    """See `Compiled.one_step`."""
    for j in range(len(x)):
        h_1[j] = tanh(x[j] + product[j])
    product_of_one(h_1, W, product)


class RNN(Compiled, cells.RNN):
    """`cells.RNN`, compiled."""

    forward_step, backward_step = staticmethod(rnn_forward), staticmethod(rnn_backward)
    one_step = staticmethod(rnn_step)

    def forward_arrays(self) -> tuple[Array, ...]:
        """See `rnn_forward`."""
        return self.hWh[0], self.states[0]

    def backward_arrays(self) -> tuple[Array, ...]:
        """See `rnn_backward`."""
        return self.dy, self.back[0], self.states[0], self.dz[0]


@inlined
def lstm(o: Any, i: Any, f: Any, g: Any, c_prev: Any) -> Any:
    """Compute the gates, c and tanh(c) of one unit from its sums."""
    o, i, f, g = sigmoid(o), sigmoid(i), sigmoid(f), tanh(g)
    c = i * g + f * c_prev
    return o, i, f, g, c, tanh(c)


@compiled
def lstm_forward(t: int, size: int, b: Array, hWh: Array, gates: Array, tanh_c: Array, h: Array) -> None:
    """See `cells.LSTM`. gates[4] is c, where c[t] is the state before step t."""
    for j in range(size):
        o, i = gates[0, t, j] + hWh[0, j] + b[0, j], gates[1, t, j] + hWh[1, j] + b[1, j]
        f, g = gates[2, t, j] + hWh[2, j] + b[2, j], gates[3, t, j] + hWh[3, j] + b[3, j]
        o, i, f, g, c, tanh_c_t = lstm(o, i, f, g, gates[4, t, j])
        gates[0, t, j], gates[1, t, j], gates[2, t, j], gates[3, t, j] = o, i, f, g
        gates[4, t + 1, j], tanh_c[t, j], h[t + 1, j] = c, tanh_c_t, o * tanh_c_t


@compiled
def lstm_backward(t: int, size: int, dy: Array, back: Array, dc: Array, gates: Array, tanh_c: Array, dz: Array) -> None:
    """See `cells.LSTM`."""
    for j in range(size):
        o, i, f, g, tanh_c_t = gates[0, t, j], gates[1, t, j], gates[2, t, j], gates[3, t, j], tanh_c[t, j]
        dh = dy[t, j] + (back[0, j] + back[1, j]) + (back[2, j] + back[3, j])
        d = dh * o
        dc_t = dc[j] + d - d * tanh_c_t * tanh_c_t
        dg = dc_t * i
        dz[0, t, j] = dh * tanh_c_t * (o - o * o)
        dz[1, t, j] = dc_t * g * (i - i * i)
        dz[2, t, j] = dc_t * gates[4, t, j] * (f - f * f)
        dz[3, t, j] = dg - dg * g * g
        dc[j] = dc_t * f


@compiled
def lstm_step(x: Array, h_1: Array, c: Array, W: Array, product: Array) -> None:
    """See `Compiled.one_step`."""
    H = len(c)
    for j in range(H):
        o, i, f = x[j] + product[j], x[H + j] + product[H + j], x[2 * H + j] + product[2 * H + j]
        o, _, _, _, c[j], tanh_c = lstm(o, i, f, x[3 * H + j] + product[3 * H + j], c[j])
        h_1[j] = o * tanh_c
    product_of_one(h_1, W, product)


class LSTM(Compiled, cells.LSTM):
    """`cells.LSTM`, compiled."""

    adds_bias = True
    forward_step, backward_step = staticmethod(lstm_forward), staticmethod(lstm_backward)
    one_step = staticmethod(lstm_step)

    def forward_arrays(self) -> tuple[Array, ...]:
        """See `lstm_forward`."""
        b = np.broadcast_to(self.p["b"][:, None], self.hWh.shape)
        return b, self.hWh, self.memory, self.tanh_c, self.states[0]

    def backward_arrays(self) -> tuple[Array, ...]:
        """See `lstm_backward`."""
        return self.dy, self.back, self.dstates[1], self.memory, self.tanh_c, self.dz


@compiled
def gru_forward(t: int, size: int, bh: Array, hWh: Array, gates: Array, h: Array) -> None:
    """See `cells.GRU`. gates[3] is u."""
    for j in range(size):
        r = sigmoid(gates[0, t, j] + hWh[0, j])
        z = sigmoid(gates[1, t, j] + hWh[1, j])
        u = hWh[2, j] + bh[j]
        n = tanh(gates[2, t, j] + r * u)
        gates[0, t, j], gates[1, t, j], gates[2, t, j], gates[3, t, j] = r, z, n, u
        h[t + 1, j] = n + z * (h[t, j] - n)


@compiled
def gru_backward(t: int, size: int, dy: Array, back: Array, gates: Array, h: Array, dz: Array) -> None:
    """See `cells.GRU`. back[0] is the part of dh that z lets through."""
    for j in range(size):
        r, z, n, u = gates[0, t, j], gates[1, t, j], gates[2, t, j], gates[3, t, j]
        dh = dy[t, j] + (back[0, j] + back[1, j]) + (back[2, j] + back[3, j])
        straight = dh * z
        dn = dh - straight
        dn -= dn * n * n
        dz[0, t, j] = dn * u * (r - r * r)
        dz[1, t, j] = dh * (h[t, j] - n) * (z - z * z)
        dz[2, t, j], dz[3, t, j] = dn, dn * r
        back[0, j] = straight


class GRU(Compiled, cells.GRU):
    """`cells.GRU`, compiled."""

    forward_step, backward_step = staticmethod(gru_forward), staticmethod(gru_backward)

    def forward_arrays(self) -> tuple[Array, ...]:
        """See `gru_forward`."""
        return np.broadcast_to(self.p["bh"], self.hWh.shape[1:]), self.hWh, self.memory, self.states[0]

    def backward_arrays(self) -> tuple[Array, ...]:
        """See `gru_backward`."""
        return self.dy, self.back, self.memory, self.states[0], self.dz


@compiled
def product_of_one(h_1: Array, W: Array, out: Array) -> None:
    """Write [h; 1] W into out."""
    out[:] = W[-1]
    add_product(h_1[:-1], W[:-1], out)


CELLS: dict[type[cells.Cell], type[Compiled]] = {cells.RNN: RNN, cells.LSTM: LSTM, cells.GRU: GRU}
