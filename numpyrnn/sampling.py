"""Sequences of ids, one or many at once: each drawn id is the next input."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np

from .checks import Array, NumpyrnnError, check_count, check_ids, check_shape, is_integer
from .layer import leaves, map_state
from .sampler import Sampler as Sampler
from .sequential import Sequential
from .stepper import Stepper, can_step
from .threads import blas_threads, run_all

BLOCK = 4096  # sequences written side by side, few enough for their states to stay in the cache
WORTH = 2e8  # operations per step, over all sequences, from which several workers are faster than one
WIDE = 1024  # columns; BLAS uses one thread for narrower products (up to 460,800 weights) anyway


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
    if stop is None:
        return np.array(list(islice(tokens, steps)), np.intp)
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
        places = lengths[running]
        ids = sampler.draw(logits[0], None if keys is None else uniforms(keys[running], places))
        written[running, places] = ids
        lengths[running] = places + 1
        going = (places + 1 < steps) & (ids != stop)
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
