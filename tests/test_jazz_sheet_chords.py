"""A chord symbol in MusicXML has all tones of its chord, for music21 and for a reader of the specification."""

import importlib
import random
from fractions import Fraction
from itertools import cycle
from pathlib import Path
from xml.etree import ElementTree

import pytest
from music21 import converter
from music21.harmony import ChordSymbol, NoChord
from test_jazz_chords import ORDERS, ORDINARY, PARTS, ROOTS, symbol_of

from jazz.changes import parse_changes
from jazz.charts.sheet import harmony, kind_of
from jazz.chords import parse_chord
from jazz.grammar import Element
from jazz.playing.leadsheet import lead_sheet
from numpyrnn import NumpyrnnError


@pytest.fixture
def readers(monkeypatch):
    """The benchmark, which has the readers."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module("leadsheets")


def written(symbol):
    """A chord symbol as it is in a file."""
    return ElementTree.fromstring(ElementTree.tostring(harmony(parse_chord(symbol))))


def test_every_spelling_has_the_tones_of_theory_for_both_readers(readers):
    spellings = [(spelling, "ordinary") for spelling in ORDINARY]
    spellings += [(spelling, "weimar") for spelling in ORDERS["weimar"] if spelling not in ORDINARY]
    for (spelling, order), root in zip(spellings, cycle(ROOTS), strict=False):
        element = harmony(parse_chord(symbol_of(root, spelling), order))
        expected = {(ROOTS[root] + interval) % 12 for interval in ORDERS[order][spelling]}
        assert readers.pitch_classes(element) == expected, (root, spelling)
        assert readers.by_music21(element) == expected, (root, spelling)


@pytest.mark.torture
def test_every_symbol_of_the_chord_files_has_its_tones(readers, shared_data, rounds, tell):
    count = 0
    for name, order in importlib.import_module("chords").CORPORA.items():
        symbols = [symbol for _, symbol in readers.symbols_of(shared_data / "chords" / name)][:: rounds(8, 1)]
        read, broken = readers.survey(symbols, order)
        assert read == len(symbols)
        assert broken == []
        count += read
    tell(f"{count:,} chord symbols of two corpora have all their tones for two readers of MusicXML")


@pytest.mark.torture
def test_the_spellings_of_the_benchmark_have_their_tones(readers, rounds):
    read, broken = readers.survey(["C" + spelling for spelling in readers.SPELLINGS][:: rounds(4, 1)])
    assert read > 80
    assert broken == []


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("C", "major"),
        ("CM7", "major-seventh"),
        ("Cm(maj7)", "major-minor"),
        ("Cø7", "half-diminished"),
        ("C5", "power"),
        ("Csus2", "suspended-second"),
        ("C7b9", "dominant, add 9 -1"),
        ("C7#9", "dominant, add 9 +1"),
        ("C7#11", "dominant, add 11 +1"),
        ("C7b13", "dominant, add 13 -1"),
        ("C7b5", "dominant, alter 5 -1"),
        ("C7no3", "dominant, subtract 3"),
        ("C7no5", "dominant, subtract 5"),
        ("C7sus4", "dominant, subtract 3, add 4"),
        ("C9sus4", "dominant-11th, subtract 3"),
        ("C13", "dominant-13th, subtract 11"),
        ("C13#11", "dominant-13th, alter 11 +1"),
        ("Cm11", "minor-11th"),
        ("Cm9b5", "half-diminished, add 9"),
        ("C6/9", "major-sixth, add 9"),
        ("Cadd9", "major, add 9"),
        ("Cmaj7#5", "major-seventh, alter 5 +1"),
        ("C7alt", "augmented-seventh, add 9 -1, add 9 +1"),
        ("C7b5#5", "dominant, subtract 5, add 5 -1, add 5 +1"),
        ("Cdimmaj7", "major-minor, alter 5 -1"),
    ],
)
def test_a_chord_is_its_nearest_kind_and_the_differences(symbol, expected):
    kind, degrees = kind_of(parse_chord(symbol))
    differences = [f"{type_} {value}{f' {alter:+}' * (alter != 0)}" for value, alter, type_ in degrees]
    assert ", ".join([kind, *differences]) == expected


def test_a_symbol_prints_as_it_was_written_and_its_degrees_do_not():
    for order, table in ORDERS.items():
        for spelling in table:
            chord = parse_chord(symbol_of("F#", spelling), order)
            element = harmony(chord)
            assert element.find("kind").get("text", "") == chord.parts[1]
            assert element.findtext("root/root-step") + element.findtext("root/root-alter") == "F1"
            assert {degree.get("print-object") for degree in element.findall("degree")} <= {"no"}


def test_alternates_are_printed_with_the_chord_and_have_no_tones(readers):
    element = written("C7b9/E(Gm7)")
    assert element.find("kind").get("text") == "7b9(Gm7)"
    assert readers.pitch_classes(element) == readers.by_music21(element) == {0, 4, 7, 10, 1}


@pytest.mark.parametrize(
    ("symbol", "bass", "tones"),
    [
        ("C/Bb", "B-1", {0, 4, 7, 10}),
        ("Cmaj7/D", "D", {0, 4, 7, 11, 2}),
        ("F#7b9/C##", "C2", {6, 10, 1, 4, 7, 2}),
        ("Dm7b5/Ab", "A-1", {2, 5, 8, 0}),
        ("Gsus4/Cbb", "C-2", {7, 0, 2, 10}),
        ("E7#9/G", "G", {4, 8, 11, 2, 7}),
        ("Bb13sus4/Eb", "E-1", {10, 3, 5, 8, 0, 7}),
    ],
)
def test_a_bass_in_or_outside_the_chord_is_written(readers, symbol, bass, tones):
    element = written(symbol)
    assert element.findtext("bass/bass-step") + element.findtext("bass/bass-alter", "") == bass
    assert readers.pitch_classes(element) == readers.by_music21(element) == tones


def test_no_chord_has_no_root_to_print():
    element = written("N.C.")
    assert element.find("root/root-step").get("text") == ""
    assert (element.findtext("kind"), element.find("kind").get("text")) == ("none", "N.C.")


def test_a_whole_lead_sheet_has_the_tones_of_its_chords():
    changes = parse_changes("G7sus4 C7b9 | N.C. | F13(#11) Bb6/9 Am7b5/Eb | E7alt", (4, 4))
    xml = lead_sheet("", [Element(Fraction(0), changes.end)], changes, 100)
    part = converter.parse(xml.decode(), format="musicxml", forceSource=True).parts[0]
    found = [(symbol.getOffsetInHierarchy(part), symbol) for symbol in part.recurse().getElementsByClass(ChordSymbol)]
    assert [onset for onset, _ in found] == [onset for onset, _ in changes.flat()]
    for (_, symbol), (_, chord) in zip(found, changes.flat(), strict=True):
        assert isinstance(symbol, NoChord) == (chord.root is None)
        expected = set() if chord.root is None else {*chord.tones, chord.bass}
        assert {pitch.pitchClass for pitch in symbol.pitches} == expected


def test_the_reader_of_the_specification_notices_what_is_missing(readers):
    for symbol in ("G7sus4", "C7b9", "Am7b5add11", "C13"):
        element = written(symbol)
        whole = readers.pitch_classes(element)
        element.remove(element.find("degree"))
        assert readers.pitch_classes(element) != whole
    element = written("C7no3")
    element.find("kind").text = "power"
    with pytest.raises(KeyError):
        readers.pitch_classes(element)


@pytest.mark.torture
def test_any_symbol_that_is_read_is_written_whole(readers, rounds, tell):
    rng, count = random.Random(3), 0
    words = "m maj dim aug sus sus2 6 m6 69 maj7 maj9 maj13 m7 m9 m11 m13 mmaj7 ø dim7 7 9 11 13 7alt +7 5"
    parts = [*PARTS, "add9", "add11", "add13", "add#11", "addb9", "sus", "sus2", "no3", "no5", "b6", "6", "7", "maj7"]
    for _ in range(rounds(150, 5_000)):
        symbol = rng.choice([*ROOTS]) + rng.choice(["", *words.split()])
        symbol += "".join(f"({part})" for part in rng.choices(parts, k=rng.randint(0, 4)))
        symbol += rng.choice(["", "", f"/{rng.choice([*ROOTS])}"])
        try:
            chord = parse_chord(symbol)
        except NumpyrnnError:
            continue
        count += 1
        assert readers.is_whole(chord), (symbol, kind_of(chord))
    tell(f"{count:,} random chord symbols have all their tones for two readers of MusicXML")
    assert count > 50
