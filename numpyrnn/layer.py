"""Layers: parameters, and a forward and a backward pass over whole sequences.

Every layer has the same form::

    y, state, cache = layer.forward(x, state=None, lengths=None, rng=None, cache=True)
    dx, dstate, grads = layer.backward(dy, cache, dstate=None, grads=None)

- `x` is (T, N, D) floating, or (T, N) integers, which stand for one-hot rows without building them (`dx` is then None).
- `state` goes in and comes out: `h` (N, H), for the LSTM `(h, c)`, for a `Sequential` a tuple with one entry a layer.
  None is zeros. Layers without a state give and take None.
- `lengths` (N,) says how many steps of each sequence are real. What lies after them changes nothing: `y` is zero there,
  `dy` is ignored, and the state that comes out is the one after the last real step. Where `y` has fewer steps than `x`
  (pooling, `LastStep`), `layer.lengths_out(lengths)` says how many of them are real.
- `rng` (a numpy Generator, or an int seed) switches dropout on; None is evaluation.
- `cache=False` keeps nothing for `backward`: the lean pass for generation and evaluation.
- `grads` has the names of `layer.params`; it is overwritten where given, else new. No argument is ever written to.
- A malformed argument raises `NumpyrnnError`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator

from .checks import (
    Array,
    NumpyrnnError,
    as_array,
    check_count,
    check_finite,
    check_ids,
    check_shape,
    is_integer,
    to_array,
)
from .parameters import Parameters

Seed = Generator | int | None
Rng = Generator | None
Lengths = Array | None
Grads = dict[str, Array]  # a Parameters, or a plain dict of its names
Pass = tuple[Array, Any, Any]  # y, state, cache
Back = tuple[Array | None, Any, Any]  # dx, dstate, grads


class Layer:
    """What all layers share. A layer's attributes are its sizes and `params`; nothing of a pass is kept in it."""

    params: Parameters
    sizes: ClassVar[tuple[str, ...]] = ()  # the attributes that, as keyword arguments, make the layer again
    stepwise: bool = True  # whether a sequence may be read in pieces, with the state carried

    def __init__(self, *, dtype: Any = np.float32, rng: Seed = None, **sizes: Any):
        raise NotImplementedError

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """See the module's docstring."""
        raise NotImplementedError

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """See the module's docstring."""
        raise NotImplementedError

    def lengths_out(self, lengths: Array) -> Array:
        """How many steps of `y` are real where so many of `x` are."""
        return lengths

    def features_out(self, features: int) -> int:
        """How many features `y` has where `x` has so many."""
        for name in ("hidden_size", "output_size"):
            features = getattr(self, name, features)
        return features

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters."""
        return self.params.flat.dtype

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to make a layer of the same kind and sizes; JSON can hold it."""
        values = {name: getattr(self, name) for name in self.sizes}
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        return {"layer": type(self).__name__, **values, **lists}

    def copy(self, dtype: Any = None) -> Any:
        """A layer of its own with the same parameters, in another `dtype` if one is given."""
        twin = type(self)(**{name: getattr(self, name) for name in self.sizes}, dtype=dtype or self.dtype, rng=0)
        twin.params.flat[...] = self.params.flat
        return twin

    def move(self, params: Parameters) -> None:
        """Take `params`, filled with the present values, as the place where the parameters are."""
        params.flat[...] = self.params.flat
        self.params = params

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self.sizes)})"


class Container(Layer):
    """A layer made of layers, whose parameters move into one flat buffer.

    `container.params["0.Wx"]` and `container.layers[0].params["Wx"]` are one array. The state is a tuple with one entry
    a layer (None for a layer without).
    """

    layers: list[Layer]

    def _hold(self, layers: list[Layer]) -> None:
        """Take the layers, and their parameters into one buffer."""
        dtypes = {layer.dtype for layer in layers if layer.params}
        if len(dtypes) > 1:
            raise NumpyrnnError(
                f"{type(self).__name__} needs layers of one dtype, got {', '.join(sorted(map(str, dtypes)))}"
            )
        self.layers = layers
        shapes = {f"{i}.{k}": shape for i, layer in enumerate(layers) for k, shape in layer.params.shapes.items()}
        self.params = Parameters(shapes, dtypes.pop() if dtypes else np.float32)
        for layer, part in zip(layers, self._split(self.params), strict=True):
            layer.move(part)

    def move(self, params: Parameters) -> None:
        """Take `params` as the place of the parameters, and give each layer its part."""
        super().move(params)
        for layer, part in zip(self.layers, self._split(params), strict=True):
            layer.move(part)

    def _split(self, whole: Parameters) -> list[Parameters]:
        """Each layer's part of a buffer of the container's form."""
        parts, start = [], 0
        for layer in self.layers:
            stop = start + layer.params.flat.size
            parts.append(Parameters(layer.params.shapes, flat=whole.flat[start:stop]))
            start = stop
        return parts

    def _grads_by_layer(self, grads: Grads) -> list[Grads]:
        return [{name: grads[f"{i}.{name}"] for name in layer.params} for i, layer in enumerate(self.layers)]

    def _check_states(self, name: str, state: Any) -> Any:
        if state is None:
            return (None,) * len(self.layers)
        if not isinstance(state, tuple | list) or len(state) != len(self.layers):
            came = f"{len(state)} entries" if isinstance(state, tuple | list) else type(state).__name__
            raise NumpyrnnError(f"{name} must be a tuple of {len(self.layers)} (one entry a layer), got {came}")
        return state


def glorot(rng: Generator, fan_in: int, fan_out: int, shape: tuple[int, ...] | None = None) -> Array:
    """Glorot and Bengio (2010): uniform within +-sqrt(6 / (fan_in + fan_out)); by default (fan_in, fan_out)."""
    limit = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, shape or (fan_in, fan_out))


