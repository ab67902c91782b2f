"""A cell over a whole sequence: one loop forward and one loop back through time, for every cell.

Whatever does not recur is done outside the loops: x is projected for all steps at once, the factors of the backward
pass that depend only on the forward pass are computed for a block of steps at once (`Cell.slopes`), and the gradients
of the weights are products over all T N rows. The axis of the gates comes first, (gates, T, N, H), so that each gate is
one contiguous block.

The sequences are sorted from longest to shortest. At step t the first `active[t]` of them are still running, so padded
steps are never computed and no masks are needed; their slots stay zero, and the layer picks the last real state of each
sequence. If `active` is None, all run to the end. The forward pass also takes complex weights, for gradient checks.

Arguments are not checked here; the layers of `recurrent.py` check them and sort the sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np

from . import products
from .cells import Cell, Named
from .checks import Array
from .layer import Gradients
from .products import as_rows

BLOCK = 1 << 15  # numbers per gate whose slopes are computed at once, so that they stay in the processor's cache


def forward(kind: type[Cell], p: Named, x: Array, states: Sequence[Array], active: list[int] | None) -> Cell:
    """Run a cell over a sequence.

    Parameters
    ----------
    kind : class of the cell
    p : parameters of the cell
    x : (T, N, D) floating, or (T, N) integers, which stand for one-hot rows
    states : (N, size) each, before the first step
    active : list of T ints, how many sequences still run at each step, never rising; None: all of them

    Returns
    -------
    Cell, which is also the cache for `backward`; its `states`, (T + 1, N, size) each, are zero after a sequence's end
    """
    products.keep_freed_memory()
    T, N = x.shape[:2]
    cell = kind(p, T, N, np.empty if active is None else np.zeros)
    cell.x, cell.active = x, active
    for sequence, state in zip(cell.states, states, strict=True):
        sequence[0] = state
    Wx, Wh, b = p["Wx"], p["Wh"], p["b"]
    if any(factor != 1 for factor in cell.scale):
        scale = np.array(cell.scale, b.real.dtype)[:, None]
        Wx, b, Wh = Wx * scale[..., None], b * scale, Wh * scale[: len(Wh), :, None]
    products.project(x, Wx, None if cell.adds_bias else b, out=cell.z)
    multiply, h = products.step_product(Wh, cell.hWh, T), cell.states[0]
    for t, n in enumerate(active or [N] * T):
        if n:
            multiply(h[t, :n])
        cell.forward(t, n)
    return cell


def backward(cell: Cell, dy: Array, dstates: Sequence[Array], grads: Named) -> Gradients:
    """Backpropagate through a call of `forward`.

    Parameters
    ----------
    cell : from `forward`
    dy : (T, N, P) gradient with respect to h[1:]
    dstates : (N, size) gradients with respect to the states after the last step
    grads : mapping with the names of the parameters, overwritten

    Returns
    -------
    dx : (T, N, D), or None for integer x
    dstates : (N, size) each, with respect to the states before the first step
    """
    cell = copy(cell)  # the arrays of the backward pass are freed with the copy
    p, h, x, active = cell.p, cell.states[0], cell.x, cell.active
    (T, N, P), H, straight = dy.shape, p["b"].shape[-1], int(cell.straight)
    dz = np.empty((cell.slabs or cell.gates, T, N, H), dy.dtype)
    back = np.zeros((straight + len(p["Wh"]), N, P), dy.dtype)
    back[0] = dstates[0]
    ways = []
    for slabs, gates in cell.from_h:
        multiply, filled = products.step_product_back(p["Wh"][gates], back[straight:][gates], T)
        ways.append((dz[slabs], multiply))
    summed = back[: straight + filled] if len(ways) == 1 else back
    cell.start_back(dy, dz, back, [d.copy() for d in dstates])
    dh = cell.dstates[0]
    running, at_once = active or [N] * T, max(1, BLOCK // (N * H))
    for stop in range(T, 0, -at_once):
        start = max(0, stop - at_once)
        cell.slopes(slice(start, stop))
        for t in range(stop - 1, start - 1, -1):
            n = running[t]
            if not cell.sums_back:
                if len(summed) == 1:
                    np.add(summed[0, :n], dy[t, :n], dh[:n])
                else:
                    np.add.reduce(summed[:, :n], axis=0, out=dh[:n])
                    dh[:n] += dy[t, :n]
            cell.backward(t, n)
            if n < N:
                dz[:, t, n:] = 0
            for dz_h, multiply in ways if n else ():
                multiply(dz_h[:, t, :n])
    h_prev = as_rows(h[:-1]).T
    for slabs, gates in cell.from_h:
        np.matmul(h_prev, as_rows(dz[slabs]), out=grads["Wh"][gates])
    grads["b"][...] = products.column_sums(as_rows(dz[: cell.gates]))
    cell.own_gradients(grads)
    dx = products.project_backward(x, dz[: cell.gates], p["Wx"], grads["Wx"])
    return dx, (back.sum(axis=0), *cell.dstates[1:])
