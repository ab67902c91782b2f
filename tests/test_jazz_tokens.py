"""What the network reads: before each value what is known of its place, then the value, which reads back."""

from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jazz.chords import family, parse_chord, root_of
from jazz.grammar import Element, Value, semitones
from jazz.reading.choruses import read_chorus, tune_of_chorus
from jazz.tokens import (
    CONTEXTS,
    FORMS,
    PREFIXES,
    Place,
    Shape,
    context,
    is_of_value,
    parts,
    place_of,
    shapes,
    stream,
    value_of,
)
from jazz.tunes import Bar, Tune, chord_pitches, make_bars
from numpyrnn import NumpyrnnError

F = Fraction
FOLDER = Path(__file__).parents[1] / "data" / "choruses"
NAMES = ["P1", "m2", "M2", "m3", "P4", "A4", "d5", "P5", "m6", "M7", "P8", "m-2", "M-2", "m-3", "P-4", "d-5", "d1"]
DURATIONS = st.integers(1, 96).map(lambda n: F(n, 12))
VALUES = st.builds(
    Value, st.sampled_from("CSAX"), DURATIONS, st.none() | st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES))
) | st.builds(Value, st.just("R"), DURATIONS)


def chord(symbol):
    return chord_pitches(parse_chord(symbol))


def sound(symbol, onset=0):
    return Element(F(onset), F(0), chord(symbol), parse_chord(symbol).root)


@cache
def tune(name):
    return tune_of_chorus(read_chorus(FOLDER / f"{name}.txt"))


def transposed(piece, steps):
    def move(elements):
        return tuple(
            replace(
                e, pitches=tuple(p + steps for p in e.pitches), root=None if e.root is None else (e.root + steps) % 12
            )
            for e in elements
        )

    bars = tuple(Bar(b.onset, b.length, move(b.melody), move(b.chords)) for b in piece.bars)
    return Tune(piece.name, bars, style=piece.style)


def small():
    melody = [
        Element(F(0), F(1), (65,)),
        Element(F(3, 2), F(1, 2), (69,)),
        Element(F(2), F(3), (71,)),
        Element(F(6), F(2), (67,)),
    ]
    chords = [Element(F(0), F(0), chord("Dm7")), Element(F(2), F(0), chord("G7")), Element(F(4), F(0), chord("Cmaj7"))]
    return Tune("small", make_bars(melody, chords, [(F(0), F(4)), (F(4), F(4)), (F(8), F(4))]))


# values and their tokens


@pytest.mark.parametrize("form", FORMS)
@given(value=VALUES)
def test_a_value_reads_back_from_its_tokens(form, value):
    tokens = parts(value, form)
    assert value_of(tokens) == value
    assert len(tokens) == {"parts": 3, "atomic": 1}[form]
    assert all(is_of_value(token) for token in tokens)


def test_tokens_of_values():
    value = Value("C", F(1, 3), ("P4", "m-2"))
    assert parts(value, "parts") == ["type C", "duration 0.333", "interval <P4,m-2>"]
    assert parts(value, "atomic") == ["value C,0.333,<P4,m-2>"]
    assert parts(Value("R", F(2)), "parts") == ["type R", "duration 2.000", "interval -"]


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        ["type C"],
        ["type C", "duration 0.500"],
        ["type C", "duration 0.500", "chord: minor"],
        ["type C", "duration 0.500", "interval -", "interval -"],
        ["type Q", "duration 0.500", "interval -"],
        ["duration 0.500", "type C", "interval -"],
        ["value "],
        ["position: 0.000"],
    ],
)
def test_tokens_that_say_no_value_are_refused(tokens):
    with pytest.raises(NumpyrnnError, match="a value must"):
        value_of(tokens)


# places


def test_contexts_of_a_place_by_hand():
    place = Place(F(5, 2), sound("G7"), 65, sound("Cmaj7"), F(3, 2))
    of_place = list(CONTEXTS)[:6]
    assert context(place, of_place) == [
        "position: 2.500",
        "chord: dominant",
        "degree: 10",
        "register: 4",
        "next: 5 major",
        "left: 1.500",
    ]
    assert context(place, ["left", "position"]) == ["left: 1.500", "position: 2.500"]
    assert not any(is_of_value(token) for token in context(place, list(CONTEXTS)))


