"""The name generator: its network, its training, and samples from it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.random import Generator

from numpyrnn import GRU, LSTM, RNN, Dropout, NumpyrnnError, Sequential
from numpyrnn.activations import log_softmax
from numpyrnn.batches import Batch, padded
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array
from numpyrnn.optim import Adam
from numpyrnn.sampling import Sampler, generate
from numpyrnn.vocab import Vocabulary
from workbench.files import CHECKS
from workbench.grow import gentle, mixed
from workbench.jobs import Jobs
from workbench.networks import recurrent_network
from workbench.ngram import KneserNey, best_ngram
from workbench.settings import HIGHEST, above, check_network, one_of, share, within
from workbench.settings import Settings as TrainingSettings
from workbench.terminal import counted
from workbench.training import SMALL_LETTERS, Training

from .names import END, LONGEST, encode, show, split_names, tokens_of, vocabulary_of

KIND = "dinos"
ROUNDS = 100  # at most; in each, empty names are drawn again
PART = 10_000  # names that are drawn together
SHOWN = 5  # sampled names, shown during training
FOLDS = 10  # of the training names, for the teacher
MAX_TARGETS = 250_000_000  # probabilities, which take 1 GB
CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """How a generator is built and trained. The defaults were chosen by measurement, on other names.

    Attributes
    ----------
    cell : "lstm", "gru" or "rnn"
    hidden, layers, embedding : int, units of a layer, number of layers, size of the embedding (0: none)
    dropout : float, rate after each recurrent layer
    input_dropout : float, rate for single features of the embedded characters
    step_dropout : float, rate for whole embedded characters
    weight_dropout : float, rate for the recurrent weights (Merity et al. 2018)
    teacher : float, weight of an n-gram's distribution in the targets (Hinton et al. 2015)
    teacher_order : int, order of that n-gram, which is fitted on the other training names
    learning_rate : float, for Adam
    batch_size : int, names in a batch
    clip_norm : float, largest norm of the gradients
    average : float, decay of the averaged weights
    patience : int, training ends after this many epochs without a better held-out loss
    copies : float, training ends when more than this share of the model's names would be copies; never if 1
    seed : int, for the split, the weights, the order and the dropout
    own : int, how many training names, the first ones, are not those of the model that training started from; or 0

    Raises
    ------
    NumpyrnnError
        if a setting has the wrong type, or is unknown or out of range
    """

    cell: str = one_of("lstm", CELLS)
    hidden: int = within(128, 1, 4096)
    layers: int = within(1, 1, 8)
    embedding: int = within(64, 0, 4096)
    dropout: float = within(0.5, 0, 1)
    input_dropout: float = within(0.3, 0, 1)
    step_dropout: float = within(0.1, 0, 1)
    weight_dropout: float = within(0.4, 0, 1)
    teacher: float = within(0.5, 0, 1)
    teacher_order: int = within(6, 1, 20)
    learning_rate: float = above(0.004, 0)
    batch_size: int = within(32, 1, 4096)
    clip_norm: float = above(1.0, 0)
    average: float = share(0.995)
    patience: int = within(10, 1, HIGHEST)
    copies: float = within(0.0085, 0, 1)
    seed: int = within(0, 0, (1 << 63) - 1)
    own: int = within(0, 0)


def build(settings: Settings, vocabulary: Vocabulary) -> Sequential:
    """Build the network: an embedding with dropout, recurrent layers each followed by dropout, and a dense layer.

    Parameters
    ----------
    settings : Settings
    vocabulary : Vocabulary

    Returns
    -------
    Sequential from ids to logits, float32
    """
    dropouts = Dropout(settings.step_dropout, shared="features"), Dropout(settings.input_dropout)
    return recurrent_network(len(vocabulary), settings, cell=CELLS[settings.cell], dropouts=dropouts)


class NameTraining(Training):
    """Training of a generator on names.

    Parameters
    ----------
    training, held_out : lists of distinct names
    settings : Settings
    keep_case : bool, default False, whether capitals are kept
    vocabulary : Vocabulary, default that of the names
    """

    program, uses = KIND, (f"{KIND} sample", f"{KIND} evaluate")

    def __init__(
        self,
        training: Sequence[str],
        held_out: Sequence[str],
        settings: Settings,
        keep_case: bool = False,
        vocabulary: Vocabulary | None = None,
    ):
        self.training, self.held_out, self.keep_case = list(training), list(held_out), keep_case
        vocabulary, adam = vocabulary or vocabulary_of([*training, *held_out]), Adam(settings.learning_rate, beta2=0.99)
        steps = sum(len(name) + 1 for name in training)
        if settings.teacher and steps * len(vocabulary) > MAX_TARGETS:
            most = MAX_TARGETS // len(vocabulary)
            raise NumpyrnnError(
                f"names of {len(vocabulary)} letters must have at most {most} in all, they have {steps}"
            )
        super().__init__(settings, vocabulary, build(settings, vocabulary), adam, patience=settings.patience)
        self.items, self.starred = len(self.training), False
        self.title = f"{settings.cell.upper()} on {counted(self.items, 'name')}"
        self.refusal = f"more than {settings.copies:.2%} of its names would now be copies"

    @classmethod
    def started(cls, names: Sequence[str], start: Checkpoint, seed: int) -> Self:
        """A training on names that starts from the weights of a model, and learns the model's names too."""
        training, held_out = split_names(names, seed)
        others = [name for name in chain(*names_of(start)) if name not in {*names}]
        settings = gentle(Settings.of(start), seed, len(training), copies=1.0)
        return cls([*training, *others], held_out, settings, bool(start.config.get("keep_case"))).grown(start)

    @classmethod
    def of(cls, checkpoint: Checkpoint, *given: Any) -> Self:
        """A new training with the names and settings of a model file."""
        keep_case = bool(checkpoint.config.get("keep_case"))
        return cls(*names_of(checkpoint), Settings.of(checkpoint), keep_case, checkpoint.vocabulary)

    def data(self) -> dict[str, Any]:
        """The names."""
        return {"keep_case": self.keep_case, "training": self.training, "held_out": self.held_out}

    def batches(self) -> Callable[[Generator], Iterable[Batch]]:
        """A function from a random generator to the batches of one epoch."""
        names = encode(self.training, self.vocabulary)
        soft = self._soft_targets([ids[1:] for ids in names]) if self.settings.teacher else None
        lengths, own = list(map(len, names)), [i < self.settings.own for i in range(len(names))]

        def of_epoch(rng: Generator) -> Iterable[Batch]:
            chosen = mixed(lengths, own, rng)
            targets = soft and [soft[i] for i in chosen]
            return padded([names[i] for i in chosen], self.settings.batch_size, rng, targets)

        return of_epoch

    def _soft_targets(self, names: Sequence[Array]) -> list[Array]:
        """Soften each name with an n-gram that is not fitted on it, and so does not know it by heart."""
        soft: list[Any] = [None] * len(names)
        for fold in range(FOLDS):
            others = [name for i, name in enumerate(names) if i % FOLDS != fold]
            ngram = KneserNey(others or names, len(self.vocabulary), self.settings.teacher_order)
            for i in range(fold, len(names), FOLDS):
                soft[i] = ngram.soften(names[i], self.settings.teacher)
        return soft

    def held_out_batches(self) -> Iterable[Batch]:
        """The held-out names."""
        return padded(encode(self.held_out, self.vocabulary), 256)

    def accept(self) -> bool:
        """Whether the expected share of copies is still small enough."""
        return bool(self.settings.copies >= 1 or self.copied() <= self.settings.copies)

    def copied(self) -> float:
        """The probability that the model writes one of its training names: the expected share of copies."""
        log_p = []
        for batch in padded(encode(self.training, self.vocabulary), 256):
            logits, _, _ = self.model.forward(batch.x, None, batch.lengths, cache=False)
            of_targets = np.take_along_axis(log_softmax(logits), batch.targets[..., None], axis=2)[..., 0]
            log_p.append((of_targets * batch.counts).sum(axis=0))
        return float(np.exp(np.concatenate(log_p)).sum())

    def describe(self) -> str:
        """The data and the network, in one line; a second one if capitals are lost."""
        data = f"{counted(self.items, 'name')} to learn, {len(self.held_out):,} held out"
        case = f"\n{SMALL_LETTERS}" * self.lowered
        network = f"{self.settings.cell.upper()} of {self.model.params.flat.size:,} parameters"
        return f"{data}, {len(self.vocabulary)} characters; {network}.{case}"

    def sample(self, checkpoint: Checkpoint, seed: int) -> str:
        """Five names, with a star after each known one."""
        names, known = sample_names(checkpoint, SHOWN, seed), {*self.training, *self.held_out}
        self.starred |= not known.isdisjoint(names)
        return ", ".join(show(name) + "*" * (name in known) for name in names)

    def ngrams(self) -> dict[str, float]:
        """The held-out loss of the best Kneser-Ney n-gram, nats a character."""
        learned, unseen = ([ids[1:] for ids in encode(p, self.vocabulary)] for p in (self.training, self.held_out))
        ngram, loss = best_ngram(learned, unseen, len(self.vocabulary))
        return {f"Kneser-Ney, order {ngram.order}": loss}

    def verdict(self, ngrams: dict[str, float], status: int = 0) -> str:
        """What the star means, if one was shown, and the verdict."""
        return "A star marks names that are known.\n" * self.starred + super().verdict(ngrams, status)


