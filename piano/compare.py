"""Compare networks that are trained on the same split: a table of their results, and their curves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from numpyrnn.train import Record
from workbench.history import curves
from workbench.tables import table
from workbench.training import best_epoch

from .training import PianoTraining

WIDTHS = (16, 11, 7, 8, 8, 13, 9)


@dataclass(frozen=True)
class Row:
    """The result of training a network.

    Attributes
    ----------
    model : str
    parameters : int
    best_epoch : int, the epoch with the lowest held-out loss
    loss, accuracy : float, on the held-out part at that epoch
    history : list of dict, one per epoch, see `Trainer`
    interrupted : bool
    """

    model: str
    parameters: int
    best_epoch: int
    loss: float
    accuracy: float
    history: list[Record]
    interrupted: bool

    def __str__(self) -> str:
        seconds = fmean(record["seconds"] for record in self.history)
        numbers = f"{self.parameters:,}", f"{len(self.history)}", f"{seconds:.1f}", f"{self.best_epoch}"
        return line(self.model, self.loss, self.accuracy, *numbers) + "  (interrupted)" * self.interrupted


HEADER = table(WIDTHS, [("", "parameters", "epochs", "s/epoch", "best at", "nats a token", "accuracy")])


def line(name: str, loss: float, right: float, *numbers: str) -> str:
    """A line of the table; an n-gram has only a loss and an accuracy."""
    widths = WIDTHS if numbers else (sum(WIDTHS[:5]), *WIDTHS[5:])
    return table(widths, [(name, *numbers, f"{loss:.3f}", f"{right:.1%}")])


def compared(trainings: Iterable[PianoTraining], epochs: int | None = None) -> Iterator[Row]:
    """Train one network after another, with a progress bar. An interruption ends the comparison.

    Parameters
    ----------
    trainings : iterable of PianoTraining
    epochs : int, optional, the largest number for each; by default from each training's settings

    Yields
    ------
    Row, for each network that was trained for an epoch or more
    """
    for training in trainings:
        trainer, interrupted, most = training.trainer, False, epochs or training.settings.epochs
        with training.progress(most, desc=training.settings.model, leave=False) as (on_batch, on_epoch):
            try:
                training.run(most, on_batch, on_epoch)
            except KeyboardInterrupt:
                interrupted = True
        if trainer.history:
            reached = best_epoch(trainer), trainer.best_loss, training.accuracy(), trainer.history
            yield Row(training.settings.model, training.model.params.flat.size, *reached, interrupted)
        if interrupted:
            return


def records_of(rows: Sequence[Row]) -> Iterator[Record]:
    """The records of all epochs of all networks, each with the network's name."""
    return ({"model": row.model, **record} for row in rows for record in row.history)


def plot_rows(rows: Sequence[Row], path: str | Path, title: str, levels: Mapping[str, float]) -> None:
    """Draw the held-out losses of all networks as a PNG.

    Parameters
    ----------
    rows : list of Row
    path : file
    title : str
    levels : dict from a name to a loss, drawn as dotted lines

    Raises
    ------
    NumpyrnnError
        if the file cannot be written
    """
    highest = max([*(row.history[0]["valid_loss"] for row in rows), *levels.values()])
    with curves(path, title, "held out, nats a token", levels) as axes:
        for row in rows:
            points = [(record["epoch"], record["valid_loss"]) for record in row.history]
            (line,) = axes.plot(*zip(*points, strict=True), label=f"{row.model}: {row.loss:.3f}")
            axes.plot(row.best_epoch, row.loss, "o", color=line.get_color(), markersize=4)
        axes.set_ylim(None, highest + 0.1)
