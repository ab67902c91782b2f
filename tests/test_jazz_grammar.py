"""The grammar gives the strings that the original programs gave, and values mean the notes that they came from."""

import json
from collections import defaultdict
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jazz import grammar
from jazz.grammar import Element, Value, candidates, encode, gather, on_grid, parse_value, quantise, sounding, voices
from music.midi import read_midi
from numpyrnn import NumpyrnnError

F = Fraction
WINDOW = F(476), F(548)  # the accompanied solo, in quarters
VARIANTS = {"5.7.2": (grammar.without_rests, 193, 78), "6.7.1": (grammar.with_rests, 275, 90)}
SHORTEST_CHORD = {"5.7.2": 0, "6.7.1": 0.25}  # what a duration of zero is there
NAMES = [
    "P1",
    "m2",
    "M2",
    "m3",
    "M3",
    "P4",
    "A4",
    "d5",
    "P5",
    "M7",
    "P8",
    "m-2",
    "M-2",
    "m-3",
    "P-4",
    "d-5",
    "A-4",
    "d1",
    "d6",
]
TIMES = st.fractions(0, 64, max_denominator=960)
PITCHES = st.integers(48, 84)
CHORDS = st.sampled_from(
    [(48, 60, 64, 67, 70), (50, 62, 65, 69, 72), (61, 65, 68), (54, 57, 60, 64), (60, 63, 66, 69), (60, 65, 67)]
)
VALUES = st.builds(
    Value,
    st.sampled_from("CSAX"),
    st.integers(1, 24 * 8).map(lambda n: F(n, 24)) | st.fractions(F(1, 24), 8, max_denominator=24),
    st.none() | st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)),
)


def spans(parts):
    return [[(e.onset, e.end) for e in part] for part in parts]


# the original programs


@pytest.fixture(scope="module")
def solo():
    """The melody's and the chords' elements of a variant, by bar, and the gold values."""
    kept = {}

    def load(shared_data, variant):
        if not kept:
            midi = read_midi(shared_data / "original_metheny.mid")
            for name, track in (("piano", 0), ("guitar", 5)):
                number = sorted({note.track for note in midi.notes})[track]
                notes = [(n.onset, n.duration, n.pitch) for n in midi.notes if n.track == number]
                kept[name] = on_grid(gather(notes))
        gold = json.loads((shared_data / "goldens" / f"jazz_m21_{variant}.json").read_text(encoding="utf-8"))
        chords = [e for e in kept["piano"] if len(e.pitches) > 1]
        return by_bar(VARIANTS[variant][0](kept["guitar"])), by_bar(chords), gold

    return load


