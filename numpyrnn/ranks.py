"""Ranks: the processes that `mpiexec` starts, which train one model together.

Under `mpiexec -n 4` there are four processes, with the ranks 0 to 3. Each runs the same program and draws the same
batches from the same seed. In each step a rank takes every n-th sequence of the batch through the whole model, forward
and back, into its own gradient buffer; one Allreduce adds the buffers, where `Trainer(workers=n)` adds those of its
threads. Masks of dropout are drawn for the whole batch, and clipping, update and validation see the sum, so the losses
are those of one process up to rounding.

Before anything is added, the ranks meet: they exchange a few numbers each (`Ranks.meet`), among them the part of the
loss, the signal that came, and whether the rank has failed. So all of them see the same loss, stop at the same step,
and raise the same error. A rank whose place in the program, data or weights differ from those of rank 0 is noticed
there, too. Callbacks run on rank 0 alone.

A `Trainer` finds the ranks by itself, because a script that was started four times by mistake would train four times
and write the same files. `Trainer(workers=1)` trains alone, and `Trainer(workers="mpi")` insists on MPI. Without
`mpiexec` or `srun`, mpi4py is not imported unless you ask for it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from zlib import crc32

import numpy as np
from numpy.random import Generator

from .batches import Batch
from .checks import Array, NotFiniteError, NumpyrnnError, as_rng
from .layer import leaves, map_state
from .losses import Loss, softmax_cross_entropy
from .parameters import Parameters
from .sequential import Sequential
from .signals import Interrupted, handled
from .threads import blas_threads, check_sequences, pass_of, shard_of, woven

Result = TypeVar("Result")
SIZES = "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"  # environment variables of MPICH, Open MPI, MVAPICH
RANKS = "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK"
START, STEP, EPOCH, CALL, END = range(5)  # places in the program where ranks meet
PLACES = "the start", "a step", "the end of an epoch", "a callback", "the end"
PLACE, FAILED, SIGNAL, LOSS, CHECKSUM, ORDER = range(6)  # what each rank tells the others
GO_ON, KEEP = 0, 1  # orders
ERRORS = {kind.__name__: kind for kind in (NotFiniteError, NumpyrnnError, MemoryError)}


@cache
def started() -> int:
    """The number of ranks that were started with this process, 1 without `mpiexec`."""
    sizes = [os.environ[name] for name in SIZES if name in os.environ]
    if not sizes and "PMIX_RANK" in os.environ:  # srun --mpi=pmix
        sizes = [os.environ.get("SLURM_STEP_NUM_TASKS", "1")]
    return int(sizes[0]) if sizes and sizes[0].isdecimal() else 1


def started_as() -> int:
    """The rank of this process, as `mpiexec` has written it into the environment; 0 without it."""
    return next((int(os.environ[name]) for name in RANKS if os.environ.get(name, "").isdecimal()), 0)


def world(workers: int | str | None = None) -> Ranks | None:
    """The ranks of which this process is one, or None if it works alone.

    Parameters
    ----------
    workers : as for `Trainer`: "mpi", None (MPI if there is more than one rank), or a number of threads (no MPI)

    Raises
    ------
    NumpyrnnError
        if MPI is needed but not installed, or is not the one whose `mpiexec` started this process
    """
    if workers not in (None, "mpi") or (workers is None and started() == 1):
        return None
    ranks = _connect()
    return None if ranks.apart and workers is None and ranks.rank == 0 else ranks


@cache
def _connect() -> Ranks:
    expected = started()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        needs = f"{expected} ranks were started, which needs" if expected > 1 else "MPI needs"
        raise NumpyrnnError(f"{needs} mpi4py and an MPI library: pip install 'numpyrnn[mpi]' ({error})") from error
    for name in (*SIZES, *RANKS):  # processes that this one starts are no ranks
        os.environ.pop(name, None)
    comm = MPI.COMM_WORLD
    if comm.size != expected:
        library = MPI.Get_library_version().split("\n")[0].strip()
        found = f"{expected} ranks were started, but MPI knows {comm.size}"
        raise NumpyrnnError(f"{found}: mpiexec must be that of mpi4py's library, {library}")
    ranks = Ranks(comm)
    if comm.size > 1:
        sys.excepthook = ranks._end
    return ranks


class Ranks:
    """The processes that train together. It shares a batch as `numpyrnn.threads` does, with the same interface.

    Parameters
    ----------
    comm : communicator of mpi4py

    Attributes
    ----------
    rank, size : int, the number of this process, from 0, and how many there are
    calling : bool, whether this is rank 0 in a callback
    apart : bool, whether the other ranks wait for an `announce`, so that rank 0 trains alone
    """

    def __init__(self, comm: Any):
        self.comm, self.rank, self.size, self.calling, self.signal = comm, comm.rank, comm.size, False, 0
        self.apart = False

    def loss_and_gradients(
        self,
        model: Sequential,
        batch: Batch,
        grads: Parameters | None,
        *,
        loss: Loss = softmax_cross_entropy,
        state: Any = None,
        rng: Generator | int | None = None,
        workers: int = 1,
        buffers: Any = None,
    ) -> tuple[float, Any]:
        """Do this rank's share of a step; the arguments are those of `threads.loss_and_gradients`.

        Parameters
        ----------
        batch : Batch, the whole one, the same on all ranks
        state : of this rank's sequences, see `own`
        workers : threads of BLAS in this rank

        Returns
        -------
        loss : float, of the whole batch
        state : of this rank's sequences; None if it has none
        """
        part, checksum = 0.0, 0
        try:
            checksum = checksum_of(batch.x, batch.lengths)
            check_sequences(batch, None, batch.x.shape[1])
            drawn = None if rng is None else model.draw(as_rng(rng), batch.x.shape)
            rows = slice(self.rank, None, self.size) if batch.places else slice(None)  # the loss raises the error
            if self.rank < batch.x.shape[1] or not batch.places:
                shard = shard_of(batch, rows)
                share = shard.places / batch.places if batch.places else 1.0
                with blas_threads(workers):
                    part, state = pass_of(model, shard, grads, loss, state, drawn and drawn.shard(rows), share)
            elif grads is not None:
                grads.flat[...] = 0
        except Exception as error:
            self.tell(error)
            raise
        parts = self.meet(STEP, part, checksum)[:, LOSS]
        if grads is not None:
            self.comm.Allreduce(self.in_place, grads.flat)
        return float(sum(parts)), state

    @property
    def in_place(self) -> Any:
        """The argument of an Allreduce that adds to an array where it is."""
        from mpi4py import MPI

        return MPI.IN_PLACE

    def own(self, state: Any) -> Any:
        """The own rows of the state of a whole batch; None if this rank has none."""
        own = map_state(itemgetter(slice(self.rank, None, self.size)), state)
        return own if any(map(len, leaves(own))) else None

    def whole(self, state: Any) -> Any:
        """The state of the whole batch, from the rows of all ranks. All ranks must call it."""
        found = [of_rank for of_rank in self.comm.allgather(state) if of_rank is not None]
        return map_state(woven, *found) if found else None

    def meet(self, place: int, loss: float = 0.0, checksum: int = 0, order: int = GO_ON, failed: bool = False) -> Array:
        """Exchange a few numbers with all other ranks, which must be at the same place.

        Parameters
        ----------
        place : int, one of START, STEP, EPOCH, CALL and END
        loss : float, this rank's part of a loss
        checksum : int, of what must be the same on all ranks
        order : int, what rank 0 wants the others to do

        Returns
        -------
        (size, 6), the numbers of all ranks

        Raises
        ------
        Interrupted
            if a signal came to any rank
        NumpyrnnError
            the error of the first rank that has failed; or if the ranks are at different places, or differ in their
            checksums
        """
        told = np.empty((self.size, 6))
        self.comm.Allgather(np.array([place, failed, self.signal, loss, checksum, order], float), told)
        if told[:, FAILED].any():
            errors = self.comm.allgather(None)  # those of the failed ranks come in `tell`
            self._raise(errors)
        if signal := int(told[:, SIGNAL].max()):
            raise _shared(Interrupted(signal), 0)
        for column, what in ((PLACE, "be at the same place"), (CHECKSUM, "have the same")):
            if (differ := told[:, column] != told[0, column]).any():
                rank = int(differ.argmax())
                here, there = (PLACES[int(told[k, PLACE])] for k in (0, rank))
                found = f"rank 0 is at {here}, rank {rank} at {there}; do they have the same data?"
                if column == CHECKSUM:
                    what += " data" if place == STEP else " weights"
                    found = f"those of rank {rank} differ from those of rank 0"
                raise _shared(NumpyrnnError(f"all ranks must {what}, {found}"), 0)
        return told

    def tell(self, error: BaseException) -> None:
        """Tell the other ranks of an error, which they then raise at the place where they meet next.

        If a rank before this one has failed too, its error is raised here.
        """
        if hasattr(error, "of_rank"):  # they know it
            return
        told = np.empty((self.size, 6))
        self.comm.Allgather(np.array([START, True, 0, 0, 0, 0], float), told)
        kind = next((name for name, kind in ERRORS.items() if isinstance(error, kind)), type(error).__name__)
        errors = self.comm.allgather((kind, str(error)))
        if next(i for i, known in enumerate(errors) if known) < self.rank:
            self._raise(errors)
        _shared(error, self.rank)

    def _raise(self, errors: list[Any]) -> NoReturn:
        rank, (name, words) = next((i, known) for i, known in enumerate(errors) if known)
        kind = ERRORS.get(name)
        raise _shared(kind(words) if kind else NumpyrnnError(f"rank {rank} has failed ({name}: {words})"), rank)

    def ask(self, question: Callable[[], Any], checksum: int = 0) -> bool:
        """The answer of rank 0 to a question of yes and no, at the end of an epoch."""
        return bool(self.meet(EPOCH, checksum=checksum, order=self.rank == 0 and bool(question()))[0, ORDER])

    def call(self, callback: Callable[[Any], Any], argument: Any, keep: Callable[[], None]) -> None:
        """Let rank 0 run a callback; the others wait, and call `keep` whenever the callback does (`keeping`)."""
        if self.rank:
            while self.meet(CALL)[0, ORDER] == KEEP:
                keep()
            return
        self.calling = True
        try:
            callback(argument)
        finally:
            self.calling = False
        self.meet(CALL)

    def keeping(self) -> None:
        """Let the other ranks keep the training, if this is rank 0 in a callback."""
        if self.calling:
            self.meet(CALL, order=KEEP)

    @contextmanager
    def together(self, alike: Mapping[str, Any]) -> Iterator[None]:
        """Train together in a block: signals wait until the ranks meet, and an error on one ends the block on all.

        Parameters
        ----------
        alike : what must be the same on all ranks, by name; a value must have a `repr`

        Raises
        ------
        NumpyrnnError
            if something differs, or a rank has failed
        """

        def note(number: int, _: Any) -> None:
            self.signal = number

        try:
            with handled(note):
                self.meet(START)
                every = self.comm.allgather({name: repr(value) for name, value in alike.items()})
                for rank, name in [(rank, name) for rank, one in enumerate(every) for name in one]:
                    here, there = (every[k].get(name, "nothing") for k in (0, rank))
                    if here != there:
                        found = f"rank 0 has {here:.80}, rank {rank} {there:.80}"
                        raise _shared(NumpyrnnError(f"all ranks must have the same {name}, {found}"), 0)
                yield
                self.meet(END)
        except BaseException as error:
            self.tell(error)
            raise
        finally:
            self.signal = 0

    def announce(self, news: Any = None) -> Any:
        """Send an object from rank 0 to the others, which wait for it without using their processors."""
        request = self.comm.Ibarrier()
        while not request.Test():
            time.sleep(0.005)
        return self.comm.bcast(news)

    def one_copy(self, array: Array | None) -> Array:
        """Give all ranks an array of rank 0, of which each machine holds one copy in shared memory.

        Parameters
        ----------
        array : on rank 0; None on the others

        Returns
        -------
        array, which only reading is allowed to
        """
        from mpi4py import MPI

        dtype, shape = self.comm.bcast(None if array is None else (array.dtype.str, array.shape))
        local = self.comm.Split_type(MPI.COMM_TYPE_SHARED)
        size = int(np.dtype(dtype).itemsize * np.prod(shape))
        memory, _ = MPI.Win.Allocate_shared(0 if local.rank else size, 1, comm=local).Shared_query(0)
        shared: Array = np.frombuffer(memory, dtype, int(np.prod(shape))).reshape(shape)
        if array is not None:
            shared[...] = array
        if not local.rank or self.rank == 0:
            leaders = self.comm.Split(0, self.rank)
            leaders.Bcast(shared.reshape(-1).view(np.uint8))
        else:
            self.comm.Split(1, self.rank)
        local.Barrier()
        shared.flags.writeable = False
        return shared

    def memory(self) -> list[int]:
        """Bytes of memory that each rank uses now; what ranks share is divided among them."""
        return list(map(int, self.comm.allgather(memory_used())))

    def _end(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        """The `sys.excepthook` of a script: one rank prints the error, and all of them end."""
        rank = getattr(error, "of_rank", self.rank)
        if rank == self.rank:
            sys.__excepthook__(kind, error, trace)
            sys.stderr.flush()
        elif not issubclass(kind, KeyboardInterrupt):
            time.sleep(10)  # that rank ends this one
        if not issubclass(kind, KeyboardInterrupt):
            self.comm.Abort(1)


def _shared(error: Any, rank: int) -> Any:
    """Note in an error that all ranks know it, and whose it is."""
    error.of_rank = rank
    return error


def checksum_of(*arrays: Any) -> int:
    """A checksum of the bytes of some arrays; None does not count."""
    found = 0
    for array in arrays:
        if array is not None:
            found = crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1), found)  # type: ignore[arg-type]
    return found


@cache
def versions() -> str:
    """The versions of Python and NumPy, and a checksum of the source of this package."""
    source = 0
    for path in sorted(Path(__file__).parent.glob("*.py")):
        source = crc32(path.read_bytes(), source)
    return f"Python {sys.version_info[0]}.{sys.version_info[1]}, NumPy {np.__version__}, numpyrnn {source:08x}"


def memory_used() -> int:
    """Bytes of memory of this process; where the system tells (Linux), memory that processes share is divided."""
    try:
        text = Path("/proc/self/smaps_rollup").read_text()
        return next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
