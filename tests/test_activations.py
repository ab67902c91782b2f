"""Sigmoid, softmax and log-softmax, against SciPy and at the ends of the number line."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from numpyrnn.activations import log_softmax, sigmoid, softmax

HUGE = np.finfo(np.float64).max
TINY = np.finfo(np.float64).tiny
X = np.random.default_rng(0).normal(0, 5, (3, 4, 5))
ROWS = {
    "ordinary": [0.5, -1.0, 2.0],
    "equal": [7.0, 7.0, 7.0],
    "thousands": [1000.0, -1000.0, 999.0],
    "all far down": [-1000.0, -1001.0, -1002.0],
    "huge": [HUGE / 2, -HUGE / 2, 0.0],
    "all huge": [HUGE, HUGE, HUGE],
    "all far, far down": [-HUGE, -HUGE, -HUGE],
}
rows = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


def test_sigmoid_is_scipys():
    x = np.concatenate([np.linspace(-700, 700, 2001), [0.0, -0.0, TINY, -TINY]])
    assert_allclose(sigmoid(x), special.expit(x), rtol=1e-14)


@pytest.mark.parametrize("x", [750.0, 1000.0, HUGE, np.inf])
def test_sigmoid_has_ends(x):
    assert sigmoid(x) == 1
    assert sigmoid(-x) == 0


def test_sigmoid_keeps_its_relative_accuracy_in_the_lower_tail():
    x = np.array([-40.0, -100.0, -700.0])
    assert_allclose(sigmoid(x), np.exp(x), rtol=1e-15)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(
    ("ours", "scipys"), [(softmax, special.softmax), (log_softmax, special.log_softmax)], ids=["softmax", "log_softmax"]
)
def test_softmax_and_its_logarithm_are_scipys_along_any_axis(ours, scipys, axis):
    assert_allclose(ours(X, axis), scipys(X, axis), rtol=1e-13)


@rows
def test_softmax_is_a_distribution_in_the_order_of_its_argument(row):
    p = softmax(np.array(row))
    assert_allclose(p.sum(), 1, rtol=1e-15)
    assert_allclose(p, special.softmax(row), rtol=1e-13)
    assert (np.diff(p[np.argsort(row, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_each_row_is_on_its_own_however_far_from_the_others(function):
    together = function(np.array(list(ROWS.values())))
    for row, got in zip(ROWS.values(), together, strict=True):
        assert_allclose(got, function(np.array(row)), rtol=1e-14)


@rows
def test_log_softmax_is_finite_and_at_most_zero(row):
    log_p = log_softmax(np.array(row))
    assert np.isfinite(log_p).all()
    assert log_p.max() <= 0
    assert_allclose(log_p, special.log_softmax(row), rtol=1e-13)


@pytest.mark.parametrize("function", [sigmoid, softmax, log_softmax])
def test_dtype_and_shape_are_kept_and_the_argument_is_not_written_to(function):
    for dtype in (np.float32, np.float64, np.complex128):
        x = X.astype(dtype)
        x.flags.writeable = False
        assert function(x).dtype == dtype
        assert function(x).shape == X.shape
        assert_allclose(function(x), function(X), rtol=1e-3)


@pytest.mark.parametrize("function", [sigmoid, softmax, log_softmax])
def test_integers_count_as_the_numbers_they_are(function):
    x = np.array([-3, 0, 5])
    assert_array_equal(function(x), function(x.astype(float)))


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
        (softmax, lambda x: softmax(x) * (1 - softmax(x))),
        (log_softmax, lambda x: 1 - softmax(x)),
    ],
)
def test_the_imaginary_part_of_a_complex_step_is_the_derivative(function, slope):
    step = np.zeros_like(X, np.complex128)
    step[..., 0] = 1e-30j
    assert_allclose(function(X + step)[..., 0].imag / 1e-30, slope(X)[..., 0], rtol=1e-12)


def test_differences_beyond_the_largest_number_stay_finite():
    x = np.array([1e308, -1e308])
    assert_allclose(softmax(x), [1, 0])
    assert np.isfinite(log_softmax(x)).all()


def test_integers_are_taken_as_numbers():
    assert_allclose(sigmoid(np.array([0, 5], np.uint8)), [0.5, 1 / (1 + np.exp(-5.0))])
