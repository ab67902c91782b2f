"""Windows of pieces, the predictions at which the loss counts, and accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from numpyrnn.batches import Batch
from numpyrnn.checks import Array
from numpyrnn.sequential import Sequential


@dataclass(frozen=True)
class Part:
    """The training or the held-out part: pieces as ids, and where their windows begin.

    Attributes
    ----------
    sequences : list of integer arrays, one per piece
    starts : (n,) integers, indices into `ids`; the part need not have every window of its pieces
    """

    sequences: list[Array]
    starts: Array

    @cached_property
    def ids(self) -> Array:
        """The sequences, one after the other."""
        return np.concatenate(self.sequences)


def all_windows(sequences: Sequence[Array], window: int) -> Part:
    """Pieces with all their windows. A window is `window` ids, followed by one more id in the same piece."""
    ends = np.cumsum([len(ids) for ids in sequences])
    starts = [np.arange(end - len(ids), end - window) for ids, end in zip(sequences, ends, strict=True)]
    return Part(list(sequences), np.concatenate(starts))


def split_windows(part: Part, seed: int, share: float = 0.2) -> tuple[Part, Part]:
    """Split the windows at random, as the article does. Windows overlap, so most held-out tokens are also learned.

    Parameters
    ----------
    part : Part
    seed : int
    share : float, default 0.2, share of the windows that is held out

    Returns
    -------
    training, held_out : Part
    """
    order = np.random.default_rng(seed).permutation(part.starts)
    n = round(share * len(order))
    return replace(part, starts=np.sort(order[n:])), replace(part, starts=np.sort(order[:n]))


def after_whole_windows(batches: Iterable[Batch], window: int) -> Iterator[Batch]:
    """Mask batches so that only predictions after a whole window count: the same ones as in a batch of windows."""
    for batch in batches:
        late = np.arange(len(batch.targets))[:, None] >= window - 1
        counts = np.ones(batch.targets.shape, bool) if batch.counts is None else batch.counts
        yield replace(batch, mask=late & counts)


def accuracy(model: Sequential, batches: Iterable[Batch]) -> float:
    """How often a model's most probable id is the right one.

    Parameters
    ----------
    model : Sequential
    batches : iterable of Batch, one or more

    Returns
    -------
    float, share of the predictions at which the loss counts
    """
    right, count = 0, 0
    for batch in batches:
        logits, _, _ = model.forward(batch.x, None, batch.lengths, cache=False)
        hits = logits.argmax(axis=-1) == batch.targets
        right += int(hits.sum() if batch.counts is None else hits[batch.counts].sum())
        count += batch.places
    return right / count
