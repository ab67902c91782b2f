"""Rhythm is learned without a loss of time: pieces that are written in common tokens keep their length and onsets."""

import importlib
import random
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.midi import Midi, Note, midi_bytes, parse_midi, read_midi
from numpyrnn import NumpyrnnError
from piano.corpus import Piece, read_pieces, split_by_piece
from piano.model import KEYS, MODELS, Material, Settings, material_of
from piano.play import Music, known_part, midi_of
from piano.rhythm import Rhythms
from piano.tokens import (
    GAPS,
    GRID,
    NAMES,
    STEP,
    WAIT,
    common_rhythms,
    count_names,
    keep_common,
    name_of,
    split_token,
    tokens_of,
    transpose,
    waits,
)
from piano.training import PianoTraining
from workbench.files import data_path

F = Fraction
SHIPPED = Settings(rhythm=True, min_count=20, transpose=True)


@pytest.fixture
def rhythm(monkeypatch):
    """The script that measures onsets."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module("rhythm")


@pytest.fixture(scope="module")
def pieces():
    return read_pieces([data_path("piano")], rhythm=True)


@pytest.fixture(scope="module")
def material(pieces):
    return Material(*split_by_piece(pieces, 0), SHIPPED)


def onsets_of(tokens):
    """When each token but waits begins, and when the music ends."""
    times = list(accumulate((split_token(token)[2] for token in tokens), initial=F(0)))
    return [time for time, token in zip(times, tokens, strict=False) if name_of(token) != WAIT], times[-1]


# the shipped pieces


def test_all_ten_pieces_keep_their_length_their_onsets_and_their_beat(pieces, material, rhythm):
    assert len(pieces) == 10
    for piece in pieces:
        original = read_midi(piece.path)
        (ids,) = material.encode([piece.tokens])
        played = parse_midi(midi_bytes(midi_of(material.vocabulary.decode(ids))), piece.name)
        before, after = rhythm.measure(original), rhythm.measure(played)
        assert abs(before[1] - after[1]) < 1, piece.name  # quarters
        ends = [max(note.onset + note.duration for note in midi.notes) for midi in (original, played)]
        assert abs(ends[0] - ends[1]) < 1, piece.name
        assert abs(before[2] - after[2]) < 0.05, piece.name  # on the beat
        assert abs(before[3] - after[3]) < 0.05, piece.name  # silent
        assert after[0] > 0.98 * before[0], piece.name  # only rolled chords may fall together


def test_a_piece_in_its_own_key_has_every_onset_at_its_place(pieces, material):
    for piece in pieces:
        written = material.vocabulary.decode(material.encode([piece.tokens])[0])
        assert onsets_of(written) == onsets_of(piece.tokens)


def test_a_piece_in_another_key_keeps_its_length_and_nearly_all_onsets(pieces, material):
    found = Counter()
    for piece in pieces:
        onsets, end = onsets_of(piece.tokens)
        for key in KEYS:
            written = material.vocabulary.decode(material.encode([piece.tokens], key)[0])
            moved, its_end = onsets_of(written)
            assert abs(its_end - end) < 1
            assert len(moved) == len(onsets)
            found.update(one == other for one, other in zip(moved, onsets, strict=True))
    assert found[True] > 0.9 * found.total()


def test_the_figures_are_those_of_an_example(rhythm):
    notes = [Note(F(onset), F(duration), 60) for onset, duration in [(2, 1), (F(5, 2), 1), (5, 1)]]
    drum, whistle = Note(F(4), F(1), 60, channel=9), Note(F(9, 2), F(1), 120)
    assert rhythm.measure(Midi([*notes, drum, whistle], length=F(8))) == (3, 8.0, 2 / 3, 1.5 / 4, 2.5)


# from notes to tokens


NOTES = st.lists(
    st.tuples(
        st.fractions(0, 30, max_denominator=384),
        st.fractions(0, 9, max_denominator=96),
        st.sampled_from([21, 60, 62, 64, 65, 108]),
    ),
    min_size=1,
    max_size=25,
)


@given(NOTES)
def test_no_onset_is_off_by_more_than_half_a_step(notes):
    midi = Midi(sorted(Note(*note) for note in notes))
    tokens = tokens_of(midi, rhythm=True)
    assert [name_of(token) for token in tokens if name_of(token) != WAIT] == tokens_of(midi)
    onsets, end = onsets_of(tokens)
    true = sorted({note.onset for note in midi.notes})
    first = round(true[0] / STEP) * STEP // 1  # whole beats before the first note are left out
    assert all(abs(one - (other - first)) <= STEP / 2 for one, other in zip(onsets, true, strict=True))
    assert abs(end - (max(note.onset + note.duration for note in midi.notes) - first)) <= STEP / 2
    assert all(split_token(token)[2] >= 0 for token in tokens)


def test_one_third_does_not_move_what_follows():
    places = [F(0), F(1, 3), F(5, 6), F(1), F(29, 24), F(2), F(3), F(97, 32), F(4)]
    tokens = tokens_of(Midi([Note(place, F(1, 4), 60) for place in places]), rhythm=True)
    assert onsets_of(tokens)[0] == [*places[:7], F(73, 24), 4]


def test_a_piece_begins_with_what_its_first_onset_is_after_a_beat():
    for onset, waited in [(F(0), []), (F(7), []), (F(15, 2), ["wait|0|1/2"]), (F(299, 300), [])]:
        notes = [Note(onset, F(1), 60)]
        assert tokens_of(Midi(notes), rhythm=True)[:-1] == waited
        assert tokens_of(Midi(notes)) == ["C4"]


def test_a_long_gap_is_filled_with_waits():
    def written(gap, duration):
        return tokens_of(Midi([Note(F(0), F(duration), 60), Note(F(gap), F(1), 62)]), rhythm=True)[:-1]

    assert written(4, 4) == ["C4|4|4"]
    assert written(F(21, 2), 1) == ["C4|1|4", "wait|0|4", "wait|0|2", "wait|0|1/2"]
    assert written(F(21, 2), 7) == ["C4|4|4", "wait|3|3", "wait|0|3", "wait|0|1/2"]
    assert onsets_of(written(10**5, 10**5))[1] == 10**5


# waits


@given(st.integers(-500, 5000), st.integers(-500, 5000))
def test_waits_take_the_whole_time_and_hold_as_long_as_they_are_told(time, held):
    tokens = [split_token(token) for token in waits(time * STEP, held * STEP)]
    assert {name for name, _, _ in tokens} <= {WAIT}
    assert sum(gap for _, _, gap in tokens) == max(time, 0) * STEP
    assert sum(duration for _, duration, _ in tokens) == max(min(time, held), 0) * STEP
    assert all(duration in (0, gap) for _, duration, gap in tokens)


def test_what_is_shorter_than_a_step_is_not_filled():
    assert waits(F(1, 48)) == waits(F(-1), F(2)) == []
    assert waits(F(5, 48), F(3, 48)) == ["wait|1/24|1/24", "wait|0|1/24"]


def test_a_wait_prolongs_the_notes_before_it():
    midi = midi_of(["wait|1/2|1/2", "0.4|1/2|1/4", "wait|1|1", "wait|0|1/3", "wait|1/2|1/2", "C4|1|0", "D4|1/2|1"])
    assert [note[:3] for note in midi.notes] == [
        *((F(1, 2), F(2), pitch) for pitch in (48, 52)),
        *((F(31, 12), duration, pitch) for duration, pitch in [(F(1), 60), (F(1, 2), 62)]),
    ]
    assert midi.length == F(43, 12)
    assert midi_of(["C4|1|1", "wait|0|3"]).length == 4
    assert midi_of(["wait|0|3"]) == replace(midi_of([]), length=F(3))


def test_waits_are_neither_counted_nor_drawn():
    tokens = ["wait|0|1/2", "C4|1/2|0", "0.4.7|1/2|1/2", "wait|1|1", "wait|0|1/4", "D4|1|1"]
    music = Music(tokens, 2, midi_of(tokens), 80, 0)
    assert music.summary().startswith("2 notes and chords after the 1 of the primer (50% chords, 2 different)")
    assert music.png().startswith(b"\x89PNG")
    assert Music(tokens[:1], 0, midi_of(tokens[:1]), 80, 0).summary().startswith("0 notes and chords (0% chords")


def test_a_wait_is_the_same_in_every_key():
    assert {transpose("wait|0|1/24", key) for key in KEYS} == {"wait|0|1/24"}
    assert count_names([["wait|0|1", "C4|1|1"]]) == {"C4": 1}


@pytest.mark.parametrize("token", ["wait|1/5|1", "wait|1|5", "wait|1", "wait|-1|1", "wait|0", "C4|0|1", "C4|5/6|1"])
def test_what_is_no_length_is_refused(token):
    with pytest.raises(NumpyrnnError, match="a token with rhythm must be like"):
        split_token(token)


# common tokens instead of rare ones


SOME = ["C4", "E4", "G4", "0.4.7", "C#2", "1.6"]
TOKENS = st.tuples(st.sampled_from(SOME), st.sampled_from(GRID), st.sampled_from([*GAPS.values()]))
TIMED = st.lists(st.lists(TOKENS.map(lambda parts: "|".join(map(str, parts))), max_size=30), max_size=4)
COUNTS = st.integers(1, 6)


@given(TIMED, COUNTS, COUNTS)
def test_whatever_is_dropped_or_replaced_the_time_stays(pieces, min_count, rhythm_count):
    rhythms = Rhythms(pieces, min_count, rhythm_count)
    common = {name for name, n in count_names(pieces).items() if n >= min_count}
    assert {name_of(token) for token in rhythms.tokens} - {WAIT} == common
    for piece in pieces:
        written = rhythms.write(piece)
        assert set(written) <= rhythms.tokens
        if not written:
            continue
        onsets, end = onsets_of(written)
        true, true_end = onsets_of(piece)
        kept = [(name_of(token), onset) for token, onset in zip(piece, true, strict=True)]
        kept = [onset for name, onset in kept if name in common or _similar(name, common)]
        assert len(onsets) == len(kept)
        assert all(0 <= one - other <= STEP / 2 for one, other in zip(kept, onsets, strict=True))
        assert 0 <= true_end - end <= STEP / 2
        assert rhythms.write(written) == written
        for n in range(len(written)):  # a primer is cut
            assert rhythms.write(written[:n]) == (written[:n] if onsets_of(written[:n])[0] else [])


def _similar(name, common):
    classes = {"C4": {0}, "E4": {4}, "G4": {7}, "0.4.7": {0, 4, 7}, "C#2": {1}, "1.6": {1, 6}}
    return any(classes[other] <= classes[name] for other in common)


@given(TIMED, COUNTS, COUNTS, st.integers(-6, 5))
def test_in_another_key_no_time_is_lost(pieces, min_count, rhythm_count, key):
    rhythms = Rhythms(pieces, min_count, rhythm_count, [0, key])
    assert {name_of(token) for token in rhythms.tokens} - {WAIT} == {
        name for name, n in count_names(pieces).items() if n >= min_count
    }
    for piece in pieces:
        written = rhythms.write(piece, key)
        assert set(written) <= rhythms.tokens
        if not written:
            continue
        assert onsets_of(written)[1] >= onsets_of(piece)[1] - STEP / 2


def test_a_dropped_token_gives_its_time_to_the_one_before_it():
    piece = ["C#2|1|2", "C4|1|1", "C#2|1/2|1/3", "C#2|1|1/6", "C4|1|1", "C4|1|1", "C4|1|1"]
    rhythms = Rhythms([piece], 4, 1)
    assert rhythms.write(piece) == ["wait|0|2", "C4|1|3/2", "C4|1|1", "C4|1|1", "C4|1|1"]
    assert Rhythms([piece], 4, 2).write(piece)[1:3] == ["C4|1|1", "wait|0|1/2"]
    assert Rhythms([piece], 5, 1).tokens == set()
    assert Rhythms([piece], 5, 1).write(piece) == []


def test_a_pitch_that_leaves_the_piano_is_played_in_another_octave():
    piece = ["C8|1|1", "C#6|1|1", "A0|1|1", "G#2|1|1"]
    rhythms = Rhythms([piece], 1, 1, [-1, 1])
    assert [name_of(token) for token in rhythms.write(piece, 1)] == ["C#6", "wait", "A0"]
    assert [name_of(token) for token in rhythms.write(piece, -1)] == ["wait", "C8", "G#2", "wait"]
    assert {onsets_of(rhythms.write(piece, key))[1] for key in (-1, 1)} == {4}


def test_a_similar_name_is_a_part_of_the_chord_near_it_and_common():
    known = ["0.4", "0.4", "4.7", "4.7", "4.7", "C3", "C3", "C5", "C5", "F2", "F2", "9.0.4", "9.0.4"]
    rhythms = Rhythms([[f"{name}|1|1" for name in known]], 2, 1)
    expected = {"0.4.7": "0.4", "4.7.9.0": "9.0.4", "C6": "C5", "C2": "C3", "5": "F2", "11.0": "C3", "0": "C3"}
    for name, similar in expected.items():
        assert rhythms.write([f"{name}|1|1"]) == [f"{similar}|1|1"], name
    assert rhythms.write(["1.6|1|1"]) == rhythms.write(["wait|1|1"]) == rhythms.write([]) == []


def test_a_rare_rhythm_becomes_one_that_is_not_too_long_and_waits_fill_the_rest():
    often = ["C4|1/2|1/2"] * 3 + ["C4|1|1"] * 3
    piece = [*often, "C4|2|3", "C4|1/4|1", "E4|1|1/3", "E4|1|1/3", "E4|1|1/2"]
    rhythms = Rhythms([piece], 3, 3)
    assert rhythms.write(piece[6:]) == [
        *("C4|1|1", "wait|1|1", "wait|0|1"),
        *("C4|1|1",),  # no known rhythm is as short
        *("E4|1|1/3", "E4|1|1/3", "E4|1|1/3", "wait|0|1/6"),
    ]


def test_what_begins_late_is_made_up_for():
    piece = ["C4|1|1"] * 4 + ["D4|1/2|1/4", "D4|1/2|1/4", "D4|1/2|3/4"]
    rhythms = Rhythms([piece], 3, 2)
    late = rhythms.write(["C4|1|1/2", "D4|1/2|1/2", "D4|1/2|1", "C4|1|1"])
    assert onsets_of(late) == ([0, 1, F(5, 4), 2], 3)
    assert late[:3] == ["C4|1|1", "D4|1/2|1/4", "D4|1/2|1/4"]


def test_the_waits_that_other_keys_need_are_known():
    piece = ["C4|1|1", "C4|1|1", "D4|1/2|2", "D4|1/2|2"]
    assert Rhythms([piece], 2, 1).tokens == {"C4|1|1", "D4|1/2|2"}
    assert Rhythms([piece], 2, 1).write(["C4|1|2"]) == ["C4|1|1"]
    both = Rhythms([piece], 2, 1, [0, -2])
    assert both.tokens == {"C4|1|1", "D4|1/2|2", "wait|0|1", "wait|0|2"}
    assert both.write(piece, -2) == ["wait|0|2", "C4|1|1", "wait|0|1", "C4|1|1", "wait|0|1"]


# models


def test_a_vocabulary_has_only_tokens_that_occur(material):
    pieces = [piece.tokens for piece in (*material.training, *material.held_out)]
    occurring = {int(i) for key in KEYS for ids in material.encode(pieces, key) for i in ids}
    assert occurring == set(range(len(material.vocabulary)))
    names = Counter(name_of(token) for token in material.vocabulary.tokens)
    assert len(names) == 118 + 1  # as many as without rhythm
    assert names[WAIT] > 1


def test_a_primer_needs_a_note_that_is_known(material):
    assert len(known_part(material, ["wait|0|1", "C4|1|1"])) > 0
    for primer in (["wait|0|1"], []):
        with pytest.raises(NumpyrnnError, match="a primer must have one of the"):
            known_part(material, primer)


def test_a_file_without_the_setting_is_read_as_it_was(pieces):
    settings = replace(MODELS["lstm-steps"], rhythm=True, hidden=4, embedding=4, keep_time=False)
    training = PianoTraining(Material(*split_by_piece(pieces, 0), settings))
    checkpoint = training.checkpoint(resumable=False)
    del checkpoint.config["settings"]["keep_time"]
    again = material_of(checkpoint)
    tokens = [piece.tokens for piece in (*again.training, *again.held_out)]
    kept = common_rhythms(keep_common(tokens, 50), 10)
    sequences = [*again.learned.sequences, *again.unseen.sequences]
    assert [again.vocabulary.decode(ids) for ids in sequences] == kept
    assert again.vocabulary == training.vocabulary
    assert WAIT not in {name_of(token) for token in again.vocabulary.tokens}


def test_tokens_without_rhythm_are_no_pieces_with_rhythm():
    with pytest.raises(ValueError, match="not enough values"):
        Material([Piece("a", None, ["C4"] * 99)], [Piece("b", None, ["C4"] * 99)], Settings(rhythm=True))


# many cases


@pytest.mark.torture
def test_random_pieces_are_played_at_their_places(rounds, tell):
    n, worst = 0, F(0)
    for seed in range(rounds(20, 1500)):
        rng = random.Random(seed)
        denominator, names = rng.choice([1, 4, 12, 24, 480]), rng.sample(list(NAMES), 6)
        midis = []
        for _ in range(rng.randint(2, 4)):
            times = accumulate(rng.choices(range(3 * denominator), k=rng.randint(2, 60)))
            notes = [
                Note(F(time, denominator), F(rng.randint(0, 9 * denominator), denominator), rng.choice(names))
                for time in times
                for _ in range(rng.choice([1, 1, 3]))
            ]
            midis.append(Midi(sorted(notes)))
        pieces = [tokens_of(midi, rhythm=True) for midi in midis]
        rhythms = Rhythms(pieces, 1, rng.randint(1, 20))
        for midi, piece in zip(midis, pieces, strict=True):
            written = rhythms.write(piece)
            played = midi_of(written)
            true = sorted({note.onset for note in midi.notes})
            first = round(true[0] / STEP) * STEP // 1
            rounded = {round(onset / STEP) * STEP - first: onset - first for onset in true}
            assert sorted(rounded) == sorted({note.onset for note in played.notes})
            worst = max(worst, *(abs(one - other) for one, other in rounded.items()))
            end = max(note.onset + note.duration for note in midi.notes) - first
            assert abs(onsets_of(written)[1] - end) <= STEP / 2
            n += len(true)
    assert worst <= STEP / 2
    tell(
        f"{n:,} onsets of random pieces written in common tokens: none is off by more than {float(worst):.4f} quarters"
    )
