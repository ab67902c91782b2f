"""Playing: the band, the performance, and the lead sheet."""
