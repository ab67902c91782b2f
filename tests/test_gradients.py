"""Every gradient of every layer and of the loss against the complex step and the central difference."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpyrnn import GRU, LSTM, RNN, Dense, Dropout, Embedding, Sequential, every, gradcheck
from numpyrnn.losses import softmax_cross_entropy

pytestmark = pytest.mark.usefixtures("back_end")


class Case(NamedTuple):
    T: int
    N: int
    D: int
    H: int
    seed: int
    padded: bool
    integers: bool

    @property
    def lengths(self):
        """Lengths in any order, zeros among them, or None."""
        return np.random.default_rng(self.seed).integers(0, self.T + 1, self.N) if self.padded else None

    @property
    def ids(self):
        return np.random.default_rng(self.seed + 1).integers(0, self.D, (self.T, self.N))

    @property
    def floats(self):
        return np.random.default_rng(self.seed + 2).standard_normal((self.T, self.N, self.D))

    @property
    def x(self):
        return self.ids if self.integers else self.floats


cases = st.builds(
    Case,
    T=st.integers(1, 5),
    N=st.integers(1, 3),
    D=st.integers(1, 3),
    H=st.integers(1, 3),
    seed=st.integers(0, 2**16),
    padded=st.booleans(),
    integers=st.booleans(),
)


def reds(errors):
    assert errors
    return {error.what: error for error in errors if not error.ok}


def assert_layer_ok(layer, x, case, dropout=None):
    """Assert that no gradient of the layer is wrong; return the gradients' names.

    If the terms of a gradient happen to cancel, their rounding errors exceed the tolerance. Therefore a gradient that
    fails is checked again with other weights of the outputs: a chance failure then passes, and a wrong gradient fails.
    """
    first = gradcheck.check_layer(layer, x, case.lengths, dropout, seed=case.seed)
    if reds(first):
        again = reds(gradcheck.check_layer(layer, x, case.lengths, dropout, seed=case.seed + 1))
        assert not {name: (error, again[name]) for name, error in reds(first).items() if name in again}
    return {error.what for error in first}


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU, Dense])
@given(case=cases)
@settings(max_examples=25)
def test_parameters_input_and_initial_state(kind, case):
    layer = kind(case.D, case.H, np.float64, case.seed)
    states = {RNN: {"state 0"}, LSTM: {"state 0", "state 1"}, GRU: {"state 0"}, Dense: set()}[kind]
    inputs = set() if case.integers else {"x"}
    assert assert_layer_ok(layer, case.x, case) == set(layer.params) | states | inputs


@given(case=cases)
@settings(max_examples=20)
def test_embedding(case):
    layer = Embedding(case.D, case.H, np.float64, case.seed)
    assert_layer_ok(layer, case.ids, case)


@pytest.mark.parametrize("shared", [None, "time", "features"])
@given(case=cases, rate=st.sampled_from([0.0, 0.2, 0.5, 0.9]))
@settings(max_examples=15)
def test_dropout(shared, case, rate):
    layer = Dropout(rate, shared, np.float64)
    assert_layer_ok(layer, case.floats, case, dropout=case.seed)


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
@given(case=cases)
@settings(max_examples=10)
def test_dropout_of_the_recurrent_weights(kind, case):
    layer = kind(case.D, case.H, np.float64, case.seed, weight_dropout=0.4)
    assert_layer_ok(layer, case.x, case, dropout=case.seed)


@given(case=cases, kinds=st.lists(st.sampled_from([RNN, LSTM, GRU]), min_size=1, max_size=3))
@settings(max_examples=20)
def test_stacks(case, kinds):
    rng = np.random.default_rng(case.seed)
    first = Embedding if case.integers else Dense
    layers = [first(case.D, case.H, np.float64, rng)]
    for kind in kinds:
        layers += [kind(case.H, case.H, np.float64, rng), Dropout(0.3)]
    layers.append(Dense(case.H, case.D, np.float64, rng))
    assert_layer_ok(Sequential(layers), case.x, case, dropout=case.seed)


several = cases.filter(lambda case: case.D > 1)  # with one class there is nothing to learn: see the second test below


@given(case=several, scale=st.sampled_from([0.1, 1.0, 5.0]))
@settings(max_examples=25)
def test_loss(case, scale):
    mask = np.arange(case.T)[:, None] < np.maximum(case.lengths, 1) if case.padded else None
    assert not reds(gradcheck.check_loss(scale * case.floats, case.ids, mask))


@given(case=several)
@settings(max_examples=15)
def test_loss_against_distributions(case):
    targets = np.random.default_rng(case.seed).dirichlet(np.ones(case.D), (case.T, case.N))
    assert not reds(gradcheck.check_loss(case.floats, targets))


def test_of_one_class_loss_and_gradient_are_zero():
    logits = np.array([[[3.0], [-70.0]], [[0.1], [1e300]]])
    for targets in (np.zeros((2, 2), int), np.ones((2, 2, 1))):
        loss, dlogits = softmax_cross_entropy(logits, targets)
        assert loss == pytest.approx(0, abs=1e-15)
        assert not dlogits.any()


def test_the_report_is_all_ok():
    reported = list(every.report())
    kinds = {"RNN", "LSTM", "GRU", "Dense", "Embedding", "Dropout", "Sequential", "Cross-entropy"}
    assert kinds <= {name for name, _, _ in reported}
    assert all(formula for _, formula, _ in reported)
    assert not {name: reds(errors) for name, _, errors in reported if reds(errors)}
