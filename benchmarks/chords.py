"""How many chord symbols of two corpora are read: `python benchmarks/chords.py [FOLDER]`, the folder of both files."""

import sys
from pathlib import Path

from jazz.chords import parse_chord
from numpyrnn import NumpyrnnError

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "chords"  # unless another one is named
CORPORA = {"jazz-standards.tsv": "ordinary", "weimar.tsv": "weimar"}  # the order of each
PROMISED = {"jazz-standards.tsv": 0.995, "weimar.tsv": 0.99}


def symbols_of(path):
    """(count, symbol) of each line of a file; lines that begin with # are comments."""
    lines = Path(path).read_text("utf-8").splitlines()
    return [(int(count), symbol) for count, symbol in (line.split("\t") for line in lines if line[:1] != "#")]


def share_read(path, order):
    """The share of the occurrences that are read, and the symbols that are not."""
    symbols, refused = symbols_of(path), {}
    for count, symbol in symbols:
        try:
            parse_chord(symbol, order)
        except NumpyrnnError:
            refused[symbol] = count
    return 1 - sum(refused.values()) / sum(count for count, _ in symbols), refused


def corpora():
    """The order of each file, by its path. If the files are not there, that is printed, and an error if named."""
    folder = Path(*sys.argv[1:] or [FOLDER])
    if missing := [name for name in CORPORA if not (folder / name).is_file()]:
        print(f"The folder of chord symbols, {folder}, has no {' and no '.join(missing)}: name another.")
        if sys.argv[1:]:
            sys.exit(1)
    return {} if missing else {folder / name: order for name, order in CORPORA.items()}


if __name__ == "__main__":
    for path, order in corpora().items():
        name, (share, refused) = path.name, share_read(path, order)
        print(f"{name}: {share:.2%} of the occurrences are read, {PROMISED[name]:.1%} are promised")
        for symbol, count in refused.items():
            print(f"  refused: {count} {symbol}")
        if share < PROMISED[name]:
            sys.exit(1)
