"""The command `numpyrnn`: gradient checks, and what a model file holds."""

from __future__ import annotations

from pathlib import Path

import click

from . import __version__
from .command import run


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


def main() -> None:
    """Run the command line."""
    run(app)
