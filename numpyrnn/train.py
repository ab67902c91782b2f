"""The training loop: loss, gradients, clipping, update, validation, early stopping, schedule and history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.random import Generator

from . import checks
from .batches import Batch
from .checks import NotFiniteError, NumpyrnnError, as_rng, check_count, check_range, check_share
from .losses import Loss, softmax_cross_entropy
from .measure import check_data, checked, explained, is_diverged, loss_of
from .measure import mean_loss as mean_loss
from .optim import SCHEDULES as SCHEDULES
from .optim import Optimizer, clip_by_norm, clip_by_value
from .parameters import Parameters
from .place import FIGURES, Place, beginning, rest, unflattened
from .ranks import Ranks, checksum_of, world
from .sequential import Sequential
from .signals import held
from .state import COUNTS, WEIGHTS, alike, arrays_of, check_state, slots_of, values_of
from .threads import blas_threads, chosen, loss_and_gradients

Record = dict[str, Any]
Epoch = Iterable[Batch]
Batches = Callable[[Generator], Epoch]
Valid = Callable[[], Epoch] | None

HALVINGS = 5  # of the learning rate in a row, before a training that rolls back gives up


class Trainer:
    """Trains a model.

    Parameters
    ----------
    model : Sequential, which maps ids to logits
    optimizer : Optimizer
    loss : function of (logits, targets, mask), default softmax cross-entropy
        Returns the mean loss over the targets that count, and its gradient; see `numpyrnn.losses`.
    workers : int or "mpi", optional
        Threads that share the sequences of a batch (`loss_and_gradients`). Default: the number set by
        `blas_threads(n)` around `run` or by the environment (`numpyrnn.threads`), else 1. Under `mpiexec`, the default
        and "mpi" share them among the processes instead (`numpyrnn.ranks`); a number trains in this process alone.
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
    on_nan : "stop" (default) or "rollback"
        If a loss, a gradient or the weights are no longer finite: raise, or return to the last good epoch (or to the
        last call of `keep`) and halve the learning rate. After five halvings in a row without an epoch, raise.

    Attributes
    ----------
    history : list of dict, one per epoch: epoch, step, loss, valid_loss, learning_rate, seconds, items_per_second
    epoch, step : int, numbers of epochs and steps so far
    best_loss : float, the held-out loss of the weights that are kept; without held-out data, the training loss
    finished : bool, whether training stopped early
    rate : float, by which the learning rate is multiplied after rollbacks: 1, 1/2, 1/4, ...
    place : dict, or None; sums over the batches of an epoch that is not complete, and the random state at its beginning
    kept : dict, the state to which a training that is interrupted or fails returns; see `keep`

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
        workers: int | str | None = None,
        clip: float | None = 5.0,
        clip_norm: float | None = None,
        schedule: str = "constant",
        average: float = 0.0,
        patience: int | None = None,
        carry: bool = False,
        rng: Generator | int = 0,
        on_nan: str = "stop",
    ):
        for name, given, kind in (("model", model, Sequential), ("optimizer", optimizer, Optimizer)):
            if not isinstance(given, kind):
                raise NumpyrnnError(f"{name} must be of type {kind.__name__}, got {given!r:.80}")
        check_share("average", average)
        for name, count in {"patience": patience, "workers": None if workers == "mpi" else workers}.items():
            if count is not None:
                check_count(name, count, 1)  # type: ignore[arg-type]
        for name, limit in {"clip": clip, "clip_norm": clip_norm}.items():
            if limit is not None:
                check_range(name, limit, 0, open_low=True)
        if not callable(loss):
            raise NumpyrnnError(f"loss must be a function of (logits, targets, mask), got {loss!r:.80}")
        if schedule not in SCHEDULES:
            raise NumpyrnnError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
        if on_nan not in ("stop", "rollback"):
            raise NumpyrnnError(f"on_nan must be 'stop' or 'rollback', got {on_nan!r}")
        self.model, self.optimizer, self.loss, self.workers = model, optimizer, loss, workers
        self.clip, self.clip_norm, self.schedule, self.average = clip, clip_norm, schedule, average
        self.patience, self.carry, self.rng, self.on_nan = patience and int(patience), bool(carry), as_rng(rng), on_nan
        self.grads, self.buffers = model.params.zeros_like(), list[Parameters]()  # the first worker's; the others'
        # `weights`: after the last whole epoch; `averaged`: their moving average; `best`: those that are kept.
        # During an epoch the model's own buffer is ahead of `weights`; after `run` it holds `best`.
        self.weights, self.averaged, self.best = (model.params.flat.copy() for _ in WEIGHTS)
        self.best_loss, self.epoch, self.step, self.stale, self.finished = np.inf, 0, 0, 0, False
        self.history: list[Record] = []
        self.rate, self.kept = 1.0, dict[str, Any]()
        self.place: Place | None = None
        self.carried: Any = None

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        vars(self).update(attributes)
        for name in WEIGHTS:
            setattr(self, name, np.array(getattr(self, name)))  # writable, even if joblib has mapped them
        self.kept = {
            name: value.copy() if isinstance(value, np.ndarray) else value for name, value in self.kept.items()
        }

    __copy__ = deepcopy  # two trainers of one model would spoil each other's work

    def run(
        self,
        batches: Batches,
        epochs: int,
        valid: Valid = None,
        accept: Callable[[], bool] | None = None,
        on_batch: Callable[[Batch], None] | None = None,
        on_epoch: Callable[[Record], None] | None = None,
        on_rollback: Callable[[NotFiniteError], None] | None = None,
    ) -> list[Record]:
        """Train up to `epochs` epochs, or until patience ends; then put the best weights into the model.

        If training is interrupted (Ctrl-C) or fails, the trainer returns to the end of the last whole epoch, or to the
        last call of `keep`, and raises again; resuming from `state` then gives the same bits. If memory runs out while
        an epoch is validated, the training stays at the end of its steps, and validates again when it is resumed.
        Training also ends after an epoch whose loss (held out, if there is such data) is above 100 times that of a
        uniform guess: the trainer is then `diverged`. The schedule does not change the optimiser's own learning rate.
        Everything, including the callbacks, runs inside `blas_threads(workers)`.

        Parameters
        ----------
        batches : function of a Generator that returns the batches of one epoch
            Resuming within an epoch gives the same bits if all draws are made before its first batch.
        epochs : int, the total number, including epochs before a `restore`
        valid : function that returns the held-out batches, optional
        accept : function, optional
            Called after each epoch, while the model holds the weights that would be kept. If it returns False, they are
            not kept (unless they are the first) and training ends.
        on_batch : function of a batch, optional, called after each step
        on_epoch : function of a record of `history`, optional, called after each epoch
        on_rollback : function of the error, optional, called after each rollback (see `on_nan`)

        Returns
        -------
        history : list of dict

        Raises
        ------
        NotFiniteError
            if a loss, a gradient or the weights are no longer finite; names the step, layer and parameter
        NumpyrnnError
            if an epoch has no batch, or the data is not finite
        """
        if not callable(batches) or not (valid is None or callable(valid)):
            raise NumpyrnnError("batches and valid must be functions that return the batches of an epoch")
        ranks = self.ranks
        if self.step:
            self.model.params.flat[...] = self.weights
        else:
            for weights in (self.weights, self.averaged, self.best):
                weights[...] = self.model.params.flat
        for name in self.optimizer.slots:  # now, so that later there is memory to keep them
            self.optimizer.state.setdefault(name, np.zeros_like(self.weights))
        self.keep()
        halved = 0
        try:
            threads: Any = None if self.workers == "mpi" else self.workers
            functions = valid, accept, on_batch, on_epoch, on_rollback
            together = ranks.together(alike(self, epochs, *functions)) if ranks else nullcontext()
            with blas_threads(threads), together, np.errstate(over="ignore", invalid="ignore"):  # which end in an error
                while self.epoch < epochs and not self.finished:
                    try:
                        record = self._run_epoch(batches, epochs, valid, accept, on_batch)
                        self.keep()
                    except NotFiniteError as error:
                        found, halved = explained(error, self.model, self.grads, self.step + 1), halved + 1
                        if self.on_nan == "stop" or halved > HALVINGS:
                            raise found from error
                        self._return()
                        self.rate /= 2
                        self.keep()
                        self._call(on_rollback, found)
                        continue
                    halved = 0
                    self._call(on_epoch, record)
        except BaseException:
            self._return()
            raise
        self.model.params.flat[...] = self.best
        return self.history

    def _run_epoch(self, batches: Batches, epochs: int, valid: Valid, accept: Any, on_batch: Any) -> Record:
        ranks = self.ranks
        step: Any = ranks.loss_and_gradients if ranks else loss_and_gradients
        if place := self.place:
            epoch, state = rest(batches, self.rng, place, self.model, self.carried)
            state = ranks.own(state) if ranks else state
        else:
            place = self.place = beginning(self.rng)
            epoch, state = batches(self.rng), None
        start = time.perf_counter() - place["seconds"]
        factor = self.rate * SCHEDULES[self.schedule](self.epoch / epochs)
        how: dict[str, Any] = {"loss": self.loss, "rng": self.rng, "workers": chosen(), "buffers": self.buffers}
        for batch in checked(epoch):
            try:
                loss, state = step(self.model, batch, self.grads, state=state, **how)
            except NotFiniteError:
                check_data(batch)
                raise
            state = self.carried = state if self.carry else None
            self._update(factor)
            more = 1, float(loss) * batch.places, batch.places, batch.x.shape[1]
            for name, number in zip(FIGURES, more, strict=True):
                place[name] += number
            place["seconds"] = time.perf_counter() - start
            self._call(on_batch, batch)
        if place["count"] == 0:
            raise NumpyrnnError("an epoch needs at least one batch, got none")
        self.epoch += 1
        record: Record = {"epoch": self.epoch, "step": self.step, "loss": place["loss"] / place["count"]}
        record |= {"valid_loss": None, "learning_rate": float(self.optimizer.learning_rate * factor)}
        flat = self.model.params.flat
        self.weights[...] = flat
        try:
            if self.average:
                flat[...] = self.averaged
            if valid is not None:
                measure = getattr(self.loss, "validation", self.loss)
                record["valid_loss"] = mean_loss(self.model, checked(valid()), self.carry, measure, step)
            accept = accept or (lambda: True)
            accepted = ranks.ask(accept, checksum_of(flat)) if ranks else accept()
        except MemoryError as error:
            if ranks:
                ranks.tell(error)
            flat[...] = self.weights
            self.epoch -= 1
            self.keep()
            raise
        loss = loss_of(record)
        if not np.isfinite(loss):
            raise NotFiniteError(f"the held-out loss must stay finite, got {loss}")
        rate = {"seconds": place["seconds"], "items_per_second": place["items"] / place["seconds"]}
        self.history.append(record | rate)
        better = valid is None or loss < self.best_loss
        if not self.diverged and ((accepted and better) or self.epoch == 1):
            self.best[...], self.best_loss, self.stale = flat, loss, 0
        else:
            self.stale += 1
        stale = self.patience is not None and self.stale >= self.patience
        self.finished, self.place, self.carried = bool(not accepted or stale or self.diverged), None, None
        flat[...] = self.weights
        return self.history[-1]

    @property
    def ranks(self) -> Ranks | None:
        """The processes of MPI that train together; None if this one trains alone."""
        return world(self.workers)

    @property
    def rank(self) -> int:
        """The number of this process under `mpiexec`: 0 for the one that prints and writes, and without MPI."""
        return self.ranks.rank if self.ranks else 0

    def _call(self, callback: Callable[[Any], Any] | None, argument: Any) -> None:
        """Call a callback, if there is one, on rank 0."""
        if callback and (ranks := self.ranks):
            ranks.call(callback, argument, self._keep)
        elif callback:
            callback(argument)

    @property
    def diverged(self) -> bool:
        """Whether the loss of the last epoch is above 100 times that of a uniform guess (for cross-entropies)."""
        return bool(self.history) and is_diverged(loss_of(self.history[-1]), self.loss, self.model)

    def keep(self) -> None:
        """Keep the training as it is between two steps, so that it returns to this place if it fails.

        `run` calls it after each epoch. Call it in `on_batch` if epochs are long. `kept` is then what `state` would
        return, in arrays that are made only once: neither keeping nor saving `kept` needs memory for them.

        Raises
        ------
        NotFiniteError
            if the weights are not finite
        """
        if ranks := self.ranks:
            ranks.keeping()
        self._keep()

    def _keep(self) -> None:
        checks.check_finite("weights", self.model.params.flat)
        arrays, values = arrays_of(self), values_of(self)  # the last to need memory, so that nothing is half kept
        with held():
            self.weights[...] = self.model.params.flat
            for name, array in arrays.items():
                if name not in self.kept or self.kept[name].shape != array.shape:
                    arrays[name] = array.copy()
                else:
                    self.kept[name][...], arrays[name] = array, self.kept[name]
            self.kept = arrays | values

    def _return(self) -> None:
        """Return to the place that was kept."""
        with held():
            self.optimizer.state = {}  # makes room for the copies
            self._take(self.kept)
            self.optimizer.state = self.optimizer.state if self.step else {}

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
        if self.place is None:
            return {name: array.copy() for name, array in arrays_of(self).items()} | values_of(self)
        if self.place["batch"]:
            self.keep()  # so that the weights are those of this place, too
        return deepcopy(self.kept)

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
            check_state(state, self, values_of(self))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            words = " ".join(str(error).split())
            raise NumpyrnnError(f"the state of another training cannot be resumed here ({words:.300})") from error
        self._take(state)

    def _take(self, state: Mapping[str, Any]) -> None:
        """Restore everything in `state` except the settings."""
        for name in WEIGHTS:
            getattr(self, name)[...] = state[name]
        self.model.params.flat[...] = self.weights
        self.optimizer.load(state["optimizer"]["t"], slots_of(state))
        self.place = state.get("place") and dict(state["place"])
        self.carried = unflattened(state) if self.carry and self.place else None
        self.rate = state.get("rate", 1.0)
        self.rng.bit_generator.state = state["rng"]
        for name in COUNTS:
            setattr(self, name, int(state[name]))
        self.finished, self.history = state["finished"], list(state["history"])
        self.best_loss = np.inf if state["best_loss"] is None else float(state["best_loss"])
