"""How good a soloist is: held-out loss and copies, with n-grams beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array
from numpyrnn.sampling import Sampler
from numpyrnn.train import mean_loss
from numpyrnn.vocab import Vocabulary
from workbench.ngram import KneserNey, best_ngram

from .changes import Changes
from .model import Learned, known_values, masked, parts_a_value, settings_of, tunes_of, values_of
from .soloist import Soloist
from .tokens import is_said

RUN = 6  # values; a shorter run in common is everybody's language
TOKEN_ORDERS = (4, 6, 8, 10)
Progress = Callable[[Sequence[int]], Iterable[int]]


@dataclass(frozen=True)
class Copied:
    """The longest run of values that stands in a tune as well.

    Attributes
    ----------
    length : int, values
    tune : str, where it comes from
    bar : int, there, from 1
    """

    length: int
    tune: str = ""
    bar: int = 0

    def __str__(self) -> str:
        return f"{self.length} values, from bar {self.bar} of {self.tune}" if self.length else "none"


def longest_copy(values: Sequence[str], tunes: Sequence[tuple[Learned, Sequence[str]]]) -> Copied:
    """The longest run of `values` that stands in one of the tunes.

    Parameters
    ----------
    values : list of str
    tunes : list of (Learned, its values)

    Returns
    -------
    Copied
    """
    best = Copied(0)
    while best.length < len(values):
        length = best.length + 1
        runs = {tuple(values[i : i + length]) for i in range(len(values) - length + 1)}
        places = ((t, v, i) for t, v in tunes for i in range(len(v) - length + 1) if tuple(v[i : i + length]) in runs)
        found = next(places, None)
        if found is None:
            break
        tune, _, start = found
        best = Copied(length, tune.name, int(np.searchsorted(np.cumsum(tune.bars), start, "right")) + 1)
    return best


def share_copied(values: Sequence[str], tunes: Sequence[tuple[Learned, Sequence[str]]], length: int = RUN) -> float:
    """Share of `values` that lie in a run of `length` or more which stands in a tune."""
    known = {tuple(v[i : i + length]) for _, v in tunes for i in range(len(v) - length + 1)}
    inside = np.zeros(len(values), bool)
    for i in range(len(values) - length + 1):
        if tuple(values[i : i + length]) in known:
            inside[i : i + length] = True
    return float(inside.mean()) if len(values) else 0.0


def best_ngram_on_values(checkpoint: Checkpoint) -> tuple[int, float]:
    """Order and held-out loss, in nats a value, of the best Kneser-Ney n-gram on a model's tunes."""
    training, held_out = ([values_of(checkpoint, tune) for tune in part] for part in tunes_of(checkpoint))
    _, ngram, loss = _ngram_on_values(training, held_out)
    return ngram.order, loss


def _ngram_on_values(
    training: Sequence[Sequence[str]], held_out: Sequence[Sequence[str]]
) -> tuple[Vocabulary, KneserNey, float]:
    everything = Vocabulary(value for values in (*training, *held_out) for value in values)
    learned, unseen = ([everything.encode(values).tolist() for values in part] for part in (training, held_out))
    return everything, *best_ngram(learned, unseen, len(everything), range(1, 8))


def evaluate(
    checkpoint: Checkpoint,
    changes: Changes,
    n_solos: int = 10,
    seed: int = 0,
    temperature: float = 1.0,
    progress: Progress = lambda items: items,
) -> dict[str, Any]:
    """Everything that `jazz evaluate` prints.

    Parameters
    ----------
    checkpoint : Checkpoint of a soloist
    changes : Changes to play over
    n_solos : int, default 10
    seed : int, default 0, of the solos
    temperature : float, default 1
    progress : function of a list, gives its items: a progress bar

    Returns
    -------
    dict: numbers of tunes and values (training, held_out), losses in nats a value by name, and by
    name of who plays (network, n-gram): (longest runs, share copied), of the held-out tunes too

    Raises
    ------
    NumpyrnnError
        if there is no held-out part
    """
    training, held_out = tunes_of(checkpoint)
    if not training or not held_out or n_solos < 1:
        raise NumpyrnnError(f"evaluation needs held-out tunes and solos, got {len(held_out)} and {n_solos}")
    known = known_values(checkpoint)
    unseen = [values_of(checkpoint, tune) for tune in held_out]
    everything, ngram, ngram_loss = _ngram_on_values([values for _, values in known], unseen)
    losses = {"network": network_loss(checkpoint), f"Kneser-Ney on values, order {ngram.order}": ngram_loss}
    loss, order = min((ngram_loss_on_tokens(checkpoint, order), order) for order in progress(TOKEN_ORDERS))
    losses[f"Kneser-Ney on the network's tokens, order {order}"] = loss
    losses[f"a uniform guess among {len(everything)} values"] = float(np.log(len(everything)))

    def solo(number: int) -> list[str]:
        sampler = Sampler(np.random.default_rng([seed, number]), temperature)
        return [str(value) for value in Soloist(checkpoint, sampler).play(changes).values]

    solos, rng = [solo(i) for i in progress(range(n_solos))], np.random.default_rng([seed, n_solos])
    samples = {
        "network": solos,
        "n-gram": [everything.decode(ngram.sample(rng, -1, len(solo))) for solo in solos],
        "held-out tunes": unseen,
    }
    return {
        "training": (len(training), sum(len(values) for _, values in known)),
        "held_out": (len(held_out), sum(map(len, unseen))),
        "losses": losses,
        "copies": {
            name: ([longest_copy(v, known) for v in sample], float(np.mean([share_copied(v, known) for v in sample])))
            for name, sample in samples.items()
        },
    }


def network_loss(checkpoint: Checkpoint) -> float:
    """The network's loss on its held-out tunes, nats a value."""
    settings = settings_of(checkpoint)
    held_out = masked([np.array(tune.ids) for tune in tunes_of(checkpoint)[1]], _said(checkpoint))
    return mean_loss(checkpoint.model, [held_out]) * parts_a_value(settings)


def ngram_loss_on_tokens(checkpoint: Checkpoint, order: int) -> float:
    """The loss of an n-gram that reads the same tokens as the network, nats a value."""
    training, held_out = tunes_of(checkpoint)
    ngram, said = KneserNey([tune.ids for tune in training], len(checkpoint.vocabulary), order), _said(checkpoint)
    total = sum(ngram.log_probabilities(tune.ids)[said[tune.ids]].sum() for tune in held_out)
    return float(-total / sum(sum(tune.bars) for tune in held_out))


def _said(checkpoint: Checkpoint) -> Array:
    """(V,) boolean: which tokens are parts of values."""
    return np.array([is_said(token) for token in checkpoint.vocabulary.tokens])
