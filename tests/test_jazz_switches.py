"""Takes, heads, trades, count-in, backing tracks and endings, by the notes that sound and that are written."""

import re
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from music21 import converter

from jazz.changes import form
from jazz.cli import app
from jazz.instruments import INSTRUMENTS
from jazz.playing.band import BASS, DRUMS, PIANO, SOLO
from jazz.playing.performance import improvise
from jazz.playing.plan import read_head
from jazz.reading.choruses import read_chorus
from jazz.reading.corpus import chorus_midi
from jazz.yardstick.bands import bands_for, share_inside
from jazz.yardstick.measures import measure
from jazz.yardstick.reading import solo_of_midi
from music.midi import Midi, Note, midi_bytes, read_midi, write_midi
from numpyrnn import NumpyrnnError
from workbench.files import data_path
from workbench.terminal import working

F = Fraction
HEAD = """title: A head
form: own
meter: 4/4
tempo: 176
feel: swing

Dm7 | D4/4 F4/4 A4/2
G7 | B4/8 A4/8 G4/2.
Cmaj7 | E4/2 G4/2
A7 | C#5/1
"""
CHORDS = "Dm7 | G7 | Cmaj7 | A7"


@pytest.fixture
def play(small_soloist):
    return lambda chords=CHORDS, **settings: improvise(chords, **{"seed": 1, "model": small_soloist} | settings)


@pytest.fixture
def head(tmp_path):
    path = tmp_path / "head.txt"
    path.write_text(HEAD)
    return path


def pitches(elements):
    return [element.pitches[0] for element in elements if element.pitches]


def sheet_notes(solo):
    part = converter.parse(solo.musicxml(), format="musicxml").parts[0]
    notes = part.flatten().getElementsByClass("Note")
    return [note.pitch.midi for note in notes if note.tie is None or note.tie.type == "start"]


# takes


def test_takes_have_seeds_in_a_row_and_the_best_one_is_returned(play):
    best = play(None, form="blues-f", choruses=2, takes=4, seed=7)
    assert sorted(take.seed for take in best.takes) == [7, 8, 9, 10]
    scores = [take.score for take in best.takes]
    assert scores == sorted(scores, reverse=True)
    assert (best.seed, best.midi) == (best.takes[0].seed, best.takes[0].midi)
    again = play(None, form="blues-f", choruses=2, seed=best.seed)
    assert midi_bytes(again.midi) == midi_bytes(best.midi)
    assert again.takes == ()


def test_a_score_is_the_share_of_measures_that_jazz_score_finds_inside(play):
    solo = play(None, form="blues-f", choruses=2, ending=False)
    read = solo_of_midi(solo.midi, "x", chords=str(solo.changes))
    notes = [note for note in solo.notes if note.onset < solo.changes.end]
    assert len(read.notes) == len(notes)
    if len(read.bars) == 24:  # else silent bars at an end are not counted
        assert solo.score == pytest.approx(share_inside(measure(read), bands_for([read])))


# heads


@pytest.mark.parametrize("kind", ["chorus", "MIDI"])
def test_a_head_stands_before_and_after_the_choruses(play, head, kind):
    if kind == "MIDI":
        write_midi(head.with_suffix(".mid"), chorus_midi(read_chorus(head), straight=True))
        head = head.with_suffix(".mid")
    solo, plain = play(head=head, choruses=2), play(choruses=2, ending=False)
    melody = [62, 65, 69, 71, 69, 67, 64, 67, 73]
    assert len(solo.changes.bars) == 4 + 8 + 4 + 1
    played = pitches(solo.line.elements)
    assert played[:9] == melody
    assert played[-10:-1] == melody
    improvised = solo.improvised.elements
    assert pitches(improvised) == played[9:-10]
    assert improvised[-1].end == solo.improvised.changes.end  # a rest: the last note leaves room for the head
    assert not improvised[-1].pitches
    assert solo.improvised.changes == plain.changes
    assert [note.pitch for note in solo.notes] == played == sheet_notes(solo)
    last = solo.line.elements[-1]
    assert (last.onset, last.duration) == (64, 4)  # held under the last chord
    assert last.pitches[0] % 12 in solo.changes.bars[-1][0][1].tones


