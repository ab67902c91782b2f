"""Charts typed as text: every usual way to write one is read, and anything else is one clear line."""

import random
import re
import time
from fractions import Fraction
from pathlib import Path

import pytest

from jazz.charts.text import parse_chart
from numpyrnn import NumpyrnnError

DOCS = (Path(__file__).parents[1] / "docs" / "charts.md").read_text("utf-8")


def played(text, meter=None):
    """The bars as they are played, with their chords, such as "C G | F"."""
    return shown(parse_chart(text, meter).played())


def shown(measures):
    return " | ".join(" ".join(str(chord) for _, chord in measure.chords) for measure in measures)


def signs(text, name):
    """A sign of each measure as written."""
    return [getattr(measure, name) for measure in parse_chart(text).measures]


@pytest.mark.parametrize(
    ("text", "bars"),
    [
        ("C | | G", "C C G"),
        ("| C |  | G |", "C C G"),
        ("C | |\n| G | | |", "C C G G G"),
        ("|: C | | | :| F", "C C C C C C C C F"),
        ("C || G", "C G"),
        ("C|||G", "C G"),
        ("|| C | G ||\n|| F |]", "C G F"),
        ("C :| |: D :| | E", "C C D D E"),
        ("C | G | %% | F", "C G C G F"),
    ],
)
def test_an_empty_bar_holds_the_last_chord_and_bar_lines_together_hold_none(text, bars):
    assert played(text).split(" | ") == bars.split()


@pytest.mark.parametrize(
    "repeat", ["|: C | D :|", "||: C | D :||", "[: C | D :]", "C | D :|", "|: C | D : |", "𝄆 C | D 𝄇", "[|: C | D :|]"]
)
def test_a_repeat_is_kept_as_written_and_played_twice(repeat):
    assert signs(repeat, "ends") == [0, 2]
    assert played(repeat) == "C | D | C | D"


@pytest.mark.parametrize("middle", [":|:", ":||:", "::", ":| |:", ":|\n|:"])
def test_one_sign_ends_a_repeat_and_begins_the_next(middle):
    text = f"|: C {middle} D :|"
    assert (signs(text, "begins"), signs(text, "ends")) == ([True, True], [2, 2])


@pytest.mark.parametrize(
    "times",
    [
        "x3",
        "3x",
        "(3x)",
        "(x3)",
        "[3x]",
        "x 3",
        "3 times",
        "\N{MULTIPLICATION SIGN}3",
        "X3",
        "repeat 3 times",
        "play 3x",
        "\nx3",
    ],
)
def test_a_repeat_says_how_often_it_is_played(times):
    assert played(f"|: C | D :| {times} | E" if times[0] != "\n" else f"|: C | D :|{times}\nE") == "C | D | " * 3 + "E"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *[
            ("|1.", "|2."),
            ("|1", "|2"),
            ("[1", "[2"),
            ("[1.", "[2."),
            ("| 1.", "\n| 2."),
            ("|[1]", "[2]"),
            ("|1)", "2)"),
        ],
        *[("|1st ending:", "2nd ending:"), ("|1:", "2:"), ("|(1)", "(2)"), ("|1st:", "2nd:"), ("|1.___", "|2.---")],
        *[("|[1st time]", "[2nd time]"), ("|\nFirst ending: |", "\nSecond ending: |")],
    ],
)
def test_first_and_second_endings(first, second):
    text = f"|: C {first} D | E :|{second} F | G |\nA"
    assert signs(text, "endings") == [(), (1,), (1,), (2,), (2,), ()]
    assert played(text) == "C | D | E | C | F | G | A"


@pytest.mark.parametrize("numbers", ["1,2.", "1-2.", "1.-2.", "1., 2.", "1.2.", "1 & 2.", "1\N{EN DASH}2."])
def test_an_ending_for_several_times(numbers):
    assert played(f"|: C |{numbers} D :|3. E |") == "C | D | C | D | C | E"


def test_every_ending_may_have_several_lines():
    assert played("|: C |1. D :|\n|2. E |\n| F :|\n|3. G |\n| A |") == "C | D | C | E | F | C | G | A"
    assert played("|: C |1. D :|\n|2. E |\n| F :|\n|: G |1. A :|2. B |") == "C | D | C | E | F | F | G | A | G | B"


