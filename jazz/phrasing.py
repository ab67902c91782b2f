"""The shape of a solo: where it rests, which phrases come back, how it rises to a climax, and where it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from math import ceil

import numpy as np
from numpy.random import Generator

from .changes import Changes
from .grammar import Element, kinds, sounding
from .tokens import CROWD, LOWEST, SECTION, STOREY, Shape

# Breath
LONGEST_RUN = 30  # notes without a rest of half a beat
SOON = 26  # notes after which the run ends with the next tone that can end
SHORT, PAUSE = Fraction(1, 2), Fraction(1)  # quarters; a rest that breaks a run, and one that ends a phrase
PHRASE, LEAST_PHRASE = 30.0, 4  # notes: the mean at USUAL_TEMPO, and the fewest
USUAL_TEMPO, FASTER = 130, 0.3  # the mean phrase grows with this power of the tempo
RELUCTANCE = 1.3  # by which the logit of a rest is lowered in a phrase that is to go on
# Memory
RECALL = 0.15  # the probability that a phrase begins with one that was played before
MOTIF = (4, 9)  # notes of a motif: the fewest, and one more than the most
BACK = (Fraction(2), Fraction(32))  # quarters since the motif, 8 bars of 4/4 at most
STEPS = 7  # semitones by which a motif is transposed at most
# Form
DENSITY, HEIGHT = 5.8, 71.7  # notes in four quarters and mean pitch of the choruses
FEW = 0.1  # the share of beats with triplets or sixteenths that "few" stands for
DENSER, HIGHER = 1.15, 10.0  # from the lowest point to the climax: the logarithm of the density, and semitones
BUSY = 0.2  # more beats with sixteenths for each doubling of the density
LATE = 0.4  # the probability that a solo without an ending bar ends on the third beat
CLIMAX = 0.7  # where in the solo it is
DOUBLE = 0.6  # in double time: the logarithm of the density, and the share of beats with sixteenths, are so much more
# Standard deviations of the logarithm of the density, of the height in semitones, and of the shares of beats with
# triplets and sixteenths: between solos, and between sections of a solo.
OWN, NOW = (0.3, 2.0, 0.12, 0.12), (0.2, 2.0, 0.1, 0.1)


def plan(changes: Changes, usual: Shape, density: float, rng: Generator, runs: float | None = None) -> list[Shape]:
    """Plan the shape of each bar of a solo.

    Density and height rise to a climax and fall after it, for each section with some chance. Each solo has a density, a
    height and a liking for triplets and sixteenths of its own.

    Parameters
    ----------
    changes : Changes, of all choruses
    usual : Shape, that of the manner
    density : float, 1 for as many notes as are usual
    rng : Generator
    runs : float, optional, the probability that a section is in double time; the others then have few sixteenths

    Returns
    -------
    list of Shape
    """
    count = -(-len(changes.bars) // SECTION)
    own, high, triplets, sixteenths = rng.normal(0, OWN)
    shapes: list[Shape] = []
    for x in (np.arange(count) + 0.5) / count:
        rise = (x / CLIMAX if x < CLIMAX else (1 - x) / (1 - CLIMAX)) - 0.5  # -0.5 to 0.5
        more, higher, third, fourth = rng.normal(0, NOW)
        if runs is not None:
            double = rng.random() < runs
            more, fourth = (more + DOUBLE, fourth + DOUBLE) if double else (more, -1.0)
        shape = Shape(
            usual.style,
            density * (usual.density or DENSITY) * float(np.exp(own + DENSER * rise + more)),
            (usual.height or HEIGHT) + high + HIGHER * rise + higher,
            max(0.0, (usual.triplets or 0.0) + triplets + third),
            max(0.0, (usual.sixteenths or 0.0) + sixteenths + fourth + BUSY * float(np.log2(density))),
        )
        shapes += [shape] * SECTION
    return shapes[: len(changes.bars)]


def usual_shape(style: str, told: Iterable[tuple[str, int]]) -> Shape:
    """The mean shape of a manner.

    Parameters
    ----------
    style : str
    told : iterable of (token, how often the manner's tunes have it); those of CONTEXTS that say a shape count

    Returns
    -------
    Shape; what the tunes do not say is None
    """
    found: dict[str, tuple[float, int]] = {}  # the sum of the numbers, and how many they are
    for token, count in told:
        kind, _, number = token.partition(": ")
        if number.isdecimal() and count:
            total, seen = found.get(kind, (0.0, 0))
            found[kind] = total + float(number) * count, seen + int(count)

    def usual(kind: str, unit: float, least: float = 0.0) -> float | None:
        return least + unit * (found[kind][0] / found[kind][1]) if kind in found else None

    density, height = usual("density", CROWD), usual("height", STOREY, LOWEST)
    return Shape(style, density, height, usual("triplets", FEW), usual("sixteenths", FEW))


@dataclass(frozen=True)
class Turn:
    """A part of a solo without silent bars.

    Attributes
    ----------
    start, stop : Fraction, quarters
    last : Fraction, quarters, where the last note begins
    held : bool, whether this note may last to the end of the turn; if not, it ends before
    """

    start: Fraction
    stop: Fraction
    last: Fraction
    held: bool


def turns_of(changes: Changes, silent: Sequence[range], rng: Generator, held: bool = True) -> list[Turn]:
    """Divide a solo into turns.

    Parameters
    ----------
    changes : Changes, of all choruses
    silent : sequence of range, bars in which others play
    rng : Generator
    held : bool, default True, whether the last note of the last turn may be held to its end

    Returns
    -------
    list of Turn, at least one
    """
    resting, bar = {*chain.from_iterable(silent)}, changes.bar
    playing = [n for n in range(len(changes.bars)) if n not in resting]
    firsts = [n for n in playing if n - 1 not in playing]
    stops = [n + 1 for n in playing if n + 1 not in playing]
    turns = []
    for first, stop in zip(firsts, stops, strict=True):
        to_end = held and stop == len(changes.bars)
        last = last_note(changes, rng) if to_end else bar * (stop - 1) + int(rng.integers(ceil(bar)))
        turns.append(Turn(bar * first, bar * stop, last, to_end))
    return turns or [Turn(changes.end, changes.end, changes.end, held)]


def last_note(changes: Changes, rng: Generator) -> Fraction:
    """Choose the onset of the last note: the first beat of the last bar, or else the third of four.

    In a form of one bar it is the last beat.
    """
    bar = changes.bar
    last = changes.end - bar
    if len(changes.bars) == 1:
        return last + max(ceil(bar) - 1, 0)
    return last + (2 if bar == 4 and not changes.ending and rng.random() < LATE else 0)


def can_end(pitch: int, chord: Element) -> bool:
    """Whether a phrase can end on a pitch: a tone of the chord, or of its scale if no chord tone is just below."""
    types = kinds(chord.pitches)
    return types[pitch % 12] == "C" or (types[pitch % 12] == "S" and types[(pitch - 1) % 12] != "C")


class Breath:
    """When a soloist rests: after a phrase of a length that is drawn, and always before a run is too long.

    Parameters
    ----------
    tempo : float, quarters a minute; phrases have more notes at speed
    rng : Generator
    longer : float, default 1, times the usual length of a phrase

    Attributes
    ----------
    silence : Fraction, quarters since the last note ended
    run, phrase : int, notes since the last rest of half a beat, and of a beat
    wanted : int, notes of this phrase
    """

    def __init__(self, tempo: float, rng: Generator, longer: float = 1.0):
        self.rng, self.mean = rng, PHRASE * longer * (tempo / USUAL_TEMPO) ** FASTER
        self.mean *= float(np.exp(rng.normal(0, 0.3)))
        self.silence, self.run, self.phrase, self.wanted = PAUSE, 0, 0, self._length()

    def _length(self) -> int:
        return max(LEAST_PHRASE, round(float(self.rng.gamma(2.0, self.mean / 2))))

    def hear(self, element: Element) -> None:
        """Take a note or a rest into account."""
        if not element.pitches:
            self.silence += element.duration
            return
        if self.silence >= PAUSE:
            self.phrase, self.wanted = 0, self._length()
        if self.silence >= SHORT:
            self.run = 0
        self.run, self.phrase, self.silence = self.run + 1, self.phrase + 1, Fraction(0)

    @property
    def reluctance(self) -> float:
        """By how much the logit of a rest is lowered: a phrase that is not long enough goes on."""
        return 0.0 if self.silence or self.phrase >= self.wanted else RELUCTANCE

    @property
    def due(self) -> bool:
        """Whether the phrase may end with the next tone that can end."""
        return (self.phrase >= self.wanted and self.silence < PAUSE) or (self.run > SOON and self.silence < SHORT)

    @property
    def rest(self) -> Fraction:
        """The least rest that is due, quarters; a run that is too long needs only a short one."""
        return (PAUSE if self.phrase >= self.wanted else SHORT) - self.silence

    @property
    def must(self) -> bool:
        """Whether no other note may be played without a rest; the last note of the solo is one more."""
        return self.run >= LONGEST_RUN - 1 and self.silence < SHORT


@dataclass(frozen=True)
class Phrases:
    """The notes of a line so far, as a memory of phrases.

    Attributes
    ----------
    elements : list of Element, the notes and rests of the line
    chords : list of Element, those of the form
    """

    elements: Sequence[Element]
    chords: Sequence[Element]

    def recall(self, now: Fraction, rng: Generator, low: int, high: int) -> list[Element]:
        """Choose a phrase to come back at a place, transposed to the chords there.

        Its intervals and durations stay as they were, but for notes that would be strange to their chord.

        Parameters
        ----------
        now : Fraction, quarters, where it begins
        rng : Generator
        low, high : int, the range of pitches

        Returns
        -------
        list of Element, the notes and rests from `now` on; empty if there is none
        """
        found: list[list[Element]] = []
        weights: list[float] = []
        length = int(rng.integers(*MOTIF))
        before = next((e.pitches[0] for e in reversed(self.elements) if e.pitches), None)
        for first in self.beginnings(now):
            motif = self._motif(first, length)
            shift = now - motif[0].onset if motif else Fraction(0)
            halves = all((element.onset * 2).denominator == 1 for element in motif)
            if not motif or (shift.denominator != 1 and not ((shift * 2).denominator == 1 and halves)):
                continue
            types = [self._kind(e, e.onset) for e in motif if e.pitches]
            for step in range(-STEPS, STEPS + 1):
                moved = [Element(e.onset + shift, e.duration, tuple(p + step for p in e.pitches)) for e in motif]
                pitches = [e.pitches[0] for e in moved if e.pitches]
                new = [self._kind(e, e.onset) for e in moved if e.pitches]
                if low <= min(pitches) and max(pitches) <= high and new[-1] in "CS":
                    same = sum(a == b for a, b in zip(types, new, strict=True)) / len(new)
                    leap = 0 if before is None else abs(pitches[0] - before)
                    found.append(moved)
                    weights.append(float(np.exp(8 * same - leap / 4) * (1 if shift % 4 == 0 else 0.5)))
        if not found:
            return []
        return found[int(rng.choice(len(found), p=np.array(weights) / sum(weights)))]

    def beginnings(self, now: Fraction) -> list[int]:
        """Where phrases begin that are neither too near nor too far back: the indices of their first notes."""
        found, silence = [], PAUSE
        for i, element in enumerate(self.elements):
            if element.pitches and silence >= SHORT and BACK[0] <= now - element.onset <= BACK[1]:
                found.append(i)
            silence = Fraction(0) if element.pitches else silence + element.duration
        return found

    def _motif(self, first: int, length: int) -> list[Element]:
        """So many notes from an index on, if they are one phrase."""
        motif: list[Element] = []
        for element in self.elements[first:]:
            if not element.pitches and element.duration >= PAUSE:
                break
            motif.append(element)
            length -= bool(element.pitches)
            if not length:
                return motif
        while motif and not motif[-1].pitches:
            motif.pop()
        return motif if sum(bool(e.pitches) for e in motif) >= MOTIF[0] else []

    def _kind(self, element: Element, onset: Fraction) -> str:
        """The type of a note over the chord that sounds at a place."""
        return kinds(sounding(self.chords, onset).pitches)[element.pitches[0] % 12]
