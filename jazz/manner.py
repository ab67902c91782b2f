"""Manners: what is peculiar to the tunes of a style, and to a feel, and how a soloist leans towards it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array

from .changes import Changes
from .model import Settings, tunes_of
from .phrasing import PAUSE, usual_shape
from .tokens import KIND, PREFIXES, Shape, value_of

STYLE, NO_STYLE = "style: ", "style: -"  # with which the tokens of styles begin; the token of none
POSITION = "position: "
PRIOR = 50  # values of all tunes that are counted with those of a style
GUIDANCE = 2.0  # how many times the logarithm of a token's likelihood for a style is added, if the style is asked for
APART = 2.0  # how many times as far from the mean of all styles the shape of a style is, if it is asked for


@dataclass(frozen=True)
class Feeling:
    """How a feel changes a line.

    Attributes
    ----------
    density : float, the notes, times those that are usual
    long : float, added to the logits of durations of a beat or more
    triplets : float, added to the logits of durations in triplets
    over : float, added to the logits of durations that hold a note off the beat over the next beat
    bars : float, added to the logits of durations that end with the bar
    hemiola : float, added to those of durations that cut two bars of three beats into three parts, or one into two
    echo : float, added to the logit of the duration that was played at the same place one bar or two bars before
    runs : float, the probability that a section is in double time; None: by the model alone
    """

    density: float = 1.0
    long: float = 0.0
    triplets: float = 0.0
    over: float = 0.0
    bars: float = 0.0
    hemiola: float = 0.0
    echo: float = 0.0
    runs: float | None = None


FEELINGS = {
    "swing": Feeling(),
    "straight": Feeling(triplets=-3.0, over=0.6),
    "bossa": Feeling(density=0.95, triplets=-3.0, over=0.8),
    "waltz": Feeling(bars=1.6, hemiola=1.6, echo=0.6),
    "ballad": Feeling(density=0.6, long=1.0, triplets=-0.5, runs=0.2),
}


class Manners:
    """The styles of the training tunes of a model.

    Parameters
    ----------
    checkpoint : Checkpoint of a soloist
    """

    def __init__(self, checkpoint: Checkpoint):
        self.settings, self.tokens = Settings.of(checkpoint), checkpoint.vocabulary.tokens
        self.tunes = tunes_of(checkpoint).training
        self.kept: dict[tuple[str, bool], tuple[Shape, float, dict[str, Array]]] = {}

    @cached_property
    def rows(self) -> list[tuple[str, str, Array]]:
        """The form and the style of each training tune that has a style, and its tokens, one row for each value."""
        at = self.settings.context.index("style")
        found = []
        for tune in self.tunes:
            ids = np.array(tune.ids).reshape(-1, self.settings.step)
            if (style := self.tokens[ids[0, at]]) != NO_STYLE:
                found.append((tune.group, style.removeprefix(STYLE), ids))
        return found

    def style_of(self, changes: Changes, known: list[str]) -> str:
        """See `Soloist.style_of`."""
        of_all = Counter(style for _, style, _ in self.rows)
        of_form = Counter(style for group, style, _ in self.rows if group and group == changes.name)
        by_feel = "waltz" if changes.bar == 3 else "bossa" if changes.feel == "straight" else changes.feel
        likely: list[tuple[str, int]] = [*of_form.most_common(1), (by_feel, 0), *of_all.most_common(1), (known[0], 0)]
        return next(style for style, _ in likely if style in known)

    def of(self, style: str) -> Array:
        """The rows of the tunes of a style, or of all for an empty name."""
        found = [ids for _, name, ids in self.rows if style in ("", name)]
        return np.concatenate(found or [np.empty((0, self.settings.step), int)])

    def counted(self, rows: Array) -> Array:
        """How often each token is in some rows, (V,)."""
        return np.bincount(rows.ravel(), minlength=len(self.tokens))

    def told(self, style: str, asked: bool) -> tuple[Shape, float, dict[str, Array]]:
        """The usual shape of a style, how much longer its phrases are, and its leanings; plainer if it is asked for."""
        if (style, asked) not in self.kept:
            plain = (self.usual(style, APART), self.phrase(style) ** APART, self.leanings(style)) if asked else None
            self.kept[style, asked] = plain or (self.usual(style), 1.0, {})
        return self.kept[style, asked]

    def usual(self, style: str, apart: float = 1.0) -> Shape:
        """The usual shape of the tunes of a style, moved away from the mean of all tunes if `apart` is above 1."""
        names = ("", style) if apart != 1 else (style,)
        means = [usual_shape(name, zip(self.tokens, self.counted(self.of(name)), strict=True)) for name in names]
        own, of_all = means[-1], means[0]

        def moved(one: float | None, mean: float | None) -> float | None:
            return one if one is None or mean is None else max(mean + apart * (one - mean), 0.0)

        shape = (
            moved(*pair) for pair in zip(list(vars(own).values())[1:], list(vars(of_all).values())[1:], strict=True)
        )
        return Shape(style, *shape)

    def phrase(self, style: str) -> float:
        """How many times as many notes the phrases of a style have as those of all tunes."""

        def notes(name: str) -> float:
            rows, counts = np.unique(self.of(name)[:, -self.settings.parts :], axis=0, return_counts=True)
            values = [value_of([self.tokens[i] for i in row]) for row in rows]
            is_note = np.array([value.kind != "R" for value in values])
            is_end = np.array([value.kind == "R" and value.duration >= PAUSE for value in values])
            return float(counts @ is_note / (counts @ is_end + 1))

        return notes(style) / notes("")

    def leanings(self, style: str) -> dict[str, Array]:
        """How much likelier each token is in a style than in all tunes, by the place in the beat.

        This is what a naive Bayes classifier of styles sums up: the logarithm of p(token | style, place) over
        p(token | place), for each part of a value. Durations of rests do not count.

        Returns
        -------
        dict from a place in the beat, see `beat_place`, to a (V,) array
        """
        size, context = len(self.tokens), self.settings.context
        counts = {"": np.zeros((2, size))}
        groups = [[i for i, token in enumerate(self.tokens) if token.startswith(start)] for start in PREFIXES]
        rest = next((i for i in groups[0] if self.tokens[i] == f"{KIND}R"), -1)
        for own, rows in ((0, self.of("")), (1, self.of(style))):
            at = rows[:, context.index("position")] if "position" in context else np.full(len(rows), -1)
            said = rows[:, -self.settings.parts :]
            is_rest = said[:, 0] == rest
            for position in np.unique(at):
                here = at == position
                seen = self.counted(said[here & ~is_rest]) + self.counted(said[here & is_rest, 0])
                counts[""][own] += seen
                if position >= 0:
                    place = beat_place(float(self.tokens[position].removeprefix(POSITION)))
                    counts.setdefault(place, np.zeros((2, size)))[own] += seen
        found = {}
        for place, (of_all, of_style) in counts.items():
            found[place] = np.zeros(size)
            for group in filter(None, groups):
                usual = (of_all[group] + 0.01) / (of_all[group] + 0.01).sum()
                own_share = (of_style[group] + PRIOR * usual) / (of_style[group].sum() + PRIOR)
                found[place][group] = np.log(own_share / usual)
        return found


def beat_place(position: float) -> str:
    """A place in the beat, as a key."""
    return f"{position % 1:.3f}"


def feel_lean(feeling: Feeling, length: Array, position: float, bar: float, before: Sequence[float] = ()) -> Array:
    """What a feel adds to the logits of durations.

    Parameters
    ----------
    feeling : Feeling
    length : (V,) array, the duration of each token in quarters, 0 for others
    position, bar : float, where in the bar a note begins, and the length of the bar, quarters
    before : list of float, the durations that began at this place one bar and two bars before

    Returns
    -------
    (V,) array
    """
    known, within = length > 0, position % 1
    thirds = (abs(length * 3 - np.rint(length * 3)) < 0.01) & (abs(length * 2 - np.rint(length * 2)) > 0.01)
    over = (within > 0) & (length > 1.01 - within)
    to_bar = abs(position + length - bar) < 0.01
    third = (length == 2) & (position in (0, 2)) | (length == 1.5) & (position == 0)
    lean: Array = known * (
        feeling.long * (length >= 1)
        + feeling.triplets * thirds
        + feeling.over * over
        + feeling.bars * to_bar
        + feeling.hemiola * third
        + feeling.echo * sum((abs(length - earlier) < 0.01 for earlier in before), np.zeros(len(length)))
    )
    return lean
