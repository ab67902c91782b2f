"""Measure the speed of the program `jazz`: reading MIDI, the course's training, whole runs; part of `make bench-more`.

Contenders take turns as in `bench.py`. Every figure is a median with its range; ratios are taken within a turn.
"""

import argparse
import gc
import os
import platform
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import music21
import numpy as np
import torch
from bench import take_turns

from jazz import course
from jazz.reading.tracks import choose, tune_of_midi
from music.midi import Midi, Note, read_midi, write_midi
from numpyrnn.optim import Adam

V, H, EPOCHS, BATCH = 90, 64, 100, 32
RATE, DECAY, EPSILON = 0.01, 0.01, 1e-7
TICK = Fraction(1, 480)
SCATTER = {0: "on the grid", 40: "as played", 480: "in free rhythm"}  # ticks


def spread(values, digits=2):
    """The median, with the range in brackets."""
    low, middle, high = (f"{value:,.{digits}f}" for value in np.quantile(values, [0, 0.5, 1]))
    return f"{middle} ({low} to {high})"


def table(*heads):
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")


def row(*cells):
    print(f"| {' | '.join(cells)} |", flush=True)


# ------------------------------------------------------------------------------------------------------ reading MIDI


def piece(n, scatter):
    """n notes: a melody in eighths over chords in halves; each is late and too long by up to `scatter` ticks."""
    rng, notes = np.random.default_rng(0), []

    def add(onset, duration, pitch, channel):
        late, longer = rng.integers(scatter + 1, size=2).tolist()
        notes.append(Note(onset + late * TICK, duration + longer * TICK, pitch, 80, channel, 65 * channel, 1 + channel))

    for half in range(0, 2 * n, 2):
        root = int(rng.integers(48, 60))
        for step in (0, 4, 7, 10):
            add(Fraction(half), Fraction(2), root + step, 0)
        for eighth in range(4):
            add(half + Fraction(eighth, 2), Fraction(1, 2), int(rng.integers(60, 85)), 1)
    notes = notes[:n]
    return Midi(notes, ["", "Piano", "Melody"], length=max(note.onset + note.duration for note in notes))


def values_of(path):
    """The values that `jazz train` learns from a file. Caches are cleared first, as a new process has none."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "jazz"]:
        for function in vars(sys.modules[name]).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()
    midi = read_midi(path)
    return tune_of_midi(midi, choose(midi), "tune")[0].values()


def by_music21(path):
    return music21.converter.parse(path, format="midi", forceSource=True)


def notes_of(score):
    """The number of notes in a music21 score; notes of a chord count one by one, tied notes once."""
    notes = (note for element in score.recurse().notes for note in getattr(element, "notes", [element]))
    return sum(note.tie is None or note.tie.type == "start" for note in notes)


def reading(words, path, turns):
    """Print a row of the table about reading."""
    contenders = {
        "read": lambda: len(read_midi(path).notes),
        "values": lambda: len(values_of(path)),
        "music21": lambda: len(by_music21(path)),  # drops the score, which would slow down the next contender ...
        "tidy": gc.collect,  # ... and its memory is freed here, outside both timings
    }
    seconds, results = take_turns(contenders, turns)
    ours = [spread(seconds[name] * 1e3, 1) for name in ("read", "values")]
    ratios = [spread(seconds["music21"] / seconds[name], 1) for name in ("read", "values")]
    found, theirs = results["read"], notes_of(by_music21(path))
    same = f"both {found:,}" if found == theirs else f"ours {found:,}, music21 {theirs:,}"
    row(words, *ours, *ratios, same, str(turns))


# ---------------------------------------------------------------------------------------------------------- training


def examples(path):
    """The course's X and Y, from its MIDI file or from random values."""
    if path:
        return course.load_music_utils(path)[:2]
    ids = np.random.default_rng(0).integers(V, size=275)
    return course.windows(ids, V, course.window_starts(len(ids)))


def history(step, m):
    """The mean loss of each epoch; `step` trains on a batch and returns its loss. The order is that of our `fit`."""
    rng, losses = np.random.default_rng(0), []
    for _ in range(EPOCHS):
        order = rng.permutation(m)
        batches = [order[start : start + BATCH] for start in range(0, m, BATCH)]
        losses.append(sum(step(rows) * len(rows) for rows in batches) / m)
    return losses


def weights(n_values, gates):
    """Our initial weights with gates in the order `gates`: Wx (D, 4H), Wh (H, 4H), b (4H,), W (H, D), bias (D,)."""
    cell, densor, _ = course.shared_layers(n_values, H)
    order = ["oifg".index(gate) for gate in gates]
    Wx, Wh = (np.concatenate(cell.params[name][order], axis=1) for name in ("Wx", "Wh"))
    return Wx, Wh, cell.params["b"][order].ravel(), densor.params["W"], densor.params["b"]


