"""Instruments are found by what they are called; solos stay in range; lead sheets are written for their readers."""

from xml.etree import ElementTree

import pytest
from music21 import converter

from jazz.changes import form, parse_changes
from jazz.charts.chart import fifths
from jazz.charts.transposing import transposed
from jazz.chords import parse_chord
from jazz.grammar import Element
from jazz.instruments import INSTRUMENTS, TENOR, find_instrument, notation, parse_note, parse_range
from jazz.playing.leadsheet import lead_sheet
from jazz.playing.performance import improvise
from numpyrnn import NumpyrnnError


@pytest.mark.parametrize(
    ("called", "name"),
    [
        *[("tenor sax", "tenor saxophone"), ("Trumpet", "trumpet"), ("alto-sax", "alto saxophone"), ("flute", "flute")],
        *[("TENOR_SAX", "tenor saxophone"), ("Bari Sax", "baritone saxophone"), ("Soprano Sax", "soprano saxophone")],
        *[("jazz guitar", "electric guitar (jazz)"), ("Electric Guitar (jazz)", "electric guitar (jazz)")],
        *[
            ("Acoustic Grand Piano", "piano (acoustic grand)"),
            ("piano", "piano (acoustic grand)"),
            ("clar", "clarinet"),
        ],
        *[("vibes", "vibraphone (vibes)"), ("Muted Trumpet", "muted trumpet"), ("  double   bass ", None)],
    ],
)
def test_an_instrument_is_found_by_what_it_is_called(called, name):
    assert find_instrument(called).name == (name or "acoustic bass (double)")


@pytest.mark.parametrize(
    ("called", "nearest"),
    [
        ("trumpett", "trumpet, .*"),
        ("sax", "soprano saxophone, alto saxophone, tenor saxophone, baritone saxophone"),
        ("horn", "french horn, english horn"),
        ("", "listed by `jazz instruments`"),
        ("12", "listed by `jazz instruments`"),
        ("qqqq\x1b[2J", "listed by `jazz instruments`|.*"),
    ],
)
def test_an_unknown_name_is_one_line_with_the_nearest(called, nearest):
    with pytest.raises(NumpyrnnError, match=f"^no instrument is called .*, the nearest are: {nearest}$") as caught:
        find_instrument(called)
    assert str(caught.value).isprintable()


def test_every_instrument_has_a_name_of_its_own_and_a_range_that_can_be_played_and_written():
    assert len({one.name for one in INSTRUMENTS}) == len(INSTRUMENTS) > 30
    for one in INSTRUMENTS:
        assert find_instrument(one.name) is one
        assert 1 <= one.program <= 128
        assert parse_range(one.sounding) == (one.low, one.high)
        assert parse_range(one.written) == (one.low + one.up, one.high + one.up)
        assert 12 <= one.low < one.high - 20 < one.high <= 108


def test_the_ranges_are_those_of_the_books():
    written = {one.name: (one.written, one.key) for one in INSTRUMENTS}
    for name in ("soprano saxophone", "tenor saxophone"):
        assert written[name] == ("Bb3-F#6", "Bb")
    assert written["alto saxophone"] == ("Bb3-F#6", "Eb")
    assert written["baritone saxophone"] == ("A3-F#6", "Eb")
    assert written["trumpet"] == ("F#3-C6", "Bb")
    assert written["flute"] == ("C4-C7", "C")
    assert written["french horn"][1] == "F"
    assert TENOR.sounding == "Ab2-E5"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("G3-C6", (55, 84)), ("bb2-f#5", (46, 78)), ("C4 to C6", (60, 84)), ("C0-G9", (12, 127)), ("Cb4..B#4", (59, 72))],
)
def test_a_range_is_two_notes(text, expected):
    assert parse_range(text) == expected
    assert parse_note("C4") == 60


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a range must be two notes, such as G3-C6, got "),
        ("G3", "a range must be two notes, such as G3-C6, got G3"),
        ("H3-C6", "a range must be two notes, such as G3-C6, got H3-C6"),
        ("55-84", "a range must be two notes, such as G3-C6, got 55-84"),
        ("C6-G3", "a range must begin with its lower note, got C6-G3"),
        ("C4-B4", "a range must be at least an octave, got C4-B4"),
        ("C4-C4", "a range must be at least an octave, got C4-C4"),
        ("C4-A9", "a note must lie in C0 to G9, got A9"),
        ("C-2-C4", "a note must lie in C0 to G9, got C-2"),
        ("C4-C99", "a note must lie in C0 to G9, got C99"),
    ],
)
def test_another_range_is_one_clear_error(text, message):
    with pytest.raises(NumpyrnnError, match=f"^{message}$"):
        parse_range(text)


