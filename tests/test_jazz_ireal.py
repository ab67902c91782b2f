"""Charts from iReal Pro links. The links are made here; the tunes are our own."""

import random
import time
from fractions import Fraction
from html import escape
from itertools import pairwise
from urllib.parse import quote

import pytest

from jazz.charts.ireal import MARKER, parse_ireal, tunes, unscramble
from jazz.chords import parse_chord
from numpyrnn import NumpyrnnError


def scramble(text):
    """Scramble chords as the app does; written with slices, after the description in `unscramble`."""
    done = ""
    while len(text) > 51:
        block, text = text[:50], text[50:]
        mirrored = [block[45:][::-1], block[5:10], block[26:40][::-1], block[24:26], block[10:24][::-1], block[40:45]]
        done += "".join(mirrored) + block[:5][::-1]
    return done + text


def app(body, title="Tune", composer="Doe Jane", style="Medium Swing", key="C", tempo="0", groove=""):
    """The fields of a tune in an `irealb://` link."""
    short = body.replace("   ", "XyQ").replace("| x", "Kcl").replace(" |", "LZ")
    return "=".join([title, composer, "", style, key, "", MARKER + scramble(short), groove, tempo, "3"])


def old(body, title="Tune", composer="Doe Jane", style="Medium Swing", key="C"):
    """The fields of a tune in an `irealbook://` link."""
    return "=".join([title, composer, style, key, "n", body])


def link(*songs, scheme="irealb", name="My list"):
    return f"{scheme}://{quote('==='.join([*songs, name] if len(songs) > 1 else songs), safe='')}"


def read(body, **fields):
    """The chart of a body, which must be the same from both kinds of links."""
    [chart] = parse_ireal(link(app(body, **fields)))
    [plain] = parse_ireal(link(old(body), scheme="irealbook"))
    assert chart.measures == plain.measures
    return chart


def shown(measures):
    """Chords with their onsets in quarters, unless they are the only ones of their bar."""
    bars = ([f"{chord}@{onset}" if len(m.chords) > 1 else f"{chord}" for onset, chord in m.chords] for m in measures)
    return " | ".join(" ".join(bar) for bar in bars)


def played(body):
    return "".join(str(measure.chords[0][1]) for measure in read(body).played())


BLUES = "{*AT44F7   |Bb7   |F7   | x  |Bb7   | r|   |F7  D7|G-7   |C7   |N1F7 D7 |G-7 C7 }            |N2F7   |   Z"
SONG = (
    "*i[T44C^7   |n   ][*ASC^7 A-7 |D-7 G7 |E-7,Eb7(A7),D-7,G7,|C69  p|*B{D-7<3x>   |QG7b9/B   }"
    "*C[sA-,A-^7,A-7,A-6,|lFh7   |W/E   |G7sus <D.S. al Coda>][QDb^7#11   |fC^7   Z"
)
WALTZ = "T34*V{G-7  |C7  |N1F^7  |Gb7 (B7) } |N0F6  |YF6 E7,|Eb+  Z"
TUNES = {
    "blues": (BLUES, "4/4"),
    "song": (SONG, "4/4"),
    "waltz": (WALTZ, "3/4"),
    "three repeats": ("{T44C   |N1D   }|N2E   }|N3F   ]<*74Solos:>[G   Z", "4/4"),
    "da capo": ("T44[*AC   |F   <Fine>]*B[G7   |C*7b9b5*   <D.C. al Fine>Z", "4/4"),
    "slow": ("T12[C-   |G7alt F7 Z", "12/8"),
    "odd": ("T54[D-7    |G7  C7 |D-7 G7 |A7ppD7pZ", "5/4"),
    "ending": ("{T22C   |N1D   }  |N2E   |F   <D.C. al 1st End.>Z", "2/2"),
}


def test_scrambling_changes_places_within_blocks_of_fifty():
    block = "01234abcdeABCDEFGHIJKLMNxyOPQRSTUVWXYZ!?fghij56789"
    mixed = "98765abcde?!ZYXWVUTSRQPOxyNMLKJIHGFEDCBAfghij43210"
    assert unscramble(block + "rest") == mixed + "rest"
    assert unscramble(block + block + "rest") == mixed + mixed + "rest"


