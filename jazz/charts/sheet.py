"""Charts as MusicXML 4.0: chord symbols that say the whole chord, repeats, jumps, sections, key, tempo and feel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ..changes import Changes
from ..chords import Chord
from .chart import Chart, Measure, bar_length, fifths
from .key import estimate_key

DIVISIONS = 10080  # of a quarter, as music21 writes them
BARS_A_LINE = 4
# Semitones above the root of the degrees of each kind, from the specification: kinds in thirds, then the others.
_IN_THIRDS = {
    **{"major": (4, 7), "minor": (3, 7), "augmented": (4, 8), "diminished": (3, 6)},
    **{"dominant": (4, 7, 10), "major-seventh": (4, 7, 11), "minor-seventh": (3, 7, 10), "major-minor": (3, 7, 11)},
    **{"augmented-seventh": (4, 8, 10), "half-diminished": (3, 6, 10), "diminished-seventh": (3, 6, 9)},
    **{"dominant-ninth": (4, 7, 10, 2), "major-ninth": (4, 7, 11, 2), "minor-ninth": (3, 7, 10, 2)},
    **{"dominant-11th": (4, 7, 10, 2, 5), "major-11th": (4, 7, 11, 2, 5), "minor-11th": (3, 7, 10, 2, 5)},
    **{"dominant-13th": (4, 7, 10, 2, 5, 9), "major-13th": (4, 7, 11, 2, 5, 9), "minor-13th": (3, 7, 10, 2, 5, 9)},
}
_KINDS = {kind: {1: 0} | dict(zip((3, 5, 7, 9, 11, 13), tones, strict=False)) for kind, tones in _IN_THIRDS.items()} | {
    **{"power": {1: 0, 5: 7}, "suspended-second": {1: 0, 2: 2, 5: 7}, "suspended-fourth": {1: 0, 4: 5, 5: 7}},
    **{"major-sixth": {1: 0, 3: 4, 5: 7, 6: 9}, "minor-sixth": {1: 0, 3: 3, 5: 7, 6: 9}},
}
_ADDED = {2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 9: 2, 11: 5, 13: 9}  # what an added degree is relative to
_HEAD = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">
"""


class Degree(NamedTuple):
    """A difference between a chord and its kind: degree 9, alter -1, "add" is a flat ninth that the kind lacks."""

    value: int
    alter: int
    type: str


@dataclass(frozen=True)
class Staff:
    """What stands on the staff below the chords.

    Attributes
    ----------
    measures : list of list of XML elements, the notes of each measure
    clef : (sign, line, octave change), such as ("G", 2, 0)
    instrument : str, the name of the part
    program : int, General MIDI program, from 0
    """

    measures: Sequence[Sequence[Element]]
    clef: tuple[str, int, int]
    instrument: str
    program: int


def chart_sheet(chart: Chart) -> bytes:
    """Write a chart as MusicXML: the measures as they stand on paper, with chord symbols over slashes.

    Parameters
    ----------
    chart : Chart; if it has no key, the signature is that of the estimated one

    Returns
    -------
    bytes, UTF-8; the same chart gives the same bytes

    Raises
    ------
    NumpyrnnError
        if the chart cannot be played, see `Chart.played`
    """
    chart = replace(chart, key=chart.key or estimate_key(Changes.of(chart)))
    return score(chart, None)


def score(chart: Chart, staff: Staff | None) -> bytes:
    """Write a chart with a key as MusicXML. Without a staff there are slashes."""
    root = Element("score-partwise", version="4.0")
    if chart.title:
        _add(_add(root, "work"), "work-title", chart.title)
    if chart.composer:
        _add(_add(root, "identification"), "creator", chart.composer, type="composer")
    part = _add(_add(root, "part-list"), "score-part", id="P1")
    _add(part, "part-name", staff.instrument if staff else "Chords")
    if staff:
        _add(_add(part, "score-instrument", id="P1-I1"), "instrument-name", staff.instrument)
        _add(_add(part, "midi-instrument", id="P1-I1"), "midi-program", staff.program + 1)
    part = _add(root, "part", id="P1")
    if chart.pickup:
        measure = _add(part, "measure", number=0, implicit="yes")
        _attributes(measure, chart, staff)
        measure.append(_rest(chart.pickup))
    bars_on_line = 0
    for i, (signs, lines) in enumerate(zip(chart.measures, _barlines(chart), strict=True)):
        measure = _add(part, "measure", number=i + 1)
        if i and (bars_on_line == BARS_A_LINE or signs.section):
            _add(measure, "print", new_system="yes")
            bars_on_line = 0
        bars_on_line += 1
        lines.write_left(measure)
        if i == 0:
            if not chart.pickup:
                _attributes(measure, chart, staff)
            _tempo(measure, chart)
        _signs(measure, signs, bar_length(chart.meter))
        notes = staff.measures[i] if staff else [_rest(bar_length(chart.meter), measure="yes")]
        measure.extend(_with_chords(notes, signs.chords))
        lines.write_right(measure)
    indent(root)
    return _HEAD + tostring(root, encoding="unicode").encode() + b"\n"


