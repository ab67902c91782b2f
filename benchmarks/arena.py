"""Contenders take turns, each in its own process, so that changes in the machine's speed affect all of them alike.

The order rotates from turn to turn (A B C, B C A, C A B), so that no contender is always the first after a rest.

The driver and its workers exchange JSON messages, one a line. {"work": name} prepares a work. {"go": threads,
"least": seconds} runs it once, or repeatedly until that many seconds have passed. {"end": true} asks for the worker's
peak memory. A worker is started as `python arena.py FOLDER MODULE CORES`, which calls `serve`.
"""

import importlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, median

HERE = Path(__file__).parent
REST = 0.15  # seconds of pause after a turn, so that its threads have gone to sleep (OpenBLAS's take 0.1)
SLOW = 1.0  # seconds: longer runs need no warm-up
# Multithreaded runs shorter than this (seconds) follow an unmeasured run. After a rest, the system takes some 20 ms to
# give each of several synchronising threads a core; in a long training they have one all the time.
SHORT = 0.5
# Unset for every contender, so that each library chooses its own kernels, and each contender its own back end.
DROPPED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NUMPYRNN_BACKEND")


@dataclass(frozen=True)
class Contender:
    """One of the programs that are compared."""

    name: str
    module: str
    works: tuple[str, ...]  # prefixes of the names of its works
    needs: tuple[str, ...] = ()  # packages
    environment: dict = field(default_factory=dict)  # additional variables
    home: Path = HERE.parent  # the checkout whose code it runs

    def does(self, name):
        return name.startswith(self.works)

    @property
    def missing(self):
        return [package for package in self.needs if not is_installed(package)]


def is_installed(package):
    return find_spec(package) is not None


ALL = ("W",)
CONTENDERS = (
    Contender("numpyrnn", "by_numpyrnn", ALL),
    Contender("numpyrnn fast", "by_numpyrnn", ALL, ("numba",), {"NUMPYRNN_BACKEND": "fast"}),
    Contender("PyTorch", "by_torch", ALL, ("torch",)),
    Contender("PyTorch, tuned", "by_torch_tuned", ("W5", "W7"), ("torch",)),
    Contender("JAX", "by_jax", ("W1", "W2", "W3", "W5", "W7"), ("jax",)),
    Contender("Keras on JAX", "by_keras", ("W2", "W3"), ("keras", "jax"), {"KERAS_BACKEND": "jax"}),
    Contender("textbook", "by_textbook", ("W1", "W2", "W5 names", "W5 values")),
    Contender("floor", "by_floor", ("W4",)),
)


def environment(threads, more, home=HERE.parent):
    """The environment of a process with `threads` threads, the variables `more`, and the code in the folder `home`."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    names += ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    xla = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()} intra_op_parallelism_threads={threads}"
    kept = {name: value for name, value in os.environ.items() if name not in DROPPED}
    return kept | dict.fromkeys(names, str(threads)) | {"XLA_FLAGS": xla, "PYTHONPATH": str(home)} | more


def cores():
    """The numbers of the cores that this process may use; empty where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


class Worker:
    """A contender's process, seen from the driver."""

    def __init__(self, contender, threads):
        self.name, self.works = contender.name, contender.works
        command = [sys.executable, str(HERE / "arena.py"), str(contender.home / "benchmarks"), contender.module]
        command.append(",".join(map(str, cores()[-threads:])))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        env = environment(threads, contender.environment, contender.home)
        self.process = subprocess.Popen(command, env=env, **pipes)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        if error[0]:
            self.process.kill()
        self.process.wait()

    def send(self, **message):
        print(json.dumps(message), file=self.process.stdin, flush=True)

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended early; its output is above.")
        return json.loads(line)

    def ask(self, **message):
        self.send(**message)
        return self.receive()

    def go(self, threads, least):
        reply = self.ask(go=threads, least=least)
        if threads > 1:
            time.sleep(REST)
        return reply


