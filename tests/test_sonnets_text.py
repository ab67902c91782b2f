"""Texts: reading, splitting, lines, prompts, and what a model file keeps."""

import hashlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpyrnn import Dense, NumpyrnnError, Sequential
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.vocab import Vocabulary
from sonnets import text as module
from sonnets.text import (
    check_prompt,
    digest,
    first_lines,
    kept,
    line_of,
    measured,
    opening,
    plain,
    read_plain,
    split_text,
    texts_of,
    without_unknown,
)
from workbench import files
from workbench.files import data_path

VERSE = "Roses are red,\nviolets are blue.\n\nAnd so on.\n"


def file_of(tmp_path, data):
    path = tmp_path / "text.txt"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def holding(**config):
    """A model file with this configuration."""
    return Checkpoint("sonnets", Sequential(Dense(2, 2, rng=0)), Vocabulary("ab"), config)


# reading


def test_the_shipped_sonnets_are_154_of_38_characters():
    text = read_plain(data_path("sonnets.txt"))
    assert len(set(text)) == 38
    assert len(first_lines(text)) == 154
    assert text.startswith("from fairest creatures we desire increase,\n")
    assert text.endswith("love's fire heats water, water cools not love.\n")
    capitals = read_plain(data_path("sonnets.txt"), keep_case=True)
    assert capitals.lower() == text != capitals


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_are_newlines_and_one_stands_at_the_end(tmp_path, newline, end):
    data = newline.join(["", "Ab", "", *["cD"] * 200]) + end
    assert read_plain(file_of(tmp_path, data)) == "ab\n\n" + "cd\n" * 200
    assert read_plain(file_of(tmp_path, data), keep_case=True) == "Ab\n\n" + "cD\n" * 200


@pytest.mark.parametrize("keep_case", [False, True])
def test_accented_letters_are_one_character_however_they_were_typed(tmp_path, keep_case):
    typed = "e\u0301" + "E\u0301\n" * 300
    read = read_plain(file_of(tmp_path, b"\xef\xbb\xbf" + typed.encode()), keep_case)
    assert read == ("é" + "É\n" * 300 if keep_case else "é" + "é\n" * 300)
    assert plain(read, keep_case) == read


@given(st.text("AaΣé\u0301\n\r ", max_size=40), st.booleans())
def test_a_text_that_is_read_in_pieces_is_that_of_the_whole(tmp_path_factory, text, keep_case):
    text = "Σ" * 500 + "\n" + text + "x"  # a last sigma has a form of its own, a combining mark goes with its letter
    path = file_of(tmp_path_factory.mktemp("text"), text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PIECE", 1)
        assert read_plain(path, keep_case) == plain(text, keep_case) + "\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "at least 500 characters, it holds 0"),
        (b"\n" * 600, "at least 500 characters, it holds 0"),
        (b"ab" * 249 + b"\n\n\n", "at least 500 characters, it holds 498"),
        (b"A" * 300 + b"a" * 300, "at least two different characters, it holds 'a' only"),
        (bytes(range(256)) * 4, "must be UTF-8 text"),
        (b"ab\0" * 400, "must be UTF-8 text, it holds a zero byte"),
    ],
)
def test_what_cannot_be_learned_from_is_one_error(tmp_path, data, message):
    path = file_of(tmp_path, data)
    with pytest.raises(NumpyrnnError, match=f"{re.escape(str(path))} .*{message}"):
        read_plain(path)
    with pytest.raises(NumpyrnnError, match="it is a folder"):
        read_plain(tmp_path)


# splitting


def test_the_last_15_sonnets_are_held_out():
    text = read_plain(data_path("sonnets.txt"))
    training, held_out = split_text(text)
    assert training + held_out == text
    assert (len(first_lines(training)), len(first_lines(held_out))) == (139, 15)
    assert held_out.startswith("be wise as thou art cruel; do not press\n")


@pytest.mark.parametrize(
    ("text", "held_out"),
    [
        ("a" * 902 + "\n\n" + "b" * 96, "b" * 96),  # a blank line
        ("a" * 902 + "\n \t\n  " + "b" * 93, "  " + "b" * 93),  # with white space in it; the indentation stays
        ("a" * 902 + "\nb\nccc\n\n" + "d" * 91, "d" * 91),  # before a line
        ("a" * 902 + "\n" + "b" * 97, "b" * 97),  # a line
        ("a" * 880 + "\n\n" + "b" * 118, "b" * 100),  # neither after 90 %
        ("a" * 980 + "\n\n" + "b" * 18, "b" * 0 + "a" * 80 + "\n\n" + "b" * 18),  # too late
        ("a" * 1000, "a" * 100),
        ("ab", "b"),
    ],
)
def test_the_cut_is_at_a_blank_line_or_a_line_or_right_there(text, held_out):
    assert split_text(text) == (text[: len(text) - len(held_out)], held_out)


@given(st.text("ab\n ", min_size=2, max_size=60))
def test_no_part_is_empty_and_together_they_are_the_text(text):
    training, held_out = split_text(text)
    assert training + held_out == text
    assert training
    assert held_out


# lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (VERSE, ["Roses are red,", "And so on."]),
        ("\n\n\na\nb\n\n\n\n  c\nd\n \t\ne", ["a", "  c", "e"]),
        ("one line", ["one line"]),
        ("x" * 1000, ["x" * 200]),
        ("\n \n", []),
        ("", []),
    ],
)
def test_first_lines_are_those_after_blank_lines(text, lines):
    assert first_lines(text) == lines


@given(st.text("ab\n", min_size=1, max_size=30))
def test_a_line_by_its_position_is_that_of_splitlines(text):
    lines = [(i + 1, line) for i, line in enumerate(text.split("\n")) for _ in range(len(line) + 1)]
    assert [line_of(text, position) for position in range(len(text))] == lines[: len(text)]


# prompts


def test_unknown_characters_of_a_prompt_are_all_listed():
    vocabulary = Vocabulary("\n abc")
    check_prompt("a cab", vocabulary)
    with pytest.raises(NumpyrnnError) as raised:
        check_prompt("x b€\tx", vocabulary)
    assert str(raised.value) == (
        r"prompt must be of the model's characters (abc), got '\t' 'x' '€' (--unknown skip drops them)"
    )


@pytest.mark.parametrize(
    ("prompt", "keep_case", "expected"),
    [
        ("xA b€Cx", False, "A bC"),
        ("xA b€Cx", True, " b"),
        ("xyz", False, ""),
        ("a\r\nb", True, "a\r\nb"),
        ("e\u0301a", False, "éa"),  # two characters typed, one in the vocabulary
    ],
)
def test_unknown_characters_can_be_dropped_and_the_others_stay_as_typed(prompt, keep_case, expected):
    model = Sequential(Dense(2, 2, rng=0))
    checkpoint = Checkpoint("sonnets", model, Vocabulary("\n abcé"), {"keep_case": keep_case})
    assert without_unknown(prompt, checkpoint) == expected


# what a model file keeps


def test_a_text_is_kept_whole_up_to_a_length(monkeypatch):
    monkeypatch.setattr(module, "KEPT", len(VERSE))
    assert kept(VERSE[:20], VERSE[20:]) == {"training": VERSE[:20], "held_out": VERSE[20:]}
    monkeypatch.setattr(module, "KEPT", len(VERSE) - 1)
    found = kept(VERSE[:20], VERSE[20:])
    mark = hashlib.sha256(VERSE.encode()).hexdigest()
    assert found == {"lengths": [20, len(VERSE) - 20], "sha256": mark, "openings": ["Roses are red,"]}
    assert texts_of(holding(**found), VERSE) == (VERSE[:20], VERSE[20:])
    assert opening(holding(**found), np.random.default_rng(0)) == "Roses are red,\n"


def test_a_digest_does_not_depend_on_the_parts(monkeypatch):
    monkeypatch.setattr(module, "PIECE", 7)
    assert digest(VERSE[:20], VERSE[20:]) == digest(VERSE) == hashlib.sha256(VERSE.encode()).hexdigest()


def test_a_kept_text_needs_no_other_and_takes_no_other():
    checkpoint = holding(training=VERSE[:20], held_out=VERSE[20:])
    assert texts_of(checkpoint) == texts_of(checkpoint, VERSE) == (VERSE[:20], VERSE[20:])
    assert opening(checkpoint, np.random.default_rng(0)) == "Roses are red,\n"
    with pytest.raises(NumpyrnnError, match="must be the one that the model was trained on, it is another"):
        texts_of(checkpoint, VERSE + "x")


def test_a_text_that_is_not_kept_must_be_given(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 0)
    checkpoint = holding(**kept(VERSE[:20], VERSE[20:]))
    with pytest.raises(NumpyrnnError, match=f"does not keep its text of {len(VERSE)} characters: give it with --data"):
        texts_of(checkpoint)
    for other in (VERSE.upper(), VERSE + "x", ""):
        with pytest.raises(NumpyrnnError, match="trained on, it is another"):
            texts_of(checkpoint, other)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"training": "a"},
        {"training": "", "held_out": "a"},
        {"training": ["a"], "held_out": ["b"]},
        {"lengths": [1], "sha256": ""},
        {"lengths": [1, "2"], "sha256": ""},
        {"lengths": [1, 0], "sha256": ""},
        {"lengths": 3},
    ],
    ids=str,
)
def test_a_model_without_a_text_is_refused(config):
    with pytest.raises(NumpyrnnError, match="must hold its training and held-out text, or their lengths"):
        texts_of(holding(**config), "ab")


@pytest.mark.parametrize("config", [{}, {"openings": "ab"}, {"openings": [3]}, {"training": 3}], ids=str)
def test_a_model_without_first_lines_is_refused(config):
    with pytest.raises(NumpyrnnError, match="first lines of its text, it does not: give a prompt"):
        opening(holding(**config), np.random.default_rng(0))


def test_what_is_measured_begins_after_a_newline_and_has_an_end():
    small, large = Vocabulary("\nab"), Vocabulary(map(chr, range(1000)))
    assert measured("abab", small) == "\nabab"
    assert len(measured("ab" * 100_000, small)) == 100_001
    assert len(measured("ab" * 100_000, large)) == 10_001
