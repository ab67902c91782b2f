"""What the README, CONTRIBUTING and the pages of the documentation show is run here."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dinos.cli import app as dinos
from jazz.cli import app as jazz
from numpyrnn.cli import app as numpyrnn
from piano.cli import app as piano
from sonnets.cli import app as sonnets

PROGRAMS = {"dinos": dinos, "jazz": jazz, "sonnets": sonnets, "piano": piano, "numpyrnn": numpyrnn}
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
SHOWN = "\n".join([README, (ROOT / "CONTRIBUTING.md").read_text("utf-8"), *PAGES.values()])


@pytest.mark.parametrize("page", [README, PAGES["engine"]], ids=["README", "engine"])
def test_ten_lines_of_python_run_and_reach_the_loss_that_is_promised(page):
    code, *_ = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(code, names)
    promised = float(re.search(r"It ends at a loss below ([\d.]+)\.\s", page)[1])
    assert names["loss"] < promised


def test_the_readme_is_read_in_a_few_minutes_and_has_five_pictures():
    pictures = re.findall(r"^!\[.+\]\((.+)\)$", README, re.MULTILINE)
    assert len(README.split()) <= 900
    assert len(pictures) == 5
    assert all((ROOT / picture).stat().st_size > 1000 for picture in pictures)


def test_the_text_model_is_kept_in_a_file_and_writes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, code = re.findall(r"```python\n(.*?)```", PAGES["engine"], re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.startswith("sat on the mat. the cat ")


@pytest.mark.parametrize("page", [README, PAGES["names"]], ids=["README", "names"])
def test_the_names_shown_are_what_the_command_prints(page):
    command, shown = re.search(r"\$ dinos (sample .*)\n((?: {4}\w+ +(?:new|known)\n)+)", page).groups()
    printed = CliRunner().invoke(dinos, command.split()).stdout
    assert printed.split() == shown.split()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([\w-]+)(?:`| {2,})", SHOWN))))
def test_make_knows_the_targets_that_are_named(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_commands_that_are_named_exist():
    programs = "|".join(PROGRAMS)
    named = set(re.findall(rf"(?:`|^ {{4}})({programs}) ([a-z]+)\b", SHOWN, re.MULTILINE))
    assert len(named) >= 15
    for program, command in named:
        assert command in PROGRAMS[program].commands


@pytest.mark.parametrize("program", ["jazz", "sonnets", "piano"])
def test_the_music_and_the_verse_shown_are_what_the_command_makes(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, shown = re.search(rf"\$ {program} (.*)\n((?: {{4}}.*\S.*\n)+)", README).groups()
    assert CliRunner().invoke(PROGRAMS[program], shlex.split(command)).stdout.split() == shown.split()
    assert f"    $ {program} {command}\n{shown}" in PAGES[program]


def test_the_options_of_jazz_that_are_shown_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tune.html").write_text(
        "<a href='irealbook://Blue Hour=Some One=Bossa Nova=F=n=*A[T44F^7 |G-7 C7 Z'>", "utf-8"
    )
    assert CliRunner().invoke(jazz, ["chart", "--form", "bossa", "-o", "tune.musicxml"]).exit_code == 0
    lines = re.findall(r"^ {4}jazz ((?:improvise|chart|score) .*)$", PAGES["jazz"], re.MULTILINE)
    assert len(lines) >= 5
    for i, line in enumerate(lines):
        arguments = shlex.split(line.replace(".pdf", ".musicxml"), comments=True)  # PDF needs an extra
        arguments += ["-o", "solo.mid" if i == 0 else f"{i}.mid"] if arguments[0] == "improvise" else []
        assert CliRunner().invoke(jazz, arguments).exit_code == 0, line


def test_the_files_that_are_named_exist():
    for name in set(re.findall(r"`([a-z_/]+(?:\.py|\.md|\.txt|/))`", SHOWN)) - {"demo/"}:  # made by `make demo`
        assert any((ROOT / folder / name).exists() for folder in ("", "numpyrnn", "workbench")), name


def test_importing_the_engine_imports_numpy_and_no_command_line_or_plotting_library():
    code = "import numpyrnn, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = ran.stdout.split()
    assert "numpy" in modules
    assert not {"click", "tqdm", "matplotlib", "music21", "torch"} & set(modules)
