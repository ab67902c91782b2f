"""A training as programs run it; `test_dinos_cli` has the same through a program."""

import re
import signal
from dataclasses import asdict, dataclass, replace
from io import StringIO
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal
from records import read_history
from tqdm import tqdm

from numpyrnn import RNN, Dense, NumpyrnnError, Sequential
from numpyrnn.batches import Batch
from numpyrnn.checkpoint import load
from numpyrnn.losses import softmax_cross_entropy
from numpyrnn.optim import Adam
from numpyrnn.signals import handled, interrupt, status_of
from numpyrnn.train import Trainer
from numpyrnn.vocab import Vocabulary
from workbench import run as module
from workbench.options import data_options
from workbench.run import Outputs, TrainingRun, outputs, training_options
from workbench.settings import Settings
from workbench.training import Training, best_epoch

BATCH = Batch(np.array([[0, 1], [1, 2]]), np.array([[1, 2], [2, 0]]))


@dataclass(frozen=True)
class Few(Settings):
    """Three settings."""

    clip_norm: float | None = None
    average: float = 0.0
    seed: int = 0
    sizes: tuple[int, ...] = (1,)


class Counting(Training):
    """A training that learns to count to three, two batches an epoch; `fault` is raised in an epoch's first batch."""

    program, uses = "count", ("count on",)

    def __init__(self, fault=None, at=2, show=None, **options):
        model = Sequential(RNN(3, 4, rng=0), Dense(4, 3, rng=1))
        super().__init__(Few(), Vocabulary("abc"), model, Adam(0.05), **options)
        self.fault, self.at, self.show = fault, at, show or (lambda: "a sample")

    @classmethod
    def of(cls, checkpoint, *given):
        return cls(*given)

    def data(self):
        return {"limit": 3}

    def batches(self):
        def of_epoch(rng):
            if self.fault is not None and self.trainer.epoch + 1 == self.at:
                raise self.fault
            yield from (BATCH, BATCH)

        return of_epoch

    def held_out_batches(self):
        return [BATCH]

    def describe(self):
        return "Numbers to three."

    def sample(self, checkpoint, seed):
        return self.show()

    def ngrams(self):
        return {"Kneser-Ney, order 1": 0.9, "Kneser-Ney, order 2": 0.4}


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


def teach(training, files, epochs=3, slim=False):
    return TrainingRun(files, epochs, None, None, slim).train(training, epochs)


# the output files


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
        (("old.npz", None, None, False), "old.npz already exists"),
        (("old.dat", None, None, False), "old.jsonl already exists"),
        (("new.npz", "other.png", None, False), "other.png already exists"),
        (("new.npz", "other.png", "old.npz", False), "other.png already exists"),
        (("old.npz/new.npz", None, None, True), "old.npz/new.npz must be in a folder that exists"),
        (("new.npz", "old.npz/new.png", None, True), "old.npz/new.png must be in a folder that exists"),
        ((".", None, None, True), "must be a file to write, it is a folder"),
        (("new.npz", ".", None, True), "must be a file to write, it is a folder"),
        (("new.jsonl", None, None, True), "must be three files, got new.jsonl, new.jsonl and new.png"),
        (("new.npz", "./new.npz", None, True), "must be three files, got new.npz, new.jsonl and new.npz"),
        (("new.npz", "../{folder}/new.jsonl", None, True), "must be three files"),
        (("loop.npz", None, None, True), "loop.npz must be a plain file to write, it is a link that leads back to its"),
        (("new.npz", "loop.npz", None, True), "loop.npz must be a plain file to write"),
        (("link.npz", None, "new.npz", False), "link.npz already exists"),
        (("link.npz", None, "old.npz", False), "link.jsonl already exists"),
    ],
)
def test_a_file_that_cannot_be_written_is_an_error_beforehand(folder, arguments, message):
    out, plot, resume, force = arguments
    Path("loop.npz").symlink_to("loop.npz")
    Path("link.npz").symlink_to("old.npz")
    Path("link.jsonl").write_bytes(b"of another training")
    plot = plot and Path(plot.format(folder=folder.name))
    with pytest.raises(NumpyrnnError, match=message):
        outputs(Path(out), plot, resume and Path(resume), force)


