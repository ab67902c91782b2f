"""The key of a tune: estimated from its chords, and the names that it gives to the notes."""

from __future__ import annotations

from ..changes import Changes
from ..chords import LETTERS, Chord, semitones_above_c
from .chart import fifths

TONICS = ("C", "Db", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "G#", "A", "Bb", "B")


def estimate_key(changes: Changes) -> str:
    """Estimate the key of a form.

    For each of the 24 keys, four things are added up: four times the share of the time in which the tones of the chords
    belong to the key; the share of the resolutions of dominants that are to its tonic; a half if the first chord is its
    tonic; and one if the form comes to rest on its tonic. A form comes to rest where its last dominant resolves, or on
    its last chord if a dominant leads to it or the form began there, or else on its first chord. A key and its relative
    have the same signature and may be mistaken for each other.

    Parameters
    ----------
    changes : Changes

    Returns
    -------
    str, such as "Bb" or "F#m"
    """
    spans = [(float(length), chord, following) for _, length, chord, following in changes.spans()]
    if not spans:
        return TONICS[0]
    first, last, total = spans[0][1], spans[-1][1], sum(length for length, *_ in spans)
    arrivals = [following for _, chord, following in spans if _leads(chord, following)]
    if last.root != first.root:
        before = [chord for _, chord, _ in spans if chord.root != last.root]
        if {4, 10} <= {*last.intervals}:
            last = changes.with_ending().bars[-1][0][1]
        elif not _leads(before[-1], last):
            last = first

    def score(tonic: int, minor: bool) -> float:
        fitting = sum(length * _share(chord, tonic, minor) for length, chord, _ in spans) / total
        resolved = sum(_is_tonic(chord, tonic, minor) for chord in arrivals) / max(len(arrivals), 1)
        return 4 * fitting + resolved + _is_tonic(first, tonic, minor) / 2 + _is_tonic(last, tonic, minor)

    tonic, minor = max(((tonic, minor) for tonic in range(12) for minor in (False, True)), key=lambda key: score(*key))
    names = [*(chord.parts[0] for _, chord, _ in spans), *TONICS]
    keys = [name + "m" * minor for name in names if semitones_above_c(name) % 12 == tonic]
    return next(key for key in keys if abs(fifths(key)) <= 6)


def _leads(chord: Chord, following: Chord) -> bool:
    """Whether a dominant resolves a fifth or a half step down."""
    interval = ((following.root or 0) - (chord.root or 0)) % 12
    return {4, 10} <= {*chord.intervals} and interval in (5, 11)


def _is_tonic(chord: Chord, tonic: int, minor: bool) -> bool:
    return chord.root == tonic and (3 in chord.intervals and 4 not in chord.intervals) == minor


def _share(chord: Chord, tonic: int, minor: bool) -> float:
    """The share of a chord's tones that belong to a key; a tonic or subdominant seventh chord, as in a blues, does."""
    root, scale = ((chord.root or 0) - tonic) % 12, {0, 2, 4, 5, 7, 9, 11}
    if minor:
        scale = {0, 2, 3, 5, 7, 8, 10} | {0: {9, 11}, 7: {11}, 11: {11}}.get(root, set())
    elif root in (0, 5):
        scale |= {(root + 10) % 12}
    return sum((tone - tonic) % 12 in scale for tone in chord.tones) / len(chord.tones)


def letter_of(root: str, degree: int, tone: int) -> tuple[str, int]:
    """The letter of a degree of a chord, and the sharps that its pitch class needs, below 0 for flats."""
    letter = "CDEFGAB"[("CDEFGAB".index(root[0]) + degree - 1) % 7]
    return letter, (tone - LETTERS[letter] + 6) % 12 - 6


def scale_names(key: str) -> dict[int, str]:
    """The names of the pitch classes of a key's scale, such as "Eb"; in minor also of the raised sixth and seventh."""
    signs = fifths(key)
    sharps, flats = "FCGDAEB"[: max(signs, 0)], "BEADGCF"[: max(-signs, 0)]
    names = [letter + "#" * (letter in sharps) + "b" * (letter in flats) for letter in LETTERS]
    if key.endswith("m"):
        sixth = (names.index(key[:-1]) + 5) % 7
        names += [name[0] if "b" in name else name + "#" for name in (names[sixth], names[(sixth + 1) % 7])]
    return {semitones_above_c(name) % 12: name for name in names if len(name) < 3}
