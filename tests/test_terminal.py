"""What is shown never ends the work, and text from outside cannot control the terminal."""

import os
import re
import subprocess
import sys
from pathlib import Path

import command_tree as tree
import pytest
from model_files import parts_of, write_parts

import dinos.model as dinos
from numpyrnn import GRU, Checkpoint, Dense, NumpyrnnError, Sequential, Vocabulary, load, save
from numpyrnn.checks import KEPT, LONGEST, shown
from sonnets.model import Settings as SonnetSettings
from sonnets.model import SonnetTraining

ROOT = Path(__file__).parents[1]
ODD = ["\x1b[2J\x1b[31m", "\u202egnirts", "a\nb", "a\rb", "\x9b1m", "\u2028x", "\u2066y", "\x00z", "\x7f"]
TRAIN = "dinos train names.txt --hidden 4 --epochs 2 --force -o a.npz"
SHOW = ["dinos sample --model model.npz", "dinos course names.txt --iterations 1", "numpyrnn info model.npz", "jazz -h"]
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")


def shell(line, cwd, python=(), **environment):
    """Run a program's command line, with redirections as in a shell: (status, standard output, standard error)."""
    quoted = " ".join([sys.executable, *python, "-m", line])
    settings = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": ""} | environment
    done = subprocess.run(["sh", "-c", quoted], cwd=cwd, env=settings, capture_output=True, timeout=600)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def network(tokens):
    """A small untrained network, and its vocabulary."""
    vocabulary = Vocabulary(tokens)
    return Sequential(GRU(len(vocabulary), 3, rng=0), Dense(3, len(vocabulary), rng=1)), vocabulary


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model that writes odd characters, and the names that it was trained on."""
    path = tmp_path_factory.mktemp("terminal")
    names = ["мамонт", "дракон", "北京", "roma😀", "\N{GREEK SMALL LETTER DELTA}elta"]
    (path / "names.txt").write_text("\n".join(names), "utf-8")
    settings = dinos.Settings(hidden=3, embedding=2, cell="gru")
    training = dinos.NameTraining([name for name in ODD if "\n" not in name], ["ab€", "\x1b[1m"], settings)
    save(path / "model.npz", training.checkpoint(resumable=False))
    return path


@pytest.mark.parametrize("text", [*ODD, "\ud800", "\x85", "\u200f", "\u061c", "a\tb"])
def test_shown_text_is_one_line_without_control_characters(text):
    assert not any(map(tree.is_control, shown(text)))
    assert shown(text).isprintable()


def test_shown_text_keeps_other_characters():
    text = "Ärger in 北京, \N{SAUROPOD} e\u0301 C\u03947 \\x1b"
    assert shown(text) == text


def test_a_long_text_loses_its_middle():
    assert shown("a" * 50 + "b" * 50, 20) == "a" * 10 + " ... " + "b" * 10
    assert shown("a" * 20, 20) == "a" * 20
    assert len(shown("\x1b" * 1_000_000, 80)) < 100


@pytest.mark.parametrize("text", ["x" * 10**6, "\x1b" * 10**6, "y " * 10**6], ids=lambda text: text[:2])
def test_an_error_is_one_line_and_repeats_little_of_its_input(text):
    said = str(NumpyrnnError(f"a name must be short, got {text}"))
    assert said.startswith("a name must be short, got ")
    assert len(said) < KEPT + 10
    assert said.isprintable()
    assert str(NumpyrnnError("a" * LONGEST)) == "a" * LONGEST


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-16-le"])
def test_what_an_encoding_lacks_is_replaced(folder, encoding):
    status, printed, errors = shell(TRAIN, folder, PYTHONIOENCODING=encoding)
    assert status == 0, errors
    assert "held out" in printed.decode(encoding)
    assert load(folder / "a.npz").config["training"]
    for command in ("dinos sample --model a.npz", "dinos sample --prefix д"):
        status, printed, errors = shell(command, folder, PYTHONIOENCODING=encoding)
        assert (status, "Traceback" in errors) == ("prefix" in command, False), errors
        printed.decode(encoding)


def test_a_poem_in_a_file_keeps_what_the_terminal_lacks(folder):
    training = SonnetTraining("дé\n" * 99, "дé\n", SonnetSettings(hidden=3, embedding=2))
    save(folder / "poet.npz", training.checkpoint(resumable=False))
    line = "sonnets write é --length 20 --seed 1 --model poet.npz --force -o poem.txt"
    status, printed, errors = shell(line, folder, PYTHONIOENCODING="ascii")
    assert status == 0, errors
    assert "д" in (folder / "poem.txt").read_text("utf-8")
    assert re.fullmatch(rb"[\\a-f0-9ux\n]+", printed)


def test_the_c_locale_shows_what_it_can(folder):
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    (folder / "changes.txt").write_text("CΔ7", "utf-8")
    status, printed, errors = shell("jazz --chords @changes.txt --no-lead-sheet --force -o 'сол.mid'", folder, **locale)
    assert status == 0, errors
    assert printed.isascii()
    assert b"C\\u03947" in printed
    assert (folder / "сол.mid").exists()


@pytest.mark.parametrize(
    "command", ["dinos sample --model model.npz -n 30", "dinos evaluate --model model.npz --samples 99"]
)
def test_what_a_model_writes_cannot_control_the_terminal(folder, command):
    status, printed, errors = shell(command, folder, PYTHONIOENCODING="utf-8")
    assert status == 0, errors
    assert not any(tree.is_control(c) for c in printed.decode() if c != "\n")
    if "sample" in command.split():
        assert printed.count(b"\n") == 30
        assert b"\\x1b" in printed


def test_what_a_model_file_says_of_itself_cannot_control_the_terminal(folder):
    save(folder / "odd.npz", Checkpoint("other", *network(["\x1b[2J", "\u202e", "z" * 10**5])))
    status, printed, errors = shell("numpyrnn info odd.npz", folder, PYTHONIOENCODING="utf-8")
    assert status == 0, errors
    assert not any(tree.is_control(c) for c in printed.decode() if c != "\n")
    assert len(printed) < 2000
    arrays, about = parts_of((folder / "odd.npz").read_bytes())
    write_parts(folder / "odd.npz", arrays, about | {"kind": "\x1b]0;title\x07\nError: no"})
    for command in ("numpyrnn info odd.npz", "numpyrnn verify odd.npz", "dinos sample --model odd.npz"):
        status, printed, errors = shell(command, folder, PYTHONIOENCODING="utf-8")
        assert (status, printed) == (1, b"")
        assert re.fullmatch(r"Error: odd\.npz must be a model file, .*\n", errors)
        assert not any(tree.is_control(c) for c in errors.rstrip("\n"))


REDIRECTIONS = [">&-", "<&- >&- 2>&-", "2>&1 | head -c 1"]
FULL = [pytest.param(line, marks=needs_full) for line in ("2>/dev/full", ">/dev/full 2>/dev/full")]


@pytest.mark.slow
@pytest.mark.parametrize("where", [*REDIRECTIONS, *FULL])
def test_a_training_goes_on_when_nothing_can_be_shown(folder, where):
    for path in folder.glob("a.*"):
        path.unlink()
    status, _, errors = shell(f"{TRAIN} {where}", folder)
    assert status == 0
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    assert sorted(path.name for path in folder.glob("a.*")) == ["a.jsonl", "a.npz", "a.png"]
    assert load(folder / "a.npz").training["epoch"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("where", [">&-", pytest.param(">/dev/full", marks=needs_full)])
@pytest.mark.parametrize("command", SHOW)
def test_a_command_that_only_shows_ends_with_one_error(folder, where, command):
    unbuffered = "1" if command.startswith("dinos sample") else ""  # then it fails earlier
    status, _, errors = shell(f"{command} {where}", folder, PYTHONUNBUFFERED=unbuffered)
    assert status == 1
    assert re.fullmatch(r"Error: standard output could not be written: .*\n", errors)


def test_the_status_says_that_nothing_could_be_shown_when_no_error_can_be_either(folder):
    assert shell("dinos -h >&- 2>&-", folder)[::2] == (1, "")


@pytest.mark.parametrize("command", SHOW)
def test_a_closed_standard_error_is_not_missed(folder, command):
    status, printed, _ = shell(f"{command} 2>&-", folder)
    assert status == 0
    assert printed


@pytest.mark.slow
@needs_full
@pytest.mark.parametrize(
    ("command", "written"),
    [
        ("sonnets write --length 9 --force -o poem.txt", "poem.txt"),
        ("jazz listen chorus.txt --bars 1 --force -o l.wav", "l.wav"),
        ("piano doctor --force -o d.png", "d.png"),
    ],
)
def test_files_are_written_when_nothing_can_be_shown(folder, command, written):
    chorus = sorted((ROOT / "data" / "choruses").glob("*.txt"))[0]
    (folder / "chorus.txt").write_bytes(chorus.read_bytes())
    status, _, errors = shell(f"{command} >/dev/full", folder)
    assert status == 0, errors
    note, _, after = errors.partition("\n")
    assert re.fullmatch(r"(.*\r)?Note: standard output could not be written: No space .*; the command goes on\.", note)
    assert "Next:\n" in after
    assert (folder / written).stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("program", tree.PROGRAMS)
def test_help_is_there_without_docstrings(program, tmp_path):
    (_, plain, _), (status, stripped, errors) = (shell(f"{program} -h", tmp_path, flags) for flags in ((), ("-OO",)))
    assert status == 0, errors
    assert plain == stripped
    assert all(command.help for command in tree.PROGRAMS[program].commands.values())


def test_every_command_has_its_help_without_docstrings(tmp_path):
    (tmp_path / "script.py").write_text(
        "import command_tree as tree\n"
        "from numpyrnn.cli import restore_help\n"
        "for app in tree.PROGRAMS.values():\n"
        "    restore_help(app)\n"
        "    print([repr(command.get_short_help_str(999)) for command in app.commands.values()])\n"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    _, stripped, errors = shell("script", tmp_path, ("-OO",), PYTHONPATH=os.pathsep.join([str(tmp_path), path]))
    expected = [
        [repr(command.get_short_help_str(999)) for command in app.commands.values()] for app in tree.PROGRAMS.values()
    ]
    assert stripped.decode().splitlines() == list(map(str, expected)), errors
