"""The command `jazz` as a user meets it."""

import os
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal
from records import read_history

from jazz.changes import FORMS
from jazz.cli import app
from jazz.playing.performance import improvise as perform
from music.midi import Midi, Note, midi_bytes, read_midi, write_midi
from music.outputs import ENDINGS
from numpyrnn.checkpoint import load
from numpyrnn.cli import run
from numpyrnn.train import Trainer
from workbench.files import data_path

NAMES = ("blues-f-1", "bossa-1", "waltz-1")
TEXTS = [data_path(f"choruses/{name}.txt") for name in NAMES]
SHORT = "Dm7 | G7"
TINY = ("--hidden", "6")
HEAD = "title: H\nform: f\nmeter: 4/4\ntempo: 120\nfeel: swing\nDm7 | D4/4 F4/4 A4/2\nG7 | B4/8 A4/8 G4/2.\n"
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "OPENBLAS_NUM_THREADS": "1",
    "TQDM_DISABLE": "1",  # a slow machine would show a progress bar
}


def do(folder, *arguments):
    """Run a command to its end, as `python -m jazz` does: exit status and what was printed."""
    with pytest.MonkeyPatch.context() as patch, CliRunner().isolation() as (out, err, _):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["jazz", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(app)
    return SimpleNamespace(status=ended.value.code, out=out.getvalue().decode(), err=err.getvalue().decode())


def do_well(folder, *arguments):
    done = do(folder, *arguments)
    assert done.status == 0, done.err
    return done.out


def contents(folder):
    """Every file of a folder, byte for byte."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def four(name):
    return {name + ending for ending in ENDINGS}


def assert_solo(folder, name):
    """Assert that the four files of a solo belong together, each in its own format."""
    midi = read_midi(folder / f"{name}.mid")
    assert midi.names[1] == "Solo"
    assert [note for note in midi.notes if note.track == 1]
    with wave.open(str(folder / f"{name}.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() >= midi.seconds(midi.length)
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert ElementTree.parse(folder / f"{name}.musicxml").getroot().tag == "score-partwise"


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A folder with choruses as MIDI files, and a model trained on them for two epochs."""
    folder = tmp_path_factory.mktemp("jazz")
    do_well(folder, "choruses", "--out", "midi", "--straight", *TEXTS)
    printed = do_well(folder, "train", "midi", *TINY, "--epochs", 2, "--seed", 3, "-o", "model.npz")
    (folder / "printed").write_text(printed, "utf-8")
    return folder


@pytest.fixture
def folder(learned, tmp_path):
    """A copy of that folder, with files beside it that cause errors."""
    for name in ("model.npz", "model.jsonl", "model.png"):
        shutil.copy(learned / name, tmp_path)
    shutil.copy(learned / "midi" / "waltz-1.mid", tmp_path / "waltz.mid")
    shutil.copy(data_path("models/dinos.npz"), tmp_path / "dinos.npz")
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("Dm7 | G7\n")
    (tmp_path / "head.txt").write_text(HEAD)
    (tmp_path / "empty.txt").touch()
    (tmp_path / "junk.mid").write_bytes(b"junk")
    (tmp_path / "damaged.npz").write_bytes((learned / "model.npz").read_bytes()[:-500])
    write_midi(tmp_path / "empty.mid", Midi([], ["an empty track"]))
    write_midi(tmp_path / "drums.mid", Midi([Note(i, 1, 38, channel=9) for i in range(8)]))
    return tmp_path


# improvising


def test_jazz_alone_writes_four_files_and_the_next_time_four_others(tmp_path):
    options = {"capture_output": True, "timeout": 600, "encoding": "utf-8", "check": False}
    done = subprocess.run([sys.executable, "-m", "jazz"], cwd=tmp_path, env=ENVIRONMENT, **options)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("Next:\n  jazz score solo.mid\n  jazz doctor solo.mid\n")
    assert done.stdout.endswith("Written: solo.mid, solo.wav, solo.png, solo.musicxml.\n")
    first = contents(tmp_path)
    assert set(first) == four("solo")
    assert_solo(tmp_path, "solo")
    do_well(tmp_path)
    after = contents(tmp_path)
    assert set(after) == four("solo") | four("solo-2")
    assert {name: after[name] for name in first} == first
    assert after["solo.mid"] != after["solo-2.mid"]  # without a seed, something new
    (tmp_path / "solo-3.png").touch()
    assert "Written: solo-4.mid" in do_well(tmp_path, "--chords", SHORT)


@pytest.mark.parametrize("out", ["x", "x.mid", "x.wav", "folder/x.musicxml"])
def test_the_name_of_one_file_names_all_four(folder, out):
    before = contents(folder)
    do_well(folder, "-o", out, "--chords", SHORT, "--model", "model.npz")
    stem = str(Path(out).with_suffix(""))
    assert set(contents(folder)) - set(before) == four(stem)
    assert_solo(folder, stem)


def test_without_a_lead_sheet_three_files_are_written_and_a_lead_sheet_is_not_replaced(tmp_path):
    (tmp_path / "solo.musicxml").write_text("mine")
    out = do_well(tmp_path, "--chords", SHORT, "--seed", 1, "--no-lead-sheet")
    assert out.endswith("Written: solo.mid, solo.wav, solo.png.\n")
    assert set(contents(tmp_path)) == four("solo")
    assert (tmp_path / "solo.musicxml").read_text() == "mine"
    assert "\nsolo.musicxml was there before and is not of this solo.\n" in out
    assert "Written: solo-2.mid" in do_well(tmp_path, "--chords", SHORT, "--no-lead-sheet")
    assert set(contents(tmp_path)) == four("solo") | (four("solo-2") - {"solo-2.musicxml"})


def test_the_summary_says_how_to_have_the_solo_again(folder):
    out = do_well(folder, "--chords", SHORT, "-o", "one")
    seed = re.search(r"Seed (\d+)\.", out)[1]
    assert out.startswith("Dm7 | G7: 3 bars at 130, ")
    do_well(folder, "improvise", "--chords", SHORT, "-o", "again", "--seed", seed)
    do_well(folder, "improvise", "--chords", SHORT, "-o", "other", "--seed", int(seed) + 1)
    files = contents(folder)
    assert all(files[f"one{ending}"] == files[f"again{ending}"] for ending in (".mid", ".wav"))
    assert files["one.mid"] != files["other.mid"]


OPTIONS = [
    ("--temperature 0", {"temperature": 0.0}),
    ("--top-k 1", {"top_k": 1}),
    ("--choruses 3", {"choruses": 3}),
    ("--density 4", {"density": 4.0}),
    ("--primer opening", {"primer": "opening"}),
    ("--primer waltz.mid", {"primer": "waltz.mid"}),
    ("--ending", {"ending": True}),
    ("--no-ending", {"ending": False}),
    ("--count-in", {"count_in": True}),
    ("--head head.txt", {"head": "head.txt"}),
    ("--trade 1", {"trade": 1}),
    ("--takes 2", {"takes": 2}),
    ("--tempo 90", {"tempo": 90}),
    ("--feel ballad", {"feel": "ballad"}),
    ("--swing 0.6", {"swing": 0.6}),
    ("--straight", {"feel": "straight"}),
    ("--mechanical", {"mechanical": True}),
    ("--instrument trumpet", {"instrument": "trumpet"}),
    ("--range C4-C6", {"range": "C4-C6"}),
    ("--transpose Bb", {"transpose": "Bb"}),
    ("--no-solo", {"solo": False}),
    ("--program 1", {"program": 1}),
    ("--top-p 0.5", {"top_p": 0.5}),
    ("--no-piano", {"instruments": ["bass", "drums"]}),
    ("--no-bass", {"instruments": ["piano", "drums"]}),
    ("--no-drums --no-bass --no-piano", {"instruments": []}),
    ("--meter 3/4", {"meter": "3/4"}),
    ("--key Bb", {"key": "Bb"}),
    ("--seed 2", {"seed": 2}),
    ("--model model.npz", {"model": Path("model.npz")}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "options"), OPTIONS)
def test_an_option_does_what_it_does_in_the_library(folder, monkeypatch, arguments, options):
    given = {}

    def improvise(chords, **options):
        given.update(options)
        return perform(chords, **options)

    monkeypatch.chdir(folder)
    monkeypatch.setattr("jazz.playing.performance.improvise", improvise)
    monkeypatch.setattr("jazz.playing.performance.Solo.png", lambda solo: b"a picture")  # it takes longest
    do_well(folder, "--chords", SHORT, "--seed", 1, "-o", "x", *arguments.split())
    assert {name: given[name] for name in options} == options
    assert (folder / "x.mid").read_bytes() == midi_bytes(perform(SHORT, **{"seed": 1} | options).midi)


def test_the_options_that_are_tried_here_are_all_there_are():
    tried = {word[2:].replace("-", "_") for arguments, _ in OPTIONS for word in arguments.split() if word[:2] == "--"}
    elsewhere = {"chords", "tune", "form", "style", "soundfont", "dry", "no_lead_sheet", "svg", "pdf", "out", "force"}
    elsewhere |= {"jobs", "backend", "address"}
    assert (tried | elsewhere) - {"no_ending"} == {parameter.name for parameter in app.commands["improvise"].params}


def test_changes_come_from_a_file_or_a_form(folder):
    do_well(folder, "--chords", "@text.txt", "-o", "a", "--seed", 1, "--model", "model.npz")
    do_well(folder, "--chords", SHORT, "-o", "b", "--seed", 1, "--model", "model.npz")
    assert (folder / "a.mid").read_bytes() == (folder / "b.mid").read_bytes()
    out = do_well(folder, "--form", "waltz", "-o", "c", "--model", "model.npz")
    assert out.startswith("Jazz waltz: 17 bars at 130")
    assert read_midi(folder / "c.mid").meters == [(0, 3, 4)]


def test_a_sound_font_makes_the_sound(folder, monkeypatch):
    used = []

    def render(midi, soundfont, dry):
        used.append((str(soundfont), dry))
        return b"RIFF by another"

    monkeypatch.setattr("music.outputs.render_soundfont", render)
    do_well(folder, "--chords", SHORT, "--soundfont", "some.sf2", "-o", "x")
    do_well(folder, "--chords", SHORT, "--soundfont", "some.sf2", "--dry", "-o", "x", "--force")
    assert used == [("some.sf2", False), ("some.sf2", True)]
    assert (folder / "x.wav").read_bytes() == b"RIFF by another"


def test_dry_leaves_the_room_out(folder):
    do_well(folder, "--chords", SHORT, "--seed", 1, "-o", "x", "--model", "model.npz")
    do_well(folder, "--chords", SHORT, "--seed", 1, "-o", "y", "--model", "model.npz", "--dry")
    do_well(folder, "listen", "x.mid", "-o", "z.wav", "--dry")
    assert (folder / "x.mid").read_bytes() == (folder / "y.mid").read_bytes()
    assert len((folder / "y.wav").read_bytes()) < len((folder / "x.wav").read_bytes())
    assert (folder / "y.wav").read_bytes() == (folder / "z.wav").read_bytes()


def test_force_replaces_and_nothing_else_does(folder):
    do_well(folder, "--chords", SHORT, "--seed", 1, "-o", "x", "--model", "model.npz")
    (folder / "x.mid").unlink()
    before = contents(folder)
    done = do(folder, "--chords", SHORT, "--seed", 2, "-o", "x", "--model", "model.npz")
    assert (done.status, contents(folder)) == (1, before)
    assert done.err.startswith("Error: x.wav already exists")
    do_well(folder, "--chords", SHORT, "--seed", 2, "-o", "x", "--model", "model.npz", "--force")
    after = contents(folder)
    assert {name for name in after if after[name] != before.get(name)} >= {"x.mid", "x.wav", "x.png"}


# training


def test_training_on_midi_files_writes_model_history_and_picture(learned):
    checkpoint, printed = load(learned / "model.npz", "jazz"), (learned / "printed").read_text("utf-8")
    tunes = [*checkpoint.config["training"], *checkpoint.config["held_out"]]
    assert sorted(tune["name"] for tune in tunes) == sorted(NAMES)
    assert checkpoint.config["settings"] | {"hidden": 6, "seed": 3, "form": "parts"} == checkpoint.config["settings"]
    records = read_history(learned / "model.jsonl")
    kept = checkpoint.training["history"]
    assert [record["epoch"] for record in records] == [1, 2]
    assert_allclose([r["valid_loss"] for r in records], [3 * r["valid_loss"] for r in kept])  # nats a value
    assert (learned / "model.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    n_values = [sum(sum(tune["bars"]) for tune in checkpoint.config[part]) for part in ("training", "held_out")]
    words = (
        f"{n_values[0]} values of 2 tunes to learn, {n_values[1]} of 1 held out, {len(checkpoint.vocabulary)} tokens;"
    )
    assert printed.startswith(f"{words} 1 x LSTM(6), ")
    for moment in ("untrained", "epoch 1", "at the end"):
        assert re.search(rf"^{moment} +\|", printed, re.MULTILINE)
    best = min(record["valid_loss"] for record in records)
    assert re.search(rf"^Held-out loss {best:.3f} nats a value, .*: all epochs done\.$", printed, re.MULTILINE)
    assert "n-gram" not in printed  # because --epochs cut it short
    assert printed.endswith("Model model.npz, history model.jsonl, curves model.png.\n")


@pytest.mark.parametrize("recipe", ["atomic", "course", "deepjazz"])
def test_a_soloist_of_any_recipe_learns_from_one_midi_file_and_plays(folder, recipe):
    which = ("--melody", "melody", "--chords", "2", "--from-bar", 2, "--to-bar", 15)
    arguments = ("waltz.mid", *which, "--recipe", recipe, *TINY, "--layers", 2, "--epochs", 1, "--slim")
    do_well(folder, "train", *arguments, "-o", "other.npz", "--plot", "curves.png")
    checkpoint = load(folder / "other.npz")
    (training,), (held_out,) = checkpoint.config["training"], checkpoint.config["held_out"]
    assert (training["name"], held_out["name"]) == ("waltz", "waltz, the end")
    assert (len(training["bars"]), len(held_out["bars"])) == (11, 3)
    assert checkpoint.config["settings"]["layers"] == 2
    assert checkpoint.training is None
    assert {"other.jsonl", "curves.png"} <= set(contents(folder))
    do_well(folder, "--model", "other.npz", "--chords", SHORT, "-o", "x")
    assert_solo(folder, "x")


def test_a_resumed_training_equals_one_without_a_break(folder, learned):
    do_well(folder, "train", "--resume", "model.npz", "--epochs", 4)
    files = [learned / "midi" / f"{name}.mid" for name in NAMES]
    data = (files[0], "--data", files[1], "--data", files[2])
    do_well(folder, "train", *data, *TINY, "--epochs", 4, "--seed", 3, "-o", "whole.npz")
    resumed, whole = load(folder / "model.npz"), load(folder / "whole.npz")
    assert_array_equal(resumed.model.params.flat, whole.model.params.flat)
    assert_array_equal(resumed.training["weights"], whole.training["weights"])
    losses = [[r["valid_loss"] for r in read_history(folder / f"{name}.jsonl")] for name in ("model", "whole")]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 4


def test_ctrl_c_saves_the_model_and_says_how_to_go_on(folder, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", interrupt)
        done = do(folder, "train", "waltz.mid", *TINY, "-o", "a.npz")
    assert done.status == 130
    assert done.out.endswith("Interrupted after 0 epochs.\nModel a.npz.\n")
    assert done.err.startswith("Next:\n  jazz train --resume a.npz --epochs 120\n")
    assert read_history(folder / "a.jsonl") == []
    do_well(folder, "train", "--resume", "a.npz", "--epochs", 1)
    assert load(folder / "a.npz").training["epoch"] == 1


def test_every_command_has_help_under_both_names():
    commands = {"improvise", "instruments", "train", "evaluate", "doctor", "listen", "choruses", "course", "chart"}
    assert set(app.commands) == commands | {"score", "sweep"}
    for command in ([], *([name] for name in app.commands)):
        long, short = (CliRunner().invoke(app, [*command, option]) for option in ("--help", "-h"))
        assert long.exit_code == short.exit_code == 0
        assert long.stdout.startswith("Usage: ")
        assert long.stdout == short.stdout
    shown = "".join(CliRunner().invoke(app, ["improvise", "-h"]).stdout.split())  # names are broken at hyphens
    assert all(name in shown for name in FORMS)


# errors: the exit status, what is said, and by which commands

ERRORS = """
2 ; --chords and --form exclude each other ; --chords C7 --form waltz
2 ; --swing and --straight exclude each other ; --swing 0.6 --straight
2 ; --feel and --straight exclude each other ; --feel bossa --straight
2 ; --instrument and --program exclude each other ; --instrument flute --program 1
2 ; --no-solo and --takes exclude each other ; --no-solo --takes 2
2 ; --no-solo and --primer exclude each other ; --no-solo --primer opening
2 ; --no-solo and --density exclude each other ; --no-solo --density 2
1 ; feel must be one of swing, ; --feel polka
1 ; no instrument is called 'trumpett', the nearest are: trumpet, ; --instrument trumpett
1 ; no instrument is called 'sax', the nearest are: soprano saxophone, alto saxophone ; --instrument sax
1 ; a range must be two notes, such as G3-C6, got G3 ; --range G3
1 ; a range must begin with its lower note, got C6-G3 ; --range C6-G3
1 ; a range must be at least an octave, got G3-C4 ; --range G3-C4
1 ; a note must lie in C0 to G9, got C10 ; --range G3-C10
1 ; a transposition must be the key of an instrument, such as Bb, Eb or F, got H ; --transpose H
1 ; a waltz must be in 3/4, the changes are in 4/4 ; --feel waltz
1 ; in straight feel, swing must be 0.5, or left out, got 0.6 ; --feel straight --swing 0.6
1 ; in swing feel, swing must be above 0.5, or left out, got 0.5 ; --feel swing --swing 0.5
1 ; trade must be less than the bars of the solo, got 12 of 12 bars ; --trade 12
1 ; trade needs the drums, which are left out ; --trade 4 --no-drums
1 ; waltz.mid: a head must fit the form, 12 bars of 4/4, or several ; --head waltz.mid --form blues-f
1 ; nowhere.mid could not be read ; --head nowhere.mid
1 ; junk.mid must be a MIDI file ; --head junk.mid
1 ; text.txt, line 1: a note must be like Eb5/8 ; --head text.txt
1 ; the head must fit into the range C4-C5 in some octave, it spans ; --head waltz.mid --range C4-C5
1 ; waltz.mid is the head and must not be replaced ; --head waltz.mid -o waltz --force
2 ; is not in the range ; --swing 0.9 ; --tempo 10 ; --density 0 ; --program 129 ; --top-k 0 ; evaluate --samples 0
2 ; No such option ; --colour ; train --colour
2 ; No such command 'compose' ; compose
2 ; 'transformer' is not one of ; train waltz.mid --recipe transformer
2 ; a resumed training keeps its settings, got --hidden ; train --resume model.npz --hidden 8
2 ; a resumed training keeps its settings, got --data ; train --resume model.npz --data waltz.mid
2 ; Missing option '--midi' ; course
1 ; bar 2: a chord must be like C, Dm7, F#m7b5, Bb6/D, B7alt, Eb^7 or N.C., got 'Hm7' ; --chords C7|Hm7|F -o x.mid
1 ; changes must have a chord ; --chords N.C. ; --chords @empty.txt
1 ; nowhere.txt could not be read ; --chords @nowhere.txt ; listen nowhere.txt ; choruses nowhere.txt
1 ; folder must be a chart, it is a folder ; --chords @folder ; chart folder ; chart @folder
1 ; folder must be a text file, it is a folder ; choruses folder
1 ; a meter must be like 4/4, 3/4 or 6/8, got '4/5' ; --chords C7 --meter 4/5
1 ; a form must be one of blues-f, ; --form polka ; evaluate --form polka
2 ; is not a finite number ; --temperature nan ; --density nan ; --swing nan
2 ; is not in the range ; --temperature inf ; --density inf ; --density 1e300
1 ; a solo must have at most 10000 bars, got 12 x 5000 ; --choruses 5000
1 ; junk.mid must be a MIDI file ; --primer junk.mid ; train junk.mid ; doctor junk.mid ; listen junk.mid
1 ; nowhere.mid could not be read ; --primer nowhere.mid ; train nowhere.mid ; doctor nowhere.mid ; listen nowhere.mid
1 ; nowhere.npz could not be read ; --model nowhere.npz ; evaluate --model nowhere.npz ; train --resume nowhere.npz
1 ; dinos.npz must be a model of jazz ; -o model --force --model dinos.npz ; train --resume dinos.npz
1 ; damaged.npz must be a model file ; --model damaged.npz ; train --resume damaged.npz
1 ; drums.mid: a file must have a melody, it has no notes but drums ; --primer drums.mid ; train waltz.mid drums.mid
1 ; empty.mid: a file must have notes ; --primer empty.mid ; train empty.mid
1 ; a piece must have notes to be heard ; listen empty.mid
1 ; must be in a folder that exists ; -o text.txt/x ; -o text.txt/new/x ; train -o text.txt/a.npz
1 ; must be in a folder that exists ; listen x.mid -o text.txt/a.wav ; choruses -o text.txt
1 ; a piece must have a file name, got '.' ; -o .
1 ; model.png already exists ; -o model ; train waltz.mid -o a.npz --plot model.png
1 ; model.npz already exists ; train waltz.mid -o model.npz
1 ; sound is written as a .wav file ; listen waltz.mid -o model.npz ; listen waltz.mid -o waltz.mid --force
1 ; waltz.mid is learned from and must not be replaced ; train waltz.mid -o waltz.mid --force
1 ; waltz.mid is the primer and must not be replaced ; --primer waltz.mid -o waltz --force
1 ; text.txt, line 1: a note must be like Eb5/8 ; train text.txt ; choruses text.txt ; listen text.txt
1 ; folder must hold MIDI files or choruses ; train folder ; --primer folder
1 ; waltz.mid: --melody must name one of the parts ; train waltz.mid --melody flute
1 ; waltz.mid: --from-bar and --to-bar must lie in 1 to 16 ; train waltz.mid --from-bar 17
1 ; waltz must have two bars or more to learn from, it has 1 ; train waltz.mid --to-bar 1
1 ; there is nothing left to train: the model is from epoch ; train --resume model.npz --epochs 2
1 ; the first bar must lie in 1 to 16, got 17 ; listen waltz.mid --from-bar 17
"""
ROWS = [row.split(" ; ") for row in ERRORS.strip().split("\n")]


@pytest.mark.parametrize(
    ("arguments", "status", "message"), [(line, int(n), m) for n, m, *lines in ROWS for line in lines]
)
def test_an_error_is_one_line_and_writes_nothing(folder, arguments, status, message):
    before = contents(folder)
    done = do(folder, *arguments.split())
    *usage, line = done.err.rstrip("\n").split("\n")
    assert line.startswith("Error: ")
    assert message in line
    assert (done.status, done.out) == (status, "")
    assert all(one == "" or one.startswith(("Usage: ", "Try ", "  ")) for one in usage)
    assert status == 2 or not usage
    assert contents(folder) == before
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"folder"}


def test_a_meter_without_chords_is_a_usage_error(folder):
    done = do(folder, "--meter", "3/4")
    assert done.status == 2
    assert "--meter goes with --chords; a form has its own" in done.err


def test_choruses_of_one_name_are_refused_before_anything_is_written(folder):
    (folder / "folder" / TEXTS[0].name).write_bytes(TEXTS[0].read_bytes())
    before = contents(folder)
    done = do(folder, "choruses", "--out", "midi", TEXTS[0], Path("folder") / TEXTS[0].name)
    assert (done.status, done.out) == (1, "")
    assert "choruses must have different names" in done.err
    assert contents(folder) == before


def test_training_says_which_files_of_a_folder_it_leaves_out(folder):
    (folder / "folder" / "junk.mid").write_bytes(b"junk")
    for text in TEXTS:
        (folder / "folder" / text.name).write_bytes(text.read_bytes())
    done = do(folder, "train", "folder", *TINY, "--epochs", 1, "--seed", 3, "-o", "of-three.npz")
    assert done.status == 0, done.err
    assert [line for line in done.err.splitlines() if "junk.mid" in line and line.startswith("Left out: ")]


def test_the_course_is_replayed_into_a_folder_and_replaces_nothing(shared_data, tmp_path):
    midi = shared_data / "original_metheny.mid"
    assert "epoch   1: loss" in do_well(tmp_path, "course", "--midi", midi, "--epochs", 1, "--seed", 2)
    written = contents(tmp_path)
    assert {*written} == {f"course/{name}" for name in ("solo.mid", "solo.wav", "loss.png", "history.jsonl")}
    done = do(tmp_path, "course", "--midi", midi, "--epochs", 1)
    assert (done.status, done.out) == (1, "")
    assert "already exists" in done.err
    assert contents(tmp_path) == written
