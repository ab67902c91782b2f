"""The Weimar Jazz Database in its CSV form: a folder or a zip file with melody/NAME.csv and beats/NAME.csv.

The columns are found by the names in the first line. Times are in seconds, as performed.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from io import BytesIO
from itertools import accumulate, pairwise
from math import nan
from pathlib import Path
from statistics import median
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from music.files import naming
from numpyrnn import NumpyrnnError
from numpyrnn.files import first_bytes

from ..charts.chart import Change, bar_length, parse_meter
from ..chords import parse_chord
from .solo import Note, Solo

MAX_ZIP, LONGEST_DIRECTORY = 64_000_000, 1 << 20  # bytes
MAX_SOLOS, MAX_BYTES, MAX_ROWS = 4096, 4_000_000, 50_000  # bytes and rows of a file
MAX_BARS, MAX_DIVISION = 4000, 96
END_OF_ZIP, LOCATOR = 22, 20  # bytes of a zip's last record, and of the one before it that only large zips have
MAX_NUMBER = 1e6
TICKS = 960  # a quarter; performed times are rounded to them
DAMAGED = (BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)  # what a damaged zip raises
COLUMNS = {
    "melody": ("onset", "duration", "bar", "beat", "tatum", "division", "pitch"),
    "beats": ("onset", "duration", "bar", "beat", "signature", "chord"),
}

Row = dict[str, str]
Files = dict[str, Callable[[], bytes]]


@dataclass(frozen=True)
class Transcription:
    """A transcribed solo.

    Attributes
    ----------
    name : str, such as "ArtPepper_Anthropology"
    notes : list of Note with the places that were noted down
    chords : list of (onset in quarters, Chord), from the beginning of the first bar in which a note begins
    meters : list of (beats, unit), of each bar
    tempo : float, quarters a minute, by the median length of the beats in which the notes begin
    """

    name: str
    notes: list[Note]
    chords: list[Change]
    meters: list[tuple[int, int]]
    tempo: float

    def solo(self) -> Solo:
        """The solo on reduced places."""
        return Solo.of(self.name, self.notes, self.chords, [bar_length(meter) for meter in self.meters], self.tempo)


def read_transcriptions(
    path: str | Path,
    wanted: Callable[[str], bool] = lambda name: True,
    on_refused: Callable[[NumpyrnnError], object] | None = None,
) -> Iterator[Transcription]:
    """Read the solos of the database in its CSV form.

    Parameters
    ----------
    path : folder or zip file
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
    files = _files_of_folder(Path(path)) if Path(path).is_dir() else _files_of_zip(path)
    names = sorted(name.removeprefix("melody/") for name in files if name.startswith("melody/"))
    if not 1 <= len(names) <= MAX_SOLOS:
        raise NumpyrnnError(
            f"{path} must hold 1 to {MAX_SOLOS} solos as melody/NAME.csv and beats/NAME.csv, it holds {len(names)}"
        )
    for name in filter(lambda name: wanted(name.removesuffix(".csv")), names):
        try:
            with naming(f"{path}, {name}"):
                if f"beats/{name}" not in files:
                    raise NumpyrnnError("there must be a file of this name in the folder beats, there is none")
                melody, beats = (read_rows(files[f"{folder}/{name}"](), COLUMNS[folder]) for folder in COLUMNS)
                yield transcription(name.removesuffix(".csv"), melody, beats)
        except NumpyrnnError as error:
            if on_refused is None:
                raise
            on_refused(error)


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


