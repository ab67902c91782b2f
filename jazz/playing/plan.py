"""What is played beside the solo itself: a written head before and after it, and bars in which the drums play alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from numpy.random import Generator

from music.files import naming
from music.midi import Midi, Note, as_tempo, read_midi
from numpyrnn import NumpyrnnError
from numpyrnn.checks import check_count
from workbench.terminal import counted

from ..changes import Changes
from ..charts.chart import Change
from ..charts.key import estimate_key
from ..chords import QUALITIES, Chord, parse_chord
from ..feels import feel_in
from ..grammar import Element
from ..instruments import NAMES, OCTAVE, Instrument
from ..reading.choruses import read_chorus
from ..reading.tracks import bars_of, choose, own_part
from ..reading.written import ENDING, HEAD, SOLO, drums_alone, heard_feel, marks_of, written
from ..soloist import Line
from ..tunes import Tune, chord_elements, line, make_bars
from .band import accompany, trade


@dataclass(frozen=True)
class Head:
    """A written melody over a form.

    Attributes
    ----------
    melody : list of Element, its notes; those of a pickup begin before 0
    changes : Changes, of the form, or its own
    tempo : int, quarters a minute
    times : int, how often the form is played in it
    key : str, its own, such as "Bb"; empty if it is not known
    """

    melody: Sequence[Element]
    changes: Changes
    tempo: int
    times: int = 1
    key: str = ""

    @property
    def pickup(self) -> Fraction:
        """How long before its first bar it begins, in quarters."""
        return max(-self.melody[0].onset, Fraction(0))


def read_head(path: str | Path, form: Changes | None = None) -> Head:
    """Read a head from a written chorus (.txt) or a MIDI file.

    Parameters
    ----------
    path : file
    form : Changes, optional, over which it is played; default: its own, which of a MIDI file are estimated

    Returns
    -------
    Head

    Raises
    ------
    NumpyrnnError
        if it cannot be read, or has another meter or length than the form
    """
    path = Path(path)
    if path.suffix.lower() == ".txt":
        chorus = read_chorus(path)
        melody = [Element(note.onset, note.duration, (note.pitch,)) for note in chorus.melody]
        own, most, tempo = replace(chorus.changes, name=""), len(chorus.changes.bars), chorus.tempo
        key = estimate_key(own)
    else:
        midi = read_midi(path)
        with naming(path):
            melody, own, most, key = _of_midi(midi, path.stem, form)
        tempo = as_tempo(midi.tempos[0][1])
    tempo = min(max(tempo, 20), 400)
    if form is None:
        return Head(melody, own, tempo)
    bars, size = len(own.bars), len(form.bars)
    if own.meter == form.meter and bars % size == 1 and bars > 1:
        within = [element.onset - own.bar * (bars - 1) for element in melody]
        if melody[0].onset >= own.bar / 2:  # a first bar that has but a pickup
            melody, bars, most = _later(melody, -own.bar), bars - 1, most - 1
        elif path.suffix.lower() != ".txt" and not any(place > 0 for place in within):  # a held note
            melody, bars = [e for e, place in zip(melody, within, strict=True) if place < 0], bars - 1
    times = -(-bars // size)
    if own.meter != form.meter or times * size > most:
        meters = ["{}/{}".format(*one.meter) for one in (form, own)]
        wanted, got = f"{counted(size, 'bar')} of {meters[0]}", f"{counted(bars, 'bar')} of {meters[1]}"
        raise NumpyrnnError(f"{path}: a head must fit the form, {wanted}, or several times that; it has {got}")
    end = form.end * times
    kept = [replace(e, duration=min(e.end, end) - e.onset) for e in melody if e.onset < end]
    return Head(kept, form, tempo, times, key)


def _of_midi(midi: Midi, title: str, form: Changes | None) -> tuple[list[Element], Changes, int, str]:
    """The melody of a MIDI file, its changes, its bars with the silent ones at the end, and its key if it is known."""
    from ..yardstick.reading import chords_of  # only heads from MIDI files need it

    choice, bars, marks = choose(midi, own_part(midi)), bars_of(midi), marks_of(midi)
    first = 1 if bars[1:] and bars[0][1] < bars[1][1] else 0  # a short bar at the beginning holds a pickup
    if len({meter[1:] for meter in midi.meters[first:]}) > 1:
        raise NumpyrnnError("a head must have one meter, it has several")
    meter, length, alone = midi.meters[first][1:], bars[first][1], drums_alone(midi, bars)
    while first in alone:  # a count-in
        first += 1
    notes, end = written(choice.melody.notes), max(bars[-1][0] + length, midi.length)
    start, end = marks.span(HEAD, end) or (bars[first][0], min([end, *(on for on, word in marks.sections)]))
    if marks.chords:
        start = max(start, marks.chords[0][0])
    elif choice.chords and choice.chords.notes[0].onset >= start + length and notes[0][0] >= start + length / 2:
        start += length  # before which there is but a pickup
    bars = [bar for bar in bars if start <= bar[0] < end]
    melody = _later((e for e in line(notes) if start - length <= e.onset < end), -start)
    try:
        flat, known = chords_of(midi, choice, bars), True
    except NumpyrnnError:
        if form is None:
            raise
        flat, known = form.flat()[:1], False
    chords, first_chord = list[list[Change]](), [change for change in flat if change[0] <= start][-1:] or flat[:1]
    for onset, _ in bars:
        begun = [(on - onset, named(chord)) for on, chord in flat if onset <= on < onset + length]
        before = [(Fraction(0), chords[-1][-1][1] if chords else named(first_chord[0][1]))]
        chords.append(begun if begun and begun[0][0] == 0 else [*before, *begun])
    own = Changes(chords, meter, title=title, feel=feel_in(marks.feel or heard_feel(choice.melody.notes), meter))
    return melody, own, math.ceil((end - start) / length), estimate_key(own) if known else ""


def named(chord: Chord) -> Chord:
    """A chord that was estimated, with its symbol; another one as it is."""
    names = [quality.name for quality in QUALITIES if {*quality.tones} == {*chord.intervals}]
    return chord if any(chord.parts) or not names else parse_chord(NAMES[chord.tones[0]] + names[0])


def head_within(head: Head, player: Instrument) -> Head:
    """Move a head by octaves into the range of an instrument; an error if it does not fit."""
    pitches = [element.pitches[0] for element in head.melody]
    low, high = min(pitches), max(pitches)
    moves = [move for move in range(-120, 121, OCTAVE) if player.low <= low + move and high + move <= player.high]
    if not moves:
        span = player._replace(low=low, high=high).sounding
        raise NumpyrnnError(f"the head must fit into the range {player.sounding} in some octave, it spans {span}")
    move = min(moves, key=abs)
    return replace(head, melody=[replace(e, pitches=(e.pitches[0] + move,)) for e in head.melody])


def notes_of(line: Line) -> list[Element]:
    """The notes of a line, without the rests."""
    return [element for element in line.elements if element.pitches]


def line_of(melody: Sequence[Element], changes: Changes) -> Line:
    """The line of some notes over changes, with its values and rests."""
    bars = make_bars(melody, chord_elements(changes.flat()), changes.grid)
    values = [value for of_bar in Tune("", bars).values() for value in of_bar]
    return Line(changes, values, [element for bar in bars for element in bar.melody])


@dataclass(frozen=True)
class Road:
    """The order in which a piece is played: head, choruses, head, ending.

    Attributes
    ----------
    choruses : Changes, over which the solo is played
    all : Changes, of the whole piece
    start : Fraction, quarters, where the choruses begin
    head : Head, or None
    each : int, bars after which solo and drums take turns; 0 if they do not
    """

    choruses: Changes
    all: Changes
    start: Fraction
    head: Head | None
    each: int

    @classmethod
    def of(cls, form: Changes, choruses: int, ending: bool, head: Head | None, trade: int | None) -> Road:
        """Plan a piece; an error if it is too short for trades."""
        before = head.times if head else 0
        solo, every = form.times(choruses), form.times(choruses + 2 * before)
        if trade is not None and not 1 <= check_count("trade", trade) < len(solo.bars):
            bars = counted(len(solo.bars), "bar")
            raise NumpyrnnError(f"trade must be less than the bars of the solo, got {trade} of {bars}")
        every = every.with_ending() if ending else every
        return cls(solo if head else every, every, form.end * before, head, trade or 0)

    @property
    def lead(self) -> Fraction:
        """The length of the bar before the first, in which the head's pickup is played; 0 if it has none."""
        return self.all.bar * bool(self.head and self.head.pickup)

    @property
    def sections(self) -> list[tuple[Fraction, str]]:
        """Where head, solo and ending begin, see `reading.written`."""
        after, ending = self.start + self.choruses.end, [(self.all.end - self.all.bar, ENDING)]
        heads = [(Fraction(0), HEAD), (self.start, SOLO), (after, HEAD)] if self.head else []
        return [(self.lead + onset, word) for onset, word in heads + ending * self.all.ending]

    @property
    def trades(self) -> list[range]:
        """The bars of the whole piece that the drums play alone, as often as they do."""
        first, each = int(self.start / self.all.bar), self.each
        last = first + len(self.choruses.bars) - self.choruses.ending
        turns = range(first + each, last, 2 * each) if each else ()
        return [range(bar, min(bar + each, last)) for bar in turns]

    def end_in(self, onset: Fraction, end: Fraction) -> Fraction:
        """The end of a note of the whole piece that stops before the drums play alone; its onset if they do then."""
        for bars in self.trades:
            if onset < bars.stop * self.all.bar and bars.start * self.all.bar < end:
                return max(min(end, bars.start * self.all.bar), onset)
        return end

    @property
    def silent(self) -> list[range]:
        """The bars of the choruses that the drums play alone, as often as they do."""
        first = int(self.start / self.all.bar)
        return [range(bars.start - first, bars.stop - first) for bars in self.trades]

    def whole(self, line: Line, player: Instrument) -> Line:
        """A line over the choruses, with the head before and after it, and a held note at the end."""
        if self.head is None:
            return line
        melody, every = self.head.melody, self.all
        after = self.start + self.choruses.end
        solo = [e for e in _later(notes_of(line), self.start) if e.onset < after - self.head.pickup]
        if solo and self.head.pickup:
            end = min(solo[-1].end, after - self.head.pickup)
            solo[-1] = replace(solo[-1], duration=end - solo[-1].onset)
        notes = [*melody, *solo, *_later(melody, after)]
        if every.ending:
            tones, last = every.bars[-1][0][1].tones, melody[-1].pitches[0]
            held = [pitch for pitch in range(player.low, player.high + 1) if pitch % OCTAVE in tones]
            final = min(held, key=lambda pitch: abs(pitch - last))
            notes.append(Element(every.end - every.bar, every.bar, (final,)))
        if not self.lead:
            return line_of(notes, every)
        sections, doubles = ("", *every.sections) if every.sections else (), (False, *every.doubles)
        first = [(Fraction(0), parse_chord("N.C."))]
        lead = replace(every, bars=[first, *every.bars], sections=sections, doubles=doubles)
        return line_of(_later(notes, self.lead), lead)

    def band(self, rng: Generator, instruments: Sequence[str], line: Line, tempo: float) -> list[Note]:
        """What the band plays, with even eighths."""
        bar = self.all.bar
        in_head = {n for n in range(len(self.all.bars)) if not 0 <= bar * n - self.start < self.choruses.end}
        solo = [(e.onset - self.lead, e.end - self.lead) for e in notes_of(line)]
        notes = accompany(self.all, rng, instruments, solo, tempo, in_head if self.head else ())
        if not self.each:
            return notes
        ends = ((n, self.end_in(n.onset, n.onset + n.duration)) for n in notes)
        kept = [n._replace(duration=end - n.onset) for n, end in ends if end > n.onset]
        solos = [n for bars in self.trades for n in trade(self.all, rng, bars, tempo)]
        return [*kept, *solos] if "drums" in instruments else kept


def _later(melody: Iterable[Element], by: Fraction) -> list[Element]:
    return [replace(element, onset=element.onset + by) for element in melody]
