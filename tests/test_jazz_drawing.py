"""Charts drawn as text, which can be read again."""

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from jazz.changes import FORMS, form_chart
from jazz.charts.chart import Chart, Measure, slot_onsets
from jazz.charts.drawing import draw
from jazz.charts.text import parse_chart
from jazz.chords import parse_chord
from jazz.feels import FEELS

METERS = ((4, 4), (3, 4), (5, 4), (6, 8), (2, 2), (7, 8))
SYMBOLS = [
    "C",
    "Dm7",
    "G7b9",
    "F#m7b5",
    "Bb6/9",
    "N.C.",
    "Ebmaj7/G",
    "A7(Em7)",
    "B7alt",
    "C13sus4(b9)",
    "D∆7",
    "G-7",
    "A",
    "E",
    "Ab°7",
    "C%7",
    "F+",
    "Db7 (G7 Dm7)",
]


def bar(chords, meter=(4, 4)):
    """A bar of chords that share its beats; a slash holds a chord."""
    names = chords.split()
    onsets = slot_onsets(len(names), meter)
    return [(onset, parse_chord(name)) for onset, name in zip(onsets, names, strict=True) if name != "/"]


def chart(*measures, **head):
    return Chart([Measure(bar(chords), **signs) for chords, signs in measures], **head)


def bars_of(drawing):
    """The lines with bars."""
    return drawing.split("\n\n")[1].splitlines()


# how it looks


def test_a_head_names_what_is_known():
    head = {
        "title": "Home",
        "composer": "A. B. See",
        "key": "Bbm",
        "tempo": 96,
        "feel": "straight",
        "pickup": Fraction(3, 2),
    }
    drawing = draw(chart(("C", {}), meter=(4, 4), **head))
    assert drawing == (
        "title: Home\ncomposer: A. B. See\nkey: Bbm\nmeter: 4/4\ntempo: 96\nfeel: straight\npickup: 3/2\n\n| C |\n"
    )
    assert draw(chart(("C", {}))) == "meter: 4/4\n\n| C |\n"


def test_four_bars_stand_on_a_line_and_bar_lines_below_each_other():
    names = ["C", "Dm7", "Ebmaj7#11", "F", "G7b9b13", "A", "Bb", "C6/9", "D"]
    lines = bars_of(draw(chart(*((name, {}) for name in names))))
    assert [line.count("|") - 1 for line in lines] == [4, 4, 1]
    places = [[i for i, sign in enumerate(line) if sign == "|"] for line in lines]
    assert places[0] == places[1]
    assert places[2] == places[0][:2]


@pytest.mark.parametrize(("width", "bars"), [(200, 4), (80, 4), (27, 4), (25, 2), (20, 2), (12, 1)])
def test_a_narrow_drawing_has_fewer_bars_on_a_line(width, bars):
    lines = bars_of(draw(chart(*((name, {}) for name in ("Ebmaj7", "Gm7", "C7", "Ab", "Bb"))), width))
    assert lines[0].count("|") - 1 == bars
    assert max(map(len, lines)) <= width


def test_sections_begin_a_line_with_their_label():
    lines = bars_of(draw(chart(("C", {"section": "A"}), ("D", {}), ("E", {"section": "Bridge"}))))
    assert lines == ["[A]      | C | D |", "[Bridge] | E |"]


@pytest.mark.parametrize(
    "section", ["B7", "Em", "D/A", "Dm7 G7", "First ending", "Verse # 2", "1st verse", "A", "B2'", "(A)"]
)
def test_a_label_is_read_again_as_a_label(section):
    read = parse_chart(draw(chart(("C", {"section": section}), ("D", {}))))
    assert [measure.section.replace("_", " ") for measure in read.measures] == [section, ""]


def test_a_second_ending_stands_below_the_first():
    first, second = {"endings": (1,)}, {"endings": (2,)}
    made = chart(
        ("C", {"begins": True}), ("D", {}), ("E", first), ("F", {**first, "ends": 2}), ("G", second), ("A", second)
    )
    assert bars_of(draw(made)) == ["|: C | D |1. E | F :|", "         |2. G | A  |"]


