"""Chord changes as musicians write them: bars, beats, repeats, and the shipped forms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from music.files import naming
from numpyrnn import NumpyrnnError

from .chords import Chord, parse_chord

LONGEST = 10_000  # bars
MAX_TEXT = 1_000_000  # characters
MAX_CHORDS = 64  # in a bar
HOLD = ("/", "%")  # within a bar
# A sign for held chords, or a symbol with the brackets after it. Brackets may have spaces inside and before them.
SYMBOLS = re.compile(r"[/%](?!\S)|(?:\([^()]*\)|\S)+(?:\s+\([^()]*\))*")

Change = tuple[Fraction, Chord]


@dataclass(frozen=True)
class Changes:
    """The chords of a form, bar by bar.

    Attributes
    ----------
    bars : list of bars, each a list of (onset within the bar in quarters, Chord)
    meter : (beats, unit)
    name, title, feel : str; the feel is "swing" or "straight"
    ending : bool, whether the last bar is a held chord that ends the piece
    """

    bars: list[list[Change]]
    meter: tuple[int, int] = (4, 4)
    name: str = ""
    title: str = ""
    feel: str = "swing"
    ending: bool = False

    @property
    def bar(self) -> Fraction:
        """Length of a bar in quarters."""
        return bar_length(self.meter)

    @property
    def end(self) -> Fraction:
        """Length of the form in quarters."""
        return self.bar * len(self.bars)

    @property
    def grid(self) -> list[tuple[Fraction, Fraction]]:
        """(onset, length) of each bar, in quarters."""
        return [(self.bar * i, self.bar) for i in range(len(self.bars))]

    def flat(self) -> list[Change]:
        """All changes with their onsets from the beginning of the form."""
        return [(self.bar * i + onset, chord) for i, bar in enumerate(self.bars) for onset, chord in bar]

    def spans(self) -> Iterator[tuple[Fraction, Fraction, Chord, Chord]]:
        """(onset, length, chord, next chord) of each change except N.C.; after the last chord comes the first."""
        flat = self.flat()
        for (onset, chord), (end, following) in pairwise([*flat, (self.end, flat[0][1])]):
            if chord.tones:
                yield onset, end - onset, chord, following

    def times(self, choruses: int) -> Changes:
        """The form, repeated."""
        return replace(self, bars=self.bars * choruses)

    def with_ending(self) -> Changes:
        """The form and one more bar, which resolves its last chord.

        A dominant resolves to the form's chord a fifth below, or else to the form's first chord; any other chord is
        repeated.
        """
        chords = [chord for _, chord in self.flat() if chord.root is not None]
        last, final = chords[-1], chords[-1]
        if last.root is not None and {4, 10} <= set(last.intervals):
            final = next((chord for chord in chords if chord.root == (last.root + 5) % 12), chords[0])
        return replace(self, bars=[*self.bars, [(Fraction(0), final)]], ending=True)

    def __str__(self) -> str:
        return " | ".join(" ".join(str(chord) for _, chord in bar) for bar in self.bars)


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


def spread(chords: Sequence[Chord], meter: tuple[int, int]) -> list[Change]:
    """Place the chords of a bar on its beats. If they cannot be equally long, the first ones get a beat more."""
    beats, n = meter[0], len(chords)
    if n > MAX_CHORDS:
        raise NumpyrnnError(f"a bar must have at most {MAX_CHORDS} chords, it has {n}")
    beat = Fraction(4, meter[1])
    if n > beats:
        return [(beats * beat * i / n, chord) for i, chord in enumerate(chords)]
    shares = [beats // n + (i < beats % n) for i in range(n)]
    return [(sum(shares[:i]) * beat, chord) for i, chord in enumerate(chords)]


def parse_changes(text: str, meter: tuple[int, int] = (4, 4)) -> Changes:
    """Read changes as musicians write them.

    Bars are separated by `|` or a new line, chords by spaces. `%` repeats the previous bar, `/` holds the previous
    chord for another beat. `|: ... :|` is played twice, `:| x3` three times. `N.C.` means no chord. Chords in brackets
    are alternates, which are shown with the chord before them and not played. The chords of a bar share its beats.

    Parameters
    ----------
    text : str, such as "Dm7 G7 | Cmaj7 | %"
    meter : (beats, unit), default (4, 4)

    Returns
    -------
    Changes

    Raises
    ------
    NumpyrnnError
        if a symbol is unknown (the error names its bar, and its line if there are several), a repeat is wrong, or there
        is no chord, or over 10,000 bars, 64 chords in a bar or 1,000,000 characters
    """
    if len(text) > MAX_TEXT:
        raise NumpyrnnError(f"changes must have at most {MAX_TEXT} characters, got {len(text)}")
    bars: list[list[Change]] = []
    repeat: int | None = None
    since = 0  # the bar to which a :| without |: goes back
    marked = re.sub(r"(?<!\|)\|++\s*+:", r"|:START|", text)  # each repeat sign as a bar of its own
    marked = re.sub(r":\s*\|+(?:\s*x(\d+))?", r"|:END\1|", marked)
    lines = [line.split("|") for line in marked.split("\n")]
    for line, part in ((number, part.strip()) for number, parts in enumerate(lines, 1) for part in parts):
        if part == ":START":
            if repeat is not None:
                raise NumpyrnnError(f"a repeat must end before the next begins, bar {len(bars) + 1} begins a second")
            repeat = len(bars)
        elif part.startswith(":END"):
            passage = bars[since if repeat is None else repeat :]
            times = int(part[4:10] or 2)
            if times < 1:
                raise NumpyrnnError(f"a repeat must be played once or more, got x{times} before bar {len(bars) + 1}")
            if len(bars) + len(passage) * (times - 1) > LONGEST:
                raise NumpyrnnError(f"changes must have at most {LONGEST} bars, a repeat makes more")
            bars += passage * (times - 1)
            repeat, since = None, len(bars)
        elif part == "%":
            if not bars:
                raise NumpyrnnError("bar 1 must name a chord, there is no bar before it for % to repeat")
            bars.append(bars[-1])
        elif part:
            bars.append(_read_bar(part, f"line {line}, " * (len(lines) > 1) + f"bar {len(bars) + 1}", meter, bars))
    if len(bars) > LONGEST:
        raise NumpyrnnError(f"changes must have at most {LONGEST} bars, got {len(bars)}")
    if repeat is not None:
        raise NumpyrnnError(f"the repeat that begins at bar {repeat + 1} must end with :|")
    if not any(chord.tones for bar in bars for _, chord in bar):
        raise NumpyrnnError("changes must have a chord, such as Dm7 G7 | Cmaj7; got none")
    return Changes(bars, meter)


def _read_bar(text: str, where: str, meter: tuple[int, int], before: Sequence[list[Change]]) -> list[Change]:
    """The chords of one bar. A held chord (/ or %) appears once; alternates by themselves stand over a held chord."""
    slots: list[Chord] = []
    symbols = SYMBOLS.findall(text)
    for symbol in symbols:
        with naming(where):
            chord = None if symbol in HOLD else parse_chord(symbol)
        if chord and chord.played:
            slots.append(chord)
        elif slots or before:
            held, shown = slots[-1] if slots else before[-1][-1][1], chord.alternates if chord else ""
            if held.alternates and not slots:  # they belong to the bar before
                root, quality, bass = held.parts
                held = parse_chord(root + quality + "/" * bool(bass) + bass or "N.C.")
            slots.append(replace(held, symbol=held.symbol + shown, alternates=held.alternates + shown))
        else:
            raise NumpyrnnError(f"bar 1 must begin with a chord, got {symbol!r}")
    return [change for i, change in enumerate(spread(slots, meter)) if i == 0 or symbols[i] not in HOLD]


# The title and the chords of each shipped form.
_FORMS = {
    "blues-f": (
        "Blues in F",
        "F7 | Bb7 | F7 | Cm7 F7 | Bb7 | Bdim7 | F7 | Am7b5 D7b9 | Gm7 | C7 | F7 D7 | Gm7 C7",
    ),
    "blues-cm": (
        "Blues in C minor",
        "Cm7 | Fm7 | Cm7 | Gm7b5 C7b9 | Fm7 | % | Cm7 | % | Ab7 | G7alt | Cm7 | Dm7b5 G7b9",
    ),
    "rhythm-changes": (
        "Rhythm changes in B flat",
        "|: Bb6 G7 | Cm7 F7 | Dm7 G7 | Cm7 F7 | Fm7 Bb7 | Ebmaj7 Edim7 | Dm7 G7 | Cm7 F7 :|"
        "D7 | % | G7 | % | C7 | % | F7 | % |"
        "Bb6 G7 | Cm7 F7 | Dm7 G7 | Cm7 F7 | Fm7 Bb7 | Ebmaj7 Edim7 | Cm7 F7 | Bb6",
    ),
    "ii-v-i": (
        "Major ii-V-I through three keys",
        "Dm7 | G7 | Cmaj7 | % | Cm7 | F7 | Bbmaj7 | % | Bbm7 | Eb7 | Abmaj7 | % | Dm7b5 | G7b9 | Cmaj7 A7 | Dm7 G7",
    ),
    "minor-ii-v-i": (
        "Minor ii-V-i",
        "Dm7b5 | G7alt | Cm6 | % | Gm7b5 | C7alt | Fm6 | % |"
        "Am7b5 | D7b9 | Gm6 | % | Fm7 Bb7 | Ebmaj7 | Dm7b5 G7b9 | Cm6",
    ),
    "modal": ("Modal tune in D and E flat Dorian", "|: Dm7 :| x16 |: Ebm7 :| x8 |: Dm7 :| x8"),
    "bossa": (
        "Bossa nova in F",
        "Fmaj7 | % | G13 | % | Gm7 | C7b9 | Am7 | D7b9 | Gm7 | Bbm6 | Am7 | Abdim7 | Gm7 | C7 | Fmaj7 | Gm7 C7",
    ),
    "waltz": (
        "Jazz waltz",
        "Gm7 | C7 | Fmaj7 | % | Fm7 | Bb7 | Ebmaj7 | % | Am7b5 | D7b9 | Gm6 | % | Cm7 | F7 | Bbmaj7 | Am7b5 D7b9",
    ),
}
_METERS = {"waltz": (3, 4)}  # all others are in 4/4
_FEELS = {"bossa": "straight"}  # all others swing
FORMS = tuple(_FORMS)


def form(name: str) -> Changes:
    """A shipped form.

    Parameters
    ----------
    name : one of FORMS

    Returns
    -------
    Changes

    Raises
    ------
    NumpyrnnError
        if there is no such form
    """
    if name not in _FORMS:
        raise NumpyrnnError(f"a form must be one of {', '.join(FORMS)}, got {name!r}")
    title, text = _FORMS[name]
    changes = parse_changes(text, _METERS.get(name, (4, 4)))
    return replace(changes, name=name, title=title, feel=_FEELS.get(name, "swing"))
