"""The command `sonnets`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import click

from numpyrnn import __version__
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import shown
from numpyrnn.cli import Choice
from numpyrnn.files import atomic_write
from numpyrnn.sampling import Sampler
from numpyrnn.signals import handled, interrupt
from workbench import options as shared
from workbench.files import data_path, has_capitals, load_model
from workbench.inside import inspect_options, look_inside, pictures
from workbench.run import TrainingRun, training_options
from workbench.sweep import add_sweep
from workbench.tables import loss_table
from workbench.terminal import counted, say, what_next, with_file, working

from .evaluation import PASSAGE, measure
from .model import KIND, SonnetTraining
from .recipes import RECIPES
from .text import BLANK, START, opening, read_plain, split_text, without_unknown
from .write import LENGTH, LONGEST, TEMPERATURE, continue_prompt

WORDS = f"Characters to write  [default: {LENGTH}, or {LONGEST:,} with --lines]"
FIRST_LINES = 4  # of a sample, which `evaluate` shows


def given_text(checkpoint: Checkpoint, data: Path | None) -> str | None:
    """The text of a file as a model reads it; None if there is no file."""
    return None if data is None else read_plain(data, bool(checkpoint.config.get("keep_case")))


@click.group(cls=shared.default_group("write"), epilog="Example: sonnets --lines 14 --seed 1")
@click.version_option(__version__, prog_name="sonnets")
def app() -> None:
    """Continue a line in the style of the sonnets or of any text. The default command is `write`."""


@app.command(epilog='Example: sonnets write "Shall I compare thee" --lines 4 --seed 1')
@click.argument("prompt", required=False)
@click.option("--length", type=click.IntRange(1, 1_000_000_000), help=WORDS)
@click.option("--lines", type=shared.COUNT, help="Lines, including the prompt's; blank ones do not count.")
@shared.sampling_options_of(TEMPERATURE)
@shared.seed_option
@shared.model_option("sonnet model")
@click.option(
    "--unknown",
    type=Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="Stop at characters that the model does not know, or skip them.",
)
@click.option("-o", "--out", type=shared.NAME, help="Also write the poem to this file, or to FOLDER/poem.txt.")
@shared.force_option
def write(prompt: str | None, model: Path | None, unknown: str, out: str | None, force: bool, **how: Any) -> None:
    """Continue PROMPT or, by default, a random first line of the text that the model learned.

    Characters of PROMPT that the model does not know are an error; --unknown skip drops them.
    """
    if out is not None:
        path = shared.output_path(out, Path("poem.txt"))
        shared.check_out(path, force)
        shared.check_not_read([path], [model], "the model")
    checkpoint = load_model(model, KIND)
    sampler = Sampler(*(how.pop(name) for name in ("seed", "temperature", "top_k", "top_p")))
    prompt = opening(checkpoint, sampler.rng) if prompt is None else prompt
    if unknown == "skip":
        prompt = without_unknown(prompt, checkpoint)
    poem = spoken(prompt, continue_prompt(checkpoint, prompt, sampler, **how))
    if out is not None:
        with atomic_write(path) as file:
            file.write(poem.encode())
        click.echo(f"Written: {shared.shown_path(path)}.", err=True)
    what_next(f"sonnets evaluate{with_file('--model', model)}", "sonnets train YOUR-TEXT.txt")


def spoken(prompt: str, characters: Iterable[str]) -> str:
    """Print a poem while it is written, and return it; it ends with one newline, even when interrupted."""
    poem = held = ""
    try:
        with handled(interrupt):
            for piece in chain([prompt], characters):
                words = (held + piece).rstrip("\n")
                held = (held + piece)[len(words) :]  # newlines, until more words come
                click.echo(words, nl=False)
                poem += words
    finally:
        click.echo()
    return poem + "\n"


@app.command(epilog="Example: sonnets train data/sonnets.txt --epochs 5 -o mine.npz")
@shared.data_options
@click.option(
    "--recipe",
    type=Choice(RECIPES),
    default="streams",
    show_default=True,
    help="A loss at every character of streams of text, or the course's windows; see above.",
)
@click.option("--hidden", type=click.IntRange(1, 4096), help="Units in each recurrent layer  [default: the recipe's]")
@click.option("--layers", type=click.IntRange(1, 8), help="Number of recurrent layers  [default: the recipe's]")
@training_options("sonnets.npz")
@click.option("--keep-case", is_flag=True, help="Keep capital letters.")
def train(run: TrainingRun, data: Path | None, recipe: str, keep_case: bool, **sizes: Any) -> None:
    """Learn FILE, a UTF-8 text (default: the shipped sonnets).

    The last tenth is held out. Writes the model, a JSONL history and a picture of the curves. Ctrl-C saves the model;
    --resume continues training. The recipe "streams" reads the text as contiguous streams, with a loss at
    every character; "course" has the deep-learning course's network, and windows of 40 characters.
    """
    if checkpoint := run.resumed(KIND, "data", "plain_data"):
        run.learn(SonnetTraining.resume(checkpoint, given_text(checkpoint, data)))
    if start := run.started(KIND):
        run.learn(SonnetTraining.started(given_text(start, data) or "", start, run.seed or 0))
    chosen = {"epochs": run.epochs, "seed": run.seed, **sizes}
    settings = replace(RECIPES[recipe], **{name: value for name, value in chosen.items() if value is not None})
    path = data or data_path("sonnets.txt")  # no variable holds the text itself, so that it can be freed
    with working("Reading the text"):
        training = SonnetTraining(*split_text(read_plain(path, keep_case)), settings, keep_case)
        training.lowered = not keep_case and has_capitals(path)
    run.learn(training)


@app.command(epilog="Example: sonnets evaluate --samples 500")
@shared.model_option("sonnet model")
@click.option("--data", type=shared.PATH, help="The text, if the model file does not keep it.")
@click.option("--samples", type=shared.COUNT, default=2000, show_default=True, help="Characters to sample.")
@shared.seed_option
@shared.sampling_options
def evaluate(model: Path | None, data: Path | None, samples: int, seed: int | None, **how: Any) -> None:
    """Compare held-out loss with an n-gram's, and find the longest run that a sample copies."""
    checkpoint = load_model(model, KIND)
    with working("Measuring losses and copies"):
        figures = measure(checkpoint, given_text(checkpoint, data), samples, seed or 0, **how)
    say(f"{counted(figures['held_out'], 'held-out character')}; trained on {figures['training']:,}.")
    if figures["measured"] < figures["held_out"]:
        say(f"The losses are over the first {figures['measured']:,} held-out characters.")
    if figures["counted"] < figures["training"]:
        say(f"The n-gram is fitted on the last {figures['counted']:,} training characters.")
    if found := figures["repeated"]:
        passage, number, line = found[0]
        share = f"{len(found)} of {counted(figures['passages'], 'held-out passage')} of {PASSAGE} characters"
        say(f"Warning: {share} also stand in the training part, so the losses are too low.")
        say(f"One is {passage!r}, line {number}: {line.strip():.80}")
    say(f"\n{loss_table(figures['losses'], 'character')}\n")
    say(f"{'of ' + counted(samples, 'character'):28}{'longest run in the training text':>36}")
    for name, (run, number, line) in figures["copied"].items():
        say(f"{name:28}{len(run):8}  {run!r}{f', line {number}: {line.strip():.80}' if run else ''}")
    say("\nThe network's sample begins:")
    for line in figures["sample"].splitlines()[:FIRST_LINES]:
        say(f"  {shown(line, PASSAGE * 2)}")
    what_next(f"sonnets write{with_file('--model', model)}")


@app.command(epilog='Example: sonnets inspect "Shall I compare thee" -o shall.png')
@click.argument("text")
@inspect_options("sonnet model")
def inspect(text: str, model: Path | None, out: str | None, force: bool) -> None:
    """Look inside the network while it reads TEXT, of at most 200 characters.

    Prints how probable each character is and which earlier one it depends on most, what is left of a gradient, and
    which units answer to what. Draws this and the gates.
    """
    files = pictures(out, force, model)
    checkpoint = load_model(model, KIND)
    learned = checkpoint.config.get("training") or "\n\n".join(checkpoint.config["openings"])
    examples = [START + part for part in BLANK.split(learned[:10_000]) if part]
    look_inside(checkpoint, text, examples, files, model=model)


add_sweep(app, __name__, "data", "plain_data")
