"""Drum solos to trade with, and the count-in."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from numpy.random import Generator

from music.midi import Note

from ..changes import Changes
from .band import DRUMS, STICK, note


def trade(changes: Changes, rng: Generator, bars: Sequence[int], tempo: float = 130) -> list[Note]:
    """Play a drum solo in some bars."""
    half = Fraction(1, 2)
    places = [changes.bar * bar + half * i for bar in bars for i in range(int(changes.bar / half))]
    return [note(DRUMS, place, half, 38 + 3 * int(rng.integers(3)), int(rng.integers(60, 100))) for place in places]


def count_in(changes: Changes) -> list[Note]:
    """Count in with the side stick, one bar."""
    beat = Fraction(4, changes.meter[1])
    return [note(DRUMS, i * beat, beat / 2, STICK, 88) for i in range(changes.meter[0])]
