"""The networks: which layers, what they learn of pieces, and how they are trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.random import Generator

from numpyrnn import LSTM, Dense, Dropout, Embedding, NumpyrnnError, Sequential
from numpyrnn.batches import Batch, padded
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array, check_count
from numpyrnn.convolution import CausalConv1D, GatedStack
from numpyrnn.layers import GlobalMaxPool1D, LastStep, MaxPool1D, ReLU
from numpyrnn.optim import Adam
from numpyrnn.train import Trainer
from numpyrnn.vocab import Vocabulary

from .batches import all_windows, at_labels, crops, split_windows, windows
from .corpus import Piece, split_by_piece
from .tokens import common_rhythms, keep_common, name_of, transpose

KIND = "piano"
SPLITS = ("piece", "random")
LEAK = (
    "With --split random the held-out windows lie in the pieces that are learned, beside windows that overlap them, "
    "and the n-gram has read them: these figures say little of new music."
)
KEYS = sorted(range(-6, 6), key=abs)  # semitones, the piece's own key first
SMALLEST = 8  # tokens of a window: the pooling halves it three times
DILATIONS = (1, 2, 4, 8, 16)
SIDE_BY_SIDE = 512  # held-out windows


@dataclass(frozen=True)
class Settings:
    """How a network is built and trained, and what it learns. The defaults were chosen on pieces that are not held out.

    Attributes
    ----------
    model : one of `MODELS`
    embedding, hidden, dense : int, sizes: of embedded tokens, of the recurrent or (first) convolutional layers, of the
        dense layer before the last
    dropout, input_dropout, step_dropout, weight_dropout : float, shares of what is dropped: of what the layers give, of
        embedded tokens' features, of whole tokens, of recurrent weights
    learning_rate, beta2 : for Adam
    batch_size, width : int, windows or crops in a batch, steps of a crop
    clip_norm : float or None, of the gradients
    average : float, decay of the averaged weights
    epochs, patience : int, at most, and without a better held-out loss before training ends
    window : int, tokens before a label
    min_count : int, tokens (whatever the rhythm) that occur so often are learned
    rhythm, rhythm_count : bool and int, whether tokens have a rhythm, and how often it must occur
    transpose : bool, whether the training part is learned in all twelve keys
    split : "piece" or "random", whether pieces or windows are held out
    seed : int, of everything: split, weights, order, dropout
    """

    model: str = "lstm-steps"
    embedding: int = 64
    hidden: int = 128
    dense: int = 0
    dropout: float = 0.6
    input_dropout: float = 0.4
    step_dropout: float = 0.1
    weight_dropout: float = 0.5
    learning_rate: float = 0.004
    beta2: float = 0.99
    batch_size: int = 16
    width: int = 128
    clip_norm: float | None = 1.0
    average: float = 0.995
    epochs: int = 24
    patience: int = 10
    window: int = 32
    min_count: int = 50
    rhythm: bool = False
    rhythm_count: int = 10
    transpose: bool = False
    split: str = "piece"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model not in LAYERS or self.split not in SPLITS:
            known = f"{', '.join(LAYERS)}, and split {' or '.join(SPLITS)}"
            raise NumpyrnnError(f"model must be one of {known}, got {self.model!r} and {self.split!r}")
        lowest = {"window": SMALLEST, "min_count": 1, "rhythm_count": 1, "batch_size": 1, "width": 1, "seed": 0}
        for name, low in lowest.items():
            check_count(name, getattr(self, name), low)
        if self.transpose and self.split == "random":
            raise NumpyrnnError(
                "other keys need the split by piece: they would hold what is held out of random windows"
            )

    @property
    def windowed(self) -> bool:
        """Whether the loss is at the ends of windows only."""
        return self.model in ("lstm", "wavenet-simple")


def _lstm(s: Settings, n: int, rng: Generator) -> list[Any]:
    """The article's, with the embedding of its WaveNet in place of raw ids."""
    below = [Embedding(n, s.embedding, rng=rng), LSTM(s.embedding, s.hidden, rng=rng)]
    above = [LSTM(s.hidden, s.hidden, rng=rng), LastStep(), Dense(s.hidden, s.dense, rng=rng), ReLU()]
    return [*below, *above, Dense(s.dense, n, rng=rng)]


