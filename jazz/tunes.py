"""A tune: one melody line over chords, in bars, on a grid of sixteenths and triplets."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from numpyrnn import NumpyrnnError

from .chords import Chord
from .grammar import SIXTEENTH, TRIPLET, Element, Value, encode

CENTRE = 60  # middle C, the lowest root of a chord


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes
    ----------
    onset, length : Fraction, quarters
    melody : tuple of Element, the notes and rests that begin in this bar
    chords : tuple of Element, the chord at the bar's beginning and those that begin later in it
    """

    onset: Fraction
    length: Fraction
    melody: tuple[Element, ...]
    chords: tuple[Element, ...]


@dataclass(frozen=True)
class Tune:
    """A melody over chords.

    Notes and rests follow each other without gaps. A note may last into the next bar, a rest ends with its bar.

    Attributes
    ----------
    name : str
    bars : tuple of Bar
    group : str; the tunes of one group are versions of each other
    style : str, the manner in which it is played, such as "bebop"; empty if unknown
    """

    name: str
    bars: tuple[Bar, ...]
    group: str = ""
    style: str = ""

    def values(self) -> list[list[Value]]:
        """The values of each bar."""
        return [encode(bar.melody, bar.chords) for bar in self.bars]


def chord_pitches(chord: Chord) -> tuple[int, ...]:
    """The tones of a chord symbol as MIDI numbers: the bass below middle C, the others from there up."""
    root = CENTRE + chord.tones[0]
    return (CENTRE - 12 + (chord.bass or 0), *(root + interval for interval in chord.intervals))


def chord_elements(changes: Sequence[tuple[Fraction, Chord]]) -> list[Element]:
    """The chords for the grammar. N.C. prolongs the previous chord, or at the beginning anticipates the first one.

    An error if there is no chord but N.C.
    """
    known = [chord for _, chord in changes if chord.tones]
    if not known:
        raise NumpyrnnError("changes must have a chord, got none")
    elements, last = [], known[0]
    for onset, chord in changes:
        last = chord if chord.tones else last
        elements.append(Element(onset, Fraction(0), chord_pitches(last), last.root))
    return elements


def make_bars(
    melody: Sequence[Element], chords: Sequence[Element], bars: Sequence[tuple[Fraction, Fraction]]
) -> tuple[Bar, ...]:
    """Cut a melody and chords into bars.

    Parameters
    ----------
    melody : list of Element, as `line` gives it
    chords : list of Element, at least one, by onset
    bars : list of (onset, length), one after the other

    Returns
    -------
    tuple of Bar
    """
    made, i, now, onsets = [], 0, bars[0][0], [chord.onset for chord in chords]
    for start, length in bars:
        end, within = start + length, []
        while i < len(melody) and melody[i].onset < end:
            if melody[i].onset > now:
                within.append(Element(now, melody[i].onset - now))
            within.append(melody[i])
            now, i = melody[i].end, i + 1
        if now < end:
            within.append(Element(now, end - now))
            now = end
        first = max(bisect_right(onsets, start) - 1, 0)  # the chord that sounds when the bar begins
        stop = max(bisect_left(onsets, end), first + 1)
        made.append(Bar(start, length, tuple(within), tuple(chords[first:stop])))
    return tuple(made)


def line(notes: Iterable[tuple[Fraction, Fraction, int]]) -> list[Element]:
    """Reduce notes to one melody line on the grid.

    Of notes that begin together only the highest is kept, and a note ends when the next begins. In each beat the onsets
    move to sixteenths or to triplets, whichever moves them less in total. No note lasts less than a step of this grid,
    unless the next begins earlier.

    Parameters
    ----------
    notes : (onset, duration, pitch) of each note, in quarters

    Returns
    -------
    list of Element with one pitch each, by onset
    """
    beats: dict[int, list[tuple[Fraction, Fraction, int]]] = {}
    for note in notes:
        beats.setdefault(int(note[0]), []).append(note)
    grids: dict[int, Fraction] = {}
    highest: dict[Fraction, tuple[int, Fraction]] = {}
    for beat, group in beats.items():
        offsets = [onset - beat for onset, _, _ in group]
        grid = min((SIXTEENTH, TRIPLET), key=lambda grid: sum(abs(x - round(x / grid) * grid) for x in offsets))
        grids[beat] = grid
        for (onset, duration, pitch), offset in zip(group, offsets, strict=True):
            place = beat + round(offset / grid) * grid
            highest[place] = max(highest.get(place, (0, Fraction(0))), (pitch, onset + duration))
    places, elements = sorted(highest), []
    for i, place in enumerate(places):
        pitch, end = highest[place]
        grid = grids.get(int(end), SIXTEENTH)
        end = int(end) + round(end % 1 / grid) * grid
        end = max(end, place + grids.get(int(place), SIXTEENTH))
        end = min([end, *places[i + 1 : i + 2]])
        elements.append(Element(place, end - place, (pitch,)))
    return elements
