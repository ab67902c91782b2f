"""A chart or a solo as MusicXML: what is played in which order, and what stands around the notes."""

import random
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from xml.etree import ElementTree

import pytest
from music21 import bar, converter, expressions, harmony, note, stream, tempo

from jazz.changes import Changes, form, parse_changes
from jazz.charts.chart import JUMPS, Chart, Measure
from jazz.charts.sheet import chart_sheet
from jazz.chords import parse_chord
from jazz.grammar import Element
from jazz.playing.leadsheet import lead_sheet
from jazz.playing.performance import improvise
from numpyrnn import NumpyrnnError

F = Fraction
NAMES = [root + quality for quality in ("", "m", "7") for root in "CDEFGAB"]
FIRST, SECOND, THIRD = ({"endings": (time,), "ends": 2 * (time < 3)} for time in (1, 2, 3))
LAST = {"endings": (2,)}


def chart(*measures, **head):
    """A chart of measures with these signs, each with a chord of its own."""
    chords = [[(F(0), parse_chord(NAMES[i % len(NAMES)]))] for i in range(len(measures))]
    return Chart([Measure(bar, **signs) for bar, signs in zip(chords, measures, strict=True)], **head)


def parse(xml):
    return converter.parse(xml.decode(), format="musicxml", forceSource=True)


def by_music21(xml):
    """The roots and kinds of the chords as music21 plays the file."""
    part = parse(xml).expandRepeats().parts[0]
    return [symbol.figure.replace("-", "b") for symbol in part.recurse().getElementsByClass(harmony.ChordSymbol)]


def by_specification(xml):
    """The numbers of the measures in the order of the specification of MusicXML 4.0, without the pickup."""
    measures = [m for m in ElementTree.fromstring(xml).iter("measure") if m.get("implicit") != "yes"]
    inside, bracket = None, []  # the endings of each measure
    for measure in measures:
        for ending in measure.iter("ending"):
            numbers = {int(number) for number in ending.get("number").split(",")}
            assert (inside is None) == (ending.get("type") == "start")
            inside = numbers if inside is None else inside
            assert numbers == inside
            if ending.get("type") == "start":
                bracket.append(inside)
            else:
                bracket += [inside] if len(bracket) < measures.index(measure) + 1 else []
                inside = None
        if len(bracket) < measures.index(measure) + 1:
            bracket.append(inside)
    assert inside is None

    def has(i, direction):
        return measures[i].find(f"barline/repeat[@direction='{direction}']") is not None

    def total(start):
        """How often the passage from `start` on is played."""
        numbers, i = set(), start
        while i < len(measures) and not (i > start and has(i, "forward")) and not (numbers and not bracket[i]):
            numbers |= bracket[i] or set()
            if has(i, "backward") and not bracket[i]:
                return times(i)
            i += 1
        return max(numbers, default=1)

    def times(i):
        return int(measures[i].find("barline/repeat[@direction='backward']").get("times", "2"))

    def after_jump(start):
        """Whether the next repeat says that it is played after a jump."""
        repeats = (measure.find("barline/repeat[@direction='backward']") for measure in measures[start:])
        return next((repeat.get("after-jump") == "yes" for repeat in repeats if repeat is not None), False)

    def find(attribute):
        sounds = (measure.find(f"direction/sound[@{attribute}]") for measure in measures)
        return next(i for i, sound in enumerate(sounds) if sound is not None)

    i, start, time, jumped, order = 0, 0, 1, False, []
    while i < len(measures):
        assert len(order) < 1000
        if has(i, "forward") and start != i:
            start, time = i, 1
        if jumped and not after_jump(start):
            time = total(start)
        if bracket[i] and time not in bracket[i]:
            i += 1
            continue
        order.append(int(measures[i].get("number")))
        sounds = {name for sound in measures[i].iterfind("direction/sound") for name in sound.attrib}
        if has(i, "backward") and time < total(start):  # the default of after-jump is no
            i, time = start, time + 1
            continue
        if has(i, "backward") or (bracket[i] and i + 1 < len(measures) and not bracket[i + 1]):
            start, time = i + 1, 1
        if jumped and "fine" in sounds:
            break
        if not jumped and {"dacapo", "dalsegno"} & sounds:
            i, jumped = 0 if "dacapo" in sounds else find("segno"), True
            start = i
        elif jumped and "tocoda" in sounds:
            i = start = find("coda")
        else:
            i += 1
    return order