def test_a_model_is_resumed_by_any_of_its_names(folder):
    Path("link.npz").symlink_to("old.npz")
    names = ["old.npz", "./old.npz", f"../{folder.name}/old.npz", str(folder / "old.npz")]
    for resume in (*names, "link.npz"):
        for out in names:
            outputs(Path(out), None, Path(resume), False)
    for resume in names:
        assert outputs(Path("link.npz"), None, Path(resume), False).model == Path("link.npz")


def test_data_may_be_a_link_that_leads_back_to_itself(folder):  # an error when it is read
    Path("loop").symlink_to("loop")
    assert outputs(Path("old.npz"), None, None, True, [Path("loop")]).model == Path("old.npz")


# the command


@click.command()
@data_options
@click.option("--hidden", type=int, default=8, envvar="HIDDEN_UNITS")
@click.option("--keep-case", is_flag=True)
@training_options("count.npz", epochs=3)
def command(run, data, **chosen):
    """Count."""
    checkpoint = run.resumed("count", "data", "plain_data")
    run.learn(Counting.resume(checkpoint) if checkpoint else Counting())


def invoke(*arguments, **options):
    return CliRunner().invoke(command, arguments, **options)


def test_a_command_trains_says_what_came_out_and_can_go_on(folder):
    done = invoke("--epochs", "2", "--seed", "1", "--hidden", "9")
    assert done.exit_code == 0
    loss = min(record["valid_loss"] for record in read_history("count.jsonl"))
    first, *lines, verdict, written = done.stdout.splitlines()
    assert first == "Numbers to three."
    assert [line.split()[0] for line in lines if not line.endswith(" a sample")] == ["epoch", "1/2", "2/2"]
    assert verdict.startswith(f"Held-out loss {loss:.3f} nats a character, from epoch ")
    assert verdict.endswith("; ended after 2: all epochs done.")  # no verdict: --epochs cut it short
    assert done.stderr == "Next:\n  count train --resume count.npz --epochs 4\n  count on --model count.npz\n"
    assert written == "Model count.npz, history count.jsonl, curves count.png."
    assert Path("count.png").read_bytes().startswith(b"\x89PNG")
    resumed = invoke("--resume", "count.npz", "text.txt")
    assert resumed.exit_code == 0
    assert "; ended after 3: all epochs done. The best n-gram: 0.400.\n" in resumed.stdout
    assert resumed.stderr == "Next:\n  count on --model count.npz\n"
    assert load("count.npz").training["epoch"] == 3
    assert load("count.npz").config == {"settings": asdict(Few()) | {"sizes": [1]}, "limit": 3}


def test_a_resumed_training_takes_no_other_settings(folder):
    invoke()
    for arguments, named in (("--hidden 8", "--hidden"), ("--keep-case --hidden 9", "--hidden, --keep-case")):
        done = invoke("--resume", "count.npz", *arguments.split())
        assert done.exit_code == 2
        assert done.stderr.endswith(f"Error: a resumed training keeps its settings, got {named}\n")
    assert invoke("--resume", "count.npz", "--epochs", "4", "--slim", env={"HIDDEN_UNITS": "8"}).exit_code == 2


def test_there_must_be_something_left_to_do(folder):
    invoke()
    error = invoke("--resume", "count.npz").exception
    assert isinstance(error, NumpyrnnError)
    assert re.match(r"there is nothing left to train: .* ended after 3: all epochs done \(--epochs is 3\)", str(error))


def test_a_training_does_not_replace_its_data(folder):
    done = invoke("old.npz", "-o", "old.npz", "--force")
    assert "old.npz is learned from and must not be replaced" in str(done.exception)


@pytest.mark.parametrize("config", [{}, {"settings": None}, {"settings": {"unknown": 1}}, {"settings": [1]}])
def test_damaged_settings_are_one_error(config):
    checkpoint = Counting().checkpoint()
    assert Few.of(replace(checkpoint, config={"settings": {"sizes": [2, 3]}})) == Few(sizes=(2, 3))
    with pytest.raises(NumpyrnnError, match="the model must hold its settings, it does not"):
        Few.of(replace(checkpoint, config=config))


