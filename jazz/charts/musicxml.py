"""Lead sheets in MusicXML, plain or compressed. Files are untrusted, so work and memory are bounded."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from operator import itemgetter
from typing import Any
from xml.etree.ElementTree import Element

from music.files import naming
from numpyrnn import NumpyrnnError

from ..chords import Chord, parse_chord
from .chart import LONGEST, MAX_CHORDS, Change, Chart, Measure, bar_length, parse_meter
from .harmony import number, read_harmony
from .safexml import parse, unpacked
from .scorehead import plain, read_head

MAX_TIMES = 100  # that a passage is played
MAX_DIFFERENT = 1000  # chords
MAX_GUESSES = 20  # that are told
FINEST = 1_000_000  # parts of a quarter
GRID = 24  # places for chords in a quarter
ROUNDING = Fraction(1, 16)  # quarters by which the notes of a measure may miss its length
ROOTS = ("score-partwise", "score-timewise")
# Signs are looked for in the words of a direction, its elements and the attributes of its sounds.
CODA = "(?:coda|\N{MUSICAL SYMBOL CODA}|\u2295)"
JUMP = rf"(?:\b(?P<capo>d\.? ?c\b|da ?capo)|\b(?:d\.? ?s\b|dal ?segno))(?:.*(?P<fine>\bal fine)|.*(?P<coda>{CODA}))?"
AFTER = {"jump": re.compile(JUMP), "to_coda": re.compile(rf"\bto ?{CODA}"), "fine": re.compile(r"\bfine\b")}
BEFORE = {"coda": re.compile(CODA), "segno": re.compile("segno|\N{MUSICAL SYMBOL SEGNO}")}
AT_THE_BEGINNING = ("section", "begins", "segno", "coda")


def is_musicxml(content: bytes) -> bool:
    """Whether the bytes of a file look like MusicXML: a zip with a container or an XML file, or XML with a score.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    bool
    """
    if content.startswith(b"PK"):
        return re.search(rb"META-INF/container\.xml|\.(music)?xml(PK|UT)", content) is not None
    beginning = content[:10_000].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n")
    return beginning.startswith(b"<") and any(root.encode() in beginning for root in ROOTS)


def read_musicxml(content: bytes) -> Chart:
    """Read the chords of a score in MusicXML, and the signs that say in which order its measures are played.

    The chords are those of the first part that has any; the signs may stand in any part. A jump, a Fine and a To Coda
    hold after the measure in which they stand. Where a measure has no chord, the last one goes on.

    Parameters
    ----------
    content : bytes of a .musicxml, .xml or .mxl file

    Returns
    -------
    Chart

    Raises
    ------
    NumpyrnnError
        if it is no score, declares entities, has no chord, changes its meter, or has more than 20,000,000 bytes
        unpacked, 500,000 elements or attributes, 10,000 measures or 1,000 different chords
    """
    root = parse(unpacked(content), ROOTS)
    parts = defaultdict[str, dict[int, Element]](dict)  # the measures of each part, by place
    bars = defaultdict[int, _Bar](_Bar)
    for outer in root:
        for place, inner in enumerate(outer.findall("measure") if outer.tag == "part" else ()):
            parts[outer.get("id", "")][place] = inner
    for place, outer in enumerate(root.findall("measure")):
        for inner in outer:
            inner.attrib |= {"number": outer.get("number", ""), "implicit": outer.get("implicit", "")}
            parts[inner.get("id", "")][place] = inner
    chosen = [part for part, measures in parts.items() if any(m.find("harmony") is not None for m in measures.values())]
    chosen.sort(key=lambda part: _is_transposed(parts[part]))
    if not chosen:
        raise NumpyrnnError("a chart must have chords, the score has no harmony elements")
    count = 1 + max(max(measures) for measures in parts.values() if measures)
    if count > LONGEST:
        raise NumpyrnnError(f"a chart must have at most {LONGEST} bars, the score has {count} measures")
    for part, measures in parts.items():
        divisions = Fraction(1)
        for place, measure in measures.items():
            bar = bars[place]
            bar.number = plain(measure.get("number"))[:20] or str(place + 1)
            bar.implicit |= measure.get("implicit") == "yes"
            with naming(f"measure {bar.number}"):
                divisions = _read(measure, divisions, bars, place, part == chosen[0])
    guesses = [f"{len(chosen)} parts have chords, those of the first are read"] if len(chosen) > 1 else []
    if _is_transposed(parts[chosen[0]]):
        guesses.append("the part is for a transposing instrument, its chords are read as written")
    return _chart(root, [*parts[chosen[0]].values()], [bars[place] for place in range(count)], guesses)


def _is_transposed(part: Mapping[int, Element]) -> bool:
    """Whether a part sounds at another pitch than it is written, unless it is an octave away."""
    steps = (step for measure in part.values() for step in measure.iterfind("attributes/transpose/chromatic"))
    return any(number(step.text, "a transposition") % 12 for step in steps)


# ------------------------------------------------------------------------------------------------- measures as written


@dataclass
class _Bar:
    """A measure while it is read.

    Attributes
    ----------
    number : str, as printed
    implicit : bool, whether it is not counted, as a pickup or the second half of a measure
    length : Fraction, quarters that its notes fill
    harmonies : list of (onset in quarters, element)
    signs : dict, attributes of Measure
    meter : (beats, unit), if it is given here
    copies : int, how many measures are repeated by `%` from here on, if that changes here
    ending : tuple of int, the times of an ending that begins here
    stops : bool, whether an ending stops here
    """

    number: str = ""
    implicit: bool = False
    length: Fraction = Fraction(0)
    harmonies: list[tuple[Fraction, Element]] = field(default_factory=list)
    signs: dict[str, Any] = field(default_factory=dict)
    meter: tuple[int, int] | None = None
    copies: int | None = None
    ending: tuple[int, ...] | None = None
    stops: bool = False


def _read(measure: Element, divisions: Fraction, bars: Mapping[int, _Bar], place: int, chosen: bool) -> Fraction:
    """Read one measure of one part into its bar; returns the divisions of a quarter that hold after it."""
    bar, time = bars[place], Fraction(0)
    for element in measure:
        if element.tag in ("note", "backup", "forward"):
            if (duration := element.findtext("duration")) is None:  # as in a grace note
                continue
            step = number(duration, "a duration") / divisions
            if step < 0:
                raise NumpyrnnError(f"a duration must not be negative, got {float(step):g} quarters")
            if element.find("chord") is None and element.find("grace") is None:
                time = max(time + (-step if element.tag == "backup" else step), Fraction(0))
            if time.denominator > FINEST:
                raise NumpyrnnError(f"a duration must be a multiple of a quarter's {FINEST}th, got {float(step):g}")
            bar.length = max(bar.length, time)
        elif element.tag == "harmony" and chosen:
            bar.harmonies.append((time + number(element.findtext("offset", "0"), "an offset") / divisions, element))
        elif element.tag in ("direction", "sound"):
            bar.signs |= _signs(element)
        elif element.tag == "barline":
            _read_barline(element, bars, place)
        elif element.tag == "attributes":
            divisions = number(element.findtext("divisions", "0"), "divisions") or divisions
            if divisions < 0:
                raise NumpyrnnError(f"divisions must be above 0, got {float(divisions):g}")
            for time_signature in element.findall("time"):
                bar.meter = _meter(time_signature)
            for style in element.iter("measure-repeat"):
                start = style.get("type") != "stop"
                bar.copies = _count(style.text, "the number of measures that are repeated") if start else 0
    return divisions


def _count(text: str | None, what: str) -> int:
    """A small number that an element or attribute holds."""
    count = number(text, what)
    if count not in range(1, MAX_TIMES + 1):
        raise NumpyrnnError(f"{what} must be 1 to {MAX_TIMES}, got {count}")
    return int(count)


def _meter(time: Element) -> tuple[int, int]:
    """The meter of a time signature; 3+2/8 is 5/8."""
    beats = [beats.text or "" for beats in time.findall("beats")]
    if len(beats) != 1 or not re.fullmatch(r"[ 0-9+]{1,20}", beats[0]):
        raise NumpyrnnError(f"a chart must have one meter, such as 4/4; got {' '.join(beats)[:40] or 'senza misura'}")
    total = sum(int(some) for some in re.findall("[0-9]+", beats[0]))
    return parse_meter(f"{total}/{time.findtext('beat-type', '').strip()}")


def _signs(direction: Element) -> dict[str, Any]:
    """The signs in a direction or a sound."""
    words = plain(" ".join(e.text or "" for e in direction.iter("words")))
    sounds = [name for sound in direction.iter("sound") for name, value in sound.items() if value != "no"]
    text = " ".join([words, *(e.tag for e in direction.iter()), *sounds]).lower()
    after = [name for name, sign in AFTER.items() if sign.search(text)][:1]
    signs: dict[str, Any] = dict.fromkeys(after or [n for n, sign in BEFORE.items() if sign.search(text)], True)
    if "jump" in signs and (jump := AFTER["jump"].search(text)):
        aim = " al Fine" if jump["fine"] else " al Coda" if jump["coda"] else ""
        signs["jump"] = ("D.C." if jump["capo"] else "D.S.") + aim
    marks = [*direction.iter("rehearsal")] or [e for e in direction.iter() if e.get("enclosure", "none") != "none"]
    section = plain(" ".join(mark.text or "" for mark in marks if not signs or mark.tag == "rehearsal"))[:40]
    return signs | ({"section": section} if section else {})


def _read_barline(barline: Element, bars: Mapping[int, _Bar], place: int) -> None:
    """Read repeats, endings, signs and double bar lines. What ends at a left bar line is the measure before."""
    location = barline.get("location", "")
    before, after = bars[place - (location == "left")], bars[place + (location == "right")]
    for ending in barline.findall("ending"):
        if ending.get("type") == "start":
            times = re.findall(r"[0-9]+", ending.get("number", "")) or re.findall(r"[0-9]+", ending.text or "")
            after.ending = tuple(_count(time, "the number of an ending") for time in times[:MAX_TIMES])
        else:
            before.stops = True
    for repeat in barline.findall("repeat"):
        if location == "middle":
            raise NumpyrnnError("a repeat must stand at the beginning or the end of a measure, it stands inside")
        if repeat.get("direction") == "forward":
            after.signs["begins"] = True
        else:
            before.signs["ends"] = _count(repeat.get("times", "2"), "times of a repeat")
    after.signs |= {name: True for name in BEFORE if name in barline.attrib or barline.find(name) is not None}
    if barline.findtext("bar-style", "").strip() == "light-light":
        before.signs["double"] = True


# -------------------------------------------------------------------------------------------------- from bars to chart


def _chart(root: Element, measures: Sequence[Element], bars: Sequence[_Bar], guesses: list[str]) -> Chart:
    """The chart of a score. `measures` are those of the part with the chords."""
    meter = _one_meter(bars, guesses)
    full = bar_length(meter)
    codas = [bar for bar in bars if "coda" in bar.signs]
    if len(codas) > 1 and not any("to_coda" in bar.signs for bar in bars):
        codas[0].signs["to_coda"] = codas[0].signs.pop("coda")
        guesses.append(f"the coda sign of measure {codas[0].number} is taken as To Coda")
    bars = _joined(bars, full, guesses)
    form, more = _measures(bars, full, guesses), len(guesses) - MAX_GUESSES
    told = guesses[:MAX_GUESSES] + [f"and {more} others"] * (more > 0)
    return Chart(form, meter, **read_head(root, measures), pickup=bars[0].length % full, guesses=told)


def _one_meter(bars: Sequence[_Bar], guesses: list[str]) -> tuple[int, int]:
    """The meter of all bars. A pickup may have a shorter one."""
    given = [(bar.meter, bar.number) for bar in bars if bar.meter]
    if len(given) > 1 and bars[0].meter and bars[1].meter and bar_length(bars[0].meter) < bar_length(bars[1].meter):
        del given[0]
    if not given:
        guesses.append("no meter is given, 4/4 is taken")
    meter = given[0][0] if given else (4, 4)
    for other, number_ in given:
        if other != meter:
            change = "{}/{} to {}/{}".format(*meter, *other)
            raise NumpyrnnError(f"measure {number_}: a chart must have one meter, it changes from {change}")
    return meter


def _joined(bars: Sequence[_Bar], full: Fraction, guesses: list[str]) -> list[_Bar]:
    """The bars, with two halves joined to a full one. A short one is filled up, unless it is the first: a pickup."""
    joined, begins = list[_Bar](), dict[str, Any]()
    for place, bar in enumerate(bars):
        if bar.length > full + ROUNDING:
            raise NumpyrnnError(f"measure {bar.number} must last at most {full} quarters, got {float(bar.length):g}")
        last = joined[-1] if joined else _Bar()
        halves = 0 < last.length < full == last.length + bar.length and bar.length > 0
        if halves and (place > 1 or bar.implicit > last.implicit):
            last.harmonies += [(last.length + onset, element) for onset, element in bar.harmonies]
            begins = {name: bar.signs.pop(name) for name in AT_THE_BEGINNING if name in bar.signs}
            last.signs |= bar.signs
            last.length, last.ending, last.stops = full, last.ending or bar.ending, last.stops or bar.stops
            guesses.append(f"measures {last.number} and {bar.number} are two halves of one")
        else:
            bar.signs, begins = begins | bar.signs, {}
            joined.append(bar)
    first, *others = joined
    if others and 0 < first.length < full - ROUNDING:
        lost = "; its chords are not played" * bool(first.harmonies)
        guesses.append(f"measure {first.number} is a pickup of {_quarters(first.length)}{lost}")
        others[0].signs = {n: first.signs[n] for n in AT_THE_BEGINNING if n in first.signs} | others[0].signs
    else:
        first.length = full
    for bar in others[:-1]:
        if 0 < bar.length < full - ROUNDING and bar.length + first.length != full:
            guesses.append(f"measure {bar.number} lasts {_quarters(bar.length)} and is filled up to {full}")
    return joined


def _quarters(length: Fraction) -> str:
    return f"{length} quarter" + "s" * (length != 1)


def _measures(bars: Sequence[_Bar], full: Fraction, guesses: list[str]) -> list[Measure]:
    """The measures of a chart, without the pickup."""
    placed = _placed(bars, full, guesses)
    measures, endings, copies = list[Measure](), tuple[int, ...](), 0
    sounding = before = parse_chord("N.C.")  # now, and before the first ending
    for place, bar in enumerate(bars):
        if bar.ending is not None:
            sounding = before = before if measures and measures[-1].endings else sounding
            endings = bar.ending
        copies = copies if bar.copies is None else bar.copies
        changes = placed[place] or (list(measures[-copies].chords) if 0 < copies <= place else [])
        if not changes or changes[0][0] > 0:
            changes.insert(0, (Fraction(0), sounding))
        if len(changes) > MAX_CHORDS:
            raise NumpyrnnError(f"measure {bar.number} must have at most {MAX_CHORDS} chords, it has {len(changes)}")
        measures.append(Measure(changes, endings=endings, **bar.signs))
        sounding = _alone(changes[-1][1])
        if endings and (bar.stops or "ends" in bar.signs or not any(b.stops or b.ending for b in bars[place + 1 :])):
            endings = ()
    return measures[bars[0].length < full :]


def _alone(chord: Chord) -> Chord:
    """A chord without its alternates."""
    return replace(chord, symbol=chord.symbol.removesuffix(chord.alternates), alternates="")


def _placed(bars: Sequence[_Bar], full: Fraction, guesses: list[str]) -> dict[int, list[Change]]:
    """The chords of each bar with their onsets. A pickup is the end of a bar."""
    placed, known = defaultdict[int, list[Change]](list), dict[object, Chord]()
    harmonies = []
    for place, bar in enumerate(bars):
        start = place * full + (full - bar.length) * (place == 0)
        for (
            onset,
            element,
        ) in bar.harmonies:  # one at the end of a measure gives way to one at the beginning of the next
            rank = element.get("type") == "alternate", onset >= (bar.length or full)
            harmonies.append((round((start + onset) * GRID), rank, element, bar))
    for time, _, element, bar in sorted(harmonies, key=itemgetter(0, 1)):
        content = tuple((e.tag, e.text, *e.attrib.values()) for e in element.iter() if e.tag != "offset")
        if content not in known:
            with naming(f"measure {bar.number}"):
                known[content], printed = read_harmony(element)
            if printed:
                guesses.append(f"measure {bar.number}: {printed} is printed, kind and degrees say {known[content]}")
            if len(known) > MAX_DIFFERENT:
                raise NumpyrnnError(f"a chart must have at most {MAX_DIFFERENT} different chords, it has more")
        chord = known[content]
        place, onset = divmod(max(Fraction(time, GRID), Fraction(0)), full)
        changes, shown = placed[place], f"({chord})"
        second = bool(changes) and changes[-1][0] == onset
        if place >= len(bars):
            guesses.append(f"measure {bar.number}: {chord} stands after the end and is left out")
        elif not second and element.get("type") != "alternate":
            changes.append((onset, chord))
        elif changes and shown not in f"({_alone(changes[-1][1])}){changes[-1][1].alternates}":
            onset, held = changes[-1]
            guesses.append(f"measure {bar.number}: {chord} stands over {held} and is not played")
            if "(" not in str(chord):  # brackets within brackets cannot be read
                changes[-1] = onset, replace(held, symbol=held.symbol + shown, alternates=held.alternates + shown)
    return placed
