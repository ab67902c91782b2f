"""Threads: one in the library's long calls, unless you choose another number.

NumPy and SciPy each bring a BLAS with a pool of threads of its own, as many as there are cores. A recurrent layer is
many small products, one after the other. BLAS's threads would meet after each of them, and where another program keeps
a core busy each meeting waits until that program has had its turn. And results change with the number of threads, for
sums are rounded otherwise: a number that followed the load or the machine would give other weights from the same seed.

`Trainer.run`, `mean_loss`, `generate` and `stream` therefore use one thread, on any number of cores. Callbacks run
inside the call that calls them; all else in the process keeps its threads, also what you call yourself, such as
`model.forward`. For more, choose a number, and it is the same in every run:

- `OPENBLAS_NUM_THREADS=2` in the environment (or `MKL_NUM_THREADS`, or `OMP_NUM_THREADS`), or
- `with blas_threads(2):` around the calls, or
- `Trainer(..., workers=2)`, `generate(..., workers=2)`.

A step of training then divides its batch (`loss_and_gradients`). A product of one step is too small to be divided, but
sequences do not know of each other: a worker takes some of them through the whole model, forward and back, into a
gradient buffer of its own, and waits for the others once a step. The buffers are added in the workers' order, so that
one number of workers gives one set of bits. While they work each has one BLAS thread, for those of a BLAS go on
spinning for a tenth of a second after a product and take the core from those that compute. Layers know nothing of this.

SciPy's pool stays at one even then: its products here are of small vectors, and the threads of two pools get in each
other's way. What is set already is never raised.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache, partial
from operator import itemgetter
from threading import RLock
from typing import Any, TypeVar

import numpy as np
from numpy.random import Generator

from .batches import Batch
from .checks import Array, NumpyrnnError, as_rng, check_count, check_shape
from .layer import leaves, map_state
from .losses import Loss, softmax_cross_entropy
from .parameters import Parameters
from .sequential import Sequential

Result = TypeVar("Result")
WORTH, WORTH_A_STEP = 1e9, 2e7  # operations of a forward pass, and for each step of it, from which two workers gain
SETTINGS = "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"  # of the environment

_chosen: ContextVar[int | None] = ContextVar("the number chosen around this call", default=None)
_lock = RLock()  # of the next three: the pools are the process's, whichever Python thread limits them
_limits: list[int] = []  # of the active `blas_threads` blocks
_before: dict[str, int] = {}  # by pool: its threads when the first of them came in
_unlimited: set[str] = set()  # pools that did not take a limit, which was said


@contextmanager
def blas_threads(n: int | None = None) -> Iterator[None]:
    """Limit the threads of NumPy's products to `n`, and of SciPy's to one; also a decorator.

    The pools belong to the process. Where several are inside, nested or in several Python threads, the smallest number
    holds for all, and the last one out puts everything back to what the first one found. A pool that does not take its
    limit is named once, by a RuntimeWarning.

    Parameters
    ----------
    n : int, optional, at least 1
        Also what `chosen` gives inside. Default: what it gives outside.

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
    n = n or chosen()
    token = _chosen.set(n)
    with _lock:
        _limits.append(n)
    try:
        _apply()
        yield
    finally:
        _chosen.reset(token)
        with _lock:
            _limits.remove(n)
            _apply()


def chosen() -> int:
    """Threads set by the enclosing `blas_threads`, else by the environment, else 1."""
    settings = (os.environ.get(name, "").partition(",")[0].strip() for name in SETTINGS)  # OMP's: one for each level
    return _chosen.get() or next((int(value) for value in settings if value.isdecimal() and int(value)), 1)


