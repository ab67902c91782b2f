"""The files of a piece of music: their names, all of them or none, and what a notebook shows."""

import base64
import re
import wave
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import pytest

from music.files import different_names, naming
from music.midi import Midi, Note, midi_bytes
from music.outputs import ENDINGS, Performance, side_by_side
from music.synth import render, wav_bytes
from numpyrnn import NumpyrnnError
from numpyrnn.files import first_bytes


class Chord(Performance):
    """A chord, with a text beside the usual files."""

    midi = Midi([Note(Fraction(0), Fraction(1), pitch) for pitch in (60, 64)])

    def png(self):
        return b"a picture"

    def musicxml(self):
        return b"a score"

    def summary(self):
        return "C & E\nin one <chord>"

    def contents(self, soundfont=None, **kinds):
        return super().contents(soundfont, **kinds) | {".txt": self.summary().encode()}


@pytest.fixture(scope="module")
def chord():
    return Chord()


def test_a_piece_is_written_as_midi_sound_picture_and_score_and_what_a_subclass_adds(chord, tmp_path):
    files = chord.write(tmp_path / "chord.wav")
    assert files == [tmp_path / f"chord{ending}" for ending in (*ENDINGS, ".txt")]
    assert [file.read_bytes() for file in files] == [
        midi_bytes(chord.midi),
        chord.wav(),
        b"a picture",
        b"a score",
        chord.summary().encode(),
    ]


def test_a_piece_is_written_with_or_without_a_room(chord, tmp_path):
    chord.write(tmp_path / "chord", dry=True)
    dry = (tmp_path / "chord.wav").read_bytes()
    assert dry == chord.wav(dry=True) == wav_bytes(render(chord.midi, dry=True))
    assert len(dry) < len(chord.wav())


def test_where_one_file_cannot_be_written_none_is(chord, tmp_path):
    (tmp_path / "chord.mid").write_bytes(b"old")
    (tmp_path / "chord.txt").mkdir()
    with pytest.raises(NumpyrnnError, match=r"chord\.txt must be a file to write"):
        chord.write(tmp_path / "chord")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chord.mid", "chord.txt"]
    assert (tmp_path / "chord.mid").read_bytes() == b"old"


def test_a_notebook_shows_the_summary_the_picture_and_the_sound(chord):
    page = chord._repr_html_()
    assert "C &amp; E<br>in one &lt;chord&gt;" in page
    picture, sound = re.findall(r'src="data:[a-z/]+;base64,([^"]+)"', page)
    assert base64.b64decode(picture) == b"a picture"
    with wave.open(BytesIO(base64.b64decode(sound))) as file:
        assert file.getnframes() / file.getframerate() > chord.midi.seconds(1)


@pytest.mark.parametrize("name", ["x", "x.mid", "x.MIDI", "x.wav", "x.png", "x.musicxml"])
def test_an_ending_is_no_part_of_the_name(name):
    assert side_by_side(f"some/{name}") == [Path(f"some/x{ending}") for ending in ENDINGS]
    assert side_by_side("op. 1", [".mid"]) == [Path("op. 1.mid")]


def test_names_that_occur_again_are_numbered():
    assert different_names(["x", "y", "x", "x (2)", "x"]) == ["x", "y", "x (2)", "x (2) (2)", "x (3)"]


def test_errors_can_be_given_the_name_of_a_file():
    with pytest.raises(NumpyrnnError, match=r"^a\.mid: too long$"), naming("a.mid"):
        raise NumpyrnnError("too long")


def test_only_plain_files_are_read(tmp_path):
    with pytest.raises(NumpyrnnError, match="must be a MIDI file, it is a folder"):
        first_bytes(tmp_path, 9, "a MIDI file")
    with pytest.raises(NumpyrnnError, match=r"none\.mid could not be read: No such file"):
        first_bytes(tmp_path / "none.mid", 9, "a MIDI file")
    (tmp_path / "a.mid").write_bytes(b"MThd, and more")
    assert first_bytes(tmp_path / "a.mid", 4, "a MIDI file") == b"MThd"
