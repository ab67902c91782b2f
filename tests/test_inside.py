"""The commands `dinos inspect` and `sonnets inspect`, and the page about a look inside."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.image import imread

import dinos.cli
import sonnets.cli
from dinos.model import NameTraining
from dinos.model import Settings as NameSettings
from numpyrnn import load, plots, save
from numpyrnn.inspect import gradient_norms, saliency, top_units
from sonnets.model import SonnetTraining
from sonnets.recipes import RECIPES
from sonnets.text import KEPT
from workbench import inside
from workbench.files import data_path

NAMES = ["oslo", "bergen", "rom\u00e9", "paris", "lima", "quito", "berlin", "\u5317\u4eac", "new york"]
TEXT = data_path("sonnets.txt").read_text("utf-8")[:3000].lower()
FILES = [f"inspect-{picture}.png" for picture in ("gates", "saliency", "gradients", "units")]
PAGE = (Path(__file__).parents[1] / "docs" / "inspect.md").read_text("utf-8")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a tiny model of each program, and one of the course's windows."""
    path = tmp_path_factory.mktemp("models")
    names = NameTraining(NAMES[:7], NAMES[7:], NameSettings(hidden=6, layers=2, embedding=4, cell="gru"))
    save(path / "names.npz", names.checkpoint())
    for name, recipe in (("text", "streams"), ("course", "course")):
        training = SonnetTraining(TEXT[:2500], TEXT[2500:], replace(RECIPES[recipe], hidden=6))
        save(path / f"{name}.npz", training.checkpoint())
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch, models):
    """The current folder, with the models."""
    for path in models.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def undrawn(monkeypatch):
    """The pictures are not drawn, which takes seconds; their files are written."""
    for name in ("plot_gates", "plot_saliency", "plot_gradient_norms", "plot_units"):
        monkeypatch.setattr(plots, name, lambda *rest: None)
    monkeypatch.setattr(inside, "png", lambda figure: b"a picture")


def run(*words):
    app = dinos.cli.app if words[0] == "dinos" else sonnets.cli.app
    return CliRunner().invoke(app, [*words[1:]])


def written(folder):
    return sorted(path.name for path in folder.rglob("*.png"))


@pytest.mark.parametrize(
    ("program", "model", "words"),
    [("dinos", "names.npz", "Bergen"), pytest.param("sonnets", "text.npz", "From fairest", marks=pytest.mark.slow)],
)
def test_four_pictures_are_written(folder, program, model, words):
    done = run(program, "inspect", words, "--model", model)
    assert done.exit_code == 0, done.stderr
    assert written(folder) == sorted(FILES)
    assert done.stdout.endswith(f"Written: {', '.join(FILES)}.\n")
    for name in FILES:
        picture = imread(folder / name)[..., :3]
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10


def test_a_model_of_the_courses_windows_predicts_each_character_too(folder, undrawn):
    rows = re.findall(r"^(\S) +\d\.\d{3} ", run("sonnets", "inspect", "we die", "--model", "course.npz").stdout, re.M)
    assert "".join(rows) == "we\u2423die"


def test_the_same_text_gives_the_same_bytes(folder):
    seen = []
    for _ in range(2):
        printed = run("dinos", "inspect", "rom\u00e9", "--model", "names.npz", "-o", "rex", "--force").stdout
        seen.append((printed, [path.read_bytes() for path in sorted(folder.glob("rex-*"))]))
    assert seen[0] == seen[1]
    assert len(seen[0][1]) == 4
    assert not any(b"matplotlib" in content for content in seen[0][1])


def test_the_tables_show_what_the_functions_find(folder, undrawn):
    printed = run("dinos", "inspect", "Bergen", "--model", "names.npz").stdout
    checkpoint = load("names.npz")
    ids = checkpoint.vocabulary.encode("\nbergen\n")
    rows = re.findall(r"^(\S) +(0\.\d{3}|1\.000) +(\S), (\d+) before$", printed, re.MULTILINE)
    assert "".join(row[0] for row in rows) == "bergen\u21b5"
    for t, (_, probability, letter, before) in enumerate(rows, 1):
        found = saliency(checkpoint, ids, t)
        assert abs(float(probability) - np.exp(found.log_p)) < 0.00051
        assert t - int(before) == found.norm.argmax()
        assert letter == "\u21b5bergen"[t - int(before)]
    for i, norms in enumerate(gradient_norms(checkpoint, ids), 1):
        assert f"Of a gradient in layer {i}, {norms[-1]:.1e} is left 8 characters before.\n" in printed
    for answer in top_units(checkpoint, [f"\n{name}\n" for name in NAMES[:7]], n=2):
        row = rf"{answer.what} +{answer.layer + 1} +{answer.unit} +{answer.correlation:.2f} "
        assert re.search(rf"^{row}", printed, re.MULTILINE)


def test_existing_pictures_are_kept_and_the_next_number_is_taken(folder, undrawn):
    (folder / "inspect-units.png").write_bytes(b"mine")
    done = run("dinos", "inspect", "oslo", "--model", "names.npz")
    assert done.exit_code == 0
    assert (folder / "inspect-units.png").read_bytes() == b"mine"
    assert written(folder) == sorted(["inspect-units.png", *(name.replace("t-", "t-2-") for name in FILES)])


