"""Tokens to ids and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpyrnn import NumpyrnnError
from numpyrnn.vocab import Vocabulary

texts = st.text(min_size=1)


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
