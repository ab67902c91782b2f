"""Writing on: one character after the other, as they are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from math import inf

import numpy as np

from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import check_count
from numpyrnn.sampling import Sampler, stream

from .model import settings_of
from .text import START, known_part, openings_of, plain

LENGTH = 400  # characters after the prompt
LONGEST = 100_000  # of them, where only lines are counted
TEMPERATURE = 0.8


def write(
    checkpoint: Checkpoint,
    prompt: str = "",
    length: int | None = None,
    lines: int | None = None,
    sampler: Sampler | None = None,
    unknown: str = "error",
) -> Iterator[str]:
    """Continue a prompt.

    A model of the streams carries its state over the whole prompt, however long, and on. One of the course draws each
    character from the 40 before it. Both begin at a newline that stands before the prompt; where there are not yet 40
    characters, the course instead pads with all-zero rows, which change the network's state as no text does.

    Parameters
    ----------
    checkpoint : Checkpoint of a writer
    prompt : str of any length, lower-cased unless the model keeps capitals; empty (default): a new line begins
    length : int, optional
        Characters after the prompt, at most; default 400, or 100,000 if `lines` is given.
    lines : int, optional
        End with so many lines, those of the prompt among them; blank ones do not count.
    sampler : Sampler, optional; default one of a new seed, at temperature 0.8
    unknown : "error" (default) or "skip", what becomes of characters of the prompt that the model does not know

    Returns
    -------
    iterator of characters; the newline that completes the last line is the last

    Raises
    ------
    NumpyrnnError
        if the prompt has unknown characters (unless they are to be skipped), or a count is not positive
    """
    settings, vocabulary = settings_of(checkpoint), checkpoint.vocabulary
    if lines is not None:
        check_count("lines", lines, 1)
    length = length if length is not None else LENGTH if lines is None else LONGEST
    check_count("length", length, 1)
    before = START + known_part(plain(prompt, bool(checkpoint.config.get("keep_case"))), vocabulary, unknown)
    sampler = sampler or Sampler(np.random.default_rng(), TEMPERATURE)
    ids = stream(checkpoint.model, vocabulary.encode(before), sampler, settings.steps if settings.stride else None)
    return _ended((vocabulary.decode([i])[0] for i in ids), before, length, lines or inf)


def _ended(characters: Iterable[str], before: str, length: int, lines: float) -> Iterator[str]:
    """Characters up to so many, or to the end of so many lines."""
    *whole, line = before.split("\n")
    n_lines = sum(bool(one.strip()) for one in whole)
    for character in islice(characters, length):
        if n_lines >= lines:
            return
        yield character
        line += character
        if character == "\n":
            n_lines, line = n_lines + bool(line.strip()), ""


def opening(checkpoint: Checkpoint, sampler: Sampler) -> str:
    """A random first line of the text that a model was trained on, as a prompt: drawn by the sampler's generator."""
    lines = openings_of(checkpoint)
    return lines[sampler.rng.integers(len(lines))] + "\n"
