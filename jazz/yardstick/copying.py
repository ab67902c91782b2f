"""The values of a measured solo, in which runs copied from tunes are looked for."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import isnan

from ..grammar import Element, quantise
from ..tunes import Tune, chord_elements, make_bars
from .rhythm import TRIPLETS, swing
from .solo import Solo

TOUCHING = Fraction(1, 12)  # quarters; after a shorter silence a note counts as lasting to the next
SHORTEST = Fraction(1, 4)
NEAR_SWING = 1 / 24  # quarters from the place of a swung eighth


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
    """Yield the notes with reduced onsets and with ends on the grid; a swung eighth ends on the half of the beat."""
    ratio = swing(solo)
    half = 0.5 if isnan(ratio) else ratio / (1 + ratio)
    in_triplets = {onset // 1 for onset in solo.onsets if onset % 1 in TRIPLETS}
    begins = [*(note.begin for note in solo.notes[1:]), solo.notes[-1].end + 1]
    following = [*solo.onsets[1:], solo.length + 1]
    for note, onset, begin, next_onset in zip(solo.notes, solo.onsets, begins, following, strict=True):
        beat, within = divmod(note.end, 1)
        if begin - note.end < TOUCHING:
            end = next_onset
        elif beat not in in_triplets and abs(within - half) < NEAR_SWING:
            end = beat + Fraction(1, 2)
        else:
            end = quantise(note.end)
        yield Element(onset, min(max(end, onset + SHORTEST), next_onset) - onset, (note.pitch,))
