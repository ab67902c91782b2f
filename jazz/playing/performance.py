"""A solo with its band: made in one call, and written as MIDI, sound, picture and lead sheet."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from music.midi import Midi, Note, as_tempo
from music.outputs import Performance, endings_of, side_by_side
from music.synth import MAX_SECONDS
from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import check_count, check_range
from numpyrnn.sampling import Sampler
from workbench.files import load_model

from ..changes import LONGEST, Changes
from ..changes import form as shipped_form
from ..charts.chart import Chart, parse_key
from ..charts.files import check_meter, read_chart
from ..evaluation import Copied
from ..evaluation import longest_copy as find_longest_copy
from ..grammar import Element, Value, parse_value
from ..model import KIND, training_values, tunes_of, values_of
from ..reading.corpus import read_tunes
from ..soloist import LONGEST_COPY, TEMPERATURE, Line, Soloist
from ..swing import STRAIGHT, TRIPLET_FEEL, as_ratio, swung
from .band import INSTRUMENTS, NAMES, PROGRAMS, SOLO, accompany, note

TEMPO = 130  # quarters a minute
FORM = "blues-f"
PRIMER_BARS = 2
TITLE_BARS = 4
KINDS = {"C": "chord tone", "S": "scale tone", "A": "approach tone", "X": "other"}


@dataclass(frozen=True, repr=False)
class Solo(Performance):
    """A solo over changes, with its rhythm section.

    Attributes
    ----------
    line : Line, the solo's values and notes as written, without swing
    midi : Midi, the whole band; the solo is alone on its track "Solo" and on channel 0
    tempo : int, quarters a minute
    seed : int, which makes the same solo again
    copied : Copied, the longest run of values that equals a run in a training tune
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
        return piano_roll(notes, self.changes.grid, title=f"Solo over {self.title}", chords=chords, kinds=KINDS)

    def musicxml(self) -> bytes:
        """The lead sheet, as the bytes of a MusicXML file."""
        from .leadsheet import lead_sheet  # and with it music21

        program = next((played.program for played in self.notes), PROGRAMS[SOLO])
        return lead_sheet(f"Solo over {self.title}", self.line.elements, self.changes, self.tempo, program)

    @property
    def title(self) -> str:
        """The form's title, or the first chords."""
        if self.changes.title:
            return self.changes.title
        bars = str(self.changes).split(" | ")
        return " | ".join(bars[:TITLE_BARS]) + (" ..." if len(bars) > TITLE_BARS else "")

    def __repr__(self) -> str:
        return f"Solo over {self.title}: {len(self.notes)} notes in {len(self.changes.bars)} bars, seed {self.seed}"

    def contents(
        self, soundfont: str | Path | None = None, lead_sheet: bool = True, svg: bool = False, pdf: bool = False
    ) -> dict[str, bytes]:
        """Make the contents of the files.

        Parameters
        ----------
        soundfont : file, optional, see `write`
        lead_sheet : bool, default True; False leaves the MusicXML file out
        svg, pdf : bool, default False, whether the lead sheet is engraved, too; this needs the extra `score`

        Returns
        -------
        dict from a file's ending, such as ".mid", to its bytes
        """
        return super().contents(soundfont, lead_sheet, svg, pdf)

    def summary(self) -> str:
        """The figures of the solo, in two lines."""
        kinds = self.kinds
        silence = float(sum(v.duration for v in self.line.values if v.kind == "R") / self.changes.end)
        shares = ", ".join(f"{kinds.count(k) / len(kinds):.0%} {name}s" for k, name in KINDS.items() if k in kinds)
        return (
            f"{self.title}: {len(self.changes.bars)} bars at {self.tempo}, {len(kinds)} notes in the solo "
            f"({shares.replace('others', 'other')}), {silence:.0%} silence.\n"
            f"Longest run copied: {self.copied}. Seed {self.seed}."
        )


