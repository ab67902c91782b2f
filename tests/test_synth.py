"""The synthesiser: in tune, in time, not too loud; its files; and the way to FluidSynth."""

import wave
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.io import wavfile

from music import additive, synth, voices
from music.drumkit import KIT, drum_parts
from music.midi import Midi, Note
from music.synth import render, write_wav
from music.voices import VOICES, tone
from numpyrnn import NumpyrnnError

RATE = 44100
PROGRAMS = list(VOICES)  # one of each voice, and more
RINGING = [program for program in PROGRAMS if VOICES[program].fade > 0.5 and VOICES[program].breath < 0.5]


def note(onset=0, duration=1, pitch=69, velocity=80, channel=0, program=0):
    return Note(Fraction(onset), Fraction(duration), pitch, velocity, channel, program)


def piece(*notes, tempos=((0, 500_000),)):
    length = max((one.onset + one.duration for one in notes), default=Fraction(0))
    return Midi(list(notes), tempos=[(Fraction(onset), tempo) for onset, tempo in tempos], length=length)


def band():
    """A bar of everything."""
    drums = [note(Fraction(i, 2), Fraction(1, 8), pitch, channel=9) for i, pitch in enumerate((51, 44, 51, 36, 38))]
    chord = [note(0, 2, pitch, program=0) for pitch in (52, 55, 59, 62)]
    return piece(*drums, *chord, note(0, 1, 40, program=32), note(1, 1, 72, 100, program=66))


def peak(samples):
    return int(np.abs(samples.astype(int)).max())


def rms(samples):
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


def phase_near(sound, hz):
    """The phase, in cycles, of what is within a fourth of `hz`."""
    spectrum = np.fft.fft(np.asarray(sound, float))
    bins = np.fft.fftfreq(len(sound), 1 / RATE)
    spectrum[(bins < hz * 3 / 4) | (bins > hz * 4 / 3)] = 0
    return np.unwrap(np.angle(np.fft.ifft(spectrum))) / (2 * np.pi)


