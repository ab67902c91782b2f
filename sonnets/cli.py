"""The command `sonnets`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from math import log
from pathlib import Path

import click
import numpy as np

from numpyrnn import __version__
from numpyrnn.checkpoint import Checkpoint, load
from numpyrnn.files import atomic_write
from numpyrnn.sampling import Sampler
from workbench.files import data_path
from workbench.options import (
    check_not_read,
    check_out,
    data_options,
    default_group,
    force_option,
    model_option,
    seed_option,
    temperature_option_of,
    top_k_option,
    training_options,
)

from .model import EPOCH, KIND, RECIPES, SonnetTraining
from .text import read_text_of, split, without_unknown
from .write import LENGTH, LONGEST, TEMPERATURE, opening
from .write import write as characters

SHOWN = 80  # characters at a time while it learns


def shipped(model: Path | None) -> Checkpoint:
    """The model of a file, or the shipped one."""
    return load(model or data_path("models/sonnets.npz"), KIND)


def given_text(checkpoint: Checkpoint, data: Path | None) -> str | None:
    """The text of a file as a model would read it."""
    return None if data is None else read_text_of(data, bool(checkpoint.config.get("keep_case")))


@click.group(cls=default_group("write"), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sonnets")
def app() -> None:
    """Write on in the manner of the sonnets, or of any text. Without a command, `write` is meant, with its options."""


@app.command()
@click.argument("prompt", required=False)
@click.option(
    "--length",
    type=click.IntRange(1),
    help=f"Characters after the prompt, at most  [default: {LENGTH}, or {LONGEST:,} with --lines]",
)
@click.option("--lines", type=click.IntRange(1), help="Lines, those of the prompt among them; blank ones do not count.")
@temperature_option_of(TEMPERATURE)
@top_k_option
@seed_option
@model_option("writer of sonnets")
@click.option(
    "--unknown",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="What becomes of characters of the prompt that the model does not know.",
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write the poem to this file too.")
@force_option
def write(
    prompt: str | None,
    length: int | None,
    lines: int | None,
    temperature: float,
    top_k: int | None,
    seed: int | None,
    model: Path | None,
    unknown: str,
    out: Path | None,
    force: bool,
) -> None:
    """Continue PROMPT, or a random first line of the text that the model learned from."""
    if out is not None:
        check_out(out, force)
        check_not_read([out], [model], "the model")
    checkpoint, sampler = shipped(model), Sampler(np.random.default_rng(seed), temperature, top_k)
    prompt = opening(checkpoint, sampler) if prompt is None else prompt
    written = characters(checkpoint, prompt, length, lines, sampler, unknown)
    if unknown == "skip":
        prompt = without_unknown(prompt, checkpoint)
    poem = say(prompt, written)
    if out is not None:
        with atomic_write(out) as file:
            file.write(poem.encode())


def say(prompt: str, characters: Iterable[str]) -> str:
    """Print a poem as it is written, with one newline at its end, also where it is interrupted; give it back."""
    poem = held = ""
    try:
        for piece in chain([prompt], characters):
            words = (held + piece).rstrip("\n")
            held = (held + piece)[len(words) :]  # newlines, until more words come
            click.echo(words, nl=False)
            poem += words
    finally:
        click.echo()
    return poem + "\n"


@app.command()
@data_options
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="streams",
    show_default=True,
    help="A loss at every character of streams that are read on and on; or the course's network and windows of 40.",
)
@click.option("--hidden", type=click.IntRange(1, 4096), help="Units  [default: as the recipe has them]")
@click.option("--layers", type=click.IntRange(1, 8), help="How many  [default: as the recipe has them]")
@click.option("--epochs", type=click.IntRange(1), help="In all  [default: as the recipe has them]")
@training_options("sonnets.npz")
@click.option("--keep-case", is_flag=True, help="Capitals stay capitals.")
def train(
    data: Path | None,
    recipe: str,
    hidden: int | None,
    layers: int | None,
    epochs: int | None,
    seed: int | None,
    out: Path | None,
    force: bool,
    resume: Path | None,
    plot: Path | None,
    keep_case: bool,
    slim: bool,
) -> None:
    """Learn the text of FILE, in UTF-8 (the shipped sonnets if there is none).

    Its last tenth is held out. Writes the model, a JSONL history and a picture of the curves. Ctrl-C saves what was
    learned; --resume goes on from there.
    """
    from workbench.history import plot_history
    from workbench.training import check_resumed, check_unfinished, learn, outputs, why_it_ended

    from .evaluation import ngram_beside

    files = outputs(out or resume or Path("sonnets.npz"), plot, resume, force, [data])
    if resume:
        check_resumed(("recipe", "hidden", "layers", "seed", "keep_case"))
        checkpoint = load(resume, KIND)
        training = SonnetTraining.resume(checkpoint, given_text(checkpoint, data))
        epochs = epochs or training.settings.epochs
    else:
        base = RECIPES[recipe]
        epochs = epochs or base.epochs
        settings = replace(
            base, hidden=hidden or base.hidden, layers=layers or base.layers, epochs=epochs, seed=seed or 0
        )
        path = data or data_path("sonnets.txt")  # its text is held by nobody once it is ids
        training = SonnetTraining(*split(read_text_of(path, keep_case)), settings, keep_case)
    trainer, settings = training.trainer, training.settings
    check_unfinished(training, epochs, f"the model is {why_it_ended(trainer)}")
    n = len(training.ids)
    click.echo(f"{n:,} characters to learn, {training.n_held_out:,} held out, ", nl=False)
    click.echo(f"{len(training.vocabulary)} different ones; ", nl=False)
    title = f"{settings.layers} x LSTM({settings.hidden})"
    click.echo(f"{title}, {training.model.params.flat.size:,} parameters.")
    if n > EPOCH:
        click.echo(f"An epoch reads {EPOCH:,} characters from a random place on.")

    def show(when: str) -> str:
        sampler = Sampler(trainer.epoch, TEMPERATURE)
        return "".join(characters(training.checkpoint(resumable=False), "", SHOWN, 1, sampler)).strip()

    status = learn(
        training,
        epochs,
        files,
        "sonnets",
        show,
        slim=slim,
        unit="character",
        items=training.places,
        count=lambda batch: batch.places,
    )
    ngram, loss, _ = ngram_beside(training.ids, training.unseen, len(training.vocabulary))
    if trainer.history:
        best = trainer.best_loss
        click.echo(f"Held-out loss {best:.3f} nats a character, {why_it_ended(trainer, status)}. ", nl=False)
        click.echo(f"The best n-gram: {loss:.3f}.")
    levels = {f"Kneser-Ney, order {ngram.order}": loss}
    plot_history(trainer.history, files.plot, f"{title} on {n:,} characters", levels)
    click.echo(files)
    sys.exit(status)


@app.command()
@model_option("writer of sonnets")
@click.option("--data", type=click.Path(path_type=Path), help="The text, of a model that does not keep its own.")
@click.option("--samples", type=click.IntRange(1), default=2000, show_default=True, help="Characters to sample.")
@seed_option
def evaluate(model: Path | None, data: Path | None, samples: int, seed: int | None) -> None:
    """Held-out loss beside an n-gram's, and the longest run that a sample copies."""
    from .evaluation import evaluate as measure

    checkpoint = shipped(model)
    figures = measure(checkpoint, given_text(checkpoint, data), samples, seed or 0)
    click.echo(f"{figures['held_out']:,} held-out characters; learned from {figures['training']:,}.")
    if figures["measured"] < figures["held_out"]:
        click.echo(f"The losses are over the first {figures['measured']:,} held-out characters.")
    if figures["counted"] < figures["training"]:
        click.echo(f"The n-gram is made of the last {figures['counted']:,} characters learned.")
    click.echo(f"\n{'a character':28}{'nats':>8}{'bits':>8}")
    kinds = {"network": "network", "n-gram": f"Kneser-Ney, best order {figures['order']}"}
    for name, loss in figures["losses"].items():
        click.echo(f"{kinds.get(name, name):28}{loss:8.3f}{loss / log(2):8.3f}")
    click.echo(f"\n{f'of {samples:,} characters':28}{'longest run in the training text':>36}")
    for name, found in figures["copied"].items():
        click.echo(f"{name:28}{len(found.run):8}  {found.run!r}", nl=False)
        click.echo(f", line {found.number}: {found.line.strip():.80}" if found.run else "")
