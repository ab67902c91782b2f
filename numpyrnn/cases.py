"""Gradient checks of functions in a user's own file, which is run like any program: see `docs/check-your-own.md`.

A case is a function without arguments that returns what is to be checked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from .checks import KEPT, NumpyrnnError, shown
from .files import first_bytes
from .gradcheck import GradientReport, check_gradients, check_layer
from .layer import Layer

MOST_BYTES = 1 << 20  # of a file
FORMS = (
    "forward, backward and arrays, or a layer, alone or with its input, or what check_gradients or check_layer returns"
)


def checks_of(spec: str, seed: int = 0) -> list[tuple[str, Callable[[], GradientReport]]]:
    """Run a file and find its cases.

    Parameters
    ----------
    spec : str, "FILE.py:CASE", or "FILE.py" for every function of the file whose name begins with "case"
    seed : int, default 0, for the upstream gradients

    Returns
    -------
    list of tuples: the name of a case, as "FILE.py:CASE", and a function that checks it

    Raises
    ------
    NumpyrnnError
        if there is no such file or case, the user's code raises, or (by the functions) a case cannot be checked
    """
    file, _, wanted = spec.rpartition(":")
    file, wanted = (file.rstrip(":"), wanted) if file and wanted.isidentifier() else (spec, "")
    cases = cases_of(Path(file), wanted).items()
    return [(f"{file}:{name}", partial(report_of, f"{file}:{name}", Path(file), case, seed)) for name, case in cases]


def cases_of(path: Path, wanted: str = "") -> dict[str, Callable[[], Any]]:
    """Run a file, and return the case that is wanted or, by default, all."""
    if path.suffix != ".py" and not path.is_dir():
        raise NumpyrnnError(f"a file of cases must be a Python file whose name ends in .py, got {shown(path, KEPT)}")
    source = first_bytes(path, MOST_BYTES + 1, "a Python file")
    if len(source) > MOST_BYTES:
        raise NumpyrnnError(f"{path} must be a Python file of at most {MOST_BYTES:,} bytes, it has more")
    whole = path.resolve()
    module = ModuleType(f"_checked_{path.stem}")
    module.__file__ = str(whole)
    sys.modules[module.__name__] = module  # as dataclasses need it
    if str(whole.parent) not in sys.path:
        sys.path.insert(0, str(whole.parent))  # so that it can import its neighbours
    with one_line(str(path), path):
        exec(compile(source, str(whole), "exec"), vars(module))
    cases = {name: case for name, case in vars(module).items() if name.startswith("case") and callable(case)}
    if wanted and callable(case := vars(module).get(wanted)):
        return {wanted: case}
    if wanted or not cases:
        needs = f"define a function {wanted}" if wanted else "define a function whose name begins with case"
        raise NumpyrnnError(f"{path} must {needs}, its cases are: {', '.join(cases) or 'none'}")
    return cases


def report_of(name: str, path: Path, case: Callable[[], Any], seed: int) -> GradientReport:
    """Call a case, and check what it returns."""
    with one_line(name, path):
        return checked(case(), seed)


def checked(made: Any, seed: int) -> GradientReport:
    """Check what a case returned."""
    if isinstance(made, GradientReport):
        return made
    parts = made if isinstance(made, tuple) and made else (made,)
    of_functions = len(parts) > 2 and callable(parts[0]) and callable(parts[1])
    if not of_functions and not isinstance(parts[0], Layer):
        came = "None: is a `return` missing?" if made is None else f"{made!r:.80}"
        raise NumpyrnnError(f"a case must return {FORMS}, got {came}")
    check: Any = check_layer if isinstance(parts[0], Layer) else check_gradients
    report: GradientReport = check(*parts, seed=seed)
    return report


@contextmanager
def one_line(what: str, path: Path) -> Iterator[None]:
    """Turn any error in the block into one line, with the last place in the user's file or in one beside it."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        folder, kind = path.resolve().parent, type(error).__name__
        frames = [frame for frame in extract_tb(error.__traceback__) if Path(frame.filename).parent == folder]
        if isinstance(error, SyntaxError) and error.filename and Path(error.filename).parent == folder:
            raise NumpyrnnError(f"{Path(error.filename).name}, line {error.lineno}: {kind}: {error.msg}") from error
        try:
            words = str(error)
        except Exception as second:
            words = f"(its text cannot be shown: {type(second).__name__})"
        if frames:
            last = frames[-1]
            within = "" if last.name.startswith("<") else f", in {last.name}"
            raise NumpyrnnError(f"{Path(last.filename).name}, line {last.lineno}{within}: {kind}: {words}") from error
        raise NumpyrnnError(f"{what}: {'' if isinstance(error, NumpyrnnError) else f'{kind}: '}{words}") from error