def compete(names, contenders, threads, turns, least=0):
    """Run the works called `names`; each contender has one worker for all of them.

    Returns {work: {contender: turns}}. Turns are a dict of lists with one item a turn: "seconds", "units" and, for some
    works, "forward" (seconds). "losses" has the first and the last loss. If there is only one name, turns also have
    "peak_rss" (bytes), "pools" (of threads) and "about" (a description).
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(c, threads)) for c in contenders if any(map(c.does, names))]
        fit = {name: [worker for worker in workers if name.startswith(worker.works)] for name in names}
        results = {name: play(name, fit[name], threads, turns, least) for name in names}
        for worker in workers:
            end = worker.ask(end=True)
            if len(names) == 1:
                results[names[0]][worker.name] |= end
    return results


def play(name, workers, threads, turns, least):
    """All turns of one work, each at least `least` seconds long."""
    for worker in workers:  # they prepare in parallel ...
        worker.send(work=name)
    (rtol, *_) = [worker.receive()["rtol"] for worker in workers]
    rounds = [{worker: worker.go(threads, least) for worker in workers}]  # ... and then run one after the other
    if min(reply["seconds"] for reply in rounds[0].values()) < SLOW:
        rounds.clear()  # it was only a warm-up
    while len(rounds) < turns:
        rounds.append({worker: worker.go(threads, least) for worker in rotated(workers, len(rounds))})
    results = {worker.name: together([replies[worker] for replies in rounds]) for worker in workers}
    check_same(name, results, rtol)
    speeds = (f"{peer} {median_time(its_turns):.3g} s" for peer, its_turns in results.items())
    print(f"{threads} thread{'s'[: threads > 1]}, {name}: {', '.join(speeds)}", file=sys.stderr, flush=True)
    return {peer: its_turns | {"losses": ends(its_turns["losses"])} for peer, its_turns in results.items()}


def rotated(items, turn):
    """The items in the order of a turn: A B C, B C A, C A B, A B C, ..."""
    first = turn % len(items)
    return [*items][first:] + [*items][:first]


def together(replies):
    """Join a contender's replies: a list for each key, except "losses", which are averaged over the turns."""
    lists = {key: [reply[key] for reply in replies] for key in replies[0] if key != "losses"}
    return lists | {"losses": [fmean(values) for values in zip(*(reply["losses"] for reply in replies))]}


def ends(losses):
    return losses[:: max(1, len(losses) - 1)]


def median_time(its_turns):
    return median(seconds / units for seconds, units in zip(its_turns["seconds"], its_turns["units"]))


def check_same(name, results, rtol):
    """Exit unless all contenders report the same losses, within `rtol` of the first and of the later ones."""
    given = {peer: its_turns["losses"] for peer, its_turns in results.items() if its_turns["losses"]}
    first, expected = next(iter(given.items()), ("", []))
    for peer, losses in given.items():
        close = [math.isclose(*pair, rel_tol=rtol[k > 0]) for k, pair in enumerate(zip(losses, expected))]
        if not all(close) or len(losses) != len(expected):
            raise SystemExit(f"{name}: {peer} must have the losses of {first}, {ends(expected)}, got {ends(losses)}")


def serve(folder, module, numbers):
    """Run a worker: read messages, write replies. `module` is imported from `folder`, `works` from beside this file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver ends its workers
    if numbers:
        os.sched_setaffinity(0, map(int, numbers.split(",")))
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not disturb the replies
    import works

    sys.path.insert(0, folder)
    contender = importlib.import_module(module)
    for line in sys.stdin:
        message = json.loads(line)
        if "work" in message:
            name = message["work"]
            work = works.WORKS[name]()
            run = next(make for prefix, make in contender.TABLE.items() if name.startswith(prefix))(work)
            reply, seconds = {"rtol": work.rtol}, math.inf
        elif "go" in message:
            if message["go"] > 1 and seconds < SHORT:
                run()
            sums = Counter()
            while not sums or sums["seconds"] < message["least"]:
                start = time.perf_counter()
                reply = run()
                seconds = time.perf_counter() - start
                losses = reply.pop("losses", [])
                sums.update({"units": work.units} | reply | {"seconds": seconds})
            losses = [float(loss) for loss in (losses() if callable(losses) else losses)]
            reply = sums | {"losses": losses}
        else:
            reply = {"peak_rss": peak_rss(), "pools": pools(), "about": getattr(contender, "about", str)()}
        print(json.dumps(reply), file=replies, flush=True)


def peak_rss():
    """The peak memory of this process in bytes; None on Windows. Linux reports KiB, macOS bytes."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def pools():
    """The thread pools of this process, with the kernels that a BLAS chose."""
    if not is_installed("threadpoolctl"):
        return []
    from threadpoolctl import threadpool_info

    keys = "internal_api", "version", "architecture", "num_threads"
    return [" ".join(str(pool[key]) for key in keys if pool.get(key)) for pool in threadpool_info()]


if __name__ == "__main__":
    serve(*sys.argv[1:])
