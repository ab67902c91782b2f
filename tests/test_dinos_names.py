"""Names: reading, splitting, encoding."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dinos.names import END, encode, read_names, show, split_names, vocabulary_of
from numpyrnn import NumpyrnnError, Vocabulary
from workbench.files import data_path

name_lists = st.lists(st.text("abcé京😀", min_size=1, max_size=6), min_size=2, max_size=40, unique=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "names.txt"


# reading


@pytest.mark.parametrize(
    "data",
    [
        b"abel\nbaga\ncera\n",
        b"abel\nbaga\ncera",  # no newline at the end
        b"abel\r\nbaga\r\ncera\r\n",  # Windows
        b"abel\rbaga\rcera\r",  # old Macintosh
        b"\xef\xbb\xbfabel\nbaga\ncera\n",  # byte order mark
        b"\n\nabel\n \n\t\nbaga\n\r\n\ncera\n\n",  # blank lines
        b"  abel\t\nbaga  \n\tcera \n",
        "\N{IDEOGRAPHIC SPACE}abel\nbaga\N{NO-BREAK SPACE}\ncera".encode(),
        b"abel\nbaga\nabel\ncera\nbaga\n",  # duplicates
        b"Abel\nBAGA\nabel\ncEra",  # capitals
    ],
)
def test_names_are_the_distinct_lines_in_their_order(path, data):
    path.write_bytes(data)
    assert read_names(path) == ["abel", "baga", "cera"]


def test_capitals_stay_where_they_are_wanted(path):
    path.write_text("Abel\nabel\nÉcole\n", "utf-8")
    assert read_names(path) == ["abel", "école"]
    assert read_names(path, keep_case=True) == ["Abel", "abel", "École"]


def test_any_script_and_emoji_are_names(path):
    path.write_text("北京\n上海\n😀🦖\nÅrhus\nnew york\n서울\n", "utf-8")
    assert read_names(str(path)) == ["北京", "上海", "😀🦖", "århus", "new york", "서울"]


def test_only_line_ends_part_names(path):
    names = ["a\vb", "a\fb", "a\N{LINE SEPARATOR}b", "a\N{NEXT LINE}b", "a b", "a,b"]
    path.write_text("\n".join(names), "utf-8")
    assert read_names(path) == names


@pytest.mark.parametrize(("data", "number"), [(b"", 0), (b"\n \r\n\t", 0), (b"abel", 1), (b"abel\nABEL\n abel \n", 1)])
def test_fewer_than_two_names_are_an_error(path, data, number):
    path.write_bytes(data)
    with pytest.raises(NumpyrnnError) as caught:
        read_names(path)
    assert str(caught.value) == f"{path} must hold at least two different names, one a line, it holds {number}"


def test_case_alone_makes_two_names_only_where_it_is_kept(path):
    path.write_bytes(b"abel\nABEL\n")
    assert read_names(path, keep_case=True) == ["abel", "ABEL"]


def test_an_endless_name_is_an_error(path):
    path.write_text("abel\n" + "x" * 1000)
    assert len(read_names(path)[1]) == 1000
    path.write_text("abel\n" + "x" * 1001)
    with pytest.raises(NumpyrnnError, match="names of at most 1000 characters, one has 1001"):
        read_names(path)


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(NumpyrnnError, match="must be a text file, it is a folder"):
        read_names(tmp_path)


def test_a_missing_file_is_an_error(path):
    with pytest.raises(NumpyrnnError, match="could not be read: No such file"):
        read_names(path)


@pytest.mark.parametrize(
    "data", [bytes(range(256)), b"\x89PNG\r\n\x1a\n\0\0", b"abel\nba\0ga\n", "é".encode("latin-1")]
)
def test_binary_junk_is_an_error(path, data):
    path.write_bytes(data)
    with pytest.raises(NumpyrnnError, match="must be UTF-8 text"):
        read_names(path)


# the shipped names


def test_the_shipped_names_are_many_lower_case_unique_and_sorted():
    names = read_names(data_path("dinos.txt"), keep_case=True)
    lines = data_path("dinos.txt").read_text("utf-8").split("\n")
    assert lines == [*names, ""]
    assert len(names) >= 1200
    assert all(re.fullmatch("[a-z]+", name) for name in names)
    assert names == sorted(set(names))


# splitting


@given(name_lists, st.integers(0, 999), st.floats(0, 1))
def test_a_split_is_disjoint_complete_and_leaves_neither_part_empty(names, seed, share):
    training, held_out = split_names(names, seed, share)
    assert sorted([*training, *held_out]) == sorted(names)
    assert training
    assert held_out


@pytest.mark.parametrize(
    ("number", "share", "held_out"), [(2, 0.1, 1), (10, 0.1, 1), (1000, 0.1, 100), (9, 0.5, 4), (3, 1.0, 2)]
)
def test_the_share_is_held_out(number, share, held_out):
    names = [str(i) for i in range(number)]
    assert [len(part) for part in split_names(names, 0, share)] == [number - held_out, held_out]


def test_a_tenth_is_held_out_if_nothing_is_said():
    names = [str(i) for i in range(500)]
    assert split_names(names, 4) == split_names(names, 4, 0.1)


def test_a_split_repeats_with_its_seed_and_changes_with_it():
    names = [str(i) for i in range(200)]
    assert split_names(names, 1) == split_names(names, 1)
    assert set(split_names(names, 1)[1]) != set(split_names(names, 2)[1])
    assert names == [str(i) for i in range(200)]


# encoding


@given(name_lists)
def test_a_name_is_encoded_between_two_ends(names):
    vocabulary = vocabulary_of(names)
    assert set(vocabulary.tokens) == {END, *"".join(names)}
    for name, ids in zip(names, encode(names, vocabulary), strict=True):
        assert "".join(vocabulary.decode(ids)) == "\n" + name + "\n"
        assert np.issubdtype(ids.dtype, np.integer)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("abel", "Abel"), ("", ""), ("a", "A"), ("éA", "ÉA"), ("北京", "北京"), ("😀a", "😀a"), ("new york", "New york")],
)
def test_a_name_is_shown_with_a_capital(name, shown):
    assert show(name) == shown


FAMILY, FLAG, SYLLABLE = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\u0915\u093f"


def test_what_a_reader_sees_as_one_character_is_one_token():
    name = f"a{FAMILY}{FLAG}{SYLLABLE}"
    vocabulary = vocabulary_of([name, "ab"])
    assert vocabulary.tokens == sorted([END, "a", "b", FAMILY, FLAG, SYLLABLE])
    assert vocabulary.decode(encode([name], vocabulary)[0]) == [END, "a", FAMILY, FLAG, SYLLABLE, END]


def test_a_vocabulary_of_code_points_as_in_older_files_reads_code_points():
    vocabulary = Vocabulary([END, *FAMILY, "a"])
    assert vocabulary.decode(encode([FAMILY + "a"], vocabulary)[0]) == [END, *FAMILY, "a", END]
