"""Processes that are interrupted, killed, run at once or left without disk space lose nothing."""

import hashlib
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from numpyrnn.checkpoint import load
from workbench.files import data_path

# Without coverage in these processes: killed ones leave broken files of it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
ENVIRONMENT |= {"PYTHONPATH": str(Path(__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
# Until the program has its own handlers, a signal ends Python with the same status and no words. Where the tests run in
# the background, SIGINT may be set to be ignored.
START = """
import os, runpy, signal
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: os._exit(128 + number))
os.write(1, b">")
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
TINY = ("train", "names.txt", "--hidden", "8", "--seed", "1")


def start(folder, module, *arguments, code=START, **options):
    """Start a command, and wait until Python has started."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    command = [sys.executable, "-c", code.format(module=module), *map(str, arguments)]
    process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, **pipes)
    assert process.stdout.read(1) == b">", process.stderr.read().decode()
    return process


def finish(process):
    """Wait for the end of a process; its status and its two outputs."""
    printed, errors = process.communicate(timeout=600)
    return process.returncode, printed.decode(), errors.decode()


def names_in(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    """A folder with a list of 84 names."""
    names = data_path("dinos.txt").read_text("utf-8").split()[::18]
    (tmp_path / "names.txt").write_text("\n".join(names), "utf-8")
    return tmp_path


# signals

COMMANDS = {
    "dinos": (["sample", "-n", "300"], 0.5, 200, set()),
    "sonnets": (["write", "--length", "100", "-o", "poem.txt"], 0.7, 30, {"poem.txt"}),
    "piano": (["play", "--length", "10"], 3, 15, {"piano.mid", "piano.wav", "piano.png", "piano.musicxml"}),
    "jazz": (["--form", "ii-v-i"], 4, 15, {"solo.mid", "solo.wav", "solo.png", "solo.musicxml"}),
    "numpyrnn": (["gradcheck"], 1, 30, set()),
}


@pytest.mark.slow
@pytest.mark.torture
@pytest.mark.parametrize("module", COMMANDS)
def test_a_signal_at_any_moment_ends_a_command_with_one_line_and_whole_files(tmp_path, module, rounds, tell):
    (arguments, seconds, many, files), rng, ended = COMMANDS[module], random.Random(module), 0
    tries = rounds(2, many)
    for i in range(tries):
        number, place = rng.choice([*SIGNALS]), tmp_path / str(i)
        place.mkdir()
        with start(place, module, *arguments) as process:
            time.sleep(rng.random() * seconds)
            process.send_signal(number)
            status, _, errors = finish(process)
        assert status in (0, SIGNALS[number], -number), (
            errors
        )  # -number: in the last moment, when Python has cleaned up
        assert re.fullmatch(
            r"(\r[^\n]*)?\n?(\w[\w ]* \.\.\.\n)*(Written: .*\n)?(Next:\n(  .*\n)*)?(Interrupted\.\n)?", errors
        ), errors  # after a progress bar, if there is one
        assert names_in(place) in (set(), files)
        ended += status != 0
    tell(
        f"{tries} signals at random moments to {module}: {ended} ended it with one line, {tries - ended} came after it"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])  # SIGINT: test_dinos_cli
def test_a_signal_ends_a_training_saved_and_resumable(folder, number):
    with start(folder, "dinos", *TINY, "--epochs", 5000, "-o", "a.npz") as process:
        while not (folder / "a.jsonl").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        process.send_signal(number)  # as from a terminal that is closed
        status, printed, errors = finish(process)
    assert status == SIGNALS[number], errors
    assert "Traceback" not in errors
    epochs = int(re.search(r"^Interrupted after (\d+) epochs?\.$", printed, re.MULTILINE)[1])
    assert errors.startswith("Next:\n  dinos train --resume a.npz ")
    assert load(folder / "a.npz").training["epoch"] == epochs >= 1
    assert names_in(folder) - {"a.png"} == {"names.txt", "a.npz", "a.jsonl"}
    with start(folder, "dinos", "train", "--resume", "a.npz", "--epochs", epochs + 1) as process:
        status, printed, errors = finish(process)
    assert status == 0, errors
    assert printed.startswith(f"Resuming after epoch {epochs}.\n")


def test_a_signal_that_is_ignored_as_under_nohup_stays_ignored(folder):
    code = START.replace("os.write", "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nos.write")
    with start(folder, "dinos", *TINY, "--epochs", 2, "-o", "a.npz", code=code) as process:
        while process.poll() is None:
            process.send_signal(signal.SIGHUP)
            time.sleep(0.05)
        assert process.returncode == 0, finish(process)


IMPORTS = START.replace(
    "runpy.run_module",
    """
import sys
from workbench.training import Training
run = Training.run
def watched(*arguments):
    before = {{*sys.modules}}
    run(*arguments)
    print("imported:", *{{*sys.modules}} - before)
Training.run = watched
runpy.run_module""",
)


@pytest.mark.parametrize("module", ["dinos", "sonnets"])
def test_a_training_imports_nothing_late_where_a_signal_could_break_it(folder, module):
    with start(folder, module, *TINY, "--epochs", 1, "-o", "a.npz", code=IMPORTS) as process:
        status, printed, errors = finish(process)
    assert (status, re.search("imported:.*", printed)[0]) == (0, "imported:"), errors


# kills


def weights_of(path):
    """A digest of all arrays of the state of a training."""
    state = load(path).training
    arrays = (state[name] for name in ("weights", "averaged", "best", "optimizer.m", "optimizer.v"))
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@pytest.mark.slow
@pytest.mark.torture
@pytest.mark.parametrize(("module", "epochs", "many"), [("dinos", 12, 8), ("sonnets", 6, 4)])
def test_a_training_that_is_killed_again_and_again_gives_the_same_weights(folder, module, epochs, many, rounds, tell):
    code = START.replace("runpy.run_module", "import workbench.run\nworkbench.run.SAVED_EVERY = 0\nrunpy.run_module")
    rng, kills, inside = random.Random(0), 0, 0
    whole, tries = [*TINY, "--epochs", epochs, "-o"], rounds(1, many)
    with start(folder, module, *whole, "whole.npz") as process:
        status, _, errors = finish(process)
    assert status == 0, errors
    for i in range(tries):
        model, epoch = folder / f"{i}.npz", 0
        while epoch < epochs:
            arguments = (
                ["train", "--resume", model.name, "--epochs", epochs] if model.exists() else [*whole, model.name]
            )
            with start(folder, module, *arguments, code=code) as process:
                before = model.stat().st_mtime_ns if model.exists() else 0
                while process.poll() is None and not (model.exists() and model.stat().st_mtime_ns > before):
                    time.sleep(0.005)
                time.sleep(rng.random() / 2)
                process.kill()
                status, printed, errors = finish(process)
            assert status in (0, -9), errors
            assert before == 0 or printed.startswith("Resuming"), errors
            state = load(model).training
            kills, inside, epoch = kills + 1, inside + (state["place"] is not None), state["epoch"]
        assert weights_of(model) == weights_of(folder / "whole.npz")
    with start(folder, module, *TINY, "--epochs", 1, "-o", "last.npz") as process:
        assert finish(process)[0] == 0
    assert not [name for name in names_in(folder) if name.startswith(".")]
    tell(f"{kills} kills of {tries} trainings of {module}, {inside} within an epoch: the SHA-256 of an unbroken one")


# several at once


@pytest.mark.torture
def test_of_eight_trainings_to_one_file_one_wins_and_the_others_are_refused(folder, rounds, tell):
    tries = rounds(1, 8)
    for i in range(tries):
        processes = [start(folder, "dinos", *TINY, "--epochs", 3, "-o", f"{i}.npz", "--force") for _ in range(4)]
        processes += [start(folder, "dinos", *TINY, "--epochs", 3, "-o", f"{i}.npz") for _ in range(4)]
        ends = [finish(process) for process in processes]
        assert 0 in {status for status, *_ in ends}
        for status, _, errors in ends:
            if status:
                words = rf"Error: {i}\.(npz|jsonl|png) (is being written by another run|already exists: [^\n]*)\n"
                assert status == 1
                assert re.fullmatch(words, errors)
        assert load(folder / f"{i}.npz").training["epoch"] == 3
    assert not [name for name in names_in(folder) if name.startswith(".")]
    tell(f"{tries} times 8 trainings to one file: none was mixed, the others refused with one line")


AT_ONCE = """
import os, sys, time
os.write(1, b">")
import click
from pathlib import Path
from music.outputs import side_by_side, write_together
from numpyrnn.cli import run
from workbench.options import choose_out
def main():
    path = choose_out(sys.argv[2] if len(sys.argv) > 2 else None, Path("solo.mid"), side_by_side, False)
    time.sleep(0.05)
    words = sys.argv[1].encode()
    contents = {{".mid": words, ".wav": words * 9, ".png": words * 99}}
    files = side_by_side(path, contents)
    write_together(dict(zip(files, contents.values())))
    print(*files)
run(click.Command("main", callback=main, context_settings={{"ignore_unknown_options": True}},
    params=[click.Argument(["words"], nargs=-1, expose_value=False)]))
"""


@pytest.mark.torture
@pytest.mark.parametrize("out", [None, "solo"])
def test_of_eight_runs_at_once_each_keeps_its_own_files(tmp_path, out, rounds, tell):
    tries = rounds(1, 12)
    for i in range(tries):
        place = tmp_path / str(i)
        place.mkdir()
        arguments = [[str(k), *([out] if out else [])] for k in range(8)]
        ends = [finish(process) for process in [start(place, "", *one, code=AT_ONCE) for one in arguments]]
        done = [(k, printed.split()) for k, (status, printed, errors) in enumerate(ends) if status == 0]
        assert all(re.match(r"Error: .*(another|already)", errors) for status, _, errors in ends if status)
        assert len(done) == (1 if out else 8), ends
        assert len({file for _, files in done for file in files}) == 3 * len(done)
        assert names_in(place) == {file for _, files in done for file in files}
        for k, files in done:
            assert [(place / file).read_bytes() for file in files] == [str(k).encode() * n for n in (1, 9, 99)]
    tell(f"{tries} times 8 runs at once, {'one name' if out else 'default names'}: no file lost, replaced or mixed")


# disks


@pytest.mark.slow
@pytest.mark.parametrize("size", [4000])
def test_a_full_disk_is_one_line_and_leaves_nothing_half(folder, size):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    before = names_in(folder)
    for module, arguments in {
        "dinos": [*TINY, "--epochs", "2", "-o", "a.npz"],
        "piano": ["play", "--length", "5", "-o", "a"],
        "sonnets": ["write", "--length", "3000", "-o", "a.txt"],
    }.items():
        with start(folder, module, *arguments, preexec_fn=limit) as process:
            status, _, errors = finish(process)
        files = names_in(folder) - before
        assert not [name for name in files if name.startswith(".")]
        assert "Traceback" not in errors
        if status:
            assert status == 1
            assert re.fullmatch(r"Error: \S+ could not be written: File too large", errors.splitlines()[-1])
        if module != "dinos" and status:
            assert not files
        before |= files


# memory

SHORT_OF_MEMORY = """
import resource
import numpy as np
from numpyrnn import LSTM, Adam, Checkpoint, Dense, Embedding, Sequential, Trainer, load, save
from numpyrnn.batches import padded
names = [np.random.default_rng(i).integers(0, 4, 40) for i in range(8)]
model = Sequential(Embedding(4, 300, rng=0), LSTM(300, 300, rng=0), Dense(300, 4, rng=0))  # 3 MB
trainer = Trainer(model, Adam(1e-4))
limit = resource.getrlimit(resource.RLIMIT_AS)
def keep(name):
    save(name, Checkpoint("test", model, None, {}, trainer.kept))
def on_epoch(record):
    keep("before.npz")
    size = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1])
    resource.setrlimit(resource.RLIMIT_AS, (1024 * size + 14_000_000, limit[1]))
try:
    trainer.run(lambda rng: padded([np.tile(name, 1 + 99 * trainer.epoch) for name in names], 8), 5, on_epoch=on_epoch)
except MemoryError:
    keep("after.npz")
    resource.setrlimit(resource.RLIMIT_AS, limit)
    before, after = load("before.npz").training, load("after.npz").training
    arrays = [name for name, value in before.items() if isinstance(value, np.ndarray)]
    print(after["epoch"], len(arrays), all(np.array_equal(before[name], after[name]) for name in arrays))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the size of a process is not known here")
def test_a_training_that_runs_out_of_memory_can_still_be_saved(tmp_path):
    command = [sys.executable, "-c", SHORT_OF_MEMORY]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, encoding="utf-8", check=False)
    assert (done.stdout, done.stderr) == ("1 5 True\n", "")
