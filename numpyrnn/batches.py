"""Turn ids into batches: padded sequences, contiguous streams, fixed windows and random crops.

Ids stay integers; one-hot rows are never built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.random import Generator

from .checks import Array, NumpyrnnError, check_range, check_shape


@dataclass(frozen=True)
class Batch:
    """Inputs and targets of one training step.

    Attributes
    ----------
    x : (T, N) integers, inputs
    targets : (T, N) integers, the next id at each step; or (T, N, V) floating, the probability of each id
        (1, N) for models that end in `LastStep` or `GlobalMaxPool1D`, which make one prediction for each sequence.
    lengths : (N,) integers, the number of real steps of each sequence; None: all T
    mask : boolean, (T, N) or (1, N) like `targets`, True where a target counts in the loss; None: at every real step
    """

    x: Array
    targets: Array
    lengths: Array | None = None
    mask: Array | None = None

    @property
    def counts(self) -> Array | None:
        """True where a target counts in the loss, of the shape of `mask`; None: everywhere."""
        if self.mask is not None or self.lengths is None:
            return self.mask
        return np.asarray(np.arange(len(self.targets))[:, None] < self.lengths)

    @property
    def places(self) -> int:
        """The number of targets that count in the loss."""
        return prod(np.shape(self.targets)[:2]) if self.counts is None else int(self.counts.sum())


def padded(
    sequences: Sequence[Array], batch_size: int, rng: Generator | None = None, soft: Sequence[Array] | None = None
) -> Iterator[Batch]:
    """Batches of whole sequences, padded to the longest of each batch.

    At each step the input is an id of the sequence and the target is the next one, so a sequence of L ids has L - 1
    steps. Within a batch the sequences are sorted from longest to shortest, so that no layer has to sort them.

    Parameters
    ----------
    sequences : list of integer arrays, each of two ids or more
    batch_size : int, sequences in a batch (the last batch may have fewer)
    rng : numpy Generator, optional
        Shuffles the sequences; by default they keep their order.
    soft : list of (L - 1, V) arrays, optional
        Distributions to use as targets in place of the next ids, one array for each sequence.

    Yields
    ------
    Batch with lengths

    Raises
    ------
    NumpyrnnError
        if `batch_size` is below 1, a sequence has fewer than two ids, or `soft` does not fit the sequences
    """
    check_range("batch_size", batch_size, 1)
    sequences = [np.asarray(sequence) for sequence in sequences]
    for i, sequence in enumerate(sequences):
        if len(sequence) < 2:
            raise NumpyrnnError(f"every sequence must have two ids or more, number {i} has {len(sequence)}")
    if soft is not None and [len(s) + 1 for s in soft] != [len(s) for s in sequences]:
        raise NumpyrnnError("soft must hold one array for each sequence, with one row for each step")
    order = np.arange(len(sequences)) if rng is None else rng.permutation(len(sequences))
    for start in range(0, len(order), batch_size):
        group = sorted(order[start : start + batch_size], key=lambda i: len(sequences[i]), reverse=True)
        ids = _side_by_side([sequences[i] for i in group])
        targets = ids[1:] if soft is None else _side_by_side([soft[i] for i in group])
        yield Batch(ids[:-1], targets, np.array([len(sequences[i]) - 1 for i in group]))


def _side_by_side(sequences: Sequence[Array]) -> Array:
    """Stack sequences, the longest first, as columns: (longest, N, ...), zero after their ends."""
    first = sequences[0]
    columns = np.zeros((len(first), len(sequences), *first.shape[1:]), first.dtype)
    for n, sequence in enumerate(sequences):
        columns[: len(sequence), n] = sequence
    return columns


def streams(ids: Array, batch_size: int, steps: int) -> Iterator[Batch]:
    """Contiguous streams for truncated backpropagation through time: each batch continues where the last one ended.

    The ids are cut into `batch_size` parts of equal length, which are read side by side; the remainder is dropped.

    Parameters
    ----------
    ids : (L,) integers
    batch_size : int, number of parts
    steps : int, steps in a batch (the last batch may have fewer)

    Yields
    ------
    Batch; the arrays are views of `ids`

    Raises
    ------
    NumpyrnnError
        if `ids` is not one-dimensional, a number is below 1, or there are too few ids for `batch_size` streams
    """
    check_shape("ids", ids, ("L",))
    check_range("batch_size", batch_size, 1)
    check_range("steps", steps, 1)
    length = (len(ids) - 1) // batch_size
    if length < 1:
        raise NumpyrnnError(f"{batch_size} streams need at least {batch_size + 1} ids, got {len(ids)}")
    x, targets = (ids[i : i + length * batch_size].reshape(batch_size, length).T for i in (0, 1))
    for start in range(0, length, steps):
        yield Batch(x[start : start + steps], targets[start : start + steps])


def windows(
    ids: Array, width: int, stride: int, batch_size: int, rng: Generator | None = None, last_only: bool = False
) -> Iterator[Batch]:
    """Overlapping windows of a fixed width.

    Parameters
    ----------
    ids : (L,) integers
    width : int, steps in a window
    stride : int, from the start of one window to the next
    batch_size : int, windows in a batch (the last batch may have fewer)
    rng : numpy Generator, optional
        Shuffles the windows; by default they keep their order.
    last_only : bool, default False
        The only target is the id after the window, (1, N), for models that end in `LastStep` or `GlobalMaxPool1D`. By
        default each step has the next id as its target.

    Yields
    ------
    Batch

    Raises
    ------
    NumpyrnnError
        if `ids` is not one-dimensional, a number is below 1, or there are not more than `width` ids
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
    """Windows that begin at given positions.

    Parameters
    ----------
    ids : (L,) integers
    starts : (n,) integers below L - width, where the windows begin
    width, batch_size, last_only : see `windows`

    Yields
    ------
    Batch, made on demand

    Raises
    ------
    NumpyrnnError
        if a window does not fit
    """
    if len(starts) and not 0 <= starts.min() <= starts.max() < len(ids) - width:
        needs = f"windows of {width} in {len(ids)} ids must begin below {len(ids) - width}"
        raise NumpyrnnError(f"{needs}, got {starts.min()} to {starts.max()}")
    for first in range(0, len(starts), batch_size):
        places = starts[first : first + batch_size] + np.arange(width)[:, None]
        yield Batch(ids[places], ids[places[-1:] + 1 if last_only else places + 1])


def crops(sequences: Iterable[Array], width: int, rng: Generator, step: int = 1, shortest: int = 8) -> list[Array]:
    """Cut sequences at random positions.

    The last id of a crop is the first one of the next, so that each id but the first is predicted once. The first crop
    of a sequence has a random length; the others are as wide as possible.

    Parameters
    ----------
    sequences : integer arrays
    width : int, steps in a crop, which has one more id than steps
    rng : numpy Generator
    step : int, default 1
        Ids per step, for tokens that come in groups of equal size. Then `width` and `shortest` count groups, and every
        crop starts with a whole group.
    shortest : int, default 8
        Crops of fewer steps are left out, unless `width` or the whole sequence is shorter than that.

    Returns
    -------
    list of integer arrays, each of two ids or more

    Raises
    ------
    NumpyrnnError
        if `width` or `step` is below 1
    """
    check_range("width", width, 1, 2**62)  # numbers are drawn as int64
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
