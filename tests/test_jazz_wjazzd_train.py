"""`jazz train` on the Weimar Jazz Database."""

import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from weimar import SOLOS, database

from jazz.cli import app
from jazz.model import Settings, tunes_of
from jazz.reading.wjazzd import read_solos
from jazz.training import JazzTraining, split_tunes
from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import load
from numpyrnn.cli import run

TINY = ("--hidden", 4, "--epochs", 1)


def do(folder, *arguments):
    """Run jazz in a folder."""
    with pytest.MonkeyPatch.context() as patch, CliRunner().isolation() as (out, err, _):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["jazz", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(app)
    return SimpleNamespace(status=ended.value.code, out=out.getvalue().decode(), err=err.getvalue().decode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weimar")
    then = ["UPDATE melody SET pitch = 200 WHERE melid = 6"]
    database(folder / "wjazzd.db", then=then)
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    done = do(folder, "train", "wjazzd.db", *TINY)
    assert done.status == 0, done.err
    return done


def test_solos_are_learned_and_those_that_cannot_be_are_named(folder, trained):
    assert "Left out: wjazzd.db, CleoO'Horn_GreenLamp-1: a note must lie in its beat" in trained.err
    assert "5 solos are used, 1 cannot be used." in trained.out
    assert "nats a value" in trained.out
    settings = load(folder / "jazz.npz", "jazz").config["settings"]
    assert settings["batch_size"] == 32  # of the recipe "solos"
    assert settings["dropout"] == 0.2


def test_solos_over_one_tune_are_learned_or_held_out_together(folder, trained):
    training, _, held_out = tunes_of(load(folder / "jazz.npz", "jazz"))
    assert len(training) + len(held_out) == 5
    assert not {tune.group for tune in training} & {tune.group for tune in held_out}


def test_a_solo_says_whose_run_it_copied(folder, trained):
    done = do(folder, "improvise", "--model", "jazz.npz", "--form", "blues-f", "--seed", 1, "--no-lead-sheet")
    assert done.status == 0, done.err
    players = {f"{solo[0]}, {solo[1]}" for solo in SOLOS}
    copied = next(line for line in done.out.splitlines() if line.startswith("Longest run copied"))
    assert any(f" of {player}" in copied for player in players)


def test_solos_are_chosen_by_options(folder):
    options = ("--style", "bebop", "--style", "hard-bop", "--style", "cool", "--tempo", "90-200", "--meter", "4/4")
    done = do(folder, "train", "wjazzd.db", *options, *TINY, "-o", "chosen.npz")
    assert done.status == 0, done.err
    training, _, held_out = tunes_of(load(folder / "chosen.npz", "jazz"))
    assert {tune.group for tune in (*training, *held_out)} == {"bluepage", "slowdoor"}
    done = do(folder, "train", "wjazzd.db", "--performer", "ben", *TINY, "-o", "ben.npz")
    assert "2 solos are used, 0 cannot be used." in done.out


@pytest.mark.parametrize(
    ("status", "arguments", "why"),
    [
        (
            2,
            ["--tempo", "100-200"],
            "--performer, --style, --tempo and --meter choose solos of the Weimar Jazz Database",
        ),
        (2, ["data.mid", "--performer", "Parker"], "choose solos of the Weimar Jazz Database"),
        (1, ["wjazzd.db", "--tempo", "fast"], "--tempo must be a range in quarters a minute"),
        (1, ["wjazzd.db", "--meter", "four"], "a meter must be"),
        (1, ["wjazzd.db", "--performer", "Nobody"], "--performer must be one of Anna Alto"),
        (1, ["wjazzd.db", "--style", "polka"], "--style must be one of BEBOP"),
        (1, ["wjazzd.db", "--performer", "alto"], "two tunes or more to hold one out, all 2 are versions of one"),
        (1, ["wjazzd.db", "--tempo", "300-400"], "wjazzd.db must hold solos that fit and can be used, it holds none"),
    ],
)
def test_wrong_options_give_one_line(folder, status, arguments, why):
    done = do(folder, "train", *arguments, *TINY, "-o", "none.npz")
    assert done.status == status
    assert why in done.err
    assert "Traceback" not in done.err
    assert not (folder / "none.npz").exists()


def test_names_cannot_write_to_the_terminal_as_they_like(tmp_path):
    then = [
        "UPDATE solo_info SET title = 'a' || char(27) || '[2J' || char(10) || 'b'",
        "DELETE FROM beats WHERE melid = 2",
    ]
    database(tmp_path / "wjazzd.db", then=then)
    done = do(tmp_path, "train", "wjazzd.db", *TINY)
    assert done.status == 1
    assert "\x1b" not in done.out + done.err
    assert [line[:9] for line in done.err.splitlines()] == ["Left out:", "Error: th"]


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_together_in_every_split(tmp_path, seed):
    tunes = read_solos(database(tmp_path / "wjazzd.db"))
    training, held_out = split_tunes(tunes, seed, 0.3, by_group=True)
    assert sorted(map(id, (*training, *held_out))) == sorted(map(id, tunes))
    assert not {tune.group for tune in training} & {tune.group for tune in held_out}
    assert 2 <= len(held_out) <= 4  # 30 % of 6, or what the last group adds
    assert split_tunes(tunes, seed, 0.3, by_group=True) == (training, held_out)


def test_versions_of_one_tune_cannot_be_split(tmp_path):
    tunes = read_solos(database(tmp_path / "wjazzd.db", SOLOS[:3]))
    with pytest.raises(NumpyrnnError, match="all 3 are versions of one"):
        split_tunes(tunes, 0, by_group=True)


def test_long_held_out_tunes_are_cut_and_each_value_counts_once(monkeypatch, tmp_path):
    training = JazzTraining.of_tunes(read_solos(database(tmp_path / "wjazzd.db")), Settings(hidden=4), by_group=True)
    (whole,) = training.held_out_batches()
    monkeypatch.setattr("jazz.training.LONGEST_PIECE", 10)
    monkeypatch.setattr("jazz.training.HELD_OUT_BATCH", 3)
    pieces = list(training.held_out_batches())
    assert len(pieces) > 2
    assert max(batch.x.size for batch in pieces) <= 3 * 10 * training.settings.step
    assert sum(batch.places for batch in pieces) == whole.places == 3 * sum(sum(t.bars) for t in training.held_out)
