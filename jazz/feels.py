"""Feels: the rhythms that band and soloist know, and the feels of the styles that charts name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from numpyrnn import NumpyrnnError

FEELS = ("swing", "straight", "bossa", "waltz", "ballad")

# Words of styles, and their feel. A style such as "Rock Ballad" has the feel of the first line that fits.
STYLES = [
    ("straight", r"\beven\b|\bstraight(?!.?ahead)|\becm\b|\b(?:rock|pop|soul|country) ballad"),
    ("bossa", r"\bbossa"),
    ("waltz", r"\bwaltz"),
    ("ballad", r"\bballad"),
    ("swing", r"\bsw[iu]ng|\bshuffle|bop\b|\bdixie|\btrad|\bgypsy|\bnew orleans|\btriplet|\bstraight.?ahead"),
    ("bossa", r"\blatin|\bsamba|\bbolero|\bmambo|\bcha\b|\brumba|\bsalsa|\bchoro|\bbai[aã]o|\bbeguine|\bcalypso"),
    ("straight", r"\bafro|\brock|\bfunk|\bpop\b|\bsoul|\brnb|\breggae|\bcountry|\bbluegrass|\btango|\bfusion"),
]
WEAK = re.compile(r"\bmedium|\bblues|\bjazz|\bup.?tempo", re.IGNORECASE)  # swing, if no other word names a feel


def chosen(what: str, name: str, known: Sequence[str]) -> str:
    """The one of the known names that is given, in any case; else an error with the nearest name."""
    if (lower := name.strip().lower()) in known:
        return lower
    near = "".join(f" (did you mean {word}?)" for word in get_close_matches(lower, known, 1, 0.5))
    raise NumpyrnnError(f"{what} must be one of {', '.join(known)}, got {name!r:.60}{near}")


def swings(feel: str) -> bool:
    """Whether eighths are played long and short in a feel, unless they are the beat."""
    return feel in ("swing", "waltz", "ballad")


def feels_of(style: str) -> list[str]:
    """The feels of the words in a style such as "Medium Swing"; the first one is the feel of the style."""
    found = [feel for feel, words in STYLES if re.search(words, style, re.IGNORECASE)]
    return found or ["swing"] * bool(WEAK.search(style))


def feel_in(feel: str, meter: tuple[int, int]) -> str:
    """The feel of changes in a meter: swing, in 3/4, is a waltz, and a waltz, in other meters, is swing."""
    return feel if feel not in ("", "swing", "waltz") else "waltz" if meter == (3, 4) else "swing"
