"""The command `numpyrnn`: gradient checks, and what a model file holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from . import __version__
from .checks import NumpyrnnError

INTERRUPTED = 130  # as shells have it: 128 + SIGINT


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="numpyrnn")
def app() -> None:
    """Recurrent networks in NumPy."""


@app.command()
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of weights and inputs.")
@click.pass_context
def gradcheck(context: click.Context, seed: int) -> None:
    """Hold every layer's gradients to the complex step and to central differences."""
    from .gradcheck import CENTRAL, NORM, WORST, report

    click.echo("Errors of hand-written gradients, relative. complex: to the complex step, in norm;")
    click.echo("worst: its worst element; central: to central differences, in norm.\n")
    click.echo(f"{'kernel':28} {'gradient of':12} {'numbers':>7} {'complex':>9} {'worst':>9} {'central':>9}   formula")
    failed = checked = 0
    for name, formula, errors in report(seed):
        for error in errors:
            figures = f"{error.size:7d} {error.norm:9.1e} {error.worst:9.1e} {error.central:9.1e}"
            verdict = formula if error.ok else "TOO LARGE"
            click.echo(f"{name:28} {error.what:12} {figures}   {verdict}".rstrip())
            name, formula = "", formula if not error.ok else ""
            failed, checked = failed + (not error.ok), checked + error.size
    click.echo(
        f"\n{checked} numbers checked; allowed: complex {NORM:.0e}, worst {WORST:.0e}, central {CENTRAL:.0e}.", nl=False
    )
    click.echo(f" {failed} gradients are wrong." if failed else " All gradients are right.")
    context.exit(1 if failed else 0)


@app.command()
@click.argument("model", type=click.Path(path_type=Path))
def info(model: Path) -> None:
    """Say what a model file holds."""
    from .checkpoint import load

    checkpoint = load(model)
    click.echo(f"{model}: a model of {checkpoint.kind}, {checkpoint.model.params.flat.size:,} parameters\n")
    click.echo(checkpoint.model.summary())
    click.echo(f"\n{checkpoint.vocabulary or 'No vocabulary'}; ", nl=False)
    click.echo("can be resumed." if checkpoint.training else "finished: cannot be resumed.")


def run(command: click.Command) -> None:
    """Run a command line and exit: 0 well, 1 bad input, 2 wrong usage, 130 interrupted; one line for each error.

    Parameters
    ----------
    command : click Command or Group
    """
    try:
        status = command(standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        status = INTERRUPTED
    except BrokenPipeError:  # the reader has had enough: `dinos | head -1`
        _drop_output()
        status = 1
    except (NumpyrnnError, OSError, MemoryError, UnicodeError) as error:
        _drop_output()
        words = str(error) if isinstance(error, NumpyrnnError) else f"{type(error).__name__}: {error}"
        click.echo(f"Error: {words}", err=True)
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _drop_output() -> None:
    """What is still in the buffer cannot be written: let Python's exit not try again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the command line."""
    run(app)
