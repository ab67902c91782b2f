"""The course's jazz exercise from end to end, and a proof by measurement that it learns one tune by heart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from numpyrnn.checks import KEPT, check_count, shown
from numpyrnn.sampling import Sampler
from workbench.copies import Copies
from workbench.files import make_folder
from workbench.history import plot_history, write_history

from .exercise import STEPS, generate_music, load_music_utils, mid2wav, originals, window_starts, windows
from .models import djmodel, music_inference_model, predict_and_sample, shared_layers

WRITTEN = 50  # values of the solo
FILES = "solo.mid", "solo.wav", "loss.png", "history.jsonl"
TEMPERATURES, DRAWS = (0.5, 1.0), 20
SHOWN = 1, 2, 3, 5, 10, 20, 50, 100  # epochs with a reported held-out loss

Report = Callable[[str], None]


def replay(
    path: str | Path, out_folder: str | Path, epochs: int = 100, seed: int = 0, report: Report = print
) -> dict[str, Any]:
    """Train as the course does, write a solo, and measure how much of it is copied and the loss on a held-out part.

    Parameters
    ----------
    path : the course's MIDI file
    out_folder : folder for solo.mid, solo.wav, loss.png and history.jsonl; created if it is missing
    epochs : int, default 100
    seed : int, default 0, for the weights, the order of the examples and the pitches
    report : function that receives each line of output, default print

    Returns
    -------
    dict with
        "loss" : list of float, the training loss of a window after each epoch, nats
        "held_out" : list of float, the loss of a held-out value after each epoch, nats
        "verbatim" : int, length of the longest run of values that the arg-max solo copies from the tune
        "verbatim_sampled" : dict from temperature to the mean length of such runs in 20 sampled solos

    Raises
    ------
    NumpyrnnError
        if the file cannot be read as the course's, or a file cannot be written
    """
    check_count("epochs", epochs, 1)
    X, Y, n_values, indices_values, chords = load_music_utils(path)
    folder = Path(out_folder)
    make_folder(folder)
    report(f"X {X.shape}, Y {Y.shape}, {n_values} values, {len(chords)} measures")
    model = djmodel(STEPS, *shared_layers(n_values, seed=seed))
    report(f"{model.count_params():,} parameters")

    def report_loss(epoch: int, loss: float) -> None:
        if epoch == 1 or epoch % 10 == 0 or epoch == epochs:
            report(f"epoch {epoch:3}: loss {loss:.2f}")

    zeros = np.zeros((len(X), model.LSTM_cell.hidden_size))
    training = model.fit([X, zeros, zeros], Y, epochs, verbose=0, seed=seed, on_epoch=report_loss)
    losses = training.history["loss"]
    inference_model = music_inference_model(model.LSTM_cell, model.densor, Ty=WRITTEN)
    generate_music(inference_model, indices_values, chords, folder / "solo.mid", seed=seed, report=report)
    mid2wav(folder / "solo.mid", folder / "solo.wav")
    solo = predict_and_sample(inference_model)[1][:, 0].tolist()
    report("The solo: " + " ".join(indices_values[i] for i in solo))

    ids = {value: index for index, value in indices_values.items()}
    tune = [ids[str(value)] for value in chain.from_iterable(originals(path)[2])]
    verbatim = longest_run(solo, tune)
    report(f"{verbatim} of its {WRITTEN} values lie in one run of the training tune")
    sampled = {}
    for heat in TEMPERATURES:
        solos, _ = inference_model.write(inference_model.zeros(DRAWS), Sampler(seed, heat))
        sampled[heat] = float(np.mean([longest_run(written, tune) for written in solos.T.tolist()]))
        report(f"at temperature {heat}: {sampled[heat]:.1f} of {WRITTEN}, the mean of {DRAWS} draws")
    held_out = held_out_losses(tune, n_values, epochs, seed)
    report(f"loss per value on the last fifth, trained on the rest (a uniform guess: {log(n_values):.2f} nats):")
    records, curves = [], []
    for epoch, (loss, held) in enumerate(zip(losses, held_out, strict=True), 1):
        if epoch in SHOWN:
            report(f"after epoch {epoch:3}: {held:.2f}")
        records.append({"epoch": epoch, "loss": loss, "held_out": held})
        curves.append({"epoch": epoch, "loss": loss / (STEPS - 1), "valid_loss": held})
    write_history(folder / "history.jsonl", records)
    levels, whole = {"a uniform guess": log(n_values)}, "training, the whole tune; held out: trained on the rest"
    plot_history(curves, folder / "loss.png", "The course's jazz exercise", levels, "nats a value", whole)
    report(f"solo.mid, solo.wav, loss.png and history.jsonl are in {shown(folder, KEPT)}")
    return {"loss": losses, "held_out": held_out, "verbatim": verbatim, "verbatim_sampled": sampled}


def longest_run(written: Sequence[int], tune: Sequence[int]) -> int:
    """Measure the longest run of `written` that also occurs in `tune`.

    Parameters
    ----------
    written, tune : sequences of ids

    Returns
    -------
    int
    """
    return Copies([tune]).longest(written).length


def held_out_losses(tune: Sequence[int], n_values: int, epochs: int, seed: int) -> list[float]:
    """Train on the first four fifths of a tune as the course does, and compute the loss on the last fifth.

    Parameters
    ----------
    tune : sequence of ids
    n_values : int, number of different values
    epochs : int
    seed : int, for the weights and the order of the examples

    Returns
    -------
    list of float, the loss after each epoch, nats a value
    """
    cut = len(tune) * 4 // 5
    rest = len(tune) - cut
    X, Y = windows(tune[:cut], n_values, window_starts(cut))
    X_rest, Y_rest = windows(tune, n_values, [cut], rest)
    model = djmodel(STEPS, *shared_layers(n_values, seed=seed))
    judge = djmodel(rest, model.LSTM_cell, model.densor)  # the same layers over more steps
    zeros = np.zeros((len(X), model.LSTM_cell.hidden_size))
    losses: list[float] = []

    def judge_rest(epoch: int, loss: float) -> None:
        losses.append(judge.evaluate([X_rest, zeros[:1], zeros[:1]], Y_rest) / (rest - 1))

    model.fit([X, zeros, zeros], Y, epochs, verbose=0, seed=seed, on_epoch=judge_rest)
    return losses
