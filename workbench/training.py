"""A training as a program runs it: its settings, progress, files, interruption, and what it says at the end."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

import click
import numpy as np
from click.core import ParameterSource
from numpy.random import Generator

from numpyrnn.batches import Batch
from numpyrnn.checkpoint import Checkpoint, load, save
from numpyrnn.checks import NumpyrnnError
from numpyrnn.cli import INTERRUPTED
from numpyrnn.optim import Optimizer
from numpyrnn.sequential import Sequential
from numpyrnn.train import Record, Trainer
from numpyrnn.vocab import Vocabulary

from .history import plot_history, write_history
from .options import PATH, Decorator, check_not_read, check_out, force_option, seed_option
from .progress import progress

GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
FREE = ("epochs", "out", "force", "resume", "plot", "slim")  # options that a resumed training may be given
SAVED_EVERY = 10  # seconds


class Settings:
    """Base of the frozen dataclasses in which programs keep how a network is built and trained."""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """The settings of a model.

        Raises
        ------
        NumpyrnnError
            if it has none, or they do not fit
        """
        try:
            found = checkpoint.config["settings"]
            return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise NumpyrnnError(f"the model must hold its settings, it does not ({error})") from error


class Training:
    """A program's training: the data, the model, its trainer, and what is said about them.

    A program derives its own class, which knows its data. It sets the class attributes, overrides the methods that
    raise NotImplementedError here, and hands an instance to `TrainingRun.learn`.

    Parameters
    ----------
    settings : dataclass derived from `Settings`; has `seed`, `clip_norm` and `average`
    vocabulary : Vocabulary
    model : Sequential
    optimizer : Optimizer
    **of_trainer : more arguments of `Trainer`

    Attributes
    ----------
    program : str, the name of the command, and the kind of its model files
    unit : str, default "epoch", what the progress bar counts; see `items` and `count`
    per : str, default "character", what the losses shown are counted for
    places : int, default 1, predictions that make one such unit (a value of three parts has three)
    items : int, default 1, units of the progress bar in an epoch
    title : str, of the picture of the curves
    refusal : str, why `accept` ended the training
    """

    program: ClassVar[str]
    unit: str = "epoch"
    per: ClassVar[str] = "character"
    places: int = 1
    items: int = 1
    title: str = "training"
    refusal: str = "it was refused"

    def __init__(
        self, settings: Any, vocabulary: Vocabulary, model: Sequential, optimizer: Optimizer, **of_trainer: Any
    ):
        self.settings, self.vocabulary, self.model = settings, vocabulary, model
        of_trainer = {"clip_norm": settings.clip_norm, "average": settings.average, **of_trainer}
        rng = np.random.default_rng([settings.seed, 1])
        self.trainer = Trainer(model, optimizer, clip=None, rng=rng, **of_trainer)

    def batches(self) -> Callable[[Generator], Iterable[Batch]]:
        """A function of a generator that gives the batches of one epoch."""
        raise NotImplementedError

    def held_out_batches(self) -> Iterable[Batch]:
        """The batches over which the held-out loss is taken."""
        raise NotImplementedError

    def data(self) -> dict[str, Any]:
        """What the model file keeps besides the settings, as JSON can hold it."""
        raise NotImplementedError

    @classmethod
    def of(cls, checkpoint: Checkpoint, *given: Any) -> Self:
        """The training that a model file came from, at its beginning; `given` is what the file does not keep."""
        raise NotImplementedError

    def describe(self) -> str:
        """What there is to learn, and the network, in a line or more."""
        raise NotImplementedError

    def sample(self, checkpoint: Checkpoint, seed: int) -> str:
        """A line that the model writes while it learns."""
        raise NotImplementedError

    def ngrams(self) -> dict[str, float]:
        """The held-out losses of n-grams by name, in the units shown."""
        raise NotImplementedError

    def count(self, batch: Batch) -> int:
        """Units of the progress bar in a batch."""
        return int(batch.x.shape[1])

    def accept(self) -> bool:
        """Whether the weights of the last epoch may be kept; if not, training ends."""
        return True

    def run(
        self,
        epochs: int,
        on_batch: Callable[[Batch], None] | None = None,
        on_epoch: Callable[[Record], None] | None = None,
    ) -> list[Record]:
        """Train up to `epochs` in all; see `Trainer.run`."""
        return self.trainer.run(
            self.batches(), epochs, self.held_out_batches, self.accept, on_batch=on_batch, on_epoch=on_epoch
        )

    def checkpoint(self, resumable: bool = True) -> Checkpoint:
        """What to save: the best model so far with its data, and the state of the training unless it is not wanted."""
        best = self.model.copy()
        best.params.flat[...] = self.trainer.best
        config = {"settings": asdict(self.settings), **self.data()}
        return Checkpoint(self.program, best, self.vocabulary, config, self.trainer.state() if resumable else None)

    @classmethod
    def resume(cls, checkpoint: Checkpoint, *given: Any) -> Self:
        """Go on where a checkpoint was made.

        Parameters
        ----------
        checkpoint : Checkpoint
        *given : what the checkpoint does not keep, see the program's `of`

        Raises
        ------
        NumpyrnnError
            if the checkpoint is of a finished model, or damaged
        """
        state = checkpoint.resumable()
        try:
            training = cls.of(checkpoint, *given)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, NumpyrnnError):
                raise
            raise NumpyrnnError(f"the model must hold the settings of a training, it does not ({error})") from error
        training.trainer.restore(state)
        return training

    def verdict(self, ngrams: dict[str, float], status: int = 0) -> str:
        """What was reached and why it ended, beside the best n-gram; `status` is the exit status."""
        loss = f"{self.places * self.trainer.best_loss:.3f} nats a {self.per}"
        return f"Held-out loss {loss}, {self.ending(status)}. The best n-gram: {min(ngrams.values()):.3f}."

    def ending(self, status: int = 0) -> str:
        """From which epoch the model is, and why there are no more; `status` is the exit status."""
        trainer = self.trainer
        if status:
            why = "interrupted"
        elif trainer.finished and trainer.patience is not None and trainer.stale >= trainer.patience:
            why = f"no better for {trainer.patience} epochs"
        else:
            why = self.refusal if trainer.finished else "all epochs done"
        return f"from epoch {best_epoch(trainer)}; ended after {trainer.epoch}: {why}"

    def shown(self, records: Sequence[Record]) -> list[Record]:
        """Records whose losses are for the units shown."""
        return [r | {k: r[k] * self.places for k in ("loss", "valid_loss") if r.get(k) is not None} for r in records]


def best_epoch(trainer: Trainer) -> int:
    """The epoch whose weights are kept."""
    return next((r["epoch"] for r in trainer.history if r["valid_loss"] == trainer.best_loss), trainer.epoch)


def training_options(out: str, epochs: int | None = None) -> Decorator:
    """The options of every training: `--epochs --seed -o/--out --force --resume --plot --slim`.

    The command is given a `TrainingRun` as `run` in their place. Its output files are checked before: none may be the
    command's `data`.

    Parameters
    ----------
    out : the default model file
    epochs : int, optional, how many at most; default: as the settings have it
    """
    words = f"At most, in all  [default: {epochs or 'as the recipe has it'}]"

    def with_run(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--epochs", type=click.IntRange(1), default=epochs, help=words)
        @seed_option
        @click.option("-o", "--out", type=PATH, help=f"Model file  [default: {out} or the resumed one]")
        @force_option
        @click.option("--resume", type=PATH, help="Go on with the training of this model file.")
        @click.option("--plot", type=PATH, help="PNG of the curves  [default: beside the model]")
        @click.option("--slim", is_flag=True, help="Leave out of the model file what only --resume needs.")
        @wraps(command)
        def of_run(
            epochs: int | None, seed: int | None, resume: Path | None, slim: bool, plot: Path | None, **given: Any
        ) -> Any:
            data, model = given.get("data"), given.pop("out") or resume or Path(out)
            files = outputs(model, plot, resume, given.pop("force"), data if isinstance(data, list) else [data])
            return command(run=TrainingRun(files, epochs, seed, resume, slim), **given)

        return of_run

    return with_run


@dataclass(frozen=True)
class Outputs:
    """The files that a training writes: model, history (JSONL) and picture of the curves (PNG)."""

    model: Path
    history: Path
    plot: Path

    def __str__(self) -> str:
        return f"Model {self.model}, history {self.history}, curves {self.plot}."


def outputs(
    out: Path, plot: Path | None, resume: Path | None, force: bool, inputs: Sequence[Path | None] = ()
) -> Outputs:
    """The output files, each checked to be writable; only --force or the training itself may replace one.

    Parameters
    ----------
    out : the model file; the others stand beside it
    plot : the picture, if it is wanted elsewhere
    resume : the model file that is resumed
    force : whether existing files may be replaced
    inputs : the training data, which is never replaced; None does not count

    Raises
    ------
    NumpyrnnError
        if one cannot be written or exists, or two are the same
    """
    check_out(out, force or out == resume)
    files = Outputs(out, out.with_suffix(".jsonl"), plot or out.with_suffix(".png"))
    own = [files.history, out.with_suffix(".png")] if out == resume else []
    for path in (files.history, files.plot):
        check_out(path, force or path in own)
    if len({path.resolve() for path in (files.model, files.history, files.plot)}) < 3:
        found = f"{files.model}, {files.history} and {files.plot}"
        raise NumpyrnnError(f"model, history and picture must be three files, got {found}")
    check_not_read((files.model, files.history, files.plot), inputs)
    return files


@dataclass(frozen=True)
class TrainingRun:
    """What the user asked of a training; `training_options` makes it.

    Attributes
    ----------
    files : Outputs
    epochs : int, at most; None: as the settings have it
    seed, resume, slim : as the options
    """

    files: Outputs
    epochs: int | None
    seed: int | None
    resume: Path | None
    slim: bool

    def resumed(self, kind: str, *allowed: str) -> Checkpoint | None:
        """The checkpoint to go on with, or None; an error if the user gave options that it fixes.

        Parameters
        ----------
        kind : of the model file
        *allowed : parameters of the command that may be given all the same
        """
        if self.resume is None:
            return None
        context = click.get_current_context()
        fixed = [option.name or "" for option in context.command.params if option.name not in (*FREE, *allowed)]
        given = [name for name in fixed if context.get_parameter_source(name) in GIVEN]
        if given:
            words = ", ".join(dict.fromkeys(f"--{name.removeprefix('plain_').replace('_', '-')}" for name in given))
            raise click.UsageError(f"a resumed training keeps its settings, got {words}")
        return load(self.resume, kind)

    def learn(self, training: Training) -> NoReturn:
        """Train with a progress bar, say what came out, draw the curves, and exit.

        The model is saved at the end, on Ctrl-C, and every ten seconds.
        """
        trainer = training.trainer
        epochs = self.epochs or training.settings.epochs
        if trainer.finished or trainer.epoch >= epochs:
            raise NumpyrnnError(
                f"there is nothing to go on with: the model is {training.ending()} (--epochs is {epochs})"
            )
        click.echo(training.describe())
        status = learn(training, epochs, self.files, self.slim)
        ngrams = training.ngrams()
        if trainer.history:
            click.echo(training.verdict(ngrams, status))
        history = training.shown(trainer.history)
        plot_history(history, self.files.plot, training.title, ngrams, f"nats a {training.per}")
        click.echo(self.files)
        sys.exit(status)


def learn(training: Training, epochs: int, files: Outputs, slim: bool = False) -> int:
    """Train with a progress bar; save at the end, on Ctrl-C, and every ten seconds.

    Parameters
    ----------
    training : Training
    epochs : int, in all
    files : Outputs
    slim : bool, default False; leave out of the finished model what only --resume needs

    Returns
    -------
    int, the exit status
    """
    from tqdm import tqdm

    trainer, saved = training.trainer, time.monotonic()
    moments = {1, epochs // 4, epochs // 2, 3 * epochs // 4}

    def write(resumable: bool = True) -> None:
        save(files.model, training.checkpoint(resumable))
        write_history(files.history, training.shown(trainer.history))

    def say(when: str) -> None:
        try:
            words = training.sample(training.checkpoint(resumable=False), trainer.epoch)
        except NumpyrnnError as error:  # a sample that fails must not end a training
            words = f"({error})"
        tqdm.write(f"{when:12} {words}", file=sys.stdout)
        sys.stdout.flush()

    with progress(training, epochs) as (on_batch, show):

        def on_epoch(record: Record) -> None:
            nonlocal saved
            show(record)
            if record["epoch"] in moments:
                say(f"epoch {record['epoch']}")
            if time.monotonic() - saved > SAVED_EVERY:
                write()
                saved = time.monotonic()

        if trainer.epoch == 0:
            say("untrained")
        status = 0
        try:
            training.run(epochs, on_batch, on_epoch)
        except KeyboardInterrupt:
            status = INTERRUPTED
        except BaseException:
            write()  # keep what was learned before the failure
            raise
    write(resumable=status != 0 or not slim)
    if status:
        command = f"{training.program} train --resume {shlex.quote(str(files.model))} --epochs {epochs}"
        click.echo(f"Interrupted after {trainer.epoch} epochs; go on with: {command}", err=True)
    if trainer.history:
        say("at the end")
    return status
