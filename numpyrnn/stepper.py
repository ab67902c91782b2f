"""Generation of one sequence, a step at a time: the same BLAS path as `single.py`, for any stack of layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checks import Array, NumpyrnnError
from .layers import GRU, LSTM, RNN, Dense, Dropout, Embedding, Sequential
from .single import blas

Step = Callable[[Any], Any]


class Stepper:
    """A model that takes one id and gives one row of logits, with its state kept between the calls.

    Buffers are made once and written in place, so a step costs little more than its arithmetic.

    Parameters
    ----------
    model : Sequential of RNN, LSTM, GRU, Embedding, Dense and (doing nothing here) Dropout layers, float32 or float64
        Its first layer takes ids. The parameters are copied: a stepper does not see later updates.

    Raises
    ------
    NumpyrnnError
        if the model holds another kind of layer

    Examples
    --------
    >>> step = Stepper(model)                                       # doctest: +SKIP
    >>> logits = step(3)                                            # (V,), overwritten by the next step
    """

    def __init__(self, model: Sequential):
        if model.dtype.kind != "f":
            raise NumpyrnnError(f"Stepper needs a model of float32 or float64, got {model.dtype}")
        self.input_size, self.dtype = model.input_size, model.dtype
        self.states: list[Array] = []
        (self.gemv,) = blas(model.dtype, "gemv")
        self.steps: list[Step] = []
        table = np.eye(self.input_size, dtype=model.dtype)  # what each id stands for
        for layer in model.layers:
            if isinstance(layer, Embedding) and not self.steps:
                table = table @ layer.params["W"]
            elif type(layer) in MAKERS:
                self.steps.append(MAKERS[type(layer)](self, layer.params, None if self.steps else table))
            elif not isinstance(layer, Dropout):
                raise NumpyrnnError(f"Stepper needs RNN, LSTM, GRU, Embedding, Dropout and Dense layers, got {layer!r}")
        self.output_size = len(self(0)) if self.steps else 0
        self.reset()
        if not self.steps:
            raise NumpyrnnError(f"Stepper needs a layer other than Embedding and Dropout, got {model!r}")

    def __call__(self, token: int) -> Array:
        """Logits after `token`; the array is overwritten by the next call."""
        value: Any = token
        for step in self.steps:
            value = step(value)
        return value  # type: ignore[no-any-return]

    def reset(self) -> None:
        """Go back to the zero state."""
        for state in self.states:
            state.fill(0)

    def state(self, size: int, dtype: Any) -> Array:
        """New zeros that `reset` sets to zero again."""
        self.states.append(np.zeros(size, dtype))
        return self.states[-1]


def _loader(stepper: Stepper, W: Array, b: Array, table: Array | None, z: Array) -> Step:
    """What fills the first places of `z` with x W + b; ids look up their row of the table W + b."""
    copyto, gemv, z = np.copyto, stepper.gemv, z[: len(b)]
    if table is not None:
        rows = list(table @ W + b)
        return lambda token: copyto(z, rows[token])
    WT, b = np.ascontiguousarray(W).T, b.copy()

    def load(x: Array) -> None:
        copyto(z, b)
        gemv(1.0, WT, x, 1.0, z, 0, 1, 0, 1, 0, 1)

    return load


def _dense(stepper: Stepper, p: dict[str, Array], table: Array | None) -> Step:
    z = np.empty_like(p["b"])
    load = _loader(stepper, p["W"], p["b"], table, z)

    def step(x: Any) -> Array:
        load(x)
        return z

    return step


def _rnn(stepper: Stepper, p: dict[str, Array], table: Array | None) -> Step:
    H, dtype = len(p["b"]), p["b"].dtype
    h, z, WhT = stepper.state(H, dtype), np.empty(H, dtype), p["Wh"].copy().T
    load = _loader(stepper, p["Wx"], p["b"], table, z)
    gemv, tanh = stepper.gemv, np.tanh

    def step(x: Any) -> Array:
        load(x)
        gemv(1.0, WhT, h, 1.0, z, 0, 1, 0, 1, 0, 1)
        return tanh(z, h)

    return step


def _lstm(stepper: Stepper, p: dict[str, Array], table: Array | None) -> Step:
    H, dtype = p["b"].shape[1], p["b"].dtype
    half = np.array([0.5, 0.5, 0.5, 1], dtype)[:, None]
    h, gates_c = stepper.state(H, dtype), stepper.state(5 * H, dtype)  # o i f g and c
    z, sigmoids, o, i_f, g_c, c = (gates_c[a * H : b * H] for a, b in ((0, 4), (0, 3), (0, 1), (1, 3), (3, 5), (4, 5)))
    products, tanh_c = np.empty(2 * H, dtype), np.empty(H, dtype)
    ig, fc = products[:H], products[H:]
    load = _loader(stepper, _side_by_side(p["Wx"] * half[..., None]), (p["b"] * half).ravel(), table, z)
    WhT = _side_by_side(p["Wh"] * half[..., None]).T
    gemv, tanh, multiply, add, one_half = stepper.gemv, np.tanh, np.multiply, np.add, np.array(0.5, dtype)

    def step(x: Any) -> Array:
        load(x)
        gemv(1.0, WhT, h, 1.0, z, 0, 1, 0, 1, 0, 1)
        tanh(z, z)
        multiply(sigmoids, one_half, sigmoids)
        add(sigmoids, one_half, sigmoids)
        multiply(i_f, g_c, products)
        add(ig, fc, c)
        tanh(c, tanh_c)
        return multiply(o, tanh_c, h)

    return step


def _gru(stepper: Stepper, p: dict[str, Array], table: Array | None) -> Step:
    H, dtype = len(p["bh"]), p["b"].dtype
    half = np.array([0.5, 0.5, 1], dtype)[:, None]
    h, from_x, z = stepper.state(H, dtype), np.empty(3 * H, dtype), np.empty(3 * H, dtype)  # z: r z and u
    bh = p["bh"].copy()
    rz, r, update, u, candidate = z[: 2 * H], z[:H], z[H : 2 * H], z[2 * H :], from_x[2 * H :]
    rz_from_x = from_x[: 2 * H]
    load = _loader(stepper, _side_by_side(p["Wx"] * half[..., None]), (p["b"] * half).ravel(), table, from_x)
    WhT = _side_by_side(p["Wh"] * half[..., None]).T
    gemv, copyto, tanh, multiply, add = stepper.gemv, np.copyto, np.tanh, np.multiply, np.add
    one_half = np.array(0.5, dtype)

    def step(x: Any) -> Array:
        load(x)
        copyto(rz, rz_from_x)
        copyto(u, bh)
        gemv(1.0, WhT, h, 1.0, z, 0, 1, 0, 1, 0, 1)
        tanh(rz, rz)
        multiply(rz, one_half, rz)
        add(rz, one_half, rz)
        multiply(r, u, u)
        add(candidate, u, candidate)
        tanh(candidate, candidate)
        np.subtract(h, candidate, h)  # h = n + z (h - n)
        multiply(h, update, h)
        return add(h, candidate, h)

    return step


def _side_by_side(W: Array) -> Array:
    """(gates, D, H) as (D, gates H)."""
    return np.ascontiguousarray(W.transpose(1, 0, 2)).reshape(W.shape[1], -1)


MAKERS = {Dense: _dense, RNN: _rnn, LSTM: _lstm, GRU: _gru}