def training(X, Y):
    """The contenders: functions that train and return the loss of each epoch, in nats summed over the steps."""
    m, steps, n_values = X.shape
    zeros = np.zeros((m, H), np.float32)
    x = torch.from_numpy(X.swapaxes(0, 1).copy())
    targets = torch.from_numpy(np.where(Y.any(axis=2), Y.argmax(axis=2), -1))
    Y_by_example = Y.swapaxes(0, 1).copy()

    def ours():
        model = course.djmodel(steps, *course.shared_layers(n_values, H))
        model.compile(Adam(RATE, epsilon=EPSILON, decay=DECAY))
        return model.fit([X, zeros, zeros], Y, EPOCHS, BATCH, verbose=0).history["loss"]

    def by_torch():
        lstm, out = torch.nn.LSTM(n_values, H), torch.nn.Linear(H, n_values)
        values = [torch.from_numpy(array.T.copy()) for array in weights(n_values, "ifgo")]
        with torch.no_grad():
            lstm.bias_hh_l0.zero_()
            peers = (lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, out.weight, out.bias)
            for parameter, value in zip(peers, values, strict=True):
                parameter.copy_(value)
        lstm.bias_hh_l0.requires_grad_(False)  # one bias, as in the other libraries
        optimizer = torch.optim.Adam(peers, lr=RATE, eps=EPSILON)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + DECAY * t))

        def step(rows):
            logits = out(lstm(x[:, rows])[0]).flatten(0, 1)
            expected = targets[:, rows].flatten()
            loss = torch.nn.functional.cross_entropy(logits, expected, ignore_index=-1, reduction="sum") / len(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            return loss.item()

        return history(step, m)

    def by_keras():
        lstm = keras.layers.LSTM(H, return_sequences=True, unit_forget_bias=False)
        model = keras.Sequential([keras.Input((steps, n_values)), lstm, keras.layers.Dense(n_values)])
        model.set_weights(weights(n_values, "ifgo"))
        rate = keras.optimizers.schedules.InverseTimeDecay(RATE, decay_steps=1, decay_rate=DECAY)

        def loss(y, logits):
            return keras.ops.sum(keras.ops.categorical_crossentropy(y, logits, from_logits=True), axis=-1)

        model.compile(keras.optimizers.Adam(rate, epsilon=EPSILON), loss)

        def step(rows):
            return float(model.train_on_batch(X[rows], Y_by_example[rows]))

        return history(step, m)

    return {"ours": ours, "PyTorch": by_torch, "Keras": by_keras}


# -------------------------------------------------------------------------------------------------------- whole runs


def pipeline(path, folder):
    """The whole way from the course's MIDI file to a new solo as WAV."""
    X, Y, n_values, indices_values, chords = course.load_music_utils(path)
    model = course.djmodel(X.shape[1], *course.shared_layers(n_values, H))
    zeros = np.zeros((len(X), H), np.float32)
    model.fit([X, zeros, zeros], Y, EPOCHS, verbose=0)
    writer = course.music_inference_model(model.LSTM_cell, model.densor, Ty=50)
    course.generate_music(writer, indices_values, chords, folder / "course.mid", report=lambda line: None)
    course.mid2wav(folder / "course.mid", folder / "course.wav")


def program(folder):
    """Run the program with the shipped model in its own process."""
    command = [sys.executable, "-m", "jazz", "--seed", "1", "-o", str(folder / "solo.mid"), "--force"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--midi", type=Path, help="the course's original_metheny.mid, which is not shipped")
    path = arguments.parse_args().midi
    torch.set_num_threads(1)
    print(f"{platform.machine()}, {torch.get_num_threads()} thread; Python {platform.python_version()}, ", end="")
    print(f"numpy {np.__version__}, torch {torch.__version__}, ", end="")
    print(f"keras {keras.__version__} on {keras.backend.backend()}, music21 {music21.VERSION_STR}.")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table("reading MIDI", "read, ms", "to values, ms", "music21 / read", "music21 / to values", "notes", "turns")
        kinds = ((500, 0, 5), (2000, 0, 5), (8000, 0, 3), (500, 40, 3), (2000, 40, 3), (500, 480, 3), (2000, 480, 3))
        for n, scatter, turns in kinds:
            file = folder / "piece.mid"
            write_midi(file, piece(n, scatter))
            reading(f"{n:,} notes, {SCATTER[scatter]}", file, turns)
        if path:
            reading(path.name, path, 2)

        seconds, losses = take_turns(training(*examples(path)), 3)
        for peer in losses:  # rounding differences grow with the updates
            np.testing.assert_allclose(losses[peer][0], losses["ours"][0], rtol=1e-4, err_msg=f"first, {peer}")
            np.testing.assert_allclose(losses[peer][-1], losses["ours"][-1], rtol=0.05, err_msg=f"last, {peer}")
        table(f"the course's training, {EPOCHS} epochs", "s", "x ours", "loss, first epoch", "loss, last epoch")
        for peer, times in seconds.items():
            ends = [f"{losses[peer][epoch]:.4f}" for epoch in (0, -1)]
            row(peer, spread(times), spread(times / seconds["ours"]), *ends)

        table("whole runs", "s")
        if path:
            row("MIDI to training to WAV", spread(take_turns({"ours": lambda: pipeline(path, folder)}, 3)[0]["ours"]))
        else:
            row("MIDI to training to WAV", "skipped: needs `--midi FILE`")
        row("process `jazz --seed 1`", spread(take_turns({"ours": lambda: program(folder)}, 5)[0]["ours"]))


if __name__ == "__main__":
    main()
