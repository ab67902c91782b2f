"""Training data: read MIDI files as pieces, which are lists of tokens, and hold some of them out."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from music.files import MIDI_ENDINGS, different_names
from music.midi import parse_midi
from music.reader import MAX_BYTES
from numpyrnn import NumpyrnnError
from numpyrnn.checks import check_share
from numpyrnn.files import atomic_write, first_bytes, real
from workbench.files import data_path, read_text
from workbench.jobs import HERE, Jobs

from .tokens import WAIT, count_names, name_of, split_token, tokens_of

FEWEST = 2  # tokens of a piece: one to read and one to predict
CACHE_NAME = ".numpyrnn-piano.json"
CACHE_HEADER = {"format": "numpyrnn piano tokens", "version": 2}  # increment when the same files give other tokens
MAX_CACHE_BYTES = 1 << 28
MIDI = MAX_BYTES + 1, "a MIDI file"  # see `first_bytes`
LONGEST_REASON = 400  # characters

Reading = list[str] | str  # the tokens of a file, with rhythm; or why it cannot be used ("must ...")
Progress = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Piece:
    """A piece of music.

    Attributes
    ----------
    name : str, unique among the pieces
    path : str or None, its file, if it comes from one
    tokens : list of str, see `tokens.tokens_of`
    faults : list of str, what could not be read in its file
    """

    name: str
    path: str | None
    tokens: list[str]
    faults: list[str] = field(default_factory=list)


def read_pieces(
    paths: Sequence[str | Path],
    rhythm: bool = False,
    cache: str | Path | None = None,
    on_refused: Callable[[NumpyrnnError], object] | None = None,
    progress: Progress = lambda items: items,
    jobs: Jobs = HERE,
) -> list[Piece]:
    """Read MIDI files as pieces.

    Parameters
    ----------
    paths : MIDI files or folders
        A folder stands for all MIDI files (by their ending) in it and its subfolders, except hidden files, hidden
        folders and links to folders. A file that is found twice counts once.
    rhythm : bool, default False, see `tokens.tokens_of`
    cache : file, optional
        Keeps the result for each file under its SHA-256, so that the file need not be parsed the next time. Invalid
        content is ignored and replaced. If the cache cannot be written, it stays as it was.
    on_refused : function, optional
        Called with the error for each file of a folder that cannot be used, such as a copy of another file. By default
        these errors are raised.
    progress : function that takes a list and gives its items, such as a progress bar
    jobs : Jobs, default one process, or as many as there are cores for 200 files or more

    Returns
    -------
    list of Piece, with different names: first the named files, then those of each folder, sorted by path

    Raises
    ------
    NumpyrnnError
        if a named file or all files of a folder cannot be used, or a process that reads files dies
    """
    sources = sorted(map(Path, paths), key=os.path.isdir)  # files first

    def refuse(path: Path, error: NumpyrnnError) -> None:
        if on_refused is None or path in sources:
            raise error
        on_refused(error)

    found = {path: list(_midi_files(path, refuse)) if os.path.isdir(path) else [path] for path in sources}
    files: dict[str, Path] = {}  # by real path; named files come first, so that their copies are refused
    for file in chain.from_iterable(found.values()):
        files.setdefault(os.path.realpath(file), file)
    digests: dict[Path, str] = {}
    for file in files.values():
        try:
            digests[file] = _digest(first_bytes(file, *MIDI))
        except NumpyrnnError as error:
            refuse(file, error)
    readings, faults = _readings(digests, None if cache is None else Path(cache), progress, jobs)
    pieces: dict[str, Piece] = {}  # by digest
    for file, digest in digests.items():
        reading = readings.get(digest, "must not change while it is read, it did")
        if digest in pieces:
            reading = f"must differ from the other files, it is the same as {pieces[digest].path}"
        if isinstance(reading, str):
            refuse(file, NumpyrnnError(f"{file} {reading}"))
        else:
            tokens = reading if rhythm else [sys.intern(name) for name in map(name_of, reading) if name != WAIT]
            pieces[digest] = Piece(file.stem, str(file), tokens, faults.get(digest, []))
    usable = {os.path.realpath(file) for file, digest in digests.items() if digest in pieces}  # copies too
    for source, of_source in found.items():
        if usable.isdisjoint(map(os.path.realpath, of_source)):
            raise NumpyrnnError(
                f"{source} must hold MIDI files ({' '.join(MIDI_ENDINGS)}) that can be used, it holds none"
            )
    names = different_names(piece.name for piece in pieces.values())
    return [replace(piece, name=name) for piece, name in zip(pieces.values(), names, strict=True)]


def _midi_files(folder: Path, refuse: Callable[[Path, NumpyrnnError], None]) -> Iterator[Path]:
    """The MIDI files of a folder and its subfolders, sorted. Links to folders are skipped: they could form loops."""

    def unreadable(error: OSError) -> None:
        refuse(Path(error.filename), NumpyrnnError(f"{error.filename} could not be read: {error.strerror}"))

    for parent, within, names in os.walk(folder, onerror=unreadable):
        within[:] = sorted(name for name in within if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(MIDI_ENDINGS) and not name.startswith("."):
                yield Path(parent, name)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> tuple[str, Reading, list[str]]:
    """The digest, the reading and the faults of a file; this may run in another process."""
    data = first_bytes(path, *MIDI)
    try:
        midi = parse_midi(data, "")
        tokens = tokens_of(midi, rhythm=True)
        n = count_names([tokens]).total()
    except NumpyrnnError as error:
        return _digest(data), str(error).strip(), []
    reason = f"must have piano notes at {FEWEST} or more times, it has them at {n}; drums do not count"
    return _digest(data), tokens if n >= FEWEST else reason, midi.faults


def _readings(
    digests: Mapping[Path, str], cache: Path | None, progress: Progress, jobs: Jobs
) -> tuple[dict[str, Reading], dict[str, list[str]]]:
    """The readings and the faults of files by digest: from the cache, which is then updated, or else by parsing."""
    known, faults = ({}, {}) if cache is None else _load(cache)
    readings = {digest: known[digest] for digest in digests.values() if digest in known}
    missing = list({digest: file for file, digest in digests.items() if digest not in known}.values())
    with closing(jobs.map(_read, missing)) as results:
        for _, (digest, reading, found) in zip(progress(missing), results):
            readings[digest] = reading if isinstance(reading, str) else list(map(sys.intern, reading))
            faults[digest] = found
    faults = {digest: lines for digest, lines in faults.items() if lines and digest in readings}
    if cache is not None and readings != known:
        with suppress(NumpyrnnError), atomic_write(cache) as output:  # the cache only saves time
            dumps = json.JSONEncoder(separators=(",", ":")).encode
            head, closed = dumps(CACHE_HEADER)[:-1], dumps(faults)
            output.write(f'{head},"files":{{'.encode())
            for i, (digest, reading) in enumerate(readings.items()):  # one at a time, to save memory
                output.write(f'{"," * (i > 0)}"{digest}":{dumps(reading)}'.encode())
            output.write(f'}},"faults":{closed}}}'.encode())
    return readings, faults


def _load(cache: Path) -> tuple[dict[str, Reading], dict[str, list[str]]]:
    """What a cache holds, by digest; anything that `_readings` cannot have written is ignored."""
    with suppress(AttributeError, KeyError, RecursionError, TypeError, ValueError):
        content = json.loads(read_text(cache, MAX_CACHE_BYTES)) if os.path.isfile(cache) else {}
        if content.items() >= CACHE_HEADER.items():
            faults = {digest: lines for digest, lines in content["faults"].items() if all(map(_is_line, lines))}
            return {digest: reading for digest, reading in content["files"].items() if _is_reading(reading)}, faults
    return {}, {}


def _is_line(value: object) -> bool:
    """Whether a value of a cache can be a line of words."""
    return isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_REASON


def _is_reading(value: object) -> bool:
    """Whether a value of a cache can be a `Reading`."""
    if isinstance(value, str):
        return value.startswith("must ") and _is_line(value)
    return isinstance(value, list) and len(value) >= FEWEST and all(isinstance(t, str) and _is_token(t) for t in value)


@lru_cache(1 << 16)
def _is_token(text: str) -> bool:
    """Whether a text is a token with rhythm."""
    try:
        return split_token(text)[1] is not None
    except NumpyrnnError:
        return False


def default_cache(paths: Sequence[Path]) -> Path | None:
    """Choose where to keep the cache.

    Parameters
    ----------
    paths : files and folders to read

    Returns
    -------
    Path or None
        A hidden file in the folder, if `paths` is a single folder that can be written to and is not the shipped one.
    """
    folder = paths[0]
    shipped = real(folder) == real(data_path("piano"))
    if len(paths) > 1 or shipped or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        return None
    return folder / CACHE_NAME


def split_by_piece(pieces: Sequence[Piece], seed: int, share: float = 0.2) -> tuple[list[Piece], list[Piece]]:
    """Split pieces at random, so that nothing of a held-out piece is trained on.

    Parameters
    ----------
    pieces : list of Piece, in any order
    seed : int
    share : float, default 0.2
        Share of the pieces that is held out; at least one is, but never all. A single piece is cut: this share of its
        tokens, at its end, is held out as the piece "NAME, end".

    Returns
    -------
    training, held_out : lists of Piece, sorted by name

    Raises
    ------
    NumpyrnnError
        if there is no piece, or a single one with fewer than two tokens, or `share` is not at least 0 and below 1
    """
    check_share("share", share)
    if len(pieces) == 1 and len(pieces[0].tokens) >= 2:
        piece = pieces[0]
        start = len(piece.tokens) - _held_out(len(piece.tokens), share)
        end = replace(piece, name=f"{piece.name}, end", tokens=piece.tokens[start:])
        return [replace(piece, tokens=piece.tokens[:start])], [end]
    if len(pieces) < 2:
        raise NumpyrnnError(f"there must be two pieces, or one with two tokens, to split them, got {list(pieces)}")
    by_name = sorted(pieces, key=lambda piece: piece.name)
    order = np.random.default_rng(seed).permutation(len(by_name))
    chosen = set(order[: _held_out(len(by_name), share)])
    training = [piece for i, piece in enumerate(by_name) if i not in chosen]
    return training, [by_name[i] for i in sorted(chosen)]


def _held_out(n: int, share: float) -> int:
    """How many of n pieces or tokens are held out."""
    return min(max(1, round(share * n)), n - 1)
