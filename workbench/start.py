"""The entry point of every program."""

import gc
import os
from importlib import import_module


def start(module: str) -> None:
    """Run the command line `app` of a module with one thread, unless `OPENBLAS_NUM_THREADS` says otherwise.

    With more threads, the same seed would give other bits, and another busy program would cost much time; see
    `numpyrnn.threads`. BLAS reads the variable when NumPy is first imported, so it is set before that.

    Parameters
    ----------
    module : str, such as "dinos.cli"
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from numpyrnn.cli import run

    app = import_module(module).app
    gc.freeze()  # what was imported stays, so the garbage collector need not scan it
    run(app)
