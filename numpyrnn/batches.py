"""From ids to batches: padded sequences, contiguous streams, fixed windows. A text is never expanded to one-hot rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    targets : (T, N) integers, what should come next at each step
    lengths : (N,) integers, real steps of each sequence; None: all T
    mask : (T, N) boolean, where the loss counts; None: at every real step
    """

    x: Array
    targets: Array
    lengths: Array | None = None
    mask: Array | None = None

    @property
    def counts(self) -> Array | None:
        """Where the loss counts, (T, N) boolean or None for everywhere."""
        if self.mask is not None or self.lengths is None:
            return self.mask
        return np.asarray(np.arange(len(self.x))[:, None] < self.lengths)


def padded(sequences: Sequence[Array], batch_size: int, rng: Generator | None = None) -> Iterator[Batch]:
    """Batches of whole sequences, padded to the longest of each batch.

    The input at each step is an id of the sequence, the target the next one; so a sequence of L ids makes L - 1 steps.
    Within a batch the sequences come from the longest to the shortest, as the kernels like them.

    Parameters
    ----------
    sequences : list of integer arrays, each of two ids or more
    batch_size : int, sequences in a batch (the last may have fewer)
    rng : numpy Generator, optional
        Shuffles the sequences; default: as they come.

    Yields
    ------
    Batch with lengths
    """
    check_range("batch_size", batch_size, 1)
    short = [i for i, sequence in enumerate(sequences) if len(sequence) < 2]
    if short:
        raise NumpyrnnError(f"every sequence must have two ids or more, number {short[0]} has {len(sequences[short[0]])}")
    order = np.arange(len(sequences)) if rng is None else rng.permutation(len(sequences))
    for start in range(0, len(order), batch_size):
        group = sorted((sequences[i] for i in order[start : start + batch_size]), key=len, reverse=True)
        lengths = np.array([len(sequence) - 1 for sequence in group])
        ids = np.zeros((lengths[0] + 1, len(group)), np.intp)
        for n, sequence in enumerate(group):
            ids[: len(sequence), n] = sequence
        yield Batch(ids[:-1], ids[1:], lengths)


def streams(ids: Array, batch_size: int, steps: int) -> Iterator[Batch]:
    """Contiguous streams for truncated backpropagation through time: each batch goes on where the last one ended.

    The text is cut into `batch_size` parts of one length, which are read side by side; what does not fill a part is left out.

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
        The loss counts at the last step only (the course's sonnets) in place of at every step.

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
    for first in range(0, len(starts), batch_size):
        places = starts[first : first + batch_size] + np.arange(width)[:, None]
        mask = None
        if last_only:
            mask = np.zeros(places.shape, bool)
            mask[-1] = True
        yield Batch(ids[places], ids[places + 1], mask=mask)
