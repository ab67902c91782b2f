"""Feel: how a soloist plays a line as it is written. Swing, time, articulation and loudness are the last step.

Figures of players, over the Weimar Jazz Database: an eighth on the beat is 1.22 times as long as the next one (median),
less at speed; notes begin 19 ms behind the beat, and last .87 of the time to the next; the loudness spreads by 4.4 dB.
A velocity v counts as 40 log10(v / 127) dB, as in `jazz score`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from music.midi import Note

from ..changes import Changes
from ..feels import swings
from ..grammar import SIXTEENTH, Element
from ..swing import STRAIGHT
from .band import SOLO, note

RATIOS, TEMPI = (1.6, 1.22), (90, 230)  # an eighth on the beat over the next one, at slow and at fast tempos
LATE, UNEVEN, FARTHEST = 15.0, 2.5, 6.0  # milliseconds behind the beat: mean, spread, the most that a note differs
SHORT, SLURRED, FULL = 0.84, 0.9, 0.97  # of the time to the next note: before a tongued note, into the beat, long notes
GAP = Fraction(11, 100)  # quarters, the longest silence that articulation makes; a longer one would be a rest
LONG = 1  # quarters; such notes are held
PHRASE = Fraction(19, 20)  # quarters of silence that end a phrase
BREATH = Fraction(1, 2)  # quarters; a rest as long as this, as written, is heard at least so long
LEVEL, SPREAD = -6.0, 4.0  # dB, the loudness of most notes, and half of the range of the middle 68 %
TICKS = 480  # a quarter; times in MIDI files are rounded to them


def swing_of(tempo: float) -> Fraction:
    """The share of a beat that a soloist's first eighth takes: 1.6 to 1 at slow tempos, 1.2 to 1 at fast ones."""
    ratio = float(np.interp(tempo, TEMPI, RATIOS))
    return Fraction(ratio / (1 + ratio)).limit_denominator(TICKS)


def played(
    line: Sequence[Element], changes: Changes, tempo: float, rng: Generator, swing: Fraction | None = None
) -> list[Note]:
    """Play a line with feel.

    Parameters
    ----------
    line : sequence of Element, the notes and rests as written, in order
    changes : Changes, whose feel and meter say whether eighths swing
    tempo : float, quarters a minute
    rng : numpy Generator
    swing : Fraction, optional, share of a beat that its first half takes; default: the soloist's own, see `swing_of`

    Returns
    -------
    list of Note on the solo's track, in the order of the line; no note begins before the one before it has begun
    """
    notes = [element for element in line if element.pitches]
    if not notes:
        return []
    uneven = swings(changes.feel) and changes.meter[1] <= 4
    place = placing(notes, swing_of(tempo) if swing is None else swing) if uneven else lambda time: time
    quarter = tempo / 60_000  # a millisecond in quarters
    late = LATE + np.clip(UNEVEN * rng.standard_normal(len(notes)), -FARTHEST, FARTHEST)
    onsets = [ticks(float(place(n.onset)) + quarter * ms) for n, ms in zip(notes, late, strict=True)]
    ends = [min(ticks(float(place(n.end)) + quarter * LATE), changes.end) for n in notes]
    made, loud = [], velocities(notes, rng)
    for i, element in enumerate(notes):
        following = notes[i + 1] if i + 1 < len(notes) else None
        joined = following is not None and following.onset == element.end
        length = (onsets[i + 1] if joined else ends[i]) - onsets[i]
        silence = min((1 - articulation(element, joined)) * float(length), float(GAP))
        length = ticks(float(length) - silence)
        silent = following.onset - element.end if following is not None else Fraction(0)
        if silent >= BREATH:  # a rest stays one, although eighths off the beat are short, and notes unevenly late
            length = min(length, onsets[i + 1] - (PHRASE if silent >= PHRASE else BREATH) - onsets[i])
        length = max(length, Fraction(1, TICKS))
        made.append(note(SOLO, onsets[i], length, element.pitches[0], loud[i]))
    return made


def ticks(quarters: float) -> Fraction:
    """A time, rounded to a tick."""
    return Fraction(round(quarters * TICKS), TICKS)


def placing(notes: Sequence[Element], share: Fraction) -> Callable[[Fraction], Fraction]:
    """The function from a written time to a swung one. Beats with sixteenths are even, as players play double time."""
    even = {int(note.onset) for note in notes if note.onset % 1 in (SIXTEENTH, 3 * SIXTEENTH)}

    def place(time: Fraction) -> Fraction:
        return int(time) + share if time % 1 == STRAIGHT and int(time) not in even else time

    return place


def articulation(element: Element, joined: bool) -> float:
    """The share of its time that a note sounds. Notes off the beat are tongued: the note before them is shorter."""
    if element.duration >= LONG:
        return FULL
    return SHORT if joined and element.end % 1 else SLURRED


def velocities(notes: Sequence[Element], rng: Generator) -> list[int]:
    """The velocity of each note of a line: high notes, peaks and off-beats are louder, and ends of phrases softer."""
    pitches = np.array([note.pitches[0] for note in notes], float)
    level = np.clip((pitches - pitches.mean()) * 0.25, -4, 4) + 0.7 * rng.standard_normal(len(notes))
    for first, stop in phrases(notes):
        inside = np.arange(stop - first)
        level[first:stop] += 2.5 * np.sin(np.pi * (inside + 1) / (stop - first + 1))  # it grows and fades
        level[stop - 1] -= 2.5 * (stop - first > 1)
        for i in range(first, stop):
            around = pitches[max(i - 1, first) : min(i + 2, stop)]
            accent = pitches[i] == around.max() and len(set(around)) > 1
            level[i] += 2.5 * accent + 1.5 * (notes[i].onset % 1 != 0) - 1.5 * (pitches[i] == around.min())
    low, middle, high = np.percentile(level, (16, 50, 84))
    level = LEVEL + (level - middle) * (2 * SPREAD / (high - low) if high > low else 1)
    return [int(v) for v in np.clip(np.rint(127 * 10 ** (level / 40)), 30, 127)]


def phrases(notes: Sequence[Element]) -> list[tuple[int, int]]:
    """The index of the first note of each phrase, and that after its last."""
    gaps = (i for i, (a, b) in enumerate(pairwise(notes), 1) if b.onset - a.end >= PHRASE)
    return list(pairwise([0, *gaps, len(notes)]))
