"""The training loop: batches, loss, gradients, clip, update, validation, early stopping, schedule, history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.random import Generator

from .batches import Batch
from .checks import NumpyrnnError, as_rng, check_count, check_finite, check_range, check_shape, check_share
from .losses import Loss, softmax_cross_entropy
from .optim import Optimizer, clip_by_norm, clip_by_value
from .parameters import Parameters
from .sequential import Sequential
from .threads import blas_threads, chosen, loss_and_gradients

Record = dict[str, Any]
Schedule = Callable[[float], float]
Batches = Callable[[Generator], Iterable[Batch]]
Valid = Callable[[], Iterable[Batch]] | None

KEPT = "clip", "clip_norm", "schedule", "average", "carry"  # settings that must match when a training is resumed
SCHEDULES: dict[str, Schedule] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + np.cos(np.pi * progress)) / 2,
}


class Trainer:
    """Trains a model from ids to logits.

    Parameters
    ----------
    model : Sequential
    optimizer : Optimizer
    loss : function of (logits, targets, mask), default softmax cross-entropy
        Gives the mean over the places that count and its gradient; see `numpyrnn.losses`.
    workers : int, optional
        Threads that share the sequences of a batch (`loss_and_gradients`). Default: what
        `blas_threads(n)` around `run` or the environment sets (`numpyrnn.threads`), else 1.
    clip : float, optional, default 5
        Gradients are clipped into [-clip, clip], element by element; None: not.
    clip_norm : float, optional
        Gradients are scaled to at most this norm.
    schedule : "constant" (default), "linear" or "cosine"
        Factor on the learning rate, as a function of the share of the epochs that is done.
    average : float, default 0
        Decay of an exponential moving average of the weights (Polyak and Juditsky 1992), which is then what is
        validated and kept; its memory grows with the steps, min(average, (1 + step) / (10 + step)). 0: no average.
    patience : int, optional
        Stop after so many epochs in a row without a better held-out loss (without a held-out part: never).
    carry : bool, default False
        Hand the state of one batch on to the next (truncated backpropagation through time over streams).
    rng : numpy Generator or int seed
        For the order of the batches and for dropout.

    Attributes
    ----------
    history : list of dict, one an epoch: epoch, step, loss, valid_loss, learning_rate, seconds, items_per_second
    epoch, step : int, done so far
    best_loss : float, the held-out loss of the weights that are kept
    finished : bool, whether training ended before its epochs did
    """

    def __init__(
        self,
        model: Sequential,
        optimizer: Optimizer,
        *,
        loss: Loss = softmax_cross_entropy,
        workers: int | None = None,
        clip: float | None = 5.0,
        clip_norm: float | None = None,
        schedule: str = "constant",
        average: float = 0.0,
        patience: int | None = None,
        carry: bool = False,
        rng: Generator | int = 0,
    ):
        check_share("average", average)
        for name, count in {"patience": patience, "workers": workers}.items():
            if count is not None:
                check_count(name, count, 1)
        for name, limit in {"clip": clip, "clip_norm": clip_norm}.items():
            if limit is not None:
                check_range(name, limit, 0, open_low=True)
        if not callable(loss):
            raise NumpyrnnError(f"loss must be a function of (logits, targets, mask), got {loss!r:.80}")
        if schedule not in SCHEDULES:
            raise NumpyrnnError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
        self.model, self.optimizer, self.loss, self.workers = model, optimizer, loss, workers
        self.clip, self.clip_norm, self.schedule, self.average = clip, clip_norm, schedule, average
        self.patience, self.carry, self.rng = patience, bool(carry), as_rng(rng)
        self.grads, self.buffers = model.params.zeros_like(), list[Parameters]()  # of one worker, of the others
        # `weights`: as the last whole epoch left them; `averaged`: their moving average; `best`: what is kept.
        # While an epoch runs the model's own buffer is ahead of `weights`; after `run` it holds `best`.
        self.weights = model.params.flat.copy()
        self.averaged = model.params.flat.copy()
        self.best = model.params.flat.copy()
        self.best_loss, self.epoch, self.step, self.stale, self.finished = np.inf, 0, 0, 0, False
        self.history: list[Record] = []

    def run(
        self,
        batches: Batches,
        epochs: int,
        valid: Valid = None,
        accept: Callable[[], bool] | None = None,
        on_batch: Callable[[Batch], None] | None = None,
        on_epoch: Callable[[Record], None] | None = None,
    ) -> list[Record]:
        """Train until `epochs` epochs are done in all, or patience ends; then the model has its best weights.

        An interruption (Ctrl-C) puts everything back to the end of the last whole epoch and is passed on, so that what
        `state` gives then can be resumed to the same bits. The optimiser keeps its learning rate: an epoch multiplies
        it with the schedule's factor. All of it, the callbacks too, runs inside `blas_threads(workers)`.

        Parameters
        ----------
        batches : function of a Generator, gives the batches of one epoch
        epochs : int, counted from the first run, also after `restore`
        valid : function, gives the held-out batches
        accept : function, asked after each epoch with the weights that would be kept in the model
            If it says no, they are not kept (unless there are none yet) and training ends.
        on_batch : called after each step with its batch
        on_epoch : called after each epoch with its record

        Returns
        -------
        history : list of dict

        Raises
        ------
        NumpyrnnError
            if the loss is no longer finite
        """
        if not callable(batches) or not (valid is None or callable(valid)):
            raise NumpyrnnError("batches and valid must be functions that give the batches of an epoch")
        if self.epoch:
            self.model.params.flat[...] = self.weights
        else:
            for weights in (self.weights, self.averaged, self.best):
                weights[...] = self.model.params.flat
        before = self.state()
        try:
            with blas_threads(self.workers):
                while self.epoch < epochs and not self.finished:
                    record = self._run_epoch(batches, epochs, valid, accept, on_batch)
                    before = self.state()
                    if on_epoch:
                        on_epoch(record)
        except BaseException:
            self._take(before)
            raise
        self.use_best()
        return self.history

    def _run_epoch(self, batches: Batches, epochs: int, valid: Valid, accept: Any, on_batch: Any) -> Record:
        start, total, count, items, state = time.perf_counter(), 0.0, 0, 0, None
        factor = SCHEDULES[self.schedule](self.epoch / epochs)
        for batch in batches(self.rng):
            loss, places, state = self._step(batch, state, factor)
            total, count, items = total + loss * places, count + places, items + batch.x.shape[1]
            if on_batch:
                on_batch(batch)
        if count == 0:
            raise NumpyrnnError("an epoch needs at least one batch, got none")
        seconds = time.perf_counter() - start
        self.epoch += 1
        record: Record = {"epoch": self.epoch, "step": self.step, "loss": total / count, "valid_loss": None}
        record["learning_rate"] = float(self.optimizer.learning_rate * factor)
        flat = self.model.params.flat
        self.weights[...] = flat
        if self.average:
            flat[...] = self.averaged
        if valid is not None:
            measure = getattr(self.loss, "validation", self.loss)
            record["valid_loss"] = mean_loss(self.model, valid(), self.carry, measure)
        loss = record["valid_loss"] if valid is not None else record["loss"]
        accepted = accept is None or accept()
        better = valid is None or loss < self.best_loss
        if (accepted and better) or self.epoch == 1:
            self.best[...], self.best_loss, self.stale = flat, loss, 0
        else:
            self.stale += 1
        self.finished = not accepted or (self.patience is not None and self.stale >= self.patience)
        flat[...] = self.weights
        self.history.append(record | {"seconds": seconds, "items_per_second": items / seconds})
        return self.history[-1]

    def _step(self, batch: Batch, state: Any, factor: float) -> tuple[float, int, Any]:
        """Forward, loss, backward; clip, update."""
        start = state if self.carry else None
        how: dict[str, Any] = {"loss": self.loss, "rng": self.rng, "workers": chosen(), "buffers": self.buffers}
        loss, state = loss_and_gradients(self.model, batch, self.grads, state=start, **how)
        self._update(factor)
        return float(loss), batch.places, state

    @blas_threads(1)
    def _update(self, factor: float) -> None:
        """Clip the gradients, change the weights, and their average."""
        flat, grad = self.model.params.flat, self.grads.flat
        if self.clip is not None:
            clip_by_value(grad, self.clip)
        if self.clip_norm is not None:
            clip_by_norm(grad, self.clip_norm)
        self.optimizer.update(flat, grad, factor)
        self.step += 1
        if self.average:
            keep = min(self.average, self.step / (9 + self.step))
            self.averaged *= keep
            self.averaged += (1 - keep) * flat

    def use_best(self) -> None:
        """Put the best weights so far into the model."""
        self.model.params.flat[...] = self.best

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to go on to the same bits: copies of arrays, and values that JSON can hold."""
        arrays = {"weights": self.weights, "averaged": self.averaged, "best": self.best}
        arrays |= {f"optimizer.{name}": array for name, array in self.optimizer.state.items()}
        return {
            **{name: array.copy() for name, array in arrays.items()},
            **self._about(),
            "rng": self.rng.bit_generator.state,
            "epoch": self.epoch,
            "step": self.step,
            "stale": self.stale,
            "finished": self.finished,
            "best_loss": None if self.best_loss == np.inf else self.best_loss,
            "history": list(self.history),
        }

    def _about(self) -> dict[str, Any]:
        """The optimiser and the settings, as `state` has them."""
        optimizer, settings = self.optimizer, {name: np.asarray(getattr(self, name)).item() for name in KEPT}
        about = {"kind": type(optimizer).__name__, "t": optimizer.t, "settings": optimizer.settings}
        return {"optimizer": about, "settings": settings}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken.

        Parameters
        ----------
        state : dict from `state`, also by way of a checkpoint

        Raises
        ------
        NumpyrnnError
            if it does not belong to a training of this form, or one of the settings that decide its bits (all of the
            optimiser's, clip, clip_norm, schedule, average, carry) was another one; earlier states do not name them.
            Nothing is changed then
        """
        now = self.state()
        try:
            here = _settings(self._about())
            for name, before in _settings(state).items():
                if here.get(name) != before:
                    raise NumpyrnnError(f"{name} must be {before!r} as before, got {here.get(name)!r}")
            for name in ("weights", "averaged", "best"):
                check_shape(name, state[name], self.weights.shape)
                check_finite(name, state[name])
            self._take(state)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._take(now)
            raise NumpyrnnError(f"the state of another training cannot be resumed here ({error})") from error

    def _take(self, state: dict[str, Any]) -> None:
        """Put everything to where `state` was taken, but for the settings."""
        slots = {k.removeprefix("optimizer."): v for k, v in state.items() if k.startswith("optimizer.")}
        self.weights[...] = state["weights"]
        self.model.params.flat[...] = self.weights
        self.averaged[...], self.best[...] = state["averaged"], state["best"]
        self.optimizer.load(state["optimizer"]["t"], slots)
        self.rng.bit_generator.state = state["rng"]
        self.epoch, self.step, self.stale = state["epoch"], state["step"], state["stale"]
        self.finished = state["finished"]
        self.best_loss = np.inf if state["best_loss"] is None else float(state["best_loss"])
        self.history = list(state["history"])
        for count in (self.epoch, self.step, self.stale):
            check_count("a count of the training", count, 0)
        for record in self.history:
            figures = record["epoch"], record["loss"], record["valid_loss"] or 0.0
            if not all(isinstance(figure, int | float) for figure in figures):
                raise NumpyrnnError(f"a record of the history must hold numbers, got {record!r:.80}")


def _settings(state: dict[str, Any]) -> dict[str, Any]:
    """What must be as it was where a training goes on; states of earlier versions have the first only."""
    optimizer = dict(state["optimizer"])
    own = {f"the optimiser's {name}": value for name, value in dict(optimizer.get("settings", {})).items()}
    return {"the optimiser": optimizer["kind"], **own, **dict(state.get("settings", {}))}


def mean_loss(
    model: Sequential, batches: Iterable[Batch], carry: bool = False, loss: Loss = softmax_cross_entropy
) -> float:
    """Mean loss over all places that count, without dropout, in nats.

    The threads are those of `numpyrnn.threads`: one, or as many as you choose.

    Parameters
    ----------
    model : Sequential
    batches : iterable of Batch
    carry : bool, default False
        Hand the state of one batch on to the next.
    loss : function of (logits, targets, mask), default softmax cross-entropy

    Returns
    -------
    float
    """
    total, count, state = 0.0, 0, None
    for batch in batches:
        start = state if carry else None
        mean, state = loss_and_gradients(model, batch, None, loss=loss, state=start, workers=chosen())
        total, count = total + float(mean) * batch.places, count + batch.places
    if count == 0:
        raise NumpyrnnError("a loss needs at least one batch, got none")
    return total / count
