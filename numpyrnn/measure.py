"""Measure the loss of a model; tell when its training has gone wrong, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .batches import Batch
from .checks import NotFiniteError, NumpyrnnError
from .losses import Loss, softmax_cross_entropy
from .parameters import Parameters
from .sequential import Sequential
from .threads import chosen, loss_and_gradients

DIVERGED = 100  # times the loss of a uniform guess


def explained(error: NotFiniteError, model: Sequential, grads: Parameters, step: int) -> NotFiniteError:
    """Add the step, and the parameter with a gradient that is not finite; if all are, the one with the largest weight.

    Parameters
    ----------
    error : NotFiniteError, that a step raised
    model : Sequential, as it was then
    grads : Parameters, the gradients of that step
    step : int, its number

    Returns
    -------
    NotFiniteError
    """
    kind, params = ("weight", model.params) if np.isfinite(grads.flat).all() else ("gradient", grads)
    sizes = {name: float(np.abs(array).max(initial=0)) for name, array in params.items()}
    largest = max(sizes, key=lambda name: (not np.isfinite(sizes[name]), sizes[name]))
    layer: Any = model
    parameter = largest
    while hasattr(layer, "layers"):
        number, _, parameter = parameter.partition(".")
        layer = layer.layers[int(number)]
    where = f"layer {largest.removesuffix(parameter)[:-1]} ({type(layer).__name__}), parameter {parameter}"
    return NotFiniteError(f"{error} (step {step}; {where}: largest {kind} {sizes[largest]:g})")


def is_diverged(value: float, loss: Loss, model: Sequential) -> bool:
    """Whether the cross-entropy `value` is above 100 times that of a uniform guess; False for other losses."""
    V = model.features_out(getattr(model, "input_size", 0))
    return V > 1 and getattr(loss, "validation", loss) is softmax_cross_entropy and bool(value > DIVERGED * np.log(V))


def loss_of(record: dict[str, Any]) -> float:
    """The held-out loss of an epoch or, without held-out data, its training loss."""
    return float(record["loss"] if record["valid_loss"] is None else record["valid_loss"])


def check_data(batch: Batch) -> None:
    """Raise if the data of a batch is not finite. It is no `NotFiniteError`: a lower rate would not help."""
    for name in ("x", "targets"):
        if not np.isfinite(getattr(batch, name)).all():
            raise NumpyrnnError(f"the data must be finite, the {name} of a batch hold NaN or infinity")


def checked(epoch: Any) -> Iterator[Batch]:
    """The batches of an epoch; an error if they are no batches."""
    for batch in epoch if np.iterable(epoch) else [epoch]:
        if not isinstance(batch, Batch):
            raise NumpyrnnError(f"an epoch must consist of Batch objects, got {batch!r:.80}")
        yield batch


def mean_loss(
    model: Sequential,
    batches: Iterable[Batch],
    carry: bool = False,
    loss: Loss = softmax_cross_entropy,
    step: Callable[..., tuple[float, Any]] = loss_and_gradients,
) -> float:
    """The mean loss over all targets that count, without dropout, in nats.

    It uses one thread, or the number chosen as in `numpyrnn.threads`.

    Parameters
    ----------
    model : Sequential
    batches : iterable of Batch
    carry : bool, default False
        Carry the state over from batch to batch.
    loss : function of (logits, targets, mask), default softmax cross-entropy
    step : function like `loss_and_gradients`, the default, which may share the work

    Returns
    -------
    float

    Raises
    ------
    NumpyrnnError
        if there is no batch, or a batch has the wrong shape or is not finite
    """
    total, count, state = 0.0, 0, None
    for batch in batches:
        before = state if carry else None
        try:
            mean, state = step(model, batch, None, loss=loss, state=before, workers=chosen())
        except NotFiniteError:
            check_data(batch)
            raise
        total, count = total + float(mean) * batch.places, count + batch.places
    if count == 0:
        raise NumpyrnnError("a loss needs at least one batch, got none")
    return total / count
