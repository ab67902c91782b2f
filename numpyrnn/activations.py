"""Element-wise and row-wise functions: sigmoid, softmax, log-softmax.

All are stable for any finite input. They accept complex numbers too, for complex-step gradient checks: the imaginary
part is then an infinitesimal, and comparisons look at the real part only.
"""

from __future__ import annotations

import numpy as np

from .checks import Array


def sigmoid(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x)), element by element.

    It never overflows, and keeps full relative accuracy in both tails.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    array of the same shape as `x`
    """
    x = _floating(x)
    positive = x.real >= 0
    e = np.exp(np.where(positive, -x, x))  # at most 1 in size
    return np.asarray(np.where(positive, 1, e) / (1 + e))


def softmax(x: Array, axis: int = -1) -> Array:
    """Softmax exp(x) / sum exp(x) along `axis`; the maximum is subtracted first.

    Parameters
    ----------
    x : array of any shape
    axis : int, default -1

    Returns
    -------
    array of the same shape as `x`, positive, summing to one along `axis`
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
    array of the same shape as `x`
    """
    x = below_largest(x, axis)
    return np.asarray(x - np.log(np.exp(x).sum(axis=axis, keepdims=True)))


def _floating(x: Array) -> Array:
    x = np.asarray(x)
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def below_largest(x: Array, axis: int) -> Array:
    """Subtract the largest value along `axis`; differences too low for the dtype become its lowest number."""
    x = _floating(x)
    with np.errstate(over="ignore"):
        x = x - x.real.max(axis=axis, keepdims=True)
    return x if x.dtype.kind == "c" else np.maximum(x, np.finfo(x.dtype).min)
