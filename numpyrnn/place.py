"""A place within an epoch, from which a training goes on with the same bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count, takewhile
from typing import Any

import numpy as np
from numpy.random import Generator

from .batches import Batch
from .checks import LARGEST, Array, NumpyrnnError, check_count, check_range
from .layer import leaves, map_state
from .sequential import Sequential

FIGURES = "batch", "loss", "count", "items"  # sums over the batches so far: 1, the loss, targets, sequences
SLOWEST = 2.0**-100  # times the learning rate: twenty epochs in a row, each of which halves it five times
Place = dict[str, Any]  # FIGURES, seconds, and the random state at the beginning of the epoch


def beginning(rng: Generator) -> Place:
    """The place before the first batch."""
    return dict.fromkeys((*FIGURES, "seconds"), 0) | {"rng": rng.bit_generator.state}


def check_place(state: Mapping[str, Any], rng: Generator) -> None:
    """Raise an error, a NumpyrnnError or one of Python, unless `rate` and `place` of a state are right."""
    check_range("rate", state.get("rate", 1.0), SLOWEST, 1)
    if (place := state.get("place")) is not None:
        if place.keys() != {*FIGURES, "seconds", "rng"}:
            raise NumpyrnnError(f"a place must have {', '.join(FIGURES)}, seconds and rng, got {[*place]!s:.80}")
        check_count("batch", place["batch"], 1)
        check_range("loss", place["loss"], -LARGEST)
        for name in ("count", "items", "seconds"):
            check_range(name, place[name], 0, open_low=name == "seconds")
        check_rng(place["rng"], rng)


def check_rng(state: Mapping[str, Any], rng: Generator) -> None:
    """Raise an error of any kind unless a random state is one of the generator's kind."""
    twin = type(rng.bit_generator)()
    twin.state = state
    odd = state["state"].get("inc", 1) % 2 and state.get("has_uint32", 0) in (0, 1)
    if not odd or str(twin.state) != str(state):
        raise NumpyrnnError(f"rng must be a state of {type(twin).__name__}, got {state!r:.80}")


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
    carried : 1-D array, or None if no state is carried over
        The numbers of the carried state; what follows them is ignored.

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
    ends = np.cumsum([leaf.size for leaf in leaves(like)])
    if len(ends) and ends[-1] > carried.size:
        raise NumpyrnnError(f"the state that is carried over must have {ends[-1]} numbers, got {carried.size}")
    parts = iter(np.split(carried, ends))
    return epoch, map_state(lambda leaf: next(parts).reshape(leaf.shape), like)


def flattened(state: Any, weights: Array) -> dict[str, Array]:
    """All numbers of a state in arrays of the size of the weights, `carried.0` and so on; zeros follow the last one."""
    numbers = np.concatenate([np.empty(0, weights.dtype), *(leaf.ravel() for leaf in leaves(state))])
    n = max(1, -(-numbers.size // weights.size))
    rows = np.zeros((n, weights.size), weights.dtype)
    rows.flat[: numbers.size] = numbers
    return {f"carried.{i}": row for i, row in enumerate(rows)}


def carried_of(state: Mapping[str, Any]) -> dict[str, Array]:
    """The arrays that `flattened` put into a state: `carried.0`, `carried.1` and so on, as far as there are."""
    names = takewhile(state.__contains__, map("carried.{}".format, count(1)))
    return {name: state[name] for name in ("carried.0", *names)}


def unflattened(state: Mapping[str, Any]) -> Array:
    """The numbers that `flattened` put into the arrays of a state, and zeros."""
    return np.concatenate([*carried_of(state).values()])
