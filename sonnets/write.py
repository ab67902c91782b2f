"""Write: continue a prompt, character by character."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from math import inf

from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import check_count
from numpyrnn.sampling import Sampler, stream

from .recipes import Settings
from .text import START, check_prompt, plain

LENGTH = 400  # characters after the prompt
LONGEST = 100_000  # characters after the prompt, if the number of lines is given
TEMPERATURE = 0.8  # by default


def continue_prompt(
    checkpoint: Checkpoint, prompt: str, sampler: Sampler, length: int | None = None, lines: int | None = None
) -> Iterator[str]:
    """Continue a prompt.

    A model trained on streams reads the whole prompt, however long, and carries its state on. One trained on the
    course's windows reads only the last 40 characters for each new one, or all if there are fewer. (The course pads to
    40 with all-zero rows, which put the network into a state that no text does.) For both, a newline stands before the
    prompt.

    Parameters
    ----------
    checkpoint : Checkpoint
    prompt : str of any length, lower-cased unless the model keeps capitals; if empty, a new line begins
    sampler : Sampler
    length : int, optional, largest number of characters after the prompt; default 400, or 100,000 if `lines` is given
    lines : int, optional, number of lines to end after, including the prompt's; blank lines do not count

    Returns
    -------
    iterator of characters; the last one is the newline that completes the last line, if `length` allows

    Raises
    ------
    NumpyrnnError
        if the prompt has characters that the model does not know, or a count is not positive
    """
    settings, vocabulary = Settings.of(checkpoint), checkpoint.vocabulary
    if lines is not None:
        check_count("lines", lines, 1)
    length = length if length is not None else LENGTH if lines is None else LONGEST
    check_count("length", length, 1)
    typed, prompt = prompt, plain(prompt, bool(checkpoint.config.get("keep_case")))
    check_prompt(prompt, vocabulary, typed)
    before = START + prompt
    ids = stream(checkpoint.model, vocabulary.encode(before), sampler, settings.steps if settings.stride else None)
    return _limited((vocabulary.decode([i])[0] for i in ids), before, length, lines or inf)


def _limited(characters: Iterable[str], before: str, length: int, lines: float) -> Iterator[str]:
    """Yield at most `length` characters, and end once `lines` lines are complete, including those of `before`."""
    *whole, line = before.split("\n")
    n_lines = sum(bool(one.strip()) for one in whole)
    for character in islice(characters, length):
        if n_lines >= lines:
            return
        yield character
        line += character
        if character == "\n":
            n_lines, line = n_lines + bool(line.strip()), ""
