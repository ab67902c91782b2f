"""The rhythm section, over any changes."""

from collections import defaultdict
from dataclasses import replace
from itertools import groupby, pairwise, product

import numpy as np
import pytest

from jazz.changes import FORMS, form, parse_changes
from jazz.chords import parse_chord
from jazz.playing.band import (
    BASS,
    BASS_RANGE,
    CHANNELS,
    CLOSED_HAT,
    DRUMS,
    INSTRUMENTS,
    PEDAL_HAT,
    PIANO,
    PIANO_RANGE,
    PROGRAMS,
    RIDE,
    accompany,
    nearest,
    voicing,
    walkable,
)

OTHERS = [
    parse_changes("C5 | Dsus4 G7/B E7alt | Fm7b5 Ao7 F#maj7 A+ B13b9 | %", (3, 4)),
    parse_changes("N.C. | C7 | F7 G7 A7 B7 C7 D7 | N.C. D7 N.C. | %", (5, 4)),
    parse_changes("Cm7 F7 | Bb | E7/G# | Eb", (7, 8)),
    parse_changes("Eb6/9 | Ab7 Db", (6, 8)),
    parse_changes("C | D7 G7 E7", (2, 2)),
    parse_changes("C7 D | E7 F | G C D A B", (1, 4)),
    parse_changes("C/F# | F#m7b5/B", (11, 16)),
]
CASES = [replace(changes, feel=feel) for changes in (*map(form, FORMS), *OTHERS) for feel in ("swing", "straight")]
SWING = [changes for changes in CASES if changes.feel == "swing"]
STRAIGHT = [changes for changes in CASES if changes.feel == "straight"]
SEEDS = range(3)


def play(changes, seed=0, instruments=INSTRUMENTS):
    return accompany(changes, np.random.default_rng(seed), instruments)


def of(track, notes):
    return sorted(note for note in notes if note.track == track)


def under(span, notes):
    """The notes that begin while a chord lasts."""
    return [note for note in notes if span[0] <= note.onset < span[0] + span[1]]


def voicings(notes):
    """What the piano plays at each place, where it changes."""
    places = defaultdict(list)
    for note in of(PIANO, notes):
        places[note.onset].append(note.pitch)
    return [pitches for pitches, _ in groupby(places.values())]


@pytest.mark.parametrize("changes", CASES, ids=lambda c: f"{c.name or c.meter} {c.feel}")
def test_every_note_is_in_range_and_within_the_form(changes):
    ranges = {PIANO: PIANO_RANGE, BASS: BASS_RANGE, DRUMS: range(35, 60)}
    for seed in SEEDS:
        notes = play(changes, seed)
        assert {note.track for note in notes} == set(ranges)
        for note in notes:
            assert note.pitch in ranges[note.track]
            assert 1 <= note.velocity <= 127
            assert note.onset >= 0
            assert note.duration > 0
            assert note.onset + note.duration <= changes.bar * len(changes.bars)
            assert (note.channel, note.program) == (CHANNELS[note.track], PROGRAMS[note.track])
            assert (note.channel == 9) == (note.track == DRUMS)


@pytest.mark.parametrize("changes", CASES, ids=lambda c: f"{c.name or c.meter} {c.feel}")
def test_the_bass_has_each_chords_bass_where_the_chord_begins_and_plays_on(changes):
    for seed in SEEDS:
        notes = of(BASS, play(changes, seed))
        assert all(a.onset + a.duration <= b.onset for a, b in pairwise(notes))
        for span in changes.spans():
            mine = under(span, notes)
            assert mine[0].onset == span[0]
            assert mine[0].pitch % 12 == span[2].bass
            if changes.feel == "swing":
                assert sum(note.duration for note in mine) == span[1]


def test_the_walking_bass_leads_into_the_next_root_by_a_semitone():
    changes = parse_changes("Fm7 | Bb7 | Ebmaj7 A7/G | Ab7 | Gm7 % | Eb/Bb | B7")
    for seed in range(10):
        notes = of(BASS, play(changes, seed))
        for (onset, length, _, after), following in pairwise(list(changes.spans())):
            last = under((onset, length), notes)[-1]
            assert last.onset >= onset + length - 1
            assert abs(last.pitch - under(following, notes)[0].pitch) == 1
            assert (last.pitch - after.bass) % 12 in (1, 11)
    assert {(b.pitch - a.pitch) for a, b in pairwise(notes) if b.onset % 4 == 0} == {-1, 1}  # from above and from below


def test_the_bass_of_an_even_feel_has_the_bass_and_the_fifth():
    for changes, seed in product(STRAIGHT, SEEDS):
        notes = of(BASS, play(changes, seed))
        for span in changes.spans():
            tones = span[2].tones
            fifth = tones[2] if len(tones) > 2 else tones[0]
            assert {note.pitch % 12 for note in under(span, notes)} <= {span[2].bass, fifth}


@pytest.mark.parametrize("pitch", [28, 36, 39, 50])
@pytest.mark.parametrize("pitch_class", range(12))
def test_the_nearest_pitch_of_a_class(pitch_class, pitch):
    found = nearest(pitch_class, pitch)
    inside = [p for p in BASS_RANGE if p % 12 == pitch_class]
    assert found in inside
    assert abs(found - pitch) == min(abs(p - pitch) for p in inside)


