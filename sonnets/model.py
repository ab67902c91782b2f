"""The writer: which layers, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator

from numpyrnn import LSTM, Dense, Dropout, Embedding, LastStep, NumpyrnnError, Sequential
from numpyrnn.batches import Batch, windows
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array
from numpyrnn.optim import Adam
from numpyrnn.train import SCHEDULES, Trainer
from numpyrnn.vocab import Vocabulary
from workbench.ngram import KneserNey

from .text import START, kept, measured, texts_of

KIND = "sonnets"
EPOCH = 1_000_000  # characters: of a longer text, an epoch reads a stretch that begins at random
FOLDS = 10  # of the training text, for the teacher
TAUGHT = 12_000_000  # numbers: for a text whose soft targets would be more, there is no teacher
CONTEXT, WIDTH = 200, 200  # characters: before each held-out stretch, and its own


@dataclass(frozen=True)
class Settings:
    """How a writer is built and trained. The defaults were chosen on a part of the training sonnets, by measurement.

    Attributes
    ----------
    hidden, layers, embedding : int, sizes; embedding 0 is none
    hard_sigmoid : bool, for the gates
    input_dropout, between_dropout, dropout : float, before, between and after the recurrent layers
    shared : "time" or None, whether one mask serves all steps of a stretch (Gal and Ghahramani 2016)
    weight_dropout : float, of the recurrent weights (Merity et al. 2018)
    teacher : float, share of an n-gram's distribution in the targets (Hinton et al. 2015)
    teacher_order : int, of that n-gram, which is fitted on the rest of the training text
    learning_rate, beta2, schedule : for Adam
    batch_size : int, streams or windows side by side
    steps : int, of backpropagation through time: of a stretch of the streams, or of a window
    stride : int, between the starts of two windows, each with a loss at its end only; 0: streams, a loss at every step
    clip_norm : float or None, of the gradients
    average : float, decay of the averaged weights
    epochs : int
    seed : int, of everything: weights, order, dropout
    """

    hidden: int = 384
    layers: int = 1
    embedding: int = 64
    hard_sigmoid: bool = False
    input_dropout: float = 0.0
    between_dropout: float = 0.4
    dropout: float = 0.4
    shared: str | None = "time"
    weight_dropout: float = 0.4
    teacher: float = 0.3
    teacher_order: int = 5
    learning_rate: float = 0.008
    beta2: float = 0.99
    schedule: str = "cosine"
    batch_size: int = 16
    steps: int = 50
    stride: int = 0
    clip_norm: float | None = 1.0
    average: float = 0.0
    epochs: int = 36
    seed: int = 0


# "streams" is the way of char-rnn (Karpathy 2015); "course" the deep-learning course's network, windows and optimiser.
RECIPES = {
    "streams": Settings(),
    "course": Settings(
        hidden=128,
        layers=2,
        embedding=0,
        hard_sigmoid=True,
        between_dropout=0.5,
        dropout=0.5,
        shared=None,
        weight_dropout=0.0,
        teacher=0.0,
        learning_rate=0.001,
        beta2=0.999,
        schedule="constant",
        batch_size=128,
        steps=40,
        stride=3,
        clip_norm=None,
        epochs=20,
    ),
}


def build(settings: Settings, vocabulary: Vocabulary) -> Sequential:
    """Embedding (or one-hot rows), LSTM layers with dropout around them, and a dense layer to the logits.

    Parameters
    ----------
    settings : Settings
    vocabulary : Vocabulary

    Returns
    -------
    Sequential from ids to logits, float32; of every step, or (with a stride) of the last one
    """
    s, rng, size = settings, np.random.default_rng(settings.seed), len(vocabulary)
    layers: list[Any] = []
    if s.embedding:
        layers = [Embedding(size, s.embedding, rng=rng), Dropout(s.input_dropout, shared=s.shared)]
        size = s.embedding
    for i in range(s.layers):
        rate = s.dropout if i == s.layers - 1 else s.between_dropout
        layers += [
            LSTM(size, s.hidden, rng=rng, weight_dropout=s.weight_dropout, hard_sigmoid=s.hard_sigmoid),
            Dropout(rate, shared=s.shared),
        ]
        size = s.hidden
    if s.stride:
        layers.append(LastStep())
    return Sequential(*layers, Dense(size, len(vocabulary), rng=rng))


def n_streams(L: int, batch_size: int, steps: int) -> tuple[int, int]:
    """How many streams there are over a text of L characters, and how much of it each reads in an epoch."""
    N = max(1, min(batch_size, L // (4 * steps)))
    return N, min(L, EPOCH) // N


def shifted_streams(
    ids: Array, batch_size: int, steps: int, rng: Generator, soft: Array | None = None
) -> Iterator[Batch]:
    """Contiguous streams over the text as a ring, from a place that changes from epoch to epoch, and with it every cut.

    A batch of streams goes on where the last one ended. Of a small text there are so few streams that each is four
    stretches long; of a large one an epoch reads a part.

    Parameters
    ----------
    ids : (L,) integers
    batch_size : int, number of streams
    steps : int, of a batch (the last may have fewer)
    rng : numpy Generator
    soft : (L, V) floating, optional
        What to learn in place of each id: distributions.

    Yields
    ------
    Batch
    """
    L = len(ids)
    N, length = n_streams(L, batch_size, steps)
    starts = rng.integers(L) + length * np.arange(N)
    for start in range(0, length, steps):
        places = (starts + np.arange(start, min(start + steps, length))[:, None]) % L
        after = (places + 1) % L
        yield Batch(ids[places], ids[after] if soft is None else soft[after])


def shuffled_windows(ids: Array, settings: Settings, rng: Generator) -> Iterator[Batch]:
    """The course's windows, shuffled, with a loss at their ends only; of a large text an epoch reads a part."""
    start = int(rng.integers(max(1, len(ids) - EPOCH)))
    part = ids[start : start + EPOCH]
    yield from windows(part, settings.steps, settings.stride, settings.batch_size, rng, last_only=True)


