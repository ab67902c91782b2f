"""The n-gram that stands beside the network in every evaluation: interpolated Kneser-Ney."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.random import Generator

from .checks import Array, NumpyrnnError, check_count, check_ids

START = -1  # stands before the first id of every sequence, as often as a context needs it
Context = tuple[int, ...]


class KneserNey:
    """Interpolated, modified Kneser-Ney n-gram (Chen and Goodman 1998, section 3).

        p(w | h) = max(c(h w) - D(c(h w)), 0) / c(h) + backoff(h) p(w | h without its first id)

    The highest order counts occurrences; the lower ones count the different ids that come before; below the lowest is
    the uniform distribution. There are three discounts an order: for a count of one, of two, of three and more.

    Parameters
    ----------
    sequences : sequences of integers, each with its end id as the last
    size : int, ids are 0 .. size - 1
    order : int, n: contexts have n - 1 ids

    Raises
    ------
    NumpyrnnError
        if there is no sequence
    """

    def __init__(self, sequences: Iterable[Sequence[int]], size: int, order: int):
        check_count("order", order, 1)
        self.size, self.order = size, order
        listed = [[int(token) for token in sequence] for sequence in sequences]
        for sequence in listed:
            check_ids("sequences", np.array(sequence, np.intp), size)
        grams = Counter(
            tuple(padded[i : i + order])
            for sequence in listed
            for padded in [[START] * (order - 1) + sequence]
            for i in range(len(padded) - order + 1)
        )
        if not grams:
            raise NumpyrnnError("an n-gram needs at least one sequence, got none")
        self.tables: list[dict[Context, tuple[dict[int, float], float]]] = []  # by order: context -> shares, back-off
        for _ in range(order):
            self.tables.append(_discounted(grams))
            grams = Counter(gram[1:] for gram in grams)  # each different gram counts once for the order below
        self.tables.reverse()
        self._cache: dict[Context, Array] = {}

    def distribution(self, context: Context) -> Array:
        """Probabilities of the next id.

        Parameters
        ----------
        context : tuple of the ids before (all, or at least the last order - 1; START stands before the first)

        Returns
        -------
        (size,) array that sums to one; not to be written to
        """
        context = context[len(context) - self.order + 1 :] if len(context) >= self.order else context
        if context not in self._cache:
            p = self.distribution(context[1:]) if context else np.full(self.size, 1 / self.size)
            table = self.tables[len(context)].get(context)
            if table is not None:
                shares, backoff = table
                p = p * backoff
                p[list(shares)] += list(shares.values())
            self._cache[context] = p
        return self._cache[context]

    def distributions(self, sequence: Sequence[int]) -> Array:
        """Probabilities at each place of a sequence, given the ids before.

        Parameters
        ----------
        sequence : integers

        Returns
        -------
        (length, size) array
        """
        padded = (START,) * (self.order - 1) + tuple(int(token) for token in sequence)
        return np.array([self.distribution(padded[i : i + self.order - 1]) for i in range(len(sequence))])

    def log_probabilities(self, sequence: Sequence[int]) -> Array:
        """Natural logarithms of p of each id of a sequence.

        Parameters
        ----------
        sequence : integers, the end id last

        Returns
        -------
        (length,) array, nats
        """
        return np.asarray(np.log(self.distributions(sequence)[np.arange(len(sequence)), np.asarray(sequence)]))

    def sample(self, rng: Generator, end: int, steps: int = 100) -> list[int]:
        """Draw a sequence.

        Parameters
        ----------
        rng : numpy Generator
        end : int, the id that ends it
        steps : int, default 100, at most so many ids

        Returns
        -------
        list of int, with `end` last unless `steps` ran out
        """
        context: Context = (START,) * (self.order - 1)
        written: list[int] = []
        while len(written) < steps and (not written or written[-1] != end):
            cdf = self.distribution(context).cumsum()
            written.append(min(int(cdf.searchsorted(rng.random() * cdf[-1], "right")), self.size - 1))
            context = (*context, written[-1])[1:] if self.order > 1 else ()
        return written


def best_ngram(
    training: Sequence[Sequence[int]],
    held_out: Sequence[Sequence[int]],
    size: int,
    orders: Iterable[int] = range(1, 11),
) -> tuple[KneserNey, float]:
    """The order that predicts the held-out sequences best (chosen on them, which favours the n-gram).

    Parameters
    ----------
    training, held_out : sequences of integers, each with its end id as the last
    size : int, ids are 0 .. size - 1
    orders : iterable of int, default 1 to 10

    Returns
    -------
    model : KneserNey
    loss : float, nats an id on the held-out sequences
    """
    models = [KneserNey(training, size, order) for order in orders]
    losses = [-np.concatenate([model.log_probabilities(s) for s in held_out]).mean() for model in models]
    best = int(np.argmin(losses))
    return models[best], float(losses[best])


def _discounted(grams: Counter[Context]) -> dict[Context, tuple[dict[int, float], float]]:
    """For every context: each id's discounted share, and what is left for the order below."""
    n = Counter(count for count in grams.values() if count <= 4)
    y = n[1] / (n[1] + 2 * n[2]) if n[1] and n[2] else 0.5
    discounts = [0.0, y, y, y]  # absolute discounting, where there are too few counts to estimate three
    if n[1] and n[2] and n[3] and n[4]:
        estimates = (k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))
        discounts[1:] = [min(max(d, 0.05), k - 0.05) for k, d in enumerate(estimates, 1)]  # never nothing, never all
    followers: dict[Context, dict[int, int]] = defaultdict(dict)
    for gram, count in grams.items():
        followers[gram[:-1]][gram[-1]] = count
    tables = {}
    for context, counts in followers.items():
        total = sum(counts.values())
        shares = {token: (count - discounts[min(count, 3)]) / total for token, count in counts.items()}
        tables[context] = shares, 1 - sum(shares.values())
    return tables
