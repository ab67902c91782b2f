"""Compare a short tune learned alone, the shipped soloist, and a training that starts from it, beside n-grams.

    .venv/bin/python benchmarks/start.py [--start MODEL] [--tunes 20] [--least 32] [--wjazzd FILE]

The tunes are choruses that the model has held out or, with --wjazzd, the first solo over each tune of the Weimar
Jazz Database, in its order, each cut to its first 32 bars; --least says how many bars a tune must have. The last fifth
of each tune's bars is held out, and the losses are nats a value on these bars. Trainings keep the epoch, and n-grams
the order, that is best on them.

n-gram      of the tune, over the values of all the data that the started training reads
told        the same, over the values of the tune alone: it is told which values the held-out bars have
its data's  of all the data that the started training reads
alone       the network, trained on the tune from random weights
model       the model from which the training starts
started     the training that starts from it
fixed       the same after a number of epochs that was chosen on other tunes
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from jazz.model import RECIPES, Settings, tunes_of, values_of
from jazz.reading.corpus import read_tunes, shipped_choruses
from jazz.training import JazzTraining, ngram_on_values
from workbench.files import load_model
from workbench.ngram import best_ngram

BARS = 32
EPOCHS = 8  # of the column "fixed"; chosen on five other solos of the database
COLUMNS = ("n-gram", "told", "its data's", "alone", "model", "started", "fixed", "seconds")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", type=Path, help="the model to start from; by default the shipped one")
    parser.add_argument("--tunes", type=int, default=20)
    parser.add_argument("--least", type=int, default=BARS, help="bars that a tune must have")
    parser.add_argument("--wjazzd", type=Path, help="the database, a zip or folder")
    options = parser.parse_args()
    start = load_model(options.start, "jazz")
    held_out = {tune.name for tune in tunes_of(start).held_out}  # a started training learns those for validation too
    if options.wjazzd:
        found = read_tunes([options.wjazzd], on_refused=lambda error: None)
    else:
        found = [tune for tune in read_tunes(shipped_choruses()) if tune.name in held_out]
    found = [tune for tune in found if len(tune.bars) >= options.least]
    if options.wjazzd:
        found = [*{tune.group or tune.name: tune for tune in reversed(found)}.values()][::-1]
    rows = []
    print(f"{'':44}" + "".join(f"{name:>12}" for name in COLUMNS))
    for tune in found[: options.tunes]:
        rows.append(losses(replace(tune, bars=tune.bars[:BARS]), start))
        print(row(tune.name, rows[-1]), flush=True)
    print(row(f"mean of {len(rows)}", [fmean(column) for column in zip(*rows)]))


def row(name, figures):
    return f"{name[:42]:44}" + "".join(f"{figure:12.3f}" for figure in figures)


def losses(tune, start):
    """The losses in the order of `COLUMNS`, then the seconds that the started training took."""
    alone = JazzTraining.of_tunes([tune], RECIPES["parts"])
    alone.run(alone.settings.epochs)
    began = time.perf_counter()
    started = JazzTraining.of_tunes([tune], Settings.of(start), start=start)
    before = started.held_out_loss()
    started.run(started.settings.epochs)
    seconds = time.perf_counter() - began
    of_tune, of_data = alone.checkpoint(resumable=False), started.checkpoint(resumable=False)
    values, _, of_data_loss = ngram_on_values(of_data)
    ngrams = tune_ngram(of_tune, values), ngram_on_values(of_tune)[2], of_data_loss
    fixed = started.places * started.trainer.history[:EPOCHS][-1]["valid_loss"]
    return *ngrams, alone.held_out_loss(), before, started.held_out_loss(), fixed, seconds


def tune_ngram(of_tune, values):
    """The held-out loss of the best n-gram of a tune over the given values."""
    training, _, held_out = ([values.encode(values_of(of_tune, tune)) for tune in part] for part in tunes_of(of_tune))
    return best_ngram(training, held_out, len(values), range(1, 8))[1]


if __name__ == "__main__":
    main()
