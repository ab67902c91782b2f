"""The piano of the band: voicings, how they move, and the room they leave."""

from collections import defaultdict
from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest
from bandstand import CASES, OTHERS, TUNES, activity, by_bar, long, movement, name, of, phrases, play, solo_of, strikes

from jazz.changes import parse_changes
from jazz.chords import parse_chord
from jazz.playing.band import PIANO
from jazz.playing.piano import COMPING, PIANO_RANGE, voicings
from jazz.swing import swung

# What may be added to a chord, in semitones above its root
ALLOWED = {
    **{"C": {2}, "C6": {2}, "Cmaj7": {2, 9}, "C7": {2, 9}, "C9": {9}, "C13": set(), "C7b9": set(), "C7#9": set()},
    **{"C7alt": set(), "C7#11": {2, 9}, "C9#11": {9}, "C7#5": set(), "C7b5": set(), "C13b9": set(), "C+": set()},
    **{"Cm": {2}, "Cm6": {2}, "Cm7": {2, 5}, "Cm9": {5}, "Cm11": set(), "Cmmaj7": {2}, "Cm7b5": {5}, "Cdim7": {2}},
    **{"Cdim": set(), "C5": set(), "Csus4": {2}, "Csus2": set(), "C7sus4": {2, 9}, "C7sus4b9": set(), "C11": {9}},
    **{"Cmaj7#11": {2, 9}, "Cmaj7#5": set(), "Cadd9": set(), "C6/9": set(), "C7no3": set(), "Cmaj13": set()},
}


def struck(changes, notes):
    """(chord, next chord, voicing) of each strike; in the last eighth before a chord it anticipates that."""
    spans, found = list(changes.spans()), []
    for onset, voicing in strikes(notes).items():
        here = next(i for i, span in enumerate(spans) if span[0] <= onset < span[0] + span[1])
        end = spans[here][0] + spans[here][1]
        early = onset >= end - 0.5 and spans[here][1] >= 1 and here + 1 < len(spans) and spans[here + 1][0] == end
        found.append((*spans[here + early][2:], voicing))
    return found


@pytest.mark.parametrize("symbol", ALLOWED)
def test_a_voicing_has_what_the_symbol_says_and_nothing_that_contradicts_it(symbol):
    chord = parse_chord(symbol)
    found = voicings(chord.tones, chord.degrees)
    heard = [{pitch % 12 for pitch in voicing} for voicing in found]
    assert len({*found}) == len(found) >= 2
    assert all(tones <= {*chord.tones} | ALLOWED[symbol] for tones in heard)
    assert set.union(*heard) >= ALLOWED[symbol]
    for voicing, tones in zip(found, heard, strict=True):
        assert 3 <= len(voicing) <= 4
        assert [*voicing] == sorted({*voicing})
        assert {*voicing} <= {*PIANO_RANGE}
        if len(chord.tones) > 3:
            assert 0 not in tones  # rootless
            assert {chord.tones[1], chord.tones[3]} <= tones
        altered = {tone for tone in chord.intervals[4:] if tone in (1, 3, 6, 8)}
        assert not altered or altered & tones
        assert 7 in chord.tones or len(chord.tones) < 3 or {6, 8} & {*chord.tones} <= tones or len(altered) > 1


def test_the_usual_left_hand_voicings_are_among_them():
    minor, dominant = parse_chord("Dm7"), parse_chord("G7")
    assert (53, 57, 60, 64) in voicings(minor.tones, minor.degrees)  # F A C E
    assert (60, 64, 65, 69) in voicings(minor.tones, minor.degrees)  # C E F A
    assert (59, 64, 65, 69) in voicings(dominant.tones, dominant.degrees)  # B E F A
    assert (53, 57, 59, 64) in voicings(dominant.tones, dominant.degrees)  # F A B E


def test_a_dominant_of_a_minor_chord_has_no_natural_ninth_and_thirteenth():
    for text, added in (("G7 | Cm7", set()), ("G7 | Cm6", set()), ("G7 | Cmaj7", {4, 9}), ("G7 | Fm7", {4, 9})):
        changes = parse_changes(text).times(8)
        heard = {
            p % 12 for seed in range(3) for c, _, v in struck(changes, play(changes, seed)) if str(c) == "G7" for p in v
        }
        assert heard == {11, 2, 5} | added


@pytest.mark.parametrize("changes", TUNES, ids=name)
def test_a_chord_has_two_to_four_voicings_in_turn(changes):
    changes = changes.times(4)
    found = defaultdict(list)
    for chord, _, voicing in struck(changes, play(changes, solo=solo_of(phrases(changes)))):
        found[chord.tones].append(voicing)
    for played in found.values():
        assert len({*played}) <= 4
        if len(played) > 8:
            assert len({*played}) >= 2
            assert max(map(played.count, played)) <= 0.75 * len(played)


@pytest.mark.parametrize("changes", TUNES, ids=name)
def test_voices_move_two_semitones_at_most_on_average(changes):
    changes, moves, sizes = long(changes), [], []
    for seed in range(4):
        chords = [voicing for voicing, _ in groupby(strikes(play(changes, seed)).values())]
        moves.append(np.mean([movement(*pair) for pair in pairwise(chords)]))
        sizes += map(len, chords)
    assert max(moves) <= 2
    assert {*sizes} == {3, 4}
    assert 0.2 < sizes.count(3) / len(sizes) < 0.8