FORMS = {
    "through": [{}, {}, {}],
    "repeat": [{"begins": True}, {"ends": 2}, {}],
    "three times": [{"begins": True}, {"ends": 3}, {}],
    "repeats without a beginning": [{}, {"ends": 2}, {"ends": 2}, {}],
    "once": [{"begins": True}, {"ends": 1}, {}],
    "two repeats": [{"begins": True}, {"ends": 2}, {"begins": True}, {"ends": 2}],
    "two endings": [{"begins": True}, {}, FIRST, LAST, {}],
    "endings of two bars": [{"begins": True}, {"endings": (1,)}, FIRST, LAST, LAST, {}],
    "an ending for two times": [{}, {"endings": (1, 2), "ends": 3}, {"endings": (3,)}, {}],
    "a first ending for the times without one": [{}, {"endings": (1,), "ends": 3}, {"endings": (3,)}, {}],
    "three endings": [{"begins": True}, FIRST, SECOND, THIRD, {}],
    "a repeat sign after the last ending": [{"begins": True}, FIRST, SECOND, {}],
    "D.C.": [{}, {}, {"jump": "D.C."}],
    "D.C. al Fine": [{}, {"fine": True}, {}, {"jump": "D.C. al Fine"}],
    "D.C. al Fine after a repeat": [{"begins": True}, {"ends": 2}, {"fine": True}, {}, {"jump": "D.C. al Fine"}],
    "D.C. al Coda": [{}, {"to_coda": True}, {}, {"jump": "D.C. al Coda"}, {"coda": True}, {}],
    "D.S.": [{}, {"segno": True}, {"jump": "D.S."}],
    "D.S. al Fine": [{}, {"segno": True}, {"fine": True}, {"jump": "D.S. al Fine"}],
    "D.S. al Coda": [{}, {"segno": True}, {"to_coda": True}, {"jump": "D.S. al Coda"}, {"coda": True}],
}
# music21 cannot expand an ending for the times 1 and 3, and plays repeats after a jump again.
BEYOND_MUSIC21 = {
    "endings in turn": [
        {"begins": True},
        {"endings": (1, 3), "ends": 2},
        {"endings": (2,), "ends": 2},
        {"endings": (4,)},
    ],
    "endings before D.S. al Coda": [
        *({"segno": True, "begins": True}, FIRST, LAST),
        *({"to_coda": True}, {"jump": "D.S. al Coda"}, {"coda": True, "ends": 2}, {}),
    ],
}


@pytest.mark.parametrize("name", FORMS)
def test_music21_plays_the_bars_of_the_chart(name):
    tune = chart(*FORMS[name])
    assert by_music21(chart_sheet(tune)) == [str(measure.chords[0][1]) for measure in tune.played()]


@pytest.mark.parametrize("name", [*FORMS, *BEYOND_MUSIC21])
@pytest.mark.parametrize("pickup", [F(0), F(1)])
def test_a_reader_of_the_specification_plays_the_bars_of_the_chart(name, pickup):
    tune = chart(*(FORMS | BEYOND_MUSIC21)[name], pickup=pickup)
    numbers = [tune.measures.index(measure) + 1 for measure in tune.played()]
    assert by_specification(chart_sheet(tune)) == numbers