@pytest.mark.parametrize("tail", ["", "z"])
def test_a_block_with_less_than_two_letters_after_it_stays_as_it_is(tail):
    block = "01234abcdeABCDEFGHIJKLMNxyOPQRSTUVWXYZ!?fghij56789"
    assert unscramble(block + tail) == block + tail


def test_scrambling_is_undone_for_every_length():
    letters = "".join(chr(200 + i) for i in range(260))
    for length in range(260):
        assert unscramble(scramble(letters[:length])) == letters[:length]
        assert unscramble(unscramble(letters[:length])) == letters[:length]


@pytest.mark.parametrize("name", TUNES)
def test_a_tune_reads_the_same_from_both_kinds_of_links_and_from_a_page(name):
    body, meter = TUNES[name]
    chart = read(body)
    assert "{}/{}".format(*chart.meter) == meter
    fields = app(body, title=name)
    for attribute in (f'href="{escape(link(fields))}"', f"HREF = '{escape(link(fields))}'", f"href={link(fields)}"):
        [other] = parse_ireal(f"<html><a target=x {attribute}>{name}</a><p>other</p></html>")
        assert other.measures == chart.measures
        assert other.title == name


def test_a_blues_has_its_bars():
    chart = read(BLUES)
    once = "F7 | Bb7 | F7 | F7 | Bb7 | F7 | Bb7 | F7@0 D7@3 | G-7 | C7"
    first = "F7@0 D7@2 | G-7@0 C7@2"
    assert shown(chart.played()) == f"{once} | {first} | {once} | F7 | F7"
    assert [m.section for m in chart.measures if m.section] == ["A"]
    assert chart.measures[-1].double


def test_a_song_with_every_sign_has_its_bars():
    chart = read(SONG)
    head = "C^7@0 A-7@2 | D-7@0 G7@2 | E-7@0 Eb7(A7)@1 D-7@2 G7@3 | C69"
    repeated = " | ".join(["D-7 | G7b9/B"] * 3)
    bridge = "A-@0 A-^7@1 A-7@2 A-6@3 | Fh7 | Fh7/E | G7sus"
    expected = f"C^7 | N.C. | {head} | {repeated} | {bridge} | {head} | D-7 | Db^7#11 | C^7"
    assert shown(chart.played()) == expected
    assert [m.section for m in chart.measures if m.section] == ["Intro", "A", "B", "C"]
    alternate = chart.measures[4].chords[1][1]
    assert (alternate.tones, alternate.alternates) == (parse_chord("Eb7").tones, "(A7)")


