"""A program's training: its data, model and trainer, and what is said about them."""

from __future__ import annotations

import sys
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
    unit : str, default "epoch", what the progress bar counts; see `items` and `count`
    per : str, default "character", the item to which printed losses refer
    places : int, default 1, predictions per such item (a value of three parts has three)
        Printed losses are the trainer's mean losses times this number.
    items : int, default 1, units of the progress bar in an epoch: the sum of `count` over its batches
    title : str, the title of the picture
    refusal : str, why `accept` ended the training
    """

    program: ClassVar[str]
    unit: str = "epoch"
    per: ClassVar[str] = "character"
    places: int = 1
    items: int = 1
    title: str = "training"
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
        """By how many units a batch moves the progress bar."""
        return int(batch.x.shape[1])

    def accept(self) -> bool:
        """Whether the weights of the last epoch may be kept; if not, training ends."""
        return True

    def run(
        self, epochs: int, on_batch: OnBatch = None, on_epoch: OnEpoch = None, on_rollback: OnRollback = None
    ) -> list[Record]:
        """Train up to `epochs` epochs in total; see `Trainer.run`."""
        parts = self.batches(), epochs, self.validation_batches, self.accept
        return self.trainer.run(*parts, on_batch, on_epoch, on_rollback)

    @contextmanager
    def progress(
        self, epochs: int, **options: Any
    ) -> Iterator[tuple[Callable[[Batch], None], Callable[[Record], None]]]:
        """Show a progress bar; yield `on_batch` and `on_epoch` for `run`. The options are those of tqdm."""
        from tqdm import tqdm

        options |= {"unit": self.unit, "unit_scale": self.items > 1, "file": sys.stderr}
        with tqdm(total=self.items * epochs, initial=self.items * self.trainer.epoch, **options) as bar:

            def on_batch(batch: Batch) -> None:
                bar.update(self.count(batch) if self.items > 1 else 0)

            def on_epoch(record: Record) -> None:
                (shown,) = self.shown([record])
                losses = f"loss {shown['loss']:.3f}, held out {shown['valid_loss']:.3f}"
                bar.set_postfix_str(f"epoch {record['epoch']}, {losses}")
                bar.update(self.items == 1)

            yield on_batch, on_epoch

    def checkpoint(self, resumable: bool = True) -> Checkpoint:
        """What to save: the best model so far, its settings and data and, if `resumable`, the state of the training."""
        best = self.model.copy()
        best.params.flat[...] = self.trainer.best
        config = {"settings": asdict(self.settings), **self.data()}
        return Checkpoint(self.program, best, self.vocabulary, config, self.trainer.state() if resumable else None)

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
        """Report the loss, why training ended, and the loss of the best n-gram; `status` is the exit status."""
        loss = f"{self.held_out_loss():.3f} nats a {self.per}"
        return f"Held-out loss {loss}, {self.ending(status)}. The best n-gram: {min(ngrams.values()):.3f}."

    def ending(self, status: int = 0) -> str:
        """Say from which epoch the model is and why training ended; `status` is the exit status."""
        trainer, patience = self.trainer, self.trainer.patience
        stale = patience is not None and trainer.stale >= patience
        stopped = f"no better for {patience} epochs" if stale else self.refusal
        if trainer.diverged:
            stopped = "diverged, lower the learning rate"
        why = "interrupted" if status > 128 else stopped if trainer.finished else "all epochs done"
        return f"from epoch {best_epoch(trainer)}; ended after {trainer.epoch}: {why}"

    def shown(self, records: Sequence[Record]) -> list[Record]:
        """Convert the losses of records to nats per item (`per`)."""
        return [r | {k: r[k] * self.places for k in ("loss", "valid_loss") if r.get(k) is not None} for r in records]


def best_epoch(trainer: Trainer) -> int:
    """The epoch whose weights are kept."""
    return next((r["epoch"] for r in trainer.history if r["valid_loss"] == trainer.best_loss), trainer.epoch)
