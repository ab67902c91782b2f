"""One sequence at a time, compiled by Numba: what `single.py` and `stepper.py` do under `NUMPYRNN_BACKEND=fast`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from .checks import Array
from .kernels_fast import compiled, exp64, tanh
from .recurrent import LSTM, RNN

reordered = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})  # sums, as it likes


@compiled
def rnn_step(x: Array, h_1: Array, _: Array, W: Array, product: Array) -> None:
    """One step of a `Stepper`: h from x and `product`, which holds h Wh, and then [h; 1] W into `product`."""
    for j in range(len(x)):
        h_1[j] = tanh(x[j] + product[j])
    _product(h_1, W, product)


@compiled
def lstm_step(x: Array, h_1: Array, c: Array, W: Array, product: Array) -> None:
    """The same for an LSTM; in x and W the sigmoids' halves are folded in."""
    H = len(c)
    half = c.dtype.type(0.5)
    for j in range(H):
        o = half * tanh(x[j] + product[j]) + half
        i = half * tanh(x[H + j] + product[H + j]) + half
        f = half * tanh(x[2 * H + j] + product[2 * H + j]) + half
        c[j] = i * tanh(x[3 * H + j] + product[3 * H + j]) + f * c[j]
        h_1[j] = o * tanh(c[j])
    _product(h_1, W, product)


STEPS: dict[type, Callable[..., None]] = {RNN: rnn_step, LSTM: lstm_step}


@compiled
def single_rnn(
    ids: Array, targets: Array, h0: Array, Wx: Array, Wh: Array, b: Array, W: Array, bias: Array,
    dWx: Array, dWh: Array, db: Array, dW: Array, dbias: Array,
) -> Any:  # fmt: skip
    """`SingleRNN.__call__`, all of it: the loss and the last state; the gradients are written."""
    (T, H), dtype, loss = (len(ids), len(b)), b.dtype, 0.0
    h, carry = np.empty((T + 1, H), dtype), np.zeros(H, dtype)
    h[0] = h0
    for t in range(T):
        for j in range(H):
            h[t + 1, j] = b[j] + Wx[ids[t], j] if ids[t] >= 0 else b[j]
        _add_product(h[t], Wh, h[t + 1])
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
    """The loss; logits without their bias become the loss's gradient."""
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


@compiled
def _add_product(x: Array, W: Array, out: Array) -> None:
    """Add x W to out; four rows at a time, so that `out` is read and written less often."""
    last = len(x) - len(x) % 4
    for k in range(0, last, 4):
        a, b, c, d = x[k], x[k + 1], x[k + 2], x[k + 3]
        for j in range(len(out)):
            out[j] += a * W[k, j] + b * W[k + 1, j] + c * W[k + 2, j] + d * W[k + 3, j]
    for k in range(last, len(x)):
        for j in range(len(out)):
            out[j] += x[k] * W[k, j]


@reordered
def _product_back(W: Array, dout: Array, dx: Array) -> None:
    """Write W dout into dx."""
    for k in range(len(dx)):
        total = dx[k] - dx[k]
        for j in range(len(dout)):
            total += W[k, j] * dout[j]
        dx[k] = total


@compiled
def _product(h_1: Array, W: Array, out: Array) -> None:
    """Write [h; 1] W into out."""
    out[:] = W[-1]
    _add_product(h_1[:-1], W[:-1], out)
