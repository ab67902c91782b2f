"""Changes in another key, as they are written for transposing instruments."""

from __future__ import annotations

import re
from dataclasses import replace

from ..changes import Changes
from ..chords import ROOT, Chord, semitones_above_c
from .chart import fifths
from .key import TONICS, letter_of

MOST = 6  # sharps or flats of a key


def transposed(changes: Changes, up: int) -> tuple[Changes, int]:
    """Transpose changes that have a key.

    Parameters
    ----------
    changes : Changes
    up : int, semitones

    Returns
    -------
    changes : Changes, in a key of at most six sharps or flats, with chords named as they were in the old one
    steps : int, from 0 to 6, the letters from an old name up to a new one
    """
    minor, tonic = "m" * changes.key.endswith("m"), changes.key.removesuffix("m")
    usual = (0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6)[up % 12]  # a tritone is a fourth
    keys = {steps % 7: _named(tonic, up, steps) + minor for steps in (usual, usual - 1, usual + 1)}
    steps = next((s for s, key in keys.items() if abs(fifths(key)) <= MOST), usual)
    bars = [[(onset, _moved(chord, up, steps)) for onset, chord in bar] for bar in changes.bars]
    return replace(changes, bars=bars, key=keys[steps]), steps


def _moved(chord: Chord, up: int, steps: int) -> Chord:
    """A chord with all its names moved; N.C. stays as it is."""
    if chord.root is None:
        return chord
    root, quality, bass = chord.parts
    root, bass = (_named(name, up, steps, simple=True) if name else "" for name in (root, bass))
    alternates = re.sub(rf"(?<![\w#]){ROOT}", lambda name: _named(name[0], up, steps, simple=True), chord.alternates)
    return replace(
        chord,
        symbol=f"{root}{quality}{f'/{bass}' if bass else ''}{alternates}",
        root=(chord.root + up) % 12,
        tones=tuple((tone + up) % 12 for tone in chord.tones),
        bass=None if chord.bass is None else (chord.bass + up) % 12,
        parts=(root, quality, bass),
        alternates=alternates,
    )


def _named(name: str, up: int, steps: int, simple: bool = False) -> str:
    """A note's name, some semitones and letters higher; a simple one has at most one accidental."""
    tone = (semitones_above_c(name) + up) % 12
    letter, alter = letter_of(name, steps % 7 + 1, tone)
    if simple and abs(alter) > 1:
        return next(other for other in TONICS if semitones_above_c(other) % 12 == tone)
    return letter + "#" * alter + "b" * -alter
