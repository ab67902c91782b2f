"""Jazz: MIDI in, values, an LSTM that learns them, and a new solo over chord changes out.

>>> import jazz
>>> solo = jazz.improvise(chords="Dm7 | G7 | Cmaj7 | %", seed=1)
>>> files = solo.write("solo.mid")  # doctest: +SKIP
"""

from typing import Any

__all__ = ["Solo", "improvise"]


def __getattr__(name: str) -> Any:
    """`improvise` and `Solo`, imported when they are first used: music21 takes half a second."""
    if name in __all__:
        from .playing import performance

        return getattr(performance, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
