"""The compiled back end: NUMPYRNN_BACKEND in the environment is "plain" (the default) or "fast", which needs Numba."""

from __future__ import annotations

import os
from functools import cache

from ..cells import Cell
from ..checks import NumpyrnnError


@cache
def chosen() -> bool:
    """Whether the environment chooses the compiled back end; it is read at the first call.

    Raises
    ------
    NumpyrnnError
        if NUMPYRNN_BACKEND has another value, or Numba is not installed or has no place for what it compiles
    """
    name = os.environ.get("NUMPYRNN_BACKEND") or "plain"
    if name not in ("plain", "fast"):
        raise NumpyrnnError(f"NUMPYRNN_BACKEND must be 'plain' or 'fast', got {name!r}")
    if name == "plain":
        return False
    try:
        from . import math  # noqa: F401 (the first that needs Numba)
    except ImportError as error:
        raise NumpyrnnError(f"NUMPYRNN_BACKEND=fast needs Numba ({error}): pip install 'numpyrnn[fast]'") from error
    except RuntimeError as error:  # Numba found no folder that it may write to
        raise NumpyrnnError(f"NUMPYRNN_BACKEND=fast needs a folder in NUMBA_CACHE_DIR ({error})") from error
    return True


def compiled_cell(cell: type[Cell]) -> type[Cell]:
    """The compiled form of a cell if that back end is chosen and has one, else the cell itself.

    A subclass of a cell has other equations, and no compiled form.
    """
    if not chosen():
        return cell
    from .cells import CELLS  # not at import: it needs Numba

    return CELLS.get(cell, cell)
