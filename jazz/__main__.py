"""The entry point of `jazz` and of `python -m jazz`."""

from workbench.start import start


def main() -> None:
    """Run the command line."""
    start("jazz.cli")


if __name__ == "__main__":
    main()
