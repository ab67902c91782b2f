"""Check whether this checkout is slower than a commit. Both take turns, plain and compiled, with one thread.

Both run the works of this checkout's `works.py`, each with its own `by_numpyrnn.py`, and start the program `dinos`. The
exit status is 1 if this checkout is too much slower in any of them.
"""

import argparse
import shlex
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import arena
import report
import works
from bench import ONLY, QUICK, take_turns

FLOOR, FLOOR_OF_W4 = 0.97, 0.95  # a lower ratio of speeds, now to before, is a miss
LEAST = 0.15  # seconds a turn, at least
TURNS = 3  # turns per process: by the placement of its arrays alone, one process can be 1.2 times as fast as another
START = "W6 dinos sample -n 1"
FEW = (*QUICK, "W5", "W6")  # beginnings of the names of the works that run without --full


@contextmanager
def checkout(commit):
    """A temporary folder that holds the files of a commit."""
    git = partial(subprocess.run, cwd=arena.HERE.parent, capture_output=True)
    found = git(["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"], text=True)
    if found.returncode:
        raise SystemExit(f"against.py needs a commit of this repository, got {commit!r}")
    with TemporaryDirectory(prefix="numpyrnn-before-") as folder:
        files = git(["git", "archive", "--format=tar", found.stdout.strip()], check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=files, check=True)
        Path(folder, "numpyrnn_data").symlink_to("data")  # the commit's data instead of this checkout's
        yield Path(folder)


def before(name):
    return f"{name} before"


def sides(old):
    """The contenders: numpyrnn, plain and compiled, in this checkout and in the folder `old`."""
    ours = [c for c in arena.CONTENDERS if c.name in (report.PLAIN, report.FAST) and not c.missing]
    return [*ours, *(replace(c, name=before(c.name), home=old) for c in ours)]


def starts(contenders, turns):
    """Turns, as in `arena.compete`, of whole processes that print one name."""
    command = [sys.executable, "-m", "dinos", "sample", "-n", "1"]
    run = partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
    processes = {c.name: partial(run, cwd=c.home, env=arena.environment(1, c.environment, c.home)) for c in contenders}
    seconds, _ = take_turns(processes, turns)
    return {name: {"seconds": its_turns.tolist(), "units": [1] * turns} for name, its_turns in seconds.items()}


def verdicts(results):
    """Yield (work, contender, ratios of speeds turn by turn, whether it is a miss) for each work and back end."""
    measured = report.Measured({"works": {"1": results}}, 1)
    for work in results:
        floor = FLOOR_OF_W4 if work in works.SHAPES else FLOOR
        for ours in (report.PLAIN, report.FAST):
            if ratios := measured.speed(work, ours, peer=before(ours)):
                yield work, ours, ratios, median(ratios) < floor


def table(results):
    measured = report.Measured({"works": {"1": results}}, 1)
    rows = [("work", "contender", "before", "now", "ratio", "")]
    for work, ours, ratios, missed in verdicts(results):
        times = [report.duration(median(measured.times(work, name))) for name in (before(ours), ours)]
        ratio = f"{median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})"
        rows.append((work, ours, *times, ratio, "**miss**" if missed else ""))
    return report.table(*rows)


def measure(commit, only, turns):
    """Turns, by work and contender, of all works whose names begin with one of `only`."""
    names = [name for name in works.WORKS if name.startswith(only)]
    with checkout(commit) as old:
        contenders = sides(old)
        results = {name: {c.name: {"seconds": [], "units": []} for c in contenders} for name in names}
        for done in range(0, turns, TURNS):
            more = arena.compete(names, arena.rotated(contenders, done), 1, min(TURNS, turns - done), LEAST)
            join(results, more)
        return results | ({START: starts(contenders, turns)} if START.startswith(only) else {})


def join(results, more):
    """Append the turns of new processes to `results`."""
    for name, contenders in results.items():
        for contender, its_turns in contenders.items():
            for key, values in its_turns.items():
                values.extend(more[name][contender][key])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="the commit to compare with")
    parser.add_argument("--full", action="store_true", help="all works and all shapes of W4")
    parser.add_argument("--only", nargs="+", metavar="WORK", help=ONLY)
    parser.add_argument("--turns", type=int, default=9, help="number of turns, default 9")
    options = parser.parse_args()
    only = tuple(options.only or (["W"] if options.full else FEW))
    if options.turns < 1 or not any(name.startswith(only) for name in (START, *works.WORKS)):
        parser.error("--turns must be 1 or more; --only needs works, W1 to W7, or the beginnings of their names")
    results = measure(options.commit, only, options.turns)
    print(f"Compared with {options.commit}: one thread, {options.turns} turns; ratios of speeds, now to before.\n")
    print(table(results))
    missed = list(dict.fromkeys(work for work, _, _, is_missed in verdicts(results) if is_missed))
    if not missed:
        print(f"No miss: every ratio is at least {FLOOR}, or {FLOOR_OF_W4} for shapes of W4.")
        return
    floors = f"below {FLOOR}, or {FLOOR_OF_W4} for shapes of W4"
    print(f"{len(missed)} missed: {floors}. A miss counts if a second run repeats it:\n")
    print(shlex.join([sys.executable, sys.argv[0], options.commit, "--only", *missed]))
    raise SystemExit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("stopped") from None
