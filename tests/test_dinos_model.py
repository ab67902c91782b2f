"""The name generator: training, sampling, evaluation."""

from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dinos.evaluation import common_ending, describe, measure
from dinos.model import NameTraining, Settings, build, listing, names_of, sample_names, text
from dinos.names import END, vocabulary_of
from numpyrnn import GRU, LSTM, RNN, Dense, NumpyrnnError, Sequential
from numpyrnn.checkpoint import Checkpoint, load, save
from numpyrnn.sampling import Sampler, generate
from numpyrnn.stepper import Stepper
from numpyrnn.vocab import Vocabulary
from workbench.files import data_path, load_model

NAMES = ["abel", "abacus", "baga", "cab", "dagal", "é京😀", "labac", "suba", "ulab", "gaba", "bagul", "clade"]
HELD_OUT = ["ballad", "saga"]
TINY = Settings(hidden=8, embedding=4, batch_size=4, copies=1.0)
EXACT = replace(TINY, hidden=16, dropout=0, input_dropout=0, step_dropout=0, weight_dropout=0, teacher=0, average=0)


def trained(epochs, settings=TINY, **hooks):
    training = NameTraining(NAMES, HELD_OUT, settings)
    training.run(epochs, **hooks)
    return training


@pytest.fixture(scope="module")
def checkpoint():
    return trained(2).checkpoint()


def log_softmax(logits):
    logits = logits.astype(np.float64)
    return logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())


def log_probability(name, model, vocabulary):
    """Natural logarithm of the probability that the model writes a name and ends it, one step at a time."""
    step = Stepper(model)
    ids = vocabulary.encode(END + name + END).tolist()
    return sum(log_softmax(step(token))[wanted] for token, wanted in pairwise(ids))


def without_times(history):
    return [{name: record[name] for name in ("epoch", "step", "loss", "valid_loss")} for record in history]


# building


@pytest.mark.parametrize(("cell", "kind"), [("rnn", RNN), ("lstm", LSTM), ("gru", GRU)])
@pytest.mark.parametrize("layers", [1, 3])
def test_a_generator_has_the_cells_that_were_asked_for(cell, kind, layers):
    vocabulary = Vocabulary("\nabc")
    model = build(Settings(cell=cell, hidden=6, layers=layers, embedding=5), vocabulary)
    cells = [layer for layer in model.layers if isinstance(layer, RNN | LSTM | GRU)]
    assert [type(layer) for layer in cells] == [kind] * layers
    assert [layer.hidden_size for layer in cells] == [6] * layers
    assert isinstance(model.layers[-1], Dense)
    assert model.forward(np.zeros((2, 3), int))[0].shape == (2, 3, 4)
    assert model.dtype == np.float32


def test_a_generator_repeats_with_its_seed():
    vocabulary = Vocabulary("\nabc")
    one, again, other = (build(replace(TINY, seed=seed), vocabulary).params.flat for seed in (1, 1, 2))
    assert_array_equal(one, again)
    assert (one != other).any()


def test_an_unknown_cell_is_an_error():
    with pytest.raises(NumpyrnnError, match="cell must be one of rnn, lstm, gru, got 'transformer'"):
        build(Settings(cell="transformer"), Vocabulary("ab"))


# training


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_few_names_can_be_learned_by_heart(cell):
    # There is no dropout and no teacher. The held-out names are the training names, so that the last weights are the
    # best. All names that can be learned are these twelve, so their total probability can approach one.
    training = NameTraining(NAMES, NAMES, replace(EXACT, cell=cell, learning_rate=0.02))
    assert training.copied() < 0.01
    history = training.run(80)
    assert training.copied() > 0.8
    assert history[-1]["valid_loss"] < np.log(len(NAMES)) / np.mean([len(name) + 1 for name in NAMES]) + 0.1
    written = sample_names(training.checkpoint(), 200, seed=1)
    assert np.mean([name in NAMES for name in written]) > 0.7
    assert len(set(written) & set(NAMES)) > 8


def test_training_repeats_with_its_seed():
    one, again, other = trained(2), trained(2), trained(2, replace(TINY, seed=1))
    assert_array_equal(one.model.params.flat, again.model.params.flat)
    assert without_times(one.trainer.history) == without_times(again.trainer.history)
    assert (one.model.params.flat != other.model.params.flat).any()


def test_copied_is_the_summed_probability_of_the_training_names(checkpoint):
    training = NameTraining.resume(checkpoint)
    training.trainer.model.params.flat[...] = training.trainer.best
    expected = sum(np.exp(log_probability(name, checkpoint.model, checkpoint.vocabulary)) for name in NAMES)
    assert_allclose(training.copied(), expected, rtol=1e-4)


