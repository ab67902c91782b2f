"""Products with weights in blocks: the same as without, where blocks are made at all, and through the kernels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from numpyrnn import GRU, LSTM, RNN, products
from numpyrnn.products import as_blocks, in_blocks

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