def test_an_ending_may_go_on_in_the_next_line():
    assert played("|: C |1. D |\n| E :|\n|2. F |\n| G |") == "C | D | E | C | F | G"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        *[
            ("[A] C | D", "A"),
            ("[A]\n| C | D |", "A"),
            ("A: C | D", "A"),
            ("A: | C | D |", "A"),
            ("C:\n| C | D |", "C"),
        ],
        *[
            ("[C]\nC | D", "C"),
            ("[Verse 1]\nC | D", "Verse 1"),
            ("Bridge: C | D", "Bridge"),
            ("Bridge\nC | D", "Bridge"),
        ],
        *[("Verse 2 | C | D |", "Verse 2"), ("*A* C | D", "A"), ("[A1] |: C | D :|", "A1"), ("A': C | D", "A'")],
    ],
)
def test_labels(text, label):
    assert signs(text, "section") == [label, ""]


@pytest.mark.parametrize("a", ["(A)", "<A>", "{A}", "-A-", "== A ==", "A)", "A.", "A:", "[A]:", "A"])
def test_labels_on_lines_of_their_own(a):
    b = a.replace("A", "B")
    chart = parse_chart(f"{a}\n| C | F |\n\n{b}\n| G | A |\n")
    assert [measure.section for measure in chart.measures] == ["A", "", "B", ""]
    assert chart.guesses == ["letters outside of the bar lines are read as labels"] * (a == "A")
    assert signs("(Bridge)\nC | F", "section") == signs("** Bridge **\nC | F", "section") == ["Bridge", ""]


@pytest.mark.parametrize(
    ("text", "labels", "bars"),
    [
        ("A | C | F |\nB | G | C |", ["A", "", "B", ""], "C | F | G | C"),
        ("A | C | F |\n  | D | E |\nB | G | C |", ["A", "", "", "", "B", ""], "C | F | D | E | G | C"),
        ("A |: C | F :|\nB | G | D |", ["A", "", "B", ""], "C | F | C | F | G | D"),
        ("C | F || B: G | A ||", ["", "", "B", ""], "C | F | G | A"),
        ("A | D | A | E |\nA | D | E | A |", [""] * 8, "A | D | A | E | A | D | E | A"),
        ("A | D |\n| E | G |", [""] * 4, "A | D | E | G"),
        ("C | |\n| G | |", [""] * 4, "C | C | G | G"),
        ("| C | F |\nA", [""] * 3, "C | F | A"),
    ],
)
def test_a_letter_before_the_bar_lines_is_a_label_if_it_cannot_be_a_chord(text, labels, bars):
    assert (signs(text, "section"), played(text)) == (labels, bars)


@pytest.mark.parametrize("text", ["A :|", "A:|", "A : |", "|: A :|"])
def test_a_chord_before_a_repeat_sign_is_no_label(text):
    assert played(text) == "A | A"


@pytest.mark.parametrize(
    ("word", "jump"),
    [
        *[("D.C. al Fine", "D.C. al Fine"), ("DC al fine", "D.C. al Fine"), ("da capo al fine", "D.C. al Fine")],
        *[("(D.C. al Fine)", "D.C. al Fine"), ("d. c. al Fine", "D.C. al Fine"), ("D.C.", "D.C."), ("DC", "D.C.")],
        *[("D.S. al Fine", "D.S. al Fine"), ("Dal Segno", "D.S."), ("D.S.", "D.S.")],
    ],
)
@pytest.mark.parametrize("place", ["F {}", "{} F", "F | {} |", "F |\n{}"])
def test_a_jump_may_stand_anywhere_in_its_bar_or_after_it(word, jump, place):
    text = f"𝄋 C | D Fine | {place.format(word)}"
    assert signs(text, "jump") == ["", "", jump]


@pytest.mark.parametrize("leave", ["To Coda", "to coda", "(To Coda)", "To ⊕", "to the coda", "𝄌", "⊕"])
@pytest.mark.parametrize("arrive", ["Coda", "⊕ Coda", "[Coda]", "𝄌", "Coda:"])
@pytest.mark.parametrize("jump", ["D.S. al Coda", "DS al 𝄌", "dal segno al coda"])
def test_the_way_to_the_coda(leave, arrive, jump):
    assert played(f"C | Segno D | E {leave} | F {jump} |\n{arrive} G | A") == "C | D | E | F | D | E | G | A"


