"""Layers that look back over a fixed reach: causal convolutions and the WaveNet's gated residual blocks.

The state of a convolution is the part of its past inputs that later steps still need, (N, reach, D), the oldest first.
Reading a text in pieces, or step by step, therefore gives the same numbers as one pass over the whole, and computes
nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from . import products
from .checks import Array, NumpyrnnError, as_rng, check_count, check_numbers, is_integer
from .layer import FARTHEST, Drawn, Gradients, Grads, Layer, Padding, Pass, Seed, float_dtype, glorot
from .parameters import Parameters
from .sequential import Container


class Convolution(Layer, abstract=True):
    """The base of the layers with a causal convolution.

        z_t[g] = b[g] + sum over k of x_{t - (K - 1 - k) dilation} W[k, g]

    Time is the first axis, so the inputs of one tap of the kernel, x[:T - back], are contiguous for any dilation. Each
    tap is a product with a view of x; no patches are copied, as im2col would.

    Attributes
    ----------
    gates : int, the number of convolutions side by side
    """

    gates: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        output_size: int,
        kernel_size: int,
        dilation: int = 1,
        dtype: Any = np.float32,
        rng: Seed = None,
    ):
        self.input_size = check_count("input_size", input_size)
        self.output_size = check_count("output_size", output_size)
        self.kernel_size, self.dilation = (
            check_count("kernel_size", kernel_size),
            check_count("dilation", dilation, 1, FARTHEST),
        )
        self.params = Parameters(self.shapes(), float_dtype(dtype))
        K, _, D, C = shape = self.params["W"].shape
        self.params["W"] = glorot(as_rng(rng), K * D, K * C, shape)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters, in their order."""
        G, D, C = self.gates, self.input_size, self.output_size
        return {"W": (self.kernel_size, G, D, C), "b": (G, C)}

    @property
    def reach(self) -> int:
        """The number of earlier steps that y depends on."""
        return (self.kernel_size - 1) * self.dilation

    def _taps(self, x: Array, past: Array | None) -> Iterator[tuple[int, Array, slice]]:
        """Yield for each tap but the last: its number, the inputs it sees, and the output steps they affect."""
        for k in range(self.kernel_size - 1):
            back = self.reach - k * self.dilation
            if past is not None:
                first, n = self.reach - back, min(back, len(x))
                yield k, past[first : first + n], slice(0, n)
            if back < len(x):
                yield k, x[: len(x) - back], slice(back, len(x))

    def _convolve(self, x: Array, past: Array | None) -> Array:
        """Convolve all steps at once: (G, T, N, C)."""
        W, b = self.params["W"], self.params["b"]
        z = np.empty((len(b), *x.shape[:2], b.shape[1]), W.dtype)
        products.project(x, W[-1], b, out=z)
        for k, seen, steps in self._taps(x, past):
            z_k = z[:, steps]
            z_k += np.matmul(seen.reshape(-1, self.input_size), W[k]).reshape(z_k.shape)
        return z

    def _convolve_back(self, dz: Array, x: Array, past: Array | None, grads: Grads) -> tuple[Array, Array | None]:
        """Return the gradients of x and of the past; write those of W and b."""
        W, dW = self.params["W"], grads["W"]
        dx = products.project_backward(x, dz, W[-1], dW[-1])
        assert dx is not None
        dpast = None if past is None else np.zeros(past.shape, dx.dtype)
        dW[:-1] = 0
        for (k, seen, steps), (_, dseen, _) in zip(self._taps(x, past), self._taps(dx, dpast), strict=True):
            dW_k = np.empty_like(W[k])
            dseen += products.project_backward(seen, dz[:, steps], W[k], dW_k)
            dW[k] += dW_k
        grads["b"][...] = products.column_sums(dz.reshape(len(dz), -1, dz.shape[-1]))
        return dx, dpast

    def check_input(self, x: Array) -> Array:
        """Accept only floating numbers."""
        if is_integer(x) and x.ndim == 2:
            raise NumpyrnnError(f"x of {self!r} must be floating (T, N, D), got ids: put an Embedding before it")
        return super().check_input(x)

    def check_state(self, name: str, state: Any, N: int) -> Any:
        """Check the past and put time first, (reach, N, D); None stays None and means zeros."""
        if state is None:
            return None
        past = check_numbers(f"{name} of {self!r}", state, self.dtype, (N, self.reach, self.input_size))
        return np.ascontiguousarray(past.transpose(1, 0, 2))

    def _places(self, padding: Padding) -> tuple[Array, Array]:
        """Indices of the last `reach` real inputs of each sequence in [past; x]."""
        return padding.lengths + np.arange(self.reach)[:, None], np.arange(padding.N)

    def _end_state(self, x: Array, past: Array | None, padding: Padding) -> Array:
        """The inputs that the next pass needs, (N, reach, D)."""
        T, N, D = x.shape
        if padding.full and self.reach <= T:
            return x[T - self.reach :].transpose(1, 0, 2).copy()
        before = np.zeros((self.reach, N, D), x.dtype) if past is None else past
        return np.concatenate([before, x])[self._places(padding)].transpose(1, 0, 2)

    def _add_end(self, dend: Array | None, dx: Array, dpast: Array | None, padding: Padding) -> Array | None:
        """Add the gradient of the end state to dx and dpast; return that of the initial state."""
        if dend is not None:
            dwhole = np.zeros((self.reach + len(dx), *dx.shape[1:]), dx.dtype)
            dwhole[self._places(padding)] = dend
            dx += dwhole[self.reach :]
            if dpast is not None:
                dpast += dwhole[: self.reach]
        return None if dpast is None else dpast.transpose(1, 0, 2)


