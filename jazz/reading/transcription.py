"""A transcribed solo: made of the rows of a database, and converted to a tune."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from math import nan
from statistics import median
from typing import NamedTuple

from numpyrnn import NumpyrnnError

from ..charts.chart import Change, bar_length, parse_meter
from ..chords import parse_chord
from ..tunes import Tune, chord_elements, line, make_bars
from .tracks import without_silence

MAX_BARS, MAX_DIVISION = 4000, 96
MAX_NUMBER = 1e6
TICKS = 960  # a quarter; performed times are rounded to them
ARTICULATION = Fraction(1, 2)  # quarters; after a shorter silence a note is written as lasting to the next

Row = dict[str, str]


class Note(NamedTuple):
    """A note of a solo.

    Attributes
    ----------
    bar : int, from 0
    place : Fraction, quarters from the beginning of the bar, at first where it is written or was noted down, after the
        reduction 0, 1/4, 1/3, 1/2, 2/3 or 3/4 of a beat
    pitch : int, MIDI number
    begin, end : Fraction, when it was performed, in quarters from the beginning of the solo
    loudness : float, dB, or None if it is not known
    """

    bar: int
    place: Fraction
    pitch: int
    begin: Fraction
    end: Fraction
    loudness: float | None = None


@dataclass(frozen=True)
class Transcription:
    """A transcribed solo.

    Attributes
    ----------
    name : str, such as "ArtPepper_Anthropology"
    notes : list of Note with the places that were noted down
    chords : list of (onset in quarters, Chord), from the beginning of the first bar in which a note begins
    meters : list of (beats, unit), of each bar
    tempo : float, quarters a minute, by the median length of the beats in which the notes begin
    """

    name: str
    notes: list[Note]
    chords: list[Change]
    meters: list[tuple[int, int]]
    tempo: float

    def tune(self, name: str, group: str) -> Tune:
        """Convert the solo to a tune.

        The notes begin where they were noted down, and move to sixteenths or triplets as in `tunes.line`. A note lasts
        to the next one if less than half a quarter of silence is between them, and else as long as it was performed.

        Parameters
        ----------
        name, group : str, of the tune

        Returns
        -------
        Tune, without silent bars as in `tracks.without_silence`

        Raises
        ------
        NumpyrnnError
            if it has no chords
        """
        lengths = [bar_length(meter) for meter in self.meters]
        bars = list(zip(accumulate(lengths, initial=Fraction(0)), lengths, strict=False))
        onsets = [bars[note.bar][0] + note.place for note in self.notes]
        durations = [note.end - note.begin for note in self.notes]
        for i, (note, following) in enumerate(pairwise(self.notes)):
            if following.begin - note.end < ARTICULATION:
                durations[i] = onsets[i + 1] - onsets[i]
        melody = line(zip(onsets, durations, (note.pitch for note in self.notes), strict=True))
        return Tune(name, without_silence(make_bars(melody, chord_elements(self.chords), bars))[0], group)


def transcription(name: str, melody: Sequence[Row], beats: Sequence[Row]) -> Transcription:
    """Make a transcription of the rows of its two files.

    Parameters
    ----------
    name : str
    melody, beats : lists of dict from a column's name to the text

    Returns
    -------
    Transcription

    Raises
    ------
    NumpyrnnError
        if a value is out of range, a bar or a beat is missing, or the notes or beats are not in order
    """
    first, last = (_whole(row, "bar") for row in (melody[0], melody[-1]))
    if not 0 <= last - first < MAX_BARS:
        raise NumpyrnnError(f"a solo must have 1 to {MAX_BARS} bars in order, it lasts from bar {first} to {last}")
    signatures = {_whole(row, "bar"): row["signature"].strip("'\"") for row in reversed(beats)}
    if missing := [bar for bar in range(first, last + 1) if bar not in signatures]:
        raise NumpyrnnError(f"every bar of the solo must have beats, bar {missing[0]} has none")
    meters = [parse_meter(signatures[bar]) for bar in range(first, last + 1)]
    starts = list(accumulate(map(bar_length, meters), initial=Fraction(0)))
    counted: dict[tuple[int, int], Beat] = {}
    chords: list[Change] = []
    for row in beats:
        bar, number = _whole(row, "bar") - first, _whole(row, "beat")
        if 0 <= bar < len(meters):
            size, seconds = Fraction(4, meters[bar][1]), real(row, "duration")
            if not 1 <= number <= meters[bar][0] or seconds <= 0:
                raise NumpyrnnError(f"beat {number} of bar {bar + first} must lie in its bar and last some time")
            place = starts[bar] + (number - 1) * size
            counted[bar, number] = Beat(place, size, real(row, "onset"), seconds / float(size))
            chord = parse_chord(row["chord"], "weimar") if row["chord"].strip() else None
            if chord and (not chords or chords[-1][1] != chord):
                chords.append((place, chord))
    times = [(beat.onset, beat.seconds) for beat in counted.values()]
    if any(a[0] >= b[0] or a[1] >= b[1] for a, b in pairwise(times)):
        raise NumpyrnnError("the beats must be in order, they are not")
    notes, lengths = [], []
    for row in melody:
        key = _whole(row, "bar") - first, _whole(row, "beat")
        if key not in counted:
            raise NumpyrnnError(f"the beat of each note must be there, beat {key[1]} of bar {key[0] + first} is not")
        notes.append(_note(row, key[0], starts[key[0]], counted[key]))
        lengths.append(counted[key].length)
    if any(b[:2] < a[:2] for a, b in pairwise(notes)):
        raise NumpyrnnError("the notes must be in order, they are not")
    return Transcription(name, notes, chords, meters, 60 / median(lengths))


class Beat(NamedTuple):
    """A beat: its onset and length in quarters, its onset in seconds, and how many seconds a quarter lasts there."""

    onset: Fraction
    size: Fraction
    seconds: float
    length: float


def _note(row: Row, bar: int, start: Fraction, beat: Beat) -> Note:
    """The note of a row of the melody, in a bar that starts at `start`."""
    tatum, division, pitch = _whole(row, "tatum"), _whole(row, "division"), round(real(row, "pitch"))
    if not 1 <= tatum <= division <= MAX_DIVISION or not 0 <= pitch <= 127:
        got = f"tatum {tatum} of {division}, pitch {pitch}"
        raise NumpyrnnError(f"a note must lie in its beat and have a pitch of 0 to 127, got {got}")
    place = beat.onset - start + Fraction(tatum - 1, division) * beat.size
    begin = beat.onset + Fraction(round((real(row, "onset") - beat.seconds) / beat.length * TICKS), TICKS)
    lasts = Fraction(max(0, round(real(row, "duration") / beat.length * TICKS)), TICKS)
    loudness = real(row, "loud_median") if row.get("loud_median") else None
    return Note(bar, place, pitch, begin, begin + lasts, loudness)


def _whole(row: Row, column: str) -> int:
    """A whole number of a row."""
    value = real(row, column)
    if value != int(value):
        raise NumpyrnnError(f"the column {column} must hold a whole number, it holds {row[column]!r:.40}")
    return int(value)


def real(row: Row, column: str) -> float:
    """A number of a row."""
    try:
        value = float(row[column])
    except ValueError:
        value = nan
    if not abs(value) <= MAX_NUMBER:
        raise NumpyrnnError(f"the column {column} must hold a number, it holds {row[column]!r:.40}")
    return value
