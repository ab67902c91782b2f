"""Notes as they are written: cut at bar lines, split into values that show the beat, and exported as MusicXML.

music21 takes long to import, so this module is imported only when a score is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import accumulate, groupby
from typing import NamedTuple

from music21 import chord, duration, metadata, note, stream, tie
from music21.musicxml.m21ToXml import GeneralObjectExporter

from numpyrnn import NumpyrnnError

GRID = 48  # places in a quarter
PLAIN = [Fraction(n, 16) for n in (128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)]  # written with at most one dot
TRIPLET = {
    **{32: ("quarter", 0), 24: ("eighth", 1), 16: ("eighth", 0), 12: ("16th", 1), 8: ("16th", 0), 6: ("32nd", 1)},
    **{4: ("32nd", 0), 3: ("64th", 1), 2: ("64th", 0), 1: ("128th", 0)},
}
FLAGS = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4, "128th": 5}
UNWANTED = re.compile(rb"\s*<(encoding-date|software|creator|movement-title|inversion)\b[^>]*>[^<]*</\1>")


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


def by_bar(
    sounds: Iterable[tuple[Fraction, Fraction, tuple[str, ...]]], lengths: Sequence[Fraction]
) -> list[list[Span]]:
    """Cut notes at the bar lines, and fill the time between them with rests.

    Parameters
    ----------
    sounds : iterable of (onset, end, names), in quarters and in the order of time; the names are pitches such as "E-4"
    lengths : sequence of Fraction, quarters in each bar

    Returns
    -------
    list of lists of Span, one for each bar

    Raises
    ------
    NumpyrnnError
        if two sounds overlap, one ends after the last bar, or a time is not a multiple of 1/48 of a quarter
    """
    lines = list(accumulate(lengths, initial=Fraction(0)))
    bars: list[list[Span]] = [[] for _ in lengths]
    now, number = Fraction(0), 0
    for onset, end, names in [*sounds, (lines[-1], lines[-1], ())]:
        if not now <= onset <= end <= lines[-1] or onset * GRID % 1 or end * GRID % 1:
            allowed = f"from quarter {now} to {lines[-1]}, in steps of 1/{GRID}"
            raise NumpyrnnError(f"a note must be {allowed}, got {onset} to {end}")
        for until, sounding in ((onset, ()), (end, names)):
            while now < until:
                line, stop = lines[number], min(until, lines[number + 1])
                tied = bool(sounding)
                bars[number].append(Span(now - line, stop - line, sounding, tied and now > onset, tied and stop < end))
                now, number = stop, number + (stop == lines[number + 1])
    return bars


def notes(spans: Sequence[Span], meter: tuple[int, int]) -> list[tuple[Fraction, note.GeneralNote]]:
    """Write the spans of a bar as notes and rests whose values and beams show the beat.

    Parameters
    ----------
    spans : sequence of Span; those of a pickup begin later than 0
    meter : (beats, unit)

    Returns
    -------
    list of (onset, note, chord or rest), the onset in quarters from the beginning of the bar
    """
    bar = Fraction(4 * meter[0], meter[1])
    if len(spans) == 1 and not spans[0].names:
        return [(spans[0].start, note.Rest(spans[0].end - spans[0].start, fullMeasure=True))]
    found: list[tuple[Fraction, note.GeneralNote]] = []
    places = {place for span in spans for place in (span.start, span.end)}
    triplets = {place // 1 for place in places if place * 16 % 1}  # beats that 64ths do not divide
    for span in spans:
        start = span.start
        while start < span.end:
            end = _next(start, span, triplets, meter)
            length = duration.Duration(end - start)
            if start // 1 in triplets:
                kind, dots = TRIPLET[int((end - start) * GRID)]
                tuplet = duration.Tuplet(3, 2, "eighth")
                edge = min(start // 1 + 1, bar)
                tuplet.type = "start" if start % 1 == 0 else "stop" if end == edge else None
                length = duration.Duration(type=kind, dots=dots)
                length.appendTuplet(tuplet)
            if len(span.names) > 1:
                written: note.GeneralNote = chord.Chord(span.names, duration=length)
            elif span.names:
                written = note.Note(span.names[0], duration=length)
            else:
                written = note.Rest(duration=length, fullMeasure=False)  # to find that out would take long
            before, after = span.before or start > span.start, span.after or end < span.end
            if span.names and (before or after):
                written.tie = tie.Tie("continue" if before and after else "stop" if before else "start")
            found.append((start, written))
            start = end
    last = max(bar // _beat(meter) - 1, 0)  # what is left after the last whole beat belongs to it
    for _, group in groupby(found, lambda item: (min(item[0] // _beat(meter), last), _flags(item[1]) > 0)):
        _beam([element for _, element in group])
    return found


def _beat(meter: tuple[int, int]) -> Fraction:
    """A beat of a meter, in quarters: three units of compound meters such as 6/8, a quarter of others."""
    return Fraction(12, meter[1]) if meter[0] % 3 == 0 and meter[1] >= 8 else Fraction(1)


def _flags(element: note.GeneralNote) -> int:
    """How many flags or beams a note has."""
    return 0 if element.isRest else FLAGS.get(element.duration.type, 0)


def _beam(group: Sequence[note.NotRest]) -> None:
    """Connect successive notes of a beat."""
    flags = [0, *map(_flags, group), 0]
    for i, element in enumerate(group if len(group) > 1 else [], 1):
        for level in range(1, flags[i] + 1):
            before, after = flags[i - 1] >= level, flags[i + 1] >= level
            kind = "continue" if before and after else "stop" if before else "start" if after else "partial"
            element.beams.append(kind, None if before or after else "left" if i > 1 else "right")


def _next(start: Fraction, span: Span, triplets: set[int], meter: tuple[int, int]) -> Fraction:
    """The end of the next written note of a span, chosen so that it needs at most one dot and shows the beat."""
    if start // 1 in triplets:
        room = (min(span.end, start // 1 + Fraction(1)) - start) * GRID
        return start + Fraction(max(size for size in TRIPLET if size <= room), GRID)
    end = min([Fraction(beat) for beat in triplets if start < beat < span.end], default=span.end)
    bar = Fraction(4 * meter[0], meter[1])
    beat = _beat(meter)
    group = beat if beat != 1 else Fraction(2) if bar % 2 == 0 else bar  # half a bar of 4/4
    grain = Fraction(1, 2) if span.names else beat  # notes may be syncopated by an eighth, rests may not

    def fits(stop: Fraction) -> bool:
        if start // group < -(-stop // group) - 1:  # a group begins inside
            return start % group == 0 and stop % beat == 0
        if start // 1 == -(-stop // 1) - 1:
            return True
        return start % grain == stop % grain == 0 and (stop - start <= beat * 3 / 2 or start % beat == 0)

    stops = [start + value for value in PLAIN if start + value <= end]
    order = [s for unit in (beat, Fraction(1, 4), Fraction(1, 16)) for s in stops if s == end or s % unit == 0]
    return next(stop for stop in order if fits(stop))


def musicxml(score: stream.Score, title: str) -> bytes:
    """Export a score whose notation is complete; the same score gives the same bytes.

    Parameters
    ----------
    score : music21.stream.Score of one part or one group of staves
    title : str

    Returns
    -------
    bytes, UTF-8
    """
    score.metadata = metadata.Metadata(title="".join(letter for letter in title if letter.isprintable()))
    exporter = GeneralObjectExporter(score)
    exporter.makeNotation = False  # a second time would be slow
    xml = UNWANTED.sub(b"", exporter.parse())
    name = re.search(rb'<part id="(\w+)"', xml)
    return xml.replace(name[1], b"P1") if name else xml  # music21 makes a random name
