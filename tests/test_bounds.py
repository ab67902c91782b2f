"""Limits and other places where one step more or less decides."""

import copy
import struct
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from numpyrnn import LSTM, SGD, CausalConv1D, Dense, NumpyrnnError, Sequential, Trainer, load, save
from numpyrnn import archive as containers
from numpyrnn import checkpoint as files
from numpyrnn.archive import Archive, parse
from numpyrnn.batches import Batch
from numpyrnn.checkpoint import Checkpoint, parse_header, parse_vocabulary
from numpyrnn.layer import draw_mask
from numpyrnn.layers import MaxPool1D
from numpyrnn.losses import softmax_cross_entropy
from numpyrnn.measure import is_diverged
from numpyrnn.place import check_rng, rest
from numpyrnn.sampler import Sampler, _inverted

HEADER = b'{"format": "numpyrnn model 2", "kind": "x", "dtype": "float32", "model": {"layers": [[1, 2, 3], []]}}'


def test_a_directory_as_long_as_is_read_is_written(tmp_path, monkeypatch):
    members = {"a": b"x", "bb": b"y"}
    monkeypatch.setattr(containers, "LONGEST_DIRECTORY", 2 * (46 + 28) + 3)
    with open(tmp_path / "a", "wb") as file:
        containers.write(file, members)
    monkeypatch.setattr(containers, "LONGEST_DIRECTORY", 2 * (46 + 28) + 2)
    with open(tmp_path / "b", "wb") as file, pytest.raises(NumpyrnnError, match="fewer members, there are 2"):
        containers.write(file, members)


@pytest.mark.parametrize("size", [900, 951, 952, 953, 954, 1050, 2000])
def test_members_too_large_for_32_bits_have_their_sizes_where_zipfile_puts_them(tmp_path, monkeypatch, size):
    for module in (containers, zipfile):  # as if 1,000 bytes were the most
        monkeypatch.setattr(module, "ZIP64_LIMIT", 1000)
    with open(tmp_path / "a", "w+b") as file:
        containers.write(file, {"a": b"x" * size, "b": b"y"})
        archive = Archive(file)
        archive.check_stored()
        assert archive.text("a") == b"x" * size


def test_nothing_may_lie_before_the_directory(tmp_path):
    with open(tmp_path / "a", "w+b") as file:
        containers.write(file, {"a": b"x"})
        whole, place = file.seek(0, 2), Archive(file).zip.start_dir
        file.seek(place)
        rest = bytearray(file.read(whole - place))
        struct.pack_into("<I", rest, len(rest) - 6, place + 10)
        file.seek(place)
        file.write(bytes(10) + rest)
        with pytest.raises(NumpyrnnError, match="must end with the SHA-256 of its members"):
            Archive(file).check_stored()


def test_a_large_array_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "PIECE", 200)
    values, out = np.arange(500, dtype=np.float32), np.empty(500, np.float32)
    with open(tmp_path / "a", "w+b") as file:
        containers.write(file, {"a.npy": values})
        Archive(file).read("a.npy", out)
    assert_array_equal(out, values)


@pytest.mark.parametrize("array", [np.zeros(6), np.zeros(5, np.float32), np.zeros((6, 1), np.float32)])
def test_an_array_of_a_training_is_like_the_parameters(tmp_path, array):
    checkpoint = Checkpoint("x", Sequential(Dense(2, 2, rng=0)), training={"weights": array})
    with pytest.raises(NumpyrnnError, match="must be like the parameters, 'weights' is"):
        save(tmp_path / "a.npz", checkpoint)


@pytest.mark.parametrize("text", [b"[1]", b'"format"', b"null", b"{}"])
def test_a_header_is_an_object_with_four_parts(text):
    with pytest.raises(NumpyrnnError, match="a header must have format, kind, dtype and model, got"):
        parse_header(text)


def test_a_text_may_have_its_number_of_lists_and_one_more_for_every_50_bytes(monkeypatch):
    monkeypatch.setattr(containers, "MOST_CONTAINERS", 2)
    assert parse(b'[{}, "[[["]') == [{}, "[[["]
    with pytest.raises(NumpyrnnError, match="too many lists and dicts"):
        parse(b"[[],{}]")
    assert parse(b'[[],{},"' + b"x" * 50 + b'"]')[:2] == [[], {}]


def test_the_end_of_a_zip_must_be_the_end_of_the_file(tmp_path):
    save(tmp_path / "a.npz", Checkpoint("x", Sequential(Dense(2, 2, rng=0))))
    with open(tmp_path / "a.npz", "ab") as file:
        file.write(bytes(200))
    with open(tmp_path / "a.npz", "rb") as file, pytest.raises(NumpyrnnError, match="its end is not that of a zip"):
        Archive(file)


