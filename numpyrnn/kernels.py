"""Fused kernels: a whole sequence forward, and backward through time, for the tanh RNN, the LSTM and the GRU.

Letters: T steps, N sequences, D inputs, H hidden units; x, h, c; gates o i f g (LSTM), r z n (GRU).
Arrays are time-major, (T, N, ...). Slot 0 of `h` is the initial state, so h[t + 1] is the state after step t.

- What does not recur is hoisted out of the loop: x is projected for all steps at once, and the weights' gradients
  are formed once over all T N rows.
- Gates lie first, (gates, T, N, H), so that each is one contiguous block.
- sigmoid(z) = tanh(z / 2) / 2 + 1/2, with the halves folded into the weights once per call: one tanh for all gates.
- `active[t]` sequences (the first ones) are still running at step t; the slots of the rest stay zero, and the layer
  takes each one's last real state. The sequences come sorted by falling length, so a padded step is never computed:
  no masks. None: all run to the end.
- The weights may be complex in the forward direction (complex-step gradient checks).

The layers of `recurrent.py` check, sort and call; nothing here looks at its arguments twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checks import Array
from .products import as_blocks, as_rows, column_sums, in_blocks, project, project_backward

Cache = tuple[Any, ...]
HARD_SLOPE = 0.2


def rnn_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, active: list[int] | None) -> tuple[Array, Cache]:
    """Tanh RNN (Elman 1990) over a whole sequence.

        h_t = tanh(x_t Wx + h_{t-1} Wh + b)

    Parameters
    ----------
    x : (T, N, D) floating, or (T, N) integers that stand for one-hot rows
    h0 : (N, H)
    Wx, Wh, b : (D, H), (H, H), (H,)
    active : list of T ints, falling, or None

    Returns
    -------
    h : (T + 1, N, H), h[0] is h0; zero where a sequence has ended
    cache : for `rnn_backward`; it keeps T N H numbers, h itself
    """
    T, N = x.shape[:2]
    h = np.empty((T + 1, N, len(b)), Wh.dtype)
    h[0] = h0
    project(x, Wx[None], b[None], out=h[None, 1:])
    Wh_blocks, hWh = in_blocks(Wh[None], N), np.empty_like(h[:1])
    product = as_blocks(hWh, Wh_blocks)
    for t, n in steps(T, N, active):
        np.matmul(h[t, :n], Wh_blocks, out=product[:, :, :n])
        z = h[t + 1, :n]
        z += hWh[0, :n]
        np.tanh(z, out=z)
        h[t + 1, n:] = 0
    return h, (x, Wx, Wh, active, h)


def rnn_backward(
    dy: Array, dh: Array, cache: Cache, grads: dict[str, Array], need_dx: bool
) -> tuple[Array | None, Array]:
    """Backward through `rnn_forward`; the gradients of Wx, Wh and b are written into `grads`.

        dz_t = dh_t (1 - h_t^2),    dh_{t-1} = dy_{t-1} + dz_t Wh'

    Parameters
    ----------
    dy : (T, N, H) gradient with respect to h[1:] from above
    dh : (N, H) gradient with respect to the last state
    cache : from `rnn_forward`
    grads : dict with Wx, Wh, b, overwritten
    need_dx : whether to form dx (ignored for integer x)

    Returns
    -------
    dx : (T, N, D) or None
    dh0 : (N, H)
    """
    x, Wx, Wh, active, h = cache
    T, N, H = dy.shape
    dz = allocator(active)((T, N, H), Wh.dtype)
    dh = dh.copy()
    slope = np.empty_like(dh)
    WhT_blocks = in_blocks(Wh.T[None], N)
    product = as_blocks(dh[None], WhT_blocks)
    for t, n in steps(T, N, active, backwards=True):
        dh[:n] += dy[t, :n]
        # h = tanh(z)
        np.multiply(h[t + 1, :n], h[t + 1, :n], out=slope[:n])
        np.subtract(1, slope[:n], out=slope[:n])
        np.multiply(dh[:n], slope[:n], out=dz[t, :n])
        # z = x Wx + h_prev Wh + b
        np.matmul(dz[t, :n], WhT_blocks, out=product[:, :, :n])
    np.matmul(as_rows(h[:-1]).T, as_rows(dz), out=grads["Wh"])
    grads["b"][...] = column_sums(as_rows(dz))
    return project_backward(x, dz[None], Wx[None], grads["Wx"][None], need_dx), dh


def lstm_forward(
    x: Array, h0: Array, c0: Array, Wx: Array, Wh: Array, b: Array, active: list[int] | None, hard: bool = False
) -> tuple[Array, Array, Cache]:
    """LSTM (Hochreiter and Schmidhuber 1997; Gers et al. 2000) over a whole sequence.

        o, i, f = sigmoid(x_t Wx[k] + h_{t-1} Wh[k] + b[k])     k = 0, 1, 2
        g       = tanh(x_t Wx[3] + h_{t-1} Wh[3] + b[3])
        c_t     = i g + f c_{t-1}
        h_t     = o tanh(c_t)

    Parameters
    ----------
    x : (T, N, D) floating, or (T, N) integers that stand for one-hot rows
    h0, c0 : (N, H)
    Wx, Wh, b : (4, D, H), (4, H, H), (4, H), gates in the order o, i, f, g
    active : list of T ints, falling, or None
    hard : bool, default False; min(max(z / 5 + 1/2, 0), 1) in place of the sigmoid (Keras 2's hard sigmoid)

    Returns
    -------
    h, c : (T + 1, N, H), h[0] is h0 and c[0] is c0; zero where a sequence has ended
    cache : for `lstm_backward`; it keeps 7 T N H numbers, h and c included
    """
    T, N = x.shape[:2]
    empty = allocator(active)
    gates = empty((5, T + 1, N, b.shape[1]), Wh.dtype)  # o i f g and c, with c[t] the state before step t
    c = gates[4]
    h = empty(c.shape, Wh.dtype)
    tanh_c = empty((T, *c.shape[1:]), Wh.dtype)
    h[0], c[0] = h0, c0
    half = np.array([HARD_SLOPE if hard else 0.5] * 3 + [1], b.real.dtype)[:, None]
    project(x, Wx * half[:, :, None], b * half, out=gates[:4, :T])
    Wh_blocks, hWh = in_blocks(Wh * half[:, :, None], N), np.empty((4, *h0.shape), Wh.dtype)
    product = as_blocks(hWh, Wh_blocks)
    for t, n in steps(T, N, active):
        np.matmul(h[t, :n], Wh_blocks, out=product[:, :, :n])
        z = gates[:4, t, :n]
        z += hWh[:, :n]
        curved, sigmoids = z[3:] if hard else z, z[:3]
        np.tanh(curved, out=curved)
        if not hard:
            sigmoids *= 0.5
        sigmoids += 0.5
        if hard:
            np.clip(sigmoids, 0, 1, out=sigmoids)
        # why the order is o i f g c: (i, f) times (g, c_prev) is one call
        ig_fc = np.multiply(gates[1:3, t, :n], gates[3:5, t, :n], out=hWh[:2, :n])
        np.add(ig_fc[0], ig_fc[1], out=c[t + 1, :n])
        np.tanh(c[t + 1, :n], out=tanh_c[t, :n])
        np.multiply(z[0], tanh_c[t, :n], out=h[t + 1, :n])
    return h, c, (x, Wx, Wh, active, hard, h, gates, tanh_c)


def lstm_backward(
    dy: Array, dh: Array, dc: Array, cache: Cache, grads: dict[str, Array], need_dx: bool
) -> tuple[Array | None, Array, Array]:
    """Backward through `lstm_forward`; the gradients of Wx, Wh and b are written into `grads`.

        dh_t = dy_t + sum over k of dz_{t+1}[k] Wh[k]'
        dc_t = dc_{t+1} f_{t+1} + dh_t o (1 - tanh(c_t)^2)
        do, di, df, dg = dh_t tanh(c_t), dc_t g, dc_t c_{t-1}, dc_t i      each times its gate's slope: dz_t

    Parameters
    ----------
    dy : (T, N, H) gradient with respect to h[1:] from above
    dh, dc : (N, H) gradients with respect to the last state
    cache : from `lstm_forward`
    grads : dict with Wx, Wh, b, overwritten
    need_dx : whether to form dx (ignored for integer x)

    Returns
    -------
    dx : (T, N, D) or None
    dh0, dc0 : (N, H)
    """
    x, Wx, Wh, active, hard, h, gates, tanh_c = cache
    T, N, H = dy.shape
    dz = allocator(active)((4, T, N, H), dy.dtype)
    dh, dc = dh.copy(), dc.copy()
    slope = np.empty((4, N, H), dy.dtype)
    WhT_blocks, dzWh = in_blocks(Wh.transpose(0, 2, 1), N), np.empty_like(slope)
    product = as_blocks(dzWh, WhT_blocks)
    for t, n in steps(T, N, active, backwards=True):
        o, i, f, *_ = gate = gates[:4, t, :n]
        d, s, dh_t, dc_t = dz[:, t, :n], slope[:, :n], dh[:n], dc[:n]
        dh_t += dy[t, :n]
        # h = o tanh(c)
        np.multiply(dh_t, tanh_c[t, :n], out=d[0])
        np.multiply(tanh_c[t, :n], tanh_c[t, :n], out=s[0])
        np.subtract(1, s[0], out=s[0])
        s[0] *= o
        s[0] *= dh_t
        dc_t += s[0]
        # c = i g + f c_prev
        np.multiply(dc_t, gates[3:5, t, :n], out=d[1:3])
        np.multiply(dc_t, i, out=d[3])
        dc_t *= f
        # o, i, f = sigmoid(z), g = tanh(z)
        np.multiply(gate, gate, out=s)
        np.subtract(gate[:3], s[:3], out=s[:3])
        np.subtract(1, s[3], out=s[3])
        if hard:
            np.multiply(HARD_SLOPE, (gate[:3] > 0) & (gate[:3] < 1), out=s[:3])
        d *= s
        # z = x Wx + h_prev Wh + b
        np.matmul(d[:, None], WhT_blocks, out=product[:, :, :n])
        np.add.reduce(dzWh[:, :n], axis=0, out=dh_t)
    np.matmul(as_rows(h[:-1]).T, as_rows(dz), out=grads["Wh"])
    grads["b"][...] = column_sums(as_rows(dz))
    return project_backward(x, dz, Wx, grads["Wx"], need_dx), dh, dc


def gru_forward(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, bh: Array, active: list[int] | None
) -> tuple[Array, Cache]:
    """GRU (Cho et al. 2014), with the reset gate after the product as in PyTorch and cuDNN, over a whole sequence.

        r, z = sigmoid(x_t Wx[k] + h_{t-1} Wh[k] + b[k])        k = 0, 1
        u    = h_{t-1} Wh[2] + bh
        n    = tanh(x_t Wx[2] + b[2] + r u)
        h_t  = (1 - z) n + z h_{t-1}

    Parameters
    ----------
    x : (T, N, D) floating, or (T, N) integers that stand for one-hot rows
    h0 : (N, H)
    Wx, Wh, b, bh : (3, D, H), (3, H, H), (3, H), (H,), gates in the order r, z, n
    active : list of T ints, falling, or None

    Returns
    -------
    h : (T + 1, N, H), h[0] is h0; zero where a sequence has ended
    cache : for `gru_backward`; it keeps 5 T N H numbers, h included
    """
    T, N = x.shape[:2]
    empty = allocator(active)
    h = empty((T + 1, N, len(bh)), Wh.dtype)
    gates = empty((4, T, N, len(bh)), Wh.dtype)  # r z n and u
    h[0] = h0
    half = np.array([0.5, 0.5, 1], b.real.dtype)[:, None]
    project(x, Wx * half[:, :, None], b * half, out=gates[:3])
    Wh_blocks, hWh = in_blocks(Wh * half[:, :, None], N), np.empty((3, *h0.shape), Wh.dtype)
    product = as_blocks(hWh, Wh_blocks)
    for t, n in steps(T, N, active):
        rz, candidate, u, h_next = gates[:2, t, :n], gates[2, t, :n], gates[3, t, :n], h[t + 1, :n]
        np.matmul(h[t, :n], Wh_blocks, out=product[:, :, :n])
        rz += hWh[:2, :n]
        np.tanh(rz, out=rz)
        rz *= 0.5
        rz += 0.5
        np.add(hWh[2, :n], bh, out=u)
        candidate += np.multiply(rz[0], u, out=h_next)
        np.tanh(candidate, out=candidate)
        np.subtract(h[t, :n], candidate, out=h_next)  # n + z (h_prev - n)
        h_next *= rz[1]
        h_next += candidate
    return h, (x, Wx, Wh, active, h, gates)


def gru_backward(
    dy: Array, dh: Array, cache: Cache, grads: dict[str, Array], need_dx: bool
) -> tuple[Array | None, Array]:
    """Backward through `gru_forward`; the gradients of Wx, Wh, b and bh are written into `grads`.

        dn = dh (1 - z) (1 - n^2)       du = dn r
        dr = dn u r (1 - r)             dz = dh (h_prev - n) z (1 - z)
        dh_prev = dh z + dr Wh[0]' + dz Wh[1]' + du Wh[2]'

    Parameters
    ----------
    dy : (T, N, H) gradient with respect to h[1:] from above
    dh : (N, H) gradient with respect to the last state
    cache : from `gru_forward`
    grads : dict with Wx, Wh, b, bh, overwritten
    need_dx : whether to form dx (ignored for integer x)

    Returns
    -------
    dx : (T, N, D) or None
    dh0 : (N, H)
    """
    x, Wx, Wh, active, h, gates = cache
    T, N, H = dy.shape
    dz = allocator(active)((4, T, N, H), dy.dtype)  # of r, z, n, and of u
    dh = dh.copy()
    slope = np.empty((2, N, H), dy.dtype)
    dzWh = np.empty((4, N, H), dy.dtype)  # by way of r, z and u, and straight from dh z
    WhT_blocks = in_blocks(Wh.transpose(0, 2, 1), N)
    product = as_blocks(dzWh[:3], WhT_blocks)
    for t, n in steps(T, N, active, backwards=True):
        r, z, candidate, u = gates[:, t, :n]
        dr, dz_t, dn, du = d = dz[:, t, :n]
        s, dh_t = slope[:, :n], dh[:n]
        dh_t += dy[t, :n]
        # h = (1 - z) n + z h_prev
        np.subtract(h[t, :n], candidate, out=dz_t)
        dz_t *= dh_t
        np.multiply(dh_t, z, out=dzWh[3, :n])
        np.subtract(dh_t, dzWh[3, :n], out=dn)
        # n = tanh(x Wx + b + r u)
        np.multiply(candidate, candidate, out=s[0])
        np.subtract(1, s[0], out=s[0])
        dn *= s[0]
        np.multiply(dn, u, out=dr)
        np.multiply(dn, r, out=du)
        # r, z = sigmoid(...)
        np.multiply(gates[:2, t, :n], gates[:2, t, :n], out=s)
        np.subtract(gates[:2, t, :n], s, out=s)
        d[:2] *= s
        # ... + h_prev Wh
        np.matmul(d[:2, None], WhT_blocks[:2], out=product[:2, :, :n])
        np.matmul(du, WhT_blocks[2], out=product[2, :, :n])
        np.add.reduce(dzWh[:, :n], axis=0, out=dh_t)
    h_prev = as_rows(h[:-1]).T
    np.matmul(h_prev, as_rows(dz[:2]), out=grads["Wh"][:2])
    np.matmul(h_prev, as_rows(dz[3]), out=grads["Wh"][2])
    grads["b"][...] = column_sums(as_rows(dz[:3]))
    grads["bh"][...] = column_sums(as_rows(dz[3]))
    return project_backward(x, dz[:3], Wx, grads["Wx"], need_dx), dh


def steps(T: int, N: int, active: list[int] | None, backwards: bool = False) -> list[tuple[int, int]]:
    """The steps in the order in which they are taken, each with the number of sequences that are still running."""
    forwards = list(enumerate([N] * T if active is None else active))
    return forwards[::-1] if backwards else forwards


def allocator(active: list[int] | None) -> Callable[..., Array]:
    """Where sequences end early, what is not computed must be zero for the products over all rows."""
    return np.empty if active is None else np.zeros
