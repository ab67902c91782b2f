"""What is played beside the solo itself: a written head before and after it, and bars in which the drums play alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from numpy.random import Generator

from music.files import naming
from music.midi import Midi, Note, read_midi
from numpyrnn import NumpyrnnError
from numpyrnn.checks import check_count
from workbench.terminal import counted

from ..changes import Changes
from ..charts.chart import Change
from ..chords import QUALITIES, Chord, parse_chord
from ..grammar import Element
from ..instruments import NAMES, OCTAVE, Instrument
from ..reading.choruses import read_chorus
from ..reading.tracks import bars_of, choose
from ..soloist import Line
from ..tunes import Tune, chord_elements, line, make_bars
from .band import accompany, trade


@dataclass(frozen=True)
class Head:
    """A written melody over a form.

    Attributes
    ----------
    melody : list of Element, its notes
    changes : Changes, of the form, or its own
    tempo : int, quarters a minute
    times : int, how often the form is played in it
    """

    melody: Sequence[Element]
    changes: Changes
    tempo: int
    times: int = 1


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
    else:
        midi = read_midi(path)
        with naming(path):
            melody, own, most = _of_midi(midi, path.stem, form)
        tempo = round(60_000_000 / midi.tempos[0][1])
    tempo = min(max(tempo, 20), 400)
    if form is None:
        return Head(melody, own, tempo)
    bars, times = len(own.bars), -(-len(own.bars) // len(form.bars))
    if own.meter != form.meter or times * len(form.bars) > most:
        meters = ["{}/{}".format(*one.meter) for one in (form, own)]
        wanted, got = f"{counted(len(form.bars), 'bar')} of {meters[0]}", f"{counted(bars, 'bar')} of {meters[1]}"
        raise NumpyrnnError(f"{path}: a head must fit the form, {wanted}, or several times that; it has {got}")
    return Head(melody, form, tempo, times)


def _of_midi(midi: Midi, title: str, form: Changes | None) -> tuple[list[Element], Changes, int]:
    """The melody of a MIDI file, its changes, and its bars with the silent ones at the end."""
    if len({meter[1:] for meter in midi.meters}) > 1:
        raise NumpyrnnError("a head must have one meter, it has several")
    from ..yardstick.reading import chords_of  # only heads from MIDI files need it

    choice, bars, meter = choose(midi), bars_of(midi), midi.meters[0][1:]
    melody = line(note[:3] for note in choice.melody.notes)
    flat = form.flat()[:1] if form else chords_of(midi, choice, bars)
    chords: list[list[Change]] = []
    for start, length in bars:
        begun = [(onset - start, named(chord)) for onset, chord in flat if start <= onset < start + length]
        before = [(Fraction(0), chords[-1][-1][1])] if chords else []
        chords.append(begun if begun and begun[0][0] == 0 else [*before, *begun])
    most = max(len(bars), math.ceil(midi.length / bars[0][1]))
    return melody, Changes(chords, meter, title=title), most


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
        notes = [*melody, *_later(notes_of(line), self.start), *_later(melody, after)]
        if every.ending:
            tones, last = every.bars[-1][0][1].tones, melody[-1].pitches[0]
            held = [pitch for pitch in range(player.low, player.high + 1) if pitch % OCTAVE in tones]
            final = min(held, key=lambda pitch: abs(pitch - last))
            notes.append(Element(every.end - every.bar, every.bar, (final,)))
        return line_of(notes, every)

    def band(self, rng: Generator, instruments: Sequence[str], line: Line, tempo: float) -> list[Note]:
        """What the band plays, with even eighths."""
        bar = self.all.bar
        in_head = {n for n in range(len(self.all.bars)) if not 0 <= bar * n - self.start < self.choruses.end}
        solo = [(e.onset, e.end) for e in notes_of(line)]
        notes = accompany(self.all, rng, instruments, solo, tempo, in_head if self.head else ())
        if not self.each:
            return notes
        ends = ((n, self.end_in(n.onset, n.onset + n.duration)) for n in notes)
        kept = [n._replace(duration=end - n.onset) for n, end in ends if end > n.onset]
        solos = [n for bars in self.trades for n in trade(self.all, rng, bars, tempo)]
        return [*kept, *solos] if "drums" in instruments else kept


def _later(melody: Sequence[Element], by: Fraction) -> list[Element]:
    return [replace(element, onset=element.onset + by) for element in melody]