def test_chords_share_the_beats_where_cells_are_not_beats():
    chart = read(TUNES["odd"][0])
    assert shown(chart.measures) == "D-7 | G7@0 C7@3 | D-7@0 G7@3 | A7@0 D7@3"
    assert [guess for guess in chart.guesses if "share the beats" in guess]
    assert shown(read("T34[C D |C D E |C DEZ").measures) == "C@0 D@2 | C@0 D@1 E@2 | C@0 D@1 E@2"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("T44[C  D|CDEF|C D|CD|C       Z", "C@0 D@3 | C@0 D@1 E@2 F@3 | C@0 D@2 | C@0 D@2 | C"),
        ("T44[C D E F |C      DZ", "C@0 D@1 E@2 F@3 | C@0 D@7/2"),
        ("T34[C D|CDE|C  Z", "C@0 D@2 | C@0 D@1 E@2 | C"),
        ("T68[C  D  |CDZ", "C@0 D@3/2 | C@0 D@3/2"),
        ("T12[C  D|CDEFZ", "C@0 D@9/2 | C@0 D@3/2 E@3 F@9/2"),
        ("T22[C D |CDZ", "C@0 D@2 | C@0 D@2"),
        ("T24[C D |CDZ", "C@0 D@1 | C@0 D@1"),
        ("T44[Cp D| D  |  pD|pppp|(E)D  Z", "C@0 D@3 | D@0 D@1 | D@0 D@3 | D | D(E)@0 D@1"),
        ("T44[C   |(Db7)   |D   Z", "C | C(Db7) | D"),  # an alternate takes a cell, too
    ],
)
def test_a_chord_begins_where_its_cell_begins(body, expected):
    assert shown(read(body).measures) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[C   |D   |E   Z", "CDE"),
        ("{C   |D   }E   Z", "CDCDE"),
        ("[C   |D   }E   Z", "CDCDE"),
        ("{C   |D   ]E   Z", "CDE"),
        ("{C   |D<4x>   }E   Z", "CDCDCDCDE"),
        ("<3x>{C   |D   }{E   }Z", "CDCDCDEE"),
        ("{<x3>C   }{D   }Z", "CCCDD"),
        ("{C   |N1D   }   |N2E   |F   Z", "CDCEF"),
        ("{C   |N1D   |N2E   }F   Z", "CDCEF"),
        ("{C   |N1D   }|N2E   }|N3F   }G   Z", "CDCECFG"),
        ("{C   |N1D   |E   }|N2F   Z", "CDECF"),
        ("{C   |N1D   }E   |F   Z", "CDCEF"),
        ("{C   |N1D   }{E   }Z", "CDCDEE"),
        ("{C   |N1D   <3x>}{E   }Z", "CDCDCDEE"),
        ("{C   |N0D   }|N0E   Z", "CDCE"),
        ("{C   |N1D   <3x>}|N2E   |F   Z", "CDCDCEF"),
        ("{C   |N1D   }|N2E   ]{F   |N1G   }|N2A   Z", "CDCEFGFA"),
        ("[C   | x  | x  |D   Z", "CCCD"),
        ("[C   |D   |   r|   |E   Z", "CDCDE"),
        ("[C   |D   | r| Z", "CDCD"),
        ("[C   |D   | r  |E   Z", "CDCDE"),
        ("[C   |    |D   Z", "CCD"),
        ("[C   ||D   |Y|E   ]      [F   Z   ", "CDEF"),
        ("[C   |D   <Fine>|E   <D.C. al Fine>Z", "CDECD"),
        ("[C   |D   |E   ]<*36D.C. al Fine>Z<Fine>", "CDECDE"),
        ("[C   |SD   |E Q  |F<D.S. al Coda>   ][QG   Z", "CDEFDEG"),
        ("[C   |SD   |E   |QF<d.s. al coda.>   ][QG   Z", "CDEFDEG"),
        ("[C   |D   |E   <D.C. al Coda>]Q[G   Z", "CDECDEG"),
        ("[C   |D  Q|E   ][QF   Z", "CDE"),
        ("[C   |D   ][QE   Z", "CDE"),
        ("[C   |D  QZ", "CD"),
        ("{C   |N1D<Fine>   }|N2E   |F   <D.C. al 1st End.>Z", "CDCEFCD"),
        ("{C   |N1D   }|N2E   |F   <D.C. al 2nd ending>Z", "CDCEFCE"),
        ("{C   |N1D   }|N2E   |F   <D.C. al 3rd End.>|N3G   |A   Z", "CDCEFCGA"),
        ("{C   |N1D   }|N2E   ]{F   |N1G   }|N2A   <D.C. al 1st End.>Z", "CDCEFGFACD"),
        ("[A   |{SC   |N1D   }|N2E   |F   <D.S. al 2nd End.>Z", "ACDCEFCE"),
        ("[C   |D   <D.C.>|E   Z", "CDCDE"),
        ("[C   |D   <D.C. on cue>|E   <Break>Z", "CDE"),
    ],
)
def test_repeats_and_jumps_are_played(body, expected):
    assert played("T44" + body) == expected


def test_marks_before_a_bar_line_belong_to_the_next_bar():
    chart = read("*AT44[C   |D   S*B|E   <D.S.>Z")
    assert [(m.section, m.segno) for m in chart.measures] == [("A", False), ("", False), ("B", True)]
    assert [m.section for m in read("T44*A[C   ]*B   [D   Z").measures] == ["A", "B"]


def test_a_single_coda_sign_at_the_end_of_a_bar_leads_to_a_coda():
    assert [(m.to_coda, m.coda) for m in read("T44[C   |D  Q|E   Z").measures] == [(0, 0), (1, 0), (0, 0)]
    assert [(m.to_coda, m.coda) for m in read("T44[C   |QD   |E   Z").measures] == [(0, 0), (0, 1), (0, 0)]


