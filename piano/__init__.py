"""Piano music: MIDI files become notes and chords, a network learns which comes next, and new music is written."""