def random_form(rng):
    """Passages with and without repeats and endings, and perhaps a jump after the last one."""
    measures = []
    for _ in range(rng.randint(1, 4)):
        passage = [{} for _ in range(rng.randint(1, 3))]
        times = rng.choice([1, 2, 2, 3])
        passage[0]["begins"] = rng.random() < 0.8
        if times > 1 and rng.random() < 0.5:
            for time in range(1, times + 1):
                ending = [{"endings": (time,)} for _ in range(rng.randint(1, 2))]
                ending[-1]["ends"] = 2 * (time < times)
                passage += ending
        elif times > 1:
            passage[-1]["ends"] = times
        measures += passage
    if rng.random() < 0.6:
        jump = rng.choice(JUMPS)
        plain = [i for i, signs in enumerate(measures) if not signs.get("endings") and not signs.get("ends")]
        measures.append({"jump": jump})
        if jump.startswith("D.S."):
            starts = [i for i, signs in enumerate(measures[:-1]) if signs.get("begins") or not i]
            measures[rng.choice(starts)]["segno"] = True
        if jump.endswith("Fine") and plain:
            measures[rng.choice(plain)]["fine"] = True
        if jump.endswith("Coda") and plain:
            measures[rng.choice(plain)]["to_coda"] = True
            measures += [{"coda": True}, {}]
    return measures


@pytest.mark.torture
def test_any_form_is_played_from_the_sheet_as_from_the_chart(rounds, tell):
    rng, count = random.Random(4), 0
    for _ in range(rounds(200, 5_000)):
        tune = chart(*random_form(rng), key="C")
        tune = replace(tune, measures=[replace(m, section=f"S{i}") for i, m in enumerate(tune.measures)])
        try:
            played = tune.played()
        except NumpyrnnError:
            continue
        count += 1
        numbers = [int(measure.section[1:]) + 1 for measure in played]
        assert by_specification(chart_sheet(tune)) == numbers, list(tune.measures)
    tell(f"{count:,} random forms with repeats, endings and jumps are played from MusicXML as from the chart")
    assert count > 100


def root_of(tune):
    return ElementTree.fromstring(chart_sheet(tune))


TUNE = chart(
    *({"section": "A", "begins": True}, {}, {}, {"ends": 2}, {"section": "B", "double": True}, {}, {"section": "Coda"}),
    title="A <tune> & more é\x07",
    composer="Composer of it",
    key="Bb",
    tempo=140,
    feel="swing",
)


def test_title_composer_key_and_tempo_are_written():
    score = parse(chart_sheet(TUNE))
    assert score.metadata.title == "A <tune> & more é"
    assert score.metadata.composer == "Composer of it"
    first = score.parts[0].getElementsByClass(stream.Measure)[0]
    assert (first.keySignature.sharps, first.keySignature.mode) == (-2, "major")
    assert score.recurse().getElementsByClass(tempo.MetronomeMark).first().number == 140
    assert [words.content for words in score.recurse().getElementsByClass(expressions.TextExpression)] == ["Swing"]
    swing = ElementTree.fromstring(chart_sheet(TUNE)).find(".//sound/swing")
    assert [(child.tag, child.text) for child in swing] == [("first", "2"), ("second", "1"), ("swing-type", "eighth")]


def test_what_is_not_known_is_not_written():
    root = root_of(chart({}, {}))
    for tag in ("work", "identification", "direction", "print"):
        assert root.find(f".//{tag}") is None
    assert root.findtext(".//key/fifths") == "0"  # estimated


@pytest.mark.parametrize(("meter", "swings"), [((4, 4), True), ((3, 4), True), ((2, 2), True), ((6, 8), False)])
def test_swing_is_written_where_eighths_are_not_the_beat(meter, swings):
    xml = chart_sheet(replace(TUNE, meter=meter))
    assert (b"<swing>" in xml) == (b"Swing" in xml) == swings


