"""The instruments: each is known by its tone; partials lie where they should; no clicks."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

from jazz.instruments import INSTRUMENTS
from music import voices
from music.voices import Voice, spectrum, tone, voice_of

RATE = 44100
ALL = {name: voice for name, voice in vars(voices).items() if isinstance(voice, Voice)}
JAZZ = {"SAX": 62, "TRUMPET": 66, "TROMBONE": 55, "CLARINET": 66, "FLUTE": 72, "VIBRAPHONE": 65, "JAZZ_GUITAR": 60}
JAZZ |= {"PIANO": 60, "MUTED_TRUMPET": 66, "ORGAN": 60}
RATE_OF_WINDOWS = 512


def rms(sound):
    return float(np.sqrt(np.mean(np.square(sound, dtype=float))))


def decibels(ratio):
    return 20 * np.log10(max(ratio, 1e-12))


def power(sound):
    """The power spectrum, and its frequencies."""
    hz = np.fft.rfftfreq(len(sound), 1 / RATE)
    return np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2, hz


def centroid(sound):
    spectrum, hz = power(sound)
    return (spectrum * hz).sum() / spectrum.sum()


def centroid_of_magnitudes(sound):
    magnitudes = np.sqrt(power(sound)[0])
    return (magnitudes * np.arange(len(magnitudes))).sum() / magnitudes.sum()


def centroid_of_windows(sound, size=2048):
    """The mean over windows of the centroid of the magnitudes, in which noise counts more."""
    windows = np.lib.stride_tricks.sliding_window_view(sound, size)[::RATE_OF_WINDOWS] * np.hanning(size)
    magnitudes, hz = np.abs(np.fft.rfft(windows)), np.fft.rfftfreq(size, 1 / RATE)
    return ((magnitudes * hz).sum(axis=1) / magnitudes.sum(axis=1)).mean()


def measured(voice, pitch, velocity=90):
    """What tells instruments apart: centroid over fundamental, odd over even partials, attack and decay, noise."""
    sound = tone(voice, pitch, velocity, RATE, RATE)[:RATE].astype(float)
    fundamental = 440 * 2 ** ((pitch - 69) / 12)
    spectrum, hz = power(sound)
    partials = [spectrum[np.abs(hz - k * fundamental) < 9].sum() for k in range(1, 13)]
    levels = np.array([rms(part) for part in sound[: RATE // 441 * 441].reshape(-1, 441)])
    far = np.abs(hz / fundamental - np.rint(hz / fundamental)) > 0.3
    noise = spectrum[far & (hz > 1000) & (hz < 4000)].sum() / spectrum.sum()
    return {
        "centroid": 12 * np.log2(centroid(sound) / fundamental),  # semitones
        "odd": 10 * np.log10(sum(partials[2::2]) / sum(partials[1::2])),  # dB
        "decay": decibels(levels[-10:].mean() / levels.max()),  # dB in a second
        "attack": 10 * np.log2(10 + 10 * np.argmax(levels > 0.8 * levels.max())),
        "noise": 10 * np.log10(noise + 1e-9),
    }


def test_every_general_midi_program_has_a_voice():
    assert {type(voice_of(program)) for program in range(128)} == {Voice}
    families = {0: "PIANO", 4: "ELECTRIC_PIANO", 11: "VIBRAPHONE", 16: "ORGAN", 26: "JAZZ_GUITAR", 32: "BASS"}
    families |= {56: "TRUMPET", 57: "TROMBONE", 59: "MUTED_TRUMPET", 71: "CLARINET", 73: "FLUTE"}
    families |= dict(enumerate(("SOPRANO", "ALTO", "SAX", "BARITONE"), 64))
    families |= dict(enumerate(("STRINGS", "VIOLA", "CELLO", "CONTRABASS"), 40))
    assert {program: voice_of(program) for program in families} == {p: ALL[name] for p, name in families.items()}


@pytest.mark.parametrize("pair", list(combinations(JAZZ, 2)), ids="-".join)
def test_instruments_can_be_told_apart(pair):
    """At least one of the measures differs clearly."""
    one, other = (measured(ALL[name], 60) for name in pair)
    clear = {"centroid": 4, "odd": 8, "decay": 5, "attack": 10, "noise": 8}
    assert any(abs(one[name] - other[name]) > much for name, much in clear.items()), (one, other)


def test_instruments_have_what_they_are_known_by():
    found = {name: measured(ALL[name], pitch) for name, pitch in JAZZ.items()}
    assert found["CLARINET"]["odd"] > 12
    assert max(found[name]["odd"] for name in ("SAX", "TRUMPET", "TROMBONE")) < 3
    assert found["TRUMPET"]["centroid"] > found["FLUTE"]["centroid"] + 6
    assert found["MUTED_TRUMPET"]["centroid"] > found["TRUMPET"]["centroid"] + 4
    for name in ("JAZZ_GUITAR", "VIBRAPHONE", "PIANO"):
        assert found[name]["decay"] < -5
        assert found[name]["attack"] < found["SAX"]["attack"]
    for name in ("SAX", "TRUMPET", "TROMBONE", "CLARINET", "FLUTE"):
        assert found[name]["decay"] > -3
    for name in ("SAX", "FLUTE"):
        assert found[name]["noise"] > found["TRUMPET"]["noise"] + 5


@pytest.mark.parametrize("pitch", range(44, 83, 3))
def test_the_saxophone_brightens_with_loudness(pitch):
    soft, loud = (tone(voices.SAX, pitch, velocity, RATE, RATE)[:RATE].astype(float) for velocity in (60, 120))
    for of in (centroid, centroid_of_magnitudes, centroid_of_windows):
        assert of(loud) > 1.4 * of(soft)


@pytest.mark.parametrize("name", ["PIANO", "TRUMPET", "TROMBONE", "CLARINET", "FLUTE", "JAZZ_GUITAR", "BASS", "OBOE"])
def test_others_brighten_with_loudness_too(name):
    pitch = JAZZ.get(name, 64)
    soft, loud = (tone(ALL[name], pitch, velocity, RATE, RATE)[:RATE].astype(float) for velocity in (60, 120))
    assert centroid(loud) > 1.1 * centroid(soft)


def test_the_saxophone_has_breath_at_the_attack_and_through_the_tone():
    sound = tone(voices.SAX, 62, 90, RATE, RATE).astype(float)
    breath = sound - tone(replace(voices.SAX, breath=0, chiff=0), 62, 90, RATE, RATE)
    attack, middle = decibels(rms(breath[:1300]) / rms(sound)), decibels(rms(breath[RATE // 2 : RATE]) / rms(sound))
    assert -30 < attack < -15
    assert -45 < middle < -30
    assert attack > middle + 6
    soft = rms(breath[-400:])
    assert soft < 0.3 * rms(breath[RATE // 2 : RATE])  # it ends with the tone


@pytest.mark.torture
def test_partials_lie_where_they_should_and_nothing_between_them(rounds, tell):
    """At B5 and at other pitches of a piano, with and without vibrato; noise is left out."""
    pitches = list(range(21, 109))
    np.random.default_rng(0).shuffle(pitches)
    pitches = [83, *(pitch for pitch in pitches if pitch != 83)][: rounds(3, 88)]
    found = [stray(voice, pitch, still) for voice in ALL.values() for pitch in pitches for still in (True, False)]
    assert max(found) < -50, list(ALL)[np.argmax(found) // (2 * len(pitches))]
    tell(f"{len(found):,} tones of {len(ALL)} instruments: nothing above {max(found):.0f} dB between the partials")


def stray(voice, pitch, still):
    """What lies between the partials of a tone, dB of the strongest; the partials must be in tune.

    The tone is made not to die away, because that would broaden the lines of the partials, as vibrato does.
    """
    lasting = {"sustain": 1} | ({"vibrato": 0, "tremolo": 0} if still else {})
    voice = replace(voice, breath=0, chiff=0, fade=float("inf"), **lasting)
    sound = tone(voice, pitch, 110, RATE, RATE)[RATE // 10 : RATE].astype(float)
    size = 1 << 16
    hz, found = np.fft.rfftfreq(size, 1 / RATE), np.abs(np.fft.rfft(sound * np.blackman(len(sound)), size))
    fundamental = 440 * 2 ** ((pitch - 69) / 12)
    orders = np.arange(1, len(voice.levels) + 1)
    stretched = orders * np.sqrt((1 + voice.stretch * orders**2) / (1 + voice.stretch))
    known = fundamental * np.array(voice.ratios or stretched)
    between = hz > 12
    for at in known:
        between &= np.abs(hz - at) > 10 + (not still) * (22 + 2 * at * (2 ** (voice.vibrato / 1200) - 1))
    strongest = hz[found.argmax()]
    assert not still or np.abs(strongest - known).min() < 1 + 0.001 * fundamental
    return decibels(found[between].max() / found.max())


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_no_partial_is_above_what_the_rate_holds(rate):
    for voice in ALL.values():
        for pitch in (21, 60, 83, 108, 127):
            _, frequencies, levels = spectrum(voice, pitch, 127, rate)
            assert (frequencies < 0.45 * rate).all()
            assert not len(levels) or np.linalg.norm(levels) == pytest.approx(1)


@pytest.mark.parametrize("name", ["SAX", "TRUMPET", "CLARINET", "ORGAN", "STRINGS"])
def test_a_note_is_as_strong_at_any_pitch(name):
    levels = [rms(tone(ALL[name], pitch, 90, RATE, RATE)[RATE // 10 : RATE // 5]) for pitch in range(40, 97, 4)]
    assert decibels(max(levels) / min(levels)) < 1.5


@pytest.mark.parametrize("voice", ALL.values(), ids=ALL)
def test_notes_begin_and_end_without_a_click(voice):
    """The steps at the beginning and at the end are no larger than those within the note."""
    for pitch in (28, 60, 83):
        for hold in (0, 50, 700, RATE // 3):
            sound = tone(voice, pitch, 110, hold, RATE).astype(float)
            steps, most = np.abs(np.diff(np.concatenate([[0], sound, [0]]))), np.abs(sound).max()
            assert steps[:2].max() < 0.05 * most
            assert steps[-2:].max() < 0.001 * most
            if hold > 1000:
                before = steps[hold - 2500 : hold - 20].max()
                assert steps[hold - 20 : hold + 20].max() < 1.2 * before  # the release begins
            assert abs(sound.mean()) < 1e-6


def thirds_of_octaves(voice):
    """The share of each third of an octave from 200 Hz on in a tone."""
    found, hz = power(tone(voice, 60, 90, RATE // 2, RATE))
    edges = 200 * 2 ** (np.arange(19) / 3)
    bands = np.sqrt([found[(hz >= low) & (hz < high)].sum() for low, high in pairwise(edges)])
    return bands / np.linalg.norm(bands)


def test_all_instruments_that_play_solos_differ_at_the_same_note():
    """Each program has a spectrum of its own, also if its envelope is like that of others."""
    spectra = {program: thirds_of_octaves(voice_of(program - 1)) for program in {one.program for one in INSTRUMENTS}}
    apart = {(a, b): np.linalg.norm(spectra[a] - spectra[b]) for a, b in combinations(spectra, 2)}
    assert min(apart.values()) > 0.03, sorted(apart.items(), key=lambda item: item[1])[:3]
    assert min(apart[pair] for pair in combinations(sorted({65, 66, 67, 68}), 2)) > 0.15
