"""The rhythm section: piano voicings, a walking bass, ride cymbal and hi-hat, over any changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from numpy.random import Generator

from music.midi import Note

from ..changes import Change, Changes, Chord

SOLO, PIANO, BASS, DRUMS = 1, 2, 3, 4  # tracks; track 0 has the tempo
NAMES = ["", "Solo", "Piano", "Bass", "Drums"]
CHANNELS = {SOLO: 0, PIANO: 1, BASS: 2, DRUMS: 9}
PROGRAMS = {SOLO: 66, PIANO: 0, BASS: 32, DRUMS: 0}  # General MIDI from 0: tenor saxophone, grand piano, acoustic bass
INSTRUMENTS = ("piano", "bass", "drums")
RIDE, CRASH, PEDAL_HAT, CLOSED_HAT, STICK, KICK = 51, 49, 44, 42, 37, 36
PIANO_RANGE = 52, 74
BASS_PITCHES = range(28, 51)

# What the piano plays during a chord, by the chord's length: patterns of (onset, duration), all in quarters.
Comping = dict[Fraction | int, list[list[tuple[float, float]]]]
SWING_COMPING: Comping = {
    4: [[(0, 1), (1.5, 0.5)], [(0, 1.5), (2.5, 1)], [(0.5, 0.5), (2, 1)], [(0, 0.5), (1.5, 0.5), (3, 0.5)], [(1, 2)]],
    3: [[(0, 1), (1.5, 0.5)], [(0, 1.5)], [(0, 0.5), (2, 0.5)]],
    2: [[(0, 1)], [(0, 0.5), (1.5, 0.5)], [(0.5, 1)]],
}
STRAIGHT_COMPING: Comping = {
    4: [[(0, 1), (1.5, 0.5), (3, 0.5)], [(0, 0.5), (1, 0.5), (2.5, 1)], [(0.5, 1), (2, 0.5), (3, 0.5)]],
    3: [[(0, 1), (1.5, 0.5)], [(0, 0.5), (1, 0.5), (2, 0.5)]],
    2: [[(0, 0.5), (1.5, 0.5)], [(0, 1)]],
}


def accompany(changes: Changes, rng: Generator, instruments: Sequence[str] = INSTRUMENTS) -> list[Note]:
    """Play a rhythm section over changes.

    Parameters
    ----------
    changes : Changes
    rng : numpy Generator
    instruments : any of "piano", "bass", "drums"; default all

    Returns
    -------
    list of Note, each instrument on its own track and channel; eighths are straight (`swing.swung` swings them)
    """
    players = {"piano": piano, "bass": bass, "drums": drums}
    # each has a generator of its own, so that leaving out an instrument does not change the others
    streams = dict(zip(players, rng.spawn(len(players)), strict=True))
    return [note for name in players if name in instruments for note in players[name](changes, streams[name])]


def spans(changes: Changes) -> Iterator[tuple[Fraction, Fraction, Chord, Chord]]:
    """Give (onset, length, chord, next chord) of each chord, without N.C.; the first chord follows the last."""
    flat: list[Change] = changes.flat()
    end = changes.bar * len(changes.bars)
    for (onset, chord), (following, after) in pairwise([*flat, (end, flat[0][1])]):
        if chord.tones:
            yield onset, following - onset, chord, after


def note(track: int, onset: Fraction, duration: Fraction, pitch: int, velocity: int) -> Note:
    """Make a note on the channel and with the program of its track."""
    return Note(onset, duration, pitch, velocity, CHANNELS[track], PROGRAMS[track], track)


def piano(changes: Changes, rng: Generator) -> list[Note]:
    """Play chords, each voiced as near to the previous one as possible."""
    notes, before = [], [57, 62, 65, 69]
    comping = SWING_COMPING if changes.feel == "swing" else STRAIGHT_COMPING
    for onset, length, chord, _ in spans(changes):
        before = voicing(chord, before)
        if is_held(changes, onset):
            notes += [note(PIANO, onset, length, pitch, 64) for pitch in before]
            continue
        patterns = comping.get(length, [[(0, float(length))]])
        for start, duration in patterns[int(rng.integers(len(patterns)))]:
            place, stop = Fraction(start), min(Fraction(start) + Fraction(duration), length)
            velocity = int(rng.integers(54, 66))
            notes += [note(PIANO, onset + place, stop - place, pitch, velocity) for pitch in before]
    return notes


def is_held(changes: Changes, onset: Fraction) -> bool:
    """Whether a chord belongs to the ending, which the band holds."""
    return changes.ending and onset >= changes.bar * (len(changes.bars) - 1)


def voicing(chord: Chord, before: Sequence[int]) -> list[int]:
    """Voice a chord with up to four tones near the previous voicing; a four-note chord leaves its root to the bass."""
    tones = list(dict.fromkeys(chord.tones))
    if len(tones) > 3:
        tones = (tones[1:2] + tones[3:] + tones[2:3])[:4]
    low, high = PIANO_RANGE

    def close(bottom: int) -> list[int]:
        """Place each tone at its lowest pitch from `bottom` on."""
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
        root = nearest(chord.bass or 0, last)
        if is_held(changes, onset):
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
                    notes.append(note(BASS, place + held, stop - place - held, fifth, 74))
            last = root
            continue
        steps = max(int(length), 1)
        target = nearest(chord.tones[0] if after.bass is None else after.bass, root)
        for step in range(steps):
            if step == 0:
                pitch = root
            elif step == steps - 1 and onset + length < end and target % 12 != root % 12:
                # a semitone from below or above leads into the next root
                sides = [side for side in (target - 1, target + 1) if side in BASS_PITCHES]
                sides = [side for side in sides if side != last] or sides
                pitch = sides[int(rng.integers(len(sides)))]
            else:
                tones = set(chord.tones) if step % 2 == 0 else walkable(chord)
                choices = [p for p in BASS_PITCHES if p % 12 in tones and p != last]
                onwards = 2 if target > last or (target == last and rng.random() < 0.5) else -2
                choices.sort(key=lambda p: (abs(p - last - onwards), p))
                pitch = choices[int(rng.integers(min(2, len(choices))))]
            place = onset + step
            stop = onset + length if step == steps - 1 else place + 1
            notes.append(note(BASS, place, stop - place, pitch, int(rng.integers(80, 92))))
            last = pitch
    return notes


def walkable(chord: Chord) -> set[int]:
    """List the pitch classes for the bass's weak beats: chord tones, fourth, second and sixth.

    A chord with a flat ninth or without a perfect fifth has no second and sixth.
    """
    over = {(tone - chord.tones[0]) % 12 for tone in chord.tones}
    perfect = 7 in over and not over & {1, 6, 8}
    return {*chord.tones, *((chord.tones[0] + step) % 12 for step in ((2, 5, 9) if perfect else (5,)))}


def nearest(pitch_class: int, pitch: int) -> int:
    """Find the pitch of a class that is nearest to `pitch` in the range of the bass."""
    return min((p for p in BASS_PITCHES if p % 12 == pitch_class % 12), key=lambda p: (abs(p - pitch), p))


def drums(changes: Changes, rng: Generator) -> list[Note]:
    """Swing: ride cymbal and hi-hat pedal. Straight: closed hi-hat, side stick and bass drum."""
    notes: list[Note] = []
    beat = Fraction(4, changes.meter[1])
    short = beat / 2
    for bar in range(len(changes.bars)):
        start = changes.bar * bar
        if is_held(changes, start):
            return [*notes, note(DRUMS, start, beat, CRASH, 84), note(DRUMS, start, beat, KICK, 70)]
        for i in range(changes.meter[0]):
            place, back = start + i * beat, i % 2 == 1
            if changes.feel == "straight":
                notes += [note(DRUMS, place + half * short, short, CLOSED_HAT, 62 - 14 * half) for half in (0, 1)]
                notes.append(note(DRUMS, place + back * short, short, KICK, 58))
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
