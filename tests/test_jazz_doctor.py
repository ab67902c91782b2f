"""What is said about a MIDI file: what is in it, what would be learned, what is left out and why."""

import re
from dataclasses import replace
from fractions import Fraction

import pytest
from click.testing import CliRunner

from jazz.cli import app
from jazz.reading.choruses import read_chorus
from jazz.reading.corpus import chorus_midi, read_tunes
from jazz.reading.doctor import diagnose
from music.midi import Midi, Note, write_midi
from numpyrnn import NumpyrnnError
from workbench.files import data_path

F = Fraction


@pytest.fixture
def waltz(tmp_path):
    path = tmp_path / "waltz.mid"
    chorus = chorus_midi(read_chorus(data_path("choruses/waltz-1.txt")), straight=True)
    write_midi(path, replace(chorus, markers=[]))
    return path


def told(path, *which):
    return "\n".join(diagnose(path, *which)).split("\n")


def band(tmp_path, melody, **options):
    """A file with this melody, a bass below it and drums."""
    bass = [Note(F(2 * i), F(2), 36 + i % 5, channel=1, program=32, track=1) for i in range(16)]
    drums = [Note(F(i), F(1, 4), 38, channel=9, track=2) for i in range(32)]
    notes = sorted([*melody, *bass, *drums], key=lambda note: (note.onset, note.track))
    write_midi(tmp_path / "band.mid", Midi(notes, ["Tenor sax", "Bass", "Drums"], length=F(32), **options))
    return tmp_path / "band.mid"


def tones(onsets, pitch=70):
    return [Note(F(onset), F(1, 2), pitch + i % 7, program=66) for i, onset in enumerate(onsets)]


def test_the_first_line_says_what_the_file_is(waltz):
    assert told(waltz)[0] == f"{waltz}: 16 bars in 3/4, 150 quarters a minute, 19 s."


def test_every_part_is_a_row_of_the_table(waltz):
    midi = chorus_midi(read_chorus(data_path("choruses/waltz-1.txt")), straight=True)
    lines = told(waltz)
    assert lines[1:3] == ["", "part  name                     program  notes  bars  pitches  together"]
    for number, name, line in ((1, "Melody", lines[3]), (2, "Chords", lines[4])):
        notes = [note for note in midi.notes if note.track == number]
        pitches = [note.pitch for note in notes]
        together = "0%" if number == 1 else "100%"
        bars = "15" if number == 1 else "16"  # the melody rests in one
        expected = [str(number), name, str(notes[0].program + 1), str(len(notes)), bars]
        assert line.split() == [*expected, f"{min(pitches)}-{max(pitches)}", together]


def test_the_choice_is_explained(waltz):
    lines = told(waltz)
    melody, chords, end = (
        next(i for i, line in enumerate(lines) if line.startswith(start))
        for start in ("Melody: part 1 'Melody'", "Chords: part 2 'Chords'", "To be learned")
    )
    assert melody < chords < end
    for first, last, name in ((melody, chords, "melody"), (chords, end, "chords")):
        why = "\n".join(lines[first:last])
        assert f"its name says {name}" in why
        assert f"it plays in {15 if name == 'melody' else 16} of 16 bars" in why


def test_a_choice_of_the_user_is_not_explained(waltz):
    lines = told(waltz, "2", "1")
    melody = lines.index("Melody: part 2 'Chords', as you said.")
    assert lines[melody + 1].startswith("Chords: part 1 'Melody'")
    assert not any("its name says" in line for line in lines)


def test_what_would_be_learned_is_what_the_tune_has(waltz):
    (tune,) = read_tunes([waltz])
    values = [value for bar in tune.values() for value in bar]
    (line,) = [line for line in told(waltz) if line.startswith("To be learned: ")]
    names = {"C": "chord tones", "S": "scale tones", "A": "approach tones", "X": "other notes", "R": "rests"}
    shares = ", ".join(f"{names[k]} {sum(v.kind == k for v in values) / len(values):.0%}" for k in "CSAXR")
    words = f"{len(values)} values, {len(set(map(str, values)))} of them different, in 16 bars; {shares}."
    assert line == f"To be learned: {words}"
    assert told(waltz)[-1] == "Left out: nothing."


