"""Tokens to ids and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpyrnn import NumpyrnnError, vocab
from numpyrnn.vocab import Vocabulary

texts = st.text(min_size=1)
any_texts = st.text(st.characters(exclude_categories=()), min_size=1, max_size=30)  # lone surrogates too


@given(texts)
def test_decode_undoes_encode(text):
    vocabulary = Vocabulary(text)
    assert "".join(vocabulary.decode(vocabulary.encode(text))) == text


@given(texts, st.randoms())
def test_ids_do_not_depend_on_the_order_of_the_text(text, random):
    shuffled = "".join(random.sample(text, len(text)))
    assert Vocabulary(shuffled).ids == Vocabulary(text).ids


@given(texts)
def test_ids_count_up_in_the_sorted_order(text):
    vocabulary = Vocabulary(text)
    assert vocabulary.tokens == sorted(set(text))
    assert vocabulary.encode(vocabulary.tokens).tolist() == list(range(len(vocabulary)))


def test_a_token_may_be_any_string():
    words = Vocabulary(["to", "be", "or", "not", "to", "be"])
    assert words.tokens == ["be", "not", "or", "to"]
    assert words.encode(["to", "be"]).tolist() == [3, 0]
    assert words.decode(np.array([2, 1])) == ["or", "not"]


def test_emoji_and_chinese_are_one_token_each():
    assert Vocabulary("北京😀").tokens == ["京", "北", "😀"]  # U+4EAC, U+5317, U+1F600


def test_newline_is_first_among_letters():
    assert Vocabulary("banana\n").encode("\n").tolist() == [0]


def test_encode_gives_integers_also_for_nothing():
    ids = Vocabulary("ab").encode("")
    assert ids.shape == (0,)
    assert np.issubdtype(ids.dtype, np.integer)


def test_membership_and_length():
    vocabulary = Vocabulary("abc")
    assert len(vocabulary) == 3
    assert "b" in vocabulary
    assert "d" not in vocabulary


def test_equality_is_that_of_the_tokens():
    vocabulary = Vocabulary("banana")
    assert vocabulary == Vocabulary("nab")
    assert hash(vocabulary) == hash(Vocabulary("nab"))
    assert vocabulary != Vocabulary("bananas")
    assert vocabulary != ["a", "b", "n"]


def test_its_form_names_size_first_and_last():
    assert repr(Vocabulary("banana")) == "Vocabulary of 3 tokens, 'a' to 'n'"


@pytest.mark.parametrize(("tokens", "message"), [("", r"got \[\]"), ([1, 2], r"got \[1, 2\]"), (["a", 1], "strings")])
def test_a_vocabulary_needs_strings(tokens, message):
    with pytest.raises(NumpyrnnError, match=message):
        Vocabulary(tokens)


def test_all_unknown_tokens_are_listed_once_each():
    with pytest.raises(NumpyrnnError, match=r"unknown: 'x' '😀'$"):
        Vocabulary("abc").encode("a😀xbx")


@pytest.mark.parametrize("ids", [[-1], [0, 3], [2, -4]])
def test_an_id_outside_is_an_error(ids):
    with pytest.raises(NumpyrnnError, match="ids must hold ids from 0 to 2, got "):
        Vocabulary("abc").decode(ids)


# Texts of any length


def encode_text(vocabulary, text, chunk=None):
    with pytest.MonkeyPatch.context() as patch:
        if chunk:
            patch.setattr(vocab, "CHUNK", chunk)
        return vocabulary.encode_text(text)


@given(any_texts, st.none() | st.integers(1, 7), st.lists(st.text(max_size=3)))
def test_a_text_in_chunks_is_encoded_as_its_characters_are(text, chunk, more):
    vocabulary = Vocabulary([*text, *more])
    ids = encode_text(vocabulary, text, chunk)
    assert ids.tolist() == vocabulary.encode(text).tolist()
    assert "".join(vocabulary.decode(ids)) == text


@given(any_texts, any_texts, st.integers(1, 7))
def test_characters_that_are_unknown_are_listed_like_encodes(known, text, chunk):
    vocabulary = Vocabulary([*known, "ab"])
    if set(text) <= set(known):
        assert encode_text(vocabulary, text, chunk).tolist() == vocabulary.encode(text).tolist()
        return
    with pytest.raises(NumpyrnnError) as expected:
        vocabulary.encode(text)
    with pytest.raises(NumpyrnnError) as got:
        encode_text(vocabulary, text, chunk)
    assert str(got.value) == str(expected.value)


def test_all_unknown_characters_are_listed_once_each_also_from_several_chunks():
    with pytest.raises(NumpyrnnError, match=r"unknown: 'x' '\\ud800' '😀'$"):
        encode_text(Vocabulary("abc"), "a😀xbx\ud800c😀", 2)
    with pytest.raises(NumpyrnnError, match=r"unknown: 'a' 'b'$"):
        encode_text(Vocabulary(["ab", ""]), "ab")  # one token, but two characters


@pytest.mark.parametrize(("size", "dtype"), [(1, np.uint8), (256, np.uint8), (257, np.uint16), (70_000, np.uint32)])
def test_ids_of_a_text_take_as_few_bytes_as_they_can(size, dtype):
    text = "".join(map(chr, range(0x10000, 0x10000 + size)))
    ids = Vocabulary(text).encode_text(text)
    assert ids.dtype == dtype
    assert ids.tolist() == list(range(size))
    assert Vocabulary(text).encode_text("").dtype == dtype
    assert Vocabulary(text).encode_text("").shape == (0,)


@pytest.mark.parametrize("tokens", [None, 3, float("nan"), [None], [b"a"], ["a", 1]], ids=repr)
def test_a_vocabulary_of_anything_but_strings_is_one_clear_error(tokens):
    with pytest.raises(NumpyrnnError, match="a vocabulary needs one or more strings, got "):
        Vocabulary(tokens)


def test_ids_of_different_depths_are_one_clear_error():
    with pytest.raises(NumpyrnnError, match="ids must be an array, got list"):
        Vocabulary("abc").decode([[1, 2], [0]])


def test_the_description_of_long_tokens_is_short():
    assert len(repr(Vocabulary(["a" * 10**6, "b" * 10**6]))) < 200


@pytest.mark.parametrize("tokens", [5, None, ["a", 5], [5, "b"], [["a"]]])
def test_what_is_no_string_is_no_token(tokens):
    with pytest.raises(NumpyrnnError, match=r"^tokens must be strings, got (5|None|\['a'\])$"):
        Vocabulary("abc").encode(tokens)


def test_what_is_no_text_or_no_list_of_ids_is_one_clear_error():
    with pytest.raises(NumpyrnnError, match=r"^a text must be a string, got 5$"):
        Vocabulary("abc").encode_text(5)
    for ids in (5, None, np.array(1), [[0, 1]]):
        with pytest.raises(NumpyrnnError, match=r"^ids must be "):
            Vocabulary("abc").decode(ids)
