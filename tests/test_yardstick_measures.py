"""Each measure has, on solos made up for it, the value that is counted by hand."""

from fractions import Fraction
from math import isnan, log2

import pytest
from yardsticks import line, made, performed

from jazz.yardstick.measures import MEASURES, PERFORMANCE, measure

F = Fraction

C, D, E, FF, G, A, B = 60, 62, 64, 65, 67, 69, 71


def value(name, solo):
    return (MEASURES | PERFORMANCE)[name].of(solo)


def test_there_are_38_measures():
    assert len(MEASURES) == 38


# --------------------------------------------------------------------------------------------- pitch classes and chords


def test_the_entropy_of_pitch_classes_is_the_mean_over_bars_with_notes():
    four_equal, one = [(i, C + 2 * i) for i in range(4)], [(8, C), (9, C + 12)]  # bar 2 is empty
    assert value("H1", made(four_equal + one, bars=3)) == pytest.approx((log2(4) + 0) / 2)


def test_the_entropy_of_four_bars_moves_on_by_a_bar():
    notes = [(4 * bar, C + bar) for bar in range(5)]  # two windows with four different notes each
    assert value("H4", made(notes, bars=5)) == pytest.approx(2)
    four_of_seven = 4 / 7 * log2(7 / 4) + 3 / 7 * log2(7)
    assert value("H4", made([*notes[:4], (1, C), (2, C), (3, C)], bars=4)) == pytest.approx(four_of_seven)


def test_chord_tones_count_on_beats_1_and_3_on_beats_and_off_the_beat():
    solo = line([C, D, E, FF, D, G, B, A])  # on beats C E D B, off beats D F G A, over Cmaj7
    assert value("ct_strong", solo) == 1 / 2
    assert value("ct_beat", solo) == 3 / 4
    assert value("ct_off", solo) == 1 / 4


def test_notes_without_a_chord_are_no_chord_tones_and_no_others():
    solo = line([C, C, C, C, C, D, C, D], "N.C. Cmaj7 |")
    assert (value("ct_beat", solo), value("ct_off", solo)) == (1, 0)
    assert value("chrom", line([C + 1] * 8, "N.C. Cmaj7 |")) == 1
    assert isnan(value("chrom", made([(0, C), (1, D)], "N.C. C7 |")))


def test_chromatic_notes_lie_outside_the_scale():
    assert value("chrom", line([C, C + 1, D, E, FF, G, A, B])) == 1 / 8
    assert value("chrom", line([C, C + 1, D, E, FF, G, A, B], "C7")) == 2 / 8  # C# and B


@pytest.mark.parametrize(
    ("pitches", "share"),
    [
        ([D + 1, E, A, A], 1),  # by a semitone to a chord tone
        ([D + 1, D, A, A], 0),  # by a semitone to another tone
        ([D + 1, D, C, A], 0),  # C is three semitones from D sharp
        ([D + 1, D, E, A], 1),  # after one more note
        ([G + 1, A, FF, G], 0),  # after two more notes
    ],
)
def test_chromatic_notes_are_resolved_by_a_semitone_or_after_one_more_note(pitches, share):
    assert value("chrom_res", line(pitches)) == share


def test_a_resolution_comes_within_two_quarters():
    assert value("chrom_res", made([(0, D + 1), (2, E)])) == 1
    assert value("chrom_res", made([(0, D + 1), (F(5, 2), E)])) == 0


def test_other_notes_are_resolved_by_step_within_two_notes():
    assert value("nct_res", line([D, C, A, D + 12])) == 1 / 3  # D to C; A and the last D lead nowhere
    assert value("nct_res", line([D, A + 12, E, E])) == 1 / 2  # D to E after a note; A by a leap
    assert value("nct_res", made([(0, D), (F(5, 2), E)])) == 0


@pytest.mark.parametrize(
    ("pitches", "count"),
    [
        ([D, B - 12, C, G], 1),  # a tone above, a semitone below
        ([B - 12, D, C, G], 1),
        ([D + 1, B - 12, C, G], 0),  # too far above
        ([D, D + 1, C, G], 0),  # both above
        ([D, C, B - 12, C], 0),
        ([B - 1, B + 1, B, G], 1),
    ],
)
def test_an_enclosure_has_a_note_above_and_one_below(pitches, count):
    assert value("encl_100", line(pitches)) == 100 * count / 4


