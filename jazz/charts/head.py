"""The head of a typed chart: lines such as `title: ...` and `meter: 3/4` above the first bar."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from numpyrnn import NumpyrnnError

from ..feels import FEELS, feels_of
from .chart import parse_key

# The fields of a head, and other words for them.
FIELDS = {
    "title": ("name", "song", "tune", "t"),
    "composer": ("composers", "composed by", "music", "by", "author", "artist"),
    "meter": ("time", "time signature", "metre"),
    "tempo": ("bpm",),
    "feel": ("style", "groove", "rhythm"),
    "key": ("key signature",),
    "pickup": ("upbeat", "anacrusis"),
}
WORDS = {word: field for field, others in FIELDS.items() for word in (field, *others)}
TEMPO = re.compile(r"(?:(?:♩|q|quarter)\s*=\s*|ca?\.?\s*|~\s*)?(\d{2,3})\s*(?:bpm)?", re.IGNORECASE)
NAME = re.compile("^(?:(?:words (?:and|&) )?(?:music )?by|composed by|tempo) ", re.IGNORECASE)
KEY = re.compile("(?i:key(?: of)?|in) ([A-G](?:[#b]| flat| sharp)?(?: ?m| major| minor)?)")
STYLE = re.compile(
    r"(?:(?:slow|med(?:ium|\.)?|fast|up|easy|bright|moderate) )?(?:swing|bossa(?: nova)?|ballad|latin|samba|waltz"
    r"|shuffle|rock|funk|up-?tempo|straight(?: 8ths| eighths)?)",
    re.IGNORECASE,
)


def field_of(line: str, head: Mapping[str, object]) -> tuple[str, str]:
    """The field and value of a line of words below a head; the field is empty if the head has it already."""
    words = line[1:-1] if line[0] == "(" and line[-1] == ")" else line
    value = NAME.sub("", words)
    field = next((field for field in ("title", "composer") if not head.get(field)), "")
    if TEMPO.fullmatch(value) and not line.isdecimal():
        field = "tempo"
    elif found := KEY.fullmatch(value):
        field, value = "key", found[1]
    elif head.get("title") and STYLE.fullmatch(value):
        field = "feel"
    return "" if head.get(field) else field, words if field == "title" else value


def read_field(field: str, text: str, guess: Callable[[str], object]) -> Any:
    """Read the value of a field.

    Parameters
    ----------
    field : one of FIELDS, other than meter
    text : str
    guess : function, called with a line about what was guessed

    Returns
    -------
    what `Chart` has for the field

    Raises
    ------
    NumpyrnnError
        if it cannot be read
    """
    if field in ("key", "feel"):
        return parse_key(text) if field == "key" else read_feel(text, guess)
    if field == "tempo":
        found = TEMPO.fullmatch(text)
        if not found or not 20 <= int(found[1]) <= 400:
            raise NumpyrnnError(f"a tempo must be 20 to 400 quarters a minute, got {text[:40]!r}")
        return int(found[1])
    if field == "pickup":
        if not re.fullmatch(r"\d{1,2}(?:\.\d{1,2}|/[1-9]\d?)?", text):
            raise NumpyrnnError(f"a pickup must be a number of quarters, such as 1 or 1/2, got {text[:40]!r}")
        return Fraction(text)
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def read_feel(text: str, guess: Callable[[str], object]) -> str:
    """The feel of a style such as "bossa nova"; `guess` is called unless the style is the name of a feel."""
    feel = next(iter(feels_of(text)), "")
    if not feel:
        what = f"a feel must be one of {', '.join(FEELS)}, or a style such as latin, shuffle or medium up"
        raise NumpyrnnError(f"{what}, got {text[:40]!r}")
    if text.lower() != feel:
        guess(f"the style {text[:40]!r} is read as {feel}")
    return feel
