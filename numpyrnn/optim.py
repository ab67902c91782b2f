"""Clipping and optimisers. An optimiser is one formula and its state, over one flat buffer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checks import Array, NumpyrnnError, check_count, check_finite, check_range, check_shape, check_share

MOST_UPDATES = 1 << 53  # which a float still counts exactly
SCHEDULES: dict[str, Callable[[float], float]] = {  # factors of the learning rate, by the share of the epochs done
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + np.cos(np.pi * progress)) / 2,
}


def clip_by_value(grad: Array, limit: float) -> None:
    """Clip every element to [-limit, limit], in place.

    Parameters
    ----------
    grad : array of any shape (a model's gradients: `grads.flat`)
    limit : float, above 0

    Raises
    ------
    NumpyrnnError
        if an element is NaN or infinite (nothing is changed then), or `limit` is not above 0
    """
    check_range("limit", limit, 0, open_low=True)
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.vdot(grad, grad)
    if not np.isfinite(total):  # the quick check fails too if the squares are too large
        check_finite("grad", grad)
    np.clip(grad, -limit, limit, out=grad)


def clip_by_norm(grad: Array, limit: float) -> float:
    """Scale `grad` in place so that its Euclidean norm is at most `limit` (Pascanu et al. 2013).

    Parameters
    ----------
    grad : array of any shape (a model's gradients: `grads.flat`)
    limit : float, above 0

    Returns
    -------
    float, the norm before scaling

    Raises
    ------
    NumpyrnnError
        if an element is NaN or infinite (nothing is changed then), or `limit` is not above 0
    """
    check_range("limit", limit, 0, open_low=True)
    with np.errstate(over="ignore"):
        norm = float(np.linalg.norm(grad))
    if not np.isfinite(norm):
        check_finite("grad", grad)
        largest = np.abs(grad).max()  # its square is too large for this dtype
        norm = float(largest) * float(np.linalg.norm(grad / largest))
    if norm > limit:
        grad *= limit / norm
    return norm


class Optimizer:
    """The base of all optimisers. A subclass defines `slots`, `step` and, if it has more settings, `__init__`.

    It may also define `squares`, those of the slots that are never negative; a state that is loaded is then checked.

    Parameters
    ----------
    learning_rate : float, above 0
        It may be changed between updates.
    decay : float, default 0
        The rate at update t = 0, 1, 2, ... is learning_rate / (1 + decay t), the schedule of the course.

    Attributes
    ----------
    t : int, number of updates so far
    state : dict of arrays of the size of the buffer, with the names in `slots`; zeros before the first update
    settings : dict of all other attributes that are a number, bool, string or None
        `Trainer.restore` compares them. Names that begin with _ are left out.

    Examples
    --------
    >>> class Lion(Optimizer):  # Chen et al. 2023
    ...     slots = ("m",)
    ...
    ...     def __init__(self, learning_rate=1e-4, beta1=0.9, beta2=0.99):
    ...         super().__init__(learning_rate)
    ...         self.beta1, self.beta2 = beta1, beta2
    ...
    ...     def step(self, params, grad, rate):
    ...         m = self.state["m"]
    ...         params -= rate * np.sign(self.beta1 * m + (1 - self.beta1) * grad)
    ...         m *= self.beta2
    ...         m += (1 - self.beta2) * grad
    """

    slots: tuple[str, ...] = ()
    squares: tuple[str, ...] = ()

    def __init__(self, learning_rate: float, decay: float = 0.0):
        check_range("learning_rate", learning_rate, 0, open_low=True)
        check_range("decay", decay, 0)
        self.learning_rate, self.decay = learning_rate, decay
        self.t, self.state = 0, dict[str, Array]()

    @property
    def settings(self) -> dict[str, Any]:
        """All attributes that are single values, except `t` and private ones, in values that JSON can hold."""
        single = (bool, int, float, str, np.bool_, np.number, type(None))
        own = {name: value for name, value in vars(self).items() if isinstance(value, single)}
        return {name: np.asarray(value).item() for name, value in own.items() if name != "t" and name[0] != "_"}

    def update(self, params: Array, grad: Array, factor: float = 1.0) -> None:
        """Change `params` in place by one step against `grad`.

        Parameters
        ----------
        params, grad : arrays of one shape and dtype (a model's `params.flat` and `grads.flat`)
        factor : float, default 1, by which the learning rate is multiplied (a schedule)

        Raises
        ------
        NumpyrnnError
            if the shapes differ, or a gradient is NaN or infinite (nothing is changed then)
        """
        check_shape("grad", grad, params.shape)
        check_finite("grad", grad)
        if not self.state:
            self.state = {name: np.zeros_like(params) for name in self.slots}
        for name, array in self.state.items():
            check_shape(f"params, as in the first update ({name}),", params, array.shape)
        self.step(params, grad, self.learning_rate * factor / (1 + self.decay * self.t))
        self.t += 1

    def step(self, params: Array, grad: Array, rate: float) -> None:
        """Apply the formula: change `params` and `state` in place, and do not write to `grad`."""
        raise NotImplementedError

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        vars(self).update(attributes)
        self.load(self.t, self.state)  # a copy, even a shallow or a memory-mapped one, has arrays of its own

    def load(self, t: int, state: dict[str, Array]) -> None:
        """Continue where another optimiser of the same class stopped.

        Parameters
        ----------
        t : int
        state : dict with the names in `slots`; empty if there was no update yet

        Raises
        ------
        NumpyrnnError
            if the names are not those in `slots`, or `t` or an array is not what it can be; nothing is changed then
        """
        self.check_state(t, state)
        self.t, self.state = int(t), {name: np.array(array) for name, array in state.items()}

    def check_state(self, t: int, state: dict[str, Array]) -> None:
        """Raise unless `load` can take these."""
        check_count("t", t, 0, MOST_UPDATES)
        if (state or t) and set(state) != set(self.slots):
            raise NumpyrnnError(f"{type(self).__name__} needs the state {self.slots}, got {tuple(state)!s:.80}")
        for name, array in state.items():
            check_finite(name, array)
            if name in self.squares and array.size and array.min() < 0:
                raise NumpyrnnError(f"{name} of {type(self).__name__} must hold squares, got {array.min()}")


class SGD(Optimizer):
    """Gradient descent, with classical momentum (Polyak 1964).

        v = momentum v + grad,      params -= rate v

    Parameters
    ----------
    learning_rate : float, default 0.01
    momentum : float, default 0
    decay : float, default 0
    """

    slots: tuple[str, ...] = ("v",)

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.0, decay: float = 0.0):
        super().__init__(learning_rate, decay)
        check_range("momentum", momentum, 0, 1)
        self.momentum, self.slots = momentum, ("v",) if momentum else ()

    def step(self, params: Array, grad: Array, rate: float) -> None:
        """Apply the formula."""
        if self.momentum:
            v = self.state["v"]
            v *= self.momentum
            v += grad
            grad = v
        params -= rate * grad


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012).

        s = rho s + (1 - rho) grad^2,       params -= rate grad / (sqrt(s) + epsilon)

    Parameters
    ----------
    learning_rate : float, default 0.001
    rho : float, default 0.9
    epsilon : float, default 1e-7
    decay : float, default 0
    """

    slots = squares = ("s",)

    def __init__(self, learning_rate: float = 0.001, rho: float = 0.9, epsilon: float = 1e-7, decay: float = 0.0):
        super().__init__(learning_rate, decay)
        check_range("rho", rho, 0, 1)
        check_range("epsilon", epsilon, 0)
        self.rho, self.epsilon = rho, epsilon

    def step(self, params: Array, grad: Array, rate: float) -> None:
        """Apply the formula."""
        s = self.state["s"]
        s *= self.rho
        s += (1 - self.rho) * grad * grad
        params -= rate * grad / (np.sqrt(s) + self.epsilon)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), with the bias corrections folded into the rate (section 2 of the paper).

        m = beta1 m + (1 - beta1) grad
        v = beta2 v + (1 - beta2) grad^2
        params -= rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)        t = 1, 2, ...

    Parameters
    ----------
    learning_rate : float, default 0.001
    beta1, beta2 : float, default 0.9, 0.999
    epsilon : float, default 1e-7
    decay : float, default 0
    weight_decay : float, default 0
        Decoupled weight decay (Loshchilov and Hutter 2019): params -= rate weight_decay params before the step.
    """

    slots, squares = ("m", "v"), ("v",)

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-7,
        decay: float = 0.0,
        weight_decay: float = 0.0,
    ):
        super().__init__(learning_rate, decay)
        check_share("beta1", beta1)
        check_share("beta2", beta2)
        check_range("epsilon", epsilon, 0)
        check_range("weight_decay", weight_decay, 0)
        self.beta1, self.beta2, self.epsilon, self.weight_decay = beta1, beta2, epsilon, weight_decay

    def step(self, params: Array, grad: Array, rate: float) -> None:
        """Apply the formula."""
        m, v, t = self.state["m"], self.state["v"], self.t + 1
        if self.weight_decay:
            params *= 1 - rate * self.weight_decay
        m *= self.beta1
        m += (1 - self.beta1) * grad
        change = grad * grad
        change *= 1 - self.beta2
        v *= self.beta2
        v += change
        np.sqrt(v, out=change)
        change += self.epsilon
        np.divide(m, change, out=change)
        change *= rate * np.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        params -= change
