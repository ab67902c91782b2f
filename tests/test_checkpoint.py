"""One file for a model: it comes back bit for bit, or there is one clear error."""

import copy
import errno
import os
import pickle
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest
from model_files import NEW, OLD, parts_of, write_parts
from numpy.testing import assert_array_equal

from numpyrnn import GRU, LSTM, RNN, Dense, Dropout, Embedding, NumpyrnnError, Sequential
from numpyrnn.batches import Batch
from numpyrnn.checkpoint import Checkpoint, load, save
from numpyrnn.optim import SGD, Adam
from numpyrnn.train import Trainer
from numpyrnn.vocab import Vocabulary

STACKS = {
    "rnn": lambda d, r: [RNN(5, 4, d, r), Dense(4, 5, d, r)],
    "lstm": lambda d, r: [LSTM(5, 4, d, r, weight_dropout=0.25), Dense(4, 5, d, r)],
    "gru": lambda d, r: [Dense(5, 3, d, r), GRU(3, 4, d, r), Dense(4, 5, d, r)],
    "all": lambda d, r: [
        Embedding(5, 3, d, r),
        Dropout(0.125, shared="features", dtype=d),
        LSTM(3, 4, d, r),
        Dropout(0.5, shared="time", dtype=d),
        GRU(4, 3, d, r),
        RNN(3, 2, d, r, weight_dropout=0.5),
        Dropout(0.25, dtype=d),
        Dense(2, 5, d, r),
    ],
}
VOCABULARY = Vocabulary("\na京😀é")
CONFIG = {"settings": {"rate": 0.1, "cell": None}, "names": ["北京", "😀"], "third": 1 / 3, "keep_case": False}


def make(stack="all", dtype=np.float32, seed=0):
    return Sequential(STACKS[stack](dtype, np.random.default_rng(seed)))


def make_training(model, optimizer=Adam):
    """The state of a trainer after an epoch of two steps, without times."""
    ids = np.random.default_rng(1).integers(0, 5, (7, 3))
    trainer = Trainer(model, optimizer(0.01), average=0.9, rng=5)
    trainer.run(lambda rng: [Batch(ids[:-1], ids[1:])] * 2, 1, lambda: [Batch(ids[:-1], ids[1:])])
    state = trainer.state()
    state["history"] = [record | {"seconds": 0.5, "items_per_second": 12.0} for record in state["history"]]
    return state


def small():
    """A small checkpoint with a value in every field."""
    model = Sequential(LSTM(5, 2, rng=0), Dense(2, 5, rng=1))
    return Checkpoint("dinos", model, VOCABULARY, CONFIG, make_training(model))


