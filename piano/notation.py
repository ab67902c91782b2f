"""The score of a piece: two staves, with the notes moved to places that can be read.

music21 takes long to import, so this module is imported only when a score is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from math import ceil
from operator import itemgetter, sub
from typing import NamedTuple

from music21 import clef, layout, meter, stream
from music21.tempo import MetronomeMark

from music.midi import Note
from music.notation import Sound, by_bar, musicxml, notes
from numpyrnn import NumpyrnnError

from .tokens import NAMES

METER, BAR = (4, 4), Fraction(4)
GRIDS = ((4, 3), (8, 6), (48,))  # places in a quarter, the simplest first: sixteenths or triplets ...
MIDDLE_C = 60
MOST_VOICES = 4  # of a staff; common programs read no more


class Written(NamedTuple):
    """A note as written.

    Attributes
    ----------
    onset, end : Fraction, quarters
    pitch : int
    """

    onset: Fraction
    end: Fraction
    pitch: int


def score(title: str, played: Sequence[Note], tempo: int) -> bytes:
    """Write a piece for two staves as MusicXML; the same music gives the same bytes.

    Notes from middle C upwards stand in the upper staff. Their places are those of `written`. If more than four
    notes of a staff begin and end at different times, the earliest end is brought forward.

    Parameters
    ----------
    title : str
    played : list of Note, with times in 48ths of a quarter, and pitches of the piano
    tempo : int, quarters a minute

    Returns
    -------
    bytes, UTF-8
    """
    placed = written(played)
    bars = max((-(-note.end // BAR) for note in placed), default=1)
    staves = []
    for upper, sign in ((True, clef.TrebleClef()), (False, clef.BassClef())):
        voices = _voices(note for note in placed if (note.pitch >= MIDDLE_C) == upper)
        measures = list(_measures(voices, bars))
        measures[0].insert(0, meter.TimeSignature("{}/{}".format(*METER)))
        measures[0].insert(0, sign)
        measures[-1].rightBarline = "final"
        staff = stream.PartStaff(measures)
        staff.partName = "Piano"
        staff.makeAccidentals(inPlace=True)
        staff.makeBeams(inPlace=True)
        if upper:
            measures[0].insert(0, MetronomeMark(number=tempo, referent=1))
        staves.append(staff)
    return musicxml(stream.Score([*staves, layout.StaffGroup(staves, symbol="brace")]), title)


def written(played: Sequence[Note]) -> list[Written]:
    """Move notes to places that can be read.

    Each beat is written in sixteenths or in triplets, whatever is nearer; in smaller values only if two notes would
    else begin together that do not. Notes that are on sixteenths or triplets stay there, and none is moved by more than
    an eighth of a quarter.

    Parameters
    ----------
    played : list of Note, with times in 48ths of a quarter

    Returns
    -------
    list of Written, in the order of `played`
    """
    onsets = sorted({note.onset for note in played})
    places, grids, after = dict[Fraction, Fraction](), dict[int, int](), Fraction(-1)
    for beat, group in groupby(onsets, lambda onset: onset // 1):
        here = list(group)
        following = onsets[len(places) + len(here) :][:1]
        full = following and following[0] < beat + 1 + Fraction(1, 6)  # the first place of the next beat is taken
        grids[beat], found = _arranged(here, after, Fraction(beat + 1 if full else beat + 2))
        places |= zip(here, found, strict=True)
        after = found[-1]
    placed = []
    for note in played:
        start, end = places[note.onset], note.onset + note.duration
        end = places.get(end, _nearest(end, grids.get(end // 1, GRIDS[0][0])))
        placed.append(Written(start, end if end > start else start + Fraction(1, grids[note.onset // 1]), note.pitch))
    return placed


def _arranged(onsets: Sequence[Fraction], after: Fraction, before: Fraction) -> tuple[int, list[Fraction]]:
    """The places in a beat, and those that its onsets get: one each, between two limits."""
    for grids in GRIDS:
        found = {grid: [_nearest(onset, grid) for onset in onsets] for grid in grids}
        apart = [grid for grid in grids if all(a < b for a, b in pairwise([after, *found[grid], before]))]
        if apart:
            grid = min(apart, key=lambda grid: max(map(abs, map(sub, found[grid], onsets))))
            return grid, found[grid]
    raise NumpyrnnError(f"notes must begin in 48ths of a quarter, got {', '.join(map(str, onsets))}")


def _nearest(time: Fraction, grid: int) -> Fraction:
    """The nearest place, of this many in a quarter; the earlier of two."""
    return Fraction(ceil(time * grid - Fraction(1, 2)), grid)


def _voices(placed: Iterable[Written]) -> list[list[Sound]]:
    """Distribute the notes of a staff to voices, in which none begins before the last one ends."""
    voices: list[list[Sound]] = [[]]
    for (onset, end), group in groupby(sorted(placed), itemgetter(0, 1)):
        names = tuple(NAMES[pitch] for pitch in sorted({note.pitch for note in group}))
        ends = [voice[-1].end if voice else Fraction(0) for voice in voices]
        if min(ends) > onset and len(voices) < MOST_VOICES:
            voices.append([])
            ends.append(Fraction(0))
        number = next((i for i, free in enumerate(ends) if free <= onset), ends.index(min(ends)))
        voice = voices[number]
        if ends[number] > onset:
            last = voice.pop()
            if last.onset < onset:
                voice.append(last._replace(end=onset))
            else:
                names = tuple(dict.fromkeys(last.names + names))
        voice.append(Sound(onset, end, names))
    return voices


def _measures(voices: Sequence[Sequence[Sound]], bars: int) -> Iterator[stream.Measure]:
    """The measures of a staff. A voice is written only where it sounds; only the first of a measure shows rests."""
    spans = [by_bar(_with_rests(voice, bars * BAR), [BAR] * bars) for voice in voices]
    for number, of_voices in enumerate(zip(*spans, strict=True)):
        measure = stream.Measure(number=number + 1)
        sounding = [i for i, here in enumerate(of_voices) if any(span.names for span in here)] or [0]
        for i in sounding:
            place = measure if len(sounding) == 1 else stream.Voice(id=str(i + 1))
            for onset, element in notes(of_voices[i], METER):
                element.style.hideObjectOnPrint = element.isRest and i != sounding[0]
                place.insert(onset, element)
            if place is not measure:
                measure.insert(0, place)
        yield measure


def _with_rests(voice: Sequence[Sound], end: Fraction) -> Iterator[Sound]:
    """Fill the gaps between sounds."""
    now = Fraction(0)
    for sound in [*voice, Sound(end, end)]:
        if now < sound.onset:
            yield Sound(now, sound.onset)
        if sound.names:
            yield sound
        now = sound.end
