"""The Weimar Jazz Database: as it is downloaded, an SQLite file, and in its CSV form.

The CSV form is a folder or a zip file with melody/NAME.csv and beats/NAME.csv. In both, the columns are found by their
names. The columns of the SQLite file are those of https://jazzomat.hfm-weimar.de/dbformat/dbformat.html.
"""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import count, pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from music.files import naming
from numpyrnn import NumpyrnnError
from numpyrnn.files import first_bytes

from ..tunes import Tune
from .transcription import Row, Transcription, real, transcription

MAX_ZIP, LONGEST_DIRECTORY = 64_000_000, 1 << 20  # bytes
MAX_SOLOS, MAX_BYTES, MAX_ROWS = 4096, 4_000_000, 50_000  # of a solo: bytes and rows of a file
MAX_TABLE, MAX_TEXT = 300_000, 1_000_000  # rows of a table, bytes of a row
LONGEST = 100  # letters of a text that are kept
STEPS, MAX_STEPS = 100_000, 500  # instructions of SQLite between two checks, and the number of checks
END_OF_ZIP, LOCATOR = 22, 20  # bytes of a zip's last record, and of the one before it that only large zips have
SQLITE, ZIP = b"SQLite format 3\0", b"PK"  # the first bytes of files
DAMAGED = (BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)  # what a damaged zip raises
COLUMNS = {
    "melody": ("onset", "duration", "bar", "beat", "tatum", "division", "pitch"),
    "beats": ("onset", "duration", "bar", "beat", "signature", "chord"),
}
TABLES = {
    "solo_info": ("performer", "title", "solopart", "style"),
    "melody": COLUMNS["melody"],
    "beats": ("onset", "bar", "beat", "signature", "chord"),
}
# Where a word begins in ANightInTunisia, D.B.Blues or Runnin'Wild.
WORD = re.compile(r"(?<=[a-z0-9',)])(?=[A-Z(])|(?<=[A-Z.])(?=[A-Z][a-z])")
MOST_NAMED = 12  # names that an error lists

T = TypeVar("T")
Rows = list[Row]
Files = dict[str, Callable[[], bytes]]
Progress = Callable[[Sequence["Entry"]], Iterable["Entry"]]


class Entry(NamedTuple):
    """A solo of the database, before it is read.

    Attributes
    ----------
    name : str, such as "ArtPepper_Stardust-2"
    performer, title : str, such as "Art Pepper" and "Stardust"
    style : str, such as "BEBOP"; None in the CSV form, which does not say it
    rows : function that reads the rows of the notes and of the beats
    """

    name: str
    performer: str
    title: str
    style: str | None
    rows: Callable[[], tuple[Rows, Rows]]


@dataclass(frozen=True)
class Chosen:
    """Which solos are wanted; by default all are.

    Attributes
    ----------
    performers : tuple of str, names or parts of names; spaces, signs and capitals do not count
    styles : tuple of str, such as "hard bop"
    tempos : (lowest, highest), quarters a minute
    meter : (beats, unit), of every bar
    """

    performers: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    tempos: tuple[float, float] | None = None
    meter: tuple[int, int] | None = None

    def among(self, entries: Sequence[Entry], path: str | Path) -> list[Entry]:
        """The solos by these performers and in these styles; an error if one of them is not there."""
        if self.styles and all(entry.style is None for entry in entries):
            raise NumpyrnnError(f"--style needs the database itself, wjazzd.db; {path}, its CSV form, has no styles")
        _check_known("--performer", self.performers, {entry.performer for entry in entries}, _is_part)
        _check_known("--style", self.styles, {entry.style or "" for entry in entries}, _is_same)
        return [
            entry
            for entry in entries
            if (not self.performers or any(_is_part(name, entry.performer) for name in self.performers))
            and (not self.styles or any(_is_same(name, entry.style or "") for name in self.styles))
        ]

    def fits(self, played: Transcription) -> bool:
        """Whether a solo has the wanted tempo and meter."""
        low, high = self.tempos or (0, float("inf"))
        return low <= round(played.tempo) <= high and (self.meter is None or set(played.meters) == {self.meter})


