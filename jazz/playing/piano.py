"""The piano: rootless voicings that move little, in comping rhythms that leave the soloist room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, pairwise

from numpy.random import Generator

from music.midi import Note

from ..changes import Changes
from ..chords import Chord
from .arrangement import HALF, PIANO, Arrangement, note, pick

PIANO_RANGE = range(52, 75)
MIDDLE = range(58, 67)  # the mean pitch of a voicing
MOST = 4  # voicings of one chord
REVOICE = 0.35  # how often a chord is voiced anew when it is struck again
STUCK = 3.0  # semitones by which the hands rather move than strike the last voicing once more
SHORTEST = Fraction(1, 4)  # quarters between a strike and the end of its chord
FAST = 180  # quarters a minute; above it, strikes are left out

# Rhythms of two bars in eighths: x strikes, - holds, . is silent. The first group is for the solo's phrases, the
# second for its rests. Bars of three quarters, and of multiples of three eighths, have "three".
COMPING: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "swing": (
        (
            *("x-.x.......x-...", "...x-....x-.....", ".x-...x....x....", "x--....x...x-...", "..x-.......x-..x"),
            *("...x...x--......", "x--....x--....x.", ".x-.......x-....", "x---....x-.x....", "...x..x....x-..."),
        ),
        (
            *("x-.x..x-.x..x..x", ".x.x-.x.x-.x..x.", "x..x.x-..x.x..x-", "..x-.x.x.x.x-..x", "x-.x-.x..x-.x.x-"),
            *(".x..x..x..x..x.x", "x-.x.x-..x-.x.x.", ".x-.x.x-x..x-.x."),
        ),
    ),
    "ballad": (
        ("x-------x-------", "x-----..x---x---", "x---x-----......", "....x---x-------", "x-------..x-----"),
        ("x---x-x-..x---x-", "x--x--x-x-x-x---", "x---..x-x-x---x-", ".x--x-x-x-..x-x-", "x-x---x-.x--x-x-"),
    ),
    "straight": (
        ("x--x----........", "x---.......x----", ".x--....x--x....", "x--.......x-....", "...x----x-......"),
        ("x--x--x-.x-x--x-", "x.x..x.x..x.x-x.", "x-.x..x..x-.x.x.", "..x-x..x.x-.x.x-", "x-x-.x-.x.x..x-."),
    ),
    "bossa": (
        ("x--........x-...", "x--x......x-....", "...x-....x--....", "x--x--..x-......", "x-....x---......"),
        ("x--x--x-..x--x-.", "x.x..x-..x.x..x.", "x--x..x..x-x-.x.", ".x.x..x-x..x..x.", "x--x-.x-.x-x..x."),
    ),
    "three": (
        ("x--.....x---", "..x-..x-....", ".x-.....x-..", "x-----....x-", "..x-x-......", "...x--......"),
        ("..x-x-.x.x-.", "x-.x.x..x-x.", ".x.x-.x-.x-.", "x..x.x..x-x-", "x-x-x..x-.x-", ".x-x..x-..x."),
    ),
}


def piano(arrangement: Arrangement, rng: Generator) -> list[Note]:
    """Comp: chords in short rhythms, many in the solo's rests and few in its phrases, at times before the beat.

    A chord has two to four voicings in turn.
    """
    changes, hands, notes = arrangement.changes, Hands(arrangement.changes, rng), list[Note]()
    strikes = [*struck(arrangement, rng)]
    following = [onset for onset, *_ in strikes[1:]] + [changes.end]
    for (onset, end, chord, first), later in zip(strikes, following, strict=True):
        accent = 4 if onset.denominator == 2 else 0
        velocity = 54 + int(rng.random() * 10) + accent
        if changes.ending and onset >= changes.end - arrangement.bar:
            velocity = 64
        duration = min(end, later) - onset
        notes += [note(PIANO, onset, duration, pitch, velocity) for pitch in hands.play(chord, first)]
    return notes


def struck(arrangement: Arrangement, rng: Generator) -> Iterator[tuple[Fraction, Fraction, Chord, bool]]:
    """(onset, end, chord, whether it is the first of this chord) of each strike of the piano.

    A strike in the last eighth before a chord anticipates it. A chord on which no strike falls is struck where the
    soloist rests, or where it begins; in a phrase it may be left out if it is short or stays the same.
    """
    changes, rests = arrangement.changes, arrangement.rests
    final = changes.end - arrangement.bar if changes.ending else changes.end
    figures = [*rhythm(arrangement, rng)]
    pieces = [piece for bar in arrangement.bars() for piece in bar]
    silence = (changes.end, Fraction(0), Chord(""), Chord(""))
    i, end, stop, left_out, before = 0, Fraction(0), Fraction(0), False, None
    for (onset, length, chord, _), (following, *_) in pairwise([*pieces, silence]):
        start, end = stop if onset == end else onset, onset + length
        if onset >= final:
            yield onset, end, chord, True
            continue
        stop = end - HALF if following == end < final and length >= 1 else end
        while i < len(figures) and figures[i][0] < start:
            i += 1
        first = True
        while i < len(figures) and figures[i][0] < stop:
            place, duration = figures[i]
            i += 1
            if end - place >= SHORTEST:
                yield place, min(place + duration, end), chord, first
                first = False
        if not first:
            left_out, before = False, chord
            continue
        bar, within = divmod(onset, arrangement.bar)
        slots = range(int(within / HALF), min(int((within + stop - onset) / HALF), arrangement.eighths))
        free = [slot for slot in slots if rests[int(bar)][slot]]
        left_out = not free and not left_out and (chord == before or length < arrangement.bar) and rng.random() < 0.5
        if not left_out:
            place = max(onset, bar * arrangement.bar + free[0] * HALF) if free else onset
            yield place, min(end, place + 2), chord, True
        before = chord


def rhythm(arrangement: Arrangement, rng: Generator) -> Iterator[tuple[Fraction, Fraction]]:
    """(onset, duration) of the strikes that a rhythm has, whatever the chords are."""
    changes, slots = arrangement.changes, arrangement.eighths
    behind, answers = COMPING["three" if slots % 3 == 0 else changes.feel if changes.feel in COMPING else "swing"]
    left_out = max(0.0, (arrangement.tempo - FAST) / 300)
    quiet = answer = ""
    for bar, resting in enumerate(arrangement.rests):
        if bar % 2 == 0 and not (quiet and rng.random() < 0.3):
            quiet, answer = pick(rng, behind), pick(rng, answers)
            if not arrangement.solo and rng.random() < 0.4:
                quiet = answer
        for slot, rest in enumerate(resting):
            place, figure = (bar % 2 * slots + slot) % len(quiet), answer if rest else quiet
            if figure[place] == "x" and (not left_out or rng.random() > left_out):
                tail = figure[place + 1 :]
                yield bar * arrangement.bar + slot * HALF, (1 + len(tail) - len(tail.lstrip("-"))) * HALF


class Hands:
    """The pianist's hands, which remember their last voicing and the voicings of each chord."""

    def __init__(self, changes: Changes, rng: Generator):
        self.rng = rng
        self.last: tuple[int, ...] = (57, 62, 65, 69)
        self.known: dict[tuple[int, ...], list[tuple[int, ...]]] = {}  # the latest comes last
        self.plain = {chord.tones for _, _, chord, after in changes.spans() if leads_to_minor(chord, after)}

    def play(self, chord: Chord, first: bool) -> tuple[int, ...]:
        """The pitches of a chord, near the last ones; a chord that comes again has another of its voicings."""
        if not first and self.rng.random() > REVOICE:
            return self.last
        known = self.known.setdefault(chord.tones, [])
        if len(known) < MOST:
            options = voicings(chord.tones, chord.degrees, plain=chord.tones in self.plain)
            penalties = [3.0 * (v in known) or 1.5 * any(alike(v, other) for other in known) for v in options]
        else:
            options, penalties = tuple(known), [1.0 * i for i in range(len(known))]
        costs = [
            movement(self.last, voicing) + harshness(voicing) + penalty + STUCK * (voicing == self.last) + 0.5 * chance
            for voicing, penalty, chance in zip(options, penalties, self.rng.random(len(options)), strict=True)
        ]
        self.last = options[costs.index(min(costs))]
        known[:] = [voicing for voicing in known if voicing != self.last] + [self.last]
        return self.last


