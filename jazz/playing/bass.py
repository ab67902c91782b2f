"""The bass: walking lines, two notes a bar, and the roots and fifths of even feels."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

from numpy.random import Generator

from music.midi import Note

from ..chords import Chord
from .arrangement import BASS, EVEN, HALF, Arrangement, Piece, beats_of, note, pick

BASS_RANGE = range(28, 51)
TRIES = 20  # to play a bar unlike the one before
APPROACHES = ("semitone",) * 7 + ("scale",) * 7 + ("chord",) * 6  # how often each leads into the next root
STEPS = {1: 5.0, 2: 6.0, 3: 4.0, 4: 2.5, 5: 1.2, 7: 0.4, 12: 0.6}  # weight of a move in semitones within a walking line
SKIPS = 0.1  # share of the beats of a walking line that have ghosted notes
LOUD, GHOST = 80, 52  # velocities
FAST = 200  # quarters a minute; no triplets above

# Rhythms of even feels in eighths: R root, 5 fifth, - holds.
PATTERNS = {
    "straight": ("R--RR---", "R--55-R-", "R---5--5", "R-R-5-5-", "R--RR-5-", "R--R5---", "R---R-5-"),
    "bossa": ("R--55--5", "R--55--R", "R---5--5", "R--55---", "R--R5--5", "R--5R--5", "R--55-5-"),
    "compound": ("R--5--", "R--5-R", "R-RR--", "R----5", "R-R5--"),
}

Stroke = tuple[Fraction, Fraction, int, int]  # onset, duration, pitch, velocity


def bass(arrangement: Arrangement, rng: Generator) -> list[Note]:
    """Walk in swinging feels, or play two notes a bar; play roots and fifths in even ones.

    The bass of every chord is on its first beat. No two bars in a row have the same pitches and rhythm where the
    chords leave a choice.
    """
    player, notes = Bassist(arrangement, rng), list[Note]()
    before = list[tuple[Fraction, Fraction, int]]()
    for bar, pieces in enumerate(arrangement.bars()):
        start, last, goal = bar * arrangement.bar, player.last, player.goal
        for _ in range(TRIES):
            player.last, player.goal = last, goal
            strokes = [stroke for piece in pieces for stroke in player.play(bar, piece)]
            shape = [(onset - start, duration, pitch) for onset, duration, pitch, _ in strokes]
            if shape != before:
                break
        before = shape
        notes += [note(BASS, *stroke) for stroke in strokes]
    return notes


class Bassist:
    """Plays chord after chord, and knows where the line is and where it leads.

    Attributes
    ----------
    last : int, the pitch last played
    goal : int, the pitch to which it leads; None at first
    """

    def __init__(self, arrangement: Arrangement, rng: Generator):
        self.arrangement, self.rng = arrangement, rng
        self.last = 36
        self.goal: int | None = None
        self.approaches = self._approaches()

    def _approaches(self) -> Iterator[str]:
        """Kinds of approaches in a random order, each as often as in APPROACHES."""
        while True:
            yield from map(str, self.rng.permutation(APPROACHES))

    def play(self, bar: int, piece: Piece) -> list[Stroke]:
        """The notes of a chord, or of its part in a bar."""
        onset, length, chord, after = piece
        changes, goal, bottom = self.arrangement.changes, self.goal, chord.bass or 0
        root = nearest(bottom, self.last) if goal is None or goal % 12 != bottom else goal
        beats = beats_of(length, self.arrangement.pulse)
        self.last = root
        if changes.ending and bar == len(changes.bars) - 1:
            return [(onset, length, root, 88)]
        if changes.feel in EVEN:
            return self.pattern(onset, length, chord, root)
        self.goal = self.next_root(root, chord.tones[0] if after.bass is None else after.bass, len(beats))
        in_three = len(beats) == len(self.arrangement.beats) == 3
        two = bar in self.arrangement.two_beat or (in_three and self.rng.random() < 0.2)
        if two:
            places, line = self.two_beat(chord, root, self.goal, len(beats))
        else:
            places, line = [*range(len(beats))], self.walk(chord, root, self.goal, len(beats))
        self.last = line[-1]
        edges = [*(onset + beats[place][0] for place in places), onset + length]
        strokes = list[Stroke]()
        for start, end, pitch, following in zip(edges, edges[1:], line, [*line[1:], self.goal], strict=False):
            strokes += self.stroke(start, end - start, pitch, following, 0 if two else SKIPS)
        return strokes

    def next_root(self, root: int, pitch_class: int, beats: int) -> int:
        """The next root's pitch: mostly the nearest, at times in the other octave if there is time to walk there."""
        goal = nearest(pitch_class, root)
        others = [pitch for pitch in (goal - 12, goal + 12) if pitch in BASS_RANGE and abs(pitch - root) <= 3 * beats]
        return others[0] if others and beats > 2 and self.rng.random() < 0.25 else goal

    def walk(self, chord: Chord, root: int, goal: int, count: int) -> list[int]:
        """A line of quarters: chord tones on strong beats, the scale between them, and at last a lead into the goal."""
        line, leads = [root], count > 1 and goal % 12 != root % 12
        aim = self.approach(chord, root, goal, count - 1) if leads else goal
        for i in range(1, count - leads):
            reach = 4 * (count - leads - i)
            tones = [pitch for pitch in tones_in_range(chord, strong=i % 2 == 0) if pitch != line[-1]]
            options = [pitch for pitch in tones if 0 < abs(pitch - aim) <= reach] or tones
            onwards = line[-1] - line[-2] if i > 1 else 0
            line.append(self.weighed(options, [step_weight(pitch, line, onwards) for pitch in options]))
        return [*line, aim] if leads else line

    def weighed(self, options: list[int], weights: list[float]) -> int:
        """One of the options, the more probable the greater its weight."""
        place = self.rng.random() * sum(weights)
        return options[min(bisect(list(accumulate(weights)), place), len(options) - 1)]

    def approach(self, chord: Chord, last: int, goal: int, steps: int) -> int:
        """The note before a new root: a semitone or a step of the scale away from it, or a tone of the chord.

        It is reached from `last` in so many steps.
        """
        near = [p for p in BASS_RANGE if 0 < abs(p - goal) <= 7 and p != last]
        scale = [p for p in near if abs(p - goal) == 2]
        options = {
            "semitone": [p for p in near if abs(p - goal) == 1],
            "scale": [p for p in scale if p % 12 in walkable(chord)] or scale,
            "chord": [p for p in near if abs(p - goal) > 2 and p % 12 in chord.tones],
        }[next(self.approaches)]
        options = sorted(options or scale or near, key=lambda p: abs(p - last))
        return pick(self.rng, [p for p in options if abs(p - last) <= 5 * steps] or options[:1])

    def two_beat(self, chord: Chord, root: int, goal: int, count: int) -> tuple[list[int], list[int]]:
        """Places and pitches of a bar in two: root and fifth; at times a last beat leads into the next chord."""
        places = [0] if count < 4 else [*range(0, count - 1, 2)]
        line = [root, *(self.second(chord, root, goal) for _ in places[1:])]
        if count > 2 and self.rng.random() < (0.35 if count > 3 else 0.6):
            places = [*places, count - 1]
            same = goal % 12 == root % 12
            line.append(self.second(chord, root, goal) if same else self.approach(chord, line[-1], goal, 1))
        return places, line

    def second(self, chord: Chord, root: int, goal: int) -> int:
        """The note after the root in a bar in two: mostly the fifth, above or below, and not far from the next root."""
        if len(chord.tones) > 2 and self.rng.random() < 0.2:
            return nearest(chord.tones[1], root)
        fifths = [self.fifth(chord, root) for _ in range(3)]
        return next((fifth for fifth in fifths if abs(fifth - goal) <= 9), min(fifths, key=lambda p: abs(p - goal)))

    def fifth(self, chord: Chord, root: int) -> int:
        """The chord's fifth, above or below the root; without one, its root."""
        tone = chord.tones[2] if len(chord.tones) > 2 else chord.tones[0]
        return nearest(tone, root + pick(self.rng, (7, -5)))

    def stroke(self, onset: Fraction, duration: Fraction, pitch: int, following: int, skips: float) -> list[Stroke]:
        """A note, at times cut short by ghosted notes: an eighth before the next beat, or two triplets that drop."""
        velocity, rng = LOUD + int(self.rng.random() * 12), self.rng
        if duration != 1 or rng.random() > skips:
            return [(onset, duration, pitch, velocity)]
        if rng.random() < 0.7 or self.arrangement.tempo > FAST:
            return [(onset, HALF, pitch, velocity), (onset + HALF, HALF, pitch, GHOST)]
        drop = pitch - 12 if pitch - 12 in BASS_RANGE and abs(pitch - 12 - following) <= 7 else pitch
        third = Fraction(1, 3)
        ghosts = [(onset + i * third, third, tone, GHOST) for i, tone in ((1, pitch), (2, drop))]
        return [(onset, third, pitch, velocity), *ghosts]

    def pattern(self, onset: Fraction, length: Fraction, chord: Chord, root: int) -> list[Stroke]:
        """Roots and fifths in a rhythm of the feel."""
        feel = "compound" if self.arrangement.pulse != 1 else self.arrangement.changes.feel
        rhythm, count = pick(self.rng, PATTERNS[feel]), max(1, int(length / HALF))
        places = [i for i in range(count) if rhythm[i % len(rhythm)] != "-"]
        pitches = {"R": root, "5": self.fifth(chord, root)}
        edges = [*(onset + i * HALF for i in places), onset + length]
        loud = [(84 if i % 4 == 0 else 74) + int(self.rng.random() * 4) for i in range(count)]
        return [
            (start, end - start, pitches[rhythm[i % len(rhythm)]], loud[i])
            for i, start, end in zip(places, edges, edges[1:], strict=False)
        ]


