"""Threads of the matrix products: one, around the library's own long calls, unless you choose another number.

NumPy and SciPy each bring a BLAS with a pool of threads of its own, as many as there are cores. A recurrent layer is
many products, one after the other, and at the end of each of them its threads wait for the slowest. On two cores a
second thread gains a factor of 1.0 to 1.7 where nothing else runs. But where another program keeps a core busy, each
product waits until that program has had its turn, and a step takes 1.4 to 4 times as long: large products too, all but
the smallest, which BLAS does not divide (`benchmarks/threads.py`). The results change as well: for another number of
threads BLAS cuts a product into other pieces, and some sums are rounded otherwise. So a number that followed the load
or the machine would give other weights from the same seed.

`Trainer.run`, `mean_loss`, `generate` and `stream` therefore use one thread, on any number of cores. Callbacks run
inside the call that calls them; all else in the process keeps its threads, also what you call yourself, such as
`model.forward`. For more, choose a number, and it is the same in every run:

- `OPENBLAS_NUM_THREADS=2` in the environment (or `MKL_NUM_THREADS`, or `OMP_NUM_THREADS`), or
- `with blas_threads(2):` around the calls.

SciPy's pool stays at one even then: its products here are of small vectors, and the threads of two pools get in each
other's way. What is set already is never raised.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from threading import RLock
from typing import Any, TypeVar

from .checks import check_count

Call = TypeVar("Call", bound=Callable[..., Any])
WORTH = 1e9  # operations of a forward pass from which two threads gain, where nothing else runs
SETTINGS = "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"  # of the environment

_chosen: ContextVar[int | None] = ContextVar("the number chosen around this call", default=None)
_lock = RLock()  # of the next two: the pools are the process's, whichever Python thread limits them
_limits: list[int] = []  # of all who are inside `blas_threads` now
_before: dict[str, int] = {}  # by pool: its threads when the first of them came in


@contextmanager
def blas_threads(n: int | None = None) -> Iterator[None]:
    """Limit the threads of NumPy's products to `n`, and of SciPy's to one; also a decorator.

    The pools belong to the process. Where several are inside, nested or in several Python threads, the smallest number
    holds for all, and the last one out puts everything back to what the first one found.

    Parameters
    ----------
    n : int, optional, at least 1
        Default: what the `blas_threads` around this one has, else what the environment sets, else 1.

    Raises
    ------
    NumpyrnnError
        if `n` is no such number

    Examples
    --------
    >>> with blas_threads(2):
    ...     trainer.run(batches, epochs=10)
    """
    if n is not None:
        check_count("n", n, 1)
    n = n or _chosen.get() or _environment()
    token = _chosen.set(n)
    with _lock:
        _limits.append(n)
        _apply()
    try:
        yield
    finally:
        _chosen.reset(token)
        with _lock:
            _limits.remove(n)
            _apply()


def threads_for(flops: float) -> AbstractContextManager[None]:
    """One thread for a pass that is too little work for more; for others those that there are.

    Layers and models use it around their own passes. Sizes alone decide, so that a pass always has the same number.

    Parameters
    ----------
    flops : float, of the products of a forward pass
    """
    few = flops >= WORTH or 1 in _limits or os.environ.get("OPENBLAS_NUM_THREADS") == "1"
    return nullcontext() if few else blas_threads(1)


def limited(call: Call) -> Call:
    """`call` with `blas_threads()` around each of its calls, or as it is where no pool has more threads than that."""
    n = _chosen.get() or _environment()
    pools = _pools("scipy.linalg._fblas" in sys.modules)
    over = (_before.get(pool.filepath, pool.get_num_threads()) > min(n, most) for pool, most in pools)
    return blas_threads()(call) if any(over) else call


@cache
def _environment() -> int:
    """The number that the environment sets, else 1; read once, as BLAS does."""
    settings = (os.environ.get(name, "").partition(",")[0].strip() for name in SETTINGS)  # OMP's: one for each level
    return next((int(value) for value in settings if value.isdecimal() and int(value)), 1)


def _apply() -> None:
    """Bring each pool to the smallest of the limits, or back to what it was before."""
    for pool, most in _pools("scipy.linalg._fblas" in sys.modules):
        now = pool.get_num_threads()
        if _limits:
            wanted = min(_before.setdefault(pool.filepath, now), most, *_limits)
        else:
            wanted = _before.pop(pool.filepath, now)
        if wanted != now:
            # threadpoolctl 3.8 lets only one Python thread, the first to ask, set OpenBLAS's threads by the public name
            getattr(pool, "_real_set_num_threads", pool.set_num_threads)(wanted)


@cache
def _pools(with_scipy: bool) -> list[tuple[Any, float]]:
    """The BLAS libraries of the process, each with the most threads it is given; searched for again with SciPy's."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # not at import: most need it late

    found = [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
    return [(library, 1 if _is_scipys(library.filepath) else float("inf")) for library in found]


def _is_scipys(path: str) -> bool:
    """Whether a library came with SciPy: in scipy.libs/, or (macOS) scipy/.dylibs/."""
    return bool({"scipy", "scipy.libs"} & set(path.split(os.sep)[-3:-1]))
