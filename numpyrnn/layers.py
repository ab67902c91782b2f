"""The layers without a recurrence, and `Sequential`, which makes a model of layers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from . import kernels
from .checks import Array, NumpyrnnError, as_array, check_shape, check_share, is_integer
from .layer import (
    Back,
    Grads,
    Layer,
    Lengths,
    Pass,
    Rng,
    Seed,
    as_size,
    check_cache,
    check_grads,
    check_input,
    check_no_state,
    float_dtype,
    from_rows,
    glorot,
    keep_mask,
    real_rows,
    real_steps,
)
from .parameters import Parameters
from .recurrent import GRU, LSTM, RNN


class Dense(Layer):
    """The same affine map at every step: y_t = x_t W + b.

    Parameters
    ----------
    input_size, output_size : int, D and V
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights (Glorot uniform; the bias starts at zero)

    Attributes
    ----------
    params : W (D, V), b (V,)
    """

    sizes = ("input_size", "output_size")

    def __init__(self, input_size: int, output_size: int, dtype: Any = np.float32, rng: Seed = None):
        self.input_size, self.output_size = as_size("input_size", input_size), as_size("output_size", output_size)
        shapes = {"W": (self.input_size, self.output_size), "b": (self.output_size,)}
        self.params = Parameters(shapes, float_dtype(dtype))
        self.params["W"] = glorot(np.random.default_rng(rng), self.input_size, self.output_size)

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Map every real step; see `numpyrnn.layer`."""
        check_no_state(self, state)
        x = check_input(x, self.input_size, self.dtype, lengths)
        rows, real = real_rows(x, lengths)
        W, b = self.params["W"], self.params["b"]
        y = W[rows] if is_integer(x) else rows @ W
        y += b
        return from_rows(y, x.shape[:2], real), None, (rows, real, x.shape) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Gradients of x, W and b; see `numpyrnn.layer`."""
        rows, real, x_shape = check_cache(cache)
        check_no_state(self, dstate)
        dy = as_array("dy", dy, self.dtype)
        check_shape("dy", dy, (*x_shape[:2], self.output_size))
        dy_rows = dy.reshape(-1, self.output_size) if real is None else dy[real]
        grads = check_grads(grads, self.params)
        grads["b"][...] = kernels.column_sums(dy_rows)
        if is_integer(rows):
            grads["W"][...] = kernels.sum_rows_by_id(rows, dy_rows, self.input_size)
            return None, None, grads
        np.matmul(rows.T, dy_rows, out=grads["W"])
        return from_rows(dy_rows @ self.params["W"].T, x_shape[:2], real), None, grads


class Embedding(Layer):
    """A row of W for every id: y_t = W[x_t].

    Parameters
    ----------
    input_size, output_size : int, V ids and D features
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights (standard normal)

    Attributes
    ----------
    params : W (V, D)
    """

    sizes = ("input_size", "output_size")

    def __init__(self, input_size: int, output_size: int, dtype: Any = np.float32, rng: Seed = None):
        self.input_size, self.output_size = as_size("input_size", input_size), as_size("output_size", output_size)
        self.params = Parameters({"W": (self.input_size, self.output_size)}, float_dtype(dtype))
        self.params["W"] = np.random.default_rng(rng).standard_normal((self.input_size, self.output_size))

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Look up every real step; see `numpyrnn.layer`."""
        check_no_state(self, state)
        x = np.asarray(x)
        if not is_integer(x):
            raise NumpyrnnError(f"x of {self!r} must be integer ids of shape (T, N), got dtype {x.dtype}")
        x = check_input(x, self.input_size, self.dtype, lengths)
        rows, real = real_rows(x, lengths)
        y = self.params["W"][rows]
        return from_rows(y, x.shape, real), None, (rows, real, x.shape) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Gradient of W; see `numpyrnn.layer`."""
        rows, real, x_shape = check_cache(cache)
        check_no_state(self, dstate)
        dy = as_array("dy", dy, self.dtype)
        check_shape("dy", dy, (*x_shape, self.output_size))
        grads = check_grads(grads, self.params)
        dy_rows = dy.reshape(-1, self.output_size) if real is None else dy[real]
        grads["W"][...] = kernels.sum_rows_by_id(rows, dy_rows, self.input_size)
        return None, None, grads


class Dropout(Layer):
    """Inverted dropout (Srivastava et al. 2014): zero values with probability `rate`, scale the rest up.

    It acts only where `forward` is given an `rng`; without one it passes `x` on.

    Parameters
    ----------
    rate : float, 0 <= rate < 1
    shared : None (default), "time" or "features"
        What shares one draw. None: every value has its own. "time": one mask for all steps of a sequence (Gal and
        Ghahramani 2016). "features": a step is dropped whole (after an embedding: the whole token).
    dtype, rng : taken and not used, like the other layers'
    """

    sizes = ("rate", "shared")

    def __init__(self, rate: float, shared: str | None = None, dtype: Any = np.float32, rng: Seed = None):
        check_share("rate", rate)
        if shared not in (None, "time", "features"):
            raise NumpyrnnError(f"shared must be None, 'time' or 'features', got {shared!r}")
        self.rate, self.shared = float(rate), shared
        self.params = Parameters({}, float_dtype(dtype))

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Drop, if there is an `rng`; see `numpyrnn.layer`."""
        check_no_state(self, state)
        x = np.asarray(x)
        rng = None if rng is None else np.random.default_rng(rng)
        if x.dtype.kind not in "fc" or x.ndim != 3:
            raise NumpyrnnError(f"x of {self!r} must be floating (T, N, D), got {x.dtype} of shape {x.shape}")
        x = check_input(x, x.shape[-1], x.dtype, lengths)
        keep, y = None, x
        if rng is not None and self.rate > 0:
            T, N, D = x.shape
            shape = (1 if self.shared == "time" else T, N, 1 if self.shared == "features" else D)
            keep = keep_mask(rng, shape, self.rate, x.dtype)
            y = x * keep
        real = real_steps(lengths, *x.shape[:2])
        if real is not None:
            y = np.where(real[..., None], y, 0)
        return y, None, (keep, real, x.shape) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Let the gradient through where the values went; see `numpyrnn.layer`."""
        keep, real, x_shape = check_cache(cache)
        check_no_state(self, dstate)
        dy = np.asarray(dy)
        check_shape("dy", dy, x_shape)
        dx = dy if real is None else np.where(real[..., None], dy, np.zeros((), dy.dtype))
        return dx if keep is None else dx * keep, None, check_grads(grads, self.params)


class Sequential(Layer):
    """Layers one after the other, with all parameters in one flat buffer.

    The layers' parameters move into the model's buffer: `model.params["0.Wx"]` and `model.layers[0].params["Wx"]` are
    one array. The state is a tuple with one entry a layer (None for a layer without).

    Parameters
    ----------
    *layers : layers, or one list of them
        Each may stand in one model, once.

    Attributes
    ----------
    layers : list
    params : names are the layer's number, a dot, and the layer's own name

    Examples
    --------
    >>> model = Sequential(LSTM(27, 64, rng=0), Dropout(0.3), Dense(64, 27, rng=1))
    >>> logits, state, cache = model.forward(np.zeros((5, 2), int))
    >>> logits.shape
    (5, 2, 27)
    """

    def __init__(self, *layers: Any):
        if len(layers) == 1 and isinstance(layers[0], list | tuple):
            layers = tuple(layers[0])
        self.layers: list[Layer] = list(layers)
        if not self.layers or not all(isinstance(layer, Layer) for layer in self.layers):
            raise NumpyrnnError(f"Sequential needs one or more layers, got {layers!r}")
        if len({id(layer) for layer in self.layers}) < len(self.layers):
            raise NumpyrnnError("Sequential needs different layers, got one of them twice")
        sized = [layer for layer in self.layers if hasattr(layer, "input_size")]
        for below, above in pairwise(sized):
            given = getattr(below, "hidden_size", None) or getattr(below, "output_size", above.input_size)
            if given != above.input_size:
                raise NumpyrnnError(f"{above!r} must take what {below!r} gives: {given} features")
        dtypes = {layer.dtype for layer in self.layers if layer.params}
        if len(dtypes) > 1:
            raise NumpyrnnError(f"Sequential needs layers of one dtype, got {', '.join(sorted(map(str, dtypes)))}")
        shapes = {f"{i}.{k}": shape for i, la in enumerate(self.layers) for k, shape in la.params.shapes.items()}
        self.params = Parameters(shapes, dtypes.pop() if dtypes else np.float32)
        for layer, part in zip(self.layers, self._split(self.params), strict=True):
            layer.move(part)

    def move(self, params: Parameters) -> None:
        """Take `params` as the place of the parameters, and give each layer its part."""
        super().move(params)
        for layer, part in zip(self.layers, self._split(params), strict=True):
            layer.move(part)

    @property
    def input_size(self) -> int:
        """Features (or ids) of the first layer that says how many it takes."""
        return next((layer.input_size for layer in self.layers if hasattr(layer, "input_size")), 1)

    def _split(self, whole: Parameters) -> list[Parameters]:
        """Each layer's part of a buffer of the model's form."""
        parts, start = [], 0
        for layer in self.layers:
            stop = start + layer.params.flat.size
            parts.append(Parameters(layer.params.shapes, flat=whole.flat[start:stop]))
            start = stop
        return parts

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Through all layers in turn; see `numpyrnn.layer`."""
        states, caches = [], []
        rng = None if rng is None else np.random.default_rng(rng)  # an int is a seed
        for layer, layer_state in zip(self.layers, self._check_states("state", state), strict=True):
            x, layer_state, layer_cache = layer.forward(x, layer_state, lengths, rng, cache)
            states.append(layer_state)
            caches.append(layer_cache)
        return x, tuple(states), caches if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Back through all layers, last first; see `numpyrnn.layer`."""
        caches = check_cache(cache)
        grads = check_grads(grads, self.params)
        dx: Array | None = dy
        dstates: list[Any] = list(self._check_states("dstate", dstate))
        parts = [{name: grads[f"{i}.{name}"] for name in layer.params} for i, layer in enumerate(self.layers)]
        for i in reversed(range(len(self.layers))):
            dx, dstates[i], _ = self.layers[i].backward(dx, caches[i], dstates[i], parts[i])  # type: ignore[arg-type]
        return dx, tuple(dstates), grads

    def _check_states(self, name: str, state: Any) -> Any:
        if state is None:
            return (None,) * len(self.layers)
        if not isinstance(state, tuple | list) or len(state) != len(self.layers):
            raise NumpyrnnError(f"{name} must be a tuple of {len(self.layers)} (one entry a layer), got {state!r:.80}")
        return state

    def copy(self, dtype: Any = None) -> Any:
        """A model of its own with the same parameters, in another `dtype` if one is given."""
        return Sequential([layer.copy(dtype) for layer in self.layers])

    def config(self) -> dict[str, Any]:
        """What `from_config` needs; JSON can hold it."""
        return {"layer": "Sequential", "layers": [layer.config() for layer in self.layers]}

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


__all__ = ["GRU", "LSTM", "RNN", "Dense", "Dropout", "Embedding", "Sequential", "from_config"]

LAYERS: dict[str, type[Layer]] = {kind.__name__: kind for kind in (RNN, LSTM, GRU, Dense, Embedding, Dropout)}


def from_config(config: dict[str, Any], dtype: Any = np.float32, rng: Seed = 0) -> Layer:
    """Make the layer that `layer.config()` describes, with fresh parameters.

    Parameters
    ----------
    config : dict, as `layer.config()` gives it
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights

    Raises
    ------
    NumpyrnnError
        if the description is not one of a known layer
    """
    rng = np.random.default_rng(rng)
    try:
        if config["layer"] == "Sequential":
            return Sequential([from_config(layer, dtype, rng) for layer in config["layers"]])
        arguments = {name: value for name, value in config.items() if name != "layer"}
        return LAYERS[config["layer"]](**arguments, dtype=dtype, rng=rng)
    except (KeyError, TypeError) as error:
        raise NumpyrnnError(f"a layer is one of {', '.join(LAYERS)} with its sizes, got {config!r:.120}") from error
