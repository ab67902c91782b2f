"""The drums of the band: time, comments, fills, crashes, solos to trade and the count-in."""

from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest
from bandstand import CASES, TUNES, activity, by_bar, long, name, of, phrases, play, solo_of

from jazz.changes import FORMS, form, parse_changes
from jazz.playing.arrangement import Arrangement
from jazz.playing.band import DRUMS, count_in, trade
from jazz.playing.drums import (
    BELL,
    CLOSED_HAT,
    CRASH,
    KICK,
    OPEN_HAT,
    PEDAL_HAT,
    RIDE,
    SNARE,
    STICK,
    TOMS,
)
from music import synth

HANDS = {SNARE, STICK, CLOSED_HAT, OPEN_HAT, CRASH, RIDE, BELL, *TOMS}
TIME = {RIDE, BELL, CLOSED_HAT, OPEN_HAT}
SWING = [changes for changes in TUNES if changes.feel == "swing"]
FAINT = 43  # velocity of a feathered kick at most
SEEDS = range(3)


def kit(changes, seed=0, **settings):
    return of(DRUMS, play(changes, seed, ["drums"], **settings))


def filled(changes, bar):
    """Whether a bar ends with a fill: no cymbal or hi-hat keeps the time on its last beat."""
    last = Arrangement(changes).beats[-1][0]
    return not any(note.pitch in TIME and note.onset >= last for note in bar)


@pytest.mark.parametrize("changes", CASES, ids=name)
def test_a_drummer_has_two_hands_and_a_kit_that_sounds(changes):
    for seed in SEEDS:
        notes = kit(changes, seed, solo=solo_of(phrases(changes, seed)))
        assert {note.pitch for note in notes} <= {*HANDS, KICK, PEDAL_HAT} <= {*synth.KIT}
        for _, together in groupby(notes, key=lambda note: note.onset):
            struck = [note.pitch for note in together]
            assert len({*struck}) == len(struck)
            assert len(HANDS & {*struck}) <= 2


@pytest.mark.parametrize("form_name", FORMS)
def test_of_32_bars_twelve_are_different_and_none_is_most_of_them(form_name):
    for seed, feel in enumerate(("swing", "straight", "ballad", "bossa", form(form_name).feel)):
        changes = long(replace(form(form_name), feel=feel))
        for solo in ((), solo_of(phrases(changes, seed))):
            played = by_bar(changes, kit(changes, seed, solo=solo))
            bars = [frozenset((note.onset, note.pitch) for note in played[bar]) for bar in range(32)]
            assert len({*bars}) >= 12
            assert Counter(bars).most_common(1)[0][1] <= 0.3 * 32


@pytest.mark.parametrize("changes", SWING, ids=name)
def test_swing_has_the_ride_on_every_beat_in_several_rhythms_and_the_pedal_on_two_and_four(changes):
    changes = long(changes)
    rhythms = Counter()
    for seed in SEEDS:
        for bar in by_bar(changes, kit(changes, seed)).values():
            assert [note.onset for note in bar if note.pitch == PEDAL_HAT] == [1, 3]
            if filled(changes, bar):
                continue
            assert {0, 1, 2, 3} <= {note.onset for note in bar if note.pitch in (RIDE, BELL, CRASH)}
            rhythms[tuple(note.onset for note in bar if note.pitch in (RIDE, BELL, CRASH))] += 1
    assert len(rhythms) >= 6
    assert rhythms.most_common(1)[0][0] == (0, 1, 1.5, 2, 3, 3.5)  # the usual one
    assert 0.25 < rhythms.most_common(1)[0][1] / rhythms.total() < 0.75


@pytest.mark.parametrize("changes", [changes for changes in TUNES if changes.feel == "waltz"], ids=name)
def test_a_waltz_has_the_pedal_on_two_or_on_two_and_three(changes):
    found = {
        tuple(note.onset for note in bar if note.pitch == PEDAL_HAT)
        for seed in range(6)
        for bar in by_bar(changes, kit(changes, seed)).values()
    }
    assert found == {(1,), (1, 2)}


@pytest.mark.parametrize("feel", ["straight", "bossa"])
def test_an_even_feel_has_the_hat_or_the_ride_twice_a_beat_and_swings_no_triplets(feel):
    changes = replace(form("bossa-dm"), feel=feel).times(2)
    for seed in SEEDS:
        notes = kit(changes, seed)
        assert all(note.onset * 4 % 1 == 0 for note in notes)
        for bar in by_bar(changes, notes).values():
            time = [note.onset for note in bar if note.pitch in {*TIME, CRASH}]
            assert time == [i / 2 for i in range(len(time))]
            assert filled(changes, bar) == (len(time) < 8)
        assert {RIDE, CLOSED_HAT} <= {note.pitch for note in notes}  # the sections differ


