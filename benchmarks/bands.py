"""Compute the players' bands, data/players.json, from the Weimar Jazz Database in its CSV form.

    python benchmarks/bands.py wjazzd-csv.zip

The same data gives the same bytes.
"""

import argparse
from pathlib import Path

from jazz.yardstick.bands import FILE, compute, is_chosen
from jazz.yardstick.wjazzd import read_transcriptions
from numpyrnn import NumpyrnnError
from numpyrnn.files import atomic_write

DATA = Path(__file__).parents[1] / "data"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("database", type=Path, help="a zip or folder with melody/NAME.csv and beats/NAME.csv")
    arguments.add_argument("--out", type=Path, default=DATA / FILE, help="default data/players.json")
    options = arguments.parse_args()
    try:
        read = list(read_transcriptions(options.database, on_refused=lambda why: print(f"Left out: {why}")))
        chosen = [transcription.solo() for transcription in read if is_chosen(transcription)]
        with atomic_write(options.out) as file:
            file.write(compute(chosen).encode())
    except NumpyrnnError as error:
        raise SystemExit(f"Error: {error}") from None
    print(f"{len(chosen)} of {len(read)} solos: {options.out}")


if __name__ == "__main__":
    main()
