"""From logits to ids: greedy, temperature, top-k, top-p; one sequence or many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.random import Generator

from .activations import softmax
from .checks import Array, NumpyrnnError, as_rng, check_count, check_ids, check_range, check_shape, is_integer
from .layer import leaves, map_state
from .sequential import Sequential
from .stepper import Stepper, can_step
from .threads import blas_threads, run_all

HOTTEST = 1e6  # a temperature at which all ids are equally probable; higher ones change nothing
BLOCK = 4096  # sequences written side by side, few enough for their states to stay in the cache
NOISE = 64  # rows of noise that are drawn at once
WORTH = 2e8  # operations per step, over all sequences, from which several workers are faster than one
WIDE = 1024  # columns; BLAS uses one thread for narrower products (up to 460,800 weights) anyway


class Sampler:
    """How to draw the next id from logits. The settings must not be changed later.

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
        self.single = cache(self._single)  # cached, because each function holds a supply of noise

    def probabilities(self, logits: Array) -> Array:
        """The distribution from which ids are drawn.

        Parameters
        ----------
        logits : (N, V) floating

        Returns
        -------
        (N, V), rows that sum to one
        """
        logits = np.asarray(logits)
        V = logits.shape[1]
        if self.temperature == 0:
            return np.asarray(logits.argmax(axis=1)[:, None] == np.arange(V), logits.dtype)
        if self.top_k is not None and self.top_k < V:
            dropped = np.argpartition(logits, V - self.top_k, axis=1)[:, : V - self.top_k]
            logits = logits.copy()
            np.put_along_axis(logits, dropped, -np.inf, axis=1)
        p = softmax(self._heated(logits - logits.max(axis=1, keepdims=True)))
        if self.top_p is not None and self.top_p < 1:
            order = np.argsort(-p, axis=1, kind="stable")
            ranked = np.take_along_axis(p, order, axis=1)
            beyond = ranked.cumsum(axis=1) - ranked >= self.top_p  # the ids before it reach p
            np.put_along_axis(p, order, np.where(beyond, 0, ranked), axis=1)
            p /= p.sum(axis=1, keepdims=True)
        return p

    def draw(self, logits: Array, u: Array | None = None) -> Array:
        """Draw one id for each row, by inversion of the cumulative distribution.

        Parameters
        ----------
        logits : (N, V) floating
        u : (N,) floating, 0 <= u < 1, the random numbers to use; by default the sampler's own

        Returns
        -------
        (N,) integers

        Raises
        ------
        NumpyrnnError
            if a shape is wrong, or a logit is NaN or plus infinity
        """
        _check_logits(logits, "N", "V")
        if u is not None:
            check_shape("u", u, (len(logits),))
        if self.temperature == 0:
            return np.asarray(logits.argmax(axis=1))
        if self.top_k is None and self.top_p is None:
            w = logits.T.copy()  # (V, N), so that each sum below runs over one contiguous row
            w -= w.max(axis=0)
            np.exp(self._heated(w), out=w)
        else:
            w = np.ascontiguousarray(self.probabilities(logits).T)
        for v in range(1, len(w)):  # 6 times faster than np.cumsum
            np.add(w[v - 1], w[v], out=w[v])
        u = ((self.rng.random(w.shape[1]) if u is None else u) * w[-1]).astype(w.dtype)
        np.minimum(u, np.nextafter(w[-1], 0), out=u)  # if rounding raised u to the sum, it would draw no id
        count = np.int8 if len(w) < 128 else np.intp  # the small type is 4 times faster
        return np.asarray(np.add.reduce(w <= u, axis=0, dtype=count).astype(np.intp))

    def draw_one(self, logits: Array) -> int:
        """Draw one id from one row.

        Without top-k and top-p, this takes the largest logits / temperature + Gumbel noise. The distribution is that of
        `draw` (Gumbel 1954), but there are fewer calls, because the noise of many draws is made at once.

        Parameters
        ----------
        logits : (V,) floating

        Returns
        -------
        int

        Raises
        ------
        NumpyrnnError
            if the shape is wrong, or a logit is NaN or plus infinity
        """
        _check_logits(logits, "V")
        return self.single(len(logits), logits.dtype)(logits)

    def _single(self, V: int, dtype: Any) -> Callable[[Array], int]:
        """`draw_one` without its checks, for rows of one length and dtype."""
        if self.temperature == 0:
            return lambda logits: int(logits.argmax())
        if self.top_k is not None or self.top_p is not None:
            return lambda logits: int(self.draw(logits[None])[0])

        def gumbel() -> Iterator[Array]:
            while True:
                noise = np.maximum(self.rng.standard_exponential((NOISE, V), dtype), np.finfo(dtype).tiny)
                yield from np.log(noise, noise) * np.asarray(-self.temperature, dtype)

        noise, add, w = gumbel().__next__, np.add, np.empty(V, dtype)
        return lambda logits: int(add(logits, noise(), w).argmax())

    def _heated(self, logits: Array) -> Array:
        """Divide logits, none of them above 0, by the temperature."""
        if self.temperature == 1:
            return logits
        with np.errstate(over="ignore"):  # -inf, for a tiny temperature, is a probability of zero
            return np.asarray((logits / np.float64(self.temperature)).astype(logits.dtype))


