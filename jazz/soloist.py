"""A new line over changes, sampled from a model value by value so that it keeps time and harmony."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import check_count, check_range
from numpyrnn.sampling import Sampler

from .changes import Changes
from .grammar import Element, Value
from .manner import FEELINGS, GUIDANCE, NO_STYLE, STYLE, Manners, beat_place, feel_lean
from .model import training_values
from .phrasing import DENSITY, HEIGHT, PAUSE, RECALL, Breath, Phrases, can_end, plan, turns_of
from .speaker import Speaker
from .spot import HIGH as HIGH
from .spot import LOW as LOW
from .spot import Spot, middle
from .tokens import Shape, context, place_of
from .tunes import Bar, Tune, chord_elements, make_bars

ON_BEAT = 0.65  # the probability that a phrase may end with a note that begins on a beat
LONGEST_COPY, TEMPO = 8, 130  # values; quarters a minute
TEMPERATURE, TOP_P = 1.2, None  # by default; docs/solos.md says how they were chosen
STRENGTH = 1.4  # of the effect of `density` on each value, beside what the model is told
PULL, FAR = 0.035, 8.0  # added to the logit of an interval for each semitone that leads to the planned height, squared
OCTAVE = 12  # semitones, the least range


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


class Soloist(Speaker):
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
        super().__init__(checkpoint, sampler)
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
        # for a density of e times the usual one
        self.thin = -STRENGTH * (self.is_rest + (self.length > 0) * np.log2(np.where(self.length, self.length, 1) * 2))

    @property
    def styles(self) -> list[str]:
        """The styles that the model knows, sorted; none if it was not told any."""
        return sorted(token.removeprefix(STYLE) for token in self.ids if token.startswith(STYLE) and token != NO_STYLE)

    @cached_property
    def manners(self) -> Manners:
        """The styles of the training tunes."""
        return Manners(self.checkpoint)

    def style_of(self, changes: Changes) -> str:
        """The commonest style of the training tunes over a form, or else one by meter and feel; empty if none is known.

        Parameters
        ----------
        changes : Changes
        """
        known = self.styles
        return self.manners.style_of(changes, known) if known else ""

    def play(
        self,
        changes: Changes,
        primer: Sequence[Value] = (),
        on_bar: Callable[[int], object] | None = None,
        tempo: float = TEMPO,
        style: str | None = None,
        silent: Sequence[range] = (),
        held: bool = True,
    ) -> Line:
        """Improvise over changes.

        Parameters
        ----------
        changes : Changes
        primer : sequence of Value with which the line begins, up to the first that does not fit
        on_bar : function, optional, called with the number of bars just completed, to show progress
        tempo : float, default 130, quarters a minute; phrases are longer at speed
        style : str, optional, the manner, such as "bebop", one of `styles`; default: that of the form
            A style that is asked for is played more plainly than that of the form.
        silent : sequence of range, bars in which others play; a phrase ends before them, and a new one begins after
        held : bool, default True; False ends the last note before the end of the form, because others play on

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
        feeling = FEELINGS[changes.feel]
        asked, style = style is not None, self.style_of(changes) if style is None else style
        usual, longer, leanings = self.manners.told(style, asked) if style else (Shape(), 1.0, {})
        usual = replace(usual, height=(usual.height or HEIGHT) + self.higher)
        shapes = plan(changes, usual, self.density * feeling.density, rng, feeling.runs)
        breath = Breath(tempo, rng, longer)
        turns = turns_of(changes, silent, rng, held)
        self.step.reset()
        given, chords = list(reversed(primer)), chord_elements(changes.flat())
        recalled: list[Element] = []  # what is still to come of a phrase that comes back
        bars, line = make_bars([], chords, changes.grid), Line(changes, [], [])
        memory = Phrases(line.elements, chords)
        previous: int | None = None
        played: Bar | None = None  # the last bar in which a note begins
        begun: dict[Fraction, float] = {}  # the durations of the notes, by onset
        now, ended = Fraction(0), False
        ends = True  # whether the last note is a tone that can end
        turn = turns[0]
        while now < changes.end:
            if now >= turn.stop and turn is not turns[-1]:
                turn, ended = turns[turns.index(turn) + 1], False
            outside = not turn.start <= now < turn.stop
            if now == turn.start:
                recalled, breath.silence = [], PAUSE
            number = int(now // changes.bar)
            bar = bars[number]
            place = place_of(now, bar, chords, previous, shapes[number])
            heard = place if previous is None else replace(place, previous=previous - self.shift)
            denser = float(np.log((shapes[number].density or DENSITY) / (usual.density or DENSITY)))
            self.rest_lean = denser * self.thin
            before = [begun[then] for then in (now - bar.length, now - 2 * bar.length) if then in begun]
            self.lean = self.rest_lean + feel_lean(
                feeling, self.length, float(place.position), float(bar.length), before
            )
            self.lean = self.lean + GUIDANCE * leanings.get(beat_place(float(place.position)), 0.0)
            if heard.previous is not None:
                away = (shapes[number].height or HEIGHT) - heard.previous
                self.lean = self.lean + PULL * min(max(away, -FAR), FAR) * self.move
            for text in context(heard, self.settings.context):
                self._hear(self._nearest(text))
            sounding = max(line.elements[-1].pitches, default=None) if line.elements else None
            resolve = sounding is not None and line.values[-1].kind == "A"
            rest = ends and breath.silence < bar.length and (now == bar.onset or sounding is not None)  # one at a time
            first = played is not bar
            spot = Spot(
                place, bar, turn.stop, sounding, first, rest, resolve, self.low, self.high, turn.last, turn.held
            )
            recent = () if self.longest_copy is None else tuple(map(str, line.values[-self.longest_copy :]))
            copied = self.continuations.get(recent, set())
            quoting = given and not (breath.must or outside)
            value = self._quote(replace(spot, last=None), given.pop()) if quoting else None
            pitches: tuple[int, ...] = ()
            if value is None:  # the primer is over or does not fit: from here on the model plays
                given.clear()
                if ended or outside:
                    value = self._pause(replace(spot, end=bar.onset + bar.length, last=None), copied, bar.length)
                elif now == turn.last:
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
                self.lean = self.lean - breath.reluctance * self.is_rest
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
                previous, played, begun[start] = pitches[0], bar, float(value.duration)
                ends = can_end(previous, place.chord) and (start % 1 != 0 or rng.random() < ON_BEAT)
        return line
