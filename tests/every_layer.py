"""A layer of every kind, for the tests of what all of them share."""

import numpy as np

from numpyrnn import (
    GRU,
    LSTM,
    RNN,
    CausalConv1D,
    Dense,
    Dropout,
    Embedding,
    GatedBlock,
    GatedStack,
    GlobalMaxPool1D,
    LastStep,
    MaxPool1D,
    ReLU,
    Sequential,
)

T, N, D, H, V = 9, 4, 3, 5, 6
A = {"dtype": np.float64, "rng": 0}


class Noted(Sequential):
    """A user's model with attributes of its own, one of them an array."""

    def __init__(self, *layers, title="untitled"):
        super().__init__(*layers)
        self.title, self.table = title, np.arange(3)


class Scaled(Dense):
    """A user's layer with an attribute of its own, which its results depend on."""

    sizes = (*Dense.sizes, "factor")

    def __init__(self, input_size, output_size, factor=2.0, dtype=np.float32, rng=None):
        super().__init__(input_size, output_size, dtype, rng)
        self.factor = factor

    def run(self, x, *rest):
        y, state, kept = super().run(x, *rest)
        return self.factor * y, state, kept

    def run_back(self, dy, *rest):
        return super().run_back(self.factor * dy, *rest)


def flat():
    lower = Embedding(V, D, **A), LSTM(D, H, **A, weight_dropout=0.25), Dropout(0.5, "time"), MaxPool1D(2)
    return *lower, CausalConv1D(H, D, 2, **A), GatedStack(D, H, 2, (1, 2), **A), Dropout(0.25), Scaled(H, V, **A)


EVERY = {
    "RNN": lambda: RNN(D, H, **A),
    "LSTM": lambda: LSTM(D, H, **A),
    "hard LSTM": lambda: LSTM(D, H, **A, hard_sigmoid=True),
    "GRU": lambda: GRU(D, H, **A),
    "weight dropout": lambda: GRU(D, H, **A, weight_dropout=0.5),
    "Dense": lambda: Dense(D, H, **A),
    "Embedding": lambda: Embedding(V, H, **A),
    "Dropout": lambda: Dropout(0.5),
    "Dropout, shared: time": lambda: Dropout(0.5, "time"),
    "Dropout, shared: features": lambda: Dropout(0.5, "features"),
    "ReLU": ReLU,
    "MaxPool1D": lambda: MaxPool1D(2),
    "MaxPool1D of 1": lambda: MaxPool1D(1),
    "GlobalMaxPool1D": GlobalMaxPool1D,
    "LastStep": LastStep,
    "CausalConv1D": lambda: CausalConv1D(D, H, 3, 2, **A),
    "CausalConv1D of one tap": lambda: CausalConv1D(D, H, 1, **A),
    "GatedBlock": lambda: GatedBlock(D, 2, 2, 2, **A),
    "GatedStack": lambda: GatedStack(D, 2, 2, (1, 2), **A),
    "Sequential": lambda: Sequential(*flat()),
    "model in model": lambda: Sequential(Sequential(*flat()[:4]), Sequential(Sequential(flat()[4]), *flat()[5:])),
    "model of one's own": lambda: Noted(*flat(), title="mine"),
}
THREE = ("Sequential", "model in model", "model of one's own")  # which read ids and write logits


def make(name):
    """The layer of this name, in float64, with biases that are not zero."""
    layer = EVERY[name]()
    layer.params.flat[...] += np.random.default_rng(1).normal(0, 0.3, layer.params.flat.shape)
    return layer


def input_of(name):
    """What it reads: ids or numbers."""
    rng = np.random.default_rng(2)
    return rng.integers(0, V, (T, N)) if name in ("Embedding", *THREE) else rng.standard_normal((T, N, D))
