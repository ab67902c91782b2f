"""Chord symbols: one table of qualities, used to read, voice, engrave and estimate chords."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from numpyrnn import NumpyrnnError

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "b": -1, "##": 2, "bb": -2}


class Quality(NamedTuple):
    """A chord quality, such as major or dominant seventh.

    Attributes
    ----------
    spellings : str, separated by spaces; a leading space stands for the empty spelling
    tones : tuple of int, semitones above the root, in the order root, third, fifth, seventh, ...
    kind : str, optional
        music21's name of the MusicXML kind. By default, the kind of the longest prefix of `tones` that has one.
    prior : float, optional
        Bonus when chords are estimated from notes. A quality without a prior is never estimated.
    """

    spellings: str
    tones: tuple[int, ...]
    kind: str | None = None
    prior: float | None = None


QUALITIES = [
    Quality(" maj M ma major", (0, 4, 7), "major", 0.02),
    Quality("m - min mi minor", (0, 3, 7), "minor", 0.02),
    Quality("dim o ° mb5 -b5", (0, 3, 6), "diminished"),
    Quality("aug + +5", (0, 4, 8), "augmented"),
    Quality("5", (0, 7), "power"),
    Quality("sus4 sus", (0, 5, 7), "suspended-fourth"),
    Quality("sus2", (0, 2, 7), "suspended-second"),
    Quality("6 maj6 M6", (0, 4, 7, 9), "major-sixth", 0.0),
    Quality("m6 -6 min6 mi6", (0, 3, 7, 9), "minor-sixth", 0.0),
    Quality("69 6/9 6(9) maj69", (0, 4, 7, 9, 2)),
    Quality("m69 m6/9 -69 min69", (0, 3, 7, 9, 2)),
    Quality("maj7 ^7 ^ M7 ma7 j7 Δ Δ7 major7", (0, 4, 7, 11), "major-seventh", 0.04),
    Quality("maj9 ^9 M9 ma9 Δ9", (0, 4, 7, 11, 2), "major-ninth"),
    Quality("maj13 ^13 M13 ma13", (0, 4, 7, 11, 2, 9), "major-13th"),
    Quality("maj7#11 ^7#11 M7#11 maj7+11 maj9#11 ^9#11", (0, 4, 7, 11, 2, 6)),
    Quality("maj7#5 ^7#5 M7#5 maj7+5", (0, 4, 8, 11)),
    Quality("add9 add2", (0, 4, 7, 2)),
    Quality("m7 -7 min7 mi7", (0, 3, 7, 10), "minor-seventh", 0.04),
    Quality("m9 -9 min9 mi9", (0, 3, 7, 10, 2), "minor-ninth"),
    Quality("m11 -11 min11 mi11", (0, 3, 7, 10, 2, 5), "minor-11th"),
    Quality("m13 -13", (0, 3, 7, 10, 2, 9), "minor-13th"),
    Quality("madd9 -add9", (0, 3, 7, 2)),
    Quality(
        "mmaj7 m^7 -^7 -maj7 mM7 -M7 minmaj7 m^ -^ m-maj7 mΔ mΔ7 -Δ -Δ7 mimaj7", (0, 3, 7, 11), "minor-major-seventh"
    ),
    Quality("m7b5 -7b5 ø ø7 h h7 min7b5 mi7b5 m7-5 -7-5", (0, 3, 6, 10), "half-diminished-seventh", 0.0),
    Quality("m9b5 -9b5", (0, 3, 6, 10, 2)),
    Quality("dim7 o7 °7", (0, 3, 6, 9), "diminished-seventh", 0.0),
    Quality("7 dom7", (0, 4, 7, 10), "dominant-seventh", 0.04),
    Quality("9", (0, 4, 7, 10, 2), "dominant-ninth"),
    Quality("13", (0, 4, 7, 10, 2, 9), "dominant-13th"),
    Quality("7b9 7-9", (0, 4, 7, 10, 1)),
    Quality("7#9", (0, 4, 7, 10, 3)),
    Quality("7b9#9", (0, 4, 7, 10, 1, 3)),
    Quality("7#11 7+11", (0, 4, 7, 10, 6)),
    Quality("9#11", (0, 4, 7, 10, 2, 6)),
    Quality("13#11", (0, 4, 7, 10, 2, 6, 9)),
    Quality("7b5 7-5", (0, 4, 6, 10), "dominant-seventh"),
    Quality("7#5 7+ +7 aug7 7+5", (0, 4, 8, 10), "augmented-seventh", -0.05),
    Quality("9#5 9+ +9", (0, 4, 8, 10, 2)),
    Quality("7b13", (0, 4, 7, 10, 8)),
    Quality("7b9b13", (0, 4, 7, 10, 1, 8)),
    Quality("7#9b13", (0, 4, 7, 10, 3, 8)),
    Quality("7#9#5", (0, 4, 8, 10, 3)),
    Quality("7b9#5", (0, 4, 8, 10, 1)),
    Quality("7b9b5", (0, 4, 6, 10, 1)),
    Quality("7#9b5", (0, 4, 6, 10, 3)),
    Quality("7b9#11", (0, 4, 7, 10, 1, 6)),
    Quality("13b9", (0, 4, 7, 10, 1, 9)),
    Quality("13#9", (0, 4, 7, 10, 3, 9)),
    Quality("7alt alt", (0, 4, 8, 10, 1, 3)),
    Quality("7sus4 7sus", (0, 5, 7, 10), prior=-0.05),
    Quality("9sus4 9sus 11", (0, 5, 7, 10, 2)),
    Quality("13sus4 13sus", (0, 5, 7, 10, 2, 9)),
    Quality("7susb9 7b9sus 7sus4b9 7b9sus4", (0, 5, 7, 10, 1)),
]
SYMBOL = re.compile(r"([A-G](?:##|bb|#|b|))(.*?)(?:/([A-G](?:##|bb|#|b|)))?")
NO_CHORD = ("N.C.", "NC", "N.C", "n.c.", "nc")


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
    """

    symbol: str
    root: int | None = None
    tones: tuple[int, ...] = ()
    bass: int | None = None
    parts: tuple[str, str, str] = ("", "", "")

    @property
    def intervals(self) -> tuple[int, ...]:
        """Semitones of each tone above the root."""
        return tuple((tone - self.tones[0]) % 12 for tone in self.tones)

    def __str__(self) -> str:
        return self.symbol


