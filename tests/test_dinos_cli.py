"""The dinosaurs' commands as a user meets them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_array_equal
from records import read_history

import dinos.cli
from dinos import course
from dinos.model import NameTraining, Settings
from dinos.names import read_names, split_names
from numpyrnn import RNN, Dense, Sequential
from numpyrnn.checkpoint import Checkpoint, load, save
from numpyrnn.train import Trainer
from numpyrnn.vocab import Vocabulary
from workbench.files import data_path

ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(__file__).parents[1]),  # whether or not the packages are installed
    "PYTHONUNBUFFERED": "",  # as a user has it
    "PYTHONIOENCODING": "utf-8",
    "OPENBLAS_NUM_THREADS": "1",
}
PLACES = ["oslo", "bergen", "rom😀a", "paris", "lima", "quito", "berlin", "北京"]
TINY = ("--hidden", "8")


def run(*arguments, module="dinos", **options):
    """Run a command to its end."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 600} | options
    return subprocess.run(command, env=ENVIRONMENT, encoding="utf-8", check=False, **options)


def assert_well(done):
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr


def assert_one_line(done, status, message):
    """Assert one error line, preceded by the usage only if the usage was wrong."""
    assert "Traceback" not in done.stderr
    *usage, line = done.stderr.rstrip("\n").split("\n")
    assert done.returncode == status
    assert line.startswith("Error: ")
    assert message in line
    assert done.stdout == ""
    if status == 1:
        assert usage == []
    else:
        assert all(one == "" or one.startswith(("Usage: ", "Try ", "  ")) for one in usage)


def contents(folder):
    """Every file of a folder, byte for byte."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A folder with a list of places, a model trained on it for two epochs, its history and its picture."""
    folder = tmp_path_factory.mktemp("places")
    lines = ["Oslo", "Bergen", "", "Rom😀a", "Paris", "Lima ", "Quito", "oslo", "Berlin", "北京"]
    (folder / "places.txt").write_bytes("\r\n".join(lines).encode())
    done = run("train", "places.txt", *TINY, "--epochs", 2, "--seed", 3, "--out", "model.npz", cwd=folder)
    assert_well(done)
    (folder / "printed").write_text(done.stdout, "utf-8")
    return folder