def names_of(checkpoint: Checkpoint) -> tuple[list[str], list[str]]:
    """The training and the held-out names that a model keeps; an error if it keeps no such lists."""
    parts = checkpoint.config.get("training"), checkpoint.config.get("held_out")
    if not all(isinstance(part, list) and all(map(_is_name, part)) for part in parts):
        raise NumpyrnnError("the model must hold its training and held-out names, it does not")
    return parts  # type: ignore[return-value]


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= LONGEST and END not in name


def check(checkpoint: Checkpoint) -> None:
    """Raise unless a model file holds a generator: its names, their characters, and the network of its settings."""
    names, settings, vocabulary = names_of(checkpoint), Settings.of(checkpoint), checkpoint.vocabulary
    known = vocabulary_of([*chain(*names)]), Vocabulary(END + "".join(chain(*names)))  # the second in older files
    if len({*chain(*names)}) < sum(map(len, names)):
        raise NumpyrnnError("the names of a model must be distinct, it has one twice")
    if not all(names) or vocabulary not in known or not isinstance(checkpoint.config.get("keep_case"), bool):
        raise NumpyrnnError("the model must know the characters of its names, and whether capitals are kept")
    check_network(checkpoint, lambda: build(settings, vocabulary))


CHECKS[KIND] = check


