"""What the notebooks share: the style of their pictures, and the marking of exercises."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from itertools import cycle
from typing import Any

from matplotlib import rcParams
from matplotlib.figure import Figure

from numpyrnn.plots import COLOURS, STYLES

rcParams["savefig.dpi"] = 80


def _png(figure: Figure) -> bytes:
    """The bytes of a picture, without the version of matplotlib."""
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


Figure._repr_png_ = _png  # a notebook shows a figure that is the last expression of a cell


def curves(
    title: str,
    x: Any,
    lines: dict[str, Any],
    xlabel: str,
    ylabel: str,
    log: str = "",
    size: tuple[float, float] = (7.0, 4.0),
) -> Figure:
    """Draw one curve for each entry of `lines`, in colours that colour-blind people can tell apart.

    Parameters
    ----------
    title, xlabel, ylabel : str; the labels name the units
    x : sequence of numbers; None counts from 0
    lines : dict from a label to a sequence of numbers
    log : "y" or "xy" for logarithmic axes
    size : width and height in inches

    Returns
    -------
    matplotlib Figure
    """
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    for (label, y), colour, style in zip(lines.items(), cycle(COLOURS), cycle(STYLES)):
        axes.plot(range(len(y)) if x is None else x, y, label=label, linewidth=2, color=colour, linestyle=style)
    axes.set(
        title=title,
        xlabel=xlabel,
        ylabel=ylabel,
        xscale="log" if "x" in log else "linear",
        yscale="log" if "y" in log else "linear",
    )
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend()
    return figure


def bars(title: str, lengths: dict[str, float], xlabel: str) -> Figure:
    """Draw a bar for each entry of `lengths`, the first on top; `xlabel` names the unit."""
    figure = Figure(figsize=(7.0, 1.2 + 0.35 * len(lengths)), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(list(lengths), list(lengths.values()), color=COLOURS[0])
    axes.bar_label(drawn, fmt="%.0f", padding=3)
    axes.set(title=title, xlabel=xlabel)
    axes.invert_yaxis()
    return figure


def mark(exercise: str, answer: Any, right: Callable[[Any], Any]) -> None:
    """Print whether an answer is right.

    Parameters
    ----------
    exercise : str, its number
    answer : the reader's answer: a number, a function ...; None, or a function that is not implemented, is no answer
    right : function of the answer that returns whether it is right, or a report of `check_gradients`
    """
    verdict = "no answer yet"
    if answer is not None:
        try:
            found = right(answer)
            verdict = "right" if getattr(found, "ok", found) else "not right yet"
            if hasattr(found, "ok") and not found.ok:
                print(found)
        except NotImplementedError:
            pass
        except Exception as error:  # of any kind, in the reader's code
            verdict = f"{type(error).__name__}: {error}"
    print(f"Exercise {exercise}: {verdict}.")


class Picture:
    """A PNG that a notebook shows.

    Parameters
    ----------
    png : bytes
    """

    def __init__(self, png: bytes):
        self.png = png

    def __repr__(self) -> str:
        return "Picture"

    def _repr_png_(self) -> bytes:
        return self.png
