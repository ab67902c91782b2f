"""Chords of MusicXML: kinds and degrees become the right tones, under a symbol that reads to them."""

from xml.etree.ElementTree import fromstring

import pytest
from musicxml_samples import degree, harmony
from test_jazz_chords import ORDINARY

from jazz.charts.harmony import KINDS, read_harmony, spelled
from jazz.charts.sheet import harmony as written
from jazz.chords import parse_chord
from numpyrnn import NumpyrnnError

# Semitones above the root of each kind of MusicXML 4.0, from its description: triads, sevenths, sixths and so on. As on
# paper, a thirteenth chord has no eleventh and a dominant eleventh chord no third.
TONES = {
    "major": {0, 4, 7},
    "minor": {0, 3, 7},
    "augmented": {0, 4, 8},
    "diminished": {0, 3, 6},
    "dominant": {0, 4, 7, 10},
    "major-seventh": {0, 4, 7, 11},
    "minor-seventh": {0, 3, 7, 10},
    "diminished-seventh": {0, 3, 6, 9},
    "augmented-seventh": {0, 4, 8, 10},
    "half-diminished": {0, 3, 6, 10},
    "major-minor": {0, 3, 7, 11},
    "major-sixth": {0, 4, 7, 9},
    "minor-sixth": {0, 3, 7, 9},
    "dominant-ninth": {0, 4, 7, 10, 2},
    "major-ninth": {0, 4, 7, 11, 2},
    "minor-ninth": {0, 3, 7, 10, 2},
    "dominant-11th": {0, 7, 10, 2, 5},
    "major-11th": {0, 4, 7, 11, 2, 5},
    "minor-11th": {0, 3, 7, 10, 2, 5},
    "dominant-13th": {0, 4, 7, 10, 2, 9},
    "major-13th": {0, 4, 7, 11, 2, 9},
    "minor-13th": {0, 3, 7, 10, 2, 9},
    "suspended-second": {0, 2, 7},
    "suspended-fourth": {0, 5, 7},
    "pedal": {0},
    "power": {0, 7},
    "Tristan": {0, 6, 10, 3},
}
FUNCTIONS = ["Neapolitan", "Italian", "French", "German"]
# What a degree does to the tones: the semitones that it takes away if they are there, and those that it adds.
CHANGES = {
    degree(9): (set(), {2}),
    degree(9, -1): ({2}, {1}),
    degree(9, 1): ({2}, {3}),
    degree(11): (set(), {5}),
    degree(11, 1): ({5}, {6}),
    degree(13): (set(), {9}),
    degree(13, -1): ({9}, {8}),
    degree(7): (set(), {10}),
    degree(7, 1): (set(), {11}),
    degree(6): (set(), {9}),
    degree(2): (set(), {2}),
    degree(4): (set(), {5}),
    degree(5, 0, "subtract"): ({6, 7, 8}, set()),
}
# Chords with several degrees: kind, degrees, tones.
CHORDS = [
    ("dominant", degree(5, -1, "alter"), {0, 4, 6, 10}),
    ("dominant", degree(5, 1, "alter"), {0, 4, 8, 10}),
    ("dominant", degree(5, 1, "alter") + degree(9, -1), {0, 4, 8, 10, 1}),
    ("dominant", degree(5, 1, "alter") + degree(9, 1), {0, 4, 8, 10, 3}),
    ("dominant", degree(9, -1) + degree(9, 1), {0, 4, 7, 10, 1, 3}),
    ("dominant", degree(9, -1, "alter") + degree(9, 1, "alter"), {0, 4, 7, 10, 1, 3}),  # relative to a 9 that is added
    ("dominant", degree(9, -1) + degree(13, -1), {0, 4, 7, 10, 1, 8}),
    ("dominant", degree(9, 1) + degree(11, 1) + degree(13, -1), {0, 4, 7, 10, 3, 6, 8}),
    ("dominant", degree(3, 0, "subtract"), {0, 7, 10}),
    ("dominant", degree(3, 0, "subtract") + degree(4), {0, 5, 7, 10}),
    ("dominant", degree(3, 0, "subtract") + degree(5, 0, "subtract"), {0, 10}),
    ("dominant-ninth", degree(5, -1, "alter"), {0, 4, 6, 10, 2}),
    ("dominant-ninth", degree(9, -1, "alter"), {0, 4, 7, 10, 1}),
    ("dominant-ninth", degree(9, 1, "alter"), {0, 4, 7, 10, 3}),
    ("dominant-ninth", degree(9, 0, "subtract"), {0, 4, 7, 10}),
    ("dominant-11th", degree(11, 1, "alter"), {0, 4, 7, 10, 2, 6}),
    ("dominant-11th", degree(3, 0, "subtract"), {0, 7, 10, 2, 5}),
    ("dominant-11th", degree(9, -1, "alter"), {0, 7, 10, 1, 5}),
    ("dominant-13th", degree(9, -1, "alter"), {0, 4, 7, 10, 1, 9}),
    ("dominant-13th", degree(11, 1, "alter"), {0, 4, 7, 10, 2, 6, 9}),
    ("dominant-13th", degree(11, 0, "subtract"), {0, 4, 7, 10, 2, 9}),
    ("dominant-13th", degree(13, -1, "alter"), {0, 4, 7, 10, 2, 8}),
    ("minor-seventh", degree(5, -1, "alter"), {0, 3, 6, 10}),
    ("minor-seventh", degree(5, 1, "alter"), {0, 3, 8, 10}),
    ("minor-seventh", degree(7, 1, "alter"), {0, 3, 7, 11}),
    ("minor-seventh", degree(11), {0, 3, 7, 10, 5}),
    ("major-seventh", degree(5, 1, "alter"), {0, 4, 8, 11}),
    ("major-seventh", degree(5, -1, "alter"), {0, 4, 6, 11}),
    ("major-seventh", degree(3, 0, "subtract") + degree(4), {0, 5, 7, 11}),
    ("major-seventh", degree(7, -1, "alter"), {0, 4, 7, 10}),
    ("major", degree(5, -1, "alter"), {0, 4, 6}),
    ("major", degree(3, -1, "alter"), {0, 3, 7}),
    ("major", degree(6) + degree(9), {0, 4, 7, 9, 2}),
    ("major", degree(3, 0, "subtract"), {0, 7}),
    ("minor", degree(6, -1), {0, 3, 7, 8}),
    ("minor", degree(6) + degree(9), {0, 3, 7, 9, 2}),
    ("major-sixth", degree(9), {0, 4, 7, 9, 2}),
    ("augmented", degree(7, 1), {0, 4, 8, 11}),
    ("augmented", degree(5, -1, "alter"), {0, 4, 7}),  # relative to the augmented fifth
    ("diminished", degree(7, 1), {0, 3, 6, 11}),
    ("diminished", degree(7, -1), {0, 3, 6, 9}),  # relative to a minor seventh
    ("diminished-seventh", degree(7, 1, "alter"), {0, 3, 6, 10}),  # relative to the diminished seventh
    ("half-diminished", degree(9), {0, 3, 6, 10, 2}),
    ("half-diminished", degree(11), {0, 3, 6, 10, 5}),
    ("major-minor", degree(9), {0, 3, 7, 11, 2}),
    ("suspended-fourth", degree(7), {0, 5, 7, 10}),
    ("suspended-fourth", degree(7) + degree(9), {0, 5, 7, 10, 2}),
    ("suspended-fourth", degree(7) + degree(9) + degree(13), {0, 5, 7, 10, 2, 9}),
    ("suspended-fourth", degree(7) + degree(9, -1), {0, 5, 7, 10, 1}),
    ("suspended-fourth", degree(7, 1), {0, 5, 7, 11}),
    ("suspended-fourth", degree(2), {0, 5, 7, 2}),
    ("suspended-second", degree(7), {0, 2, 7, 10}),
    ("power", degree(9), {0, 7, 2}),
    ("power", degree(3, -1), {0, 7, 3}),
    ("other", degree(3) + degree(5), {0, 4, 7}),
    ("other", degree(3, -1) + degree(5, -1) + degree(7), {0, 3, 6, 10}),
    ("other", degree(4) + degree(5) + degree(7) + degree(9), {0, 5, 7, 10, 2}),
    ("major-seventh", degree(10), {0, 4, 7, 11}),
    ("dominant", degree(14, 0, "subtract"), {0, 4, 7}),
]


