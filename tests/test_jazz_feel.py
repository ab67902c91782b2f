"""How a solo is played: its own swing, behind the beat, articulated, loud and soft; and read back as it was written."""

from fractions import Fraction
from itertools import pairwise
from math import log10

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jazz.changes import Changes, form, parse_changes
from jazz.feels import FEELS, swings
from jazz.grammar import Element
from jazz.playing.feel import FARTHEST, LATE, TICKS, played, swing_of
from jazz.playing.performance import improvise
from jazz.playing.plan import line_of
from jazz.reading.choruses import read_chorus
from jazz.reading.corpus import shipped_choruses
from jazz.swing import TRIPLET_FEEL
from jazz.yardstick.copying import values_of_solo
from jazz.yardstick.measures import MEASURES, PERFORMANCE, measure
from jazz.yardstick.reading import solo_of_midi, solo_of_notes
from music.midi import Midi, as_tempo, midi_bytes, parse_midi
from numpyrnn import NumpyrnnError

F = Fraction
HALF = F(1, 2)
CHANGES = parse_changes("C7 | F7 | C7 | G7")
EIGHTHS = [Element(HALF * i, HALF, (60 + (5 * i) % 13,)) for i in range(16)]
CHORUSES = [read_chorus(path) for path in shipped_choruses()[::4]]


def feel(line, changes=CHANGES, tempo=130, seed=0, **more):
    return played(line, changes, tempo, np.random.default_rng(seed), **more)


def line_of_chorus(chorus):
    melody = [Element(note.onset, note.duration, (note.pitch,)) for note in chorus.melody]
    return line_of(melody, chorus.changes)


def milliseconds(quarters, tempo):
    return float(quarters) * 60_000 / tempo


# swing


def test_eighths_swing_less_at_fast_tempos_from_1_6_to_1_2():
    ratios = [float(swing_of(tempo) / (1 - swing_of(tempo))) for tempo in range(20, 401, 20)]
    assert ratios == sorted(ratios, reverse=True)
    assert all(1.2 <= round(ratio, 2) <= 1.6 for ratio in ratios)
    assert ratios[0] > 1.55
    assert ratios[-1] < 1.25


@pytest.mark.parametrize("tempo", [60, 130, 200, 300])
def test_off_beats_stand_where_the_soloists_own_swing_says(tempo):
    off = [note.onset % 1 for note in feel(EIGHTHS, tempo=tempo)[1::2]]
    late = F(round(LATE * tempo / 60_000 * 10_000), 10_000)
    assert abs(float(sum(off) / len(off) - late - swing_of(tempo))) < 3 * tempo / 60_000  # 3 ms


def test_a_swing_that_is_asked_for_is_taken_and_straight_feels_do_not_swing():
    for changes, share in ((CHANGES, F(3, 4)), (CHANGES, TRIPLET_FEEL), (Changes(CHANGES.bars, feel="bossa"), HALF)):
        off = [note.onset % 1 for note in feel(EIGHTHS, changes, swing=share)[1::2]]
        assert abs(float(sum(off) / len(off) - share)) < 0.05
    for name in FEELS:
        off = [note.onset % 1 for note in feel(EIGHTHS, Changes(CHANGES.bars, feel=name))[1::2]]
        assert (float(sum(off) / len(off)) > 0.55) == swings(name)


def test_sixteenths_are_even_and_triplets_stay():
    for parts in (3, 4):
        line = [Element(F(i, parts), F(1, parts), (60 + i % 7,)) for i in range(4 * parts)]
        places = [note.onset - element.onset for note, element in zip(feel(line), line, strict=True)]
        assert all(abs(milliseconds(place, 130) - LATE) <= FARTHEST + 1 for place in places)


def test_where_eighths_are_the_beat_they_do_not_swing():
    changes = Changes(parse_changes("C7 | F7").bars, (6, 8))
    for note, element in zip(feel(EIGHTHS[:12], changes), EIGHTHS, strict=False):
        assert abs(milliseconds(note.onset - element.onset, 130) - LATE) <= FARTHEST + 1


# time


@pytest.mark.parametrize("tempo", [40, 130, 280, 400])
def test_notes_begin_some_15_milliseconds_behind_the_beat_and_little_apart(tempo):
    line = [Element(F(i), F(1), (60 + i % 5,)) for i in range(400)]
    changes = parse_changes("|: C7 | F7 :| x50")
    late = [milliseconds(n.onset - e.onset, tempo) for n, e in zip(feel(line, changes, tempo), line, strict=True)]
    assert 14 < np.mean(late) < 16
    assert 1 < np.std(late) < 4
    assert all(abs(one - LATE) < FARTHEST + milliseconds(F(1, TICKS), tempo) for one in late)


