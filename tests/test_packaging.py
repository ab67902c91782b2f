"""The wheel is complete: what is installed from it needs nothing of the checkout."""

import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from test_readme import PROGRAMS

import numpyrnn

CHECKOUT = Path(__file__).parents[1]
PACKAGES = [path.parent for path in CHECKOUT.glob("*/__init__.py")]
MODULES = {path.relative_to(CHECKOUT) for package in PACKAGES for path in package.rglob("*.py")}
NAMES = sorted(".".join(path.parts[:-1]) for path in MODULES if path.name == "__init__.py")
DATA = {path.relative_to(CHECKOUT / "data") for path in (CHECKOUT / "data").rglob("*") if path.is_file()}
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The unpacked wheel, built without a network and from a copy, so that nothing remains of earlier builds."""
    folder = tmp_path_factory.mktemp("wheel")
    left_out = ignore_patterns(".*", "build", "demo", "*.egg-info", "__pycache__", "tests", "benchmarks")
    copytree(CHECKOUT, folder / "source", ignore=left_out)
    run([sys.executable, "-c", BUILD, str(folder)], folder / "source")
    (name,) = folder.glob("*.whl")
    with zipfile.ZipFile(name) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def run(command, folder):
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout


def run_installed(wheel, words):
    """Run Python with the wheel and the installed packages, but (-I, -S) without the paths of editable installs."""
    paths = dict.fromkeys([str(wheel), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    return run([sys.executable, "-ISc", f"import sys; sys.path += {list(paths)}; {words}"], wheel.parent)


def test_all_modules_and_data_are_in_it_and_nothing_else(wheel):
    found = {path.relative_to(wheel) for path in wheel.rglob("*") if path.is_file()}
    left_out = {path for path in found if path.parts[0].endswith(".dist-info") or "__pycache__" in path.parts}
    assert found - left_out == MODULES | {Path("numpyrnn", "py.typed")} | {Path("numpyrnn_data", path) for path in DATA}


def test_every_package_is_imported_from_it(wheel):
    words = f"import importlib; print(*(importlib.import_module(name).__file__ for name in {NAMES}), sep='\\n')"
    files = [str(wheel.joinpath(*name.split("."), "__init__.py")) for name in NAMES]
    assert run_installed(wheel, words).splitlines() == files


def test_a_program_finds_its_model_in_it(wheel):
    words = "import runpy; sys.argv = ['dinos', 'sample', '-n', '3']; runpy.run_module('dinos', run_name='__main__')"
    assert len(run_installed(wheel, words).splitlines()) == 3


def test_the_check_of_the_wheel_runs_every_command():
    script = (CHECKOUT / ".ci/package").read_text("utf-8")
    tried = set(re.findall(r"^try (\w+) (\w+)", script, re.MULTILINE))
    assert tried == {(program, command) for program, app in PROGRAMS.items() for command in app.commands}


def test_the_version_has_its_entry_in_the_changelog_and_is_the_one_to_cite():
    version = re.escape(numpyrnn.__version__)
    assert re.search(rf"^version: {version}$", (CHECKOUT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    released = re.search(
        rf"^## \[{version}\] - (\d{{4}}-\d\d-\d\d)$", (CHECKOUT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert f"date-released: {released[1]}" in (CHECKOUT / "CITATION.cff").read_text("utf-8")
