"""Pictures of what `numpyrnn.inspect` finds. Each function returns a matplotlib Figure: `figure.savefig("gates.png")`.

Colours are those of Okabe and Ito and of the maps cividis and PuOr, which colour-blind people can tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import Array, NumpyrnnError, check_count, check_range, check_shape, shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B09F00", "#555555")
STYLES = ("-", "--", "-.", ":")
NAMES = {"o": "output gate", "i": "input gate", "f": "forget gate", "r": "reset gate", "z": "update gate"}
NAMES |= {"g": "candidate", "n": "candidate", "h": "hidden state", "c": "cell state"}
OPEN = "oifrz"  # gates, from 0 to 1; all others have both signs
MOST_TOKENS, MOST_NUMBERS = 45, 10  # along an axis


def plot_gates(
    gates: Sequence[Mapping[str, Array]], tokens: Sequence[str] | None = None, title: str = "Gates", units: int = 40
) -> Figure:
    """Draw the gates and states of `inspect.gates` as maps: steps from left to right, one row for each unit.

    The units stand in the same order in all maps of a layer: by the step at which |h| is largest. The
    colours of candidates and states end at a size that one value in fifty exceeds.

    Parameters
    ----------
    gates : result of `inspect.gates`
    tokens : the T tokens that were read, default their numbers
    title : str
    units : int, default 40, units of each layer that are drawn: those whose h varies most

    Returns
    -------
    matplotlib Figure, with up to three maps in a row

    Raises
    ------
    NumpyrnnError
        if there is nothing to draw, or `tokens` does not fit
    """
    check_range("the number of layers to draw", len(gates), 1)
    T, panels = len(gates[0]["h"]), [(i, name) for i, one in enumerate(gates) for name in one]
    rows, columns = -(-len(panels) // 3), min(3, len(panels))
    figure = _figure((0.7 + columns * (1.0 + min(max(T, 12), MOST_TOKENS) * 0.14), 0.6 + 2.6 * rows), title)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.remove()
    for axes, (i, name) in zip(grid, panels):
        h, values = gates[i]["h"], gates[i][name]
        order = np.argsort(-h.std(axis=0), kind="stable")[: check_count("units", units)]
        order = order[np.argsort(np.abs(h[:, order]).argmax(axis=0), kind="stable")]
        most = 1 if name in OPEN else float(np.quantile(np.abs(values), 0.98)) or 1.0
        limits = {"vmin": 0 if name in OPEN else -most, "vmax": most, "cmap": "cividis" if name in OPEN else "PuOr"}
        figure.colorbar(axes.imshow(values[:, order].T, aspect="auto", interpolation="none", **limits), ax=axes)
        axes.set_title(f"layer {i + 1}: {NAMES.get(name, '')} {name}", size=10)
        axes.set(yticks=[], ylabel=f"unit ({len(order)} of {h.shape[1]})")
        _tokens(axes, tokens, T)
    return figure


def plot_saliency(found: Any, tokens: Sequence[str] | None = None, title: str = "What a token depends on") -> Figure:
    """Draw the norms of `inspect.saliency` as a map: a row for each token that is predicted.

    A row is scaled so that its largest norm is one.

    Parameters
    ----------
    found : Saliency of any t, or a list of them, for t = 1, 2, 3 ...
    tokens : the tokens of the sequence, default their numbers
    title : str

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    NumpyrnnError
        if there is nothing to draw, or `tokens` does not fit
    """
    norms = [one.norm for one in (found if isinstance(found, list) else [found])]
    check_range("the number of rows to draw", len(norms), 1)
    T = len(norms[-1])
    if [len(norm) for norm in norms] != list(range(T - len(norms) + 1, T + 1)):
        raise NumpyrnnError(f"found must be of t, t + 1, t + 2 and so on, got {[len(norm) for norm in norms]!s:.80}")
    values = np.full((len(norms), T), np.nan)
    for row, norm in zip(values, norms):
        row[: len(norm)] = norm / (norm.max() or 1)
    figure = _figure((min(12.0, max(6.0, 2 + 0.3 * T)), min(10.0, 1.7 + 0.3 * len(norms))), title)
    axes = figure.subplots()
    image = axes.imshow(values, aspect="auto", cmap="cividis", vmin=0, vmax=1, interpolation="none")
    figure.colorbar(image, label="|d log p / d x|,\nlargest = 1")
    axes.set(xlabel="token that was read", ylabel="predicted")
    _tokens(axes, tokens, T)
    _tokens(axes, tokens, len(norms), "y", len(norms[0]))
    return figure


def plot_gradient_norms(norms: Mapping[str, Array], title: str = "What is left of a gradient") -> Figure:
    """Draw the results of `inspect.gradient_norms`, one curve for each array, with a logarithmic axis.

    Parameters
    ----------
    norms : dict from a name, such as "LSTM", to an array of norms by distance
    title : str

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    NumpyrnnError
        if there is nothing to draw
    """
    check_range("the number of curves to draw", len(norms), 1)
    figure = _figure((7.0, 4.2), title)
    axes = figure.subplots()
    for name, values in norms.items():
        check_shape(f"the norms of {name}", values, ("T + 1",))
    for (name, values), colour, style in zip(norms.items(), cycle(COLOURS), cycle(STYLES)):
        axes.semilogy(values, label=name, linewidth=2, color=colour, linestyle=style)
    axes.set(xlabel="distance k in steps", ylabel="spectral norm of d h[T] / d h[T - k]")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def plot_units(answers: Iterable[Any], title: str = "What units answer to") -> Figure:
    """Draw the results of `inspect.top_units` as bars, with the tokens after which each unit is highest.

    Parameters
    ----------
    answers : result of `inspect.top_units`
    title : str

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    NumpyrnnError
        if there is nothing to draw
    """
    answers = list(answers)
    check_range("the number of units to draw", len(answers), 1)
    figure = _figure((8.0, 1.3 + 0.32 * len(answers)), title)
    axes = figure.subplots()
    names = [f"{drawable(shown(a.what, 30))}: layer {a.layer + 1}, unit {a.unit}" for a in answers]
    axes.set_yticks(range(len(answers)), names, parse_math=False)
    for i, answer in enumerate(answers):
        axes.barh(i, answer.correlation, color=COLOURS[answer.correlation < 0])
        axes.text(1.05, i, drawable(readable(*answer.highest)), va="center", parse_math=False)
    axes.text(1.05, -1, "highest after", va="center")
    axes.set(xlim=(-1, 1), ylim=(len(answers) - 0.5, -0.5), xlabel="correlation of h with the class")
    axes.axvline(0, color="#555555", linewidth=0.8)
    return figure


def readable(*tokens: str) -> str:
    """Tokens as they are shown: visible blanks and line ends, no control characters."""
    return "  ".join({" ": "\u2423", "\n": "\u21b5", "\t": "\u21e5"}.get(token) or shown(token, 12) for token in tokens)


def drawable(text: str) -> str:
    """Replace the characters that no font of the picture has, such as Chinese ones, by their codes, such as U+4E2D."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans"))  # matplotlib brings it along
    return "".join(one if known.get_char_index(ord(one)) else f"U+{ord(one):04X}" for one in text)


def _figure(size: tuple[float, float], title: str) -> Figure:
    """An empty figure of a size in inches."""
    from matplotlib.figure import Figure  # not at import: it takes half a second

    figure = Figure(figsize=size, layout="constrained", dpi=100)
    figure.suptitle(drawable(shown(title, 200)), parse_math=False)
    return figure


def _tokens(axes: Any, tokens: Sequence[str] | None, size: int, axis: str = "x", first: int = 0) -> None:
    """Name the steps of an axis, from `first` on, by their tokens or, if there are many, some by their numbers."""
    if tokens is not None and len(tokens) < first + size:
        raise NumpyrnnError(f"tokens must have one for each of {first + size} steps, got {len(tokens)}")
    named = tokens is not None and size <= MOST_TOKENS
    places = range(0, size, 1 if named else -(-size // MOST_NUMBERS))
    names = [drawable(readable(tokens[first + i])) if tokens and named else str(first + i) for i in places]
    getattr(axes, f"set_{axis}ticks")(places, names, parse_math=False, size=9)
    axes.tick_params(axis=axis, length=0, rotation=90 if axis == "x" and max(map(len, names)) > 3 else 0)
