"""The values of a measured solo, in which runs copied from tunes are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import isnan

from ..grammar import SIXTEENTH, TRIPLET, Element, quantise
from ..tunes import Tune, chord_elements, make_bars
from .rhythm import swing
from .solo import Solo

TOUCHING = Fraction(1, 12)  # quarters; after a shorter silence a note counts as lasting to the next
NEAR = Fraction(1, 24)  # quarters around the places of a triplet


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
    """Yield the notes as performed, moved to the grid: swung beats to sixteenths, and triplets to triplets."""
    ratio = swing(solo)
    half = Fraction(1, 2) if isnan(ratio) else Fraction(ratio / (1 + ratio)).limit_denominator(24)
    places: dict[int, list[Fraction]] = {}
    for note in solo.notes:
        places.setdefault(int(note.begin // 1), []).append(note.begin % 1)

    def is_triplet(beat: int) -> bool:
        """Whether a note is on a third of the beat, and none on the last sixteenth."""
        thirds = [third * TRIPLET for third in (1, 2) if abs(third * TRIPLET - half) > NEAR]
        of_beat = places.get(beat, [])
        last = (1 + half) / 2
        return any(abs(p - t) < NEAR for p in of_beat for t in thirds) and all(abs(p - last) > NEAR for p in of_beat)

    def place(time: Fraction) -> Fraction:
        beat, within = divmod(time, 1)
        if is_triplet(beat):
            return quantise(time)
        straight = within / half / 2 if within < half else 1 - (1 - within) / (1 - half) / 2
        return beat + round(straight / SIXTEENTH) * SIXTEENTH

    onsets = [*(place(note.begin) for note in solo.notes), solo.length]
    begins = [*(note.begin for note in solo.notes), solo.length]
    for note, (onset, following), begin in zip(solo.notes, pairwise(onsets), begins[1:], strict=True):
        end = following if begin - note.end < TOUCHING else min(max(place(note.end), onset + SIXTEENTH), following)
        if end > onset:
            yield Element(onset, end - onset, (note.pitch,))