def _add(parent: Element, tag: str, text: object = None, /, **attributes: object) -> Element:
    """Add an element. In the names of attributes, _ stands for -; only printable letters are written."""
    element = SubElement(parent, tag, {name.replace("_", "-"): _plain(value) for name, value in attributes.items()})
    element.text = None if text is None else _plain(text)
    return element


def _plain(text: object) -> str:
    return "".join(letter for letter in str(text) if letter.isprintable())


# ---------------------------------------------------------------------------------------------------- chord symbols


@lru_cache(4096)
def kind_of(chord: Chord) -> tuple[str, list[Degree]]:
    """The kind of MusicXML from which a chord differs least, and the differences.

    An added degree is never one that the kind has, and never the seventh: programs read these in different ways.
    """
    tones: dict[int, list[int]] = {}
    for degree, semitones in zip(chord.degrees, chord.intervals, strict=True):
        tones.setdefault(degree, []).append(semitones)
    unfolded: dict[int, list[int]] = {}  # the suspended 4 of a C9sus4 is the 11 of an eleventh chord
    for degree, some in tones.items():
        unfolded.setdefault({2: 9, 4: 11}.get(degree, degree), []).extend(some)
    differences = [
        (kind, _differences(of_kind, wanted))
        for wanted in (tones, unfolded)
        for kind, of_kind in _KINDS.items()
        if 7 not in wanted or 7 in of_kind
    ]
    return min(
        differences, key=lambda found: sum(1 if degree == Degree(11, 0, "subtract") else 2 for degree in found[1])
    )


def _differences(kind: dict[int, int], wanted: dict[int, list[int]]) -> list[Degree]:
    found = []
    for degree in sorted({*kind, *wanted}):
        old, new = kind.get(degree), wanted.get(degree, [])
        if old is not None and len(new) == 1:
            found += [Degree(degree, new[0] - old, "alter")] * (new[0] != old)
        else:
            found += [Degree(degree, 0, "subtract")] * (old is not None)
            found += [Degree(degree, tone - _ADDED[degree], "add") for tone in new]
    return found


def harmony(chord: Chord, offset: Fraction = Fraction(0)) -> Element:
    """A chord symbol that is printed as it was written and has all tones of the chord.

    Parameters
    ----------
    chord : Chord
    offset : Fraction, quarters after the element that follows in the file
    """
    element = Element("harmony")
    root, quality, bass = chord.parts
    _note_name(element, "root", root or "C")
    if chord.root is None:
        element[0][0].set("text", "")  # there is no root to print
        _add(element, "kind", "none", text="N.C." + chord.alternates)
    else:
        kind, degrees = kind_of(chord)
        printed = quality + chord.alternates
        _add(element, "kind", kind, **({"text": printed} if printed else {}))
        if bass:
            _note_name(element, "bass", bass)
        for value, alter, type_ in degrees:
            degree = _add(element, "degree", print_object="no")
            _add(degree, "degree-value", value)
            _add(degree, "degree-alter", alter)
            _add(degree, "degree-type", type_)
    if offset:
        _add(element, "offset", round(offset * DIVISIONS))
    return element


def _note_name(parent: Element, tag: str, name: str) -> None:
    element = _add(parent, tag)
    _add(element, f"{tag}-step", name[0])
    if alter := name.count("#") - name.count("b"):
        _add(element, f"{tag}-alter", alter)


def _with_chords(notes: Sequence[Element], chords: Sequence[tuple[Fraction, Chord]]) -> Iterator[Element]:
    """The notes of a measure, with each chord symbol before the note during which it stands."""
    now, waiting = Fraction(0), list(chords)
    for note in notes:
        if note.find("chord") is None:
            end = now + Fraction(int(note.findtext("duration", "0")), DIVISIONS)
            while waiting and waiting[0][0] < end:
                onset, chord = waiting.pop(0)
                yield harmony(chord, onset - now)
            now = end
        yield note


# ------------------------------------------------------------------------------------------------ around the notes


def _attributes(measure: Element, chart: Chart, staff: Staff | None) -> None:
    attributes = _add(measure, "attributes")
    _add(attributes, "divisions", DIVISIONS)
    key = _add(attributes, "key")
    _add(key, "fifths", fifths(chart.key))
    _add(key, "mode", "minor" if chart.key.endswith("m") else "major")
    time = _add(attributes, "time")
    _add(time, "beats", chart.meter[0])
    _add(time, "beat-type", chart.meter[1])
    sign, line, octaves = staff.clef if staff else ("G", 2, 0)
    clef = _add(attributes, "clef")
    _add(clef, "sign", sign)
    _add(clef, "line", line)
    if octaves:
        _add(clef, "clef-octave-change", octaves)
    if not staff:
        _add(_add(attributes, "measure-style"), "slash", type="start", use_stems="no")


