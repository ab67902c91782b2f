"""The gradient checks as a tool: of functions, of layers, what they refuse and what they print."""

import doctest
import math
import re
import warnings

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
    NumpyrnnError,
    ReLU,
    Sequential,
    course,
    every,
    gradcheck,
)
from numpyrnn.gradcheck import assert_gradients, check_gradients, check_layer
from numpyrnn.layer import LAYERS, Layer, Padding, is_ours
from numpyrnn.parameters import Parameters

DRAW = np.random.default_rng(0)
N_X, N_A, N_Y, M, T = 3, 4, 2, 3, 3


def normal(*shape):
    return DRAW.standard_normal(shape)


X, W = normal(2, 3), normal(3, 4)
ARRAYS = {"x": X, "W": W}


def forward(x, W):
    y = np.tanh(x @ W)
    return y, (x, W, y)


def backward(dy, cache):
    x, W, y = cache
    dz = dy * (1 - y**2)
    return {"dx": dz @ W.T, "dW": x.T @ dz}


def reds(report):
    return {error.what for error in report if not error.ok}


def both(report):
    """Whether both witnesses judged."""
    return not any(error.why for error in report)


# What is right


@pytest.mark.parametrize(
    "results",
    [lambda grads: grads, lambda grads: {"W": grads["dW"], "dx": grads["dx"]}, lambda grads: tuple(grads.values())],
    ids=["d before the name", "any order", "a tuple"],
)
def test_right_gradients_are_right_in_every_form(results):
    report = check_gradients(forward, lambda dy, cache: results(backward(dy, cache)), ARRAYS)
    assert [(error.what, error.shape) for error in report] == [("x", (2, 3)), ("W", (3, 4))]
    assert report.ok
    assert both(report)


def test_a_function_of_one_array_without_a_cache_needs_neither_tuple_nor_dict():
    assert check_gradients(lambda x: x**3, lambda dy: dy * 3 * X**2, {"x": X}).ok


def test_the_upstream_gradient_of_a_loss_is_one():
    upstream = []

    def loss_backward(dloss):
        upstream.append(dloss)
        return 2 * X

    assert check_gradients(lambda x: (x**2).sum(), loss_backward, {"x": X}).ok
    assert upstream == [1]


def test_every_array_may_have_a_d_in_its_own_name():
    report = check_gradients(
        lambda d, dd: d * dd**2, lambda dy: {"d": dy * 4.0, "ddd": dy * 12.0}, {"d": 3.0, "dd": 2.0}
    )
    assert report.ok


def test_all_results_may_have_upstream_gradients():
    def two(x, W):
        return x @ W, x * 2

    def two_backward(dy, dz):
        return dy @ W.T + 2 * dz, X.T @ dy

    assert check_gradients(two, two_backward, ARRAYS, outputs=2).ok
    swapped = check_gradients(lambda x: (x, 2 * x), lambda dy, dz: 2 * dy + dz, {"x": X}, outputs=2)
    assert reds(swapped) == {"x"}


def test_nothing_that_goes_in_is_written_to_and_a_backward_that_writes_to_dy_is_told():
    arrays = {name: array.copy() for name, array in ARRAYS.items()}
    for array in arrays.values():
        array.flags.writeable = False

    def writing_backward(dy, cache):
        grads = backward(dy, cache)
        dy[...] = cache[2][...] = 0
        return grads

    report = check_gradients(forward, writing_backward, arrays)
    assert all(error.ok for error in report)
    assert not report.ok
    assert "Fault: backward must not write to upstream gradient 1: copy it first." in repr(report)


def parameters_of_lstm():
    parameters = {f"W{gate}": normal(N_A, N_A + N_X) for gate in "fico"}
    return parameters | {f"b{gate}": normal(N_A, 1) for gate in "fico"}


PREDICTION = {"Wya": normal(N_Y, N_A), "Wy": normal(N_Y, N_A), "by": normal(N_Y, 1)}  # y has no gradient in the course
RNN_PARAMETERS = {"Wax": normal(N_A, N_X), "Waa": normal(N_A, N_A), "ba": normal(N_A, 1)}
STEP = {"xt": normal(N_X, M), "a_prev": normal(N_A, M)}
SEQUENCE = {"x": normal(N_X, M, T), "a0": normal(N_A, M)}


