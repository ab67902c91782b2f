"""The lead sheet, as music21 reads it back."""

import random
from fractions import Fraction
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from music21 import converter, expressions, harmony, note, stream, tempo

from jazz.changes import Changes, form, parse_changes, parse_meter
from jazz.chords import parse_chord
from jazz.grammar import Element
from jazz.playing.leadsheet import lead_sheet, spelling
from numpyrnn import NumpyrnnError

F = Fraction
METERS = ("4/4", "3/4", "5/4", "6/8", "7/8", "12/8", "2/2", "6/4", "3/8", "5/16")
CHORDS = "Cm7 | F#m7b5 B7alt | Bb6/D | % | N.C. Eb^7 | D7#9 | G7sus4 Ab13 | C6/9"

VALUES = [F(sixteenths, 4) for sixteenths in (2, 2, 4, 6, 10, 1, 3, 7, 20)]


def melody(changes, seed, values=VALUES):
    """Random notes, rests and triplets that fill the form."""
    rng, now, end, made = random.Random(seed), F(0), changes.bar * len(changes.bars), []
    while now < end:
        durations = [F(1, 3)] * 3 if now % 1 == 0 and rng.random() < 0.2 else [rng.choice(values)]
        for duration in durations:
            if now < end:
                pitches = (rng.randint(50, 84),) if rng.random() < 0.8 else ()
                made.append(Element(now, min(duration, end - now), pitches))
                now = made[-1].end
    return made


def parse(xml):
    return converter.parse(xml.decode(), format="musicxml", forceSource=True)


def sounding(score):
    """(onset, duration, pitch) of the notes, tied ones as one."""
    found = []
    for element in score.parts[0].flatten().notes:
        if isinstance(element, harmony.ChordSymbol):
            continue
        onset, length = (F(x).limit_denominator(48) for x in (element.offset, element.quarterLength))
        if element.tie and element.tie.type in ("continue", "stop"):
            assert found[-1][0] + found[-1][1] == onset
            assert found[-1][2] == element.pitch.midi
            found[-1] = (found[-1][0], found[-1][1] + length, element.pitch.midi)
        else:
            found.append((onset, length, element.pitch.midi))
    return found


def written(xml, number):
    """(type, dots, in a triplet, rest) of each note of a bar."""
    measure = ElementTree.fromstring(xml).findall(".//measure")[number]
    return [
        (n.findtext("type"), len(n.findall("dot")), n.find("time-modification") is not None, n.find("rest") is not None)
        for n in measure.findall("note")
    ]


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_written_is_what_was_played(meter, seed):
    changes = parse_changes(CHORDS, parse_meter(meter))
    played = melody(changes, seed)
    xml = lead_sheet("A tune", played, changes, 150)
    score = parse(xml)
    measures = list(score.parts[0].getElementsByClass(stream.Measure))
    assert len(measures) == len(changes.bars)
    for measure, bar in zip(measures, changes.bars, strict=True):
        lengths = [e.quarterLength for e in measure.notesAndRests if not isinstance(e, harmony.ChordSymbol)]
        assert sum(F(length).limit_denominator(48) for length in lengths) == changes.bar
        placed = [F(symbol.offset).limit_denominator(48) for symbol in measure.getElementsByClass(harmony.ChordSymbol)]
        assert placed == [onset for onset, _ in bar]
    assert sounding(score) == [(e.onset, e.duration, e.pitches[0]) for e in played if e.pitches]
    assert score.metadata.title == "A tune"
    first = measures[0]
    assert first.timeSignature.ratioString == meter
    assert first.recurse().getElementsByClass(tempo.MetronomeMark)[0].number == 150
    assert measures[-1].rightBarline.type == "final"


