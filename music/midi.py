"""Notes, and Standard MIDI Files: a reader that skips what is damaged and says so, and a writer.

The format is that of "Standard MIDI Files 1.0" (MIDI Manufacturers Association, RP-001).
"""

from __future__ import annotations

import gc
import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property
from itertools import pairwise
from numbers import Integral
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from numpyrnn.checks import NumpyrnnError
from numpyrnn.files import atomic_write, first_bytes

from . import reader

DRUMS = 9  # channel
RANGES = {"pitch": (0, 127), "velocity": (1, 127), "channel": (0, 15), "program": (0, 127)}


class Note(NamedTuple):
    """One note.

    Attributes
    ----------
    onset, duration : Fraction, quarters, exact; a duration may be 0
    pitch : int, 0 to 127; 60 is middle C
    velocity : int, 1 to 127, default 80
    channel : int, 0 to 15, default 0; channel 9 is the drums
    program : int, 0 to 127, default 0, the General MIDI instrument; 0 is the piano
    track : int, from 0, default 0
    """

    onset: Fraction
    duration: Fraction
    pitch: int
    velocity: int = 80
    channel: int = 0
    program: int = 0
    track: int = 0


@dataclass(frozen=True)
class Midi:
    """The content of a MIDI file.

    Attributes
    ----------
    notes : list of Note, sorted by onset; notes with equal onsets are in the file's order
    names : list of str, one for each track (`Note.track` is the index); "" for a track without a name
    tempos : list of (onset in quarters, microseconds a quarter), sorted, beginning at 0; default 120 quarters a minute.
        `as_tempo` converts from quarters a minute.
    meters : list of (onset in quarters, beats, unit), sorted, beginning at 0; default 4/4
    length : Fraction, quarters, the end of the last event
    markers : list of (onset in quarters, text), sorted by onset, such as chord symbols; each text is one line
    faults : list of str, what could not be read in the file, one kind a line; it does not count for equality
    """

    notes: list[Note]
    names: list[str] = field(default_factory=lambda: [""])
    tempos: list[tuple[Fraction, int]] = field(default_factory=lambda: [(Fraction(0), reader.DEFAULT_TEMPO)])
    meters: list[tuple[Fraction, int, int]] = field(default_factory=lambda: [(Fraction(0), *reader.DEFAULT_METER)])
    length: Fraction = Fraction(0)
    markers: list[tuple[Fraction, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list, compare=False)

    def seconds(self, quarters: Fraction | float) -> float:
        """Convert an onset in quarters to seconds.

        Parameters
        ----------
        quarters : number of quarters from the beginning, 0 or more

        Returns
        -------
        float, seconds; computed exactly and rounded once
        """
        place = Fraction(quarters)
        index = max(bisect_right(self.tempos, place, key=itemgetter(0)) - 1, 0)
        onset, tempo = self.tempos[index]
        return float((self._microseconds[index] + (place - onset) * tempo) / 1_000_000)

    @cached_property
    def _microseconds(self) -> list[Fraction]:
        """The onset of each tempo, in microseconds."""
        times = [Fraction(0)]
        for (onset, tempo), (end, _) in pairwise(self.tempos):
            times.append(times[-1] + (end - onset) * tempo)
        return times


def as_tempo(quarters_a_minute: float) -> int:
    """Convert quarters a minute to microseconds a quarter, or back; the result is rounded to a whole number."""
    return round(60_000_000 / quarters_a_minute)


def read_midi(path: str | Path, encoding: str = reader.ENCODING) -> Midi:
    """Read a MIDI file; see `parse_midi`.

    Parameters
    ----------
    path : file
    encoding : str, default "latin-1", of names that are not UTF-8

    Returns
    -------
    Midi

    Raises
    ------
    NumpyrnnError
        if the file cannot be read, or `parse_midi` refuses it
    """
    return parse_midi(first_bytes(path, reader.MAX_BYTES + 1, "a MIDI file"), str(path), encoding)


def parse_midi(data: bytes, name: str, encoding: str = reader.ENCODING) -> Midi:
    """Read the bytes of a MIDI file of type 0 or 1, bare or wrapped in RIFF.

    A note-off ends the oldest sounding note of its track, channel and pitch. If there is none, it is ignored. A note
    whose note-off is lost ends when its pitch is struck again, or else with its track. All Notes Off and All Sound Off
    end the notes of their channel. A note's program is the last one set for its channel, by any track, at or before its
    onset. Events that cannot be used are skipped, as are chunks that are no tracks; `Midi.faults` names them.

    Parameters
    ----------
    data : bytes
    name : str, the file's name in errors
    encoding : str, default "latin-1", of names that are not UTF-8

    Returns
    -------
    Midi

    Raises
    ------
    NumpyrnnError
        if the data is not MIDI or has no track, has type 2 or time codes, or exceeds one of the limits in `reader`, or
        the encoding is unknown
    """
    collecting = gc.isenabled()
    gc.disable()  # nothing here is garbage, and looking for it would take a third of the time
    try:
        return _parse(data, name, encoding)
    finally:
        if collecting:
            gc.enable()


def _parse(data: bytes, name: str, encoding: str) -> Midi:
    """Read the bytes of a MIDI file."""
    reader.check_encoding(encoding)
    try:
        tracks = reader.read_tracks(data, encoding)
    except NumpyrnnError as error:
        raise NumpyrnnError(f"{name} {error}") from None
    quarters = cache(lambda tick: Fraction(tick, tracks.division))
    changes = [sorted(of_channel, key=itemgetter(0)) for of_channel in tracks.programs]
    onsets = [[tick for tick, _ in of_channel] for of_channel in changes]
    programs = [[0, *(program for _, program in of_channel)] for of_channel in changes]
    notes = []
    for start, end, pitch, velocity, channel, track in sorted(tracks.notes, key=itemgetter(0)):
        program = programs[channel][bisect_right(onsets[channel], start)]
        notes.append(Note(quarters(start), quarters(end - start), pitch, velocity, channel, program, track))
    tempos = [(quarters(tick), tempo) for tick, tempo in sorted(tracks.tempos.items())]
    meters = [(quarters(tick), *meter) for tick, meter in sorted(tracks.meters.items())]
    markers = [(quarters(tick), text) for tick, text in sorted(tracks.markers, key=itemgetter(0))]
    return Midi(notes, tracks.names, tempos, meters, quarters(tracks.length), markers, reader.describe(tracks.faults))


def write_midi(path: str | Path, midi: Midi) -> None:
    """Write a MIDI file; see `midi_bytes`.

    Parameters
    ----------
    path : file
    midi : Midi

    Raises
    ------
    NumpyrnnError
        if `midi_bytes` refuses the music or the file cannot be written
    """
    data = midi_bytes(midi)
    with atomic_write(path) as file:
        file.write(data)


def midi_bytes(midi: Midi, ticks: int = 480) -> bytes:
    """Encode music as a MIDI file of type 1; the same music gives the same bytes.

    Each of `midi.names` becomes a track. The first track also holds the tempos, meters and markers; some programs
    expect it to have no notes. Times are rounded to ticks. A note is cut short where its pitch begins again in the same
    track and channel. Music without such overlaps, with all times on ticks and one program at a time in each channel,
    round-trips exactly.

    Parameters
    ----------
    midi : Midi; its notes may be in any order
    ticks : int, default 480, ticks a quarter

    Returns
    -------
    bytes

    Raises
    ------
    NumpyrnnError
        if a value is out of range, or the music exceeds one of the limits in `reader`
    """
    _check("ticks", ticks, 1, reader.MAX_TICKS)
    _check("the number of tracks", len(midi.names), 1, reader.MAX_TRACKS)
    tracks = _note_events(midi, ticks)
    for onset, tempo in midi.tempos:
        _check("a tempo", tempo, 1, reader.MAX_TEMPO)
        tracks[0].append(_Event(_tick(onset, ticks), 0, 0, _meta_event(0x51, int(tempo).to_bytes(3, "big"))))
    for onset, beats, unit in midi.meters:
        _check("the beats of a meter", beats, 1, 255)
        if unit not in [1 << power for power in range(reader.MAX_UNIT_POWER + 1)]:
            raise NumpyrnnError(f"the unit of a meter must be 1, 2, 4 ... {1 << reader.MAX_UNIT_POWER}, got {unit!r}")
        content = bytes([beats, int(unit).bit_length() - 1, 24, 8])  # a click a quarter, 8 thirty-seconds a quarter
        tracks[0].append(_Event(_tick(onset, ticks), 0, 0, _meta_event(0x58, content)))
    for order, (onset, text) in enumerate(midi.markers):
        tracks[0].append(_Event(_tick(onset, ticks), 0, order, _meta_event(0x06, reader.printable(text).encode())))
    for name, track in zip(midi.names, tracks, strict=True):
        if content := reader.printable(name).encode():
            track.append(_Event(0, -1, 0, _meta_event(0x03, content)))
    _check("the number of events", sum(len(track) + 1 for track in tracks), 1, reader.MAX_EVENTS)
    ends = [_tick(midi.length, ticks)] + [0] * (len(tracks) - 1)
    chunks = [_track_chunk(track, end) for track, end in zip(tracks, ends, strict=True)]
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), ticks) + b"".join(chunks)


