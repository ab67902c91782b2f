"""Compare a short tune learned alone, the shipped soloist, and a training that starts from it, beside n-grams.

    .venv/bin/python benchmarks/start.py [--start MODEL] [--tunes 20] [--least 32] [--wjazzd FILE]

The tunes are choruses that the model has held out or, with --wjazzd, the first solo over each tune of the Weimar
Jazz Database, in its order, each cut to its first 32 bars; --least says how many bars a tune must have. The last fifth
of each tune's bars is held out. The losses are nats a value on these bars. Trainings keep the epoch, and n-grams the
order, that is best on them; "fixed" is the started training after a number of epochs chosen on other tunes.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from jazz.model import RECIPES, Settings, tunes_of
from jazz.reading.corpus import read_tunes, shipped_choruses
from jazz.training import JazzTraining, ngram_on_values
from workbench.files import load_model

BARS = 32
EPOCHS = 8  # of the column "fixed"; chosen on five other solos of the database
COLUMNS = ("n-gram", "its data's", "alone", "model", "started", "fixed", "seconds")


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
    """The figures of a tune in the order of `COLUMNS`."""
    alone = JazzTraining.of_tunes([tune], RECIPES["parts"])
    alone.run(alone.settings.epochs)
    ngram = ngram_on_values(alone.checkpoint(resumable=False))[2]
    began = time.perf_counter()
    started = JazzTraining.of_tunes([tune], Settings.of(start), start=start)
    before = started.held_out_loss()
    started.run(started.settings.epochs)
    seconds = time.perf_counter() - began
    of_data = ngram_on_values(started.checkpoint(resumable=False))[2]
    fixed = started.places * started.trainer.history[:EPOCHS][-1]["valid_loss"]
    return ngram, of_data, alone.held_out_loss(), before, started.held_out_loss(), fixed, seconds


if __name__ == "__main__":
    main()