# learning


def test_learning_writes_model_and_history_and_speaks_now_and_then(files, capsys):
    training = Counting()
    assert teach(training, files, 8) == 0
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    moments = ["untrained", "epoch 1", "epoch 2", "epoch 4", "epoch 6", "at the end"]
    assert [line for line in said if line.endswith("sample")] == [f"{moment:12} a sample" for moment in moments]
    lines = [line.split() for line in said if "/8 " in line]
    assert [line[0] for line in lines] == [f"{epoch}/8" for epoch in range(1, 9)]
    losses = [record["valid_loss"] for record in training.trainer.history]
    assert [float(line[2]) for line in lines] == [round(loss, 3) for loss in losses]
    assert [float(line[3]) for line in lines] == [round(min(losses[: i + 1]), 3) for i in range(8)]
    checkpoint = load(files.model, "count")
    assert checkpoint.training["epoch"] == 8
    assert_array_equal(checkpoint.model.params.flat, training.trainer.best)
    assert read_history(files.history) == training.trainer.history
    assert not files.plot.exists()  # the program draws it


def test_losses_are_given_for_a_unit_of_so_many_places(files, capsys):
    training = Counting()
    training.places = 3
    teach(training, files, 2)
    written, kept = read_history(files.history), training.trainer.history
    for name in ("loss", "valid_loss"):
        assert_allclose([r[name] for r in written], [3 * r[name] for r in kept])
    assert [r["epoch"] for r in written] == [1, 2]
    last = kept[-1]
    assert f" 2/2  {3 * last['loss']:.3f}     {3 * last['valid_loss']:.3f}  " in capsys.readouterr().out


@pytest.mark.parametrize("items", [1, 3, 4, 9])
def test_the_bar_ends_at_the_end_of_the_last_epoch_and_never_goes_back(files, monkeypatch, items):
    places, training = [], Counting()
    training.items = items  # an epoch has four
    monkeypatch.setattr("workbench.training.progress_bar", lambda **options: Watched(places, **options))
    teach(training, files)
    assert places == sorted(places)
    assert [place for place in places if place % items == 0][-1] == 3 * items == places[-1]


class Watched(tqdm):
    """A hidden bar that notes each place."""

    def __init__(self, places, **options):
        super().__init__(**options | {"file": StringIO()})
        self.places = places

    def update(self, n=1):
        super().update(n)
        self.places.append(self.n)


def test_a_slim_model_leaves_out_what_resuming_needs_only_at_the_end(files):
    assert teach(Counting(), files, slim=True) == 0
    assert load(files.model).training is None
    assert teach(Counting(KeyboardInterrupt()), files, slim=True) == 130
    assert load(files.model).training["epoch"] == 1


def test_an_interrupted_training_says_how_to_go_on_and_can(tmp_path, capsys):
    files = Outputs(tmp_path / "my model.npz", tmp_path / "a.jsonl", tmp_path / "a.png")
    assert teach(Counting(KeyboardInterrupt()), files) == 130
    assert "Interrupted after 1 epoch.\n" in capsys.readouterr().out
    assert len(read_history(files.history)) == 1
    whole, again = Counting(), Counting()
    again.trainer.restore(load(files.model).training)
    teach(again, files)
    said = capsys.readouterr()
    assert "untrained" not in said.out
    teach(whole, files)
    assert_array_equal(again.trainer.best, whole.trainer.best)


def test_a_second_signal_waits_until_the_model_is_saved(files, monkeypatch):
    def again(error):
        signal.raise_signal(signal.SIGTERM)
        return status_of(error)

    monkeypatch.setattr(module, "status_of", again)
    with handled(interrupt), pytest.raises(KeyboardInterrupt):
        teach(Counting(KeyboardInterrupt(), at=1), files)
    assert load(files.model).training["epoch"] == 0


@pytest.mark.parametrize("fault", [RuntimeError("a fault"), MemoryError("no memory"), NumpyrnnError("loss not finite")])
def test_what_goes_wrong_is_passed_on_and_what_was_learned_is_kept(files, fault):
    with pytest.raises(type(fault), match=str(fault)):
        teach(Counting(fault, at=3), files, 9)
    assert load(files.model).training["epoch"] == 2
    assert len(read_history(files.history)) == 2


