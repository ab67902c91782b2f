"""Threads: one in the library's long calls, unless you choose another number.

NumPy and SciPy each bring a BLAS with its own pool of threads, as many as there are cores. A recurrent layer makes many
small products, one after the other. The threads of a pool would have to wait for each other after every product, and if
another program keeps a core busy, all of them wait for it. The results would change too, since the order of summation
depends on the number of threads: the same seed would give other weights on another machine, or under another load.

`Trainer.run`, `mean_loss`, `generate` and `stream` therefore use one thread, on any number of cores. So do the
callbacks that they call. Everything else in the process keeps its threads, including your own calls of `model.forward`.
To use more, choose a number, which then holds for every run:

- `OPENBLAS_NUM_THREADS=2` in the environment (or `MKL_NUM_THREADS`, or `OMP_NUM_THREADS`), or
- `with blas_threads(2):` around the calls, or
- `Trainer(..., workers=2)`, `generate(..., workers=2)`.

A training step then divides its batch (`loss_and_gradients`). The product of a single step is too small to be divided,
but sequences are independent: each worker takes some of them through the whole model, forward and back, into its own
gradient buffer, and waits for the others once per step. The buffers are added in a fixed order, so that a given number
of workers always gives the same bits. Meanwhile each worker has one BLAS thread, because the threads of a BLAS keep
spinning for a tenth of a second after a product and take the cores from the workers. Layers know nothing of all this.

The limits also hold while several Python threads train or measure one model at the same time: `loss_and_gradients`
gives each of them the same bits, with one exception that it names. Your own calls of `model.forward` and `backward`
use as many threads as the pool has at that moment, and another thread may be inside `blas_threads`. For the same bits,
put them into `with blas_threads(1):`.

The processor matters too. A BLAS has other kernels for other processors, which sum in another order. The same seed and
settings give the same files on the same machine; elsewhere, weights may differ in their last digits, and a long
training makes such differences large. `OPENBLAS_CORETYPE=Haswell` chooses one kind of kernels for most PCs.

SciPy's pool always stays at one thread: it multiplies only small vectors here, and the threads of two pools would get
in each other's way. A limit that is already set is never raised.
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
from .checks import Array, NotFiniteError, as_rng, check_count, check_shape
from .layer import leaves, map_state
from .losses import Loss, softmax_cross_entropy
from .parameters import Parameters
from .sequential import Sequential

Result = TypeVar("Result")
WORTH, WORTH_A_STEP = 1e9, 2e7  # operations per forward pass, and per step, from which workers pay off
SETTINGS = "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"  # environment variables

_chosen: ContextVar[int | None] = ContextVar("the number chosen around this call", default=None)
_lock = RLock()  # guards the next three, together with the pools: these belong to the process
_limits: list[int] = []  # of the active `blas_threads` blocks
_before: dict[str, int] = {}  # the number of threads of each pool before the first active block
_unlimited: set[str] = set()  # pools that ignored a limit, after a warning


@contextmanager
def blas_threads(n: int | None = None) -> Iterator[None]:
    """Limit NumPy's BLAS to `n` threads, and SciPy's to one. Use it in `with`, or as a decorator.

    The pools belong to the process. If several blocks are active, nested or in several Python threads, the smallest
    number holds for all of them, and the last one to end restores what the first one found. If a pool ignores its
    limit, a RuntimeWarning says so once.

    Parameters
    ----------
    n : int, optional, at least 1
        `chosen()` returns it inside. Default: what `chosen()` returns outside.

    Raises
    ------
    NumpyrnnError
        if `n` is not a whole number of at least 1

    Examples
    --------
    >>> with blas_threads(2):
    ...     trainer.run(batches, epochs=10)
    """
    n = chosen() if n is None else check_count("n", n)
    token = _chosen.set(n)
    _limits.append(n)
    try:
        _apply()
        yield
    finally:
        _chosen.reset(token)
        _limits.remove(n)
        _apply()


def chosen() -> int:
    """Return the number of threads set by `blas_threads` around this call, else by the environment, else 1."""
    settings = (os.environ.get(name, "").partition(",")[0].strip() for name in SETTINGS)  # OMP may list several
    return _chosen.get() or next((int(value) for value in settings if value.isdecimal() and int(value)), 1)


def run_all(tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run the first task here and each of the others in a thread; return all results, or raise once all are done."""
    with ThreadPoolExecutor(len(tasks), "numpyrnn") as pool:  # 0.1 ms; a lasting pool would not survive a fork
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
    """The forward pass, loss and backward pass of one training step.

    Only sizes decide how the work is divided, so that the same call always gives the same bits, also while other Python
    threads call it with the same model:

    - less than `WORTH` operations in the forward pass, or than `WORTH_A_STEP` in one step: one worker, one BLAS thread;
    - fewer sequences than workers: one worker, and BLAS gets the threads (fewer, and so other last digits, if another
      Python thread limits them meanwhile);
    - otherwise each of n workers takes every n-th sequence, so that sorted sequences are shared fairly.

    Parameters
    ----------
    model : Sequential
    batch : Batch
    grads : Parameters, or None
        Overwritten with the gradients of the mean loss over all targets that count. None: compute only the loss.
    loss : function of (logits, targets, mask), default softmax cross-entropy; see `numpyrnn.losses`
    state : initial state, default zeros
    rng : numpy Generator or int seed, optional
        Switches dropout on. Masks are drawn for the whole batch, so they do not depend on the number of workers.
    workers : int, default 1
    buffers : list of Parameters, optional
        Gradient buffers of the other workers, added as needed. Pass the same list in every step to reuse their memory.

    Returns
    -------
    loss : float, the mean over all targets that count
    state : after the last step of each sequence

    Raises
    ------
    NumpyrnnError
        if a part of the batch has the wrong shape, no target counts, or the loss is not finite
    """
    check_count("workers", workers, 1)
    T, N, *_ = *np.shape(batch.x), 1, 1
    a_step = 2 * model.params.flat.size * N
    worth = workers > 1 and a_step >= WORTH_A_STEP and a_step * T >= WORTH
    n = workers if worth and workers <= N and batch.places else 1  # if no target counts, the loss raises the error
    with blas_threads(workers if worth and n == 1 else 1):
        if n == 1:
            return pass_of(model, batch, grads, loss, state, rng)
        check_sequences(batch, state, N)
        drawn = None if rng is None else model.draw(as_rng(rng), batch.x.shape)
        own: list[Parameters | None] = [None] * n
        if grads is not None:
            buffers = [] if buffers is None else buffers
            buffers += [model.params.zeros_like() for _ in range(n - 1 - len(buffers))]
            own = [grads, *buffers[: n - 1]]
        tasks = []
        for k, into in enumerate(own):
            rows = slice(k, None, n)
            shard, start = shard_of(batch, rows), map_state(itemgetter(rows), state)
            masks, share = drawn and drawn.shard(rows), shard.places / batch.places
            tasks.append(partial(pass_of, model, shard, into, loss, start, masks, share))
        losses, states = zip(*run_all(tasks), strict=True)
    if grads is not None:
        for buffer in own[1:]:
            grads.flat += buffer.flat  # type: ignore[union-attr]
    return sum(losses), map_state(woven, *states)


