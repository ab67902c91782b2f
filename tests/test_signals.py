"""Signals wait until a file is whole, and raise or end the process as a block asks."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

from numpyrnn.signals import handled, held, interrupt, status_of

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _as_from_a_shell():
    """Handlers that raise KeyboardInterrupt; where the tests run in the background, SIGINT may be ignored."""
    before = {number: signal.signal(number, interrupt) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number, then=None):
    signal.raise_signal(number)
    if then is not None:
        then.append(number)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_held_signal_comes_at_the_end_of_the_block(number):
    done = []

    def work():
        with held():
            with held():
                send(number, done)
            send(number, done)
        done.append("after")

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert done == [number, number]
    assert status_of(caught.value) == 128 + number
    assert all(signal.getsignal(one) is interrupt for one in NUMBERS)


def test_a_held_signal_comes_after_an_error_too():
    def work():
        with held():
            send(signal.SIGTERM)
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        work()
    assert all(signal.getsignal(one) is interrupt for one in NUMBERS)


def test_an_ignored_signal_stays_ignored_and_other_threads_change_nothing():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with handled(lambda *_: None), held():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        send(signal.SIGHUP)

    def in_a_thread():
        with held():
            found.append(signal.getsignal(signal.SIGINT))

    found = []
    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert found == [interrupt]


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (KeyboardInterrupt("x"), 130), (KeyboardInterrupt(15), 143), (click.Abort(), 130)],
    ids=repr,
)
def test_the_status_is_128_and_the_number(error, status):
    assert status_of(error) == status


@pytest.mark.parametrize("number", NUMBERS)
def test_an_interruption_keeps_its_number_through_click(number):
    command = click.Command("x", callback=lambda: interrupt(number, None))
    with pytest.raises(click.Abort) as caught:
        command.main([], standalone_mode=False)
    assert status_of(caught.value) == 128 + number


LEAVE = """
import os, signal, sys
from numpyrnn.files import atomic_write
from numpyrnn.signals import handled, leave
with handled(leave), atomic_write("a") as file:
    file.write(b"half")
    print("said", end="")
    os.kill(os.getpid(), {number})
"""


@pytest.mark.parametrize("number", NUMBERS)
def test_a_process_that_is_left_says_one_line_and_leaves_no_temporary_file(tmp_path, number):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    code = f"import signal; signal.signal({int(number)}, signal.SIG_DFL)" + LEAVE.format(number=int(number))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, b"said", b"Interrupted.\n")
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import signal, sys
from numpyrnn.signals import handled, interrupt, status_of
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with handled(interrupt):
        exec("signal.raise_signal({number})")
except KeyboardInterrupt as error:
    sys.exit(status_of(error))
"""


@pytest.mark.parametrize("number", NUMBERS)
def test_a_module_that_is_interrupted_in_an_exec_ends_with_the_status_of_its_signal(tmp_path, number):
    environment = os.environ | {"PYTHONPATH": f"{Path(__file__).parents[1]}{os.pathsep}{tmp_path}"}
    code = f"import signal; signal.signal({int(number)}, signal.SIG_DFL)" + INTERRUPTED.format(number=int(number))
    (tmp_path / "interrupted.py").write_text(code)
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, b"", b"")
