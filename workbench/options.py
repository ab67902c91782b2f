"""The options that the command lines share, and the checks of their output files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import reduce, wraps
from math import isfinite
from pathlib import Path
from typing import Any

import click

from numpyrnn.checks import NumpyrnnError, shown
from numpyrnn.cli import PATH as PATH
from numpyrnn.cli import SEED, AnyPath, Group
from numpyrnn.files import TakenError, check_plain_file, real, reserved
from numpyrnn.output import output_is_optional

OWN = {".npz", ".jsonl", ".png"}  # endings of files that a training writes and never reads as data
NAME = AnyPath()  # of output files; a string, because FOLDER/ differs from FOLDER
FOLDER = ("/", "/.")  # endings of a name that is a folder's
COUNT = click.IntRange(1, 1_000_000)
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Real(click.FloatRange):
    """A range of finite numbers."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert a number, or fail if it is out of range, NaN or infinite."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


seed_option = click.option(
    "--seed",
    type=SEED,
    help="Makes chance repeatable: the same seed gives the same result  [default: 0 to train or evaluate, else random]",
)
top_k_option = click.option("--top-k", type=COUNT, help="Draw only among the k most probable.")
top_p_option = click.option(
    "--top-p", type=Real(0, 1, min_open=True), help="Draw only among the most probable, which together reach p."
)


def temperature_option_of(default: float) -> Decorator:
    """Make the option `--temperature` with this default."""
    words = "Below 1 is safer, above 1 is wilder; 0 always takes the most probable."
    return click.option("--temperature", type=Real(0, 1_000_000), default=default, show_default=True, help=words)


temperature_option = temperature_option_of(1.0)


def sampling_options_of(temperature: float) -> Decorator:
    """Make the options `--temperature`, with this default, `--top-k` and `--top-p`."""
    return options_of(temperature_option_of(temperature), top_k_option, top_p_option)


def model_option(default: str) -> Decorator:
    """Make the option `--model`: a model file, by default the shipped one."""
    return click.option(
        "--model", type=PATH, help=f"A model file that train has written  [default: the shipped {default}]"
    )


def options_of(*options: Decorator) -> Decorator:
    """Combine several options into one decorator, in the order of the help."""
    return lambda command: reduce(lambda decorated, option: option(decorated), reversed(options), command)


sampling_options = sampling_options_of(1.0)


def default_group(command: str) -> type[click.Group]:
    """Make a click group class that runs `command` if the user names no command."""

    class DefaultGroup(Group):
        usual = command

        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            begun = args and args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")
            if begun or not (args or ctx.resilient_parsing):  # a shell that completes the first word needs the commands
                args = [command, *args]
            return super().parse_args(ctx, args)

        def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
            of_command = self.commands[command].shell_complete(ctx, incomplete) if incomplete.startswith("-") else []
            known = super().shell_complete(ctx, incomplete)
            return known + [item for item in of_command if item.value not in {one.value for one in known}]

    return DefaultGroup


dry_option = click.option("--dry", is_flag=True, help="Leave the room out of the sound.")
force_option = click.option("--force", is_flag=True, help="Replace existing files.")


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take training data as `--data FILE` or as a plain argument; the command is given `data`, a Path or None."""

    @click.argument("plain_data", metavar="[FILE]", required=False, type=PATH)
    @click.option("--data", type=PATH, help="Training data, the same as FILE.")
    @wraps(command)
    def with_data(plain_data: Path | None, data: Path | None, **options: Any) -> Any:
        if plain_data and data and plain_data != data:
            raise click.UsageError(f"training data must be given once, got {plain_data} and {data}")
        return command(data=data or plain_data, **options)

    return with_data


def data_files_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take training data as `--data FILE`, repeated or not, or as plain arguments; the command is given a list."""

    @click.argument("plain_data", metavar="[FILE]...", nargs=-1, type=PATH)
    @click.option("--data", multiple=True, type=PATH, help="Training data, the same as FILE; can be repeated.")
    @wraps(command)
    def with_data(plain_data: tuple[Path, ...], data: tuple[Path, ...], **options: Any) -> Any:
        return command(data=list(dict.fromkeys([*plain_data, *data])), **options)

    return with_data


