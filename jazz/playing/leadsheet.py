"""The lead sheet: a melody with its chord symbols as MusicXML. The notes are written with music21.

music21 takes long to import, so this module is imported only when a lead sheet is made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from itertools import zip_longest
from operator import itemgetter

from music21 import instrument, stream
from music21.clef import bestClef
from music21.key import KeySignature
from music21.meter import TimeSignature
from music21.musicxml.m21ToXml import ScoreExporter

from music.notation import by_bar, notes
from numpyrnn import NumpyrnnError

from ..changes import Changes
from ..charts.chart import Chart, Measure, fifths, parse_key
from ..charts.key import estimate_key, letter_of, scale_names
from ..charts.sheet import Clef, score
from ..charts.transposing import transposed
from ..chords import Chord
from ..grammar import NAMES, Element

BLACK = {"#": {1: "C#", 3: "D#", 6: "F#", 8: "G#", 10: "A#"}, "-": {1: "D-", 3: "E-", 6: "G-", 8: "A-", 10: "B-"}}
GRID = 12  # places in a quarter
VAGUE = ("Sampler", "StringInstrument")  # music21's names of programs for which it has no instrument


def lead_sheet(
    title: str,
    melody: Sequence[Element],
    changes: Changes,
    tempo: int,
    program: int | None = 66,
    name: str = "",
    clef: Clef | None = None,
    up: int = 0,
) -> bytes:
    """Write a melody with chord symbols as MusicXML; the same music gives the same bytes.

    Parameters
    ----------
    title : str
    melody : sequence of Element, notes and rests in twelfths of a quarter, which fill the form without gaps
    changes : Changes; without a key, the signature is that of the estimated one
    tempo : int, quarters a minute
    program : int, default 66 (tenor saxophone), General MIDI program of the melody, from 0; None writes slashes
    name : str, of the part; default: the program's
    clef : (sign, line, octave change), default: the one in which the notes fit best
    up : int, default 0, semitones by which notes, chords and key are written higher than they sound

    Returns
    -------
    bytes, UTF-8

    Raises
    ------
    NumpyrnnError
        if the melody has a gap or times off the grid of twelfths, or is not as long as the form
    """
    changes = replace(changes, key=parse_key(changes.key) if changes.key else estimate_key(changes))
    changes, steps = transposed(changes, up) if up else (changes, 0)
    melody = [replace(e, pitches=tuple(pitch + up for pitch in e.pitches)) for e in melody]
    measures = []
    for spans in by_bar(list(_sounds(melody, changes)), [changes.bar] * len(changes.bars)):
        measures.append(stream.Measure())
        for onset, element in notes(spans, changes.meter):
            measures[-1].insert(onset, element)
    measures[0].insert(0, TimeSignature("{}/{}".format(*changes.meter)))
    measures[0].insert(0, KeySignature(fifths(changes.key)))
    part = stream.Part(measures)
    best = bestClef(part, recurse=True)
    part.makeAccidentals(inPlace=True)
    exporter = ScoreExporter(stream.Score([part]), makeNotation=False)  # made above; a second time would be slow
    written = [measure.findall("note") for measure in exporter.parse().iter("measure")]
    name = name or (instrument.instrumentFromMidiProgram(program).instrumentName if program is not None else "Chords")
    bars = zip_longest(changes.bars, changes.sections, changes.doubles)
    form = [Measure(bar, section or "", double=bool(double)) for bar, section, double in bars]
    chart = Chart(form, changes.meter, title, changes.composer, changes.key, tempo, changes.feel)
    clef = clef or (best.sign, best.line, best.octaveChange)
    return score(chart, written, "Solo" if name in VAGUE else name, clef, program, (steps, up) if up else None)


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
        letter, alter = letter_of(root, degree, tone)
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


def _sounds(melody: Sequence[Element], changes: Changes) -> Iterator[tuple[Fraction, Fraction, tuple[str, ...]]]:
    """The notes of a melody by their names, without the rests."""
    flat, now = changes.flat(), Fraction(0)
    for element in melody:
        if element.onset != now or element.duration <= 0 or element.duration * GRID % 1:
            got = f"{element.onset} for {element.duration}"
            raise NumpyrnnError(f"the melody must continue at quarter {now} in twelfths of a quarter, got {got}")
        sounding = flat[max(bisect_right(flat, now, key=itemgetter(0)) - 1, 0)][1]
        now = element.end
        if element.pitches:
            yield element.onset, now, tuple(_name(midi, sounding, changes.key) for midi in element.pitches)
    if now != changes.end:
        raise NumpyrnnError(f"the melody must last {changes.end} quarters as the form does, got {now}")


def _name(midi: int, symbol: Chord, key: str) -> str:
    """A pitch with its octave: the C flat below middle C is C-4."""
    name = spelling(symbol, key)[midi % 12]
    natural = midi - name.count("#") + name.count("-")
    return f"{name}{natural // 12 - 1}"
