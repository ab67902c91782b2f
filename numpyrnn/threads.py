"""Threads: one in the library's long calls, unless you choose another number; and how several share a pass.

NumPy and SciPy each bring a BLAS with a pool of threads of its own, as many as there are cores. A recurrent layer is
many small products, one after the other. BLAS's threads would meet after each of them, and where another program keeps
a core busy each meeting waits until that program has had its turn. So recurrent layers use threads in another way
(`threads_for`): each takes some of the sequences from the first step to the last, and they meet once a pass. What a
second thread is worth then, `benchmarks/threads.py` measures.

Results change with the number of threads, for sums are rounded otherwise. So a number that followed the load or the
machine would give other weights from the same seed.

`Trainer.run`, `mean_loss`, `generate` and `stream` therefore use one thread, on any number of cores. Callbacks run
inside the call that calls them; all else in the process keeps its threads, also what you call yourself, such as
`model.forward`, which is shared out among as many as NumPy has where it is large enough. For more, choose a number, and
it is the same in every run:

- `OPENBLAS_NUM_THREADS=2` in the environment (or `MKL_NUM_THREADS`, or `OMP_NUM_THREADS`), or
- `with blas_threads(2):` around the calls.

SciPy's pool stays at one even then: its products here are of small vectors, and the threads of two pools get in each
other's way. What is set already is never raised.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache
from threading import RLock
from typing import Any, TypeVar

from .checks import check_count

Call = TypeVar("Call", bound=Callable[..., Any])
WORTH = 4e8  # operations of a forward pass, from which two threads gain
FEWEST = 16  # sequences of a part
SETTINGS = "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"  # of the environment

_chosen: ContextVar[int | None] = ContextVar("the number chosen around this call", default=None)
_inside: ContextVar[int | None] = ContextVar("among how many threads the pass that runs is shared out", default=None)
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


@contextmanager
def threads_for(flops: float, N: int) -> Iterator[int]:
    """Around a pass of a layer or a model: among how many threads recurrent layers share out the N sequences.

    A product of one step is too small to be divided, but sequences do not know of each other: a thread that has some of
    them takes them from the first step to the last, and waits for the others once a pass, not once a product. There are
    as many as NumPy's products have outside of the pass; inside, each has one BLAS thread, for those of a BLAS go on
    spinning for a tenth of a second after a product and take the core from those that compute. So either the sequences
    are shared out, or (with few of them, or none) BLAS has its threads, or the pass is too little work for either.
    Sizes alone decide: a pass always has the same number.

    Parameters
    ----------
    flops : float, of the products of a forward pass
    N : int, sequences to share out, 0 for none
    """
    n = 1 if 1 in _limits or os.environ.get("OPENBLAS_NUM_THREADS") == "1" else _numpys()
    if _inside.get() or n == 1:
        yield _inside.get() or 1
        return
    n = min(n, N // FEWEST) if flops >= WORTH else 1
    token = _inside.set(max(n, 1))
    try:
        with blas_threads(1) if flops < WORTH or n > 1 else nullcontext():
            yield max(n, 1)
    finally:
        _inside.reset(token)


def parts_of(n: int) -> list[slice]:
    """The sequences in `n` parts, each with every n-th one: where they are sorted, their lengths are shared out too."""
    return [slice(k, None, n) for k in range(n)]


def run_all(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the tasks give, the first run here, each other by a thread of its own; an error waits for all of them."""
    futures = [_executor(len(tasks) - 1).submit(task) for task in tasks[1:]]
    try:
        return [tasks[0](), *(future.result() for future in futures)]
    finally:
        wait(futures)


@cache
def _executor(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n, "numpyrnn")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_executor.cache_clear)  # a fork has none of its parent's threads


def _numpys() -> int:
    """How many threads NumPy's products have now."""
    pools = _pools("scipy.linalg._fblas" in sys.modules)
    return min((int(pool.get_num_threads()) for pool, most in pools if most > 1), default=1)


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
