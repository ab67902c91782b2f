"""Chord symbols and changes mean what musicians mean by them; wrong ones are named with their bar."""

import tracemalloc
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from music21.harmony import ChordSymbol

from jazz.changes import FORMS, form, parse_changes, parse_meter, spread
from jazz.chords import QUALITIES, Chord, parse_chord
from numpyrnn import NumpyrnnError

ROOTS = {
    **{"C": 0, "C#": 1, "Db": 1, "D": 2, "D#": 3, "Eb": 3, "E": 4, "Fb": 4, "E#": 5, "F": 5, "F#": 6, "Gb": 6},
    **{"G": 7, "G#": 8, "Ab": 8, "A": 9, "A#": 10, "Bb": 10, "B": 11, "Cb": 11, "B#": 0, "F##": 7, "Bbb": 9},
}
DEGREES = {
    **{"1": 0, "b9": 1, "2": 2, "9": 2, "b3": 3, "#9": 3, "3": 4, "4": 5, "11": 5, "b5": 6, "#11": 6, "5": 7},
    **{"#5": 8, "b13": 8, "6": 9, "bb7": 9, "13": 9, "b7": 10, "7": 11},
}
SPELLINGS = {spelling: quality.tones for quality in QUALITIES for spelling in quality.spellings.split(" ")}
# One spelling of each quality, as a textbook has it: what it is made of over the root.
TEXTBOOK = {
    **{"": "1 3 5", "m": "1 b3 5", "dim": "1 b3 b5", "aug": "1 3 #5", "5": "1 5", "sus4": "1 4 5", "sus2": "1 2 5"},
    **{
        "6": "1 3 5 6",
        "m6": "1 b3 5 6",
        "69": "1 3 5 6 9",
        "m69": "1 b3 5 6 9",
        "add9": "1 3 5 9",
        "madd9": "1 b3 5 9",
    },
    **{"maj7": "1 3 5 7", "maj9": "1 3 5 7 9", "maj13": "1 3 5 7 9 13", "maj7#5": "1 3 #5 7", "mmaj7": "1 b3 5 7"},
    **{"m7": "1 b3 5 b7", "m9": "1 b3 5 b7 9", "m11": "1 b3 5 b7 9 11", "m13": "1 b3 5 b7 9 13"},
    **{"m7b5": "1 b3 b5 b7", "m9b5": "1 b3 b5 b7 9", "dim7": "1 b3 b5 bb7", "7": "1 3 5 b7", "9": "1 3 5 b7 9"},
    **{
        "11": "1 4 5 b7 9",
        "13": "1 3 5 b7 9 13",
        "7b9": "1 3 5 b7 b9",
        "7#9": "1 3 5 b7 #9",
        "7b9#9": "1 3 5 b7 b9 #9",
    },
    **{"7#11": "1 3 5 b7 #11", "9#11": "1 3 5 b7 9 #11", "7b5": "1 3 b5 b7", "7#5": "1 3 #5 b7", "9#5": "1 3 #5 b7 9"},
    **{"7b13": "1 3 5 b7 b13", "7b9b13": "1 3 5 b7 b9 b13", "7#9#5": "1 3 #5 b7 #9", "7b9#5": "1 3 #5 b7 b9"},
    **{"7b9b5": "1 3 b5 b7 b9", "7#9b5": "1 3 b5 b7 #9", "7b9#11": "1 3 5 b7 b9 #11", "13b9": "1 3 5 b7 b9 13"},
    **{"13#9": "1 3 5 b7 #9 13", "7alt": "1 3 b7 b9 #9 b13", "7sus4": "1 4 5 b7", "9sus4": "1 4 5 b7 9"},
    **{"13sus4": "1 4 5 b7 9 13", "7sus4b9": "1 4 5 b7 b9"},
}
# Spellings that music21 knows and reads as we do (to it "-" is a flat, and a thirteenth chord has an eleventh).
WITNESSED = (
    "|maj|M|m|min|dim|o|aug|+|5|sus4|sus|sus2|6|m6|min6|maj7|M7|M9|add9|m7|min7|m9|min9|m11|min11|mM7|minmaj7|m7b5"
    "|ø7|dim7|o7|7|dom7|9|7b9|7#9|7#11|9#11|7b5|7#5|7+|+7|7b13|7b9b13|7b9#5|7b9b5|7#9b5|7b9#11|7sus4|7sus"
)


def names(changes):
    return [[str(chord) for _, chord in bar] for bar in changes.bars]


# symbols


@pytest.mark.parametrize("quality", sorted(TEXTBOOK))
def test_a_quality_has_the_tones_of_the_textbook(quality):
    assert sorted(SPELLINGS[quality]) == sorted(DEGREES[degree] for degree in TEXTBOOK[quality].split())


def test_no_spelling_and_no_tones_stand_twice():
    assert len(SPELLINGS) == sum(len(quality.spellings.split(" ")) for quality in QUALITIES)
    assert len({quality.tones for quality in QUALITIES}) == len(QUALITIES)


