"""What sounds at one place of one part."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Element:
    """What sounds at one place of one part: a note, a chord, or a rest (no pitches).

    Attributes
    ----------
    onset, duration : Fraction, quarters
    pitches : tuple of MIDI numbers
    root : int, pitch class, of a chord whose root is known (by its symbol); otherwise None
    """

    onset: Fraction
    duration: Fraction
    pitches: tuple[int, ...] = ()
    root: int | None = None

    @property
    def end(self) -> Fraction:
        """Where it ends."""
        return self.onset + self.duration
