"""From notes to sound: an additive synthesiser, WAV files, and a way to FluidSynth for those who have it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, cos, pi, sin
from pathlib import Path

import numpy as np

from numpyrnn.checks import Array, NumpyrnnError, check_range
from numpyrnn.files import atomic_write

from .midi import Midi, Note, midi_bytes

MAX_SECONDS = 30 * 60  # of sound: some 600 MB while it is mixed
RATES = 8000, 48000
PEAK = 0.98  # of full scale, that the mix may reach
GAIN = 0.25  # of a note at full velocity: most pieces then need no scaling
HIGHEST = 0.45  # share of the rate, above which there is no partial
RING = 1.8  # s, that a cymbal sounds at most
TAIL = 1.9  # s, room for what sounds after the last note
CUT = 0.01  # s, to fade out where the end is cut off
CHUNK = 4096  # blocks at a time, which bounds the memory of a long note
SHORT = 2.0  # s, notes up to which are kept for the next equal one
DRUMS = 9  # the channel
FLUIDSYNTH = "fluidsynth"


@dataclass(frozen=True)
class Voice:
    """How a family of pitched instruments sounds; each partial has an envelope of its own.

    Attributes
    ----------
    levels : of the partials, from the fundamental on
    cutoff : Hz, above which partials are weak; a harder note has a higher one
    attack : s, for the fundamental to rise in a straight line; the k-th partial takes sqrt(k) times as long
    decay : s, in which what is not sustained falls to 1/e, at A4; lower notes take longer
    sustain : share of the level that is sustained
    fade : s, in which that share falls to 1/e, at A4; infinite where it is blown or bowed
    damping : the k-th partial falls k**damping times as fast
    release : s, from the end of the note to silence
    vibrato : cents to either side; it comes in after a quarter of a second
    stretch : inharmonicity of the partials, as of stiff strings; the fundamental stays
    gain : against the other voices
    pan : from -1, left, to 1, right
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
    """How a piece of the drum kit sounds: a few tones and filtered noise, each dying away.

    Attributes
    ----------
    tones : Hz
    decay : s, in which they fall to 1/e
    noise : Hz, from where to where it reaches
    hiss : s, in which it falls to 1/e
    share : of the noise; the rest are the tones
    drop : the tones begin 1 + `drop` times as high
    gain : against the voices
    pan : from -1, left, to 1, right
    """

    tones: tuple[float, ...]
    decay: float
    noise: tuple[float, float]
    hiss: float
    share: float
    drop: float = 0.0
    gain: float = 1.0
    pan: float = 0.0


PIANO = Voice(
    (1, 0.7, 0.5, 0.38, 0.28, 0.22, 0.12, 0.08, 0.08, 0.06, 0.05, 0.04),
    cutoff=3500, decay=0.35, sustain=0.45, fade=2.5, release=0.18, stretch=3e-4, gain=0.9, pan=-0.3,
)  # fmt: skip
ELECTRIC_PIANO = Voice((1, 0.35, 0.12, 0.2, 0.03, 0.02), decay=0.2, fade=2.0, damping=1.0, release=0.15, pan=-0.3)
MALLETS = Voice(
    (1, 0, 0, 0.3, 0, 0, 0, 0, 0, 0.08),
    cutoff=6000, attack=0.001, decay=0.12, fade=1.2, damping=0.8, release=0.3, pan=0.3,
)  # fmt: skip
ORGAN = Voice((1, 0.7, 0.5, 0.3, 0, 0.2, 0, 0.15), attack=0.005, sustain=1, release=0.06, gain=0.6, pan=-0.3)
GUITAR = Voice(
    (1, 0.8, 0.5, 0.22, 0.05, 0.1, 0.1, 0.06, 0.02, 0.03),
    cutoff=2500, decay=0.25, sustain=0.4, fade=1.4, damping=0.6, release=0.1, stretch=5e-5, pan=0.4,
)  # fmt: skip
BASS = Voice(
    (1, 0.75, 0.45, 0.25, 0.16, 0.1, 0.06, 0.04),
    cutoff=900, attack=0.004, decay=0.12, sustain=0.55, fade=0.6, damping=0.7, release=0.08, gain=1.3, pan=0.1,
)  # fmt: skip
STRINGS = Voice(
    (1, 0.6, 0.45, 0.35, 0.3, 0.2, 0.16, 0.12, 0.1, 0.08),
    attack=0.03, sustain=0.9, release=0.25, vibrato=6, gain=0.7, pan=-0.15,
)  # fmt: skip
BRASS = Voice(
    (1, 0.95, 0.85, 0.6, 0.45, 0.3, 0.22, 0.15, 0.1, 0.07),
    cutoff=2500, attack=0.015, decay=0.1, sustain=0.8, release=0.08, vibrato=5, gain=0.9, pan=0.15,
)  # fmt: skip
REED = Voice(
    (1, 0.9, 0.6, 0.55, 0.3, 0.22, 0.2, 0.12, 0.08, 0.06, 0.05, 0.03),
    cutoff=2200, attack=0.012, decay=0.12, sustain=0.8, release=0.08, vibrato=9, pan=0.0,
)  # fmt: skip
PIPE = Voice((1, 0.35, 0.15, 0.06, 0.03), attack=0.015, sustain=0.9, release=0.1, vibrato=7, gain=0.9, pan=0.2)
SYNTH = Voice(tuple(1 / k for k in range(1, 11)), cutoff=2000, attack=0.006, sustain=0.8, release=0.15, gain=0.8)

