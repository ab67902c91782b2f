"""The gradient checker is itself checked: wrong gradients fail, right ones pass, and both witnesses are used."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from numpyrnn import GRU, NumpyrnnError, every, gradcheck
from numpyrnn.layer import LAYERS, is_ours

T, N, D, H = 4, 4, 3, 3
X, LENGTHS = np.random.default_rng(0).standard_normal((T, N, D)), np.array([4, 2, 0, 3])


def square(arrays):
    return (arrays["x"] ** 2 * arrays["w"]).sum()


ARRAYS = {"x": np.array([1.0, -2.0, 0.5]), "w": np.array([3.0, 0.25, -1.0])}
GRADIENTS = {"x": 2 * ARRAYS["x"] * ARRAYS["w"], "w": ARRAYS["x"] ** 2}


def test_right_gradients_of_a_function_are_green():
    errors = gradcheck.check_function(square, ARRAYS, GRADIENTS)
    assert [(error.what, error.shape, error.ok) for error in errors] == [("x", (3,), True), ("w", (3,), True)]


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
    monkeypatch.setattr(every, "check_layer", lambda *arguments, **options: [])  # it takes its time
    ours = {name for name, kind in LAYERS.items() if is_ours(kind)}
    assert {name.partition(",")[0] for name, _, _ in every.report()} >= ours