def test_without_chords_the_changes_are_those_of_the_head(play, head):
    solo = play(None, head=head, ending=False)
    assert str(solo.changes) == " | ".join([CHORDS] * 3)
    assert (solo.tempo, solo.title) == (176, "A head")
    assert play(None, head=head, tempo=90).tempo == 90
    assert play(head=head).tempo == 176
    write_midi(head.with_suffix(".mid"), chorus_midi(read_chorus(head)))
    estimated = play(None, head=head.with_suffix(".mid"), ending=False)
    assert str(estimated.changes) == " | ".join([CHORDS] * 3)
    assert b"Dm7" in estimated.musicxml() or b"minor-seventh" in estimated.musicxml()


def test_a_head_may_last_several_choruses(play, head):
    solo = play("Dm7 | G7", head=head, choruses=3, ending=False)
    assert len(solo.changes.bars) == 4 + 6 + 4
    assert pitches(solo.line.elements)[:9] == [62, 65, 69, 71, 69, 67, 64, 67, 73]


def test_a_head_is_moved_by_octaves_into_the_range(play, head):
    for one in INSTRUMENTS[::4]:
        solo = play(head=head, instrument=one.name)
        assert all(one.low <= pitch <= one.high for pitch in pitches(solo.line.elements)), one.name
        assert [pitch % 12 for pitch in pitches(solo.line.elements)[:3]] == [2, 5, 9]
    with pytest.raises(NumpyrnnError, match="the head must fit into the range C4-C5 in some octave, it spans D4-Db5"):
        play(head=head, range="C4-C5")


def test_a_head_without_its_last_silent_bars_fits(play, tmp_path):
    notes = [Note(F(i), F(1), 60 + i % 5) for i in range(12)]  # three bars of four
    for length, bars in ((F(16), 4), (F(12), 3)):
        write_midi(tmp_path / "a.mid", Midi(notes, length=length))
        if bars == 4:
            assert len(read_head(tmp_path / "a.mid", play().changes.__class__(form("blues-f").bars[:4])).melody) == 12
        else:
            with pytest.raises(
                NumpyrnnError, match=r"a head must fit the form, 4 bars of 4/4, .* it has 3 bars of 4/4"
            ):
                play(head=tmp_path / "a.mid")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"chords": "C | F | G7"},
            r"a head must fit the form, 3 bars of 4/4, or several times that; it has 4 bars of 4/4",
        ),
        ({"chords": "C"}, None),
        ({"chords": CHORDS, "meter": "3/4"}, r"4 bars of 3/4, or several times that; it has 4 bars of 4/4$"),
        ({"form": "blues-f", "chords": None}, r"12 bars of 4/4, or several times that; it has 4 bars of 4/4$"),
        ({"head": "nowhere.txt"}, "nowhere.txt could not be read"),
        ({"head": data_path("models/dinos.npz")}, "dinos.npz must be a MIDI file"),
        ({"head": data_path("dinos.txt")}, "dinos.txt, line 1: a note must be|a line must be"),
        ({"head": ""}, "head must be a path, got ''"),
    ],
)
def test_a_head_that_does_not_fit_is_one_clear_error(play, head, settings, message):
    if message is None:
        assert len(play(**{"head": head} | settings).changes.bars) == 4 + 1 + 4 + 1
        return
    with pytest.raises(NumpyrnnError, match=message) as caught:
        play(**{"head": head} | settings)
    assert "\n" not in str(caught.value)


# trades


