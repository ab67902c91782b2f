"""The entry point of `dinos` and of `python -m dinos`."""

from workbench.start import start


def main() -> None:
    """Run the command line."""
    start("dinos.cli")


if __name__ == "__main__":
    main()
