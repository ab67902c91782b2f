"""The training loop."""

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import GRU, LSTM, RNN, Dense, Dropout, Embedding, NumpyrnnError, Sequential
from numpyrnn.batches import Batch, padded, streams
from numpyrnn.losses import softmax_cross_entropy
from numpyrnn.optim import SGD, Adam
from numpyrnn.train import Trainer, mean_loss


def zero_model(inputs=1, outputs=2):
    """Logits W[id] + b, all zero at first."""
    model = Sequential(Dense(inputs, outputs, np.float64))
    model.params.flat[...] = 0
    return model


def places(*ids_and_targets):
    """A batch of one sequence, from pairs of an id and its target."""
    x, targets = np.array(ids_and_targets).T
    return Batch(x[:, None], targets[:, None])


def repeat(*batches):
    """The same batches every epoch."""
    return lambda rng=None: list(batches)


# learning


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_a_cycle_is_learned(kind):
    # In abcabc... each letter says the next: the loss can come as near to 0 as one likes. Knowing nothing costs ln 3.
    ids = (np.arange(13)[:, None] + np.arange(3)) % 3
    batch = Batch(ids[:-1], ids[1:])
    model = Sequential(kind(3, 8, rng=0), Dense(8, 3, rng=1))
    assert mean_loss(model, [batch]) > 0.5
    history = Trainer(model, Adam(0.05)).run(repeat(batch), 60)
    assert history[-1]["loss"] < 0.05
    assert mean_loss(model, [batch]) < 0.05


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_what_only_memory_tells_is_learned(kind):
    # The last letter repeats the first, four steps before, and what comes between says nothing of it. Without memory
    # the last target alone costs ln 2 on average, and the mean over the five places is at least ln 2 / 5 = 0.139.
    x = np.array([[0, 1], [2, 2], [2, 2], [2, 2], [2, 2]])
    targets = np.array([[2, 2], [2, 2], [2, 2], [2, 2], [0, 1]])
    model = Sequential(kind(3, 8, rng=0), Dense(8, 3, rng=1))
    Trainer(model, Adam(0.05)).run(repeat(Batch(x, targets)), 150)
    assert mean_loss(model, [Batch(x, targets)]) < 0.05


def test_soft_targets_are_learned_down_to_their_entropy():
    # Against the distribution (1/2, 1/4, 1/4) no loss is below its entropy, 3/2 ln 2, where the model gives just it.
    wanted = np.array([0.5, 0.25, 0.25])
    model = zero_model(1, 3)
    batch = Batch(np.zeros((1, 1), int), wanted.reshape(1, 1, 3))
    history = Trainer(model, SGD(0.5)).run(repeat(*[batch] * 50), 4)
    assert_allclose(history[-1]["loss"], 1.5 * np.log(2), rtol=1e-9)
    logits = model.forward(batch.x)[0].ravel()
    assert_allclose(np.exp(logits) / np.exp(logits).sum(), wanted, rtol=1e-4)


def test_soft_targets_of_zeros_and_ones_train_like_integers():
    ids = np.random.default_rng(0).integers(0, 4, (6, 3))
    models = []
    for targets in (ids[1:], np.eye(4)[ids[1:]]):
        model = Sequential(LSTM(4, 5, np.float64, rng=0), Dense(5, 4, np.float64, rng=1))
        Trainer(model, SGD(0.5)).run(repeat(Batch(ids[:-1], targets)), 5)
        models.append(model)
    assert_allclose(models[0].params.flat, models[1].params.flat, rtol=1e-12)


# one step by hand: x is always id 0, the target 0 of 2. Logits are W[0] + b = (0, 0), so p = (1/2, 1/2) and the
# gradient is (-1/2, 1/2) for W[0] and the same for b: a vector of norm 1.


