"""Say how far the shipped model's solos, and the shipped choruses, lie from solos of jazz players.

    python benchmarks/yardstick.py

The solos are played over seven shipped forms in 4/4, in turn, at least 32 bars each, one for each seed. The goals stand
beside the figures. docs/solos.md says what is measured.
"""

import argparse
from pathlib import Path

from jazz.model import KIND, training_values
from jazz.reading.corpus import shipped_choruses
from jazz.yardstick.bands import bands_for, share_inside
from jazz.yardstick.measures import measure
from jazz.yardstick.quality import improvised, quality
from jazz.yardstick.reading import read_solo
from jazz.yardstick.report import distance_line
from jazz.yardstick.statistics import percentile
from workbench.files import load_model


def describe(what, solos):
    """Print the distance of a set, and the share of measures inside the players' bands of its median solo."""
    inside = [share_inside(measure(solo), bands_for([solo])) for solo in solos]
    print(f"{what}, {sum(len(solo.bars) for solo in solos):,} bars.")
    print(f"  {distance_line(solos)}")
    print(f"  Of the median solo's measures, {percentile(inside, 0.5):.0%} lie inside the players' bands.")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--solos", type=int, default=100, help="default 100")
    arguments.add_argument("--seed", type=int, default=0, help="of the first solo, default 0")
    arguments.add_argument("--model", type=Path, help="default: the shipped model")
    options = arguments.parse_args()
    choruses = [read_solo(path) for path in shipped_choruses()]
    describe(f"{len(choruses)} shipped choruses", choruses)
    checkpoint = load_model(options.model, KIND)
    lines = improvised(checkpoint, options.solos, options.seed)
    print(f"{len(lines)} solos of the model, {sum(len(line.changes.bars) for line in lines):,} bars.")
    for line in quality(lines, training_values(checkpoint)):
        print(f"  {line}")


if __name__ == "__main__":
    main()