def test_an_enclosure_takes_at_most_two_quarters_and_has_a_note_outside_the_chord():
    assert value("encl_100", made([(0, D), (1, B - 12), (2, C)])) == pytest.approx(100 / 3)
    assert value("encl_100", made([(0, D), (1, B - 12), (F(5, 2), C)])) == 0
    assert value("encl_100", line([B - 1, C + 12, B, G], "C7")) == 0  # B flat and C are chord tones
    assert value("encl_100", line([B - 1, C + 12, B, G], "Cmaj7")) == 25


CHANGE = "Dm7 G7 | Cmaj7 %"


def test_a_new_root_is_reached_by_step():
    notes = [(F(3, 2), C), (2, B), (F(7, 2), D), (4, E)]  # a leap to B over G7, a step to E over Cmaj7
    assert value("cc_step", made(notes, CHANGE)) == 1 / 2
    assert value("cc_step", made([(F(3, 2), C), (2, C), (F(7, 2), D), (4, E)], CHANGE)) == 1 / 2  # repeats are no steps
    assert isnan(value("cc_step", made([(0, C), (2, B), (5, E)], CHANGE)))  # not from just before, not on the root


def test_a_new_root_begins_on_its_third_or_seventh():
    assert value("cc_guide", made([(0, D), (2, B), (4, C)], CHANGE)) == 1 / 2
    assert value("cc_guide", made([(0, D), (2, FF), (4, B)], CHANGE)) == 1
    assert value("cc_guide", made([(0, C), (2, E), (4, FF)], "C6 Am7 | F6")) == 0  # a fifth and a root


# ------------------------------------------------------------------------------------------------ intervals and contour


def test_moves_are_counted_by_size():
    solo = line([C, C, D, C, E, G, C, C + 12, C - 1])  # 0 2 -2 4 3 -7 12 -13
    found = {name: value(name, solo) for name in ("i0", "i12", "i34", "i57", "i8")}
    assert found == {"i0": 1 / 8, "i12": 2 / 8, "i34": 2 / 8, "i57": 1 / 8, "i8": 1 / 8}


def test_turns_leave_repeats_out():
    assert value("turn", line([C, D, D, C, B - 12, D])) == 2 / 3  # up, (repeat), down, down, up


def test_a_leap_is_followed_by_a_turn():
    assert value("leap_turn", line([C, G, FF, C, B - 12, C, C + 12, C + 14])) == 1 / 2  # G turns, the octave does not
    assert value("leap_turn", line([C, G, G, FF])) == 0


def test_patterns_of_four_notes_come_again():
    motif = [(0, C), (F(1, 2), D), (1, E), (F(3, 2), C)]

    def with_return(later, up=0):
        return made([*motif, *((o + later, p + up) for o, p in motif)], bars=12)

    assert value("rec", with_return(4)) == 1 / 2  # the moves over the gap are too long to be patterns
    assert value("rec", with_return(4, up=5)) == 1 / 2
    assert value("rec", with_return(32)) == 1 / 2
    assert value("rec", with_return(33)) == 0
    assert value("rec", with_return(F(9, 2))) == 1 / 2


def test_a_contour_comes_again_with_other_intervals():
    first, second = [C, D, E, C], [C, C + 1, D + 1, C - 5]  # step, step, leap down
    solo = made([(o + F(i, 2), p) for o, notes in ((0, first), (8, second)) for i, p in enumerate(notes)], bars=3)
    assert (value("rec", solo), value("rec_c", solo)) == (0, 1 / 2)


def test_ranges_are_in_semitones():
    assert value("range", line([C, G, C + 17, C - 2])) == 19
    pitches = [40, *range(60, 79), 100]  # 21 notes: the 5th percentile is the second lowest
    assert value("r90", line(pitches, step=F(1, 4), bars=2)) == 18


def test_the_arc_of_height_is_between_quarters_of_the_solo():
    assert value("arc_h", made([(0, 60), (2, 62), (4, 70), (8, 65), (12, 50)], bars=4)) == 70 - 50


# ------------------------------------------------------------------------------------------------------ rhythm and form


def test_grooving_similarity_compares_64_places_of_each_pair_of_bars():
    assert value("GS", made([(0, C), (2, C), (4, C), (6, C)], bars=2)) == 1
    solo = made([(0, C), (1, C), (4, C), (F(13, 2), C), (8, C), (9, C)], bars=3)  # differ in 2, 2 and 0 places
    assert value("GS", solo) == pytest.approx(1 - (2 + 2 + 0) / 3 / 64)
    assert isnan(value("GS", made([(0, C), (2, C)])))


