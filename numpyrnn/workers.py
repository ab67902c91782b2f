"""Loss and gradients of a batch; by several workers, if asked for, each with some of the sequences.

The sequences of a batch do not know of each other, so that each worker can take its own from the first step to the last
and back, and wait for the others only once, when the gradients are added. Workers are Python threads: they run side by
side as far as NumPy (or Numba) computes, and share the parameters. Two take 0.5 to 0.8 of the time of one, from about
64 sequences of 128 units on; small models are the slower for it (`make bench`, W3).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

from .batches import Batch
from .checks import check_count
from .losses import softmax_cross_entropy
from .parameters import Parameters
from .sequential import Sequential
from .threads import blas_threads


class Workers:
    """Forward, softmax cross-entropy and backward over a batch.

    The gradients are added in a fixed order, so that the same number of workers gives the same bits; another number
    rounds otherwise, and drops other units.

    Parameters
    ----------
    model : Sequential from ids to logits
    n : int, default 1, workers; each has one BLAS thread where there are several

    Attributes
    ----------
    grads : Parameters, the gradients of the mean loss of the last batch
    """

    def __init__(self, model: Sequential, n: int = 1):
        check_count("workers", n, 1)
        self.model, self.n = model, n
        self.parts = [model.params.zeros_like() for _ in range(n)]  # each worker's gradients
        self.grads: Parameters = self.parts[0]
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self, batch: Batch, states: Sequence[Any] | None = None, rng: Generator | None = None) -> Any:
        """Loss, and the states for the batch that goes on from this one; the gradients are then in `grads`.

        Parameters
        ----------
        batch : Batch
        states : what the last call gave, default zeros
        rng : numpy Generator, switches dropout on

        Returns
        -------
        loss : float, mean over the places that count, in nats
        states : list, one of each worker
        """
        batches, total = batch.split(self.n), batch.places
        states = states or [None] * len(batches)
        if len(batches) == 1:
            loss, state = self._pass(batch, states[0], rng, self.grads)
            return loss, [state]
        seeds = None if rng is None else rng.integers(2**63, size=len(batches))  # drawn, so that `rng` says all of it
        rngs = [None] * len(batches) if seeds is None else [np.random.default_rng(seed) for seed in seeds]
        tasks = [
            partial(self._pass, part, state, part_rng, grads, total)
            for part, state, part_rng, grads in zip(batches, states, rngs, self.parts)
        ]
        with blas_threads(1):
            results = self._all(tasks)
        for part in self.parts[1 : len(batches)]:
            self.grads.flat[...] += part.flat
        losses, states = zip(*results, strict=True)
        return sum(losses), list(states)

    def _all(self, tasks: list[Any]) -> list[Any]:
        """Each task by a thread of its own; an error or Ctrl-C is passed on when none of them runs any more."""
        self._pool = self._pool or ThreadPoolExecutor(self.n)
        futures = [self._pool.submit(task) for task in tasks]
        try:
            return [future.result() for future in futures]
        finally:
            wait(futures)

    def _pass(
        self, batch: Batch, state: Any, rng: Generator | None, grads: Parameters, total: int | None = None
    ) -> tuple[float, Any]:
        """The batch's share of the mean over `total` places, and its end state; the gradients are written."""
        logits, state, cache = self.model.forward(batch.x, state, batch.lengths, rng)
        share = 1.0 if total is None else batch.places / total
        if share == 0:  # nothing counts here
            grads.flat[...] = 0
            return 0.0, state
        loss, dlogits = softmax_cross_entropy(logits, batch.targets, batch.counts)
        if np.isfinite(loss):
            dlogits *= share
            self.model.backward(dlogits, cache, grads=grads)
        return loss * share, state
