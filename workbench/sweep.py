"""The command `sweep` of every program: many trainings with different options, and a table of their losses."""

from __future__ import annotations

import itertools
import json
import math
import shlex
import sys
from collections.abc import Generator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from functools import partial
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

import click
import numpy as np

from numpyrnn import NumpyrnnError
from numpyrnn.checks import shown
from numpyrnn.cli import Command
from numpyrnn.files import atomic_write, first_bytes
from numpyrnn.ranks import checksum_of, started
from numpyrnn.signals import handled, interrupt, status_of

from . import options as shared
from .files import read_text
from .jobs import JOBS, DiedError, Jobs, jobs_options
from .run import TrainingRun
from .tables import table
from .terminal import counted, progress_bar, say, what_next
from .training import Training, best_epoch

LEFT_OUT = {
    "out",
    "force",
    "resume",
    "plot",
    "slim",
    *JOBS,
}  # options that only train has
MOST = 100_000  # trainings
LARGE = 1 << 26  # bytes
LIST = "VALUE,..."
FORMAT = "numpyrnn sweep 1"
Row = dict[str, Any]  # options, and loss, epoch, epochs and parameters; or options and error


class Done(Exception):  # noqa: N818
    """The end of a training of a sweep, with its figures."""


class SweptRun(TrainingRun):
    """A training of a sweep: it writes no files and prints nothing."""

    def learn(self, training: Training) -> NoReturn:
        """Train, and raise `Done`."""
        training.trainer.on_nan = self.on_nan
        training.run(self.epochs or training.settings.epochs)
        if not math.isfinite(loss := training.held_out_loss()):
            raise NumpyrnnError("training diverged in the first epoch")
        size = training.model.params.flat.size
        figures = {"loss": loss, "epoch": best_epoch(training.trainer), "epochs": training.trainer.epoch}
        raise Done({**figures, "parameters": int(size), "per": training.per})


def train_once(module: str, words: Sequence[str]) -> Row:
    """Run the command `train` of a program's module as a training of a sweep, and return its figures or its error."""
    command = import_module(module).app.commands["train"]
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            command.main([*words], prog_name="train", standalone_mode=False, obj=SweptRun)
    except Done as done:
        figures: Row = done.args[0]
        return figures
    except click.Abort as error:  # click has made it of a KeyboardInterrupt
        raise (error.__cause__ or KeyboardInterrupt) from None
    except click.ClickException as error:
        return {"error": error.format_message()}
    except Exception as error:
        return {"error": str(error) if isinstance(error, NumpyrnnError) else f"{type(error).__name__}: {error}"}
    return {"error": "it did not train"}


