"""Layers that treat each step alone (affine maps, tables, dropout, ReLU), and layers that reduce the number of steps.

The latter (pooling, `LastStep`) begin anew in every pass and have no state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from . import products
from .checks import Array, NumpyrnnError, as_rng, check_count, check_share, is_integer
from .layer import Drawn, Grads, Layer, Padding, Pass, Seed, check_numbers, draw_keep, float_dtype, glorot, scaled_up
from .parameters import Parameters

Gradients = tuple[Array | None, None]  # dx, and the state that these layers do not have


class Dense(Layer):
    """The same affine map at every step: y_t = x_t W + b.

    Parameters
    ----------
    input_size, output_size : int, D and V
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights (Glorot uniform; the bias starts at zero)

    Attributes
    ----------
    params : W (D, V), b (V,)
    """

    sizes = ("input_size", "output_size")

    def __init__(self, input_size: int, output_size: int, dtype: Any = np.float32, rng: Seed = None):
        self.input_size = check_count("input_size", input_size)
        self.output_size = check_count("output_size", output_size)
        shapes = {"W": (self.input_size, self.output_size), "b": (self.output_size,)}
        self.params = Parameters(shapes, float_dtype(dtype))
        self.params["W"] = glorot(as_rng(rng), self.input_size, self.output_size)

    def check_input(self, x: Array) -> Array:
        """Ids or numbers."""
        return check_numbers(x, self.input_size, self.dtype)

    def run(self, x: Array, state: Any, padding: Padding | None, drawn: Drawn | None, cache: bool) -> Pass:
        """Map every real step."""
        rows, (W, b) = real_rows(x, padding), self.params.values()
        y = W[rows] if is_integer(x) else rows @ W
        y += b
        return from_rows(y, x.shape[:2], padding), None, (rows, x.shape[:2])

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding | None) -> Gradients:
        """Gradients of x, W and b."""
        rows, shape = kept
        dy_rows = real_rows(dy, padding)
        grads["b"][...] = products.column_sums(dy_rows)
        if is_integer(rows):
            grads["W"][...] = products.sum_rows_by_id(rows, dy_rows, self.input_size)
            return None, None
        np.matmul(rows.T, dy_rows, out=grads["W"])
        return from_rows(dy_rows @ self.params["W"].T, shape, padding), None


class Embedding(Layer):
    """A row of W for every id: y_t = W[x_t].

    Parameters
    ----------
    input_size, output_size : int, V ids and D features
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights (standard normal)

    Attributes
    ----------
    params : W (V, D)
    """

    sizes = ("input_size", "output_size")

    def __init__(self, input_size: int, output_size: int, dtype: Any = np.float32, rng: Seed = None):
        self.input_size = check_count("input_size", input_size)
        self.output_size = check_count("output_size", output_size)
        self.params = Parameters({"W": (self.input_size, self.output_size)}, float_dtype(dtype))
        self.params["W"] = as_rng(rng).standard_normal((self.input_size, self.output_size))

    def check_input(self, x: Array) -> Array:
        """Ids."""
        if not is_integer(x):
            raise NumpyrnnError(f"x of {self!r} must be integer ids of shape (T, N), got dtype {x.dtype}")
        return check_numbers(x, self.input_size, self.dtype)

    def run(self, x: Array, state: Any, padding: Padding | None, drawn: Drawn | None, cache: bool) -> Pass:
        """Look up every real step."""
        rows = real_rows(x, padding)
        return from_rows(self.params["W"][rows], x.shape, padding), None, rows

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding | None) -> Gradients:
        """Gradient of W."""
        grads["W"][...] = products.sum_rows_by_id(kept, real_rows(dy, padding), self.input_size)
        return None, None


class Plain(Layer, abstract=True):
    """A layer without parameters, which takes floating numbers of any number of features.

    Parameters
    ----------
    dtype, rng : accepted as by the other layers, not used
    """

    def __init__(self, dtype: Any = np.float32, rng: Seed = None):
        self.params = Parameters({}, float_dtype(dtype))


class Dropout(Plain):
    """Inverted dropout (Srivastava et al. 2014): zero values with probability `rate`, scale the rest up.

    It acts only where `forward` is given an `rng`; without one it passes `x` on.

    Parameters
    ----------
    rate : float, 0 <= rate < 1
    shared : None (default), "time" or "features"
        What shares one draw. None: every value has its own. "time": one mask for all steps of a sequence (Gal and
        Ghahramani 2016). "features": a step is dropped whole (after an embedding: the whole token).
    dtype, rng : accepted as by the other layers, not used
    """

    sizes = ("rate", "shared")

    def __init__(self, rate: float, shared: str | None = None, dtype: Any = np.float32, rng: Seed = None):
        check_share("rate", rate)
        if shared not in (None, "time", "features"):
            raise NumpyrnnError(f"shared must be None, 'time' or 'features', got {shared!r}")
        super().__init__(dtype)
        self.rate, self.shared = float(rate), shared

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Drawn | None:
        """The mask."""
        T, N, D = shape
        shape = (1 if self.shared == "time" else T, N, 1 if self.shared == "features" else D)
        return Drawn(draw_keep(rng, shape, self.rate)) if self.rate > 0 else None

    def run(self, x: Array, state: Any, padding: Padding | None, drawn: Drawn | None, cache: bool) -> Pass:
        """Drop, if something was drawn."""
        if drawn is None:
            return x if cache else x.copy(), None, None  # without a cache y belongs to the caller, x does not
        mask = scaled_up(drawn.keep, self.rate, x.dtype)
        return x * mask, None, mask

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding | None) -> Gradients:
        """Let the gradient through where the values went."""
        dx = masked(dy, padding)
        return dx if kept is None else dx * kept, None


class ReLU(Plain):
    """Zero where x is negative (Nair and Hinton 2010): y = max(x, 0).

    Parameters
    ----------
    dtype, rng : accepted as by the other layers, not used
    """

    def run(self, x: Array, state: Any, padding: Padding | None, drawn: Drawn | None, cache: bool) -> Pass:
        """Cut off below zero."""
        y = np.maximum(x, np.zeros(x.shape[-1], x.dtype))  # twice as fast as with the number 0
        return y, None, y

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding | None) -> Gradients:
        """Let the gradient through where x was positive."""
        return masked(dy, padding) * (kept > 0), None


class MaxPool1D(Plain):
    """The largest of every `size` steps, feature by feature; steps left over at the end are dropped.

        y_t = max(x_{size t}, ..., x_{size t + size - 1})

    Parameters
    ----------
    size : int, default 2
    dtype, rng : accepted as by the other layers, not used
    """

    sizes = ("size",)
    stepwise = False

    def __init__(self, size: int = 2, dtype: Any = np.float32, rng: Seed = None):
        super().__init__(dtype)
        self.size = self.group = check_count("size", size)

    def run(self, x: Array, state: Any, padding: Padding | None, drawn: Drawn | None, cache: bool) -> Pass:
        """Take the largest of each group."""
        T, N, D = x.shape
        if self.size > T:
            raise NumpyrnnError(f"x of {self!r} must have at least {self.size} steps, got {T}")
        groups = x[: T // self.size * self.size].reshape(-1, self.size, N, D)
        y = groups.max(axis=1)
        left = None if padding is None else Padding(self.lengths_out(padding.lengths), len(y), N)
        return masked(y, left), None, (groups, y, T, left)

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding | None) -> Gradients:
        """Give the gradient to the largest, the first of equals."""
        groups, y, T, left = kept
        dx = np.empty((T, *y.shape[1:]), dy.dtype)
        dx[len(groups) * self.size :] = 0
        dgroups = dx[: len(groups) * self.size].reshape(groups.shape)
        dgroups[:, -1] = masked(dy, left)  # the last step gets what the others did not take
        for j in range(self.size - 1):
            np.multiply(dgroups[:, -1], groups[:, j] == y, out=dgroups[:, j])
            dgroups[:, -1] -= dgroups[:, j]
        return dx, None


class OneOf(Plain, abstract=True):
    """Picks one step for each sequence or feature; a subclass says which. A sequence without steps gives zeros."""

    group = 0

    def where(self, x: Array, padding: Padding | None) -> Array:
        """Which step is picked, (1, N, 1) or (1, N, D)."""
        raise NotImplementedError

    def run(self, x: Array, state: Any, padding: Padding | None, drawn: Drawn | None, cache: bool) -> Pass:
        """Take it; the steps of a sequence without a real one are all zero."""
        where = self.where(x, padding)
        return np.take_along_axis(x, where, axis=0), None, (where, x.shape)

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding | None) -> Gradients:
        """Give the gradient to it."""
        where, shape = kept
        dx = np.zeros(shape, dy.dtype)
        dy = dy if padding is None else np.where(padding.real[:1, :, None], dy, np.zeros((), dy.dtype))
        np.put_along_axis(dx, where, dy, axis=0)
        return dx, None


class GlobalMaxPool1D(OneOf):
    """The largest of all real steps, feature by feature, as a sequence of one step. No step gives zeros.

    The first of equals gets the gradient.

    Parameters
    ----------
    dtype, rng : accepted as by the other layers, not used
    """

    stepwise = False

    def where(self, x: Array, padding: Padding | None) -> Array:
        """The step of the largest value, for each feature."""
        ranked = x.real if padding is None else np.where(padding.real[..., None], x.real, -np.inf)
        return np.asarray(ranked.argmax(axis=0)[None])


class LastStep(OneOf):
    """The last real step of each sequence, as a sequence of one step: y_1 = x_T.

    For a loss at the end of a window only (the course's sonnets). A sequence without a step gives zeros.

    Parameters
    ----------
    dtype, rng : accepted as by the other layers, not used
    """

    def where(self, x: Array, padding: Padding | None) -> Array:
        """The last step."""
        T, N = x.shape[:2]
        return (np.full(N, T) if padding is None else padding.lengths.clip(min=1)).reshape(1, N, 1) - 1


def masked(array: Array, padding: Padding | None) -> Array:
    """`array` with zeros, whatever was there, where a step is not real; not copied where all are."""
    return array if padding is None else padding.masked(array)


def real_rows(x: Array, padding: Padding | None) -> Array:
    """The real steps of all sequences as rows."""
    return x.reshape(-1, *x.shape[2:]) if padding is None else x[padding.real]


def from_rows(rows: Array, shape: tuple[int, ...], padding: Padding | None) -> Array:
    """Undo `real_rows`, with zeros where padding was."""
    if padding is None:
        return rows.reshape(*shape, -1)
    y = np.zeros((*shape, rows.shape[-1]), rows.dtype)
    y[padding.real] = rows
    return y
