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


@pytest.fixture(params=["plain", "fast"])
def back_end(request, monkeypatch):
    """The test runs once with the plain cells and once with the compiled ones, where Numba is there."""
    if request.param == "fast":
        pytest.importorskip("numba")
    monkeypatch.setenv("NUMPYRNN_BACKEND", request.param)
    fast.chosen.cache_clear()
    yield request.param
    fast.chosen.cache_clear()