def add_sweep(app: click.Group, module: str, *data: str) -> None:
    """Add the command `sweep` to a program that has the command `train`.

    Parameters
    ----------
    app : click.Group
    module : str, where it is, such as "dinos.cli"
    *data : names of the parameters of `train` that are its data
    """
    train = app.commands["train"]
    own: list[click.Parameter] = []
    swept: dict[str, click.Option] = {}
    for parameter in train.params:
        name = parameter.name or ""
        if name in LEFT_OUT or (isinstance(parameter, click.Option) and parameter.hidden):
            continue
        if isinstance(parameter, click.Option) and not (parameter.is_flag or parameter.multiple or name in data):
            swept[name] = parameter
            words = (parameter.help or "").partition("  [default")[0]
            own.append(click.Option(parameter.opts, metavar=LIST, help=words))
        else:
            own.append(parameter)
    program = module.partition(".")[0]

    @click.command(
        "sweep",
        cls=Command,
        epilog=f"Example: {program} sweep --seed 0:4 --epochs 5,10 --jobs 2",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    @click.option("--random", type=shared.COUNT, help="So many settings, drawn at random  [default: all of them]")
    @jobs_options
    @click.option(
        "-o", "--out", type=shared.NAME, help=f"JSONL file of the losses, or FOLDER/  [default: {program}-sweep.jsonl]"
    )
    @shared.force_option
    @click.pass_context
    def sweep(
        context: click.Context, /, random: int | None, jobs: Jobs, out: str | None, force: bool, **given: Any
    ) -> None:
        """Train with every combination of some options, and compare the losses.

        An option of train takes several values, as in --hidden 64,128, and whole numbers a range, as in --seed 0:16,
        which ends before 16. The same command goes on with what was interrupted or failed. Writes the losses as JSONL
        and a picture of them.
        """
        if started() > 1:
            raise NumpyrnnError("a sweep must be started without mpiexec: --jobs shares its trainings")
        grid = {
            name: values_of(option, given[name], context) for name, option in swept.items() if given[name] is not None
        }
        fixed, files = _words(train, {name: value for name, value in given.items() if name not in swept}, data)
        path = shared.output_path(out, Path(f"{program}-sweep.jsonl"))
        _sweep(Sweep(program, module, fixed, files, grid, path), random, jobs, force)

    sweep.params = [*own, *sweep.params]
    app.add_command(sweep)


def values_of(option: click.Option, text: str, context: click.Context) -> list[str]:
    """The values of an option in a list such as "64,128" or, of whole numbers, a range such as "0:16" or "0:16:4"."""
    found: list[str] = []
    for part in text.split(","):
        bounds = part.split(":")
        if isinstance(option.type, click.types.IntParamType) and 2 <= len(bounds) <= 3:
            try:
                span = range(*map(int, bounds))
            except ValueError:
                raise click.BadParameter(f"{part!r} is not a range such as 0:16.", context, option) from None
            if len(span) > MOST:
                raise click.BadParameter(f"A sweep has at most {MOST:,} trainings.", context, option)
            found += map(str, span)
        else:
            found.append(part.strip())
    for value in found:
        option.type.convert(value, option, context)
    if not found or len({*found}) < len(found):
        raise click.BadParameter(f"The values must differ, and there must be one, got {text!r}.", context, option)
    return found


def _words(train: click.Command, given: Row, data: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Options that all trainings have, as they are typed, and the files among them that are data."""
    words: list[str] = []
    files: list[Path] = []
    for parameter in train.params:
        if (value := given.get(parameter.name or "")) in (None, False, (), []):
            continue
        values = [*value] if isinstance(value, tuple | list) else [value]
        if parameter.name in data:
            files += map(Path, values)
        if isinstance(parameter, click.Argument):
            words += map(str, values)
        elif isinstance(parameter, click.Option) and parameter.is_flag:
            words.append(parameter.opts[-1])
        else:
            words += [word for one in values for word in (parameter.opts[-1], str(one))]
    return words, files


class Sweep:
    """What is trained, and where the losses are written.

    Parameters
    ----------
    program, module : str
    fixed : words of the command line that all trainings have
    files : data files and folders
    grid : the values of each option that is varied
    path : Path, the JSONL file
    """

    def __init__(
        self, program: str, module: str, fixed: list[str], files: list[Path], grid: dict[str, list[str]], path: Path
    ):
        self.program, self.module, self.fixed, self.grid, self.path = program, module, fixed, grid, path
        self.head = {"format": FORMAT, "program": program, "fixed": fixed, "data": _checksum(files)}

    def settings(self, random: int | None) -> list[dict[str, str]]:
        """All combinations, or those drawn at random, each with all seeds."""
        names = [name for name in self.grid if name != "seed"]
        n = math.prod(len(self.grid[name]) for name in names)
        seeds = self.grid.get("seed", [])
        chosen = range(n) if random is None or random >= n else _drawn(n, random)
        if len(chosen) * max(1, len(seeds)) > MOST:
            raise NumpyrnnError(f"a sweep has at most {MOST:,} trainings, this has more: see --random")
        found = []
        for i in chosen:
            places = np.unravel_index(i, [len(self.grid[name]) for name in names]) if names else ()
            one = {name: self.grid[name][int(place)] for name, place in zip(names, places, strict=True)}
            found += [one | {"seed": seed} for seed in seeds] or [one]
        return found

    def words(self, one: dict[str, str]) -> list[str]:
        """The command line of a training, after `train`."""
        return [*self.fixed, *(word for name, value in one.items() for word in (f"--{name.replace('_', '-')}", value))]

    def read(self) -> list[Row]:
        """The rows that the file holds; an error if it is of another sweep."""
        if not self.path.exists():
            return []
        try:
            head, *rows = map(json.loads, read_text(self.path).splitlines())
            good = head == self.head and all(isinstance(row["options"], dict) for row in rows)
            good = good and all(math.isfinite(row["loss"]) for row in rows)
        except (ValueError, KeyError, TypeError, RecursionError):
            good = False
        if not good:
            raise NumpyrnnError(f"{self.path} is no sweep with this data and these options: name another with --out")
        return list(rows)

    def write(self, rows: list[Row]) -> None:
        """Write the rows, in an order that does not depend on which was ready first."""
        with atomic_write(self.path) as file:
            for row in [self.head, *sorted(rows, key=lambda row: json.dumps(row["options"]))]:
                file.write((json.dumps(row) + "\n").encode())


def _drawn(n: int, random: int) -> list[int]:
    """Different numbers below n, drawn with a fixed seed, in order."""
    rng, found = np.random.default_rng(0), set[int]()
    while len(found) < random:
        found.add(int(rng.integers(n)))
    return sorted(found)


def _checksum(files: Sequence[Path]) -> str:
    """A checksum of the names and contents of files, and of the files in folders; of large ones, of the beginning."""
    found = 0
    for path in itertools.chain.from_iterable(sorted(one.rglob("*")) if one.is_dir() else [one] for one in files):
        if path.is_file() and not path.name.startswith("."):
            text = f"{path.name} {path.stat().st_size} {found} ".encode() + first_bytes(path, LARGE, "a file")
            found = checksum_of(np.frombuffer(text, np.uint8))
    return f"{found:08x}"


def _results(jobs: Jobs, train: Any, items: list[list[str]]) -> Generator[tuple[int, Row], None, None]:
    """The index and figures of each training. If a process dies, those that are left have one each, to find which."""
    done = set[int]()
    try:
        for i, row in jobs.map(train, items, ordered=False):
            done.add(i)
            yield i, row
    except DiedError:
        for i in sorted({*range(len(items))} - done):
            try:
                yield i, next(Jobs(2, jobs.backend, jobs.address).map(train, [items[i]]))
            except DiedError as error:
                yield i, {"error": str(error)}


def _sweep(sweep: Sweep, random: int | None, jobs: Jobs, force: bool) -> None:
    """Train what has not been trained yet, show the table, draw the picture, and exit."""
    picture = sweep.path.with_suffix(".png")
    if picture == sweep.path:
        raise NumpyrnnError(f"losses are written as a .jsonl file, got {sweep.path}")
    for path in (sweep.path, picture):
        shared.check_out(path, force or path.exists())  # a sweep goes on with its own file
    rows = [] if force else sweep.read()
    every = sweep.settings(random)
    known = {json.dumps(row["options"]) for row in rows}
    left = [one for one in every if json.dumps(one) not in known]
    say(f"{counted(len(every), 'training')}" + f", {len(every) - len(left):,} of them done." * (len(left) < len(every)))
    jobs = Jobs(jobs.n or 1, jobs.backend, jobs.address)
    failed, status, train = 0, 0, partial(train_once, sweep.module)
    try:
        with (
            handled(interrupt),
            progress_bar(total=len(left), unit="training") as bar,
            closing(_results(jobs, train, [sweep.words(one) for one in left])) as results,
        ):
            for i, result in results:
                bar.update()
                if "error" in result:
                    failed += 1
                    if len(left) == 1:
                        raise NumpyrnnError(result["error"])
                    what = f"{sweep.program} train {shlex.join(sweep.words(left[i]))}"
                    click.echo(f"Failed: {what}: {shown(result['error'], 400)}", err=True)
                    continue
                rows.append({"options": left[i], **result})
                sweep.write(rows)
    except KeyboardInterrupt as error:
        status = status_of(error)
        if rows:
            sweep.write(rows)
        say("Interrupted. The same command goes on with the rest.")
    chosen = {json.dumps(one) for one in every}
    if rows := [row for row in rows if json.dumps(row["options"]) in chosen]:
        best = _report(sweep, rows, picture)
        what_next(f"{sweep.program} train {shlex.join(best)}")
    sys.exit(status or int(failed > 0))


def _report(sweep: Sweep, rows: list[Row], picture: Path) -> list[str]:
    """Show the settings, best first, and draw them; return the command line of the best training."""
    from statistics import fmean, stdev  # late, as matplotlib below: a quick start

    groups: dict[str, list[Row]] = {}
    for row in rows:
        varied = {k: v for k, v in row["options"].items() if k != "seed" and len(sweep.grid[k]) > 1}
        name = " ".join(f"{k.replace('_', '-')} {v}" for k, v in varied.items()) or "all"
        groups.setdefault(name, []).append(row)
    losses = {name: [row["loss"] for row in sorted(of, key=lambda r: r["loss"])] for name, of in groups.items()}
    order = sorted(groups, key=lambda name: (fmean(losses[name]), name))
    lines = [(f"nats a {rows[0]['per']}, held out", "mean", "spread", "best", "trainings")]
    for name in order:
        of = losses[name]
        spread = f"{stdev(of):.4f}" if len(of) > 1 else "-"
        lines.append((shown(name), f"{fmean(of):.4f}", spread, f"{of[0]:.4f}", f"{len(of)}"))
    width = max(len(line[0]) for line in lines) + 2
    files = f"Losses {shared.shown_path(sweep.path)}, picture {shared.shown_path(picture)}."
    say(f"\n{table((width, 8, 8, 8, 11), lines)}\n\n{files}")
    _draw(order, losses, picture, lines[0][0], f"{sweep.program} sweep")
    best = min(groups[order[0]], key=lambda row: row["loss"])
    return sweep.words(best["options"])


def _draw(order: list[str], losses: dict[str, list[float]], path: Path, unit: str, title: str) -> None:
    """Draw the losses of each setting: a dot for each training, a line for the mean."""
    from statistics import fmean

    from matplotlib.figure import Figure

    most = order[:40]
    figure = Figure(figsize=(7, 1.5 + 0.3 * len(most)), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=unit)
    for place, name in enumerate(most):
        axes.plot(losses[name], [place] * len(losses[name]), "o", color="C0", alpha=0.5)
        axes.plot([fmean(losses[name])], [place], "|", color="black", markersize=14)
    axes.set_yticks(range(len(most)), [shown(name, 60) for name in most])
    axes.invert_yaxis()
    axes.grid(alpha=0.3, axis="x")
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=150)
