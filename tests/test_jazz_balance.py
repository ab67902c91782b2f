"""The sound of whole pieces in every feel: soloist and band in balance, without overload and clicks; by numbers."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import jazz
from jazz.changes import FORMS, form
from jazz.playing.band import BASS, DRUMS, PIANO, SOLO
from music.synth import render

RATE = 16000  # samples a second
NAMES = {SOLO: "solo", BASS: "bass", PIANO: "piano", DRUMS: "drums"}
TARGETS = {BASS: -3, PIANO: -6, DRUMS: -6}  # dB below the solo
TEMPOS = {"swing": (80, 160, 240), "straight": (130,), "bossa": (140,), "waltz": (120, 220), "ballad": (50, 66, 90)}
PLAYERS = ["trumpet", "flute", "vibraphone", "jazz guitar", "alto saxophone"]
USUAL = {"straight": "bossa-dm", "bossa": "bossa-dm", "waltz": "waltz", "ballad": "ballad-bb"}  # else a blues


def powers(solo):
    """The energy of each part, without the room."""
    end, parts = solo.midi.seconds(solo.midi.length), dict.fromkeys(NAMES, 0.0)
    for track in NAMES:
        part = replace(solo.midi, notes=[note for note in solo.midi.notes if note.track == track])
        parts[track] = float(np.sum(render(part, RATE, end, dry=True).astype(float) ** 2))
    return parts


def levels(solos):
    """How much louder each part of the band is than the solo, dB, over several pieces."""
    found = [powers(solo) for solo in solos]
    energy = {track: sum(parts[track] for parts in found) for track in NAMES}
    return {track: 10 * np.log10(energy[track] / energy[SOLO]) for track in TARGETS}


def case(feel, tempo, usual):
    return pytest.param(feel, tempo, marks=() if usual else pytest.mark.slow)


@pytest.mark.parametrize(
    ("feel", "tempo"),
    [case(feel, tempo, (feel, tempo) in {("swing", 160), ("ballad", 66)}) for feel in TEMPOS for tempo in TEMPOS[feel]],
)
def test_soloist_and_band_are_in_balance_in_every_feel_and_tempo(feel, tempo):
    name = USUAL.get(feel, "blues-f")
    found = levels(jazz.improvise(form=name, feel=feel, tempo=tempo, seed=seed) for seed in range(2))
    for track, target in TARGETS.items():
        assert found[track] == pytest.approx(target, abs=2), (NAMES[track], found)


def steps_at(samples, places):
    """The largest step within 2 ms of each place, and within 60 ms of it."""
    steps = np.abs(np.diff(samples.astype(int), axis=0)).max(axis=1)
    near, around = round(0.002 * RATE), round(0.06 * RATE)
    for place in places:
        if (middle := round(place * RATE)) < len(steps):
            part = steps[max(0, middle - around) : middle + around]
            yield steps[max(0, middle - near) : middle + near].max(initial=0), np.sort(part)[-40:].min(initial=99999)


@pytest.mark.torture
def test_any_setting_gives_a_clean_sound(rounds, tell):
    """Of any form, feel, tempo and instrument: under -1 dB of full scale, no click, and a loop of whole bars."""
    peaks, clicks, samples = [], [], 0
    for seed in range(rounds(1, 20)):
        rng = np.random.default_rng(seed)
        name, instrument = rng.choice([*FORMS]), rng.choice(PLAYERS)
        feel = "waltz" if form(name).meter == (3, 4) else rng.choice(["swing", "straight", "bossa", "ballad"])
        settings = {"form": str(name), "feel": str(feel), "tempo": int(rng.integers(50, 281)), "seed": seed}
        solo = jazz.improvise(**settings, instrument=str(instrument), ending=bool(seed % 2))
        sound = render(solo.midi, RATE, loop=solo.loops)
        peaks.append(np.abs(sound.astype(float)).max() / 32768)
        assert peaks[-1] < 10 ** (-1 / 20), settings
        if solo.loops:
            assert len(sound) == round(Fraction(solo.midi.tempos[0][1], 1_000_000) * solo.midi.length * RATE)
            assert abs(len(sound) / RATE - float(solo.changes.end * 60 / solo.tempo)) < 1e-6 * solo.changes.end
        notes = [note for note in solo.midi.notes if note.track == SOLO]
        alone = render(replace(solo.midi, notes=notes), RATE, dry=True)
        ends = {solo.midi.seconds(note.onset + length) for note in notes for length in (0, note.duration)}
        for near, usual in steps_at(alone, ends):
            clicks.append(near / (usual + 20))
            assert clicks[-1] < 3, settings
        samples += len(sound)
    tell(f"{len(peaks)} pieces, {samples:,} samples: peak {max(peaks):.2f}, a step at a note's edge {max(clicks):.1f}")
