"""Matrix products: of whole sequences at once, and of one step, fast.

A product of one step is small, and the weights in it are the same at every step. OpenBLAS first copies its operands
into a form of its own, which costs as much again where only a few rows are multiplied, but not for products of up to a
million multiply-adds. So the weights are laid out in blocks of columns that stay below it, once for a whole sequence:
up to 2.2 times as fast (16 rows, 256 to 512 units), and never slower by more than a few percent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .checks import Array, is_integer

SMALL = 1_000_000  # multiply-adds: up to here OpenBLAS takes the operands as they are
NARROWEST = 32  # columns of a block
ONE_ROW, WORTH_A_COPY = 1 << 16, 8  # weights, at most, and products, at least, for which one row takes a copy
Multiply = Callable[[Array], Any]

# SciPy's BLAS, for vectors and small matrices only: its pool of threads is another than NumPy's. Its functions are
# called by position, for names take 1.6 times as long. The positions are
#     gemv(alpha, A, x, beta, y, offx, incx, offy, incy, trans, overwrite_y)     y = alpha A x + beta y
#     gemm(alpha, A, B, beta, C, trans_a, trans_b, overwrite_c)                  C = alpha A B + beta C
BLAS = {  # for float32 and for float64
    "gemv": ("sgemv", "dgemv"),
    "gemm": ("sgemm", "dgemm"),
    "axpy": ("saxpy", "daxpy"),
    "iamax": ("isamax", "idamax"),
}
OFFX, INCX, OFFY, INCY = 0, 1, 0, 1  # all of x and y, one element after the other
AS_IS, TRANSPOSED, IN_PLACE = 0, 1, 1


def blas(dtype: Any, *names: str) -> list[Callable[..., Any]]:
    """SciPy's BLAS functions.

    Parameters
    ----------
    dtype : float32 or float64
    names : of `BLAS`

    Returns
    -------
    list of functions
    """
    from scipy.linalg import blas  # not at import: generation of many does without

    return [getattr(blas, BLAS[name][dtype != np.float32]) for name in names]


def aligned(W: Array) -> Array:
    """A copy of a matrix whose rows all begin at multiples of 64 bytes, with zeros behind them.

    `gemv` takes 0.75 to 0.9 of the time with it.
    """
    rows, at_once = len(W), 64 // W.itemsize
    columns = -(-W.shape[1] // at_once) * at_once
    memory = np.zeros(rows * columns + at_once, W.dtype)
    start = -memory.ctypes.data % 64 // W.itemsize
    copy = memory[start : start + rows * columns].reshape(rows, columns)
    copy[:, : W.shape[1]] = W
    return copy


def step_product(W: Array, out: Array, steps: int) -> Multiply:
    """Prepare the products of many steps with the same weights: out[k, :n] = rows W[k] for every gate k.

    Parameters
    ----------
    W : (G, K, H)
    out : (G, N, H), overwritten by each product
    steps : int, how many products there will be

    Returns
    -------
    function of rows (n, K), up to N of them
    """
    G, N, H = out.shape
    if _is_one_row(W, N, steps):
        side_by_side, out = W.transpose(1, 0, 2).reshape(-1, G * H), out.reshape(1, -1)
        return lambda rows: np.dot(rows, side_by_side, out)
    blocks = in_blocks(W, N)
    product = as_blocks(out, blocks)
    return lambda rows: np.matmul(rows, blocks, out=product[:, :, : len(rows)])


def step_product_back(W: Array, out: Array, steps: int) -> tuple[Multiply, int]:
    """Prepare the products on the way back: out[k, :n] = rows[k] W[k]' for every gate k.

    Parameters
    ----------
    W : (G, K, H)
    out : (G, N, K), overwritten by each product
    steps : int, how many products there will be

    Returns
    -------
    multiply : function of rows (G, n, H)
    filled : int, how many gates of `out` it fills; with a single row one, which then holds the sum over the gates
    """
    G, N, K = out.shape
    if _is_one_row(W, N, steps):
        below, total = W.transpose(0, 2, 1).reshape(-1, K), out[0]
        return lambda rows: np.dot(rows.reshape(1, -1), below, total), 1
    blocks = in_blocks(W.transpose(0, 2, 1), N)
    product = as_blocks(out, blocks)
    return lambda rows: np.matmul(rows[:, None], blocks, out=product[:, :, : rows.shape[1]]), G


def _is_one_row(W: Array, N: int, steps: int) -> bool:
    """Whether one product with all gates side by side is worth a copy of the weights."""
    return N == 1 and steps >= WORTH_A_COPY and W.size <= ONE_ROW


def in_blocks(W: Array, N: int) -> Array:
    """Weights in blocks of columns, as they are multiplied with N rows at every step.

    Parameters
    ----------
    W : (G, K, H), also a transposed view
    N : int, rows that will be multiplied with them

    Returns
    -------
    (G, B, K, H / B), contiguous; B is 1 where no number of blocks helps. For one row W itself, as a view: nothing is
    gained there
    """
    G, K, H = W.shape
    if N == 1:
        return W[:, None]
    B = 1
    while N * K * H > SMALL * B and H % (2 * B) == 0 and H // (2 * B) >= NARROWEST:
        B *= 2
    if N * K * H > SMALL * B:
        B = 1
    return np.ascontiguousarray(W.reshape(G, K, B, H // B).swapaxes(1, 2))


def as_blocks(out: Array, W_blocks: Array) -> Array:
    """A (G, N, H) buffer, seen as a product with `W_blocks` (G, B, K, H / B) fills it: (G, B, N, H / B)."""
    G, N, H = out.shape
    B = W_blocks.shape[1]
    return out.reshape(G, N, B, H // B).swapaxes(1, 2)


def project(x: Array, W: Array, b: Array | None, out: Array) -> None:
    """Form x W[k] + b[k] for every gate k and all steps at once.

    Parameters
    ----------
    x : (T, N, D) floating, or (T, N) integers, for which rows of W are gathered in place of a product
    W, b : (G, D, H), (G, H); b may be None, which is zeros
    out : (G, T, N, H), overwritten
    """
    if is_integer(x):
        np.take(W if b is None else W + b[:, None], x, axis=1, out=out, mode="clip")
    else:
        np.matmul(as_rows(x), W, out=as_rows(out))
        if b is not None:
            out += b[:, None, None]


def project_backward(x: Array, dz: Array, W: Array, dW: Array, need_dx: bool) -> Array | None:
    """Backward through `project`: the gradient of W is written into `dW` (G, D, H).

    Parameters
    ----------
    x, W : as in `project`
    dz : (G, T, N, H) gradient with respect to its `out`
    dW : (G, D, H), overwritten
    need_dx : whether to form dx (ignored for integer x)

    Returns
    -------
    dx : (T, N, D), or None
    """
    if is_integer(x):
        for k, dz_k in enumerate(as_rows(dz)):
            dW[k] = sum_rows_by_id(x.ravel(), dz_k, W.shape[1])
        return None
    np.matmul(as_rows(x).T, as_rows(dz), out=dW)
    if not need_dx:
        return None
    WT = np.ascontiguousarray(W.transpose(0, 2, 1))
    dx = np.matmul(as_rows(dz[0]), WT[0])
    for dz_k, WT_k in zip(dz[1:], WT[1:], strict=True):
        dx += np.matmul(as_rows(dz_k), WT_k)
    return np.asarray(dx.reshape(x.shape))


def sum_rows_by_id(ids: Array, rows: Array, size: int) -> Array:
    """Sum the rows that have the same id: one-hot(ids)' rows, as a sparse product.

    Parameters
    ----------
    ids : (R,) integers in 0 .. size - 1
    rows : (R, H)
    size : int

    Returns
    -------
    (size, H)
    """
    from scipy.sparse import csr_array  # not at import: generation does without

    one_hot = csr_array((np.ones(len(ids), rows.dtype), ids, np.arange(len(ids) + 1)), shape=(len(ids), size))
    return np.asarray(one_hot.T @ rows)


def column_sums(rows: Array) -> Array:
    """Sums over the rows of (..., R, H), as a product with ones: several times faster than `sum`."""
    with np.errstate(invalid="ignore"):  # OpenBLAS has warned in such products, seldom, of finite numbers
        return np.asarray(np.ones(rows.shape[-2], rows.dtype) @ rows)


def as_rows(array: Array) -> Array:
    """(..., T, N, H) seen as (..., T N, H)."""
    *gates, T, N, H = array.shape
    return array.reshape(*gates, T * N, H)


@cache
def keep_freed_memory() -> None:
    """Let the process keep the memory that a pass frees, for the next pass; once a process.

    A pass makes arrays of some megabytes and frees them. The C library of Linux (glibc) gives blocks of that size back
    to the system, and then fetches them again page by page, in every pass. Once it has seen a larger block freed, it
    keeps all that are smaller. Steps of training then take 0.58 of the time (LSTM 64, N 60, T 30). Other systems'
    C libraries are not affected.
    """
    np.empty(2**25 - 2**16, np.uint8)
