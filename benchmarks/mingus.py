"""Put the held-out losses of a model of the Weimar Jazz Database, pitch and duration apart, beside those of MINGUS.

    jazz train wjazzd.db --meter 4/4 -o weimar.npz
    python benchmarks/mingus.py weimar.npz wjazzd.db

MINGUS: V. Madaghiele, P. Lisena and R. Troncy, "MINGUS: Melodic Improvisation Neural Generator Using Seq2Seq", ISMIR
2021, and its code. Ours is the type and the interval of a value: with the pitch before and the chord they say which
note it is. Only the first note of a bar has no interval; it is scored with the probabilities with which the soloist
chooses: exp(-d / 2) for a distance of d semitones from the note before, among the pitches of its type.
"""

import argparse
from math import exp, log
from pathlib import Path

import numpy as np

from jazz.grammar import candidates, sounding
from jazz.model import KIND
from jazz.reading.corpus import read_tunes
from jazz.soloist import HIGH, LOW
from jazz.tokens import DURATION, INTERVAL
from jazz.tokens import KIND as TYPE
from jazz.training import JazzTraining
from numpyrnn import NumpyrnnError
from numpyrnn.measure import mean_loss
from workbench.files import load_model
from workbench.tables import table

PUBLISHED = {"pitch": 2.397, "duration": 1.443}  # nats, on the test part
DIFFERENCES = """\
The tests differ, so neither figure shows which model is better:
  split     ours: whole tunes, with all solos over them. They also decide which epoch is kept.
            MINGUS: 70, 10 and 20 % of the files, so solos over one tune can stand on both sides; 20 % decide nothing.
  solos     ours: those that the model was made with. MINGUS: those in 4/4.
  pitch     ours: type and interval, which are the same in every key. MINGUS: 128 pitches, a rest and a pad.
  duration  ours: every length between places of the grid, so that bars are full. MINGUS: one of 11 note values.
  rests     ours: from half a quarter on, cut at bar lines, part of every figure. MINGUS: only longer ones.
  order     ours: the type, then the duration, then the interval, each told those before it.
            MINGUS: two networks; neither is told the other's choice for the same note.
  context   ours: position, chord families, degree, register, and up to 500 values before.
            MINGUS: chord and next chord with their notes, bass, beat, place in the bar, and at most 35 notes before.
"""


def losses(model, tunes):
    """Nats a value: of each part, and of the choice of a pitch where there is no interval."""
    training = JazzTraining.of(model)
    found = {}
    for part in (TYPE, DURATION, INTERVAL):
        training.predicted = np.array([token.startswith(part) for token in training.vocabulary.tokens])
        found[part] = mean_loss(model.model, training.held_out_batches())
    held_out = {tune.name for tune in training.held_out}
    chosen, count = 0.0, sum(sum(tune.bars) for tune in training.held_out)
    known = [tune for tune in tunes if tune.name in held_out]
    if sum(len(bar.melody) for tune in known for bar in tune.bars) != count:
        raise NumpyrnnError("the database must be the one that the model was trained on, it has other solos")
    for tune in known:
        previous = (LOW + HIGH) // 2 - 1
        for bar, values in zip(tune.bars, tune.values(), strict=True):
            for element, value in zip(bar.melody, values, strict=True):
                if element.pitches and value.interval is None:
                    chord = sounding(bar.chords, element.onset).pitches
                    weights = {p: exp(-abs(p - previous) / 2) for p in candidates(value, None, chord, 0, 127)}
                    chosen -= log(weights[element.pitches[0]] / sum(weights.values()))
                previous = max(element.pitches, default=previous)
    return found, chosen / count


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model", type=Path)
    arguments.add_argument("database", type=Path, help="wjazzd.db, or its CSV form, that the model was trained on")
    options = arguments.parse_args()
    try:
        found, chosen = losses(
            load_model(options.model, KIND), read_tunes([options.database], on_refused=lambda error: None)
        )
    except NumpyrnnError as error:
        raise SystemExit(f"Error: {error}") from None
    pitch = found[TYPE] + found[INTERVAL] + chosen
    rows = [
        ("held out, nats a value", "ours", "MINGUS"),
        ("pitch", f"{pitch:.3f}", f"{PUBLISHED['pitch']:.3f}"),
        ("  its type", f"{found[TYPE]:.3f}", ""),
        ("  its interval", f"{found[INTERVAL]:.3f}", ""),
        ("  where there is no interval", f"{chosen:.3f}", ""),
        ("duration", f"{found[DURATION]:.3f}", f"{PUBLISHED['duration']:.3f}"),
    ]
    print(f"{table((30, 8, 8), rows)}\n\n{DIFFERENCES}")


if __name__ == "__main__":
    main()
