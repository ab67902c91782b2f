"""Say how choruses lie beside players' solos, and what they have in common with them and with each other.

    python benchmarks/choruses.py ../shared/data/wjazzd data/choruses/*.txt

The first argument is the Weimar Jazz Database in its CSV form (a folder or a zip; the folder may hold the zip). A run is
one of pairs (interval, inter-onset interval) on reduced places; a run of values is one of the jazz grammar.
"""

import argparse
from itertools import pairwise
from pathlib import Path

from jazz.reading.choruses import read_chorus, tune_of_chorus
from jazz.yardstick.bands import bands_for, distance, share_inside
from jazz.yardstick.measures import measure
from jazz.yardstick.reading import read_solo
from jazz.yardstick.report import distance_line
from jazz.yardstick.statistics import mean, percentile
from jazz.yardstick.wjazzd import read_transcriptions
from workbench.copies import Copies

LONGEST, RARE, VALUES = 9, 7, 8
GOALS = {  # of the mean over a set of swing choruses in 4/4
    **{"ct_strong": (0.5, 0.7), "i34": (0, 0.32), "chrom": (0.13, 1), "encl_100": (4, 100)},
}


def moves(solo):
    return list(zip(solo.intervals, solo.iois, strict=True))


def silence(solo):
    """The share of the time in which nothing sounds."""
    return 1 - float(sum(note.end - note.begin for note in solo.notes) / solo.length)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wjazzd", type=Path)
    parser.add_argument("choruses", type=Path, nargs="+")
    arguments = parser.parse_args()
    database = arguments.wjazzd
    if database.is_dir() and (zips := sorted(database.glob("*.zip"))):
        database = zips[0]
    players = [each.solo() for each in read_transcriptions(database, on_refused=lambda error: None)]
    copies = Copies([moves(solo) for solo in players])
    choruses = {path.stem: read_chorus(path) for path in arguments.choruses}
    solos = {path.stem: read_solo(path) for path in arguments.choruses}
    print(
        f"{'chorus':26}{'bars':>5}{'notes':>6}{'inside':>7}{'silence':>8}{'strong':>7}{'thirds':>7}{'chrom':>6}  shared run"
    )
    long = 0
    for name, solo in solos.items():
        values = measure(solo)
        run = copies.longest(moves(solo))
        long += run.length > RARE
        bar = solo.notes[run.start].bar + 1
        where = f"{run.length} from bar {bar} ({players[run.source].name})" if run.length > RARE else run.length
        print(
            f"{name[:25]:26}{len(solo.bars):5}{len(solo.notes):6}{share_inside(values, bands_for([solo])):7.0%}"
            f"{silence(solo):8.0%}{values['ct_strong']:7.0%}{values['i34']:7.0%}{values['chrom']:6.0%}  {where}"
        )
    print(
        f"\n{long} of {len(solos)} choruses share a run of more than {RARE} with a player (at most a tenth may, none above {LONGEST})."
    )
    tunes = {
        name: [str(v) for bar in tune_of_chorus(chorus).values() for v in bar] for name, chorus in choruses.items()
    }
    for (name, values), others in ((item, [n for n in tunes if n > item[0]]) for item in tunes.items()):
        for other in others:
            if (run := Copies([tunes[other]]).longest(values)).length > VALUES:
                print(
                    f"{name} and {other} share {run.length} values: {' '.join(values[run.start : run.start + run.length])}"
                )
    swing = [s for n, s in solos.items() if choruses[n].changes.feel == "swing" and choruses[n].changes.meter == (4, 4)]
    inside = [share_inside(measure(solo), bands_for([solo])) for solo in solos.values()]
    print(
        f"\nAll: {sum(len(s.bars) for s in solos.values()):,} bars, {sum(len(s.notes) for s in solos.values()):,} notes."
    )
    print(f"Inside the bands: the median chorus {percentile(inside, 0.5):.0%} (goal 65 %).")
    if swing:
        measured = [measure(solo) for solo in swing]
        print(f"Of these {len(swing)} swing in 4/4: {distance_line(swing)}")
        for name, (low, high) in GOALS.items():
            print(f"  {name} {mean([v[name] for v in measured]):.3f} (goal {low} to {high})")
        print(f"  silence {mean([silence(s) for s in swing]):.3f} (goal 0.25 or more)")
        bands = bands_for(swing)
        far = sorted(
            bands, key=lambda n: -abs(mean([v[n] for v in measured if v[n] == v[n]]) - bands[n].mean) / bands[n].sd
        )
        for name in far[:12]:
            value = mean([v[name] for v in measured if v[name] == v[name]])
            print(f"  far: {name} {value:.3f}, players {bands[name].mean:.3f} +- {bands[name].sd:.3f}")


if __name__ == "__main__":
    main()
