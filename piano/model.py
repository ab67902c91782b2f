"""The networks, their settings, and their material: pieces as ids, in windows or crops, learned or held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.random import Generator

from numpyrnn import LSTM, Dense, Dropout, Embedding, NumpyrnnError, Sequential
from numpyrnn.batches import Batch, crops, padded, windows_at
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array, shown
from numpyrnn.convolution import CausalConv1D, GatedStack
from numpyrnn.layers import GlobalMaxPool1D, LastStep, MaxPool1D, ReLU
from numpyrnn.vocab import Vocabulary
from workbench.copies import Copies
from workbench.files import CHECKS
from workbench.settings import HIGHEST, above, check_network, one_of, share, within
from workbench.settings import Settings as TrainingSettings
from workbench.terminal import counted

from .batches import after_whole_windows, all_windows, split_windows
from .corpus import Piece
from .rhythm import Rhythms
from .tokens import common_rhythms, commonest, count_names, keep_common, name_of, transpose

KIND = "piano"
SPLITS = ("piece", "random")
LEAK = "--split random: held-out windows overlap learned ones, so losses, even the n-gram's, say little of new music."
KEYS = sorted(range(-6, 6), key=abs)  # semitones, the piece's own key first
SMALLEST = 8  # tokens of a window: the pooling halves it three times
DILATIONS = (1, 2, 4, 8, 16)
SIDE_BY_SIDE = 512  # held-out windows in a batch


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """How a network is built and trained, and on what. The defaults were chosen on pieces that are not held out.

    Attributes
    ----------
    model : str, one of `MODELS`
    embedding : int, size of the embedded tokens
    hidden : int, size of the recurrent layers or of the (first) convolution
    dense : int, size of the dense layer before the last one
    dropout, input_dropout, step_dropout, weight_dropout : float
        Dropout rates: of the layers' outputs, of single features of the embedded tokens, of whole embedded tokens, of
        the recurrent weights.
    learning_rate, beta2 : float, for Adam
    batch_size : int, windows or crops in a batch
    width : int, steps of a crop
    clip_norm : float or None, largest norm of the gradients
    average : float, decay of the averaged weights
    epochs : int, largest number of epochs
    patience : int, training ends after this many epochs without a better held-out loss
    window : int, number of tokens before the one to predict
    min_count : int, how often a token must occur, whatever its rhythm, to be learned
    rhythm : bool, whether tokens have a rhythm
    rhythm_count : int, how often a token must occur with its rhythm to keep it
    keep_time : bool
        Whether nothing that is rare takes its time with it (see `Rhythms`). Files without this setting are older; there
        rare tokens with rhythm were dropped, and a rare rhythm became the commonest one of the same name.
    transpose : bool, whether the training part is learned in all twelve keys
    split : "piece" or "random", whether pieces or windows are held out
    seed : int, for the split, the weights, the order and the dropout

    Raises
    ------
    NumpyrnnError
        if a setting has the wrong type or is out of range, or `transpose` is combined with the split "random"
    """

    model: str = one_of("lstm-steps", ("lstm", "wavenet-simple", "wavenet", "lstm-steps"))
    embedding: int = within(64, 1, 4096)
    hidden: int = within(128, 1, 4096)
    dense: int = within(0, 0, 4096)
    dropout: float = within(0.6, 0, 1)
    input_dropout: float = within(0.4, 0, 1)
    step_dropout: float = within(0.1, 0, 1)
    weight_dropout: float = within(0.5, 0, 1)
    learning_rate: float = above(0.004, 0)
    beta2: float = share(0.99)
    batch_size: int = within(16, 1, 4096)
    width: int = within(128, 1, 4096)
    clip_norm: float | None = above(1.0, 0)
    average: float = share(0.995)
    epochs: int = within(24, 1, HIGHEST)
    patience: int = within(10, 1, HIGHEST)
    window: int = within(32, SMALLEST, HIGHEST)
    min_count: int = within(50, 1, HIGHEST)
    rhythm: bool = False
    rhythm_count: int = within(10, 1, HIGHEST)
    keep_time: bool = True
    transpose: bool = False
    split: str = one_of("piece", SPLITS)
    seed: int = within(0, 0, (1 << 63) - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.transpose and self.split == "random":
            raise NumpyrnnError("transposing needs the split by piece: other keys would teach the held-out windows too")

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """The settings with which a checkpoint's model was made; without `keep_time`, it is an older one."""
        settings = super().of(checkpoint)
        return settings if "keep_time" in checkpoint.config["settings"] else replace(settings, keep_time=False)

    @property
    def windowed(self) -> bool:
        """Whether the loss is taken only at the end of each window."""
        return self.model in ("lstm", "wavenet-simple")

    @property
    def reads_crops(self) -> bool:
        """Whether the network is trained on crops, with a loss at every step."""
        return not self.windowed and self.split == "piece"


