"""The entry point of `piano` and of `python -m piano`."""

import os


def main() -> None:
    """Run the command line, with one thread unless `OPENBLAS_NUM_THREADS` says otherwise: see `dinos.__main__`."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from numpyrnn.cli import run

    from .cli import app

    run(app)


if __name__ == "__main__":
    main()
