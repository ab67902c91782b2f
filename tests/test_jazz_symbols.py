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
