"""What comes in: written choruses and MIDI files become tunes."""
