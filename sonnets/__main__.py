"""The entry point of `sonnets` and of `python -m sonnets`."""

import os


def main() -> None:
    """Run the command line, with one thread unless the environment says otherwise: `dinos.__main__` says why.

    These products are larger: with `OPENBLAS_NUM_THREADS=2` the default recipe trains 1.5 times as fast where nothing
    else runs. But two threads wait for each other: where the other core is busy a step takes several times as long.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from numpyrnn.command import run

    from .cli import app

    run(app)


if __name__ == "__main__":
    main()
