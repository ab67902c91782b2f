"""Hints at the fault of a wrong gradient: which elements are wrong, and what they are instead of the derivative."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .checks import Array

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
        return f"backward gives {factor:.6g} times the derivative"
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
