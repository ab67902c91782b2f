"""What comes out of the loudspeakers: instruments in balance, a room, no clicks, no overload; by numbers on samples."""

from fractions import Fraction

import numpy as np
import pytest
from blues import PARTS, blues

from jazz.changes import form
from jazz.playing.band import accompany
from music import room
from music.midi import Midi, Note
from music.room import add_room, response
from music.synth import render

RATE = 44100
TARGETS = {"solo": 0, "bass": -3, "piano": -6, "drums": -6}  # dB
SOLOISTS = [0, 11, 24, 26, 40, 56, 57, 59, 60, 64, 65, 66, 67, 68, 71, 73]


def loudness(samples):
    """The RMS, dB of full scale."""
    return 20 * np.log10(np.sqrt(np.mean((samples / 32768) ** 2)) + 1e-12)


def of_length(samples, n):
    return np.concatenate([samples, np.zeros((max(0, n - len(samples)), 2), np.int16)])[:n]


@pytest.fixture(scope="module")
def parts():
    n = len(render(blues()))
    return {name: of_length(render(blues(name)), n) for name in PARTS}


# balance


def test_the_instruments_are_in_balance(parts):
    levels = {name: loudness(samples) for name, samples in parts.items()}
    for name, target in TARGETS.items():
        assert levels[name] - levels["solo"] == pytest.approx(target, abs=2), levels


@pytest.mark.parametrize("program", SOLOISTS)
def test_any_soloist_is_as_loud_as_the_saxophone(program):
    assert loudness(render(blues("solo", program=program))) == pytest.approx(loudness(render(blues("solo"))), abs=2)


def test_the_shipped_band_is_about_in_balance(parts):
    changes = form("blues-f").times(2)
    notes = accompany(changes, np.random.default_rng(1))
    tempo = [(Fraction(0), 400_000)]
    sounds = {
        name: render(Midi([one for one in notes if one.channel == channel], tempos=tempo, length=changes.end))
        for name, channel in {"piano": 1, "bass": 2, "drums": 9}.items()
    }
    for name, samples in sounds.items():
        assert loudness(samples) - loudness(parts["solo"]) == pytest.approx(TARGETS[name], abs=4), name


# the room


