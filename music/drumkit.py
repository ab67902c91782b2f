"""The drum kit of General MIDI: how each of its parts sounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi

import numpy as np

from numpyrnn.checks import Array

from .additive import HIGHEST, SEED, Band, Points, additive, block_of, centred

RING = 1.8  # s, the longest sound of a cymbal
FALL = 0.03  # s, time constant of a falling pitch
STROKE = 0.1  # s, over which the strokes of all drums are equally strong


@dataclass(frozen=True)
class Drum:
    """How a part of the drum kit sounds: tones and coloured noise, both decaying.

    Attributes
    ----------
    tones : (Hz, ...), frequencies of the modes of a membrane or a bar
    decay : s, time constant of the lowest tone; a tone at twice the frequency takes 0.8 times as long
    noise : lowest and highest frequency of the noise, Hz
    hiss : s, time constant of the noise
    share : share of noise in the power of the stroke; the rest is tones
    drop : the tones begin at 1 + `drop` times their frequency and fall to it
    gain : level relative to the other drums
    pan : -1 left to 1 right
    """

    tones: tuple[float, ...]
    decay: float
    noise: Band
    hiss: float
    share: float
    drop: float = 0.0
    gain: float = 1.0
    pan: float = 0.0


def plate(n: int, low: float, high: float) -> tuple[float, ...]:
    """List the frequencies of a plate's modes: spread at random, so that they form no chord."""
    return tuple(map(float, np.sort(np.random.default_rng([SEED, n]).uniform(low, high, n))))


# fmt: off
KICK = Drum((52.0, 95.0), 0.11, (150, 2500), 0.012, 0.12, drop=1.2, gain=1.0)
SNARE = Drum((185.0, 285.0, 330.0, 470.0), 0.06, (900, 9000), 0.09, 0.7, drop=0.15, gain=0.8, pan=-0.05)
STICK = Drum((830.0, 1270.0, 1710.0, 2460.0), 0.018, (1500, 8000), 0.012, 0.4, gain=0.6, pan=-0.05)
CLAP = Drum((), 0.1, (800, 5000), 0.08, 1.0, gain=0.7)
CLOSED_HAT = Drum(plate(60, 3000, 14000), 0.05, (5500, 14000), 0.035, 0.7, gain=0.5, pan=-0.2)
PEDAL_HAT = replace(CLOSED_HAT, noise=(4000, 11000), hiss=0.03, decay=0.03, gain=0.35)
OPEN_HAT = replace(CLOSED_HAT, decay=0.3, hiss=0.25)
RIDE = Drum(plate(160, 380, 13000), 0.7, (3000, 12000), 0.12, 0.45, gain=0.5, pan=0.15)
BELL = Drum(plate(14, 750, 8000), 0.6, (3000, 12000), 0.04, 0.15, gain=0.5, pan=0.15)
CRASH = Drum(plate(140, 350, 15000), 0.6, (2500, 14000), 0.35, 0.6, gain=0.8, pan=-0.2)
TOM = Drum((80.0, 127.0, 171.0), 0.18, (200, 3000), 0.02, 0.12, drop=0.35)
BONGO = Drum((330.0, 525.0, 705.0), 0.07, (500, 5000), 0.012, 0.15, drop=0.1, gain=0.7, pan=0.3)
AGOGO = Drum((910.0, 1370.0, 2450.0), 0.15, (2000, 8000), 0.01, 0.1, gain=0.5, pan=0.3)
BLOCK = Drum((1050.0, 2730.0), 0.025, (1500, 8000), 0.008, 0.15, gain=0.4, pan=0.3)
SHAKER = Drum((), 0.1, (4500, 13000), 0.035, 1.0, gain=0.4, pan=-0.3)
TRIANGLE = Drum(plate(9, 2600, 13000), 0.7, (5000, 14000), 0.01, 0.1, gain=0.3, pan=0.3)

