"""NaN, divergence, full memory, and interruptions within an epoch: what was learned is kept."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from numpyrnn import LSTM, Dense, Dropout, Embedding, NumpyrnnError, Sequential
from numpyrnn.batches import Batch, padded, streams
from numpyrnn.checkpoint import Checkpoint, load, save
from numpyrnn.checks import NotFiniteError
from numpyrnn.optim import SGD, Adam, clip_by_norm, clip_by_value
from numpyrnn.state import values_of
from numpyrnn.train import Trainer
from numpyrnn.vocab import Vocabulary

NAMES = [np.random.default_rng(i).integers(0, 4, 3 + i % 4) for i in range(12)]
TEXT = np.random.default_rng(0).integers(0, 4, 200)
TIMES = {"seconds", "items_per_second"}
SETTINGS = [
    {},
    {"average": 0.9, "clip_norm": 1.0},
    {"carry": True, "average": 0.5},
    {"schedule": "cosine", "clip": None},
]


def make_trainer(seed=0, optimizer=None, **settings):
    """A trainer with dropout and, if it carries its state, two layers that have one."""
    rng = np.random.default_rng(seed)
    layers = [Embedding(4, 3, rng=rng), LSTM(3, 5, rng=rng, weight_dropout=0.3), Dropout(0.4)]
    layers += [LSTM(5, 5, rng=rng), Dense(5, 4, rng=rng)]
    return Trainer(Sequential(layers), optimizer or Adam(0.02), rng=seed, **settings)


def run(trainer, epochs=4, **hooks):
    """Train with five batches an epoch, in an order that is drawn anew."""
    if trainer.carry:
        return trainer.run(lambda rng: streams(np.roll(TEXT, rng.integers(200)), 3, 14), epochs, **hooks)
    return trainer.run(lambda rng: padded(NAMES[2:], 2, rng), epochs, lambda: padded(NAMES[:2], 2), **hooks)


def assert_same(trainer, other):
    """Assert that two trainers have the same state to the bit, except for times."""
    states = trainer.state(), other.state()
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        if isinstance(value, np.ndarray):
            assert_array_equal(value, states[1][name], err_msg=name)
        elif name == "history":
            first, second = ([{k: v for k, v in r.items() if k not in TIMES} for r in s["history"]] for s in states)
            assert first == second
        else:
            assert value == states[1][name], name
    assert_array_equal(trainer.model.params.flat, other.model.params.flat)


class StopError(Exception):
    """Raised by the tests' hooks."""


def keep_and_stop(trainer, kept, stopped):
    """Hooks that keep the training after the given number of steps, and stop it later."""

    def on_batch(batch):
        if trainer.step == kept:
            trainer.keep()
        if trainer.step == stopped:
            raise StopError

    return on_batch


# within an epoch


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("kept", "stopped"), [(1, 1), (2, 4), (5, 5), (8, 9), (13, 13)])
def test_a_training_goes_on_within_an_epoch_with_the_same_bits(tmp_path, settings, kept, stopped):
    whole, broken, resumed = (make_trainer(seed, **settings) for seed in (0, 0, 9))
    run(whole)
    with pytest.raises(StopError):
        run(broken, on_batch=keep_and_stop(broken, kept, stopped))
    assert broken.step == kept
    save(tmp_path / "a.npz", Checkpoint("test", broken.model, Vocabulary("abcd"), {}, broken.kept))
    resumed.restore(load(tmp_path / "a.npz").training)
    assert_same(resumed, broken)
    for one in (broken, resumed):
        run(one)
        assert_same(one, whole)


def test_what_is_kept_is_what_the_state_is_then_and_later_steps_do_not_change_it():
    trainer, states = make_trainer(average=0.9), []

    def on_batch(batch):
        if trainer.step == 7:
            trainer.keep()
            states.append(trainer.state())
        if trainer.step == 9:
            raise StopError

    with pytest.raises(StopError):
        run(trainer, on_batch=on_batch)
    assert trainer.kept.keys() == states[0].keys()
    for name, value in states[0].items():
        if isinstance(value, np.ndarray):
            assert_array_equal(trainer.kept[name], value)
        else:
            assert trainer.kept[name] == value


