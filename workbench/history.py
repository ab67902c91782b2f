"""The history of a training: one JSON object per line, and a picture of the curves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpyrnn.files import atomic_write

Record = dict[str, Any]
REGULARISED = "training, regularised"


def write_history(path: str | Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records as JSONL, the whole file at once.

    Parameters
    ----------
    path : file
    records : mappings that JSON can hold

    Raises
    ------
    NumpyrnnError
        if the file cannot be written
    """
    with atomic_write(path) as file:
        for record in records:
            file.write((json.dumps(record) + "\n").encode())


def plot_history(
    records: Sequence[Record], path: str | Path, title: str, levels: Any, unit: str, label: str = REGULARISED
) -> None:
    """Draw the training and held-out loss of every epoch as a PNG.

    Parameters
    ----------
    records : with "epoch", "loss" and, if there was a held-out part, "valid_loss"
    path : file
    title : str
    levels : dict of losses by name, drawn as dotted lines, such as that of an n-gram
    unit : str, the unit of the losses
    label : str, default "training, regularised", the name of the training loss in the legend

    Raises
    ------
    NumpyrnnError
        if the file cannot be written
    """
    epochs = [record["epoch"] for record in records]
    marker = "o" if len(records) < 3 else None
    with curves(path, title, unit, levels) as axes:
        axes.plot(epochs, [record["loss"] for record in records], label=label, marker=marker)
        held_out = [(r["epoch"], r["valid_loss"]) for r in records if r.get("valid_loss") is not None]
        if held_out:
            axes.plot(*zip(*held_out, strict=True), label="held out", marker=marker)
            epoch, loss = min(held_out, key=lambda point: point[1])
            axes.plot(epoch, loss, "o", color="black", markersize=4)
            axes.annotate(f"{loss:.3f}", (epoch, loss), textcoords="offset points", xytext=(0, 8), ha="center")


@contextmanager
def curves(path: str | Path, title: str, unit: str, levels: Mapping[str, float]) -> Iterator[Any]:
    """Axes for losses by epoch; the picture is written as a PNG unless the block raises.

    Parameters
    ----------
    path : file
    title, unit : str
    levels : losses by name, drawn as dotted lines

    Yields
    ------
    matplotlib Axes

    Raises
    ------
    NumpyrnnError
        if the file cannot be written
    """
    from matplotlib.figure import Figure  # not at import: it takes half a second
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    yield axes
    for name, level in levels.items():
        axes.axhline(level, linestyle=":", color="gray", label=f"{name}: {level:.3f}")
    axes.set(title=title, xlabel="epoch", ylabel=unit)
    first, last = axes.dataLim.intervalx
    if first == last:  # a single epoch: no marks between 0.945 and 1.055
        axes.set_xlim(first - 0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right")
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=150)
