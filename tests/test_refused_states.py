"""A state of a training is believed only as far as this training could have reached it; else nothing changes."""

import copy
import tracemalloc

import numpy as np
import pytest

from numpyrnn import LSTM, SGD, Adam, Dense, NumpyrnnError, RMSprop, Sequential, Trainer, load, save
from numpyrnn.batches import Batch
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.losses import softmax_cross_entropy
from numpyrnn.verify import check_training, verify

IDS = np.random.default_rng(1).integers(0, 5, (7, 3))
OPTIMIZERS = {"Adam": lambda: Adam(0.01), "RMSprop": lambda: RMSprop(0.01), "momentum": lambda: SGD(0.1, momentum=0.9)}


def make(optimizer="Adam", **settings):
    model = Sequential(LSTM(5, 2, rng=0), Dense(2, 5, rng=1))
    return Trainer(model, OPTIMIZERS[optimizer](), average=0.9, rng=5, **settings)


def trained(optimizer="Adam", epochs=2):
    trainer = make(optimizer)
    trainer.run(lambda rng: [Batch(IDS[:-1], IDS[1:])] * 2, epochs, lambda: [Batch(IDS[:-1], IDS[1:])])
    return trainer


def put(*path):
    """A function of a state and a value that puts the value at a place of the state."""

    def change(state, value):
        *before, last = path
        for key in before:
            state = state[key]
        state[last] = value

    return change


HUGE, INF, NAN = 10**400, float("inf"), float("nan")
N = 79
NUMBERS = [None, "1", [1], {}, -1, HUGE, 10**30, 1.5, INF, NAN, True]
ARRAYS = {
    "none": None,
    "a number": 1.0,
    "a list": [0.0] * N,
    "a text": "x" * N,
    "one value": np.zeros(1, np.float32),
    "no value": np.zeros(0, np.float32),
    "no axis": np.float32(1),
    "two axes": np.zeros((1, N), np.float32),
    "doubles": np.zeros(N),
    "integers": np.zeros(N, np.int32),
    "complex": np.zeros(N, np.complex128),
    "big endian": np.zeros(N, ">f4"),
    "texts": np.array(["0"] * N),
    "objects": np.array([0.0] * N, object),
    "NaN": np.full(N, NAN, np.float32),
    "an infinity": np.append(np.zeros(N - 1, np.float32), np.float32(INF)),
}
RNG = np.random.default_rng(0).bit_generator.state
RNGS = [
    None,
    3,
    [],
    {},
    "PCG64",
    {"bit_generator": "PCG64"},
    {"bit_generator": "MT19937"},
    np.random.Generator(np.random.SFC64(0)).bit_generator.state,
    *(RNG | {"state": RNG["state"] | {"state": value}} for value in (-1, HUGE, 2**128, "1", 1.5)),
    *(RNG | {"state": RNG["state"] | {"inc": value}} for value in (-1, HUGE, 2**128, "1", 1.5)),
    RNG | {"state": RNG["state"] | {"inc": 2}},
    RNG | {"state": None},
    *(RNG | {"has_uint32": value} for value in (2, -1, HUGE, None, "1")),
    *(RNG | {"uinteger": value} for value in (-1, 2**32, HUGE, None, 1.5)),
    RNG | {"more": 1},
]
CASES = [
    *(
        (f"{name}: {label}", put(name), value)
        for name in ("weights", "averaged", "best", "optimizer.m")
        for label, value in ARRAYS.items()
    ),
    ("v: negative", put("optimizer.v"), np.full(N, -1e-9, np.float32)),
    ("an unknown slot", put("optimizer.x"), np.zeros(N, np.float32)),
    *((f"{name}: {value!r:.20}", put(name), value) for name in ("epoch", "step", "stale") for value in NUMBERS),
    *((f"t: {value!r:.20}", put("optimizer", "t"), value) for value in NUMBERS),
    *((f"best_loss: {value!r:.20}", put("best_loss"), value) for value in (None, "1", [], HUGE, INF, NAN, True)),
    *((f"finished: {value!r:.20}", put("finished"), value) for value in (None, 0, 1, "no", [], HUGE)),
    *((f"rng: {i}", put("rng"), value) for i, value in enumerate(RNGS)),
    *((f"optimizer: {value!r:.20}", put("optimizer"), value) for value in (None, "Adam", [], {}, {"kind": "Adam"})),
    *((f"kind: {value!r:.20}", put("optimizer", "kind"), value) for value in (None, "SGD", "Trainer", 3, [])),
    *((f"settings: {value!r:.20}", put("settings"), value) for value in (3, "clip", [1], {"clip": INF}, {"x": 1})),
    *(
        (f"{name}: {value!r:.20}", put("optimizer", "settings", name), value)
        for name in ("learning_rate", "beta1", "decay", "unknown")
        for value in (INF, NAN, "0.01", [], -1, HUGE)
    ),
    *((f"history: {value!r:.20}", put("history"), value) for value in (None, 3, "ab", [1], [[]], {"epoch": 1}, [{}])),
    *(
        (f"{name} of a record: {value!r:.20}", put("history", 1, name), value)
        for name in ("epoch", "step", "loss", "valid_loss", "learning_rate", "seconds")
        for value in ("1", [], {}, HUGE, INF, NAN, True)
    ),
    ("a record before the first", put("history", 1, "epoch"), 0),
    ("a record twice", put("history", 1, "epoch"), 1),
    ("a record after the last", put("history", 1, "epoch"), 3),
    ("a step after the last", put("history", 1, "step"), 10**6),
    ("no loss", put("history", 1, "loss"), None),
    ("more epochs without a better loss than epochs", put("stale"), 3),
    ("fewer updates than steps", put("optimizer", "t"), 3),
    ("fewer steps than epochs", put("step"), 1),
    ("more epochs than records", put("epoch"), 3),
    ("all epochs without a record", put("history"), []),
    *((f"best_loss: {value}", put("best_loss"), value) for value in (-1e9, 1e300, 0)),
    *((f"{name}: -5", put("history", 0, name), -5) for name in ("seconds", "items_per_second")),
    *((f"rate: {value!r}", put("rate"), value) for value in (5e-324, 0, -1, 2, NAN, None, "1")),
    *((f"an unknown {name!r}", put(name), 1) for name in ("virus", "", "carried.1", "\x1b[31m")),
    *((f"an unknown array {name}", put(name), np.zeros(N, np.float32)) for name in ("virus", "carried.0", "params")),
]
PLACES = [
    *(
        (name, value)
        for name in ("batch", "count", "items", "seconds")
        for value in (-1, NAN, INF, HUGE, None, "1", [])
    ),
    *(("loss", value) for value in (NAN, INF, -INF, HUGE, -HUGE, None, "1", [])),
    *(("batch", value) for value in (0, 2, 3, 1.5, True, 10**12)),
    ("seconds", 0),
    *(("rng", value) for value in RNGS),
    ("more", 1),
]


