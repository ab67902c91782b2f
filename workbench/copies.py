"""Find copies: the longest run of a sample that also occurs in the training data."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

FIRST = 0x10000  # the code point of the first letter
MISSING = "\uffff"  # stands for tokens that no source has, and separates samples that are searched together


class Run(NamedTuple):
    """A run of tokens that a sample shares with a source.

    Attributes
    ----------
    length : int, tokens; 0 if the sample shares none
    start : int, where it begins in the sample
    source : int, index of the source
    place : int, where it begins in the source
    """

    length: int
    start: int = 0
    source: int = 0
    place: int = 0


class Copies:
    """Finds copied runs by text search: each different token becomes a letter.

    Parameters
    ----------
    sources : sequences of hashable tokens, or strings, whose characters are the tokens
    """

    def __init__(self, sources: Iterable[Sequence[Hashable]]):
        self.letters: dict[Hashable, str] = {}
        texts = [source if isinstance(source, str) else self._spelled(source) for source in sources]
        self.text = "\0".join(texts)
        self.starts = [0, *accumulate(len(text) + 1 for text in texts)]

    def _spelled(self, source: Iterable[Any]) -> str:
        letters = self.letters
        return "".join(letters.setdefault(token, chr(FIRST + len(letters))) for token in source)

    def longest(self, sample: Sequence[Hashable], by_source: bool = False) -> Run:
        """Find the longest run of a sample that also occurs in a source.

        Parameters
        ----------
        sample : sequence of tokens, or str
        by_source : bool, default False
            Among equally long runs, take the first one in the sources; by default, the first one in the sample.

        Returns
        -------
        Run, at its first occurrence in the sample and in the sources
        """
        text = sample if isinstance(sample, str) else "".join(self.letters.get(token, MISSING) for token in sample)
        length, place, longer = 0, 0, set(text)
        for i in range(len(self.text)):
            if self.text[i : i + length + 1] in longer:
                while i + length < len(self.text) and self.text[i : i + length + 1] in text:
                    length += 1
                place, longer = i, {text[k : k + length + 1] for k in range(len(text) - length)}
        if not length:
            return Run(0)
        runs = (text[k : k + length] for k in range(len(text)))
        run = self.text[place : place + length] if by_source else next(run for run in runs if run in self.text)
        place = self.text.find(run)
        source = bisect_right(self.starts, place) - 1
        return Run(length, text.find(run), source, place - self.starts[source])
