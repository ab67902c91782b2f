"""The entry point of `dinos` and of `python -m dinos`."""

import os


def main() -> None:
    """Run the command line, with one thread unless the environment says otherwise.

    The products of these models are so small that a second thread gains nothing, and loses much where another program
    is busy. BLAS reads the setting when NumPy is first imported, so it comes before that.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from numpyrnn.command import run

    from .cli import app

    run(app)


if __name__ == "__main__":
    main()
