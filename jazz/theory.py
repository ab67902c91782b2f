"""Pitches, intervals, chords and scales: all that the program asks of music21, and the one module that knows it.

music21's classes are slow, so every answer is kept. Pitches are
MIDI numbers; names are music21's, with `-` for a flat, and a pitch has one name: C C# D E- E F F# G G# A B- B.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import NamedTuple

from music21 import chord, clef, duration, expressions, interval, metadata, meter, note, pitch, scale, stream, tie
from music21.harmony import ChordSymbol, NoChord
from music21.layout import SystemLayout
from music21.musicxml.m21ToXml import GeneralObjectExporter
from music21.tempo import MetronomeMark

from numpyrnn import NumpyrnnError

from .changes import LETTERS, SYMBOL, Changes, Chord
from .element import Element

TONICS = "C4 C#4 D-4 D4 D#4 E-4 E4 F4 F#4 G4 G#4 A4 B-4 B4 C-4"  # those that music21 tries


@dataclass(frozen=True)
class Harmony:
    """What the grammar asks of a chord.

    Attributes
    ----------
    quality : "major", "minor", "augmented", "diminished" or "other"
    chord, scale : frozensets of pitch classes that are chord tones and scale tones, by name: a scale tone that is
        spelled otherwise than a MIDI pitch (C- for B) is none
    approach : frozenset of pitch classes a semitone from a chord tone
    """

    quality: str
    chord: frozenset[int]
    scale: frozenset[int]
    approach: frozenset[int]

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The type of each pitch class over this chord: C chord tone, S scale tone, A approach tone, X other."""
        kinds = {"C": self.chord, "S": self.scale, "A": self.approach}
        return tuple(next((kind for kind, tones in kinds.items() if pc in tones), "X") for pc in range(12))


@lru_cache(None)
def name_of(midi: int) -> str:
    """Name without octave, as MIDI pitches are spelled here."""
    return str(pitch.Pitch(midi=midi % 12).name)


@lru_cache(None)
def harmony(pitches: tuple[int, ...]) -> Harmony:
    """Quality, chord tones, scale and approach tones of a chord.

    The scale is major where the chord's quality is, otherwise Dorian; of all tonics the one whose scale has most of the
    chord's pitches (the one that music21's slow `derive` finds), which is not the chord's root: over C it is G major,
    over G7 C major.

    Parameters
    ----------
    pitches : tuple of MIDI numbers, not empty

    Returns
    -------
    Harmony
    """
    quality = str(chord.Chord([pitch.Pitch(midi=midi) for midi in sorted(pitches)]).quality)
    tones = frozenset(midi % 12 for midi in pitches)
    names = scale_names(tones, quality == "major")
    return Harmony(
        quality=quality,
        chord=tones,
        scale=frozenset(midi for midi in range(12) if name_of(midi) in names),
        approach=frozenset((tone + step) % 12 for tone in tones for step in (-1, 1)),
    )


@lru_cache(None)
def scale_names(tones: frozenset[int], major: bool) -> frozenset[str]:
    """The names of the major or Dorian scale that has most of the pitch classes; see `harmony`."""
    return max(scales(major), key=lambda named: len(tones & named[0]))[1]


@lru_cache(None)
def scales(major: bool) -> list[tuple[frozenset[int], frozenset[str]]]:
    """Pitch classes and names of each major or Dorian scale, the highest tonic first."""
    kind = scale.MajorScale if major else scale.DorianScale
    tonics = sorted(enumerate(TONICS.split()), key=lambda tonic: (pitch.Pitch(tonic[1]).ps, tonic[0]), reverse=True)
    pitches = [kind(tonic).getPitches() for _, tonic in tonics]
    return [(frozenset(p.pitchClass for p in of_one), frozenset(p.name for p in of_one)) for of_one in pitches]


@lru_cache(None)
def interval_range(previous: int, midi: int) -> tuple[str, str]:
    """The interval from one pitch to the next, plus and minus a minor third, as directed diatonic names.

    Parameters
    ----------
    previous, midi : MIDI numbers

    Returns
    -------
    upper, lower : str, such as ("P4", "m-2")
    """
    step = interval.Interval(pitch.Pitch(midi=previous), pitch.Pitch(midi=midi))
    return str(interval.add([step, "m3"]).directedName), str(interval.subtract([step, "m3"]).directedName)


