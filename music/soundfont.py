"""From notes to sound with a sound font, by FluidSynth, for those who have it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

from numpyrnn.checks import NumpyrnnError
from numpyrnn.files import atomic_write

from .midi import Midi, midi_bytes


def render_soundfont(midi: Midi, soundfont: str | Path, path: str | Path) -> None:
    """Render a piece with FluidSynth, which must be installed, into a WAV file.

    Parameters
    ----------
    midi : Midi
    soundfont : file, SF2 or SF3
    path : file

    Raises
    ------
    NumpyrnnError
        if the program is not installed or fails, the soundfont is none, or the file cannot be written
    """
    program = shutil.which("fluidsynth")
    if program is None:
        raise NumpyrnnError("the program fluidsynth must be installed to render with a soundfont, it is not")
    soundfont, data = _checked_soundfont(soundfont), midi_bytes(midi)
    with tempfile.TemporaryDirectory() as folder:
        score, result = Path(folder, "piece.mid"), Path(folder, "piece.wav")
        command = [program, "-ni", "-F", str(result), "-r", "44100", str(soundfont), str(score)]
        try:
            score.write_bytes(data)
            run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise NumpyrnnError(f"{program} could not be run in {folder}: {error.strerror or error}") from error
        # it has gone on with a soundfont of its own, and a success, where it could not load the one it was given
        if run.returncode or "Failed to load SoundFont" in run.stderr:
            said = run.stderr.strip().splitlines() or ["nothing"]
            raise NumpyrnnError(f"{program} must render the piece, it ended with {run.returncode}, saying {said[-1]}")
        if not _is_wav(result):  # raw samples come from a FluidSynth without libsndfile
            raise NumpyrnnError(f"{program} must write a WAV file, it wrote none")
        with atomic_write(path) as file, result.open("rb") as rendered:
            shutil.copyfileobj(rendered, file)


def _checked_soundfont(path: str | Path) -> Path:
    """The absolute path of a soundfont; an error if it is none."""
    path = Path(path).absolute()
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise NumpyrnnError(f"the soundfont {path} could not be read: {error.strerror or error}") from error
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise NumpyrnnError(f"{path} must be a soundfont (RIFF of the form sfbk), it begins with {head!r}")
    return path


def _is_wav(path: Path) -> bool:
    """Whether it is a WAV file with samples in it."""
    try:
        with wave.open(str(path), "rb") as sound:
            return sound.getnframes() > 0
    except (OSError, EOFError, wave.Error):
        return False