def test_a_head_of_names_and_values():
    head = "Title: Blue\nby: Me\nkey: d minor\ntime: 3/4\nBPM = 120\nstyle: bossa nova\npickup: 1/2\n\n"
    chart = parse_chart(head + "C | D")
    assert (chart.title, chart.composer, chart.key, chart.meter) == ("Blue", "Me", "Dm", (3, 4))
    assert (chart.tempo, chart.feel, chart.pickup) == (120, "bossa", Fraction(1, 2))
    assert chart.guesses == ["the style 'bossa nova' is read as bossa"]


@pytest.mark.parametrize(
    ("text", "key"),
    [("Bb", "Bb"), ("F#m", "F#m"), ("Eb major", "Eb"), ("C-", "Cm"), ("A min", "Am"), ("G♭", "Gb"), ("Gmaj", "G")],
)
def test_keys(text, key):
    assert parse_chart(f"key: {text}\nC").key == key


@pytest.mark.parametrize(
    "text",
    [
        *[
            "C | D\r\nE | F\r\n",
            "\ufeffC | D\rE | F",
            "C\t|\tD\f\nE | F",
            "C\u00a0|\u00a0D | E | F",
            "\uff5cC\uff5cD\uff5c\n\uff5cE\uff5cF\uff5c",
        ],
        *[
            "│ C │ D │ E │ F │",
            "⎮ C ⏐ D ▏ E ︱ F",
            "# a\nC | D # b | c\n; d\n// e\nE | F",
            "\n\n---\n| C | D |\n\n===\n| E | F |\n",
        ],
    ],
)
def test_comments_line_ends_and_signs_as_they_are_pasted(text):
    assert played(text) == "C | D | E | F"


@pytest.mark.parametrize(
    ("text", "bars"),
    [
        ("> C | D\n>> E", "C | D | E"),
        ("| C | D |\n|---|:-:|\n| E | F |", "C | D | E | F"),
        ("```\nC | D\n```", "C | D"),
        ("{title: T}\n{meter: 3/4}\n{start_of_grid}\n| C | D |\n{end_of_grid}\n{c: words}\n", "C | D"),
        ("C ( Am7 ) | D", "C ( Am7 ) | D"),
        ("C D | ./. | E | .//. ", "C D | C D | E | C D | E"),
        ("C7 #9 | F #m7 | G7 sus4 | Am7 b5 | C maj7", "C7 #9 | F#m7 | G7 sus4 | Am7 b5 | C maj7"),
    ],
)
def test_charts_from_mails_tables_and_chordpro(text, bars):
    assert played(text) == bars


@pytest.mark.parametrize(
    "title",
    [
        *["Fine and Dandy", "The Coda", "Bb Blues", "A Foggy Day", "Solo Flight", "Chorus of Angels", "52nd Street"],
        *["500 Miles High", "Blues in F", "Amapola", "Dm Blues", "AABA", "(Untitled)", "E.S.P.", "By Night"],
    ],
)
def test_a_line_of_words_is_the_title(title):
    chart = parse_chart(f"{title}\n(Words and Music by A. Player)\nMedium Swing\n♩ = 120\nKey of Bb\n\nC | D |")
    assert (chart.title, chart.composer) == (title.strip("()"), "A. Player")
    assert (chart.feel, chart.tempo, chart.key, len(chart.guesses)) == ("swing", 120, "Bb", 5)


def test_letters_that_look_like_roots_are_roots():
    assert [m.chords[0][1].root for m in parse_chart("\u0421 | \u0415m7/\u0392 | \u0391").measures] == [0, 4, 9]


def test_a_sharp_is_no_comment():
    assert played("F#m7 | F# | C#") == "F#m7 | F# | C#"


@pytest.mark.parametrize(
    ("text", "onsets"),
    [("C . . G |", [0, 3]), ("C - - G |", [0, 3]), ("C // G // |", [0, 2]), ("C/// G/ |", [0, Fraction(8, 3)])],
)
def test_held_beats(text, onsets):
    assert [onset for onset, _ in parse_chart(text).measures[0].chords] == onsets