@lru_cache(None)
def semitones(name: str) -> int:
    """Semitones of a directed interval name; negative downwards."""
    return int(interval.Interval(name).semitones)


# -------------------------------------------------------------------------------------------------------- lead sheets

# What a chord is made of, in semitones over the root, and music21's name for it. MusicXML knows hardly more kinds; a
# chord's kind is that of its longest beginning found here, and what is printed is what was written.
KINDS = {
    (0, 7): "power", (0, 5, 7): "suspended-fourth", (0, 2, 7): "suspended-second",
    (0, 4, 7): "major", (0, 3, 7): "minor", (0, 3, 6): "diminished", (0, 4, 8): "augmented",
    (0, 4, 7, 9): "major-sixth", (0, 3, 7, 9): "minor-sixth", (0, 3, 6, 9): "diminished-seventh",
    (0, 4, 7, 11): "major-seventh", (0, 4, 7, 11, 2): "major-ninth", (0, 4, 7, 11, 2, 9): "major-13th",
    (0, 3, 7, 10): "minor-seventh", (0, 3, 7, 10, 2): "minor-ninth", (0, 3, 7, 10, 2, 9): "minor-13th",
    (0, 3, 7, 10, 2, 5): "minor-11th", (0, 3, 7, 11): "minor-major-seventh", (0, 3, 6, 10): "half-diminished-seventh",
    (0, 4, 7, 10): "dominant-seventh", (0, 4, 7, 10, 2): "dominant-ninth", (0, 4, 7, 10, 2, 9): "dominant-13th",
    (0, 4, 6, 10): "dominant-seventh", (0, 4, 8, 10): "augmented-seventh",
}  # fmt: skip
STEPS = (0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6)  # letters over the root's letter, by semitones over the root
BLACK = {"#": {1: "C#", 3: "D#", 6: "F#", 8: "G#", 10: "A#"}, "-": {1: "D-", 3: "E-", 6: "G-", 8: "A-", 10: "B-"}}
PLAIN = [Fraction(sixteenths, 4) for sixteenths in (32, 24, 16, 12, 8, 6, 4, 3, 2, 1)]  # values with at most one dot
GRID = 12  # parts of a quarter
TRIPLET = {8: ("quarter", 0), 6: ("eighth", 1), 4: ("eighth", 0), 3: ("16th", 1), 2: ("16th", 0), 1: ("32nd", 0)}
BARS_A_LINE = 4
UNWANTED = re.compile(rb"\s*<(encoding-date|software|creator|movement-title|inversion)\b[^>]*>[^<]*</\1>")


class Span(NamedTuple):
    """A note or rest, or what of it lies in one bar.

    Attributes
    ----------
    start, end : Fraction, quarters from the beginning of the bar
    names : tuple of str, pitches such as "E-4"; none is a rest
    before, after : bool, whether it is tied to the bar before, after
    """

    start: Fraction
    end: Fraction
    names: tuple[str, ...]
    before: bool = False
    after: bool = False


def lead_sheet(title: str, melody: Sequence[Element], changes: Changes, tempo: int) -> bytes:
    """A melody with the chord symbols above it as MusicXML, the same bytes for the same music.

    A pitch is spelled as its chord has it, otherwise by the chord's sign; there is no key signature.

    Parameters
    ----------
    title : str
    melody : sequence of Element, notes and rests in twelfths of a quarter, without a gap from the beginning of the form
        to its end
    changes : Changes
    tempo : int, quarters a minute

    Returns
    -------
    bytes, UTF-8

    Raises
    ------
    NumpyrnnError
        if the melody has a gap, is longer or shorter than the form, or leaves the twelfths
    """
    part = stream.Part([_measure(i, spans, changes) for i, spans in enumerate(_by_bar(melody, changes))])
    measures = list(part.getElementsByClass(stream.Measure))
    measures[0].insert(0, clef.bestClef(part, recurse=True))
    measures[0].insert(0, MetronomeMark(number=tempo, referent=1))
    if changes.feel == "swing":
        words = expressions.TextExpression("Swing")
        words.placement = "above"
        measures[0].insert(0, words)
    measures[-1].rightBarline = "final"
    part.makeAccidentals(inPlace=True)
    part.makeBeams(inPlace=True)
    for measure, bar in zip(measures, changes.bars, strict=True):  # now, as music21 takes them for notes
        for onset, symbol in bar:
            measure.insert(onset, chord_symbol(symbol))
    score = stream.Score([part])
    score.metadata = metadata.Metadata(title="".join(letter for letter in title if letter.isprintable()))
    exporter = GeneralObjectExporter(score)
    exporter.makeNotation = False  # it is made, and remaking it takes long
    xml = UNWANTED.sub(b"", exporter.parse())
    name = re.search(rb'<part id="(\w+)"', xml)
    return xml.replace(name[1], b"P1") if name else xml  # music21 draws the name


