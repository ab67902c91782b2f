"""JSON texts of a model file: read within bounds, and only when they are needed."""

from __future__ import annotations

import json
from collections import UserDict
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .checks import NumpyrnnError

Text = bytes | memoryview  # ASCII
MOST_CONTAINERS = 250_000  # in a JSON text, plus one for every 50 bytes: "[]," takes 25 times as much memory as text


def parse(text: Text) -> Any:
    """The value of a JSON text.

    Raises
    ------
    NumpyrnnError
        if it is not JSON in ASCII, holds a name twice, NaN or infinity, or far too many lists or dicts
    """
    try:
        words = str(text, "ascii")
        if words.count("[") + words.count("{") > MOST_CONTAINERS + len(words) // 50:
            raise NumpyrnnError("a JSON text must not consist of lists alone")
        return json.loads(words, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NumpyrnnError(f"a JSON text must be valid ({error!s:.200})") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise NumpyrnnError("a name occurs twice")
    return found


def _refuse(constant: str) -> None:
    raise NumpyrnnError(f"{constant} is no number")


def strings(text: Text, most: int) -> list[str]:
    """The value of a JSON text that is a list of strings; an error, before more are made, unless they are 1 to `most`.

    Raises
    ------
    NumpyrnnError
        if it is something else
    """
    words, decode, place, found = str(text, "ascii"), json.JSONDecoder().raw_decode, 0, list[str]()
    while words[place : place + 1] == ("," if found else "["):
        place += 1 + (words[place + 1 : place + 2] == " ")
        if words[place : place + 1] != '"' or len(found) == most:
            break
        token, place = decode(words, place)
        found.append(token)
    if words[place:] != "]" or not found:
        raise NumpyrnnError(f"there must be a list of at most {most:,} strings, there is something else")
    return found


class LazyDict(UserDict[str, Any]):
    """A dict that is parsed from a JSON text when it is first used, so that a large one costs nothing until then.

    Parameters
    ----------
    source : the text, or a mapping
    more : mapping, values that are not in the text

    Raises
    ------
    NumpyrnnError
        later, on the first use, if the text is not the JSON of a dict
    """

    def __init__(self, source: Text | Mapping[str, Any] = b"{}", more: Mapping[str, Any] | None = None):
        self.source, self.more = source, more or {}

    @cached_property
    def data(self) -> dict[str, Any]:  # type: ignore[override]
        """The dict itself."""
        found = self.source if isinstance(self.source, Mapping) else parse(self.source)
        if not isinstance(found, Mapping):
            raise NumpyrnnError(f"there must be a JSON object, got {found!r:.80}")
        self.source = b""
        return {**found, **self.more}
