"""The entry point of `sonnets` and of `python -m sonnets`."""

import os


def main() -> None:
    """Run the command line, with one thread unless the environment says otherwise: `dinos.__main__` says why.

    It holds for these larger products too: a second thread gains nothing, and where the other core is busy a step takes
    five times as long.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from numpyrnn.command import run

    from .cli import app

    run(app)


if __name__ == "__main__":
    main()
