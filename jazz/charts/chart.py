"""A chart: the measures of a tune as they stand on paper, and the order in which they are played."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from numpyrnn import NumpyrnnError

from ..chords import Chord
from ..symbols import clean

LONGEST = 10_000  # bars
MAX_CHORDS = 64  # in a bar
TEMPI = range(20, 401)  # quarters a minute

JUMPS = ("D.C.", "D.C. al Fine", "D.C. al Coda", "D.S.", "D.S. al Fine", "D.S. al Coda")

MAJOR = ("", "M", "maj", "major", "ionian", "lydian", "mixolydian")
MINOR = ("m", "-", "min", "minor", "aeolian", "dorian", "phrygian")

Change = tuple[Fraction, Chord]


def bar_length(meter: tuple[int, int]) -> Fraction:
    """Quarters in a bar."""
    return Fraction(4 * meter[0], meter[1])


def parse_meter(text: str) -> tuple[int, int]:
    """Beats and unit of a meter such as "4/4" or "6/8".

    Parameters
    ----------
    text : str

    Returns
    -------
    (beats, unit)

    Raises
    ------
    NumpyrnnError
        unless it has 1 to 32 beats of a whole, half, quarter, eighth or sixteenth note
    """
    match = re.fullmatch(r"(\d{1,2})/(1|2|4|8|16)", text.strip())
    if not match or not 1 <= int(match[1]) <= 32:
        raise NumpyrnnError(f"a meter must be like 4/4, 3/4 or 6/8, got {text!r}")
    return int(match[1]), int(match[2])


def parse_key(text: str) -> str:
    """Parse a key: "Bb", "F#m", "D minor", "Eb major", "C-", "G dorian", ...

    Only the words after the tonic make a key minor. A small letter is read like a capital one: "g" is G major. A mode
    counts as minor if its third is.

    Parameters
    ----------
    text : str

    Returns
    -------
    str, the tonic, with "m" after it if minor, such as "Bb" or "F#m"

    Raises
    ------
    NumpyrnnError
        unless it is a major or minor key of at most seven sharps or flats
    """
    match = re.fullmatch(r"([A-Ga-g])(?:[ -]?([#b]))?\s*(.*)", clean(text[:40]).rstrip("."))
    mode = match[3] if match and match[3] in ("M", "m") else match[3].lower() if match else None
    key = match[1].upper() + (match[2] or "") + "m" * (mode in MINOR) if match else ""
    if mode not in MINOR + MAJOR or abs(fifths(key)) > 7:
        raise NumpyrnnError(f"a key must be like Bb, F#m, D minor or Eb major, with at most 7 signs, got {text[:40]!r}")
    return key


def fifths(key: str) -> int:
    """Sharps of a key's signature, below 0 for flats."""
    return "FCGDAEB".index(key[0]) - 1 + 7 * (key.count("#") - key.count("b")) - 3 * key.endswith("m")


def spread(chords: Sequence[Chord], meter: tuple[int, int]) -> list[Change]:
    """Place the chords of a bar on its beats. If they cannot be equally long, the first ones get a beat more."""
    if len(chords) > MAX_CHORDS:
        raise NumpyrnnError(f"a bar must have at most {MAX_CHORDS} chords, it has {len(chords)}")
    return list(zip(slot_onsets(len(chords), meter), chords, strict=True))


