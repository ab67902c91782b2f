"""The jazz grammar: notes over chords become values, and values become notes again.

A value is TYPE,DURATION,<UP,DOWN>. The type relates the note to its chord: C chord tone, S scale tone, A approach tone,
X other; R is a rest. The duration is in quarters, with three decimals. The pair of intervals bounds the distance from
the note before: the interval that was played, plus and minus a minor third. Rests and the first note of a bar have no
pair. So a value can be played in any key and over any chord. The grammar is that of Keller and Morrison (2007), in the
form that deepjazz and the deep-learning course gave it; here they are called the original programs. As there, whether a
tone counts as S, A or X also depends on the spelling of the scale.

Pitches are MIDI numbers. Each has one name, as in music21, with `-` for a flat: C C# D E- E F F# G G# A B- B. On the
line of fifths their places are -3 (E-), -2 (B-), -1 (F), 0 (C), 1 (G), 2 (D) and so on to 8 (G#).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from math import ceil
from operator import attrgetter

from numpyrnn import NumpyrnnError

SIXTEENTH, TRIPLET = Fraction(1, 4), Fraction(1, 3)
NAMES = ("C", "C#", "D", "E-", "E", "F", "F#", "G", "G#", "A", "B-", "B")
TONICS = (5, -2, 3, 8, 1, 6, -1, 4, -3, 9, 2, -5, 7, 0, -7)  # B B- A G# G F# F E E- D# D D- C# C C-, in fifths from C
# The quality of a triad by its semitones above the root.
TRIADS = {"047": "major", "04": "major", "037": "minor", "03": "minor", "048": "augmented", "036": "diminished"}
INTERVAL = r"(?:P|M|m|A{1,4}|d{1,4})-?\d{1,2}"
VALUE = re.compile(rf"([ACRSX]),(\d{{1,5}}\.\d{{3}})(?:,<({INTERVAL}),({INTERVAL})>)?")


@dataclass(frozen=True)
class Element:
    """A note, a chord, or a rest, which has no pitches.

    Attributes
    ----------
    onset, duration : Fraction, quarters
    pitches : tuple of MIDI numbers
    root : int, pitch class, of a chord read from a symbol; otherwise None
    """

    onset: Fraction
    duration: Fraction
    pitches: tuple[int, ...] = ()
    root: int | None = None

    @property
    def end(self) -> Fraction:
        """Onset plus duration."""
        return self.onset + self.duration


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
    """Read a value.

    Parameters
    ----------
    text : str, like "C,0.333,<P4,m-2>"

    Returns
    -------
    Value; its duration is the nearest fraction with a denominator of at most 24 (0.333 is 1/3)

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
    """The nearest multiple of a sixteenth or of an eighth triplet; ties go down."""
    places = (ceil(time / grid - Fraction(1, 2)) * grid for grid in (SIXTEENTH, TRIPLET))
    return min(places, key=lambda place: (abs(place - time), place))