def test_density_is_in_bars_of_four_quarters():
    assert value("npb", made([(0, C), (1, C), (4, C)], bars=2)) == 1.5
    assert value("dens_sd", made([(0, C), (1, C), (4, C), (5, C), (6, C), (7, C)], bars=2)) == 1
    assert value("empty", made([(0, C), (5, C)], bars=4)) == 1 / 2


def test_notes_off_the_beat_and_those_without_a_note_on_the_next():
    solo = made([(0, C), (F(1, 2), D), (1, C), (F(3, 2), D), (F(5, 2), E), (3, C)])
    assert value("off", solo) == 3 / 6
    assert value("sync", solo) == 1 / 6  # only the D before beat 3
    assert value("sync", made([(0, C), (F(7, 2), D)])) == 1 / 2  # held to the end


def test_inter_onset_intervals():
    solo = made([(0, C), (F(1, 2), D), (1, C), (2, D), (3, C)])  # 1/2 1/2 1 1
    assert value("ioi8", solo) == 1 / 2
    assert value("ioi_ent", solo) == 1


def test_beats_with_triplets_and_with_sixteenths():
    triplet, sixteenths = [(F(i, 3), C) for i in range(3)], [(1 + F(i, 4), C) for i in range(4)]
    solo = made([*triplet, *sixteenths, (2, C), (F(5, 2), C), (3, C)])
    assert (value("trip", solo), value("six", solo)) == (1 / 4, 1 / 4)


def test_different_rhythms_of_bars():
    assert value("uniq_bar", made([(0, C), (2, C), (4, D), (6, E), (8, C), (16, C)], bars=5)) == 2 / 4
    assert value("uniq_bar", made([(0, C), (4, C), (9, C)], bars=4)) == 2 / 3


def test_the_longest_run_of_eighths_is_in_notes():
    solo = made([(0, C), (F(1, 2), C), (1, C), (2, C), (F(5, 2), C), (3, C), (F(7, 2), C)])
    assert value("run8", solo) == 4
    assert value("run8", made([(0, C), (2, C)])) == 1


def test_phrases_end_at_a_silence_of_a_beat():
    notes = [(0, C, 1), (1, C, 1), (3, C, 1), (F(19, 4), C, 1)]  # silences of 1 and 3/4
    assert value("ph_notes", made(notes, bars=2)) == 2
    assert value("ph_notes_sd", made([*notes, (7, C, 1)], bars=2)) == pytest.approx((2 / 9) ** 0.5)  # of 2, 2, 1 notes


def test_the_arc_of_density_is_between_quarters_of_the_solo():
    assert (
        value("arc_d", made([(0, C), (1, C), (2, C), (4, C), (8, C), (9, C), (12, C), (13, C)], bars=4)) == (3 - 1) / 2
    )


# --------------------------------------------------------------------------------------------------------- performances


def test_swing_compares_the_eighths_of_a_beat():
    solo = performed([(0, 0, F(2, 3)), (F(1, 2), F(2, 3), 1), (1, 1, F(3, 2)), (F(3, 2), F(5, 3), 2), (2, 2, 3)])
    assert value("swing", solo) == pytest.approx(2)
    assert isnan(value("swing", performed([(0, 0, 1), (1, 1, 2), (2, 2, 3)])))


def test_lateness_is_in_milliseconds():
    solo = performed([(0, F(1, 50), 1), (1, 1 + F(2, 50), 2), (2, 2 + F(9, 50), 3), (F(5, 2), 3, 4)], tempo=120)
    assert value("late", solo) == pytest.approx(2 / 50 * 500)


def test_articulation_is_how_much_of_the_time_to_the_next_note_is_held():
    solo = performed([(0, 0, F(1, 2)), (1, 1, F(17, 10)), (2, 2, F(29, 10)), (3, 3, 4)])
    assert value("artic", solo) == pytest.approx(0.7)


def test_loudness_spreads_between_the_16th_and_84th_percentile():
    places = [(i, i, i + 1) for i in range(4)]
    assert value("loudness", performed(places, loudness=[60, 70, 60, 70])) == pytest.approx(5)
    assert isnan(value("loudness", performed(places)))


def test_a_solo_of_two_notes_can_be_measured():
    found = measure(made([(0, C), (1, C)]))
    assert set(found) == {*MEASURES, *PERFORMANCE}
    assert found["npb"] == 2
