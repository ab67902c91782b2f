"""Lead sheets in MusicXML: where chords stand, in which order measures are played, and what the head says."""

from fractions import Fraction

import pytest
from musicxml_samples import (
    attributes,
    barline,
    compressed,
    degree,
    harmony,
    measure,
    note,
    part,
    score,
    sign,
    whole,
    words,
)

from jazz.changes import Changes, parse_changes
from jazz.charts.musicxml import is_musicxml, read_musicxml
from jazz.grammar import Element
from jazz.playing.leadsheet import lead_sheet
from numpyrnn import NumpyrnnError

C, D, E, F, G, A = (harmony(root) for root in "CDEFGA")
REPEAT, FORWARD = '<repeat direction="backward"/>', '<repeat direction="forward"/>'


def bars(content):
    """Each bar as text: chords with their onsets, such as "C G@2"."""
    chart = read_musicxml(content)
    return [" ".join(f"{c}@{onset}" if onset else str(c) for onset, c in m.chords) for m in chart.measures]


def order(*measures, **options):
    """The chords in the order in which they are played."""
    return str(Changes.of(read_musicxml(score(*measures, **options)))).replace(" | ", "")


def ending(number, kind, location):
    return barline(f'<ending number="{number}" type="{kind}"/>' + REPEAT * (kind == "stop"), location)


# where chords stand


@pytest.mark.parametrize(
    "content",
    [
        C + note(2) + G + note(2),  # each before its note
        C + harmony("G", offset=2) + note(4),  # both before a long note
        C + note(4) + harmony("G", offset=-2),  # back from the end
        C + note(4) + "<backup><duration>2</duration></backup>" + G,
        C + "<forward><duration>2</duration></forward>" + G + "<forward><duration>2</duration></forward>" + note(0),
        note(4) + "<backup><duration>4</duration></backup>" + C + note(2) + G + note(2),  # a second voice
        C + note(2) + note(2, "<chord/>") + G + note(1) + note(0, "<grace/>") + note(1, "<cue/>"),
        C + note(2) + attributes(8) + G + note(16),  # other divisions from here on
        harmony("C", more=' print-frame="no" default-y="30"') + note(2) + harmony("G", offset="0.0") + note(2),
        harmony("C", offset=0) + harmony("G", offset=2) + "<forward><duration>4</duration></forward>" + note(0),
    ],
)
def test_a_chord_stands_where_the_notes_before_it_and_its_offset_say(content):
    assert bars(score(content, D)) == ["C G@2", "D"]


def test_onsets_are_exact_and_small_deviations_are_rounded():
    triplets = "".join(harmony(root) + note(8) for root in "CDE") + note(12)
    assert bars(score(triplets + note(12), first=attributes(12))) == ["C D@2/3 E@4/3"]
    assert bars(score(C + note(479) + D + note(1441), first=attributes(480))) == ["C D@1"]


def test_a_chord_at_the_end_of_a_measure_belongs_to_the_next():
    assert bars(score(C + note() + D, "", E)) == ["C", "D", "E"]
    assert bars(score(C, harmony("D", offset=-1) + note(), E)) == ["C D@3", "D", "E"]


def test_a_chord_at_the_end_of_a_measure_gives_way_to_one_at_the_beginning_of_the_next():
    chart = read_musicxml(score(measure(note(1) + G, 0, ' implicit="yes"'), C, D))
    assert [m.chords[0][1].tones for m in chart.measures] == [(0, 4, 7), (2, 6, 9)]
    assert "measure 0: G stands over C and is not played" in chart.guesses


def test_a_chord_after_the_end_is_left_out_and_told():
    chart = read_musicxml(score(C, D + note() + harmony("E", offset=1)))
    assert "measure 2: E stands after the end and is left out" in chart.guesses


def test_a_measure_without_chords_keeps_the_last_one():
    assert bars(score(C + harmony("G", offset=2), "", note(2) + A + note(2), "")) == ["C G@2", "G", "G A@2", "A"]


def test_what_stands_before_the_first_chord_has_none():
    assert bars(score("", note(2) + C + note(2))) == ["N.C.", "N.C. C@2"]


def test_a_second_ending_begins_with_the_chord_before_the_first():
    first, second = ending(1, "start", "left") + D + ending(1, "stop", "right"), ending(2, "start", "left")
    assert bars(score(C, first, second)) == ["C", "D", "C"]


