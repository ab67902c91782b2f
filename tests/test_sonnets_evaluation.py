"""How good a writer is."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose

from numpyrnn import NumpyrnnError
from numpyrnn.activations import log_softmax
from sonnets import model as module
from sonnets import text as text_module
from sonnets.evaluation import PASSAGE, PASSAGES, measure, repeated
from sonnets.model import SonnetTraining
from sonnets.recipes import RECIPES
from sonnets.text import read_plain, split_text
from workbench.files import data_path
from workbench.ngram import KneserNey

TEXT = "\n\n".join(read_plain(data_path("sonnets.txt")).split("\n\n")[:4]) + "\n"  # four sonnets
TRAINING, HELD_OUT = split_text(TEXT)
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
    figures = measure(checkpoint, None, 200)
    assert (figures["training"], figures["held_out"]) == (len(TRAINING), len(HELD_OUT))
    assert (figures["counted"], figures["measured"]) == (len(TRAINING), len(HELD_OUT))
    ids, settings = checkpoint.vocabulary.encode("\n" + HELD_OUT), checkpoint.config["settings"]
    log_p = []
    for i in range(1, len(ids)):
        seen = ids[max(0, i - 40) : i] if settings["stride"] else ids[:i]
        log_p.append(log_softmax(checkpoint.model.forward(seen[:, None])[0][-1, 0].astype(float))[ids[i]])
    assert_allclose(figures["losses"]["network"], -np.mean(log_p), rtol=1e-5)
    assert_allclose(figures["losses"]["uniform"], np.log(len(checkpoint.vocabulary)), rtol=1e-12)
    _, ngram, unigram, uniform = figures["losses"].values()
    assert ngram < unigram < uniform
    assert set(figures["copied"]) == {"network", "n-gram", "held-out text"}
    pieces = {HELD_OUT[i:j] for i in range(200) for j in range(i, 201)}
    run, _, _ = figures["copied"]["held-out text"]
    assert len(run) == max(len(piece) for piece in pieces if piece in TRAINING)
    for run, number, line in figures["copied"].values():
        assert line == TRAINING.split("\n")[number - 1]
        assert TRAINING[: TRAINING.index(run)].count("\n") == number - 1


def test_the_n_gram_begins_knowing_only_that_a_newline_stands_before():
    training = SonnetTraining(TRAINING, HELD_OUT, SETTINGS["streams"])
    vocabulary, (ngram, loss), (_, unigram) = training.vocabulary, training.ngram(), training.ngram([1])
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


def test_an_n_gram_continues_what_it_is_given():
    ngram = KneserNey([[0, 1, 2, 3] * 500], 4, 3)
    written, again = (ngram.sample(np.random.default_rng(0), steps=200, before=[1, 2]) for _ in range(2))
    assert len(written) == 200
    assert np.mean([after == (before + 1) % 4 for before, after in pairwise([2, *written])]) > 0.98
    assert written == again


def test_the_n_gram_has_a_limit_that_is_said(checkpoint, monkeypatch):
    monkeypatch.setattr(module, "COUNTED", 500)
    monkeypatch.setattr(text_module, "MEASURED", 50)
    figures = measure(checkpoint, None, 10)
    assert (figures["counted"], figures["measured"]) == (500, 50)
    ids, unseen = (checkpoint.vocabulary.encode(text) for text in (TRAINING[-500:], "\n" + HELD_OUT[:50]))
    ngrams = [KneserNey([ids], len(checkpoint.vocabulary), order) for order in range(3, 8)]
    losses = [-ngram.log_probabilities(unseen)[1:].mean() for ngram in ngrams]
    assert figures["losses"][f"Kneser-Ney, best order {3 + np.argmin(losses)}"] == min(losses)


def test_an_evaluation_repeats_with_its_seed(checkpoint):
    one, again, other = (measure(checkpoint, None, 150, seed) for seed in (3, 3, 4))
    assert one == again
    assert one["copied"] != other["copied"]
    assert one["losses"] == other["losses"]


def test_a_model_that_does_not_keep_its_text_is_evaluated_with_it(monkeypatch):
    training = SonnetTraining(TRAINING, HELD_OUT, SETTINGS["streams"])
    expected = measure(training.checkpoint(), None, 50)
    monkeypatch.setattr(text_module, "KEPT", 0)
    checkpoint = SonnetTraining(TRAINING, HELD_OUT, SETTINGS["streams"]).checkpoint()
    with pytest.raises(NumpyrnnError, match=r"does not keep its text of .* give it with --data"):
        measure(checkpoint)
    assert measure(checkpoint, TEXT, 50) == expected


def test_an_evaluation_needs_a_sample(checkpoint):
    with pytest.raises(NumpyrnnError, match="must be a whole number of at least 1, got 0"):
        measure(checkpoint, None, 0)


def test_held_out_passages_that_were_learned_are_found():
    passage = "a passage of more than fifty characters, the same in both parts, and " * 2
    assert repeated(TRAINING, HELD_OUT) == ([], len(HELD_OUT) // PASSAGE)
    found, n = repeated(f"{TRAINING}\n{passage}\n", f"{HELD_OUT}\n{passage}\n")
    assert 1 <= len(found) < n
    for part, number, line in found:
        assert len(part) == PASSAGE
        assert part in passage == line
        assert number == TRAINING.count("\n") + 2
    assert repeated(TRAINING, TRAINING * 20)[1] <= PASSAGES
    assert repeated(TRAINING, "short") == ([], 0)
