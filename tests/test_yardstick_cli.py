"""The command `jazz score` as a user meets it."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from jazz.cli import app
from jazz.playing.performance import improvise
from jazz.reading.choruses import read_chorus, tune_of_chorus
from jazz.reading.corpus import chorus_midi
from jazz.yardstick.bands import bands_for, distance, players, share_inside
from jazz.yardstick.measures import MEASURES, PERFORMANCE, measure
from jazz.yardstick.reading import read_solo
from music.midi import Midi, Note, write_midi
from numpyrnn import NumpyrnnError
from workbench.files import data_path

CHORUS, WALTZ = (data_path(f"choruses/{name}.txt") for name in ("blues-f-1", "waltz-1"))


def score(*arguments):
    done = CliRunner().invoke(app, ["score", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    return done.stdout


def refused(*arguments):
    with pytest.raises(NumpyrnnError) as error:
        CliRunner().invoke(app, ["score", *map(str, arguments)], catch_exceptions=False)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "solo.mid"
    write_midi(path, improvise("Dm7 | G7 | Cmaj7 | %", seed=1, choruses=3).midi)
    return path


def test_one_solo_is_shown_beside_the_players():
    out, solo = score(CHORUS), read_solo(CHORUS)
    values, bands = measure(solo), bands_for([solo])
    assert out.startswith(f"blues-f-1: 12 bars, {len(solo.notes)} notes.\n")
    rows = {line[:39].rstrip(): line[39:].split() for line in out.splitlines()}
    for name, found in (MEASURES | PERFORMANCE).items():
        if values[name] == values[name]:
            assert rows[found.what][-1] == bands[name].place(values[name])
    pitches = [note.pitch for note in solo.notes]
    assert rows["range (semitones)"][:4] == [f"{max(pitches) - min(pitches):.1f}", "16.0", "to", "27.0"]
    inside = sum(bands[name].place(values[name]) == "inside" for name in MEASURES)
    assert f"Inside: {inside} of 38 measures, {share_inside(values, bands):.0%}".replace("%", " %") in out
    assert "\nEnding: on root of the chord, beat 4 of bar 12, 0.5 quarters long.\n" in out
    assert "\nLongest run copied: " in out


def test_a_set_has_a_distance_and_spreads(own):
    out = score(CHORUS, own, WALTZ)
    solos = [read_solo(path) for path in (CHORUS, own, WALTZ)]
    measured = [measure(solo) for solo in solos]
    near, whole = distance(measured, bands_for(solos)), distance(measured, players()[0])
    assert out.startswith(f"3 solos, {sum(len(s.bars) for s in solos)} bars, ")
    assert f"Distance from players: {near:.2f} (excerpts of its length), {whole:.2f} (whole solos)." in out
    (row,) = (line for line in out.splitlines() if line.startswith("range (semitones)"))
    ranges = [values["range"] for values in measured]
    middle = sum(ranges) / 3
    spread = (sum((found - middle) ** 2 for found in ranges) / 2) ** 0.5
    assert row.split()[2] == f"{middle:.1f}"
    assert row.split()[-1] == f"{spread / bands_for(solos)['range'].sd:.2f}"
    assert "The players' solos are in 4/4; here are bars of other lengths." in out


def test_the_same_chords_given_or_in_the_file_give_the_same(tmp_path):
    chorus = read_chorus(CHORUS)
    write_midi(tmp_path / "blues-f-1.mid", chorus_midi(chorus))
    (tmp_path / "changes.txt").write_text(str(chorus.changes))

    def rows(*arguments):
        return score(*arguments).split("\napart")[0].split("\n", 1)[1]

    given = rows(tmp_path / "blues-f-1.mid", "--chords", f"@{tmp_path / 'changes.txt'}")
    assert given == rows(CHORUS)
    assert given == rows(tmp_path / "blues-f-1.mid", "--chords", chorus.changes)
    assert given != rows(CHORUS, "--chords", "C")


def test_other_models_have_other_training_tunes(own, tmp_path):
    train = ["train", str(CHORUS), str(WALTZ), "--epochs", "1", "--hidden", "4", "-o", str(tmp_path / "own.npz")]
    assert CliRunner().invoke(app, train).exit_code == 0
    values = sum(len(bar) for bar in tune_of_chorus(read_chorus(WALTZ)).values())  # the other tune is held out
    assert f"Longest run copied: {values} values, from bar 1 of waltz-1\n" in score(
        WALTZ, "--model", tmp_path / "own.npz"
    )


def test_what_cannot_be_measured_is_refused_in_one_line(own, tmp_path):
    note = Note(0, 1, 60)
    write_midi(tmp_path / "one.mid", Midi([note]))
    write_midi(tmp_path / "drums.mid", Midi([note._replace(channel=9)]))
    write_midi(tmp_path / "alone.mid", Midi([note._replace(onset=i) for i in range(40)]))
    (tmp_path / "junk.mid").write_text("junk")
    assert "one.mid: " in refused(tmp_path / "one.mid", "--chords", "C")
    assert "drums.mid: a file must have a melody" in refused(tmp_path / "drums.mid")
    assert "alone.mid: it must have chords, but nothing sounds beside the solo" in refused(tmp_path / "alone.mid")
    assert "must be a MIDI file" in refused(tmp_path / "junk.mid")
    assert "is a folder" in refused(tmp_path)
    assert "nowhere.mid could not be read" in refused(tmp_path / "nowhere.mid")
    assert "--melody must name one of the parts" in refused(own, "--melody", "oboe")
    assert "a chord must be like" in refused(own, "--chords", "Hm7")
    assert "changes must have a chord" in refused(own, "--chords", "N.C.")
    assert "nowhere.txt could not be read" in refused(own, "--chords", "@nowhere.txt")
    assert "an encoding must be" in refused(own, "--encoding", "klingon")
    assert "dinos.npz must be a model of jazz" in refused(own, "--model", data_path("models/dinos.npz"))
    assert CliRunner().invoke(app, ["score"]).exit_code == 2


def test_a_solo_is_played_without_the_yardstick(tmp_path):
    code = (
        "import sys; from jazz.cli import app;"
        f"app(['--seed', '1', '--no-lead-sheet', '-o', {str(tmp_path / 'x')!r}], standalone_mode=False);"
        "sys.exit(any('yardstick' in name for name in sys.modules))"
    )
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False, capture_output=True).returncode == 0
