"""Mutation testing: one fault at a time is planted in a copy of the engine; do the tests of its module notice?

`make mutants` plants a seeded sample with as many faults of each kind: arithmetic, comparisons, constants and control
flow. `make mutants ALL=1` plants all faults. Both fail if less than 90 % are noticed (killed). Survivors are printed
with their reason from `survivors.txt`; a reason does not make a survivor count as killed. Cosmic Ray makes the faults.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.provider import OperatorProvider

ROOT = Path(__file__).parents[1]
LOADED = "numpy scipy.signal scipy.special scipy.stats hypothesis.extra.numpy xdist.plugin xdist.looponfail tqdm"
REASONS = Path(__file__).with_name("survivors.txt")
TARGET = 0.9

TESTS = {  # module: the test files that must notice its faults
    "activations": "activations",
    "archive": "bounds checkpoint forged_models",
    "cells": "cells recurrent unroll",
    "checkpoint": "bounds checkpoint checkpoint_text restore forged_models",
    "convolution": "convolution",
    "inspect": "inspect",
    "layer": "bounds layer layers recurrent",
    "layers": "layers layers_pooling",
    "losses": "losses train",
    "measure": "bounds train train_faults",
    "optim": "optim train",
    "place": "bounds refused_states train_faults restore",
    "recurrent": "recurrent layers layer unroll",
    "sampler": "bounds sampling sampling_tail",
    "sampling": "sampling sampling_workers",
    "state": "bounds restore refused_states",
    "stepper": "stepper stepper_threads",
    "train": "bounds train workers restore train_faults",
    "unroll": "unroll recurrent layer",
}
ARITHMETIC = "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_Mul Pow_Mul LShift_RShift RShift_LShift"
BITS = "BitOr_BitAnd BitAnd_BitOr"
COMPARISONS = "Eq_NotEq NotEq_Eq Lt_LtE LtE_Lt Gt_GtE GtE_Gt Is_IsNot IsNot_Is"
KINDS = {  # the operators of Cosmic Ray
    "arithmetic": [
        *(f"ReplaceBinaryOperator_{pair}" for pair in f"{ARITHMETIC} {BITS}".split()),
        *("ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Invert"),
    ],
    "comparisons": [f"ReplaceComparisonOperator_{pair}" for pair in COMPARISONS.split()],
    "constants": ["NumberReplacer", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"],
    "control flow": [
        *("AddNot", "ReplaceUnaryOperator_Delete_Not", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
        *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop", "ExceptionReplacer"),
    ],
}


@dataclass
class Mutant:
    """One fault of one module."""

    module: str
    kind: str
    line: int
    operator: str
    occurrence: int

    def source(self) -> str:
        """The text of the module with the fault."""
        return mutate_code(
            path_of(self.module).read_text("utf-8"), OperatorProvider()[self.operator](), self.occurrence
        )

    def change(self) -> tuple[str, str]:
        """The line as it is and as the fault makes it."""
        lines = path_of(self.module).read_text("utf-8").splitlines(), self.source().splitlines()
        return next((a.strip(), b.strip()) for a, b in zip(*lines) if a != b)


def path_of(module: str, root: Path = ROOT) -> Path:
    return root / "numpyrnn" / f"{module}.py"


def mutants(module: str) -> Iterator[Mutant]:
    """All faults of a module, except those in annotations and messages."""
    source = path_of(module).read_text("utf-8")
    spared = list(spared_places(source))
    nodes = list(ast_nodes(get_ast(source)))
    for kind, name in ((kind, name) for kind, names in KINDS.items() for name in names):
        operator = OperatorProvider()[name]()
        places = [(place, node) for node in nodes for place, _ in operator.mutation_positions(node)]
        for occurrence, (place, node) in enumerate(places):
            is_separator = node.parent and node.parent.type == "parameters"  # the * before arguments by name
            if not is_separator and not any(start <= place < end for start, end in spared):
                yield Mutant(module, kind, place[0], name, occurrence)


def spared_places(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The start and end of all annotations and messages."""
    for node in ast.walk(ast.parse(source)):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        for part in [node] if isinstance(node, ast.Raise | ast.JoinedStr) else parts:
            if part is not None:
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def make_copy(place: Path) -> None:
    """Give this process a copy of the checkout, in which it plants the faults."""
    global folder
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the pool ends its processes with it
    folder = shutil.copytree(ROOT, place / str(os.getpid()), ignore=shutil.ignore_patterns(".*", "demo"))


