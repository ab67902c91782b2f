"""Faults are planted in the code, one at a time; exactly the gradients that they touch must fail the checker."""

import inspect
import textwrap
from typing import NamedTuple

import numpy as np
import pytest

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
    ReLU,
    Sequential,
    cells,
    fast,
    gradcheck,
    products,
    unroll,
)
from numpyrnn.convolution import Convolution
from numpyrnn.layers import OneOf
from numpyrnn.recurrent import Recurrent

T, N, D, H = 4, 4, 3, 3
DRAW = np.random.default_rng(0)
X, IDS, LENGTHS = DRAW.standard_normal((T, N, D)), DRAW.integers(0, D, (T, N)), np.array([4, 2, 0, 3])
ONE = DRAW.standard_normal((9, 1, D))  # enough steps for a single row to use weights side by side


def check_kind(kind, x=X, lengths=None, dropout=None, **settings):
    """Check a layer whose biases are not zero."""
    layer = kind(D, H, dtype=np.float64, rng=0, **settings)
    layer.params.flat[...] += np.random.default_rng(1).normal(0, 0.3, layer.params.flat.shape)
    return gradcheck.check_layer(layer, x, lengths, dropout)


def check_dropout():
    return gradcheck.check_layer(Dropout(0.5, dtype=np.float64), X, dropout=0)


def check_stack():
    return gradcheck.check_layer(Sequential(RNN(D, H, np.float64, rng=0), Dense(H, D, np.float64, rng=1)), X)


def check_hard():
    layer = LSTM(D, H, np.float64, rng=0, hard_sigmoid=True)
    layer.params.flat[...] *= 4  # so that some gates saturate
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


ALL = {RNN: "Wx Wh b x state0", LSTM: "Wx Wh b x state0 state1", GRU: "Wx Wh b bh x state0"}
PADDED, ROW = {"lengths": LENGTHS}, {"x": ONE}


def cell(kind, function, old, new, red=None):
    """A fault in the cell of a layer."""
    return Fault(kind.cell, function, old, new, lambda: check_kind(kind), red or ALL[kind])


def hard(old, new):
    return Fault(cells.HardLSTM, "gate_slopes", old, new, check_hard, ALL[LSTM])


def loop(kind, old, new, red=None, **case):
    """A fault in the backward loop."""
    return Fault(unroll, "backward", old, new, lambda: check_kind(kind, **case), red or ALL[kind])


def product(kind, function, old, new, red=None, owner=products, **case):
    """A fault in a product of the backward pass."""
    return Fault(owner, function, old, new, lambda: check_kind(kind, **case), red or ALL[kind])


def around(kind, old, new, red=None, **case):
    """A fault in what a recurrent layer does around its cell."""
    return Fault(Recurrent, "run_back", old, new, lambda: check_kind(kind, **case), red or ALL[kind])


def convolution(function, old, new, red, owner=Convolution, check=check_convolution):
    return Fault(owner, function, old, new, check, red)


def block(old, new, red):
    return Fault(GatedBlock, "run_back", old, new, check_block, red)


def stack(old, new, red):
    return Fault(GatedStack, "run_back", old, new, check_blocks, red)


def pool(layer, old, new, owner=MaxPool1D):
    return Fault(owner, "run_back", old, new, lambda: gradcheck.check_layer(layer, X - 9, LENGTHS), "x")


