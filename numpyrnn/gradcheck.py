"""Gradient checks: the gradients of `backward` against the derivatives of `forward`.

Two witnesses judge each gradient. The complex step (Squire and Trapp 1998) evaluates f(x + i h) with h = 1e-30; the
imaginary part over h is the derivative, without the rounding error of a difference. Central differences have only seven
good digits, but also work where complex numbers fail: abs, .real, Python's max, writing into a real array.
"""

from __future__ import annotations

import inspect
import io
import warnings
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from .checks import Array, NumpyrnnError, check_count, check_finite, check_shape, is_integer
from .contract import broken, check_returns, fitting
from .hints import grouped, hint, place, shape_hint
from .layer import Layer, leaves, map_state
from .losses import softmax_cross_entropy

NORM, WORST, CENTRAL, WORST_CENTRAL = 1e-12, 1e-9, 1e-7, 1e-6  # larger errors fail; the last: of central differences
ZERO, ROUGHLY_ZERO = 1e-6, 1e-3  # smaller shares of the largest derivative count as zero; exactly, and by differences

Arrays = dict[str, Array]
Function = Callable[..., Any]


@dataclass(frozen=True)
class GradientError:
    """The errors of one gradient. All its elements are checked.

    Attributes
    ----------
    what, shape : name and shape of the array
    norm : |gradient - complex step| / |complex step|, in the Euclidean norm; NaN if the complex step raised
        The divisor is at least a thousandth of the largest derivative in the check.
    worst : the largest relative error of an element; if its derivative is zero, relative to the largest one
    central : |gradient - central difference| / |central difference|, in the Euclidean norm
    index, ours, theirs : the index of the worst element, and its values from backward and from the witness
    why : why `worst` and `theirs` refer to central differences; empty if the complex step works
    hint : which elements are wrong, and what they are instead; empty if the gradient is right
    """

    what: str
    norm: float
    worst: float
    central: float
    shape: tuple[int, ...]
    index: tuple[int, ...]
    ours: float
    theirs: float
    why: str
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Whether all errors that count are small enough; NaN is not."""
        exact = self.norm <= NORM and self.worst <= WORST
        return bool(self.central <= CENTRAL and (self.worst <= WORST_CENTRAL if self.why else exact))

    def row(self) -> tuple[str, ...]:
        """The row of the table; its error is the worst element's or that in the norm, whichever is larger."""
        error = np.maximum(self.worst, self.central if self.why else self.norm)
        values = f"{error:.1e}", str(self.index), f"{self.ours:.12g}", f"{self.theirs:.12g}"
        return self.what, str(self.shape), *values, f"{'right' if self.ok else 'WRONG'} {self.why}"


