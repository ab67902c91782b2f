"""Products of one step: in blocks, of one row, and through the layers the same numbers as without."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from numpyrnn import GRU, LSTM, RNN, products
from numpyrnn.products import ONE_ROW, WORTH_A_COPY, as_blocks, in_blocks, step_product, step_product_back

SHAPES = [(1, 300, 300), (16, 64, 64), (16, 256, 256), (60, 128, 128), (16, 200, 300), (500, 70, 90), (3, 999, 997)]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("N", "K", "H"), SHAPES)
def test_a_product_with_blocks_is_the_product(N, K, H, transposed):
    rng = np.random.default_rng(0)
    W, rows = rng.standard_normal((4, K, H)), rng.standard_normal((N, K))
    W_blocks = in_blocks(np.ascontiguousarray(W.transpose(0, 2, 1)).transpose(0, 2, 1) if transposed else W, N)
    out = np.full((4, N, H), np.nan)
    np.matmul(rows, W_blocks, out=as_blocks(out, W_blocks))
    assert_allclose(out, rows @ W, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("N", "K", "H"), SHAPES)
def test_blocks_are_small_or_there_is_one(N, K, H):
    B = in_blocks(np.zeros((2, K, H), np.float32), N).shape[1]
    assert B == 1 or (N * K * H // B <= products.SMALL and H // B >= products.NARROWEST)


def test_some_sizes_have_several_blocks():
    assert in_blocks(np.zeros((4, 256, 256)), 16).shape == (4, 2, 256, 128)


# Of one step


STEPS = pytest.mark.parametrize("steps", [1, WORTH_A_COPY - 1, WORTH_A_COPY])
SIZES = pytest.mark.parametrize(("N", "K", "H"), [(1, 5, 6), (1, 128, 128), (1, 128, 129), (3, 5, 6), (16, 256, 256)])


def on_one_row(N, K, H, steps):
    """Whether all gates should be one product with weights side by side."""
    return N == 1 and steps >= WORTH_A_COPY and 4 * K * H <= ONE_ROW


@STEPS
@SIZES
def test_a_prepared_product_is_the_product_of_the_first_rows(N, K, H, steps):
    rng = np.random.default_rng(0)
    W, out = rng.standard_normal((4, K, H)), np.full((4, N, H), np.nan)
    multiply = step_product(W, out, steps)
    for n in sorted({1, N}):
        rows, out[...] = rng.standard_normal((n, K)), np.nan
        multiply(rows)
        assert_allclose(out[:, :n], rows @ W, rtol=1e-12, atol=1e-12)
        assert np.isnan(out[:, n:]).all()


@STEPS
@SIZES
def test_a_prepared_product_back_fills_a_place_a_gate_or_one_with_their_sum(N, K, H, steps):
    rng = np.random.default_rng(0)
    W, out = rng.standard_normal((4, K, H)), np.full((4, N, K), np.nan)
    multiply, filled = step_product_back(W, out, steps)
    assert filled == (1 if on_one_row(N, K, H, steps) else 4)
    for n in sorted({1, N}):
        rows, out[...] = rng.standard_normal((4, n, H)), np.nan
        multiply(rows)
        expected = rows @ W.transpose(0, 2, 1)
        expected = expected.sum(axis=0, keepdims=True) if filled == 1 else expected
        assert_allclose(out[:filled, :n], expected, rtol=1e-11, atol=1e-11)
        assert np.isnan(out[filled:]).all()
        assert np.isnan(out[:, n:]).all()


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_layers_give_the_same_with_and_without_blocks(monkeypatch, back_end, kind, padded):
    rng = np.random.default_rng(0)
    layer, x, dy = kind(3, 8, np.float64, rng=0), rng.standard_normal((5, 4, 3)), rng.standard_normal((5, 4, 8))
    lengths = np.array([2, 5, 0, 3]) if padded else None

    def results():
        y, _, cache = layer.forward(x, lengths=lengths)
        dx, _, grads = layer.backward(dy, cache)
        return y, dx, grads.flat

    expected = results()
    monkeypatch.setattr(products, "SMALL", 4 * 8 * 2)
    monkeypatch.setattr(products, "NARROWEST", 1)
    assert in_blocks(np.zeros((1, 8, 8)), 4).shape[1] == 4
    for got, wanted in zip(results(), expected, strict=True):
        assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)
