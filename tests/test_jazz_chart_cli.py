"""The command `jazz chart`, and solos over charts, as a user meets them."""

from xml.etree import ElementTree

import pytest
from test_jazz_chart_files import HTML, LINK, ONE_LINK, musicxml, packed
from test_jazz_cli import contents, do, do_well

import jazz
from jazz.changes import FORMS, Changes, form
from jazz.charts.text import parse_chart
from jazz.playing.performance import improvise
from jazz.symbols import clean
from music.midi import midi_bytes, read_midi
from numpyrnn import NumpyrnnError

# What musicians write: the text of a file, and the first chord of each bar in the order in which the bars are played.
CHARTS = {
    "bars": ("C | F | G7 | C", "C F G7 C"),
    "bar lines around": ("| C | F |\n| G7 | C |", "C F G7 C"),
    "no bar lines": ("Dm7 G7 Cmaj7", "Dm7 G7 Cmaj7"),
    "lines as bars": ("C\nF\nG7\nC\n", "C F G7 C"),
    "an empty bar": ("C | | G", "C C G"),
    "empty bars at the end of a line": ("| C | | |\n| G |", "C C C G"),
    "percent": ("C | % | F | %", "C C F F"),
    "slashes": ("C / / / | F / G / | C", "C F C"),
    "no chord": ("N.C. | C | NC | F", "N.C. C N.C. F"),
    "alternates": ("C7 (Gm7) | F7(B7) | C", "C7 F7 C"),
    "a repeat": ("|: C | F :| G |", "C F C F G"),
    "a repeat between double bar lines": ("||: C | F :|| G ||", "C F C F G"),
    "a repeat x3": ("|: C :| x3 | G", "C C C G"),
    "a repeat 3x": ("|: C :| 3x | G", "C C C G"),
    "a repeat from the start": ("C | F :| G", "C F C F G"),
    "two repeats": ("|: C :|: F :| G", "C C F F G"),
    "endings": ("|: C | F |1. G7 :|2. C |", "C F G7 C F C"),
    "endings in brackets": ("|: C | F |[1 G7 :|[2 C |", "C F G7 C F C"),
    "endings on two lines": ("|: C | F |1. G7 | G7 :|\n       |2. C | C |", "C F G7 G7 C F C C"),
    "three endings": ("|: C |1. F :|2. G :|3. A |", "C F C G C A"),
    "an ending for two times": ("|: C |1,2. F :|3. G |", "C F C F C G"),
    "sections in brackets": ("[A] C | F |\n[B] G | C |", "C F G C"),
    "sections with a colon": ("A: C | F\nB: G | C", "C F G C"),
    "sections on their own lines": ("Verse:\nC | F\n\nChorus:\nG | C", "C F G C"),
    "D.C. al Fine": ("C | F Fine | G | A7 D.C. al Fine |", "C F G A7 C F"),
    "D.S. al Coda": ("C | Segno F | G To Coda | A7 D.S. al Coda | Coda D | E |", "C F G A7 F G D E"),
    "D.C. al Coda": ("C | G To Coda | A7 D.C. al Coda |\nCoda | D | E |", "C G A7 C G D E"),
    "comments": ("# my chart\nC | F  # a turn\n// end\nG", "C F G"),
    "a head": ("title: Mine\ncomposer: Me\nkey: F\nmeter: 4/4\ntempo: 180\nfeel: swing\n\nC | F", "C F"),
    "Windows": ("\ufefftitle: Mine\r\n\r\n| C | F |\r\n| G | C |\r\n", "C F G C"),
    "tabs": ("|\tC\t|\tF\t|\n|\tG\t|\tC\t|", "C F G C"),
    "a table of chords": (
        "C    | F7   | C  | %    |\nF7   | %    | C  | A7   |\nDm7  | G7   | C  | G7   |",
        "C F7 C C F7 F7 C A7 Dm7 G7 C G7",
    ),
    "printed signs": ("C∆7 | F♯ø7 | B♭7 | E♭-7", "CΔ7 F#ø7 Bb7 Eb-7"),
    "a German H in words": ("title: H wie Haus\n\nC | F", "C F"),
    "slash chords": ("C/E | F/A | G/B | C", "C/E F/A G/B C"),
    "brackets in symbols": ("C7(b9) | F13(#11) | Gm7(b5) | C6/9", "C7(b9) F13(#11) Gm7(b5) C6/9"),
    "three four": ("meter: 3/4\n| Gm7 | C7 / F7 | Bb |", "Gm7 C7 Bb"),
    "six eight": ("meter: 6/8\n| Am G | F E7 |", "Am F"),
    "a double bar line": ("C | F || G | C ||", "C F G C"),
    "one long line": ("| C " * 40 + "|", "C " * 40),
    "a whole tune": (
        "title: The Whole Tune\ncomposer: N. N.\nkey: Bb\ntempo: 200\n\n"
        "[A]  |: Bb6 G7 | Cm7 F7 | Dm7 G7 | Cm7 F7 |1. Bb6 | F7 :|\n                             |2. Bb6 | % ||\n"
        "[B]  | D7 | % | G7 | F7 |\n[A]  | Bb6 G7 | Cm7 F7 | Bb6 | % |",
        "Bb6 Cm7 Dm7 Cm7 Bb6 F7 Bb6 Cm7 Dm7 Cm7 Bb6 Bb6 D7 D7 G7 F7 Bb6 Cm7 Bb6 Bb6",
    ),
}


