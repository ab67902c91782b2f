"""Swing: eighths long and short, by themselves and in a solo."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jazz.playing.band import DRUMS, PIANO
from jazz.playing.performance import improvise
from jazz.swing import STRAIGHT, TRIPLET_FEEL, as_ratio, swung
from music.midi import Note
from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import load
from workbench.files import data_path

HALF, THIRD, SIXTEENTH = Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)
ratios = st.fractions(Fraction(1, 2), Fraction(4, 5), max_denominator=24)
sixteenths = st.integers(0, 64).map(lambda n: n * SIXTEENTH)
triplets = st.integers(0, 48).map(lambda n: n * THIRD)


def moved(onset, duration, ratio=TRIPLET_FEEL):
    (note,) = swung([Note(Fraction(onset), Fraction(duration), 60)], ratio)
    return note.onset, note.duration


@pytest.mark.parametrize(
    ("onset", "duration", "expected"),
    [
        (0, HALF, (0, 2 * THIRD)),
        (HALF, HALF, (2 * THIRD, THIRD)),
        (3, 1, (3, 1)),
        (Fraction(7, 2), 2, (3 + 2 * THIRD, 2)),
        (SIXTEENTH, SIXTEENTH, (THIRD, THIRD)),
        (3 * SIXTEENTH, SIXTEENTH, (Fraction(5, 6), Fraction(1, 6))),
        (THIRD, 2 * THIRD, (THIRD, 2 * THIRD)),  # triplets are played as they are written
        (2 * THIRD, THIRD + HALF, (2 * THIRD, 1)),
        (5, 0, (5, 0)),
    ],
)
def test_where_notes_go(onset, duration, expected):
    assert moved(onset, duration) == expected


@pytest.mark.parametrize(("swing", "place"), [(0.5, HALF), (0.6, Fraction(3, 5)), (0.75, Fraction(3, 4))])
def test_an_off_beat_stands_at_the_ratio(swing, place):
    assert moved(2 + HALF, HALF, as_ratio(swing)) == (2 + place, 1 - place)


@given(st.lists(st.tuples(sixteenths | triplets, sixteenths | triplets)))
def test_a_ratio_of_a_half_is_straight(places):
    notes = [Note(onset, duration, 60) for onset, duration in places]
    assert swung(notes, STRAIGHT) == notes


@given(st.sets(sixteenths, min_size=2), ratios)
def test_order_and_beats_stay_and_what_joined_still_joins(places, ratio):
    places = sorted(places)
    notes = swung([Note(a, b - a, 60) for a, b in pairwise(places)], ratio)
    assert all(note.duration > 0 for note in notes)
    assert all(a.onset + a.duration == b.onset for a, b in pairwise(notes))
    for place, note in zip(places, notes, strict=False):
        assert note.onset // 1 == place // 1
        assert note.onset == place or place % 1 != 0
        assert (note.onset % 1 == ratio) == (place % 1 == HALF)


@given(triplets, triplets, ratios)
def test_triplets_stay(onset, duration, ratio):
    assert moved(onset, duration, ratio) == (onset, duration)


def test_only_times_change():
    note = Note(HALF, HALF, 71, 99, 9, 66, 3)
    assert swung([note])[0] == Note(2 * THIRD, THIRD, 71, 99, 9, 66, 3)
    assert note.onset == HALF
    assert swung(iter([])) == []


@pytest.mark.parametrize(
    ("swing", "ratio"),
    [(0.5, (1, 2)), (0.67, (2, 3)), (2 / 3, (2, 3)), (0.6, (3, 5)), (0.75, (3, 4)), (0.8, (4, 5)), (0.55, (11, 20))],
)
def test_a_swing_in_decimals_means_the_near_simple_ratio(swing, ratio):
    assert as_ratio(swing) == Fraction(*ratio)


@given(st.floats(0.5, 0.8))
def test_a_ratio_is_near_what_was_asked_for(swing):
    assert abs(as_ratio(swing) - Fraction(swing)) <= Fraction(1, 48)
    assert as_ratio(swing) >= STRAIGHT


@pytest.mark.parametrize("swing", [0.49, 0.81, 0, -1, 1, float("nan"), float("inf"), "much", None])
def test_another_swing_is_an_error(swing):
    with pytest.raises(NumpyrnnError, match=r"^swing must be at least 0\.5 and at most 0\.8, got .*$"):
        as_ratio(swing)


# in a solo


@pytest.fixture(scope="module")
def play():
    model = load(data_path("models/jazz.npz"), "jazz")
    exact = {"seed": 1, "model": model, "mechanical": True}
    return lambda chords="Dm7 G7 | Cmaj7", **settings: improvise(chords, **exact | settings)


def places(played):
    """(place in the beat as written, place as it sounds) of each note of the solo."""
    written = [element.onset % 1 for element in played.line.elements if element.pitches]
    return set(zip(written, (note.onset % 1 for note in played.notes), strict=True))


@pytest.mark.parametrize(
    ("settings", "off_beat"),
    [
        ({"form": "blues-f"}, Fraction(2, 3)),
        ({"form": "bossa"}, HALF),
        ({"form": "blues-f", "swing": 0.5}, HALF),
        ({"form": "bossa", "swing": 0.67}, Fraction(2, 3)),
        ({"form": "waltz", "swing": 0.6}, Fraction(3, 5)),
    ],
    ids=str,
)
def test_off_beats_sound_where_the_swing_says(play, settings, off_beat):
    found = places(play(None, **settings))
    assert (HALF, off_beat) in found
    thirds = {(Fraction(n, 3), Fraction(n, 3)) for n in range(3)}  # beats and triplets stay
    assert {(a, b) for a, b in found if a * 4 % 1} <= thirds
    assert {b for a, b in found if a == HALF} == {off_beat}


def test_the_band_swings_with_the_solo(play):
    onsets = {note.onset % 1 for note in play().midi.notes if note.track in (PIANO, DRUMS)}
    assert Fraction(2, 3) in onsets
    assert HALF not in onsets
    even = play(swing=0.5)
    assert even.changes.feel == "straight"
    assert HALF in {note.onset % 1 for note in even.midi.notes if note.track == DRUMS}


@pytest.mark.parametrize("meter", ["6/8", "7/8"])
def test_where_eighths_are_the_beat_they_are_even(play, meter):
    assert all(written == sounding for written, sounding in places(play(meter=meter, swing=0.67)))


def test_what_sounds_is_the_line_swung(play):
    played = play()
    plain = [Note(e.onset, e.duration, e.pitches[0]) for e in played.line.elements if e.pitches]
    assert [note[:3] for note in played.notes] == [note[:3] for note in swung(plain)]