def held_out_batches(ids: Array, settings: Settings) -> Iterator[Batch]:
    """Every id after the first, to be predicted once, from many places side by side.

    Streams: each from the ids before it, all of them or at least 200; the batches belong one after the other, with the
    state carried. Windows: each from the last 40 ids (`steps`), or all where there are fewer.

    Parameters
    ----------
    ids : (L,) integers, L at least 2
    settings : Settings

    Yields
    ------
    Batch with a mask
    """
    steps, n = settings.steps, len(ids) - 1
    if settings.stride:
        for i in range(1, min(steps, len(ids))):
            yield Batch(ids[:i, None], ids[None, i : i + 1])
        if n >= steps:
            yield from windows(ids, steps, 1, 512, last_only=True)
        return
    span = min(CONTEXT + WIDTH, n)
    starts = np.minimum(np.arange(0, n - span + WIDTH, WIDTH), n - span)
    counted = np.append(0, starts[:-1] + span)  # up to here, by the stretches before
    for first in range(0, span, steps):
        places = starts + np.arange(first, min(first + steps, span))[:, None]
        yield Batch(ids[places], ids[places + 1], mask=places >= counted)


def softened(ids: Array, size: int, share: float, order: int) -> Array:
    """For each place what stands there, softened by an n-gram that has not seen that tenth of the text.

    Parameters
    ----------
    ids : (L,) integers
    size : int, V
    share : float, of the n-gram
    order : int, of the n-gram

    Returns
    -------
    (L, V) float32, distributions
    """
    soft = np.zeros((len(ids), size), np.float32)
    soft[np.arange(len(ids)), ids] = 1 - share
    cuts = np.linspace(0, len(ids), FOLDS + 1).astype(int).tolist()
    for start, stop in pairwise(cuts):
        others = [ids[:start], ids[stop:]]
        context = max(0, start - order + 1)
        seen = KneserNey(others, size, order).distributions(ids[context:stop])
        soft[start:stop] += share * seen[start - context :].astype(np.float32)
    return soft