def test_a_second_ending_that_has_no_room_there_begins_its_own_line():
    first, second = {"endings": (1,), "ends": 2}, {"endings": (2,)}
    made = chart(
        ("C", {"begins": True}), ("D", {}), ("E", first), *[("F", second), ("G", second), ("A", second)], ("B", {})
    )
    assert bars_of(draw(made)) == ["|:  C | D |1. E :|", "|2. F | G |   A  |", "|   B |"]


def test_an_ending_that_goes_on_shows_its_number_again():
    first, second = {"endings": (1,), "ends": 2}, {"endings": (2,)}
    made = chart(("C", {"begins": True}), ("D", first), *[(name, second) for name in "EFGAB"])
    assert bars_of(draw(made)) == ["|:  C |1. D :|", "|2. E |   F  | G | A |", "|2. B |"]
    assert parse_chart(draw(made)).measures == made.measures


def test_signs_are_drawn_as_words():
    signs = {"segno": True, "to_coda": True}
    made = chart(
        ("C", signs), ("D", {"fine": True, "double": True}), ("E", {"jump": "D.S. al Coda"}), ("F", {"coda": True})
    )
    assert bars_of(draw(made)) == ["| Segno C To Coda | D Fine || E D.S. al Coda |", "| Coda F          |"]


def test_a_repeat_that_is_not_played_twice_ends_its_line_with_the_number():
    made = chart(("C", {"begins": True, "ends": 3}), ("D", {"begins": True, "ends": 2}), ("E", {}))
    assert bars_of(draw(made)) == ["|: C :| x3", "|: D :| E |"]


@pytest.mark.parametrize(
    ("meter", "onsets", "expected"),
    [
        ((4, 4), "0 2", "C D"),
        ((4, 4), "0 3", "C / / D"),
        ((4, 4), "0 1", "C D / /"),
        ((4, 4), "0 2 3", "C / D E"),
        ((4, 4), "0 1 2 3", "C D E F"),
        ((4, 4), "0 7/2", "C / / / / / / D"),
        ((4, 4), "0 4/3 8/3", "C / / / D / / / E / / /"),
        ((3, 4), "0 2", "C / D"),
        ((3, 4), "0 3/2", "C / / D / /"),
        ((3, 4), "0 1 2 5/2", "C / D / E F"),
        ((5, 4), "0 3", "C / / D /"),
        ((6, 8), "0 3/2", "C D"),
        ((2, 2), "0 2", "C D"),
        ((4, 4), "0 1/2 1 3/2 2 5/2 3 7/2", "C D E F G A B C"),
    ],
)
def test_the_beat_of_each_chord_is_seen(meter, onsets, expected):
    chords = [(Fraction(onset), parse_chord(name)) for onset, name in zip(onsets.split(), "CDEFGABC", strict=False)]
    made = Chart([Measure(chords)], meter)
    assert bars_of(draw(made)) == [f"| {expected} |"]
    assert parse_chart(draw(made)).measures == made.measures


def test_a_bar_like_the_one_before_is_a_percent_sign_but_not_at_the_beginning_of_a_passage():
    again = ("Dm7 G7", {})
    made = chart(again, again, ("Dm7 G7", {"begins": True, "ends": 2}), ("Dm7 G7", {"section": "B"}), again)
    assert bars_of(draw(made)) == ["    | Dm7 G7 | % |: Dm7 G7 :|", "[B] | Dm7 G7 | % |"]


def test_texts_of_a_file_cannot_steer_the_terminal():
    made = chart(("C", {"section": "A\x1b[2J]\nB"}), title="Red\x1b[31m \u202eand\r\nkey: F", composer="\x07")
    assert draw(made) == "title: Red [31m and key: F\nmeter: 4/4\n\n[A 2J B] | C |\n"


# read again


@pytest.mark.parametrize("name", [*FORMS[:8], *(pytest.param(name, marks=pytest.mark.slow) for name in FORMS[8:])])
@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_shipped_form_is_read_again(name, width):
    made = form_chart(name)
    assert replace(parse_chart(draw(made, width)), guesses=made.guesses) == made


def random_bar(rng, meter):
    slots = rng.choice([1, 1, 1, 2, 2, 3, meter[0], 2 * meter[0]])
    onsets = slot_onsets(slots, meter)
    chosen = [onset for onset in onsets if not onset or rng.random() < 0.6]
    return [(onset, parse_chord(rng.choice(SYMBOLS))) for onset in chosen]


