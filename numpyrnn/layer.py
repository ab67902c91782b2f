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
- `rng` (a numpy Generator, or an int seed) switches dropout on; None is evaluation. `layer.draw(rng, x.shape)` draws
  the masks in advance; pass the result as `rng`.
- `cache=False` keeps nothing for `backward`: the lean pass for generation and evaluation. `y` is then a fresh array;
  with a cache it is read-only, because the cache may share it.
- `grads` has the names of `layer.params`; it is overwritten where given, else new. No argument is ever written to.
- A malformed argument raises `NumpyrnnError`.

`layer(x)` is the evaluation pass, and gives `y` alone.

A new layer is a subclass. Its `__init__` takes its `sizes`, `dtype` and `rng`, and sets `params`; it writes `run` and
`run_back`, whose arguments are checked already; `run` gives zeros in padding (`padding.masked`). It also has

- `output_size`, where y has other features than x, and `input_size`, where it takes ids;
- `group`, or `lengths_out`, where y has fewer steps than x;
- `check_state`, where it has a state, `check_input`, where x is not (T, N, D), and `draw`, where it drops something.

It can then be saved and loaded, copied, checked by `numpyrnn.gradcheck.check_layer`, and put into a model. A recurrent
layer needs less: a subclass of `numpyrnn.recurrent.Recurrent` that names its cell (`numpyrnn.cells`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cached_property
from inspect import signature
from typing import Any, ClassVar

import numpy as np
from numpy.random import Generator

from .checks import Array, NumpyrnnError, as_array, as_rng, check_finite, check_ids, check_shape, is_integer, to_array
from .parameters import Parameters

Seed = Generator | int | None
Lengths = Any  # (N,) integers, or a Padding
Grads = dict[str, Array]  # a Parameters, or a plain dict of its names
Pass = tuple[Array, Any, Any]  # y, state, cache
Back = tuple[Array | None, Any, Any]  # dx, dstate, grads
LAYERS: dict[str, type[Layer]] = {}  # by the name that a model file has for them


class Padding:
    """Which steps of a batch are real. It is made once a pass, from `lengths`, and goes from layer to layer.

    Parameters
    ----------
    lengths : (N,) integers from 0 to T
    T, N : int, steps and sequences

    Attributes
    ----------
    real : (T, N) boolean
    order, back : (N,) integers that sort the sequences from the longest to the shortest, and back
    """

    def __init__(self, lengths: Any, T: int, N: int):
        lengths = to_array("lengths", lengths)
        check_shape("lengths", lengths, (N,))
        if not is_integer(lengths) or lengths.min() < 0 or lengths.max() > T:
            raise NumpyrnnError(f"lengths must be integers from 0 to T = {T}, got {lengths!r:.80}")
        self.lengths: Array = lengths.astype(np.intp)
        self.T, self.N = T, N

    @cached_property
    def real(self) -> Array:
        """Where a step is real, (T, N) boolean."""
        return np.asarray(np.arange(self.T)[:, None] < self.lengths)

    @cached_property
    def order(self) -> Array:
        """From the longest sequence to the shortest; equal ones keep their order."""
        return np.argsort(-self.lengths, kind="stable")

    @cached_property
    def back(self) -> Array:
        """Undo `order`."""
        return np.argsort(self.order)

    def masked(self, array: Array) -> Array:
        """A copy of (T, N, ...) with zeros, whatever was there, where a step is not real."""
        real = self.real.reshape(self.T, self.N, *[1] * (array.ndim - 2))
        return np.where(real, array, np.zeros((), array.dtype))


class Drawn:
    """What dropout keeps in one pass, drawn beforehand for a whole batch.

    Parameters
    ----------
    keep : boolean mask, or None
    by_sequence : bool, whether axis 1 of the mask is that of the sequences
    parts : those of the layers of a model, or None for layers that drop nothing
    """

    def __init__(self, keep: Array | None = None, by_sequence: bool = True, parts: Sequence[Drawn | None] = ()):
        self.keep, self.by_sequence, self.parts = keep, by_sequence, parts

    def shard(self, rows: slice) -> Drawn:
        """The masks of some of the sequences."""
        keep = self.keep[:, rows] if self.keep is not None and self.by_sequence else self.keep
        return Drawn(keep, self.by_sequence, [part and part.shard(rows) for part in self.parts])


class Layer:
    """What all layers share. A layer's attributes are its sizes and `params`; nothing of a pass is kept in it.

    Attributes
    ----------
    params : Parameters
    sizes : names of the constructor's arguments that make the layer again; the attributes have these names too
    stepwise : bool, whether a sequence may be read in pieces, with the state carried
    group : int, steps of x for each step of y; 0: all of them
    """

    params: Parameters
    sizes: ClassVar[tuple[str, ...]] = ()
    stepwise: bool = True
    group: int = 1

    def __init__(self, *, dtype: Any = np.float32, rng: Seed = None, **sizes: Any):
        raise NotImplementedError

    def __init_subclass__(cls, abstract: bool = False, **options: Any):
        super().__init_subclass__(**options)
        if not abstract and (is_ours(cls) or not is_ours(LAYERS.get(cls.__name__))):
            LAYERS[cls.__name__] = cls

    # What a layer writes

    def run(self, x: Array, state: Any, padding: Padding | None, drawn: Drawn | None, cache: bool) -> Pass:
        """The forward pass: y, the state after it, and what `run_back` needs (unless there is no `cache`)."""
        raise NotImplementedError

    def run_back(
        self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding | None
    ) -> tuple[Array | None, Any]:
        """The backward pass: dx and dstate; the gradients are written into `grads`. dy may hold anything in padding."""
        raise NotImplementedError

    def check_input(self, x: Array) -> Array:
        """`x` as `run` takes it: by default floating (T, N, D) of any D."""
        if x.dtype.kind not in "fc" or x.ndim != 3:
            raise NumpyrnnError(f"x of {self!r} must be floating (T, N, D), got {x.dtype} of shape {x.shape}")
        return x

    def check_values(self, x: Array) -> None:
        """Raise if an id is out of range, or a number is not finite."""
        if is_integer(x):
            check_ids("x", x, self.input_size)  # type: ignore[attr-defined]
        else:
            check_finite("x", x)

    def check_state(self, name: str, state: Any, N: int) -> Any:
        """`state` (or `dstate`, as `name` says) as `run` takes it: by default None."""
        if state is not None:
            raise NumpyrnnError(f"{self!r} has no state: it must be None, got {type(state).__name__}")
        return None

    def draw(self, rng: Generator, shape: tuple[int, ...]) -> Drawn | None:
        """What a training pass over x of this shape keeps; None if nothing is dropped."""
        return None

    def lengths_out(self, lengths: Array) -> Array:
        """Output lengths for given input lengths."""
        return lengths // self.group if self.group else np.minimum(lengths, 1)

    def features_out(self, features: int) -> int:
        """Features of `y` for given features of `x`."""
        return getattr(self, "output_size", features)

    def note(self) -> str:
        """What a model's summary says of the layer at the end of its line."""
        return ""

    # What all layers have

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Any = None, cache: bool = True
    ) -> Pass:
        """Run over whole sequences.

        Parameters
        ----------
        x : (T, N, D) floating, or (T, N) integers that stand for one-hot rows
        state : before the first step; default zeros
        lengths : (N,) integers, the real steps of each sequence; default all
        rng : numpy Generator or int seed, optional; switches dropout on
        cache : bool, default True; False keeps nothing for `backward`

        Returns
        -------
        y : (T, N, features), or fewer steps where `lengths_out` says so
        state : after the last real step of each sequence
        cache : for `backward`, or None

        Raises
        ------
        NumpyrnnError
            if an argument has another shape, type or range than it should
        """
        x = self.check_input(x if isinstance(x, np.ndarray) else to_array("x", x))
        if 0 in x.shape:
            raise NumpyrnnError(f"x must have at least one step, one sequence and one feature, got shape {x.shape}")
        padding = lengths
        if lengths is not None and not isinstance(lengths, Padding):
            padding = Padding(lengths, *x.shape[:2])
            x = padding.masked(x)
        self.check_values(x)
        drawn = rng
        if rng is not None and not isinstance(rng, Drawn):
            drawn = self.draw(as_rng(rng), x.shape)
        y, state, kept = self.run(x, self.check_state("state", state, x.shape[1]), padding, drawn, cache)
        if not cache:
            return y, state, None
        y = y.view()
        y.flags.writeable = False
        return y, state, (kept, padding, y.shape, y.dtype)

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Go back through what `forward` did.

        Parameters
        ----------
        dy : gradient with respect to y, of its shape
        cache : from `forward`
        dstate : gradient with respect to the state after the last step; default zeros
        grads : dict with the names of `params`, overwritten; default new

        Returns
        -------
        dx : gradient with respect to x, or None for integers
        dstate : gradient with respect to the state before the first step
        grads : dict, gradients of the parameters

        Raises
        ------
        NumpyrnnError
            if there is no cache, or an argument has another shape than it should
        """
        if not isinstance(cache, tuple) or len(cache) != 4:
            raise NumpyrnnError(f"backward needs the cache of forward(..., cache=True), got {type(cache).__name__}")
        kept, padding, shape, dtype = cache
        dy = as_array("dy", dy, dtype)
        check_shape("dy", dy, shape)
        dstate = self.check_state("dstate", dstate, shape[1])
        grads = check_grads(grads, self.params)
        return *self.run_back(dy, kept, dstate, grads, padding), grads

    def __call__(self, x: Array, lengths: Lengths = None) -> Array:
        """The evaluation pass: y alone."""
        return self.forward(x, lengths=lengths, cache=False)[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters."""
        return self.params.flat.dtype

    def config(self) -> dict[str, Any]:
        """What `from_config` needs to make a layer of the same kind and sizes; JSON can hold it."""
        name, known = type(self).__name__, LAYERS.get(type(self).__name__)
        if known is None or (known.__module__, known.__qualname__) != (type(self).__module__, type(self).__qualname__):
            raise NumpyrnnError(f"a layer's class must have a name of its own, {name} is also that of {known}")
        try:
            values = {size: getattr(self, size) for size in self.sizes}
            signature(type(self)).bind(**values, **({} if hasattr(self, "layers") else {"dtype": None, "rng": None}))
        except (AttributeError, TypeError) as error:
            raise NumpyrnnError(f"{name} must take its sizes, dtype and rng by name ({error})") from None
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        module = {} if is_ours(type(self)) else {"module": type(self).__module__}
        return {"layer": name, **module, **values, **lists}

    def copy(self, dtype: Any = None) -> Any:
        """A layer of its own with the same parameters, in another `dtype` if one is given."""
        twin = deepcopy(self)
        if dtype is not None:
            twin.move(Parameters(self.params.shapes, float_dtype(dtype)))
        return twin

    def move(self, params: Parameters) -> None:
        """Move the parameters into `params`."""
        params.flat[...] = self.params.flat
        self.params = params

    def __copy__(self) -> Any:
        return self.copy()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name, None)}' for name in self.sizes)})"


