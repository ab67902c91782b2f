"""Settings and fixtures for all tests."""

from pathlib import Path

import pytest
from hypothesis import settings

from numpyrnn import fast

settings.register_profile("numpyrnn", derandomize=True, deadline=None)
settings.load_profile("numpyrnn")


@pytest.fixture
def shared_data() -> Path:
    """The folder of reference data beside the repository; tests that need it are skipped where it is not."""
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


@pytest.fixture(params=["plain", "fast"])
def back_end(request, choose):
    """The test runs once with the plain cells and once with the compiled ones, where Numba is there."""
    if request.param == "fast":
        pytest.importorskip("numba")
    choose(request.param)
    return request.param
