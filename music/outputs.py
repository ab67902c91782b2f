"""Write the files of a new piece (MIDI, sound, picture and score) side by side: all of them or none."""

from __future__ import annotations

import base64
import html
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpyrnn.checks import NumpyrnnError
from numpyrnn.files import write_together as write_together

from .engraving import ENGRAVERS, check_installed
from .midi import Midi, midi_bytes
from .soundfont import render_soundfont
from .synth import render, wav_bytes

ENDINGS = (".mid", ".wav", ".png", ".musicxml")
REPLACED = {*ENDINGS, *ENGRAVERS, ".midi"}  # endings that are dropped from the name of a piece
RATE, NOTEBOOK_RATE = 44100, 22050  # samples a second


class Performance(ABC):
    """A new piece, which can be heard, seen and written to files; notebooks display it.

    Attributes
    ----------
    midi : Midi
    """

    midi: Midi

    @property
    def loops(self) -> bool:
        """Whether the sound is a loop, see `synth.render`."""
        return False

    @abstractmethod
    def png(self) -> bytes:
        """Draw the piano roll, as the bytes of a PNG file."""

    @abstractmethod
    def musicxml(self) -> bytes:
        """Write the score, as the bytes of a MusicXML file."""

    @abstractmethod
    def summary(self) -> str:
        """Describe the piece in a few lines."""

    def wav(self, rate: int = RATE, dry: bool = False) -> bytes:
        """Render the sound, 16-bit stereo, as the bytes of a WAV file.

        Parameters
        ----------
        rate : int, default 44100, samples a second
        dry : bool, default False; True leaves the room out

        Returns
        -------
        bytes
        """
        return wav_bytes(render(self.midi, rate, dry=dry, loop=self.loops), rate)

    def svg(self) -> bytes:
        """Engrave the score, as the bytes of an SVG file. This needs the extra `score`."""
        return ENGRAVERS[".svg"](self.musicxml())

    def pdf(self) -> bytes:
        """Engrave the score, as the bytes of a PDF file of A4 pages. This needs the extra `score`."""
        return ENGRAVERS[".pdf"](self.musicxml())

    def contents(
        self,
        soundfont: str | Path | None = None,
        score: bool = True,
        svg: bool = False,
        pdf: bool = False,
        dry: bool = False,
    ) -> dict[str, bytes]:
        """Make the content of each file.

        Parameters
        ----------
        soundfont : file, optional, see `write`
        score, svg, pdf : bool, see `endings_of`
        dry : bool, default False; True leaves the room out of the sound

        Returns
        -------
        dict from a file's ending, such as ".mid", to its bytes
        """
        wanted = endings_of(score, svg, pdf)
        wav = self.wav(dry=dry) if soundfont is None else render_soundfont(self.midi, soundfont, dry)
        made = {".mid": midi_bytes(self.midi), ".wav": wav, ".png": self.png()}
        if score:
            made[".musicxml"] = xml = self.musicxml()
            made |= {ending: engrave(xml) for ending, engrave in ENGRAVERS.items() if ending in wanted}
        return made

    def write(self, path: str | Path, soundfont: str | Path | None = None, **options: Any) -> list[Path]:
        """Write the files side by side: all of them or none.

        Parameters
        ----------
        path : the files' common name, see `side_by_side`; its folder is made
        soundfont : file, optional
            Render the sound with FluidSynth and this soundfont.
        **options : more arguments of `contents`

        Returns
        -------
        list of Path

        Raises
        ------
        NumpyrnnError
            if one of the files cannot be written, or the soundfont cannot be used
        """
        contents = self.contents(soundfont, **options)
        files = side_by_side(path, contents)
        with suppress(OSError):  # the error of writing says more
            files[0].parent.mkdir(parents=True, exist_ok=True)
        write_together(dict(zip(files, contents.values(), strict=True)))
        return files

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self.png()).decode()
        sound = base64.b64encode(self.wav(NOTEBOOK_RATE)).decode()
        words = html.escape(self.summary()).replace("\n", "<br>")
        return (
            f'<p>{words}</p><img alt="Piano roll" style="max-width:100%" src="data:image/png;base64,{picture}">'
            f'<br><audio controls src="data:audio/wav;base64,{sound}"></audio>'
        )


def endings_of(score: bool = True, svg: bool = False, pdf: bool = False) -> tuple[str, ...]:
    """List the endings of the files of a piece.

    Parameters
    ----------
    score : bool, default True; False leaves the MusicXML file out
    svg, pdf : bool, default False, whether the score is engraved, too

    Returns
    -------
    tuple of str, such as ".mid"

    Raises
    ------
    NumpyrnnError
        if a score is to be engraved that is left out, or the extra `score` is not installed
    """
    if svg or pdf:
        if not score:
            raise NumpyrnnError("SVG and PDF are engraved from the MusicXML file, which must not be left out")
        check_installed()
    return (*ENDINGS[: None if score else -1], *[".svg"] * svg, *[".pdf"] * pdf)


def side_by_side(path: str | Path, endings: Iterable[str] = ENDINGS) -> list[Path]:
    """List the files of a piece; NAME, NAME.mid and NAME.wav all stand for the common name NAME.

    Parameters
    ----------
    path : the files' common name
    endings : one for each file, with the dot; default .mid, .wav, .png, .musicxml

    Returns
    -------
    list of Path, one for each ending

    Raises
    ------
    NumpyrnnError
        if the path has no file name
    """
    path = Path(path) if isinstance(path, str) else path
    if not isinstance(path, Path) or not path.name or "\0" in path.name:
        raise NumpyrnnError(f"a piece must have a file name, got {str(path)!r:.80}")
    stem = path.with_suffix("") if path.suffix.lower() in REPLACED else path
    return [stem.with_name(stem.name + ending) for ending in endings]


def left_over(path: str | Path, written: Iterable[Path]) -> list[Path]:
    """List the files of a common name that were there before a piece was written, and are not of this piece."""
    return [file for file in side_by_side(path, (*ENDINGS, *ENGRAVERS)) if file not in written and file.exists()]
