"""The two models of the course's jazz exercise: one trains the shared layers, the other writes with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from numpyrnn import LSTM, Dense, NumpyrnnError, Sequential
from numpyrnn.activations import softmax
from numpyrnn.checks import Array, as_array, check_count, check_shape
from numpyrnn.losses import softmax_cross_entropy
from numpyrnn.optim import Adam, Optimizer
from numpyrnn.parameters import Parameters
from numpyrnn.sampling import Sampler

Examples = tuple[Array, Array, Array, Array]


class TrainingModel:
    """The training model; see `djmodel`.

    Parameters
    ----------
    Tx : int, number of steps
    LSTM_cell, densor : the shared layers, trained in place

    Attributes
    ----------
    optimizer : Optimizer, set by `compile`

    Raises
    ------
    NumpyrnnError
        if `Tx` is below 2, or the layers are not an LSTM and a Dense that fit each other
    """

    def __init__(self, Tx: int, LSTM_cell: LSTM, densor: Dense):
        check_count("Tx", Tx, 2)
        _check_layers(LSTM_cell, densor)
        self.Tx, self.LSTM_cell, self.densor = int(Tx), LSTM_cell, densor
        self.compile()

    def compile(
        self, optimizer: Optimizer | None = None, loss: str = "categorical_crossentropy", metrics: object = None
    ) -> None:
        """Choose the optimiser, default Adam(0.01, decay=0.01). `metrics` is ignored; another loss is an error."""
        optimizer = Adam(0.01, decay=0.01) if optimizer is None else optimizer
        if not isinstance(optimizer, Optimizer) or loss != "categorical_crossentropy":
            came = f"{type(optimizer).__name__} and {loss!r}"
            raise NumpyrnnError(f"compile needs an Optimizer and the loss 'categorical_crossentropy', got {came}")
        self.optimizer = optimizer

    def count_params(self) -> int:
        """Count the weights."""
        return int(self.LSTM_cell.params.flat.size + self.densor.params.flat.size)

    def fit(
        self,
        inputs: Sequence[Array],
        Y: Sequence[Array] | Array,
        epochs: int = 100,
        batch_size: int = 32,
        verbose: int = 1,
        seed: int = 0,
        on_epoch: Callable[[int, float], None] | None = None,
        report: Callable[[str], None] = print,
    ) -> SimpleNamespace:
        """Train with one update for each batch.

        Parameters
        ----------
        inputs : [X (m, Tx, n_values) one-hot with a first step of zeros, a0 (m, n_a), c0 (m, n_a)]
        Y : Tx arrays (m, n_values), one-hot; a row of zeros has no loss
        epochs : int, default 100
        batch_size : int, default 32
        verbose : int, default 1; 0 does not report the loss of each epoch
        seed : int, default 0, for the order of the examples
        on_epoch : function, optional, called with the number of the epoch, from 1, and its loss
        report : function that receives each line of output, default print

        Returns
        -------
        namespace with `history`: {"loss": list of float}
            The loss of each epoch is the mean over the examples of the cross-entropy summed over the steps, in nats.

        Raises
        ------
        NumpyrnnError
            if an array has a wrong shape, or X or Y is not one-hot
        """
        check_count("epochs", epochs, 0)
        check_count("batch_size", batch_size, 1)
        x, targets, a0, c0 = self._examples(inputs, Y)
        network = _copies(self.LSTM_cell, self.densor)  # the shared layers cannot be in two Sequentials
        rng, losses = np.random.default_rng(seed), []
        for epoch in range(1, epochs + 1):
            order, total = rng.permutation(len(a0)), 0.0
            for start in range(0, len(a0), batch_size):
                rows = order[start : start + batch_size]
                loss, grads = loss_and_grads(network, x[:, rows], targets[:, rows], a0[rows], c0[rows])
                self.optimizer.update(network.params.flat, grads.flat)
                total += loss * len(rows)
            for shared, trained in zip((self.LSTM_cell, self.densor), network.layers, strict=True):
                shared.params.flat[...] = trained.params.flat
            losses.append(total / len(a0))
            if verbose:
                report(f"Epoch {epoch}/{epochs} - loss: {losses[-1]:.4f}")
            if on_epoch:
                on_epoch(epoch, losses[-1])
        return SimpleNamespace(history={"loss": losses})

    def evaluate(self, inputs: Sequence[Array], Y: Sequence[Array] | Array) -> float:
        """Compute the loss without training; see `fit` for arguments and errors."""
        return loss_and_grads(_copies(self.LSTM_cell, self.densor), *self._examples(inputs, Y))[0]

    def _examples(self, inputs: Sequence[Array], Y: Sequence[Array] | Array) -> Examples:
        """Check the examples and convert them to the arguments of `loss_and_grads`."""
        if len(inputs) != 3:
            raise NumpyrnnError(f"inputs must be [X, a0, c0], got {len(inputs)} arrays")
        dtype, n_values, n_a = self.LSTM_cell.dtype, self.LSTM_cell.input_size, self.LSTM_cell.hidden_size
        X, a0, c0 = (as_array(name, array, dtype) for name, array in zip(("X", "a0", "c0"), inputs, strict=True))
        Y = as_array("Y", Y, dtype)
        check_shape("X", X, ("m", self.Tx, n_values))
        check_shape("Y", Y, (self.Tx, len(X), n_values))
        check_shape("a0", a0, (len(X), n_a))
        check_shape("c0", c0, (len(X), n_a))
        ids, targets = _ids("X", X).T, _ids("Y", Y)
        if (ids[0] >= 0).any() or (ids[1:] < 0).any():
            raise NumpyrnnError("X must be zero in its first step and one-hot in all others, it is not")
        return ids[1:], targets, a0, c0


def loss_and_grads(network: Sequential, x: Array, targets: Array, a0: Array, c0: Array) -> tuple[float, Parameters]:
    """Compute the loss and the gradients of a batch whose first input is zero.

    The zero input is given as floats, the other inputs as ids, so there are two forward passes. The first passes its
    state to the second, and the gradient of this state comes back.

    Parameters
    ----------
    network : Sequential of LSTM and Dense
    x : (T - 1, N) integers, the inputs after the first
    targets : (T, N) integers; -1 has no loss
    a0, c0 : (N, n_a), initial states

    Returns
    -------
    loss : float, nats; the mean over the batch of the cross-entropy summed over the steps
    grads : Parameters like `network.params`
    """
    N = len(a0)
    zero = np.zeros((1, N, network.input_size), network.dtype)
    first, state, first_cache = network.forward(zero, ((a0, c0), None))
    others, _, cache = network.forward(x, state)
    loss, d = softmax_cross_entropy(np.concatenate([first, others]), targets, targets >= 0, reduction="sum")
    d /= N
    _, dstate, grads = network.backward(d[1:], cache)
    grads.flat += network.backward(d[:1], first_cache, dstate)[2].flat
    return loss / N, grads


class InferenceModel:
    """The writing model; see `music_inference_model`. It changes if its layers are trained later.

    Parameters
    ----------
    LSTM_cell, densor : the shared layers
    Ty : int, number of values to write

    Raises
    ------
    NumpyrnnError
        if `Ty` is below 1, or the layers are not an LSTM and a Dense that fit each other
    """

    def __init__(self, LSTM_cell: LSTM, densor: Dense, Ty: int):
        check_count("Ty", Ty, 1)
        _check_layers(LSTM_cell, densor)
        self.LSTM_cell, self.densor, self.Ty = LSTM_cell, densor, int(Ty)
        self.n_values, self.n_a = LSTM_cell.input_size, LSTM_cell.hidden_size

    def zeros(self, N: int = 1) -> list[Array]:
        """Make the exercise's initial inputs, all zero: x (N, 1, n_values), a (N, n_a), c (N, n_a)."""
        return [np.zeros(shape, np.float32) for shape in ((N, 1, self.n_values), (N, self.n_a), (N, self.n_a))]

    def write(self, inputs: Sequence[Array], sampler: Sampler) -> tuple[Array, Array]:
        """Write N sequences; each drawn value is the next input.

        Parameters
        ----------
        inputs : [x (N, 1, n_values), a (N, n_a), c (N, n_a)]
        sampler : Sampler

        Returns
        -------
        ids : (Ty, N) integers
        probabilities : (Ty, N, n_values)

        Raises
        ------
        NumpyrnnError
            if an input has a wrong shape
        """
        names = ("x_initializer", "a_initializer", "c_initializer")
        x, a, c = (as_array(name, array, self.LSTM_cell.dtype) for name, array in zip(names, inputs, strict=True))
        check_shape("x_initializer", x, ("N", 1, self.n_values))
        check_shape("a_initializer", a, (len(x), self.n_a))
        check_shape("c_initializer", c, (len(x), self.n_a))
        network = _copies(self.LSTM_cell, self.densor)
        step, state = x.swapaxes(0, 1), ((a, c), None)
        ids, probabilities = [], []
        for _ in range(self.Ty):
            logits, state, _ = network.forward(step, state, cache=False)
            ids.append(sampler.draw(logits[0]))
            probabilities.append(softmax(logits[0]))
            step = ids[-1][None]
        return np.array(ids), np.array(probabilities)

    def predict(self, inputs: Sequence[Array]) -> Array:
        """Compute the probabilities (Ty, N, n_values) if the most probable value is always the next input."""
        return self.write(inputs, Sampler(0, temperature=0))[1]