def test_at_the_beginning_and_the_end_nothing_is_known():
    alone = Place(F(0), sound("Dm7"))
    assert context(alone, ["degree", "register", "next", "left"]) == ["degree: -", "register: -", "next: -", "left: -"]
    assert context(Place(F(0), sound("Dm7"), 60, sound("G7"), F(9)), ["left"]) == ["left: 4.000"]


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        ("C Db G Abmaj7 Gmaj9 Bb6 C6/E", "major"),
        ("C7 G7 D9 Bb7 A7b9 G13 F7/A", "dominant"),
        ("Dm Am7 Ebm7 Cm9 Cmmaj7 Gm6", "minor"),
        ("Bdim7 Cdim7 Bm7b5 Cm7b5", "diminished"),
        ("Caug Abaug", "augmented"),
        ("Csus4 G7sus C13sus C5", "suspended"),
    ],
)
def test_family_of_a_chord(symbols, expected):
    assert {family(chord(symbol), parse_chord(symbol).root) for symbol in symbols.split()} == {expected}


def test_place_of_a_value_in_a_bar():
    chords, following = (sound("Dm7", F(4)), sound("G7", F(6))), sound("C", F(8))
    bar = Bar(F(4), F(4), (), chords)
    expected = Place(F(5, 2), sound("G7", F(6)), 60, following, F(3, 2))
    assert place_of(F(13, 2), bar, [*chords, following], 60) == expected
    assert place_of(F(6), bar, chords, 62) == Place(F(2), sound("G7", F(6)), 62)  # no chord follows


@pytest.mark.parametrize("kind", ["chord", "degree", "next"])
@pytest.mark.parametrize("name", ["blues-f-1", "bossa-1"])
def test_what_is_known_of_the_chord_holds_in_every_key(name, kind):
    def known(piece):
        return [tokens[0] for tokens in stream(piece, [kind], "parts")]

    for steps in range(-6, 6):
        assert known(transposed(tune(name), steps)) == known(tune(name))


@pytest.mark.parametrize(
    "symbol", ["C", "Bb7", "Bb6", "Ebm7", "Abmaj7", "Gm6", "F#m7b5", "G13", "Dsus4", "E7alt", "Bdim7"]
)
def test_the_root_is_found_in_the_notes_where_there_is_no_symbol(symbol):
    known = sound(symbol)
    assert root_of(known.pitches) == parse_chord(symbol).root
    places = (Place(F(0), element, 60, element) for element in (known, replace(known, root=None)))
    assert len({tuple(context(place, ["chord", "degree", "next"])) for place in places}) == 1


# streams


def test_stream_of_a_small_tune_by_hand():
    kinds = ["position", "chord", "degree", "next", "left"]
    said = [" ".join(token.split(": ")[-1] for token in tokens[:-1]) for tokens in stream(small(), kinds, "atomic")]
    assert said == [
        "0.000 minor - 5 dominant 2.000",  # F
        "1.000 minor 3 5 dominant 1.000",  # a rest after the third of Dm7
        "1.500 minor 3 5 dominant 0.500",  # A
        "2.000 dominant 2 5 major 2.000",  # B, held over the bar line
        "1.000 major 11 - -",  # a rest
        "2.000 major 11 - -",  # G
        "0.000 major 7 - -",  # a bar's rest
    ]
    assert [tokens[-1].split(",")[0] for tokens in stream(small(), kinds, "atomic")] == [
        f"value {kind}" for kind in "CRCCRCR"
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["blues-f-1", "waltz-1", "modal-1"])
def test_a_stream_says_the_tunes_values_in_order(name, form):
    kinds = list(CONTEXTS)
    said = stream(tune(name), kinds, form)
    values = [value for bar in tune(name).values() for value in bar]
    assert [value_of(tokens[len(kinds) :]) for tokens in said] == values
    for tokens in said:
        assert [token.split(": ")[0] for token in tokens[: len(kinds)]] == kinds
        assert sum(is_of_value(token) for token in tokens) == {"parts": 3, "atomic": 1}[form]
        assert all(token.startswith(PREFIXES) for token in tokens[len(kinds) :])
    assert stream(tune(name), [], form) == [tokens[len(kinds) :] for tokens in said]