@pytest.mark.parametrize(("each", "settings"), [(4, {}), (2, {"count_in": True}), (3, {"ending": False}), (5, {})])
def test_solo_and_drums_take_turns(play, each, settings):
    solo = play(None, form="blues-f", choruses=2, trade=each, **settings)
    start, silent, sounding = 4 * settings.get("count_in", False), set(), set()
    alone = {bar for bar in range(24) if bar // each % 2}
    for note in solo.midi.notes:
        first, last = (int((time - start) // 4) for time in (note.onset, note.onset + note.duration - F(1, 480)))
        if note.track in (SOLO, PIANO, BASS):
            silent |= alone & {first, last} if note.onset - start < 96 and note.track != SOLO else set()
            sounding |= {first} if note.track == SOLO else set()
        if note.track == DRUMS:
            alone -= {first}
    assert not silent
    assert not alone  # the drums play in each of their bars
    assert not {bar for bar in sounding if bar < 24 and bar // each % 2}
    assert pitches(solo.line.elements) == sheet_notes(solo)
    assert sum(element.duration for element in solo.line.elements) == solo.changes.end


def test_trades_leave_the_heads_alone(play, head):
    solo = play(head=head, trade=2, choruses=2)
    bars = {int(note.onset // 4) for note in solo.midi.notes if note.track == BASS}
    assert bars == {*range(17)} - {6, 7, 10, 11}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trade": 4}, "trade must be less than the bars of the solo, got 4 of 4 bars"),
        ({"trade": 0}, "trade must be a whole number of at least 1, got 0"),
        ({"trade": 2.5}, "trade must be a whole number"),
        ({"trade": 2, "instruments": ["bass"]}, "trade needs the drums, which are left out"),
        ({"solo": False, "takes": 2}, "takes must be left out if the solo is left out"),
        ({"solo": False, "primer": "opening"}, "primer must be left out if the solo is left out"),
        ({"takes": 0}, "takes must be a whole number of at least 1, got 0"),
        ({"takes": 101}, "takes must be a whole number of at most 100, got 101"),
    ],
)
def test_what_cannot_be_played_is_one_clear_error(play, settings, message):
    with pytest.raises(NumpyrnnError, match=f"^{message}"):
        play(**settings)


# count-in, backing tracks, endings


@pytest.mark.parametrize(("meter", "clicks", "bars"), [("4/4", 4, 1), ("3/4", 3, 1), ("6/8", 4, 2)])
def test_clicks_come_before_and_the_lead_sheet_begins_after_them(play, meter, clicks, bars):
    plain, counted = (play(meter=meter, count_in=count_in) for count_in in (False, True))
    start = bars * plain.changes.bar
    assert [note for note in counted.midi.notes if note.onset < start] == counted.midi.notes[:clicks]
    assert {note.track for note in counted.midi.notes[:clicks]} == {DRUMS}
    later = [note._replace(onset=note.onset - start) for note in counted.midi.notes[clicks:]]
    assert later == plain.midi.notes
    assert counted.midi.length == plain.midi.length + start
    assert counted.musicxml() == plain.musicxml()
    assert counted.png() == plain.png()


def test_a_backing_track_has_the_band_and_no_solo(play):
    with_solo, without = play(), play(solo=False)
    assert {note.track for note in without.midi.notes} == {PIANO, BASS, DRUMS}
    assert without.midi.length == with_solo.midi.length
    assert without.summary() == f"{CHORDS}: 5 bars at 130, without a solo.\nSeed 1."
    assert repr(without) == f"{CHORDS}: 0 notes in 5 bars, seed 1"
    assert sheet_notes(without) == []
    assert b"<slash " in without.musicxml()
    assert without.png().startswith(b"\x89PNG")
    assert play(solo=False, model="nowhere.npz").midi == without.midi  # no model is needed


def test_a_backing_track_may_have_a_head(play, head):
    solo = play(solo=False, head=head)
    bars = {int(note.onset // 4) for note in solo.notes}
    assert bars == {*range(4), *range(8, 13)}


def test_a_solo_ends_unless_it_is_a_loop(play):
    ended, loop = play(), play(ending=False)
    assert (len(ended.changes.bars), len(loop.changes.bars)) == (5, 4)
    assert str(ended.changes.bars[-1][0][1]) == "Dm7"  # to which the A7 resolves
    assert ended.title == loop.title == CHORDS


# as a command


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jazz.playing.performance.Solo.png", lambda solo: b"a picture")

    def of(*words):
        done = CliRunner().invoke(app, ["--chords", CHORDS, "--seed", "1", "--no-lead-sheet", *map(str, words)])
        assert done.exit_code == 0, done.stderr
        return done.stdout

    return of


def test_the_takes_are_shown_and_the_best_one_is_written(run):
    printed = run("--takes", 3, "--choruses", 4, "-o", "best")
    lines = printed.split("\n")
    assert lines[0].split() == ["seed", "like", "players", "notes", "longest", "copy"]
    rows = [line.split() for line in lines[1:4]]
    assert sorted(row[0] for row in rows) == ["1", "2", "3"]
    shares = [int(row[1].rstrip("%")) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert lines[4] == ""
    assert f"Seed {rows[0][0]}." in printed
    run("--seed", rows[0][0], "--choruses", 4, "-o", "again")
    assert Path("best.mid").read_bytes() == Path("again.mid").read_bytes()
    assert len(list(Path().iterdir())) == 6  # nothing of the other takes


def test_straight_is_short_for_the_straight_feel(run):
    for name, words in {"a": ["--straight"], "b": ["--feel", "straight"], "c": []}.items():
        run("-o", name, *words)
    files = {name: Path(f"{name}.mid").read_bytes() for name in "abc"}
    assert files["a"] == files["b"] != files["c"]
    shown = " ".join(CliRunner().invoke(app, ["improvise", "--help"]).stdout.split())
    assert "--straight Straight eighths, without swing: the same as --feel straight." in shown
    assert "--feel [swing|straight|bossa|waltz|ballad]" in shown


def test_the_instruments_are_listed_with_their_written_ranges():
    printed = CliRunner().invoke(app, ["instruments"]).stdout
    rows = [re.split(r"\s{2,}", line) for line in printed.splitlines()[1:]]
    assert [row[:4] for row in rows] == [[o.name, str(o.program), o.written, o.sounding] for o in INSTRUMENTS]
    assert max(map(len, printed.splitlines())) <= 80


def test_a_head_is_named_on_the_command_line(run, tmp_path):
    (tmp_path / "head.txt").write_text(HEAD)
    printed = run("--head", "head.txt", "--choruses", 2, "--trade", 2, "--count-in", "-o", "x")
    assert printed.startswith(f"{CHORDS} | {CHORDS}"[:22])
    assert "17 bars at 176" in printed
    assert read_midi("x.mid").length == 18 * 4


def test_the_seconds_are_counted_while_files_are_written(monkeypatch, capsys):
    class Soon:
        """An event that is over after three waits, whatever the time."""

        def __init__(self):
            self.waits = 0

        def wait(self, _):
            self.waits += 1
            return self.waits > 3

        def set(self):
            pass

    monkeypatch.setattr("workbench.terminal.Event", Soon)
    monkeypatch.setattr("workbench.terminal.replaces", lambda _: True)
    with working("Writing", count=True):
        pass
    shown = capsys.readouterr().err
    assert re.fullmatch(r"Writing \.\.\.(\rWriting \.\.\. \d+ s){3}\r +\r", shown)
    assert len(shown.split("\r")[-2]) >= len("Writing ... 9 s")


@pytest.mark.parametrize(("over", "shown"), [(True, ""), (False, "Writing ...\n")])
def test_in_a_pipe_work_is_told_once_in_a_plain_line_unless_it_ends_at_once(over, shown, monkeypatch, capsys):
    event = SimpleNamespace(wait=lambda _: over, set=lambda: None)
    monkeypatch.setattr("workbench.terminal.Event", lambda: event)
    with working("Writing"):
        pass
    assert capsys.readouterr() == ("", shown)


@pytest.mark.parametrize(
    ("chords", "words"),
    [("C7", ": 1 bar at 130, "), ("C7 | F7", ": 2 bars at 130, ")],
)
def test_one_bar_is_no_bars(play, chords, words):
    assert words in play(chords, ending=False).summary()
