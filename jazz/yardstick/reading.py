"""Solos to be measured, from MIDI files, written choruses and lines."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import log10
from operator import attrgetter, itemgetter
from pathlib import Path

import music.midi
from music.files import naming
from music.midi import Midi, as_tempo, read_midi
from music.reader import ENCODING
from numpyrnn import NumpyrnnError

from ..changes import Changes
from ..charts.chart import Change
from ..charts.files import read_chart
from ..chords import Chord
from ..grammar import Element
from ..reading.choruses import read_chorus
from ..reading.estimate import estimate_chords
from ..reading.tracks import Choice, bars_of, choose, own_part, parts_of
from ..reading.written import SOLO, drums_alone, marks_of
from ..soloist import TEMPO
from .solo import Note, Solo

EARLY = Fraction(9, 10)  # a note that begins later in a beat belongs to the next one
TOGETHER = Fraction(1, 16)  # quarters between notes that count as one onset
HALF_BAR = Fraction(2)  # quarters; a chord that changes within a bar does so at half of it

onset_of = attrgetter("onset")
Bars = Sequence[tuple[Fraction, Fraction]]


def read_solo(path: Path, melody: str | None = None, chords: str | None = None, encoding: str = ENCODING) -> Solo:
    """Read a solo from a MIDI file or a written chorus (.txt).

    Parameters
    ----------
    path : file
    melody : str, optional, number or name of the solo's part in a MIDI file; default: the part "Solo", as `jazz` writes
        it, or else the one that `jazz doctor` finds
    chords : str, optional, changes see `charts.files.read_chart`, from the first bar on, repeated as often as
        needed; default: those of the file
    encoding : str, default "latin-1", of the parts' names in MIDI files, where they are not UTF-8

    Returns
    -------
    Solo; of a MIDI file without count-in, heads, bars of drums alone, and silent bars at both ends

    Raises
    ------
    NumpyrnnError
        if the file or the chords cannot be read, or the solo has fewer than two notes
    """
    if path.suffix.lower() == ".txt":
        chorus = read_chorus(path)
        notes = [(note.onset, note.onset + note.duration, note.pitch) for note in chorus.melody]
        with naming(path):
            return solo_of_notes(chorus.name, notes, chorus.changes, chords, chorus.tempo)
    midi = read_midi(path, encoding)
    with naming(path):
        return solo_of_midi(midi, path.stem, melody, chords)


def solo_of_notes(
    name: str,
    notes: Iterable[tuple[Fraction, Fraction, int]],
    changes: Changes,
    chords: str | None = None,
    tempo: float = TEMPO,
) -> Solo:
    """Make a solo of notes as they are written, without swing.

    Parameters
    ----------
    name : str
    notes : (begin, end, pitch) of each note, in quarters
    changes : Changes, which say how many bars there are
    chords : str, optional, other changes, as for `read_solo`
    tempo : float, default 130, quarters a minute

    Returns
    -------
    Solo
    """
    bars = changes.grid
    placed = [Note(*bar_of(begin, bars), pitch, begin, end) for begin, end, pitch in notes]
    flat = changes.flat() if chords is None else repeated(chords, changes.meter, bars)
    return Solo.of(name, placed, flat, [length for _, length in bars], tempo)


def bar_of(time: Fraction, bars: Bars) -> tuple[int, Fraction]:
    """The index of the bar at a time, and the place in it, in quarters."""
    bar = bisect_right(bars, time, key=itemgetter(0)) - 1
    return bar, time - bars[bar][0]


def solo_of_midi(midi: Midi, name: str, melody: str | None = None, chords: str | None = None) -> Solo:
    """The solo of a MIDI file; see `read_solo`."""
    melody = own_part(midi) if melody is None else melody
    choice, bars = choose(midi, melody), bars_of(midi)
    changes = chords_of(midi, choice, bars) if chords is None else repeated(chords, midi.meters[0][1:], bars)
    tempo = as_tempo(midi.tempos[bisect_right(midi.tempos, choice.melody.notes[0].onset, key=itemgetter(0)) - 1][1])
    solo = Solo.of(name, _performed(choice.melody.notes, bars), changes, [length for _, length in bars], tempo)
    start, stop = marks_of(midi).span(SOLO, solo.length) or (Fraction(0), solo.length)
    band = any(not part.drums and part.number != choice.melody.number for part in parts_of(midi))
    alone, played = drums_alone(midi, bars) if band else set[int](), {note.bar for note in solo.notes}
    own = [i for i, (onset, _) in enumerate(bars) if start <= onset < stop and i not in alone]
    sounding = [place for place, i in enumerate(own) if i in played] or [0]
    return solo.of_bars(own[sounding[0] : sounding[-1] + 1])


def _performed(notes: Sequence[music.midi.Note], bars: Bars) -> list[Note]:
    """Notes in their bars; early ones count to the next beat, and of notes that begin together the highest is kept."""
    kept: list[Note] = []
    for note in sorted(notes, key=lambda note: note.onset):
        bar, place = bar_of(note.onset, bars)
        if place % 1 > EARLY and place // 1 + 1 < bars[bar][1]:
            place = Fraction(place // 1 + 1)
        elif place > bars[bar][1] - (1 - EARLY) and bar + 1 < len(bars):
            bar, place = bar + 1, Fraction(0)
        loudness = 40 * log10(note.velocity / 127)
        new = Note(bar, place, note.pitch, note.onset, note.onset + note.duration, loudness)
        if kept and note.onset - kept[-1].begin <= TOGETHER:
            kept[-1] = max(kept[-1], new, key=lambda note: note.pitch)
        else:
            kept.append(new)
    return kept


def repeated(chords: str, meter: tuple[int, int], bars: Bars) -> list[Change]:
    """The changes of a chart (see `charts.files.read_chart`), repeated to the end of the bars."""
    changes = Changes.of(read_chart(chords, meter=f"{meter[0]}/{meter[1]}"))
    stop = bars[-1][0] + bars[-1][1]
    flat = changes.times(-int(-stop // changes.end)).flat()
    return [change for change in flat if change[0] < stop]


def chords_of(midi: Midi, choice: Choice, bars: Bars) -> list[Change]:
    """The chords of a MIDI file: its markers, if all are chord symbols, or else estimated.

    They are estimated from all parts but the melody and the drums. If there is a part with chords, a bar has a second
    chord where this part changes in its second half. Of a bass, only the first note under each chord counts: it is most
    often the root.

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
    if choice.symbols:
        return choice.symbols
    struck = sorted(choice.chords.elements, key=onset_of) if choice.chords else []
    windows = [window for bar in bars for window in _windows(bar, struck)]
    notes: list[music.midi.Note] = []
    for part in parts_of(midi):
        if part.is_bass and choice.chords and part.number != choice.melody.number:
            onsets = [note.onset for note in part.notes]
            firsts = {bisect_left(onsets, onset - (1 - EARLY)) for onset, _ in windows} - {len(onsets)}
            notes += [part.notes[i] for i in firsts]
        elif part.number != choice.melody.number and not part.drums:
            notes += part.notes
    found: list[Change] = []
    for element in estimate_chords(notes, windows):
        tones = tuple(dict.fromkeys(pitch % 12 for pitch in element.pitches))
        chord = Chord("estimated", tones[0], tones, tones[0])
        if not found or found[-1][1] != chord:
            found.append((element.onset, chord))
    if not found:
        raise NumpyrnnError("it must have chords, but nothing sounds beside the solo; --chords gives them")
    return found


def _windows(bar: tuple[Fraction, Fraction], struck: Sequence[Element]) -> Bars:
    """A bar, or its two halves if the last chords that are struck in them have different pitch classes."""
    halves = [(bar[0], HALF_BAR), (bar[0] + HALF_BAR, HALF_BAR)]
    last = []
    for start, length in halves:
        first, stop = (bisect_left(struck, time, key=onset_of) for time in (start, start + length))
        last.append({pitch % 12 for pitch in struck[stop - 1].pitches} if stop > first else None)
    changes = None not in last and last[0] != last[1]
    return halves if changes and bar[1] == 2 * HALF_BAR else [bar]
