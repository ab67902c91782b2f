"""A solo with its band: made in one call, written as MIDI, sound, picture and lead sheet."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from music.midi import Midi, Note, as_tempo
from music.outputs import Performance, side_by_side
from music.synth import MAX_SECONDS
from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint, load
from numpyrnn.checks import check_count, check_range
from numpyrnn.sampling import Sampler
from workbench.files import data_path

from .. import theory
from ..changes import LONGEST, Changes, parse_changes, parse_meter
from ..changes import form as shipped_form
from ..element import Element
from ..evaluation import Copied
from ..evaluation import longest_copy as find_longest_copy
from ..grammar import Value, parse_value
from ..model import KIND, known_values, tunes_of, values_of
from ..reading.corpus import read_tunes
from ..soloist import LONGEST_COPY, Line, Soloist, bar_grid
from ..swing import STRAIGHT, TRIPLET_FEEL, as_ratio, swung
from .band import INSTRUMENTS, NAMES, PROGRAMS, SOLO, accompany, note

TEMPO = 130  # quarters a minute
FORM = "blues-f"
PRIMER_BARS = 2
TITLE_BARS = 4
ENDINGS = (".mid", ".wav", ".png", ".musicxml")
KINDS = {"C": "chord tone", "S": "scale tone", "A": "approach tone", "X": "other"}


@dataclass(frozen=True, repr=False)
class Solo(Performance):
    """A solo over changes, with its rhythm section.

    Attributes
    ----------
    line : Line, the solo's values and notes, as written (eighths alike)
    midi : Midi, all that sounds: the solo alone in the track "Solo", on channel 0
    tempo : int, quarters a minute
    seed : int, makes it again
    copied : Copied, the longest run of values that stands in a training tune
    """

    line: Line
    midi: Midi
    tempo: int
    seed: int
    copied: Copied

    @property
    def changes(self) -> Changes:
        """The chords, of all choruses."""
        return self.line.changes

    @property
    def notes(self) -> list[Note]:
        """The solo's notes as they sound."""
        return [played for played in self.midi.notes if played.track == SOLO]

    @property
    def kinds(self) -> list[str]:
        """The type of each note of the solo: C, S, A or X."""
        return [value.kind for value in self.line.values if value.kind != "R"]

    def png(self) -> bytes:
        """The piano roll, as the bytes of a PNG file."""
        from music.roll import RollNote, piano_roll

        shown = [e for e in self.line.elements if e.pitches]
        notes = [RollNote(e.onset, e.duration, e.pitches[0], kind) for e, kind in zip(shown, self.kinds, strict=True)]
        chords = [(onset, str(chord)) for onset, chord in self.changes.flat()]
        return piano_roll(notes, bar_grid(self.changes), title=f"Solo over {self.title}", chords=chords, kinds=KINDS)

    def musicxml(self) -> bytes:
        """The lead sheet, as the bytes of a MusicXML file."""
        return theory.lead_sheet(f"Solo over {self.title}", self.line.elements, self.changes, self.tempo)

    @property
    def title(self) -> str:
        """What it is played over."""
        if self.changes.title:
            return self.changes.title
        bars = str(self.changes).split(" | ")
        return " | ".join(bars[:TITLE_BARS]) + (" ..." if len(bars) > TITLE_BARS else "")

    def __repr__(self) -> str:
        return f"Solo over {self.title}: {len(self.notes)} notes in {len(self.changes.bars)} bars, seed {self.seed}"

    def contents(self, soundfont: str | Path | None = None) -> dict[str, bytes]:
        """Make the contents of the four files: MIDI, WAV, PNG and MusicXML."""
        return super().contents(soundfont) | {".musicxml": self.musicxml()}

    def summary(self) -> str:
        """What was played, in a few lines."""
        kinds = self.kinds
        rests = sum((v.duration for v in self.line.values if v.kind == "R"), Fraction(0))
        silence = rests / (self.changes.bar * len(self.changes.bars))
        shares = ", ".join(
            f"{kinds.count(k) / max(1, len(kinds)):.0%} {name}s" for k, name in KINDS.items() if k in kinds
        )
        return (
            f"{self.title}: {len(self.changes.bars)} bars at {self.tempo}, {len(kinds)} notes in the solo "
            f"({shares.replace('others', 'other')}), {float(silence):.0%} silence.\n"
            f"Longest run copied: {self.copied}. Seed {self.seed}."
        )


def output_files(path: str | Path) -> list[Path]:
    """The four files that a name stands for: NAME, NAME.mid, NAME.wav, ... all mean NAME."""
    return side_by_side(path, ENDINGS)


