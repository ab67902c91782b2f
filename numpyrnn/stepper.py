"""Generation of one sequence, a step at a time, with as few calls as possible; `single.py` says why."""

from __future__ import annotations

from collections.abc import Callable
from itertools import dropwhile
from typing import Any

import numpy as np

from . import backend
from .checks import Array, NumpyrnnError
from .kernels import HARD_SLOPE
from .layer import Layer
from .layers import Dense, Dropout, Embedding
from .pooling import LastStep
from .recurrent import GRU, LSTM, RNN
from .sequential import Sequential
from .single import blas

Cell = Callable[[Array, Array], Any]
PASSING = (Dropout, LastStep)  # what does nothing to one step


class Stepper:
    """A model that takes one id and gives one row of logits, with its state kept between the calls.

    Each layer makes one product: [h; 1] times [its own Wh, the next layer's Wx; their biases] gives what its next step
    and the layer above need of h. What the first layer needs of an id is a row of a table, made beforehand.

    Parameters
    ----------
    model : Sequential of RNN, LSTM, GRU, Embedding, Dense and (doing nothing here) Dropout and LastStep layers
        Its first layer takes ids. The parameters are copied: a stepper does not see later updates.

    Raises
    ------
    NumpyrnnError
        if the model holds another kind of layer

    Examples
    --------
    >>> step = Stepper(Sequential(RNN(5, 8, rng=0), Dense(8, 5, rng=0)))
    >>> step(3).shape                       # logits, overwritten by the next step
    (5,)
    """

    def __init__(self, model: Sequential):
        if not can_step(model):
            raise NumpyrnnError(f"Stepper needs RNN, LSTM, GRU and Dense layers of real numbers, got {model!r}")
        layers = [layer for layer in model.layers if not isinstance(layer, PASSING)]
        table = np.eye(model.input_size, dtype=model.dtype)  # what each id stands for
        while layers and isinstance(layers[0], Embedding):
            table = table @ layers.pop(0).params["W"]
        self.input_size, self.dtype = model.input_size, model.dtype
        (self._gemv,) = blas(model.dtype, "gemv")
        Wx, b, _, _ = _weights(layers[0])
        self._rows = list(table @ Wx + b)
        self._resets: list[tuple[Array, Array]] = []
        self._steps = [self._step(layer, above) for layer, above in zip(layers, [*layers[1:], None], strict=True)]
        if isinstance(layers[-1], Dense):
            self._steps.pop()  # its x W + b is the result
        self.output_size = len(self(0))
        self.reset()

    def __call__(self, token: int) -> Array:
        """Logits after `token`; the array is overwritten by the next call."""
        x = self._rows[token]
        for step in self._steps:
            x = step(x)
        return x  # type: ignore[no-any-return]

    def reset(self) -> None:
        """Go back to the zero state."""
        for array, start in self._resets:
            array[...] = start

    def _step(self, layer: Layer, above: Layer | None) -> Callable[[Array], Array]:
        """From the layer's x Wx + b to that of the layer above; without one, to h."""
        _, _, Wh, bh = _weights(layer)
        Wx, b = _weights(above)[:2] if above else (np.zeros((len(Wh), 0), self.dtype), np.zeros(0, self.dtype))
        n, H = Wh.shape[1], len(Wh)
        W_T = np.vstack([np.hstack([Wh, Wx]), np.hstack([bh, b])]).T  # of [h; 1]; BLAS reads columns first
        h_1, product = np.ones(H + 1, self.dtype), np.zeros(W_T.shape[0], self.dtype)
        h, from_h, result = h_1[:H], product[:n], product[n:]
        self._resets.append((from_h, bh))
        cell, memory = CELLS[type(layer)](layer, h)
        if memory is not None:
            self._resets.append((memory, np.zeros_like(memory)))
        W_T, gemv = np.asfortranarray(W_T), self._gemv
        if above is None:
            result = h
        compiled = backend.single()
        if compiled and type(layer) in compiled.STEPS and not _is_hard(layer):
            compiled_step, W = compiled.STEPS[type(layer)], W_T.T

            def fast_step(x: Array) -> Array:
                compiled_step(x, h_1, memory if memory is not None else h, W, product)
                return result

            return fast_step

        def step(x: Array) -> Array:
            cell(x, from_h)
            gemv(1.0, W_T, h_1, 0.0, product, 0, 1, 0, 1, 0, 1)
            return result

        return step


