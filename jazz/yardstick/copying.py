"""The values of a measured solo, in which runs copied from tunes are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import isnan

from ..grammar import SIXTEENTH, TRIPLET, Element
from ..tunes import Tune, chord_elements, make_bars
from .rhythm import lateness, swing
from .solo import Solo

TOUCHING = Fraction(1, 8)  # quarters; after a shorter silence a note counts as lasting to the next
NEAR = Fraction(1, 24)  # quarters around the second note of a triplet
EVEN, THIRDS = ({Fraction(i, n): Fraction(i, n) for i in range(n + 1)} for n in (4, 3))  # places in a beat


def values_of_solo(solo: Solo) -> list[str]:
    """The values of a solo as it would be written, without swing.

    Parameters
    ----------
    solo : Solo

    Returns
    -------
    list of str; empty if it has no chords
    """
    if not any(chord.tones for _, chord in solo.chords):
        return []
    bars = list(zip(solo.starts, solo.bars, strict=True))
    tune = Tune(solo.name, make_bars(list(written(solo)), chord_elements(solo.chords), bars))
    return [str(value) for bar in tune.values() for value in bar]


def written(solo: Solo) -> Iterator[Element]:
    """Yield the notes as performed, moved to the grid: each beat is swung, a triplet or even, whichever is nearest."""
    ratio, late = swing(solo), lateness(solo)
    half = Fraction(1, 2) if isnan(ratio) else Fraction(ratio / (1 + ratio)).limit_denominator(24)
    behind = Fraction(0) if isnan(late) else Fraction(late * solo.tempo / 60_000).limit_denominator(1000)
    begins = [note.begin - behind for note in solo.notes]
    swung = dict(zip((Fraction(0), half / 2, half, (1 + half) / 2, Fraction(1)), EVEN, strict=True))
    places: dict[int, list[Fraction]] = {}
    for begin in begins:
        places.setdefault(int(begin // 1), []).append(begin % 1)

    def grid(beat: int) -> dict[Fraction, Fraction]:
        """The written place of each place in a beat."""
        of_beat = places.get(beat, [])
        triplet = any(abs(place - TRIPLET) < NEAR for place in of_beat)
        grids = [THIRDS, swung, EVEN] if triplet else [swung, THIRDS, EVEN]
        return min(grids, key=lambda grid: sum(min(abs(p - known) for known in grid) for p in of_beat))

    def place(time: Fraction) -> Fraction:
        beat, within = divmod(time, 1)
        found = grid(int(beat))
        return beat + found[min(found, key=lambda known: abs(known - within))]

    onsets, begins = [*map(place, begins), solo.length], [*begins[1:], solo.length]
    for note, (onset, following), begin in zip(solo.notes, pairwise(onsets), begins, strict=True):
        end = note.end - behind
        stop = following if begin - end < TOUCHING else min(max(place(end), onset + SIXTEENTH), following)
        if stop > onset:
            yield Element(onset, stop - onset, (note.pitch,))
