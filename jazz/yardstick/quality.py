"""Solos of a model, played over seven shipped forms to be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isnan
from typing import Any

import numpy as np

from numpyrnn.checkpoint import Checkpoint
from numpyrnn.sampling import Sampler

from ..changes import form
from ..evaluation import Tunes, longest_copy
from ..instruments import TENOR
from ..soloist import LONGEST_COPY, TEMPERATURE, TEMPO, TOP_P, Line, Soloist
from .bands import Bands, Values, bands_for
from .measures import MEASURES, measure
from .motifs import ends_off_beat, longest_unbroken, motif_return, shared_patterns
from .reading import solo_of_notes
from .report import distance_line
from .solo import Solo
from .statistics import mean, sample_sd, share

SEVEN = ("blues-f", "blues-cm", "rhythm-changes", "ii-v-i", "minor-ii-v-i", "modal", "bossa")  # forms in 4/4
LEAST_BARS = 32  # of a solo
GOALS = {"distance": 0.6, "spread": 0.75, "copied": 8, "return": 1.4, "run": 30, "shared": 0.03}


def improvised(
    checkpoint: Checkpoint,
    count: int,
    seed: int = 0,
    temperature: float = TEMPERATURE,
    top_k: int | None = None,
    top_p: float | None = TOP_P,
    progress: Callable[[Sequence[int]], Iterable[int]] = lambda items: items,
) -> list[Line]:
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
    list of Line; those that `jazz improvise --no-ending` plays with the same seeds, forms and numbers of choruses
    """
    lines, soloist = [], Soloist(checkpoint, Sampler(seed), 1, LONGEST_COPY, TENOR.low, TENOR.high)
    for number in progress(range(count)):
        changes = form(SEVEN[number % len(SEVEN)])
        changes = changes.times(-(-LEAST_BARS // len(changes.bars)))
        soloist.sampler = Sampler(np.random.default_rng([seed + number, 0]), temperature, top_k, top_p)
        lines.append(soloist.play(changes, tempo=changes.tempo or TEMPO))
    return lines


def solo_of_line(line: Line, name: str) -> Solo:
    """A line as a solo that can be measured."""
    notes = [(e.onset, e.end, max(e.pitches)) for e in line.elements if e.pitches]
    return solo_of_notes(name, notes, line.changes)


def played(
    checkpoint: Checkpoint, count: int, seed: int = 0, temperature: float = TEMPERATURE, **how: Any
) -> list[Solo]:
    """Play solos to be measured; see `improvised`."""
    lines = improvised(checkpoint, count, seed, temperature, **how)
    return [solo_of_line(line, f"{line.changes.name}, seed {seed + i}") for i, line in enumerate(lines)]


def spread_enough(measured: Sequence[Values], bands: Bands) -> float:
    """The share of the 38 measures in which the solos' spread is at least half of the players'."""
    known = {name: [values[name] for values in measured if not isnan(values[name])] for name in MEASURES}
    return share(len(found) > 1 and sample_sd(found) >= bands[name].sd / 2 for name, found in known.items())


def outside(measured: Sequence[Values], bands: Bands) -> list[str]:
    """The measures whose mean is outside the players' 10th to 90th percentile, each with where it lies."""
    means = {name: mean(v[name] for v in measured if not isnan(v[name])) for name in MEASURES}
    places = {name: bands[name].place(value) for name, value in means.items()}
    return [f"{name} ({place})" for name, place in places.items() if place in ("below", "above")]


def quality(lines: Sequence[Line], tunes: Tunes) -> Iterator[str]:
    """Say how far lines reach the goals.

    Parameters
    ----------
    lines : list of Line, at least two
    tunes : list of (EncodedTune, its values), a model's training tunes, in which copied runs are looked for

    Yields
    ------
    str, lines
    """
    solos = [solo_of_line(line, line.changes.name) for line in lines]
    measured, bands = [measure(solo) for solo in solos], bands_for(solos)
    runs = [longest_copy([str(value) for value in line.values], tunes) for line in lines]
    yield f"{distance_line(solos)} Goal: {GOALS['distance']} at most."
    yield f"Means outside the players' 10th to 90th percentile: {', '.join(outside(measured, bands)) or 'none'}."
    enough = spread_enough(measured, bands)
    yield f"Spread at least half of the players': {enough:.0%} of the measures. Goal: {GOALS['spread']:.0%} at least."
    yield f"Longest run copied: {max(run.length for run in runs)} values. Goal: {GOALS['copied']} at most."
    yield f"Motifs of 4 notes come back soon {motif_return(solos):.2f} times as often as late. Goal: {GOALS['return']}."
    unbroken = max(map(longest_unbroken, solos))
    yield f"Longest run without a rest of half a beat: {unbroken} notes. Goal: {GOALS['run']} at most."
    yield f"5-note patterns that two solos share: {shared_patterns(solos):.1%}. Goal: {GOALS['shared']:.0%} at most."
    yield f"Solos that end off the beat: {share(map(ends_off_beat, solos)):.0%}."
