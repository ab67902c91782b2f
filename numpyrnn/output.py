"""Standard output and standard error that never end the work of a command."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from typing import Any, TextIO

from .checks import CONTROLS, NumpyrnnError, escaped


class Output:
    """A text stream that shows what it can.

    Control characters, and characters that the stream cannot encode, are written as escapes. When the stream cannot be
    written (a full disk, a closed stream, a reader that has gone away), all further text is dropped.

    Parameters
    ----------
    stream : text stream; None: a closed one, as Python has it
    needed : bool, True: the first failure is raised. False: it is reported on standard error, and work goes on
    allowed : str, control characters that are written as they are
    """

    buffer = None  # without it, click writes to this object

    def __init__(self, stream: TextIO | None, needed: bool, allowed: str):
        self.stream = stream or open(os.devnull, "w")  # noqa: SIM115
        if isinstance(getattr(stream, "buffer", None), RawIOBase):  # Python's -u: loses what is not written at once
            encoding, errors = self.stream.encoding, self.stream.errors
            self.stream = open(self.stream.fileno(), "w", 1, encoding, errors, closefd=False)  # noqa: SIM115
        self.needed, self.closed_before, self.failed = needed, stream is None, False
        self.controls = re.compile(f"(?![{allowed}]){CONTROLS.pattern}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str | bytes) -> int:
        """Write text, or drop it. Click writes bytes when a shell asks for completions."""
        encoding = self.stream.encoding or "utf-8"
        if isinstance(text, bytes):  # in UTF-8, but for encodings of two bytes or more
            text = text.decode(encoding if b"\0" in text else "utf-8", "backslashreplace")
        readable = escaped(text, self.controls).encode(encoding, "backslashreplace").decode(encoding)
        if readable:  # click tries an empty text first, and ignores its error
            self._unless_failed(lambda: self._write(readable))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._unless_failed(self.stream.flush)

    def _write(self, text: str) -> None:
        if self.closed_before:
            raise OSError(errno.EBADF, "it is closed")
        self.stream.write(text)

    def _unless_failed(self, action: Callable[[], Any]) -> None:
        if self.failed:
            return
        try:
            action()
        except OSError as error:
            self.failed = True
            with suppress(OSError):  # at exit, Python writes what is still in a buffer
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
            why = f"standard output could not be written: {error.strerror or error}"
            if self.needed:
                raise error if isinstance(error, BrokenPipeError) else NumpyrnnError(why) from error
            if not isinstance(error, BrokenPipeError):
                sys.stderr.write(f"Note: {why}; the command goes on.\n")


@contextmanager
def guarded_output() -> Iterator[None]:
    """Let standard output and standard error be `Output` in a block."""
    for descriptor in range(3):  # otherwise the next file that is opened would take the number of a closed stream
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    sys.stdout = Output(sys.stdout, True, "\t\n")
    sys.stderr = Output(sys.stderr, False, "\t\n\r")  # progress bars go back to the beginning of the line
    try:
        yield
    finally:
        with suppress(OSError, NumpyrnnError):
            sys.stdout.flush()
        sys.stdout, sys.stderr = before


def output_is_optional() -> None:
    """Let the command go on when standard output fails, because its work is to write files."""
    if isinstance(sys.stdout, Output):
        sys.stdout.needed = False
