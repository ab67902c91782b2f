"""Additive synthesis: partials with envelopes of their own, and coloured noise, computed block by block."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil, pi

import numpy as np

from numpyrnn.checks import Array

HIGHEST = 0.45  # share of the sampling rate; higher partials are left out
BLOCKS = 700  # a second; envelopes are interpolated within a block
CHUNK = 4096  # blocks computed at a time, to bound the memory of long notes
PIECE = 1 << 20  # samples corrected at a time, likewise
NOISE = 3  # s, after which the noise comes again
SEED = 1  # for the noise
Band = tuple[float, float]
Points = Callable[[Array], tuple[Array, Array]]


def block_of(rate: int) -> int:
    """Give the length of a block, in samples."""
    return rate // BLOCKS


def additive(frequencies: Array, points: Points, noise: Band, n: int, rate: int, start: int = 0) -> Array:
    """Sum partials and noise.

    Within blocks of about 1.4 ms each partial crossfades between two sinusoids: one with the phase and level of the
    block's start, the other with those of its end. So the sum over the partials is one matrix product, and envelopes
    and vibrato are computed only at the block boundaries.

    Parameters
    ----------
    frequencies : (K,) Hz
    points : function
        from times, (T, 1) s, to the partials at these times, (T, 2K): levels times the cosines of their phases, then
        times the sines; and to the RMS of the noise, (T, 1); both float32
    noise : lowest and highest frequency of the noise, Hz
    n : int, samples
    rate : int, samples a second
    start : int, default 0, the block of the noise to begin with, so that notes need not have the same noise

    Returns
    -------
    (n,) float32
    """
    block = block_of(rate)
    steps, turn = np.arange(block), 2j * pi * frequencies[:, None] / rate
    rising = (steps / block).astype(np.float32)
    waves = np.exp(turn * steps)
    leaving, arriving = (
        np.concatenate([wave.real, -wave.imag], dtype=np.float32)
        for wave in ((1 - rising) * waves, rising * np.exp(-turn * block) * waves)
    )
    grains = coloured(noise, rate).reshape(-1, block)
    sound = np.empty((ceil(n / block), block), np.float32)
    for first in range(0, len(sound), CHUNK):
        last = min(first + CHUNK, len(sound))
        partials, hiss = points(np.arange(first, last + 1)[:, None] * (block / rate))
        part = np.matmul(partials[:-1], leaving, out=sound[first:last])
        part += partials[1:] @ arriving
        if hiss.any():
            shape = hiss[:-1] + rising * np.diff(hiss, axis=0)
            part += grains[np.arange(start + first, start + last) % len(grains)] * shape
    return sound.ravel()[:n]


@lru_cache(64)
def coloured(band: Band, rate: int) -> Array:
    """Make noise of a band with an RMS of 1, a whole number of blocks long; its end leads into its beginning."""
    block = block_of(rate)
    n = NOISE * rate // block * block
    spectrum = np.fft.rfft(np.random.default_rng([SEED, *map(int, band)]).standard_normal(n))
    frequencies, (low, high) = np.fft.rfftfreq(n, 1 / rate), band
    spectrum *= frequencies**4 / (frequencies**4 + low**4) / (1 + (frequencies / high) ** 4)
    spectrum[frequencies > HIGHEST * rate] = 0
    noise: Array = np.fft.irfft(spectrum, n).astype(np.float32)
    noise /= noise.std()
    return noise


def centred(sound: Array) -> Array:
    """Give a sound a mean of 0, without a step at its ends; changes `sound` and returns it."""
    n, mean = len(sound), float(sound.mean()) if len(sound) else 0.0
    for first in range(0, n, PIECE):
        place = np.arange(first, min(first + PIECE, n), dtype=np.float32)
        place *= 1 / max(n - 1, 1)  # from 0 to 1
        sound[first : first + PIECE] -= (6 * mean) * place * (1 - place)
    return sound