def no_memory(*_, **__):
    raise MemoryError("full")


@pytest.mark.parametrize("place", ["save", "write_history"])
def test_a_save_that_lacks_memory_is_tried_once_more_and_ends_the_training(files, monkeypatch, place):
    training, whole, function, tries = Counting(), Counting(), getattr(module, place), []
    whole.run(2)

    def full_once(*given):
        tries.append(training.trainer.epoch)
        return no_memory() if tries.count(2) == 1 else function(*given)

    monkeypatch.setattr(module, place, full_once)
    with pytest.raises(MemoryError):
        teach(training, files)
    assert tries == [1, 2, 2]
    checkpoint = load(files.model)
    assert checkpoint.training["epoch"] == len(read_history(files.history)) == 2
    assert_array_equal(checkpoint.training["weights"], whole.trainer.weights)


def test_saving_copies_neither_the_state_nor_the_model_and_a_sample_that_lacks_memory_is_left_out(files, monkeypatch):
    training, whole = Counting(show=no_memory), Counting()
    whole.run(3)
    monkeypatch.setattr(training.trainer, "state", no_memory)
    assert teach(training, files) == 0
    assert_array_equal(load(files.model).training["weights"], whole.trainer.weights)

    training = Counting()
    training.batches = lambda: lambda rng: setattr(training.model, "copy", no_memory) or [BATCH, BATCH]
    assert teach(training, files) == 0
    assert_array_equal(load(files.model).training["weights"], whole.trainer.weights)


class Failing(Counting):
    """A training whose gradients are infinite in its second epoch, until the rate is low enough."""

    high = 1.0

    def __init__(self, *given, **options):
        super().__init__(*given, **options)
        self.trainer.loss = self.loss

    def loss(self, *given):
        loss, gradient = softmax_cross_entropy(*given)
        trainer = self.trainer
        return loss, gradient * (np.inf if trainer.epoch == 1 and trainer.rate >= self.high else 1)


def test_an_infinite_gradient_stops_a_training_and_keeps_the_last_good_epoch(files):
    with np.errstate(invalid="ignore"), pytest.raises(NumpyrnnError, match=r"step 3; layer 0 \(RNN\), parameter"):
        teach(Failing(), files)
    assert load(files.model).training["epoch"] == len(read_history(files.history)) == 1


def test_a_training_can_go_back_and_halve_its_rate(files, capsys):
    training = Failing()
    training.high = 0.2
    with np.errstate(invalid="ignore"):
        assert TrainingRun(files, 3, None, None, False, "rollback").train(training, 3) == 0
    said = capsys.readouterr().err
    for rate in ("0.5", "0.25", "0.125"):
        assert f"Back to the end of epoch 1, with {rate} of the learning rate: grad must be finite, " in said
    state = load(files.model).training
    assert (state["epoch"], state["rate"]) == (3, 0.125)
    assert [record["learning_rate"] for record in read_history(files.history)] == [0.05, 0.00625, 0.00625]


def test_a_training_that_diverges_says_so_and_keeps_the_last_good_model(files, monkeypatch, capsys):
    training = Counting()
    good, run = Counting(), training.run

    def until(epochs, on_batch, on_epoch, on_rollback):
        def faster(record):
            on_epoch(record)
            training.trainer.optimizer.learning_rate = 1e9

        run(epochs, on_batch, faster, on_rollback)

    training.run = until
    good.run(1)
    assert teach(training, files, 9) == 1
    assert training.ending(1) == "from epoch 1; ended after 2: diverged, lower the learning rate"
    assert_array_equal(load(files.model).model.params.flat, good.trainer.best)
    assert len(read_history(files.history)) == 2


def test_a_training_that_diverges_at_once_keeps_no_model(files):
    training = Counting()
    training.trainer.optimizer.learning_rate = 1e9
    with pytest.raises(NumpyrnnError, match=r"diverged in the first epoch, its loss is \d\S+ nats .*: no model"):
        teach(training, files)
    assert not files.model.exists()