def harshness(voicing: Sequence[int]) -> float:
    """How far a voicing lies from the middle, and whether two of its notes are a semitone apart."""
    return 0.1 * abs(sum(voicing) / len(voicing) - 62) + 0.5 * any(b - a == 1 for a, b in pairwise(voicing))


def alike(voicing: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two voicings have the same top note, or one has all notes of the other."""
    return voicing[-1] == other[-1] or {*voicing} <= {*other} or {*other} <= {*voicing}


def leads_to_minor(chord: Chord, after: Chord) -> bool:
    """Whether a dominant resolves to a minor chord, so that its natural ninth and thirteenth would contradict that."""
    dominant = {4, 10} <= {*chord.intervals}
    return dominant and after.root == (chord.tones[0] + 5) % 12 and 3 in after.intervals and 4 not in after.intervals


def movement(before: Sequence[int], after: Sequence[int]) -> float:
    """Semitones that a voice moves on average. Voices are paired from the lowest up.

    If one voicing has more voices, those without a partner are the ones that make the movement smallest.
    """
    few, many = sorted((before, after), key=len)
    pairings = (zip(few, some, strict=True) for some in combinations(many, len(few)))
    return min(sum(abs(a - b) for a, b in pairs) for pairs in pairings) / len(few)


@lru_cache(1024)
def voicings(tones: tuple[int, ...], degrees: tuple[int, ...], plain: bool = False) -> tuple[tuple[int, ...], ...]:
    """The voicings of a chord in the range of the piano, of three or four notes.

    They have the third, the seventh (or sixth), an altered fifth, the extensions that name the chord, as far as four
    voices can have them, and others that it allows. Chords of four tones and more leave their root to the bass.

    Parameters
    ----------
    tones, degrees : tuple of int, see Chord
    plain : bool, default False; add no extensions

    Returns
    -------
    tuple of tuples of MIDI numbers, each from the lowest up
    """
    above = [(tone - tones[0]) % 12 for tone in tones]
    named = [tone for tone, degree in zip(above[4:], degrees[4:], strict=True) if degree != 5]
    altered = [tone for tone in named if tone in (1, 3, 6, 8)]
    fifths = [tone for tone, degree in zip(above, degrees, strict=True) if degree == 5 and tone != 7]
    needed = {*above[1:2], *above[3:4], *fifths, *(above[2:] if len(above) == 3 else ())}
    naming = {*altered, *named[-1:]}  # such as the thirteenth of C13
    if len(needed | naming) > 4:
        naming = set()
    free = [tone for tone in above[0 if len(above) < 4 else 1 :] if tone not in needed]
    free += [] if plain else extensions({*above}, degrees)
    sets = [{*needed, *some} for count in range(5) for some in combinations(free, count)]
    sets = [some for some in sets if len(some) in (3, 4) and naming <= some and some & {*(altered or named or some)}]
    found = set[tuple[int, ...]]()
    for some in sets or [{*above}]:
        for bottom in PIANO_RANGE:
            if (bottom - tones[0]) % 12 in some:
                close = sorted(bottom + (tones[0] + tone - bottom) % 12 for tone in some)
                close += [bottom + 12] * (len(close) < 3)  # a power chord doubles its lower note
                found.add(tuple(close))
                if len(close) == 4:
                    found.add(tuple(sorted([*close[:2], close[2] - 12, close[3]])))
    good = [voicing for voicing in sorted(found) if is_clear(voicing)]
    return tuple(good or sorted(found)[:1])


def is_clear(voicing: tuple[int, ...]) -> bool:
    """Whether a voicing lies in the middle of the range, without a cluster, a minor ninth or a semitone on top."""
    inside = voicing[0] in PIANO_RANGE and voicing[-1] in PIANO_RANGE
    rubs = voicing[-1] - voicing[-2] == 1 or any(b - a == 13 for a, b in combinations(voicing, 2))
    rubs = rubs or any(b - a <= 3 for a, b in zip(voicing, voicing[2:], strict=False))
    return inside and not rubs and MIDDLE.start <= sum(voicing) / len(voicing) <= MIDDLE.stop


def extensions(above: set[int], degrees: tuple[int, ...]) -> list[int]:
    """The ninth, eleventh and thirteenth, in semitones above the root, that may be added to a chord of given tones."""
    minor, major, perfect = 3 in above and 4 not in above, 4 in above, 7 in above
    suspended = 5 in above and not minor and not major
    natural = 1 not in above and not (major and 3 in above)  # no altered ninth
    if above == {0, 3, 6, 9}:
        return [2]
    added = []
    if perfect and natural and (minor or major or suspended):
        added.append(2)
    if minor and 10 in above and (perfect or above == {0, 3, 6, 10}):
        added.append(5)
    if perfect and natural and (major or suspended) and above & {10, 11} and not {6, 13} & {*degrees}:
        added.append(9)
    return [tone for tone in added if tone not in above]
