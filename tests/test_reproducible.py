"""The same seed gives the same bytes, whatever the hash seed, locale, time zone, folder, listings, cores and window."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
from records import read_history

from numpyrnn.checkpoint import load

ROOT = Path(__file__).parents[1]
TIMES = "seconds", "items_per_second"  # what an epoch of the history took is the one thing that may differ

# Runs a program as `python -m` does, where the folders are listed in the opposite order
RUN = """
import os, runpy, sys
backwards, cores, mask = sys.argv[1:4]
if backwards == "True":
    listdir, scandir = os.listdir, os.scandir
    class Backwards:
        def __init__(self, entries): self.entries = sorted(entries, key=lambda entry: entry.name)
        def __iter__(self): return self
        def __next__(self):
            if not self.entries: raise StopIteration
            return self.entries.pop()
        def __enter__(self): return self
        def __exit__(self, *error): pass
        def close(self): pass
    os.listdir = lambda *path: sorted(listdir(*path), reverse=True)
    os.scandir = lambda *path: Backwards(scandir(*path))
if cores == "1" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.umask(int(mask, 8))
sys.argv = sys.argv[4:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
WAYS = [
    {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "80"},
    {"PYTHONHASHSEED": "1", "LC_ALL": "tr_TR.UTF-8", "TZ": "Pacific/Apia", "COLUMNS": "40"},
    {"PYTHONHASHSEED": "random", "LC_ALL": "C", "TZ": "America/New_York", "COLUMNS": "300", "LANG": "de_DE"},
]
PROGRAMS = {
    "sonnets": [
        "sonnets train poems.txt --epochs 1 --hidden 12 --seed 3",
        "sonnets write --length 80 --seed 2 --model sonnets.npz --out poem.txt",
    ],
    "dinos": [
        "dinos train names.txt --epochs 2 --hidden 12 --seed 3",
        "dinos sample -n 30 --seed 2 --model dinos.npz",
        "dinos sample -n 1 --seed 2 --model dinos.npz --temperature 1.3",
        "dinos evaluate --model dinos.npz",
    ],
    "jazz": [
        "jazz train choruses --epochs 2 --hidden 12 --seed 3",
        "jazz improvise --seed 2 --model jazz.npz --out solo.mid",
        "jazz evaluate --model jazz.npz --solos 2",
    ],
    "piano": [
        "piano train pieces --epochs 1 --seed 3 --min-count 2 --window 8 --rhythm",
        "piano play --seed 2 --model piano.npz --out piece.mid --length 30",
        "piano doctor pieces",
    ],
}


def fill(folder, backwards):
    """Make the folder with data of all programs; its files are made in this order or the opposite one."""
    folder.mkdir(parents=True)
    (folder / "names.txt").write_bytes(b"\n".join((ROOT / "data" / "dinos.txt").read_bytes().splitlines()[:150]))
    (folder / "poems.txt").write_bytes((ROOT / "data" / "sonnets.txt").read_bytes()[:6000])
    for name, sources in {"choruses": "choruses/*.txt", "pieces": "piano/*.mid"}.items():
        (folder / name).mkdir()
        for source in sorted((ROOT / "data").glob(sources))[:4][:: -1 if backwards else 1]:
            copyfile(source, folder / name / source.name)


def outcome(folder, commands, number):
    """What the commands print, and every file that they leave; the folder, its order and the settings vary."""
    fill(folder, number % 2)
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    settings |= WAYS[number] | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    printed = []
    for command in commands:
        how = [str(bool(number % 2)), str(number % 2), ("022", "077", "002")[number], *command.split()]
        ran = subprocess.run([sys.executable, "-c", RUN, *how], cwd=folder, env=settings, capture_output=True)
        assert ran.returncode == 0, ran.stderr.decode()
        printed.append(ran.stdout)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return printed, {str(path.relative_to(folder)): contents(path) for path in files}


def contents(path):
    """The bytes of a file; all that a history or a model file holds but the times of its epochs."""
    if path.suffix == ".jsonl":
        return without_times(read_history(path))
    if path.suffix != ".npz" or "cache" in path.name:
        return path.read_bytes()
    held = load(path)
    return without_times(
        [held.model.config(), held.model.params.flat.tobytes(), held.vocabulary.tokens, held.config, held.training]
    )


def without_times(value):
    if isinstance(value, dict):
        return {name: without_times(part) for name, part in value.items() if name not in TIMES}
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    return [without_times(part) for part in value] if isinstance(value, list | tuple) else value


@pytest.mark.torture
@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_but_the_seed_and_the_data_decides_what_is_written(program, tmp_path, rounds, tell):
    if program not in list(PROGRAMS)[: rounds(1, 4)]:
        pytest.skip("this program is run by make torture")
    folders = ["a", "a folder/of another name", "ü"]
    outcomes = [outcome(tmp_path / folders[n], PROGRAMS[program], n) for n in range(rounds(2, 3))]
    printed, files = outcomes[0]
    assert all(printed)
    assert len(files) > 9
    for others_printed, others_files in outcomes[1:]:
        assert others_printed == printed
        assert list(others_files) == list(files)
        assert {name for name in files if files[name] != others_files[name]} == set()
    tell(
        f"{len(outcomes)} runs of {len(printed)} commands of {program} in unlike surroundings: {len(files)} equal files"
    )
