"""Chord changes as musicians write them: symbols, bars, repeats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from numpyrnn import NumpyrnnError

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "b": -1, "##": 2, "bb": -2}
LONGEST = 10_000  # bars

# What a quality is made of, in semitones over the root, in the order root, third, fifth, seventh, ...
# Every spelling of one chord stands in one line.
QUALITIES: dict[str, tuple[int, ...]] = {
    spelling: tones
    for spellings, tones in (
        (" maj M ma major", (0, 4, 7)),
        ("m - min mi minor", (0, 3, 7)),
        ("dim o ° mb5 -b5", (0, 3, 6)),
        ("aug + +5", (0, 4, 8)),
        ("5", (0, 7)),
        ("sus4 sus", (0, 5, 7)),
        ("sus2", (0, 2, 7)),
        ("6 maj6 M6", (0, 4, 7, 9)),
        ("m6 -6 min6 mi6", (0, 3, 7, 9)),
        ("69 6/9 6(9) maj69", (0, 4, 7, 9, 2)),
        ("m69 m6/9 -69 min69", (0, 3, 7, 9, 2)),
        ("maj7 ^7 ^ M7 ma7 j7 Δ Δ7 major7", (0, 4, 7, 11)),
        ("maj9 ^9 M9 ma9 Δ9", (0, 4, 7, 11, 2)),
        ("maj13 ^13 M13 ma13", (0, 4, 7, 11, 2, 9)),
        ("maj7#11 ^7#11 M7#11 maj7+11 maj9#11 ^9#11", (0, 4, 7, 11, 2, 6)),
        ("maj7#5 ^7#5 M7#5 maj7+5", (0, 4, 8, 11)),
        ("add9 add2", (0, 4, 7, 2)),
        ("m7 -7 min7 mi7", (0, 3, 7, 10)),
        ("m9 -9 min9 mi9", (0, 3, 7, 10, 2)),
        ("m11 -11 min11 mi11", (0, 3, 7, 10, 2, 5)),
        ("m13 -13", (0, 3, 7, 10, 2, 9)),
        ("madd9 -add9", (0, 3, 7, 2)),
        ("mmaj7 m^7 -^7 -maj7 mM7 -M7 minmaj7 m^ -^ m-maj7 mΔ mΔ7 -Δ -Δ7 mimaj7", (0, 3, 7, 11)),
        ("m7b5 -7b5 ø ø7 h h7 min7b5 mi7b5 m7-5 -7-5", (0, 3, 6, 10)),
        ("m9b5 -9b5", (0, 3, 6, 10, 2)),
        ("dim7 o7 °7", (0, 3, 6, 9)),
        ("7 dom7", (0, 4, 7, 10)),
        ("9", (0, 4, 7, 10, 2)),
        ("11", (0, 5, 7, 10, 2)),
        ("13", (0, 4, 7, 10, 2, 9)),
        ("7b9 7-9", (0, 4, 7, 10, 1)),
        ("7#9", (0, 4, 7, 10, 3)),
        ("7b9#9", (0, 4, 7, 10, 1, 3)),
        ("7#11 7+11", (0, 4, 7, 10, 6)),
        ("9#11", (0, 4, 7, 10, 2, 6)),
        ("13#11", (0, 4, 7, 10, 2, 6, 9)),
        ("7b5 7-5", (0, 4, 6, 10)),
        ("7#5 7+ +7 aug7 7+5", (0, 4, 8, 10)),
        ("9#5 9+ +9", (0, 4, 8, 10, 2)),
        ("7b13", (0, 4, 7, 10, 8)),
        ("7b9b13", (0, 4, 7, 10, 1, 8)),
        ("7#9b13", (0, 4, 7, 10, 3, 8)),
        ("7#9#5", (0, 4, 8, 10, 3)),
        ("7b9#5", (0, 4, 8, 10, 1)),
        ("7b9b5", (0, 4, 6, 10, 1)),
        ("7#9b5", (0, 4, 6, 10, 3)),
        ("7b9#11", (0, 4, 7, 10, 1, 6)),
        ("13b9", (0, 4, 7, 10, 1, 9)),
        ("13#9", (0, 4, 7, 10, 3, 9)),
        ("7alt alt", (0, 4, 8, 10, 1, 3)),
        ("7sus4 7sus", (0, 5, 7, 10)),
        ("9sus4 9sus", (0, 5, 7, 10, 2)),
        ("13sus4 13sus", (0, 5, 7, 10, 2, 9)),
        ("7susb9 7b9sus 7sus4b9 7b9sus4", (0, 5, 7, 10, 1)),
    )
    for spelling in spellings.split(" ")
}
SYMBOL = re.compile(r"([A-G])(##|bb|#|b|)(.*?)(?:/([A-G])(##|bb|#|b|))?")
NO_CHORD = ("N.C.", "NC", "N.C", "n.c.", "nc")


@dataclass(frozen=True)
class Chord:
    """A chord symbol, understood.

    Attributes
    ----------
    symbol : str, as it was written
    root : int, pitch class; None for no chord (N.C.)
    tones : tuple of int, pitch classes in the order root, third, fifth, seventh, ...
    bass : int, pitch class; the root unless a slash says otherwise
    """

    symbol: str
    root: int | None = None
    tones: tuple[int, ...] = ()
    bass: int | None = None

    def __str__(self) -> str:
        return self.symbol


@lru_cache(4096)
def parse_chord(symbol: str) -> Chord:
    """Read one chord symbol: `C`, `F#m7b5`, `Bb6/D`, `Eb^7`, `C-7`, `Ao7`, `B7alt`, `N.C.`, ...

    Parameters
    ----------
    symbol : str

    Returns
    -------
    Chord

    Raises
    ------
    NumpyrnnError
        if it is not a chord symbol
    """
    if symbol in NO_CHORD:
        return Chord("N.C.")
    plain = symbol.replace("♭", "b").replace("♯", "#").replace("△", "Δ").replace("\N{MINUS SIGN}", "-")
    match = SYMBOL.fullmatch(plain)
    if match:
        letter, accidental, quality, bass_letter, bass_accidental = match.groups()
        quality = re.sub(r"[(),\s]", "", quality)
        tones = QUALITIES.get(quality, QUALITIES.get(re.sub(r"MAJ|Maj|Ma(?=\d)|Min|Dim|Aug|Sus", _lower, quality)))
        if tones is not None:
            root = (LETTERS[letter] + ACCIDENTALS[accidental]) % 12
            bass = (LETTERS[bass_letter] + ACCIDENTALS[bass_accidental]) % 12 if bass_letter else root
            return Chord(symbol, root, tuple((root + tone) % 12 for tone in tones), bass)
    hint = " (a root is a capital letter)" if symbol[:1] in tuple("abcdefg") else ""
    raise NumpyrnnError(f"a chord must be like C, Dm7, F#m7b5, Bb6/D, B7alt, Eb^7 or N.C., got {symbol!r}{hint}")


def _lower(found: re.Match[str]) -> str:
    return found[0].lower()


# ------------------------------------------------------------------------------------------------------- whole forms

Change = tuple[Fraction, Chord]


@dataclass(frozen=True)
class Changes:
    """The chords of a form, bar by bar.

    Attributes
    ----------
    bars : list of bars, each a list of (onset within the bar in quarters, Chord)
    meter : (beats, unit)
    name, title, feel : str; the feel is "swing" or "straight"
    ending : bool, whether the last bar is held: the end of the piece
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

    def flat(self) -> list[Change]:
        """All changes with their onsets from the beginning of the form."""
        return [(self.bar * i + onset, chord) for i, bar in enumerate(self.bars) for onset, chord in bar]

    def times(self, choruses: int) -> Changes:
        """The form so many times over."""
        return replace(self, bars=self.bars * choruses)

    def with_ending(self) -> Changes:
        """The form and one bar more, on the chord to which its last one leads.

        A dominant leads to the form's chord a fifth below it, or else to the form's first chord; another chord stays.
        """
        chords = [chord for _, chord in self.flat() if chord.root is not None]
        last, final = chords[-1], chords[-1]
        if last.root is not None and {(tone - last.root) % 12 for tone in last.tones} >= {4, 10}:
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
    """Chords of one bar at their beats: equal shares, and where the beats do not divide, the first ones last longer."""
    beats, n = meter[0], len(chords)
    beat = Fraction(4, meter[1])
    if n > beats:
        return [(beats * beat * i / n, chord) for i, chord in enumerate(chords)]
    shares = [beats // n + (i < beats % n) for i in range(n)]
    return [(sum(shares[:i]) * beat, chord) for i, chord in enumerate(chords)]


def parse_changes(text: str, meter: tuple[int, int] = (4, 4)) -> Changes:
    """Read changes as musicians write them.

    Bars are set apart by `|` or a new line, chords by blanks. `%` is the bar before once more, `/` a beat more of the
    chord before, `|: ... :|` is played twice, `:| x3` three times, `N.C.` is no chord; chords of a bar share its beats.

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
        if a symbol is unknown (named with its bar), a repeat has no end, or there is no chord
    """
    bars: list[list[Change]] = []
    repeat: int | None = None
    since = 0  # where a repeat without a beginning goes back to
    # A repeat sign is a bar of its own; what follows ":|" may say how often.
    parts = re.split(
        r"[|\n]", re.sub(r":\s*\|+\s*(?:x(\d+))?", r"|:END\1|", re.sub(r"(?<!\|)\|++\s*+:", r"|:START|", text))
    )
    for part in (part.strip() for part in parts):
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
                raise NumpyrnnError("bar 1 must name a chord, there is no bar before it that % could repeat")
            bars.append(bars[-1])
        elif part:
            bars.append(_read_bar(part.split(), len(bars) + 1, meter, bars))
    if len(bars) > LONGEST:
        raise NumpyrnnError(f"changes must have at most {LONGEST} bars, got {len(bars)}")
    if repeat is not None:
        raise NumpyrnnError(f"the repeat that begins at bar {repeat + 1} must end with :|")
    if not any(chord.tones for bar in bars for _, chord in bar):
        raise NumpyrnnError("changes must have a chord, such as Dm7 G7 | Cmaj7; got none")
    return Changes(bars, meter)


def _read_bar(
    symbols: Sequence[str], number: int, meter: tuple[int, int], before: Sequence[list[Change]]
) -> list[Change]:
    """The chords of one bar; a chord that goes on (/ or %) is not named again."""
    slots: list[Chord] = []
    for symbol in symbols:
        if symbol in ("/", "%"):
            if not slots and not before:
                raise NumpyrnnError(f"bar {number} must begin with a chord, got {symbol!r}")
            slots.append(slots[-1] if slots else before[-1][-1][1])
            continue
        try:
            slots.append(parse_chord(symbol))
        except NumpyrnnError as error:
            raise NumpyrnnError(f"bar {number}: {error}") from error
    placed = spread(slots, meter)
    goes_on = [i > 0 and symbols[i] in "/%" for i in range(len(placed))]
    return [change for change, more in zip(placed, goes_on, strict=True) if not more]


# The forms that ship: (title, meter, feel, changes).
_FORMS = {
    "blues-f": (
        "Blues in F",
        "4/4",
        "swing",
        "F7 | Bb7 | F7 | Cm7 F7 | Bb7 | Bdim7 | F7 | Am7b5 D7b9 | Gm7 | C7 | F7 D7 | Gm7 C7",
    ),
    "blues-cm": (
        "Blues in C minor",
        "4/4",
        "swing",
        "Cm7 | Fm7 | Cm7 | Gm7b5 C7b9 | Fm7 | % | Cm7 | % | Ab7 | G7alt | Cm7 | Dm7b5 G7b9",
    ),
    "rhythm-changes": (
        "Rhythm changes in B flat",
        "4/4",
        "swing",
        "|: Bb6 G7 | Cm7 F7 | Dm7 G7 | Cm7 F7 | Fm7 Bb7 | Ebmaj7 Edim7 | Dm7 G7 | Cm7 F7 :|"
        "D7 | % | G7 | % | C7 | % | F7 | % |"
        "Bb6 G7 | Cm7 F7 | Dm7 G7 | Cm7 F7 | Fm7 Bb7 | Ebmaj7 Edim7 | Cm7 F7 | Bb6",
    ),
    "ii-v-i": (
        "Major ii-V-I through three keys",
        "4/4",
        "swing",
        "Dm7 | G7 | Cmaj7 | % | Cm7 | F7 | Bbmaj7 | % | Bbm7 | Eb7 | Abmaj7 | % | Dm7b5 | G7b9 | Cmaj7 A7 | Dm7 G7",
    ),
    "minor-ii-v-i": (
        "Minor ii-V-i",
        "4/4",
        "swing",
        "Dm7b5 | G7alt | Cm6 | % | Gm7b5 | C7alt | Fm6 | % |"
        "Am7b5 | D7b9 | Gm6 | % | Fm7 Bb7 | Ebmaj7 | Dm7b5 G7b9 | Cm6",
    ),
    "modal": ("Modal tune in D and E flat Dorian", "4/4", "swing", "|: Dm7 :| x16 |: Ebm7 :| x8 |: Dm7 :| x8"),
    "bossa": (
        "Bossa nova in F",
        "4/4",
        "straight",
        "Fmaj7 | % | G13 | % | Gm7 | C7b9 | Am7 | D7b9 | Gm7 | Bbm6 | Am7 | Abdim7 | Gm7 | C7 | Fmaj7 | Gm7 C7",
    ),
    "waltz": (
        "Jazz waltz",
        "3/4",
        "swing",
        "Gm7 | C7 | Fmaj7 | % | Fm7 | Bb7 | Ebmaj7 | % | Am7b5 | D7b9 | Gm6 | % | Cm7 | F7 | Bbmaj7 | Am7b5 D7b9",
    ),
}
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
    title, meter, feel, text = _FORMS[name]
    return Changes(parse_changes(text, parse_meter(meter)).bars, parse_meter(meter), name, title, feel)
