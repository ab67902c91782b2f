"""A program's training: its data, model and trainer, and what is said about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator

from numpyrnn import Checkpoint, NumpyrnnError, Sequential, Trainer, Vocabulary
from numpyrnn.batches import Batch
from numpyrnn.optim import Optimizer
from numpyrnn.train import Record

from .files import check_model
from .grow import grow
from .terminal import counted, progress_bar
from .together import shared

SMALL_LETTERS = "Capital letters are learned as small ones; --keep-case keeps them."
BAR = "{desc}: {percentage:3.0f}%|{bar}| {remaining} left"
OnBatch = Callable[[Batch], None] | None
OnEpoch = Callable[[Record], None] | None
OnRollback = Callable[[NumpyrnnError], None] | None


class Training:
    """A program's training: its data, model and trainer, and the texts that are printed about them.

    A program derives its own class, which knows its data. It sets the class attributes, overrides the methods that
    raise NotImplementedError here, and hands an instance to `TrainingRun.learn`.

    Parameters
    ----------
    settings : derived from `Settings`; has `seed`, `clip_norm`, `average` (and `epochs`, see `training_options`)
    vocabulary : Vocabulary
    model : Sequential
    optimizer : Optimizer
    **kwargs : more arguments of `Trainer`

    Attributes
    ----------
    program : str, the name of the command, and the kind of its model files
    uses : names of the commands that take a model, such as "dinos sample"
    per : str, default "character", the item to which printed losses refer
    places : int, default 1, predictions per such item (a value of three parts has three)
        Printed losses are the trainer's mean losses times this number.
    items : int, default 1, about the sum of `count` over the batches of an epoch, for the progress bar
    title : str, the title of the picture
    lowered : bool, default False, whether the data had capital letters that are learned as small ones
    refusal : str, why `accept` ended the training
    shared : names of large arrays that are only read, of which ranks on one machine share a copy
    memory : list of int, bytes that each rank used at the end of `run`; empty without `mpiexec`
    """

    program: ClassVar[str]
    shared: ClassVar[tuple[str, ...]] = ()
    memory: Sequence[int] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    per: ClassVar[str] = "character"
    places: int = 1
    items: int = 1
    title: str = "training"
    lowered: bool = False
    refusal: str = "it was refused"

    def __init__(self, settings: Any, vocabulary: Vocabulary, model: Sequential, optimizer: Optimizer, **kwargs: Any):
        self.settings, self.vocabulary, self.model = settings, vocabulary, model
        kwargs = {"clip_norm": settings.clip_norm, "average": settings.average, **kwargs}
        self.trainer = Trainer(model, optimizer, clip=None, rng=np.random.default_rng([settings.seed, 1]), **kwargs)

    def batches(self) -> Callable[[Generator], Iterable[Batch]]:
        """Return a function of a Generator that returns the batches of one epoch."""
        raise NotImplementedError

    def held_out_batches(self) -> Iterable[Batch]:
        """The batches on which the held-out loss is measured."""
        raise NotImplementedError

    def validation_batches(self) -> Iterable[Batch]:
        """The batches whose loss decides when training ends; by default the held-out ones."""
        return self.held_out_batches()

    def held_out_loss(self) -> float:
        """The held-out loss of the best weights, nats per item (`per`)."""
        return self.places * self.trainer.best_loss

    def data(self) -> dict[str, Any]:
        """The data that the model file holds besides the settings, in values that JSON can hold."""
        raise NotImplementedError

    @classmethod
    def of(cls, checkpoint: Checkpoint, *given: Any) -> Self:
        """Rebuild the training of a model file, before its first epoch; `given` is what the file does not hold."""
        raise NotImplementedError

    def describe(self) -> str:
        """Describe the data and the network in one or more lines."""
        raise NotImplementedError

    def sample(self, checkpoint: Checkpoint, seed: int) -> str:
        """Return a line written by the model as it is so far."""
        raise NotImplementedError

    def ngrams(self) -> dict[str, float]:
        """The held-out losses of n-grams by name, in nats per item (`per`)."""
        raise NotImplementedError

    def count(self, batch: Batch) -> int:
        """By how many of the `items` a batch moves the progress bar."""
        return int(batch.x.shape[1])

    def accept(self) -> bool:
        """Whether the weights of the last epoch may be kept; if not, training ends."""
        return True

    def run(
        self, epochs: int, on_batch: OnBatch = None, on_epoch: OnEpoch = None, on_rollback: OnRollback = None
    ) -> list[Record]:
        """Train up to `epochs` epochs in total, under `mpiexec` on all ranks; see `Trainer.run`."""
        callbacks = on_batch, on_epoch, on_rollback
        with shared(self, epochs, *callbacks):
            return self.trainer.run(self.batches(), epochs, self.validation_batches, self.accept, *callbacks)

    @contextmanager
    def progress(
        self, epochs: int, **options: Any
    ) -> Iterator[tuple[Callable[[Batch], None], Callable[[Record], None]]]:
        """Show a progress bar; yield `on_batch` and `on_epoch` for `run`. The options are those of tqdm."""
        before, done = self.trainer.epoch, 0
        words = {"total": self.items * epochs, "initial": self.items * before, "bar_format": BAR}
        with progress_bar(**{"desc": f"epoch {before + 1}"} | words | options) as bar:

            def on_batch(batch: Batch) -> None:
                nonlocal done
                done += self.count(batch)
                bar.update(max(0, min(done, self.items) + self.items * self.trainer.epoch - bar.n))

            def on_epoch(record: Record) -> None:
                nonlocal done
                done = 0
                bar.update(self.items * record["epoch"] - bar.n)
                if "desc" not in options:
                    bar.set_description_str(f"epoch {min(record['epoch'] + 1, epochs)}")

            yield on_batch, on_epoch

    def heading(self, epochs: int) -> str:
        """The heading of the lines of `epoch_line`."""
        return _row(epochs, "epoch", "loss", "held out", "best", "left")

    def epoch_line(self, record: Record, epochs: int, left: float) -> str:
        """An epoch in one line: its number, losses in nats per item (`per`), the best one, and the time left.

        Parameters
        ----------
        record : of the trainer's history
        epochs : int, in total
        left : float, seconds
        """
        from tqdm import tqdm

        losses = record["loss"], record["valid_loss"], self.trainer.best_loss
        numbers = ("-" if loss is None else f"{loss * self.places:.3f}" for loss in losses)
        return _row(epochs, f"{record['epoch']}/{epochs}", *numbers, tqdm.format_interval(left).removeprefix("0"))

    def checkpoint(self, resumable: bool = True) -> Checkpoint:
        """What to save: the best model so far, its settings and data and, if `resumable`, the state of the training."""
        best = self.model.copy()
        best.params.flat[...] = self.trainer.best
        config = {"settings": asdict(self.settings), **self.data()}
        return Checkpoint(self.program, best, self.vocabulary, config, self.trainer.state() if resumable else None)

    def kind_of(self, token: str) -> Any:
        """What a token has in common with those that are alike; see `grow`."""
        return None

    def grown(self, start: Checkpoint) -> Self:
        """Begin with the weights of another model of the same settings, and return the training."""
        grow(self.model, self.vocabulary, start.model, start.vocabulary, self.kind_of)
        for weights in (self.trainer.weights, self.trainer.averaged, self.trainer.best):
            weights[...] = self.model.params.flat
        return self

    @classmethod
    def resume(cls, checkpoint: Checkpoint, *given: Any) -> Self:
        """Rebuild the training of a checkpoint, and restore its state.

        Parameters
        ----------
        checkpoint : Checkpoint
        *given : what the checkpoint does not hold; see the program's `of`

        Returns
        -------
        Training

        Raises
        ------
        NumpyrnnError
            if the checkpoint is of a finished model, or damaged
        """
        state = checkpoint.resumable()
        check_model(checkpoint)  # before a network of its settings is made
        training = cls.of(checkpoint, *given)
        training.trainer.restore(state)
        return training

    def verdict(self, ngrams: dict[str, float], status: int = 0) -> str:
        """Report the loss, why training ended, and the loss of the best n-gram, if there is one.

        Parameters
        ----------
        ngrams : losses by name; empty if training did not end by itself, so that no comparison is fair
        status : int, default 0, the exit status
        """
        loss = f"{self.held_out_loss():.3f} nats a {self.per}"
        beside = f" The best n-gram: {min(ngrams.values()):.3f}." if ngrams else ""
        return f"Held-out loss {loss}, {self.ending(status)}.{beside}"

    def ending(self, status: int = 0) -> str:
        """Say from which epoch the model is and why training ended; `status` is the exit status."""
        trainer, patience = self.trainer, self.trainer.patience
        stale = patience is not None and trainer.stale >= patience
        stopped = f"no better for {counted(patience or 0, 'epoch')}" if stale else self.refusal
        if trainer.diverged:
            stopped = "diverged, lower the learning rate"
        why = "interrupted" if status > 128 else stopped if trainer.finished else "all epochs done"
        return f"from epoch {best_epoch(trainer)}; ended after {trainer.epoch}: {why}"

    def shown(self, records: Sequence[Record]) -> list[Record]:
        """Convert the losses of records to nats per item (`per`)."""
        return [r | {k: r[k] * self.places for k in ("loss", "valid_loss") if r.get(k) is not None} for r in records]


def _row(epochs: int, *cells: str) -> str:
    """A line of up to 40 columns, unless there are over 999 epochs."""
    widths = max(5, 2 * len(str(epochs)) + 1), 6, 9, 6, 7
    return " ".join(map(str.rjust, cells, widths))


def best_epoch(trainer: Trainer) -> int:
    """The epoch whose weights are kept."""
    return next((r["epoch"] for r in trainer.history if r["valid_loss"] == trainer.best_loss), trainer.epoch)