def test_the_courses_rnn_cell():
    def cell(xt, a_prev, **parameters):
        return course.rnn_cell_forward(xt, a_prev, parameters | PREDICTION)

    report = assert_gradients(cell, course.rnn_cell_backward, STEP | RNN_PARAMETERS, outputs=1)
    assert both(report)
    assert "1 of forward's 3 results differentiated." in str(report)


def test_the_courses_lstm_cell():
    def cell(xt, a_prev, c_prev, **parameters):
        return course.lstm_cell_forward(xt, a_prev, c_prev, parameters | PREDICTION)

    arrays = STEP | {"c_prev": normal(N_A, M)} | parameters_of_lstm()
    assert both(assert_gradients(cell, course.lstm_cell_backward, arrays, outputs=2))


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_the_courses_sequences(kind):
    def run(x, a0, **parameters):
        return getattr(course, f"{kind}_forward")(x, a0, parameters | PREDICTION)

    arrays = SEQUENCE | (RNN_PARAMETERS if kind == "rnn" else parameters_of_lstm())
    assert both(assert_gradients(run, getattr(course, f"{kind}_backward"), arrays, outputs=1))


# What is wrong


@pytest.mark.parametrize(
    ("wrong", "red"),
    [
        (lambda dz, x, W: (dz @ W.T, x.T @ dz * 1.0005), {"W"}),
        (lambda dz, x, W: (dz @ W.T, 0 * W), {"W"}),
        (lambda dz, x, W: (-dz @ W.T, x.T @ dz), {"x"}),
        (lambda dz, x, W: (dz @ W.T, x[1:].T @ dz[1:]), {"W"}),
        (lambda dz, x, W: (dz @ W.T, x.T @ dz + 1e-9), {"W"}),
        (lambda dz, x, W: (x, W), {"x", "W"}),
    ],
    ids=["2.001 for 2", "zero", "sign", "a term omitted", "a little", "the arrays themselves"],
)
def test_a_wrong_gradient_is_red_and_the_right_one_beside_it_green(wrong, red):
    def wrong_backward(dy, cache):
        x, W, y = cache
        return wrong(dy * (1 - y**2), x, W)

    report = check_gradients(forward, wrong_backward, ARRAYS)
    assert reds(report) == red
    assert not report.ok
    with pytest.raises(AssertionError, match=r"(?s)^wrong gradients\nname .* WRONG"):
        assert_gradients(forward, wrong_backward, ARRAYS)


@pytest.mark.parametrize("gate", "fico")
def test_a_term_that_a_students_lstm_forgets_is_found(gate):
    def cell(xt, a_prev, c_prev, **parameters):
        return course.lstm_cell_forward(xt, a_prev, c_prev, parameters | PREDICTION)

    def forgetful(da_next, dc_next, cache):
        grads = course.lstm_cell_backward(da_next, dc_next, cache)
        return grads | {f"dW{gate}": np.hstack([grads[f"dW{gate}"][:, :N_A], 0 * grads[f"dW{gate}"][:, N_A:]])}

    arrays = STEP | {"c_prev": normal(N_A, M)} | parameters_of_lstm()
    report = check_gradients(cell, forgetful, arrays, outputs=2)
    assert reds(report) == {f"W{gate}"}
    [error] = [error for error in report if not error.ok]
    assert error.index[1] >= N_A
    assert error.ours == 0 != error.theirs


def test_the_table_names_the_worst_element_and_both_its_values():
    def off(dy, cache):
        grads = backward(dy, cache)
        grads["dW"][2, 1] += 0.25
        return grads

    report = check_gradients(forward, off, ARRAYS)
    head, x, W, hint, end = str(report).splitlines()
    assert head.split() == ["name", "shape", "error", "worst", "at", "backward", "witness", "verdict"]
    assert re.fullmatch(r"x +\(2, 3\) +\d\.\de-\d\d +\(\d, \d\) +\S+ +\S+ +right", x)
    ours, theirs = re.fullmatch(r"W +\(3, 4\) +\d\.\de[-+]\d\d +\(2, 1\) +(\S+) +(\S+) +WRONG", W).groups()
    assert float(ours) - float(theirs) == pytest.approx(0.25)
    assert hint == "W: 1 of 12 elements is wrong, all in [2, 1]."
    assert end == "1 of forward's 2 results differentiated. Not all gradients are right."


# Functions for which the complex step is not right


def by_buffer(x):
    y = np.zeros(x.shape)
    y[...] = x**2
    return y


