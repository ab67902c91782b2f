"""A new line over changes: drawn from a model, value by value, in time and under the chords."""

from __future__ import annotations

from bisect import bisect_right
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

from . import theory
from .changes import Changes
from .element import Element
from .grammar import Value, candidates, parse_value
from .model import Settings, training_values
from .tokens import DURATION, INTERVAL, KIND, WHOLE, context, parts, place_of
from .tunes import Bar, Tune, chord_elements, make_bars

LOW, HIGH = 55, 82  # G3 to B flat 5
LONGEST_COPY = 8  # values
TONE = 2  # semitones
START, NEAR = 67, 7  # where a line begins, and how far a bar's first note may leap: semitones
ONE = Fraction(1)
Meaning = TypeVar("Meaning")
Pair = tuple[str, str] | None


@dataclass(frozen=True)
class Line:
    """A line over changes.

    Attributes
    ----------
    changes : Changes, of all choruses
    values : list of Value, one after the other in time
    elements : list of Element, the notes and rests that they became
    """

    changes: Changes
    values: list[Value]
    elements: list[Element]

    def tune(self) -> Tune:
        """The line in bars, with its chords."""
        notes = [element for element in self.elements if element.pitches]
        chords = chord_elements(self.changes.flat())
        return Tune("solo", make_bars(notes, chords, bar_grid(self.changes)), self.changes.name)


def bar_grid(changes: Changes) -> list[tuple[Fraction, Fraction]]:
    """(onset, length) of each bar."""
    return [(changes.bar * i, changes.bar) for i in range(len(changes.bars))]


@dataclass(frozen=True)
class Spot:
    """What may be played at one place; the rules that keep time and harmony.

    Attributes
    ----------
    now, bar, bar_end, end : Fraction, quarters: the place, the beginning and end of its bar, the end of the form
    chord : tuple of MIDI numbers, what sounds
    previous : int, the pitch before, or None
    first : bool, whether no note has begun in this bar yet
    sounding : int, the pitch that ends here and is not to be struck again, or None
    rest : bool, whether a rest may come
    resolve : bool, whether the pitch before leads on: the next one is at most a whole tone away
    low, high : int, the range
    """

    now: Fraction
    bar: Fraction
    bar_end: Fraction
    end: Fraction
    chord: tuple[int, ...]
    previous: int | None
    first: bool
    sounding: int | None
    rest: bool
    low: int
    high: int
    resolve: bool = False

    def pitches(self, value: Value) -> list[int]:
        """The pitches that a value may stand for here: none if it may not come."""
        low, high = self.low, self.high
        if self.first:
            if value.interval:
                return []
            centre = min(max(START if self.previous is None else self.previous, low), high)
            low, high = max(low, centre - NEAR), min(high, centre + NEAR)
        elif not value.interval:
            return []
        if self.resolve and self.previous is not None:
            low, high = max(low, self.previous - TONE), min(high, self.previous + TONE)
        found = candidates(value, self.previous, self.chord, low, high)
        return [pitch for pitch in found if pitch != self.sounding]

    def fits(self, kind: str, duration: Fraction) -> bool:
        """Whether a duration keeps to the grid: no beat mixes triplets and sixteenths, a rest ends with its bar.

        And only a rest or a chord tone lasts to the end of the form.
        """
        stop = self.now + duration
        if not duration > 0 or stop > (self.bar_end if kind == "R" else self.end):
            return False
        if stop == self.end and kind not in "CR":
            return False
        now = self._grids(self.now)
        return not now or bool(now & self._grids(stop))

    def _grids(self, place: Fraction) -> set[int]:
        """The divisions of a beat that a place stands on; a beat that the bar line cuts has no triplets."""
        bar = self.bar_end - self.bar
        within = (place - self.bar) % bar
        cut = within // 1 + 1 > bar
        return {grid for grid in (4, 3) if (within * grid).denominator == 1 and not (grid == 3 and cut)}

    def to_the_beat(self, kind: str) -> Fraction:
        """How long it is to the next beat, or to the end of the bar or the form."""
        beat = self.bar + (self.now - self.bar) // 1 + 1
        return min(beat, self.bar_end, self.end) - self.now


