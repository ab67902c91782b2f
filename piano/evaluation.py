"""How good a network is: held-out loss, accuracy and copies, with n-grams beside it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array
from numpyrnn.sampling import Sampler
from numpyrnn.train import mean_loss
from workbench.ngram import KneserNey

from .batches import accuracy
from .model import Material, material_of
from .play import compose

ORDERS = range(1, 7)
COUNTED = 1_000_000  # tokens that an n-gram is made of, at most
MEASURED = 20_000  # places at which it is measured, at most: evenly spaced, if there are more
Figures = tuple[float, float]  # loss in nats a token, accuracy


@dataclass(frozen=True)
class Copied:
    """The longest run of tokens that stands in a training piece as well.

    Attributes
    ----------
    length : int, tokens
    piece : str, where it comes from
    place : int, there, of the tokens that are learned, from 1
    semitones : int, so much higher than there
    """

    length: int
    piece: str = ""
    place: int = 0
    semitones: int = 0

    def __str__(self) -> str:
        if not self.length:
            return "none"
        moved = f", {abs(self.semitones)} semitones {'up' if self.semitones > 0 else 'down'}" if self.semitones else ""
        return f"{self.length} tokens, from token {self.place} of {self.piece}{moved}"


class Copies:
    """Finds what of a sample is copied from the training pieces, in any key in which they were learned.

    Parameters
    ----------
    material : Material
    """

    def __init__(self, material: Material):
        self.sources = material.sources
        texts = [_letters(ids) for ids in material.learned.sequences]
        self.text = "\0".join(texts)
        self.starts = [0, *accumulate(len(text) + 1 for text in texts)]

    def longest(self, ids: Sequence[int] | Array) -> Copied:
        """The longest run of ids that stands in a training piece, and where it first does."""
        sample, best, place, start = _letters(ids), 0, 0, 0
        while start + best < len(sample):
            found = self.text.find(sample[start : start + best + 1])
            if found >= 0:
                best, place = best + 1, found
            else:
                start += 1
        if not best:
            return Copied(0)
        index = bisect_right(self.starts, place) - 1
        piece, semitones = self.sources[index]
        return Copied(best, piece.name, place - self.starts[index] + 1, semitones)


def _letters(ids: Sequence[int] | Array) -> str:
    """Ids as the letters of a text, in which runs are quick to find."""
    return "".join(chr(0x10000 + int(i)) for i in ids)


def best_ngram(material: Material, transposed: bool = False) -> tuple[KneserNey, Figures]:
    """The Kneser-Ney n-gram, of orders 1 to 6, that predicts the labels of the held-out windows best.

    Parameters
    ----------
    material : Material
    transposed : bool, default False, learn all keys that the network learns; default: the pieces as they are

    Returns
    -------
    ngram : KneserNey
    figures : its loss, nats a token, and accuracy
    """
    ngrams = (_ngram(material, order, transposed) for order in ORDERS)  # one at a time in memory, and the best
    return min(((ngram, figures_of(ngram, material)) for ngram in ngrams), key=lambda pair: pair[1][0])


def best_ngrams(material: Material) -> list[tuple[str, KneserNey, Figures]]:
    """The best n-gram with its name and figures; and the best one on all keys, if the network learns them."""
    found = [("Kneser-Ney", *best_ngram(material))]
    if material.settings.transpose:
        found.append(("Kneser-Ney on all keys", *best_ngram(material, transposed=True)))
    return found


def uniform(material: Material) -> Figures:
    """Loss and accuracy of a guess."""
    size = len(material.vocabulary)
    return float(np.log(size)), 1 / size


def _ngram(material: Material, order: int, transposed: bool = False) -> KneserNey:
    sequences, total = [], 0
    for (_, semitones), ids in zip(material.sources, material.learned.sequences, strict=True):
        if (transposed or not semitones) and total < COUNTED:
            sequences.append(ids[: COUNTED - total].tolist())
            total += len(ids)
    return KneserNey(sequences, len(material.vocabulary), order)


def figures_of(ngram: KneserNey, material: Material) -> Figures:
    """Loss and accuracy of an n-gram at the labels of the held-out windows."""
    places = material.unseen.starts + material.settings.window
    places = places[:: -(-len(places) // MEASURED)]
    ids, context = material.unseen.ids.tolist(), ngram.order - 1
    loss, right = 0.0, 0
    for place in places.tolist():
        p = ngram.distribution(tuple(ids[place - context : place]))
        loss -= float(np.log(p[ids[place]]))
        right += int(p.argmax() == ids[place])
    return loss / len(places), right / len(places)


def network_figures(checkpoint: Checkpoint, material: Material) -> Figures:
    """Loss and accuracy of the network at the labels of the held-out windows."""
    model = checkpoint.model
    return mean_loss(model, material.held_out_batches()), accuracy(model, material.held_out_batches())


def evaluate(checkpoint: Checkpoint, n_samples: int = 500, seed: int = 0) -> dict[str, Any]:
    """Everything that `piano evaluate` prints.

    Parameters
    ----------
    checkpoint : Checkpoint of a network
    n_samples : int, default 500, tokens of a sample, at temperature 1
    seed : int, default 0, of the samples

    Returns
    -------
    dict: material; by name figures (loss in nats a token, accuracy), and the longest runs copied, of as many tokens of
    the held-out pieces too

    Raises
    ------
    NumpyrnnError
        if there is nothing to sample, or the checkpoint is not one of a network with its pieces
    """
    if n_samples < 1:
        raise NumpyrnnError(f"evaluation needs one sampled token or more, got {n_samples}")
    material = material_of(checkpoint)
    figures = {"network": network_figures(checkpoint, material)}
    ngrams = best_ngrams(material)
    figures |= {f"{name}, best order {ngram.order}": measured for name, ngram, measured in ngrams}
    figures["unigram"] = figures_of(_ngram(material, 1), material)
    figures["uniform"] = uniform(material)
    _, ngram, _ = min(ngrams, key=lambda found: found[2])
    copies = Copies(material)
    written = compose(checkpoint, n_samples, Sampler(seed))
    copied = {"network": copies.longest(material.vocabulary.encode(written))}
    copied["n-gram"] = copies.longest(ngram.sample(np.random.default_rng(seed), -1, n_samples))
    if material.held_out:
        copied["held-out pieces"] = copies.longest(material.unseen.ids[:n_samples])
    return {"material": material, "figures": figures, "copied": copied}
