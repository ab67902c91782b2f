"""The figures of evaluations and comparisons, against independent computations."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from numpyrnn import NumpyrnnError
from numpyrnn.sampling import Sampler
from piano import evaluation as module
from piano.batches import accuracy
from piano.compare import HEADER, compared, line, plot_rows, records_of
from piano.corpus import Piece
from piano.evaluation import best_ngram, best_ngrams, figures_of, measure, uniform
from piano.model import MODELS, Material
from piano.play import compose
from piano.training import PianoTraining
from workbench.ngram import KneserNey

NAMES = ["C4", "D4", "E-4", "F4", "G4", "0.4.7", "2.5.9", "7.11.2"]
TINY = {
    name: replace(settings, embedding=4, hidden=5, dense=6, window=8, min_count=3, epochs=2)
    for name, settings in MODELS.items()
}


def made_up(n=5, length=40):
    """Pieces in which some tokens are likely to follow others."""
    rng = np.random.default_rng(0)
    steps = rng.choice([1, 2, 5], (n, length), p=[0.7, 0.2, 0.1]).cumsum(axis=1)
    return [Piece(f"piece {i}", None, [NAMES[k % 8] for k in row]) for i, row in enumerate(steps)]


PIECES = made_up()


def trained(settings, epochs=1):
    training = PianoTraining.of_pieces(PIECES, settings)
    training.run(epochs)
    return training


@pytest.fixture(scope="module")
def trainings():
    return {
        "plain": trained(TINY["lstm-steps"]),
        "transposed": trained(replace(TINY["wavenet"], transpose=True)),
        "random": trained(replace(TINY["lstm"], split="random")),
    }


# copies


IDS = st.lists(st.integers(0, 7), min_size=12, max_size=20)


@given(IDS, st.lists(IDS, min_size=1, max_size=5))
def test_the_run_copied_is_the_longest_that_stands_in_a_piece(sample, sequences):
    scale = list(range(8))  # every token occurs
    pieces = [Piece(f"p{i}", None, [NAMES[k] for k in scale + ids]) for i, ids in enumerate(sequences)]
    material = Material(pieces, pieces[:1], replace(TINY["lstm"], min_count=1))
    learned = [material.vocabulary.decode(ids) for ids in material.learned.sequences]
    tokens = [NAMES[k] for k in sample]
    found = material.copied(material.vocabulary.encode(tokens))
    n, place, name = re.fullmatch(r"(\d+) tokens?, from token (\d+) of (p\d)", found).groups()
    length, start, source = int(n), int(place) - 1, learned[int(name[1:])]

    def runs(ids, width):
        return {tuple(ids[i : i + width]) for i in range(len(ids) - width + 1)}

    assert tuple(source[start : start + length]) in runs(tokens, length)
    assert not any(runs(ids, length + 1) & runs(tokens, length + 1) for ids in learned)


def test_nothing_copied_is_said():
    pieces = [Piece("a", None, ["C4"] * 20), Piece("b", None, ["D4"] * 20)]
    material = Material(pieces[:1], pieces[1:], TINY["lstm"])
    assert material.copied(material.vocabulary.encode(["D4", "D4"])) == "none"


def test_a_copy_is_found_in_another_key():
    pieces = [Piece("a", None, ["C4", "D4", "E4", "F4", "G4"] * 9), Piece("b", None, ["D4"] * 20)]
    plain, moved = (Material(pieces[:1], pieces[1:], replace(TINY["lstm"], transpose=t)) for t in (False, True))
    for material in (plain, moved):
        sample = material.vocabulary.encode(["F4", "G4", "C4", "D4", "C4"])
        assert material.copied(sample) == "4 tokens, from token 4 of a"
    up, down = (moved.vocabulary.encode(names) for names in (["D4", "E4", "G4"], ["F4", "C4", "D4"]))
    # C D E F G: two semitones up D E (F#) G (A), two down (B-3) C D (E-) F, without those that are not learned
    assert moved.copied(up) == "3 tokens, from token 1 of a, 2 semitones up"
    assert plain.copied(up) == "2 tokens, from token 2 of a"
    assert moved.copied(down) == "3 tokens, from token 3 of a, 2 semitones down"


# n-grams


def test_an_ngram_is_measured_at_the_labels_of_windows(trainings):
    material = trainings["plain"].material
    learned = [ids.tolist() for ids in material.learned.sequences]
    for order in (1, 2, 4):
        ngram = KneserNey(learned, len(material.vocabulary), order)
        p = np.concatenate([ngram.distributions(ids)[8:] for ids in material.unseen.sequences])
        wanted = np.concatenate([ids[8:] for ids in material.unseen.sequences])
        loss, right = figures_of(ngram, material)
        assert_allclose(loss, -np.log(p[np.arange(len(p)), wanted]).mean(), rtol=1e-12)
        assert_allclose(right, (p.argmax(axis=1) == wanted).mean(), rtol=1e-12)
    losses = [figures_of(KneserNey(learned, 8, order), material)[0] for order in range(1, 7)]
    ngram, figures = best_ngram(material)
    assert figures[0] == min(losses)
    assert ngram.order == 1 + int(np.argmin(losses))


def test_an_ngram_learns_other_keys_only_where_it_is_told(trainings):
    material = trainings["transposed"].material
    plain, everything = best_ngrams(material)
    assert [plain[0], everything[0]] == ["Kneser-Ney", "Kneser-Ney on all keys"]
    untransposed = Material(material.training, material.held_out, replace(material.settings, transpose=False))
    assert plain[2] == best_ngram(untransposed)[1]
    learned = [ids.tolist() for ids in material.learned.sequences]
    assert everything[2] == figures_of(KneserNey(learned, 8, everything[1].order), material)
    assert plain[2] != everything[2]
    assert len(best_ngrams(untransposed)) == 1


def test_an_ngram_of_a_long_text_is_made_of_a_part_and_measured_at_a_part(trainings, monkeypatch):
    material = trainings["plain"].material
    whole = figures_of(module._ngram(material, 2), material)
    monkeypatch.setattr(module, "COUNTED", 30)
    part = module._ngram(material, 2)
    expected = KneserNey([material.learned.sequences[0][:30].tolist()], 8, 2)
    assert figures_of(part, material) == figures_of(expected, material) != whole
    monkeypatch.setattr(module, "MEASURED", 2)
    assert figures_of(part, material)[1] in (0, 0.5, 1)


def test_a_guess_is_uniform(trainings):
    assert uniform(trainings["plain"].material) == (np.log(8), 1 / 8)


# evaluation


@pytest.mark.parametrize("name", ["plain", "transposed", "random"])
def test_an_evaluation_says_what_belongs_to_its_model(trainings, name):
    training = trainings[name]
    found = measure(training.checkpoint(resumable=False), 50, seed=1)
    on_keys = ["Kneser-Ney on all keys"] if name == "transposed" else []
    names = ["network", "Kneser-Ney", *on_keys, "unigram", "uniform"]
    assert [text.partition(", best order ")[0] for text in found["figures"]] == names
    assert_allclose(found["figures"]["network"][0], training.trainer.best_loss, rtol=1e-6)
    assert all(0 <= right <= 1 and loss > 0 for loss, right in found["figures"].values())
    assert list(found["copied"]) == ["network", "n-gram", *(["held-out pieces"] if name != "random" else [])]
    written = compose(training.checkpoint(), 50, Sampler(1))
    assert found["copied"]["network"] == training.material.copied(training.vocabulary.encode(written))
    assert found["copied"] == measure(training.checkpoint(), 50, seed=1)["copied"]


def test_an_evaluation_needs_a_sample(trainings):
    with pytest.raises(NumpyrnnError, match="length must be a whole number of at least 1, got 0"):
        measure(trainings["plain"].checkpoint(), 0)


# comparison


def test_a_comparison_trains_each_model_as_by_itself():
    rows = list(compared(PianoTraining.of_pieces(PIECES, settings) for settings in TINY.values()))
    assert [row.model for row in rows] == list(MODELS)
    for row, settings in zip(rows, TINY.values(), strict=True):
        alone = trained(settings, 2)
        assert row.parameters == alone.model.params.flat.size
        assert row.loss == alone.trainer.best_loss == min(r["valid_loss"] for r in row.history)
        assert row.history[row.best_epoch - 1]["valid_loss"] == row.loss
        assert len(row.history) == 2
        assert not row.interrupted
        assert 0 <= row.accuracy <= 1
    records = list(records_of(rows))
    assert [(record["model"], record["epoch"]) for record in records] == [(name, i) for name in MODELS for i in (1, 2)]


@pytest.mark.parametrize(("epoch", "names"), [(1, ["lstm"]), (2, ["lstm", "wavenet-simple"])])
def test_an_interrupted_comparison_gives_what_there_is(epoch, names):
    def interrupted():
        yield PianoTraining.of_pieces(PIECES, TINY["lstm"])
        second = PianoTraining.of_pieces(PIECES, TINY["wavenet-simple"])
        run = second.run

        def until(epochs, on_batch=None, on_epoch=None):
            run(epoch - 1)
            raise KeyboardInterrupt

        second.run = until
        yield second
        raise AssertionError("after an interruption comes nothing")

    rows = list(compared(interrupted()))
    assert [row.model for row in rows] == names
    assert rows[-1].interrupted == (len(rows) == 2)
    assert str(rows[-1]).endswith("(interrupted)") == rows[-1].interrupted


def test_what_is_reached_is_that_of_the_best_epoch():
    settings = replace(TINY["lstm-steps"], learning_rate=1.0, average=0.0)

    def interrupted():
        training = PianoTraining.of_pieces(PIECES, settings)
        run = training.run

        def until(epochs, on_batch=None, on_epoch=None):
            run(5)
            training.trainer.model.params.flat[...] = training.trainer.weights  # as an interruption leaves it
            raise KeyboardInterrupt

        training.run = until
        yield training

    (row,) = compared(interrupted())
    training = trained(settings, 5)
    best = accuracy(training.model, training.material.held_out_batches())
    training.model.params.flat[...] = training.trainer.weights
    assert accuracy(training.model, training.material.held_out_batches()) != best
    assert row.accuracy == best
    assert row.best_epoch < 5


def test_a_table_has_its_columns(tmp_path):
    (row,) = compared([PianoTraining.of_pieces(PIECES, TINY["lstm"])], 1)
    assert len(str(row)) == len(HEADER) == len(line("uniform", 2.0, 0.1))
    assert str(row).split()[:3] == ["lstm", f"{row.parameters:,}", "1"]
    assert line("uniform", 2.0, 0.125).split() == ["uniform", "2.000", "12.5%"]
    plot_rows([row], tmp_path / "it.png", "title", {"n-gram": 3.0})
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")
