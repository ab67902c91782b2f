"""`python -m numpyrnn` is the command `numpyrnn`."""

from .cli import main

main()