def test_named_pictures_that_exist_are_kept_unless_forced(folder, undrawn):
    (folder / "rex-gates.png").write_bytes(b"mine")
    words = "dinos", "inspect", "oslo", "--model", "names.npz", "--out", "rex.png"
    done = run(*words)
    assert done.exit_code == 1
    assert "rex-gates.png already exists" in str(done.exception)
    assert written(folder) == ["rex-gates.png"]
    assert run(*words, "--force").exit_code == 0
    assert (folder / "rex-gates.png").read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("out", "first"),
    [("new/", "new/inspect-gates.png"), ("new/rex.PNG", "new/rex-gates.png"), ("a.b", "a.b-gates.png")],
)
def test_a_folder_or_a_name_says_where_the_pictures_go(folder, undrawn, out, first):
    done = run("dinos", "inspect", "oslo", "--model", "names.npz", "-o", out)
    assert done.exit_code == 0
    assert (folder / first).exists()
    assert f"Written: {first}, " in done.stdout


@pytest.mark.parametrize(
    ("program", "words", "message"),
    [
        ("dinos", "T-rex9", r"must be of the model's characters \(.*\), got '-' '9' 'x'"),
        ("dinos", "oslo\nlima", r"must be of the model's characters \(.*\), got '\\n'"),
        ("dinos", "", "the text must have from 1 to 200 characters, got 0"),
        ("dinos", "oslo" * 51, "the text must have from 1 to 200 characters, got 204"),
        ("dinos", "\x1b\u202e", r"got '\\x1b' '\\u202e'"),
        ("sonnets", "shall \u00e9", "got '\u00e9'"),
        ("sonnets", "", "the text must have from 1 to 200 characters, got 0"),
    ],
)
def test_a_text_that_the_model_cannot_read_is_one_error_and_nothing_is_written(folder, program, words, message):
    done = run(program, "inspect", words, "--model", "names.npz" if program == "dinos" else "text.npz", "-o", "new/x")
    assert done.exit_code == 1
    assert re.search(message, str(done.exception))
    assert not (folder / "new").exists()


def test_a_text_is_read_as_the_model_reads_it(folder, undrawn):
    composed, decomposed = (run("dinos", "inspect", "Rom" + e, "--model", "names.npz") for e in ("\u00c9", "e\u0301"))
    assert composed.stdout.partition("Written")[0] == decomposed.stdout.partition("Written")[0]
    lines = run("sonnets", "inspect", "we\ndesire", "--model", "text.npz").stdout
    assert "\n\u21b5   " in lines


def test_capitals_are_kept_if_the_model_keeps_them(folder, undrawn):
    training = NameTraining(["Oslo", "Lima"], ["Rom"], NameSettings(hidden=4), keep_case=True)
    save("kept.npz", training.checkpoint())
    assert run("dinos", "inspect", "Oslo", "--model", "kept.npz").exit_code == 0
    assert "got 'O'" not in run("dinos", "inspect", "Oslo", "--model", "kept.npz").stdout
    assert "got 'n'" in str(run("dinos", "inspect", "Rn", "--model", "kept.npz").exception)


def test_letters_that_no_font_has_are_drawn_as_boxes(folder):
    assert run("dinos", "inspect", "\u5317\u4eac", "--model", "names.npz").exit_code == 0


def test_the_model_file_is_never_replaced(folder):
    (folder / "names.npz").rename(folder / "x-gates.png")
    done = run("dinos", "inspect", "oslo", "--model", "x-gates.png", "-o", "x", "--force")
    assert done.exit_code == 1
    assert "x-gates.png is the model and must not be replaced" in str(done.exception)


def test_a_long_text_of_which_the_file_keeps_first_lines_can_be_looked_into(folder, undrawn):
    checkpoint = load("text.npz")
    del checkpoint.config["training"], checkpoint.config["held_out"]
    lengths = {"lengths": [KEPT, 9], "sha256": "0" * 64, "openings": TEXT.split("\n")[:20]}
    checkpoint.config.update(lengths)
    save("long.npz", checkpoint)
    assert run("sonnets", "inspect", "we desire", "--model", "long.npz").exit_code == 0


@pytest.mark.parametrize("program", ["dinos", "sonnets"])
def test_the_example_of_the_help_runs(folder, undrawn, program):
    app = dinos.cli.app if program == "dinos" else sonnets.cli.app
    words = " ".join(CliRunner().invoke(app, ["inspect", "--help"]).stdout.split())
    example = re.search(rf"Example: {program} inspect (.*?) -o (\w+)\.png", words)
    done = run(program, "inspect", example[1].strip('"'), "-o", f"{example[2]}.png")
    assert done.exit_code == 0
    assert written(folder) == sorted(name.replace("inspect", example[2]) for name in FILES)


# the page


def test_the_code_of_the_page_runs_and_prints_what_it_says(folder, capsys):
    names = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(code, names)
    printed = capsys.readouterr().out
    for line in re.findall(r"print\(.*\)  # (o i f g h c \(.*\)|\(.*?\))", PAGE):
        assert line in printed
    assert {"gates.png", "saliency.png", "gradients.png", "units.png"} <= {*written(folder)}
    (promised,) = re.findall(r"RNN is near (\de-\d+), a GRU near (\de-\d+), and an LSTM near (\de-\d+)", PAGE)
    for kind, norm in zip(("RNN", "GRU", "LSTM"), promised, strict=True):
        assert 0.5 < names["norms"][kind][100] / float(norm) < 2


def test_the_commands_of_the_page_are_there():
    for program, words in re.findall(r"^ {4}(dinos|sonnets) (\w+)", PAGE, re.MULTILINE):
        assert words in (dinos.cli.app if program == "dinos" else sonnets.cli.app).commands