class _Event(NamedTuple):
    """A message and its position: the events of a track are sorted by tick, rank and order."""

    tick: int
    rank: int  # -1 name, 0 tempo, meter and marker, 1 note-off, 2 program, 3 note-on
    order: int
    message: bytes


def _note_events(midi: Midi, ticks: int) -> list[list[_Event]]:
    """Make the note and program events of each track."""
    tracks: list[list[_Event]] = [[] for _ in midi.names]
    for note in midi.notes:
        for name, (low, high) in RANGES.items():
            _check(name, getattr(note, name), low, high)
        _check("track", note.track, 0, len(tracks) - 1)
        if not note.duration >= 0:
            raise NumpyrnnError(f"a duration must be at least 0, got {note.duration!s}")
    notes = sorted(midi.notes, key=lambda note: (note.onset, note.track))
    starts = [_tick(note.onset, ticks) for note in notes]
    ends = [_tick(note.onset + note.duration, ticks) for note in notes]
    first = {note.channel: note.program for note in reversed(notes)}
    for track, channel in sorted({(note.track, note.channel) for note in notes}):
        tracks[track].append(_Event(0, 2, -1, bytes([0xC0 | channel, first[channel]])))
    programs = dict(first)  # all tracks share a channel's program
    last: dict[tuple[int, int, int], int] = {}  # index of the last note of each track, channel and pitch
    for index, note in enumerate(notes):
        voice = note.track, note.channel, note.pitch
        if voice in last:
            ends[last[voice]] = min(ends[last[voice]], starts[index])
        last[voice] = index
        if programs[note.channel] != note.program:
            programs[note.channel] = note.program
            message = bytes([0xC0 | note.channel, note.program])
            tracks[note.track].append(_Event(starts[index], 2, index, message))
    for index, (note, start, end) in enumerate(zip(notes, starts, ends, strict=True)):
        rank, order = (1, index) if end > start else (3, 2 * index + 1)  # a note without duration ends after it begins
        tracks[note.track] += [
            _Event(start, 3, 2 * index, bytes([0x90 | note.channel, note.pitch, note.velocity])),
            _Event(end, rank, order, bytes([0x80 | note.channel, note.pitch, 0])),
        ]
    return tracks


