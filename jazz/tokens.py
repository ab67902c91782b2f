"""Tokens: a tune as the network reads it, the context of each value followed by the value itself.

The context is known before the value is played and is the same in every key: the position in the bar, the family of the
chord, the degree and the register of the previous note, the next chord, and the shape of the section: the manner, how
many notes it has and how high they lie. The network learns to predict the value, its type, duration and interval as
three tokens ("parts") or as one ("atomic"). A tune shows it the shapes of its sections; a soloist chooses them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter

from numpyrnn import NumpyrnnError

from .chords import family, root_of
from .grammar import Element, Value, parse_value, sounding
from .tunes import Bar, Tune

FORMS = ("parts", "atomic")
KIND, DURATION, INTERVAL, WHOLE = "type ", "duration ", "interval ", "value "
PREFIXES = (KIND, DURATION, INTERVAL, WHOLE)  # with which the tokens of values begin
LOWEST, REGISTER = 48, 4  # the pitch where register 0 begins, and the semitones of a register
ONSET = attrgetter("onset")
FAR = Fraction(4)  # quarters; longer distances are cut to this
SECTION = 4  # bars that have one shape
CROWD, STOREY = 1.5, 3  # notes in four quarters, and semitones, that are told apart in a shape
MANY = 0.12  # a share of beats that is told apart from fewer


@dataclass(frozen=True)
class Shape:
    """What a section is like.

    Attributes
    ----------
    style : str, the manner of the whole tune; empty if unknown
    density : float, notes in four quarters, or None
    height : float, the mean pitch, or None
    triplets, sixteenths : float, of the beats with notes, the share that has them, or None
    """

    style: str = ""
    density: float | None = None
    height: float | None = None
    triplets: float | None = None
    sixteenths: float | None = None


NO_SHAPE = Shape()


@dataclass(frozen=True)
class Place:
    """What is known before a value is played.

    Attributes
    ----------
    position : Fraction, quarters from the beginning of the bar
    chord : Element, the chord that sounds
    previous : int, the previous pitch, or None
    following : Element, the next chord, or None
    left : Fraction, quarters until the next chord
    shape : Shape of the section
    """

    position: Fraction
    chord: Element
    previous: int | None = None
    following: Element | None = None
    left: Fraction = FAR
    shape: Shape = NO_SHAPE


def _root(chord: Element) -> int:
    """The root in the chord's symbol, or else the most likely one."""
    return root_of(chord.pitches) if chord.root is None else chord.root


def _family(chord: Element) -> str:
    return family(chord.pitches, _root(chord))


def _next(place: Place) -> str:
    if place.following is None:
        return "-"
    return f"{(_root(place.following) - _root(place.chord)) % 12} {_family(place.following)}"


def _few_or_many(share: float | None) -> str:
    return "-" if share is None else str(int(share > 0) + int(share > MANY))


CONTEXTS: dict[str, Callable[[Place], str]] = {
    "position": lambda place: f"{float(place.position):.3f}",
    "chord": lambda place: _family(place.chord),
    "degree": lambda place: "-" if place.previous is None else str((place.previous - _root(place.chord)) % 12),
    "register": lambda place: "-" if place.previous is None else str((place.previous - LOWEST) // REGISTER),
    "next": _next,
    "left": lambda place: "-" if place.following is None else f"{float(min(place.left, FAR)):.3f}",
    "style": lambda place: place.shape.style or "-",
    "density": lambda place: "-" if place.shape.density is None else str(round(place.shape.density / CROWD)),
    "height": lambda place: "-" if place.shape.height is None else str(round((place.shape.height - LOWEST) / STOREY)),
    "triplets": lambda place: _few_or_many(place.shape.triplets),
    "sixteenths": lambda place: _few_or_many(place.shape.sixteenths),
}


def context(place: Place, kinds: Sequence[str]) -> list[str]:
    """The tokens of a value's context.

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
    """The tokens of a value: three if the form is "parts", one if it is "atomic"."""
    if form == "atomic":
        return [f"{WHOLE}{value}"]
    kind, duration, *pair = str(value).split(",", 2)
    return [KIND + kind, DURATION + duration, INTERVAL + (pair[0] if pair else "-")]


def value_of(tokens: Sequence[str]) -> Value:
    """The value that some tokens stand for; the inverse of `parts`. An error if they stand for none."""
    texts = [token.removeprefix(start) for token in tokens for start in PREFIXES if token.startswith(start)]
    if len(texts) != len(tokens) or len(texts) not in (1, 3):
        raise NumpyrnnError(f"a value must have three parts or be one symbol, got {list(tokens)}")
    return parse_value(",".join(text for text in texts if text != "-"))


def is_of_value(token: str) -> bool:
    """Whether a token belongs to a value, not to its context."""
    return token.startswith(PREFIXES)


def stream(tune: Tune, kinds: Sequence[str], form: str) -> list[list[str]]:
    """The tokens of a tune, one list for each value.

    Parameters
    ----------
    tune : Tune
    kinds : names from CONTEXTS
    form : "parts" or "atomic"

    Returns
    -------
    list of lists of str
    """
    chords = sorted({chord.onset: chord for bar in tune.bars for chord in bar.chords}.values(), key=ONSET)
    tokens: list[list[str]] = []
    previous = None
    for bar, values, shape in zip(tune.bars, tune.values(), shapes(tune), strict=True):
        for element, value in zip(bar.melody, values, strict=True):
            tokens.append(context(place_of(element.onset, bar, chords, previous, shape), kinds) + parts(value, form))
            previous = max(element.pitches, default=previous)
    return tokens


def shapes(tune: Tune) -> list[Shape]:
    """The shape of the section in which each bar of a tune lies."""
    found: list[Shape] = []
    for first in range(0, len(tune.bars), SECTION):
        bars = tune.bars[first : first + SECTION]
        notes = [(element.onset - bar.onset, element) for bar in bars for element in bar.melody if element.pitches]
        density = len(notes) / float(sum(bar.length for bar in bars)) * 4
        if not notes:
            found += [Shape(tune.style, density)] * len(bars)
            continue
        height = sum(max(element.pitches) for _, element in notes) / len(notes)
        beats = {(element.onset - place, place // 1) for place, element in notes}
        shares = (
            len({(element.onset - place, place // 1) for place, element in notes if (place % 1).denominator == of})
            / len(beats)
            for of in (3, 4)
        )
        found += [Shape(tune.style, density, height, *shares)] * len(bars)
    return found


def place_of(
    onset: Fraction, bar: Bar, chords: Sequence[Element], previous: int | None, shape: Shape = NO_SHAPE
) -> Place:
    """The place of a value: its onset and bar, all chords of the tune by onset, the previous pitch, and the shape."""
    n_begun = bisect_right(chords, onset, key=ONSET)
    following = chords[n_begun] if n_begun < len(chords) else None
    left = following.onset - onset if following else FAR
    return Place(onset - bar.onset, sounding(bar.chords, onset), previous, following, left, shape)