@pytest.mark.parametrize("grid", [F(1, 12), F(1, 6)])
def test_any_place_on_the_grid_can_be_written(grid):
    changes = parse_changes("C | F7", (4, 4))
    played = melody(changes, 4, values=[grid * i for i in range(1, 30)])
    xml = lead_sheet("", played, changes, 100)
    assert sounding(parse(xml)) == [(e.onset, e.duration, e.pitches[0]) for e in played if e.pitches]
    assert all(kind or rest for number in range(2) for kind, _, _, rest in written(xml, number))


def test_tuplets_begin_and_end_with_their_beat():
    changes = form("rhythm-changes")
    root = ElementTree.fromstring(lead_sheet("", melody(changes, 5, [F(1)]), changes, 100))
    brackets = [tuplet.get("type") for tuplet in root.iter("tuplet")]
    assert brackets == ["start", "stop"] * (len(brackets) // 2)
    assert len(brackets) > 4


def lengths(meter, *durations):
    """How notes (and, below 0, rests) of these durations are written in one bar."""
    changes, made, now = parse_changes("C", parse_meter(meter)), [], F(0)
    for i, duration in enumerate(durations):
        made.append(Element(now, abs(F(duration)), (60 + i,) if duration > 0 else ()))
        now = made[-1].end
    values = []
    for kind, dots, triplet, rest in written(lead_sheet("", made, changes, 100), 0):
        values.append(f"{kind}{'.' * dots}{' triplet' * triplet}{' rest' * rest}")
    return values


@pytest.mark.parametrize(
    ("meter", "durations", "expected"),
    [
        ("4/4", [4], ["whole"]),
        ("4/4", [3, 1], ["half.", "quarter"]),
        ("4/4", [1, 2, 1], ["quarter"] * 4),  # over the middle of the bar
        ("4/4", [F(1, 2), 1, F(1, 2), 2], ["eighth", "quarter", "eighth", "half"]),
        ("4/4", [F(3, 2), F(5, 2)], ["quarter.", "eighth", "half"]),
        ("4/4", [F(1, 4), 1, F(3, 4), 2], ["16th", "eighth.", "16th", "eighth.", "half"]),
        ("4/4", [F(1, 2), -1, F(1, 2), -2], ["eighth", "eighth rest", "eighth rest", "eighth", "half rest"]),
        ("4/4", [2, -1, -1], ["half", "half rest"]),  # rests are joined
        ("4/4", [-4], ["None rest"]),  # a whole bar's rest needs no value
        ("3/4", [F(1, 2), F(5, 2)], ["eighth", "quarter.", "quarter"]),
        ("6/8", [2, 1], ["quarter.", "eighth", "quarter"]),
        ("6/8", [F(3, 2), -F(3, 2)], ["quarter.", "quarter. rest"]),
        ("2/4", [F(2, 3), F(4, 3)], ["quarter triplet", "eighth triplet", "quarter"]),
    ],
)
def test_notes_are_split_where_the_beat_must_be_seen(meter, durations, expected):
    assert lengths(meter, *durations) == expected


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("Cm7", "C D- D E- E F G- G A- A B- B"),
        ("D7", "C C# D D# E F F# G G# A A# B"),
        ("G7", "C C# D E- E F F# G G# A B- B"),  # no sign: as usual
        ("G7alt", "C D- D E- E F G- G A- A B- B"),
        ("C7Alt", "C D- D E- E F G- G A- A B- B"),
        ("CALT", "C D- D E- E F G- G A- A B- B"),
        ("C7b5-13", "C D- D E- E F G- G A- A B- B"),
        ("C7(-5,-13)", "C D- D E- E F G- G A- A B- B"),
        ("C7b5(13-)", "C D- D E- E F G- G A- A B- B"),
        ("C-13#5", "C D- D E- E F G- G G# A B- B"),
        ("C13b5#5", "C D- D E- E F G- G G# A B- B"),
        ("C7#9", "C C# D D# E F F# G G# A B- B"),
        ("Cmaj7#11", "C C# D D# E F F# G G# A A# B"),
        ("Caug", "C C# D D# E F F# G G# A A# B"),
        ("C#7", "C C# D D# E E# F# G G# A A# B"),
        ("Abm7", "C D- D E- E F G- G A- A B- C-"),
        ("Ebdim7", "C D- D E- E F G- G A- A B- B"),  # B double flat is A
        ("Bdim7", "C D- D E- E F G- G A- A B- B"),
        ("N.C.", "C C# D E- E F F# G G# A B- B"),
    ],
)
def test_spelling(symbol, expected):
    assert [spelling(parse_chord(symbol))[tone] for tone in range(12)] == expected.split()


