"""Training of an RNN on one name at a time, where the calls of the layers would be mostly overhead.

With one sequence and a few dozen units, a NumPy call costs as much as its arithmetic. So there are few, cheap calls:
buffers and their views are made once, SciPy's `gemv` writes in place, and [h; 1] is one row, so that a bias needs no
separate call. The tests compare the results with those of the layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numpyrnn import RNN, Dense, NumpyrnnError, Sequential, fast
from numpyrnn.checks import Array
from numpyrnn.parameters import Parameters
from numpyrnn.products import AS_IS, IN_PLACE, INCX, INCY, OFFX, OFFY, TRANSPOSED, blas

SAFE_EXPONENT = 60.0  # exp of it, and sums and products of a few such numbers, are finite in float32


class SingleRNN:
    """Loss and gradients of a tanh RNN with softmax outputs, for one sequence of integers at a time.

        h_t = tanh(x_t Wx + [h_{t-1}; 1] [Wh; b]),   loss = -sum over t of log softmax([h_t; 1] [W; b])[y_t]

    The model's flat buffer holds the bracketed matrices without copying: their rows follow one another.

    Parameters
    ----------
    model : Sequential(RNN(V, H), Dense(H, V)), float32 or float64
        Its parameters are used in place; `update` changes them.

    Attributes
    ----------
    grads : Parameters, the gradients from the last call
    h : (H,), the last hidden state of the last call

    Raises
    ------
    NumpyrnnError
        if the model has other layers or is not of real numbers
    """

    def __init__(self, model: Sequential):
        kinds = [type(layer) for layer in model.layers]
        if kinds != [RNN, Dense] or model.dtype.kind != "f":
            raise NumpyrnnError(f"SingleRNN needs Sequential(RNN, Dense) of real numbers, got {model!r}")
        self.params, self.grads = model.params, model.params.zeros_like()
        (self.V, self.H), (_, self.n_out) = model.params["0.Wx"].shape, model.params["1.W"].shape
        self.gemv, self.gemm, self.axpy, self.iamax = blas(model.dtype, "gemv", "gemm", "axpy", "iamax")
        self.Wx, self.Wh_b, self.W_b = self._fused(self.params)
        self.Wx_rows, self.Wh, self.W = self.Wx.T, self.Wh_b[:, :-1], self.W_b[:, :-1]
        self.dWx, self.dWh_b, self.dW_b = self._fused(self.grads)
        self.one_hot_in = np.eye(self.V + 1, self.V, dtype=model.dtype)  # row -1: zeros
        self.one_hot_out = np.eye(self.n_out, dtype=model.dtype)
        self.ones = np.ones(self.n_out, model.dtype)
        self.one, self.h = np.array(1, model.dtype), np.zeros(self.H, model.dtype)
        self._reserve(32)
        self._compiled: Any = None
        if fast.chosen():
            from .single_compiled import single_rnn  # late: it needs Numba

            self._compiled = single_rnn
        self._arrays = [p[name] for p in (self.params, self.grads) for name in ("0.Wx", "0.Wh", "0.b", "1.W", "1.b")]

    def _fused(self, params: Parameters) -> tuple[Array, Array, Array]:
        """View Wx, [Wh; b] and [W; b] in the flat buffer, transposed to BLAS's column-major order."""
        i, j = self.V * self.H, (self.V + self.H + 1) * self.H
        flat, H = params.flat, self.H
        return flat[:i].reshape(-1, H).T, flat[i:j].reshape(-1, H).T, flat[j:].reshape(-1, self.n_out).T

    def _reserve(self, steps: int) -> None:
        """Make buffers for sequences of up to `steps` steps."""
        H, dtype = self.H, self.params.flat.dtype
        self.h_1 = np.ones((steps + 1, H + 1), dtype)  # [h_t; 1], slot 0 is the initial state
        self.slope = np.ones((steps, H + 1), dtype)
        self.z, self.dh, self.dz = np.zeros((3, steps, H), dtype)
        self.logits, self.sums = np.zeros((steps, self.n_out), dtype), np.zeros(steps, dtype)
        self.views: dict[int, tuple[Any, ...]] = {}

    def _views(self, T: int) -> tuple[Any, ...]:
        """Make the views of the buffers for sequences of T steps."""
        if len(self.dh) < T:
            self._reserve(2 * T)
        h_1, slope, dh, dz, logits = self.h_1[1 : T + 1], self.slope[:T], self.dh[:T], self.dz[:T], self.logits[:T]
        h, sums = self.h_1[: T + 1, : self.H], self.sums[:T]
        forward = list(zip(self.h_1[:T], self.z[:T], h[1:]))
        backward = list(zip(dz[:0:-1], slope[:0:-1, : self.H], dh[:0:-1], dh[-2::-1]))
        last = (dz[0], slope[0, : self.H], dh[0])
        self.views[T] = (
            (h[0], self.z[0], self.z[:T], h[-1], forward),
            (h_1.T, logits, logits.T, logits.reshape(-1), sums, sums[:, None], np.ones(T, logits.dtype)),
            (dh.T, h_1, slope, backward, last, dz.T, self.h_1[:T].T),
        )
        return self.views[T]

    def __call__(self, ids: Array, targets: Array, h0: Array) -> float:
        """Compute the loss; the gradients go to `grads`, the last hidden state to `h`.

        Parameters
        ----------
        ids, targets : (T,) integers, not checked; the first of `ids` may be -1, a step without input
        h0 : (H,), initial state

        Returns
        -------
        float, nats, summed over the steps
        """
        if self._compiled:
            loss, self.h = self._compiled(ids, targets, h0, *self._arrays)
            return float(loss)
        T = len(ids)
        gemv, gemm, tanh, multiply = self.gemv, self.gemm, np.tanh, np.multiply
        for_h, for_loss, for_grads = self.views.get(T) or self._views(T)

        # forward
        h_first, z_first, z, h_last, forward = for_h
        h_first[...] = h0
        self.Wx_rows.take(ids, 0, z, "wrap")
        if ids.item(0) < 0:
            z_first.fill(0)
        Wh_b = self.Wh_b
        for h_1_prev, z_t, h_t in forward:
            gemv(1.0, Wh_b, h_1_prev, 1.0, z_t, OFFX, INCX, OFFY, INCY, AS_IS, IN_PLACE)
            tanh(z_t, h_t)
        self.h = h_last.copy()

        # loss: log of the sum of exponentials, minus the target's logit
        h_1T, logits, logitsT, logits_flat, sums, sums_column, ones = for_loss
        gemm(1.0, self.W_b, h_1T, 0.0, logitsT, AS_IS, AS_IS, IN_PLACE)
        if abs(logits_flat.item(self.iamax(logits_flat))) > SAFE_EXPONENT:
            logits -= logits.max(axis=1, keepdims=True)
        targets_one_hot = self.one_hot_out.take(targets, 0)
        wanted = logits_flat.dot(targets_one_hot.ravel())
        np.exp(logits, logits)
        logits.dot(self.ones, sums)
        np.divide(logits, sums_column, logits)
        logits -= targets_one_hot  # the loss's gradient
        loss = np.log(sums, sums).dot(ones) - wanted

        # backward
        dhT, h_1, slope, backward, (dz_0, slope_0, dh_0), dzT, h_1_prevT = for_grads
        gemm(1.0, logitsT, h_1T, 0.0, self.dW_b, AS_IS, TRANSPOSED, IN_PLACE)
        gemm(1.0, self.W, logitsT, 0.0, dhT, TRANSPOSED, AS_IS, IN_PLACE)
        multiply(h_1, h_1, slope)
        np.subtract(self.one, slope, slope)
        Wh = self.Wh
        for dz_t, slope_t, dh_t, dh_prev in backward:
            multiply(dh_t, slope_t, dz_t)
            gemv(1.0, Wh, dz_t, 1.0, dh_prev, OFFX, INCX, OFFY, INCY, TRANSPOSED, IN_PLACE)
        multiply(dh_0, slope_0, dz_0)
        gemm(1.0, dzT, h_1_prevT, 0.0, self.dWh_b, AS_IS, TRANSPOSED, IN_PLACE)
        gemm(1.0, dzT, self.one_hot_in.take(ids, 0).T, 0.0, self.dWx, AS_IS, TRANSPOSED, IN_PLACE)
        return float(loss)

    def update(self, learning_rate: float, limit: float) -> None:
        """Clip the gradients to [-limit, limit] and take one step of gradient descent."""
        grad = self.grads.flat
        if abs(grad.item(self.iamax(grad))) > limit:
            np.clip(grad, -limit, limit, out=grad)
        self.axpy(grad, self.params.flat, len(grad), -learning_rate)
