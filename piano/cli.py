"""The command `piano`."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from music.outputs import endings_of, left_over, side_by_side
from numpyrnn import NumpyrnnError, __version__
from numpyrnn.cli import Choice
from numpyrnn.signals import handled, interrupt, status_of
from workbench.files import data_path, load_model
from workbench.history import write_history
from workbench.jobs import HERE, JOBS, Jobs, jobs_options
from workbench.options import (
    COUNT,
    NAME,
    PATH,
    check_not_read,
    check_out,
    check_picture,
    choose_out,
    data_files_options,
    default_group,
    dry_option,
    engraving_options,
    force_option,
    model_option,
    options_of,
    output_path,
    sampling_options,
    seed_option,
    shown_path,
)
from workbench.run import TrainingRun, training_options
from workbench.sweep import add_sweep
from workbench.tables import table
from workbench.terminal import counted, progress_bar, quoted, say, what_next, with_file, working

from .compare import HEADER, Row, compared, line, plot_rows, records_of
from .corpus import Piece, default_cache, read_pieces
from .doctor import NOTHING, diagnose
from .evaluation import best_ngrams, measure, uniform
from .model import KIND, MODELS, SPLITS, material_of
from .play import perform
from .training import PianoTraining

OUT = Path("piano.mid")
KINDS = (
    "The article's LSTM or simple WaveNet, which predict after each window; or a gated WaveNet or LSTM, at every step"
)
NETWORK = "lstm-steps"
file_bar = partial(progress_bar, unit="file", delay=1)
SPLIT = "Hold out a fifth of the pieces or, as in the article, of all windows; this leaks because windows overlap."


@click.group(cls=default_group("play"), epilog="Example: piano --seed 1 -o piece.mid")
@click.version_option(__version__, prog_name="piano")
def app() -> None:
    """Compose piano music in the style of MIDI files. The default command is `play`."""


min_count_option = click.option(
    "--min-count", type=COUNT, default=50, show_default=True, help="How often a token must occur to be learned."
)
window_option = click.option(
    "--window", type=click.IntRange(8, 4096), default=32, show_default=True, help="Tokens before the predicted one."
)
pieces_options = options_of(
    data_files_options, click.option("--no-cache", is_flag=True, help="Do not keep a cache in the folder that is read.")
)
learning_options = options_of(
    min_count_option,
    window_option,
    click.option("--split", type=Choice(SPLITS), default="piece", show_default=True, help=SPLIT),
    click.option("--transpose", is_flag=True, help="Learn the training part in all twelve keys."),
    click.option("--rhythm", is_flag=True, help="Also learn rhythm: durations and onsets."),
)


@app.command(epilog="Example: piano play --primer data/piano/maple-leaf-rag.mid --length 100")
@click.option("--length", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Number of new tokens.")
@seed_option
@sampling_options
@click.option("--primer", type=PATH, help="Begin as this MIDI file does  [default: continue a random held-out passage]")
@click.option("--tempo", type=click.IntRange(20, 400), help="Quarters a minute  [default: 120, or 80 with rhythm]")
@click.option("--soundfont", type=PATH, help="Render the sound with FluidSynth and this soundfont.")
@dry_option
@model_option("piano model")
@click.option("--no-score", is_flag=True, help="Write no MusicXML file, which saves an eighth of the time.")
@engraving_options
@click.option("-o", "--out", type=NAME, help="Name of the files, or FOLDER/  [default: piano.mid, piano-2.mid ...]")
@force_option
def play(model: Path | None, soundfont: Path | None, dry: bool, out: str | None, force: bool, **options: Any) -> None:
    """Compose a new piece and write it as MIDI, sound, picture and score, side by side."""
    kinds = {"score": not options.pop("no_score"), "svg": options.pop("svg"), "pdf": options.pop("pdf")}
    files_of = partial(side_by_side, endings=endings_of(**kinds))
    path = choose_out(out, OUT, files_of, force)
    check_not_read(files_of(path), [options["primer"]], "the primer")
    with working("Composing"):
        checkpoint = load_model(model, KIND)
        music = perform(checkpoint, **options, progress=partial(progress_bar, unit="note", delay=1))
    with working("Writing the files"):
        files = music.write(path, soundfont, dry=dry, **kinds)
    material = material_of(checkpoint)
    copied = material.copied(material.vocabulary.encode(music.tokens[music.n_primer :]))
    old = map(shown_path, left_over(path, files))
    remark = "".join(f"\n{file} was there before and is not of this piece." for file in old)
    say(f"{music.summary()}\nLongest run copied: {copied}.{remark}\nWritten: {', '.join(map(shown_path, files))}.")
    more = f"{with_file('--model', model)} --primer {quoted(path.with_suffix('.mid'))}"
    what_next(f"piano play{more}", f"piano evaluate{with_file('--model', model)}")


def sources(data: list[Path], no_cache: bool) -> tuple[list[Path], Path | None]:
    """The files and folders to read, the shipped ones if none are given, and the cache."""
    paths = data or [data_path("piano")]
    return paths, None if no_cache else default_cache(paths)


def pieces_to_learn(data: list[Path], no_cache: bool, rhythm: bool, jobs: Jobs) -> list[Piece]:
    """The pieces of files and folders. Files that cannot be used are named on standard error."""
    paths, cache = sources(data, no_cache)
    return read_pieces(paths, rhythm, cache, lambda why: click.echo(f"Left out: {why}", err=True), file_bar, jobs)


@app.command(epilog="Example: piano train data/piano --transpose -o mine.npz")
@pieces_options
@click.option("--network", type=Choice(MODELS), help=f"{KINDS}  [default: {NETWORK}]")
@click.option("--model", hidden=True, help="The old word for --network.")
@learning_options
@jobs_options
@training_options("piano.npz")
def train(
    run: TrainingRun,
    data: list[Path],
    network: str | None,
    model: str | None,
    no_cache: bool,
    jobs: Jobs,
    **chosen: Any,
) -> None:
    """Learn from MIDI files or folders of them (default: the shipped ones).

    A fifth is held out; training stops early when it no longer improves. Writes the model, a JSONL history and a
    picture of the curves. Ctrl-C saves the model; --resume continues training.
    """
    if checkpoint := run.resumed(KIND):
        run.learn(PianoTraining.resume(checkpoint))
    if start := run.started(KIND, "no_cache", *JOBS):
        rhythm = material_of(start).settings.rhythm
        run.learn(PianoTraining.started(pieces_to_learn(data, no_cache, rhythm, jobs), start, run.seed or 0))
    if model is not None:
        if model not in MODELS or network not in (None, model):
            raise click.UsageError("--model is a file, which train takes as --resume; --network chooses the network")
        click.echo(f"--model {model} is now called --network {model}.", err=True)
    usual = MODELS[network or model or NETWORK]
    settings = replace(usual, seed=run.seed or 0, epochs=run.epochs or usual.epochs, **chosen)
    with working("Reading the pieces"):
        training = PianoTraining.of_pieces(pieces_to_learn(data, no_cache, settings.rhythm, jobs), settings)
    run.learn(training)


@app.command(epilog="Example: piano compare data/piano --epochs 5")
@pieces_options
@learning_options
@click.option("--epochs", type=COUNT, help="Largest number for each model  [default: the model's own]")
@seed_option
@click.option("-o", "--out", type=NAME, help="PNG of the held-out curves, or FOLDER/  [default: compare.png]")
@force_option
def compare(
    data: list[Path], epochs: int | None, seed: int | None, out: str | None, force: bool, no_cache: bool, **chosen: Any
) -> None:
    """Train every kind of model on the same split, and print the results.

    Writes a picture of the held-out curves, and a JSONL history beside it. Ctrl-C ends the comparison and keeps the
    results so far.
    """
    path = output_path(out, Path("compare.png"))
    check_out(path, force)
    history = path.with_suffix(".jsonl")
    if history == path:
        raise NumpyrnnError(f"the picture must not have the name of the history beside it, got {path}")
    check_out(history, force)
    check_not_read((path, history), data)
    check_picture(path)
    every = [replace(settings, seed=seed or 0, **chosen) for settings in MODELS.values()]
    rows: list[Row] = []
    with working("Reading the pieces"):
        pieces = pieces_to_learn(data, no_cache, chosen["rhythm"], HERE)
        material = PianoTraining.of_pieces(pieces, every[0]).material
    say(f"{material.describe()}\n\n{HEADER}")
    came: list[int] = []

    def stop(number: int, frame: Any) -> None:
        came.append(number)
        interrupt(number, frame)

    with handled(stop):
        for row in compared((PianoTraining.of_pieces(pieces, settings) for settings in every), epochs):
            rows.append(row)
            say(str(row))
    whole = len(rows) == len(every) and not rows[-1].interrupted
    with working("Measuring the n-grams"):  # no verdict on networks that were interrupted
        found = best_ngrams(material) if whole else []
    ngrams = {f"{name}, order {ngram.order}": figures for name, ngram, figures in found}
    for name, figures in {**ngrams, "uniform": uniform(material)}.items():
        say(line(name, *figures))
    if rows:
        write_history(history, records_of(rows))
        levels = {name: loss for name, (loss, _) in ngrams.items()}
        plot_rows(rows, path, f"{len(material.training)} pieces, split by {chosen['split']}", levels)
        say(f"\nCurves {shown_path(path)}, history {shown_path(history)}.")
        best = min(rows, key=lambda row: row.loss).model
        what_next(f"piano train{f' {quoted(*data)}' * bool(data)} --network {best}")
    sys.exit(0 if whole else status_of(KeyboardInterrupt(*came)))


@app.command(epilog="Example: piano evaluate --samples 200")
@model_option("piano model")
@click.option("--samples", type=COUNT, default=500, show_default=True, help="Tokens to sample.")
@seed_option
@sampling_options
def evaluate(model: Path | None, samples: int, seed: int | None, **how: Any) -> None:
    """Compare held-out loss and accuracy with n-grams, and find the longest run that a sample copies."""
    with working(f"Measuring losses, and {counted(samples, 'token')} of the network and of an n-gram"):
        found = measure(load_model(model, KIND), samples, seed or 0, **how)
    material, figures = found["material"], found["figures"]
    say(f"{material.settings.model}: {material.describe()}\n")
    rows = [(name, f"{loss:.3f}", f"{right:.1%}") for name, (loss, right) in figures.items()]
    say(table((37, 13, 10), [("held out", "nats a token", "accuracy"), *rows]))
    say(f"\nLongest run copied from a training piece, in {counted(samples, 'token')}:")
    for name, copied in found["copied"].items():
        say(f"  {name}: {copied}")
    what_next(f"piano play{with_file('--model', model)}")


@app.command(epilog="Example: piano doctor data/piano -o tokens.png")
@pieces_options
@min_count_option
@window_option
@click.option("-o", "--out", type=NAME, help="PNG of how often the tokens occur, or FOLDER/ for tokens.png in it.")
@force_option
def doctor(data: list[Path], min_count: int, window: int, out: str | None, force: bool, no_cache: bool) -> None:
    """Describe MIDI files or folders of them (default: the shipped ones), and say which cannot be used and why."""
    path = None if out is None else output_path(out, Path("tokens.png"))
    if path is not None:
        check_out(path, force)
        check_not_read([path], data, "read")
        check_picture(path)
    paths, cache = sources(data, no_cache)
    lines = list[str]()
    for text in diagnose(paths, min_count, window, cache, path, file_bar):
        say(text)
        lines.append(text)
    if path is not None:
        say(f"\nWritten: {shown_path(path)}.")
    limits = f" --min-count {min_count} --window {window}" * (not any(NOTHING in text for text in lines))
    what_next(f"piano train{f' {quoted(*data)}' * bool(data)}{limits}")


add_sweep(app, __name__, "data", "plain_data")
