"""Contenders take turns, each in a process of its own, so that a machine that drifts drifts for all.

The first of a turn is another each time, A B C, B C A, C A B, so that nobody always comes after a rest.

Driver and worker speak JSON, a line a message: {"work": name} prepares, {"go": threads, "least": seconds} runs, once or
as often as so much time takes, {"end": true} gives the worker's memory. The worker's half is `serve`; it runs
`python arena.py FOLDER MODULE CORES`.
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
REST = 0.15  # seconds after a turn, until the threads that it started have gone to sleep (OpenBLAS's: 0.1)
SHORT = 0.5  # seconds: a run of several threads that takes less is led in by one that does not count; after a rest the
# system needs some 20 ms to give threads that wait for each other a core each, as a training has them all the time
SLOW = 1.0  # seconds: a run that takes longer needs no warming up
DROPPED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # each library chooses its own kernels for the machine
DROPPED += ("NUMPYRNN_BACKEND",)  # and a contender its own way


@dataclass(frozen=True)
class Contender:
    """A name, its file, the beginnings of its works' names, packages that it needs, its environment, its checkout."""

    name: str
    module: str
    works: tuple[str, ...]
    needs: tuple[str, ...] = ()
    environment: dict = field(default_factory=dict)
    home: Path = HERE.parent

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
    """That of a process which is to use so many threads, and the packages of the checkout at `home`."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    names += ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    xla = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()} intra_op_parallelism_threads={threads}"
    kept = {name: value for name, value in os.environ.items() if name not in DROPPED}
    return kept | dict.fromkeys(names, str(threads)) | {"XLA_FLAGS": xla, "PYTHONPATH": str(home)} | more


def cores():
    """The numbers of the cores that this process may use; none where that cannot be said."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


class Worker:
    """A contender's process, as the driver sees it."""

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
            raise SystemExit(f"{self.name} ended before its time; what it wrote is above.")
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
    """The works by the contenders' workers: {work: {contender: its turns}}; a worker serves all its works of `names`.

    Its turns are lists of "seconds" and "units" and, where the work has them, "forward" (seconds) and "losses" (the
    first and the last). With one name there are also "peak_rss" (bytes), "pools" (of threads) and "about".
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
    """All turns of one work, each of `least` seconds or more."""
    for worker in workers:  # they prepare side by side ...
        worker.send(work=name)
    (rtol, *_) = [worker.receive()["rtol"] for worker in workers]
    rounds = [{worker: worker.go(threads, least) for worker in workers}]  # ... and from here on run one after the other
    if min(reply["seconds"] for reply in rounds[0].values()) < SLOW:
        rounds.clear()  # that was to warm up
    while len(rounds) < turns:
        rounds.append({worker: worker.go(threads, least) for worker in rotated(workers, len(rounds))})
    results = {worker.name: together([replies[worker] for replies in rounds]) for worker in workers}
    check_same(name, results, rtol)
    speeds = (f"{peer} {median_time(its_turns):.3g} s" for peer, its_turns in results.items())
    print(f"{threads} thread{'s'[: threads > 1]}, {name}: {', '.join(speeds)}", file=sys.stderr, flush=True)
    return {peer: its_turns | {"losses": ends(its_turns["losses"])} for peer, its_turns in results.items()}


def rotated(items, turn):
    """The items in the order of a turn: A B C, B C A, C A B, and from the beginning."""
    first = turn % len(items)
    return [*items][first:] + [*items][:first]


def together(replies):
    """One contender's turns: lists of what differs, and the losses' means (a run always starts anew)."""
    lists = {key: [reply[key] for reply in replies] for key in replies[0] if key != "losses"}
    return lists | {"losses": [fmean(values) for values in zip(*(reply["losses"] for reply in replies))]}


def ends(losses):
    return losses[:: max(1, len(losses) - 1)]


def median_time(its_turns):
    return median(seconds / units for seconds, units in zip(its_turns["seconds"], its_turns["units"]))


def check_same(name, results, rtol):
    """The same work gives the same losses, the first one nearly to the last digit."""
    given = {peer: its_turns["losses"] for peer, its_turns in results.items() if its_turns["losses"]}
    first, expected = next(iter(given.items()), ("", []))
    for peer, losses in given.items():
        close = [math.isclose(*pair, rel_tol=rtol[k > 0]) for k, pair in enumerate(zip(losses, expected))]
        if not all(close) or len(losses) != len(expected):
            raise SystemExit(f"{name}: {peer} must give what {first} gives, {ends(expected)}, it gives {ends(losses)}")


def serve(folder, module, numbers):
    """The worker's half; what the module in `folder` imports of the works is the `works.py` beside this file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver ends its workers
    if numbers:
        os.sched_setaffinity(0, map(int, numbers.split(",")))
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no reply
    import works

    sys.path.insert(0, folder)
    contender = importlib.import_module(module)
    for line in sys.stdin:
        message = json.loads(line)
        if "work" in message:
            name = message["work"]
            work = works.WORKS[name]()
            run = next(make for key, make in contender.TABLE.items() if name.startswith(key))(work)
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
    """Bytes; Linux counts in KiB, macOS in bytes, and Windows does not say."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def pools():
    """The pools of threads in this process, and which kernels a BLAS chose."""
    if not is_installed("threadpoolctl"):
        return []
    from threadpoolctl import threadpool_info

    keys = "internal_api", "version", "architecture", "num_threads"
    return [" ".join(str(pool[key]) for key in keys if pool.get(key)) for pool in threadpool_info()]


if __name__ == "__main__":
    serve(*sys.argv[1:])
