"""The gradient checker is itself checked: faults planted into the code must turn it red, and sound code stays green."""

import inspect
import textwrap
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose

from numpyrnn import (
    GRU,
    LSTM,
    RNN,
    CausalConv1D,
    Dense,
    Dropout,
    Embedding,
    GatedBlock,
    GatedStack,
    GlobalMaxPool1D,
    LastStep,
    MaxPool1D,
    NumpyrnnError,
    ReLU,
    Sequential,
    gradcheck,
    kernels,
    products,
)
from numpyrnn.convolution import Convolution
from numpyrnn.recurrent import Recurrent
from numpyrnn.sequential import LAYERS

T, N, D, H = 4, 4, 3, 3
DRAW = np.random.default_rng(0)
X, IDS, LENGTHS = DRAW.standard_normal((T, N, D)), DRAW.integers(0, D, (T, N)), np.array([4, 2, 0, 3])


def check_kind(kind, x=X, lengths=None):
    return gradcheck.check_layer(kind(D, H, np.float64, rng=0), x, lengths)


def check_dropout():
    return gradcheck.check_layer(Dropout(0.5, dtype=np.float64), X, dropout=0)


def check_stack():
    return gradcheck.check_layer(Sequential(RNN(D, H, np.float64, rng=0), Dense(H, D, np.float64, rng=1)), X)


def check_hard():
    layer = LSTM(D, H, np.float64, rng=0, hard_sigmoid=True)
    layer.params.flat[...] *= 4  # so that some gates are at their ends
    return gradcheck.check_layer(layer, X)


def check_convolution():
    layer = CausalConv1D(D, H, 3, 2, np.float64, rng=0)  # its reach is as long as x
    return gradcheck.check_layer(layer, X, LENGTHS)


def check_block():
    return gradcheck.check_layer(GatedBlock(D, H, 2, 2, np.float64, rng=0), X, LENGTHS)


def check_blocks():
    return gradcheck.check_layer(GatedStack(D, 2, 2, (1, 1, 2), np.float64, rng=0), X[:, 1:], LENGTHS[1:])


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
EVERY_STEP = ("steps(T, N, active, backwards=True)", "steps(T, N, None, backwards=True)")


def convolution(function, old, new, red, owner=Convolution, check=check_convolution):
    return Fault(owner, function, old, new, check, red)


def block(old, new, red):
    return Fault(GatedBlock, "backward", old, new, check_block, red)


def stack(old, new, red):
    return Fault(GatedStack, "backward", old, new, check_blocks, red)


def pool(layer, old, new):
    return Fault(type(layer), "backward", old, new, lambda: gradcheck.check_layer(layer, X - 9, LENGTHS), "x")


