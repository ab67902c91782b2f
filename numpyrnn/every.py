"""The gradient checks of every layer of the engine, which `numpyrnn gradcheck` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .convolution import CausalConv1D, GatedBlock, GatedStack
from .gradcheck import GradientReport, check_layer, check_loss
from .layers import Dense, Dropout, Embedding, GlobalMaxPool1D, LastStep, MaxPool1D, ReLU
from .recurrent import GRU, LSTM, RNN
from .sequential import Sequential


def report(seed: int = 0) -> Iterator[tuple[str, str, GradientReport]]:
    """Check all layers and the loss, in all cases that matter; yield a name, a formula and the errors of each."""
    T, N, D, H, draw = 5, 4, 3, 4, np.random.default_rng(seed)
    x, ids, lengths = draw.standard_normal((T, N, D)), draw.integers(0, D, (T, N)), np.array([5, 2, 0, 4])
    cases = {"all steps": (x, None), "one step": (x[:1, :1], None), "padded": (x, lengths), "integers": (ids, lengths)}
    every, floating, integers = [*cases], ["all steps", "padded"], ["integers"]
    kw: Any = {"dtype": np.float64, "rng": draw}
    hard = LSTM(D, H, hard_sigmoid=True, **kw)
    hard.params.flat[...] *= 2  # so that some gates saturate
    stack = [Embedding(D, H, **kw), LSTM(H, H, **kw), Dropout(0.5), GRU(H, H, **kw), RNN(H, H, **kw), Dense(H, D, **kw)]
    wavenet = [Embedding(D, H, **kw), CausalConv1D(H, H, 2, **kw), GatedStack(H, 3, 2, (1, 2), **kw), ReLU()]
    wavenet += [MaxPool1D(2), GlobalMaxPool1D(), Dense(3, D, **kw)]
    scaled, drop = "y = x mask / (1 - rate)", "Wh mask / (1 - rate)"
    for name, formula, layer, used in (
        ("RNN", "h = tanh(x Wx + h' Wh + b)", RNN(D, H, **kw), every),
        ("LSTM", "c = f c' + i g,  h = o tanh(c)", LSTM(D, H, **kw), every),
        ("LSTM, hard sigmoid", "o, i, f = min(max(z / 5 + 1/2, 0), 1)", hard, every),
        ("GRU", "h = (1 - z) n + z h'", GRU(D, H, **kw), every),
        *((f"{k.__name__}, weight dropout", drop, k(D, H, weight_dropout=0.5, **kw), every) for k in (RNN, LSTM, GRU)),
        ("Dense", "y = x W + b", Dense(D, H, **kw), every),
        ("Embedding", "y = W[x]", Embedding(D, H, **kw), integers),
        ("Dropout", scaled, Dropout(0.5, **kw), floating),
        *((f"Dropout, shared: {axis}", scaled, Dropout(0.5, axis, **kw), floating) for axis in ("time", "features")),
        ("CausalConv1D", "y = b + sum of x[t - (K-1-k) d] W[k]", CausalConv1D(D, H, 2, **kw), floating),
        ("CausalConv1D, d = 2", "K = 3: its reach is 4 of 5 steps", CausalConv1D(D, H, 3, 2, **kw), floating),
        ("GatedBlock", "u = tanh(.) sigmoid(.),  y = [x + u Wr, u Ws]", GatedBlock(D, 2, 2, 2, **kw), floating),
        ("GatedStack", "y = sum of the blocks' skip connections", GatedStack(D, 2, 2, (1, 2), **kw), floating),
        ("ReLU", "y = max(x, 0)", ReLU(**kw), floating),
        ("MaxPool1D", "y = max over every two steps", MaxPool1D(2, **kw), floating),
        ("GlobalMaxPool1D", "y = max over all steps", GlobalMaxPool1D(**kw), floating),
        ("LastStep", "y = x[T]", LastStep(**kw), floating),
        ("Sequential", "Embedding, convolution, GatedStack, ReLU, pooling, Dense", Sequential(wavenet), integers),
        ("Sequential", "Embedding, LSTM, Dropout, GRU, RNN, Dense", Sequential(stack), integers),
    ):
        for case in used:
            yield name if case == used[0] else f"{name}, {case}", formula, check_layer(layer, *cases[case], seed, seed)
    loss = check_loss(draw.standard_normal((T, N, D)), ids, np.arange(T)[:, None] < lengths)
    yield "Cross-entropy", "-log softmax(logits)[target], averaged over the real steps", loss
