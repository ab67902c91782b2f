"""A small room: a short reverberation in stereo, the same for all instruments."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from numpyrnn.checks import Array

LENGTH = 0.5  # s, in which the reverberation falls by 60 dB
GAP = 0.006  # s, before the first reflection
LEVEL = 0.17  # amplitude of the room's answer within the band, relative to the sound itself
BAND = 250, 5000  # Hz, what the walls reflect
SIZE = 1 << 16  # samples transformed at a time
SEED = 2


@lru_cache(4)
def response(rate: int) -> Array:
    """Make the room's answer to an impulse, (2, samples) float32, left and right; both have the same power."""
    n = round(LENGTH * rate)
    times = np.arange(n) / rate
    noise = np.random.default_rng(SEED).standard_normal((2, n)) * 10 ** (-3 * times / LENGTH) * (times > GAP)
    hz, (low, high) = np.fft.rfftfreq(2 * n, 1 / rate), BAND
    band = hz**2 / (hz**2 + low**2) / (1 + 1j * hz / high)
    answer = np.fft.irfft(np.fft.rfft(noise, 2 * n) * band)[:, :n]
    answer *= np.clip((LENGTH - times) / 0.05, 0, 1)
    answer *= LEVEL / 2**0.5 * np.sqrt(np.mean(np.abs(band) ** 2)) / np.linalg.norm(answer, axis=1, keepdims=True)
    return answer.astype(np.float32)


def add_room(mix: Array, rate: int) -> None:
    """Add a room to a sound, in place.

    Parameters
    ----------
    mix : (2, samples) float32, left and right; what rings longer than the sound is cut off
    rate : int, samples a second
    """
    answer = response(rate)
    step = SIZE - answer.shape[1]
    transform, tail = np.fft.rfft(answer, SIZE), np.zeros_like(answer)
    for start in range(0, mix.shape[1], step):
        part = mix[:, start : start + step]
        wet = np.fft.irfft(np.fft.rfft(part.sum(axis=0), SIZE) * transform)
        wet[:, : tail.shape[1]] += tail
        tail = wet[:, step:]
        part += wet[:, : part.shape[1]]
