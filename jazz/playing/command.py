"""The commands `improvise` and `instruments`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from music.outputs import left_over
from numpyrnn.checks import shown
from numpyrnn.cli import Command
from workbench import options as shared
from workbench.jobs import jobs_options
from workbench.tables import table
from workbench.terminal import fitted, progress_bar, quoted, say, what_next, with_file, working

from ..changes import FORMS, LONGEST
from ..charts.chart import Chart
from ..charts.files import read_chart, source_of
from ..feels import FEELS
from ..instruments import INSTRUMENTS
from ..soloist import TEMPERATURE
from . import performance
from .band import INSTRUMENTS as BAND
from .solo import Solo

OUT = Path("solo.mid")
WITH_SOLO = {"takes": 1, "primer": None, "style": None, "density": 1.0}  # options for a solo, and their defaults
option = partial(click.option, show_default=True)
flag = partial(click.option, is_flag=True)

chart_options = shared.options_of(
    option("--tune", metavar="TITLE", help="The title, a part of it, or the number of the tune, if there are several."),
    option("--meter", help="The meter of changes that say none  [default: 4/4]"),
    option("--key", help='The key, like "Bb" or "F#m"  [default: the chart\'s]'),
)


@click.command(cls=Command, epilog='Example: jazz improvise --chords "Dm7 G7 | Cmaj7 | %" --seed 1 -o solo.mid')
@option("--chords", metavar="CHORDS", help='Changes, like "Dm7 G7 | Cmaj7 | %", a file, or a link of iReal Pro.')
@option("--form", metavar="NAME", help=f"A shipped form: {', '.join(FORMS)}  [default: {performance.FORM}]")
@chart_options
@option("--head", type=shared.NAME, metavar="FILE", help="A chorus or MIDI file, played before and after the solo.")
@shared.seed_option
@option(
    "--takes",
    type=click.IntRange(1, performance.MOST_TAKES),
    default=1,
    help="Play several takes and write the best. A table shows the seed of each, with which it can be played again.",
)
@jobs_options
@shared.sampling_options_of(TEMPERATURE)
@option("--choruses", type=click.IntRange(1, LONGEST), default=1, help="How often the form is played.")
@option("--density", type=shared.Real(0, 100, min_open=True), default=1.0, help="2 for more notes, 0.5 for fewer.")
@option(
    "--primer", type=shared.NAME, metavar="FILE|opening", help="Begin with two bars of a file, or of a training tune."
)
@option(
    "--style",
    metavar="NAME",
    help="The manner of the solo, as in the training tunes: swing, plain; bebop, eighths and approach tones; hard bop, "
    "triplets and tones outside the scale; cool, such tones and held notes; modal, short phrases and long notes; "
    "blues, dense, with triplets and sixteenths; bossa, few notes, syncopated; ballad, runs and long notes; waltz, "
    "long phrases of few notes  [default: that of the form]",
)
@option("--trade", type=click.IntRange(1, LONGEST), help="Solo and drums take turns, each with so many bars.")
@flag("--count-in", help="Add a bar of clicks at the beginning.")
@option("--ending/--no-ending", default=True, help="Add a bar: a held chord that resolves the last one.")
@option("--tempo", type=click.IntRange(20, 400), help="Quarters a minute  [default: the chart's, or 66 or 130 by feel]")
@option("--feel", metavar=f"[{'|'.join(FEELS)}]", help="The rhythm of band and solo  [default: the chart's]")
@flag("--straight", help="Straight eighths, without swing: the same as --feel straight.")
@option("--swing", type=shared.Real(0.5, 0.8), help="First half's share of a beat  [default: 0.67, less in the solo]")
@flag("--mechanical", help="Play the solo exactly as it is written.")
@option("--instrument", metavar="NAME", help="See `jazz instruments`; words may be shortened  [default: tenor sax]")
@option("--range", metavar="LOW-HIGH", help="The solo's sounding pitches, like G3-C6  [default: the instrument's]")
@option("--program", type=click.IntRange(1, 128), help="Any General MIDI program, from 1, in place of an instrument.")
@option("--transpose", metavar="KEY", help="Write the lead sheet for an instrument in Bb, Eb ... or `instrument`.")
@flag("--no-solo", help="Play a backing track, without a solo.")
@shared.options_of(*(flag(f"--no-{name}", help=f"Leave the {name} out.") for name in BAND))
@option("--soundfont", type=shared.PATH, help="Render the sound with FluidSynth and this soundfont.")
@shared.dry_option
@shared.model_option("jazz model")
@flag("--no-lead-sheet", help="Write no MusicXML file, which saves a quarter of the time.")
@shared.engraving_options
@option("-o", "--out", type=shared.NAME, help="Name of the files, or FOLDER/  [default: solo.mid, solo-2.mid ...]")
@shared.force_option
def improvise(
    straight: bool,
    no_solo: bool,
    soundfont: Path | None,
    dry: bool,
    no_lead_sheet: bool,
    chords: str | None,
    out: str | None,
    force: bool,
    **options: Any,
) -> None:
    """Play a new solo over changes and write it as MIDI, sound, picture and lead sheet, side by side."""
    check_together(chords=chords, straight=straight or None, **options)
    if odd := [name for name, usual in WITH_SOLO.items() if no_solo and options[name] != usual]:
        raise click.UsageError(f"--no-solo and --{odd[0]} exclude each other")
    read = None if chords is None else told(read_chart(source_of(chords), options["tune"], options["meter"]))
    if read and read.pickup:
        click.echo(f"The pickup of {read.pickup} quarter{'s' * (read.pickup != 1)} is left out.", err=True)
    kinds = {"lead_sheet": not no_lead_sheet, "svg": options.pop("svg"), "pdf": options.pop("pdf")}

    def files_of(name: Path) -> list[Path]:
        return performance.output_files(name, **kinds)

    path = shared.choose_out(out, OUT, files_of, force)
    for name in ("primer", "head"):
        shared.check_not_read(files_of(path), [options[name] and Path(options[name])], f"the {name}")
    instruments = [name for name in BAND if not options.pop(f"no_{name}")]
    options |= {"tune": None, "instruments": instruments, "solo": not no_solo} | (
        {"feel": "straight"} if straight else {}
    )
    with working("Playing"), progress_bar(unit="bar", delay=1) as progress:
        solo = performance.improvise(read, on_bar=progress.update, **options)
    with working("Writing the files", count=True):
        files = solo.write(path, soundfont, dry=dry, **kinds)
    old = map(shared.shown_path, left_over(path, files))
    remark = "".join(f"\n{file} was there before and is not of this solo." for file in old)
    written = ", ".join(map(shared.shown_path, files))
    say(f"{table_of(solo)}{solo.summary()}{remark}\nWritten: {written}.")
    for line in solo.told:
        click.echo(fitted(line), err=True)
    midi = quoted(next(file for file in files if file.suffix == ".mid"))
    what_next(f"jazz score {midi}{with_file('--model', options['model'])}", f"jazz doctor {midi}")


def check_together(**options: object) -> None:
    """Raise if options that exclude each other are given, or one without another."""
    given = {name for name, value in options.items() if value is not None}
    for pair in ("chords form", "swing straight", "feel straight", "instrument program"):
        if given.issuperset(pair.split()):
            raise click.UsageError("--{} and --{} exclude each other".format(*pair.split()))
    if "chords" not in given and "meter" in given:
        raise click.UsageError("--meter goes with --chords; a form has its own")
    if "chords" not in given and "tune" in given:
        raise click.UsageError("--tune goes with --chords")


def table_of(solo: Solo) -> str:
    """The takes, the best one first; empty if there is only one."""
    rows = [("seed", "like players", "notes", "longest copy")] if solo.takes else []
    for take in solo.takes:
        notes = sum(value.kind != "R" for value in take.improvised.values)
        rows.append((str(take.seed), f"{take.score:.0%}", str(notes), str(take.copied.length)))
    return table((12, 14, 8, 14), rows) + "\n\n" * bool(rows)


@click.command(cls=Command, epilog="Example: jazz instruments")
def instruments() -> None:
    """List the instruments for --instrument: General MIDI program, written and sounding range, and key."""
    rows = [("", "program", "written", "sounding", "in")]
    rows += [(one.name, str(one.program), one.written, one.sounding, one.key) for one in INSTRUMENTS]
    say(table((26, 9, 12, 12, 5), rows))
    what_next("jazz improvise --instrument trumpet")


def told(chart: Chart) -> Chart:
    """Print what was guessed while a chart was read, and return the chart."""
    for guess in chart.guesses:
        click.echo(shown(guess, 200), err=True)
    return chart