def parse_tempos(text: str) -> tuple[float, float]:
    """Read a range of tempos, such as "100-260"."""
    match = re.fullmatch(r"\s*(\d{1,3})\s*[-–]\s*(\d{1,3})\s*", text)  # noqa: RUF001
    if not match or int(match[1]) > int(match[2]):
        raise NumpyrnnError(f"--tempo must be a range in quarters a minute, such as 100-260, got {text!r:.40}")
    return float(match[1]), float(match[2])


def _plain(text: str) -> str:
    """The letters and digits of a text, in small letters."""
    return re.sub(r"[\W_]", "", text.casefold())


def _is_part(name: str, whole: str) -> bool:
    return bool(_plain(name)) and _plain(name) in _plain(whole)


def _is_same(name: str, other: str) -> bool:
    return _plain(name) == _plain(other) != ""


def _check_known(option: str, wanted: Iterable[str], known: set[str], fits: Callable[[str, str], bool]) -> None:
    names = sorted(known - {""})
    for name in wanted:
        if not any(fits(name, one) for one in names):
            listed = ", ".join([*names[:MOST_NAMED], *["..."][: len(names) - MOST_NAMED]])
            raise NumpyrnnError(f"{option} must be one of {listed}; got {name!r:.80}")


def is_database(path: str | Path) -> bool:
    """Whether a path is the database in one of its forms, by its content; a damaged zip, by its name."""
    if Path(path).is_dir():
        return (Path(path) / "melody").is_dir() and (Path(path) / "beats").is_dir()
    with suppress(NumpyrnnError):  # who reads the file says what is wrong with it
        first = first_bytes(path, len(SQLITE), "a file")
        if not first.startswith(ZIP):
            return first == SQLITE
        return any(name.startswith("melody/") for name in _files_of_zip(path))
    return Path(path).suffix.lower() == ".zip"


def read_solos(
    path: str | Path,
    chosen: Chosen | None = None,
    on_refused: Callable[[NumpyrnnError], object] | None = None,
    progress: Progress = lambda entries: entries,
) -> list[Tune]:
    """Read solos of the database as tunes.

    Parameters
    ----------
    path : SQLite file, folder or zip file
    chosen : Chosen, optional, which solos; default: all
    on_refused : see `read_transcriptions`
    progress : function that yields the items of a sequence, such as a progress bar

    Returns
    -------
    list of Tune, named after performer and title; those over the same title are one group

    Raises
    ------
    NumpyrnnError
        if there is nothing to read, a wanted performer or style is not there, no solo fits, or a solo cannot be used
    """
    of = chosen or Chosen()

    def tune(entry: Entry, played: Transcription) -> Tune | None:
        name = ", ".join(filter(None, (entry.performer, entry.title)))
        return played.tune(name, _plain(entry.title)) if of.fits(played) else None

    tunes = list(_read(path, progress(of.among(entries_of(path), path)), tune, on_refused))
    if not tunes:
        raise NumpyrnnError(f"{path} must hold solos that fit and can be used, it holds none")
    return tunes


def read_transcriptions(
    path: str | Path,
    wanted: Callable[[str], bool] = lambda name: True,
    on_refused: Callable[[NumpyrnnError], object] | None = None,
) -> Iterator[Transcription]:
    """Read the solos of the database.

    Parameters
    ----------
    path : SQLite file, folder or zip file
    wanted : function from a solo's name to whether it is read; default: all are
    on_refused : function, optional
        Called with the error of each solo that cannot be read. By default the first such error is raised.

    Yields
    ------
    Transcription, by name

    Raises
    ------
    NumpyrnnError
        if there is nothing to read, or a file is damaged or too large
    """
    entries = (entry for entry in entries_of(path) if wanted(entry.name))
    yield from _read(path, entries, lambda entry, played: played, on_refused)


def _read(
    path: str | Path,
    entries: Iterable[Entry],
    make: Callable[[Entry, Transcription], T | None],
    on_refused: Callable[[NumpyrnnError], object] | None,
) -> Iterator[T]:
    """What `make` makes of each solo that can be read, unless it is None."""
    for entry in entries:
        try:
            with naming(f"{path}, {entry.name}"):
                made = make(entry, transcription(entry.name, *entry.rows()))
        except NumpyrnnError as error:
            if on_refused is None:
                raise
            on_refused(error)
            continue
        if made is not None:
            yield made


