"""Render notes as sound with an additive synthesiser, and write WAV files."""

from __future__ import annotations

import wave
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from math import ceil, cos, pi, sin
from pathlib import Path
from typing import Any

import numpy as np

from numpyrnn.checks import Array, NumpyrnnError, check_count, check_range, check_shape
from numpyrnn.files import atomic_write

from .drumkit import CLOSING, KIT, OPEN, OTHER, drum_parts
from .midi import DRUMS, Midi, Note
from .room import LENGTH, add_room
from .voices import GAIN, loudness, tone, voice_of

MAX_SECONDS = 30 * 60  # mixing so much takes up to 1.4 GB
RATES = 8000, 48000  # samples a second
PEAK = 0.89  # share of full scale that the mix may reach, -1 dB
TAIL = 1.9  # s, time after the last note for sounds that die away
CUT = 0.01  # s, fade-out if the end of the piece is cut off
SHORT = 2.0  # s, longest notes that are cached
MIDDLE = 0  # the channel of the instrument in the middle
TAKES = 3  # of each drum, in turn
CHOKE = 0.03  # s, in which a closed hi-hat falls silent
KIT_GAIN = 0.85  # level of the drums relative to the voices


def render(
    midi: Midi,
    rate: int = 44100,
    seconds: float | None = None,
    progress: Callable[..., Iterable[Any]] = iter,
    dry: bool = False,
    loop: bool = False,
) -> Array:
    """Render the sound of a piece; the same input gives the same samples.

    A4 is 440 Hz. A note begins at the sample nearest to its onset and passes 1 % of its peak within 2 ms, or 6 ms if it
    is blown or bowed. Its release takes up to 0.3 s. Drums ring up to 1.8 s, whatever their written duration, and the
    room adds half a second. The instrument on channel 0 stands in the middle, and so does an instrument that plays
    alone or with drums only, such as after a count-in. A mix that would exceed -1 dB of full scale is scaled down as a
    whole.

    Parameters
    ----------
    midi : Midi
    rate : int, default 44100, samples a second, 8000 to 48000; a note with a fundamental above 0.45 `rate` is silent
    seconds : float, optional, how much of the piece to render at most; default all
    progress : function that takes the list of notes and gives its items, such as a progress bar
    dry : bool, default False; True leaves the room out
    loop : bool, default False; True gives exactly the length of the piece, and what rings longer sounds at its
        beginning, so that it can be repeated without a gap or a click. A tempo of MIDI is a whole number of
        microseconds a quarter, so that 12 bars at 130 are one sample shorter than they would be at exactly 130.

    Returns
    -------
    (samples, 2) int16, left and right; without `loop`, it ends less than 2.5 s after the last note

    Raises
    ------
    NumpyrnnError
        if there are no notes (within `seconds`), the piece is longer than 30 minutes, or an argument is out of range
    """
    check_count("rate", rate, RATES[0])
    check_range("rate", rate, *RATES)
    if seconds is not None:
        check_range("seconds", seconds, 0, open_low=True)
    timed, end = _timed(midi, seconds)
    room = 0 if dry else LENGTH
    size = min(ceil((end + TAIL + room) * rate), ceil((seconds or MAX_SECONDS + TAIL + room) * rate))
    mix, stop, player = np.zeros((2, size), np.float32), 0, _Player(rate, timed)
    for note, onset, duration in progress(timed):
        start = min(round(onset * rate), size)
        sound, pan = player.play(note, onset, min(round(duration * rate), size - start))
        stop = max(stop, start + len(sound))
        sound, angle = sound[: size - start], (pan + 1) * pi / 4
        shares = np.array([[cos(angle)], [sin(angle)]], np.float32)  # constant power
        mix[:, start : start + len(sound)] += shares * sound
    stop += round(room * rate)
    mix = mix[:, :stop]
    if not dry:
        add_room(mix, rate)
    if loop:
        mix = _folded(mix, max(1, round(midi.seconds(midi.length) * rate)))
    elif stop > size:
        faded = mix[:, -ceil(CUT * rate) :]
        faded *= np.linspace(1, 0, faded.shape[1], dtype=np.float32)
    peak = max(float(mix.max()), -float(mix.min()))
    mix *= 32767 * min(1, PEAK / peak if peak else 1)
    return np.rint(mix, out=mix).T.astype(np.int16, order="C")


def _folded(mix: Array, length: int) -> Array:
    """A sound of a given length in samples; what is longer is added from the beginning on."""
    folded = np.zeros((2, length), np.float32)
    for start in range(0, mix.shape[1], length):
        part = mix[:, start : start + length]
        folded[:, : part.shape[1]] += part
    return folded