def test_training_ends_before_more_than_the_allowed_share_would_be_copies():
    settings = replace(EXACT, learning_rate=0.02, copies=0.1)
    training = NameTraining(NAMES, NAMES, settings)
    shares = []
    training.run(200, on_epoch=lambda record: shares.append(training.copied()))
    assert training.trainer.finished
    assert all(share <= 0.1 for share in shares[:-1])
    assert shares[-1] > 0.1
    assert training.copied() == shares[-2]  # the weights that were kept


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_targets_are_the_next_characters_softened_by_the_teacher(share):
    batches = []
    training = NameTraining(NAMES, HELD_OUT, replace(TINY, teacher=share, teacher_order=3))
    training.run(1, on_batch=batches.append)
    emoji = training.vocabulary.ids["😀"]
    for batch in batches:
        after = np.vstack([batch.x[1:], np.zeros_like(batch.x[:1])])
        after[batch.lengths - 1, np.arange(len(batch.lengths))] = 0  # newline, the end, has id 0
        if share == 0:
            assert_array_equal(batch.targets[batch.counts], after[batch.counts])
            continue
        targets, after = batch.targets[batch.counts], after[batch.counts]
        assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
        assert (targets > 0).all()
        of_next = targets[np.arange(len(after)), after]
        assert (of_next >= 1 - share).all()
        # Only one name has the emoji. The teacher has not seen it, so it gives the emoji less than a uniform guess.
        assert (of_next[after == emoji] <= 1 - share + share / len(training.vocabulary)).all()
    assert sum(batch.x.shape[1] for batch in batches) == len(NAMES)


def test_two_names_are_enough():
    training = NameTraining(["ab"], ["ba"], TINY)
    history = training.run(2)
    assert len(history) == 2
    assert all(np.isfinite([record["loss"], record["valid_loss"]]).all() for record in history)


# checkpoints


def test_a_checkpoint_says_what_it_was_trained_on(checkpoint):
    assert checkpoint.kind == "dinos"
    assert checkpoint.config == {
        "settings": asdict(TINY),
        "keep_case": False,
        "training": NAMES,
        "held_out": HELD_OUT,
    }
    assert checkpoint.vocabulary == vocabulary_of(NAMES + HELD_OUT)


def test_a_checkpoint_holds_the_best_weights():
    training = trained(6, replace(EXACT, learning_rate=0.05))
    losses = [record["valid_loss"] for record in training.trainer.history]
    checkpoint = training.checkpoint()
    names_and_ends = sum(len(name) + 1 for name in HELD_OUT)
    loss = -sum(log_probability(name, checkpoint.model, checkpoint.vocabulary) for name in HELD_OUT) / names_and_ends
    assert min(losses) < losses[-1]  # it is not the last that is the best
    assert_allclose(loss, min(losses), rtol=1e-4)


def test_a_checkpoint_in_the_middle_holds_the_best_weights_so_far():
    training, found = NameTraining(NAMES, HELD_OUT, TINY), []

    def measure(record):
        found.append(training.checkpoint(resumable=False))

    history = training.run(3, on_epoch=measure)
    for epoch, checkpoint in enumerate(found, 1):
        places = sum(len(name) + 1 for name in HELD_OUT)
        loss = -sum(log_probability(name, checkpoint.model, checkpoint.vocabulary) for name in HELD_OUT) / places
        assert_allclose(loss, min(record["valid_loss"] for record in history[:epoch]), rtol=1e-5)


@pytest.mark.parametrize("settings", [TINY, replace(TINY, cell="gru", layers=2), replace(EXACT, average=0.9)], ids=str)
def test_a_resumed_training_equals_one_without_a_break(tmp_path, settings):
    whole, half = trained(4, settings), trained(2, settings)
    save(tmp_path / "half.npz", half.checkpoint())
    resumed = NameTraining.resume(load(tmp_path / "half.npz", "dinos"))
    resumed.run(4)
    assert_array_equal(resumed.model.params.flat, whole.model.params.flat)
    assert_array_equal(resumed.checkpoint().model.params.flat, whole.checkpoint().model.params.flat)
    assert_array_equal(resumed.trainer.state()["weights"], whole.trainer.state()["weights"])
    assert without_times(resumed.trainer.history) == without_times(whole.trainer.history)


def test_an_interrupted_training_equals_one_without_a_break(tmp_path):
    training, steps = NameTraining(NAMES, HELD_OUT, TINY), []

    def interrupt(batch):
        steps.append(batch)
        if len(steps) == 5:  # three an epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.run(4, on_batch=interrupt)
    assert training.trainer.epoch == 1
    save(tmp_path / "one.npz", training.checkpoint())
    resumed = NameTraining.resume(load(tmp_path / "one.npz"))
    resumed.run(4)
    whole = trained(4)
    assert_array_equal(resumed.model.params.flat, whole.model.params.flat)
    assert without_times(resumed.trainer.history) == without_times(whole.trainer.history)


