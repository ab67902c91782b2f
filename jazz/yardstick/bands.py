"""The players' bands: how their solos lie on each measure, for excerpts of 12, 16, 32 and 64 bars."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import isnan
from statistics import mean as mean_of
from typing import NamedTuple

from numpyrnn import NumpyrnnError
from workbench.files import data_path, read_text

from .measures import MEASURES, measure
from .solo import Solo
from .statistics import mean, percentile, sample_sd
from .wjazzd import Transcription

LENGTHS = (12, 16, 32, 64)  # bars
WHOLE = 0  # stands for solos of any length in place of a number of bars
FILE = "players.json"  # in the data folder
DIGITS = 6  # significant digits in the file
TEMPOS = (100, 260)  # quarters a minute
PLAYERS = (
    *("ArtPepper", "CannonballAdderley", "CharlieParker", "ChetBaker", "CliffordBrown", "CurtisFuller", "DexterGordon"),
    *("DizzyGillespie", "DonByas", "FatsNavarro", "FreddieHubbard", "GerryMulligan", "HankMobley", "JJJohnson"),
    *("JoeHenderson", "JohnColtrane", "KennyDorham", "LeeKonitz", "LeeMorgan", "LesterYoung", "MilesDavis"),
    *("PaulDesmond", "PhilWoods", "SonnyRollins", "SonnyStitt", "StanGetz", "WarneMarsh", "ZootSims"),
)
ABOUT = (
    "How solos of 28 players lie on the measures of jazz/yardstick, by the number of bars (0: whole solos): 10th, "
    "50th and 90th percentile, mean, standard deviation. Computed with `make bands` from excerpts of solos in the Weimar Jazz "
    "Database (WJazzD), Jazzomat Research Project, Liszt School of Music Weimar, https://jazzomat.hfm-weimar.de; the "
    "database is under the Open Database License 1.0 (ODbL), https://opendatacommons.org/licenses/odbl/1-0/. No "
    "part of the database is in this file."
)


class Band(NamedTuple):
    """How players lie on one measure.

    Attributes
    ----------
    low, middle, high : float, 10th, 50th and 90th percentile
    mean, sd : float
    """

    low: float
    middle: float
    high: float
    mean: float
    sd: float

    def place(self, value: float) -> str:
        """Where a value lies: "inside", "below" or "above"; empty for NaN."""
        if isnan(value):
            return ""
        return "below" if value < self.low else "above" if value > self.high else "inside"


Bands = dict[str, Band]
Values = Mapping[str, float]


def is_chosen(transcription: Transcription) -> bool:
    """Whether a solo is one of those that the bands are computed from: players, 4/4, medium tempo, 12 bars or more."""
    in_four = set(transcription.meters) == {(4, 4)}
    medium = TEMPOS[0] <= transcription.tempo <= TEMPOS[1]
    return transcription.performer in PLAYERS and in_four and medium and len(transcription.meters) >= LENGTHS[0]


def excerpts(solo: Solo, bars: int) -> list[Solo]:
    """Cut a solo into excerpts of as many bars, one after the other; those with fewer than two notes are left out.

    For `WHOLE` it is the solo itself.
    """
    if bars == WHOLE:
        return [solo]
    found = []
    for first in range(0, len(solo.bars) - bars + 1, bars):
        if sum(map(len, solo.by_bar[first : first + bars])) > 1:
            found.append(solo.excerpt(first, bars))
    return found


def bands_of(measured: Sequence[Values]) -> Bands:
    """The bands of measured solos.

    Parameters
    ----------
    measured : list of dict, as `measure` gives them

    Returns
    -------
    dict from a measure's name to its Band; values that are NaN do not count
    """
    bands = {}
    for name in measured[0]:
        values = [found[name] for found in measured if not isnan(found[name])]
        bands[name] = Band(*(percentile(values, part) for part in (0.1, 0.5, 0.9)), mean(values), sample_sd(values))
    return bands


def compute(solos: Iterable[Solo]) -> str:
    """The text of the file with the bands.

    Parameters
    ----------
    solos : iterable of Solo of the players

    Returns
    -------
    str, JSON

    Raises
    ------
    NumpyrnnError
        if fewer than two solos are long enough
    """
    cut: dict[int, list[dict[str, float]]] = {length: [] for length in (*LENGTHS, WHOLE)}
    count = 0
    for solo in solos:
        count += 1
        for length, measured in cut.items():
            measured += [measure(excerpt) for excerpt in excerpts(solo, length)]
    if count < 2 or any(len(measured) < 2 for measured in cut.values()):
        raise NumpyrnnError(f"bands need at least two solos of {LENGTHS[-1]} bars by the players, got {count} solos")
    lines = [f'{{\n"about": {json.dumps(ABOUT)},\n"solos": {count},\n"bars": {{']
    for length, measured in cut.items():
        rows = [
            f'  "{name}": [{", ".join(f"{value:.{DIGITS}g}" for value in band)}]'
            for name, band in bands_of(measured).items()
        ]
        lines.append(f'"{length}": {{\n  "excerpts": {len(measured)},\n' + ",\n".join(rows) + "\n}")
    return lines[0] + "\n" + ",\n".join(lines[1:]) + "\n}}\n"


@cache
def players() -> dict[int, Bands]:
    """The shipped bands, by the number of bars; those of whole solos are under `WHOLE`."""
    found = json.loads(read_text(data_path(FILE)))["bars"]
    return {
        int(length): {name: Band(*row) for name, row in rows.items() if name != "excerpts"}
        for length, rows in found.items()
    }


def nearest_length(solo: Solo) -> int:
    """The number of bars, one of LENGTHS, that is nearest to the length of a solo in bars of 4/4."""
    return min(LENGTHS, key=lambda length: abs(length - solo.length / 4))


def bands_for(solos: Sequence[Solo]) -> Bands:
    """The bands to which solos are held: those of the nearest length, and of several solos the mean of theirs.

    Parameters
    ----------
    solos : list of Solo, at least one

    Returns
    -------
    dict from a measure's name to its Band
    """
    known = [players()[nearest_length(solo)] for solo in solos]
    return {name: Band(*(mean_of(row) for row in zip(*(b[name] for b in known), strict=True))) for name in known[0]}


def distance(measured: Sequence[Values], bands: Bands) -> float:
    """How far solos lie from the players.

    Parameters
    ----------
    measured : list of dict, as `measure` gives them
    bands : dict from a measure's name to its Band

    Returns
    -------
    float, the mean over the 38 measures of |mean of the solos - mean of the players| in standard deviations of the
    players; measures that no solo has do not count
    """
    means = {name: mean(found[name] for found in measured if not isnan(found[name])) for name in MEASURES}
    return mean(abs(value - bands[name].mean) / bands[name].sd for name, value in means.items() if not isnan(value))


def share_inside(measured: Values, bands: Bands) -> float:
    """The share of the 38 measures in which a solo lies between the players' 10th and 90th percentile."""
    places = [bands[name].place(measured[name]) for name in MEASURES]
    return mean(place == "inside" for place in places if place)
