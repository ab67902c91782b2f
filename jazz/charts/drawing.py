"""Charts drawn as text: the notation that `charts.text` reads, with aligned bars."""

from __future__ import annotations

import re
from collections.abc import Sequence

from numpyrnn.checks import CONTROLS

from .chart import MAX_CHORDS, Change, Chart, Measure, slot_onsets

WIDTH = 80  # columns
BARS_A_LINE = (4, 2, 1)  # as many as there is room for


def draw(chart: Chart, width: int = WIDTH) -> str:
    """Draw a chart as text, which `charts.text.parse_chart` reads again.

    A head of `key: value` lines is followed by lines of four bars, or of two or one if there is no room for more. A new
    line begins with each section, and a second ending stands below the first one. `%` is a bar like the one before it,
    and `/` holds a chord for another beat where the chords of a bar are not equally long.

    Parameters
    ----------
    chart : Chart
    width : int, default 80, columns; a single bar or a line of the head may be longer

    Returns
    -------
    str, which ends with a newline
    """
    values = {
        **{"title": chart.title, "composer": chart.composer, "key": chart.key, "meter": "{}/{}".format(*chart.meter)},
        **{"tempo": chart.tempo, "feel": chart.feel, "pickup": chart.pickup},
    }
    head = [f"{name}: {words}" for name, value in values.items() if value and (words := _plain(value))]
    bodies = [_body(chart, i) for i in range(len(chart.measures))]
    for bars in BARS_A_LINE:
        lines = _lines(chart.measures, bodies, bars)
        if max(map(len, lines), default=0) <= width:
            break
    return "\n".join([*head, "", *lines, ""])


def _plain(value: object) -> str:
    """Text in one line, without signs that control a terminal."""
    return " ".join(CONTROLS.sub(" ", str(value)).split())


def _body(chart: Chart, i: int) -> str:
    """The chords of a measure, and its signs in words."""
    measure = chart.measures[i]
    opens = bool(i == 0 or _opening(chart.measures, i) or measure.section or measure.coda)
    if not opens and measure.chords == chart.measures[i - 1].chords:
        chords = "%"
    else:
        chords = _on_beats(measure.chords, chart.meter)
    words = ["Segno"] * measure.segno + ["Coda"] * measure.coda + [chords]
    words += ["Fine"] * measure.fine + ["To Coda"] * measure.to_coda + [measure.jump]
    return " ".join(filter(None, words))


def _on_beats(chords: Sequence[Change], meter: tuple[int, int]) -> str:
    """The chords of a bar, with a slash for each beat on which a chord is held, unless all are equally long."""
    names = {onset: re.sub(r" (?!\()(?![^()]*\))", "", _plain(chord)) for onset, chord in chords}
    beats, count = meter[0], len(chords)
    equal = [count] if count > beats or beats % count == 0 else []
    for slots in [*equal, *range(max(beats, count), MAX_CHORDS + 1)]:
        onsets = slot_onsets(slots, meter)
        if names.keys() <= {*onsets}:
            return " ".join(names.get(onset, "/") for onset in onsets)
    return " ".join(names.values())  # only a file can have such onsets, which no slots fit


def _opening(measures: Sequence[Measure], i: int) -> str:
    """The signs at the beginning of a measure that belong to its bar line."""
    measure, before = measures[i], measures[i - 1] if i else Measure([])
    new = measure.endings and (measure.endings != before.endings or before.ends)
    return ":" * measure.begins + (",".join(map(str, measure.endings)) + ".") * bool(new)


def _rows(measures: Sequence[Measure], bars: int) -> list[tuple[int, list[int]]]:
    """For each line, the column of its first measure, and its measures."""
    rows: list[tuple[int, list[int]]] = []
    column = first_ending = 0
    for i, measure in enumerate(measures):
        before = measures[i - 1] if i else Measure([])
        below = bool(measure.endings and before.endings and _opening(measures, i))
        if measure.endings and not before.endings:
            first_ending = column % bars
        if i == 0 or column == bars or below or measure.section or measure.coda or before.ends not in (0, 2):
            column = first_ending if below else 0
            rows.append((column, []))
        rows[-1][1].append(i)
        column += 1
    return rows


def _lines(measures: Sequence[Measure], bodies: Sequence[str], bars: int) -> list[str]:
    rows = _rows(measures, bars)
    labels = [f"[{_plain(re.sub(r'[][|]', ' ', m.section))}]" if m.section else "" for m in measures]
    margin = max(map(len, labels), default=0)
    openings = [_opening(measures, i) for i in range(len(measures))]
    places = [(first + place, i) for first, row in rows for place, i in enumerate(row)]
    signs = [max((len(openings[i]) for at, i in places if at == column), default=0) for column in range(bars)]
    closings = [" :" if m.ends else " |" if m.double else " " for m in measures]
    lengths = [len(body + closing) for body, closing in zip(bodies, closings, strict=True)]
    widths = [max((lengths[i] for at, i in places if at == column), default=0) for column in range(bars)]
    lines = []
    for first, row in rows:
        blank = sum(signs[:first]) + sum(widths[:first]) + 2 * first
        line = labels[row[0]].ljust(margin) + " " * (bool(margin) + blank)
        for column, i in enumerate(row, first):
            line += (
                f"|{openings[i].ljust(signs[column])} {bodies[i]}{closings[i].rjust(widths[column] - len(bodies[i]))}"
            )
        count = f" x{measures[row[-1]].ends}" * (measures[row[-1]].ends not in (0, 2))
        lines.append(f"{line}|{count}")
    return lines