def _lstm(s: Settings, n: int, rng: Generator) -> list[Any]:
    """The article's LSTM, but on embedded tokens, as the article's WaveNet has them, instead of raw ids."""
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
    below = [*_embedded(s, n, rng), CausalConv1D(s.embedding, s.hidden, 2, rng=rng)]
    stack = [GatedStack(s.hidden, s.dense, 2, DILATIONS, rng=rng), ReLU(), Dropout(s.dropout)]
    above = [Dense(s.dense, s.dense, rng=rng), ReLU(), Dropout(s.dropout), Dense(s.dense, n, rng=rng)]
    return [*below, *stack, *above]


def _lstm_steps(s: Settings, n: int, rng: Generator) -> list[Any]:
    """One LSTM with strong dropout."""
    lstm = LSTM(s.embedding, s.hidden, rng=rng, weight_dropout=s.weight_dropout)
    return [*_embedded(s, n, rng), lstm, Dropout(s.dropout), Dense(s.hidden, n, rng=rng)]


def _embedded(s: Settings, n: int, rng: Generator) -> list[Any]:
    """The embedding, with smaller initial weights, and its dropout."""
    embedding = Embedding(n, s.embedding, rng=rng)
    embedding.params["W"] *= 0.3
    return [embedding, Dropout(s.step_dropout, shared="features"), Dropout(s.input_dropout)]


LAYERS = {"lstm": _lstm, "wavenet-simple": _wavenet_simple, "wavenet": _wavenet, "lstm-steps": _lstm_steps}
_PLAIN = Settings(embedding=100, dense=256, dropout=0.0, input_dropout=0.0, step_dropout=0.0, weight_dropout=0.0)
_ARTICLE = replace(_PLAIN, learning_rate=0.001, beta2=0.999, batch_size=128, clip_norm=None, average=0, epochs=50)
MODELS = {
    "lstm": replace(_ARTICLE, model="lstm"),
    "wavenet-simple": replace(_ARTICLE, model="wavenet-simple", hidden=64, dropout=0.2),
    "wavenet": Settings("wavenet", hidden=64, dense=128, dropout=0.5, input_dropout=0.3),
    "lstm-steps": Settings(),
}


def build(settings: Settings, n: int) -> Sequential:
    """Build the network.

    Parameters
    ----------
    settings : Settings
    n : int, number of different tokens

    Returns
    -------
    Sequential from ids to logits, float32
        There are logits of the next token at every step, or only at the last one (`Settings.windowed`).
    """
    return Sequential(*LAYERS[settings.model](settings, n, np.random.default_rng(settings.seed)))


