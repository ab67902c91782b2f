"""The command `dinos`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from numpyrnn import NumpyrnnError, __version__
from numpyrnn.checkpoint import Checkpoint, load
from workbench.files import data_path, read_text
from workbench.options import (
    data_options,
    model_option,
    seed_option,
    temperature_option,
    top_k_option,
    training_options,
)
from workbench.training import check_resumed, check_unfinished, learn, outputs, why_it_ended

from .model import CELLS, KIND, NameTraining, Settings, listing, names_of, sample_names
from .names import read_names, show, split

DEFAULTS = Settings()
SHOWN = 5  # names at a time while it learns


def shipped(model: Path | None) -> Checkpoint:
    """The model of a file, or the shipped one."""
    return load(model or data_path("models/dinos.npz"), KIND)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dinos")
@click.pass_context
def app(context: click.Context) -> None:
    """Invent dinosaur names. Without a command: ten of them."""
    if context.invoked_subcommand is None:
        context.invoke(sample)


@app.command()
@click.option("-n", "n", type=click.IntRange(1), default=10, show_default=True, help="How many names.")
@seed_option
@temperature_option
@top_k_option
@click.option("--prefix", default="", help="How each name begins.")
@model_option("model of dinosaurs")
def sample(n: int, seed: int | None, temperature: float, top_k: int | None, prefix: str, model: Path | None) -> None:
    """Print names, each marked as new or known (one of the names that the model learned from)."""
    checkpoint = shipped(model)
    names = sample_names(checkpoint, n, seed, temperature, top_k, prefix)
    click.echo(listing(names, set().union(*names_of(checkpoint))))


@app.command()
@data_options
@click.option("--cell", type=click.Choice(list(CELLS)), default=DEFAULTS.cell, show_default=True, help="Kind of layer.")
@click.option("--hidden", type=click.IntRange(1, 4096), default=DEFAULTS.hidden, show_default=True, help="Units.")
@click.option("--layers", type=click.IntRange(1, 8), default=DEFAULTS.layers, show_default=True, help="How many.")
@click.option("--epochs", type=click.IntRange(1), default=60, show_default=True, help="At most, in all.")
@click.option(
    "--copies",
    type=click.FloatRange(0, 1),
    help=f"End when more than this share of its names would be copies; 1: never.  [default: {DEFAULTS.copies}, "
    "or 1 for fewer than 500 names]",
)
@training_options("dinos.npz")
@click.option("--keep-case", is_flag=True, help="Capitals stay capitals.")
def train(
    data: Path | None,
    cell: str,
    hidden: int,
    layers: int,
    epochs: int,
    copies: float | None,
    seed: int | None,
    out: Path | None,
    force: bool,
    resume: Path | None,
    plot: Path | None,
    keep_case: bool,
    slim: bool,
) -> None:
    """Learn the names of FILE, one a line in UTF-8 (the shipped dinosaurs if there is none).

    A tenth is held out; training ends by itself. Writes the model, a JSONL history and a picture of the curves. Ctrl-C
    saves what was learned; --resume goes on from there.
    """
    files = outputs(out or resume or Path("dinos.npz"), plot, resume, force, [data])
    if resume:
        check_resumed(("cell", "hidden", "layers", "copies", "seed", "keep_case"))
        training = NameTraining.resume(load(resume, KIND))
        if data is not None and set(read_names(data, training.keep_case)) != {*training.training, *training.held_out}:
            raise NumpyrnnError(f"{data} must hold the names that {resume} was trained on, it holds others")
    else:
        names = read_names(data or data_path("dinos.txt"), keep_case)
        copies = copies if copies is not None else DEFAULTS.copies if len(names) >= 500 else 1.0
        settings = Settings(cell=cell, hidden=hidden, layers=layers, copies=copies, seed=seed or 0)
        training = NameTraining(*split(names, settings.seed), settings, keep_case)
    trainer, n, known = training.trainer, len(training.training), {*training.training, *training.held_out}
    otherwise = f"more than {training.settings.copies:.2%} of its names would now be copies"
    check_unfinished(training, epochs, f"the model is {why_it_ended(trainer, 0, otherwise)}")
    click.echo(
        f"{n:,} names to learn, {len(training.held_out):,} held out, {len(training.vocabulary)} characters; ", nl=False
    )
    click.echo(f"{training.settings.cell.upper()} of {training.model.params.flat.size:,} parameters.")

    def show_names(when: str) -> str:
        names = sample_names(training.checkpoint(resumable=False), SHOWN, seed=trainer.epoch)
        return ", ".join(show(name) + "*" * (name in known) for name in names)

    status = learn(
        training, epochs, files, "dinos", show_names, slim=slim, unit="name", items=n, count=lambda b: b.x.shape[1]
    )
    if trainer.history:
        click.echo("A star marks names that are known.")
        ending = why_it_ended(trainer, status, otherwise)
        click.echo(f"Held-out loss {trainer.best_loss:.3f} nats a character, {ending}.")
    draw(training, files.plot)
    click.echo(files)
    sys.exit(status)


def draw(training: NameTraining, plot: Path) -> None:
    """The picture of the curves, with the n-gram's held-out loss as a level."""
    from workbench.history import plot_history
    from workbench.ngram import best_ngram

    from .names import encode

    parts = (encode(part, training.vocabulary) for part in (training.training, training.held_out))
    learned, held_out = ([ids[1:].tolist() for ids in part] for part in parts)
    ngram, loss = best_ngram(learned, held_out, len(training.vocabulary), range(3, 9))
    levels = {f"Kneser-Ney, order {ngram.order}": loss}
    plot_history(training.trainer.history, plot, f"{training.settings.cell.upper()} on {len(learned):,} names", levels)