@pytest.mark.parametrize("changes", CASES, ids=name)
def test_chords_of_four_tones_have_their_third_and_seventh_and_extensions_are_heard(changes):
    extended = sevenths = 0
    for seed in range(2):
        for chord, _, voicing in struck(changes, play(changes, seed)):
            tones = {pitch % 12 for pitch in voicing}
            extended += bool(tones - {*chord.tones})
            sevenths += len(chord.tones) == 4
            if len(chord.tones) > 3:
                assert {chord.tones[1], chord.tones[3]} <= tones
                assert chord.root not in tones
            else:
                assert {*chord.tones[1:]} <= tones
    assert changes not in TUNES or extended > 0.25 * sevenths


@pytest.mark.parametrize("changes", TUNES, ids=name)
def test_the_piano_plays_more_in_the_rests_of_a_solo_than_in_its_phrases(changes):
    changes = long(changes)
    resting, playing = np.sum(
        [
            activity(strikes(play(changes, seed, solo=solo_of(spans))), spans, changes.end)
            for seed in range(6)
            for spans in [phrases(changes, seed)]
        ],
        axis=0,
    )
    assert resting >= 1.6 * playing > 0


@pytest.mark.parametrize("changes", [*TUNES, *OTHERS], ids=name)
def test_a_chord_is_left_out_only_in_a_phrase_and_never_two_in_a_row(changes):
    silent = 0
    for seed in range(3):
        solo = phrases(changes, seed)
        onsets = [*strikes(play(changes, seed, solo=solo_of(solo)))]
        left_out = []
        for start, length, _, _ in changes.spans():
            heard = any(start - 0.5 <= onset < start + length for onset in onsets)
            left_out.append(not heard)
            assert heard or any(a <= start and start + length <= b + 0.5 for a, b in solo)
        assert not any(a and b for a, b in pairwise(left_out))
        silent += np.mean(left_out)
    assert silent / 3 < 0.25


@pytest.mark.parametrize("changes", [changes for changes in TUNES if changes.feel == "swing"], ids=name)
def test_now_and_then_a_chord_is_anticipated_by_an_eighth(changes):
    changes = long(changes)
    starts = {start for start, *_ in changes.spans()}
    shares = []
    for seed in range(4):
        onsets = [*strikes(play(changes, seed))]
        shares.append(np.mean([onset % 1 != 0 and onset + onset % 1 in starts for onset in onsets]))
    assert 0.05 < np.mean(shares) < 0.4


def test_a_chord_is_not_anticipated_where_there_is_silence_before_it():
    changes = parse_changes("N.C. | C7 | N.C. | F7 | N.C. | Bb7").times(5)
    for seed in range(5):
        assert all(onset % 8 >= 4 for onset in strikes(play(changes, seed)))


def test_a_fast_tempo_has_fewer_strikes():
    changes = long(TUNES[0])
    counts = [
        np.mean([len(strikes(play(changes, seed, tempo=tempo))) for seed in range(5)]) for tempo in (120, 220, 300)
    ]
    assert counts[0] > 1.1 * counts[1] > 1.1 * counts[2]


def test_each_feel_has_its_rhythms():
    found = {}
    for feel in ("swing", "straight", "bossa", "ballad"):
        changes = replace(long(TUNES[0]), feel=feel)
        notes = [note for seed in range(4) for note in of(PIANO, play(changes, seed, solo=solo_of(phrases(changes))))]
        found[feel] = (
            np.mean([float(note.duration) for note in notes]),
            np.mean([note.onset % 1 != 0 for note in notes]),
        )
    assert found["ballad"][0] > 1.3 * found["swing"][0]  # a ballad is held,
    assert found["ballad"][1] < 0.5 * found["swing"][1]  # and mostly on the beat
    assert found["bossa"][1] > found["ballad"][1]


def test_rhythms_repeat_no_bar_for_a_whole_piece():
    changes = long(TUNES[0])
    bars = by_bar(changes, of(PIANO, play(changes)))
    assert len({frozenset(note.onset for note in bar) for bar in bars.values()}) >= 10


def test_the_rhythms_are_of_two_bars_each():
    for feel, (behind, answers) in COMPING.items():
        assert {len(rhythm) for rhythm in (*behind, *answers)} == {12 if feel == "three" else 16}
        assert {*"".join((*behind, *answers))} == {*"x-."}
        assert np.mean([r.count("x") for r in answers]) > 1.6 * np.mean([r.count("x") for r in behind])


def test_the_band_swings_with_the_solo():
    onsets = {note.onset % 1 for note in swung(of(PIANO, play(long(TUNES[0]))))}
    assert {round(float(onset), 3) for onset in onsets} == {0.0, 0.667}


@pytest.mark.parametrize(
    ("symbol", "above"),
    [
        *[("C13", {9}), ("Cm11", {5}), ("C9", {2}), ("C7b9", {1}), ("C7#9", {3}), ("C7#11", {6}), ("C7b13", {8})],
        *[("Cmaj7#11", {6}), ("C6/9", {2}), ("C13b9", {1, 9}), ("C13#11", {6, 9}), ("Cm13", {9}), ("Cmaj13", {9})],
        *[("C13sus4", {5, 9}), ("Cm7b5(11)", {6, 5}), ("Cmaj7#5", {8}), ("C7b9b13", {1, 8}), ("Cadd9", {2})],
    ],
)
def test_what_names_a_chord_sounds_in_all_its_voicings(symbol, above):
    chord = parse_chord(symbol)
    found = voicings(chord.tones, chord.degrees)
    assert len(found) >= 2
    assert all(above <= {pitch % 12 for pitch in voicing} for voicing in found)


@pytest.mark.parametrize("seed", range(4))
def test_the_hands_do_not_stick_to_one_voicing_of_a_long_chord(seed):
    changes = parse_changes("Dm7 | % | % | %").times(8)
    played = [voicing for *_, voicing in struck(changes, play(changes, seed))]
    assert len({*played}) >= 3
    assert max(len([*run]) for _, run in groupby(played)) <= 16