def by_math(x):
    return np.array([math.sin(part) for part in x.ravel()])


@pytest.mark.parametrize(
    ("function", "slope", "why"),
    [
        (np.abs, np.sign, "the complex step disagrees, as for abs or .real"),
        (lambda x: x.real**2 + x, lambda x: 2 * x + 1, "the complex step disagrees, as for abs or .real"),
        (
            lambda x: np.array([max(part, 0) for part in x.ravel().tolist()]),
            lambda x: x > 0,
            "complex raises TypeError",
        ),
        (lambda x: np.floor(x) + x**2, lambda x: 2 * x, "complex raises UFuncTypeError|complex raises TypeError"),
        (by_buffer, lambda x: 2 * x, "complex raises ComplexWarning"),
        (by_math, np.cos, "complex raises (TypeError|ComplexWarning)"),
    ],
    ids=["abs", "real", "max", "floor", "buffer", "math"],
)
def test_central_differences_alone_judge_what_is_no_complex_step_function(function, slope, why):
    def gradient(factor):
        return lambda dy: factor * dy.reshape(X.shape) * slope(X)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = check_gradients(lambda x: function(x), gradient(1), {"x": X})
        wrong = check_gradients(lambda x: function(x), gradient(1.0005), {"x": X})
    assert report.ok
    assert re.search(rf"right \(central difference only: ({why})\)$", str(report), re.MULTILINE)
    assert re.search(rf"WRONG \(central difference only: ({why})\)$", str(wrong), re.MULTILINE)
    with pytest.raises(AssertionError, match="central difference only"):
        assert_gradients(lambda x: function(x), gradient(0), {"x": X})


def test_a_wrong_element_of_abs_does_not_drown_among_the_others():
    x, weights, factors = np.linspace(1, 2, 50), np.ones(50), np.ones(50)
    weights[25:], factors[7] = 100, 1 + 1e-5
    [error] = check_gradients(lambda x: np.abs(x) * weights, lambda dy: dy * weights * factors, {"x": x})
    assert error.index == (7,)
    assert error.central < gradcheck.CENTRAL
    assert not error.ok


def test_a_maximum_of_arrays_is_judged_by_both_witnesses():
    assert both(assert_gradients(lambda x: np.maximum(x, 0), lambda dy: dy * (X > 0), {"x": X}))
    assert both(assert_gradients(lambda x: x.max(), lambda dy: dy * np.equal(X, X.max()), {"x": X}))


def test_each_array_has_its_own_witnesses():
    report = check_gradients(lambda x, W: np.abs(x) @ W, lambda dy: (dy @ W.T * np.sign(X), np.abs(X).T @ dy), ARRAYS)
    assert report.ok
    assert [bool(error.why) for error in report] == [True, False]


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda x: np.sin(1000 * x), lambda x: 1000 * np.cos(1000 * x)),
        (lambda x: np.maximum(x, 0), lambda x: x > 0),
    ],
    ids=["a steep function", "a kink close by"],
)
def test_where_a_central_difference_is_too_coarse_a_finer_one_is_taken(function, slope):
    x = np.array([0.3, 5e-6])
    assert both(assert_gradients(function, lambda dy: dy * slope(x), {"x": x}))


# What is refused