def entries_of(path: str | Path) -> list[Entry]:
    """List the solos of the database in one of its forms; an error if it has none, or too many."""
    if Path(path).is_dir():
        entries = _entries_of_files(_files_of_folder(Path(path)))
    elif first_bytes(path, len(SQLITE), "a file") == SQLITE:
        entries = _entries_of_tables(path)
    else:
        entries = _entries_of_files(_files_of_zip(path))
    if not 1 <= len(entries) <= MAX_SOLOS:
        kinds = "in its tables, or as melody/NAME.csv and beats/NAME.csv"
        raise NumpyrnnError(f"{path} must hold 1 to {MAX_SOLOS} solos, {kinds}; it holds {len(entries)}")
    return entries


# ------------------------------------------------------------------------------------------------------ the SQLite file


def _entries_of_tables(path: str | Path) -> list[Entry]:
    """The solos of the SQLite file, which is only read: its views, triggers and functions never run."""
    import sqlite3  # only when it is needed

    def allow(action: int, table: str | None, column: str | None, database: str | None, source: str | None) -> int:
        plain = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ) and source is None
        return sqlite3.SQLITE_OK if plain else sqlite3.SQLITE_DENY

    checks = count()
    try:
        uri = f"{Path(path).absolute().as_uri()}?mode=ro&immutable=1"
        with naming(path), closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_TEXT)
            if any(row[-1] for table in TABLES for row in connection.execute(f"PRAGMA table_xinfo({table})")):
                raise sqlite3.DatabaseError("a column is hidden or computed")
            connection.set_authorizer(allow)
            connection.set_progress_handler(lambda: next(checks) > MAX_STEPS, STEPS)
            solos, melody, beats = (_rows_by_solo(connection, table) for table in TABLES)
    except (sqlite3.Error, UnicodeError) as error:
        tables = ", ".join(f"{name} ({', '.join(('melid', *columns))})" for name, columns in TABLES.items())
        raise NumpyrnnError(f"{path} must be a whole database with the tables {tables}: {error!s:.80}") from error
    entries = []
    for melid, (solo, *_) in solos.items():
        performer, title, part, style = solo.values()
        name = "-".join(filter(None, (re.sub(r"[\s.]", "", f"{performer}_{title}"), part)))
        entries.append(Entry(name, performer, title, style, partial(_of_tables, melody.get(melid), beats.get(melid))))
    return sorted(entries, key=lambda entry: entry.name)


def _rows_by_solo(connection: Any, table: str) -> dict[Any, Rows]:
    """The rows of a table, by the solo to which they belong."""
    columns = TABLES[table]
    found: dict[Any, Rows] = {}
    wanted = f"SELECT melid, {', '.join(columns)} FROM {table} LIMIT {MAX_TABLE + 1}"
    for n, (melid, *values) in enumerate(connection.execute(wanted)):
        if n == MAX_TABLE:
            raise NumpyrnnError(f"the table {table} must have at most {MAX_TABLE} rows, it has more")
        texts = ("" if value is None else str(value)[: LONGEST + 1] for value in values)
        found.setdefault(melid, []).append(dict(zip(columns, texts, strict=True)))
    return found


def _of_tables(melody: Rows | None, beats: Rows | None) -> tuple[Rows, Rows]:
    """The rows of a solo in order; each beat gets its duration, signature and chord, which stand at changes only."""
    rows = []
    for table, given in (("melody", melody or []), ("beats", beats or [])):
        if not 2 <= len(given) <= MAX_ROWS:
            raise NumpyrnnError(f"a solo must have 2 to {MAX_ROWS} rows in the table {table}, it has {len(given)}")
        rows.append(sorted(given, key=lambda row: real(row, "onset")))
    for row, following in pairwise(rows[1]):
        row["duration"] = repr(real(following, "onset") - real(row, "onset"))
        following["duration"] = row["duration"]  # of the last beat
        for column in ("signature", "chord"):
            following[column] = following[column] or row[column]
    return rows[0], rows[1]