def output_files(path: str | Path, lead_sheet: bool = True, svg: bool = False, pdf: bool = False) -> list[Path]:
    """The output files for a name with or without one of their endings; see `outputs.endings_of`."""
    return side_by_side(path, endings_of(lead_sheet, svg, pdf))


def improvise(
    chords: str | Chart | Changes | None = None,
    *,
    form: str | None = None,
    meter: str | None = None,
    tune: str | None = None,
    key: str | None = None,
    seed: int | None = None,
    temperature: float = TEMPERATURE,
    top_k: int | None = None,
    top_p: float | None = None,
    choruses: int = 1,
    density: float = 1.0,
    longest_copy: int | None = LONGEST_COPY,
    primer: str | Path | None = None,
    ending: bool = False,
    tempo: int | None = None,
    swing: float | None = None,
    instruments: Sequence[str] | None = INSTRUMENTS,
    program: int = PROGRAMS[SOLO] + 1,
    model: str | Path | Checkpoint | None = None,
    on_bar: Callable[[int], object] | None = None,
) -> Solo:
    """Play a new solo over chord changes.

    Parameters
    ----------
    chords : str, Chart or Changes, optional; a str is typed changes such as "Dm7 G7 | Cmaj7 | %", a link of iReal Pro,
        or "@FILE", see `charts.files.read_chart`. A pickup is not played.
    form : str, optional, a shipped form instead of chords, see `changes.FORMS`; default "blues-f"
    meter : str, optional, such as "3/4", of `chords` that say none; default "4/4"
    tune : str, optional, the title or number of the tune, if `chords` holds several
    key : str, optional, such as "Bb" or "F#m", of the lead sheet; default: the chart's
    seed : int, optional; the same seed gives the same solo. By default a random one, kept as `Solo.seed`.
    temperature : float, default 1.2; lower is safer, higher is wilder
        0 always takes the most probable. Solo and band are then the same for every seed.
    top_k : int, optional, draw only among the k most probable
    top_p : float, optional, draw only among the most probable, which together reach p
    choruses : int, default 1, how often the form is played
    density : float, default 1; 2 for more notes, 0.5 for fewer
    longest_copy : int, default 8, the longest run of values that may equal a run in a training tune; None: no limit
    primer : file (MIDI or chorus) whose first two bars begin the solo, or "opening" for those of a training tune
    ending : bool, default False; add a bar with a held chord to which the last chord resolves
    tempo : int, optional, quarters a minute; default: the chart's, or 130
    swing : float, optional, share of the beat that its first half takes, 0.5 (straight) to 0.8; default: by the feel
    instruments : any of "piano", "bass", "drums"; default all
    program : int, default 67 (tenor saxophone), the solo's General MIDI program, from 1 to 128
    model : Checkpoint or file, default the shipped model
    on_bar : function, optional, called with the number of bars just completed, to show progress

    Returns
    -------
    Solo

    Raises
    ------
    NumpyrnnError
        if the chords, the primer or the model cannot be read, or a setting is out of range
    """
    check_count("choruses", choruses, 1)
    check_count("program", program, 1, 128)
    seed = secrets.randbelow(1 << 31) if seed is None else check_count("seed", seed, 0)
    if isinstance(instruments, str) or not set(instruments or ()) <= set(INSTRUMENTS):
        raise NumpyrnnError(f"instruments must be a list of {', '.join(INSTRUMENTS)}, got {instruments!r}")
    if not isinstance(primer, str | Path | None) or not isinstance(ending, bool):
        raise NumpyrnnError(f"primer must be a path and ending True or False, got {primer!r:.80} and {ending!r:.80}")
    changes = read_changes(chords, form, meter, tune, key)
    tempo = (changes.tempo or TEMPO) if tempo is None else tempo
    check_range("tempo", tempo, 20, 400)
    if len(changes.bars) * choruses > LONGEST:
        raise NumpyrnnError(f"a solo must have at most {LONGEST} bars, got {len(changes.bars)} x {choruses}")
    minutes = float(changes.end * choruses / tempo)
    if minutes > MAX_SECONDS / 60:
        raise NumpyrnnError(f"a solo must last at most {MAX_SECONDS // 60} minutes, this one would last {minutes:.0f}")
    checkpoint = model if isinstance(model, Checkpoint) else load_model(model, KIND)
    usual = TRIPLET_FEEL if changes.feel == "swing" else STRAIGHT
    ratio = usual if swing is None else as_ratio(swing)
    changes = replace(changes, feel="straight" if ratio == STRAIGHT else "swing").times(choruses)
    if ending:
        changes = changes.with_ending()
    chance = seed if temperature else 0  # at temperature 0, nothing is left to chance
    sampler = Sampler(np.random.default_rng([chance, 0]), temperature, top_k, top_p)
    soloist = Soloist(checkpoint, sampler, density, longest_copy)
    line = soloist.play(changes, primer_values(primer, checkpoint, changes), on_bar)
    notes = accompany(changes, np.random.default_rng([chance, 1]), instruments or ())
    for element in line.elements:
        if element.pitches:
            played = note(SOLO, element.onset, element.duration, element.pitches[0], loudness(element, changes))
            notes.append(played._replace(program=program - 1))
    notes = swung(notes, STRAIGHT if changes.meter[1] > 4 else ratio)  # in 6/8 the eighths are the beat
    notes.sort(key=lambda played: (played.onset, played.track))
    tempos, meters = [(Fraction(0), as_tempo(tempo))], [(Fraction(0), *changes.meter)]
    midi = Midi(notes, list(NAMES), tempos, meters, changes.end)
    copied = find_longest_copy([str(value) for value in line.values], training_values(checkpoint))
    return Solo(line, midi, tempo, seed, copied)


