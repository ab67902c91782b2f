"""Charts from files of any kind, from links and from typed changes; and the choice of a tune."""

import io
import os
import zipfile
from urllib.parse import quote

import pytest

from jazz.charts.chart import Chart
from jazz.charts.files import MAX_BYTES, Tune, choose_tune, read_chart, source_of
from numpyrnn import NumpyrnnError

TEXT = "title: Typed\nmeter: 3/4\n\nDm7 | G7 | Cmaj7 | %\n"
TUNES = {"Blue Hour": "T44F7 |Bb7 ", "Blue Note Waltz": "T34Gm7 |C7 ", "Night, The": "T44Dm7 |G7 "}
LINK = (
    "irealb"
    + "ook://"
    + quote("=".join(f"{name}=Doe Jane=Medium Swing=F=n=[{chords}Z" for name, chords in TUNES.items()))
)
ONE_LINK = "irealbook://" + quote("Alone=Doe Jane=Bossa Nova=Bb=n=[T44Bb^7 |Eb7 Z")
HTML = f'<!DOCTYPE html>\n<html><body><p>My tunes</p><a href="{LINK}">three</a></body></html>\n'


def musicxml(title="Written", root="E", kind="minor-seventh"):
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">
<score-partwise version="4.0"><work><work-title>{title}</work-title></work>
<part-list><score-part id="P1"><part-name>Lead</part-name></score-part></part-list>
<part id="P1"><measure number="1"><attributes><divisions>1</divisions>
<time><beats>4</beats><beat-type>4</beat-type></time>
</attributes><harmony><root><root-step>{root}</root-step></root><kind>{kind}</kind></harmony>
<note><rest/><duration>4</duration></note></measure></part></score-partwise>""".encode()


def packed(content):
    file = io.BytesIO()
    container = '<container><rootfiles><rootfile full-path="score.musicxml"/></rootfiles></container>'
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("score.musicxml", content)
    return file.getvalue()


def first(chart):
    return str(chart.measures[0].chords[0][1])


@pytest.mark.parametrize("name", ["a.txt", "a.html", "a.musicxml", "a.xml", "a.mxl", "chart", "a.mid"])
@pytest.mark.parametrize(
    ("content", "title", "chord"),
    [
        (TEXT.encode(), "Typed", "Dm7"),
        (b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode(), "Typed", "Dm7"),
        (ONE_LINK.encode(), "Alone", "Bb^7"),
        (f"Look at this:\n\n  {ONE_LINK}\n\nBye".encode(), "Alone", "Bb^7"),
        (HTML.replace(LINK, ONE_LINK).encode(), "Alone", "Bb^7"),
        (musicxml(), "Written", "Em7"),
        (packed(musicxml()), "Written", "Em7"),
    ],
)
def test_a_file_is_judged_by_what_it_holds(tmp_path, name, content, title, chord):
    (tmp_path / name).write_bytes(content)
    chart = read_chart(f"@{tmp_path / name}")
    assert (chart.title, first(chart)) == (title, chord)


def test_typed_changes_and_links_need_no_file():
    assert first(read_chart("Dm7 | G7")) == "Dm7"
    assert first(read_chart(ONE_LINK)) == "Bb^7"
    assert first(read_chart(ONE_LINK.replace("irealbook", "IREALBOOK"))) == "Bb^7"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "changes must have a chord"),
        (b"MThd\0\0\0\6\0\1", "a chord must be like"),
        ("Dm7 caf\u00e9".encode("latin-1"), "a chart must be MusicXML or UTF-8 text, byte 7 is not"),
        (b"<html><body>nothing here</body></html>", "irealbook://"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "byte 10 is not"),
        (b"Dm7 | Hm7", "bar 2: a chord must be like"),
    ],
)
def test_a_file_that_is_no_chart_is_one_error_that_names_it(tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(NumpyrnnError, match=r"a\.txt: ") as error:
        read_chart(f"@{tmp_path / 'a.txt'}")
    assert message in str(error.value)


def test_a_pipe_a_folder_and_a_huge_file_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(MAX_BYTES + 1)
    for name, message in {
        "pipe": "a device or a pipe",
        "huge": "at most",
        ".": "a folder",
        "no": "No such file",
    }.items():
        with pytest.raises(NumpyrnnError, match=message):
            read_chart(f"@{tmp_path / name}")


def test_a_meter_serves_a_chart_that_has_none_and_contradicts_no_other():
    assert read_chart("C | F", meter="3/4").meter == (3, 4)
    assert read_chart(TEXT, meter="3/4").meter == (3, 4)
    for source, meter in ((TEXT, "4/4"), (ONE_LINK, "3/4")):
        with pytest.raises(NumpyrnnError, match="meter"):
            read_chart(source, meter=meter)


def test_a_key_is_what_the_user_says():
    assert read_chart(ONE_LINK).key == "Bb"
    assert read_chart(ONE_LINK, key="C").key == "C"
    with pytest.raises(NumpyrnnError, match="a key must be like"):
        read_chart(ONE_LINK, key="Q")


# the choice of a tune


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Blue Hour", "Blue Hour"),
        ("blue hour", "Blue Hour"),
        ("BLUE  N", "Blue Note Waltz"),
        ("waltz", "Blue Note Waltz"),
        ("the night", "The Night"),
        ("1", "Blue Hour"),
        ("3", "The Night"),
    ],
)
def test_a_tune_is_chosen_by_title_beginning_part_or_number(name, title):
    assert read_chart(LINK, tune=name).title == title


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            None,
            "there are 3 tunes here, choose one by its title or number (--tune): 1 Blue Hour, 2 Blue Note Waltz, 3 The",
        ),
        ("blue", "--tune blue could be any of: 1 Blue Hour, 2 Blue Note Waltz"),
        ("Blu Huor", "no tune has the title Blu Huor, there is: 1 Blue Hour"),
        ("4", "no tune has the title 4, there is: 1 Blue Hour, 2 Blue Note Waltz, 3 The Night"),
        ("", "--tune  could be any of"),
    ],
)
def test_a_tune_that_is_not_named_clearly_is_an_error_with_the_titles(name, words):
    with pytest.raises(NumpyrnnError) as error:
        read_chart(LINK, tune=name)
    assert words in str(error.value)


def test_an_exact_title_wins_over_a_number_and_over_a_part():
    tunes = [Tune(title, lambda title=title: Chart([], title=title)) for title in ("Two", "Two Too", "26-2", "1", "26")]
    chosen = {name: choose_tune(tunes, name).title for name in ("two", "1", "26", "2", "26-")}
    assert chosen == {"two": "Two", "1": "1", "26": "26", "2": "Two Too", "26-": "26-2"}


def test_accents_do_not_count_in_a_title_unless_they_tell_two_apart():
    tunes = [Tune(title, lambda: Chart([])) for title in ("Caf\u00e9 Noir", "E\u0301tude", "Etude", "\u00c9cole")]
    for name, title in {
        "cafe": 0,
        "CAF\u00c9 NOIR": 0,
        "cafe\u0301 n": 0,
        "etude": 2,
        "e\u0301tude": 1,
        "ecole": 3,
    }.items():
        assert choose_tune(tunes, name) is tunes[title], name


def test_many_tunes_are_listed_up_to_a_dozen_in_one_line():
    tunes = [Tune(f"Tune {'x' * (i % 7 * 9)}", Chart) for i in range(1460)]
    with pytest.raises(NumpyrnnError) as error:
        choose_tune(tunes, None)
    assert "there are 1,460 tunes here" in str(error.value)
    assert str(error.value).endswith(" ...")
    short = [Tune(f"T{i}", Chart) for i in range(40)]
    with pytest.raises(NumpyrnnError, match=r": 1 T0, 2 T1, .*, 12 T11 \.\.\.$"):
        choose_tune(short, None)


def test_one_tune_needs_no_name_but_is_known_by_it():
    assert read_chart(ONE_LINK, tune="alone").title == "Alone"
    with pytest.raises(NumpyrnnError, match="no tune has the title other, there is: 1 Alone"):
        read_chart(ONE_LINK, tune="other")


def test_a_faulty_tune_does_not_hide_the_others():
    link = LINK.replace(quote("Bb7"), "J7")
    assert read_chart(link, tune="3").title == "The Night"
    with pytest.raises(NumpyrnnError, match=r"Blue Hour.*bar"):
        read_chart(link, tune="1")


@pytest.mark.parametrize("word", ["mistyped", "Blues"])
def test_a_word_that_is_no_chord_may_be_the_name_of_a_file(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NumpyrnnError, match=f"a chord must be like .*; there is no file '{word}' either$"):
        read_chart(word)
    (tmp_path / word).write_text("C | F")
    with pytest.raises(NumpyrnnError, match=f"a chord must be like .*; a file is given as @{word}$"):
        read_chart(word)
    for chord in ("Cmaj8", "H7", "blues in F", "Hm | foo"):
        with pytest.raises(NumpyrnnError, match="a chord must be like") as error:
            read_chart(chord)
        assert "file" not in str(error.value)


def test_what_the_user_means(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    expected = {
        **{"mine": "@mine", "other": "other", "other.txt": "@other.txt", "My Tunes.html": "@My Tunes.html", "@x": "@x"},
        **{
            "Dm7 G7 | C": "Dm7 G7 | C",
            "|1.C": "|1.C",
            "N.C.": "N.C.",
            LINK: LINK,
            "C/E": "C/E",
            "sub/a.mxl": "@sub/a.mxl",
            **{
                name: f"@{name}"
                for name in ("song.pro", "My Song.docx", "./song", "../charts/song", "~/song", "C:\\a.gp5")
            },
            **{
                text: text
                for text in ("Dm7 G7 C6.", "D.C.", "C | F | D.C.", "/ / /", "./. | C", "G7alt. C", "C | x.txt")
            },
        },
    }
    assert {given: source_of(given) for given in expected} == expected


def test_a_damaged_archive_is_not_read_as_a_typed_chart(tmp_path):
    (tmp_path / "b.mxl").write_bytes(b"PK\3\4broken")
    with pytest.raises(NumpyrnnError, match=r"b\.mxl: its end is not that of a zip"):
        read_chart(f"@{tmp_path / 'b.mxl'}")
