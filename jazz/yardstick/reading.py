"""Solos to be measured, from MIDI files, written choruses and lines."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import log10
from operator import itemgetter
from pathlib import Path

import music.midi
from music.files import naming
from music.midi import DRUMS, Midi, as_tempo, read_midi
from music.reader import ENCODING
from numpyrnn import NumpyrnnError

from ..changes import Changes, parse_changes
from ..charts.chart import Change
from ..chords import Chord
from ..grammar import Element
from ..playing.band import NAMES, SOLO
from ..reading.choruses import Chorus, read_chorus
from ..reading.estimate import estimate_chords
from ..reading.tracks import Choice, bars_of, choose, parts_of
from ..soloist import Line
from .solo import Note, Solo

EARLY = Fraction(9, 10)  # a note that begins later in a beat belongs to the next one
TOGETHER = Fraction(1, 16)  # quarters between notes that count as one onset
HALF_BAR = Fraction(2)  # quarters; a chord that changes within a bar does so at half of it
LINE_TEMPO = 130.0  # quarters a minute, of solos that have none

Bars = Sequence[tuple[Fraction, Fraction]]


def read_solo(path: Path, melody: str | None = None, chords: str | None = None, encoding: str = ENCODING) -> Solo:
    """Read a solo from a MIDI file or a written chorus (.txt).

    Parameters
    ----------
    path : file
    melody : str, optional, number or name of the solo's part in a MIDI file; default: the part "Solo", as `jazz` writes
        it, or else the one that `jazz doctor` finds
    chords : str, optional, changes such as "Dm7 G7 | Cmaj7", repeated as often as needed from the first bar on; default:
        those of the file
    encoding : str, default "latin-1", of the parts' names in MIDI files, where they are not UTF-8

    Returns
    -------
    Solo; of a MIDI file without the silent bars at both ends

    Raises
    ------
    NumpyrnnError
        if the file or the chords cannot be read, or the solo has fewer than two notes
    """
    if path.suffix.lower() == ".txt":
        chorus = read_chorus(path)
        with naming(path):
            return solo_of_chorus(chorus, chords)
    midi = read_midi(path, encoding)
    with naming(path):
        return solo_of_midi(midi, path.stem, melody, chords)


def solo_of_chorus(chorus: Chorus, chords: str | None = None) -> Solo:
    """The solo of a written chorus, with other chords than its own if they are given."""
    changes = chorus.changes if chords is None else parse_changes(chords, chorus.changes.meter)
    notes = [(note.onset, note.onset + note.duration, note.pitch, None) for note in chorus.melody]
    bars = chorus.changes.grid
    return Solo.of(
        chorus.name, _written(notes, bars), _repeated(changes, bars), [length for _, length in bars], chorus.tempo
    )


def solo_of_line(line: Line, name: str = "solo", tempo: float = LINE_TEMPO) -> Solo:
    """The solo of a line, without swing."""
    bars, changes = line.changes.grid, line.changes
    notes = [(e.onset, e.end, max(e.pitches), None) for e in line.elements if e.pitches]
    return Solo.of(name, _written(notes, bars), changes.flat(), [length for _, length in bars], tempo)


def solo_of_midi(midi: Midi, name: str, melody: str | None = None, chords: str | None = None) -> Solo:
    """The solo of a MIDI file; see `read_solo`."""
    if melody is None:
        own = [str(part.number) for part in parts_of(midi) if part.name == NAMES[SOLO]]
        melody = own[0] if len(own) == 1 else None
    choice, bars = choose(midi, melody), bars_of(midi)
    if chords is None:
        changes = chords_of(midi, choice, bars)
    else:
        changes = _repeated(parse_changes(chords, midi.meters[0][1:]), bars)
    tempo = as_tempo(midi.tempos[bisect_right(midi.tempos, choice.melody.notes[0].onset, key=itemgetter(0)) - 1][1])
    solo = Solo.of(name, _performed(choice.melody.notes, bars), changes, [length for _, length in bars], tempo)
    first, last = solo.notes[0].bar, solo.notes[-1].bar
    return solo.excerpt(first, last + 1 - first)


Heard = tuple[Fraction, Fraction, int, float | None]  # begin, end, pitch, loudness


def _written(heard: Sequence[Heard], bars: Bars) -> list[Note]:
    """Notes in their bars, on the places where they are written."""
    found = []
    for begin, end, pitch, loudness in heard:
        bar = bisect_right(bars, begin, key=itemgetter(0)) - 1
        found.append(Note(bar, begin - bars[bar][0], pitch, begin, end, loudness))
    return found


def _performed(notes: Sequence[music.midi.Note], bars: Bars) -> list[Note]:
    """Notes in their bars; early ones count to the next beat, and of notes that begin together the highest is kept."""
    kept: list[Note] = []
    for note in sorted(notes, key=lambda note: note.onset):
        bar = bisect_right(bars, note.onset, key=itemgetter(0)) - 1
        start, length = bars[bar]
        place = note.onset - start
        if place % 1 > EARLY and place // 1 + 1 < length:
            place = place // 1 + 1
        elif place > length - (1 - EARLY) and bar + 1 < len(bars):
            bar, place = bar + 1, Fraction(0)
        loudness = 40 * log10(note.velocity / 127)
        new = Note(bar, place, note.pitch, note.onset, note.onset + note.duration, loudness)
        if kept and note.onset - kept[-1].begin <= TOGETHER:
            kept[-1] = max(kept[-1], new, key=lambda note: note.pitch)
        else:
            kept.append(new)
    return kept


def _repeated(changes: Changes, bars: Bars) -> list[Change]:
    """Changes, repeated to the end of the bars."""
    stop = bars[-1][0] + bars[-1][1]
    times = -(-stop // changes.end)
    return [(onset, chord) for onset, chord in changes.times(int(times)).flat() if onset < stop]


def chords_of(midi: Midi, choice: Choice, bars: Bars) -> list[Change]:
    """The chords of a MIDI file, estimated from all parts but the melody and the drums.

    If there is a part with chords, a bar has a second chord where this part changes in its second half. Of a bass, only
    the first note under each chord counts: it is most often the root.

    Parameters
    ----------
    midi : Midi
    choice : Choice of the melody and the chords
    bars : list of (onset, length), quarters

    Returns
    -------
    list of (onset, Chord)

    Raises
    ------
    NumpyrnnError
        if nothing but the melody and drums sounds
    """
    parts = [part for part in parts_of(midi) if part.number != choice.melody.number and not part.drums]
    struck = sorted(choice.chords.elements, key=lambda e: e.onset) if choice.chords else []
    windows = [window for bar in bars for window in _windows(bar, struck)]
    notes = [note for part in parts if not part.is_bass or not choice.chords for note in part.notes]
    for part in parts if choice.chords else []:
        if part.is_bass:
            onsets = [note.onset for note in part.notes]
            firsts = {bisect_left(onsets, onset - (1 - EARLY)) for onset, _ in windows} - {len(onsets)}
            notes += [part.notes[i] for i in firsts]
    elements = estimate_chords([note for note in notes if note.channel != DRUMS], windows)
    if not elements:
        raise NumpyrnnError("it must have chords, but nothing sounds beside the solo; --chords gives them")
    found: list[Change] = []
    for element in elements:
        chord = _chord(element)
        if not found or found[-1][1] != chord:
            found.append((element.onset, chord))
    return found


def _windows(bar: tuple[Fraction, Fraction], struck: Sequence[Element]) -> Bars:
    """A bar, or its two halves if the chords that are struck in them have different pitch classes."""
    onset, length = bar
    if length != 2 * HALF_BAR:
        return [bar]
    middle = onset + HALF_BAR

    def classes(start: Fraction) -> list[set[int]]:
        first = bisect_left(struck, start, key=lambda e: e.onset)
        stop = bisect_left(struck, start + HALF_BAR, key=lambda e: e.onset)
        return [{pitch % 12 for pitch in e.pitches} for e in struck[first:stop]]

    first, second = classes(onset), classes(middle)
    if first and second and first[-1] != second[-1]:
        return [(onset, HALF_BAR), (middle, HALF_BAR)]
    return [bar]


def _chord(element: Element) -> Chord:
    """A chord as estimated: its first tone is the root."""
    root = element.root or 0
    tones = tuple(dict.fromkeys(pitch % 12 for pitch in element.pitches))
    return Chord("estimated", root, tones, root)
