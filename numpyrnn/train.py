"""The training loop: loss, gradients, clipping, update, validation, early stopping, schedule and history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.random import Generator

from .batches import Batch
from .checks import NumpyrnnError, as_rng, check_count, check_numbers, check_range, check_share
from .losses import Loss, softmax_cross_entropy
from .optim import MOST_UPDATES, Optimizer, clip_by_norm, clip_by_value
from .parameters import Parameters
from .sequential import Sequential
from .threads import blas_threads, chosen, loss_and_gradients

Record = dict[str, Any]
Schedule = Callable[[float], float]
Epoch = Iterable[Batch]
Batches = Callable[[Generator], Epoch]
Valid = Callable[[], Epoch] | None

SETTINGS = "clip", "clip_norm", "schedule", "average", "carry"  # must match when a training is resumed
WEIGHTS, COUNTS = ("weights", "averaged", "best"), ("epoch", "step", "stale")  # attributes that a state holds
SCHEDULES: dict[str, Schedule] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + np.cos(np.pi * progress)) / 2,
}


class Trainer:
    """Trains a model.

    Parameters
    ----------
    model : Sequential, which maps ids to logits
    optimizer : Optimizer
    loss : function of (logits, targets, mask), default softmax cross-entropy
        Returns the mean loss over the targets that count, and its gradient; see `numpyrnn.losses`.
    workers : int, optional
        Threads that share the sequences of a batch (`loss_and_gradients`). Default: the number set by
        `blas_threads(n)` around `run` or by the environment (`numpyrnn.threads`), else 1.
    clip : float, optional, default 5
        Gradients are clipped to [-clip, clip], element by element. None: no clipping.
    clip_norm : float, optional
        Gradients are scaled down to this norm at most.
    schedule : "constant" (default), "linear" or "cosine"
        How the learning rate changes over the epochs.
    average : float, default 0
        Decay of an exponential moving average of the weights (Polyak and Juditsky 1992), which is then validated and
        kept in place of the weights. In step t = 1, 2, ... the decay is min(average, t / (9 + t)). 0: no average.
    patience : int, optional
        Stop after this many epochs in a row without a better held-out loss. Default: never.
    carry : bool, default False
        Carry the state over from batch to batch (truncated backpropagation through time over streams).
    rng : numpy Generator or int seed, default 0
        For the order of the batches and for dropout.

    Attributes
    ----------
    history : list of dict, one per epoch: epoch, step, loss, valid_loss, learning_rate, seconds, items_per_second
    epoch, step : int, numbers of epochs and steps so far
    best_loss : float, the held-out loss of the weights that are kept; without held-out data, the training loss
    finished : bool, whether training stopped early

    Raises
    ------
    NumpyrnnError
        if an argument is out of range
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
        self.grads, self.buffers = model.params.zeros_like(), list[Parameters]()  # the first worker's; the others'
        # `weights`: after the last whole epoch; `averaged`: their moving average; `best`: those that are kept.
        # During an epoch the model's own buffer is ahead of `weights`; after `run` it holds `best`.
        self.weights, self.averaged, self.best = (model.params.flat.copy() for _ in WEIGHTS)
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
        """Train up to `epochs` epochs, or until patience ends; then put the best weights into the model.

        If training is interrupted (Ctrl-C) or fails, the trainer returns to the end of the last whole epoch and raises
        again; resuming from `state` then gives the same bits. The schedule does not change the optimiser's own learning
        rate. Everything, including the callbacks, runs inside `blas_threads(workers)`.

        Parameters
        ----------
        batches : function of a Generator that returns the batches of one epoch
        epochs : int, the total number, including epochs before a `restore`
        valid : function that returns the held-out batches, optional
        accept : function, optional
            Called after each epoch, while the model holds the weights that would be kept. If it returns False, they are
            not kept (unless they are the first) and training ends.
        on_batch : function of a batch, optional, called after each step
        on_epoch : function of a record of `history`, optional, called after each epoch

        Returns
        -------
        history : list of dict

        Raises
        ------
        NumpyrnnError
            if the loss is no longer finite, or an epoch has no batch
        """
        if not callable(batches) or not (valid is None or callable(valid)):
            raise NumpyrnnError("batches and valid must be functions that return the batches of an epoch")
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
        self.model.params.flat[...] = self.best
        return self.history

    def _run_epoch(self, batches: Batches, epochs: int, valid: Valid, accept: Any, on_batch: Any) -> Record:
        start, total, count, items, state = time.perf_counter(), 0.0, 0, 0, None
        factor = SCHEDULES[self.schedule](self.epoch / epochs)
        how: dict[str, Any] = {"loss": self.loss, "rng": self.rng, "workers": chosen(), "buffers": self.buffers}
        for batch in batches(self.rng):
            before = state if self.carry else None
            loss, state = loss_and_gradients(self.model, batch, self.grads, state=before, **how)
            self._update(factor)
            total, count, items = total + float(loss) * batch.places, count + batch.places, items + batch.x.shape[1]
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

    @blas_threads(1)
    def _update(self, factor: float) -> None:
        """Clip the gradients; update the weights and their average."""
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

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs for the same bits: copies of arrays, and values that JSON can hold."""
        optimizer, arrays = self.optimizer, {name: getattr(self, name) for name in WEIGHTS}
        arrays |= {f"optimizer.{name}": array for name, array in optimizer.state.items()}
        return {
            **{name: array.copy() for name, array in arrays.items()},
            "optimizer": {"kind": type(optimizer).__name__, "t": optimizer.t, "settings": optimizer.settings},
            "settings": {name: np.asarray(getattr(self, name)).item() for name in SETTINGS},
            "rng": self.rng.bit_generator.state,
            **{name: getattr(self, name) for name in COUNTS},
            "finished": self.finished,
            "best_loss": None if self.best_loss == np.inf else self.best_loss,
            "history": list(self.history),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resume from a `state`.

        Parameters
        ----------
        state : dict from `state`, also as loaded from a model file

        Raises
        ------
        NumpyrnnError
            if the state does not fit, or if a setting that affects the results differs: those of the optimiser, clip,
            clip_norm, schedule, average and carry (states of early versions do not hold them); nothing is changed then
        """
        try:
            self._check(state)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            words = " ".join(str(error).split())
            raise NumpyrnnError(f"the state of another training cannot be resumed here ({words:.300})") from error
        self._take(state)

    def _check(self, state: Mapping[str, Any]) -> None:
        """Raise an error of any kind unless a state is one that this training could have reached."""
        here, before = _settings(self.state()), _settings(state)
        for name, value in before.items():
            if name not in here or value != here[name]:
                raise NumpyrnnError(f"{name} must be {value!r:.80} as before, got {here.get(name)!r:.80}")
        slots = _slots(state)
        for name, array in ({name: state[name] for name in WEIGHTS} | slots).items():
            if not isinstance(array, np.ndarray) or array.dtype != self.weights.dtype:
                found = getattr(array, "dtype", None)
                raise NumpyrnnError(f"{name} must be an array of {self.weights.dtype}, got {found!s:.80}")
            check_numbers(name, array, self.weights.dtype, self.weights.shape)
        self.optimizer.check_state(state["optimizer"]["t"], slots)
        twin = type(self.rng.bit_generator)()
        twin.state = state["rng"]
        odd = state["rng"]["state"].get("inc", 1) % 2 and state["rng"].get("has_uint32", 0) in (0, 1)
        if not odd or str(twin.state) != str(state["rng"]):
            raise NumpyrnnError(f"rng must be a state of {type(twin).__name__}, got {state['rng']!r:.80}")
        epoch, step = (check_count(f"{name} of the training", state[name], 0, MOST_UPDATES) for name in COUNTS[:2])
        check_count("stale of the training", state["stale"], 0, epoch)
        best, finished, history = state["best_loss"], state["finished"], state["history"]
        if not isinstance(finished, bool) or (best is None) != (epoch == 0) or not (best is None or _is_number(best)):
            raise NumpyrnnError(f"finished and best_loss must fit epoch {epoch}, got {finished!r:.80}, {best!r:.80}")
        last = 0
        for record in history:
            if not _is_record(record, last, epoch, step):
                raise NumpyrnnError(f"a record of the history must hold numbers, in order, got {record!r:.80}")
            last = record["epoch"]

    def _take(self, state: Mapping[str, Any]) -> None:
        """Restore everything in `state` except the settings."""
        for name in WEIGHTS:
            getattr(self, name)[...] = state[name]
        self.model.params.flat[...] = self.weights
        self.optimizer.load(state["optimizer"]["t"], _slots(state))
        self.rng.bit_generator.state = state["rng"]
        for name in COUNTS:
            setattr(self, name, int(state[name]))
        self.finished, self.history = state["finished"], list(state["history"])
        self.best_loss = np.inf if state["best_loss"] is None else float(state["best_loss"])