def step_weight(pitch: int, line: list[int], onwards: int) -> float:
    """How well a pitch continues a line: by step, in the same direction, and to a pitch that was not just heard."""
    step = pitch - line[-1]
    if abs(step) == 12 and len(line) > 1:
        return 0.01  # octaves leap from the root
    return (
        STEPS.get(abs(step), 0.1 if abs(step) < 10 else 0.001)
        * (1.6 if step * onwards > 0 else 1)
        * (0.3 if pitch in line else 1)
    )


@lru_cache(1024)
def tones_in_range(chord: Chord, strong: bool) -> tuple[int, ...]:
    """The pitches of the bass on a strong or weak beat."""
    tones = chord.tones if strong else walkable(chord)
    return tuple(pitch for pitch in BASS_RANGE if pitch % 12 in tones)


def walkable(chord: Chord) -> set[int]:
    """The pitch classes of the bass on weak beats: chord tones, fourth, second and sixth.

    If the chord has an altered ninth, fifth or thirteenth, the second and the sixth are left out.
    """
    perfect = 7 in chord.intervals and not {1, 6, 8} & set(chord.intervals)
    return {*chord.tones, *((chord.tones[0] + step) % 12 for step in ((2, 5, 9) if perfect else (5,)))}


@lru_cache(1024)
def nearest(pitch_class: int, pitch: int) -> int:
    """The pitch of a pitch class that is nearest to `pitch` in the range of the bass."""
    same = (other for other in BASS_RANGE if other % 12 == pitch_class)
    return min(same, key=lambda other: (abs(other - pitch), other))
