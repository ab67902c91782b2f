"""The choice of the compiled back end, what has a compiled form, and the compiled tanh."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import GRU, LSTM, RNN, NumpyrnnError, Sequential, cells, fast


class DoubledCell(cells.LSTM):
    """An LSTM that gives out 2 h."""

    def step(self, x, views):
        super().step(x, views)
        views[-1][...] *= 2


class DoubledLSTM(LSTM):
    cell = DoubledCell


@pytest.mark.parametrize("value", ["", "plain"])
def test_the_plain_cells_are_the_default(choose, value):
    choose(value)
    assert not fast.chosen()
    assert fast.compiled_cell(cells.LSTM) is cells.LSTM


@pytest.mark.extra("fast")
@pytest.mark.parametrize("layer", [RNN, LSTM, GRU])
def test_fast_has_a_compiled_form_of_each_cell_and_a_layer_runs_it(choose, layer):
    choose("fast")
    assert fast.chosen()
    compiled = fast.compiled_cell(layer.cell)
    assert issubclass(compiled, layer.cell)
    assert compiled is not layer.cell
    assert layer(3, 4).running_cell() is compiled


def test_another_name_is_an_error(choose):
    choose("quick")
    with pytest.raises(NumpyrnnError, match="NUMPYRNN_BACKEND must be 'plain' or 'fast', got 'quick'"):
        fast.chosen()


def test_without_numba_fast_says_what_to_install(choose, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "numpyrnn.fast.math", raising=False)
    monkeypatch.delattr(fast, "math", raising=False)
    choose("fast")
    with pytest.raises(NumpyrnnError, match=r"needs Numba .* pip install 'numpyrnn\[fast\]'"):
        RNN(2, 2)(np.zeros((1, 1), int))


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


# What runs plain


PLAIN = {
    "a subclass of a cell": lambda dtype: DoubledLSTM(3, 4, dtype, rng=0),
    "an LSTM with hard sigmoids": lambda dtype: LSTM(3, 4, dtype, rng=0, hard_sigmoid=True),
}
runs_plain = pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN)


@pytest.mark.extra("fast")
@runs_plain
def test_it_runs_plain_and_the_summary_says_so(choose, make):
    choose("fast")
    layer = make(np.float32)
    assert layer.running_cell() is layer.cell
    _, first, second, last = Sequential(layer, LSTM(4, 2, rng=0)).summary().splitlines()
    assert first.endswith(f" {layer.params.flat.size}  (runs plain)")
    assert "plain" not in second + last
    choose("plain")
    assert "plain" not in Sequential(make(np.float32)).summary()


@pytest.mark.extra("fast")
def test_what_runs_plain_does_not_move_the_numbers_of_its_line(choose):
    choose("fast")
    table = Sequential(LSTM(3, 4, hard_sigmoid=True), LSTM(4, 2)).summary().splitlines()
    assert len({len(line.removesuffix("  (runs plain)")) for line in table}) == 1


@pytest.mark.extra("fast")
@runs_plain
def test_under_both_back_ends_it_gives_the_same_bits(choose, make):
    rng, layer = np.random.default_rng(0), make(np.float32)
    x, dy = rng.standard_normal((5, 4, 3)), rng.standard_normal((5, 4, 4))
    results = []
    for value in ("plain", "fast"):
        choose(value)
        y, _, cache = layer.forward(x, lengths=[5, 2, 0, 3])
        results.append([y, *layer.backward(dy, cache)[::2]])
    (y, dx, grads), (y_fast, dx_fast, grads_fast) = results
    assert_array_equal(y_fast, y)
    assert_array_equal(dx_fast, dx)
    assert_array_equal(grads_fast.flat, grads.flat)


@pytest.mark.extra("fast")
def test_a_cell_that_changes_an_equation_is_not_run_by_the_compiled_one(choose):
    choose("fast")
    x = np.random.default_rng(0).standard_normal((1, 2, 3))  # one step: the doubled h is not read again
    assert_allclose(DoubledLSTM(3, 4, rng=0)(x), 2 * LSTM(3, 4, rng=0)(x), rtol=1e-5)


@pytest.mark.extra("fast")
def test_complex_weights_run_plain(choose):
    choose("fast")
    for kind in (RNN, LSTM, GRU):
        layer = kind(3, 4, np.complex128, rng=0)
        assert layer.running_cell() is kind.cell
        x = np.random.default_rng(0).standard_normal((5, 2, 3))
        assert_allclose(layer(x + 0j), kind(3, 4, np.float64, rng=0)(x), rtol=1e-12, atol=1e-14)


# The compiled tanh


@pytest.mark.extra("fast")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_tanh_is_right_in_the_last_places(dtype):
    import numba

    from numpyrnn.fast.math import tanh

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
