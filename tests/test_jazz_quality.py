"""What the shipped model does as it is told: density, style, and the arc of a solo."""

from functools import cache
from statistics import mean

import numpy as np
import pytest

from jazz.changes import form
from jazz.evaluation import longest_copy
from jazz.model import training_values
from jazz.soloist import LONGEST_COPY, TEMPERATURE, Soloist
from jazz.yardstick.bands import bands_for, distance
from jazz.yardstick.measures import measure
from jazz.yardstick.motifs import ends_off_beat, longest_unbroken, motif_return, shared_patterns
from jazz.yardstick.quality import improvised, outside, quality, solo_of_line, spread_enough
from numpyrnn.sampling import Sampler
from workbench.files import load_model

pytestmark = pytest.mark.slow
SOME = ("blues-f", "rhythm-changes", "bossa", "waltz", "ballad-bb", "modal")


@cache
def model():
    return load_model(None, "jazz")


@cache
def lines():
    return improvised(model(), 35)


def notes_of(line):
    return [element for element in line.elements if element.pitches]


def notes_a_bar(density):
    counts = []
    for seed, name in enumerate(SOME):
        changes = form(name).times(2)
        soloist = Soloist(model(), Sampler(seed, TEMPERATURE), density, LONGEST_COPY)
        counts.append(len(notes_of(soloist.play(changes))) / float(changes.end) * 4)
    return mean(counts)


def test_half_and_twice_the_density():
    usual = notes_a_bar(1.0)
    assert 0.3 * usual < notes_a_bar(0.5) < 0.7 * usual
    assert 1.4 * usual < notes_a_bar(2.0) < 2.5 * usual


def test_a_solo_is_denser_and_higher_at_its_climax_than_at_its_beginning():
    counts, heights = np.zeros(2), np.zeros(2)
    for line in lines():
        end = line.changes.end
        for i, (start, stop) in enumerate(((0, end / 4), (end / 2 + end / 16, end * 13 / 16))):
            pitches = [e.pitches[0] for e in notes_of(line) if start <= e.onset < stop]
            counts[i] += len(pitches)
            heights[i] += mean(pitches) / len(lines())
    assert counts[1] > 1.1 * counts[0]
    assert heights[1] > heights[0] + 1


def test_solos_reach_the_goals():
    solos = [solo_of_line(line, "x") for line in lines()]
    measured, bands = [measure(solo) for solo in solos], bands_for(solos)
    assert distance(measured, bands) < 0.6
    assert spread_enough(measured, bands) >= 0.75
    assert len(outside(measured, bands)) <= 2
    assert motif_return(solos) >= 1.4
    assert max(map(longest_unbroken, solos)) <= 30
    assert shared_patterns(solos) < 0.03
    assert mean(map(ends_off_beat, solos)) < 0.1
    tunes = training_values(model())
    assert max(longest_copy([str(v) for v in line.values], tunes).length for line in lines()) <= LONGEST_COPY
    assert len(list(quality(lines()[:2], tunes))) == 8


def test_the_manner_of_a_bossa_has_fewer_triplets_than_that_of_a_blues():
    def thirds(style):
        played = [
            Soloist(model(), Sampler(seed, TEMPERATURE)).play(form("swing-16").times(2), style=style)
            for seed in range(6)
        ]
        return sum((e.onset % 1).denominator == 3 for line in played for e in notes_of(line))

    assert thirds("bossa") < 0.8 * thirds("blues")
