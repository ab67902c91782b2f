"""Charts as MusicXML 4.0: chord symbols that say the whole chord, repeats, jumps, sections, key, tempo and feel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from xml.etree.ElementTree import Element, indent, tostring

from ..changes import Changes
from ..chords import Chord
from ..feels import FEELS, swings
from .chart import Chart, Measure, bar_length, fifths, parse_key
from .harmony import WRITTEN, Degree, natural, semitones
from .key import estimate_key

DIVISIONS = 10080  # of a quarter, as music21 writes them
BARS_A_LINE = 4
WORDS = {**{feel: feel.capitalize() for feel in FEELS}, "straight": "Straight eighths", "bossa": "Bossa nova"}
Notes = Sequence[Sequence[Element]]
Clef = tuple[str, int, int]
_HEAD = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">
"""


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
    changes = Changes.of(chart)
    rests = [[_rest(changes.bar, measure="yes")] for _ in chart.measures]
    return score(replace(chart, key=parse_key(chart.key) if chart.key else estimate_key(changes)), rests, "Chords")


def score(
    chart: Chart,
    notes: Notes,
    name: str = "Chords",
    clef: Clef = ("G", 2, 0),
    program: int | None = None,
    higher: tuple[int, int] | None = None,
) -> bytes:
    """Write a chart that has a key as MusicXML.

    Parameters
    ----------
    chart : Chart
    notes : list of list of XML elements, the notes of each measure
    name : str, of the part
    clef : (sign, line, octave change)
    program : int, General MIDI program of the part, from 0; without one, slashes stand for the notes
    higher : (letters within an octave, semitones), optional, by which everything is written higher than it sounds

    Returns
    -------
    bytes, UTF-8
    """
    part, bars_on_line, sound = _node("part", id="P1"), 0, list[Element]()
    attributes = _attributes(chart, clef)
    if higher is not None:
        octaves, semitones = divmod(higher[1], 12)
        down = {"diatonic": -higher[0], "chromatic": -semitones, "octave_change": -octaves or None}
        attributes.append(_group("transpose", **down))
    if chart.pickup:
        part.append(_node("measure", attributes, _rest(chart.pickup), number=0, implicit="yes"))
        attributes = _node("attributes")
    if program is None:
        attributes.append(_node("measure-style", _node("slash", type="start", use_stems="no")))
    for i, (signs, (left, right), below) in enumerate(zip(chart.measures, _barlines(chart), notes, strict=True)):
        breaks = bool(i and (bars_on_line == BARS_A_LINE or signs.section))
        bars_on_line = 1 if breaks else bars_on_line + 1
        head = [attributes, _tempo(chart)] if i == 0 else []
        inside = [*left, *head, *_signs(signs, bar_length(chart.meter)), *_with_chords(below, signs.chords), *right]
        part.append(_node("measure", _node("print", new_system="yes") if breaks else None, *inside, number=i + 1))
    if program is not None:
        sound.append(_node("score-instrument", _node("instrument-name", name), id="P1-I1"))
        sound.append(_node("midi-instrument", _node("midi-program", program + 1), id="P1-I1"))
    work = _group("work", work_title=chart.title) if chart.title else None
    author = _node("identification", _node("creator", chart.composer, type="composer")) if chart.composer else None
    parts = _node("part-list", _node("score-part", _node("part-name", name), *sound, id="P1"))
    root = _node("score-partwise", work, author, parts, part, version="4.0")
    indent(root)
    return _HEAD + tostring(root, encoding="unicode").encode() + b"\n"


def _node(tag: str, /, *inside: object, **attributes: object) -> Element:
    """An element with what is inside. In names of attributes, _ stands for -; only printable letters are written."""
    element = Element(tag, {name.replace("_", "-"): _plain(value) for name, value in attributes.items()})
    for part in inside:
        if isinstance(part, Element):
            element.append(part)
        elif part is not None:
            element.text = _plain(part)
    return element


def _plain(text: object) -> str:
    return "".join(letter for letter in str(text) if letter.isprintable())


# ---------------------------------------------------------------------------------------------------- chord symbols


@lru_cache(4096)
def kind_of(chord: Chord) -> tuple[str, list[Degree]]:
    """The kind of MusicXML from which a chord differs least, and the differences.

    An added degree is never one that the kind has, and never the seventh: programs read these in different ways.
    """
    found = []
    for unfolded in ({}, {2: 9, 4: 11}):  # the suspended 4 of a C9sus4 is the 11 of an eleventh chord
        wanted = dict[int, list[int]]()
        for degree, tone in zip(chord.degrees, chord.intervals, strict=True):
            wanted.setdefault(unfolded.get(degree, degree), []).append(tone)
        kinds = {kind: semitones(kind) for kind in WRITTEN}
        found += [(k, _differences(tones, wanted)) for k, tones in kinds.items() if 7 in tones or 7 not in wanted]
    return min(found, key=lambda pair: sum(1 if degree == (11, 0, "subtract") else 2 for degree in pair[1]))


def _differences(kind: dict[int, int], wanted: dict[int, list[int]]) -> list[Degree]:
    found: list[Degree] = []
    for degree in sorted({*kind, *wanted}):
        old, new = kind.get(degree), wanted.get(degree, [])
        if old is not None and len(new) == 1:
            found += [Degree(degree, new[0] - old, "alter")] * (new[0] != old)
        else:
            found += [Degree(degree, 0, "subtract")] * (old is not None)
            found += [Degree(degree, tone - natural(degree), "add") for tone in new]
    return found


