"""Model files that were made to do harm: each is one error, and little memory is used before it comes."""

import hashlib
import json
import os
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from model_files import NEW, OLD, members_of, npy, parts_of, write_members, write_parts

from numpyrnn import LSTM, Dense, NumpyrnnError, Sequential, Vocabulary, load, save
from numpyrnn.archive import DIGEST, Archive
from numpyrnn.checkpoint import Checkpoint

SPARE = 20 << 20  # bytes of memory that a file may take besides its own size
forms = pytest.mark.parametrize("form", [OLD, NEW], ids=["old", "new"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


@pytest.fixture
def good(path):
    """The bytes of a small model file with a value in every part."""
    model = Sequential(LSTM(5, 2, rng=0), Dense(2, 5, rng=1))
    arrays = {name: model.params.flat.copy() for name in ("weights", "averaged", "best")}
    save(path, Checkpoint("dinos", model, Vocabulary("abcde"), {"names": ["a"]}, {**arrays, "epoch": 0}))
    return path.read_bytes()


def refused(path, allowed=SPARE):
    """The error of loading a file, for which at most `allowed` bytes are taken besides its size."""
    size = path.stat().st_size if path.is_file() else 0
    tracemalloc.start()
    try:
        with pytest.raises(NumpyrnnError) as caught:
            load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= size + allowed, f"{peak:,} bytes for a file of {size:,}"
    message = str(caught.value)
    assert message.startswith(str(path))
    assert len(message.removeprefix(str(path))) < 500
    assert message.isprintable()
    return message


def nested(n):
    layer = {"layer": "ReLU"}
    for _ in range(n):
        layer = {"layer": "Sequential", "layers": [layer]}
    return layer


def lstm(D, H):
    return {"layer": "LSTM", "input_size": D, "hidden_size": H}


def conv(**sizes):
    return {"layer": "CausalConv1D", "input_size": 5, "output_size": 2, "kernel_size": 2} | sizes


LAYERS = {
    "a large LSTM": [lstm(5, 3000)],
    "30 LSTMs": [lstm(1000, 1000)] * 30,
    "a large embedding": [{"layer": "Embedding", "input_size": 10**7, "output_size": 30}],
    "a size beyond 64 bits": [lstm(5, 10**30)],
    "a product beyond 64 bits": [lstm(10**10, 10**10)],
    "a size of a thousand digits": [lstm(5, 10**1000)],
    "a negative size": [lstm(5, -2)],
    "a size that is a float": [lstm(5, 2.0)],
    "a size that is a bool": [lstm(True, 2)],
    "a size that is a text": [lstm("5", 2)],
    "a size that is a list": [lstm([5], 2)],
    "a size that is nothing": [lstm(None, 2)],
    "20,000 layers without parameters": [{"layer": "ReLU"}] * 20_000,
    "1,500 layers without parameters": [{"layer": "Dropout", "rate": 0.5}] * 1_500,
    "a far dilation": [conv(dilation=10**30)],
    "a dilation that fits 64 bits": [conv(dilation=10**12)],
    "a wide pooling": [{"layer": "MaxPool1D", "size": 10**30}],
    "a large kernel": [conv(kernel_size=10**9)],
    "a rate of one": [{"layer": "Dropout", "rate": 1.0}],
    "a rate of 1e400": [{"layer": "Dropout", "rate": 1e308 * 10}],
    "a rate that is a list": [{"layer": "Dropout", "rate": [0.5]}],
    "a gate that is a text": [lstm(5, 2) | {"hard_sigmoid": "no"}],
    "many dilations": [{"layer": "GatedStack", "input_size": 1, "skip_size": 1, "dilations": [1] * 100_000}],
    "no dilations": [{"layer": "GatedStack", "input_size": 1, "skip_size": 1, "dilations": []}],
    "layers within layers": [nested(300)],
    "a few layers within layers": [nested(20)],
    "layers that are no list": "ReLU",
    "a layer that is a list": [[]],
    "a layer with an rng": [lstm(5, 2) | {"rng": 1}],
    "a layer with a dtype": [lstm(5, 2) | {"dtype": "float64"}],
    "a module that is a number": [lstm(5, 2) | {"module": 3}],
    "an unknown layer with a long name": [{"layer": "x" * 100_000, "module": "y" * 100_000}],
    "a layer whose name is a list": [{"layer": []}],
}


@forms
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_a_description_is_refused_before_a_layer_is_made(path, good, form, layers):
    arrays, about = parts_of(good)
    write_parts(path, arrays, about | {"model": {"layer": "Sequential", "layers": layers}}, form)
    refused(path)


LISTS = "[" + "[]," * 1_000_000 + "[]]"
TEXTS = {
    "lists of nothing": LISTS,
    "deep lists": "[" * 100_000 + "]" * 100_000,
    "numbers": "[" + "300," * 1_000_000 + "300]",
    "a long number": "1" * 1_000_000,
    "not JSON": "{" * 10,
    "NaN": '{"a":NaN}',
    "a name twice": '{"a":1,"a":2}',
    "not ASCII": '"\u4eac"',
    "nothing": "",
}


@pytest.mark.parametrize("member", ["header.json", "vocabulary.json"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_that_would_take_more_memory_than_the_file_is_refused(path, good, member, text):
    write_members(path, members_of(good) | {member: text.encode()})
    refused(path)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_that_is_parsed_later_is_refused_then(path, good, text):
    write_members(path, members_of(good) | {"config.json": b'{"a":%s}' % text.encode(), "training.json": b"{}"})
    tracemalloc.start()
    try:
        checkpoint = load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= path.stat().st_size + SPARE
    if text == TEXTS["numbers"]:
        assert len(checkpoint.config["a"]) == 1_000_001
    else:
        with pytest.raises(NumpyrnnError, match="a JSON text must"):
            checkpoint.config.get("a")


@forms
@pytest.mark.parametrize(
    "words",
    [
        [f"{i:07}" for i in range(1_000_000)],
        ["a"] * 5,
        list("abcdef"),
        list("edcba"),
        ["a", "b", "c", "d", 5],
        ["a", "b", "c", "d", ["e"]],
        [],
        {},
        5,
        "abcde",
    ],
    ids=lambda words: str(words)[:20],
)
def test_a_vocabulary_must_be_the_models(path, good, form, words):
    arrays, about = parts_of(good)
    write_parts(path, arrays, about | {"vocabulary": words}, form)
    refused(path)


def test_a_vocabulary_may_lack_tokens_of_a_model_with_ids_for_padding(path, good):
    arrays, about = parts_of(good)
    write_parts(path, arrays, about | {"vocabulary": list("abcd")})
    assert load(path).vocabulary.tokens == list("abcd")


@pytest.mark.parametrize("name", ["unknown", "training.x", "../params"])
def test_a_member_that_is_unknown_or_too_large_is_never_inflated(path, good, name):
    arrays, about = parts_of(good)
    write_parts(path, arrays | {name: np.zeros(4_000_000)}, about, OLD)
    assert path.stat().st_size < 100_000
    refused(path)


def test_a_huge_description_is_never_inflated(path, good):
    arrays, _ = parts_of(good)
    np.savez_compressed(path, about=np.full(1 << 27, 32, np.uint8), **arrays)
    assert "about.npy must have at most" in refused(path)


@pytest.mark.parametrize("name", ["params", "training.best"])
def test_an_array_of_another_size_is_never_inflated(path, good, name):
    arrays, about = parts_of(good)
    write_parts(path, arrays | {name: np.zeros(8_000_000, np.float32)}, about, OLD)
    refused(path)


@pytest.mark.parametrize("size", [0, 1, 78, 10**9, -1, 10**30])
def test_an_array_that_says_another_size_than_it_has_is_refused(path, good, size):
    header = npy(np.zeros(79, np.float32))[:128].replace(b"(79,)", b"(%d,)" % size)
    header = header.rstrip(b" \n")[:127].ljust(127) + b"\n"
    for form in (OLD, NEW):
        arrays, about = parts_of(good)
        write_parts(path, arrays, about, form)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["params.npy"] = header + members["params.npy"][128:]
        members.pop(DIGEST, None)
        if form == NEW:
            write_members(path, members)
        else:
            zip_of(path, members.items(), zipfile.ZIP_DEFLATED)
        refused(path)


ARRAYS = {
    "objects": lambda a: np.array([None] * a.size),
    "big endian": lambda a: a.astype(">f4"),
    "another precision": lambda a: a.astype(np.float64),
    "integers": lambda a: a.astype(np.int32),
    "texts": lambda a: a.astype("U8"),
    "records": lambda a: np.zeros(a.size, [("x", np.float32)]),
    "two axes": lambda a: a[None],
    "columns first": lambda a: np.asfortranarray(np.stack([a, a])),
    "no axes": lambda a: a[0],
    "none": lambda a: a[:0],
    "one less": lambda a: a[1:],
    "one": lambda a: a[:1],
    "NaN": lambda a: np.where(np.arange(a.size) == a.size - 1, np.float32(np.nan), a),
}


@forms
@pytest.mark.parametrize("name", ["params", "training.best"])
@pytest.mark.parametrize("change", ARRAYS.values(), ids=ARRAYS)
def test_an_array_that_does_not_fit_the_model_is_refused(path, good, form, name, change):
    arrays, about = parts_of(good)
    write_parts(path, arrays | {name: change(arrays[name])}, about, form)
    if name == "training.best" and change is ARRAYS["NaN"]:
        assert load(path).training is not None  # `Trainer.restore` refuses it
    else:
        refused(path)


@pytest.mark.parametrize("training", [b"nulll", b"null null", b"nul", b""])
def test_a_training_of_an_old_file_is_an_object_or_null(path, good, training):
    arrays, about = parts_of(good)
    for words in (training, b"null"):
        text = json.dumps(about | {"training": None}).encode().replace(b'"training": null', b'"training": ' + words)
        np.savez_compressed(path, about=np.frombuffer(text, np.uint8), params=arrays["params"])
        if words == b"null":
            assert load(path).training is None
        elif words:
            refused(path)
        else:
            with pytest.raises(NumpyrnnError):
                _ = load(path).training


# the zip itself


def zip_of(path, members, compression=zipfile.ZIP_STORED):
    """Write pairs of names and bytes with zipfile, which warns of a name that occurs twice."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name) if compression == zipfile.ZIP_STORED else name, data)


def with_digest(good):
    return [*members_of(good).items(), (DIGEST, digest_of(members_of(good)))]


def digest_of(members):
    parts = [f"{name}\0{len(data)}\0".encode() + data for name, data in members.items()]
    return hashlib.sha256(b"".join(parts)).hexdigest().encode()


def test_the_digest_is_as_the_documentation_says(path, good):
    with zipfile.ZipFile(path) as archive:
        assert archive.read(DIGEST) == digest_of(members_of(good))
        assert archive.namelist()[-1] == DIGEST
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@forms
@pytest.mark.parametrize("name", ["params.npy", "header.json", "config.json", "about.npy"])
def test_a_member_that_occurs_twice_is_refused(path, good, form, name):
    write_parts(path, *parts_of(good), form)
    with zipfile.ZipFile(path, "a") as archive:
        if name not in archive.namelist():
            return
        archive.writestr(name, archive.read(name))
    assert "twice" in refused(path)


def test_a_present_file_with_compressed_members_is_refused(path, good):
    zip_of(path, with_digest(good))
    load(path)
    zip_of(path, with_digest(good), zipfile.ZIP_DEFLATED)
    assert "must not be compressed" in refused(path)


def test_a_member_without_its_place_in_the_digest_is_refused(path, good):
    members = with_digest(good)
    for wrong in (members[:-1], [members[-1], *members[:-1]], [*members, ("more.npy", b"")]):
        zip_of(path, wrong)
        refused(path)


@pytest.mark.parametrize("at", [0, 1])
def test_bytes_before_or_after_the_zip_are_refused(path, good, at):
    path.write_bytes(b"#!/bin/sh\n" + good if at == 0 else good + b"\n")
    refused(path)


def test_a_comment_is_refused(path, good):
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"hello"
    refused(path)


def test_members_that_overlap_are_refused(path, good):
    directory = good.index(b"PK\1\2")
    entries = good[directory:-22].split(b"PK\1\2")[1:]
    first = bytearray(entries[1])
    first[38:42] = entries[0][38:42]  # the place of the member before it
    entries[1] = bytes(first)
    path.write_bytes(good[:directory] + b"".join(b"PK\1\2" + entry for entry in entries) + good[-22:])
    refused(path)


def test_a_directory_of_many_members_is_refused_before_it_is_read(path):
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(20_000):
            archive.writestr(str(i), b"")
    assert "short directory" in refused(path, allowed=1 << 20)


@pytest.mark.parametrize("length", [1 << 17, 1 << 40])
def test_a_long_directory_of_a_large_zip_is_refused_too(path, good, length):
    end = good[-22:]
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1 << 30, 1 << 30, length, 0)
    for place in (len(good) - 22, 0):
        locator = struct.pack("<4sIQI", b"PK\6\7", 0, place, 1)
        path.write_bytes(good[:-22] + record + locator + end)
        assert "short directory" in refused(path, allowed=1 << 20)


def test_a_deflate_stream_that_is_longer_than_it_says_is_not_inflated_further(path, good):
    arrays, about = parts_of(good)
    write_parts(path, arrays, about, OLD)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    short = members["params.npy"]
    members["params.npy"] = short + bytes(40_000_000)
    zip_of(path, members.items(), zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    size, crc = (struct.pack("<I", number) for number in (len(short), zlib.crc32(short)))
    long = struct.pack("<I", len(short) + 40_000_000)
    data = data.replace(struct.pack("<I", zlib.crc32(members["params.npy"])), crc).replace(long, size)
    path.write_bytes(data)
    tracemalloc.start()
    with suppress(NumpyrnnError):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < SPARE


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_is_compressed_in_a_way_without_bounds_is_never_inflated(path, method):
    zip_of(path, [("about.npy", bytes(100_000_000))], method)
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 100_000_000), struct.pack("<I", 1 << 20)))
    assert path.stat().st_size < 100_000
    assert "must be stored or deflated" in refused(path)


# files that are no files


def test_a_pipe_is_refused_at_once(path):
    os.mkfifo(path)
    assert "a device or a pipe" in refused(path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused_at_once(device):
    with pytest.raises(NumpyrnnError, match="a device or a pipe"):
        load(device)


def test_a_huge_file_of_zeros_is_refused_at_once(path):
    with path.open("wb") as file:
        file.truncate(5 << 30)
    refused(path, allowed=(1 << 20) - (5 << 30))


def test_a_file_that_shrinks_while_it_is_read_is_refused(path, monkeypatch):
    save(path, Sequential(LSTM(5, 100, rng=0)))
    check = Archive.check_stored

    def and_shrink(archive):
        check(archive)
        os.truncate(path, 100_000)

    monkeypatch.setattr(Archive, "check_stored", and_shrink)
    refused(path)


# random changes


ODD = [None, True, False, -1, 0, 1, 10**30, 1e308, 0.5, "", "x" * 1000, "\x1b[31m\n", [], {}, [[]], {"a": 1}]


def mutated(value, rng):
    """A copy of a JSON value with one part deleted, doubled or replaced."""
    places = []

    def walk(part):
        if isinstance(part, dict | list):
            keys = part if isinstance(part, dict) else range(len(part))
            for key in keys:
                places.append((part, key))
                walk(part[key])

    value = json.loads(json.dumps(value))
    walk(value)
    part, key = places[rng.integers(len(places))]
    how = rng.integers(4)
    if how == 0:
        del part[key]
    elif how == 1 and isinstance(part, list):
        part.insert(key, part[key])
    elif how == 2 and isinstance(part[key], int | float):
        part[key] = [-part[key], part[key] + 1, part[key] * 1000][rng.integers(3)]
    else:
        part[key] = ODD[rng.integers(len(ODD))]
    return value


@pytest.mark.torture
def test_a_random_change_is_an_error_or_another_valid_model(path, good, rounds, tell):
    rng, loaded, refused = np.random.default_rng(0), 0, 0
    n = rounds(200, 5_000)
    arrays, about = parts_of(good)
    for i in range(n):
        write_parts(path, arrays, mutated(about, rng), [OLD, NEW][i % 2])
        try:
            checkpoint = load(path)
        except NumpyrnnError as error:
            refused += len(str(error)) < 700 and str(error).isprintable()
        else:
            loaded += 1
            assert checkpoint.model.params.flat.size == 79
            assert len(checkpoint.vocabulary or "12345") <= checkpoint.model.input_size
    tell(
        f"{n:,} random changes of a model file with a right digest: {loaded:,} still a valid model, the others refused"
    )