def by_bar(part):
    bars = defaultdict(list)
    for element in part:
        if WINDOW[0] <= element.onset <= WINDOW[1]:
            bars[int(element.onset / 4)].append(element)
    return bars


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_grammar_strings_are_those_of_the_original_programs(shared_data, solo, variant):
    melody, chords, gold = solo(shared_data, variant)
    _, n_tokens, n_values = VARIANTS[variant]
    bars = [" ".join(map(str, encode(melody[bar], chords[bar]))) for bar in range(119, 137)]
    assert bars == gold["grammars"]
    tokens = " ".join(bars).split()
    assert tokens == gold["corpus"]
    assert sorted(set(tokens)) == gold["unique_sorted"]
    assert (len(bars), len(tokens), len(set(tokens))) == (18, n_tokens, n_values)
    rng = np.random.RandomState(0)
    assert [int(rng.choice(len(tokens) - 30)) for _ in range(60)] == gold["window_starts_seed0"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_notes_and_rests_of_each_measure_are_those_of_the_original_programs(shared_data, solo, variant):
    melody, _, gold = solo(shared_data, variant)
    for number in range(1, 19):
        expected = [(note["offset"], note["ql"], note.get("midi")) for note in gold["measures"][str(number)]]
        found = melody[118 + number]
        assert [(float(e.onset), float(e.duration), max(e.pitches, default=None)) for e in found] == expected


@pytest.mark.parametrize("variant", VARIANTS)
def test_chords_and_their_qualities_are_those_of_the_original_programs(shared_data, solo, variant):
    _, chords, gold = solo(shared_data, variant)
    for number in range(1, 19):
        expected = [(c["offset"], c["ql"], c["midi"], c["quality"]) for c in gold["chords"][str(number)]]
        assert [
            (
                float(e.onset),
                float(e.duration or SHORTEST_CHORD[variant]),
                list(e.pitches),
                grammar.quality(e.pitches),
            )
            for e in chords[118 + number]
        ] == expected
    qualities = [grammar.quality(e.pitches) for bar in range(119, 137) for e in chords[bar]]
    counts = {quality: qualities.count(quality) for quality in sorted(set(qualities))}
    assert counts == {"augmented": 1, "major": 16, "minor": 12, "other": 22}


# from notes to elements


@pytest.mark.parametrize(
    ("time", "place"),
    [
        (0, 0),
        ("1/8", 0),  # half-way to a sixteenth goes down
        ("1/6", "1/4"),
        ("7/24", "1/4"),  # as near to 1/4 as to 1/3
        ("3/8", "1/3"),
        ("13/32", "1/3"),
        ("5/12", "1/3"),  # as near to 1/3 as to 1/2
        ("5/8", "2/3"),
        ("17/24", "2/3"),
        ("5/6", "3/4"),
        ("7/8", "3/4"),  # half-way, and a triplet's 1 is no nearer
        ("71/80", 1),
        ("57/8", 7),
        ("46849/96", 488),
    ],
)
def test_a_time_goes_to_the_nearest_grid_and_halves_go_down(time, place):
    assert quantise(F(time)) == F(place)


@given(TIMES)
def test_a_quantised_time_is_near_and_on_a_grid(time):
    place = quantise(time)
    assert place.denominator in (1, 2, 3, 4)
    assert all(abs(place - time) <= abs(F(round(time * grid), grid) - time) for grid in (3, 4))
    assert quantise(place) == place


def test_notes_that_begin_and_end_within_a_sixteenth_of_a_quarter_are_gathered():
    near, far = F(1, 16), F(1, 16) + F(1, 960)
    assert gather([(F(0), F(1), 60), (near, 1 - near, 64), (near, F(1), 67)]) == [Element(F(0), F(1), (60, 64, 67))]
    apart = [(F(0), F(1), 60), (F(0), 1 + far, 64), (far, 1 - far, 67)]
    assert gather(apart) == [Element(onset, duration, (pitch,)) for onset, duration, pitch in apart]


def test_a_note_between_two_others_that_end_elsewhere_joins_both():
    notes = [(F(0), F(1), 60), (F(0), F(11, 10), 64), (F(0), F(21, 20), 67)]
    assert gather(notes) == [Element(F(0), F(1), (60, 67)), Element(F(0), F(11, 10), (64, 67))]


def test_voices_take_turns_and_what_fits_in_neither_goes_to_the_second():
    part = [Element(F(onset), F(end) - F(onset), (60,)) for onset, end in ((0, 2), (1, 3), ("3/2", 4), (2, 3), (3, 4))]
    assert spans(voices(part[::-1])) == [[(0, 2), (2, 3), (3, 4)], [(1, 3), (F(3, 2), 4)]]


def test_rests_fill_the_gaps_of_the_first_voice_only():
    part = [Element(F(onset), F(duration), (60,)) for onset, duration in ((1, 2), (2, 0), (2, "1/2"), (4, 1))]
    found = grammar.with_rests(part)
    assert [(e.onset, e.duration) for e in found if not e.pitches] == [(0, 1), (3, 1)]
    assert [(e.onset, e.duration) for e in found if e.pitches] == [(1, 2), (2, F(1, 4)), (2, F(1, 2)), (4, 1)]
    assert [(e.onset, e.duration) for e in grammar.without_rests(part)] == [(1, 2), (2, F(1, 4)), (2, F(1, 2)), (4, 1)]


# values


def test_values_of_a_bar_by_hand():
    chords = [Element(F(0), F(2), (48, 60, 64, 67, 70)), Element(F(2), F(2), (53, 65, 69, 72, 75))]
    melody = [
        Element(F(0), F(1, 3), (64,)),
        Element(F(1, 3), F(2, 3), (60, 67)),  # the highest counts
        Element(F(1), F(1, 2)),
        Element(F(3, 2), F(1, 2), (66,)),
        Element(F(2), F(2), (64,)),
    ]
    expected = ["C,0.333", "C,0.667,<d5,P1>", "R,0.500", "A,0.500,<M2,d-4>", "A,2.000,<m2,P-4>"]
    assert [str(value) for value in encode(melody, chords)][:4] == expected[:4]
    assert encode(melody, chords)[4].kind == grammar.kinds((53, 65, 69, 72, 75))[4]
    assert [chord.onset for chord in (sounding(chords, F(t)) for t in ("-1", 0, "7/4", 2, 9))] == [0, 0, 0, 2, 2]


def test_a_bar_without_a_chord_is_refused():
    with pytest.raises(NumpyrnnError, match="a bar needs a chord"):
        encode([Element(F(0), F(1), (60,))], [])


@given(VALUES | st.integers(1, 2000).map(lambda n: Value("R", F(n, 12))))
def test_a_value_reads_back_as_it_was(value):
    assert parse_value(str(value)) == value


def test_values_as_strings():
    assert str(Value("C", F(1, 3), ("P4", "m-2"))) == "C,0.333,<P4,m-2>"
    assert parse_value("R,71.083") == Value("R", 71 + F(1, 12))


@pytest.mark.parametrize(
    "text",
    ["", "C", "C,0.5", "C,.500", "D,0.500", "C,0.500,<P4>", "C,0.500,<P4,m-2", "C,0.500 ", "C,-0.500", "c,0.500"],
)
def test_what_is_no_value_is_refused(text):
    with pytest.raises(NumpyrnnError, match="a value must be like"):
        parse_value(text)


@given(st.lists(PITCHES, min_size=2, max_size=8), CHORDS)
def test_a_note_is_among_the_candidates_of_its_own_value(pitches, chord):
    melody = [Element(F(i), F(1), (pitch,)) for i, pitch in enumerate(pitches)]
    values = encode(melody, [Element(F(0), F(8), chord)])
    assert values[0].interval is None
    for (previous, pitch), value in zip(pairwise(pitches), values[1:], strict=True):
        assert pitch in candidates(value, previous, chord, 48, 84)


@given(PITCHES, st.integers(-14, 14), CHORDS, st.integers(40, 62), st.integers(62, 90))
def test_candidates_are_all_notes_of_the_type_the_range_and_the_interval(previous, step, chord, low, high):
    interval = grammar.interval_range(previous, previous + step)
    found = {kind: candidates(Value(kind, F(1), interval), previous, chord, low, high) for kind in "CSAX"}
    reached = [p for p in range(previous + step - 3, previous + step + 4) if low <= p <= high]
    assert sorted(pitch for pitches in found.values() for pitch in pitches) == reached
    assert all(grammar.kinds(chord)[p % 12] == kind for kind in "CSAX" for p in found[kind])
    tones = {tone % 12 for tone in chord}
    assert found["C"] == [p for p in reached if p % 12 in tones]


def test_without_a_note_before_or_an_interval_the_whole_range_is_open():
    chord = (60, 64, 67)
    expected = [55, 60, 64, 67, 72]
    assert candidates(Value("C", F(1)), 60, chord, 54, 74) == expected
    assert candidates(Value("C", F(1), ("P4", "m-2")), None, chord, 54, 74) == expected
    assert candidates(Value("C", F(1), ("P4", "m-2")), 61, chord, 54, 74) == [60, 64]
    assert candidates(Value("C", F(1), ("m3", "m-3")), 120, chord, 54, 74) == []


def test_an_unknown_interval_is_one_error():
    with pytest.raises(NumpyrnnError):
        candidates(parse_value("C,0.250,<foo9,bar-3>"), 60, (60, 64, 67), 50, 70)