def test_sections_are_rehearsal_marks_that_begin_a_line_after_a_double_bar():
    measures = root_of(TUNE).findall(".//measure")
    assert [m.findtext("direction/direction-type/rehearsal") for m in measures] == ["A", *[None] * 3, "B", None, "Coda"]
    assert [m.get("number") for m in measures if m.find("print[@new-system='yes']") is not None] == ["5", "7"]
    styles = [m.findtext("barline[@location='right']/bar-style") for m in measures]
    assert styles == [None, None, None, "light-heavy", "light-light", "light-light", "light-heavy"]


def test_a_line_has_four_bars_and_a_section_begins_a_new_one():
    tune = chart(*[{"section": "A" * (i in (0, 6))} for i in range(12)])
    broken = [m.get("number") for m in root_of(tune).iter("measure") if m.find("print") is not None]
    assert broken == ["5", "7", "11"]


def test_a_pickup_is_an_implicit_measure_of_its_length():
    pickup, first = root_of(replace(TUNE, pickup=F(3, 2))).findall(".//measure")[:2]
    assert (pickup.get("number"), pickup.get("implicit"), first.get("number")) == ("0", "yes", "1")
    assert int(pickup.findtext("note/duration")) * 2 == 3 * int(pickup.findtext("attributes/divisions"))
    assert pickup.find(".//slash") is None  # it has a rest
    assert [element.tag for element in first.find("attributes")] == ["measure-style"]
    assert first.find("barline/repeat[@direction='forward']") is not None


@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (5, 4), (6, 8), (7, 8), (2, 2)])
def test_chords_stand_on_their_beats_over_slashes(meter):
    changes = parse_changes("C Dm7 G7 | F | Bb7 Eb^7(Gm7) N.C. | C D E F G A B", meter)
    tune = Chart([Measure(chords) for chords in changes.bars], meter)
    score = parse(chart_sheet(tune))
    measures = score.parts[0].getElementsByClass(stream.Measure)
    for measure, chords in zip(measures, changes.bars, strict=True):
        found = [F(symbol.offset).limit_denominator(99) for symbol in measure.getElementsByClass(harmony.ChordSymbol)]
        assert found == [onset for onset, _ in chords]
        assert [F(rest.quarterLength) for rest in measure.getElementsByClass(note.Rest)] == [changes.bar]
    assert root_of(tune).find(".//measure-style/slash[@type='start']") is not None
    assert not list(score.recurse().getElementsByClass(note.Note))


def test_signs_have_their_sounds():
    tune = chart({}, {"segno": True}, {"to_coda": True}, {"jump": "D.S. al Coda"}, {"coda": True, "fine": True})
    found = {}
    for direction in root_of(tune).iter("direction"):
        kind = direction.find("direction-type")[0]
        found[kind.text or kind.tag] = dict(direction.find("sound").attrib)
        assert (direction.find("offset[@sound='yes']") is None) == (kind.tag != "words")
    assert found == {
        **{"segno": {"segno": "segno"}, "coda": {"coda": "coda"}, "To Coda": {"tocoda": "coda"}},
        **{"D.S. al Coda": {"dalsegno": "segno"}, "Fine": {"fine": "yes"}},
    }


def test_a_chart_that_cannot_be_played_is_refused():
    with pytest.raises(NumpyrnnError, match=r"D\.S\. needs a segno"):
        chart_sheet(chart({}, {"jump": "D.S."}))


def test_the_same_chart_gives_the_same_bytes_and_needs_no_music21():
    code = (
        "import sys; from jazz.charts.text import parse_chart; from jazz.charts.sheet import chart_sheet;"
        "sys.stdout.buffer.write(chart_sheet(parse_chart('|: Dm7 G7 :| C6/9'))); assert 'music21' not in sys.modules"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1]
    for word in (b"music21", b"software", b"date", b"encoder"):
        assert word not in runs[0]


# a solo


def solo_sheet(changes, pitches=(60,)):
    length = changes.end / len(pitches)
    made = [Element(length * i, length, (pitch,)) for i, pitch in enumerate(pitches)]
    return ElementTree.fromstring(lead_sheet("", made, changes, 120))


