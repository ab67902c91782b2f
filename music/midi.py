"""Standard MIDI Files: an exact reader that only ever fails with one clear error, and a deterministic writer.

The format is that of "Standard MIDI Files 1.0" (MIDI Manufacturers Association, RP-001).
"""

from __future__ import annotations

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
from numpyrnn.files import atomic_write

from .reader import (
    DEFAULT_METER,
    DEFAULT_TEMPO,
    MAX_BYTES,
    MAX_EVENTS,
    MAX_NUMBER,
    MAX_QUARTERS,
    MAX_TEMPO,
    MAX_TICKS,
    MAX_TRACKS,
    MAX_UNIT_POWER,
    printable,
    read_tracks,
)

DRUMS = 9  # their channel
RANGES = {"pitch": (0, 127), "velocity": (1, 127), "channel": (0, 15), "program": (0, 127)}


class Note(NamedTuple):
    """One note.

    Attributes
    ----------
    onset, duration : Fraction, quarters, exact; a duration may be 0
    pitch : int, 0 to 127; 60 is the middle C
    velocity : int, 1 to 127, default 80
    channel : int, 0 to 15, default 0; 9 is the drums
    program : int, 0 to 127, default 0: the instrument, the piano
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
    """A piece of music as a MIDI file holds it.

    Attributes
    ----------
    notes : list of Note, by onset; where onsets are equal in the file's order: track by track, as the notes begin
    names : list of str, one per track (`Note.track` is the index), "" where there is none
    tempos : list of (onset in quarters, whole microseconds a quarter), sorted, beginning at 0; default 120 quarters a
        minute. A tempo of q quarters a minute is `as_tempo(q)`, wrong by up to half a microsecond
    meters : list of (onset in quarters, beats, unit), sorted, beginning at 0; default 4/4
    length : Fraction, quarters, the end of the last event
    """

    notes: list[Note]
    names: list[str] = field(default_factory=lambda: [""])
    tempos: list[tuple[Fraction, int]] = field(default_factory=lambda: [(Fraction(0), DEFAULT_TEMPO)])
    meters: list[tuple[Fraction, int, int]] = field(default_factory=lambda: [(Fraction(0), *DEFAULT_METER)])
    length: Fraction = Fraction(0)

    def seconds(self, quarters: Fraction | float) -> float:
        """The time of a place under the tempos.

        Parameters
        ----------
        quarters : from the beginning; 0 or more

        Returns
        -------
        float, seconds, rounded once: the sum over the tempos is exact
        """
        place = Fraction(quarters)
        index = max(bisect_right(self.tempos, place, key=itemgetter(0)) - 1, 0)
        onset, tempo = self.tempos[index]
        return float((self._microseconds[index] + (place - onset) * tempo) / 1_000_000)

    @cached_property
    def _microseconds(self) -> list[Fraction]:
        """When each tempo begins."""
        times = [Fraction(0)]
        for (onset, tempo), (end, _) in pairwise(self.tempos):
            times.append(times[-1] + (end - onset) * tempo)
        return times


def as_tempo(quarters_a_minute: float) -> int:
    """Quarters a minute as whole microseconds a quarter, and the other way round."""
    return round(60_000_000 / quarters_a_minute)


def read_midi(path: str | Path) -> Midi:
    """Read a MIDI file; see `parse_midi`.

    Parameters
    ----------
    path : file

    Returns
    -------
    Midi

    Raises
    ------
    NumpyrnnError
        if there is no such file, it is a folder or not readable, or `parse_midi` refuses what it holds
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe would block
            raise NumpyrnnError(f"{path} must be a MIDI file, it is {'a folder' if path.is_dir() else 'no plain file'}")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NumpyrnnError(f"{path} could not be read: {error.strerror or error}") from error
    return parse_midi(data, str(path))


