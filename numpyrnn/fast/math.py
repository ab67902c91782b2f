"""Helpers of the compiled functions: compiler settings, tanh, sigmoid, exp, and the product of a single row.

Numba compiles these functions into their callers in `fast/cells.py`, and does not notice if they change: delete the
`__pycache__` folders after a change in this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from ..checks import Array

# "numpy": division by zero is not checked; "contract": a b + c may be one instruction
compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
inlined = njit(inline="always", error_model="numpy", fastmath={"contract"})


@compiled
def add_product(x: Array, W: Array, out: Array) -> None:
    """Add x W to out, four rows at a time, so that `out` is read and written less often."""
    last = len(x) - len(x) % 4
    for k in range(0, last, 4):
        a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
        for j in range(len(out)):
            out[j] += a * W[k, j] + b * W[k + 1, j] + c * W[k + 2, j] + d * W[k + 3, j]
    for k in range(last, len(x)):
        for j in range(len(out)):
            out[j] += x[k] * W[k, j]


# tanh from sums, products and one division, which the compiler turns into vector instructions. math.tanh takes 25 ns
# per number; these take 0.13 ns in float32 and 0.7 ns in float64, with vectors of 512 bits. Their error is at most 2.3
# units in the last place.


def tanh(z: Any) -> Any:
    """Tanh of a float32 or float64."""
    return tanh32(z) if isinstance(z, np.float32) else tanh64(z)


def sigmoid(z: Any) -> Any:
    """1 / (1 + exp(-z)) = tanh(z / 2) / 2 + 1 / 2 of a float32 or float64."""
    half = type(z)(0.5)
    return half * tanh(half * z) + half


@overload(tanh, strict=False)
def _tanh(z: Any) -> Callable[[Any], Any]:
    return (lambda z: tanh32(z)) if z is types.float32 else (lambda z: tanh64(z))


@overload(sigmoid, strict=False)
def _sigmoid(z: Any) -> Callable[[Any], Any]:
    half = np.float32(0.5) if z is types.float32 else 0.5
    return lambda z: half * tanh(half * z) + half


# x P(x^2) / Q(x^2), a minimax fit up to END, where tanh is 1 in float32. The coefficients are from the Eigen library.
END = np.float32(7.90531110763549805)
P0, P1, P2, P3 = map(np.float32, (4.89352455891786e-3, 6.37261928875436e-4, 1.48572235717979e-5, 5.12229709037114e-8))
P4, P5, P6 = map(np.float32, (-8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16))
Q0, Q1, Q2, Q3 = map(np.float32, (4.89352518554385e-3, 2.26843463243900e-3, 1.18534705686654e-4, 1.19825839466702e-6))


@inlined
def tanh32(x: Any) -> Any:
    """Tanh of a float32."""
    x = END if x > END else x
    x = -END if x < -END else x
    s = x * x
    p = P0 + s * (P1 + s * (P2 + s * (P3 + s * (P4 + s * (P5 + s * P6)))))
    q = Q0 + s * (Q1 + s * (Q2 + s * Q3))
    return x * p / q


SMALL, LARGE = 0.5, 20.0  # Lambert's continued fraction is used below SMALL; above LARGE tanh is 1


@inlined
def tanh64(x: Any) -> Any:
    """Tanh of a float64: x / (1 + x^2 / (3 + x^2 / (5 + ... 13))), or (exp(2 |x|) - 1) / (exp(2 |x|) + 1)."""
    size, s = abs(x), x * x
    e = exp64(2.0 * (LARGE if size > LARGE else size))
    p = size * (135135.0 + s * (17325.0 + s * (378.0 + s)))
    q = 135135.0 + s * (62370.0 + s * (3150.0 + s * 28.0))
    p = p if size < SMALL else e - 1.0
    q = q if size < SMALL else e + 1.0
    return math.copysign(p / q, x)


# exp(x) = 2^k exp(r) with x = k log 2 + r and |r| <= log(2) / 2, for which 14 terms of the series are enough
LOG2_HIGH, LOG2_LOW = 0.693145751953125, 1.42860682030941723212e-6  # log 2 in two parts: k LOG2_HIGH is exact
ROUND = 1.5 * 2.0**52  # adding it rounds to a whole number, which is then in the lowest bits of the sum
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1 / math.factorial(n) for n in range(2, 14))


@inlined
def exp64(x: Any) -> Any:
    """Exp of a float64 between -700 and 700."""
    rounded = x * (1 / math.log(2)) + ROUND
    k = rounded - ROUND
    r = x - k * LOG2_HIGH - k * LOG2_LOW
    p = C7 + r * (C8 + r * (C9 + r * (C10 + r * (C11 + r * (C12 + r * C13)))))
    p = 1 + r * (1 + r * (C2 + r * (C3 + r * (C4 + r * (C5 + r * (C6 + r * p))))))
    bits = (np.float64(rounded).view(np.int64) + 1023) << 52
    return p * np.int64(bits).view(np.float64)  # 2^k
