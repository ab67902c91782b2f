"""iReal Pro: charts read from the app's links, and from web pages that hold such links.

A link is `irealbook://` with the chords in plain text, or `irealb://` with the chords scrambled. The signs of the plain
text are those of https://www.irealpro.com/ireal-pro-custom-chord-chart-protocol. The scrambling is not published; it
was found out by the readers https://github.com/ironss/accompaniser and https://github.com/pianosnake/ireal-reader.

A line of iReal Pro has 16 cells. Chords, spaces and slashes take one cell each, and all other signs take none. A bar
usually has four cells, whatever its meter. The cells of a bar are its beats where they divide it evenly: four cells in
4/4, 2/2 or 12/8, three in 3/4, two in 4/4. There, a chord begins where its cell begins. In other bars, such as four
cells in 3/4, the chords share the beats as typed chords do, and a line of `Chart.guesses` says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from html import unescape
from typing import Any
from urllib.parse import unquote

from music.files import naming
from numpyrnn import NumpyrnnError
from workbench.terminal import counted

from ..chords import Chord, parse_chord
from ..feels import feels_of, swings
from .chart import LONGEST, MAX_CHORDS, TEMPI, Change, Chart, Measure, bar_length, parse_meter, spread

MAX_TEXT, MAX_BODY = 1_000_000, 100_000  # characters of all links, and of the chords of one tune
MARKER = "1r34LbKcu7"  # stands before scrambled chords
SHORT = {"Kcl": "| x", "LZ": " |", "XyQ": "   "}  # in scrambled chords
# A link ends at the quote that stands before it, or else at the end of its tag or line.
LINK = re.compile(
    r"""(?i)(?:(?P<quote>["'])|(?P<tag>[=>]))?(?P<scheme>irealb(?:ook)?)://"""
    r"(?P<rest>(?(quote)(?s:.*?)(?=(?P=quote)|\Z)|(?(tag)[^\s<>]*|(?:(?!irealb(?:ook)?://)[^\r\n])*)))"
)
KEY = re.compile("[A-G][#b]?-?")
NOTE = "[A-G][#b]?"
QUALITY = r"(?:sus|alt|add|maj?|min?|dim|aug|[-+^ho\d#bmM△Δ∆øØ°]|/(?=\d)|\((?:add|[#b]?\d)[^()]{0,99}\))*"
CHORD = rf"{NOTE}{QUALITY}(?:\*[^*|\[\]{{}}<>]*\*)?(?:/{NOTE})?|W(?:/{NOTE})?"  # W is the last chord
TOKEN = re.compile(
    rf"(?P<words><[^<>]*>|U)|(?P<cell>(?:{CHORD}|[ pnxr]|(?=\())(?:\([^()]{{0,99}}\))*)|(?P<line>[|\[\]{{}}Z])"
    r"|(?P<mark>\*[A-Za-z]|N\d|S)|(?P<coda>Q)|(?P<meter>T12|T\d\d)"
    r"|[fslY,.:;*\s]+|(?P<unknown>.)",  # fermata, sizes, vertical space and dividers are not played
    re.DOTALL,
)
SECOND_HALF = re.compile(r"(?<=r)([ ,]*)\|[ ,]+(?=[]|[{}Z])")  # the empty bar under the sign for two bars
JUMP = re.compile(r"(?i)D\.? ?([CS])\.?(?: al (?:(coda|fine)|([1-9])(?:st|nd|rd|th) end(?:ing)?))?\.?")


@dataclass(frozen=True)
class IrealTune:
    """One tune of a link. Its chords are read when its chart is asked for, so a faulty tune does not hide the others.

    Attributes
    ----------
    title, composer : str, as they are spoken: "The Song" for "Song, The", first name before last name
    style : str, the style and the accompaniment, such as "Ballad, Jazz-Ballad Swing"; may be empty
    key : str, such as "Bb" or "F#m"; empty if unknown
    tempo : int, None if the link says none
    chords : str, as in the link
    """

    title: str
    composer: str
    style: str
    key: str
    tempo: int | None
    chords: str

    def chart(self) -> Chart:
        """Read the chords.

        Returns
        -------
        Chart

        Raises
        ------
        NumpyrnnError
            if they cannot be read or played, or the meter changes; the message names the tune, and the bar as written
        """
        chords = self.chords
        if chords.startswith(MARKER):
            chords = re.sub("|".join(SHORT), lambda word: SHORT[word[0]], unscramble(chords.removeprefix(MARKER)))
        with naming(self.title[:60]):
            if len(chords) > MAX_BODY:
                raise NumpyrnnError(f"the chords of a tune must have at most {MAX_BODY} characters, got {len(chords)}")
            chart = _Reader().read(chords)
            chart.played()
        feels = feels_of(self.style)
        feel = feels[0] if feels else "swing" if self.style else ""
        unsure = len(set(map(swings, feels))) != 1 and bool(feel)
        guessed = [f"{feel} feel, from the style {self.style[:40]!r}"] * unsure
        chart = replace(chart, title=self.title, composer=self.composer, key=self.key, tempo=self.tempo, feel=feel)
        return replace(chart, guesses=[*guessed, *chart.guesses])


def parse_ireal(text: str) -> list[Chart]:
    """Read all charts in iReal Pro links.

    Parameters
    ----------
    text : str, see `tunes`

    Returns
    -------
    list of Chart, one or more

    Raises
    ------
    NumpyrnnError
        if there is no link, or one of its tunes cannot be read; see `IrealTune.chart`
    """
    return [tune.chart() for tune in tunes(text)]


def tunes(text: str) -> list[IrealTune]:
    """Find the tunes in iReal Pro links.

    Parameters
    ----------
    text : str, an `irealb://` or `irealbook://` link, or a text or an HTML page with such links

    Returns
    -------
    list of IrealTune, one or more, in the order of the text; equal ones appear once

    Raises
    ------
    NumpyrnnError
        if there is no tune, or there are over 1,000,000 characters
    """
    if len(text) > MAX_TEXT:
        raise NumpyrnnError(f"iReal Pro links must have at most {MAX_TEXT} characters, got {len(text)}")
    found = dict.fromkeys(tune for link in LINK.finditer(text) for tune in _tunes_of(link))
    if not found:
        raise NumpyrnnError(f"expected a link, irealb:// or irealbook://, with at least one tune, got {text[:40]!r}")
    return list(found)


def _tunes_of(link: re.Match[str]) -> list[IrealTune]:
    """The tunes of one link.

    The fields of a scrambled tune are title, composer, an empty one, style, key, transposition, chords, accompaniment,
    tempo and repeats; those of a plain one are title, composer, style, key, n, and chords. Old links lack some. Tunes
    are separated by `===`, and the name of the list may stand last.
    """
    text = unquote(unescape(link["rest"]) if link["quote"] or link["tag"] else link["rest"])
    fields = [field.strip(" \r\n\t") for field in (text if "=" in text else unquote(text)).split("=")]
    found, start, scrambled = list[IrealTune](), 0, link["scheme"].lower() == "irealb"
    while len(fields) - start >= 5 and any(fields[start : start + 8]):
        some = fields[start : start + 16]
        at = next((i for i, s in enumerate(some[:8]) if s.startswith(MARKER)), min(5 + scrambled, len(some) - 1))
        after, lengths = ([*some[at + 1 : at + 3], "", ""], (4, 3, 2, 1)) if scrambled else ([""] * 2, (1,))
        place = next((i for i in range(at - 1, 1, -1) if KEY.fullmatch(some[i])), at - 2)
        key = some[place].replace("-", "m") if KEY.fullmatch(some[place]) else ""
        style = ", ".join(filter(None, [some[place - 1] * (place > 2), after[0]]))
        title, composer, style = ("".join(filter(str.isprintable, " ".join(s.split()))) for s in (*some[:2], style))
        title = re.sub(r"^(.+), (The|An?)$", r"\2 \1", title) or "Untitled"
        tempo = int(after[1]) if re.fullmatch("[0-9]{2,3}", after[1]) and int(after[1]) in TEMPI else None
        found.append(IrealTune(title, re.sub(r"^(\S+) (\S+)$", r"\2 \1", composer), style, key, tempo, some[at]))
        gap = next((n for n in lengths if some[at + n : at + n + 2] == ["", ""]), None)
        start += at + (gap + 2 if gap else lengths[0])
    return found


def unscramble(text: str) -> str:
    """Undo the scrambling of chords, which is the same as doing it.

    In each block of 50 characters, those at 0 to 4 and 10 to 23 change places with their mirror images. The last block
    stays as it is, and so does the one before it if the last has only one character. Source: `irealb_parser.lua` of
    https://github.com/ironss/accompaniser and `unscramble.js` of https://github.com/pianosnake/ireal-reader.

    Parameters
    ----------
    text : str, what follows the marker

    Returns
    -------
    str
    """
    count = max(len(text) - 2, 0) // 50
    moved = {*range(5), *range(10, 24), *range(26, 40), *range(45, 50)}
    order = [49 - i if i in moved else i for i in range(50)]
    return "".join(text[50 * k + i] for k in range(count) for i in order) + text[50 * count :]


class _Reader:
    """Reads the signs of a chart one by one, up to the next bar line.

    Marks such as a section belong to the bar of the next cell, also if a bar line stands between them. Words such as
    "Fine" belong to the bar in which they stand, or to the last one if they stand after its end.
    """

    def __init__(self) -> None:
        self.measures, self.cells, self.guesses = list[Measure](), list[str](), list[str]()
        self.marks, self.signs, self.words = (dict[str, Any]() for _ in range(3))  # signs are the marks of this bar
        self.codas: list[tuple[int, bool]] = []  # the measure, and whether the sign stands at its end
        self.meter: tuple[int, int] | None = None
        self.held: Chord | None = None
        self.line, self.times, self.ending, self.last = "", 0, 0, 0  # 0 outside of repeats and endings

    def read(self, text: str) -> Chart:
        """Read all signs."""
        for token in TOKEN.finditer(SECOND_HALF.sub(r"\1", text)):
            kind, word, inside = token.lastgroup, token[0], any(self.cells)
            if kind == "line":
                self._end_bar(word)
            elif kind == "cell":
                self.signs, self.marks = self.signs | self.marks, {}
                self.cells.append(word.strip())
            elif kind == "words":
                self._read_words(re.sub(r"^\*\d\d", "", word.strip("<>")).strip())
            elif kind == "mark":
                name = {"*": "section", "N": "ending", "S": "segno"}[word[0]]
                self.marks[name] = {"i": "Intro", "v": "Verse"}.get(word[1:].lower(), word[1:]) or True
            elif kind == "coda":
                self.codas.append((len(self.measures), inside))
            elif kind == "meter":
                with naming(f"bar {len(self.measures) + 1 + inside}"):
                    meter = parse_meter("12/8" if word == "T12" else f"{word[1]}/{word[2]}")
                    self.meter = self.meter or ((4, 4) if self.measures or inside else meter)
                    if meter != self.meter:
                        raise NumpyrnnError(
                            "the meter must stay {}/{}, it changes to {}/{}".format(*self.meter, *meter)
                        )
            elif kind:
                raise NumpyrnnError(f"bar {len(self.measures) + 1}: {word[:20]!r} has no meaning there")
        self._end_bar("")
        self._finish()
        self.guesses += ["4/4, the chart names no meter"] * (not self.meter)
        return Chart(self.measures, self.meter or (4, 4), guesses=list(dict.fromkeys(self.guesses)))

    def _read_words(self, text: str) -> None:
        if jump := JUMP.fullmatch(text):
            aim = (jump[2] or jump[3] or "").capitalize()
            self.words["jump"] = f"D.{jump[1].upper()}." + f" al {aim}" * bool(aim)
        elif text.lower().rstrip(".") in ("fine", "u"):  # U ends the tune for the app's player
            self.words["fine"] = True
        elif count := re.fullmatch(r"(?i)(\d\d?) ?x|x ?(\d\d?)", text):
            self.times = max(int(count[1] or count[2]), 1)
        elif re.search(r"\bD\.? ?[CS]\b", text):
            self.guesses.append(f"the words {text[:40]!r} are not followed")

    def _end_bar(self, line: str) -> None:
        """End a bar. Empty cells after the end of a section or of the chart are layout."""
        if any(self.cells) or (self.cells and line and self.line in ("|", "[", "{")):
            with naming(f"bar {len(self.measures) + 1}"):
                self._add(self._bars())
        else:
            self.marks = self.signs | self.marks
            self._sign(-1, **self.words)
            self.words = {} if self.measures else self.words
        if line in ("}", "[", "]", "Z"):
            self._sign(-1, **({"ends": self.times or 2} if line == "}" else {"double": True}))
        self.marks |= {"begins": True} if line == "{" else {}
        self.times, self.ending = self.times * (line != "}"), self.ending * (line == "|")
        self.line, self.cells, self.signs = line, [], {}

    def _add(self, bars: list[list[Change]]) -> None:
        """Add the measure that was read, or the two of the sign for two bars."""
        number, before = self.signs.pop("ending", None), self.measures[-1] if self.measures else Measure([])
        self.last *= bool(number or self.ending)
        if number:  # an ending without a number, N0, follows the one before
            self.ending = self.last = max(int(number), min(self.last + 1, 9) * (int(number) <= self.last))
        ending, jumped_to = self.ending, "begins" in self.signs or (len(self.measures), False) in self.codas
        if before.ends and before.endings == (1,) and not ending and not jumped_to:
            ending = 2  # a first ending without a second one is left out the last time
        for i, bar in enumerate(bars):
            signs = (self.signs if i == 0 else {}) | (self.words if i == len(bars) - 1 else {})
            self.measures.append(Measure(bar, endings=(ending,) if ending else (), **signs))
        if len(self.measures) > LONGEST:
            raise NumpyrnnError(f"a chart must have at most {LONGEST} bars")
        self.words, self.held = {}, bars[-1][-1][1]

    def _bars(self) -> list[list[Change]]:
        """The chords of the bar that was read, or of the two bars of the sign for two bars."""
        meter, count, used = self.meter or (4, 4), len(self.cells), {*self.cells} - {""}
        if used & {"x", "r"}:
            repeated = 1 if "x" in used else 2
            if len(used) > 1 or len(self.measures) < repeated:
                raise NumpyrnnError(f"{'.xr'[repeated]!r} must stand alone in its bar, after {repeated} or more bars")
            return [list(measure.chords) for measure in self.measures[-repeated:]]
        before = self._chord("") if self.held else None
        slots, chords = [i for i, cell in enumerate(self.cells) if cell][: MAX_CHORDS + 1], list[Chord]()
        for i in slots:
            self.held = self._chord(self.cells[i])
            chords.append(self.held)
        if count in (meter[0], 2 * meter[0]) or meter[0] % count == 0:
            places = [bar_length(meter) * i / count for i in slots]
        else:
            places = [place for place, _ in spread(chords, meter)]
            self.guesses += ["chords share the beats of bars whose cells are not beats"] * (len(slots) > 1)
        bar = [(place, chord) for i, place, chord in zip(slots, places, chords, strict=True) if self.cells[i] != "p"]
        first = before or parse_chord("N.C.") if not bar or (before and bar[0][0]) else bar.pop(0)[1]
        return [[(Fraction(0), first), *bar]]

    def _chord(self, cell: str) -> Chord:
        """The chord of a cell; a slash or an empty cell holds the last one, and W puts another bass under it."""
        cell = re.sub(r"^p?(?=\(|$)", "W", re.sub("^n", "N.C.", cell.replace("*", "")))
        if "W" in cell:
            if self.held is None:
                raise NumpyrnnError("the first bar must begin with a chord")
            root, quality, bass = self.held.parts
            chord = root + quality + "/" * bool(bass) + bass or "N.C."
            cell = re.sub(r"W(?!/)", chord, cell).replace("W", root + quality)
        return parse_chord(cell)

    def _sign(self, place: int, **signs: Any) -> None:
        """Give a measure more signs, if it exists."""
        if -1 <= place < len(self.measures) and self.measures:
            self.measures[place] = replace(self.measures[place], **signs)

    def _finish(self) -> None:
        """Place codas, number the last endings and write out jumps to an ending, once all measures are known."""
        for i, (bar, at_end) in enumerate(self.codas):  # the last is the coda, unless it is alone at the end of a bar
            if i == len(self.codas) - 1 and (i > 0 or not at_end) and bar + at_end < len(self.measures):
                self._sign(bar + at_end, coda=True)
            else:
                self._sign(max(bar - (not at_end), 0), to_coda=True)
        for first, stop, times in list(Chart(self.measures).passages()):  # played more often than it has endings
            last = max((number for measure in self.measures[first:stop] for number in measure.endings), default=0)
            for i in [i for i in range(first, stop) if 1 < last < times and last in self.measures[i].endings]:
                self._sign(i, endings=(times,))
        for i, jump in [(i, measure.jump) for i, measure in enumerate(self.measures) if measure.jump]:
            if jump.endswith("Coda") and not any(measure.to_coda for measure in self.measures):
                self._sign(i, to_coda=True)
                self.guesses.append(f"the coda follows the bar of {jump}, the chart has no other sign")
            elif jump[-1].isdecimal():
                return self._write_out(i, jump)

    def _write_out(self, i: int, jump: str) -> None:
        """Write out "D.C. al 2nd End." and its like: back to the start, and the tune ends with that ending."""
        signed = [k for k, measure in enumerate(self.measures) if measure.segno] if "S" in jump else [0]
        endings = [k for k, measure in enumerate(self.measures) if measure.endings and k >= min(signed, default=0)]
        chosen = [k for k in endings if int(jump[-1]) in self.measures[k].endings]
        if not signed or not chosen:
            raise NumpyrnnError(f"{jump[:-1]}ending {jump[-1]} needs {'that ending' if signed else 'a segno'}")
        played = [*range(signed[0], endings[0]), *(k for n, k in enumerate(chosen) if k == chosen[0] + n)]
        stop = next((n for n, k in enumerate(played, 1) if self.measures[k].fine or k + 1 == i), len(played))
        copies = [Measure(self.measures[k].chords, self.measures[k].section) for k in played[:stop]]
        self.measures = [*self.measures[:i], replace(self.measures[i], jump=""), *copies]
        self.guesses.append(f"{jump[:-1]}ending {jump[-1]} is written out in {counted(len(copies), 'bar')}")
