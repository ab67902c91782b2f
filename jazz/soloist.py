"""A new line over changes, sampled from a model value by value so that it keeps time and harmony."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeVar

import numpy as np

from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array, check_count, check_range
from numpyrnn.sampling import Sampler
from numpyrnn.stepper import Stepper

from .changes import Changes
from .grammar import Element, Value, candidates, parse_value, semitones
from .model import Settings, training_values
from .tokens import DURATION, INTERVAL, KIND, WHOLE, Place, context, parts, place_of
from .tunes import Bar, Tune, chord_elements, make_bars

LOW, HIGH = 55, 82  # the range of the instrument by default, G3 to B flat 5
OCTAVE = 12  # semitones, the least range
LONGEST_COPY = 8  # values
TEMPO = 130  # quarters a minute
TONE = 2  # semitones, the largest step to which an approach tone resolves
NEAR = 7  # semitones, the largest leap to a bar's first note
ONE = Fraction(1)
Meaning = TypeVar("Meaning")
Pair = tuple[str, str] | None


@dataclass(frozen=True)
class Line:
    """A melody line over changes.

    Attributes
    ----------
    changes : Changes, of all choruses
    values : list of Value
    elements : list of Element, the note or rest of each value
    """

    changes: Changes
    values: list[Value]
    elements: list[Element]

    def tune(self) -> Tune:
        """The line in bars, with its chords."""
        notes = [element for element in self.elements if element.pitches]
        chords = chord_elements(self.changes.flat())
        return Tune("solo", make_bars(notes, chords, self.changes.grid), self.changes.name)


@dataclass(frozen=True)
class Spot:
    """What may be played at one place.

    Attributes
    ----------
    place : Place
    bar : Bar
    end : Fraction, quarters, the end of the form
    sounding : int, the pitch that ends here and must not be repeated; or None
    first : bool, whether no note has begun in this bar yet
    rest : bool, whether a rest is allowed
    resolve : bool, whether the next pitch must be at most a whole tone away, after an approach tone
    low, high : int, the range of the instrument
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

    @property
    def start(self) -> int:
        """The pitch near which a line begins, just below the middle of the range."""
        return (self.low + self.high) // 2 - 1

    @property
    def now(self) -> Fraction:
        """Quarters from the beginning of the form."""
        return self.bar.onset + self.place.position

    @property
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
        return [pitch for pitch in found if pitch != self.sounding]

    def fits(self, kind: str, duration: Fraction) -> bool:
        """Whether a value's duration keeps to the grid and the form.

        No beat mixes triplets and sixteenths, a rest ends with its bar, and only a rest or a chord tone lasts to the
        end of the form.
        """
        stop = self.now + duration
        if not duration > 0 or stop > (self.bar_end if kind == "R" else self.end):
            return False
        if stop == self.end and kind not in "CR":
            return False
        now = self._grids(self.place.position)
        return not now or bool(now & self._grids((stop - self.bar.onset) % self.bar.length))

    def _grids(self, position: Fraction) -> set[int]:
        """Into how many parts a beat can be divided to reach a position; a beat cut by the bar line has no triplets."""
        cut = position // 1 + 1 > self.bar.length
        return {grid for grid in (4, 3) if (position * grid).denominator == 1 and not (grid == 3 and cut)}

    def to_the_beat(self) -> Fraction:
        """Quarters to the next beat, or to the end of the bar or the form."""
        return min(self.bar.onset + self.place.position // 1 + 1, self.bar_end, self.end) - self.now


class Soloist:
    """Samples lines from a model.

    Values are drawn from the model's distribution, restricted to values that keep to the grid and the form and that
    some pitch can play. This pitch must have the value's type over the chord and lie within the interval range and on
    the instrument, and it must not repeat the previous pitch. So every bar is full, and all lines obey the grammar.

    Parameters
    ----------
    checkpoint : Checkpoint of a soloist
    sampler : Sampler
    density : float, default 1
        2 halves the probability of rests and favours short notes, 0.5 does the opposite.
    longest_copy : int, optional
        The longest run of values that may equal a run in a training tune; default: no limit.
    low, high : int, default 55 and 82 (G3 to B flat 5), the range of the instrument, an octave at least

    Raises
    ------
    NumpyrnnError
        if a setting is out of range, or the model does not know the parts of a value
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        sampler: Sampler,
        density: float = 1.0,
        longest_copy: int | None = None,
        low: int = LOW,
        high: int = HIGH,
    ):
        check_range("density", density, 0, open_low=True)
        self.low, self.high = check_count("low", low, 0, 127), check_count("high", high, 0, 127)
        if high - low < OCTAVE:
            raise NumpyrnnError(f"the range must be at least an octave, got the pitches {low} to {high}")
        self.settings, self.ids = Settings.of(checkpoint), checkpoint.vocabulary.ids
        self.sampler, self.step = sampler, Stepper(checkpoint.model)
        self.kinds = self._meanings(KIND, str)
        self.durations = self._meanings(DURATION, lambda text: parse_value(f"R,{text}").duration)
        self.pairs = self._meanings(INTERVAL, lambda text: parse_value(f"C,1.000,{text}".removesuffix(",-")).interval)
        self.wholes = self._meanings(WHOLE, parse_value)
        if not self.wholes and not (self.kinds and self.durations and self.pairs):
            raise NumpyrnnError("the model must know the parts of values, it does not")
        self.longest_copy = longest_copy
        self.continuations: dict[tuple[str, ...], set[str]] = {}  # the values that follow each run of that length
        if longest_copy is not None:
            check_count("longest_copy", longest_copy, 1)
            for _, values in training_values(checkpoint):
                for i in range(len(values) - longest_copy):
                    run = tuple(values[i : i + longest_copy])
                    self.continuations.setdefault(run, set()).add(values[i + longest_copy])
        log_density = float(np.log(density))
        self.bias = np.zeros(len(self.ids))
        for token, kind in [*self.kinds.items(), *((t, v.kind) for t, v in self.wholes.items())]:
            self.bias[token] -= log_density * (kind == "R")
        for token, duration in [*self.durations.items(), *((t, v.duration) for t, v in self.wholes.items())]:
            self.bias[token] -= log_density * float(np.log2(float(max(duration, Fraction(1, 8))) * 2))

    def _meanings(self, start: str, read: Callable[[str], Meaning]) -> dict[int, Meaning]:
        """The meanings of the tokens that begin with `start`, by id."""
        return {i: read(token.removeprefix(start)) for token, i in self.ids.items() if token.startswith(start)}

    def play(
        self,
        changes: Changes,
        primer: Sequence[Value] = (),
        on_bar: Callable[[int], object] | None = None,
        tempo: float = TEMPO,
        style: str | None = None,
    ) -> Line:
        """Improvise over changes.

        Parameters
        ----------
        changes : Changes
        primer : sequence of Value with which the line begins, up to the first that does not fit
        on_bar : function, optional, called with the number of bars just completed, to show progress
        tempo : float, default 130, quarters a minute; phrases are longer at speed
        style : str, optional, the manner, such as "bebop", one of `styles`; default: that of the form

        Returns
        -------
        Line

        Raises
        ------
        NumpyrnnError
            if the model does not know the style, or the tempo is out of range
        """
        check_range("tempo", tempo, 20, 400)
        self.step.reset()
        self.logits: Array = np.zeros(len(self.ids))
        quoted, chords = list(reversed(primer)), chord_elements(changes.flat())
        bars, line = make_bars([], chords, changes.grid), Line(changes, [], [])
        previous: int | None = None
        played: Bar | None = None  # the last bar in which a note begins
        now, silence = Fraction(0), Fraction(0)
        while now < changes.end:
            bar = bars[int(now // changes.bar)]
            place = place_of(now, bar, chords, previous)
            for text in context(place, self.settings.context):
                self._hear(self._nearest(text))
            sounding = max(line.elements[-1].pitches, default=None) if line.elements else None
            resolve = sounding is not None and line.values[-1].kind == "A"
            rest = silence < bar.length and not resolve and (now == bar.onset or sounding is not None)  # one at a time
            spot = Spot(place, bar, changes.end, sounding, played is not bar, rest, resolve, self.low, self.high)
            recent = () if self.longest_copy is None else tuple(map(str, line.values[-self.longest_copy :]))
            value = self._quote(spot, quoted.pop()) if quoted else None
            if value is None:  # the primer is over or does not fit: from here on the model plays
                quoted.clear()
                value = self._final(spot) if changes.ending and bar is bars[-1] else None
            if value is None:
                value = self._draw(spot, self.continuations.get(recent, set()))
            pitches = (self._choose(spot, value),) if value.kind != "R" else ()
            line.values.append(value)
            line.elements.append(Element(now, value.duration, pitches))
            start, now = now, now + value.duration
            silence += value.duration
            if on_bar:
                on_bar(int(now // changes.bar - start // changes.bar))
            if pitches:
                previous, played, silence = pitches[0], bar, Fraction(0)
        return line

    def _quote(self, spot: Spot, value: Value) -> Value | None:
        """Feed a value of the primer to the model and return it as it is played here; None if it does not fit."""
        if spot.first or value.kind == "R":
            value = replace(value, interval=None)
        if not spot.fits(value.kind, value.duration) or not (value.kind == "R" or spot.pitches(value)):
            return None
        for text in parts(value, self.settings.form):
            self._hear(self._nearest(text))
        return value

    def _final(self, spot: Spot) -> Value | None:
        """A chord tone held to the end; None if none is allowed."""
        value = Value("C", spot.end - spot.now)
        return value if spot.first and spot.pitches(value) else None

    def _draw(self, spot: Spot, copied: set[str]) -> Value:
        """Draw the next value among those that are allowed and not `copied`."""
        if self.wholes:
            return self._draw_whole(spot, copied)
        kinds = {*self.kinds.values()} - {"R"}
        pairs = {kind: [pair for pair in self.pairs.values() if spot.pitches(Value(kind, ONE, pair))] for kind in kinds}
        pairs["R"] = [None] if spot.rest else []
        if spot.resolve and not any(pairs.values()):  # the model knows no interval that is small enough
            return self._draw(replace(spot, resolve=False, rest=True), copied)
        durations = {kind: [d for d in self.durations.values() if spot.fits(kind, d)] for kind in pairs}
        for kind, found in durations.items():
            if not found and (kind in "CR" or spot.now + spot.to_the_beat() < spot.end):
                found.append(spot.to_the_beat())

        def fresh(kind: str, duration: Fraction) -> list[Pair]:
            return [pair for pair in pairs[kind] if not copied or str(Value(kind, duration, pair)) not in copied]

        kind = self._say(self.kinds, lambda kind: any(fresh(kind, d) for d in durations[kind])) or "R"
        possible = [duration for duration in durations[kind] if fresh(kind, duration)] or durations[kind]
        duration = self._say(self.durations, lambda duration: duration in possible)
        if duration is None:
            duration = possible[0]
            self._hear(min((abs(known - duration), token) for token, known in self.durations.items())[1])
        allowed = fresh(kind, duration) or [None]
        return Value(kind, duration, self._say(self.pairs, lambda pair: pair in allowed))

    def _draw_whole(self, spot: Spot, copied: set[str]) -> Value:
        """Draw the next value if values are single tokens; a rest to the beat if none is allowed."""

        def possible(value: Value) -> bool:
            if not spot.fits(value.kind, value.duration) or str(value) in copied:
                return False
            return spot.rest and not value.interval if value.kind == "R" else bool(spot.pitches(value))

        value = self._say(self.wholes, possible)
        return value if value is not None else Value("R", spot.to_the_beat())

    def _say(self, meanings: dict[int, Meaning], possible: Callable[[Meaning], bool]) -> Meaning | None:
        """Draw one of the tokens with a possible meaning, feed it to the model and return its meaning, or else None."""
        allowed = [token for token, meaning in meanings.items() if possible(meaning)]
        if not allowed:
            return None
        logits = np.full(len(self.ids), -np.inf)
        logits[allowed] = self.logits[allowed] + self.bias[allowed]
        token = self.sampler.draw_one(logits)
        self._hear(token)
        return meanings[token]

    def _hear(self, token: int | None) -> None:
        if token is not None:
            self.logits = self.step(token)

    def _nearest(self, text: str) -> int | None:
        """The id of a token; for an unknown one, that of the token of its kind with the nearest number, if any."""
        if text in self.ids:
            return int(self.ids[text])
        kind, _, wanted = text.partition(": ")
        known = [other for other in self.ids if other.startswith(f"{kind}: ")]

        def distance(other: str) -> float:
            try:
                return abs(float(other.partition(": ")[2]) - float(wanted))
            except ValueError:  # no number: the first token of the kind is taken
                return np.inf

        return self.ids[min(known, key=distance)] if known else None

    def _choose(self, spot: Spot, value: Value) -> int:
        """Draw an allowed pitch: nearest to the middle of the interval range or, without one, near the last pitch.

        At temperature 0 it is the most probable one, and the lowest of equally probable ones.
        """
        pitches, rng = np.array(spot.pitches(value)), self.sampler.rng
        previous = spot.start if spot.place.previous is None else spot.place.previous
        centre = previous if value.interval is None else previous + sum(map(semitones, value.interval)) / 2
        distance = abs(pitches - centre)
        if self.sampler.temperature == 0:
            return int(pitches[distance.argmin()])
        if value.interval is None:  # a bar's first note is more likely a step than a leap
            weights = np.exp(-distance / 2.0)
            return int(rng.choice(pitches, p=weights / weights.sum()))
        return int(rng.choice(pitches[distance == distance.min()]))
