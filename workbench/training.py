"""How a program trains: settings, progress, output files, interruption, and the closing report."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, NoReturn, Self

import click
import numpy as np
from click.core import ParameterSource
from numpy.random import Generator

from numpyrnn import Checkpoint, NumpyrnnError, Sequential, Trainer, Vocabulary, load, save
from numpyrnn.batches import Batch
from numpyrnn.cli import INTERRUPTED
from numpyrnn.optim import Optimizer
from numpyrnn.train import Record

from .history import plot_history, write_history
from .options import PATH, Decorator, check_not_read, check_out, force_option, seed_option

GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
FREE = ("epochs", "out", "force", "resume", "plot", "slim")  # options that a resumed training may be given
SAVED_EVERY = 10  # seconds
OnBatch = Callable[[Batch], None] | None
OnEpoch = Callable[[Record], None] | None


class Settings:
    """The base of a program's frozen dataclass of settings. Each field needs a default, whose type is checked."""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """The settings with which a checkpoint's model was made.

        Raises
        ------
        NumpyrnnError
            if it has none, or they do not fit
        """
        try:
            found = checkpoint.config["settings"].items()
            settings = cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in found})
            for field in fields(settings):  # type: ignore[arg-type]
                value, kind = getattr(settings, field.name), type(field.default)
                if not isinstance(value, (int, float) if kind is float else kind) and "None" not in str(field.type):
                    raise TypeError(f"{field.name} is {value!r:.40}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise NumpyrnnError(f"the model must hold its settings, it does not ({error})") from error
        return settings


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

    def run(self, epochs: int, on_batch: OnBatch = None, on_epoch: OnEpoch = None) -> list[Record]:
        """Train up to `epochs` epochs in total; see `Trainer.run`."""
        return self.trainer.run(self.batches(), epochs, self.held_out_batches, self.accept, on_batch, on_epoch)

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
        state, training = checkpoint.resumable(), cls.of(checkpoint, *given)
        training.trainer.restore(state)
        return training

    def verdict(self, ngrams: dict[str, float], status: int = 0) -> str:
        """Report the loss, why training ended, and the loss of the best n-gram; `status` is the exit status."""
        loss = f"{self.places * self.trainer.best_loss:.3f} nats a {self.per}"
        return f"Held-out loss {loss}, {self.ending(status)}. The best n-gram: {min(ngrams.values()):.3f}."

    def ending(self, status: int = 0) -> str:
        """Say from which epoch the model is and why training ended; `status` is the exit status."""
        trainer, patience = self.trainer, self.trainer.patience
        stale = patience is not None and trainer.stale >= patience
        stopped = f"no better for {patience} epochs" if stale else self.refusal
        why = "interrupted" if status else stopped if trainer.finished else "all epochs done"
        return f"from epoch {best_epoch(trainer)}; ended after {trainer.epoch}: {why}"

    def shown(self, records: Sequence[Record]) -> list[Record]:
        """Convert the losses of records to nats per item (`per`)."""
        return [r | {k: r[k] * self.places for k in ("loss", "valid_loss") if r.get(k) is not None} for r in records]


def best_epoch(trainer: Trainer) -> int:
    """The epoch whose weights are kept."""
    return next((r["epoch"] for r in trainer.history if r["valid_loss"] == trainer.best_loss), trainer.epoch)


def training_options(out: str, epochs: int | None = None) -> Decorator:
    """The options of every training: `--epochs --seed -o/--out --force --resume --plot --slim`.

    The command is given a `TrainingRun` as `run` in their place. The output files are checked first: none may replace
    the command's `data`.

    Parameters
    ----------
    out : the default model file
    epochs : int, optional, the default of `--epochs`; if None, that of the settings
    """
    words = f"Epochs in total, at most  [default: {epochs or 'depends on the network'}]"

    def with_run(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--epochs", type=click.IntRange(1), default=epochs, help=words)
        @seed_option
        @click.option("-o", "--out", type=PATH, help=f"Model file  [default: {out} or the resumed one]")
        @force_option
        @click.option("--resume", type=PATH, help="Resume the training of this model file.")
        @click.option("--plot", type=PATH, help="PNG of the curves  [default: beside the model]")
        @click.option("--slim", is_flag=True, help="Save a smaller model file, which cannot be resumed.")
        @wraps(command)
        def of_run(epochs: int | None, seed: int | None, resume: Path | None, slim: bool, **given: Any) -> Any:
            data, model = given.get("data"), given.pop("out") or resume or Path(out)
            inputs = data if isinstance(data, list) else [data]
            files = outputs(model, given.pop("plot"), resume, given.pop("force"), inputs)
            return command(run=TrainingRun(files, epochs, seed, resume, slim), **given)

        return of_run

    return with_run


class Outputs(NamedTuple):
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
    out : the model file; the others are written beside it
    plot : the picture, if it goes elsewhere
    resume : the model file that is resumed
    force : whether existing files may be replaced
    inputs : the training data, which is never replaced; None does not count

    Returns
    -------
    Outputs

    Raises
    ------
    NumpyrnnError
        if one cannot be written or exists, or two are the same
    """
    check_out(out, force or out == resume)
    files = Outputs(out, out.with_suffix(".jsonl"), plot or out.with_suffix(".png"))
    own = [files.history, out.with_suffix(".png")] if out == resume else []
    for path in files[1:]:
        check_out(path, force or path in own)
    if len({path.resolve() for path in files}) < 3:
        raise NumpyrnnError("model, history and picture must be three files, got {}, {} and {}".format(*files))
    check_not_read(files, inputs)
    return files


