"""Names: read the distinct lines of a UTF-8 text, and split them into a training and a held-out part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from numpyrnn import NumpyrnnError
from numpyrnn.checks import Array, shown
from numpyrnn.vocab import Vocabulary
from workbench.files import composed, read_text

END = "\n"  # begins and ends every name
LONGEST = 1000  # characters


def read_names(path: str | Path, keep_case: bool = False) -> list[str]:
    """Read the distinct names of a text file, in the order of the file.

    Parameters
    ----------
    path : UTF-8 text file, one name per line; blank lines and white space around names are ignored
    keep_case : bool, default False, whether capitals are kept; names are lower-cased otherwise

    Returns
    -------
    list of str

    Raises
    ------
    NumpyrnnError
        if the file cannot be read as text, has fewer than two distinct names, or a name of over 1,000 characters
    """
    text = composed(read_text(path))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    names = list(dict.fromkeys(name for line in lines if (name := (line if keep_case else line.lower()).strip())))
    if len(names) < 2:
        raise NumpyrnnError(f"{path} must hold at least two different names, one a line, it holds {len(names)}")
    longest = max(names, key=len)
    if len(longest) > LONGEST:
        raise NumpyrnnError(f"{path} must hold names of at most {LONGEST} characters, one has {len(longest)}")
    return names


def split_names(names: Sequence[str], seed: int, share: float = 0.1) -> tuple[list[str], list[str]]:
    """Split names at random.

    Parameters
    ----------
    names : distinct names
    seed : int
    share : float, default 0.1, share of the names that is held out; both parts have at least one

    Returns
    -------
    training, held_out : lists of str
    """
    order = np.random.default_rng(seed).permutation(len(names))
    n_held_out = min(max(1, round(len(names) * share)), len(names) - 1)
    shuffled = [names[i] for i in order]
    return shuffled[n_held_out:], shuffled[:n_held_out]


def characters(text: str) -> list[str]:
    """The characters as a reader counts them (grapheme clusters, UAX 29): an emoji family is one."""
    if text.isascii():
        return list(text)
    import regex  # late: a quick start

    return regex.findall(r"\X", text)  # type: ignore[no-any-return]


def vocabulary_of(names: Sequence[str]) -> Vocabulary:
    """The vocabulary of the names: their characters and END."""
    return Vocabulary([END, *characters(END.join(names))])


def tokens_of(text: str, vocabulary: Vocabulary) -> list[str]:
    """The tokens of a name. Where a vocabulary has code points only, as in older files, they are code points."""
    return characters(text) if any(len(token) > 1 for token in vocabulary.tokens) else list(text)


def encode(names: Sequence[str], vocabulary: Vocabulary) -> list[Array]:
    """Encode every name as the ids of END, its characters, and END."""
    return [vocabulary.encode([END, *tokens_of(name, vocabulary), END]) for name in names]


def show(name: str) -> str:
    """A name as it is printed, with a capital first letter and without control characters."""
    return shown(name[:1].upper() + name[1:], LONGEST)
