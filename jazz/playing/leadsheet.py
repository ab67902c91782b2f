"""The lead sheet: a melody with its chord symbols as MusicXML. The notes are written with music21.

music21 takes long to import, so this module is imported only when a lead sheet is made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from music21 import chord, clef, duration, instrument, note, stream, tie
from music21.key import KeySignature
from music21.meter import TimeSignature
from music21.musicxml.m21ToXml import ScoreExporter

from numpyrnn import NumpyrnnError

from ..changes import Changes
from ..charts.chart import Chart, Measure, fifths
from ..charts.key import estimate_key, scale_names
from ..charts.sheet import Staff, score
from ..chords import LETTERS, Chord
from ..grammar import NAMES, Element

BLACK = {"#": {1: "C#", 3: "D#", 6: "F#", 8: "G#", 10: "A#"}, "-": {1: "D-", 3: "E-", 6: "G-", 8: "A-", 10: "B-"}}
PLAIN = [Fraction(sixteenths, 4) for sixteenths in (32, 24, 16, 12, 8, 6, 4, 3, 2, 1)]  # written with at most one dot
GRID = 12  # places in a quarter
TRIPLET = {8: ("quarter", 0), 6: ("eighth", 1), 4: ("eighth", 0), 3: ("16th", 1), 2: ("16th", 0), 1: ("32nd", 0)}
VAGUE = ("Sampler", "StringInstrument")  # music21's names of programs for which it has no instrument


class Span(NamedTuple):
    """A note or rest, or its part within one bar.

    Attributes
    ----------
    start, end : Fraction, quarters from the beginning of the bar
    names : tuple of str, pitches such as "E-4"; a rest has none
    before, after : bool, whether it is tied to the previous or the next bar
    """

    start: Fraction
    end: Fraction
    names: tuple[str, ...]
    before: bool = False
    after: bool = False


def lead_sheet(title: str, melody: Sequence[Element], changes: Changes, tempo: int, program: int = 66) -> bytes:
    """Write a melody with chord symbols as MusicXML; the same music gives the same bytes.

    Parameters
    ----------
    title : str
    melody : sequence of Element, notes and rests in twelfths of a quarter, which fill the form without gaps
    changes : Changes; without a key, the signature is that of the estimated one
    tempo : int, quarters a minute
    program : int, default 66 (tenor saxophone), General MIDI program of the melody, from 0; its name is the part's

    Returns
    -------
    bytes, UTF-8

    Raises
    ------
    NumpyrnnError
        if the melody has a gap or times off the grid of twelfths, or is not as long as the form
    """
    changes = replace(changes, key=changes.key or estimate_key(changes))
    measures = []
    for spans in _by_bar(melody, changes):
        measures.append(stream.Measure())
        for onset, element in _notes(spans, changes):
            measures[-1].insert(onset, element)
    measures[0].insert(0, TimeSignature("{}/{}".format(*changes.meter)))
    measures[0].insert(0, KeySignature(fifths(changes.key)))
    part = stream.Part(measures)
    best = clef.bestClef(part, recurse=True)
    part.makeAccidentals(inPlace=True)
    part.makeBeams(inPlace=True)
    exporter = ScoreExporter(stream.Score([part]), makeNotation=False)  # made above; a second time would be slow
    notes = [measure.findall("note") for measure in exporter.parse().iter("measure")]
    name = instrument.instrumentFromMidiProgram(program).instrumentName
    staff = Staff(notes, (best.sign, best.line, best.octaveChange), "Solo" if name in VAGUE else name, program)
    return score(_chart(title, changes, tempo), staff)


def _chart(title: str, changes: Changes, tempo: int) -> Chart:
    """The changes as a chart, bar by bar as they are played."""
    sections = changes.sections or ("",) * len(changes.bars)
    doubles = changes.doubles or (False,) * len(changes.bars)
    measures = [
        Measure(bar, section, double=double)
        for bar, section, double in zip(changes.bars, sections, doubles, strict=True)
    ]
    return Chart(measures, changes.meter, title, changes.composer, changes.key, tempo, changes.feel)


@lru_cache(None)
def spelling(symbol: Chord, key: str = "") -> dict[int, str]:
    """The name of each pitch class over a chord.

    Chord tones and the bass have the letters that the symbol implies, unless they would need two accidentals. Other
    tones of the key are named as its signature says. Other black keys have the accidental of the root, or else that of
    most chord tones, or else the usual one.

    Parameters
    ----------
    symbol : Chord
    key : str, optional, such as "Bb" or "F#m"

    Returns
    -------
    dict of pitch class to a name such as "E-"
    """
    in_key = {tone: _flats(name) for tone, name in scale_names(key).items()} if key else {}
    if symbol.root is None:
        return dict(enumerate(NAMES)) | in_key
    root, quality, bass = map(_flats, symbol.parts)
    names = {}
    for tone, degree in zip(symbol.tones, symbol.degrees, strict=True):
        if "alt" in quality.lower():
            degree = {3: 3, 8: 13}.get((tone - symbol.root) % 12, degree)  # the altered scale: b9, b10, b5, b13
        letter = "CDEFGAB"[("CDEFGAB".index(root[0]) + degree - 1) % 7]
        alter = (tone - LETTERS[letter] + 6) % 12 - 6
        if abs(alter) <= 1:
            names[tone] = letter + ("", "#", "-")[alter]
    if bass and len(bass) < 3 and symbol.bass is not None:
        names.setdefault(symbol.bass, bass)
    sharps, flats = (sum(sign in name for name in names.values()) for sign in "#-")
    sign = root[1:2] or ("#" if sharps > flats else "-" if flats > sharps else "")
    return dict(enumerate(NAMES)) | BLACK.get(sign, {}) | in_key | names


def _flats(name: str) -> str:
    """A note name with music21's sign for flats."""
    return name.replace("b", "-")