def parse_midi(data: bytes, name: str) -> Midi:
    """Read the bytes of a MIDI file of type 0 or 1, bare or wrapped in RIFF.

    A note-on is paired with the next unused note-off of its pitch and channel in its track, first in, first out. A note
    that is never ended ends with its track; a note-off without a note means nothing. A note's program is the last one
    that any track has set for its channel up to its onset. Fewer tracks than declared, bytes after the last one and a
    track without an end mark are tolerated.

    Parameters
    ----------
    data : bytes
    name : str, how errors call the file

    Returns
    -------
    Midi

    Raises
    ------
    NumpyrnnError
        if it is not MIDI, damaged, of type 2, in time codes, or larger than one of the limits in `reader`
    """
    try:
        tracks = read_tracks(data)
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
    return Midi(notes, tracks.names, tempos, meters, quarters(tracks.length))


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
    """The bytes of a MIDI file of type 1, the same for the same music.

    Each of `midi.names` becomes a track; the first one also holds the tempos and the meters (so leave it without notes
    where a reader wants these by themselves). Times are rounded to the nearest tick. A note that still sounds when its
    pitch begins again in its track and channel ends there. What has no such notes, has times on ticks and one program
    at a time in each channel, `parse_midi` reads back as it was.

    Parameters
    ----------
    midi : Midi; notes in any order
    ticks : int, default 480, a quarter

    Returns
    -------
    bytes

    Raises
    ------
    NumpyrnnError
        if a value does not fit into the file, or the music is larger than one of the limits in `reader`
    """
    _check("ticks", ticks, 1, MAX_TICKS)
    _check("the number of tracks", len(midi.names), 1, MAX_TRACKS)
    tracks = _note_events(midi, ticks)
    for onset, tempo in midi.tempos:
        _check("a tempo", tempo, 1, MAX_TEMPO)
        tracks[0].append(_Event(_tick(onset, ticks), 0, 0, _meta_event(0x51, int(tempo).to_bytes(3, "big"))))
    for onset, beats, unit in midi.meters:
        _check("the beats of a meter", beats, 1, 255)
        if unit not in [1 << power for power in range(MAX_UNIT_POWER + 1)]:
            raise NumpyrnnError(f"the unit of a meter must be 1, 2, 4 ... {1 << MAX_UNIT_POWER}, got {unit!r}")
        content = bytes([beats, int(unit).bit_length() - 1, 24, 8])  # a click a quarter, which has 8 thirty-seconds
        tracks[0].append(_Event(_tick(onset, ticks), 0, 0, _meta_event(0x58, content)))
    for name, track in zip(midi.names, tracks, strict=True):
        if content := printable(name).encode():
            track.append(_Event(0, -1, 0, _meta_event(0x03, content)))
    _check("the number of events", sum(len(track) + 1 for track in tracks), 1, MAX_EVENTS)
    ends = [_tick(midi.length, ticks)] + [0] * (len(tracks) - 1)
    chunks = [_track_chunk(track, end) for track, end in zip(tracks, ends, strict=True)]
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), ticks) + b"".join(chunks)


class _Event(NamedTuple):
    """A message and where it stands: by tick, then rank, then order."""

    tick: int
    rank: int  # -1 name, 0 tempo and meter, 1 note-off, 2 program, 3 note-on
    order: int
    message: bytes


def _note_events(midi: Midi, ticks: int) -> list[list[_Event]]:
    """For each track the events of its notes and programs."""
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
    programs = dict(first)  # a channel's program is the same for all tracks
    last: dict[tuple[int, int, int], int] = {}  # note of each track, channel and pitch
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
        rank, order = (1, index) if end > start else (3, 2 * index + 1)  # ends come first, but not before their onset
        tracks[note.track] += [
            _Event(start, 3, 2 * index, bytes([0x90 | note.channel, note.pitch, note.velocity])),
            _Event(end, rank, order, bytes([0x80 | note.channel, note.pitch, 0])),
        ]
    return tracks


def _track_chunk(events: list[_Event], end: int) -> bytes:
    """A track with its events and its end, which is at tick `end` or at the last event."""
    parts, now = [], 0
    for event in sorted(events, key=itemgetter(0, 1, 2)):
        parts += [_delta(event.tick - now), event.message]
        now = event.tick
    content = b"".join([*parts, _delta(max(end - now, 0)), _meta_event(0x2F, b"")])
    return b"MTrk" + struct.pack(">I", len(content)) + content


def _meta_event(kind: int, content: bytes) -> bytes:
    return bytes([0xFF, kind]) + _delta(len(content)) + content


def _delta(number: int) -> bytes:
    """A number in bytes of seven bits."""
    _check("the ticks between two events", number, 0, MAX_NUMBER)
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(0x80 | number & 0x7F)
    return bytes(reversed(digits))


def _tick(quarters: Fraction, ticks: int) -> int:
    """The tick nearest to a place."""
    if not 0 <= quarters <= MAX_QUARTERS:
        raise NumpyrnnError(f"a time must be from 0 to {MAX_QUARTERS} quarters, got {quarters!s}")
    return round(quarters * ticks)


def _check(name: str, value: int, low: int, high: int) -> None:
    """Raise unless `value` is a whole number from `low` to `high`."""
    if not (isinstance(value, Integral) and low <= value <= high):
        raise NumpyrnnError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
