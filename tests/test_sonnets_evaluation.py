"""How good a writer is."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from numpyrnn import NumpyrnnError
from numpyrnn.activations import log_softmax
from numpyrnn.vocab import Vocabulary
from sonnets import evaluation as module
from sonnets import text as text_module
from sonnets.evaluation import evaluate, longest_run, ngram_beside, written_by
from sonnets.model import RECIPES, SonnetTraining
from sonnets.text import read_text_of, split
from workbench.files import data_path
from workbench.ngram import KneserNey

TEXT = "\n\n".join(read_text_of(data_path("sonnets.txt")).split("\n\n")[:4]) + "\n"  # four sonnets
TRAINING, HELD_OUT = split(TEXT)
SETTINGS = {
    "streams": replace(RECIPES["streams"], hidden=12, embedding=6, batch_size=4, steps=20),
    "course": replace(RECIPES["course"], hidden=8, stride=9, learning_rate=0.01),
}


@pytest.fixture(scope="module", params=list(SETTINGS))
def checkpoint(request):
    training = SonnetTraining(TRAINING, HELD_OUT, SETTINGS[request.param])
    training.run(2)
    return training.checkpoint()


def test_the_figures_of_an_evaluation_by_independent_computation(checkpoint):
    figures = evaluate(checkpoint, None, 200)
    assert (figures["training"], figures["held_out"]) == (len(TRAINING), len(HELD_OUT))
    assert (figures["counted"], figures["measured"]) == (len(TRAINING), len(HELD_OUT))
    ids, settings = checkpoint.vocabulary.encode("\n" + HELD_OUT), checkpoint.config["settings"]
    log_p = []
    for i in range(1, len(ids)):
        seen = ids[max(0, i - 40) : i] if settings["stride"] else ids[:i]
        log_p.append(log_softmax(checkpoint.model.forward(seen[:, None])[0][-1, 0].astype(float))[ids[i]])
    assert_allclose(figures["losses"]["network"], -np.mean(log_p), rtol=1e-5)
    assert_allclose(figures["losses"]["uniform"], np.log(len(checkpoint.vocabulary)), rtol=1e-12)
    assert figures["losses"]["n-gram"] < figures["losses"]["unigram"] < figures["losses"]["uniform"]
    assert set(figures["copied"]) == {"network", "n-gram", "held-out text"}
    assert figures["copied"]["held-out text"] == longest_run(HELD_OUT[:200], TRAINING)
    for found in figures["copied"].values():
        assert found.run in TRAINING
        assert found.line == TRAINING.split("\n")[found.number - 1]


def test_the_n_gram_begins_knowing_only_that_a_newline_stands_before():
    vocabulary = Vocabulary(TEXT)
    ids, unseen = (vocabulary.encode_text(text) for text in (TRAINING, "\n" + HELD_OUT))
    ngram, loss, unigram = ngram_beside(ids, unseen, len(vocabulary))
    assert ngram.order in range(3, 8)
    learned, unseen = vocabulary.encode(TRAINING).tolist(), vocabulary.encode("\n" + HELD_OUT).tolist()
    losses = {}
    for order in (1, 3, 4, 5, 6, 7):
        model = KneserNey([learned], len(vocabulary), order)
        contexts = [tuple(unseen[max(0, i - order + 1) : i]) for i in range(1, len(unseen))]
        losses[order] = -np.mean([np.log(model.distribution(c)[i]) for c, i in zip(contexts, unseen[1:], strict=True)])
    assert_allclose(unigram, losses.pop(1), rtol=1e-12)
    assert_allclose(loss, min(losses.values()), rtol=1e-12)
    assert losses[ngram.order] == min(losses.values())


def test_an_n_gram_writes_what_it_has_seen():
    ngram = KneserNey([[0, 1, 2, 3] * 500], 4, 3)
    written = written_by(ngram, [1, 2], 200, np.random.default_rng(0))
    assert len(written) == 200
    assert np.mean([after == (before + 1) % 4 for before, after in pairwise([2, *written])]) > 0.98
    assert written == written_by(ngram, [1, 2], 200, np.random.default_rng(0))


def test_the_n_gram_has_a_limit_that_is_said(checkpoint, monkeypatch):
    monkeypatch.setattr(module, "COUNTED", 500)
    monkeypatch.setattr(text_module, "MEASURED", 50)
    figures = evaluate(checkpoint, None, 10)
    assert (figures["counted"], figures["measured"]) == (500, 50)
    vocabulary = checkpoint.vocabulary
    ids, unseen = (vocabulary.encode_text(text) for text in (TRAINING[-500:], "\n" + HELD_OUT[:50]))
    _, loss, _ = ngram_beside(ids, unseen, len(vocabulary))
    assert figures["losses"]["n-gram"] == loss


def test_an_evaluation_repeats_with_its_seed(checkpoint):
    one, again, other = (evaluate(checkpoint, None, 150, seed) for seed in (3, 3, 4))
    assert one == again
    assert one["copied"] != other["copied"]
    assert one["losses"] == other["losses"]


def test_a_model_that_does_not_keep_its_text_is_evaluated_with_it(monkeypatch):
    training = SonnetTraining(TRAINING, HELD_OUT, SETTINGS["streams"])
    expected = evaluate(training.checkpoint(), None, 50)
    monkeypatch.setattr(text_module, "KEPT", 0)
    checkpoint = SonnetTraining(TRAINING, HELD_OUT, SETTINGS["streams"]).checkpoint()
    with pytest.raises(NumpyrnnError, match=r"does not keep its text of .* give it with --data"):
        evaluate(checkpoint)
    assert evaluate(checkpoint, TEXT, 50) == expected


def test_an_evaluation_needs_a_sample(checkpoint):
    with pytest.raises(NumpyrnnError, match="one sampled character or more, got 0"):
        evaluate(checkpoint, None, 0)


@pytest.mark.parametrize(
    ("sample", "run", "number", "line"),
    [
        ("the rose is red", " rose is red", 2, "a rose is red"),
        ("Xviolets\nandY", "violets\nand", 3, "violets"),
        ("zzz", "", 1, "one"),
        ("", "", 1, "one"),
    ],
)
def test_the_longest_run_is_found_with_its_line(sample, run, number, line):
    found = longest_run(sample, "one\na rose is red\nviolets\nand so on\n")
    assert (found.run, found.number, found.line) == (run, number, line)


@given(st.text("ab\n", max_size=9), st.text("ab\n", min_size=1, max_size=9))
def test_the_longest_run_is_the_longest_of_all(sample, text):
    found = longest_run(sample, text)
    pieces = {sample[i:j] for i in range(len(sample)) for j in range(i + 1, len(sample) + 1)}
    assert len(found.run) == max((len(piece) for piece in pieces if piece in text), default=0)
    assert found.run in sample
    assert text.split("\n")[found.number - 1] == found.line
    place = text.find(found.run)
    assert found.number == text[:place].count("\n") + 1
