"""Generation of one sequence, a step at a time, with as few calls as possible.

For one sequence and a few dozen units, a NumPy call costs as much as its arithmetic. Therefore all views are created
once, and each layer makes a single product per step, which SciPy's `gemv` writes in place.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import dropwhile, zip_longest
from threading import Lock, current_thread
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .cells import Cell
from .checks import Array, NumpyrnnError
from .layer import Layer, is_ours
from .layers import Dense, Dropout, Embedding, LastStep
from .products import AS_IS, IN_PLACE, INCX, INCY, OFFX, OFFY, aligned, blas
from .recurrent import Recurrent
from .sequential import Sequential

PASSING = (Dropout, LastStep)  # layers that leave a single step unchanged
BUSY = "a Stepper writes one sequence at a time, and only in the thread that made or last reset it: make another"


class Stepper:
    """A model as a function from one id to one row of logits; it keeps its state from call to call.

    Each layer makes one product per step: [h; 1] times [Wh, Wx; 0, b], where Wx and b belong to the layer above. The
    result holds h Wh, for the layer's own next step, and h Wx + b, the input of the layer above. The input of the first
    layer is looked up in a table that holds x Wx + b of each id.

    A stepper serves the thread that made it or last called `reset`. Calls from other threads raise. It cannot be copied
    or pickled.

    Parameters
    ----------
    model : Sequential of recurrent, Embedding and Dense layers; Dropout and LastStep do nothing here
        Its first layer takes ids. The parameters are copied: later updates of the model have no effect.

    Raises
    ------
    NumpyrnnError
        if the model holds a layer of another kind, or a cell whose `step` reads a state that it has overwritten

    Examples
    --------
    >>> step = Stepper(Sequential(RNN(5, 8, rng=0), Dense(8, 5, rng=0)))
    >>> step(3).shape  # logits
    (5,)
    """

    def __init__(self, model: Sequential):
        if not can_step(model):
            raise NumpyrnnError(f"Stepper needs RNN, LSTM, GRU and Dense layers of real numbers, got {model!r}")
        layers = [layer for layer in model.layers if type(layer) not in PASSING]
        table = np.eye(model.input_size, dtype=model.dtype)  # one-hot rows
        while isinstance(layers[0], Embedding):
            table = table @ layers.pop(0).params["W"]
        self.input_size, self.dtype, self.in_use = model.input_size, model.dtype, Lock()
        (self._gemv,) = blas(model.dtype, "gemv")
        Wx, _, b, form = _weights(layers[0])
        rows = list((table @ Wx + b).reshape(-1, *form))
        self._states: list[Array] = []
        steps = [self._step(layer, above) for layer, above in zip_longest(layers, layers[1:])]
        if isinstance(layers[-1], Dense):
            steps.pop()  # its x W + b is the result
        self.advance = _in_turn(rows, steps)  # `__call__` without its checks
        self.output_size = len(self.advance(0))
        self.widest = max(rows[0].size, self.output_size)
        self.reset()
        if any(isinstance(layer, Recurrent) and not is_ours(layer.cell) for layer in layers):
            self._compare(model)

    def __call__(self, token: int) -> Array:
        """Logits after `token`."""
        if not self.in_use.acquire(blocking=False):
            raise NumpyrnnError(BUSY)
        try:
            if current_thread() is not self._owner:
                raise NumpyrnnError(BUSY)
            if not 0 <= token < self.input_size:
                raise NumpyrnnError(f"token must be an id from 0 to {self.input_size - 1}, got {token!r:.40}")
            return self.advance(token).copy()  # the next step overwrites its result
        finally:
            self.in_use.release()

    def reset(self) -> None:
        """Return to the zero state; from now on the stepper serves this thread."""
        self.begin()
        self.in_use.release()

    def begin(self) -> None:
        """Reset, and refuse all calls until `in_use` is released; meanwhile only `advance` works."""
        if not self.in_use.acquire(blocking=False):
            raise NumpyrnnError(BUSY)
        self._owner = current_thread()  # not its number, which a later one may get
        for array in self._states:
            array[...] = 0

    def __reduce__(self) -> Any:
        raise NumpyrnnError("a Stepper cannot be copied, since two would share a state: make another of the model")

    def _compare(self, model: Sequential) -> None:
        """Raise unless the logits are those of the model: a cell's `step` may read a state that it has overwritten."""
        ids = np.arange(3) % self.input_size
        for token in ids.tolist():
            logits = self.advance(token)
        if not np.allclose(logits, model(ids[:, None])[-1, 0], rtol=1e-3, atol=1e-4):
            raise NumpyrnnError(f"a cell's step must read a state before it writes the new one, got {model!r:.200}")
        self.reset()

    def _step(self, layer: Layer, above: Layer | None) -> Callable[[Array], Array]:
        """Make a function from x Wx + b of this layer to that of the layer above, or to h if there is none."""
        Wh, H = _weights(layer)[1], layer.features_out(0)
        n, nothing = Wh.shape[1], np.zeros(0, self.dtype)
        Wx, _, b, form = _weights(above) if above else (nothing.reshape(H, 0), None, nothing, (0,))
        W = aligned(np.vstack([np.hstack([Wh, Wx]), np.append(np.zeros(n, self.dtype), b)]))  # multiplies [h; 1]
        h_1, product = np.ones(H + 1, self.dtype), np.zeros(W.shape[1], self.dtype)
        h, result = h_1[:H], product[n : n + b.size].reshape(form) if above else h_1[:H]
        self._states += [h, product]
        gemv, W_T = self._gemv, W.T  # BLAS reads columns first
        cell_step: Callable[[Array, Any], Any] = np.positive  # a Dense layer copies x W + b into h
        views: Any = h
        if isinstance(layer, Recurrent):
            compiled_step = getattr(layer.running_cell(), "one_step", None)
            if compiled_step:
                memory = np.zeros(H if len(layer.cell.state_sizes(H)) > 1 else 0, self.dtype)
                self._states.append(memory)

                def fast_step(x: Array) -> Array:
                    compiled_step(x, h_1, memory, W, product)
                    return result

                return fast_step
            cell = layer.cell(layer.by_gate(layer.copy().params), 1, 1, _one_place)
            cell.hWh = product[:n].reshape(cell.hWh.shape)
            cell.states = as_strided(h, (2, 1, H), (0, 0, h.itemsize)), *cell.states[1:]
            self._states += [state[0] for state in cell.states]
            cell_step, views = cell.step, tuple(view[..., 0, :] for view in cell.at(0, 1))

        def step(x: Array) -> Array:
            cell_step(x, views)
            gemv(1.0, W_T, h_1, 0.0, product, OFFX, INCX, OFFY, INCY, AS_IS, IN_PLACE)
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
    layers = model.layers
    while layers and type(layers[0]) in (Embedding, *PASSING):
        layers = layers[1:]
    above = dropwhile(lambda layer: type(layer) is not LastStep, model.layers)  # these see only the last step of a pass
    has_steps = all(map(_has_step, layers)) and all(type(layer) in (Dense, *PASSING) for layer in above)
    return bool(layers) and has_steps and _as_it_is(model, Sequential) and model.dtype.kind == "f"