def test_a_measure_repeat_has_the_chords_of_the_measures_before():
    start = '<attributes><measure-style><measure-repeat type="start">{}</measure-repeat></measure-style></attributes>'
    stop = '<attributes><measure-style><measure-repeat type="stop"/></measure-style></attributes>'
    two = C + harmony("G", offset=2)
    assert bars(score(two, start.format(1), "", stop)) == ["C G@2", "C G@2", "C G@2", "G"]
    assert bars(score(C, D, start.format(2), "", stop)) == ["C", "D", "C", "D", "D"]


def test_a_multiple_rest_is_as_many_measures():
    rest = "<attributes><measure-style><multiple-rest>2</multiple-rest></measure-style></attributes>"
    assert bars(score(C, rest, "", D)) == ["C", "C", "C", "D"]


def test_several_chords_at_one_place():
    chart = read_musicxml(score(C + harmony("G", "minor-seventh", "m7") + C + note(), D))
    assert [str(chord) for _, chord in chart.measures[0].chords] == ["C(Gm7)"]
    assert chart.measures[0].chords[0][1].tones == (0, 4, 7)
    assert chart.guesses == ["measure 1: Gm7 stands over C and is not played"]
    alternate = harmony("A", "minor", "m", more=' type="alternate"')
    assert bars(score(alternate + D + note(), "")) == ["D(Am)", "D"]


def test_parts_and_voices():
    silent = part(attributes() + note(2) + note(2), barline(REPEAT), name="P1")
    sounding = part(attributes(2) + C + note(8), D + note(8), name="P2")
    other = part(attributes() + E, F, name="P3")
    chart = read_musicxml(whole(silent, sounding, other))
    assert str(Changes.of(chart)) == "C | D | C | D"  # the signs of a part without chords hold too
    assert chart.guesses == ["2 parts have chords, those of the first are read"]


def test_timewise_scores():
    first = measure(part(name="P1").replace("></part>", ">" + attributes() + note() + "</part>")).replace(
        "</measure>", f'<part id="P2">{attributes()}{C}{note()}</part></measure>'
    )
    second = measure(f'<part id="P1">{barline(REPEAT)}</part><part id="P2">{D}{note()}</part>', 2)
    assert str(Changes.of(read_musicxml(whole(first, second, root="score-timewise")))) == "C | D | C | D"


# the order in which measures are played


def test_repeats():
    assert order(C, D + barline(REPEAT), E) == "CDCDE"
    assert order(C, barline(FORWARD, "left") + D + barline('<repeat direction="backward" times="3"/>'), E) == "CDDDE"
    assert order(C + barline(FORWARD), D + barline(REPEAT), E) == "CDDE"  # a forward repeat at the end of a measure
    assert order(C, D, barline(REPEAT, "left") + E) == "CDCDE"


def test_endings():
    def volta(first, second):
        return order(
            C,
            ending(first, "start", "left") + D + ending(first, "stop", "right"),
            ending(second, "start", "left") + E + ending(second, "discontinue", "right"),
            F,
        )

    assert volta("1", "2") == "CDCEF"
    assert volta("1, 2", "3") == volta("1,2", "3.") == "CDCDCEF"
    numbered = '<ending number=" " type="start">1.</ending>'
    stop = barline('<ending number="1" type="stop"/>' + REPEAT)
    assert order(C, barline(numbered, "left") + D + stop, ending(2, "start", "left") + E) == "CDCE"
    long = ending(1, "start", "left") + D
    assert order(C, long, E + ending(1, "stop", "right"), ending(2, "start", "left") + F, G) == "CDECFG"


@pytest.mark.parametrize(
    ("coda_at", "jump"),
    [
        (words("To Coda", '<sound tocoda="coda1"/>'), words("D.C. al Coda", '<sound dacapo="yes"/>')),
        (words("to coda"), words("D.C. al Coda")),
        ('<sound tocoda="coda1"/>', '<sound dacapo="yes"/>'),
        (sign("coda", '<sound tocoda="1"/>'), words("DC al Coda")),
        (words("To \u2295"), words("Da Capo al Coda")),
        (
            sign("words", "").replace("<words/>", "<words>To</words>") + sign("coda", '<sound tocoda="1"/>'),
            words("D. C. al coda"),
        ),
    ],
)
def test_da_capo_al_coda(coda_at, jump):
    for coda in (sign("coda"), sign("coda", '<sound coda="coda1"/>'), words("Coda"), '<sound coda="coda1"/>'):
        assert order(C, D + coda_at, E + jump, coda + F, G) == "CDECDFG"