def test_a_finished_model_cannot_be_resumed():
    with pytest.raises(NumpyrnnError, match="state of its training to be resumed; a shipped or --slim one does not"):
        NameTraining.resume(trained(1).checkpoint(resumable=False))


# sampling


def test_samples_repeat_with_their_seed_and_change_with_it(checkpoint):
    one, again, other = (sample_names(checkpoint, 20, seed=seed) for seed in (5, 5, 6))
    assert one == again
    assert one != other
    assert sample_names(checkpoint, 20) != sample_names(checkpoint, 20)


@pytest.mark.parametrize("n", [0, 1, 2, 17])
def test_as_many_names_come_as_were_asked_for(checkpoint, n):
    names = sample_names(checkpoint, n, seed=0)
    assert len(names) == n
    assert not any(END in name for name in names)


@pytest.mark.parametrize(("prefix", "begins"), [("ab", "ab"), ("", ""), ("AbE", "abe"), ("京😀", "京😀"), ("É", "é")])
@pytest.mark.parametrize("n", [1, 9])
def test_every_name_begins_with_the_prefix(checkpoint, prefix, begins, n):
    assert all(name.startswith(begins) for name in sample_names(checkpoint, n, seed=1, prefix=prefix))


def test_capitals_of_a_prefix_count_where_they_were_kept():
    names = ["Abel", "abel", "Baga"]
    checkpoint = NameTraining(names, ["Cab"], TINY, keep_case=True).checkpoint()
    assert all(name.startswith("Ab") for name in sample_names(checkpoint, 5, prefix="Ab"))
    with pytest.raises(NumpyrnnError, match="got 'E'"):
        sample_names(checkpoint, 5, prefix="abE")


@pytest.mark.parametrize(("prefix", "unknown"), [("axyb", "'x' 'y'"), ("X", "'X'"), ("a\nb", r"'\\n'"), ("北", "'北'")])
def test_unknown_characters_of_a_prefix_are_named(checkpoint, prefix, unknown):
    message = rf"prefix must be of the model's characters \(abcdeglsué京😀\), got {unknown}"
    with pytest.raises(NumpyrnnError, match=message):
        sample_names(checkpoint, 3, prefix=prefix)


@pytest.mark.parametrize("n", [1, 6])
@pytest.mark.parametrize("how", [{"top_k": 1}, {"temperature": 0.0}, {"temperature": 1e-50}], ids=str)
def test_the_surest_name_takes_the_most_probable_character_at_each_step(checkpoint, how, n):
    step, token, ids = Stepper(checkpoint.model), 0, []
    while len(ids) < 60 and (not ids or token != 0):
        token = int(step(token).argmax())
        ids.append(token)
    expected = "".join(checkpoint.vocabulary.decode(ids)).removesuffix(END)
    assert sample_names(checkpoint, n, **how) == [expected] * n


@pytest.mark.parametrize("n", [1, 25])
def test_top_k_keeps_to_the_k_most_probable_characters(checkpoint, n):
    for name in sample_names(checkpoint, n, seed=2, top_k=2, longest=12):
        step, token = Stepper(checkpoint.model), 0
        ids = checkpoint.vocabulary.encode(name + END * (len(name) < 12)).tolist()
        for wanted in ids:
            logits = step(token)
            assert (logits > logits[wanted] + 1e-4).sum() < 2
            token = wanted


@pytest.mark.parametrize("n", [1, 8])
def test_no_name_is_longer_than_the_limit_after_the_prefix(checkpoint, n):
    names = sample_names(checkpoint, n, seed=3, prefix="ab", longest=4)
    assert max(map(len, names)) <= 6


def test_a_high_temperature_is_wilder(checkpoint):
    different = []
    for temperature in (0.001, 0.01, 1.0):
        names = sample_names(checkpoint, 100, seed=0, temperature=temperature, longest=10)
        different.append(len(set(names)))
    assert different[0] < different[1] < different[2]


def test_the_text_of_ids_is_without_the_end():
    vocabulary = Vocabulary("\nab")
    assert [text(ids, vocabulary) for ids in ([1, 2, 0], [1, 2], [0], [])] == ["ab", "ab", "", ""]


def test_a_listing_marks_names_as_new_or_known():
    assert listing(["abel", "xx", ""], {"abel"}) == "Abel  known\nXx    new\n      new"
    assert listing([], {"abel"}) == ""


# evaluation