# --------------------------------------------------------------------------------------------------------- the CSV form


def _entries_of_files(files: Files) -> list[Entry]:
    """The solos of the CSV form, by the names of their files."""
    names = sorted(name.removeprefix("melody/") for name in files if name.startswith("melody/"))
    entries = []
    for name in names:
        performer, _, title = name.removesuffix(".csv").partition("_")
        title = re.sub(r"-\d+$", "", title.partition("_")[0])
        rows = partial(_of_files, files, name)
        entries.append(Entry(name.removesuffix(".csv"), _spaced(performer), _spaced(title), None, rows))
    return entries


def _spaced(name: str) -> str:
    """A name with spaces between its words: "JJJohnson" is "JJ Johnson". A "=" stands for a hyphen."""
    return WORD.sub(" ", name).replace("=", "-")


def _of_files(files: Files, name: str) -> tuple[Rows, Rows]:
    """The rows of the two files of a solo."""
    if f"beats/{name}" not in files:
        raise NumpyrnnError("there must be a file of this name in the folder beats, there is none")
    melody, beats = (read_rows(files[f"{folder}/{name}"](), COLUMNS[folder]) for folder in COLUMNS)
    return melody, beats


def _files_of_folder(folder: Path) -> Files:
    """Functions that read the CSV files of a folder, by name."""
    paths = [path for name in COLUMNS for path in folder.glob(f"{name}/*.csv")]
    return {f"{p.parent.name}/{p.name}": partial(first_bytes, p, MAX_BYTES + 1, "a CSV file") for p in paths}


def _files_of_zip(path: str | Path) -> Files:
    """Functions that read the CSV files of a zip, by their names and the names of their folders."""
    data = first_bytes(path, MAX_ZIP + 1, "a zip file")
    before, end = data[-END_OF_ZIP - LOCATOR : -END_OF_ZIP], data[-END_OF_ZIP:]
    short = int.from_bytes(end[12:16], "little") <= LONGEST_DIRECTORY and not before.startswith(b"PK\6\7")
    if len(data) > MAX_ZIP or not end.startswith(b"PK\5\6") or not short:
        raise NumpyrnnError(f"{path} must be a folder, or a zip of at most {MAX_ZIP} bytes without a comment")

    def read(name: str) -> bytes:
        try:
            with archive.open(name) as member:
                return member.read(MAX_BYTES + 1)
        except DAMAGED as error:
            raise NumpyrnnError(f"it must be a file of a whole zip ({error!s:.80})") from error

    try:
        archive = ZipFile(BytesIO(data))
    except DAMAGED as error:
        raise NumpyrnnError(f"{path} must be a whole zip ({error!s:.80})") from error
    bounded = [info.filename for info in archive.infolist() if info.compress_type in (ZIP_STORED, ZIP_DEFLATED)]
    return {"/".join(name.split("/")[-2:]): partial(read, name) for name in bounded if name.endswith(".csv")}


def read_rows(data: bytes, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV file, each a dict by the names of the columns.

    Parameters
    ----------
    data : bytes in UTF-8
    columns : names of columns that it must have

    Returns
    -------
    list of dict

    Raises
    ------
    NumpyrnnError
        if it is no such table, or it is too large
    """
    try:
        if len(data) > MAX_BYTES:
            raise NumpyrnnError(f"a CSV file must have at most {MAX_BYTES} bytes, it has more")
        rows = list(csv.DictReader(data.decode("utf-8-sig").splitlines(), restval=""))
    except (UnicodeDecodeError, csv.Error) as error:
        raise NumpyrnnError(f"it must be a CSV file in UTF-8 ({error!s:.80})") from error
    if not 2 <= len(rows) <= MAX_ROWS:
        raise NumpyrnnError(f"a CSV file must have 2 to {MAX_ROWS} rows, it has {len(rows)}")
    if missing := [column for column in columns if column not in rows[0]]:
        raise NumpyrnnError(f"a CSV file must have the columns {', '.join(columns)}; missing: {', '.join(missing)}")
    return rows
