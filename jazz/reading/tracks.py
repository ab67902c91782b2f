"""MIDI files to tunes: find the melody and the chords, and say why they were chosen."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import NamedTuple

from music.midi import DRUMS, Midi, Note
from numpyrnn import NumpyrnnError
from workbench.terminal import counted

from ..charts.chart import Change
from ..grammar import Element, gather, on_grid
from ..tunes import Bar, Tune, chord_elements, line, make_bars
from .estimate import estimate_chords
from .written import marks_of, written

MELODY_WORDS = ("melody", "melodie", "solo", "lead", "vocal", "vocals", "voice")
INSTRUMENT_WORDS = ("piano", "keys", "keyboard", "organ", "rhodes", "strings")
CHORD_WORDS = ("chords", "chord", "comp", "comping", "accompaniment", "harmony", "pad", *INSTRUMENT_WORDS)
BASS_WORDS = ("bass", "contrabass")
DRUM_WORDS = ("drum", "drums", "percussion", "kit")
MELODY_PROGRAMS = {*range(8, 16), *range(22, 32), *range(40, 43), *range(52, 55), *range(56, 80), *range(80, 88)}
CHORD_PROGRAMS = {*range(8), *range(16, 24), *range(24, 28), *range(48, 52), *range(88, 96)}
BASS_PROGRAMS = {*range(32, 40), 43}
MAX_BARS = 50_000  # a 2/4 time in the longest file
MAX_NOTES = 60_000  # an hour of 16 notes a second
MOST_NAMED = 20  # parts that an error lists
RULED_OUT = -100.0  # points
NO_CHORDS = "it has no chords in these bars; they are estimated"
SILENT_BARS = 2  # the longest silence within a tune that is kept, in bars


@dataclass(frozen=True)
class Part:
    """The notes of one channel in one track.

    Attributes
    ----------
    number : int, from 1, counting the parts with notes
    name : str, the track's name
    program : int, of the first note
    drums : bool
    notes : list of Note
    """

    number: int
    name: str
    program: int
    drums: bool
    notes: list[Note]

    @cached_property
    def pitch(self) -> float:
        """The mean pitch."""
        return sum(note.pitch for note in self.notes) / len(self.notes)

    @cached_property
    def polyphony(self) -> float:
        """The share of notes that begin together with another note."""
        together = Counter(round(note.onset * 8) for note in self.notes)
        return sum(count for count in together.values() if count > 1) / len(self.notes)

    @property
    def elements(self) -> list[Element]:
        """The notes on the grid; notes that begin and end together are one element."""
        return on_grid(gather([note[:3] for note in self.notes]))

    def bars_played(self, bars: Sequence[tuple[Fraction, Fraction]]) -> int:
        """Count the bars in which a note begins."""
        played, end = 0, Fraction(0)
        for note in self.notes:
            if note.onset >= end:
                start, length = bars[bisect_right(bars, note.onset, key=itemgetter(0)) - 1]
                played, end = played + 1, start + length
        return played

    @property
    def is_bass(self) -> bool:
        """Whether it is a bass, by its name or instrument."""
        return self.says(BASS_WORDS) or self.program in BASS_PROGRAMS

    def says(self, words: Sequence[str]) -> bool:
        """Whether the name has one of the words."""
        return any(re.search(rf"(?<![a-z]){word}(?![a-z])", self.name.lower()) for word in words)

    def __str__(self) -> str:
        return f"{self.number} {self.name!r:.80}" if self.name else str(self.number)


class Score(NamedTuple):
    """How much a part looks like a melody, or like chords: its points, and the reason for each."""

    points: float
    why: list[str]


@dataclass(frozen=True)
class Choice:
    """The parts of a file that are chosen as melody and chords.

    Attributes
    ----------
    melody : Part
    chords : Part, or None if the chords are to be estimated from the other parts
    as_melody, as_chords : dicts from the number of each part to its Score
    symbols : list of (onset, Chord), chord symbols in the file's markers, which count more than any part
    """

    melody: Part
    chords: Part | None
    as_melody: dict[int, Score] = field(default_factory=dict)
    as_chords: dict[int, Score] = field(default_factory=dict)
    symbols: list[Change] = field(default_factory=list)


def parts_of(midi: Midi) -> list[Part]:
    """List the parts of a file that have notes: one for each channel of each track, in this order."""
    groups: dict[tuple[int, int], list[Note]] = {}
    for note in midi.notes:
        groups.setdefault((note.track, note.channel), []).append(note)
    return [
        Part(number, midi.names[track], notes[0].program, channel == DRUMS, notes)
        for number, ((track, channel), notes) in enumerate(sorted(groups.items()), 1)
    ]


def bars_of(midi: Midi) -> list[tuple[Fraction, Fraction]]:
    """List the bars of a file under its meters; a change of meter within a bar cuts it short.

    Parameters
    ----------
    midi : Midi

    Returns
    -------
    list of (onset, length), quarters

    Raises
    ------
    NumpyrnnError
        if there are more than `MAX_BARS`, or more than `MAX_NOTES` notes
    """
    if len(midi.notes) > MAX_NOTES:
        raise NumpyrnnError(f"a file must have at most {MAX_NOTES} notes to be read as jazz, it has {len(midi.notes)}")
    shortest = Fraction(1, 64)
    end = max((note.onset + max(note.duration, shortest) for note in midi.notes), default=Fraction(0))
    bars: list[tuple[Fraction, Fraction]] = []
    now = Fraction(0)
    for (_, beats, unit), following in zip_longest(midi.meters, midi.meters[1:]):
        length = Fraction(4 * beats, unit)
        until = following[0] if following else end
        if len(bars) + (until - now) / length > MAX_BARS:
            found = f"its bars of {beats}/{unit} last {float(until - now):g} quarters"
            raise NumpyrnnError(f"a file must have at most {MAX_BARS} bars, it has more: {found}")
        while now < until:
            bars.append((now, min(length, until - now) if following else length))
            now += bars[-1][1]
    return bars


def melody_score(part: Part, n_bars: int, played: int) -> Score:
    """Score how much a part looks like a melody."""
    per_bar = len(part.notes) / max(1, played)
    points = [
        (2.0 * (1 - part.polyphony), f"{1 - part.polyphony:.0%} of its notes sound alone"),
        (1.0 - abs(part.pitch - 70) / 12, f"its mean pitch is {part.pitch:.0f}"),
        (1.0 if 3 <= per_bar <= 16 else 0.0, f"{per_bar:.1f} notes a bar where it plays"),
        (1.5 * played / n_bars, f"it plays in {played} of {n_bars} bars"),
        (2.0 * part.says(MELODY_WORDS), "its name says melody"),
        (-1.0 * part.says(CHORD_WORDS), "its name says chords"),
        (-4.0 * part.is_bass, "it is a bass"),
        (0.5 * (part.program in MELODY_PROGRAMS), "its instrument often has the melody"),
        (-2.0 * (len(part.notes) < 16), "it has few notes"),
    ]
    return _score(part, "a melody", points)


def chord_score(part: Part, n_bars: int, played: int) -> Score:
    """Score how much a part looks like an accompaniment in chords."""
    points = [
        (4.0 * part.polyphony - 2.0, f"{part.polyphony:.0%} of its notes sound together with others"),
        (1.5 * played / n_bars, f"it plays in {played} of {n_bars} bars"),
        (1.0 - abs(part.pitch - 58) / 12, f"its mean pitch is {part.pitch:.0f}"),
        (2.0 * part.says(CHORD_WORDS), "its name says chords"),
        (-1.0 * part.says(MELODY_WORDS), "its name says melody"),
        (-4.0 * part.is_bass, "it is a bass"),
        (0.5 * (part.program in CHORD_PROGRAMS), "its instrument often has chords"),
    ]
    return _score(part, "chords", points)


def _score(part: Part, what: str, points: Sequence[tuple[float, str]]) -> Score:
    """Add up points, each with its reason; drums are ruled out."""
    if part.drums or part.says(DRUM_WORDS):
        return Score(RULED_OUT, [f"drums are never {what}"])
    return Score(sum(p for p, _ in points), [f"{p:+.1f} {why}" for p, why in points if p])


def named(parts: Sequence[Part], wanted: str, what: str) -> Part:
    """Find a part by its number, its name or a part of its name.

    Parameters
    ----------
    parts : list of Part
    wanted : str, number or name
    what : str, the option's name in errors

    Returns
    -------
    Part

    Raises
    ------
    NumpyrnnError
        unless exactly one part fits, and it is not drums
    """
    found = [part for part in parts if wanted == str(part.number)]
    found = found or [part for part in parts if wanted.lower() == part.name.lower()]
    found = found or [part for part in parts if wanted and wanted.lower() in part.name.lower()]
    if len(found) == 1 and found[0].drums:
        raise NumpyrnnError(f"{what} must name a part with pitches, {found[0]} is drums")
    if len(found) != 1:
        known = ", ".join([*map(str, parts[:MOST_NAMED]), *["..."][: len(parts) - MOST_NAMED]])
        several = f", which fits {' and '.join(map(str, found[:MOST_NAMED]))}" if found else ""
        raise NumpyrnnError(f"{what} must name one of the parts {known}; got {wanted!r:.80}{several}")
    return found[0]


def own_part(midi: Midi) -> str | None:
    """The number of the part "Solo", as `jazz` writes it; None if there is none or several."""
    own = [str(part.number) for part in parts_of(midi) if part.name == "Solo"]
    return own[0] if len(own) == 1 else None


def choose(midi: Midi, melody: str | None = None, chords: str | None = None) -> Choice:
    """Find the melody and the chords of a file.

    Parameters
    ----------
    midi : Midi
    melody, chords : str, optional, numbers or names of two different parts
        By default they are found by register, density, polyphony, names and instruments, and chord symbols in the
        file's markers come before any part. Drums are never chosen.

    Returns
    -------
    Choice

    Raises
    ------
    NumpyrnnError
        if no part looks like a melody, `melody` or `chords` does not name exactly one part, or both name the same
    """
    parts, bars = parts_of(midi), bars_of(midi)
    if all(part.drums for part in parts):
        raise NumpyrnnError(f"a file must have {'a melody, it has no notes but drums' if parts else 'notes'}")
    played = {part.number: part.bars_played(bars) for part in parts}
    as_melody = {part.number: melody_score(part, len(bars), played[part.number]) for part in parts}
    as_chords = {part.number: chord_score(part, len(bars), played[part.number]) for part in parts}
    chosen = None if melody is None else named(parts, melody, "--melody")
    accompaniment = None if chords is None else named(parts, chords, "--chords")
    if chosen is None:
        others = [part for part in parts if not part.drums and part is not accompaniment]
        if not others:
            raise NumpyrnnError(f"a file must have a melody and chords, its only part is that of --chords {chords}")
        chosen = max(others, key=lambda part: as_melody[part.number].points)
        if as_melody[chosen.number].points < 1:
            raise NumpyrnnError("a file must have a melody, no part looks like one; --melody names it")
    if chosen is accompaniment:
        words = f"got --melody {melody} and --chords {chords}, which are both {chosen}"
        raise NumpyrnnError(f"--melody and --chords must name two parts, {words}")
    if chords is None:
        likely = [part for part in parts if as_chords[part.number].points >= 2 and part.polyphony >= 0.5]
        likely = [part for part in likely if part is not chosen]
        accompaniment = max(likely, key=lambda part: as_chords[part.number].points, default=None)
    symbols = marks_of(midi).chords if chords is None else []
    if not any(chord.tones for _, chord in symbols):
        symbols = []
    return Choice(chosen, accompaniment, as_melody, as_chords, symbols)


def tune_of_midi(
    midi: Midi, choice: Choice, name: str, from_bar: int | None = None, to_bar: int | None = None
) -> tuple[Tune, list[str]]:
    """Convert the chosen parts of a MIDI file to a tune.

    Parameters
    ----------
    midi : Midi
    choice : Choice
    name : str, the tune's name
    from_bar, to_bar : int, optional, the first and the last bar, counted from 1

    Returns
    -------
    tune : Tune
    left_out : list of str, what is left out and why

    Raises
    ------
    NumpyrnnError
        if the file does not have these bars, or they have no melody
    """
    bars, left_out = bars_of(midi), []
    first = 1 if from_bar is None else from_bar
    last = len(bars) if to_bar is None else min(to_bar, len(bars))
    if not 1 <= first <= last:
        given = [f"--{name} {bar}" for name, bar in (("from-bar", from_bar), ("to-bar", to_bar)) if bar is not None]
        raise NumpyrnnError(
            f"--from-bar and --to-bar must lie in 1 to {len(bars)}, in this order; got {' and '.join(given)}"
        )
    bars = bars[first - 1 : last]
    start, end = bars[0][0], bars[-1][0] + bars[-1][1]
    melody = [e for e in line(written(choice.melody.notes)) if start <= e.onset < end]
    if not melody:
        raise NumpyrnnError(f"the melody must have notes in bars {first} to {last}, it has none")
    doubled = sum(start <= n.onset < end for n in choice.melody.notes) - len(melody)
    if doubled > 0:
        verb = "sounds" if doubled == 1 else "sound"
        left_out.append(f"{counted(doubled, 'note')} of the melody that {verb} below another, or too near to it")
    chords = chord_elements(choice.symbols) if choice.symbols else []
    if choice.chords and not chords:
        chords = [element for element in choice.chords.elements if len(set(element.pitches)) > 1]
        if not any(start <= chord.onset < end for chord in chords):
            left_out.append(f"part {choice.chords}: {NO_CHORDS}")
    if not choice.symbols and not any(start <= chord.onset < end for chord in chords):
        of_melody = set(choice.melody.notes)
        others = [n for n in midi.notes if n.channel != DRUMS and n not in of_melody]
        chords = estimate_chords(others, bars) or estimate_chords(choice.melody.notes, bars)
    before = [chord for chord in chords if chord.onset < start][-1:]
    inside = [chord for chord in chords if start <= chord.onset < end]
    kept, silent = without_silence(make_bars(melody, [*before, *inside] or chords[:1], bars))
    left_out += [
        f"{count} {'bar' if count == 1 else 'bars'} without a melody from bar {place + first}"
        for place, count in silent
    ]
    return Tune(name, kept), left_out


def without_silence(bars: Sequence[Bar]) -> tuple[tuple[Bar, ...], list[tuple[int, int]]]:
    """Leave out silent bars at the beginning, at the end, and where more than two follow each other.

    Parameters
    ----------
    bars : list of Bar

    Returns
    -------
    kept : tuple of Bar
    left_out : list of (index of the first silent bar, number of bars)
    """
    kept: list[Bar] = []
    left_out = []

    def is_silent(bar: Bar) -> bool:
        """Whether no note begins in the bar, or is held into it."""
        held = not bar.melody or bar.melody[0].onset > bar.onset
        return not held and not any(element.pitches for element in bar.melody)

    first = 0
    for silent, group in groupby(bars, is_silent):
        run = list(group)
        if silent and (len(run) > SILENT_BARS or first == 0 or first + len(run) == len(bars)):
            left_out.append((first, len(run)))
        else:
            kept += run
        first += len(run)
    return tuple(kept), left_out
