"""The command `inspect` of the programs that write text: what a network does while it reads."""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import Any

import click

from numpyrnn import Checkpoint, NumpyrnnError
from numpyrnn.files import write_together

from .files import composed, data_path
from .options import NAME, Decorator, check_not_read, choose_out, force_option, model_option, options_of, shown_path
from .tables import table
from .terminal import quoted, what_next, working

MOST = 200  # characters
PICTURES = ("gates", "saliency", "gradients", "units")
OUT = "Name of the four pictures, NAME-gates.png and so on, or FOLDER/  [default: inspect, inspect-2 ...]"


def inspect_options(model: str) -> Decorator:
    """Make the options `--model`, whose default `model` describes, `-o/--out` and `--force`."""
    return options_of(model_option(model), click.option("-o", "--out", type=NAME, help=OUT), force_option)


def pictures(out: str | None, force: bool, model: Path | None) -> list[Path]:
    """The files of the pictures, checked and reserved, from the options of the command."""

    def files_of(name: Path) -> list[Path]:
        stem = (name.stem if name.suffix.lower() == ".png" else name.name) or "inspect"
        return [name.parent / f"{stem}-{picture}.png" for picture in PICTURES]

    files = files_of(choose_out(out, Path("inspect.png"), files_of, force))
    check_not_read(files, [model], "the model")
    return files


def look_inside(
    checkpoint: Checkpoint,
    text: str,
    examples: Sequence[str],
    files: Sequence[Path],
    end: str = "",
    model: Path | None = None,
) -> None:
    """Print what a network makes of a text, and draw its gates, saliency, gradients and units.

    Parameters
    ----------
    checkpoint : Checkpoint of a program whose tokens are characters, and whose texts begin after a line end
    text : str of up to 200 characters, lower-cased unless the model keeps capitals
    examples : texts from which the units are judged
    files : from `pictures`
    end : str, default empty, the character after every text, which may not be within one
    model : Path, optional, the model file, for the next command; default the shipped one

    Raises
    ------
    NumpyrnnError
        if the text is empty, too long or has unknown characters, or a picture cannot be written
    """
    from numpyrnn import inspect, plots

    text = composed(text if checkpoint.config.get("keep_case") else text.lower())
    if not 1 <= len(text) <= MOST:
        raise NumpyrnnError(f"the text must have from 1 to {MOST} characters, got {len(text):,}")
    known = "".join(token for token in checkpoint.vocabulary.tokens if token != end)
    if unknown := sorted(set(text) - set(known)):
        came = " ".join(map(repr, unknown))
        raise NumpyrnnError(f"the text must be of the model's characters ({known.strip():.80}), got {came}")
    tokens = f"\n{text}{end}"
    ids = checkpoint.vocabulary.encode(tokens)
    found = [inspect.saliency(checkpoint, ids, t) for t in range(1, len(ids))]
    rows = [("character", "probability", "depends most on")]
    for t, (_, norm, log_p) in enumerate(found, 1):
        most = int(norm.argmax())
        origin = f"{plots.readable(tokens[most])}, {t - most} before"
        rows.append((plots.readable(tokens[t]), f"{exp(log_p):.3f}", origin))
    click.echo(f"{table((12, 12, 20), rows)}\n")
    with working("Measuring gradients", count=True):
        norms = {f"layer {i}": one for i, one in enumerate(inspect.gradient_norms(checkpoint, ids), 1)}
    for name, one in norms.items():
        click.echo(f"Of a gradient in {name}, {one[-1]:.1e} is left {len(one) - 1} characters before.")
    with working("Measuring units", count=True):
        answers = inspect.top_units(checkpoint, examples, n=2)
    units = [(a.what, a.layer + 1, a.unit, f"{a.correlation:.2f}", plots.readable(*a.highest)) for a in answers]
    click.echo(f"\n{table((20, 6, 6, 13, 16), [('class', 'layer', 'unit', 'correlation', 'highest after'), *units])}")
    title = f"Gates and states at each step of {text:.60}"
    drawn = [plots.plot_gates(inspect.gates(checkpoint, ids), tokens, title), plots.plot_saliency(found, tokens)]
    drawn += [plots.plot_gradient_norms(norms), plots.plot_units(answers)]
    write_together(dict(zip(files, map(png, drawn), strict=True)))
    if plots.drawable(text) != text:
        click.echo("\nThe pictures show characters that their font lacks by their codes, such as U+4E2D.")
    click.echo(f"\nWritten: {', '.join(map(shown_path, files))}.")
    what_next(f"numpyrnn info {quoted(model or data_path(f'models/{checkpoint.kind}.npz'))}")


def png(figure: Any) -> bytes:
    """A matplotlib Figure as the bytes of a PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    return file.getvalue()
