"""The choruses that ship are many, are played as players play, and are copied from none of them."""

from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import isnan
from pathlib import Path
from statistics import mean

import pytest

from jazz.changes import FORMS, form
from jazz.reading.choruses import read_chorus, tune_of_chorus
from jazz.reading.wjazzd import read_transcriptions
from jazz.yardstick.bands import WHOLE, bands_for, distance, players, share_inside
from jazz.yardstick.measures import MEASURES, measure
from jazz.yardstick.reading import read_solo
from jazz.yardstick.solo import Solo
from jazz.yardstick.statistics import percentile
from workbench.copies import Copies

FILES = sorted((Path(__file__).parents[1] / "data" / "choruses").glob("*.txt"))

read = cache(read_chorus)


@cache
def measured():
    """The measures of each shipped chorus."""
    return {path: measure(read_solo(path)) for path in FILES}


def swings(piece):
    return (piece.changes.feel, piece.changes.meter) == ("swing", (4, 4))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_chorus_is_a_playable_solo_over_its_form(path):
    piece = read(path)
    form_of = form(piece.changes.name)
    assert piece.name.rpartition("-")[0] == piece.changes.name
    assert piece.changes.title
    assert len(piece.changes.bars) in (len(form_of.bars), 2 * len(form_of.bars))
    assert piece.changes.meter == form_of.meter
    assert 50 <= piece.tempo <= 300
    assert all(chord.tones for _, chord in piece.changes.flat())
    # A saxophone's or a trumpet's register; leaps of more than an octave are rare; rests, but of two bars at most.
    assert all(49 <= tone.pitch <= 86 for tone in piece.melody)
    assert sum(abs(b.pitch - a.pitch) > 12 for a, b in pairwise(piece.melody)) <= 4
    silences = [b.onset - a.onset - a.duration for a, b in pairwise(piece.melody)]
    assert min(silences) == 0
    assert 1 <= max(silences) <= 8
    assert piece.melody[-1].onset + piece.melody[-1].duration <= piece.changes.bar * len(piece.changes.bars)


def test_the_shipped_choruses_are_enough_to_learn_from():
    pieces = [read(path) for path in FILES]
    names = [piece.changes.name for piece in pieces]
    assert len(pieces) >= 100
    assert {*names} == {*FORMS}
    assert len({form(name).key for name in names}) >= 8
    assert sum(len(piece.changes.bars) for piece in pieces) >= 2000
    assert sum(len(piece.melody) for piece in pieces) >= 12000
    assert min(piece.tempo for piece in pieces) <= 60
    assert max(piece.tempo for piece in pieces) >= 260
    assert {piece.changes.feel for piece in pieces} == {"swing", "straight"}
    styles = {line for path in FILES for line in path.read_text("utf-8").splitlines() if line.startswith("style: ")}
    known = ("swing", "bebop", "hard bop", "cool", "modal", "bossa", "ballad", "waltz", "blues")
    assert styles == {f"style: {style}" for style in known}


def test_the_choruses_that_swing_lie_where_players_lie():
    solos = [measured for path, measured in measured().items() if swings(read(path))]
    bands = players()[WHOLE]
    assert distance(solos, bands) <= 0.7
    means = {name: mean(found[name] for found in solos if not isnan(found[name])) for name in MEASURES}
    assert 0.5 <= means["ct_strong"] <= 0.7
    assert means["i34"] <= 0.32
    assert means["chrom"] >= 0.13
    assert means["chrom_res"] >= bands["chrom_res"].mean  # at least as often as with players
    assert means["encl_100"] >= 4
    for name in ("i0", "trip", "six", "sync", "rec", "rec_c", "dens_sd", "arc_d", "arc_h", "ph_notes"):
        assert bands[name].low <= means[name] <= bands[name].high


def test_the_median_chorus_is_inside_most_bands():
    shares = [share_inside(found, bands_for([read_solo(path)])) for path, found in measured().items()]
    assert percentile(shares, 0.5) >= 0.65


def test_a_quarter_of_the_time_is_silent():
    pieces = [piece for piece in map(read, FILES) if swings(piece)]
    shares = [1 - sum(t.duration for t in piece.melody) / piece.changes.end for piece in pieces]
    assert mean(map(float, shares)) >= 0.25


def test_phrases_begin_and_end_anywhere_and_have_2_to_30_notes():
    phrases = [phrase for path in FILES if swings(read(path)) for phrase in phrases_of(read(path))]
    sizes = [len(phrase) for phrase in phrases]
    assert mean(2 <= size <= 30 for size in sizes) >= 0.9
    assert min(sizes) <= 2
    assert max(sizes) >= 25
    places = [(phrase[0].onset % 4, (phrase[-1].onset + phrase[-1].duration) % 4) for phrase in phrases]
    for place in {Fraction(half, 2) for half in range(8)}:
        assert sum(begin == place for begin, _ in places) >= 5
        assert sum(end == place for _, end in places) >= 5


def phrases_of(piece):
    """The notes between rests of a beat or more."""
    phrases = [[piece.melody[0]]]
    for before, tone in pairwise(piece.melody):
        if tone.onset - before.onset - before.duration >= 1:
            phrases.append([])
        phrases[-1].append(tone)
    return phrases


def test_no_two_shipped_choruses_share_more_than_8_values():
    values = {path.stem: [str(v) for bar in tune_of_chorus(read(path)).values() for v in bar] for path in FILES}
    seen = {}
    for name, of_chorus in values.items():
        for i in range(len(of_chorus) - 8):
            assert seen.setdefault(tuple(of_chorus[i : i + 9]), name) == name


@pytest.mark.slow
def test_no_shipped_chorus_is_taken_from_a_player(shared_data):
    """Shared runs of (interval, inter-onset interval) pairs on reduced places: at most 9, in one of ten more than 7."""
    found = read_transcriptions(shared_data / "wjazzd" / "wjazzd-csv.zip", on_refused=lambda error: None)
    players_solos = [Solo.of_transcription(each) for each in found]
    copies = Copies([list(zip(solo.intervals, solo.iois, strict=True)) for solo in players_solos])
    solos = [read_solo(path) for path in FILES]
    runs = [copies.longest(list(zip(solo.intervals, solo.iois, strict=True))).length for solo in solos]
    assert max(runs) <= 9
    assert sum(run > 7 for run in runs) <= len(runs) / 10
