"""Jazz: MIDI in, values, an LSTM that learns them, and a new solo over chord changes out."""