def harmony(chord: Chord, offset: Fraction = Fraction(0)) -> Element:
    """A chord symbol that is printed as it was written and has all tones of the chord.

    Parameters
    ----------
    chord : Chord
    offset : Fraction, quarters after the element that follows in the file
    """
    root, quality, bass = chord.parts
    if chord.root is None:  # the root has no meaning and is not printed
        none = _node("kind", "none", text="N.C." + chord.alternates)
        inside = [_node("root", _node("root-step", "C", text="")), none]
    else:
        (kind, degrees), printed = kind_of(chord), quality + chord.alternates
        inside = [_note_name("root", root), _node("kind", kind, **({"text": printed} if printed else {}))]
        inside += [_note_name("bass", bass)] if bass else []
        for value, alter, type_ in degrees:
            degree = _group("degree", degree_value=value, degree_alter=alter, degree_type=type_)
            degree.set("print-object", "no")
            inside.append(degree)
    return _node("harmony", *inside, _node("offset", round(offset * DIVISIONS)) if offset else None)


def _note_name(tag: str, name: str) -> Element:
    alter = name.count("#") - name.count("b")
    return _node(tag, _node(f"{tag}-step", name[0]), _node(f"{tag}-alter", alter) if alter else None)


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


def _attributes(chart: Chart, clef: Clef) -> Element:
    sign, line, octaves = clef
    key = _group("key", fifths=fifths(chart.key), mode="minor" if chart.key.endswith("m") else "major")
    time = _group("time", beats=chart.meter[0], beat_type=chart.meter[1])
    staff = _group("clef", sign=sign, line=line, clef_octave_change=octaves or None)
    return _node("attributes", _node("divisions", DIVISIONS), key, time, staff)


def _group(tag: str, **parts: object) -> Element:
    """An element with elements that hold these values, unless they are None."""
    return _node(tag, *(_node(name.replace("_", "-"), value) for name, value in parts.items() if value is not None))


def _rest(length: Fraction, **attributes: str) -> Element:
    return _node("note", _node("rest", **attributes), _node("duration", round(length * DIVISIONS)), _node("voice", 1))


def _tempo(chart: Chart) -> Element | None:
    """Feel and tempo. Eighths swing only if they are not the beat."""
    types, sound = [], _node("sound", **{"tempo": chart.tempo} if chart.tempo else {})
    if chart.feel and (chart.meter[1] <= 4 or not swings(chart.feel)):
        types.append(_node("words", WORDS[chart.feel]))
        swing = _group("swing", first=2, second=1, swing_type="eighth")
        sound.append(swing if swings(chart.feel) else _node("swing", _node("straight")))
    if chart.tempo:
        types.append(_group("metronome", beat_unit="quarter", per_minute=chart.tempo))
    inside = [*(_node("direction-type", element) for element in types), sound]
    return _node("direction", *inside, placement="above") if types else None


def _signs(signs: Measure, bar: Fraction) -> Iterator[Element]:
    """What stands above the beginning and the end of a measure, and what it means for the sound."""
    shown: list[tuple[object, str, str | None, dict[str, str]]] = [
        (signs.section, "rehearsal", signs.section, {}),
        (signs.segno, "segno", None, {"segno": "segno"}),
        (signs.coda, "coda", None, {"coda": "coda"}),
        (signs.to_coda, "words", "To Coda", {"tocoda": "coda"}),
        (signs.fine, "words", "Fine", {"fine": "yes"}),
        (signs.jump, "words", signs.jump, {"dacapo": "yes"} if "D.C." in signs.jump else {"dalsegno": "segno"}),
    ]
    for stands, tag, text, sound in shown:
        if stands:
            kind, later = _node("direction-type", _node(tag, text)), round(bar * DIVISIONS)
            offset = _node("offset", later, sound="yes") if tag == "words" else None
            yield _node("direction", kind, offset, _node("sound", **sound) if sound else None, placement="above")


def _barlines(chart: Chart) -> Iterator[tuple[list[Element], list[Element]]]:
    """The left and the right bar line of each measure, if it is not a plain one.

    There are repeats and endings, double lines before sections, and a final one. A repeat is not played after a jump,
    except in the coda.
    """
    measures = chart.measures
    to_coda = any(measure.jump.endswith("Coda") for measure in measures)
    coda = next((i for i, measure in enumerate(measures) if measure.coda and to_coda), len(measures))
    for first, stop, times in chart.passages():
        endings = {n for measure in measures[first:stop] for n in measure.endings}
        for i in range(first, stop):
            measure, last = measures[i], i + 1 == len(measures)
            through = chart.times_of(measure, endings, times) if measure.endings else ()
            numbers, inside = ", ".join(map(str, sorted(through))), bool(through)
            begins = inside and (i == first or measures[i - 1].endings != measure.endings)
            ends = inside and (i + 1 == stop or measures[i + 1].endings != measure.endings)
            forward = i == first and times > 1 and (first > 0 or measure.begins or chart.pickup > 0)
            again = ends and min(through) < times and not measure.jump if inside else measure.ends > 1
            double = measure.double or not (last or not measures[i + 1].section)
            style = "light-heavy" if again or last else "light-light" if double else ""
            left = [_node("bar-style", "heavy-light")] * forward
            left += [_node("ending", numbers, number=numbers, type="start")] * begins
            left += [_node("repeat", direction="forward")] * forward
            right = [_node("bar-style", style)] * bool(style)
            right += [_node("ending", number=numbers, type="stop" if style else "discontinue")] * ends
            more = ({"times": times} if times > 2 and not inside else {}) | ({"after_jump": "yes"} if i >= coda else {})
            right += [_node("repeat", direction="backward", **more)] * again
            lines = [_node("barline", *left, location="left"), _node("barline", *right, location="right")]
            yield lines[:1] * bool(left), lines[1:] * bool(right)
