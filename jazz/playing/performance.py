"""A solo with its band, made in one call: what is read and chosen, and what every player plays."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import accumulate, count, islice
from pathlib import Path
from typing import Any

import numpy as np

from music.midi import Midi, as_tempo
from music.synth import MAX_SECONDS
from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import check_count, check_range
from numpyrnn.sampling import Sampler
from workbench.files import load_model
from workbench.jobs import HERE, Jobs

from ..changes import LONGEST, Changes
from ..changes import form as shipped_form
from ..charts.chart import Chart, fifths, parse_key
from ..charts.files import check_meter, read_chart
from ..charts.key import estimate_key
from ..evaluation import Copied
from ..evaluation import longest_copy as find_longest_copy
from ..feels import FEELS, chosen, feel_in, swings
from ..grammar import Element, Value, parse_value
from ..instruments import TENOR, Instrument, find_instrument, notation, parse_range
from ..model import KIND, training_values, tunes_of, values_of
from ..reading.corpus import read_tunes
from ..reading.written import markers_of
from ..soloist import HIGH, LONGEST_COPY, LOW, TEMPERATURE, TEMPO, Soloist
from ..swing import STRAIGHT, TRIPLET_FEEL, as_ratio, swung
from . import band
from .band import INSTRUMENTS, NAMES, SOLO, note
from .feel import played
from .plan import Road, head_within, line_of, notes_of, read_head
from .solo import Solo as Solo
from .solo import output_files as output_files

FORM = "blues-f"
SLOW = 66  # quarters a minute, the tempo of ballads that say none
PRIMER_BARS = 2
MOST_TAKES = 100


def improvise(
    chords: str | Chart | Changes | None = None,
    *,
    form: str | None = None,
    meter: str | None = None,
    tune: str | None = None,
    key: str | None = None,
    seed: int | None = None,
    takes: int = 1,
    temperature: float = TEMPERATURE,
    top_k: int | None = None,
    top_p: float | None = None,
    choruses: int = 1,
    density: float = 1.0,
    longest_copy: int | None = LONGEST_COPY,
    primer: str | Path | None = None,
    style: str | None = None,
    head: str | Path | None = None,
    ending: bool = True,
    count_in: bool = False,
    trade: int | None = None,
    tempo: int | None = None,
    feel: str | None = None,
    swing: float | None = None,
    mechanical: bool = False,
    instruments: Sequence[str] | None = INSTRUMENTS,
    solo: bool = True,
    instrument: str | None = None,
    program: int | None = None,
    range: str | None = None,
    transpose: str | None = None,
    model: str | Path | Checkpoint | None = None,
    on_bar: Callable[[int], object] | None = None,
    jobs: Jobs = HERE,
) -> Solo:
    """Play a new solo over chord changes.

    Parameters
    ----------
    chords : str, Chart or Changes, optional; a str is typed changes such as "Dm7 G7 | Cmaj7 | %", a link of iReal Pro,
        or "@FILE", see `charts.files.read_chart`. A pickup is not played.
    form : str, optional, a shipped form instead of chords, see `changes.FORMS`; default "blues-f", or the head's
    meter : str, optional, such as "3/4", of `chords` that say none; default "4/4"
    tune : str, optional, the title or number of the tune, if `chords` holds several
    key : str, optional, such as "Bb" or "F#m", of the lead sheet; default: the chart's
    seed : int, optional; the same seed gives the same solo. By default a random one, kept as `Solo.seed`.
    takes : int, default 1; of several takes, whose seeds follow each other, the one with the best `Solo.score` is
        returned, and `Solo.takes` holds all
    temperature : float, default 1.2; lower is safer, higher is wilder
        0 always takes the most probable. Solo and band are then the same for every seed.
    top_k : int, optional, draw only among the k most probable
    top_p : float, optional, draw only among the most probable, which together reach p
    choruses : int, default 1, how often the form is played
    density : float, default 1; 2 for more notes, 0.5 for fewer
    longest_copy : int, default 8, the longest run of values that may equal a run in a training tune; None: no limit
    primer : file (MIDI or chorus) whose first two bars begin the solo, or "opening" for those of a training tune
    style : str, optional, the manner of the solo, such as "bebop", see `Soloist.play`; default: that of the form
    head : file (MIDI or chorus), optional, a melody over one chorus that is played before and after the solo
    ending : bool, default True; add a bar with a held chord to which the last chord resolves
    count_in : bool, default False; a bar of clicks before the piece, or two if a bar has less than three counts
    trade : int, optional, solo and drums alternate every so many bars
    tempo : int, optional, quarters a minute; default: the chart's or the head's, or 66 for a ballad and 130 for others
    feel : str, optional, one of `feels.FEELS`, the rhythm of band and solo; default: the chart's
    swing : float, optional, share of the beat that its first half takes, 0.5 (straight) to 0.8; default: by the feel,
        and the soloist's own for the solo
    mechanical : bool, default False; True plays the solo exactly as it is written, with the swing of the band
    instruments : any of "piano", "bass", "drums"; default all
    solo : bool, default True; False leaves the solo out, for a backing track
    instrument : str, default "tenor saxophone", the solo's instrument, see `instruments.find_instrument`
    program : int, optional, a General MIDI program from 1 to 128 in place of an instrument, with a range of its own
    range : str, optional, the solo's sounding range, such as "G3-C6"; default: the instrument's
    transpose : str, optional, the key of the instrument for which the lead sheet is written, such as "Bb", or
        "instrument" for that of the solo's; default: as it sounds
    model : Checkpoint or file, default the shipped model
    on_bar : function, optional, called with the number of bars just completed, to show progress
    jobs : Jobs, default one process; others share the takes, and do not call `on_bar`

    Returns
    -------
    Solo

    Raises
    ------
    NumpyrnnError
        if the chords, the head, the primer or the model cannot be read, or a setting is out of range
    """
    given = locals()
    for name, number, most in (("choruses", choruses, None), ("takes", takes, MOST_TAKES)):
        check_count(name, number, 1, most or np.inf)
    switches = {"ending": ending, "count_in": count_in, "mechanical": mechanical, "solo": solo}
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise NumpyrnnError(f"{name} must be True or False, got {value!r:.80}")
    texts = {"form": form, "meter": meter, "tune": tune, "key": key, "style": style, "feel": feel}
    for name, text in (texts | {"instrument": instrument, "range": range, "transpose": transpose}).items():
        if not isinstance(text, str | None) or (name == "tune" and text == ""):
            raise NumpyrnnError(f"{name} must be text, got {text!r:.80}")
    for name, path in {"primer": primer, "head": head, "model": model}.items():
        if not isinstance(path, str | Path | Checkpoint | None) or path == "":
            raise NumpyrnnError(f"{name} must be a path, got {path!r:.80}")
    if on_bar is not None and not callable(on_bar):
        raise NumpyrnnError(f"on_bar must be a function, got {on_bar!r:.80}")
    several = isinstance(instruments, Collection | None) and not isinstance(instruments, str)
    if not several or not all(name in INSTRUMENTS for name in instruments or ()):
        raise NumpyrnnError(f"instruments must be a list of {', '.join(INSTRUMENTS)}, got {instruments!r:.80}")
    for name, text in {"meter": None if head and not form else meter, "tune": tune}.items():
        if text is not None and (chords is None or (name == "tune" and not isinstance(chords, str))):
            raise NumpyrnnError(f"{name} goes with typed chords or a file; a form or chart has its own")
    if trade is not None and "drums" not in (instruments or ()):
        raise NumpyrnnError("trade needs the drums, which are left out")
    unused = [name for name, value in {"takes": takes > 1, "primer": primer, "style": style}.items() if value]
    if not solo and unused:
        raise NumpyrnnError(f"{unused[0]} must be left out if the solo is left out")
    seed = secrets.randbelow(1 << 31) if seed is None else check_count("seed", seed, 0)
    if takes > 1 and jobs != HERE:
        return best_of([*jobs.map(partial(_take, given | {"on_bar": None}), list(islice(count(seed), takes)))])
    player = player_of(instrument, program, range)
    notation(player, transpose)  # a wrong key is refused before the solo is played
    before = None
    if head is not None:
        over = None if chords is None and form is None else read_changes(chords, form, meter, tune, key)
        before = head_within(read_head(head, over), player)
        chords, form = replace(before.changes, key=parse_key(key) if key else before.changes.key), None
    changes, ratio = with_feel(read_changes(chords, form, meter, tune, key), feel, swing)
    if tempo is None:
        tempo = changes.tempo or (before.tempo if before else 0) or (SLOW if changes.feel == "ballad" else TEMPO)
    check_range("tempo", tempo, 20, 400)
    times = choruses + 2 * (before.times if before else 0)
    if len(changes.bars) * times > LONGEST:
        raise NumpyrnnError(f"a solo must have at most {LONGEST} bars, got {len(changes.bars)} x {times}")
    minutes = float(changes.end * times / tempo)
    if minutes > MAX_SECONDS / 60:
        raise NumpyrnnError(f"a solo must last at most {MAX_SECONDS // 60} minutes, this one would last {minutes:.0f}")
    told, own = list[str](), estimate_key(replace(changes, key=""))
    if key is not None and fifths(changes.key) != fifths(own):
        told.append(f"The chords are in {own} and stay there; the lead sheet is written in the key of {changes.key}.")
    if before and before.key and fifths(before.key) != fifths(own):
        told.append(f"The head is in {before.key} and the chords are in {own}; neither is moved.")
    road = Road.of(changes, choruses, ending, before, trade)
    checkpoint = (model if isinstance(model, Checkpoint) else load_model(model, KIND)) if solo else None
    if checkpoint:
        opening, training = primer_values(primer, checkpoint, changes), training_values(checkpoint)
        soloist = Soloist(checkpoint, Sampler(0), density, longest_copy, player.low, player.high)
        style = chosen("the style", style, soloist.styles) if style is not None and soloist.styles else style

    def play(seed: int) -> Solo:
        """One take."""
        chance = seed if temperature else 0  # at temperature 0, nothing is left to chance
        improvised, copied = line_of([], road.choruses), Copied(0)
        if checkpoint:
            soloist.sampler = Sampler(np.random.default_rng([chance, 0]), temperature, top_k, top_p)
            improvised = soloist.play(road.choruses, opening, on_bar, tempo, style, road.silent, before is None)
            copied = find_longest_copy([str(value) for value in improvised.values], training)
        line = road.whole(improvised, player)
        notes = swung(road.band(np.random.default_rng([chance, 1]), instruments or (), line, tempo), ratio)
        notes = [sounding._replace(onset=sounding.onset + road.lead) for sounding in notes]
        if mechanical:
            plain = [note(SOLO, e.onset, e.duration, e.pitches[0], loudness(e, changes)) for e in notes_of(line)]
            melody = swung(plain, ratio, double_time=True)
        else:
            own = np.random.default_rng([chance, 2])
            melody = played(line.elements, line.changes, tempo, own, None if swing is None else ratio)
        notes += [sounding._replace(program=player.program - 1) for sounding in melody]
        counting = band.count_in_bars(changes) * count_in
        start = max(changes.bar * counting - road.lead, Fraction(0))  # a pickup is played while the band counts in
        notes = [sounding._replace(onset=sounding.onset + start) for sounding in notes]
        notes = sorted([*band.count_in(changes), *notes] if count_in else notes, key=lambda n: (n.onset, n.track))
        tempos, meters = [(Fraction(0), as_tempo(tempo))], [(Fraction(0), *changes.meter)]
        markers = markers_of(line.changes.flat(), changes.feel, road.sections, start)
        midi = Midi(notes, list(NAMES), tempos, meters, line.changes.end + start, markers)
        traded = tuple(bar - int(road.start / changes.bar) for bars in road.trades for bar in bars)
        return Solo(line, midi, tempo, seed, copied, improvised, player, transpose, (), tuple(told), traded)

    return best_of(list(map(play, islice(count(seed), takes))))


def _take(given: dict[str, Any], seed: int) -> Solo:
    """A single take, in another process."""
    return improvise(**given | {"seed": seed, "takes": 1, "jobs": HERE})


def best_of(takes: Sequence[Solo]) -> Solo:
    """The take with the best score, which holds all of them, the best first; a single one as it is."""
    if len(takes) == 1:
        return takes[0]
    found = sorted(takes, key=lambda take: -take.score)
    return replace(found[0], takes=tuple(found))


def with_feel(changes: Changes, feel: str | None, swing: float | None) -> tuple[Changes, Fraction]:
    """Changes with the feel that was asked for, and the share of a beat that its first half takes."""
    feel = None if feel is None else chosen("feel", feel, FEELS)
    changes = replace(changes, feel=feel_in(feel or changes.feel, changes.meter))
    if feel == "waltz" != changes.feel:
        raise NumpyrnnError("a waltz must be in 3/4, the changes are in {}/{}".format(*changes.meter))
    usual = TRIPLET_FEEL if swings(changes.feel) else STRAIGHT
    ratio = usual if swing is None else as_ratio(swing)
    if swings(changes.feel) != (ratio > STRAIGHT):
        if feel is not None:
            wanted = "0.5" if ratio > STRAIGHT else "above 0.5"
            raise NumpyrnnError(f"in {feel} feel, swing must be {wanted}, or left out, got {swing}")
        changes = replace(changes, feel=feel_in("swing", changes.meter) if ratio > STRAIGHT else "straight")
    return changes, ratio if changes.meter[1] <= 4 else STRAIGHT  # in 6/8 the eighths are the beat


def player_of(instrument: str | None, program: int | None, pitches: str | None) -> Instrument:
    """The instrument that plays the solo, with its range."""
    if instrument is not None and program is not None:
        raise NumpyrnnError(f"either an instrument or a program must be given, got both: {instrument} and {program}")
    player = TENOR if instrument is None else find_instrument(instrument)
    if program is not None:
        player = Instrument("", check_count("program", program, 1, 128), LOW, HIGH)
    if pitches is not None:
        low, high = parse_range(pitches)
        player = player._replace(low=low, high=high)
    return player


def read_changes(
    chords: str | Chart | Changes | None, form: str | None, meter: str | None, tune: str | None, key: str | None
) -> Changes:
    """The given chords, or else a shipped form; an error if both are given, or the chords, meter or key are wrong."""
    if chords is not None and form is not None:
        raise NumpyrnnError(f"either chords or a form must be given, got both: {chords} and {form!r}")
    if not isinstance(chords, str | Chart | Changes | None):
        raise NumpyrnnError(f"chords must be text, a Chart or Changes, got {chords!r:.80}")
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
        values = [parse_value(value) for value in values_of(checkpoint, tune)[: sum(tune.bars[:PRIMER_BARS])]]
        return within(values, min(PRIMER_BARS * changes.bar, changes.end))
    read = read_tunes([Path(primer)])
    if len(read) != 1:
        raise NumpyrnnError(f"a primer must be one file, {primer} holds {len(read)}")
    values = [value for bar in read[0].values()[:PRIMER_BARS] for value in bar]
    return within(values, min(PRIMER_BARS * changes.bar, changes.end))


def within(values: list[Value], quarters: Fraction) -> list[Value]:
    """The first values that end within some quarters: a primer in another meter may be longer than two bars."""
    ends = accumulate(value.duration for value in values)
    return [value for value, end in zip(values, ends, strict=True) if end <= quarters]