@pytest.mark.parametrize(("after", "endings"), [("E   Z", (2,)), ("{E   }Z", ()), ("[QE   Z", ())])
def test_a_first_ending_alone_makes_the_next_bar_the_second_unless_another_part_begins(after, endings):
    assert [m.endings for m in read("T44{C   |N1D   }" + after).measures] == [(), (1,), endings]


def test_a_jump_to_an_ending_is_written_out_with_its_sections():
    chart = read("T44*A{C   |N1D   }|N2E   ]*B[F   <D.C. al 2nd End.>Z")
    assert [m.section for m in chart.measures] == ["A", "", "", "B", "A", ""]
    assert "D.C. al ending 2 is written out in 2 bars" in chart.guesses


def test_invisible_roots_keep_the_last_chord():
    chart = read("T44[D-7 W/C |W/B W |p(A7)  |W/F(W/E)   Z")
    assert shown(chart.measures) == "D-7@0 D-7/C@2 | D-7/B@0 D-7/B@2 | D-7/B(A7) | D-7/F(D-7/E)"


# The list of qualities in the description of the format.
QUALITIES = """5 2 add9 + o h sus ^ - ^7 -7 7 7sus h7 o7 ^9 ^13 6 69 ^7#11 ^9#11 ^7#5 -6 -69 -^7 -^9 -9 -11 -7b5 h9 -b6
-#5 9 7b9 7#9 7#11 7b5 7#5 9#11 9b5 9#5 7b13 7#9#5 7#9b5 7#9#11 7b9#11 7b9b5 7b9#5 7b9#9 7b9b13 7alt 13 13#11 13b9 13#9
7b9sus 7susadd3 9sus 13sus 7b13sus 11 min13 min^11 min^13 maj13#11 maj7b5 maj7#9 min7b6 min9b6 maj(add4)
min(add4) 7(add13)"""


@pytest.mark.parametrize("quality", ["", *QUALITIES.split()])
def test_every_quality_of_the_app_is_read(quality):
    for bass in ("", "/Bb"):
        [measure] = read(f"T44[Eb{quality}{bass}   Z").measures
        assert measure.chords == [(Fraction(0), parse_chord(f"Eb{quality}{bass}"))]
    # with an alternate, a size and a custom quality beside it
    [measure] = read(f"T44[sEb{quality}(A7),lG*7b9*sC{quality},nZ").measures
    assert [chord.root for _, chord in measure.chords] == [3, 7, 0, None]
    assert measure.chords[0][1].tones == parse_chord(f"Eb{quality}").tones


def test_head_of_a_tune():
    [chart] = parse_ireal(link(app(BLUES, "Song of Mine, The", "Doe Jane", "Bossa Nova", "F#-", "132")))
    assert (chart.title, chart.composer, chart.key, chart.tempo) == ("The Song of Mine", "Jane Doe", "F#m", 132)
    assert (chart.feel, chart.guesses) == ("bossa", [])
    [chart] = parse_ireal(link(app("C   |F   Z", "", "", "", "", "0")))
    assert (chart.title, chart.composer, chart.key, chart.tempo, chart.feel) == ("Untitled", "", "", None, "")
    assert list(chart.guesses) == ["4/4, the chart names no meter"]


@pytest.mark.parametrize(
    ("style", "groove", "feel", "guessed"),
    [
        ("Medium Up Swing", "", "swing", False),
        ("Bossa Nova", "", "bossa", False),
        ("Even 8ths", "", "straight", False),
        ("Rock Pop", "", "straight", False),
        ("Shuffle", "", "swing", False),
        ("Ballad", "", "ballad", False),
        ("Ballad", "Jazz-Ballad Swing", "ballad", False),
        ("Ballad", "Jazz-Ballad Even", "straight", True),
        ("Slow", "", "swing", True),
        ("Waltz", "", "waltz", False),
        ("Latin", "Jazz-Latin/Swing", "swing", True),
        ("", "Jazz-Afro 12/8", "straight", False),
    ],
)
def test_the_style_says_the_feel(style, groove, feel, guessed):
    [chart] = parse_ireal(link(app(BLUES, style=style, groove=groove)))
    assert chart.feel == feel
    assert any(f"{feel} feel, from the style" in guess for guess in chart.guesses) == guessed


