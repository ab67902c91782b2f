"""What goes out: the band, the performance, and the lead sheet."""