def random_passage(rng, meter):
    """Some measures: plain, repeated, or with endings."""
    kind = rng.choice(["plain", "plain", "repeat", "endings"])
    made = [Measure(random_bar(rng, meter)) for _ in range(rng.randint(1, 5))]
    made = [rng.choice(made) if rng.random() < 0.3 else measure for measure in made]
    if kind == "repeat":
        made[-1] = replace(made[-1], ends=rng.choice([2, 2, 3, 4, 12]))
    if kind == "endings":
        for endings in rng.choice([((1,), (2,)), ((1,), (2,), (3,)), ((1, 2), (3,)), ((1, 3), (2, 4))]):
            made += [Measure(random_bar(rng, meter), endings=endings) for _ in range(rng.randint(1, 3))]
            made[-1] = replace(made[-1], ends=2)
        made[-1] = replace(made[-1], ends=0, double=True)
    if kind != "plain":
        made[0] = replace(made[0], begins=True)
    elif rng.random() < 0.3:
        made[-1] = replace(made[-1], double=True)
    return [replace(made[0], section=rng.choice(["", "A", "B", "Intro", "Verse 1", "Bridge"])), *made[1:]]


def random_chart(rng):
    meter = rng.choice(METERS)
    passages = [random_passage(rng, meter) for _ in range(rng.randint(2, 6))]
    made = [measure for passage in passages for measure in passage]
    jump = rng.choice(["", "", "D.C. al Fine", "D.S. al Coda", "D.S.", "D.C."])
    if jump:
        made.append(Measure(random_bar(rng, meter), jump=jump))
    if jump.startswith("D.S."):
        made[0] = replace(made[0], segno=True)
    if jump.endswith("Fine"):
        made[0] = replace(made[0], fine=True)
    if jump.endswith("Coda"):
        made[0] = replace(made[0], to_coda=True)
        made += [Measure(random_bar(rng, meter), coda=True), Measure(random_bar(rng, meter))]
    return Chart(
        made,
        meter,
        title=rng.choice(["", "Blues in C#", "Étude: 'round 12", "A"]),
        composer=rng.choice(["", "X. Y. Zed"]),
        key=rng.choice(["", "Bb", "F#m"]),
        tempo=rng.choice([None, 60, 300]),
        feel=rng.choice(["", *FEELS]),
        pickup=rng.choice([Fraction(0), Fraction(1), Fraction(3, 2)]),
    )


@pytest.mark.parametrize(
    "measures",
    [
        [("C", {}), ("D", {"endings": (2,)}), ("E", {})],
        [("C", {"begins": True}), ("D", {"endings": (1,)}), ("E", {})],
        [("C", {"begins": True}), ("D", {"begins": True}), ("E", {"ends": 2})],
        [("C", {"begins": True}), ("D", {"endings": (2,), "ends": 3}), ("E", {"endings": (3,)})],
        [("C", {"begins": True}), ("D", {"endings": (1,), "ends": 3}), ("E", {})],
        [("C", {"begins": True}), ("D", {"endings": (3,), "ends": 2}), ("E", {})],
        [("C", {}), ("D", {"endings": (1,)}), ("E", {"ends": 2})],
        [("C", {"begins": True}), *[("D", {"endings": (1,), "ends": 2})] * 2, ("E", {"endings": (2,)}), ("F", {})],
    ],
)
def test_endings_that_cannot_be_typed_are_drawn_as_repeats_that_are_played_in_the_same_order(measures):
    made = chart(*measures)
    assert [bar.chords for bar in parse_chart(draw(made)).played()] == [bar.chords for bar in made.played()]


@pytest.mark.torture
def test_a_drawing_is_read_again_as_the_same_chart(rounds, tell):
    count = rounds(100, 3000)
    for seed in range(count):
        rng = random.Random(seed)
        made = random_chart(rng)
        read = parse_chart(draw(made, rng.choice([20, 40, 80, 200])))
        assert replace(read, guesses=()) == made, seed
        assert read.played() == made.played()
    tell(f"{count:,} charts with all signs, drawn and read again: all equal")