def can_step(model: Sequential) -> bool:
    """Whether a `Stepper` can be made of a model.

    Parameters
    ----------
    model : Sequential

    Returns
    -------
    bool
    """
    above = dropwhile(lambda layer: not isinstance(layer, LastStep), model.layers)
    if not all(isinstance(layer, (Dense, *PASSING)) for layer in above):  # what recurs there sees one step of a pass
        return False
    kinds = [type(layer) for layer in model.layers if not isinstance(layer, PASSING)]
    while kinds and kinds[0] is Embedding:
        kinds.pop(0)
    return bool(kinds) and all(kind in CELLS for kind in kinds) and model.dtype.kind == "f"


def _dense(layer: Layer, h: Array) -> tuple[Cell, None]:
    copyto = np.copyto
    return lambda x, from_h: copyto(h, x), None


def _rnn(layer: Layer, h: Array) -> tuple[Cell, None]:
    add, tanh = np.add, np.tanh
    return lambda x, from_h: tanh(add(x, from_h, h), h), None


def _lstm(layer: Layer, h: Array) -> tuple[Cell, Array]:
    H, dtype = len(h), h.dtype
    gates_c, products, tanh_c = np.zeros(5 * H, dtype), np.zeros(2 * H, dtype), np.zeros(H, dtype)  # o i f g and c
    z, sigmoids, o, c = gates_c[: 4 * H], gates_c[: 3 * H], gates_c[:H], gates_c[4 * H :]
    i_f, g_c, ig, fc = gates_c[H : 3 * H], gates_c[3 * H :], products[:H], products[H:]
    tanh, multiply, add, half = np.tanh, np.multiply, np.add, np.array(0.5, dtype)
    g, clip, zero, one = gates_c[3 * H : 4 * H], np.clip, np.array(0, dtype), np.array(1, dtype)

    def cell(x: Array, from_h: Array) -> None:
        tanh(add(x, from_h, z), z)
        add(multiply(sigmoids, half, sigmoids), half, sigmoids)
        multiply(i_f, g_c, products)
        multiply(o, tanh(add(ig, fc, c), tanh_c), h)

    def hard_cell(x: Array, from_h: Array) -> None:
        add(x, from_h, z)
        tanh(g, g)
        clip(add(sigmoids, half, sigmoids), zero, one, sigmoids)
        multiply(i_f, g_c, products)
        multiply(o, tanh(add(ig, fc, c), tanh_c), h)

    return hard_cell if _is_hard(layer) else cell, c


def _gru(layer: Layer, h: Array) -> tuple[Cell, Array]:
    H, dtype = len(h), h.dtype
    rz, candidate = np.zeros(2 * H, dtype), np.zeros(H, dtype)
    r, z = rz[:H], rz[H:]
    tanh, multiply, add, subtract, half = np.tanh, np.multiply, np.add, np.subtract, np.array(0.5, dtype)

    def cell(x: Array, from_h: Array) -> None:
        tanh(add(x[: 2 * H], from_h[: 2 * H], rz), rz)
        add(multiply(rz, half, rz), half, rz)
        multiply(r, from_h[2 * H :], candidate)
        tanh(add(candidate, x[2 * H :], candidate), candidate)
        add(multiply(subtract(h, candidate, h), z, h), candidate, h)  # n + z (h - n)

    return cell, h


CELLS: dict[type[Layer], Callable[[Layer, Array], tuple[Cell, Array | None]]]
CELLS = {Dense: _dense, RNN: _rnn, LSTM: _lstm, GRU: _gru}


def _is_hard(layer: Layer) -> bool:
    return isinstance(layer, LSTM) and layer.hard_sigmoid


def _weights(layer: Layer) -> tuple[Array, Array, Array, Array]:
    """Wx, b, Wh and the bias beside Wh, gates side by side; the sigmoids' halves are folded in (`kernels.py`)."""
    p = layer.params
    if isinstance(layer, Dense):
        V = len(p["b"])
        return p["W"], p["b"], np.zeros((V, 0), p["b"].dtype), p["b"][:0]
    if isinstance(layer, RNN):
        return p["Wx"], p["b"], p["Wh"], np.zeros_like(p["b"])
    n_sigmoids, H = (3 if isinstance(layer, LSTM) else 2), p["b"].shape[1]
    slope = HARD_SLOPE if _is_hard(layer) else 0.5
    scale = np.where(np.arange(len(p["b"])) < n_sigmoids, slope, 1).astype(p["b"].dtype)[:, None]
    Wx, Wh = (np.hstack(list(p[name] * scale[..., None])) for name in ("Wx", "Wh"))
    bh = np.zeros(len(p["b"]) * H, p["b"].dtype)
    if isinstance(layer, GRU):
        bh[2 * H :] = p["bh"]
    return Wx, (p["b"] * scale).ravel(), Wh, bh