def is_ours(kind: type | None) -> bool:
    """Whether a class of layers or cells comes with this package."""
    return kind is not None and kind.__module__.startswith(f"{__package__}.")


def glorot(rng: Generator, fan_in: int, fan_out: int, shape: tuple[int, ...] | None = None) -> Array:
    """Glorot and Bengio (2010): uniform within +-sqrt(6 / (fan_in + fan_out)); by default (fan_in, fan_out)."""
    limit = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, shape or (fan_in, fan_out))


def orthogonal(rng: Generator, rows: int, columns: int) -> Array:
    """A random orthogonal matrix (Saxe et al. 2014); one with fewer rows than columns is transposed."""
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = np.asarray(q * np.sign(np.diag(r)))
    return q if rows >= columns else q.T


def draw_keep(rng: Generator, shape: tuple[int, ...], rate: float) -> Array:
    """Boolean, False with probability `rate`."""
    return rng.random(shape, np.float32) >= rate


def scaled_up(keep: Any, rate: float, dtype: Any) -> Array:
    """0 where not kept, else 1 / (1 - rate): inverted dropout, whose mean is one."""
    return np.asarray(np.multiply(keep, 1 / (1 - rate), dtype=dtype))  # faster than np.where


def check_numbers(x: Array, features: int, dtype: np.dtype[Any]) -> Array:
    """`x` of a layer with sizes: (T, N) ids, or (T, N, features) of `dtype`."""
    if is_integer(x) and x.ndim == 2:
        return x.astype(np.intp, copy=False)
    x = as_array("x", x, dtype)
    check_shape("x", x, ("T", "N", features))
    return x


def leaves(state: Any) -> list[Array]:
    """The arrays that a state is made of, in order."""
    if isinstance(state, tuple | list):
        return [leaf for part in state for leaf in leaves(part)]
    return [] if state is None else [state]


def map_state(function: Callable[..., Any], *states: Any) -> Any:
    """A state of the same form, whose arrays are the function of those of one state or several."""
    if isinstance(states[0], tuple | list):
        return tuple(map_state(function, *parts) for parts in zip(*states, strict=True))
    return None if states[0] is None else function(*states)


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


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """Return the dtype of a layer, or raise if it is none of the three."""
    try:
        chosen: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)
    except TypeError:
        chosen = None
    if chosen is None or chosen not in (np.float32, np.float64, np.complex128):
        raise NumpyrnnError(f"dtype must be float32 or float64 (or complex128, for gradient checks), got {dtype!r}")
    return chosen
