"""The engine's commands as a user meets them: gradient checks, and what a model file holds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import numpyrnn.cli
from numpyrnn import RNN, Checkpoint, Dense, Sequential, Trainer, Vocabulary, cells, save
from numpyrnn.batches import Batch
from numpyrnn.optim import SGD


def run(*arguments, cwd):
    """Run `numpyrnn` to its end in a process of its own, with the plain cells."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "NUMPYRNN_BACKEND": "plain"}
    command = [sys.executable, "-m", "numpyrnn", *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, encoding="utf-8", timeout=600)


@pytest.fixture
def folder(tmp_path):
    """A folder with a model that can be resumed, one that cannot, and one that is damaged."""
    model, vocabulary = Sequential(RNN(3, 2, rng=0), Dense(2, 3, rng=0)), Vocabulary("\nab")
    trainer = Trainer(model, SGD(0.1), rng=0)
    trainer.run(lambda rng: [Batch(np.zeros((2, 1), int), np.ones((2, 1), int))], 1)
    save(tmp_path / "model.npz", Checkpoint("numpyrnn", model, vocabulary, training=trainer.state()))
    save(tmp_path / "slim.npz", model, vocabulary)
    (tmp_path / "damaged.npz").write_bytes((tmp_path / "model.npz").read_bytes()[:-500])
    return tmp_path


def test_gradcheck_prints_a_table_of_right_gradients(tmp_path):
    done = run("gradcheck", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("RNN", "LSTM, padded", "GRU, integers", "Dense", "Embedding", "Dropout", "Cross-entropy"):
        assert re.search(rf"^{name} ", done.stdout, re.MULTILINE)
    figures = re.findall(r" (\d+) +(\d\.\de[-+]\d\d) +(\d\.\de[-+]\d\d) +(\d\.\de[-+]\d\d)", done.stdout)
    assert len(figures) > 50
    assert max(float(norm) for _, norm, _, _ in figures) <= 1e-12
    total = sum(int(size) for size, *_ in figures)
    assert re.search(rf"^{total} numbers checked; .* All gradients are right\.$", done.stdout, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [cells.LSTM])
def test_gradcheck_finds_a_broken_cell(monkeypatch, plain, cell):
    right = cell.backward

    def broken(self, t, n):
        right(self, t, n)
        self.dz[0, t, :n] *= 1.0001

    monkeypatch.setattr(cell, "backward", broken)
    result = CliRunner().invoke(numpyrnn.cli.app, ["gradcheck"])
    assert result.exit_code == 1
    *_, last = result.stdout.splitlines()
    wrong = result.stdout.count("TOO LARGE")
    assert 0 < wrong < result.stdout.count("e-")
    assert last.endswith(f" {wrong} gradients are wrong.")
    assert f"\n{cell.__name__} " in result.stdout


def test_info_says_what_a_model_file_holds(folder):
    done = run("info", "model.npz", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    first, _, *table, _, last = done.stdout.partition("\n\nIn Python:")[0].splitlines()
    size = (folder / "model.npz").stat().st_size
    assert first == f"model.npz: a model of numpyrnn, {3 * 2 + 2 * 2 + 2 + 2 * 3 + 3} parameters, {size:,} bytes"
    assert "\n".join(table) == numpyrnn.load(folder / "model.npz").model.summary()
    assert last.endswith("; can be resumed.")


def test_info_says_of_a_finished_model_that_it_cannot_be_resumed(folder):
    result = CliRunner().invoke(numpyrnn.cli.app, ["info", str(folder / "slim.npz")])
    assert result.exit_code == 0
    assert "a model of numpyrnn" in result.stdout
    assert "cannot be resumed" in result.stdout


def test_info_takes_a_model_without_a_vocabulary(folder):
    save(folder / "ids.npz", Sequential(Dense(2, 3, rng=0)))
    result = CliRunner().invoke(numpyrnn.cli.app, ["info", str(folder / "ids.npz")])
    assert result.exit_code == 0
    assert "None" not in result.stdout


@pytest.mark.parametrize(
    ("file", "message"), [("missing.npz", "could not be read"), ("damaged.npz", "must be a model file")]
)
def test_info_of_what_is_no_model_is_one_line(folder, file, message):
    done = run("info", file, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {file} {message}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("error", [MemoryError("none left"), OverflowError("too large"), OSError("no disk")], ids=repr)
def test_what_the_machine_cannot_do_is_one_line(monkeypatch, capsys, error):
    @click.command()
    def failing():
        raise error

    monkeypatch.setattr(sys, "argv", ["failing"])
    with pytest.raises(SystemExit) as left:
        numpyrnn.cli.run(failing)
    assert left.value.code == 1
    assert capsys.readouterr().err == f"Error: {type(error).__name__}: {error}\n"


def test_every_command_has_help_under_both_names():
    assert set(numpyrnn.cli.app.commands) == {"completion", "gradcheck", "info", "verify"}
    for command in ([], ["completion"], ["gradcheck"], ["info"], ["verify"]):
        long, short = (CliRunner().invoke(numpyrnn.cli.app, [*command, option]) for option in ("--help", "-h"))
        assert long.exit_code == short.exit_code == 0
        assert long.stdout.startswith("Usage: ")
        assert long.stdout == short.stdout
