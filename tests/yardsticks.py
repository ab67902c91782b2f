"""Made-up solos to measure."""

from fractions import Fraction

from jazz.changes import parse_changes
from jazz.yardstick.reading import solo_of_notes
from jazz.yardstick.solo import Note, Solo

F = Fraction


def made(notes, chords="Cmaj7", bars=None):
    """A solo as written. `notes` are (onset, pitch) or (onset, pitch, duration) in quarters, by default eighths."""
    changes = parse_changes(chords)
    if bars:
        changes = changes.times(-(-bars // len(changes.bars)))
    return solo_of_notes("made up", [(F(o), F(o) + F(*d or (F(1, 2),)), pitch) for o, pitch, *d in notes], changes)


def line(pitches, chords="Cmaj7", step=0.5, bars=1, start=0):
    """A solo of notes of equal length, one after the other."""
    return made([(start + i * step, pitch, step) for i, pitch in enumerate(pitches)], chords, bars)


def performed(places, chords="Cmaj7", bars=1, tempo=120, loudness=None):
    """A solo whose notes are (written onset, performed begin, performed end), all on middle C."""
    bar = F(4)
    notes = [
        Note(int(F(o) // bar), F(o) % bar, 60, F(begin), F(end), None if loudness is None else loudness[i])
        for i, (o, begin, end) in enumerate(places)
    ]
    return Solo.of("performed", notes, parse_changes(chords).times(bars).flat(), [bar] * bars, tempo)