@pytest.mark.parametrize(
    ("settings", "step"),
    [
        ({}, 0.5),
        ({"clip": None}, 0.5),
        ({"clip": 0.125}, 0.125),
        ({"clip": None, "clip_norm": 0.5}, 0.25),
        ({"clip": None, "clip_norm": 2.0}, 0.5),
        ({"clip": 0.25, "clip_norm": 0.25}, 0.125),  # first by value, to norm 1/2, then by norm
    ],
)
def test_a_step_by_hand(settings, step):
    model = zero_model()
    trainer = Trainer(model, SGD(1.0), **settings)
    history = trainer.run(repeat(places((0, 0))), 1)
    assert_allclose(model.params.flat, [step, -step, step, -step], rtol=1e-14)
    assert_allclose(history[0]["loss"], np.log(2), rtol=1e-14)  # before the step
    assert trainer.step == trainer.epoch == 1


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25]),
        ("cosine", [1, 0.5 + 0.125**0.5, 0.5, 0.5 - 0.125**0.5]),  # cos(pi / 4) / 2 is the root of 1/8
    ],
)
def test_a_schedule_multiplies_the_rate_by_the_share_of_epochs_done(schedule, factors):
    # With gradients clipped to 1/16 (they stay above it), an epoch of one step moves each number by rate / 16.
    model, positions = zero_model(), []
    trainer = Trainer(model, SGD(0.5), schedule=schedule, clip=1 / 16)
    trainer.run(repeat(places((0, 0))), 4, on_batch=lambda batch: positions.append(model.params.flat[0]))
    assert_allclose(np.diff([0, *positions]), 0.5 / 16 * np.array(factors), rtol=1e-12)
    assert_allclose([record["learning_rate"] for record in trainer.history], 0.5 * np.array(factors), rtol=1e-12)


@pytest.mark.parametrize(
    ("average", "averaged"),
    [
        # With gradients clipped to 0.1, the numbers are 0.1, 0.2, 0.3, 0.4 after the steps 1 to 4 at rate 1.
        (0.0, [0.1, 0.2, 0.3, 0.4]),  # no average
        # Kept: 1/10, 2/11, 3/12, 4/13. 0.9 0.1 = 0.09; (2 0.09 + 9 0.2) / 11 = 0.18; (3 0.18 + 9 0.3) / 12 = 0.27;
        # (4 0.27 + 9 0.4) / 13 = 0.36.
        (0.999, [0.09, 0.18, 0.27, 0.36]),
        # Kept: 1/10, 2/11, then 0.2: 0.2 0.18 + 0.8 0.3 = 0.276, 0.2 0.276 + 0.8 0.4 = 0.3752.
        (0.2, [0.09, 0.18, 0.276, 0.3752]),
    ],
)
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_averaged_weights_by_hand(average, averaged, steps):
    model = zero_model()
    trainer = Trainer(model, SGD(1.0), clip=0.1, average=average)
    history = trainer.run(repeat(*[places((0, 0))] * steps), 1, repeat(places((0, 0))))
    value = averaged[steps - 1]
    assert_allclose(model.params.flat, [value, -value, value, -value], rtol=1e-12)  # what is kept
    # Logits 2 v and -2 v: the loss of the first is ln(1 + e^(-4 v)), and it is the average that is validated.
    assert_allclose(history[0]["valid_loss"], np.log1p(np.exp(-4 * value)), rtol=1e-12)


def test_the_average_does_not_disturb_the_training():
    results = []
    for average in (0.0, 0.9):
        positions, model = [], zero_model()
        trainer = Trainer(model, SGD(1.0), average=average)
        trainer.run(
            repeat(*[places((0, 0))] * 3),
            3,
            repeat(places((0, 0))),
            on_batch=lambda batch, model=model, positions=positions: positions.append(model.params.flat.copy()),
        )
        results.append(positions)
    assert_array_equal(*results)


# what is kept, and when training ends


def overfitting():
    """A training whose held-out loss falls, then rises: half of the held-out targets are 2, all learned ones are 1."""
    model = zero_model(1, 3)
    return model, repeat(places((0, 1))), repeat(places((0, 1), (0, 2)))


def test_patience_ends_training_and_the_best_weights_are_kept():
    model, batches, valid = overfitting()
    trainer = Trainer(model, SGD(0.05), patience=3)
    history = trainer.run(batches, 1000, valid)
    losses = [record["valid_loss"] for record in history]
    best = int(np.argmin(losses))
    assert 0 < best < 100
    assert len(losses) == trainer.epoch == best + 1 + 3
    assert trainer.finished
    assert trainer.best_loss == losses[best]
    assert mean_loss(model, valid()) == losses[best]


def test_without_patience_training_goes_on_and_the_best_weights_are_kept():
    model, batches, valid = overfitting()
    trainer = Trainer(model, SGD(0.05))
    losses = [record["valid_loss"] for record in trainer.run(batches, 40, valid)]
    assert len(losses) == 40
    assert not trainer.finished
    assert losses[-1] > min(losses)
    assert mean_loss(model, valid()) == min(losses) == trainer.best_loss