def mean_frequency(music, near):
    """The slope of the phase from 0.2 to 1.8 s, Hz."""
    phase = phase_near(render(music, dry=True).sum(axis=1, dtype=float), near)
    times = np.arange(RATE // 5, 9 * RATE // 5)
    return np.polynomial.Polynomial.fit(times / RATE, phase[times], 1).convert().coef[1]


def cents(measured, expected):
    return 1200 * np.log2(measured / expected)


# pitch


@pytest.mark.parametrize("program", RINGING)
def test_a4_is_440_hz(program):
    assert abs(cents(mean_frequency(piece(note(0, 4, 69, program=program)), 440), 440)) < 1


@pytest.mark.parametrize(
    ("pitch", "hz"), [(45, 110.0), (57, 220.0), (60, 261.6255653), (76, 659.2551138), (93, 1760.0)]
)
@pytest.mark.parametrize("program", [0, 26, 32, 66])
def test_pitches_are_equally_tempered(program, pitch, hz):
    assert abs(cents(mean_frequency(piece(note(0, 4, pitch, program=program)), hz), hz)) < 1


def test_the_saxophone_has_a_vibrato_about_its_pitch():
    sax = replace(voices.SAX, breath=0, tremolo=0)
    moving = np.diff(phase_near(tone(sax, 69, 80, 4 * RATE, RATE), 440)) * RATE
    settled = moving[RATE : RATE + 10 * round(RATE / voices.VIBRATO)]
    assert cents(settled.max(), 440) == pytest.approx(sax.vibrato, abs=1)
    assert cents(settled.min(), 440) == pytest.approx(-sax.vibrato, abs=1)
    assert cents(settled.mean(), 440) == pytest.approx(0, abs=0.1)
    begun = moving[RATE // 20 : RATE // 5]
    assert abs(cents(begun, 440)).max() < 1


def test_nothing_is_folded_back_from_above_the_highest_partial():
    samples = render(piece(note(0, 4, 84, 127, program=56)), 8000, dry=True)[:16000, 0] * np.hanning(16000)
    spectrum = np.abs(np.fft.rfft(samples))
    hz = np.fft.rfftfreq(16000, 1 / 8000)
    from_partial = np.abs(hz[:, None] - 1046.5 * np.arange(1, 4)).min(axis=1)  # the fourth is above 3600 Hz
    assert spectrum[from_partial > 100].max() < 0.002 * spectrum.max()


def test_a_note_above_what_the_rate_holds_is_silent():
    assert not render(piece(note(pitch=127)), 8000).any()


@pytest.mark.parametrize("program", [0, 48, 66])
def test_the_matrix_product_is_the_plain_sum(program):
    voice = replace(VOICES[max(start for start in VOICES if start <= program)], breath=0, chiff=0)
    hold = RATE // 2
    times = np.arange(hold)[:, None] / RATE
    ratios, hz, levels = voices.spectrum(voice, 60, 90, RATE)
    rise = np.maximum(voice.attack * np.sqrt(ratios), 1 / additive.BLOCKS)
    slow = 2 ** (9 / 24) / ratios**voice.damping
    levels = levels * voices.GAIN * voice.gain * (90 / 127) ** 1.5 * np.minimum(times / rise, 1)
    levels *= voice.sustain * np.exp(-times / voice.fade / slow) + (1 - voice.sustain) * np.exp(
        -times / voice.decay / slow
    )
    lately, swing = np.clip((times - 0.25) / 0.3, 0, 1), np.sin(2 * np.pi * voices.VIBRATO * times)
    levels *= 1 - voice.tremolo / 2 * lately * (1 + swing)
    deviation = hz * (2 ** (voice.vibrato / 1200) - 1) / voices.VIBRATO
    plain = (levels * np.cos(2 * np.pi * hz * (times - rise / 2) + deviation * lately * swing)).sum(axis=1)
    sound = tone(voice, 60, 90, hold, RATE)[:hold]
    after = RATE // 10  # attacks may be shorter than a block
    assert np.abs(sound - plain)[after:].max() < 0.005 * np.abs(plain).max()


# time


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_note_begins_on_time_under_changing_tempos(program):
    latest = 0.002 if VOICES[program].attack < 0.01 else 0.006
    onsets = [1, 3, 5, 8]
    seconds = [0.5, 2.0, 4.0, 5.5]  # half a second a quarter, from 2 on a whole one, from 5 on half of one
    tempos = ((0, 500_000), (2, 1_000_000), (5, 500_000))
    for pitches in ((21, 28, 36, 48), (60, 69, 84, 108)):
        notes = [note(at, Fraction(1, 2), pitch, program=program) for at, pitch in zip(onsets, pitches, strict=True)]
        sound = np.abs(render(piece(*notes, tempos=tempos), dry=True).astype(int)).max(axis=1)
        for expected in seconds:
            start = round(expected * RATE)
            around = sound[start - RATE // 10 : start + RATE // 2]
            first = np.flatnonzero(around > 0.01 * around.max())[0] - RATE // 10
            assert 0 <= first <= latest * RATE
            assert not around[: RATE // 10].any()


@pytest.mark.parametrize("pitch", range(34, 84))
def test_a_drum_begins_within_two_milliseconds_and_rings_less_than_two_seconds(pitch):
    sound = np.abs(render(piece(note(1, Fraction(1, 8), pitch, channel=9))).astype(int)).max(axis=1)
    first = np.flatnonzero(sound > 0.01 * sound.max())[0]
    assert 0 <= first - RATE // 2 <= 0.002 * RATE
    assert len(sound) < 3 * RATE


@pytest.mark.parametrize("program", RINGING)
def test_a_note_sounds_to_its_end_and_is_released_within_0_3_s(program):
    samples = render(piece(note(1, 2, 60, program=program), tempos=((0, 500_000), (2, 1_000_000))), dry=True)
    assert rms(samples[2 * RATE - RATE // 50 : 2 * RATE]) > 20
    assert 2 * RATE < len(samples) <= 2.3 * RATE + 100


def test_cymbals_ring_longer_than_the_closed_hi_hat():
    ride, hat = (drum_parts(KIT[pitch], RATE)[1] for pitch in (51, 42))
    assert len(ride) > 4 * len(hat)


def test_a_note_of_no_duration_is_heard():
    assert peak(render(piece(note(0, 0)))) > 100


def test_only_so_many_seconds_are_rendered():
    music = band()
    samples, cut = render(music), render(music, seconds=0.5)
    assert len(cut) == RATE // 2
    before = RATE // 2 - RATE // 100
    np.testing.assert_allclose(cut[:before], samples[:before], atol=3)
    assert peak(cut[-1:]) == 0
    np.testing.assert_array_equal(render(music, seconds=1000), samples)


# loudness


@pytest.mark.parametrize(
    ("channel", "program", "pitch"), [(0, 0, 60), (0, 32, 40), (0, 66, 70), (9, 0, 51), (9, 0, 38)]
)
def test_harder_is_louder(channel, program, pitch):
    loudness = [
        rms(render(piece(note(pitch=pitch, velocity=velocity, channel=channel, program=program)))[: RATE // 2])
        for velocity in range(1, 128, 9)
    ]
    assert loudness[0] > 0
    assert (np.diff(loudness) > 0).all()


@pytest.mark.parametrize(("channel", "program", "pitch"), [(0, 0, 60), (0, 66, 60), (9, 0, 38)])
def test_harder_is_brighter(channel, program, pitch):
    def centroid(velocity):
        music = piece(note(pitch=pitch, velocity=velocity, channel=channel, program=program))
        spectrum = np.abs(np.fft.rfft(render(music)[: RATE // 2, 0])) ** 2
        return (spectrum * np.arange(len(spectrum))).sum() / spectrum.sum()

    assert centroid(120) > 1.02 * centroid(70)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_solo_note_is_neither_silent_nor_scaled(program):
    samples = render(piece(note(pitch=60, program=program)))
    assert 0.05 * 32767 < peak(samples) < 0.5 * 32767
    louder = render(piece(note(pitch=60, program=program), note(pitch=60, program=program)))
    np.testing.assert_allclose(louder, 2 * samples.astype(int), atol=2)


def test_many_notes_at_once_are_scaled_down_as_a_whole():
    chord = [note(0, 2, pitch, 127) for pitch in range(30, 90)]
    samples = render(piece(*chord, note(6, 1, 60, 127)))
    assert 20 * np.log10(peak(samples) / 32768) == pytest.approx(-1, abs=0.05)
    assert peak(samples) < 32768 * 10 ** (-1 / 20)
    alone = render(piece(note(0, 1, 60, 127)))
    assert peak(samples[3 * RATE :]) < 0.5 * peak(alone)  # what is far from the chord has become softer too


def test_there_is_no_direct_current():
    assert np.abs(render(band()).mean(axis=0)).max() < 0.5
    low = piece(*(note(i, Fraction(1, 3), 28, 127, program=32) for i in range(4)))
    assert np.abs(render(low).mean(axis=0)).max() < 0.5


# stereo


@pytest.mark.parametrize(("program", "pan"), [(0, -0.3), (26, 0.3), (32, 0.1), (64, 0.0)])
def test_instruments_have_their_places_at_constant_power(program, pan):
    other = note(0, 0, velocity=0, program=73)
    sides = render(piece(note(pitch=60, velocity=127, channel=1, program=program), other), dry=True).astype(float)
    sound = tone(VOICES[program], 60, 127, RATE // 2, RATE)
    assert rms(sides[:, 0]) ** 2 + rms(sides[:, 1]) ** 2 == pytest.approx((rms(sound) * 32767) ** 2, rel=1e-3)
    angle = np.arctan2(rms(sides[:, 1]), rms(sides[:, 0]))
    assert angle == pytest.approx((pan + 1) * np.pi / 4, abs=1e-3)


@pytest.mark.parametrize("program", [0, 26, 32, 56])
@pytest.mark.parametrize("dry", [True, False])
def test_a_lone_instrument_stands_in_the_middle(program, dry):
    """Also one with its notes on several channels, such as the hands of a piano."""
    music = piece(*(note(i, 1, 40 + i, channel=i % 3, program=program) for i in range(36)))
    left, right = render(music, dry=dry).astype(float).T
    assert 20 * np.log10(rms(left) / rms(right)) == pytest.approx(0, abs=0.01 if dry else 0.5)


def test_a_count_in_leaves_a_lone_instrument_in_the_middle():
    clicks = [note(i, Fraction(1, 4), 37, 100, 9) for i in range(4)]
    music = piece(*clicks, *(note(4 + i, 1, 50 + i, channel=1) for i in range(16)))
    left, right = render(music, dry=True)[3 * RATE :].astype(float).T
    assert 20 * np.log10(rms(left) / rms(right)) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("dry", [True, False])
def test_a_loop_lasts_as_long_as_its_bars_and_its_tail_sounds_at_the_beginning(dry):
    music = piece(*(note(i, 1, 60 + i) for i in range(4)))
    loop, whole = render(music, dry=dry, loop=True).astype(int), render(music, dry=dry).astype(int)
    assert len(loop) == 2 * RATE
    tail = len(whole) - len(loop)
    np.testing.assert_allclose(loop[:tail], whole[:tail] + whole[len(loop) :], atol=2)
    np.testing.assert_allclose(loop[tail:], whole[tail : len(loop)], atol=2)


def test_what_plays_on_the_first_channel_stands_in_the_middle():
    music = piece(note(program=26), note(1, velocity=0, channel=1, program=0))
    left, right = render(music, dry=True).T
    np.testing.assert_array_equal(left, right)


def test_the_drums_are_spread():
    ride, hat = (render(piece(note(pitch=pitch, channel=9))).astype(float) for pitch in (51, 42))
    assert rms(ride[:, 1]) > 1.2 * rms(ride[:, 0])
    assert rms(hat[:, 0]) > 1.2 * rms(hat[:, 1])


# what comes out


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_samples_are_int16_in_stereo_whatever_the_rate(rate):
    samples = render(band(), rate)
    assert samples.dtype == np.int16
    assert samples.shape[1:] == (2,)
    assert samples.flags.c_contiguous
    assert len(samples) / rate == pytest.approx(len(render(band())) / RATE, abs=0.01)


def test_the_same_music_gives_the_same_samples():
    np.testing.assert_array_equal(render(band()), render(band()))


def test_a_note_that_comes_again_is_not_made_again(monkeypatch):
    made = []
    monkeypatch.setattr(synth, "tone", lambda *args: made.append(args) or tone(*args))
    render(piece(*(note(i, 1) for i in range(5)), *(note(i, 30, 60) for i in range(2))))
    assert len(made) == 3  # one short note, and each of the long ones


@pytest.mark.parametrize("program", [0, 66])
def test_a_long_note_is_made_in_parts_that_fit(program, monkeypatch):
    whole = render(piece(note(0, 4, 69, program=program)))
    monkeypatch.setattr(additive, "CHUNK", 100)
    np.testing.assert_allclose(render(piece(note(0, 4, 69, program=program))), whole, atol=1)


@pytest.mark.parametrize(
    ("music", "arguments", "message"),
    [
        (piece(), {}, "must have notes to be rendered, it has none"),
        (piece(note(8)), {"seconds": 2}, "none in its first 2 s"),
        (piece(note(0, 3602)), {}, "at most 30 minutes, got 30.0"),
        (piece(note(7200, 1, channel=9)), {}, "at most 30 minutes, got 60.0"),
        (piece(note(-1)), {}, "times of at least 0"),
        (piece(note(0, -1)), {}, "times of at least 0"),
        (piece(note(pitch=128)), {}, "from 0 to 127"),
        (piece(note(program=128)), {}, "from 0 to 127"),
        (piece(note(velocity=-1)), {}, "from 0 to 127"),
        (piece(note()), {"rate": 4000}, "rate must be"),
        (piece(note()), {"rate": 96000}, "rate must be"),
        (piece(note()), {"rate": 44100.5}, "rate must be"),
        (piece(note()), {"seconds": 0}, "seconds must be above 0"),
        (piece(note()), {"seconds": float("nan")}, "seconds must be above 0"),
    ],
)
def test_what_cannot_be_rendered_is_refused(music, arguments, message):
    with pytest.raises(NumpyrnnError, match=message):
        render(music, **arguments)


def test_a_part_of_a_piece_that_is_too_long_is_rendered():
    assert len(render(piece(note(), note(7200)), seconds=1)) <= RATE


# files


@pytest.mark.parametrize("rate", [22050, 44100])
def test_a_wav_file_holds_the_samples(tmp_path, rate):
    samples = render(band(), rate)
    write_wav(tmp_path / "a.wav", samples, rate)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:5] == (2, 2, rate, len(samples), "NONE")
    read_rate, read = wavfile.read(tmp_path / "a.wav")
    assert read_rate == rate
    assert read.dtype == np.int16
    np.testing.assert_array_equal(read, samples)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("samples", [np.zeros((4, 2)), np.zeros(4, np.int16), np.zeros((2, 4), np.int16), [[0, 0]]])
def test_samples_of_another_kind_are_refused(tmp_path, samples):
    with pytest.raises(NumpyrnnError, match="samples must"):
        write_wav(tmp_path / "a.wav", samples)
    assert not list(tmp_path.iterdir())


def test_a_wav_file_that_cannot_be_written_is_one_error(tmp_path):
    with pytest.raises(NumpyrnnError, match="could not be written"):
        write_wav(tmp_path / "none" / "a.wav", np.zeros((4, 2), np.int16))
