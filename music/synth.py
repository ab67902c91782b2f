"""Render notes as sound with an additive synthesiser, and write WAV files."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from math import ceil, cos, pi, sin
from pathlib import Path
from typing import Any

import numpy as np

from numpyrnn.checks import Array, NumpyrnnError, check_count, check_range, check_shape
from numpyrnn.files import atomic_write

from .midi import DRUMS, Midi, Note

MAX_SECONDS = 30 * 60  # mixing so much takes up to 1.4 GB
RATES = 8000, 48000  # samples a second
PEAK = 0.98  # share of full scale that the mix may reach
GAIN = 0.25  # share of full scale for a note at full velocity; most pieces then need no scaling
HIGHEST = 0.45  # share of the sampling rate; higher partials are left out
RING = 1.8  # s, the longest sound of a cymbal
TAIL = 1.9  # s, room after the last note for sounds that die away
CUT = 0.01  # s, fade-out if the end of the piece is cut off
BLOCKS = 700  # a second; envelopes and vibrato are interpolated within a block
CHUNK = 4096  # blocks computed at a time, to bound the memory of long notes
PIECE = 1 << 20  # samples corrected at a time, likewise
SHORT = 2.0  # s, longest notes that are cached
VIBRATO = 5.2  # Hz
SEED = 1  # for the noise


@dataclass(frozen=True)
class Voice:
    """How a family of pitched instruments sounds; each partial has an envelope of its own.

    Attributes
    ----------
    levels : tuple of float, amplitudes of the partials, the fundamental first
    cutoff : Hz, partials above it are weakened; it rises with the velocity
    attack : s, linear rise of the fundamental; the k-th partial takes sqrt(k) times as long
    decay : s, time constant of the unsustained share at A4; lower notes decay more slowly
    sustain : share of the level that is sustained
    fade : s, time constant of the sustained share at A4; infinite for blown and bowed instruments
    damping : the k-th partial decays k**damping times as fast
    release : s, from the end of the note to silence
    vibrato : cents up and down; it sets in after a quarter of a second
    stretch : inharmonicity of the partials, as on stiff strings; the fundamental keeps its pitch
    gain : level relative to the other voices
    pan : -1 left to 1 right
    """

    levels: tuple[float, ...]
    cutoff: float = 3000.0
    attack: float = 0.002
    decay: float = 0.3
    sustain: float = 0.5
    fade: float = float("inf")
    damping: float = 0.5
    release: float = 0.1
    vibrato: float = 0.0
    stretch: float = 0.0
    gain: float = 1.0
    pan: float = 0.0


@dataclass(frozen=True)
class Drum:
    """How a part of the drum kit sounds: a few tones and filtered noise, both decaying.

    Attributes
    ----------
    tones : tuple of float, Hz
    decay : s, time constant of the tones
    noise : (lowest, highest) frequency of the noise, Hz
    hiss : s, time constant of the noise
    share : share of noise; the rest is tones
    drop : the tones begin at 1 + `drop` times their frequency and fall to it
    gain : level relative to the voices
    pan : -1 left to 1 right
    """

    tones: tuple[float, ...]
    decay: float
    noise: tuple[float, float]
    hiss: float
    share: float
    drop: float = 0.0
    gain: float = 1.0
    pan: float = 0.0


# fmt: off
PIANO = Voice((1, 0.7, 0.5, 0.38, 0.28, 0.22, 0.12, 0.08, 0.08, 0.06, 0.05, 0.04), cutoff=3500, decay=0.35,
              sustain=0.45, fade=2.5, release=0.18, stretch=3e-4, gain=0.9, pan=-0.3)
ELECTRIC_PIANO = Voice((1, 0.35, 0.12, 0.2, 0.03, 0.02), decay=0.2, fade=2.0, damping=1.0, release=0.15, pan=-0.3)
MALLETS = Voice((1, 0, 0, 0.3, 0, 0, 0, 0, 0, 0.08), cutoff=6000, attack=0.001, decay=0.12, fade=1.2, damping=0.8,
                release=0.3, pan=0.3)
ORGAN = Voice((1, 0.7, 0.5, 0.3, 0, 0.2, 0, 0.15), attack=0.005, sustain=1, release=0.06, gain=0.6, pan=-0.3)
GUITAR = Voice((1, 0.8, 0.5, 0.22, 0.05, 0.1, 0.1, 0.06, 0.02, 0.03), cutoff=2500, decay=0.25, sustain=0.4, fade=1.4,
               damping=0.6, stretch=5e-5, pan=0.4)
BASS = Voice((1, 0.75, 0.45, 0.25, 0.16, 0.1, 0.06, 0.04), cutoff=900, attack=0.004, decay=0.12, sustain=0.55,
             fade=0.6, damping=0.7, release=0.08, gain=1.3, pan=0.1)
STRINGS = Voice((1, 0.6, 0.45, 0.35, 0.3, 0.2, 0.16, 0.12, 0.1, 0.08), attack=0.03, sustain=0.9, release=0.25,
                vibrato=6, gain=0.7, pan=-0.15)
BRASS = Voice((1, 0.95, 0.85, 0.6, 0.45, 0.3, 0.22, 0.15, 0.1, 0.07), cutoff=2500, attack=0.015, decay=0.1,
              sustain=0.8, release=0.08, vibrato=5, gain=0.9, pan=0.15)
REED = Voice((1, 0.9, 0.6, 0.55, 0.3, 0.22, 0.2, 0.12, 0.08, 0.06, 0.05, 0.03), cutoff=2200, attack=0.012, decay=0.12,
             sustain=0.8, release=0.08, vibrato=9)
PIPE = Voice((1, 0.35, 0.15, 0.06, 0.03), attack=0.015, sustain=0.9, vibrato=7, gain=0.9, pan=0.2)
SYNTH = Voice(tuple(1 / k for k in range(1, 11)), cutoff=2000, attack=0.006, sustain=0.8, release=0.15, gain=0.8)

FAMILIES = (PIANO, MALLETS, ORGAN, GUITAR, BASS, STRINGS, STRINGS, BRASS,  # each for eight General MIDI programs
            REED, PIPE, SYNTH, SYNTH, SYNTH, GUITAR, MALLETS, SYNTH)
# fmt: on
EXCEPTIONS = {4: ELECTRIC_PIANO, 5: ELECTRIC_PIANO, 45: GUITAR, 46: GUITAR, 47: MALLETS, 108: MALLETS}
EXCEPTIONS |= {109: REED, 110: STRINGS, 111: REED}

METAL = (2350.0, 3170.0, 4210.0, 5280.0, 6830.0, 8120.0)  # without a common fundamental
KICK = Drum((50.0,), 0.1, (200, 3000), 0.01, 0.1, drop=2, gain=1.3)
SNARE = Drum((185.0, 330.0), 0.07, (1200, 10000), 0.09, 0.6, drop=0.2, gain=0.6, pan=-0.1)
STICK = Drum((1700.0, 2400.0), 0.012, (2000, 9000), 0.015, 0.4, gain=0.6, pan=-0.1)
CLOSED_HAT = Drum(METAL, 0.03, (6500, 15000), 0.04, 0.8, gain=0.35, pan=-0.4)
OPEN_HAT = Drum(METAL, 0.2, (6000, 15000), 0.22, 0.8, gain=0.35, pan=-0.4)
RIDE = Drum(METAL, 0.35, (5000, 15000), 0.2, 0.45, gain=0.3, pan=0.4)
BELL = Drum((1080.0, 1710.0, 2620.0, 3890.0, 5230.0), 0.4, (5000, 15000), 0.1, 0.2, gain=0.35, pan=0.4)
CRASH = Drum(METAL, 0.4, (2500, 16000), 0.4, 0.75, gain=0.5, pan=-0.5)
OTHER = Drum((800.0, 1250.0), 0.04, (2000, 9000), 0.03, 0.3, gain=0.5, pan=0.5)
KIT = {35: KICK, 36: KICK, 37: STICK, 38: SNARE, 40: SNARE, 42: CLOSED_HAT, 44: CLOSED_HAT, 46: OPEN_HAT}
KIT |= {49: CRASH, 51: RIDE, 53: BELL, 57: CRASH, 59: RIDE}
for _i, _pitch in enumerate((41, 43, 45, 47, 48, 50)):  # the toms
    KIT[_pitch] = Drum((75.0 + 10 * _i,), 0.15, (300, 4000), 0.02, 0.15, drop=0.4, gain=0.9, pan=0.5 - 0.2 * _i)


def render(
    midi: Midi, rate: int = 44100, seconds: float | None = None, progress: Callable[..., Iterable[Any]] = iter
) -> Array:
    """Render the sound of a piece; the same input gives the same samples.

    A4 is 440 Hz. A note begins at the sample nearest to its onset and passes 1 % of its peak within 2 ms. Its release
    takes up to 0.3 s. Drums ring up to 1.8 s, whatever their written duration. A mix that would exceed 0.98 of full
    scale is scaled down as a whole.

    Parameters
    ----------
    midi : Midi
    rate : int, default 44100, samples a second, 8000 to 48000; a note with a fundamental above 0.45 `rate` is silent
    seconds : float, optional, how much of the piece to render at most; default all
    progress : function that takes the list of notes and gives its items, such as a progress bar

    Returns
    -------
    (samples, 2) int16, left and right; it ends less than 2 s after the last note

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
    size = min(ceil((end + TAIL) * rate), ceil((seconds or MAX_SECONDS + TAIL) * rate))
    mix, stop, player = np.zeros((2, size), np.float32), 0, _Player(rate)
    for note, onset, duration in progress(timed):
        start = min(round(onset * rate), size)
        sound, pan = player.play(note, min(round(duration * rate), size - start))
        stop = max(stop, start + len(sound))
        sound, angle = sound[: size - start], (pan + 1) * pi / 4
        for channel, share in zip(mix, (cos(angle), sin(angle)), strict=True):  # constant power
            channel[start : start + len(sound)] += share * sound
    if stop > size:
        faded = mix[:, -ceil(CUT * rate) :]
        faded *= np.linspace(1, 0, faded.shape[1], dtype=np.float32)
    mix = mix[:, :stop]
    peak = max(float(mix.max()), -float(mix.min()))
    mix *= 32767 * min(1, PEAK / peak if peak else 1)
    return np.rint(mix, out=mix).T.astype(np.int16, order="C")


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

    def __init__(self, rate: int):
        self.rate = rate
        self._tone = lru_cache(256)(tone)
        self._drum = lru_cache(128)(drum_parts)

    def play(self, note: Note, hold: int) -> tuple[Array, float]:
        """Render a note held for `hold` samples: its float32 sound and its pan."""
        if note.channel == DRUMS:
            drum = KIT.get(note.pitch, OTHER)
            tones, noise = self._drum(drum, self.rate)
            strength = GAIN * drum.gain * _loudness(note.velocity)
            return strength * tones + strength * (0.5 + note.velocity / 254) * noise, drum.pan
        voice = EXCEPTIONS.get(note.program, FAMILIES[note.program // 8])
        make = self._tone if hold <= SHORT * self.rate else tone
        return make(voice, note.pitch, note.velocity, hold, self.rate), voice.pan


def _loudness(velocity: int) -> float:
    return float((velocity / 127) ** 1.5)


def tone(voice: Voice, pitch: int, velocity: int, hold: int, rate: int) -> Array:
    """Render one pitched note.

    Within blocks of about 1.4 ms each partial crossfades between two sinusoids: one with the phase and level of the
    block's start, the other with those of its end. So the sum over the partials is one matrix product, and envelopes
    and vibrato are computed only at the block boundaries.

    Parameters
    ----------
    voice : Voice
    pitch, velocity : int, as in MIDI
    hold : int, samples before the release begins
    rate : int, samples a second

    Returns
    -------
    (hold + release,) float32, with a mean of 0
    """
    orders = np.arange(1, len(voice.levels) + 1)
    ratios = orders * np.sqrt((1 + voice.stretch * orders**2) / (1 + voice.stretch))
    frequencies = 440 * 2 ** ((pitch - 69) / 12) * ratios
    brightness = 1 / (1 + (frequencies / (voice.cutoff * (0.4 + velocity / 127))) ** 2)
    levels = np.array(voice.levels) / np.linalg.norm(voice.levels) * brightness
    heard = (levels > 0) & (frequencies < HIGHEST * rate)
    ratios, frequencies, levels = ratios[heard], frequencies[heard], levels[heard]
    levels *= GAIN * voice.gain * _loudness(velocity)

    block, n = rate // BLOCKS, hold + round(voice.release * rate)
    steps, within = np.arange(block), 2j * pi * frequencies[:, None] / rate
    leaving, arriving = np.exp(within * steps), np.exp(within * (steps - block))
    sinusoids = np.concatenate([(1 - steps / block) * leaving, steps / block * arriving]).astype(np.complex64)
    sound = np.empty((ceil(n / block), block), np.float32)
    for first in range(0, len(sound), CHUNK):
        times = np.arange(first, min(first + CHUNK, len(sound)) + 1)[:, None] * block / rate
        phases = 2 * pi * frequencies * times + ratios * _vibrato(voice, frequencies[:1], times)
        points = levels * _envelope(voice, pitch, ratios, times, hold / rate) * np.exp(1j * phases)
        between = np.concatenate([points[:-1], points[1:]], axis=1).astype(np.complex64)
        sound[first : first + CHUNK] = (between @ sinusoids).imag
    sound = sound.ravel()[:n]
    mean = float(sound.mean())
    for first in range(0, n, PIECE):
        place = (np.arange(first, min(first + PIECE, n)) * (1 / max(n - 1, 1))).astype(np.float32)  # from 0 to 1
        sound[first : first + PIECE] -= 6 * mean * place * (1 - place)  # a mean of 0, without a step at the ends
    return sound


def _envelope(voice: Voice, pitch: int, ratios: Array, times: Array, hold: float) -> Array:
    """Compute attack, decay, sustain and release of each partial, (times, partials)."""
    slowness = 2 ** ((69 - pitch) / 24) / ratios**voice.damping
    lasting = voice.sustain * np.exp(-times / (voice.fade * slowness))
    passing = (1 - voice.sustain) * np.exp(-times / (voice.decay * slowness))
    attack = np.minimum(times / (voice.attack * np.sqrt(ratios)), 1)
    release = np.clip(1 - (times - hold) / voice.release, 0, 1) ** 2
    return attack * (lasting + passing) * release


def _vibrato(voice: Voice, fundamental: Array, times: Array) -> Array:
    """Compute the phase that vibrato adds to the fundamental; it is bounded, so it does not change the mean pitch."""
    depth = fundamental * (2 ** (voice.vibrato / 1200) - 1) / VIBRATO
    return depth * np.clip((times - 0.25) / 0.3, 0, 1) * np.sin(2 * pi * VIBRATO * times)


def drum_parts(drum: Drum, rate: int) -> tuple[Array, Array]:
    """Render a drum's tones and noise separately, because a softer stroke has less noise.

    Parameters
    ----------
    drum : Drum
    rate : int, samples a second

    Returns
    -------
    tones, noise : (samples,) float32, at full velocity
    """
    n = round(min(7 * max(drum.decay, drum.hiss), RING) * rate)
    t = np.arange(n) / rate
    shape = np.minimum(t / 0.0005, 1) * np.linspace(1, 0, n)
    tones = np.zeros(n)
    for frequency in drum.tones:
        if frequency * (1 + drum.drop) < HIGHEST * rate:
            tones += np.sin(2 * pi * frequency * (t + drum.drop * 0.03 * (1 - np.exp(-t / 0.03))))
    tones *= (1 - drum.share) * shape * np.exp(-t / drum.decay) / np.sqrt(len(drum.tones) / 2)

    white = np.random.default_rng([SEED, *map(int, drum.noise)]).standard_normal(n)
    frequencies = np.fft.rfftfreq(n, 1 / rate)
    low, high = drum.noise
    band = frequencies**2 / (frequencies**2 + low**2) * (frequencies < min(high, HIGHEST * rate))
    noise = np.fft.irfft(np.fft.rfft(white) * band, n)
    noise *= drum.share * shape * np.exp(-t / drum.hiss) / noise.std()
    window = np.hanning(n)
    parts = [part - window * (part.sum() / window.sum()) for part in (tones, noise)]  # a mean of 0
    return parts[0].astype(np.float32), parts[1].astype(np.float32)


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
