"""Measures of sets of solos: whether motifs come back, and what solos have in common."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from math import nan

from .solo import Solo
from .statistics import mean

NEAR = (Fraction(2), Fraction(32))  # quarters; from half a bar to 8 bars of 4/4
FAR = (Fraction(64), Fraction(96))  # quarters; from 16 to 24 bars
LONGEST = 2  # quarters, the longest inter-onset interval in a pattern

Pattern = tuple[object, ...]


def patterns(solo: Solo, notes: int) -> Iterator[tuple[Fraction, Pattern]]:
    """Yield the onset of each pattern of so many notes, with its intervals and inter-onset intervals."""
    moves = notes - 1
    for i in range(len(solo.notes) - moves):
        times = solo.iois[i : i + moves]
        if max(times) <= LONGEST:
            yield solo.onsets[i], (*solo.intervals[i : i + moves], *times)


def motif_return(solos: Sequence[Solo], notes: int = 4) -> float:
    """How much likelier a pattern is to come back soon than late.

    Counted are all pairs of patterns in a solo that begin 2 to 32 quarters apart, and all that begin 64 to 96 quarters
    apart. The measure is the share of equal pairs among the near ones, over that among the far ones. It is 1 for notes
    without memory, and 1.7 for the players of the bands.

    Parameters
    ----------
    solos : list of Solo
    notes : int, default 4, of a pattern

    Returns
    -------
    float; NaN if no pattern comes back late
    """
    equal, pairs = [0, 0], [0, 0]
    for solo in solos:
        onsets: list[Fraction] = []
        places: dict[Pattern, list[Fraction]] = {}
        for onset, pattern in patterns(solo, notes):
            same = places.setdefault(pattern, [])
            for i, (least, most) in enumerate((NEAR, FAR)):
                for counts, among in ((equal, same), (pairs, onsets)):
                    counts[i] += bisect_right(among, onset - least) - bisect_left(among, onset - most)
            same.append(onset)
            onsets.append(onset)
    return equal[0] / pairs[0] / (equal[1] / pairs[1]) if equal[1] and pairs[0] else nan


def shared_patterns(solos: Sequence[Solo], notes: int = 5) -> float:
    """The share of patterns that two solos have in common: the mean over all pairs.

    Parameters
    ----------
    solos : list of Solo
    notes : int, default 5, of a pattern

    Returns
    -------
    float, patterns in both solos over the mean number of different patterns of the two; NaN for fewer than two solos
    """
    sets = [{pattern for _, pattern in patterns(solo, notes)} for solo in solos]
    return mean(2 * len(a & b) / max(len(a) + len(b), 1) for a, b in combinations(sets, 2))


def longest_unbroken(solo: Solo, silence: Fraction = Fraction(1, 2)) -> int:
    """The number of notes in the longest run without a rest of at least `silence` quarters between two of them."""
    longest = run = 1
    for note, following in zip(solo.notes, solo.notes[1:], strict=False):
        run = 1 if following.begin - note.end >= silence else run + 1
        longest = max(longest, run)
    return longest


def ends_off_beat(solo: Solo) -> bool:
    """Whether the last note begins off the beat."""
    return solo.notes[-1].place % 1 != 0
