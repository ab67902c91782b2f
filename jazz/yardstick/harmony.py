"""Chord tones and scales as the yardstick counts them; they are plainer than those of the grammar."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..chords import Chord

# The scales over a root, by the kind of chord.
DOMINANT = frozenset({0, 2, 4, 5, 7, 9, 10})
MAJOR = frozenset({0, 2, 4, 5, 7, 9, 11})
HALF_DIMINISHED = frozenset({0, 1, 3, 5, 6, 8, 10})
DIMINISHED = frozenset({0, 2, 3, 5, 6, 8, 9, 11})
MINOR_MAJOR = frozenset({0, 2, 3, 5, 7, 9, 11})
MINOR = frozenset({0, 2, 3, 5, 7, 9, 10})
NO_THIRD = DOMINANT


@dataclass(frozen=True)
class Harmony:
    """What the tones of a chord are to a solo, in pitch classes.

    Attributes
    ----------
    root : int, or None without a chord
    tones : frozenset of int, root, third, fifth, and seventh or sixth
    guides : frozenset of int, the third and the seventh or sixth
    scale : frozenset of int, with all tones of the chord
    """

    root: int | None
    tones: frozenset[int]
    guides: frozenset[int]
    scale: frozenset[int]


NO_HARMONY = Harmony(None, frozenset(), frozenset(), frozenset())


@lru_cache(4096)
def harmony_of(chord: Chord) -> Harmony:
    """The harmony of a chord; N.C. has none.

    Parameters
    ----------
    chord : Chord

    Returns
    -------
    Harmony
    """
    if chord.root is None:
        return NO_HARMONY
    above = chord.intervals
    third = _first(above, (4, 3))
    fifth = _first(above, (7,)) or _first(above[:3], (6, 8))
    seventh = _first(above, (10, 11, 9))
    guides = {tone for tone in (third, seventh) if tone}
    core = {0, *guides, *([fifth] if fifth else [])}

    def over_root(tones: set[int] | frozenset[int]) -> frozenset[int]:
        root = chord.root or 0
        return frozenset((root + tone) % 12 for tone in tones)

    return Harmony(chord.root, over_root(core), over_root(guides), over_root(scale_of(above) | {*above}))


def _first(tones: tuple[int, ...], wanted: tuple[int, ...]) -> int | None:
    """The first of the wanted tones that is there."""
    return next((tone for tone in wanted if tone in tones), None)


def scale_of(above: tuple[int, ...]) -> frozenset[int]:
    """The scale of a chord, in semitones above the root.

    Parameters
    ----------
    above : tuple of int, the chord's tones in semitones above the root

    Returns
    -------
    frozenset of int
    """
    tones = frozenset(above)
    if 4 in tones and 10 in tones:
        return (DOMINANT - {2, 9}) | {1, 3, 8} if tones & {1, 3} else DOMINANT
    if 4 in tones:
        return MAJOR
    if 3 not in tones:
        return NO_THIRD
    if 6 in tones and 7 not in tones:
        return HALF_DIMINISHED if 10 in tones else DIMINISHED
    return MINOR_MAJOR if 11 in tones else MINOR
