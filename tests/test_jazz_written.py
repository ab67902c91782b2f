"""MIDI is read as it was written: without swing, lateness, count-in and ending, with pickups, chords and sections."""

from dataclasses import replace
from fractions import Fraction

import pytest
from click.testing import CliRunner

import jazz
from jazz.changes import form, parse_changes
from jazz.cli import app
from jazz.playing.band import SOLO
from jazz.playing.plan import read_head
from jazz.playing.solo import Solo
from jazz.reading.doctor import diagnose
from jazz.reading.tracks import choose, own_part, tune_of_midi
from jazz.reading.written import marks_of, written
from jazz.tunes import line
from jazz.yardstick.reading import solo_of_midi
from music.midi import Midi, Note, midi_bytes, parse_midi, write_midi
from numpyrnn import NumpyrnnError

F = Fraction
CHORDS = "C | F | G7 | C"
TUNE = [(1, 1, 62), (2, 2, 65), (5, 1, 64), (6, F(1, 2), 60), (F(13, 2), F(1, 2), 62), (9, 4, 60), (13, 2, 59)]


@pytest.fixture
def play(small_soloist):
    return lambda chords=CHORDS, **settings: jazz.improvise(chords, **{"seed": 1, "model": small_soloist} | settings)


def heard(solo):
    return parse_midi(midi_bytes(solo.midi), "x")


def as_written(solo):
    return {(e.onset, e.pitches[0]) for e in solo.line.elements if e.pitches}


def mostly(found, meant):
    """Whether 19 of 20 onsets are equal: a lone triplet may sound like a swung eighth."""
    return len(found & meant) >= 0.95 * len(meant)


