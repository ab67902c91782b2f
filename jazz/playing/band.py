"""The rhythm section: piano, bass and drums over any changes. They listen to the soloist, and not to each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction

import numpy as np
from numpy.random import Generator

from music.midi import Note

from ..changes import Changes
from .arrangement import BASS as BASS
from .arrangement import CHANNELS as CHANNELS
from .arrangement import DRUMS as DRUMS
from .arrangement import NAMES as NAMES
from .arrangement import PIANO as PIANO
from .arrangement import PROGRAMS as PROGRAMS
from .arrangement import SOLO as SOLO
from .arrangement import Arrangement
from .arrangement import note as note
from .bass import bass
from .drums import drums
from .piano import piano
from .trading import count_in as count_in
from .trading import count_in_bars as count_in_bars
from .trading import trade as trade

INSTRUMENTS = ("piano", "bass", "drums")
LEVELS = {  # dB, so that these feels have the same balance as others
    "ballad": {PIANO: -2.2, BASS: 0.0, DRUMS: 2.0},
    "bossa": {PIANO: -0.8, DRUMS: -1.0},
}
SLOWER, USUAL = 1.5, 130  # dB for each halving of the tempo, as slower parts have fewer notes; quarters a minute


def accompany(
    changes: Changes,
    rng: Generator,
    instruments: Sequence[str] = INSTRUMENTS,
    solo: Sequence[tuple[Fraction | float, Fraction | float]] = (),
    tempo: float = 130,
    two_beat: Collection[int] = (),
) -> list[Note]:
    """Play a rhythm section over changes.

    Parameters
    ----------
    changes : Changes
    rng : numpy Generator
    instruments : any of "piano", "bass", "drums"; a part is the same whoever else plays
    solo : sequence of (onset, end) of the soloist's notes in quarters; the band leaves room in its phrases and answers
        in its rests. By default there is none.
    tempo : quarters a minute, default 130
    two_beat : set of int, bars in which the bass plays in two, counted from 0. In a ballad it always does so in the
        first chorus.

    Returns
    -------
    list of Note, with even eighths (see `swing.swung`); each instrument has its own track and channel
    """
    players = {"piano": piano, "bass": bass, "drums": drums}
    streams = dict(zip(players, rng.spawn(len(players)), strict=True))  # no part depends on which others play
    arrangement = Arrangement(changes, solo, tempo, two_beat)
    notes = [note for name in players if name in instruments for note in players[name](arrangement, streams[name])]
    slower = SLOWER * float(np.clip(np.log2(USUAL / tempo), -1.5, 1.5))
    levels = LEVELS.get(changes.feel, {})
    factors = {track: 10 ** ((slower + levels.get(track, 0)) / 30) for track in (PIANO, BASS, DRUMS)}  # velocity ** 1.5
    return [one._replace(velocity=max(1, min(127, round(one.velocity * factors[one.track])))) for one in notes]
