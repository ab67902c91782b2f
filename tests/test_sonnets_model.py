"""The writer of sonnets: its network, its batches, its training and its checkpoints."""

import tracemalloc
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import LSTM, Dense, Dropout, Embedding, LastStep, NumpyrnnError, Sequential
from numpyrnn.activations import log_softmax
from numpyrnn.checkpoint import Checkpoint, load, save
from numpyrnn.train import mean_loss
from numpyrnn.vocab import Vocabulary
from sonnets import model as module
from sonnets import text as text_module
from sonnets.model import (
    SonnetTraining,
    build,
    held_out_batches,
    shifted_streams,
    shuffled_windows,
    softened,
)
from sonnets.recipes import RECIPES, Settings
from sonnets.text import plain, read_plain, split_text
from workbench.files import data_path
from workbench.ngram import KneserNey

TEXT = "\n\n".join(read_plain(data_path("sonnets.txt")).split("\n\n")[:4]) + "\n"  # four sonnets
TRAINING, HELD_OUT = split_text(TEXT)
STREAMS = replace(RECIPES["streams"], hidden=8, embedding=4, batch_size=4, steps=20)
WINDOWS = replace(RECIPES["course"], hidden=6, steps=10, stride=7, learning_rate=0.01)
BOTH = pytest.mark.parametrize("settings", [STREAMS, WINDOWS], ids=["streams", "course"])


def trained(epochs, settings=STREAMS, **hooks):
    training = SonnetTraining(TRAINING, HELD_OUT, settings)
    training.run(epochs, **hooks)
    return training


def without_times(history):
    return [{name: record[name] for name in ("epoch", "step", "loss", "valid_loss")} for record in history]


# building


def test_the_course_network_has_its_221_990_weights():
    settings = RECIPES["course"]
    model = build(settings, Vocabulary(map(chr, range(38))))
    assert model.params.flat.size == 221_990
    kinds = [LSTM, Dropout, LSTM, Dropout, LastStep, Dense]
    assert [type(layer) for layer in model.layers] == kinds
    first, dropout, second, _, _, dense = model.layers
    assert (first.input_size, first.hidden_size, second.hidden_size, dense.output_size) == (38, 128, 128, 38)
    assert first.hard_sigmoid
    assert second.hard_sigmoid
    assert (dropout.rate, dropout.shared) == (0.5, None)
    assert (first.params["b"] == np.array([0, 0, 1, 0])[:, None]).all()  # o, i, f, g
    assert model.forward(np.zeros((40, 3), int))[0].shape == (1, 3, 38)
    assert (settings.steps, settings.stride, settings.batch_size, settings.epochs) == (40, 3, 128, 20)
    training = SonnetTraining(TRAINING, HELD_OUT, settings)
    assert (training.trainer.optimizer.learning_rate, training.trainer.optimizer.beta2) == (0.001, 0.999)
    assert (training.trainer.clip, training.trainer.clip_norm, training.trainer.average) == (None, None, 0)


def test_the_windows_of_the_course_text_are_its_31_412(shared_data):
    text = plain((shared_data / "shakespeare.txt").read_text("utf-8"))
    ids = Vocabulary(text).encode_text(text)
    batches = list(shuffled_windows(ids, RECIPES["course"], np.random.default_rng(0)))
    assert sum(batch.x.shape[1] for batch in batches) == 31_412
    assert {batch.x.shape[0] for batch in batches} == {40}
    assert {batch.targets.shape[0] for batch in batches} == {1}


@pytest.mark.parametrize("layers", [1, 3])
def test_the_network_of_the_streams_has_what_was_asked_for(layers):
    settings = replace(RECIPES["streams"], hidden=6, layers=layers, embedding=5, between_dropout=0.125)
    model = build(settings, Vocabulary("\nabc"))
    cells = [layer for layer in model.layers if isinstance(layer, LSTM)]
    assert [cell.hidden_size for cell in cells] == [6] * layers
    assert not any(cell.hard_sigmoid for cell in cells)
    assert {cell.weight_dropout for cell in cells} == {settings.weight_dropout}
    assert isinstance(model.layers[0], Embedding)
    after = [layer.rate for layer in model.layers[2:] if isinstance(layer, Dropout)]
    assert after == [0.125] * (layers - 1) + [settings.dropout]
    assert model.forward(np.zeros((2, 3), int))[0].shape == (2, 3, 4)
    assert model.dtype == np.float32


