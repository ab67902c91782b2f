"""A place within an epoch, from which a training goes on with the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.random import Generator

from .batches import Batch
from .checks import Array, NumpyrnnError, check_count, check_range, check_shape
from .layer import leaves, map_state
from .sequential import Sequential

FIGURES = "batch", "loss", "count", "items"  # sums over the batches so far: 1, the loss, targets, sequences
Place = dict[str, Any]  # FIGURES, seconds, and the random state at the beginning of the epoch


def beginning(rng: Generator) -> Place:
    """The place before the first batch."""
    return dict.fromkeys((*FIGURES, "seconds"), 0) | {"rng": rng.bit_generator.state}


def check_place(place: Any, rng: Generator) -> None:
    """Raise an error, a NumpyrnnError or one of Python, unless `place` is None or a place within an epoch."""
    if place is not None:
        check_count("batch", place["batch"], 1)
        for name in (*FIGURES[1:], "seconds"):
            check_range(name, place[name], 0)
        type(rng.bit_generator)(0).state = place["rng"]  # raises if it does not fit


def rest(
    batches: Callable[[Generator], Iterable[Batch]], rng: Generator, place: Place, model: Sequential, carried: Any
) -> tuple[Iterable[Batch], Any]:
    """The batches of an epoch that come after a place, and the state of the model there.

    Parameters
    ----------
    batches : function of a Generator that returns the batches of one epoch, and draws only before the first of them
    rng : numpy Generator, in its state at the place
    place : Place
    model : Sequential
    carried : 1-D array, all numbers of the state that was carried over to the next batch
        None if no state is carried.

    Returns
    -------
    batches : iterable of Batch
    state : a state of the model, or None

    Raises
    ------
    NumpyrnnError
        if there are fewer batches than before, or the state does not fit the model
    """
    now, rng.bit_generator.state = rng.bit_generator.state, place["rng"]
    epoch, last = iter(batches(rng)), None
    for _ in range(place["batch"]):
        last = next(epoch, None)
        if last is None:
            raise NumpyrnnError(f"an epoch must have {place['batch']} batches or more as before, it has fewer")
    rng.bit_generator.state = now
    if carried is None or last is None:
        return epoch, None
    like = model.forward(last.x, None, last.lengths, cache=False)[1]  # for its form
    ends = np.cumsum([0, *(leaf.size for leaf in leaves(like))])
    check_shape("carried", carried, (ends[-1],))
    parts = iter(np.split(carried, ends[1:-1]))
    return epoch, map_state(lambda leaf: next(parts).reshape(leaf.shape), like)


def flattened(state: Any, dtype: Any) -> Array:
    """All numbers of a state in a new 1-D array."""
    return np.concatenate([np.empty(0, dtype), *(leaf.ravel() for leaf in leaves(state))])
