"""Texts: any UTF-8 file as one string, its held-out part, its lines, and what a model file keeps of it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from itertools import islice
from pathlib import Path
from typing import Any

from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.vocab import Vocabulary
from workbench.files import text_pieces

START = "\n"  # all that is known before a text
SHORTEST = 500  # characters
MEASURED = 100_000  # held-out characters, at most
KEPT = 2_000_000  # characters: a longer text is not kept in the model file
PIECE = 1_000_000  # characters of a long text that are taken at a time, so that no second one is in the memory
OPENINGS = 1_000  # first lines that are kept of it
LONGEST_OPENING = 200  # characters
BLANK = re.compile(r"\n\s*\n")  # the end of a line, and one blank line or more
FIRST_LINE = re.compile(r"(?:\A|\n[^\S\n]*\n)([^\S\n]*\S[^\n]*)")


def plain(text: str, keep_case: bool = False) -> str:
    """A text as the models read it: composed characters (NFC), one kind of line end, lower-cased unless it is kept."""
    text = text if keep_case else text.lower()
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")


def read_text_of(path: str | Path, keep_case: bool = False) -> str:
    """The text of a file, in the form of `plain`, without blank lines around it.

    Parameters
    ----------
    path : UTF-8 text file
    keep_case : bool, default False
        False: it is lower-cased.

    Returns
    -------
    str, with one newline at its end

    Raises
    ------
    NumpyrnnError
        if the file cannot be read as text, or has fewer than 500 characters or two different ones
    """
    text = "".join(plain(piece, keep_case) for piece in text_pieces(path))  # no line end changes what is beside it
    text = text.strip("\n")
    if len(text) < SHORTEST:
        raise NumpyrnnError(f"{path} must hold a text of at least {SHORTEST} characters, it holds {len(text)}")
    if len(set(text)) < 2:
        raise NumpyrnnError(f"{path} must hold at least two different characters, it holds {text[0]!r} only")
    return text + "\n"


def split(text: str, share: float = 0.1) -> tuple[str, str]:
    """Hold out the end of a text.

    The cut is at the first blank line after 1 - `share` of the characters, else at the first line after it, else right
    there; blank lines and lines count where at least half of that end is left.

    Parameters
    ----------
    text : str of two characters or more
    share : float, default 0.1

    Returns
    -------
    training, held_out : str, together the text, neither of them empty

    Raises
    ------
    NumpyrnnError
        if the text is too short
    """
    if len(text) < 2:
        raise NumpyrnnError(f"a text must have two characters or more to be split, it has {len(text)}")
    first = min(max(1, round(len(text) * (1 - share))), len(text) - 1)
    last = (first + len(text)) // 2
    found = BLANK.search(text, first, last) or re.compile("\n").search(text, first, last)
    cut = found.end() if found else first
    return text[:cut], text[cut:]


def first_lines(text: str, most: int | None = None) -> list[str]:
    """The first line of every block (blocks are set apart by blank lines), or its first 200 characters; so many."""
    return [found[1][:LONGEST_OPENING] for found in islice(FIRST_LINE.finditer(text), most)]


def line_of(text: str, position: int) -> tuple[int, str]:
    """The number (from 1) of the line in which a position lies, and the line."""
    start, end = text.rfind("\n", 0, position) + 1, text.find("\n", position)
    return text.count("\n", 0, position) + 1, text[start : end if end >= 0 else len(text)]


def known_part(prompt: str, vocabulary: Vocabulary, unknown: str = "error") -> str:
    """A prompt in the characters of a model.

    Parameters
    ----------
    prompt : str
    vocabulary : Vocabulary
    unknown : "error" (default) or "skip", what becomes of the characters that the model does not know

    Returns
    -------
    str

    Raises
    ------
    NumpyrnnError
        if there are unknown characters that are not to be skipped; all of them are listed
    """
    if unknown not in ("error", "skip"):
        raise NumpyrnnError(f"unknown must be 'error' or 'skip', got {unknown!r}")
    strange = sorted(set(prompt) - set(vocabulary.tokens))
    if strange and unknown == "error":
        known = "".join(token for token in vocabulary.tokens if token.strip())
        came = " ".join(map(repr, strange))
        raise NumpyrnnError(
            f"prompt must be of the model's characters ({known:.80}), got {came} (--unknown skip drops them)"
        )
    return "".join(character for character in prompt if character in vocabulary)


def without_unknown(prompt: str, checkpoint: Checkpoint) -> str:
    """A prompt as it was typed, but for the characters that a model does not know."""
    keep_case, known = bool(checkpoint.config.get("keep_case")), set(checkpoint.vocabulary.tokens)
    return "".join(character for character in prompt if known.issuperset(plain(character, keep_case)))


def measured(held_out: str, vocabulary: Vocabulary) -> str:
    """What the held-out loss is taken over: START, not counted, and at most 100,000 characters.

    Of a writing with more than 100 characters they are fewer: distributions at all places are to stay in the memory.
    """
    return START + held_out[: min(MEASURED, max(1, 100 * MEASURED // len(vocabulary)))]


def kept(training: str, held_out: str) -> dict[str, Any]:
    """What a model file keeps of the two parts of a text: all, or of over 2,000,000 characters a mark and openings."""
    if len(training) + len(held_out) <= KEPT:
        return {"training": training, "held_out": held_out}
    lengths = [len(training), len(held_out)]
    return {"lengths": lengths, "sha256": digest(training, held_out), "openings": first_lines(training, OPENINGS)}


def digest(*parts: str) -> str:
    """SHA-256 of a text in UTF-8, which may come in parts."""
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
    text : str, optional
        Needed where the model does not keep its text.

    Raises
    ------
    NumpyrnnError
        if the model does not keep its text and it is not given, or another one is given, or there is no trace of one
    """
    config = checkpoint.config
    parts = config.get("training"), config.get("held_out")
    if all(isinstance(part, str) and part for part in parts):
        if text is not None and text != "".join(parts):  # type: ignore[arg-type]
            raise NumpyrnnError("the text must be the one that the model was trained on, it is another")
        return parts  # type: ignore[return-value]
    lengths, mark = config.get("lengths"), config.get("sha256")
    if not (isinstance(lengths, list) and len(lengths) == 2 and all(isinstance(n, int) and n > 0 for n in lengths)):
        raise NumpyrnnError("the model must hold its training and held-out text, or their lengths, it does not")
    if text is None:
        raise NumpyrnnError(f"the model does not keep its text of {sum(lengths):,} characters: give it with --data")
    if len(text) != sum(lengths) or digest(text) != mark:
        raise NumpyrnnError(
            f"the text must be the one of {sum(lengths):,} characters that the model was trained on, "
            f"it is another, of {len(text):,}"
        )
    return text[: lengths[0]], text[lengths[0] :]


def openings_of(checkpoint: Checkpoint) -> list[str]:
    """First lines of the text that a model was trained on; an error if it has none."""
    training = checkpoint.config.get("training")
    lines = first_lines(training) if isinstance(training, str) else checkpoint.config.get("openings")
    if not isinstance(lines, list) or not lines or not all(isinstance(line, str) for line in lines):
        raise NumpyrnnError("the model must hold first lines of its text, it does not: give a prompt")
    return lines