@app.command()
@model_option("model of dinosaurs")
@seed_option
@click.option("--samples", type=click.IntRange(1), default=10_000, show_default=True, help="Names to sample.")
def evaluate(model: Path | None, seed: int | None, samples: int) -> None:
    """Held-out loss beside an n-gram's, and how much of a sample is copied."""
    from .evaluation import evaluate as measure

    figures = measure(shipped(model), samples, seed or 0)
    click.echo(f"{figures['held_out']} held-out names, {figures['places']:,} characters (with the ends); ", nl=False)
    click.echo(f"learned from {figures['training']:,}.\n\n{'a character':28}{'nats':>8}{'bits':>8}")
    kinds = {"network": "network", "n-gram": f"Kneser-Ney, best order {figures['order']}"}
    for name, loss in figures["losses"].items():
        click.echo(f"{kinds.get(name, name):28}{loss:8.3f}{loss / 0.6931471805599453:8.3f}")
    click.echo(f"\n{f'of {samples:,} names sampled':28}{'network':>10}{'n-gram':>10}{'the data':>10}")
    network, ngram, data = figures["samples"]["network"], figures["samples"]["n-gram"], figures["data"]
    rows = [
        ("in the training set", "in_training", ".2%"),
        ("in the held-out set", "in_held_out", ".2%"),
        ("new", "new", ".2%"),
        (f"ending in -{figures['ending']}", "ending", ".1%"),
        ("mean length", "length", ".2f"),
    ]
    for words, name, form in rows:
        of_data = format(getattr(data, name), form) if name in ("ending", "length") else ""
        click.echo(f"{words:28}{getattr(network, name):>10{form}}{getattr(ngram, name):>10{form}}{of_data:>10}")
    click.echo("\nLongest run in a new name that is copied from a training name:")
    for kind, found in figures["samples"].items():
        if not found.longest_run:
            click.echo(f"  {kind}: none")
            continue
        click.echo(f"  {kind}: {found.longest_run!r} ({len(found.longest_run)}) of {show(found.run_of)},", nl=False)
        click.echo(f" from {show(found.run_from)}")


@app.command()
@data_options
@click.option("--iterations", type=click.IntRange(1), default=35000, show_default=True)
def course(data: Path | None, iterations: int) -> None:
    """Replay the deep-learning course's run on FILE (the shipped dinosaurs if there is none)."""
    from .course import model

    path = data or data_path("dinos.txt")
    lines = read_text(path).lower().replace("\r\n", "\n").removesuffix("\n").split("\n")
    names = [line.strip() for line in lines]
    characters = sorted(set("\n".join(names)) | {"\n"})
    if len(set(names) - {""}) < 2:
        raise NumpyrnnError(f"{path} must hold at least two different names, one a line")
    ix_to_char = dict(enumerate(characters))
    char_to_ix = {char: ix for ix, char in ix_to_char.items()}
    model(names, ix_to_char, char_to_ix, iterations, vocab_size=len(characters))
