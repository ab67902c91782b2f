"""What every player of the band knows: the tracks, the form with its bars and beats, and where the soloist plays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from music.midi import Note

from ..changes import Changes
from ..chords import Chord

SOLO, PIANO, BASS, DRUMS = 1, 2, 3, 4  # tracks; track 0 has the tempo
NAMES = ["", "Solo", "Piano", "Bass", "Drums"]
CHANNELS = {SOLO: 0, PIANO: 1, BASS: 2, DRUMS: 9}
PROGRAMS = {SOLO: 66, PIANO: 0, BASS: 32, DRUMS: 0}  # General MIDI from 0: tenor saxophone, grand piano, acoustic bass
EVEN = ("straight", "bossa")  # the feels that do not swing
HALF = Fraction(1, 2)
SECTION = 4  # bars; a section that begins sooner after another one is part of it
REST = 0.95  # quarters; a shorter rest does not end a phrase of the solo

Piece = tuple[Fraction, Fraction, Chord, Chord]  # onset, length, chord, next chord
Option = TypeVar("Option")


def note(track: int, onset: Fraction, duration: Fraction, pitch: int, velocity: int) -> Note:
    """A note on the channel and with the program of its track."""
    return Note(onset, duration, pitch, velocity, CHANNELS[track], PROGRAMS[track], track)


def pick(rng: Generator, options: Sequence[Option]) -> Option:
    """One of the options at random."""
    return options[int(rng.random() * len(options))]


@lru_cache(1024)
def beats_of(length: Fraction, pulse: Fraction) -> tuple[tuple[Fraction, Fraction], ...]:
    """(onset, length) of each beat in a stretch of music; the last beat takes what remains, as the 3 in 2 + 2 + 3."""
    count = max(1, int(length / pulse))
    return tuple((i * pulse, pulse if i < count - 1 else length - i * pulse) for i in range(count))


@dataclass(frozen=True)
class Arrangement:
    """Changes to be played by a band.

    Attributes
    ----------
    changes : Changes
    solo : sequence of (onset, end) of the soloist's notes, in quarters
    tempo : quarters a minute
    two : set of int, bars in which the bass plays in two, counted from 0
    """

    changes: Changes
    solo: Sequence[tuple[Fraction | float, Fraction | float]] = ()
    tempo: float = 130
    two: Collection[int] = ()

    @cached_property
    def bar(self) -> Fraction:
        """Length of a bar in quarters."""
        return self.changes.bar

    @cached_property
    def pulse(self) -> Fraction:
        """Length of a beat: a quarter, or in 3/8, 6/8, 9/8, 12/8 and so on a dotted quarter."""
        beats, unit = self.changes.meter
        return Fraction(3, 2) if unit == 8 and beats % 3 == 0 else Fraction(1)

    @cached_property
    def beats(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """(onset, length) of each beat in a bar."""
        return beats_of(self.bar, self.pulse)

    @cached_property
    def chorus(self) -> int:
        """Bars of one chorus: the shortest part that ends with a double bar line and makes the form when repeated."""
        bars, count = self.changes.bars, len(self.changes.bars) - self.changes.ending
        ends = [bar + 1 for bar, double in enumerate(self.changes.doubles[:count]) if double]
        return next((n for n in ends if count % n == 0 and bars[:count] == bars[:n] * (count // n)), count)

    @cached_property
    def two_beat(self) -> set[int]:
        """The bars in two, with the first chorus of a ballad, or its first eight bars if the chorus is shorter."""
        return {*self.two, *range(max(8, self.chorus) if self.changes.feel == "ballad" else 0)}

    @cached_property
    def sections(self) -> list[int]:
        """The bars in which sections and choruses begin, counted from 0, and at last the number of bars.

        A section of fewer than four bars is joined with the next ones, so that a vamp has no section in every bar.
        """
        count = len(self.changes.bars)
        starts = {*range(0, count, max(1, self.chorus))}
        starts |= {bar for bar, label in enumerate(self.changes.sections) if label}
        starts |= {bar + 1 for bar, double in enumerate(self.changes.doubles) if double}
        kept = [0]
        for bar in sorted(starts):
            kept += [bar] * (bar - kept[-1] >= SECTION)
        return sorted({*kept, count - self.changes.ending, count})

    @cached_property
    def phrases(self) -> list[tuple[float, float]]:
        """(onset, end) of each phrase of the solo; a rest of a quarter or more ends a phrase."""
        phrases = list[tuple[float, float]]()
        for onset, end in sorted((float(onset), float(end)) for onset, end in self.solo):
            if phrases and onset - phrases[-1][1] < REST:
                begun, ended = phrases.pop()
                onset, end = begun, max(end, ended)
            phrases.append((onset, end))
        return phrases

    @cached_property
    def eighths(self) -> int:
        """The whole eighths in a bar."""
        return int(self.bar / HALF)

    @cached_property
    def rests(self) -> list[list[bool]]:
        """For each bar and each eighth in it, whether the soloist rests there; without a solo, never."""
        starts, ends = np.array([*self.phrases, (np.inf, np.inf)]).T
        bars = float(self.bar) * np.arange(len(self.changes.bars))
        times = bars[:, None] + np.arange(self.eighths) / 2
        phrase = np.searchsorted(starts, times, "right") - 1
        resting = ((phrase < 0) | (times >= ends[phrase])) & bool(self.phrases)
        return [[bool(rest) for rest in bar] for bar in resting]

    def bars(self) -> Iterator[list[Piece]]:
        """The chords of each bar, except N.C.; a chord that lasts longer is cut at the bar line."""
        pieces: list[list[Piece]] = [[] for _ in self.changes.bars]
        for onset, length, chord, after in self.changes.spans():
            end, bar = onset + length, int(onset // self.bar)
            while (line := (bar + 1) * self.bar) < end:
                pieces[bar].append((onset, line - onset, chord, chord))
                onset, bar = line, bar + 1
            pieces[bar].append((onset, end - onset, chord, after))
        yield from pieces