@pytest.fixture(scope="module")
def play(small_soloist):
    return lambda **settings: improvise(**{"form": "blues-f", "seed": 1, "model": small_soloist} | settings)


def test_notes_stay_in_the_range_of_the_instrument(play):
    for one in (*INSTRUMENTS[::3], TENOR):
        solo = play(instrument=one.name)
        pitches = [note.pitch for note in solo.notes]
        assert one.low <= min(pitches) <= max(pitches) <= one.high, one.name
        assert {note.program for note in solo.notes} == {one.program - 1}
    assert max(note.pitch for note in play().notes) <= TENOR.high == 76
    assert {note.program for note in play().notes} == {66}


@pytest.mark.parametrize("text", ["G3-C6", "C4-C5", "C0-C1", "G8-G9", "C0-G9", "Eb2-Eb4"])
def test_notes_stay_in_the_range_that_is_asked_for(play, text):
    low, high = parse_range(text)
    for settings in ({}, {"instrument": "flute"}, {"program": 12}):
        assert all(low <= note.pitch <= high for note in play(range=text, **settings).notes)


def test_an_instrument_or_a_program_is_chosen(play):
    with pytest.raises(NumpyrnnError, match="either an instrument or a program must be given, got both: flute and 3"):
        play(instrument="flute", program=3)
    with pytest.raises(NumpyrnnError, match="instrument must be text, got 3"):
        play(instrument=3)


# lead sheets for transposing instruments


def transposition(xml):
    """Semitones, letters and octaves from written to sounding pitches, as a lead sheet says."""
    element = ElementTree.fromstring(xml).find(".//attributes/transpose")
    if element is None:
        return None
    return tuple(int(element.findtext(name, "0")) for name in ("chromatic", "diatonic", "octave-change"))


def pitches(xml, sounding=False):
    part = converter.parse(xml, format="musicxml").parts[0]
    part = part.toSoundingPitch() if sounding else part
    notes = part.flatten().getElementsByClass("Note")
    return [note.pitch.midi for note in notes if note.tie is None or note.tie.type == "start"]


@pytest.mark.parametrize(
    ("instrument", "transpose", "expected"),
    [
        ("tenor sax", "Bb", (-2, -1, -1)),
        ("tenor sax", "instrument", (-2, -1, -1)),
        ("trumpet", "Bb", (-2, -1, 0)),
        ("alto sax", "Eb", (-9, -5, 0)),
        ("baritone sax", "instrument", (-9, -5, -1)),
        ("french horn", "F", (-7, -4, 0)),
        ("guitar jazz", "instrument", (0, 0, -1)),
        ("flute", "instrument", None),
        ("flute", "C", None),
        ("tenor sax", None, None),
    ],
)
def test_a_lead_sheet_is_written_for_the_instrument_that_reads_it(play, instrument, transpose, expected):
    plain = play(instrument=instrument)
    solo = play(instrument=instrument, transpose=transpose)
    assert solo.midi == plain.midi
    assert solo.wav(8000) == plain.wav(8000) or expected is None
    xml = solo.musicxml()
    assert transposition(xml) == expected
    assert pitches(xml, sounding=True) == [note.pitch for note in solo.notes]
    up = 0 if expected is None else -(expected[0] + 12 * expected[2])
    assert pitches(xml) == [note.pitch + up for note in solo.notes]
    assert up == notation(solo.instrument, transpose)[0]