def _has_step(layer: Layer) -> bool:
    """Whether a layer applies the same function to one step after the other."""
    if isinstance(layer, Recurrent):
        return _as_it_is(layer, Recurrent) and layer.cell.forward is Cell.forward
    return type(layer) in (Dense, *PASSING)


def _as_it_is(layer: Layer, kind: type[Layer]) -> bool:
    """Whether a layer uses the passes of `kind`, not those of a subclass."""
    return type(layer).run is kind.run and type(layer).forward is kind.forward


def _in_turn(rows: list[Array], steps: list[Callable[[Array], Array]]) -> Callable[[int], Array]:
    """Make a function from an id to the result of the last step; a single step needs no loop."""
    if len(steps) == 1:
        (step,) = steps
        return lambda token: step(rows[token])

    def advance(token: int) -> Array:
        x = rows[token]
        for step in steps:
            x = step(x)
        return x

    return advance


def _one_place(shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros whose time axis (the last but two) has stride 0: all steps share the same memory."""
    array = np.zeros((*shape[:-3], 1, *shape[-2:]), dtype)
    return as_strided(array, shape, (*array.strides[:-3], 0, *array.strides[-2:]))


def _weights(layer: Layer) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Wx, Wh and b with the gates side by side, and the shape of x Wx + b that the layer's step takes."""
    if not isinstance(layer, Recurrent):
        W, b = layer.params.values()
        return W, np.zeros((len(b), 0), b.dtype), b, b.shape
    p, cell = layer.by_gate(layer.params), layer.running_cell()
    is_compiled = getattr(cell, "one_step", None) is not None
    cell = cell if is_compiled else layer.cell
    scale = np.broadcast_to(np.array(cell.scale, layer.dtype), len(p["b"]))[:, None]
    Wx, Wh = (np.hstack(list(W * scale[: len(W), :, None])) for W in (p["Wx"], p["Wh"]))
    b = p["b"] * scale
    return Wx, Wh, b.ravel(), (b.size,) if is_compiled else b.shape
