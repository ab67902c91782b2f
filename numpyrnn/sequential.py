"""Models: layers one after the other. A model can be rebuilt from its description."""

from __future__ import annotations

import json
from collections.abc import Callable
from inspect import signature
from math import prod
from typing import Any

import numpy as np
from numpy.random import Generator

from .checks import Array, NumpyrnnError, as_rng, check_count
from .layer import LAYERS, Drawn, Gradients, Grads, Layer, Padding, Pass, Seed, check_parts
from .parameters import Parameters

PROBE = 1 << 20  # a number of features, to see whether a layer keeps it


class Container(Layer, abstract=True):
    """A layer made of layers, whose parameters move into one flat buffer.

    `container.params["0.Wx"]` and `container.layers[0].params["Wx"]` share memory. The state is a tuple with one entry
    per layer (None for a layer without a state).
    """

    layers: list[Layer]

    def _hold(self, layers: list[Layer]) -> None:
        """Set the layers, and move their parameters into one buffer."""
        dtypes = {layer.dtype for layer in layers if layer.params}
        if len(dtypes) > 1:
            names = ", ".join(sorted(map(str, dtypes)))
            raise NumpyrnnError(f"{type(self).__name__} needs layers of one dtype, got {names}")
        for layer in layers:
            if layer.params.is_part:
                raise NumpyrnnError(f"{layer!r} is part of a model already: give this one layer.copy()")
        self.layers = layers
        shapes = {f"{i}.{k}": shape for i, layer in enumerate(layers) for k, shape in layer.params.shapes.items()}
        self.move(Parameters(shapes, dtypes.pop() if dtypes else np.float32))

    def move(self, params: Parameters) -> None:
        """Copy all parameters into `params`; each layer then uses its part of that buffer."""
        start = 0
        for layer in self.layers:
            stop = start + layer.params.flat.size
            part = Parameters(layer.params.shapes, flat=params.flat[start:stop])
            part.is_part, start = True, stop
            layer.move(part)
        self.params = params

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "params"}  # the layers hold them

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._hold(self.layers)

    def check_input(self, x: Array) -> Array:
        """Let the first layer check `x`."""
        return self.layers[0].check_input(x)

    def check_values(self, x: Array) -> None:
        """Check nothing here: the first layer's `forward` does it."""

    def check_state(self, name: str, state: Any, N: int) -> Any:
        """Check that there is one entry per layer; each layer checks its own."""
        n = len(self.layers)
        return (None,) * n if state is None else check_parts(name, state, n, f"of {n} (one entry per layer)")

    def _grads_by_layer(self, grads: Grads) -> list[Grads]:
        return [{name: grads[f"{i}.{name}"] for name in layer.params} for i, layer in enumerate(self.layers)]


