"""The rhythm section: piano voicings, a walking bass, ride cymbal and hi-hat, over any changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from numpy.random import Generator

from music.midi import Note

from ..changes import Changes
from ..chords import Chord

SOLO, PIANO, BASS, DRUMS = 1, 2, 3, 4  # tracks; track 0 has the tempo
NAMES = ["", "Solo", "Piano", "Bass", "Drums"]
CHANNELS = {SOLO: 0, PIANO: 1, BASS: 2, DRUMS: 9}
PROGRAMS = {SOLO: 66, PIANO: 0, BASS: 32, DRUMS: 0}  # General MIDI from 0: tenor saxophone, grand piano, acoustic bass
INSTRUMENTS = ("piano", "bass", "drums")
RIDE, CRASH, PEDAL_HAT, CLOSED_HAT, STICK, KICK = 51, 49, 44, 42, 37, 36
PIANO_RANGE, BASS_RANGE = range(52, 75), range(28, 51)
HALF = Fraction(1, 2)

# Rhythms of the piano in eighths, by feel and by the quarters of the chord: x strikes, - holds, . is silent.
COMPING: dict[str, dict[Fraction | int, list[str]]] = {
    "swing": {
        4: ["x-.x....", "x--..x-.", ".x..x-..", "x..x..x.", "..x---.."],
        3: ["x-.x..", "x--...", "x...x."],
        2: ["x-..", "x..x", ".x-."],
    },
    "straight": {4: ["x-.x..x.", "x.x..x-.", ".x-.x.x."], 3: ["x-.x..", "x.x.x."], 2: ["x..x", "x-.."]},
}


def accompany(changes: Changes, rng: Generator, instruments: Sequence[str] = INSTRUMENTS) -> list[Note]:
    """Play a rhythm section over changes.

    Parameters
    ----------
    changes : Changes
    rng : numpy Generator
    instruments : any of "piano", "bass", "drums"

    Returns
    -------
    list of Note, with even eighths (see `swing.swung`); each instrument has its own track and channel
    """
    players = {"piano": piano, "bass": bass, "drums": drums}
    streams = dict(zip(players, rng.spawn(len(players)), strict=True))  # no part depends on which others play
    return [note for name in players if name in instruments for note in players[name](changes, streams[name])]


def note(track: int, onset: Fraction, duration: Fraction, pitch: int, velocity: int) -> Note:
    """A note on the channel and with the program of its track."""
    return Note(onset, duration, pitch, velocity, CHANNELS[track], PROGRAMS[track], track)


def piano(changes: Changes, rng: Generator) -> list[Note]:
    """Chords in a comping rhythm, each voiced as near to the previous one as possible."""
    notes, before = [], [57, 62, 65, 69]
    for onset, length, chord, _ in changes.spans():
        before = voicing(chord, before)
        if changes.ending and onset >= changes.end - changes.bar:
            notes += [note(PIANO, onset, length, pitch, 64) for pitch in before]
            continue
        rhythms = COMPING[changes.feel].get(length, [""])
        strikes = re.finditer("x-*", rhythms[int(rng.integers(len(rhythms)))])
        for start, end in [(hit.start() / 2, hit.end() / 2) for hit in strikes] or [(0, float(length))]:
            place, stop = Fraction(start), min(Fraction(end), length)
            velocity = int(rng.integers(54, 66))
            notes += [note(PIANO, onset + place, stop - place, pitch, velocity) for pitch in before]
    return notes


def voicing(chord: Chord, before: Sequence[int]) -> list[int]:
    """Up to four tones of a chord, near the pitches before. A chord of more than three leaves its root to the bass."""
    tones = list(chord.tones)
    if len(tones) > 3:
        tones = (tones[1:2] + tones[3:] + tones[2:3])[:4]

    def close(bottom: int) -> list[int]:
        """All tones in the octave above `bottom`."""
        return sorted(bottom + (tone - bottom) % 12 for tone in tones)

    def movement(pitches: list[int]) -> float:
        steps = sum(min(abs(pitch - other) for other in before) for pitch in pitches)
        rubs = sum(b - a == 1 for a, b in pairwise(pitches))
        return steps + 3 * rubs + abs(sum(pitches) / len(pitches) - 62) / 2

    options = map(close, PIANO_RANGE)
    return min((pitches for pitches in options if pitches[-1] in PIANO_RANGE), key=movement)


def bass(changes: Changes, rng: Generator) -> list[Note]:
    """Swing: a walking line in quarters that steps into every new root. Straight: roots and fifths."""
    notes, last = [], 36
    for onset, length, chord, after in changes.spans():
        root = nearest(chord.bass or 0, last)
        if changes.ending and onset >= changes.end - changes.bar:
            notes.append(note(BASS, onset, length, root, 88))
            continue
        if changes.feel == "straight":
            fifth = nearest(chord.tones[2] if len(chord.tones) > 2 else chord.tones[0], root + 5)
            for half in range(0, max(1, int(length)), 2):
                place, rest = onset + half, length - half
                notes.append(note(BASS, place, min(rest, 3 * HALF), fifth if half % 4 else root, 84))
                if rest > 3 * HALF:
                    notes.append(note(BASS, place + 3 * HALF, min(rest - 3 * HALF, HALF), fifth, 74))
            last = root
            continue
        steps = max(1, int(length))
        target = nearest(chord.tones[0] if after.bass is None else after.bass, root)
        for step in range(steps):
            if step == 0:
                pitch = root
            elif step == steps - 1 and onset + length < changes.end and target % 12 != root % 12:
                sides = [side for side in (target - 1, target + 1) if side in BASS_RANGE]  # lead into the next root
                sides = [side for side in sides if side != last] or sides
                pitch = sides[int(rng.integers(len(sides)))]
            else:
                tones = set(chord.tones) if step % 2 == 0 else walkable(chord)
                onwards = 2 if target > last or (target == last and rng.random() < 0.5) else -2
                choices = [pitch for pitch in BASS_RANGE if pitch % 12 in tones and pitch != last]
                choices.sort(key=lambda pitch: (abs(pitch - last - onwards), pitch))
                pitch = choices[int(rng.integers(min(2, len(choices))))]
            place = onset + step
            stop = onset + length if step == steps - 1 else place + 1
            notes.append(note(BASS, place, stop - place, pitch, int(rng.integers(80, 92))))
            last = pitch
    return notes


def walkable(chord: Chord) -> set[int]:
    """The pitch classes of the bass on weak beats: chord tones, fourth, second and sixth.

    If the chord has an altered ninth, fifth or thirteenth, the second and the sixth are left out.
    """
    perfect = 7 in chord.intervals and not {1, 6, 8} & set(chord.intervals)
    return {*chord.tones, *((chord.tones[0] + step) % 12 for step in ((2, 5, 9) if perfect else (5,)))}


def nearest(pitch_class: int, pitch: int) -> int:
    """The pitch of a pitch class that is nearest to `pitch` in the range of the bass."""
    same = (other for other in BASS_RANGE if other % 12 == pitch_class)
    return min(same, key=lambda other: (abs(other - pitch), other))


def drums(changes: Changes, rng: Generator) -> list[Note]:
    """Swing: ride cymbal and hi-hat pedal. Straight: closed hi-hat, side stick and bass drum."""
    notes = []
    beat = Fraction(4, changes.meter[1])
    short = HALF * beat
    for bar in range(len(changes.bars)):
        start = changes.bar * bar
        if changes.ending and bar == len(changes.bars) - 1:
            notes += [note(DRUMS, start, beat, CRASH, 84), note(DRUMS, start, beat, KICK, 70)]
            break
        for i in range(changes.meter[0]):
            place, back = start + i * beat, i % 2 == 1
            if changes.feel == "straight":
                notes += [note(DRUMS, place + half * short, short, CLOSED_HAT, 62 - 14 * half) for half in (0, 1)]
                notes.append(note(DRUMS, place if not back else place + short, short, KICK, 58))
                continue
            notes.append(note(DRUMS, place, beat, RIDE, int(rng.integers(76, 86)) + 8 * back))
            if back and rng.random() < 0.85:  # the skip before the next beat
                notes.append(note(DRUMS, place + short, short, RIDE, int(rng.integers(58, 68))))
            if back:
                notes.append(note(DRUMS, place, short, PEDAL_HAT, 64))
        if changes.feel == "straight":
            clave = (0, Fraction(3, 2), 3) if bar % 2 == 0 else (1, Fraction(5, 2))
            notes += [note(DRUMS, start + hit, short, STICK, 66) for hit in clave if hit < changes.bar]
    return notes