def shared_layers(n_values: int, n_a: int = 64, seed: int = 0) -> tuple[LSTM, Dense, tuple[int, int]]:
    """Make the layers that the training and the writing model share.

    Parameters
    ----------
    n_values : int, number of different values
    n_a : int, default 64, number of units
    seed : int, default 0, for the initial weights

    Returns
    -------
    LSTM_cell : LSTM
    densor : Dense
    reshaper : (1, n_values), the shape of a step in the exercise; not needed here
    """
    rng = np.random.default_rng(seed)
    return LSTM(n_values, n_a, rng=rng), Dense(n_a, n_values, rng=rng), (1, n_values)


def djmodel(
    Tx: int,
    LSTM_cell: LSTM | int | None = None,
    densor: Dense | int | None = None,
    reshaper: Any = None,
    *,
    n_a: int | None = None,
    n_values: int | None = None,
) -> TrainingModel:
    """Make the training model: djmodel(Tx, LSTM_cell, densor, reshaper) or, in the older edition, (Tx, n_a, n_values).

    Parameters
    ----------
    Tx : int, number of steps
    LSTM_cell, densor : the shared layers, or the numbers n_a and n_values to make new layers from
    reshaper : optional, a shape whose last number is n_values
    n_a, n_values : int, the numbers under the older edition's names

    Returns
    -------
    TrainingModel

    Raises
    ------
    NumpyrnnError
        if the arguments are neither two layers that fit each other nor two numbers
    """
    if isinstance(LSTM_cell, LSTM) and isinstance(densor, Dense):
        _check_sizes(LSTM_cell, n_a, n_values if reshaper is None else reshaper[-1])
        return TrainingModel(Tx, LSTM_cell, densor)
    n_a, n_values = LSTM_cell if n_a is None else n_a, densor if n_values is None else n_values  # type: ignore[assignment]
    if not isinstance(n_a, int) or not isinstance(n_values, int):
        came = f"{LSTM_cell!r} and {densor!r}"
        raise NumpyrnnError(f"djmodel needs LSTM_cell and densor, or n_a and n_values; got {came}")
    return TrainingModel(Tx, *shared_layers(n_values, n_a)[:2])


