"""Render notes as sound with a soundfont, if FluidSynth is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from numpyrnn.checks import NumpyrnnError
from numpyrnn.files import first_bytes
from numpyrnn.signals import held

from .midi import Midi, midi_bytes

WAV_HEADER = 44  # bytes


def render_soundfont(midi: Midi, soundfont: str | Path, dry: bool = False) -> bytes:
    """Render a piece with FluidSynth.

    Parameters
    ----------
    midi : Midi
    soundfont : file, SF2 or SF3
    dry : bool, default False; True switches FluidSynth's reverb off

    Returns
    -------
    bytes of a WAV file, 44,100 samples a second

    Raises
    ------
    NumpyrnnError
        if FluidSynth is not installed or fails, or the file is not a soundfont
    """
    program = shutil.which("fluidsynth")
    if program is None:
        raise NumpyrnnError("the program fluidsynth must be installed to render with a soundfont, it is not")
    soundfont, data = Path(soundfont).absolute(), midi_bytes(midi)
    head = first_bytes(soundfont, 12, "a soundfont")
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise NumpyrnnError(f"{soundfont} must be a soundfont (RIFF of the form sfbk), it begins with {head!r}")
    with held(), TemporaryDirectory() as folder:  # which would outlive an interrupted process
        score, result = Path(folder, "piece.mid"), Path(folder, "piece.wav")
        reverb = ["-R", "0"] if dry else []
        command = [program, "-ni", "-F", str(result), "-r", "44100", *reverb, str(soundfont), str(score)]
        try:
            score.write_bytes(data)
            run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise NumpyrnnError(f"{program} could not be run in {folder}: {error.strerror or error}") from error
        # FluidSynth may report success although it fell back to its default soundfont
        if run.returncode or "Failed to load SoundFont" in run.stderr:
            said = run.stderr.strip().splitlines() or ["nothing"]
            raise NumpyrnnError(f"{program} must render the piece, it ended with {run.returncode}, saying {said[-1]}")
        sound = result.read_bytes() if result.is_file() else b""
        if sound[:4] != b"RIFF" or len(sound) <= WAV_HEADER:  # without libsndfile FluidSynth writes raw samples
            raise NumpyrnnError(f"{program} must write a WAV file, it wrote none")
        return sound
