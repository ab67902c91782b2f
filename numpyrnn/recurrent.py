"""The recurrent layers RNN, LSTM and GRU: checks, padding and the lean pass around the kernels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from . import kernels as plain
from .backend import kernels
from .checks import Array, NumpyrnnError, as_array, check_finite, check_shape, check_share, is_integer
from .layer import (
    Back,
    Grads,
    Layer,
    Lengths,
    Pass,
    Rng,
    Seed,
    as_size,
    check_cache,
    check_grads,
    check_input,
    check_lengths,
    falling,
    float_dtype,
    glorot,
    keep_mask,
    orthogonal,
)
from .parameters import Parameters
from .threads import parts_of, run_all, threads_for

LEAN_STEPS = 32  # how many steps the pass without cache takes at a time


class Recurrent(Layer):
    """What RNN, LSTM and GRU share: checks, padding and the lean pass. The kernels do the work.

    Parameters
    ----------
    input_size, hidden_size : int, D and H
    dtype : default float32
    rng : numpy Generator or int seed; None draws a fresh seed
        For the initial weights: Wx Glorot uniform, Wh orthogonal, biases zero.
    weight_dropout : float, default 0
        Share of Wh that is dropped in a training pass, one mask a pass (Wan et al. 2013; Merity et al. 2018).
    """

    sizes: ClassVar[tuple[str, ...]] = ("input_size", "hidden_size", "weight_dropout")
    gates: ClassVar[int]
    n_states: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        dtype: Any = np.float32,
        rng: Seed = None,
        weight_dropout: float = 0.0,
    ):
        check_share("weight_dropout", weight_dropout)
        self.weight_dropout = float(weight_dropout)
        self.input_size, self.hidden_size = as_size("input_size", input_size), as_size("hidden_size", hidden_size)
        self.params = Parameters(self._shapes(), float_dtype(dtype))
        rng = np.random.default_rng(rng)
        for Wx, Wh in zip(self._by_gate("Wx"), self._by_gate("Wh"), strict=True):
            Wx[...] = glorot(rng, self.input_size, self.hidden_size)
            Wh[...] = orthogonal(rng, self.hidden_size)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        G, D, H = self.gates, self.input_size, self.hidden_size
        return {"Wx": (G, D, H), "Wh": (G, H, H), "b": (G, H)}

    def _by_gate(self, name: str) -> Array:
        """The parameter with the gates' axis first, also where there is only one gate and no such axis."""
        return self.params[name].reshape(self.gates, -1, self.hidden_size)

    def _kernels(self) -> Any:
        """The module that does the work; complex weights, of gradient checks only, are left to the plain one."""
        return plain if self.dtype.kind == "c" else kernels()

    def _run(self, x: Array, state: Any, Wh: Array, active: list[int] | None) -> tuple[tuple[Array, ...], Any]:
        """The kernel forward: the states (each (T + 1, N, H), h first) and its cache."""
        raise NotImplementedError

    def _run_back(
        self, dy: Array, dstate: tuple[Array, ...], cache: Any, grads: Grads, need_dx: bool
    ) -> tuple[Array | None, tuple[Array, ...]]:
        """The kernel backward: dx and the gradients of the initial states."""
        raise NotImplementedError

    def forward(
        self, x: Array, state: Any = None, lengths: Lengths = None, rng: Rng = None, cache: bool = True
    ) -> Pass:
        """Run the sequence; see `numpyrnn.layer`."""
        x = check_input(x, self.input_size, self.dtype, lengths)
        T, N = x.shape[:2]
        states = self._check_states("state", state, N)
        order, lengths = None, check_lengths(lengths, T, N)
        if lengths is not None:
            order = falling(lengths)
            x, lengths = x[:, order], lengths[order]
            states = tuple(s[order] for s in states)
        Wh, mask = self.params["Wh"], None
        if rng is not None and self.weight_dropout:
            mask = keep_mask(np.random.default_rng(rng), Wh.shape, self.weight_dropout, self.dtype)
            Wh = Wh * mask
        with threads_for(self._flops(T, N), N) as n:
            if cache:
                y, ends, caches = self._shared(x, states, Wh, lengths, n)
            else:
                caches, ends, pieces = None, states, []
                for t in range(0, T, LEAN_STEPS):
                    left = None if lengths is None else np.clip(lengths - t, 0, None)
                    piece, ends = self._piece(x[t : t + LEAN_STEPS], ends, Wh, left)[:2]  # no cache outlives its piece
                    pieces.append(piece)
                y = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        if order is not None:
            back = np.argsort(order)
            y, ends = y[:, back], tuple(s[back] for s in ends)
        y.flags.writeable = not cache  # what the cache holds must not change
        return y, self._pack(ends), (order, mask, caches) if cache else None

    def _shared(
        self, x: Array, states: Any, Wh: Array, lengths: Array | None, n: int
    ) -> tuple[Array, tuple[Array, ...], list[Any]]:
        """`_piece`, by `n` threads, each with some of the sequences; and the list of their caches."""
        if n == 1:
            y, ends, cache = self._piece(x, states, Wh, lengths)
            return y, ends, [cache]

        def piece(part: slice) -> Any:
            left = None if lengths is None else lengths[part]
            return self._piece(np.ascontiguousarray(x[:, part]), tuple(s[part] for s in states), Wh, left)

        ys, ends, caches = zip(*run_all([partial(piece, part) for part in parts_of(n)]), strict=True)
        return _together(ys, 1), tuple(_together(end, 0) for end in zip(*ends, strict=True)), list(caches)

    def _piece(self, x: Array, states: Any, Wh: Array, lengths: Array | None) -> tuple[Array, tuple[Array, ...], Any]:
        """Run the kernel over x: y, the states at each sequence's last step, and the kernel's cache."""
        T, N = x.shape[:2]
        if lengths is None:
            sequences, cache = self._run(x, states, Wh, None)
            return sequences[0][1:], tuple(s[-1].copy() for s in sequences), cache
        active = (lengths > np.arange(T)[:, None]).sum(axis=1).tolist()
        sequences, cache = self._run(x, states, Wh, active)
        return sequences[0][1:], tuple(s[lengths.clip(max=T), np.arange(N)] for s in sequences), cache

    def backward(self, dy: Array, cache: Any, dstate: Any = None, grads: Grads | None = None) -> Back:
        """Backpropagate through time; see `numpyrnn.layer`."""
        order, mask, caches = check_cache(cache)
        T, N = caches[0][0].shape[0], sum(part_cache[0].shape[1] for part_cache in caches)
        dy = as_array("dy", dy, self.dtype)
        check_shape("dy", dy, (T, N, self.hidden_size))
        dstates = self._check_states("dstate", dstate, N)
        if order is not None:
            dy, dstates = dy[:, order], tuple(d[order] for d in dstates)
        grads = check_grads(grads, self.params)
        with threads_for(self._flops(T, N), N):
            dx, dinitial = self._shared_back(dy, dstates, caches, grads, not is_integer(caches[0][0]))
        if mask is not None:
            grads["Wh"] *= mask
        if order is not None:
            back = np.argsort(order)
            dx, dinitial = None if dx is None else dx[:, back], tuple(d[back] for d in dinitial)
        return dx, self._pack(dinitial), grads

    def _shared_back(
        self, dy: Array, dstates: tuple[Array, ...], caches: list[Any], grads: Grads, need_dx: bool
    ) -> tuple[Array | None, tuple[Array, ...]]:
        """`_run_back`, by the threads that `_shared` had; their gradients are added in their order."""
        if len(caches) == 1:
            return self._run_back(dy, dstates, caches[0], grads, need_dx)

        def back(part: slice, cache: Any, part_grads: Grads) -> Any:
            return self._run_back(dy[:, part], tuple(d[part] for d in dstates), cache, part_grads, need_dx)

        more = [self.params.zeros_like() for _ in caches[1:]]
        tasks = [partial(back, *task) for task in zip(parts_of(len(caches)), caches, [grads, *more], strict=True)]
        dxs, dinitial = zip(*run_all(tasks), strict=True)
        for part_grads in more:
            for name, gradient in part_grads.items():
                grads[name] += gradient
        return _together(dxs, 1) if need_dx else None, tuple(_together(d, 0) for d in zip(*dinitial, strict=True))

    def _flops(self, T: int, N: int) -> float:
        """Operations of the products of a forward pass."""
        return 2.0 * self.params.flat.size * T * N

    def _check_states(self, name: str, state: Any, N: int) -> tuple[Array, ...]:
        if state is None:
            return tuple(np.zeros((N, self.hidden_size), self.dtype) for _ in range(self.n_states))
        states = state if self.n_states > 1 else (state,)
        if not isinstance(states, tuple | list) or len(states) != self.n_states:
            came = f"{len(states)} entries" if isinstance(states, tuple | list) else type(state).__name__
            raise NumpyrnnError(f"{name} of {self!r} must be a tuple (h, c), got {came}")
        arrays = tuple(as_array(name, s, self.dtype) for s in states)
        for array in arrays:
            check_shape(f"{name} of {self!r}", array, (N, self.hidden_size))
            check_finite(name, array)
        return arrays

    def _pack(self, states: tuple[Array, ...]) -> Any:
        return states if self.n_states > 1 else states[0]


