"""The textbook functions: one time step and one equation at a time, with the signatures of the deep-learning course.

Arrays are feature-major: `x` (n_x, m, T_x), `a` and `c` (n_a, m, T_x), `y` (n_y, m, T_x), one step `xt` (n_x, m).
They are here to be read, and to check the cells of `cells.py`, which do the real work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .activations import sigmoid, softmax
from .checks import Array, NumpyrnnError, check_shape

Dict = dict[str, Array]
Cache = tuple[Any, ...]


def rnn_cell_forward(xt: Array, a_prev: Array, parameters: Dict) -> tuple[Array, Array, Cache]:
    """One step of a tanh RNN.

        a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)
        y<t> = softmax(Wya a<t> + by)

    Parameters
    ----------
    xt : (n_x, m) input at this step
    a_prev : (n_a, m) hidden state of the previous step
    parameters : dict with Wax (n_a, n_x), Waa (n_a, n_a), Wya (n_y, n_a), ba (n_a, 1), by (n_y, 1)

    Returns
    -------
    a_next : (n_a, m)
    yt_pred : (n_y, m)
    cache : (a_next, a_prev, xt, parameters)

    Raises
    ------
    NumpyrnnError
        if a shape does not fit or a parameter is missing
    """
    Wax, Waa, Wya, ba, by = _take(parameters, "Wax", "Waa", "Wya", "ba", "by")
    check_shape("xt", xt, (Wax.shape[1], "m"))
    check_shape("a_prev", a_prev, (len(Waa), xt.shape[1]))

    a_next = np.tanh(Waa @ a_prev + Wax @ xt + ba)
    yt_pred = softmax(Wya @ a_next + by, axis=0)

    return a_next, yt_pred, (a_next, a_prev, xt, parameters)


def rnn_forward(x: Array, a0: Array, parameters: Dict) -> tuple[Array, Array, Cache]:
    """A tanh RNN over a whole sequence: `rnn_cell_forward` at each step, from the first to the last.

    Parameters
    ----------
    x : (n_x, m, T_x)
    a0 : (n_a, m) initial hidden state
    parameters : as in `rnn_cell_forward`

    Returns
    -------
    a : (n_a, m, T_x)
    y_pred : (n_y, m, T_x)
    caches : (list of the steps' caches, x)

    Raises
    ------
    NumpyrnnError
        if a shape does not fit or a parameter is missing
    """
    check_shape("x", x, ("n_x", "m", "T_x"))
    a_next, steps = a0, []
    for t in range(x.shape[2]):
        a_next, yt_pred, cache = rnn_cell_forward(x[:, :, t], a_next, parameters)
        steps.append((a_next, yt_pred, cache))
    a, y_pred, caches = zip(*steps)
    return np.stack(a, axis=2), np.stack(y_pred, axis=2), (list(caches), x)


def lstm_cell_forward(xt: Array, a_prev: Array, c_prev: Array, parameters: Dict) -> tuple[Array, Array, Array, Cache]:
    """One step of an LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

        f<t> = sigmoid(Wf [a<t-1>; x<t>] + bf)          forget gate
        i<t> = sigmoid(Wi [a<t-1>; x<t>] + bi)          input (update) gate
        cct  = tanh(Wc [a<t-1>; x<t>] + bc)             candidate
        c<t> = f<t> * c<t-1> + i<t> * cct               cell state
        o<t> = sigmoid(Wo [a<t-1>; x<t>] + bo)          output gate
        a<t> = o<t> * tanh(c<t>)                        hidden state
        y<t> = softmax(Wy a<t> + by)

    Parameters
    ----------
    xt : (n_x, m)
    a_prev, c_prev : (n_a, m)
    parameters : dict with Wf Wi Wc Wo (n_a, n_a + n_x), bf bi bc bo (n_a, 1), Wy (n_y, n_a), by (n_y, 1)

    Returns
    -------
    a_next, c_next : (n_a, m)
    yt_pred : (n_y, m)
    cache : (a_next, c_next, a_prev, c_prev, ft, it, cct, ot, xt, parameters)

    Raises
    ------
    NumpyrnnError
        if a shape does not fit or a parameter is missing
    """
    Wf, Wi, Wc, Wo, Wy = _take(parameters, "Wf", "Wi", "Wc", "Wo", "Wy")
    bf, bi, bc, bo, by = _take(parameters, "bf", "bi", "bc", "bo", "by")
    n_a = Wf.shape[0]
    check_shape("xt", xt, (Wf.shape[1] - n_a, "m"))
    check_shape("a_prev", a_prev, (n_a, xt.shape[1]))
    check_shape("c_prev", c_prev, a_prev.shape)

    concat = np.concatenate([a_prev, xt])  # (n_a + n_x, m)
    ft = sigmoid(Wf @ concat + bf)
    it = sigmoid(Wi @ concat + bi)
    cct = np.tanh(Wc @ concat + bc)
    c_next = ft * c_prev + it * cct
    ot = sigmoid(Wo @ concat + bo)
    a_next = ot * np.tanh(c_next)
    yt_pred = softmax(Wy @ a_next + by, axis=0)

    return a_next, c_next, yt_pred, (a_next, c_next, a_prev, c_prev, ft, it, cct, ot, xt, parameters)


def lstm_forward(x: Array, a0: Array, parameters: Dict) -> tuple[Array, Array, Array, Cache]:
    """An LSTM over a whole sequence: `lstm_cell_forward` at each step, beginning with a cell state of zero.

    Parameters
    ----------
    x : (n_x, m, T_x)
    a0 : (n_a, m)
    parameters : as in `lstm_cell_forward`

    Returns
    -------
    a : (n_a, m, T_x)
    y : (n_y, m, T_x)
    c : (n_a, m, T_x)
    caches : (list of the steps' caches, x)

    Raises
    ------
    NumpyrnnError
        if a shape does not fit or a parameter is missing
    """
    check_shape("x", x, ("n_x", "m", "T_x"))
    a_next, c_next, steps = a0, np.zeros_like(a0), []
    for t in range(x.shape[2]):
        a_next, c_next, yt_pred, cache = lstm_cell_forward(x[:, :, t], a_next, c_next, parameters)
        steps.append((a_next, yt_pred, c_next, cache))
    a, y, c, caches = zip(*steps)
    return np.stack(a, axis=2), np.stack(y, axis=2), np.stack(c, axis=2), (list(caches), x)


def rnn_cell_backward(da_next: Array, cache: Cache) -> Dict:
    """Backward through one step of a tanh RNN.

        dz       = da<t> * (1 - a<t>^2)
        dx<t>    = Wax' dz          dWax = dz x<t>'
        da<t-1>  = Waa' dz          dWaa = dz a<t-1>'          dba = sum of dz over the batch

    Parameters
    ----------
    da_next : (n_a, m) gradient of the loss with respect to a<t>
    cache : from `rnn_cell_forward`

    Returns
    -------
    dict with dxt (n_x, m), da_prev (n_a, m), dWax (n_a, n_x), dWaa (n_a, n_a), dba (n_a, 1)

    Raises
    ------
    NumpyrnnError
        if the shape of `da_next` is not that of a<t>
    """
    a_next, a_prev, xt, parameters = cache
    Wax, Waa = _take(parameters, "Wax", "Waa")
    check_shape("da_next", da_next, a_next.shape)

    dz = da_next * (1 - a_next**2)  # through tanh
    weights = {"dWax": dz @ xt.T, "dWaa": dz @ a_prev.T, "dba": dz.sum(axis=1, keepdims=True)}
    return {"dxt": Wax.T @ dz, "da_prev": Waa.T @ dz, **weights}


def rnn_backward(da: Array, caches: Cache) -> Dict:
    """Backward through a tanh RNN: `rnn_cell_backward` from the last step of `da` to the first.

    The gradients of the weights are summed over the steps.

    Parameters
    ----------
    da : (n_a, m, T) gradient with respect to each a<t> from above; T <= T_x, only the first T caches are used
    caches : from `rnn_forward`

    Returns
    -------
    dict with dx (n_x, m, T), da0 (n_a, m), dWax, dWaa, dba

    Raises
    ------
    NumpyrnnError
        if `da` has another shape than `a`, or more steps
    """
    return _back_through_time(rnn_cell_backward, da, caches, states=("da_prev",))


def lstm_cell_backward(da_next: Array, dc_next: Array, cache: Cache) -> Dict:
    """Backward through one step of an LSTM; df, di, dcct and do are taken before the non-linearity of their gate.

        dc    = dc<t> + da<t> * o * (1 - tanh(c<t>)^2)
        do    = da<t> * tanh(c<t>) * o * (1 - o)
        dcct  = dc * i * (1 - cct^2)
        di    = dc * cct * i * (1 - i)
        df    = dc * c<t-1> * f * (1 - f)
        dW.   = d. [a<t-1>; x<t>]'                      db. = sum of d. over the batch
        [da<t-1>; dx<t>] = Wf' df + Wi' di + Wc' dcct + Wo' do
        dc<t-1> = dc * f

    Parameters
    ----------
    da_next, dc_next : (n_a, m) gradients with respect to a<t> and c<t>
    cache : from `lstm_cell_forward`

    Returns
    -------
    dict with dxt (n_x, m), da_prev, dc_prev (n_a, m), dWf dWi dWc dWo (n_a, n_a + n_x), dbf dbi dbc dbo (n_a, 1)

    Raises
    ------
    NumpyrnnError
        if the shape of a gradient is not that of the state
    """
    a_next, c_next, a_prev, c_prev, ft, it, cct, ot, xt, parameters = cache
    Wf, Wi, Wc, Wo = _take(parameters, "Wf", "Wi", "Wc", "Wo")
    check_shape("da_next", da_next, a_next.shape)
    check_shape("dc_next", dc_next, c_next.shape)
    n_a = len(a_prev)

    tanh_c = np.tanh(c_next)
    dc = dc_next + da_next * ot * (1 - tanh_c**2)
    dot = da_next * tanh_c * ot * (1 - ot)
    dcct = dc * it * (1 - cct**2)
    dit = dc * cct * it * (1 - it)
    dft = dc * c_prev * ft * (1 - ft)

    concat = np.concatenate([a_prev, xt])
    dconcat = Wf.T @ dft + Wi.T @ dit + Wc.T @ dcct + Wo.T @ dot
    gradients = {"dxt": dconcat[n_a:], "da_prev": dconcat[:n_a], "dc_prev": dc * ft}
    for gate, dgate in {"f": dft, "i": dit, "c": dcct, "o": dot}.items():
        gradients[f"dW{gate}"] = dgate @ concat.T
        gradients[f"db{gate}"] = dgate.sum(axis=1, keepdims=True)
    return gradients


def lstm_backward(da: Array, caches: Cache) -> Dict:
    """Backward through an LSTM: `lstm_cell_backward` from the last step of `da` to the first.

    The gradients of the weights are summed over the steps.

    Parameters
    ----------
    da : (n_a, m, T) gradient with respect to each a<t> from above; T <= T_x, only the first T caches are used
    caches : from `lstm_forward`

    Returns
    -------
    dict with dx (n_x, m, T), da0 (n_a, m), dWf dbf dWi dbi dWc dbc dWo dbo

    Raises
    ------
    NumpyrnnError
        if `da` has another shape than `a`, or more steps
    """
    return _back_through_time(lstm_cell_backward, da, caches, states=("da_prev", "dc_prev"))


def _back_through_time(cell_backward: Callable[..., Dict], da: Array, caches: Cache, states: tuple[str, ...]) -> Dict:
    """Call `cell_backward` for each step, the last first; it returns the gradients of the previous step's `states`."""
    cells, x = caches
    check_shape("da", da, (*cells[0][0].shape, "T_x"))
    if not 1 <= da.shape[2] <= len(cells):
        raise NumpyrnnError(f"da must have 1 to {len(cells)} steps (as many as caches), got {da.shape[2]}")
    dx, total = np.zeros((*x.shape[:2], da.shape[2])), Dict()
    carried = [np.zeros_like(da[:, :, 0]) for _ in states]
    for t in reversed(range(da.shape[2])):
        step = cell_backward(da[:, :, t] + carried[0], *carried[1:], cells[t])
        dx[:, :, t], carried = step.pop("dxt"), [step.pop(name) for name in states]
        total = {name: total.get(name, 0) + gradient for name, gradient in step.items()}
    return {"dx": dx, "da0": carried[0], **total}


def _take(parameters: Dict, *names: str) -> list[Array]:
    if missing := [name for name in names if name not in parameters]:
        raise NumpyrnnError(f"parameters must have {', '.join(names)}, missing {', '.join(missing)}")
    return [parameters[name] for name in names]
