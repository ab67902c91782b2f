"""The layers that know one step at a time: affine maps, tables, dropout, ReLU."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import products
from .checks import Array, NumpyrnnError, as_array, check_shape, check_share, is_integer
from .layer import (
    Back,
    Grads,
    Layer,
    Lengths,
    Pass,
    Rng,
    Seed,
    as_size,
    check_cache,
    check_features,
    check_grads,
    check_input,
    check_no_state,
    float_dtype,
    from_rows,
    glorot,
    keep_mask,
    masked,
    real_rows,
    real_steps,
)
from .parameters import Parameters


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
        self.input_size, self.output_size = as_size("input_size", input_size), as_size("output_size", output_size)
        shapes = {"W": (self.input_size, self.output_size), "b": (self.output_size,)}
        self.params = Parameters(shapes, float_dtype(dtype))
        self.params["W"] = glorot(np.random.default_rng(rng), self.input_size, self.output_size)

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Map every real step; see `numpyrnn.layer`."""
        check_no_state(self, state)
        x = check_input(x, self.input_size, self.dtype, lengths)
        rows, real = real_rows(x, lengths)
        W, b = self.params["W"], self.params["b"]
        y = W[rows] if is_integer(x) else rows @ W
        y += b
        return from_rows(y, x.shape[:2], real), None, (rows, real, x.shape) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Gradients of x, W and b; see `numpyrnn.layer`."""
        rows, real, x_shape = check_cache(cache)
        check_no_state(self, dstate)
        dy = as_array("dy", dy, self.dtype)
        check_shape("dy", dy, (*x_shape[:2], self.output_size))
        dy_rows = dy.reshape(-1, self.output_size) if real is None else dy[real]
        grads = check_grads(grads, self.params)
        grads["b"][...] = products.column_sums(dy_rows)
        if is_integer(rows):
            grads["W"][...] = products.sum_rows_by_id(rows, dy_rows, self.input_size)
            return None, None, grads
        np.matmul(rows.T, dy_rows, out=grads["W"])
        return from_rows(dy_rows @ self.params["W"].T, x_shape[:2], real), None, grads


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
        self.input_size, self.output_size = as_size("input_size", input_size), as_size("output_size", output_size)
        self.params = Parameters({"W": (self.input_size, self.output_size)}, float_dtype(dtype))
        self.params["W"] = np.random.default_rng(rng).standard_normal((self.input_size, self.output_size))

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Look up every real step; see `numpyrnn.layer`."""
        check_no_state(self, state)
        x = np.asarray(x)
        if not is_integer(x):
            raise NumpyrnnError(f"x of {self!r} must be integer ids of shape (T, N), got dtype {x.dtype}")
        x = check_input(x, self.input_size, self.dtype, lengths)
        rows, real = real_rows(x, lengths)
        y = self.params["W"][rows]
        return from_rows(y, x.shape, real), None, (rows, real, x.shape) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Gradient of W; see `numpyrnn.layer`."""
        rows, real, x_shape = check_cache(cache)
        check_no_state(self, dstate)
        dy = as_array("dy", dy, self.dtype)
        check_shape("dy", dy, (*x_shape, self.output_size))
        grads = check_grads(grads, self.params)
        dy_rows = dy.reshape(-1, self.output_size) if real is None else dy[real]
        grads["W"][...] = products.sum_rows_by_id(rows, dy_rows, self.input_size)
        return None, None, grads


class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014): zero values with probability `rate`, scale the rest up.

    It acts only where `forward` is given an `rng`; without one it passes `x` on.

    Parameters
    ----------
    rate : float, 0 <= rate < 1
    shared : None (default), "time" or "features"
        What shares one draw. None: every value has its own. "time": one mask for all steps of a sequence (Gal and
        Ghahramani 2016). "features": a step is dropped whole (after an embedding: the whole token).
    dtype, rng : taken and not used, like the other layers'
    """

    sizes = ("rate", "shared")

    def __init__(self, rate: float, shared: str | None = None, dtype: Any = np.float32, rng: Seed = None):
        check_share("rate", rate)
        if shared not in (None, "time", "features"):
            raise NumpyrnnError(f"shared must be None, 'time' or 'features', got {shared!r}")
        self.rate, self.shared = float(rate), shared
        self.params = Parameters({}, float_dtype(dtype))

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Drop, if there is an `rng`; see `numpyrnn.layer`."""
        check_no_state(self, state)
        x = check_features(self, x, lengths)
        rng = None if rng is None else np.random.default_rng(rng)
        keep, y = None, x
        if rng is not None and self.rate > 0:
            T, N, D = x.shape
            shape = (1 if self.shared == "time" else T, N, 1 if self.shared == "features" else D)
            keep = keep_mask(rng, shape, self.rate, x.dtype)
            y = x * keep
        real = real_steps(lengths, *x.shape[:2])
        return masked(y, real), None, (keep, real, x.shape) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Let the gradient through where the values went; see `numpyrnn.layer`."""
        keep, real, x_shape = check_cache(cache)
        check_no_state(self, dstate)
        dy = np.asarray(dy)
        check_shape("dy", dy, x_shape)
        dx = masked(dy, real)
        return dx if keep is None else dx * keep, None, check_grads(grads, self.params)


class ReLU(Layer):
    """Zero where x is negative (Nair and Hinton 2010): y = max(x, 0).

    Parameters
    ----------
    dtype, rng : taken and not used, like the other layers'
    """

    def __init__(self, dtype: Any = np.float32, rng: Seed = None):
        self.params = Parameters({}, float_dtype(dtype))

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Cut off below zero; see `numpyrnn.layer`."""
        check_no_state(self, state)
        x = check_features(self, x, lengths)
        y = np.maximum(x, np.zeros(x.shape[-1], x.dtype))  # twice as fast as with the number 0
        return y, None, (y, real_steps(lengths, *x.shape[:2])) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Let the gradient through where x was positive; see `numpyrnn.layer`."""
        y, real = check_cache(cache)
        check_no_state(self, dstate)
        dy = np.asarray(dy)
        check_shape("dy", dy, y.shape)
        return masked(dy, real) * (y > 0), None, check_grads(grads, self.params)