@pytest.mark.parametrize(
    "place",
    [
        {},
        3,
        {"batch": 0},
        {"batch": -1},
        {"batch": 1.5},
        {"batch": 10**9},
        {"loss": np.nan},
        {"seconds": "x"},
        {"count": -1},
        {"rng": {"bit_generator": "MT19937"}},
        {"carried.0": np.zeros(3, np.float32)},
        {"carried.0": None},
        {"rate": 0},
        {"rate": 2},
        {"rate": np.nan},
    ],
    ids=str,
)
def test_a_place_that_does_not_fit_is_one_error(place):
    trainer = make_trainer(carry=True)
    with pytest.raises(StopError):
        run(trainer, on_batch=keep_and_stop(trainer, 7, 7))
    state, other = trainer.state(), make_trainer(carry=True)
    if isinstance(place, dict) and place and not place.keys() & {"carried.0", "rate"}:
        state["place"] |= place
    elif isinstance(place, dict) and place:
        state |= place
    else:
        state["place"] = place or {"batch": 1}

    def resume():
        other.restore(state)
        run(other)

    with pytest.raises(NumpyrnnError):
        resume()


# memory


def test_keeping_makes_no_second_copy_of_the_training():
    model = Sequential(Embedding(4, 400, rng=0), Dense(400, 1000, rng=0), Dense(1000, 4, rng=0))  # 1.6 MB
    trainer, peaks, size = Trainer(model, Adam(1e-6)), [], model.params.flat.nbytes

    def on_batch(batch):
        tracemalloc.start()
        trainer.keep()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    trainer.run(lambda rng: padded(NAMES, 2), 1, on_batch=on_batch)
    assert len(peaks) == 6
    assert max(peaks) < size / 2  # of 5 arrays; some is needed to see that the weights are finite


@pytest.mark.parametrize("moment", ["keep", "valid", "accept", "batch", "on_epoch"])
def test_an_epoch_that_was_trained_when_memory_ran_out_is_kept(moment, monkeypatch):
    trainer, whole = make_trainer(average=0.9), make_trainer(average=0.9)
    run(whole)

    def full(*_):
        if trainer.step >= 10:
            raise MemoryError
        return True

    hooks = {"batch": {"on_batch": full}, "accept": {"accept": full}, "on_epoch": {"on_epoch": full}}.get(moment, {})
    with monkeypatch.context() as patched:
        if moment == "valid":
            patched.setattr("numpyrnn.train.mean_loss", lambda *_: full() and 1.0)
        if moment == "keep":
            patched.setattr("numpyrnn.train.values_of", lambda trainer: full() and values_of(trainer))
        with pytest.raises(MemoryError):
            run(trainer, **hooks)
    assert trainer.step == (5 if moment in ("batch", "keep") else 10)
    assert trainer.epoch == (2 if moment == "on_epoch" else 1)
    if moment != "valid":  # which gave other losses
        run(trainer)
        assert_same(trainer, whole)


# NaN and infinity


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "settings", [{"clip": 5.0}, {"clip": None, "clip_norm": 1.0}, {"clip": None}, {"clip_norm": 1.0}]
)
@pytest.mark.parametrize("name", ["0.W", "1.Wx", "3.b", "4.W"])
def test_a_gradient_that_is_not_finite_stops_with_its_layer_parameter_and_step(monkeypatch, name, settings, value):
    trainer, whole = make_trainer(**settings), make_trainer(**settings)
    run(whole, 1)
    update = Trainer._update

    def spoiled(self, factor):
        if self.step == 7:
            self.grads[name].flat[-1] = value
        update(self, factor)

    monkeypatch.setattr(Trainer, "_update", spoiled)
    kind = {"0": "Embedding", "1": "LSTM", "3": "LSTM", "4": "Dense"}[name[0]]
    where = rf"step 8; layer {name[0]} \({kind}\), parameter {name[2:]}: largest gradient (nan|inf)"
    with pytest.raises(NotFiniteError, match=where):
        run(trainer)
    whole.model.params.flat[...] = whole.weights
    assert_same(trainer, whole)


