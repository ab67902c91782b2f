"""Evaluation: held-out loss and copied names of a generator, compared with an n-gram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numpyrnn.batches import padded
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import NumpyrnnError
from numpyrnn.train import mean_loss
from workbench.copies import MISSING, Copies
from workbench.ngram import best_ngram

from .model import names_of, sample_names, text
from .names import END, encode

ENDING = 6  # characters: "saurus"


@dataclass(frozen=True)
class Sampled:
    """Statistics of a sample of names.

    Attributes
    ----------
    in_training, in_held_out, new, ending : float, shares of the sample
    length : float, mean number of characters
    longest_run : str, the longest run of characters that a new name shares with a training name
    run_of, run_from : str, that new name and that training name
    """

    in_training: float
    in_held_out: float
    new: float
    ending: float
    length: float
    longest_run: str
    run_of: str
    run_from: str


def common_ending(names: Sequence[str]) -> str:
    """The most frequent last six characters, such as "saurus"."""
    return Counter(name[-ENDING:] for name in names).most_common(1)[0][0]


def describe(sample: Sequence[str], training: Sequence[str], held_out: Sequence[str], ending: str) -> Sampled:
    """Measure a sample of names against the training and the held-out names.

    Parameters
    ----------
    sample, training, held_out : lists of names
    ending : str, the ending whose share is measured

    Returns
    -------
    Sampled
    """
    known, unseen = set(training), set(held_out)
    new = [name for name in sample if name not in known and name not in unseen]
    everything = MISSING.join(new)
    found = Copies(training).longest(everything)
    run = everything[found.start : found.start + found.length]
    return Sampled(
        in_training=float(np.mean([name in known for name in sample])),
        in_held_out=float(np.mean([name in unseen for name in sample])),
        new=len(new) / len(sample),
        ending=float(np.mean([name.endswith(ending) for name in sample])),
        length=float(np.mean([len(name) for name in sample])),
        longest_run=run,
        run_of=next((name for name in new if run and run in name), ""),
        run_from=training[found.source] if run else "",
    )


def measure(checkpoint: Checkpoint, n_samples: int = 10_000, seed: int = 0, **how: Any) -> dict[str, Any]:
    """Measure everything that `dinos evaluate` prints.

    Parameters
    ----------
    checkpoint : Checkpoint of a generator
    n_samples : int, default 10,000
    seed : int, default 0, for the samples
    **how : `temperature`, `top_k` and `top_p` of the network's sample, see `sample_names`

    Returns
    -------
    dict with

    - training, held_out: numbers of names;
    - places: number of held-out characters, including the ends of names; the losses are means over these;
    - losses: dict from the name of a model to its held-out loss, nats a character;
    - ending: str, the most common ending of the training names;
    - data: Sampled, of the training names;
    - samples: dict from "network" and "n-gram" to Sampled, of the names that each drew

    Raises
    ------
    NumpyrnnError
        if there is no held-out part or nothing to sample
    """
    training, held_out = names_of(checkpoint)
    if not held_out or n_samples < 1:
        raise NumpyrnnError(f"evaluation needs held-out names and samples, got {len(held_out)} and {n_samples}")
    vocabulary = checkpoint.vocabulary
    in_training, in_held_out = ([ids[1:].tolist() for ids in encode(part, vocabulary)] for part in (training, held_out))
    loss = mean_loss(checkpoint.model, padded(encode(held_out, vocabulary), 256))
    ngram, ngram_loss = best_ngram(in_training, in_held_out, len(vocabulary))
    _, unigram_loss = best_ngram(in_training, in_held_out, len(vocabulary), [1])
    ending = common_ending(training)
    end, rng = int(vocabulary.encode(END)[0]), np.random.default_rng(seed)
    samples = {
        "network": sample_names(checkpoint, n_samples, seed, **how),
        "n-gram": [text(ngram.sample(rng, end, 60), vocabulary) for _ in range(n_samples)],
    }
    losses = {"network": loss, f"Kneser-Ney, best order {ngram.order}": ngram_loss}
    losses |= {"unigram": unigram_loss, "uniform": float(np.log(len(vocabulary)))}
    sizes = {"training": len(training), "held_out": len(held_out), "places": sum(map(len, in_held_out))}
    sampled = {name: describe(sample, training, held_out, ending) for name, sample in samples.items()}
    data = describe(training, [], [], ending)
    return {**sizes, "losses": losses, "ending": ending, "data": data, "samples": sampled}
