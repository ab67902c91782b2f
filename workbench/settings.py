"""The settings of a program's networks, as its model files keep them."""

from __future__ import annotations

from dataclasses import fields
from typing import Self

from numpyrnn import Checkpoint, NumpyrnnError


class Settings:
    """The base of a program's frozen dataclass of settings. Each field needs a default, whose type is checked."""

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
            settings = cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in found})
            for field in fields(settings):  # type: ignore[arg-type]
                value, kind = getattr(settings, field.name), type(field.default)
                if not isinstance(value, (int, float) if kind is float else kind) and "None" not in str(field.type):
                    raise TypeError(f"{field.name} is {value!r:.40}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise NumpyrnnError(f"the model must hold its settings, it does not ({error})") from error
        return settings
