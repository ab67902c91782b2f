"""Which note-off ends which note."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


def end_notes(events: Iterable[list[int]], last: int) -> None:
    """Set the ends of the notes of one pitch on one channel of one track.

    A note-off ends the oldest note that sounds. It is ignored if no note sounds. So notes overlap where the note-offs
    say so. If there are fewer note-offs than notes, some were lost. A note whose note-off was lost ends when the pitch
    is struck again, or else with the track.

    Parameters
    ----------
    events : iterable of lists, in the file's order
        [onset, end, ...] for a note, whose end is set, and [tick] for a note-off.
    last : int, tick at which the track ends
    """
    passed: list[list[int]] = []  # the note-offs of a tick come before its notes, and each has a note
    struck: deque[list[int]] = deque()  # the notes of the current tick
    sounding = now = 0
    for event in events:
        if event[0] > now:
            passed += struck
            sounding, now = sounding + len(struck), event[0]
            struck.clear()
        if len(event) > 1:
            struck.append(event)
        elif sounding:
            passed.append(event)
            sounding -= 1
        elif struck:
            struck.popleft()[1] = now
    notes: list[list[int]] = []
    offs: list[list[int]] = []
    following = last
    for event in reversed([*passed, *struck]):
        if len(event) == 1:
            offs.append(event)
            continue
        if len(notes) < len(offs):
            notes.append(event)
        else:  # all later note-offs end later notes
            event[1] = following
        following = event[0]
    for note, off in zip(notes, offs, strict=True):
        note[1] = off[0]
