"""Element-wise and row-wise functions: sigmoid, softmax, log-softmax, one-hot rows.

All are stable for any finite input and accept complex numbers (for complex-step gradient checks,
where the imaginary part is an infinitesimal and comparisons look at the real part only).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import Array, NumpyrnnError, check_ids, is_integer


def sigmoid(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x)), element by element.

    Never overflows, and keeps full relative accuracy in both tails.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    array of the shape of `x`
    """
    x = _floating(x)
    positive = x.real >= 0
    e = np.exp(np.where(positive, -x, x))  # at most 1 in size
    return np.asarray(np.where(positive, 1, e) / (1 + e))


def softmax(x: Array, axis: int = -1) -> Array:
    """Softmax exp(x) / sum exp(x) along `axis`, with the maximum subtracted first.

    Parameters
    ----------
    x : array of any shape
    axis : int, default -1

    Returns
    -------
    array of the shape of `x`, positive, with sums of one along `axis`
    """
    e = np.exp(below_largest(x, axis))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def log_softmax(x: Array, axis: int = -1) -> Array:
    """Logarithm of the softmax along `axis`; finite wherever `x` is.

    Parameters
    ----------
    x : array of any shape
    axis : int, default -1

    Returns
    -------
    array of the shape of `x`
    """
    x = below_largest(x, axis)
    return np.asarray(x - np.log(np.exp(x).sum(axis=axis, keepdims=True)))


def one_hot(ids: Array, size: int, dtype: Any = np.float32) -> Array:
    """Rows of the identity matrix: 1 at each id, 0 elsewhere.

    The engine never needs them (integers stand for one-hot rows); they are here to compare and to teach.

    Parameters
    ----------
    ids : integer array of any shape, values in 0 .. size - 1
    size : int, length of a row
    dtype : default float32

    Returns
    -------
    array of shape ids.shape + (size,)

    Raises
    ------
    NumpyrnnError
        if `ids` are not integers or lie outside 0 .. size - 1
    """
    ids = np.asarray(ids)
    if not is_integer(ids):
        raise NumpyrnnError(f"ids must be integers, got dtype {ids.dtype}")
    check_ids("ids", ids, size)
    rows = np.zeros((ids.size, size), dtype)
    rows[np.arange(ids.size), ids.ravel()] = 1
    return rows.reshape(*ids.shape, size)


def _floating(x: Array) -> Array:
    x = np.asarray(x)
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def below_largest(x: Array, axis: int) -> Array:
    """Return x less its largest value along `axis`; a difference too large for the dtype is its lowest number."""
    x = _floating(x)
    with np.errstate(over="ignore"):
        x = x - x.real.max(axis=axis, keepdims=True)
    return x if x.dtype.kind == "c" else np.maximum(x, np.finfo(x.dtype).min)
