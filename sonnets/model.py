"""The network, the batches of text that it learns from, and its training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.random import Generator

from numpyrnn import Dropout, LastStep, NumpyrnnError, Sequential
from numpyrnn.batches import Batch, windows
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array
from numpyrnn.optim import Adam
from numpyrnn.sampling import Sampler
from numpyrnn.vocab import Vocabulary
from workbench.files import CHECKS
from workbench.grow import gentle, mixed_text
from workbench.networks import recurrent_network
from workbench.ngram import KneserNey
from workbench.settings import check_network
from workbench.training import SMALL_LETTERS, Training

from .recipes import Settings
from .text import START, check_text, kept, measured, split_text, texts_of
from .write import TEMPERATURE, continue_prompt

KIND = "sonnets"
EPOCH = 1_000_000  # characters that an epoch reads, at most, from a random place on
FOLDS = 10  # parts of the training text, for the teacher
TAUGHT = 12_000_000  # numbers in the soft targets, at most; a text that needs more has no teacher
CONTEXT, WIDTH = 200, 200  # characters before each held-out stretch, and in it
COUNTED = 1_000_000  # characters at the end of the training text that the n-gram is fitted on, at most
ORDERS = range(3, 8)  # of the n-gram
SHOWN = 80  # characters of a sample during training


def build(settings: Settings, vocabulary: Vocabulary) -> Sequential:
    """Build the network: embedding or one-hot rows, LSTM layers with dropout around them, and a dense layer.

    Parameters
    ----------
    settings : Settings
    vocabulary : Vocabulary

    Returns
    -------
    Sequential from ids to logits, float32, at every step or, if `settings.stride` is not 0, at the last one
    """
    s, V = settings, len(vocabulary)
    before, head = Dropout(s.input_dropout, shared=s.shared), [LastStep()] if s.stride else []
    return recurrent_network(V, s, dropouts=[before], head=head, hard_sigmoid=s.hard_sigmoid)


def check(checkpoint: Checkpoint) -> None:
    """Raise unless a model file holds what is kept of a text, and the network of its settings."""
    settings = Settings.of(checkpoint)
    check_text(checkpoint)
    check_network(checkpoint, lambda: build(settings, checkpoint.vocabulary))


CHECKS[KIND] = check


def n_streams(L: int, settings: Settings) -> tuple[int, int]:
    """How many streams there are over a text of L characters, and how many characters each reads in an epoch."""
    N = max(1, min(settings.batch_size, L // (4 * settings.steps)))
    return N, min(L, EPOCH) // N


def shifted_streams(ids: Array, settings: Settings, rng: Generator, soft: Array | None = None) -> Iterator[Batch]:
    """Streams of one epoch: equal stretches of the text, side by side; each batch continues where the last one ended.

    The text is a ring, and the first stream begins at a random place, so the cuts differ from epoch to epoch. A small
    text has fewer streams than `batch_size`, so that each is at least four batches long. Only part of a text longer
    than `EPOCH` is read.

    Parameters
    ----------
    ids : (L,) integers
    settings : Settings; at most `batch_size` streams, in batches of `steps` steps; the last batch may be shorter
    rng : numpy Generator
    soft : (L, V) floating, optional, the distribution to learn at each place instead of its id

    Yields
    ------
    Batch
    """
    L, steps = len(ids), settings.steps
    N, length = n_streams(L, settings)
    starts = rng.integers(L) + length * np.arange(N)
    for start in range(0, length, steps):
        places = (starts + np.arange(start, min(start + steps, length))[:, None]) % L
        after = (places + 1) % L
        yield Batch(ids[places], ids[after] if soft is None else soft[after])


def shuffled_windows(ids: Array, settings: Settings, rng: Generator) -> Iterator[Batch]:
    """The course's windows of one epoch, shuffled; the loss is on the character after each window.

    Only part of a text longer than `EPOCH` is read.
    """
    s, start = settings, int(rng.integers(max(1, len(ids) - EPOCH)))
    return windows(ids[start : start + EPOCH], s.steps, s.stride, s.batch_size, rng, last_only=True)


def held_out_batches(ids: Array, settings: Settings) -> Iterator[Batch]:
    """Batches in which every id after the first is predicted once.

    With streams, many stretches of the text are read side by side, and each prediction has at least 200 ids as context,
    or all there are. The state must be carried from batch to batch. With windows, the context is the last 40 ids
    (`steps`), or all there are.

    Parameters
    ----------
    ids : (L,) integers, L at least 2
    settings : Settings

    Yields
    ------
    Batch; with streams, its mask tells which predictions count
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
    counted = np.append(0, starts[:-1] + span)  # where the previous stretch ends
    for first in range(0, span, steps):
        places = starts + np.arange(first, min(first + steps, span))[:, None]
        yield Batch(ids[places], ids[places + 1], mask=places >= counted)


def softened(ids: Array, size: int, share: float, order: int) -> Array:
    """Soften the ids of a text with n-grams: each tenth with one that is fitted on the other nine.

    Parameters
    ----------
    ids : (L,) integers
    size : int, V
    share : float, weight of the n-gram
    order : int, of the n-gram

    Returns
    -------
    (L, V) float32, distributions
    """
    soft = np.empty((len(ids), size), np.float32)
    cuts = np.linspace(0, len(ids), FOLDS + 1).astype(int).tolist()
    for start, stop in pairwise(cuts):
        context = max(0, start - order + 1)
        ngram = KneserNey([ids[:start], ids[stop:]], size, order)
        soft[start:stop] = ngram.soften(ids[context:stop], share, start - context)
    return soft


