"""The players' bands: how their solos lie on each measure, for excerpts of 12, 16, 32 and 64 bars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from math import isnan
from statistics import mean as mean_of
from typing import NamedTuple

from workbench.files import data_path, read_text

from .measures import MEASURES
from .solo import Solo
from .statistics import mean, percentile, sample_sd

LENGTHS = (12, 16, 32, 64)  # bars
WHOLE = 0  # stands for solos of any length in place of a number of bars
FILE = "players.json"  # in the data folder


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
        low, middle, high = (percentile(values, part) for part in (0.1, 0.5, 0.9))
        bands[name] = Band(low, middle, high, mean(values), sample_sd(values))
    return bands


@cache
def players() -> dict[int, Bands]:
    """The shipped bands, by the number of bars; those of whole solos are under `WHOLE`."""
    found = json.loads(read_text(data_path(FILE)))["bands"]
    return {int(length): {name: Band(*row) for name, row in rows.items()} for length, rows in found.items()}


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
