"""From a tune to what the network reads: before every value what is known already, then the value, in parts.

The tokens of one value are, in this order: where it begins in its bar, over which kind of chord, from which degree of
it the line comes, in which register, and what chord is next (all of it known when a solo is played, and independent of
the key); then its type, its duration and its interval, which are what the network learns to say. As one symbol in place
of three the value is "atomic".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from numpyrnn import NumpyrnnError

from .element import Element
from .grammar import Value, parse_value, sounding
from .reading.estimate import best_root
from .tunes import Tune

FORMS = ("parts", "atomic")
KIND, DURATION, INTERVAL, WHOLE = "type ", "duration ", "interval ", "value "
SAID = (KIND, DURATION, INTERVAL, WHOLE)  # what the tokens of a value begin with
LOWEST, REGISTER = 48, 4  # a register is four semitones wide
FAR = Fraction(4)  # quarters; what is further away is not told apart


@dataclass(frozen=True)
class Place:
    """Where a value will stand.

    Attributes
    ----------
    position : Fraction, quarters from the beginning of the bar
    chord : Element, what sounds
    previous : int, the pitch before, or None
    following : Element, the next chord, or None
    left : Fraction, quarters until it comes
    """

    position: Fraction
    chord: Element
    previous: int | None = None
    following: Element | None = None
    left: Fraction = FAR


def root_of(chord: Element) -> int:
    """The root of a chord: as its symbol says, or found in its notes."""
    return best_root(chord.pitches) if chord.root is None else chord.root


def family(chord: Element) -> str:
    """Major, dominant, minor, diminished, augmented or suspended, over the chord's root."""
    root = root_of(chord)
    tones = {(pitch - root) % 12 for pitch in chord.pitches}
    if 4 in tones:
        return "dominant" if 10 in tones else "augmented" if 8 in tones and 7 not in tones else "major"
    if 3 in tones:
        return "diminished" if 6 in tones and 7 not in tones else "minor"
    return "suspended"


def _next(place: Place) -> str:
    if place.following is None:
        return "-"
    return f"{(root_of(place.following) - root_of(place.chord)) % 12} {family(place.following)}"


CONTEXTS: dict[str, Callable[[Place], str]] = {
    "position": lambda place: f"{float(place.position):.3f}",
    "chord": lambda place: family(place.chord),
    "degree": lambda place: "-" if place.previous is None else str((place.previous - root_of(place.chord)) % 12),
    "register": lambda place: "-" if place.previous is None else str((place.previous - LOWEST) // REGISTER),
    "next": _next,
    "left": lambda place: "-" if place.following is None else f"{float(min(place.left, FAR)):.3f}",
}


def context(place: Place, kinds: Sequence[str]) -> list[str]:
    """The tokens that say what is known at a place.

    Parameters
    ----------
    place : Place
    kinds : names from CONTEXTS

    Returns
    -------
    list of str
    """
    return [f"{kind}: {CONTEXTS[kind](place)}" for kind in kinds]


def parts(value: Value, form: str) -> list[str]:
    """The tokens of a value: type, duration and interval, or the whole as one."""
    if form == "atomic":
        return [f"{WHOLE}{value}"]
    kind, duration, *pair = str(value).split(",", 2)
    return [KIND + kind, DURATION + duration, INTERVAL + (pair[0] if pair else "-")]


def value_of(tokens: Sequence[str]) -> Value:
    """The value that tokens say; the inverse of `parts`."""
    said = [token.removeprefix(start) for token in tokens for start in SAID if token.startswith(start)]
    if len(said) != len(tokens) or len(said) not in (1, 3):
        raise NumpyrnnError(f"a value must have three parts or be one symbol, got {list(tokens)}")
    return parse_value(",".join(part for part in said if part != "-"))


def is_said(token: str) -> bool:
    """Whether a token is part of a value, and not of what is known before."""
    return token.startswith(SAID)


def stream(tune: Tune, kinds: Sequence[str], form: str) -> list[list[str]]:
    """The tokens of a tune, a list for each value.

    Parameters
    ----------
    tune : Tune
    kinds : names from CONTEXTS
    form : "parts" or "atomic"

    Returns
    -------
    list of lists of str
    """
    chords = sorted({chord.onset: chord for bar in tune.bars for chord in bar.chords}.values(), key=lambda c: c.onset)
    following = 0
    tokens: list[list[str]] = []
    previous = None
    for bar, values in zip(tune.bars, tune.values(), strict=True):
        for element, value in zip(bar.melody, values, strict=True):
            while following < len(chords) and chords[following].onset <= element.onset:
                following += 1
            place = place_of(element.onset, bar.onset, bar.chords, previous, chords[following : following + 1])
            tokens.append(context(place, kinds) + parts(value, form))
            previous = max(element.pitches, default=previous)
    return tokens


def place_of(
    onset: Fraction, bar: Fraction, chords: Sequence[Element], previous: int | None, following: Sequence[Element]
) -> Place:
    """The place of a value that begins at `onset` in a bar with these chords, the next one after them."""
    ahead = following[0] if following else None
    left = ahead.onset - onset if ahead else FAR
    return Place(onset - bar, sounding(chords, onset), previous, ahead, left)
