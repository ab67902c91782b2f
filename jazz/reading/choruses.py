"""Choruses written as text: pitches, durations and chord symbols, one bar a line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from music.files import naming
from music.midi import Note
from numpyrnn import NumpyrnnError
from workbench.files import MAX_NOTES_BYTES, read_text

from ..changes import Changes
from ..charts.chart import Change, bar_length, parse_meter, spread
from ..chords import Chord, parse_chord, semitones_above_c
from ..grammar import Element
from ..tunes import Tune, chord_elements, make_bars

TOKEN = re.compile(r"(?:([A-Ga-g](?:##|bb|#|b|))(\d)|r)/(1|2|4|8|16|32)(t|\.|)(~?)")
STRETCH = {"": Fraction(1), ".": Fraction(3, 2), "t": Fraction(2, 3)}
FIELDS = ("title", "form", "meter", "tempo", "feel")
OPTIONAL = ("style",)


@dataclass(frozen=True)
class Chorus:
    """One chorus: a melody over changes.

    Attributes
    ----------
    name : str, the file's name without its ending
    tempo : int, quarters a minute
    melody : list of Note, in order, with even eighths
    changes : Changes, named after the form; their feel says how the eighths are played
    style : str, the manner, such as "bebop"; empty if the file says none
    """

    name: str
    tempo: int
    melody: list[Note]
    changes: Changes
    style: str = ""


def read_chorus(path: str | Path) -> Chorus:
    """Read a chorus from its text file.

    The file begins with the fields title, form, meter, tempo and feel, written `name: value`; a style may be said,
    such as bebop. Then each line is a bar, written `chords | notes`. The chords share the bar's beats. A note is
    PITCH/DURATION: `Eb5/8` is an eighth, `C5/4.` a dotted quarter, `A4/8t` an eighth triplet, `r/2` a half rest. A `~`
    ties a note to the next. Lines that begin with `#` are comments.

    Parameters
    ----------
    path : text file in UTF-8

    Returns
    -------
    Chorus

    Raises
    ------
    NumpyrnnError
        if the file cannot be read, or a line is wrong; the error gives its number
    """
    path = Path(path)
    fields, bars = _read_lines(path)
    missing = [name for name in FIELDS if name not in fields]
    tempo = fields.get("tempo", "")
    if missing or not bars or not tempo.isdecimal() or fields["feel"] not in ("swing", "straight"):
        why = f"missing: {', '.join(missing)}" if missing else f"{fields}, {len(bars)} bars"
        raise NumpyrnnError(f"{path} must have {', '.join(FIELDS)} (feel: swing or straight) and bars; got {why}")
    if not 20 <= int(tempo[:6]) <= 400:
        raise NumpyrnnError(f"{path}: the tempo must lie in 20 to 400 quarters a minute, got {tempo}")
    with naming(path):
        meter = parse_meter(fields["meter"])
    length = bar_length(meter)
    melody: list[Note] = []
    changes: list[list[Change]] = []
    tied = False
    for i, bar in enumerate(bars):
        where, onset = f"{path}, line {bar.line}", length * i
        total = sum((written.duration for written in bar.notes), Fraction(0))
        if total != length or not bar.chords:
            got = f"{total} quarter{'s' * (total != 1)}" if bar.chords else "no chords"
            raise NumpyrnnError(f"{where}: a bar must have chords and {length} quarters, got {got}")
        with naming(where):
            changes.append(spread(bar.chords, meter))
        for pitch, duration, ties in bar.notes:
            if tied and (not melody or melody[-1].pitch != pitch):
                raise NumpyrnnError(f"{where}: a tied note must have the pitch of the note before")
            if tied:
                melody[-1] = melody[-1]._replace(duration=melody[-1].duration + duration)
            elif pitch is not None:
                melody.append(Note(onset, duration, pitch))
            onset, tied = onset + duration, ties
    if tied or not melody:
        raise NumpyrnnError(f"{path} must have notes, and its last note must not be tied")
    form = Changes(changes, meter, fields["form"], fields["title"], fields["feel"])
    return Chorus(path.stem, int(tempo), melody, form, fields.get("style", "").lower())


class _Note(NamedTuple):
    pitch: int | None
    duration: Fraction
    tied: bool


class _Bar(NamedTuple):
    line: int
    chords: list[Chord]
    notes: list[_Note]


def _read_lines(path: Path) -> tuple[dict[str, str], list[_Bar]]:
    """Parse the fields and the bars of a file."""
    fields: dict[str, str] = {}
    bars: list[_Bar] = []
    for number, line in enumerate(read_text(path, MAX_NOTES_BYTES).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        with naming(f"{path}, line {number}"):
            if "|" in line:
                chords, _, notes = line.partition("|")
                symbols = [chord for chord in map(parse_chord, chords.split()) if chord.played]
                bars.append(_Bar(number, symbols, _read_notes(notes)))
                continue
            name, colon, value = line.partition(":")
            if not colon or name not in FIELDS + OPTIONAL or bars:
                raise NumpyrnnError(f"a line must be `chords | notes` or, above them, `{FIELDS[0]}: ...`")
            fields[name] = value.strip()
    return fields, bars


def _read_notes(text: str) -> list[_Note]:
    """Parse the notes and rests of a bar."""
    notes = []
    for token in text.split():
        match = TOKEN.fullmatch(token)
        if not match or (match[1] is None and match[5]):
            raise NumpyrnnError(f"a note must be like Eb5/8, C5/4., A4/8t, r/2 or C5/2~, got {token!r}")
        name, octave, part, form, tie = match.groups()
        pitch = 12 * (int(octave) + 1) + semitones_above_c(name[0].upper() + name[1:]) if name else None
        if pitch is not None and not 0 <= pitch <= 127:
            raise NumpyrnnError(f"a pitch must lie in C-1 to G9, got {token!r}")
        notes.append(_Note(pitch, Fraction(4, int(part)) * STRETCH[form], bool(tie)))
    return notes


def tune_of_chorus(chorus: Chorus) -> Tune:
    """Convert a written chorus to a tune."""
    melody, changes = [Element(note.onset, note.duration, (note.pitch,)) for note in chorus.melody], chorus.changes
    bars = make_bars(melody, chord_elements(changes.flat()), changes.grid)
    return Tune(chorus.name, bars, changes.name, chorus.style)
