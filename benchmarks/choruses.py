"""Say how choruses lie beside players' solos, and what they have in common with them and with each other.

    python benchmarks/choruses.py ../shared/data/wjazzd data/choruses/*.txt

The first argument is the Weimar Jazz Database in its CSV form: a folder or a zip, or a folder that holds the zip. A
shared run is one of pairs (interval, inter-onset interval) on reduced places; values are those of the jazz grammar.
"""

import argparse
from itertools import combinations, groupby
from math import isnan
from pathlib import Path
from statistics import median

from jazz.reading.choruses import read_chorus, tune_of_chorus
from jazz.reading.wjazzd import read_transcriptions
from jazz.yardstick.bands import bands_for, share_inside
from jazz.yardstick.measures import measure
from jazz.yardstick.reading import read_solo
from jazz.yardstick.report import distance_line
from jazz.yardstick.solo import Solo
from jazz.yardstick.statistics import mean, percentile
from workbench.copies import Copies

LONGEST, RARE, VALUES = 9, 7, 8  # of runs
GOALS = {"ct_strong": (0.5, 0.7), "i34": (0, 0.32), "chrom": (0.13, 1), "encl_100": (4, 100)}  # means of swing in 4/4
COLUMNS = ("bars", "notes", "inside", "silence", "strong", "thirds", "chrom")


def moves(solo):
    """The (interval, inter-onset interval) of each note and the next."""
    return list(zip(solo.intervals, solo.iois, strict=True))


def silence(solo):
    """The share of the time in which nothing sounds."""
    return 1 - float(sum(note.end - note.begin for note in solo.notes) / solo.length)


def read_players(path):
    """The solos of the database that can be read."""
    if path.is_dir() and (zips := sorted(path.glob("*.zip"))):
        path = zips[0]
    return [Solo.of_transcription(each) for each in read_transcriptions(path, on_refused=lambda error: None)]


def describe_each(solos, players):
    """Print a line for each chorus, and how many share long runs with players."""
    copies, long = Copies([moves(solo) for solo in players]), 0
    print(f"{'chorus':26}{''.join(f'{title:>8}' for title in COLUMNS)}  shared run")
    for name, solo in solos.items():
        values, run = measure(solo), copies.longest(moves(solo))
        long += run.length > RARE
        shares = [share_inside(values, bands_for([solo])), silence(solo), *(values[n] for n in [*GOALS][:3])]
        where = f" from bar {solo.notes[run.start].bar + 1} ({players[run.source].name})" if run.length > RARE else ""
        shown = "".join(f"{share:8.0%}" for share in shares)
        print(f"{name[:25]:26}{len(solo.bars):8}{len(solo.notes):8}{shown}  {run.length}{where}")
    print(f"\n{long} of {len(solos)} choruses share a run of more than {RARE} with a player", end=" ")
    print(f"(at most a tenth may, and none one of more than {LONGEST}).")


def describe_control(solos, players):
    """Print how often excerpts of players, as long as a chorus, share such runs with other players."""
    size = round(median(len(solo.notes) for solo in solos.values()))
    by_player = {player: [*group] for player, group in groupby(players, key=player_of)}
    runs = []
    for player, group in by_player.items():
        others = Copies([moves(solo) for solo in players if player_of(solo) != player])
        runs += [others.longest(moves(solo)[:size]).length for solo in group if len(solo.notes) >= size]
    print(
        f"A control: of {len(runs)} players' solos, the first {size} notes share a run of more than {RARE} with",
        end=" ",
    )
    print(f"another player in {sum(run > RARE for run in runs)}; the longest has {max(runs)}.")


def player_of(solo):
    """The first part of a transcription's name."""
    return solo.name.partition("_")[0]


def describe_shared_values(choruses):
    """Print the runs of values that two choruses share, if they are too long."""
    tunes = {
        name: [str(v) for bar in tune_of_chorus(chorus).values() for v in bar] for name, chorus in choruses.items()
    }
    for (name, values), (other, others) in combinations(tunes.items(), 2):
        if (run := Copies([others]).longest(values)).length > VALUES:
            shared = " ".join(values[run.start : run.start + run.length])
            print(f"{name} and {other} share {run.length} values: {shared}")


def describe_set(solos, choruses):
    """Print figures of all choruses, and of those that swing in 4/4."""
    bars, notes = (sum(len(getattr(solo, what)) for solo in solos.values()) for what in ("bars", "notes"))
    inside = [share_inside(measure(solo), bands_for([solo])) for solo in solos.values()]
    print(f"\nAll: {bars:,} bars, {notes:,} notes.")
    print(f"Inside the bands: the median chorus {percentile(inside, 0.5):.0%} (goal 65 %).")
    swing = [s for n, s in solos.items() if (choruses[n].changes.feel, choruses[n].changes.meter) == ("swing", (4, 4))]
    if not swing:
        return
    print(f"Of these {len(swing)} swing in 4/4: {distance_line(swing)}")
    measured, bands = [measure(solo) for solo in swing], bands_for(swing)
    means = {name: mean([values[name] for values in measured if not isnan(values[name])]) for name in bands}
    for name, (low, high) in GOALS.items():
        print(f"  {name} {means[name]:.3f} (goal {low} to {high})")
    print(f"  silence {mean([silence(solo) for solo in swing]):.3f} (goal 0.25 or more)")
    for name in sorted(means, key=lambda name: -abs(means[name] - bands[name].mean) / bands[name].sd)[:12]:
        print(f"  far: {name} {means[name]:.3f}, players {bands[name].mean:.3f} +- {bands[name].sd:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wjazzd", type=Path)
    parser.add_argument("choruses", type=Path, nargs="+")
    arguments = parser.parse_args()
    choruses = {path.stem: read_chorus(path) for path in arguments.choruses}
    solos = {path.stem: read_solo(path) for path in arguments.choruses}
    players = read_players(arguments.wjazzd)
    describe_each(solos, players)
    describe_control(solos, players)
    describe_shared_values(choruses)
    describe_set(solos, choruses)


if __name__ == "__main__":
    main()
