"""Swing: eighths are written alike and played long and short."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from music.midi import Note
from numpyrnn.checks import check_range

STRAIGHT, TRIPLET_FEEL = Fraction(1, 2), Fraction(2, 3)


def swung(notes: Iterable[Note], ratio: Fraction = TRIPLET_FEEL) -> list[Note]:
    """Move everything that begins or ends between two beats, so that a beat's first half takes `ratio` of it.

    What stands on a triplet stays: it is played as it is written.

    Parameters
    ----------
    notes : of Note
    ratio : Fraction, default 2/3
        1/2 is straight.

    Returns
    -------
    list of Note
    """

    def place(time: Fraction) -> Fraction:
        beat, within = divmod(time, 1)
        if (within * 3).denominator == 1:
            return time
        half = Fraction(1, 2)
        return beat + (within * 2 * ratio if within < half else ratio + (within - half) * 2 * (1 - ratio))

    return [n._replace(onset=place(n.onset), duration=place(n.onset + n.duration) - place(n.onset)) for n in notes]


def as_ratio(swing: float) -> Fraction:
    """A ratio that the ticks of a MIDI file can show: 0.67 is two thirds.

    Parameters
    ----------
    swing : float, 0.5 (straight) to 0.8

    Returns
    -------
    Fraction

    Raises
    ------
    NumpyrnnError
        if it lies outside
    """
    check_range("swing", swing, 0.5, 0.8)
    return Fraction(swing).limit_denominator(24)
