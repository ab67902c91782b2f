"""The gradient checker is itself checked: faults planted into the code must turn it red, and sound code stays green."""

import inspect
import textwrap
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

from numpyrnn import GRU, LSTM, RNN, Dense, Dropout, Embedding, NumpyrnnError, Sequential, gradcheck, kernels
from numpyrnn.recurrent import Recurrent

T, N, D, H = 4, 4, 3, 3
DRAW = np.random.default_rng(0)
X, IDS, LENGTHS = DRAW.standard_normal((T, N, D)), DRAW.integers(0, D, (T, N)), np.array([4, 2, 0, 3])


def check_kind(kind, x=X, lengths=None):
    return gradcheck.check_layer(kind(D, H, np.float64, rng=0), x, lengths)


def check_dropout():
    return gradcheck.check_layer(Dropout(0.5, dtype=np.float64), X, dropout=0)


def check_stack():
    return gradcheck.check_layer(Sequential(RNN(D, H, np.float64, rng=0), Dense(H, D, np.float64, rng=1)), X)


def check_loss():
    return gradcheck.check_loss(X, IDS, np.arange(T)[:, None] < LENGTHS)


class Fault(NamedTuple):
    owner: object  # module or class that holds the function
    function: str
    old: str  # text that occurs once in the function
    new: str
    check: object  # a function without arguments
    red: str  # the names of exactly those gradients that turn red


def rnn(old, new, red, **case):
    return Fault(kernels, "rnn_backward", old, new, lambda: check_kind(RNN, **case), red)


def lstm(old, new, red, **case):
    return Fault(kernels, "lstm_backward", old, new, lambda: check_kind(LSTM, **case), red)


def gru(old, new, red, **case):
    return Fault(kernels, "gru_backward", old, new, lambda: check_kind(GRU, **case), red)


RNN_ALL, LSTM_ALL, GRU_ALL = "Wx Wh b x state0", "Wx Wh b x state0 state1", "Wx Wh b bh x state0"
PADDED = {"lengths": LENGTHS}
EVERY_STEP = ("_steps(T, N, active, backwards=True)", "_steps(T, N, None, backwards=True)")

