"""A tune: bars of one melody line over chords, on a grid that always adds up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from numpyrnn import NumpyrnnError

from .changes import Chord
from .element import Element
from .grammar import SIXTEENTH, TRIPLET, Value, encode

CENTRE = 60  # chord tones are placed above middle C


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes
    ----------
    onset, length : Fraction, quarters
    melody : tuple of Element: what begins in this bar, notes and rests
    chords : tuple of Element: the chord at the bar's beginning and those that come in it
    """

    onset: Fraction
    length: Fraction
    melody: tuple[Element, ...]
    chords: tuple[Element, ...]


@dataclass(frozen=True)
class Tune:
    """A melody over chords.

    Notes and rests follow each other without a gap; a note may last into the next bar, a rest never does.

    Attributes
    ----------
    name : str
    bars : tuple of Bar
    group : str, tunes of one group count as versions of one another
    """

    name: str
    bars: tuple[Bar, ...]
    group: str = ""

    def values(self) -> list[list[Value]]:
        """The values of each bar."""
        return [encode(bar.melody, bar.chords) for bar in self.bars]


def chord_pitches(chord: Chord) -> tuple[int, ...]:
    """A chord symbol's tones as MIDI numbers: the bass below middle C, the tones above."""
    tones = [CENTRE + (tone - CENTRE) % 12 for tone in chord.tones]
    root = CENTRE + (chord.tones[0] - CENTRE) % 12
    tones = [tone if tone >= root else tone + 12 for tone in tones]
    return (CENTRE - 12 + (chord.bass or 0) % 12, *tones)


def chord_elements(changes: Sequence[tuple[Fraction, Chord]]) -> list[Element]:
    """The chords that the grammar sees: N.C. is whatever chord was before (at the beginning: comes next)."""
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
    chords : list of Element, one or more, by onset
    bars : list of (onset, length), one after the other

    Returns
    -------
    tuple of Bar
    """
    made, i, j, now = [], 0, 0, bars[0][0]
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
        while j + 1 < len(chords) and chords[j + 1].onset <= start:  # what sounds when the bar begins, or comes first
            j += 1
        stop = j + 1
        while stop < len(chords) and chords[stop].onset < end:
            stop += 1
        made.append(Bar(start, length, tuple(within), tuple(chords[j:stop])))
    return tuple(made)


def line(notes: Iterable[tuple[Fraction, Fraction, int]]) -> list[Element]:
    """One melody line on the grid: of notes that begin together the highest, each ended by the next.

    Within each beat the onsets go either to sixteenths or to triplets, whichever is nearer in sum; so everything adds
    up, and nothing is shorter than a sixteenth.

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
    for place, following in zip(places, [*places[1:], None][: len(places)], strict=True):
        pitch, end = highest[place]
        grid = grids.get(int(end), SIXTEENTH)
        end = int(end) + round(end % 1 / grid) * grid
        end = max(end, place + grids.get(int(place), SIXTEENTH))
        if following is not None:
            end = min(end, following)
        elements.append(Element(place, end - place, (pitch,)))
    return elements
