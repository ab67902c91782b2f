"""Compare speed and memory with other libraries on the same work; `make bench` writes `RESULTS.md` and `results.json`.

`works.py` defines the works, `by_*.py` how each contender does them, `arena.py` how the contenders take turns, and
`report.py` the tables. With options that leave something out, the tables are printed and no file is written.
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import arena
import numpy as np
import report
import works

PACKAGES = ("numpy", "scipy", "numba", "torch", "jax", "jaxlib", "keras", "threadpoolctl")
TURNS_OF_W4 = 7
QUICK = ("W1", "W2 float32", "W3", "W5 names", "W5 values, greedy", "W7")
QUICK += tuple(f"W4 H {H} N {N} T 32" for H in (64, 256) for N in (1, 64))
QUICK_CONTENDERS = ("numpyrnn", "numpyrnn fast", "PyTorch", "floor")
ONLY = 'works, or the beginnings of their names, such as W2 or "W4 H 256"'  # help of --only


def take_turns(contenders, turns):
    """Call contenders in turns, in this process. Returns each one's seconds turn by turn, and its last result."""
    for contender in contenders.values():  # warm-up
        contender()
    seconds, results = {name: [] for name in contenders}, {}
    for turn in range(turns):
        for name in arena.rotated(contenders, turn):
            start = time.perf_counter()
            results[name] = contenders[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(times) for name, times in seconds.items()}, results


def starts(turns):
    """W6: the seconds that whole processes take, turn by turn, with one thread each."""
    imports = {f"import {package}": (package, "-c", f"import {package}") for package in ("torch", "jax", "keras")}
    commands = {  # the package that is needed, then the arguments of `python`
        report.BARE: ("numpy", "-c", "pass"),
        report.IMPORT: ("numpy", "-c", "import numpyrnn"),
        report.FAST_IMPORT: ("numba", "-c", "import numpyrnn"),
        **imports,
        report.FIRST_NAME: ("numpy", "-m", "dinos", "sample", "-n", "1"),
        report.TORCH_NAME: ("torch", str(arena.HERE / "by_torch_name.py")),
    }
    processes = {}
    for name, (package, *command) in commands.items():
        if arena.is_installed(package):
            more = {"KERAS_BACKEND": "jax"} | ({"NUMPYRNN_BACKEND": "fast"} if name == report.FAST_IMPORT else {})
            run = partial(subprocess.run, [sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
            processes[name] = partial(run, env=arena.environment(1, more))
    return {name: seconds.tolist() for name, seconds in take_turns(processes, turns)[0].items()}


def machine():
    """A description of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    try:
        memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        memory = "unknown"
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor,
        "cores": len(arena.cores()) or os.cpu_count(),
        "instruction sets (NumPy)": " ".join([*simd.get("baseline", []), *simd.get("found", [])]),
        "memory": memory,
        "system": platform.platform(),
        "load before (0: nothing else ran)": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        "versions": f"Python {platform.python_version()}, " + ", ".join(filter(None, map(installed, PACKAGES))),
    }


def installed(package):
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def measure(options):
    """The raw numbers of everything that the options ask for."""
    started, names = time.perf_counter(), [name for name in works.WORKS if name.startswith(options.only)]
    chosen = [c for c in arena.CONTENDERS if not options.contenders or c.name in options.contenders]
    results = {
        "machine": machine(),
        "left out": {c.name: c.missing for c in chosen if c.missing},
        "works": {str(threads): {} for threads in options.threads},
    }
    alone = [name for name in names if name not in works.SHAPES and not options.quick]  # in processes of their own,
    together = [name for name in names if name not in alone]  # so that their peak memory is known
    contenders = [c for c in chosen if not c.missing]
    for threads in options.threads:
        measured = results["works"][str(threads)]
        for name in alone:
            measured |= arena.compete([name], contenders, threads, options.turns or 9)
        if together:
            measured |= arena.compete(together, contenders, threads, options.turns or TURNS_OF_W4)
    if "W6".startswith(options.only):
        results["starts"] = starts(options.turns or 9)
    return results | {"minutes": (time.perf_counter() - started) / 60}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under two minutes: fewer works and contenders, 3 turns")
    parser.add_argument("--turns", type=int, help=f"number of turns, default 9, and {TURNS_OF_W4} for shapes of W4")
    parser.add_argument("--only", nargs="+", metavar="WORK", help=ONLY)
    parser.add_argument("--contenders", nargs="+", metavar="NAME", help='such as numpyrnn "numpyrnn fast" PyTorch')
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads, default 1 2")
    options = parser.parse_args()
    whole = not (options.quick or options.only or options.contenders) and options.threads == [1, 2]
    if whole and options.turns and options.turns < TURNS_OF_W4:
        parser.error(f"--turns must be at least {TURNS_OF_W4} if the results are written, got {options.turns}")
    if options.quick:
        options.turns, options.contenders = options.turns or 3, options.contenders or QUICK_CONTENDERS
    options.only = tuple(options.only or (QUICK if options.quick else ("W",)))
    if not any(name.startswith(options.only) for name in ("W6", *works.WORKS)):
        parser.error(f"--only needs works, W1 to W7, or the beginnings of their names; got {' '.join(options.only)}")
    return options, whole


def main():
    options, whole = arguments()
    results = measure(options)
    if whole:
        report.write(results)
    else:
        print(report.page(results))


if __name__ == "__main__":
    main()
