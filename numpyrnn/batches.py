"""From ids to batches: padded sequences, contiguous streams, fixed windows, crops. No one-hot rows are made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from .checks import Array, NumpyrnnError, check_range, check_shape


@dataclass(frozen=True)
class Batch:
    """What one training step takes.

    Attributes
    ----------
    x : (T, N) integers, inputs
    targets : (T, N) integers, what should come next at each step; or (T, N, V) floating, how probable each id should
        be. (1, N) for models that end in `LastStep` or `GlobalMaxPool1D`: they say one thing of each sequence
    lengths : (N,) integers, real steps of each sequence; None: all T
    mask : boolean like `targets`, where the loss counts; None: at every real step
    """

    x: Array
    targets: Array
    lengths: Array | None = None
    mask: Array | None = None

    @property
    def counts(self) -> Array | None:
        """Where the loss counts, boolean like `targets`, or None for everywhere."""
        if self.mask is not None or self.lengths is None:
            return self.mask
        return np.asarray(np.arange(len(self.targets))[:, None] < self.lengths)

    @property
    def places(self) -> int:
        """At how many places the loss counts."""
        counts = self.counts
        return self.targets.shape[0] * self.targets.shape[1] if counts is None else int(counts.sum())


def padded(
    sequences: Sequence[Array], batch_size: int, rng: Generator | None = None, soft: Sequence[Array] | None = None
) -> Iterator[Batch]:
    """Batches of whole sequences, padded to the longest of each batch.

    The input at each step is an id of the sequence, the target the next one; so a sequence of L ids makes L - 1 steps.
    Within a batch the sequences come from the longest to the shortest, so that recurrent layers need not sort them.

    Parameters
    ----------
    sequences : list of integer arrays, each of two ids or more
    batch_size : int, sequences in a batch (the last may have fewer)
    rng : numpy Generator, optional
        Shuffles the sequences; default: as they come.
    soft : list of (L - 1, V) arrays, optional
        Targets to use in place of each sequence's next ids: distributions.

    Yields
    ------
    Batch with lengths
    """
    check_range("batch_size", batch_size, 1)
    sequences = [np.asarray(sequence) for sequence in sequences]
    short = [i for i, sequence in enumerate(sequences) if len(sequence) < 2]
    if short:
        i = short[0]
        raise NumpyrnnError(f"every sequence must have two ids or more, number {i} has {len(sequences[i])}")
    if soft is not None and [len(s) + 1 for s in soft] != [len(s) for s in sequences]:
        raise NumpyrnnError("soft must have an array of one row a step for every sequence")
    order = np.arange(len(sequences)) if rng is None else rng.permutation(len(sequences))
    for start in range(0, len(order), batch_size):
        group = sorted(order[start : start + batch_size], key=lambda i: len(sequences[i]), reverse=True)
        ids = _side_by_side([sequences[i] for i in group])
        targets = ids[1:] if soft is None else _side_by_side([soft[i] for i in group])
        yield Batch(ids[:-1], targets, np.array([len(sequences[i]) - 1 for i in group]))


def _side_by_side(sequences: Sequence[Array]) -> Array:
    """Sequences as columns, (longest, N, ...), zero after their ends."""
    first = sequences[0]
    columns = np.zeros((len(first), len(sequences), *first.shape[1:]), first.dtype)
    for n, sequence in enumerate(sequences):
        columns[: len(sequence), n] = sequence
    return columns


def streams(ids: Array, batch_size: int, steps: int) -> Iterator[Batch]:
    """Contiguous streams for truncated backpropagation through time: each batch goes on where the last one ended.

    The text is cut into `batch_size` parts of one length, which are read side by side; a rest is left out.

    Parameters
    ----------
    ids : (L,) integers
    batch_size : int, number of parts
    steps : int, steps of a batch (the last may have fewer)

    Yields
    ------
    Batch; the arrays are views of `ids`
    """
    check_shape("ids", ids, ("L",))
    check_range("batch_size", batch_size, 1)
    check_range("steps", steps, 1)
    length = (len(ids) - 1) // batch_size
    if length < 1:
        raise NumpyrnnError(f"{batch_size} streams need at least {batch_size + 1} ids, got {len(ids)}")
    x = ids[: length * batch_size].reshape(batch_size, length).T
    targets = ids[1 : length * batch_size + 1].reshape(batch_size, length).T
    for start in range(0, length, steps):
        yield Batch(x[start : start + steps], targets[start : start + steps])


def windows(
    ids: Array, width: int, stride: int, batch_size: int, rng: Generator | None = None, last_only: bool = False
) -> Iterator[Batch]:
    """Overlapping windows of one width.

    Parameters
    ----------
    ids : (L,) integers
    width : int, steps of a window
    stride : int, between the starts of two windows
    batch_size : int, windows in a batch (the last may have fewer)
    rng : numpy Generator, optional
        Shuffles the windows; default: as they come.
    last_only : bool, default False
        Targets (1, N): what comes after the window, for models that end in `LastStep` (the course's sonnets) or
        `GlobalMaxPool1D`; default: what comes next at every step.

    Yields
    ------
    Batch, made as it is asked for
    """
    check_shape("ids", ids, ("L",))
    for name, value in {"width": width, "stride": stride, "batch_size": batch_size}.items():
        check_range(name, value, 1)
    if len(ids) <= width:
        raise NumpyrnnError(f"windows of {width} need more than {width} ids, got {len(ids)}")
    starts = np.arange(0, len(ids) - width, stride)
    if rng is not None:
        rng.shuffle(starts)
    yield from windows_at(ids, starts, width, batch_size, last_only)


def windows_at(ids: Array, starts: Array, width: int, batch_size: int, last_only: bool = False) -> Iterator[Batch]:
    """Windows that begin at given places.

    Parameters
    ----------
    ids : (L,) integers
    starts : (n,) integers below L - width, where the windows begin
    width, batch_size, last_only : see `windows`

    Yields
    ------
    Batch, made as it is asked for
    """
    if len(starts) and not 0 <= starts.min() <= starts.max() < len(ids) - width:
        found = f"{starts.min()} to {starts.max()}"
        raise NumpyrnnError(f"windows of {width} in {len(ids)} ids must begin below {len(ids) - width}, got {found}")
    for first in range(0, len(starts), batch_size):
        places = starts[first : first + batch_size] + np.arange(width)[:, None]
        yield Batch(ids[places], ids[places[-1:] + 1 if last_only else places + 1])


def crops(sequences: Iterable[Array], width: int, rng: Generator, step: int = 1, shortest: int = 8) -> list[Array]:
    """Sequences cut at random places.

    The last id of a crop is the first one of the next, so that each id but the first is predicted once. The first crop
    of a sequence has a random length; the others are as wide as possible.

    Parameters
    ----------
    sequences : integer arrays
    width : int, steps of a crop; it has one id more
    rng : numpy Generator
    step : int, default 1
        Ids in a step, for tokens that come in groups of equal size. Then `width` and `shortest` count groups, and every
        crop starts with a whole group.
    shortest : int, default 8
        Crops of fewer steps are left out, unless `width` or the whole sequence is shorter than that.

    Returns
    -------
    list of integer arrays, each of two ids or more
    """
    check_range("width", width, 1)
    check_range("step", step, 1)
    span, cut = width * step, list[Array]()
    for ids in sequences:
        fewest = max(1, min(shortest * step, span, len(ids) - 1))
        first = (int(rng.integers(width)) - width) * step
        for start in range(first, len(ids) - 1, span):
            crop = ids[max(start, 0) : start + span + 1]
            if len(crop) > fewest:
                cut.append(crop)
    return cut
