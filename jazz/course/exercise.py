"""The functions of the deep-learning course's jazz exercise, with the same names and the same printed lines.

    X, Y, n_values, indices_values, chords = load_music_utils("data/original_metheny.mid")
    LSTM_cell, densor, reshaper = shared_layers(n_values, n_a=64)
    model = djmodel(30, LSTM_cell, densor, reshaper)
    model.compile(optimizer=Adam(0.01, decay=0.01), loss="categorical_crossentropy", metrics=["accuracy"])
    history = model.fit([X, a0, c0], list(Y), epochs=100, verbose=0)
    inference_model = music_inference_model(LSTM_cell, densor, Ty=50)
    out = generate_music(inference_model, indices_values, chords)
    mid2wav("output/my_music.midi")

The exercise plays five solos at once and out of time; `generate_music` plays one solo in time. Random draws are seeded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.random import Generator, RandomState

from music.midi import Midi, Note, as_tempo, read_midi, write_midi
from music.synth import render, write_wav
from numpyrnn import NumpyrnnError
from numpyrnn.checks import Array
from workbench.files import make_folder

from ..grammar import Element, Value, candidates, encode, parse_value, sounding, with_rests, without_rests
from ..reading.tracks import named, parts_of
from .models import InferenceModel, predict_and_sample

WINDOW = 476, 548  # quarters, the first and the last onset of the accompanied solo
LONGEST = 1000  # values after which no more are written, even if they do not fill the bars
STEPS, EXAMPLES = 30, 60  # length and number of the training examples
BAR = Fraction(4)  # quarters
CHORD_SETS = 5  # measures whose chords accompany the solo
TEMPO = 130  # quarters a minute
LOW, HIGH, START = 48, 84, 67  # lowest and highest pitch, and the pitch near which a solo begins
LEAP = 7  # semitones, the largest distance of a value without an interval from the previous note
SOLO = {"velocity": 90, "channel": 0, "program": 26, "track": 0}  # a jazz guitar
COMPING = {"velocity": 60, "channel": 1, "program": 0, "track": 1}  # a piano

Bars = list[list[Element]]


def originals(
    path: str | Path,
    rests: bool = True,
    melody: str = "Guitar",
    chords: str = "Piano",
    window: tuple[float, float] = WINDOW,
) -> tuple[Bars, Bars, list[list[Value]]]:
    """Read the tune as the original programs do.

    Parameters
    ----------
    path : MIDI file
    rests : bool, default True
        Read rests, as the newer programs do (275 values, 90 different). False gives 193 values, 78 different.
    melody, chords : str, default "Guitar" and "Piano", names or numbers of parts
    window : (first, last) onset in quarters, both inclusive, default (476, 548)

    Returns
    -------
    measures : list of lists of Element, the melody of each 4-quarter measure that has melody and chords
    chords : list of lists of Element, the chords of each such measure
    values : list of lists of Value, the values of each such measure

    Raises
    ------
    NumpyrnnError
        if the file cannot be read, lacks one of the parts, or has no melody over chords in the window
    """
    parts = parts_of(read_midi(path))
    by_measure = []
    for what, name in (("melody", melody), ("chords", chords)):
        part = named(parts, name, f"{what} of {path}")
        if what == "melody":
            elements = (with_rests if rests else without_rests)(part.elements)
        else:
            elements = [element for element in part.elements if len(element.pitches) > 1]
        measures = defaultdict(list)
        for element in elements:
            if window[0] <= element.onset <= window[1]:
                measures[element.onset // BAR].append(element)
        by_measure.append(measures)
    both = sorted(by_measure[0].keys() & by_measure[1].keys())
    if not both:
        raise NumpyrnnError(
            f"{path} must have a melody in part {melody!r} over chords in part {chords!r} "
            f"from quarter {window[0]} to {window[1]}, it has none (melody, chords and window say what to read)"
        )
    lines, harmonies = ([part[number] for number in both] for part in by_measure)
    return lines, harmonies, [encode(line, harmony) for line, harmony in zip(lines, harmonies, strict=True)]


def windows(ids: Sequence[int], n_values: int, starts: Sequence[int], steps: int = STEPS) -> tuple[Array, Array]:
    """Cut one-hot examples from a tune.

    Parameters
    ----------
    ids : sequence of int, the whole tune
    n_values : int, number of different values
    starts : sequence of int, where the examples begin
    steps : int, default 30, length of an example

    Returns
    -------
    X : (examples, steps, n_values) float32; X[i, t] stands for ids[starts[i] + t], but X[:, 0] is zero
    Y : (steps, examples, n_values) float32; Y[t] is X[:, t + 1], and Y[-1] is zero
    """
    X = np.eye(n_values, dtype=np.float32)[np.asarray(ids)[np.add.outer(np.asarray(starts), np.arange(steps))]]
    X[:, 0] = 0
    Y = np.zeros((steps, len(X), n_values), np.float32)
    Y[:-1] = X[:, 1:].swapaxes(0, 1)
    return X, Y


def window_starts(length: int, examples: int = EXAMPLES, steps: int = STEPS) -> list[int]:
    """Draw where the exercise's examples begin, with NumPy's legacy generator and seed 0.

    Parameters
    ----------
    length : int, number of values in the tune
    examples : int, default 60
    steps : int, default 30, length of an example

    Returns
    -------
    list of int

    Raises
    ------
    NumpyrnnError
        if the tune is not longer than an example
    """
    if length <= steps:
        raise NumpyrnnError(f"a tune must have more than {steps} values, got {length}")
    draw = RandomState(0)
    return [int(draw.choice(length - steps)) for _ in range(examples)]


def load_music_utils(path: str | Path, rests: bool = True) -> tuple[Array, Array, int, dict[int, str], Bars]:
    """Read the training tune as examples of 30 values.

    Parameters
    ----------
    path : the course's MIDI file
    rests : bool, default True
        Read rests, as the newer edition does (90 different values). False gives the older edition's 78.

    Returns
    -------
    X : (60, 30, n_values) float32, one-hot; its first step is zero
    Y : (30, 60, n_values) float32, X a step ahead; its last step is zero
    n_values : int
    indices_values : dict from id to value, in sorted order
    chords : list of lists of Element, the chords of each measure

    Raises
    ------
    NumpyrnnError
        if the file cannot be read as `originals` does, or the tune is too short
    """
    _, chords, values = originals(path, rests)
    corpus = [str(value) for measure in values for value in measure]
    indices_values = dict(enumerate(sorted(set(corpus))))
    values_indices = {value: index for index, value in indices_values.items()}
    X, Y = windows([values_indices[value] for value in corpus], len(indices_values), window_starts(len(corpus)))
    return X, Y, len(indices_values), indices_values, chords


def generate_music(
    inference_model: InferenceModel,
    indices_values: Mapping[int, str],
    chords: Bars,
    out_path: str | Path = "output/my_music.midi",
    diversity: float = 0.5,
    seed: int = 0,
    report: Callable[[str], None] = print,
) -> Midi:
    """Write values and play them as one solo over the chords of the first five measures.

    These measures are repeated as needed. If the model's Ty values do not fill them once, Ty is doubled until they do.

    Parameters
    ----------
    inference_model : InferenceModel
    indices_values : dict from id to value
    chords : list of lists of Element, the chords of each measure
    out_path : file, default "output/my_music.midi"; a missing folder is created
    diversity : float, ignored; as in the exercise, the most probable value is always taken
    seed : int, default 0, for the choice among the pitches that a value allows
    report : function that receives each line of output, default print

    Returns
    -------
    Midi with the tracks Solo and Chords, 130 quarters a minute

    Raises
    ------
    NumpyrnnError
        if `indices_values` does not fit the model, there are no chords, or the file cannot be written
    """
    sets = [[replace(chord, onset=chord.onset % BAR) for chord in measure] for measure in chords[:CHORD_SETS]]
    if not sets or not all(sets):
        raise NumpyrnnError("chords must hold a list of chords for each measure, and at least one; they do not")
    if sorted(indices_values) != list(range(inference_model.n_values)):
        wanted = f"the ids 0 to {inference_model.n_values - 1} of the model"
        raise NumpyrnnError(f"indices_values must have {wanted}, got {len(indices_values)} ids")
    report("Predicting new values for different set of chords.")
    values, model = list[Value](), inference_model
    while not values or (sum(value.duration for value in values) < BAR * len(sets) and len(values) < LONGEST):
        values = [parse_value(indices_values[i]) for i in predict_and_sample(model)[1][:, 0].tolist()]
        model = InferenceModel(model.LSTM_cell, model.densor, 2 * len(values))
    notes, n_bars = play(values, sets, seed)
    for i in range(len(sets)):
        n = sum(note.onset // BAR % len(sets) == i for note in notes)
        chosen = f'the set of chords ("{i + 1}")'
        report(f"Generated {n} sounds using the predicted values for {chosen} and after pruning")
    for bar in range(n_bars):
        notes += accompaniment(sets[bar % len(sets)], BAR * bar)
    tempo = [(Fraction(0), as_tempo(TEMPO))]
    midi = Midi(sorted(notes, key=lambda note: note.onset), ["Solo", "Chords"], tempo, length=BAR * n_bars)
    make_folder(Path(out_path).parent)
    write_midi(out_path, midi)
    report(f"Your generated music is saved in {out_path}")
    return midi


def play(values: Sequence[Value], sets: Bars, seed: int) -> tuple[list[Note], int]:
    """Play values one after another over bars of chords; notes are cut at the bar lines.

    Parameters
    ----------
    values : sequence of Value
    sets : list of lists of Element, the chords of each bar, with onsets in the bar; the bars are repeated as needed
    seed : int, for the choice of pitches

    Returns
    -------
    notes : list of Note, without overlaps
    n_bars : int, number of bars; the last one may be incomplete
    """
    rng, notes, now = np.random.default_rng(seed), list[Note](), Fraction(0)
    for value in values:
        bar, onset = divmod(now, BAR)
        duration = min(value.duration, BAR - onset)
        if value.kind != "R":
            chord = sounding(sets[bar % len(sets)], onset).pitches
            pitch = choose_pitch(value, notes[-1].pitch if notes else None, chord, rng)
            notes.append(Note(now, duration, pitch, **SOLO))
        now += duration
    return notes, -int(-now // BAR)


def choose_pitch(value: Value, previous: int | None, chord: tuple[int, ...], rng: Generator) -> int:
    """Choose a pitch of the value's type, within its interval if it has one.

    The previous pitch is avoided if possible. If the interval has no pitch of the type, the nearest one outside is
    taken; if the chord has no pitch of the type, the nearest chord tone.

    Parameters
    ----------
    value : Value
    previous : int, the previous pitch; None at the beginning
    chord : tuple of MIDI numbers
    rng : numpy Generator

    Returns
    -------
    int, MIDI number
    """
    near, low, high = START if previous is None else previous, LOW, HIGH
    if value.interval is None or previous is None:
        low, high = max(LOW, near - LEAP), min(HIGH, near + LEAP)
    if found := candidates(value, previous, chord, low, high):
        return int(rng.choice(_moving(found, previous)))
    anywhere = candidates(replace(value, interval=None), None, chord, LOW, HIGH)
    anywhere = anywhere or candidates(Value("C", value.duration), None, chord, LOW, HIGH)
    return min(_moving(anywhere, previous), key=lambda pitch: abs(pitch - near))


def _moving(pitches: list[int], previous: int | None) -> list[int]:
    """Remove the previous pitch, unless it is the only one."""
    return [pitch for pitch in pitches if pitch != previous] or pitches


def accompaniment(chords: Sequence[Element], start: Fraction) -> list[Note]:
    """Play the chords of a bar that begins at `start`; the first begins at the bar line, each is held to the next."""
    pitches: dict[Fraction, set[int]] = {}
    for chord in chords:
        pitches.setdefault(chord.onset if pitches else Fraction(0), set()).update(chord.pitches)
    ends = pairwise([*pitches, BAR])
    return [Note(start + on, off - on, pitch, **COMPING) for on, off in ends for pitch in sorted(pitches[on])]


def mid2wav(file: str | Path, out: str | Path = "rendered.wav") -> None:
    """Render a MIDI file as sound.

    Parameters
    ----------
    file : MIDI file
    out : WAV file to write, default "rendered.wav"; 44,100 samples a second, stereo, 16 bits

    Raises
    ------
    NumpyrnnError
        if the MIDI file cannot be read or the WAV file cannot be written
    """
    write_wav(out, render(read_midi(file)))
