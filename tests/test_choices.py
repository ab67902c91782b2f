"""Misspelt choices of the command lines, and what training and evaluation have in common."""

from pathlib import Path

import command_tree as tree
import pytest

from dinos.evaluation import measure
from dinos.model import NameTraining
from numpyrnn import load
from workbench.files import data_path
from workbench.ngram import best_ngram
from workbench.run import start_path


@pytest.mark.parametrize(
    ("program", "words", "near"),
    [
        ("dinos", ["train", "--cell", "lsmt"], "lstm"),
        ("dinos", ["train", "--on-nan", "rolback"], "rollback"),
        ("sonnets", ["train", "--recipe", "Stream"], "streams"),
        ("sonnets", ["write", "--unknown", "skp"], "skip"),
        ("piano", ["train", "--network", "wavnet"], "wavenet"),
        ("numpyrnn", ["completion", "bsh"], "bash"),
    ],
)
def test_a_misspelt_choice_is_answered_with_the_nearest(program, words, near):
    status, _, errors = tree.invoke(program, words)
    assert status == 2
    assert f"Did you mean {near!r}?" in errors


def test_choices_may_be_typed_in_capital_letters():
    status, printed, _ = tree.invoke("numpyrnn", ["completion", "BASH"])
    assert (status, "complete" in printed) == (0, True)


def test_a_misspelt_start_is_told_what_can_be_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, errors = tree.invoke("dinos", ["train", "names.txt", "--start", "shiped"])
    assert (status, errors) == (1, "Error: --start must be 'shipped' or a model file, there is no file 'shiped'\n")
    assert start_path("SHIPPED", "dinos") == data_path("models/dinos.npz")
    (tmp_path / "shiped").touch()
    assert start_path("shiped", "dinos") == Path("shiped")


def test_training_and_evaluation_compare_names_with_the_same_n_gram(monkeypatch):
    asked = []

    def best(training, held_out, size, orders=None):
        asked.append(orders)
        return best_ngram(training, held_out, size, [1] if orders == [1] else [2])

    monkeypatch.setattr("dinos.model.best_ngram", best)
    monkeypatch.setattr("dinos.evaluation.best_ngram", best)
    checkpoint = load(data_path("models/dinos.npz"))
    [trained] = NameTraining.of(checkpoint).ngrams().values()
    evaluated = measure(checkpoint, 2, 0)["losses"].values()
    assert asked == [None, None, [1]]
    assert round(trained, 9) in [round(loss, 9) for loss in evaluated]