def test_chords_and_key_are_transposed_with_the_notes(play):
    root = ElementTree.fromstring(play(transpose="Bb").musicxml())
    assert root.findtext(".//key/fifths") == "1"  # F becomes G
    roots = [element.findtext("root-step") for element in root.iter("root")]
    assert roots[0] == "G"
    assert play(transpose="Bb").line.changes == play().line.changes


@pytest.mark.parametrize(
    ("key", "up", "expected", "first"),
    [
        *[("F", 2, "G", "Em7/D"), ("Bb", 14, "C", "Em7/D"), ("Eb", 9, "C", "Bm7/A"), ("F#", 2, "Ab", "Fbm7/D")],
        *[("B", 9, "Ab", "Cbm7/A"), ("F#m", 9, "D#m", "Bm7/A"), ("Db", 9, "Bb", "Bm7/A"), ("C", -3, "A", "Bm7/A")],
    ],
)
def test_names_are_moved_by_letters_and_keys_have_at_most_six_signs(key, up, expected, first):
    from dataclasses import replace

    changes = replace(parse_changes("Dm7/C G7(Db7) | N.C. | C#m7b5"), key=key)
    moved, _ = transposed(changes, up)
    assert (moved.key, str(moved.flat()[0][1])) == (expected, first)
    for (_, old), (_, new) in zip(changes.flat(), moved.flat(), strict=True):
        again = parse_chord(str(new))
        assert (again.root, set(again.tones), again.bass) == (new.root, set(new.tones), new.bass)
        assert {(tone + up) % 12 for tone in old.tones} == set(new.tones)


@pytest.mark.torture
def test_any_form_in_any_key_can_be_written_for_any_instrument(rounds, tell):
    from jazz.changes import FORMS

    written = 0
    for seed in range(rounds(6, 120)):
        changes = form(FORMS[seed % len(FORMS)])
        melody = [Element(bar, length, (55 + seed % 20,)) for bar, length in changes.grid]
        up = (2, 9, -3, 7, 14, 21, 12, -12, 1, 6, 11)[seed % 11]
        sheet = lead_sheet("", melody, changes, 100, up=up, clef=("G", 2, 0))
        root = ElementTree.fromstring(sheet)
        chromatic, _, octaves = transposition(sheet)
        assert chromatic + 12 * octaves == -up
        steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
        for name, chord in zip(root.iter("root"), (chord for _, chord in changes.flat()), strict=True):
            at = steps[name.findtext("root-step")] + int(name.findtext("root-alter", "0"))
            assert (at - up - chord.root) % 12 == 0
        assert abs(int(root.findtext(".//key/fifths"))) <= 6
        assert abs(fifths(changes.key)) <= 6
        written += 1
    tell(f"{written} lead sheets of forms in other keys: chords, key and notes moved alike")


def test_the_transposition_of_an_unusual_key_is_refused(play):
    for wrong in ("H", "Bbb", "", "saxophone", "B flat minor"):
        with pytest.raises(
            NumpyrnnError, match="a transposition must be the key of an instrument, such as Bb, Eb or F"
        ):
            play(transpose=wrong)
    assert notation(TENOR, "b flat") == notation(TENOR, "Bb") == (14, ("G", 2, 0))
    assert notation(TENOR) == (0, ("G", 2, -1))


@pytest.mark.extra("score")
def test_a_transposed_lead_sheet_is_engraved(play):
    solo = play(transpose="Eb")
    assert b"<svg" in solo.svg()
    assert solo.pdf().startswith(b"%PDF")