def transcription(name: str, melody: Sequence[Row], beats: Sequence[Row]) -> Transcription:
    """Make a transcription of the rows of its two files.

    Parameters
    ----------
    name : str
    melody, beats : lists of dict from a column's name to the text

    Returns
    -------
    Transcription

    Raises
    ------
    NumpyrnnError
        if a value is out of range, a bar or a beat is missing, or the notes or beats are not in order
    """
    first, last = (_whole(row, "bar") for row in (melody[0], melody[-1]))
    if not 0 <= last - first < MAX_BARS:
        raise NumpyrnnError(f"a solo must have 1 to {MAX_BARS} bars in order, it lasts from bar {first} to {last}")
    signatures = {_whole(row, "bar"): row["signature"].strip("'\"") for row in reversed(beats)}
    if missing := [bar for bar in range(first, last + 1) if bar not in signatures]:
        raise NumpyrnnError(f"every bar of the solo must have beats, bar {missing[0]} has none")
    meters = [parse_meter(signatures[bar]) for bar in range(first, last + 1)]
    starts = list(accumulate(map(bar_length, meters), initial=Fraction(0)))
    counted: dict[tuple[int, int], Beat] = {}
    chords: list[Change] = []
    for row in beats:
        bar, number = _whole(row, "bar") - first, _whole(row, "beat")
        if 0 <= bar < len(meters):
            size, seconds = Fraction(4, meters[bar][1]), _real(row, "duration")
            if not 1 <= number <= meters[bar][0] or seconds <= 0:
                raise NumpyrnnError(f"beat {number} of bar {bar + first} must lie in its bar and last some time")
            place = starts[bar] + (number - 1) * size
            counted[bar, number] = Beat(place, size, _real(row, "onset"), seconds / float(size))
            symbol = row["chord"].strip()
            if symbol and (not chords or chords[-1][1].symbol != symbol):
                chords.append((place, parse_chord(symbol, "weimar")))
    times = [(beat.onset, beat.seconds) for beat in counted.values()]
    if any(a[0] >= b[0] or a[1] >= b[1] for a, b in pairwise(times)):
        raise NumpyrnnError("the beats must be in order, they are not")
    notes, lengths = [], []
    for row in melody:
        key = _whole(row, "bar") - first, _whole(row, "beat")
        if key not in counted:
            raise NumpyrnnError(f"the beat of each note must be there, beat {key[1]} of bar {key[0] + first} is not")
        notes.append(_note(row, key[0], starts[key[0]], counted[key]))
        lengths.append(counted[key].length)
    if any(b[:2] < a[:2] for a, b in pairwise(notes)):
        raise NumpyrnnError("the notes must be in order, they are not")
    return Transcription(name, notes, chords, meters, 60 / median(lengths))


class Beat(NamedTuple):
    """A beat: its onset and length in quarters, its onset in seconds, and how many seconds a quarter lasts there."""

    onset: Fraction
    size: Fraction
    seconds: float
    length: float


def _note(row: Row, bar: int, start: Fraction, beat: Beat) -> Note:
    """The note of a row of the melody, in a bar that starts at `start`."""
    tatum, division, pitch = (_whole(row, column) for column in ("tatum", "division", "pitch"))
    if not 1 <= tatum <= division <= MAX_DIVISION or not 0 <= pitch <= 127:
        got = f"tatum {tatum} of {division}, pitch {pitch}"
        raise NumpyrnnError(f"a note must lie in its beat and have a pitch of 0 to 127, got {got}")
    place = beat.onset - start + Fraction(tatum - 1, division) * beat.size
    begin = beat.onset + Fraction(round((_real(row, "onset") - beat.seconds) / beat.length * TICKS), TICKS)
    lasts = Fraction(max(0, round(_real(row, "duration") / beat.length * TICKS)), TICKS)
    loudness = _real(row, "loud_median") if row.get("loud_median") else None
    return Note(bar, place, pitch, begin, begin + lasts, loudness)


def _whole(row: Row, column: str) -> int:
    """A whole number of a row."""
    value = _real(row, column)
    if value != int(value):
        raise NumpyrnnError(f"the column {column} must hold a whole number, it holds {row[column]!r:.40}")
    return int(value)


def _real(row: Row, column: str) -> float:
    """A number of a row."""
    try:
        value = float(row[column])
    except ValueError:
        value = nan
    if not abs(value) <= MAX_NUMBER:
        raise NumpyrnnError(f"the column {column} must hold a number, it holds {row[column]!r:.40}")
    return value