@lru_cache(4096)
def parse_chord(symbol: str) -> Chord:
    """Read one chord symbol: `C`, `F#m7b5`, `Bb6/D`, `Eb^7`, `C-7`, `Ao7`, `B7alt`, `N.C.`, ...

    Parameters
    ----------
    symbol : str

    Returns
    -------
    Chord

    Raises
    ------
    NumpyrnnError
        if it is not a chord symbol
    """
    if symbol in NO_CHORD:
        return Chord("N.C.")
    match = SYMBOL.fullmatch(symbol.replace("♭", "b").replace("♯", "#"))
    if match:
        root, spelling, bass = (part or "" for part in match.groups())
        quality = find_quality(spelling)
        if quality:
            tones = tuple((semitones_above_c(root) + tone) % 12 for tone in quality.tones)
            return Chord(symbol, tones[0], tones, semitones_above_c(bass or root) % 12, (root, spelling, bass))
    hint = " (a root is a capital letter)" if symbol[:1] in tuple("abcdefg") else ""
    raise NumpyrnnError(f"a chord must be like C, Dm7, F#m7b5, Bb6/D, B7alt, Eb^7 or N.C., got {symbol!r}{hint}")


def semitones_above_c(name: str) -> int:
    """Semitones from C to a note name such as "Eb", within the octave of its letter: -1 for "Cb", 12 for "B#"."""
    return LETTERS[name[0]] + ACCIDENTALS[name[1:]]


def find_quality(spelling: str) -> Quality | None:
    """The quality of a spelling, which may have brackets or capitals (Maj7); None if it is unknown."""
    plain = re.sub(r"[(),\s]", "", spelling.replace("△", "Δ").replace("\N{MINUS SIGN}", "-"))
    lower = re.sub(r"MAJ|Maj|Ma(?=\d)|Min|Dim|Aug|Sus", lambda found: found[0].lower(), plain)
    known = {way: quality for quality in QUALITIES for way in quality.spellings.split(" ")}
    return known.get(plain) or known.get(lower)


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