def test_a_bossa_keeps_its_clave_and_its_kick():
    changes = replace(form("bossa"), feel="bossa").times(4)
    for seed in SEEDS:
        bars = [bar for _, bar in sorted(by_bar(changes, kit(changes, seed)).items())]
        sticks = [
            {tuple(n.onset for n in bar if n.pitch == STICK) for bar in bars[side::2] if not filled(changes, bar)}
            for side in (0, 1)
        ]
        assert sorted(map(sorted, sticks)) == [[(0, 1.5, 3)], [(1, 2.5)]]
        kicks = [{n.onset for n in bar if n.pitch == KICK} for bar in bars if not filled(changes, bar)]
        assert all({0, 1.5, 2, 3.5} <= onsets for onsets in kicks)


def test_a_ballad_is_played_with_brushes():
    changes = replace(form("ballad-bb"), feel="ballad").times(2)
    for seed in SEEDS:
        for bar in by_bar(changes, kit(changes, seed)).values():
            assert {1, 3} == {note.onset for note in bar if note.pitch == PEDAL_HAT}
            assert not {RIDE, BELL} & {note.pitch for note in bar}
            assert {0, 1} <= {note.onset for note in bar if note.pitch in {SNARE, *TOMS, CRASH}}


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_short_form_has_no_crash_within_eight_bars_and_no_fill_within_four(size):
    changes = parse_changes(" | ".join(["C7", "F7", "G7", "D7", "A7"][:size])).times(60 // size)
    for seed in SEEDS:
        crashes = [note.onset / 4 for note in kit(changes, seed) if note.pitch == CRASH]
        assert crashes[0] == 0
        assert min(b - a for a, b in pairwise(crashes)) >= 8
    assert min(b - a for a, b in pairwise(Arrangement(changes).sections[:-1])) >= 4


@pytest.mark.parametrize("changes", TUNES, ids=name)
def test_a_crash_is_at_the_top_of_each_chorus_and_at_the_ending(changes):
    repeated, size = changes.times(3).with_ending(), len(changes.bars)
    for seed in SEEDS:
        crashes = [note.onset for note in kit(repeated, seed) if note.pitch == CRASH]
        every = size * -(-8 // size)
        tops = [*range(0, 3 * size, every), 3 * size]
        assert crashes == [changes.bar * bar for bar in tops]


@pytest.mark.parametrize("form_name", [name for name in FORMS if form(name).feel == "swing"])
def test_fills_are_at_the_ends_of_sections_and_every_eight_bars_and_never_before_the_fourth(form_name):
    changes = form(form_name).times(2).with_ending()
    sections, fours = Arrangement(changes).sections, Counter()
    for seed in SEEDS:
        bars = by_bar(changes, kit(changes, seed, solo=solo_of(phrases(changes, seed))))
        for start, end in pairwise(sections[:-1]):
            for bar in range(start, end):
                place = bar - start + 1
                if bar == end - 1 or place % 8 == 0:
                    assert filled(changes, bars[bar])
                elif place % 4 == 0:
                    fours[filled(changes, bars[bar])] += 1
                else:
                    assert not filled(changes, bars[bar])
    assert not fours or fours[True] > 0.2 * fours.total()
    assert len(fours) != 1  # not all of them


@pytest.mark.parametrize("changes", [one for one in TUNES if one.feel != "ballad"], ids=name)  # brushes are snare, too
def test_snare_and_kick_answer_the_rests_of_the_solo(changes):
    changes = long(changes)
    drums = {STICK, KICK} if changes.feel in ("straight", "bossa") else set()  # they keep the time there
    counts = []
    for seed in range(6):
        spans = phrases(changes, seed)
        notes = kit(changes, seed, solo=solo_of(spans))
        bars = by_bar(changes, notes)
        comments = {
            note.onset
            for note in notes
            if note.pitch in {SNARE, KICK, TOMS[4]} - drums
            and note.velocity > FAINT
            and not filled(changes, bars[int(note.onset // changes.bar)])
        }
        counts.append(activity(comments, spans, changes.end))
    resting, playing = np.sum(counts, axis=0)
    assert resting >= 1.5 * playing > 0


@pytest.mark.parametrize("changes", [one for one in TUNES if one.feel == "ballad"], ids=name)
def test_in_a_ballad_strokes_stand_out_from_the_brushes_where_the_soloist_rests(changes):
    changes, counts = long(changes), []
    for seed in range(6):
        spans = phrases(changes, seed)
        strokes = [note for note in kit(changes, seed, solo=solo_of(spans), tempo=66) if note.pitch == SNARE]
        brushes = np.median([note.velocity for note in strokes])
        answers = {
            note.onset
            for note in strokes
            if note.onset % 4 in (0, 0.5, 1.5) and note.velocity > 1.1 * brushes  # not on 2 and 4, nor in a fill
        }
        counts.append(activity(answers, spans, changes.end))
    resting, playing = np.mean(counts, axis=0)
    assert resting > 0.1  # a quarter
    assert playing < 0.02


def test_the_kick_is_feathered_on_every_beat_and_not_at_speed():
    changes = long(SWING[0])
    soft = {
        tempo: sum(
            n.pitch == KICK and n.velocity <= FAINT * (0.85 if tempo > 200 else 1) for n in kit(changes, tempo=tempo)
        )
        for tempo in (130, 280)
    }
    assert soft[130] > 3 * len(changes.bars)
    assert soft[280] == 0


def test_a_fast_fill_has_no_more_strokes_than_hands_can_play():
    for tempo, feel in ((130, "swing"), (240, "swing"), (180, "bossa"), (340, "straight")):
        changes = replace(long(SWING[0]), feel=feel)
        for seed in SEEDS:
            hands = sorted({n.onset for n in kit(changes, seed, tempo=tempo) if n.pitch in (SNARE, *TOMS)})
            assert min(b - a for a, b in pairwise(hands)) >= (tempo / 60 / 11 if tempo < 330 else 0.5)


# to trade and to count in


@pytest.mark.parametrize("changes", CASES, ids=name)
def test_drums_trade_in_the_bars_that_they_are_given_with_two_hands(changes):
    bars = range(1, len(changes.bars))
    for seed in SEEDS:
        notes = trade(changes, np.random.default_rng(seed), bars)
        assert {int(note.onset // changes.bar) for note in notes} == {*bars}
        assert all(note.track == DRUMS and note.channel == 9 and 0 < note.velocity < 128 for note in notes)
        assert all(note.onset + note.duration <= changes.end for note in notes)
        assert {note.pitch for note in notes} <= {*synth.KIT}
        for _, together in groupby(sorted(notes), key=lambda note: note.onset):
            assert len(HANDS & {note.pitch for note in together}) <= 2


def test_a_traded_four_states_a_rhythm_repeats_it_on_other_drums_and_gets_denser():
    changes, sizes, same = form("blues-f"), [], 0
    for seed in range(20):
        notes = trade(changes, np.random.default_rng(seed), range(4, 8))
        bars = by_bar(changes, [note for note in notes if note.pitch not in (PEDAL_HAT, CRASH)])
        halves = [{n.onset for n in bars[bar] if n.onset < 2} for bar in (4, 5)]
        drums = [{n.pitch for n in bars[bar] if n.onset < 2} for bar in (4, 5)]
        same += halves[0] == halves[1] and drums[0] != drums[1]
        sizes.append([len(bars[bar]) for bar in range(4, 8)])
        assert [n.onset % 4 for n in notes if n.pitch == PEDAL_HAT] == [1, 3] * 4
        assert [n.onset for n in notes if n.pitch == CRASH] == [28]
        last = [n.velocity for n in bars[7] if n.pitch in (SNARE, *TOMS)]
        assert np.mean(last[-3:]) > np.mean(last[:3]) - 25
    assert same >= 15
    assert np.min(sizes) >= 3


def test_a_trade_repeats_with_its_seed():
    changes = form("blues-f")
    notes = [trade(changes, np.random.default_rng(seed), range(4)) for seed in (1, 1, 2)]
    assert notes[0] == notes[1] != notes[2]


@pytest.mark.parametrize(
    ("meter", "bars", "onsets"),
    [
        ((4, 4), 1, [0, 1, 2, 3]),
        ((4, 4), 2, [0, 2, 4, 5, 6, 7]),
        ((3, 4), 1, [0, 1, 2]),
        ((6, 8), 1, [0, 1.5]),
        ((5, 4), 1, [0, 1, 2, 3, 4]),
        ((7, 8), 1, [0, 1, 2]),
        ((2, 2), None, [0, 2, 4, 6]),
        ((6, 8), None, [0, 1.5, 3, 4.5]),
        ((3, 8), None, [0, 0.5, 1]),
        ((12, 8), None, [0, 1.5, 3, 4.5]),
    ],
)
def test_the_count_in_has_the_beats_of_the_meter(meter, bars, onsets):
    notes = count_in(parse_changes("C | F", meter), bars)
    assert [note.onset for note in notes] == onsets
    assert {note.pitch for note in notes} == {STICK}
    assert notes[0].velocity > notes[-1].velocity
