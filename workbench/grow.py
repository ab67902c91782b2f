"""A training that starts from the weights of another model, on data that may have new tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from numpyrnn import Sequential, Vocabulary
from numpyrnn.checks import Array

RATE = 0.5  # of the model's learning rate
TIMES = 4  # how often an epoch reads the own sequences


def grow(
    model: Sequential, vocabulary: Vocabulary, old: Sequential, known: Vocabulary, kind: Callable[[str], Any]
) -> None:
    """Give a network the weights of another one that has fewer tokens or other ones.

    The weights of a new token, in the embedding and in the output, are the mean over the known tokens of its kind, or
    over all if there are none (Hewitt 2021). So each known token keeps its probability, up to a factor that is the same
    for all, and at least n / (n + m) where n known and m new tokens are alike.

    Parameters
    ----------
    model : Sequential, which is changed; the same network as `old`, but for the number of tokens
    vocabulary, known : Vocabulary of `model` and of `old`
    old : Sequential
    kind : function from a token to what it has in common with those that are alike
    """
    alike = dict[Any, list[int]]()
    for token, i in known.ids.items():
        alike.setdefault(kind(token), []).append(i)
    rows = [[known.ids[t]] if t in known else alike.get(kind(t), [*known.ids.values()]) for t in vocabulary.tokens]
    same = vocabulary == known
    for name, array in model.params.items():
        of_old = old.params[name]
        axes = [axis for axis, size in enumerate(array.shape) if size != of_old.shape[axis]]
        if same or not axes:
            array[...] = of_old
            continue
        (axis,) = axes
        for i, like in enumerate(rows):
            np.moveaxis(array, axis, 0)[i] = np.moveaxis(of_old, axis, 0)[like].mean(axis=0)


def gentle(settings: Any, seed: int, own: int, **changes: Any) -> Any:
    """The settings of a model for a training that starts from it, with a small learning rate."""
    return replace(settings, learning_rate=settings.learning_rate * RATE, seed=seed, own=own, **changes)


def mixed(lengths: Sequence[int], own: Sequence[bool], rng: Generator) -> list[int]:
    """The sequences of an epoch: the own ones several times, and about as much of the others, drawn at random.

    Parameters
    ----------
    lengths : of the sequences
    own : which of them are the own ones; if none is, all are read once
    rng : numpy Generator

    Returns
    -------
    list of int, indices
    """
    if not any(own):
        return list(range(len(lengths)))
    chosen = [i for i, is_own in enumerate(own) if is_own] * TIMES
    left = sum(lengths[i] for i in chosen)
    for i in rng.permutation([i for i, is_own in enumerate(own) if not is_own]):
        if left <= 0:
            break
        chosen.append(int(i))
        left -= lengths[i]
    return chosen


def mixed_text(length: int, own: int, rng: Generator) -> Array | slice:
    """The places of a text that an epoch reads: the own part several times, and as much of the rest, from a random one.

    Parameters
    ----------
    length : int, of the whole text
    own : int, length of the own part, at the beginning; 0: the whole text is read once
    rng : numpy Generator

    Returns
    -------
    (n,) integers, or a slice of all places, which needs no memory
    """
    own = min(own, length)
    if not own:
        return slice(None)
    first = own + int(rng.integers(max(1, length - own - own * TIMES)))
    return np.concatenate([*[np.arange(own)] * TIMES, np.arange(first, min(first + own * TIMES, length))])
