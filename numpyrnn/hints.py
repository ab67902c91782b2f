"""Hints at the fault of a wrong gradient: which elements are wrong, and what they are instead of the derivative."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .checks import Array

SAME = 1e-6  # two arrays whose difference has at most this share of the norm count as the same


def hint(name: str, gradients: Mapping[str, Array], slopes: Mapping[str, Array], wrong: Array) -> str:
    """Describe a wrong gradient in one line.

    Parameters
    ----------
    name : str, the array whose gradient is wrong
    gradients, slopes : dicts by name: what backward returned, and the derivatives
    wrong : boolean array, which elements are wrong; none if only their sum of errors is too large

    Returns
    -------
    str, such as "4 of 28 elements are wrong, all in [:, 6]; backward gives 2 times the derivative"
    """
    n = np.count_nonzero(wrong)
    where = "" if n in (0, wrong.size) else f", all in {box(wrong)}"
    count = "all" if n == wrong.size else f"{n} of"
    are = "is" if n == 1 else "are"
    found = f"{count} {wrong.size} elements {are} wrong{where}" if n else "many elements are slightly wrong"
    reason = relation(gradients[name], slopes[name])
    others = (other for other, slope in slopes.items() if other != name and same(gradients[name], slope))
    reason = reason or next((f"backward gives the derivative of {other}" for other in others), "")
    return "; ".join(filter(None, (found, reason)))


def relation(ours: Array, slope: Array) -> str:
    """Say how a wrong gradient follows from the derivative; empty if in none of these ways."""
    if not ours.any():
        return "backward gives zeros"
    if not slope.any():
        return "the derivative is zero"
    factor = float((ours * slope).sum() / (slope * slope).sum())
    if np.count_nonzero(slope) > 1 and same(ours, factor * slope):  # a single number is always a multiple
        return f"backward gives {factor:.6g} times the derivative"
    return "backward gives the transposed derivative" if ours.ndim == 2 and same(ours.T, slope) else ""


def same(a: Array, b: Array) -> bool:
    """Whether two arrays are the same up to rounding; arrays of zeros are not compared."""
    return a.shape == b.shape and bool(b.any()) and float(np.linalg.norm(a - b)) <= SAME * float(np.linalg.norm(b))


def box(mask: Array) -> str:
    """The smallest index expression that covers all true elements, such as "[:, 4:7]"."""
    axes = []
    for axis, size in enumerate(mask.shape):
        (hit,) = np.nonzero(mask.any(axis=tuple(i for i in range(mask.ndim) if i != axis)))
        first, last = int(hit[0]), int(hit[-1])
        whole = ":" if (first, last) == (0, size - 1) and len(hit) == size else f"{first}:{last + 1}"
        spread = str(hit.tolist()).replace(" ", "") if len(hit) < last - first + 1 else whole
        axes.append(str(first) if first == last and size > 1 else spread)
    return f"[{', '.join(axes)}]"
