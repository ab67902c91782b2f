"""MIDI as musicians write it: the notes without swing and lateness, and what the markers say.

`jazz` writes these markers: at the beginning the feel, such as "Swing"; where they begin, the chord symbols and the
sections "Head", "Solo" and "Ending".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from operator import itemgetter
from statistics import median

from music.midi import DRUMS, Midi, Note
from numpyrnn import NumpyrnnError

from ..charts.chart import Change
from ..chords import parse_chord
from ..feels import FEELS
from ..swing import STRAIGHT

HEAD, SOLO, ENDING = SECTIONS = ("Head", "Solo", "Ending")
WORDS = {feel.capitalize() for feel in FEELS}
NEAR = 0.15  # quarters around a beat; a note there may be meant on it
EARLY = 0.08  # quarters; a note that begins so little before a beat belongs to it
OFF_BEAT = (0.42, 0.82)  # of a beat, where the second of two eighths may begin
SWINGS, ALIKE, MOST = 0.53, 0.05, 0.75  # the least swing, how far off-beats differ from it, and how many do not more
FEW = 4  # notes or off-beats from which nothing can be concluded
TOGETHER = Fraction(1, 16)  # quarters between notes that count as one onset
BREATH = Fraction(1, 5)  # quarters; a shorter silence is articulation and not written
STEPS = {(0.0, 1 / 3, 2 / 3): Fraction(1, 3), (0.0, 0.25, 0.5, 0.75): Fraction(1, 4)}  # triplets, sixteenths
RARER = 0.02  # quarters by which eighths are preferred to triplets, and these to sixteenths


@dataclass(frozen=True)
class Marks:
    """What the markers of a file say.

    Attributes
    ----------
    chords : list of (onset in quarters, Chord); empty if a marker is something else than `jazz` writes
    sections : list of (onset, one of SECTIONS)
    feel : str, one of `feels.FEELS`; empty if none is said
    """

    chords: list[Change] = field(default_factory=list)
    sections: list[tuple[Fraction, str]] = field(default_factory=list)
    feel: str = ""

    def span(self, name: str, end: Fraction) -> tuple[Fraction, Fraction] | None:
        """The beginning and end of the first section of this name; None if there is none."""
        ends = [onset for onset, _ in self.sections[1:]] + [end]
        return next(((on, off) for (on, word), off in zip(self.sections, ends, strict=False) if word == name), None)


def markers_of(
    chords: Sequence[Change], feel: str, sections: Sequence[tuple[Fraction, str]] = (), start: Fraction = Fraction(0)
) -> list[tuple[Fraction, str]]:
    """The markers of a piece that begins at `start`; all other onsets count from there."""
    marks = [(Fraction(0), feel.capitalize()), *sections, *((onset, str(chord)) for onset, chord in chords)]
    return sorted(((start + onset, text) for onset, text in marks), key=itemgetter(0))


def marks_of(midi: Midi) -> Marks:
    """Read the markers of a file."""
    words = [(onset, text) for onset, text in midi.markers if text not in WORDS]
    try:
        chords = [(onset, parse_chord(text)) for onset, text in words if text not in SECTIONS]
    except NumpyrnnError:
        return Marks()
    feels = [text.lower() for _, text in midi.markers if text in WORDS]
    return Marks(chords, [mark for mark in words if mark[1] in SECTIONS], "".join(feels[:1]))


def drums_alone(midi: Midi, bars: Sequence[tuple[Fraction, Fraction]]) -> set[int]:
    """The bars in which only drums sound, as in a count-in or when soloist and drums trade."""
    starts = [start for start, _ in bars]

    def sounding(drums: bool) -> set[int]:
        """The bars in which drums, or all others, sound."""
        found, reached = set[int](), 0
        for note in (n for n in midi.notes if (n.channel == DRUMS) == drums):
            first = bisect_right(starts, note.onset) - 1
            last = max(first + 1, bisect_left(starts, note.onset + note.duration - TOGETHER))
            found |= {first, *range(max(first, reached), last)}
            reached = max(reached, last)
        return found

    return sounding(True) - sounding(False)


def feel_of(notes: Sequence[Note]) -> tuple[float, float]:
    """How late notes begin, in quarters, and the share of a beat that its first eighth takes, at least 1/2."""
    places = [(float(note.onset) + 0.5) % 1 - 0.5 for note in notes]
    near = [place for place in places if abs(place) < NEAR]
    late = median(near) if len(near) >= FEW else 0.0
    beats = beats_of(notes, late)
    pairs = [group for group in beats.values() if len(group) == 1 or (len(group) == 2 and group[0][0] < NEAR)]
    off = [group[-1][0] for group in pairs if OFF_BEAT[0] < group[-1][0] < OFF_BEAT[1]]
    swing = median(off) if len(off) >= FEW else 0.5
    alike = sum(abs(place - swing) <= ALIKE for place in off)
    return late, swing if swing >= SWINGS and alike >= MOST * len(off) else 0.5


def heard_feel(notes: Sequence[Note]) -> str:
    """The feel of notes, "swing" or "straight"; empty if there are too few off-beats to tell."""
    late, swing = feel_of(notes)
    off = sum(OFF_BEAT[0] < place < OFF_BEAT[1] for group in beats_of(notes, late).values() for place, _ in group)
    return "swing" if swing >= SWINGS else "straight" if off >= FEW else ""


def beats_of(notes: Sequence[Note], late: float) -> dict[int, list[tuple[float, Note]]]:
    """The notes of each beat, with their places in it."""
    beats = defaultdict[int, list[tuple[float, Note]]](list)
    for note in notes:
        onset = max(float(note.onset) - late, 0.0)
        beat = int(onset + EARLY)
        beats[beat].append((onset - beat, note))
    return beats


def written(notes: Sequence[Note]) -> list[tuple[Fraction, Fraction, int]]:
    """Take swing and lateness out of notes.

    Each beat is read as swung eighths, triplets or even sixteenths, whichever lies nearest.

    Parameters
    ----------
    notes : sequence of Note, of one part, sorted by onset

    Returns
    -------
    list of (onset, duration, pitch), in quarters. Notes that are neither swung nor late stay as they are; others last
    to the next one unless there is a rest between them.
    """
    late, swing = feel_of(notes)
    if swing < SWINGS and abs(late) < 1 / 96:
        return [note[:3] for note in notes]
    onsets = list[Fraction]()
    grids = {(0.0, swing): STRAIGHT, **STEPS}
    for beat, group in sorted(beats_of(notes, late).items()):
        places = [place for place, _ in group]
        misses = [_miss(places, [note for _, note in group], grid) + RARER * i for i, grid in enumerate(grids)]
        best, step = [*grids.items()][misses.index(min(misses))]
        onsets += [beat + step * _nearest(place, best) for place in places]
    made = []
    for i, (onset, note) in enumerate(zip(onsets, notes, strict=True)):
        end = note.onset + note.duration
        following = next((k for k in range(i + 1, len(notes)) if notes[k].onset - note.onset > TOGETHER), None)
        if following is not None and notes[following].onset - end < BREATH:
            length = onsets[following] - onset
        else:
            place = max(float(end) - late, 0.0) % 1
            even = place / (2 * swing) if place < swing else 0.5 + (place - swing) / (2 * (1 - swing))
            length = Fraction(float(end) - late - place + even) - onset
        made.append((onset, max(length, Fraction(0)), note.pitch))
    return made


def _nearest(place: float, grid: Sequence[float]) -> int:
    """The index of the place of a grid that is nearest; the beat that follows counts, too."""
    return min(range(len(grid) + 1), key=lambda i: abs(place - (*grid, 1.0)[i]))


def _miss(places: Sequence[float], notes: Sequence[Note], grid: Sequence[float]) -> float:
    """How far notes lie from a grid; a whole quarter for each that would fall on the one before it."""
    found = [_nearest(place, grid) for place in places]
    apart = [b.onset - a.onset > TOGETHER for a, b in pairwise(notes)]
    same = sum(a == b for (a, b), differ in zip(pairwise(found), apart, strict=True) if differ)
    return sum(abs(place - (*grid, 1.0)[i]) for place, i in zip(places, found, strict=True)) + same
