"""Evaluation: held-out loss and copied runs of a model, compared with an n-gram."""

from __future__ import annotations

from typing import Any

import numpy as np

from numpyrnn.checkpoint import Checkpoint
from numpyrnn.sampling import Sampler
from numpyrnn.train import mean_loss
from workbench.copies import Copies

from .model import SonnetTraining
from .recipes import Settings
from .text import START, line_of, opening, texts_of
from .write import continue_prompt

PASSAGE = 50  # characters
PASSAGES = 500  # of the held-out text that are looked for in the training part, at most


def repeated(learned: str, held_out: str) -> tuple[list[tuple[str, int, str]], int]:
    """Find passages of a held-out text that also stand in the training part.

    Parameters
    ----------
    learned, held_out : str

    Returns
    -------
    found : list of (passage, number of its line in the training part, that line)
    n : int, how many passages were looked for, evenly spaced
    """
    starts = range(0, len(held_out) - PASSAGE + 1, PASSAGE)
    passages = [held_out[i : i + PASSAGE] for i in starts[:: -(-len(starts) // PASSAGES) or 1]]
    places = [(passage, place) for passage in passages if passage.strip() and (place := learned.find(passage)) >= 0]
    return [(passage, *line_of(learned, place)) for passage, place in places], len(passages)


def measure(
    checkpoint: Checkpoint, text: str | None = None, n_samples: int = 2000, seed: int = 0, **how: Any
) -> dict[str, Any]:
    """Measure everything that `sonnets evaluate` prints.

    Parameters
    ----------
    checkpoint : Checkpoint
    text : str, optional, the whole text that the model was trained on; needed if the model does not keep it
    n_samples : int, default 2,000, number of characters in a sample
    seed : int, default 0, for the samples
    **how : `temperature`, `top_k` and `top_p` of the network's sample, see `Sampler`

    Returns
    -------
    dict with

    - training, held_out, counted, measured: numbers of characters; the n-gram is fitted on the last `counted` of the
      training text, and the losses are means over the first `measured` of the held-out text;
    - losses: dict from the name of a model to its held-out loss, nats a character;
    - copied: dict from the name of a sample to the longest run that it shares with the training text, the number of the
      run's line there (from 1), and that line. The network (by default at temperature 1) and the n-gram continue the
      same random first line. The third sample is the beginning of the held-out text;
    - sample: str, the network's sample, with its first line;
    - repeated, passages: what `repeated` returns.

    Raises
    ------
    NumpyrnnError
        if the text is missing or differs from the one that the model was trained on, or `n_samples` is below 1
    """
    learned, held_out = texts_of(checkpoint, text)
    training, vocabulary = SonnetTraining(learned, held_out, Settings.of(checkpoint)), checkpoint.vocabulary
    loss = mean_loss(checkpoint.model, training.held_out_batches(), training.trainer.carry)
    (ngram, ngram_loss), (_, unigram_loss) = training.ngram(), training.ngram([1])
    sampler, rng = Sampler(seed, **how), np.random.default_rng(seed)
    prompt = opening(checkpoint, sampler.rng)
    drawn = ngram.sample(rng, steps=n_samples, before=vocabulary.encode(START + prompt))
    samples = {
        "network": "".join(continue_prompt(checkpoint, prompt, sampler, n_samples)),
        "n-gram": "".join(vocabulary.decode(drawn)),
        "held-out text": held_out[:n_samples],
    }
    copies, copied = Copies([learned]), {}
    for name, sample in samples.items():
        run = copies.longest(sample, by_source=True)
        copied[name] = (sample[run.start :][: run.length], *line_of(learned, run.place))
    losses = {"network": loss, f"Kneser-Ney, best order {ngram.order}": ngram_loss}
    losses |= {"unigram": unigram_loss, "uniform": float(np.log(len(vocabulary)))}
    sizes = {"training": len(learned), "held_out": len(held_out), "counted": len(training.counted)}
    found = {"losses": losses, "copied": copied, "sample": prompt + samples["network"]}
    found |= zip(("repeated", "passages"), repeated(learned, held_out), strict=True)
    return {**sizes, "measured": len(training.unseen) - 1, **found}