def same(one, other):
    """Whether two values have the same type and are equal; arrays, to the bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return one == other


def same_content(one, other):
    """Whether two checkpoints hold the same."""
    trainings = [None if c.training is None else dict(sorted(c.training.items())) for c in (one, other)]
    return (
        one.kind == other.kind
        and same(one.model.config(), other.model.config())
        and same(one.model.params.flat, other.model.params.flat)
        and one.vocabulary == other.vocabulary
        and same(one.config, other.config)
        and same(*trainings)
    )


forms = pytest.mark.parametrize("form", [OLD, NEW], ids=["old", "new"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


@pytest.fixture(scope="module")
def good_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "model.npz"
    save(path, small())
    return path.read_bytes()


def load_error(path, **arguments):
    """The one-line error of loading a file."""
    with pytest.raises(NumpyrnnError) as caught:
        load(path, **arguments)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert len(message.splitlines()) == 1
    return message.removeprefix(str(path)).strip()


# round trip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stack", STACKS)
def test_a_model_comes_back_bit_for_bit(path, stack, dtype):
    model = make(stack, dtype)
    save(path, Checkpoint("dinos", model, VOCABULARY))
    loaded = load(path)
    assert loaded.model.dtype == dtype
    assert loaded.model.params.flat.tobytes() == model.params.flat.tobytes()
    assert loaded.model.config() == model.config()
    assert loaded.model.params.shapes == model.params.shapes
    ids = np.random.default_rng(2).integers(0, 5, (6, 2))
    assert_array_equal(loaded.model.forward(ids)[0], model.forward(ids)[0])
    dropped = [one.forward(ids, rng=np.random.default_rng(3))[0] for one in (loaded.model, model)]
    assert_array_equal(*dropped)


@pytest.mark.parametrize("optimizer", [SGD, Adam])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vocabulary_configuration_and_training_come_back(path, dtype, optimizer):
    model = make(dtype=dtype)
    checkpoint = Checkpoint("dinos", model, VOCABULARY, CONFIG, make_training(model, optimizer))
    save(path, checkpoint)
    loaded = load(path, "dinos")
    assert loaded.kind == "dinos"
    assert loaded.vocabulary.tokens == ["\n", "a", "é", "京", "😀"]
    assert same(loaded.config, CONFIG)
    assert same_content(loaded, checkpoint)


def test_a_finished_model_has_no_training(path):
    save(path, Checkpoint("dinos", make(), VOCABULARY))
    loaded = load(path)
    assert loaded.training is None
    assert loaded.config == {}


def test_a_loaded_model_is_its_own(path):
    checkpoint = small()
    save(path, checkpoint)
    loaded = load(path)
    loaded.model.params.flat += 1
    assert same_content(load(path), checkpoint)


def test_a_string_is_a_path_too(path):
    save(str(path), small())
    assert same_content(load(str(path)), small())


def test_equal_content_gives_equal_bytes(tmp_path):
    save(tmp_path / "one", small())
    save(tmp_path / "two", small())
    save(tmp_path / "three", load(tmp_path / "one"))
    one, two, three = ((tmp_path / name).read_bytes() for name in ("one", "two", "three"))
    assert one == two == three


def test_other_content_gives_other_bytes(tmp_path):
    checkpoint = small()
    save(tmp_path / "one", checkpoint)
    checkpoint.model.params.flat[3] = np.nextafter(checkpoint.model.params.flat[3], np.float32(9))
    save(tmp_path / "two", checkpoint)
    assert (tmp_path / "one").read_bytes() != (tmp_path / "two").read_bytes()


def test_the_file_is_an_archive_of_plain_arrays_and_texts(good_bytes):
    arrays, about = parts_of(good_bytes)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    assert arrays["params"].tobytes() == small().model.params.flat.tobytes()
    assert about["vocabulary"] == VOCABULARY.tokens
    assert about["config"] == CONFIG


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_file_of_earlier_versions_is_the_same_model(path, dtype):
    model = make(dtype=dtype)
    checkpoint = Checkpoint("dinos", model, VOCABULARY, CONFIG, make_training(model))
    save(path, checkpoint)
    write_parts(path, *parts_of(path.read_bytes()), OLD)
    assert b"about.npy" in path.read_bytes()
    assert same_content(load(path, "dinos"), checkpoint)


def test_saving_and_loading_need_no_second_copy_of_the_arrays(path):
    model = Sequential(LSTM(5, 600, rng=0))
    arrays = {name: model.params.flat.copy() for name in ("weights", "averaged", "best")}
    tracemalloc.start()
    save(path, Checkpoint("dinos", model, None, {}, arrays))
    _, saving = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    loaded = load(path)
    _, loading = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert loaded.training.keys() == arrays.keys()
    assert path.stat().st_size > 20_000_000
    assert saving < 1 << 20
    assert loading - before < path.stat().st_size + (4 << 20)


@pytest.mark.parametrize("use", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c)), replace])  # noqa: S301
def test_a_loaded_checkpoint_can_be_copied_before_it_is_used(path, use):
    save(path, small())
    assert same_content(use(load(path)), small())


def test_threads_that_read_a_loaded_checkpoint_at_once_get_one_value(path):
    save(path, replace(small(), config={"names": ["abc"] * 100_000}))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            checkpoint, start = load(path), Barrier(8)
            found = [pool.submit(lambda c=checkpoint, b=start: (b.wait(), c.config)[1]) for _ in range(8)]
            assert {id(one.result()) for one in found} == {id(checkpoint.config)}


def test_each_checkpoint_has_a_config_of_its_own():
    one, other = (Checkpoint("dinos", make()) for _ in range(2))
    one.config["a"] = 1
    assert (other.config, other.training) == ({}, None)


# errors


@pytest.mark.parametrize(
    ("kind", "message"), [("jazz", "must be a model of jazz, it is one of dinos"), ("", "must be a model of , it is")]
)
def test_another_kind_is_an_error(path, good_bytes, kind, message):
    path.write_bytes(good_bytes)
    assert load_error(path, kind=kind).startswith(message)


@pytest.mark.torture
def test_a_file_truncated_anywhere_is_an_error(path, good_bytes, rounds, tell):
    lengths = {*range(0, len(good_bytes), rounds(97, 1)), *range(len(good_bytes) - 50, len(good_bytes))}
    for length in lengths:
        path.write_bytes(good_bytes[:length])
        assert "must be a model file" in load_error(path)
    tell(f"{len(lengths):,} truncations of a model file: all refused")


@pytest.mark.parametrize("extra", [b"\0", b"PK\x05\x06", b"more" * 100])
def test_more_behind_the_end_is_an_error_or_changes_nothing(path, good_bytes, extra):
    path.write_bytes(good_bytes + extra)
    try:
        loaded = load(path)
    except NumpyrnnError:
        return
    assert same_content(loaded, small())


@pytest.mark.torture
def test_a_flipped_bit_anywhere_is_an_error_or_changes_nothing(path, good_bytes, rounds, tell):
    expected, refused = small(), 0
    n = 8 * len(good_bytes)
    flips = range(0, n, rounds(397, 5))
    for flip in flips:
        data = bytearray(good_bytes)
        data[flip // 8] ^= 1 << flip % 8
        path.write_bytes(data)
        try:
            loaded = load(path)
        except NumpyrnnError as error:
            refused += len(str(error).splitlines()) == 1
        else:
            assert same_content(loaded, expected), f"bit {flip}"
    assert refused > len(flips) / 2
    tell(f"{len(flips):,} single-bit flips of a model file: {refused:,} refused, none loaded as something else")


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"PK\x03\x04", b"just some text\n" * 9, b"\x80\x05N.", bytes(5000), b"\x93NUMPY\x01\x00"],
    ids=["empty", "newline", "zip magic", "text", "pickle", "zeros", "npy magic"],
)
def test_something_else_is_an_error(path, data):
    path.write_bytes(data)
    assert load_error(path).startswith("must be a model file")


def test_an_npy_file_is_an_error(tmp_path):
    np.save(tmp_path / "array.npy", np.arange(3))
    assert load_error(tmp_path / "array.npy").startswith("must be a model file")


def test_an_npz_of_something_else_is_an_error(path):
    np.savez(path, a=np.arange(3), b=np.zeros(2))
    assert load_error(path).startswith("must be a model file")


def test_a_zip_of_something_else_is_an_error(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.npy", "not an array")
    assert load_error(path).startswith("must be a model file")


def test_a_missing_file_is_an_error(path):
    assert load_error(path) == "could not be read: No such file or directory"


def test_a_folder_is_an_error(tmp_path):
    assert load_error(tmp_path) == "must be a model file, it is a folder"


@forms
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda params: params[:-1], "must have 78 parameters, its description needs more"),
        (lambda params: np.append(params, params[:1]), "a Sequential and its 80 parameters"),
        (lambda params: params[None], "params.npy must be a flat array of 79 float32, it is another"),
        (lambda params: params[0], "must have 1 parameters, its description needs more"),
        (lambda params: params.astype(np.float64), "a Sequential and its 158 parameters"),
        (lambda params: params.astype(np.int32), "params.npy must be a flat array of 79 float32, it is another"),
        (lambda params: params.astype(">f4"), "params.npy must be a flat array of 79 float32, it is another"),
        (lambda params: np.where(np.arange(params.size) == 4, np.float32("nan"), params), r"got nan at index \(4,\)"),
        (lambda params: np.where(np.arange(params.size) == 2, np.float32("-inf"), params), r"got -inf at index \(2,\)"),
    ],
)
def test_parameters_that_do_not_fit_are_an_error(path, good_bytes, form, change, message):
    arrays, about = parts_of(good_bytes)
    write_parts(path, arrays | {"params": change(arrays["params"])}, about, form)
    with pytest.raises(NumpyrnnError, match=message):
        load(path)


@forms
@pytest.mark.parametrize(
    "change",
    [
        {"format": "numpyrnn model 3"},
        {"model": {"layer": "Transformer", "input_size": 3}},
        {"model": {"layer": "LSTM", "input_size": 5, "hidden_size": 2}},
        {"model": {"layer": "Sequential", "layers": []}},
        {"model": {"layer": "Sequential", "layers": [{"layer": "LSTM", "input_size": -1, "hidden_size": 2}]}},
        {"model": {"layer": "Sequential", "layers": [{"layer": "__import__", "name": "os"}]}},
        {"model": {"layer": "Sequential"}},
        {"model": []},
        {"model": None},
        {"dtype": "float16"},
        {"dtype": "object"},
        {"dtype": "nonsense"},
        {"vocabulary": []},
        {"vocabulary": [1, 2]},
        {"config": 3},
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_is_an_error(path, good_bytes, form, change):
    arrays, about = parts_of(good_bytes)
    write_parts(path, arrays, about | change, form)
    with pytest.raises(NumpyrnnError):
        load(path)


@forms
@pytest.mark.parametrize("name", ["format", "kind", "model", "dtype", "vocabulary", "config", "training"])
def test_a_description_without_a_part_is_an_error(path, good_bytes, form, name):
    arrays, about = parts_of(good_bytes)
    del about[name]
    write_parts(path, arrays, about, form)
    if (name, form) == ("vocabulary", NEW):
        assert load(path).vocabulary is None
    else:
        assert name in load_error(path)


@forms
@pytest.mark.parametrize("about", [[], None, 3, "text"])
def test_a_description_that_is_no_object_is_an_error(path, good_bytes, form, about):
    arrays, _ = parts_of(good_bytes)
    write_parts(path, arrays, about, form)
    assert load_error(path).startswith("must be a model file")


@forms
def test_a_file_without_parameters_is_an_error(path, good_bytes, form):
    arrays, about = parts_of(good_bytes)
    del arrays["params"]
    write_parts(path, arrays, about, form)
    assert load_error(path).startswith("must be a model file")


class Trap:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@forms
@pytest.mark.parametrize("name", ["params", "about", "training.weights", "unknown"])
def test_an_object_array_is_refused_and_not_unpickled(path, good_bytes, name, form):
    arrays, about = parts_of(good_bytes)
    sprung = path.parent / "sprung"
    write_parts(path, arrays | {name: np.array([Trap(sprung)], object)}, about, form)
    assert load_error(path).startswith("must be a model file")
    assert not sprung.exists()


# a failed save


def test_a_failed_save_leaves_the_old_file(path, good_bytes, monkeypatch):
    path.write_bytes(good_bytes)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NumpyrnnError, match="could not be written: No space left on device"):
        save(path, replace(small(), kind="other"))
    assert path.read_bytes() == good_bytes
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_what_json_cannot_hold_leaves_the_old_file(path, good_bytes):
    path.write_bytes(good_bytes)
    with pytest.raises((TypeError, NumpyrnnError)):
        save(path, replace(small(), config={"rng": np.random.default_rng(0)}))
    assert path.read_bytes() == good_bytes


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(NumpyrnnError, match="could not be written: No such file or directory"):
        save(tmp_path / "nowhere" / "model.npz", small())


def test_a_checkpoint_is_not_saved_with_another_vocabulary(tmp_path):
    checkpoint = Checkpoint("test", Sequential(Dense(3, 3, rng=0)), Vocabulary("abc"))
    with pytest.raises(NumpyrnnError, match="a checkpoint holds its vocabulary"):
        save(tmp_path / "model.npz", checkpoint, Vocabulary("abc"))
    assert not list(tmp_path.iterdir())