def test_weights_and_losses_that_are_not_finite_are_named_too():
    trainer = make_trainer()

    def spoil(batch):
        if trainer.step == 7:
            trainer.model[3].params["Wx"][0, 0] = np.nan

    with pytest.raises(NotFiniteError, match=r"step 8; layer 3 \(LSTM\), parameter Wx: largest weight nan"):
        run(trainer, on_batch=spoil)
    assert trainer.epoch == 1
    nested = Sequential(Sequential(Dense(3, 3, rng=0)), Dense(3, 2, rng=0))
    nested.params["0.0.b"][...] = np.inf
    batch = Batch(np.zeros((1, 1), int), np.zeros((1, 1), int))
    with pytest.raises(NotFiniteError), np.errstate(all="ignore"):
        Trainer(nested, SGD()).run(lambda rng: [batch], 1)


def test_weights_that_the_last_step_spoils_are_not_kept(monkeypatch):
    trainer = Trainer(make_trainer().model, Adam(0.02))
    batches = list(padded(NAMES, 2))

    def spoil(batch):
        if trainer.step == 2 * len(batches):
            trainer.model.params.flat[3] = np.inf

    with pytest.raises(NotFiniteError, match="weights must be finite"):
        trainer.run(lambda rng: batches, 3, on_batch=spoil)
    assert trainer.epoch == 1
    assert np.isfinite(trainer.weights).all()