def _check_logits(logits: Array, *shape: str) -> None:
    check_shape("logits", logits, shape)
    if not (logits < np.inf).all():  # minus infinity is a probability of zero
        raise NumpyrnnError("logits must be numbers below infinity, got NaN or infinity")


def generate(
    model: Sequential | Stepper,
    prompt: Array,
    sampler: Sampler,
    steps: int,
    stop: int | None = None,
    state: Any = None,
    workers: int | None = None,
) -> list[Array]:
    """Continue one prompt or many: each drawn id is the next input.

    Parameters
    ----------
    model : Sequential from ids to logits, or a `Stepper` of it, which writes one sequence after the other
    prompt : (P,) integers for one sequence, or (P, N) for N sequences at once; P is at least 1
    sampler : Sampler
    steps : int, the largest number of ids to draw for a sequence
    stop : int, optional
        The id that ends a sequence.
    state : initial state of the N sequences, default zeros; not for a stepper
    workers : int, optional; not for a stepper
        Threads that share the sequences. Each sequence then has its own random stream, so the number of threads changes
        nothing but rounding. A second thread nearly halves the time of long steps (2,000 sequences of an LSTM of 256
        units). For short steps one thread does all the work. By default there is one thread, and all sequences draw
        from the sampler's stream.

    Returns
    -------
    list of N integer arrays: the ids drawn, without the prompt, with `stop` at the end if it was drawn

    Raises
    ------
    NumpyrnnError
        if the prompt is empty, an id is out of range, a stepper gets a state or workers, or the model has pooling
    """
    prompt = np.asarray(prompt)
    if not is_integer(prompt) or prompt.ndim not in (1, 2) or 0 in prompt.shape:
        raise NumpyrnnError(f"prompt must be integers of shape (P,) or (P, N), got {prompt.dtype} {prompt.shape}")
    if prompt.size > 1 or not 0 <= prompt.item() < model.input_size:  # for one id, check_ids takes too long
        check_ids("prompt", prompt, model.input_size)
    check_count("steps", steps, 0)
    prompt = prompt.reshape(len(prompt), -1)
    N = prompt.shape[1]
    if isinstance(model, Stepper) and (state is not None or workers is not None):
        raise NumpyrnnError("a Stepper writes one sequence after the other, from zeros: state and workers must be None")
    if isinstance(model, Stepper) or (N == 1 and state is None and workers is None):
        return [_ended(stream(model, prompt[:, n], sampler), steps, stop) for n in range(N)]
    _check_stepwise(model)
    for rows in leaves(state):
        check_shape("state", rows, (N, *rows.shape[1:]))
    write = partial(_generate_many, model, sampler, steps, stop)
    if workers is None:
        with blas_threads():
            return write(prompt, state, None)
    check_count("workers", workers, 1)
    keys = sampler.rng.integers(0, 2**64, N, np.uint64)
    worth = 2 * model.params.flat.size * min(N, BLOCK) >= WORTH
    parts = np.array_split(np.arange(N), min(workers, N) if worth else 1)
    with blas_threads(1):
        tasks = [partial(write, prompt[:, rows], _rows(state, rows), keys[rows]) for rows in parts]
        return list(chain.from_iterable(run_all(tasks)))


def uniforms(keys: Array, t: Array) -> Array:
    """Uniform random number t = 0, 1, 2, ... of the stream of each key, by SplitMix64 (Steele, Lea and Flood 2014).

    Any two of N streams of length L overlap with a probability of about N^2 L / 2^64.

    Parameters
    ----------
    keys : (N,) uint64
    t : (N,) integers

    Returns
    -------
    (N,) float64, 0 <= u < 1, made of the upper 53 bits
    """
    z = keys + (t.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53)


