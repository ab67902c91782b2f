"""The command `jazz` as a user meets it."""

import os
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

import jazz
from jazz.changes import FORMS
from jazz.choruses import read_chorus
from jazz.cli import app
from jazz.corpus import chorus_midi, shipped_choruses
from jazz.perform import ENDINGS
from music.midi import Midi, Note, midi_bytes, read_midi, write_midi
from numpyrnn.checkpoint import load
from numpyrnn.command import run
from numpyrnn.files import data_path
from numpyrnn.history import read_history
from numpyrnn.train import Trainer

NAMES = ("blues-f-1", "bossa-1", "waltz-1")
TEXTS = [data_path(f"choruses/{name}.txt") for name in NAMES]
SHORT = "Dm7 | G7"
TINY = ("--hidden", "6")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}


class Done:
    """What a command did."""

    def __init__(self, folder, arguments):
        with pytest.MonkeyPatch.context() as patch, CliRunner().isolation() as (out, err, _):
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["jazz", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                run(app)
        self.status = ended.value.code
        self.out, self.err = out.getvalue().decode(), err.getvalue().decode()


def do(folder, *arguments):
    """Run a command to its end, as `python -m jazz` does."""
    return Done(folder, arguments)


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
    """Four files, each of its kind, that belong together."""
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
    """A copy of that folder, with all that can go wrong beside it."""
    for name in ("model.npz", "model.jsonl", "model.png"):
        shutil.copy(learned / name, tmp_path)
    shutil.copy(learned / "midi" / "waltz-1.mid", tmp_path / "waltz.mid")
    shutil.copy(data_path("models/dinos.npz"), tmp_path / "dinos.npz")
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("Dm7 | G7\n")
    (tmp_path / "junk.mid").write_bytes(b"junk")
    (tmp_path / "damaged.npz").write_bytes((learned / "model.npz").read_bytes()[:-500])
    write_midi(tmp_path / "empty.mid", Midi([], ["an empty track"]))
    write_midi(tmp_path / "drums.mid", Midi([Note(i, 1, 38, channel=9) for i in range(8)]))
    return tmp_path


# improvising


def test_jazz_alone_writes_four_files_and_the_next_time_four_others(tmp_path):
    options = {"capture_output": True, "timeout": 120, "encoding": "utf-8", "check": False}
    done = subprocess.run([sys.executable, "-m", "jazz"], cwd=tmp_path, env=ENVIRONMENT, **options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.endswith("Written: solo.mid, solo.wav, solo.png, solo.musicxml.\n")
    first = contents(tmp_path)
    assert set(first) == four("solo")
    assert_solo(tmp_path, "solo")
    do_well(tmp_path)
    after = contents(tmp_path)
    assert set(after) == four("solo") | four("solo-2")
    assert {name: after[name] for name in first} == first
    assert after["solo.mid"] != after["solo-2.mid"]  # without a seed, something new


def test_a_name_is_not_taken_if_one_of_its_files_is_there(tmp_path):
    (tmp_path / "solo.png").write_bytes(b"a picture")
    assert "Written: solo-2.mid" in do_well(tmp_path, "--chords", SHORT)
    assert set(contents(tmp_path)) == four("solo-2") | {"solo.png"}


@pytest.mark.parametrize("out", ["x", "x.mid", "x.wav", "folder/x.musicxml"])
def test_the_name_of_one_file_names_all_four(folder, out):
    before = contents(folder)
    do_well(folder, "-o", out, "--chords", SHORT, "--model", "model.npz")
    stem = str(Path(out).with_suffix(""))
    assert set(contents(folder)) - set(before) == four(stem)
    assert_solo(folder, stem)


def test_the_summary_says_how_to_have_the_solo_again(folder):
    out = do_well(folder, "--chords", SHORT, "-o", "one")
    seed = re.search(r"Seed (\d+)\.", out)[1]
    assert out.startswith("Dm7 | G7: 2 bars at 130, ")
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
    ("--tempo 90", {"tempo": 90}),
    ("--swing 0.6", {"swing": 0.6}),
    ("--straight", {"swing": 0.5}),
    ("--program 1", {"program": 0}),
    ("--no-piano", {"instruments": ("bass", "drums")}),
    ("--no-bass", {"instruments": ("piano", "drums")}),
    ("--no-drums --no-bass --no-piano", {"instruments": ()}),
    ("--meter 3/4", {"meter": "3/4"}),
    ("--seed 2", {"seed": 2}),
    ("--model model.npz", {"model": "model.npz"}),
]


@pytest.mark.parametrize(("arguments", "options"), OPTIONS)
def test_an_option_does_what_it_does_in_the_library(folder, monkeypatch, arguments, options):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("jazz.perform.Solo.png", lambda solo: b"a picture")  # it takes longest
    do_well(folder, "--chords", SHORT, "--seed", 1, "-o", "x", *arguments.split())
    solo, plain = jazz.improvise(SHORT, **{"seed": 1} | options), jazz.improvise(SHORT, seed=1)
    assert (folder / "x.mid").read_bytes() == midi_bytes(solo.midi)
    assert (folder / "x.mid").read_bytes() != midi_bytes(plain.midi)


def test_the_options_that_are_tried_here_are_all_there_are():
    tried = {word[2:].replace("-", "_") for arguments, _ in OPTIONS for word in arguments.split() if word[:2] == "--"}
    elsewhere = {"chords", "form", "soundfont", "out", "force"}
    assert tried | elsewhere == {parameter.name for parameter in app.commands["improvise"].params}


def test_changes_come_from_a_file_or_a_form(folder):
    do_well(folder, "--chords", "@text.txt", "-o", "a", "--seed", 1, "--model", "model.npz")
    do_well(folder, "--chords", SHORT, "-o", "b", "--seed", 1, "--model", "model.npz")
    assert (folder / "a.mid").read_bytes() == (folder / "b.mid").read_bytes()
    assert do_well(folder, "--form", "waltz", "-o", "c", "--model", "model.npz").startswith("Jazz waltz: 16 bars at 130")
    assert read_midi(folder / "c.mid").meters == [(0, 3, 4)]


def test_a_sound_font_makes_the_sound(folder, monkeypatch):
    used = []

    def render(midi, soundfont, path):
        used.append(str(soundfont))
        Path(path).write_bytes(b"RIFF by another")

    monkeypatch.setattr("music.soundfont.render_soundfont", render)
    do_well(folder, "--chords", SHORT, "--soundfont", "some.sf2", "-o", "x")
    assert used == ["some.sf2"]
    assert (folder / "x.wav").read_bytes() == b"RIFF by another"


def test_force_replaces_and_nothing_else_does(folder):
    do_well(folder, "--chords", SHORT, "--seed", 1, "-o", "x", "--model", "model.npz")
    (folder / "x.mid").unlink()
    before = contents(folder)
    done = do(folder, "--chords", SHORT, "--seed", 2, "-o", "x", "--model", "model.npz")
    assert (done.status, contents(folder)) == (1, before)
    assert done.err.startswith("Error: x.wav is there already")
    do_well(folder, "--chords", SHORT, "--seed", 2, "-o", "x", "--model", "model.npz", "--force")
    after = contents(folder)
    assert {name for name in after if after[name] != before.get(name)} >= {"x.mid", "x.wav", "x.png"}


def test_a_part_that_fails_leaves_nothing_behind(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = contents(folder)
    monkeypatch.setattr("jazz.perform.Solo.png", full)
    done = do(folder, "--chords", SHORT, "-o", "x", "--model", "model.npz")
    assert (done.status, done.out, contents(folder)) == (1, "", before)
    assert re.fullmatch(r"Error: x\.\w+ could not be written: No space left on device\n", done.err)


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
    words = f"{n_values[0]} values of 2 tunes to learn, {n_values[1]} of 1 held out, {len(checkpoint.vocabulary)} tokens; "
    assert printed.startswith(words + "1 x LSTM(6), ")
    for moment in ("untrained", "epoch 1", "at the end"):
        assert re.search(rf"^{moment} +\|", printed, re.MULTILINE)
    best = min(record["valid_loss"] for record in records)
    assert re.search(rf"^Held-out loss {best:.3f} nats a value, .* The best n-gram: \d\.\d+\.$", printed, re.MULTILINE)
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
        patch.setattr(Trainer, "_step", interrupt)
        done = do(folder, "train", "waltz.mid", *TINY, "-o", "a.npz")
    assert done.status == 130
    assert "Interrupted after 0 epochs; go on with: jazz train --resume a.npz --epochs 120\n" in done.err
    assert read_history(folder / "a.jsonl") == []
    do_well(folder, "train", "--resume", "a.npz", "--epochs", 1)
    assert load(folder / "a.npz").training["epoch"] == 1


# the other commands


def test_an_evaluation_puts_n_grams_beside_the_network(learned):
    arguments = ("evaluate", "--model", "model.npz", "--samples", 2, "--form", "modal", "--seed", 1)
    out = do_well(learned, *arguments)
    assert out.startswith("1 held-out tunes, ")
    assert "copied, 2 solos of 32 bars" in out
    best = min(record["valid_loss"] for record in read_history(learned / "model.jsonl"))
    assert_allclose(float(re.search(r"^network +([\d.]+)$", out, re.MULTILINE)[1]), best, atol=0.001)
    for row in ("Kneser-Ney on values, order", "Kneser-Ney on the network's tokens, order", "a uniform guess", "n-gram"):
        assert re.search(rf"^{row}", out, re.MULTILINE)
    assert do_well(learned, *arguments) == out
    assert do_well(learned, *arguments, "--temperature", 0) != out


def test_the_doctor_says_what_is_in_a_file(folder):
    out = do_well(folder, "doctor", "waltz.mid", "--from-bar", 5)
    assert out.startswith("waltz.mid: 16 bars in 3/4")
    assert "in 12 bars" in out


def test_choruses_are_written_as_they_swing(tmp_path):
    out = do_well(tmp_path, "choruses")
    folder = tmp_path / "choruses"
    assert sorted(path.stem for path in folder.iterdir()) == [path.stem for path in shipped_choruses()]
    assert out.startswith(f"{len(shipped_choruses())} choruses, ")
    midi, expected = read_midi(folder / "waltz-1.mid"), chorus_midi(read_chorus(TEXTS[2]))
    assert [note.onset for note in midi.notes] == [note.onset for note in expected.notes]
    before = contents(folder)
    assert do(tmp_path, "choruses").err.startswith("Error: choruses/blues-cm-1.mid is there already")
    assert contents(folder) == before
    do_well(tmp_path, "choruses", "--force", "--straight", TEXTS[2])
    after = contents(folder)
    assert {name for name in after if after[name] != before[name]} == {"waltz-1.mid"}


@pytest.mark.parametrize(("source", "seconds"), [("waltz.mid", 4 * 3 * 60 / 156), (TEXTS[2], 4 * 3 * 60 / 156)], ids=str)
def test_an_excerpt_can_be_heard(folder, source, seconds):
    name = Path(source).with_suffix(".wav").name
    assert do_well(folder, "listen", source, "--from-bar", 3, "--bars", 4) == f"Written: {name}.\n"
    with wave.open(str(folder / name)) as sound:
        frames = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
        assert seconds <= sound.getnframes() / sound.getframerate() < seconds + 4
    assert all(np.abs(part.astype(int)).max() > 100 for part in np.array_split(frames[: len(frames) * 2 // 3], 4))
    assert do(folder, "listen", source).err.startswith(f"Error: {name} is there already")
    do_well(folder, "listen", source, "-o", name, "--force")


def test_every_command_has_help_under_both_names():
    assert set(app.commands) == {"improvise", "train", "evaluate", "doctor", "listen", "choruses", "course"}
    for command in ([], *([name] for name in app.commands)):
        long, short = (CliRunner().invoke(app, [*command, option]) for option in ("--help", "-h"))
        assert long.exit_code == short.exit_code == 0
        assert long.output.startswith("Usage: ")
        assert long.output == short.output
    assert all(name in CliRunner().invoke(app, ["improvise", "-h"]).output for name in FORMS)


# errors


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("--chords C7|Hm7|F", 1, "bar 2: a chord must be like C, Dm7, F#m7b5, Bb6/D, B7alt, Eb^7 or N.C., got 'Hm7'"),
        ("--chords N.C.", 1, "changes must have a chord"),
        ("--chords @nowhere.txt", 1, "nowhere.txt could not be read"),
        ("--chords @folder", 1, "folder must be a text file, it is a folder"),
        ("--chords C7 --form waltz", 2, "--chords and --form exclude each other"),
        ("--chords C7 --meter 4/5", 1, "a meter must be like 4/4, 3/4 or 6/8, got '4/5'"),
        ("--form polka", 1, "a form must be one of blues-f, "),
        ("--swing 0.6 --straight", 2, "--swing and --straight exclude each other"),
        ("--swing 0.9", 2, "0.9 is not in the range"),
        ("--tempo 10", 2, "10 is not in the range"),
        ("--temperature nan", 1, "temperature must be at least 0, got nan"),
        ("--density inf", 1, "density must be above 0, got inf"),
        ("--density 0", 2, "0.0 is not in the range"),
        ("--choruses 5000", 1, "a solo must have at most 10000 bars, got 12 x 5000"),
        ("--program 129", 2, "129 is not in the range"),
        ("--primer junk.mid", 1, "junk.mid must be a MIDI file"),
        ("--primer nowhere.mid", 1, "nowhere.mid could not be read"),
        ("--primer drums.mid", 1, "drums.mid: a file must have a melody, it has no notes but drums"),
        ("--model dinos.npz", 1, "dinos.npz must be a model of jazz, it is one of dinos"),
        ("--model damaged.npz", 1, "damaged.npz must be a model file"),
        ("--model nowhere.npz", 1, "nowhere.npz could not be read"),
        ("--soundfont nowhere.sf2", 1, ""),
        ("-o nowhere/x", 1, "nowhere/x.mid must be in a folder that exists"),
        ("-o text.txt/x", 1, "text.txt/x.mid must be in a folder that exists"),
        ("-o .", 1, "a solo must have a file name, got '.'"),
        ("-o model --force --model dinos.npz", 1, "it is one of dinos"),
        ("-o model", 1, "model.png is there already"),
        ("--colour", 2, "No such option"),
        ("compose", 2, "No such command 'compose'"),
        ("train junk.mid", 1, "junk.mid must be a MIDI file"),
        ("train text.txt", 1, "text.txt must have title, form, meter, tempo, feel"),
        ("train folder", 1, "folder must hold MIDI files or choruses"),
        ("train empty.mid", 1, "empty.mid: a file must have notes"),
        ("train drums.mid", 1, "drums.mid: a file must have a melody, it has no notes but drums"),
        ("train waltz.mid --melody flute", 1, "waltz.mid: --melody must name one of the parts"),
        ("train waltz.mid --from-bar 17", 1, "waltz.mid: --from-bar and --to-bar must lie in 1 to 16"),
        ("train waltz.mid --to-bar 1", 1, "waltz must have two bars or more to learn from, it has 1"),
        ("train waltz.mid -o model.npz", 1, "model.npz is there already"),
        ("train waltz.mid -o nowhere/a.npz", 1, "nowhere/a.npz must be in a folder that exists"),
        ("train waltz.mid -o a.npz --plot text.txt", 1, "text.txt is there already"),
        ("train waltz.mid --recipe transformer", 2, "'transformer' is not one of"),
        ("train --resume model.npz --epochs 2", 1, "there is nothing to go on with: from epoch"),
        ("train --resume model.npz --hidden 8", 2, "a resumed training keeps its settings, got --hidden"),
        ("train --resume model.npz --data waltz.mid", 2, "a resumed training keeps its settings, got --data"),
        ("train --resume dinos.npz", 1, "dinos.npz must be a model of jazz, it is one of dinos"),
        ("train --resume damaged.npz", 1, "damaged.npz must be a model file"),
        ("evaluate --model dinos.npz", 1, "dinos.npz must be a model of jazz, it is one of dinos"),
        ("evaluate --form polka", 1, "a form must be one of"),
        ("doctor junk.mid", 1, "junk.mid must be a MIDI file"),
        ("doctor nowhere.mid", 1, "nowhere.mid could not be read"),
        ("listen junk.mid", 1, "junk.mid must be a MIDI file"),
        ("listen waltz.mid --from-bar 17", 1, "the first bar must lie in 1 to 16, got 17"),
        ("listen waltz.mid -o nowhere/a.wav", 1, "nowhere/a.wav must be in a folder that exists"),
        ("listen waltz.mid -o text.txt", 1, "text.txt is there already"),
        ("choruses text.txt", 1, "text.txt must have title, form, meter, tempo, feel"),
        ("choruses -o text.txt", 1, "text.txt must be a folder, it is a file"),
        ("choruses nowhere.txt", 1, "nowhere.txt could not be read"),
        ("course", 2, "Missing option '--midi'"),
    ],
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


@pytest.mark.parametrize("name", ["empty", "drums"])
def test_the_doctor_says_why_a_file_is_of_no_use(folder, name):
    done = do(folder, "doctor", f"{name}.mid")
    assert done.status == 1
    assert done.out.startswith(f"{name}.mid: ")
    assert re.fullmatch(rf"Error: {name}\.mid: a file must have .*\n", done.err)
