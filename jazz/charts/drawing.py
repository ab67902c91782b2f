"""Charts drawn as text: the notation that `charts.text` reads, with aligned bars."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from typing import NamedTuple

from numpyrnn.checks import CONTROLS

from .chart import MAX_CHORDS, Change, Chart, Measure, slot_onsets
from .lines import is_label, plain_lines

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
    times : str, how often a repeat that ends here is played, such as " x3", unless it is twice
    first : bool, whether a new line begins here in any case
    below : int, the bars of an ending that is to stand below the first one, or 0
    """

    label: str
    begins: str
    ending: str
    new: bool
    body: str
    closing: str
    times: str
    first: bool
    below: int

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
    cells = _cells(_written(chart), chart.meter)
    for bars in BARS_A_LINE:
        lines = _lines(cells, _rows(cells, bars))
        if max(map(len, lines), default=0) <= width:
            break
    return "\n".join([*head, "", *lines, ""])


def _plain(value: object) -> str:
    """Text in one line, without signs that control a terminal."""
    return " ".join(CONTROLS.sub(" ", str(value)).split())


def _written(chart: Chart) -> list[Measure]:
    """The measures with endings and repeats as a typed chart can have them, which are played in the same order."""
    written: list[Measure] = []
    for first, stop, times in chart.passages():
        part = list(chart.measures[first:stop])
        numbers = {n for measure in part for n in measure.endings}
        for i, measure in enumerate(part):
            own = {*measure.endings} if numbers - {*measure.endings} else set()
            own |= {1} if own and min(numbers) in own else set()  # the first ending serves all times that have none
            part[i] = replace(measure, endings=tuple(sorted(own)))
        part = [replace(m, ends=m.ends * (m.endings != n.endings)) for m, n in pairwise(part)] + part[-1:]
        ends = any(m.endings for m in part)
        if times > 1 and not ends:
            part[-1] = replace(part[-1], ends=times)
        ended = not written or written[-1].ends or written[-1].endings or part[0].coda
        begins = part[0].begins or (times > 1 and not ended)  # an ending that is not drawn ended there
        part[0] = replace(part[0], begins=begins and (ends or part[-1].ends > 0))
        written += part
    return written


def _cells(measures: Sequence[Measure], meter: tuple[int, int]) -> list[Cell]:
    """What is written for each measure."""
    cells, before = [], Measure([])
    for i, measure in enumerate(measures):
        new = bool(measure.endings and (measure.endings != before.endings or before.ends))
        below = _length(measures, i) if new and before.endings else 0
        first = i == 0 or bool(measure.section) or measure.coda or below > 0 or before.ends not in (0, 2)
        first |= bool(before.endings and not measure.endings) or (before.double and measure.begins)
        opens = first or measure.begins or new
        chords = "%" if measure.chords == before.chords and not opens else _on_beats(measure.chords, meter)
        words = ["Segno"] * measure.segno + ["Coda"] * measure.coda + [chords]
        words += ["Fine"] * measure.fine + ["To Coda"] * measure.to_coda + [measure.jump] * bool(measure.jump)
        cells.append(
            Cell(
                _label(measure.section),
                ":" * measure.begins,
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


def _length(measures: Sequence[Measure], i: int) -> int:
    """The number of measures from i on that belong to the same ending."""
    following = takewhile(lambda k: not measures[k - 1].ends, range(i + 1, len(measures)))
    return 1 + sum(1 for _ in takewhile(lambda k: measures[k].endings == measures[i].endings, following))


def _label(section: str) -> str:
    """The label of a section, between stars if in brackets it would not be read as a label."""
    name = _plain(re.sub(r"[][|*]", " ", section))[:LONGEST_LABEL].strip()
    if not name:
        return ""
    clear = is_label(name) and not name[0].isdecimal() and plain_lines(f"[{name}]") == [f"[{name}]"]
    return f"[{name}]" if clear else f"*{name.replace(' ', '_')}*"


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
            column = first_ending if cell.below and first_ending + cell.below <= bars else 0
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
        lines.append(f"{line}|{row[-1].times}")
    return lines
