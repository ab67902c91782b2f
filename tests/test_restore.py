"""Resuming a training: after an interruption, from a file, and only with the same settings."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from numpyrnn import LSTM, Dense, Dropout, Embedding, NumpyrnnError, Sequential
from numpyrnn.batches import padded
from numpyrnn.checkpoint import Checkpoint, load, save
from numpyrnn.optim import SGD, Adam, Optimizer, RMSprop
from numpyrnn.train import Trainer
from numpyrnn.vocab import Vocabulary

TIMES = ("seconds", "items_per_second")


def timeless(history):
    return [{name: value for name, value in record.items() if name not in TIMES} for record in history]


def assert_same_state(state, expected):
    """Assert that two trainers' states are equal to the bit, except for times."""
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, np.ndarray):
            assert state[name].dtype == value.dtype
            assert_array_equal(state[name], value, err_msg=name)
        elif name == "history":
            assert timeless(state[name]) == timeless(value)
        else:
            assert state[name] == value, name


class Lion(Optimizer):
    """Chen et al. 2023, as a user would write it."""

    slots = ("m",)

    def __init__(self, learning_rate=1e-4, beta1=0.9, beta2=0.99):
        super().__init__(learning_rate)
        self.beta1, self.beta2 = beta1, beta2

    def step(self, params, grad, rate):
        m = self.state["m"]
        params -= rate * np.sign(self.beta1 * m + (1 - self.beta1) * grad)
        m *= self.beta2
        m += (1 - self.beta2) * grad


OPTIMIZERS = {
    "Lion": lambda: Lion(np.float32(0.003)),
    "SGD": lambda: SGD(0.1, decay=0.01),
    "momentum": lambda: SGD(0.1, momentum=0.9),
    "RMSprop": lambda: RMSprop(0.01),
    "Adam": lambda: Adam(0.02, beta2=0.99, decay=0.01, weight_decay=0.01),
}
NAMES = [np.random.default_rng(i).integers(0, 4, 3 + i % 4) for i in range(11)]


def make_trainer(seed=0, optimizer="Adam", dtype=np.float32, **settings):
    """A trainer with everything that draws: shuffled batches, dropout of all kinds."""
    rng = np.random.default_rng(seed)
    model = Sequential(
        Embedding(4, 3, dtype, rng),
        Dropout(0.2, shared="features", dtype=dtype),
        LSTM(3, 5, dtype, rng, weight_dropout=0.3),
        Dropout(0.4, dtype=dtype),
        Dense(5, 4, dtype, rng),
    )
    defaults = {"clip_norm": 1.0, "average": 0.9, "rng": seed}
    return Trainer(model, OPTIMIZERS[optimizer]() if optimizer in OPTIMIZERS else optimizer, **(defaults | settings))


def run(trainer, epochs, **hooks):
    """Train on three batches an epoch, with others held out."""
    return trainer.run(lambda rng: padded(NAMES[2:], 3, rng), epochs, lambda: padded(NAMES[:2], 2), **hooks)


def through_a_file(trainer, path, **settings):
    """Another trainer, with another seed, restored from a checkpoint of this one."""
    save(path, Checkpoint("test", trainer.model, Vocabulary("abcd"), {}, trainer.state()))
    other = make_trainer(seed=99, **settings)
    other.restore(load(path).training)
    return other


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_six_epochs_are_three_and_three_by_way_of_a_file(tmp_path, optimizer, dtype):
    settings = {"optimizer": optimizer, "dtype": dtype}
    whole, half = make_trainer(**settings), make_trainer(**settings)
    run(whole, 6)
    run(half, 3)
    resumed = through_a_file(half, tmp_path / "half.npz", **settings)
    run(resumed, 6)
    assert_same_state(resumed.state(), whole.state())
    assert_array_equal(resumed.model.params.flat, whole.model.params.flat)


@pytest.mark.parametrize("settings", [{"average": 0.0}, {"average": 0.9}, {"patience": 50}, {"carry": True}], ids=str)
def test_six_epochs_are_three_and_three_in_one_trainer(settings):
    whole, halves = make_trainer(**settings), make_trainer(**settings)
    run(whole, 6)
    run(halves, 3)
    run(halves, 6)
    assert_same_state(halves.state(), whole.state())


