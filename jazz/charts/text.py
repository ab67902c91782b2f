"""Charts typed as text: bars, repeats and endings with signs that a keyboard has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from music.files import naming
from numpyrnn import NumpyrnnError

from ..chords import Chord, parse_chord
from .chart import LONGEST, Change, Chart, Measure, spread

MAX_TEXT = 1_000_000  # characters
HOLD = ("/", "%")  # within a bar
# A sign for held chords, or a symbol with the brackets after it. Brackets may have spaces inside and before them.
SYMBOLS = re.compile(r"[/%](?!\S)|(?:\([^()]*\)|\S)+(?:\s+\([^()]*\))*")


def parse_chart(text: str, meter: tuple[int, int] = (4, 4)) -> Chart:
    """Read changes as musicians write them.

    Bars are separated by `|` or a new line, chords by spaces. `%` repeats the previous bar, `/` holds the previous
    chord for another beat. `|: ... :|` is played twice, `:| x3` three times. `N.C.` means no chord. Chords in brackets
    are alternates, which are shown with the chord before them and not played. The chords of a bar share its beats.

    Parameters
    ----------
    text : str, such as "Dm7 G7 | Cmaj7 | %"
    meter : (beats, unit), default (4, 4)

    Returns
    -------
    Chart

    Raises
    ------
    NumpyrnnError
        if a symbol is unknown (the error names its bar, and its line if there are several), a repeat is wrong, or there
        is no chord, or over 10,000 bars, 64 chords in a bar or 1,000,000 characters
    """
    if len(text) > MAX_TEXT:
        raise NumpyrnnError(f"changes must have at most {MAX_TEXT} characters, got {len(text)}")
    bars: list[list[Change]] = []
    repeat: int | None = None
    since = 0  # the bar to which a :| without |: goes back
    marked = re.sub(r"(?<!\|)\|++\s*+:", r"|:START|", text)  # each repeat sign as a bar of its own
    marked = re.sub(r":\s*\|+(?:\s*x(\d+))?", r"|:END\1|", marked)
    lines = [line.split("|") for line in marked.split("\n")]
    for line, part in ((number, part.strip()) for number, parts in enumerate(lines, 1) for part in parts):
        if part == ":START":
            if repeat is not None:
                raise NumpyrnnError(f"a repeat must end before the next begins, bar {len(bars) + 1} begins a second")
            repeat = len(bars)
        elif part.startswith(":END"):
            passage = bars[since if repeat is None else repeat :]
            times = int(part[4:10] or 2)
            if times < 1:
                raise NumpyrnnError(f"a repeat must be played once or more, got x{times} before bar {len(bars) + 1}")
            if len(bars) + len(passage) * (times - 1) > LONGEST:
                raise NumpyrnnError(f"changes must have at most {LONGEST} bars, a repeat makes more")
            bars += passage * (times - 1)
            repeat, since = None, len(bars)
        elif part == "%":
            if not bars:
                raise NumpyrnnError("bar 1 must name a chord, there is no bar before it for % to repeat")
            bars.append(bars[-1])
        elif part:
            bars.append(_read_bar(part, f"line {line}, " * (len(lines) > 1) + f"bar {len(bars) + 1}", meter, bars))
    if len(bars) > LONGEST:
        raise NumpyrnnError(f"changes must have at most {LONGEST} bars, got {len(bars)}")
    if repeat is not None:
        raise NumpyrnnError(f"the repeat that begins at bar {repeat + 1} must end with :|")
    if not any(chord.tones for bar in bars for _, chord in bar):
        raise NumpyrnnError("changes must have a chord, such as Dm7 G7 | Cmaj7; got none")
    return Chart([Measure(bar) for bar in bars], meter)


def _read_bar(text: str, where: str, meter: tuple[int, int], before: Sequence[list[Change]]) -> list[Change]:
    """The chords of one bar. A held chord (/ or %) appears once; alternates by themselves stand over a held chord."""
    slots: list[Chord] = []
    symbols = SYMBOLS.findall(text)
    for symbol in symbols:
        with naming(where):
            chord = None if symbol in HOLD else parse_chord(symbol)
        if chord and chord.played:
            slots.append(chord)
        elif slots or before:
            held, shown = slots[-1] if slots else before[-1][-1][1], chord.alternates if chord else ""
            if held.alternates and not slots:  # they belong to the bar before
                root, quality, bass = held.parts
                held = parse_chord(root + quality + "/" * bool(bass) + bass or "N.C.")
            slots.append(replace(held, symbol=held.symbol + shown, alternates=held.alternates + shown))
        else:
            raise NumpyrnnError(f"bar 1 must begin with a chord, got {symbol!r}")
    return [change for i, change in enumerate(spread(slots, meter)) if i == 0 or symbols[i] not in HOLD]
