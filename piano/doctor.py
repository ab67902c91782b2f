"""A report on MIDI files: which can be used, how often their tokens occur, and what would be learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from numpyrnn import NumpyrnnError
from numpyrnn.checks import check_count, shown
from numpyrnn.files import atomic_write

from .corpus import Piece, Progress, read_pieces
from .rhythm import Rhythms
from .tokens import NAMES, PITCHES, count_names, keep_common

NOTHING = "nothing can be learned"
STEPS = (1, 2, 5, 10, 20, 50, 100, 200)  # numbers of occurrences


def diagnose(
    paths: Sequence[str | Path],
    min_count: int = 50,
    window: int = 32,
    cache: str | Path | None = None,
    histogram: str | Path | None = None,
    progress: Progress = lambda items: items,
) -> Iterator[str]:
    """Describe MIDI files as training data.

    Parameters
    ----------
    paths, cache, progress : see `corpus.read_pieces`
    min_count : int, default 50, how often a token must occur to be learned
    window : int, default 32, number of tokens from which the next one is predicted
    histogram : file, optional, where to draw the picture of `plot_histogram`

    Yields
    ------
    str, lines of the report

    Raises
    ------
    NumpyrnnError
        if no piece can be used (see `corpus.read_pieces`), a number is below 1, or the picture cannot be written
    """
    check_count("min_count", min_count, 1)
    check_count("window", window, 1)
    refused: list[NumpyrnnError] = []
    try:
        pieces = read_pieces(paths, True, cache, refused.append, progress)
    except NumpyrnnError:
        yield from _listed("Not used", refused)
        raise
    tokens = [piece.tokens for piece in pieces]
    counts = count_names(tokens)
    yield from _files(pieces)
    yield from _listed("Damaged, but used", [f"{p.path}, {'; '.join(p.faults)}" for p in pieces if p.faults])
    yield from _listed("Not used", refused)
    single = sum(name in PITCHES for name in counts)
    kinds = f"single notes: {single:,}, chords: {len(counts) - single:,}"
    yield f"\nIn all, {counts.total():,} tokens, {len(counts):,} of them different ({kinds})."
    yield ""
    yield from _thresholds(tokens, min_count, window)
    if histogram is not None:
        plot_histogram(counts, histogram, min_count)


def _listed(title: str, lines: Sequence[object]) -> Iterator[str]:
    """List lines under a title, if there are any."""
    if lines:
        yield f"\n{title}, {len(lines)}:"
        yield from (f"  {line}" for line in lines)


def _files(pieces: Sequence[Piece]) -> Iterator[str]:
    """Describe each piece in a row of a table."""
    width = min(max(len("piece"), *(len(shown(piece.name)) for piece in pieces)), 40)
    yield f"{'piece':{width}}{'tokens':>8}{'different':>11}{'chords':>8}  single notes"
    for piece in pieces:
        names = list(count_names([piece.tokens]).elements())
        pitches = [PITCHES[name] for name in names if name in PITCHES]
        extent = f"{NAMES[min(pitches)]} to {NAMES[max(pitches)]}" if pitches else "none"
        chords = 1 - len(pitches) / len(names)
        yield f"{shown(piece.name)[:width]:{width}}{len(names):8,}{len(set(names)):11,}{chords:8.0%}  {extent}"


def _thresholds(pieces: Sequence[Sequence[str]], min_count: int, window: int) -> Iterator[str]:
    """Tabulate what is left with different values of min_count."""
    yield f"{'min-count':>9}{'different':>11}{'tokens':>10}{'share':>7}{'windows':>10}{'with rhythm':>13}"
    for step in sorted({*STEPS, min_count}):
        kept = keep_common(pieces, step)
        n_kept, different = sum(map(len, kept)), len(count_names(kept))
        share = n_kept / count_names(pieces).total()
        with_rhythm = len(Rhythms(pieces, step, step).tokens)
        row = f"{step:9,}{different:11,}{n_kept:10,}{share:7.0%}{_windows(kept, window):10,}{with_rhythm:13,}"
        yield row + ("  <" if step == min_count else "")
    yield f"A window is {window} tokens of a piece and the next one."
    yield "With rhythm: different tokens with rhythm, if common names and rhythms replace rare ones."
    if not _windows(keep_common(pieces, min_count), window):
        remedy = "one, or more files" if _windows(keep_common(pieces, 1), window) else "window, or longer pieces"
        yield f"With a min-count of {min_count} {NOTHING}: take a smaller {remedy}."


def _windows(pieces: Sequence[Sequence[str]], window: int) -> int:
    """Count the windows of pieces."""
    return sum(max(len(piece) - window, 0) for piece in pieces)


def plot_histogram(counts: Mapping[str, int], path: str | Path, min_count: int) -> None:
    """Draw two charts as a PNG: occurrences of each token by rank, and number of tokens by frequency.

    Parameters
    ----------
    counts : dict from token to its number of occurrences, not empty
    path : file
    min_count : int, drawn as a line

    Raises
    ------
    NumpyrnnError
        if there are no tokens or the file cannot be written
    """
    from matplotlib.figure import Figure  # late: half a second

    if not counts:
        raise NumpyrnnError("there must be tokens for a histogram of them, there are none")
    ranked = sorted(counts.values(), reverse=True)
    n_common = sum(count >= min_count for count in ranked)
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    by_rank, by_frequency = figure.subplots(1, 2)
    by_rank.plot(range(1, len(ranked) + 1), ranked, marker="." if len(ranked) < 100 else None)
    label = f"{min_count} or more: {n_common:,} of {len(ranked):,} tokens"
    by_rank.axhline(min_count, linestyle=":", color="gray", label=label)
    by_rank.set(title="Tokens by their rank", xlabel="rank", ylabel="occurrences", yscale="log")
    by_rank.grid(alpha=0.3)
    by_rank.legend(loc="upper right")
    labels, heights = [], []
    for low, high in pairwise((*STEPS, max(ranked[0], STEPS[-1]) + 1)):
        labels.append(f"{low}" if high == low + 1 else f"{low}+" if low == STEPS[-1] else f"{low}-{high - 1}")
        heights.append(sum(low <= count < high for count in ranked))
    by_frequency.bar_label(by_frequency.bar(labels, heights))
    by_frequency.set(title="Tokens by their frequency", xlabel="occurrences", ylabel="different tokens")
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=150)
