"""The functions of `kernels.py` once more, compiled by Numba: the back end of `NUMPYRNN_BACKEND=fast`.

The products stay with NumPy. What `kernels.py` does between two of them, in up to a dozen passes over the gates, is
one pass here, in which each number is read and written once. Read `kernels.py` first: names, layouts and caches are
the same, so that either one's backward pass takes what the other's forward pass has kept. What is rare (hard sigmoids,
complex weights) is never asked of this file.

In the compiled functions the N sequences of a step and their H units are one axis, and constants are avoided or typed:
a float32 beside an int or a float would become a float64. Numba compiles each of them when it is first called, in a
fraction of a second, and keeps the result beside this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

from .checks import Array
from .kernels import Cache, allocator, steps
from .products import as_blocks, as_rows, column_sums, in_blocks, project, project_backward

# "numpy": divisors are not checked; "contract": a b + c is one instruction
compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
inlined = njit(inline="always", error_model="numpy", fastmath={"contract"})


def rnn_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, active: list[int] | None) -> tuple[Array, Cache]:
    """See `kernels.rnn_forward`."""
    (T, N), H = x.shape[:2], len(b)
    h = np.empty((T + 1, N, H), Wh.dtype)
    h[0] = h0
    project(x, Wx[None], b[None], out=h[None, 1:])
    Wh_blocks, hWh = in_blocks(Wh[None], N), np.empty((1, N, H), Wh.dtype)
    product = as_blocks(hWh, Wh_blocks)
    cell = flat(hWh), flat(h, 1)
    for t, n in steps(T, N, active):
        np.matmul(h[t, :n], Wh_blocks, out=product[:, :, :n])
        _rnn_cell(t, n * H, *cell)
        h[t + 1, n:] = 0
    return h, (x, Wx, Wh, active, h)


@compiled
def _rnn_cell(t: int, size: int, hWh: Array, h: Array) -> None:
    for j in range(size):
        h[t + 1, j] = tanh(h[t + 1, j] + hWh[j])


def rnn_backward(
    dy: Array, dh: Array, cache: Cache, grads: dict[str, Array], need_dx: bool
) -> tuple[Array | None, Array]:
    """See `kernels.rnn_backward`."""
    x, Wx, Wh, active, h = cache
    T, N, H = dy.shape
    dz = allocator(active)((T, N, H), Wh.dtype)
    dh = dh.copy()
    WhT_blocks = in_blocks(Wh.T[None], N)
    product = as_blocks(dh[None], WhT_blocks)
    cell = flat(dy, 1), flat(dh), flat(h, 1), flat(dz, 1)
    for t, n in steps(T, N, active, backwards=True):
        _rnn_cell_back(t, n * H, *cell)
        np.matmul(dz[t, :n], WhT_blocks, out=product[:, :, :n])
    np.matmul(as_rows(h[:-1]).T, as_rows(dz), out=grads["Wh"])
    grads["b"][...] = column_sums(as_rows(dz))
    return project_backward(x, dz[None], Wx[None], grads["Wx"][None], need_dx), dh


@compiled
def _rnn_cell_back(t: int, size: int, dy: Array, dh: Array, h: Array, dz: Array) -> None:
    for j in range(size):
        d, h_t = dh[j] + dy[t, j], h[t + 1, j]
        dz[t, j] = d - d * h_t * h_t


def lstm_forward(
    x: Array, h0: Array, c0: Array, Wx: Array, Wh: Array, b: Array, active: list[int] | None, hard: bool = False
) -> tuple[Array, Array, Cache]:
    """See `kernels.lstm_forward`."""
    (T, N), H = x.shape[:2], b.shape[1]
    empty = allocator(active)
    gates = empty((5, T + 1, N, H), Wh.dtype)  # o i f g and c, with c[t] the state before step t
    c = gates[4]
    h = empty(c.shape, Wh.dtype)
    tanh_c = empty((T, N, H), Wh.dtype)
    h[0], c[0] = h0, c0
    project(x, Wx, None, out=gates[:4, :T])
    Wh_blocks, hWh = in_blocks(Wh, N), np.empty((4, N, H), Wh.dtype)
    product = as_blocks(hWh, Wh_blocks)
    cell = np.tile(b, N), flat(hWh, 1), flat(gates, 2), flat(tanh_c, 1), flat(h, 1)
    for t, n in steps(T, N, active):
        np.matmul(h[t, :n], Wh_blocks, out=product[:, :, :n])
        _lstm_cell(t, n * H, *cell)
    return h, c, (x, Wx, Wh, active, hard, h, gates, tanh_c)


@compiled
def _lstm_cell(t: int, size: int, b: Array, hWh: Array, gates: Array, tanh_c: Array, h: Array) -> None:
    for j in range(size):
        o = sigmoid(gates[0, t, j] + hWh[0, j] + b[0, j])
        i = sigmoid(gates[1, t, j] + hWh[1, j] + b[1, j])
        f = sigmoid(gates[2, t, j] + hWh[2, j] + b[2, j])
        g = tanh(gates[3, t, j] + hWh[3, j] + b[3, j])
        c = i * g + f * gates[4, t, j]
        tanh_c_t = tanh(c)
        gates[0, t, j], gates[1, t, j], gates[2, t, j], gates[3, t, j] = o, i, f, g
        gates[4, t + 1, j], tanh_c[t, j], h[t + 1, j] = c, tanh_c_t, o * tanh_c_t


def lstm_backward(
    dy: Array, dh: Array, dc: Array, cache: Cache, grads: dict[str, Array], need_dx: bool
) -> tuple[Array | None, Array, Array]:
    """See `kernels.lstm_backward`."""
    x, Wx, Wh, active, _, h, gates, tanh_c = cache
    T, N, H = dy.shape
    dz = allocator(active)((4, T, N, H), dy.dtype)
    dc = dc.copy()
    WhT_blocks, dzWh = in_blocks(Wh.transpose(0, 2, 1), N), np.zeros((4, N, H), dy.dtype)
    dzWh[0] = dh  # dh of a step is the sum over all four
    product = as_blocks(dzWh, WhT_blocks)
    cell = flat(dy, 1), flat(dzWh, 1), flat(dc), flat(gates, 2), flat(tanh_c, 1), flat(dz, 2)
    for t, n in steps(T, N, active, backwards=True):
        _lstm_cell_back(t, n * H, *cell)
        np.matmul(dz[:, t, None, :n], WhT_blocks, out=product[:, :, :n])
    np.matmul(as_rows(h[:-1]).T, as_rows(dz), out=grads["Wh"])
    grads["b"][...] = column_sums(as_rows(dz))
    return project_backward(x, dz, Wx, grads["Wx"], need_dx), dzWh.sum(axis=0), dc


@compiled
def _lstm_cell_back(
    t: int, size: int, dy: Array, dzWh: Array, dc: Array, gates: Array, tanh_c: Array, dz: Array
) -> None:
    for j in range(size):
        o, i, f, g, tanh_c_t = gates[0, t, j], gates[1, t, j], gates[2, t, j], gates[3, t, j], tanh_c[t, j]
        dh = dy[t, j] + (dzWh[0, j] + dzWh[1, j]) + (dzWh[2, j] + dzWh[3, j])
        d = dh * o
        dc_t = dc[j] + d - d * tanh_c_t * tanh_c_t
        dg = dc_t * i
        dz[0, t, j] = dh * tanh_c_t * (o - o * o)
        dz[1, t, j] = dc_t * g * (i - i * i)
        dz[2, t, j] = dc_t * gates[4, t, j] * (f - f * f)
        dz[3, t, j] = dg - dg * g * g
        dc[j] = dc_t * f


def gru_forward(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, bh: Array, active: list[int] | None
) -> tuple[Array, Cache]:
    """See `kernels.gru_forward`."""
    (T, N), H = x.shape[:2], len(bh)
    empty = allocator(active)
    h = empty((T + 1, N, H), Wh.dtype)
    gates = empty((4, T, N, H), Wh.dtype)  # r z n and u
    h[0] = h0
    project(x, Wx, b, out=gates[:3])
    Wh_blocks, hWh = in_blocks(Wh, N), np.empty((3, N, H), Wh.dtype)
    product = as_blocks(hWh, Wh_blocks)
    cell = np.tile(bh, N), flat(hWh, 1), flat(gates, 2), flat(h, 1)
    for t, n in steps(T, N, active):
        np.matmul(h[t, :n], Wh_blocks, out=product[:, :, :n])
        _gru_cell(t, n * H, *cell)
    return h, (x, Wx, Wh, active, h, gates)


@compiled
def _gru_cell(t: int, size: int, bh: Array, hWh: Array, gates: Array, h: Array) -> None:
    for j in range(size):
        r = sigmoid(gates[0, t, j] + hWh[0, j])
        z = sigmoid(gates[1, t, j] + hWh[1, j])
        u = hWh[2, j] + bh[j]
        n = tanh(gates[2, t, j] + r * u)
        gates[0, t, j], gates[1, t, j], gates[2, t, j], gates[3, t, j] = r, z, n, u
        h[t + 1, j] = n + z * (h[t, j] - n)


def gru_backward(
    dy: Array, dh: Array, cache: Cache, grads: dict[str, Array], need_dx: bool
) -> tuple[Array | None, Array]:
    """See `kernels.gru_backward`."""
    x, Wx, Wh, active, h, gates = cache
    T, N, H = dy.shape
    dz = allocator(active)((4, T, N, H), dy.dtype)  # of r, z, n, and of u
    dzWh = np.zeros((4, N, H), dy.dtype)  # by way of r, z and u, and straight from dh z
    dzWh[3] = dh
    WhT_blocks = in_blocks(Wh.transpose(0, 2, 1), N)
    product = as_blocks(dzWh[:3], WhT_blocks)
    cell = flat(dy, 1), flat(dzWh, 1), flat(gates, 2), flat(h, 1), flat(dz, 2)
    for t, n in steps(T, N, active, backwards=True):
        _gru_cell_back(t, n * H, *cell)
        np.matmul(dz[:2, t, None, :n], WhT_blocks[:2], out=product[:2, :, :n])
        np.matmul(dz[3, t, :n], WhT_blocks[2], out=product[2, :, :n])
    h_prev = as_rows(h[:-1]).T
    np.matmul(h_prev, as_rows(dz[:2]), out=grads["Wh"][:2])
    np.matmul(h_prev, as_rows(dz[3]), out=grads["Wh"][2])
    grads["b"][...] = column_sums(as_rows(dz[:3]))
    grads["bh"][...] = column_sums(as_rows(dz[3]))
    return project_backward(x, dz[:3], Wx, grads["Wx"], need_dx), dzWh.sum(axis=0)


@compiled
def _gru_cell_back(t: int, size: int, dy: Array, dzWh: Array, gates: Array, h: Array, dz: Array) -> None:
    for j in range(size):
        r, z, n, u = gates[0, t, j], gates[1, t, j], gates[2, t, j], gates[3, t, j]
        dh = dy[t, j] + (dzWh[0, j] + dzWh[1, j]) + (dzWh[2, j] + dzWh[3, j])
        straight = dh * z
        dn = dh - straight
        dn -= dn * n * n
        dz[0, t, j] = dn * u * (r - r * r)
        dz[1, t, j] = dh * (h[t, j] - n) * (z - z * z)
        dz[2, t, j], dz[3, t, j] = dn, dn * r
        dzWh[3, j] = straight


def flat(array: Array, axes: int = 0) -> Array:
    """The array with all axes after the first `axes` as one, as the compiled functions take it."""
    return np.ascontiguousarray(array).reshape(*array.shape[:axes], -1)


# tanh in a form that the compiler turns into vector instructions: sums, products and one division. Python's math.tanh
# is called for one number at a time, 25 ns each; these take 0.13 ns in float32 and 0.7 in float64 with vectors of 512
# bits, and are right within 2.3 units of the last place.
# What Numba has kept of `single_fast.py` does not see changes of these: delete numpyrnn/__pycache__ then.


def tanh(z: Any) -> Any:
    """Tanh of a float32 or float64; in compiled functions only."""
    raise NotImplementedError


def sigmoid(z: Any) -> Any:
    """1 / (1 + exp(-z)) = tanh(z / 2) / 2 + 1 / 2 of a float32 or float64; in compiled functions only."""
    raise NotImplementedError


@overload(tanh, strict=False)
def _tanh(z: Any) -> Callable[[Any], Any]:
    return (lambda z: tanh32(z)) if z is types.float32 else (lambda z: tanh64(z))


@overload(sigmoid, strict=False)
def _sigmoid(z: Any) -> Callable[[Any], Any]:
    half = np.float32(0.5) if z is types.float32 else 0.5
    return lambda z: half * tanh(half * z) + half


# x P(x^2) / Q(x^2), a minimax fit up to where tanh is 1 in float32; the coefficients are those of the Eigen library.
END = np.float32(7.90531110763549805)
P0, P1, P2, P3 = map(
    np.float32, (4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08)
)
P4, P5, P6 = map(np.float32, (-8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16))
Q0, Q1, Q2, Q3 = map(
    np.float32, (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06)
)


@inlined
def tanh32(x: Any) -> Any:
    """The tanh of a float32."""
    x = END if x > END else x
    x = -END if x < -END else x
    s = x * x
    p = P0 + s * (P1 + s * (P2 + s * (P3 + s * (P4 + s * (P5 + s * P6)))))
    q = Q0 + s * (Q1 + s * (Q2 + s * Q3))
    return x * p / q


SMALL, LARGE = 0.5, 20.0  # below: Lambert's continued fraction; above: tanh is 1


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


# exp(x) = 2^k exp(r) with x = k log 2 + r, |r| <= log(2) / 2, where 14 terms of the series are enough
LOG2_HIGH, LOG2_LOW = 0.693145751953125, 1.42860682030941723212e-6  # log 2 in two parts: k LOG2_HIGH is exact
ROUND = 1.5 * 2.0**52  # adding it rounds to a whole number, which is then in the lowest bits
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1 / math.factorial(n) for n in range(2, 14))


@inlined
def exp64(x: Any) -> Any:
    """Exp of a float64 of no more than 700 in size."""
    rounded = x * (1 / math.log(2)) + ROUND
    k = rounded - ROUND
    r = x - k * LOG2_HIGH - k * LOG2_LOW
    p = C7 + r * (C8 + r * (C9 + r * (C10 + r * (C11 + r * (C12 + r * C13)))))
    p = 1 + r * (1 + r * (C2 + r * (C3 + r * (C4 + r * (C5 + r * (C6 + r * p))))))
    return p * from_bits((to_bits(rounded) + 1023) << 52)  # 2^k


@intrinsic
def from_bits(typing: Any, bits: Any) -> Any:
    """The float64 that the bits of an int64 mean."""
    return types.float64(types.int64), _same_bits(types.float64)


@intrinsic
def to_bits(typing: Any, number: Any) -> Any:
    """The bits of a float64 as an int64."""
    return types.int64(types.float64), _same_bits(types.int64)


def _same_bits(kind: Any) -> Callable[..., Any]:
    return lambda context, builder, signature, values: builder.bitcast(values[0], context.get_value_type(kind))
