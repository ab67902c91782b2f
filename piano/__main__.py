"""The entry point of `piano` and of `python -m piano`."""

from workbench.start import start


def main() -> None:
    """Run the command line."""
    start("piano.cli")


if __name__ == "__main__":
    main()