grids = st.lists(st.sampled_from([F(1, 4), F(1, 3), HALF, F(1), F(3, 2), F(1, 6)]), min_size=1, max_size=40)


@given(grids, st.integers(20, 400), st.integers(0, 1000))
def test_no_note_overtakes_another_and_each_sounds_to_the_next_at_most(lengths, tempo, seed):
    line, now = [], F(0)
    for i, length in enumerate(lengths):
        pitches = () if (seed + i) % 5 == 0 else (48 + (7 * i + seed) % 30,)
        line, now = [*line, Element(now, length, pitches)], now + length
    changes = Changes(CHANGES.bars * 4)
    notes = feel([e for e in line if e.end <= changes.end], changes, tempo, seed)
    assert [n.pitch for n in notes] == [e.pitches[0] for e in line if e.pitches and e.end <= changes.end]
    assert all(a.onset < b.onset for a, b in pairwise(notes))
    assert all(a.onset + a.duration <= b.onset for a, b in pairwise(notes))
    assert all(n.duration > 0 and n.onset + n.duration <= changes.end for n in notes)
    assert all((time * TICKS).denominator == 1 for n in notes for time in (n.onset, n.duration))
    assert all(1 <= n.velocity <= 127 for n in notes)


def test_without_notes_nothing_is_played():
    assert feel([Element(F(0), CHANGES.end)]) == []


# articulation


def test_eighths_are_tongued_off_the_beat_and_long_notes_are_full():
    notes = feel(EIGHTHS)
    lengths = [float(a.duration / (b.onset - a.onset)) for a, b in pairwise(notes)]
    before, into = lengths[0::2], lengths[1::2]  # before a note off the beat, and into the beat
    assert max(before) < min(into)
    assert 0.8 <= np.median(lengths) <= 0.92
    long = feel([Element(F(i * 2), F(2), (60 + i,)) for i in range(8)])
    assert all(float(a.duration / (b.onset - a.onset)) > 0.95 for a, b in pairwise(long))


# loudness


def decibels(notes):
    return np.array([40 * log10(note.velocity / 127) for note in notes])


def test_the_loudness_spreads_by_3_to_5_decibels():
    for chorus in CHORUSES:
        level = decibels(feel(line_of_chorus(chorus).elements, chorus.changes, chorus.tempo))
        low, high = np.percentile(level, (16, 84))
        assert 3 <= (high - low) / 2 <= 5, chorus.name


def test_high_notes_and_off_beats_are_louder_and_ends_of_phrases_softer():
    higher, off, ends = [], [], []
    for chorus in CHORUSES:
        line = line_of_chorus(chorus).elements
        written = [element for element in line if element.pitches]
        notes = feel(line, chorus.changes, chorus.tempo)
        level = decibels(notes)
        higher.append(np.corrcoef([note.pitch for note in notes], level)[0, 1])
        on = np.array([element.onset % 1 == 0 for element in written])
        off.append(level[~on].mean() - level[on].mean())
        last = np.array([b.onset - a.end >= 1 for a, b in pairwise(written)] + [True])
        ends.append(level[last].mean() - level[~last].mean())
    assert np.mean(higher) > 0.3
    assert np.mean(off) > 0.5
    assert np.mean(ends) < -2


# the last step


def test_the_same_seed_plays_the_same_and_the_lead_sheet_stays_as_written(small_soloist):
    first, second, exact = (
        improvise("Dm7 | G7 | Cmaj7 | A7", seed=3, model=small_soloist, mechanical=mechanical)
        for mechanical in (False, False, True)
    )
    assert midi_bytes(first.midi) == midi_bytes(second.midi) != midi_bytes(exact.midi)
    assert first.musicxml() == exact.musicxml()
    assert first.line == exact.line
    others = [[note for note in solo.midi.notes if note.track != 1] for solo in (first, exact)]
    assert others[0] == others[1]  # the band keeps its own time


