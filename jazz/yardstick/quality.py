"""Solos of a model, played over seven shipped forms to be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from numpyrnn.checkpoint import Checkpoint
from numpyrnn.sampling import Sampler

from ..changes import form
from ..soloist import LONGEST_COPY, TEMPO, Soloist
from .reading import solo_of_notes
from .solo import Solo

SEVEN = ("blues-f", "blues-cm", "rhythm-changes", "ii-v-i", "minor-ii-v-i", "modal", "bossa")  # forms in 4/4
LEAST_BARS = 32  # of a solo


def played(
    checkpoint: Checkpoint,
    count: int,
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] = lambda items: items,
) -> list[Solo]:
    """Play solos over seven shipped forms in turn, each as often as 32 bars need.

    Parameters
    ----------
    checkpoint : Checkpoint of a soloist
    count : int, number of solos
    seed : int, default 0, of the first solo; the next ones have the next seeds
    temperature, top_k, top_p : see `Sampler`
    progress : function that yields the items of a sequence, such as a progress bar

    Returns
    -------
    list of Solo; those that `jazz improvise` plays with the same seeds, forms and numbers of choruses
    """
    solos = []
    for number in progress(range(count)):
        changes = form(SEVEN[number % len(SEVEN)])
        changes = changes.times(-(-LEAST_BARS // len(changes.bars)))
        sampler = Sampler(np.random.default_rng([seed + number, 0]), temperature, top_k, top_p)
        line = Soloist(checkpoint, sampler, longest_copy=LONGEST_COPY).play(changes, tempo=changes.tempo or TEMPO)
        notes = [(e.onset, e.end, max(e.pitches)) for e in line.elements if e.pitches]
        solos.append(solo_of_notes(f"{changes.name}, seed {seed + number}", notes, changes))
    return solos