def test_a_solo_has_the_key_composer_sections_and_double_bars_of_its_changes():
    changes = replace(Changes.of(TUNE), key="Ebm").times(2).with_ending()
    root = solo_sheet(changes)
    assert (root.findtext(".//fifths"), root.findtext(".//mode")) == ("-6", "minor")
    assert root.findtext("identification/creator[@type='composer']") == "Composer of it"
    marks = [mark.text for mark in root.iter("rehearsal")]
    assert marks == ["A", "A", "B", "Coda"] * 2
    styles = [m.findtext("barline/bar-style") for m in root.iter("measure")]
    chorus = [
        None,
        None,
        None,
        "light-light",
        None,
        None,
        None,
        "light-light",
        "light-light",
        "light-light",
        "light-light",
    ]
    assert styles == [*chorus, *chorus, "light-heavy"]


def test_each_chorus_ends_with_a_double_bar():
    styles = [m.findtext("barline/bar-style") for m in solo_sheet(form("blues-f").times(3)).iter("measure")]
    chorus = [None] * 11
    assert styles == [*chorus, "light-light", *chorus, "light-light", *chorus, "light-heavy"]


@pytest.mark.parametrize(
    ("key", "pitches", "expected"),
    [
        ("D", (66, 65, 61, 60), ["F#", "F natural", "C#", "C natural"]),
        ("D", (61, 66, 68, 70), ["C#", "F#", "G# sharp", "B- flat"]),
        ("Eb", (70, 71, 63, 64), ["B-", "B natural", "E-", "E natural"]),
        ("Gb", (71, 72, 66, 67), ["C-", "C natural", "G-", "G natural"]),
        ("", (66, 65), ["F# sharp", "F natural"]),
    ],
)
def test_accidentals_are_printed_where_the_signature_does_not_say_them(key, pitches, expected):
    root = solo_sheet(replace(parse_changes("C"), key=key), pitches)
    found = []
    for written in root.iter("note"):
        sign = {"1": "#", "-1": "-"}.get(written.findtext("pitch/alter"), "")
        printed = written.findtext("accidental")
        found.append(written.findtext("pitch/step") + sign + (f" {printed}" if printed else ""))
    assert found == expected


def test_the_chord_names_its_tones_and_the_key_the_others():
    root = solo_sheet(replace(parse_changes("Gm7 | F#7"), key="D"), (61, 70, 70, 66))
    names = [n.findtext("pitch/step") + (n.findtext("pitch/alter") or "") for n in root.iter("note")]
    assert names == ["C1", "B-1", "A1", "F1"]  # F#7's A#, though the key has none


@pytest.mark.parametrize(
    ("program", "name"), [(66, "Tenor Saxophone"), (56, "Trumpet"), (0, "Piano"), (26, "Electric Guitar"), (81, "Solo")]
)
def test_the_part_has_the_name_of_its_instrument(program, name):
    changes = parse_changes("C")
    root = ElementTree.fromstring(lead_sheet("", [Element(F(0), F(4), (60,))], changes, 100, program))
    assert root.findtext(".//part-name") == name
    assert root.findtext(".//midi-program") == str(program + 1)


def test_a_solo_for_the_trumpet_has_a_sheet_for_the_trumpet():
    solo = improvise("Dm7 G7 | Cmaj7", seed=1, program=57)
    root = ElementTree.fromstring(solo.musicxml())
    assert root.findtext(".//part-name") == "Trumpet"
    assert root.findtext(".//fifths") == "0"


def test_music21_reads_the_final_bar_and_every_double_bar():
    part = parse(chart_sheet(TUNE)).parts[0]
    lines = [m.rightBarline for m in part.getElementsByClass(stream.Measure)]
    assert [line and (line.type, isinstance(line, bar.Repeat)) for line in lines] == [
        *(None, None, None, ("final", True), ("double", False), ("double", False), ("final", False))
    ]
