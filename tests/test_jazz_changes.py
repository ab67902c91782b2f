"""Changes mean what musicians mean by them; what is wrong is named with its bar, line and file."""

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from jazz.changes import FORMS, form, form_chart, parse_changes, parse_meter
from jazz.charts.chart import spread
from jazz.chords import Chord
from jazz.cli import app
from jazz.grammar import Element
from jazz.playing.band import accompany
from jazz.playing.leadsheet import lead_sheet
from music.midi import read_midi
from numpyrnn import NumpyrnnError


def names(changes):
    return [[str(chord) for _, chord in bar] for bar in changes.bars]


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
    ("text", "shown", "played"),
    [
        ("Dm7 (G7) | C", "Dm7 (G7) | C", "Dm7 | C"),
        ("Dm7(G7) C | (A7) | %", "Dm7(G7) C | C(A7) | C(A7)", "Dm7 C | C | C"),
        ("C7 | (Am7) (D7) | F", "C7 | C7(Am7)(D7) | F", "C7 | C7 | F"),
        ("C7 | (Am7 D7) G7 | F", "C7 | C7(Am7 D7) G7 | F", "C7 | C7 G7 | F"),
        ("C / (F7) / | G", "C C(F7) | G", "C / C / | G"),
        ("N.C. (C7) | F", "N.C. (C7) | F", "N.C. | F"),
        ("C (F) | (G)", "C (F) | C(G)", "C | C"),
        ("C6/9/E(F) | / G | (A7)", "C6/9/E(F) | C6/9/E G | G(A7)", "C6/9/E | / G | G"),
        ("N.C. (C7) | (D7) | F", "N.C. (C7) | N.C.(D7) | F", "N.C. | N.C. | F"),
        ("G7 (b9, b13) Cmaj7 (#11) | D", "G7 (b9, b13) Cmaj7 (#11) | D", "G7b9b13 Cmaj7#11 | D"),
        ("C( add 9 ) F | D", "C( add 9 ) F | D", "Cadd9 F | D"),
    ],
)
def test_alternates_in_brackets_are_shown_and_not_played(text, shown, played):
    changes, plain = parse_changes(text), parse_changes(played)
    assert str(changes) == shown
    sounding = [
        [[(onset, chord.tones, chord.bass) for onset, chord in bar] for bar in c.bars] for c in (changes, plain)
    ]
    assert sounding[0] == sounding[1]
    assert str(parse_changes(shown)) == shown
    notes = [accompany(c, np.random.default_rng(1)) for c in (changes, plain)]
    assert notes[0] == notes[1]


def test_a_lead_sheet_shows_alternates_and_has_the_kind_of_what_is_played():
    changes = parse_changes("C7(Gm7) | (Db7)")
    root = ElementTree.fromstring(lead_sheet("", [Element(Fraction(0), changes.end)], changes, 100))
    kinds = [(kind.get("text"), kind.text) for kind in root.iter("kind")]
    assert kinds == [("7(Gm7)", "dominant"), ("7(Db7)", "dominant")]


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
    assert [onset for onset, _ in parse_changes(f"{text} |", meter).bars[0]] == onsets


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
        ("|: C | D :| x3 | E x", "bar 3: .* got 'x'"),
        ("%", "bar 1 must name a chord"),
        ("/ C", "bar 1 must begin with a chord, got '/'"),
        ("(C7) | F", r"bar 1 must begin with a chord, got '\(C7\)'"),
        ("C | D/C7", "bar 2: a chord must be like .* got 'D/C7': it must be one chord"),
        ("C | D\nE | Fmja7", r"line 2, bar 4: a chord must be like .* got 'Fmja7': .* \(the nearest is Fmaj7\)"),
        ("\n\n|: C\n| D :|\n | Cm7b", "line 5, bar 3: a chord must be like .* got 'Cm7b'"),
        ("|: C |: D :|", "bar 2 begins a second"),
        ("", "changes must have a chord"),
        ("| N.C. | % |", "changes must have a chord"),
    ],
)
def test_an_error_names_the_bar(text, message):
    with pytest.raises(NumpyrnnError, match=message) as error:
        parse_changes(text)
    assert "\n" not in str(error.value)


def test_a_wrong_symbol_of_a_file_is_named_with_the_file(tmp_path):
    path = tmp_path / "chart.txt"
    path.write_text("Dm7 | G7\nCmja7 | %\n", "utf-8")
    done = CliRunner().invoke(app, ["improvise", "--chords", f"@{path}", "-o", str(tmp_path / "solo")])
    assert done.exit_code == 1
    assert f"{path}: line 2, bar 3: a chord must be like" in str(done.exception)
    assert "got 'Cmja7'" in str(done.exception)


