"""Writing files, completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO

from .checks import NumpyrnnError


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
