"""The course's jazz exercise run from end to end, with a look at what its recipe does: it learns one tune by heart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from numpyrnn.checks import check_count
from numpyrnn.sampling import Sampler
from workbench.copies import Copies
from workbench.files import make_folder
from workbench.history import plot_history, write_history

from .exercise import (
    STEPS,
    djmodel,
    generate_music,
    load_music_utils,
    mid2wav,
    music_inference_model,
    originals,
    predict_and_sample,
    shared_layers,
    window_starts,
    windows,
)
from .models import InferenceModel, TrainingModel

WRITTEN = 50
FILES = "solo.mid", "solo.wav", "loss.png", "history.jsonl"
TEMPERATURES, DRAWS = (0.5, 1.0), 20
SHOWN = 1, 2, 3, 5, 10, 20, 50, 100  # epochs whose held-out loss is reported

Report = Callable[[str], None]


def replay(
    path: str | Path, out_folder: str | Path, epochs: int = 100, seed: int = 0, report: Report = print
) -> dict[str, Any]:
    """Train as the course does, write a solo, and measure how much of it is copied and what a held-out part costs.

    Parameters
    ----------
    path : the course's MIDI file
    out_folder : where solo.mid, solo.wav, loss.png and history.jsonl go; it is made if need be
    epochs : int, default 100
    seed : int, default 0, of the weights, the order of the examples and the pitches
    report : function of a line, default print

    Returns
    -------
    dict with
        "loss", "held_out" : lists, a number an epoch; nats, of a window and of a value
        "verbatim" : longest run of the arg-max solo's values that stands so in the tune
        "verbatim_sampled" : dict from temperature to the same, a mean over 20 draws

    Raises
    ------
    NumpyrnnError
        if the file is not the course's, or a file cannot be written
    """
    check_count("epochs", epochs, 1)
    X, Y, n_values, indices_values, chords = load_music_utils(path)
    folder = Path(out_folder)
    make_folder(folder)
    report(f"X {X.shape}, Y {Y.shape}, {n_values} values, {len(chords)} measures")
    model = djmodel(STEPS, *shared_layers(n_values, seed=seed))
    report(f"{model.count_params():,} parameters")
    losses = _train(model, X, Y, epochs, seed, lambda epoch, loss: _report_loss(report, epoch, loss, epochs))
    inference_model = music_inference_model(model.LSTM_cell, model.densor, Ty=WRITTEN)
    generate_music(inference_model, indices_values, chords, folder / "solo.mid", seed=seed, report=report)
    mid2wav(folder / "solo.mid", folder / "solo.wav")
    solo = predict_and_sample(inference_model)[1][:, 0].tolist()
    report("The solo: " + " ".join(indices_values[i] for i in solo))

    tune = _ids(path, indices_values)
    verbatim = longest_run(solo, tune)
    report(f"{verbatim} of its {WRITTEN} values stand in one run of the training tune")
    sampled = {heat: _mean_run(inference_model, tune, heat, seed) for heat in TEMPERATURES}
    for heat, run in sampled.items():
        report(f"at temperature {heat}: {run:.1f} of {WRITTEN}, the mean of {DRAWS} draws")
    held_out = held_out_losses(tune, n_values, epochs, seed)
    report(f"loss of a value of the last fifth, trained on the other four (a blind guess: {log(n_values):.2f} nats):")
    for epoch in SHOWN:
        if epoch <= epochs:
            report(f"after epoch {epoch:3}: {held_out[epoch - 1]:.2f}")
    records = [
        {"epoch": epoch, "loss": loss, "held_out": held}
        for epoch, (loss, held) in enumerate(zip(losses, held_out, strict=True), 1)
    ]
    write_history(folder / "history.jsonl", records)
    levels, whole = {"a blind guess": log(n_values)}, "training, the whole tune; held out: trained on the rest"
    curves = [{"epoch": r["epoch"], "loss": r["loss"] / (STEPS - 1), "valid_loss": r["held_out"]} for r in records]
    plot_history(curves, folder / "loss.png", "The course's jazz exercise", levels, "nats a value", whole)
    report(f"solo.mid, solo.wav, loss.png and history.jsonl are in {folder}")
    return {"loss": losses, "held_out": held_out, "verbatim": verbatim, "verbatim_sampled": sampled}


def longest_run(written: Sequence[int], tune: Sequence[int]) -> int:
    """Length of the longest run of `written` that also occurs in `tune`.

    Parameters
    ----------
    written, tune : sequences of ids

    Returns
    -------
    int
    """
    return Copies([tune]).longest(written).length


def held_out_losses(tune: Sequence[int], n_values: int, epochs: int, seed: int) -> list[float]:
    """Train on the first four fifths of a tune as the course does; loss of the last fifth after each epoch.

    Parameters
    ----------
    tune : sequence of ids
    n_values : int
    epochs : int
    seed : int

    Returns
    -------
    list of float, nats a value
    """
    cut = len(tune) * 4 // 5
    rest = len(tune) - cut
    X, Y = windows(tune[:cut], n_values, window_starts(cut))
    X_rest, Y_rest = windows(tune, n_values, [cut], rest)
    model = djmodel(STEPS, *shared_layers(n_values, seed=seed))
    judge = djmodel(rest, model.LSTM_cell, model.densor)  # the same layers over more steps
    zeros = np.zeros((1, model.LSTM_cell.hidden_size))
    losses: list[float] = []
    _train(
        model, X, Y, epochs, seed, lambda *_: losses.append(judge.evaluate([X_rest, zeros, zeros], Y_rest) / (rest - 1))
    )
    return losses


def _train(
    model: TrainingModel, X: Any, Y: Any, epochs: int, seed: int, on_epoch: Callable[[int, float], None]
) -> list[float]:
    zeros = np.zeros((len(X), model.LSTM_cell.hidden_size))
    history = model.fit([X, zeros, zeros], Y, epochs, verbose=0, seed=seed, on_epoch=on_epoch).history
    return list(history["loss"])


def _report_loss(report: Report, epoch: int, loss: float, epochs: int) -> None:
    if epoch == 1 or epoch % 10 == 0 or epoch == epochs:
        report(f"epoch {epoch:3}: loss {loss:.2f}")


def _ids(path: str | Path, indices_values: Mapping[int, str]) -> list[int]:
    """The whole training tune."""
    values_indices = {value: index for index, value in indices_values.items()}
    return [values_indices[str(value)] for value in chain.from_iterable(originals(path)[2])]


def _mean_run(model: InferenceModel, tune: Sequence[int], temperature: float, seed: int) -> float:
    ids, _ = model.write(model.zeros(DRAWS), Sampler(seed, temperature))
    return float(np.mean([longest_run(written, tune) for written in ids.T.tolist()]))
