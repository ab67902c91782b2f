"""The 38 measures of a solo, by name, and those in which performances and scores differ."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from . import melody, rhythm
from .solo import Solo
from .statistics import mean, spread


class Measure(NamedTuple):
    """A measure.

    Attributes
    ----------
    what : str, for tables
    of : function from a solo to the value; NaN if the solo has nothing to measure
    percent : bool, whether the value is a share, shown in per cent
    digits : int, decimals that are shown
    """

    what: str
    of: Callable[[Solo], float]
    percent: bool = False
    digits: int = 1


def _share(what: str, of: Callable[[Solo], float]) -> Measure:
    return Measure(what, of, percent=True)


MEASURES = {
    "H1": Measure("entropy of pitch classes, 1 bar (bits)", partial(melody.pitch_entropy, bars=1), digits=2),
    "H4": Measure("entropy of pitch classes, 4 bars (bits)", partial(melody.pitch_entropy, bars=4), digits=2),
    "GS": Measure("grooving similarity of bars", rhythm.grooving, digits=3),
    "rec": _share("patterns that come again", melody.patterns_again),
    "rec_c": _share("contours that come again", partial(melody.patterns_again, contour=True)),
    "ct_strong": _share("chord tones on beats 1 and 3", partial(melody.chord_tones, places=melody.STRONG)),
    "ct_beat": _share("chord tones on beats", melody.chord_tones),
    "ct_off": _share("chord tones off the beat", partial(melody.chord_tones, on_beat=False)),
    "chrom": _share("chromatic notes", melody.chromatic),
    "chrom_res": _share("of these, resolved", melody.chromatic_resolved),
    "nct_res": _share("of no chord tones, resolved", melody.others_resolved),
    "encl_100": Measure("enclosures in 100 notes", melody.enclosures),
    "cc_step": _share("new roots reached by step", melody.root_by_step),
    "cc_guide": _share("new roots begun on third or seventh", melody.root_by_guide),
    "i0": _share("repeated notes", partial(melody.moves, low=0, high=0)),
    "i12": _share("steps", partial(melody.moves, low=1, high=2)),
    "i34": _share("thirds", partial(melody.moves, low=3, high=4)),
    "i57": _share("fourths and fifths", partial(melody.moves, low=5, high=7)),
    "i8": _share("sixths to octaves", partial(melody.moves, low=8, high=12)),
    "turn": _share("changes of direction", melody.turns),
    "leap_turn": _share("leaps followed by a turn", melody.leaps_turned),
    "npb": Measure("notes a bar of 4/4", rhythm.density),
    "off": _share("notes off the beat", rhythm.off_beat),
    "sync": _share("held over the next beat", rhythm.syncopation),
    "ioi8": _share("eighths among inter-onset intervals", rhythm.eighths),
    "ioi_ent": Measure("entropy of inter-onset intervals (bits)", rhythm.ioi_entropy, digits=2),
    "trip": _share("beats with triplets", partial(rhythm.beats_with, places=rhythm.TRIPLETS)),
    "six": _share("beats with sixteenths", partial(rhythm.beats_with, places=rhythm.SIXTEENTHS)),
    "uniq_bar": _share("different rhythms of bars", rhythm.distinct_bars),
    "run8": Measure("longest run of eighths (notes)", rhythm.longest_eighths),
    "dens_sd": Measure("spread of notes a bar", rhythm.density_spread),
    "empty": _share("bars without a note begun", rhythm.empty_bars),
    "ph_notes": Measure("notes a phrase", lambda solo: mean(rhythm.phrase_lengths(solo))),
    "ph_notes_sd": Measure("spread of notes a phrase", lambda solo: spread(rhythm.phrase_lengths(solo))),
    "arc_d": Measure("arc of density", rhythm.density_arc, digits=2),
    "arc_h": Measure("arc of height (semitones)", melody.height_arc),
    "range": Measure("range (semitones)", melody.pitch_range),
    "r90": Measure("range of 90 % (semitones)", partial(melody.pitch_range, outside=0.05)),
}
# Apart: players perform, scores do not.
PERFORMANCE = {
    "loudness": Measure("spread of loudness (dB)", rhythm.loudness_spread),
    "swing": Measure("swing ratio", rhythm.swing, digits=2),
    "late": Measure("lateness (ms)", rhythm.lateness),
    "artic": Measure("articulation", rhythm.articulation, digits=2),
}


def measure(solo: Solo) -> dict[str, float]:
    """All measures of a solo.

    Parameters
    ----------
    solo : Solo

    Returns
    -------
    dict from the names in MEASURES and PERFORMANCE to values; NaN where the solo has nothing to measure
    """
    return {name: found.of(solo) for name, found in (MEASURES | PERFORMANCE).items()}
