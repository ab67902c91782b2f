"""The project's one error type, and the checks that raise it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LARGEST = float(np.finfo(float).max)  # an int may be larger and no float
LONGEST = 400  # characters of an error; a longer one keeps KEPT of them
KEPT = 200
# Control characters, ends of lines, marks that change the direction of writing, and halves of surrogate pairs.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")


def shown(text: object, most: int = 80) -> str:
    """Make text from outside safe for one line of a terminal.

    Parameters
    ----------
    text : any object, of which the string is taken
    most : int, default 80; a longer text loses its middle

    Returns
    -------
    str, in which control characters, line ends and marks of direction are written as escapes
    """
    return _cut(escaped(_cut(str(text), most)), most)


def escaped(text: str, controls: re.Pattern[str] = CONTROLS) -> str:
    """Replace control characters by their escapes, as Python writes them in a string."""
    return controls.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-(most // 2) :]}"


class NumpyrnnError(ValueError):
    """Bad input, described in one line: what was expected and what came. Long messages lose their middle."""

    def __init__(self, message: object = ""):
        text = str(message)
        super().__init__(shown(text, LONGEST if len(text) <= LONGEST else KEPT))


class NotFiniteError(NumpyrnnError):
    """NaN or infinity where a finite number must be."""


def check_shape(name: str, array: Array, expected: tuple[int | str, ...]) -> None:
    """Raise unless `array` has the shape `expected`, in which a string stands for any size."""
    shape = to_array(name, array).shape
    differ = [want != got for want, got in zip(expected, shape) if not isinstance(want, str)]
    if any(differ) or len(shape) != len(expected):
        sizes = ", ".join(map(str, expected)) + "," * (len(expected) == 1)
        raise NumpyrnnError(f"{name} must have shape ({sizes}), got {shape}")


def check_finite(name: str, array: Array) -> None:
    """Raise if `array` holds NaN or infinity; the error gives the first index."""
    finite = np.isfinite(array)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        bad = array.size - np.count_nonzero(finite)
        raise NotFiniteError(f"{name} must be finite, got {array[where]} at index {where} ({bad} such values)")


def check_ids(name: str, ids: Array, size: int) -> None:
    """Raise unless the integers `ids` all lie in 0 .. size - 1."""
    if ids.size and (ids.min() < 0 or ids.max() >= size):
        raise NumpyrnnError(f"{name} must hold ids from 0 to {size - 1}, got {ids.min()} to {ids.max()}")


def is_integer(array: Array) -> bool:
    """Whether `array` holds integers, which stand for one-hot rows."""
    return array.dtype.kind in "iu"


def to_array(name: str, value: Any) -> Array:
    """Convert `value` to an array, or raise if that is impossible (as for a ragged list)."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise NumpyrnnError(f"{name} must be an array, got {type(value).__name__} ({error})") from None


def as_array(name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """Convert `value` to an array of the floating (or complex) `dtype`, or raise; no copy if it already is one."""
    array = to_array(name, value)
    if not (array.dtype.kind in "fiu" or (array.dtype.kind == "c" and dtype.kind == "c")):
        raise NumpyrnnError(f"{name} must be numbers that fit {dtype}, got dtype {array.dtype}")
    with np.errstate(over="ignore"):  # too large a number becomes infinite; check_finite reports it
        return array.astype(dtype, copy=False)


def check_numbers(name: str, value: Any, dtype: np.dtype[Any], shape: tuple[int | str, ...]) -> Array:
    """Convert `value` as in `as_array`; raise unless it has the shape and is finite."""
    array = as_array(name, value, dtype)
    check_shape(name, array, shape)
    check_finite(name, array)
    return array


def as_rng(seed: Any) -> np.random.Generator:
    """Return the given Generator, or a new one from a seed (None: a random seed); raise for anything else."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise NumpyrnnError(f"rng must be a numpy Generator or a seed of at least 0, got {seed!r:.80}") from None


def check_range(name: str, value: float, low: float, high: float = np.inf, *, open_low: bool = False) -> None:
    """Raise unless `value` is a finite number with low <= value <= high (low < value with `open_low`)."""
    ok = isinstance(value, int | float | np.number) and low <= value <= high and value < np.inf
    ok = ok and not (isinstance(value, int) and value > LARGEST)
    if not ok or (open_low and value == low):  # NaN fails the comparison
        bounds = f"{'above' if open_low else 'at least'} {low:g}" + ("" if high == np.inf else f" and at most {high:g}")
        bounds += " and finite" * (str(value) == "inf" and high == np.inf)
        raise NumpyrnnError(f"{name} must be {bounds}, got {value!r}")


def check_share(name: str, value: float) -> None:
    """Raise unless 0 <= value < 1."""
    if not (isinstance(value, int | float | np.number) and 0 <= value < 1):
        raise NumpyrnnError(f"{name} must be at least 0 and below 1, got {value!r}")


def check_count(name: str, value: int, low: int = 1, high: float = np.inf) -> int:
    """Return `value` as an int, or raise unless it is a whole number with low <= value <= high."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        limit = f"most {high:,}" if isinstance(value, int | np.integer) and value > high else f"least {low}"
        raise NumpyrnnError(f"{name} must be a whole number of at {limit}, got {value!r:.80}")
    return int(value)
