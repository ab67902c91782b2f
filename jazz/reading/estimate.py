"""Chords for files without a chord part, estimated from how long each pitch class sounds in a bar."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np

from music.midi import Note
from numpyrnn.checks import Array

from ..chords import QUALITIES, Quality
from ..grammar import Element

TOUCH = 0.05  # quarters, added to the duration of each note
ABSENT = 0.03  # share of the sound; a chord tone with less than this counts as missing


def estimate_chords(notes: Sequence[Note], bars: Sequence[tuple[Fraction, Fraction]]) -> list[Element]:
    """Estimate one chord for each bar.

    Parameters
    ----------
    notes : list of Note
    bars : list of (onset, length), one after the other

    Returns
    -------
    list of Element, one for each bar in which a note begins; the first one is moved to the beginning of the first bar
    """
    chords: list[Element] = []
    notes, i = sorted(notes, key=lambda note: note.onset), 0
    for start, length in bars:
        end, weights, bass = start + length, [0.0] * 12, 128
        while i < len(notes) and notes[i].onset < end:
            note, i = notes[i], i + 1
            if note.onset >= start:
                weights[note.pitch % 12] += float(min(note.onset + note.duration, end) - note.onset) + TOUCH
                bass = min(bass, note.pitch)
        if any(weights):
            root, tones = best_chord(weights, bass % 12)
            pitches = (36 + root, *(60 + (root + step) % 12 for step in tones))
            chords.append(Element(start if chords else bars[0][0], length, pitches, root))
    return chords


def best_chord(weights: Sequence[float], bass: int) -> tuple[int, tuple[int, ...]]:
    """Find the root and the quality that match the sound best.

    The score is the share of the sound that belongs to the chord, plus the quality's prior. It favours roots that sound
    long or are in the bass, and penalises chord tones that do not sound.

    Parameters
    ----------
    weights : 12 numbers, how long each pitch class sounds
    bass : int, the lowest pitch class

    Returns
    -------
    root : int, pitch class
    tones : tuple of int, semitones above the root
    """
    total, (known, places, priors) = sum(weights), _candidates(tuple(QUALITIES))
    tones = np.array([*weights, 0.0])[places]
    missing = (tones < ABSENT * total) & (places < 12)
    held, root = sum(tones.T), tones[:, 0]
    scores = held / total - 0.09 * missing.sum(1) + priors + 0.15 * (places[:, 0] == bass) + 0.1 * root / total
    return known[len(scores) - 1 - int(scores[::-1].argmax())]  # of equal scores the last


@lru_cache(1)
def _candidates(qualities: Sequence[Quality]) -> tuple[list[tuple[int, tuple[int, ...]]], Array, Array]:
    """Roots with tones, the pitch classes of these in rows that end with 12, and the priors."""
    known = sorted((root, q.tones, q.prior) for root in range(12) for q in qualities if q.prior is not None)
    size = max(len(tones) for _, tones, _ in known)
    places = [[(root + step) % 12 for step in tones] + [12] * (size - len(tones)) for root, tones, _ in known]
    return [chord[:2] for chord in known], np.array(places), np.array([prior for *_, prior in known])