def names(chart):
    """The first chord of each bar that is played, without alternates."""
    return [clean((chord := bar[0][1]).symbol.removesuffix(chord.alternates)) for bar in Changes.of(chart).bars]


def test_there_are_forty_charts():
    assert len(CHARTS) >= 40


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_shown_and_what_is_shown_can_be_read(tmp_path, name):
    text, expected = CHARTS[name]
    (tmp_path / "chart.txt").write_bytes(text.encode())
    out = do_well(tmp_path, "chart", "chart.txt")
    assert names(parse_chart(out)) == expected.split()
    bars, played = len(parse_chart(out).measures), len(expected.split())
    count = f"{bars} bar{'s' * (bars > 1)}"
    assert out.endswith(f"\n# {count}.\n" if bars == played else f"\n# {count}, {played} are played.\n")
    (tmp_path / "again.txt").write_text(out, "utf-8")
    assert do_well(tmp_path, "chart", "again.txt") == out


@pytest.mark.parametrize("name", [*FORMS[:8], *(pytest.param(name, marks=pytest.mark.slow) for name in FORMS[8:])])
def test_a_shipped_form_is_shown(tmp_path, name):
    out = do_well(tmp_path, "chart", "--form", name)
    assert out.startswith(f"title: {form(name).title}\n")
    assert Changes.of(parse_chart(out)).bars == form(name).bars


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_chart_fits_the_terminal(tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    (tmp_path / "chart.txt").write_text(CHARTS["a whole tune"][0], "utf-8")
    out = do_well(tmp_path, "chart", "chart.txt")
    assert max(map(len, out.splitlines())) <= columns


def test_changes_links_and_files_of_every_kind_are_shown(tmp_path):
    for name, content in {"a.html": HTML.encode(), "a.musicxml": musicxml(), "a.mxl": packed(musicxml())}.items():
        (tmp_path / name).write_bytes(content)
    assert "| Dm7 G7 | Cmaj7 |" in do_well(tmp_path, "chart", "Dm7 G7 | Cmaj7")
    assert "title: Alone\n" in do_well(tmp_path, "chart", ONE_LINK)
    assert "| Gm7 | C7 |" in do_well(tmp_path, "chart", "a.html", "--tune", "waltz")
    assert "| Dm7 | G7 |" in do_well(tmp_path, "chart", "@a.html", "--tune", "3")
    for name in ("a.musicxml", "a.mxl"):
        assert "title: Written\n" in do_well(tmp_path, "chart", name)
    assert "key: Eb\n" in do_well(tmp_path, "chart", "a.mxl", "--key", "Eb")
    assert "meter: 3/4\n" in do_well(tmp_path, "chart", "Dm7 G7 | Cmaj7", "--meter", "3/4")


def test_a_guess_is_said_beside_the_chart(tmp_path):
    done = do(tmp_path, "chart", "Dm7 G7 Cmaj7 A7")
    assert done.status == 0
    assert "4 bars, 1 chord a bar" in done.err.splitlines()[0]
    assert len(parse_chart(done.out).measures) == 4
    assert do(tmp_path, "chart", "Dm7 | G7").err.startswith("Next:")


# files


def test_a_chart_is_written_in_each_format(tmp_path):
    (tmp_path / "a.html").write_text(HTML, "utf-8")
    out = do_well(tmp_path, "chart", "a.html", "--tune", "3", "-o", "b.txt", "-o", "b.musicxml")
    assert out.endswith("\nWritten: b.txt, b.musicxml.\n")
    assert set(contents(tmp_path)) == {"a.html", "b.txt", "b.musicxml"}
    assert ElementTree.parse(tmp_path / "b.musicxml").getroot().tag == "score-partwise"
    for name in ("b.txt", "b.musicxml"):
        shown = do_well(tmp_path, "chart", name)
        assert "title: The Night\n" in shown
        assert names(parse_chart(shown)) == ["Dm7", "G7"]


@pytest.mark.extra("score")
def test_a_chart_is_engraved(tmp_path):
    do_well(tmp_path, "chart", "Dm7 G7 | Cmaj7", "-o", "a.svg", "-o", "a.pdf")
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<svg")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_played_in_the_same_order_after_it_was_written_as_musicxml(tmp_path, name):
    text, expected = CHARTS[name]
    (tmp_path / "chart.txt").write_bytes(text.encode())
    do_well(tmp_path, "chart", "chart.txt", "-o", "chart.musicxml")
    assert names(parse_chart(do_well(tmp_path, "chart", "chart.musicxml"))) == expected.split()


def test_an_error_writes_no_file(tmp_path):
    (tmp_path / "old.txt").write_text("C | F")
    before = contents(tmp_path)
    for arguments, status, message in [
        (["C | F", "-o", "new.txt", "-o", "old.txt"], 1, "old.txt already exists"),
        (["C | F", "-o", "new.txt", "-o", "new.doc"], 1, ".txt, .musicxml, .svg or .pdf file, got new.doc"),
        (["C | F", "-o", "new"], 1, "got new"),
        (["C | H", "-o", "new.txt"], 1, "bar 2: a chord must be like"),
        (["old.txt", "-o", "old.txt", "--force"], 1, "old.txt is the chart and must not be replaced"),
        (["C | F", "-o", "no/new.txt", "--key", "X"], 1, "a key must be like"),
        ([], 2, "either a chart or --form must be given"),
        (["C", "--form", "waltz"], 2, "either a chart or --form must be given"),
        (["--form", "waltz", "--meter", "4/4"], 2, "--form"),
        (["--form", "polka"], 1, "a form must be one of"),
        (["C", "--meter", "4/5"], 1, "a meter must be like"),
        ([LINK], 1, "there are 3 tunes here"),
        ([LINK, "--tune", "blues"], 1, "no tune has the title blues"),
        (["nowhere.txt"], 1, "nowhere.txt could not be read"),
        (["@old", "C"], 2, "unexpected extra argument"),
    ]:
        done = do(tmp_path, "chart", *arguments)
        assert (done.status, done.out) == (status, ""), arguments
        assert message in done.err.splitlines()[-1]
        assert contents(tmp_path) == before


def test_a_folder_gets_a_lead_sheet_and_is_made(tmp_path):
    assert "Written: new/chart.musicxml.\n" in do_well(tmp_path, "chart", "C | F", "-o", "new/")
    done = do(tmp_path, "chart", "C | H", "-o", "other/")
    assert done.status == 1
    assert set(contents(tmp_path)) == {"new/chart.musicxml"}
    assert not (tmp_path / "other").exists()


def test_force_replaces_files(tmp_path):
    (tmp_path / "old.txt").write_text("mine")
    do_well(tmp_path, "chart", "C | F", "-o", "old.txt", "--force")
    assert names(parse_chart((tmp_path / "old.txt").read_text())) == ["C", "F"]


# symbols that cannot be read


@pytest.mark.parametrize("command", [["chart"], ["improvise", "--chords"]])
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.txt",
            b"title: Mine\n\nDm7 | G7\nCmaj8 | F",
            ["a.txt", "line 4", "bar 3", "'Cmaj8'", "(the nearest is Cmaj"],
        ),
        ("a.html", HTML.replace("Bb7", "Bbmaj99").encode(), ["a.html", "Blue Hour", "bar 2"]),
        ("a.musicxml", musicxml(root="X"), ["a.musicxml: measure 1", "A to G"]),
        ("a.mxl", packed(musicxml(root="X")), ["a.mxl: measure 1", "A to G"]),
    ],
)
def test_a_symbol_that_cannot_be_read_is_named_with_its_place(tmp_path, command, name, content, words):
    (tmp_path / name).write_bytes(content)
    done = do(tmp_path, *command, f"@{name}", "--tune", "1")
    assert (done.status, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert [word for word in words if word not in done.err] == [], done.err
    assert set(contents(tmp_path)) == {name}


# solos


@pytest.fixture
def quick(monkeypatch):
    """Solos without picture and lead sheet, which take longest."""
    monkeypatch.setattr("jazz.playing.performance.Solo.png", lambda solo: b"a picture")


TUNE = "title: My Tune\ntempo: 200\nfeel: straight\nkey: Eb\n\n|: Cm7 | F7 :| Bbmaj7 | % |"


def test_a_solo_has_title_tempo_and_feel_of_its_chart_unless_an_option_says_others(tmp_path, quick):
    (tmp_path / "tune.txt").write_text(TUNE)
    out = do_well(tmp_path, "--chords", "tune.txt", "--seed", 1, "-o", "a", "--no-lead-sheet")
    assert out.startswith("My Tune: 7 bars at 200, ")
    same = improvise("Cm7 | F7 | Cm7 | F7 | Bbmaj7 | %", seed=1, tempo=200, swing=0.5)
    assert (tmp_path / "a.mid").read_bytes() == midi_bytes(same.midi)
    out = do_well(
        tmp_path, "--chords", "@tune.txt", "--seed", 1, "-o", "b", "--tempo", 90, "--swing", 0.6, "--no-lead-sheet"
    )
    assert out.startswith("My Tune: 7 bars at 90, ")
    other = improvise("Cm7 | F7 | Cm7 | F7 | Bbmaj7 | %", seed=1, tempo=90, swing=0.6)
    assert (tmp_path / "b.mid").read_bytes() == midi_bytes(other.midi)


def test_a_solo_is_played_over_a_link_and_over_one_tune_of_several(tmp_path, quick):
    for name, arguments in {"a": [ONE_LINK], "b": [LINK, "--tune", "waltz"]}.items():
        out = do_well(tmp_path, "--chords", *arguments, "-o", name, "--no-lead-sheet")
        assert out.startswith({"a": "Alone: 3 bars", "b": "Blue Note Waltz: 3 bars"}[name])
    assert read_midi(tmp_path / "b.mid").meters == [(0, 3, 4)]


def test_a_meter_that_contradicts_the_chart_is_an_error(tmp_path):
    done = do(tmp_path, "--chords", "meter: 3/4\n\nC | F", "--meter", "4/4")
    assert done.status == 1
    assert "3/4" in done.err
    assert contents(tmp_path) == {}
    assert do(tmp_path, "--tune", "x").status == 2


def test_a_pickup_is_left_out_in_one_line(tmp_path, quick):
    done = do(tmp_path, "--chords", "pickup: 3/2\n\nC | F", "-o", "a", "--no-lead-sheet")
    assert done.err.startswith("The pickup of 3/2 quarters is left out.\nNext:\n")
    assert "3 bars" in done.out


def test_the_library_takes_the_same_strings(tmp_path):
    (tmp_path / "tune.txt").write_text(TUNE)
    solos = [jazz.improvise(chords, seed=1) for chords in (TUNE, parse_chart(TUNE), f"@{tmp_path / 'tune.txt'}")]
    assert all(solo.midi == solos[0].midi for solo in solos)
    assert (solos[0].title, solos[0].tempo, solos[0].changes.key) == ("My Tune", 200, "Eb")
    assert jazz.improvise(LINK, tune="waltz", seed=1).title == "Blue Note Waltz"
    assert jazz.improvise("C | F", key="F", seed=1).changes.key == "F"
    for wrong, message in [
        ({"chords": LINK}, "there are 3 tunes"),
        ({"chords": parse_chart("C"), "meter": "3/4"}, "the meter of the chart is 4/4"),
        ({"chords": "C", "key": "X"}, "a key must be like"),
        ({"chords": "C", "key": 3}, "key must be text"),
        ({"chords": "tempo: 90\n\nC", "tempo": 10}, "tempo must be at least 20"),
    ]:
        with pytest.raises(NumpyrnnError, match=message):
            jazz.improvise(**wrong)


@pytest.mark.torture
def test_a_solo_over_a_long_chart_has_all_its_bars(rounds, tell):
    bars = rounds(100, 1000)
    solo = jazz.improvise(f"|: Dm7 G7 | Cmaj7 :| x{bars // 2}", tempo=300, seed=1, ending=False)
    assert (len(solo.changes.bars), solo.midi.length) == (bars, 4 * bars)
    assert len(solo.notes) > bars
    tell(f"a chart of {bars:,} bars: a solo of {len(solo.notes):,} notes")
