"""What a piece is written as: files side by side under one name, and sound from outside."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from numpyrnn.checks import NumpyrnnError
from numpyrnn.files import atomic_write

from .midi import Midi
from .soundfont import render_soundfont


def side_by_side(path: str | Path, endings: Sequence[str], what: str) -> list[Path]:
    """The files that a name stands for, one an ending: NAME, NAME.mid, NAME.wav, ... all mean NAME.

    Parameters
    ----------
    path : file; its ending does not count
    endings : list of str, with their dots
    what : the piece, in an error

    Returns
    -------
    list of Path

    Raises
    ------
    NumpyrnnError
        if it is no name of a file
    """
    path = Path(path)
    if not path.name:
        raise NumpyrnnError(f"{what} must have a file name, got {str(path)!r}")
    stem = path.with_suffix("") if path.suffix.lower() in (*endings, ".midi") else path
    return [stem.with_name(stem.name + ending) for ending in endings]


def by_soundfont(midi: Midi, soundfont: str | Path) -> bytes:
    """The sound of a piece by fluidsynth, as the bytes of a WAV file; see `render_soundfont`."""
    with TemporaryDirectory() as folder:
        render_soundfont(midi, soundfont, Path(folder, "piece.wav"))
        return Path(folder, "piece.wav").read_bytes()


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write several files: all of them, or none.

    Parameters
    ----------
    contents : what each file shall hold

    Raises
    ------
    NumpyrnnError
        if one of them cannot be written
    """
    with ExitStack() as stack:
        files = [stack.enter_context(atomic_write(path)) for path in contents]
        for file, content in zip(files, contents.values(), strict=True):
            file.write(content)
        for file in files:  # a full disk shows here, before the first of them takes its place
            file.flush()
            os.fsync(file.fileno())
