"""Tokens: names and chords as music21 has them, rhythm on a grid, and what is common."""

from collections import Counter
from fractions import Fraction
from itertools import combinations, pairwise
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.midi import Midi, Note, read_midi
from numpyrnn import NumpyrnnError
from piano.tokens import (
    GAPS,
    GRID,
    NAMES,
    SPELLINGS,
    common_rhythms,
    count_names,
    keep_common,
    name_of,
    normal_order,
    pitches_of,
    snap,
    split_token,
    tokens_of,
    transpose,
)
from workbench.files import data_path

F = Fraction
SETS = [frozenset(some) for size in range(1, 13) for some in combinations(range(12), size)]
CHORDS = [".".join(map(str, normal_order(some))) for some in SETS]

names = st.sampled_from([*NAMES.values(), *CHORDS])
rhythms = st.tuples(st.sampled_from(GRID), st.sampled_from([*GAPS])).map(lambda both: f"|{both[0]}|{both[1]}")
tokens = st.tuples(names, st.just("") | rhythms).map("".join)


def piece(*notes, **options):
    return Midi([Note(F(onset), F(duration), pitch, **options) for onset, duration, pitch in notes])


# against music21


def test_every_set_of_pitch_classes_is_ordered_as_music21_does():
    from music21 import chord

    assert len(SETS) == 4095
    for some in SETS:
        spelled = [SPELLINGS[pitch_class] for pitch_class in sorted(some)]  # from numbers it takes 15 ms each
        assert list(normal_order(some)) == chord.Chord(spelled).normalOrder


def test_every_key_is_spelled_as_music21_does():
    from music21 import pitch

    assert len(NAMES) == 88
    assert {number: pitch.Pitch(number).nameWithOctave for number in range(21, 109)} == NAMES


@pytest.mark.parametrize("pitches", [(48, 60), (45, 61, 64), (60, 64, 67, 72), (31, 44, 57, 62)])
def test_chords_are_as_music21_has_them(pitches):
    from music21 import chord

    expected = ".".join(map(str, chord.Chord(pitches).normalOrder))
    assert tokens_of(piece(*((0, 1, pitch) for pitch in pitches))) == [expected]


# the shipped files


@pytest.fixture(scope="module")
def shipped():
    return [read_midi(path) for path in sorted(data_path("piano").glob("*.mid"))]


def test_the_shipped_files_give_the_tokens_that_were_counted_elsewhere(shipped):
    pieces = [tokens_of(midi) for midi in shipped]
    assert list(map(len, pieces)) == [979, 1009, 1044, 1005, 521, 1003, 112, 1011, 1030, 972]
    counts = count_names(pieces)
    assert (counts.total(), len(counts)) == (8686, 304)
    assert [sum(count >= low for count in counts.values()) for low in (50, 20)] == [55, 118]
    assert sum(max(len(kept) - 32, 0) for kept in keep_common(pieces, 50)) == 5110


def test_rhythm_is_added_to_the_same_tokens(shipped):
    for midi in shipped:
        with_rhythm = tokens_of(midi, rhythm=True)
        assert [name_of(token) for token in with_rhythm] == tokens_of(midi)
        for token in set(with_rhythm):
            name, duration, gap = split_token(token)
            assert f"{name}|{duration}|{gap}" == token


# from notes to tokens


def test_what_begins_together_is_one_token():
    midi = piece((0, 1, 75), (1, 1, 60), (1, 1, 64), (1, 1, 79), (2, 1, 48), (2, 1, 60), (3, 1, 60), (3, 2, 60))
    assert tokens_of(midi) == ["E-5", "0.4.7", "0", "C4"]


def test_onsets_are_exact():
    assert tokens_of(piece((F(1, 3), 1, 60), (F(1, 3) + F(1, 10**9), 1, 64))) == ["C4", "E4"]


def test_drums_and_what_no_piano_has_are_left_out_but_no_instrument_is():
    keys = [(0, 1, 20), (0, 1, 21), (1, 1, 108), (1, 1, 109), (2, 1, 127), (3, 1, 0)]
    assert tokens_of(piece(*keys, program=40, track=3, channel=2)) == ["A0", "C8"]
    assert tokens_of(piece(*keys, channel=9)) == []


