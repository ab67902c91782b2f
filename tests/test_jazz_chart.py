"""The order in which the measures of a chart are played."""

from fractions import Fraction

import pytest

from jazz.charts.chart import Chart, Measure
from jazz.chords import parse_chord
from numpyrnn import NumpyrnnError


def chart(*measures):
    """A chart of measures, each a chord and its signs."""
    return Chart([Measure([(Fraction(0), parse_chord(chord))], **signs) for chord, signs in measures])


def order(*measures):
    return "".join(str(measure.chords[0][1]) for measure in chart(*measures).played())


def test_measures_without_signs_are_played_once():
    assert order(("C", {}), ("D", {}), ("E", {})) == "CDE"


@pytest.mark.parametrize(("times", "expected"), [(1, "CDE"), (2, "CDCDE"), (3, "CDCDCDE")])
def test_a_repeat_is_played_as_often_as_it_says(times, expected):
    assert order(("C", {"begins": True}), ("D", {"ends": times}), ("E", {})) == expected


def test_a_repeat_without_a_beginning_goes_back_to_the_last_one_or_the_start():
    assert order(("C", {}), ("D", {"ends": 2}), ("E", {"ends": 2})) == "CDCDEE"


def test_endings_are_taken_in_turn():
    first, second = {"endings": (1,), "ends": 2}, {"endings": (2,)}
    assert order(("C", {"begins": True}), ("D", first), ("E", second), ("F", {})) == "CDCEF"
    assert (
        order(("C", {}), ("D", {"endings": (1, 3), "ends": 2}), ("E", second), ("F", {"endings": (4,)})) == "CDCECDCF"
    )


def test_a_first_ending_serves_all_times_that_have_none():
    assert order(("C", {}), ("D", {"endings": (1,), "ends": 3}), ("E", {"endings": (3,)})) == "CDCDCE"


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ([("C", {"ends": 2}), ("D", {"fine": True}), ("E", {"jump": "D.C. al Fine"})], "CCDECD"),
        ([("C", {}), ("D", {"segno": True}), ("E", {"fine": True}), ("F", {"jump": "D.S. al Fine"})], "CDEFDE"),
        (
            [
                *(
                    ("C", {"segno": True, "begins": True}),
                    ("D", {"endings": (1,), "ends": 2}),
                    ("E", {"endings": (2,)}),
                ),
                *(
                    ("F", {"to_coda": True}),
                    ("G", {"jump": "D.S. al Coda"}),
                    ("A", {"coda": True, "ends": 2}),
                    ("B", {}),
                ),
            ],
            "CDCEFGCEFAAB",
        ),
        ([("C", {}), ("D", {"endings": (1,), "jump": "D.C."}), ("E", {"endings": (2,)})], "CDCE"),
    ],
)
def test_jumps_are_made_once_and_repeats_after_them_take_the_last_ending(measures, expected):
    assert order(*measures) == expected


def test_a_coda_to_which_nothing_jumps_is_left_out():
    assert order(("C", {"to_coda": True}), ("D", {}), ("E", {"coda": True})) == "CD"


@pytest.mark.parametrize(
    ("jump", "needed"), [("D.S.", "a segno"), ("D.C. al Fine", "a Fine"), ("D.C. al Coda", "a To Coda")]
)
def test_a_jump_needs_its_aim(jump, needed):
    with pytest.raises(NumpyrnnError, match=f"{jump} needs {needed}, there is none"):
        chart(("C", {}), ("D", {"jump": jump})).played()


def test_a_chart_that_plays_too_many_bars_is_refused():
    with pytest.raises(NumpyrnnError, match="at most 10000 bars"):
        chart(("C", {"ends": 10_001})).played()


def test_endings_that_few_measures_or_times_have_are_ordered_at_once():
    rest = [("D", {"endings": (2,)})] * 5_000
    measures = [("C", {"endings": (1,), "ends": 4_000}), *rest]
    assert order(*measures) == "C" + "D" * 5_000 + "C" * 3_998