class CausalConv1D(Convolution):
    """Dilated convolution that never looks ahead (van den Oord et al. 2016).

        y_t = b + sum over k of x_{t - (K - 1 - k) dilation} W[k],    zeros before the first step

    Parameters
    ----------
    input_size, output_size : int, D and C
    kernel_size : int, K
    dilation : int, default 1, steps between the taps
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights (Glorot uniform; the bias starts at zero)

    Attributes
    ----------
    params : W (K, 1, D, C), whose last tap is the present step; b (1, C)
    reach : int, (K - 1) dilation

    Notes
    -----
    The state is the last `reach` inputs, (N, reach, D). `backward` returns the gradient of the initial state only if
    `forward` was given one.
    """

    sizes = ("input_size", "output_size", "kernel_size", "dilation")

    def run(self, x: Array, past: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Convolve every step."""
        (y,) = self._convolve(x, past)
        return padding.masked(y), self._end_state(x, past, padding), (x, past)

    def run_back(self, dy: Array, kept: Any, dend: Any, grads: Grads, padding: Padding) -> Gradients:
        """Return the gradients of x and of the state; write those of W and b."""
        x, past = kept
        dx, dpast = self._convolve_back(padding.masked(dy)[None], x, past, grads)
        return dx, self._add_end(dend, dx, dpast, padding)


class GatedBlock(Convolution):
    """The WaveNet's gated residual block (van den Oord et al. 2016, sections 2.3 and 2.4).

        u      = tanh(conv(x; W[:, 0]) + b[0]) sigmoid(conv(x; W[:, 1]) + b[1])
        y      = [x + u Wr + br,  u Ws + bs]        Wo = [Wr, Ws], bo = [br, bs]

    Parameters
    ----------
    input_size : int, C: features of x and of the residual connection
    skip_size : int, S: features of the skip connection
    kernel_size : int, default 2
    dilation : int, default 1
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights (Glorot uniform; biases start at zero)

    Attributes
    ----------
    params : W (K, 2, C, C), b (2, C), Wo (C, C + S), bo (C + S,)
    output_size : int, C + S: residual and skip connection side by side
    """

    sizes = ("input_size", "skip_size", "kernel_size", "dilation")

    gates = 2

    def __init__(
        self,
        input_size: int,
        skip_size: int,
        kernel_size: int = 2,
        dilation: int = 1,
        dtype: Any = np.float32,
        rng: Seed = None,
    ):
        self.skip_size, rng = check_count("skip_size", skip_size), as_rng(rng)
        super().__init__(input_size, input_size, kernel_size, dilation, dtype, rng)
        self.output_size += self.skip_size
        self.params["Wo"] = glorot(rng, self.input_size, self.output_size)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the convolution's parameters, and of the map to both outputs."""
        C, S = self.input_size, self.skip_size
        return super().shapes() | {"Wo": (C, C + S), "bo": (C + S,)}

    def run(self, x: Array, past: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Convolve, gate, map to both outputs, and add x to the residual one."""
        gates = self._convolve(x, past)
        filtered, gate = gates
        gate *= 0.5  # sigmoid(z) = tanh(z / 2) / 2 + 1/2: one tanh for both
        np.tanh(gates, out=gates)
        gate *= 0.5
        gate += 0.5
        u = filtered * gate
        y = u @ self.params["Wo"]
        y += self.params["bo"]
        y[..., : self.input_size] += x
        return padding.masked(y), self._end_state(x, past, padding), (x, past, gates, u)

    def run_back(self, dy: Array, kept: Any, dend: Any, grads: Grads, padding: Padding) -> Gradients:
        """Return the gradients of x and of the state; write those of the parameters."""
        x, past, gates, u = kept
        dy = padding.masked(dy)
        dy_rows, (filtered, gate) = dy.reshape(-1, self.output_size), gates
        grads["bo"][...] = products.column_sums(dy_rows)
        np.matmul(u.reshape(len(dy_rows), -1).T, dy_rows, out=grads["Wo"])
        du = dy @ self.params["Wo"].T
        dz = np.empty_like(gates)
        np.multiply(du * gate, 1 - filtered * filtered, out=dz[0])
        np.multiply(du * filtered, gate - gate * gate, out=dz[1])
        dx, dpast = self._convolve_back(dz, x, past, grads)
        dx += dy[..., : self.input_size]
        return dx, self._add_end(dend, dx, dpast, padding)


class GatedStack(Container):
    """The WaveNet's stack: gated residual blocks of growing dilation, with their skip connections summed.

        [x_1, s_1] = block_1(x),  [x_2, s_2] = block_2(x_1),  ...        y = s_1 + s_2 + ...

    The last block's residual output is not used, as in the paper.

    Parameters
    ----------
    input_size, skip_size : int, C and S
    kernel_size : int, default 2
    dilations : sequence of int, default 1, 2, 4, 8, 16
    dtype : default float32
    rng : numpy Generator or int seed, for the initial weights

    Attributes
    ----------
    layers : list of GatedBlock
    params : Parameters, named by block number and the block's own name, such as "0.Wo"
    output_size : int, S
    reach : int, the number of earlier steps that y depends on
    """

    sizes = ("input_size", "skip_size", "kernel_size", "dilations")

    def __init__(
        self,
        input_size: int,
        skip_size: int,
        kernel_size: int = 2,
        dilations: Sequence[int] = (1, 2, 4, 8, 16),
        dtype: Any = np.float32,
        rng: Seed = None,
    ):
        if not isinstance(dilations, list | tuple) or not dilations:
            raise NumpyrnnError(f"dilations must be a list of one or more whole numbers, got {dilations!r}")
        rng = as_rng(rng)
        blocks = [GatedBlock(input_size, skip_size, kernel_size, dilation, dtype, rng) for dilation in dilations]
        self.input_size, self.skip_size = blocks[0].input_size, blocks[0].skip_size
        self.output_size, self.kernel_size = self.skip_size, blocks[0].kernel_size
        self.dilations = tuple(block.dilation for block in blocks)
        self.reach = sum(block.reach for block in blocks)
        self._hold(list(blocks))

    def run(self, x: Array, state: Any, padding: Padding, drawn: Drawn | None, cache: bool) -> Pass:
        """Run all blocks in turn."""
        C, states, caches = self.input_size, [], []
        skips = np.zeros((*x.shape[:2], self.skip_size), self.dtype)
        for block, block_state in zip(self.layers, state, strict=True):
            y, block_state, block_cache = block.forward(x, block_state, padding, None, cache)
            x = y[..., :C]
            skips += y[..., C:]
            states.append(block_state)
            caches.append(block_cache)
        return skips, tuple(states), caches

    def run_back(self, dy: Array, kept: Any, dstate: Any, grads: Grads, padding: Padding) -> Gradients:
        """Run back through all blocks, the last one first."""
        dstates, parts = list(dstate), self._grads_by_layer(grads)
        dboth = np.concatenate([np.zeros((*dy.shape[:2], self.input_size), dy.dtype), dy], axis=2)
        for i in reversed(range(len(self.layers))):
            dx, dstates[i], _ = self.layers[i].backward(dboth, kept[i], dstates[i], parts[i])
            dboth[..., : self.input_size] = dx
        return dx, tuple(dstates)