FAMILIES = (  # of eight General MIDI programs each
    PIANO, MALLETS, ORGAN, GUITAR, BASS, STRINGS, STRINGS, BRASS,
    REED, PIPE, SYNTH, SYNTH, SYNTH, GUITAR, MALLETS, SYNTH,
)  # fmt: skip
EXCEPTIONS = {
    **dict.fromkeys((4, 5), ELECTRIC_PIANO),
    **dict.fromkeys((45, 46), GUITAR),  # pizzicato and harp
    **dict.fromkeys((47, 108), MALLETS),  # timpani and kalimba
    **dict.fromkeys((109, 111), REED),  # bagpipe and shanai
    110: STRINGS,  # fiddle
}

METAL = (2350.0, 3170.0, 4210.0, 5280.0, 6830.0, 8120.0)  # no common fundamental
KICK = Drum((50.0,), 0.1, (200, 3000), 0.01, 0.1, drop=2, gain=1.3)
SNARE = Drum((185.0, 330.0), 0.07, (1200, 10000), 0.09, 0.6, drop=0.2, gain=0.6, pan=-0.1)
STICK = Drum((1700.0, 2400.0), 0.012, (2000, 9000), 0.015, 0.4, gain=0.6, pan=-0.1)
CLOSED_HAT = Drum(METAL, 0.03, (6500, 15000), 0.04, 0.8, gain=0.35, pan=-0.4)
OPEN_HAT = Drum(METAL, 0.2, (6000, 15000), 0.22, 0.8, gain=0.35, pan=-0.4)
RIDE = Drum(METAL, 0.35, (5000, 15000), 0.2, 0.45, gain=0.3, pan=0.4)
BELL = Drum((1080.0, 1710.0, 2620.0, 3890.0, 5230.0), 0.4, (5000, 15000), 0.1, 0.2, gain=0.35, pan=0.4)
CRASH = Drum(METAL, 0.4, (2500, 16000), 0.4, 0.75, gain=0.5, pan=-0.5)
OTHER = Drum((800.0, 1250.0), 0.04, (2000, 9000), 0.03, 0.3, gain=0.5, pan=0.5)
KIT = {
    **dict.fromkeys((35, 36), KICK),
    **dict.fromkeys((38, 40), SNARE),
    37: STICK,
    **dict.fromkeys((42, 44), CLOSED_HAT),
    46: OPEN_HAT,
    **dict.fromkeys((51, 59), RIDE),
    53: BELL,
    **dict.fromkeys((49, 57), CRASH),
    **{
        pitch: Drum((75.0 + 10 * i,), 0.15, (300, 4000), 0.02, 0.15, drop=0.4, gain=0.9, pan=0.5 - 0.2 * i)
        for i, pitch in enumerate((41, 43, 45, 47, 48, 50))  # the toms
    },
}


def render(midi: Midi, rate: int = 44100, seconds: float | None = None) -> Array:
    """The sound of a piece.

    A4 is 440 Hz. A note begins at the sample nearest to its time and passes 1 % of its peak within 2 ms. It ends after
    its release, 0.3 s at most; drums ring up to 1.8 s, however long they are written. The same input gives the same
    samples. The mix is scaled down, as a whole, only where it would pass 0.98 of full scale.

    Parameters
    ----------
    midi : Midi
    rate : int, default 44100, samples a second, 8000 to 48000; a note whose fundamental is above 0.45 of it is silent
    seconds : float, optional, at most so much of the piece; all of it otherwise

    Returns
    -------
    (samples, 2) int16, left and right; it ends less than 2 s after the last note

    Raises
    ------
    NumpyrnnError
        if there are no notes (within `seconds`), if more than 30 minutes are to be rendered, or for an argument out of
        its range
    """
    check_range("rate", rate, *RATES)
    if int(rate) != rate:
        raise NumpyrnnError(f"rate must be a whole number, got {rate!r}")
    rate = int(rate)
    if seconds is not None:
        check_range("seconds", seconds, 0, open_low=True)
    timed, last = _timed(midi, seconds)
    size = ceil((last + TAIL) * rate)
    if seconds is not None:
        size = min(size, ceil(seconds * rate))
    mix = np.zeros((2, size), np.float32)
    stop = 0
    kept_tone, kept_drum = lru_cache(256)(tone), lru_cache(tone_free_pitches())(drum_parts)
    for note, start, hold in ((note, round(begin * rate), round(length * rate)) for note, begin, length in timed):
        if note.channel == DRUMS:
            drum = KIT.get(note.pitch, OTHER)
            hardness = note.velocity / 127
            tones, noise = kept_drum(drum, note.pitch, rate)
            sound, pan = loudness(note.velocity) * drum.gain * (tones + (0.5 + 0.5 * hardness) * noise), drum.pan
        else:
            voice = voice_of(note.program)
            make = kept_tone if hold <= SHORT * rate else tone
            sound, pan = make(voice, note.pitch, note.velocity, min(hold, size - start), rate), voice.pan
        _add(mix, sound, start, pan)
        stop = max(stop, start + len(sound))
    return _finished(mix, stop, rate)