class Material:
    """What a network learns and what is held out, as ids.

    The vocabulary holds the common tokens of all pieces in their own keys. Other tokens are dropped, but only after
    transposing, which can turn a rare token into a common one. With rhythm, common tokens replace the others instead,
    see `Rhythms`.

    Parameters
    ----------
    training, held_out : lists of Piece; all pieces and none if windows are held out instead (`Settings.split`)
    settings : Settings

    Attributes
    ----------
    vocabulary : Vocabulary
    learned, unseen : Part, the training and the held-out part
    sources : list of (Piece, semitones), the origin of each sequence of `learned`

    Raises
    ------
    NumpyrnnError
        if no token is common enough, or a part has no window
    """

    def __init__(self, training: Sequence[Piece], held_out: Sequence[Piece], settings: Settings):
        self.training, self.held_out, self.settings = list(training), list(held_out), settings
        tokens = [piece.tokens for piece in (*training, *held_out)]
        keys, self._rhythms = KEYS if settings.transpose else [0], None
        if settings.rhythm and settings.keep_time:
            self._rhythms = Rhythms(tokens, settings.min_count, settings.rhythm_count, keys)
            kept = list(map(self._rhythms.write, tokens))
        else:
            kept = common_rhythms(keep_common(tokens, settings.min_count), settings.rhythm_count)
        counts = Counter(chain.from_iterable(kept))
        if not counts:
            names = count_names(tokens)
            name, most = names.most_common(1)[0] if names else ("none", 0)
            got = f"of {names.total():,} tokens, {len(names):,} of them different, the commonest ({name}) occurs {most}"
            raise NumpyrnnError(f"tokens must occur {settings.min_count} times, {got}: take a smaller --min-count")
        self.vocabulary = Vocabulary(self._rhythms.tokens if self._rhythms else counts)
        self._usual = commonest(counts)
        self.sources = [(piece, key) for key in keys for piece in self.training]
        learned = [ids for key in keys for ids in self.encode([piece.tokens for piece in self.training], key)]
        self.learned = all_windows(learned, settings.window)
        if settings.split == "random":
            self.learned, self.unseen = split_windows(self.learned, settings.seed)
        else:
            self.unseen = all_windows(self.encode([piece.tokens for piece in self.held_out]), settings.window)
        n_windows = len(self.learned.starts), len(self.unseen.starts)
        if not all(n_windows):
            expected = f"there must be windows of {settings.window} tokens to learn and to hold out"
            lengths = f"pieces of {min(map(len, kept)):,} to {max(map(len, kept)):,} tokens that are common enough"
            got = f"got {n_windows[0]:,} and {n_windows[1]:,} in {lengths}"
            raise NumpyrnnError(f"{expected}, {got}: take a smaller --min-count or --window, or more files")

    def encode(self, pieces: Iterable[Sequence[str]], semitones: int = 0) -> list[Array]:
        """Transpose tokens and convert them to ids.

        Tokens that are not in the vocabulary are left out or, with rhythm, replaced.

        Parameters
        ----------
        pieces : lists of tokens
        semitones : int, default 0

        Returns
        -------
        list of integer arrays
        """
        if self._rhythms:
            return [self.vocabulary.encode(self._rhythms.write(piece, semitones)) for piece in pieces]
        pieces = list(pieces)
        ids = {token: self._id(token, semitones) for token in set(chain.from_iterable(pieces))}
        return [np.array([ids[token] for token in piece if ids[token] >= 0], np.intp) for piece in pieces]

    def _id(self, token: str, semitones: int) -> int:
        """The id of a transposed token, -1 if it has none."""
        moved = transpose(token, semitones)
        if moved is not None and moved not in self.vocabulary:
            moved = self._usual.get(name_of(moved))
        return -1 if moved is None else self.vocabulary.ids[moved]

    @property
    def times(self) -> int:
        """How often crops of each learned sequence are read in an epoch."""
        return len(KEYS) * len(self.training) // len(self.sources)

    @property
    def items(self) -> int:
        """About how many windows or crops an epoch has."""
        if not self.settings.reads_crops:
            return len(self.learned.starts)
        return self.times * sum(len(ids) // self.settings.width + 1 for ids in self.learned.sequences)

    def batches(self, rng: Generator) -> Iterator[Batch]:
        """The batches of one epoch.

        They hold all windows, or crops. With crops, each place is seen twelve times an epoch, in twelve keys if
        transposing.
        """
        s = self.settings
        if s.reads_crops:
            return padded(crops(self.learned.sequences * self.times, s.width, rng), s.batch_size, rng)
        starts = rng.permutation(self.learned.starts)
        return windows_at(self.learned.ids, starts, s.window, s.batch_size, last_only=s.windowed)

    def held_out_batches(self) -> Iterator[Batch]:
        """The held-out part. All networks are measured at the same tokens: those that follow a window."""
        s, part = self.settings, self.unseen
        if s.reads_crops:  # whole pieces, so that a prediction knows all tokens before it
            batches = padded([ids for ids in part.sequences if len(ids) > s.window], s.batch_size)
        else:
            batches = windows_at(part.ids, part.starts, s.window, SIDE_BY_SIDE, last_only=s.windowed)
        return batches if s.windowed else after_whole_windows(batches, s.window)

    def describe(self, network: str = "") -> str:
        """How much there is to learn and how much is held out; `network` is added to the sentence.

        For a random split, a second line warns that it leaks.
        """
        keys = " in 12 keys" if self.settings.transpose else ""
        n, pieces = len(self.learned.starts), counted(len(self.training), "piece")
        learned = f"{counted(n, 'window')} of {pieces}{keys} to learn"
        held_out = f"{len(self.unseen.starts):,} of {len(self.held_out) or 'the same'} held out"
        leak = f"\n{LEAK}" if self.settings.split == "random" else ""
        return f"{learned}, {held_out}, {len(self.vocabulary)} different tokens{network}.{leak}"

    @cached_property
    def _copies(self) -> Copies:
        return Copies(ids.tolist() for ids in self.learned.sequences)

    def copied(self, ids: Iterable[int]) -> str:
        """Describe the longest run of tokens that a sample shares with a training piece, in any key it was learned in.

        Parameters
        ----------
        ids : integers

        Returns
        -------
        str, such as "3 tokens, from token 4 of NAME, 6 semitones down", or "none"; only learned tokens are counted
        """
        run = self._copies.longest(list(ids))
        if not run.length:
            return "none"
        piece, key = self.sources[run.source]
        moved = f", {counted(abs(key), 'semitone')} {'up' if key > 0 else 'down'}" if key else ""
        return f"{counted(run.length, 'token')}, from token {run.place + 1} of {shown(piece.name)}{moved}"


def material_of(checkpoint: Checkpoint) -> Material:
    """What a model learned and what was held out, rebuilt from its file.

    Raises
    ------
    NumpyrnnError
        if the model does not hold its settings and pieces, or they do not fit it
    """
    try:
        config = checkpoint.config
        tokens = Vocabulary(config["tokens"])
        training, held_out = (
            [Piece(str(piece["name"]), None, tokens.decode(piece["ids"])) for piece in config[part]]
            for part in ("training", "held_out")
        )
        material = Material(training, held_out, Settings.of(checkpoint))
        if checkpoint.vocabulary != material.vocabulary:
            raise ValueError("they have another vocabulary")
        check_network(checkpoint, lambda: build(material.settings, len(material.vocabulary)))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise NumpyrnnError(f"the model must hold its settings and pieces, it does not ({error!s:.200})") from error
    return material


def check(checkpoint: Checkpoint) -> None:
    """Raise unless a model file holds pieces, and the network of its settings; see `material_of`."""
    material_of(checkpoint)


CHECKS[KIND] = check
