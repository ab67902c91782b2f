"""Training data: a chorus says the same as text and as a MIDI file, and what cannot be read is named."""

import shutil
import wave
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner

from jazz.cli import app
from jazz.reading.choruses import read_chorus, tune_of_chorus
from jazz.reading.corpus import chorus_midi, excerpt, read_music, read_tunes, shipped_choruses
from jazz.reading.tracks import bars_of
from music.files import MIDI_ENDINGS
from music.midi import Midi, Note, midi_bytes, read_midi, write_midi
from numpyrnn import NumpyrnnError
from workbench.files import data_path

F = Fraction
HEAD = "title: Test\nform: a\nmeter: 4/4\ntempo: 150\nfeel: {}\n"
TEXT = HEAD + "Dm7 G7 | D5/8 E5/8 F5/8t G5/8t A5/8t B5/4 r/4\nN.C. | C6/1\nCmaj7/E | r/8 G5/4. E5/2\n"


def chorus(folder, text=TEXT, feel="swing"):
    path = folder / "test.txt"
    path.write_text(text.format(feel), "utf-8")
    return read_chorus(path)


def names(tunes):
    return [tune.name for tune in tunes]


@pytest.fixture
def files(tmp_path):
    """A folder with a chorus as text and as MIDI under every ending, and what does not count."""
    source = data_path("choruses/waltz-1.txt")
    shutil.copy(source, tmp_path / "a.txt")
    for name in ("b.mid", "c.MIDI", "d.kar", "e.rmi"):
        write_midi(tmp_path / name, chorus_midi(read_chorus(source), straight=True))
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    (tmp_path / "folder").mkdir()
    return tmp_path


# choruses as MIDI


def some(paths):
    """All of these files, but only every fourth in the quick tests."""
    return [path if i % 4 == 0 else pytest.param(path, marks=pytest.mark.slow) for i, path in enumerate(paths)]


def without_silent_ends(bars):
    """The bars from the first to the last in which a note begins; of a MIDI file, a tune has no silent bar before."""
    begun = [i for i, values in enumerate(bars) if any(value.kind != "R" for value in values)]
    return bars[begun[0] : begun[-1] + 1]


@pytest.mark.parametrize("path", some(shipped_choruses()), ids=lambda path: path.stem)
def test_a_shipped_chorus_has_the_same_values_as_text_and_as_a_midi_file(path, tmp_path):
    file = tmp_path / f"{path.stem}.mid"
    write_midi(file, chorus_midi(read_chorus(path), straight=True))
    (written,), (from_midi,) = read_tunes([path]), read_tunes([file])
    assert from_midi.name == written.name == path.stem
    of_text, of_midi = (without_silent_ends(tune.values()) for tune in (written, from_midi))
    assert of_text == of_midi
    assert {bar.length for bar in from_midi.bars} == {bar.length for bar in written.bars}
    of_text, of_midi = ([e.pitches for bar in t.bars for e in bar.melody if e.pitches] for t in (written, from_midi))
    assert of_text == of_midi


def test_the_tracks_of_a_chorus(tmp_path):
    midi = chorus_midi(chorus(tmp_path), straight=True)
    assert midi.names == ["Test", "Melody", "Chords"]
    assert midi.tempos == [(0, 400_000)]
    assert midi.meters == [(0, 4, 4)]
    assert midi.length == 12
    melody = [(n.onset, n.onset + n.duration, n.pitch) for n in midi.notes if n.track == 1]
    third = [(1 + F(i, 3), 1 + F(i + 1, 3), pitch) for i, pitch in enumerate((77, 79, 81))]
    expected = [(0, F(1, 2), 74), (F(1, 2), 1, 76), *third, (2, 3, 83), (4, 8, 84), (F(17, 2), 10, 79), (10, 12, 76)]
    assert melody == expected
    chords = {}
    for note in midi.notes:
        if note.track == 2:
            chords.setdefault((note.onset, note.duration), set()).add(note.pitch % 12)
    assert chords == {(0, 2): {2, 5, 9, 0}, (2, 2): {7, 11, 2, 5}, (8, 4): {0, 4, 7, 11}}  # nothing over N.C.
    assert min(note.pitch for note in midi.notes if note.onset == 8 and note.track == 2) % 12 == 4  # over E
    assert {(note.track, note.channel) for note in midi.notes} == {(1, 0), (2, 1)}
    assert len({note.program for note in midi.notes}) == 2


def test_eighths_swing_and_triplets_stay(tmp_path):
    swing = [note for note in chorus_midi(chorus(tmp_path)).notes if note.track == 1]
    assert [note.onset for note in swing] == [0, F(2, 3), 1, F(4, 3), F(5, 3), 2, 4, F(26, 3), 10]
    assert [note.duration for note in swing][:3] == [F(2, 3), F(1, 3), F(1, 3)]
    assert chorus_midi(chorus(tmp_path, feel="straight")) == chorus_midi(chorus(tmp_path), straight=True)