def gather(notes: Sequence[tuple[Fraction, Fraction, int]]) -> list[Element]:
    """Join notes that begin and end together, within a sixteenth of a quarter, into one element.

    Parameters
    ----------
    notes : list of (onset, duration, pitch), by onset

    Returns
    -------
    list of Element; each has the onset and the duration of its first note
    """
    near, taken, elements = Fraction(1, 16), [False] * len(notes), []
    places = [(onset // near, (onset + duration) // near) for onset, duration, _ in notes]
    found: dict[tuple[int, int], list[int]] = {}  # notes by the sixteenths in which they begin and end
    for i, place in enumerate(places):
        found.setdefault(place, []).append(i)
    for i, (onset, duration, pitch) in enumerate(notes):
        if taken[i]:
            continue
        pitches = [pitch]
        begin, end = places[i]
        around = chain.from_iterable(found.get((begin + k, end + m), ()) for k in (0, 1) for m in (-1, 0, 1))
        for j in sorted(j for j in around if j > i):
            other_onset, other_duration, other_pitch = notes[j]
            apart = abs(other_onset + other_duration - onset - duration)
            if other_onset - onset <= near and apart <= near:  # a note may be in several chords
                taken[j] = True
                pitches.append(other_pitch)
        elements.append(Element(onset, duration, tuple(pitches)))
    return elements


def on_grid(elements: Iterable[Element]) -> list[Element]:
    """The elements with their onsets and durations quantised; a duration may become zero."""
    return [Element(quantise(e.onset), quantise(e.duration), e.pitches) for e in elements]


def with_rests(elements: Sequence[Element]) -> list[Element]:
    """The elements as the newer original programs read them: two voices merged, with rests in gaps of the first."""
    first, second = voices([_audible(e) for e in elements])
    rests, now = [], Fraction(0)
    for element in first:
        if element.onset > now:
            rests.append(Element(now, element.onset - now))
        now = max(now, element.end)
    return sorted([*rests, *first, *second], key=lambda e: e.onset)


def without_rests(elements: Sequence[Element]) -> list[Element]:
    """The elements as the older original programs read them: two voices merged, without rests."""
    first, second = voices(elements)
    return [_audible(e) for e in sorted([*first, *second], key=lambda e: e.onset)]


def voices(elements: Sequence[Element]) -> tuple[list[Element], list[Element]]:
    """Split elements into two voices: each goes to the first voice, or to the second while the first still sounds."""
    both: tuple[list[Element], list[Element]] = [], []
    for element in sorted(elements, key=lambda e: e.onset):
        both[bool(both[0]) and both[0][-1].end > element.onset].append(element)
    return both


def _audible(element: Element) -> Element:
    return element if element.duration else Element(element.onset, SIXTEENTH, element.pitches)


# --------------------------------------------------------------------------------------------------- chords and scales


def name_of(midi: int) -> str:
    """A pitch's name without octave."""
    return NAMES[midi % 12]


def fifths_of(midi: int) -> int:
    """A pitch's place on the line of fifths, -3 to 8."""
    return (7 * midi + 3) % 12 - 3


@lru_cache(None)
def kinds(pitches: tuple[int, ...]) -> tuple[str, ...]:
    """The type of each pitch class over a chord: C chord tone, S scale tone, A approach tone, X other.

    An approach tone is a semitone from a chord tone.

    Parameters
    ----------
    pitches : tuple of MIDI numbers, not empty

    Returns
    -------
    tuple of 12 str
    """
    chord = {midi % 12 for midi in pitches}
    scale = scale_tones(chord, quality(pitches) == "major")
    near = {(tone + step) % 12 for tone in chord for step in (-1, 1)}
    return tuple("C" if pc in chord else "S" if pc in scale else "A" if pc in near else "X" for pc in range(12))


def scale_tones(chord: Set[int], major: bool) -> set[int]:
    """The pitch classes of the major or Dorian scale that shares most tones with a chord.

    If there are several, the one with the highest tonic is taken, as music21's `derive` does. The tonic need not be the
    chord's root: the scale over C is G major, the scale over G7 is C major. As in the original programs, the scale
    loses each tone whose spelling differs from the name of the MIDI pitch, such as C- for B.

    Parameters
    ----------
    chord : set of int, pitch classes
    major : bool, True for a major scale, False for a Dorian one

    Returns
    -------
    set of int
    """
    lowest = -1 if major else -3  # of the scale, in fifths from its tonic
    scales = [range(tonic + lowest, tonic + lowest + 7) for tonic in TONICS]
    best = max(scales, key=lambda scale: len(chord & {7 * fifth % 12 for fifth in scale}))
    return {pc for pc in range(12) if fifths_of(pc) in best}


def quality(pitches: Sequence[int]) -> str:
    """The quality of a chord's triad, judged by the names of its pitches; equal to music21's `Chord.quality`.

    The root is the letter with the most thirds stacked above it.

    Parameters
    ----------
    pitches : MIDI numbers, one or more

    Returns
    -------
    "major", "minor", "augmented", "diminished" or "other"
    """
    letters: dict[int, set[int]] = {}  # pitch classes by letter (C 0, D 1, ...), the lowest pitch first
    for midi in sorted(pitches):
        letters.setdefault(4 * fifths_of(midi) % 7, set()).add(midi % 12)

    def score(root: int) -> float:
        return sum(1 / (6 + i) for i, above in enumerate((2, 4, 6, 1, 3, 5)) if (root + above) % 7 in letters)

    root = max(letters, key=score)
    triad = [tone for above in (0, 2, 4) for tone in letters.get((root + above) % 7, ())]
    return TRIADS.get("".join(str((tone - triad[0]) % 12) for tone in triad), "other")


# ----------------------------------------------------------------------------------------------------------- intervals


@lru_cache(None)
def interval_range(previous: int, midi: int) -> tuple[str, str]:
    """The interval from one pitch to the next, plus and minus a minor third, named as in music21.

    Parameters
    ----------
    previous, midi : MIDI numbers

    Returns
    -------
    upper, lower : str, such as "P4" and "m-2"; the minus sign means downwards
    """
    steps, fifths = midi - previous, fifths_of(midi) - fifths_of(previous)
    return _interval_name(steps + 3, fifths - 3), _interval_name(steps - 3, fifths + 3)


def _interval_name(steps: int, fifths: int) -> str:
    """The name of an interval that is given in semitones and in fifths: 5 and -1 are P4."""
    letters = 4 * fifths + 7 * (steps - 7 * fifths) // 12
    sign, letters, fifths = ("-", -letters, -fifths) if letters < 0 else ("", letters, fifths)
    if abs(fifths) <= 5:
        kind = "P" if abs(fifths) <= 1 else "M" if fifths > 0 else "m"
    else:
        kind = "A" * ((fifths + 1) // 7) or "d" * ((1 - fifths) // 7)
    return f"{kind}{sign}{letters + 1}"


@lru_cache(None)
def semitones(name: str) -> int:
    """Semitones of a directed interval name; negative downwards."""
    kind, sign, number = re.split(r"(-?)(?=\d)", name, maxsplit=1)
    octaves, letter = divmod(int(number) - 1, 7)
    perfect = letter in (0, 3, 4)
    widened = kind.count("A") - kind.count("d") - (kind == "m" or (kind[0] == "d" and not perfect))
    steps = 12 * octaves + (0, 2, 4, 5, 7, 9, 11)[letter] + widened
    return -steps if sign else steps


# ---------------------------------------------------------------------------------------------- from elements to values


def encode(melody: Sequence[Element], chords: Sequence[Element]) -> list[Value]:
    """The values of one bar.

    Parameters
    ----------
    melody : list of Element, the notes and rests of the bar; of several pitches, the highest counts
    chords : list of Element, the chords of the bar, at least one

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
        kind = kinds(sounding(chords, element.onset).pitches)[pitch % 12]
        pair = None if previous is None else interval_range(previous, pitch)
        values.append(Value(kind, element.duration, pair))
        previous = pitch
    return values


def sounding(chords: Sequence[Element], onset: Fraction) -> Element:
    """The last chord that has begun at `onset`, or else the first."""
    return chords[max(bisect_right(chords, onset, key=attrgetter("onset")) - 1, 0)]


# ------------------------------------------------------------------------------------------------ from values to notes


def candidates(value: Value, previous: int | None, chord: tuple[int, ...], low: int, high: int) -> list[int]:
    """The pitches that a value allows.

    Parameters
    ----------
    value : Value, not a rest
    previous : int, the pitch before; None at the beginning
    chord : tuple of MIDI numbers
    low, high : int, the lowest and the highest playable pitch

    Returns
    -------
    list of int, ascending: the pitches of the value's type within its interval range; may be empty
    """
    if previous is not None and value.interval is not None:
        upper, lower = (previous + semitones(name) for name in value.interval)
        low, high = max(low, lower), min(high, upper)
    types = kinds(chord)
    return [pitch for pitch in range(low, high + 1) if types[pitch % 12] == value.kind]