def music_inference_model(
    LSTM_cell: LSTM, densor: Dense, *sizes: int, n_values: int | None = None, n_a: int | None = None, Ty: int = 100
) -> InferenceModel:
    """Make the writing model: (LSTM_cell, densor, Ty) or, in the older edition, (LSTM_cell, densor, n_values, n_a, Ty).

    Parameters
    ----------
    LSTM_cell, densor : the shared layers
    *sizes : Ty, or n_values and n_a, or n_values, n_a and Ty
    n_values, n_a : int, optional, the layers' sizes, which the older edition also passes
    Ty : int, default 100, number of values to write

    Returns
    -------
    InferenceModel

    Raises
    ------
    NumpyrnnError
        if the layers or the sizes do not fit each other
    """
    if len(sizes) > 3:
        raise NumpyrnnError(f"music_inference_model takes Ty, or n_values, n_a, Ty after its layers; got {sizes!r}")
    if len(sizes) == 1:
        (Ty,) = sizes
    elif sizes:
        n_values, n_a, Ty = (*sizes, Ty)[:3]
    model = InferenceModel(LSTM_cell, densor, Ty)
    _check_sizes(LSTM_cell, n_a, n_values)
    return model


def predict_and_sample(
    inference_model: InferenceModel,
    x_initializer: Array | None = None,
    a_initializer: Array | None = None,
    c_initializer: Array | None = None,
) -> tuple[Array, Array]:
    """Write values; each step's most probable value is the next input.

    Parameters
    ----------
    inference_model : InferenceModel
    x_initializer : (1, 1, n_values), default zeros
    a_initializer, c_initializer : (1, n_a), default zeros

    Returns
    -------
    results : (Ty, n_values) float32, one-hot
    indices : (Ty, 1) integers
    """
    given = x_initializer, a_initializer, c_initializer
    inputs = [zero if array is None else array for array, zero in zip(given, inference_model.zeros(), strict=True)]
    indices, _ = inference_model.write(inputs, Sampler(0, temperature=0))
    return np.eye(inference_model.n_values, dtype=np.float32)[indices[:, 0]], indices


def _copies(LSTM_cell: LSTM, densor: Dense) -> Sequential:
    """Make a network from copies of the shared layers."""
    return Sequential(LSTM_cell.copy(), densor.copy())


def _check_layers(LSTM_cell: LSTM, densor: Dense) -> None:
    if not isinstance(LSTM_cell, LSTM) or not isinstance(densor, Dense):
        raise NumpyrnnError(f"a model needs an LSTM and a Dense layer, got {LSTM_cell!r} and {densor!r}")
    if (densor.input_size, densor.output_size) != (LSTM_cell.hidden_size, LSTM_cell.input_size):
        raise NumpyrnnError(f"densor must map the units of {LSTM_cell!r} to its inputs, got {densor!r}")


def _ids(name: str, one_hot: Array) -> Array:
    """Convert one-hot rows to ids; a row of zeros gives -1."""
    if not ((one_hot == 0) | (one_hot == 1)).all() or (one_hot.sum(axis=-1) > 1).any():
        raise NumpyrnnError(f"{name} must be one-hot or zero along its last axis, it is not")
    return np.where(one_hot.any(axis=-1), one_hot.argmax(axis=-1), -1)


def _check_sizes(LSTM_cell: LSTM, n_a: int | None, n_values: int | None) -> None:
    """Raise if a given size is not that of the layer."""
    for name, given, real in (("n_a", n_a, LSTM_cell.hidden_size), ("n_values", n_values, LSTM_cell.input_size)):
        if given is not None and given != real:
            raise NumpyrnnError(f"{name} must be that of the layers, {real}, got {given!r}")
