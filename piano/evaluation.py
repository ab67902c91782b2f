"""Evaluation: held-out loss, accuracy and copied runs of a network, compared with n-grams."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from numpyrnn.checkpoint import Checkpoint
from numpyrnn.sampling import Sampler
from numpyrnn.train import mean_loss
from workbench.ngram import KneserNey

from .batches import accuracy
from .model import Material, material_of
from .play import compose

ORDERS = range(1, 7)
COUNTED = 1_000_000  # tokens that an n-gram is fitted on, at most
MEASURED = 20_000  # held-out tokens that it is measured on, at most; evenly spaced if there are more
Figures = tuple[float, float]  # loss in nats a token, accuracy


@lru_cache(maxsize=1)  # a training needs it twice at its end
def best_ngrams(material: Material) -> list[tuple[str, KneserNey, Figures]]:
    """The best Kneser-Ney n-gram and, if the network learns all keys, the best one that also learns them.

    Parameters
    ----------
    material : Material

    Returns
    -------
    list of (name, n-gram, figures)
    """
    found = [("Kneser-Ney", *best_ngram(material))]
    if material.settings.transpose:
        found.append(("Kneser-Ney on all keys", *best_ngram(material, transposed=True)))
    return found


def best_ngram(material: Material, transposed: bool = False) -> tuple[KneserNey, Figures]:
    """The Kneser-Ney n-gram of order 1 to 6 that predicts the held-out part best.

    Parameters
    ----------
    material : Material
    transposed : bool, default False, whether it learns all keys that the network learns, not only each piece's own

    Returns
    -------
    ngram : KneserNey
    figures : its loss in nats a token, and its accuracy
    """
    ngrams = (_ngram(material, order, transposed) for order in ORDERS)  # at most two at a time in memory
    return min(((ngram, figures_of(ngram, material)) for ngram in ngrams), key=lambda pair: pair[1][0])


def _ngram(material: Material, order: int, transposed: bool = False) -> KneserNey:
    sequences, left = [], COUNTED
    for (_, semitones), ids in zip(material.sources, material.learned.sequences, strict=True):
        if (transposed or not semitones) and left > 0:
            sequences.append(ids[:left])
            left -= len(ids)
    return KneserNey(sequences, len(material.vocabulary), order)


def figures_of(ngram: KneserNey, material: Material) -> Figures:
    """Loss and accuracy of an n-gram that predicts the tokens after the held-out windows."""
    places = material.unseen.starts + material.settings.window
    places = places[:: -(-len(places) // MEASURED)]
    ids, context = material.unseen.ids.tolist(), ngram.order - 1
    loss, right = 0.0, 0
    for place in places.tolist():
        p = ngram.distribution(tuple(ids[place - context : place]))
        loss -= float(np.log(p[ids[place]]))
        right += int(p.argmax() == ids[place])
    return loss / len(places), right / len(places)


def uniform(material: Material) -> Figures:
    """Loss and accuracy of a uniform guess."""
    size = len(material.vocabulary)
    return float(np.log(size)), 1 / size


def measure(checkpoint: Checkpoint, n_samples: int = 500, seed: int = 0, **how: Any) -> dict[str, Any]:
    """Measure everything that `piano evaluate` prints.

    Parameters
    ----------
    checkpoint : Checkpoint of a network
    n_samples : int, default 500, number of tokens to sample
    seed : int, default 0, for the samples
    **how : `temperature`, `top_k` and `top_p` of the network's sample, see `Sampler`

    Returns
    -------
    dict
        material : Material
        figures : dict from the name of a model to its held-out loss, nats a token, and its accuracy
        copied : dict from the name of a sample to a description of its longest copied run; the first tokens of the
            held-out pieces are a sample too

    Raises
    ------
    NumpyrnnError
        if there is nothing to sample, or the checkpoint is not of a network with its pieces
    """
    material, model = material_of(checkpoint), checkpoint.model
    batches, ngrams = material.held_out_batches, best_ngrams(material)
    figures = {"network": (mean_loss(model, batches()), accuracy(model, batches()))}
    figures |= {f"{name}, best order {ngram.order}": measured for name, ngram, measured in ngrams}
    figures |= {"unigram": figures_of(_ngram(material, 1), material), "uniform": uniform(material)}
    _, ngram, _ = min(ngrams, key=lambda found: found[2])
    samples = [("network", material.vocabulary.encode(compose(checkpoint, n_samples, Sampler(seed, **how))))]
    samples.append(("n-gram", np.array(ngram.sample(np.random.default_rng(seed), -1, n_samples))))
    if material.held_out:
        samples.append(("held-out pieces", material.unseen.ids[:n_samples]))
    copied = {name: material.copied(ids) for name, ids in samples}
    return {"material": material, "figures": figures, "copied": copied}