class SonnetTraining:
    """Training of a writer on a text: the model, its trainer, and the batches.

    Parameters
    ----------
    training, held_out : str, the two parts of the text
    settings : Settings
    keep_case : bool, default False, whether the text was not lower-cased

    Attributes
    ----------
    ids, unseen : integers, the training part and what is measured of the held-out one: all that is kept of a long text
    n_held_out : int, characters of the held-out part

    Raises
    ------
    NumpyrnnError
        if a part is too short
    """

    def __init__(self, training: str, held_out: str, settings: Settings, keep_case: bool = False):
        fewest = settings.steps + 1
        if len(training) < fewest or not held_out:
            found = f"{len(training)} and {len(held_out)}"
            raise NumpyrnnError(f"the parts of a text must have at least {fewest} and 1 characters, got {found}")
        self.settings, self.keep_case = settings, keep_case
        self.kept = kept(training, held_out)
        self.vocabulary = Vocabulary({*START, *training, *held_out})
        self.ids, self.n_held_out = self.vocabulary.encode_text(training), len(held_out)
        self.unseen = self.vocabulary.encode_text(measured(held_out, self.vocabulary))
        self.model = build(settings, self.vocabulary)
        self.trainer = Trainer(
            self.model,
            Adam(settings.learning_rate, beta2=settings.beta2),
            clip=None,
            clip_norm=settings.clip_norm,
            schedule=settings.schedule,
            average=settings.average,
            carry=not settings.stride,
            rng=np.random.default_rng([settings.seed, 1]),
        )

    @property
    def places(self) -> int:
        """Characters that are predicted in an epoch."""
        s, L = self.settings, len(self.ids)
        if s.stride:
            return len(range(0, min(L, EPOCH) - s.steps, s.stride))
        N, length = n_streams(L, s.batch_size, s.steps)
        return N * length

    def run(
        self,
        epochs: int,
        on_batch: Callable[[Batch], None] | None = None,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> list[dict[str, Any]]:
        """Train up to `epochs` in all; see `Trainer.run`."""
        s, ids, size = self.settings, self.ids, len(self.vocabulary)
        taught = s.teacher and len(ids) * size <= TAUGHT
        soft = softened(ids, size, s.teacher, s.teacher_order) if taught else None

        def batches(rng: Generator) -> Iterator[Batch]:
            if s.stride:
                return shuffled_windows(ids, s, rng)
            return shifted_streams(ids, s.batch_size, s.steps, rng, soft)

        return self.trainer.run(
            batches, epochs, lambda: held_out_batches(self.unseen, s), on_batch=on_batch, on_epoch=on_epoch
        )

    def checkpoint(self, resumable: bool = True) -> Checkpoint:
        """What to save: the best model so far with its text (of a long one its mark), and the state of the training."""
        best = self.model.copy()
        best.params.flat[...] = self.trainer.best
        config = {"settings": asdict(self.settings), "keep_case": self.keep_case, **self.kept}
        return Checkpoint(KIND, best, self.vocabulary, config, self.trainer.state() if resumable else None)

    @classmethod
    def resume(cls, checkpoint: Checkpoint, text: str | None = None) -> SonnetTraining:
        """Go on where a checkpoint was made.

        Parameters
        ----------
        checkpoint : Checkpoint
        text : str, optional
            The text that it was trained on, needed where the checkpoint does not keep it.

        Raises
        ------
        NumpyrnnError
            if the checkpoint is of a finished model, or the text is missing or another one
        """
        state = checkpoint.resumable()
        settings, parts = settings_of(checkpoint), texts_of(checkpoint, text)
        try:
            run = cls(*parts, settings, bool(checkpoint.config.get("keep_case")))
        except (TypeError, ValueError) as error:
            raise NumpyrnnError(f"the model must hold the settings of a training, it does not ({error})") from error
        run.trainer.restore(state)
        return run


def settings_of(checkpoint: Checkpoint) -> Settings:
    """The settings of a model; an error if it has none."""
    try:
        settings = Settings(**checkpoint.config["settings"])
        if min(settings.batch_size, settings.steps, settings.stride + 1) < 1 or settings.schedule not in SCHEDULES:
            raise ValueError(f"batches of {settings.batch_size} x {settings.steps}, {settings.schedule!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise NumpyrnnError(f"the model must hold the settings of a writer, it does not ({error})") from error
    return settings
