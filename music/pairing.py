"""Which note-off ends which note."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import groupby

Event = list[int] | int  # [onset, end, ...] of a note, or the tick of a note-off


def end_notes(events: Sequence[Event], last: int, cuts: Sequence[int] = ()) -> None:
    """Set the ends of the notes of one voice: the notes of one pitch on one channel of one track.

    A note-off ends the oldest note that sounds. It is ignored if no note sounds. So notes overlap where the note-offs
    say so. If fewer note-offs than notes follow, some were lost. A note whose note-off was lost ends when the pitch is
    struck again, or else at the next cut or the end of the track.

    Parameters
    ----------
    events : list of Event, in the file's order; the second number of each note is set
    last : int, tick at which the track ends
    cuts : list of int, sorted; at each of these ticks all notes end that began earlier
    """
    passed: list[Event] = []  # since the last cut, with the note-offs of a tick before its notes
    sounding = n_cuts = 0
    for tick, group in groupby(events, _tick):
        if bisect_left(cuts, tick) > n_cuts:
            _pair(passed, cuts[n_cuts])
            passed, sounding = [], 0
        struck: list[list[int]] = []
        for event in group:
            if not isinstance(event, int):
                struck.append(event)
            elif sounding:
                passed.append(event)
                sounding -= 1
            elif struck:
                struck.pop(0)[1] = tick
        n_cuts = bisect_right(cuts, tick)
        if n_cuts and cuts[n_cuts - 1] == tick:
            _pair(passed, tick)
            passed, sounding = [], 0
        passed += struck
        sounding += len(struck)
    _pair(passed, cuts[n_cuts] if n_cuts < len(cuts) else last)


def _tick(event: Event) -> int:
    return event if isinstance(event, int) else event[0]


def _pair(events: Sequence[Event], end: int) -> None:
    """Set the ends of notes when each note-off has a note; those of lost note-offs end at the next note, or at `end`.

    From the end backwards, a note is without a note-off if all later note-offs belong to later notes.
    """
    notes: list[list[int]] = []
    offs: list[int] = []
    following = end
    for event in reversed(events):
        if isinstance(event, int):
            offs.append(event)
            continue
        if len(notes) < len(offs):
            notes.append(event)
        else:
            event[1] = following
        following = event[0]
    for note, off in zip(notes, offs, strict=True):
        note[1] = off
