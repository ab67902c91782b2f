"""Sonnets: a character-level recurrent network that learns a text, such as Shakespeare's sonnets, and continues it."""
