"""Tests that need an extra are skipped without it, except under --extras: there a skip is a failure."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
EXTRA_TEST = """
import pytest

@pytest.mark.extra("gold")
def test_gold():
    pass
"""
OTHER_TEST = "def test_lead(): pass"


@pytest.fixture
def project(pytester):
    """A function that makes a project, with one extra `gold`, and runs its tests."""

    def run(gold, test, *options):
        pytester.makefile(
            ".cfg", setup=f"[options.extras_require]\ngold =\n    {gold}\n[tool:pytest]\nmarkers =\n    extra"
        )
        pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text("utf-8"))
        pytester.makepyfile(test)
        return pytester.runpytest("-rs", "--strict-markers", *options)

    return run


@pytest.mark.parametrize("gold", ["numpyrnn-gold", "pytest>=1000"])
def test_without_the_extra_its_test_is_skipped_or_under_extras_fails(project, gold):
    run = project(gold, EXTRA_TEST)
    run.assert_outcomes(skipped=1)
    assert run.ret == pytest.ExitCode.OK
    assert f"the extra gold is not installed: {gold} is missing" in run.stdout.str()
    run = project(gold, EXTRA_TEST, "-m", "extra", "--extras")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    assert f"the extra gold is not installed: {gold} is missing (--extras allows no skips)" in run.stdout.str()


def test_with_the_extra_its_test_runs(project):
    for options in ([], ["-m", "extra", "--extras"]):
        project("pytest>=8", EXTRA_TEST, *options).assert_outcomes(passed=1)


@pytest.mark.parametrize("skip", ["skip('no gold here')", "importorskip('numpyrnn_gold')"])
def test_no_skip_of_another_kind_passes_under_extras(project, skip):
    test = EXTRA_TEST.replace("pass", f"pytest.{skip}")
    assert project("pytest>=8", test, "--extras").ret == pytest.ExitCode.TESTS_FAILED


def test_without_a_test_that_needs_an_extra_the_run_fails(project):
    assert project("pytest>=8", OTHER_TEST, "-m", "extra", "--extras").ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_make_installs_every_extra():
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", "utf-8")
    (installed,) = re.findall(r"^EXTRAS := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    others = {"test", "check", "mutants", "notebooks", "package"}
    assert set(installed.split(",")) == set(config["options.extras_require"]) - others
