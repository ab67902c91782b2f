"""Scores engraved as SVG and PDF: what is written on them, on which pages, and which files a command writes."""

import logging
import re
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from jazz.changes import parse_changes
from jazz.charts.sheet import chart_sheet
from jazz.charts.text import parse_chart
from jazz.cli import app as jazz_app
from jazz.grammar import Element
from jazz.playing.leadsheet import lead_sheet
from jazz.playing.performance import improvise
from music import engraving
from music.outputs import endings_of
from numpyrnn import NumpyrnnError
from piano.cli import app as piano_app

SVG = "{http://www.w3.org/2000/svg}"
CHORDS = "F7 | Bb7 | F#m7b5 B7 | N.C. Eb^7"
EMPTY = (
    b"<score-partwise><part-list><score-part id='P1'><part-name>A</part-name></score-part></part-list></score-partwise>"
)
score_extra = pytest.mark.extra("score")


def sheet(title="A tune", chords=CHORDS, repeat=1):
    """A lead sheet with two notes in each bar."""
    changes = parse_changes(chords, (4, 4)).times(repeat)
    halves = [Element(Fraction(2 * i), Fraction(2), (60 + i % 12,)) for i in range(2 * len(changes.bars))]
    return lead_sheet(title, halves, changes, 130)


def texts(svg):
    return [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def glyphs(svg):
    """The names of the music signs that are used, in SMuFL."""
    href = "{http://www.w3.org/1999/xlink}href"
    return [use.get(href)[1:5] for use in ElementTree.fromstring(svg).iter(f"{SVG}use")]


@score_extra
def test_title_tempo_and_chords_are_text_of_letters_that_common_fonts_have():
    written = texts(engraving.svg(sheet("Blues & <more>")))
    assert {"Blues & <more>", "Swing ♩ = 130", "F7", "B♭7", "F♯m7♭5", "B7", "N.C."} <= set(written)
    assert not [letter for text in written for letter in text if "\ue000" <= letter <= "\uf8ff"]


@score_extra
def test_a_symbol_is_engraved_as_it_was_written():
    symbols = "Bb7b9 G7(#9,b13) Cm7b5(add11) F13sus4b9 | Ebmaj9#5 C7(Gb7) D7alt A7/C# | Caug Abmaj7#11 B6/9 Fm(maj7)/Ab"
    expected = symbols.replace("#", "♯").replace("|", "").split()
    expected = [re.sub("(?<=[A-G(])b|b(?=[0-9])", "♭", symbol) for symbol in expected]
    written = texts(engraving.svg(chart_sheet(parse_chart(symbols))))
    assert [text for text in written if text != "Chords" and not text.isdigit()] == expected  # but for bar numbers


@score_extra
def test_composer_and_part_stand_once_on_the_first_page():
    xml = chart_sheet(replace(parse_chart("| C | F | G |\n" * 60), title="Tune", composer="A. Player"))
    first, *others = map(texts, engraving.svg_pages(xml))
    assert others
    for text in ("Tune", "A. Player", "Chords"):
        assert first.count(text) == 1
        assert not any(text in page for page in others)


@score_extra
@pytest.mark.parametrize("title", ["", "Tune"])
def test_composer_and_part_stand_between_title_and_music(title):
    chart = replace(parse_chart("C | F"), title=title, composer="A. Player")
    (drawing,) = map(ElementTree.fromstring, engraving.svg_pages(chart_sheet(chart)))
    margin = float(re.findall(r"\d+", drawing.find(f"{SVG}g//{SVG}g[@transform]").get("transform"))[-1])
    places = {text.text: float(text.get("y")) for text in drawing.iter(f"{SVG}text")}
    assert places["A. Player"] == places["Chords"] < margin + places["C"] - 300
    assert not title or places["A. Player"] > margin + places[title]


@score_extra
def test_a_long_section_label_stays_on_the_page():
    drawing = ElementTree.fromstring(
        engraving.svg(chart_sheet(parse_chart("[A]\n| C | F |\n[Interlude of the band]\n| G | C |")))
    )
    moved = [group for group in drawing.iter(f"{SVG}g") if group.find(f"{SVG}rect") is not None]
    lefts = [float(group.find(f"{SVG}rect").get("x")) for group in moved]
    shifts = [float((re.findall(r"[\d.]+", group.get("transform", "")) or [0])[0]) for group in moved]
    assert len(moved) == 2
    assert min(lefts) < 0 <= min(map(sum, zip(lefts, shifts, strict=True)))


@score_extra
def test_swing_does_not_stand_beside_the_chords():
    drawing = engraving.svg(chart_sheet(replace(parse_chart("F7 | Bb7"), feel="swing")))
    places = {text.text: float(text.get("y")) for text in ElementTree.fromstring(drawing).iter(f"{SVG}text")}
    assert places["Swing"] > places["F7"] + 200


@score_extra
@pytest.mark.parametrize("tall", [True, False])
def test_every_note_is_drawn_and_every_sign_is_defined(tall):
    xml = sheet(repeat=16)
    drawings = [engraving.svg(xml)] if tall else engraving.svg_pages(xml)
    drawn = [name for drawing in drawings for name in glyphs(drawing)]
    assert drawn.count("E0A3") == 2 * 64  # half notes
    for drawing in drawings:
        defined = [glyph.get("id") for glyph in ElementTree.fromstring(drawing).find(f"{SVG}defs")]
        assert len(set(defined)) == len(defined)
        assert {name[:4] for name in defined} >= set(glyphs(drawing))


@score_extra
def test_a_long_score_has_several_pages_of_a4_and_one_tall_svg():
    xml = sheet(repeat=16)
    pages = engraving.svg_pages(xml)
    assert len(pages) > 1
    assert {re.search(rb'width="(\S+)" height="(\S+)"', page).groups() for page in pages} == {(b"210.0mm", b"297.0mm")}
    pdf = engraving.pdf(xml)
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == len(pages)
    assert set(re.findall(rb"/MediaBox \[ (.*?) \]", pdf)) == {b"0 0 595.2756 841.8898"}
    on_pages = [text for page in pages for text in texts(page)]
    assert sorted(texts(engraving.svg(xml))) == sorted(on_pages)


@score_extra
def test_a_drawing_lies_on_white_so_that_it_can_be_read_on_dark_pages():
    for drawing in map(ElementTree.fromstring, (engraving.svg(sheet()), *engraving.svg_pages(sheet(repeat=16)))):
        ground = drawing[0]
        assert (ground.tag, ground.get("fill")) == (f"{SVG}rect", "white")
        assert drawing.get("viewBox") == f"0 0 {ground.get('width')} {ground.get('height')}"


@score_extra
def test_lines_break_where_the_score_says():
    numbers = [text for text in texts(engraving.svg(sheet(repeat=3))) if text.isdecimal()]
    assert numbers == ["5", "9"]


@score_extra
def test_the_same_score_gives_the_same_bytes():
    for engrave in (engraving.svg, engraving.pdf):
        assert engrave(sheet()) == engrave(sheet())
        assert engrave(sheet()) != engrave(sheet("Another tune"))


@score_extra
def test_the_fonts_of_a_pdf_are_embedded_and_its_title_is_the_scores():
    pdf = engraving.pdf(sheet("Stella"))
    assert b"STIXGeneral" in pdf
    assert b"/FontFile2" in pdf
    assert b"(Stella)" in pdf


@score_extra
@pytest.mark.parametrize("title", ["", "枯葉", "אב Жα 😀 B♭", "a \\ $ % (b", "long " * 60])
def test_any_title_can_be_engraved(title):
    xml = sheet(title)
    assert title.strip() in texts(engraving.svg(xml)) or not title
    assert engraving.pdf(xml).startswith(b"%PDF-")


@score_extra
def test_a_long_title_becomes_smaller():
    sizes = []
    for title in ("Short", "Long " * 40):
        drawn = ElementTree.fromstring(engraving.svg(sheet(title))).iter(f"{SVG}text")
        (size,) = [float(text.get("font-size")) for text in drawn if text.text == title.strip()]
        sizes.append(size)
    assert sizes[1] < sizes[0]
    assert sizes[1] * len("Long " * 40) / 2 <= 18_000 + 200  # units on a line of 18 cm, and a letter's rounding


@score_extra
@pytest.mark.parametrize("xml", [b"", b"rubbish", b"<a/>", b"\xff\xfe", b"<score-partwise/>", EMPTY])
def test_what_is_no_score_is_refused(xml):
    for engrave in (engraving.svg, engraving.pdf):
        with pytest.raises(NumpyrnnError, match="Verovio finds no music in the score"):
            engrave(xml)


@score_extra
def test_nothing_is_printed_or_logged(capfd, caplog):
    odd = sheet().replace(b"<root-step>B<", b"<root-step>H<").replace(b"<fifths>", b"<nonsense/><fifths>")
    with caplog.at_level(logging.WARNING):
        engraving.pdf(odd)
        with pytest.raises(NumpyrnnError):
            engraving.svg(b"rubbish")
    assert (capfd.readouterr(), caplog.messages) == (("", ""), [])


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(engraving, "find_spec", lambda name: None)
    for engrave in (engraving.svg, engraving.pdf, lambda xml: endings_of(pdf=True)):
        with pytest.raises(NumpyrnnError) as raised:
            engrave(b"")
        assert str(raised.value).endswith("not installed: pip install 'numpyrnn[score]'")
    assert endings_of() == (".mid", ".wav", ".png", ".musicxml")


def test_what_is_engraved_must_not_be_left_out():
    for flags in ({"svg": True}, {"pdf": True}):
        with pytest.raises(NumpyrnnError, match="MusicXML file, which must not be left out"):
            endings_of(score=False, **flags)


@score_extra
def test_a_solo_can_be_engraved_in_one_call():
    solo = improvise("Dm7 | G7 | Cmaj7 | %", seed=1)
    assert solo.svg() == engraving.svg(solo.musicxml())
    assert solo.pdf() == engraving.pdf(solo.musicxml())
    assert {".svg", ".pdf"} & set(solo.contents()) == set()
    contents = solo.contents(svg=True, pdf=True)
    assert list(contents) == [".mid", ".wav", ".png", ".musicxml", ".svg", ".pdf"]
    assert contents[".pdf"] == solo.pdf()


# the commands

COMMANDS = pytest.mark.parametrize(
    ("app", "short", "without"),
    [
        (jazz_app, ["--chords", "Dm7 | G7", "--seed", "1"], "--no-lead-sheet"),
        (piano_app, ["--length", "8", "--seed", "1"], "--no-score"),
    ],
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda app, *arguments: CliRunner().invoke(app, arguments)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@score_extra
@COMMANDS
def test_a_command_writes_the_engravings_beside_the_other_files(app, short, without, run, tmp_path):
    found = run(app, *short, "--svg", "--pdf", "-o", "x")
    assert found.exit_code == 0, found.output
    assert names(tmp_path) == ["x.mid", "x.musicxml", "x.pdf", "x.png", "x.svg", "x.wav"]
    assert "x.musicxml, x.svg, x.pdf." in found.stdout
    assert (tmp_path / "x.svg").read_bytes() == engraving.svg((tmp_path / "x.musicxml").read_bytes())


@score_extra
@COMMANDS
@pytest.mark.parametrize("ending", [".svg", ".PDF"])
def test_a_name_with_the_ending_of_an_engraving_asks_for_it(app, short, without, ending, run, tmp_path):
    assert run(app, *short, "-o", f"y{ending}").exit_code == 0
    assert names(tmp_path) == sorted(["y.mid", "y.wav", "y.png", "y.musicxml", f"y{ending.lower()}"])


@score_extra
@COMMANDS
def test_an_engraving_that_exists_is_not_replaced_and_nothing_else_is_written(app, short, without, run, tmp_path):
    (tmp_path / "x.pdf").write_text("mine")
    found = run(app, *short, "--pdf", "-o", "x")
    assert found.exit_code == 1
    assert "x.pdf already exists" in str(found.exception)
    assert names(tmp_path) == ["x.pdf"]
    assert (tmp_path / "x.pdf").read_text() == "mine"


@COMMANDS
@pytest.mark.parametrize("flag", ["--svg", "--pdf"])
def test_an_engraving_without_its_score_is_refused_before_anything_is_made(app, short, without, flag, run, tmp_path):
    found = run(app, *short, flag, without)
    assert found.exit_code == 1
    assert "must not be left out" in str(found.exception)
    assert names(tmp_path) == []


@COMMANDS
def test_without_the_extra_a_command_writes_nothing(app, short, without, run, tmp_path, monkeypatch):
    monkeypatch.setattr(engraving, "find_spec", lambda name: None)
    found = run(app, *short, "--pdf")
    assert found.exit_code == 1
    assert "pip install 'numpyrnn[score]'" in str(found.exception)
    assert names(tmp_path) == []


@COMMANDS
def test_files_of_an_older_piece_are_named(app, short, without, run, tmp_path):
    for name in ("x.musicxml", "x.pdf"):
        (tmp_path / name).write_text("older")
    found = run(app, *short, without, "--force", "-o", "x")
    assert found.exit_code == 0
    for name in ("x.musicxml", "x.pdf"):
        assert f"\n{name} was there before and is not of this " in found.stdout
        assert (tmp_path / name).read_text() == "older"


def test_the_programs_start_without_loading_an_engraver():
    heavy = "{'verovio', 'svglib', 'reportlab', 'music21'}"
    code = f"import sys, jazz.cli, piano.cli; sys.exit(str({heavy} & set(sys.modules)) != 'set()')"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
