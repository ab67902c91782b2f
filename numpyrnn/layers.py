"""Layers without a state.

Some map each step on its own (dense, embedding, dropout, ReLU); others reduce the number of steps (pooling, last step).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from . import products
from .checks import Array, NumpyrnnError, as_rng, check_count, check_share, is_integer
from .layer import FARTHEST, Drawn, Gradients, Grads, Layer, Padding, Pass, Seed, draw_mask, float_dtype, glorot
from .parameters import Parameters, draw


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
        D, V = check_count("input_size", input_size), check_count("output_size", output_size)
        self.input_size, self.output_size = D, V
        self.params = Parameters({"W": (D, V), "b": (V,)}, float_dtype(dtype))
        self.params["W"] = glorot(as_rng(rng), D, V)

    def run(self, x: Array, state: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Map every real step."""
        rows, (W, b) = padding.rows(x), self.params.values()
        y = W[rows] if is_integer(x) else rows @ W
        y += b
        return padding.from_rows(y), None, rows

    def run_back(self, dy: Array, rows: Any, dstate: Any, grads: Grads, padding: Padding) -> Gradients:
        """Return the gradient of x; write those of W and b."""
        dy_rows = padding.rows(dy)
        grads["b"][...] = products.column_sums(dy_rows)
        if is_integer(rows):
            grads["W"][...] = products.sum_rows_by_id(rows, dy_rows, self.input_size)
            return None, None
        np.matmul(rows.T, dy_rows, out=grads["W"])
        return padding.from_rows(dy_rows @ self.params["W"].T), None


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
        V, D = check_count("input_size", input_size), check_count("output_size", output_size)
        self.input_size, self.output_size = V, D
        self.params = Parameters({"W": (V, D)}, float_dtype(dtype))
        self.params["W"] = draw((V, D), lambda: as_rng(rng).standard_normal((V, D)))

    def check_input(self, x: Array) -> Array:
        """Accept only ids."""
        if not is_integer(x):
            raise NumpyrnnError(f"x of {self!r} must be integer ids of shape (T, N), got dtype {x.dtype}")
        return super().check_input(x)

    def run(self, x: Array, state: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Look up every real step."""
        rows = padding.rows(x)
        return padding.from_rows(self.params["W"][rows]), None, rows

    def run_back(self, dy: Array, rows: Any, dstate: Any, grads: Grads, padding: Padding) -> Gradients:
        """Write the gradient of W."""
        grads["W"][...] = products.sum_rows_by_id(rows, padding.rows(dy), self.input_size)
        return None, None


class Plain(Layer, abstract=True):
    """A layer without parameters. It takes floating (T, N, D) of any D.

    Parameters
    ----------
    dtype, rng : not used; every layer accepts them
    """

    def __init__(self, dtype: Any = np.float32, rng: Seed = None):
        self.params = Parameters({}, float_dtype(dtype))


class Dropout(Plain):
    """Inverted dropout (Srivastava et al. 2014): zero each value with probability `rate`, scale up the others.

    It acts only if `forward` is given an `rng`; otherwise y = x.

    Parameters
    ----------
    rate : float, 0 <= rate < 1
    shared : None (default), "time" or "features"
        None drops each value independently. "time" uses one mask for all steps of a sequence (Gal and Ghahramani 2016).
        "features" drops whole steps; after an embedding these are whole tokens.
    dtype, rng : not used; every layer accepts them
    """

    sizes = ("rate", "shared")

    def __init__(self, rate: float, shared: str | None = None, dtype: Any = np.float32, rng: Seed = None):
        check_share("rate", rate)
        if shared not in (None, "time", "features"):
            raise NumpyrnnError(f"shared must be None, 'time' or 'features', got {shared!r}")
        super().__init__(dtype)
        self.rate, self.shared = float(rate), shared

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Drawn | None:
        """Draw the mask."""
        T, N, D = shape
        shape = (1 if self.shared == "time" else T, N, 1 if self.shared == "features" else D)
        return draw_mask(rng, shape, self.rate)

    def run(self, x: Array, state: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Apply the mask, if there is one."""
        if drawn is None:
            return x if cache else x.copy(), None, None  # without a cache, y may be written to, but not x
        mask = drawn.mask(x.dtype)
        return x * mask, None, mask

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding) -> Gradients:
        """Pass the gradient through the same mask."""
        dx = padding.masked(dy)
        return dx if kept is None else dx * kept, None


