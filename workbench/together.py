"""A command under `mpiexec`: rank 0 runs it, and the other ranks train with it whenever it trains.

Rank 0 alone reads the options and the data, prints, and writes. It sends each training to the other ranks, which wait
for it. Arrays that a `Training` names in `shared` are held once per machine, in memory that its ranks share.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from numpyrnn import NumpyrnnError
from numpyrnn.cli import run
from numpyrnn.ranks import Ranks, started, started_as, world
from numpyrnn.signals import handled

TURN = 2  # seconds that another rank waits for rank 0, which may fail for the same reason


def run_together(app: click.Command) -> None:
    """Run a command line as one of several ranks, and exit."""
    rank = started_as()
    try:
        ranks = world("mpi")
    except NumpyrnnError as error:
        time.sleep(TURN * (rank > 0))
        sys.stderr.write(f"Error: {error}\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)  # mpiexec ends the others
        return
    assert ranks is not None
    ranks.apart = True
    if ranks.rank:
        sys.exit(_follow(ranks))
    status: Any = 1
    try:
        run(app)
    except SystemExit as error:
        status = error.code
        raise
    finally:
        ranks.announce(status)


@contextmanager
def shared(training: Any, epochs: int, *callbacks: Any) -> Iterator[None]:
    """Let the other ranks, if there are any, run a training as well in the block; does nothing on those.

    Parameters
    ----------
    training : Training
    epochs : int
    *callbacks : those of `Training.run`, or None
    """
    ranks = world("mpi") if started() > 1 else None
    if ranks is None or not ranks.apart:
        yield
        return
    state = {name: value for name, value in vars(training).items() if name not in training.shared}
    ranks.announce((type(training), state, epochs, [callback is not None for callback in callbacks]))
    for name in training.shared:
        setattr(training, name, ranks.one_copy(getattr(training, name)))
    ranks.apart = False
    try:
        yield
    except BaseException as error:
        ranks.tell(error)
        raise
    finally:
        training.memory, ranks.apart = ranks.memory(), True


def _follow(ranks: Ranks) -> int:
    """Train whenever rank 0 does, without a word, and return its exit status."""
    with handled(lambda *_: None):  # outside a training, signals are the business of rank 0
        while isinstance(news := ranks.announce(), tuple):
            kind, state, epochs, given = news
            training = kind.__new__(kind)
            vars(training).update(state)
            for name in kind.shared:
                setattr(training, name, ranks.one_copy(None))
            ranks.apart = False
            with suppress(Exception, KeyboardInterrupt):  # rank 0 reports it
                try:
                    training.run(epochs, *[_nothing if one else None for one in given])
                except BaseException as error:
                    ranks.tell(error)
            ranks.memory()
            ranks.apart = True
    return int(news or 0)


def _nothing(_: Any) -> None:
    """Stands for a callback, which rank 0 runs."""
