"""The recurrent layers RNN, LSTM and GRU: a cell with its parameters, run over padded sequences."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator

from . import cells, fast, unroll
from .cells import Cell, Named
from .checks import Array, as_rng, check_count, check_numbers, check_share
from .layer import Drawn, Gradients, Grads, Layer, Padding, Pass, Seed, check_parts, draw_mask, float_dtype, glorot
from .parameters import Parameters, draw

LEAN_STEPS = 32  # without a cache, a pass runs this many steps at a time, to bound its memory


class Recurrent(Layer, abstract=True):
    """A layer that runs a cell over the steps. A subclass names its `cell`.

    Parameters
    ----------
    input_size, hidden_size : int, D and H
    dtype : default float32
    rng : numpy Generator or int seed; None draws a fresh seed
        For the initial weights: Wx is Glorot uniform, Wh orthogonal, all others are zero.
    weight_dropout : float, default 0
        Share of Wh dropped in a training pass, with one mask per pass (Wan et al. 2013; Merity et al. 2018).

    Attributes
    ----------
    cell : subclass of `numpyrnn.cells.Cell`
    params : the parameters of the cell
    """

    sizes: ClassVar[tuple[str, ...]] = ("input_size", "hidden_size", "weight_dropout")
    cell: type[Cell]

    def __init__(
        self, input_size: int, hidden_size: int, dtype: Any = np.float32, rng: Seed = None, weight_dropout: float = 0.0
    ):
        check_share("weight_dropout", weight_dropout)
        self.weight_dropout = float(weight_dropout)
        self.input_size = check_count("input_size", input_size)
        self.hidden_size = check_count("hidden_size", hidden_size)
        self.params = Parameters(self.shapes(), float_dtype(dtype))
        rng, p = as_rng(rng), self.by_gate(self.params)
        for Wx_k, Wh_k in zip_longest(p["Wx"], p["Wh"]):  # their numbers of gates may differ
            if Wx_k is not None:
                Wx_k[...] = glorot(rng, *Wx_k.shape)
            if Wh_k is not None:
                Wh_k[...] = orthogonal(rng, *Wh_k.shape)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters, in their order."""
        return self.cell.shapes(self.input_size, self.hidden_size)

    def by_gate(self, arrays: Named) -> dict[str, Array]:
        """Parameters or gradients in the cell's form, with the axis of the gates first."""
        return dict(arrays)

    @property
    def output_size(self) -> int:
        """The size of h and y: the number of rows of Wh."""
        return int(self.params["Wh"].shape[-2])

    def running_cell(self) -> type[Cell]:
        """The compiled form of the cell, if that back end is chosen and has one; else the cell itself."""
        return self.cell if self.dtype.kind == "c" else fast.compiled_cell(self.cell)

    def note(self) -> str:
        """A remark if the compiled back end is chosen but has no form of the cell."""
        return "  (runs plain)" if fast.chosen() and fast.compiled_cell(self.cell) is self.cell else ""

    def check_state(self, name: str, state: Any, N: int) -> Any:
        """Return a tuple of the cell's states, each (N, size); None means zeros."""
        sizes = self.cell.state_sizes(self.hidden_size)
        if state is None:
            return tuple(np.zeros((N, size), self.dtype) for size in sizes)
        label = f"{name} of {self!r}"
        states = check_parts(label, state if len(sizes) > 1 else (state,), len(sizes), "(h, c)")
        return tuple(check_numbers(label, s, self.dtype, (N, size)) for s, size in zip(states, sizes, strict=True))

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Drawn | None:
        """Draw one mask of Wh for the whole batch."""
        return draw_mask(rng, self.params["Wh"].shape, self.weight_dropout, by_sequence=False)

    def run(self, x: Array, state: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Sort the sequences by length, run the cell, and restore their order."""
        p, mask, lengths = dict(self.params), None, None
        if not padding.full:
            x, lengths = x[:, padding.order], padding.lengths[padding.order]
            state = tuple(s[padding.order] for s in state)
        if drawn is not None:
            mask = drawn.mask(self.dtype)
            p["Wh"] = p["Wh"] * mask
        p, kind, pieces = self.by_gate(p), self.running_cell(), []
        at_once = len(x) if cache else LEAN_STEPS
        for t in range(0, len(x), at_once):
            piece = x[t : t + at_once]
            left = None if lengths is None else (lengths - t).clip(0, len(piece))
            active = None if left is None else (left > np.arange(len(piece))[:, None]).sum(axis=1).tolist()
            cell = unroll.forward(kind, p, piece, state, active)
            pieces.append(cell.states[0][1:])
            ends = (-1, ...) if left is None else (left, np.arange(len(left)))
            state = tuple(s[ends].copy() for s in cell.states)
        y = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        if not padding.full:
            y, state = y[:, padding.back], tuple(s[padding.back] for s in state)
        return y, state if len(state) > 1 else state[0], (cell, mask)

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding) -> Gradients:
        """Backpropagate through time."""
        cell, mask = kept
        if not padding.full:
            dy, dstate = dy[:, padding.order], tuple(d[padding.order] for d in dstate)
        dx, dstate = unroll.backward(cell, dy, dstate, self.by_gate(grads))
        if mask is not None:
            grads["Wh"] *= mask
        if not padding.full:
            dx, dstate = None if dx is None else dx[:, padding.back], tuple(d[padding.back] for d in dstate)
        return dx, dstate if len(dstate) > 1 else dstate[0]


def orthogonal(rng: Generator, rows: int, columns: int) -> Array:
    """A random matrix with orthonormal columns (Saxe et al. 2014), or rows if it has fewer rows than columns."""

    def values() -> Array:
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q = np.asarray(q * np.sign(np.diag(r)))
        return q if rows >= columns else q.T

    return draw((rows, columns), values)


class RNN(Recurrent):
    """Tanh RNN (Elman 1990): h_t = tanh(x_t Wx + h_{t-1} Wh + b).

    Parameters
    ----------
    input_size, hidden_size : int, D and H
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights
    weight_dropout : float, default 0, share of Wh dropped in training passes

    Attributes
    ----------
    params : Wx (D, H), Wh (H, H), b (H,)

    Notes
    -----
    The state is `h` (N, H).

    Besides `x` and `dy`, each step of a training pass keeps N H numbers, including `y`. At its peak, in the backward
    pass with `dx`, it takes 2 N H + N D numbers: 8 N H + 4 N D bytes in float32, twice that in float64.
    If a text is read in pieces, with the state carried, only the longest piece counts.
    """

    cell = cells.RNN

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes without the axis of the gates, since there is only one."""
        return {name: shape[1:] for name, shape in super().shapes().items()}

    def by_gate(self, arrays: Named) -> dict[str, Array]:
        """Add the axis of the gates."""
        return {name: array[None] for name, array in arrays.items()}


class LSTM(Recurrent):
    """LSTM (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

        o, i, f = sigmoid(x_t Wx[k] + h_{t-1} Wh[k] + b[k]),  g = tanh(x_t Wx[3] + h_{t-1} Wh[3] + b[3])
        c_t = i g + f c_{t-1},  h_t = o tanh(c_t)

    Parameters
    ----------
    input_size, hidden_size : int, D and H
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights; the forget gate's bias starts at one
    weight_dropout : float, default 0, share of Wh dropped in training passes
    hard_sigmoid : bool, default False
        Whether to use min(max(z / 5 + 1/2, 0), 1) instead of the sigmoid, as Keras 2 does.

    Attributes
    ----------
    params : Wx (4, D, H), Wh (4, H, H), b (4, H); gates in the order o, i, f, g (output, input, forget, candidate)

    Notes
    -----
    The state is `(h, c)`, each (N, H).

    Besides `x` and `dy`, each step of a training pass keeps 7 N H numbers, including `y`. At its peak, in the backward
    pass with `dx`, it takes 11 N H + 2 N D numbers: 44 N H + 8 N D bytes in float32, twice that in float64.
    If a text is read in pieces, with the state carried, only the longest piece counts.
    """

    sizes = (*Recurrent.sizes, "hard_sigmoid")
    cell = cells.LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        dtype: Any = np.float32,
        rng: Seed = None,
        weight_dropout: float = 0.0,
        hard_sigmoid: bool = False,
    ):
        super().__init__(input_size, hidden_size, dtype, rng, weight_dropout)
        self.hard_sigmoid = bool(hard_sigmoid)
        if self.hard_sigmoid:
            self.cell = cells.HardLSTM
        self.params["b"][2] = 1


class GRU(Recurrent):
    """GRU (Cho et al. 2014) with the reset gate after the product, as in PyTorch and cuDNN.

        r, z = sigmoid(x_t Wx[k] + h_{t-1} Wh[k] + b[k])
        n    = tanh(x_t Wx[2] + b[2] + r (h_{t-1} Wh[2] + bh))
        h_t  = (1 - z) n + z h_{t-1}

    Parameters
    ----------
    input_size, hidden_size : int, D and H
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights
    weight_dropout : float, default 0, share of Wh dropped in training passes

    Attributes
    ----------
    params : Wx (3, D, H), Wh (3, H, H), b (3, H), bh (H,); gates in the order r, z, n (reset, update, candidate)

    Notes
    -----
    The state is `h` (N, H).

    Besides `x` and `dy`, each step of a training pass keeps 5 N H numbers, including `y`. At its peak, in the backward
    pass with `dx`, it takes 9 N H + 2 N D numbers: 36 N H + 8 N D bytes in float32, twice that in float64.
    If a text is read in pieces, with the state carried, only the longest piece counts.
    """

    cell = cells.GRU