def slot_onsets(n: int, meter: tuple[int, int]) -> list[Fraction]:
    """Onsets in quarters of the n chords of a bar, as `spread` places them."""
    beats, beat = meter[0], Fraction(4, meter[1])
    if n > beats:
        return [beats * beat * i / n for i in range(n)]
    shares = [beats // n + (i < beats % n) for i in range(n)]
    return [sum(shares[:i]) * beat for i in range(n)]


@dataclass(frozen=True)
class Measure:
    """One measure as written.

    Attributes
    ----------
    chords : list of (onset within the measure in quarters, Chord), at least one; the first at 0
    section : str, the label that stands above the measure, such as "A"
    begins : bool, whether a repeat begins here, `|:`
    ends : int, how often the passage that ends here, `:|`, is played; 0 if no repeat ends here
    endings : tuple of int, the times through for which the measure is played, such as (1,) in a first ending;
        empty outside of endings
    segno, coda : bool, whether this sign stands at the beginning of the measure
    fine : bool, whether the tune ends after this measure, once a jump "al Fine" was made
    to_coda : bool, whether the music goes on at the coda after this measure, once a jump "al Coda" was made
    jump : str, one of JUMPS that is made after this measure, or empty
    double : bool, whether a double bar line stands at the end
    """

    chords: Sequence[Change]
    section: str = ""
    begins: bool = False
    ends: int = 0
    endings: tuple[int, ...] = ()
    segno: bool = False
    coda: bool = False
    fine: bool = False
    to_coda: bool = False
    jump: str = ""
    double: bool = False


@dataclass(frozen=True)
class Chart:
    """A tune's chords on paper.

    Attributes
    ----------
    measures : list of Measure
    meter : (beats, unit)
    title, composer : str, empty if unknown
    key : str, the tonic, with "m" after it if minor, such as "Bb" or "F#m"; empty if unknown
    tempo : int, quarters a minute; None if unknown
    feel : str, one of `feels.FEELS`; empty if unknown
    pickup : Fraction, quarters before the first measure
    guesses : list of str, what was guessed while reading, a line each
    """

    measures: Sequence[Measure]
    meter: tuple[int, int] = (4, 4)
    title: str = ""
    composer: str = ""
    key: str = ""
    tempo: int | None = None
    feel: str = ""
    pickup: Fraction = Fraction(0)
    guesses: Sequence[str] = ()

    def played(self) -> list[Measure]:
        """List the measures in the order in which they are played.

        A repeat is played twice, or as often as it says or has endings. After a jump (D.C. or D.S.), a repeat is played
        once, with its last ending. "Fine" and "To Coda" hold after a jump only; a coda to which nothing jumps is left
        out.

        Returns
        -------
        list of Measure

        Raises
        ------
        NumpyrnnError
            if there is no chord, a jump has no aim, or over 10,000 bars would be played
        """
        if not any(chord.tones for measure in self.measures for _, chord in measure.chords):
            raise NumpyrnnError("changes must have a chord, such as Dm7 G7 | Cmaj7; got none")
        self._check_jumps()
        order: list[Measure] = []
        left_out = any(m.to_coda for m in self.measures) and not any(m.jump for m in self.measures)
        steps, jump, in_coda = self._walk(0), "", False
        while step := next(steps, None):
            measure, last = self.measures[step[0]], step[1]
            if measure.coda and left_out:
                break
            order.append(measure)
            if len(order) > LONGEST:
                raise NumpyrnnError(f"changes must have at most {LONGEST} bars, the repeats make more")
            if measure.jump and last and not jump:
                jump = measure.jump
                steps = self._walk(self._first("segno") if jump.startswith("D.S.") else 0, once=True)
            elif measure.fine and jump and not jump.endswith("Coda"):
                break
            elif measure.to_coda and jump and not jump.endswith("Fine") and not in_coda:
                steps, in_coda = self._walk(self._first("coda")), True
        return order

    def _walk(self, start: int, once: bool = False) -> Iterator[tuple[int, bool]]:
        """The index of each measure from `start` on, with repeats, and whether it is played for the last time."""
        for first, stop, times in self.passages():
            passage = range(max(first, start), stop)
            named = {n for m in self.measures[first:stop] for n in m.endings}
            lowest = min(named, default=0)  # the ending that is taken the times that no ending names
            unnamed = max({*range(1, times + 1)} - named, default=0)
            others = [i for i in passage if not self.measures[i].endings or lowest in self.measures[i].endings]
            for time in range(times if once else 1, times + 1) if stop > start else ():
                for i in self._at(time, passage) if time in named else others:
                    endings = self.measures[i].endings
                    yield i, time == (max(*endings, unnamed * (lowest in endings)) if endings else times)

    def passages(self) -> Iterator[tuple[int, int, int]]:
        """(first measure, stop, times) of each passage: a repeat with its endings, or what stands between repeats."""
        first, count = 0, len(self.measures)
        for i, measure in enumerate(self.measures):
            following = self.measures[i + 1] if i + 1 < count else Measure([], begins=True)
            in_endings = bool(measure.endings and following.endings)
            if following.begins or following.coda or ((measure.ends or measure.endings) and not in_endings):
                passage = self.measures[first : i + 1]
                yield first, i + 1, max([1, *(n for m in passage for n in (m.ends, *m.endings))])
                first = i + 1

    @staticmethod
    def times_of(measure: Measure, endings: set[int], times: int) -> Collection[int]:
        """The times through its passage for which a measure is played; times without an ending have the first one."""
        if not measure.endings:
            return range(1, times + 1)
        begins = min(endings) in measure.endings
        return {*measure.endings, *(n for n in range(1, times + 1) if begins and n not in endings)}

    def _at(self, time: int, passage: range) -> list[int]:
        """The measures of a passage that are played the n-th time through it, if an ending names this time."""
        return [i for i in passage if not self.measures[i].endings or time in self.measures[i].endings]

    def _first(self, sign: str) -> int:
        return next(i for i, measure in enumerate(self.measures) if getattr(measure, sign))

    def _check_jumps(self) -> None:
        """Raise if a jump has no aim."""
        for jump in {measure.jump for measure in self.measures} - {""}:
            needs = {"segno": "a segno", "fine": "a Fine", "to_coda": "a To Coda", "coda": "a coda"}
            needed = ["segno"] * jump.startswith("D.S.") + ["fine"] * jump.endswith("Fine")
            for sign in needed + ["to_coda", "coda"] * jump.endswith("Coda"):
                if not any(getattr(measure, sign) for measure in self.measures):
                    raise NumpyrnnError(f"{jump} needs {needs[sign]}, there is none")
