"""Measures of rhythm and form: places in the bar, inter-onset intervals, density, phrases."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import groupby
from math import nan

import numpy as np

from .solo import Note, Solo
from .statistics import entropy, mean, share, spread

EIGHTH = Fraction(1, 2)  # of a quarter
GRID = 16  # places a quarter at which bars are compared
FINEST = 12  # parts of a quarter in which inter-onset intervals are counted
TRIPLETS, SIXTEENTHS = {Fraction(1, 3), Fraction(2, 3)}, {Fraction(1, 4), Fraction(3, 4)}
QUARTERS = 4  # of a bar of 4/4


def grooving(solo: Solo) -> float:
    """Grooving similarity: the mean over all pairs of bars of 1 - (places where only one has an onset) / places.

    A bar of 4/4 has 64 places (Wu and Yang, "The Jazz Transformer on the Front Line", ISMIR 2020).
    """
    places, count = int(max(solo.bars) * GRID), len(solo.bars)
    if count < 2:
        return nan
    onsets = np.zeros((count, places))
    for note in solo.notes:
        onsets[note.bar, min(round(note.place * GRID), places - 1)] = 1
    used = onsets.sum(0)
    different = float((used * (count - used)).sum()) / (count * (count - 1) / 2)
    return 1 - different / places


def density(solo: Solo) -> float:
    """Notes in four quarters, a bar of 4/4."""
    return float(len(solo.notes) / solo.length * QUARTERS)


def off_beat(solo: Solo) -> float:
    """The share of notes off the beat."""
    return share(note.place % 1 != 0 for note in solo.notes)


def syncopation(solo: Solo) -> float:
    """The share of notes off the beat that have no note on the beat after them: they are held over it, or silence is.

    Durations do not count: performers and scores differ in them.
    """
    following = [*solo.onsets[1:], solo.length + 1]
    pairs = zip(solo.notes, solo.onsets, following, strict=True)
    return share(note.place % 1 != 0 and after > onset // 1 + 1 for note, onset, after in pairs)


def eighths(solo: Solo) -> float:
    """The share of inter-onset intervals that are an eighth."""
    return share(ioi == EIGHTH for ioi in solo.iois)


def ioi_entropy(solo: Solo) -> float:
    """The entropy of the inter-onset intervals, to a twelfth of a quarter, in bits."""
    return entropy(round(ioi * FINEST) for ioi in solo.iois)


def beats_with(solo: Solo, places: set[Fraction]) -> float:
    """Of the beats with notes, the share that has one at one of the places."""
    beats = groupby(solo.notes, lambda note: (note.bar, note.place // 1))
    return share(any(note.place % 1 in places for note in beat) for _, beat in beats)


def distinct_bars(solo: Solo) -> float:
    """The number of different rhythms of bars, over the number of bars with notes."""
    rhythms = [tuple(note.place for note in bar) for bar in solo.by_bar if bar]
    return len(set(rhythms)) / len(rhythms)


def longest_eighths(solo: Solo) -> float:
    """The number of notes in the longest run of straight eighths."""
    runs = (len(list(run)) for is_eighth, run in groupby(ioi == EIGHTH for ioi in solo.iois) if is_eighth)
    return 1.0 + max(runs, default=0)


def density_spread(solo: Solo) -> float:
    """The standard deviation of the notes in a bar."""
    return spread(map(len, solo.by_bar))


def empty_bars(solo: Solo) -> float:
    """The share of bars in which no note begins."""
    return share(not bar for bar in solo.by_bar)


def phrase_lengths(solo: Solo) -> list[int]:
    """The number of notes in each phrase."""
    return [len(phrase) for phrase in solo.phrases]


def density_arc(solo: Solo) -> float:
    """The notes in the densest quarter of the solo less those in the sparsest, over the mean."""
    counts = [len(part) for part in solo.quarters]
    return (max(counts) - min(counts)) / mean(counts)


# ----------------------------------------------------------------------------------- measures of performances, not scores


def loudness_spread(solo: Solo) -> float:
    """The standard deviation of the loudness, dB."""
    return spread(note.loudness for note in solo.notes if note.loudness is not None)


def swing(solo: Solo) -> float:
    """How much longer the first of two eighths lasts than the second: the median over all beats of two eighths.

    The third note must be on the next beat.
    """
    ratios = []
    for a, b, c in _threes(solo):
        at_a, at_b, at_c = (solo.onsets[i] for i in (a, b, c))
        first, second = solo.notes[b].begin - solo.notes[a].begin, solo.notes[c].begin - solo.notes[b].begin
        if at_b - at_a == at_c - at_b == EIGHTH and solo.notes[a].place % 1 == 0 and first > 0 and second > 0:
            ratios.append(float(first / second))
    return float(np.median(ratios)) if ratios else nan


def _threes(solo: Solo) -> Iterable[tuple[int, int, int]]:
    return ((i, i + 1, i + 2) for i in range(len(solo.notes) - 2))


def lateness(solo: Solo) -> float:
    """How late the notes on the beat begin, milliseconds: the median; negative if they are early."""
    late = [float(n.begin - onset) for n, onset in zip(solo.notes, solo.onsets, strict=True) if n.place % 1 == 0]
    return float(np.median(late)) * 60_000 / solo.tempo if late else nan


def articulation(solo: Solo) -> float:
    """How much of the time to the next note a note lasts within a phrase: the median, 1 for legato."""
    held: list[float] = []
    for phrase in solo.phrases:
        of_phrase: list[Note] = [solo.notes[i] for i in phrase]
        for note, after in zip(of_phrase, of_phrase[1:], strict=False):
            if after.begin > note.begin:
                held.append(float((note.end - note.begin) / (after.begin - note.begin)))
    return float(np.median(held)) if held else nan
