"""Charts drawn as text: the notation that `charts.text` reads, with aligned bars."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from numpyrnn.checks import CONTROLS

from .chart import MAX_CHORDS, Change, Chart, Measure, slot_onsets

WIDTH = 80  # columns
BARS_A_LINE = (4, 2, 1)  # as many as there is room for
LONGEST_LABEL = 40  # characters


class Cell(NamedTuple):
    """What is written for a measure.

    Attributes
    ----------
    label : str, of a section that begins here, such as "[A]"
    begins : str, ":" if a repeat begins here
    ending : str, the numbers of the ending to which it belongs, such as "1."
    new : bool, whether this ending begins here
    body : str, the chords, and the signs that are words
    closing : str, what stands before the next bar line
    count : str, how often a repeat that ends here is played, such as " x3", unless it is twice
    first : bool, whether a new line begins here in any case
    below : bool, whether it stands below the first ending
    """

    label: str
    begins: str
    ending: str
    new: bool
    body: str
    closing: str
    count: str
    first: bool
    below: bool

    @property
    def opening(self) -> str:
        """The signs after the bar line."""
        return self.begins + self.ending * self.new


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
    cells = _cells(chart)
    for bars in BARS_A_LINE:
        lines = _lines(cells, _rows(cells, bars))
        if max(map(len, lines), default=0) <= width:
            break
    return "\n".join([*head, "", *lines, ""])


def _plain(value: object) -> str:
    """Text in one line, without signs that control a terminal."""
    return " ".join(CONTROLS.sub(" ", str(value)).split())


def _cells(chart: Chart) -> list[Cell]:
    """What is written for each measure."""
    cells, before = [], Measure([])
    passages = [(first, chart.measures[first:stop]) for first, stop, _ in chart.passages()]
    repeats = {first for first, measures in passages if any(measure.ends or measure.endings for measure in measures)}
    for i, measure in enumerate(chart.measures):
        new = bool(measure.endings and (measure.endings != before.endings or before.ends))
        below = new and bool(before.endings)
        first = i == 0 or bool(measure.section) or measure.coda or below or before.ends not in (0, 2)
        first |= bool(before.endings and not measure.endings) or (before.double and measure.begins)
        opens = first or measure.begins or new
        chords = "%" if measure.chords == before.chords and not opens else _on_beats(measure.chords, chart.meter)
        words = ["Segno"] * measure.segno + ["Coda"] * measure.coda + [chords]
        words += ["Fine"] * measure.fine + ["To Coda"] * measure.to_coda + [measure.jump] * bool(measure.jump)
        cells.append(
            Cell(
                _label(measure.section),
                ":" * (measure.begins and i in repeats),
                ",".join(map(str, measure.endings)) + "." * bool(measure.endings),
                new,
                " ".join(words),
                " :" if measure.ends else " |" if measure.double else " ",
                f" x{measure.ends}" * (measure.ends not in (0, 2)),
                first,
                below,
            )
        )
        before = measure
    return cells


def _label(section: str) -> str:
    """The label of a section, between stars if in brackets it would look like an ending."""
    name = _plain(re.sub(r"[][|*]", " ", section))[:LONGEST_LABEL].strip()
    return "" if not name else f"*{name.replace(' ', '_')}*" if name[0].isdecimal() else f"[{name}]"


def _on_beats(chords: Sequence[Change], meter: tuple[int, int]) -> str:
    """The chords of a bar, with a slash for each beat on which a chord is held, unless all are equally long."""
    names = {onset: re.sub(r" (?!\()(?![^()]*\))", "", _plain(chord)) for onset, chord in chords}
    beats, count = meter[0], len(chords)
    equal = [count] if count > beats or beats % count == 0 else []
    for slots in [*equal, *range(beats, MAX_CHORDS + 1, beats), *range(count, MAX_CHORDS + 1)]:
        onsets = slot_onsets(slots, meter)
        if names.keys() <= {*onsets}:
            return " ".join(names.get(onset, "/") for onset in onsets)
    return " ".join(names.values())  # only a file can have such onsets, which no slots fit


def _rows(cells: Sequence[Cell], bars: int) -> list[tuple[int, list[Cell]]]:
    """For each line, the column of its first cell, and its cells. An ending that goes on shows its number again."""
    rows: list[tuple[int, list[Cell]]] = []
    column = first_ending = 0
    for cell in cells:
        begins = cell.new and not cell.below
        if cell.first or column == bars:
            column = first_ending if cell.below else 0
            rows.append((column, []))
            cell = cell._replace(new=bool(cell.ending))
        first_ending = column if begins else first_ending
        rows[-1][1].append(cell)
        column += 1
    return rows


def _lines(cells: Sequence[Cell], rows: Sequence[tuple[int, list[Cell]]]) -> list[str]:
    """The lines of a drawing, with bar lines below each other."""
    margin = max((len(cell.label) for cell in cells), default=0)
    signs: dict[int, int] = {}  # of each column, the room for signs after the bar line
    widths: dict[int, int] = {}
    for first, row in rows:
        for column, cell in enumerate(row, first):
            signs[column] = max(signs.get(column, 0), len(cell.opening))
            widths[column] = max(widths.get(column, 0), len(cell.body + cell.closing))
    lines = []
    for first, row in rows:
        blank = sum(signs[column] + widths[column] + 2 for column in range(first))
        line = row[0].label.ljust(margin + bool(margin)) + " " * blank
        for column, cell in enumerate(row, first):
            closing = cell.closing.rjust(widths[column] - len(cell.body))
            line += f"|{cell.opening.ljust(signs[column])} {cell.body}{closing}"
        lines.append(f"{line}|{row[-1].count}")
    return lines
