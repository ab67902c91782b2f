"""The parser of Standard MIDI Files: from bytes to chunks, events and tracks, with all times in ticks.

What cannot be used is skipped and noted as a fault; only a file without music, or beyond a limit, is an error.
"""

from __future__ import annotations

import codecs
import re
import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from numpyrnn.checks import NumpyrnnError

from .pairing import end_notes

MAX_BYTES = 16_000_000  # of a file
LEAST_BYTES = 22  # of a file: a header, and a track without events
MAX_TRACKS = 1024
MAX_CHUNKS = 4096  # tracks and other chunks
MAX_EVENTS = 250_000  # in all tracks together
MAX_QUARTERS = 100_000  # length of a track
MAX_NAME = 80  # characters
MAX_NUMBER = (1 << 28) - 1  # four bytes of seven bits
MAX_TEMPO = (1 << 24) - 1  # microseconds a quarter, three bytes
MAX_TICKS = (1 << 15) - 1  # a quarter; larger numbers mean time codes
MAX_UNIT_POWER = 6  # meters are counted in sixty-fourths or longer notes
MOST_FAULTS = 5  # kinds that a report names

DEFAULT_TEMPO = 500_000  # microseconds a quarter
DEFAULT_METER = (4, 4)
ENCODING = "latin-1"  # of names that are not UTF-8
NOT_FOR_NAMES = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape")

ALL_NOTES_OFF = (120, 123, 124, 125, 126, 127)  # controllers: All Sound Off, All Notes Off, and modes that imply it
SYSTEM_DATA = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # data bytes of system messages; the others have none
NEAR, SEARCHED = 16, 20_000  # bytes after a bad event in which the next one is looked for
MAX_SEARCHED = 500_000  # bytes of a file in which events are looked for
LONGEST = 48  # bytes, at least what NEW matches
END = b"\xff\x2f\0"  # of a track
NO_CHUNK = "there are bytes that belong to no chunk"
SIZES = {0x2F: 0, 0x51: 3, 0x54: 5, 0x58: 4, 0x59: 2}  # bytes of the meta events that always have as many

# After a bad event, reading goes on where it should end if an event is LIKELY there. Otherwise it goes on at something
# NEW: an event with a status byte or a long time, and five more or fewer up to a meta event or the end.
_VOICE = rb"(?:[\x80-\xbf\xe0-\xef][\0-\x7f]{2}|[\xc0-\xdf][\0-\x7f])"
_EVENT = rb"(?:[\x80-\xff]{0,2}[\0-\x7f](?:" + _VOICE + rb"|[\0-\x7f]{2}))"
_OTHER = rb"[\x80-\xff]{0,2}[\0-\x7f](?:\xff[\0-\x7f]|[\xf0\xf7])"
_MORE = rb"(?:%b{5}|%b{0,4}(?:%b|\Z))" % (_EVENT, _EVENT, _OTHER)
_META = rb"\xff(?:[\0-\x09]|\x20\x01|\x21\x01|\x2f\0|\x51\x03|\x54\x05|\x58\x04|\x59\x02)"
LIKELY = re.compile(rb"%b|[\x80-\xff]{0,2}[\0-\x7f][\xf0-\xff]|\Z" % _EVENT)
NEW = re.compile(rb"[\x80-\xff]?[\0-\x7f](?:%b%b|%b)|[\x81-\x8f]%b%b" % (_VOICE, _MORE, _META, _EVENT, _MORE))
INNER = re.compile(_VOICE + _MORE)
PACKET = re.compile(rb"[\x80-\xff]{0,3}[\0-\x7f]\xf7")  # that continues a system exclusive message
LIVE = re.compile(rb"[\xf8-\xfe]+")


class _EventError(Exception):
    """An event that cannot be used: what is wrong, and where the next one may begin."""

    def __init__(self, what: str, following: int | None = None):
        self.what, self.following = what, following


Faults = defaultdict[str, list[str]]  # from what is wrong in a file to the places


def describe(faults: Faults) -> list[str]:
    """Describe faults, one kind a line with its first place; of many kinds the first ones."""
    lines = [f"{places[0]}: {what} ({len(places):,} times)" for what, places in faults.items()]
    more = ["and faults of other kinds"] if len(lines) > MOST_FAULTS else []
    return [line.removesuffix(" (1 times)") for line in lines[:MOST_FAULTS]] + more