def stream(model: Sequential | Stepper, prompt: Array, sampler: Sampler, window: int | None = None) -> Iterator[int]:
    """Continue a prompt endlessly, and yield each id as soon as it is drawn.

    The state of recurrent layers and convolutions is carried over, so that each id costs one step.

    Parameters
    ----------
    model : Sequential from ids to logits, or a `Stepper` of it
    prompt : (P,) integers, P is at least 1
    sampler : Sampler
    window : int, optional; not for a stepper
        Draw each id after a new pass over the last `window` ids. This is for models trained on windows, and for models
        with pooling, which cannot carry a state.

    Yields
    ------
    int

    Raises
    ------
    NumpyrnnError
        if the prompt is empty, an id is out of range, a stepper gets a window, or a model with pooling gets none
    """
    prompt = np.asarray(prompt)
    if not is_integer(prompt) or prompt.ndim != 1 or not len(prompt):
        raise NumpyrnnError(f"prompt must be integers of shape (P,), got {prompt.dtype} {prompt.shape}")
    check_ids("prompt", prompt, model.input_size)
    if window is not None and isinstance(model, Stepper):
        raise NumpyrnnError("a Stepper carries its state: window must be None")
    if window is not None:
        check_count("window", window, 1)
    elif isinstance(model, Sequential):
        _check_stepwise(model)
        model = Stepper(model) if can_step(model) else model
    if isinstance(model, Stepper):
        return _by_steps(model, prompt.tolist(), sampler)
    return _by_passes(model, prompt, sampler, window)


def _by_steps(stepper: Stepper, prompt: list[int], sampler: Sampler) -> Iterator[int]:
    stepper.begin()
    try:
        step = blas_threads()(stepper.advance) if stepper.widest >= WIDE else stepper.advance
        for token in prompt[:-1]:
            step(token)
        token, draw = prompt[-1], sampler.single(stepper.output_size, stepper.dtype)
        while True:
            token = draw(step(token))
            yield token
    finally:
        stepper.in_use.release()


def _by_passes(model: Sequential, prompt: Array, sampler: Sampler, window: int | None) -> Iterator[int]:
    """Pass over the last `window` ids; without a window, over the new id with the state carried."""
    x, state, forward = prompt[-(window or 0) :], None, blas_threads()(model.forward)
    while True:
        logits, after, _ = forward(x[:, None], state, cache=False)
        token = sampler.draw_one(logits[-1, 0])
        yield token
        x, state = (np.array([token]), after) if window is None else (np.append(x, token)[-window:], None)


def _check_stepwise(model: Sequential) -> None:
    if not model.stepwise:
        raise NumpyrnnError("a model with pooling has no steps to continue from: use stream(..., window=)")


def _ended(tokens: Iterator[int], steps: int, stop: int | None) -> Array:
    written = []
    for token in islice(tokens, steps):
        written.append(token)
        if token == stop:
            break
    return np.array(written, np.intp)


def _generate_many(
    model: Sequential, sampler: Sampler, steps: int, stop: int | None, prompt: Array, state: Any, keys: Array | None
) -> list[Array]:
    """Write up to BLOCK sequences side by side; as soon as one has ended, the next one takes its place."""
    if len(prompt) > 1:
        _, state, _ = model.forward(prompt[:-1], state, cache=False)
    first, first_state, N = prompt[-1], state, prompt.shape[1]
    written, lengths = np.zeros((N, steps), np.intp), np.zeros(N, np.intp)
    running = np.arange(min(N, BLOCK) if steps else 0)
    ids, state, n_started = first[running], _rows(state, running), len(running)
    while len(running):
        logits, state, _ = model.forward(ids[None], state, cache=False)
        ids = sampler.draw(logits[0], None if keys is None else uniforms(keys[running], lengths[running]))
        written[running, lengths[running]] = ids
        lengths[running] += 1
        going = (lengths[running] < steps) & (ids != stop)
        if not going.all():
            keep = np.flatnonzero(going)
            fresh = np.arange(n_started, min(N, n_started + BLOCK - len(keep)))
            n_started += len(fresh)
            running, ids = np.append(running[keep], fresh), np.append(ids[keep], first[fresh])
            state = _join(_rows(state, keep), _rows(first_state, fresh), len(fresh))
    return [row[:length] for row, length in zip(written, lengths.tolist(), strict=True)]


def _rows(state: Any, rows: Array) -> Any:
    """Some rows of each array of a state."""
    return map_state(lambda array: array.take(rows, 0), state)


def _join(state: Any, more: Any, n_more: int) -> Any:
    """The rows of `state`, then the `n_more` rows of `more`; None stands for zeros."""
    if n_more == 0 or state is None:
        return state
    if isinstance(state, tuple):
        return tuple(_join(part, None if more is None else more[i], n_more) for i, part in enumerate(state))
    return np.concatenate([state, np.zeros((n_more, *state.shape[1:]), state.dtype) if more is None else more])