@pytest.fixture
def folder(places, tmp_path):
    """A copy of the folder of places, with files beside it that cause errors."""
    for name in ("places.txt", "model.npz", "model.jsonl", "model.png"):
        shutil.copy(places / name, tmp_path)
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "one.txt").write_bytes(b"Oslo\r\nOSLO\r\n\r\n")
    (tmp_path / "junk.bin").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "others.txt").write_bytes(b"abel\nbaga\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "damaged.npz").write_bytes((places / "model.npz").read_bytes()[:-500])
    model = Sequential(RNN(3, 2, rng=0), Dense(2, 3, rng=0))
    save(tmp_path / "jazz.npz", Checkpoint("jazz", model, Vocabulary("\nab")))
    save(tmp_path / "slim.npz", NameTraining(["ab"], ["ba"], Settings(hidden=2)).checkpoint(resumable=False))
    return tmp_path


# training and sampling


def test_training_writes_model_history_and_picture(places):
    checkpoint = load(places / "model.npz", "dinos")
    assert sorted(checkpoint.config["training"] + checkpoint.config["held_out"]) == sorted(PLACES)
    assert checkpoint.config["settings"]["hidden"] == 8
    assert checkpoint.training["epoch"] == 2
    records = read_history(places / "model.jsonl")
    assert [record["epoch"] for record in records] == [1, 2]
    assert all(np.isfinite([record["loss"], record["valid_loss"]]).all() for record in records)
    assert (places / "model.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_training_shows_names_on_the_way_and_says_what_it_wrote(places):
    printed = (places / "printed").read_text("utf-8")
    vocabulary = Vocabulary("\n" + "".join(PLACES))
    assert printed.startswith(f"7 names to learn, 1 held out, {len(vocabulary)} characters; LSTM of ")
    for moment in ("untrained", "epoch 1", "at the end"):
        assert re.search(rf"^{moment} ", printed, re.MULTILINE)
    losses = [record["valid_loss"] for record in read_history(places / "model.jsonl")]
    best = losses.index(min(losses)) + 1
    words = f"Held-out loss {min(losses):.3f} nats a character, from epoch {best}; ended after 2: all epochs done.\n"
    assert words in printed
    assert printed.endswith("Model model.npz, history model.jsonl, curves model.png.\n")


def test_samples_are_marked_as_new_or_known(places):
    done = run("sample", "--model", "model.npz", "-n", 30, "--seed", 1, cwd=places)
    assert_well(done)
    lines = done.stdout.removesuffix("\n").split("\n")
    assert len(lines) == 30
    for line in lines:
        name, mark = line.rstrip().rsplit(" ", 1)
        assert mark == ("known" if name.strip().lower() in PLACES else "new")


@pytest.mark.parametrize(("prefix", "mark"), [("oslo", "known"), ("OsLo", "known"), ("osl", "new")])
def test_a_name_of_the_training_is_marked_as_known(tmp_path, prefix, mark):
    training = NameTraining(PLACES[1:], PLACES[:1], Settings(hidden=2))
    checkpoint = training.checkpoint(resumable=False)
    checkpoint.model.layers[-1].params["b"][0] = 99  # for the newline: every name ends at once
    save(tmp_path / "model.npz", checkpoint)
    arguments = ["sample", "--model", str(tmp_path / "model.npz"), "--prefix", prefix, "-n", "2"]
    result = CliRunner().invoke(dinos.cli.app, arguments)
    assert result.exit_code == 0
    assert result.stdout == f"{prefix.lower().capitalize()}  {mark}\n" * 2


def test_samples_repeat_with_their_seed(places):
    one, again, other = (
        run("sample", "--model", "model.npz", "--seed", seed, "--top-k", 5, cwd=places) for seed in (1, 1, 2)
    )
    assert_well(one)
    assert one.stdout == again.stdout
    assert one.stdout != other.stdout


@pytest.mark.parametrize("command", [[], ["sample"]])
def test_without_a_model_there_are_ten_names_of_the_shipped_one(tmp_path, command):
    done = run(*command, cwd=tmp_path)
    assert_well(done)
    lines = done.stdout.removesuffix("\n").split("\n")
    assert len(lines) == 10
    assert all(re.fullmatch(r"[A-Z][a-z]* +(new|known)", line) for line in lines)
    assert contents(tmp_path) == {}


def test_a_resumed_training_equals_one_without_a_break(folder):
    assert_well(run("train", "--resume", "model.npz", "--epochs", 4, cwd=folder))
    arguments = ("--data", "places.txt", *TINY, "--epochs", 4, "--seed", 3, "--out", "whole.npz")
    assert_well(run("train", *arguments, cwd=folder))
    with np.load(folder / "model.npz") as resumed, np.load(folder / "whole.npz") as whole:
        assert resumed.files == whole.files
        for name in set(whole.files) - {"training.json", "sha256"}:  # there, the history has times
            assert_array_equal(resumed[name], whole[name], err_msg=name)
    records = [
        [(record["epoch"], record["loss"], record["valid_loss"]) for record in read_history(folder / f"{name}.jsonl")]
        for name in ("model", "whole")
    ]
    assert records[0] == records[1]
    assert len(records[0]) == 4


@pytest.mark.parametrize(
    ("names", "flags", "told"), [("Oslo", [], True), ("oslo", [], False), ("Oslo", ["--keep-case"], False)]
)
def test_capitals_are_said_to_be_lost_only_if_a_name_has_some(tmp_path, monkeypatch, names, flags, told):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(f"{names}\nriga\nbonn\nparis\n", "utf-8")
    found = CliRunner().invoke(dinos.cli.app, ["train", "a.txt", *TINY, "--epochs", "1", *flags])
    assert found.exit_code == 0, found.output
    assert ("Capital letters are learned as small ones" in found.stdout) == told


def test_a_slim_model_samples_the_same_names(folder):
    common = ("train", "places.txt", *TINY, "--epochs", "2", "--seed", "3", "--slim", "--keep-case")
    runner = CliRunner()
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert runner.invoke(dinos.cli.app, [*common, "-o", "one.npz"]).exit_code == 0
        assert runner.invoke(dinos.cli.app, [*common, "-o", "two.npz"]).exit_code == 0
    assert (folder / "one.npz").read_bytes() == (folder / "two.npz").read_bytes()
    checkpoint = load(folder / "one.npz")
    assert checkpoint.training is None
    assert {"Oslo", "oslo"} <= {*checkpoint.config["training"], *checkpoint.config["held_out"]}


def test_force_replaces_what_is_there(folder):
    before = contents(folder)
    arguments = ("others.txt", *TINY, "--epochs", 1, "--out", "model.npz", "--force")
    assert_well(run("train", *arguments, cwd=folder))
    after = contents(folder)
    assert {name for name in after if after[name] != before[name]} == {"model.npz", "model.jsonl", "model.png"}
    assert load(folder / "model.npz").config["training"] in (["abel"], ["baga"])


# errors


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("train empty.txt", 1, "empty.txt must hold at least two different names, one a line, it holds 0"),
        ("train one.txt", 1, "one.txt must hold at least two different names, one a line, it holds 1"),
        ("train folder", 1, "folder must be a text file, it is a folder"),
        ("train junk.bin", 1, "junk.bin must be UTF-8 text"),
        ("train model.npz", 1, "model.npz must be UTF-8 text"),
        ("train missing.txt", 1, "missing.txt could not be read: No such file or directory"),
        ("train places.txt --data others.txt", 2, "training data must be given once"),
        ("train places.txt --hidden 0", 2, "'--hidden': 0 is not in the range"),
        ("train places.txt --epochs 0", 2, "'--epochs': 0 is not in the range"),
        ("train places.txt --cell transformer", 2, "'--cell': 'transformer' is not one of 'rnn', 'lstm', 'gru'"),
        (
            "train places.txt --out others.txt/a.npz",
            1,
            "others.txt/a.npz must be in a folder that exists or can be made",
        ),
        ("train places.txt --out a.npz --plot others.txt/a.png", 1, "others.txt/a.png must be in a folder that exists"),
        ("train places.txt --out folder", 1, "folder must be a file to write, it is a folder"),
        ("train places.txt --out . --force", 1, "must be a file to write"),
        ("train places.txt --out / --force", 1, "must be a file to write"),
        ("train places.txt --out model.npz", 1, "model.npz already exists"),
        ("train places.txt --out model.dat", 1, "model.jsonl already exists"),
        ("train places.txt --out a.npz --plot others.txt", 1, "others.txt already exists"),
        ("train places.txt --out a.jsonl", 1, "a.jsonl"),  # which is where the history goes
        ("train places.txt --out a.png", 1, "a.png"),  # and the picture
        ("train places.txt --out a.npz --plot a.npz", 1, "a.npz"),
        ("train places.txt --out a.npz --plot a.jsonl", 1, "a.jsonl"),
        ("train --resume model.npz --epochs 3 --out jazz.npz", 1, "jazz.npz already exists"),
        ("train --resume model.npz --epochs 3 --plot others.txt", 1, "others.txt already exists"),
        ("train --resume model.npz others.txt", 1, "must hold the names that model.npz was trained on"),
        ("train --resume missing.npz", 1, "missing.npz could not be read: No such file or directory"),
        ("train --resume damaged.npz", 1, "damaged.npz must be a model file"),
        ("train --resume jazz.npz", 1, "jazz.npz must be a model of dinos, it is one of jazz"),
        ("train --resume slim.npz", 1, "must hold the state of its training to be resumed"),
        ("sample --model missing.npz", 1, "missing.npz could not be read: No such file or directory"),
        ("sample --model damaged.npz", 1, "damaged.npz must be a model file"),
        ("sample --model places.txt", 1, "places.txt must be a model file"),
        ("sample --model folder", 1, "folder must be a model file, it is a folder"),
        ("sample --model jazz.npz", 1, "jazz.npz must be a model of dinos, it is one of jazz"),
        ("sample --model model.npz --prefix Xo", 1, "got 'X'"),
        ("sample --model model.npz --temperature -1", 2, "'--temperature': -1.0 is not in the range"),
        ("sample --model model.npz --temperature nan", 2, "nan is not a finite number"),
        ("sample --model model.npz -n 0", 2, "'-n': 0 is not in the range"),
        ("sample --model model.npz --top-k 0", 2, "'--top-k': 0 is not in the range"),
        ("sample --model model.npz --seed x", 2, "'--seed': 'x' is not a valid integer"),
        ("evaluate --model missing.npz", 1, "missing.npz could not be read"),
        ("course one.txt", 1, "one.txt must hold at least two different names"),
        ("course junk.bin", 1, "junk.bin must be UTF-8 text"),
        ("course missing.txt", 1, "missing.txt could not be read"),
        ("invent", 2, "No such command 'invent'"),
        ("--colour", 2, "No such option"),
    ],
)
def test_an_error_is_one_line_and_loses_nothing(folder, arguments, status, message):
    before = contents(folder)
    assert_one_line(run(*arguments.split(), cwd=folder), status, message)
    assert contents(folder) == before


