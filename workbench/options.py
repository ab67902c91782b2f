"""What all command lines share: the same words for the same options, and one line for every error."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from numpyrnn.checks import NumpyrnnError

OWN = {".npz", ".jsonl", ".png"}  # what trainings write; nothing learns from it
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

seed_option = click.option(
    "--seed",
    type=click.IntRange(0),
    help="Same seed, same result; without one, training takes 0 and sampling a new one.",
)
top_k_option = click.option("--top-k", type=click.IntRange(1), help="Draw among the k most probable only.")


def temperature_option_of(default: float) -> Decorator:
    """`--temperature` with a default of its own."""
    words = "Below 1 safer, above 1 wilder, 0 always the most probable."
    return click.option("--temperature", type=click.FloatRange(0), default=default, show_default=True, help=words)


temperature_option = temperature_option_of(1.0)


def model_option(default: str) -> Decorator:
    """`--model`: a model file; the shipped one if it is not given."""
    words = f"Model file  [default: the shipped {default}]"
    return click.option("--model", type=click.Path(path_type=Path), help=words)


def default_group(command: str) -> type[click.Group]:
    """A kind of group in which options without a command are those of `command`."""

    class DefaultGroup(click.Group):
        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")):
                args = [command, *args]
            return super().parse_args(ctx, args)

    return DefaultGroup


def options_of(*options: Decorator) -> Decorator:
    """Several options as one decorator, in the order of the help."""

    def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return with_options


force_option = click.option("--force", is_flag=True, help="Replace files that are there already.")


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Training data as `--data FILE` or as a plain argument; the command is given `data`, a Path or None."""
    argument = click.argument("plain_data", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
    option = click.option("--data", type=click.Path(path_type=Path), help="Training data; FILE says the same.")

    def with_one(plain_data: Path | None, data: Path | None, **options: Any) -> Any:
        if plain_data and data and plain_data != data:
            raise click.UsageError(f"training data must be given once, got {plain_data} and {data}")
        return command(data=data or plain_data, **options)

    return argument(option(instead_of(command, with_one)))


def data_files_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Training data as `--data FILE`, any number of times, or as plain arguments; the command is given a list."""
    argument = click.argument("plain_data", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
    words = "Training data, any number of times; FILE says the same."
    option = click.option("--data", multiple=True, type=click.Path(path_type=Path), help=words)

    def with_all(plain_data: tuple[Path, ...], data: tuple[Path, ...], **options: Any) -> Any:
        return command(data=list(dict.fromkeys([*plain_data, *data])), **options)

    return argument(option(instead_of(command, with_all)))


def instead_of(command: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """`wrapper` with the name, the help and the options of the command that it calls."""
    wrapper.__doc__, wrapper.__name__ = command.__doc__, command.__name__
    if hasattr(command, "__click_params__"):
        wrapper.__click_params__ = command.__click_params__  # type: ignore[attr-defined]
    return wrapper


def check_out(path: Path, force: bool) -> None:
    """Raise if a file must not be written: it is there already, or its folder is not.

    Parameters
    ----------
    path : the file to come
    force : whether it may take the place of another
    """
    if not path.parent.is_dir():
        raise NumpyrnnError(f"{path} must be in a folder that exists, {path.parent} does not")
    if path.is_dir():
        raise NumpyrnnError(f"{path} must be a file to write, it is a folder")
    if path.exists() and not path.is_file():
        raise NumpyrnnError(f"{path} must be a plain file to write, it is a device or a pipe")
    if path.exists() and not force:
        raise NumpyrnnError(f"{path} is there already: name another with --out, or say --force to replace it")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise NumpyrnnError(f"{path} cannot be written: {error.strerror or error}") from error


def check_not_read(paths: Sequence[Path], inputs: Sequence[Path | None], use: str = "learned from") -> None:
    """Raise if a file to come would take the place of one that is read.

    Parameters
    ----------
    paths : the files to come
    inputs : files, or folders whose files are read; None does not count
    use : what they are read for
    """
    for path in (path for path in paths if path.exists()):
        for source in (source.resolve() for source in inputs if source is not None):
            within = source in path.resolve().parents and path.suffix.lower() not in OWN
            if within or source == path.resolve():
                raise NumpyrnnError(f"{path} is {use} and must not be replaced: name another file with --out")


def choose_out(out: str | None, default: Path, files_of: Callable[[Path], list[Path]], force: bool) -> Path:
    """The name under which a program writes its files: NAME, FOLDER/NAME, or a default name that is free.

    Parameters
    ----------
    out : what the user gave, if anything; FOLDER/ is where the default name goes
    default : a name; NAME-2, NAME-3, ... where its files are there already
    files_of : gives the files that a name stands for
    force : whether they may take the place of others

    Returns
    -------
    Path

    Raises
    ------
    NumpyrnnError
        if one of them must not be written, see `check_out`
    """
    path = Path(out or "")
    if out is None or out.endswith("/"):
        names = (path / (default if i == 1 else f"{default.stem}-{i}{default.suffix}") for i in range(1, 10_000))
        path = next(name for name in names if force or not any(file.exists() for file in files_of(name)))
    for file in files_of(path):
        check_out(file, force)
    return path
