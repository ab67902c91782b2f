"""The signals that end a program: Ctrl-C (SIGINT), SIGTERM and, except on Windows, SIGHUP (the terminal was closed)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

TEMPORARY = set[Path]()  # files that `leave` deletes, and folders that it deletes if they are then empty


@contextmanager
def handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Call `handler(number, frame)` for each of these signals inside the block, if this is the main thread.

    Signals that are ignored, as SIGHUP is under `nohup`, stay ignored.
    """
    names = ("SIGINT", "SIGTERM", "SIGHUP") if current_thread() is main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: old for number in numbers if (old := signal.getsignal(number)) not in (signal.SIG_IGN, None)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def held() -> Iterator[None]:
    """Let a signal that arrives inside the block wait until its end."""
    came: list[int] = []
    try:
        with handled(lambda number, _: came.append(number)):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


class Interrupted(KeyboardInterrupt):
    """A signal came. After a plain KeyboardInterrupt in an `exec`, `python -m` would end with the status of SIGINT."""


def interrupt(number: int, _: Any) -> None:
    """Raise KeyboardInterrupt, so that the block can finish and save; `status_of` gives the exit status."""
    raise Interrupted(number)


def status_of(error: BaseException) -> int:
    """The exit status 128 + number after a KeyboardInterrupt, also if click has made another error of it."""
    numbers = [number for number in (error.__cause__ or error).args if isinstance(number, int)]
    return 128 + (numbers or [signal.SIGINT])[0]


def leave(number: int, _: Any = None) -> None:
    """Delete temporary files, print one line, and end the process at once, with the exit status 128 + number.

    An exception would not do. In the middle of an import it becomes a traceback, and in the callback of a weak
    reference Python drops it.
    """
    for path in sorted(TEMPORARY, reverse=True):  # what a folder holds comes before it
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
    with suppress(Exception):
        sys.stdout.flush()
    with suppress(OSError):
        os.write(2, b"\n" * os.isatty(2) + b"Interrupted.\n")
    os._exit(128 + number)
