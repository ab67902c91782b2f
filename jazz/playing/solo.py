"""A solo with its band, as it is heard, seen and written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from music.midi import Midi, Note
from music.outputs import Performance, endings_of, side_by_side
from workbench.terminal import counted

from ..changes import Changes
from ..evaluation import Copied
from ..instruments import TENOR, Instrument, notation
from ..soloist import Line
from .band import SOLO
from .plan import notes_of

TITLE_BARS = 4
KINDS = {"C": "chord tone", "S": "scale tone", "A": "approach tone", "X": "other"}


@dataclass(frozen=True, repr=False)
class Solo(Performance):
    """A solo over changes, with its rhythm section.

    Attributes
    ----------
    line : Line, all that the solo's part has: the values and notes as they are written, of the heads, too
    midi : Midi, the whole band as it sounds; the solo is alone on its track "Solo" and on channel 0
    tempo : int, quarters a minute
    seed : int, which makes the same solo again
    copied : Copied, the longest run of values that equals a run in a training tune
    improvised : Line, the solo without the heads
    instrument : Instrument that plays the solo
    transpose : str, optional, the key for which the lead sheet is written, see `instruments.notation`
    takes : tuple of Solo, if there were several takes: all of them, the best one first
    told : tuple of str, lines about keys that differ
    traded : tuple of int, bars of `improvised` that the drums play alone
    """

    line: Line
    midi: Midi
    tempo: int
    seed: int
    copied: Copied
    improvised: Line
    instrument: Instrument = TENOR
    transpose: str | None = None
    takes: tuple[Solo, ...] = ()
    told: tuple[str, ...] = ()
    traded: tuple[int, ...] = ()

    @property
    def changes(self) -> Changes:
        """The chords, of all choruses."""
        return self.line.changes

    @property
    def loops(self) -> bool:
        """Whether the sound is a loop: it is unless the piece has an ending."""
        return not self.changes.ending

    @property
    def notes(self) -> list[Note]:
        """The solo's notes as they sound."""
        return [played for played in self.midi.notes if played.track == SOLO]

    @property
    def kinds(self) -> list[str]:
        """The type of each note of the solo's part: C, S, A or X."""
        return [value.kind for value in self.line.values if value.kind != "R"]

    @cached_property
    def score(self) -> float:
        """The share of the measures of `jazz score` in which the solo lies where most players do."""
        from ..yardstick.bands import bands_for, share_inside
        from ..yardstick.measures import measure
        from ..yardstick.reading import solo_of_notes

        notes = [(element.onset, element.end, element.pitches[0]) for element in notes_of(self.improvised)]
        if len(notes) < 2:
            return 0.0
        solo = solo_of_notes(self.title, notes, self.improvised.changes, tempo=self.tempo)
        solo = solo.of_bars([bar for bar in range(len(solo.bars)) if bar not in self.traded])
        return share_inside(measure(solo), bands_for([solo]))

    def png(self) -> bytes:
        """The piano roll, as the bytes of a PNG file."""
        from music.roll import RollNote, piano_roll

        shown = [e for e in self.line.elements if e.pitches]
        notes = [RollNote(e.onset, e.duration, e.pitches[0], kind) for e, kind in zip(shown, self.kinds, strict=True)]
        chords = [(onset, str(chord)) for onset, chord in self.changes.flat()]
        return piano_roll(notes, self.changes.grid, title=self.heading, chords=chords, kinds=KINDS)

    def musicxml(self) -> bytes:
        """The lead sheet, as the bytes of a MusicXML file."""
        from .leadsheet import lead_sheet  # and with it music21

        program = self.instrument.program - 1 if self.notes else None
        name = self.instrument.name.partition(" (")[0].capitalize()
        up, clef = notation(self.instrument, self.transpose)
        return lead_sheet(self.heading, self.line.elements, self.changes, self.tempo, program, name, clef, up)

    @property
    def title(self) -> str:
        """The form's title, or the first chords."""
        if self.changes.title:
            return self.changes.title
        changes = self.improvised.changes
        bars = str(changes).split(" | ")[: -1 if changes.ending else None]
        return " | ".join(bars[:TITLE_BARS]) + (" ..." if len(bars) > TITLE_BARS else "")

    @property
    def heading(self) -> str:
        """What stands above the lead sheet and the picture."""
        return f"Solo over {self.title}" if notes_of(self.improvised) else self.title

    def __repr__(self) -> str:
        notes, bars = counted(len(self.notes), "note"), counted(len(self.changes.bars), "bar")
        return f"{self.heading}: {notes} in {bars}, seed {self.seed}"

    def contents(
        self,
        soundfont: str | Path | None = None,
        lead_sheet: bool = True,
        svg: bool = False,
        pdf: bool = False,
        dry: bool = False,
    ) -> dict[str, bytes]:
        """Make the contents of the files.

        Parameters
        ----------
        soundfont : file, optional, see `write`
        lead_sheet : bool, default True; False leaves the MusicXML file out
        svg, pdf : bool, default False, whether the lead sheet is engraved, too; this needs the extra `score`
        dry : bool, default False; True leaves the room out of the sound

        Returns
        -------
        dict from a file's ending, such as ".mid", to its bytes
        """
        return super().contents(soundfont, lead_sheet, svg, pdf, dry)

    def summary(self) -> str:
        """The figures of the solo, in two lines."""
        values, bars = self.improvised.values, counted(len(self.changes.bars), "bar")
        kinds = [value.kind for value in values if value.kind != "R"]
        if not kinds:
            return f"{self.title}: {bars} at {self.tempo}, without a solo.\nSeed {self.seed}."
        alone = len(self.traded) * self.changes.bar  # is silent, too, but does not count
        rests = sum(value.duration for value in values if value.kind == "R") - alone
        silence = float(rests / (self.improvised.changes.end - alone))
        shares = ", ".join(f"{kinds.count(k) / len(kinds):.0%} {name}s" for k, name in KINDS.items() if k in kinds)
        return (
            f"{self.title}: {bars} at {self.tempo}, {counted(len(kinds), 'note')} in the solo "
            f"({shares.replace('others', 'other')}), {silence:.0%} silence.\n"
            f"Longest run copied: {self.copied}. Seed {self.seed}."
        )


def output_files(path: str | Path, lead_sheet: bool = True, svg: bool = False, pdf: bool = False) -> list[Path]:
    """The output files for a name with or without one of their endings; see `outputs.endings_of`."""
    return side_by_side(path, endings_of(lead_sheet, svg, pdf))