def _together(arrays: Sequence[Array], axis: int) -> Array:
    """Undo `parts_of` along an axis."""
    shape = list(arrays[0].shape)
    shape[axis] = sum(array.shape[axis] for array in arrays)
    whole = np.empty(shape, arrays[0].dtype)
    for part, array in zip(parts_of(len(arrays)), arrays, strict=True):
        whole[(slice(None),) * axis + (part,)] = array
    return whole


class RNN(Recurrent):
    """Tanh RNN (Elman 1990): h_t = tanh(x_t Wx + h_{t-1} Wh + b).

    Parameters
    ----------
    input_size, hidden_size : int, D and H
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights
    weight_dropout : float, default 0, of Wh in training passes

    Attributes
    ----------
    params : Wx (D, H), Wh (H, H), b (H,)

    Notes
    -----
    The state is `h` (N, H). Beside `x` and `dy`, a step of a training pass keeps N H numbers, `y`
    among them, and takes 2 N H + N D at the peak, on the way back, with `dx`: 8 N H + 4 N D bytes in float32, twice
    that in float64. Pieces of a text, with the state carried, take what the longest piece takes.
    """

    gates = 1

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: shape[1:] for name, shape in super()._shapes().items()}

    def _run(self, x: Array, state: Any, Wh: Array, active: list[int] | None) -> tuple[tuple[Array, ...], Any]:
        p = self.params
        h, cache = self._kernels().rnn_forward(x, state[0], p["Wx"], Wh, p["b"], active)
        return (h,), cache

    def _run_back(
        self, dy: Array, dstate: tuple[Array, ...], cache: Any, grads: Grads, need_dx: bool
    ) -> tuple[Array | None, tuple[Array, ...]]:
        dx, dh = self._kernels().rnn_backward(dy, dstate[0], cache, grads, need_dx)
        return dx, (dh,)