FAULTS = {
    "rnn: dWh transposed": rnn(
        'np.matmul(_rows(h[:-1]).T, _rows(dz), out=grads["Wh"])',
        'grads["Wh"][...] = (_rows(h[:-1]).T @ _rows(dz)).T',
        "Wh",
    ),
    "rnn: dWh of h, not of the h before": rnn("_rows(h[:-1])", "_rows(h[1:])", "Wh"),
    "rnn: dWh zero": rnn('out=grads["Wh"]', "out=None", "Wh"),
    "rnn: sign of db": rnn("= column_sums(", "= -column_sums(", "b"),
    "rnn: carry of dh forgotten": rnn("np.matmul(dz[t, :n], Wh.T, out=dh[:n])", "dh[:n] = 0", RNN_ALL),
    "rnn: carry through Wh not transposed": rnn("Wh.T, out=dh[:n]", "Wh, out=dh[:n]", RNN_ALL),
    "rnn: slope of tanh missing": rnn("np.subtract(1, slope[:n], out=slope[:n])", "slope[:n] = 1", RNN_ALL),
    "rnn: tanh(z) taken for z": rnn("np.multiply(h[t + 1, :n], h[t + 1, :n]", "np.tanh(h[t + 1, :n] ** 2", RNN_ALL),
    "rnn: gradient of the last state forgotten": rnn("dh = dh.copy()", "dh = np.zeros_like(dh)", RNN_ALL),
    "rnn: gradient of the initial state forgotten": rnn("need_dx), dh", "need_dx), 0 * dh", "state0"),
    "rnn: gradient of padding let in": rnn(*EVERY_STEP, RNN_ALL, **PADDED),
    "lstm: gradient of padding let in": lstm(*EVERY_STEP, LSTM_ALL, **PADDED),
    "lstm: carry of dc forgotten": lstm("dc_t *= f", "dc_t[...] = 0", LSTM_ALL),
    "lstm: carry of dh forgotten": lstm("np.add.reduce(dzWh[:, :n], axis=0, out=dh_t)", "dh_t[...] = 0", LSTM_ALL),
    "lstm: carry of dh by way of one gate missing": lstm(
        "np.add.reduce(dzWh[:, :n]", "np.add.reduce(dzWh[1:, :n]", LSTM_ALL
    ),
    "lstm: c in place of c_prev for the forget gate": lstm(
        "np.multiply(dc_t, gates[3:5, t, :n], out=d[1:3])",
        "np.multiply(dc_t, [gates[3, t, :n], gates[4, t + 1, :n]], out=d[1:3])",
        LSTM_ALL,
    ),
    "lstm: slope of the output gate missing": lstm(
        "np.subtract(gate[:3], s[:3], out=s[:3])", "np.subtract(gate[:3], [0 * o, *s[1:3]], out=s[:3])", LSTM_ALL
    ),
    "lstm: slope of the candidate that of a sigmoid": lstm(
        "np.subtract(1, s[3], out=s[3])", "np.subtract(gate[3], s[3], out=s[3])", LSTM_ALL
    ),
    "lstm: c's part of dh without the output gate": lstm("s[0] *= o", "s[0] *= 1", LSTM_ALL),
    "lstm: dh overwritten, not added to, by dy": lstm("dh_t += dy[t, :n]", "dh_t[...] = dy[t, :n]", LSTM_ALL),
    "lstm: gradient of the last c forgotten": lstm("dc.copy()", "np.zeros_like(dc)", LSTM_ALL),
    "lstm: gradient of the initial c forgotten": lstm("need_dx), dh, dc", "need_dx), dh, 0 * dc", "state1"),
    "lstm: gradients of the initial h and c exchanged": lstm("need_dx), dh, dc", "need_dx), dc, dh", "state0 state1"),
    "gru: gradient of padding let in": gru(*EVERY_STEP, GRU_ALL, **PADDED),
    "gru: dbh without the reset gate": gru(
        'grads["bh"][...] = column_sums(_rows(dz[3]))', 'grads["bh"][...] = column_sums(_rows(dz[2]))', "bh"
    ),
    "gru: dWh of the candidate without the reset gate": gru(
        '_rows(dz[3]), out=grads["Wh"][2]', '_rows(dz[2]), out=grads["Wh"][2]', "Wh"
    ),
    "gru: db of the candidate with the reset gate": gru("_rows(dz[:3])", "_rows(dz[[0, 1, 3]])", "b"),
    "gru: the direct way of dh forgotten": gru("np.add.reduce(dzWh[:, :n]", "np.add.reduce(dzWh[:3, :n]", GRU_ALL),
    "gru: sign of the update gate": gru(
        "np.subtract(h[t, :n], candidate, out=dz_t)", "np.subtract(candidate, h[t, :n], out=dz_t)", GRU_ALL
    ),
    "gru: gradient of the reset gate missing": gru("np.multiply(dn, u, out=dr)", "dr[...] = 0", GRU_ALL),
    "dx of the last gate missing": Fault(
        kernels,
        "project_backward",
        "zip(dz[1:], W[1:], strict=True)",
        "zip(dz[1:-1], W[1:-1], strict=True)",
        lambda: check_kind(LSTM),
        "x",
    ),
    "dWx zero": Fault(
        kernels,
        "project_backward",
        "np.matmul(_rows(x).T, _rows(dz), out=dW)",
        "dW[...] = 0",
        lambda: check_kind(GRU),
        "Wx",
    ),
    "of rows with one id only the last counts": Fault(
        kernels,
        "sum_rows_by_id",
        "return np.asarray(one_hot.T @ rows)",
        "total = np.zeros((size, rows.shape[1])); total[ids] = rows; return total",
        lambda: check_kind(Embedding, x=IDS),
        "W",
    ),
    "sequences not put back into their order": Fault(
        Recurrent,
        "backward",
        "back = np.argsort(order)",
        "back = order",
        lambda: check_kind(RNN, **PADDED),
        "x state0",
    ),
    "dropout: rest not scaled up": Fault(Dropout, "backward", "dx * keep", "dx * (keep > 0)", check_dropout, "x"),
    "sequential: gradient of the last state forgotten": Fault(
        Sequential,
        "backward",
        "caches[i], dstates[i], parts[i]",
        "caches[i], None, parts[i]",
        check_stack,
        "0.Wx 0.Wh 0.b x state0",
    ),
    "loss: mean's 1 / count forgotten": Fault(
        gradcheck, "softmax_cross_entropy", "d_rows *= scale", "d_rows *= 1", check_loss, "logits"
    ),
    "loss: target not subtracted": Fault(
        gradcheck,
        "softmax_cross_entropy",
        "d_rows[places, wanted] -= 1",
        "d_rows[places, wanted] -= 0",
        check_loss,
        "logits",
    ),
}


def plant(monkeypatch, fault):
    """Replace one text in the function's source, and the function by what that makes."""
    function = getattr(fault.owner, fault.function)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(fault.old) == 1
    made = {}
    exec(source.replace(fault.old, fault.new), function.__globals__, made)
    monkeypatch.setattr(fault.owner, fault.function, made[fault.function])


def reds(errors):
    return {error.what.replace(" ", "") for error in errors if not error.ok}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_turns_what_it_touches_red(monkeypatch, fault):
    assert reds(fault.check()) == set()
    plant(monkeypatch, fault)
    assert reds(fault.check()) == set(fault.red.split())