def unchanged(trainer, before):
    now = trainer.state()
    assert now.keys() == before.keys()
    for name, value in before.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(now[name], value)
        else:
            assert now[name] == value


@pytest.mark.parametrize(("change", "value"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_state_that_cannot_be_is_one_error_and_nothing_changes(change, value):
    state, other = copy.deepcopy(trained().state()), trained(epochs=1)
    before, weights = copy.deepcopy(other.state()), other.model.params.flat.copy()
    change(state, value)
    with pytest.raises(NumpyrnnError, match="the state of another training cannot be resumed here") as caught:
        other.restore(state)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)
    unchanged(other, before)
    np.testing.assert_array_equal(other.model.params.flat, weights)


def within_an_epoch(loss=softmax_cross_entropy):
    """The state of a training that carries its state over, after a whole epoch and one batch of the next one."""
    trainer, batches = make(carry=True, loss=loss), [Batch(IDS[:-1], IDS[1:])] * 2
    trainer.run(lambda rng: batches, 1, lambda: batches)
    with pytest.raises(NumpyrnnError, match="an epoch must consist of Batch objects, got None"):
        trainer.run(lambda rng: [batches[0], None], 2, on_batch=lambda batch: trainer.keep())
    return trainer.state()


@pytest.mark.parametrize(("name", "value"), PLACES)
def test_a_place_that_cannot_be_is_refused(name, value):
    state = within_an_epoch()
    make(carry=True).restore(state)
    state["place"][name] = value
    with pytest.raises(NumpyrnnError, match="cannot be resumed here"):
        make(carry=True).restore(state)


@pytest.mark.parametrize("place", [[], "", "x", {}, 0, False, 1, [1]])
def test_a_place_that_is_none_is_refused(place):
    with pytest.raises(NumpyrnnError, match="cannot be resumed here"):
        make(carry=True).restore(within_an_epoch() | {"place": place})


@pytest.mark.parametrize(
    ("name", "array"), [("carried.0", np.full(N, NAN, np.float32)), ("carried.2", np.zeros(N, np.float32))]
)
def test_a_carried_state_that_cannot_be_is_refused(name, array):
    state = within_an_epoch()
    with pytest.raises(NumpyrnnError, match="cannot be resumed here"):
        make(carry=True).restore(state | {name: array})
    with pytest.raises(NumpyrnnError, match="cannot be resumed here"):
        make(carry=True).restore({name: value for name, value in state.items() if name != "carried.0"})


def test_a_training_whose_loss_is_negative_is_resumed_within_an_epoch():
    state = within_an_epoch(lambda *given: (softmax_cross_entropy(*given)[0] - 100, softmax_cross_entropy(*given)[1]))
    assert state["place"]["loss"] < 0
    other = make(carry=True)
    other.restore(state)
    assert other.place["loss"] == state["place"]["loss"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_state_of_each_optimiser_is_taken(optimizer):
    state, other = trained(optimizer).state(), make(optimizer)
    other.restore(state)
    unchanged(other, state)


@pytest.mark.parametrize("name", ["s"])
def test_squares_of_other_optimisers_are_not_negative_either(name):
    state = trained("RMSprop").state()
    state[f"optimizer.{name}"][3] = -1
    with pytest.raises(NumpyrnnError, match="must hold squares, got -1"):
        make("RMSprop").restore(state)


def test_momentum_may_be_negative():
    state = trained("momentum").state()
    state["optimizer.v"][:] = -1
    make("momentum").restore(state)


def test_slots_may_lack_only_before_the_first_update():
    state = trained().state()
    del state["optimizer.m"], state["optimizer.v"]
    with pytest.raises(NumpyrnnError, match="needs the state"):
        make().restore(state)
    make().restore(make().state())


@pytest.mark.torture
def test_verify_says_of_random_states_in_a_file_whether_they_can_be_resumed(tmp_path, rounds, tell):
    trainer, refused, path = trained(), 0, tmp_path / "model.npz"
    rng = np.random.default_rng(0)
    n = rounds(60, 2000)
    for _ in range(n):
        state = copy.deepcopy(trainer.state())
        label, change, value = CASES[rng.integers(len(CASES))]
        if label == "kind: 'Trainer'":
            continue  # an optimiser of a user, which only its own program can check
        change(state, value)
        try:
            save(path, Checkpoint("numpyrnn", trainer.model, None, {}, state))
        except NumpyrnnError:
            continue  # what a file cannot hold
        with pytest.raises(NumpyrnnError) as caught:
            pytest.fail(f"{label}: {verify(path)}")
        refused += 1
        assert str(caught.value).startswith(str(path))
        with pytest.raises(NumpyrnnError):
            make().restore(load(path).training)
    assert refused > n / 4
    tell(f"{refused:,} model files with a state that cannot be: all refused by `verify` and on resuming")


def test_a_good_state_is_verified(tmp_path):
    trainer = trained()
    save(tmp_path / "model.npz", Checkpoint("numpyrnn", trainer.model, None, {}, trainer.state()))
    assert verify(tmp_path / "model.npz").endswith("SHA-256 right; can be resumed after epoch 2.")
    assert check_training(Checkpoint("numpyrnn", trainer.model)) == "finished: cannot be resumed"


def test_a_file_whose_training_has_no_weights_is_refused_before_there_is_a_trainer(tmp_path):
    model, path = Sequential(LSTM(5, 600, rng=0)), tmp_path / "model.npz"
    save(path, Checkpoint("numpyrnn", model, None, {}, {"optimizer": {"kind": "Adam"}}))
    tracemalloc.start()
    with pytest.raises(NumpyrnnError, match="must have the arrays weights, averaged, best"):
        verify(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size + (4 << 20)
