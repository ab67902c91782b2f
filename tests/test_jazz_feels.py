"""The feel of a chart: its style's words, its meter, and what is written of it."""

import re

import pytest

from jazz.changes import FORMS, Changes, form, form_chart
from jazz.charts.chart import Chart
from jazz.charts.drawing import draw
from jazz.charts.musicxml import read_musicxml
from jazz.charts.sheet import chart_sheet
from jazz.charts.text import parse_chart
from jazz.feels import FEELS, feel_in, feels_of, swings
from jazz.playing.leadsheet import lead_sheet
from numpyrnn import NumpyrnnError


@pytest.mark.parametrize(
    ("styles", "feel"),
    [
        (
            "swing; Medium Swing; Medium Up Swing; Up Tempo; Medium; Shuffle; Be-Bop; bebop; Hard Bop; Dixieland",
            "swing",
        ),
        ("Blues; Latin/Swing; Straight-ahead; Straight ahead swing; Swung eighths; Slow Blues; Jazz", "swing"),
        ("straight; Even 8ths; Straight eighths; Straight 8ths; ECM; Rock; Rock Pop; Rock Ballad; Funk", "straight"),
        ("Even 8ths Waltz; Afro 12/8; Soul; Tango; Ballad, Jazz-Ballad Even", "straight"),
        (
            "bossa; Bossa Nova; Bossa ballad; Latin; Samba; Bolero; Cha Cha; Mambo; Choro; Brazil: Bossa Acoustic",
            "bossa",
        ),
        ("waltz; Jazz Waltz; Medium Waltz; Waltz, Jazz-Waltz Swing", "waltz"),
        ("ballad; Ballad; Slow Ballad; Ballad, Jazz-Ballad Swing; BALLAD", "ballad"),
    ],
)
def test_the_words_of_a_style_name_its_feel(styles, feel):
    for style in styles.split("; "):
        assert feels_of(style)[:1] == [feel], style
        assert parse_chart(f"feel: {style}\n\nC").feel == feel
    assert feel in FEELS


@pytest.mark.parametrize("style", ["Evening", "Largo", "Bopper", "Popular", "Swallow", "Seventh heaven", ""])
def test_other_words_name_none(style):
    assert feels_of(style) == []
    with pytest.raises(NumpyrnnError, match="a feel must be one of swing, straight, bossa, waltz, ballad, or a style"):
        parse_chart(f"feel: {style or '?'}\n\nC")


def test_eighths_swing_in_three_feels():
    assert [feel for feel in FEELS if swings(feel)] == ["swing", "waltz", "ballad"]


def test_swing_in_three_is_a_waltz_and_a_waltz_in_four_is_swing():
    for feel in ("", "swing", "waltz"):
        assert (feel_in(feel, (3, 4)), feel_in(feel, (4, 4)), feel_in(feel, (6, 8))) == ("waltz", "swing", "swing")
        chart = Chart(parse_chart("C | F").measures, (3, 4), feel=feel)
        assert Changes.of(chart).feel == "waltz"
    for feel in ("straight", "bossa", "ballad"):
        assert {feel_in(feel, meter) for meter in ((3, 4), (4, 4), (6, 8))} == {feel}


def test_the_shipped_forms_say_their_feel():
    named = {"bossa": "bossa", "bossa-dm": "bossa", "waltz": "waltz", "waltz-am": "waltz", "blues-34": "waltz"}
    named |= {"ballad-bb": "ballad", "ballad-db": "ballad"}
    for name in FORMS:
        assert form(name).feel == form_chart(name).feel == named.get(name, "swing")
        assert not form_chart(name).guesses


@pytest.mark.parametrize("feel", ["", *FEELS])
def test_a_chart_keeps_its_feel_as_text_and_as_lead_sheet(feel):
    meter = (3, 4) if feel == "waltz" else (4, 4)
    chart = Chart(parse_chart("C | F | G7 | C").measures, meter, key="C", tempo=100, feel=feel)
    assert parse_chart(draw(chart)).feel == feel
    assert not parse_chart(draw(chart)).guesses
    assert read_musicxml(chart_sheet(chart)).feel == feel


def test_a_lead_sheet_of_a_solo_says_feel_and_swing():
    from jazz.grammar import Element

    for feel in FEELS:
        changes = Changes(form("waltz").bars, (3, 4), feel=feel)
        sheet = lead_sheet("", [Element(bar, length, (60,)) for bar, length in changes.grid], changes, 100)
        assert re.findall("<words[^>]*>([A-Z][a-z]+)", sheet.decode()) == [feel.capitalize()]
        assert (b"<swing-type>" in sheet) == swings(feel) != (b"<straight" in sheet)
        assert read_musicxml(sheet).feel == feel