def test_the_room_is_short_and_dry_has_none():
    one = Midi([Note(Fraction(0), Fraction(1), 60, 100, 0, 71)])
    dry, wet = render(one, dry=True), render(one)
    assert RATE // 3 < len(wet) - len(dry) < RATE
    after = wet[len(dry) :]
    early, late = loudness(after[: RATE // 10]), loudness(after[RATE // 4 : RATE * 7 // 20])
    assert -60 < early - loudness(wet) < -10
    assert late < early - 15
    np.testing.assert_array_equal(render(one), wet)
    np.testing.assert_array_equal(render(one, dry=True), dry)


def test_the_room_is_wide_and_on_no_side():
    one = Midi([Note(Fraction(i), Fraction(1, 2), 50 + 3 * i, 100, 0, 66) for i in range(12)])
    left, right = (render(one).astype(float) - of_length(render(one, dry=True), len(render(one)))).T
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.5
    assert loudness(left) == pytest.approx(loudness(right), abs=1)
    assert -16 < loudness(left) - loudness(render(one, dry=True)) < -10


def test_the_room_is_the_plain_convolution(monkeypatch):
    monkeypatch.setattr(room, "SIZE", 1 << 13)
    mix = np.random.default_rng(0).standard_normal((2, 30_000)).astype(np.float32)
    answer = response(8000).astype(float)
    expected = [side + np.convolve(mix.sum(axis=0), to)[:30_000] for side, to in zip(mix, answer, strict=True)]
    add_room(mix, 8000)
    np.testing.assert_allclose(mix, expected, atol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 100, 8000])
def test_a_room_for_any_length(n):
    mix = np.ones((2, n), np.float32)
    add_room(mix, 8000)
    assert np.isfinite(mix).all()


# limits and clicks


def piece(*notes):
    length = max(note.onset + note.duration for note in notes)
    return Midi(sorted(notes, key=lambda note: note.onset), length=length)


def hard(velocity=127):
    """Every instrument and drum at once, as loud as can be."""
    pitched = [Note(Fraction(i, 4), Fraction(2), 30 + i % 60, velocity, i % 9, i) for i in range(0, 128, 2)]
    return piece(*pitched, *(Note(Fraction(i % 8), Fraction(1), i, velocity, 9) for i in range(27, 88)))


@pytest.mark.parametrize(("rate", "dry"), [(8000, True), (22050, False), (44100, False)])
def test_the_peak_stays_under_one_decibel_below_full_scale(rate, dry):
    samples = render(hard(), rate, dry=dry)
    assert 10 ** (-1.1 / 20) < np.abs(samples.astype(float)).max() / 32768 < 10 ** (-1 / 20)


@pytest.mark.torture
def test_any_notes_become_sound_within_limits_and_twice_the_same(rounds, tell):
    """Of any program and drum, together or apart, long or of no length, at any rate."""
    number = 0
    for seed in range(rounds(3, 50)):
        rng = np.random.default_rng(seed)
        notes = [
            Note(
                Fraction(int(rng.integers(0, 64)), 16),
                Fraction(int(rng.integers(0, 32) ** 2), int(rng.integers(1, 400))),
                *map(int, (rng.integers(0, 128), rng.integers(0, 128), rng.integers(0, 16), rng.integers(0, 128))),
            )
            for _ in range(int(rng.integers(1, 60)))
        ]
        rate, dry, seconds = (
            int(rng.integers(8000, 48001)),
            bool(seed % 2),
            [None, 5 * rng.random() + 0.3][seed % 3 % 2],
        )
        music = piece(*notes)
        if seconds is not None and min(note.onset for note in notes) >= 2 * seconds:
            continue
        samples = render(music, rate, seconds, dry=dry)
        assert samples.dtype == np.int16
        assert np.abs(samples.astype(float)).max() / 32768 < 10 ** (-1 / 20)
        assert np.abs(samples[:1].astype(int)).max(initial=0) <= 1
        assert np.abs(samples[-1:].astype(int)).max(initial=0) <= 3
        np.testing.assert_array_equal(render(music, rate, seconds, dry=dry), samples)
        number += len(notes)
    tell(f"{number:,} notes of any kind: none above -1 dB of full scale, none that begins or ends with a step")


@pytest.mark.parametrize("dry", [True, False])
def test_there_is_no_direct_current_in_a_mix(dry):
    assert np.abs(render(blues(), dry=dry).mean(axis=0)).max() < 0.5
    assert np.abs(render(hard(), 22050, dry=dry).mean(axis=0)).max() < 1


def steps(samples):
    return np.abs(np.diff(samples.astype(float), axis=0)).max(axis=1)


@pytest.mark.parametrize("program", [0, 11, 26, 32, 56, 66, 71, 73])
@pytest.mark.parametrize("duration", [Fraction(1, 1000), Fraction(1, 20), Fraction(1, 2), Fraction(3, 2)])
def test_repeated_notes_do_not_click_also_short_or_overlapping_ones(program, duration):
    """A step where a note begins or ends is no larger than those within notes."""
    notes = [Note(Fraction(i, 2), duration, 57, 100, 0, program) for i in range(8)]
    samples, alone = render(piece(*notes), dry=True), render(piece(notes[0]), dry=True)
    overlap = 1.5 + 3 * (duration > Fraction(1, 4))
    assert steps(samples).max() <= overlap * steps(alone).max() + 2
    bounds = [round((i / 4 + end) * RATE) for i in range(8) for end in (0, float(duration) / 2)]
    for bound in bounds:
        near = steps(samples[max(bound - 2, 0) : bound + 3])
        assert near.max() <= steps(samples).max()
        assert near.max() < 0.5 * np.abs(samples.astype(int)).max()


@pytest.mark.parametrize("seconds", [0.004, 0.1, 0.777, 3.3])
@pytest.mark.parametrize("dry", [True, False])
def test_a_piece_that_is_cut_off_ends_softly(seconds, dry):
    samples = render(blues(), seconds=seconds, dry=dry)
    assert len(samples) == np.ceil(seconds * RATE)
    assert np.abs(samples[-1].astype(int)).max() <= 1
    assert steps(samples[-10:]).max() < max(0.05 * np.abs(samples.astype(int)).max(), 2)