class GradientReport(list[GradientError]):
    """The errors of all gradients of a check; it prints as a table with hints.

    Attributes
    ----------
    note : str, what was checked
    faults : tuple of str, what else is wrong, such as arguments that were written to
    """

    note = ""
    faults: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all gradients are right, and there are no other faults."""
        return all(error.ok for error in self) and not self.faults

    def __repr__(self) -> str:
        rows = [("name", "shape", "error", "worst at", "backward", "witness", "verdict"), *(e.row() for e in self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        wrong = [error.what for error in self if not error.ok]
        n = len(self.faults)
        but = f", but there {'is 1 fault' if n == 1 else f'are {n} faults'}" if n else ""
        verdict = "Not all gradients are right." if wrong else f"All gradients are right{but}."
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        lines += grouped({error.what: error.hint for error in self if error.hint})
        lines += [f"Look at {where}." for where in [place(wrong, [error.what for error in self])] if where]
        return "\n".join([*lines, *(f"Fault: {fault}." for fault in self.faults), self.note + verdict])


def complex_step(f: Function, arrays: Arrays, name: str, step: float = 1e-30) -> Array:
    """Derivative of the scalar `f(arrays)` with respect to every element of `arrays[name]`, by the complex step.

    Parameters
    ----------
    f : function of a dict of arrays, which may be complex
    arrays : dict of real arrays
    name : str
    step : float, default 1e-30

    Returns
    -------
    array of the same shape as `arrays[name]`
    """
    return _slopes(f, arrays, name, np.complex128, lambda at, x: complex(at(x + 1j * step)).imag / step)


def central_difference(f: Function, arrays: Arrays, name: str, step: float = 1e-5) -> Array:
    """Like `complex_step`, by (f(x + h) - f(x - h)) / 2h; `f` need not accept complex arrays."""
    return _slopes(f, arrays, name, np.float64, lambda at, x: (at(x + step) - at(x - step)) / (2 * step))


def check_function(f: Function, arrays: Arrays, gradients: Arrays) -> GradientReport:
    """Compare the gradients of a scalar function with both witnesses, or with one if the complex step fails.

    Parameters
    ----------
    f : function of a dict of arrays
    arrays : dict of float64 arrays
    gradients : dict with some or all of the names of `arrays`

    Raises
    ------
    NumpyrnnError
        if a gradient has another shape than its array
    """
    for name, gradient in gradients.items():
        try:
            check_shape(f"the gradient of {name}", gradient, arrays[name].shape)
        except NumpyrnnError as other:
            raise NumpyrnnError(f"{other}{shape_hint(gradient.shape, arrays[name].shape)}") from None
    near = {name: central_difference(f, arrays, name) for name in gradients}
    witnesses = {name: _witnesses(f, arrays, name, near[name], _largest(near)) for name in gradients}
    judges = {name: central if why else exact for name, (exact, central, why) in witnesses.items()}
    largest, report = _largest(judges), GradientReport()
    for name, (exact, central, why) in witnesses.items():
        ours, judge = gradients[name], judges[name]
        zero = np.abs(judge) <= (ROUGHLY_ZERO if why else ZERO) * largest
        errors = np.abs(ours - judge) / np.where(zero, largest, np.abs(judge))
        index = tuple(int(i) for i in np.unravel_index(errors.argmax(), ours.shape)) if ours.size else ()
        worst, our, its = (float(part[index]) if ours.size else 0.0 for part in (errors, ours, judge))
        norm = float(np.linalg.norm(ours - exact)) / max(float(np.linalg.norm(exact)), ROUGHLY_ZERO * largest)
        rough = _relative(ours - central, central, largest)
        error = GradientError(name, norm, worst, rough, ours.shape, index, our, its, why)
        wrong = ~(errors <= (WORST_CENTRAL if why else WORST))  # NaN is wrong
        report.append(error if error.ok else replace(error, hint=hint(name, gradients, judges, wrong)))
    return report


def check_gradients(
    forward: Function, backward: Function, arrays: Arrays, outputs: int | None = None, seed: Any = 0
) -> GradientReport:
    """Check the gradients of a function, which may return a cache, as in `a, y, cache = rnn_forward(...)`.

    The scalar to differentiate is a weighted sum of the results of forward. The weights are random, and are passed to
    backward as the upstream gradients.

    Parameters
    ----------
    forward : function that takes the arrays by name
        It returns a number, an array, or a tuple of these that ends with a cache of any type.
    backward : function of one upstream gradient for each result, and of the cache if there is one
        It returns the gradients: a dict with the names of `arrays`, or with a d before each, or a tuple in their order.
        The upstream gradient of a single number is 1.
    arrays : dict of float64 arrays
    outputs : int, optional
        The number of leading results to differentiate; default all but the last, which is the cache.
    seed : int, default 0, for the weights

    Returns
    -------
    GradientReport with one GradientError for each array; it prints as a table

    Raises
    ------
    NumpyrnnError
        if an array is not float64, a function does not take its arguments, or the gradients do not match `arrays`

    Examples
    --------
    >>> x = np.linspace(-1, 1, 5)
    >>> check_gradients(lambda x: (np.tanh(x), x), lambda dy, x: {"dx": dy * (1 - np.tanh(x) ** 2)}, {"x": x}).ok
    True
    """
    if not (isinstance(arrays, dict) and arrays and all(isinstance(name, str) for name in arrays)):
        raise NumpyrnnError(f"arrays must be a dict from one name or more to float64 arrays, got {str(arrays)[:40]!r}")
    arrays = {name: _float64(name, array) for name, array in arrays.items()}
    for name in (name for name, array in arrays.items() if not array.size):
        raise NumpyrnnError(f"{name} must not be empty, got shape {arrays[name].shape}: there is nothing to check")
    _check_call(f"forward must take {', '.join(arrays)} by name", forward, **arrays)

    written = set[str]()

    def run(values: Arrays) -> tuple[Any, ...]:
        given = {name: value.copy() for name, value in values.items()}
        results = forward(**given)
        written.update(name for name in given if not np.array_equal(given[name], values[name]))
        if results is None:
            raise NumpyrnnError("forward must return its results, got None: is a `return` missing?")
        return results if isinstance(results, tuple) else (results,)

    results = run(arrays)
    n = check_count("outputs", max(1, len(results) - 1) if outputs is None else outputs)
    y = [_float64(f"result {i} of forward", result).copy() for i, result in enumerate(results[:n], 1)]
    if not any(part.size for part in y):
        raise NumpyrnnError(f"forward must not return empty arrays, got shape {y[0].shape}: there is nothing to check")
    draw = np.random.default_rng(seed)
    dy = [np.asarray(draw.standard_normal(part.shape) if n > 1 or part.ndim else 1.0) for part in y]
    taken = [*(part.copy() for part in dy), *results[n:][-1:]]
    needs = f"{len(dy)} upstream gradients" + (" and the cache" if len(taken) > len(dy) else "")
    _check_call(f"backward must take {needs} ({len(results)} results of forward)", backward, *taken)
    gradients = {name: part.copy() for name, part in _by_name(backward(*taken), arrays).items()}
    changed = [i for i, part in enumerate(dy, 1) if not np.array_equal(part, taken[i - 1])]
    with redirect_stdout(io.StringIO()):  # what forward prints is seen once, and not for each number
        again = run(arrays)
    if not all(map(np.array_equal, y, again)):
        raise NumpyrnnError("forward must return the same for the same arrays, got other results: give it a seed")

    def scalar(values: Arrays) -> Any:
        first, *rest = ((part * weights).sum() for part, weights in zip(run(values), dy))
        return first + sum(rest)

    with redirect_stdout(io.StringIO()):
        report = check_function(scalar, arrays, gradients)
    report.faults += tuple(f"backward must not write to upstream gradient {i}: copy it first" for i in changed)
    report.faults += (f"forward must not write to its arguments, it changed {', '.join(sorted(written))}",) * bool(
        written
    )
    report.note = f"{len(dy)} of forward's {len(results)} results differentiated. " if len(results) > 1 else ""
    return report


def check_layer(
    layer: Layer, x: Array | None = None, lengths: Array | None = None, dropout: int | None = None, seed: int = 0
) -> GradientReport:
    """Check the gradients of a layer: of every parameter, of the initial state, and of the input unless it is ids.

    The scalar to differentiate is a weighted sum of y and of the last state, with random weights.

    Parameters
    ----------
    layer : Layer; if it is float32, a float64 copy is checked, and the report says so
    x : (T, N, D) float64 or (T, N) integers; default a random input that the layer accepts
    lengths : (N,) integers, optional
    dropout : int, optional; seed of the dropout masks; by default there is no dropout
    seed : int, default 0, for the weights of the results, the initial state and the default `x`

    Raises
    ------
    NumpyrnnError
        if the layer is complex, does not accept `x`, or returns other gradients than it should

    Notes
    -----
    What else a layer must do is checked too: see `numpyrnn.contract`, and `faults` of the report.
    """
    if not isinstance(layer, Layer) or layer.params.flat.dtype.kind != "f":
        raise NumpyrnnError(f"check_layer needs a layer of float64 or float32, got {layer!r:.80}")
    draw, twin = np.random.default_rng(seed), cache(layer.copy)
    x = fitting(layer, lengths, draw) if x is None else x
    check_returns(layer.copy(np.float64), x, lengths)
    zero_state = twin(np.float64).forward(x, None, lengths, dropout)[1]
    zeros = {f"state {i}": part for i, part in enumerate(leaves(zero_state))}
    states = {name: draw.standard_normal(part.shape) for name, part in zeros.items() if part.size}
    arrays = {name: array.astype(np.float64) for name, array in layer.params.items()} | states
    arrays |= {} if isinstance(x, np.ndarray) and is_integer(x) else {"x": x}

    def forward(**values: Array) -> Any:
        one = twin(np.complex128 if any(value.dtype.kind == "c" for value in values.values()) else np.float64)
        one.params.update({name: values[name] for name in one.params})
        state = _like(zero_state, [values.get(name, zeros[name]) for name in zeros])
        y, end, kept = one.forward(values.get("x", x), state, lengths, dropout)
        return y, *leaves(end), kept

    def backward(dy: Array, *dend: Any) -> Any:  # the last of dend is the cache
        dx, dstate, grads = twin(np.float64).backward(dy, dend[-1], _like(zero_state, dend[:-1]))
        dstates = {name: part for name, part in zip(zeros, leaves(dstate), strict=True) if part.size}
        return {**grads, **dstates, **({} if dx is None else {"x": dx})}

    report = check_gradients(forward, backward, arrays, seed=draw)
    report.faults += tuple(broken(layer.copy(np.float64), np.asarray(x), lengths))
    report.note = "" if layer.params.flat.dtype == np.float64 else "Checked: a float64 copy of the layer. "
    return report


def assert_gradients(checked: Any, *rest: Any, **options: Any) -> GradientReport:
    """Check gradients and return the report; raise AssertionError with the table unless all are right.

    Parameters
    ----------
    checked, *rest, **options : the arguments of `check_layer`, or those of `check_gradients`
    """
    report = (check_layer if isinstance(checked, Layer) else check_gradients)(checked, *rest, **options)
    if not report.ok:
        raise AssertionError(f"wrong gradients\n{report}")
    return report


def check_loss(logits: Array, targets: Array, mask: Array | None = None) -> GradientReport:
    """Check the gradient of `numpyrnn.losses.softmax_cross_entropy`, with its arguments; the logits must be float64."""
    loss, arrays = partial(softmax_cross_entropy, targets=targets, mask=mask), {"logits": logits}
    return check_gradients(loss, lambda dloss, dlogits: dlogits, arrays)


def _slopes(f: Function, arrays: Arrays, name: str, dtype: Any, slope: Function) -> Array:
    """Return `slope(at, x)` for every element x of `arrays[name]`; `at(value)` is f with x replaced by the value."""
    x, slopes = arrays[name].astype(dtype), np.zeros(arrays[name].shape)

    def at(index: Any, value: Any) -> Any:
        x[index] = value
        return f({**arrays, name: x})

    for index, was in np.ndenumerate(arrays[name]):
        slopes[index] = slope(partial(at, index), was)
        x[index] = was
    return slopes


def _witnesses(f: Function, arrays: Arrays, name: str, near: Array, largest: float) -> tuple[Array, Array, str]:
    """The derivatives by complex step and by central difference, and why only the latter are valid, or ""."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            exact = complex_step(f, arrays, name)
    except Exception as error:  # of any kind; with real numbers f did not raise
        return np.full(near.shape, np.nan), near, f"(central difference only: complex raises {type(error).__name__})"
    agree = _relative(exact - near, near, largest) <= CENTRAL
    finer = near if agree else central_difference(f, arrays, name, 1e-7)  # f may be steep or have a kink nearby
    if _relative(exact - finer, finer, largest) <= CENTRAL:
        return exact, finer, ""
    return exact, near, "(central difference only: the complex step disagrees, as for abs or .real)"


