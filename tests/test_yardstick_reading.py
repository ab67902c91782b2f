"""Solos are read from MIDI as they were written, with swing, lateness and chords taken from the file."""

from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from jazz.changes import form, parse_changes
from jazz.evaluation import Copied, longest_copy
from jazz.model import KIND, EncodedTune, training_values
from jazz.playing.band import accompany
from jazz.playing.performance import improvise
from jazz.reading.choruses import read_chorus, tune_of_chorus
from jazz.reading.corpus import chorus_midi, shipped_choruses
from jazz.reading.tracks import bars_of, choose
from jazz.yardstick.bands import bands_of, distance
from jazz.yardstick.copying import values_of_solo
from jazz.yardstick.harmony import harmony_of
from jazz.yardstick.measures import MEASURES, measure
from jazz.yardstick.quality import SEVEN, played
from jazz.yardstick.reading import chords_of, read_solo, solo_of_midi, solo_of_notes
from music.midi import Midi, Note, write_midi
from numpyrnn import NumpyrnnError
from workbench.files import data_path, load_model

F = Fraction

FOUR = [(form(name), -(-32 // len(form(name).bars))) for name in SEVEN]


def as_read(solo):
    return [(note.bar, note.place, note.pitch) for note in solo.notes]


def written(solo):
    """The solo of an improvisation, from its line."""
    notes = [(e.onset, e.end, max(e.pitches)) for e in solo.line.elements if e.pitches]
    return solo_of_notes("written", notes, solo.changes)


def track(notes, **more):
    """A MIDI file with one part; notes are (onset, duration, pitch)."""
    return Midi([Note(F(onset), F(duration), pitch) for onset, duration, pitch in notes], **more)


@pytest.mark.parametrize("name", [*SEVEN, "waltz", "ballad-db", "blues-34"])
def test_an_own_solo_is_read_as_it_was_written(name):
    solo = improvise(form=name, seed=3)
    whole = written(solo)
    heard = whole.of_bars(range(whole.notes[0].bar, whole.notes[-1].bar + 1))  # without silent bars at both ends
    assert as_read(solo_of_midi(solo.midi, "own", chords=str(solo.changes))) == as_read(heard)


def test_training_tunes_are_found_to_be_copied_as_written():
    tunes = training_values(load_model(None, KIND))
    for tune, values in tunes[::3]:
        path = data_path(f"choruses/{tune.name}.txt")
        assert longest_copy(values_of_solo(read_solo(path)), tunes) == Copied(len(values), tune.name, 1)


def test_a_tune_of_swung_eighths_is_found_to_be_copied(tmp_path):
    (tmp_path / "a-1.txt").write_text(
        "title: T\nform: a\nmeter: 4/4\ntempo: 150\nfeel: swing\n"
        "Dm7 | D4/8 F4/8 A4/8 C5/8 r/8 B4/8 A4/4\nG7 | G4/4 r/8 F4/8 E4/8 D4/8 B3/4\nC | C4/2 E4/8 G4/8 B4/4\n"
    )
    chorus = read_chorus(tmp_path / "a-1.txt")
    values = [str(value) for bar in tune_of_chorus(chorus).values() for value in bar]
    tune = EncodedTune("a-1", "a", [], [7, 7, 4])
    heard = solo_of_midi(chorus_midi(chorus), "x", chords=str(chorus.changes))
    assert longest_copy(values_of_solo(heard), [(tune, values)]) == Copied(len(values), "a-1", 1)


def test_a_tune_with_no_tones_has_no_values():
    assert values_of_solo(solo_of_midi(track([(0, 1, 60), (1, 1, 62)]), "x", chords="C7 N.C. |")) != []
    assert values_of_solo(replace(solo_of_midi(track([(0, 1, 60), (1, 1, 62)]), "x", chords="C7"), chords=[])) == []


@pytest.mark.slow
def test_the_chords_of_own_solos_are_found_in_their_bands():
    equal = total = 0
    for seed, (changes, _) in enumerate(FOUR):
        solo = improvise(changes, seed=seed)
        found, known = chords_of(solo.midi, choose(solo.midi, "Solo"), bars_of(solo.midi)), solo.changes.flat()
        for quarter in range(int(solo.changes.end)):
            (_, heard), (_, meant) = ([c for c in chords if c[0] <= quarter][-1] for chords in (found, known))
            equal += harmony_of(heard).tones == harmony_of(meant).tones
            total += 1
    assert equal / total > 0.9


def test_swing_changes_nothing_but_the_swing():
    straight, swung = (
        solo_of_midi(chorus_midi(read_chorus(path), flat), "x", chords=chords)
        for path in shipped_choruses()[:1]
        for chords in [str(read_chorus(path).changes)]
        for flat in (True, False)
    )
    assert as_read(straight) == as_read(swung)
    found = [measure(solo) for solo in (straight, swung)]
    assert [values["swing"] for values in found] == pytest.approx([1, 2])
    assert {name: found[0][name] for name in MEASURES} == {name: found[1][name] for name in MEASURES}


def test_early_notes_belong_to_the_next_beat_and_chords_count_as_their_highest_note():
    midi = track([(0, 1, 60), (F(95, 100), 1, 62), (2, 1, 64), (F(201, 100), 1, 67), (F(399, 100), 1, 69), (5, 1, 60)])
    assert as_read(solo_of_midi(midi, "x", chords="C7")) == [(0, 0, 60), (0, 1, 62), (0, 2, 67), (1, 0, 69), (1, 1, 60)]


def test_an_early_note_at_the_very_end_stays_in_its_bar():
    solo = solo_of_midi(track([(0, 1, 60), (F(399, 100), 1, 62)], length=F(4)), "x", chords="C7")
    assert as_read(solo)[-1][1] < 4
    assert measure(solo)["npb"] > 0


def test_silent_bars_at_both_ends_are_cut_and_chords_stay_in_place():
    solo = solo_of_midi(track([(9, 1, 60), (14, 1, 62)]), "x", chords="C | F | G7 | Dm7")
    assert [chord.symbol for _, chord in solo.chords] == ["G7", "Dm7"]
    assert as_read(solo) == [(0, 1, 60), (1, 2, 62)]


def test_changes_are_repeated_and_read_from_files(tmp_path):
    (tmp_path / "changes.txt").write_text("Dm7 G7 |\nCmaj7")
    midi = track([(onset, 1, 60) for onset in range(0, 20, 2)])
    solo = solo_of_midi(midi, "x", chords=f"@{tmp_path / 'changes.txt'}")
    assert [(onset, str(chord)) for onset, chord in solo.chords] == [
        *[(0, "Dm7"), (2, "G7"), (4, "Cmaj7"), (8, "Dm7"), (10, "G7"), (12, "Cmaj7"), (16, "Dm7"), (18, "G7")]
    ]


@pytest.mark.parametrize("meters", [[(F(0), 3, 4)], [(F(0), 7, 8)], [(F(0), 1, 4), (F(1), 5, 4), (F(6), 6, 8)]])
def test_any_meter_can_be_measured(meters):
    midi = track([(F(i, 2), F(1, 2), 60 + i % 7) for i in range(60)], meters=meters)
    solo = solo_of_midi(midi, "x", chords="C7")
    assert sum(len(bar) for bar in solo.by_bar) == len(solo.notes)
    assert measure(solo)["npb"] == pytest.approx(len(solo.notes) / float(solo.length) * 4)


def test_a_file_without_chords_needs_them_given():
    midi = track([(0, 1, 60), (1, 1, 62)])
    with pytest.raises(NumpyrnnError, match="nothing sounds beside the solo; --chords gives them"):
        solo_of_midi(midi, "x")


def test_the_part_can_be_named(tmp_path):
    solo = improvise("C7 | F7", seed=1)
    write_midi(tmp_path / "x.mid", replace(solo.midi, names=["", "Solo", "Solo", "Bass", "Drums"]))
    assert read_solo(tmp_path / "x.mid", melody="Bass").notes[0].pitch < 52
    with pytest.raises(NumpyrnnError, match=r"x\.mid: --melody must name one of the parts"):
        read_solo(tmp_path / "x.mid", melody="Oboe")


def test_solos_of_a_model_are_those_that_improvise_plays():
    solos = played(load_model(None, KIND), 2, seed=5)
    changes, times = FOUR[1]
    assert as_read(solos[1]) == as_read(written(improvise(changes, seed=6, choruses=times, ending=False)))
    assert [len(solo.bars) for solo in solos] == [36, 36]


def test_each_form_is_held_for_at_least_32_bars():
    assert all(32 <= times * len(changes.bars) < 48 for changes, times in FOUR)
    assert len(FOUR) == 7


@pytest.mark.slow
def test_players_heard_as_midi_measure_as_they_were_transcribed(shared_data, monkeypatch):
    """Swing, lateness and early notes of real performances are taken out: their set stays where it is."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    script = import_module("bands")
    monkeypatch.setattr(script, "PLAYERS", ("ChetBaker", "CliffordBrown", "LeeKonitz", "LesterYoung"))
    solos = script.chosen(shared_data / "wjazzd" / "wjazzd-csv.zip")
    transcribed = [measure(solo) for solo in solos]
    heard = []
    for solo in solos:
        notes = [(max(note.begin, F(0)), note.end - note.begin, note.pitch) for note in solo.notes]
        midi = track([note for note in notes if note[0] < solo.length])
        heard.append(measure(replace(solo_of_midi(midi, "x", chords="C7"), chords=solo.chords)))
    assert len(solos) > 10
    assert distance(heard, bands_of(transcribed)) < 0.1


def test_a_long_monotonous_file_is_measured_soon():
    notes = [(F(i, 4), F(1, 4), 60) for i in range(8_000)]
    found = measure(solo_of_notes("long", ((o, o + d, p) for o, d, p in notes), parse_changes("C7").times(500)))
    assert (found["i0"], found["rec"]) == (1, pytest.approx(1, abs=0.01))


def test_the_end_of_a_swung_eighth_is_written_on_the_half():
    long, short = F(3, 5), F(2, 5)
    notes = [(0, long, 60), (long, short, 62), (1, long, 64), (2, long, 65), (2 + long, short, 67), (3, 1, 69)]
    values = values_of_solo(solo_of_midi(track(notes), "x", chords="C7"))
    assert [value.split(",")[:2] for value in values] == [
        *(
            ["C", "0.500"],
            ["S", "0.500"],
            ["C", "0.500"],
            ["R", "0.500"],
            ["S", "0.500"],
            ["C", "0.500"],
            ["S", "1.000"],
        )
    ]


def test_accompaniment_of_one_chord_a_bar_is_heard_as_one():
    changes = parse_changes("C7 | F7 | Gm7 | C7")
    notes = [Note(F(i, 2), F(1, 2), 72 + i % 5, track=1) for i in range(32)]
    midi = Midi([*notes, *accompany(changes, np.random.default_rng(0))], ["", "Solo", "Piano", "Bass", "Drums"])
    midi = replace(midi, notes=sorted(midi.notes, key=lambda note: note.onset))
    found = chords_of(midi, choose(midi, "Solo"), bars_of(midi))
    assert [(onset, chord.root) for onset, chord in found] == [(0, 0), (4, 5), (8, 7), (12, 0)]