@pytest.mark.parametrize(
    "text",
    [
        "|: C :| x99999999999",
        "|: C | D :| x9999",
        "|: " * 50 + "C" + " :| x99999" * 50,
        "C | % :| x6000 " * 9,
        "C |" * 10_001,
    ],
)
def test_more_bars_than_anybody_plays_are_refused(text):
    with pytest.raises(NumpyrnnError, match=r"at most 10000 bars|1 to 10000|it is empty"):
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
        "waltz": 16,
        "blues-34": 24,
        "giant-cycle": 16,
        "ballad-db": 16,
    }
    found = {name: len(form(name).bars) for name in FORMS}
    assert {name: found[name] for name in lengths} == lengths
    assert {found[name] for name in FORMS if "blues" in name and name != "blues-34"} == {12}
    assert {found[name] for name in FORMS if name.startswith(("aaba", "abac", "modal", "rhythm"))} == {32}
    assert len(FORMS) == len({*FORMS}) == 30


@pytest.mark.parametrize("name", FORMS)
def test_a_shipped_form_is_complete_and_reads_back(name):
    changes = form(name)
    assert changes.name == name
    assert changes.title
    assert (changes.meter == (3, 4)) == ("waltz" in name or name == "blues-34") == (changes.feel == "waltz")
    assert changes.feel in ("waltz", next((feel for feel in ("bossa", "ballad") if name.startswith(feel)), "swing"))
    assert all(chord.tones for _, chord in changes.flat())
    assert parse_changes(str(changes), changes.meter).bars == changes.bars


def test_a_shipped_form_has_its_key_and_its_sections_on_paper():
    chart = form_chart("rhythm-changes")
    assert (chart.key, [m.section for m in chart.measures if m.section]) == ("Bb", ["A", "B", "A"])
    assert [form(name).key for name in FORMS[:8]] == ["F", "Cm", "Bb", "C", "Cm", "Dm", "F", "Gm"]
    assert not any(form_chart(name).guesses for name in FORMS)


def test_the_bridge_of_rhythm_changes_is_a_chain_of_dominants():
    bridge = names(form("rhythm-changes"))[16:24]
    assert bridge == [["D7"], ["D7"], ["G7"], ["G7"], ["C7"], ["C7"], ["F7"], ["F7"]]


def test_choruses_follow_each_other():
    waltz, three = form("waltz"), form("waltz").times(3)
    assert three.flat()[: len(waltz.flat())] == waltz.flat()
    assert three.flat()[len(waltz.flat())] == (48, waltz.bars[0][0][1])
    assert (len(three.bars), three.meter, three.name, three.title) == (48, waltz.meter, waltz.name, waltz.title)


def test_an_unknown_form_is_refused_with_the_known_ones():
    with pytest.raises(NumpyrnnError, match=r"blues-f, .*waltz-am, got 'polka'"):
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


def test_the_meter_of_a_file_is_taken_unless_another_is_asked_for(tmp_path):
    path = tmp_path / "chart.txt"
    path.write_text("meter: 3/4\n| C | F |\n", "utf-8")
    words = ["improvise", "--chords", f"@{path}", "-o", str(tmp_path / "solo"), "--no-lead-sheet", "--seed", "1"]
    done = CliRunner().invoke(app, [*words, "--meter", "4/4"])
    assert f"{path}: " in str(done.exception)
    assert "one meter, 4/4, got '3/4'" in str(done.exception)
    assert CliRunner().invoke(app, words).exit_code == 0
    assert read_midi(tmp_path / "solo.mid").meters[0][1:] == (3, 4)


@pytest.mark.parametrize(
    ("text", "key", "final"),
    [
        ("Dm7 | G7", "", "Dm7"),
        ("Dm7 | G7", "C", "C6"),
        ("Dm7b5 | G7", "Cm", "Cm6"),
        ("Dm7 | G7", "A", "Dm7"),
        ("Dm7 | G7 | Cmaj7 | G7", "C", "Cmaj7"),
        ("Dm7 | Em7", "C", "Em7"),
    ],
)
def test_the_ending_resolves_a_dominant_to_the_form_or_to_the_key(text, key, final):
    ((_, chord),) = replace(parse_changes(text), key=key).with_ending().bars[-1]
    assert chord.symbol == final
