"""Reading: written choruses and MIDI files become tunes."""