def test_without_held_out_batches_the_last_weights_are_kept():
    model, batches, _ = overfitting()
    last = []
    trainer = Trainer(model, SGD(0.05), patience=1)
    history = trainer.run(batches, 7, on_batch=lambda batch: last.append(model.params.flat.copy()))
    assert len(history) == 7
    assert all(record["valid_loss"] is None for record in history)
    assert_array_equal(model.params.flat, last[-1])
    assert trainer.best_loss == history[-1]["loss"]


@pytest.mark.parametrize(("answers", "kept"), [([True, True, False], 2), ([True, False], 1), ([False], 1)])
def test_what_is_not_accepted_ends_training_and_is_not_kept_unless_it_is_the_first(answers, kept):
    model, batches, _ = overfitting()
    after = []
    trainer = Trainer(model, SGD(0.05))
    asked = iter(answers)
    history = trainer.run(
        batches, 9, repeat(places((0, 1))), lambda: next(asked), lambda batch: after.append(model.params.flat.copy())
    )
    assert len(history) == len(answers)
    assert trainer.finished
    losses = [record["valid_loss"] for record in history]
    assert losses == sorted(losses, reverse=True)  # each would have been better
    assert_array_equal(model.params.flat, after[kept - 1])
    assert trainer.best_loss == losses[kept - 1]


def test_accept_sees_the_weights_that_would_be_kept():
    model, seen = zero_model(), []
    trainer = Trainer(model, SGD(1.0), clip=0.1, average=0.999)
    trainer.run(repeat(places((0, 0))), 3, accept=lambda: seen.append(model.params.flat[0]) or True)
    assert_allclose(seen, [0.09, 0.18, 0.27], rtol=1e-12)  # the averages by hand above


def test_a_finished_training_stays_finished():
    model, batches, valid = overfitting()
    trainer = Trainer(model, SGD(0.05), patience=2)
    before = list(trainer.run(batches, 500, valid))
    assert trainer.run(batches, 1000, valid) == before


def test_epochs_are_counted_in_all():
    model, batches, _ = overfitting()
    trainer = Trainer(model, SGD(0.05))
    assert len(trainer.run(batches, 3)) == 3
    assert len(trainer.run(batches, 3)) == 3
    assert [record["epoch"] for record in trainer.run(batches, 5)] == [1, 2, 3, 4, 5]


# history and losses


def test_the_history_says_what_was_done():
    batches = [Batch(np.zeros((4, 2), int), np.zeros((4, 2), int)), Batch(np.zeros((3, 1), int), np.zeros((3, 1), int))]
    records = []
    trainer = Trainer(zero_model(), SGD(0.5), schedule="linear")
    history = trainer.run(repeat(*batches), 2, repeat(batches[0]), on_epoch=records.append)
    assert history == records == trainer.history
    assert [record["epoch"] for record in history] == [1, 2]
    assert [record["step"] for record in history] == [2, 4]
    assert [record["learning_rate"] for record in history] == [0.5, 0.25]
    for record in history:
        assert record["seconds"] > 0
        assert_allclose(record["items_per_second"] * record["seconds"], 3, rtol=1e-12)  # sequences


def test_the_loss_of_an_epoch_is_the_mean_over_places_of_any_batch():
    # Logits (0, ln 3), so p = (1/4, 3/4): target 0 costs ln 4, target 1 ln 4/3. Real places: 2 and 1, then 0 and 1.
    model = zero_model()
    model.params["0.b"] = np.array([0, np.log(3)])
    first = Batch(np.zeros((2, 2), int), np.array([[0, 1], [0, 0]]), np.array([2, 1]))
    mask = np.array([[True, False]])
    second = Batch(np.zeros((1, 2), int), np.array([[1, 0]]), mask=mask)
    expected = (2 * np.log(4) + 2 * np.log(4 / 3)) / 4
    assert_allclose(mean_loss(model, [first, second]), expected, rtol=1e-12)
    history = Trainer(model, SGD(1e-12)).run(repeat(first, second), 1)
    assert_allclose(history[0]["loss"], expected, rtol=1e-9)


@pytest.mark.parametrize("size", [2, 27])
def test_the_mean_loss_of_a_uniform_model_is_the_logarithm_of_its_size(size):
    rng = np.random.default_rng(0)
    model = Sequential(Embedding(size, 4, np.float64, rng), LSTM(4, 3, np.float64, rng), Dense(3, size, np.float64))
    model.layers[2].params.flat[...] = 0
    sequences = [rng.integers(0, size, length) for length in (5, 2, 9, 3)]
    assert_allclose(mean_loss(model, padded(sequences, 3)), np.log(size), rtol=1e-12)


