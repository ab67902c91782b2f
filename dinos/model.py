"""The name generator: which layers, how it is trained, how names are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from numpyrnn import GRU, LSTM, RNN, Dense, Dropout, Embedding, NumpyrnnError, Sequential
from numpyrnn.activations import log_softmax
from numpyrnn.batches import Batch, padded
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array
from numpyrnn.optim import Adam
from numpyrnn.sampling import Sampler, generate
from numpyrnn.train import Trainer
from numpyrnn.vocab import Vocabulary
from workbench.ngram import KneserNey

from .names import END, encode, show, vocabulary_of

KIND = "dinos"
ROUNDS = 100
FOLDS = 10  # of the training names, for the teacher
CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


@dataclass(frozen=True)
class Settings:
    """How a generator is built and trained. The defaults were chosen on a third part of the names, by measurement.

    Attributes
    ----------
    cell : "lstm", "gru" or "rnn"
    hidden, layers, embedding : int, sizes
    dropout : float, of what the recurrent layers give
    input_dropout : float, of the embedded characters' features
    step_dropout : float, of whole embedded characters
    weight_dropout : float, of the recurrent weights (Merity et al. 2018)
    teacher : float, share of an n-gram's distribution in the targets (Hinton et al. 2015)
    teacher_order : int, of that n-gram, which is fitted on the other training names
    learning_rate, batch_size : for Adam
    clip_norm : float, of the gradients
    average : float, decay of the averaged weights
    copies : float, training ends when more than this share of the names it writes would be copies; 1: never
    patience : int, epochs without a better held-out loss before training ends
    seed : int, of everything: split, weights, order, dropout
    """

    cell: str = "lstm"
    hidden: int = 128
    layers: int = 1
    embedding: int = 64
    dropout: float = 0.5
    input_dropout: float = 0.3
    step_dropout: float = 0.1
    weight_dropout: float = 0.4
    teacher: float = 0.5
    teacher_order: int = 6
    learning_rate: float = 0.004
    batch_size: int = 32
    clip_norm: float = 1.0
    average: float = 0.995
    patience: int = 10
    copies: float = 0.0085
    seed: int = 0


def build(settings: Settings, vocabulary: Vocabulary) -> Sequential:
    """Embedding, recurrent layers with dropout between them, and a dense layer to the logits.

    Parameters
    ----------
    settings : Settings
    vocabulary : Vocabulary

    Returns
    -------
    Sequential from ids to logits, float32
    """
    if settings.cell not in CELLS:
        raise NumpyrnnError(f"cell must be one of {', '.join(CELLS)}, got {settings.cell!r}")
    rng = np.random.default_rng(settings.seed)
    layers: list[Any] = [
        Embedding(len(vocabulary), settings.embedding, rng=rng),
        Dropout(settings.step_dropout, shared="features"),
        Dropout(settings.input_dropout),
    ]
    size = settings.embedding
    for _ in range(settings.layers):
        layers += [
            CELLS[settings.cell](size, settings.hidden, rng=rng, weight_dropout=settings.weight_dropout),
            Dropout(settings.dropout),
        ]
        size = settings.hidden
    return Sequential(*layers, Dense(size, len(vocabulary), rng=rng))


class NameTraining:
    """Training of a generator on names: the model, its trainer, and the batches.

    Parameters
    ----------
    training, held_out : lists of distinct names
    settings : Settings
    keep_case : bool, whether the names were not lower-cased
    """

    def __init__(self, training: Sequence[str], held_out: Sequence[str], settings: Settings, keep_case: bool = False):
        self.training, self.held_out = list(training), list(held_out)
        self.settings, self.keep_case = settings, keep_case
        self.vocabulary = vocabulary_of([*training, *held_out])
        self.model = build(settings, self.vocabulary)
        self.trainer = Trainer(
            self.model,
            Adam(settings.learning_rate, beta2=0.99),
            clip=None,
            clip_norm=settings.clip_norm,
            average=settings.average,
            patience=settings.patience,
            rng=np.random.default_rng([settings.seed, 1]),
        )

    def run(
        self,
        epochs: int,
        on_batch: Callable[[Batch], None] | None = None,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> list[dict[str, Any]]:
        """Train up to `epochs` in all; see `Trainer.run`."""
        sequences, held_out = (encode(part, self.vocabulary) for part in (self.training, self.held_out))
        size, soft = self.settings.batch_size, self._soft_targets(sequences)
        return self.trainer.run(
            lambda rng: padded(sequences, size, rng, soft),
            epochs,
            lambda: padded(held_out, 256),
            accept=lambda: self.settings.copies >= 1 or self.copied() <= self.settings.copies,
            on_batch=on_batch,
            on_epoch=on_epoch,
        )

    def _soft_targets(self, sequences: Sequence[Array]) -> list[Array] | None:
        """For each step of each name the next character, softened by what the n-gram thinks could come."""
        share = self.settings.teacher
        if not share:
            return None
        names = [ids[1:].tolist() for ids in sequences]
        one_hot = np.eye(len(self.vocabulary), dtype=np.float32)
        soft: list[Any] = [None] * len(names)
        for fold in range(FOLDS):  # an n-gram that has not seen a name cannot teach it by heart
            others = [name for i, name in enumerate(names) if i % FOLDS != fold]
            ngram = KneserNey(others or names, len(self.vocabulary), self.settings.teacher_order)
            for i in range(fold, len(names), FOLDS):
                from_ngram = ngram.distributions(names[i]).astype(np.float32)
                soft[i] = (1 - share) * one_hot[names[i]] + share * from_ngram
        return soft

    def copied(self) -> float:
        """The model's probability of writing one of its training names: the share of copies to expect of it."""
        log_p = []
        for batch in padded(encode(self.training, self.vocabulary), 256):
            logits, _, _ = self.model.forward(batch.x, None, batch.lengths, cache=False)
            of_targets = np.take_along_axis(log_softmax(logits), batch.targets[..., None], axis=2)[..., 0]
            log_p.append((of_targets * batch.counts).sum(axis=0))
        return float(np.exp(np.concatenate(log_p)).sum())

    def checkpoint(self, resumable: bool = True) -> Checkpoint:
        """What to save: the best model so far with its names, and the state of the training unless it is not wanted."""
        best = self.model.copy()
        best.params.flat[...] = self.trainer.best
        config = {
            "settings": asdict(self.settings),
            "keep_case": self.keep_case,
            "training": self.training,
            "held_out": self.held_out,
        }
        state = self.trainer.state() if resumable else None
        return Checkpoint(KIND, best, self.vocabulary, config, state)

    @classmethod
    def resume(cls, checkpoint: Checkpoint) -> NameTraining:
        """Go on where a checkpoint was made.

        Raises
        ------
        NumpyrnnError
            if the checkpoint is of a finished model
        """
        state = checkpoint.resumable()
        training, held_out, config = *names_of(checkpoint), checkpoint.config
        run = cls(training, held_out, Settings(**config["settings"]), config["keep_case"])
        run.trainer.restore(state)
        return run


