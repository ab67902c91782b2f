"""Helpers for music files: read their first bytes, name them in errors, and number equal names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

from numpyrnn.checks import NumpyrnnError

MIDI_ENDINGS = (".mid", ".midi", ".kar", ".rmi")


def first_bytes(path: str | Path, size: int, what: str) -> bytes:
    """Read the beginning of a file, or all of a shorter one.

    Parameters
    ----------
    path : file
    size : int, the largest number of bytes to read
    what : str, what the file must be, for errors, such as "a MIDI file"

    Returns
    -------
    bytes

    Raises
    ------
    NumpyrnnError
        if there is no such file, it is a folder or a device, or it cannot be read
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # reading a pipe would block
            raise NumpyrnnError(f"{path} must be {what}, it is {'a folder' if path.is_dir() else 'no plain file'}")
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise NumpyrnnError(f"{path} could not be read: {error.strerror or error}") from error


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
