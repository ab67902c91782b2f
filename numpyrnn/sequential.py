"""Models: layers one after the other, and what makes them again from their description."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.random import Generator

from .checks import Array, NumpyrnnError, as_rng, check_count
from .layer import LAYERS, Drawn, Grads, Layer, Padding, Pass, Seed
from .parameters import Parameters


class Container(Layer, abstract=True):
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
        for layer in layers:
            if layer.params.is_part:
                raise NumpyrnnError(f"{layer!r} is part of a model already: give this one layer.copy()")
        self.layers = layers
        shapes = {f"{i}.{k}": shape for i, layer in enumerate(layers) for k, shape in layer.params.shapes.items()}
        self.params = Parameters(shapes, dtypes.pop() if dtypes else np.float32)
        for layer, part in zip(layers, self._split(self.params), strict=True):
            layer.move(part)

    def move(self, params: Parameters) -> None:
        """Move the parameters into `params`, and each layer's into its part."""
        super().move(params)
        for layer, part in zip(self.layers, self._split(params), strict=True):
            layer.move(part)

    def _split(self, whole: Parameters) -> list[Parameters]:
        """Each layer's part of a buffer of the container's form."""
        parts, start = [], 0
        for layer in self.layers:
            stop = start + layer.params.flat.size
            parts.append(Parameters(layer.params.shapes, flat=whole.flat[start:stop]))
            parts[-1].is_part, start = True, stop
        return parts

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "params"}  # the layers have them

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._hold(self.layers)

    def check_input(self, x: Array) -> Array:
        """As the first layer takes it."""
        return self.layers[0].check_input(x)

    def check_values(self, x: Array) -> None:
        """The first layer does it."""

    def check_state(self, name: str, state: Any, N: int) -> Any:
        """A tuple with one entry a layer, which checks it."""
        if state is None:
            return (None,) * len(self.layers)
        if not isinstance(state, tuple | list) or len(state) != len(self.layers):
            came = f"{len(state)} entries" if isinstance(state, tuple | list) else type(state).__name__
            raise NumpyrnnError(f"{name} must be a tuple of {len(self.layers)} (one entry a layer), got {came}")
        return state

    def _grads_by_layer(self, grads: Grads) -> list[Grads]:
        return [{name: grads[f"{i}.{name}"] for name in layer.params} for i, layer in enumerate(self.layers)]


class Sequential(Container):
    """Layers one after the other, with all parameters in one flat buffer.

    The layers' parameters move into the model's buffer: `model.params["0.Wx"]` and `model[0].params["Wx"]` are one
    array. The state is a tuple with one entry a layer (None for a layer without).

    Parameters
    ----------
    *layers : layers, or one list of them
        Each may stand in one model, once; put `layer.copy()` into a second one.

    Attributes
    ----------
    layers : list
    params : names are the layer's number, a dot, and the layer's own name

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
        self.stepwise, self.group = all(layer.stepwise for layer in layers), prod(layer.group for layer in layers)

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

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Drawn | None:
        """What all layers draw, in turn."""
        T, N, D = (*shape, 0)[:3]
        parts = []
        for layer in self.layers:
            parts.append(layer.draw(rng, (T, N, D)))
            T, D = int(layer.lengths_out(np.array(T))), layer.features_out(D)
        return Drawn(parts=parts) if any(parts) else None

    def run(self, x: Array, state: Any, padding: Padding | None, drawn: Drawn | None, cache: bool) -> Pass:
        """Through all layers in turn."""
        states, caches = [], []
        for i, layer in enumerate(self.layers):
            part = None if drawn is None else drawn.parts[i]
            x, layer_state, layer_cache = layer.forward(x, state[i], padding, part, cache)
            if padding is not None and len(x) != padding.T:
                padding = Padding(layer.lengths_out(padding.lengths), *x.shape[:2])
            states.append(layer_state)
            caches.append(layer_cache)
        return x, tuple(states), caches

    def run_back(
        self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding | None
    ) -> tuple[Array | None, Any]:
        """Back through all layers, last first."""
        dx: Array | None = dy
        dstates, parts = list(dstate), self._grads_by_layer(grads)
        for i in reversed(range(len(self.layers))):
            dx, dstates[i], _ = self.layers[i].backward(dx, kept[i], dstates[i], parts[i])  # type: ignore[arg-type]
        return dx, tuple(dstates)

    def config(self) -> dict[str, Any]:
        """What `from_config` needs; JSON can hold it."""
        return super().config() | {"layers": [layer.config() for layer in self.layers]}

    def summary(self, steps: int | None = None) -> str:
        """A table of the layers: what comes out of each, and how many parameters it has.

        With the compiled back end it also says which recurrent layers have no compiled form and run plain.

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
        if steps is not None:
            check_count("steps", steps, 1)
        rows, length, group, features = [], np.array(steps or 0), 1, getattr(self, "input_size", 0)
        for layer in self.layers:
            length, group, features = layer.lengths_out(length), group * layer.group, layer.features_out(features)
            if steps and not length:
                raise NumpyrnnError(f"steps must be more: {layer!r} leaves none of {steps}")
            words = str(length) if steps else {0: "1", 1: "T"}.get(group, f"T/{group}")
            rows.append((repr(layer), f"({words}, N, {features or 'D'})", f"{layer.params.flat.size:,}", layer.note()))
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


class UnknownLayerError(NumpyrnnError):
    """A model has a layer whose class has not been imported."""


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
    UnknownLayerError
        if its class is a user's, and was not imported
    """
    rng, wrong = as_rng(rng), f"a layer must be of a known class, with its sizes, got {config!r:.120}"
    if not isinstance(config, dict):
        raise NumpyrnnError(wrong)
    try:
        arguments = dict(config)
        name, module = arguments.pop("layer"), arguments.pop("module", None)
        if module is not None and name not in LAYERS:
            raise UnknownLayerError(f"the model has a layer of the class {name} of {module}: import it, then load")
        if "layers" in arguments:
            kind: Any = LAYERS[name]
            return kind([from_config(layer, dtype, rng) for layer in arguments["layers"]])  # type: ignore[no-any-return]
        return LAYERS[name](**arguments, dtype=dtype, rng=rng)
    except (KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise NumpyrnnError(wrong) from error