def _wavenet_simple(s: Settings, n: int, rng: Generator) -> list[Any]:
    """The article's simplified WaveNet: three convolutions with pooling."""
    layers: list[Any] = [Embedding(n, s.embedding, rng=rng)]
    size = s.embedding
    for factor in (1, 2, 4):
        convolution = CausalConv1D(size, factor * s.hidden, 3, dilation=factor, rng=rng)
        layers += [convolution, ReLU(), Dropout(s.dropout), MaxPool1D(2)]
        size = factor * s.hidden
    return [*layers, GlobalMaxPool1D(), Dense(size, s.dense, rng=rng), ReLU(), Dense(s.dense, n, rng=rng)]


def _wavenet(s: Settings, n: int, rng: Generator) -> list[Any]:
    """The WaveNet as the article describes it (van den Oord et al. 2016)."""
    return [
        *_embedded(s, n, rng),
        CausalConv1D(s.embedding, s.hidden, 2, rng=rng),
        GatedStack(s.hidden, s.dense, 2, DILATIONS, rng=rng),
        ReLU(),
        Dropout(s.dropout),
        Dense(s.dense, s.dense, rng=rng),
        ReLU(),
        Dropout(s.dropout),
        Dense(s.dense, n, rng=rng),
    ]


def _lstm_steps(s: Settings, n: int, rng: Generator) -> list[Any]:
    """One LSTM, much of which is dropped."""
    lstm = LSTM(s.embedding, s.hidden, rng=rng, weight_dropout=s.weight_dropout)
    return [*_embedded(s, n, rng), lstm, Dropout(s.dropout), Dense(s.hidden, n, rng=rng)]


def _embedded(s: Settings, n: int, rng: Generator) -> list[Any]:
    embedding = Embedding(n, s.embedding, rng=rng)
    embedding.params["W"] *= 0.3  # smaller weights to begin with
    return [embedding, Dropout(s.step_dropout, shared="features"), Dropout(s.input_dropout)]


LAYERS = {"lstm": _lstm, "wavenet-simple": _wavenet_simple, "wavenet": _wavenet, "lstm-steps": _lstm_steps}
_ARTICLE = Settings("lstm", 100, 128, 256, 0.0, 0.0, 0.0, 0.0, 0.001, 0.999, 128, clip_norm=None, average=0, epochs=50)
MODELS = {
    "lstm": _ARTICLE,
    "wavenet-simple": replace(_ARTICLE, model="wavenet-simple", hidden=64, dropout=0.2),
    "wavenet": Settings("wavenet", hidden=64, dense=128, dropout=0.5, input_dropout=0.3),
    "lstm-steps": Settings(),
}


def build(settings: Settings, n: int) -> Sequential:
    """The network.

    Parameters
    ----------
    settings : Settings
    n : int, different tokens

    Returns
    -------
    Sequential from ids to logits, float32; of every step, or (`Settings.windowed`) of what comes after a window
    """
    return Sequential(*LAYERS[settings.model](settings, n, np.random.default_rng(settings.seed)))


