"""What `jazz score` prints: the measures of solos beside those of players."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan, nan
from pathlib import Path

from music.reader import check_encoding
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import shown
from workbench.tables import table
from workbench.terminal import counted

from ..evaluation import Tunes, longest_copy
from ..model import training_values
from .bands import WHOLE, Band, Bands, Values, bands_for, distance, nearest_length, players, share_inside
from .copying import values_of_solo
from .measures import MEASURES, PERFORMANCE, Measure, measure
from .reading import read_solo
from .solo import Solo
from .statistics import mean, sample_sd, share

WIDTHS = (39, 8, 16, 8)
APART = "apart: scores and performances differ"
DEGREES = ["root", "b9", "9", "b3", "3", "4", "b5", "5", "#5", "6", "b7", "7"]


def score_files(
    files: Sequence[Path], model: Checkpoint, melody: str | None, chords: str | None, encoding: str
) -> Iterator[str]:
    """Describe the solos of files; see `report` and `reading.read_solo`.

    Parameters
    ----------
    files : list of Path, at least one
    model : Checkpoint of a soloist, in whose training tunes copied runs are looked for
    melody, chords, encoding : see `reading.read_solo`

    Yields
    ------
    str, lines or blocks of lines

    Raises
    ------
    NumpyrnnError
        if a file cannot be read
    """
    check_encoding(encoding)
    yield from report([read_solo(file, melody, chords, encoding) for file in files], training_values(model))


def report(solos: Sequence[Solo], tunes: Tunes) -> Iterator[str]:
    """Describe solos beside those of players.

    Parameters
    ----------
    solos : list of Solo, at least one
    tunes : list of (EncodedTune, its values), a model's training tunes, in which copied runs are looked for

    Yields
    ------
    str, lines or blocks of lines of at most 80 columns
    """
    measured, bands = [measure(solo) for solo in solos], bands_for(solos)
    lengths = sorted({nearest_length(solo) for solo in solos})
    listed = " and ".join(filter(None, [", ".join(map(str, lengths[:-1])), str(lengths[-1])]))
    yield from (one if len(solos) == 1 else several)(solos, measured, bands, f"excerpts of {listed} bars")
    if any(length != 4 for solo in solos for length in solo.bars):
        yield "\nThe players' solos are in 4/4; here are bars of other lengths."
    runs = [(longest_copy(values_of_solo(solo), tunes), solo.name) for solo in solos]
    run, name = max(runs, key=lambda found: found[0].length)
    yield f"\nLongest run copied: {run}"
    if len(solos) > 1 and run.length:
        yield f"  in {shown(name, 70)}"


def one(solos: Sequence[Solo], measured: Sequence[Values], bands: Bands, excerpts: str) -> Iterator[str]:
    """The table of one solo."""
    (solo,), (values,) = solos, measured
    yield f"{shown(solo.name, 60)}: {counted(len(solo.bars), 'bar')}, {counted(len(solo.notes), 'note')}."
    yield f"Beside the 10th to 90th percentile of players' {excerpts}.\n"
    head = ("", "solo", "players", "solo is")
    yield table(WIDTHS, [head, *(_row(name, found, values[name], bands[name]) for name, found in MEASURES.items())])
    places = [bands[name].place(values[name]) for name in MEASURES]
    inside, shown_of = places.count("inside"), len(places) - places.count("")
    yield f"\nInside: {inside} of {shown_of} measures, {_percent(share_inside(values, bands))}; players: about 80 %.\n"
    apart = [_row(name, found, values[name], bands[name]) for name, found in PERFORMANCE.items()]
    yield table(WIDTHS, [(APART, *head[1:]), *apart])
    yield f"\nEnding: {ending(solo)}."


def several(solos: Sequence[Solo], measured: Sequence[Values], bands: Bands, excerpts: str) -> Iterator[str]:
    """The table of several solos: means, and spreads over those of the players."""
    yield f"{len(solos)} solos, {sum(len(s.bars) for s in solos):,} bars, {sum(len(s.notes) for s in solos):,} notes."
    yield f"Beside the 10th to 90th percentile of players' {excerpts}.\n"
    head = ("", "mean", "players", "mean is", "spread")

    def row(name: str, found: Measure) -> tuple[str, ...]:
        known = [values[name] for values in measured if not isnan(values[name])]
        wider = sample_sd(known) / bands[name].sd if len(known) > 1 else nan
        return (*_row(name, found, mean(known), bands[name]), "-" if isnan(wider) else f"{wider:.2f}")

    yield table((*WIDTHS, 8), [head, *(row(name, found) for name, found in MEASURES.items())])
    yield "The last column is the spread of the solos over that of the players.\n"
    yield f"{distance_line(solos)}\n"
    apart = [row(name, found) for name, found in PERFORMANCE.items()]
    yield table((*WIDTHS, 8), [(APART, *head[1:]), *apart])
    final = share(solo.is_chord_tone(len(solo.notes) - 1) for solo in solos)
    yield f"\nEndings: {_percent(final)} on a chord tone."


def distance_line(solos: Sequence[Solo]) -> str:
    """The distance of a set of solos from the players' excerpts of its length, and from their whole solos."""
    measured = [measure(solo) for solo in solos]
    near, whole = (distance(measured, bands) for bands in (bands_for(solos), players()[WHOLE]))
    return f"Distance from players: {near:.2f} (excerpts of its length), {whole:.2f} (whole solos)."


def _row(name: str, found: Measure, value: float, band: Band) -> tuple[str, ...]:
    """A measure, its value, the players' 10th to 90th percentile, and where the value lies."""
    return found.what, _text(found, value), f"{_text(found, band.low)} to {_text(found, band.high)}", band.place(value)


def _text(found: Measure, value: float) -> str:
    if isnan(value):
        return "-"
    return _percent(value) if found.percent else f"{value:.{found.digits}f}"


def _percent(value: float) -> str:
    return f"{value:.0%}".replace("%", " %")


def ending(solo: Solo) -> str:
    """How a solo ends: the last note's degree over its chord, its place, and how long it lasts."""
    note, root = solo.notes[-1], solo.harmonies[-1].root
    degree = "without a chord" if root is None else f"on {DEGREES[(note.pitch - root) % 12]} of the chord"
    place = f"{'after ' * (note.place % 1 > 0)}beat {note.place // 1 + 1} of bar {note.bar + 1}"
    length = f"{float(note.end - note.begin):.2g}"
    return f"{degree}, {place}, {length} quarter{'s' * (length != '1')} long"