def orthogonal(rng: Generator, size: int) -> Array:
    """A random orthogonal matrix (Saxe et al. 2014), (size, size)."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return np.asarray(q * np.sign(np.diag(r)))


def keep_mask(rng: Generator, shape: tuple[int, ...], rate: float, dtype: np.dtype[Any]) -> Array:
    """Zero with probability `rate`, else 1 / (1 - rate): inverted dropout, whose mean is one."""
    return np.multiply(rng.random(shape, np.float32) >= rate, 1 / (1 - rate), dtype=dtype)  # faster than np.where


def check_input(x: Array, features: int, dtype: np.dtype[Any], lengths: Array | None) -> Array:
    """`x` as the layers take it: (T, N) ids below `features`, or (T, N, features) of `dtype`, finite; padding set to 0.

    Raises
    ------
    NumpyrnnError
        with what was expected and what came
    """
    if not isinstance(x, np.ndarray):
        x = to_array("x", x)
    ids = is_integer(x) and x.ndim == 2
    if not ids:
        x = as_array("x", x, dtype)
        check_shape("x", x, ("T", "N", features))
    if 0 in x.shape:
        raise NumpyrnnError(f"x must have at least one step, one sequence and one feature, got shape {x.shape}")
    real = real_steps(lengths, *x.shape[:2])
    if real is not None:
        x = np.where(real if ids else real[..., None], x, np.zeros((), x.dtype))
    if ids:
        check_ids("x", x, features)
        return x.astype(np.intp, copy=False)
    check_finite("x", x)
    return x


def check_features(layer: Layer, x: Array, lengths: Array | None) -> Array:
    """`x` as a layer without sizes takes it: (T, N, D) floating of any D and its own dtype; padding set to 0."""
    x = to_array("x", x)
    if x.dtype.kind not in "fc" or x.ndim != 3:
        raise NumpyrnnError(f"x of {layer!r} must be floating (T, N, D), got {x.dtype} of shape {x.shape}")
    return check_input(x, x.shape[-1], x.dtype, lengths)


def falling(lengths: Array) -> Array:
    """The order that sorts `lengths` from the longest to the shortest; equal ones keep theirs."""
    return np.argsort(-lengths, kind="stable")


def leaves(state: Any) -> list[Array]:
    """The arrays that a state is made of, in order."""
    if isinstance(state, tuple | list):
        return [leaf for part in state for leaf in leaves(part)]
    return [] if state is None else [state]


def check_lengths(lengths: Any, T: int, N: int) -> Array | None:
    """`lengths` as an array, or an error if they are not N integers from 0 to T."""
    if lengths is None:
        return None
    lengths = np.asarray(lengths)
    check_shape("lengths", lengths, (N,))
    if not is_integer(lengths) or lengths.min() < 0 or lengths.max() > T:
        raise NumpyrnnError(f"lengths must be integers from 0 to T = {T}, got {lengths!r:.80}")
    return np.asarray(lengths.astype(np.intp))


def real_steps(lengths: Any, T: int, N: int) -> Array | None:
    """Which steps are real, (T, N) boolean; None if all are."""
    lengths = check_lengths(lengths, T, N)
    return None if lengths is None else np.asarray(np.arange(T)[:, None] < lengths)


def masked(array: Array, real: Array | None) -> Array:
    """(T, N, D) with zeros, whatever was there, where a step is not real; not copied where all are."""
    return array if real is None else np.where(real[..., None], array, np.zeros((), array.dtype))


def real_rows(x: Array, lengths: Any) -> tuple[Array, Array | None]:
    """The real steps of all sequences as rows, and where they were (None: everywhere)."""
    real = real_steps(lengths, *x.shape[:2])
    return (x.reshape(-1, *x.shape[2:]) if real is None else x[real]), real


def from_rows(rows: Array, shape: tuple[int, ...], real: Array | None) -> Array:
    """Undo `real_rows`, with zeros where padding was."""
    if real is None:
        return rows.reshape(*shape, -1)
    y = np.zeros((*shape, rows.shape[-1]), rows.dtype)
    y[real] = rows
    return y


def check_cache(cache: Any) -> Any:
    """Return the cache, or raise an error if the forward pass kept none."""
    if cache is None:
        raise NumpyrnnError("backward needs the cache of forward(..., cache=True), got None")
    return cache


def check_grads(grads: Grads | None, params: Parameters) -> Grads:
    """Where gradients go: `grads` if it fits `params` (else an error), new zeros if it is None."""
    if grads is None:
        return params.zeros_like()
    if not isinstance(grads, dict) or grads.keys() != params.keys():
        came = ", ".join(grads) if isinstance(grads, dict) else type(grads).__name__
        raise NumpyrnnError(f"grads must have the names {', '.join(params)}, got {came}")
    for name, array in params.items():
        check_shape(f"grads[{name!r}]", grads[name], array.shape)
    return grads


def check_no_state(layer: Layer, state: Any) -> None:
    """Raise if a layer without a state is given one."""
    if state is not None:
        raise NumpyrnnError(f"{layer!r} has no state: it must be None, got {type(state).__name__}")


def as_size(name: str, value: int) -> int:
    """Return a size as an int, or raise if it is not a whole number of at least 1."""
    check_count(name, value, 1)
    return int(value)


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the dtype of a layer, or raise if it is none of the three."""
    try:
        chosen: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)
    except TypeError:
        chosen = None
    if chosen is None or chosen not in (np.float32, np.float64, np.complex128):
        raise NumpyrnnError(f"dtype must be float32 or float64 (or complex128, for gradient checks), got {dtype!r}")
    return chosen
