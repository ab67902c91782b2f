"""Bands, distance and share are those counted by hand; the shipped bands are those of the players."""

import importlib
import json
from functools import cache
from math import nan
from pathlib import Path

import pytest
from yardsticks import made

from jazz.yardstick.bands import (
    LENGTHS,
    WHOLE,
    Band,
    bands_for,
    bands_of,
    distance,
    nearest_length,
    players,
    share_inside,
)
from jazz.yardstick.measures import MEASURES, PERFORMANCE, measure
from numpyrnn import NumpyrnnError
from workbench.files import data_path

ROOT = Path(__file__).parents[1]
TWO = [(0, 60), (1, 62)]

# Mean and standard deviation of 162 solos of these players, as published with the definitions of the measures.
REFERENCE = {
    **{"H1": (1.892, 0.304), "H4": (2.880, 0.255), "GS": (0.900, 0.030), "rec": (0.051, 0.043)},
    **{"rec_c": (0.129, 0.076), "ct_strong": (0.548, 0.097), "ct_beat": (0.548, 0.077), "ct_off": (0.501, 0.064)},
    **{"chrom": (0.184, 0.051), "chrom_res": (0.441, 0.118), "nct_res": (0.534, 0.094), "encl_100": (5.018, 1.903)},
    **{"cc_step": (0.637, 0.141), "cc_guide": (0.228, 0.097), "i0": (0.054, 0.048), "i12": (0.551, 0.081)},
    **{"i34": (0.261, 0.053), "i57": (0.097, 0.036), "i8": (0.032, 0.016), "turn": (0.452, 0.057)},
    **{"leap_turn": (0.665, 0.162), "npb": (5.915, 1.507), "off": (0.595, 0.068), "sync": (0.124, 0.054)},
    **{"ioi8": (0.430, 0.180), "ioi_ent": (2.377, 0.396), "trip": (0.130, 0.083), "six": (0.142, 0.131)},
    **{"uniq_bar": (0.840, 0.112), "run8": (15.265, 8.889), "dens_sd": (3.001, 0.959), "empty": (0.039, 0.041)},
    **{"ph_notes": (19.692, 8.194), "ph_notes_sd": (13.075, 6.221), "arc_d": (0.345, 0.234), "arc_h": (3.897, 2.474)},
    **{"range": (27.179, 4.787), "r90": (17.457, 2.558)},
}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("bands")


@cache
def chosen(script, database):
    return script.chosen(database)


def test_a_band_has_percentiles_mean_and_standard_deviation():
    band = bands_of([{"x": float(x)} for x in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)] + [{"x": nan}])["x"]
    assert band == pytest.approx(Band(1, 5, 9, 5, 11**0.5))


def test_a_value_lies_inside_below_or_above():
    band = Band(1, 2, 3, 2, 1)
    assert [band.place(value) for value in (0.9, 1, 3, 3.1, nan)] == ["below", "inside", "inside", "above", ""]


def test_distance_is_the_mean_over_measures_of_deviations_of_the_sets_mean():
    bands = {name: Band(0, 0, 0, 10, 2) for name in MEASURES}
    solos = [dict.fromkeys(MEASURES, 10.0) | {"H1": 7.0}, dict.fromkeys(MEASURES, 10.0) | {"H1": 11.0}]
    assert distance(solos, bands) == pytest.approx(0.5 / 38)  # the mean of H1 is 9
    assert distance([solos[0] | {"GS": nan}], bands) == pytest.approx(1.5 / 37)


def test_the_share_inside_leaves_out_what_a_solo_does_not_have():
    bands = {name: Band(0, 0, 1, 0, 1) for name in MEASURES}
    values = dict.fromkeys(MEASURES, 0.5) | {"H1": 2.0, "GS": nan, "rec": nan}
    assert share_inside(values, bands) == pytest.approx(35 / 36)


@pytest.mark.parametrize(("bars", "length"), [(1, 12), (13, 12), (15, 16), (23, 16), (25, 32), (49, 64), (500, 64)])
def test_a_solo_is_held_to_the_nearest_length(bars, length):
    solo = made(TWO, bars=bars)
    assert nearest_length(solo) == length
    assert bands_for([solo]) == players()[length]


def test_a_mixed_set_is_held_to_the_weighted_mean():
    found = bands_for([made(TWO, bars=12), made(TWO, bars=64), made(TWO, bars=64)])
    for name, band in found.items():
        both = zip(players()[12][name], players()[64][name], strict=True)
        assert band == pytest.approx([(short + 2 * long) / 3 for short, long in both])


def test_the_shipped_bands_are_in_order_and_credited():
    text = json.loads(data_path("players.json").read_text("utf-8"))
    assert "Weimar Jazz Database" in text["about"]
    assert "Open Database License 1.0" in text["about"]
    assert set(players()) == {*LENGTHS, WHOLE}
    for bands in players().values():
        assert set(bands) == {*MEASURES, *PERFORMANCE}
        assert all(band.low <= band.middle <= band.high and band.sd > 0 for band in bands.values())


@pytest.mark.slow
def test_every_mean_of_the_players_lies_near_that_of_the_reference(script, shared_data):
    solos = chosen(script, shared_data / "wjazzd" / "wjazzd-csv.zip")
    assert len(solos) == 144  # of 162, the others are not in the CSV form
    found = bands_of([measure(solo) for solo in solos])
    far = {name: (found[name].mean - mean) / sd for name, (mean, sd) in REFERENCE.items()}
    assert {name: distance for name, distance in far.items() if abs(distance) > 0.2} == {}
    assert len(far) == 38


@pytest.mark.slow
@pytest.mark.torture
def test_the_shipped_bands_are_computed_again_byte_for_byte(script, shared_data, rounds, tell):
    solos = chosen(script, shared_data / "wjazzd" / "wjazzd-csv.zip")
    lengths = rounds((64,), (*LENGTHS, WHOLE))
    text, shipped = script.compute(solos, lengths), data_path("players.json").read_text("utf-8")
    rows = [line.rstrip(",") for line in text.splitlines() if line.startswith("  ")]
    shipped_rows = [line.rstrip(",") for line in shipped.splitlines() if line.startswith("  ")]
    assert rows == shipped_rows[-2 * len(rows) : -len(rows)] if len(lengths) == 1 else text == shipped
    tell(f"players' bands for {len(lengths)} of 5 lengths computed again: equal bytes")


def test_excerpts_follow_each_other_from_the_first_bar_on(script):
    solo = made([(0, 60), (1, 62), (5, 64), (8, 65), (9, 65), (16, 60)], bars=5)
    assert [excerpt.onsets for excerpt in script.excerpts(solo, 2)] == [[0, 1, 5], [0, 1]]
    assert script.excerpts(solo, WHOLE) == [solo]


def test_bands_need_two_long_solos(script):
    with pytest.raises(NumpyrnnError, match="at least two solos of 64 bars"):
        script.compute([made(TWO, bars=64)])
