"""The command `dinos`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from numpyrnn import NumpyrnnError, __version__
from numpyrnn.checks import shown
from numpyrnn.cli import Choice
from workbench import options as shared
from workbench.files import data_path, has_capitals, load_model, read_text
from workbench.inside import inspect_options, look_inside, pictures
from workbench.jobs import Jobs, jobs_options
from workbench.run import TrainingRun, training_options
from workbench.sweep import add_sweep
from workbench.tables import loss_table, table
from workbench.terminal import counted, fitted, quoted, say, what_next, with_file, working

from .model import CELLS, KIND, NameTraining, Settings, listing, names_of, sample_many
from .names import END, read_names, show, split_names

DEFAULTS = Settings()
COPIES = "Stop when more than this share of the model's names would be copies; never if 1"


@click.group(cls=shared.default_group("sample"), epilog="Example: dinos -n 20 --seed 1")
@click.version_option(__version__, prog_name="dinos")
def app() -> None:
    """Invent dinosaur names. The default command is `sample`."""


@app.command(epilog="Example: dinos sample -n 5 --prefix tri --temperature 0.8")
@click.option("-n", "n", type=click.IntRange(1, 1_000_000_000), default=10, show_default=True, help="Number of names.")
@shared.seed_option
@shared.sampling_options
@click.option("--prefix", default="", help="The beginning of every name.")
@shared.model_option("dinosaur model")
@jobs_options
def sample(n: int, model: Path | None, jobs: Jobs, **how: Any) -> None:
    """Print names, and mark each as known (from the data) or new."""
    checkpoint = load_model(model, KIND)
    known = set().union(*names_of(checkpoint))
    for names in sample_many(checkpoint, n, jobs, **how):
        click.echo(fitted(listing(names, known)))
    what_next(f"dinos evaluate{with_file('--model', model)}", "dinos train YOUR-NAMES.txt")


@app.command(epilog="Example: dinos train data/dinos.txt --cell gru --epochs 20 -o mine.npz")
@shared.data_options
@click.option(
    "--cell",
    type=Choice(CELLS),
    default=DEFAULTS.cell,
    show_default=True,
    help="Recurrent layers: LSTM, GRU, or plain tanh RNN.",
)
@click.option(
    "--hidden",
    type=click.IntRange(1, 4096),
    default=DEFAULTS.hidden,
    show_default=True,
    help="Units in each recurrent layer.",
)
@click.option(
    "--layers",
    type=click.IntRange(1, 8),
    default=DEFAULTS.layers,
    show_default=True,
    help="Number of recurrent layers.",
)
@click.option(
    "--copies", type=shared.Real(0, 1), help=f"{COPIES}  [default: {DEFAULTS.copies}, 1 if fewer than 500 names]"
)
@training_options("dinos.npz", epochs=60)
@click.option("--keep-case", is_flag=True, help="Keep capital letters.")
def train(run: TrainingRun, data: Path | None, copies: float | None, keep_case: bool, **chosen: Any) -> None:
    """Learn the names in FILE, a UTF-8 text with one name per line (default: the shipped dinosaurs).

    A tenth is held out; training stops early when it no longer improves, or when too many names would be copies. Writes
    the model, a JSONL history and a picture of the curves. Ctrl-C saves the model; --resume continues training.
    """
    if checkpoint := run.resumed(KIND, "data", "plain_data"):
        training = NameTraining.resume(checkpoint)
        if data is not None and set(read_names(data, training.keep_case)) != {*training.training, *training.held_out}:
            raise NumpyrnnError(f"{data} must hold the names that {run.resume} was trained on, it holds others")
    elif start := run.started(KIND):
        names = read_names(data or "", bool(start.config.get("keep_case")))
        training = NameTraining.started(names, start, run.seed or 0)
    else:
        path = data or data_path("dinos.txt")
        names = read_names(path, keep_case)
        copies = copies if copies is not None else DEFAULTS.copies if len(names) >= 500 else 1.0
        settings = Settings(copies=copies, seed=run.seed or 0, **chosen)
        with working("Making the network", count=True):
            training = NameTraining(*split_names(names, settings.seed), settings, keep_case)
        training.lowered = not keep_case and has_capitals(path)
    run.learn(training)


@app.command(epilog="Example: dinos evaluate --samples 1000")
@shared.model_option("dinosaur model")
@shared.seed_option
@shared.sampling_options
@click.option("--samples", type=shared.COUNT, default=10_000, show_default=True, help="Names to sample.")
def evaluate(model: Path | None, seed: int | None, samples: int, **how: Any) -> None:
    """Compare held-out loss with an n-gram's, and measure how much of a sample is copied."""
    from .evaluation import measure  # late: a quick start of the other commands

    with working(f"Measuring losses, and {counted(samples, 'name')} of the network and of an n-gram"):
        figures = measure(load_model(model, KIND), samples, seed or 0, **how)
    held_out = f"{counted(figures['held_out'], 'held-out name')}, {counted(figures['places'], 'character')}"
    say(f"{held_out} (ends included); trained on {figures['training']:,}.\n")
    say(f"{loss_table(figures['losses'], 'character')}\n")
    network, ngram, data = figures["samples"]["network"], figures["samples"]["n-gram"], figures["data"]
    rows = [
        (f"of {counted(samples, 'name')} sampled", "network", "n-gram", "the data"),
        ("in the training set", f"{network.in_training:.2%}", f"{ngram.in_training:.2%}"),
        ("in the held-out set", f"{network.in_held_out:.2%}", f"{ngram.in_held_out:.2%}"),
        ("new", f"{network.new:.2%}", f"{ngram.new:.2%}"),
        (f"ending in -{shown(figures['ending'])}", *(f"{found.ending:.1%}" for found in (network, ngram, data))),
        ("mean length", *(f"{found.length:.2f}" for found in (network, ngram, data))),
    ]
    say(f"{table((28, 10, 10, 10), rows)}\n\nLongest run that a new name copies from a training name:")
    for kind, found in figures["samples"].items():
        run = f"{found.longest_run!r} ({len(found.longest_run)}) of {show(found.run_of)}, from {show(found.run_from)}"
        say(f"  {kind}: {run if found.longest_run else 'none'}")
    what_next(f"dinos sample{with_file('--model', model)}")