class TrainingRun(NamedTuple):
    """What the user asked for; `training_options` makes it.

    Attributes
    ----------
    files : Outputs
    epochs : int, the total number; None: that of the settings
    seed, resume, slim : the options of these names
    """

    files: Outputs
    epochs: int | None
    seed: int | None
    resume: Path | None
    slim: bool

    def resumed(self, kind: str, *allowed: str) -> Checkpoint | None:
        """Load the checkpoint to resume, or return None if there is none.

        Parameters
        ----------
        kind : the kind of the model file, such as "dinos"
        *allowed : other parameters that may be given, such as "data" and "plain_data"

        Raises
        ------
        click.UsageError
            if the user gave another option or data
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
        """Train, report the result, draw the curves, and exit."""
        trainer, epochs = training.trainer, self.epochs or training.settings.epochs
        if trainer.finished or trainer.epoch >= epochs:
            done = f"the model is {training.ending()} (--epochs is {epochs})"
            raise NumpyrnnError(f"there is nothing left to train: {done}")
        click.echo(training.describe())
        status, ngrams = self.train(training, epochs), training.ngrams()
        if trainer.history:
            click.echo(training.verdict(ngrams, status))
        unit, records = f"nats a {training.per}", training.shown(trainer.history)
        plot_history(records, self.files.plot, training.title, ngrams, unit)
        click.echo(self.files)
        sys.exit(status)

    def train(self, training: Training, epochs: int) -> int:
        """Train with a progress bar; save at the end, on Ctrl-C, and every ten seconds.

        Parameters
        ----------
        training : Training
        epochs : int, in total

        Returns
        -------
        int, the exit status
        """
        from tqdm import tqdm

        trainer, saved, status = training.trainer, time.monotonic(), 0
        moments = {1, epochs // 4, epochs // 2, 3 * epochs // 4}

        def write(resumable: bool = True) -> None:
            save(self.files.model, training.checkpoint(resumable))
            write_history(self.files.history, training.shown(trainer.history))

        def say(when: str) -> None:
            try:
                words = training.sample(training.checkpoint(resumable=False), trainer.epoch)
            except NumpyrnnError as error:  # a sample that fails must not end a training
                words = f"({error})"
            tqdm.write(f"{when:12} {words}", file=sys.stdout)
            sys.stdout.flush()

        with training.progress(epochs) as (on_batch, show):

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
            try:
                training.run(epochs, on_batch, on_epoch)
            except KeyboardInterrupt:
                status = INTERRUPTED
            except BaseException:
                write()  # keep what was learned before the failure
                raise
        write(resumable=status != 0 or not self.slim)
        if status:
            command = f"{training.program} train --resume {shlex.quote(str(self.files.model))} --epochs {epochs}"
            click.echo(f"Interrupted after {trainer.epoch} epochs; resume with: {command}", err=True)
        if trainer.history:
            say("at the end")
        return status