def check_encoding(name: str) -> str:
    """Check the name of a text encoding.

    Parameters
    ----------
    name : str, such as "shift_jis"

    Returns
    -------
    str, the name

    Raises
    ------
    NumpyrnnError
        if Python does not know it, or it is no encoding of text
    """
    with suppress(LookupError, ValueError):
        b"x".decode(name, "replace")
        if codecs.lookup(name).name not in NOT_FOR_NAMES:
            return name
    raise NumpyrnnError(f"an encoding must be one of text, such as latin-1, shift_jis or gbk, got {name[:40]!r}")


def read_tracks(data: bytes, encoding: str = ENCODING) -> Tracks:
    """Read the tracks of a MIDI file.

    Parameters
    ----------
    data : bytes of a file of type 0 or 1, bare or wrapped in RIFF
    encoding : str, default "latin-1", of names that are not UTF-8

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
    faults: Faults = defaultdict(list)
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        start = data.find(b"MThd", 12) if b"MThd" in data else len(data)
        size, data = int.from_bytes(data[start - 4 : start], "little"), data[start:]
        if not LEAST_BYTES <= size <= len(data):
            faults["its length is wrong"].append("the RIFF chunk of the music")
        else:
            data = data[:size]
    if data[:4] != b"MThd":
        raise NumpyrnnError(f"must be a MIDI file and begin with 'MThd', it begins with {data[:4].decode(ENCODING)!r}")
    chunks = _chunks(data, faults)
    _, header = next(chunks, ("", b""))
    if len(header) < 6:
        raise NumpyrnnError(f"must have a header of at least 6 bytes, got {len(header)}")
    form, declared, division = struct.unpack(">HHH", header[:6])
    if form > 1:
        raise NumpyrnnError(f"must be MIDI of type 0 or 1 (tracks that sound together), it is of type {form}")
    if not 0 < division <= MAX_TICKS:
        came = "time codes (SMPTE)" if division else "0"
        raise NumpyrnnError(f"must count time in 1 to {MAX_TICKS} ticks a quarter, it has {came}")
    if len(header) > 6:
        faults[f"it has {len(header)} bytes instead of 6"].append("header")
    tracks = Tracks(division, faults, encoding)
    for kind, content in chunks:
        if kind == "MTrk":
            tracks.read(content)
        else:
            faults["it is not a track and is skipped"].append(f"chunk {kind!r}")
    if not tracks.names:
        raise NumpyrnnError("must have at least one track, it has none")
    if len(tracks.names) != declared:
        faults[f"it declares {declared} tracks, the file has {len(tracks.names)}"].append("header")
    tracks.silence()
    return tracks


def _chunks(data: bytes, faults: Faults) -> Iterator[tuple[str, bytes]]:
    """Yield the kind and content of each chunk; one with a wrong length lasts until the next track or the end.

    A track that ends with its End of Track has the right length: what follows it is skipped.
    """
    at = 0
    for _ in range(MAX_CHUNKS):
        if len(data) - at < 8:
            if at < len(data):
                faults[NO_CHUNK].append(f"byte {at}")
            return
        kind, start = data[at : at + 4].decode(ENCODING), at + 8
        stop = start + int.from_bytes(data[at + 4 : start], "big")
        following = stop
        if not _may_follow(data, stop):
            ended = data[stop - len(END) : stop] == END
            found = data.find(b"MTrk", stop if ended else start)
            following = found if found >= 0 else len(data)
            if ended:
                faults[NO_CHUNK].append(f"byte {stop}")
            else:
                stop = following
                faults["its length is wrong, or what follows is no chunk"].append(f"chunk {kind!r} at byte {at}")
        yield kind, data[start:stop]
        at = following
    raise NumpyrnnError(f"must have at most {MAX_CHUNKS} chunks, it has more")


def _may_follow(data: bytes, at: int) -> bool:
    """Whether a chunk may end at a byte: the file ends there or has a chunk there."""
    kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
    whole = at + 8 + size <= len(data) and kind.isascii() and kind.decode().isprintable()
    return at == len(data) or kind == b"MTrk" or whole


class Tracks:
    """The content of the tracks read so far.

    Parameters
    ----------
    division : int, ticks a quarter
    faults : Faults, to which those of the tracks are added
    encoding : str, of names that are not UTF-8

    Attributes
    ----------
    notes : list of [onset, end, pitch, velocity, channel, track], in the file's order
    names : list of str, one for each track
    markers : list of (tick, text), in the file's order
    tempos : dict from tick to microseconds a quarter
    meters : dict from tick to (beats, unit)
    programs : list of (tick, program) for each channel, in the file's order
    length : int, tick of the last event
    """

    def __init__(self, division: int, faults: Faults, encoding: str):
        self.division, self.faults, self.encoding = division, faults, encoding
        self.length = self.events = self.searched = 0
        self.notes: list[list[int]] = []
        self.names: list[str] = []
        self.markers: list[tuple[int, str]] = []
        self.tempos = {0: DEFAULT_TEMPO}
        self.meters = {0: DEFAULT_METER}
        self.programs: list[list[tuple[int, int]]] = [[] for _ in range(16)]
        self._silenced: list[list[int]] = [[] for _ in range(16)]  # ticks of All Notes Off in each channel

    def read(self, data: bytes) -> None:
        """Read the next track from the content of its chunk."""
        if len(self.names) == MAX_TRACKS:
            raise NumpyrnnError(f"must have at most {MAX_TRACKS} tracks, it has more")
        self.names.append("")
        self.instrument = ""
        tick = self._read_events(data)
        if tick > MAX_QUARTERS * self.division:
            raise NumpyrnnError(f"must last at most {MAX_QUARTERS} quarters, its track {len(self.names)} lasts longer")
        self.length = max(self.length, tick)
        self.names[-1] = self.names[-1] or self.instrument

    def silence(self) -> None:
        """End notes at All Notes Off, after the last track: a channel is the same in all tracks."""
        silenced = [sorted(ticks) for ticks in self._silenced]
        for note in self.notes:
            ticks = silenced[note[4]]
            following = bisect_right(ticks, note[0])
            note[1] = min([note[1], *ticks[following : following + 1]])

    def _fault(self, tick: int, what: str) -> None:
        self.faults[what].append(f"track {len(self.names)}, tick {tick}")

    def _read_events(self, data: bytes) -> int:
        """Read a track's events and return the tick of its end."""
        voices: defaultdict[int, list[list[int]]] = defaultdict(list)
        at = tick = status = 0
        track, size, interrupted = len(self.names) - 1, len(data), True  # running status begins anew
        while at < size:
            self.events += 1
            if self.events > MAX_EVENTS:
                raise NumpyrnnError(f"must have at most {MAX_EVENTS} events, it has more")
            begin = at
            try:
                if data[at] < 0x80:
                    tick, at = tick + data[at], at + 1
                else:
                    delta, at = _number(data, at)
                    tick += delta
                begin = at
                first = data[at]
                if 0xF8 <= first < 0xFF:
                    self._fault(tick, "a live message is skipped")
                    at = LIVE.match(data, at).end()  # type: ignore[union-attr]
                    if not INNER.match(data, at):
                        continue
                    first = data[at]  # it came between the time of an event and its status
                if first >= 0xF0:
                    kind, start, at = self._extent(data, at, tick)
                    interrupted = True
                    if kind == 0x2F:
                        break
                    self._meta(kind, tick, data[start:at])
                    continue
                if first >= 0x80:
                    status, at, interrupted = first, at + 1, False
                elif interrupted:  # some files keep using the running status after such an event, against the standard
                    if not status:
                        raise _EventError("data without a status byte is skipped")
                    self._fault(tick, "running status goes on after another event, which is accepted")
                    interrupted = False
                one, two = data[at], 0
                at += 1
                if not 0xC0 <= status < 0xE0:  # all but program changes and channel pressure have two data bytes
                    two = data[at]
                    at += 1
                if (one | two) >= 0x80:
                    raise _EventError("an event with a data byte over 127 is skipped", at)
            except (_EventError, IndexError) as error:
                bad = error if isinstance(error, _EventError) else _EventError("the track ends within an event")
                self._fault(tick, bad.what)
                at = self._next_event(data, begin, bad.following)
                if at == size:
                    break
                continue
            if status < 0xA0:
                key = (status & 15) << 7 | one
                if status >= 0x90 and two:
                    note = [tick, -1, one, two, status & 15, track]
                    self.notes.append(note)
                    voices[key].append(note)
                else:
                    voices[key].append([tick])
            elif status & 0xF0 == 0xC0:
                self.programs[status & 15].append((tick, one))
            elif status & 0xF0 == 0xB0 and one in ALL_NOTES_OFF:
                self._silenced[status & 15].append(tick)
        else:
            self._fault(tick, "the track has no End of Track")
        if at < size:
            self._fault(tick, "there are bytes after the end of the track")
        for events in voices.values():
            end_notes(events, tick)
        return tick

    def _extent(self, data: bytes, at: int, tick: int) -> tuple[int, int, int]:
        """Return the kind of a meta event (-1 for a system exclusive one), and where its content begins and ends."""
        first, dump = data[at], data[at] == 0xF0
        if 0xF0 < first < 0xF7:
            raise _EventError("a system message is skipped", at + 1 + SYSTEM_DATA.get(first, 0))
        kind = data[at + 1] if first == 0xFF else -1
        size, start = _number(data, at + 2 if first == 0xFF else at + 1)
        stop = start + size
        end = min(at + SEARCHED, stop)
        inner = dump and not data[start : stop - 1].isascii()
        if stop > len(data) or (inner and self._new(data, at + 1, end) is not None):
            after = data.find(b"\xf7", at, end) + 1  # some messages have an end and no length
            raise _EventError("an event whose length is wrong is skipped", after or None)
        if size != SIZES.get(kind, size):
            self._fault(tick, "a meta event has a wrong length")
            stop = stop if kind == 0x2F else self._next_event(data, at, stop)
        if dump and data[stop - 1] != 0xF7 and not PACKET.match(data, stop):
            self._fault(tick, "a system exclusive message has no end")
            stop += data[stop : stop + 1] == b"\xf7" and LIKELY.match(data, stop + 1) is not None
        return kind, start, stop

    def _next_event(self, data: bytes, begin: int, following: int | None) -> int:
        """Find where reading goes on after a bad event that begins at byte `begin`; the end of the data if nowhere."""
        if following is None:
            found = self._new(data, begin + 1, begin + SEARCHED)
            return len(data) if found is None else found
        if LIKELY.match(data, following):
            return following
        found = self._new(data, begin + 1, begin + NEAR + LONGEST)
        return min(following, len(data)) if found is None or found >= begin + NEAR else found  # or more bad events

    def _new(self, data: bytes, start: int, stop: int) -> int | None:
        """Find the first new event in a part of the data, by its first byte."""
        match = NEW.search(data, start, stop)
        self.searched += (match.start() if match else min(stop, len(data))) - start
        if self.searched > MAX_SEARCHED:
            raise NumpyrnnError(f"must be less damaged: its events were searched for in {MAX_SEARCHED} bytes")
        return match.start() if match else None

    def _meta(self, kind: int, tick: int, content: bytes) -> None:
        """Keep the name, marker, tempo or meter that a meta event holds; ignore other kinds."""
        if kind == 0x03:
            self.names[-1] = self.names[-1] or _decode(content, self.encoding)
        elif kind == 0x04:
            self.instrument = self.instrument or _decode(content, self.encoding)
        elif kind == 0x06:
            self.markers.append((tick, _decode(content, self.encoding)))
        elif kind == 0x51 and len(content) == SIZES[kind]:
            if any(content):
                self.tempos[tick] = int.from_bytes(content, "big")
            else:
                self._fault(tick, f"a tempo that is not 1 to {MAX_TEMPO} microseconds a quarter is skipped")
        elif kind == 0x58 and len(content) >= 2:
            if content[0] and content[1] <= MAX_UNIT_POWER:
                self.meters[tick] = content[0], 1 << content[1]
            else:
                self._fault(tick, f"a meter without beats, or with a unit below 1/{1 << MAX_UNIT_POWER}, is skipped")
        elif kind == 0x59 and len(content) == SIZES[kind] and ((content[0] + 7) % 256 > 14 or content[1] > 1):
            self._fault(tick, "a key with more than 7 sharps or flats, or of no mode, is skipped")


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Decode a variable-length quantity; return the number and the index after it."""
    number = 0
    for place in range(at, at + 4):
        byte = data[place]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, place + 1
    raise _EventError("an event with a number of more than 4 bytes is skipped")


def _decode(content: bytes, encoding: str) -> str:
    """Decode a name by an encoding, unless it is UTF-8; ASCII may be an encoding with escapes, such as ISO 2022."""
    try:
        return printable(content.decode(encoding, "replace") if content.isascii() else content.decode())
    except UnicodeDecodeError:
        return printable(content.decode(encoding, "replace"))


def printable(text: str) -> str:
    """Drop the characters of a name that cannot be shown in one line, and shorten it."""
    return "".join(islice(filter(str.isprintable, text), MAX_NAME))
