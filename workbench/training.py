"""A training as a program runs it: progress, files, interruption, and what it says at the end."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import click
from click.core import ParameterSource

from numpyrnn.batches import Batch
from numpyrnn.checkpoint import Checkpoint, save
from numpyrnn.checks import NumpyrnnError
from numpyrnn.cli import INTERRUPTED
from numpyrnn.train import Record, Trainer

from .history import write_history
from .options import check_not_read, check_out

GIVEN = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
SAVED_EVERY = 10  # seconds


class Training(Protocol):
    """What a program's training must have."""

    trainer: Trainer

    def run(
        self, epochs: int, on_batch: Callable[[Batch], None] | None, on_epoch: Callable[[Record], None] | None
    ) -> list[Record]:
        """Train up to `epochs` in all."""

    def checkpoint(self, resumable: bool = True) -> Checkpoint:
        """What to save."""


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
    """The files to come, each checked to be writable; only --force or the training itself may replace one.

    Parameters
    ----------
    out : the model file; the others stand beside it
    plot : the picture, if it shall be elsewhere
    resume : the model file that is gone on with
    force : whether files that are there may be replaced
    inputs : what is learned from, never to be replaced; None does not count

    Returns
    -------
    Outputs

    Raises
    ------
    NumpyrnnError
        if one cannot be written, is there already, or two are the same
    """
    own = [out, out.with_suffix(".jsonl"), out.with_suffix(".png")] if out == resume and out.name else []
    check_out(out, force or out in own)
    files = Outputs(out, out.with_suffix(".jsonl"), plot or out.with_suffix(".png"))
    for path in (files.history, files.plot):
        check_out(path, force or path in own)
    if len({path.resolve() for path in (files.model, files.history, files.plot)}) < 3:
        found = f"{files.model}, {files.history} and {files.plot}"
        raise NumpyrnnError(f"model, history and picture must be three files, got {found}")
    check_not_read((files.model, files.history, files.plot), inputs)
    return files


def check_resumed(settings: Sequence[str]) -> None:
    """Raise if the user gave one of the options (of the running command) that a resumed training keeps as they were."""
    source = click.get_current_context().get_parameter_source
    fixed = [name for name in settings if source(name) in GIVEN]
    if fixed:
        words = ", ".join(dict.fromkeys(f"--{name.removeprefix('plain_').replace('_', '-')}" for name in fixed))
        raise click.UsageError(f"a resumed training keeps its settings, got {words}")


def check_unfinished(training: Training, epochs: int, why: str) -> None:
    """Raise if there is nothing to go on with."""
    if training.trainer.finished or training.trainer.epoch >= epochs:
        raise NumpyrnnError(f"there is nothing to go on with: {why} (--epochs is {epochs})")


def learn(
    training: Training,
    epochs: int,
    files: Outputs,
    program: str,
    show: Callable[[str], str],
    *,
    slim: bool = False,
    unit: str = "epoch",
    items: int = 1,
    count: Callable[[Batch], int] | None = None,
    places: int = 1,
) -> int:
    """Train with a progress bar; save at the end, on Ctrl-C, and every ten seconds.

    Parameters
    ----------
    training : Training
    epochs : int, in all
    files : Outputs
    program : its name, for the line that says how to go on
    show : gives what is printed now and then ("untrained", "epoch 10", "at the end"), one line
    slim : bool, default False; leave out of the finished model what only --resume needs
    unit : str, default "epoch", what the bar counts
    items : int, default 1, how many of them an epoch has
    count : function of a batch, gives how many of them it has; default: one an epoch
    places : int, default 1, predictions that make one unit of the losses shown (a value in three parts has three)

    Returns
    -------
    int, the exit status
    """
    from tqdm import tqdm

    trainer, status, saved = training.trainer, 0, time.monotonic()
    moments = {1, epochs // 4, epochs // 2, 3 * epochs // 4}

    def write(finished: bool = False) -> None:
        save(files.model, training.checkpoint(resumable=not (slim and finished)))
        write_history(files.history, scaled(trainer.history, places))

    def say(when: str) -> None:
        try:
            words = show(when)
        except NumpyrnnError as error:  # what is only shown must not end a training
            words = f"({error})"
        tqdm.write(f"{when:12} {words}", file=sys.stdout)
        sys.stdout.flush()

    with tqdm(
        total=items * epochs, initial=items * trainer.epoch, unit=unit, unit_scale=items > 1, file=sys.stderr
    ) as bar:

        def on_batch(batch: Batch) -> None:
            if count is not None:
                bar.update(count(batch))

        def on_epoch(record: Record) -> None:
            nonlocal saved
            (shown,) = scaled([record], places)
            losses = f"loss {shown['loss']:.3f}, held out {shown['valid_loss']:.3f}"
            bar.set_postfix_str(f"epoch {record['epoch']}, {losses}")
            if count is None:
                bar.update(items)
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
            write()  # what was learned before it went wrong
            raise
    write(finished=status == 0)
    if status:
        words = f"Interrupted after {trainer.epoch} epochs; go on with:"
        click.echo(f"{words} {program} train --resume {shlex.quote(str(files.model))} --epochs {epochs}", err=True)
    if trainer.history:
        say("at the end")
    return status


def scaled(records: Sequence[Record], places: int) -> list[Record]:
    """Records whose losses are sums over so many predictions."""
    losses = ("loss", "valid_loss")
    return [r | {name: r[name] * places for name in losses if r.get(name) is not None} for r in records]


def best_epoch(trainer: Trainer) -> int:
    """The epoch from which the kept weights are."""
    return next((r["epoch"] for r in trainer.history if r["valid_loss"] == trainer.best_loss), trainer.epoch)


def why_it_ended(trainer: Trainer, status: int = 0, otherwise: str = "it was refused") -> str:
    """From which epoch the model is, and why there are no more.

    Parameters
    ----------
    trainer : Trainer
    status : int, default 0, the exit status
    otherwise : what ended it if neither patience nor the epochs did
    """
    if status:
        why = "interrupted"
    elif trainer.finished and trainer.patience is not None and trainer.stale >= trainer.patience:
        why = f"no better for {trainer.patience} epochs"
    else:
        why = otherwise if trainer.finished else "all epochs done"
    return f"from epoch {best_epoch(trainer)}; ended after {trainer.epoch}: {why}"
