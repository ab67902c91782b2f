"""Measures of rhythm and form: places in the bar, inter-onset intervals, density, phrases."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import groupby, pairwise
from math import nan

from .solo import Solo
from .statistics import entropy, mean, percentile, share, spread

EIGHTH = Fraction(1, 2)  # of a quarter
GRID = 16  # places a quarter at which bars are compared
FINEST = 12  # parts of a quarter in which inter-onset intervals are counted
TRIPLETS, SIXTEENTHS = {Fraction(1, 3), Fraction(2, 3)}, {Fraction(1, 4), Fraction(3, 4)}
QUARTERS = 4  # of a bar of 4/4


def grooving(solo: Solo) -> float:
    """Grooving similarity: the mean over all pairs of bars of 1 - (places where only one has an onset) / places.

    A bar of 4/4 has 64 places (Wu and Yang, "The Jazz Transformer on the Front Line", ISMIR 2020).
    """
    places, count = max(solo.bars) * GRID, len(solo.bars)
    if count < 2:
        return nan
    onsets = {(note.bar, round(note.place * GRID)) for note in solo.notes}
    used = Counter(place for _, place in onsets)  # in how many bars each place has an onset
    different = sum(bars * (count - bars) for bars in used.values()) / (count * (count - 1) / 2)
    return 1 - different / float(places)


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


# --------------------------------------------------------------------------------- measures of performances, not scores


def loudness_spread(solo: Solo) -> float:
    """The spread of the loudness, dB: half of the range in which the middle 68 % of the notes lie."""
    known = [note.loudness for note in solo.notes if note.loudness is not None]
    return (percentile(known, 0.84) - percentile(known, 0.16)) / 2


def swing(solo: Solo) -> float:
    """How much longer the first of two eighths lasts than the second: the median over all beats of two eighths.

    The third note must be on the next beat.
    """
    ratios = []
    for i, (first, second) in enumerate(pairwise(solo.iois)):
        if first == second == EIGHTH and solo.notes[i].place % 1 == 0:
            long, short = (b.begin - a.begin for a, b in pairwise(solo.notes[i : i + 3]))
            ratios += [float(long / short)] if long > 0 and short > 0 else []
    return percentile(ratios, 0.5)


def lateness(solo: Solo) -> float:
    """How late the notes on the beat begin, milliseconds: the median; negative if they are early."""
    late = [float(n.begin - onset) for n, onset in zip(solo.notes, solo.onsets, strict=True) if n.place % 1 == 0]
    return percentile(late, 0.5) * 60_000 / solo.tempo


def articulation(solo: Solo) -> float:
    """How much of the time to the next note a note lasts within a phrase: the median, 1 for legato."""
    within = (pairwise(solo.notes[phrase[0] : phrase[-1] + 1]) for phrase in solo.phrases)
    pairs = [pair for pairs in within for pair in pairs if pair[0].begin < pair[1].begin]
    return percentile((float((note.end - note.begin) / (after.begin - note.begin)) for note, after in pairs), 0.5)
