"""A training as programs run it; `test_dinos_cli` has the same through a program."""

import re
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import RNN, Dense, NumpyrnnError, Sequential
from numpyrnn.batches import Batch
from numpyrnn.checkpoint import Checkpoint, load
from numpyrnn.optim import Adam
from numpyrnn.train import Trainer
from numpyrnn.vocab import Vocabulary
from workbench import training as module
from workbench.history import read_history
from workbench.training import (
    Outputs,
    best_epoch,
    check_resumed,
    check_unfinished,
    learn,
    outputs,
    scaled,
    why_it_ended,
)

BATCH = Batch(np.array([[0, 1], [1, 2]]), np.array([[1, 2], [2, 0]]))


class Counting:
    """A training that learns to count to three, two batches an epoch; `fault` is raised in an epoch's first batch."""

    def __init__(self, fault=None, at=2, **options):
        self.model = Sequential(RNN(3, 4, rng=0), Dense(4, 3, rng=1))
        self.trainer = Trainer(self.model, Adam(0.05), **options)
        self.fault, self.at = fault, at

    def run(self, epochs, on_batch, on_epoch):
        def batches(rng):
            if self.fault is not None and self.trainer.epoch + 1 == self.at:
                raise self.fault
            yield from (BATCH, BATCH)

        return self.trainer.run(batches, epochs, lambda: [BATCH], on_batch=on_batch, on_epoch=on_epoch)

    def checkpoint(self, resumable=True):
        best = self.model.copy()
        best.params.flat[...] = self.trainer.best
        return Checkpoint("test", best, Vocabulary("abc"), {}, self.trainer.state() if resumable else None)


