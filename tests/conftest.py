"""Settings, options and fixtures for all tests."""

import os
import random
from configparser import ConfigParser
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from packaging.requirements import Requirement
from tqdm import tqdm

from numpyrnn import fast

# These need signals and terminals of POSIX.
collect_ignore = [f"test_{name}.py" for name in ("pseudo_terminal", "signals", "survives") if os.name == "nt"]

# No verdict depends on how fast the machine is.
settings.register_profile("numpyrnn", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("numpyrnn")


def pytest_addoption(parser):
    parser.addoption("--extras", action="store_true", help="fail if a test marked `extra` is skipped")
    parser.addoption("--slow", action="store_true", help="also run the tests marked `slow`")
    parser.addoption("--torture", action="store_true", help="run the long form of the tests marked `torture`")
    parser.addoption("--random-order", type=int, metavar="SEED", help="shuffle the modules, and the tests in each")


def pytest_collection_modifyitems(config, items):
    if not any(map(config.getoption, ("--slow", "--extras", "--torture"))):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in {*slow}]
    seed = config.getoption("--random-order")
    if seed is not None:
        rng, places = random.Random(seed), {}
        items.sort(key=lambda item: (places.setdefault(item.path, rng.random()), rng.random()))


# Tests marked `extra(name)` need the packages of that extra in setup.cfg


@cache
def missing(root, extra):
    """The requirements of an extra that are not installed."""
    config = ConfigParser(interpolation=None)
    config.read(root / "setup.cfg", "utf-8")
    requirements = config["options.extras_require"][extra].strip().splitlines()
    return [line for line in requirements if not is_installed(Requirement(line))]


def is_installed(requirement):
    try:
        return version(requirement.name) in requirement.specifier
    except PackageNotFoundError:
        return False


def pytest_runtest_setup(item):
    for mark in item.iter_markers("extra"):
        if lacking := missing(item.config.rootpath, *mark.args):
            pytest.skip(f"the extra {mark.args[0]} is not installed: {', '.join(lacking)} is missing")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    skipped = call.excinfo is not None and call.excinfo.errisinstance(pytest.skip.Exception)
    if skipped and item.get_closest_marker("extra") and item.config.getoption("--extras"):
        report.outcome, report.longrepr = "failed", f"{call.excinfo.value} (--extras allows no skips)"
    return report


# Tests marked `torture` try many cases: few of them in `make test`, many in `make torture`, which prints their figures


@pytest.fixture
def rounds(request):
    """A function of (few, many) that returns the number of cases to try."""
    return lambda few, many: many if request.config.getoption("--torture") else few


@pytest.fixture
def tell(record_property):
    """A function of a text with the figures of a test, which `make torture` prints at the end."""
    return lambda text: record_property("figures", text)


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--torture"):
        return
    terminalreporter.section("figures")
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    for report in sorted(reports, key=lambda report: report.nodeid):
        for name, text in report.user_properties:
            if name == "figures" and report.when == "call":
                terminalreporter.write_line(f"{report.outcome}  {text}")


# Fixtures


@pytest.fixture(scope="session", autouse=True)
def _nothing_late():
    """Progress bars and lines that appear after a delay never appear, so output is the same on a slow machine."""
    init = tqdm.__init__

    def init_without_late_bars(self, *arguments, delay=0, disable=False, **options):
        init(self, *arguments, disable=disable or delay > 0, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tqdm, "__init__", init_without_late_bars)
        patch.setattr("workbench.terminal.SLOW", 1e6)
        yield


@pytest.fixture
def shared_data() -> Path:
    """The folder of reference data beside the repository; without it, tests that use it are skipped."""
    path = Path(__file__).parents[1].parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("../shared/data is not there")
    return path


@pytest.fixture
def choose(monkeypatch):
    """A function that chooses the back end for the rest of the test."""

    def choose(value):
        monkeypatch.setenv("NUMPYRNN_BACKEND", value)
        fast.chosen.cache_clear()

    yield choose
    fast.chosen.cache_clear()


@pytest.fixture
def plain(choose):
    """The test runs with the plain cells."""
    choose("plain")


@pytest.fixture(params=["plain", pytest.param("fast", marks=pytest.mark.extra("fast"))])
def back_end(request, choose):
    """The test runs once with the plain cells and once with the compiled ones."""
    choose(request.param)
    return request.param


@pytest.fixture(scope="session")
def small_soloist():
    """A small model of three choruses, quickly trained."""
    from jazz.model import Settings
    from jazz.reading.corpus import read_tunes
    from jazz.training import JazzTraining
    from workbench.files import data_path

    tunes = read_tunes([data_path(f"choruses/{name}.txt") for name in ("blues-f-1", "bossa-1", "waltz-1")])
    context = ("position", "chord", "degree", "register")
    training = JazzTraining.of_tunes(tunes, Settings(context=context, hidden=16, embedding=8, batch_size=4))
    training.run(5)
    return training.checkpoint()
