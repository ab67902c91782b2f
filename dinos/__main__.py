"""`python -m dinos` is the command `dinos`."""

from .cli import main

main()
