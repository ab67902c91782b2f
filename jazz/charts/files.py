"""Charts from files of any kind, from links of iReal Pro, and from typed changes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple
from unicodedata import combining, normalize

from music.files import naming
from numpyrnn import NumpyrnnError
from numpyrnn.checks import shown
from numpyrnn.files import first_bytes

from .chart import Chart, parse_key, parse_meter
from .lines import MISTYPED
from .text import parse_chart

MAX_BYTES = 20 << 20  # of a file
LISTED, ROOM = 12, 260  # titles in an error, and their characters
LINK = re.compile(r"irealb(?:ook)?://", re.IGNORECASE)
PAGE = re.compile(r"\s*<(?:!doctype|html|head|body|a)\b", re.IGNORECASE)
NAME = re.compile(r"[^|\n]*[\w)\]]\.[a-z][a-z0-9]{1,8}|(?:\.{1,2}|~)[/\\][^|\s./][^|\n]*", re.IGNORECASE)  # of a file


class Tune(NamedTuple):
    """One tune of a file or link.

    Attributes
    ----------
    title : str, may be empty
    chart : function that reads the tune and returns its Chart
    """

    title: str
    chart: Callable[[], Chart]


def read_chart(source: str, tune: str | None = None, meter: str | None = None, key: str | None = None) -> Chart:
    """Read a chart from typed changes, a link of iReal Pro, or a file.

    Parameters
    ----------
    source : str, such as "Dm7 G7 | Cmaj7", "irealb://...", or "@FILE" for a file: text, iReal Pro's HTML, or MusicXML
    tune : str, optional, which tune of several, see `choose_tune`
    meter : str, optional, of a chart that says none, such as "3/4"; default "4/4"
    key : str, optional, such as "Bb" or "F#m", instead of the chart's

    Returns
    -------
    Chart

    Raises
    ------
    NumpyrnnError
        if it cannot be read, has no such tune, or says another meter
    """
    beats = None if meter is None else parse_meter(meter)
    path = source[1:] if source.startswith("@") else None
    content = source if path is None else first_bytes(path, MAX_BYTES + 1, "a chart")
    with _hinting(source) if path is None else naming(path):
        chart = choose_tune(tunes_in(content, beats), tune).chart()
        check_meter(chart.meter, meter)
    return in_key(chart, key)


@contextmanager
def _hinting(source: str) -> Iterator[None]:
    """Add to an error about a single word that a file may be meant."""
    try:
        yield
    except NumpyrnnError as error:
        if not re.fullmatch(r"[^\s|:()]{3,100}", source) or MISTYPED.fullmatch(source):
            raise
        hint = f"a file is given as @{source}" if os.path.lexists(source) else f"there is no file {source!r} either"
        raise NumpyrnnError(f"{error}; {hint}") from None


def check_meter(written: tuple[int, int], meter: str | None) -> None:
    """Raise if a meter is asked for, and a chart says another."""
    if meter is not None and parse_meter(meter) != written:
        raise NumpyrnnError(f"the meter of the chart is {written[0]}/{written[1]}, and {meter} was asked for")


def in_key(chart: Chart, key: str | None) -> Chart:
    """The chart, said to be in another key unless that is None; its chords stay as they are."""
    return chart if key is None else replace(chart, key=parse_key(key))


def tunes_in(content: bytes | str, meter: tuple[int, int] | None = None) -> list[Tune]:
    """List the tunes of a file, of links or of typed changes.

    Parameters
    ----------
    content : bytes of a file, or str
    meter : (beats, unit), optional, of text that says none

    Returns
    -------
    list of Tune, at least one

    Raises
    ------
    NumpyrnnError
        if it cannot be read
    """
    if isinstance(content, bytes):
        if len(content) > MAX_BYTES:
            raise NumpyrnnError(f"a chart must have at most {MAX_BYTES} bytes, it has more")
        from .musicxml import is_musicxml, read_musicxml

        if is_musicxml(content) or content.startswith(b"PK\3\4"):  # no text begins like a zip
            return [_read(read_musicxml(content))]
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise NumpyrnnError(f"a chart must be MusicXML or UTF-8 text, byte {error.start} is not") from error
    if LINK.search(content) or PAGE.match(content):
        from .ireal import tunes

        return [Tune(tune.title, tune.chart) for tune in tunes(content)]
    return [_read(parse_chart(content, meter))]


def _read(chart: Chart) -> Tune:
    return Tune(chart.title, lambda: chart)


def choose_tune(tunes: Sequence[Tune], name: str | None) -> Tune:
    """Choose one of several tunes.

    Parameters
    ----------
    tunes : sequence of Tune, at least one
    name : str, optional, a title, or its beginning or another part if only one tune has it, in any case; or a number
        from 1. It may be left out if there is one tune. Accents do not count.

    Returns
    -------
    Tune

    Raises
    ------
    NumpyrnnError
        if there are several tunes and no name, or none or several of the name
    """
    if name is None:
        if len(tunes) == 1:
            return tunes[0]
        how = "choose one by its title or number (--tune)"
        raise NumpyrnnError(f"there are {len(tunes):,} tunes here, {how}: {_listed(tunes, range(len(tunes)))}")
    titles, wanted = [_plain(tune.title) for tune in tunes], _plain(name[:200])
    if wanted not in titles and wanted.isdecimal() and 1 <= int(wanted[:9]) <= len(tunes):
        return tunes[int(wanted) - 1]
    same = [tune for tune in tunes if tune.title.casefold() == name.casefold()]
    if len(same) == 1:
        return same[0]
    tests: list[Callable[[str], bool]] = [wanted.__eq__, lambda t: t.startswith(wanted), lambda t: wanted in t]
    for found in ([i for i, title in enumerate(titles) if test(title)] for test in tests):
        if len(found) == 1:
            return tunes[found[0]]
        if found:
            raise NumpyrnnError(f"--tune {shown(name)} could be any of: {_listed(tunes, found)}")
    near = [titles.index(title) for title in get_close_matches(wanted, titles, 3, 0.5)] or range(len(tunes))
    raise NumpyrnnError(f"no tune has the title {shown(name)}, there is: {_listed(tunes, near)}")


def _plain(title: str) -> str:
    """A title in small letters, without accents and doubled spaces."""
    letters = (letter for letter in normalize("NFKD", title) if not combining(letter))
    return " ".join("".join(letters).split()).casefold()


def _listed(tunes: Sequence[Tune], which: Sequence[int]) -> str:
    """The numbers and titles of the first dozen of some tunes."""
    words = [f"{i + 1} {shown(tunes[i].title or 'untitled', 30)}" for i in which[:LISTED]]
    while len(words) > 1 and sum(map(len, words)) + 2 * len(words) > ROOM:
        words.pop()
    return ", ".join(words) + " ..." * (len(words) < len(which))


def source_of(text: str) -> str:
    """What the user means who gives a name, a link or changes: "@" and the name if it is that of a file."""
    named = os.path.lexists(text) or NAME.fullmatch(text)
    return f"@{text}" if named and not LINK.match(text) and not text.startswith("@") else text
