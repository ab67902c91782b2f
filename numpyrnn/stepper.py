"""Generation of one sequence, a step at a time, with as few calls as possible.

With one sequence and a few dozen units a NumPy call costs as much as its arithmetic. So all views are made once, every
layer makes one product a step, and SciPy's `gemv` writes it in place.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import dropwhile
from threading import Lock, get_ident
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

PASSING = (Dropout, LastStep)  # layers that leave a single step as it is


class Stepper:
    """A model that takes one id and gives one row of logits, with its state kept between the calls.

    Each layer makes one product: [h; 1] times [its own Wh, the next layer's Wx; the next layer's b] gives what its next
    step and the layer above need of h. What the first layer needs of an id is a row of a table, made beforehand.

    A stepper serves the thread that made it, or last called `reset`; a call from another one is an error.

    Parameters
    ----------
    model : Sequential of recurrent, Embedding, Dense and (doing nothing here) Dropout and LastStep layers
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
        layers = [layer for layer in model.layers if type(layer) not in PASSING]
        table = np.eye(model.input_size, dtype=model.dtype)  # what each id stands for
        while isinstance(layers[0], Embedding):
            table = table @ layers.pop(0).params["W"]
        self.input_size, self.dtype, self.in_use = model.input_size, model.dtype, Lock()
        (self._gemv,) = blas(model.dtype, "gemv")
        Wx, _, b, form = _weights(layers[0])
        rows = list((table @ Wx + b).reshape(-1, *form))
        self._states: list[Array] = []
        steps = [self._step(layer, above) for layer, above in zip(layers, [*layers[1:], None], strict=True)]
        if isinstance(layers[-1], Dense):
            steps.pop()  # its x W + b is the result
        self.advance = _in_turn(rows, steps)  # what a call does, without looking which thread it comes from
        self.output_size = len(self.advance(0))
        self.widest = max(rows[0].size, self.output_size)
        self.reset()
        if any(isinstance(layer, Recurrent) and not is_ours(layer.cell) for layer in layers):
            self._compare(model)

    def __call__(self, token: int) -> Array:
        """Logits after `token`; the array is overwritten by the next call."""
        self._check_free()
        if get_ident() != self._owner:
            raise NumpyrnnError("a Stepper must be used by one thread, the one that made or last reset it")
        if not 0 <= token < self.input_size:
            raise NumpyrnnError(f"token must be an id from 0 to {self.input_size - 1}, got {token!r:.40}")
        return self.advance(token)

    def reset(self) -> None:
        """Go back to the zero state; from now on the stepper serves this thread."""
        self._check_free()
        self.forget()

    def forget(self) -> None:
        """What `reset` does, also while a sequence is written."""
        self._owner = get_ident()
        for array in self._states:
            array[...] = 0

    def _check_free(self) -> None:
        if self.in_use.locked():
            raise NumpyrnnError("a Stepper writes one sequence at a time, and this one is at one: make another")

    def _compare(self, model: Sequential) -> None:
        """Raise if the steps are not the model's: a cell's `step` may read a state that it has written already."""
        ids = np.arange(3) % self.input_size
        for token in ids.tolist():
            logits = self.advance(token)
        if not np.allclose(logits, model(ids[:, None])[-1, 0], rtol=1e-3, atol=1e-4):
            raise NumpyrnnError(f"a cell's step must read a state before it writes the new one, got {model!r:.200}")
        self.reset()

    def _step(self, layer: Layer, above: Layer | None) -> Callable[[Array], Array]:
        """From the layer's x Wx + b to that of the layer above; without one, to h."""
        Wh, H = _weights(layer)[1], layer.features_out(0)
        n, nothing = Wh.shape[1], np.zeros(0, self.dtype)
        Wx, _, b, form = _weights(above) if above else (nothing.reshape(H, 0), None, nothing, (0,))
        W = aligned(np.vstack([np.hstack([Wh, Wx]), np.append(np.zeros(n, self.dtype), b)]))  # of [h; 1]
        h_1, product = np.ones(H + 1, self.dtype), np.zeros(W.shape[1], self.dtype)
        h, result = h_1[:H], product[n : n + b.size].reshape(form) if above else h_1[:H]
        self._states += [h, product]
        gemv, W_T = self._gemv, W.T  # BLAS reads columns first
        if not isinstance(layer, Recurrent):

            def affine(x: Array) -> Array:
                h[...] = x
                gemv(1.0, W_T, h_1, 0.0, product, OFFX, INCX, OFFY, INCY, AS_IS, IN_PLACE)
                return result

            return affine
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
        views, cell_step = tuple(view[..., 0, :] for view in cell.at(0, 1)), cell.step

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
    above = dropwhile(lambda layer: type(layer) is not LastStep, model.layers)
    if not all(type(layer) in (Dense, *PASSING) for layer in above):  # what recurs there sees one step of a pass
        return False
    rest = dropwhile(lambda layer: type(layer) is Embedding, (one for one in model.layers if type(one) not in PASSING))
    layers, as_it_is = list(rest), type(model).run is Sequential.run and type(model).forward is Layer.forward
    return as_it_is and bool(layers) and all(map(_has_step, layers)) and model.dtype.kind == "f"


def _has_step(layer: Layer) -> bool:
    """Whether a layer's own step is all that it does: it runs its cell as it is, and the cell its `step`."""
    if not isinstance(layer, Recurrent):
        return type(layer) is Dense
    as_it_is = type(layer).run is Recurrent.run and type(layer).forward is Layer.forward
    return as_it_is and layer.cell.forward is Cell.forward


def _in_turn(rows: list[Array], steps: list[Callable[[Array], Array]]) -> Callable[[int], Array]:
    """From an id to what the last step gives; one step needs no loop."""
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
    """Zeros with a time axis (the last but two) of stride 0: all steps share one place, a state replaces the last."""
    array = np.zeros((*shape[:-3], 1, *shape[-2:]), dtype)
    return as_strided(array, shape, (*array.strides[:-3], 0, *array.strides[-2:]))


def _weights(layer: Layer) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Wx, Wh and b with the gates side by side, and the shape in which the layer takes x Wx + b."""
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
