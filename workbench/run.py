"""The command `train` of every program: its options, output files, interruption, and closing report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import wraps
from importlib import import_module
from math import inf
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import click
from click.core import ParameterSource

from numpyrnn import Checkpoint, NumpyrnnError, load, save
from numpyrnn.batches import Batch
from numpyrnn.cli import Choice
from numpyrnn.files import check_plain_file, real
from numpyrnn.measure import loss_of
from numpyrnn.ranks import started
from numpyrnn.signals import handled, held, interrupt, status_of
from numpyrnn.train import Record

from .files import data_path, load_model
from .history import plot_history, write_history
from .options import (
    COUNT,
    NAME,
    PATH,
    Decorator,
    check_not_read,
    check_out,
    check_picture,
    force_option,
    output_path,
    seed_option,
    shown_path,
)
from .terminal import counted, quoted, say, what_next, working
from .training import Training

GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
FREE = ("epochs", "out", "force", "resume", "plot", "slim", "on_nan")  # options that a resumed training may be given
SHIPPED = "shipped"
START = f"Start from the weights of a model file, or from the {SHIPPED} model; keeps its settings, learns its data too."
ON_NAN = ["stop", "rollback"]
NAN = "On NaN or infinity: stop, or go back to the last good epoch and halve the learning rate."
LATE = (
    "scipy.linalg",
    "scipy.sparse",
    "threadpoolctl",
    "tqdm",
)  # the start does without them
SAVED_EVERY = 60  # seconds, within an epoch


def training_options(out: str, epochs: int | None = None) -> Decorator:
    """The options of every training: `--epochs --seed -o/--out --force --resume --plot --slim --on-nan`.

    The command is given a `TrainingRun` as `run` in their place. The output files are checked first: none may replace
    the command's `data`.

    Parameters
    ----------
    out : the default model file
    epochs : int, optional, the default of `--epochs`; if None, that of the settings
    """
    words = f"Epochs in total, at most  [default: {epochs or 'depends on the network'}]"

    def with_run(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--epochs", type=COUNT, default=epochs, help=words)
        @seed_option
        @click.option("-o", "--out", type=NAME, help=f"Model file, or FOLDER/  [default: {out} or the resumed one]")
        @force_option
        @click.option("--resume", type=PATH, help="Resume the training of this model file.")
        @click.option("--start", type=NAME, metavar="MODEL", help=START)
        @click.option("--plot", type=NAME, help="PNG of the curves, or FOLDER/  [default: beside the model]")
        @click.option("--slim", is_flag=True, help="Save a smaller model file, which cannot be resumed.")
        @click.option("--on-nan", type=Choice(ON_NAN), default=ON_NAN[0], show_default=True, help=NAN)
        @wraps(command)
        def of_run(epochs: int | None, seed: int | None, resume: Path | None, slim: bool, **given: Any) -> Any:
            kind = click.get_current_context().obj or TrainingRun
            data, model = given.get("data"), output_path(given.pop("out"), resume or Path(out))
            start = given.pop("start")
            start = start and start_path(start, Path(out).stem)
            inputs = [*(data if isinstance(data, list) else [data]), start]
            plot = given.pop("plot")
            plot = None if plot is None else output_path(plot, Path(f"{model.stem}.png"))
            swept, force = kind is not TrainingRun, given.pop("force")
            files = Outputs(*[model] * 3) if swept else outputs(model, plot, resume, force, inputs)
            run = kind(files, epochs, seed, resume, slim, given.pop("on_nan"), start)
            return command(run=run, **given)

        return of_run

    return with_run


def start_path(start: str, program: str) -> Path:
    """The model file from which a training starts; raise if there is no such file."""
    if start.lower() == SHIPPED:
        return data_path(f"models/{program}.npz")
    if not Path(start).exists():
        raise NumpyrnnError(f"--start must be {SHIPPED!r} or a model file, there is no file {start!r:.80}")
    return Path(start)


class Outputs(NamedTuple):
    """The files that a training writes: model, history (JSONL) and picture of the curves (PNG)."""

    model: Path
    history: Path
    plot: Path

    def __str__(self) -> str:
        return "Model {}, history {}, curves {}.".format(*map(shown_path, self))


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
    check_plain_file(out)
    files = Outputs(out, out.with_suffix(".jsonl"), plot or out.with_suffix(".png"))
    if len({real(path) for path in files}) < 3:
        raise NumpyrnnError("model, history and picture must be three files, got {}, {} and {}".format(*files))
    models = (resume, real(resume)) if resume is not None and real(out) == real(resume) else ()
    own = {real(model.with_suffix(ending)) for model in models for ending in (model.suffix, ".jsonl", ".png")}
    for path in files:
        check_out(path, force or real(path) in own)
    check_not_read(files, inputs)
    check_picture(files.plot)
    return files


class Saver:
    """Saves a training while it runs, and reports on it.

    Parameters
    ----------
    training : Training
    files : Outputs

    Attributes
    ----------
    saved : float, seconds of `time.monotonic` when it was last saved
    """

    def __init__(self, training: Training, files: Outputs):
        self.training, self.files, self.saved = training, files, time.monotonic()
        self.checkpoint = training.checkpoint(resumable=False)  # filled anew for each save: that needs no more memory

    def write(self, resumable: bool = True) -> None:
        """Write the model, with the state of the training if `resumable`, and the history."""
        trainer = self.training.trainer
        if trainer.epoch and trainer.best_loss == inf:
            return  # the first epoch diverged
        kept = trainer.kept or trainer.state()
        self.checkpoint.model.params.flat[...] = kept["best"]
        self.checkpoint.training = kept if resumable else None
        save(self.files.model, self.checkpoint)
        write_history(self.files.history, self.training.shown(trainer.history))
        self.saved = time.monotonic()

    def say(self, when: str) -> None:
        """Print a sample."""
        epoch = self.training.trainer.epoch
        try:
            with nullcontext() if epoch else working("Writing a sample", count=True):  # later, there is a bar
                words = self.training.sample(self.training.checkpoint(resumable=False), epoch)
        except (MemoryError, NumpyrnnError) as error:  # a sample that fails must not end a training
            words = f"({error})"
        say(f"{when:12} {words}")

    def on_rollback(self, error: NumpyrnnError) -> None:
        """Report that the training went back."""
        from tqdm import tqdm

        trainer = self.training.trainer
        words = f"Back to the end of epoch {trainer.epoch}, with {trainer.rate:g} of the learning rate"
        tqdm.write(f"{words}: {error}", file=sys.stderr)


def _only(what: str, *allowed: str) -> None:
    """Raise if the user gave other parameters than those that are `FREE` or allowed."""
    context = click.get_current_context()
    fixed = [option.name or "" for option in context.command.params if option.name not in (*FREE, *allowed)]
    if given := [name for name in fixed if context.get_parameter_source(name) in GIVEN]:
        words = ", ".join(dict.fromkeys(f"--{name.removeprefix('plain_').replace('_', '-')}" for name in given))
        raise click.UsageError(f"{what} keeps its settings, got {words}")


class TrainingRun(NamedTuple):
    """What the user asked for; `training_options` makes it.

    Attributes
    ----------
    files : Outputs
    epochs : int, the total number; None: that of the settings
    seed, resume, slim, on_nan, start : the options of these names
    """

    files: Outputs
    epochs: int | None
    seed: int | None
    resume: Path | None
    slim: bool
    on_nan: str = "stop"
    start: Path | None = None

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
        _only("a resumed training", *allowed)
        return load(self.resume, kind)

    def started(self, kind: str, *allowed: str) -> Checkpoint | None:
        """Load the model from which a new training starts, or return None if there is none.

        Parameters
        ----------
        kind : the kind of the model file, such as "dinos"
        *allowed : parameters besides the data and the seed that may be given: those that choose the data

        Raises
        ------
        click.UsageError
            if the user gave no data, or a setting of the network
        NumpyrnnError
            if the model cannot be read, or does not hold what its program needs
        """
        if self.start is None:
            return None
        _only("a training that starts from a model", "start", "seed", "data", "plain_data", *allowed)
        given = click.get_current_context().params
        if not given.get("data") and not given.get("plain_data"):
            raise click.UsageError("a training that starts from a model needs data to learn")
        return load_model(self.start, kind)

    def learn(self, training: Training) -> NoReturn:
        """Train, report the result, draw the curves, and exit."""
        trainer, epochs = training.trainer, self.epochs or training.settings.epochs
        if trainer.finished or trainer.epoch >= epochs:
            done = f"the model is {training.ending()} (--epochs is {epochs})"
            raise NumpyrnnError(f"there is nothing left to train: {done}")
        if self.resume is not None:
            batches = counted(trainer.place["batch"], "batch") if trainer.place else ""
            inside = f" in epoch {trainer.epoch + 1}, after {batches}" if batches else ""
            click.echo(f"Resuming{inside or f' after epoch {trainer.epoch}'}.")
        say(training.describe())
        if started() > 1:
            words = f"{started()} ranks share each batch. If one dies, mpiexec ends all; resume then with"
            say(f"{words}: {training.program} train --resume {quoted(self.files.model)}")
        status, ngrams = self.train(training, epochs), dict[str, float]()
        given = click.get_current_context().get_parameter_source("epochs") in GIVEN
        cut = status > 128 or (given and not trainer.finished)
        with held():
            try:
                with handled(interrupt):
                    if not cut:
                        with working("Measuring the n-grams"):
                            ngrams = training.ngrams()
                    if trainer.history:
                        say(training.verdict(ngrams, status))
            except KeyboardInterrupt as error:
                status = status_of(error)
            if training.memory:
                least, most = (f"{choose(training.memory) / 1e6:,.0f}" for choose in (min, max))
                say(f"Memory of each rank: {least} to {most} MB.")
            unit, records = f"nats a {training.per}", training.shown(trainer.history)
            if records:
                plot_history(records, self.files.plot, training.title, ngrams, unit)
            say(str(self.files) if records else f"Model {shown_path(self.files.model)}.")
        model = quoted(self.files.model)
        more = f"{training.program} train --resume {model} --epochs {epochs if status else 2 * epochs}"
        what_next(
            *[more] * bool(cut and (status or not self.slim)), *(f"{words} --model {model}" for words in training.uses)
        )
        sys.exit(status)

    def train(self, training: Training, epochs: int) -> int:
        """Train with a progress bar; save after each epoch, every minute within one, and at the end.

        Parameters
        ----------
        training : Training
        epochs : int, in total

        Returns
        -------
        int, the exit status: 0, 128 + n after the signal n, or 1 if training diverged

        Raises
        ------
        NumpyrnnError
            if training diverged in its first epoch, so that there is no model to keep
        """
        for name in LATE:  # a signal would break an import within the training
            import_module(name)
        trainer, saver, status = training.trainer, Saver(training, self.files), 0
        trainer.on_nan, moments = self.on_nan, {1, epochs // 4, epochs // 2, 3 * epochs // 4}
        if trainer.epoch == 0:
            saver.say("untrained" if self.start is None else "at the start")
        say(training.heading(epochs))
        before, begun = trainer.epoch, time.monotonic()
        with held():  # so that a second signal does not break the saving after the first
            with training.progress(epochs) as (show_batch, show):

                def on_batch(batch: Batch) -> None:
                    show_batch(batch)
                    if time.monotonic() - saver.saved > SAVED_EVERY:
                        trainer.keep()
                        saver.write()

                def on_epoch(record: Record) -> None:
                    show(record)
                    epoch, passed = record["epoch"], time.monotonic() - begun
                    say(training.epoch_line(record, epochs, passed / (epoch - before) * (epochs - epoch)))
                    saver.write()
                    if epoch in moments:
                        saver.say(f"epoch {epoch}")

                try:
                    with handled(interrupt):
                        training.run(epochs, on_batch, on_epoch, saver.on_rollback)
                except KeyboardInterrupt as error:
                    status = status_of(error)
                except BaseException:
                    if trainer.step:
                        saver.write()  # keep what was learned before the failure
                    raise
            saver.write(resumable=status != 0 or not self.slim)
            if status:
                say(f"Interrupted after {counted(trainer.epoch, 'epoch')}.")
        if trainer.diverged and trainer.best_loss == inf:
            loss = f"its loss is {training.places * loss_of(trainer.history[0]):.3g} nats a {training.per}"
            raise NumpyrnnError(
                f"training diverged in the first epoch, {loss}: no model is kept, lower the learning rate"
            )
        if trainer.history:
            saver.say("at the end")
        return status or int(trainer.diverged)