def names_of(checkpoint: Checkpoint) -> tuple[list[str], list[str]]:
    """The training and the held-out names of a model; an error if it has none."""
    parts = checkpoint.config.get("training"), checkpoint.config.get("held_out")
    if not all(isinstance(part, list) and all(isinstance(name, str) for name in part) for part in parts):
        raise NumpyrnnError("the model must hold its training and held-out names, it does not")
    return parts  # type: ignore[return-value]


def sample_names(
    checkpoint: Checkpoint,
    n: int,
    seed: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    prefix: str = "",
    longest: int = 60,
) -> list[str]:
    """Draw names.

    Parameters
    ----------
    checkpoint : Checkpoint of a generator
    n : int, how many
    seed : int, optional
    temperature : float, default 1
    top_k : int, optional
    prefix : str, how each name begins
    longest : int, default 60, characters after the prefix

    Returns
    -------
    list of str, the prefix included

    Raises
    ------
    NumpyrnnError
        if the prefix has characters that the model does not know, or the model writes hardly anything but empty names
    """
    if not checkpoint.config.get("keep_case"):
        prefix = prefix.lower()
    unknown = sorted(set(prefix) - set(checkpoint.vocabulary.tokens) | set(prefix) & {END})
    if unknown:
        known = "".join(token for token in checkpoint.vocabulary.tokens if token != END)
        came = " ".join(map(repr, unknown))
        raise NumpyrnnError(f"prefix must be of the model's characters ({known:.80}), got {came}")
    prompt, end = checkpoint.vocabulary.encode(END + prefix), int(checkpoint.vocabulary.encode(END)[0])
    sampler = Sampler(np.random.default_rng(seed), temperature, top_k)
    names: list[str] = []
    for _ in range(ROUNDS):  # an empty name is no name: it is drawn again
        if len(names) == n:
            break
        prompts = np.repeat(prompt[:, None], n - len(names), axis=1)
        written = generate(checkpoint.model, prompts, sampler, longest, end)
        names += [name for ids in written if (name := prefix + text(ids, checkpoint.vocabulary))]
    else:
        raise NumpyrnnError(f"the model writes too many empty names: {len(names)} of {n} had letters")
    return names


def text(ids: Iterable[int] | Array, vocabulary: Vocabulary) -> str:
    """The name that drawn ids spell, without its end."""
    return "".join(vocabulary.decode(ids)).rstrip(END)


def listing(names: Sequence[str], known: set[str]) -> str:
    """Names one a line, each marked as new or known."""
    width = max((len(name) for name in names), default=0) + 2
    return "\n".join(f"{show(name):{width}}{'known' if name in known else 'new'}" for name in names)
