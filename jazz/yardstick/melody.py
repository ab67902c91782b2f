"""Measures of the line and its harmony: chord tones, chromatic notes, intervals, patterns, range."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from .solo import Solo
from .statistics import entropy, mean, percentile, share

STRONG = (0, 2)  # quarters in a bar of 4/4: beats 1 and 3
NEAR = 2  # quarters within which a note is resolved, and an enclosure played
BEFORE = Fraction(1, 2)  # quarters; a step into a new root comes from a note so shortly before
RECENT = (2, 32)  # quarters, 8 bars of 4/4, in which a pattern may have come before
PATTERN = 3  # moves in a pattern of four notes
LEAP = 7  # semitones, a fifth


# -------------------------------------------------------------------------------------------------------- pitch classes


def pitch_entropy(solo: Solo, bars: int) -> float:
    """The entropy of the pitch classes in `bars` bars, in bits: the mean over all such windows with a note."""
    size = min(bars, len(solo.bars))
    windows = (solo.by_bar[i : i + size] for i in range(len(solo.bars) - size + 1))
    classes = ([note.pitch % 12 for bar in window for note in bar] for window in windows)
    return mean(entropy(window) for window in classes if window)


def chord_tones(solo: Solo, places: Sequence[int] | None = None, on_beat: bool = True) -> float:
    """The share of chord tones among the notes on beats (at `places` of the bar, in quarters), or off the beat."""
    return share(
        solo.is_chord_tone(i)
        for i in _over_chords(solo)
        if (solo.notes[i].place % 1 == 0) == on_beat and (places is None or solo.notes[i].place in places)
    )


def chromatic(solo: Solo) -> float:
    """The share of notes outside the chord's scale."""
    return share(_is_chromatic(solo, i) for i in _over_chords(solo))


def chromatic_resolved(solo: Solo) -> float:
    """Of the chromatic notes, the share that leads to a chord tone within two quarters.

    The next note is a semitone away, or the one after it at most a tone.
    """
    return share(_resolved(solo, i, 1) for i in _over_chords(solo) if _is_chromatic(solo, i))


def others_resolved(solo: Solo) -> float:
    """Of the notes that are no chord tones, the share that moves by step to one within two notes and two quarters."""
    return share(_resolved(solo, i, 2) for i in _over_chords(solo) if not solo.is_chord_tone(i))


def enclosures(solo: Solo) -> float:
    """Enclosures in 100 notes: a note above and a note below, in either order, then the note between them.

    Both are at most a tone away, at least one of them is no chord tone, and all three begin within two quarters.
    """
    found = 0
    for i in range(2, len(solo.notes)):
        first, second = (solo.notes[i - back].pitch - solo.notes[i].pitch for back in (2, 1))
        around = first * second < 0 and max(abs(first), abs(second)) <= 2
        plain = solo.is_chord_tone(i - 2) and solo.is_chord_tone(i - 1)
        found += around and not plain and solo.onsets[i] - solo.onsets[i - 2] <= NEAR
    return 100 * found / len(solo.notes)


def root_by_step(solo: Solo) -> float:
    """The share of new roots whose first note is a step away from the note just before it."""
    moves = ((i, abs(solo.intervals[i - 1])) for i in _at_new_roots(solo) if i and solo.iois[i - 1] <= BEFORE)
    return share(move in (1, 2) for _, move in moves)


def root_by_guide(solo: Solo) -> float:
    """The share of new roots whose first note is the third or the seventh of the chord."""
    return share(solo.notes[i].pitch % 12 in solo.harmonies[i].guides for i in _at_new_roots(solo) if i)


def _over_chords(solo: Solo) -> Iterator[int]:
    """The indices of the notes that have a chord under them."""
    return (i for i, harmony in enumerate(solo.harmonies) if harmony.tones)


def _is_chromatic(solo: Solo, i: int) -> bool:
    return solo.notes[i].pitch % 12 not in solo.harmonies[i].scale


def _resolved(solo: Solo, i: int, step: int) -> bool:
    """Whether a note leads to a chord tone: the next note by at most `step` semitones, or the one after by a tone."""
    for other, most in ((i + 1, step), (i + 2, 2)):
        near = other < len(solo.notes) and solo.onsets[other] - solo.onsets[i] <= NEAR
        if near and 1 <= abs(solo.notes[other].pitch - solo.notes[i].pitch) <= most and solo.is_chord_tone(other):
            return True
    return False


def _at_new_roots(solo: Solo) -> Iterator[int]:
    """The indices of the notes that begin exactly where a chord with a new root does."""
    rooted = [(onset, chord.root) for onset, chord in solo.chords if chord.root is not None]
    for (_, before), (onset, root) in pairwise(rooted):
        i = bisect_left(solo.onsets, onset)
        if root != before and i < len(solo.onsets) and solo.onsets[i] == onset:
            yield i


# ------------------------------------------------------------------------------------------------ intervals and contour


def moves(solo: Solo, low: int, high: int) -> float:
    """The share of moves from note to note by `low` to `high` semitones, up or down."""
    return share(low <= abs(interval) <= high for interval in solo.intervals)


def turns(solo: Solo) -> float:
    """The share of moves that go in the other direction than the one before; repeated notes are left out."""
    return share(a * b < 0 for a, b in pairwise(interval for interval in solo.intervals if interval))


def leaps_turned(solo: Solo) -> float:
    """Of the leaps by a fifth or more, the share that is followed by a move in the other direction."""
    return share(a * b < 0 for a, b in pairwise(solo.intervals) if abs(a) >= LEAP)


def patterns_again(solo: Solo, contour: bool = False) -> float:
    """The share of 4-note patterns that came before, 2 to 32 quarters back.

    A pattern has three intervals and three inter-onset intervals, none of them over two quarters.

    Parameters
    ----------
    solo : Solo
    contour : bool, default False; True compares steps, leaps, repeats and their directions in place of intervals

    Returns
    -------
    float
    """
    intervals = [_contour(interval) if contour else interval for interval in solo.intervals]
    before: dict[tuple[object, ...], list[Fraction]] = {}
    again = []
    for i in range(len(solo.notes) - PATTERN):
        times = solo.iois[i : i + PATTERN]
        if max(times) <= NEAR:
            places = before.setdefault((*intervals[i : i + PATTERN], *times), [])
            earliest = bisect_left(places, solo.onsets[i] - RECENT[1])
            again.append(earliest < len(places) and places[earliest] <= solo.onsets[i] - RECENT[0])
            places.append(solo.onsets[i])
    return share(again)


def _contour(interval: int) -> int:
    """0 for a repeat, 1 for a step and 2 for a leap, negative downwards."""
    size = min((abs(interval) + 1) // 2, 2)
    return size if interval > 0 else -size


def pitch_range(solo: Solo, outside: float = 0.0) -> float:
    """The range in semitones, without a share of the lowest and of the highest notes."""
    pitches = [note.pitch for note in solo.notes]
    return percentile(pitches, 1 - outside) - percentile(pitches, outside)


def height_arc(solo: Solo) -> float:
    """How far apart, in semitones, the mean pitches of the highest and the lowest quarter of the solo are."""
    heights = [mean(note.pitch for note in part) for part in solo.quarters if part]
    return max(heights) - min(heights)
