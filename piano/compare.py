"""Several networks on the same split: trained one after the other, a table of what they reach, and their curves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from numpyrnn.files import atomic_write
from numpyrnn.learn import best_epoch

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
        with tqdm(total=epochs or training.settings.epochs, desc=training.settings.model, leave=False) as bar:

            def on_epoch(record: dict[str, Any], bar: Any = bar) -> None:
                bar.update()
                bar.set_postfix_str(f"loss {record['loss']:.3f}, held out {record['valid_loss']:.3f}")

            try:
                training.run(epochs or training.settings.epochs, on_epoch=on_epoch)
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
    from matplotlib.figure import Figure  # late: half a second
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for row in rows:
        points = [(record["epoch"], record["valid_loss"]) for record in row.history]
        (line,) = axes.plot(*zip(*points, strict=True), label=f"{row.model}: {row.loss:.3f}")
        axes.plot(row.best_epoch, row.loss, "o", color=line.get_color(), markersize=4)
    for name, level in levels.items():
        axes.axhline(level, linestyle=":", color="gray", label=f"{name}: {level:.3f}")
    highest = max(max(row.history[0]["valid_loss"] for row in rows), *levels.values())
    axes.set(title=title, xlabel="epoch", ylabel="held out, nats a token", ylim=(None, highest + 0.1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=150)
