"""Music as MIDI, sound and pictures; shared by the programs `jazz` and `piano`."""
