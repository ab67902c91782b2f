"""Tokens and their ids."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .checks import Array, NumpyrnnError, check_ids, is_integer, to_array

CHUNK = 1 << 16  # characters


class Vocabulary:
    """A sorted list of distinct tokens; the id of a token is its index.

    Sorting keeps the ids the same in every run.

    Parameters
    ----------
    tokens : iterable of str
        Characters of a text, or any other strings; repetitions count once.

    Attributes
    ----------
    tokens : list of str, sorted
    ids : dict from token to id

    Raises
    ------
    NumpyrnnError
        if there is no token, or a token is not a string

    Examples
    --------
    >>> vocabulary = Vocabulary("banana")
    >>> vocabulary.encode("nab").tolist()
    [2, 0, 1]
    >>> "".join(vocabulary.decode([1, 0]))
    'ba'
    """

    def __init__(self, tokens: Iterable[str]):
        distinct = set(tokens) if isinstance(tokens, Iterable) else {tokens}
        if not distinct or not all(isinstance(token, str) for token in distinct):
            raise NumpyrnnError(f"a vocabulary needs one or more strings, got {list(distinct)[:3]!r:.80}")
        self.tokens = sorted(distinct)
        self.ids = {token: i for i, token in enumerate(self.tokens)}

    def encode(self, tokens: Iterable[str]) -> Array:
        """Ids of `tokens`.

        Parameters
        ----------
        tokens : iterable of str; a string stands for its characters

        Returns
        -------
        (length,) integers

        Raises
        ------
        NumpyrnnError
            if a token is not a string, or is unknown; the error lists all unknown tokens
        """
        tokens = list(tokens) if np.iterable(tokens) else [tokens]
        if wrong := [token for token in tokens if not isinstance(token, str)]:
            raise NumpyrnnError(f"tokens must be strings, got {wrong[0]!r:.80}")
        if unknown := sorted({token for token in tokens if token not in self.ids}):
            raise NumpyrnnError(f"tokens must be known to the vocabulary, unknown: {' '.join(map(repr, unknown))}")
        return np.array([self.ids[token] for token in tokens], np.intp)

    def encode_text(self, text: str) -> Array:
        """Ids of the characters of a long text, using little memory.

        Parameters
        ----------
        text : str

        Returns
        -------
        (length,) unsigned integers of the smallest type that holds all ids: one byte for up to 256 tokens

        Raises
        ------
        NumpyrnnError
            if a character is unknown; the error lists all unknown characters
        """
        if not isinstance(text, str):
            raise NumpyrnnError(f"a text must be a string, got {text!r:.80}")
        known = sorted(set(text))
        codes = np.array([ord(character) for character in known], np.uint32)
        ids = self.encode(known).astype(np.min_scalar_type(len(self) - 1))
        encoded = np.empty(len(text), ids.dtype)
        for start in range(0, len(text), CHUNK):
            chunk = np.frombuffer(text[start : start + CHUNK].encode("utf-32-le", "surrogatepass"), np.uint32)
            encoded[start : start + len(chunk)] = ids[codes.searchsorted(chunk)]
        return encoded

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Tokens of `ids`.

        Parameters
        ----------
        ids : iterable of int

        Returns
        -------
        list of str

        Raises
        ------
        NumpyrnnError
            if an id is not an integer, is negative, or is not below the number of tokens
        """
        if not np.iterable(ids):
            raise NumpyrnnError(f"ids must be a sequence of integers, got {ids!r:.80}")
        ids = to_array("ids", list(ids) or np.zeros(0, np.intp))
        if not is_integer(ids) or ids.ndim != 1:
            raise NumpyrnnError(f"ids must be integers, got an array of shape {ids.shape} and dtype {ids.dtype}")
        check_ids("ids", ids, len(self.tokens))
        return [self.tokens[i] for i in ids]

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: str) -> bool:
        return token in self.ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(tuple(self.tokens))

    def __repr__(self) -> str:
        return f"Vocabulary of {len(self)} tokens, {self.tokens[0]!r:.40} to {self.tokens[-1]!r:.40}"
