"""The command `piano` as a user meets it."""

import os
import re
import shutil
import subprocess
import sys
import wave
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_array_equal
from records import read_history

from music.midi import Midi, Note, read_midi, write_midi
from music.outputs import ENDINGS
from numpyrnn.checkpoint import load
from numpyrnn.cli import run
from numpyrnn.train import Trainer
from piano import cli
from piano.corpus import CACHE_NAME
from piano.model import LEAK, MODELS, material_of
from piano.play import midi_of
from piano.tokens import WAIT, name_of, split_token, tokens_of
from workbench.files import data_path

NAMES = ["C4", "D4", "E-4", "F4", "G4", "0.4.7", "2.5.9", "7.11.2"]
TINY = {
    name: replace(settings, embedding=4, hidden=5, dense=6, batch_size=16, epochs=2)
    for name, settings in MODELS.items()
}
SMALL = ("--min-count", 3, "--window", 8)
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "OPENBLAS_NUM_THREADS": "1",
    "TQDM_DISABLE": "1",  # a slow machine would show a progress bar
}


def do(folder, *arguments):
    """Run a command to its end, as `python -m piano` does: exit status and what was printed."""
    with pytest.MonkeyPatch.context() as patch, CliRunner().isolation() as (out, err, _):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["piano", *map(str, arguments)])
        patch.setattr(cli, "MODELS", TINY)
        with pytest.raises(SystemExit) as ended:
            run(cli.app)
    return SimpleNamespace(status=ended.value.code, out=out.getvalue().decode(), err=err.getvalue().decode())


def do_well(folder, *arguments):
    done = do(folder, *arguments)
    assert done.status == 0, done.err
    return done.out


def contents(folder):
    """Every file of a folder, byte for byte."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def files(name):
    return {name + ending for ending in ENDINGS}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A folder with MIDI files, and a model trained on them for two epochs."""
    folder = tmp_path_factory.mktemp("piano")
    (folder / "midi").mkdir()
    rng = np.random.default_rng(0)
    for i in range(5):
        tokens = [f"{NAMES[k % 8]}|1/4|1/{2 + 2 * (k % 2)}" for k in rng.choice([1, 2, 5], 40).cumsum()]
        write_midi(folder / "midi" / f"piece-{i}.mid", midi_of(tokens))
    printed = do_well(folder, "train", "midi", *SMALL, "--seed", 3, "-o", "model.npz")
    (folder / "printed").write_text(printed)
    return folder


@pytest.fixture
def folder(learned, tmp_path):
    """A copy of that folder, with files beside it that cause errors."""
    shutil.copytree(learned / "midi", tmp_path / "midi")
    for name in ("model.npz", "model.jsonl", "model.png"):
        shutil.copy(learned / name, tmp_path)
    shutil.copy(data_path("models/dinos.npz"), tmp_path / "dinos.npz")
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.npz").write_bytes((learned / "model.npz").read_bytes()[:-500])
    (tmp_path / "junk.mid").write_bytes(b"junk")
    write_midi(tmp_path / "strange.mid", midi_of(["A0", "C8"]))
    write_midi(tmp_path / "drums.mid", Midi([Note(i, 1, 38, channel=9) for i in range(8)]))
    return tmp_path


# playing


def test_a_piece_is_four_files_and_the_next_four_others(folder):
    out = do_well(folder, "--model", "model.npz", "--length", 12)
    assert out.endswith("Written: piano.mid, piano.wav, piano.png, piano.musicxml.\n")
    first = {name: content for name, content in contents(folder).items() if name in files("piano")}
    assert set(first) == files("piano")
    midi = read_midi(folder / "piano.mid")
    assert sorted({midi.seconds(note.onset) for note in midi.notes}) == [i / 2 for i in range(12)]
    with wave.open(str(folder / "piano.wav")) as sound:
        assert sound.getnframes() / sound.getframerate() >= 6
    assert first["piano.png"].startswith(b"\x89PNG\r\n\x1a\n")
    do_well(folder, "--model", "model.npz", "--length", 12)
    after = contents(folder)
    assert set(after) >= files("piano") | files("piano-2")
    assert {name: after[name] for name in first} == first
    assert after["piano.mid"] != after["piano-2.mid"]  # without a seed, something new
    (folder / "piano-3.png").touch()
    assert "Written: piano-4.mid" in do_well(folder, "play", "--model", "model.npz", "--length", 2)
    assert "Written: empty/piano.mid" in do_well(folder, "--model", "model.npz", "--length", 2, "-o", "empty/")