def read(*arguments, **options):
    return read_harmony(fromstring(harmony(*arguments, **options)))


def check(chord, tones):
    """The chord has these tones, and its symbol reads to them again."""
    assert set(chord.intervals) == tones
    assert parse_chord(str(chord)) == chord


def test_all_kinds_of_musicxml_are_known():
    assert len(TONES) + len(FUNCTIONS) + len(["other", "none"]) == 33
    assert {*TONES, "other"} <= {*KINDS}
    assert not {*FUNCTIONS} & {*KINDS}


@pytest.mark.parametrize("kind", TONES)
@pytest.mark.parametrize(("root", "alter", "name"), [("C", 0, "C"), ("B", -1, "Bb"), ("F", 1, "F#"), ("A", -2, "Abb")])
def test_a_kind_has_its_tones(kind, root, alter, name):
    for text in (None, ""):
        chord, _ = read(root, kind, text, alter=alter)
        check(chord, TONES[kind])
        assert chord.parts[0] == name


@pytest.mark.parametrize("kind", TONES)
def test_a_degree_changes_the_tones_of_a_kind(kind):
    for change, (takes, adds) in CHANGES.items():
        before = TONES[kind]
        if kind == "dominant-11th" and change in (degree(11), degree(11, 1), degree(4)):
            before = before | {4}  # an eleventh that is named suspends nothing
        if kind == "suspended-fourth":
            takes = takes - {5}  # a fourth is no eleventh
        if kind == "diminished-seventh":
            takes = takes - {9}
        sevenths = adds & {10, 11} and (before & {10, 11} or kind == "diminished-seventh")
        if sevenths or (kind == "suspended-second" and adds & {1, 3}):
            continue  # no chord has two sevenths, or two seconds
        check(read("D", kind, inner=change)[0], before - takes | adds)


