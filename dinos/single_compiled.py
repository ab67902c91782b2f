"""`SingleRNN` compiled by Numba, for `NUMPYRNN_BACKEND=fast`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from numpyrnn.checks import Array
from numpyrnn.fast.math import add_product, compiled, exp64, tanh

reordered = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})  # sums may be reordered


@compiled
def single_rnn(
    ids: Array, targets: Array, h0: Array, Wx: Array, Wh: Array, b: Array, W: Array, bias: Array,
    dWx: Array, dWh: Array, db: Array, dW: Array, dbias: Array,
) -> Any:  # fmt: skip
    """Compute `SingleRNN.__call__`: return the loss and the last state, and write the gradients."""
    (T, H), dtype, loss = (len(ids), len(b)), b.dtype, 0.0
    h, carry = np.empty((T + 1, H), dtype), np.zeros(H, dtype)
    h[0] = h0
    for t in range(T):
        for j in range(H):
            h[t + 1, j] = b[j] + Wx[ids[t], j] if ids[t] >= 0 else b[j]
        add_product(h[t], Wh, h[t + 1])
        for j in range(H):
            h[t + 1, j] = tanh(h[t + 1, j])
    dlogits = np.dot(h[1:], W)
    for t in range(T):
        loss += _softmax_cross_entropy(dlogits[t], bias, targets[t])
    dz = np.dot(dlogits, W.T)
    for t in range(T - 1, -1, -1):
        for j in range(H):
            dh, h_t = dz[t, j] + carry[j], h[t + 1, j]
            dz[t, j] = dh - dh * h_t * h_t
        _product_back(Wh, dz[t], carry)
    np.dot(h[1:].T, dlogits, dW)
    np.dot(h[:-1].T, dz, dWh)
    dWx[:], db[:], dbias[:] = 0, 0, 0
    for t in range(T):
        dbias += dlogits[t]
        db += dz[t]
        if ids[t] >= 0:
            dWx[ids[t]] += dz[t]
    return loss, h[T].copy()


@compiled
def _softmax_cross_entropy(p: Array, bias: Array, target: int) -> Any:
    """Compute the loss; `p` holds the logits without bias and receives the loss's gradient."""
    total = 0.0
    p += bias
    largest = p.max()
    loss = largest - p[target]
    for j in range(len(p)):
        p[j] = exp64(max(np.float64(p[j]) - largest, -700.0))
    for j in range(len(p)):
        total += p[j]
    p /= total
    p[target] -= 1
    return loss + math.log(total)


@reordered
def _product_back(W: Array, dout: Array, dx: Array) -> None:
    """Write W dout into dx."""
    for k in range(len(dx)):
        total = dx[k] - dx[k]
        for j in range(len(dout)):
            total += W[k, j] * dout[j]
        dx[k] = total