def test_rhythm_is_the_longest_note_and_the_time_to_the_next():
    midi = piece((0, F(1, 2), 60), (0, F(3, 2), 64), (F(1, 4), F(1, 4), 65), (F(5, 4), 2, 67))
    assert tokens_of(midi, rhythm=True) == ["0.4|3/2|1/4", "F4|1/4|1", "G4|2|2"]


def test_no_notes_give_no_tokens():
    assert tokens_of(Midi([]), rhythm=True) == tokens_of(Midi([])) == []


# the grid


@pytest.mark.parametrize(
    ("length", "expected"),
    [(0, "1/16"), (F(1, 10**9), "1/16"), (F(7, 16), "1/2"), (F(43, 384), "1/8"), (F(5, 4), "3/2"), (100_000, "4")],
)
def test_lengths_move_to_the_grid(length, expected):
    assert snap(F(length)) == F(expected)


def test_the_border_between_two_lengths_is_their_geometric_middle():
    for low, high in pairwise(GRID):
        middle = F(float(low * high) ** 0.5)
        assert (snap(middle * F(9999, 10000)), snap(middle * F(10001, 10000))) == (low, high)


@given(st.fractions(min_value=F(1, 1000), max_value=100))
def test_no_length_of_the_grid_is_nearer(length):
    nearest = min(abs(log(length / other)) for other in GRID)
    assert abs(log(length / snap(length))) <= nearest + 1e-12


def test_the_grid_ascends_and_stays_as_it_is():
    assert sorted(set(GRID)) == list(GRID) == [snap(length) for length in GRID]


# and back


@given(tokens)
def test_a_token_is_split_into_what_it_was_made_of(token):
    name, duration, gap = split_token(token)
    assert token == name if duration is None else f"{name}|{duration}|{gap}"
    assert (duration is None) == (gap is None) == ("|" not in token)


@given(names)
def test_played_again_a_name_is_the_same_token(name):
    pitches = pitches_of(name)
    if name in NAMES.values():
        assert [NAMES[pitch] for pitch in pitches] == [name]
    else:
        assert ".".join(dict.fromkeys(str(pitch % 12) for pitch in pitches)) == name
        assert 48 <= pitches[0] <= 59
        assert pitches == sorted(set(pitches))
        assert pitches[-1] - pitches[0] < 12 or pitches[1:] == [pitches[0] + 12]
    if len(pitches) > 1:
        assert tokens_of(piece(*((0, 1, pitch) for pitch in pitches))) == [name]


@pytest.mark.parametrize("name", ["E-5", "A0", "C8", "0", "11.2.5", "9.0.4"])
def test_known_names_are_played_as_they_should(name):
    known = {"E-5": [75], "A0": [21], "C8": [108], "0": [48, 60], "11.2.5": [59, 62, 65], "9.0.4": [57, 60, 64]}
    assert pitches_of(name) == known[name]


NO_NAMES = ["", " ", "E-", "e-5", "Eb5", "D#5", "B#3", "C9", "G#0", "C-1", "C44", "12", "-1", "00", "0.0", "4.0.7"]
NO_NAMES += [
    "0..4",
    "0.4.",
    ".0",
    "0,4",
    "0.4.7 ",
    "\u0660",
    "0.4.7.",
    "C5\n",
    "9" * 100_000,
    "0." * 50_000 + "0",
    "\x1b[2J",
]


@pytest.mark.parametrize("name", NO_NAMES, ids=range(len(NO_NAMES)))
def test_what_is_no_name_is_refused_in_one_short_line(name):
    for function in (pitches_of, split_token, lambda text: transpose(text, 1), lambda text: split_token(f"{text}|1|1")):
        with pytest.raises(
            NumpyrnnError, match=r"a token must be a pitch of the piano, such as E-5, or .*, got"
        ) as raised:
            function(name)
        assert len(str(raised.value)) < 400
        assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "rhythm", ["|", "|1", "|1|", "||1", "|1|1|1", "|1|5", "|0.5|1", "|2/4|1", "|-1|1", "|1/0|1", "|nan|1", "|1|\n"]
)
def test_what_is_no_rhythm_is_refused(rhythm):
    with pytest.raises(NumpyrnnError, match=r"a token with rhythm must be like E-5\|1/2\|1/4, .* got 'C4\|"):
        split_token("C4" + rhythm)