def _measure(number: int, spans: Sequence[Span], changes: Changes) -> stream.Measure:
    """A bar of notes and rests; `number` from 0."""
    measure = stream.Measure(number=number + 1)
    if number == 0:
        measure.insert(0, meter.TimeSignature("{}/{}".format(*changes.meter)))
    elif number % BARS_A_LINE == 0:
        measure.insert(0, SystemLayout(isNew=True))
    for onset, element in _notes(spans, changes):
        measure.insert(onset, element)
    return measure


def chord_symbol(symbol: Chord) -> ChordSymbol:
    """A chord symbol that prints as it was written."""
    match = _letters(symbol)
    if match is None:
        return NoChord("N.C.")
    letter, accidental, quality, bass, bass_accidental = match
    tones = tuple((tone - symbol.tones[0]) % 12 for tone in symbol.tones)
    kind = next(KINDS[tones[:n]] for n in range(len(tones), 1, -1) if tones[:n] in KINDS)
    slash = bass + bass_accidental if bass else None
    return ChordSymbol(root=letter + accidental, bass=slash, kind=kind, kindStr=quality)


@lru_cache(None)
def spelling(symbol: Chord) -> dict[int, str]:
    """The name of each pitch class over a chord.

    Chord tones and the bass have the letters that the symbol implies, unless that takes two accidentals; other pitches
    have the root's accidental, or else the one that more of the chord tones have, or else the usual one.

    Parameters
    ----------
    symbol : Chord

    Returns
    -------
    dict of pitch class to a name such as "E-"
    """
    match = _letters(symbol)
    if match is None:
        return {tone: name_of(tone) for tone in range(12)}
    letter, accidental, quality, bass, bass_accidental = match
    names = {}
    for tone in symbol.tones:
        step = _step((tone - symbol.tones[0]) % 12, symbol, quality)
        other = "CDEFGAB"[("CDEFGAB".index(letter) + step) % 7]
        alter = (tone - LETTERS[other] + 6) % 12 - 6
        if abs(alter) <= 1:
            names[tone] = other + ("", "#", "-")[alter]
    if bass and len(bass_accidental) < 2 and symbol.bass is not None:
        names.setdefault(symbol.bass, bass + bass_accidental)
    sharps, flats = (sum(sign in name for name in names.values()) for sign in "#-")
    sign = accidental[:1] or ("#" if sharps > flats else "-" if flats > sharps else "")
    return {tone: name_of(tone) for tone in range(12)} | BLACK.get(sign, {}) | names


def _letters(symbol: Chord) -> tuple[str, str, str, str, str] | None:
    """Root, its accidental, quality, bass and its accidental as music21 writes them; None for N.C."""
    match = SYMBOL.fullmatch(symbol.symbol.replace("\u266d", "b").replace("\u266f", "#"))
    if symbol.root is None or match is None:
        return None
    letter, accidental, quality, bass, bass_accidental = (group or "" for group in match.groups())
    return letter, accidental.replace("b", "-"), quality, bass, bass_accidental.replace("b", "-")


def _step(above: int, symbol: Chord, quality: str) -> int:
    """How many letters over the root a chord tone is written that sounds `above` semitones over it."""
    tones = {(tone - symbol.tones[0]) % 12 for tone in symbol.tones}
    if tones == {0, 3, 6, 9} and above == 9:
        return 6  # diminished seventh
    raised = (above == 3 and 4 in tones) or (above == 6 and 7 in tones) or (above == 8 and 7 not in tones)
    if raised and "alt" not in quality and not (above == 8 and "b13" in quality):
        return STEPS[above - 1]  # #9, #11, #5
    return STEPS[above]


