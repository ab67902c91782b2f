"""Which kernels do the work: those of `kernels.py`, or with NUMPYRNN_BACKEND=fast the compiled `kernels_fast.py`."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from . import kernels as plain
from .checks import NumpyrnnError


@cache
def kernels() -> Any:
    """The module that the environment variable NUMPYRNN_BACKEND names; it is read at the first call.

    Returns
    -------
    module with the functions of `kernels.py`: that one ("plain", the default), or `kernels_fast.py` ("fast")

    Raises
    ------
    NumpyrnnError
        if the variable has another value, or Numba is not installed or has no place for what it compiles
    """
    name = os.environ.get("NUMPYRNN_BACKEND") or "plain"
    if name not in ("plain", "fast"):
        raise NumpyrnnError(f"NUMPYRNN_BACKEND must be 'plain' or 'fast', got {name!r}")
    if name == "plain":
        return plain
    try:
        from . import kernels_fast
    except ImportError as error:
        raise NumpyrnnError(f"NUMPYRNN_BACKEND=fast needs Numba ({error}): pip install 'numpyrnn[fast]'") from error
    except RuntimeError as error:  # Numba found no folder that it may write to
        raise NumpyrnnError(f"NUMPYRNN_BACKEND=fast needs a folder in NUMBA_CACHE_DIR ({error})") from error
    return kernels_fast


@cache
def single() -> Any:
    """The compiled functions for one sequence at a time, `single_fast.py`, or None for the plain way.

    Raises
    ------
    NumpyrnnError
        as `kernels`
    """
    if kernels() is plain:
        return None
    from . import single_fast

    return single_fast
