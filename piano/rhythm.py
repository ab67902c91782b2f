"""Pieces with rhythm in the tokens that a network learns: common ones replace rare ones, and no time is lost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import chain

from .tokens import GAPS, WAIT, count_names, pitches_of, snap, transpose, waits

TEXTS = list(GAPS)  # of 0, 1, 2 ... ticks; a tick is 1/48 of a quarter
TICKS = {text: n for n, text in enumerate(TEXTS)}
moved = cache(transpose)
Event = tuple[str, int, int]  # name, time to the next event, and duration, in ticks


class Rhythms:
    """The common tokens with rhythm of some pieces, and a way to write pieces in them.

    A rare name becomes a similar common one. The candidates have no other pitch classes; the one with the most pitch
    classes is taken, then the one with the nearest lowest pitch, then the commonest. Without a candidate, the token is
    dropped, and its time is added to the one before it. At the beginning of a piece it becomes waits.

    A rare rhythm becomes a known one of its name, if possible one that is too long neither in its gap nor in its
    duration, and of these the one with the longest gap and then the most similar duration. Waits fill what is left. If
    all known gaps are too long, or there is no such wait, the next events make up for it.

    Parameters
    ----------
    pieces : lists of tokens with rhythm
    min_count : int
        A name is common if it occurs at least this often in all pieces together, whatever its rhythm.
    rhythm_count : int
        A rhythm of a common name is known if it occurs at least this often. A gap that occurs this often is known, too,
        with its commonest duration. So is the shortest gap of each name; thus the pieces themselves are never late.
    keys : list of int, default 0 only
        The semitones by which the pieces will be transposed. All waits that this needs are known.

    Attributes
    ----------
    tokens : set of str, the tokens that the pieces are written in, in all keys; empty if no name is common
    """

    def __init__(self, pieces: Sequence[Sequence[str]], min_count: int, rhythm_count: int, keys: Sequence[int] = (0,)):
        self._common = {name: n for name, n in count_names(pieces).items() if n >= min_count}
        self._similar, self._spelled = cache(self._find_similar), cache(self._spell)
        counts, of_gaps = Counter[Event](), Counter[tuple[str, int]]()
        for name, gap, duration in chain.from_iterable(self._events(piece)[1:] for piece in pieces):
            gap = min(gap, len(TEXTS) - 1)
            counts[name, gap, TICKS[str(snap(Fraction(duration, 48)))]] += 1
            of_gaps[name, gap] += 1
        self._known: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)  # gaps and durations
        for (name, gap, duration), n in sorted(counts.items(), key=lambda item: (item[0][:2], -item[1], item[0])):
            known = self._known[name]
            commonest = not known or known[-1][0] != gap
            if n >= rhythm_count or not known or (commonest and of_gaps[name, gap] >= rhythm_count):
                known.append((gap, duration))
        self.tokens: set[str] = set()
        self.tokens = set(chain.from_iterable(self.write(piece, key) for key in keys for piece in pieces))
        self._spelled.cache_clear()

    def write(self, piece: Sequence[str], semitones: int = 0) -> list[str]:
        """Transpose a piece and write it in the common tokens.

        Parameters
        ----------
        piece : list of tokens with rhythm
        semitones : int, default 0

        Returns
        -------
        list of str, all of them in `tokens`; empty if all tokens are dropped
        """
        events, written, late = self._events(piece, semitones), [], 0
        for name, gap, duration in events if len(events) > 1 else ():
            tokens, late = self._spelled(name, gap - late, duration)
            written += tokens
        return written

    def _events(self, piece: Sequence[str], semitones: int = 0) -> list[Event]:
        """The events of a piece with common names; the first one is a wait, with the time before the others."""
        of_tokens = {token: self._event(token, semitones) for token in set(piece)}
        events: list[Event] = [(WAIT, 0, 0)]
        for event in map(of_tokens.__getitem__, piece):
            if event[0] == WAIT:
                name, gap, duration = events.pop()
                event = name, gap + event[1], duration + event[2]
            events.append(event)
        return events

    def _event(self, token: str, semitones: int) -> Event:
        """The event of a transposed token, with a common name; a wait if none is similar."""
        name, duration, gap = token.split("|")
        octave = 12 if semitones < 0 else -12  # for a pitch that leaves the piano
        similar = self._similar(moved(name, semitones) or moved(name, semitones + octave))
        return similar or WAIT, TICKS[gap], TICKS[duration] if similar else 0

    def _find_similar(self, name: str | None) -> str | None:
        """The common name that is most similar to a name."""
        if name is None or name in self._common or name == WAIT:
            return name
        classes, lowest = _classes(name), pitches_of(name)[0]

        def similarity(other: str) -> tuple[int, int, int, str]:
            return len(_classes(other)), -abs(pitches_of(other)[0] - lowest), self._common[other], other

        return max((other for other in self._common if _classes(other) <= classes), key=similarity, default=None)

    def _spell(self, name: str, time: int, duration: int) -> tuple[list[str], int]:
        """The tokens of an event that is to take a time, and how much more they take."""

        def difference(rhythm: tuple[int, int]) -> tuple[int, bool, int, int]:
            gap, known = rhythm
            return max(gap - time, 0), known > duration, time - gap, abs(known - duration)

        tokens = []
        if name != WAIT:
            gap, known = min(self._known[name], key=difference)
            tokens, time, duration = [f"{name}|{TEXTS[known]}|{TEXTS[gap]}"], time - gap, duration - known
        for wait in waits(Fraction(time, 48), Fraction(duration, 48)):
            if not self.tokens or wait in self.tokens:
                tokens.append(wait)
                time -= TICKS[wait.split("|")[2]]
        return tokens, -time


@cache
def _classes(name: str) -> frozenset[int]:
    """The pitch classes of a name."""
    return frozenset(pitch % 12 for pitch in pitches_of(name))
