"""Chords: the table of qualities, chords read from symbols, and the harmony of given pitches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple

from numpyrnn import NumpyrnnError

from .symbols import clean, read_quality

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "b": -1, "##": 2, "bb": -2}


class Quality(NamedTuple):
    """A chord quality, such as major or dominant seventh.

    Attributes
    ----------
    name : str, what stands after the root, such as "m7b5"
    tones : tuple of int, semitones above the root, in the order root, third, fifth, seventh, ...
    prior : float, optional
        Bonus when chords are estimated from notes. A quality without a prior is never estimated.
    """

    name: str
    tones: tuple[int, ...]
    prior: float | None = None


# The qualities that are estimated, and any that the grammar in `symbols` does not read.
QUALITIES = [
    Quality("", (0, 4, 7), 0.02),
    Quality("m", (0, 3, 7), 0.02),
    Quality("6", (0, 4, 7, 9), 0.0),
    Quality("m6", (0, 3, 7, 9), 0.0),
    Quality("maj7", (0, 4, 7, 11), 0.04),
    Quality("m7", (0, 3, 7, 10), 0.04),
    Quality("m7b5", (0, 3, 6, 10), 0.0),
    Quality("dim7", (0, 3, 6, 9), 0.0),
    Quality("7", (0, 4, 7, 10), 0.04),
    Quality("7#5", (0, 4, 8, 10), -0.05),
    Quality("7sus4", (0, 5, 7, 10), -0.05),
]
DEGREES = (
    1,
    9,
    9,
    3,
    3,
    4,
    5,
    5,
    5,
    6,
    7,
    7,
)  # of semitones above the root, in a quality that the grammar does not read
ROOT = "[A-G](?:##|bb|#|b|)"
SYMBOL = re.compile(rf"({ROOT})(.*?)(?:/({ROOT}))?")
ALTERNATES = re.compile(r"(.*?)\s*(\( *[A-GN][^()]*\))")  # a bracket that opens with a root
LONGEST = 100  # letters of a symbol
NO_CHORD = ("NC", "N/C", "N", "NOCHORD")  # without dots and spaces
# Besides the names of QUALITIES, these may be proposed for a symbol that cannot be read.
PROPOSED = [seventh + change for seventh in ("7", "m7", "maj7") for change in ("b5", "#5", "b9", "#9", "#11", "b13")]
PROPOSED += ["dim", "aug", "5", "sus4", "sus2", "9", "13", "maj9", "maj13", "m9", "m11", "m13", "mmaj7"]
PROPOSED += ["69", "m69", "add9", "7alt", "7b9b13", "9#11", "13b9", "13#11", "9sus4", "13sus4", "mmaj9", "m9b5"]


@dataclass(frozen=True)
class Chord:
    """A parsed chord symbol.

    Attributes
    ----------
    symbol : str, as written
    root : int, pitch class; None for N.C. (no chord)
    tones : tuple of int, pitch classes in the order root, third, fifth, seventh, ...
    bass : int, pitch class; the root unless a slash names another
    parts : tuple of str, root, quality and bass as written, with # and b; the bass may be empty
    degrees : tuple of int, the degree of each tone, 1 to 13; a suspension is degree 2 or 4
    alternates : str, chords in brackets, such as "(Gm7)", which are shown and not played
    played : bool, whether the symbol has more than alternates
    """

    symbol: str
    root: int | None = None
    tones: tuple[int, ...] = ()
    bass: int | None = None
    parts: tuple[str, str, str] = ("", "", "")
    degrees: tuple[int, ...] = ()
    alternates: str = ""
    played: bool = True

    @property
    def intervals(self) -> tuple[int, ...]:
        """Semitones of each tone above the root."""
        return tuple((tone - self.tones[0]) % 12 for tone in self.tones)

    def __str__(self) -> str:
        return self.symbol


@lru_cache(4096)
def parse_chord(symbol: str, order: str = "ordinary") -> Chord:
    """Read one chord symbol: `C`, `F#m7b5`, `Bb6/D`, `Eb^7`, `C-7`, `Ao7`, `G13sus4(b9)`, `N.C.`, ...

    A bracket that opens with a root holds alternates, which are shown and not played: `C7(Gm7)` is C7. A symbol that is
    all in brackets, `(C7)`, has `played` False.

    Parameters
    ----------
    symbol : str
    order : "ordinary" or "weimar", the order of numbers and accidentals; see `symbols.read_quality`

    Returns
    -------
    Chord

    Raises
    ------
    NumpyrnnError
        if it is not a chord symbol; the message says why, and names the nearest symbol that can be read
    """
    if order not in ("ordinary", "weimar"):
        raise NumpyrnnError(f"the order of a chord symbol must be ordinary or weimar, got {order!r}")
    plain = clean(symbol[:LONGEST])
    try:
        if len(symbol) > LONGEST:
            raise NumpyrnnError(f"it must have at most {LONGEST} letters")
        chord = _read(plain, order)
        return chord if chord.symbol == "N.C." else replace(chord, symbol=symbol.strip())
    except NumpyrnnError as error:
        what = "a chord must be like C, Dm7, F#m7b5, Bb6/D, B7alt, Eb^7 or N.C."
        raise NumpyrnnError(f"{what}, got {symbol[:LONGEST]!r}: {error}{_nearest(plain)}") from None


def is_chord(text: str) -> bool:
    """Whether a text can be read as a chord symbol."""
    try:
        return bool(parse_chord(text))
    except NumpyrnnError:
        return False


def _read(plain: str, order: str) -> Chord:
    """Read a symbol with plain signs; the error says only what is wrong."""
    if plain.replace(".", "").replace(" ", "").upper() in NO_CHORD:
        return Chord("N.C.")
    if bracket := ALTERNATES.fullmatch(plain):
        with suppress(NumpyrnnError):  # (Add9) opens like a chord, but is an alteration
            shown = [_read(part, order) for part in re.split(r"[ ,]+", bracket[2].strip("() "))]
            chord = _read(bracket[1], order) if bracket[1] else replace(shown[0], played=False)
            return replace(chord, symbol=plain, alternates=chord.alternates + bracket[2])
    match = SYMBOL.fullmatch(plain)
    if not match:
        raise NumpyrnnError("it must begin with a root, A to G")
    root, spelling, bass = (part or "" for part in match.groups())
    if re.search(r"[|/\\] *[A-G]", spelling):
        raise NumpyrnnError("it must be one chord; only a note can stand after a slash")
    try:
        degrees = read_quality(spelling, order)
    except NumpyrnnError:
        degrees = {tone: DEGREES[tone] for quality in QUALITIES if quality.name == spelling for tone in quality.tones}
        if not degrees:
            raise
    tones = tuple((semitones_above_c(root) + tone) % 12 for tone in degrees)
    parts = root, spelling, bass
    return Chord(plain, tones[0], tones, semitones_above_c(bass or root) % 12, parts, tuple(degrees.values()))


def _nearest(plain: str) -> str:
    """The end of an error message: the readable symbol that looks most like this one. Empty if there is no root."""
    match = SYMBOL.fullmatch(plain[:1].upper().replace("H", "B") + plain[1:].replace("♮", ""))
    if not match or re.match(r"[ei]s(?!us)|s(?![a-z])", plain[1:]):  # the German Es and Fis are not E and F
        return ""
    root, spelling, bass = match.groups()
    spelling = re.sub("M(?![AIai])", "maj", spelling).lower()
    found = get_close_matches(spelling, [*(quality.name for quality in QUALITIES), *PROPOSED], 1)
    return f" (the nearest is {''.join([root, *found, *(['/', bass] if bass else [])])})"


def semitones_above_c(name: str) -> int:
    """Semitones from C to a note name such as "Eb", within the octave of its letter: -1 for "Cb", 12 for "B#"."""
    return LETTERS[name[0]] + ACCIDENTALS[name[1:]]


# ----------------------------------------------------------------------------------------- the harmony of given pitches


def root_of(pitches: Sequence[int]) -> int:
    """The most likely root of a chord, judged by the third, the fifth and the seventh above it, and by the bass.

    Parameters
    ----------
    pitches : MIDI numbers, one or more

    Returns
    -------
    int, pitch class
    """
    tones, bass = {pitch % 12 for pitch in pitches}, min(pitches) % 12

    def score(root: int) -> float:
        above = {(tone - root) % 12 for tone in tones}
        third, altered_fifth, seventh = (bool(above & some) for some in ({3, 4}, {6, 8}, {10, 11}))
        fifths, tritone = 1.5 * (7 in above) + 0.25 * altered_fifth, above >= {4, 10}
        return 2 * third + fifths + seventh + 0.5 * tritone + 1.125 * (root == bass)

    return max(sorted(tones), key=lambda root: (score(root), -((root - bass) % 12)))


def family(pitches: Sequence[int], root: int) -> str:
    """The family of a chord: major, dominant, minor, diminished, augmented or suspended.

    Parameters
    ----------
    pitches : MIDI numbers
    root : int, pitch class

    Returns
    -------
    str
    """
    above = {(pitch - root) % 12 for pitch in pitches}
    if 4 in above:
        return "dominant" if 10 in above else "augmented" if 8 in above and 7 not in above else "major"
    if 3 in above:
        return "diminished" if 6 in above and 7 not in above else "minor"
    return "suspended"
