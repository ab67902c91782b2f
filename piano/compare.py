"""Several networks on the same split: trained one after the other, a table of what they reach, and their curves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from numpyrnn.batches import Batch
from workbench.history import curves
from workbench.training import best_epoch

from .batches import accuracy
from .model import PianoTraining

HEADER = f"{'':34}{'parameters':>12}{'epochs':>8}{'s/epoch':>9}{'best at':>9}{'nats a token':>14}{'accuracy':>10}"


@dataclass(frozen=True)
class Row:
    """What a network reached.

    Attributes
    ----------
    model : str
    parameters : int
    best_epoch : int
    loss, accuracy : float, held out, of that epoch
    history : list of dict, one an epoch, as `Trainer` has it
    interrupted : bool
    """

    model: str
    parameters: int
    best_epoch: int
    loss: float
    accuracy: float
    history: list[dict[str, Any]]
    interrupted: bool

    @property
    def seconds(self) -> float:
        """Of an epoch, on average."""
        return fmean(record["seconds"] for record in self.history)

    def __str__(self) -> str:
        numbers = f"{self.parameters:,}", f"{len(self.history)}", f"{self.seconds:.1f}", f"{self.best_epoch}"
        return line(self.model, self.loss, self.accuracy, *numbers) + "  (interrupted)" * self.interrupted


def line(name: str, loss: float, right: float, *numbers: str) -> str:
    """A line of the table; an n-gram has a loss and an accuracy only."""
    parameters, epochs, seconds, best = numbers or [""] * 4
    return f"{name:34}{parameters:>12}{epochs:>8}{seconds:>9}{best:>9}{loss:14.3f}{right:10.1%}"


def compared(trainings: Iterable[PianoTraining], epochs: int | None = None) -> Iterator[Row]:
    """Train one after the other, with a progress bar; an interruption ends it with what there is.

    Parameters
    ----------
    trainings : iterable of PianoTraining
    epochs : int, optional, at most, of each; default: as each has them

    Yields
    ------
    Row, of each that has come to the end of an epoch
    """
    from tqdm import tqdm

    for training in trainings:
        trainer, interrupted = training.trainer, False
        n, most = training.n_windows, epochs or training.settings.epochs
        unit = "window" if n else "epoch"
        with tqdm(total=(n or 1) * most, desc=training.settings.model, unit=unit, leave=False) as bar:

            def on_batch(batch: Batch, bar: Any = bar, n: int = n) -> None:
                bar.update(batch.x.shape[1] if n else 0)

            def on_epoch(record: dict[str, Any], bar: Any = bar, n: int = n) -> None:
                bar.update(0 if n else 1)
                bar.set_postfix_str(f"loss {record['loss']:.3f}, held out {record['valid_loss']:.3f}")

            try:
                training.run(most, on_batch, on_epoch)
            except KeyboardInterrupt:
                interrupted = True
        if trainer.history:
            trainer.use_best()
            right = accuracy(training.model, training.material.held_out_batches())
            reached = best_epoch(trainer), trainer.best_loss, right, list(trainer.history)
            yield Row(training.settings.model, training.model.params.flat.size, *reached, interrupted)
        if interrupted:
            return


def records_of(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """All epochs of all networks, each with the network's name."""
    return ({"model": row.model, **record} for row in rows for record in row.history)


def plot_rows(rows: Sequence[Row], path: str | Path, title: str, levels: Mapping[str, float]) -> None:
    """Draw the held-out losses of all networks as a PNG.

    Parameters
    ----------
    rows : list of Row
    path : file
    title : str
    levels : name to loss, drawn as dotted lines

    Raises
    ------
    NumpyrnnError
        if the file cannot be written
    """
    highest = max(max(row.history[0]["valid_loss"] for row in rows), *levels.values())
    with curves(path, title, "held out, nats a token", levels) as axes:
        for row in rows:
            points = [(record["epoch"], record["valid_loss"]) for record in row.history]
            (line,) = axes.plot(*zip(*points, strict=True), label=f"{row.model}: {row.loss:.3f}")
            axes.plot(row.best_epoch, row.loss, "o", color=line.get_color(), markersize=4)
        axes.set_ylim(None, highest + 0.1)
