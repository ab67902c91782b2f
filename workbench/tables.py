"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log


def table(widths: Sequence[int], rows: Iterable[Sequence[object]]) -> str:
    """Lay out rows in columns: the first is aligned to the left, the others to the right.

    Parameters
    ----------
    widths : width of each column, in characters
    rows : rows of printable cells; a row may have fewer cells than there are columns

    Returns
    -------
    str, one line per row
    """
    formats = [f"{'>' if i else '<'}{width}" for i, width in enumerate(widths)]
    return "\n".join("".join(map(format, map(str, row), formats)).rstrip() for row in rows)


def loss_table(losses: Mapping[str, float], per: str) -> str:
    """Make a table of losses in nats and bits.

    Parameters
    ----------
    losses : nats by name
    per : str, the item to which the losses refer, such as "character"

    Returns
    -------
    str, one line per loss below a heading
    """
    rows = ((name, f"{loss:.3f}", f"{loss / log(2):.3f}") for name, loss in losses.items())
    return table((28, 8, 8), [(f"a {per}", "nats", "bits"), *rows])