# transposition


@given(tokens, st.integers(-30, 30))
def test_a_transposed_token_is_one_and_comes_back(token, semitones):
    moved = transpose(token, semitones)
    name, duration, gap = split_token(token)
    pitches = [pitch + semitones for pitch in pitches_of(name)]
    if moved is None:
        assert name in NAMES.values()
        assert pitches[0] not in NAMES
        return
    assert split_token(moved)[1:] == (duration, gap)
    if name in NAMES.values():
        assert pitches_of(split_token(moved)[0]) == pitches
    else:
        assert {pitch % 12 for pitch in pitches_of(split_token(moved)[0])} == {pitch % 12 for pitch in pitches}
    assert transpose(moved, -semitones) == token


@pytest.mark.parametrize(
    ("token", "semitones", "expected"),
    [
        ("E-5|1/2|1/4", 2, "F5|1/2|1/4"),
        ("C8", 1, None),
        ("A0", -1, None),
        ("0.4.7|1|1", -1, "11.3.6|1|1"),
        ("0.4.8", 4, "0.4.8"),
        ("0.3.6.9", 1, "1.4.7.10"),
        ("0.6", 7, "1.7"),
        ("8.0.3", 12, "8.0.3"),
    ],
)
def test_known_transpositions(token, semitones, expected):
    assert transpose(token, semitones) == expected


def test_a_normal_order_that_is_only_shifted_may_be_none():
    assert transpose("0.6", 7) != "7.1"
    assert transpose("0.4.8", 5) != "5.9.1"


# what is common


PIECES = st.lists(
    st.lists(st.tuples(st.sampled_from(["C4", "D4", "0.4.7"]), rhythms).map("".join), max_size=20), max_size=4
)


@given(PIECES, st.integers(1, 10))
def test_only_common_names_stay(pieces, low):
    kept = keep_common(pieces, low)
    counts = Counter(token.split("|")[0] for some in pieces for token in some)
    assert kept == [[token for token in some if counts[token.split("|")[0]] >= low] for some in pieces]
    assert all(count >= low for count in count_names(kept).values())


@given(PIECES, st.integers(1, 10))
def test_after_both_every_token_is_common(pieces, low):
    kept = keep_common(pieces, low)
    merged = common_rhythms(kept, low)
    assert [[name_of(token) for token in some] for some in merged] == [
        [name_of(token) for token in some] for some in kept
    ]
    before, after = (Counter(token for some in several for token in some) for several in (kept, merged))
    assert all(count >= low for count in after.values())
    assert after.keys() <= before.keys()
    assert all(after[token] >= count for token, count in before.items() if count >= low)


def test_a_rare_rhythm_becomes_the_commonest_of_its_name():
    pieces = [["C4|1|1", "C4|1|2", "C4|1|1"], ["D4|2|2", "C4|2|2", "C4|1|2", "C4|1|1", "D4|1|1"]]
    merged = [["C4|1|1", "C4|1|2", "C4|1|1"], ["D4|2|2", "C4|1|1", "C4|1|2", "C4|1|1", "D4|2|2"]]
    assert common_rhythms(pieces, 2) == merged
    assert common_rhythms(pieces, 1) == pieces
    assert common_rhythms([some[::-1] for some in pieces], 2) == [some[::-1] for some in merged]


def test_tokens_without_rhythm_keep_their_names():
    pieces = [["C4", "0.4.7", "C4"], []]
    assert common_rhythms(pieces, 2) == pieces
    assert keep_common(pieces, 2) == [["C4", "C4"], []]
    assert keep_common(pieces, 4) == [[], []]
