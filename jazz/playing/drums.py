"""The drums: time in each feel, comments that answer the soloist, and fills."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from numpy.random import Generator

from music.midi import Note

from .arrangement import DRUMS, EVEN, HALF, Arrangement, note, pick

KICK, STICK, SNARE, CLOSED_HAT, PEDAL_HAT, OPEN_HAT = 36, 37, 38, 42, 44, 46
CRASH, RIDE, BELL = 49, 51, 53
TOMS = (50, 48, 47, 45, 43, 41)  # from high to low
CRASHES = 8  # bars from a crash to the next one, at least
FAST = 220  # quarters a minute; above it, no feathered kick and no added skips of the ride

# Rhythms in eighths, repeated or cut to the length of the bar: s snare, k kick, x the side stick.
BEHIND = ("...s....", ".......s", ".....s..", "...k....", ".......k", ".s......", ".s...s..", ".....k..")
ANSWERS = ("...s..k.", ".s.k..s.", "k..s..s.", "...s.k.s", ".s..s..k", "..sk...s", "s..k..s.", ".k.s.s..", ".s.s.k.k")
KICKS = {
    "straight": ("k...k...", "k..k....", "k..kk...", "k.....k.", "k..k..k.", "k...k..k"),
    "bossa": ("k..kk..k",),
}
STICKS = {
    "straight": ("..x...x.", "..x...x.", "..x..x..", "..x...xx", "..x....x"),
    "bossa": ("x..x..x...x..x..", "..x..x..x..x..x."),  # one of them throughout
}
# Rhythms of a beat in a fill or a solo: X accent, x stroke, . rest. A dotted quarter has those of "three".
CELLS = {
    "swing": ("Xxx", "X.x", "xxX", "X.", "xX", "Xx", ".X", "XxX"),
    "even": ("Xxxx", "X.xx", "xxX.", "X.x.", "X..X", "Xx", ".X"),
    "three": ("Xxx", "X.x", "xxX", "X..", ".xX", "XxX"),
}
RATE = 11  # strokes a second in a fill
SURFACES = {  # where accents and strokes are played; "around" goes from the high tom to the low one
    **{"snare": (SNARE, SNARE), "toms": (48, 43), "floor": (41, SNARE), "kick": (SNARE, KICK), "around": TOMS},
}


def drums(arrangement: Arrangement, rng: Generator) -> list[Note]:
    """Play time, comment on the solo where it rests, fill at the ends of sections, and crash at the top of a chorus."""
    changes, player, notes = arrangement.changes, Drummer(arrangement, rng), list[Note]()
    for bar in range(len(changes.bars)):
        if changes.ending and bar == len(changes.bars) - 1:
            strokes = {(Fraction(0), CRASH): 84.0, (Fraction(0), KICK): 70.0}
        else:
            strokes = player.bar(bar)
        notes += drum_notes(bar * arrangement.bar, arrangement.bar, strokes)
    return notes


def drum_notes(start: Fraction, length: Fraction, strokes: Mapping[tuple[Fraction, int], float]) -> list[Note]:
    """The strokes of a bar, (onset in the bar, drum) with their velocities, as notes; triplets are shorter."""
    short, triplet = min(Fraction(1, 4), length / 4), Fraction(1, 6)
    return [
        note(DRUMS, start + onset, short if onset.denominator % 3 else triplet, drum, max(1, min(127, int(velocity))))
        for (onset, drum), velocity in strokes.items()
    ]


@lru_cache(1024)
def last_eighth(onset: Fraction, length: Fraction) -> Fraction:
    """The place of the last whole eighth of a beat."""
    return onset + (int(length / HALF) - 1) * HALF


class Drummer:
    """Plays bar after bar.

    Attributes
    ----------
    strokes : dict from (onset in the bar, drum) to velocity, the strokes of the current bar
    """

    def __init__(self, arrangement: Arrangement, rng: Generator):
        self.arrangement, self.rng = arrangement, rng
        self.strokes: dict[tuple[Fraction, int], float] = {}
        self.places = [slot * HALF for slot in range(arrangement.eighths)]
        self.backs = [i for i in range(len(arrangement.beats)) if i % 2]
        self.even = arrangement.changes.feel in EVEN
        self.ballad = arrangement.changes.feel == "ballad"
        self.bossa = arrangement.changes.feel == "bossa"
        self.sticks = self.kicks = ""
        self.crashed = -CRASHES  # the bar of the last crash
        self.rhythms = [*map(self.playable, arrangement.beats)]  # of each beat in a fill

    def hit(self, onset: Fraction, drum: int, velocity: float) -> None:
        """Add a stroke; a ballad is played softer."""
        self.strokes[onset, drum] = velocity * (0.9 if self.ballad else 1)

    def bar(self, bar: int) -> dict[tuple[Fraction, int], float]:
        """The strokes of a bar."""
        arrangement, sections, rng = self.arrangement, self.arrangement.sections, self.rng
        self.strokes = {}
        section = bisect(sections, bar)
        since, left = bar - sections[section - 1], sections[section] - bar
        if since == 0 and len(arrangement.beats) == 3:
            self.backs = pick(rng, ([1], [1, 2]))  # a waltz has the hi-hat on 2, or on 2 and 3
        count = len(arrangement.beats) - self.fill_beats(bar, since, left)
        slots = int(2 * arrangement.beats[count][0]) if count < len(arrangement.beats) else arrangement.eighths
        if self.even:
            self.even_time(bar, section % 2 == 0, slots)
        elif self.ballad:
            self.brushes(count)
        else:
            self.ride(count)
        if not self.even:
            self.pedal()
        self.comment(bar, slots)
        self.roll(self.cells(count), pick(rng, [*SURFACES]), crescendo=True)
        if bar % arrangement.chorus == 0 and bar - self.crashed >= CRASHES:
            self.crashed = bar
            for cymbal in (RIDE, CLOSED_HAT):
                self.strokes.pop((Fraction(0), cymbal), None)
            self.hit(Fraction(0), CRASH, 72 if self.even or self.ballad else 88)
            self.hit(Fraction(0), KICK, 76)
        elif since == 0 and (Fraction(0), RIDE) in self.strokes:
            self.strokes[Fraction(0), BELL] = self.strokes.pop((Fraction(0), RIDE))
        return self.strokes

    def fill_beats(self, bar: int, since: int, left: int) -> int:
        """How many beats at the end of a bar are a fill, for its place in the section; more where the soloist rests."""
        beats, rng = len(self.arrangement.beats), self.rng
        final = len(self.arrangement.changes.bars) - self.arrangement.changes.ending - 1
        ends = left == 1 and (since > 0 or bar == final)
        if beats == 1 or not (ends or (since + 1) % 8 == 0 or ((since + 1) % 4 == 0 and rng.random() < 0.6)):
            return 0
        resting = any(self.arrangement.rests[bar][self.arrangement.eighths // 2 :])
        sizes = (1, 1, 2) if self.ballad or self.bossa or not resting else (2, 2, 3, 4)
        return min(pick(rng, sizes), beats - (not ends))

    def ride(self, count: int) -> None:
        """The ride cymbal on every beat, with a skip before the beats after 2 and 4, and a feathered kick."""
        beats, rng = self.arrangement.beats, self.rng
        fast, chance = self.arrangement.tempo > FAST, rng.random()
        usual, others = (self.backs, self.backs) if len(beats) != 3 else ([1], [1, 2])
        skips = {*usual} if chance < 0.3 else {beat for beat in others if chance > 0.4 and rng.random() < 0.5}
        skips |= {int(rng.random() * len(beats))} if chance > 0.75 and not fast else set()
        for i, (onset, length) in enumerate(beats[:count]):
            self.hit(onset, RIDE, 74 + 10 * rng.random() + 8 * (i in self.backs))
            if i in skips and length >= 1:
                self.hit(last_eighth(onset, length), RIDE, 58 + 10 * rng.random())
            if not fast and (len(beats) != 3 or (i == 0 and rng.random() < 0.8)):
                self.hit(onset, KICK, 30 + 6 * rng.random())

    def brushes(self, count: int) -> None:
        """A soft snare drum on every beat, as of brushes, with a sweep before some; the kick on every second beat."""
        rng = self.rng
        for i, (onset, length) in enumerate(self.arrangement.beats[:count]):
            self.hit(onset, SNARE, 56 + 6 * rng.random() + 14 * (i in self.backs))
            if rng.random() < 0.4 and length >= 1:
                self.hit(last_eighth(onset, length), SNARE, 42 + 6 * rng.random())
            if i % 2 == 0:
                self.hit(onset, KICK, 52 + 6 * rng.random())
            elif rng.random() < 0.2:
                self.hit(onset, STICK, 40)

    def even_time(self, bar: int, ride: bool, slots: int) -> None:
        """Eighths on the hi-hat, or in every second section on the ride; the kick and the side stick in a rhythm."""
        feel, rng = self.arrangement.changes.feel, self.rng
        if bar % 2 == 0 and not (self.bossa and self.sticks):  # the clave of a bossa stays
            self.sticks, self.kicks = pick(rng, STICKS[feel]), pick(rng, KICKS[feel])
        shift = bar % 2 * self.arrangement.eighths
        opened = len(self.places) - 1 if rng.random() < 0.2 else -1
        for slot, onset in enumerate(self.places[:slots]):
            cymbal = RIDE if ride else OPEN_HAT if slot == opened else CLOSED_HAT
            self.hit(onset, cymbal, (60 if slot % 2 == 0 else 46) + 6 * rng.random())
            if self.kicks[slot % 8] == "k":
                self.hit(onset, KICK, 56 + 6 * rng.random())
            if self.sticks[(shift + slot) % len(self.sticks)] == "x":
                self.hit(onset, STICK, 62 + 8 * rng.random())
        if ride:
            self.pedal()

    def pedal(self) -> None:
        """The hi-hat pedal on 2 and 4."""
        for i in self.backs:
            self.hit(self.arrangement.beats[i][0], PEDAL_HAT, 62)

    def comment(self, bar: int, slots: int) -> None:
        """Snare and kick: an answer in the solo's rests, now and then a single light stroke in its phrases."""
        rng, solo = self.rng, self.arrangement.phrases
        quiet = pick(rng, ANSWERS if not solo and rng.random() < 0.4 else BEHIND) if rng.random() < 0.6 else "."
        answer, shift = (
            pick(rng, ANSWERS),
            2 if self.arrangement.eighths % 3 == 0 else 0,
        )  # three beats: without the first
        for slot, rests in enumerate(self.arrangement.rests[bar][:slots]):
            onset, figure = self.places[slot], answer if rests else quiet
            sign = figure[(slot + shift) % len(figure)]
            louder = self.ballad and rests  # an answer stands out from the brushes
            if sign != "." and max(self.strokes.get((onset, drum), 0) for drum in (SNARE, STICK)) < 1 + 59 * louder:
                velocity = (58 if rests else 44) + 10 * rng.random() + 10 * (self.even or louder)
                self.hit(onset, KICK if sign == "k" else TOMS[4] if self.bossa else SNARE, velocity)

    def playable(self, beat: tuple[Fraction, Fraction]) -> Sequence[str]:
        """The rhythms of a beat, (onset, length), that are not too fast."""
        cells = CELLS["three" if beat[1] != 1 else "even" if self.even else "swing"]
        return [cell for cell in cells if len(cell) * self.arrangement.tempo <= RATE * 60 * beat[1]] or ("X.",)

    def cells(self, first: int = 0) -> list[tuple[Fraction, Fraction, str]]:
        """(onset, length, rhythm) of each beat from the given one to the end of a bar, for a fill or a solo."""
        beats, rhythms = self.arrangement.beats[first:], self.rhythms[first:]
        if len(beats) == 1:  # a fill of one stroke is none
            rhythms = [[cell for cell in rhythms[0] if len(cell) - cell.count(".") > 1] or rhythms[0]]
        return [(*beat, pick(self.rng, cells)) for beat, cells in zip(beats, rhythms, strict=True)]

    def roll(self, cells: Sequence[tuple[Fraction, Fraction, str]], surface: str, crescendo: bool = False) -> None:
        """Play the rhythms of beats on a part of the kit, with the kick under some accents."""
        drums, total = SURFACES[surface], len(cells)
        for i, (onset, length, cell) in enumerate(cells):
            step = length / len(cell) if length == 1 else HALF
            for k, sign in enumerate(cell):
                if sign == "." or k * step >= length:
                    continue
                progress = (i + k / len(cell)) / total
                place = int(progress * len(drums)) if surface == "around" else int(sign == "x")
                level = (92 if sign == "X" else 62) * (0.75 + 0.25 * progress if crescendo else 1)
                self.hit(onset + k * step, drums[place], level + 6 * self.rng.random())
                if sign == "X" and surface != "kick" and self.rng.random() < 0.3:
                    self.hit(onset + k * step, KICK, 0.8 * level)