BLOCK_ALL, LOWEST = "W b Wo bo x state0", "0.W 0.b 0.Wo 0.bo x state0"
BELOW = f"{LOWEST} 1.W 1.b 1.Wo 1.bo state1"
FAULTS = {
    "rnn: dWh transposed": rnn(
        'np.matmul(as_rows(h[:-1]).T, as_rows(dz), out=grads["Wh"])',
        'grads["Wh"][...] = (as_rows(h[:-1]).T @ as_rows(dz)).T',
        "Wh",
    ),
    "rnn: dWh of h, not of the h before": rnn("as_rows(h[:-1])", "as_rows(h[1:])", "Wh"),
    "rnn: dWh zero": rnn('out=grads["Wh"]', "out=None", "Wh"),
    "rnn: sign of db": rnn("= column_sums(", "= -column_sums(", "b"),
    "rnn: carry of dh forgotten": rnn("np.matmul(dz[t, :n], WhT_blocks, out=product[:, :, :n])", "dh[:n] = 0", RNN_ALL),
    "rnn: carry through Wh not transposed": rnn("in_blocks(Wh.T[None], N)", "in_blocks(Wh[None], N)", RNN_ALL),
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
        'grads["bh"][...] = column_sums(as_rows(dz[3]))', 'grads["bh"][...] = column_sums(as_rows(dz[2]))', "bh"
    ),
    "gru: dWh of the candidate without the reset gate": gru(
        'as_rows(dz[3]), out=grads["Wh"][2]', 'as_rows(dz[2]), out=grads["Wh"][2]', "Wh"
    ),
    "gru: db of the candidate with the reset gate": gru("as_rows(dz[:3])", "as_rows(dz[[0, 1, 3]])", "b"),
    "gru: the direct way of dh forgotten": gru("np.add.reduce(dzWh[:, :n]", "np.add.reduce(dzWh[:3, :n]", GRU_ALL),
    "gru: sign of the update gate": gru(
        "np.subtract(h[t, :n], candidate, out=dz_t)", "np.subtract(candidate, h[t, :n], out=dz_t)", GRU_ALL
    ),
    "gru: gradient of the reset gate missing": gru("np.multiply(dn, u, out=dr)", "dr[...] = 0", GRU_ALL),
    "dx of the last gate missing": Fault(
        kernels,
        "project_backward",
        "zip(dz[1:], WT[1:], strict=True)",
        "zip(dz[1:-1], WT[1:-1], strict=True)",
        lambda: check_kind(LSTM),
        "x",
    ),
    "dWx zero": Fault(
        kernels,
        "project_backward",
        "np.matmul(as_rows(x).T, as_rows(dz), out=dW)",
        "dW[...] = 0",
        lambda: check_kind(GRU),
        "Wx",
    ),
    "of rows with one id only the last counts": Fault(
        products,
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
    "lstm: gates at their ends let the gradient through": Fault(
        kernels, "lstm_backward", "(gate[:3] > 0) & (gate[:3] < 1)", "gate[:3] > -1", check_hard, LSTM_ALL
    ),
    "lstm: hard sigmoids with the slope of soft ones": Fault(
        kernels, "lstm_backward", "if hard:", "if False:", check_hard, LSTM_ALL
    ),
    "convolution: of a tap's two parts the last counts": convolution(
        "_convolve_back", "dW[k] += dW_k", "dW[k] = dW_k", "W"
    ),
    "convolution: sign of db": convolution(
        "_convolve_back", "= products.column_sums(", "= -products.column_sums(", "b"
    ),
    "convolution: taps behind forgotten": convolution("_convolve_back", "dseen += ", "_ = ", "x state0"),
    "convolution: taps not transposed": convolution(
        "_convolve_back",
        "seen, dz[:, steps], W[k], dW_k",
        "seen, dz[:, steps], W[k].transpose(0, 2, 1), dW_k",
        "x state0",
    ),
    "convolution: tap of other steps": convolution("_convolve_back", "dz[:, steps]", "dz[:, : len(seen)]", "W x"),
    "convolution: gradient of the past forgotten": convolution(
        "_convolve_back", "return dx, dpast", "return dx, 0 * dpast", "state0"
    ),
    "convolution: end state's gradient of x forgotten": convolution("_add_end", "dx += ", "_ = ", "x"),
    "convolution: end state's gradient of the past forgotten": convolution("_add_end", "dpast += ", "_ = ", "state0"),
    "convolution: end state of padding": convolution("_add_end", "(T, N, real)", "(T, N, None)", "x state0"),
    "convolution: gradient of padding let in": convolution(
        "backward", "masked(dy, real)", "dy", "W b x state0", CausalConv1D
    ),
    "block: gradient of padding let in": block("masked(dy, real)", "dy", BLOCK_ALL),
    "block: slope of tanh missing": block("1 - filtered * filtered", "1", "W b x state0"),
    "block: slope of the sigmoid that of tanh": block("gate - gate * gate", "1 - gate * gate", "W b x state0"),
    "block: gate forgotten": block("du * gate", "du", "W b x state0"),
    "block: gate and filter exchanged": block("du * filtered, gate", "du * gate, gate", "W b x state0"),
    "block: residual forgotten": block("dx += dy[..., : self.input_size]", "pass", "x"),
    "block: skip in the residual's place": block("dy[..., : self.input_size]", "dy[..., self.input_size :]", "x"),
    "block: dWo zero": block('out=grads["Wo"]', "out=None", "Wo"),
    "block: sign of dbo": block("= products.column_sums(dy_rows)", "= -products.column_sums(dy_rows)", "bo"),
    "stack: the way through the residuals forgotten": stack("dboth[..., : self.input_size] = dx", "pass", BELOW),
    "stack: residuals added up, not handed on": stack(
        "dboth[..., : self.input_size] = dx", "dboth[..., : self.input_size] += dx", LOWEST
    ),
    "stack: gradient of the last state forgotten": stack(
        "caches[i], dstates[i], parts[i]", "caches[i], None, parts[i]", BELOW + " state2"
    ),
    "stack: skip of the last block only": stack(
        "dboth[..., : self.input_size] = dx", "dboth[...] = 0; dboth[..., : self.input_size] = dx", BELOW
    ),
    "max: to the first step of each group": pool(MaxPool1D(2, np.float64), "groups[:, j] == y", "j == 0"),
    "max: gradient of padding let in": pool(MaxPool1D(2, np.float64), "masked(dy, real)", "dy"),
    "max: to places in reversed order": pool(MaxPool1D(3, np.float64), "groups[:, j] == y", "groups[:, -j] == y"),
    "max of all: to the first step": pool(GlobalMaxPool1D(np.float64), "(dx, where,", "(dx, 0 * where,"),
    "max of all: gradient of padding let in": pool(
        GlobalMaxPool1D(np.float64), "masked(dy, None if real is None else real[:1])", "dy"
    ),
    "last step: to the step before": pool(LastStep(np.float64), "dx[last,", "dx[last - 1,"),
    "last step: gradient of padding let in": pool(LastStep(np.float64), "last[None] >= 0", "last[None] >= -1"),
    "relu: slope forgotten": Fault(
        ReLU, "backward", " * (y > 0)", "", lambda: gradcheck.check_layer(ReLU(np.float64), X), "x"
    ),
    "loss: mean's 1 / count forgotten": Fault(
        gradcheck, "softmax_cross_entropy", "np.multiply(e, scale, out=e)", "e", check_loss, "logits"
    ),
    "loss: target not subtracted": Fault(
        gradcheck,
        "softmax_cross_entropy",
        "e[target] -= 1",
        "e[target] -= 0",
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
    assert deaf.ok
    assert deaf.why == fooled.why == "(central difference only: the complex step disagrees, as for abs or .real)"
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


def test_every_kind_of_layer_is_in_the_report(monkeypatch):
    monkeypatch.setattr(gradcheck, "check_layer", lambda *arguments, **options: [])  # it takes its time
    assert {name.split(",")[0] for name, _, _ in gradcheck.report()} >= LAYERS.keys()
