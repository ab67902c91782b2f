"""What is seen on a terminal of a given width, which a pseudo-terminal stands for."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from tqdm.utils import disp_len

from workbench.terminal import counted, fitted, lasting

ROOT = Path(__file__).parents[1]
NAMES = ["Bamberg", "Würzburg", "Kitzingen", "Nürnberg", "Fürth", "Erlangen", "Forchheim", "北京市海淀区中关村"]
TRAIN = "dinos train names.txt --hidden 4 --epochs 3 --copies 1 --force -o a.npz"


def seen(line, cwd, columns=80, **environment):
    """Run a command on a terminal: (status, all that was written there)."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    settings = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "TERM": "xterm"} | environment
    settings.pop("COLUMNS", None)
    command = [sys.executable, "-m", *line.split()]
    with subprocess.Popen(command, cwd=cwd, env=settings, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        pieces = []
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # so Linux says that the other end is closed
                break
            if not piece:
                break
            pieces.append(piece)
    os.close(ours)
    return process.returncode, b"".join(pieces).decode()


def lines_of(text):
    """The lines that stay on the screen: of each, what was written last at every place."""
    screen = []
    for line in text.replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        screen.append(shown.rstrip())
    return screen


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("terminal")
    (path / "names.txt").write_text("\n".join(NAMES), "utf-8")
    return path


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_nothing_that_a_training_shows_is_wider_than_the_terminal(folder, columns):
    status, text = seen(TRAIN, folder, columns)
    assert status == 0, text
    assert max(disp_len(part) for part in re.split(r"[\r\n]+", text)) <= columns
    lines = lines_of(text)
    assert [line.split()[0] for line in lines if re.match(r" +\d/3 ", line)] == ["1/3", "2/3", "3/3"]
    assert all(len(line) < 60 for line in lines if re.match(r" +\d/3 ", line))
    assert "epoch   loss  held out   best    left" in lines
    assert not any("|" in line for line in lines)  # the bar is gone
    assert "|" in text  # and was there
    following = " ".join(lines[lines.index("Next:") + 1 :]).replace("\\", " ").split("  ")
    assert "dinos train --resume a.npz --epochs 6" in " ".join(" ".join(following).split())


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_no_colour_is_used_and_a_dumb_terminal_gets_whole_lines_only(folder, environment):
    status, text = seen(TRAIN, folder, **environment)
    assert status == 0, text
    assert "\x1b" not in text
    assert ("\r" in text.replace("\r\n", "\n")) == (environment.get("TERM") != "dumb")


def test_a_log_has_one_plain_line_an_epoch_and_no_bar(folder):
    settings = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *TRAIN.split()]
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, encoding="utf-8", check=True)
    for text in (done.stdout, done.stderr):
        assert not re.search(r"[\r\x1b|]", text)
    assert [line.split()[0] for line in done.stdout.splitlines() if "/3 " in line] == ["1/3", "2/3", "3/3"]
    assert done.stderr.startswith("Next:\n")


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("command", ["dinos evaluate --model a.npz --samples 20", "dinos -n 3 --model a.npz"])
def test_other_commands_fit_too_and_say_what_to_type_next(folder, command, columns):
    assert seen(TRAIN, folder)[0] == 0
    status, text = seen(command, folder, columns)
    assert status == 0, text
    assert max(disp_len(part) for part in re.split(r"[\r\n]+", text)) <= columns
    assert re.search(r"Next:\n  dinos \w+ --model a\.npz\n", "\n".join(lines_of(text)))


def test_a_line_is_broken_by_its_width_on_the_screen(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "30")
    for text in ("word " * 20, "x" * 95, "北" * 40, "ab\n" + "cd " * 15 + "\nef"):
        lines = fitted(text).split("\n")
        assert max(map(disp_len, lines)) <= 30
        assert "".join(text.split()) == "".join("".join(lines).split())
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert fitted("word " * 20) == "word " * 20


def test_numbers_agree_with_their_nouns():
    assert [counted(n, "bar") for n in (0, 1, 2, 1200)] == ["0 bars", "1 bar", "2 bars", "1,200 bars"]
    assert [counted(2, noun) for noun in ("batch", "epoch", "chorus")] == ["2 batches", "2 epochs", "2 choruses"]
    assert list(map(lasting, (1, 45.6, 59.6, 125))) == ["1 second", "46 seconds", "1:00 minutes", "2:05 minutes"]


def test_the_time_before_the_first_epoch_is_not_silent(folder):
    status, shown = seen(TRAIN.replace("a.npz", "silent.npz"), folder)
    assert status == 0
    assert shown.index("Making the network ...") < shown.index("Writing a sample ...") < shown.index("untrained")