@pytest.mark.parametrize(("kind", "degrees", "tones"), CHORDS)
def test_a_chord_with_degrees_has_its_tones(kind, degrees, tones):
    check(read("E", kind, inner=degrees, alter=-1)[0], tones)


@pytest.mark.parametrize(
    ("kind", "text", "degrees", "symbol"),
    [
        ("major-seventh", "Maj7", "", "CMaj7"),
        ("major-seventh", "\u2206", "", "CΔ"),
        ("major-seventh", "^7", "", "C^7"),
        ("major-seventh", "", "", "Cmaj7"),  # a drawn triangle has no text
        ("minor-seventh", "-7", "", "C-7"),
        ("half-diminished", "m7b5", "", "Cm7b5"),
        ("half-diminished", "ø", "", "Cø"),
        ("minor-seventh", "m7", degree(5, -1, "alter"), "Cm7b5"),
        ("dominant", "7", degree(9, -1), "C7b9"),
        ("dominant", "7(b9)", degree(9, -1, more=' print-object="no"'), "C7(b9)"),
        ("dominant", "7", degree(5, -1, "alter") + degree(9, -1), "C7b5b9"),
        ("dominant", None, degree(9, -1), "C7b9"),
        ("dominant", None, degree(13) + degree(9, -1), "C13b9"),
        ("dominant-13th", "13", "", "C13"),
        ("dominant-13th", "13(add11)", "", "C13(add11)"),
        ("dominant-11th", "11", "", "C11"),
        ("dominant-ninth", "9 sus 4", degree(3, 0, "subtract") + degree(4), "C9sus4"),
        ("suspended-fourth", "7sus4", degree(7, 0, more=' print-object="no"'), "C7sus4"),
        ("suspended-fourth", None, degree(7), "C7sus4"),
        ("suspended-fourth", "sus", "", "Csus"),
        ("major", "", degree(9), "Cadd9"),
        ("major", "", degree(7), "C7"),
        ("major", "", degree(5, -1, "alter"), "C(b5)"),  # Cb5 would be C flat
        ("major-sixth", "6/9", degree(9, more=' print-object="no"'), "C6/9"),
        ("other", "7alt", "", "C7alt"),
        ("major-minor", "m(maj7)", "", "Cm(maj7)"),
        ("dominant", "7(Gm7)", "", "C7(Gm7)"),  # an alternate in brackets
        ("Neapolitan", "maj7", "", "Cmaj7"),
        ("", "m6", "", "Cm6"),
        ("minor-major-seventh", "", "", "Cmmaj7"),
    ],
)
def test_the_text_is_kept_if_it_reads_to_the_tones_of_the_kind(kind, text, degrees, symbol):
    chord, printed = read("C", kind, text, degrees)
    assert str(chord) == symbol
    assert not printed
    assert chord.tones == parse_chord(symbol).tones


@pytest.mark.parametrize(
    ("kind", "text", "symbol", "printed"),
    [("dominant", "7alt", "C7", "C7alt"), ("major", "m", "C", "Cm"), ("minor", "b5", "Cm", "Cb5")],
)
def test_kind_and_degrees_decide_if_the_text_reads_to_other_tones(kind, text, symbol, printed):
    chord, told = read("C", kind, text)
    assert (str(chord), told) == (symbol, printed)


@pytest.mark.parametrize("text", ["&#10;", "\x85", "7\u202e", "VIIb", "C7", "7" * 5000, "&lt;b&gt;"])
def test_a_text_that_is_no_chord_does_not_matter(text):
    assert str(read("C", "dominant", text)[0]) == "C7"


def test_no_chord():
    for kind, text in (("none", None), ("none", "N.C."), ("other", "N.C."), ("major", "n.c.")):
        assert str(read("C", kind, text)[0]) == "N.C."
    assert str(read_harmony(fromstring("<harmony><function>I</function><kind>none</kind></harmony>"))[0]) == "N.C."


