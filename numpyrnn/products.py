"""The matrix products that the kernels are made of: of whole sequences at once, and of one step, fast.

A product of one step is small, and the weights in it are the same at every step. OpenBLAS first copies its operands
into a form of its own, which costs as much again where only a few rows are multiplied, but not for products of up to a
million multiply-adds. So the weights are laid out in blocks of columns that stay below it, once for a whole sequence:
up to 2.2 times as fast (16 rows, 256 to 512 units), and never slower by more than a few percent.
"""

from __future__ import annotations

import numpy as np

from .checks import Array, is_integer

SMALL = 1_000_000  # multiply-adds: up to here OpenBLAS takes the operands as they are
NARROWEST = 32  # columns of a block


def in_blocks(W: Array, N: int) -> Array:
    """Weights as `step_product` takes them.

    Parameters
    ----------
    W : (G, K, H), also a transposed view
    N : int, rows that will be multiplied with them

    Returns
    -------
    (G, B, K, H / B), contiguous; B is 1 where no number of blocks helps. For one row W itself, as a view: nothing is
    gained there, and a copy costs as much as a step
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
    return np.asarray(np.ones(rows.shape[-2], rows.dtype) @ rows)


def as_rows(array: Array) -> Array:
    """(..., T, N, H) seen as (..., T N, H)."""
    *gates, T, N, H = array.shape
    return array.reshape(*gates, T * N, H)
