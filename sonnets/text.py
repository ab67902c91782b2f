"""Texts: read a UTF-8 file, hold out its end, and choose what a model file keeps of it."""

from __future__ import annotations

import hashlib
import re
from itertools import islice
from pathlib import Path
from typing import Any

from numpy.random import Generator

from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.vocab import Vocabulary
from workbench.files import composed, text_pieces

START = "\n"  # stands before every text
SHORTEST = 500  # characters
MEASURED = 100_000  # held-out characters, at most
KEPT = 2_000_000  # characters; a model file does not keep a longer text
PIECE = 1_000_000  # characters that are hashed at a time, to save memory
OPENINGS = 1_000  # first lines that a model file keeps of a long text
LONGEST_OPENING = 200  # characters
BLANK = re.compile(r"\n\s*\n")  # the end of a line, and one or more blank lines
FIRST_LINE = re.compile(r"(?:\A|\n[^\S\n]*\n)([^\S\n]*\S[^\n]*)")


def plain(text: str, keep_case: bool = False) -> str:
    """Normalise a text for the models: composed characters (NFC), newlines, and lower case unless `keep_case`."""
    text = text if keep_case else text.lower()
    return composed(text).replace("\r\n", "\n").replace("\r", "\n")


def read_plain(path: str | Path, keep_case: bool = False) -> str:
    """Read a text file as `plain` text, without blank lines at its beginning and end.

    Parameters
    ----------
    path : UTF-8 text file
    keep_case : bool, default False, whether capitals are kept

    Returns
    -------
    str, which ends with one newline

    Raises
    ------
    NumpyrnnError
        if the file cannot be read as text, or has fewer than 500 characters, or repeats a single one
    """
    # A piece holds whole lines, so `plain` gives the same piece by piece as for the whole text.
    text = "".join(plain(piece, keep_case) for piece in text_pieces(path)).strip("\n")
    if len(text) < SHORTEST:
        raise NumpyrnnError(f"{path} must hold a text of at least {SHORTEST} characters, it holds {len(text)}")
    if len(set(text)) < 2:
        raise NumpyrnnError(f"{path} must hold at least two different characters, it holds {text[0]!r} only")
    return text + "\n"


def split_text(text: str) -> tuple[str, str]:
    """Hold out about the last tenth of a text.

    The cut comes after the first blank line in the first half of that tenth. If there is none, it comes after the first
    line end there; if there is none either, at nine tenths.

    Parameters
    ----------
    text : str of two characters or more

    Returns
    -------
    training, held_out : str, neither of them empty; together they are the text
    """
    first = min(round(0.9 * len(text)), len(text) - 1)
    last = (first + len(text)) // 2
    found = BLANK.search(text, first, last) or re.compile("\n").search(text, first, last)
    cut = found.end() if found else first
    return text[:cut], text[cut:]


def first_lines(text: str, most: int | None = None) -> list[str]:
    """Find the first lines of stanzas, at most `most` (default: all), each cut to 200 characters."""
    return [found[1][:LONGEST_OPENING] for found in islice(FIRST_LINE.finditer(text), most)]


def line_of(text: str, position: int) -> tuple[int, str]:
    """The line that contains a position: its number, from 1, and its text."""
    start, end = text.rfind("\n", 0, position) + 1, text.find("\n", position)
    return text.count("\n", 0, position) + 1, text[start : end if end >= 0 else None]


def check_prompt(prompt: str, vocabulary: Vocabulary, typed: str = "") -> None:
    """Raise unless a model knows all characters of a prompt; the error lists the unknown ones, as they were typed."""
    if unknown := sorted(set(prompt) - set(vocabulary.tokens)):
        unknown = [c for c in sorted(set(typed)) if not set(plain(c)) <= set(vocabulary.tokens)] or unknown
        known = "".join(token for token in vocabulary.tokens if token.strip())
        got = f"{' '.join(map(repr, unknown))} (--unknown skip drops them)"
        raise NumpyrnnError(f"prompt must be of the model's characters ({known:.80}), got {got}")