def _rest(length: Fraction, **attributes: str) -> Element:
    note = Element("note")
    _add(note, "rest", **attributes)
    _add(note, "duration", round(length * DIVISIONS))
    _add(note, "voice", 1)
    return note


def _direction(measure: Element, tag: str, text: str | None = None, at: Fraction | None = None, **sound: str) -> None:
    """A direction above the staff, such as words, and what it means for the sound, perhaps later in the measure."""
    direction = _add(measure, "direction", placement="above")
    _add(_add(direction, "direction-type"), tag, text)
    if at is not None:
        _add(direction, "offset", round(at * DIVISIONS), sound="yes")
    if sound:
        _add(direction, "sound", **sound)


def _tempo(measure: Element, chart: Chart) -> None:
    """Feel and tempo. Eighths swing only if they are not the beat."""
    swings = chart.feel == "swing" and chart.meter[1] <= 4
    if not swings and not chart.tempo:
        return
    direction, sound = _add(measure, "direction", placement="above"), Element("sound")
    if swings:
        _add(_add(direction, "direction-type"), "words", "Swing")
        swing = _add(sound, "swing")
        for tag, value in (("first", 2), ("second", 1), ("swing-type", "eighth")):
            _add(swing, tag, value)
    if chart.tempo:
        metronome = _add(_add(direction, "direction-type"), "metronome")
        _add(metronome, "beat-unit", "quarter")
        _add(metronome, "per-minute", chart.tempo)
        sound.set("tempo", str(chart.tempo))
    direction.append(sound)


def _signs(measure: Element, signs: Measure, bar: Fraction) -> None:
    """What stands above the beginning and the end of a measure."""
    if signs.section:
        _direction(measure, "rehearsal", signs.section)
    if signs.segno:
        _direction(measure, "segno", segno="segno")
    if signs.coda:
        _direction(measure, "coda", coda="coda")
    if signs.to_coda:
        _direction(measure, "words", "To Coda", bar, tocoda="coda")
    if signs.fine:
        _direction(measure, "words", "Fine", bar, fine="yes")
    if signs.jump.startswith("D.C."):
        _direction(measure, "words", signs.jump, bar, dacapo="yes")
    elif signs.jump:
        _direction(measure, "words", signs.jump, bar, dalsegno="segno")


@dataclass
class Barlines:
    """What stands at the bar lines of a measure.

    Attributes
    ----------
    forward : bool, whether a repeat begins
    times : int, how often the passage that is repeated here is played; 0 without a repeat
    begins, ends : tuple of int, the times through of the ending that begins or ends here
    style : str, of the right bar line, such as "light-light"; empty for a plain one
    """

    forward: bool = False
    times: int = 0
    begins: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    style: str = ""

    def write_left(self, measure: Element) -> None:
        """Add the left bar line, if anything stands there."""
        if self.forward or self.begins:
            barline = _add(measure, "barline", location="left")
            if self.forward:
                _add(barline, "bar-style", "heavy-light")
            if self.begins:
                _ending(barline, self.begins, "start")
            if self.forward:
                _add(barline, "repeat", direction="forward")

    def write_right(self, measure: Element) -> None:
        """Add the right bar line, if it is not a plain one."""
        style = "light-heavy" if self.times else self.style
        if style or self.ends:
            barline = _add(measure, "barline", location="right")
            if style:
                _add(barline, "bar-style", style)
            if self.ends:
                _ending(barline, self.ends, "stop" if style else "discontinue")
            if self.times:
                many = {"times": self.times} if self.times > 2 and not self.ends else {}
                _add(barline, "repeat", direction="backward", **many)


def _ending(barline: Element, numbers: Sequence[int], type_: str) -> None:
    text = ", ".join(map(str, numbers))
    _add(barline, "ending", text if type_ == "start" else None, number=text, type=type_)


def _barlines(chart: Chart) -> list[Barlines]:
    """The bar lines of each measure: repeats and endings, double lines before sections, and a final one."""
    lines = [Barlines() for _ in chart.measures]
    for first, stop, times in chart.passages():
        lines[first].forward = times > 1 and (first > 0 or chart.measures[0].begins or bool(chart.pickup))
        for i in range(first, stop):
            measure, line = chart.measures[i], lines[i]
            through = tuple(chart.times_of(i, first, stop, times)) if measure.endings else ()
            if through and (i == first or chart.measures[i - 1].endings != measure.endings):
                line.begins = through
            if through and (i + 1 == stop or chart.measures[i + 1].endings != measure.endings):
                line.ends = through
            again = min(line.ends) < times and not measure.jump if line.ends else not through and measure.ends > 1
            line.times = times if again else 0
    for line, measure, following in zip(lines, chart.measures, chart.measures[1:], strict=False):
        line.style = "light-light" if measure.double or following.section else ""
    lines[-1].style = "light-heavy"
    return lines
