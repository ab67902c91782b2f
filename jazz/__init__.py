"""Jazz: an LSTM learns solos from MIDI files and plays new ones over chord changes.

>>> import jazz
>>> solo = jazz.improvise(chords="Dm7 | G7 | Cmaj7 | %", seed=1)
>>> files = solo.write("solo.mid")  # doctest: +SKIP
"""

from typing import Any

__all__ = ["Solo", "improvise"]


def __getattr__(name: str) -> Any:
    """Import `improvise` or `Solo` when first used: NumPy must not be loaded before the number of threads is set."""
    if name in __all__:
        from .playing import performance

        return getattr(performance, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
