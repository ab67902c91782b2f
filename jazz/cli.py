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
from music.outputs import write_together
from music.reader import ENCODING
from music.synth import render, write_wav
from numpyrnn import NumpyrnnError, __version__
from numpyrnn.checks import shown
from workbench import options as shared
from workbench.files import load_model
from workbench.jobs import JOBS, Jobs, jobs_options
from workbench.run import TrainingRun, training_options
from workbench.sweep import add_sweep
from workbench.tables import table
from workbench.terminal import counted, progress_bar, quoted, say, what_next, with_file, working

from .changes import FORMS, form_chart, parse_meter
from .changes import form as shipped_form
from .charts.chart import Chart
from .charts.drawing import draw
from .charts.files import in_key, read_chart, source_of
from .evaluation import RUN, measure
from .model import KIND, RECIPES, Settings
from .playing.command import chart_options, improvise, instruments, told
from .reading.choruses import read_chorus
from .reading.corpus import chorus_midi, excerpt, read_music, read_tunes, shipped_choruses
from .reading.doctor import diagnose
from .reading.wjazzd import Chosen, is_database, parse_tempos
from .soloist import TEMPERATURE
from .training import JazzTraining

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


@click.group(cls=shared.default_group("improvise"), epilog="Example: jazz --seed 1 -o solo.mid")
@click.version_option(__version__, prog_name="jazz")
def app() -> None:
    """Improvise jazz solos over chord changes. The default command is `improvise`."""


app.add_command(improvise)
app.add_command(instruments)


@app.command(epilog='Example: jazz chart "Dm7 G7 | Cmaj7 | %" -o chart.musicxml')
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
    bars = counted(len(read.measures), "bar")
    click.echo(f"# {bars}." if played == len(read.measures) else f"# {bars}, {played} are played.")
    if contents:
        click.echo(f"Written: {', '.join(map(shared.shown_path, contents))}.")
    same = {"form": form, "chords": chords, **which}
    what_next("jazz" + "".join(f" --{name} {quoted(text)}" for name, text in same.items() if text))


def chart_file(chart: Chart, ending: str) -> bytes:
    """A chart as the bytes of a file with this ending."""
    if ending == ".txt":
        return draw(chart).encode()
    from .charts.sheet import chart_sheet

    sheet = chart_sheet(chart)
    return sheet if ending == ".musicxml" else ENGRAVERS[ending](sheet)


@app.command(epilog="Example: jazz train data/choruses/*.txt --epochs 20 -o mine.npz")
@shared.data_files_options
@part_options
@option("--performer", multiple=True, help="Of the database, the solos by this player; can be repeated.")
@option("--style", multiple=True, help="Of the database, the solos in this style, such as bebop; can be repeated.")
@option("--tempo", metavar="RANGE", help="Of the database, the solos at these tempos, such as 100-260.")
@option("--meter", help="Of the database, the solos in this meter, such as 4/4.")
@option("--recipe", type=click.Choice(list(RECIPES), case_sensitive=False), help=RECIPE)
@option("--hidden", type=click.IntRange(1, 4096), help="Units in each recurrent layer  [default: the recipe's]")
@option("--layers", type=click.IntRange(1, 8), help="Number of recurrent layers  [default: the recipe's]")
@flag("--whole-forms", help="Hold out whole forms, with all choruses over them.")
@jobs_options
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
    jobs: Jobs,
    **which: Any,
) -> None:
    """Learn from MIDI files, written choruses, or solos of the Weimar Jazz Database (default: the shipped choruses).

    The database is given as wjazzd.db or in its CSV form, a folder or zip file. A fifth of the tunes is held out (of a
    single tune, its last bars), with all solos over them. Another tenth, if there are ten tunes or more, decides when
    training ends. Writes the model, a JSONL history and a picture of the curves. Ctrl-C saves the model; --resume
    continues training.
    """
    if checkpoint := run.resumed(KIND):
        run.learn(JazzTraining.resume(checkpoint))
    tempos, beats = tempo and parse_tempos(tempo), meter and parse_meter(meter)
    chosen, solos = Chosen(performer, style, tempos or None, beats or None), any(map(is_database, data))
    if chosen != Chosen() and not solos:
        raise click.UsageError("--performer, --style, --tempo and --meter choose solos of the Weimar Jazz Database")
    base = RECIPES[recipe or ("solos" if solos else "parts")]
    settings = replace(base, hidden=hidden or base.hidden, layers=layers or base.layers, seed=run.seed or 0)
    if start := run.started(KIND, *JOBS, *which, "whole_forms", "performer", "style", "tempo", "meter"):
        settings = replace(Settings.of(start), seed=run.seed or 0)
    refused: list[NumpyrnnError] = []
    progress = partial(progress_bar, unit="solo", delay=1)
    with working("Reading the tunes"):
        files = data or shipped_choruses()
        tunes = read_tunes(files, **which, on_refused=refused.append, chosen=chosen, progress=progress, jobs=jobs)
    for why in refused[:MOST_SHOWN]:
        click.echo(f"Left out: {shown(why, 400)}", err=True)
    if len(refused) > MOST_SHOWN:
        click.echo(f"Left out: {len(refused) - MOST_SHOWN} more.", err=True)
    if solos:
        say(f"{counted(len(tunes), 'solo')} used, {len(refused)} cannot be used.")
    run.learn(JazzTraining.of_tunes(tunes, settings, by_group=solos or whole_forms, start=start))