def test_octaves_of_spelled_notes_are_right():
    changes = parse_changes("Abm7 | C#7", (4, 4))
    made = [Element(F(4 * i), F(4), (midi,)) for i, midi in enumerate((59, 65))]
    score = parse(lead_sheet("", made, changes, 100))
    names = [n.pitch.nameWithOctave for n in score.recurse().getElementsByClass(note.Note)]
    assert names == ["C-4", "E#4"]


def test_chords_of_notes_are_written():
    score = parse(lead_sheet("", [Element(F(0), F(4), (60, 63))], parse_changes("Cm"), 100))
    chords = [c for c in score.recurse().notes if not isinstance(c, harmony.ChordSymbol)]
    assert [p.nameWithOctave for p in chords[0].pitches] == ["C4", "E-4"]


def test_an_accidental_is_not_repeated_within_a_bar_or_after_a_tie():
    made = [Element(F(0), F(2), (63,)), Element(F(2), F(4), (63,)), Element(F(6), F(2), (60,))]
    xml = lead_sheet("", made, parse_changes("C | G7"), 100)
    assert xml.count(b"<accidental>") == 1


def test_the_feel_is_said():
    for feel, expected in (("waltz", ["Waltz"]), ("straight", ["Straight eighths"]), ("ballad", ["Ballad"])):
        changes = Changes(form("waltz").bars, (3, 4), feel=feel)
        score = parse(lead_sheet("", melody(changes, 1), changes, 100))
        words = [text.content for text in score.recurse().getElementsByClass(expressions.TextExpression)]
        assert words == expected


def test_the_bytes_are_the_same_each_time_and_say_nothing_of_the_day():
    changes = form("blues-f")
    first, second = (lead_sheet("<Blues> & \x07more é", melody(changes, 6), changes, 100) for _ in range(2))
    assert first == second
    assert b"encoding-date" not in first
    assert b"music21" not in first.lower()
    assert parse(first).metadata.title == "<Blues> & more é"


def test_four_bars_a_line():
    changes = form("blues-f")
    root = ElementTree.fromstring(lead_sheet("", melody(changes, 6), changes, 100))
    lines = [m.get("number") for m in root.iter("measure") if m.find("print[@new-system='yes']") is not None]
    assert lines == ["5", "9"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([Element(F(0), F(2)), Element(F(3), F(1))], "must continue at quarter 2 .* got 3 for 1"),
        ([Element(F(0), F(1, 5))], "twelfths of a quarter, got 0 for 1/5"),
        ([Element(F(0), F(0))], "got 0 for 0"),
        ([Element(F(0), F(3))], "must last 4 quarters as the form does, got 3"),
        ([Element(F(0), F(5))], "must last 4 quarters as the form does, got 5"),
        ([], "must last 4 quarters as the form does, got 0"),
    ],
)
def test_a_melody_that_does_not_fill_the_form_is_refused(made, message):
    with pytest.raises(NumpyrnnError, match=message):
        lead_sheet("", made, parse_changes("C"), 100)


def test_measures_are_numbered_from_one():
    changes = form("blues-cm").times(2)
    root = ElementTree.fromstring(lead_sheet("", melody(changes, 7), changes, 100))
    numbers = [int(m.get("number")) for m in root.iter("measure")]
    assert numbers[0] == 1
    assert all(b == a + 1 for a, b in pairwise(numbers))
    assert len(numbers) == 24
