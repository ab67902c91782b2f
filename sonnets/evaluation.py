"""How good a writer is: held-out loss and what it copies, with an n-gram beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array, NumpyrnnError
from numpyrnn.sampling import Sampler
from numpyrnn.train import mean_loss
from workbench.ngram import KneserNey, best_ngram

from .model import held_out_batches, settings_of
from .text import START, line_of, measured, texts_of
from .write import opening, write

ORDERS = range(3, 8)
COUNTED = 1_000_000  # characters at the end of the training text that the n-gram is made of, at most


@dataclass(frozen=True)
class Copied:
    """The longest run of a sample that stands in the training text.

    Attributes
    ----------
    run : str
    number : int, of the line where it begins, from 1
    line : str, that line
    """

    run: str
    number: int
    line: str


def longest_run(sample: str, text: str) -> Copied:
    """The longest piece of a sample that stands verbatim in a text, and where it first begins.

    Parameters
    ----------
    sample, text : str

    Returns
    -------
    Copied, of an empty run if not even a character is shared
    """
    best, place, longer = 0, 0, set(sample)
    for i in range(len(text)):
        if text[i : i + best + 1] in longer:
            while i + best < len(text) and text[i : i + best + 1] in sample:
                best += 1
            place, longer = i, {sample[k : k + best + 1] for k in range(len(sample) - best)}
    return Copied(text[place : place + best], *line_of(text, place))


def ngram_beside(ids: Array, unseen: Array, size: int) -> tuple[KneserNey, float, float]:
    """The n-gram that stands beside a writer.

    It is made of the last 1,000,000 ids of the training text, and begins the held-out text knowing only what stands
    before it.

    Parameters
    ----------
    ids : (L,) integers, the training text
    unseen : (L,) integers, of `measured`: START, which is not counted, and the held-out text
    size : int, V

    Returns
    -------
    ngram : KneserNey of the best order from 3 to 7
    loss, unigram : float, nats a character, of it and of an n-gram of order 1
    """
    learned = ids[-COUNTED:]
    found = (best_ngram([learned], [unseen], size, [order]) for order in ORDERS)  # one in memory at a time
    ngram, _ = min(found, key=lambda pair: pair[1])
    losses = [-model.log_probabilities(unseen)[1:].mean() for model in (ngram, KneserNey([learned], size, 1))]
    return ngram, float(losses[0]), float(losses[1])


def written_by(ngram: KneserNey, ids: list[int], n: int, rng: Generator) -> list[int]:
    """What an n-gram writes after `ids`, n ids."""
    written = list(ids)
    for _ in range(n):
        context = tuple(written[1 - ngram.order :])
        written.append(int(rng.choice(ngram.size, p=ngram.distribution(context))))
    return written[len(ids) :]


def evaluate(checkpoint: Checkpoint, text: str | None = None, n_samples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Everything that `sonnets evaluate` prints.

    Parameters
    ----------
    checkpoint : Checkpoint of a writer
    text : str, optional
        The text that it was trained on, needed where the checkpoint does not keep it.
    n_samples : int, default 2,000, characters of a sample
    seed : int, default 0, of the samples

    Returns
    -------
    dict: numbers of characters (training, held_out, and of them counted by the n-gram and measured), losses in nats a
    character by name, order of the n-gram, and by name what is Copied: of a sample of the network and one of the
    n-gram, both at temperature 1 after the same random first line, and of as many held-out characters

    Raises
    ------
    NumpyrnnError
        if the text is missing or another one, or there is nothing to sample
    """
    if n_samples < 1:
        raise NumpyrnnError(f"evaluation needs one sampled character or more, got {n_samples}")
    (training, held_out), vocabulary = texts_of(checkpoint, text), checkpoint.vocabulary
    settings, unseen = settings_of(checkpoint), vocabulary.encode_text(measured(held_out, vocabulary))
    loss = mean_loss(checkpoint.model, held_out_batches(unseen, settings), carry=not settings.stride)
    counted = vocabulary.encode_text(training[-COUNTED:])
    ngram, ngram_loss, unigram_loss = ngram_beside(counted, unseen, len(vocabulary))
    sampler = Sampler(seed)
    prompt = opening(checkpoint, sampler)
    drawn = written_by(ngram, vocabulary.encode(START + prompt).tolist(), n_samples, np.random.default_rng(seed))
    samples = {
        "network": "".join(write(checkpoint, prompt, n_samples, sampler=sampler)),
        "n-gram": "".join(vocabulary.decode(drawn)),
        "held-out text": held_out[:n_samples],
    }
    return {
        "training": len(training),
        "held_out": len(held_out),
        "counted": len(counted),
        "measured": len(unseen) - 1,
        "losses": {
            "network": loss,
            "n-gram": ngram_loss,
            "unigram": unigram_loss,
            "uniform": float(np.log(len(vocabulary))),
        },
        "order": ngram.order,
        "copied": {name: longest_run(sample, training) for name, sample in samples.items()},
    }
