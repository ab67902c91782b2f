"""An LSTM cell with the course's signatures, written by hand, and the case that checks its gradients.

Run `numpyrnn gradcheck docs/lstm_cell.py`; `docs/check-your-own.md` explains it.
"""

import numpy as np


def sigmoid(z):
    """1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


def softmax(z):
    """Columns that sum to one."""
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


def lstm_cell_forward(xt, a_prev, c_prev, parameters):
    """One step; see the equations of `numpyrnn.course.lstm_cell_forward`."""
    Wf, Wi, Wc, Wo, Wy = (parameters[name] for name in ("Wf", "Wi", "Wc", "Wo", "Wy"))
    bf, bi, bc, bo, by = (parameters[name] for name in ("bf", "bi", "bc", "bo", "by"))

    concat = np.concatenate([a_prev, xt])
    ft = sigmoid(Wf @ concat + bf)
    it = sigmoid(Wi @ concat + bi)
    cct = np.tanh(Wc @ concat + bc)
    c_next = ft * c_prev + it * cct
    ot = sigmoid(Wo @ concat + bo)
    a_next = ot * np.tanh(c_next)
    yt_pred = softmax(Wy @ a_next + by)

    return a_next, c_next, yt_pred, (a_next, c_next, a_prev, c_prev, ft, it, cct, ot, xt, parameters)


def lstm_cell_backward(da_next, dc_next, cache):
    """Gradients of one step, as a dict."""
    _, c_next, a_prev, c_prev, ft, it, cct, ot, xt, parameters = cache
    Wf, Wi, Wc, Wo = (parameters[name] for name in ("Wf", "Wi", "Wc", "Wo"))
    n_a = len(a_prev)

    dc = dc_next + da_next * ot * (1 - np.tanh(c_next) ** 2)
    dot = da_next * np.tanh(c_next) * ot * (1 - ot)
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


def case():
    """The cell with random numbers; `numpyrnn gradcheck` calls this function."""
    rng = np.random.default_rng(1)
    n_x, n_a, m = 3, 4, 5
    arrays = {"xt": rng.standard_normal((n_x, m))}
    arrays |= {name: rng.standard_normal((n_a, m)) for name in ("a_prev", "c_prev")}
    arrays |= {name: rng.standard_normal((n_a, n_a + n_x)) for name in ("Wf", "Wi", "Wc", "Wo")}
    arrays |= {name: rng.standard_normal((n_a, 1)) for name in ("bf", "bi", "bc", "bo")}
    fixed = {"Wy": np.ones((2, n_a)), "by": np.ones((2, 1))}  # the prediction is not differentiated here

    def forward(xt, a_prev, c_prev, **parameters):
        a_next, c_next, _, cache = lstm_cell_forward(xt, a_prev, c_prev, parameters | fixed)
        return a_next, c_next, cache

    return forward, lstm_cell_backward, arrays
