"""Tokens and their ids."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .checks import Array, NumpyrnnError, check_ids, is_integer

CHUNK = 1 << 16  # characters


class Vocabulary:
    """A sorted set of tokens, each with its place in the order as its id.

    Sorted, so that ids do not change from run to run.

    Parameters
    ----------
    tokens : iterable of str
        Characters of a text, or any other strings; a token may come more than once.

    Attributes
    ----------
    tokens : list of str, sorted
    ids : dict from token to id

    Raises
    ------
    NumpyrnnError
        if there is no token, or one that is not a string

    Examples
    --------
    >>> vocabulary = Vocabulary("banana")
    >>> vocabulary.encode("nab").tolist()
    [2, 0, 1]
    >>> "".join(vocabulary.decode([1, 0]))
    'ba'
    """

    def __init__(self, tokens: Iterable[str]):
        distinct = set(tokens)
        if not distinct or not all(isinstance(token, str) for token in distinct):
            raise NumpyrnnError(f"a vocabulary needs one or more strings, got {list(distinct)[:3]!r}")
        self.tokens = sorted(distinct)
        self.ids = {token: i for i, token in enumerate(self.tokens)}

    def encode(self, tokens: Iterable[str]) -> Array:
        """Ids of `tokens`.

        Parameters
        ----------
        tokens : iterable of str (a string is its characters)

        Returns
        -------
        (length,) integers

        Raises
        ------
        NumpyrnnError
            if a token is unknown; all unknown ones are listed
        """
        tokens = list(tokens)
        unknown = {token for token in tokens if token not in self.ids}
        if unknown:
            raise NumpyrnnError(_unknown(unknown))
        return np.array([self.ids[token] for token in tokens], np.intp)

    def encode_text(self, text: str) -> Array:
        """Ids of the characters of a text of any length, in as little memory as they need.

        Parameters
        ----------
        text : str

        Returns
        -------
        (length,) unsigned integers, of one byte each if the vocabulary has up to 256 tokens

        Raises
        ------
        NumpyrnnError
            if a character is unknown; all unknown ones are listed
        """
        characters = [token for token in self.tokens if len(token) == 1]
        codes, ids = np.array([ord(c) for c in characters]), np.array([self.ids[c] for c in characters], np.intp)
        encoded, unknown = np.empty(len(text), np.min_scalar_type(len(self) - 1)), set[int]()
        for start in range(0, len(text), CHUNK):
            chunk = np.frombuffer(text[start : start + CHUNK].encode("utf-32-le", "surrogatepass"), np.uint32)
            unknown.update(chunk[~np.isin(chunk, codes)].tolist())
            if not unknown:
                encoded[start : start + len(chunk)] = ids[codes.searchsorted(chunk)]
        if unknown:
            raise NumpyrnnError(_unknown(map(chr, unknown)))
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
            if an id lies outside 0 .. size - 1
        """
        ids = np.asarray(list(ids) or np.zeros(0, np.intp))
        if not is_integer(ids):
            raise NumpyrnnError(f"ids must be integers, got dtype {ids.dtype}")
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
        return f"Vocabulary of {len(self)} tokens, {self.tokens[0]!r} to {self.tokens[-1]!r}"


def _unknown(tokens: Iterable[str]) -> str:
    return f"tokens must be known to the vocabulary, unknown: {' '.join(map(repr, sorted(tokens)))}"
