"""Sonnets: a character-level recurrent network that learns any text, Shakespeare's sonnets first, and writes on."""
