"""A made-up chorus of a swing blues in F: solo, walking bass, comping piano and drums; for the tests of the sound."""

from fractions import Fraction

from music.midi import Midi, Note

TEMPO = 400_000  # microseconds a quarter, 150 quarters a minute
CHORDS = ["F7", "Bb7", "F7", "F7", "Bb7", "Bb7", "F7", "D7", "Gm7", "C7", "F7", "C7"]
VOICINGS = {
    "F7": (51, 55, 57, 62),
    "Bb7": (50, 56, 60, 65),
    "D7": (54, 57, 60, 64),
    "Gm7": (53, 57, 58, 62),
    "C7": (52, 57, 58, 62),
}
ROOTS = {"F7": 41, "Bb7": 34, "D7": 38, "Gm7": 43, "C7": 36}
LINE = [0, 3, 4, 7, 9, 10, 14, 12, 9, 7, 5, 4]  # semitones above the root, one an eighth
THIRD = Fraction(1, 3)


def solo(program=66):
    """Swung eighths in phrases of seven beats, a beat of rest after each, louder off the beat."""
    notes = []
    for eighth in range(96):
        if eighth % 16 >= 14:
            continue
        beat, off = divmod(eighth, 2)
        root = ROOTS[CHORDS[eighth // 8]]
        pitch = 60 + root % 12 + LINE[eighth % 12]
        notes.append(Note(beat + off * 2 * THIRD, (1 + (not off)) * THIRD, pitch, 92 + 6 * off, 0, program))
    return notes


def bass():
    steps = (0, 4, 7, 9)
    return [
        Note(Fraction(4 * bar + beat), Fraction(1), ROOTS[chord] + steps[beat], 86 - 2 * (beat % 2), 2, 32)
        for bar, chord in enumerate(CHORDS)
        for beat in range(4)
    ]


def piano():
    """Two chords a bar, one of them off the beat."""
    strikes = [(Fraction(0), 2 * THIRD), (Fraction(5, 3), 2 * THIRD)]
    return [
        Note(4 * bar + at + bar % 2, length, pitch, 60 + bar % 3, 1, 0)
        for bar, chord in enumerate(CHORDS)
        for at, length in strikes
        for pitch in VOICINGS[chord]
    ]


def drums():
    """The ride's pattern, the pedal on 2 and 4, soft kicks, a comment of the snare, a crash at the top."""
    hits = [(Fraction(0), 49, 90)]
    for bar in range(12):
        at = Fraction(4 * bar)
        hits += [(at + beat, 51, 80 + 8 * (beat % 2)) for beat in range(4)]
        hits += [(at + beat + 2 * THIRD, 51, 62) for beat in (1, 3)]
        hits += [(at + beat, 44, 64) for beat in (1, 3)]
        hits += [(at + beat, 36, 42) for beat in range(4)]
        hits += [(at + 2 + 2 * THIRD, 38, 55)] if bar % 2 else [(at + 2 * THIRD, 36, 72)]
    return [Note(at, THIRD, pitch, velocity, 9) for at, pitch, velocity in hits]


PARTS = {"solo": solo, "bass": bass, "piano": piano, "drums": drums}


def blues(*parts, program=66):
    """The chorus, or some of its parts."""
    notes = [note for part in parts or PARTS for note in (solo(program) if part == "solo" else PARTS[part]())]
    return Midi(sorted(notes, key=lambda note: note.onset), tempos=[(Fraction(0), TEMPO)], length=Fraction(48))