def without_unknown(prompt: str, checkpoint: Checkpoint) -> str:
    """Drop the characters that a model does not know from a prompt; the others stay as typed, capitals included."""
    keep_case, known = bool(checkpoint.config.get("keep_case")), set(checkpoint.vocabulary.tokens)
    return "".join(c for c in composed(prompt) if known.issuperset(plain(c, keep_case)))


def measured(held_out: str, vocabulary: Vocabulary) -> str:
    """The text for the held-out loss: START, as context only, and at most 100,000 characters.

    Fewer if the alphabet exceeds 100 characters, to bound memory.
    """
    return START + held_out[: min(MEASURED, max(1, 100 * MEASURED // len(vocabulary)))]


def kept(training: str, held_out: str) -> dict[str, Any]:
    """What a model file keeps of a text: all of it or, beyond 2,000,000 characters, lengths, a hash and first lines."""
    if len(training) + len(held_out) <= KEPT:
        return {"training": training, "held_out": held_out}
    lengths = [len(training), len(held_out)]
    return {"lengths": lengths, "sha256": digest(training, held_out), "openings": first_lines(training, OPENINGS)}


def digest(*parts: str) -> str:
    """The SHA-256 of a text in UTF-8; the text is given in one or more parts."""
    found = hashlib.sha256()
    for part in parts:
        for start in range(0, len(part), PIECE):
            found.update(part[start : start + PIECE].encode())
    return found.hexdigest()


def texts_of(checkpoint: Checkpoint, text: str | None = None) -> tuple[str, str]:
    """The training and the held-out text of a model.

    Parameters
    ----------
    checkpoint : Checkpoint
    text : str, optional, the whole text; needed if the model does not keep it

    Returns
    -------
    training, held_out : str

    Raises
    ------
    NumpyrnnError
        if the text is needed but missing, or is not the one that the model was trained on, or the model does not say
        what it was trained on
    """
    match checkpoint.config:
        case {"training": str(training), "held_out": str(held_out)} if training and held_out:
            same = text is None or text == training + held_out
        case {"lengths": [int(n), int(m)], "sha256": str(sha256)} if min(n, m) > 0:
            if text is None:
                raise NumpyrnnError(f"the model does not keep its text of {n + m:,} characters: give it with --data")
            training, held_out = text[:n], text[n:]
            same = len(text) == n + m and digest(text) == sha256
        case _:
            raise NumpyrnnError("the model must hold its training and held-out text, or their lengths, it does not")
    if not same:
        raise NumpyrnnError("the text must be the one that the model was trained on, it is another")
    return training, held_out


def check_text(checkpoint: Checkpoint) -> None:
    """Raise unless a model file holds what `kept` keeps of a text, and the model knows the characters of a whole."""
    match checkpoint.config:
        case {"training": str(training), "held_out": str(held_out)} if training and held_out:
            good = checkpoint.vocabulary == Vocabulary({START, *training, *held_out})
        case {"lengths": [int(n), int(m)], "sha256": str(sha256), "openings": list(lines)} if len(lines) <= OPENINGS:
            good = min(n, m) > 0 and len(sha256) == 64
            good &= all(isinstance(line, str) and len(line) <= LONGEST_OPENING for line in lines)
        case _:
            good = False
    if not good or not isinstance(checkpoint.config.get("keep_case"), bool):
        raise NumpyrnnError("the model must hold its text, or what is kept of a long one, and know its characters")


def opening(checkpoint: Checkpoint, rng: Generator) -> str:
    """A random first line of the text that a model was trained on; an error if it has none."""
    training = checkpoint.config.get("training")
    lines = first_lines(training) if isinstance(training, str) else checkpoint.config.get("openings")
    if not isinstance(lines, list) or not lines or not all(isinstance(line, str) for line in lines):
        raise NumpyrnnError("the model must hold first lines of its text, it does not: give a prompt")
    return f"{lines[rng.integers(len(lines))]}\n"