def test_every_spelling_holds_over_every_root():
    for quality, tones in SPELLINGS.items():
        for root, pitch_class in ROOTS.items():
            expected = (pitch_class, tuple((pitch_class + tone) % 12 for tone in tones), pitch_class)
            plain = [root + quality] if not quality.startswith("#") else []  # in C#5 the sharp is the root's
            for symbol in [*plain, f"{root}({quality})"]:
                chord = parse_chord(symbol)
                assert (chord.root, chord.tones, chord.bass) == expected, symbol
                assert str(chord) == symbol


@pytest.mark.parametrize("quality", WITNESSED.split("|"))
def test_a_chord_has_the_pitch_classes_that_music21_gives_it(quality):
    for root, pitch_class in (("C", 0), ("F#", 6), ("A", 9)):
        expected = {pitch.pitchClass for pitch in ChordSymbol(root + quality).pitches}
        assert set(parse_chord(root + quality).tones) == expected
        assert parse_chord(root + quality).root == pitch_class


def test_a_slash_chord_has_another_bass_and_the_same_tones():
    for symbol, bass in (
        ("Bb6/D", 2),
        ("C/E", 4),
        ("Dm7/C", 0),
        ("F#m7b5/E", 4),
        ("G7/Cb", 11),
        ("C6/9/G", 7),
        ("C/F##", 7),
    ):
        chord = parse_chord(symbol)
        assert chord.bass == bass
        assert chord.tones == parse_chord(symbol.rsplit("/", 1)[0]).tones


def test_printed_signs_and_brackets_are_read():
    for symbol, plain in (
        ("B♭7", "Bb7"),
        ("F♯m7♭5", "F#m7b5"),
        ("C△7", "C^7"),
        ("C\N{MINUS SIGN}7", "C-7"),
        ("G7(b9,#11)", "G7b9#11"),
    ):
        assert parse_chord(symbol).tones == parse_chord(plain).tones
        assert parse_chord(symbol).root == parse_chord(plain).root


@pytest.mark.parametrize("symbol", ["N.C.", "NC", "N.C"])
def test_no_chord_has_no_tones(symbol):
    assert parse_chord(symbol) == Chord("N.C.", None, (), None)


@pytest.mark.parametrize("symbol", ["", "H7", "c", "C77", "Cm7b", "C/", "C/H", "7", "C###", "x" * 10_000])
def test_a_wrong_symbol_is_refused(symbol):
    with pytest.raises(NumpyrnnError, match="a chord must be like"):
        parse_chord(symbol)


# bars


def test_the_bars_of_a_line_as_musicians_write_it():
    changes = parse_changes("Dm7 G7 | Cmaj7 | % | F#m7b5 B7alt | Bb6/D | Eb^7 C-7 Ao7 Asus4 N.C.")
    expected = [
        [(0, {2, 5, 9, 0}), (2, {7, 11, 2, 5})],
        [(0, {0, 4, 7, 11})],
        [(0, {0, 4, 7, 11})],
        [(0, {6, 9, 0, 4}), (2, {11, 3, 9, 0, 2, 7})],  # 3 b7 b9 #9 #5 over B
        [(0, {10, 2, 5, 7})],
        [
            (Fraction(4 * i, 5), tones)
            for i, tones in enumerate(({3, 7, 10, 2}, {0, 3, 7, 10}, {9, 0, 3, 6}, {9, 2, 4}, set()))
        ],
    ]
    assert [[(onset, set(chord.tones)) for onset, chord in bar] for bar in changes.bars] == expected
    assert [onset for onset, _ in changes.flat()] == [
        0,
        2,
        4,
        8,
        12,
        14,
        16,
        *(20 + Fraction(4 * i, 5) for i in range(5)),
    ]
    assert changes.bars[4][0][1].bass == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|: C :|", "C C"),
        ("|: C | D :| x3 | E", "C D C D C D E"),
        ("C | D :| E", "C D C D E"),
        ("|: C :|: D :|", "C C D D"),
        ("|: C :| D :|", "C C D D"),
        ("||: C | % :|| F ||", "C C C C F"),
        ("|C|\n\n|D|", "C D"),
        ("C\nD\n%\n%", "C D D D"),
    ],
)
def test_repeats_are_written_out(text, expected):
    assert [bar[0] for bar in names(parse_changes(text))] == expected.split()


def test_a_slash_is_a_beat_more_of_the_chord_before():
    changes = parse_changes("C / / G7 | / Am | C % F /")
    assert [[(onset, str(chord)) for onset, chord in bar] for bar in changes.bars] == [
        [(0, "C"), (3, "G7")],
        [(0, "G7"), (2, "Am")],
        [(0, "C"), (2, "F")],
    ]