class Soloist:
    """Draws a line from a model.

    What the model says is taken as it is, but for what cannot be: a value is drawn only among those that stay on the
    grid and in the form, and for which the chord that sounds has a pitch of that type, in that interval range, on the
    instrument, and other than the one just played. So every bar adds up, and the grammar holds everywhere.

    Parameters
    ----------
    checkpoint : Checkpoint of a soloist
    sampler : Sampler
    density : float, default 1
        2 makes rests half as probable and short notes more so, 0.5 the other way round.
    longest_copy : int, optional
        The longest run of values that may be as in a training tune; default: any.
    low, high : int, the lowest and the highest pitch

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
        if not 0 <= low <= high - 12 <= 115:
            raise NumpyrnnError(f"low and high must be MIDI pitches an octave apart or more, got {low} and {high}")
        self.settings, self.ids = Settings.of(checkpoint), checkpoint.vocabulary.ids
        self.sampler, self.low, self.high = sampler, low, high
        self.step = Stepper(checkpoint.model)
        self.kinds = self._meanings(KIND, str)
        self.durations = self._meanings(DURATION, lambda text: parse_value(f"R,{text}").duration)
        self.pairs = self._meanings(
            INTERVAL, lambda text: None if text == "-" else parse_value(f"C,0.500,{text}").interval
        )
        self.wholes = self._meanings(WHOLE, parse_value)
        if not self.wholes and not (self.kinds and self.durations and self.pairs):
            raise NumpyrnnError("the model must know the parts of values, it does not")
        self.longest_copy = longest_copy
        self.goes_on: dict[
            tuple[str, ...], set[str]
        ] = {}  # after a run that must not get longer: what comes in the tune
        if longest_copy is not None:
            check_count("longest_copy", longest_copy, 1)
            for _, values in training_values(checkpoint):
                for i in range(len(values) - longest_copy):
                    run = tuple(values[i : i + longest_copy])
                    self.goes_on.setdefault(run, set()).add(values[i + longest_copy])
        log_density = float(np.log(density))
        self.bias = np.zeros(len(self.ids))
        for token, kind in [*self.kinds.items(), *((t, v.kind) for t, v in self.wholes.items())]:
            self.bias[token] -= log_density * (kind == "R")
        for token, duration in [*self.durations.items(), *((t, v.duration) for t, v in self.wholes.items())]:
            self.bias[token] -= log_density * float(np.log2(float(max(duration, Fraction(1, 8))) * 2))

    def _meanings(self, start: str, read: Callable[[str], Meaning]) -> dict[int, Meaning]:
        """What each token that begins so means, by its id."""
        return {i: read(token.removeprefix(start)) for token, i in self.ids.items() if token.startswith(start)}

    def play(
        self, changes: Changes, primer: Sequence[Value] = (), on_bar: Callable[[int], object] | None = None
    ) -> Line:
        """A line over all the changes.

        Parameters
        ----------
        changes : Changes
        primer : values that the line begins with, as far as they fit
        on_bar : called with the number of bars that are new, now and then (a progress bar)

        Returns
        -------
        Line
        """
        self.step.reset()
        self.logits: Array = np.zeros(len(self.ids))
        quoted = list(reversed(primer))
        chords = chord_elements(changes.flat())
        bars, onsets = make_bars([], chords, bar_grid(changes)), [chord.onset for chord in chords]
        end = changes.bar * len(bars)
        line = Line(changes, [], [])
        previous: int | None = None
        played: Fraction | None = None  # the bar that has a note already
        now, silence = Fraction(0), Fraction(0)
        while now < end:
            bar: Bar = bars[int(now // changes.bar)]
            place = place_of(now, bar.onset, bar.chords, previous, chords[bisect_right(onsets, now) :][:1])
            for text in context(place, self.settings.context):
                self._hear(self._nearest(text))
            sounding = max(line.elements[-1].pitches, default=None) if line.elements else None
            first, bar_end = played != bar.onset, bar.onset + bar.length
            resolve = sounding is not None and line.values[-1].kind == "A"
            rest = silence < bar.length and not resolve and (now == bar.onset or sounding is not None)  # one at a time
            spot = Spot(
                *(now, bar.onset, bar_end, end, place.chord.pitches, previous, first, sounding, rest),
                *(self.low, self.high, resolve),
            )
            recent = () if self.longest_copy is None else tuple(map(str, line.values[-self.longest_copy :]))
            value = self._quote(spot, quoted.pop()) if quoted else None
            if value is None:  # nothing to quote, or it does not fit: from here on the model says what comes
                quoted.clear()
                value = self._final(spot) if changes.ending and bar is bars[-1] else None
            if value is None:
                value = self._draw(spot, self.goes_on.get(recent, set()))
            pitches = (self._choose(spot, value),) if value.kind != "R" else ()
            line.values.append(value)
            line.elements.append(Element(now, value.duration, pitches))
            start, now = now, now + value.duration
            silence += value.duration
            if on_bar:
                on_bar(int(now // changes.bar - start // changes.bar))
            if pitches:
                previous, played, silence = pitches[0], bar.onset, Fraction(0)
        return line

    def _quote(self, spot: Spot, value: Value) -> Value | None:
        """The value as it can be played here, heard; None if it cannot."""
        if spot.first or value.kind == "R":
            value = replace(value, interval=None)
        if not spot.fits(value.kind, value.duration) or not (value.kind == "R" or spot.pitches(value)):
            return None
        for text in parts(value, self.settings.form):
            self._hear(self._nearest(text))
        return value

    def _final(self, spot: Spot) -> Value | None:
        """A chord tone that is held to the end."""
        value = Value("C", spot.end - spot.now)
        return value if spot.first and spot.pitches(value) else None

    def _draw(self, spot: Spot, copied: set[str]) -> Value:
        """The next value, of those that may come; `copied` ones may not."""
        if self.wholes:
            return self._draw_whole(spot, copied)

        def pairs_of(kind: str) -> list[Pair]:
            if kind == "R":
                return [None] if spot.rest else []
            return [pair for pair in self.pairs.values() if spot.pitches(Value(kind, ONE, pair))]

        pairs = {kind: pairs_of(kind) for kind in {*self.kinds.values(), "R"}}
        if spot.resolve and not any(pairs.values()):  # the model knows no interval that is small enough
            return self._draw(replace(spot, resolve=False, rest=True), copied)

        def durations_of(kind: str) -> list[Fraction]:
            found = [d for d in self.durations.values() if spot.fits(kind, d)]
            rest_of_beat = spot.to_the_beat(kind)
            return found or [rest_of_beat] * (kind in "CR" or spot.now + rest_of_beat < spot.end)

        durations = {kind: durations_of(kind) for kind in pairs}

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
        """The next value where values are single symbols; a rest to the beat if none may come."""

        def possible(value: Value) -> bool:
            if not spot.fits(value.kind, value.duration) or str(value) in copied:
                return False
            return spot.rest and not value.interval if value.kind == "R" else bool(spot.pitches(value))

        value = self._say(self.wholes, possible)
        return value if value is not None else Value("R", spot.to_the_beat("R"))

    def _say(self, meanings: dict[int, Meaning], possible: Callable[[Meaning], bool]) -> Meaning | None:
        """Draw one of the tokens whose meaning is possible, hear it, and give its meaning; None if there is none."""
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
        """The id of a token, or of the known one of its kind that is nearest to it (a register, a position)."""
        if text in self.ids:
            return int(self.ids[text])
        kind, _, wanted = text.partition(": ")
        known = [other for other in self.ids if other.startswith(f"{kind}: ")]

        def distance(other: str) -> float:
            try:
                return abs(float(other.partition(": ")[2]) - float(wanted))
            except ValueError:  # not a number: the first one of the kind
                return np.inf

        return self.ids[min(known, key=distance)] if known else None

    def _choose(self, spot: Spot, value: Value) -> int:
        """One pitch of those that a value may stand for: the nearest to where its interval points."""
        pitches = np.array(spot.pitches(value))
        rng = self.sampler.rng
        if value.interval is None:  # a bar's first note: rather a step than a leap
            weights = np.exp(-abs(pitches - (START if spot.previous is None else spot.previous)) / 2.0)
            return int(rng.choice(pitches, p=weights / weights.sum()))
        centre = (spot.previous or START) + sum(theory.semitones(name) for name in value.interval) / 2
        distance = abs(pitches - centre)
        return int(rng.choice(pitches[distance == distance.min()]))
