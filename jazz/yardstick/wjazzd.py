"""The Weimar Jazz Database in its CSV form: a folder or a zip file with melody/NAME.csv and beats/NAME.csv.

The columns are found by the names in the first line. Times are in seconds, as performed.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from math import isfinite
from pathlib import Path
from statistics import median

from music.files import naming
from numpyrnn import NumpyrnnError
from numpyrnn.files import first_bytes

from ..charts.chart import Change, bar_length, parse_meter
from ..chords import parse_chord
from .solo import Note, Solo

MAX_ZIP, LONGEST_DIRECTORY = 64_000_000, 1 << 20  # bytes
MAX_SOLOS, MAX_BYTES, MAX_ROWS = 4096, 4_000_000, 50_000  # bytes and rows of a file
MAX_BARS, MAX_DIVISION = 4000, 96
END_OF_ZIP = 22  # bytes of its last record
TICKS = 960  # a quarter; performed times are rounded to them
MELODY = ("onset", "duration", "bar", "beat", "tatum", "division", "signature", "pitch")
BEATS = ("onset", "duration", "bar", "beat", "signature", "chord")

Rows = list[dict[str, str]]
Files = Mapping[str, Callable[[], bytes]]


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

    @property
    def performer(self) -> str:
        """The first part of the name."""
        return self.name.partition("_")[0]

    def solo(self) -> Solo:
        """The solo on reduced places."""
        return Solo.of(self.name, self.notes, self.chords, [bar_length(meter) for meter in self.meters], self.tempo)


def read_transcriptions(
    path: str | Path, on_refused: Callable[[NumpyrnnError], object] | None = None
) -> Iterator[Transcription]:
    """Read the solos of the database in its CSV form.

    Parameters
    ----------
    path : folder or zip file
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
    names = sorted({name.removeprefix("melody/") for name in files if name.startswith("melody/")})
    if not names:
        raise NumpyrnnError(f"{path} must hold files such as melody/NAME.csv and beats/NAME.csv, it holds none")
    if len(names) > MAX_SOLOS:
        raise NumpyrnnError(f"{path} must hold at most {MAX_SOLOS} solos, it holds {len(names)}")
    for name in names:
        try:
            with naming(f"{path}, {name}"):
                if f"beats/{name}" not in files:
                    raise NumpyrnnError("there must be a file of this name in the folder beats, there is none")
                melody, beats = (read_rows(files[f"{folder}/{name}"]()) for folder in ("melody", "beats"))
                yield transcription(name.removesuffix(".csv"), melody, beats)
        except NumpyrnnError as error:
            if on_refused is None:
                raise
            on_refused(error)


def _files_of_folder(folder: Path) -> Files:
    """A function that reads it, for each CSV file of a folder."""

    def reader(path: Path) -> Callable[[], bytes]:
        return lambda: first_bytes(path, MAX_BYTES + 1, "a CSV file")

    paths = [*folder.glob("melody/*.csv"), *folder.glob("beats/*.csv")]
    return {f"{path.parent.name}/{path.name}": reader(path) for path in paths}


def _files_of_zip(path: str | Path) -> Files:
    """A function that reads it, for each CSV file of a zip."""
    data = first_bytes(path, MAX_ZIP + 1, "a zip file")
    directory = int.from_bytes(data[-END_OF_ZIP:][12:16], "little")
    if len(data) > MAX_ZIP or data[-END_OF_ZIP:][:4] != b"PK\5\6" or directory > LONGEST_DIRECTORY:
        raise NumpyrnnError(f"{path} must be a zip of at most {MAX_ZIP} bytes, without a comment, or a folder")

    def reader(name: str) -> Callable[[], bytes]:
        def read() -> bytes:
            try:
                with archive.open(name) as member:
                    return member.read(MAX_BYTES + 1)
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
                raise NumpyrnnError(f"it must be a file of a whole zip ({error!s:.80})") from error

        return read

    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise NumpyrnnError(f"{path} must be a whole zip ({error!s:.80})") from error
    deflated = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    names = [info.filename for info in archive.infolist() if info.compress_type in deflated]
    return {"/".join(name.split("/")[-2:]): reader(name) for name in names if name.endswith(".csv")}