def sample_names(
    checkpoint: Checkpoint,
    n: int,
    seed: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    prefix: str = "",
    longest: int = 60,
    *,
    top_p: float | None = None,
) -> list[str]:
    """Draw names.

    Parameters
    ----------
    checkpoint : Checkpoint of a generator
    n : int, number of names
    seed : int, optional; by default a random one
    temperature : float, default 1; below 1 safer, above 1 wilder, 0 always the most probable
    top_k : int, optional, draw only among the k most probable
    prefix : str, default empty, the beginning of every name; lower-cased unless the model keeps capitals
    longest : int, default 60, largest number of characters after the prefix
    top_p : float, optional, draw only among the most probable, which together reach p

    Returns
    -------
    list of str, prefix included

    Raises
    ------
    NumpyrnnError
        if the prefix is too long or has unknown characters, a setting is out of range, or the model writes too many
        empty names
    """
    if len(prefix) > LONGEST:
        raise NumpyrnnError(f"prefix must have at most {LONGEST} characters, it has {len(prefix):,}")
    keep_case, vocabulary = bool(checkpoint.config.get("keep_case")), checkpoint.vocabulary

    def read(text: str) -> list[str]:
        return tokens_of(text if keep_case else text.lower(), vocabulary)

    letters = {*vocabulary.tokens} - {END}
    if wrong := sorted(typed for typed in {*tokens_of(prefix, vocabulary)} if not letters.issuperset(read(typed))):
        known, came = "".join(sorted(letters)), " ".join(map(repr, wrong))
        raise NumpyrnnError(f"prefix must be of the model's characters ({known:.80}), got {came}")
    prompt, end = vocabulary.encode([END, *read(prefix)]), int(vocabulary.encode(END)[0])
    prefix = "".join(read(prefix))
    sampler = Sampler(np.random.default_rng(seed), temperature, top_k, top_p)
    names: list[str] = []
    for _ in range(ROUNDS):  # empty names are drawn again
        if len(names) == n:
            break
        prompts = np.repeat(prompt[:, None], n - len(names), axis=1)
        written = generate(checkpoint.model, prompts, sampler, longest, end)
        names += [name for ids in written if (name := prefix + text(ids, checkpoint.vocabulary))]
    else:
        raise NumpyrnnError(f"the model writes too many empty names: {len(names)} of {n} had letters")
    return names


def sample_many(checkpoint: Checkpoint, n: int, jobs: Jobs, seed: int | None = None, **how: Any) -> Iterator[list[str]]:
    """Draw any number of names, in parts of at most 10,000, each from a seed of its own.

    Parameters
    ----------
    checkpoint, n, seed, **how : see `sample_names`, which draws a single part
    jobs : Jobs

    Yields
    ------
    list of str, the same for any jobs
    """
    if n <= PART:
        yield sample_names(checkpoint, n, seed, **how)
        return
    seed = secrets.randbelow(1 << 31) if seed is None else seed
    parts = [(min(PART, n - start), [seed, start // PART]) for start in range(0, n, PART)]
    yield from jobs.map(partial(_sample, checkpoint, how), parts)


def _sample(checkpoint: Checkpoint, how: dict[str, Any], part: tuple[int, Any]) -> list[str]:
    return sample_names(checkpoint, *part, **how)


def text(ids: Iterable[int] | Array, vocabulary: Vocabulary) -> str:
    """The name that ids spell, without END."""
    return "".join(vocabulary.decode(ids)).rstrip(END)


def listing(names: Sequence[str], known: set[str]) -> str:
    """The names, one per line, each marked as new or known."""
    width = max((len(show(name)) for name in names), default=0) + 2
    return "\n".join(f"{show(name):{width}}{'known' if name in known else 'new'}" for name in names)