@pytest.mark.parametrize("segno", [sign("segno"), '<sound segno="segno1"/>', barline("<segno/>", "left")])
@pytest.mark.parametrize("fine", [words("Fine"), words("fine."), '<sound fine="yes"/>'])
@pytest.mark.parametrize("jump", [words("D.S. al Fine", '<sound dalsegno="segno1"/>'), words("Dal Segno al fine")])
def test_dal_segno_al_fine(segno, fine, jump):
    assert order(C, segno + D, E + fine, F + jump) == "CDEFDE"


def test_of_two_bare_coda_signs_the_first_is_to_coda():
    measures = C, D + sign("coda"), E + words("D.C. al Coda"), sign("coda") + F
    assert order(*measures) == "CDECDF"
    assert read_musicxml(score(*measures)).guesses == ["the coda sign of measure 2 is taken as To Coda"]


def test_many_guesses_are_cut_short():
    chart = read_musicxml(score(*[C + note(1) + note(2)] * 50))
    assert len(chart.guesses) == 21
    assert chart.guesses[-1] == "and 29 others"


def test_jumps_without_an_aim():
    assert order(C, D + words("D.C.")) == "CDCD"
    assert order(C, D, '<sound dacapo="no"/>' + E) == "CDE"
    assert order(C, D + '<sound fine="yes"/>', E + '<sound dacapo="yes"/>') == "CDECD"
    assert order(C, sign("segno") + D, E + '<sound dalsegno="x"/>') == "CDEDE"


def test_words_that_are_no_signs():
    assert (
        order(C + words("Medium up swing, define the time"), D + words("encode"), E + words("To the bridge")) == "CDE"
    )


def test_sections_and_double_bars():
    rehearsal = "<direction><direction-type><rehearsal>A</rehearsal></direction-type></direction>"
    boxed = '<direction><direction-type><words enclosure="square">B</words></direction-type></direction>'
    double = barline("<bar-style>light-light</bar-style>")
    chart = read_musicxml(score(rehearsal + C, D + double, boxed + E, F, double.replace("right", "left") + G))
    assert [m.section for m in chart.measures] == ["A", "", "B", "", ""]
    assert [m.double for m in chart.measures] == [False, True, False, True, False]


# pickups and halves


def test_a_pickup_is_left_out():
    pickup = measure(note(1), 0, ' implicit="yes"')
    chart = read_musicxml(score(pickup, C, D + note(3)))
    assert (chart.pickup, len(chart.measures)) == (1, 2)
    assert bars(score(measure(note(1), 1), C, D)) == ["C", "D"]
    chart = read_musicxml(score(measure(G + note(1), 0), note(), C))
    assert "measure 0 is a pickup of 1 quarter; its chords are not played" in chart.guesses
    assert [str(m.chords[0][1]) for m in chart.measures] == ["G", "C"]
    assert bars(
        score(pickup, C, D, first=attributes(1, 1, 4)).replace(b"<harmony", attributes().encode() + b"<harmony", 1)
    ) == ["C", "D"]


def test_signs_of_a_pickup_hold_for_the_first_measure():
    pickup = measure(barline(FORWARD, "left") + sign("segno") + note(1), 0, ' implicit="yes"')
    assert order(pickup, C + words("Fine"), D + barline(REPEAT), E + words("D.S. al Fine")) == "CDCDEC"


def test_two_halves_make_one_measure():
    half, rest = (
        measure(D + note(3) + barline(REPEAT), 2),
        measure(barline(FORWARD, "left") + note(1), "X1", ' implicit="yes"'),
    )
    chart = read_musicxml(score(C, half, rest, E, F + barline(REPEAT)))
    assert str(Changes.of(chart)) == "C | D | C | D | E | F | E | F"
    assert "measures 2 and X1 are two halves of one" in chart.guesses
    rest = measure(G + note(1), "X1", ' implicit="yes"')
    assert bars(score(C, half, rest, E)) == ["C", "D G@3", "E"]


def test_an_additive_meter_is_its_sum():
    chart = read_musicxml(score(C + note(5), D + harmony("E", offset=3) + note(5), first=attributes(2, "3 + 2", 8)))
    assert (chart.meter, [len(m.chords) for m in chart.measures]) == ((5, 8), [1, 2])