def test_the_summary_says_how_to_have_the_piece_again(folder):
    out = do_well(folder, "--model", "model.npz", "--length", 9, "-o", "one.png")
    assert re.match(r"9 notes and chords \(\d+% chords, \d different\), 4 seconds at 120\. Seed \d+\.\n", out)
    assert re.search(r"\nLongest run copied: \d tokens, from token \d+ of piece-\d\.\n", out)
    seed = re.search(r"Seed (\d+)\.", out)[1]
    do_well(folder, "--model", "model.npz", "--length", 9, "-o", "again", "--seed", seed)
    do_well(folder, "--model", "model.npz", "--length", 9, "-o", "other", "--seed", int(seed) + 1)
    files = contents(folder)
    assert all(files[f"one{ending}"] == files[f"again{ending}"] for ending in ENDINGS)
    assert files["one.mid"] != files["other.mid"]


def test_the_options_of_play_are_heard(folder):
    def played(*options):
        do_well(folder, "--model", "model.npz", "--length", 9, "--seed", 0, "-o", "it", "--force", *options)
        return read_midi(folder / "it.mid")

    plain = played()
    assert played("--temperature", 0) == played("--top-k", 1) != plain
    slow = played("--tempo", 60)
    assert slow.notes == plain.notes
    assert slow.seconds(slow.length) == 9
    primed = tokens_of(played("--primer", "midi/piece-1.mid"))
    assert len(primed) == 8 + 9
    assert primed[:8] == tokens_of(read_midi(folder / "midi/piece-1.mid"))[:8]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--model dinos.npz", "must be a model of piano, it is one of dinos"),
        ("--model damaged.npz", "damaged"),
        ("--model nothing.npz", "could not be read"),
        ("--model model.npz -o junk.mid/x", "must be in a folder that exists"),
        ("--model model.npz -o midi/piece-1", "midi/piece-1.mid already exists"),
        ("--model model.npz --primer nothing.mid", "nothing.mid could not be read"),
        ("--model model.npz --primer junk.mid", "junk.mid must be a MIDI file"),
        (
            "--model model.npz --primer strange.mid",
            "strange.mid: a primer must have one of the 8 tokens that the model",
        ),
        ("--model model.npz --primer drums.mid", "it has no notes"),
        ("--model model.npz --primer strange.mid --force -o strange", "strange.mid is the primer and must not be"),
        ("--model model.npz --length 9999 --tempo 20", "at most 30 minutes"),
    ],
)
def test_what_cannot_be_played_is_one_line_and_changes_nothing(folder, arguments, message):
    before = contents(folder)
    done = do(folder, *arguments.split())
    assert (done.status, done.out) == (1, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert contents(folder) == before


def test_dry_leaves_the_room_out(folder):
    for name, dry in {"wet": [], "dry": ["--dry"]}.items():
        assert do(folder, "--model", "model.npz", "--seed", "1", "--length", "9", "-o", name, *dry).status == 0
    assert (folder / "wet.mid").read_bytes() == (folder / "dry.mid").read_bytes()
    assert len((folder / "dry.wav").read_bytes()) < len((folder / "wet.wav").read_bytes())


def test_a_soundfont_that_cannot_be_used_leaves_no_file(folder):
    before = contents(folder)
    done = do(folder, "--model", "model.npz", "--soundfont", "junk.mid")
    assert (done.status, done.out) == (1, "")
    assert "fluidsynth must be installed" in done.err or "must be a soundfont" in done.err
    assert contents(folder) == before


@pytest.mark.parametrize(
    "arguments",
    ["--length 0", "--tempo 5", "--temperature -1", "--nothing", "train --model gpt", "train --split half",
     "train --window 7", "train --min-count 0", "evaluate --samples 0", "compose"],
)  # fmt: skip
def test_wrong_usage_ends_with_2(folder, arguments):
    before = contents(folder)
    done = do(folder, *arguments.split())
    assert done.status == 2
    assert "Error: " in done.err
    assert contents(folder) == before


# training


def test_training_says_what_it_does(learned):
    printed = (learned / "printed").read_text()
    assert printed.startswith("128 windows of 4 pieces to learn, 32 of 1 held out, 8 different tokens; lstm-steps, ")
    assert "untrained" in printed
    assert re.search(r"Held-out loss \d\.\d{3} nats a token, accuracy \d+\.\d%, from epoch \d; ended after 2", printed)
    assert re.search(r"\nKneser-Ney, best order \d: \d\.\d{3}, \d+\.\d%\.\n", printed)
    assert "all keys" not in printed
    assert LEAK not in printed
    assert printed.endswith("Model model.npz, history model.jsonl, curves model.png.\n")
    assert len(read_history(learned / "model.jsonl")) == 2
    assert (learned / "model.png").read_bytes().startswith(b"\x89PNG")
    assert (learned / "midi" / CACHE_NAME).is_file()
    assert load(learned / "model.npz").config["settings"]["seed"] == 3


@pytest.mark.parametrize("model", list(MODELS))
def test_every_model_is_trained_and_plays(folder, model):
    out = do_well(folder, "train", "midi", *SMALL, "--model", model, "--epochs", 1, "-o", "new.npz", "--slim")
    assert f"; {model}, " in out
    checkpoint = load(folder / "new.npz", "piano")
    assert checkpoint.training is None
    assert checkpoint.config["settings"]["model"] == model
    do_well(folder, "--model", "new.npz", "--length", 3)
    assert f"{model}: 128 windows of 4 pieces" in do_well(folder, "evaluate", "--model", "new.npz", "--samples", 9)


def test_keys_and_rhythm_are_learned_if_they_are_asked_for(folder):
    out = do_well(folder, "train", "midi", *SMALL, "--transpose", "--rhythm", "--epochs", 1, "-o", "new.npz")
    assert "windows of 4 pieces in 12 keys to learn, 32 of 1 held out" in out
    assert "Kneser-Ney" not in out  # because --epochs cut it short
    out = do_well(folder, "evaluate", "--model", "new.npz", "--samples", 9)
    assert re.search(r"\nKneser-Ney on all keys, best order \d +\d", out)
    material = material_of(load(folder / "new.npz"))
    assert material.settings.transpose
    assert len(material.sources) == 12 * 4
    assert {split_token(token)[1] for token in material.vocabulary.tokens if name_of(token) != WAIT} == {0.25}
    assert "seconds at 80." in do_well(folder, "--model", "new.npz", "--length", 20, "-o", "it")
    onsets = sorted({note.onset for note in read_midi(folder / "it.mid").notes})
    assert all((later - one) * 4 % 1 == 0 for one, later in pairwise(onsets))
    assert "Kneser-Ney on all keys, best order" in do_well(folder, "evaluate", "--model", "new.npz")


def test_a_random_split_says_that_it_leaks(folder):
    out = do_well(folder, "train", "midi", *SMALL, "--split", "random", "--epochs", 1, "-o", "new.npz")
    assert out.startswith("128 windows of 5 pieces to learn, 32 of the same held out")
    evaluated = do_well(folder, "evaluate", "--model", "new.npz")
    compared = do_well(folder, "compare", "midi", *SMALL, "--split", "random", "--epochs", 1)
    assert all(LEAK in text for text in (out, evaluated, compared))
    assert "leaks" in do_well(folder, "train", "--help")
    assert "held-out pieces" not in evaluated
    done = do(folder, "train", "midi", "--split", "random", "--transpose", "-o", "other.npz")
    assert (done.status, "transposing needs the split by piece" in done.err) == (1, True)


def test_a_resumed_training_equals_one_without_a_break(folder):
    do_well(folder, "train", "midi", *SMALL, "--seed", 3, "--epochs", 4, "-o", "whole.npz")
    do_well(folder, "train", "--resume", "model.npz", "--epochs", 4)
    whole, resumed = (load(folder / f"{name}.npz") for name in ("whole", "model"))
    assert_array_equal(resumed.model.params.flat, whole.model.params.flat)
    assert resumed.config["training"] == whole.config["training"]
    assert len(read_history(folder / "model.jsonl")) == 4


def test_ctrl_c_saves_and_says_how_to_go_on(folder, monkeypatch):
    step = Trainer._update

    def interrupted(self, *arguments):
        if self.epoch == 1:
            raise KeyboardInterrupt
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", interrupted)
        done = do(folder, "train", "midi", *SMALL, "--seed", 3, "-o", "it.npz")
    assert done.status == 130
    assert "piano train --resume it.npz --epochs 2" in done.err
    do_well(folder, "train", "--resume", "it.npz")
    assert_array_equal(load(folder / "it.npz").model.params.flat, load(folder / "model.npz").model.params.flat)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("train midi -o model.npz", 1, "model.npz already exists"),
        ("train midi -o junk.mid/x.npz", 1, "must be in a folder that exists"),
        ("train midi -o x.npz --plot model.png", 1, "model.png already exists"),
        ("train midi/piece-1.mid -o midi/piece-1.mid --force", 1, "is learned from and must not be replaced"),
        ("train midi -o x.npz", 1, "tokens must occur 50 times, of 200 tokens, 8 of them different"),
        ("train midi -o x.npz --min-count 3 --window 60", 1, "there must be windows of 60 tokens"),
        ("train empty -o x.npz", 1, "empty must hold MIDI files"),
        ("train junk.mid -o x.npz", 1, "junk.mid must be a MIDI file"),
        ("train drums.mid -o x.npz", 1, "drums.mid must have piano notes"),
        ("train nothing.mid -o x.npz", 1, "nothing.mid could not be read"),
        ("train --resume model.npz", 1, "nothing left to train: the model is from epoch"),
        ("train --resume model.npz --epochs 9 --transpose", 2, "keeps its settings, got --transpose"),
        ("train midi --resume model.npz --epochs 9", 2, "keeps its settings, got --data"),
        ("train --resume dinos.npz", 1, "must be a model of piano"),
        ("train --resume damaged.npz --force", 1, "damaged"),
        ("compare midi -o model.png", 1, "model.png already exists"),
        ("compare midi -o x.jsonl", 1, "must not have the name of the history"),
        ("compare midi -o junk.mid/x.png", 1, "must be in a folder that exists"),
        ("compare midi", 1, "tokens must occur 50 times"),
        ("compare midi/piece-1.mid -o midi/piece-1.mid --force", 1, "is learned from and must not be replaced"),
        ("compare midi --min-count 3 --split random --transpose", 1, "transposing needs the split by piece"),
        ("evaluate --model dinos.npz", 1, "must be a model of piano"),
        ("doctor midi -o model.png", 1, "model.png already exists"),
        ("doctor junk.mid", 1, "junk.mid must be a MIDI file"),
        ("doctor empty", 1, "empty must hold MIDI files"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(folder, arguments, status, message):
    do_well(folder, "doctor", "midi")  # there is a cache already
    before = contents(folder)
    done = do(folder, *arguments.split())
    assert done.status == status
    assert message in done.err
    assert "Traceback" not in done.err
    assert contents(folder) == before


def test_files_that_cannot_be_used_are_named_and_left_out(folder):
    shutil.copy(folder / "junk.mid", folder / "midi")
    shutil.copy(folder / "drums.mid", folder / "midi")
    done = do(folder, "train", "midi", *SMALL, "--epochs", 1, "-o", "new.npz", "--seed", 3)
    assert done.status == 0
    assert "Left out: midi/junk.mid must be a MIDI file" in done.err
    assert "Left out: midi/drums.mid must have piano notes" in done.err
    assert load(folder / "new.npz").config["training"] == load(folder / "model.npz").config["training"]


def test_a_cache_is_kept_in_a_single_folder_only_and_if_it_is_wanted(folder):
    (folder / "midi" / CACHE_NAME).unlink(missing_ok=True)
    do_well(folder, "doctor", "midi", "--no-cache")
    do_well(folder, "doctor", "midi", "empty/../midi/piece-1.mid")
    do_well(folder, "train", "--data", "midi", *SMALL, "--no-cache", "--epochs", 1)
    do_well(folder, "compare", "midi", *SMALL, "--no-cache", "--epochs", 1)
    assert not (folder / "midi" / CACHE_NAME).exists()
    do_well(folder, "compare", "midi", *SMALL, "--epochs", 1, "--force")
    assert (folder / "midi" / CACHE_NAME).is_file()


@pytest.mark.parametrize("named", [(), (data_path("piano"),)])
def test_the_shipped_pieces_are_learned_and_their_folder_stays_clean(tmp_path, named):
    before = sorted(data_path("piano").iterdir())
    out = do_well(tmp_path, "train", *named, "--min-count", 150, "--epochs", 1, "--model", "wavenet-simple")
    assert "of 2 held out, 8 different tokens; wavenet-simple" in out
    assert set(contents(tmp_path)) == {"piano.npz", "piano.jsonl", "piano.png"}
    assert "5,110" in do_well(tmp_path, "doctor", *named)
    assert sorted(data_path("piano").iterdir()) == before


# comparing, and what there is


def test_all_models_are_compared_on_one_split(folder):
    out = do_well(folder, "compare", "midi", *SMALL, "--epochs", 1, "--seed", 3, "--transpose")
    table = out.partition("\n\n")[2].splitlines()
    assert [line.split()[0] for line in table[1:5]] == list(MODELS)
    assert [re.split(r"\s{2,}|, order", line)[0] for line in table[5:8]] == [
        "Kneser-Ney",
        "Kneser-Ney on all keys",
        "uniform",
    ]
    assert re.match(r"\d+ windows of 4 pieces in 12 keys to learn, 32 of 1 held out, 8 different tokens\.\n", out)
    history = read_history(folder / "compare.jsonl")
    assert [(record["model"], record["epoch"]) for record in history] == [(name, 1) for name in MODELS]
    assert (folder / "compare.png").read_bytes().startswith(b"\x89PNG")
    for line, record in zip(table[1:5], history, strict=True):
        assert f"{record['valid_loss']:.3f}" in line
    before = contents(folder)
    assert do(folder, "compare", "midi", *SMALL).status == 1  # never overwritten
    assert contents(folder) == before

    def losses(seed):
        do_well(folder, "compare", "midi", *SMALL, "--epochs", 1, "--seed", seed, "--transpose", "--force")
        return [record["valid_loss"] for record in read_history(folder / "compare.jsonl")]

    assert losses(3) == [record["valid_loss"] for record in history]
    assert not set(losses(4)) & set(losses(3))


def test_ctrl_c_ends_a_comparison_with_what_there_is(folder, monkeypatch):
    step, epochs = Trainer._update, []

    def interrupted(self, *arguments):
        epochs.append((id(self), self.epoch))
        if len(set(epochs)) == 4:  # of the second network the second epoch
            raise KeyboardInterrupt
        return step(self, *arguments)

    monkeypatch.setattr(Trainer, "_update", interrupted)
    done = do(folder, "compare", "midi", *SMALL, "--epochs", 2)
    assert done.status == 130
    table = done.out.partition("\n\n")[2].splitlines()
    assert [line.split()[0] for line in table[1:4]] == ["lstm", "wavenet-simple", "uniform"]  # and no n-gram
    assert table[2].endswith("(interrupted)")
    assert len(read_history(folder / "compare.jsonl")) == 3
    assert (folder / "compare.png").is_file()


def test_the_doctor_draws_a_histogram(folder):
    out = do_well(folder, "doctor", "midi", *SMALL, "-o", "histogram.png")
    assert "In all, 200 tokens" in out
    assert out.endswith("\nWritten: histogram.png.\n")
    assert (folder / "histogram.png").read_bytes().startswith(b"\x89PNG")


def test_an_evaluation_repeats_with_its_seed(folder):
    one, again = (do_well(folder, "evaluate", "--model", "model.npz", "--samples", 50, "--seed", 1) for _ in range(2))
    assert one == again
    assert one.startswith("lstm-steps: 128 windows of 4 pieces to learn, 32 of 1 held out, 8 different tokens.\n")
    assert re.search(r"\nuniform +2\.079 +12\.5%\n", one)
    assert re.search(r"\nLongest run copied from a training piece, in 50 tokens:\n  network: \d+ tokens, from", one)


@pytest.mark.parametrize("command", ["", "play", "train", "compare", "evaluate", "doctor"])
def test_every_command_has_help(tmp_path, command):
    out = do_well(tmp_path, *command.split(), "--help")
    assert "Usage: " in out
    assert contents(tmp_path) == {}


def test_piano_is_a_module_that_can_be_run(folder):
    options = {"capture_output": True, "timeout": 600, "encoding": "utf-8", "check": False}
    command = [sys.executable, "-m", "piano", "--model", "model.npz", "--length", "4", "--seed", "1"]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, **options)
    following = ["piano play --model model.npz --primer piano.mid", "piano evaluate --model model.npz"]
    assert done.returncode == 0
    assert done.stderr.splitlines()[-3:] == ["Next:", *(f"  {words}" for words in following)]
    assert done.stdout.endswith("Written: piano.mid, piano.wav, piano.png, piano.musicxml.\n")
    done = subprocess.run([*command, "-o", "piano"], cwd=folder, env=ENVIRONMENT, **options)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
