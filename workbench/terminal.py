"""What a command prints: lines that fit the terminal, progress, counts, and what to type next."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import wrap
from threading import Event, Thread
from time import monotonic
from typing import Any

import click

from numpyrnn.checks import shown

NARROWEST = 20  # columns; a narrower terminal breaks the lines itself
SLOW = 1.0  # seconds after which a line in a pipe says what a command works on


def replaces(stream: Any) -> bool:
    """Whether a stream is a terminal that can replace its last line; a pipe, a log and a dumb terminal cannot."""
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def fitted(text: str) -> str:
    """Break the lines of a text at the width of the terminal; without a terminal, they stay as they are."""
    columns, lines = max(shutil.get_terminal_size().columns, NARROWEST), list[str]()
    if not sys.stdout.isatty() or 2 * max(map(len, text.split("\n"))) <= columns:
        return text
    from tqdm.utils import disp_len  # the width, in which a Chinese character counts twice

    for line in text.split("\n"):
        if disp_len(line) > columns:
            width = columns if disp_len(line) == len(line) else columns // 2
            lines += wrap(line, width, subsequent_indent="  ", break_on_hyphens=False)
        else:
            lines.append(line)
    return "\n".join(lines)


def say(text: str) -> None:
    """Print a text, above the progress bar if there is one; see `fitted`."""
    from tqdm import tqdm

    tqdm.write(fitted(text), file=sys.stdout)
    sys.stdout.flush()


def progress_bar(*items: Any, **options: Any) -> Any:
    """A progress bar of tqdm on standard error. It disappears at the end, and is shown only where it can."""
    from tqdm import tqdm

    usual = {"leave": False, "dynamic_ncols": True, "miniters": 1, "file": sys.stderr}
    return tqdm(*items, **usual | {"disable": not replaces(sys.stderr)} | options)


@contextmanager
def working(on: str, count: bool = False) -> Iterator[None]:
    """Say on standard error what a command works on, and remove the words at the end.

    Where `replaces` is false, a line says it once, if the work takes longer than `SLOW`.

    Parameters
    ----------
    on : str
    count : bool, default False; True adds the seconds that have passed, for work that shows no progress bar
    """
    words, over, start = f"{on} ..."[: shutil.get_terminal_size().columns - 1], Event(), monotonic()

    def show(text: str) -> None:
        sys.stderr.write(text * replaces(sys.stderr))
        sys.stderr.flush()

    def tick() -> None:
        if not replaces(sys.stderr):
            if not over.wait(SLOW):
                click.echo(f"{on} ...", err=True)
            return
        while not over.wait(1):
            show(f"\r{words} {monotonic() - start:.0f} s")

    show(words)
    clock = Thread(target=tick, daemon=True)
    if count or not replaces(sys.stderr):
        clock.start()
    try:
        yield
    finally:
        over.set()
        if clock.ident is not None:
            clock.join()
        show(f"\r{' ' * (len(words) + 8 * count)}\r")


def what_next(*commands: str) -> None:
    """Say on standard error what can be typed next."""
    sys.stdout.flush()
    narrow, width = sys.stderr.isatty(), max(shutil.get_terminal_size().columns, NARROWEST) - 4
    click.echo("Next:", err=True)
    for words in commands:
        whole = not narrow or "'" in words  # a quoted name may have spaces
        lines = [words] if whole else wrap(words, width, break_long_words=False, break_on_hyphens=False)
        click.echo("  " + " \\\n  ".join(lines), err=True)


def with_file(name: str, path: Any) -> str:
    """An option with its file, as it is typed after a command; empty if there is no file."""
    return "" if path is None else f" {name} {quoted(path)}"


def quoted(*paths: Any) -> str:
    """Paths as they are typed in a shell."""
    return " ".join(shlex.quote(shown(path, 1000)) for path in paths)


def counted(n: int, noun: str) -> str:
    """A number and its noun, such as "1 bar", "1,200 bars" or "2 batches"."""
    plural = "es" if noun in ("batch", "chorus") else "s"
    return f"{n:,} {noun}{plural * (n != 1)}"


def lasting(seconds: float) -> str:
    """A duration, such as "46 seconds" or "2:05 minutes"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} minutes" if minutes else counted(rest, "second")
