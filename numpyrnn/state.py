"""The state of a training: what it holds, and a check of one that may come from a file that anyone made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .checks import NumpyrnnError, check_count, check_numbers
from .measure import loss_of
from .optim import MOST_UPDATES
from .place import carried_of, check_place, check_rng, flattened
from .ranks import checksum_of, versions

WEIGHTS, COUNTS = ("weights", "averaged", "best"), ("epoch", "step", "stale")  # attributes that a state holds
SETTINGS = "clip", "clip_norm", "schedule", "average", "carry"  # must match when a training is resumed


def arrays_of(trainer: Any) -> dict[str, Any]:
    """The arrays of a trainer's state: those of the trainer itself, no copies."""
    inside, carried = trainer.carry and trainer.place, trainer.carried
    if inside and trainer.ranks and not isinstance(carried, np.ndarray):
        carried = trainer.ranks.whole(carried)
    arrays = flattened(carried, trainer.weights) if inside else {}
    arrays |= {name: getattr(trainer, name) for name in WEIGHTS}
    return arrays | {f"optimizer.{name}": array for name, array in trainer.optimizer.state.items()}


def values_of(trainer: Any) -> dict[str, Any]:
    """The other values of a trainer's state."""
    optimizer, place = trainer.optimizer, trainer.place and trainer.place.copy()
    return {
        "optimizer": {"kind": type(optimizer).__name__, "t": optimizer.t, "settings": optimizer.settings},
        "settings": {name: np.asarray(getattr(trainer, name)).item() for name in SETTINGS},
        "rng": trainer.rng.bit_generator.state,
        **{name: getattr(trainer, name) for name in COUNTS},
        "finished": trainer.finished,
        "best_loss": None if trainer.best_loss == np.inf else trainer.best_loss,
        "history": list(trainer.history),
        "rate": trainer.rate,
        "place": place,
    }


def alike(trainer: Any, epochs: int, *functions: Any) -> dict[str, Any]:
    """What must be the same on all ranks when a training begins: a number or a few words for each."""
    values = values_of(trainer) | {"place": trainer.place and trainer.place["batch"], "history": len(trainer.history)}
    given = ["" if function is None else "given" for function in functions]
    network = checksum_of(np.frombuffer(repr(trainer.model.config()).encode(), np.uint8))
    return {
        "versions": versions(),
        "network": f"checksum {network}",
        **{name: f"checksum {checksum_of(array)}" for name, array in arrays_of(trainer).items()},
        **{name.replace("rng", "random state"): value for name, value in values.items()},
        **{"patience": trainer.patience, "on_nan": trainer.on_nan, "epochs": epochs, "functions": given},
    }


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
    slots, carried = slots_of(state), carried_of(state) if trainer.carry and state.get("place") else {}
    known = {*WEIGHTS, *values, *map("optimizer.{}".format, slots), *carried}
    if not state.keys() <= known:
        raise NumpyrnnError(f"a state must hold nothing else, got {min(map(str, state.keys() - known))!r:.80}")
    for name, array in ({name: state[name] for name in WEIGHTS} | slots | carried).items():
        if not isinstance(array, np.ndarray) or array.dtype != trainer.weights.dtype:
            found = getattr(array, "dtype", None)
            raise NumpyrnnError(f"{name} must be an array of {trainer.weights.dtype}, got {found!s:.80}")
        check_numbers(name, array, trainer.weights.dtype, trainer.weights.shape)
    trainer.optimizer.check_state(state["optimizer"]["t"], slots)
    check_rng(state["rng"], trainer.rng)
    check_place(state, trainer.rng)
    _check_progress(state)


def _check_progress(state: Mapping[str, Any]) -> None:
    """Raise unless the counts, the history and the best loss of a state fit together."""
    epoch = check_count("epoch of the training", state["epoch"], 0, MOST_UPDATES)
    batches = state["place"]["batch"] if state.get("place") else 0
    step = check_count("step of the training", state["step"], epoch + batches, MOST_UPDATES)
    check_count("stale of the training", state["stale"], 0, epoch)
    check_count("t of the optimiser", state["optimizer"]["t"], step)  # more, if it was used before
    best, finished, history = state["best_loss"], state["finished"], list(state["history"])
    for number, record in enumerate(history, 1):
        if not _is_record(record, number, step):
            raise NumpyrnnError(f"a record of the history must hold numbers, in order, got {record!r:.80}")
    if len(history) != epoch or not isinstance(finished, bool):
        raise NumpyrnnError(f"a history must have {epoch} records, got {len(history)}; finished: {finished!r:.80}")
    last = history[-1].get("step", step - batches) if history else 0  # states of early versions do not hold it
    if step != last + batches:
        raise NumpyrnnError(f"step of the training must be {last + batches} after the last epoch's, got {step}")
    losses: list[Any] = [*map(loss_of, history), *[None] * (finished or epoch == 0)]  # None if no epoch was good
    if best not in losses or isinstance(best, bool):
        raise NumpyrnnError(f"best_loss must be a loss of the history, got {best!r:.80}")


def slots_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of the optimiser in a state."""
    return {name.removeprefix("optimizer."): v for name, v in state.items() if name.startswith("optimizer.")}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(float(value)))


def _is_record(record: Mapping[str, Any], epoch: int, most: int) -> bool:
    """Whether a record of the history is that of an epoch, and has only numbers, or None for the held-out loss."""
    numbers = [value for name, value in record.items() if not (name == "valid_loss" and value is None)]
    step, spent = record.get("step", epoch), [record.get(name, 0) for name in ("seconds", "items_per_second")]
    in_order = record["epoch"] == epoch and isinstance(step, int) and epoch <= step <= most
    good = {"loss", "valid_loss"} <= record.keys() and all(map(_is_number, [*numbers, record["epoch"], step]))
    return in_order and good and min(spent) >= 0


def _settings(state: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that must match when a training is resumed; states of early versions hold only the first."""
    optimizer = state["optimizer"]
    own = {f"the optimiser's {name}": value for name, value in dict(optimizer.get("settings", {})).items()}
    return {"the optimiser": optimizer["kind"], **own, **dict(state.get("settings", {}))}
