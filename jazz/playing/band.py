"""The rhythm section: piano voicings, a walking bass, ride cymbal and hi-hat, over any changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from numpy.random import Generator

from music.midi import Note

from ..changes import Change, Changes
from ..chords import Chord

SOLO, PIANO, BASS, DRUMS = 1, 2, 3, 4  # tracks; track 0 has the tempo
NAMES = ["", "Solo", "Piano", "Bass", "Drums"]
CHANNELS = {SOLO: 0, PIANO: 1, BASS: 2, DRUMS: 9}
PROGRAMS = {SOLO: 66, PIANO: 0, BASS: 32, DRUMS: 0}  # General MIDI from 0: tenor saxophone, grand piano, acoustic bass
INSTRUMENTS = ("piano", "bass", "drums")
RIDE, CRASH, PEDAL_HAT, CLOSED_HAT, STICK, KICK = 51, 49, 44, 42, 37, 36
PIANO_RANGE, BASS_RANGE = (52, 74), (28, 50)
HALF, ONE = Fraction(1, 2), Fraction(1)

# Rhythms of the piano, (onset, duration) in quarters, by feel and by the length of the chord.
COMPING: dict[str, dict[int, list[list[tuple[float, float]]]]] = {
    "swing": {
        4: [
            [(0, 1), (1.5, 0.5)],
            [(0, 1.5), (2.5, 1)],
            [(0.5, 0.5), (2, 1)],
            [(0, 0.5), (1.5, 0.5), (3, 0.5)],
            [(1, 2)],
        ],
        3: [[(0, 1), (1.5, 0.5)], [(0, 1.5)], [(0, 0.5), (2, 0.5)]],
        2: [[(0, 1)], [(0, 0.5), (1.5, 0.5)], [(0.5, 1)]],
    },
    "straight": {
        4: [[(0, 1), (1.5, 0.5), (3, 0.5)], [(0, 0.5), (1, 0.5), (2.5, 1)], [(0.5, 1), (2, 0.5), (3, 0.5)]],
        3: [[(0, 1), (1.5, 0.5)], [(0, 0.5), (1, 0.5), (2, 0.5)]],
        2: [[(0, 0.5), (1.5, 0.5)], [(0, 1)]],
    },
}


def accompany(changes: Changes, rng: Generator, instruments: Sequence[str] = INSTRUMENTS) -> list[Note]:
    """A rhythm section over changes.

    Parameters
    ----------
    changes : Changes
    rng : numpy Generator
    instruments : any of "piano", "bass", "drums"

    Returns
    -------
    list of Note, without swing (see `swing.swung`), each instrument on its own track and channel
    """
    players = {"piano": piano, "bass": bass, "drums": drums}
    streams = dict(zip(players, rng.spawn(len(players)), strict=True))  # the same whoever else plays
    return [note for name in players if name in instruments for note in players[name](changes, streams[name])]


def spans(changes: Changes) -> Iterator[tuple[Fraction, Fraction, Chord, Chord]]:
    """(onset, length, chord, next chord) of each chord of each bar; the last is followed by the first."""
    flat: list[Change] = changes.flat()
    end = changes.bar * len(changes.bars)
    for (onset, chord), (following, after) in pairwise([*flat, (end, flat[0][1])]):
        yield onset, following - onset, chord, after


def note(track: int, onset: Fraction, duration: Fraction, pitch: int, velocity: int) -> Note:
    """A note on the channel and with the program of its track."""
    return Note(onset, duration, pitch, velocity, CHANNELS[track], PROGRAMS[track], track)


def piano(changes: Changes, rng: Generator) -> list[Note]:
    """Chords in a comping rhythm, each voiced as near to the one before as possible."""
    notes, before, end = [], [57, 62, 65, 69], changes.bar * len(changes.bars)
    for onset, length, chord, _ in spans(changes):
        if not chord.tones:
            continue
        before = voicing(chord, before)
        if changes.ending and onset >= end - changes.bar:
            notes += [note(PIANO, onset, length, pitch, 64) for pitch in before]
            continue
        patterns = COMPING[changes.feel].get(int(length) if length.denominator == 1 else 0, [[(0, float(length))]])
        for start, duration in patterns[int(rng.integers(len(patterns)))]:
            place, stop = Fraction(start), min(Fraction(start) + Fraction(duration), length)
            velocity = int(rng.integers(54, 66))
            notes += [note(PIANO, onset + place, stop - place, pitch, velocity) for pitch in before]
    return notes


def voicing(chord: Chord, before: Sequence[int]) -> list[int]:
    """A chord of up to four tones, moved as little as possible; if there are more than three, without the root."""
    tones = list(chord.tones)
    if len(tones) > 3:
        tones = (tones[1:2] + tones[3:] + tones[2:3])[:4]
    low, high = PIANO_RANGE

    def close(bottom: int) -> list[int]:
        """All tones in the octave above `bottom`."""
        return sorted(bottom + (tone - bottom) % 12 for tone in tones)

    def movement(pitches: list[int]) -> float:
        steps = sum(min(abs(pitch - other) for other in before) for pitch in pitches)
        rubs = sum(b - a == 1 for a, b in pairwise(pitches))
        return steps + 3 * rubs + abs(sum(pitches) / len(pitches) - 62) / 2

    options = [close(bottom) for bottom in range(low, high - 10)]
    return min((pitches for pitches in options if pitches[-1] <= high), key=movement)


def bass(changes: Changes, rng: Generator) -> list[Note]:
    """Swing: a walking line in quarters that steps into every new root. Straight: roots and fifths."""
    notes, last, end = [], 36, changes.bar * len(changes.bars)
    for onset, length, chord, after in spans(changes):
        if not chord.tones:
            continue
        root = nearest(chord.bass or 0, last)
        if changes.ending and onset >= end - changes.bar:
            notes.append(note(BASS, onset, length, root, 88))
            continue
        if changes.feel == "straight":
            fifth = nearest(chord.tones[2] if len(chord.tones) > 2 else chord.tones[0], root + 5)
            for bar_part in range(0, max(1, int(length)), 2):
                place, pitch = onset + bar_part, fifth if bar_part % 4 else root
                stop = min(onset + length, place + 2)
                held = min(stop - place, Fraction(3, 2))
                notes.append(note(BASS, place, held, pitch, 84))
                if stop - place > held:
                    notes.append(note(BASS, place + held, stop - place - held, fifth if pitch == root else pitch, 74))
            last = root
            continue
        steps = int(length) if length >= 1 else 1
        target = nearest(chord.tones[0] if after.bass is None else after.bass, root)
        for step in range(steps):
            if step == 0:
                pitch = root
            elif step == steps - 1 and onset + length < end and target % 12 != root % 12:
                # a semitone from below or above leads into the next root
                sides = [target + side for side in (-1, 1) if BASS_RANGE[0] <= target + side <= BASS_RANGE[1]]
                sides = [side for side in sides if side != last] or sides
                pitch = sides[int(rng.integers(len(sides)))]
            else:
                tones = set(chord.tones) if step % 2 == 0 else walkable(chord)
                choices = [p for p in range(BASS_RANGE[0], BASS_RANGE[1] + 1) if p % 12 in tones and p != last]
                onwards = 2 if target > last or (target == last and rng.random() < 0.5) else -2
                choices.sort(key=lambda p: (abs(p - last - onwards), p))
                pitch = choices[int(rng.integers(min(2, len(choices))))]
            pitch = min(max(pitch, BASS_RANGE[0]), BASS_RANGE[1])
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
    inside = range(BASS_RANGE[0], BASS_RANGE[1] + 1)
    return min((p for p in inside if p % 12 == pitch_class), key=lambda p: (abs(p - pitch), p))


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
