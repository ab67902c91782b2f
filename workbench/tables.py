"""Tables on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log


def table(widths: Sequence[int], rows: Iterable[Sequence[object]]) -> str:
    """Rows in columns: the first is aligned to the left, the others to the right.

    Parameters
    ----------
    widths : of the columns, in characters
    rows : cells that can be printed; a row may have fewer cells than there are columns

    Returns
    -------
    str of lines
    """
    formats = [f"{'>' if i else '<'}{width}" for i, width in enumerate(widths)]
    return "\n".join("".join(map(format, map(str, row), formats)).rstrip() for row in rows)


def loss_table(losses: Mapping[str, float], per: str) -> str:
    """Losses in nats and bits, one a line.

    Parameters
    ----------
    losses : nats by name
    per : what a loss is counted for, such as "character"
    """
    rows = ((name, f"{loss:.3f}", f"{loss / log(2):.3f}") for name, loss in losses.items())
    return table((28, 8, 8), [(f"a {per}", "nats", "bits"), *rows])
