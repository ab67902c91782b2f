"""Helpers for music files: name them in errors, and number equal names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

from numpyrnn.checks import NumpyrnnError

MIDI_ENDINGS = (".mid", ".midi", ".kar", ".rmi")


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Put a file's name before the message of each `NumpyrnnError` that the block raises."""
    try:
        yield
    except NumpyrnnError as error:
        raise NumpyrnnError(f"{path}: {error}") from error


def different_names(names: Iterable[str]) -> list[str]:
    """Make names different by numbering repeated ones: "x", "x (2)", "x (3)"."""
    different: dict[str, None] = {}
    for name in names:
        candidates = chain([name], (f"{name} ({number})" for number in count(2)))
        different[next(candidate for candidate in candidates if candidate not in different)] = None
    return list(different)