class Sequential(Container):
    """Layers one after the other, with all parameters in one flat buffer.

    The layers' parameters move into the model's buffer: `model.params["0.Wx"]` and `model[0].params["Wx"]` share
    memory. The state is a tuple with one entry per layer (None for a layer without a state).

    Parameters
    ----------
    *layers : layers, or one list of them
        A layer can be part of only one model; use `layer.copy()` for a second one.

    Attributes
    ----------
    layers : list
    params : Parameters, named by layer number and the layer's own name, such as "0.Wx"

    Raises
    ------
    NumpyrnnError
        if there is no layer, a layer is part of another model, or two layers do not fit together

    Examples
    --------
    >>> model = Sequential(LSTM(27, 64, rng=0), Dropout(0.3), Dense(64, 27, rng=1))
    >>> model(np.zeros((5, 2), int)).shape
    (5, 2, 27)
    """

    def __init__(self, *layers: Any):
        if len(layers) == 1 and isinstance(layers[0], list | tuple):
            layers = tuple(layers[0])
        if not layers or not all(isinstance(layer, Layer) for layer in layers):
            raise NumpyrnnError(f"Sequential needs one or more layers, got {layers!r}")
        if len({id(layer) for layer in layers}) < len(layers):
            raise NumpyrnnError("Sequential needs distinct layers, got one of them twice")
        below, features = layers[0], 0
        for layer in layers:
            if features and getattr(layer, "input_size", features) != features:
                raise NumpyrnnError(f"{layer!r} must take what {below!r} gives: {features} features")
            given = layer.features_out(features)
            below, features = (layer, given) if given != features else (below, features)
        self._hold(list(layers))
        sized = (x for x in layers if hasattr(x, "input_size") or x.features_out(PROBE) != PROBE)
        if hasattr(first := next(sized, layers[0]), "input_size"):  # a later layer takes other features than the model
            self.input_size = first.input_size  # features, or ids
        self.stepwise, self.group = all(layer.stepwise for layer in layers), prod(layer.group for layer in layers)

    def lengths_out(self, lengths: Array) -> Array:
        """The lengths of `y` for the lengths of `x`, by way of all layers."""
        for layer in self.layers:
            lengths = layer.lengths_out(lengths)
        return lengths

    def features_out(self, features: int) -> int:
        """The features of `y` for those of `x`, by way of all layers."""
        for layer in self.layers:
            features = layer.features_out(features)
        return features

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Drawn | None:
        """Draw the masks of all layers in turn."""
        T, N, D = (*shape, 0)[:3]
        parts = []
        for layer in self.layers:
            parts.append(layer.draw(rng, (T, N, D)))
            T, D = int(layer.lengths_out(np.array(T))), layer.features_out(D)
        return Drawn(parts=parts) if any(parts) else None

    def run(self, x: Array, state: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Run all layers in turn."""
        states, caches = [], []
        for i, layer in enumerate(self.layers):
            x, layer_state, layer_cache = layer.forward(x, state[i], padding, drawn and drawn.parts[i], cache)
            padding = padding if len(x) == padding.T else layer.padding_out(padding, len(x))
            states.append(layer_state)
            caches.append(layer_cache)
        return x, tuple(states), caches

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding) -> Gradients:
        """Run back through all layers, the last one first."""
        dx: Array | None = dy
        dstates, parts = list(dstate), self._grads_by_layer(grads)
        for i in reversed(range(len(self.layers))):
            dx, dstates[i], _ = self.layers[i].backward(dx, kept[i], dstates[i], parts[i])  # type: ignore[arg-type]
        return dx, tuple(dstates)

    def config(self) -> dict[str, Any]:
        """Describe the model for `from_config`, in values that JSON can hold."""
        return super().config() | {"layers": [layer.config() for layer in self.layers]}

    def summary(self, steps: int | None = None) -> str:
        """A table of the layers, with their output shapes and numbers of parameters.

        If the compiled back end is chosen, it also marks the recurrent layers that have no compiled form.

        Parameters
        ----------
        steps : int, optional
            The number of steps; by default the table shows the letter T.

        Returns
        -------
        str

        Raises
        ------
        NumpyrnnError
            if `steps` is below 1, or a layer leaves none of them

        Examples
        --------
        >>> print(Sequential(Embedding(27, 16, rng=0), Dense(16, 27, rng=1)).summary())
        layer                                     output            parameters
        Embedding(input_size=27, output_size=16)  (T, N, 16)               432
        Dense(input_size=16, output_size=27)      (T, N, 27)               459
        all                                                                891
        """
        length = np.array(0 if steps is None else check_count("steps", steps))
        rows, group, features = [], 1, getattr(self, "input_size", 0)
        for layer in self.layers:
            length, group, features = layer.lengths_out(length), group * layer.group, layer.features_out(features)
            if steps and not length:
                raise NumpyrnnError(f"steps must be larger: {layer!r} leaves none of {steps}")
            words = str(length) if steps else {0: "1", 1: "T"}.get(group, f"T/{group}")
            rows.append((brief(layer), f"({words}, N, {features or 'D'})", f"{layer.params.flat.size:,}", layer.note()))
        rows.append(("all", "", f"{self.params.flat.size:,}", ""))
        rows.insert(0, ("layer", "output", "parameters", ""))
        width = max(len(row[0]) for row in rows) + 2
        return "\n".join(f"{layer:{width}}{shape:16}{size:>12}{note}" for layer, shape, size, note in rows)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, i: int) -> Layer:
        return self.layers[i]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"


def brief(layer: Layer) -> str:
    """A layer as `repr` shows it, without arguments that have their defaults."""
    usual = {name: one.default for name, one in signature(type(layer)).parameters.items()}
    given = [(name, getattr(layer, name, None)) for name in layer.sizes]
    words = [f"{name}={value}" for name, value in given if name not in usual or repr(usual[name]) != repr(value)]
    return f"{type(layer).__name__}({', '.join(words)})" if type(layer).__repr__ is Layer.__repr__ else repr(layer)


class UnknownLayerError(NumpyrnnError):
    """A model has a layer whose class must be imported first."""


def from_config(config: dict[str, Any], dtype: Any = np.float32, rng: Seed = 0) -> Layer:
    """Make the layer described by `layer.config()`, with new initial parameters.

    Parameters
    ----------
    config : dict, as `layer.config()` gives it
    dtype : default float32
    rng : numpy Generator or int seed, default 0, for the initial weights

    Returns
    -------
    Layer

    Raises
    ------
    NumpyrnnError
        if the description does not fit a known layer class
    UnknownLayerError
        if its class is a user's and has not been imported
    """
    rng = as_rng(rng)
    try:
        arguments = {**config}
        name, module = arguments.pop("layer"), arguments.pop("module", None)
        if module is not None and name not in LAYERS and f"{name}{module}".isprintable():
            words = f"{name!s:.80} of {module!s:.80}"
            raise UnknownLayerError(f"the model has a layer of the class {words}: import it, then load")
        kind: Callable[..., Layer] = LAYERS[name]
        if "layers" in arguments:
            return kind([from_config(layer, dtype, rng) for layer in arguments.pop("layers")], **arguments)
        layer = kind(**arguments, dtype=dtype, rng=rng)
        made = {name: value for name, value in layer.config().items() if name in arguments}
        if _as_json(made) != _as_json(arguments):  # such as a text where there must be a bool
            raise TypeError(f"it would be made as {made}")
        return layer
    except (KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise NumpyrnnError(f"a layer must be of a known class, with its sizes, got {config!r:.120}") from error


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))  # in which a tuple is a list
