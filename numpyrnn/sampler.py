"""From logits to ids: greedy, temperature, top-k, top-p."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

from .checks import Array, NumpyrnnError, as_rng, check_count, check_range, check_shape, to_array
from .losses import SMALL

HOTTEST = 1e6  # a temperature at which all ids are equally probable; higher ones change nothing
NARROW, MANY = 128, 2**15  # rows shorter, and logits more, are summed in float32 first
NOISE = 2**15  # numbers of noise that are drawn at once
LARGE = 1e6  # in float64, noise that is added to smaller numbers keeps ten digits


class Sampler:
    """How to draw the next id from logits. The settings must not be changed later.

    Several threads may share a sampler. Their draws are independent, but which thread gets which is not fixed.

    Parameters
    ----------
    rng : numpy Generator or int seed
    temperature : float, default 1
        The logits are divided by it: below 1 is safer, above 1 is wilder, 0 is greedy (the largest logit).
    top_k : int, optional
        Draw only among the ids with the k largest logits.
    top_p : float, optional, 0 < top_p <= 1
        Draw only among the most probable ids, the fewest that reach a probability of p (nucleus; Holtzman et al. 2020).

    Raises
    ------
    NumpyrnnError
        if a setting is out of range
    """

    def __init__(
        self, rng: Generator | int, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
    ):
        check_range("temperature", temperature, 0)
        if top_k is not None:
            check_count("top_k", top_k, 1)
        if top_p is not None:
            check_range("top_p", top_p, 0, 1, open_low=True)
        self.rng = as_rng(rng)
        self.temperature, self.top_k, self.top_p = min(temperature, HOTTEST), top_k, top_p
        self._noise: dict[Any, list[Array]] = {}  # by number of ids and dtype, as the functions
        self._singles: dict[Any, Callable[[Array], int]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_singles": {}}  # functions of this sampler, with its own noise

    def probabilities(self, logits: Array) -> Array:
        """The distribution from which ids are drawn.

        Parameters
        ----------
        logits : (N, V) real

        Returns
        -------
        (N, V) float64, rows that sum to one

        Raises
        ------
        NumpyrnnError
            if the shape is wrong, a logit is NaN or plus infinity, or all logits of a row are minus infinity
        """
        logits = _as_logits(logits, "N", "V").astype(np.float64)
        V = logits.shape[1]
        if self.temperature == 0:
            return np.asarray(_likeliest(logits)[:, None] == np.arange(V), np.float64)
        if self.top_k is not None and self.top_k < V:
            dropped = np.argpartition(logits, V - self.top_k, axis=1)[:, : V - self.top_k]
            np.put_along_axis(logits, dropped, -np.inf, axis=1)
        p = np.ascontiguousarray(self._weights(logits).T)
        p /= p.sum(axis=1, keepdims=True)
        if self.top_p is not None and self.top_p < 1:
            order = np.argsort(-p, axis=1, kind="stable")
            ranked = np.take_along_axis(p, order, axis=1)
            beyond = ranked.cumsum(axis=1) - ranked >= self.top_p  # the ids before it reach p
            np.put_along_axis(p, order, np.where(beyond, 0, ranked), axis=1)
            p /= p.sum(axis=1, keepdims=True)
        return p

    def draw(self, logits: Array, u: Array | None = None) -> Array:
        """Draw one id for each row, by inversion of the cumulative distribution.

        Sums are in float64; in float32, ids less probable than 1e-7 would vanish. Many short rows are summed in float32
        first, and only those that need it again in float64. The ids are the same.

        Parameters
        ----------
        logits : (N, V) real
        u : (N,) floating, 0 <= u < 1, the random numbers to use; by default the sampler's own

        Returns
        -------
        (N,) integers

        Raises
        ------
        NumpyrnnError
            if a shape is wrong, a logit is NaN or plus infinity, or all logits of a row are minus infinity
        """
        logits = _as_logits(logits, "N", "V")
        if self.temperature == 0:
            return _likeliest(logits)
        u, V = self.rng.random(len(logits)) if u is None else np.asarray(u), logits.shape[1]
        check_shape("u", u, (len(logits),))
        if self.top_k is not None or self.top_p is not None:
            return _inverted(self.probabilities(logits).T.copy(), u)
        if self.temperature != 1 or V >= NARROW or logits.size < MANY or logits.dtype != np.float32:
            return _inverted(self._weights(logits), u)
        w = _summed(self._weights(logits, np.float32))
        at, slack = (u * w[-1]).astype(np.float32), w[-1] * np.float32((V + 8) * np.finfo(np.float32).eps)
        ids = _count(w, at - slack)
        reached = w.take(ids * len(ids) + np.arange(len(ids)))  # w[ids, arange], in a third of the time
        unsure = np.flatnonzero(reached <= at + slack)  # rounding decides here
        ids[unsure] = _inverted(self._weights(logits[unsure]), u[unsure])
        return ids

    def _weights(self, logits: Array, dtype: Any = np.float64) -> Array:
        """Exponentials of logits / temperature, (V, N), so that their sums run over contiguous rows."""
        w = logits.T.astype(dtype, order="C")
        largest = w.max(axis=0)
        _check_largest(largest)
        if self.temperature != 1 or np.abs(largest).max(initial=0) > SMALL:
            with np.errstate(over="ignore"):  # -inf, for a tiny temperature, is a probability of zero
                w = (w - largest) / self.temperature
        return np.asarray(np.exp(w, out=w))

    def draw_one(self, logits: Array) -> int:
        """Draw one id from one row.

        Without top-k and top-p, this takes the largest logits / temperature + Gumbel noise. The distribution is that of
        `draw` (Gumbel 1954), to 1e-6 of each probability for logits in float32. There are fewer calls, because the
        noise of many draws is made at once.

        Parameters
        ----------
        logits : (V,) real

        Returns
        -------
        int

        Raises
        ------
        NumpyrnnError
            if the shape is wrong, a logit is NaN or plus infinity, or all are minus infinity
        """
        logits = _as_logits(logits, "V")
        return self.single(len(logits), np.result_type(logits, np.float32))(logits)

    def single(self, V: int, dtype: Any) -> Callable[[Array], int]:
        """Make a faster `draw_one` for rows of one length and dtype, which it does not check."""
        if (V, dtype) not in self._singles:
            self._singles[V, dtype] = self._single(V, dtype)
        return self._singles[V, dtype]

    def _single(self, V: int, dtype: Any) -> Callable[[Array], int]:
        if self.temperature == 0:
            return _greedy
        if self.top_k is not None or self.top_p is not None:
            return lambda logits: int(self.draw(logits[None])[0])
        dtype = np.dtype(dtype if self.temperature == 1 else np.float64)
        most = SMALL if dtype == np.float32 else LARGE * min(1, self.temperature)  # larger sums would round off noise
        rows = self._noise.setdefault((V, dtype), [])
        least, next_row = -most, rows.pop

        def draw(logits: Array) -> int:
            try:
                noise = next_row()
            except IndexError:
                noise, *more = self._gumbel(V, dtype)
                rows.extend(more)
            w = logits + noise
            i = int(w.argmax())
            if least < w.item(i) < most:
                return i
            _check_largest(largest := logits.max())
            with np.errstate(over="ignore"):
                below = np.subtract(logits, largest, dtype=np.float64)  # zero for the largest: no noise is rounded off
            return int((below + noise).argmax())

        return draw

    def _gumbel(self, V: int, dtype: Any) -> Array:
        """Rows of Gumbel noise times the temperature. Float32 exponentials would be too rare below 1e-7, or zero."""
        noise = np.maximum(self.rng.standard_exponential((-(-NOISE // V), V)), 2.0**-53).astype(dtype)
        np.log(noise, out=noise)
        noise *= -self.temperature
        return noise


def _inverted(w: Array, u: Array) -> Array:
    """The first ids whose sums of `w` (V, N) are above the share u (N,) of the whole sum; `w` is overwritten."""
    w = _summed(w)
    return _count(w, np.minimum(u * w[-1], np.nextafter(w[-1], 0)))  # at the sum itself, no id would be drawn


def _summed(w: Array) -> Array:
    for v in range(1, len(w)):  # 6 times faster than np.cumsum
        np.add(w[v - 1], w[v], out=w[v])
    return w


def _count(w: Array, u: Array) -> Array:
    """The number of sums up to u, (N,)."""
    count = np.int8 if len(w) < NARROW else np.intp  # the small type is 4 times faster
    return np.asarray(np.add.reduce(w <= u, axis=0, dtype=count).astype(np.intp))


def _likeliest(logits: Array) -> Array:
    ids = logits.argmax(axis=1)
    _check_largest(logits[np.arange(len(ids)), ids])
    return np.asarray(ids)


def _greedy(logits: Array) -> int:
    i = int(logits.argmax())
    x = logits.item(i)
    if x - x:  # NaN, for infinity or NaN; faster than other checks
        _check_largest(logits[i])
    return i


def _as_logits(value: Any, *shape: str) -> Array:
    logits = to_array("logits", value)
    check_shape("logits", logits, shape)
    if logits.dtype.kind not in "fiu" or logits.shape[-1] == 0:
        raise NumpyrnnError(f"logits must be real numbers, of at least one id, got {logits.dtype} {logits.shape}")
    return logits


def _check_largest(logits: Array) -> None:
    """Raise unless the largest logit of each row, which is NaN if one of the row is, is finite."""
    if not np.isfinite(logits).all():
        raise NumpyrnnError(f"the largest logit of a row must be finite, got {logits[~np.isfinite(logits)][0]}")