SINGLE = X.astype(np.float32)
RIGHT = (forward, backward, ARRAYS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (forward, backward, {"x": SINGLE, "W": W}),
            "x must be a float64 array, got float32: check a float64 copy, np",
        ),
        (
            (forward, backward, {"x": X, "W": W.astype(int)}),
            "W must be a float64 array, got int64: check a float64 copy",
        ),
        ((forward, backward, {"x": X.tolist(), "W": W}), "x must be a float64 array, got list: check a float64 copy"),
        ((forward, backward, {"x": X + 0j, "W": W}), "x must be a float64 array, got complex128"),
        ((forward, backward, {"x": X * np.nan, "W": W}), "x must be finite, got nan"),
        ((forward, backward, [X, W]), r"arrays must be a dict from one name or more to float64 arrays, got '\[array"),
        ((forward, backward, {}), r"arrays must be a dict from one name or more to float64 arrays, got '{}'"),
        ((forward, backward, {0: X}), r"arrays must be a dict from one name or more to float64 arrays, got '{0"),
        ((lambda x, U: x, backward, ARRAYS), "forward must take x, W by name: missing a required argument: 'U'"),
        ((lambda x: x, backward, ARRAYS), "forward must take x, W by name: got an unexpected keyword argument 'W'"),
        ((3, backward, ARRAYS), "forward must take x, W by name: 3 is not a callable object"),
        ((lambda x, W: [x, W], backward, ARRAYS), "result 1 of forward must be a float64 array, got list"),
        (
            (lambda x, W: (x.astype("f"), W), backward, ARRAYS),
            "result 1 of forward must be a float64 array, got float32",
        ),
        ((lambda x, W: x @ W * DRAW.random(), lambda dy: (X, W), ARRAYS), "forward must return the same for the same"),
        ((forward, lambda dy: X, ARRAYS), r"backward must take 1 upstream gradients and the cache \(2 results of forw"),
        ((forward, None, ARRAYS), "backward must take 1 upstream .*: None is not a callable object"),
        ((*RIGHT, 0), "outputs must be a whole number of at least 1, got 0"),
        ((*RIGHT, 2), "result 2 of forward must be a float64 array, got tuple"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_line(arguments, message):
    with pytest.raises(NumpyrnnError, match=f"^{message}") as caught:
        check_gradients(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: {"dx": g["dx"]}, r"one gradient for each of x, W \(missing: \['W'\]\), got dx"),
        (lambda g: {}, r"one gradient for each of x, W \(missing: \['x', 'W'\]\), got none"),
        (lambda g: g | {"dWf": g["dW"]}, r"one gradient for each of x, W \(missing: \[\]\), got dx, dW, dWf"),
        (lambda g: {"x": g["dx"], "dWf": g["dW"]}, r"one gradient for each of x, W \(missing: \['W'\]\), got x, dWf"),
        (lambda g: g | {"x": g["dx"]}, r"one gradient for each of x, W \(missing: \[\]\), got dx, dW, x"),
        (lambda g: (g["dx"],), r"one gradient for each of x, W \(missing: \['W'\]\), got x"),
        (lambda g: g["dx"], r"one gradient for each of x, W \(missing: \['W'\]\), got x"),
        (lambda g: (g["dx"], g["dW"], g["dW"]), r"one gradient for each of x, W \(missing: \[\]\), got x, W, 0"),
        (lambda g: None, r"its gradients, got None: is a `return` missing\?"),
    ],
)
def test_a_backward_that_returns_anything_but_the_gradients_is_refused(change, message):
    with pytest.raises(NumpyrnnError, match=f"^backward must return {message}$"):
        check_gradients(forward, lambda dy, cache: change(backward(dy, cache)), ARRAYS)


@pytest.mark.parametrize(
    ("dW", "message"),
    [
        (lambda dW: dW.T, r"the gradient of W must have shape \(3, 4\), got \(4, 3\)"),
        (lambda dW: dW.astype(np.float32), "the gradient of W must be a float64 array, got float32"),
        (lambda dW: dW.tolist(), "the gradient of W must be a float64 array, got list"),
        (lambda dW: None, "the gradient of W must be a float64 array, got NoneType"),
        (lambda dW: dW * np.inf, "the gradient of W must be finite, got -?inf"),
    ],
)
def test_a_gradient_that_is_no_float64_array_of_the_shape_is_refused(dW, message):
    def odd_backward(dy, cache):
        grads = backward(dy, cache)
        return grads | {"dW": dW(grads["dW"])}

    with pytest.raises(NumpyrnnError, match=f"^{message}"):
        check_gradients(forward, odd_backward, ARRAYS)


# Layers

ALL = [
    RNN(3, 2, rng=0),
    LSTM(3, 2, rng=0),
    LSTM(3, 2, rng=0, hard_sigmoid=True),
    GRU(3, 2, rng=0),
    Dense(3, 2, rng=0),
    Embedding(3, 2, rng=0),
    Dropout(0.5),
    CausalConv1D(3, 2, 3, 2, rng=0),
    CausalConv1D(3, 2, 1, rng=0),
    GatedBlock(3, 2, 2, 2, rng=0),
    GatedStack(3, 2, 2, (1, 8), rng=0),
    ReLU(),
    MaxPool1D(2),
    MaxPool1D(7),
    GlobalMaxPool1D(),
    LastStep(),
    Sequential(Embedding(4, 2, rng=0), RNN(2, 2, rng=1), LastStep()),
]


