"""Training data: read tunes from MIDI files and written choruses, and convert choruses to MIDI."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from music.files import MIDI_ENDINGS, different_names, naming
from music.midi import Midi, Note, as_tempo, read_midi
from music.reader import ENCODING, check_encoding
from numpyrnn import NumpyrnnError
from workbench.files import data_path
from workbench.jobs import HERE, Jobs

from ..swing import swung
from ..tunes import Tune, chord_pitches
from .choruses import Chorus, read_chorus, tune_of_chorus
from .tracks import bars_of, choose, tune_of_midi
from .wjazzd import Chosen, is_database, read_solos
from .written import markers_of

LONGEST_EXCERPT = 600  # seconds; rendering so much takes 0.5 GB


def shipped_choruses() -> list[Path]:
    """List the files of the shipped choruses, sorted by name."""
    return sorted(data_path("choruses").glob("*.txt"))


def read_tunes(
    paths: Sequence[Path],
    melody: str | None = None,
    chords: str | None = None,
    from_bar: int | None = None,
    to_bar: int | None = None,
    encoding: str = ENCODING,
    on_refused: Callable[[NumpyrnnError], object] | None = None,
    chosen: Chosen | None = None,
    progress: Callable[[Sequence[Any]], Iterable[Any]] = lambda entries: entries,
    jobs: Jobs = HERE,
) -> list[Tune]:
    """Read tunes from MIDI files, from written choruses (.txt) and from the Weimar Jazz Database.

    Parameters
    ----------
    paths : files, folders of files, or the database in one of its forms
    melody, chords, from_bar, to_bar : for MIDI files, see `tracks.choose` and `tracks.tune_of_midi`
    encoding : str, default "latin-1", of the parts' names in MIDI files, where they are not UTF-8
    on_refused : function, optional
        Called with the error of each unusable file in a folder, or solo in the database. By default the first such
        error is raised.
    chosen : for the database, see `wjazzd.read_solos`
    progress : function that takes a list and gives its items, such as a progress bar
    jobs : Jobs, default one process, or as many as there are cores for 200 files or more

    Returns
    -------
    list of Tune, no two with the same name

    Raises
    ------
    NumpyrnnError
        if a named file, or all of a folder or database, cannot be used
    """
    check_encoding(encoding)

    read = partial(_read, melody, chords, from_bar, to_bar, encoding)
    tunes: list[Tune] = []
    for path in paths:
        if is_database(path):
            tunes += read_solos(path, chosen, on_refused, progress)
            continue
        files, before = sorted(path.iterdir()) if os.path.isdir(path) else [path], len(tunes)
        files = [file for file in files if file == path or file.suffix.lower() in (*MIDI_ENDINGS, ".txt")]
        with closing(jobs.map(read, files)) as results:
            for _, tune in zip(progress(files), results, strict=True):
                if isinstance(tune, Tune):
                    tunes.append(tune)
                elif on_refused is None or files == [path]:
                    raise tune
                else:
                    on_refused(tune)
        if len(tunes) == before:
            raise NumpyrnnError(f"{path} must hold MIDI files or choruses (.txt) that can be used, it holds none")
    names = different_names(tune.name for tune in tunes)
    return [replace(tune, name=name) for tune, name in zip(tunes, names, strict=True)]


def _read(
    melody: str | None, chords: str | None, from_bar: int | None, to_bar: int | None, encoding: str, file: Path
) -> Tune | NumpyrnnError:
    """The tune of a file, or why it cannot be used; this may run in another process."""
    try:
        if file.suffix.lower() == ".txt":
            return tune_of_chorus(read_chorus(file))
        midi = read_midi(file, encoding)
        with naming(file):
            return tune_of_midi(midi, choose(midi, melody, chords), file.stem, from_bar, to_bar)[0]
    except NumpyrnnError as error:
        return error


def chorus_midi(chorus: Chorus, straight: bool = False) -> Midi:
    """Convert a chorus to MIDI.

    Parameters
    ----------
    chorus : Chorus
    straight : bool, default False
        Keep the eighths even, as they are written. By default they swing if the chorus has a swing feel.

    Returns
    -------
    Midi, with the tracks "Melody" and "Chords"
    """
    changes = chorus.changes
    notes = [note._replace(velocity=90, program=66, track=1) for note in chorus.melody]
    for onset, length, chord, _ in changes.spans():
        pitches = dict.fromkeys(chord_pitches(chord))
        notes += [Note(onset, length, pitch, velocity=64, channel=1, program=0, track=2) for pitch in pitches]
    if changes.feel == "swing" and not straight:
        notes = swung(notes, double_time=True)
    notes.sort(key=lambda note: (note.onset, note.track))
    tempos, meters = [(Fraction(0), as_tempo(chorus.tempo))], [(Fraction(0), *changes.meter)]
    markers = markers_of(changes.flat(), "straight" if straight else changes.feel)
    return Midi(notes, [changes.title, "Melody", "Chords"], tempos, meters, changes.end, markers)


def read_music(path: Path, straight: bool = False, encoding: str = ENCODING) -> Midi:
    """Read a MIDI file, or a written chorus (.txt) converted to MIDI."""
    return chorus_midi(read_chorus(path), straight) if path.suffix.lower() == ".txt" else read_midi(path, encoding)


def excerpt(midi: Midi, from_bar: int, n_bars: int) -> Midi:
    """Cut some bars out of a piece.

    Parameters
    ----------
    midi : Midi
    from_bar : int, the first bar, counted from 1
    n_bars : int, number of bars

    Returns
    -------
    Midi, beginning with the first of these bars

    Raises
    ------
    NumpyrnnError
        if the piece does not have the first bar, has no notes in these bars, or they last over ten minutes
    """
    bars = bars_of(midi)
    if not bars:
        raise NumpyrnnError("a piece must have notes to be heard, it has none")
    if from_bar > len(bars):
        raise NumpyrnnError(f"the first bar must lie in 1 to {len(bars)}, got {from_bar}")
    chosen = bars[from_bar - 1 : from_bar - 1 + n_bars]
    start, end = chosen[0][0], chosen[-1][0] + chosen[-1][1]
    notes = [
        note._replace(onset=note.onset - start, duration=min(note.duration, end - note.onset))
        for note in midi.notes
        if start <= note.onset < end
    ]
    if not notes:
        raise NumpyrnnError(f"bars {from_bar} to {from_bar - 1 + len(chosen)} must have notes, they have none")
    *_, first = (tempo for onset, tempo in midi.tempos if onset <= start)
    tempos = [(onset - start, tempo) for onset, tempo in midi.tempos if start < onset < end]
    cut = replace(midi, notes=notes, tempos=[(Fraction(0), first), *tempos], length=end - start)
    if cut.seconds(cut.length) > LONGEST_EXCERPT:
        raise NumpyrnnError(f"an excerpt must last at most {LONGEST_EXCERPT} seconds: take fewer bars than {n_bars}")
    return cut
