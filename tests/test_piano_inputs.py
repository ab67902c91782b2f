"""What is read is never replaced, and what cannot be used is named."""

import json
import shutil

import numpy as np
import pytest
from test_piano_cli import SMALL, contents, do, do_well, learned  # noqa: F401

from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import load, save
from numpyrnn.sampling import Sampler


@pytest.fixture
def folder(learned, tmp_path):  # noqa: F811
    shutil.copytree(learned / "midi", tmp_path / "midi", ignore=shutil.ignore_patterns(".*"))
    shutil.copy(learned / "model.npz", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "midi", *SMALL, "-o", "midi/piece-1.mid"),
        ("train", "midi", *SMALL, "-o", "new.npz", "--plot", "midi/piece-1.mid"),
        ("compare", "midi", *SMALL, "-o", "midi/piece-1.mid"),
        ("doctor", "midi/piece-1.mid", "-o", "midi/piece-1.mid"),
        ("doctor", "midi", "-o", "midi/piece-1.mid"),
        ("play", "--model", "model.npz", "--primer", "midi/piece-1.mid", "-o", "midi/piece-1.mid"),
    ],
)
def test_a_file_that_is_read_is_not_replaced(folder, arguments):
    before = contents(folder)
    done = do(folder, *arguments, "--force")
    assert done.status == 1
    assert "must not be replaced: name another file with --out" in done.err
    assert contents(folder) == before


def test_a_folder_of_copies_adds_nothing_and_is_no_error(folder):
    shutil.copytree(folder / "midi", folder / "again")
    printed = do_well(folder, "doctor", "midi", "again", "--no-cache")
    assert "Not used, 5:" in printed
    assert printed.count("it is the same as") == 5


def test_the_doctor_says_why_nothing_can_be_used(folder):
    (folder / "junk").mkdir()
    (folder / "junk" / "a.mid").write_bytes(b"no MIDI")
    done = do(folder, "doctor", "junk", "--no-cache")
    assert done.status == 1
    assert "Not used, 1:" in done.out
    assert "junk/a.mid" in done.out
    assert "it holds none" in done.err


def test_the_epochs_that_were_asked_for_are_kept(folder):
    do_well(folder, "train", "midi", *SMALL, "--epochs", 3, "-o", "three.npz")
    assert load(folder / "three.npz").config["settings"]["epochs"] == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("history", [-1]), ("history", [{"epoch": [1], "loss": 1.0, "valid_loss": 1.0}]), ("step", None), ("epoch", 1.5)],
)
def test_a_damaged_state_is_one_error(folder, name, value):
    checkpoint = load(folder / "model.npz")
    checkpoint.training[name] = json.loads(json.dumps(value))
    save(folder / "bad.npz", checkpoint)
    done = do(folder, "train", "--resume", "bad.npz", "--epochs", 9)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("Error: ")


def test_the_hottest_temperature_draws_all_ids_alike():
    logits = np.array([[50, 0, -50]], np.float32)
    for temperature in (1e300, 1e6):
        assert np.allclose(Sampler(0, temperature).probabilities(logits), 1 / 3, atol=1e-4)
        assert {Sampler(seed, temperature).draw_one(logits[0]) for seed in range(30)} == {0, 1, 2}
    with pytest.raises(NumpyrnnError, match="temperature"):
        Sampler(0, float("inf"))
