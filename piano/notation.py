"""The score of a piece: two staves, with the notes moved to places that can be read.

music21 takes long to import, so this module is imported only when a score is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from math import ceil
from operator import sub

from music21 import clef, layout, meter, stream
from music21.tempo import MetronomeMark

from music.midi import Note
from music.notation import by_bar, musicxml, notes
from numpyrnn import NumpyrnnError

from .tokens import NAMES

METER, BAR = (4, 4), Fraction(4)
GRIDS = ((4, 3), (8, 6), (48,))  # places in a quarter, the simplest first: sixteenths or triplets ...
MIDDLE_C = 60
Sound = tuple[Fraction, Fraction, tuple[str, ...]]  # onset, end, names of pitches


def score(title: str, played: Sequence[Note], tempo: int) -> bytes:
    """Write a piece for two staves as MusicXML; the same music gives the same bytes.

    Notes from middle C upwards stand in the upper staff. Their places are those of `written`.

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
    bars = max((-(-(note.onset + note.duration) // BAR) for note in placed), default=1)
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
        staff.makeBeams(inPlace=True, setStemDirections=False)  # which depend on the voices
        if upper:
            measures[0].insert(0, MetronomeMark(number=tempo, referent=1))
        staves.append(staff)
    return musicxml(stream.Score([*staves, layout.StaffGroup(staves, symbol="brace")]), title)


def written(played: Sequence[Note]) -> list[Note]:
    """Move notes to places that can be read.

    Each beat is written in sixteenths or in triplets, whatever is nearer; in smaller values only if two notes would
    else begin together that do not. Notes that are on sixteenths or triplets stay there, and none is moved by more than
    an eighth of a quarter.

    Parameters
    ----------
    played : list of Note, with times in 48ths of a quarter

    Returns
    -------
    list of Note, in the order of `played`
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
    moved = []
    for note in played:
        start, end = places[note.onset], note.onset + note.duration
        end = places.get(end, _nearest(end, grids.get(end // 1, GRIDS[0][0])))
        length = end - start if end > start else Fraction(1, grids[note.onset // 1])
        moved.append(note._replace(onset=start, duration=length))
    return moved


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


def _voices(placed: Iterable[Note]) -> list[list[Sound]]:
    """Distribute the notes of a staff to voices, in which none begins before the last one ends."""
    chords: dict[tuple[Fraction, Fraction], set[int]] = {}
    for note in placed:
        chords.setdefault((note.onset, note.onset + note.duration), set()).add(note.pitch)
    voices: list[list[Sound]] = [[]]
    for (onset, end), pitches in sorted(chords.items()):
        voice = next((voice for voice in voices if not voice or voice[-1][1] <= onset), None)
        if voice is None:
            voices.append(voice := [])
        voice.append((onset, end, tuple(NAMES[pitch] for pitch in sorted(pitches))))
    return voices


def _measures(voices: Sequence[Sequence[Sound]], bars: int) -> Iterator[stream.Measure]:
    """The measures of a staff. A voice is written only where it sounds; only the first of a measure shows rests."""
    for i, spans in enumerate(zip(*(by_bar(voice, [BAR] * bars) for voice in voices), strict=True)):
        measure = stream.Measure(number=i + 1)
        sounding = [(j, here) for j, here in enumerate(spans) if any(span.names for span in here)] or [(0, spans[0])]
        for j, here in sounding:
            voice = stream.Voice(id=str(j + 1)) if len(sounding) > 1 else measure
            for onset, element in notes(here, METER):
                element.style.hideObjectOnPrint = element.isRest and here is not sounding[0][1]
                voice.insert(onset, element)
            if voice is not measure:
                measure.insert(0, voice)
        yield measure
