"""Check a model file completely: what the engine knows of it, and what the program that made it knows."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from .checkpoint import FORMAT, Checkpoint, read
from .checks import NumpyrnnError
from .optim import SGD, Adam, RMSprop
from .state import WEIGHTS
from .train import Trainer

GROUP = "numpyrnn.programs"  # entry points: functions of a Checkpoint that raise if it is not a model of the program
OPTIMIZERS = {kind.__name__: kind for kind in (SGD, RMSprop, Adam)}


def verify(path: str | Path) -> str:
    """Check a model file, and describe it.

    The program that made it is found by its entry point (`numpyrnn.programs`, named like the kind of its models).

    Parameters
    ----------
    path : the file

    Returns
    -------
    str, one line

    Raises
    ------
    NumpyrnnError
        if something in the file is not as it must be
    """
    checkpoint, found = read(path)
    programs = list(entry_points(group=GROUP, name=checkpoint.kind))
    try:
        for program in programs:
            program.load()(checkpoint)
        settings = checkpoint.config.get("settings") if programs else None
        resumable = check_training(checkpoint, settings)
    except NumpyrnnError as error:
        raise NumpyrnnError(f"{path}: {error}") from error
    digest = "SHA-256 right" if found == FORMAT else "an old file without a digest"
    by = "" if programs or checkpoint.kind == "numpyrnn" else ", a program that is not installed here"
    size = f"{checkpoint.model.params.flat.size:,} parameters"
    return f"{path}: a model of {checkpoint.kind}{by}, {size}, {found!r}, {digest}; {resumable}."


def check_training(checkpoint: Checkpoint, settings: Mapping[str, Any] | None = None) -> str:
    """Check the state of a training, if there is one, and say whether it can be resumed.

    The settings of the program that made the model, if it is installed, must agree with those of the state.
    """
    state = checkpoint.training
    if state is None:
        return "finished: cannot be resumed"
    if missing := {*WEIGHTS} - state.keys():  # before there is a trainer, which takes as much memory as a whole state
        raise NumpyrnnError(f"the state of a training must have the arrays {', '.join(WEIGHTS)}, not so {min(missing)}")
    try:
        optimizer, name = state["optimizer"], state["optimizer"]["kind"]
        own, used = settings or {}, {**optimizer.get("settings", {}), **state.get("settings", {})}
        if differ := [key for key in used if key in own and used[key] != own[key]]:
            raise NumpyrnnError(f"the settings must be those of the training, {differ[0]!r:.80} is another")
        if own and name not in OPTIMIZERS:
            raise NumpyrnnError(f"the optimiser must be one of {', '.join(OPTIMIZERS)}, got {name!r:.80}")
        if not name.isprintable() or name in OPTIMIZERS:
            chosen = OPTIMIZERS[name](**optimizer.get("settings", {}))
            trainer = Trainer(checkpoint.model, chosen, **state.get("settings", {}))
            trainer.restore(state)
            return f"can be resumed after epoch {trainer.epoch}"
    except (AttributeError, KeyError, TypeError) as error:
        raise NumpyrnnError(f"training must hold its settings, it does not ({error!s:.200})") from error
    return f"can be resumed with the optimiser {name:.80}, which is not known here"
