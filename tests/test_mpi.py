"""Ranks under `mpiexec` train as one process does, print once, and end together."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from numpyrnn import LSTM, SGD, Dense, NumpyrnnError, Sequential, Trainer, load, ranks
from numpyrnn.batches import Batch

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests" / "mpi_cases.py"
mpi = pytest.mark.extra("mpi")
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
TRAIN = "-m", "sonnets", "train", "--hidden", "16", "--layers", "1", "--seed", "1"


def command(n, *arguments):
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return [mpiexec, "-n", str(n), sys.executable, *map(str, arguments)]


def mpiexec(n, *arguments, folder=None):
    return subprocess.run(
        command(n, *arguments), capture_output=True, text=True, timeout=300, cwd=folder, env=ENVIRONMENT, check=False
    )


def losses(path):
    return [(r["loss"], r["valid_loss"]) for r in map(json.loads, path.with_suffix(".jsonl").read_text().splitlines())]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text((ROOT / "data" / "sonnets.txt").read_text("utf-8")[:20_000], "utf-8")
    return path


@mpi
@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_all_ranks_together_have_the_losses_of_one_process(n):
    done = mpiexec(n, CASES, "same", n)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("largest relative difference") == 9


@mpi
@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on_with_another_number_of_ranks():
    done = mpiexec(4, CASES, "stopped")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("goes on after step") == 3


@mpi
@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "words"),
    {
        "data": "all ranks must have the same data, those of rank 2 differ",
        "fewer": "all ranks must have the same data, those of rank 2 differ",
        "weights": "all ranks must have the same random state, rank 0 has",
        "bad": "ValueError: the disk is on fire",
        "ids": "x must hold ids from 0 to 6, got 0 to 7",
        "callback": "OSError: the disk is full",
        "early": "RuntimeError: before the training",
    }.items(),
)
def test_a_fault_on_one_rank_ends_all_with_one_message(fault, words):
    done = mpiexec(4, CASES, fault)
    assert done.returncode == 1
    assert done.stderr.count(words) == 1
    assert done.stderr.count("Traceback") == 1


@mpi
def test_a_command_prints_and_writes_once_and_resumes_with_another_number_of_ranks(text, tmp_path):
    parts = [(4, "together.npz", 1), (3, "together.npz", 2), (1, "alone.npz", 1), (1, "alone.npz", 2)]
    for n, name, epochs in parts:
        path = tmp_path / name
        how = ["-m", "sonnets", "train", "--resume", path] if path.exists() else [*TRAIN, text, "-o", path]
        done = mpiexec(n, *how, "--epochs", epochs, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Held-out loss") == 1
        assert ("Memory of each rank" in done.stdout) == (n > 1)
    # The models of programs are in single precision.
    np.testing.assert_allclose(losses(tmp_path / "together.npz"), losses(tmp_path / "alone.npz"), rtol=1e-4)


@mpi
def test_bad_input_and_commands_that_do_not_train_print_once(tmp_path):
    done = mpiexec(3, "-m", "sonnets", "train", "nowhere.txt", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: nowhere.txt could not be read: No such file or directory\n"
    done = mpiexec(3, "-m", "dinos", "--bogus")
    assert (done.returncode, done.stderr.count("No such option")) == (2, 1)
    done = mpiexec(3, "-m", "dinos", "-n", "2", "--seed", "1")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)


def begun(text, path, n=4):
    """A training that has saved its first epoch, and the process ids of its ranks."""
    words = command(n, *TRAIN, text, "--epochs", 1000, "-o", path)
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    while not path.exists():
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.05)
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            given = entry.read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if given[0] == sys.executable.encode() and str(path).encode() in given:
            found.append(int(entry.parent.name))
    return running, found


@mpi
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are found in /proc, which Linux has")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_all_ranks_and_leaves_a_model_that_can_be_resumed(number, text, tmp_path):
    path = tmp_path / "model.npz"
    running, of_ranks = begun(text, path)
    assert len(of_ranks) == 4
    if number == signal.SIGKILL:  # of one of them; the others must not wait for it
        os.kill(max(of_ranks), number)
    else:
        running.send_signal(number)
    out, err = running.communicate(timeout=120)
    assert running.returncode == (9 if number == signal.SIGKILL else 128 + number)
    assert "If one dies, mpiexec ends all; resume then with: sonnets train --resume" in out
    assert ("Killed" in out + err) if number == signal.SIGKILL else out.count("Interrupted after") == 1
    assert load(path).resumable()["epoch"] >= 1
    done = mpiexec(2, "-m", "sonnets", "train", "--resume", path, "--epochs", load(path).training["epoch"] + 1)
    assert done.returncode == 0, done.stderr


def small():
    return Trainer(Sequential(LSTM(3, 4, rng=0), Dense(4, 3, rng=1)), SGD(0.1), workers="mpi")


@pytest.fixture
def fresh(monkeypatch):
    """No number of ranks is known yet."""
    for name in (*ranks.SIZES, *ranks.RANKS):
        monkeypatch.delenv(name, raising=False)
    caches = ranks.started, ranks._connect
    for one in caches:
        one.cache_clear()
    yield monkeypatch
    for one in caches:
        one.cache_clear()


@pytest.mark.parametrize(
    ("environment", "n"),
    [
        ({}, 1),
        ({"PMI_SIZE": "4"}, 4),
        ({"OMPI_COMM_WORLD_SIZE": "3"}, 3),
        ({"PMIX_RANK": "1", "SLURM_STEP_NUM_TASKS": "8"}, 8),
        ({"SLURM_STEP_NUM_TASKS": "8"}, 1),  # a batch script without srun
        ({"PMI_SIZE": "many"}, 1),
    ],
)
def test_the_environment_says_how_many_ranks_were_started(fresh, environment, n):
    for name, value in environment.items():
        fresh.setenv(name, value)
    assert ranks.started() == n


def test_without_mpi4py_the_error_says_what_to_install(fresh):
    fresh.setitem(sys.modules, "mpi4py", None)
    batch = Batch(np.zeros((2, 1), int), np.zeros((2, 1), int))
    with pytest.raises(NumpyrnnError, match=r"MPI needs mpi4py .* pip install 'numpyrnn\[mpi\]'"):
        small().run(lambda rng: [batch], 1)
    fresh.setenv("PMI_SIZE", "4")
    ranks.started.cache_clear()
    with pytest.raises(NumpyrnnError, match="4 ranks were started, which needs mpi4py"):
        ranks.world()
    assert ranks.world(2) is None  # a number of threads trains alone


@mpi
def test_an_mpiexec_of_another_mpi_is_noticed():
    done = subprocess.run(
        [sys.executable, "-m", "dinos", "-n", "1"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**ENVIRONMENT, "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0"},
        check=False,
    )
    assert "4 ranks were started, but MPI knows 1: mpiexec must be that of mpi4py's library, MPICH" in done.stderr
    assert done.returncode == -signal.SIGKILL
