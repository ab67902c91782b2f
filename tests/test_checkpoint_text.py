"""A model file as a user has it: saved from a model, with or without a vocabulary, and used with text."""

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import GRU, Checkpoint, Dense, LastStep, NumpyrnnError, Sequential, Vocabulary, load, save


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


LETTERS = Vocabulary("abcde")


def writer(vocabulary=LETTERS, *ending):
    """A checkpoint whose model writes what depends on all it has read."""
    model = Sequential(GRU(5, 8, np.float64, rng=0), *ending, Dense(8, 5, np.float64, rng=1))
    model.params.flat[...] = np.random.default_rng(35).normal(0, 2, model.params.flat.shape)
    return Checkpoint("numpyrnn", model, vocabulary)


@pytest.mark.parametrize(
    ("arguments", "vocabulary"),
    [
        (lambda c: (c.model,), None),
        (lambda c: (c.model, LETTERS), LETTERS),
        (lambda c: (c,), LETTERS),
        (lambda c: (replace(c, vocabulary=None),), None),
    ],
    ids=["a model", "a model and its vocabulary", "a checkpoint", "a checkpoint without a vocabulary"],
)
def test_a_model_is_saved_alone_with_its_vocabulary_or_as_a_checkpoint(path, arguments, vocabulary):
    checkpoint = writer()
    save(path, *arguments(checkpoint))
    loaded = load(path)
    assert (loaded.kind, loaded.vocabulary, loaded.config, loaded.training) == ("numpyrnn", vocabulary, {}, None)
    assert (loaded.model.params.flat == checkpoint.model.params.flat).all()
    ids = np.arange(5)[:, None]
    assert_array_equal(loaded.model(ids), checkpoint.model(ids))


@pytest.mark.parametrize(
    "arguments",
    [
        (GRU(5, 8),),
        ("model",),
        (None,),
        (Checkpoint("a", GRU(5, 8)),),
        (Sequential(GRU(5, 8)), "abcde"),
        (Sequential(GRU(5, 8)), ["a", "b"]),
    ],
    ids=["a layer", "text", "nothing", "a checkpoint of a layer", "text for a vocabulary", "a list for a vocabulary"],
)
def test_what_a_model_file_cannot_hold_is_refused_in_one_line(path, arguments):
    path.write_bytes(b"before")
    with pytest.raises(NumpyrnnError, match=r"^a model file holds a Sequential and, if it has one, a Vocabulary$"):
        save(path, *arguments)
    assert path.read_bytes() == b"before"


def test_a_program_refuses_a_model_of_its_kind_without_a_vocabulary(path):
    save(path, replace(writer(), kind="dinos", vocabulary=None))
    assert load(path).kind == "dinos"
    message = re.escape(f"{path} must hold a vocabulary, as a model of dinos does, it holds none")
    with pytest.raises(NumpyrnnError, match=f"^{message}$"):
        load(path, "dinos")


def test_probabilities_are_those_of_the_next_token_after_each():
    checkpoint = writer()
    p = checkpoint.probabilities("abeda")
    assert p.shape == (5, 5)
    logits = checkpoint.model(LETTERS.encode("abeda")[:, None])[:, 0]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_allclose(p, expected, rtol=1e-12)
    assert_allclose(checkpoint.probabilities("ab"), p[:2], rtol=1e-12)  # what comes later changes nothing
    assert_array_equal(checkpoint.probabilities(list("abeda")), p)


def test_probabilities_of_a_model_with_one_prediction_a_window_are_one_row():
    p = writer(LETTERS, LastStep()).probabilities("abeda")
    assert_allclose(p, writer().probabilities("abeda")[-1:], rtol=1e-12)


def test_what_is_generated_at_no_temperature_is_the_likeliest_each_time():
    checkpoint, text = writer(), "abe"
    written = checkpoint.generate(text, 12, temperature=0)
    assert len(written) == 12
    for token in written:
        assert token == LETTERS.tokens[checkpoint.probabilities(text)[-1].argmax()]
        text += token
    assert checkpoint.generate("abe", 0) == ""


def test_a_list_of_tokens_gives_a_list_and_words_are_tokens_too():
    assert writer().generate(["a", "b"], 12, temperature=0) == list(writer().generate("ab", 12, temperature=0))
    words = Vocabulary(["fa", "la", "re", "si", "ut"])
    written = writer(words).generate(["ut", "re"], 6, seed=1)
    assert len(written) == 6
    assert set(written) <= set(words.tokens)


