"""The parser of Standard MIDI Files: from bytes to chunks, events and tracks, with all times in ticks."""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from numpyrnn.checks import NumpyrnnError

MAX_BYTES = 16_000_000  # of a file
MAX_TRACKS = 1024
MAX_CHUNKS = 4096  # tracks and other chunks
MAX_EVENTS = 250_000  # in all tracks together
MAX_QUARTERS = 100_000  # length of a track
MAX_NAME = 80  # characters
MAX_NUMBER = (1 << 28) - 1  # four bytes of seven bits
MAX_TEMPO = (1 << 24) - 1  # microseconds a quarter, three bytes
MAX_TICKS = (1 << 15) - 1  # a quarter; larger numbers mean time codes
MAX_UNIT_POWER = 6  # meters are counted in sixty-fourths or longer notes

DEFAULT_TEMPO = 500_000  # microseconds a quarter
DEFAULT_METER = (4, 4)


def read_tracks(data: bytes) -> Tracks:
    """Read the tracks of a MIDI file.

    Parameters
    ----------
    data : bytes of a file of type 0 or 1, bare or wrapped in RIFF

    Returns
    -------
    Tracks

    Raises
    ------
    NumpyrnnError
        if the file is refused, see `midi.parse_midi`; the message lacks the file's name and begins with "must"
    """
    if len(data) > MAX_BYTES:
        raise NumpyrnnError(f"must have at most {MAX_BYTES} bytes, it has more")
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = next((content for kind, content in _chunks(data, 12, "little") if kind == b"data"), b"")
    if data[:4] != b"MThd":
        raise NumpyrnnError(f"must be a MIDI file, which begins with b'MThd', it begins with {data[:4]!r}")
    chunks = _chunks(data, 0, "big")
    _, header = next(chunks)
    if len(header) < 6:
        raise NumpyrnnError(f"must have a header of at least 6 bytes, got {len(header)}")
    form, declared, division = struct.unpack(">HHH", header[:6])
    if form > 1:
        raise NumpyrnnError(f"must be MIDI of type 0 or 1 (tracks that sound together), it is of type {form}")
    if not 0 < division <= MAX_TICKS:
        came = "time codes (SMPTE)" if division else "0"
        raise NumpyrnnError(f"must count time in 1 to {MAX_TICKS} ticks a quarter, it has {came}")
    if declared > MAX_TRACKS:
        raise NumpyrnnError(f"must have at most {MAX_TRACKS} tracks, it declares {declared}")
    tracks = Tracks(division)
    for content in islice((content for kind, content in chunks if kind == b"MTrk"), declared):
        tracks.read(content)
    if not tracks.names:
        raise NumpyrnnError("must have at least one track, it has none")
    return tracks