def _track_chunk(events: list[_Event], end: int) -> bytes:
    """Encode a track; it ends at tick `end`, or with its last event if that is later."""
    parts, now = [], 0
    for event in sorted(events, key=itemgetter(0, 1, 2)):
        parts += [_delta(event.tick - now), event.message]
        now = event.tick
    content = b"".join([*parts, _delta(max(end - now, 0)), _meta_event(0x2F, b"")])
    return b"MTrk" + struct.pack(">I", len(content)) + content


def _meta_event(kind: int, content: bytes) -> bytes:
    return bytes([0xFF, kind]) + _delta(len(content)) + content


def _delta(number: int) -> bytes:
    """Encode a number as a variable-length quantity: seven bits a byte."""
    _check("the ticks between two events", number, 0, reader.MAX_NUMBER)
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(0x80 | number & 0x7F)
    return bytes(reversed(digits))


def _tick(quarters: Fraction, ticks: int) -> int:
    """Round a time in quarters to ticks."""
    if not 0 <= quarters <= reader.MAX_QUARTERS:
        raise NumpyrnnError(f"a time must be from 0 to {reader.MAX_QUARTERS} quarters, got {quarters!s}")
    return round(quarters * ticks)


def _check(name: str, value: int, low: int, high: int) -> None:
    """Raise unless `value` is a whole number from `low` to `high`."""
    if not (isinstance(value, Integral) and low <= value <= high):
        raise NumpyrnnError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
