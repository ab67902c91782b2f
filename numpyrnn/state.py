"""Check the state of a training, which may come from a file that anyone made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .checks import NumpyrnnError, check_count, check_numbers
from .optim import MOST_UPDATES
from .place import check_place

WEIGHTS, COUNTS = ("weights", "averaged", "best"), ("epoch", "step", "stale")  # attributes that a state holds


def check_state(state: Mapping[str, Any], trainer: Any, values: Mapping[str, Any]) -> None:
    """Raise an error of any kind unless a state is one that a trainer could have reached.

    Parameters
    ----------
    state : what `Trainer.state` returns, or something else
    trainer : Trainer
    values : its own state, without arrays
    """
    here, before = _settings(values), _settings(state)
    for name, value in before.items():
        if name not in here or value != here[name]:
            raise NumpyrnnError(f"{name} must be {value!r:.80} as before, got {here.get(name)!r:.80}")
    slots = slots_of(state)
    for name, array in ({name: state[name] for name in WEIGHTS} | slots).items():
        if not isinstance(array, np.ndarray) or array.dtype != trainer.weights.dtype:
            found = getattr(array, "dtype", None)
            raise NumpyrnnError(f"{name} must be an array of {trainer.weights.dtype}, got {found!s:.80}")
        check_numbers(name, array, trainer.weights.dtype, trainer.weights.shape)
    check_place(state, trainer.rng, trainer.weights, trainer.carry)
    trainer.optimizer.check_state(state["optimizer"]["t"], slots)
    twin = type(trainer.rng.bit_generator)()
    twin.state = state["rng"]
    odd = state["rng"]["state"].get("inc", 1) % 2 and state["rng"].get("has_uint32", 0) in (0, 1)
    if not odd or str(twin.state) != str(state["rng"]):
        raise NumpyrnnError(f"rng must be a state of {type(twin).__name__}, got {state['rng']!r:.80}")
    epoch, step = (check_count(f"{name} of the training", state[name], 0, MOST_UPDATES) for name in COUNTS[:2])
    check_count("stale of the training", state["stale"], 0, epoch)
    best, finished, history = state["best_loss"], state["finished"], state["history"]
    none = best is None and (epoch == 0 or finished is True)  # an epoch that diverged has no model
    if not isinstance(finished, bool) or not (none or (epoch and _is_number(best))):
        raise NumpyrnnError(f"finished and best_loss must fit epoch {epoch}, got {finished!r:.80}, {best!r:.80}")
    last = 0
    for record in history:
        if not _is_record(record, last, epoch, step):
            raise NumpyrnnError(f"a record of the history must hold numbers, in order, got {record!r:.80}")
        last = record["epoch"]


def slots_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of the optimiser in a state."""
    return {name.removeprefix("optimizer."): v for name, v in state.items() if name.startswith("optimizer.")}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(float(value)))


def _is_record(record: Mapping[str, Any], last: int, epoch: int, step: int) -> bool:
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
