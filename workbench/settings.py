"""The settings of a program's networks, as its model files keep them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import field, fields
from typing import Any, Self

from numpyrnn import Checkpoint, NumpyrnnError, Sequential
from numpyrnn.checks import check_count, check_range, check_share
from numpyrnn.parameters import sketch

HIGHEST = 1 << 53  # of a number whose field names no other limit
LARGEST_RATE = 1e6  # of a learning rate, or of a norm


def within(default: Any, low: float, high: float = float("inf")) -> Any:
    """Declare a field of `Settings`: a number within a range; None is allowed if the annotation says so."""
    return field(default=default, metadata={"range": (low, high)})


def above(default: float, low: float, high: float = LARGEST_RATE) -> Any:
    """Declare a field of `Settings` like `within`; `low` itself is not allowed."""
    return field(default=default, metadata={"range": (low, high), "open": True})


def share(default: float) -> Any:
    """Declare a field of `Settings`: a number of at least 0 and below 1."""
    return field(default=default, metadata={"range": (0, 1), "share": True})


def one_of(default: Any, known: Iterable[Any]) -> Any:
    """Declare a field of `Settings`: a choice, or a tuple of choices, among known values."""
    return field(default=default, metadata={"known": known})


class Settings:
    """The base of a program's frozen dataclass of settings. Each field needs a default, whose type is checked.

    A field that is declared with `within` or `one_of` is checked further. A program's own `__post_init__` must call
    this one.

    Raises
    ------
    NumpyrnnError
        if a value has another type than the default, or is out of range
    """

    def __post_init__(self) -> None:
        for one in fields(self):  # type: ignore[arg-type]
            _check(one.name, getattr(self, one.name), one)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """The settings with which a checkpoint's model was made.

        Raises
        ------
        NumpyrnnError
            if it has none, or they do not fit
        """
        try:
            found = checkpoint.config["settings"].items()
            return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in found})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise NumpyrnnError(f"the model must hold its settings, it does not ({error!s:.200})") from error


def _check(name: str, value: Any, declared: Any) -> None:
    """Raise unless a value has the type and the range of a dataclass field."""
    kind, optional = type(declared.default), "None" in str(declared.type)
    if value is None and optional:
        return
    low, high = declared.metadata.get("range", (-HIGHEST, HIGHEST))
    if kind is int:
        check_count(name, value, low, high)
    elif declared.metadata.get("share"):
        check_share(name, value)
    elif kind is float and not isinstance(value, bool):
        check_range(name, value, low, high, open_low=declared.metadata.get("open", False))
    elif not isinstance(value, kind):
        raise NumpyrnnError(f"{name} must be a value like {declared.default!r}, got {value!r:.80}")
    known = declared.metadata.get("known")
    for one in value if isinstance(value, tuple) else [value]:
        if known is not None and one not in known:
            raise NumpyrnnError(f"{name} must be one of {', '.join(known)}, got {one!r:.80}")


def check_network(checkpoint: Checkpoint, build: Callable[[], Sequential]) -> None:
    """Raise unless a checkpoint's network is the one that `build` makes of its settings; nothing large is made."""
    expected = None  # if it needs more parameters than there are
    with sketch(checkpoint.model.params.flat.size), suppress(NumpyrnnError):
        expected = build().config()
    if checkpoint.model.config() != expected:
        raise NumpyrnnError(f"the network must be that of its settings, it is another: {checkpoint.model!r:.120}")
