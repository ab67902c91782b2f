"""Pitches, intervals, chords and scales: all that the program asks of music21, and the one module that knows it.

music21's classes are slow (a tenth of a millisecond an interval, ten a scale), so every answer is kept. Pitches are MIDI numbers;
names are music21's, with `-` for a flat, and a pitch has one name: C C# D E- E F F# G G# A B- B.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

from music21 import chord, interval, pitch, scale


@dataclass(frozen=True)
class Harmony:
    """What the grammar asks of a chord.

    Attributes
    ----------
    quality : "major", "minor", "augmented", "diminished" or "other"
    chord, scale : frozensets of pitch classes that are chord tones and scale tones, by name: a scale tone that is spelled
        otherwise than a MIDI pitch (C- for B) is none
    approach : frozenset of pitch classes a semitone from a chord tone
    """

    quality: str
    chord: frozenset[int]
    scale: frozenset[int]
    approach: frozenset[int]

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The type of each pitch class over this chord: C chord tone, S scale tone, A approach tone, X other."""
        kinds = {"C": self.chord, "S": self.scale, "A": self.approach}
        return tuple(next((kind for kind, tones in kinds.items() if pc in tones), "X") for pc in range(12))


@lru_cache(None)
def name_of(midi: int) -> str:
    """Name without octave, as MIDI pitches are spelled here."""
    return str(pitch.Pitch(midi=midi % 12).name)


@lru_cache(None)
def harmony(pitches: tuple[int, ...]) -> Harmony:
    """Quality, chord tones, scale and approach tones of a chord.

    The scale is major where the chord's quality is, otherwise Dorian; of all tonics the one whose scale has most of the
    chord's pitches (music21's `derive`), which is not the chord's root: over C it is G major, over G7 C major.

    Parameters
    ----------
    pitches : tuple of MIDI numbers, not empty

    Returns
    -------
    Harmony
    """
    sounding = chord.Chord([pitch.Pitch(midi=midi) for midi in sorted(pitches)])
    kind = scale.MajorScale() if sounding.quality == "major" else scale.DorianScale()
    names = {tone.name for tone in kind.derive(sounding).getPitches()}
    tones = frozenset(midi % 12 for midi in pitches)
    return Harmony(
        quality=str(sounding.quality),
        chord=tones,
        scale=frozenset(midi for midi in range(12) if name_of(midi) in names),
        approach=frozenset((tone + step) % 12 for tone in tones for step in (-1, 1)),
    )


@lru_cache(None)
def interval_range(previous: int, midi: int) -> tuple[str, str]:
    """The interval from one pitch to the next, plus and minus a minor third, as directed diatonic names.

    Parameters
    ----------
    previous, midi : MIDI numbers

    Returns
    -------
    upper, lower : str, such as ("P4", "m-2")
    """
    step = interval.Interval(pitch.Pitch(midi=previous), pitch.Pitch(midi=midi))
    return str(interval.add([step, "m3"]).directedName), str(interval.subtract([step, "m3"]).directedName)


@lru_cache(None)
def semitones(name: str) -> int:
    """Semitones of a directed interval name; negative downwards."""
    return int(interval.Interval(name).semitones)
