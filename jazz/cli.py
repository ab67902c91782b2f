"""The command `jazz`."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from music.engraving import ENGRAVERS
from music.midi import write_midi
from music.outputs import left_over, write_together
from music.reader import ENCODING
from music.synth import render, write_wav
from numpyrnn import NumpyrnnError, __version__
from numpyrnn.checks import shown
from workbench import options as shared
from workbench.files import load_model
from workbench.run import TrainingRun, training_options
from workbench.tables import table

from .changes import FORMS, LONGEST, form_chart, parse_meter
from .changes import form as shipped_form
from .charts.chart import Chart
from .charts.drawing import draw
from .charts.files import in_key, read_chart, source_of
from .evaluation import RUN, measure
from .model import KIND, RECIPES
from .playing import performance
from .playing.band import INSTRUMENTS
from .reading.choruses import read_chorus
from .reading.corpus import chorus_midi, excerpt, read_music, read_tunes, shipped_choruses
from .reading.doctor import diagnose
from .reading.wjazzd import Chosen, is_database, parse_tempos
from .soloist import TEMPERATURE
from .training import JazzTraining

OUT = Path("solo.mid")
option = partial(click.option, show_default=True)
flag = partial(click.option, is_flag=True)
SHEET = Path("chart.musicxml")
WRITTEN = (".txt", ".musicxml", *ENGRAVERS)  # endings of a chart's files
ENDINGS = f"{', '.join(WRITTEN[:-1])} or {WRITTEN[-1]}"
RECIPE = """Values as three parts ("parts", or "solos" with less dropout) or as single symbols, with context; or the
network of the course or of deepjazz  [default: parts; solos for the Weimar Jazz Database]"""
MOST_SHOWN = 20  # solos and files that were left out

part_options = shared.options_of(
    option("--melody", metavar="PART", help="Number or name of the melody's part  [default: found automatically]"),
    option("--chords", metavar="PART", help="Number or name of the chords' part  [default: found automatically]"),
    option("--from-bar", type=shared.COUNT, help="The first bar to use, from 1."),
    option("--to-bar", type=shared.COUNT, help="The last bar to use."),
    option("--encoding", default=ENCODING, help="How names that are not UTF-8 are written, such as shift_jis."),
)

chart_options = shared.options_of(
    option("--tune", metavar="TITLE", help="The title, a part of it, or the number of the tune, if there are several."),
    option("--meter", help="The meter of changes that say none  [default: 4/4]"),
    option("--key", help='The key, like "Bb" or "F#m"  [default: the chart\'s]'),
)


@click.group(cls=shared.default_group("improvise"), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jazz")
def app() -> None:
    """Improvise jazz solos over chord changes. The default command is `improvise`."""


@app.command()
@option("--chords", metavar="CHORDS", help='Changes, like "Dm7 G7 | Cmaj7 | %", a file, or a link of iReal Pro.')
@option("--form", metavar="NAME", help=f"A shipped form: {', '.join(FORMS)}  [default: {performance.FORM}]")
@chart_options
@shared.seed_option
@shared.sampling_options_of(TEMPERATURE)
@option("--choruses", type=click.IntRange(1, LONGEST), default=1, help="How often the form is played.")
@option("--density", type=shared.Real(0, 100, min_open=True), default=1.0, help="2 for more notes, 0.5 for fewer.")
@option(
    "--primer", type=shared.NAME, metavar="FILE|opening", help="Begin with two bars of a file, or of a training tune."
)
@flag("--ending", help="Add a bar: a held chord that resolves the last one.")
@option("--tempo", type=click.IntRange(20, 400), help="Quarters a minute  [default: 130 or the chart's]")
@option("--swing", type=shared.Real(0.5, 0.8), help="First half's share of a beat  [default: 0.67 or the chart's]")
@flag("--straight", help="Straight eighths, without swing.")
@option("--program", type=click.IntRange(1, 128), default=67, help="The solo's General MIDI program, from 1.")
@shared.options_of(*(flag(f"--no-{name}", help=f"Leave the {name} out.") for name in INSTRUMENTS))
@option("--soundfont", type=shared.PATH, help="Render the sound with FluidSynth and this soundfont.")
@shared.model_option("jazz model")
@flag("--no-lead-sheet", help="Write no MusicXML file, which saves a quarter of the time.")
@shared.engraving_options
@option("-o", "--out", type=shared.NAME, help="Name of the files, or FOLDER/  [default: solo.mid, solo-2.mid ...]")
@shared.force_option
def improvise(
    swing: float | None,
    straight: bool,
    soundfont: Path | None,
    no_lead_sheet: bool,
    chords: str | None,
    out: str | None,
    force: bool,
    **options: Any,
) -> None:
    """Play a new solo over changes and write it as MIDI, sound, picture and lead sheet, side by side."""
    from tqdm import tqdm

    if straight and swing is not None:
        raise click.UsageError("--swing and --straight exclude each other")
    if chords is not None and options["form"] is not None:
        raise click.UsageError("--chords and --form exclude each other")
    if chords is None and options["meter"] is not None:
        raise click.UsageError("--meter goes with --chords; a form has its own")
    if chords is None and options["tune"] is not None:
        raise click.UsageError("--tune goes with --chords")
    read = None if chords is None else told(read_chart(source_of(chords), options["tune"], options["meter"]))
    if read and read.pickup:
        click.echo(f"The pickup of {read.pickup} quarters is left out.", err=True)
    kinds = {"lead_sheet": not no_lead_sheet, "svg": options.pop("svg"), "pdf": options.pop("pdf")}

    def files_of(name: Path) -> list[Path]:
        return performance.output_files(name, **kinds)

    path = shared.choose_out(out, OUT, files_of, force)
    shared.check_not_read(files_of(path), [options["primer"] and Path(options["primer"])], "the primer")
    instruments = [name for name in INSTRUMENTS if not options.pop(f"no_{name}")]
    options |= {"swing": 0.5 if straight else swing, "instruments": instruments}
    with tqdm(unit="bar", delay=2, leave=False) as progress:  # shown only for a long solo
        solo = performance.improvise(read, on_bar=progress.update, **options)
    files = solo.write(path, soundfont, **kinds)
    old = map(shared.shown_path, left_over(path, files))
    remark = "".join(f"\n{file} was there before and is not of this solo." for file in old)
    click.echo(f"{solo.summary()}{remark}\nWritten: {', '.join(map(shared.shown_path, files))}.")


def told(chart: Chart) -> Chart:
    """Print what was guessed while a chart was read, and return the chart."""
    for guess in chart.guesses:
        click.echo(shown(guess, 200), err=True)
    return chart


@app.command()
@click.argument("chords", metavar="[FILE|CHORDS|LINK]", required=False)
@option("--form", metavar="NAME", help=f"A shipped form instead: {', '.join(FORMS)}")
@chart_options
@option("-o", "--out", multiple=True, type=shared.NAME, help=f"A {ENDINGS} file, or FOLDER/; can be repeated.")
@shared.force_option
def chart(chords: str | None, form: str | None, out: tuple[str, ...], force: bool, **which: str | None) -> None:
    """Show the chords of a chart, four bars a line, and write them as text, lead sheet or picture.

    A chart is a file (text, MusicXML, or iReal Pro's HTML), a link of iReal Pro, typed changes, or a shipped form.
    """
    if (chords is None) == (form is None):
        raise click.UsageError("either a chart or --form must be given")
    if form is not None and (which["tune"] or which["meter"]):
        raise click.UsageError("--tune and --meter do not go with --form")
    paths = [shared.output_path(name, SHEET) for name in out]
    if wrong := [path for path in paths if path.suffix.lower() not in WRITTEN]:
        raise NumpyrnnError(f"a chart is written as a {ENDINGS} file, got {wrong[0]}")
    given = source_of(chords or "")
    read = told(read_chart(given, **which)) if form is None else in_key(form_chart(form), which["key"])
    played = len(read.played())
    shared.check_not_read(paths, [Path(given[1:])] if given[:1] == "@" else [], "the chart")
    contents = {path: chart_file(read, path.suffix.lower()) for path in paths}
    for path in contents:
        shared.check_out(path, force)
    write_together(contents)
    click.echo(draw(read, shutil.get_terminal_size().columns))
    bars = f"{len(read.measures)} bar{'s' * (len(read.measures) != 1)}"
    click.echo(f"# {bars}." if played == len(read.measures) else f"# {bars}, {played} are played.")
    if contents:
        click.echo(f"Written: {', '.join(map(shared.shown_path, contents))}.")


def chart_file(chart: Chart, ending: str) -> bytes:
    """A chart as the bytes of a file with this ending."""
    if ending == ".txt":
        return draw(chart).encode()
    from .charts.sheet import chart_sheet

    sheet = chart_sheet(chart)
    return sheet if ending == ".musicxml" else ENGRAVERS[ending](sheet)


@app.command()
@shared.data_files_options
@part_options
@option("--performer", multiple=True, help="Of the database, the solos by this player; can be repeated.")
@option("--style", multiple=True, help="Of the database, the solos in this style, such as bebop; can be repeated.")
@option("--tempo", metavar="RANGE", help="Of the database, the solos at these tempos, such as 100-260.")
@option("--meter", help="Of the database, the solos in this meter, such as 4/4.")
@option("--recipe", type=click.Choice(list(RECIPES)), help=RECIPE)
@option("--hidden", type=click.IntRange(1, 4096), help="Layer size  [default: the recipe's]")
@option("--layers", type=click.IntRange(1, 8), help="Layer count  [default: the recipe's]")
@flag("--whole-forms", help="Hold out whole forms, with all choruses over them.")
@training_options("jazz.npz")
def train(
    run: TrainingRun,
    data: list[Path],
    performer: tuple[str, ...],
    style: tuple[str, ...],
    tempo: str | None,
    meter: str | None,
    recipe: str | None,
    hidden: int | None,
    layers: int | None,
    whole_forms: bool,
    **which: Any,
) -> None:
    """Learn from MIDI files, written choruses, or solos of the Weimar Jazz Database (default: the shipped choruses).

    The database is given as wjazzd.db or in its CSV form, a folder or zip file. A fifth of the tunes is held out (of a
    single tune, its last bars), with all solos over them. Another tenth, if there are ten tunes or more, decides when
    training ends. Writes the model, a JSONL history and a picture of the curves. Ctrl-C saves the model; --resume
    continues training.
    """
    from tqdm import tqdm

    if checkpoint := run.resumed(KIND):
        run.learn(JazzTraining.resume(checkpoint))
    tempos, beats = tempo and parse_tempos(tempo), meter and parse_meter(meter)
    chosen, solos = Chosen(performer, style, tempos or None, beats or None), any(map(is_database, data))
    if chosen != Chosen() and not solos:
        raise click.UsageError("--performer, --style, --tempo and --meter choose solos of the Weimar Jazz Database")
    base = RECIPES[recipe or ("solos" if solos else "parts")]
    settings = replace(base, hidden=hidden or base.hidden, layers=layers or base.layers, seed=run.seed or 0)
    refused: list[NumpyrnnError] = []
    progress = partial(tqdm, unit="solo", delay=2, leave=False)
    tunes = read_tunes(data or shipped_choruses(), **which, on_refused=refused.append, chosen=chosen, progress=progress)
    for why in refused[:MOST_SHOWN]:
        click.echo(f"Left out: {shown(why, 400)}", err=True)
    if len(refused) > MOST_SHOWN:
        click.echo(f"Left out: {len(refused) - MOST_SHOWN} more.", err=True)
    if solos:
        click.echo(f"{len(tunes)} solos are used, {len(refused)} cannot be used.")
    run.learn(JazzTraining.of_tunes(tunes, settings, by_group=solos or whole_forms))


@app.command()
@shared.model_option("jazz model")
@shared.seed_option
@shared.sampling_options_of(TEMPERATURE)
@option("--samples", type=shared.COUNT, default=10, help="Solos to sample.")
@option("--form", metavar="NAME", default="rhythm-changes", help="The form that the solos are played over.")
@option("--solos", type=shared.COUNT, default=20, help="Solos to measure beside those of players.")
def evaluate(model: Path | None, seed: int | None, samples: int, form: str, solos: int, **how: Any) -> None:
    """Compare held-out loss with n-grams', and measure how much of new solos is copied."""
    from tqdm import tqdm

    from .yardstick.quality import played
    from .yardstick.report import distance_line

    changes, checkpoint = shipped_form(form), load_model(model, KIND)
    progress = partial(tqdm, delay=2, leave=False)
    found = measure(checkpoint, changes, samples, seed or 0, progress=progress, **how)
    (tunes, values), (held_out, unseen) = found["training"], found["held_out"]
    click.echo(f"{held_out} held-out tunes, {unseen:,} values; trained on {tunes} tunes, {values:,} values.\n")
    losses = [(name, f"{loss:.3f}") for name, loss in found["losses"].items()]
    click.echo(f"{table((52, 14), [('', 'nats a value'), *losses])}\n")
    title = f"copied, {samples} solos of {len(changes.bars)} bars"
    rows = [(title, f"in runs of {RUN} or more", "longest run", "")]
    for name, (runs, share) in found["copies"].items():
        longest = max(runs, key=lambda run: run.length)
        where = f"   bar {longest.bar} of {shown(longest.tune)}" if longest.length else ""
        rows.append((name, f"{share:.1%}", f"{longest.length}", where))
    click.echo(f"{table((36, 22, 14, 1), rows)}\n")
    measured = played(checkpoint, solos, seed or 0, progress=progress, **how)
    click.echo(f"{solos} solos over seven shipped forms, at least 32 bars each.\n{distance_line(measured)}")


@app.command()
@click.argument("file", type=shared.PATH)
@part_options
def doctor(file: Path, **which: Any) -> None:
    """Show what a MIDI file holds, what would be learned from it, and what is left out and why."""
    for line in diagnose(file, **which):
        click.echo(line)


@app.command()
@click.argument("file", type=shared.PATH)
@option("--from-bar", type=shared.COUNT, default=1, help="The first bar to use, from 1.")
@option("--bars", type=shared.COUNT, default=16, help="Number of bars.")
@option("-o", "--out", type=shared.NAME, help="WAV file, or FOLDER/  [default: the file's name with .wav]")
@shared.force_option
def listen(file: Path, from_bar: int, bars: int, out: str | None, force: bool) -> None:
    """Render an excerpt of a MIDI file or a written chorus as a WAV file."""
    from tqdm import tqdm

    path = shared.output_path(out, Path(f"{file.stem}.wav"))
    if path.suffix.lower() != ".wav":
        raise NumpyrnnError(f"sound is written as a .wav file, got {path}")
    shared.check_out(path, force)
    progress = partial(tqdm, unit="note", delay=1, leave=False)
    write_wav(path, render(excerpt(read_music(file), from_bar, bars), progress=progress))
    click.echo(f"Written: {shared.shown_path(path)}.")


@app.command()
@option("-o", "--out", type=shared.PATH, default=Path("choruses"), help="The folder to write into.")
@flag("--straight", help="Straight eighths, without swing.")
@shared.force_option
@click.argument("texts", nargs=-1, metavar="[TEXT]...", type=shared.PATH)
def choruses(out: Path, straight: bool, force: bool, texts: tuple[Path, ...]) -> None:
    """Convert written choruses to MIDI files (default: the shipped ones)."""
    paths = texts or shipped_choruses()
    found = {out / f"{path.stem}.mid": read_chorus(path) for path in paths}
    if len(found) < len(paths):
        raise NumpyrnnError("choruses must have different names, two of these would give the same MIDI file")
    for path in found:
        shared.check_out(path, force)
    for path, chorus in found.items():
        write_midi(path, chorus_midi(chorus, straight))
    bars = sum(len(chorus.changes.bars) for chorus in found.values())
    notes = sum(len(chorus.melody) for chorus in found.values())
    click.echo(f"{len(found)} choruses, {bars:,} bars, {notes:,} notes: {shared.shown_path(out)}.")


@app.command()
@option("--midi", type=shared.PATH, required=True, help="The course's file, original_metheny.mid.")
@option("--epochs", type=shared.COUNT, default=100, help="Number of epochs.")
@shared.seed_option
@option("-o", "--out", type=shared.PATH, default=Path("course"), help="The folder to write into.")
@shared.force_option
def course(midi: Path, epochs: int, seed: int | None, out: Path, force: bool) -> None:
    """Replay the deep-learning course's jazz exercise, and measure how much its recipe copies."""
    from .course.exercise import load_music_utils
    from .course.replay import FILES, replay

    load_music_utils(midi)  # a wrong file is refused before the output files
    for name in FILES:
        shared.check_out(out / name, force)
    replay(midi, out, epochs, seed or 0, click.echo)


@app.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=shared.PATH)
@option(
    "--melody", metavar="PART", help='Number or name of the melody\'s part  [default: "Solo" or found automatically]'
)
@option(
    "--chords",
    metavar="CHORDS",
    help='Changes, like "Dm7 G7 | Cmaj7 | %", a file, or a link of iReal Pro  [default: the solo\'s own]',
)
@option("--encoding", default=ENCODING, help="How names that are not UTF-8 are written, such as shift_jis.")
@shared.model_option("jazz model")
def score(files: tuple[Path, ...], melody: str | None, chords: str | None, encoding: str, model: Path | None) -> None:
    """Measure solos, MIDI files or written choruses, beside solos of jazz players.

    For one solo, the share of measures is shown that lie where most players do; for several, how far the set lies from
    the players, and whether its solos differ from each other as much as theirs.
    """
    from .yardstick.report import score_files

    for block in score_files(files, load_model(model, KIND), melody, chords, encoding):
        click.echo(block)
