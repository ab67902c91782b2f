"""Drums alone: solos to trade with the soloist, and the count-in."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from numpy.random import Generator

from music.midi import Note

from ..changes import Changes
from .arrangement import Arrangement, pick
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


def count_in(changes: Changes, bars: int = 1) -> list[Note]:
    """Count in with the side stick.

    Parameters
    ----------
    changes : Changes
    bars : int, default 1; of several bars, all but the last have every second beat

    Returns
    -------
    list of Note, from onset 0 to the end of the bars; shift the piece that follows
    """
    notes = list[Note]()
    beats = Arrangement(changes).beats
    for bar in range(bars):
        for onset, _ in beats[:: 1 if bar == bars - 1 else 2]:
            strokes = {(onset, STICK): 100 if onset == 0 else 88}
            notes += drum_notes(bar * changes.bar, changes.bar, strokes)
    return notes