@pytest.mark.parametrize(("limit", "number"), [("LARGEST_HEADER", len(HEADER)), ("MOST_VALUES", 6), ("MOST_LISTS", 3)])
def test_a_header_may_reach_each_limit_and_exceed_none(monkeypatch, limit, number):
    monkeypatch.setattr(files, limit, number)
    assert parse_header(HEADER)["kind"] == "x"
    monkeypatch.setattr(files, limit, number - 1)
    with pytest.raises(NumpyrnnError, match="there must be a description of the model of at most"):
        parse_header(HEADER)


def test_a_kind_may_have_one_letter(tmp_path):
    save(tmp_path / "a.npz", Checkpoint("x", Sequential(Dense(2, 2, rng=0))))
    assert load(tmp_path / "a.npz").kind == "x"


def test_a_vocabulary_may_be_as_long_as_its_limit(monkeypatch):
    model, text = Sequential(Dense(2, 2, rng=0)), b'["a", "b"]'
    monkeypatch.setattr(files, "LARGEST_VOCABULARY", len(text) - 32 * 2)
    assert parse_vocabulary(text, model).tokens == ["a", "b"]
    with pytest.raises(NumpyrnnError, match="must be shorter, it has 11 bytes"):
        parse_vocabulary(text + b" ", model)


def test_a_pooling_and_a_tap_may_span_65536_steps():
    MaxPool1D(65_536)
    CausalConv1D(1, 1, 2, dilation=65_536, rng=0)
    for too_far in (lambda: MaxPool1D(65_537), lambda: CausalConv1D(1, 1, 2, dilation=65_537, rng=0)):
        with pytest.raises(NumpyrnnError, match="at most 65,536"):
            too_far()


def test_a_number_equal_to_the_rate_is_not_dropped():
    numbers = np.array([0.25, 0.5, 0.75], np.float32)
    drawn = draw_mask(SimpleNamespace(random=lambda shape, dtype: numbers), (3,), 0.5)
    assert [*drawn.keep] == [False, True, True]


def test_a_model_with_one_output_cannot_diverge():
    assert not is_diverged(1.0, softmax_cross_entropy, Sequential(Dense(3, 1, rng=0)))
    assert is_diverged(100.1 * np.log(2), softmax_cross_entropy, Sequential(Dense(3, 2, rng=0)))


def test_the_increment_of_a_random_state_is_odd():
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    check_rng(state, rng)
    state["state"]["inc"] += 1
    with pytest.raises(NumpyrnnError, match="rng must be a state of PCG64"):
        check_rng(state, rng)


def test_a_carried_state_must_have_all_numbers_of_the_model():
    model, batch = Sequential(LSTM(3, 2, rng=0), LSTM(2, 4, rng=0)), Batch(np.zeros((5, 1), int), np.zeros((5, 1), int))
    rng = np.random.default_rng(0)
    place = {"batch": 1, "rng": rng.bit_generator.state}
    _, state = rest(lambda rng: [batch] * 2, rng, place, model, np.arange(14.0))
    assert [leaf.shape for layer in state for leaf in layer] == [(1, 2), (1, 2), (1, 4), (1, 4)]
    with pytest.raises(NumpyrnnError, match="must have 12 numbers, got 11"):
        rest(lambda rng: [batch] * 2, rng, place, model, np.arange(11.0))


def test_a_model_without_a_state_takes_nothing_that_is_carried():
    model, batch = Sequential(Dense(3, 2, rng=0)), Batch(np.zeros((5, 1), int), np.zeros((5, 1), int))
    rng = np.random.default_rng(0)
    place = {"batch": 1, "rng": rng.bit_generator.state}
    epoch, _ = rest(lambda rng: [batch] * 2, rng, place, model, np.zeros(0))
    assert len([*epoch]) == 1


def test_a_share_of_the_whole_sum_draws_the_last_id():
    weights = np.array([[0.25], [0.25]], np.float32)
    assert _inverted(weights, np.array([1.0])) == [1]


def test_a_copy_of_a_sampler_draws_as_the_original():
    sampler, logits = Sampler(3), np.zeros(50, np.float32)
    sampler.draw_one(logits)
    twin = copy.deepcopy(sampler)
    assert [twin.draw_one(logits) for _ in range(9)] == [sampler.draw_one(logits) for _ in range(9)]


def test_a_training_resumed_within_an_epoch_counts_the_seconds_before():
    def trainer():
        model = Sequential(LSTM(3, 4, rng=0), Dense(4, 3, rng=0))
        return Trainer(model, SGD(0.1), rng=0)

    batch, first = Batch(np.zeros((5, 1), int), np.zeros((5, 1), int)), trainer()
    with pytest.raises(NumpyrnnError, match="got None"):
        first.run(lambda rng: [batch, None], 1, on_batch=lambda batch: first.keep())
    state, second = first.state(), trainer()
    state["place"]["seconds"] = 1_000_000.0
    del state["rate"]  # as in files of earlier versions
    second.restore(state)
    assert second.rate == 1
    (record,) = second.run(lambda rng: [batch, batch], 1)
    assert 1_000_000 < record["seconds"] < 1_001_000
