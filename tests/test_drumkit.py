"""The drum kit: cymbals of noise and partials out of tune, drums that differ, every note of General MIDI."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from music.drumkit import KIT, OTHER, drum_parts
from music.midi import Midi, Note
from music.synth import render

RATE = 44100
CYMBALS = {"ride": 51, "hi-hat": 42, "pedal": 44, "open hi-hat": 46, "crash": 49, "ride 2": 59, "splash": 55}
TOMS = 41, 43, 45, 47, 48, 50


def stroke(pitch):
    return sum(part.astype(float) for part in drum_parts(KIT.get(pitch, OTHER), RATE))


def power(sound):
    return np.abs(np.fft.rfft(sound, 1 << 17)) ** 2, np.fft.rfftfreq(1 << 17, 1 / RATE)


def centroid(sound):
    spectrum, hz = power(sound)
    return (spectrum * hz).sum() / spectrum.sum()


def length(sound):
    """How long it takes to fall by 40 dB."""
    levels = np.sqrt(np.mean(sound[: len(sound) // 441 * 441].reshape(-1, 441) ** 2, axis=1))
    return np.flatnonzero(levels > 0.01 * levels.max())[-1] / 100


@pytest.mark.parametrize("name", CYMBALS)
def test_a_cymbal_has_no_pitch(name):
    """No semitone stands out, and no period comes again."""
    sound = stroke(CYMBALS[name])[RATE // 100 : RATE // 2]
    spectrum, hz = power(sound)
    edges = 100 * 2 ** (np.arange(90) / 12)
    shares = [spectrum[(hz >= low) & (hz < high)].sum() / spectrum.sum() for low, high in pairwise(edges)]
    assert max(shares) < 0.12
    again = np.fft.irfft(spectrum)
    assert np.abs(again[RATE // 1500 : RATE // 50]).max() < 0.3 * again[0]  # 50 to 1500 Hz


@pytest.mark.parametrize("name", ["ride", "crash", "open hi-hat"])
def test_the_partials_of_a_cymbal_are_not_in_tune(name):
    tones = np.array(KIT[CYMBALS[name]].tones)
    assert len(tones) > 40
    steps = 12 * np.log2(tones / tones[0]) % 1
    assert np.histogram(steps, 4, (0, 1))[0].min() > len(tones) / 10


def test_drums_differ():
    found = {pitch: stroke(pitch) for pitch in (35, 36, 37, 38, *TOMS, 42, 44, 46, 49, 51, 53)}
    bright, long = ({pitch: of(sound) for pitch, sound in found.items()} for of in (centroid, length))
    assert max(bright[35], bright[36]) < 400 < bright[38] < bright[51]
    assert bright[53] < bright[51] < bright[42]
    assert long[37] < long[38] < long[46]
    assert max(long[42], long[44]) < 0.3 < 0.5 < long[51]
    assert long[46] > 3 * long[42]
    assert long[49] > 0.6


def test_toms_rise():
    lowest = []
    for pitch in TOMS:
        spectrum, hz = power(stroke(pitch)[RATE // 10 :])
        lowest.append(hz[spectrum.argmax()])
    assert all(a * 1.05 < b for a, b in pairwise(lowest))


@pytest.mark.parametrize("pitch", range(27, 88))
def test_every_drum_of_general_midi_sounds(pitch):
    for part in drum_parts(KIT.get(pitch, OTHER), RATE):
        assert np.isfinite(part).all()
        assert abs(part.mean()) < 1e-6
        assert abs(part[0]) < 1e-6
        assert np.abs(part[-2:]).max() < 0.001 * (np.abs(part).max() + 1e-9)
    sound = stroke(pitch)
    assert 0.2 < np.sqrt(np.mean(sound[: RATE // 10] ** 2)) < 1.5
    assert np.abs(sound).max() < 12


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_a_drum_can_be_made_at_any_rate(rate):
    for drum in {*KIT.values(), OTHER}:
        tones, noise = drum_parts(drum, rate)
        assert len(tones) == len(noise) <= 1.8 * rate + 1
        assert np.isfinite(tones).all()
        assert np.isfinite(noise).all()


def test_no_two_strokes_on_a_cymbal_are_the_same():
    hits = Midi([Note(Fraction(4 * i), Fraction(1), 51, 80, 9) for i in range(2)])
    samples = render(hits, dry=True).astype(float)
    one, two = samples[: RATE // 2, 0], samples[2 * RATE : 2 * RATE + RATE // 2, 0]
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.3
    assert np.sqrt(np.mean(one**2)) == pytest.approx(np.sqrt(np.mean(two**2)), rel=0.15)


@pytest.mark.parametrize("closing", [42, 44])
def test_an_open_hi_hat_rings_until_it_is_closed(closing):
    def sound(*hits):
        notes = [Note(Fraction(at), Fraction(1, 8), pitch, 90, 9) for at, pitch in hits]
        return render(Midi(notes), dry=True).astype(float)[RATE // 2 :, 0]  # from the first beat

    alone, closed, other = sound((0, 46)), sound((0, 46), (1, closing)), sound((0, 46), (1, 51))
    only = sound((1, closing))
    late = slice(RATE // 10, RATE // 4)
    assert np.sqrt(np.mean(alone[late] ** 2)) > 50
    np.testing.assert_allclose(closed[late], only[late], atol=2)
    assert np.sqrt(np.mean(other[late] ** 2)) > np.sqrt(np.mean(alone[late] ** 2))
    again = sound((0, 46), (Fraction(1, 2), 46), (1, closing))
    np.testing.assert_allclose(again[late], only[late], atol=2)
