"""Named arrays that are views into one flat buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .checks import Array, NumpyrnnError, check_shape

_MOST: ContextVar[int | None] = ContextVar("_MOST", default=None)  # parameters of the model in a sketch; else None


@contextmanager
def sketch(most: int) -> Iterator[None]:
    """Within the block, layers are made without memory: their parameters have shapes, but no values.

    A model's size is thus known before its weights are drawn. `model.move(Parameters(model.params.shapes))` then gives
    it memory, outside the block.

    Parameters
    ----------
    most : int
        A layer or model that needs more parameters raises `NumpyrnnError`.
    """
    token = _MOST.set(most)
    try:
        yield
    finally:
        _MOST.reset(token)


def draw(shape: tuple[int, ...], values: Callable[[], Array]) -> Array:
    """Return `values()`, initial weights of this shape; in a sketch nothing is drawn."""
    return values() if _MOST.get() is None else np.broadcast_to(0.0, shape)


def _buffer(size: int, dtype: Any) -> Array:
    """New zeros; in a sketch, one zero that is repeated."""
    most = _MOST.get()
    if most is not None and size > most:
        raise NumpyrnnError(f"the model must have {most:,} parameters, its description needs more")
    try:
        return np.zeros(size, dtype) if most is None else as_strided(np.zeros(1, dtype), (size,), (0,))
    except MemoryError as error:
        raise MemoryError(f"there is not enough memory for {size:,} parameters of {np.dtype(dtype)}") from error
    except (OverflowError, ValueError) as error:
        raise NumpyrnnError(f"parameters must fit into memory, there would be {size:,} of them") from error


class Parameters(dict[str, Array]):
    """A dict of arrays that share one flat buffer, so that clipping, updating or saving them is one operation.

    `parameters["Wh"]` is a view of `parameters.flat`: writing into one writes into the other. An assignment
    (`parameters["Wh"] = values`) copies the values into the view.

    Parameters
    ----------
    shapes : mapping from name to shape, in the order of the buffer
    dtype : default float32, of a new buffer
    flat : 1-D array, default new zeros
        The buffer.

    Attributes
    ----------
    flat : 1-D array, the buffer
    is_part : bool, whether `flat` is part of a model's buffer
    """

    flat: Array
    is_part: bool = False

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: Any = np.float32, flat: Array | None = None):
        ends = list(accumulate(map(prod, shapes.values()), initial=0))
        self.flat = _buffer(ends[-1], dtype) if flat is None else flat
        check_shape("flat", self.flat, (ends[-1],))
        for (name, shape), start, stop in zip(shapes.items(), ends, ends[1:]):
            super().__setitem__(name, self.flat[start:stop].reshape(shape))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each array, in the order of the buffer."""
        return {name: array.shape for name, array in self.items()}

    def zeros_like(self) -> Parameters:
        """Zeros with the same names, shapes and dtype, for instance to hold gradients."""
        return Parameters(self.shapes, self.flat.dtype)

    def copy(self) -> Parameters:
        """Return a copy with its own buffer."""
        return Parameters(self.shapes, self.flat.dtype, self.flat.copy())

    def __setitem__(self, name: str, value: Array) -> None:
        if name not in self:
            raise NumpyrnnError(f"parameter must be one of {', '.join(self)}, got {name!r}")
        check_shape(name, value, self[name].shape)
        if _MOST.get() is None:
            self[name][...] = value

    def update(self, *others: Any, **more: Any) -> None:
        """Copy the values of other mappings into the views."""
        for name, value in dict(*others, **more).items():
            self[name] = value

    def __reduce__(self) -> tuple[Any, ...]:  # so that the arrays of a copy are views of one buffer
        return _copied, (self.shapes, self.flat)


def _copied(shapes: Mapping[str, tuple[int, ...]], flat: Array) -> Parameters:
    """Parameters with a buffer of their own: `flat` may be read-only, or belong to a file that joblib has mapped."""
    return Parameters(shapes, flat=np.array(flat))