def _chunks(data: bytes, at: int, order: Literal["little", "big"]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and content of each chunk from byte `at` on."""
    for _ in range(MAX_CHUNKS):
        if at >= len(data):
            return
        start = at + 8
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : start], order)
        if start + size > len(data):
            raise NumpyrnnError(f"must be whole, its chunk {kind!r} at byte {at} is cut off")
        yield kind, data[start : start + size]
        at = start + size + (size % 2 if order == "little" else 0)  # RIFF pads chunks to an even size
    raise NumpyrnnError(f"must have at most {MAX_CHUNKS} chunks, it has more")


class Tracks:
    """The content of the tracks read so far.

    Parameters
    ----------
    division : int, ticks a quarter

    Attributes
    ----------
    notes : list of [onset, end, pitch, velocity, channel, track], in the file's order
    names : list of str, one for each track
    tempos : dict from tick to microseconds a quarter
    meters : dict from tick to (beats, unit)
    programs : list of (tick, program) for each channel, in the file's order
    length : int, tick of the last event
    """

    def __init__(self, division: int):
        self.division, self.length, self.events = division, 0, 0
        self.notes: list[list[int]] = []
        self.names: list[str] = []
        self.tempos = {0: DEFAULT_TEMPO}
        self.meters = {0: DEFAULT_METER}
        self.programs: list[list[tuple[int, int]]] = [[] for _ in range(16)]

    def read(self, data: bytes) -> None:
        """Read the next track from the content of its chunk."""
        self.names.append("")
        self.instrument = ""
        try:
            tick = self._read_events(data)
        except IndexError:
            raise NumpyrnnError(f"must be whole, {self._here()} ends within an event") from None
        if tick > MAX_QUARTERS * self.division:
            raise NumpyrnnError(f"must last at most {MAX_QUARTERS} quarters, {self._here()} lasts longer")
        self.length = max(self.length, tick)
        self.names[-1] = self.names[-1] or self.instrument

    def _here(self) -> str:
        return f"its track {len(self.names)}"

    def _read_events(self, data: bytes) -> int:
        """Read a track's events and return the tick of its end; raise IndexError if an event is cut off."""
        sounding: defaultdict[int, deque[list[int]]] = defaultdict(deque)
        at = tick = status = 0
        track, size = len(self.names) - 1, len(data)
        while at < size:
            self.events += 1
            if self.events > MAX_EVENTS:
                raise NumpyrnnError(f"must have at most {MAX_EVENTS} events, it has more")
            if data[at] < 0x80:
                tick, at = tick + data[at], at + 1
            else:
                delta, at = self._number(data, at)
                tick += delta
            first = data[at]
            if first >= 0xF0:
                kind, start, at = self._skip(data, at)
                if kind == 0x2F:
                    break
                self._meta(kind, tick, data[start:at])
                continue  # some files keep using the running status after such an event, against the standard
            if first >= 0x80:
                status, at = first, at + 1
            elif not status:
                raise NumpyrnnError(f"must begin each track with a status byte, {self._here()} begins with data")
            one, two = data[at], 0
            at += 1
            if not 0xC0 <= status < 0xE0:  # all but program changes and channel pressure have two data bytes
                two = data[at]
                at += 1
            if (one | two) >= 0x80:
                raise NumpyrnnError(f"must have data bytes below 128, {self._here()} has {max(one, two)}")
            if status < 0xA0:
                key = (status & 15) << 7 | one
                if status >= 0x90 and two:
                    note = [tick, -1, one, two, status & 15, track]
                    self.notes.append(note)
                    sounding[key].append(note)
                elif sounding[key]:
                    sounding[key].popleft()[1] = tick
            elif status & 0xF0 == 0xC0:
                self.programs[status & 15].append((tick, one))
        for notes in sounding.values():
            for note in notes:
                note[1] = tick
        return tick

    def _skip(self, data: bytes, at: int) -> tuple[int, int, int]:
        """Return the kind of a meta event (-1 for a system exclusive one), and where its content begins and ends."""
        status, kind = data[at], -1
        if status == 0xFF:
            at += 1
            kind = data[at]
        elif status not in (0xF0, 0xF7):
            raise NumpyrnnError(f"must have only events for files, {self._here()} has the status {status:#x}")
        size, start = self._number(data, at + 1)
        if start + size > len(data):
            raise IndexError
        return kind, start, start + size

    def _number(self, data: bytes, at: int) -> tuple[int, int]:
        """Decode a variable-length quantity; return the number and the index after it."""
        number = 0
        for place in range(at, at + 4):
            byte = data[place]
            number = number << 7 | byte & 0x7F
            if byte < 0x80:
                return number, place + 1
        raise NumpyrnnError(f"must have numbers of at most 4 bytes, {self._here()} has a longer one")

    def _meta(self, kind: int, tick: int, content: bytes) -> None:
        """Keep the name, tempo or meter that a meta event holds; ignore other kinds."""
        if kind == 0x03:
            self.names[-1] = self.names[-1] or _decode(content)
        elif kind == 0x04:
            self.instrument = self.instrument or _decode(content)
        elif kind == 0x51:
            tempo = int.from_bytes(content, "big") if len(content) == 3 else 0
            if not tempo:
                raise NumpyrnnError(f"must have tempos of 1 to {MAX_TEMPO}, {self._here()} has {content[:4].hex()!r}")
            self.tempos[tick] = tempo
        elif kind == 0x58:
            if len(content) < 2 or not content[0] or content[1] > MAX_UNIT_POWER:
                expected = f"meters of at least 1 beat, of units down to 1/{1 << MAX_UNIT_POWER}"
                raise NumpyrnnError(f"must have {expected}, {self._here()} has {content[:4].hex()!r}")
            self.meters[tick] = content[0], 1 << content[1]


def _decode(content: bytes) -> str:
    """Decode a name as UTF-8, or else as Latin-1."""
    try:
        return printable(content.decode())
    except UnicodeDecodeError:
        return printable(content.decode("latin-1"))


def printable(text: str) -> str:
    """Drop the characters of a name that cannot be shown in one line, and shorten it."""
    return "".join(islice(filter(str.isprintable, text), MAX_NAME))