def test_the_mean_loss_knows_no_dropout():
    ids = np.random.default_rng(0).integers(0, 3, (5, 4))
    plain = Sequential(LSTM(3, 4, rng=0), Dense(4, 3, rng=1))
    dropping = Sequential(LSTM(3, 4, rng=0, weight_dropout=0.5), Dropout(0.9), Dense(4, 3, rng=1))
    batch = Batch(ids[:-1], ids[1:])
    assert mean_loss(dropping, [batch]) == mean_loss(plain, [batch])


def test_the_mean_loss_that_carries_is_that_of_the_whole_text():
    ids = np.random.default_rng(0).integers(0, 4, 41)
    model = Sequential(GRU(4, 5, np.float64, rng=0), Dense(5, 4, np.float64, rng=1))
    whole = mean_loss(model, streams(ids, 2, 20))
    assert_allclose(mean_loss(model, streams(ids, 2, 3), carry=True), whole, rtol=1e-12)
    assert abs(mean_loss(model, streams(ids, 2, 3)) - whole) > 1e-4


@pytest.mark.parametrize("carry", [False, True])
def test_carry_hands_the_state_of_a_batch_to_the_next_within_an_epoch(carry):
    ids = np.random.default_rng(0).integers(0, 4, 31)
    trained, by_hand = (Sequential(LSTM(4, 5, np.float64, rng=0), Dense(5, 4, np.float64, rng=1)) for _ in range(2))
    Trainer(trained, SGD(0.5), carry=carry).run(lambda rng: streams(ids, 2, 4), 2)
    for _ in range(2):
        state = None
        for batch in streams(ids, 2, 4):
            logits, state, cache = by_hand.forward(batch.x, state if carry else None)
            _, dlogits = softmax_cross_entropy(logits, batch.targets)
            by_hand.params.flat[...] -= 0.5 * by_hand.backward(dlogits, cache)[2].flat
    assert_array_equal(trained.params.flat, by_hand.params.flat)


# errors


def test_no_batches_are_an_error():
    with pytest.raises(NumpyrnnError, match="an epoch needs at least one batch, got none"):
        Trainer(zero_model(), SGD()).run(repeat(), 1)
    with pytest.raises(NumpyrnnError, match="a loss needs at least one batch, got none"):
        mean_loss(zero_model(), [])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"average": 1.0}, "average must be at least 0 and below 1, got 1.0"),
        ({"clip": 0}, "clip must be above 0, got 0"),
        ({"clip_norm": -1.0}, "clip_norm must be above 0, got -1.0"),
        ({"patience": 0}, "patience must be a whole number of at least 1, got 0"),
        ({"average": -0.1}, "average must be at least 0 and below 1, got -0.1"),
        ({"schedule": "steps"}, "schedule must be one of constant, linear, cosine, got 'steps'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_came(settings, message):
    with pytest.raises(NumpyrnnError, match=message):
        Trainer(zero_model(), SGD(), **settings)


def test_batches_must_come_from_functions():
    trainer = Trainer(Sequential(Dense(2, 2, rng=0)), Adam())
    for batches, valid in ([], None), (lambda rng: [], []):
        with pytest.raises(NumpyrnnError, match="batches and valid must be functions"):
            trainer.run(batches, 1, valid=valid)


def test_a_record_holds_the_seconds_of_its_epoch_and_the_sequences_per_second():
    start = time.perf_counter()
    history = Trainer(zero_model(), SGD(0.1)).run(repeat(places((0, 1)), places((0, 0))), 3)
    elapsed = time.perf_counter() - start
    seconds = [record["seconds"] for record in history]
    assert min(seconds) > 0
    assert sum(seconds) <= elapsed
    assert_allclose([record["items_per_second"] for record in history], 2 / np.array(seconds), rtol=1e-12)


def test_an_equal_held_out_loss_is_no_better():
    def loss(logits, targets, mask=None):
        return softmax_cross_entropy(logits, targets, mask)

    loss.validation = lambda logits, targets, mask=None: (1.0, np.zeros_like(logits))
    batches = repeat(places((0, 1)))
    trainer = Trainer(zero_model(), SGD(0.1), loss=loss, patience=2)
    assert len(trainer.run(batches, 10, valid=batches)) == 3  # the first is the best, two are not
