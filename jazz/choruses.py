"""Choruses as readable text: pitches, durations and chord symbols, a bar a line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from numpyrnn import NumpyrnnError
from numpyrnn.files import read_text

from .changes import ACCIDENTALS, LETTERS, Chord, bar_length, parse_chord, parse_meter, spread

TOKEN = re.compile(r"(?:([A-Ga-g])(##|bb|#|b|)(\d)|r)/(1|2|4|8|16|32)(t|\.|)(~?)")
FIELDS = ("title", "form", "meter", "tempo", "feel")


@dataclass(frozen=True)
class Tone:
    """One note of a melody: where it starts and how long it is, in quarters, and its MIDI pitch."""

    onset: Fraction
    duration: Fraction
    pitch: int


@dataclass(frozen=True)
class Chorus:
    """One chorus: a melody over changes.

    Attributes
    ----------
    name : str, the file's name without its ending
    title, form, feel : str; the feel is "swing" or "straight" (how eighths are played; they are written as halves)
    meter : (beats, unit)
    tempo : int, quarters a minute
    melody : list of Tone, in order
    chords : list of (onset in quarters, Chord)
    n_bars : int
    """

    name: str
    title: str
    form: str
    feel: str
    meter: tuple[int, int]
    tempo: int
    melody: list[Tone]
    chords: list[tuple[Fraction, Chord]]
    n_bars: int

    @property
    def bar(self) -> Fraction:
        """Length of a bar in quarters."""
        return bar_length(self.meter)


def read_chorus(path: str | Path) -> Chorus:
    """Read a chorus from its text file.

    First come the fields title, form, meter, tempo and feel (`name: value`), then one bar a line, `chords | notes`.
    The chords share the bar equally. A note is PITCH/DURATION: `Eb5/8` an eighth, `C5/4.` a dotted quarter, `A4/8t` an
    eighth triplet, `r/2` a half rest; `~` after it ties it to the next. Lines that begin with # do not count.

    Parameters
    ----------
    path : text file in UTF-8

    Returns
    -------
    Chorus

    Raises
    ------
    NumpyrnnError
        if a line is wrong, named with its number
    """
    path, fields, bars = Path(path), {}, []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            if "|" in line:
                chords, _, notes = line.partition("|")
                bars.append((number, [parse_chord(symbol) for symbol in chords.split()], _read_notes(notes)))
            else:
                name, colon, value = line.partition(":")
                if not colon or name not in FIELDS or bars:
                    raise NumpyrnnError(f"a line must be `chords | notes` or, above them, `{FIELDS[0]}: ...`")
                fields[name] = value.strip()
        except NumpyrnnError as error:
            raise NumpyrnnError(f"{path}, line {number}: {error}") from error
    missing = [name for name in FIELDS if name not in fields]
    tempo = fields.get("tempo", "")
    if missing or not bars or not tempo.isdecimal() or fields["feel"] not in ("swing", "straight"):
        why = f"missing: {', '.join(missing)}" if missing else f"{fields}, {len(bars)} bars"
        raise NumpyrnnError(f"{path} must have {', '.join(FIELDS)} (feel: swing or straight) and bars; got {why}")
    meter = parse_meter(fields["meter"])
    length = bar_length(meter)
    melody: list[Tone] = []
    changes: list[tuple[Fraction, Chord]] = []
    tied = False
    for start, (number, chords, notes) in zip((length * i for i in range(len(bars))), bars):
        where = f"{path}, line {number}"
        total = sum((duration for _, duration, _ in notes), Fraction(0))
        if total != length or not chords:
            raise NumpyrnnError(f"{where}: a bar must have chords and {length} quarters, got {len(chords)} and {total}")
        changes += [(start + onset, chord) for onset, chord in spread(chords, meter)]
        onset = start
        for pitch, duration, tie in notes:
            if tied and (not melody or melody[-1].pitch != pitch):
                raise NumpyrnnError(f"{where}: a tied note must go on with its own pitch")
            if tied:
                melody[-1] = Tone(melody[-1].onset, melody[-1].duration + duration, melody[-1].pitch)
            elif pitch is not None:
                melody.append(Tone(onset, duration, pitch))
            onset, tied = onset + duration, tie
    if tied or not melody:
        raise NumpyrnnError(f"{path} must have notes, and its last note must not be tied")
    title, form, feel = fields["title"], fields["form"], fields["feel"]
    return Chorus(path.stem, title, form, feel, meter, int(tempo), melody, changes, len(bars))


def _read_notes(text: str) -> list[tuple[int | None, Fraction, bool]]:
    """(pitch or None, duration, whether it is tied) of every token."""
    notes = []
    for token in text.split():
        match = TOKEN.fullmatch(token)
        if not match or (match[1] is None and match[6]):
            raise NumpyrnnError(f"a note must be like Eb5/8, C5/4., A4/8t, r/2 or C5/2~, got {token!r}")
        letter, accidental, octave, part, form, tie = match.groups()
        duration = Fraction(4, int(part)) * {"": Fraction(1), ".": Fraction(3, 2), "t": Fraction(2, 3)}[form]
        pitch = None
        if letter is not None:
            pitch = 12 * (int(octave) + 1) + LETTERS[letter.upper()] + ACCIDENTALS[accidental]
        notes.append((pitch, duration, bool(tie)))
    return notes
