"""One place of a solo, and what may be played there."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

from .grammar import Value, candidates, interval_range, kinds, semitones
from .tokens import Place
from .tunes import Bar

LOW, HIGH = 55, 82  # the range of the instrument by default, G3 to B flat 5
NEAR = 12  # semitones, the largest leap to a bar's first note
EIGHTH = Fraction(1, 2)  # quarters; after a rest as long as this or longer, a note begins on an eighth
MIDDLE = 0.6  # where in the range of the instrument most notes are
TONE = 2  # semitones, the largest step to which an approach tone resolves
LONG = Fraction(1)  # quarters; a note as long as this or longer is of the chord or its scale


@dataclass(frozen=True)
class Spot:
    """What may be played at one place.

    Attributes
    ----------
    place : Place
    bar : Bar
    end : Fraction, quarters, the end of the form or of the soloist's turn
    sounding : int, the pitch that ends here and must not be repeated; or None
    first : bool, whether no note has begun in this bar yet
    rest : bool, whether a rest is allowed
    resolve : bool, whether the next pitch must be at most a whole tone away, after an approach tone
    low, high : int, the range of the instrument
    last : Fraction, quarters, where the last note must begin; or None
    held : bool, whether a chord tone may last to the end
    """

    place: Place
    bar: Bar
    end: Fraction
    sounding: int | None
    first: bool
    rest: bool
    resolve: bool
    low: int = LOW
    high: int = HIGH
    last: Fraction | None = None
    held: bool = True

    @cached_property
    def start(self) -> int:
        """The pitch near which a line begins."""
        return round(middle(self.low, self.high))

    @cached_property
    def now(self) -> Fraction:
        """Quarters from the beginning of the form."""
        return self.bar.onset + self.place.position

    @cached_property
    def bar_end(self) -> Fraction:
        """The end of the bar, in quarters from the beginning of the form."""
        return self.bar.onset + self.bar.length

    def pitches(self, value: Value) -> list[int]:
        """The pitches that a value allows here; none if the value is not allowed."""
        low, high, previous = self.low, self.high, self.place.previous
        if self.first:
            if value.interval:
                return []
            centre = min(max(self.start if previous is None else previous, low), high)
            low, high = max(low, centre - NEAR), min(high, centre + NEAR)
        elif not value.interval:
            return []
        if self.resolve and previous is not None:
            low, high = max(low, previous - TONE), min(high, previous + TONE)
        found = candidates(value, previous, self.place.chord.pitches, low, high)
        repeats = value.interval is not None and sum(map(semitones, value.interval)) == 0
        return [pitch for pitch in found if repeats or pitch != self.sounding]

    def fits(self, kind: str, duration: Fraction) -> bool:
        """Whether a value's duration keeps to the grid and the form.

        No beat mixes triplets and sixteenths, a rest ends with its bar and, unless it is short, on an eighth, nothing
        lasts into the last note, and only a rest or a chord tone lasts to the end of the form.
        """
        position, length = self.place.position, self.bar.length
        after = position + duration
        if not on_grid(position, duration, length):
            return False
        if kind == "R" and (after > length or (duration >= EIGHTH and after % EIGHTH and after < length)):
            return False
        stop = self.now + duration
        return stop <= self.limit and self.may_end(kind, stop)

    def suits(self, kind: str, duration: Fraction) -> bool:
        """Whether a value that the soloist chooses fits: as `fits`, and only chord and scale tones are long."""
        return (kind in "CSR" or duration < LONG) and self.fits(kind, duration)

    def may_end(self, kind: str, stop: Fraction) -> bool:
        """Whether a note or rest may end at a time, with regard to the end."""
        return stop < self.end or kind == "R" or (kind == "C" and self.held)

    @cached_property
    def limit(self) -> Fraction:
        """Where a note must end: at the last note of the form, or at its end."""
        return self.last if self.last is not None and self.now < self.last else self.end

    def value(self, pitch: int, duration: Fraction) -> Value | None:
        """The value of a pitch as it is played here; None if it does not fit."""
        kind, previous = kinds(self.place.chord.pitches)[pitch % 12], self.place.previous
        pair = None if self.first or previous is None else interval_range(previous, pitch)
        value = Value(kind, duration, pair)
        return value if self.fits(kind, duration) and pitch in self.pitches(value) else None

    def to_the_beat(self) -> Fraction:
        """Quarters to the next beat, or to the end of the bar or the form."""
        return min(self.bar.onset + self.place.position // 1 + 1, self.bar_end, self.limit) - self.now

    def rests(self, least: Fraction) -> list[Fraction]:
        """Rests to beats, to the end of the bar, or to the last note: those of at least some length come first."""
        most, beat = min(self.bar_end, self.limit) - self.now, self.to_the_beat()
        found = [*(beat + i for i in range(int(most - beat) + 1)), most]
        return sorted(dict.fromkeys(found), key=lambda rest: rest < least)


def middle(low: int, high: int) -> float:
    """The pitch about which a solo moves, given its range: somewhat above the middle."""
    return low + MIDDLE * (high - low)


@lru_cache(1 << 14)
def on_grid(position: Fraction, duration: Fraction, length: Fraction) -> bool:
    """Whether a duration from a position in a bar ends on the grid of the beats in which it begins and ends."""
    if not duration > 0:
        return False
    now = grids(position, length)
    return not now or bool(now & grids((position + duration) % length, length))


def grids(position: Fraction, length: Fraction) -> set[int]:
    """Into how many parts a beat can be divided to reach a position; a beat cut by the bar line has no triplets."""
    cut = position // 1 + 1 > length
    return {grid for grid in (4, 3) if (position * grid).denominator == 1 and not (grid == 3 and cut)}