@pytest.mark.parametrize(
    ("text", "bars", "guesses"),
    [
        ("Dm7 G7 Cmaj7", "Dm7 | G7 | Cmaj7", ["3 bars, 1 chord a bar"]),
        ("Dm7 G7\nC A7", "Dm7 | G7 | C | A7", ["4 bars, 1 chord a bar"]),
        ("Dm7 - G7 - C", "Dm7 | G7 | C", ["dashes between chords are read as spaces", "3 bars, 1 chord a bar"]),
        ("C / G / F / / /", "C G | F", ["2 bars, 4 beats a bar"]),
        ("C\nD\n%", "C | D | D", []),
        ("C | D\nE F", "C | D | E F", ["a line without bar lines is read as one bar: line 2"]),
        ("C |: D", "C | D | D", ["the repeat from bar 2 has no end, it is read up to the last bar"]),
        ("Blue\n| C |", "C", ["line 1, 'Blue', is read as the title"]),
        ("C | D | x3", "C | D | C | D | C | D", ["x3 is read as a repeat of the line"]),
        (
            "Intro: | C | (2x)\n| D | x1 |",
            "C | C | D",
            ["(2x) in line 1 is read as a repeat of the line", "x1 in line 2 is read as a repeat of the line"],
        ),
        ("C F x2\nG", "C | F | C | F | G", ["x2 in line 1 is read as a repeat of the line", "3 bars, 1 chord a bar"]),
        ("Dm7-G7-C", "Dm7 | G7 | C", ["dashes between chords are read as spaces", "3 bars, 1 chord a bar"]),
        ("Dm7,G7,C7-9", "Dm7 | G7 | C7-9", ["3 bars, 1 chord a bar"]),
        ("Dm7 → G7 → C", "Dm7 | G7 | C", ["3 bars, 1 chord a bar"]),
        ("|: C |1. D |2. E |", "C | D | C | E", ["ending 1 is read with :| at bar 2"]),
    ],
)
def test_every_guess_is_said(text, bars, guesses):
    assert played(text) == bars
    assert parse_chart(text).guesses == guesses


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mood: happy\nC", r"line 1: .*title, composer, meter, tempo, feel, key, pickup\), .* got 'mood: happy'"),
        ("Kye: Bb\nC", "line 1: a name must be a label or a field"),
        ("C | D\ntempo: 120", "line 2: each field .* above the first bar"),
        ("key: C\nkey: D\nC", "line 2: each field .* once"),
        ("key: H\nC", "a key must be like Bb, F#m, D minor or Eb major"),
        ("key: G#\nC", "with at most 7 signs, got 'G#'"),
        ("tempo: 900\nC", "line 1: a tempo must be 20 to 400 quarters a minute, got '900'"),
        (
            "feel: blah\nC",
            "a feel must be one of swing, straight, bossa, waltz, ballad, or a style .* got 'blah'",
        ),
        ("pickup: 4\nC", "a pickup must be shorter than a bar, got 4"),
        ("C | 3/4 D", "bar 2: a typed chart must have one meter, 4/4, got '3/4'"),
        ("C | D D.C. al 2nd ending", "bar 2: a jump must be one of .* got 'D.C. al 2nd'"),
        ("C | D.C. al Fine", "D.C. al Fine needs a Fine"),
        ("C | D x3", r"must stand after :\| or a line, got 'x3'"),
        ("|: C :| x0", "1 to 10000"),
        ("C | D\n[B]", "a bar must follow .* none follows section"),
        ("[A] [B] C", "bar 1: a label must be one short name before its bars"),
        ("[A x2] C", "without a number of times"),
        ("C | D\nsome words of a song\nE | F", "line 2 must have chords, or # before a comment"),
        ("| | C |", "bar 1 must begin with a chord, it is empty"),
        (":| C", "a repeat must have a bar before its end"),
        ("|: C |2. D", "bar 2: endings must come in turn, got ending 2"),
        ("C |1. D :|2. E |1. F :|2. G", "bar 4: endings must come in turn, got ending 1"),
        ("D.C. al Fine", "must stand in or after a bar, got 'D.C. al Fine'"),
        ("C |1. D |", r"bar 2: the first ending must end with :\|"),
        ("C | D\nC | Dmja7", r"line 2, bar 4: .* got 'Dmja7': .*nearest is Dmaj7"),
        ("Dm7 / G7", "must fill bars of 4 beats"),
        (
            "1 | C | D |\n3 | E | F |",
            "bar 1: an ending must follow bars that are repeated, and numbers of bars are not read",
        ),
        ("|: C |1. D :|3. E |", "bar 3: endings must come in turn, got ending 3"),
        ("C | D [B7] | E", r"bar 3: a label must not be a chord, .* square brackets, got '\[B7\]'"),
        ("[Dm7 G7] | C", "bar 1: a label must not be a chord"),
        ("C | break | D", "bar 2: .* got 'break'"),
        ("dm7 g7\nC", "line 1, bar 1: .*nearest is Dm7"),
        ("Hmaj7 C\nF", "line 1, bar 1: .*nearest is Bmaj7"),
        ("B b7", "bar 2: .* got 'b7'"),
    ],
)
def test_what_cannot_be_read_is_one_line(text, message):
    with pytest.raises(NumpyrnnError, match=message) as error:
        parse_chart(text)
    assert "\n" not in str(error.value)


