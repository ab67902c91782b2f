"""What comes back within a solo, what two solos share, and how the shipped model is held to its goals."""

from math import isnan

import pytest
from yardsticks import made

from jazz.yardstick.bands import bands_for
from jazz.yardstick.measures import MEASURES, measure
from jazz.yardstick.motifs import ends_off_beat, longest_unbroken, motif_return, shared_patterns
from jazz.yardstick.quality import outside, spread_enough

CALL, ANSWER = (60, 62, 64, 65), (72, 71, 67, 64)  # four notes each


def solo(*motifs, bars=32):
    """Motifs, each given as (bar, pitches), in eighths from the first beat of the bar."""
    notes = [(4 * bar + i / 2, pitch, 0.5) for bar, pitches in motifs for i, pitch in enumerate(pitches)]
    return made(notes, bars=bars)


def test_motif_return_compares_what_comes_back_within_8_bars_with_what_comes_back_after_16_to_24():
    # Pairs of 4-note patterns 2 to 32 quarters apart: bars 0 and 4 (equal), 20 and 24 (different).
    # Pairs 64 to 96 quarters apart: 0 and 20 (equal), 0 and 24, 4 and 20 (equal), 4 and 24.
    both = solo((0, CALL), (4, CALL), (20, CALL), (24, ANSWER))
    assert motif_return([both]) == pytest.approx((1 / 2) / (2 / 4))
    assert motif_return([both, solo((0, CALL), (8, CALL))]) == pytest.approx((2 / 3) / (2 / 4))


def test_motif_return_hears_a_transposed_and_displaced_motif_but_no_other_rhythm():
    higher = tuple(pitch + 5 for pitch in CALL)
    far = ((0, CALL), (20, CALL))
    assert motif_return([solo(*far, (4, higher))]) == pytest.approx(1)  # near: 0 and 4; far: 0 and 20, 4 and 20
    slower = [(16 + i, pitch, 1) for i, pitch in enumerate(CALL)]
    quick = [(4 * bar + i / 2, pitch, 0.5) for bar in (0, 20) for i, pitch in enumerate(CALL)]
    assert motif_return([made(sorted(quick + slower), bars=32)]) == 0


def test_motif_return_of_a_motif_that_goes_on_for_ever_is_1():
    assert motif_return([solo(*((bar, CALL) for bar in range(0, 32, 2)))]) == pytest.approx(1)


def test_motif_return_is_unknown_if_nothing_comes_back_late():
    assert isnan(motif_return([solo((0, CALL), (4, CALL))]))


def test_patterns_with_a_long_wait_are_none():
    halves = made([(3 * i, pitch, 0.5) for i, pitch in enumerate(CALL * 6)], bars=32)
    assert isnan(motif_return([halves]))
    assert shared_patterns([halves, halves]) == 0


def test_shared_patterns_are_over_the_mean_number_of_both_and_the_mean_over_pairs():
    one, other = solo((0, (60, 62, 64, 65, 67, 69))), solo((0, (62, 64, 66, 67, 69, 71)))
    third = solo((0, (60, 62, 64, 65, 67, 60)))
    assert shared_patterns([one, other]) == 1  # the same a tone higher: two patterns of 5 notes each
    assert shared_patterns([one, third]) == pytest.approx(1 / 2)
    assert shared_patterns([one, other, third]) == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert isnan(shared_patterns([one]))


def test_a_run_is_broken_by_half_a_beat():
    assert longest_unbroken(made([(i / 2, 60 + i, 0.5) for i in range(7)])) == 7
    assert longest_unbroken(made([(0, 60, 0.5), (1, 62, 0.5), (1.5, 64, 0.5), (2, 65, 0.25), (2.5, 67, 0.5)])) == 4


@pytest.mark.parametrize(("onset", "expected"), [(2, False), (3, False), (2.5, True), (2.75, True)])
def test_an_end_off_the_beat(onset, expected):
    assert ends_off_beat(made([(0, 60), (onset, 64)])) is expected


def test_means_outside_the_bands_are_named_and_spreads_are_counted():
    solos = [solo(*((bar, CALL) for bar in range(32))) for _ in range(3)]
    measured, bands = [measure(each) for each in solos], bands_for(solos)
    assert {"i12 (above)", "run8 (below)", "chrom (below)"} <= set(outside(measured, bands))
    assert spread_enough(measured, bands) == 0
    wide = [{name: band.mean + sign * band.sd for name, band in bands.items()} for sign in (-1, 1)]
    assert outside(wide, bands) == []
    assert spread_enough(wide, bands) == 1
    wide[0]["H1"] = wide[1]["H1"]
    assert spread_enough(wide, bands) == pytest.approx(1 - 1 / len(MEASURES))
