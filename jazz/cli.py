"""The command `jazz`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from numpyrnn import NumpyrnnError, __version__
from workbench.files import load_model, make_folder
from workbench.options import (
    check_out,
    choose_out,
    data_files_options,
    default_group,
    force_option,
    model_option,
    options_of,
    seed_option,
    temperature_option,
    top_k_option,
)
from workbench.tables import table
from workbench.training import TrainingRun, training_options

from .changes import FORMS
from .playing.band import INSTRUMENTS

OUT = Path("solo.mid")
PATH = click.Path(path_type=Path)

part_options = options_of(
    click.option("--melody", metavar="PART", help="Number or name of the melody's part  [default: found by itself]"),
    click.option("--chords", metavar="PART", help="Number or name of the chords' part  [default: found by itself]"),
    click.option("--from-bar", type=click.IntRange(1), help="The first bar to use, from 1."),
    click.option("--to-bar", type=click.IntRange(1), help="The last bar to use."),
)


@click.group(cls=default_group("improvise"), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jazz")
def app() -> None:
    """Improvise jazz solos over chord changes. The default command is `improvise`."""


@app.command()
@click.option("--chords", metavar="CHORDS", help='Changes, like "Dm7 G7 | Cmaj7 | %"; @FILE reads them from a file.')
@click.option("--form", metavar="NAME", help=f"A shipped form: {', '.join(FORMS)}  [default: blues-f]")
@click.option("--meter", default="4/4", show_default=True, help="Of --chords.")
@seed_option
@temperature_option
@top_k_option
@click.option("--choruses", type=click.IntRange(1), default=1, show_default=True, help="How often the form is played.")
@click.option(
    "--density",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="2: more and shorter notes; 0.5: fewer and longer ones.",
)
@click.option(
    "--primer", metavar="FILE|opening", help="Begin with the first two bars of a file, or of a training tune."
)
@click.option("--ending", is_flag=True, help="Add a bar, held on the chord to which the last one resolves.")
@click.option("--tempo", type=click.IntRange(20, 400), default=130, show_default=True, help="Quarters a minute.")
@click.option(
    "--swing", type=click.FloatRange(0.5, 0.8), help="Share of the beat's first half  [default: 0.67, or the form's]"
)
@click.option("--straight", is_flag=True, help="No swing.")
@click.option(
    "--program", type=click.IntRange(1, 128), default=67, show_default=True, help="The solo's General MIDI program."
)
@options_of(*(click.option(f"--no-{name}", is_flag=True, help=f"Leave the {name} out.") for name in INSTRUMENTS))
@click.option(
    "--soundfont", type=click.Path(path_type=Path), help="Make the sound with fluidsynth and this sound font."
)
@model_option("soloist")
@click.option("--no-lead-sheet", is_flag=True, help="Write no MusicXML file, which saves a quarter of the time.")
@click.option(
    "-o", "--out", type=click.Path(), help="Name of all files, or FOLDER/ for them  [default: solo.mid, solo-2.mid ...]"
)
@force_option
def improvise(
    swing: float | None,
    straight: bool,
    program: int,
    soundfont: Path | None,
    no_lead_sheet: bool,
    chords: str | None,
    out: str | None,
    force: bool,
    **options: Any,
) -> None:
    """Play a new solo over changes and write it as MIDI, sound, picture and lead sheet, side by side."""
    from tqdm import tqdm

    from workbench.files import read_text

    from .playing.performance import improvise as perform
    from .playing.performance import output_files

    if straight and swing is not None:
        raise click.UsageError("--swing and --straight exclude each other")
    if chords is not None and options["form"] is not None:
        raise click.UsageError("--chords and --form exclude each other")
    if chords is None and click.get_current_context().get_parameter_source("meter") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--meter goes with --chords; a form has its own")
    if chords is not None and chords.startswith("@"):
        chords = read_text(chords[1:])
    path = choose_out(out, OUT, lambda name: output_files(name, not no_lead_sheet), force)
    instruments = [name for name in INSTRUMENTS if not options.pop(f"no_{name}")]
    options |= {"swing": 0.5 if straight else swing, "instruments": instruments, "program": program - 1}
    with tqdm(unit="bar", delay=2, leave=False) as progress:  # shown only for a long solo
        solo = perform(chords, on_bar=progress.update, **options)
    files = solo.write(path, soundfont, not no_lead_sheet)
    click.echo(f"{solo.summary()}\nWritten: {', '.join(map(str, files))}.")


@app.command()
@data_files_options
@part_options
@click.option(
    "--recipe",
    type=click.Choice(["parts", "atomic", "course", "deepjazz"]),
    default="parts",
    show_default=True,
    help="Values in parts or as single symbols, with their context; or the network of the course or of deepjazz.",
)
@click.option("--hidden", type=click.IntRange(1, 4096), help="Units  [default: as the recipe has them]")
@click.option("--layers", type=click.IntRange(1, 8), help="How many  [default: as the recipe has them]")
@training_options("jazz.npz", epochs=120)
def train(
    run: TrainingRun, data: list[Path], recipe: str, hidden: int | None, layers: int | None, **which: Any
) -> None:
    """Learn from MIDI files or written choruses (default: the shipped choruses).

    A fifth of the tunes is held out (of a single tune, its last bars); training stops early when it no longer improves.
    Writes the model, a JSONL history and a picture of the curves. Ctrl-C saves the model; --resume continues training.
    """
    from .model import KIND, RECIPES
    from .reading.corpus import read_tunes, shipped_choruses
    from .training import JazzTraining

    if checkpoint := run.resumed(KIND):
        run.learn(JazzTraining.resume(checkpoint))
    base = RECIPES[recipe]
    settings = replace(base, hidden=hidden or base.hidden, layers=layers or base.layers, seed=run.seed or 0)
    tunes = read_tunes(
        data or shipped_choruses(), **which, on_refused=lambda why: click.echo(f"Left out: {why}", err=True)
    )
    run.learn(JazzTraining.of_tunes(tunes, settings))


@app.command()
@model_option("soloist")
@seed_option
@temperature_option
@click.option("--samples", type=click.IntRange(1), default=10, show_default=True, help="Solos to sample.")
@click.option("--form", metavar="NAME", default="rhythm-changes", show_default=True, help="What they are played over.")
def evaluate(model: Path | None, seed: int | None, temperature: float, samples: int, form: str) -> None:
    """Print the held-out loss beside those of n-grams, and how much of a sample is copied."""
    from tqdm import tqdm

    from .changes import form as shipped_form
    from .evaluation import RUN, measure
    from .model import KIND

    changes, checkpoint = shipped_form(form), load_model(model, KIND)
    found = measure(checkpoint, changes, samples, seed or 0, temperature, partial(tqdm, delay=2, leave=False))
    (tunes, values), (held_out, unseen) = found["training"], found["held_out"]
    click.echo(f"{held_out} held-out tunes, {unseen:,} values; learned from {tunes} tunes, {values:,} values.\n")
    losses = [(name, f"{loss:.3f}") for name, loss in found["losses"].items()]
    click.echo(f"{table((52, 14), [('', 'nats a value'), *losses])}\n")
    title = f"copied, {samples} solos of {len(changes.bars)} bars"
    rows = [(title, f"in runs of {RUN} or more", "longest run", "")]
    for name, (runs, share) in found["copies"].items():
        longest = max(runs, key=lambda run: run.length)
        where = f"   bar {longest.bar} of {longest.tune}" if longest.length else ""
        rows.append((name, f"{share:.1%}", f"{longest.length}", where))
    click.echo(table((36, 22, 14, 1), rows))


@app.command()
@click.argument("file", type=PATH)
@part_options
def doctor(file: Path, **which: Any) -> None:
    """Show what a MIDI file holds, what would be learned from it, and what cannot be used and why."""
    from .reading.doctor import diagnose

    for line in diagnose(file, **which):
        click.echo(line)


@app.command()
@click.argument("file", type=PATH)
@click.option("--from-bar", type=click.IntRange(1), default=1, show_default=True, help="The first bar.")
@click.option("--bars", type=click.IntRange(1), default=16, show_default=True, help="How many.")
@click.option("-o", "--out", type=PATH, help="WAV file  [default: the file's name with .wav]")
@force_option
def listen(file: Path, from_bar: int, bars: int, out: Path | None, force: bool) -> None:
    """Make an excerpt of a MIDI file or a written chorus audible, as a WAV file."""
    from music.synth import render, write_wav

    from .reading.corpus import excerpt, read_music

    out = out or Path(f"{file.stem}.wav")
    if out.suffix.lower() != ".wav":
        raise NumpyrnnError(f"sound is written as a .wav file, got {out}")
    check_out(out, force)
    write_wav(out, render(excerpt(read_music(file), from_bar, bars)))
    click.echo(f"Written: {out}.")


@app.command()
@click.option("-o", "--out", type=PATH, default=Path("choruses"), show_default=True, help="Folder.")
@click.option("--straight", is_flag=True, help="Straight eighths, without swing.")
@force_option
@click.argument("texts", nargs=-1, metavar="[TEXT]...", type=PATH)
def choruses(out: Path, straight: bool, force: bool, texts: tuple[Path, ...]) -> None:
    """Make MIDI files of written choruses (default: the shipped ones)."""
    from music.midi import write_midi

    from .reading.choruses import read_chorus
    from .reading.corpus import chorus_midi, shipped_choruses

    paths = texts or shipped_choruses()
    found = {out / f"{path.stem}.mid": read_chorus(path) for path in paths}
    if len(found) < len(paths):
        raise NumpyrnnError("choruses must have different names, two of these would be one MIDI file")
    make_folder(out)
    for path in found:
        check_out(path, force)
    for path, chorus in found.items():
        write_midi(path, chorus_midi(chorus, straight))
    bars, notes = (
        sum(len(chorus.changes.bars) for chorus in found.values()),
        sum(len(chorus.melody) for chorus in found.values()),
    )
    click.echo(f"{len(found)} choruses, {bars:,} bars, {notes:,} notes: {out}.")


@app.command()
@click.option("--midi", type=PATH, required=True, help="The course's file, original_metheny.mid.")
@click.option("--epochs", type=click.IntRange(1), default=100, show_default=True)
@seed_option
@click.option("-o", "--out", type=PATH, default=Path("course"), show_default=True, help="Folder.")
@force_option
def course(midi: Path, epochs: int, seed: int | None, out: Path, force: bool) -> None:
    """Replay the deep-learning course's jazz exercise, and measure how much its recipe copies."""
    from .course.replay import FILES, replay

    for name in FILES if out.is_dir() else ():
        check_out(out / name, force)
    replay(midi, out, epochs, seed or 0, click.echo)