def interrupt_at(trainer, epoch, where):
    """Train six epochs, but raise KeyboardInterrupt in the given one."""

    def now(*_):
        if trainer.epoch == epoch - (where == "batch"):  # counted up after the batches
            raise KeyboardInterrupt
        return True

    hook = {"batch": "on_batch", "accept": "accept", "epoch": "on_epoch"}[where]
    with pytest.raises(KeyboardInterrupt):
        run(trainer, 6, **{hook: now})


@pytest.mark.parametrize(
    ("where", "epoch", "done"),
    [("batch", 3, 2), ("batch", 1, 0), ("accept", 3, 2), ("accept", 1, 0), ("epoch", 3, 3), ("epoch", 1, 1)],
)
def test_an_interruption_rolls_back_to_the_last_whole_epoch(tmp_path, where, epoch, done):
    trainer, whole, states = make_trainer(), make_trainer(), {}
    states[0] = whole.state()
    run(whole, 6, on_epoch=lambda record: states.update({record["epoch"]: whole.state()}))
    interrupt_at(trainer, epoch, where)
    assert_same_state(trainer.state(), states[done])
    resumed = through_a_file(trainer, tmp_path / "interrupted.npz")
    for one in (trainer, resumed):
        run(one, 6)
        assert_same_state(one.state(), whole.state())
        assert_array_equal(one.model.params.flat, whole.model.params.flat)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_an_interrupted_schedule_goes_on(schedule):
    trainer, whole = make_trainer(schedule=schedule), make_trainer(schedule=schedule)
    run(whole, 6)
    interrupt_at(trainer, 4, "batch")
    run(trainer, 6)
    assert_same_state(trainer.state(), whole.state())


def test_a_second_batch_of_an_epoch_is_undone_too():
    trainer, count = make_trainer(), []

    def second(batch):
        count.append(batch)
        if len(count) == 5:  # three per epoch
            raise KeyboardInterrupt

    states = []
    with pytest.raises(KeyboardInterrupt):
        run(trainer, 6, on_batch=second, on_epoch=lambda record: states.append(trainer.state()))
    assert len(states) == 1
    assert_same_state(trainer.state(), states[0])


def test_a_state_does_not_change_when_training_goes_on():
    trainer = make_trainer()
    run(trainer, 1)
    state, other = trainer.state(), trainer.state()
    run(trainer, 3)
    assert_same_state(state, other)


def test_an_rng_may_be_given_as_its_seed():
    one, other = make_trainer(rng=7), make_trainer(rng=np.random.default_rng(7))
    run(one, 2)
    run(other, 2)
    assert_same_state(one.state(), other.state())


@pytest.mark.parametrize("place", [0, 20, -1])
def test_a_loss_that_is_not_finite_is_one_error_and_rolls_back(place):
    trainer, states = make_trainer(), []

    def spoil(batch):
        if trainer.epoch == 2:
            trainer.model.params.flat[place] = np.nan

    with pytest.raises(NumpyrnnError, match=r"must .* finite"):
        run(trainer, 6, on_batch=spoil, on_epoch=lambda record: states.append(trainer.state()))
    assert len(states) == 2
    assert_same_state(trainer.state(), states[-1])


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": {"kind": "RMSprop", "t": 3}},
        {"optimizer": {"kind": "Adam", "t": -1}},
        {"optimizer": {"kind": "Adam", "t": np.inf}},
        {"optimizer": None},
        {"weights": np.zeros(3, np.float32)},
        {"averaged": np.zeros((2, 2), np.float32)},
        {"rng": {"bit_generator": "MT19937"}},
        {"rng": {**np.random.default_rng(0).bit_generator.state, "uinteger": np.inf}},
        {"history": None},
        {"history": [{"epoch": 1, "loss": 1.0, "valid_loss": []}]},
        {"history": [{"epoch": 1, "loss": 1.0, "valid_loss": ""}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_state_of_another_training_is_an_error(change):
    trainer = make_trainer()
    run(trainer, 1)
    with pytest.raises(NumpyrnnError, match="the state of another training cannot be resumed here"):
        make_trainer().restore(trainer.state() | change)


@pytest.mark.parametrize("name", ["weights", "best", "optimizer", "rng", "epoch", "best_loss", "history", "finished"])
def test_a_state_without_a_part_is_an_error(name):
    state = make_trainer().state()
    del state[name]
    with pytest.raises(NumpyrnnError, match="cannot be resumed"):
        make_trainer().restore(state)


def trained_state(**settings):
    trainer = make_trainer(**settings)
    run(trainer, 1)
    return trainer.state()


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        ({}, {"optimizer": "RMSprop"}, r"the optimiser must be 'Adam' as before, got 'RMSprop'"),
        ({}, {"optimizer": Adam(0.01, 0.9, 0.99)}, r"the optimiser's learning_rate must be 0.02 as before, got 0.01"),
        ({"optimizer": Adam()}, {"optimizer": Adam(beta1=0.8)}, r"'s beta1 must be 0.9 as before, got 0.8"),
        ({"optimizer": Adam()}, {"optimizer": Adam(decay=0.1)}, r"'s decay must be 0.0 as before, got 0.1"),
        ({"optimizer": SGD(momentum=0.5)}, {"optimizer": SGD()}, r"'s momentum must be 0.5 as before, got 0.0"),
        ({"optimizer": Lion(beta2=0.9)}, {"optimizer": Lion()}, r"'s beta2 must be 0.9 as before, got 0.99"),
        ({"schedule": "cosine"}, {}, r"schedule must be 'cosine' as before, got 'constant'"),
        ({}, {"average": 0.0}, r"average must be 0.9 as before, got 0.0"),
        ({}, {"clip": None}, r"clip must be 5.0 as before, got None"),
        ({"clip_norm": None}, {}, r"clip_norm must be None as before, got 1.0"),
        ({"carry": True}, {}, r"carry must be True as before, got False"),
    ],
)
def test_a_setting_that_is_another_one_is_refused_in_one_line_and_nothing_changed(before, now, message):
    state, other = trained_state(**before), make_trainer(**now)
    weights, own = other.model.params.flat.copy(), other.state()
    with pytest.raises(NumpyrnnError, match=f"cannot be resumed here .*{message}") as error:
        other.restore(state)
    assert "\n" not in str(error.value)
    assert_same_state(other.state(), own)
    assert_array_equal(other.model.params.flat, weights)


