"""The command `sonnets` as a user meets it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_array_equal
from records import read_history

from numpyrnn import RNN, Dense, Sequential
from numpyrnn.checkpoint import Checkpoint, load, save
from numpyrnn.cli import run
from numpyrnn.train import Trainer
from numpyrnn.vocab import Vocabulary
from sonnets import text as text_module
from sonnets.cli import app, spoken
from sonnets.text import first_lines, read_plain, split_text
from workbench import files
from workbench.files import data_path

TEXT = "\n\n".join(data_path("sonnets.txt").read_text("utf-8").split("\n\n")[:4]) + "\n"  # four sonnets
TINY = ("--hidden", "8")
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "PYTHONUNBUFFERED": "",  # as a user has it
    "PYTHONIOENCODING": "utf-8",
    "OPENBLAS_NUM_THREADS": "1",
}


def do(folder, *arguments):
    """Run a command to its end, as `python -m sonnets` does: exit status and what was printed."""
    with pytest.MonkeyPatch.context() as patch, CliRunner().isolation() as (out, err, _):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["sonnets", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(app)
    return SimpleNamespace(status=ended.value.code, out=out.getvalue().decode(), err=err.getvalue().decode())


def do_well(folder, *arguments):
    done = do(folder, *arguments)
    assert done.status == 0, done.err
    return done.out


def contents(folder):
    """Every file of a folder, byte for byte."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A folder with a text, a model of each recipe trained on it, and what the first training printed."""
    folder = tmp_path_factory.mktemp("sonnets")
    (folder / "text.txt").write_bytes(TEXT.replace("\n", "\r\n").encode())
    printed = do_well(folder, "train", "text.txt", *TINY, "--epochs", 2, "--seed", 3, "-o", "model.npz")
    (folder / "printed").write_text(printed)
    do_well(folder, "train", "text.txt", *TINY, "--recipe", "course", "--epochs", 1, "-o", "course.npz")
    return folder


@pytest.fixture
def folder(learned, tmp_path):
    """A copy of that folder, with files beside it that cause errors."""
    for name in ("text.txt", "model.npz", "model.jsonl", "model.png", "course.npz"):
        shutil.copy(learned / name, tmp_path)
    shutil.copy(data_path("models/dinos.npz"), tmp_path / "dinos.npz")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.txt").touch()
    (tmp_path / "short.txt").write_text("a rose is a rose\n" * 20)
    (tmp_path / "other.txt").write_text("a rose is a rose\n" * 50)
    (tmp_path / "junk.bin").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "damaged.npz").write_bytes((learned / "model.npz").read_bytes()[:-500])
    model = Sequential(RNN(3, 2, rng=0), Dense(2, 3, rng=0))
    save(tmp_path / "bare.npz", Checkpoint("sonnets", model, Vocabulary("\nab")))
    checkpoint = load(learned / "model.npz")
    checkpoint.training = None
    save(tmp_path / "slim.npz", checkpoint)
    return tmp_path


# writing


def test_a_poem_is_the_prompt_and_what_follows_and_nothing_else(learned):
    done = do(learned, "write", "When FORTY winters", "--model", "model.npz", "--seed", 1)
    following = "sonnets evaluate --model model.npz\n  sonnets train YOUR-TEXT.txt"
    assert (done.status, done.err) == (0, f"Next:\n  {following}\n")
    assert done.out.startswith("When FORTY winters")
    assert re.search(r"[^\n]\n$", done.out)
    assert 350 < len(done.out) <= len("When FORTY winters") + 400 + 1
    assert done.out[18:].lower() == done.out[18:]


def test_without_a_prompt_the_poem_begins_with_a_first_line(learned):
    lines = first_lines(split_text(read_plain(learned / "text.txt"))[0])
    begins = {do_well(learned, "--model", "model.npz", "--length", 3, "--seed", i).split("\n")[0] for i in range(25)}
    assert begins == set(lines)