class Material:
    """What is learned of pieces: the vocabulary, and the training and the held-out part in ids.

    Rare tokens are dropped. The training part is moved to other keys before that: a rare token can become a common one.
    Of the tokens with rhythm those of a rare one give way to the commonest rhythm of the same notes.

    Parameters
    ----------
    training, held_out : lists of Piece; nothing held out: windows are, at random
    settings : Settings

    Attributes
    ----------
    vocabulary : Vocabulary
    learned, unseen : Part
    sources : list of (Piece, semitones), what each sequence of `learned` was made from

    Raises
    ------
    NumpyrnnError
        if no token is common enough, or a part has no window
    """

    def __init__(self, training: Sequence[Piece], held_out: Sequence[Piece], settings: Settings):
        self.training, self.held_out, self.settings = list(training), list(held_out), settings
        tokens = [piece.tokens for piece in (*training, *held_out)]
        kept = common_rhythms(keep_common(tokens, settings.min_count), settings.rhythm_count)
        counts = Counter(chain.from_iterable(kept))
        if not counts:
            names = Counter(map(name_of, chain.from_iterable(tokens)))
            name, most = names.most_common(1)[0] if names else ("none", 0)
            found = (
                f"of {names.total():,} tokens, {len(names):,} of them different, the commonest ({name}) occurs {most}"
            )
            raise NumpyrnnError(f"tokens must occur {settings.min_count} times, {found}: take a smaller --min-count")
        self.vocabulary = Vocabulary(counts)
        self._usual = {name_of(token): token for token in sorted(counts, key=lambda token: (counts[token], token))}
        keys = KEYS if settings.transpose else (0,)
        self.sources = [(piece, key) for key in keys for piece in self.training]
        learned = [ids for key in keys for ids in self.encode([piece.tokens for piece in self.training], key)]
        self.learned = all_windows(learned, settings.window)
        if settings.split == "random":
            self.learned, self.unseen = split_windows(self.learned, settings.seed)
        else:
            self.unseen = all_windows(self.encode([piece.tokens for piece in self.held_out]), settings.window)
        n_windows = len(self.learned.starts), len(self.unseen.starts)
        if not all(n_windows):
            lengths = f"pieces of {min(map(len, kept)):,} to {max(map(len, kept)):,} tokens that are common enough"
            raise NumpyrnnError(
                f"there must be windows of {settings.window} tokens to learn and to hold out, got {n_windows[0]:,} and "
                f"{n_windows[1]:,} in {lengths}: take a smaller --min-count or --window, or more files"
            )

    def encode(self, pieces: Iterable[Sequence[str]], semitones: int = 0) -> list[Array]:
        """Tokens as ids, higher or lower, without those that are not learned.

        Parameters
        ----------
        pieces : lists of tokens
        semitones : int, default 0

        Returns
        -------
        list of integer arrays
        """
        pieces = list(pieces)
        ids = {token: self._id(token, semitones) for token in set(chain.from_iterable(pieces))}
        return [np.array([ids[token] for token in piece if ids[token] >= 0], np.intp) for piece in pieces]

    def _id(self, token: str, semitones: int) -> int:
        moved = transpose(token, semitones)
        if moved is not None and moved not in self.vocabulary:
            moved = self._usual.get(name_of(moved))
        return -1 if moved is None else self.vocabulary.ids[moved]

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """Those of one epoch: all windows; or crops of all pieces, twelve of each place (in all keys, if so)."""
        s = self.settings
        if s.windowed or s.split == "random":
            return windows(self.learned, s.window, s.batch_size, rng, every_step=not s.windowed)
        times = len(KEYS) * len(self.training) // len(self.sources)
        return crops(self.learned.sequences * times, s.width, s.batch_size, rng)

    def held_out_batches(self) -> Iterator[Batch]:
        """What is held out, to be measured at the labels of its windows, whatever the model."""
        s = self.settings
        if s.windowed:
            return windows(self.unseen, s.window, SIDE_BY_SIDE)
        if s.split == "random":
            return at_labels(windows(self.unseen, s.window, SIDE_BY_SIDE, every_step=True), s.window)
        # a piece is read from its beginning, with all that comes before a label
        return at_labels(padded([ids for ids in self.unseen.sequences if len(ids) > s.window], s.batch_size), s.window)


