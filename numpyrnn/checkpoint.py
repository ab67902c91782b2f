"""A model in one file: parameters, vocabulary, configuration and, for resuming, the state of its training.

The file is a NumPy archive (.npz): flat buffers, and a JSON text that describes them. Nothing in it is executed.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .activations import softmax
from .checks import Array, NumpyrnnError, as_rng, check_numbers
from .files import atomic_write
from .sampling import Sampler, generate
from .sequential import Sequential, UnknownLayerError, from_config
from .vocab import Vocabulary

FORMAT = "numpyrnn model 1"


@dataclass
class Checkpoint:
    """The content of a model file.

    Attributes
    ----------
    kind : str, the program that made it ("dinos"), or "numpyrnn"
    model : Sequential, with the parameters to use
    vocabulary : Vocabulary, or None
    config : dict that JSON can hold: how the model was trained, and on what
    training : dict, or None
        What `Trainer.state` returns: all that resuming needs (weights, optimiser, random state, epoch and step).
        None for a finished model.

    Examples
    --------
    >>> checkpoint = load("model.npz")
    >>> checkpoint.generate("Shall I ", 200)
    >>> checkpoint.probabilities("Shall")[-1]  # of the next token
    """

    kind: str
    model: Sequential
    vocabulary: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] | None = None

    def resumable(self) -> dict[str, Any]:
        """Return the state of the training, or raise if there is none."""
        needs = "the model must hold the state of its training to be resumed; a shipped or --slim one does not"
        if self.training is None:
            raise NumpyrnnError(needs)
        return self.training

    def generate(self, prompt: str | list[str], length: int, seed: int | None = None, **settings: Any) -> Any:
        """Continue a prompt.

        Parameters
        ----------
        prompt : str, or list of tokens
        length : int, the number of tokens to generate
        seed : int, optional; by default a new one each time
        **settings : temperature, top_k, top_p, as for `Sampler`

        Returns
        -------
        str, or list of tokens like the prompt: the continuation

        Raises
        ------
        NumpyrnnError
            if there is no vocabulary, the prompt is empty or has an unknown token, or a setting is out of range
        """
        ids, sampler = self._encode(prompt), Sampler(as_rng(seed), **settings)
        tokens = self.vocabulary.decode(generate(self.model, ids, sampler, length)[0])
        return "".join(tokens) if isinstance(prompt, str) else tokens

    def probabilities(self, text: str | list[str]) -> Array:
        """Probabilities of the next token, after each token of a text.

        Parameters
        ----------
        text : str, or list of tokens

        Returns
        -------
        (length, V), rows that sum to one, in the order of `vocabulary.tokens`
            (1, V) if the model makes one prediction for a whole window.

        Raises
        ------
        NumpyrnnError
            if there is no vocabulary, or the text is empty or has an unknown token
        """
        return softmax(self.model(self._encode(text)[:, None])[:, 0])

    def _encode(self, tokens: str | list[str]) -> Array:
        if self.vocabulary is None:
            raise NumpyrnnError("a model without a vocabulary takes no text: call its model with ids")
        if not (isinstance(tokens, str | list | tuple) and all(isinstance(token, str) for token in tokens)):
            raise NumpyrnnError(f"the text must be a string or a list of strings, got {tokens!r:.80}")
        ids: Array = self.vocabulary.encode(tokens)
        if not len(ids):
            raise NumpyrnnError("the text must have at least one token, got none")
        return ids


def save(path: str | Path, model: Sequential | Checkpoint, vocabulary: Vocabulary | None = None) -> None:
    """Write a model file, completely or not at all.

    Parameters
    ----------
    path : the file, replaced if it exists
    model : Sequential, or Checkpoint
    vocabulary : Vocabulary, optional; only with a Sequential, since a Checkpoint holds its own

    Raises
    ------
    NumpyrnnError
        if the file cannot be written, or the model has a part that no model file can hold; an existing file is then
        unchanged
    """
    if isinstance(model, Checkpoint) and vocabulary is not None:
        raise NumpyrnnError("a checkpoint holds its vocabulary: save(path, checkpoint)")
    checkpoint = model if isinstance(model, Checkpoint) else Checkpoint("numpyrnn", model, vocabulary)
    model, words, training = checkpoint.model, checkpoint.vocabulary, checkpoint.training
    if not isinstance(model, Sequential) or not isinstance(words, Vocabulary | None):
        raise NumpyrnnError("a model file holds a Sequential and, if it has one, a Vocabulary")
    in_training = {name: value for name, value in (training or {}).items() if isinstance(value, np.ndarray)}
    arrays = {"params": model.params.flat} | {f"training.{name}": array for name, array in in_training.items()}
    others = training and {name: value for name, value in training.items() if name not in in_training}
    about: dict[str, Any] = {"format": FORMAT, "kind": checkpoint.kind, "model": model.config()}
    about |= {"dtype": str(model.dtype), "vocabulary": words and words.tokens}
    about |= {"config": checkpoint.config, "training": others}
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
    path : the file
    kind : str, optional
        The program that must have made the model. The model must then have a vocabulary.

    Returns
    -------
    Checkpoint

    Raises
    ------
    NumpyrnnError
        if the file does not exist, is damaged, is not a model file, holds a model of another kind, or has a layer
        whose class must be imported first
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise NumpyrnnError(f"{path} could not be read: {error.strerror or error}") from error
    try:
        with np.lib.npyio.NpzFile(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(arrays.pop("about").tobytes())
        if about["format"] != FORMAT:
            raise NumpyrnnError(f"{path} must have the format {FORMAT!r}, it has {about['format']!r}")
        found, model = about["kind"], from_config(about["model"], np.dtype(about["dtype"]))
        params = arrays.pop("params")
        if not isinstance(model, Sequential) or params.dtype != model.dtype:
            raise NumpyrnnError("a model file holds a Sequential and its parameters")
        check_numbers("params", params, model.dtype, model.params.flat.shape)
        words, config, training = about["vocabulary"], dict(about["config"]), about["training"]
        vocabulary = None if words is None else Vocabulary(words)
        if training is not None:
            training |= {name.removeprefix("training."): array for name, array in arrays.items()}
    except UnknownLayerError as error:
        raise NumpyrnnError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file makes zipfile, zlib, NumPy and JSON raise errors of a dozen kinds
        why = " ".join(str(error).split()) or type(error).__name__
        raise NumpyrnnError(f"{path} must be a model file, it is something else or damaged ({why})") from error
    if kind is not None and found != kind:
        raise NumpyrnnError(f"{path} must be a model of {kind}, it is one of {found}")
    if kind is not None and vocabulary is None:
        raise NumpyrnnError(f"{path} must hold a vocabulary, as a model of {kind} does, it holds none")
    model.params.flat[...] = params
    return Checkpoint(found, model, vocabulary, config, training)
