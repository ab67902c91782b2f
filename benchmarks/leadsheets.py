"""How many chord symbols have all their tones when our MusicXML is read: `python benchmarks/leadsheets.py [FOLDER]`.

FOLDER holds the two files of `chords.py`. Each symbol is read by music21, and by a reader of MusicXML's specification.
"""

import re
import sys
from itertools import product
from xml.etree import ElementTree

from chords import corpora, symbols_of
from music21.musicxml.xmlToM21 import MeasureParser

from jazz.charts.sheet import harmony
from jazz.chords import QUALITIES, parse_chord
from numpyrnn import NumpyrnnError

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
MAJOR = {1: 0, 2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 7: 11, 9: 14, 11: 17, 13: 21}
# The table of kind-value in the specification of MusicXML 4.0: each triad, seventh chord and so on, as its words say.
KINDS = {
    **{"major": "1 3 5", "minor": "1 b3 5", "augmented": "1 3 #5", "diminished": "1 b3 b5"},
    **{"dominant": "major b7", "major-seventh": "major 7", "minor-seventh": "minor b7"},
    **{"diminished-seventh": "diminished bb7", "augmented-seventh": "augmented b7", "half-diminished": "diminished b7"},
    **{"major-minor": "minor 7", "major-sixth": "major 6", "minor-sixth": "minor 6"},
    **{"dominant-ninth": "dominant 9", "major-ninth": "major-seventh 9", "minor-ninth": "minor-seventh 9"},
    **{"dominant-11th": "dominant-ninth 11", "major-11th": "major-ninth 11", "minor-11th": "minor-ninth 11"},
    **{"dominant-13th": "dominant-11th 13", "major-13th": "major-11th 13", "minor-13th": "minor-11th 13"},
    **{"suspended-second": "1 2 5", "suspended-fourth": "1 4 5", "power": "1 5", "other": "1"},
}
WORDS = "maj m 6 m6 69 m69 maj7 maj9 maj13 m7 m9 m11 m13 mmaj7 mmaj9 m7b5 m9b5 dim dim7 aug 7 9 13 7sus4 9sus4 13sus4"
CHANGES = "b5 #5 b9 #9 #11 b13 add9 add11 no3 no5 sus2 alt 7 b9b13 #9#5 b9#11"
SPELLINGS = [*(quality.name for quality in QUALITIES), *map("".join, product(WORDS.split(), CHANGES.split()))]


def degrees_of(kind):
    """Semitones of each degree of a kind above the root."""
    first, *others = KINDS[kind].split()
    degrees = degrees_of(first) if first in KINDS else {1: 0}
    for part in others:
        degree = int(part.lstrip("b#"))
        degrees[degree] = MAJOR[degree] + part.count("#") - part.count("b")
    return degrees


def pitch_classes(element):
    """The pitch classes of a `harmony` element, by the specification; an element that it does not allow is an error."""
    tags = " ".join(child.tag for child in element)
    assert re.fullmatch(r"root kind( bass)?( degree)*( offset)?", tags), tags
    if element.findtext("kind") == "none":
        return set()
    root = pitch_class(element.find("root"), "root")
    sounding = {degree: {tone} for degree, tone in degrees_of(element.findtext("kind")).items()}
    for degree in element.findall("degree"):
        value, alter, kind = (degree.findtext(f"degree-{part}") for part in ("value", "alter", "type"))
        value, alter = int(value), int(alter)
        assert degree.get("print-object") == "no"
        if kind == "add":  # relative to a dominant chord: major and perfect intervals but a minor seventh
            sounding.setdefault(value, set()).add(MAJOR[value] - (value == 7) + alter)
        elif kind == "alter":  # relative to the degree of the kind
            (tone,) = sounding[value]
            sounding[value] = {tone + alter}
        else:
            assert kind == "subtract"
            assert alter == 0
            del sounding[value]
    bass = element.find("bass")
    tones = {(root + tone) % 12 for some in sounding.values() for tone in some}
    return tones if bass is None else tones | {pitch_class(bass, "bass")}


def pitch_class(element, name):
    return (STEPS[element.findtext(f"{name}-step")] + int(element.findtext(f"{name}-alter") or 0)) % 12


def by_music21(element):
    return {pitch.pitchClass for pitch in MeasureParser().xmlToChordSymbol(element).pitches}


def is_whole(chord):
    """Whether both readers find the tones of a chord, and its bass."""
    element = ElementTree.fromstring(ElementTree.tostring(harmony(chord)))
    wanted = {*chord.tones, *([] if chord.bass is None else [chord.bass])}
    return pitch_classes(element) == wanted == by_music21(element)


def survey(symbols, order="ordinary"):
    """How many symbols are read, and those that are not written whole."""
    read, broken = 0, []
    for symbol in dict.fromkeys(symbols):
        try:
            chord = parse_chord(symbol, order)
        except NumpyrnnError:
            continue
        read += 1
        broken += [] if is_whole(chord) else [symbol]
    return read, broken


if __name__ == "__main__":
    surveys = {"spellings of the grammar": survey(["C" + spelling for spelling in SPELLINGS])}
    for path, order in corpora().items():
        surveys[f"symbols of {path.name}"] = survey([symbol for _, symbol in symbols_of(path)], order)
    for name, (read, broken) in surveys.items():
        print(f"{read - len(broken)} of {read} {name} have all their tones when our MusicXML is read", *broken)
    sys.exit(any(broken for _, broken in surveys.values()))