@app.command(epilog="Example: dinos inspect Tyrannosaurus -o rex.png")
@click.argument("name")
@inspect_options("dinosaur model")
def inspect(name: str, model: Path | None, out: str | None, force: bool) -> None:
    """Look inside the network while it reads NAME, of at most 200 characters.

    Prints how probable each character is and which earlier one it depends on most, what is left of a gradient, and
    which units answer to what. Draws this and the gates.
    """
    files = pictures(out, force, model)
    checkpoint = load_model(model, KIND)
    examples = [f"{END}{known}{END}" for known in names_of(checkpoint)[0][:500]]
    look_inside(checkpoint, name, examples, files, END, model)


@app.command(epilog="Example: dinos course --iterations 2000")
@shared.data_options
@click.option(
    "--iterations", type=shared.COUNT, default=35000, show_default=True, help="Training steps, each on one name."
)
def course(data: Path | None, iterations: int) -> None:
    """Replay the deep-learning course's run on FILE (default: the shipped dinosaurs)."""
    from .course import model

    path = data or data_path("dinos.txt")
    names = [line.strip() for line in read_text(path).lower().removesuffix("\n").split("\n")]
    characters = sorted(set("\n".join(names)) | {"\n"})
    if len(set(names) - {""}) < 2:
        raise NumpyrnnError(f"{path} must hold at least two different names, one a line")
    ix_to_char = dict(enumerate(characters))
    char_to_ix = {char: ix for ix, char in ix_to_char.items()}
    model(names, ix_to_char, char_to_ix, iterations, vocab_size=len(characters))
    what_next(f"dinos train{f' {quoted(data)}' if data else ''}")


add_sweep(app, __name__, "data", "plain_data")
