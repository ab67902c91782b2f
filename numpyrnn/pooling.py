"""Layers that make few steps of many: the largest of each group, the largest of all, the last.

The form is that of `layer.py`. They begin anew in every pass and have no state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import Array, NumpyrnnError, check_shape
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
    check_lengths,
    check_no_state,
    float_dtype,
    masked,
    real_steps,
)
from .parameters import Parameters


class MaxPool1D(Layer):
    """The largest of every `size` steps, feature by feature; steps left over at the end are dropped.

        y_t = max(x_{size t}, ..., x_{size t + size - 1})

    Parameters
    ----------
    size : int, default 2
    dtype, rng : taken and not used, like the other layers'
    """

    sizes = ("size",)
    stepwise = False

    def __init__(self, size: int = 2, dtype: Any = np.float32, rng: Seed = None):
        self.size = as_size("size", size)
        self.params = Parameters({}, float_dtype(dtype))

    def lengths_out(self, lengths: Array) -> Array:
        """As many as there are whole groups of steps."""
        return lengths // self.size

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Take the largest of each group; see `numpyrnn.layer`."""
        check_no_state(self, state)
        x = check_features(self, x, lengths)
        T, N, D = x.shape
        if self.size > T:
            raise NumpyrnnError(f"x of {self!r} must have at least {self.size} steps, got {T}")
        groups = x[: T // self.size * self.size].reshape(-1, self.size, N, D)
        y = groups.max(axis=1)
        ends = check_lengths(lengths, T, N)
        real = None if ends is None else real_steps(self.lengths_out(ends), len(y), N)
        return masked(y, real), None, (groups, y, x.shape, real) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Give the gradient to the largest, the first of equals; see `numpyrnn.layer`."""
        groups, y, x_shape, real = check_cache(cache)
        check_no_state(self, dstate)
        dy = np.asarray(dy)
        check_shape("dy", dy, y.shape)
        dx = np.empty(x_shape, dy.dtype)
        dx[len(groups) * self.size :] = 0
        dgroups = dx[: len(groups) * self.size].reshape(groups.shape)
        dgroups[:, -1] = masked(dy, real)  # the last gets what those before leave
        for j in range(self.size - 1):
            np.multiply(dgroups[:, -1], groups[:, j] == y, out=dgroups[:, j])
            dgroups[:, -1] -= dgroups[:, j]
        return dx, None, check_grads(grads, self.params)


class GlobalMaxPool1D(Layer):
    """The largest of all real steps, feature by feature, as a sequence of one step. No step gives zeros.

    Parameters
    ----------
    dtype, rng : taken and not used, like the other layers'
    """

    stepwise = False

    def __init__(self, dtype: Any = np.float32, rng: Seed = None):
        self.params = Parameters({}, float_dtype(dtype))

    def lengths_out(self, lengths: Array) -> Array:
        """One step, where there was one."""
        return np.minimum(lengths, 1)

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Take the largest of each sequence; see `numpyrnn.layer`."""
        check_no_state(self, state)
        x = check_features(self, x, lengths)
        real = real_steps(lengths, *x.shape[:2])
        ranked = x.real if real is None else np.where(real[..., None], x.real, -np.inf)
        where = ranked.argmax(axis=0)[None]  # padding is zero, so a sequence without a step gives zeros
        return np.take_along_axis(x, where, axis=0), None, (where, real, x.shape) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Give the gradient to the largest, the first of equals; see `numpyrnn.layer`."""
        where, real, x_shape = check_cache(cache)
        check_no_state(self, dstate)
        dy = np.asarray(dy)
        check_shape("dy", dy, (1, *x_shape[1:]))
        dx = np.zeros(x_shape, dy.dtype)
        np.put_along_axis(dx, where, masked(dy, None if real is None else real[:1]), axis=0)
        return dx, None, check_grads(grads, self.params)


class LastStep(Layer):
    """The last real step of each sequence, as a sequence of one step: y_1 = x_T.

    For a loss at the end of a window only (the course's sonnets). A sequence without a step gives zeros.

    Parameters
    ----------
    dtype, rng : taken and not used, like the other layers'
    """

    def __init__(self, dtype: Any = np.float32, rng: Seed = None):
        self.params = Parameters({}, float_dtype(dtype))

    def lengths_out(self, lengths: Array) -> Array:
        """One step, where there was one."""
        return np.minimum(lengths, 1)

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Take the last step; see `numpyrnn.layer`."""
        check_no_state(self, state)
        x = check_features(self, x, lengths)
        real = check_lengths(lengths, *x.shape[:2])
        last = np.full(x.shape[1], len(x) - 1) if real is None else real - 1  # -1 is padding, which is zero
        y = x[last, np.arange(x.shape[1])][None]
        return y, None, (last, x.shape) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Give the gradient to the last step; see `numpyrnn.layer`."""
        last, x_shape = check_cache(cache)
        check_no_state(self, dstate)
        dy = np.asarray(dy)
        check_shape("dy", dy, (1, *x_shape[1:]))
        dx = np.zeros(x_shape, dy.dtype)
        dx[last, np.arange(x_shape[1])] = masked(dy, last[None] >= 0)[0]
        return dx, None, check_grads(grads, self.params)