def improvise(
    chords: str | Changes | None = None,
    *,
    form: str | None = None,
    meter: str = "4/4",
    seed: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    choruses: int = 1,
    density: float = 1.0,
    longest_copy: int | None = LONGEST_COPY,
    primer: str | Path | None = None,
    ending: bool = False,
    tempo: int = TEMPO,
    swing: float | None = None,
    instruments: Sequence[str] | None = INSTRUMENTS,
    program: int = PROGRAMS[SOLO],
    model: str | Path | Checkpoint | None = None,
    on_bar: Callable[[int], object] | None = None,
) -> Solo:
    """Play a new solo over chord changes.

    Parameters
    ----------
    chords : str, optional, as musicians write them ("Dm7 G7 | Cmaj7 | %"; see `changes.parse_changes`)
    form : str, optional, a shipped form (see `changes.FORMS`); default, without chords: "blues-f"
    meter : str, default "4/4", of `chords`
    seed : int, optional; same seed, same solo. Without one a new solo, whose `seed` says how to have it again
    temperature : float, default 1; below 1 safer, above 1 wilder, 0 always the most probable
    top_k : int, optional, draw among the k most probable only
    choruses : int, default 1, how often the form is played
    density : float, default 1; 2 more notes, 0.5 fewer
    longest_copy : int, default 8, the longest run of values that may be as in a training tune; None: any
    primer : file (MIDI or chorus), with whose first two bars the solo begins; "opening": with a training tune's
    ending : bool, default False; one bar more, held, on the chord to which the last one leads
    tempo : int, default 130, quarters a minute
    swing : float, optional, share of a beat that its first half takes, 0.5 (straight) to 0.8; default: as the form says
    instruments : any of "piano", "bass", "drums"; default all
    program : int, default 66 (tenor saxophone), the solo's General MIDI program, from 0
    model : Checkpoint or file, optional; default: the shipped one
    on_bar : called with the number of bars that are new, now and then (a progress bar)

    Returns
    -------
    Solo

    Raises
    ------
    NumpyrnnError
        if the chords cannot be read or a setting is out of range
    """
    if chords is not None and form is not None:
        raise NumpyrnnError(f"either chords or a form must be given, got both: {chords} and {form!r}")
    if not isinstance(chords, str | Changes | None) or not isinstance(meter, str):
        raise NumpyrnnError(f"chords and meter must be text, got {chords!r} and {meter!r}")
    check_count("choruses", choruses, 1)
    if seed is not None:
        check_count("seed", seed, 0)
    check_count("program", program, 0)
    check_range("tempo", tempo, 20, 400)
    check_range("program", program, 0, 127)
    if isinstance(instruments, str) or not set(instruments or ()) <= set(INSTRUMENTS):
        raise NumpyrnnError(f"instruments must be a list of {', '.join(INSTRUMENTS)}, got {instruments!r}")
    if chords is None:
        changes = shipped_form(form or FORM)
    else:
        changes = chords if isinstance(chords, Changes) else parse_changes(chords, parse_meter(meter))
    if len(changes.bars) * choruses > LONGEST:
        raise NumpyrnnError(f"a solo must have at most {LONGEST} bars, got {len(changes.bars)} x {choruses}")
    minutes = float(len(changes.bars) * choruses * changes.bar / tempo)
    if minutes > MAX_SECONDS / 60:
        raise NumpyrnnError(f"a solo must last at most {MAX_SECONDS // 60} minutes, this one would last {minutes:.0f}")
    checkpoint = model if isinstance(model, Checkpoint) else load(model or data_path("models/jazz.npz"), KIND)
    if swing is None:
        ratio = TRIPLET_FEEL if changes.feel == "swing" else STRAIGHT
    else:
        ratio = as_ratio(swing)
        changes = replace(changes, feel="straight" if ratio == STRAIGHT else "swing")
    if changes.meter[1] > 4:  # eighths are the beat here
        ratio = STRAIGHT
    changes = changes.times(choruses)
    if ending:
        changes = changes.with_ending()
    seed = secrets.randbelow(1 << 31) if seed is None else seed
    soloist = Soloist(checkpoint, Sampler(np.random.default_rng([seed, 0]), temperature, top_k), density, longest_copy)
    line = soloist.play(changes, primer_values(primer, checkpoint, changes), on_bar)
    notes = [
        note(SOLO, element.onset, element.duration, element.pitches[0], loudness(element, changes))._replace(
            program=program
        )
        for element in line.elements
        if element.pitches
    ]
    notes += accompany(changes, np.random.default_rng([seed, 1]), instruments or ())
    end = changes.bar * len(changes.bars)
    midi = Midi(
        sorted(swung(notes, ratio), key=lambda played: (played.onset, played.track)),
        ["", *NAMES[1:]],
        [(Fraction(0), as_tempo(tempo))],
        [(Fraction(0), *changes.meter)],
        end,
    )
    copied = find_longest_copy([str(value) for value in line.values], known_values(checkpoint))
    return Solo(line, midi, tempo, seed, copied)


def loudness(element: Element, changes: Changes) -> int:
    """The velocity of a solo's note: high and off-beat notes stand out a little."""
    off_beat = element.onset % 1 != 0
    return min(120, 92 + 6 * off_beat + (element.pitches[0] - 60) // 3 + 6 * (element.onset % changes.bar == 0))


def primer_values(primer: str | Path | None, checkpoint: Checkpoint, changes: Changes) -> list[Value]:
    """What the solo begins with: two bars of a file, or of a training tune of the same form."""
    if primer is None:
        return []
    if str(primer) == "opening":
        tunes = tunes_of(checkpoint)[0]
        tune = next((tune for tune in tunes if tune.group and tune.group == changes.name), tunes[0])
        return [parse_value(value) for value in values_of(checkpoint, tune)[: sum(tune.bars[:PRIMER_BARS])]]
    read = read_tunes([Path(primer)])
    if len(read) != 1:
        raise NumpyrnnError(f"a primer must be one file, {primer} holds {len(read)}")
    return [value for bar in read[0].values()[:PRIMER_BARS] for value in bar]
