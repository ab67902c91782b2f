"""The score of a piece: two staves, with the notes moved to places that can be read.

music21 takes long to import, so this module is imported only when a score is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from math import ceil
from operator import itemgetter, sub

from music21 import clef, layout, meter, stream
from music21.tempo import MetronomeMark

from music.midi import Note
from music.notation import by_bar, musicxml, notes
from numpyrnn import NumpyrnnError

from .tokens import NAMES

METER, BAR = (4, 4), Fraction(4)
NEAR = Fraction(1, 8)  # quarters
GRIDS = ((4, 3), (8, 6), (16, 12), (48,))  # places in a quarter, the simplest first: sixteenths or triplets ...
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
    onsets = {note.onset for note in played}
    times = {*onsets, *(note.onset + note.duration for note in played)}
    taken = {onset // 1 for onset in onsets if onset % 1 < Fraction(1, 6)}  # beats that need their first place
    places, grids, after = dict[Fraction, Fraction](), dict[int, int](), Fraction(-1)
    for beat, group in groupby(sorted(times), lambda time: time // 1):
        here = list(group)
        begun = [time for time in here if time in onsets]
        grids[beat] = _simplest(begun, here, after, Fraction(beat + 1 if beat + 1 in taken else beat + 2))
        places |= {onset: _nearest(onset, grids[beat]) for onset in begun}
        after = places[begun[-1]] if begun else after
    moved = []
    for note in played:
        start, end = places[note.onset], note.onset + note.duration
        end = places.get(end, _nearest(end, grids[end // 1]))
        length = end - start if end > start else Fraction(1, grids[note.onset // 1])
        moved.append(note._replace(onset=start, duration=length))
    return moved


def _simplest(onsets: Sequence[Fraction], times: Sequence[Fraction], after: Fraction, before: Fraction) -> int:
    """The places that a beat has, so that its onsets, between two limits, get different ones that are near.

    Of grids of the same kind, the one is taken that moves the onsets less, or else does not move any of the times.
    """
    fitting = []
    for grids in GRIDS:
        for grid in grids:
            places = [_nearest(onset, grid) for onset in onsets]
            distance = max(map(abs, map(sub, places, onsets)), default=Fraction(0))
            if distance <= NEAR and all(a < b for a, b in pairwise([after, *places, before])):
                fitting.append((distance, any(time * grid % 1 for time in times), grid))
        if fitting:
            return min(fitting, key=itemgetter(0, 1))[2]
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
