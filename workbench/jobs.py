"""Work that is spread over processes, or over the machines of a cluster, with joblib.

What comes out does not depend on how: results have the order of their items, and each item brings its own seed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache, partial, wraps
from importlib.util import find_spec
from threading import Thread, current_thread, main_thread
from time import sleep
from typing import Any
from warnings import catch_warnings, simplefilter

import click

from numpyrnn import NumpyrnnError
from numpyrnn.ranks import versions
from numpyrnn.threads import blas_threads

BACKENDS = {"loky": "joblib", "dask": "distributed", "ray": "ray"}  # and the packages that they need
MOST = 1024  # processes
JOBS = "jobs", "backend", "address"  # names of the options
DIED = "TerminatedWorkerError", "BrokenProcessPool", "KilledWorker", "WorkerCrashedError"  # errors of the back ends


Results = Generator[tuple[int, Any], None, None]


@dataclass(frozen=True)
class Jobs:
    """How work is spread.

    Attributes
    ----------
    n : int or None, the number of processes; None: as many as there are cores for `many` items, else this one only
    backend : "loky" (processes of this machine), "dask" or "ray"
    address : str or None, of a cluster of Dask or Ray; None: a new one on this machine
    many : int, from how many items more than one process is worth its start
    """

    n: int | None = None
    backend: str = "loky"
    address: str | None = None
    many: int = 200

    def map(
        self, function: Callable[[Any], Any], items: Sequence[Any], ordered: bool = True
    ) -> Generator[Any, None, None]:
        """Call a function for each item, perhaps in other processes, and yield the results.

        Parameters
        ----------
        function : of one item; it can be imported by name, or is a `functools.partial` of such a function
        items : sequence
        ordered : bool, default True: results have the order of the items. False: pairs of an item's index and its
            result, as they are ready

        Raises
        ------
        DiedError
            if a process dies
        NumpyrnnError
            if the back end is not installed, or the cluster cannot be reached or has another version
        """
        n = self.n or (min(os.cpu_count() or 1, 8) if len(items) >= self.many else 1)
        if self.backend == "loky" and (n == 1 or not items):
            with blas_threads(1):
                for i, item in enumerate(items):
                    result = function(item)
                    yield result if ordered else (i, result)
            return
        with _pool(self.backend, n, self.address) as parallel, closing(parallel(ordered, function, items)) as results:
            for i, result in results:
                yield result if ordered else (i, result)


class DiedError(NumpyrnnError):
    """A process of the pool has died."""


def _work(function: Callable[[Any], Any], parent: int | None, i: int, item: Any) -> tuple[int, Any]:
    """Call the function in a process of the pool, which Ctrl-C does not reach."""
    if current_thread() is main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if parent is not None:
        _end_with(parent)
    with blas_threads(1):
        return i, function(item)


@cache
def _end_with(parent: int) -> None:
    """Let this process end when its parent does, even if that is killed."""

    def watch() -> None:
        while os.getppid() == parent:
            sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def _pool(backend: str, n: int, address: str | None) -> Iterator[Callable[..., Results]]:
    """A function of (ordered, function, items), which yields the index and the result of each item."""
    if find_spec(BACKENDS[backend]) is None:
        raise NumpyrnnError(f"--backend {backend} needs a package: pip install 'numpyrnn[{backend}]'")
    from joblib import Parallel, delayed, parallel_config

    def parallel(ordered: bool, function: Callable[[Any], Any], items: Sequence[Any]) -> Results:
        parent = os.getpid() if backend == "loky" and hasattr(os, "fork") else None
        work = delayed(partial(_work, function, parent))
        if backend == "ray":  # which gives no results before all are ready
            for start in range(0, len(items), 4 * n):
                part = range(start, min(start + 4 * n, len(items)))
                yield from Parallel()(work(i, items[i]) for i in part)
            return
        run = Parallel(return_as="generator" if ordered else "generator_unordered", max_nbytes=None)
        with _hidden_interrupt():
            results = run(work(i, item) for i, item in enumerate(items))
        try:
            yield from (pair for pair in results)  # which does not close them, so that this warning is turned off:
        finally:
            with catch_warnings():
                simplefilter("ignore")  # that work is cancelled
                results.close()

    with ExitStack() as stack:
        try:
            how = _connected(backend, n, address, stack)
            stack.enter_context(parallel_config(**how))
            yield parallel
        except Exception as error:
            if type(error).__name__ in (
                "TerminatedWorkerError",
                "BrokenProcessPool",
                "KilledWorker",
                "WorkerCrashedError",
            ):
                raise DiedError("a process has died (out of memory?): fewer --jobs need less") from error
            raise


def _connected(backend: str, n: int, address: str | None, stack: ExitStack) -> dict[str, Any]:
    """Start a back end, which ends with the stack; return the settings for joblib."""
    if backend == "loky":
        from joblib.externals.loky import get_reusable_executor

        stack.callback(lambda: get_reusable_executor().shutdown(wait=True, kill_workers=True))
        return {"backend": "loky", "n_jobs": n, "inner_max_num_threads": 1}
    try:
        if backend == "dask":
            from distributed import Client

            local = {"n_workers": n, "threads_per_worker": 1, "dashboard_address": None}
            client = stack.enter_context(Client(address, timeout=10) if address else Client(**local))
            there = client.run(versions)
            if not there or {*there.values()} != {versions()}:
                found = ", ".join(sorted({*there.values()})) or "no worker"
                raise NumpyrnnError(f"the cluster must have the versions of this machine, {versions()}, it has {found}")
            return {"backend": "dask", "n_jobs": -1 if address else n}
        import ray
        from ray.util.joblib import register_ray

        ray.init(address, num_cpus=None if address else n, include_dashboard=False, log_to_driver=False)
        stack.callback(ray.shutdown)
        register_ray()
        return {"backend": "ray", "n_jobs": n}
    except (OSError, ConnectionError, ValueError, ImportError) as error:
        if isinstance(error, NumpyrnnError):
            raise
        raise NumpyrnnError(f"the {backend} cluster {address or ''} could not be reached: {error}") from error


@contextmanager
def _hidden_interrupt() -> Iterator[None]:
    """Delay Ctrl-C, and hide it from processes that are started in the block."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


HERE = Jobs()


def jobs_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take `--jobs`, `--backend` and `--address`; the command is given `jobs`, a `Jobs`."""
    number = "Processes that share the work  [default: 1, or as many as cores for many files]"
    words = "Where they run: on this machine, or on a cluster of Dask or Ray."

    @click.option("--jobs", type=click.IntRange(1, MOST), help=number)
    @click.option("--backend", type=click.Choice([*BACKENDS]), default="loky", show_default=True, help=words)
    @click.option("--address", help="Of the cluster, such as tcp://10.0.0.1:8786  [default: a new one here]")
    @wraps(command)
    def with_jobs(jobs: int | None, backend: str, address: str | None, **options: Any) -> Any:
        if address and backend == "loky":
            raise click.UsageError("--address needs --backend dask or ray")
        return command(jobs=Jobs(jobs, backend, address), **options)

    return with_jobs
