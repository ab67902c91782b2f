"""The rhythm section, over any changes."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from bandstand import CASES, FEELS, OTHERS, TUNES, name, of, phrases, play, solo_of

from jazz.changes import FORMS, form, parse_changes
from jazz.playing.arrangement import Arrangement, beats_of
from jazz.playing.band import BASS, CHANNELS, DRUMS, INSTRUMENTS, PIANO, PROGRAMS, accompany
from jazz.playing.bass import BASS_RANGE
from jazz.playing.drums import CRASH, KICK
from jazz.playing.piano import PIANO_RANGE
from jazz.swing import swung

SEEDS = range(2)
RANGES = {PIANO: PIANO_RANGE, BASS: BASS_RANGE, DRUMS: range(35, 60)}


def check(changes, notes):
    """What holds for a band over any changes."""
    for note in notes:
        assert note.pitch in RANGES[note.track]
        assert 1 <= note.velocity <= 127
        assert note.onset >= 0
        assert note.duration > 0
        assert note.onset + note.duration <= changes.end
        assert (note.channel, note.program) == (CHANNELS[note.track], PROGRAMS[note.track])
        assert (note.channel == 9) == (note.track == DRUMS)
    for ratio in (Fraction(1, 2), Fraction(2, 3)):
        sounding = {}
        for note in sorted(swung(notes, ratio), key=lambda note: float(note.onset)):
            key = note.track, note.pitch
            assert note.duration > 0
            assert key not in sounding or sounding[key] <= note.onset, "a pitch is struck again while it sounds"
            sounding[key] = note.onset + note.duration


@pytest.mark.parametrize("changes", CASES, ids=name)
def test_every_note_is_in_range_and_within_the_form(changes):
    for seed, solo in product(SEEDS, ((), solo_of(phrases(changes)))):
        notes = play(changes, seed, solo=solo)
        assert {note.track for note in notes} == set(RANGES)
        check(changes, notes)


SYMBOLS = """
C C6 Cm Cmaj7 C7 C9 C13 C7b9 C7alt C7#11 Cm6 Cm7 Cm11 Cm7b5 Cdim7 C+ C5 Csus4 C7sus4 C13b9 N.C. C7no3 Cadd9 Cmmaj7
"""


@pytest.mark.torture
def test_a_band_plays_any_changes(rounds, tell):
    count = notes = 0
    for seed in range(rounds(8, 200)):
        rng = np.random.default_rng(seed)
        meter = (int(rng.integers(1, 14)), int(rng.choice([1, 2, 4, 8, 16])))
        roots = rng.choice(["C", "Db", "D", "Eb", "F#", "G", "A", "Bb"], 40)
        chords = [str(rng.choice(SYMBOLS.split())) for _ in roots]
        chords = [chord if chord == "N.C." else root + chord[1:] for root, chord in zip(roots, chords, strict=True)]
        bars, place = [], 0
        while place < len(chords):
            size = int(rng.integers(1, min(5, 1 + max(1, meter[0]))))
            bars.append(" ".join(chords[place : place + size]))
            place += size
        text = " | ".join(bars)
        changes = replace(parse_changes(text, meter), feel=str(rng.choice(FEELS))).times(int(rng.integers(1, 3)))
        changes = changes.with_ending() if rng.random() < 0.5 and set(chords) != {"N.C."} else changes
        solo = solo_of(phrases(changes, seed)) if rng.random() < 0.5 and changes.end < 1000 else ()
        made = play(changes, seed, solo=solo, tempo=float(rng.integers(20, 401)), two_beat=range(int(rng.integers(9))))
        check(changes, made)
        count, notes = count + 1, notes + len(made)
    tell(f"{count:,} random changes in random meters, feels and tempos: {notes:,} notes of the band, all in place")


def test_nothing_sounds_where_there_is_no_chord_but_the_drums():
    changes = parse_changes("N.C. | C7 N.C. | F7 | N.C. | %")
    for feel, seed in product(FEELS, SEEDS):
        notes = play(replace(changes, feel=feel), seed)
        silent = [(0, 4), (6, 8), (12, 20)]
        for note in notes:
            if note.track != DRUMS:
                assert not any(note.onset < end and note.onset + note.duration > start for start, end in silent)
        assert {int(note.onset // 4) for note in of(DRUMS, notes)} == set(range(5))


@pytest.mark.parametrize("changes", CASES, ids=name)
def test_who_is_left_out_does_not_change_the_others(changes):
    settings = {"solo": solo_of(phrases(changes)), "tempo": 150}
    everyone = play(changes, 1, **settings)
    for kept in [(), ("piano",), ("bass", "drums"), ("drums", "piano")]:
        tracks = {INSTRUMENTS.index(name) + PIANO for name in kept}
        assert play(changes, 1, kept, **settings) == [note for note in everyone if note.track in tracks]


def test_a_band_repeats_with_its_seed():
    changes = form("blues-f")
    assert play(changes, 1) == play(changes, 1)
    for track in (PIANO, BASS, DRUMS):
        assert of(track, play(changes, 1)) != of(track, play(changes, 2))


def test_piano_and_drums_listen_to_the_solo_and_the_bass_does_not():
    changes = form("rhythm-changes")
    alone, heard = play(changes), play(changes, solo=solo_of(phrases(changes)))
    assert of(BASS, alone) == of(BASS, heard)
    assert of(PIANO, alone) != of(PIANO, heard)
    assert of(DRUMS, alone) != of(DRUMS, heard)


def test_notes_of_a_solo_may_come_in_any_order_and_overlap():
    changes = form("blues-f")
    solo = [(0, 2), (1, 8), (10, 12), (11, 11.5), (30, 31)]
    assert play(changes, solo=solo) == play(changes, solo=solo[::-1])
    assert Arrangement(changes, solo).phrases == [(0, 8), (10, 12), (30, 31)]


def test_where_the_soloist_rests():
    rests = Arrangement(parse_changes("C | F"), [(1, 2), (2.5, 4.5), (6, 7)]).rests
    assert rests == [[True, True, *[False] * 6], [False, True, True, True, False, False, True, True]]
    assert not any(map(any, Arrangement(parse_changes("C | F")).rests))


@pytest.mark.parametrize("changes", CASES, ids=name)
def test_the_last_bar_is_held_if_the_piece_ends(changes):
    changes = changes.with_ending()
    start = changes.end - changes.bar
    for seed in SEEDS:
        last = [note for note in play(changes, seed, solo=solo_of(phrases(changes))) if note.onset >= start]
        assert {note.onset for note in last} == {start}
        held = {note.duration for note in last if note.track != DRUMS}
        assert held == {changes.bar}
        assert {note.pitch for note in last if note.track == DRUMS} == {CRASH, KICK}
        assert [note.pitch % 12 for note in last if note.track == BASS] == [changes.bars[-1][0][1].bass]


@pytest.mark.parametrize(
    ("meter", "beats"),
    [
        ((4, 4), [(0, 1), (1, 1), (2, 1), (3, 1)]),
        ((3, 4), [(0, 1), (1, 1), (2, 1)]),
        ((6, 8), [(0, 1.5), (1.5, 1.5)]),
        ((12, 8), [(0, 1.5), (1.5, 1.5), (3, 1.5), (4.5, 1.5)]),
        ((7, 8), [(0, 1), (1, 1), (2, 1.5)]),
        ((2, 2), [(0, 1), (1, 1), (2, 1), (3, 1)]),
        ((1, 8), [(0, 0.5)]),
    ],
)
def test_the_beats_of_a_bar(meter, beats):
    assert list(Arrangement(parse_changes("C", meter)).beats) == beats


def test_the_beats_of_a_chord_fill_it():
    for length in (Fraction(n, 4) for n in range(1, 40)):
        beats = beats_of(length, Fraction(1))
        assert beats[0][0] == 0
        assert beats[-1][0] + beats[-1][1] == length
        assert all(start + size == after for (start, size), (after, _) in pairwise(beats))


@pytest.mark.parametrize("name", FORMS)
def test_the_chorus_of_a_form_is_found_however_often_it_is_played(name):
    changes = form(name)
    for choruses in (2, 3):
        repeated = changes.times(choruses)
        assert Arrangement(repeated).chorus == Arrangement(repeated.with_ending()).chorus == len(changes.bars)


def test_sections_begin_at_labels_double_bars_and_choruses():
    changes = parse_changes("[A]\n|: C | F :|\n[B]\n| G | C || D | G |").times(2).with_ending()
    assert Arrangement(changes).sections == [0, 4, 8, 12, 16, 17]


def test_any_numbers_will_do_for_solo_and_tempo():
    changes = OTHERS[0]
    exact = [(Fraction(1, 2), Fraction(5)), (Fraction(7), Fraction(9))]
    assert play(changes, solo=exact, tempo=120) == play(changes, solo=[(0.5, 5), (7, 9)], tempo=120.0)
    assert accompany(TUNES[0], np.random.default_rng(0), (), exact) == []
