"""Rare spellings of chord symbols mean what the usual ones mean."""

import pytest

from jazz.chords import parse_chord
from numpyrnn import NumpyrnnError


def same(symbol, usual):
    """Whether two symbols have the same tones and bass."""
    return (parse_chord(symbol).tones, parse_chord(symbol).bass) == (parse_chord(usual).tones, parse_chord(usual).bass)


@pytest.mark.parametrize("order", ["ordinary", "weimar"])
@pytest.mark.parametrize("base", ["C", "Cm", "CM", "C7", "C "])
@pytest.mark.parametrize("minus", ["-", "\N{MINUS SIGN}", "\N{EN DASH}", " -"])
def test_a_sign_after_an_opening_bracket_belongs_to_its_number(base, minus, order):
    signed = {f"{minus}9": "b9", "+9": "#9", f"{minus}5": "b5", "+5": "#5", "+11": "#11", f"{minus}13": "b13"}
    for alteration, usual in signed.items():
        assert parse_chord(f"{base}({alteration})", order).tones == parse_chord(f"{base}({usual})", order).tones


def test_two_signed_numbers_in_brackets_are_two_alterations():
    assert parse_chord("C(-9,+11)").intervals == parse_chord("C(b9,#11)").intervals == (0, 4, 7, 1, 6)
    assert parse_chord("C(-7)").intervals == (0, 3, 7, 10)
    for symbol in ("C(-11)", "C(+13)"):
        with pytest.raises(NumpyrnnError, match="has no meaning"):
            parse_chord(symbol)


@pytest.mark.parametrize(
    ("symbol", "usual"),
    [
        ("C4/7", "C7sus4"),
        ("C7/4", "C7sus4"),
        ("C7(4)", "C7sus4"),
        ("C4/7(9)", "C7sus4(9)"),
        ("C7/4/9", "C9sus4"),
        ("C9/4", "C9sus4"),
        ("A4/9", "Asus4add9"),
        ("C7/4(b9)/Bb", "C7sus4b9/Bb"),
        ("C7M/4", "Cmaj7sus4"),
        ("C4", "Cadd11"),
        ("C7add4", "C7(11)"),
        ("Cadd9add4", "Cadd9add11"),
        ("Cm7(4)", "Cm7(11)"),
    ],
)
def test_a_4_beside_a_7_or_9_is_a_suspension_unless_it_is_added_or_minor(symbol, usual):
    assert same(symbol, usual)


@pytest.mark.parametrize(
    ("symbol", "usual"),
    [
        ("Cm9(maj7)", "Cm(maj9)"),
        ("C-9 (Δ7)", "Cm(maj9)"),
        ("Cm9/MA7", "Cm(maj9)"),
        ("Cm13(maj7)/G", "Cmmaj13/G"),
        ("Cm7(maj7)", "Cmmaj7"),
        ("Cm6(maj7)", "Cmmaj7add6"),
        ("Cm6/9(maj7)", "Cmmaj9add6"),
        ("C6(maj7)", "Cmaj7add6"),
        ("C°7(maj7)", "Cdimmaj7"),
        ("C(b5)(maj7)", "Cmaj7b5"),
        ("Csus4(maj7)(b9)", "Cmaj7susb9"),
        ("C7alt.", "C7alt"),
        ("Cmin.7", "Cm7"),
        ("C7sus.", "C7sus"),
        ("C\N{FRACTION SLASH}E", "C/E"),
        ("C⁶\N{FRACTION SLASH}₉", "C6/9"),
        ("C\N{DIVISION SLASH}E", "C/E"),
        ("F\N{MUSICAL SYMBOL DOUBLE SHARP}m7", "F##m7"),
        ("C7/B\N{MUSICAL SYMBOL DOUBLE FLAT}", "C7/Bbb"),
        ("N/C", "N.C."),
    ],
)
def test_a_rare_spelling_is_read_as_the_usual_one(symbol, usual):
    assert same(symbol, usual)


@pytest.mark.parametrize("symbol", ["C7(maj7)", "C9(maj7)", "Cmaj9(maj7)", "CM6 (maj7)(b7)"])
def test_a_major_seventh_beside_another_seventh_is_refused(symbol):
    with pytest.raises(NumpyrnnError, match=r"no meaning|contradicts itself about the 7"):
        parse_chord(symbol)


@pytest.mark.parametrize("symbol", ["Fis7", "Es7", "As", "Fs7", "Desm7", "Cism7"])
def test_for_a_german_root_nothing_is_proposed(symbol):
    with pytest.raises(NumpyrnnError) as error:
        parse_chord(symbol)
    assert "nearest" not in str(error.value)


@pytest.mark.parametrize(("symbol", "nearest"), [("CM7B5", "Cmaj7b5"), ("Dm/C♮", "Dm/C"), ("CMJ7", "Cmaj7")])
def test_what_is_proposed_looks_like_what_was_written(symbol, nearest):
    with pytest.raises(NumpyrnnError) as error:
        parse_chord(symbol)
    assert str(error.value).endswith(f"(the nearest is {nearest})")
