"""The entry point of `dinos` and of `python -m dinos`."""

import os


def main() -> None:
    """Run the command line, with one thread unless `OPENBLAS_NUM_THREADS` says otherwise.

    `numpyrnn.threads` says why: more make other bits from the same seed, and lose much where another program is busy.
    Here they are not even started. BLAS reads the setting when NumPy is first imported, so it comes before that.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from numpyrnn.cli import run

    from .cli import app

    run(app)


if __name__ == "__main__":
    main()
