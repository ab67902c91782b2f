"""The command `piano`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from numpyrnn import NumpyrnnError, __version__
from numpyrnn.cli import INTERRUPTED
from workbench.options import (
    check_not_read,
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
    training_options,
)

from .model import KIND, LEAK, MODELS, SPLITS, Material, PianoTraining, material_of

OUT = Path("piano.mid")
SHOWN = 10  # tokens at a time while it learns


@click.group(cls=default_group("play"), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="piano")
def app() -> None:
    """Compose piano music in the manner of MIDI files. Without a command, `play` is meant, with its options."""


min_count_option = click.option(
    "--min-count", type=click.IntRange(1), default=50, show_default=True, help="How often a token must occur."
)
window_option = click.option(
    "--window", type=click.IntRange(8), default=32, show_default=True, help="Tokens after which the next is predicted."
)
cache_option = click.option("--no-cache", is_flag=True, help="Keep nothing in the folder that is read.")
learning_options = options_of(
    min_count_option,
    window_option,
    click.option(
        "--split",
        type=click.Choice(SPLITS),
        default="piece",
        show_default=True,
        help="Hold out a fifth of the pieces; or of all windows at random, as the article does, which leaks: windows "
        "overlap, and pieces repeat themselves.",
    ),
    click.option("--transpose", is_flag=True, help="Learn the training part in all twelve keys."),
    click.option("--rhythm", is_flag=True, help="Learn durations and times too."),
)


@app.command()
@click.option("--length", type=click.IntRange(1, 10_000), default=200, show_default=True, help="New notes and chords.")
@seed_option
@temperature_option
@top_k_option
@click.option(
    "--primer",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Begin with the beginning of a MIDI file  [default: read a held-out place, and do not play it]",
)
@click.option(
    "--tempo", type=click.IntRange(20, 400), help="Quarters a minute  [default: 120, or 80 if the model knows rhythm]"
)
@click.option(
    "--soundfont", type=click.Path(path_type=Path), help="Make the sound with fluidsynth and this sound font."
)
@model_option("player of piano music")
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    help="Names all three files; FOLDER/ is where  [default: piano.mid, piano-2.mid ..]",
)
@force_option
def play(model: Path | None, soundfont: Path | None, out: str | None, force: bool, **options: Any) -> None:
    """Compose a new piece: MIDI, sound and picture, side by side."""
    from tqdm import tqdm

    from numpyrnn.checkpoint import load
    from workbench.files import data_path

    from .evaluation import Copies
    from .play import output_files, perform

    path = choose_out(out, OUT, output_files, force)
    check_not_read(output_files(path), [options["primer"]], "the primer")
    checkpoint = load(model or data_path("models/piano.npz"), KIND)
    music = perform(
        checkpoint, **options, progress=lambda ids, n: tqdm(ids, total=n, unit="note", delay=1, leave=False)
    )
    files = music.write(path, soundfont)
    material = material_of(checkpoint)
    copied = Copies(material).longest(material.vocabulary.encode(music.tokens[music.n_primer :]))
    click.echo(f"{music.summary()}\nLongest run copied: {copied}.\nWritten: {', '.join(map(str, files))}.")


def pieces_to_learn(data: Sequence[Path], rhythm: bool, no_cache: bool = False) -> list[Any]:
    """The pieces of files and folders, or the shipped ones; what cannot be used is named."""
    from workbench.files import data_path

    from .corpus import read_pieces

    paths = list(data) or [data_path("piano")]

    def left_out(why: NumpyrnnError) -> None:
        click.echo(f"Left out: {why}", err=True)

    return read_pieces(paths, rhythm, cache_of(paths, no_cache), left_out, file_progress)


def file_progress(files: Sequence[Any]) -> Any:
    """A progress bar over files, where they take long."""
    from tqdm import tqdm

    return tqdm(files, unit="file", delay=1, leave=False)


def cache_of(paths: Sequence[Path], no_cache: bool) -> Path | None:
    """Where the reading of a single folder is kept; never in the shipped one."""
    from workbench.files import data_path

    from .corpus import default_cache

    if no_cache or len(paths) != 1 or paths[0].resolve() == data_path("piano").resolve():
        return None
    return default_cache(paths[0])


@app.command()
@data_files_options
@click.option(
    "--model",
    type=click.Choice(list(MODELS)),
    default="lstm-steps",
    show_default=True,
    help="The article's two, with a loss after each window; or a WaveNet or LSTM with a loss at every step.",
)
@learning_options
@click.option("--epochs", type=click.IntRange(1), help="At most, in all  [default: as the model has it]")
@training_options("piano.npz")
@cache_option
def train(
    data: list[Path],
    model: str,
    epochs: int | None,
    seed: int | None,
    out: Path | None,
    force: bool,
    resume: Path | None,
    plot: Path | None,
    slim: bool,
    no_cache: bool,
    **what: Any,
) -> None:
    """Learn from MIDI files or folders of them (the shipped ones if there are none).

    A fifth is held out; training ends by itself. Writes the model, a JSONL history and a picture of the curves. Ctrl-C
    saves what was learned; --resume goes on from there.
    """
    from numpyrnn.checkpoint import load
    from numpyrnn.sampling import Sampler
    from workbench.history import plot_history
    from workbench.training import check_resumed, check_unfinished, learn, outputs, why_it_ended

    from .evaluation import best_ngrams, network_figures
    from .play import compose

    files = outputs(out or resume or Path("piano.npz"), plot, resume, force, data)
    if resume:
        check_resumed(("data", "plain_data", "model", "seed", "no_cache", *what))
        training = PianoTraining.resume(load(resume, KIND))
    else:
        settings = replace(MODELS[model], seed=seed or 0, **what)
        settings = replace(settings, epochs=epochs or settings.epochs)
        training = PianoTraining.of_pieces(pieces_to_learn(data, settings.rhythm, no_cache), settings)
    settings, trainer, material = training.settings, training.trainer, training.material
    epochs = epochs or settings.epochs
    check_unfinished(training, epochs, f"the model is {why_it_ended(trainer)}")
    click.echo(f"{described(material)}; {settings.model}, {training.model.params.flat.size:,} parameters.")
    if settings.split == "random":
        click.echo(LEAK)

    def show(when: str) -> str:
        return " ".join(compose(training.checkpoint(resumable=False), SHOWN, Sampler(trainer.epoch)))

    n = training.n_windows
    bar: dict[str, Any] = {"unit": "window", "items": n, "count": lambda batch: batch.x.shape[1]} if n else {}
    status = learn(training, epochs, files, "piano", show, slim=slim, **bar)
    if trainer.history:
        loss, right = network_figures(training.checkpoint(resumable=False), material)
        click.echo(f"Held-out loss {loss:.3f} nats a token, accuracy {right:.1%}, {why_it_ended(trainer, status)}.")
    levels = {}
    for name, ngram, (loss, right) in best_ngrams(material):
        levels[f"{name}, order {ngram.order}"] = loss
        click.echo(f"{name}, best order {ngram.order}: {loss:.3f}, {right:.1%}.")
    title = f"{settings.model} on {len(material.training)} pieces"
    plot_history(trainer.history, files.plot, title, levels, "nats a token")
    click.echo(files)
    sys.exit(status)


def described(material: Material) -> str:
    """What there is to learn, and what is held out."""
    keys = " in 12 keys" if material.settings.transpose else ""
    learned = f"{len(material.learned.starts):,} windows of {len(material.training)} pieces{keys} to learn"
    of = len(material.held_out) or "the same"
    return f"{learned}, {len(material.unseen.starts):,} of {of} held out, {len(material.vocabulary)} different tokens"


@app.command()
@data_files_options
@learning_options
@click.option("--epochs", type=click.IntRange(1), help="At most, of each  [default: as each model has it]")
@seed_option
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("compare.png"), show_default=True, help="The picture."
)
@force_option
@cache_option
def compare(
    data: list[Path], epochs: int | None, seed: int | None, out: Path, force: bool, no_cache: bool, **what: Any
) -> None:
    """Train every kind of model on the same split, and print what each of them reaches.

    Writes a picture of the held-out curves, and a JSONL history beside it. Ctrl-C ends with what there is.
    """
    from workbench.history import write_history

    from .compare import HEADER, compared, line, plot_rows, records_of
    from .evaluation import best_ngrams, uniform

    history = out.with_suffix(".jsonl")
    if history == out:
        raise NumpyrnnError(f"the picture must not have the name of the history beside it, got {out}")
    for path in (out, history):
        check_out(path, force)
    check_not_read((out, history), data)
    every = [replace(settings, seed=seed or 0, **what) for settings in MODELS.values()]
    pieces, rows = pieces_to_learn(data, what["rhythm"], no_cache), []
    material = PianoTraining.of_pieces(pieces, every[0]).material
    click.echo(f"{described(material)}.")
    if what["split"] == "random":
        click.echo(LEAK)
    click.echo(f"\n{HEADER}")
    for row in compared((PianoTraining.of_pieces(pieces, settings) for settings in every), epochs):
        rows.append(row)
        click.echo(row)
    levels = {}
    for name, ngram, figures in best_ngrams(material):
        levels[f"{name}, order {ngram.order}"] = figures[0]
        click.echo(line(f"{name}, order {ngram.order}", *figures))
    click.echo(line("uniform", *uniform(material)))
    if rows:
        write_history(history, records_of(rows))
        plot_rows(rows, out, f"{len(material.training)} pieces, split by {what['split']}", levels)
        click.echo(f"\nCurves {out}, history {history}.")
    sys.exit(0 if len(rows) == len(every) and not rows[-1].interrupted else INTERRUPTED)


@app.command()
@model_option("player of piano music")
@click.option("--samples", type=click.IntRange(1), default=500, show_default=True, help="Tokens to sample.")
@seed_option
def evaluate(model: Path | None, samples: int, seed: int | None) -> None:
    """Held-out loss and accuracy beside n-grams', and the longest run that a sample copies."""
    from numpyrnn.checkpoint import load
    from workbench.files import data_path

    from .evaluation import evaluate as measure

    found = measure(load(model or data_path("models/piano.npz"), KIND), samples, seed or 0)
    click.echo(f"{found['material'].settings.model}: {described(found['material'])}.")
    if found["material"].settings.split == "random":
        click.echo(LEAK)
    click.echo(f"\n{'held out':44}{'nats a token':>14}{'accuracy':>10}")
    for name, (loss, right) in found["figures"].items():
        click.echo(f"{name:44}{loss:14.3f}{right:10.1%}")
    click.echo(f"\nLongest run copied from a training piece, in {samples} tokens:")
    for name, copied in found["copied"].items():
        click.echo(f"  {name}: {copied}")


@app.command()
@data_files_options
@min_count_option
@window_option
@click.option("-o", "--out", type=click.Path(path_type=Path), help="PNG of how often tokens occur.")
@force_option
@cache_option
def doctor(data: list[Path], min_count: int, window: int, out: Path | None, force: bool, no_cache: bool) -> None:
    """What MIDI files or folders of them (or the shipped ones) would give, and what cannot be used and why."""
    from workbench.files import data_path

    from .doctor import diagnose

    if out is not None:
        check_out(out, force)
        check_not_read([out], data, "looked at")
    paths = data or [data_path("piano")]
    for text in diagnose(paths, min_count, window, cache_of(paths, no_cache), out, file_progress):
        click.echo(text)
    if out is not None:
        click.echo(f"\nWritten: {out}.")
