"""The command `numpyrnn`: gradient checks, model files, completion. `Group` and `run` serve the other programs too."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import click
import numpy as np

from . import __version__
from .checks import KEPT, NumpyrnnError, shown
from .output import guarded_output
from .signals import handled, leave, status_of

SEED = click.IntRange(0, (1 << 63) - 1)


class AnyPath(click.Path):
    """The path of a file or folder; an empty one, which would mean the current folder, is an error."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check a path and convert it."""
        if not str(value) or "\0" in str(value):
            self.fail("A path must not be empty or hold a zero byte.", param, ctx)
        return super().convert(value, param, ctx)


class Choice(click.Choice[str]):
    """A choice of words, in capital or small letters; a misspelt one is answered with the nearest."""

    def __init__(self, choices: Iterable[str]):
        super().__init__(list(choices), case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert a word, or fail with the choices and the nearest of them."""
        from difflib import get_close_matches

        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            near = get_close_matches(str(value)[:80].lower(), self.choices, 1)
            raise click.BadParameter(
                error.message + "".join(f" Did you mean {one!r}?" for one in near), ctx, param
            ) from None


PATH = AnyPath(path_type=Path)
ABOUT = "numpyrnn.about"  # entry points: functions of a path and a Checkpoint that yield lines about the model


class Command(click.Command):
    """A command whose help in its group is a whole sentence."""

    def get_short_help_str(self, limit: int = 0) -> str:
        """The first paragraph of the help, which click would cut to the width of the terminal."""
        return " ".join((self.help or "").partition("\n\n")[0].split())


class Group(click.Group):
    """A group of such commands. Each of them has the option `-h`."""

    command_class = Command

    def __init__(self, *given: Any, **attributes: Any):
        super().__init__(*given, **attributes)
        self.context_settings["help_option_names"] = ["-h", "--help"]


@click.group(cls=Group, epilog="Example: numpyrnn info data/models/dinos.npz")
@click.version_option(__version__, prog_name="numpyrnn")
def app() -> None:
    """Recurrent networks in NumPy."""


@app.command(epilog="Example: numpyrnn gradcheck docs/lstm_cell.py:case")
@click.argument("files", nargs=-1, metavar="[FILE.py[:CASE]]...", type=PATH)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the random numbers of the check.")
@click.pass_context
def gradcheck(context: click.Context, files: tuple[Path, ...], seed: int) -> None:
    """Check hand-written gradients by the complex step and by central differences (default: those of every layer).

    FILE.py is your own Python file, and is imported. A case is a function in it without arguments that returns forward,
    backward and arrays, or a layer. Without CASE, all functions whose names begin with "case" are checked. The exit
    status is 1 if a gradient is wrong. See docs/check-your-own.md.
    """
    if files:
        from .cases import checks_of

        wrong = False
        for spec in files:
            checks = _or_error(partial(checks_of, str(spec), seed))
            wrong |= checks is None
            for name, check in checks or []:
                click.echo(name)
                found = _or_error(check)
                wrong |= found is None or not found.ok
                if found is not None:
                    click.echo(_narrowed(f"{found}\n"))
        context.exit(int(wrong))
    check_layers(context, seed)


def _or_error(function: Any) -> Any:
    """Call a function, and return its result; print its error and return None, so that what follows is checked too."""
    try:
        return function()
    except NumpyrnnError as error:
        sys.stdout.flush()
        click.echo(f"Error: {error}", err=True)
        return None


def check_layers(context: click.Context, seed: int) -> None:
    """Check every layer of the engine, print the errors, and exit."""
    from .every import report
    from .gradcheck import CENTRAL, NORM, WORST

    click.echo("Relative errors of hand-written gradients. complex: against the complex step, in the norm;")
    click.echo("worst: of the worst element; central: against central differences, in the norm.\n")
    click.echo(f"{'kernel':30} {'gradient of':12} {'numbers':>7} {'complex':>9} {'worst':>9} {'central':>9}   formula")
    checked = wrong = 0
    for kernel, formula, errors in report(seed):
        for i, error in enumerate(errors):
            figures = f"{prod(error.shape):7} {error.norm:9.1e} {error.worst:9.1e} {error.central:9.1e}"
            name, remark = ("", "") if i else (kernel, formula)
            line = f"{name:30} {error.what:12} {figures}   {remark if error.ok else 'TOO LARGE'}".rstrip()
            click.echo(_narrowed(line))
            checked, wrong = checked + prod(error.shape), wrong + (not error.ok)
    verdict = f"{wrong} gradients are wrong." if wrong else "All gradients are right."
    allowed = f"complex {NORM:.0e}, worst {WORST:.0e}, central {CENTRAL:.0e}"
    click.echo(_narrowed(f"\n{checked} numbers checked; allowed: {allowed}. {verdict}"))
    context.exit(1 if wrong else 0)


@app.command(epilog="Example: numpyrnn info data/models/dinos.npz")
@click.argument("model", metavar="FILE", type=PATH)
def info(model: Path) -> None:
    """Show what a model file holds: its data, network and settings, its loss beside an n-gram's, and how to use it."""
    from importlib.metadata import entry_points  # late, as all imports here: a quick start

    from .checkpoint import load

    checkpoint = load(model)
    programs = [program.load() for program in entry_points(group=ABOUT, name=checkpoint.kind)]
    about = [program(model, checkpoint) for program in programs]  # raises if the file is none of the program's
    path, kind, size = shown(model, KEPT), shown(checkpoint.kind), checkpoint.model.params.flat.size
    by = "" if programs or kind == "numpyrnn" else ", a program that is not installed here"
    click.echo(f"{path}: a model of {kind}{by}, {size:,} parameters, {model.stat().st_size:,} bytes\n")
    click.echo(_narrowed(checkpoint.model.summary()))
    ended = checkpoint.training is None or checkpoint.training.get("finished")
    resumable = "finished: cannot be resumed" if ended else "can be resumed"
    click.echo(f"\n{checkpoint.vocabulary or 'No vocabulary'}; {resumable}.")
    if not programs:
        click.echo("\nIn Python:\n\n    import numpy as np\n    import numpyrnn\n")
        click.echo(f"    model = numpyrnn.load({str(model)!r})\n    {_use(checkpoint)}")
    for line in (line for lines in about for line in lines):
        click.echo(line)


def _use(checkpoint: Any) -> str:
    """A line of Python that uses `model`, a checkpoint: it writes on, or else the layers are given an input."""
    if checkpoint.vocabulary:
        prompt = [checkpoint.vocabulary.tokens[0]]
        with suppress(Exception):  # of any kind: the layers may be a user's
            checkpoint.generate(prompt, 1)
            return f"print(model.generate({prompt!r}, 20))"
    from .contract import fitting

    x = fitting(checkpoint.model, None, np.random.default_rng(0))
    return f"print(model.model(np.zeros({x.shape}, {x.dtype.name!r})))"


def _narrowed(table: str) -> str:
    """A table whose rows are wrapped if they are wider than the terminal."""
    import shutil
    from textwrap import fill

    width, lines = max(20, shutil.get_terminal_size().columns), table.split("\n")
    if not sys.stdout.isatty() or max(map(len, lines)) <= width:
        return table
    blank = [all(line[i : i + 1] in ("", " ") for line in lines) for i in range(max(map(len, lines)))]
    keep = [i for i, one in enumerate(blank) if not (one and i and blank[i - 1])]  # one blank between two columns
    lines = ["".join(line[i : i + 1] for i in keep) for line in lines]
    if max(map(len, lines)) <= width:
        return "\n".join(lines)
    return "\n".join(fill(" ".join(line.split()), width, subsequent_indent="  ") for line in lines)


@app.command(epilog='Example: eval "$(numpyrnn completion bash)"')
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script with which a shell completes the commands, options and files of numpyrnn and of all programs.

    To load it in every new shell:

    \b
    bash   echo 'eval "$(numpyrnn completion bash)"' >> ~/.bashrc
    zsh    echo 'eval "$(numpyrnn completion zsh)"' >> ~/.zshrc     # after compinit
    fish   numpyrnn completion fish > ~/.config/fish/conf.d/numpyrnn.fish
    """  # noqa: D301
    from importlib.metadata import entry_points

    from click.shell_completion import get_completion_class

    from .verify import GROUP

    script: Any = get_completion_class(shell)
    for name in ["numpyrnn", *sorted({program.name for program in entry_points(group=GROUP)})]:
        click.echo(script.source_template % script(app, {}, name, f"_{name.upper()}_COMPLETE").source_vars())


@app.command(epilog="Example: numpyrnn verify data/models/dinos.npz")
@click.argument("model", metavar="FILE", type=PATH)
def verify(model: Path) -> None:
    """Check all that a model file holds, and describe it in one line."""
    from .verify import verify as check

    click.echo(_narrowed(check(model)))
    sys.stdout.flush()
    click.echo(f"Next:\n  numpyrnn info {shlex.quote(shown(model, KEPT))}", err=True)


def run(command: click.Command) -> None:
    """Run a command line and exit: 0 for success, 1 for bad input, 2 for wrong usage, 128 + n after the signal n.

    Each error is printed as one line. A signal ends the process as in `signals.leave`.

    Parameters
    ----------
    command : click Command or Group
    """
    if sys.flags.optimize > 1:
        restore_help(command)
    with handled(leave), guarded_output():
        status = _status(command)
    sys.exit(status)


def _status(command: click.Command) -> int:
    """Run a command line, print its error, and return the exit status."""
    try:
        status = command(standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.message = str(NumpyrnnError(error.message))  # type: ignore[misc]
        error.show()
        return int(error.exit_code)
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo("Interrupted.", err=True)
        return status_of(error)
    except (NumpyrnnError, MemoryError, OSError, OverflowError, UnicodeError) as error:
        if not isinstance(error, BrokenPipeError):  # the reader has stopped, as in `dinos | head -1`
            why = str(error) or "there is not enough memory"  # Python's own MemoryError has no words
            words = why if isinstance(error, NumpyrnnError) else f"{type(error).__name__}: {why}"
            click.echo(f"Error: {NumpyrnnError(words)}", err=True)
        return 1


def restore_help(command: click.Command) -> None:
    """Read the help of a command line from its source; `python -OO` strips the docstrings that it comes from."""
    import ast
    import inspect
    import textwrap

    for one in [command, *getattr(command, "commands", {}).values()]:
        function: Any = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(one.callback)))).body[0]
        one.help = one.help or ast.get_docstring(function)


def main() -> None:
    """Run the command line."""
    run(app)
