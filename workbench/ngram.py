"""Interpolated Kneser-Ney n-grams, the baseline of every evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from numpyrnn.checks import Array, NumpyrnnError, check_count, check_ids, check_range

START = -1  # pads the context at the beginning of a sequence
MAX_CACHED = 1 << 23  # numbers in the cached distributions
Context = tuple[int, ...]
Ids = Sequence[int] | Array


class Table(NamedTuple):
    """The n-grams ("grams") of one length, sorted by code; a gram's number is its index.

    The code is (number of the context, a gram one shorter) * (size + 1) + (last id) + 1, so that the grams of one
    context lie side by side. The last entry of `shares` and `backoffs`, at index -1, serves all unknown grams.

    Attributes
    ----------
    codes : (n,) integers, ascending
    shares : (n + 1,) discounted counts as shares of the context's count; 0 for unknown grams
    backoffs : (number of contexts + 1,) probability that each context leaves to the order below; 1 for unknown contexts
    """

    codes: Array
    shares: Array
    backoffs: Array

    def find(self, codes: Array | int) -> Array:
        """The numbers of the grams with these codes; -1 for unknown ones."""
        places = self.codes.searchsorted(codes)
        return np.where(self.codes.take(places, mode="clip") == codes, places, -1)


class KneserNey:
    """Interpolated, modified Kneser-Ney n-gram (Chen and Goodman 1998, section 3).

        p(w | h) = max(c(h w) - D(c(h w)), 0) / c(h) + backoff(h) p(w | h without its first id)

    The highest order counts occurrences; the lower orders count the different ids that precede. The lowest order backs
    off to the uniform distribution. Each order has three discounts: for counts of one, two, and three or more.

    Parameters
    ----------
    sequences : sequences of integers; if there is an end id, each sequence ends with it
    size : int, number of ids, which are 0 .. size - 1
    order : int, n; contexts have n - 1 ids

    Raises
    ------
    NumpyrnnError
        if there is no sequence, an id is out of range, or `order` is below 1
    """

    def __init__(self, sequences: Iterable[Ids], size: int, order: int):
        check_count("order", order, 1)
        self.size, self.order = size, order
        listed = [np.array(sequence, np.intp) for sequence in sequences]
        for ids in listed:
            check_ids("sequences", ids, size)
        letters, before = _in_a_row(listed)
        if not letters.any():
            raise NumpyrnnError("an n-gram needs at least one sequence, got none")
        numbers = np.zeros(len(letters), np.intp)  # of the gram that ends at each position; 0 is the empty gram
        grams, sizes = [], [1]
        for _ in range(order):
            codes = numbers[before] * (size + 1) + letters
            codes, first, longer = np.unique(codes, return_index=True, return_inverse=True)
            grams.append((codes, first, numbers[first]))  # with the number of each gram without its first id
            numbers, sizes = longer, [*sizes, len(codes)]
        counts = np.bincount(numbers[letters > 0], minlength=sizes[-1])
        self.tables: list[Table] = []  # by order
        for n_contexts, (codes, first, shorter) in zip(sizes[-2::-1], reversed(grams), strict=True):
            self.tables.append(_discounted(codes, counts, codes // (size + 1), n_contexts, np.argsort(first)))
            counts = np.bincount(shorter[counts > 0], minlength=n_contexts)  # each counts once below
        self.tables.reverse()
        self._cache: dict[Context, Array] = {}
        self._numbers: dict[Context, int] = {(): 0}

    def distribution(self, context: Context) -> Array:
        """Probabilities of the next id.

        Parameters
        ----------
        context : tuple of the preceding ids; only the last order - 1 count, and START stands before the first

        Returns
        -------
        (size,) array that sums to one; do not write to it
        """
        context = context[len(context) - self.order + 1 :] if len(context) >= self.order else context
        if context not in self._cache:
            p = self.distribution(context[1:]) if context else np.full(self.size, 1 / self.size)
            number, table = self._number(context), self.tables[len(context)]
            if number >= 0:
                first = number * (self.size + 1) + 1  # the code of the context with id 0
                followers = slice(*table.codes.searchsorted((first, first + self.size)))
                p = p * table.backoffs[number]
                p[table.codes[followers] - first] += table.shares[followers]
            if len(self._cache) * self.size > MAX_CACHED:
                self._cache, self._numbers = {}, {(): 0}
            self._cache[context] = p
        return self._cache[context]

    def _number(self, context: Context) -> int:
        """The number of a context; -1 if it is unknown."""
        if context not in self._numbers:
            before, letter = self._number(context[:-1]), context[-1] + 1
            code = before * (self.size + 1) + letter if 0 <= letter <= self.size else -1
            self._numbers[context] = int(self.tables[len(context) - 1].find(code))
        return self._numbers[context]

    def distributions(self, sequence: Ids) -> Array:
        """The distribution at each position of a sequence, given the ids before it.

        Parameters
        ----------
        sequence : integers

        Returns
        -------
        (length, size) array
        """
        padded = (START,) * (self.order - 1) + tuple(int(token) for token in sequence)
        return np.array([self.distribution(padded[i : i + self.order - 1]) for i in range(len(sequence))])

    def log_probabilities(self, sequence: Ids) -> Array:
        """Log probabilities of the ids of a sequence.

        Parameters
        ----------
        sequence : integers

        Returns
        -------
        (length,) array, nats

        Raises
        ------
        NumpyrnnError
            if an id is out of range
        """
        ids = np.array(sequence, np.intp)
        check_ids("sequence", ids, self.size)
        letters, before = _in_a_row([ids])
        p, numbers = np.full(len(letters), 1 / self.size), np.zeros(len(letters), np.intp)
        for table in self.tables:
            contexts = numbers[before]
            numbers = table.find(contexts * (self.size + 1) + letters)
            p = p * table.backoffs[contexts] + table.shares[numbers]
        return np.asarray(np.log(p[1:]))

    def soften(self, ids: Ids, share: float, start: int = 0) -> Array:
        """Soft targets for a network: a mixture of the true next id and the n-gram's distribution (Hinton et al. 2015).

        Parameters
        ----------
        ids : integers
        share : float, weight of the n-gram, from 0 to 1
        start : int, default 0, the first position to predict; the ids before it are only context

        Returns
        -------
        (length - start, size) float32, distributions
        """
        check_range("share", share, 0, 1)
        soft = share * self.distributions(ids)[start:].astype(np.float32)
        soft[np.arange(len(soft)), ids[start:]] += 1 - share
        return soft

    def sample(self, rng: Generator, end: int | None = None, steps: int = 100, before: Ids = ()) -> list[int]:
        """Draw a sequence.

        Parameters
        ----------
        rng : numpy Generator
        end : int, optional, the id that ends it
        steps : int, default 100, the maximal length
        before : ids to continue; default none, a new sequence

        Returns
        -------
        list of int; the last one is `end` unless the maximal length was reached
        """
        order = self.order - 1
        context: Context = ((START,) * order + tuple(int(i) for i in before))[-order:] if order else ()
        written: list[int] = []
        while len(written) < steps and (not written or written[-1] != end):
            cdf = self.distribution(context).cumsum()
            written.append(min(int(cdf.searchsorted(rng.random() * cdf[-1], "right")), self.size - 1))
            context = (*context, written[-1])[1:] if order else ()
        return written


def best_ngram(
    training: Sequence[Ids],
    held_out: Sequence[Ids],
    size: int,
    orders: Iterable[int] = range(1, 11),
) -> tuple[KneserNey, float]:
    """The n-gram of the order that predicts the held-out sequences best.

    The order is chosen on the held-out sequences themselves, which favours the n-gram.

    Parameters
    ----------
    training, held_out : sequences of integers, each ending with its end id
    size : int, ids are 0 .. size - 1
    orders : iterable of int, default 1 to 10

    Returns
    -------
    model : KneserNey
    loss : float, nats per id of the held-out sequences

    Raises
    ------
    NumpyrnnError
        if there is no training sequence, or an id is out of range
    """
    models = [KneserNey(training, size, order) for order in orders]
    losses = [-np.concatenate([model.log_probabilities(s) for s in held_out]).mean() for model in models]
    best = int(np.argmin(losses))
    return models[best], float(losses[best])


def _in_a_row(sequences: Sequence[Array]) -> tuple[Array, Array]:
    """All sequences in one array of ids + 1, each after a START (0), and the index before each position."""
    letters = np.concatenate([np.append(START, ids) for ids in sequences] or [np.zeros(0, np.intp)]) + 1
    return letters, np.maximum(np.arange(len(letters)) - (letters > 0), 0)


def _discounted(codes: Array, counts: Array, contexts: Array, n_contexts: int, order: Array) -> Table:
    """The table of one order: discounted counts as shares of their contexts' counts.

    Parameters
    ----------
    codes, counts : (n,) integers, of the grams
    contexts : (n,) numbers of their contexts
    n_contexts : int
    order : (n,) permutation, the order in which sums over grams are formed
    """
    n = np.bincount(counts, minlength=5)[:5].tolist()
    y = n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.5
    discounts = [0.0, y, y, y]  # too few counts to estimate three: absolute discounting
    if n[1] and n[2] and n[3] and n[4]:
        estimates = (k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))
        discounts[1:] = [min(max(d, 0.05), k - 0.05) for k, d in enumerate(estimates, 1)]  # more than 0, less than k
    totals = np.bincount(contexts, counts, n_contexts).clip(1)
    shares = (counts - np.take(discounts, counts, mode="clip")) / totals[contexts]
    left = 1 - np.bincount(contexts[order], shares[order], n_contexts)
    return Table(codes, np.append(shares, 0), np.append(left, 1))