def square(arrays):
    return (arrays["x"] ** 2 * arrays["w"]).sum()


ARRAYS = {"x": np.array([1.0, -2.0, 0.5]), "w": np.array([3.0, 0.25, -1.0])}
GRADIENTS = {"x": 2 * ARRAYS["x"] * ARRAYS["w"], "w": ARRAYS["x"] ** 2}


def test_right_gradients_of_a_function_are_green():
    errors = gradcheck.check_function(square, ARRAYS, GRADIENTS)
    assert [(error.what, error.size, error.ok) for error in errors] == [("x", 3, True), ("w", 3, True)]


@pytest.mark.parametrize(
    "wrong",
    [
        2.001 * ARRAYS["x"] * ARRAYS["w"],
        np.zeros(3),
        -GRADIENTS["x"],
        GRADIENTS["x"][::-1].copy(),
        GRADIENTS["x"] * (1 + 1e-8),
        GRADIENTS["x"] + [0, 1e-8, 0],
        np.array([np.nan, *GRADIENTS["x"][1:]]),
        np.full(3, np.inf),
    ],
    ids=["2.001 for 2", "zero", "sign", "order", "1e-8 too large", "one element", "one NaN", "infinite"],
)
def test_a_wrong_gradient_of_a_function_is_red_and_the_right_one_beside_it_green(wrong):
    errors = gradcheck.check_function(square, ARRAYS, GRADIENTS | {"x": wrong})
    assert [error.ok for error in errors] == [False, True]


def test_a_wrong_small_element_does_not_drown_among_large_ones():
    arrays = {"x": np.array([1e4, 1e0])}
    [error] = gradcheck.check_function(
        lambda values: (values["x"] ** 2).sum(), arrays, {"x": 2 * arrays["x"] * [1, 1 + 2e-9]}
    )
    assert error.norm < gradcheck.NORM
    assert error.worst > gradcheck.WORST
    assert not error.ok


def test_an_error_spread_thinly_over_all_elements_adds_up():
    x = np.linspace(1, 2, 50)
    [error] = gradcheck.check_function(lambda values: (values["x"] ** 2).sum(), {"x": x}, {"x": 2 * x * (1 + 1e-11)})
    assert error.worst < gradcheck.WORST
    assert error.norm > gradcheck.NORM
    assert not error.ok


def test_each_witness_is_heard():
    def blind_to_the_imaginary_part(arrays):
        return (arrays["x"].real ** 2).sum()

    x = np.array([1.0, 2.0])
    [deaf] = gradcheck.check_function(blind_to_the_imaginary_part, {"x": x}, {"x": 2 * x})
    [fooled] = gradcheck.check_function(blind_to_the_imaginary_part, {"x": x}, {"x": 0 * x})
    assert deaf.central < gradcheck.CENTRAL < deaf.norm
    assert fooled.norm < gradcheck.NORM < gradcheck.CENTRAL < fooled.central
    assert not deaf.ok
    assert not fooled.ok


def test_a_gradient_that_is_zero_is_green():
    [error] = gradcheck.check_function(lambda values: (0 * values["x"]).sum(), {"x": np.ones(2)}, {"x": np.zeros(2)})
    assert error.ok


def test_a_gradient_of_another_shape_is_an_error():
    with pytest.raises(NumpyrnnError, match=r"the gradient of x must have shape \(3,\), got \(1, 3\)"):
        gradcheck.check_function(square, ARRAYS, {"x": GRADIENTS["x"][None]})


@pytest.mark.parametrize(
    ("derivative", "tolerance"), [(gradcheck.complex_step, 1e-15), (gradcheck.central_difference, 1e-9)]
)
def test_both_witnesses_know_the_derivative_of_a_cube(derivative, tolerance):
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    x.flags.writeable = False
    slope = derivative(lambda arrays: (arrays["x"] ** 3).sum(), {"x": x, "other": np.ones(1)}, "x")
    assert_allclose(slope, 3 * x**2, rtol=tolerance)


def test_a_check_leaves_the_layer_and_its_input_as_they_were():
    layer, x = GRU(D, H, np.float64, rng=0), X.copy()
    x.flags.writeable = False
    before = layer.params.flat.copy()
    gradcheck.check_layer(layer, x, LENGTHS)
    assert (layer.params.flat == before).all()


def test_a_right_gradient_that_is_tiny_beside_the_others_is_green():
    ids = np.random.default_rng(3232).integers(0, 2, (1, 3))
    layer = GRU(2, 1, np.float64, 3231, weight_dropout=0.4)
    assert all(error.ok for error in gradcheck.check_layer(layer, ids, None, 3231, seed=3231))