def _timed(midi: Midi, seconds: float | None) -> tuple[list[tuple[Note, float, float]], float]:
    """Return the notes to render, with onset and duration in seconds, and when the last one ends or is cut off."""
    if not midi.notes:
        raise NumpyrnnError("a piece must have notes to be rendered, it has none")
    until = float("inf") if seconds is None else seconds
    timed = []
    for note in midi.notes:
        numbers = note.pitch, note.velocity, note.program
        if min(note.onset, note.duration) < 0 or min(numbers) < 0 or max(numbers) > 127:
            raise NumpyrnnError(f"a note must have times of at least 0 and other values from 0 to 127, got {note}")
        onset = midi.seconds(note.onset)
        if onset < until:
            timed.append((note, onset, midi.seconds(note.onset + note.duration) - onset))
    if not timed:
        raise NumpyrnnError(f"a piece must have notes to be rendered, it has none in its first {seconds:g} s")
    end = min(max(onset + duration for _, onset, duration in timed), until)
    if end > MAX_SECONDS:
        raise NumpyrnnError(f"a piece must last at most {MAX_SECONDS // 60} minutes, got {end / 60:.1f}")
    return timed, end


class _Player:
    """Renders single notes, and caches their sounds."""

    def __init__(self, rate: int, timed: list[tuple[Note, float, float]]):
        self.rate = rate
        self.alone = len({voice_of(note.program) for note, _, _ in timed if note.channel != DRUMS}) == 1
        self._closings = sorted(at for note, at, _ in timed if note.channel == DRUMS and note.pitch in CLOSING)
        self._strokes: Counter[int] = Counter()
        self._tone = lru_cache(256)(tone)
        self._drum = lru_cache(128)(drum_parts)

    def play(self, note: Note, onset: float, hold: int) -> tuple[Array, float]:
        """Render a note at `onset`, s, held for `hold` samples: its float32 sound and its pan."""
        if note.channel == DRUMS:
            drum = KIT.get(note.pitch, OTHER)
            parts = self._drum(drum, self.rate, self._strokes[note.pitch] % TAKES)
            self._strokes[note.pitch] += 1
            strength = GAIN * KIT_GAIN * drum.gain * loudness(note.velocity)
            sound = np.array([strength, strength * (0.5 + note.velocity / 254)], np.float32) @ parts
            if note.pitch == OPEN:
                sound = self._closed(sound, onset)
            return sound, drum.pan
        voice = voice_of(note.program)
        make = self._tone if hold <= SHORT * self.rate else tone
        pan = 0.0 if self.alone or note.channel == MIDDLE else voice.pan
        return make(voice, note.pitch, note.velocity, hold, self.rate), pan

    def _closed(self, sound: Array, onset: float) -> Array:
        """Let an open hi-hat fall silent when it is next closed."""
        after = bisect_right(self._closings, onset)
        if after == len(self._closings):
            return sound
        end, fade = round((self._closings[after] - onset) * self.rate), np.linspace(1, 0, round(CHOKE * self.rate))
        sound = sound[: end + len(fade)]
        sound[end:] *= fade[: len(sound[end:])].astype(np.float32)
        return sound


def wav_bytes(samples: Array, rate: int = 44100) -> bytes:
    """Encode samples as a WAV file, 16-bit PCM.

    Parameters
    ----------
    samples : (samples, 2) int16, left and right
    rate : int, default 44100, samples a second

    Returns
    -------
    bytes

    Raises
    ------
    NumpyrnnError
        if the samples have another shape or type
    """
    if not isinstance(samples, np.ndarray) or samples.dtype != np.int16:
        raise NumpyrnnError(f"samples must be int16, got {getattr(samples, 'dtype', type(samples).__name__)}")
    check_shape("samples", samples, ("samples", 2))
    check_count("rate", rate, 1)
    file = BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((2, samples.itemsize, rate, 0, "NONE", "not compressed"))
        sound.writeframes(samples.tobytes())
    return file.getvalue()


def write_wav(path: str | Path, samples: Array, rate: int = 44100) -> None:
    """Write samples as a WAV file.

    Parameters
    ----------
    path : file
    samples, rate : see `wav_bytes`

    Raises
    ------
    NumpyrnnError
        if the samples have another shape or type, or the file cannot be written
    """
    data = wav_bytes(samples, rate)
    with atomic_write(path) as file:
        file.write(data)
