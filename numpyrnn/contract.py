"""What a layer must do besides giving right gradients: `check_layer` reports what it does not. See `numpyrnn.layer`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from inspect import signature
from typing import Any

import numpy as np

from .checks import Array, NumpyrnnError
from .layer import Layer, leaves, map_state
from .sequential import from_config


def broken(layer: Layer, x: Array, lengths: Array | None = None) -> Iterator[str]:
    """Yield what a float64 layer does wrong, a sentence for each fault.

    Parameters
    ----------
    layer : Layer, float64
    x : (T, N, D) float64 or (T, N) integers
    lengths : (N,) integers, optional; by default the sequences have different ones
    """
    T, N, draw = *x.shape[:2], np.random.default_rng(0)
    y, end, kept = layer.forward(x)
    features = layer.features_out(x.shape[-1] if x.ndim == 3 else layer.input_size)
    wanted = (int(layer.lengths_out(np.array([T]))[0]), N, features)
    if y.shape != wanted:
        fix = "set output_size, or group (or lengths_out) if y has fewer steps than x"
        yield f"y must have shape {wanted}, it has {y.shape}: {fix}"
        return
    dy, dend = draw.standard_normal(y.shape), map_state(np.ones_like, end)
    grads = layer.backward(dy.copy(), kept, dend)[2]
    filled = {name: np.ones_like(array) for name, array in grads.items()}
    layer.backward(dy.copy(), layer.forward(x)[2], dend, filled)
    if added := [name for name in grads if not _same(filled[name], grads[name])]:
        one = f"grads[{added[0]!r}]"
        yield f"run_back must overwrite {one}, not add to what is in it: use {one}[...] =, not +="
    lengths = np.array([T - i % T for i in range(N)]) if lengths is None else np.asarray(lengths)
    short, longer = layer.forward(x, None, lengths), layer.forward(np.concatenate([x, x]), None, lengths)
    padding = np.arange(len(longer[0]))[:, None] >= layer.lengths_out(lengths)
    if longer[0][padding].any():
        yield "run must return zeros in padding: padding.masked(y)"
    elif not _same([short[0], *leaves(short[1])], [longer[0][: len(y)], *leaves(longer[1])]):
        yield "padding must affect nothing, but y or the last state changes with its length: see padding.lengths"
    else:
        dy = draw.standard_normal(longer[0].shape)
        masked = np.where(padding[..., None], 0, dy)
        results = [layer.backward(one, longer[2], dend) for one in (dy, masked)]
        ours, theirs = ([*leaves(dx), *leaves(dstate), *grads.values()] for dx, dstate, grads in results)
        if not _same(ours, theirs):
            yield "run_back must ignore dy in padding: dy = padding.masked(dy)"
    arguments = signature(type(layer)).parameters.items()
    named = [name for name, one in arguments if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    if missing := [name for name in named if name not in (*layer.sizes, "dtype", "rng")]:
        yield f"sizes must name {', '.join(missing)}, too: a layer that is loaded from a file would have the default"
        return
    try:
        twin = from_config(layer.config(), np.float64)
        twin.params.flat[...] = layer.params.flat
        if not _same(twin.forward(x)[0], y):
            yield "a layer that is loaded from a file must give the same y: keep each of the sizes as it was given"
    except NumpyrnnError as error:
        yield f"it cannot be saved in a file: {error}"


def check_returns(layer: Layer, x: Array, lengths: Array | None = None) -> None:
    """Raise if `run` or `run_back` of a layer, which is changed, does not return what it must."""
    probe: Any = layer
    probe.run = partial(_parts, "run must return y, the last state and the cache", layer.run, 3)
    probe.run_back = partial(_parts, "run_back must return dx and dstate", layer.run_back, 2)
    y, _, kept = probe.forward(x, None, lengths)
    probe.backward(np.ones_like(y), kept)


def fitting(layer: Layer, lengths: Array | None, draw: np.random.Generator) -> Array:
    """An input that the layer accepts: floats or ids, of five steps or more."""
    N, D = 3 if lengths is None else np.size(lengths), getattr(layer, "input_size", 4)
    for T in (5, 40, 320):
        for x in (draw.standard_normal((T, N, D)), draw.integers(0, D, (T, N))):
            with suppress(Exception):  # of any kind: the layer may be a user's
                layer.forward(x, None, lengths, None, False)
                return x
    return np.zeros((5, N, D))  # the check will report what is wrong


def _parts(needs: str, function: Callable[..., Any], n: int, *given: Any) -> Any:
    """Call a function; raise unless it returns a tuple of n parts."""
    made = function(*given)
    if not isinstance(made, tuple) or len(made) != n:
        came = "None: is a `return` missing?" if made is None else f"{type(made).__name__}"
        raise NumpyrnnError(f"{needs}, got {came}")
    return made


def _same(a: Any, b: Any) -> bool:
    """Whether arrays, or lists of arrays, are the same up to rounding."""
    if isinstance(a, list):
        return all(map(_same, a, b))
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)