def test_off_beats_of_the_shipped_choruses_are_at_two_thirds_where_they_swing():
    for path in shipped_choruses():
        written = read_chorus(path)
        straight, played = (
            [note.onset for note in chorus_midi(written, how).notes if note.track == 1] for how in (True, False)
        )
        double = {onset // 1 for onset in straight if (onset % 1).denominator == 4}  # beats in sixteenths stay even
        eighths = [i for i, onset in enumerate(straight) if onset % 1 == F(1, 2) and onset // 1 not in double]
        assert eighths
        assert {played[i] % 1 for i in eighths} == {F(2, 3) if written.changes.feel == "swing" else F(1, 2)}
        assert [onset // 1 for onset in played] == [onset // 1 for onset in straight]


def test_music_is_read_as_it_sounds(files):
    assert read_music(files / "a.txt") == chorus_midi(read_chorus(files / "a.txt"))
    assert read_music(files / "b.mid") == read_midi(files / "b.mid")


# reading


def test_a_folder_gives_its_choruses_and_midi_files_by_name(files):
    tunes = read_tunes([files])
    assert names(tunes) == ["a", "b", "c", "d", "e"]
    assert all(tune.values() == tunes[0].values() for tune in tunes)
    assert tunes[0].group == "waltz"
    assert {".mid", ".midi"} <= set(MIDI_ENDINGS)


def test_files_come_in_the_order_in_which_they_are_named(files):
    assert names(read_tunes([files / "d.kar", files / "a.txt"])) == ["d", "a"]
    assert read_tunes([]) == []


def test_the_shipped_choruses_are_read_one_by_one():
    tunes = read_tunes(shipped_choruses())
    assert names(tunes) == sorted(path.stem for path in data_path("choruses").iterdir())
    assert len(tunes) >= 50
    assert all(tune == tune_of_chorus(read_chorus(data_path(f"choruses/{tune.name}.txt"))) for tune in tunes)


def test_tunes_of_one_name_are_told_apart(files):
    shutil.copy(files / "b.mid", files / "a.mid")
    shutil.copy(files / "b.mid", files / "folder" / "a.mid")
    tunes = read_tunes([files / "a.txt", files / "b.mid", files / "a.mid", files / "folder"])
    assert names(tunes) == ["a", "b", "a (2)", "a (3)"]


def test_bars_and_parts_can_be_chosen_in_midi_files(files):
    (whole,), (part,) = (read_tunes([files / "b.mid"], *which) for which in ((), (None, None, 3, 6)))
    assert part.values() == whole.values()[2:6]
    (by_name,) = read_tunes([files / "b.mid"], "melody", "2")
    assert by_name.values() == whole.values()
    (reversed_,) = read_tunes([files / "b.mid"], "Chords", "Melody")
    assert reversed_.values() != whole.values()


def test_bars_in_which_only_the_melody_plays_get_chords_from_it(tmp_path):
    melody = [Note(F(i), F(1), 60 + 4 * (i % 3), track=1) for i in range(32)]
    bass = [Note(F(i), F(2), 40, channel=1, program=32, track=2) for i in range(16, 32, 2)]
    notes = sorted([*melody, *bass], key=lambda note: (note.onset, note.track))
    write_midi(tmp_path / "a.mid", Midi(notes, ["", "melody", "bass"], length=F(32)))
    (tune,) = read_tunes([tmp_path / "a.mid"], to_bar=4)
    assert [len(bar.melody) for bar in tune.bars] == [4] * 4
    assert {pitch % 12 for bar in tune.bars for chord in bar.chords for pitch in chord.pitches} >= {0, 4, 8}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.mid", None, "missing.mid could not be read: No such file"),
        ("missing.txt", None, "missing.txt could not be read: No such file"),
        ("broken.mid", b"nothing", "broken.mid must be a MIDI file"),
        ("broken.txt", b"Am7 | H5/4\n", "broken.txt, line 1: a note must be like"),
        ("other.npz", b"PK\3\4", "other.npz must be a MIDI file"),
    ],
)
def test_an_error_names_the_file_once(files, name, content, message):
    if content is not None:
        (files / name).write_bytes(content)
    with pytest.raises(NumpyrnnError, match=message) as raised:
        read_tunes([files / "a.txt", files / name])
    assert str(raised.value).count(name) == 1


def test_what_a_midi_file_lacks_is_said_with_its_name(tmp_path):
    drums = [Note(F(i), F(1), 38, channel=9) for i in range(8)]
    for name, notes, message in (("empty", [], "notes"), ("drums", drums, "a melody, it has no notes but drums")):
        write_midi(tmp_path / f"{name}.mid", Midi(notes))
        with pytest.raises(NumpyrnnError, match=rf"{name}\.mid: a file must have {message}"):
            read_tunes([tmp_path / f"{name}.mid"])


def test_wrong_bars_and_parts_are_said_with_the_file(files):
    with pytest.raises(NumpyrnnError, match=r"b\.mid: --from-bar and --to-bar must lie in 1 to 16, .* --from-bar 17"):
        read_tunes([files / "b.mid"], from_bar=17)
    with pytest.raises(NumpyrnnError, match=r"b\.mid: --melody must name one of the parts 1 'Melody', 2 'Chords'"):
        read_tunes([files / "b.mid"], "flute")


def test_a_folder_without_music_is_an_error(files):
    with pytest.raises(NumpyrnnError, match="folder must hold MIDI files or choruses"):
        read_tunes([files / "folder"])


# excerpts


def test_an_excerpt_begins_at_nought_and_ends_with_its_bars(tmp_path):
    midi = chorus_midi(chorus(tmp_path), straight=True)
    part = excerpt(midi, 2, 1)
    assert [(note.onset, note.duration, note.pitch) for note in part.notes] == [(0, 4, 84)]
    assert part.length == 4
    whole = excerpt(midi, 1, 99)
    assert (whole.notes, whole.length, whole.tempos) == (midi.notes, midi.length, midi.tempos)


def test_an_excerpt_keeps_to_its_tempos_and_cuts_what_lasts_longer():
    notes = [Note(F(i), F(9), 60 + i) for i in range(0, 16, 2)]
    tempos = [(F(0), 500_000), (F(3), 400_000), (F(10), 300_000), (F(14), 200_000)]
    part = excerpt(Midi(notes, tempos=tempos, length=F(25)), 2, 2)
    assert [(note.onset, note.duration, note.pitch) for note in part.notes] == [
        (0, 8, 64),
        (2, 6, 66),
        (4, 4, 68),
        (6, 2, 70),
    ]
    assert part.tempos == [(0, 400_000), (6, 300_000)]


def test_an_excerpt_counts_bars_of_any_meter():
    notes = [Note(F(i), F(1), 60 + i) for i in range(10)]
    midi = Midi(notes, meters=[(F(0), 3, 4), (F(6), 2, 4)], length=F(10))
    assert bars_of(midi) == [(0, 3), (3, 3), (6, 2), (8, 2)]
    assert [note.pitch for note in excerpt(midi, 3, 1).notes] == [66, 67]


def test_an_excerpt_outside_the_piece_or_without_notes_is_an_error(tmp_path):
    midi = chorus_midi(chorus(tmp_path))
    with pytest.raises(NumpyrnnError, match="the first bar must lie in 1 to 3, got 4"):
        excerpt(midi, 4, 1)
    silent = replace(midi, notes=[note for note in midi.notes if not 4 <= note.onset < 8])
    with pytest.raises(NumpyrnnError, match="bars 2 to 2 must have notes, they have none"):
        excerpt(silent, 2, 1)


# the commands


def command(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_choruses_are_written_as_they_swing_and_never_over_others(tmp_path):
    done = command("choruses", "--out", tmp_path / "new" / "folder")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{len(shipped_choruses())} choruses, ")
    written = {path.stem: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()}
    assert written == {path.stem: midi_bytes(chorus_midi(read_chorus(path))) for path in shipped_choruses()}
    path = data_path("choruses/waltz-1.txt")
    again = ("choruses", "--out", tmp_path / "new" / "folder", "--straight", path)
    assert "waltz-1.mid already exists" in str(command(*again).exception)
    assert (tmp_path / "new" / "folder" / "waltz-1.mid").read_bytes() == written["waltz-1"]
    assert command(*again, "--force").exit_code == 0
    straight = midi_bytes(chorus_midi(read_chorus(path), straight=True))
    assert (tmp_path / "new" / "folder" / "waltz-1.mid").read_bytes() == straight != written["waltz-1"]


@pytest.mark.parametrize("name", ["a.txt", "b.mid"])
def test_an_excerpt_can_be_heard(files, monkeypatch, name):
    (files / "other").mkdir()
    monkeypatch.chdir(files / "other")
    done = command("listen", files / name, "--from-bar", 3, "--bars", 4)
    assert done.stdout == f"Written: {name[0]}.wav.\n"
    with wave.open(f"{name[0]}.wav") as sound:
        frames = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, sound.getnchannels())
        second = sound.getframerate()
    bar = 3 * 60 / 156
    assert 4 * bar <= len(frames) / second < 4 * bar + 4
    for i in range(4):
        assert np.abs(frames[int(i * bar * second) : int((i + 1) * bar * second)].astype(int)).max() > 100
    assert f"{name[0]}.wav already exists" in str(command("listen", files / name).exception)
    assert command("listen", files / name, "--bars", 1, "-o", f"{name[0]}.wav", "--force").exit_code == 0


def test_files_of_a_folder_that_cannot_be_used_are_left_out_and_told(tmp_path):
    (tmp_path / "good.txt").write_bytes(data_path("choruses/bossa-1.txt").read_bytes())
    (tmp_path / "bad.mid").write_bytes(b"no music")
    refused = []
    assert [tune.name for tune in read_tunes([tmp_path], on_refused=refused.append)] == ["good"]
    assert ["bad.mid" in str(why) for why in refused] == [True]
    with pytest.raises(NumpyrnnError, match=r"bad\.mid must be a MIDI file"):
        read_tunes([tmp_path])
    (tmp_path / "good.txt").unlink()
    with pytest.raises(NumpyrnnError, match="that can be used, it holds none"):
        read_tunes([tmp_path], on_refused=refused.append)
