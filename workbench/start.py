"""The entry point of every program."""

import gc
import os
import signal
from importlib import import_module


def leave(number: int, _: object) -> None:
    """Say that the program was interrupted, and end the process at once: nothing is being written yet."""
    try:
        os.write(2, b"\n" * os.isatty(2) + b"Interrupted.\n")
    finally:
        os._exit(128 + number)


def start(module: str) -> None:
    """Run the command line `app` of a module with one thread, unless `OPENBLAS_NUM_THREADS` says otherwise.

    With more threads, the same seed would give other bits, and another busy program would cost much time; see
    `numpyrnn.threads`. BLAS reads the variable when NumPy is first imported, so it is set before that.

    Parameters
    ----------
    module : str, such as "dinos.cli"
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # first of all: an interrupted import would print a traceback
        if (number := getattr(signal, name, None)) and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, leave)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from numpyrnn.cli import run
    from numpyrnn.ranks import started

    app = import_module(module).app
    gc.freeze()  # what was imported stays, so the garbage collector need not scan it
    if started() == 1:
        run(app)
    else:
        from .together import run_together

        run_together(app)


def engine() -> None:
    """Run the command `numpyrnn`."""
    start("numpyrnn.cli")
