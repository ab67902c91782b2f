"""Compute the players' bands, data/players.json, from the Weimar Jazz Database in its CSV form.

    python benchmarks/bands.py wjazzd-csv.zip

The solos are those of 28 players that are in 4/4 throughout, at 100 to 260 quarters a minute, and have at least 12
bars. Excerpts follow each other from the first bar on. The same data gives the same bytes.
"""

import argparse
import json
from pathlib import Path

from jazz.reading.wjazzd import read_transcriptions
from jazz.yardstick.bands import FILE, LENGTHS, WHOLE, bands_of
from jazz.yardstick.measures import measure
from jazz.yardstick.solo import Solo
from numpyrnn import NumpyrnnError
from numpyrnn.files import atomic_write

OUT = Path(__file__).parents[1] / "data" / FILE
TEMPOS = (100, 260)  # quarters a minute
PLAYERS = (
    *("ArtPepper", "CannonballAdderley", "CharlieParker", "ChetBaker", "CliffordBrown", "CurtisFuller", "DexterGordon"),
    *("DizzyGillespie", "DonByas", "FatsNavarro", "FreddieHubbard", "GerryMulligan", "HankMobley", "JJJohnson"),
    *("JoeHenderson", "JohnColtrane", "KennyDorham", "LeeKonitz", "LeeMorgan", "LesterYoung", "MilesDavis"),
    *("PaulDesmond", "PhilWoods", "SonnyRollins", "SonnyStitt", "StanGetz", "WarneMarsh", "ZootSims"),
)
ABOUT = """\
How solos of 28 players lie on the measures of jazz/yardstick, by the number of bars (0: whole solos): 10th, 50th and \
90th percentile, mean, standard deviation. Computed with `make bands` from excerpts of solos in the Weimar Jazz \
Database (WJazzD), Jazzomat Research Project, Liszt School of Music Weimar, https://jazzomat.hfm-weimar.de, which is \
under the Open Database License 1.0 (ODbL), https://opendatacommons.org/licenses/odbl/1-0/. Nothing of the database \
itself is in this file."""


def chosen(database):
    """The solos that the bands are computed from."""
    by_players = read_transcriptions(
        database,
        wanted=lambda name: name.partition("_")[0] in PLAYERS,
        on_refused=lambda why: print(f"Left out: {why}"),
    )
    return [
        Solo.of_transcription(played)
        for played in by_players
        if set(played.meters) == {(4, 4)}
        and TEMPOS[0] <= played.tempo <= TEMPOS[1]
        and len(played.meters) >= LENGTHS[0]
    ]


def excerpts(solo, bars):
    """Cut a solo into excerpts of as many bars; those with fewer than two notes are left out. `WHOLE` is the solo."""
    if bars == WHOLE:
        return [solo]
    firsts = range(0, len(solo.bars) - bars + 1, bars)
    return [solo.excerpt(i, bars) for i in firsts if sum(map(len, solo.by_bar[i : i + bars])) > 1]


def compute(solos, lengths=(*LENGTHS, WHOLE)):
    """The text of the file with the bands."""
    measured = {
        length: [measure(excerpt) for solo in solos for excerpt in excerpts(solo, length)] for length in lengths
    }
    if any(len(found) < 2 for found in measured.values()):
        raise NumpyrnnError(
            f"bands need at least two solos of {LENGTHS[-1]} bars by the players, got {len(solos)} solos"
        )
    lines = ["{", f'"about": {json.dumps(ABOUT)},']
    lines += [f'"excerpts": {json.dumps({length: len(found) for length, found in measured.items()})},', '"bands": {']
    for length, found in measured.items():
        rows = [f'  "{name}": [{", ".join(f"{x:.6g}" for x in band)}]' for name, band in bands_of(found).items()]
        lines += [f'"{length}": {{', ",\n".join(rows), "}" if length == WHOLE else "},"]
    return "\n".join([*lines, "}", "}", ""])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("database", type=Path, help="a zip or folder with melody/NAME.csv and beats/NAME.csv")
    arguments.add_argument("--out", type=Path, default=OUT, help="default data/players.json")
    options = arguments.parse_args()
    try:
        solos = chosen(options.database)
        with atomic_write(options.out) as file:
            file.write(compute(solos).encode())
    except NumpyrnnError as error:
        raise SystemExit(f"Error: {error}") from None
    print(f"{len(solos)} solos: {options.out}")


if __name__ == "__main__":
    main()
