"""Gradient checks: what `backward` says against what `forward` does.

Two independent witnesses. The complex step (Squire and Trapp 1998) takes f(x + i h) with h = 1e-30: its imaginary part
over h is the derivative without any subtraction, so without rounding error. The central difference
(f(x + h) - f(x - h)) / 2h knows nothing of complex numbers, but is good to seven digits only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .checks import Array, NumpyrnnError
from .convolution import CausalConv1D, GatedBlock, GatedStack
from .layer import Layer, leaves
from .layers import Dense, Dropout, Embedding, ReLU
from .losses import softmax_cross_entropy
from .pooling import GlobalMaxPool1D, LastStep, MaxPool1D
from .recurrent import GRU, LSTM, RNN
from .sequential import Sequential

NORM, WORST, CENTRAL = 1e-12, 1e-9, 1e-7  # the largest errors that pass
ZERO = 1e-6  # a derivative below this part of the case's largest counts as zero
ROUGHLY_ZERO = 1e-3  # likewise for central differences, which round at 1e-11 of the largest

Arrays = dict[str, Array]
Function = Callable[[Arrays], Any]


@dataclass(frozen=True)
class GradientError:
    """How far one gradient is from its witnesses.

    Attributes
    ----------
    what : the name of the array
    size : its number of elements, all of which were checked
    norm : |gradient - complex step| / |complex step|, Euclidean
    worst : the largest such error of an element, relative to the element (to the case's largest where it is zero)
    central : |gradient - central difference| / |central difference|, Euclidean
    """

    what: str
    size: int
    norm: float
    worst: float
    central: float

    @property
    def ok(self) -> bool:
        """Whether all three errors are small enough (NaN is not)."""
        return bool(self.norm <= NORM and self.worst <= WORST and self.central <= CENTRAL)


def complex_step(f: Function, arrays: Arrays, name: str, step: float = 1e-30) -> Array:
    """Derivative of the scalar `f(arrays)` with respect to every element of `arrays[name]`, by the complex step.

    Parameters
    ----------
    f : function of a dict of arrays that accepts complex ones
    arrays : dict of real arrays
    name : which of them
    step : float, default 1e-30

    Returns
    -------
    array of the shape of `arrays[name]`
    """
    x = arrays[name].astype(np.complex128)
    slope = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        x[place] += 1j * step
        slope[place] = complex(f({**arrays, name: x})).imag / step
        x[place] = x[place].real
    return slope


def central_difference(f: Function, arrays: Arrays, name: str, step: float = 1e-5) -> Array:
    """Derivative of the scalar `f(arrays)` with respect to every element of `arrays[name]`, by central differences.

    Parameters
    ----------
    f : function of a dict of arrays
    arrays : dict of real arrays
    name : which of them
    step : float, default 1e-5

    Returns
    -------
    array of the shape of `arrays[name]`
    """
    x = arrays[name].astype(np.float64)
    slope = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        was = x[place]
        x[place] = was + step
        above = f({**arrays, name: x})
        x[place] = was - step
        slope[place] = (above - f({**arrays, name: x})) / (2 * step)
        x[place] = was
    return slope


def check_function(f: Function, arrays: Arrays, gradients: Arrays) -> list[GradientError]:
    """Hold the gradients of a scalar function to both witnesses.

    Parameters
    ----------
    f : function of a dict of arrays that accepts complex ones
    arrays : dict of float64 arrays
    gradients : dict with the names of `arrays`, or some of them

    Returns
    -------
    list of GradientError, one a gradient
    """
    exact = {name: complex_step(f, arrays, name) for name in gradients}
    largest = max((np.abs(slope).max(initial=0) for slope in exact.values()), default=0) or 1.0
    errors = []
    for name, gradient in gradients.items():
        if gradient.shape != arrays[name].shape:
            raise NumpyrnnError(f"the gradient of {name} must have shape {arrays[name].shape}, got {gradient.shape}")
        off = np.abs(gradient - exact[name])
        scale = np.where(np.abs(exact[name]) > ZERO * largest, np.abs(exact[name]), largest)
        near = central_difference(f, arrays, name)
        errors.append(
            GradientError(
                name,
                gradient.size,
                _relative(off, exact[name], largest),
                float((off / scale).max(initial=0)),
                _relative(gradient - near, near, largest, ROUGHLY_ZERO),
            )
        )
    return errors


def check_layer(
    layer: Layer, x: Array, lengths: Array | None = None, dropout: int | None = None, seed: int = 0
) -> list[GradientError]:
    """Check a layer: every parameter, the input (where it is floating) and the initial state.

    The scalar is a random weighting of all that `forward` returns, y and the last state.

    Parameters
    ----------
    layer : Layer of float64
    x : (T, N, D) floating or (T, N) integers
    lengths : (N,) integers, optional
    dropout : int, optional
        Seed of the dropout masks; default none are drawn.
    seed : int, default 0
        Of the weighting and of the initial state.

    Returns
    -------
    list of GradientError
    """
    draw = np.random.default_rng(seed)
    twin = layer.copy(np.complex128)

    def forward(one: Layer, x: Array, state: Any, cache: bool) -> Any:
        rng = None if dropout is None else np.random.default_rng(dropout)
        return one.forward(x, state, lengths, rng, cache)

    zero_state = forward(layer, x, None, False)[1]
    state = [draw.standard_normal(part.shape) for part in leaves(zero_state)]
    y, end, cache = forward(layer, x, _like(zero_state, iter(state)), True)
    dy = draw.standard_normal(y.shape)
    dend = [draw.standard_normal(part.shape) for part in leaves(end)]
    dx, dstate, grads = layer.backward(dy, cache, _like(end, iter(dend)))

    names = [f"state {i}" for i in range(len(state))]
    arrays = {**layer.params, **dict(zip(names, state, strict=True))}
    gradients = {**grads, **dict(zip(names, leaves(dstate), strict=True))}
    if dx is not None:
        arrays["x"], gradients["x"] = np.asarray(x, np.float64), dx

    def scalar(values: Arrays) -> Any:
        is_complex = any(value.dtype.kind == "c" for value in values.values())
        one = twin if is_complex else layer
        before = one.params.flat.copy()
        for name in one.params:
            one.params[name] = values[name]
        y, end, _ = forward(one, values.get("x", x), _like(zero_state, iter([values[n] for n in names])), False)
        one.params.flat[...] = before
        return (y * dy).sum() + sum((part * d).sum() for part, d in zip(leaves(end), dend, strict=True))

    return check_function(scalar, arrays, gradients)


def check_loss(logits: Array, targets: Array, mask: Array | None = None) -> list[GradientError]:
    """Check `softmax_cross_entropy`: the gradient with respect to the logits.

    Parameters
    ----------
    logits : (..., V) float64
    targets : (...) integers
    mask : (...) boolean, optional

    Returns
    -------
    list of one GradientError
    """
    gradient = softmax_cross_entropy(logits, targets, mask)[1]

    def loss(values: Arrays) -> Any:
        return softmax_cross_entropy(values["logits"], targets, mask)[0]

    return check_function(loss, {"logits": logits}, {"logits": gradient})


def report(seed: int = 0) -> Iterator[tuple[str, str, list[GradientError]]]:
    """All kernels, layers and the loss, each in the cases that matter.

    Parameters
    ----------
    seed : int, default 0

    Yields
    ------
    name, formula, list of GradientError
    """
    draw = np.random.default_rng(seed)
    T, N, D, H = 5, 4, 3, 4
    x, ids, lengths = draw.standard_normal((T, N, D)), draw.integers(0, D, (T, N)), np.array([5, 2, 0, 4])
    formulas = {
        RNN: "h = tanh(x Wx + h' Wh + b)",
        LSTM: "c = f c' + i g,  h = o tanh(c)",
        GRU: "h = (1 - z) n + z h'",
    }
    for kind, formula in formulas.items():
        layer = kind(D, H, np.float64, draw)
        yield kind.__name__, formula, check_layer(layer, x, seed=seed)
        yield f"{kind.__name__}, padded", "steps after a sequence's end change nothing", check_layer(layer, x, lengths)
        yield f"{kind.__name__}, integers", "an id stands for a one-hot row", check_layer(layer, ids, lengths)
        yield f"{kind.__name__}, one step", "T = 1, N = 1", check_layer(layer, x[:1, :1], seed=seed)
        dropped = kind(D, H, np.float64, draw, weight_dropout=0.5)
        yield f"{kind.__name__}, weight dropout", "Wh mask / (1 - rate)", check_layer(dropped, x, lengths, dropout=seed)
    hard = LSTM(D, H, np.float64, draw, hard_sigmoid=True)
    hard.params.flat[...] *= 2  # so that some gates are at their ends
    yield "LSTM, hard sigmoid", "o, i, f = min(max(z / 5 + 1/2, 0), 1)", check_layer(hard, x, lengths)
    yield "Dense", "y = x W + b", check_layer(Dense(D, H, np.float64, draw), x, lengths)
    yield "Dense, integers", "y = W[x] + b", check_layer(Dense(D, H, np.float64, draw), ids)
    yield "Embedding", "y = W[x]", check_layer(Embedding(D, H, np.float64, draw), ids, lengths)
    for shared in (None, "time", "features"):
        name = "Dropout" if shared is None else f"Dropout, shared: {shared}"
        yield name, "y = x mask / (1 - rate)", check_layer(Dropout(0.5, shared), x, lengths, dropout=seed)
    for name, layer, formula in (
        ("CausalConv1D", CausalConv1D(D, H, 2, 1, np.float64, draw), "y = b + sum of x[t - (K-1-k) d] W[k]"),
        ("CausalConv1D, d = 2", CausalConv1D(D, H, 3, 2, np.float64, draw), "K = 3: its reach is 4 of 5 steps"),
        ("GatedBlock", GatedBlock(D, 2, 2, 2, np.float64, draw), "u = tanh(.) sigmoid(.), y = [x + u Wr, u Ws]"),
        ("GatedStack", GatedStack(D, 2, 2, (1, 2), np.float64, draw), "the blocks' skips, added up"),
    ):
        yield name, formula, check_layer(layer, x, seed=seed)
        yield f"{name}, padded", "steps after a sequence's end change nothing", check_layer(layer, x, lengths)
    yield "ReLU", "y = max(x, 0)", check_layer(ReLU(np.float64), x, lengths)
    yield "MaxPool1D", "y = max over every two steps", check_layer(MaxPool1D(2, np.float64), x, lengths)
    yield "GlobalMaxPool1D", "y = max over all steps", check_layer(GlobalMaxPool1D(np.float64), x, lengths)
    yield "LastStep", "y = x[T]", check_layer(LastStep(np.float64), x, lengths)
    wavenet = Sequential(
        Embedding(D, H, np.float64, draw),
        CausalConv1D(H, H, 2, rng=draw, dtype=np.float64),
        GatedStack(H, 3, 2, (1, 2), np.float64, draw),
        ReLU(np.float64),
        MaxPool1D(2, np.float64),
        GlobalMaxPool1D(np.float64),
        Dense(3, D, np.float64, draw),
    )
    yield "Sequential", "Embedding, convolution, GatedStack, ReLU, pooling", check_layer(wavenet, ids, lengths)
    stack = Sequential(
        Embedding(D, H, np.float64, draw),
        LSTM(H, H, np.float64, draw),
        Dropout(0.5, dtype=np.float64),
        GRU(H, H, np.float64, draw),
        RNN(H, H, np.float64, draw),
        Dense(H, D, np.float64, draw),
    )
    yield "Sequential", "Embedding, LSTM, Dropout, GRU, RNN, Dense", check_layer(stack, ids, lengths, dropout=seed)
    loss = check_loss(draw.standard_normal((T, N, D)), ids, np.arange(T)[:, None] < lengths)
    yield "Cross-entropy", "-log softmax(logits)[target], masked mean", loss


def _relative(off: Array, reference: Array, largest: float, zero: float = ZERO) -> float:
    norm = float(np.linalg.norm(reference))
    return float(np.linalg.norm(off)) / (norm if norm > zero * largest else largest)


def _like(state: Any, arrays: Iterator[Array]) -> Any:
    """A state of the same form with other arrays."""
    if isinstance(state, tuple | list):
        return tuple(_like(part, arrays) for part in state)
    return None if state is None else next(arrays)
