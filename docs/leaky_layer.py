"""A layer with a state, and the cases that check it.

Run `numpyrnn gradcheck docs/leaky_layer.py`; `docs/check-your-own.md` explains it.
"""

import numpy as np

from numpyrnn.checks import as_rng, check_numbers
from numpyrnn.layer import Layer, glorot
from numpyrnn.parameters import Parameters


class Leaky(Layer):
    """A leaky unit: h_t = (1 - a) h_{t-1} + a (W x_t + b), with one a for all."""

    sizes = ("input_size", "output_size", "a")

    def __init__(self, input_size, output_size, a=0.3, dtype=np.float32, rng=None):
        self.input_size, self.output_size, self.a = input_size, output_size, a
        self.params = Parameters({"W": (input_size, output_size), "b": (output_size,)}, np.dtype(dtype))
        self.params["W"] = glorot(as_rng(rng), input_size, output_size)

    def check_state(self, name, state, N):
        """The state is h, (N, output_size); None means zeros. `name` is "state" or "dstate"."""
        shape = (N, self.output_size)
        return np.zeros(shape, self.dtype) if state is None else check_numbers(name, state, self.dtype, shape)

    def run(self, x, state, padding, drawn, cache):
        """The forward pass: h of all steps, h after the last real step, and the cache."""
        ids = x.ndim == 2  # integers, (T, N), that stand for one-hot rows
        x = np.eye(self.input_size, dtype=self.dtype)[x] if ids else x
        u, h = x @ self.params["W"] + self.params["b"], state
        y = np.empty_like(u)
        for t in range(padding.T):
            real = padding.real[t][:, None]
            y[t] = h = np.where(real, (1 - self.a) * h + self.a * u[t], h)  # padding leaves h as it is
        return padding.masked(y), h, (x, ids)

    def run_back(self, dy, kept, dstate, grads, padding):
        """The backward pass, from the last step to the first."""
        (x, ids), dy, dh = kept, padding.masked(dy), dstate
        du = np.empty_like(dy)
        for t in reversed(range(padding.T)):
            real = padding.real[t][:, None]
            dh = dh + dy[t]
            du[t] = np.where(real, self.a * dh, 0)
            dh = np.where(real, (1 - self.a) * dh, dh)
        grads["W"][...] = np.einsum("tnd,tnh->dh", x, du)
        grads["b"][...] = du.sum(axis=(0, 1))
        return None if ids else du @ self.params["W"].T, dh


def case_leaky():
    """The layer alone; the initial state is checked too."""
    return Leaky(3, 2, dtype=np.float64, rng=0)


def case_leaky_ids():
    """The layer with ids, 3 steps of 2 sequences."""
    return Leaky(3, 2, dtype=np.float64, rng=0), np.array([[0, 2], [1, 1], [2, 0]])