def test_a_list_has_its_tunes_in_order_and_a_faulty_one_does_not_hide_the_others():
    names = ["One", "Two", "Three", "Four"]
    songs = [app("T44C   Z", "One", composer=""), app("T44Cq   Z", "Two"), app("T44D   Z", "Three", style="")]
    found = tunes(link(*songs, app("", "Four").replace(MARKER, "")))
    assert [tune.title for tune in found] == names
    assert [shown(found[i].chart().measures) for i in (0, 2)] == ["C", "D"]
    with pytest.raises(NumpyrnnError, match=r"^Two: bar 1: 'q' has no meaning there$"):
        found[1].chart()
    with pytest.raises(NumpyrnnError, match=r"^Four: changes must have a chord"):
        found[3].chart()
    plain = [old("T44C   Z", "One"), old("T44D   Z", "Two", composer="", key="D-")]
    for separator in ("=", "==="):
        found = tunes(f"irealbook://{separator.join(plain)}{separator}My list")
        assert [(tune.title, tune.key) for tune in found] == [("One", "C"), ("Two", "Dm")]


def test_links_are_found_in_any_text():
    one, two = link(app("T44C   Z", "It's One")), link(old("T44D   Z", "Two"), scheme="IREALBOOK")
    bare = f"irealbook://{old('T44[C   <D.C. al Fine>|F   <Fine>Z', 'A Tune & More')}"
    assert [tune.title for tune in tunes(f"see {one}\r\nand {two}\n{bare}\n")] == ["It's One", "Two", "A Tune & More"]
    page = f'<a href="{one.replace("%27", chr(39))}">x</a><a href="{two}">{two}</a>'
    assert [tune.title for tune in tunes(page)] == ["It's One", "Two"]
    assert [tune.title for tune in tunes(f"{one} {two}")] == ["It's One", "Two"]
    assert tunes(one.replace("%", "%25")) == tunes(one)
    assert tunes(bare.replace("&", "&amp;"))[0].title == "A Tune &amp; More"
    assert tunes(f'<a href="{bare.replace("&", "&amp;")}">')[0].title == "A Tune & More"
    assert tunes(link(app("T44C   Z", "Child Is Born, A")))[0].title == "A Child Is Born"


@pytest.mark.parametrize("count", [4, 5, 6])
def test_old_links_lack_fields(count):
    head = {4: "Old=Doe Jane=Ballad=G-", 5: "Old=Doe Jane=Ballad=G-=n", 6: "Old=Doe Jane==Ballad=G-=3"}[count]
    for tail in ("", "=", "==0=0", "=Jazz=120=3"):
        found = tunes(f"irealb://{head}={MARKER}T44C   Z{tail}==={head}={MARKER}T44D   Z{tail}===List")
        assert [(t.title, t.composer, t.key, t.style[:6]) for t in found] == [("Old", "Jane Doe", "Gm", "Ballad")] * 2
        assert [shown(t.chart().measures) for t in found] == ["C", "D"]
        assert found[0].tempo == (120 if "120" in tail else None)
    assert shown(parse_ireal("irealbook://Old=Doe Jane=Ballad=G-=T44C   Z")[0].measures) == "C"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("T44[C   |T34D  Z", "^Tune: bar 2: the meter must stay 4/4, it changes to 3/4$"),
        ("[C   |D   T12|D  Z", "^Tune: bar 3: the meter must stay 4/4, it changes to 12/8$"),
        ("[C   T34|D  Z", "^Tune: bar 2: the meter must stay 4/4, it changes to 3/4$"),
        ("T47[C   Z", "^Tune: bar 1: a meter must be like 4/4"),
        ("T44[C   |D7xyz  Z", "^Tune: bar 2: "),
        ("T44[C   |D*blue*   Z", "^Tune: bar 2: a chord must be like .*'Dblue'"),
        ("T44[C   |D7#9b9#9   Z", "^Tune: bar 2: a chord must be like .*'D7#9b9#9'.*stands twice"),
        ("T44[x   |C   Z", "^Tune: bar 1: 'x' must stand alone"),
        ("T44[C   | r  |D   Z", "^Tune: bar 2: 'r' must stand alone"),
        ("T44[p   |C   Z", "^Tune: bar 1: the first bar must begin with a chord"),
        ("T44[W/C   |C   Z", "^Tune: bar 1: the first bar must begin with a chord"),
        ("T44[C   |D   <D.S. al Coda>|QE   Z", "^Tune: D.S. al Coda needs a segno"),
        ("T44[C   |D   <D.S. al 2nd End.>|E   Z", "^Tune: D.S. al ending 2 needs a segno"),
        ("T44[C   |D   <D.C. al 2nd End.>|E   Z", "^Tune: D.C. al ending 2 needs that ending"),
        ("T44[n   Z", "^Tune: changes must have a chord"),
        ("T44{C   <99x>" + "|C   " * 200 + "}Z", "^Tune: changes must have at most 10000 bars"),
        ("T44" + "C   |" * 10_001, "^Tune: bar 10001: a chart must have at most 10000 bars"),
        (
            "T44[C" + " " * 100_000 + "|D   Z",
            "^Tune: the chords of a tune must have at most 100000 characters, got 1000[0-9]+$",
        ),
        ("T44[" + "C" * 70 + "Z", "^Tune: bar 1: a bar must have at most 64 chords"),
    ],
)
def test_a_faulty_chart_is_refused_in_one_line(body, words):
    for text in (link(app(body)), link(old(body), scheme="irealbook")):
        with pytest.raises(NumpyrnnError, match=words) as error:
            parse_ireal(text)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "Dm7 G7", "irealb://", "irealb://search?x", "irealb://a=b", "x" * 1_000_001])
