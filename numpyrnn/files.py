"""Reading plain files only, and writing files completely or not at all."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from stat import S_ISREG
from typing import IO

from .checks import NumpyrnnError
from .signals import TEMPORARY, held

RESERVATION, PATIENCE = "0" * 16, 20  # the ending of a reservation, and how often it is tried
HIDDEN = re.compile(r"\.numpyrnn-.+-[0-9a-f]{16}")  # names of temporary files and reservations
_NEW = set[Path]()  # reserved files that must not exist when they are first written


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


def real(path: Path) -> Path:
    """The absolute path without links; unlike `Path.resolve`, it allows a link that leads back to itself."""
    return Path(os.path.realpath(path))


def check_plain_file(path: Path) -> None:
    """Raise if `path` exists and is not a plain file."""
    if os.path.islink(real(path)):
        raise NumpyrnnError(f"{path} must be a plain file to write, it is a link that leads back to itself")
    if os.path.isdir(path):  # unlike Path.is_dir, it raises nothing if the name is too long
        raise NumpyrnnError(f"{path} must be a file to write, it is a folder")
    if os.path.exists(path) and not os.path.isfile(path):
        raise NumpyrnnError(f"{path} must be a plain file to write, it is a device or a pipe")


class TakenError(NumpyrnnError):
    """An output file exists, or another run is about to write it."""


@contextmanager
def reserved(path: Path, new: bool) -> Iterator[None]:
    """Keep other runs from reserving an output file while the block lasts, and delete what killed runs left beside it.

    The reservation is a lock on a hidden file beside `path`, which the operating system drops when the process ends,
    however it ends. A file system without locks gives no such protection. The folder of the file is made, with its
    parents, and deleted again at the end if it is then empty.

    Parameters
    ----------
    path : the file
    new : bool, True: it is an error if the file exists now, or appears before the first `atomic_write`

    Raises
    ------
    TakenError
        if another run has reserved the file, or it must not exist and does
    NumpyrnnError
        if the folder cannot be written to
    """
    target = real(path)
    with ExitStack() as stack:
        try:
            stack.enter_context(_hidden(path, RESERVATION))
            _NEW.update({target} if new else ())
            stack.callback(_NEW.discard, target)
            check_new(path)
            _clean(target.parent)
        except OSError as error:
            raise NumpyrnnError(f"{path} cannot be written: {error.strerror or error}") from error
        yield  # an error of the block is its own


def check_new(path: Path) -> None:
    """Raise if a file exists that was reserved as a new one and has not been written yet."""
    if os.path.exists(path) and real(path) in _NEW:
        raise TakenError(f"{path} already exists")


@contextmanager
def atomic_write(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces `path` when the block ends, and is deleted if the block raises.

    A file that is replaced keeps its permissions.

    Parameters
    ----------
    path : the file to write; its folder must exist

    Yields
    ------
    binary file, open for writing

    Raises
    ------
    NumpyrnnError
        if it cannot be written, or is `reserved` as new and has appeared meanwhile; an existing file is then unchanged
    """
    path = Path(path)
    check_plain_file(path)
    target = real(path)  # keeps a link a link
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        with _hidden(path, mode=mode) as (temporary, file):
            if mode is not None and sys.platform != "win32":
                with suppress(OSError):  # a file system without permissions
                    os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if sys.platform == "win32":  # where an open file cannot be renamed
                file.close()
            with held():
                _put_new(temporary, target) if target in _NEW else temporary.replace(target)
                _NEW.discard(target)
    except FileExistsError:
        raise TakenError(f"{path} already exists: another program made it meanwhile") from None
    except OSError as error:
        raise NumpyrnnError(f"{path} could not be written: {error.strerror or error}") from error


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write several files: all of them or none.

    Parameters
    ----------
    contents : the bytes of each file

    Raises
    ------
    NumpyrnnError
        if one of the files cannot be written
    """
    with held(), ExitStack() as stack:
        files = [stack.enter_context(atomic_write(path)) for path in contents]
        for file, content in zip(files, contents.values(), strict=True):
            file.write(content)
        for file in files:  # a full disk must raise before the first file is replaced
            file.flush()
            os.fsync(file.fileno())
        for path in contents:  # nor may another program have made one
            check_new(path)


def _put_new(temporary: Path, target: Path) -> None:
    """Give a finished file its name. FileExistsError: another program has made such a file meanwhile."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # this file system has no hard links
        target.open("xb").close()
        temporary.replace(target)