def test_the_band_keeps_its_swing_and_a_swing_that_is_asked_for_holds_for_both(small_soloist):
    for swing, band in ((None, F(2, 3)), (0.75, F(3, 4))):
        solo = improvise(form="blues-f", seed=3, tempo=220, model=small_soloist, swing=swing, choruses=4)
        assert band in {note.onset % 1 for note in solo.midi.notes if note.track == 4}
        written = [element for element in solo.line.elements if element.pitches]
        sixteenths = {e.onset // 1 for e in written if e.onset * 2 % 1 == HALF}
        pairs = [(e, n) for e, n in zip(written, solo.notes, strict=True) if e.onset // 1 not in sixteenths]
        off = [float(n.onset - e.onset // 1) - LATE * 220 / 60_000 for e, n in pairs if e.onset % 1 == HALF]
        assert len(off) > 3
        assert np.mean(off) == pytest.approx(float(band if swing else swing_of(220)), abs=0.01)


@pytest.mark.torture
def test_a_performance_is_read_back_as_it_was_written(rounds, tell):
    choruses = [read_chorus(path) for path in shipped_choruses()]
    notes, apart = 0, dict.fromkeys(PERFORMANCE, 0.0)
    tried = range(rounds(12, 2 * len(choruses)))
    for seed in tried:
        chorus = choruses[(seed * 11) % len(choruses)]
        tempo, changes, line = chorus.tempo, chorus.changes, line_of_chorus(chorus)
        tempos, meters = [(F(0), as_tempo(tempo))], [(F(0), *changes.meter)]
        midi = Midi(feel(line.elements, changes, tempo, seed), ["", "Solo"], tempos, meters, changes.end)
        plain = [(element.onset, element.end, element.pitches[0]) for element in line.elements if element.pitches]
        chords = str(changes)
        written = solo_of_notes("written", plain, changes, chords, tempo)
        first, last = written.notes[0].bar, written.notes[-1].bar
        written = written.excerpt(first, last + 1 - first)
        read = solo_of_midi(parse_midi(midi_bytes(midi), "x"), "read", chords=chords)
        where = [[(note.bar, note.place, note.pitch) for note in solo.notes] for solo in (written, read)]
        assert where[0] == where[1], chorus.name
        assert values_of_solo(written) == values_of_solo(read), chorus.name
        both = measure(written), measure(read)
        assert {name: both[0][name] for name in MEASURES} == pytest.approx(
            {name: both[1][name] for name in MEASURES}, nan_ok=True
        )
        notes += len(plain)
        apart = {name: apart[name] + both[1][name] / len(tried) for name in apart}
    assert 14 < apart["late"] < 16
    assert 3 < apart["loudness"] < 5
    assert 0.82 < apart["artic"] < 0.9
    tell(f"{notes:,} notes of {len(tried)} choruses played with feel and read back: all as they were written")


@pytest.mark.parametrize("name", FEELS)
def test_the_feel_of_band_and_solo_can_be_chosen(small_soloist, name):
    if name == "waltz":
        with pytest.raises(NumpyrnnError, match=r"^a waltz must be in 3/4, the changes are in 4/4$"):
            improvise(form="blues-f", feel="waltz", model=small_soloist)
    solo = improvise(form="waltz" if name == "waltz" else "blues-f", feel=name, seed=2, model=small_soloist)
    assert solo.changes.feel == name
    assert solo.tempo == (66 if name == "ballad" else 130)
    thirds = {note.onset % 1 for note in solo.midi.notes if note.track in (2, 4)} & {F(2, 3)}
    assert bool(thirds) == swings(name)


def test_the_feel_follows_the_form_unless_one_is_asked_for(small_soloist):
    chosen = {"bossa": "bossa", "waltz": "waltz", "ballad-bb": "ballad", "blues-f": "swing"}
    for name, expected in chosen.items():
        assert improvise(form=name, seed=1, model=small_soloist).changes.feel == expected == form(name).feel
    assert improvise(form="waltz", feel="swing", seed=1, model=small_soloist).changes.feel == "waltz"
    assert improvise(form="bossa", swing=0.6, seed=1, model=small_soloist).changes.feel == "swing"
    assert improvise(form="ballad-bb", swing=0.5, seed=1, model=small_soloist).changes.feel == "straight"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"feel": "polka"}, "feel must be one of swing, straight, bossa, waltz, ballad, got 'polka'"),
        ({"feel": 3}, "feel must be text, got 3"),
        ({"feel": "bossa", "swing": 0.6}, "in bossa feel, swing must be 0.5, or left out, got 0.6"),
        ({"feel": "ballad", "swing": 0.5}, "in ballad feel, swing must be above 0.5, or left out, got 0.5"),
    ],
)
def test_a_feel_that_is_none_or_contradicts_the_swing_is_refused(settings, message):
    with pytest.raises(NumpyrnnError, match=f"^{message}$"):
        improvise("C7", **settings)