def read_rows(data: bytes) -> Rows:
    """The rows of a CSV file, each a dict by the names of the columns.

    Parameters
    ----------
    data : bytes in UTF-8

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
    return rows


def transcription(name: str, melody: Rows, beats: Rows) -> Transcription:
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
        if a column is missing, a value is out of range, or the bars and times do not follow each other
    """
    for what, rows, columns in (("melody", melody, MELODY), ("beats", beats, BEATS)):
        if missing := [column for column in columns if column not in rows[0]]:
            raise NumpyrnnError(f"{what}: the columns {', '.join(columns)} are needed, missing: {', '.join(missing)}")
    first, last = _number(melody[0], "bar"), _number(melody[-1], "bar")
    if not 0 <= last - first < MAX_BARS:
        raise NumpyrnnError(f"a solo must have 1 to {MAX_BARS} bars in order, it lasts from bar {first} to {last}")
    meters: dict[int, tuple[int, int]] = {}
    for row in [*beats, *melody]:
        meters.setdefault(_number(row, "bar"), parse_meter(row["signature"].strip("'\"")))
    if missing_bars := [bar for bar in range(first, last + 1) if bar not in meters]:
        raise NumpyrnnError(f"beats: every bar must be there, bar {missing_bars[0]} is not")
    of_bars = [meters[bar] for bar in range(first, last + 1)]
    starts = [Fraction(0)]
    for meter in of_bars:
        starts.append(starts[-1] + bar_length(meter))
    clock, chords = Clock(), list[Change]()
    for row in beats:
        bar = _number(row, "bar") - first
        if 0 <= bar < len(of_bars):
            place = starts[bar] + _beat(row, of_bars[bar])
            clock.add(_real(row, "onset"), place, _real(row, "duration") * of_bars[bar][1] / 4)
            symbol = row["chord"].strip()
            if symbol and (not chords or chords[-1][1].symbol != symbol):
                chords.append((place, parse_chord(symbol, "weimar")))
    notes = [_note(row, first, starts, of_bars, clock) for row in melody]
    if any((b.bar, b.place) < (a.bar, a.place) for a, b in zip(notes, notes[1:], strict=False)):
        raise NumpyrnnError("melody: the notes must be in order, they are not")
    tempo = 60 / median(clock.lengths[clock.beat(_real(row, "onset"))] for row in melody)
    return Transcription(name, notes, chords, of_bars, tempo)


class Clock:
    """Converts seconds to quarters, by the beats that were added.

    Attributes
    ----------
    seconds, quarters : lists of the times of the beats and their places
    lengths : list of float, seconds a quarter at each beat
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.quarters: list[Fraction] = []
        self.lengths: list[float] = []

    def add(self, seconds: float, quarters: Fraction, length: float) -> None:
        """Add the next beat; an error unless it comes after the last one."""
        if self.seconds and (seconds <= self.seconds[-1] or quarters <= self.quarters[-1]):
            raise NumpyrnnError(f"beats: each must come after the one before, the one at {seconds:g} s does not")
        if length <= 0:
            raise NumpyrnnError(f"beats: a beat must last some time, the one at {seconds:g} s lasts {length:g}")
        self.seconds.append(seconds)
        self.quarters.append(quarters)
        self.lengths.append(length)

    def beat(self, seconds: float) -> int:
        """The index of the beat at a time; before the first beat the first."""
        if not self.seconds:
            raise NumpyrnnError("beats: there must be beats in the solo's bars, there are none")
        return max(bisect_right(self.seconds, seconds) - 1, 0)

    def quarter(self, seconds: float) -> Fraction:
        """The place of a time in quarters, to a tick."""
        i = self.beat(seconds)
        return self.quarters[i] + Fraction(round((seconds - self.seconds[i]) / self.lengths[i] * TICKS), TICKS)


def _note(
    row: dict[str, str], first: int, starts: list[Fraction], meters: list[tuple[int, int]], clock: Clock
) -> Note:
    """The note of a row of the melody."""
    bar, pitch = _number(row, "bar") - first, _real(row, "pitch")
    tatum, division = _number(row, "tatum"), _number(row, "division")
    if not 1 <= tatum <= division <= MAX_DIVISION or not 0 <= bar < len(meters) or not 0 <= pitch <= 127:
        got = f"tatum {tatum} of {division}, bar {bar + first}, pitch {pitch:g}"
        raise NumpyrnnError(f"melody: a note must lie in its beat, in the bars and in pitches 0 to 127, got {got}")
    place = _beat(row, meters[bar]) + Fraction(tatum - 1, division) * Fraction(4, meters[bar][1])
    onset, duration = _real(row, "onset"), _real(row, "duration")
    loudness = _real(row, "loud_median") if row.get("loud_median") else None
    return Note(bar, place, round(pitch), clock.quarter(onset), clock.quarter(onset + duration), loudness)


def _beat(row: dict[str, str], meter: tuple[int, int]) -> Fraction:
    """The place of a row's beat in its bar, in quarters."""
    beat = _number(row, "beat")
    if not 1 <= beat <= meter[0]:
        raise NumpyrnnError(f"a beat must lie in its bar of {meter[0]}/{meter[1]}, got {beat}")
    return Fraction(4 * (beat - 1), meter[1])


def _number(row: dict[str, str], column: str) -> int:
    """A whole number of a row."""
    value = _real(row, column)
    if value != int(value):
        raise NumpyrnnError(f"the column {column} must hold a whole number, it holds {row[column]!r:.40}")
    return int(value)


def _real(row: dict[str, str], column: str) -> float:
    """A number of a row."""
    try:
        value = float(row[column])
    except ValueError:
        value = float("nan")
    if not isfinite(value) or abs(value) > 1e6:
        raise NumpyrnnError(f"the column {column} must hold a number, it holds {row[column]!r:.40}")
    return value
