"""Shares, means and entropies; each is NaN if there is nothing to measure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from math import log2, nan, sqrt


def share(cases: Iterable[bool]) -> float:
    """The share of cases that are true."""
    return mean(map(float, cases))


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean."""
    found = list(values)
    return sum(found) / len(found) if found else nan


def spread(values: Iterable[float]) -> float:
    """The standard deviation of the values themselves (divided by their number)."""
    found = list(values)
    middle = mean(found)
    return sqrt(mean((value - middle) ** 2 for value in found))


def sample_sd(values: Iterable[float]) -> float:
    """The standard deviation of what the values are a sample of (divided by one less than their number)."""
    found = list(values)
    return spread(found) * sqrt(len(found) / (len(found) - 1)) if len(found) > 1 else nan


def entropy(items: Iterable[Hashable]) -> float:
    """The entropy of how often each item occurs, in bits."""
    counts = Counter(items)
    total = counts.total()
    return sum(count / total * log2(total / count) for count in counts.values()) if total else nan


def percentile(values: Iterable[float], part: float) -> float:
    """A percentile, between the two nearest values in proportion; `part` is from 0 to 1."""
    found = sorted(float(value) for value in values)
    if not found:
        return nan
    place = part * (len(found) - 1)
    low = found[int(place)]
    return low + (found[min(int(place) + 1, len(found) - 1)] - low) * (place - int(place))