def test_the_shipped_model_is_asked_for(learned, monkeypatch):
    asked = []
    monkeypatch.setattr(files, "data_path", lambda name: asked.append(name) or learned / "model.npz")
    assert do_well(learned, "--seed", "4") == do_well(learned, "write", "--seed", "4", "--model", "model.npz")
    do_well(learned, "evaluate", "--samples", "5")
    assert asked == ["models/sonnets.npz"] * 2
    assert do_well(learned) != do_well(learned)  # without a seed, something new


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ("", "--length 400 --temperature 0.8 --unknown error"),
        ("--temperature 0", "--top-k 1"),
        ("--temperature 0 --seed 8", "--temperature 0 --seed 9"),
        ("--lines 3 --length 100", "--lines 3"),
        ("--model course.npz --length 50", "--model course.npz --length 50 --top-k 99"),
    ],
)
def test_options_mean_what_they_say(learned, options, same):
    arguments = ("write", "from", "--seed", "8", "--model", "model.npz")
    one, other = (do_well(learned, *arguments, *words.split()) for words in (options, same))
    if "--top-k 99" in same:  # another way to draw, of the same length
        assert len(one) == pytest.approx(len(other), abs=5)
    elif "--lines" in same:
        assert other.startswith(one.rstrip("\n"))
        assert len([line for line in other.split("\n") if line.strip()]) == 3
        assert other.endswith("\n")
    else:
        assert one == other


def test_unknown_characters_are_listed_or_skipped(learned):
    arguments = ("--model", "model.npz", "--seed", 1)
    done = do(learned, "write", "€uro 5", *arguments)
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(r"Error: prompt must be .*, got '5' '€' \(--unknown skip drops them\)\n", done.err)
    skipped = do_well(learned, "write", "€uro 5", *arguments, "--unknown", "skip")
    assert skipped == do_well(learned, "write", "uro ", *arguments)


def test_long_prompts_and_empty_ones_are_continued(learned):
    for model in ("model.npz", "course.npz"):
        for prompt in (TEXT[:1500], ""):
            written = do_well(learned, "write", prompt, "--model", model, "--length", 60)
            assert written.startswith(prompt)
            assert len(written) > len(prompt) + 2


def test_a_poem_can_be_written_to_a_file_too(folder):
    arguments = ("write", "thou", "--model", "model.npz", "--seed", 2, "-o", "poem.txt")
    printed = do_well(folder, *arguments)
    assert (folder / "poem.txt").read_text("utf-8") == printed
    before = contents(folder)
    done = do(folder, *arguments[:-2], "--seed", 3, "-o", "poem.txt")
    assert (done.status, done.out) == (1, "")
    assert "poem.txt already exists" in done.err
    assert contents(folder) == before
    other = do_well(folder, *arguments[:-2], "--seed", 3, "-o", "poem.txt", "--force")
    assert (folder / "poem.txt").read_text("utf-8") == other != printed


def test_a_poem_is_printed_as_it_comes_with_one_newline_at_its_end(capsys):
    seen = []

    def characters():
        for character in "\n\nab\n\nc\n\n":
            seen.append(capsys.readouterr().out)
            yield character

    assert spoken("X\n", characters()) == "X\n\n\nab\n\nc\n"
    assert [*seen, capsys.readouterr().out] == ["X", "", "", "\n\n\na", "b", "", "", "\n\nc", "", "\n"]


def test_ctrl_c_ends_a_poem_with_a_newline(folder):
    # As from a shell: where the tests run in the background, SIGINT may be set to be ignored.
    code = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "runpy.run_module('sonnets', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", code, "write", "thou", "--model", "model.npz", "--length", "1000000000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, "-o", "poem.txt"], cwd=folder, env=ENVIRONMENT, **pipes) as process:
        watchdog = threading.Timer(600, process.kill)
        watchdog.start()
        seen = b""
        while len(seen) < 100:  # long before the poem is done
            piece = os.read(process.stdout.fileno(), 50)
            assert piece, process.stderr.read().decode()
            seen += piece
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate()
        watchdog.cancel()
    assert process.returncode == 130
    assert (seen + printed).startswith(b"thou")
    assert printed.endswith(b"\n")
    assert errors.strip() == b"Interrupted."
    assert not (folder / "poem.txt").exists()


