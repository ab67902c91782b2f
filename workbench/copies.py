"""What of a sample is copied: the longest run that stands in the training data too."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

FIRST = 0xE000  # code points from here on are letters; below are the surrogates


class Run(NamedTuple):
    """A run of tokens that a sample shares with a source.

    Attributes
    ----------
    length : int, tokens; 0 if the sample shares none
    start : int, where it begins in the sample
    source : int, index of the source
    place : int, where it begins there
    """

    length: int
    start: int = 0
    source: int = 0
    place: int = 0


class Copies:
    """Finds copied runs, by searching for text: each different token becomes a letter.

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

    def longest(self, sample: Sequence[Hashable]) -> Run:
        """The longest run of a sample that stands in a source, and where it first does.

        Parameters
        ----------
        sample : sequence of tokens, or str

        Returns
        -------
        Run; of equally long ones the first of the sample
        """
        text = sample if isinstance(sample, str) else "".join(self.letters.get(token, "\1") for token in sample)
        best, start = Run(0), 0
        while start + best.length < len(text):
            place = self.text.find(text[start : start + best.length + 1])
            if place >= 0:
                source = bisect_right(self.starts, place) - 1
                best = Run(best.length + 1, start, source, place - self.starts[source])
            else:
                start += 1
        return best