KIT = {35: replace(KICK, tones=(47.0, 86.0)), 36: KICK, 37: STICK, 38: SNARE, 39: CLAP, 40: replace(SNARE, share=0.8),
       42: CLOSED_HAT, 44: PEDAL_HAT, 46: OPEN_HAT, 49: CRASH, 51: RIDE, 52: replace(CRASH, noise=(1200, 9000)),
       53: BELL, 54: replace(SHAKER, tones=plate(20, 4000, 12000), share=0.7), 55: replace(CRASH, decay=0.3, hiss=0.2),
       56: replace(AGOGO, tones=(562.0, 845.0, 1510.0), decay=0.09), 57: replace(CRASH, tones=plate(130, 420, 15000)),
       58: replace(SHAKER, noise=(1500, 5000), hiss=0.25), 59: replace(RIDE, tones=plate(150, 450, 13000)),
       67: AGOGO, 68: replace(AGOGO, tones=(680.0, 1020.0, 1830.0)), 69: SHAKER, 70: SHAKER,
       73: replace(SHAKER, noise=(1500, 7000)), 74: replace(SHAKER, noise=(1500, 7000), hiss=0.15),
       80: replace(TRIANGLE, decay=0.06), 81: TRIANGLE, 82: SHAKER}
KIT |= {pitch: replace(TOM, tones=tuple((1 + i / 6) * tone for tone in TOM.tones), pan=0.2 - 0.08 * i)
        for i, pitch in enumerate((41, 43, 45, 47, 48, 50))}
KIT |= {pitch: replace(BONGO, tones=tuple(ratio * tone for tone in BONGO.tones)) for pitch, ratio in
        {60: 1.25, 61: 0.95, 62: 0.9, 63: 0.85, 64: 0.65, 65: 0.8, 66: 0.55, 78: 1.4, 79: 1.1}.items()}
KIT |= {75: replace(BLOCK, tones=(2500.0,)), 76: BLOCK, 77: replace(BLOCK, tones=(760.0, 1980.0))}
KIT |= {71: replace(TRIANGLE, tones=(2350.0,)), 72: replace(TRIANGLE, tones=(2350.0,), decay=0.3)}
# fmt: on
OTHER = BLOCK
OPEN, CLOSING = 46, (42, 44)  # an open hi-hat rings until it is closed


def drum_parts(drum: Drum, rate: int, take: int = 0) -> Array:
    """Render a drum's tones and noise separately, because a softer stroke has less noise.

    Parameters
    ----------
    drum : Drum
    rate : int, samples a second
    take : int, default 0; the takes differ in the phases of their tones and in their noise

    Returns
    -------
    (2, samples) float32, tones and noise at full velocity
    """
    length = min(7 * max(drum.decay, drum.hiss), RING)
    frequencies = np.array([tone for tone in drum.tones if tone * (1 + drum.drop) < HIGHEST * rate])
    decays = drum.decay * (frequencies.min(initial=np.inf) / frequencies) ** 0.3
    phases = np.random.default_rng([SEED, take]).uniform(0, 1, len(frequencies)) * (len(frequencies) > 4)

    def fading(times: Array) -> Array:
        envelope = np.minimum(times * rate / block_of(rate), 1) * np.clip(1 - times / length, 0, 1)
        return envelope.astype(np.float32)

    def tones(times: Array) -> tuple[Array, Array]:
        levels = np.exp((-times / decays).astype(np.float32)) * fading(times)
        cycles = phases + frequencies * (times + drum.drop * FALL * (1 - np.exp(-times / FALL)))
        angles = np.float32(2 * pi) * (cycles - np.floor(cycles)).astype(np.float32)
        return np.concatenate([levels * np.cos(angles), levels * np.sin(angles)], axis=1), np.zeros_like(fading(times))

    def noise(times: Array) -> tuple[Array, Array]:
        return np.zeros((len(times), 0), np.float32), fading(times) * np.exp(-times / drum.hiss).astype(np.float32)

    def part(share: float, partials: Array, points: Points) -> Array:
        sound = additive(partials, points, drum.noise, round(length * rate), rate, 331 * take)
        stroke = float(np.sqrt(np.mean(sound[: round(STROKE * rate)] ** 2))) or 1.0
        return centred(sound * np.float32(np.sqrt(share) / stroke))

    return np.array([part(1 - drum.share, frequencies, tones), part(drum.share, frequencies[:0], noise)])
