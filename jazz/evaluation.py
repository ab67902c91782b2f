"""Evaluation: held-out loss and copied runs of a soloist, compared with n-grams."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import check_count, shown
from numpyrnn.sampling import Sampler
from numpyrnn.train import mean_loss
from workbench.copies import Copies
from workbench.ngram import KneserNey

from .changes import Changes
from .model import EncodedTune, training_values, values_of
from .soloist import Soloist
from .training import JazzTraining, ngram_on_values

RUN = 6  # values; shorter runs occur in most tunes
TOKEN_ORDERS = (4, 6, 8, 10)  # of the n-grams on the network's tokens
Progress = Callable[[Sequence[int]], Iterable[int]]
Tunes = Sequence[tuple[EncodedTune, Sequence[str]]]


@dataclass(frozen=True)
class Copied:
    """A run of values that also occurs in a tune.

    Attributes
    ----------
    length : int, number of values, 0 if nothing is copied
    tune : str, the tune's name
    bar : int, the bar of the tune in which the run begins, from 1
    """

    length: int
    tune: str = ""
    bar: int = 0

    def __str__(self) -> str:
        return f"{self.length} values, from bar {self.bar} of {shown(self.tune)}" if self.length else "none"


def longest_copy(values: Sequence[str], tunes: Tunes) -> Copied:
    """The longest run of values that also occurs in a tune.

    Parameters
    ----------
    values : list of str
    tunes : list of (EncodedTune, its values)

    Returns
    -------
    Copied; of equally long runs, the one that comes first in the tunes
    """
    run = Copies(of_tune for _, of_tune in tunes).longest(values, by_source=True)
    if not run.length:
        return Copied(0)
    tune = tunes[run.source][0]
    return Copied(run.length, tune.name, bisect_right(list(accumulate(tune.bars)), run.place) + 1)


def share_copied(values: Sequence[str], tunes: Tunes, length: int = RUN) -> float:
    """The share of values that lie in runs copied from a tune.

    Parameters
    ----------
    values : list of str
    tunes : list of (EncodedTune, its values)
    length : int, default 6, number of values; shorter runs do not count as copied

    Returns
    -------
    float
    """
    known = {tuple(v[i : i + length]) for _, v in tunes for i in range(len(v) - length + 1)}
    copied = np.zeros(len(values), bool)
    for i in range(len(values) - length + 1):
        if tuple(values[i : i + length]) in known:
            copied[i : i + length] = True
    return float(copied.mean()) if len(values) else 0.0


def measure(
    checkpoint: Checkpoint,
    changes: Changes,
    n_solos: int = 10,
    seed: int = 0,
    temperature: float = 1.0,
    progress: Progress = lambda items: items,
    **how: Any,
) -> dict[str, Any]:
    """Measure everything that `jazz evaluate` prints.

    Parameters
    ----------
    checkpoint : Checkpoint of a soloist
    changes : Changes to play over
    n_solos : int, default 10
    seed : int, default 0, for the solos
    temperature : float, default 1
    progress : function that yields the items of a sequence, such as a progress bar
    **how : `top_k` and `top_p` of the network's solos, see `Sampler`

    Returns
    -------
    dict with
        "training", "held_out" : pairs of the number of tunes and the number of values
        "losses" : dict from the name of a model to its held-out loss, nats a value
        "copies" : dict from "network", "n-gram" and "held-out tunes" to a pair: the longest copy in each of its solos,
        and the mean share copied

    Raises
    ------
    NumpyrnnError
        if there is no held-out part or no solo to play
    """
    check_count("n_solos", n_solos)
    training, known = JazzTraining.of(checkpoint), training_values(checkpoint)
    unseen = [values_of(checkpoint, tune) for tune in training.held_out]
    vocabulary, ngram, ngram_loss = ngram_on_values(checkpoint)
    loss, order = min((ngram_loss_on_tokens(training, order), order) for order in progress(TOKEN_ORDERS))

    def solo(number: int) -> list[str]:
        sampler = Sampler(np.random.default_rng([seed, number]), temperature, **how)
        return [str(value) for value in Soloist(checkpoint, sampler).play(changes).values]

    solos, rng = [solo(i) for i in progress(range(n_solos))], np.random.default_rng([seed, n_solos])
    samples = {
        "network": solos,
        "n-gram": [vocabulary.decode(ngram.sample(rng, steps=len(solo))) for solo in solos],
        "held-out tunes": unseen,
    }
    return {
        "training": (len(known), sum(len(values) for _, values in known)),
        "held_out": (len(unseen), sum(map(len, unseen))),
        "losses": {
            "network": mean_loss(checkpoint.model, training.held_out_batches()) * training.places,
            f"Kneser-Ney on values, order {ngram.order}": ngram_loss,
            f"Kneser-Ney on the network's tokens, order {order}": loss,
            f"a uniform guess among {len(vocabulary)} values": float(np.log(len(vocabulary))),
        },
        "copies": {
            name: ([longest_copy(v, known) for v in sample], float(np.mean([share_copied(v, known) for v in sample])))
            for name, sample in samples.items()
        },
    }


def ngram_loss_on_tokens(training: JazzTraining, order: int) -> float:
    """The held-out loss of an n-gram on the network's tokens, nats a value."""
    ngram = KneserNey([tune.ids for tune in training.training], len(training.vocabulary), order)
    total = sum(ngram.log_probabilities(tune.ids)[training.predicted[tune.ids]].sum() for tune in training.held_out)
    return float(-total / sum(sum(tune.bars) for tune in training.held_out))
