"""The cells: the equations of the tanh RNN, the LSTM and the GRU, one step forward and one step back.

Letters: T steps, N sequences, D inputs, H hidden units; x, h, c; gates o i f g (LSTM), r z n (GRU).
`unroll.py` runs a cell over a whole sequence; a recurrent layer names its cell (`recurrent.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from .checks import Array
from .products import as_rows, column_sums

Empty = Callable[..., Array]  # np.empty, or np.zeros where sequences end early
Runs = tuple[tuple[slice, slice], ...]
HARD_SLOPE = 0.2
add, multiply, subtract, tanh = np.add, np.multiply, np.subtract, np.tanh


class Cell:
    """A recurrence. One instance serves one pass and holds its arrays.

    A subclass sets the class attributes that it needs, and writes one step each way: `backward`, and `forward` (or
    `step` with `at`, of which a `Stepper` can be made too). Everything else is the same for all cells and stands in
    `unroll.py`: the products with Wx and Wh, their gradients, and padding.

    Parameters
    ----------
    p : mapping with Wx (G, D, H), Wh (G', P, H), b (G, H), and the cell's own parameters; P is the size of h
    T, N : int, steps and sequences
    empty : np.empty or np.zeros, makes the arrays

    Attributes
    ----------
    gates : int, G: how many products of x there are; default 1
    n_states : int, default 1; the first state is h, which `Wh` multiplies and the layer gives out
    scale : one number a gate, by which its Wx, Wh and b are multiplied for z and hWh (not in `p`); default 1
    slabs : int, length of dz's first axis; 0, the default, means `gates`
    from_x : slice of dz: the gradients of x Wx + b
    from_h : pairs of slices: gradients of h Wh in dz, and the gates of Wh that they belong to
    straight : bool, whether h_{t-1} also enters h_t directly, not only through Wh; `backward` writes that part of
        dh_{t-1} into `back[0]`
    adds_bias, sums_back : bool, whether `forward` adds b itself, and `backward` sums dh itself (compiled cells)
    x, active : the arguments of `unroll.forward`
    z : (G, T, N, H) x Wx + b of all steps before `forward`, which may overwrite it (with the gates, say)
    hWh : (G', N, H) h_{t-1} Wh of the present step, free to be overwritten
    states : tuple of (T + 1, N, ...) arrays: [t] before step t, [t + 1] after it
    dz : (slabs, T, N, H), to be written on the way back
    dstates : list of (N, ...) gradients with respect to the states: after step t when `backward` is called, and, but
        for h, before step t when it returns
    back : (straight + G', N, P) the parts of dh_{t-1}, still to be summed: the straight one, then those of the products
    """

    gates: ClassVar[int] = 1
    n_states: ClassVar[int] = 1
    scale: ClassVar[tuple[float, ...]] = (1.0,)
    slabs: ClassVar[int] = 0
    from_x: ClassVar[slice] = slice(None)
    from_h: ClassVar[Runs] = ((slice(None), slice(None)),)
    straight: ClassVar[bool] = False
    adds_bias: ClassVar[bool] = False
    sums_back: ClassVar[bool] = False

    x: Array
    active: list[int] | None
    z: Array
    states: tuple[Array, ...]

    def __init__(self, p: Mapping[str, Array], T: int, N: int, empty: Empty):
        self.p, self.N, self.half = p, N, np.array(0.5, p["b"].real.dtype)
        dtype, H = p["Wh"].dtype, p["b"].shape[-1]
        self.hWh = np.empty((len(p["Wh"]), N, H), dtype)
        self.allocate(T, lambda *shape: empty((*shape[:-1], N, shape[-1]), dtype), H)

    @classmethod
    def shapes(cls, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters for D inputs and H units, in the order of the model file."""
        return {"Wx": (cls.gates, D, H), "Wh": (cls.gates, H, H), "b": (cls.gates, H)}

    @classmethod
    def state_sizes(cls, H: int) -> tuple[int, ...]:
        """Features of each state; the first is h's."""
        return (H,) * cls.n_states

    def allocate(self, T: int, empty: Empty, H: int) -> None:
        """Make `z`, `states` and what else a pass needs; `empty(..., H)` gives an array (..., N, H)."""
        self.z = empty(self.gates, T, H)
        self.states = tuple(empty(T + 1, size) for size in self.state_sizes(H))

    def forward(self, t: int, n: int) -> None:
        """Write the states after step t of the first n sequences."""
        views = self.at(t, n)
        self.step(views[0], views)

    def at(self, t: int, n: int) -> tuple[Array, ...]:
        """Views of step t's arrays, for `step`; the first is z."""
        raise NotImplementedError

    def step(self, x: Array, views: tuple[Array, ...]) -> None:
        """One step forward, from x Wx + b to the new states.

        A `Stepper` calls it with the same views at every step, each state being both the old and the new one. So a
        state must not be read after it was written.
        """
        raise NotImplementedError

    def start_back(self, dy: Array, dz: Array, back: Array, dstates: list[Array]) -> None:
        """Take the arrays of the way back; dy is (T, N, P)."""
        self.dy, self.dz, self.back, self.dstates = dy, dz, back, dstates

    def slopes(self, block: slice) -> None:
        """Precompute, for the steps `block`, the factors of dz that depend on the forward pass only."""

    def backward(self, t: int, n: int) -> None:
        """Write dz of step t, and turn `dstates` (but h's) into those of the step before, for the first n sequences."""
        raise NotImplementedError

    def own_gradients(self, grads: Mapping[str, Array]) -> None:
        """Write the gradients of parameters other than Wx, Wh and b, when all of dz is known."""


class RNN(Cell):
    """Tanh RNN (Elman 1990).

        h_t = tanh(x_t Wx + h_{t-1} Wh + b)

        dz = dh (1 - h^2)

    A pass keeps T N H numbers: z lies where h will be.
    """

    def allocate(self, T: int, empty: Empty, H: int) -> None:
        """One array for z and h."""
        h = empty(T + 1, H)
        self.z, self.states = h[None, 1:], (h,)

    def at(self, t: int, n: int) -> tuple[Array, ...]:
        """Where h and h_prev Wh are; a sequence that has ended gets zeros, for z was there."""
        h = self.states[0][None, t + 1]
        if n < self.N:
            h[:, n:] = 0
        return h[:, :n], self.hWh[:, :n]

    def step(self, x: Array, views: tuple[Array, ...]) -> None:
        """Form h from x and hWh."""
        h, hWh = views
        add(x, hWh, h)
        tanh(h, h)

    def slopes(self, block: slice) -> None:
        """Form dz/dh."""
        dz, h = self.dz[0, block], self.states[0][1:][block]
        multiply(h, h, dz)
        subtract(1, dz, dz)

    def backward(self, t: int, n: int) -> None:
        """Write dz."""
        self.dz[0, t, :n] *= self.dstates[0][:n]


class LSTM(Cell):
    """LSTM (Hochreiter and Schmidhuber 1997; Gers et al. 2000), gates in the order o, i, f, g.

        o, i, f = sigmoid(z[:3]),  g = tanh(z[3]),  z = x_t Wx + h_{t-1} Wh + b
        c_t = i g + f c_{t-1}
        h_t = o tanh(c_t)

        dc += dh o (1 - tanh(c)^2)
        do, di, df, dg = dh tanh(c), dc g, dc c_prev, dc i      each times its gate's slope: dz
        dc_prev = dc f

    sigmoid(z) = tanh(z / 2) / 2 + 1/2, with the inner half in `scale`: one tanh for all gates. A pass keeps 7 T N H
    numbers.
    """

    gates, n_states = 4, 2
    scale: ClassVar[tuple[float, ...]] = (0.5, 0.5, 0.5, 1.0)

    def allocate(self, T: int, empty: Empty, H: int) -> None:
        """One array for the gates and c, so that (i, f) times (g, c_prev) is one call."""
        self.memory = empty(5, T + 1, H)
        self.z, self.tanh_c = self.memory[:4, :T], empty(T, H)
        self.states = empty(T + 1, H), self.memory[4]

    def at(self, t: int, n: int) -> tuple[Array, ...]:
        """The gates, h_prev Wh, the pairs that one call handles, and the states."""
        (h, c), memory, hWh = self.states, self.memory, self.hWh[:, :n]
        z = memory[:4, t, :n]
        together = memory[1:3, t, :n], memory[3:, t, :n], hWh[:2], hWh[0], hWh[1]
        return z, hWh, z[:3], z[3], *together, c[t + 1, :n], self.tanh_c[t, :n], z[0], h[t + 1, :n]

    def step(self, x: Array, views: tuple[Array, ...]) -> None:
        """Form h and c from x and hWh."""
        z, hWh, o_i_f, g, i_f, g_c, ig_fc, ig, fc, c, tanh_c, o, h = views
        add(x, hWh, z)
        self.squash(z, o_i_f, g)
        multiply(i_f, g_c, ig_fc)
        add(ig, fc, c)
        tanh(c, tanh_c)
        multiply(o, tanh_c, h)

    def squash(self, z: Array, o_i_f: Array, g: Array) -> None:
        """From the sums to the gates, in place."""
        half = self.half
        tanh(z, z)
        multiply(o_i_f, half, o_i_f)
        add(o_i_f, half, o_i_f)

    def slopes(self, block: slice) -> None:
        """Form dz over dh (o) and over dc (i, f, g), and dc/dh."""
        gates, tanh_c, dz = self.z[:, block], self.tanh_c[block], self.dz[:, block]
        self.start, self.dc_dh = block.start, tanh_c * tanh_c
        subtract(1, self.dc_dh, self.dc_dh)
        self.dc_dh *= gates[0]
        self.gate_slopes(gates, dz)
        dz[0] *= tanh_c
        dz[1:3] *= self.memory[3:, block]  # g and c_prev
        dz[3] *= gates[1]

    def gate_slopes(self, gates: Array, dz: Array) -> None:
        """The slopes of sigmoid and tanh, from their values."""
        multiply(gates, gates, dz)
        subtract(gates[:3], dz[:3], dz[:3])
        subtract(1, dz[3], dz[3])

    def backward(self, t: int, n: int) -> None:
        """Write dz, and dc of the step before."""
        (dh, dc), dz = self.dstates, self.dz[:, t, :n]
        dh, dc = dh[:n], dc[:n]
        into_c = self.dc_dh[t - self.start, :n]
        into_c *= dh
        dc += into_c
        dz[0] *= dh
        dz[1:] *= dc
        dc *= self.memory[2, t, :n]


class HardLSTM(LSTM):
    """LSTM with min(max(z / 5 + 1/2, 0), 1) in place of the sigmoids, as Keras 2 has it."""

    scale = (HARD_SLOPE, HARD_SLOPE, HARD_SLOPE, 1.0)

    def squash(self, z: Array, o_i_f: Array, g: Array) -> None:
        """From the sums to the gates, in place."""
        tanh(g, g)
        add(o_i_f, self.half, o_i_f)
        np.clip(o_i_f, 0, 1, out=o_i_f)

    def gate_slopes(self, gates: Array, dz: Array) -> None:
        """A constant between the ends, 0 at them."""
        multiply(HARD_SLOPE, (gates[:3] > 0) & (gates[:3] < 1), out=dz[:3])
        multiply(gates[3], gates[3], dz[3])
        subtract(1, dz[3], dz[3])


class GRU(Cell):
    """GRU (Cho et al. 2014), with the reset gate after the product as in PyTorch and cuDNN; gates r, z, n.

        r, z = sigmoid(x_t Wx[k] + h_{t-1} Wh[k] + b[k])        k = 0, 1
        u    = h_{t-1} Wh[2] + bh
        n    = tanh(x_t Wx[2] + b[2] + r u)
        h_t  = n + z (h_{t-1} - n)

        dn = dh (1 - z) (1 - n^2)       du = dn r
        dr = dn u r (1 - r)             dz = dh (h_prev - n) z (1 - z)
        dh_prev = dh z + dr Wh[0]' + dz Wh[1]' + du Wh[2]'

    A pass keeps 5 T N H numbers.
    """

    gates, slabs, straight = 3, 4, True  # dz of r, z, n, and u
    scale: ClassVar[tuple[float, ...]] = (0.5, 0.5, 1.0)
    from_x = slice(0, 3)
    from_h = (slice(0, 2), slice(0, 2)), (slice(3, 4), slice(2, 3))

    @classmethod
    def shapes(cls, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """And bh (H,)."""
        return super().shapes(D, H) | {"bh": (H,)}

    def allocate(self, T: int, empty: Empty, H: int) -> None:
        """One array for r, z, n and u."""
        self.memory = empty(4, T, H)  # r z n and u
        self.z, self.states = self.memory[:3], (empty(T + 1, H),)

    def at(self, t: int, n: int) -> tuple[Array, ...]:
        """Gates, h_prev Wh, u, h_prev, h."""
        (h,), memory, hWh = self.states, self.memory, self.hWh
        gates = memory[:3, t, :n]
        return gates, hWh[:2, :n], hWh[2, :n], gates[:2], *memory[:, t, :n], h[t, :n], h[t + 1, :n]

    def step(self, x: Array, views: tuple[Array, ...]) -> None:
        """Form h from x and hWh."""
        hWh, hWh_u, r_z, r, z, n, u, h_prev, h = views[1:]
        add(x[:2], hWh, r_z)
        tanh(r_z, r_z)
        multiply(r_z, self.half, r_z)
        add(r_z, self.half, r_z)
        add(hWh_u, self.p["bh"], u)
        multiply(r, u, hWh_u)
        add(x[2], hWh_u, n)
        tanh(n, n)
        subtract(h_prev, n, h)
        multiply(h, z, h)
        add(h, n, h)

    def slopes(self, block: slice) -> None:
        """Form dz over dh (z, n) and over dn (r, u)."""
        gates, slopes = self.memory[:, block], self.dz[:, block]
        (r, z, n, u), (dr, dz, dn, du) = gates, slopes
        multiply(gates[:2], gates[:2], slopes[:2])
        subtract(gates[:2], slopes[:2], slopes[:2])
        dr *= u
        dz *= self.states[0][:-1][block] - n
        multiply(n, n, dn)
        subtract(1, dn, dn)
        dn *= subtract(1, z)
        np.copyto(du, r)

    def backward(self, t: int, n: int) -> None:
        """Write dz, and the part of dh that z lets through."""
        dh, dz = self.dstates[0][:n], self.dz[:, t, :n]
        dz[1:3] *= dh
        dz[0] *= dz[2]
        dz[3] *= dz[2]
        multiply(dh, self.memory[1, t, :n], self.back[0, :n])

    def own_gradients(self, grads: Mapping[str, Array]) -> None:
        """That of bh."""
        grads["bh"][...] = column_sums(as_rows(self.dz[3]))