class LSTM(Recurrent):
    """LSTM (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

        o, i, f = sigmoid(x_t Wx[k] + h_{t-1} Wh[k] + b[k]),  g = tanh(x_t Wx[3] + h_{t-1} Wh[3] + b[3])
        c_t = i g + f c_{t-1},  h_t = o tanh(c_t)

    Parameters
    ----------
    input_size, hidden_size : int, D and H
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights; the forget gate's bias starts at one
    weight_dropout : float, default 0, of Wh in training passes
    hard_sigmoid : bool, default False; min(max(z / 5 + 1/2, 0), 1) in place of the sigmoids, as Keras 2 has it

    Attributes
    ----------
    params : Wx (4, D, H), Wh (4, H, H), b (4, H); gates in the order o, i, f, g (output, input, forget, candidate)

    Notes
    -----
    The state is `(h, c)`, each (N, H). Beside `x` and `dy`, a step of a training pass keeps 7 N H numbers, `y`
    among them, and takes 11 N H + 2 N D at the peak, on the way back, with `dx`: 44 N H + 8 N D bytes in float32, twice
    that in float64. Pieces of a text, with the state carried, take what the longest piece takes.
    """

    sizes = (*Recurrent.sizes, "hard_sigmoid")
    gates = 4
    n_states = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        dtype: Any = np.float32,
        rng: Seed = None,
        weight_dropout: float = 0.0,
        hard_sigmoid: bool = False,
    ):
        super().__init__(input_size, hidden_size, dtype, rng, weight_dropout)
        self.hard_sigmoid = bool(hard_sigmoid)
        self.params["b"][2] = 1

    def _kernels(self) -> Any:
        return plain if self.hard_sigmoid else super()._kernels()

    def _run(self, x: Array, state: Any, Wh: Array, active: list[int] | None) -> tuple[tuple[Array, ...], Any]:
        p = self.params
        h, c, cache = self._kernels().lstm_forward(
            x, state[0], state[1], p["Wx"], Wh, p["b"], active, self.hard_sigmoid
        )
        return (h, c), cache

    def _run_back(
        self, dy: Array, dstate: tuple[Array, ...], cache: Any, grads: Grads, need_dx: bool
    ) -> tuple[Array | None, tuple[Array, ...]]:
        dx, dh, dc = self._kernels().lstm_backward(dy, dstate[0], dstate[1], cache, grads, need_dx)
        return dx, (dh, dc)


class GRU(Recurrent):
    """GRU (Cho et al. 2014) with the reset gate after the product, as in PyTorch and cuDNN.

        r, z = sigmoid(x_t Wx[k] + h_{t-1} Wh[k] + b[k])
        n    = tanh(x_t Wx[2] + b[2] + r (h_{t-1} Wh[2] + bh))
        h_t  = (1 - z) n + z h_{t-1}

    Parameters
    ----------
    input_size, hidden_size : int, D and H
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights
    weight_dropout : float, default 0, of Wh in training passes

    Attributes
    ----------
    params : Wx (3, D, H), Wh (3, H, H), b (3, H), bh (H,); gates in the order r, z, n (reset, update, candidate)

    Notes
    -----
    The state is `h` (N, H). Beside `x` and `dy`, a step of a training pass keeps 5 N H numbers, `y`
    among them, and takes 9 N H + 2 N D at the peak, on the way back, with `dx`: 36 N H + 8 N D bytes in float32, twice
    that in float64. Pieces of a text, with the state carried, take what the longest piece takes.
    """

    gates = 3

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {**super()._shapes(), "bh": (self.hidden_size,)}

    def _run(self, x: Array, state: Any, Wh: Array, active: list[int] | None) -> tuple[tuple[Array, ...], Any]:
        p = self.params
        h, cache = self._kernels().gru_forward(x, state[0], p["Wx"], Wh, p["b"], p["bh"], active)
        return (h,), cache

    def _run_back(
        self, dy: Array, dstate: tuple[Array, ...], cache: Any, grads: Grads, need_dx: bool
    ) -> tuple[Array | None, tuple[Array, ...]]:
        dx, dh = self._kernels().gru_backward(dy, dstate[0], cache, grads, need_dx)
        return dx, (dh,)
