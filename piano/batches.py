"""From pieces in ids to batches: windows with what comes after them, crops at random places, whole pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.random import Generator

from numpyrnn.batches import Batch, padded
from numpyrnn.checks import Array
from numpyrnn.sequential import Sequential

SHORTEST = 8  # tokens; a shorter crop of a piece is not worth a step


@dataclass(frozen=True)
class Part:
    """Pieces in ids, and those of their windows that belong to the training or to the held-out part.

    Attributes
    ----------
    sequences : list of integer arrays, one a piece
    starts : (n,) integers, where the windows begin in `ids`
    """

    sequences: list[Array]
    starts: Array

    @cached_property
    def ids(self) -> Array:
        """The sequences, one after the other."""
        return np.concatenate(self.sequences)


def all_windows(sequences: Sequence[Array], window: int) -> Part:
    """Pieces with all their windows: each `window` ids with one more after them in the same piece."""
    ends = np.cumsum([len(ids) for ids in sequences])
    starts = [np.arange(end - len(ids), end - window) for ids, end in zip(sequences, ends, strict=True)]
    return Part(list(sequences), np.concatenate(starts))


def split_windows(part: Part, seed: int, share: float = 0.2) -> tuple[Part, Part]:
    """Split the windows at random, as the article does; since they overlap, most of what is held out is learned too.

    Parameters
    ----------
    part : Part
    seed : int
    share : float, default 0.2, of the windows that are held out

    Returns
    -------
    training, held_out : Part
    """
    order = np.random.default_rng(seed).permutation(part.starts)
    n = round(share * len(order))
    return replace(part, starts=np.sort(order[n:])), replace(part, starts=np.sort(order[:n]))


def windows(
    part: Part, window: int, batch_size: int, rng: Generator | None = None, every_step: bool = False
) -> Iterator[Batch]:
    """The windows of a part.

    Parameters
    ----------
    part : Part
    window : int, steps
    batch_size : int, windows in a batch (the last may have fewer)
    rng : numpy Generator, optional
        Shuffles the windows; default: as they come.
    every_step : bool, default False
        Targets (window, N): what comes next at every step; default: (1, N), what comes after the window.

    Yields
    ------
    Batch, made as it is asked for
    """
    starts, ids = part.starts if rng is None else rng.permutation(part.starts), part.ids
    for first in range(0, len(starts), batch_size):
        places = starts[first : first + batch_size] + np.arange(window)[:, None]
        yield Batch(ids[places], ids[places + 1 if every_step else places[-1:] + 1])


def crops(sequences: Iterable[Array], width: int, batch_size: int, rng: Generator) -> Iterator[Batch]:
    """Pieces cut at places that change from epoch to epoch, with a loss at every step.

    Parameters
    ----------
    sequences : list of integer arrays
    width : int, steps of a crop, at most
    batch_size : int
    rng : numpy Generator

    Yields
    ------
    Batch with lengths
    """
    cut = []
    for ids in sequences:
        for start in range(int(rng.integers(width)) - width, len(ids) - 1, width):
            crop = ids[max(start, 0) : start + width + 1]
            if len(crop) > max(1, min(SHORTEST, width, len(ids) - 1)):
                cut.append(crop)
    return padded(cut, batch_size, rng)


def at_labels(batches: Iterable[Batch], window: int) -> Iterator[Batch]:
    """Batches whose loss counts only where a whole window comes before: the same predictions as after windows."""
    for batch in batches:
        late = np.arange(len(batch.targets))[:, None] >= window - 1
        counts = np.ones(batch.targets.shape, bool) if batch.counts is None else batch.counts
        yield replace(batch, mask=late & counts)


def accuracy(model: Sequential, batches: Iterable[Batch]) -> float:
    """Share of the places that count at which the most probable id is the right one.

    Parameters
    ----------
    model : Sequential
    batches : iterable of Batch, one or more

    Returns
    -------
    float
    """
    right, count = 0, 0
    for batch in batches:
        logits, _, _ = model.forward(batch.x, None, batch.lengths, cache=False)
        hits = logits.argmax(axis=-1) == batch.targets
        right += int(hits.sum() if batch.counts is None else hits[batch.counts].sum())
        count += batch.places
    return right / count
