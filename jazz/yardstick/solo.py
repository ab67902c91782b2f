"""A solo as it is measured: its notes on reduced places in bars, its chords, and what follows from both."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby, pairwise

from numpyrnn import NumpyrnnError

from ..charts.chart import Change, bar_length
from ..reading.transcription import Note as Note
from ..reading.transcription import Transcription
from .harmony import NO_HARMONY, Harmony, harmony_of

ON_THE_BEAT = Fraction(3, 10)  # a single note before this place in the beat counts as on the beat
SECOND = Fraction(2, 5)  # of two notes, the second on the half begins here or later
PHRASE_GAP = Fraction(19, 20)  # quarters; a longer silence ends a phrase


@dataclass(frozen=True)
class Solo:
    """A solo over chords.

    Attributes
    ----------
    name : str
    notes : list of Note, reduced, in order, no two with the same onset
    chords : list of (onset in quarters from the beginning, Chord), in order
    bars : list of Fraction, the length of each bar in quarters
    tempo : float, quarters a minute
    """

    name: str
    notes: Sequence[Note]
    chords: Sequence[Change]
    bars: Sequence[Fraction]
    tempo: float

    @classmethod
    def of(
        cls, name: str, notes: Iterable[Note], chords: Sequence[Change], bars: Sequence[Fraction], tempo: float
    ) -> Solo:
        """Make a solo of notes that are not reduced; an error if there are fewer than two."""
        reduced = reduce_notes(notes)
        if len(reduced) < 2:
            raise NumpyrnnError(f"a solo must have at least two notes to be measured, it has {len(reduced)}")
        return cls(name, reduced, chords, bars, tempo)

    @classmethod
    def of_transcription(cls, played: Transcription) -> Solo:
        """Reduce the notes of a transcribed solo."""
        lengths = [bar_length(meter) for meter in played.meters]
        return cls.of(played.name, played.notes, played.chords, lengths, played.tempo)

    @cached_property
    def starts(self) -> list[Fraction]:
        """The onset of each bar, in quarters."""
        starts = [Fraction(0)]
        for length in self.bars:
            starts.append(starts[-1] + length)
        return starts[:-1]

    @cached_property
    def length(self) -> Fraction:
        """The length of all bars, in quarters."""
        return sum(self.bars, Fraction(0))

    @cached_property
    def onsets(self) -> list[Fraction]:
        """The reduced onset of each note, in quarters from the beginning."""
        return [self.starts[note.bar] + note.place for note in self.notes]

    @cached_property
    def iois(self) -> list[Fraction]:
        """The inter-onset interval between each note and the next, in quarters."""
        return [following - onset for onset, following in pairwise(self.onsets)]

    @cached_property
    def intervals(self) -> list[int]:
        """Semitones from each note to the next."""
        return [following.pitch - note.pitch for note, following in pairwise(self.notes)]

    @cached_property
    def by_bar(self) -> list[list[Note]]:
        """The notes that begin in each bar."""
        bars: list[list[Note]] = [[] for _ in self.bars]
        for note in self.notes:
            bars[note.bar].append(note)
        return bars

    @cached_property
    def quarters(self) -> list[list[Note]]:
        """The notes that begin in each fourth part of the solo."""
        parts: list[list[Note]] = [[] for _ in range(4)]
        for note, onset in zip(self.notes, self.onsets, strict=True):
            parts[int(4 * onset / self.length)].append(note)
        return parts

    @cached_property
    def harmonies(self) -> list[Harmony]:
        """The harmony under each note."""
        onsets = [onset for onset, _ in self.chords]
        places = [bisect_right(onsets, onset) - 1 for onset in self.onsets]
        return [harmony_of(self.chords[place][1]) if place >= 0 else NO_HARMONY for place in places]

    @cached_property
    def phrases(self) -> list[list[int]]:
        """The indices of the notes of each phrase; a silence of nearly a beat ends one."""
        phrases = [[0]]
        for i, (note, following) in enumerate(pairwise(self.notes), 1):
            if following.begin - note.end >= PHRASE_GAP:
                phrases.append([])
            phrases[-1].append(i)
        return phrases

    def is_chord_tone(self, i: int) -> bool:
        """Whether note `i` is a tone of the chord under it."""
        return self.notes[i].pitch % 12 in self.harmonies[i].tones

    def excerpt(self, first: int, count: int) -> Solo:
        """Cut `count` bars out, from the bar with index `first`; an error if they hold fewer than two notes."""
        return self.of_bars(range(first, first + count))

    def of_bars(self, which: Sequence[int]) -> Solo:
        """Leave out all bars but these, in their order; an error if they hold fewer than two notes."""
        notes, chords, now = list[Note](), list[Change](), Fraction(0)
        for number, bar in enumerate(which):
            start, by = self.starts[bar], self.starts[bar] - now
            notes += [n._replace(bar=number, begin=n.begin - by, end=n.end - by) for n in self.by_bar[bar]]
            before = [(now, chord) for onset, chord in self.chords if onset <= start][-1:]
            before = [change for change in before if not chords or change[1] != chords[-1][1]]
            inside = [(on - by, chord) for on, chord in self.chords if start < on < start + self.bars[bar]]
            chords += [*before, *inside]
            now += self.bars[bar]
        if len(notes) < 2:
            bars = f"{which[0] + 1} to {which[-1] + 1}" if which else "of the solo"
            raise NumpyrnnError(f"bars {bars} must have two notes to be measured")
        return Solo(self.name, notes, chords, [self.bars[bar] for bar in which], self.tempo)


def reduce_notes(notes: Iterable[Note]) -> list[Note]:
    """Reduce notes so that performances and written solos can be compared.

    Of notes with one onset, the highest is kept. Then the places of the notes in each beat follow from their number:
    one note is on the beat if it begins before .3 of it, else on the half; two are on the beat and the half, or on
    sixteenths if both are early or both late; three are a triplet; four are sixteenths; more stay where they are.

    Parameters
    ----------
    notes : iterable of Note

    Returns
    -------
    list of Note, in order
    """
    kept = {(note.bar, note.place): note for note in sorted(notes, key=lambda note: note.pitch)}
    reduced: list[Note] = []
    for (_, beat), group in groupby(sorted(kept.values(), key=lambda n: n[:2]), lambda n: (n.bar, n.place // 1)):
        in_beat = list(group)
        places = places_in_beat([note.place - beat for note in in_beat])
        reduced += [note._replace(place=beat + place) for note, place in zip(in_beat, places, strict=True)]
    return reduced


def places_in_beat(places: Sequence[Fraction]) -> list[Fraction]:
    """The reduced places of the notes in one beat; see `reduce_notes`.

    Parameters
    ----------
    places : list of Fraction, from 0 to 1, ascending

    Returns
    -------
    list of Fraction
    """
    count = len(places)
    if count > 4:
        return list(places)
    if count == 2:
        early, late = places[0] < ON_THE_BEAT, places[1] >= SECOND
        fourths = (0, 2) if early and late else (0, 1) if early else (2, 3)
        return [Fraction(fourth, 4) for fourth in fourths]
    if count == 1:
        return [Fraction(0) if places[0] < ON_THE_BEAT else Fraction(1, 2)]
    return [Fraction(i, count) for i in range(count)]