def passes(module: str, seconds: int) -> bool:
    """Whether the tests of a module pass in the copy, in a fork that has the libraries loaded already."""
    files = [f"tests/test_{name}.py" for name in [*TESTS[module].split(), "defaults"]]
    if not (child := os.fork()):
        signal.alarm(seconds)  # it ends the child
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        for stream in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        os._exit(pytest.main(["-x", "-q", "--assert=plain", "-m", "not extra", "-p", "no:cacheprovider", *files]))
    return os.waitpid(child, 0)[1] == 0


def seconds_needed(module: str) -> float:
    """The time of a module's tests without a fault."""
    start = time.perf_counter()
    if not passes(module, 600):
        raise RuntimeError(f"the tests of {module} fail without a fault: {TESTS[module]}")
    return time.perf_counter() - start


def survives(task: tuple[int, Mutant, int]) -> bool:
    """Whether the tests pass with a fault; a task is its number, the fault, and the seconds that they may take."""
    number, mutant, seconds = task
    path = path_of(mutant.module, folder)
    path.write_text(mutant.source(), "utf-8")
    os.utime(path, (number, number))  # Python recognises a changed file by its time, in seconds
    try:
        return passes(mutant.module, seconds)
    finally:
        shutil.copy2(path_of(mutant.module), path)


def read_reasons() -> dict[tuple[str, str, str], str]:
    """The reasons in `survivors.txt`, by module, line and faulty line."""
    blocks = REASONS.read_text("utf-8").strip().split("\n\n")[1:]  # the first explains the file
    reasons = {}
    for path, old, new, *reason in map(str.splitlines, blocks):
        reasons[Path(path).stem, old.removeprefix("- "), new.removeprefix("+ ")] = " ".join(reason)
    return reasons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=[*TESTS], metavar="module", help=", ".join(TESTS))
    parser.add_argument("--all", action="store_true", help="try all faults, not a sample")
    parser.add_argument("--each", type=int, default=80, help="faults of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample (default: %(default)s)")
    arguments = parser.parse_args()
    faults = [mutant for module in arguments.modules for mutant in mutants(module)]
    found = len(faults)
    if not arguments.all:
        random.Random(arguments.seed).shuffle(faults)
        faults = [mutant for kind in KINDS for mutant in [m for m in faults if m.kind == kind][: arguments.each]]
    faults.sort(key=lambda mutant: (mutant.module, mutant.line))
    print(f"{len(faults)} of {found} faults, seed {arguments.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: the processes end, the copies are removed
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in LOADED.split():
        importlib.import_module(name)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # a fault may ask for any amount of memory
    with TemporaryDirectory() as place:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = place  # other runs of pytest clear the usual folder
        survivors = try_out(faults, Path(place))
    report(faults, survivors)


def try_out(faults: list[Mutant], place: Path) -> list[Mutant]:
    """Plant each fault in a copy of the checkout and run the tests; print and return the faults that they pass."""
    reasons, survivors = read_reasons(), []
    modules = sorted({mutant.module for mutant in faults})
    with get_context("fork").Pool(len(os.sched_getaffinity(0)), make_copy, (place,)) as pool:
        seconds = dict(zip(modules, pool.map(seconds_needed, modules, 1)))
        tasks = [(n, mutant, 20 + 5 * int(seconds[mutant.module])) for n, mutant in enumerate(faults)]
        for mutant, alive in zip(faults, pool.imap(survives, tasks)):
            if alive:
                survivors.append(mutant)
                old, new = mutant.change()
                reason = reasons.get((mutant.module, old, new), "NO REASON IS GIVEN")
                print(f"\nnumpyrnn/{mutant.module}.py:{mutant.line}\n- {old}\n+ {new}\n{reason}", flush=True)
    return survivors


def report(faults: list[Mutant], survivors: list[Mutant]) -> None:
    """Print the tables of figures; fail below the target."""
    print()
    for key in ("module", "kind"):
        tried, alive = (Counter(getattr(mutant, key) for mutant in group) for group in (faults, survivors))
        print(f"{key:14}{'faults':>8}{'killed':>8}")
        for name in sorted(tried):
            print(f"{name:14}{tried[name]:8}{tried[name] - alive[name]:8}")
    killed = len(faults) - len(survivors)
    print(f"{'all':14}{len(faults):8}{killed:8}{killed / len(faults):8.1%}")
    if killed < TARGET * len(faults):
        raise SystemExit(f"less than {TARGET:.0%} of the faults were killed")


if __name__ == "__main__":
    main()
