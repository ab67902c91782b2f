"""The soloist: which layers, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator

from numpyrnn import LSTM, Dense, Dropout, Embedding, NumpyrnnError, Sequential
from numpyrnn.batches import Batch
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array
from numpyrnn.optim import Adam, RMSprop
from numpyrnn.train import Trainer
from numpyrnn.vocab import Vocabulary

from .tokens import CONTEXTS, FORMS, is_said, stream, value_of
from .tunes import Tune

KIND = "jazz"
SHORTEST = 8  # values; a shorter piece of a tune is not worth a step
OPTIMISERS = {"adam": Adam, "rmsprop": RMSprop}


@dataclass(frozen=True)
class Settings:
    """How a soloist is built and trained.

    Attributes
    ----------
    form : "parts" or "atomic", a value as type, duration and interval in turn, or as one symbol
    context : tuple of names from `streams.CONTEXTS`, what the network is told before each value
    hidden, layers, embedding : int, sizes; embedding 0 is none
    dropout, input_dropout, weight_dropout : float, shares of what is dropped
    optimiser, learning_rate, decay : how the weights change
    batch_size, width : pieces of tunes in a batch, values in a piece
    clip_norm : float, of the gradients
    average : float, decay of the averaged weights
    patience : int, epochs without a better held-out loss before training ends
    seed : int, of everything: split, weights, order, dropout
    """

    form: str = "parts"
    context: tuple[str, ...] = ("position", "chord", "degree", "register", "next")
    hidden: int = 128
    layers: int = 1
    embedding: int = 64
    dropout: float = 0.5
    input_dropout: float = 0.3
    weight_dropout: float = 0.4
    optimiser: str = "adam"
    learning_rate: float = 0.008
    decay: float = 0.0
    batch_size: int = 16
    width: int = 32
    clip_norm: float = 1.0
    average: float = 0.98
    patience: int = 12
    seed: int = 0


# The course's network, and deepjazz's: values as single symbols, and nothing known but the values before.
_PLAIN = Settings(form="atomic", context=(), embedding=0, input_dropout=0.0, weight_dropout=0.0, average=0.0)
RECIPES = {
    "parts": Settings(),
    "atomic": Settings(form="atomic"),
    "course": replace(_PLAIN, hidden=64, dropout=0.0, learning_rate=0.01, decay=0.01, batch_size=32, width=30),
    "deepjazz": replace(
        _PLAIN, hidden=128, layers=2, dropout=0.2, optimiser="rmsprop", learning_rate=0.001, width=20, patience=40
    ),
}


def build(settings: Settings, vocabulary: Vocabulary) -> Sequential:
    """The network: from a token to the logits of the next one.

    Parameters
    ----------
    settings : Settings
    vocabulary : Vocabulary

    Returns
    -------
    Sequential from ids to logits, float32
    """
    rng, size = np.random.default_rng(settings.seed), len(vocabulary)
    layers: list[Any] = []
    if settings.embedding:
        layers = [Embedding(size, settings.embedding, rng=rng), Dropout(settings.input_dropout)]
        layers[0].params["W"] *= 0.3  # many of these tokens come at every step: smaller weights to begin with
        size = settings.embedding
    for _ in range(settings.layers):
        layers += [
            LSTM(size, settings.hidden, rng=rng, weight_dropout=settings.weight_dropout),
            Dropout(settings.dropout),
        ]
        size = settings.hidden
    return Sequential(*layers, Dense(size, len(vocabulary), rng=rng))


def split(tunes: Sequence[Tune], seed: int, share: float = 0.2) -> tuple[list[Tune], list[Tune]]:
    """Hold out whole tunes; of a single tune its last bars.

    Parameters
    ----------
    tunes : list of Tune
    seed : int
    share : float, default 0.2, of the tunes or bars that are held out

    Returns
    -------
    training, held_out : lists of Tune
    """
    if len(tunes) == 1:
        tune = tunes[0]
        n = len(tune.bars) - max(1, round(len(tune.bars) * share))
        if n < 1:
            raise NumpyrnnError(f"{tune.name} must have two bars or more to learn from, it has {len(tune.bars)}")
        return [replace(tune, bars=tune.bars[:n])], [replace(tune, bars=tune.bars[n:], name=f"{tune.name}, the end")]
    order = np.random.default_rng(seed).permutation(len(tunes))
    held_out = set(order[: max(1, round(len(tunes) * share))].tolist())
    return [t for i, t in enumerate(tunes) if i not in held_out], [t for i, t in enumerate(tunes) if i in held_out]


@dataclass(frozen=True)
class Learned:
    """A tune as a model file keeps it.

    Attributes
    ----------
    name, group : str
    ids : list of int, the tokens
    bars : list of int, values in each bar
    """

    name: str
    group: str
    ids: list[int]
    bars: list[int]


def masked(sequences: Sequence[Array], said: Array) -> Batch:
    """Token sequences side by side, longest first; the loss counts where a part of a value comes next.

    Parameters
    ----------
    sequences : list of integer arrays of two ids or more
    said : (V,) boolean, which tokens are parts of values

    Returns
    -------
    Batch
    """
    sequences = sorted(sequences, key=len, reverse=True)
    lengths = np.array([len(ids) - 1 for ids in sequences])
    x, targets = (np.zeros((lengths[0], len(sequences)), np.intp) for _ in range(2))
    for n, ids in enumerate(sequences):
        x[: len(ids) - 1, n], targets[: len(ids) - 1, n] = ids[:-1], ids[1:]
    return Batch(x, targets, lengths, said[targets] & (np.arange(len(x))[:, None] < lengths))


def pieces(
    sequences: Sequence[Array], width: int, step: int, batch_size: int, said: Array, rng: Generator
) -> Iterator[Batch]:
    """Tunes cut into pieces at places that change from epoch to epoch.

    Parameters
    ----------
    sequences : list of integer arrays
    width : int, values in a piece
    step : int, tokens of a value
    batch_size : int
    said : (V,) boolean
    rng : numpy Generator

    Yields
    ------
    Batch
    """
    cut = []
    for ids in sequences:
        first = int(rng.integers(width)) - width
        for start in range(first, len(ids) // step, width):
            piece = ids[max(start, 0) * step : (start + width) * step + 1]
            if len(piece) > min(SHORTEST * step, len(ids) - 1):
                cut.append(piece)
    order = rng.permutation(len(cut))
    for start in range(0, len(cut), batch_size):
        yield masked([cut[i] for i in order[start : start + batch_size]], said)


class JazzTraining:
    """Training of a soloist on tunes: the model, its trainer, and the batches.

    Parameters
    ----------
    training, held_out : lists of Learned
    settings : Settings
    vocabulary : Vocabulary, of the tunes' tokens
    """

    def __init__(
        self,
        training: Sequence[Learned],
        held_out: Sequence[Learned],
        settings: Settings,
        vocabulary: Vocabulary,
    ):
        self.settings = settings
        self.training, self.held_out, self.vocabulary = list(training), list(held_out), vocabulary
        self.said = np.array([is_said(token) for token in vocabulary.tokens])
        self.model = build(settings, vocabulary)
        self.trainer = Trainer(
            self.model,
            OPTIMISERS[settings.optimiser](settings.learning_rate, decay=settings.decay),
            clip=None,
            clip_norm=settings.clip_norm,
            average=settings.average,
            patience=settings.patience,
            rng=np.random.default_rng([settings.seed, 1]),
        )

    @classmethod
    def of_tunes(cls, tunes: Sequence[Tune], settings: Settings) -> JazzTraining:
        """A training on tunes, some of them held out."""
        parts = split(tunes, settings.seed)
        streams = [[stream(tune, settings.context, settings.form) for tune in part] for part in parts]
        vocabulary = Vocabulary(token for part in streams for tune in part for value in tune for token in value)
        training, held_out = (
            [learned(tune, tokens, vocabulary) for tune, tokens in zip(part, of_part, strict=True) if len(tokens) > 1]
            for part, of_part in zip(parts, streams, strict=True)
        )
        if not training or not held_out:
            counts = [sum(map(len, of_part)) for of_part in streams]
            raise NumpyrnnError(f"training and held-out part must have two values or more, got {counts}")
        return cls(training, held_out, settings, vocabulary)

    def run(
        self,
        epochs: int,
        on_batch: Callable[[Batch], None] | None = None,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> list[dict[str, Any]]:
        """Train up to `epochs` in all; see `Trainer.run`. The losses are nats a part of a value."""
        sequences = [np.array(tune.ids) for tune in self.training]
        held_out = masked([np.array(tune.ids) for tune in self.held_out], self.said)
        s = self.settings
        step = tokens_a_value(s)
        return self.trainer.run(
            lambda rng: pieces(sequences, s.width, step, s.batch_size, self.said, rng),
            epochs,
            lambda: [held_out],
            on_batch=on_batch,
            on_epoch=on_epoch,
        )

    def checkpoint(self, resumable: bool = True) -> Checkpoint:
        """What to save: the best model so far with its tunes, and the state of the training unless it is not wanted."""
        best = self.model.copy()
        best.params.flat[...] = self.trainer.best
        config = {
            "settings": asdict(self.settings),
            "training": [asdict(tune) for tune in self.training],
            "held_out": [asdict(tune) for tune in self.held_out],
        }
        return Checkpoint(KIND, best, self.vocabulary, config, self.trainer.state() if resumable else None)

    @classmethod
    def resume(cls, checkpoint: Checkpoint) -> JazzTraining:
        """Go on where a checkpoint was made.

        Raises
        ------
        NumpyrnnError
            if the checkpoint is of a finished model
        """
        state = checkpoint.resumable()
        tunes, settings = tunes_of(checkpoint), settings_of(checkpoint)
        try:
            run = cls(*tunes, settings, checkpoint.vocabulary)
        except (KeyError, TypeError, ValueError) as error:
            raise NumpyrnnError(f"the model must hold the settings of a training, it does not ({error})") from error
        run.trainer.restore(state)
        return run


def tokens_a_value(settings: Settings) -> int:
    """How many tokens stand for one value, with what is known before it."""
    return len(settings.context) + parts_a_value(settings)


def parts_a_value(settings: Settings) -> int:
    """How many tokens of a value the network says."""
    return 3 if settings.form == "parts" else 1


def learned(tune: Tune, tokens: Sequence[Sequence[str]], vocabulary: Vocabulary) -> Learned:
    """A tune in ids."""
    ids = vocabulary.encode(token for value in tokens for token in value)
    return Learned(tune.name, tune.group, ids.tolist(), [len(bar.melody) for bar in tune.bars])


def settings_of(checkpoint: Checkpoint) -> Settings:
    """The settings of a model; an error if it has none."""
    try:
        fields = dict(checkpoint.config["settings"])
        settings = Settings(**{**fields, "context": tuple(fields["context"])})
        unknown = set(settings.context) - set(CONTEXTS)
        if unknown or settings.form not in FORMS or min(settings.batch_size, settings.width) < 1:
            raise ValueError(f"{settings.form}, {unknown or 'batches of nothing'}")
    except (KeyError, TypeError, ValueError) as error:
        raise NumpyrnnError(f"the model must hold the settings of a soloist, it does not ({error})") from error
    return settings


def tunes_of(checkpoint: Checkpoint) -> tuple[list[Learned], list[Learned]]:
    """The training and the held-out tunes of a model; an error if it has none, or they are not in its vocabulary."""
    try:
        found = [[Learned(**tune) for tune in checkpoint.config[part]] for part in ("training", "held_out")]
        step = tokens_a_value(settings_of(checkpoint))
        for tune in (*found[0], *found[1]):
            checkpoint.vocabulary.decode(tune.ids)
            if len(tune.ids) < 2 or sum(tune.bars) * step != len(tune.ids):
                raise ValueError(f"{tune.name!r} has {len(tune.ids)} tokens")
        if not found[0] or not found[1]:
            raise ValueError("there are none")
    except (KeyError, TypeError, ValueError) as error:
        raise NumpyrnnError(f"the model must hold its training and held-out tunes, it does not ({error})") from error
    return found[0], found[1]


def values_of(checkpoint: Checkpoint, tune: Learned) -> list[str]:
    """The values of a tune that a model keeps, as strings.

    Raises
    ------
    NumpyrnnError
        if its tokens are no values
    """
    settings = settings_of(checkpoint)
    step, known = tokens_a_value(settings), len(settings.context)
    tokens = checkpoint.vocabulary.decode(tune.ids)
    if len(tokens) % step or sum(tune.bars) * step != len(tokens):
        raise NumpyrnnError(
            f"the tune {tune.name!r} of the model must have {step} tokens a value, it has {len(tokens)}"
        )
    return [str(value_of(tokens[i + known : i + step])) for i in range(0, len(tokens), step)]


def known_values(checkpoint: Checkpoint) -> list[tuple[Learned, list[str]]]:
    """The training tunes of a model with their values."""
    return [(tune, values_of(checkpoint, tune)) for tune in tunes_of(checkpoint)[0]]