class PianoTraining:
    """Training of a network on pieces: the model, its trainer, and the batches.

    Parameters
    ----------
    training, held_out : lists of Piece; nothing held out: windows are, at random
    settings : Settings

    Raises
    ------
    NumpyrnnError
        if there is too little to learn, see `Material`
    """

    def __init__(self, training: Sequence[Piece], held_out: Sequence[Piece], settings: Settings):
        self.settings, self.material = settings, Material(training, held_out, settings)
        self.vocabulary = self.material.vocabulary
        self.model = build(settings, len(self.vocabulary))
        self.trainer = Trainer(
            self.model,
            Adam(settings.learning_rate, beta2=settings.beta2),
            clip=None,
            clip_norm=settings.clip_norm,
            average=settings.average,
            patience=settings.patience,
            rng=np.random.default_rng([settings.seed, 1]),
        )

    @classmethod
    def of_pieces(cls, pieces: Sequence[Piece], settings: Settings) -> PianoTraining:
        """A training on pieces, some of them or of their windows held out."""
        parts = split_by_piece(pieces, settings.seed) if settings.split == "piece" else (pieces, [])
        return cls(*parts, settings)

    @property
    def n_windows(self) -> int:
        """Windows of an epoch; 0 where it reads crops."""
        s = self.settings
        return len(self.material.learned.starts) if s.windowed or s.split == "random" else 0

    def run(
        self,
        epochs: int,
        on_batch: Callable[[Batch], None] | None = None,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> list[dict[str, Any]]:
        """Train up to `epochs` in all; see `Trainer.run`."""
        material = self.material
        return self.trainer.run(
            material.batches, epochs, material.held_out_batches, on_batch=on_batch, on_epoch=on_epoch
        )

    def checkpoint(self, resumable: bool = True) -> Checkpoint:
        """What to save: the best model so far with all tokens of its pieces, and the state of the training."""
        best = self.model.copy()
        best.params.flat[...] = self.trainer.best
        parts = {"training": self.material.training, "held_out": self.material.held_out}
        tokens = Vocabulary(token for pieces in parts.values() for piece in pieces for token in piece.tokens)
        config = {"settings": asdict(self.settings), "tokens": tokens.tokens} | {
            name: [{"name": piece.name, "ids": tokens.encode(piece.tokens).tolist()} for piece in pieces]
            for name, pieces in parts.items()
        }
        return Checkpoint(KIND, best, self.vocabulary, config, self.trainer.state() if resumable else None)

    @classmethod
    def resume(cls, checkpoint: Checkpoint) -> PianoTraining:
        """Go on where a checkpoint was made.

        Raises
        ------
        NumpyrnnError
            if the checkpoint is of a finished model
        """
        state, material = checkpoint.resumable(), material_of(checkpoint)
        try:
            run = cls(material.training, material.held_out, material.settings)
        except (TypeError, ValueError) as error:
            raise NumpyrnnError(f"the model must hold the settings of a training, it does not ({error})") from error
        run.trainer.restore(state)
        return run


def material_of(checkpoint: Checkpoint) -> Material:
    """The pieces that a model learned from and those that were held out; an error if it does not fit them."""
    try:
        config = checkpoint.config
        tokens = Vocabulary(config["tokens"])
        training, held_out = (
            [Piece(str(piece["name"]), None, tokens.decode(piece["ids"])) for piece in config[part]]
            for part in ("training", "held_out")
        )
        material = Material(training, held_out, Settings(**config["settings"]))
        ids = np.zeros((material.settings.window, 1), int)
        n_logits = checkpoint.model.forward(ids, cache=False)[0].shape[-1]
        found = checkpoint.vocabulary == material.vocabulary, checkpoint.model.input_size, n_logits
        if found != (True, len(material.vocabulary), len(material.vocabulary)):
            raise ValueError("they have another vocabulary")
    except (KeyError, TypeError, ValueError) as error:
        raise NumpyrnnError(f"the model must hold its settings and pieces, it does not ({error})") from error
    return material
