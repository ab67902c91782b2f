"""Losses: softmax cross-entropy over integer targets or over distributions, and label smoothing.

`Trainer(loss=...)` takes any function or object of the form

    loss(logits, targets, mask) -> (mean over the targets that count, gradient of that mean)

`mask` is True where a target counts; None means everywhere. If a loss has an attribute `validation`, held-out data are
measured with that loss.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .activations import below_largest
from .checks import Array, NumpyrnnError, check_finite, check_ids, check_range, check_shape, is_integer

Loss = Callable[[Array, Array, Array | None], tuple[float, Array]]
SMALL = 30.0  # exponentials of smaller logits, and sums of them, neither overflow nor vanish in float32


def softmax_cross_entropy(
    logits: Array, targets: Array, mask: Array | None = None, reduction: str = "mean"
) -> tuple[float, Array]:
    """Cross-entropy of the softmax of `logits` against the targets, in nats, and its gradient.

        loss = -sum of log softmax(logits)[target] over the targets that count
        dlogits = softmax(logits) - one_hot(target), zero elsewhere

    "mean" divides both by the number of targets that count.

    Parameters
    ----------
    logits : (..., V) floating
    targets : (...) integers in 0 .. V - 1; their values are ignored where `mask` is False
        Or (..., V) floating: distributions in place of one_hot(target) (soft targets; Hinton et al. 2015).
    mask : (...) boolean, True where a target counts; default everywhere
    reduction : "mean" (default) or "sum"

    Returns
    -------
    loss : float (complex for complex logits)
    dlogits : (..., V)

    Raises
    ------
    NumpyrnnError
        if shapes or dtypes do not fit, a target lies outside 0 .. V - 1, a logit is not finite, soft targets are not
        distributions, or no target counts
    """
    logits, targets = np.asarray(logits), np.asarray(targets)
    soft = not is_integer(targets)
    if logits.ndim == 0 or logits.dtype.kind not in "fc" or (soft and targets.dtype.kind != "f"):
        came = f"{logits.dtype} and {targets.dtype}"
        raise NumpyrnnError(f"logits must be floating (..., V) and targets integers or floating, got {came}")
    if reduction not in ("mean", "sum"):
        raise NumpyrnnError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
    V = logits.shape[-1]
    if V == 0:
        raise NumpyrnnError(f"logits must have at least one class, got shape {logits.shape}")
    check_shape("targets", targets, logits.shape if soft else logits.shape[:-1])
    real = np.ones(logits.shape[:-1], bool) if mask is None else np.asarray(mask)
    check_shape("mask", real, logits.shape[:-1])
    if real.dtype != bool:
        raise NumpyrnnError(f"mask must be boolean, got {real.dtype}")
    count = int(real.sum())
    if count == 0:
        raise NumpyrnnError("the loss needs at least one target that counts, got none")
    everywhere = count == real.size
    rows = logits.reshape(-1, V) if everywhere else logits[real]
    small = np.abs(rows).max() <= SMALL
    if not small:
        check_finite("logits", rows)
        rows = below_largest(rows, axis=1)  # rarely needed, and takes a third of the time
    e = np.exp(rows)
    with np.errstate(invalid="ignore"):  # OpenBLAS sometimes warns here, though all numbers are finite
        sums = e @ np.ones(V, e.dtype)  # 6 times faster than e.sum(axis=1)
    wanted = targets.reshape(rows.shape if soft else count) if everywhere else targets[real]
    if soft:
        check_finite("targets", wanted)
        if wanted.min() < 0 or np.abs(wanted.sum(axis=1) - 1).max() > 1e-3:
            raise NumpyrnnError("floating targets must be distributions: at least 0, with sums of one")
        total = (wanted.sum(axis=1) * np.log(sums)).sum() - (wanted * rows).sum()
        e /= sums[:, None]
        e -= wanted
    else:
        check_ids("targets", wanted, V)
        target = np.arange(count), wanted
        total = (np.log(sums / e[target]) if small else np.log(sums) - rows[target]).sum()
        e /= sums[:, None]
        e[target] -= 1
    scale = 1 / count if reduction == "mean" else 1.0
    e *= scale  # now e is the gradient
    loss = total.item() * scale  # in float64, so that `count` times the mean is the sum again
    if everywhere:
        return loss, e.reshape(logits.shape)
    dlogits = np.zeros_like(logits)
    dlogits[real] = e
    return loss, dlogits


class LabelSmoothing:
    """Softmax cross-entropy with label smoothing (Szegedy et al. 2016).

    A share of each target is spread evenly over all V ids:

        target = (1 - share) target + share / V

    Held-out data are measured without smoothing.

    Parameters
    ----------
    share : float, 0 <= share <= 1

    Raises
    ------
    NumpyrnnError
        if `share` is out of range
    """

    validation = staticmethod(softmax_cross_entropy)

    def __init__(self, share: float):
        check_range("share", share, 0, 1)
        self.share = float(share)

    def __call__(self, logits: Array, targets: Array, mask: Array | None = None) -> tuple[float, Array]:
        """Mean loss and its gradient, as in `softmax_cross_entropy`, which is linear in its targets."""
        loss, dlogits = softmax_cross_entropy(logits, targets, mask)
        logits, share = np.asarray(logits), self.share
        evenly = np.full(logits.shape, 1 / logits.shape[-1], logits.real.dtype)
        even_loss, d_even = softmax_cross_entropy(logits, evenly, mask)
        return (1 - share) * loss + share * even_loss, (1 - share) * dlogits + share * d_even

    def __repr__(self) -> str:
        return f"LabelSmoothing({self.share})"
