"""Models: layers one after the other, and what makes them again from their description."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import Array, NumpyrnnError, check_count
from .convolution import CausalConv1D, GatedBlock, GatedStack
from .layer import Back, Container, Grads, Layer, Lengths, Pass, Rng, Seed, check_cache, check_grads
from .layers import Dense, Dropout, Embedding, ReLU
from .pooling import GlobalMaxPool1D, LastStep, MaxPool1D
from .recurrent import GRU, LSTM, RNN, Recurrent
from .threads import threads_for


class Sequential(Container):
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
        if not layers or not all(isinstance(layer, Layer) for layer in layers):
            raise NumpyrnnError(f"Sequential needs one or more layers, got {layers!r}")
        if len({id(layer) for layer in layers}) < len(layers):
            raise NumpyrnnError("Sequential needs different layers, got one of them twice")
        below, features = layers[0], 0
        for layer in layers:
            if features and getattr(layer, "input_size", features) != features:
                raise NumpyrnnError(f"{layer!r} must take what {below!r} gives: {features} features")
            given = layer.features_out(features)
            below, features = (layer, given) if given != features else (below, features)
        self._hold(list(layers))
        sized = [layer.input_size for layer in layers if hasattr(layer, "input_size")]
        if sized:
            self.input_size: int = sized[0]  # features, or ids
        self.stepwise = all(layer.stepwise for layer in layers)

    def lengths_out(self, lengths: Array) -> Array:
        """Through all layers in turn."""
        for layer in self.layers:
            lengths = layer.lengths_out(lengths)
        return lengths

    def features_out(self, features: int) -> int:
        """Through all layers in turn."""
        for layer in self.layers:
            features = layer.features_out(features)
        return features

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Through all layers in turn; see `numpyrnn.layer`."""
        states, caches, size = [], [], self._size(x)
        rng = None if rng is None else np.random.default_rng(rng)  # an int is a seed
        with threads_for(*size):
            for layer, layer_state in zip(self.layers, self._check_states("state", state), strict=True):
                x, layer_state, layer_cache = layer.forward(x, layer_state, lengths, rng, cache)
                lengths = None if lengths is None else layer.lengths_out(np.asarray(lengths))
                states.append(layer_state)
                caches.append(layer_cache)
        return x, tuple(states), (caches, size) if cache else None

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Back through all layers, last first; see `numpyrnn.layer`."""
        caches, size = check_cache(cache)
        grads = check_grads(grads, self.params)
        dx: Array | None = dy
        dstates: list[Any] = list(self._check_states("dstate", dstate))
        parts = self._grads_by_layer(grads)
        with threads_for(*size):
            for i in reversed(range(len(self.layers))):
                dx, dstates[i], _ = self.layers[i].backward(dx, caches[i], dstates[i], parts[i])  # type: ignore[arg-type]
        return dx, tuple(dstates), grads

    def _size(self, x: Array) -> tuple[float, int]:
        """Operations of a forward pass, and how many sequences recurrent layers could share out."""
        T, N = x.shape[:2] if isinstance(x, np.ndarray) and x.ndim > 1 else (1, 1)  # what is none is an error later on
        recurrent = any(isinstance(layer, Recurrent) for layer in self.layers)
        return 2.0 * self.params.flat.size * T * N, N if recurrent else 0

    def copy(self, dtype: Any = None) -> Any:
        """A model of its own with the same parameters, in another `dtype` if one is given."""
        return Sequential([layer.copy(dtype) for layer in self.layers])

    def config(self) -> dict[str, Any]:
        """What `from_config` needs; JSON can hold it."""
        return {"layer": "Sequential", "layers": [layer.config() for layer in self.layers]}

    def summary(self, steps: int | None = None) -> str:
        """A table of the layers: what comes out of each, and how many parameters it has.

        Parameters
        ----------
        steps : int, optional
            T; default: the letter. N is any number of sequences.

        Returns
        -------
        str, to print

        Examples
        --------
        >>> print(Sequential(Embedding(27, 16, rng=0), Dense(16, 27, rng=1)).summary())
        layer                                     output            parameters
        Embedding(input_size=27, output_size=16)  (T, N, 16)               432
        Dense(input_size=16, output_size=27)      (T, N, 27)               459
        all                                                                891
        """
        T = MANY if steps is None else steps
        check_count("steps", T, 1)
        rows, length, features = [], np.array(T), getattr(self, "input_size", 0)
        for layer in self.layers:
            length, features = layer.lengths_out(length), layer.features_out(features)
            left = int(length)
            if left == 0:
                raise NumpyrnnError(f"steps must be more: {layer!r} leaves none of {steps}")
            words = str(left) if steps or left == 1 else "T" if left == T else f"T/{round(T / left)}"
            rows.append((repr(layer), f"({words}, N, {features or 'D'})", f"{layer.params.flat.size:,}"))
        rows.append(("all", "", f"{self.params.flat.size:,}"))
        rows.insert(0, ("layer", "output", "parameters"))
        width = max(len(row[0]) for row in rows) + 2
        return "\n".join(f"{layer:{width}}{shape:16}{size:>12}" for layer, shape, size in rows)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


MANY = 1 << 40  # steps, for which the shares of them that are left can be told

KINDS: list[type[Layer]] = [RNN, LSTM, GRU, Dense, Embedding, Dropout, ReLU, LastStep, MaxPool1D, GlobalMaxPool1D]
KINDS += [CausalConv1D, GatedBlock, GatedStack]
LAYERS = {kind.__name__: kind for kind in KINDS}


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
