"""A model that says values: it hears tokens, and draws the next value among those that are allowed at a spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import TypeVar

import numpy as np

from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array
from numpyrnn.sampling import Sampler
from numpyrnn.stepper import Stepper

from .grammar import Element, Value, parse_value, semitones
from .model import Settings
from .spot import NEAR, Spot
from .tokens import DURATION, INTERVAL, KIND, WHOLE, parts

SCATTER = 2.5  # semitones; a leap to a bar's first note that is wider by so much is less likely by e
SHORTEST = Fraction(1, 8)  # quarters
SHORT_ENDS = (Fraction(2), Fraction(3, 2), Fraction(1), Fraction(1, 2), Fraction(1, 4))  # quarters, of last notes
ONE = Fraction(1)
Meaning = TypeVar("Meaning")
Pair = tuple[str, str] | None


class Speaker:
    """Draws values from a model.

    Parameters
    ----------
    checkpoint : Checkpoint of a soloist
    sampler : Sampler

    Attributes
    ----------
    lean, rest_lean : (V,) arrays, added to the logits: of all tokens, and of the durations of rests
    is_rest, length, move : (V,) arrays
        What tokens mean: 1 for a rest; a duration in quarters, or 0; an interval in semitones, or 0.

    Raises
    ------
    NumpyrnnError
        if the model does not know the parts of a value
    """

    def __init__(self, checkpoint: Checkpoint, sampler: Sampler):
        self.checkpoint, self.settings, self.ids = checkpoint, Settings.of(checkpoint), checkpoint.vocabulary.ids
        self.sampler, self.step = sampler, Stepper(checkpoint.model)
        self.kinds = self._meanings(KIND, str)
        self.durations = self._meanings(DURATION, lambda text: parse_value(f"R,{text}").duration)
        self.pairs = self._meanings(INTERVAL, lambda text: parse_value(f"C,1.000,{text}".removesuffix(",-")).interval)
        self.wholes = self._meanings(WHOLE, parse_value)
        if not self.wholes and not (self.kinds and self.durations and self.pairs):
            raise NumpyrnnError("the model must know the parts of values, it does not")
        self.is_rest, self.length, self.move = np.zeros((3, len(self.ids)))
        whole = self.wholes.items()
        for token, kind in [*self.kinds.items(), *((token, value.kind) for token, value in whole)]:
            self.is_rest[token] = kind == "R"
        for token, duration in [*self.durations.items(), *((token, value.duration) for token, value in whole)]:
            self.length[token] = max(duration, SHORTEST)
        for token, pair in [*self.pairs.items(), *((token, value.interval) for token, value in whole)]:
            self.move[token] = sum(map(semitones, pair or ())) / 2
        self.lean = self.rest_lean = np.zeros(len(self.ids))
        self.logits: Array = np.zeros(len(self.ids))

    def _meanings(self, start: str, read: Callable[[str], Meaning]) -> dict[int, Meaning]:
        """The meanings of the tokens that begin with `start`, by id."""
        return {i: read(token.removeprefix(start)) for token, i in self.ids.items() if token.startswith(start)}

    def _quote(self, spot: Spot, value: Value) -> Value | None:
        """Feed a value of the primer to the model and return it as it is played here; None if it does not fit."""
        if spot.first or value.kind == "R":
            value = replace(value, interval=None)
        if not spot.fits(value.kind, value.duration) or not (value.kind == "R" or spot.pitches(value)):
            return None
        return self._say_value(value)

    def _play(self, spot: Spot, element: Element, copied: set[str]) -> Value | None:
        """Feed a note or a rest to the model and return its value; None if it does not fit or is copied."""
        if element.pitches:
            value = spot.value(element.pitches[0], element.duration)
            value = value if value and spot.suits(value.kind, value.duration) else None
        else:
            value = Value("R", element.duration) if spot.rest and spot.fits("R", element.duration) else None
        return None if value is None or str(value) in copied else self._say_value(value)

    def _say_value(self, value: Value) -> Value:
        for text in parts(value, self.settings.form):
            self._hear(self._nearest(text))
        return value

    def _final(self, spot: Spot, copied: set[str]) -> tuple[Value | None, tuple[int, ...]]:
        """A chord tone near the last pitch, held to the end of the form, or nearly so if that would be copied."""
        centre = spot.start if spot.place.previous is None else spot.place.previous
        near = [p for p in range(centre - NEAR, centre + NEAR + 1) if spot.low <= p <= spot.high]
        length = spot.end - spot.now
        held = [length, length * 3 / 4, length / 2]
        short = [duration for duration in SHORT_ENDS if duration <= max(length - SHORT_ENDS[-2], SHORT_ENDS[-1])]
        for duration, resolve in product(held if spot.held else short, (spot.resolve, False)):
            values = {pitch: replace(spot, resolve=resolve).value(pitch, duration) for pitch in near}
            tones = [p for p, value in values.items() if value and value.kind == "C" and str(value) not in copied]
            if tones:
                pitch = self._near(tones, centre)
                return values[pitch], (pitch,)
        return None, ()

    def _pause(self, spot: Spot, copied: set[str], least: Fraction) -> Value:
        """Draw a rest of at least some length, or to the end of the bar or the last note."""
        least = min(least, spot.bar_end - spot.now, spot.limit - spot.now)
        rests = [rest for rest in spot.rests(least) if str(Value("R", rest)) not in copied] or spot.rests(least)

        def possible(duration: Fraction) -> bool:
            return duration >= least and spot.fits("R", duration) and str(Value("R", duration)) not in copied

        if self.wholes:
            value = self._say(self.wholes, lambda v: v.kind == "R" and not v.interval and possible(v.duration))
            return value or Value("R", rests[0])
        self._say(self.kinds, lambda kind: kind == "R")
        duration = self._say(self.durations, possible, self.rest_lean) or rests[0]
        self._say(self.pairs, lambda pair: pair is None)
        return Value("R", duration)

    def _draw(self, spot: Spot, copied: set[str], due: bool = False) -> Value:
        """Draw the next value among those that are allowed and not `copied`: a chord tone if the phrase is `due`."""
        if self.wholes:
            return self._draw_whole(spot, copied)
        types = {*self.kinds.values()} - {"R"}
        pairs = {kind: [pair for pair in self.pairs.values() if spot.pitches(Value(kind, ONE, pair))] for kind in types}
        pairs["R"] = [None] if spot.rest else []
        if spot.resolve and not any(pairs.values()):  # the model knows no interval that is small enough
            return self._draw(replace(spot, resolve=False, rest=True), copied)
        if due and pairs.get("C"):
            pairs = {kind: found if kind == "C" else [] for kind, found in pairs.items()}
        durations = {kind: [d for d in self.durations.values() if spot.suits(kind, d)] for kind in pairs if pairs[kind]}
        for kind, found in durations.items():
            if not found and spot.may_end(kind, spot.now + spot.to_the_beat()):
                found.append(spot.to_the_beat())

        def fresh(kind: str, duration: Fraction) -> list[Pair]:
            return [pair for pair in pairs[kind] if not copied or str(Value(kind, duration, pair)) not in copied]

        kind = self._say(self.kinds, lambda kind: any(fresh(kind, d) for d in durations.get(kind, ()))) or "R"
        possible = [duration for duration in durations[kind] if fresh(kind, duration)] or durations[kind]
        lean = self.rest_lean if kind == "R" else self.lean
        duration = self._say(self.durations, lambda duration: duration in possible, lean)
        if duration is None:
            duration = possible[0]
            self._hear(min((abs(known - duration), token) for token, known in self.durations.items())[1])
        allowed = fresh(kind, duration) or [None]
        return Value(kind, duration, self._say(self.pairs, lambda pair: pair in allowed))

    def _draw_whole(self, spot: Spot, copied: set[str]) -> Value:
        """Draw the next value if values are single tokens; a rest to the beat if none is allowed."""

        def possible(value: Value) -> bool:
            if not spot.suits(value.kind, value.duration) or str(value) in copied:
                return False
            return spot.rest and not value.interval if value.kind == "R" else bool(spot.pitches(value))

        value = self._say(self.wholes, possible)
        return value if value is not None else Value("R", spot.to_the_beat())

    def _say(
        self, meanings: dict[int, Meaning], possible: Callable[[Meaning], bool], lean: Array | None = None
    ) -> Meaning | None:
        """Draw one of the tokens with a possible meaning, feed it to the model and return its meaning, or else None."""
        allowed = [token for token, meaning in meanings.items() if possible(meaning)]
        if not allowed:
            return None
        logits = np.full(len(self.ids), -np.inf)
        logits[allowed] = self.logits[allowed] + (self.lean if lean is None else lean)[allowed]
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
        pitches = spot.pitches(value)
        previous = spot.start if spot.place.previous is None else spot.place.previous
        if value.interval is None:
            return self._near(pitches, previous)
        distance = abs(np.array(pitches) - previous - sum(map(semitones, value.interval)) / 2)
        if self.sampler.temperature == 0:
            return pitches[int(distance.argmin())]
        return int(self.sampler.rng.choice(np.array(pitches)[distance == distance.min()]))

    def _near(self, pitches: Sequence[int], centre: int) -> int:
        """Draw a pitch, more likely a step from the centre than a leap."""
        weights = np.exp(-abs(np.array(pitches) - centre) / SCATTER)
        if self.sampler.temperature == 0:
            return pitches[int(weights.argmax())]
        return int(self.sampler.rng.choice(pitches, p=weights / weights.sum()))