# batches


def streams_of(batch_size, steps):
    return replace(STREAMS, batch_size=batch_size, steps=steps)


@given(
    st.integers(1, 60),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 5),
)
def test_streams_go_on_over_the_text_as_a_ring(L, batch_size, steps, seed):
    ids = np.arange(L)
    batches = list(shifted_streams(ids, streams_of(batch_size, steps), np.random.default_rng(seed)))
    x, targets = (np.concatenate(parts) for parts in zip(*((b.x, b.targets) for b in batches), strict=True))
    T, N = x.shape
    assert max(1, min(batch_size, L // (4 * steps))) == N
    assert T == L // N
    assert all(len(batch.x) == steps for batch in batches[:-1])
    assert_array_equal(targets, (x + 1) % L)
    assert_array_equal(x.T.ravel(), (x[0, 0] + np.arange(N * T)) % L)  # one stretch, each stream after the other


def test_the_place_where_the_streams_begin_changes():
    rng = np.random.default_rng(0)
    begins = {int(next(shifted_streams(np.arange(1000), streams_of(4, 10), rng)).x[0, 0]) for _ in range(20)}
    assert len(begins) > 15


def test_soft_targets_are_those_of_the_next_place():
    ids, soft = np.arange(100) % 7, np.random.default_rng(0).random((100, 7))
    hard = shifted_streams(np.arange(100), streams_of(3, 6), np.random.default_rng(1))
    for batch, places in zip(shifted_streams(ids, streams_of(3, 6), np.random.default_rng(1), soft), hard, strict=True):
        assert_array_equal(batch.x, ids[places.x])
        assert_array_equal(batch.targets, soft[(places.x + 1) % 100])


@BOTH
def test_an_epoch_of_a_long_text_reads_a_part(monkeypatch, settings):
    monkeypatch.setattr(module, "EPOCH", 300)
    training, batches, begins = SonnetTraining(TRAINING, HELD_OUT, replace(settings, teacher=0)), [], []
    training.run(6, on_batch=batches.append, on_epoch=lambda record: begins.append(len(batches)))
    assert sum(batch.places for batch in batches) == 6 * training.items
    assert training.items in (300, len(range(0, 290, 7)))
    if not settings.stride:
        firsts = {batches[i].x.tobytes() for i in (0, *begins[:-1])}
        assert len(firsts) == 6


@pytest.mark.parametrize("L", [2, 3, 199, 200, 201, 400, 401, 402, 600, 601, 1999])
@BOTH
def test_every_held_out_character_is_predicted_once_from_what_stands_before(L, settings):
    seen = []
    columns = None
    for batch in held_out_batches(np.arange(L), settings):
        if settings.stride:
            ends = batch.targets[0]
            assert_array_equal(batch.x, ends - np.arange(len(batch.x), 0, -1)[:, None])
            assert len(batch.x) == settings.steps or (len(ends) == 1 and ends[0] == len(batch.x))
            seen += ends.tolist()
            continue
        assert_array_equal(batch.targets, batch.x + 1)
        columns = batch.x if columns is None else np.vstack([columns, batch.x])
        seen += batch.targets[batch.mask].tolist()
        n_before = (batch.targets - columns[0])[batch.mask]  # that the network has read
        assert (n_before >= np.minimum(batch.targets[batch.mask], 200)).all()
    assert sorted(seen) == list(range(1, L))
    if columns is not None:  # each batch goes on where the last one ended
        assert_array_equal(columns, columns[0] + np.arange(len(columns))[:, None])


def test_the_held_out_loss_is_that_of_one_long_stream():
    training = trained(1)
    ids = training.vocabulary.encode("\n" + HELD_OUT)
    assert len(ids) < 400  # so that nothing is forgotten
    logits = training.model.forward(ids[:-1, None])[0][:, 0].astype(float)
    log_p = log_softmax(logits)[np.arange(len(ids) - 1), ids[1:]]
    assert_allclose(training.trainer.history[0]["valid_loss"], -log_p.mean(), rtol=1e-5)


# the teacher


def test_targets_are_softened_by_an_n_gram_that_has_not_seen_that_tenth():
    ids = np.random.default_rng(0).integers(0, 5, 100).astype(np.uint8)
    soft = softened(ids, 5, 0.25, 3)
    assert soft.dtype == np.float32
    assert_allclose(soft.sum(axis=1), 1, rtol=1e-5)
    for place in (0, 9, 10, 37, 99):
        start = place // 10 * 10
        ngram = KneserNey([part for part in (ids[:start], ids[start + 10 :]) if len(part)], 5, 3)
        context = tuple([-1, -1, *ids.tolist()][place : place + 2])
        expected = 0.25 * ngram.distribution(context)
        expected[ids[place]] += 0.75
        assert_allclose(soft[place], expected, rtol=1e-5)


@pytest.mark.parametrize("limit", [10**9, 100])
def test_a_long_text_has_no_teacher(monkeypatch, limit):
    monkeypatch.setattr(module, "TAUGHT", limit)
    batches = []
    trained(1, on_batch=batches.append)
    assert {batch.targets.ndim for batch in batches} == ({3} if limit > 100 else {2})


# training


@BOTH
def test_a_few_lines_can_be_learned(settings):
    verse = "roses are red, violets are blue,\n" * 20
    dropouts = {field.name: 0.0 for field in fields(Settings) if field.name.endswith("dropout")}
    exact = replace(settings, hidden=24, teacher=0.0, learning_rate=0.02, **dropouts)
    training = SonnetTraining(verse, verse, exact)
    history = training.run(40)
    assert history[0]["valid_loss"] > 1
    assert training.trainer.best_loss < 0.15


@BOTH
def test_training_repeats_with_its_seed(settings):
    one, again, other = trained(2, settings), trained(2, settings), trained(2, replace(settings, seed=1))
    assert_array_equal(one.model.params.flat, again.model.params.flat)
    assert without_times(one.trainer.history) == without_times(again.trainer.history)
    assert (one.model.params.flat != other.model.params.flat).any()


def test_a_network_of_a_negative_seed_is_one_error():
    with pytest.raises(NumpyrnnError, match="seed must be a whole number of at least 0, got -1"):
        build(replace(STREAMS, seed=-1), Vocabulary("abc"))


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("text", ["ab" * 250 + "\n", "Ω" * 249 + "\n" + "字" * 250 + "\n"])
def test_the_smallest_texts_train(recipe, text):
    training = SonnetTraining(*split_text(text), replace(RECIPES[recipe], hidden=4))
    history = training.run(1)
    assert np.isfinite([history[0]["loss"], history[0]["valid_loss"]]).all()


@pytest.mark.parametrize(("training", "held_out"), [("ab" * 10, "ab"), ("ab" * 100, "")])
def test_a_part_that_is_too_short_is_an_error(training, held_out):
    message = f"at least 21 and 1 characters, got {len(training)} and {len(held_out)}"
    with pytest.raises(NumpyrnnError, match=message):
        SonnetTraining(training, held_out, STREAMS)


@BOTH
def test_items_are_the_characters_that_an_epoch_predicts(settings):
    batches = []
    training = trained(1, settings, on_batch=batches.append)
    assert sum(batch.places for batch in batches) == training.items


@pytest.mark.parametrize(("more", "reading"), [("", 2.5), ("Ω", 4.5)], ids=["ASCII", "a few letters of two bytes"])
def test_a_long_text_is_held_twice_while_it_is_read_and_once_as_ids(tmp_path, monkeypatch, more, reading):
    monkeypatch.setattr(module, "EPOCH", 1000)
    (tmp_path / "text.txt").write_text(more + TEXT * (5_000_000 // len(TEXT)), "utf-8")
    settings = replace(STREAMS, hidden=4, embedding=2)
    tracemalloc.start()
    try:
        training = SonnetTraining(*split_text(read_plain(tmp_path / "text.txt")), settings)
        left, most = (n / 5_000_000 for n in tracemalloc.get_traced_memory())  # bytes a character
        tracemalloc.reset_peak()
        training.run(1)
        trained = tracemalloc.get_traced_memory()[1] / 5_000_000
    finally:
        tracemalloc.stop()  # it would slow down all tests after this one
    assert most < reading
    assert left < 1.1
    assert trained < 2


def test_the_ids_of_a_text_take_one_byte_each():
    batches = []
    trained(1, replace(STREAMS, teacher=0), on_batch=batches.append)
    assert {batch.x.dtype for batch in batches} == {np.dtype(np.uint8)}


# checkpoints


@BOTH
def test_a_checkpoint_says_what_it_was_trained_on_and_has_the_best_weights(settings):
    training = trained(3, settings)
    checkpoint = training.checkpoint()
    assert checkpoint.kind == "sonnets"
    expected = {"settings": asdict(settings), "keep_case": False, "training": TRAINING, "held_out": HELD_OUT}
    assert checkpoint.config == expected
    assert checkpoint.vocabulary == Vocabulary(TEXT)
    assert Settings.of(checkpoint) == settings
    ids = checkpoint.vocabulary.encode("\n" + HELD_OUT)
    loss = mean_loss(checkpoint.model, held_out_batches(ids, settings), carry=not settings.stride)
    assert_allclose(loss, min(record["valid_loss"] for record in training.trainer.history), rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "keeps"),
    [
        (STREAMS, True),
        (STREAMS, False),
        (WINDOWS, True),
        (replace(STREAMS, average=0.9, layers=2, schedule="constant", teacher=0.0), True),
    ],
    ids=["streams", "text not kept", "course", "averaged"],
)
def test_a_resumed_training_equals_one_without_a_break(tmp_path, monkeypatch, settings, keeps):
    if not keeps:
        monkeypatch.setattr(text_module, "KEPT", 100)
    settings, steps = replace(settings, epochs=4), []

    def interrupt(batch):
        steps.append(batch)
        if len(steps) > 1.5 * per_epoch:
            raise KeyboardInterrupt

    half, whole = SonnetTraining(TRAINING, HELD_OUT, settings), trained(4, settings)
    per_epoch = whole.trainer.step // 4
    with pytest.raises(KeyboardInterrupt):
        half.run(4, on_batch=interrupt)
    save(tmp_path / "half.npz", half.checkpoint())
    checkpoint = load(tmp_path / "half.npz", "sonnets")
    assert checkpoint.training["epoch"] == 1
    resumed = SonnetTraining.resume(checkpoint, None if keeps else TEXT)
    resumed.run(4)
    assert_array_equal(resumed.model.params.flat, whole.model.params.flat)
    assert_array_equal(resumed.trainer.state()["weights"], whole.trainer.state()["weights"])
    assert without_times(resumed.trainer.history) == without_times(whole.trainer.history)


def test_a_finished_model_cannot_be_resumed():
    with pytest.raises(NumpyrnnError, match="state of its training to be resumed; a shipped or --slim one does not"):
        SonnetTraining.resume(trained(1).checkpoint(resumable=False))


def test_a_training_does_not_go_on_with_another_text():
    with pytest.raises(NumpyrnnError, match="the one that the model was trained on, it is another"):
        SonnetTraining.resume(trained(1).checkpoint(), TEXT.upper())


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"settings": 3},
        {"settings": {"colour": "red"}},
        {"settings": {"batch_size": 0}},
        {"settings": {"steps": "many"}},
        {"settings": {"stride": -1}},
    ],
    ids=str,
)
def test_a_model_without_settings_is_refused(config):
    checkpoint = Checkpoint("sonnets", Sequential(Dense(2, 2, rng=0)), Vocabulary("ab"), config)
    with pytest.raises(NumpyrnnError, match="must hold its settings, it does not"):
        Settings.of(checkpoint)
