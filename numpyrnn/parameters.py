"""Named arrays that are views into one flat buffer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from .checks import Array, NumpyrnnError, check_shape


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
        try:
            self.flat = np.zeros(ends[-1], dtype) if flat is None else flat
        except (OverflowError, ValueError) as error:
            raise NumpyrnnError(f"parameters must fit into memory, there would be {ends[-1]:,} of them") from error
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