def _largest(slopes: Arrays) -> float:
    return float(max((np.abs(slope).max(initial=0) for slope in slopes.values()), default=0)) or 1.0


def _relative(off: Array, reference: Array, largest: float) -> float:
    norm = float(np.linalg.norm(reference))
    return float(np.linalg.norm(off)) / (norm if norm > ROUGHLY_ZERO * largest else largest)


def _float64(name: str, value: Any) -> Array:
    array = np.asarray(value if isinstance(value, np.ndarray | float) else None)
    if array.dtype != np.float64:
        came = getattr(value, "dtype", type(value).__name__)
        raise NumpyrnnError(f"{name} must be a float64 array, got {came}: check a float64 copy, np.array(..., float)")
    check_finite(name, array)
    return array


def _check_call(needs: str, function: Function, /, *parts: Any, **named: Any) -> None:
    try:
        inspect.signature(function).bind(*parts, **named)
    except (TypeError, ValueError) as error:  # ValueError: a built-in function without a signature
        raise NumpyrnnError(f"{needs}: {error}") from None


def _by_name(gradients: Any, arrays: Arrays) -> Arrays:
    """Name the results of backward after the arrays; raise unless there is exactly one for each."""
    if gradients is None:
        raise NumpyrnnError("backward must return its gradients, got None: is a `return` missing?")
    if not isinstance(gradients, dict):
        parts = gradients if isinstance(gradients, tuple) else (gradients,)
        gradients = dict(zip([*arrays, *range(len(parts))], parts))  # surplus gradients are named by their number
    named = {key if key in arrays else str(key).removeprefix("d"): gradient for key, gradient in gradients.items()}
    if named.keys() != arrays.keys() or len(named) < len(gradients):
        needs = f"one gradient for each of {', '.join(arrays)} (missing: {[n for n in arrays if n not in named]})"
        raise NumpyrnnError(f"backward must return {needs}, got {', '.join(map(str, gradients)) or 'none'}")
    return {name: _float64(f"the gradient of {name}", named[name]) for name in arrays}


def _like(state: Any, arrays: Iterable[Array]) -> Any:
    """A state of the same form, made of other arrays."""
    others = iter(arrays)
    return map_state(lambda _: next(others), state)
