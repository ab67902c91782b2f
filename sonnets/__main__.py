"""The entry point of `sonnets` and of `python -m sonnets`."""

from workbench.start import start


def main() -> None:
    """Run the command line."""
    start("sonnets.cli")


if __name__ == "__main__":
    main()
