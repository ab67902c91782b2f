"""Instruments that play solos: their General MIDI programs, their ranges, and how they are written."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import NamedTuple

from numpyrnn import NumpyrnnError
from numpyrnn.checks import shown

from .chords import semitones_above_c

LOWEST, OCTAVE = 12, 12  # the pitch C0, below which no score is written; semitones, the least range
NOTE = re.compile(r"([A-Ga-g])([#b♯♭]?)(-?\d{1,2})")
RANGE = re.compile(rf"\s*({NOTE.pattern})\s*(?:-|\u2013|to|\.\.)\s*({NOTE.pattern})\s*")
MIDDLE_LINE = 71  # B4, of the treble clef
TREBLE = "G2"  # sign and line of the clef
NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


class Instrument(NamedTuple):
    """An instrument.

    Attributes
    ----------
    name : str, by General MIDI
    program : int, its General MIDI program, from 1
    low, high : int, the lowest and the highest pitch that sound, as MIDI numbers
    up : int, semitones from a sounding to a written pitch
    clef : str, sign and line of the clef in which it is written, such as "G2"
    """

    name: str
    program: int
    low: int
    high: int
    up: int = 0
    clef: str = TREBLE

    @property
    def written(self) -> str:
        """The written range, such as "Bb3-F#6"."""
        return f"{pitch_name(self.low + self.up)}-{pitch_name(self.high + self.up)}"

    @property
    def sounding(self) -> str:
        """The sounding range, such as "Ab2-E5"."""
        return f"{pitch_name(self.low)}-{pitch_name(self.high)}"

    @property
    def key(self) -> str:
        """The note that sounds when a C is written, such as "Bb"."""
        return NAMES[-self.up % OCTAVE]


def pitch_name(pitch: int) -> str:
    """The name of a pitch, such as "Bb3"; 60 is "C4"."""
    return f"{NAMES[pitch % OCTAVE]}{pitch // OCTAVE - 1}"


# Name, program, sounding range; then the written pitch above the sounding one in semitones and the clef, unless they
# are 0 and G2. Words in brackets may be left out.
TABLE = """
piano (acoustic grand)      1 A0-C8
electric piano              5 E1-E7
vibraphone (vibes)         12 F3-F6
marimba                    13 A2-C7
organ (drawbar)            17 C2-C7
accordion                  22 F3-A6
harmonica                  23 C4-C7
acoustic guitar (nylon)    25 E2-B5 12
acoustic guitar (steel)    26 E2-C6 12
electric guitar (jazz)     27 E2-C6 12
electric guitar (clean)    28 E2-C6 12
overdriven guitar          30 E2-C6 12
acoustic bass (double)     33 E1-C4 12 F4
electric bass (finger)     34 E1-Eb4 12 F4
fretless bass              36 E1-Eb4 12 F4
violin                     41 G3-E7
viola                      42 C3-E6 0 C3
cello                      43 C2-A5 0 F4
contrabass                 44 E1-C4 12 F4
voice oohs (scat)          54 C3-C6
trumpet                    57 E3-Bb5 2
flugelhorn                 57 E3-Bb5 2
trombone                   58 E2-Bb4 0 F4
tuba                       59 D1-F4 0 F4
muted trumpet              60 E3-Bb5 2
french horn                61 B1-F5 7
soprano saxophone          65 Ab3-E6 2
alto saxophone             66 Db3-A5 9
tenor saxophone            67 Ab2-E5 14
baritone saxophone         68 C2-A4 21
oboe                       69 Bb3-G6
english horn               70 E3-C6 7
bassoon                    71 Bb1-Eb5 0 F4
clarinet                   72 D3-F6 2
bass clarinet              72 Bb1-F5 14
piccolo                    73 D5-C8 -12
flute                      74 C4-C7
recorder                   75 F4-G6
"""


def parse_note(text: str) -> int:
    """The MIDI number of a note such as "Eb3" or "F#5".

    An error if it is no note, below C0, or above the pitches of MIDI.
    """
    match = NOTE.fullmatch(text.strip())
    if not match:
        raise NumpyrnnError(f"a note must be like G3, Bb3 or F#5, got {shown(text)}")
    letter, sign, octave = match.groups()
    pitch = semitones_above_c(letter.upper() + sign.replace("♯", "#").replace("♭", "b")) + OCTAVE * (int(octave) + 1)
    if not LOWEST <= pitch <= 127:
        raise NumpyrnnError(f"a note must lie in C0 to G9, got {text.strip()}")
    return pitch


def parse_range(text: str) -> tuple[int, int]:
    """Read a range of sounding pitches.

    Parameters
    ----------
    text : str, such as "G3-C6"

    Returns
    -------
    low, high : int, MIDI numbers

    Raises
    ------
    NumpyrnnError
        unless it has two notes of MIDI, the lower one first, which are at least an octave apart
    """
    match = RANGE.fullmatch(text)
    if not match:
        raise NumpyrnnError(f"a range must be two notes, such as G3-C6, got {shown(text)}")
    low, high = map(parse_note, match.group(1, 5))
    if high < low:
        raise NumpyrnnError(f"a range must begin with its lower note, got {shown(text)}")
    if high - low < OCTAVE:
        raise NumpyrnnError(f"a range must be at least an octave, got {shown(text)}")
    return low, high


def _read(line: str) -> Instrument:
    name, program, span, up, clef = re.findall(r"(.*?) +(\d+) (\S+) ?(-?\d*) ?(\S*)", line)[0]
    return Instrument(name, int(program), *parse_range(span), int(up or 0), clef or TREBLE)


INSTRUMENTS = tuple(map(_read, TABLE.strip().split("\n")))


def find_instrument(name: str) -> Instrument:
    """Find an instrument by its name.

    Parameters
    ----------
    name : str, in any case, with spaces or hyphens; words may be shortened or left out: "tenor sax" or "Alto-Sax"

    Returns
    -------
    Instrument

    Raises
    ------
    NumpyrnnError
        if no instrument or several have the name
    """
    wanted = _words(name[:200])
    for one in INSTRUMENTS:
        if wanted in (_words(one.name), _words(one.name.partition(" (")[0])):
            return one
    found = [one for one in INSTRUMENTS if wanted and all(_begins(word, _words(one.name)) for word in wanted)]
    found = [one for one in found if {*wanted} <= {*_words(one.name)}] or found
    whole = [one for one in found if len(_words(one.name)) == len(wanted)]
    if len(found) == 1 or len(whole) == 1:
        return (whole or found)[0]
    known = {" ".join(_words(one.name)): one for one in INSTRUMENTS}
    near = found or [known[text] for text in get_close_matches(" ".join(wanted), known, 3, 0.4)]
    names = ", ".join(one.name for one in near) or "listed by `jazz instruments`"
    raise NumpyrnnError(f"no instrument is called {name!r:.60}, the nearest are: {names}")


def _words(name: str) -> list[str]:
    return re.findall("[a-z]+", name.lower())


def _begins(start: str, words: list[str]) -> bool:
    return any(word.startswith(start) for word in words)


TENOR = find_instrument("tenor saxophone")


def parse_transposition(text: str) -> int:
    """Semitones from concert pitch up to the nearest pitch that is written for an instrument in a key such as "Bb"."""
    name = text.strip().replace(" flat", "b").replace("♭", "b").replace("♯", "#")
    if not re.fullmatch("[A-Ga-g][#b]?", name):
        raise NumpyrnnError(f"a transposition must be the key of an instrument, such as Bb, Eb or F, got {shown(text)}")
    return -semitones_above_c(name[0].upper() + name[1:]) % OCTAVE


def notation(instrument: Instrument, transpose: str | None = None) -> tuple[int, tuple[str, int, int] | None]:
    """How an instrument's lead sheet is written.

    Parameters
    ----------
    instrument : Instrument
    transpose : str, optional, the key of the instrument that reads it, such as "Bb", or "instrument" for this one's
        own; default: as it sounds

    Returns
    -------
    up : int, semitones from a sounding to a written pitch
    clef : (sign, line, octaves above the written pitch), or None for the clef in which the notes fit best

    Raises
    ------
    NumpyrnnError
        if it is no key
    """
    up, own = 0, (instrument.clef[0], int(instrument.clef[1]))
    if transpose == "instrument":
        up = instrument.up
    elif transpose is not None:
        up = parse_transposition(transpose)
        middle = up + (instrument.low + instrument.high) / 2
        octaves = round((MIDDLE_LINE - middle) / OCTAVE) if up else 0
        up = instrument.up if instrument.up % OCTAVE == up else up + OCTAVE * octaves
    if up:
        return up, (*own, 0) if up == instrument.up else ("G", 2, 0)
    return up, (*own, -(instrument.up // OCTAVE)) if instrument.name else None
