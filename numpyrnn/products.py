"""Matrix products: of whole sequences at once, and of single steps, fast.

The product of one step is small, and its weights are the same in every step. OpenBLAS first copies the operands into
its own layout. For a few rows this takes as long as the product itself, but OpenBLAS skips it for products of up to a
million multiply-adds. So the weights are laid out once per sequence, in blocks of columns whose products stay below
that limit. This is up to 2.2 times as fast (16 rows, 256 to 512 units), and at worst a few percent slower.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .checks import Array, is_integer

SMALL = 1_000_000  # multiply-adds; up to this, OpenBLAS does not copy the operands
NARROWEST = 32  # columns of the narrowest block
ONE_ROW, WORTH_A_COPY = 1 << 16, 8  # a single row: copy at most this many weights, for at least this many products
Multiply = Callable[[Array], Any]

# SciPy's BLAS is used for vectors and small matrices only, since it has its own pool of threads. Its functions
# are called with positional arguments, because keywords take 1.6 times as long:
#     gemv(alpha, A, x, beta, y, offx, incx, offy, incy, trans, overwrite_y)     y = alpha A x + beta y
#     gemm(alpha, A, B, beta, C, trans_a, trans_b, overwrite_c)                  C = alpha A B + beta C
OFFX, INCX, OFFY, INCY = 0, 1, 0, 1  # x and y whole and contiguous
AS_IS, TRANSPOSED, IN_PLACE = 0, 1, 1


def blas(dtype: Any, *names: str) -> list[Callable[..., Any]]:
    """Return BLAS functions of SciPy.

    Parameters
    ----------
    dtype : float32 or float64
    names : str, without the letter of the dtype: "gemv", "gemm", "axpy", "iamax"

    Returns
    -------
    list of functions
    """
    from scipy.linalg import blas  # not at import: not every program needs it

    kind = "s" if dtype == np.float32 else "d"
    return [getattr(blas, {"iamax": f"i{kind}amax"}.get(name, kind + name)) for name in names]


def aligned(W: Array) -> Array:
    """Copy a matrix so that each row starts at a multiple of 64 bytes; rows are padded with zeros.

    `gemv` then takes 75 to 90 % of the time.
    """
    rows, at_once = len(W), 64 // W.itemsize
    columns = -(-W.shape[1] // at_once) * at_once
    memory = np.zeros(rows * columns + at_once, W.dtype)
    start = -memory.ctypes.data % 64 // W.itemsize
    copy = memory[start : start + rows * columns].reshape(rows, columns)
    copy[:, : W.shape[1]] = W
    return copy


def step_product(W: Array, out: Array, steps: int) -> Multiply:
    """Prepare the products of all steps with the same weights: out[k, :n] = rows W[k] for every gate k.

    Parameters
    ----------
    W : (G, K, H)
    out : (G, N, H), overwritten by each product
    steps : int, the number of products that follow

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
    """Prepare the products of the backward pass: out[k, :n] = rows[k] W[k]' for every gate k.

    Parameters
    ----------
    W : (G, K, H)
    out : (G, N, K), overwritten by each product
    steps : int, the number of products that follow

    Returns
    -------
    multiply : function of rows (G, n, H)
    filled : int, the number of gates of `out` that it fills: all, or 1, which then holds the sum over the gates
    """
    G, N, K = out.shape
    if _is_one_row(W, N, steps):
        below, total = W.transpose(0, 2, 1).reshape(-1, K), out[0]
        return lambda rows: np.dot(rows.reshape(1, -1), below, total), 1
    blocks = in_blocks(W.transpose(0, 2, 1), N)
    product = as_blocks(out, blocks)
    return lambda rows: np.matmul(rows[:, None], blocks, out=product[:, :, : rows.shape[1]]), G


def _is_one_row(W: Array, N: int, steps: int) -> bool:
    """Whether to copy the weights, so that one product does all gates of a single row."""
    return N == 1 and steps >= WORTH_A_COPY and W.size <= ONE_ROW


