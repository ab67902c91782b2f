"""The entry point of every program."""

import gc
import os
from importlib import import_module


def start(module: str) -> None:
    """Run the command line `app` of a module with one thread, unless `OPENBLAS_NUM_THREADS` says otherwise.

    More threads would give other bits for the same seed and lose much time beside another busy program, see
    `numpyrnn.threads`. BLAS reads the setting when NumPy is first imported, so it is made before that.

    Parameters
    ----------
    module : such as "dinos.cli"
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from numpyrnn.cli import run

    app = import_module(module).app
    gc.freeze()  # what was imported stays: neither collections nor the exit need to look through it
    run(app)
