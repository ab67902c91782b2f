"""Chord changes as musicians write them: bars, beats, repeats, and the shipped forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from workbench.files import data_path

from .charts.chart import LONGEST as LONGEST
from .charts.chart import Change, Chart, bar_length
from .charts.chart import parse_meter as parse_meter
from .charts.text import parse_chart
from .chords import Chord, parse_chord
from .feels import chosen, feel_in

FORMS = (
    *("blues-f", "blues-cm", "rhythm-changes", "ii-v-i", "minor-ii-v-i", "modal", "bossa", "waltz"),
    *("blues-bb", "blues-c", "blues-g-slow", "blues-34", "rhythm-changes-ab", "aaba-eb", "aaba-g", "abac-c", "abac-f"),
    *("swing-aaba", "swing-16", "verse-ab", "verse-bb", "cool-ab", "hard-bop-fm", "minor-aaba", "giant-cycle"),
    *("modal-g", "ballad-bb", "ballad-db", "bossa-dm", "waltz-am"),
)


@dataclass(frozen=True)
class Changes:
    """The chords of a form, bar by bar.

    Attributes
    ----------
    bars : list of bars, each a list of (onset within the bar in quarters, Chord)
    meter : (beats, unit)
    name, title : str
    feel : str, one of `feels.FEELS`
    ending : bool, whether the last bar is a held chord that ends the piece
    composer : str, empty if unknown
    key : str, such as "Bb" or "F#m"; empty if unknown
    tempo : int, quarters a minute; None if the chart says none
    sections : tuple of str, for each bar the label of the section that begins there, or empty; () if there are none
    doubles : tuple of bool, for each bar whether a double bar line ends it; () if there are none
    """

    bars: list[list[Change]]
    meter: tuple[int, int] = (4, 4)
    name: str = ""
    title: str = ""
    feel: str = "swing"
    ending: bool = False
    composer: str = ""
    key: str = ""
    tempo: int | None = None
    sections: tuple[str, ...] = ()
    doubles: tuple[bool, ...] = ()

    @classmethod
    def of(cls, chart: Chart) -> Changes:
        """The bars of a chart in the order in which they are played."""
        played = chart.played()
        following = [measure.section for measure in played[1:]] + [""]
        doubles = tuple(m.double or bool(section) for m, section in zip(played, following, strict=True))
        return cls(
            [list(measure.chords) for measure in played],
            chart.meter,
            title=chart.title,
            feel=feel_in(chart.feel, chart.meter),
            composer=chart.composer,
            key=chart.key,
            tempo=chart.tempo,
            sections=tuple(measure.section for measure in played) if any(m.section for m in played) else (),
            doubles=doubles if any(doubles) else (),
        )

    @property
    def bar(self) -> Fraction:
        """Length of a bar in quarters."""
        return bar_length(self.meter)

    @property
    def end(self) -> Fraction:
        """Length of the form in quarters."""
        return self.bar * len(self.bars)

    @property
    def grid(self) -> list[tuple[Fraction, Fraction]]:
        """(onset, length) of each bar, in quarters."""
        return [(self.bar * i, self.bar) for i in range(len(self.bars))]

    def flat(self) -> list[Change]:
        """All changes with their onsets from the beginning of the form."""
        return [(self.bar * i + onset, chord) for i, bar in enumerate(self.bars) for onset, chord in bar]

    def spans(self) -> Iterator[tuple[Fraction, Fraction, Chord, Chord]]:
        """(onset, length, chord, next chord) of each change except N.C.; after the last chord comes the first."""
        flat = self.flat()
        for (onset, chord), (end, following) in pairwise([*flat, (self.end, flat[0][1])]):
            if chord.tones:
                yield onset, end - onset, chord, following

    def times(self, choruses: int) -> Changes:
        """The form, repeated, with a double bar line at the end of each chorus."""
        doubles = (*(self.doubles or (False,) * len(self.bars))[:-1], True) * choruses
        return replace(self, bars=self.bars * choruses, sections=self.sections * choruses, doubles=doubles)

    def with_ending(self) -> Changes:
        """The form and one more bar, which resolves its last chord.

        A dominant resolves to the form's chord a fifth below; without one, to the key's tonic if that is there; or else
        to the form's first chord. Any other chord is repeated.
        """
        chords = [chord for _, chord in self.flat() if chord.root is not None]
        last, final = chords[-1], chords[-1]
        if last.root is not None and {4, 10} <= set(last.intervals):
            tonic = [parse_chord(self.key + "6")] if self.key else []
            found = [chord for chord in [*chords, *tonic] if chord.root == (last.root + 5) % 12]
            final = [*found, chords[0]][0]
        bars, sections, doubles = [*self.bars, [(Fraction(0), final)]], self.sections, self.doubles
        sections, doubles = (*sections, "") if sections else (), (*doubles, False) if doubles else ()
        return replace(self, bars=bars, sections=sections, doubles=doubles, ending=True)

    def __str__(self) -> str:
        return " | ".join(" ".join(str(chord) for _, chord in bar) for bar in self.bars)


def parse_changes(text: str, meter: tuple[int, int] | None = None) -> Changes:
    """Read changes as musicians write them, see `charts.text.parse_chart`.

    Parameters
    ----------
    text : str, such as "Dm7 G7 | Cmaj7 | %"
    meter : (beats, unit), optional; by default the meter that the text says, or else 4/4

    Returns
    -------
    Changes, with repeats written out

    Raises
    ------
    NumpyrnnError
        if it cannot be read
    """
    return Changes.of(parse_chart(text, meter))


def form_chart(name: str) -> Chart:
    """The chart of a shipped form, see `form`."""
    return parse_chart(data_path(f"forms/{chosen('a form', name, FORMS)}.txt").read_text("utf-8"))


def form(name: str) -> Changes:
    """The changes of a shipped form.

    Parameters
    ----------
    name : one of FORMS, in any case

    Returns
    -------
    Changes

    Raises
    ------
    NumpyrnnError
        if there is no such form
    """
    return replace(Changes.of(form_chart(name)), name=name.strip().lower())