def test_a_resumed_training_says_where_it_goes_on(folder, monkeypatch):
    monkeypatch.setattr(module, "SAVED_EVERY", -1.0)
    keep = Trainer.keep
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "keep", lambda self: keep(self) or self.step != 5 or interrupt(15, None))
        done = invoke("--epochs", "4")
    assert done.exit_code == 143
    resumed = invoke("--resume", "count.npz")
    assert resumed.exit_code == 0
    assert resumed.stdout.startswith("Resuming in epoch 3, after 1 batch.\nNumbers to three.\n")
    whole = Counting()
    whole.run(3)
    assert_array_equal(load("count.npz").training["weights"], whole.trainer.weights)
    again = invoke("--resume", "count.npz", "--epochs", "4")
    assert again.stdout.startswith("Resuming after epoch 3.\n")


def test_an_interruption_after_the_last_epoch_leaves_a_picture(folder, monkeypatch):
    monkeypatch.setattr(Counting, "ngrams", lambda self: interrupt(1, None))
    assert invoke().exit_code == 129
    assert Path("count.png").read_bytes().startswith(b"\x89PNG")
    assert load("count.npz").training["epoch"] == 3


@pytest.mark.parametrize(("every", "batches"), [(1e9, [0, 0, 0, 0]), (-1.0, [1, 2, 0, 1, 2, 0, 1, 2, 0, 0])])
def test_it_is_saved_after_each_epoch_every_minute_within_one_and_at_the_end(files, monkeypatch, every, batches):
    found = []

    def note(path, checkpoint):
        place = checkpoint.training["place"]
        found.append(place["batch"] if place else 0)

    monkeypatch.setattr(module, "SAVED_EVERY", every)
    monkeypatch.setattr(module, "save", note)
    teach(Counting(), files)
    assert found == batches


def test_what_cannot_be_shown_does_not_end_a_training(files, capsys):
    def show():
        raise NumpyrnnError("nothing but rests")

    training = Counting(show=show)
    assert teach(training, files, 2) == 0
    assert training.trainer.epoch == 2
    assert "at the end   (nothing but rests)" in capsys.readouterr().out


def test_a_fault_in_what_is_shown_is_not_hidden(files):
    def show():
        raise RuntimeError("a fault of the program")

    with pytest.raises(RuntimeError, match="a fault of the program"):
        teach(Counting(show=show), files)


# what is said about it


def test_records_are_shown_for_a_unit_of_so_many_places_and_leave_out_what_is_missing():
    training, records = Counting(), [{"epoch": 1, "loss": 0.5, "valid_loss": 0.25}, {"loss": 1.0, "valid_loss": None}]
    assert training.shown(records) == records
    training.places = 3
    assert training.shown(records) == [{"epoch": 1, "loss": 1.5, "valid_loss": 0.75}, {"loss": 3.0, "valid_loss": None}]
    assert records[0]["loss"] == 0.5


def test_why_a_training_ended():
    training = Counting(patience=2)
    teaching = training.trainer
    assert training.ending() == "from epoch 0; ended after 0: all epochs done"
    losses = [0.9, 0.5, 0.7, 0.8]
    teaching.history = [{"epoch": i, "valid_loss": loss} for i, loss in enumerate(losses, 1)]
    teaching.epoch, teaching.best_loss, teaching.stale = 4, 0.5, 2
    assert best_epoch(teaching) == 2
    assert training.ending(130) == "from epoch 2; ended after 4: interrupted"
    assert training.ending() == "from epoch 2; ended after 4: all epochs done"
    teaching.finished = True
    assert training.ending() == "from epoch 2; ended after 4: no better for 2 epochs"
    teaching.stale = 1
    assert training.ending() == "from epoch 2; ended after 4: it was refused"
    training.refusal = "too many copies"
    assert training.ending().endswith(": too many copies")


def test_a_training_ends_by_itself_when_nothing_gets_better(files):
    training = Counting(patience=2)
    training.trainer.optimizer.learning_rate = training.trainer.base_rate = 0.0
    assert teach(training, files, 50) == 0
    assert training.ending() == "from epoch 1; ended after 3: no better for 2 epochs"