def test_a_meter_that_is_asked_for_must_be_the_text_s():
    assert parse_chart("meter: 3/4\nC", (3, 4)).meter == parse_chart("3/4 C").meter == (3, 4)
    with pytest.raises(NumpyrnnError, match="one meter, 4/4, got '3/4'"):
        parse_chart("meter: 3/4\nC", (4, 4))


@pytest.mark.parametrize(("text", "bars"), re.findall(r"```\n(.*?)```\n+plays\n+```\n(.*?)```", DOCS, re.DOTALL))
def test_an_example_of_the_docs_plays_what_they_say(text, bars):
    assert played(text).split(" | ") == [bar.strip() for bar in " | ".join(bars.strip().split("\n")).split(" | ")]


def test_the_docs_have_examples():
    assert DOCS.count("\nplays\n") >= 8


SEEDS = [
    "title: A\nkey: Bb\nmeter: 3/4\n\n[A]\n|: Dm7 | G7 |1. C % | / :|2. C | N.C. |\n[B]\nF#m7b5 B7 | | E(A7) |",
    "𝄋 C | D To Coda | E | F D.S. al Coda |\nCoda: G :| x3 | A || B # end\n",
    "Dm7 / G7 / Cmaj7 / A7 / Fine C D.C. al Fine",
]


def outcome(text):
    """Whether a text is read, and the seconds that it takes; an error must be one short line."""
    start = time.process_time()
    try:
        return bool(parse_chart(text).played()), time.process_time() - start
    except NumpyrnnError as error:
        seconds, message = time.process_time() - start, str(error)
    assert len(message.splitlines()) == 1, message
    assert len(message) < 500
    return False, seconds


@pytest.mark.torture
def test_mutants_of_charts_are_charts_or_one_line(rounds, tell):
    pieces = [
        *"|:[]()%/.-x#1239\n \tABCm7",
        "D.C.",
        "Fine",
        "Coda",
        ":|",
        "|:",
        "||",
        "|1.",
        "title:",
        "𝄌",
        "\x00",
        "é",
    ]
    assert all(outcome(text)[0] for text in SEEDS)
    read, slowest, count = 0, 0.0, rounds(500, 10_000)
    for seed in range(count):
        rng = random.Random(seed)
        text = list(rng.choice(SEEDS))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text) + 1)
            text[at : at + rng.choice((0, 0, 1, 1, 4))] = rng.choice(pieces) * rng.choice((1, 1, 1, 2, 30))
        found, seconds = outcome("".join(text))
        read, slowest = read + found, max(slowest, seconds)
    assert 0 < read < count
    tell(f"{count:,} mutants of typed charts: {read:,} read, the others one line; the slowest took {slowest:.2f} s")


@pytest.mark.torture
def test_a_million_characters_take_no_quadratic_time(rounds):
    units = ["C ", "|", "(", "( ", "[", "1,", ":", "x1 ", "C (", "a b\n", "coda ", "/ ", "- ", "C,", "dal "]
    for unit in units[: rounds(4, 15)]:
        text = "C | " + unit * (999_000 // len(unit))
        assert outcome(text)[1] < 60  # hours if it were quadratic


def test_the_symbols_of_the_docs_are_chords():
    table = DOCS.partition("## Chord symbols")[2].partition("A polychord")[0]
    symbols = re.findall(r"`([A-GNn][^`]*)`", table)
    assert len(symbols) > 50
    assert played(" | ".join(symbols)).count("|") == len(symbols) - 1
