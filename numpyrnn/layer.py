"""Layers: parameters, and a forward and a backward pass over whole sequences.

Every layer has the same form::

    y, state, cache = layer.forward(x, state=None, lengths=None, rng=None, cache=True)
    dx, dstate, grads = layer.backward(dy, cache, dstate=None, grads=None)

- `x` is floating, (T, N, D), or integers, (T, N). Integers stand for one-hot rows, which are never built, and have no
  gradient: `dx` is None.
- `state` is what a recurrent layer carries from step to step: `h` (N, H), for the LSTM `(h, c)`, for a `Sequential` a
  tuple with one entry per layer. None means zeros. A layer without a state takes and returns None.
- `lengths` (N,) holds the number of real steps of each sequence; the steps after them are padding and affect nothing:
  `y` is zero there, `dy` is ignored, and the returned state is the one after the last real step. Where `y` has fewer
  steps than `x` (pooling, `LastStep`), `layer.lengths_out(lengths)` gives its real steps.
- `rng` (a numpy Generator, or an int seed) switches dropout on; None means evaluation. `layer.draw(rng, x.shape)` draws
  the masks in advance; pass its result as `rng`.
- `cache=False` keeps nothing for `backward`: the lean pass for generation and evaluation. `y` is then a fresh array;
  with a cache it is read-only, because the cache may share its memory.
- `grads` has the names of `layer.params`. If given, it is overwritten; no other argument is ever written to.
- A malformed argument raises `NumpyrnnError`.

`layer(x)` is the evaluation pass and returns `y` alone.

A new layer is a subclass. Its `__init__` takes its `sizes`, `dtype` and `rng`, and sets `params`. It implements `run`
and `run_back`, whose arguments have been checked; `run` returns zeros in padding (`padding.masked(y)`). It also defines

- `output_size`, if y and x differ in their features; `input_size`, if x has a fixed number of features or may be ids;
- `group`, or `lengths_out`, if y has fewer steps than x;
- `check_state`, if it has a state; `check_input`, if it takes another kind of x; and `draw`, if it has dropout.

It can then be saved and loaded, copied, checked by `numpyrnn.gradcheck.check_layer`, and used in a model. A recurrent
layer needs less: a subclass of `numpyrnn.recurrent.Recurrent` that names its cell (`numpyrnn.cells`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import cached_property
from inspect import signature
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator

from .checks import Array, NumpyrnnError, as_array, as_rng, check_finite, check_ids, check_shape, is_integer, to_array
from .parameters import Parameters, draw

Seed = Generator | int | None
Grads = dict[str, Array]  # a Parameters, or a plain dict with its names
Pass = tuple[Array, Any, Any]  # y, state, cache
Gradients = tuple[Array | None, Any]  # dx, dstate
Back = tuple[Array | None, Any, Any]  # dx, dstate, grads
FARTHEST = 1 << 16  # steps that one step of a pooling or a tap of a convolution may span
LAYERS: dict[str, type[Layer]] = {}  # by their names in model files


class Padding:
    """Which steps of a batch are real. It is made once per pass from `lengths`, and handed from layer to layer.

    Parameters
    ----------
    lengths : (N,) integers from 0 to T; None: all steps are real
    T, N : int, steps and sequences

    Attributes
    ----------
    full : bool, whether all steps are real
    """

    def __init__(self, lengths: Any, T: int, N: int):
        self.T, self.N, self.full = T, N, lengths is None
        if not self.full:
            given = to_array("lengths", lengths)
            check_shape("lengths", given, (N,))
            if not is_integer(given) or given.min() < 0 or given.max() > T:
                raise NumpyrnnError(f"lengths must be integers from 0 to T = {T}, got {lengths!r:.80}")
            self.lengths, self.full = given.astype(np.intp), bool(given.min() == T)

    @cached_property
    def lengths(self) -> Array:
        """The number of real steps of each sequence, (N,) integers."""
        return np.full(self.N, self.T)

    @cached_property
    def order(self) -> Array:
        """Indices that sort the sequences from longest to shortest; equal ones keep their order."""
        return np.argsort(-self.lengths, kind="stable")

    @cached_property
    def back(self) -> Array:
        """Indices that undo `order`."""
        return np.argsort(self.order)

    @cached_property
    def real(self) -> Array:
        """Whether a step is real, (T, N) boolean."""
        return np.asarray(np.arange(self.T)[:, None] < self.lengths)

    def masked(self, array: Array) -> Array:
        """Return `array` (T, N, ...) with zeros in padding; the same object if there is no padding."""
        if self.full:
            return array
        real = self.real.reshape(self.T, self.N, *[1] * (array.ndim - 2))
        return np.where(real, array, np.zeros((), array.dtype))

    def rows(self, array: Array) -> Array:
        """Return the real steps of (T, N, ...) as rows, (R, ...)."""
        return array.reshape(-1, *array.shape[2:]) if self.full else array[self.real]

    def from_rows(self, rows: Array) -> Array:
        """Undo `rows`, with zeros in padding."""
        if self.full:
            return rows.reshape(self.T, self.N, -1)
        array = np.zeros((self.T, self.N, rows.shape[-1]), rows.dtype)
        array[self.real] = rows
        return array


class Drawn:
    """The dropout masks of one pass, drawn in advance for a whole batch.

    Parameters
    ----------
    keep : boolean mask, True where a value is kept; None for a model, whose masks are in `parts`
    rate : float, the share that is dropped
    by_sequence : bool, default True
        Whether axis 1 of the mask runs over the sequences.
    parts : sequence of Drawn
        The masks of a model's layers; None for a layer without dropout.
    """

    def __init__(self, keep: Any = None, rate: float = 0, by_sequence: bool = True, parts: Sequence[Drawn | None] = ()):
        self.keep, self.rate, self.by_sequence, self.parts = keep, rate, by_sequence, parts

    def shard(self, rows: slice) -> Drawn:
        """Return the masks for some of the sequences."""
        keep = self.keep[:, rows] if self.keep is not None and self.by_sequence else self.keep
        return Drawn(keep, self.rate, self.by_sequence, [part and part.shard(rows) for part in self.parts])

    def mask(self, dtype: Any) -> Array:
        """Inverted dropout: 1 / (1 - rate) where kept, else 0, so that the mean is one."""
        return np.asarray(np.multiply(self.keep, 1 / (1 - self.rate), dtype=dtype))  # faster than np.where


class Layer:
    """The base of all layers. A layer holds its sizes and `params`, but no data of a pass.

    Attributes
    ----------
    params : Parameters
    sizes : tuple of str, the constructor arguments that describe the layer; each is also an attribute
    stepwise : bool, whether a sequence may be read in pieces, with the state carried over
    group : int, steps of x per step of y; 0: all of them
    """

    params: Parameters
    input_size: int
    sizes: ClassVar[tuple[str, ...]] = ()
    stepwise: bool = True
    group: int = 1

    def __init__(self, *, dtype: Any = np.float32, rng: Seed = None, **sizes: Any):
        raise NotImplementedError

    def __init_subclass__(cls, abstract: bool = False, **options: Any):
        super().__init_subclass__(**options)
        if not abstract and (is_ours(cls) or not is_ours(LAYERS.get(cls.__name__))):
            LAYERS[cls.__name__] = cls

    # What a subclass implements

    def run(self, x: Array, state: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """The forward pass: y, the final state, and what `run_back` needs (not used if `cache` is False)."""
        raise NotImplementedError

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding) -> Gradients:
        """The backward pass: dx and dstate; gradients are written into `grads`. `dy` may hold anything in padding."""
        raise NotImplementedError

    def check_input(self, x: Array) -> Array:
        """Check `x` and convert it for `run`: ids or (T, N, input_size); without an `input_size`, (T, N, any)."""
        if not hasattr(self, "input_size"):
            if x.dtype.kind not in "fc" or x.ndim != 3:
                raise NumpyrnnError(f"x of {self!r} must be floating (T, N, D), got {x.dtype} of shape {x.shape}")
            return x
        if is_integer(x) and x.ndim == 2:
            return x.astype(np.intp, copy=False)
        x = as_array("x", x, self.dtype)
        check_shape("x", x, ("T", "N", self.input_size))
        return x

    def check_values(self, x: Array) -> None:
        """Raise if an id is out of range, or a number is not finite."""
        if is_integer(x):
            check_ids("x", x, self.input_size)
        else:
            check_finite("x", x)

    def check_state(self, name: str, state: Any, N: int) -> Any:
        """Check `state` or `dstate` (`name` says which) and convert it for `run`; by default it must be None."""
        if state is not None:
            came = f"{name} must be None, got {type(state).__name__}"
            raise NumpyrnnError(f"{self!r} has no state: {came} (a layer with a state defines check_state)")
        return None

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Drawn | None:
        """Dropout masks for a training pass over x of this shape; None without dropout."""
        return None

    def lengths_out(self, lengths: Array) -> Array:
        """The lengths of `y` for the lengths of `x`."""
        return lengths // self.group if self.group else np.minimum(lengths, 1)

    def padding_out(self, padding: Padding, T: int) -> Padding:
        """The padding of `y`, which has T steps."""
        return Padding(None if padding.full else self.lengths_out(padding.lengths), T, padding.N)

    def features_out(self, features: int) -> int:
        """The features of `y` for those of `x`."""
        return getattr(self, "output_size", features)

    def note(self) -> str:
        """A remark for the end of the layer's line in a model's summary."""
        return ""

    # The same for all layers

    def forward(self, x: Array, state: Any = None, lengths: Any = None, rng: Any = None, cache: bool = True) -> Pass:
        """Run over whole sequences.

        Parameters
        ----------
        x : (T, N, D) floating, or (T, N) integers, which stand for one-hot rows
        state : the state before the first step; default zeros
        lengths : (N,) integers, the number of real steps of each sequence; default all
        rng : numpy Generator or int seed, optional
            Switches dropout on.
        cache : bool, default True
            False keeps nothing for `backward`.

        Returns
        -------
        y : (T, N, features); T is smaller after pooling (`lengths_out`)
        state : the state after the last real step of each sequence
        cache : for `backward`, or None

        Raises
        ------
        NumpyrnnError
            if an argument has the wrong shape, type or range
        """
        x = self.check_input(x if isinstance(x, np.ndarray) else to_array("x", x))
        if 0 in x.shape:
            raise NumpyrnnError(f"x must have at least one step, one sequence and one feature, got shape {x.shape}")
        padding = lengths if isinstance(lengths, Padding) else Padding(lengths, *x.shape[:2])
        x = x if padding is lengths else padding.masked(x)
        self.check_values(x)
        drawn = rng if rng is None or isinstance(rng, Drawn) else self.draw(as_rng(rng), x.shape)
        y, state, kept = self.run(x, self.check_state("state", state, x.shape[1]), padding, drawn, cache)
        if not cache:
            return y, state, None
        y = y.view()
        y.flags.writeable = False
        return y, state, (kept, padding, y.shape, y.dtype)

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Backpropagate through a call of `forward`.

        Parameters
        ----------
        dy : gradient with respect to y, of the same shape
        cache : from `forward`
        dstate : gradient with respect to the state after the last step; default zeros
        grads : dict with the names of `params`, overwritten; default a new one

        Returns
        -------
        dx : gradient with respect to x, or None for integers
        dstate : gradient with respect to the state before the first step
        grads : dict, gradients of the parameters

        Raises
        ------
        NumpyrnnError
            if there is no cache, or an argument has the wrong shape
        """
        if not isinstance(cache, tuple) or len(cache) != 4:
            raise NumpyrnnError(f"backward needs the cache of forward(..., cache=True), got {type(cache).__name__}")
        kept, padding, shape, dtype = cache
        dy = as_array("dy", dy, dtype)
        check_shape("dy", dy, shape)
        dstate = self.check_state("dstate", dstate, shape[1])
        grads = check_grads(grads, self.params)
        return *self.run_back(dy, kept, dstate, grads, padding), grads

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Return y alone, evaluated without dropout."""
        return self.forward(x, lengths=lengths, cache=False)[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters."""
        return self.params.flat.dtype

    def config(self) -> dict[str, Any]:
        """Describe the layer's class and sizes for `from_config`, in values that JSON can hold."""
        name, known = type(self).__name__, LAYERS.get(type(self).__name__)
        if known is None or (known.__module__, known.__qualname__) != (type(self).__module__, type(self).__qualname__):
            raise NumpyrnnError(f"a layer class must have a name of its own, {name} is also that of {known}")
        try:
            values = {size: getattr(self, size) for size in self.sizes}
            signature(type(self)).bind(**values, **({} if hasattr(self, "layers") else {"dtype": None, "rng": None}))
        except (AttributeError, TypeError) as error:
            raise NumpyrnnError(f"{name} must take its sizes, dtype and rng by name ({error})") from None
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        module = {} if is_ours(type(self)) else {"module": type(self).__module__}
        return {"layer": name, **module, **values, **lists}

    def copy(self, dtype: Any = None) -> Any:
        """Return an independent layer with equal parameters, converted to `dtype` if given."""
        twin = deepcopy(self)
        if dtype is not None:
            twin.move(Parameters(self.params.shapes, float_dtype(dtype)))
        return twin

    def move(self, params: Parameters) -> None:
        """Copy the parameters into `params`, and use that from now on."""
        params.flat[...] = self.params.flat
        self.params = params

    __copy__ = copy

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name, None)}' for name in self.sizes)})"