def _by_bar(melody: Sequence[Element], changes: Changes) -> list[list[Span]]:
    """The notes and rests of each bar, cut at the bar lines; successive rests are joined."""
    bars: list[list[Span]] = [[] for _ in changes.bars]
    flat, now = changes.flat(), Fraction(0)
    for element in melody:
        if element.onset != now or element.duration <= 0 or element.duration * GRID % 1:
            got = f"{element.onset} for {element.duration}"
            raise NumpyrnnError(f"the melody must continue at quarter {now} in twelfths of a quarter, got {got}")
        sounding = flat[max(bisect_right(flat, now, key=itemgetter(0)) - 1, 0)][1]
        names = tuple(_name(midi, sounding, changes.key) for midi in element.pitches)
        while now < min(element.end, changes.end):
            number = now // changes.bar
            start, end = number * changes.bar, min(element.end, (number + 1) * changes.bar)
            spans, tied = bars[number], bool(names)
            span = Span(now - start, end - start, names, tied and now > element.onset, tied and end < element.end)
            if spans and not names and not spans[-1].names:
                span = spans.pop()._replace(end=span.end)
            spans.append(span)
            now = end
        now = element.end
    if now != changes.end:
        raise NumpyrnnError(f"the melody must last {changes.end} quarters as the form does, got {now}")
    return bars


def _name(midi: int, symbol: Chord, key: str) -> str:
    """A pitch with its octave: the C flat below middle C is C-4."""
    name = spelling(symbol, key)[midi % 12]
    natural = midi - name.count("#") + name.count("-")
    return f"{name}{natural // 12 - 1}"


def _notes(spans: Sequence[Span], changes: Changes) -> Iterator[tuple[Fraction, note.GeneralNote]]:
    """The written notes and rests of a bar, each with its onset in the bar."""
    if len(spans) == 1 and not spans[0].names:
        rest = note.Rest(quarterLength=changes.bar)
        rest.fullMeasure = True
        yield Fraction(0), rest
        return
    places = {place for span in spans for place in (span.start, span.end)}
    triplets = {place // 1 for place in places if place * 4 % 1}  # beats that sixteenths do not divide
    for span in spans:
        start = span.start
        while start < span.end:
            end = _next(start, span, triplets, changes)
            length = duration.Duration(end - start)
            if start // 1 in triplets:
                kind, dots = TRIPLET[int((end - start) * GRID)]
                tuplet = duration.Tuplet(3, 2, "eighth")
                edge = min(start // 1 + 1, changes.bar)
                tuplet.type = "start" if start % 1 == 0 else "stop" if end == edge else None
                length = duration.Duration(type=kind, dots=dots)
                length.appendTuplet(tuplet)
            if len(span.names) > 1:
                written: note.GeneralNote = chord.Chord(span.names, duration=length)
            else:
                written = note.Note(span.names[0], duration=length) if span.names else note.Rest(duration=length)
            before, after = span.before or start > span.start, span.after or end < span.end
            if span.names and (before or after):
                written.tie = tie.Tie("continue" if before and after else "stop" if before else "start")
            yield start, written
            start = end


def _next(start: Fraction, span: Span, triplets: set[int], changes: Changes) -> Fraction:
    """The end of the next written note of a span, chosen so that it needs at most one dot and shows the beat."""
    if start // 1 in triplets:
        room = (min(span.end, start // 1 + Fraction(1)) - start) * GRID
        return start + Fraction(max(size for size in TRIPLET if size <= room), GRID)
    end = min([Fraction(beat) for beat in triplets if start < beat < span.end], default=span.end)
    compound = changes.meter[0] % 3 == 0 and changes.meter[1] >= 8
    beat = Fraction(12, changes.meter[1]) if compound else Fraction(1)
    group = beat if compound else Fraction(2) if changes.bar % 2 == 0 else changes.bar  # half a bar of 4/4
    grain = Fraction(1, 2) if span.names else beat  # notes may be syncopated by an eighth, rests may not

    def fits(stop: Fraction) -> bool:
        if start // group < -(-stop // group) - 1:  # a group begins inside
            return start % group == 0 and stop % beat == 0
        if start // 1 == -(-stop // 1) - 1:
            return True
        return start % grain == stop % grain == 0 and (stop - start <= beat * 3 / 2 or start % beat == 0)

    stops = [start + value for value in PLAIN if start + value <= end]
    order = [stop for unit in (beat, Fraction(1, 4)) for stop in stops if stop == end or stop % unit == 0]
    return next(stop for stop in order if fits(stop))
