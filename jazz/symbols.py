"""The grammar of chord symbols: what stands after a root, such as `m7b5`, `13sus4(b9)` or `6/9`, becomes tones.

A word names the triad, and the first number is the extension. Alterations, additions, omissions and suspensions follow
in any order, with or without brackets and commas.
"""

from __future__ import annotations

import re
import unicodedata

from numpyrnn import NumpyrnnError

NO_WIDTH = "\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff\xad"
LETTERS = "\u0410\u0412\u0421\u0415\u0391\u0392\u0395"  # Cyrillic and Greek letters that look like A, B, C and E
PRINTED = (
    LETTERS + "♭♯∆▵⌀∅Ø˚∘◦\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2044\u2215"
)  # the last ones are dashes and slashes
LOOK_ALIKES = str.maketrans(PRINTED, "ABCEABEb#ΔΔøøøooo-------//", NO_WIDTH)
BRACKETS = str.maketrans("()[]", ",,,,")
SIGNS = str.maketrans("+-", "#b", "♮")
# Third, fifth and seventh of each word for a triad. Those in IMPLIED have the seventh even without a number.
TRIADS = {
    **{"": (4, 7, 10), "dominant": (4, 7, 10), "major": (4, 7, 11), "delta": (4, 7, 11), "minor": (3, 7, 10)},
    **{"half": (3, 6, 10), "diminished": (3, 6, 9), "augmented": (4, 8, 10)},
}
IMPLIED = ("dominant", "delta", "half")
# Degree and semitones of alterations and additions. A second counts as a ninth, a fourth as an eleventh.
DEGREES = {
    **{"3": (3, 4), "b5": (5, 6), "#5": (5, 8), "b6": (6, 8), "6": (6, 9), "b7": (7, 10), "7": (7, 10), "#7": (7, 11)},
    **{"b2": (9, 1), "2": (9, 2), "#2": (9, 3), "b9": (9, 1), "9": (9, 2), "#9": (9, 3), "4": (11, 5), "#4": (11, 6)},
    **{"11": (11, 5), "#11": (11, 6), "b13": (13, 8), "13": (13, 9)},
}
NUMBER = r"[#b+♮-]?(?:1[13]|[24-79])"
TOKENS = {
    "omit": r"(?i:no|omit)[ ,]*(?P<omitted>1[13]|[35679])(?:rd|th|d(?!i|o))?",
    "suspend": r"(?i:sus(?:pended)?)[ ,]*(?P<suspended>(?:(?:b?2|#?4)[ ,/]*)*)",
    "add": rf"(?:(?i:add)|/)[ ,]*(?:3|{NUMBER}(?:[ ,]+{NUMBER})*)",
    "raise": r"(?<=7)(?:M|[Mm]aj)(?!\d)",
    "replace": r"(?<=[\d ,/][ ,/])(?:M|(?i:maj?)|[\^Δ△j])7",
    "major": r"(?i:maj(?:or)?|ma(?!dd|ug|lt))|M(?!i|I)",
    "delta": r"[\^Δ△j]",
    "minor": r"(?i:min(?:or)?|mi)|m|^-",
    "half": r"ø|%(?=7)|(?i:half-?dim(?:inished)?)|h(?:dim)?",
    "diminished": r"(?i:dim(?:inished)?)|[o°0]",
    "dominant": r"(?i:dom(?:inant)?)",
    "alter": r"(?i:alt(?:ered)?)",
    "augmented": r"(?i:aug(?:mented)?)5?|^\+5?|\+(?!\d)",
    "number": NUMBER,
    "gap": r"[ ,]+|[/-](?=[A-Za-z\^Δ△])",
    "rest": r".+",
}
TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in TOKENS.items()), re.DOTALL)


def clean(symbol: str) -> str:
    """A symbol with plain signs in place of look-alikes: full-width letters, printed accidentals, dashes and so on."""
    symbol = symbol.replace("\N{MUSICAL SYMBOL DOUBLE SHARP}", "##").replace("\N{MUSICAL SYMBOL DOUBLE FLAT}", "bb")
    plain = unicodedata.normalize("NFKC", symbol.translate(LOOK_ALIKES)).strip()
    return plain.replace("flat", "b").replace("sharp", "#").replace("natural", "♮")


