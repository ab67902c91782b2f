"""Swing: eighths are written as equal, and played long and short in turn."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from music.midi import Note
from numpyrnn.checks import check_range

STRAIGHT, TRIPLET_FEEL = Fraction(1, 2), Fraction(2, 3)


def swung(notes: Iterable[Note], ratio: Fraction = TRIPLET_FEEL, double_time: bool = False) -> list[Note]:
    """Swing notes: stretch the first half of each beat to `ratio` of the beat, and shorten the second half.

    Onsets and ends on triplets stay where they are.

    Parameters
    ----------
    notes : iterable of Note
    ratio : Fraction, default 2/3, share of a beat that its first half takes; 1/2 is straight
    double_time : bool, default False; True keeps beats with sixteenths even, as players of melodies do

    Returns
    -------
    list of Note
    """
    notes = list(notes)
    even = {int(note.onset) for note in notes if (note.onset % 1).denominator == 4} if double_time else set()

    def place(time: Fraction) -> Fraction:
        beat, within = divmod(time, 1)
        if beat in even or (within * 3).denominator == 1:
            return time
        return beat + (2 * within * ratio if 2 * within < 1 else ratio + (2 * within - 1) * (1 - ratio))

    return [n._replace(onset=place(n.onset), duration=place(n.onset + n.duration) - place(n.onset)) for n in notes]


def as_ratio(swing: float) -> Fraction:
    """Round a swing ratio to a fraction with a denominator of at most 24; 0.67 becomes two thirds.

    Parameters
    ----------
    swing : float, 0.5 (straight) to 0.8

    Returns
    -------
    Fraction

    Raises
    ------
    NumpyrnnError
        if `swing` is out of range
    """
    check_range("swing", swing, 0.5, 0.8)
    return Fraction(swing).limit_denominator(24)