def test_a_state_of_earlier_versions_names_no_settings_and_is_taken():
    state, other = trained_state(), make_trainer(seed=3, optimizer=Adam(0.5), clip=None)
    del state["settings"], state["optimizer"]["settings"]
    other.restore(state)
    assert other.epoch == 1
    assert_array_equal(other.model.params.flat, state["weights"])
    state["optimizer"]["kind"] = "SGD"
    with pytest.raises(NumpyrnnError, match="the optimiser must be 'SGD' as before, got 'Adam'"):
        other.restore(state)


@pytest.mark.parametrize("settings", [None, 3, ["clip"], "clip"])
def test_settings_that_are_none_are_an_error(settings):
    state = trained_state()
    with pytest.raises(NumpyrnnError, match="cannot be resumed"):
        make_trainer().restore(state | {"settings": settings})
    with pytest.raises(NumpyrnnError, match="cannot be resumed"):
        make_trainer().restore(state | {"optimizer": state["optimizer"] | {"settings": settings}})


def test_patience_and_workers_may_be_others():
    other = make_trainer(patience=3, workers=2)
    other.restore(trained_state(patience=5))
    assert other.epoch == 1


@pytest.mark.parametrize("where", [None, "batch", "accept", "epoch"])
def test_the_optimisers_rate_is_what_it_was_after_a_run(where):
    trainer = make_trainer(schedule="linear")
    if where is None:
        run(trainer, 4)
    else:
        interrupt_at(trainer, 4, where)
    assert trainer.history[-1]["learning_rate"] < 0.02
    assert trainer.optimizer.learning_rate == 0.02


def test_a_rate_that_was_changed_between_runs_holds_and_an_interruption_leaves_it():
    trainer = make_trainer(schedule="linear")
    run(trainer, 1)
    trainer.optimizer.learning_rate = 0.5
    interrupt_at(trainer, 3, "batch")
    assert trainer.optimizer.learning_rate == 0.5
    assert trainer.history[1]["learning_rate"] == 0.5 * (1 - 1 / 6)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": None},
        {"averaged": np.full(3, np.nan)},
        {"best": "x"},
        {"best_loss": "x"},
        {"epoch": -1},
        {"history": [{"epoch": "x"}]},
        {"rng": 3},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_refused_state_changes_nothing(change):
    first, second = make_trainer(), make_trainer()
    run(first, 2)
    run(second, 1)
    before = second.state()
    with pytest.raises(NumpyrnnError):
        second.restore(first.state() | change)
    assert_same_state(second.state(), before)