def test_a_reader_that_has_had_enough_is_no_error_to_speak_of(learned):
    command = [sys.executable, "-m", "sonnets", "--model", "model.npz", "--length", "1000000000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=learned, env=ENVIRONMENT, **pipes) as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(600) in (0, 1)


# training


def test_training_writes_model_history_and_picture(learned):
    checkpoint = load(learned / "model.npz", "sonnets")
    config = checkpoint.config
    assert (config["training"], config["held_out"]) == split_text(TEXT.lower())
    assert (config["settings"]["hidden"], config["settings"]["epochs"], config["settings"]["seed"]) == (8, 2, 3)
    assert checkpoint.training["epoch"] == 2
    assert [record["epoch"] for record in read_history(learned / "model.jsonl")] == [1, 2]
    assert (learned / "model.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert load(learned / "course.npz").config["settings"]["stride"] == 3


def test_training_shows_lines_on_the_way_and_the_result_at_the_end(learned):
    printed, (training, held_out) = (learned / "printed").read_text(), split_text(TEXT.lower())
    size = load(learned / "model.npz").model.params.flat.size
    assert printed.startswith(
        f"{len(training):,} characters to learn, {len(held_out)} held out, {len(set(TEXT.lower()))} different ones; "
        f"1 x LSTM(8), {size:,} parameters.\n"
    )
    for moment in ("untrained", "epoch 1", "at the end"):
        assert re.search(rf"^{moment} ", printed, re.MULTILINE)
    losses = [record["valid_loss"] for record in read_history(learned / "model.jsonl")]
    best = losses.index(min(losses)) + 1
    words = f"Held-out loss {min(losses):.3f} nats a character, from epoch {best}; ended after 2: all epochs done.\n"
    assert words in printed  # without a verdict, because --epochs cut it short
    assert printed.endswith("Model model.npz, history model.jsonl, curves model.png.\n")


def test_a_training_interrupted_by_ctrl_c_is_saved_and_goes_on_to_the_same_bits(folder, monkeypatch):
    steps, step = [], Trainer._update

    def interrupted(*arguments):
        steps.append(1)
        if len(steps) > 1.5 * load(folder / "model.npz").training["step"] / 2:
            raise KeyboardInterrupt
        return step(*arguments)

    common = ("train", "text.txt", *TINY, "--epochs", 2, "--seed", 3, "-o", "half.npz", "--slim")
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_update", interrupted)
        done = do(folder, *common)
    assert done.status == 130
    assert "\nInterrupted after 1 epoch.\n" in done.out
    assert done.err.startswith("Next:\n  sonnets train --resume half.npz --epochs 2\n")
    assert done.out.endswith("Model half.npz, history half.jsonl, curves half.png.\n")
    do_well(folder, "train", "text.txt", "--resume", "half.npz")  # as many epochs as it was to have
    resumed, whole = load(folder / "half.npz"), load(folder / "model.npz")
    assert_array_equal(resumed.model.params.flat, whole.model.params.flat)
    assert_array_equal(resumed.training["weights"], whole.training["weights"])


def test_a_slim_model_writes_the_same(folder):
    do_well(folder, "train", "text.txt", *TINY, "--epochs", 2, "--seed", 3, "-o", "new.npz", "--slim")
    assert load(folder / "new.npz").training is None
    one, other = (do_well(folder, "--model", name, "--seed", 1) for name in ("new.npz", "model.npz"))
    assert one == other


def test_capitals_stay_if_they_are_to(folder):
    do_well(folder, "train", "text.txt", *TINY, "--epochs", 1, "-o", "case.npz", "--keep-case")
    assert load(folder / "case.npz").config["training"] == split_text(TEXT)[0]
    assert "From" in load(folder / "case.npz").config["training"]
    assert set(do_well(folder, "--model", "case.npz", "--temperature", 2)) & set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_capitals_are_said_to_be_lost_only_if_the_text_has_some(folder):
    (folder / "small.txt").write_text(TEXT.lower(), "utf-8")
    for flags, told in ((["text.txt"], True), (["small.txt"], False), (["text.txt", "--keep-case"], False)):
        shown = do_well(folder, "train", *flags, *TINY, "--epochs", 1, "-o", "lost.npz", "--force")
        assert ("Capital letters are learned as small ones" in shown) == told


@pytest.mark.parametrize("line", ["Μῆνιν ἄειδε θεὰ Πηληϊάδεω Ἀχιλῆος", "床前明月光疑是地上霜。舉頭望明月低頭思故鄉。"])
def test_any_writing_is_learned_and_written(tmp_path, line):
    (tmp_path / "text.txt").write_text(f"{line}\n" * 40, "utf-8")
    do_well(tmp_path, "train", "--data", "text.txt", *TINY, "--epochs", 1)
    written = do_well(tmp_path, "write", line[:4], "--model", "sonnets.npz")
    assert written.startswith(line[:4])
    assert set(written) <= {*line.lower(), *line[:4], "\n"}


def test_a_long_text_is_not_kept_and_must_be_given(folder, monkeypatch):
    monkeypatch.setattr(text_module, "KEPT", 1000)
    monkeypatch.setattr("sonnets.model.EPOCH", 1000)
    printed = do_well(folder, "train", "text.txt", *TINY, "--epochs", 1, "-o", "long.npz")
    assert "\nAn epoch reads 1,000 characters from a random place on.\n" in printed
    assert b"deep trenches" not in contents(folder)["long.npz"]
    assert "training" not in load(folder / "long.npz").config
    assert do_well(folder, "--model", "long.npz", "--seed", 1)
    before = contents(folder)
    for command in (["train", "--resume", "long.npz", "--epochs", 2], ["evaluate", "--model", "long.npz"]):
        assert re.fullmatch(
            r"Error: the model does not keep its text .* give it with --data\n", do(folder, *command).err
        )
        assert "it is another" in do(folder, *command, "--data", "other.txt").err
        assert contents(folder) == before
    assert "nats" in do_well(folder, "evaluate", "--model", "long.npz", "--data", "text.txt", "--samples", 9)
    do_well(folder, "train", "--resume", "long.npz", "--epochs", 2, "--data", "text.txt")
    assert load(folder / "long.npz").training["epoch"] == 2


# evaluation


def test_an_evaluation_puts_the_n_gram_beside_the_network(learned):
    printed = do_well(learned, "evaluate", "--model", "model.npz", "--samples", 100, "--seed", 1)
    training, held_out = split_text(TEXT.lower())
    assert printed.startswith(f"{len(held_out)} held-out characters; trained on {len(training):,}.\n\n")
    uniform = re.search(r"^uniform +([\d.]+) +([\d.]+)$", printed, re.MULTILINE)
    size = len(set(TEXT.lower()))
    assert [float(figure) for figure in uniform.groups()] == [round(np.log(size), 3), round(np.log2(size), 3)]
    for row in ("network", "n-gram", "held-out text"):
        length, run, number = re.search(rf"^{row} +(\d+)  (['\"].*['\"]), line (\d+): ", printed, re.M).groups()
        assert int(length) == len(run.encode().decode("unicode_escape")) - 2 > 0
        assert 1 <= int(number) <= training.count("\n")


def test_an_evaluation_says_where_it_has_limits(learned, monkeypatch):
    monkeypatch.setattr("sonnets.model.COUNTED", 1000)
    monkeypatch.setattr(text_module, "MEASURED", 100)
    printed = do_well(learned, "evaluate", "--model", "course.npz", "--samples", 9)
    assert "\nThe losses are over the first 100 held-out characters.\n" in printed
    assert "\nThe n-gram is fitted on the last 1,000 training characters.\n" in printed


# errors


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("train empty.txt", 1, "empty.txt must hold a text of at least 500 characters, it holds 0"),
        ("train short.txt", 1, "short.txt must hold a text of at least 500 characters, it holds 339"),
        ("train folder", 1, "folder must be a text file, it is a folder"),
        ("train junk.bin", 1, "junk.bin must be UTF-8 text"),
        ("train missing.txt", 1, "missing.txt could not be read: No such file or directory"),
        ("train text.txt --data other.txt", 2, "training data must be given once"),
        ("train text.txt --recipe gpt", 2, "'--recipe': 'gpt' is not one of 'streams', 'course'"),
        ("train text.txt --hidden 0", 2, "'--hidden': 0 is not in the range"),
        ("train text.txt --out model.npz", 1, "model.npz already exists"),
        ("train text.txt --out model.dat", 1, "model.jsonl already exists"),
        ("train text.txt --out text.txt --force", 1, "text.txt is learned from and must not be replaced"),
        ("train text.txt --out text.txt/a.npz", 1, "text.txt/a.npz must be in a folder that exists"),
        ("train --resume model.npz", 1, "there is nothing left to train"),
        ("train --resume model.npz --epochs 3 --hidden 9", 2, "a resumed training keeps its settings, got --hidden"),
        ("train --resume model.npz --epochs 3 other.txt", 1, "the one that the model was trained on, it is another"),
        ("train --resume damaged.npz", 1, "damaged.npz must be a model file"),
        ("train --resume dinos.npz", 1, "dinos.npz must be a model of sonnets, it is one of dinos"),
        ("train --resume slim.npz", 1, "must hold the state of its training to be resumed"),
        ("write --model missing.npz", 1, "missing.npz could not be read: No such file or directory"),
        ("write --model damaged.npz", 1, "damaged.npz must be a model file"),
        ("write --model text.txt", 1, "text.txt must be a model file"),
        ("write --model dinos.npz", 1, "dinos.npz must be a model of sonnets, it is one of dinos"),
        ("write --model bare.npz", 1, "must hold its settings, it does not"),
        ("write ab --model bare.npz", 1, "must hold its settings, it does not"),
        ("write --model model.npz --temperature -1", 2, "'--temperature': -1.0 is not in the range"),
        ("write --model model.npz --temperature nan", 2, "nan is not a finite number"),
        ("write --model model.npz --length 0", 2, "'--length': 0 is not in the range"),
        ("write --model model.npz --unknown guess", 2, "'--unknown': 'guess' is not one of 'error', 'skip'"),
        ("write --model model.npz -o text.txt", 1, "text.txt already exists"),
        ("write --model model.npz -o text.txt/poem.txt", 1, "text.txt/poem.txt must be in a folder that exists"),
        ("evaluate --model bare.npz", 1, "must hold its settings, it does not"),
        ("evaluate --model model.npz --data other.txt", 1, "it is another"),
        ("evaluate --model model.npz --samples 0", 2, "'--samples': 0 is not in the range"),
        ("recite", 2, "No such command 'recite'"),
        ("--colour", 2, "No such option"),
    ],
)
def test_an_error_is_one_line_and_loses_nothing(folder, arguments, status, message):
    before, done = contents(folder), do(folder, *arguments.split())
    *usage, line = done.err.rstrip("\n").split("\n")
    assert (done.status, done.out) == (status, "")
    assert line.startswith("Error: ")
    assert message in line
    assert all(one == "" or one.startswith(("Usage: ", "Try ", "  ")) for one in usage if status == 2)
    assert status == 2 or usage == []
    assert contents(folder) == before