def test_a_short_measure_is_filled_up():
    chart = read_musicxml(score(C, D + note(2), E))
    assert len(chart.measures) == 3
    assert "measure 2 lasts 2 quarters and is filled up to 4" in chart.guesses


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            score(C, D, attributes(1, 3) + E + note(3)),
            "measure 3: a chart must have one meter, it changes from 4/4 to 3/4",
        ),
        (score(C, note(5)), "measure 2 must last at most 4 quarters, got 5"),
        (score(C, first="<attributes><time><senza-misura/></time></attributes>"), "such as 4/4; got senza misura"),
        (
            score(
                C,
                first="<attributes><time><beats>3</beats><beat-type>8</beat-type><beats>2</beats><beat-type>8</beat-type></time></attributes>",
            ),
            "got 3 2",
        ),
        (score(C, first=attributes(1, 0)), "a meter must be like 4/4"),
        (score(C, first=attributes(1, 4, 3)), "a meter must be like 4/4"),
        (score("", ""), "a chart must have chords, the score has no harmony elements"),
        (
            score(C, barline(REPEAT, "middle")),
            "measure 2: a repeat must stand at the beginning or the end of a measure",
        ),
        (score(C, harmony("H")), "measure 2: a root must be A to G"),
        (
            score(C, "<note><duration>-1</duration></note>"),
            "measure 2: a duration must not be negative",
        ),
        (score(C, "<note><duration>NaN</duration></note>"), "measure 2: a duration must be a number, got 'NaN'"),
        (score(C, "<note><duration>1e5</duration></note>"), "measure 2: a duration must be a number, got '1e5'"),
        (score(C, first=attributes("-2")), "measure 1: divisions must be above 0, got -2"),
        (score(C, first=attributes("inf")), "measure 1: divisions must be a number, got 'inf'"),
        (score(C + barline('<repeat direction="backward" times="999999999"/>')), "times of a repeat must be 1 to 100"),
        (score(C + barline('<repeat direction="backward" times="0"/>')), "times of a repeat must be 1 to 100, got 0"),
        (score(C + barline('<ending number="999999999" type="start"/>')), "the number of an ending must be 1 to 100"),
        (
            score("".join(harmony("C", offset=f"{i / 24:.4f}") for i in range(96)) + note()),
            "must have at most 64 chords",
        ),
    ],
)
def test_what_is_no_chart_is_refused_in_one_line(content, told):
    with pytest.raises(NumpyrnnError) as caught:
        read_musicxml(content)
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


# the head


def key(fifths, mode=""):
    return f"<attributes><key><fifths>{fifths}</fifths>{mode and f'<mode>{mode}</mode>'}</key></attributes>"


@pytest.mark.parametrize(
    ("fifths", "mode", "name"),
    [
        *((0, "major", "C"), (-2, "", "Bb"), (-7, "major", "Cb"), (6, "major", "F#"), (7, "none", "C#")),
        *((0, "minor", "Am"), (-4, "minor", "Fm"), (3, "minor", "F#m"), (-7, "minor", "Abm"), (7, "minor", "A#m")),
        *((0, "dorian", ""), (8, "major", ""), ("x", "major", ""), (-1, "aeolian", "Dm")),
    ],
)
def test_the_key(fifths, mode, name):
    assert read_musicxml(score(key(fifths, mode) + C)).key == name


def metronome(unit, number, dots=0):
    inside = f"<beat-unit>{unit}</beat-unit>{'<beat-unit-dot/>' * dots}<per-minute>{number}</per-minute>"
    return f"<direction><direction-type><metronome>{inside}</metronome></direction-type></direction>"


@pytest.mark.parametrize(
    ("marks", "tempo"),
    [
        ('<sound tempo="132"/>', 132),
        ('<direction><sound tempo="66.5"/></direction>', 66),
        (metronome("quarter", 120), 120),
        (metronome("half", 100), 200),
        (metronome("quarter", 60, 1), 90),
        (metronome("eighth", "c. 160"), 80),
        (metronome("half", 60, 1), 180),
        ('<sound tempo="NaN"/>', None),
        ('<sound tempo="1000000000"/>', None),
        ("", None),
    ],
)
def test_the_tempo_is_in_quarters_a_minute(marks, tempo):
    assert read_musicxml(score(marks + C)).tempo == tempo


