"""A look inside a trained or untrained model: its gates, its gradients through time, and what its units answer to.

    gates(model, ids)            every gate, hidden state and cell state over time
    saliency(model, ids, t)      how the probability of a token depends on each token before it
    gradient_norms(model, ids)   how much of a change of h is left after some steps
    top_units(model, texts)      which units answer to vowels, capitals, the place in the line, ...

A model is a `Sequential` of any depth, or a `Checkpoint` from `numpyrnn.load`. It reads one sequence of ids from a zero
state, without dropout. All is computed in float64, on a copy of the model, with the layers' own forward and backward
passes. The layers run forward in time only, so nothing here is about later steps. `numpyrnn.plots` draws the results;
its functions can be imported from here, too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from .batches import padded
from .checkpoint import Checkpoint
from .checks import Array, NumpyrnnError, check_count, check_ids, check_numbers, is_integer, to_array
from .layer import Layer, leaves
from .layers import Embedding
from .losses import softmax_cross_entropy
from .plots import plot_gates, plot_gradient_norms, plot_saliency, plot_units
from .recurrent import Recurrent
from .sequential import Sequential
from .vocab import Vocabulary

__all__ = ["CLASSES", "Answer", "Saliency", "gates", "gradient_norms", "saliency", "top_units"]
__all__ += ["plot_gates", "plot_gradient_norms", "plot_saliency", "plot_units"]

COMMON, NAMED = 5, 3  # rarer tokens are not named as those after which a unit is highest; how many are named
SIDE_BY_SIDE = 32  # texts that are read in one batch
VOWELS, OPENING, CLOSING, EITHER = {*"aeiou"}, "\u201e\u00ab", "\u201d\u00bb", '"\u201c'  # of quotation marks


class Saliency(NamedTuple):
    """How the probability of token t depends on the tokens before it.

    Attributes
    ----------
    gradient : (t, D), d log p / d x_s for s = 0 .. t - 1
    norm : (t,), its Euclidean norm for each s
    log_p : float, log p(ids[t] | ids[:t]) in nats
    """

    gradient: Array
    norm: Array
    log_p: float


class Answer(NamedTuple):
    """A unit, and a class of tokens that it answers to.

    Attributes
    ----------
    layer : int, number of the recurrent layer, from 0, as in `gates`
    unit : int, from 0
    what : str, the name of the class, such as "vowel"
    correlation : float, from -1 to 1, between h of the unit and the class over all steps
    highest : tuple of str, up to three tokens after which the unit is highest in the mean, the highest first
    """

    layer: int
    unit: int
    what: str
    correlation: float
    highest: tuple[str, ...]


def each(test: Callable[[str], bool]) -> Callable[[Sequence[str]], list[float]]:
    """Make a class for `top_units` out of a test of single tokens."""
    return lambda tokens: [float(test(token)) for token in tokens]


def in_quotes(tokens: Sequence[str]) -> list[float]:
    """Whether a token stands between double quotation marks, with the opening one, without the closing one."""

    def after(inside: bool, token: str) -> bool:
        return not inside if token in EITHER else token in OPENING or (inside and token not in CLOSING)

    return list(map(float, accumulate(tokens, after, initial=False)))[1:]


def place_in_line(tokens: Sequence[str]) -> list[float]:
    """The number of tokens since the last line end, or since the beginning."""
    return list(accumulate(tokens, lambda n, token: 0.0 if token == "\n" else n + 1, initial=0.0))[1:]


CLASSES: dict[str, Callable[[Sequence[str]], list[float]]] = {
    "vowel": each(lambda token: unicodedata.normalize("NFD", token)[:1].lower() in VOWELS),
    "capital": each(str.isupper),
    "digit": each(str.isdigit),
    "space": each(lambda token: token.isspace() and token != "\n"),
    "line end": each(lambda token: token == "\n"),
    "punctuation": each(lambda token: unicodedata.category(token[:1] or "x").startswith("P")),
    "in quotes": in_quotes,
    "place in the line": place_in_line,
}


def gates(model: Sequential | Checkpoint, ids: Any) -> list[dict[str, Array]]:
    """Every gate and every state of the recurrent layers, over time.

    Parameters
    ----------
    model : Sequential or Checkpoint
    ids : (T,) integers

    Returns
    -------
    list with a dict for each recurrent layer, the lowest first, from a letter to an array (T, H)
        RNN: h. LSTM: o, i, f, g (output, input and forget gate, candidate), h, c. GRU: r, z, n (reset and update gate,
        candidate), h. Row t is the value at step t: after ids[t] was read. A cell class of one's own gives its states,
        and its gates if it has `letters`.

    Raises
    ------
    NumpyrnnError
        if there are no ids, one is out of range, or the model has no recurrent layer
    """
    vectors, layers = _opened(model)
    x, found = vectors(_column(ids)), []
    for layer in layers:
        x, _, cache = layer.forward(x)
        if isinstance(layer, Recurrent):
            cell = cache[0][0]
            names = ["h", "c", *(f"state {i}" for i in range(2, len(cell.states)))]
            arrays = [*zip(cell.letters, cell.z), *zip(names, (state[1:] for state in cell.states))]
            found.append({name: array[:, 0].copy() for name, array in arrays})
    return found


def saliency(model: Sequential | Checkpoint, ids: Any, t: int) -> Saliency:
    """The gradient of log p(ids[t] | ids[:t]) with respect to the vectors of the tokens before it.

    The vector x_s is the embedded token s; in a model without an embedding, it is its one-hot row. A large norm means
    that a small change of that vector would change the probability a lot.

    Parameters
    ----------
    model : Sequential or Checkpoint, from ids to logits
        It may end in `LastStep`, and then predicts the token after all that it has read.
    ids : (T,) integers, two or more
    t : int, from 1 to T - 1, the token whose probability is differentiated

    Returns
    -------
    Saliency

    Raises
    ------
    NumpyrnnError
        if an id or t is out of range, there are fewer than two ids, or the model has no recurrent layer
    """
    vectors, layers = _opened(model)
    x = vectors(_column(ids))
    check_count(f"t, an index of {len(x)} ids above 0,", t, 1, len(x) - 1)
    y, caches = x[:t], []
    for layer in layers:
        y, _, cache = layer.forward(y)
        caches.append(cache)
    dx: Any = np.zeros_like(y)
    loss, dlogits = softmax_cross_entropy(y[-1:], np.reshape(ids[t], (1, 1)))
    dx[-1:] = -dlogits
    for layer, cache in zip(reversed(layers), reversed(caches)):
        dx, _, _ = layer.backward(dx, cache)
    return Saliency(dx[:, 0], np.linalg.norm(dx[:, 0], axis=1), -loss)


def gradient_norms(model: Sequential | Checkpoint, ids: Any) -> list[Array]:
    """The spectral norm of d h_T / d h_{T-k} for every distance k, in each recurrent layer.

    It is the largest factor by which a small change of h at step T - k changes h at the last step T, with the layer's
    inputs, and for an LSTM also c of step T - k, as they are. It is 1 at distance 0. Where it falls to almost nothing,
    the layer cannot learn what far steps have to do with each other (Bengio et al. 1994; Pascanu et al. 2013).

    Parameters
    ----------
    model : Sequential or Checkpoint
    ids : (T,) integers

    Returns
    -------
    list with an array (T + 1,) for each recurrent layer, the lowest first
        Element k is the norm at distance k; element T refers to the state before the first step.

    Raises
    ------
    NumpyrnnError
        if there are no ids, one is out of range, or the model has no recurrent layer

    Notes
    -----
    The Jacobian is exact: its rows are the gradients of the units of h_T, which are moved back through one step at a
    time, side by side in a batch of H sequences.
    """
    vectors, layers = _opened(model)
    x, norms = vectors(_column(ids)), []
    for layer in layers:
        if isinstance(layer, Recurrent):
            norms.append(_norms(layer, x))
        x = layer(x)
    return norms


def _norms(layer: Recurrent, x: Array) -> Array:
    """The norms of one layer; x is (T, 1, D)."""
    states, P = layer.forward(x)[2][0][0].states, layer.output_size
    dstate: Any = (np.eye(P), *(np.zeros((P, state.shape[-1])) for state in states[1:]))
    norms = [1.0]
    for t in reversed(range(len(x))):
        before = tuple(np.repeat(state[t], P, axis=0) for state in states)
        wide = np.repeat(x[t : t + 1], P, axis=1)
        y, _, cache = layer.forward(wide, before if len(before) > 1 else before[0])
        _, back, _ = layer.backward(np.zeros_like(y), cache, dstate if len(before) > 1 else dstate[0])
        dstate = leaves(back)
        norms.append(float(np.linalg.norm(dstate[0], 2)))
    return np.array(norms)


def top_units(
    model: Sequential | Checkpoint,
    texts: Iterable[Sequence[str]],
    vocabulary: Vocabulary | None = None,
    n: int = 1,
    classes: Mapping[str, Callable[[Sequence[str]], Iterable[float]]] = CLASSES,
) -> list[Answer]:
    """Find the units that answer to a class of tokens: those whose h goes up and down with it.

    For every class, each step of the texts has a number, such as 1 after a vowel and 0 after any other token. The
    answer of a unit is the correlation (Pearson) of its h with these numbers, over all steps of all texts: near 1 if
    the unit is high just after vowels, near -1 if it is low just then, near 0 if it does not care.

    Parameters
    ----------
    model : Sequential or Checkpoint
    texts : strings, or lists of tokens; the model reads each from a zero state
    vocabulary : Vocabulary, default that of the checkpoint
    n : int, default 1, number of units for each class
    classes : dict from a name to a function, default `CLASSES`
        The function takes the tokens of a text, and returns a number for each. The default has vowels, capitals,
        digits, spaces, line ends, punctuation, being in quotation marks, and the place in the line.

    Returns
    -------
    list of Answer, the largest absolute correlation first
        A class that is the same at all steps, such as capitals in a text without any, has no answers.

    Raises
    ------
    NumpyrnnError
        if there is no vocabulary or no text, a text is empty or has unknown tokens, a class has not one finite number
        for each token, or the model has no recurrent layer
    """
    vocabulary = vocabulary or getattr(model, "vocabulary", None)
    if vocabulary is None:
        raise NumpyrnnError("top_units needs a vocabulary to read the texts: give it, or a checkpoint that has one")
    check_count("n", n)
    texts = sorted([texts] if isinstance(texts, str) else texts, key=len, reverse=True)
    if not texts or not texts[-1]:
        raise NumpyrnnError(f"texts must hold one text or more, none of them empty, got {len(texts)}")
    vectors, layers = _opened(model)
    while not isinstance(layers[-1], Recurrent):
        layers.pop()
    if changing := [layer for layer in layers if layer.group != 1]:
        raise NumpyrnnError(f"all layers up to the last recurrent one must keep the steps, {changing[0]!r} does not")
    ids = [vocabulary.encode(text) for text in texts]
    answers = list[Answer]()
    parts: list[list[Array]] = [[] for layer in layers if isinstance(layer, Recurrent)]
    for batch in padded([np.append(one, 0) for one in ids], SIDE_BY_SIDE):  # the last id is only a target
        x, part = vectors(batch.x), iter(parts)
        for layer in layers:
            x = layer(x, batch.lengths)
            if isinstance(layer, Recurrent):
                next(part).extend(x[:T, i] for i, T in enumerate(np.asarray(batch.lengths)))
    h, read = [np.concatenate(part) for part in parts], np.concatenate(ids)
    for what, function in classes.items():
        marks = np.concatenate([_marks(what, function, text) for text in texts])
        found = [(i, j, r) for i, rows in enumerate(h) for j, r in enumerate(_correlations(rows, marks))]
        best = sorted(found, key=lambda one: -abs(one[2]))[:n]
        answers += [Answer(i, j, what, float(r), _highest(h[i][:, j], read, vocabulary)) for i, j, r in best if r]
    return sorted(answers, key=lambda answer: -abs(answer.correlation))


def _marks(what: str, function: Callable[[Sequence[str]], Iterable[float]], text: Sequence[str]) -> Array:
    """The numbers of a class for a text."""
    return check_numbers(f"class {what!r}", list(map(float, function(text))), np.dtype(float), (len(text),))


def _correlations(rows: Array, marks: Array) -> list[float]:
    """The correlation of each column of `rows` (steps, H) with `marks` (steps,); 0 where one of them never changes."""
    rows, marks = rows - rows.mean(axis=0), marks - marks.mean()
    scale = np.linalg.norm(rows, axis=0) * np.linalg.norm(marks)
    return list(np.divide(marks @ rows, scale, out=np.zeros(len(scale)), where=scale > 1e-12).clip(-1, 1))


def _highest(values: Array, ids: Array, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The tokens after which the values are highest in the mean."""
    counts = np.bincount(ids, minlength=len(vocabulary))
    means = np.bincount(ids, values, len(vocabulary)) / np.maximum(counts, 1)
    common = np.flatnonzero(counts >= max(1, min(COMMON, np.sort(counts)[-NAMED:][0])))
    return tuple(vocabulary.decode(common[np.argsort(-means[common], kind="stable")][:NAMED]))


