"""Check a model file completely: what the engine knows of it, and what the program that made it knows."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

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
        resumable = check_training(checkpoint)
        _ = checkpoint.config  # parses it
    except NumpyrnnError as error:
        raise NumpyrnnError(f"{path}: {error}") from error
    digest = "SHA-256 right" if found == FORMAT else "an old file without a digest"
    by = "" if programs or checkpoint.kind == "numpyrnn" else ", a program that is not installed here"
    size = f"{checkpoint.model.params.flat.size:,} parameters"
    return f"{path}: a model of {checkpoint.kind}{by}, {size}, {found!r}, {digest}; {resumable}."


def check_training(checkpoint: Checkpoint) -> str:
    """Check the state of a training, if there is one, and say whether it can be resumed."""
    state = checkpoint.training
    if state is None:
        return "finished: cannot be resumed"
    if missing := {*WEIGHTS} - state.keys():  # before there is a trainer, which takes as much memory as a whole state
        raise NumpyrnnError(f"the state of a training must have the arrays {', '.join(WEIGHTS)}, not so {min(missing)}")
    try:
        optimizer, name = state["optimizer"], state["optimizer"]["kind"]
        if not name.isprintable() or name in OPTIMIZERS:
            chosen = OPTIMIZERS[name](**optimizer.get("settings", {}))
            trainer = Trainer(checkpoint.model, chosen, **state.get("settings", {}))
            trainer.restore(state)
            return f"can be resumed after epoch {trainer.epoch}"
    except (AttributeError, KeyError, TypeError) as error:
        raise NumpyrnnError(f"training must hold its settings, it does not ({error!s:.200})") from error
    return f"can be resumed with the optimiser {name:.80}, which is not known here"
