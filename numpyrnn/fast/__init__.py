"""The compiled back end: NUMPYRNN_BACKEND in the environment is "plain" (the default) or "fast", which needs Numba."""

from __future__ import annotations

import os
from functools import cache

from ..cells import Cell
from ..checks import NumpyrnnError


@cache
def chosen() -> bool:
    """Return whether the environment chooses the compiled back end; it is read once.

    Raises
    ------
    NumpyrnnError
        if NUMPYRNN_BACKEND has another value, or if Numba is not installed or has no folder for its cache
    """
    name = os.environ.get("NUMPYRNN_BACKEND") or "plain"
    if name not in ("plain", "fast"):
        raise NumpyrnnError(f"NUMPYRNN_BACKEND must be 'plain' or 'fast', got {name!r}")
    if name == "plain":
        return False
    try:
        from . import math  # noqa: F401 (raises if there is no Numba)
    except ImportError as error:
        raise NumpyrnnError(f"NUMPYRNN_BACKEND=fast needs Numba ({error}): pip install 'numpyrnn[fast]'") from error
    except RuntimeError as error:  # Numba found no folder that it may write to
        raise NumpyrnnError(f"NUMPYRNN_BACKEND=fast needs a folder in NUMBA_CACHE_DIR ({error})") from error
    return True


def compiled_cell(cell: type[Cell]) -> type[Cell]:
    """Return the compiled form of a cell, if that back end is chosen and has one, else the cell itself.

    A subclass of a cell may have other equations, and has no compiled form.
    """
    if not chosen():
        return cell
    from .cells import CELLS  # not at import: it needs Numba

    return CELLS.get(cell, cell)