def run_all(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """What the tasks give: the first runs here, each other in a thread of its own. An error waits for all of them."""
    if len(tasks) == 1:
        return [tasks[0]()]
    with ThreadPoolExecutor(len(tasks) - 1, "numpyrnn") as pool:  # 0.1 ms; kept, it would have to be made anew in forks
        futures = [pool.submit(copy_context().run, task) for task in tasks[1:]]
        return [tasks[0](), *(future.result() for future in futures)]


def loss_and_gradients(
    model: Sequential,
    batch: Batch,
    grads: Parameters | None,
    *,
    loss: Loss = softmax_cross_entropy,
    state: Any = None,
    rng: Generator | int | None = None,
    workers: int = 1,
    buffers: list[Parameters] | None = None,
) -> tuple[float, Any]:
    """One step's forward pass, loss and backward pass.

    Sizes alone decide how the work is divided, so that the same call gives the same bits:

    - a forward pass of less than `WORTH` operations, or `WORTH_A_STEP` a step: one worker with one BLAS thread;
    - fewer sequences than workers: one worker, and BLAS has the threads;
    - else each of n workers takes every n-th sequence: where they are sorted, their lengths are shared out too.

    Parameters
    ----------
    model : Sequential
    batch : Batch
    grads : Parameters, overwritten with the gradients of the mean loss over all places that count
        None: only the loss is wanted.
    loss : function of (logits, targets, mask), default softmax cross-entropy; see `numpyrnn.losses`
    state : initial state, default zeros
    rng : numpy Generator or int seed
        Switches dropout on. It is drawn for the whole batch, whatever the number of workers.
    workers : int, default 1
    buffers : list of Parameters, optional
        The other workers' gradients; lengthened as needed. Where the same list is given at each step, each uses the
        memory of the last.

    Returns
    -------
    loss : float, the mean over all places that count
    state : after the last step of each sequence

    Raises
    ------
    NumpyrnnError
        if a part of the batch does not fit, no place counts, or the loss is not finite
    """
    check_count("workers", workers, 1)
    T, N, *_ = *np.shape(batch.x), 1, 1
    a_step = 2 * model.params.flat.size * N
    worth = workers > 1 and a_step >= WORTH_A_STEP and a_step * T >= WORTH
    n = workers if worth and workers <= N and batch.places else 1  # without a place the loss says what is wrong
    with blas_threads(workers if worth and n == 1 else 1):
        if n == 1:
            return _pass(model, batch, grads, loss, state, rng)
        _check_sequences(batch, state, N)
        drawn = None if rng is None else model.draw(as_rng(rng), batch.x.shape)
        own: list[Parameters | None] = [None] * n
        if grads is not None:
            more = [] if buffers is None else buffers
            more += [model.params.zeros_like() for _ in range(n - 1 - len(more))]
            own = [grads, *more]
        tasks = []
        for rows, into in zip([slice(k, None, n) for k in range(n)], own, strict=False):
            shard, start = _shard(batch, rows), map_state(itemgetter(rows), state)
            masks = None if drawn is None else drawn.shard(rows)
            tasks.append(partial(_pass, model, shard, into, loss, start, masks, shard.places / batch.places))
        losses, states = zip(*run_all(tasks), strict=True)
    if grads is not None:
        for buffer in more[: n - 1]:
            grads.flat += buffer.flat
    return sum(losses), map_state(_woven, *states)


def _apply() -> None:
    """Bring each pool to the smallest of the limits, or back to what it was before."""
    with _lock:
        for pool, most in _pools("scipy.linalg._fblas" in sys.modules):
            now = pool.get_num_threads()
            if _limits:
                wanted = min(_before.setdefault(pool.filepath, now), most, *_limits)
            else:
                wanted = _before.pop(pool.filepath, now)
            if wanted != now:
                # threadpoolctl 3.8 does nothing by the public name in all Python threads but the first that asked
                getattr(pool, "_real_set_num_threads", pool.set_num_threads)(wanted)
                _check(pool, wanted)


def _check(pool: Any, wanted: float) -> None:
    """Warn, once for each pool, if it has not the threads it was set to."""
    if (now := pool.get_num_threads()) != wanted and pool.filepath not in _unlimited:
        _unlimited.add(pool.filepath)
        name = os.path.basename(pool.filepath)
        words = f"{name} could not be set to {wanted} threads, it keeps {now}: results may change in their last digits"
        warnings.warn(words, RuntimeWarning, stacklevel=2)


@cache
def _pools(with_scipy: bool) -> list[tuple[Any, float]]:
    """The BLAS libraries of the process, each with the most threads it is given; searched for again with SciPy's."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # not at import: most need it late

    found = [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
    return [(library, 1 if _is_scipys(library.filepath) else float("inf")) for library in found]


def _is_scipys(path: str) -> bool:
    """Whether a library came with SciPy: in scipy.libs/, or (macOS) scipy/.dylibs/."""
    return bool({"scipy", "scipy.libs"} & set(path.split(os.sep)[-3:-1]))


def _pass(
    model: Sequential, batch: Batch, grads: Parameters | None, loss: Loss, state: Any, rng: Any, share: float = 1.0
) -> tuple[float, Any]:
    """`loss_and_gradients` of one worker, times its share of all places that count."""
    logits, state, cache = model.forward(batch.x, state, batch.lengths, rng, cache=grads is not None)
    if share == 0:
        if grads is not None:
            grads.flat[...] = 0
        return 0.0, state
    mean, dlogits = loss(logits, batch.targets, batch.counts)
    if grads is not None:
        if not np.isfinite(mean):
            raise NumpyrnnError(f"the loss must stay finite, got {mean}: try a lower learning rate")
        model.backward(dlogits if share == 1 else dlogits * share, cache, grads=grads)
    return mean * share, state


def _shard(batch: Batch, rows: slice) -> Batch:
    """Some sequences of a batch."""
    lengths, mask = (None if array is None else np.asarray(array)[..., rows] for array in (batch.lengths, batch.mask))
    return Batch(np.ascontiguousarray(batch.x[:, rows]), batch.targets[:, rows], lengths, mask)


def _check_sequences(batch: Batch, state: Any, N: int) -> None:
    """Raise unless all parts of a batch, and of the state, have N sequences; their shards might fit by chance."""
    check_shape("targets", batch.targets, ("T", N, "V")[: max(2, np.ndim(batch.targets))])
    if batch.lengths is not None:
        check_shape("lengths", batch.lengths, (N,))
    if batch.mask is not None:
        check_shape("mask", batch.mask, np.shape(batch.targets)[:2])
    for array in leaves(state):
        check_shape("state", array, (N, *np.shape(array)[1:]))


def _woven(*arrays: Array) -> Array:
    """Interleave the rows of the arrays."""
    whole = np.empty((sum(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype)
    for k, array in enumerate(arrays):
        whole[k :: len(arrays)] = array
    return whole