def test_the_piano_has_tones_of_the_chord_and_the_third_and_the_seventh():
    for changes, seed in product(CASES, SEEDS):
        notes = of(PIANO, play(changes, seed))
        for span in changes.spans():
            chord, mine = span[2], under(span, notes)
            assert all(note.onset + note.duration <= span[0] + span[1] for note in mine)
            played = {note.pitch % 12 for note in mine}
            assert played <= set(chord.tones)
            assert len(played) >= min(3, len(chord.tones))
            if len(chord.tones) > 3:
                assert {chord.tones[1], chord.tones[3]} <= played


def test_the_voices_of_the_piano_move_little():
    for changes in SWING:
        chords = voicings(play(changes))
        moves = [np.mean([min(abs(a - b) for a in before) for b in after]) for before, after in pairwise(chords)]
        assert max(moves, default=0) <= 2.5
        assert np.mean(moves or 0) <= 2
        assert all(len(set(chord)) == len(chord) >= 2 for chord in chords)


def test_a_voicing_stays_where_the_chord_stays():
    assert voicing(parse_chord("Am7"), [55, 60, 64]) == [55, 60, 64]  # seventh, third and fifth
    assert voicing(parse_chord("Fmaj7"), [57, 60, 64]) == [57, 60, 64]
    assert [p % 12 for p in voicing(parse_chord("C"), [60, 64, 67])] == [0, 4, 7]


def test_nothing_sounds_where_there_is_no_chord_but_the_drums():
    changes = parse_changes("N.C. | C7 N.C. | F7 | N.C. | %")
    for feel, seed in product(("swing", "straight"), SEEDS):
        notes = play(replace(changes, feel=feel), seed)
        silent = [(0, 4), (6, 8), (12, 20)]
        for note in notes:
            if note.track != DRUMS:
                assert not any(note.onset < end and note.onset + note.duration > start for start, end in silent)
        assert {int(note.onset // 4) for note in of(DRUMS, notes)} == set(range(5))


@pytest.mark.parametrize("changes", CASES, ids=lambda c: f"{c.name or c.meter} {c.feel}")
def test_who_is_left_out_does_not_change_the_others(changes):
    everyone = play(changes, 1)
    for kept in [(), ("piano",), ("bass", "drums"), ("drums", "piano")]:
        tracks = {INSTRUMENTS.index(name) + PIANO for name in kept}
        assert play(changes, 1, kept) == [note for note in everyone if note.track in tracks]


def test_a_band_repeats_with_its_seed():
    changes = form("blues-f")
    assert play(changes, 1) == play(changes, 1)
    for track in (PIANO, BASS, DRUMS):
        assert of(track, play(changes, 1)) != of(track, play(changes, 2))


@pytest.mark.parametrize("changes", SWING, ids=lambda c: c.name or str(c.meter))
def test_swing_has_the_ride_on_every_beat_and_the_pedal_on_every_second(changes):
    notes, n, unit = of(DRUMS, play(changes)), *changes.meter
    beats = [changes.bar * bar + i * 4 / unit for bar in range(len(changes.bars)) for i in range(n)]
    backs = [beat for i, beat in enumerate(beats) if i % n % 2]
    rides = [note.onset for note in notes if note.pitch == RIDE]
    assert set(beats) <= set(rides)
    assert len(set(rides)) == len(rides)
    assert [note.onset for note in notes if note.pitch == PEDAL_HAT] == backs
    assert {note.pitch for note in notes} <= {RIDE, PEDAL_HAT}


@pytest.mark.parametrize("changes", STRAIGHT, ids=lambda c: c.name or str(c.meter))
def test_an_even_feel_has_the_hat_twice_a_beat_and_no_ride(changes):
    notes = of(DRUMS, play(changes))
    hats = [note.onset for note in notes if note.pitch == CLOSED_HAT]
    assert len(hats) == 2 * changes.meter[0] * len(changes.bars)
    assert {b - a for a, b in pairwise(hats)} == {changes.bar / changes.meter[0] / 2}
    assert RIDE not in {note.pitch for note in notes}


def test_spans_leave_out_where_there_is_no_chord_and_the_form_begins_again():
    changes = parse_changes("C F | N.C. | G7")
    assert [(onset, length, str(chord), str(after)) for onset, length, chord, after in changes.spans()] == [
        (0, 2, "C", "F"),
        (2, 2, "F", "N.C."),
        (8, 4, "G7", "C"),
    ]


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("Dm7", {2, 5, 9, 0, 4, 7, 11}),  # D Dorian
        ("G7", {7, 11, 2, 5, 9, 0, 4}),  # G Mixolydian
        ("G7b9", {7, 11, 2, 5, 8, 0}),
        ("Bm7b5", {11, 2, 5, 9, 4}),
        ("C", {0, 4, 7, 2, 5, 9}),
    ],
)
def test_where_the_bass_may_walk(symbol, expected):
    assert walkable(parse_chord(symbol)) == expected


def test_the_bass_walks_on_the_scale_between_strong_beats_and_does_not_lead_away_from_a_chord_that_stays():
    changes = parse_changes("Dm7 | % | % | % | % | % | % | %")
    steps = set()
    for seed in range(10):
        for note in of(BASS, play(changes, seed)):
            assert note.pitch % 12 in walkable(parse_chord("Dm7"))
            if note.onset % 2 == 0:
                assert note.pitch % 12 in parse_chord("Dm7").tones
            steps.add(note.pitch % 12)
    assert steps - {2, 5, 9, 0}  # not chord tones only
