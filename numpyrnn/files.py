"""Reading plain files only, and writing files completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import IO

from .checks import NumpyrnnError


@contextmanager
def open_plain(path: str | Path, what: str) -> Iterator[IO[bytes]]:
    """Open a plain file to read; a folder, or a device or pipe, which could block or never end, is an error.

    Parameters
    ----------
    path : file
    what : str, what the file must be, for errors, such as "a MIDI file"

    Yields
    ------
    binary file, open for reading

    Raises
    ------
    NumpyrnnError
        if there is no such file, it is no plain file, or it cannot be read, also later in the block
    """
    try:
        if not isinstance(path, str | os.PathLike) or not str(path) or "\0" in str(path):
            raise NumpyrnnError(f"a path must be text, not empty and without a zero byte, got {path!r}")
        with open(path, "rb", opener=_without_waiting) as file:
            if not S_ISREG(os.fstat(file.fileno()).st_mode):
                raise NumpyrnnError(f"{path} must be {what}, it is a device or a pipe")
            yield file
    except IsADirectoryError:
        raise NumpyrnnError(f"{path} must be {what}, it is a folder") from None
    except OSError as error:
        raise NumpyrnnError(f"{path} could not be read: {error.strerror or error}") from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe that nobody writes to would block


def first_bytes(path: str | Path, size: int, what: str) -> bytes:
    """Read the beginning of a plain file, or all of a shorter one.

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
        if there is no such file, it is no plain file, or it cannot be read
    """
    with open_plain(path, what) as file:
        return file.read(size)


def check_plain_file(path: Path) -> None:
    """Raise if `path` exists and is not a plain file."""
    if path.is_dir():
        raise NumpyrnnError(f"{path} must be a file to write, it is a folder")
    if path.exists() and not path.is_file():
        raise NumpyrnnError(f"{path} must be a plain file to write, it is a device or a pipe")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces `path` when the block ends, and is deleted if the block raises.

    Parameters
    ----------
    path : the file to write; its folder must exist

    Yields
    ------
    binary file, open for writing

    Raises
    ------
    NumpyrnnError
        if it cannot be written; an existing file is then unchanged
    """
    path = Path(path)
    check_plain_file(path)
    target = Path(os.path.realpath(path))  # keeps a link a link
    temporary = target.with_name(f".{target.name}.{token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise NumpyrnnError(f"{path} could not be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it has replaced the target, or was never made
            temporary.unlink()