@pytest.mark.parametrize(
    ("meter", "text", "onsets"),
    [
        ((4, 4), "C D E", [0, 2, 3]),
        ((4, 4), "C D E F", [0, 1, 2, 3]),
        ((3, 4), "C D", [0, 2]),
        ((3, 4), "C D E", [0, 1, 2]),
        ((5, 4), "C D", [0, 3]),
        ((5, 4), "C D E", [0, 2, 4]),
        ((6, 8), "C D", [0, Fraction(3, 2)]),
        ((2, 4), "C D E F", [0, Fraction(1, 2), 1, Fraction(3, 2)]),
    ],
)
def test_chords_of_a_bar_share_its_beats(meter, text, onsets):
    assert [onset for onset, _ in parse_changes(text, meter).bars[0]] == onsets


@given(st.integers(1, 40), st.integers(1, 32), st.sampled_from([1, 2, 4, 8, 16]))
def test_spread_chords_begin_with_the_bar_in_order_and_within_it(n, beats, unit):
    onsets = [onset for onset, _ in spread([Chord("C")] * n, (beats, unit))]
    assert len(onsets) == n
    assert onsets[0] == 0
    assert onsets == sorted(set(onsets))
    assert onsets[-1] < Fraction(4 * beats, unit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C | D | H7", "bar 3: a chord must be like .* got 'H7'"),
        ("|: C | D :| x3 | E x", "bar 7: .* got 'x'"),
        ("%", "bar 1 must name a chord"),
        ("/ C", "bar 1 must begin with a chord, got '/'"),
        ("C | |: D", "the repeat that begins at bar 2 must end"),
        ("|: C |: D :|", "bar 2 begins a second"),
        ("", "changes must have a chord"),
        ("| N.C. | % |", "changes must have a chord"),
    ],
)
def test_an_error_names_the_bar(text, message):
    with pytest.raises(NumpyrnnError, match=message) as error:
        parse_changes(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "|: C :| x99999999999",
        "|: C | D :| x9999",
        "|: " * 50 + "C" + " :| x99999" * 50,
        "C | % :| x6000" * 9,
        "C |" * 10_001,
    ],
)
def test_more_bars_than_anybody_plays_are_refused(text):
    with pytest.raises(NumpyrnnError, match=r"at most 10000 bars|begins a second"):
        parse_changes(text)


# forms and meters


def test_the_shipped_forms_have_their_bars():
    lengths = {
        "blues-f": 12,
        "blues-cm": 12,
        "rhythm-changes": 32,
        "ii-v-i": 16,
        "minor-ii-v-i": 16,
        "modal": 32,
        "bossa": 16,
    }
    assert {name: len(form(name).bars) for name in FORMS} == {**lengths, "waltz": 16}


@pytest.mark.parametrize("name", FORMS)
def test_a_shipped_form_is_complete_and_reads_back(name):
    changes = form(name)
    assert changes.name == name
    assert changes.title
    assert changes.meter == ((3, 4) if name == "waltz" else (4, 4))
    assert changes.feel == ("straight" if name == "bossa" else "swing")
    assert all(chord.tones for _, chord in changes.flat())
    assert parse_changes(str(changes), changes.meter).bars == changes.bars


def test_the_bridge_of_rhythm_changes_is_a_chain_of_dominants():
    bridge = names(form("rhythm-changes"))[16:24]
    assert bridge == [["D7"], ["D7"], ["G7"], ["G7"], ["C7"], ["C7"], ["F7"], ["F7"]]


def test_choruses_follow_each_other():
    waltz, three = form("waltz"), form("waltz").times(3)
    assert three.flat()[: len(waltz.flat())] == waltz.flat()
    assert three.flat()[len(waltz.flat())] == (48, waltz.bars[0][0][1])
    assert (len(three.bars), three.meter, three.name, three.title) == (48, waltz.meter, waltz.name, waltz.title)


def test_an_unknown_form_is_refused_with_the_known_ones():
    with pytest.raises(NumpyrnnError, match=r"blues-f, .*waltz, got 'polka'"):
        form("polka")


def test_meters():
    assert [parse_meter(text) for text in ("4/4", " 3/4 ", "6/8", "12/16", "32/1")] == [
        (4, 4),
        (3, 4),
        (6, 8),
        (12, 16),
        (32, 1),
    ]
    for text in ("0/4", "33/4", "4/3", "4", "4/4/4", "-3/4", "", "x/4"):
        with pytest.raises(NumpyrnnError, match="a meter must be like"):
            parse_meter(text)


def test_pathological_changes_are_one_error():
    with pytest.raises(NumpyrnnError):
        parse_changes("|: C :| x" + "9" * 5000)


def test_no_times_is_refused():
    with pytest.raises(NumpyrnnError):
        parse_changes("|: C :| x0")


def test_repeats_after_another_are_refused_at_once():
    tracemalloc.start()
    try:
        with pytest.raises(NumpyrnnError):
            parse_changes("|: C :| x10000 " * 200)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()  # it would slow down all tests after this one


def test_a_thirteenth_is_in_13_sharp_11():
    assert 9 in parse_chord("C13#11").tones