def _apply() -> None:
    """Set each pool to the smallest of the limits, or back to what it was; warn once per pool that ignores it."""
    with _lock:
        for pool, most in _pools("scipy.linalg._fblas" in sys.modules):
            path, now = pool.filepath, pool.get_num_threads()
            wanted = min(_before.setdefault(path, now), most, *_limits) if _limits else _before.pop(path, now)
            if wanted == now:
                continue
            # threadpoolctl 3.8: the public method works only in the first Python thread that used it
            getattr(pool, "_real_set_num_threads", pool.set_num_threads)(wanted)
            if (now := pool.get_num_threads()) != wanted and path not in _unlimited:
                _unlimited.add(path)
                words = f"{os.path.basename(path)} could not be set to {wanted} threads, it keeps {now}"
                warnings.warn(f"{words}: results may change in their last digits", RuntimeWarning, stacklevel=2)


@cache
def _pools(with_scipy: bool) -> list[tuple[Any, float]]:
    """The BLAS libraries of the process, each with its highest limit; searched again once SciPy's is loaded."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # not at import: most programs need it late

    found = [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
    return [(library, 1 if _is_scipys(library.filepath) else float("inf")) for library in found]


def _is_scipys(path: str) -> bool:
    """Whether a library belongs to SciPy: it is in scipy.libs/, or (macOS) in scipy/.dylibs/."""
    return bool({"scipy", "scipy.libs"} & set(path.split(os.sep)[-3:-1]))


def pass_of(
    model: Sequential, batch: Batch, grads: Parameters | None, loss: Loss, state: Any, rng: Any, share: float = 1.0
) -> tuple[float, Any]:
    """`loss_and_gradients` of one worker, times its share of the targets that count."""
    logits, state, cache = model.forward(batch.x, state, batch.lengths, rng, cache=grads is not None)
    if share == 0:
        if grads is not None:
            grads.flat[...] = 0
        return 0.0, state
    mean, dlogits = loss(logits, batch.targets, batch.counts)
    if grads is not None:
        if not np.isfinite(mean):
            raise NotFiniteError(f"the loss must stay finite, got {mean}: try a lower learning rate")
        model.backward(dlogits if share == 1 else dlogits * share, cache, grads=grads)
    return mean * share, state


def shard_of(batch: Batch, rows: slice) -> Batch:
    """The given sequences of a batch."""
    lengths, mask = (None if array is None else np.asarray(array)[..., rows] for array in (batch.lengths, batch.mask))
    return Batch(np.ascontiguousarray(batch.x[:, rows]), batch.targets[:, rows], lengths, mask)


def check_sequences(batch: Batch, state: Any, N: int) -> None:
    """Raise unless all parts of a batch and of the state have N sequences; wrong shards might fit by chance."""
    check_shape("targets", batch.targets, ("T", N, "V")[: max(2, np.ndim(batch.targets))])
    if batch.lengths is not None:
        check_shape("lengths", batch.lengths, (N,))
    if batch.mask is not None:
        check_shape("mask", batch.mask, np.shape(batch.targets)[:2])
    for array in leaves(state):
        check_shape("state", array, (N, *np.shape(array)[1:]))


def woven(*arrays: Array) -> Array:
    """Interleave the rows of the arrays."""
    whole = np.empty((sum(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype)
    for k, array in enumerate(arrays):
        whole[k :: len(arrays)] = array
    return whole
