"""The cells: the equations of the tanh RNN, the LSTM and the GRU, one step forward and one step back.

Letters: T steps, N sequences, D inputs, H hidden units; x, h, c; gates o i f g (LSTM), r z n (GRU).
`unroll.py` runs a cell over a whole sequence; each recurrent layer names its cell (`recurrent.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from .checks import Array
from .products import as_rows, column_sums

Empty = Callable[..., Array]  # np.empty, or np.zeros if some sequences end early
Named = Mapping[str, Array]  # parameters or gradients
Runs = tuple[tuple[slice, slice], ...]
HARD_SLOPE = 0.2
add, multiply, subtract, tanh = np.add, np.multiply, np.subtract, np.tanh


class Cell:
    """A recurrence. An instance serves one pass and holds its arrays.

    A subclass sets the class attributes that it needs and implements one step in each direction: `backward`, and either
    `forward` or both `step` and `at`. A `Stepper` needs the latter two. The rest is common to all cells and is done in
    `unroll.py`: the products with Wx and Wh, their gradients, and padding.

    Parameters
    ----------
    p : mapping with Wx (G, D, H), Wh (G', P, H), b (G, H), and the cell's own parameters; P is the size of h,
        and G and G' are the numbers of products with x and with h
    T, N : int, steps and sequences
    empty : np.empty or np.zeros, used to make the arrays

    Attributes
    ----------
    gates : int, G: the number of products with x; default 1
    n_states : int, default 1; the first state is h, which is the layer's output and is multiplied by `Wh`
    scale : tuple of one number, or of one per gate; default 1
        `z` and `hWh` are computed with each gate's Wx, Wh and b multiplied by it; `p` holds them unscaled.
    slabs : int, length of the first axis of dz; 0, the default, means `gates`
        The first G slabs are the gradients of x Wx + b.
    from_h : pairs of slices: the slabs of dz that are gradients of h Wh, and their gates in Wh
    straight : bool, whether h_{t-1} also enters h_t directly, not only through Wh
        `backward` then writes that part of dh_{t-1} into `back[0]`.
    adds_bias : bool, whether `forward` adds b itself (compiled cells)
    sums_back : bool, whether `backward` sums dh itself (compiled cells)
    letters : str, one letter for each gate, if `z` holds the gates after `forward`; else empty
    x, active : the arguments of `unroll.forward`
    z : (G, T, N, H), x Wx + b of all steps; `forward` may overwrite it, for instance with the gates
    hWh : (G', N, H), h_{t-1} Wh of the current step; may be overwritten
    states : tuple of (T + 1, N, ...) arrays; [t] is before step t, [t + 1] after it
    dz : (slabs, T, N, H), written in the backward pass
    dstates : list of (N, ...) gradients with respect to the states
        Before `backward` they belong to the states after step t; after it, except for h, to those before step t.
    back : (straight + G', N, P), the parts of dh_{t-1}, not yet summed: the direct part, then those of the products
    """

    gates: ClassVar[int] = 1
    n_states: ClassVar[int] = 1
    scale: ClassVar[tuple[float, ...]] = (1.0,)
    slabs: ClassVar[int] = 0
    from_h: ClassVar[Runs] = ((slice(None), slice(None)),)
    straight: ClassVar[bool] = False
    adds_bias: ClassVar[bool] = False
    sums_back: ClassVar[bool] = False
    letters: ClassVar[str] = ""

    x: Array
    active: list[int] | None

    def __init__(self, p: Named, T: int, N: int, empty: Empty):
        self.p, self.N, self.half = p, N, np.array(0.5, p["b"].real.dtype)
        dtype, H = p["Wh"].dtype, p["b"].shape[-1]
        self.hWh = np.empty((len(p["Wh"]), N, H), dtype)
        self.allocate(T, lambda *shape: empty((*shape[:-1], N, shape[-1]), dtype), H)

    @classmethod
    def shapes(cls, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters for D inputs and H units, in the order in which a model file stores them."""
        return {"Wx": (cls.gates, D, H), "Wh": (cls.gates, H, H), "b": (cls.gates, H)}

    @classmethod
    def state_sizes(cls, H: int) -> tuple[int, ...]:
        """The number of features of each state, h first."""
        return (H,) * cls.n_states

    def allocate(self, T: int, empty: Empty, H: int) -> None:
        """Make `z`, `states` and any other arrays of a pass; `empty(..., H)` returns an array (..., N, H)."""
        self.z = empty(self.gates, T, H)
        self.states = tuple(empty(T + 1, size) for size in self.state_sizes(H))

    def forward(self, t: int, n: int) -> None:
        """Write the states after step t of the first n sequences."""
        views = self.at(t, n)
        self.step(views[0], views)

    def at(self, t: int, n: int) -> tuple[Array, ...]:
        """Views of the arrays of step t, for `step`; the first is z."""
        raise NotImplementedError

    def step(self, x: Array, views: tuple[Array, ...]) -> None:
        """Compute the new states from x Wx + b.

        A `Stepper` calls it with the same views in every step, and there the old and the new state share memory. So a
        state must not be read after it has been written.
        """
        raise NotImplementedError

    def start_back(self, dy: Array, dz: Array, back: Array, dstates: list[Array]) -> None:
        """Set the arrays of the backward pass; dy is (T, N, P)."""
        self.dy, self.dz, self.back, self.dstates = dy, dz, back, dstates

    def slopes(self, block: slice) -> None:
        """Precompute the factors of dz that depend only on the forward pass, for the steps in `block`."""

    def backward(self, t: int, n: int) -> None:
        """Write dz of step t, and move `dstates` (except that of h) back by one step, for the first n sequences."""
        raise NotImplementedError

    def own_gradients(self, grads: Named) -> None:
        """Write the gradients of parameters other than Wx, Wh and b, once dz is complete."""


class RNN(Cell):
    """Tanh RNN (Elman 1990).

        h_t = tanh(x_t Wx + h_{t-1} Wh + b)

        dz = dh (1 - h^2)

    A pass keeps T N H numbers: z and h share memory.
    """

    def allocate(self, T: int, empty: Empty, H: int) -> None:
        """Make one array for z and h."""
        h = empty(T + 1, H)
        self.z, self.states = h[None, 1:], (h,)

    def at(self, t: int, n: int) -> tuple[Array, ...]:
        """Views of h, which still holds z, and of h_prev Wh. The rows of sequences that have ended are set to zero."""
        h = self.states[0][None, t + 1]
        if n < self.N:
            h[:, n:] = 0
        return h[:, :n], self.hWh[:, :n]

    def step(self, x: Array, views: tuple[Array, ...]) -> None:
        """Compute h from x and hWh."""
        h, hWh = views
        add(x, hWh, h)
        tanh(h, h)

    def slopes(self, block: slice) -> None:
        """Compute dz/dh."""
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
        do, di, df, dg = dh tanh(c), dc g, dc c_prev, dc i      each times the slope of its gate: dz
        dc_prev = dc f

    sigmoid(z) = tanh(z / 2) / 2 + 1/2, with the inner half in `scale`, so that one tanh serves all gates. A pass keeps
    7 T N H numbers.
    """

    gates, n_states, letters = 4, 2, "oifg"
    scale: ClassVar[tuple[float, ...]] = (0.5, 0.5, 0.5, 1.0)

    def allocate(self, T: int, empty: Empty, H: int) -> None:
        """Put the gates and c into one array, so that (i, f) times (g, c_prev) is one call."""
        self.memory = empty(5, T + 1, H)
        self.z, self.tanh_c = self.memory[:4, :T], empty(T, H)
        self.states = empty(T + 1, H), self.memory[4]

    def at(self, t: int, n: int) -> tuple[Array, ...]:
        """Views of the gates, of h_prev Wh, of the pairs that one call handles, and of the states."""
        (h, c), memory, hWh = self.states, self.memory, self.hWh[:, :n]
        z = memory[:4, t, :n]
        together = memory[1:3, t, :n], memory[3:, t, :n], hWh[:2], hWh[0], hWh[1]
        return z, hWh, z[:3], z[3], *together, c[t + 1, :n], self.tanh_c[t, :n], z[0], h[t + 1, :n]

    def step(self, x: Array, views: tuple[Array, ...]) -> None:
        """Compute h and c from x and hWh."""
        z, hWh, o_i_f, g, i_f, g_c, ig_fc, ig, fc, c, tanh_c, o, h = views
        add(x, hWh, z)
        self.squash(z, o_i_f, g)
        multiply(i_f, g_c, ig_fc)
        add(ig, fc, c)
        tanh(c, tanh_c)
        multiply(o, tanh_c, h)

    def squash(self, z: Array, o_i_f: Array, g: Array) -> None:
        """Turn the sums into the gates, in place."""
        tanh(z, z)
        multiply(o_i_f, self.half, o_i_f)
        add(o_i_f, self.half, o_i_f)

    def slopes(self, block: slice) -> None:
        """Compute dz/dh for o, dz/dc for i, f and g, and dc/dh."""
        gates, tanh_c, dz = self.z[:, block], self.tanh_c[block], self.dz[:, block]
        self.start, self.dc_dh = block.start, tanh_c * tanh_c
        subtract(1, self.dc_dh, self.dc_dh)
        self.dc_dh *= gates[0]
        self.gate_slopes(gates, dz)
        dz[0] *= tanh_c
        dz[1:3] *= self.memory[3:, block]  # g and c_prev
        dz[3] *= gates[1]

    def gate_slopes(self, gates: Array, dz: Array) -> None:
        """Compute the slopes of sigmoid and tanh from their values."""
        multiply(gates, gates, dz)
        subtract(gates[:3], dz[:3], dz[:3])
        subtract(1, dz[3], dz[3])

    def backward(self, t: int, n: int) -> None:
        """Write dz, and dc of the previous step."""
        (dh, dc), dz = self.dstates, self.dz[:, t, :n]
        dh, dc = dh[:n], dc[:n]
        into_c = self.dc_dh[t - self.start, :n]
        into_c *= dh
        dc += into_c
        dz[0] *= dh
        dz[1:] *= dc
        dc *= self.memory[2, t, :n]


class HardLSTM(LSTM):
    """LSTM with min(max(z / 5 + 1/2, 0), 1) instead of the sigmoid, as in Keras 2."""

    scale = (HARD_SLOPE, HARD_SLOPE, HARD_SLOPE, 1.0)

    def squash(self, z: Array, o_i_f: Array, g: Array) -> None:
        """Turn the sums into the gates, in place."""
        tanh(g, g)
        add(o_i_f, self.half, o_i_f)
        np.clip(o_i_f, 0, 1, out=o_i_f)

    def gate_slopes(self, gates: Array, dz: Array) -> None:
        """Compute the slopes; that of the hard sigmoid is constant, and zero where it saturates."""
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

    gates, slabs, straight, letters = 3, 4, True, "rzn"  # the slabs are dz of r, z, n, and u
    scale: ClassVar[tuple[float, ...]] = (0.5, 0.5, 1.0)
    from_h = (slice(0, 2), slice(0, 2)), (slice(3, 4), slice(2, 3))

    @classmethod
    def shapes(cls, D: int, H: int) -> dict[str, tuple[int, ...]]:
        """The shapes of every cell, and bh (H,)."""
        return super().shapes(D, H) | {"bh": (H,)}

    def allocate(self, T: int, empty: Empty, H: int) -> None:
        """Put r, z, n and u into one array."""
        self.memory = empty(4, T, H)  # r, z, n, u
        self.z, self.states = self.memory[:3], (empty(T + 1, H),)

    def at(self, t: int, n: int) -> tuple[Array, ...]:
        """Views of the gates, of h_prev Wh, u, h_prev and h."""
        (h,), memory, hWh = self.states, self.memory, self.hWh
        gates = memory[:3, t, :n]
        return gates, hWh[:2, :n], hWh[2, :n], gates[:2], *memory[:, t, :n], h[t, :n], h[t + 1, :n]

    def step(self, x: Array, views: tuple[Array, ...]) -> None:
        """Compute h from x and hWh."""
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
        """Compute dz/dh for z and n, and dz/dn for r and u."""
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

    def own_gradients(self, grads: Named) -> None:
        """Write the gradient of bh."""
        grads["bh"][...] = column_sums(as_rows(self.dz[3]))