def test_what_is_generated_repeats_with_its_seed_and_takes_the_samplers_settings():
    checkpoint = writer()
    one, again, other = (checkpoint.generate("a", 200, seed=seed, temperature=2) for seed in (1, 1, 2))
    assert one == again != other
    assert len({checkpoint.generate("a", 40, temperature=2) for _ in range(5)}) == 5  # a new seed each time
    assert checkpoint.generate("a", 40, seed=1, top_k=1) == checkpoint.generate("a", 40, temperature=0)
    with pytest.raises(NumpyrnnError, match=r"^temperature must be at least 0, got -1"):
        checkpoint.generate("a", 5, temperature=-1)
    with pytest.raises(NumpyrnnError, match=r"^steps must be a whole number of at least 0, got -1$"):
        checkpoint.generate("a", -1)


@pytest.mark.parametrize("use", [Checkpoint.probabilities, lambda checkpoint, text: checkpoint.generate(text, 3)])
@pytest.mark.parametrize(
    ("vocabulary", "text", "message"),
    [
        (None, "ab", "a model without a vocabulary takes no text: call its model with ids"),
        (LETTERS, "", "the text must have at least one token, got none"),
        (LETTERS, [], "the text must have at least one token, got none"),
        (LETTERS, "abz", "tokens must be known to the vocabulary, unknown: 'z'"),
        (LETTERS, ["a", "ab"], "tokens must be known to the vocabulary, unknown: 'ab'"),
        (LETTERS, 3, ".*must be.*"),
        (LETTERS, None, ".*must be.*"),
        (LETTERS, [3], "the text must be .*3.*"),
        (LETTERS, ["z", 3], ".*must be.*"),
        (LETTERS, [["a"]], ".*must be.*"),
    ],
    ids=[
        "no vocabulary",
        "no text",
        "no tokens",
        "unknown",
        "unknown token",
        "a number",
        "None",
        "ids",
        "mixed",
        "nested",
    ],
)
def test_text_that_a_model_does_not_know_is_refused_in_one_line(use, vocabulary, text, message):
    with pytest.raises(NumpyrnnError, match=f"^{message}$"):
        use(writer(vocabulary), text)


@pytest.mark.parametrize(
    "config",
    [{"a": "[" * 600_000}, {"a": ["[" + chr(92) + chr(34)] * 300_000}, {"a": ["[", "{"] * 200_000}],
    ids=["one text", "quotes and backslashes", "many texts"],
)
def test_brackets_within_texts_are_no_lists(path, config):
    save(path, Checkpoint("numpyrnn", writer().model, None, config))
    assert load(path).config == config


@pytest.mark.parametrize(
    "config",
    [
        {"a": [[i, i] for i in range(400_000)]},
        {1: 2, "1": 3},
        {"a": {1: 2, "1": 3}},
        [1],
        None,
        "a",
        {"a": float("nan")},
    ],
    ids=["many lists", "a name twice", "a name twice within", "a list", "none", "a text", "NaN"],
)
@pytest.mark.parametrize("part", ["config", "training"])
def test_what_could_not_be_loaded_is_not_saved(path, part, config):
    path.write_bytes(b"before")
    if config is None and part == "training":
        pytest.skip("a finished model has none")
    with pytest.raises(NumpyrnnError, match=f"{part} must"):
        save(path, replace(writer(), **{part: config}))
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize("name", ["", "a" * 100, "a/b", "a\0b", "\ud800", 1, "京"])
def test_an_array_whose_name_a_file_cannot_hold_is_not_saved(path, name):
    checkpoint = writer()
    with pytest.raises(NumpyrnnError, match="must have a name of letters"):
        save(path, replace(checkpoint, training={name: checkpoint.model.params.flat}))
    assert not path.exists()


def test_more_arrays_than_can_be_loaded_are_not_saved(path):
    checkpoint = writer()
    for n in (500, 5_000):
        training = {f"carried.{i}": checkpoint.model.params.flat for i in range(n)}
        if n > 500:
            with pytest.raises(NumpyrnnError, match="must have fewer members"):
                save(path, replace(checkpoint, training=training))
        else:
            save(path, replace(checkpoint, training=training))
        assert len(load(path).training) == 500


def test_parameters_that_could_not_be_loaded_are_not_saved(path):
    model = writer().model
    model.params.flat[3] = np.nan
    with pytest.raises(NumpyrnnError, match="params must be finite"):
        save(path, model)
    assert not path.exists()


def test_a_lack_of_memory_is_not_called_damage(path, monkeypatch):
    checkpoint, zeros = writer(), np.zeros
    save(path, checkpoint)

    def little(shape, dtype=float):
        if np.prod(shape) >= checkpoint.model.params.flat.size:
            raise MemoryError
        return zeros(shape, dtype)

    monkeypatch.setattr(np, "zeros", little)
    with pytest.raises(NumpyrnnError, match=r"could not be read: there is not enough memory"):
        load(path)


def test_a_model_has_a_kind(path):
    with pytest.raises(NumpyrnnError, match="kind must be a name of 1 to 80 printable characters"):
        save(path, replace(writer(), kind=""))