@pytest.mark.parametrize(
    ("marks", "feel"),
    [
        (words("Medium Swing"), "swing"),
        (words("Straight 8ths"), "straight"),
        ("<sound><swing><first>2</first><second>1</second></swing></sound>", "swing"),
        ("<sound><swing><straight/></swing></sound>", "straight"),
        (words("Swingle"), ""),
        ("", ""),
    ],
)
def test_the_feel(marks, feel):
    assert read_musicxml(score(marks + C)).feel == feel


@pytest.mark.parametrize(
    ("head", "title", "composer"),
    [
        ("<work><work-title>Blue Door</work-title></work><movement-title>x</movement-title>", "Blue Door", ""),
        ("<work/><movement-title> Blue\n Door </movement-title>", "Blue Door", ""),
        ("<credit><credit-words>Blue Door</credit-words></credit>", "Blue Door", ""),
        (
            "<credit><credit-words>x</credit-words></credit><credit><credit-type>title</credit-type>"
            "<credit-words>Blue Door</credit-words></credit>",
            "Blue Door",
            "",
        ),
        (
            '<identification><creator type="lyricist">L</creator><creator type="composer">A. B.</creator>'
            "</identification>",
            "",
            "A. B.",
        ),
        ("<work><work-title>a\u202eb\u0085</work-title></work>", "a b", ""),
    ],
)
def test_title_and_composer(head, title, composer):
    chart = read_musicxml(score(C, head=head))
    assert (chart.title, chart.composer) == (title, composer)


def transposed(chromatic):
    return f"<attributes><transpose><chromatic>{chromatic}</chromatic></transpose></attributes>"


def test_chords_of_a_part_at_concert_pitch_come_first():
    trumpet, piano = part(transposed(-2) + harmony("D")), part(harmony("C"), name="P2")
    chart = read_musicxml(whole(trumpet, piano))
    assert str(Changes.of(chart)) == "C"
    assert chart.guesses == ["2 parts have chords, those of the first are read", "no meter is given, 4/4 is taken"]


@pytest.mark.parametrize("chromatic", [0, -12, 24])
def test_a_part_that_sounds_octaves_away_is_not_transposed(chromatic):
    assert read_musicxml(score(C, first=attributes() + transposed(chromatic))).guesses == []


def test_what_is_guessed_is_told():
    chart = read_musicxml(score(harmony("C", "dominant", "7alt"), first=transposed(-2)))
    assert chart.guesses == [
        "the part is for a transposing instrument, its chords are read as written",
        "no meter is given, 4/4 is taken",
        "measure 1: C7alt is printed, kind and degrees say C7",
    ]


def test_an_ordinary_score_needs_no_guess():
    chart = read_musicxml(score(C, harmony("D", "dominant", "7", degree(9, -1))))
    assert (chart.guesses, chart.meter, chart.pickup) == ([], (4, 4), Fraction(0))


def test_a_chart_of_1000_bars_is_read():
    sounds = [
        harmony(root, kind, alter=alter)
        for root in "CDEFGAB"
        for kind in ("minor-seventh", "dominant-13th")
        for alter in (0, -1)
    ]
    content = score(*[sounds[i % 28] + note(2) + sounds[(i + 5) % 28] + note(1) * 2 for i in range(1000)])
    chart = read_musicxml(content)
    assert [len(measure.chords) for measure in chart.measures] == [2] * 1000


def test_what_the_lead_sheet_writes_is_read_back():
    """Chords whose kind says all their tones; with onsets, meter, tempo and feel."""
    changes = parse_changes("Dm7 G7 | Cmaj7 | Bbm7 Eb7 Abmaj7 | F#m7b5 B7 | Em6/G | N.C. | Aaug Ddim7 | Gm9", (3, 4))
    sheet = lead_sheet("Blue Door", [Element(Fraction(0), changes.end, ())], changes, 132)
    chart = read_musicxml(sheet)
    assert Changes.of(chart).bars == changes.bars
    assert (chart.meter, chart.tempo, chart.feel, chart.title) == ((3, 4), 132, "waltz", "Blue Door")


def test_is_musicxml():
    plain = score(C)
    for content in (plain, compressed(plain), plain.decode().encode("utf-16"), b"\n" + plain, b"\xef\xbb\xbf" + plain):
        assert is_musicxml(content)
    for content in (b"", b"PK", b"<html>", b"MThd", b"Dm7 | G7", b"score-partwise"):
        assert not is_musicxml(content)