def test_a_text_without_tunes_is_refused(text):
    with pytest.raises(NumpyrnnError, match=r"expected a link, irealb://|at most 1000000 characters") as error:
        parse_ireal(text)
    assert len(str(error.value)) < 250


def test_long_and_odd_names_do_not_flood_errors():
    title = "Long\n\x1b name " * 1000
    with pytest.raises(NumpyrnnError) as error:
        parse_ireal(link(app("T44[C" + "7" * 5000 + "   Z", title, style=title)))
    assert len(str(error.value)) < 500
    assert tunes(link(app(BLUES, "\x1bA\nTune\x00")))[0].title == "A Tune"


def test_long_lists_and_long_charts_are_read():
    songs = [app(SONG, f"Song {i}") for i in range(1400)]
    charts = parse_ireal(link(*songs))
    assert [chart.title for chart in charts] == [f"Song {i}" for i in range(1400)]
    assert len(read("T44[" + "C^7 A-7 |D-7 G7 |" * 500 + "Z").measures) == 1000


def attempt(text):
    """The charts, or the error."""
    try:
        return parse_ireal(text), ""
    except NumpyrnnError as error:
        return [], str(error)


@pytest.mark.torture
def test_damaged_links_give_charts_or_one_clear_line(rounds, tell):
    rng, read_, refused, slowest = random.Random(1), 0, 0, 0.0
    letters = "ABCDEFGWNSQUTZnpxrlsfYKL0123456789 -^#b+oh|[]{}<>()*/,=%'\"&;é\n\0"
    bodies = [body for body, _ in TUNES.values()]
    for n in range(rounds(400, 10_000)):
        body = list(rng.choice(bodies))
        text = link(app("".join(body), "Tune"), app(BLUES, "Other")) if n % 2 else ""
        damaged = list(text) or body
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(damaged))
            damaged[place : place + rng.randint(0, 2)] = rng.choices(letters, k=rng.randint(0, 2))
        text = "".join(damaged) if text else link(app("".join(damaged)))
        began = time.perf_counter()
        charts, error = attempt(text)
        assert bool(charts) != bool(error)
        assert not error or (error.isprintable() and len(error) < 500)
        for chart in charts:
            assert chart.played()
            assert all(m.chords[0][0] == 0 for m in chart.measures)
            assert all(a[0] < b[0] for m in chart.measures for a, b in pairwise(m.chords))
        read_, refused = read_ + bool(charts), refused + bool(error)
        slowest = max(slowest, time.perf_counter() - began)
    tell(f"{read_ + refused:,} damaged iReal Pro links: {read_:,} read, {refused:,} refused, slowest {slowest:.2f} s")
