"""Hints at the fault of a wrong gradient: which elements are wrong, and what they are instead of the derivative."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from .checks import Array

MEANT = {"-1": " (a sign)", "2": " (a term that is counted twice)"}
WEIGHT, BIAS = re.compile("[WU]_?([a-z])"), re.compile("b_?([a-z])")  # of one gate
SAME = 1e-6  # two arrays whose difference has at most this share of the norm count as the same


@np.errstate(all="ignore")  # of numbers that are too large or too small to be compared, nothing is said
def hint(name: str, gradients: Mapping[str, Array], slopes: Mapping[str, Array], wrong: Array) -> str:
    """Describe a wrong gradient in one line.

    Parameters
    ----------
    name : str, the array whose gradient is wrong
    gradients, slopes : dicts by name: what backward returned, and the derivatives
    wrong : boolean array, which elements are wrong; none if only all errors together are too large

    Returns
    -------
    str, such as "4 of 28 elements are wrong, all in [:, 6]; backward gives 2 times the derivative"
    """
    n, where = np.count_nonzero(wrong), box(wrong)
    some = f"{n} of {wrong.size} elements {'is' if n == 1 else 'are'} wrong{where}"
    found = "all elements are wrong" if n == wrong.size else some if n else "small errors add up"
    others = (other for other, slope in slopes.items() if other != name and same(gradients[name], slope))
    reason = next((f"backward gives the derivative of {other}" for other in others), "")
    reason = relation(gradients[name], slopes[name]) or reason
    return "; ".join(filter(None, (found, reason)))


def grouped(hints: Mapping[str, str]) -> list[str]:
    """One line for all arrays with the same hint; `hints` is a dict by their names."""
    return [
        f"{', '.join(name for name in hints if hints[name] == one)}: {one}." for one in dict.fromkeys(hints.values())
    ]


def relation(ours: Array, slope: Array) -> str:
    """Say how a wrong gradient follows from the derivative; empty if in none of these ways."""
    if not (ours.any() and np.isfinite(ours).all()):
        return "backward gives NaN or infinity" if ours.any() else "backward gives zeros"
    if not slope.any() or ours.size < 2:  # a single number is a multiple of any other
        return ""
    factor = float((ours * slope).sum() / (slope * slope).sum())
    if same(ours, slope):
        return "backward gives the derivative with few digits, as float32 does"
    if same(ours, factor * slope):
        times = f"{factor:.6g}"
        return f"backward gives {times} times the derivative{MEANT.get(times, '')}"
    if ours.ndim == 2 and same(ours.T, slope):
        return "backward gives the transposed derivative"
    ordered = same(np.sort(ours, axis=None), np.sort(slope, axis=None))
    return "backward gives the numbers of the derivative in another order" if ordered else ""


def same(a: Array, b: Array) -> bool:
    """Whether two arrays are the same up to rounding; arrays whose norm is zero or infinite are not compared."""
    size = float(np.linalg.norm(b))
    return a.shape == b.shape and 0 < size < np.inf and float(np.linalg.norm(a - b)) <= SAME * size


def box(mask: Array) -> str:
    """Where all true elements lie, such as ", all in [:, 4:7]"; empty if that is the whole array."""
    axes = []
    for axis, size in enumerate(mask.shape):
        (hit,) = np.nonzero(mask.any(axis=tuple(i for i in range(mask.ndim) if i != axis)))
        first, stop = (int(hit[0]), int(hit[-1]) + 1) if len(hit) else (0, size)
        within = f"{first}:{stop}" if stop - first > 1 else str(first)
        axes.append(":" if len(hit) in (0, size) else within if len(hit) == stop - first else str(hit.tolist()))
    return "" if set(axes) <= {":"} else f", all in [{', '.join(axes)}]"


def place(wrong: Sequence[str], names: Sequence[str]) -> str:
    """Where the fault of a cell with gates lies, from the names of its wrong gradients; empty if it cannot be told.

    Parameters
    ----------
    wrong, names : the arrays with wrong gradients, and all arrays; a gate f has the weights Wf and the bias bf
    """
    gates = {found[1] for name in names if (found := WEIGHT.fullmatch(name)) and f"b{found[1]}" in names}
    weights, biases = ([name for name in names if kind.fullmatch(name)] for kind in (WEIGHT, BIAS))
    bad, others = {name[-1] for name in wrong if name in weights + biases}, set(names) - {*weights, *biases}
    whole = all(name in wrong for name in weights + biases if name[-1] in bad)  # weights and bias of each bad gate
    states = [name for name in wrong if name in others]
    if len(gates) < 2 or not wrong or not bad <= gates:
        return ""
    if not bad:
        return f"the lines that make the gradient of {' and '.join(states)}: those of the gates are right"
    if not whole:
        kind = "weights" if set(wrong) & {*weights} else "biases"
        every = set(wrong) >= {*(weights if kind == "weights" else biases)}
        ends = {"weights": "the product with the inputs", "biases": "the sum over the batch, axis=1"}
        return ends[kind] if every and not set(wrong) & {*(biases if kind == "weights" else weights)} else ""
    if len(bad) == 1:
        return f"the line of the gradient of gate {min(bad)}"
    if bad == gates:
        return "the sums over the steps and the batch" if not states else "the forward pass, and what is in the cache"
    if len(gates - bad) == 1 and states:
        shared = f"what the gates {', '.join(sorted(bad))} share"
        return f"{shared}: the gradient of the cell state, or gates that are swapped in the cache"
    return f"the gates {' and '.join(sorted(bad))}, which may be swapped"


def shape_hint(came: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """How a gradient of another shape may become one of the wanted shape; empty if that is not known."""
    if came == wanted[::-1]:
        return ": it is transposed"
    if prod(came) == prod(wanted):
        return ": keep its axes, as by keepdims=True"
    if len(came) == len(wanted) and all(w in (1, c) for c, w in zip(came, wanted)):
        axis = next(i for i, (c, w) in enumerate(zip(came, wanted)) if c != w)
        return f": sum it over axis {axis}, with keepdims=True"
    return ""
