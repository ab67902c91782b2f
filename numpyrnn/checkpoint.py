"""A model in one file: parameters, vocabulary, configuration and, for resuming, the state of its training.

The file is a NumPy archive (.npz) of flat arrays and JSON texts; `docs/model-files.md` describes it. Nothing in it is
executed, and nothing in it is believed: sizes are computed from the model's description, and compared with the file,
before anything is allocated.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from .activations import softmax
from .archive import DIGEST, NPY_HEADER, Archive, parse, write
from .checks import Array, NumpyrnnError, as_rng, check_finite
from .files import atomic_write, open_plain
from .parameters import Parameters, sketch
from .sampling import Sampler, generate
from .sequential import Sequential, UnknownLayerError, from_config
from .vocab import Vocabulary

FORMAT, OLD_FORMAT = "numpyrnn model 2", "numpyrnn model 1"
PARAMS, ABOUT = "params.npy", "about.npy"  # the second one only in the old format
TEXTS = HEADER, VOCABULARY, CONFIG, TRAINING = "header.json", "vocabulary.json", "config.json", "training.json"
LARGEST_HEADER, LARGEST_VOCABULARY, LARGEST_ABOUT = 1 << 16, 1 << 20, 1 << 27  # bytes
MOST_VALUES, MOST_LISTS, LONGEST_KIND = 1_000, 16, 80
DTYPES = "float32", "float64", "complex128"
_LOCK = Lock()


class _Lazy:
    """A field of a checkpoint. If it is set to a function, its value is what that returns, once it is first read."""

    def __init__(self, default: Any):
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, checkpoint: Checkpoint | None, owner: type | None = None) -> Any:
        if checkpoint is None:
            return self.default  # so `dataclass` asks for it
        with _LOCK:  # of threads, one calls it
            if callable(value := vars(checkpoint)[self.name]):
                vars(checkpoint)[self.name] = value = value()
            return value

    def __set__(self, checkpoint: Checkpoint, value: Any) -> None:
        vars(checkpoint)[self.name] = value


_NO_CONFIG: Any = _Lazy(dict)  # a new dict for each checkpoint
_NO_TRAINING: Any = _Lazy(None)


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

    In a loaded checkpoint the two dicts are parsed when they are first used, so that large ones cost nothing before.

    Examples
    --------
    >>> checkpoint = load("model.npz")
    >>> checkpoint.generate("Shall I ", 200)
    >>> checkpoint.probabilities("Shall")[-1]  # of the next token
    """

    kind: str
    model: Sequential
    vocabulary: Any = None
    config: dict[str, Any] = _NO_CONFIG
    training: dict[str, Any] | None = _NO_TRAINING

    def __getstate__(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

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
    """Write a model file, completely or not at all. It needs little memory besides what is saved.

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
    model, words, training = checkpoint.model, checkpoint.vocabulary, checkpoint.training or {}
    if not isinstance(model, Sequential) or not isinstance(words, Vocabulary | None):
        raise NumpyrnnError("a model file holds a Sequential and, if it has one, a Vocabulary")
    if not isinstance(training, dict):
        raise NumpyrnnError(f"training must be a dict or None, got {training!r:.80}")
    about = {"format": FORMAT, "kind": checkpoint.kind, "dtype": str(model.dtype), "model": model.config()}
    members: dict[str, Any] = {HEADER: _json("the model's description", about)}
    parse_header(members[HEADER])
    if words is not None:
        members[VOCABULARY] = _json("the vocabulary", words.tokens, list)
        parse_vocabulary(members[VOCABULARY], model)
    check_params(model)
    members |= {CONFIG: _json("config", checkpoint.config), PARAMS: model.params.flat}
    arrays = {name: value for name, value in training.items() if isinstance(value, np.ndarray)}
    if checkpoint.training is not None:
        others = {name: value for name, value in training.items() if name not in arrays}
        members[TRAINING] = _json("training", others)
    for name, array in arrays.items():
        if array.dtype != model.dtype or array.shape != model.params.flat.shape or not array.flags.c_contiguous:
            found = f"{array.dtype} of shape {array.shape}"
            raise NumpyrnnError(f"an array of training must be like the parameters, {name!r:.80} is {found}")
        if not (isinstance(name, str) and re.fullmatch(r"[\w.]{1,80}", name, re.ASCII)):
            raise NumpyrnnError(f"an array of training must have a name of letters, digits, _ and ., got {name!r:.80}")
        members[f"training.{name}.npy"] = array
    with atomic_write(path) as file:
        write(file, members)


def _json(name: str, value: Any, kind: type = dict) -> bytes:
    """The JSON text of a dict or list, as `load` can read it."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
        if not isinstance(parse(text), kind):
            raise TypeError(f"it is no {kind.__name__}")
        return text
    except (TypeError, ValueError, RecursionError) as error:
        raise NumpyrnnError(f"{name} must hold only what JSON can hold, and a model file ({error})") from error


def check_params(model: Sequential) -> None:
    """Raise unless all parameters of a model are finite."""
    numbers = model.params.flat.view(model.params.flat.real.dtype)
    if numbers.size and not np.isfinite([numbers.min(), numbers.max()]).all():  # which needs no memory, unlike:
        check_finite("params", model.params.flat)


def load(path: str | Path, kind: str | None = None) -> Checkpoint:
    """Read a model file.

    It needs little more memory than the file's size (an earlier version's compressed file: the size of its content).

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
    checkpoint, _ = read(path)
    if kind is not None and checkpoint.kind != kind:
        raise NumpyrnnError(f"{path} must be a model of {kind}, it is one of {checkpoint.kind}")
    if kind is not None and checkpoint.vocabulary is None:
        raise NumpyrnnError(f"{path} must hold a vocabulary, as a model of {kind} does, it holds none")
    return checkpoint


def read(path: str | Path) -> tuple[Checkpoint, str]:
    """Read a model file as `load` does; also return its format."""
    with open_plain(path, "a model file") as file:
        try:
            archive = Archive(file)
            old = "about.npy" in archive.sizes
            return (_read_old(archive), OLD_FORMAT) if old else (_read(archive), FORMAT)
        except UnknownLayerError as error:
            raise NumpyrnnError(f"{path}: {error}") from error
        except MemoryError as error:
            raise NumpyrnnError(f"{path} could not be read: there is not enough memory for it ({error})") from error
        except Exception as error:  # a damaged file makes zipfile, zlib, NumPy and JSON raise errors of a dozen kinds
            why = " ".join(str(error).split()) or type(error).__name__
            raise NumpyrnnError(f"{path} must be a model file, it is something else or damaged ({why:.300})") from error


def _read(archive: Archive) -> Checkpoint:
    archive.check_stored()
    texts = {name: archive.text(name) for name in TEXTS if name in archive.sizes}
    return _checkpoint(archive, {DIGEST, *texts}, *map(texts.get, TEXTS))


def _read_old(archive: Archive) -> Checkpoint:
    """Read a file of an earlier version. Its texts are one text, in a fixed order, in an array of bytes."""
    if archive.sizes[ABOUT] > LARGEST_ABOUT:
        raise NumpyrnnError(f"{ABOUT} must have at most {LARGEST_ABOUT:,} bytes, it has {archive.sizes[ABOUT]:,}")
    data = bytearray(max(0, archive.sizes[ABOUT] - NPY_HEADER))
    archive.read(ABOUT, np.frombuffer(data, np.uint8))
    marks = [data.find(b', "vocabulary": '), data.find(b', "config": '), data.rfind(b', "training": ')]
    if not 0 < marks[0] < marks[1] < marks[2]:
        raise NumpyrnnError("a description must have format, kind, model, dtype, vocabulary, config and training")
    ends = zip(marks, [*marks[1:], len(data) - 1], strict=True)
    texts = [memoryview(data)[data.index(b": ", start) + 2 : stop] for start, stop in ends]
    rest = (None if bytes(text[:5]) == b"null" else text for text in texts)
    return _checkpoint(archive, {ABOUT}, bytes(data[: marks[0]]) + b"}", *rest)


def _checkpoint(archive: Archive, members: set[str], header: Any, words: Any, config: Any, training: Any) -> Checkpoint:
    """Make a checkpoint of the texts, which the named members held, and the arrays, which are the other members."""
    about = parse_header(header)
    dtype = np.dtype(about["dtype"])
    n, rest = divmod(archive.sizes[PARAMS] - NPY_HEADER, dtype.itemsize)
    with sketch(n):
        model = from_config(about["model"], dtype)
    if not isinstance(model, Sequential) or (model.params.flat.size, model.dtype, rest) != (n, dtype, 0):
        raise NumpyrnnError(f"a model file holds a Sequential and its {n:,} parameters, got {model!r:.120}")
    arrays = [member for member in archive.sizes if member.startswith("training.") and member.endswith(".npy")]
    alike = all(archive.sizes[member] == archive.sizes[PARAMS] for member in arrays)
    if archive.sizes.keys() != {*members, PARAMS, *arrays} or (arrays and training is None) or not alike:
        raise NumpyrnnError(f"the members must be those of a model file, got {', '.join(archive.sizes)!a:.200}")
    if config is None or any(text and (text[:1], text[-1:]) != (b"{", b"}") for text in (config, training)):
        raise NumpyrnnError("config and training must be JSON objects")
    vocabulary = None if words is None else parse_vocabulary(words, model)
    model.move(Parameters(model.params.shapes, dtype))
    archive.read(PARAMS, model.params.flat)
    check_params(model)
    state = {}
    for member in arrays:
        state[member[len("training.") : -len(".npy")]] = array = np.empty(n, dtype)
        archive.read(member, array)
    later: Any = (lambda: parse(config)), None if training is None else (lambda: parse(training) | state)
    return Checkpoint(about["kind"], model, vocabulary, *later)


def parse_header(text: bytes | None) -> dict[str, Any]:
    """Parse the header of a model file; an error if its model has too many layers, or too large a description."""
    if text is None or len(text) > LARGEST_HEADER or text.count(b",") > MOST_VALUES or text.count(b"[") > MOST_LISTS:
        limits = f"{LARGEST_HEADER:,} bytes, {MOST_VALUES:,} values and {MOST_LISTS} lists"
        raise NumpyrnnError(f"there must be a description of the model of at most {limits}")
    about = parse(text)
    if not isinstance(about, dict) or about.keys() != {"format", "kind", "dtype", "model"}:
        raise NumpyrnnError(f"a header must have format, kind, dtype and model, got {about!r:.120}")
    kind, dtype = about["kind"], about["dtype"]
    if about["format"] not in (FORMAT, OLD_FORMAT):
        raise NumpyrnnError(f"the format must be {FORMAT!r} or {OLD_FORMAT!r}, got {about['format']!r:.80}")
    if not (isinstance(kind, str) and 0 < len(kind) <= LONGEST_KIND and kind.isprintable() and dtype in DTYPES):
        words = f"a name of 1 to {LONGEST_KIND} printable characters, and dtype one of {', '.join(DTYPES)}"
        raise NumpyrnnError(f"kind must be {words}, got {kind!r:.80} and {dtype!r:.80}")
    return about


def parse_vocabulary(text: bytes | memoryview, model: Sequential) -> Vocabulary:
    """Parse the tokens of a vocabulary; an error if there are more than the model's inputs and its outputs."""
    size = getattr(model, "input_size", 0)  # none if the model takes any number of features
    n = max(size, model.features_out(size))
    if len(text) > LARGEST_VOCABULARY + 32 * n:
        raise NumpyrnnError(f"a vocabulary for {n:,} ids must be shorter, it has {len(text):,} bytes")
    tokens = parse(text)
    if not isinstance(tokens, list) or len(tokens) > (n or len(tokens)) or Vocabulary(tokens).tokens != tokens:
        raise NumpyrnnError(f"a vocabulary must have at most {n:,} tokens, which are sorted, got {tokens!r:.80}")
    return Vocabulary(tokens)
