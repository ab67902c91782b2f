"""Sound fonts: what FluidSynth is given, and what is refused."""

import ast
import sys
from fractions import Fraction
from io import BytesIO
from types import SimpleNamespace

import pytest
from scipy.io import wavfile

from music.midi import Midi, Note, parse_midi
from music.soundfont import render_soundfont
from numpyrnn import NumpyrnnError

SOUNDFONT = b"RIFF\x04\x00\x00\x00sfbk"


def band():
    """A chord."""
    return Midi([Note(Fraction(0), Fraction(2), pitch) for pitch in (52, 55, 59, 62)])


@pytest.fixture
def fluidsynth(tmp_path, monkeypatch):
    """Install a program that does what it is given, as FluidSynth, beside a soundfont."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "some.sf2").write_bytes(SOUNDFONT)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def install(code):
        program = tmp_path / "bin" / "fluidsynth"
        lines = ["import shutil, sys, wave", "result, font, score = sys.argv[3], *sys.argv[-2:]", code]
        program.write_text("\n".join([f"#!{sys.executable}", *lines]) + "\n")
        program.chmod(0o755)

    return SimpleNamespace(install=install, font=tmp_path / "some.sf2", folder=tmp_path)


WRITE = """
with wave.open(result, "wb") as out:
    out.setparams((2, 2, 44100, 0, "NONE", ""))
    out.writeframes(bytes(40))
"""


def test_fluidsynth_is_given_the_piece_and_its_sound_is_kept(fluidsynth, monkeypatch):
    monkeypatch.chdir(fluidsynth.folder)  # names may be relative
    fluidsynth.install(
        f"shutil.copy(font, 'font'), shutil.copy(score, 'score'), open('given', 'w').write(str(sys.argv)){WRITE}"
    )
    sound = render_soundfont(band(), "some.sf2")
    assert wavfile.read(BytesIO(sound))[1].shape == (10, 2)
    assert (fluidsynth.folder / "font").read_bytes() == SOUNDFONT
    given = ast.literal_eval((fluidsynth.folder / "given").read_text())
    render_soundfont(band(), "some.sf2", dry=True)
    dry = ast.literal_eval((fluidsynth.folder / "given").read_text())
    assert len(dry) == len(given) + 2
    assert dry[6:9] == ["-R", "0", given[6]]  # without reverb
    seen = parse_midi((fluidsynth.folder / "score").read_bytes(), "score")
    assert sorted(one.pitch for one in seen.notes) == sorted(one.pitch for one in band().notes)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sys.exit('no sound today')", "ended with 1, saying no sound today"),
        ("sys.exit(3)", "ended with 3, saying nothing"),
        (f"print('fluidsynth: error: Failed to load SoundFont x', file=sys.stderr){WRITE}", "Failed to load SoundFont"),
        ("pass", "must write a WAV file"),
        ("open(result, 'wb').write(bytes(1000))", "must write a WAV file"),
        (WRITE.replace("bytes(40)", "b''"), "must write a WAV file"),
    ],
)
def test_a_failure_of_fluidsynth_is_one_error(fluidsynth, code, message):
    fluidsynth.install(code)
    with pytest.raises(NumpyrnnError, match=message):
        render_soundfont(band(), fluidsynth.font)


def test_a_program_that_cannot_run_is_one_error(fluidsynth):
    fluidsynth.install("")
    (fluidsynth.folder / "bin" / "fluidsynth").write_text("#!/no/such/program\n")
    with pytest.raises(NumpyrnnError, match="could not be run"):
        render_soundfont(band(), fluidsynth.font)


def test_without_fluidsynth_there_is_one_error(fluidsynth):
    with pytest.raises(NumpyrnnError, match="fluidsynth must be installed"):
        render_soundfont(band(), fluidsynth.font)


@pytest.mark.parametrize(("data", "message"), [(None, "could not be read"), (b"MThd", "must be a soundfont")])
def test_what_is_no_soundfont_is_refused(fluidsynth, data, message):
    fluidsynth.install(WRITE)
    path = fluidsynth.folder / "other.sf2"
    if data:
        path.write_bytes(data)
    with pytest.raises(NumpyrnnError, match=message):
        render_soundfont(band(), path)