def test_the_figures_of_an_evaluation_by_independent_computation(checkpoint):
    figures = measure(checkpoint, 40, seed=1)
    assert figures["training"] == len(NAMES)
    assert figures["held_out"] == len(HELD_OUT)
    assert figures["places"] == sum(len(name) + 1 for name in HELD_OUT)
    loss = -sum(log_probability(name, checkpoint.model, checkpoint.vocabulary) for name in HELD_OUT)
    assert_allclose(figures["losses"]["network"], loss / figures["places"], rtol=1e-5)
    assert_allclose(figures["losses"]["uniform"], np.log(len(checkpoint.vocabulary)), rtol=1e-12)
    (ngram,) = (loss for name, loss in figures["losses"].items() if name.startswith("Kneser-Ney"))
    assert ngram <= figures["losses"]["unigram"]
    for sample in figures["samples"].values():
        assert_allclose(sample.in_training + sample.in_held_out + sample.new, 1, rtol=1e-12)


def test_the_unigram_loss_by_hand():
    # Of 13 ids, a occurs 6 times, b 4 times and the end 3 times. No count is one, so the discount is a half. 1.5 / 13
    # is left, and each of the three ids gets a third of it.
    checkpoint = NameTraining(["aab", "aabb", "aab"], ["ab"], TINY).checkpoint()
    p = {"a": 6 / 13, "b": 4 / 13, END: 3 / 13}
    assert_allclose(sum(p.values()), 1)
    figures = measure(checkpoint, 5)
    assert_allclose(figures["losses"]["unigram"], -np.log([p["a"], p["b"], p[END]]).mean(), rtol=1e-12)


def test_an_evaluation_repeats_with_its_seed(checkpoint):
    assert measure(checkpoint, 10, seed=3) == measure(checkpoint, 10, seed=3)


@pytest.mark.parametrize(("held_out", "samples"), [([], 10), (HELD_OUT, 0)])
def test_an_evaluation_needs_held_out_names_and_samples(checkpoint, held_out, samples):
    config = checkpoint.config | {"held_out": held_out}
    with pytest.raises(NumpyrnnError, match=f"held-out names and samples, got {len(held_out)} and {samples}"):
        measure(replace(checkpoint, config=config), samples)


def test_a_sample_is_described_by_its_shares():
    sample = ["tyrannosaurus", "abel", "abel", "bagasaurus", "zz"]
    found = describe(sample, ["abel", "megasaurus"], ["zz"], "saurus")
    assert (found.in_training, found.in_held_out, found.new) == (0.4, 0.2, 0.4)
    assert found.ending == 0.4
    assert found.length == (13 + 4 + 4 + 10 + 2) / 5
    assert (found.longest_run, found.run_of, found.run_from) == ("gasaurus", "bagasaurus", "megasaurus")


def test_the_commonest_ending_has_six_characters():
    assert common_ending(["aaasaurus", "saurus", "bceratops", "ops", "xsaurus"]) == "saurus"


def test_a_model_without_its_names_is_refused():
    with pytest.raises(NumpyrnnError, match="must hold its training and held-out names"):
        names_of(Checkpoint("dinos", Sequential(RNN(3, 3, rng=0), Dense(3, 3, rng=0)), Vocabulary("ab\n")))


def test_a_prefix_has_an_end():
    with pytest.raises(NumpyrnnError, match=r"^prefix must have at most 1000 characters, it has 1,001$"):
        sample_names(load(data_path("models/dinos.npz")), 1, 0, prefix="a" * 1001)


def test_names_of_emoji_families_are_learned_whole_and_older_files_sample_as_before(tmp_path):
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    names, settings = [family + "a", "b" + family, "ab"], Settings(hidden=4, embedding=3)
    training = NameTraining(names, ["ba"], settings)
    save(tmp_path / "new.npz", training.checkpoint())
    written = sample_names(load_model(tmp_path / "new.npz", "dinos"), 40, seed=1, prefix=family)
    assert all(name.startswith(family) for name in written)
    assert all("\u200d" not in name.replace(family, "") for name in written)

    old = NameTraining(names, ["ba"], settings, vocabulary=Vocabulary("\n" + "".join(names)))
    save(tmp_path / "old.npz", old.checkpoint())
    checkpoint = load_model(tmp_path / "old.npz", "dinos")
    assert NameTraining.resume(checkpoint).vocabulary.tokens == sorted({"\n", *"".join(names)})
    prompts = checkpoint.vocabulary.encode("\n" + family)[:, None].repeat(5, axis=1)
    ids = generate(checkpoint.model, prompts, Sampler(np.random.default_rng(1)), 60, 0)
    drawn = [name for row in ids if (name := family + "".join(checkpoint.vocabulary.decode(row)).rstrip("\n"))]
    assert sample_names(checkpoint, 5, seed=1, prefix=family) == drawn