def read_changes(
    chords: str | Chart | Changes | None, form: str | None, meter: str | None, tune: str | None, key: str | None
) -> Changes:
    """The given chords, or else a shipped form; an error if both are given, or the chords, meter or key are wrong."""
    if chords is not None and form is not None:
        raise NumpyrnnError(f"either chords or a form must be given, got both: {chords} and {form!r}")
    if not isinstance(chords, str | Chart | Changes | None):
        raise NumpyrnnError(f"chords must be text, a Chart or Changes, got {chords!r:.80}")
    for name, value in {"meter": meter, "tune": tune, "key": key}.items():
        if not isinstance(value, str | None):
            raise NumpyrnnError(f"{name} must be text, got {value!r:.80}")
    if isinstance(chords, str):
        chords = read_chart(chords, tune, meter)
    changes = Changes.of(chords) if isinstance(chords, Chart) else chords
    if changes is None:
        changes = shipped_form(FORM if form is None else form)
    if chords is not None:
        check_meter(changes.meter, meter)
    return changes if key is None else replace(changes, key=parse_key(key))


def loudness(element: Element, changes: Changes) -> int:
    """The velocity of a solo's note: high notes, off-beats and downbeats stand out a little."""
    off_beat = element.onset % 1 != 0
    return min(120, 92 + 6 * off_beat + (element.pitches[0] - 60) // 3 + 6 * (element.onset % changes.bar == 0))


def primer_values(primer: str | Path | None, checkpoint: Checkpoint, changes: Changes) -> list[Value]:
    """The values that begin the solo: two bars of a file or of a training tune, if possible one over the same form.

    An error if the file cannot be read or is a folder with several tunes.
    """
    if primer is None:
        return []
    if str(primer) == "opening":
        tunes = tunes_of(checkpoint).training
        tune = next((tune for tune in tunes if tune.group and tune.group == changes.name), tunes[0])
        return [parse_value(value) for value in values_of(checkpoint, tune)[: sum(tune.bars[:PRIMER_BARS])]]
    read = read_tunes([Path(primer)])
    if len(read) != 1:
        raise NumpyrnnError(f"a primer must be one file, {primer} holds {len(read)}")
    return [value for bar in read[0].values()[:PRIMER_BARS] for value in bar]
