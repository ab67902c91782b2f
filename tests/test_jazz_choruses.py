"""Written choruses read exactly, and errors name their line."""

from fractions import Fraction

import pytest

from jazz.reading.choruses import read_chorus, tune_of_chorus
from music.midi import Note
from numpyrnn import NumpyrnnError

HEAD = "title: T\nform: f\nmeter: 4/4\ntempo: 120\nfeel: swing\n"


def chorus(tmp_path, text):
    path = tmp_path / "tune-1.txt"
    path.write_text(text, encoding="utf-8")
    return read_chorus(path)


def tones(*notes):
    return [Note(Fraction(onset), Fraction(duration), pitch) for onset, duration, pitch in notes]


# reading


def test_a_chorus_of_two_bars_by_hand(tmp_path):
    found = chorus(
        tmp_path,
        "# a comment\n\n title: So: a title\nform: ii-v-i\nmeter: 3/4\ntempo: 90\nfeel: straight\n\n"
        "Dm7 G7 | F#4/8 r/8 A4/8t C5/8t Bb4/8t  B3/4~\n# another\n  Cmaj7/E|  B3/2~ B3/8. c4/16  \n",
    )
    assert (found.name, found.changes.title, found.changes.name, found.changes.feel) == (
        "tune-1",
        "So: a title",
        "ii-v-i",
        "straight",
    )
    assert (found.changes.meter, found.tempo, len(found.changes.bars), found.changes.bar) == ((3, 4), 90, 2, 3)
    assert found.melody == tones(
        (0, "1/2", 66),
        (1, "1/3", 69),
        ("4/3", "1/3", 72),
        ("5/3", "1/3", 70),
        (2, "15/4", 59),
        ("23/4", "1/4", 60),
    )
    assert [(onset, str(chord)) for onset, chord in found.changes.flat()] == [(0, "Dm7"), (2, "G7"), (3, "Cmaj7/E")]


@pytest.mark.parametrize(
    ("note", "rests", "duration", "pitch"),
    [
        ("C4/1", "", 4, 60),
        ("A4/2", "r/2", 2, 69),
        ("Bb4/4", "r/2.", 1, 70),
        ("cb5/8", "r/8 r/2.", "1/2", 71),
        ("B#3/16", "r/8. r/2.", "1/4", 60),
        ("E##4/32", "r/32 r/16 r/8 r/2.", "1/8", 66),
        ("Ebb5/4", "r/2.", 1, 74),
        ("C5/4.", "r/8 r/2", "3/2", 72),
        ("C5/8.", "r/16 r/2.", "3/4", 72),
        ("C5/4t", "r/8t r/2.", "2/3", 72),
        ("C5/8t", "r/4t r/2.", "1/3", 72),
        ("C5/16t", "r/16t r/4t r/2.", "1/6", 72),
        ("C0/2.", "r/4", 3, 12),
    ],
)
def test_pitches_and_durations(tmp_path, note, rests, duration, pitch):
    assert chorus(tmp_path, f"{HEAD}C | {note} {rests}\n").melody == tones((0, duration, pitch))


def test_a_note_may_be_tied_over_more_than_one_bar(tmp_path):
    found = chorus(tmp_path, HEAD + "C | r/2 G4/2~\nF | G4/1~\nC | G4/4 A4/4~ A4/4 A4/4\n")
    assert found.melody == tones((2, 7, 67), (9, 2, 69), (11, 1, 69))


def test_chords_share_the_bar_and_may_be_none(tmp_path):
    found = chorus(tmp_path, HEAD + "C Dm7 G7 | C4/1\nN.C. F/A | r/1\n")
    assert [(onset, str(chord)) for onset, chord in found.changes.flat()] == [
        (0, "C"),
        (2, "Dm7"),
        (3, "G7"),
        (4, "N.C."),
        (6, "F/A"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "C | C4/1\nC | H4/1\n", r"line 7: a note must be like .* got 'H4/1'"),
        (HEAD + "C | C4/1\n\n# x\nC | C4/3 C4/1\n", "line 9: a note must be like .* got 'C4/3'"),
        (HEAD + "C | r/1~\n", "line 6: a note must be like .* got 'r/1~'"),
        (HEAD + "C | C4\n", "line 6: a note must be like"),
        (HEAD + "Cx | C4/1\n", "line 6: a chord must be like .* got 'Cx'"),
        (HEAD + "C | C4/2 C4/4\n", "line 6: a bar must have chords and 4 quarters, got 3 quarters"),
        (HEAD + "C | C4/1\nC | C4/1 r/32\n", "line 7: a bar must have chords and 4 quarters, got 33/8 quarters"),
        (HEAD + "C |\n", "line 6: a bar must have chords and 4 quarters, got 0 quarters"),
        (HEAD + "| C4/1\n", "line 6: a bar must have chords and 4 quarters, got no chords"),
        (HEAD + "C | C4/1~\nC | D4/1\n", "line 7: a tied note must have the pitch of the note before"),
        (HEAD + "C | C4/2~ r/2\n", "line 6: a tied note must have the pitch of the note before"),
        (HEAD + "C | C4/1~\n", "its last note must not be tied"),
        (HEAD + "C | r/1\n", "must have notes"),
        (HEAD, "0 bars"),
        ("", "missing: title, form, meter, tempo, feel"),
        (HEAD.replace("tempo: 120\n", "") + "C | C4/1\n", "missing: tempo"),
        (HEAD.replace("120", "fast") + "C | C4/1\n", "tempo"),
        (HEAD.replace("120", "-1") + "C | C4/1\n", "tempo"),
        (HEAD.replace("swing", "funk") + "C | C4/1\n", "feel: swing or straight"),
        (HEAD.replace("4/4", "4/5") + "C | C4/1\n", "a meter must be like"),
        (HEAD + "key: C\nC | C4/1\n", "line 6: a line must be `chords"),
        (HEAD + "C | C4/1\nfeel: straight\n", "line 7: a line must be `chords"),
        (HEAD + "C C4/1\n", "line 6: a line must be `chords"),
    ],
)
def test_an_error_names_the_line(tmp_path, text, message):
    with pytest.raises(NumpyrnnError, match=message) as error:
        chorus(tmp_path, text)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_one_error(tmp_path):
    with pytest.raises(NumpyrnnError, match=r"none\.txt"):
        read_chorus(tmp_path / "none.txt")


# a style


def test_a_chorus_may_say_its_style(tmp_path):
    read = chorus(tmp_path, HEAD + "style: Hard bop\nC | C4/1\n")
    assert (read.melody, read.style) == (tones((0, 4, 60)), "hard bop")
    assert tune_of_chorus(read).style == "hard bop"
    assert tune_of_chorus(chorus(tmp_path, HEAD + "C | C4/1\n")).style == ""


def test_a_written_pitch_fits_midi(tmp_path):
    (tmp_path / "a.txt").write_text("title: T\nform: f\nmeter: 4/4\ntempo: 120\nfeel: swing\nC | B9/1\n")
    with pytest.raises(NumpyrnnError):
        read_chorus(tmp_path / "a.txt")


def test_tempo_is_positive(tmp_path):
    (tmp_path / "a.txt").write_text("title: T\nform: f\nmeter: 4/4\ntempo: 0\nfeel: swing\nC | B4/1\n")
    with pytest.raises(NumpyrnnError):
        read_chorus(tmp_path / "a.txt")