def test_every_command_has_help_under_both_names():
    assert set(app.commands) == {"write", "train", "evaluate", "inspect", "sweep"}
    for command in ([], ["write"], ["train"], ["evaluate"], ["inspect"]):
        long, short = (CliRunner().invoke(app, [*command, option]) for option in ("--help", "-h"))
        assert long.exit_code == short.exit_code == 0
        assert long.stdout.startswith("Usage: ")
        assert long.stdout == short.stdout


def test_the_model_is_not_replaced_by_a_poem(learned):
    before = (learned / "model.npz").read_bytes()
    done = do(learned, "write", "hello", "--model", "model.npz", "-o", "model.npz", "--force")
    assert done.status == 1
    assert "model.npz is the model and must not be replaced" in done.err
    assert (learned / "model.npz").read_bytes() == before


def test_an_evaluation_shows_a_sample_and_warns_of_held_out_text_that_was_learned(folder):
    (folder / "again.txt").write_text(TEXT * 3, "utf-8")
    do_well(folder, "train", "again.txt", *TINY, "--epochs", 1, "-o", "again.npz")
    printed = do_well(folder, "evaluate", "--model", "again.npz", "--samples", 200)
    assert re.search(r"^Warning: \d+ of \d+ held-out passages of 50 characters also stand in the tr", printed, re.M)
    opening = printed.split("The network's sample begins:\n")[1].splitlines()
    assert 1 <= len(opening) <= 4
    assert opening[0].strip().lower() in TEXT.lower()
    assert "Warning" not in do_well(folder, "evaluate", "--model", "model.npz", "--samples", 9)