def test_only_the_bars_that_were_asked_for_are_learned(waltz):
    assert any("in 4 bars" in line for line in told(waltz, None, None, 3, 6))


def test_drums_and_estimated_chords_are_named_as_such(tmp_path):
    lines = told(band(tmp_path, tones(range(32))))
    assert re.fullmatch(r" +3  Drums +drums +32 +8 +38-38 +0%", lines[5])
    assert any(line.startswith("Melody: part 1 'Tenor sax'") for line in lines)
    (chords,) = [line for line in lines if line.startswith("Chords: ")]
    assert "estimated" in chords


def test_what_is_left_out_is_said_with_its_reason(tmp_path):
    melody = tones([*range(8), *range(20, 32)])
    doubled = [note._replace(pitch=note.pitch - 4) for note in melody[:2]]
    last = told(band(tmp_path, melody + doubled))[-1]
    below = "2 notes of the melody that sound below another, or too near to it"
    assert last == f"Left out: {below}; 3 bars without a melody from bar 3"


def test_several_meters_and_tempos_are_all_named(tmp_path):
    changing = {
        "tempos": [(F(0), 500_000), (F(4), 400_000), (F(8), 600_000)],
        "meters": [(F(0), 4, 4), (F(8), 3, 4), (F(14), 4, 4)],
    }
    path = band(tmp_path, tones(range(32)), **changing)
    assert told(path)[0] == f"{path}: 9 bars in 4/4, 3/4, 100 to 150 quarters a minute, 18 s."


def test_a_file_without_a_melody_is_an_error_after_what_can_be_said(tmp_path):
    path = band(tmp_path, [])
    lines = diagnose(path)
    assert next(lines).startswith(f"{path}: 8 bars in 4/4")
    with pytest.raises(NumpyrnnError, match=r"band\.mid: a file must have a melody, no part looks like one"):
        list(lines)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (("7",), "--melody must name one of the parts 1 'Melody', 2 'Chords'; got '7'"),
        ((None, "flute"), "--chords must name one of the parts"),
        ((None, None, 17), "--from-bar and --to-bar must lie in 1 to 16, in this order; got --from-bar 17$"),
        ((None, None, 5, 4), ".* must lie in 1 to 16, in this order; got --from-bar 5 and --to-bar 4$"),
    ],
)
def test_a_wrong_choice_is_one_error_that_names_the_file(waltz, which, message):
    with pytest.raises(NumpyrnnError, match=f"waltz.mid: {message}"):
        told(waltz, *which)


def test_a_silent_file_is_an_error(waltz):
    write_midi(waltz, replace(chorus_midi(read_chorus(data_path("choruses/waltz-1.txt"))), notes=[]))
    with pytest.raises(NumpyrnnError, match=r"waltz\.mid: a file must have notes"):
        told(waltz)


def test_the_command_prints_the_lines(waltz):
    which = {"melody": "1", "chords": "2", "from_bar": 3, "to_bar": 6}
    options = [word for name, value in which.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    done = CliRunner().invoke(app, ["doctor", str(waltz), *options])
    assert done.exit_code == 0, done.output
    assert done.stdout == "\n".join(diagnose(waltz, **which)) + "\n"


def test_a_close_choice_is_said_to_be_close_and_a_chorus_can_be_looked_at(tmp_path):
    notes = [Note(F(i), F(1), 67 + i % 5, track=track) for i in range(32) for track in (0, 1)]
    write_midi(tmp_path / "twins.mid", Midi(notes, ["one", "two"]))
    assert any(line.endswith("that is close: --melody 2 takes it instead.") for line in told(tmp_path / "twins.mid"))
    lines = told(data_path("choruses/waltz-1.txt"))
    assert "Melody: part 1 'Melody', with" in "\n".join(lines)
    assert not any("that is close" in line for line in lines)
