"""Read text files and shipped data, and make folders; any failure is one clear error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from os import SEEK_END
from pathlib import Path
from unicodedata import combining, normalize

import numpy as np

from numpyrnn.checkpoint import Checkpoint, load
from numpyrnn.checks import NumpyrnnError
from numpyrnn.files import open_plain

MAX_TEXT_BYTES = 1 << 30
MAX_NOTES_BYTES = 1 << 20  # of chords and choruses, which are small
PIECE = 1 << 16  # bytes
CHECKS: dict[str, Callable[[Checkpoint], None]] = {}  # by kind: each program's check of its model files
MARKS = re.compile(r"[^\0-\u02ff\w\s]{32,}")  # combining marks, or other signs


def read_text(path: str | Path, most: int | None = None) -> str:
    """The text of a UTF-8 file, without its byte order mark.

    Parameters
    ----------
    path : file
    most : int, optional, the largest number of bytes, by default 2**30

    Returns
    -------
    str

    Raises
    ------
    NumpyrnnError
        if the file cannot be read, is not UTF-8 text, or is too large
    """
    return "".join(text_pieces(path, most))


def text_pieces(path: str | Path, most: int | None = None) -> Iterator[str]:
    """The text of a UTF-8 file in pieces of 64 KiB or a little more, each ending at the end of a line.

    Parameters
    ----------
    path : file
    most : int, optional, the largest number of bytes, by default 2**30

    Yields
    ------
    str

    Raises
    ------
    NumpyrnnError
        if the file cannot be read, is not UTF-8 text, or is too large
    """
    most, done = most or MAX_TEXT_BYTES, 0
    try:
        with open_plain(path, "a text file") as file:
            if file.seek(0, SEEK_END) > most:
                raise NumpyrnnError(f"{path} must have at most {most} bytes, it has more")
            file.seek(0)
            while data := file.read(PIECE):
                if b"\0" in data or b"\0" in (line := file.readline(most)):
                    raise NumpyrnnError(f"{path} must be UTF-8 text, it holds a zero byte")
                data += line
                yield data.decode("utf-8" if done else "utf-8-sig")
                done += len(data)
    except UnicodeDecodeError as error:
        raise NumpyrnnError(f"{path} must be UTF-8 text, byte {done + error.start} is not") from error


def has_capitals(path: str | Path) -> bool:
    """Whether a text file has letters that lower case changes. It is read as far as the first of them."""
    return any(piece != piece.lower() for piece in text_pieces(path))


def composed(text: str) -> str:
    """Normalise a text (NFC), so that an accented letter is one character, however it was typed.

    `unicodedata.normalize` takes quadratic time for many combining marks in a row, unless they are in canonical order.
    So they are brought into this order first.
    """

    def in_order(signs: re.Match[str]) -> str:
        codes = np.frombuffer(signs[0].encode("utf-32-le", "surrogatepass"), "<u4")
        different, places = np.unique(codes, return_inverse=True)
        classes = np.array([combining(chr(code)) for code in different], np.uint8)[places]
        order = np.lexsort((classes, np.cumsum(classes == 0)))  # each sign of class 0 begins anew
        return codes[order].tobytes().decode("utf-32-le", "surrogatepass")

    return normalize("NFC", MARKS.sub(in_order, text))


def make_folder(path: str | Path) -> None:
    """Make a folder and its parents, unless it exists.

    Parameters
    ----------
    path : folder

    Raises
    ------
    NumpyrnnError
        if it cannot be made, or is a file
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NumpyrnnError(f"the folder of new files, {path}, could not be made: {error.strerror or error}") from error


def data_path(name: str) -> Path:
    """The path of a shipped file: in the installed data package, or in the `data` folder of the checkout.

    Parameters
    ----------
    name : relative to the data folder, such as "dinos.txt"

    Returns
    -------
    Path

    Raises
    ------
    NumpyrnnError
        if there is no such file
    """
    from importlib.util import find_spec

    spec = find_spec("numpyrnn_data")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    for folder in [*folders, Path(__file__).parents[1] / "data"]:
        if (folder / name).exists():
            return folder / name
    raise NumpyrnnError(f"the shipped file {name} must be in the data folder, it is not")


def load_model(path: str | Path | None, kind: str) -> Checkpoint:
    """The model of a file, or the shipped one of a program.

    Parameters
    ----------
    path : model file; None: the shipped one
    kind : the program, such as "dinos"

    Returns
    -------
    Checkpoint

    Raises
    ------
    NumpyrnnError
        if it cannot be read, is a model of another program, or does not hold what the program needs (`CHECKS`)
    """
    checkpoint = load(path or data_path(f"models/{kind}.npz"), kind)
    check_model(checkpoint)
    return checkpoint


def check_model(checkpoint: Checkpoint) -> None:
    """Raise unless a checkpoint holds what its program needs (`CHECKS`)."""
    if checkpoint.kind in CHECKS:
        CHECKS[checkpoint.kind](checkpoint)
