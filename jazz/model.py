"""The soloist: its settings, its network, and the tunes that its model file keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

from numpyrnn import Dropout, NumpyrnnError, Sequential
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import check_count
from numpyrnn.optim import Adam, RMSprop
from numpyrnn.vocab import Vocabulary
from workbench.files import CHECKS
from workbench.networks import recurrent_network
from workbench.settings import HIGHEST, above, check_network, one_of, share, within
from workbench.settings import Settings as TrainingSettings

from .tokens import CONTEXTS, FORMS, value_of

KIND = "jazz"
AnyTune = TypeVar("AnyTune")
OPTIMISERS = {"adam": Adam, "rmsprop": RMSprop}


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """How a soloist is built and trained.

    Attributes
    ----------
    form : "parts" or "atomic", whether a value is three tokens (type, duration, interval) or one
    context : tuple of names from `tokens.CONTEXTS`, what the network is told before each value
    hidden, layers, embedding : int, units of a layer, number of layers, size of the embedding (0: none)
    dropout, input_dropout, weight_dropout : float
        Dropout rates: after each layer, of the embedding, of the recurrent weights.
    optimiser : "adam" or "rmsprop"
    learning_rate, decay : float, for the optimiser
    batch_size : int, crops in a batch
    width : int, values in a crop
    clip_norm : float, largest norm of the gradients
    average : float, decay of the averaged weights
    epochs : int, in total, at most
    patience : int, training ends after this many epochs without a better held-out loss
    seed : int, for the split, the weights, the order and the dropout

    Raises
    ------
    NumpyrnnError
        if a setting has the wrong type, or is unknown or out of range
    """

    form: str = one_of("parts", FORMS)
    context: tuple[str, ...] = one_of(
        ("position", "chord", "degree", "register", "next", "style", "density", "height", "triplets", "sixteenths"),
        CONTEXTS,
    )
    hidden: int = within(128, 1, 4096)
    layers: int = within(1, 1, 8)
    embedding: int = within(64, 0, 4096)
    dropout: float = within(0.5, 0, 1)
    input_dropout: float = within(0.3, 0, 1)
    weight_dropout: float = within(0.4, 0, 1)
    optimiser: str = one_of("adam", OPTIMISERS)
    learning_rate: float = above(0.008, 0)
    decay: float = within(0.0, 0)
    batch_size: int = within(16, 1, 4096)
    width: int = within(32, 1, 4096)
    clip_norm: float = above(1.0, 0)
    average: float = share(0.98)
    epochs: int = within(120, 1, HIGHEST)
    patience: int = within(12, 1, HIGHEST)
    seed: int = within(0, 0, (1 << 63) - 1)

    @property
    def parts(self) -> int:
        """How many tokens of a value the network predicts."""
        return 3 if self.form == "parts" else 1

    @property
    def step(self) -> int:
        """How many tokens stand for a value in its context."""
        return len(self.context) + self.parts


# The networks of the course and of deepjazz read values as single symbols, without context.
_PLAIN = Settings(form="atomic", context=(), embedding=0, input_dropout=0.0, weight_dropout=0.0, average=0.0)
RECIPES = {
    "parts": Settings(),
    "solos": Settings(dropout=0.2, input_dropout=0.1, weight_dropout=0.1, batch_size=32, epochs=22),
    "atomic": Settings(form="atomic"),
    "course": replace(_PLAIN, hidden=64, dropout=0.0, learning_rate=0.01, decay=0.01, batch_size=32, width=30),
    "deepjazz": replace(
        _PLAIN, hidden=128, layers=2, dropout=0.2, optimiser="rmsprop", learning_rate=0.001, width=20, patience=40
    ),
}


def build(settings: Settings, vocabulary: Vocabulary) -> Sequential:
    """Build the network: an embedding with dropout, LSTM layers each followed by dropout, and a dense layer to logits.

    The initial embedding is scaled down, because some context tokens occur at nearly every step.

    Parameters
    ----------
    settings : Settings
    vocabulary : Vocabulary

    Returns
    -------
    Sequential from ids to logits, float32
    """
    dropouts = [Dropout(settings.input_dropout)]
    return recurrent_network(len(vocabulary), settings, dropouts=dropouts, scale=0.3)


@dataclass(frozen=True)
class EncodedTune:
    """A tune as a model file keeps it.

    Attributes
    ----------
    name, group : str, as in `Tune`
    ids : list of int, the tokens
    bars : list of int, how many values begin in each bar
    """

    name: str
    group: str
    ids: list[int]
    bars: list[int]


class Parts(NamedTuple, Generic[AnyTune]):
    """Tunes to learn from, tunes that decide when training ends (perhaps none), and tunes to measure at the end."""

    training: list[AnyTune]
    validation: list[AnyTune]
    held_out: list[AnyTune]


def tunes_of(checkpoint: Checkpoint) -> Parts[EncodedTune]:
    """The tunes of a model in their parts.

    Raises
    ------
    NumpyrnnError
        if the training or the held-out part is empty, or a tune does not fit the vocabulary and the settings
    """
    step = Settings.of(checkpoint).step
    try:
        config = {"validation": [], **checkpoint.config}  # older files have no such part
        parts = Parts(*([EncodedTune(**tune) for tune in config[part]] for part in Parts._fields))
        for tune in chain(*parts):
            checkpoint.vocabulary.decode(tune.ids)
            for n_begun in tune.bars:
                check_count("a bar's number of values", n_begun, 0)
            if not isinstance(tune.name, str) or not isinstance(tune.group, str):
                raise TypeError(f"a name and a group are strings, got {tune.name!r:.80} and {tune.group!r:.80}")
            if len(tune.ids) < 2 or sum(tune.bars) * step != len(tune.ids):
                raise ValueError(f"{tune.name!r:.80} has {len(tune.ids)} tokens for {sum(tune.bars)} values of {step}")
        if not parts.training or not parts.held_out:
            raise ValueError("a part is empty")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        words = "the model must hold its training and held-out tunes, it does not"
        raise NumpyrnnError(f"{words} ({error!s:.200})") from error
    return parts


def values_of(checkpoint: Checkpoint, tune: EncodedTune) -> list[str]:
    """The values of one of a model's tunes, as strings.

    Raises
    ------
    NumpyrnnError
        if its tokens do not form values
    """
    settings, tokens = Settings.of(checkpoint), checkpoint.vocabulary.decode(tune.ids)
    ends = range(settings.step, len(tokens) + 1, settings.step)
    return [str(value_of(tokens[end - settings.parts : end])) for end in ends]


def training_values(checkpoint: Checkpoint) -> list[tuple[EncodedTune, list[str]]]:
    """The training tunes of a model, each with its values."""
    return [(tune, values_of(checkpoint, tune)) for tune in tunes_of(checkpoint).training]


def check(checkpoint: Checkpoint) -> None:
    """Raise unless a model file holds a soloist: its tunes, and the network of its settings."""
    settings = Settings.of(checkpoint)
    for tune in chain(*tunes_of(checkpoint)):
        values_of(checkpoint, tune)
    check_network(checkpoint, lambda: build(settings, checkpoint.vocabulary))


CHECKS[KIND] = check