@contextmanager
def _hidden(path: Path, ending: str = "", mode: int | None = None) -> Iterator[tuple[Path, IO[bytes]]]:
    """Make a hidden file beside `path`, by default with a random ending, and lock it; at the end, delete it.

    Its permissions are at most `mode`, from the moment that it is made: nobody else may read what the old file hid.
    """
    target, made = real(path), set[Path]()
    try:
        # Another run may hold the lock for a moment, to see whether the file's owner lives. Or it made the folder, and
        # has deleted it again because it was empty.
        for left in reversed(range(PATIENCE)):
            hidden = target.with_name(f".numpyrnn-{target.name}-{ending or token_hex(8)}")
            try:
                with held():
                    if ending == RESERVATION:
                        _make_folder(target.parent, made)
                    file = _locked(hidden, 0o666 if mode is None else mode)
                if file is not None:
                    break
            except FileNotFoundError:
                if ending != RESERVATION or not left:
                    raise
            time.sleep(0.01)
        else:
            raise TakenError(f"{path} is being written by another run")
        try:
            yield hidden, file
        finally:
            with held():
                _remove(hidden, file)
    finally:
        for folder in sorted(made, reverse=True):
            with suppress(OSError):  # it is not empty
                folder.rmdir()
            TEMPORARY.discard(folder)


def _make_folder(folder: Path, made: set[Path]) -> None:
    """Make a folder and its parents, and add to `made` those that did not exist."""
    for one in [*reversed(folder.parents), folder]:  # `mkdir(parents=True)` would call itself too often
        if not os.path.lexists(one):
            made.add(one)
            TEMPORARY.add(one)
            with suppress(FileExistsError):  # another run has just made it
                one.mkdir()


def _locked(path: Path, mode: int) -> IO[bytes] | None:
    """Make a file and lock it; None if another run has locked it, or has deleted it meanwhile."""
    if path.is_symlink():  # the opener refuses it too, in words that do not help
        raise NumpyrnnError(f"{path} must not exist, somebody has put a link there: delete it")
    file = open(path, "r+b", opener=partial(_not_a_link, mode=mode))  # noqa: SIM115
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):
        file.close()
        return None
    except OSError:  # this file system has no locks
        pass
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(file.fileno()), path.lstat()):
            TEMPORARY.add(path)
            return file
    file.close()
    return None


def _not_a_link(path: str, flags: int, mode: int = 0) -> int:
    """Open a hidden file, and make it if it is to be written; a link that somebody has put there is not followed."""
    create = os.O_CREAT if flags & os.O_RDWR else 0
    return os.open(path, flags | create | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), mode)


def _lock(file: IO[bytes]) -> None:
    """Lock a file until it is closed. BlockingIOError or PermissionError: it is locked already."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove(path: Path, file: IO[bytes]) -> None:
    """Delete and close a locked file; on Windows, where an open file cannot be deleted, the other way round."""
    for step in (file.close, path.unlink) if sys.platform == "win32" else (path.unlink, file.close):
        with suppress(OSError):
            step()
    TEMPORARY.discard(path)


def _clean(folder: Path) -> None:
    """Delete this user's hidden files of runs that were killed; those of living runs are locked."""
    for name in filter(HIDDEN.fullmatch, os.listdir(folder)):
        with suppress(OSError), open(folder / name, "rb", opener=_not_a_link) as file:
            found = os.fstat(file.fileno())
            if S_ISREG(found.st_mode) and found.st_uid == getattr(os, "geteuid", int)():
                _lock(file)
                _remove(folder / name, file)
