"""A new line over changes, sampled from a model value by value so that it keeps time and harmony."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import TypeVar

import numpy as np

from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array, check_count, check_range
from numpyrnn.sampling import Sampler
from numpyrnn.stepper import Stepper

from .changes import Changes
from .grammar import Element, Value, parse_value, semitones
from .model import Settings, training_values, tunes_of
from .phrasing import DENSITY, HEIGHT, PAUSE, RECALL, Breath, Phrases, can_end, last_note, plan, usual_shape
from .spot import HIGH as HIGH
from .spot import LOW as LOW
from .spot import NEAR, Spot, middle
from .tokens import DURATION, INTERVAL, KIND, WHOLE, Shape, context, parts, place_of
from .tunes import Bar, Tune, chord_elements, make_bars

STYLE, NO_STYLE = "style: ", "style: -"  # with which the tokens of styles begin; the token of none
ON_BEAT = 0.4  # the probability that a phrase may end with a note that begins on a beat
LONGEST_COPY, TEMPO = 8, 130  # values; quarters a minute
TEMPERATURE, TOP_P = 1.2, None  # by default; docs/solos.md says how they were chosen
STRENGTH = 1.4  # of the effect of `density` on each value, beside what the model is told
OCTAVE, SCATTER = 12, 2.5  # semitones: the least range; a leap to a bar's first note that is less likely by e
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


class Soloist:
    """Samples lines from a model.

    Values are drawn from the model's distribution, restricted to values that keep to the grid and the form and that
    some pitch can play. This pitch must have the value's type over the chord and lie within the interval range and on
    the instrument. So every bar is full, and all lines obey the grammar. A line also keeps to `phrasing`: it rests
    after a phrase, some phrases come back, each section has a planned shape, and the last note is a chord tone on a
    strong beat, held to the end.

    Parameters
    ----------
    checkpoint : Checkpoint of a soloist
    sampler : Sampler
    density : float, default 1
        How many notes are played: 2 gives about 1.6 times as many as 1, and 0.5 about half as many.
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
        self.checkpoint, self.settings, self.ids = checkpoint, Settings.of(checkpoint), checkpoint.vocabulary.ids
        self.sampler, self.step = sampler, Stepper(checkpoint.model)
        self.kinds = self._meanings(KIND, str)
        self.durations = self._meanings(DURATION, lambda text: parse_value(f"R,{text}").duration)
        self.pairs = self._meanings(INTERVAL, lambda text: parse_value(f"C,1.000,{text}".removesuffix(",-")).interval)
        self.wholes = self._meanings(WHOLE, parse_value)
        if not self.wholes and not (self.kinds and self.durations and self.pairs):
            raise NumpyrnnError("the model must know the parts of values, it does not")
        self.density, self.longest_copy = density, longest_copy
        self.shift = OCTAVE * round((low + high - LOW - HIGH) / 2 / OCTAVE)  # from the register that the model knows
        self.higher = middle(low, high) - self.shift - middle(LOW, HIGH)  # what an octave's shift leaves
        self.continuations: dict[tuple[str, ...], set[str]] = {}  # the values that follow each run of that length
        if longest_copy is not None:
            check_count("longest_copy", longest_copy, 1)
            for _, values in training_values(checkpoint):
                for i in range(len(values) - longest_copy):
                    run = tuple(values[i : i + longest_copy])
                    self.continuations.setdefault(run, set()).add(values[i + longest_copy])
        types = [*self.kinds.items(), *((token, value.kind) for token, value in self.wholes.items())]
        self.rests = [token for token, kind in types if kind == "R"]
        self.denser, self.bias = 0.0, np.zeros(len(self.ids))
        self.bias[self.rests] = -STRENGTH  # for a density of e times the usual one
        for token, duration in [*self.durations.items(), *((t, v.duration) for t, v in self.wholes.items())]:
            self.bias[token] -= STRENGTH * float(np.log2(float(max(duration, Fraction(1, 8))) * 2))

    @property
    def styles(self) -> list[str]:
        """The styles that the model knows, sorted; none if it was not told any."""
        return sorted(token.removeprefix(STYLE) for token in self.ids if token.startswith(STYLE) and token != NO_STYLE)

    @cached_property
    def manners(self) -> list[tuple[str, str, list[list[str]]]]:
        """The form and the style of each training tune that has a style, and what its values were told of its shape."""
        names, step, tokens = self.settings.context, self.settings.step, self.checkpoint.vocabulary.tokens
        first, told = names.index("style"), []
        for tune in tunes_of(self.checkpoint)[0]:
            rows = [[tokens[i] for i in tune.ids[at + first : at + len(names)]] for at in range(0, len(tune.ids), step)]
            if rows[0][0] != NO_STYLE:
                told.append((tune.group, rows[0][0].removeprefix(STYLE), rows))
        return told

    def usual(self, style: str) -> Shape:
        """The usual shape of the training tunes of a style; an empty one if there is no style."""
        rows = (row for _, name, of_tune in (self.manners if style else ()) if name == style for row in of_tune)
        return usual_shape(style, rows)

    def style_of(self, changes: Changes) -> str:
        """The commonest style of the training tunes over a form, or else one by meter and feel; empty if none is known.

        Parameters
        ----------
        changes : Changes
        """
        if not (known := self.styles):
            return ""
        of_all = Counter(style for _, style, _ in self.manners)
        of_form = Counter(style for group, style, _ in self.manners if group and group == changes.name)
        by_feel = "waltz" if changes.bar == 3 else "bossa" if changes.feel == "straight" else changes.feel
        likely: list[tuple[str, int]] = [*of_form.most_common(1), (by_feel, 0), *of_all.most_common(1), (known[0], 0)]
        return next(style for style, _ in likely if style in known)

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
        known = self.styles
        if style is not None and style not in known:
            expected = f"the style must be one of {', '.join(known)}" if known else "this model knows no styles"
            raise NumpyrnnError(f"{expected}, got {style!r:.80}")
        rng = self.sampler.rng if self.sampler.temperature else np.random.default_rng(0)
        style = self.style_of(changes) if style is None else style
        usual = self.usual(style)
        usual = replace(usual, height=(usual.height or HEIGHT) + self.higher)
        shapes, last, breath = plan(changes, usual, self.density, rng), last_note(changes, rng), Breath(tempo, rng)
        self.step.reset()
        self.logits: Array = np.zeros(len(self.ids))
        given, chords = list(reversed(primer)), chord_elements(changes.flat())
        recalled: list[Element] = []  # what is still to come of a phrase that comes back
        bars, line = make_bars([], chords, changes.grid), Line(changes, [], [])
        memory = Phrases(line.elements, chords)
        previous: int | None = None
        played: Bar | None = None  # the last bar in which a note begins
        now, ended = Fraction(0), False
        ends = True  # whether the last note is a tone that can end
        while now < changes.end:
            number = int(now // changes.bar)
            bar = bars[number]
            place = place_of(now, bar, chords, previous, shapes[number])
            heard = place if previous is None else replace(place, previous=previous - self.shift)
            self.denser = float(np.log((shapes[number].density or DENSITY) / (usual.density or DENSITY)))
            for text in context(heard, self.settings.context):
                self._hear(self._nearest(text))
            sounding = max(line.elements[-1].pitches, default=None) if line.elements else None
            resolve = sounding is not None and line.values[-1].kind == "A"
            rest = ends and breath.silence < bar.length and (now == bar.onset or sounding is not None)  # one at a time
            first = played is not bar
            spot = Spot(place, bar, changes.end, sounding, first, rest, resolve, self.low, self.high, last)
            recent = () if self.longest_copy is None else tuple(map(str, line.values[-self.longest_copy :]))
            copied = self.continuations.get(recent, set())
            value = self._quote(replace(spot, last=None), given.pop()) if given and not breath.must else None
            pitches: tuple[int, ...] = ()
            if value is None:  # the primer is over or does not fit: from here on the model plays
                given.clear()
                if ended:
                    value = self._pause(spot, copied, changes.end - now)
                elif now == last:
                    value, pitches = self._final(spot, copied)
                    ended = value is not None
                elif breath.must or (breath.due and rest):
                    value, recalled = self._pause(spot, copied, breath.rest), []
                elif not recalled and breath.silence >= PAUSE and line.elements and rng.random() < RECALL:
                    recalled = memory.recall(now, rng, self.low, self.high)
            if value is None and recalled:
                element = recalled.pop(0)
                value, pitches = self._play(spot, element, copied), element.pitches
                recalled = recalled if value else []
            if value is None:
                self.logits[self.rests] -= breath.reluctance
                value, pitches = self._draw(spot, copied, breath.due), ()
            if value.kind != "R" and not pitches:
                pitches = (self._choose(spot, value),)
            line.values.append(value)
            line.elements.append(Element(now, value.duration, pitches))
            breath.hear(line.elements[-1])
            start, now = now, now + value.duration
            if on_bar:
                on_bar(int(now // changes.bar - start // changes.bar))
            if pitches:
                previous, played = pitches[0], bar
                ends = can_end(previous, place.chord) and (start % 1 != 0 or rng.random() < ON_BEAT)
        return line

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
        for duration, resolve in product((length, length * 3 / 4, length / 2), (spot.resolve, False)):
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
        duration = self._say(self.durations, possible) or rests[0]
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
        durations = {kind: [d for d in self.durations.values() if spot.fits(kind, d)] for kind in pairs if pairs[kind]}
        for kind, found in durations.items():
            if not found and (kind in "CR" or spot.now + spot.to_the_beat() < spot.end):
                found.append(spot.to_the_beat())

        def fresh(kind: str, duration: Fraction) -> list[Pair]:
            return [pair for pair in pairs[kind] if not copied or str(Value(kind, duration, pair)) not in copied]

        kind = self._say(self.kinds, lambda kind: any(fresh(kind, d) for d in durations.get(kind, ()))) or "R"
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
        logits[allowed] = self.logits[allowed] + self.denser * self.bias[allowed]
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