def test_a_held_out_loss_that_is_not_finite_is_no_result():
    trainer = make_trainer()
    loss = trainer.loss
    trainer.loss = lambda *arguments: loss(*arguments)
    trainer.loss.validation = lambda *_: (np.nan if trainer.epoch == 2 else 1.0, None)
    with pytest.raises(NotFiniteError, match="the held-out loss must stay finite, got nan"):
        run(trainer)
    assert [record["valid_loss"] for record in trainer.history] == [1.0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_clipping_takes_no_infinity_for_a_number(value):
    for clip in (clip_by_value, clip_by_norm):
        grad = np.array([1.0, value, 9.0], np.float32)
        with pytest.raises(NotFiniteError):
            clip(grad, 5.0)
        assert_array_equal(grad, np.array([1.0, value, 9.0], np.float32))
    large = np.array([1e30, -2e38, 1], np.float32)  # the squares are too large, the numbers are not
    clip_by_value(large, 5.0)
    assert_array_equal(large, np.array([5, -5, 1], np.float32))


@pytest.mark.parametrize("step", [0, 7])
def test_a_rollback_halves_the_rate_and_goes_on(monkeypatch, step):
    trainer, errors, rates = make_trainer(on_nan="rollback"), [], []
    update = Trainer._update

    def spoiled(self, factor):
        if self.step == step and len(errors) < 3:
            self.grads["1.Wx"].flat[0] = np.inf
        update(self, factor)
        rates.append(factor)

    monkeypatch.setattr(Trainer, "_update", spoiled)
    history = run(trainer, on_rollback=errors.append)
    assert len(errors) == 3
    assert all("parameter Wx" in str(error) for error in errors)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert history[-1]["learning_rate"] == 0.02 / 8
    assert rates[-1] == trainer.rate == 1 / 8
    assert trainer.optimizer.learning_rate == 0.02
    assert trainer.state()["rate"] == 1 / 8
    again = make_trainer(9)
    again.restore(trainer.state())
    assert again.rate == 1 / 8


def test_a_rollback_gives_up_after_five_halvings_in_a_row(monkeypatch):
    trainer, errors = make_trainer(on_nan="rollback"), []
    monkeypatch.setattr(
        "numpyrnn.train.clip_by_value", lambda grad, limit: grad.fill(np.nan) if trainer.step >= 5 else None
    )
    with pytest.raises(NotFiniteError, match="step 6"):
        run(trainer, on_rollback=errors.append)
    assert len(errors) == 5
    assert (trainer.epoch, trainer.rate) == (1, 1 / 32)


def test_on_nan_is_one_of_two():
    with pytest.raises(NumpyrnnError, match="on_nan must be 'stop' or 'rollback', got 'go on'"):
        make_trainer(on_nan="go on")


# divergence


@pytest.mark.parametrize("rate", [1e3, 1e10, 1e20, 1e30])
@pytest.mark.parametrize("held_out", [True, False])
def test_a_training_that_diverges_ends_and_keeps_no_bad_model(rate, held_out):
    trainer = make_trainer(optimizer=SGD(rate))
    before = trainer.model.params.flat.copy()
    valid = (lambda: padded(NAMES[:2], 2)) if held_out else None
    try:
        trainer.run(lambda rng: padded(NAMES[2:], 2, rng), 9, valid)
    except NotFiniteError:
        assert trainer.epoch == 0
    else:
        assert trainer.diverged
        assert trainer.finished
        assert trainer.epoch == 1
        assert trainer.best_loss == np.inf
    assert_array_equal(trainer.model.params.flat, before)


def test_the_last_good_model_is_kept_when_a_later_epoch_diverges():
    trainer, good = make_trainer(optimizer=SGD(0.1)), make_trainer(optimizer=SGD(0.1))
    run(good, 2)

    def too_fast(record):
        trainer.optimizer.learning_rate = 1e6 if record["epoch"] == 2 else 0.1

    run(trainer, on_epoch=too_fast)
    assert trainer.diverged
    assert trainer.epoch == 3
    assert_array_equal(trainer.model.params.flat, good.model.params.flat)
    assert trainer.history[-1]["valid_loss"] > 100 * np.log(4)
    assert run(trainer, 9) == trainer.history


@pytest.mark.parametrize("times", [99.0, 101.0])
def test_the_limit_is_a_hundred_uniform_guesses(times):
    trainer = make_trainer()
    loss = trainer.loss

    def scaled(*arguments):
        return loss(*arguments)

    trainer.history = [{"epoch": 1, "loss": 1.0, "valid_loss": times * np.log(4)}]
    assert trainer.diverged == (times > 100)
    trainer.history = [{"epoch": 1, "loss": times * np.log(4), "valid_loss": None}]
    assert trainer.diverged == (times > 100)
    trainer.loss = scaled  # of which it is not known what a uniform guess costs
    assert not trainer.diverged


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("at", [1, 3, 5, 7])
def test_a_state_taken_after_any_batch_gives_the_same_bits(settings, at):
    whole, trainer, states, seen = make_trainer(**settings), make_trainer(**settings), [], []
    run(whole, 3)

    def on_batch(batch):
        seen.append(batch)
        if len(seen) == at:
            states.append(trainer.state())

    run(trainer, 3, on_batch=on_batch)
    assert_same(trainer, whole)
    resumed = make_trainer(**settings)
    resumed.restore(states[0])
    run(resumed, 3)
    assert_same(resumed, whole)


@pytest.mark.parametrize("on_nan", ["stop", "rollback"])
@pytest.mark.parametrize("held_out", [False, True])
def test_data_that_is_not_finite_is_said_to_be_the_data(on_nan, held_out):
    x = np.zeros((3, 2, 4), np.float32)
    good, bad = Batch(x, np.zeros((3, 2), int)), Batch(np.where(np.arange(4) == 1, np.nan, x), np.zeros((3, 2), int))
    trainer, back = Trainer(Sequential(LSTM(4, 3, rng=0), Dense(3, 5, rng=0)), SGD(0.1), on_nan=on_nan), []
    with pytest.raises(NumpyrnnError, match=r"^the data must be finite, the x of a batch hold NaN or infinity$"):
        trainer.run(
            lambda rng: [good if held_out else bad],
            2,
            (lambda: [bad]) if held_out else None,
            on_rollback=back.append,
        )
    assert not back


def test_patience_may_be_a_number_of_numpy(tmp_path):
    trainer = make_trainer(patience=np.int64(1))
    run(trainer, 2)
    save(tmp_path / "a.npz", Checkpoint("numpyrnn", trainer.model, training=trainer.state()))
    assert load(tmp_path / "a.npz").training["finished"] in (False, True)


def test_a_trainer_needs_a_model_and_an_optimizer():
    model = make_trainer().model
    with pytest.raises(NumpyrnnError, match=r"^model must be of type Sequential, got 3$"):
        Trainer(3, Adam(0.1))
    with pytest.raises(NumpyrnnError, match=r"^optimizer must be of type Optimizer, got 3$"):
        Trainer(model, 3)


@pytest.mark.parametrize("epoch", [[(1, 2)], [None], 5, None])
def test_an_epoch_of_what_is_no_batch_is_one_clear_error(epoch):
    with pytest.raises(NumpyrnnError, match=r"^an epoch must consist of Batch objects, got "):
        make_trainer().run(lambda rng: epoch, 1)
    with pytest.raises(NumpyrnnError, match=r"^an epoch must consist of Batch objects, got "):
        make_trainer().run(lambda rng: padded(NAMES, 2, rng), 1, lambda: epoch)
