"""Memory: that of a pass grows with the steps as the docstrings say; that of reading a text in pieces does not grow."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose

from numpyrnn import GRU, LSTM, RNN, Dense, Embedding, Sequential
from numpyrnn.batches import streams
from numpyrnn.losses import softmax_cross_entropy

# For each layer, what its docstring says of the numbers per step: kept by the forward pass, and at the peak.
STATED = {
    RNN: ("keeps N H numbers", 1, "2 N H + N D", 2, 1),
    LSTM: ("keeps 7 N H numbers", 7, "11 N H + 2 N D", 11, 2),
    GRU: ("keeps 5 N H numbers", 5, "9 N H + 2 N D", 9, 2),
}
N, D, H = 32, 48, 64
LAYERS = pytest.mark.parametrize("kind", STATED)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def traced(call):
    """The bytes that the result of a call holds, and the peak during the call; and the result."""
    tracemalloc.start()
    try:
        result = call()
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()  # it would slow down all tests after this one
    return np.array([held, most], float), result


def a_step(kind, dtype, D, backward=True):
    """The bytes that one more step adds: held after the pass, and at the peak."""
    layer, rng, taken = kind(D, H, dtype=dtype, rng=0), np.random.default_rng(0), []
    grads = layer.params.zeros_like()
    for T in (64, 192):
        x, dy = rng.standard_normal((T, N, D)).astype(dtype), rng.standard_normal((T, N, H)).astype(dtype)

        def run(x=x, dy=dy):
            y, _, cache = layer.forward(x)
            return layer.backward(dy, cache, grads=grads) if backward else (y, cache)

        run()  # so that what is made only once, such as compiled code, is not counted
        taken.append(traced(run)[0])
    return (taken[1] - taken[0]) / (192 - 64)


@LAYERS
@DTYPES
def test_a_step_keeps_and_takes_what_the_docstring_says(kind, dtype):
    kept_words, kept, most_words, most, most_dx = STATED[kind]
    words, itemsize = " ".join(kind.__doc__.split()), np.dtype(dtype).itemsize
    assert kept_words in words
    assert most_words in words
    assert_allclose(a_step(kind, dtype, D, backward=False)[0], kept * N * H * itemsize, rtol=0.02)
    assert_allclose(a_step(kind, dtype, D)[1], (most * N * H + most_dx * N * D) * itemsize, rtol=0.02)


@LAYERS
def test_truncated_backpropagation_takes_the_same_for_a_text_of_any_length(kind):
    model = Sequential(Embedding(20, 8, rng=0), kind(8, H, rng=1), Dense(H, 20, rng=2))
    grads = model.params.zeros_like()

    def read(text):
        state = None
        for batch in streams(text, N, 16):
            logits, state, cache = model.forward(batch.x, state)
            _, dlogits = softmax_cross_entropy(logits, batch.targets)
            model.backward(dlogits, cache, grads=grads)

    texts = [np.random.default_rng(0).integers(0, 20, N * 16 * n + 1).astype(np.uint8) for n in (4, 32)]
    read(texts[0])
    (_, short), (_, long) = (traced(lambda text=text: read(text))[0] for text in texts)
    assert_allclose(long, short, rtol=0.15)  # eight times the text; the interpreter's free lists grow a little
