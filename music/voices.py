"""Pitched instruments: how each sounds, and which stands for a General MIDI program."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from math import ceil, pi, sin

import numpy as np

from numpyrnn.checks import Array

from .additive import HIGHEST, Band, additive, block_of, centred

GAIN = 0.3  # share of full scale for a note at full velocity; most pieces then need no scaling
FAINTEST = 1e-3  # of the strongest partial; fainter ones are left out
TOP = 13000  # Hz; higher partials are left out, too
VIBRATO = 5.2  # Hz
CHIFF = 0.03  # s, time constant of the noise at the beginning
MIDDLE_C = 261.6  # Hz
KEYS = 0.75  # octaves that the cutoff rises in an octave
FLOOR = 0.2  # response between the formants


@dataclass(frozen=True)
class Voice:
    """How a pitched instrument sounds; each partial has an envelope of its own.

    The levels of the partials say how they relate to each other. Whatever the pitch and the cutoff, together they have
    the power that belongs to the velocity, so that no instrument is louder in one register than in another.

    Attributes
    ----------
    levels : tuple of float, amplitudes of the partials, the fundamental first
    ratios : tuple of float, frequencies of the partials relative to the fundamental; default 1, 2, 3 ...
    stretch : inharmonicity of the partials, as on stiff strings; the fundamental keeps its pitch
    formants : tuple of (Hz, Hz), centres and half widths of the resonances of the body
    cutoff : Hz, at middle C and velocity 90; partials above it are weakened. It rises with the pitch.
    bright : octaves that the cutoff rises from velocity 60 to 120
    attack : s, linear rise of the fundamental; the k-th partial takes sqrt(k) times as long
    decay : s, time constant of the unsustained share at A4; lower notes decay more slowly
    sustain : share of the level that is sustained
    fade : s, time constant of the sustained share at A4; infinite for blown and bowed instruments
    damping : the k-th partial decays k**damping times as fast
    release : s, from the end of the note to silence
    vibrato : cents up and down; it sets in after a quarter of a second
    tremolo : share of the level that comes and goes, likewise
    breath : RMS of the noise through the note, relative to that of the tone
    chiff : RMS of the noise at the beginning, which lasts some 30 ms
    air : lowest and highest frequency of the noise, Hz
    gain : level relative to the other voices
    pan : -1 left to 1 right
    """

    levels: tuple[float, ...]
    ratios: tuple[float, ...] = ()
    stretch: float = 0.0
    formants: tuple[tuple[float, float], ...] = ()
    cutoff: float = 1500.0
    bright: float = 1.0
    attack: float = 0.002
    decay: float = 0.3
    sustain: float = 0.5
    fade: float = float("inf")
    damping: float = 0.5
    release: float = 0.1
    vibrato: float = 0.0
    tremolo: float = 0.0
    breath: float = 0.0
    chiff: float = 0.0
    air: Band = (1500.0, 7000.0)
    gain: float = 1.0
    pan: float = 0.0


def series(n: int, slope: float, pluck: float = 0.0, even: float = 1.0) -> tuple[float, ...]:
    """List the levels of n partials.

    Parameters
    ----------
    n : int
    slope : the k-th partial has the level k**-slope
    pluck : share of the string beyond the place where it is struck or plucked; default 0, it is neither
    even : level of the even partials, default 1
    """
    shares = (abs(sin(pi * k * pluck)) if pluck else 1.0 for k in range(1, n + 1))
    return tuple(float(share) * k**-slope * (1 if k % 2 else even) for k, share in enumerate(shares, 1))


# fmt: off
PIANO = Voice(series(32, 0.7, 0.13), stretch=3e-4, cutoff=900, bright=1.4, decay=0.35, sustain=0.45, fade=2.5,
              release=0.18, chiff=0.04, air=(150, 2500), gain=0.85, pan=-0.3)
ELECTRIC_PIANO = Voice((1, 0.35, 0.12, 0.2, 0.03, 0.02), bright=2, decay=0.2, fade=2.0, damping=1.0, release=0.15,
                       tremolo=0.2, pan=-0.3)
HARPSICHORD = replace(PIANO, levels=series(32, 0.3, 0.1), cutoff=2500, bright=0.2, decay=0.2, sustain=0.3, fade=1.2)
VIBRAPHONE = Voice((1, 0.3, 0.1), ratios=(1, 3.98, 10.1), cutoff=2500, attack=0.001, decay=0.3, sustain=0.7, fade=2.5,
                   damping=0.8, release=0.3, tremolo=0.35, chiff=0.02, air=(800, 4000), pan=0.3)
MARIMBA = replace(VIBRAPHONE, ratios=(1, 3.9, 9.2), decay=0.08, sustain=0.5, fade=0.3, tremolo=0, chiff=0.1, gain=1.5)
XYLOPHONE = replace(MARIMBA, levels=(1, 0.5, 0.3), ratios=(1, 3, 6.1), cutoff=5000, fade=0.2)
CELESTA = replace(VIBRAPHONE, levels=(1, 0.15, 0.2, 0.1), ratios=(1, 2.76, 5.4, 8.93), cutoff=4000, fade=1.2, tremolo=0)
BELLS = replace(CELESTA, levels=(1, 0.8, 0.7, 0.4, 0.3), ratios=(1, 1.5, 2.1, 2.74, 4.1), fade=4)
ORGAN = Voice((1, 0.7, 0.5, 0.3, 0, 0.2, 0, 0.15), cutoff=4000, bright=0.4, attack=0.005, sustain=1, release=0.06,
              vibrato=3, tremolo=0.15, chiff=0.03, pan=-0.3)
ACCORDION = replace(ORGAN, levels=series(20, 0.6), attack=0.02, tremolo=0.2)
HARMONICA = replace(ACCORDION, levels=series(20, 0.4), formants=((1600, 500), (3000, 700)), breath=0.02)
NYLON = Voice(series(20, 1.0, 0.25), stretch=3e-5, cutoff=1100, decay=0.2, sustain=0.4, fade=1.0, damping=0.6,
              chiff=0.06, air=(300, 3000), gain=1.2, pan=0.3)
STEEL = replace(NYLON, levels=series(24, 0.6, 0.15), stretch=8e-5, cutoff=2200, fade=1.6)
JAZZ_GUITAR = replace(NYLON, levels=series(20, 0.8, 0.2), stretch=5e-5, cutoff=700, fade=1.4)
CLEAN_GUITAR = replace(JAZZ_GUITAR, levels=series(20, 0.6, 0.12), cutoff=1800)
MUTED_GUITAR = replace(JAZZ_GUITAR, decay=0.06, sustain=0.2, fade=0.15)
DISTORTED = replace(STEEL, levels=series(30, 0.4), cutoff=3000, attack=0.005, sustain=0.9, fade=3, vibrato=6)
BASS = Voice(series(20, 0.8, 0.22), cutoff=480, attack=0.006, decay=0.18, sustain=0.6, fade=0.7, damping=0.6,
             release=0.08, chiff=0.05, air=(200, 1800), gain=0.88, pan=0.1)
ELECTRIC_BASS = replace(BASS, cutoff=700, fade=1.2)
FRETLESS = replace(ELECTRIC_BASS, levels=series(20, 0.5, 0.3), attack=0.012, formants=((500, 250),), vibrato=6)
STRINGS = Voice(series(24, 0.8), formants=((450, 250), (1100, 500), (2600, 900)), cutoff=2000, attack=0.05,
                sustain=0.9, release=0.2, vibrato=12, breath=0.015, chiff=0.03, air=(1000, 6000), pan=-0.15)
VIOLA = replace(STRINGS, formants=((370, 180), (850, 350), (2000, 700)), cutoff=1500)
CELLO = replace(STRINGS, formants=((250, 120), (600, 250), (1500, 600)), cutoff=1000)
CONTRABASS = replace(STRINGS, formants=((120, 80), (330, 150), (900, 400)), cutoff=550, vibrato=7)
PIZZICATO = replace(NYLON, levels=series(16, 1.0, 0.3), decay=0.08, sustain=0.3, fade=0.3, pan=-0.15)
TIMPANI = Voice((1, 0.6, 0.4, 0.25, 0.15), ratios=(1, 1.5, 1.98, 2.44, 2.9), cutoff=400, decay=0.1, fade=0.5,
                release=0.25, chiff=0.15, air=(80, 1200))
ENSEMBLE = replace(STRINGS, attack=0.08, release=0.25, vibrato=8, breath=0.03)
CHOIR = replace(ENSEMBLE, levels=series(20, 0.9), formants=((650, 120), (1080, 150), (2700, 250)), breath=0.04)
TRUMPET = Voice(series(24, 0.25), formants=((1200, 700), (2400, 900)), cutoff=1500, bright=2.2, attack=0.014,
                decay=0.1, sustain=0.8, release=0.07, vibrato=7, breath=0.006, chiff=0.03, pan=0.15)
TROMBONE = replace(TRUMPET, formants=((600, 350), (1700, 700)), cutoff=1700, attack=0.02)
TUBA = replace(TROMBONE, formants=((300, 200),), cutoff=500)
MUTED_TRUMPET = replace(TRUMPET, formants=((1700, 250), (3300, 500)), cutoff=3000, bright=1.4, breath=0.012)
HORN = replace(TROMBONE, levels=series(20, 0.6), formants=((420, 250),), cutoff=800, attack=0.03)
SAX = Voice(series(28, 0.45), formants=((560, 300), (1350, 450), (2800, 900)), cutoff=1400, bright=2.4, attack=0.018,
            decay=0.12, sustain=0.85, release=0.07, vibrato=14, tremolo=0.1, breath=0.014, chiff=0.09, air=(700, 3000),
            gain=0.95)
SOPRANO = replace(SAX, formants=((900, 350), (1900, 500), (3600, 900)), cutoff=1900, breath=0.008, vibrato=11)
ALTO = replace(SAX, formants=((720, 280), (1600, 450), (3200, 800)), cutoff=1700, breath=0.011)
BARITONE = replace(SAX, formants=((330, 180), (900, 350), (2100, 700)), cutoff=1000, attack=0.024, breath=0.02)
OBOE = replace(SAX, levels=series(24, 0.2), formants=((1100, 250), (2900, 500)), cutoff=2000, bright=1.2, vibrato=8,
               breath=0.01, chiff=0.03)
ENGLISH_HORN = replace(OBOE, formants=((700, 200), (2000, 400)), cutoff=1500)
BASSOON = replace(OBOE, formants=((480, 150), (1200, 300)), cutoff=1000)
CLARINET = Voice(series(21, 0.6, even=0.12), cutoff=1400, bright=1.6, attack=0.02, sustain=0.95, release=0.06,
                 breath=0.012, chiff=0.03)
FLUTE = Voice((1, 0.6, 0.3, 0.12, 0.08, 0.05), cutoff=1200, bright=2.4, attack=0.035, sustain=0.95, release=0.09,
              vibrato=9, tremolo=0.2, breath=0.04, chiff=0.12, air=(1200, 6000), pan=0.2)
PICCOLO = replace(FLUTE, levels=(1, 0.25, 0.08, 0.04), attack=0.02, breath=0.06)
RECORDER = replace(FLUTE, levels=(1, 0.1, 0.2, 0.03, 0.03), bright=0.6, vibrato=3, tremolo=0.05, breath=0.03)
SQUARE = Voice(series(31, 1.0, even=0), cutoff=3000, attack=0.006, sustain=0.9)
SAW = Voice(series(30, 1.0), cutoff=2500, attack=0.006, sustain=0.8, release=0.15)
PAD = replace(SAW, cutoff=900, attack=0.15, release=0.3, tremolo=0.1, vibrato=5)
SITAR = replace(STEEL, levels=series(30, 0.2, 0.07), cutoff=3500)
WOOD = Voice((1, 0.4, 0.3), ratios=(1, 2.6, 4.9), cutoff=4000, attack=0.001, decay=0.04, sustain=0.1, fade=0.1,
             chiff=0.2, air=(500, 5000), pan=0.3)
DRUM = replace(TIMPANI, decay=0.06, fade=0.15)
WIND = Voice((1,), attack=0.05, sustain=1, release=0.3, breath=0.7, chiff=0.2, air=(400, 4000), gain=0.5)

VOICES = {  # each from this General MIDI program, counted from 0, to the next
    0: PIANO, 4: ELECTRIC_PIANO, 6: HARPSICHORD, 8: CELESTA, 11: VIBRAPHONE, 12: MARIMBA, 13: XYLOPHONE, 14: BELLS,
    15: STEEL, 16: ORGAN, 21: ACCORDION, 22: HARMONICA, 23: ACCORDION, 24: NYLON, 25: STEEL, 26: JAZZ_GUITAR,
    27: CLEAN_GUITAR, 28: MUTED_GUITAR, 29: DISTORTED, 31: NYLON, 32: BASS, 33: ELECTRIC_BASS, 35: FRETLESS,
    36: ELECTRIC_BASS, 40: STRINGS, 41: VIOLA, 42: CELLO, 43: CONTRABASS, 44: STRINGS, 45: PIZZICATO, 46: NYLON,
    47: TIMPANI, 48: ENSEMBLE, 52: CHOIR, 55: ENSEMBLE, 56: TRUMPET, 57: TROMBONE, 58: TUBA, 59: MUTED_TRUMPET,
    60: HORN, 61: TRUMPET, 64: SOPRANO, 65: ALTO, 66: SAX, 67: BARITONE, 68: OBOE, 69: ENGLISH_HORN, 70: BASSOON,
    71: CLARINET, 72: PICCOLO, 73: FLUTE, 74: RECORDER, 80: SQUARE, 81: SAW, 88: PAD, 98: CELESTA, 99: PAD, 104: SITAR,
    105: STEEL, 108: MARIMBA, 109: OBOE, 110: STRINGS, 111: OBOE, 112: CELESTA, 114: VIBRAPHONE, 115: WOOD, 116: DRUM,
    119: WIND,
}
# fmt: on


def voice_of(program: int) -> Voice:
    """Find the voice of a General MIDI program, 0 to 127."""
    starts = list(VOICES)
    return VOICES[starts[bisect_right(starts, program) - 1]]


def loudness(velocity: int) -> float:
    """Convert a velocity to an amplitude, from 0 to 1."""
    return float((velocity / 127) ** 1.5)


def spectrum(voice: Voice, pitch: int, velocity: int, rate: int) -> tuple[Array, Array, Array]:
    """Compute the partials that are heard.

    Parameters
    ----------
    voice : Voice
    pitch, velocity : int, as in MIDI
    rate : int, samples a second

    Returns
    -------
    ratios, frequencies, levels : (partials,) relative to the fundamental; Hz; with a root sum of squares of 1
    """
    orders = np.arange(1, len(voice.levels) + 1)
    ratios = np.array(voice.ratios or orders * np.sqrt((1 + voice.stretch * orders**2) / (1 + voice.stretch)))
    fundamental = 440 * 2 ** ((pitch - 69) / 12)
    frequencies = fundamental * ratios
    cutoff = voice.cutoff * (fundamental / MIDDLE_C) ** KEYS * 2 ** (voice.bright * (velocity - 90) / 60)
    levels = np.array(voice.levels) / (1 + (frequencies / cutoff) ** 2)
    if voice.formants:
        levels *= FLOOR + sum(1 / (1 + ((frequencies - at) / width) ** 2) for at, width in voice.formants)
    heard = (levels > FAINTEST * levels.max()) & (frequencies < min(HIGHEST * rate, TOP))
    levels = levels[heard]
    return ratios[heard], frequencies[heard], levels / (np.linalg.norm(levels) or 1)


def tone(voice: Voice, pitch: int, velocity: int, hold: int, rate: int) -> Array:
    """Render one pitched note.

    Each partial is a cosine whose crest is in the middle of its attack. So a low note does not push the membrane of
    the loudspeaker to one side, and the partials do not have their crests at the same time.

    Parameters
    ----------
    voice : Voice
    pitch, velocity : int, as in MIDI
    hold : int, samples before the release begins
    rate : int, samples a second

    Returns
    -------
    (hold + release, rounded up to a block,) float32, with a mean of 0
    """
    ratios, frequencies, levels = spectrum(voice, pitch, velocity, rate)
    n = ceil((hold + voice.release * rate) / block_of(rate)) * block_of(rate)  # so that it ends with silence
    if not len(levels):
        return np.zeros(n, np.float32)
    strength = GAIN * voice.gain * loudness(velocity)
    attacks = np.maximum(voice.attack * np.sqrt(ratios), block_of(rate) / rate)
    slowness = 2 ** ((69 - pitch) / 24) / ratios**voice.damping
    attacks, slowness = attacks.astype(np.float32), slowness.astype(np.float32)
    strengths = (strength * levels).astype(np.float32)

    def points(times: Array) -> tuple[Array, Array]:
        onset = np.clip((times - 0.25) / 0.3, 0, 1)  # of vibrato and tremolo
        bend = (2 ** (voice.vibrato / 1200) - 1) / (2 * pi * VIBRATO) * onset * np.sin(2 * pi * VIBRATO * times)
        cycles = frequencies * (times + bend - attacks / 2)
        angles = np.float32(2 * pi) * (cycles - np.floor(cycles)).astype(np.float32)
        release = np.clip(1 - (times - hold / rate) / voice.release, 0, 1) ** 2
        release *= 1 - voice.tremolo / 2 * onset * (1 + np.sin(2 * pi * VIBRATO * times))
        release, times = release.astype(np.float32), times.astype(np.float32)
        lasting = voice.sustain * np.exp(-times / (voice.fade * slowness))
        passing = (1 - voice.sustain) * np.exp(-times / (voice.decay * slowness))
        shape = np.minimum(times / attacks, 1) * (lasting + passing) * (release * strengths)
        noise = np.minimum(times / attacks[0], 1) * (voice.breath + voice.chiff * np.exp(-times / CHIFF))
        noise *= release * (strength / np.sqrt(2))
        return np.concatenate([shape * np.cos(angles), shape * np.sin(angles)], axis=1), noise

    return centred(additive(frequencies, points, voice.air, n, rate, 97 * pitch + velocity))