@pytest.fixture
def files(tmp_path):
    return Outputs(tmp_path / "a.npz", tmp_path / "a.jsonl", tmp_path / "a.png")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a model and what stands beside it."""
    monkeypatch.chdir(tmp_path)
    for name in ("old.npz", "old.jsonl", "old.png", "other.png"):
        Path(name).write_bytes(b"x")
    return tmp_path


def teach(training, files, epochs=3, show=str, **options):
    return learn(training, epochs, files, "count", show, **options)


# the files to come


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("new.npz", None, None, False), "new.npz new.jsonl new.png"),
        (("new", None, None, False), "new new.jsonl new.png"),
        (("a.b.npz", "curves", None, False), "a.b.npz a.b.jsonl curves"),
        (("old.npz", None, None, True), "old.npz old.jsonl old.png"),
        (("old.npz", None, "old.npz", False), "old.npz old.jsonl old.png"),
        (("old.npz", "other.png", "old.npz", True), "old.npz old.jsonl other.png"),
    ],
)
def test_history_and_picture_stand_beside_the_model(folder, arguments, expected):
    out, plot, resume, force = arguments
    files = outputs(Path(out), plot and Path(plot), resume and Path(resume), force)
    assert [str(path) for path in (files.model, files.history, files.plot)] == expected.split()
    model, history, plot = expected.split()
    assert str(files) == f"Model {model}, history {history}, curves {plot}."
    assert len(list(folder.iterdir())) == 4  # nothing is written yet


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("old.npz", None, None, False), "old.npz is there already"),
        (("old.dat", None, None, False), "old.jsonl is there already"),
        (("new.npz", "other.png", None, False), "other.png is there already"),
        (("new.npz", "other.png", "old.npz", False), "other.png is there already"),
        (("nowhere/new.npz", None, None, True), "nowhere/new.npz must be in a folder that exists"),
        (("new.npz", "nowhere/new.png", None, True), "nowhere/new.png must be in a folder that exists"),
        ((".", None, None, True), "must be a file to write, it is a folder"),
        (("new.npz", ".", None, True), "must be a file to write, it is a folder"),
        (("new.jsonl", None, None, True), "must be three files, got new.jsonl, new.jsonl and new.png"),
        (("new.npz", "./new.npz", None, True), "must be three files, got new.npz, new.jsonl and new.npz"),
        (("new.npz", "../{folder}/new.jsonl", None, True), "must be three files"),
    ],
)
def test_a_file_that_cannot_be_written_is_an_error_beforehand(folder, arguments, message):
    out, plot, resume, force = arguments
    plot = plot and Path(plot.format(folder=folder.name))
    with pytest.raises(NumpyrnnError, match=message):
        outputs(Path(out), plot, resume and Path(resume), force)


# resuming


def resumed(*arguments, **options):
    @click.command()
    @click.option("--hidden", type=int, default=8, envvar="HIDDEN_UNITS")
    @click.option("--keep-case", is_flag=True)
    @click.option("--epochs", type=int, default=1)
    def command(**_):
        check_resumed(("hidden", "keep_case"))

    return CliRunner().invoke(command, arguments, **options)


def test_a_resumed_training_takes_no_other_settings():
    assert resumed().exit_code == resumed("--epochs", "3").exit_code == 0
    for arguments, named in (("--hidden 8", "--hidden"), ("--keep-case --hidden 9", "--hidden, --keep-case")):
        done = resumed(*arguments.split())
        assert done.exit_code == 2
        assert done.stderr.endswith(f"Error: a resumed training keeps its settings, got {named}\n")
    assert resumed(env={"HIDDEN_UNITS": "8"}).exit_code == 2


@pytest.mark.parametrize(("finished", "epoch", "epochs"), [(False, 3, 3), (False, 4, 3), (True, 1, 3)])
def test_there_must_be_something_left_to_do(finished, epoch, epochs):
    training = Counting()
    check_unfinished(training, epochs, "")
    training.trainer.finished, training.trainer.epoch = finished, epoch
    with pytest.raises(NumpyrnnError, match=rf"nothing to go on with: it is old \(--epochs is {epochs}\)"):
        check_unfinished(training, epochs, "it is old")


# learning


def test_learning_writes_model_and_history_and_speaks_now_and_then(files, capsys):
    training = Counting()
    assert teach(training, files, 8) == 0
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    moments = ["untrained", "epoch 1", "epoch 2", "epoch 4", "epoch 6", "at the end"]
    assert said == [f"{moment:12} {moment}" for moment in moments]
    checkpoint = load(files.model, "test")
    assert checkpoint.training["epoch"] == 8
    assert_array_equal(checkpoint.model.params.flat, training.trainer.best)
    assert read_history(files.history) == training.trainer.history
    assert not files.plot.exists()  # the program draws it


def test_losses_are_given_for_a_unit_of_so_many_places(files, capsys):
    training = Counting()
    teach(training, files, 2, places=3)
    written, kept = read_history(files.history), training.trainer.history
    for name in ("loss", "valid_loss"):
        assert_allclose([r[name] for r in written], [3 * r[name] for r in kept])
    assert [r["epoch"] for r in written] == [1, 2]
    last = kept[-1]
    assert f"epoch 2, loss {3 * last['loss']:.3f}, held out {3 * last['valid_loss']:.3f}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "total"), [({}, "3/3"), ({"items": 4, "count": lambda batch: batch.x.shape[1]}, "12.0/12.0")]
)
def test_the_bar_counts_epochs_or_what_the_program_counts(files, capsys, options, total):
    teach(Counting(), files, unit="line", **options)
    error = capsys.readouterr().err
    assert re.search(rf"100%\|[^|]*\| {total} ", error)
    assert "line/s" in error


def test_a_slim_model_leaves_out_what_resuming_needs_only_at_the_end(files):
    assert teach(Counting(), files, slim=True) == 0
    assert load(files.model).training is None
    assert teach(Counting(KeyboardInterrupt()), files, slim=True) == 130
    assert load(files.model).training["epoch"] == 1


def test_an_interrupted_training_says_how_to_go_on_and_can(tmp_path, capsys):
    files = Outputs(tmp_path / "my model.npz", tmp_path / "a.jsonl", tmp_path / "a.png")
    assert teach(Counting(KeyboardInterrupt()), files) == 130
    words = f"Interrupted after 1 epochs; go on with: count train --resume '{files.model}' --epochs 3\n"
    assert capsys.readouterr().err.endswith(words)
    assert len(read_history(files.history)) == 1
    whole, again = Counting(), Counting()
    again.trainer.restore(load(files.model).training)
    teach(again, files)
    said = capsys.readouterr()
    assert "untrained" not in said.out
    assert re.match(r"\s*33%\|", said.err)  # the bar goes on as well
    teach(whole, files)
    assert_array_equal(again.trainer.best, whole.trainer.best)


@pytest.mark.parametrize("fault", [RuntimeError("a fault"), MemoryError("no memory"), NumpyrnnError("loss not finite")])
def test_what_goes_wrong_is_passed_on_and_what_was_learned_is_kept(files, fault):
    with pytest.raises(type(fault), match=str(fault)):
        teach(Counting(fault, at=3), files, 9)
    assert load(files.model).training["epoch"] == 2
    assert len(read_history(files.history)) == 2


@pytest.mark.parametrize(("every", "saved"), [(-1.0, [1, 2, 3, 3]), (1e9, [3])])
def test_it_is_saved_every_so_often_and_at_the_end(files, monkeypatch, every, saved):
    found = []
    monkeypatch.setattr(module, "SAVED_EVERY", every)
    monkeypatch.setattr(module, "save", lambda path, checkpoint: found.append(checkpoint.training["epoch"]))
    teach(Counting(), files)
    assert found == saved


def test_what_cannot_be_shown_does_not_end_a_training(files, capsys):
    def show(when):
        raise NumpyrnnError("nothing but rests")

    training = Counting()
    assert teach(training, files, 2, show=show) == 0
    assert training.trainer.epoch == 2
    assert "at the end   (nothing but rests)" in capsys.readouterr().out


def test_a_fault_in_what_is_shown_is_not_hidden(files):
    def show(when):
        raise RuntimeError("a fault of the program")

    with pytest.raises(RuntimeError, match="a fault of the program"):
        teach(Counting(), files, show=show)


# what is said about it


def test_scaled_records_are_new_and_leave_out_what_is_not_there():
    records = [{"epoch": 1, "loss": 0.5, "valid_loss": 0.25}, {"loss": 1.0, "valid_loss": None}, {"epoch": 3}]
    expected = [{"epoch": 1, "loss": 1.5, "valid_loss": 0.75}, {"loss": 3.0, "valid_loss": None}, {"epoch": 3}]
    assert scaled(records, 3) == expected
    assert records[0]["loss"] == 0.5
    assert scaled(records, 1) == records


def test_why_a_training_ended():
    training = Counting(patience=2)
    teaching = training.trainer
    assert why_it_ended(teaching) == "from epoch 0; ended after 0: all epochs done"
    losses = [0.9, 0.5, 0.7, 0.8]
    teaching.history = [{"epoch": i, "valid_loss": loss} for i, loss in enumerate(losses, 1)]
    teaching.epoch, teaching.best_loss, teaching.stale = 4, 0.5, 2
    assert best_epoch(teaching) == 2
    assert why_it_ended(teaching, status=130) == "from epoch 2; ended after 4: interrupted"
    assert why_it_ended(teaching) == "from epoch 2; ended after 4: all epochs done"
    teaching.finished = True
    assert why_it_ended(teaching) == "from epoch 2; ended after 4: no better for 2 epochs"
    teaching.stale = 1
    assert why_it_ended(teaching) == "from epoch 2; ended after 4: it was refused"
    assert why_it_ended(teaching, otherwise="too many copies").endswith(": too many copies")


def test_a_training_ends_by_itself_when_nothing_gets_better(files):
    training = Counting(patience=2)
    training.trainer.optimizer.learning_rate = training.trainer.base_rate = 0.0
    assert teach(training, files, 50) == 0
    assert why_it_ended(training.trainer) == "from epoch 1; ended after 3: no better for 2 epochs"
