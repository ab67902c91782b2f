"""Drums alone: solos to trade with the soloist, and the count-in."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from numpy.random import Generator

from music.midi import Note

from ..changes import Changes
from .arrangement import HALF, Arrangement, beats_of, pick
from .drums import CRASH, STICK, Drummer, drum_notes


def trade(changes: Changes, rng: Generator, bars: Sequence[int], tempo: float = 130) -> list[Note]:
    """Play a drum solo, as when soloist and drums trade fours.

    A rhythm is stated on the snare drum and repeated on the toms; then it gets denser, and the last bar leads into the
    band's return. The hi-hat keeps the time.

    Parameters
    ----------
    changes : Changes
    rng : numpy Generator
    bars : sequence of int, the bars of the solo in their order, counted from 0, such as range(4, 8)
    tempo : quarters a minute, default 130

    Returns
    -------
    list of Note, with even eighths (see `swing.swung`)
    """
    player, notes = Drummer(Arrangement(changes, tempo=tempo), rng), list[Note]()
    motif = player.cells()
    for number, bar in enumerate(bars):
        player.strokes = {}
        player.pedal()
        if number == len(bars) - 1:
            player.roll(player.cells(), "around" if rng.random() < 0.7 else "toms", crescendo=True)
            player.hit(Fraction(0), CRASH, 84)
        elif number % 4 == 2:
            player.roll(player.cells(), pick(rng, ("around", "kick", "floor")))
        else:
            end = motif[: len(motif) // 2] + player.cells()[len(motif) // 2 :]
            player.roll(end if number % 2 else motif, pick(rng, ("toms", "floor") if number % 2 else ("snare", "kick")))
        notes += drum_notes(bar * changes.bar, changes.bar, player.strokes)
    return notes


def counts_of(changes: Changes) -> tuple[tuple[Fraction, Fraction], ...]:
    """(onset, length) of what a drummer counts in a bar: half notes in 2/2, eighths in 3/8, otherwise the beats."""
    beats, unit = changes.meter
    if unit <= 2:
        return beats_of(changes.bar, Fraction(4, unit))
    return beats_of(changes.bar, HALF) if (beats, unit) == (3, 8) else Arrangement(changes).beats


def count_in_bars(changes: Changes) -> int:
    """How many bars are counted in: one, or two if a bar has less than three counts, as in 2/2 and 6/8."""
    return 1 if len(counts_of(changes)) > 2 else 2


def count_in(changes: Changes, bars: int | None = None) -> list[Note]:
    """Count in with the side stick.

    Parameters
    ----------
    changes : Changes
    bars : int, default see `count_in_bars`; of several bars of four counts and more, all but the last have every second

    Returns
    -------
    list of Note, from onset 0 to the end of the bars; shift the piece that follows
    """
    notes = list[Note]()
    counts, bars = counts_of(changes), count_in_bars(changes) if bars is None else bars
    for bar in range(bars):
        for onset, _ in counts[:: 1 if bar == bars - 1 or len(counts) < 4 else 2]:
            strokes = {(onset, STICK): 100 if onset == 0 else 88}
            notes += drum_notes(bar * changes.bar, changes.bar, strokes)
    return notes
