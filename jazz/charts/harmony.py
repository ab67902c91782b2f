"""Chord symbols in MusicXML: from a `harmony` element, its kind and its degrees, to a chord."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple
from xml.etree.ElementTree import Element

from numpyrnn import NumpyrnnError

from ..chords import LETTERS, LONGEST, PROPOSED, QUALITIES, Chord, parse_chord, semitones_above_c
from ..symbols import clean, read_quality
from .key import TONICS, letter_of

SIGNS: dict[float | Fraction, str] = {0: "", 1: "#", -1: "b", 2: "##", -2: "bb"}  # by semitones
DOMINANT = (0, 2, 4, 5, 7, 9, 10)  # semitones of the degrees 1 to 7; an added degree is relative to them
# The degrees of each kind besides the root, in the order in which a writer tries them. Neapolitan, Italian, French and
# German name a function and no tones.
KINDS = {
    **{"major": "3 5", "minor": "b3 5", "augmented": "3 #5", "diminished": "b3 b5", "dominant": "3 5 7"},
    **{"major-seventh": "3 5 #7", "minor-seventh": "b3 5 7", "major-minor": "b3 5 #7", "augmented-seventh": "3 #5 7"},
    **{"half-diminished": "b3 b5 7", "diminished-seventh": "b3 b5 b7", "dominant-ninth": "3 5 7 9"},
    **{"major-ninth": "3 5 #7 9", "minor-ninth": "b3 5 7 9", "dominant-11th": "3 5 7 9 11"},
    **{"major-11th": "3 5 #7 9 11", "minor-11th": "b3 5 7 9 11", "dominant-13th": "3 5 7 9 11 13"},
    **{"major-13th": "3 5 #7 9 11 13", "minor-13th": "b3 5 7 9 11 13", "power": "5", "suspended-second": "2 5"},
    **{"suspended-fourth": "4 5", "major-sixth": "3 5 6", "minor-sixth": "b3 5 6"},
}
WRITTEN = [*KINDS]
# Read and not written: rare ones, and names that some programs use.
KINDS |= {"pedal": "", "other": "", "Tristan": "b3 b5 7", "dominant-seventh": KINDS["dominant"]}
KINDS |= {"half-diminished-seventh": KINDS["half-diminished"], "minor-major-seventh": KINDS["major-minor"]}
MORE = ["maj7#5", "maj7b5", "maj7sus4", "7sus2", "m7#5", "13sus4b9", "9b5", "9#5", "(b5)", "dim(maj7)"]
ADDED = {1: "b9", 2: "add9", 3: "#9", 5: "add11", 6: "#11", 8: "b13", 9: "add13"}
OMITTED: dict[tuple[int, ...], list[str]] = {(): [], (7,): ["no5"], (4,): ["no3"], (4, 7): ["no3", "no5"]}


class Degree(NamedTuple):
    """A `degree` element.

    Attributes
    ----------
    value : int, 1 to 15
    alter : int, semitones
    kind : str, "add", "alter" or "subtract"
    """

    value: int
    alter: int
    kind: str

    @property
    def step(self) -> int:
        """The degree within an octave, 1 to 7."""
        return (self.value - 1) % 7 + 1

    def __str__(self) -> str:
        if self.kind == "subtract":
            return f"no{self.value}"
        sevenths = {(6, 0): "6", (7, 0): "7", (7, 1): "maj7"} if self.kind == "add" else {}
        plain = (SIGNS[self.alter] or "add" * (self.kind == "add")) + str(self.value)
        return sevenths.get((self.value, self.alter), plain)


def read_harmony(harmony: Element) -> tuple[Chord, str]:
    """Read a chord. Its kind and degrees decide which tones sound, its text only how they are written.

    As on paper, a thirteenth chord has no eleventh and a dominant eleventh chord no third, unless a degree or the text
    names it. A symbol is made from the tones if the text reads to other ones.

    Parameters
    ----------
    harmony : Element, of MusicXML 4.0

    Returns
    -------
    (Chord, the symbol that is printed and reads to other tones, or empty)

    Raises
    ------
    NumpyrnnError
        if it has no root or several, or tones that no chord symbol has
    """
    kinds, roots = harmony.findall("kind") or [Element("kind")], harmony.findall("root")
    kind, text = (kinds[0].text or "").strip(), re.sub(r"\s", "", clean(kinds[0].get("text", "")[:LONGEST]))
    if kind == "none" or text.upper() in ("NC", "N.C.", "N.C"):
        return parse_chord("N.C."), ""
    if len(kinds) > 1 or len(roots) != 1:
        several = "several (a polychord)" if roots else "a function or numeral, or nothing"
        raise NumpyrnnError(f"a chord must have one root, such as C; it has {several}")
    root, degrees = _note(harmony, "root"), [_degree(element) for element in harmony.findall("degree")]
    bass = _note(harmony, "bass") if harmony.find("bass") is not None else root
    slash = f"/{bass}" if bass != root else ""
    printed = [str(_degree(element)) for element in harmony.findall("degree") if element.get("print-object") != "no"]
    if kind not in KINDS or (kind == "other" and not degrees):
        if kind and not text:
            raise NumpyrnnError(f"a chord must say its tones, it has the kind {kind:.40} and no text")
        return parse_chord(root + text + "".join(printed) + slash), ""
    exact, usual = _tones(kind, degrees, usual=False), _tones(kind, degrees, usual=True)
    meant = [frozenset[int]().union(*tones.values()) for tones in (usual, exact)]
    spelling = _first(text, printed, root, meant)
    made = next((name for name in map(spelled, meant) if name is not None), None) if spelling is None else spelling
    if made is None:
        raise NumpyrnnError(f"no chord symbol has the tones that {root} has here, {sorted(meant[1])} in semitones")
    chord = parse_chord(root + made)
    if inversion := int(number(harmony.findtext("inversion", "0"), "an inversion")) * (not slash):
        slash = "/" + _lowest(chord, inversion)
    unlike = spelling is None and text and not printed
    whole = root + made.removesuffix(chord.alternates) + slash + chord.alternates
    return parse_chord(whole), root + text + slash if unlike else ""


@lru_cache(4096)
def number(text: str | None, what: str) -> Fraction:
    """The number that an element or attribute holds."""
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,9}(\.[0-9]{0,6})?\s*", text or ""):
        raise NumpyrnnError(f"{what} must be a number, got {(text or '')[:40]!r}")
    return Fraction(text or "")


def _note(harmony: Element, what: str) -> str:
    """The note name in the `root` or `bass` of a chord."""
    step, alter = (harmony.findtext(f"{what}/{what}-{part}", "0").strip() for part in ("step", "alter"))
    sign = SIGNS.get(number(alter, f"the alter of a {what}"))
    if step not in LETTERS or sign is None:
        raise NumpyrnnError(f"a {what} must be A to G with at most two accidentals, got {step[:40]!r} and {alter:.40}")
    return step + sign


def _degree(element: Element) -> Degree:
    value, alter = (number(element.findtext(name, "0"), "a degree") for name in ("degree-value", "degree-alter"))
    kind = element.findtext("degree-type", "add").strip()
    if value not in range(1, 16) or alter not in SIGNS or kind not in ("add", "alter", "subtract"):
        raise NumpyrnnError(f"a degree must be add, alter or subtract 1 to 15, got {kind[:40]!r} {value} by {alter}")
    return Degree(int(value), int(alter), kind)


def semitones(kind: str) -> dict[int, int]:
    """Semitones above the root of the degrees of a kind, by the degree: 1 to 13."""
    names = {int(name.lstrip("#b")): name.count("#") - name.count("b") for name in KINDS[kind].split()}
    return {1: 0} | {value: natural(value) + alter for value, alter in names.items()}


def natural(value: int) -> int:
    """Semitones of a degree above the root, within an octave, in a dominant chord."""
    return DOMINANT[(value - 1) % 7]


def _tones(kind: str, degrees: Sequence[Degree], usual: bool) -> dict[int, set[int]]:
    """Semitones above the root by step, exactly as MusicXML defines them or as usual on paper (see `read_harmony`)."""
    named = {degree.step for degree in degrees}
    own = {(value - 1) % 7 + 1: {tone} for value, tone in semitones(kind).items()}
    if usual and kind.endswith("13th") and 4 not in named:
        del own[4]
    if usual and kind == "dominant-11th" and not named & {3, 4}:
        del own[3]
    tones = {step: set(some) for step, some in own.items()}
    for step, alter, how, high in ((d.step, d.alter, d.kind, d.value > 7) for d in degrees):
        before, sounding = own.get(step, set()), tones.setdefault(step, set())
        if how == "subtract":
            sounding -= {tone + alter for tone in before} & sounding or before
        elif how == "alter":
            sounding -= before
            sounding.add((min(before, default=natural(step)) + alter) % 12)
        else:
            sounding -= before if usual and alter and high and "suspended" not in kind else set()
            sounding.add((natural(step) + alter) % 12)
    return tones


def _first(text: str, added: Sequence[str], root: str, meant: Iterable[frozenset[int]]) -> str | None:
    """The text, alone or with what is added to it, if a chord symbol with it has tones that are meant."""
    for spelling in (text, text + "".join(added), f"{text}({','.join(added)})" if added else text):
        with suppress(NumpyrnnError):
            if not re.search(r"\([A-GN]", spelling):  # brackets with alternates
                read_quality(spelling)  # refuses sooner than `parse_chord`, which looks for the nearest symbol
            chord = parse_chord(root + spelling)
            if chord.parts[0] == root and not chord.parts[2] and frozenset(chord.intervals) in meant:
                return spelling
    return None


@lru_cache(None)
def spelled(tones: frozenset[int]) -> str | None:
    """What stands after the root of a chord symbol that has these semitones above it; None if none has them."""
    for missing, names in OMITTED.items():
        wanted = tones.union(missing)
        fitting = [(name, base) for name, base in _bases().items() if base <= wanted and wanted - base <= {*ADDED}]
        for name, base in sorted(fitting, key=lambda item: -len(item[1]))[:4]:
            added = [ADDED[tone] for tone in sorted(wanted - base)] + names
            if (spelling := _first(name, added, "C", [tones])) is not None:
                return spelling
    return None


@lru_cache(None)
def _bases() -> dict[str, frozenset[int]]:
    names = [*(quality.name for quality in QUALITIES), *PROPOSED, *MORE]
    return {name: frozenset(parse_chord("C" + name).intervals) for name in names}


def _lowest(chord: Chord, inversion: int) -> str:
    """The name of the lowest note of a chord in an inversion."""
    if not 0 < inversion < len(chord.tones):
        raise NumpyrnnError(f"the inversion of {chord} must be 0 to {len(chord.tones) - 1}, got {inversion}")
    tone = chord.tones[inversion]
    letter, alter = letter_of(chord.parts[0], chord.degrees[inversion], tone)
    return letter + SIGNS[alter] if alter in SIGNS else next(n for n in TONICS if semitones_above_c(n) % 12 == tone)
