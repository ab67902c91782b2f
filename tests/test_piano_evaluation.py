"""What an evaluation and a comparison say, by independent computation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from numpyrnn import NumpyrnnError
from numpyrnn.sampling import Sampler
from piano import evaluation as module
from piano.batches import accuracy, all_windows
from piano.compare import HEADER, compared, line, plot_rows, records_of
from piano.corpus import Piece
from piano.evaluation import Copied, Copies, best_ngram, best_ngrams, evaluate, figures_of, uniform
from piano.model import MODELS, Material, PianoTraining
from piano.play import compose
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


class Sequences:
    """Stands for a `Material` of given ids."""

    def __init__(self, sequences):
        self.learned = all_windows([np.array(ids, int) for ids in sequences], 1)
        self.sources = [(Piece(str(i), None, []), i % 3 - 1) for i in range(len(sequences))]


IDS = st.lists(st.integers(0, 2), max_size=9)


@given(IDS, st.lists(IDS, min_size=1, max_size=5))
def test_the_longest_run_copied_is_the_longest_of_all(sample, sequences):
    found = Copies(Sequences(sequences)).longest(sample)
    runs = [sample[i:j] for i in range(len(sample)) for j in range(i + 1, len(sample) + 1)]
    places = [
        (len(run), number, start)
        for run in runs
        for number, ids in enumerate(sequences)
        for start in range(len(ids) - len(run) + 1)
        if ids[start : start + len(run)] == run
    ]
    longest = max((length for length, _, _ in places), default=0)
    assert found.length == longest
    if longest:
        number = int(found.piece)
        assert (longest, number, found.place - 1) in places
        assert found.semitones == number % 3 - 1


def test_copies_say_where_they_are_from():
    assert str(Copied(0)) == "none"
    assert str(Copied(3, "a", 7)) == "3 tokens, from token 7 of a"
    assert str(Copied(3, "a", 7, -2)) == "3 tokens, from token 7 of a, 2 semitones down"
    assert str(Copied(3, "a", 7, 5)) == "3 tokens, from token 7 of a, 5 semitones up"


def test_a_copy_is_found_in_another_key():
    pieces = [Piece("a", None, ["C4", "D4", "E4", "F4", "G4"] * 9), Piece("b", None, ["D4"] * 20)]
    plain, moved = (
        Copies(m := Material(pieces[:1], pieces[1:], replace(TINY["lstm"], transpose=t))).longest(
            m.vocabulary.encode(["F4", "G4", "C4", "D4", "C4"])
        )
        for t in (False, True)
    )
    assert plain == Copied(4, "a", 4)
    assert moved == plain
    up = Copies(Material(pieces[:1], pieces[1:], replace(TINY["lstm"], transpose=True)))
    ids = Material(pieces[:1], pieces[1:], TINY["lstm"]).vocabulary.encode(["D4", "E4", "G4"])
    assert up.longest(ids) == Copied(3, "a", 1, 2)  # C D E F G up two: D E (F#) G (A)


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
    found = evaluate(training.checkpoint(resumable=False), 50, seed=1)
    on_keys = ["Kneser-Ney on all keys"] if name == "transposed" else []
    names = ["network", "Kneser-Ney", *on_keys, "unigram", "uniform"]
    assert [text.partition(", best order ")[0] for text in found["figures"]] == names
    assert_allclose(found["figures"]["network"][0], training.trainer.best_loss, rtol=1e-6)
    assert all(0 <= right <= 1 and loss > 0 for loss, right in found["figures"].values())
    assert list(found["copied"]) == ["network", "n-gram", *(["held-out pieces"] if name != "random" else [])]
    written = compose(training.checkpoint(), 50, Sampler(1))
    assert found["copied"]["network"] == Copies(training.material).longest(training.vocabulary.encode(written))
    assert found["copied"] == evaluate(training.checkpoint(), 50, seed=1)["copied"]


def test_an_evaluation_needs_a_sample(trainings):
    with pytest.raises(NumpyrnnError, match="one sampled token or more, got 0"):
        evaluate(trainings["plain"].checkpoint(), 0)


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