def engraving_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take `--svg` and `--pdf`; a name with one of these endings, in `--out`, stands for the option, too."""

    @click.option("--svg", is_flag=True, help="Also engrave the score as SVG; needs numpyrnn[score].")
    @click.option("--pdf", is_flag=True, help="Also engrave the score as PDF; needs numpyrnn[score].")
    @wraps(command)
    def with_engraving(svg: bool, pdf: bool, out: str | None, **options: Any) -> Any:
        ending = Path(out or "").suffix.lower()
        return command(svg=svg or ending == ".svg", pdf=pdf or ending == ".pdf", out=out, **options)

    return with_engraving


def shown_path(path: Path) -> str:
    """A path as it is printed, in one line."""
    return shown(path, 1000)


def check_out(path: Path, force: bool) -> None:
    """Raise unless an output file can be written; reserve it until the command ends.

    Standard output may then fail, because the file is the command's work.

    Parameters
    ----------
    path : the output file; its folder is made, and kept if something is written into it
    force : whether it may replace an existing file

    Raises
    ------
    NumpyrnnError
        if it exists and may not be replaced, cannot be written, or is about to be written by another run
    """
    output_is_optional()
    existing = next(filter(os.path.lexists, path.parents), path)
    if not os.path.isdir(existing):
        raise NumpyrnnError(f"{path} must be in a folder that exists or can be made, {existing} is not a folder")
    check_plain_file(path)
    if os.path.exists(path) and not force:
        raise TakenError(f"{path} already exists: name another with --out, or replace it with --force")
    reservation = reserved(path, new=not force)
    if context := click.get_current_context(silent=True):
        context.with_resource(reservation)
    else:
        with reservation:
            pass


def check_not_read(paths: Sequence[Path], inputs: Sequence[Path | None], use: str = "learned from") -> None:
    """Raise if an output file would replace an input.

    Parameters
    ----------
    paths : the output files
    inputs : files, or folders whose files are read; None does not count
    use : how the error describes the inputs

    Raises
    ------
    NumpyrnnError
        if an existing output file is one of the inputs, or would be read as data in a folder
    """
    for path in filter(os.path.exists, paths):
        for source in (real(source) for source in inputs if source is not None):
            within = source in real(path).parents and path.suffix.lower() not in OWN
            if within or source == real(path):
                raise NumpyrnnError(f"{path} is {use} and must not be replaced: name another file with --out")


def output_path(out: str | None, default: Path) -> Path:
    """The output file that the user named; FOLDER/ means a file of the default's name in this folder."""
    if out is None:
        return default
    path = Path(out)
    return path / default.name if out.endswith(FOLDER) and path.name else path


def check_picture(path: Path) -> None:
    """Raise if a picture is to be in another form than PNG."""
    if path.suffix.lower() not in ("", ".png"):
        raise NumpyrnnError(f"a picture is written as a .png file, got {path}")


def choose_out(out: str | None, default: Path, files_of: Callable[[Path], list[Path]], force: bool) -> Path:
    """The name for a program's output files: as the user gave it, or a default that is still free.

    Parameters
    ----------
    out : what the user gave: None, NAME, or FOLDER/ for the default name in this folder, which is made
    default : NAME; if its files exist, NAME-2, NAME-3 and so on are tried
    files_of : function from a name to its output files
    force : whether existing files may be replaced

    Returns
    -------
    Path

    Raises
    ------
    NumpyrnnError
        if one of the files exists and may not be replaced, or cannot be written
    """
    path, free = Path(out or ""), out is None or out.endswith(FOLDER)
    numbered = (path / (default if i == 1 else f"{default.stem}-{i}{default.suffix}") for i in range(1, 10_000))
    for name in numbered if free else [path]:
        with suppress(*[TakenError] * free):  # the next name may be free
            for file in files_of(name):
                check_out(file, force)
            return name
    raise NumpyrnnError(f"{path / default} and all its numbers are taken: name another with --out")
