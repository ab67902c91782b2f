"""`numpyrnn info`: what a program's model file says of itself, and that all of it holds."""

import importlib.metadata
import re
import shlex
from configparser import ConfigParser
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

import command_tree as tree
import pytest

import dinos.model as dinos
import jazz.model as jazz
import piano.model as piano
import sonnets.model as sonnets
from dinos.names import split_names
from jazz.reading.corpus import read_tunes, shipped_choruses
from jazz.training import JazzTraining
from numpyrnn import (
    LSTM,
    CausalConv1D,
    Checkpoint,
    Dense,
    Embedding,
    LastStep,
    NumpyrnnError,
    Sequential,
    Vocabulary,
    load,
    save,
)
from numpyrnn.cli import ABOUT, _narrowed
from numpyrnn.gradcheck import GradientReport
from numpyrnn.verify import GROUP
from piano.training import PianoTraining
from sonnets.recipes import RECIPES
from workbench.about import names_in
from workbench.files import data_path

ROOT = Path(__file__).parents[1]
NAMES = [
    "allosaurus",
    "brachio",
    "compso",
    "diplo",
    "europa",
    "f\x1b[2Jx",
    "gallimimus",
    "hadro",
    "iguanodon",
    "jobaria",
]
SHIPPED = ["dinos", "piano", "sonnets"]
TRAINED = ["dinos", "jazz", "piano", "sonnets"]


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """The entry points of setup.cfg, whether or not they are installed."""
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", "utf-8")
    lines = [
        (group, line) for group in (ABOUT, GROUP) for line in config["options.entry_points"][group].split("\n") if line
    ]
    points = [importlib.metadata.EntryPoint(*line.split(" = "), group) for group, line in lines]
    monkeypatch.setattr("importlib.metadata.entry_points", importlib.metadata.EntryPoints(points).select)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model of each program, trained for one epoch or two, which can be resumed."""
    path = tmp_path_factory.mktemp("info")
    text, names = ("ab cd ef.\n\nbad cab.\n" * 60, "cab ef.\n"), split_names(NAMES, 3)
    pieces = [piano.Piece(f"piece {i}", None, ["C4", "E4", "0.4.7", "G4"] * 12) for i in range(5)]
    small = replace(piano.MODELS["wavenet"], hidden=3, embedding=2, dense=2, window=8, min_count=3, transpose=True)
    made = {
        "dinos": dinos.NameTraining(
            *names, dinos.Settings(hidden=3, embedding=2, copies=1.0, cell="gru", seed=3), True
        ),
        "sonnets": sonnets.SonnetTraining(*text, replace(RECIPES["course"], hidden=3, layers=1, epochs=2)),
        "jazz": JazzTraining.of_tunes(
            read_tunes(shipped_choruses()[:5]), replace(jazz.RECIPES["atomic"], hidden=3, embedding=2)
        ),
        "piano": PianoTraining.of_pieces(pieces, small),
    }
    for program, training in made.items():
        training.run(2)
        save(path / f"{program}.npz", training.checkpoint())
    return path


def info(path):
    """What the command prints about a file that is a good one."""
    status, printed, errors = tree.invoke("numpyrnn", ["info", str(path)])
    assert (status, errors) == (0, "")
    return printed


def field(printed, title):
    """What stands beside a title, unwrapped."""
    (found,) = re.findall(rf"^{title}: +(.*(?:\n {{15}}.*)*)", printed, re.MULTILINE)
    return " ".join(found.split())


@pytest.mark.parametrize("program", SHIPPED)
def test_of_a_shipped_model_the_loss_is_below_the_n_grams(program):
    printed = info(data_path(f"models/{program}.npz"))
    ours, *ngrams = map(float, re.findall(r"\d\.\d{3}", field(printed, "Held-out loss")))
    assert ngrams
    assert ours < min(ngrams)
    assert "not kept" in field(printed, "Epochs")
    assert "--resume" not in printed


@pytest.mark.parametrize("program", TRAINED)
def test_the_loss_and_the_epochs_are_those_of_the_training(folder, program):
    printed, state = info(folder / f"{program}.npz"), load(folder / f"{program}.npz").training
    (loss, *_) = re.findall(r"\d+\.\d{3}", field(printed, "Held-out loss"))
    assert float(loss) == pytest.approx(state["best_loss"], abs=6e-4)
    best = next(r["epoch"] for r in state["history"] if r["valid_loss"] == state["best_loss"])
    of = {"jazz": " of 120, interrupted", "piano": " of 24, interrupted", "sonnets": " of 2"}.get(program, "")
    assert ("Beside it" in printed) == ("interrupted" not in of)
    assert field(printed, "Epochs") == f"2{of}; the weights are those of epoch {best}"
    assert "can be resumed." in printed


@pytest.mark.parametrize("program", TRAINED)
def test_the_settings_the_size_and_the_data_are_those_of_the_file(folder, program):
    path = folder / f"{program}.npz"
    printed, checkpoint = info(path), load(path)
    assert f"{path.stat().st_size:,} bytes\n" in printed
    assert f" {checkpoint.model.params.flat.size:,} parameters, " in printed
    settings = field(printed, "Settings")
    assert all(f"{name} {value}" in settings for name, value in checkpoint.config["settings"].items())
    first = {"dinos": "us", "jazz": "aaba-", "piano": "piece ", "sonnets": "ab cd ef. / bad cab. /"}[program]
    assert first in field(printed, "Begins with")
    assert "held out" in field(printed, "Data")
    assert not any(tree.is_control(c) for c in printed if c != "\n")


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("dinos", "--cell gru --hidden 3 --seed 3 --keep-case (REST: embedding 2)"),
        ("jazz", "--recipe atomic --hidden 3 (REST: embedding 2)"),
        ("piano", "--network wavenet --window 8 --min-count 3 --transpose (REST: embedding 2, hidden 3, dense 2)"),
        ("sonnets", "--recipe course --hidden 3 --layers 1 --epochs 2"),
    ],
)  # fmt: skip
def test_the_command_is_the_one_that_trains_with_these_settings(folder, program, command):
    words = command.replace("REST", "and settings that are no options")
    assert field(info(folder / f"{program}.npz"), "Command") == f"{program} train FILE {words}"


@pytest.mark.parametrize("program", TRAINED)
def test_the_command_gives_the_settings_of_the_file_again(folder, program, monkeypatch):
    asked = []
    monkeypatch.setattr("workbench.run.TrainingRun.learn", lambda run, training: asked.append(training.settings))
    command = field(info(folder / f"{program}.npz"), "Command").partition(" (")[0]
    data = {"dinos": "dinos.txt", "sonnets": "sonnets.txt", "piano": "piano", "jazz": "choruses/blues-f-1.txt"}[program]
    words = shlex.split(command.replace("FILE", str(data_path(data))))[1:]
    status, _, errors = tree.invoke(
        program, [*words, "-o", str(folder / "new.npz"), *["--no-cache"] * (program == "piano")]
    )
    assert (status, errors) == (0, "")
    kept, given = asdict(type(asked[0]).of(load(folder / f"{program}.npz"))), asdict(asked[0])
    differ = {name for name in kept if kept[name] != given[name]}
    assert differ <= {"embedding", "dense", "copies"} | ({"hidden"} if program == "piano" else set())


@pytest.mark.parametrize("program", TRAINED)
def test_what_it_shows_for_python_and_as_next_commands_works(folder, program, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    printed = info(folder / f"{program}.npz")
    code, after = re.search(r"In Python:\n\n((?: {4}.*\n|\n)+?)\nNext:\n\n((?: {4}.*\n)+)", printed).groups()
    exec(re.sub("^ {4}", "", code, flags=re.MULTILINE), {})
    assert capsys.readouterr().out.strip()
    commands = [shlex.split(line) for line in after.splitlines()]
    assert [words[1] for words in commands][1:] == ["evaluate", "train"]
    for name, command, *words in commands:
        if command == "evaluate":  # which takes long
            assert (
                tree.PROGRAMS[name]
                .commands[command]
                .make_context(command, words, **tree.PROGRAMS[name].context_settings)
            )
        else:
            words = [word for word in words if word not in ("--epochs", "N")]
            more = ["--epochs", "3"] * (command == "train")
            status, _, errors = tree.invoke(name, [command, *words, *more])
            assert status == 0, errors


def test_a_model_of_no_program_is_used_as_it_says(tmp_path, capsys):
    save(tmp_path / "own.npz", Checkpoint("numpyrnn", Sequential(Dense(2, 2, rng=0)), Vocabulary("ab")))
    printed = info(tmp_path / "own.npz")
    exec(re.sub("^ {4}", "", printed.partition("In Python:\n\n")[2], flags=re.MULTILINE), {})
    assert re.fullmatch(r"\[('[ab]',? ?)+\]", capsys.readouterr().out.strip())
    save(tmp_path / "own.npz", Checkpoint("poems", Sequential(Dense(2, 2, rng=0)), Vocabulary("ab")))
    assert "a model of poems, a program that is not installed here, " in info(tmp_path / "own.npz")


def test_a_long_text_is_not_in_the_file_and_its_first_lines_are(tmp_path, monkeypatch):
    monkeypatch.setattr("sonnets.text.KEPT", 100)
    training = sonnets.SonnetTraining("once\n\nupon a time\n" * 40, "time\n", replace(RECIPES["streams"], hidden=2))
    save(tmp_path / "long.npz", training.checkpoint())
    printed = info(tmp_path / "long.npz")
    assert field(printed, "Data").startswith("the model does not keep its text of ")
    assert field(printed, "Begins with") == "once / upon a time / upon a time / upon a time / upon a time"
    assert field(printed, "Epochs") == "not known without the text"
    assert "Held-out loss" not in printed
    assert printed.count("long.npz --data FILE\n") == 2


@pytest.mark.parametrize("program", TRAINED)
def test_a_file_that_is_none_of_its_program_is_one_line(folder, program, tmp_path):
    checkpoint = load(folder / f"{program}.npz")
    checkpoint.config["settings"] = {**checkpoint.config["settings"], "hidden": 4}
    save(tmp_path / "forged.npz", checkpoint)
    status, printed, errors = tree.invoke("numpyrnn", ["info", str(tmp_path / "forged.npz")])
    assert (status, printed) == (1, "")
    assert re.fullmatch(r"Error: .*the network must be that of its settings, it is another.*\n", errors)


def test_an_ended_training_is_not_proposed_to_be_resumed(tmp_path):
    training = dinos.NameTraining(*split_names(NAMES, 3), dinos.Settings(hidden=3, embedding=2, patience=1))
    training.run(1)
    training.trainer.finished = True
    save(tmp_path / "done.npz", training.checkpoint())
    printed = info(tmp_path / "done.npz")
    assert "--resume" not in printed
    assert "the training has ended" in field(printed, "Epochs")
    assert "can be resumed" not in printed


def test_a_model_that_started_from_another_is_trained_by_the_option_start(tmp_path):
    training = dinos.NameTraining(*split_names(NAMES, 3), dinos.Settings(hidden=3, embedding=2, own=5))
    training.run(1)
    save(tmp_path / "own.npz", training.checkpoint())
    printed = info(tmp_path / "own.npz")
    assert field(printed, "Command") == "dinos train FILE --start shipped"
    assert printed.index("Held-out loss:") < printed.index("Next:")
    assert "train --resume" in printed
    assert printed.rstrip().endswith(" --epochs N")


@pytest.mark.parametrize("tokens", [None, "ab"])
@pytest.mark.parametrize(
    "layers",
    [
        (Dense(2, 2, rng=0),),
        (Embedding(2, 2, rng=0), LSTM(2, 2, rng=0)),
        (LSTM(2, 3, rng=0), Dense(3, 2, rng=0), LastStep()),
        (CausalConv1D(2, 2, 2, rng=0),),
    ],
)
def test_the_python_shown_runs_for_models_of_all_kinds(tmp_path, capsys, layers, tokens):
    vocabulary = tokens and Vocabulary(tokens)
    save(tmp_path / "own.npz", Checkpoint("numpyrnn", Sequential(*(layer.copy() for layer in layers)), vocabulary))
    exec(re.sub("^ {4}", "", info(tmp_path / "own.npz").partition("In Python:\n\n")[2], flags=re.MULTILINE), {})
    assert capsys.readouterr().out.strip()


def test_the_table_of_layers_fits_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True))
    narrow = _narrowed(load(data_path("models/dinos.npz")).model.summary())
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: False))
    wide = _narrowed("a  b" * 90)
    monkeypatch.undo()
    assert max(map(len, narrow.split("\n"))) <= 40
    assert "hidden_size=128" in narrow
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: True))
    table = load(data_path("models/dinos.npz")).model.summary()
    rows = _narrowed(table).split("\n")
    assert len(rows) == len(table.split("\n"))
    assert max(map(len, rows)) <= 80
    assert wide == "a  b" * 90


@pytest.mark.torture
def test_any_cut_or_changed_file_is_one_line(folder, rounds, tell, tmp_path):
    tried = 0
    for program in TRAINED:
        data, rng = (folder / f"{program}.npz").read_bytes(), Random(program)
        for _ in range(rounds(10, 300)):
            place = rng.randrange(len(data))
            flipped = data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
            (tmp_path / "bad.npz").write_bytes(rng.choice([flipped, data[:place], data[place:], data + b"x"]))
            status, printed, errors = tree.invoke("numpyrnn", ["info", str(tmp_path / "bad.npz")])
            tried += status != 0
            assert tree.fault_of(status, printed, errors) is None
            assert not (status and printed)
    tell(f"numpyrnn info of {tried:,} damaged files: one error line each")


def test_names_are_shown_of_texts_and_of_lists():
    assert names_in({"training": "\n\n  a\n b\n" + "c\n" * 9}) == ["a", "b", "c", "c", "c"]
    assert names_in({"training": [{"name": "x"}, {"name": "y"}]}) == ["x", "y"]
    assert names_in({"openings": ["\x1b[2J"]}) == ["\\x1b[2J"]
    with pytest.raises(NumpyrnnError):
        load(data_path("dinos.txt"))


def test_a_report_with_a_fault_only_does_not_end_as_if_all_were_right():
    report = GradientReport()
    report.faults = ("forward must not write to its arguments",)
    assert str(report).endswith("All gradients are right, but there is 1 fault.")


def test_verify_names_the_next_command():
    status, _, errors = tree.invoke("numpyrnn", ["verify", str(data_path("models/dinos.npz"))])
    assert status == 0
    assert errors.startswith("Next:\n  numpyrnn info ")
