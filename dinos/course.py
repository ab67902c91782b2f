"""The deep-learning course's dinosaur exercise, with the course's names and printed form, computed by `single.py`.

Each step trains on one name, with X = [None] + characters and Y = characters + [newline], by plain gradient descent
with element-wise clipping. The hidden state is carried from name to name. Random draws come from NumPy's legacy
generator with the course's seeds, without using its global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import RandomState

from numpyrnn import RNN, Dense, NumpyrnnError, Sequential
from numpyrnn.activations import softmax
from numpyrnn.checks import Array, check_shape

from .single import SingleRNN

LEARNING_RATE, CLIP, LONGEST, CHECKPOINT = 0.01, 5.0, 50, 1000
NAMES = "Wax", "Waa", "Wya", "b", "by"  # names of the parameters
Dict = dict[str, Array]


def initialize_parameters(n_a: int, n_x: int, n_y: int) -> Dict:
    """Draw small normal weights (seed 1) and make zero biases.

    Parameters
    ----------
    n_a, n_x, n_y : int, sizes of the hidden layer, the input and the output

    Returns
    -------
    dict with Wax (n_a, n_x), Waa (n_a, n_a), Wya (n_y, n_a), b (n_a, 1), by (n_y, 1)
    """
    draw = RandomState(1)
    weights = [draw.randn(*shape) * 0.01 for shape in ((n_a, n_x), (n_a, n_a), (n_y, n_a))]
    return dict(zip(NAMES, [*weights, np.zeros((n_a, 1)), np.zeros((n_y, 1))], strict=True))


def get_initial_loss(vocab_size: int, seq_length: int) -> float:
    """Compute the loss of a uniform guess: seq_length ln(vocab_size)."""
    return float(-np.log(1.0 / vocab_size) * seq_length)


def smooth(loss: float, cur_loss: float) -> float:
    """Update an exponential moving average: 0.999 loss + 0.001 cur_loss."""
    return loss * 0.999 + cur_loss * 0.001


def get_sample(sample_ix: Sequence[int], ix_to_char: dict[int, str]) -> str:
    """Convert a sample to a name with a capital first letter; the newline at its end is kept."""
    text = "".join(ix_to_char[ix] for ix in sample_ix)
    return text[:1].upper() + text[1:]


def clip(gradients: Dict, maxValue: float) -> Dict:
    """Clip every element to [-maxValue, maxValue].

    Parameters
    ----------
    gradients : dict of arrays (dWax, dWaa, dWya, db, dby); not changed
    maxValue : float

    Returns
    -------
    dict of new arrays with the same names
    """
    return {name: np.clip(gradient, -maxValue, maxValue) for name, gradient in gradients.items()}


def sample(parameters: Dict, char_to_ix: dict[str, int], seed: int) -> list[int]:
    """Draw a name, character by character.

        a<t> = tanh(Wax x<t> + Waa a<t-1> + b),     y<t> = softmax(Wya a<t> + by)

    Before draw number k the legacy generator is seeded with seed + 2 k.

    Parameters
    ----------
    parameters : dict with Wax, Waa, Wya, b, by
    char_to_ix : dict from character to index, with the newline
    seed : int

    Returns
    -------
    list of int; it ends with a newline, drawn or, after 50 other characters, appended
    """
    Wax, Waa, Wya, b, by = (parameters[name] for name in NAMES)
    newline = char_to_ix["\n"]
    x_part, a_prev = np.zeros_like(b), np.zeros_like(b)
    indices: list[int] = []
    while len(indices) < LONGEST and newline not in indices[-1:]:
        a_prev = np.tanh(x_part + Waa @ a_prev + b)
        y = softmax(Wya @ a_prev + by, axis=0)
        draw = RandomState(seed + 2 * len(indices))
        indices.append(int(draw.choice(len(y), p=y.ravel())))
        x_part = Wax[:, indices[-1:]]
    return indices if indices[-1] == newline else [*indices, newline]


def optimize(
    X: Sequence[int | None], Y: Sequence[int], a_prev: Array, parameters: Dict, learning_rate: float = LEARNING_RATE
) -> tuple[float, Dict, Array]:
    """Take one training step: forward, backward, clip to 5, gradient descent. `parameters` are updated in place.

    Parameters
    ----------
    X : list of int; the first may be None, a step without input
    Y : list of int, the targets: X one step ahead
    a_prev : (n_a, 1), initial hidden state
    parameters : dict with Wax, Waa, Wya, b, by
    learning_rate : float, default 0.01

    Returns
    -------
    loss : float, the sum over time of -ln y[target]
    gradients : dict with dWax, dWaa, dWya, db, dby, clipped
    a : (n_a, 1), the last hidden state

    Raises
    ------
    NumpyrnnError
        if X and Y are empty, differ in length or hold an index out of range, or an array has a wrong shape
    """
    fast = _Fast(parameters)
    check_shape("a_prev", a_prev, parameters["b"].shape)
    loss = fast.step(_encode(X, Y, parameters), a_prev[:, 0], learning_rate)
    for name, values in fast.parameters.items():
        parameters[name][...] = values
    gradients = {f"d{name}": values.copy() for name, values in fast.gradients.items()}
    return loss, gradients, fast.single.h[:, None]


def model(
    data_x: Sequence[str],
    ix_to_char: dict[int, str],
    char_to_ix: dict[str, int],
    num_iterations: int = 35000,
    n_a: int = 50,
    dino_names: int = 7,
    vocab_size: int = 27,
    verbose: bool = False,
) -> tuple[Dict, str]:
    """Train on one name per iteration; print the smoothed loss and sampled names every 1,000 iterations.

    Parameters
    ----------
    data_x : list of names
    ix_to_char, char_to_ix : dicts between characters and indices
    num_iterations : int, default 35000
    n_a : int, default 50, hidden units
    dino_names : int, default 7, number of names printed at a time
    vocab_size : int, default 27
    verbose : bool, default False
        Also print the index of the first and the last name of the list, and how the first name is encoded.

    Returns
    -------
    parameters : dict with Wax, Waa, Wya, b, by
    last_dino_name : str, the last printed name, with its newline

    Raises
    ------
    NumpyrnnError
        if there are no names or a character is unknown
    """
    examples = [name.strip() for name in data_x]
    unknown = sorted(set("".join(examples)) - set(char_to_ix))
    if not examples or unknown:
        raise NumpyrnnError(f"data_x needs names of known characters, got {len(examples)} names, unknown: {unknown}")
    RandomState(0).shuffle(examples)
    newline = char_to_ix["\n"]
    fast = _Fast(initialize_parameters(n_a, vocab_size, vocab_size))
    indices = [[char_to_ix[char] for char in name] for name in examples]
    encoded = [_encode([None, *ix], [*ix, newline], fast.parameters) for ix in indices]
    loss = get_initial_loss(vocab_size, dino_names)
    a_prev, last_dino_name = np.zeros(n_a), ""
    for j in range(num_iterations):
        idx = j % len(examples)
        if verbose and j in (0, len(examples) - 1, len(examples)):
            print("j =", j, "idx =", idx)
        if verbose and j == 0:
            print("single_example =", examples[idx])
            print("single_example_chars =", list(examples[idx]))
            print("single_example_ix =", indices[idx])
            print("X =", [None, *indices[idx]], "\nY =", [*indices[idx], newline], "\n")
        loss = smooth(loss, fast.step(encoded[idx], a_prev, LEARNING_RATE))
        a_prev = fast.single.h
        if j % CHECKPOINT == 0:
            print(f"Iteration: {j:d}, Loss: {loss:f}\n")
            for seed in range(dino_names):
                last_dino_name = get_sample(sample(fast.parameters, char_to_ix, seed), ix_to_char)
                print(last_dino_name.replace("\n", ""))
            print("\n")
    return {name: np.array(values) for name, values in fast.parameters.items()}, last_dino_name


class _Fast:
    """The course's parameters and gradients as views of the engine's flat buffers."""

    def __init__(self, parameters: Dict):
        n_a, n_x = parameters["Wax"].shape
        n_y = len(parameters["by"])
        network = Sequential(RNN(n_x, n_a, np.float64, rng=0), Dense(n_a, n_y, np.float64, rng=0))
        self.single = SingleRNN(network)
        self.parameters, self.gradients = _views(network.params), _views(self.single.grads)
        for name, view in self.parameters.items():
            check_shape(name, parameters[name], view.shape)
            view[...] = parameters[name]

    def step(self, encoded: tuple[Array, Array], a_prev: Array, learning_rate: float) -> float:
        """Take one training step and return the loss."""
        loss = self.single(*encoded, a_prev)
        self.single.update(learning_rate, CLIP)
        return loss


def _views(params: Dict) -> Dict:
    """View the engine's arrays in the course's shapes, by the course's names."""
    views = [params[name].T for name in ("0.Wx", "0.Wh", "1.W")]
    return dict(zip(NAMES, [*views, params["0.b"][:, None], params["1.b"][:, None]], strict=True))


def _encode(X: Sequence[Any], Y: Sequence[int], parameters: Dict) -> tuple[Array, Array]:
    """Check X and Y and convert them to arrays; None becomes -1."""
    ids, targets = np.array([-1 if ix is None else ix for ix in X], np.intp), np.array(Y, np.intp)
    n_x, n_y = parameters["Wax"].shape[1], len(parameters["by"])
    if not len(ids) or len(ids) != len(targets) or (ids[1:] < 0).any() or ids[0] < -1:
        raise NumpyrnnError(f"X and Y must be equally long, None only first in X, got {list(X)!r:.60}, {list(Y)!r:.60}")
    if ids.max() >= n_x or targets.min() < 0 or targets.max() >= n_y:
        raise NumpyrnnError(f"X must lie below {n_x} and Y below {n_y}, got up to {ids.max()} and {targets.max()}")
    return ids, targets
