"""What `numpyrnn info` says about a program's model file, besides what the engine knows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill, indent
from typing import Any

from numpyrnn import Checkpoint, NumpyrnnError
from numpyrnn.checks import shown
from numpyrnn.train import mean_loss

from .files import check_model
from .terminal import progress_bar
from .training import Training, best_epoch

MOST_NAMES, BEGINNING = 5, 1000  # names that are shown; characters of a text in which they are looked for
WIDEST, COLUMN, LONGEST_PATH = 120, 15, 1000  # characters: of a line, of its title, and of a path


@dataclass(frozen=True)
class About:
    """Describes the models of a program. An instance is the program's entry point in the group `numpyrnn.about`.

    Parameters
    ----------
    app : the program's commands; `usual` is the name of the default one, which takes --model
    training : the program's class of trainings
    python : str, code that uses a model; {path} stands for the file
    recipes : dict of settings by name, among which the command `train` chooses
    choice : str, the option by which it chooses, such as "recipe"; empty if there is one recipe only
    """

    app: Any
    training: type[Training]
    python: str
    recipes: Mapping[str, Any]
    choice: str = ""

    def __call__(self, path: Path, checkpoint: Checkpoint) -> Iterator[str]:
        """Check a model file, and return lines about it.

        Raises
        ------
        NumpyrnnError
            if the file is not a model of the program
        """
        check_model(checkpoint)
        return self._lines(shown(shlex.quote(str(path)), LONGEST_PATH), path, checkpoint)

    def _lines(self, file: str, path: Path, checkpoint: Checkpoint) -> Iterator[str]:
        program, training, resumable = self.training.program, None, checkpoint.training is not None
        total, interrupted = None, False
        epochs = "not known without the text" if resumable else "not kept, because the file cannot be resumed"
        try:
            training = (self.training.resume if resumable else self.training.of)(checkpoint)
            data = training.describe()
        except NumpyrnnError as error:  # the file does not keep a long text
            data = str(error)
        if training and resumable:
            trainer = training.trainer
            total = getattr(training.settings, "epochs", None)
            interrupted = bool(total and trainer.epoch < total and not trainer.finished)
            epochs = f"{trainer.epoch}{f' of {total}' * bool(total)}{', interrupted' * interrupted}"
            epochs += f"; the weights are those of epoch {best_epoch(trainer)}"
            epochs += "; the training has ended, and cannot go on" * trainer.finished
        settings, rest = checkpoint.config["settings"].items(), "" if training else " --data FILE"
        yield ""
        yield entry("Data", data)
        yield entry("Begins with", " / ".join(names_in(checkpoint.config)))
        yield entry("Epochs", epochs)
        yield entry("Settings", ", ".join(f"{name} {shown(value, 200)}" for name, value in settings))
        yield entry("Command", self.command(checkpoint))
        if training:
            yield entry("Held-out loss", held_out(training, checkpoint, not interrupted))
        yield "\nIn Python:\n\n" + indent(self.python.format(path=str(path)), "    ")
        yield f"\nNext:\n\n    {program} {self.app.usual} --model {file}"
        yield f"    {program} evaluate --model {file}{rest}"
        if resumable and not (training and training.trainer.finished):
            more = "" if interrupted or not training else " --epochs N"
            yield f"    {program} train --resume {file}{rest}{more}"

    def command(self, checkpoint: Checkpoint) -> str:
        """The command that trains such a model, as far as its settings tell; FILE stands for its data."""
        if checkpoint.config["settings"].get("own"):  # the model from which it started is not kept by name
            return f"{self.training.program} train FILE --start shipped"
        kind = type(next(iter(self.recipes.values())))
        found = self._options(kind.of(checkpoint), checkpoint.config.get("keep_case", False))
        recipes = {name: self._options(settings) for name, settings in self.recipes.items()}
        offered = {option.name for option in self.app.commands["train"].params if not getattr(option, "hidden", False)}
        others = {
            name: {key: value for key, value in found.items() if value != usual[key] and key not in offered}
            for name, usual in recipes.items()
        }
        recipe = min(recipes, key=lambda name: len(others[name]))
        words = [self.training.program, "train", "FILE"] + [f"--{self.choice}", recipe] * bool(self.choice)
        for key in filter(offered.__contains__, found):
            usual = (recipes[recipe][key], 1.0) if key == "copies" else (recipes[recipe][key],)  # 1 below 500 names
            if found[key] not in usual:
                words += [f"--{key.replace('_', '-')}"] + [str(found[key])] * (found[key] is not True)
        rest = ", ".join(f"{key} {shown(value)}" for key, value in others[recipe].items())
        return shlex.join(words) + (f" (and settings that are no options: {rest})" if rest else "")

    @staticmethod
    def _options(settings: Any, keep_case: bool = False) -> dict[str, Any]:
        return {**asdict(settings), "keep_case": keep_case}


def entry(title: str, text: str) -> str:
    """A title and a text beside it, wrapped to the terminal."""
    width = max(COLUMN + 20, min(get_terminal_size().columns, WIDEST))
    lines = [shown(line, 10_000) for line in text.splitlines()] or ["none"]
    return "\n".join(
        fill(line, width, initial_indent=first.ljust(COLUMN), subsequent_indent=" " * COLUMN, break_on_hyphens=False)
        for first, line in zip([f"{title}:"] + [""] * len(lines), lines)
    )


def names_in(config: Mapping[str, Any]) -> list[str]:
    """The first names, tunes, pieces or lines that a model learned."""
    learned = config.get("training", config.get("openings", []))
    if isinstance(learned, str):
        learned = [line.strip() for line in learned[:BEGINNING].splitlines() if line.strip()]
    return [shown(one["name"] if isinstance(one, dict) else one) for one in learned[:MOST_NAMES]]


def held_out(training: Training, checkpoint: Checkpoint, beside: bool = True) -> str:
    """The held-out losses of a model and, if `beside`, of the best n-grams, measured now."""
    batches = progress_bar(training.held_out_batches(), unit="batch", delay=1)
    try:
        loss = training.places * mean_loss(checkpoint.model, batches, training.trainer.carry)
    except NumpyrnnError as error:  # nothing was held out
        return f"not measured ({error})"
    losses = [f"{name}: {ngram:.3f}" for name, ngram in (training.ngrams() if beside else {}).items()]
    return f"{loss:.3f} nats a {training.per}." + f" Beside it: {'; '.join(losses)}." * bool(losses)
