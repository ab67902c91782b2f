"""Causal convolutions and gated blocks: their equations, what they see, in pieces, padded, their gradients, errors."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import signal

from numpyrnn import CausalConv1D, Dense, Embedding, GatedBlock, GatedStack, NumpyrnnError, ReLU, Sequential, gradcheck
from numpyrnn.layer import leaves

T, N, D, C, V = 12, 3, 2, 4, 7
DRAW = np.random.default_rng(0)
X, IDS, LENGTHS = DRAW.standard_normal((T, N, D)), DRAW.integers(0, V, (T, N)), np.array([5, 0, 12])


def fill(layer):
    """The layer, with biases that are not zero."""
    layer.params.flat[...] += np.random.default_rng(1).normal(0, 0.3, layer.params.flat.shape)
    return layer


MAKERS = {
    "CausalConv1D": lambda dtype=np.float64: fill(CausalConv1D(D, C, 3, 2, dtype, 0)),
    "GatedBlock": lambda dtype=np.float64: fill(GatedBlock(D, C, 3, 2, dtype, 0)),
    "GatedStack": lambda dtype=np.float64: fill(GatedStack(D, C, 2, (1, 2, 1), dtype, 0)),
}
makers = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
padded = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])


def wavenet(dtype=np.float64):
    layers = [Embedding(V, D, dtype, 0), CausalConv1D(D, D, 2, 1, dtype, 1), GatedStack(D, 16, 2, (1, 2), dtype, 2)]
    return fill(Sequential(*layers, ReLU(dtype), Dense(16, V, dtype, 3)))


def some_state(layer, N=N, seed=2):
    """A state, or a gradient of one, of random numbers."""
    rng = np.random.default_rng(seed)
    states = [rng.standard_normal((N, one.reach, one.input_size)) for one in getattr(layer, "layers", [layer])]
    return tuple(states) if isinstance(layer, GatedStack) else states[0]


# The equations, in plain loops over one sequence


def affine(rows, t, W, b, dilation):
    """b plus the sum over k of rows[t - (K - 1 - k) dilation] W[k], number by number; None stands for zeros."""
    total = [float(bias) for bias in b]
    for k, W_k in enumerate(W):
        row = rows(t - (len(W) - 1 - k) * dilation)
        for d, c in np.ndindex(W_k.shape):
            total[c] += row[d] * W_k[d, c]
    return np.array(total)


def reader(x, past):
    """rows(t) of a sequence with what came before it: the state, or zeros."""
    reach = 0 if past is None else len(past)
    return lambda t: x[t] if t >= 0 else past[reach + t] if past is not None else np.zeros(x.shape[1])


def plain_convolution(layer, x, past):
    rows = reader(x, past)
    y = [affine(rows, t, layer.params["W"][:, 0], layer.params["b"][0], layer.dilation) for t in range(len(x))]
    return np.reshape(y, (len(x), -1))


def plain_block(layer, x, past):
    W, b, Wo, bo = layer.params.values()
    rows, y = reader(x, past), []
    for t in range(len(x)):
        f, g = (affine(rows, t, W[:, k], b[k], layer.dilation) for k in (0, 1))
        u = np.tanh(f) / (1 + np.exp(-g))
        residual, skip = x[t] + u @ Wo[:, :D] + bo[:D], u @ Wo[:, D:] + bo[D:]
        y.append(np.concatenate([residual, skip]))
    return np.reshape(y, (len(x), -1))


def plain_stack(layer, x, past):
    skips = 0
    for i, block in enumerate(layer.layers):
        y = plain_block(block, x, None if past is None else past[i])
        x, skips = y[:, :D], skips + y[:, D:]
    return skips


PLAIN = {CausalConv1D: plain_convolution, GatedBlock: plain_block, GatedStack: plain_stack}


def assert_plain(layer, T, with_state, lengths=None, tolerance=1e-12):
    x, state = X[:T], some_state(layer) if with_state else None
    y, _, _ = layer.forward(x, state, lengths)
    assert y.dtype == layer.dtype
    for n in range(N):
        length = T if lengths is None else lengths[n]
        own = None if state is None else tuple(part[n] for part in state) if isinstance(state, tuple) else state[n]
        if length:
            expected = PLAIN[type(layer)](layer, x[:length, n], own)
            assert_allclose(y[:length, n], expected, rtol=tolerance, atol=tolerance)
        assert not y[length:, n].any()


@pytest.mark.parametrize("with_state", [False, True], ids=["", "state"])
@pytest.mark.parametrize("dilation", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4])
def test_a_convolution_is_its_equation(kernel_size, dilation, with_state):
    layer = fill(CausalConv1D(D, C, kernel_size, dilation, np.float64, 0))
    assert layer.reach == (kernel_size - 1) * dilation  # 0 to 15, where T is 1 to 12
    for steps in (1, 2, 7, T):
        assert_plain(layer, steps, with_state)
    assert_plain(layer, T, with_state, LENGTHS)
    assert_plain(layer, 6, with_state, np.array([0, 6, 1]))


@pytest.mark.parametrize("with_state", [False, True], ids=["", "state"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3])
@pytest.mark.parametrize("dilations", [(1,), (3, 1), (1, 2, 4, 8)])
def test_gated_blocks_and_their_stack_are_their_equations(dilations, kernel_size, with_state):
    stack = fill(GatedStack(D, C, kernel_size, dilations, np.float64, 0))
    assert stack.reach == (kernel_size - 1) * sum(dilations)
    for steps, lengths in ((1, None), (T, None), (T, LENGTHS)):
        assert_plain(stack, steps, with_state, lengths)
        assert_plain(stack.layers[0], steps, with_state, lengths)


@makers
def test_in_single_precision_the_numbers_are_the_same_to_its_digits(make):
    layer = make(np.float32)
    assert_plain(layer, T, True, LENGTHS, 1e-5)
    for state in (None, some_state(layer)):
        results = both_ways(layer, X, state, layer.forward(X)[0], state, LENGTHS)
        assert {leaf.dtype for leaf in leaves(list(results.values()))} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (2, 1), (3, 2), (4, 5)])
def test_of_one_feature_it_is_numpys_convolution_and_scipys_filter(kernel_size, dilation):
    layer = fill(CausalConv1D(1, 1, kernel_size, dilation, np.float64, 0))
    impulse, past = np.zeros(layer.reach + 1), some_state(layer, 1)
    impulse[::dilation] = layer.params["W"][::-1].ravel()  # the last tap is the present step
    x, b = X[:, 0, 0], layer.params["b"].item()
    y, _, _ = layer.forward(x[:, None, None])
    assert_allclose(y.ravel(), signal.lfilter(impulse, 1, x) + b, rtol=1e-12, atol=1e-12)
    y, _, _ = layer.forward(x[:, None, None], past)
    expected = np.convolve(np.concatenate([past.ravel(), x]), impulse)[layer.reach :][:T] + b
    assert_allclose(y.ravel(), expected, rtol=1e-12, atol=1e-12)


# What an output sees


@pytest.mark.parametrize("make", [*MAKERS.values(), wavenet], ids=[*MAKERS, "WaveNet"])
def test_a_change_is_seen_at_once_and_to_the_end_of_the_reach_and_nowhere_else(make):
    layer = make()
    reach = sum(getattr(one, "reach", 0) for one in getattr(layer, "layers", [layer]))
    assert 0 < reach < T - 1
    x = IDS if isinstance(layer, Sequential) else X
    y, _, _ = layer.forward(x)
    for t in range(T):
        other = x.copy()
        other[t, 1] = (other[t, 1] + 1) % V
        changed = layer.forward(other)[0] != y  # to the bit
        assert not changed[:, [0, 2]].any()
        assert not changed[:t].any()
        assert changed[t, 1].any()
        assert not changed[t + reach + 1 :].any()
        if t + reach < T:
            assert changed[t + reach, 1].any()


# In pieces


def both_ways(layer, x, state, dy, dstate, lengths=None):
    y, end, cache = layer.forward(x, state, lengths)
    dx, dinitial, grads = layer.backward(dy, cache, dstate)
    return {"y": y, "dx": dx, "end": leaves(end), "dinitial": leaves(dinitial), **grads}


def assert_same(got, expected, names=None):
    for name in names or expected:
        for one, other in zip(leaves(got[name]), leaves(expected[name]), strict=True):
            assert_allclose(one, other, rtol=1e-12, atol=1e-12, err_msg=name)


@makers
@given(cuts=st.sets(st.integers(1, T - 1)), lengths=st.none() | st.lists(st.integers(0, T), min_size=N, max_size=N))
@example(cuts=set(range(1, T)), lengths=None)
@example(cuts=set(range(1, T)), lengths=LENGTHS.tolist())
@settings(max_examples=30)
def test_one_pass_is_any_pieces_that_carry_their_state_forward_and_back(make, cuts, lengths):
    layer, rng = make(), np.random.default_rng(3)
    dy = rng.standard_normal(layer.forward(X)[0].shape)
    state, dstate = some_state(layer), some_state(layer, seed=4)
    whole = both_ways(layer, X, state, dy, dstate, lengths)
    pieces = [slice(a, b) for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), T], strict=True)]
    y, dx, caches = np.empty_like(dy), np.empty_like(X), []
    for piece in pieces:
        left = None if lengths is None else np.clip(np.array(lengths) - piece.start, 0, piece.stop - piece.start)
        y[piece], state, cache = layer.forward(X[piece], state, left)
        caches.append(cache)
    total = layer.params.zeros_like()
    for piece, cache in zip(pieces[::-1], caches[::-1], strict=True):
        dx[piece], dstate, grads = layer.backward(dy[piece], cache, dstate)
        total.flat += grads.flat
    assert_same({"y": y, "dx": dx, "end": leaves(state), "dinitial": leaves(dstate), **total}, whole)


def test_a_whole_wavenet_writes_step_by_step_what_it_gives_in_one_pass():
    model = wavenet()
    (y, end, _), state = model.forward(IDS), None
    for t in range(T):
        step, state, _ = model.forward(IDS[t : t + 1], state, cache=False)
        assert_allclose(step[0], y[t], rtol=1e-12, atol=1e-12)
    assert_same({"end": leaves(state)}, {"end": leaves(end)})


@padded
@makers
def test_no_state_is_one_of_zeros_but_for_its_gradient_and_no_cache_changes_nothing(make, lengths):
    layer = make()
    zeros = tuple(map(np.zeros_like, leaves(some_state(layer))))
    zeros = zeros if isinstance(layer, GatedStack) else zeros[0]
    y, end, cache = layer.forward(X, None, lengths)
    dx, dinitial, grads = layer.backward(y, cache)
    assert leaves(dinitial) == []
    got = {"y": y, "end": leaves(end), "dx": dx, **grads}
    assert_same(got, both_ways(layer, X, zeros, y, None, lengths), got)
    y_lean, end_lean, nothing = layer.forward(X, None, lengths, cache=False)
    assert nothing is None
    assert_array_equal(y_lean, y)
    for lean, kept in zip(leaves(end_lean), leaves(end), strict=True):
        assert_array_equal(lean, kept)


# Padding


@makers
def test_a_padded_batch_is_each_sequence_alone(make):
    layer, rng = make(), np.random.default_rng(3)
    dy = rng.standard_normal(layer.forward(X)[0].shape)
    state, dstate = some_state(layer), some_state(layer, seed=4)
    batch, total = both_ways(layer, X, state, dy, dstate, LENGTHS), layer.params.zeros_like()
    for n, length in enumerate(LENGTHS):
        assert not batch["y"][length:, n].any()
        assert not batch["dx"][length:, n].any()
        own, down = ([part[[n]] for part in leaves(given)] for given in (state, dstate))
        got = {name: [part[[n]] for part in batch[name]] for name in ("end", "dinitial")}
        if length == 0:  # the state goes through, and so does its gradient
            assert_same(got, {"end": own, "dinitial": down})
            continue
        own, down = (own, down) if isinstance(layer, GatedStack) else (own[0], down[0])
        alone = both_ways(layer, X[:length, [n]], own, dy[:length, [n]], down)
        got |= {"y": batch["y"][:length, [n]], "dx": batch["dx"][:length, [n]]}
        assert_same(got, alone, got)
        for name in total:
            total[name] += alone[name]
    assert_same(batch, total)


# Gradients


SHAPES = [(1, 1, 3, None), (1, 4, 3, [0, 3]), (2, 1, 1, None), (2, 7, 3, None), (2, 7, 3, [0, 2])]
SHAPES += [(3, 2, 5, [5, 3]), (4, 1, 6, [0, 0])]


@pytest.mark.parametrize(("K", "dilation", "steps", "lengths"), SHAPES)
@pytest.mark.parametrize("kind", [CausalConv1D, GatedBlock, GatedStack])
def test_every_gradient_is_right(kind, K, dilation, steps, lengths):
    dilations = (dilation, 1, 2) if kind is GatedStack else dilation
    layer, x = fill(kind(2, 3, K, dilations, np.float64, 0)), np.random.default_rng(5).standard_normal((steps, 2, 2))
    errors = gradcheck.check_layer(layer, x, lengths)
    states = {f"state {i}" for i in range(len(getattr(layer, "layers", [layer])))} if K > 1 else set()
    assert {error.what for error in errors} == set(layer.params) | {"x"} | states
    assert not [error for error in errors if not error.ok]


@padded
@makers
def test_gradients_are_written_into_the_buffer_given_and_are_the_same_twice(make, lengths):
    layer, buffer = make(), make().params.zeros_like()
    y, _, cache = layer.forward(X, some_state(layer), lengths)
    dx, _, expected = layer.backward(y, cache)
    buffer.flat[...] = np.nan
    dx_again, _, grads = layer.backward(y, cache, grads=buffer)
    assert grads is buffer
    assert_array_equal(buffer.flat, expected.flat)
    assert_array_equal(dx_again, dx)


# What is left alone


@padded
@makers
def test_arguments_are_not_written_to_and_results_share_no_memory_with_them(make, lengths):
    layer = make()
    state, dstate = some_state(layer), some_state(layer, seed=4)
    y, _, _ = layer.forward(X)
    arguments = [X.copy(), y.copy(), *leaves(state), *leaves(dstate), layer.params.flat]
    for array in [*arguments, *layer.params.values()]:
        array.flags.writeable = False  # from here on, writing raises
    x, dy, *_ = arguments
    y, end, cache = layer.forward(x, state, lengths)
    dx, dinitial, grads = layer.backward(dy, cache, dstate)
    results = [y, dx, grads.flat, *leaves(end), *leaves(dinitial)]
    for i, result in enumerate(results):
        assert not any(np.shares_memory(result, other) for other in arguments + results[:i])


def test_parameters_have_the_documented_shapes_and_start_within_glorots_limit():
    assert CausalConv1D(D, C, 3).params.shapes == {"W": (3, 1, D, C), "b": (1, C)}
    shapes = {"W": (2, 2, D, D), "b": (2, D), "Wo": (D, D + C), "bo": (D + C,)}
    assert GatedBlock(D, C).params.shapes == shapes
    stack = GatedStack(D, C)
    assert stack.dilations == (1, 2, 4, 8, 16)
    assert stack.params.shapes == {f"{i}.{name}": shape for i in range(5) for name, shape in shapes.items()}
    params, limit = CausalConv1D(20, 30, 3, dtype=np.float64, rng=0).params, np.sqrt(6 / (3 * 20 + 3 * 30))
    assert 0.99 * limit < np.abs(params["W"]).max() <= limit
    assert not params["b"].any()
    assert_array_equal(params.flat, CausalConv1D(20, 30, 3, 9, np.float64, np.random.default_rng(0)).params.flat)


# Errors


def error(*parts):
    """Expects a NumpyrnnError of one line, whose message has these parts, in this order."""
    return pytest.raises(NumpyrnnError, match="^" + ".*".join(re.escape(part) for part in parts) + ".*$")


COUNT = "must be a whole number of at least 1, got"


LIST = "dilations must be a list of one or more whole numbers, got"


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: CausalConv1D(0, 3, 2), (f"input_size {COUNT} 0",)),
        (lambda: CausalConv1D(3, 3, 0), (f"kernel_size {COUNT} 0",)),
        (lambda: CausalConv1D(3, 3, 2, 1.5), (f"dilation {COUNT} 1.5",)),
        (lambda: GatedBlock(3, True), (f"skip_size {COUNT} True",)),
        (lambda: GatedStack(3, 3, 2, [1, 0]), (f"dilation {COUNT} 0",)),
        (lambda: GatedStack(3, 3, 2, []), (f"{LIST} []",)),
        (lambda: GatedStack(3, 3, 2, 4), (f"{LIST} 4",)),
        (lambda: GatedStack(3, 3, 2, "12"), (f"{LIST} '12'",)),
        (lambda: GatedBlock(3, 3, dtype=np.float16), ("dtype must be float32 or float64", "float16")),
    ],
)
def test_constructors_say_what_they_need(make, parts):
    with error(*parts):
        make()


CONVOLUTIONS = {CausalConv1D: "CausalConv1D", GatedBlock: "GatedBlock", GatedStack: "GatedBlock"}  # whose errors


@pytest.mark.parametrize("token", [0, V], ids=["id of a feature", "any id"])
@makers
def test_ids_need_an_embedding(make, token):
    layer = make()
    name = CONVOLUTIONS[type(layer)]
    with error("x of ", name, "must be floating (T, N, D), got ids: put an Embedding before it"):
        layer.forward(np.full((T, N), token))


@makers
def test_passes_say_what_they_need(make):
    layer = make()
    y, end, cache = layer.forward(X)
    stacked, name = isinstance(layer, GatedStack), CONVOLUTIONS[type(layer)]
    with error("x must have shape (T, N, 2), got (12, 3, 1)"):
        layer.forward(X[..., :1])
    with error("x must be finite, got nan at index (4, 1, 0)"):
        layer.forward(np.where(np.arange(T * N * D).reshape(T, N, D) == 26, np.nan, X))
    with error("lengths must be integers from 0 to T = 12, got"):
        layer.forward(X, lengths=[1, 2, 13])
    with error(f"dy must have shape (12, 3, {y.shape[2]}), got (11, 3, {y.shape[2]})"):
        layer.backward(y[1:], cache)
    with error("backward needs the cache of forward(..., cache=True), got None"):
        layer.backward(y, layer.forward(X, cache=False)[2])
    short, bad = ([part[:, 1:] for part in leaves(end)], [part + np.nan for part in leaves(end)])
    short, bad = (short, bad) if stacked else (short[0], bad[0])
    reach = leaves(end)[0].shape[1]
    with error("state of ", name, f"must have shape (3, {reach}, 2), got (3, {reach - 1}, 2)"):
        layer.forward(X, short)
    with error("state of ", name, "must be finite, got nan"):
        layer.forward(X, bad)
    with error("dstate of ", name, "must have shape"):
        layer.backward(y, cache, short)
    if stacked:
        with error("state must be a tuple of 3 (one entry per layer), got"):
            layer.forward(X, end[:2])


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
def test_the_gradient_of_the_last_state_reaches_x_also_without_an_initial_state(lengths):
    layer = fill(CausalConv1D(D, C, 3, 2, np.float64, 0))
    zeros = np.zeros((N, layer.reach, D))
    y, end, with_state = layer.forward(X, zeros, lengths=lengths)
    without_state = layer.forward(X, lengths=lengths)[2]
    dend = np.random.default_rng(2).standard_normal(end.shape)
    dx, dinitial, _ = layer.backward(np.zeros_like(y), without_state, dend)
    assert dinitial is None
    assert_array_equal(dx, layer.backward(np.zeros_like(y), with_state, dend)[0])
    assert dx.any()