def _slots(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("optimizer."): v for name, v in state.items() if name.startswith("optimizer.")}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(float(value)))


def _is_record(record: Record, last: int, epoch: int, step: int) -> bool:
    """Whether a record of the history follows that of epoch `last`, and has only numbers, or None for a loss."""
    numbers = [value for name, value in record.items() if not (name == "valid_loss" and value is None)]
    whole = (record["epoch"], last + 1, epoch), (record.get("step", step), 0, step)
    in_order = all(isinstance(number, int) and low <= number <= high for number, low, high in whole)
    return in_order and {"loss", "valid_loss"} <= record.keys() and all(map(_is_number, numbers))


def _settings(state: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that must match when a training is resumed; states of early versions hold only the first."""
    optimizer = state["optimizer"]
    own = {f"the optimiser's {name}": value for name, value in dict(optimizer.get("settings", {})).items()}
    return {"the optimiser": optimizer["kind"], **own, **dict(state.get("settings", {}))}


def mean_loss(model: Sequential, batches: Epoch, carry: bool = False, loss: Loss = softmax_cross_entropy) -> float:
    """The mean loss over all targets that count, without dropout, in nats.

    It uses one thread, or the number chosen as in `numpyrnn.threads`.

    Parameters
    ----------
    model : Sequential
    batches : iterable of Batch
    carry : bool, default False
        Carry the state over from batch to batch.
    loss : function of (logits, targets, mask), default softmax cross-entropy

    Returns
    -------
    float

    Raises
    ------
    NumpyrnnError
        if there is no batch, or a batch has the wrong shape
    """
    total, count, state = 0.0, 0, None
    for batch in batches:
        before = state if carry else None
        mean, state = loss_and_gradients(model, batch, None, loss=loss, state=before, workers=chosen())
        total, count = total + float(mean) * batch.places, count + batch.places
    if count == 0:
        raise NumpyrnnError("a loss needs at least one batch, got none")
    return total / count