def in_blocks(W: Array, N: int) -> Array:
    """Lay out weights in blocks of columns for products with N rows.

    Parameters
    ----------
    W : (G, K, H); may be a transposed view
    N : int, rows of the other operand

    Returns
    -------
    (G, B, K, H / B), contiguous; B is 1 if blocks do not help. For one row it is a view of W, since blocks gain nothing
    """
    G, K, H = W.shape
    if N == 1:
        return W[:, None]
    powers = (2**k for k in range(H.bit_length()))
    B = next((B for B in powers if N * K * H <= SMALL * B and H % B == 0 and H // B >= NARROWEST), 1)
    return np.ascontiguousarray(W.reshape(G, K, B, H // B).swapaxes(1, 2))


def as_blocks(out: Array, W_blocks: Array) -> Array:
    """View a (G, N, H) buffer as the output of a product with `W_blocks` (G, B, K, H / B): (G, B, N, H / B)."""
    G, N, H = out.shape
    B = W_blocks.shape[1]
    return out.reshape(G, N, B, H // B).swapaxes(1, 2)


def project(x: Array, W: Array, b: Array | None, out: Array) -> None:
    """Compute x W[k] + b[k] for every gate k and all steps at once.

    Parameters
    ----------
    x : (T, N, D) floating, or (T, N) integers, which select rows of W
    W, b : (G, D, H), (G, H); b may be None, which stands for zeros
    out : (G, T, N, H), overwritten
    """
    if is_integer(x):
        np.take(W if b is None else W + b[:, None], x, axis=1, out=out, mode="clip")
    else:
        np.matmul(as_rows(x), W, out=as_rows(out))
        if b is not None:
            out += b[:, None, None]


def project_backward(x: Array, dz: Array, W: Array, dW: Array) -> Array | None:
    """Backpropagate through `project`.

    Parameters
    ----------
    x, W : as in `project`
    dz : (G, T, N, H) gradient with respect to its `out`
    dW : (G, D, H), overwritten

    Returns
    -------
    dx : (T, N, D), or None for integer x
    """
    if is_integer(x):
        for k, dz_k in enumerate(as_rows(dz)):
            dW[k] = sum_rows_by_id(x.ravel(), dz_k, W.shape[1])
        return None
    np.matmul(as_rows(x).T, as_rows(dz), out=dW)
    WT = np.ascontiguousarray(W.transpose(0, 2, 1))
    dx = np.matmul(as_rows(dz[0]), WT[0])
    for dz_k, WT_k in zip(dz[1:], WT[1:], strict=True):
        dx += np.matmul(as_rows(dz_k), WT_k)
    return np.asarray(dx.reshape(x.shape))


def sum_rows_by_id(ids: Array, rows: Array, size: int) -> Array:
    """Sum the rows with the same id: the sparse product one_hot(ids)' rows.

    Parameters
    ----------
    ids : (R,) integers in 0 .. size - 1
    rows : (R, H)
    size : int

    Returns
    -------
    (size, H)
    """
    from scipy.sparse import csr_array  # not at import: only training needs it

    one_hot = csr_array((np.ones(len(ids), rows.dtype), ids, np.arange(len(ids) + 1)), shape=(len(ids), size))
    return np.asarray(one_hot.T @ rows)


def column_sums(rows: Array) -> Array:
    """Sum the rows of (..., R, H), as a product with ones: several times faster than `sum`."""
    with np.errstate(invalid="ignore"):  # OpenBLAS sometimes warns in such products, though all numbers are finite
        return np.asarray(np.ones(rows.shape[-2], rows.dtype) @ rows)


def as_rows(array: Array) -> Array:
    """View (..., T, N, H) as (..., T N, H)."""
    *gates, T, N, H = array.shape
    return array.reshape(*gates, T * N, H)


@cache
def keep_freed_memory() -> None:
    """Make the process keep the memory that a pass frees, for the next pass. It runs once per process.

    A pass allocates arrays of some megabytes and frees them. Linux's C library (glibc) returns blocks of that size to
    the system, and must fetch them again, page by page, in every pass. Once a larger block has been freed, it keeps all
    smaller ones. Training steps then take 58 % of the time (LSTM 64, N 60, T 30). Other C libraries are not affected.
    """
    np.empty(2**25 - 2**16, np.uint8)