@pytest.mark.parametrize("layer", ALL, ids=repr)
def test_a_layer_alone_is_enough(layer):
    before = layer.params.flat.copy()
    report = assert_gradients(layer)
    assert set(layer.params) <= {error.what for error in report}
    assert both(report)
    assert str(report).endswith("\nChecked: a float64 copy of the layer. All gradients are right.")
    assert check_layer(layer.copy(np.float64)).note == ""
    assert layer.params.flat.dtype == np.float32
    assert (layer.params.flat == before).all()


def test_every_kind_of_layer_is_among_them():
    assert {type(layer).__name__ for layer in ALL} >= {name for name, kind in LAYERS.items() if is_ours(kind)}


def test_lengths_without_x_say_how_many_sequences_there_are():
    [error] = [error for error in check_layer(RNN(3, 2, rng=0), lengths=[2, 0, 7, 1]) if error.what == "x"]
    assert error.shape == (40, 4, 3)
    assert error.ok


class Scale(Layer):
    """A layer as a student would write it: y = |w| x."""

    def __init__(self, dtype=np.float64, rng=None):
        self.params = Parameters({"w": (3,)}, dtype)
        self.params["w"] = np.array([1.5, -2.0, 0.5])

    def forward(self, x, state=None, lengths=None, rng=None, cache=True):
        padding = Padding(lengths, *x.shape[:2])
        return padding.masked(np.abs(self.params["w"]) * x), None, (padding.masked(x), padding)

    def backward(self, dy, cache, dstate=None, grads=None):
        (x, padding), w = cache, self.params["w"]
        found = self.grads((dy * x).sum(axis=(0, 1)) * np.sign(w))
        if grads is not None:
            grads["w"][...] = found["w"]
        return padding.masked(np.abs(w) * dy), None, found

    def grads(self, dw):
        return {"w": dw}


def make(name, value):
    """A kind of Scale with another method."""
    return type("Faulty", (Scale,), {name: value})()


def test_a_layer_of_ones_own_is_judged_by_what_can_judge_it():
    report = check_layer(Scale(), normal(2, 3, 3))
    assert report.ok
    assert {error.what: bool(error.why) for error in report} == {"w": True, "x": False}
    assert reds(check_layer(make("grads", lambda self, dw: {"w": 2.001 * dw}), normal(2, 3, 3))) == {"w"}


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (make("grads", lambda self, dw: {}), normal(2, 3, 3), r"backward must return .* \(missing: \['w'\]\), got x"),
        (make("grads", lambda self, dw: {"dv": dw}), normal(2, 3, 3), r"backward must return .* got dv, x"),
        (
            make(
                "backward", lambda self, dy, cache, dstate=None, grads=None: (None, None, {"w": 0 * self.params["w"]})
            ),
            normal(2, 3, 3),
            r"backward must return .* \(missing: \['x'\]\), got w",
        ),
        (Scale(), normal(2, 3, 3).astype(np.float32), "x must be a float64 array, got float32: check a float64 copy"),
        (RNN(3, 2, rng=0), normal(2, 3, 3).tolist(), "x must be a float64 array, got list: check a float64 copy"),
        (RNN(3, 2, rng=0), normal(2, 3), r"x must have shape \(T, N, 3\), got \(2, 3\)"),
        (RNN(3, 2, np.complex128, rng=0), None, "check_layer needs a layer of float64 or float32, got RNN"),
        (forward, None, "check_layer needs a layer of float64 or float32, got <function forward"),
        (MaxPool1D(1000), None, r"x of MaxPool1D\(size=1000\) must have at least 1000 steps, got 5"),
    ],
)
def test_a_layer_that_cannot_be_checked_is_refused_in_one_line(layer, x, message):
    with pytest.raises(NumpyrnnError, match=f"^{message}"):
        check_layer(layer, x)


def test_assert_gradients_raises_with_the_table_of_a_layer():
    wrong = make("grads", lambda self, dw: {"w": -dw})
    with pytest.raises(
        AssertionError, match=r"wrong gradients\nname .*\nw .* WRONG .*\nx .* right\nw: all .* -1 times .*\nNot all"
    ):
        assert_gradients(wrong, normal(2, 3, 3))


@pytest.mark.slow
def test_both_witnesses_judge_every_gradient_of_the_report():
    assert all(both(report) for _, _, report in every.report())


def test_the_example_of_the_docstring_holds():
    assert doctest.testmod(gradcheck) == (0, 2)  # failed, tried