def test_positions_and_what_is_left_are_true_of_a_chorus():
    piece = tune("ii-v-i-1")
    chords = sorted({c.onset for bar in piece.bars for c in bar.chords})
    said = iter(stream(piece, ["position", "left"], "parts"))
    for bar in piece.bars:
        for element in bar.melody:
            position, left = next(said)[:2]
            ahead = [onset - element.onset for onset in chords if onset > element.onset]
            assert position == f"position: {float(element.onset - bar.onset):.3f}"
            assert left == (f"left: {float(min(ahead[0], 4)):.3f}" if ahead else "left: -")
    assert list(said) == []


# keys


def test_an_octave_changes_nothing_but_register_and_height():
    kinds = [kind for kind in CONTEXTS if kind not in ("register", "height")]
    for name in ("blues-f-1", "bossa-1"):
        for steps in (-12, 12):
            other = transposed(tune(name), steps)
            assert stream(other, kinds, "parts") == stream(tune(name), kinds, "parts")
            registers = [[tokens[0] for tokens in stream(t, ["register"], "parts")] for t in (tune(name), other)]
            for here, there in zip(*registers, strict=True):
                if here != "register: -":
                    assert int(there.split()[1]) - int(here.split()[1]) == steps // 4


@pytest.mark.parametrize("name", ["blues-cm-1", "rhythm-changes-1"])
def test_rhythm_chord_tones_and_the_size_of_intervals_hold_in_every_key(name):
    kinds = ["position", "left"]

    def heard(piece):
        for *known, kind, duration, _ in stream(piece, kinds, "parts"):
            yield *known, kind in ("type C", "type R") and kind, duration

    def sizes(piece):
        values = [value for bar in piece.values() for value in bar]
        return [value.interval and tuple(map(semitones, value.interval)) for value in values]

    for steps in (-6, -5, -1, 1, 2, 3):
        other = transposed(tune(name), steps)
        assert list(heard(other)) == list(heard(tune(name)))
        assert sizes(other) == sizes(tune(name))


# shapes


def shaped(bars, style=""):
    """A tune of bars in 4/4 over C, each a list of (place, pitch) of eighths."""
    notes = [Element(F(4 * i) + F(place), F(1, 4), (pitch,)) for i, bar in enumerate(bars) for place, pitch in bar]
    return Tune("x", make_bars(notes, [sound("C")], [(F(4 * i), F(4)) for i in range(len(bars))]), style=style)


def test_a_section_of_four_bars_has_the_shape_of_its_notes():
    thirds = [(0, 60), (F(1, 3), 62), (F(2, 3), 64), (2, 66)]
    found = shapes(shaped([thirds, [], [(0, 70), (F(1, 4), 71)], [], [(1, 80)], []], "bebop"))
    assert len(found) == 6
    assert found[:4] == [Shape("bebop", 1.5, (60 + 62 + 64 + 66 + 70 + 71) / 6, 1 / 3, 1 / 3)] * 4
    assert found[4:] == [Shape("bebop", 0.5, 80, 0, 0)] * 2


def test_a_section_without_notes_has_only_a_density():
    assert shapes(shaped([[]] * 4 + [[(0, 60)]]))[:4] == [Shape("", 0)] * 4


def test_shapes_are_told_by_tokens_and_those_of_a_plain_place_are_dashes():
    kinds = ("style", "density", "height", "triplets", "sixteenths")
    place = Place(F(0), sound("C"))
    assert context(place, kinds) == [f"{kind}: -" for kind in kinds]
    told = context(replace(place, shape=Shape("cool", 5.9, 71.6, 0.0, 0.2)), kinds)
    assert told == ["style: cool", "density: 4", "height: 8", "triplets: 0", "sixteenths: 2"]
    few = context(replace(place, shape=Shape("cool", 6.1, 70.4, 0.1, 0.1)), kinds)
    assert few == ["style: cool", "density: 4", "height: 7", "triplets: 1", "sixteenths: 1"]


def test_a_tune_shows_its_shapes_to_the_network():
    bars = [[(i / 2, 60 + i) for i in range(8)]] * 4 + [[(0, 80)]] * 4
    of_values = stream(shaped(bars, "cool"), ("style", "density", "height"), "parts")
    assert of_values[0][:3] == ["style: cool", "density: 5", "height: 5"]
    assert of_values[-1][:3] == ["style: cool", "density: 1", "height: 11"]