class ReLU(Plain):
    """Zero where x is negative (Nair and Hinton 2010): y = max(x, 0).

    Parameters
    ----------
    dtype, rng : not used; every layer accepts them
    """

    def run(self, x: Array, state: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Set negative values to zero."""
        y = np.maximum(x, np.zeros(x.shape[-1], x.dtype))  # twice as fast as with the number 0
        return y, None, y

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding) -> Gradients:
        """Pass the gradient where x was positive."""
        return padding.masked(dy) * (kept > 0), None


class MaxPool1D(Plain):
    """The maximum of every `size` steps, feature by feature; steps left over at the end are dropped.

        y_t = max(x_{size t}, ..., x_{size t + size - 1})

    Parameters
    ----------
    size : int, default 2, steps per group
    dtype, rng : not used; every layer accepts them
    """

    sizes = ("size",)
    stepwise = False

    def __init__(self, size: int = 2, dtype: Any = np.float32, rng: Seed = None):
        super().__init__(dtype)
        self.size = self.group = check_count("size", size, 1, FARTHEST)

    def run(self, x: Array, state: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Take the maximum of each group."""
        T, N, D = x.shape
        if self.size > T:
            raise NumpyrnnError(f"x of {self!r} must have at least {self.size} steps, got {T}")
        groups = x[: T // self.size * self.size].reshape(-1, self.size, N, D)
        y = groups.max(axis=1)
        return self.padding_out(padding, len(y)).masked(y), None, (groups, y)

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding) -> Gradients:
        """Give the gradient to the maximum, the first if several are equal."""
        groups, y = kept
        dx = np.empty((padding.T, *y.shape[1:]), dy.dtype)
        dx[len(groups) * self.size :] = 0
        dgroups = dx[: len(groups) * self.size].reshape(groups.shape)
        dgroups[:, -1] = self.padding_out(padding, len(y)).masked(dy)  # the last step gets the rest
        for j in range(self.size - 1):
            np.multiply(dgroups[:, -1], groups[:, j] == y, out=dgroups[:, j])
            dgroups[:, -1] -= dgroups[:, j]
        return dx, None


class OneOf(Plain, abstract=True):
    """Picks one step per sequence or per feature; a subclass says which. An empty sequence gives zeros."""

    group = 0

    def where(self, x: Array, padding: Padding) -> Array:
        """The steps to pick, (1, N, 1) or (1, N, D)."""
        raise NotImplementedError

    def run(self, x: Array, state: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Take the picked steps; in an empty sequence all steps are zero."""
        where = self.where(x, padding)
        return np.take_along_axis(x, where, axis=0), None, (where, x.shape)

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding) -> Gradients:
        """Give the gradient to the picked steps."""
        where, shape = kept
        dx = np.zeros(shape, dy.dtype)
        np.put_along_axis(dx, where, self.padding_out(padding, 1).masked(dy), axis=0)
        return dx, None


class GlobalMaxPool1D(OneOf):
    """The maximum of all real steps, feature by feature, as a sequence of one step. An empty sequence gives zeros.

    If several steps are equal, the first gets the gradient.

    Parameters
    ----------
    dtype, rng : not used; every layer accepts them
    """

    stepwise = False

    def where(self, x: Array, padding: Padding) -> Array:
        """The step of the maximum, for each feature."""
        ranked = x.real if padding.full else np.where(padding.real[..., None], x.real, -np.inf)
        return np.asarray(ranked.argmax(axis=0)[None])


class LastStep(OneOf):
    """The last real step of each sequence, as a sequence of one step: y_1 = x_T.

    For models whose loss counts only the end of each window, as in the course's sonnets. An empty sequence gives zeros.

    Parameters
    ----------
    dtype, rng : not used; every layer accepts them
    """

    def where(self, x: Array, padding: Padding) -> Array:
        """The last step."""
        return padding.lengths.clip(min=1).reshape(1, -1, 1) - 1