def _by_bar(melody: Sequence[Element], changes: Changes) -> list[list[Span]]:
    """The notes and rests of each bar, cut at the bar lines; rests that follow each other become one."""
    bars: list[list[Span]] = [[] for _ in changes.bars]
    flat, now = changes.flat(), Fraction(0)
    for element in melody:
        if element.onset != now or element.duration <= 0 or element.duration * GRID % 1:
            come = f"{element.onset} for {element.duration}"
            raise NumpyrnnError(f"the melody must go on at quarter {now} in twelfths of a quarter, got {come}")
        sounding = flat[max(bisect_right(flat, now, key=itemgetter(0)) - 1, 0)][1]
        names = tuple(_name(midi, sounding) for midi in element.pitches)
        while now < element.end and now < changes.bar * len(bars):
            number = now // changes.bar
            start, end = number * changes.bar, min(element.end, (number + 1) * changes.bar)
            spans, tied = bars[number], bool(names)
            span = Span(now - start, end - start, names, tied and now > element.onset, tied and end < element.end)
            if spans and not names and not spans[-1].names:
                span = spans.pop()._replace(end=span.end)
            spans.append(span)
            now = end
        now = element.end
    if now != changes.bar * len(bars):
        raise NumpyrnnError(f"the melody must last {changes.bar * len(bars)} quarters as the form does, got {now}")
    return bars


def _name(midi: int, symbol: Chord) -> str:
    """A pitch with its octave: the C flat below middle C is C-4."""
    name = spelling(symbol)[midi % 12]
    natural = midi - name.count("#") + name.count("-")
    return f"{name}{natural // 12 - 1}"


def _notes(spans: Sequence[Span], changes: Changes) -> Iterator[tuple[Fraction, note.GeneralNote]]:
    """The written notes and rests of a bar with their onsets in it."""
    if len(spans) == 1 and not spans[0].names:
        rest = note.Rest(quarterLength=changes.bar)
        rest.fullMeasure = True
        yield Fraction(0), rest
        return
    places = {place for span in spans for place in (span.start, span.end)}
    triplets = {place // 1 for place in places if place * 4 % 1}  # beats that sixteenths do not divide
    for span in spans:
        pieces, now = [], span.start
        while now < span.end:
            end = _next(now, span, triplets, changes)
            pieces.append((now, end))
            now = end
        for start, end in pieces:
            length = duration.Duration(end - start)
            if start // 1 in triplets:
                kind, dots = TRIPLET[int((end - start) * GRID)]
                tuplet = duration.Tuplet(3, 2, "eighth")
                edge = min(start // 1 + 1, changes.bar)
                tuplet.type = "start" if start % 1 == 0 else "stop" if end == edge else None
                length = duration.Duration(type=kind, dots=dots)
                length.appendTuplet(tuplet)
            before, after = span.before or start > span.start, span.after or end < span.end
            yield start, _written(span.names, length, before, after)


def _written(names: Sequence[str], length: duration.Duration, before: bool, after: bool) -> note.GeneralNote:
    """A rest, a note, or a chord, tied to what comes before and after."""
    if not names:
        return note.Rest(duration=length)
    made = note.Note(names[0], duration=length) if len(names) == 1 else chord.Chord(names, duration=length)
    if before or after:
        made.tie = tie.Tie("continue" if before and after else "stop" if before else "start")
    return made


def _next(start: Fraction, span: Span, triplets: set[int], changes: Changes) -> Fraction:
    """Where the piece of a note that starts at `start` must end, for a plain value and a beat that can be seen."""
    if start // 1 in triplets:
        room = (min(span.end, start // 1 + Fraction(1)) - start) * GRID
        return start + Fraction(max(size for size in TRIPLET if size <= room), GRID)
    end = min([Fraction(beat) for beat in triplets if start < beat < span.end], default=span.end)
    compound = changes.meter[0] % 3 == 0 and changes.meter[1] >= 8
    beat = Fraction(12, changes.meter[1]) if compound else Fraction(1)
    group = beat if compound else Fraction(2) if changes.bar % 2 == 0 else changes.bar  # half a bar of 4/4
    grain = Fraction(1, 2) if span.names else beat  # notes may be syncopated by an eighth, rests not

    def fits(stop: Fraction) -> bool:
        if start // group < -(-stop // group) - 1:  # a group begins within
            return start % group == 0 and stop % beat == 0
        if start // 1 == -(-stop // 1) - 1:
            return True
        return start % grain == stop % grain == 0 and (stop - start <= beat * 3 / 2 or start % beat == 0)

    stops = [start + value for value in PLAIN if start + value <= end]
    order = [stop for unit in (beat, Fraction(1, 4)) for stop in stops if stop == end or stop % unit == 0]
    return next(stop for stop in order if fits(stop))