def _opened(model: Any) -> tuple[Callable[[Any], Array], list[Layer]]:
    """A function from ids to vectors, and the layers above it, one after the other; all in float64."""
    model = model.model if isinstance(model, Checkpoint) else model
    if not isinstance(model, Layer) or model.dtype.kind != "f":
        raise NumpyrnnError(f"the model must be a Sequential of real numbers, or a checkpoint, got {model!r:.80}")
    layers = [layer.copy(np.float64) for layer in _flat(model)]
    if not any(isinstance(layer, Recurrent) for layer in layers):
        raise NumpyrnnError(f"the model must have a recurrent layer (RNN, LSTM or GRU), got {model!r:.80}")
    embedding = layers.pop(0) if isinstance(layers[0], Embedding) else None
    return partial(_vectors, getattr(model, "input_size", 0), embedding), layers


def _flat(model: Layer) -> list[Layer]:
    """The layers of a model, and those of the models in it."""
    return [part for layer in model.layers for part in _flat(layer)] if isinstance(model, Sequential) else [model]


def _column(ids: Any) -> Array:
    """One sequence of ids as (T, 1)."""
    found = to_array("ids", ids)
    if found.ndim != 1 or not found.size or not is_integer(found):
        came = f"{found.dtype} of shape {found.shape}"
        raise NumpyrnnError(f"ids must be one sequence of integers, not empty, got {came}")
    return found[:, None]


def _vectors(size: int, embedding: Embedding | None, ids: Array) -> Array:
    """The embedded or one-hot vectors (T, N, D) of ids below `size`."""
    check_ids("ids", ids, size)
    return embedding(ids) if embedding else np.asarray(ids[..., None] == np.arange(size), np.float64)
