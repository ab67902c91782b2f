"""Charts: chords as they stand on paper, with repeats, endings and jumps, and the forms in which they come."""