@pytest.mark.torture
def test_own_solos_are_read_back_as_they_were_written(rounds, tell):
    found = total = 0
    names = ("blues-f", "rhythm-changes", "waltz", "ballad-bb", "bossa", "modal")
    for seed in range(rounds(6, 120)):
        settings = {
            "mechanical": seed % 2 == 1,
            "count_in": seed % 3 == 0,
            "feel": "straight" if seed % 5 == 4 else None,
        }
        solo = jazz.improvise(form=names[seed % 6], seed=seed, tempo=(None, 60, 240)[seed // 2 % 3], **settings)
        start = solo.changes.bar * settings["count_in"]
        read = line(written([note for note in heard(solo).notes if note.track == SOLO]))
        found += len({(e.onset - start, e.pitches[0]) for e in read} & as_written(solo))
        total += len(as_written(solo))
    assert found >= 0.99 * total
    tell(f"{found:,} of {total:,} onsets of own solos read back from MIDI as they were written")


@pytest.mark.parametrize("feel", ["swing", "straight", "bossa", "ballad"])
def test_a_head_of_an_own_solo_has_its_bars_feel_and_chords(play, tmp_path, feel):
    solo = jazz.improvise(form="blues-f", seed=1, feel=feel, count_in=True)
    write_midi(tmp_path / "a.mid", solo.midi)
    head = read_head(tmp_path / "a.mid")
    assert (len(head.changes.bars), head.changes.feel) == (12, feel)
    assert str(head.changes) == str(form("blues-f"))
    own = {(onset, pitch) for onset, pitch in as_written(solo) if onset < 48}
    assert mostly({(e.onset, e.pitches[0]) for e in head.melody}, own)
    again = play(None, head=tmp_path / "a.mid", choruses=2)
    write_midi(tmp_path / "b.mid", again.midi)
    assert len(read_head(tmp_path / "b.mid").changes.bars) == 12


@pytest.mark.parametrize("count_in", [False, True])
def test_a_pickup_is_played_before_each_head(play, tmp_path, count_in):
    notes = [Note(F(0), F(1), 67), *(Note(F(o), F(d), p) for o, d, p in TUNE)]
    write_midi(tmp_path / "a.mid", Midi(notes, meters=[(F(0), 1, 4), (F(1), 4, 4)], length=F(17)))
    solo = play(head=tmp_path / "a.mid", count_in=count_in)
    assert len(solo.changes.bars) == 1 + 4 + 4 + 4 + 1
    assert {(F(3), 67), (F(35), 67), (F(4), 62), (F(36), 62)} <= as_written(solo)
    assert not [onset for onset, _ in as_written(solo) if 35 < onset < 36]
    assert marks_of(heard(solo)).span("Head", F(56)) == (4, 20)
    assert solo.musicxml().count(b"<measure ") == 14
    write_midi(tmp_path / "b.mid", solo.midi)
    assert read_head(tmp_path / "b.mid").pickup == 1


def test_training_and_doctor_take_chords_from_the_markers(tmp_path):
    solo = jazz.improvise("Dm7 G7 | Cmaj7", seed=1, choruses=4, ending=False)
    midi = heard(solo)
    tune, _ = tune_of_midi(midi, choose(midi, own_part(midi)), "x")
    assert {chord.root for bar in tune.bars for chord in bar.chords} <= {2, 7, 0}
    assert mostly({(e.onset, e.pitches[0]) for bar in tune.bars for e in bar.melody if e.pitches}, as_written(solo))
    write_midi(tmp_path / "a.mid", midi)
    assert "Chords: the symbols that stand in the file as markers." in list(diagnose(tmp_path / "a.mid", "Solo"))


def test_a_score_leaves_out_count_in_heads_and_drums(play, tmp_path):
    write_midi(tmp_path / "head.mid", Midi([Note(F(o), F(d), p) for o, d, p in TUNE], length=F(16)))
    plain = play(choruses=4, count_in=True, trade=2)
    assert len(solo_of_midi(heard(plain), "x").bars) <= 9  # half of 16, and the ending
    solo = play(choruses=2, head=tmp_path / "head.mid")
    assert len(solo_of_midi(heard(solo), "x").notes) == len([e for e in solo.improvised.elements if e.pitches])


def test_silence_while_the_drums_play_is_not_the_solos(play):
    solo = play(choruses=4, trade=2)
    assert len(solo.traded) == 8
    assert f"{replace(solo, traded=()).summary()}" != solo.summary()


@pytest.mark.parametrize("meter", ["3/8", "5/4", "7/8", "6/8", "12/8", "2/2"])
def test_a_primer_ends_before_the_ending(play, meter):
    solo = play(meter=meter, primer="opening")
    assert [e.onset for e in solo.line.elements][-1] == solo.changes.end - solo.changes.bar


def test_keys_that_differ_are_told(play, tmp_path):
    write_midi(tmp_path / "eb.mid", Midi([Note(F(4 * i), F(4), 63 + i) for i in range(4)], length=F(16)))
    assert play(key="C").told == ()
    assert play(key="Bb").told == ("The chords are in C and stay there; the lead sheet is written in the key of Bb.",)


@pytest.mark.parametrize("name", ["form", "style", "feel", "key", "meter", "tune", "instrument", "primer", "head"])
@pytest.mark.parametrize("value", ["", "\0", -1, float("nan"), [], b"x", object(), True])
def test_a_wrong_value_is_one_clear_error(name, value):
    chords = None if name == "form" else "C | F"
    with pytest.raises(NumpyrnnError):
        jazz.improvise(chords, seed=1, **{name: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transpose": 2}, "transpose must be text, got 2"),
        ({"instruments": 5}, "instruments must be a list of piano, bass, drums, got 5"),
        ({"on_bar": 5}, "on_bar must be a function, got 5"),
        ({"form": "blues-f", "meter": "3/4"}, "meter goes with typed chords"),
        ({"form": "blues-f", "tune": "x"}, "tune goes with typed chords"),
        ({"chords": parse_changes("C"), "tune": "x"}, "tune goes with typed chords"),
        ({"form": "blues-ff"}, r"got 'blues-ff' \(did you mean blues-f\?\)"),
        ({"feel": "swnig"}, r"got 'swnig' \(did you mean swing\?\)"),
    ],
)
def test_what_is_wrong_is_said(settings, message):
    with pytest.raises(NumpyrnnError, match=message):
        jazz.improvise(seed=1, **settings)


def test_names_are_read_in_any_case(play):
    assert play(None, form="Blues-F", feel="SWING").changes.name == "blues-f"


@pytest.mark.parametrize("value", [5, None, b"x", "", "\0"])
def test_files_need_a_name(play, value):
    with pytest.raises(NumpyrnnError, match="a piece must have a file name"):
        play().write(value)


def test_improvise_says_what_comes_next(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Solo, "png", lambda solo: b"a picture")
    done = CliRunner().invoke(app, ["--chords", "C", "--seed", "1", "--no-lead-sheet", "-o", "a b"])
    assert done.stderr.endswith("Next:\n  jazz score 'a b.mid'\n  jazz doctor 'a b.mid'\n")


def test_a_picture_of_another_kind_is_refused(tmp_path):
    done = CliRunner().invoke(app, ["train", "--epochs", "1", "-o", f"{tmp_path}/m.npz", "--plot", f"{tmp_path}/t.jpg"])
    assert str(done.exception).startswith("a picture is written as a .png file, got")