BLOCK_ALL, LOWEST = "W b Wo bo x state0", "0.W 0.b 0.Wo 0.bo x state0"
BELOW = f"{LOWEST} 1.W 1.b 1.Wo 1.bo state1"
WH = 'np.matmul(h_prev, as_rows(dz[slabs]), out=grads["Wh"][gates])'
FAULTS = {
    "rnn: slope of tanh missing": cell(RNN, "slopes", "subtract(1, dz, dz)", "dz[...] = 1"),
    "rnn: tanh(z) taken for z": cell(RNN, "slopes", "multiply(h, h, dz)", "tanh(h * h, dz)"),
    "rnn: slope of the h before": cell(RNN, "slopes", "[1:][block]", "[:-1][block]"),
    "rnn: slope forgotten on the way": cell(RNN, "backward", "*= ", "= "),
    "lstm: c's part of dh without the output gate": cell(LSTM, "slopes", "self.dc_dh *= gates[0]", "pass"),
    "lstm: slope of tanh(c) missing": cell(
        LSTM, "slopes", "subtract(1, self.dc_dh, self.dc_dh)", "self.dc_dh[...] = 1"
    ),
    "lstm: output gate's slope without tanh(c)": cell(LSTM, "slopes", "dz[0] *= tanh_c", "pass"),
    "lstm: c in place of c_prev for the forget gate": cell(
        LSTM, "slopes", "self.memory[3:, block]", "np.stack([gates[3], self.states[1][1:][block]])"
    ),
    "lstm: candidate's gradient by the candidate, not its gate": cell(
        LSTM, "slopes", "dz[3] *= gates[1]", "dz[3] *= gates[3]"
    ),
    "lstm: slope of the output gate missing": cell(
        LSTM, "gate_slopes", "gates[:3], dz[:3], dz[:3]", "gates[:3], dz[:3] * [[[[0]]], [[[1]]], [[[1]]]], dz[:3]"
    ),
    "lstm: slope of the candidate that of a sigmoid": cell(
        LSTM, "gate_slopes", "subtract(1, dz[3]", "subtract(gates[3], dz[3]"
    ),
    "lstm: carry of dc forgotten": cell(LSTM, "backward", "dc *= self.memory[2, t, :n]", "dc[...] = 0"),
    "lstm: carry of dc by the input gate": cell(LSTM, "backward", "self.memory[2,", "self.memory[1,"),
    "lstm: dc overwritten, not added to": cell(LSTM, "backward", "dc += into_c", "dc[...] = into_c"),
    "lstm: output gate's gradient from dc": cell(LSTM, "backward", "dz[0] *= dh", "dz[0] *= dc"),
    "lstm: slopes of another step": cell(LSTM, "backward", "t - self.start,", "t - self.start - 1,"),
    "lstm: gates at their ends let the gradient through": hard("(gates[:3] > 0) & (gates[:3] < 1)", "gates[:3] > -1"),
    "lstm: hard sigmoids with the slope of soft ones": hard(
        "multiply(HARD_SLOPE, (gates[:3] > 0) & (gates[:3] < 1), out=dz[:3])",
        "multiply(gates[:3], 1 - gates[:3], out=dz[:3])",
    ),
    "lstm: hard sigmoids forget the candidate's slope": hard("subtract(1, dz[3], dz[3])", "dz[3] = 1"),
    "gru: sign of the update gate": cell(
        GRU, "slopes", "self.states[0][:-1][block] - n", "n - self.states[0][:-1][block]"
    ),
    "gru: h in place of h_prev for the update gate": cell(GRU, "slopes", "[:-1][block]", "[1:][block]"),
    "gru: gradient of the reset gate without u": cell(GRU, "slopes", "dr *= u", "pass"),
    "gru: candidate's gradient by z, not 1 - z": cell(GRU, "slopes", "dn *= subtract(1, z)", "dn *= z"),
    "gru: slope of the candidate that of a sigmoid": cell(GRU, "slopes", "subtract(1, dn, dn)", "subtract(n, dn, dn)"),
    "gru: u's gradient by the update gate": cell(GRU, "slopes", "np.copyto(du, r)", "np.copyto(du, z)"),
    "gru: the direct way of dh forgotten": cell(GRU, "backward", "multiply(dh, self", "multiply(0 * dh, self"),
    "gru: reset gate's gradient from dh": cell(GRU, "backward", "dz[0] *= dz[2]", "dz[0] *= dh"),
    "gru: u's gradient from dh": cell(GRU, "backward", "dz[3] *= dz[2]", "dz[3] *= dh"),
    "gru: candidate without dh": cell(GRU, "backward", "dz[1:3] *= dh", "dz[1] *= dh"),
    "gru: dbh without the reset gate": cell(GRU, "own_gradients", "self.dz[3]", "self.dz[2]", "bh"),
    "gru: sign of dbh": cell(GRU, "own_gradients", "= column_sums(", "= -column_sums(", "bh"),
    "loop: carry of dh forgotten": loop(RNN, "multiply(dz_h[:, t, :n])", "pass"),
    "loop: carry of dh by way of one gate missing": loop(LSTM, "reduce(summed[:, :n]", "reduce(summed[1:, :n]"),
    "loop: carry by way of the last product missing": loop(GRU, "reduce(summed[:, :n]", "reduce(summed[:-1, :n]"),
    "loop: dy overwrites dh": loop(LSTM, "dh[:n] += dy[t, :n]", "dh[:n] = dy[t, :n]"),
    "loop: dy subtracted": loop(RNN, "np.add(summed[0, :n]", "np.subtract(summed[0, :n]"),
    "loop: dy of another step": loop(GRU, "dh[:n] += dy[t, :n]", "dh[:n] += dy[t - 1, :n]"),
    "loop: gradient of the last h forgotten": loop(RNN, "back[0] = dstates[0]", "pass"),
    "loop: gradient of the last c forgotten": loop(LSTM, "d.copy() for d in dstates", "0 * d for d in dstates"),
    "loop: gradient of the first h forgotten": loop(RNN, "back.sum(axis=0)", "0 * back[0]", "state0"),
    "loop: gradient of the first h from one gate": loop(LSTM, "back.sum(axis=0)", "back[0]", "state0"),
    "loop: gradient of the first h without the direct way": loop(
        GRU, "back.sum(axis=0)", "back[1:].sum(axis=0)", "state0"
    ),
    "loop: gradient of the first c forgotten": loop(
        LSTM, "*cell.dstates[1:])", "*(0 * d for d in cell.dstates[1:]))", "state1"
    ),
    "loop: gradients of the first h and c exchanged": loop(
        LSTM,
        "return dx, (back.sum(axis=0), *cell.dstates[1:])",
        "return dx, (*cell.dstates[1:], back.sum(axis=0))",
        "state0 state1",
    ),
    **{
        f"loop: gradient of padding let in ({kind.__name__})": loop(kind, "n = running[t]", "n = N", **PADDED)
        for kind in (RNN, LSTM, GRU)
    },
    **{
        f"loop: dz of padding not zeroed ({kind.__name__})": loop(
            kind, "dz[:, t, n:] = 0", "pass", f"Wh b x{' bh' * (kind is GRU)}", **PADDED
        )
        for kind in (RNN, LSTM, GRU)
    },
    "loop: dWh transposed": loop(RNN, WH, 'grads["Wh"][gates] = (h_prev @ as_rows(dz[slabs])).swapaxes(1, 2)', "Wh"),
    "loop: dWh of h, not of the h before": loop(RNN, "as_rows(h[:-1])", "as_rows(h[1:])", "Wh"),
    "loop: dWh zero": loop(LSTM, 'out=grads["Wh"][gates]', "out=None", "Wh"),
    "loop: dWh of the candidate without the reset gate": loop(GRU, WH, WH.replace("slabs", "gates"), "Wh"),
    "loop: sign of db": loop(RNN, "= products.column_sums(", "= -products.column_sums(", "b"),
    "loop: db of the candidate with the reset gate": loop(
        GRU, "column_sums(as_rows(dz[: cell.gates]))", "column_sums(as_rows(dz[[0, 1, 3]]))", "b"
    ),
    "products: dx of the last gate missing": product(
        LSTM, "project_backward", "zip(dz[1:], WT[1:], strict=True)", "zip(dz[1:-1], WT[1:-1], strict=True)", "x"
    ),
    "products: dx of Wx not transposed": product(GRU, "project_backward", "W.transpose(0, 2, 1)", "W", "x"),
    "products: dWx zero": product(
        GRU, "project_backward", "np.matmul(as_rows(x).T, as_rows(dz), out=dW)", "dW[...] = 0", "Wx"
    ),
    "products: dWx of ids from one gate": product(
        LSTM,
        "project_backward",
        "sum_rows_by_id(x.ravel(), dz_k,",
        "sum_rows_by_id(x.ravel(), dz[0].reshape(-1, 3),",
        "Wx",
        x=IDS,
    ),
    "products: carry through Wh not transposed": product(
        RNN, "step_product_back", "in_blocks(W.transpose(0, 2, 1), N)", "in_blocks(W, N)"
    ),
    **{
        f"products: of one row, carry through Wh not transposed ({kind.__name__})": product(
            kind, "step_product_back", "W.transpose(0, 2, 1).reshape(-1, K)", "W.reshape(-1, K)", **ROW
        )
        for kind in (RNN, LSTM, GRU)
    },
    "products: of one row, carry by way of one gate only": product(
        LSTM, "step_product_back", "rows.reshape(1, -1), below, total", "rows[0], below[: rows.shape[2]], total", **ROW
    ),
    "products: of rows with one id only the last counts": product(
        Embedding,
        "sum_rows_by_id",
        "return np.asarray(one_hot.T @ rows)",
        "total = np.zeros((size, rows.shape[1])); total[ids] = rows; return total",
        "W",
        owner=products,
        x=IDS,
    ),
    "sequences' dx not put back into their order": around(RNN, "dx[:, padding.back]", "dx", "x", **PADDED),
    "sequences' states not put back into their order": around(LSTM, "d[padding.back]", "d", "state0 state1", **PADDED),
    "sequences' dy not sorted": around(GRU, "dy[:, padding.order]", "dy", **PADDED),
    "weight dropout: dropped weights have a gradient": around(
        LSTM, 'grads["Wh"] *= mask', "pass", "Wh", dropout=0, weight_dropout=0.5
    ),
    "dropout: rest not scaled up": Fault(Dropout, "run_back", "dx * kept", "dx * (kept > 0)", check_dropout, "x"),
    "sequential: gradient of the last state forgotten": Fault(
        Sequential,
        "run_back",
        "kept[i], dstates[i], parts[i]",
        "kept[i], None, parts[i]",
        check_stack,
        "0.Wx 0.Wh 0.b x state0",
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
        "_convolve_back", "return dx, dpast", "return dx, None if dpast is None else 0 * dpast", "state0"
    ),
    "convolution: end state's gradient of x forgotten": convolution("_add_end", "dx += ", "_ = ", "x"),
    "convolution: end state's gradient of the past forgotten": convolution("_add_end", "dpast += ", "_ = ", "state0"),
    "convolution: end state of padding": convolution(
        "_add_end", "(padding)", "(Padding(None, padding.T, padding.N))", "x state0"
    ),
    "convolution: gradient of padding let in": convolution(
        "run_back", "padding.masked(dy)", "dy", "W b x state0", CausalConv1D
    ),
    "block: gradient of padding let in": block("dy = padding.masked(dy)", "pass", BLOCK_ALL),
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
        "kept[i], dstates[i], parts[i]", "kept[i], None, parts[i]", BELOW + " state2"
    ),
    "stack: skip of the last block only": stack(
        "dboth[..., : self.input_size] = dx", "dboth[...] = 0; dboth[..., : self.input_size] = dx", BELOW
    ),
    "max: to the first step of each group": pool(MaxPool1D(2, np.float64), "groups[:, j] == y", "j == 0"),
    "max: gradient of padding let in": pool(
        MaxPool1D(2, np.float64), "self.padding_out(padding, len(y)).masked(dy)", "dy"
    ),
    "max: to places in reversed order": pool(MaxPool1D(3, np.float64), "groups[:, j] == y", "groups[:, -j] == y"),
    "max of all: to the first step": pool(GlobalMaxPool1D(np.float64), "(dx, where,", "(dx, 0 * where,", OneOf),
    "last step: to the step before": pool(LastStep(np.float64), "(dx, where,", "(dx, where - 1,", OneOf),
    "one of all: gradient of padding let in": pool(
        GlobalMaxPool1D(np.float64), "self.padding_out(padding, 1).masked(dy)", "dy", OneOf
    ),
    "relu: slope forgotten": Fault(
        ReLU, "run_back", " * (kept > 0)", "", lambda: gradcheck.check_layer(ReLU(np.float64), X), "x"
    ),
    "loss: mean's 1 / count forgotten": Fault(
        gradcheck, "softmax_cross_entropy", "e *= scale", "e", check_loss, "logits"
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


def changed(function, old, new):
    """The function with one text in its source replaced."""
    source = textwrap.dedent(inspect.getsource(function)).removeprefix("@compiled\n")
    assert source.count(old) == 1
    made = {}
    exec(source.replace(old, new), function.__globals__, made)
    return made[function.__name__]


def reds(errors):
    return {error.what.replace(" ", "") for error in errors if not error.ok}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_turns_what_it_touches_red(monkeypatch, plain, fault):
    assert reds(fault.check()) == set()
    function = getattr(fault.owner, fault.function)
    monkeypatch.setattr(fault.owner, fault.function, changed(function, fault.old, fault.new))
    assert reds(fault.check()) == set(fault.red.split())


@pytest.mark.slow
@pytest.mark.extra("fast")
@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (RNN, "d - d * h_t * h_t", "d"),
        (RNN, "h[t + 1, j]", "h[t, j]"),
        (LSTM, "(o - o * o)", "o"),
        (LSTM, "gates[4, t, j]", "gates[4, t + 1, j]"),
        (LSTM, "dc[j] = dc_t * f", "dc[j] = dc_t"),
        (LSTM, "+ (back[2, j] + back[3, j])", "+ back[2, j]"),
        (GRU, "dn * r", "dn"),
        (GRU, "dn -= dn * n * n", "dn -= n * n"),
        (GRU, "back[0, j] = straight", "back[0, j] = dh"),
    ],
)
def test_a_fault_planted_into_a_compiled_cell_turns_all_red(monkeypatch, choose, kind, old, new):
    import numba

    choose("fast")
    cell = fast.compiled_cell(kind.cell)
    assert reds(check_kind(kind)) == set()
    plain = getattr(cell.backward_step, "py_func", cell.backward_step)  # not there under NUMBA_DISABLE_JIT
    monkeypatch.setattr(cell, "backward_step", staticmethod(numba.njit(changed(plain, old, new))))
    assert reds(check_kind(kind)) == set(ALL[kind].split())
