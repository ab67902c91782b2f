"""What becomes of the rhythm of pieces that a piano model learned from, and what the rhythm of its own pieces is.

    python benchmarks/rhythm.py [--model FILE] [--pieces 10] [MIDI files or folders]

Each file is written in the tokens that the model knows and played again. An onset is a time at which notes begin; it is
on the beat if it is a whole number of quarters from the beginning of the file. Silent is the share of the time from the
first onset to the end of the last note in which no note sounds. Neither counts drums or pitches that no piano has.
"""

import argparse
from itertools import pairwise
from pathlib import Path

from music.midi import DRUMS, read_midi
from piano.corpus import read_pieces
from piano.model import material_of
from piano.play import midi_of, perform
from piano.tokens import NAMES, WAIT, name_of
from workbench.files import data_path, load_model

ROW = "{:24}{:>8}{:>8}{:>10}{:>10}{:>10}{:>10}{:>8}{:>8}"


def measure(midi):
    """The number of onsets, the length in quarters, the share of onsets on the beat, the silent share, the longest gap.

    The length is that of the file, and the longest gap, in quarters, that between two onsets.
    """
    notes = sorted(note[:2] for note in midi.notes if note.channel != DRUMS and note.pitch in NAMES)
    onsets = sorted({onset for onset, _ in notes})
    sounding, silent = onsets[0], 0
    for onset, duration in notes:
        silent += max(onset - sounding, 0)
        sounding = max(sounding, onset + duration)
    on_beat = sum(onset % 1 == 0 for onset in onsets) / len(onsets)
    longest = max((later - onset for onset, later in pairwise(onsets)), default=0)
    share = float(silent / max(sounding - onsets[0], 1))
    return len(onsets), float(midi.length), on_beat, share, float(longest)


def round_trip(material, tokens):
    """The tokens of a piece as a model reads them."""
    (ids,) = material.encode([tokens])
    return material.vocabulary.decode(ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--pieces", type=int, default=10, help="how many to compose")
    parser.add_argument("data", type=Path, nargs="*")
    options = parser.parse_args()
    checkpoint = load_model(options.model, "piano")
    material = material_of(checkpoint)
    print(ROW.format("file, and as it is learned", "onsets", "", "quarters", "", "on beat", "", "silent", ""))
    for piece in read_pieces(options.data or [data_path("piano")], rhythm=True):
        found = measure(read_midi(piece.path)), measure(midi_of(round_trip(material, piece.tokens)))
        onsets, lengths, beats, silent, _ = zip(*found, strict=True)
        figures = *onsets, *(f"{n:.2f}" for n in lengths), *(f"{n:.3f}" for n in beats), *(f"{n:.3f}" for n in silent)
        print(ROW.format(piece.name[:23], *figures))
    print("\ncomposed, 200 tokens  waits  quarters  onsets a quarter  on beat  silent  longest gap")
    for seed in range(options.pieces):
        music = perform(checkpoint, seed=seed)
        n, length, on_beat, silent, longest = measure(music.midi)
        waits = sum(name_of(token) == WAIT for token in music.tokens)
        print(f"{seed:20}{waits:7}{length:10.2f}{n / length:18.2f}{on_beat:9.3f}{silent:8.3f}{longest:13.2f}")


if __name__ == "__main__":
    main()
