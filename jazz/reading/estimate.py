"""Chords for a file that names none: from how long each pitch class sounds in a bar."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from music.midi import Note

from ..element import Element

# The chords that are recognised in notes: (intervals over the root, how usual it is).
SHAPES = [
    ((0, 4, 7, 10), 0.04),
    ((0, 3, 7, 10), 0.04),
    ((0, 4, 7, 11), 0.04),
    ((0, 4, 7, 9), 0.0),
    ((0, 3, 7, 9), 0.0),
    ((0, 3, 6, 10), 0.0),
    ((0, 3, 6, 9), 0.0),
    ((0, 4, 7), 0.02),
    ((0, 3, 7), 0.02),
    ((0, 5, 7, 10), -0.05),
    ((0, 4, 8, 10), -0.05),
]


TOUCH = 0.05  # quarters that the shortest note counts at least
ABSENT = 0.03  # share of the sound below which a tone is missing


def estimate_chords(notes: Sequence[Note], bars: Sequence[tuple[Fraction, Fraction]]) -> list[Element]:
    """A chord for each bar.

    Parameters
    ----------
    notes : list of Note
    bars : list of (onset, length), one after the other

    Returns
    -------
    list of Element, one for each bar where anything begins to sound; the first stands at the beginning of the first bar
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
            root, shape = best_chord(weights, bass % 12)
            pitches = (36 + root, *(60 + (root + step) % 12 for step in shape))
            chords.append(Element(start if chords else bars[0][0], length, pitches, root))
    return chords


def best_chord(weights: Sequence[float], bass: int) -> tuple[int, tuple[int, ...]]:
    """The root and the shape that hold most of the sound, less what they name in vain, a little more over their bass.

    Parameters
    ----------
    weights : 12 numbers, how long each pitch class sounds
    bass : int, the lowest pitch class

    Returns
    -------
    root : int, pitch class
    shape : tuple of int, semitones over it
    """
    total = sum(weights)

    def score(root: int, shape: tuple[int, ...], usual: float) -> float:
        tones = [(root + step) % 12 for step in shape]
        held = sum(weights[tone] for tone in tones) / total
        in_vain = sum(weights[tone] < ABSENT * total for tone in tones)
        return held - 0.09 * in_vain + usual + 0.15 * (root == bass) + 0.1 * weights[root] / total

    return max((score(root, shape, usual), root, shape) for root in range(12) for shape, usual in SHAPES)[1:]


def best_root(pitches: Sequence[int]) -> int:
    """The root of a chord, by the intervals over it: third, fifth, seventh, and whether it is the lowest pitch.

    Parameters
    ----------
    pitches : MIDI numbers, one or more

    Returns
    -------
    int, pitch class
    """
    tones, bass = {pitch % 12 for pitch in pitches}, min(pitches) % 12

    def score(root: int) -> float:
        over = {(tone - root) % 12 for tone in tones}
        points = [
            (2.0, over & {3, 4}),  # a third
            (1.5, 7 in over),
            (0.25, over & {6, 8}),  # an altered fifth
            (1.0, over & {10, 11}),  # a seventh
            (0.5, over >= {4, 10}),  # the tritone of a dominant
            (1.125, root == bass),
        ]
        return sum(value for value, there in points if there)

    return max(sorted(tones), key=lambda root: (score(root), -((root - bass) % 12)))