def bass(step, alter=0):
    return f"<bass><bass-step>{step}</bass-step><bass-alter> {alter}\n</bass-alter></bass>"


@pytest.mark.parametrize(
    ("inner", "symbol"),
    [
        (bass("G"), "Cm7/G"),
        (bass("B", -1), "Cm7/Bb"),
        (bass("C"), "Cm7"),
        ("<inversion>0</inversion>", "Cm7"),
        ("<inversion>1</inversion>", "Cm7/Eb"),
        ("<inversion>2</inversion>", "Cm7/G"),
        ("<inversion>3</inversion>", "Cm7/Bb"),
        ("<inversion>1</inversion>" + bass("F"), "Cm7/F"),
    ],
)
def test_the_bass_is_named_or_follows_from_the_inversion(inner, symbol):
    chord, _ = read("C", "minor-seventh", "m7", inner)
    assert str(chord) == symbol
    assert chord.bass == parse_chord(symbol).bass


def test_an_inversion_is_spelled_from_its_degree():
    assert str(read("E", "diminished-seventh", "o7", "<inversion>3</inversion>", alter=-1)[0]) == "Ebo7/Dbb"
    assert str(read("C", "diminished-seventh", "o7", "<inversion>3</inversion>", alter=-1)[0]) == "Cbo7/Ab"
    assert str(read("A", "augmented", "+", "<inversion>2</inversion>")[0]) == "A+/E#"


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        ("<harmony><function>V</function><kind>dominant</kind></harmony>", "one root, such as C; it has a function"),
        ("<harmony><numeral><numeral-root>5</numeral-root></numeral><kind>major</kind></harmony>", "a function or num"),
        (
            harmony("C").replace("</kind>", "</kind><root><root-step>D</root-step></root><kind>major</kind>"),
            "polychord",
        ),
        *((harmony("C", kind), f"it has the kind {kind} and no text") for kind in FUNCTIONS),
        (harmony("C", "other"), "it has the kind other and no text"),
        (harmony("C", "blue"), "it has the kind blue and no text"),
        (harmony("C", "blue", "blue"), "has no meaning"),
        (harmony("H"), "a root must be A to G with at most two accidentals, got 'H'"),
        (harmony(""), "a root must be A to G"),
        (harmony("C", alter=3), "a root must be A to G with at most two accidentals, got 'C' and 3"),
        (harmony("C", alter="0.5"), "got 'C' and 0.5"),
        (harmony("C", alter="x"), "the alter of a root must be a number, got 'x'"),
        (harmony("C", inner=bass("H")), "a bass must be A to G"),
        (harmony("C", inner="<inversion>3</inversion>"), "the inversion of C must be 0 to 2, got 3"),
        (harmony("C", inner="<inversion>-1</inversion>"), "the inversion of C must be 0 to 2, got -1"),
        (harmony("C", inner="<inversion>NaN</inversion>"), "an inversion must be a number, got 'NaN'"),
        (harmony("C", inner=degree(16)), "a degree must be add, alter or subtract 1 to 15, got 'add' 16 by 0"),
        (harmony("C", inner=degree(9, 3)), "got 'add' 9 by 3"),
        (harmony("C", inner=degree(9, 0, "multiply")), "got 'multiply' 9 by 0"),
        (harmony("C", inner=degree("9e9")), "a degree must be a number, got '9e9'"),
        (harmony("C", inner=degree(1, 0, "subtract")), "no chord symbol has the tones that C has here, [4, 7]"),
        (harmony("C", "dominant", inner=degree(7, 1)), "no chord symbol has the tones that C has here"),
    ],
)
def test_what_is_no_chord_is_refused_in_one_line(xml, told):
    with pytest.raises(NumpyrnnError) as caught:
        read_harmony(fromstring(xml))
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_symbols_are_made_for_most_sets_of_tones_and_read_to_them():
    """The others have clusters, such as a minor and a major seventh."""
    sets = [frozenset({0} | {tone for tone in range(1, 12) if number >> tone & 1}) for number in range(0, 4096, 18)]
    found = {tones: name for tones in sets if (name := spelled(tones)) is not None}
    assert len(found) > len(sets) / 3
    for tones, name in found.items():
        assert set(parse_chord("F#" + name).intervals) == tones


def test_every_chord_that_we_write_is_read_with_its_tones():
    for spelling in ORDINARY:
        for bass, alternate in (("", ""), ("/Eb", ""), ("/Eb", "(Dm7b5)")):
            chord = parse_chord(f"Bb{spelling}{bass}{alternate}")
            read, _ = read_harmony(written(chord))
            assert {*read.tones} == {*chord.tones}, spelling
            assert (read.bass, read.alternates) == (chord.bass, alternate), spelling