class SonnetTraining(Training):
    """Training on a text.

    Parameters
    ----------
    training, held_out : str, the two parts of the text
    settings : Settings
    keep_case : bool, default False, whether the text keeps its capitals

    Attributes
    ----------
    ids : integers, the training part
    unseen : integers, the measured beginning of the held-out part, see `text.measured`
    counted : integers, the end of the training part, on which the n-gram is fitted

    Raises
    ------
    NumpyrnnError
        if a part is too short
    """

    program, uses, shared = KIND, (f"{KIND} write", f"{KIND} evaluate"), ("ids",)

    def __init__(self, training: str, held_out: str, settings: Settings, keep_case: bool = False):
        s, L = settings, len(training)
        if s.steps >= L or not held_out:
            found = f"{L} and {len(held_out)}"
            raise NumpyrnnError(f"the parts of a text must have at least {s.steps + 1} and 1 characters, got {found}")
        self.kept = {"keep_case": keep_case, **kept(training, held_out)}
        vocabulary = Vocabulary({*START, *training, *held_out})
        self.ids, self.n_held_out = vocabulary.encode_text(training), len(held_out)
        self.unseen = vocabulary.encode_text(measured(held_out, vocabulary))
        model, adam = build(s, vocabulary), Adam(s.learning_rate, beta2=s.beta2)
        super().__init__(s, vocabulary, model, adam, schedule=s.schedule, carry=not s.stride)
        N, length = n_streams(L, s)
        self.items = len(range(0, min(L, EPOCH) - s.steps, s.stride)) if s.stride else N * length
        self.network = f"{s.layers} x LSTM({s.hidden})"
        self.title = f"{self.network} on {L:,} characters"

    @classmethod
    def started(cls, text: str, start: Checkpoint, seed: int) -> Self:
        """A training on a text that starts from the weights of a model, and learns the model's text if it keeps it."""
        training, held_out = split_text(text)
        others = "".join(texts_of(start)) if "training" in start.config else ""
        settings = gentle(Settings.of(start), seed, len(training))
        return cls(training + others, held_out, settings, bool(start.config.get("keep_case"))).grown(start)

    @classmethod
    def of(cls, checkpoint: Checkpoint, *given: Any) -> Self:
        """A new training with the text and settings of a model file; `given` is the text if the file lacks it."""
        return cls(*texts_of(checkpoint, *given), Settings.of(checkpoint), bool(checkpoint.config.get("keep_case")))

    def data(self) -> dict[str, Any]:
        """What the model file keeps of the text."""
        return self.kept

    def batches(self) -> Callable[[Generator], Iterable[Batch]]:
        """A function from a random generator to the batches of one epoch."""
        s, ids, size = self.settings, self.ids, len(self.vocabulary)
        if s.stride:
            return lambda rng: shuffled_windows(ids[mixed_text(len(ids), s.own, rng)], s, rng)
        taught = s.teacher and len(ids) * size <= TAUGHT
        soft = softened(ids, size, s.teacher, s.teacher_order) if taught else None

        def of_epoch(rng: Generator) -> Iterator[Batch]:
            places = mixed_text(len(ids), s.own, rng)
            return shifted_streams(ids[places], s, rng, None if soft is None else soft[places])

        return of_epoch

    def held_out_batches(self) -> Iterable[Batch]:
        """The held-out text."""
        return held_out_batches(self.unseen, self.settings)

    def count(self, batch: Batch) -> int:
        """The number of characters that a batch predicts."""
        return batch.places

    def describe(self) -> str:
        """The data and the network, in one line; more lines if capitals are lost, or an epoch reads only part."""
        n, parameters = len(self.ids), self.model.params.flat.size
        text = f"{n:,} characters to learn, {self.n_held_out:,} held out, {len(self.vocabulary)} different ones"
        case = f"\n{SMALL_LETTERS}" * self.lowered
        part = f"\nAn epoch reads {EPOCH:,} characters from a random place on." if n > EPOCH else ""
        return f"{text}; {self.network}, {parameters:,} parameters.{case}{part}"

    def sample(self, checkpoint: Checkpoint, seed: int) -> str:
        """One line of up to 80 characters."""
        return "".join(continue_prompt(checkpoint, "", Sampler(seed, TEMPERATURE), SHOWN, 1)).strip()

    def ngram(self, orders: Iterable[int] = ORDERS) -> tuple[KneserNey, float]:
        """The n-gram of the best order, fitted on `counted`, and its held-out loss in nats a character."""
        ngrams = (KneserNey([self.counted], len(self.vocabulary), order) for order in orders)  # one in memory at a time
        losses = ((ngram, -float(ngram.log_probabilities(self.unseen)[1:].mean())) for ngram in ngrams)
        return min(losses, key=lambda found: found[1])

    @property
    def counted(self) -> Array:
        """The ids on which the n-gram is fitted, the last ones of the training part."""
        return self.ids[-COUNTED:]

    def ngrams(self) -> dict[str, float]:
        """The held-out loss of the best n-gram."""
        ngram, loss = self.ngram()
        return {f"Kneser-Ney, order {ngram.order}": loss}