def test_resuming_into_a_new_file_leaves_what_is_beside_it(folder):
    (folder / "new.png").write_bytes(b"a picture")
    before = contents(folder)
    done = run("train", "--resume", "model.npz", "--epochs", 3, "--out", "new.npz", cwd=folder)
    assert_one_line(done, 1, "new.png already exists")
    assert contents(folder) == before


def test_a_failed_save_says_so_and_leaves_the_old_model(folder, monkeypatch):
    before = contents(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(os, "fsync", full)
    result = CliRunner().invoke(dinos.cli.app, ["train", "--resume", "model.npz", "--epochs", "3"])
    assert result.exit_code == 1
    assert str(result.exception) == "model.npz could not be written: No space left on device"
    assert contents(folder) == before


# interruption and closed outputs


def test_ctrl_c_saves_what_was_learned_and_it_can_be_resumed(tmp_path):
    names = data_path("dinos.txt").read_text().split()[::9]
    (tmp_path / "names.txt").write_text("\n".join(names))
    # As from a shell: where the tests run in the background, SIGINT may be set to be ignored.
    code = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); runpy.run_module('dinos', "
    command = [sys.executable, "-c", code + "run_name='__main__', alter_sys=True)"]
    command += ["train", "names.txt", *TINY, "--epochs", "5000", "--out", "a.npz"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, **pipes) as process:
        watchdog = threading.Timer(600, process.kill)
        watchdog.start()
        seen = b""
        while not re.search(rb" [2-9]/5000 ", seen):  # the line of an epoch
            piece = os.read(process.stdout.fileno(), 4096)
            assert piece, seen.decode()
            seen += piece
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate()
        watchdog.cancel()
    printed, errors = (seen + printed).decode(), errors.decode()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    epochs = int(re.search(r"^Interrupted after (\d+) epochs\.$", printed, re.MULTILINE)[1])
    assert "Next:\n  dinos train --resume a.npz --epochs 5000\n" in errors
    assert "n-gram" not in printed
    assert printed.endswith("Model a.npz, history a.jsonl, curves a.png.\n")
    assert load(tmp_path / "a.npz").training["epoch"] == len(read_history(tmp_path / "a.jsonl")) == epochs >= 2

    assert_well(run("train", "--resume", "a.npz", "--epochs", epochs + 1, cwd=tmp_path))
    assert_well(run("train", "names.txt", *TINY, "--epochs", epochs + 1, "--out", "whole.npz", cwd=tmp_path))
    resumed, whole = load(tmp_path / "a.npz"), load(tmp_path / "whole.npz")
    assert resumed.training["epoch"] == epochs + 1
    assert_array_equal(resumed.model.params.flat, whole.model.params.flat)
    assert_array_equal(resumed.training["weights"], whole.training["weights"])


def test_ctrl_c_in_the_first_epoch_saves_the_beginning(folder, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(folder)
    arguments = ["train", "places.txt", *TINY, "--out", "a.npz", "--seed", "3"]
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_update", interrupt)
        result = CliRunner().invoke(dinos.cli.app, arguments)
    assert result.exit_code == 130
    assert result.stdout.endswith("Interrupted after 0 epochs.\nModel a.npz.\n")
    assert result.stderr.startswith("Next:\n  dinos train --resume a.npz --epochs 60\n")
    assert read_history(folder / "a.jsonl") == []
    assert not (folder / "a.png").exists()  # there is nothing to draw
    training = NameTraining.resume(load(folder / "a.npz", "dinos"))
    training.run(2)
    assert_array_equal(training.model.params.flat, load(folder / "model.npz").model.params.flat)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [["sample", "--model", "model.npz"], ["--help"]], ids=str)
def test_a_full_output_is_one_error(folder, arguments):
    before = contents(folder)
    with open("/dev/full", "w") as full:
        done = run(*arguments, cwd=folder, stdout=full)
    assert done.returncode == 1
    assert re.fullmatch(r"Error: .*No space left on device\n", done.stderr)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ("sample --model model.npz -n 3000", 1),  # more than a pipe holds
        ("sample --model model.npz", 0),
        ("course places.txt --iterations 1", 0),
    ],
)
def test_a_reader_that_has_had_enough_is_no_error_to_speak_of(places, arguments, lines):
    command = [sys.executable, "-m", "dinos", *arguments.split()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=places, env=ENVIRONMENT, **pipes) as process:
        for _ in range(lines):
            assert process.stdout.readline().rstrip().endswith((b"new", b"known"))
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(600) in (0, 1)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_more_than_a_pipe_holds_is_not_written_when_its_reader_ends(places, unbuffered):
    command = [sys.executable, "-m", "dinos", "sample", "--model", "model.npz", "-n", "20000"]
    environment = ENVIRONMENT | {"PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(command, cwd=places, env=environment, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(600) == 1


# the other commands


def test_an_evaluation_puts_the_n_gram_beside_the_network(places):
    done = run("evaluate", "--model", "model.npz", "--samples", 50, "--seed", 1, cwd=places)
    assert_well(done)
    held_out = load(places / "model.npz").config["held_out"]
    assert done.stdout.startswith(f"1 held-out name, {len(held_out[0]) + 1} characters (ends included); trained on 7")
    size = len(Vocabulary("\n" + "".join(PLACES)))
    uniform = re.search(r"^uniform +([\d.]+) +([\d.]+)$", done.stdout, re.MULTILINE)
    assert [float(figure) for figure in uniform.groups()] == [round(np.log(size), 3), round(np.log2(size), 3)]
    for row in ("network", "Kneser-Ney, best order", "unigram", "in the training set", "new", "mean length"):
        assert re.search(rf"^{row}", done.stdout, re.MULTILINE)


def test_the_course_is_replayed_on_any_names_in_its_form(folder):
    done = run("course", "--data", "places.txt", "--iterations", 1001, cwd=folder)
    assert_well(done)
    blocks = done.stdout.removesuffix("\n\n\n").split("\n\n\n")
    assert len(blocks) == 2
    for iteration, block in zip((0, 1000), blocks, strict=True):
        head, names = block.split("\n\n", 1)
        assert re.fullmatch(rf"Iteration: {iteration}, Loss: \d+\.\d{{6}}", head)
        assert len(names.split("\n")) == 7


def test_the_course_of_the_command_is_that_of_the_library(shared_data, capsys):
    path = shared_data / "dinos.txt"
    result = CliRunner().invoke(dinos.cli.app, ["course", str(path), "--iterations", "1001"])
    letters = ["\n", *"abcdefghijklmnopqrstuvwxyz"]
    names, ids = path.read_text().lower().split("\n"), {letter: i for i, letter in enumerate(letters)}
    course.model(names, dict(enumerate(letters)), ids, 1001)
    assert result.exit_code == 0
    assert result.stdout == capsys.readouterr().out


def test_every_command_has_help_under_both_names():
    commands = {"sample", "sweep", "train", "evaluate", "course", "inspect"}
    assert set(dinos.cli.app.commands) == commands
    for command in ([], *([name] for name in commands)):
        long, short = (CliRunner().invoke(dinos.cli.app, [*command, option]) for option in ("--help", "-h"))
        assert long.exit_code == short.exit_code == 0
        assert long.stdout.startswith("Usage: ")
        assert long.stdout == short.stdout


def test_the_split_of_the_command_is_that_of_its_seed(places):
    names = read_names(places / "places.txt")
    config = load(places / "model.npz").config
    assert [config["training"], config["held_out"]] == [*map(list, split_names(names, 3))]
    assert json.loads(json.dumps(config)) == config


def test_an_interrupted_slim_training_can_still_be_resumed(tmp_path, monkeypatch):
    """`--slim` takes effect only at the end of the training."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(PLACES), "utf-8")

    def interrupt(self, *arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("numpyrnn.train.Trainer._run_epoch", interrupt)
        assert CliRunner().invoke(dinos.cli.app, ["train", "names.txt", *TINY, "--slim"]).exit_code == 130
    assert load("dinos.npz").training is not None
    done = CliRunner().invoke(dinos.cli.app, ["train", "--resume", "dinos.npz", "--epochs", "1", "--slim"])
    assert done.exit_code == 0, done.output
    assert load("dinos.npz").training is None


def test_a_resumed_training_with_nothing_left_to_do_says_why_and_writes_nothing(places, tmp_path):
    shutil.copy(places / "model.npz", tmp_path / "a.npz")
    before = (tmp_path / "a.npz").read_bytes()
    done = run("train", "--resume", "a.npz", "--epochs", 2, cwd=tmp_path)
    assert done.returncode == 1
    assert "nothing left to train" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    assert (tmp_path / "a.npz").read_bytes() == before


@pytest.mark.slow
def test_a_model_that_writes_only_empty_names_does_not_end_its_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(PLACES), "utf-8")
    monkeypatch.setattr("dinos.model.text", lambda ids, vocabulary: "")
    done = CliRunner().invoke(dinos.cli.app, ["train", "names.txt", *TINY, "--epochs", "1"])
    assert done.exit_code == 0, done.output
    assert "too many empty names" in done.stdout
    assert load("dinos.npz").training["epoch"] == 1
