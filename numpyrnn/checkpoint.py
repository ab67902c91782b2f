"""One file for a model: parameters, vocabulary, configuration and, to go on training, the state of the training.

The file is a NumPy archive (.npz): flat buffers, and a JSON text that says what they are. Nothing in it is executed.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .activations import softmax
from .checks import Array, NumpyrnnError, as_rng, check_finite, check_shape
from .files import atomic_write
from .sampling import Sampler, generate
from .sequential import Sequential, UnknownLayerError, from_config
from .vocab import Vocabulary

FORMAT = "numpyrnn model 1"


@dataclass
class Checkpoint:
    """What a model file holds.

    Attributes
    ----------
    kind : str, the program that made it ("dinos"), or "numpyrnn"
    model : Sequential, with the parameters to use
    vocabulary : Vocabulary, or None
    config : dict that JSON can hold: how it was trained, on what
    training : dict, or None
        From `Trainer.state`: what resuming needs (weights, optimiser, random state, epoch and step). None in a finished
        model that is only to be used.

    Examples
    --------
    >>> checkpoint = load("model.npz")
    >>> checkpoint.generate("Shall I ", 200)
    >>> checkpoint.probabilities("Shall")[-1]  # of what comes next
    """

    kind: str
    model: Sequential
    vocabulary: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] | None = None

    def resumable(self) -> dict[str, Any]:
        """The state of the training; an error if there is none."""
        if self.training is None:
            raise NumpyrnnError(
                "the model must hold the state of its training to be resumed; a shipped or --slim one does not"
            )
        return self.training

    def generate(self, prompt: str | list[str], length: int, seed: int | None = None, **settings: Any) -> Any:
        """Let the model write on.

        Parameters
        ----------
        prompt : str, or list of tokens
        length : int, how many tokens to write
        seed : int, optional; default a new one each time
        **settings : temperature, top_k, top_p, as for `Sampler`

        Returns
        -------
        str, or list of tokens: what was written, without the prompt

        Raises
        ------
        NumpyrnnError
            if there is no vocabulary, the prompt is empty, or it has a token that the vocabulary does not know
        """
        ids, sampler = self._encode(prompt), Sampler(as_rng(seed), **settings)
        tokens = self.vocabulary.decode(generate(self.model, ids, sampler, length)[0])
        return "".join(tokens) if isinstance(prompt, str) else tokens

    def probabilities(self, text: str | list[str]) -> Array:
        """Probabilities of what comes next, after each token of a text.

        Parameters
        ----------
        text : str, or list of tokens

        Returns
        -------
        (length, V), rows that sum to one, in the order of `vocabulary.tokens`; one row if the model gives one a window

        Raises
        ------
        NumpyrnnError
            if there is no vocabulary, the text is empty, or it has a token that the vocabulary does not know
        """
        return softmax(self.model(self._encode(text)[:, None])[:, 0])

    def _encode(self, tokens: str | list[str]) -> Array:
        if self.vocabulary is None:
            raise NumpyrnnError("a model without a vocabulary knows no text: use its model with ids")
        if not (isinstance(tokens, str | list | tuple) and all(isinstance(token, str) for token in tokens)):
            raise NumpyrnnError(f"the text must be a string or a list of strings, got {tokens!r:.80}")
        ids: Array = self.vocabulary.encode(tokens)
        if not len(ids):
            raise NumpyrnnError("the text must have at least one token, got none")
        return ids


def save(path: str | Path, model: Sequential | Checkpoint, vocabulary: Vocabulary | None = None) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    path : file, overwritten
    model : Sequential, or a whole Checkpoint
    vocabulary : Vocabulary, optional, beside a Sequential

    Raises
    ------
    NumpyrnnError
        if it cannot be written, or holds something else than it should; what was there before is untouched
    """
    if isinstance(model, Checkpoint) and vocabulary is not None:
        raise NumpyrnnError("a checkpoint has its vocabulary: save(path, checkpoint)")
    checkpoint = model if isinstance(model, Checkpoint) else Checkpoint("numpyrnn", model, vocabulary)
    model, words = checkpoint.model, checkpoint.vocabulary
    if not isinstance(model, Sequential) or not (words is None or isinstance(words, Vocabulary)):
        raise NumpyrnnError("a model file holds a Sequential and, if it has one, a Vocabulary")
    arrays: dict[str, Array] = {"params": model.params.flat}
    scalars: dict[str, Any] | None = None
    if checkpoint.training is not None:
        scalars = {}
        for name, value in checkpoint.training.items():
            if isinstance(value, np.ndarray):
                arrays[f"training.{name}"] = value
            else:
                scalars[name] = value
    about = {
        "format": FORMAT,
        "kind": checkpoint.kind,
        "model": model.config(),
        "dtype": str(model.dtype),
        "vocabulary": None if words is None else words.tokens,
        "config": checkpoint.config,
        "training": scalars,
    }
    try:
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    except TypeError as error:
        raise NumpyrnnError(f"config must hold only what JSON can hold ({error})") from error
    with atomic_write(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load(path: str | Path, kind: str | None = None) -> Checkpoint:
    """Read a model file.

    Parameters
    ----------
    path : file
    kind : str, optional
        The program that must have made it.

    Returns
    -------
    Checkpoint

    Raises
    ------
    NumpyrnnError
        if there is no such file, it is damaged, not a model file, or of another kind
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise NumpyrnnError(f"{path} could not be read: {error.strerror or error}") from error
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise NumpyrnnError(f"{path} must be a model file, it is something else or damaged (no zip archive)")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(arrays.pop("about").tobytes())
        if about["format"] != FORMAT:
            raise NumpyrnnError(f"{path} must have the format {FORMAT!r}, it has {about['format']!r}")
        found, model = about["kind"], from_config(about["model"], np.dtype(about["dtype"]))
        params = arrays.pop("params")
        if not isinstance(model, Sequential) or params.dtype != model.dtype:
            raise NumpyrnnError("a model file holds a Sequential and its parameters")
        check_shape("params", params, model.params.flat.shape)
        check_finite("params", params)
        words, config = about["vocabulary"], dict(about["config"])
        vocabulary = None if words is None else Vocabulary(words)
        training = None
        if about["training"] is not None:
            training = {**about["training"], **{name.removeprefix("training."): arrays[name] for name in arrays}}
    except UnknownLayerError as error:
        raise NumpyrnnError(f"{path}: {error}") from error
    except Exception as error:  # zipfile, zlib, NumPy and JSON raise a dozen kinds for a damaged file
        why = " ".join(str(error).split()) or type(error).__name__
        raise NumpyrnnError(f"{path} must be a model file, it is something else or damaged ({why})") from error
    if kind is not None and found != kind:
        raise NumpyrnnError(f"{path} must be a model of {kind}, it is one of {found}")
    if kind is not None and vocabulary is None:
        raise NumpyrnnError(f"{path} must hold a vocabulary, as a model of {kind} does, it holds none")
    model.params.flat[...] = params
    return Checkpoint(found, model, vocabulary, config, training)
