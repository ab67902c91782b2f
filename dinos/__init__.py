"""Dinosaur names: a character-level recurrent network that learns real ones and invents new ones."""