def read_quality(text: str, order: str = "ordinary") -> dict[int, int]:
    """Read what stands after the root of a chord symbol.

    Parameters
    ----------
    text : str, such as "m7b5", with plain signs (see `clean`)
    order : "ordinary" or "weimar"; in the Weimar Jazz Database, the accidental of a 9, 11 or 13 stands after it:
        `79b13` has b9 and 13 there, and 9 and b13 in the ordinary order

    Returns
    -------
    dict of int to int: the semitones of each tone above the root, in the order root, third, fifth, sixth, seventh,
        ninth, eleventh, thirteenth, and the tone's degree, 1 to 13; a suspension is degree 2 or 4

    Raises
    ------
    NumpyrnnError
        if a part is not known or contradicts another; the message says which
    """
    third, fifth, seventh = TRIADS[""]
    extension, implied, said, suspended, omitted = 0, False, list[str](), set[int](), set[int]()
    for token in TOKEN.finditer(_in_order(text, order)):
        kind, word, first = token.lastgroup, token[0], token.start() == 0
        if kind in TRIADS and first:
            (third, fifth, seventh), implied = TRIADS[kind], kind in IMPLIED
        elif kind in ("major", "delta", "raise") and seventh < 11 and not said and extension == 7 * (kind == "raise"):
            seventh, implied = 11, True  # m(maj7), m/maj7, 7M
        elif kind == "replace" and seventh < 11 and (third == 3 or extension < 7):  # m9(maj7), m6(maj7)
            said += ["#7"] if extension in range(1, 7) else []
            seventh, extension = 11, extension or 7
        elif kind == "number" and word.isdecimal() and not extension and (word != "5" or first):
            extension = int(word)
            said += [word] if extension in (2, 4, 6) else []
        elif kind in ("number", "add"):
            named = word[3:].replace("4", "11") if word[0] in "aA" else word  # only a 4 without "add" can suspend
            said += [part.translate(SIGNS) for part in re.findall(f"{NUMBER}|3", named)]
        elif kind == "suspend":
            suspended |= {DEGREES[part][1] for part in re.findall(r"[#b]?\d", token["suspended"])} or {5}
        elif kind == "omit":
            omitted.add(int(token["omitted"]))
        elif kind == "augmented":
            said.append("#5")
        elif kind == "alter" and (third, seventh) == (4, 10):
            said, implied = [*said, "#5", "b9", "#9"], True
        elif kind != "gap":
            raise NumpyrnnError(f"{word.rstrip(' ,')!r} has no meaning there")
    for name in said:
        if name not in DEGREES or [*said, str(extension) * (extension > 6)].count(name) > 1:
            raise NumpyrnnError(f"{name!r} {'stands twice' if name in DEGREES else 'has no meaning'}")
    if "4" in said and third == 4 and (extension > 6 or {"7", "9"} & {*said}):  # C7/4 and C4/7 are C7sus4
        said.remove("4")
        suspended.add(5)
    altered, natural = ({DEGREES[name][0] for name in said if (name[0] in "#b") == sign} for sign in (True, False))
    chord = {1: {0}, 3: suspended if extension == 5 else suspended or {third}, 5: {fifth}}
    if extension > 6 or (not extension and (implied or (suspended and {"b9", "#9"} & {*said}))):  # Csusb9 is C7susb9
        chord[7] = {seventh}
    chord |= {9: {2}, extension: {DEGREES[str(extension)][1]}} if extension > 7 else {}
    if extension == 11 and chord[3] == {4} and seventh == 10 and 11 not in altered:
        chord[3] = suspended = chord.pop(11)  # C11 is C9sus4
    if clash := (altered & natural) | ((altered | natural) & (omitted | ({7} & {*chord}))):
        raise NumpyrnnError(f"it contradicts itself about the {min(clash)}")
    for name in said:
        degree, tone = DEGREES[name]
        replaced = {2, 5, 7, 9} if degree in altered else set()
        chord[degree] = chord.get(degree, set()) - replaced | {seventh if name == "7" else tone}
    kept = {*chord} - omitted | ({3} if suspended else set())
    degrees = dict[int, int]()
    for degree in sorted(kept):
        for tone in sorted(chord[degree]):
            degrees.setdefault(tone, degree + (tone > 4) - (tone < 3) if degree == 3 else degree)
    return degrees


def _in_order(text: str, order: str) -> str:
    """The text without brackets, and with accidentals before their numbers."""
    text = re.sub(r"[(\[] *[+-](?=5|9|1[13])", lambda found: found[0].translate(SIGNS), text)  # C(-9) is C(b9), not Cm9
    text = re.sub(r"(?<=[A-Za-z]{2})\.", "", text)  # alt. is alt
    text = text.translate(BRACKETS).lstrip(" ,")
    if order == "weimar":  # 79b13b is 7b9b13
        text = re.sub(r"(?<=\d)(?:(?:9|1[13])[#b]?)+", lambda run: re.sub(r"(9|1[13])([#b])", r"\2\1", run[0]), text)
    after = r"((?<=[\d ,/])(?:9|1[13])|(?<![#b+-])5)([#b+-])(?!\d)"  # 7(9-) is 7(b9)
    return re.sub(after, lambda found: found[2].translate(SIGNS) + found[1], text)
