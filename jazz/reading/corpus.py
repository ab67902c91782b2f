"""Training data: choruses in text and MIDI files become tunes, and choruses become MIDI files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from music.midi import Midi, Note, as_tempo, read_midi
from numpyrnn import NumpyrnnError
from workbench.files import data_path

from ..changes import Change
from ..swing import swung
from ..tunes import Tune, chord_pitches
from .choruses import Chorus, read_chorus, tune_of_chorus
from .tracks import bars_of, choose, tune_of_midi

MIDI_ENDINGS = (".mid", ".midi", ".kar", ".rmi")


def shipped_choruses() -> list[Path]:
    """The files of the shipped choruses, by name."""
    return sorted(data_path("choruses").glob("*.txt"))


def read_tunes(
    paths: Sequence[Path],
    melody: str | None = None,
    chords: str | None = None,
    from_bar: int | None = None,
    to_bar: int | None = None,
    on_refused: Callable[[NumpyrnnError], object] | None = None,
) -> list[Tune]:
    """The tunes of files: MIDI (by ending) or choruses in text.

    Parameters
    ----------
    paths : files, or folders whose files count
    melody, chords, from_bar, to_bar : for MIDI files, see `tracks.choose` and `tracks.tune_of_midi`
    on_refused : called with the reason for each file of a folder that cannot be used; default: that is an error too

    Returns
    -------
    list of Tune, with different names

    Raises
    ------
    NumpyrnnError
        if a file that is named, or all files of a folder, cannot be used
    """

    def read(file: Path) -> Tune:
        if file.suffix.lower() == ".txt":
            return tune_of_chorus(read_chorus(file))
        try:
            midi = read_midi(file)
            return tune_of_midi(midi, choose(midi, melody, chords), file.stem, from_bar, to_bar)[0]
        except NumpyrnnError as error:
            raise error if str(file) in str(error) else NumpyrnnError(f"{file}: {error}") from error

    tunes: list[Tune] = []
    for path in paths:
        if not path.is_dir():
            tunes.append(read(path))
            continue
        found, before = sorted(f for f in path.iterdir() if f.suffix.lower() in (*MIDI_ENDINGS, ".txt")), len(tunes)
        for file in found:
            try:
                tunes.append(read(file))
            except NumpyrnnError as error:
                if on_refused is None:
                    raise
                on_refused(error)
        if len(tunes) == before:
            raise NumpyrnnError(f"{path} must hold MIDI files or choruses (.txt) that can be used, it holds none")
    names: set[str] = set()
    for i, tune in enumerate(tunes):
        candidates = (tune.name, *(f"{tune.name} ({k})" for k in range(2, len(tunes) + 2)))
        tunes[i] = replace(tune, name=next(name for name in candidates if name not in names))
        names.add(tunes[i].name)
    return tunes


def chorus_midi(chorus: Chorus, straight: bool = False) -> Midi:
    """A chorus as MIDI: the tracks "Melody" and "Chords", swung where its feel is swing.

    Parameters
    ----------
    chorus : Chorus
    straight : bool, default False
        Leave the eighths as they are written, whatever the feel.

    Returns
    -------
    Midi
    """
    end = chorus.bar * chorus.n_bars
    notes = [Note(tone.onset, tone.duration, tone.pitch, 90, 0, 66, 1) for tone in chorus.melody]
    closing: list[Change] = [(end, chorus.chords[0][1])]
    for (onset, chord), (following, _) in pairwise([*chorus.chords, *closing]):
        if chord.tones:
            pitches = dict.fromkeys(chord_pitches(chord))
            notes += [Note(onset, following - onset, pitch, 64, 1, 0, 2) for pitch in pitches]
    if chorus.feel == "swing" and not straight:
        notes = swung(notes)
    names = [chorus.title, "Melody", "Chords"]
    notes.sort(key=lambda note: (note.onset, note.track))
    return Midi(notes, names, [(Fraction(0), as_tempo(chorus.tempo))], [(Fraction(0), *chorus.meter)], end)


def read_music(path: Path, straight: bool = False) -> Midi:
    """A MIDI file, or a written chorus (.txt) as it sounds."""
    return chorus_midi(read_chorus(path), straight) if path.suffix.lower() == ".txt" else read_midi(path)


def excerpt(midi: Midi, from_bar: int, n_bars: int) -> Midi:
    """Some bars of a piece, from their beginning on.

    Parameters
    ----------
    midi : Midi
    from_bar : int, the first, from 1
    n_bars : int, how many

    Returns
    -------
    Midi

    Raises
    ------
    NumpyrnnError
        if the piece ends before, or has no notes there
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
    before = [(tempo_at, tempo) for tempo_at, tempo in midi.tempos if tempo_at <= start]
    tempos = [(max(onset - start, Fraction(0)), tempo) for onset, tempo in midi.tempos if start < onset < end]
    return replace(midi, notes=notes, tempos=[(Fraction(0), before[-1][1]), *tempos], length=end - start)