def is_ours(kind: type | None) -> bool:
    """Whether a layer or cell class belongs to this package."""
    return kind is not None and kind.__module__.startswith(f"{__package__}.")


def glorot(rng: Generator, fan_in: int, fan_out: int, shape: tuple[int, ...] | None = None) -> Array:
    """Draw (fan_in, fan_out), or `shape`, uniformly within +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    limit, shape = np.sqrt(6 / (fan_in + fan_out)), shape or (fan_in, fan_out)
    return draw(shape, lambda: rng.uniform(-limit, limit, shape))


def draw_mask(rng: Generator, shape: tuple[int, ...], rate: float, by_sequence: bool = True) -> Drawn | None:
    """Draw a mask that drops each value with probability `rate`; None if `rate` is zero."""
    return Drawn(rng.random(shape, np.float32) >= rate, rate, by_sequence) if rate else None


def leaves(state: Any) -> list[Array]:
    """The arrays of a state, in order."""
    if isinstance(state, tuple | list):
        return [leaf for part in state for leaf in leaves(part)]
    return [] if state is None else [state]


def map_state(function: Callable[..., Any], *states: Any) -> Any:
    """Apply a function to the arrays of one or several states of the same form."""
    if isinstance(states[0], tuple | list):
        return tuple(map_state(function, *parts) for parts in zip(*states, strict=True))
    return None if states[0] is None else function(*states)


def check_parts(name: str, state: Any, n: int, what: str) -> Any:
    """Return `state`, or raise unless it is a tuple or list of `n` parts, which `what` describes."""
    if isinstance(state, tuple | list) and len(state) == n:
        return state
    came = f"{len(state)} entries" if isinstance(state, tuple | list) else type(state).__name__
    raise NumpyrnnError(f"{name} must be a tuple {what}, got {came}")


def check_grads(grads: Grads | None, params: Parameters) -> Grads:
    """Return `grads` if it fits `params`, or new zeros if it is None; otherwise raise."""
    if grads is None:
        return params.zeros_like()
    if not isinstance(grads, dict) or grads.keys() != params.keys():
        came = ", ".join(grads) if isinstance(grads, dict) else type(grads).__name__
        raise NumpyrnnError(f"grads must have the names {', '.join(params)}, got {came}")
    for name, array in params.items():
        check_shape(f"grads[{name!r}]", grads[name], array.shape)
    return grads


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as a NumPy dtype, or raise if a layer cannot have it."""
    with suppress(TypeError):
        chosen: np.dtype[Any] = np.dtype(dtype)
        if dtype is not None and chosen in (np.float32, np.float64, np.complex128):
            return chosen
    raise NumpyrnnError(f"dtype must be float32 or float64 (or complex128, for gradient checks), got {dtype!r}")
