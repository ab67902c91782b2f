"""Draw notes as a piano roll: time runs to the right, in systems of some bars each, and pitch runs upwards."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from numpyrnn.checks import NumpyrnnError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Bars = Sequence[tuple[Fraction, Fraction]]

# The palette of Okabe and Ito, which colour-blind people can tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B09F00", "#555555")
BLACK_KEYS = (1, 3, 6, 8, 10)
DPI = 100
WIDTH, LEFT, RIGHT = 10.0, 0.45, 0.15  # of the picture and its margins, in inches
TALL, LEAST_ROW, LARGEST_ROW = 260, 3, 7  # pixels: a system's desired height, limits of a semitone's height
GAP, TITLE, LEGEND = 0.42, 0.42, 0.27  # heights in inches
MOST_SYSTEMS, MOST_BEATS = 16, 72
LETTER = 0.66 / 72  # width of a letter in inches per point of its size
LARGEST, SMALLEST = 9.5, 5.5  # sizes of chord names in points


class RollNote(NamedTuple):
    """One note to draw.

    Attributes
    ----------
    onset, duration : Fraction, quarters
    pitch : int, MIDI number
    kind : str, default "", determines the colour
    """

    onset: Fraction
    duration: Fraction
    pitch: int
    kind: str = ""


def piano_roll(
    notes: Sequence[RollNote],
    bars: Bars,
    *,
    title: str,
    chords: Sequence[tuple[Fraction, str]] = (),
    kinds: Mapping[str, str] | None = None,
) -> bytes:
    """Draw notes as a PNG; the same music gives the same bytes.

    A system has four bars in pieces of up to 16 bars, eight in pieces of up to 128, and more in longer ones. Bars are
    numbered from 1.

    Parameters
    ----------
    notes : sequence of RollNote; notes outside the bars are not drawn
    bars : sequence of (onset, length) in quarters, at least one, without gaps
    title : str
    chords : sequence of (onset, name), sorted; a name is drawn where it changes and at the beginning of each system
    kinds : dict from kind to its text in the legend; without it, all notes have one colour and there is no legend

    Returns
    -------
    bytes

    Raises
    ------
    NumpyrnnError
        if there are no bars, there are more kinds than colours, or `kinds` lacks the kind of a note
    """
    if not bars:
        raise NumpyrnnError("a piano roll must have at least 1 bar, got none")
    if kinds and len(kinds) > len(COLOURS):
        raise NumpyrnnError(f"a piano roll must have at most {len(COLOURS)} kinds of notes, got {len(kinds)}")
    unknown = sorted({note.kind for note in notes} - set(kinds)) if kinds else []
    if unknown:
        raise NumpyrnnError(f"the kind of a note must be one of {', '.join(kinds or ())}, got {unknown[0]!r}")
    from matplotlib.figure import Figure  # not at import: it takes half a second

    systems = split(bars)
    span = max(sum(length for _, length in system) for system in systems)
    low, high = pitch_range([note.pitch for note in notes])
    rows = high - low + 1  # each is a whole number of pixels tall, so that all notes look alike
    tall = rows * min(max(TALL // rows, LEAST_ROW), LARGEST_ROW) / DPI
    head = TITLE + (LEGEND if kinds else 0) + (0.2 if chords else 0)
    height = round(head + len(systems) * (tall + GAP), 2)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    _title_and_legend(figure, title, kinds or {})
    size = chord_size(chords, (WIDTH - LEFT - RIGHT) / float(span))
    colours = dict(zip(kinds or {}, COLOURS, strict=False))
    for i, system in enumerate(systems):
        top = head + i * (tall + GAP)
        box = (LEFT / WIDTH, 1 - (top + tall) / height, 1 - (LEFT + RIGHT) / WIDTH, tall / height)
        axes = figure.add_axes(box, facecolor="none")
        axes.set(xlim=(float(system[0][0]), float(system[0][0] + span)), ylim=(low - 0.5, high + 0.5))
        _background(axes, system, (low, high), 1 + i * len(systems[0]))
        _notes(axes, system, notes, colours)
        _chord_names(axes, system, chords, size)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a letter that the font lacks is drawn as a box
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


def split(bars: Bars) -> list[Bars]:
    """Divide the bars into systems."""
    size = 4 if len(bars) <= 16 else max(8, math.ceil(len(bars) / MOST_SYSTEMS))
    return [bars[i : i + size] for i in range(0, len(bars), size)]


def pitch_range(pitches: Sequence[int]) -> tuple[int, int]:
    """Find the lowest and highest row: a little more than the pitches need, and at least an octave and a half."""
    low, high = min(pitches, default=60) - 2, max(pitches, default=72) + 2
    missing = max(18 - (high - low), 0)
    return low - missing // 2, high + (missing + 1) // 2


def chord_size(chords: Sequence[tuple[Fraction, str]], quarter: float) -> float:
    """Choose the size of chord names, in points, so that they do not overlap; a quarter is `quarter` inches wide."""
    fits = [float(end - onset) * quarter / ((len(name) + 1) * LETTER) for (onset, name), (end, _) in pairwise(chords)]
    return min(max(min(fits, default=LARGEST), SMALLEST), LARGEST)


def _title_and_legend(figure: Figure, title: str, kinds: Mapping[str, str]) -> None:
    """Draw the title and, below it, the legend."""
    from matplotlib.patches import Patch

    height = figure.get_figheight()
    place = LEFT / WIDTH, 1 - 0.12 / height
    figure.text(*place, title, size=13, weight="bold", va="top", parse_math=False)  # dollar signs are not mathematics
    if kinds:
        patches = [Patch(color=colour, label=text) for colour, text in zip(COLOURS, kinds.values(), strict=False)]
        place = LEFT / WIDTH, 1 - TITLE / height
        style: dict[str, Any] = {"frameon": False, "fontsize": 9, "handlelength": 1.2, "handleheight": 0.8}
        style |= {"borderpad": 0, "borderaxespad": 0, "handletextpad": 0.5, "columnspacing": 1.6}
        figure.legend(handles=patches, loc="upper left", bbox_to_anchor=place, ncols=len(kinds), **style)


def _background(axes: Axes, system: Bars, rows: tuple[int, int], number: int) -> None:
    """Draw the background: rows of the black keys, beats, bar lines, octaves and bar numbers."""
    from matplotlib.collections import LineCollection, PolyCollection

    low, high = rows
    bottom, top = low - 0.5, high + 0.5
    add = partial(axes.add_collection, autolim=False)
    start, end = float(system[0][0]), float(system[-1][0] + system[-1][1])
    rows_of_black = [_rectangle(start, end, pitch) for pitch in range(low, high + 1) if pitch % 12 in BLACK_KEYS]
    octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    add(PolyCollection(rows_of_black, facecolor="#F1F2F4", zorder=0))
    beats = [float(onset + i) for onset, length in system for i in range(1, math.ceil(length))]
    lines = [float(onset) for onset, _ in system] + [end]
    for xs, colour, width in ((beats if len(beats) <= MOST_BEATS else [], "#DADDE2", 0.6), (lines, "#6B7078", 1.0)):
        segments = [[(x, bottom), (x, top)] for x in xs]
        add(LineCollection(segments, color=colour, linewidth=width, zorder=1, clip_on=False))
    levels = [[(start, y), (end, y)] for y in [*(pitch - 0.5 for pitch in octaves), bottom, top]]
    colours = ["#C3C7CE"] * len(octaves) + ["#6B7078"] * 2
    add(LineCollection(levels, color=colours, linewidth=0.7, zorder=1, clip_on=False))
    step = math.ceil(len(system) / 16)
    axes.set_xticks(lines[:-1:step], [str(number + i) for i in range(0, len(system), step)], ha="left")
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.tick_params(length=0, pad=3, labelsize=8, labelcolor="#555A62")
    axes.spines[:].set_visible(False)


def _notes(axes: Axes, system: Bars, notes: Sequence[RollNote], colours: Mapping[str, str]) -> None:
    """Draw the notes that sound in a system, cut at its beginning and end."""
    from matplotlib.collections import PolyCollection

    start, end = system[0][0], system[-1][0] + system[-1][1]
    within = [note for note in notes if note.onset < end and note.onset + note.duration > start]
    shapes = [
        _rectangle(float(max(note.onset, start)), float(min(note.onset + note.duration, end)), note.pitch)
        for note in within
    ]
    fill = [colours.get(note.kind, COLOURS[0]) for note in within]
    rectangles = PolyCollection(shapes, facecolor=fill, edgecolor="white", linewidth=0.6, zorder=2)
    axes.add_collection(rectangles, autolim=False)


def _chord_names(axes: Axes, system: Bars, chords: Sequence[tuple[Fraction, str]], size: float) -> None:
    """Write the chord names over a system: at its beginning, and wherever the name changes."""
    start, end = system[0][0], system[-1][0] + system[-1][1]
    free = -math.inf  # from here on the next name fits; one that does not fit in the smallest size is left out
    quarter = axes.get_position().width * WIDTH / float(axes.get_xlim()[1] - axes.get_xlim()[0])
    last: str | None = None
    before = [(start, name) for onset, name in chords if onset <= start][-1:]
    for onset, name in before + [chord for chord in chords if start < chord[0] < end]:
        if name != last and onset >= free:
            place = float(onset), axes.get_ylim()[1]
            style: dict[str, Any] = {"size": size, "weight": "bold", "parse_math": False}
            axes.annotate(name, place, (1, 3), textcoords="offset points", annotation_clip=False, **style)
            free = float(onset) + len(name) * 0.8 * SMALLEST * LETTER / quarter
        last = name


def _rectangle(start: float, end: float, pitch: int) -> list[tuple[float, float]]:
    """Return the corners of a rectangle in a pitch's row."""
    return [(start, pitch - 0.5), (end, pitch - 0.5), (end, pitch + 0.5), (start, pitch + 0.5)]
