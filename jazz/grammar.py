"""The jazz grammar: notes over chords become values, and values become notes again.

A value is TYPE,DURATION,<UP,DOWN>. The type says how the note stands to its chord (C chord tone, S scale tone, A
approach tone, X other, R rest), the duration counts quarters with three decimals, and the interval pair says how far
the note may lie from the one before: a minor third around the interval that was played. A bar's first note has no pair,
nor has a rest. So a value can be played in another key and over another chord (Keller and Morrison 2007, by way of
deepjazz); but whether a tone counts as S, A or X also depends on how the scale is spelled, as in the originals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from numpyrnn import NumpyrnnError

from . import theory
from .element import Element

SIXTEENTH, TRIPLET = Fraction(1, 4), Fraction(1, 3)
NAME = r"(?:P|M|m|A{1,4}|d{1,4})-?\d{1,2}"  # of an interval
VALUE = re.compile(rf"([ACRSX]),(\d{{1,5}}\.\d{{3}})(?:,<({NAME}),({NAME})>)?")


@dataclass(frozen=True)
class Value:
    """One symbol of the grammar.

    Attributes
    ----------
    kind : "C", "S", "A", "X" or "R"
    duration : Fraction, quarters
    interval : (upper, lower) directed interval names, or None
    """

    kind: str
    duration: Fraction
    interval: tuple[str, str] | None = None

    def __str__(self) -> str:
        pair = f",<{self.interval[0]},{self.interval[1]}>" if self.interval else ""
        return f"{self.kind},{float(self.duration):.3f}{pair}"


@lru_cache(None)
def parse_value(text: str) -> Value:
    """The value that a string says.

    Parameters
    ----------
    text : str, like "C,0.333,<P4,m-2>"

    Returns
    -------
    Value; three decimals are taken for the nearest twelfth or smaller part of a quarter (0.333 is 1/3)

    Raises
    ------
    NumpyrnnError
        if it is not a value
    """
    match = VALUE.fullmatch(text)
    if not match:
        raise NumpyrnnError(f"a value must be like C,0.500 or S,0.333,<P4,m-2>, got {text!r}")
    kind, duration, upper, lower = match.groups()
    return Value(kind, Fraction(duration).limit_denominator(24), (upper, lower) if upper else None)


# ------------------------------------------------------------------------------------------- from notes to elements


def quantise(time: Fraction) -> Fraction:
    """The nearest multiple of a sixteenth or an eighth triplet; half-way goes down, of two equally near the smaller."""

    def nearest(grid: Fraction) -> Fraction:
        below = time // grid
        rest = time - below * grid
        return (below + (rest > grid / 2)) * grid

    return min((nearest(grid) for grid in (SIXTEENTH, TRIPLET)), key=lambda place: (abs(place - time), place))


def gather(notes: Sequence[tuple[Fraction, Fraction, int]]) -> list[Element]:
    """Notes that begin and end together (within a sixteenth of a quarter) become one element.

    Parameters
    ----------
    notes : list of (onset, duration, pitch), by onset

    Returns
    -------
    list of Element; each has the onset and the duration of its first note
    """
    near, taken, elements = Fraction(1, 16), [False] * len(notes), []
    for i, (onset, duration, pitch) in enumerate(notes):
        if taken[i]:
            continue
        pitches = [pitch]
        for j in range(i + 1, len(notes)):
            other_onset, other_duration, other_pitch = notes[j]
            if other_onset - onset > near:
                break
            if abs(other_onset + other_duration - onset - duration) <= near:  # also one that stands in a chord already
                taken[j] = True
                pitches.append(other_pitch)
        elements.append(Element(onset, duration, tuple(pitches)))
    return elements


def on_grid(elements: Iterable[Element]) -> list[Element]:
    """The elements with their onsets and durations quantised; a duration may become zero."""
    return [Element(quantise(e.onset), quantise(e.duration), e.pitches) for e in elements]


def with_rests(elements: Sequence[Element]) -> list[Element]:
    """The elements as the original programs read them, with the rests of their first voice.

    Each element goes to the first of two voices that has ended; where the first voice has a gap, a rest is put; then
    the second voice is merged into the first.
    """
    first, second = voices([_audible(e) for e in elements])
    rests, now = [], Fraction(0)
    for element in first:
        if element.onset > now:
            rests.append(Element(now, element.onset - now))
        now = max(now, element.end)
    return sorted([*rests, *first, *second], key=lambda e: e.onset)


def without_rests(elements: Sequence[Element]) -> list[Element]:
    """The elements as the older original programs read them: the two voices merged, no rests."""
    first, second = voices(elements)
    return [_audible(e) for e in sorted([*first, *second], key=lambda e: e.onset)]


def voices(elements: Sequence[Element]) -> tuple[list[Element], list[Element]]:
    """Two voices: each element goes to the first that has ended; what fits in neither goes to the second."""
    parts: tuple[list[Element], list[Element]] = ([], [])
    ends = [Fraction(0), Fraction(0)]
    for element in sorted(elements, key=lambda e: e.onset):
        voice = 0 if ends[0] <= element.onset else 1
        parts[voice].append(element)
        ends[voice] = max(ends[voice], element.end)
    return parts


def _audible(element: Element) -> Element:
    return element if element.duration else Element(element.onset, SIXTEENTH, element.pitches)


# ---------------------------------------------------------------------------------------------- from elements to values


def encode(melody: Sequence[Element], chords: Sequence[Element]) -> list[Value]:
    """The values of one bar.

    Parameters
    ----------
    melody : list of Element of the bar; of several pitches the highest counts, no pitch is a rest
    chords : list of Element; those of the bar, or at least the one that sounds at its beginning

    Returns
    -------
    list of Value

    Raises
    ------
    NumpyrnnError
        if there is no chord
    """
    if not chords:
        raise NumpyrnnError("a bar needs a chord to have values, got none")
    values: list[Value] = []
    previous: int | None = None
    for element in melody:
        if not element.pitches:
            values.append(Value("R", element.duration))
            continue
        pitch = max(element.pitches)
        kind = theory.harmony(sounding(chords, element.onset).pitches).kinds[pitch % 12]
        pair = None if previous is None else theory.interval_range(previous, pitch)
        values.append(Value(kind, element.duration, pair))
        previous = pitch
    return values


def sounding(chords: Sequence[Element], onset: Fraction) -> Element:
    """The last chord that begins at `onset` or before, else the first."""
    return next((chord for chord in reversed(chords) if chord.onset <= onset), chords[0])


# ------------------------------------------------------------------------------------------------ from values to notes


def candidates(value: Value, previous: int | None, chord: tuple[int, ...], low: int, high: int) -> list[int]:
    """The pitches that a value may stand for.

    Parameters
    ----------
    value : Value, not a rest
    previous : int, the pitch before; None at the beginning
    chord : tuple of MIDI numbers
    low, high : int, the lowest and the highest playable pitch

    Returns
    -------
    list of int, from low to high, of the value's type over this chord and within its interval range; may be empty
    """
    if previous is not None and value.interval is not None:
        upper, lower = (previous + theory.semitones(name) for name in value.interval)
        low, high = max(low, lower), min(high, upper)
    kinds = theory.harmony(chord).kinds
    return [pitch for pitch in range(low, high + 1) if kinds[pitch % 12] == value.kind]