@app.command(epilog="Example: jazz evaluate --samples 5")
@shared.model_option("jazz model")
@shared.seed_option
@shared.sampling_options_of(TEMPERATURE)
@option("--samples", type=shared.COUNT, default=10, help="Solos to sample.")
@option("--form", metavar="NAME", default="rhythm-changes", help="The form that the solos are played over.")
@option("--solos", type=shared.COUNT, default=20, help="Solos to measure beside those of players.")
def evaluate(model: Path | None, seed: int | None, samples: int, form: str, solos: int, **how: Any) -> None:
    """Compare held-out loss with n-grams', and measure how much of new solos is copied."""
    from .yardstick.quality import played
    from .yardstick.report import distance_line

    changes = shipped_form(form)
    with working("Measuring losses and copies"):
        checkpoint, progress = load_model(model, KIND), partial(progress_bar, delay=1)
        found = measure(checkpoint, changes, samples, seed or 0, progress=progress, **how)
    (tunes, values), (held_out, unseen) = found["training"], found["held_out"]
    learned = f"trained on {counted(tunes, 'tune')}, {counted(values, 'value')}"
    say(f"{counted(held_out, 'held-out tune')}, {counted(unseen, 'value')}; {learned}.\n")
    losses = [(name, f"{loss:.3f}") for name, loss in found["losses"].items()]
    say(f"{table((46, 14), [('', 'nats a value'), *losses])}\n")
    title = f"copied, {counted(samples, 'solo')} of {counted(len(changes.bars), 'bar')}"
    rows = [(title, f"in runs of {RUN} or more", "longest run", "")]
    for name, (runs, share) in found["copies"].items():
        longest = max(runs, key=lambda run: run.length)
        where = f"   bar {longest.bar} of {shown(longest.tune)}" if longest.length else ""
        rows.append((name, f"{share:.1%}", f"{longest.length}", where))
    say(f"{table((29, 22, 14, 1), rows)}\n")
    with working("Measuring solos beside those of players"):
        measured = played(checkpoint, solos, seed or 0, progress=partial(progress_bar), **how)
    say(f"{counted(solos, 'solo')} over seven shipped forms, at least 32 bars each.\n{distance_line(measured)}")
    what_next(f"jazz improvise{with_file('--model', model)}")


@app.command(epilog="Example: jazz doctor data/piano/maple-leaf-rag.mid")
@click.argument("file", type=shared.PATH)
@part_options
def doctor(file: Path, **which: Any) -> None:
    """Show what a MIDI file holds, what would be learned from it, and what is left out and why."""
    for line in diagnose(file, **which):
        say(line)
    what_next(f"jazz train {quoted(file)}")


@app.command(epilog="Example: jazz listen data/choruses/blues-f-1.txt --bars 12")
@click.argument("file", type=shared.PATH)
@option("--from-bar", type=shared.COUNT, default=1, help="The first bar to use, from 1.")
@option("--bars", type=shared.COUNT, default=16, help="Number of bars.")
@shared.dry_option
@option("-o", "--out", type=shared.NAME, help="WAV file, or FOLDER/  [default: the file's name with .wav]")
@shared.force_option
def listen(file: Path, from_bar: int, bars: int, dry: bool, out: str | None, force: bool) -> None:
    """Render an excerpt of a MIDI file or a written chorus as a WAV file."""
    path = shared.output_path(out, Path(f"{file.stem}.wav"))
    if path.suffix.lower() != ".wav":
        raise NumpyrnnError(f"sound is written as a .wav file, got {path}")
    shared.check_out(path, force)
    with working("Rendering the sound"):
        progress = partial(progress_bar, unit="note", delay=1)
        write_wav(path, render(excerpt(read_music(file), from_bar, bars), progress=progress, dry=dry))
    say(f"Written: {shared.shown_path(path)}.")
    what_next(f"jazz score {quoted(file)}")


@app.command(epilog="Example: jazz choruses data/choruses/blues-f-1.txt -o midi")
@option("-o", "--out", type=shared.PATH, default=Path("choruses"), help="The folder to write into.")
@flag("--straight", help="Straight eighths, without swing.")
@shared.force_option
@click.argument("texts", nargs=-1, metavar="[TEXT]...", type=shared.PATH)
def choruses(out: Path, straight: bool, force: bool, texts: tuple[Path, ...]) -> None:
    """Convert written choruses to MIDI files (default: the shipped ones)."""
    paths = texts or shipped_choruses()
    with working("Reading the choruses"):
        found = {out / f"{path.stem}.mid": read_chorus(path) for path in paths}
    if len(found) < len(paths):
        raise NumpyrnnError("choruses must have different names, two of these would give the same MIDI file")
    for path in found:
        shared.check_out(path, force)
    for path, chorus in progress_bar(found.items(), unit="chorus", delay=1):
        write_midi(path, chorus_midi(chorus, straight))
    bars = counted(sum(len(chorus.changes.bars) for chorus in found.values()), "bar")
    notes = counted(sum(len(chorus.melody) for chorus in found.values()), "note")
    say(f"{counted(len(found), 'chorus')}, {bars}, {notes}: {shared.shown_path(out)}.")
    what_next(f"jazz listen {quoted(next(iter(found)))}")


@app.command(epilog="Example: jazz course --midi original_metheny.mid --epochs 10")
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
    replay(midi, out, epochs, seed or 0, say)
    what_next(f"jazz train {quoted(midi)}")


@app.command(epilog="Example: jazz score data/choruses/blues-f-1.txt")
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

    with working("Measuring the solos"):
        blocks = list(score_files(files, load_model(model, KIND), melody, chords, encoding))
    say("\n".join(blocks))
    what_next(f"jazz listen {quoted(files[0])}")


add_sweep(app, __name__, "data", "plain_data")
