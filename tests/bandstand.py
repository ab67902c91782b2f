"""Changes of all kinds for the tests of the band, solos to listen to, and ways to look at its notes."""

from collections import defaultdict
from dataclasses import replace
from itertools import combinations

import numpy as np

from jazz.changes import form, parse_changes
from jazz.playing.band import INSTRUMENTS, PIANO, accompany

FEELS = ("swing", "straight", "bossa", "waltz", "ballad")
OTHERS = [
    parse_changes("C5 | Dsus4 G7/B E7alt | Fm7b5 Ao7 F#maj7 A+ B13b9 | %", (3, 4)),
    parse_changes("N.C. | C7 | F7 G7 A7 B7 C7 D7 | N.C. D7 N.C. | %", (5, 4)),
    parse_changes("Cm7 F7 | Bb | E7/G# | Eb", (7, 8)),
    parse_changes("Eb6/9 | Ab7 Db | Eb7sus4 | Eb7b9", (6, 8)),
    parse_changes("Fm7 | Bb7#11 Ebmaj7 | Abm6", (12, 8)),
    parse_changes("C | D7 G7 E7", (2, 2)),
    parse_changes("C7 D | E7 F | G C D A B", (1, 4)),
    parse_changes("C/F# | F#m7b5/B", (11, 16)),
    parse_changes("Dm7 G7 | C", (1, 16)),
]
PLAYED = {
    **dict.fromkeys(("blues-f", "blues-cm", "rhythm-changes", "minor-ii-v-i", "modal", "giant-cycle"), "swing"),
    **{"bossa": "bossa", "bossa-dm": "straight", "waltz": "waltz", "blues-34": "waltz"},
    **{"ballad-bb": "ballad", "ballad-db": "ballad"},
}
TUNES = [replace(form(name), feel=feel) for name, feel in PLAYED.items()]
CASES = [*TUNES, *(replace(changes, feel=feel) for changes in OTHERS for feel in FEELS)]


def name(changes):
    return f"{changes.name or changes.meter} {changes.feel}"


def long(changes):
    """The changes in as many choruses as make 32 bars."""
    return changes.times(-(-32 // len(changes.bars)))


def phrases(changes, seed=0):
    """Phrases of 3 to 12 quarters, with rests of 1 to 4 between them."""
    rng, found, onset = np.random.default_rng([seed, 9]), [], 0.0
    while onset < changes.end:
        end = onset + rng.integers(6, 25) / 2
        found.append((onset, min(end, float(changes.end))))
        onset = end + rng.integers(2, 9) / 2
    return found


def solo_of(phrases):
    """A solo in eighths with these phrases."""
    return [(start + i / 2, start + i / 2 + 0.4) for start, end in phrases for i in range(int(2 * (end - start)))]


def play(changes, seed=0, instruments=INSTRUMENTS, **settings):
    return accompany(changes, np.random.default_rng(seed), instruments, **settings)


def of(track, notes):
    return sorted(note for note in notes if note.track == track)


def under(span, notes):
    """The notes that begin while a chord lasts."""
    return [note for note in notes if span[0] <= note.onset < span[0] + span[1]]


def by_bar(changes, notes):
    """The notes of each bar, with their onsets in the bar."""
    bars = defaultdict(list)
    for note in sorted(notes):
        bars[int(note.onset // changes.bar)].append(note._replace(onset=note.onset % changes.bar))
    return bars


def strikes(notes):
    """What the piano plays at each onset: a dict of tuples of pitches, from the lowest up."""
    found = defaultdict(list)
    for note in of(PIANO, notes):
        found[note.onset].append(note.pitch)
    return {onset: tuple(sorted(pitches)) for onset, pitches in found.items()}


def movement(before, after):
    """Semitones that a voice moves on average: voices are paired from the lowest up.

    If there is a voice more in one chord, the voice is left out that makes the movement smallest.
    """
    few, many = sorted((before, after), key=len)
    return min(np.mean(np.abs(np.subtract(few, some))) for some in combinations(many, len(few)))


def activity(onsets, phrases, end):
    """Onsets a quarter in the rests of a solo, and within its phrases."""
    inside = sum(any(start <= onset < stop for start, stop in phrases) for onset in onsets)
    length = sum(stop - start for start, stop in phrases)
    return (len(onsets) - inside) / (float(end) - length), inside / length
