"""A layer of one's own, and the cases that check it alone and in a model.

Run `numpyrnn gradcheck docs/own_layer.py`; `docs/check-your-own.md` explains it.
"""

import numpy as np

from numpyrnn import LSTM, Dense, Sequential
from numpyrnn.activations import sigmoid
from numpyrnn.layer import Layer
from numpyrnn.parameters import Parameters


class Swish(Layer):
    """y = x sigmoid(b x), with one b per feature."""

    sizes = ("input_size",)

    def __init__(self, input_size, dtype=np.float32, rng=None):
        self.input_size = self.output_size = input_size
        self.params = Parameters({"b": (input_size,)}, np.dtype(dtype))
        self.params["b"] = np.ones(input_size)

    def run(self, x, state, padding, drawn, cache):
        """The forward pass: y, no state, and the cache."""
        s = sigmoid(self.params["b"] * x)
        return padding.masked(x * s), None, (x, s)

    def run_back(self, dy, kept, dstate, grads, padding):
        """The backward pass: the gradient of b is written into grads, that of x is returned."""
        (x, s), b, dy = kept, self.params["b"], padding.masked(dy)
        grads["b"][...] = (dy * x * x * s * (1 - s)).sum(axis=(0, 1))
        return dy * (s + x * b * s * (1 - s)), None


def case_layer():
    """The layer alone, with a random input."""
    return Swish(3, dtype=np.float64)


def case_model():
    """The layer between others; the input has 5 steps of 2 sequences."""
    kw = {"dtype": np.float64, "rng": 0}
    return Sequential(LSTM(3, 4, **kw), Swish(4, **kw), Dense(4, 2, **kw)), np.random.default_rng(0).random((5, 2, 3))
