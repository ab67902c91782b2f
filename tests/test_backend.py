"""The choice of the kernels, and the compiled tanh."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import LSTM, NumpyrnnError, backend, kernels


@pytest.fixture
def chosen(monkeypatch):
    def choose(value):
        monkeypatch.setenv("NUMPYRNN_BACKEND", value)
        clear()
        return backend.kernels()

    def clear():
        backend.kernels.cache_clear()
        backend.single.cache_clear()

    yield choose
    clear()


@pytest.mark.parametrize("value", ["", "plain"])
def test_the_plain_kernels_are_the_default(chosen, value):
    assert chosen(value) is kernels


def test_fast_is_the_compiled_file_with_the_same_functions(chosen):
    pytest.importorskip("numba")
    fast = chosen("fast")
    assert fast.__name__ == "numpyrnn.kernels_fast"
    for name in ("rnn", "lstm", "gru"):
        assert {f"{name}_forward", f"{name}_backward"} <= vars(fast).keys() & vars(kernels).keys()


def test_another_name_is_an_error(chosen):
    with pytest.raises(NumpyrnnError, match="NUMPYRNN_BACKEND must be 'plain' or 'fast', got 'quick'"):
        chosen("quick")


def test_without_numba_fast_says_what_to_install(chosen, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "numpyrnn.kernels_fast", raising=False)
    monkeypatch.delattr("numpyrnn.kernels_fast", raising=False)
    with pytest.raises(NumpyrnnError, match=r"needs Numba .* pip install 'numpyrnn\[fast\]'"):
        chosen("fast")


def test_a_command_line_with_a_wrong_name_fails_in_one_line():
    made = subprocess.run(
        [sys.executable, "-m", "dinos", "sample", "-n", "300"],
        env=os.environ | {"NUMPYRNN_BACKEND": "quick"},
        capture_output=True,
        text=True,
    )
    assert made.returncode != 0
    assert len(made.stderr.splitlines()) == 1
    assert "NUMPYRNN_BACKEND" in made.stderr


def test_import_loads_no_compiler():
    words = "import sys, numpyrnn; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_tanh_is_right_in_the_last_places(dtype):
    numba = pytest.importorskip("numba")
    from numpyrnn.kernels_fast import tanh

    @numba.njit
    def tanh_of_all(x):
        y = np.empty_like(x)
        for j in range(len(x)):
            y[j] = tanh(x[j])
        return y

    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal(20_000) * scale for scale in (1e-30, 1e-6, 0.01, 0.3, 1, 3, 10, 1e4)])
    x = x.astype(dtype)
    assert_allclose(tanh_of_all(x), np.tanh(x.astype(np.longdouble)), rtol=3 * np.finfo(dtype).eps, atol=0)
    ends = np.array([0, -0.0, np.inf, -np.inf, np.nan], dtype)
    assert_allclose(tanh_of_all(ends), np.tanh(ends), rtol=3 * np.finfo(dtype).eps)
    assert_array_equal(np.signbit(tanh_of_all(ends[:4])), [False, True, False, True])


def test_one_back_ends_backward_takes_the_others_cache(chosen):
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    layer, x, dy = LSTM(3, 8, np.float64, rng=0), rng.standard_normal((5, 4, 3)), rng.standard_normal((5, 4, 8))
    grads = []
    for forward, backward in (("plain", "plain"), ("fast", "plain"), ("plain", "fast")):
        chosen(forward)
        cache = layer.forward(x)[2]
        chosen(backward)
        grads.append(layer.backward(dy, cache)[2].flat)
    assert_allclose(grads[1:], [grads[0]] * 2, rtol=1e-12, atol=1e-12)
