"""The course's dinosaur exercise: its reference values, its printed form, its golden run."""

import contextlib
import functools
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dinos import course
from numpyrnn import NumpyrnnError

CASES = json.loads((Path(__file__).parent / "data" / "cells.json").read_text())["cases"]
LETTERS = ["\n", *"abcdefghijklmnopqrstuvwxyz"]
IX_TO_CHAR = dict(enumerate(LETTERS))
CHAR_TO_IX = {char: ix for ix, char in IX_TO_CHAR.items()}
NAMES = ["abel", "bagaceratops", "cera", "dino"]


def draw(seed, n_a=100, n_x=27, n_y=27, before=()):
    """What the course draws after `np.random.seed(seed)`: the arrays of `before`, Wax, Waa, Wya, b, by."""
    rng = np.random.RandomState(seed)  # the course's, legacy, generator
    first = [rng.randn(*shape) for shape in before]
    shapes = {"Wax": (n_a, n_x), "Waa": (n_a, n_a), "Wya": (n_y, n_a), "b": (n_a, 1), "by": (n_y, 1)}
    return *first, {name: rng.randn(*shape) for name, shape in shapes.items()}


def run(num_iterations, names=NAMES, **settings):
    """What `model` prints, and what it gives back."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        results = course.model(names, IX_TO_CHAR, CHAR_TO_IX, num_iterations, **settings)
    return printed.getvalue(), *results


def one_hot(ix, size=27):
    x = np.zeros((size, 1))
    if ix is not None:
        x[ix] = 1
    return x


def loss_by_the_definition(X, Y, a_prev, parameters):
    """The sum over time of -ln y[target], step by step, and the last hidden state."""
    Wax, Waa, Wya, b, by = (parameters[name] for name in ("Wax", "Waa", "Wya", "b", "by"))
    loss, a = 0.0, a_prev
    for ix, target in zip(X, Y, strict=True):
        a = np.tanh(Wax @ one_hot(ix) + Waa @ a + b)
        z = Wya @ a + by
        loss += np.log(np.exp(z).sum()) - z[target, 0]
    return loss, a


# the golden run


@functools.cache
def golden_run(shared):
    """The reference run's checkpoints, those that our run printed, as (iteration, loss, names), and the last name."""
    reference = json.loads((shared / "goldens" / "dinos.json").read_text())
    names = (shared / "dinos.txt").read_text().lower().split("\n")
    printed, _, last = run(reference["num_iterations"], names)
    found = []
    for block in printed.removesuffix("\n\n\n").split("\n\n\n"):
        head, listing = block.split("\n\n")
        iteration, loss = re.fullmatch(r"Iteration: (\d+), Loss: (\d+\.\d{6})", head).groups()
        found.append((int(iteration), float(loss), listing.split("\n")))
    return reference["log"], found, last


@pytest.fixture
def golden(shared_data):
    return golden_run(shared_data)


def test_the_golden_run_has_a_checkpoint_each_thousand_iterations(golden):
    log, found, _ = golden
    assert [iteration for iteration, _, _ in found] == [entry["iteration"] for entry in log] == [*range(0, 22001, 1000)]
    assert all(len(names) == 7 for _, _, names in found)


def test_the_losses_of_the_golden_run_agree_while_they_can(golden):
    for entry, (iteration, loss, _) in zip(*golden[:2], strict=True):
        expected, rounding = entry["smoothed_loss"], 5e-7  # six decimals are printed
        if iteration <= 14_000:
            relative = 1e-6 if iteration <= 12_000 else 5e-6
            assert abs(loss - expected) <= relative * expected + rounding, iteration
        else:
            assert 22.5 <= loss <= 23.4, iteration


def test_the_names_of_the_golden_run_agree_while_they_can(golden):
    for entry, (iteration, _, names) in zip(*golden[:2], strict=True):
        if iteration <= 14_000:
            assert names == entry["names"], iteration


def test_the_last_name_of_the_golden_run_is_the_last_one_printed(golden):
    _, found, last = golden
    assert last == found[-1][2][-1] + "\n"


# reference values


@pytest.mark.parametrize("limit", [5, 10])
def test_clip_gives_the_reference_values_and_writes_to_nothing(limit):
    case = CASES[f"clip_{limit}"]
    gradients = {name: np.array(values) for name, values in case["inputs"].items()}
    before = {name: array.copy() for name, array in gradients.items()}
    clipped = course.clip(gradients, limit)
    assert clipped.keys() == case["outputs"].keys() == {"dWax", "dWaa", "dWya", "db", "dby"}
    for name, array in clipped.items():
        assert_array_equal(array, case["outputs"][name])
        assert_array_equal(gradients[name], before[name])
        assert not np.shares_memory(array, gradients[name])


def test_sample_gives_the_reference_indices():
    (parameters,) = draw(24)
    assert course.sample(parameters, CHAR_TO_IX, 0) == CASES["sample"]["outputs"]["indices"]


X, Y = [12, 3, 5, 11, 22, 3], [4, 14, 11, 22, 25, 26]


def test_optimize_gives_the_reference_values():
    expected = CASES["optimize"]["outputs"]
    a_prev, parameters = draw(1, before=[(100, 1)])
    loss, gradients, a = course.optimize(X, Y, a_prev, parameters, 0.01)
    assert_allclose(loss, expected["loss"], rtol=1e-12)
    # weights of size one and 100 units: each step multiplies a rounding error by about ten
    assert_allclose(a, expected["a_last"], rtol=0, atol=1e-10)
    assert gradients["dWax"].argmax() == expected["argmax_dWax"]
    assert gradients.keys() == {"dWax", "dWaa", "dWya", "db", "dby"}
    for name, values in expected["gradients"].items():
        assert_allclose(gradients[name], values, rtol=1e-8, atol=1e-10, err_msg=name)
    for name, total in expected["gradient_sums"].items():
        assert_allclose(gradients[name].sum(), total, rtol=1e-9, atol=1e-9, err_msg=name)
    for name, total in expected["updated_param_sums"].items():
        assert_allclose(parameters[name].sum(), total, rtol=1e-9, atol=1e-9, err_msg=name)


# one step


def test_optimize_updates_in_place_against_the_clipped_gradients():
    a_prev, parameters = draw(1, before=[(100, 1)])
    arrays, before = dict(parameters), {name: array.copy() for name, array in parameters.items()}
    a_before = a_prev.copy()
    _, gradients, _ = course.optimize(X, Y, a_prev, parameters, 0.25)
    assert max(np.abs(gradient).max() for gradient in gradients.values()) == 5.0  # clipped, for some were larger
    for name, array in parameters.items():
        assert array is arrays[name]
        assert_allclose(array, before[name] - 0.25 * gradients[f"d{name}"], rtol=1e-12, atol=1e-14)
    assert_array_equal(a_prev, a_before)


def test_the_gradients_are_those_of_the_loss():
    (parameters,) = draw(2, 5)
    parameters = {name: 0.3 * array for name, array in parameters.items()}
    a_prev, X, Y = np.full((5, 1), 0.1), [None, 1, 2, 1], [1, 2, 1, 0]
    expected_loss, expected_a = loss_by_the_definition(X, Y, a_prev, parameters)
    copy = {name: array.copy() for name, array in parameters.items()}
    loss, gradients, a = course.optimize(X, Y, a_prev, copy)
    assert_allclose(loss, expected_loss, rtol=1e-12)
    assert_allclose(a, expected_a, rtol=1e-12)
    for name, array in parameters.items():
        direction = np.random.default_rng(0).standard_normal(array.shape)
        up, down = (
            loss_by_the_definition(X, Y, a_prev, parameters | {name: array + sign * 1e-6 * direction})[0]
            for sign in (1, -1)
        )
        assert np.abs(gradients[f"d{name}"]).max() < 5  # nothing is clipped here
        assert_allclose((gradients[f"d{name}"] * direction).sum(), (up - down) / 2e-6, rtol=1e-7)


def test_the_default_learning_rate_is_a_hundredth():
    results = []
    for rate in ((), (0.01,)):
        a_prev, parameters = draw(1, before=[(100, 1)])
        course.optimize(X, Y, a_prev, parameters, *rate)
        results.append(parameters)
    for name, array in results[0].items():
        assert_array_equal(array, results[1][name])


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        ([None, 1], [1], "X and Y must be equally long"),
        ([], [], "X and Y must be equally long"),
        ([1, None], [1, 2], "None only first in X"),
        ([None, 27], [1, 2], "X must lie below 27 and Y below 27, got up to 27 and 2"),
        ([None, 1], [1, 27], "X must lie below 27 and Y below 27, got up to 1 and 27"),
        ([None, 1], [1, -1], "Y"),
        ([-2, 1], [1, 2], "X"),
    ],
)
def test_a_malformed_example_is_an_error_and_changes_nothing(X, Y, message):
    a_prev, parameters = draw(1, 4, before=[(4, 1)])
    before = {name: array.copy() for name, array in parameters.items()}
    with pytest.raises(NumpyrnnError, match=message):
        course.optimize(X, Y, a_prev, parameters)
    for name, array in parameters.items():
        assert_array_equal(array, before[name])


@pytest.mark.parametrize("shape", [(4,), (1, 4), (5, 1)])
def test_a_hidden_state_of_another_shape_is_an_error(shape):
    (parameters,) = draw(1, 4)
    with pytest.raises(NumpyrnnError, match=r"a_prev must have shape \(4, 1\)"):
        course.optimize([None], [0], np.zeros(shape), parameters)


def test_a_parameter_of_another_shape_is_an_error():
    (parameters,) = draw(1, 4)
    with pytest.raises(NumpyrnnError, match=r"Waa must have shape \(4, 4\), got \(4, 5\)"):
        course.optimize([None], [0], np.zeros((4, 1)), parameters | {"Waa": np.zeros((4, 5))})


# the small functions


def test_initial_parameters_are_small_normal_draws_of_seed_one_and_zero_biases():
    parameters = course.initialize_parameters(5, 3, 2)
    rng = np.random.RandomState(1)
    for name, shape in {"Wax": (5, 3), "Waa": (5, 5), "Wya": (2, 5)}.items():
        assert_array_equal(parameters[name], rng.randn(*shape) * 0.01)
    assert_array_equal(parameters["b"], np.zeros((5, 1)))
    assert_array_equal(parameters["by"], np.zeros((2, 1)))
    assert set(parameters) == {"Wax", "Waa", "Wya", "b", "by"}


def test_the_initial_loss_is_that_of_a_uniform_guess():
    assert_allclose(course.get_initial_loss(27, 7), 7 * np.log(27), rtol=1e-14)
    assert course.get_initial_loss(1, 7) == 0


def test_smooth_takes_a_thousandth_of_the_new_loss():
    assert_allclose(course.smooth(100.0, 50.0), 99.95, rtol=1e-14)
    assert course.smooth(0.0, 1000.0) == 1.0


@pytest.mark.parametrize(
    ("indices", "text"), [([20, 18, 5, 24, 0], "Trex\n"), ([1], "A"), ([0], "\n"), ([], ""), ([1, 0], "A\n")]
)
def test_get_sample_has_a_capital_and_keeps_the_newline(indices, text):
    assert course.get_sample(indices, IX_TO_CHAR) == text


# sampling


def sure(*, ends):
    """Parameters that give "a" with near certainty at every step, or the newline."""
    (parameters,) = draw(0, 3)
    parameters["Wya"][...] = 0
    parameters["by"][...] = 50.0 * one_hot(0 if ends else 1)
    return parameters


def test_a_sample_ends_at_the_newline():
    assert course.sample(sure(ends=True), CHAR_TO_IX, 0) == [0]


def test_a_sample_of_fifty_characters_is_closed_by_a_newline():
    assert course.sample(sure(ends=False), CHAR_TO_IX, 0) == [1] * 50 + [0]


def test_the_newline_may_have_any_index():
    moved = {"a": 0, "\n": 1}
    (parameters,) = draw(0, 3, 2, 2)
    parameters["Wya"][...] = 0
    parameters["by"][...] = [[0.0], [50.0]]
    assert course.sample(parameters, moved, 0) == [1]


def test_sample_draws_with_a_new_seed_each_step_two_apart():
    (parameters,) = draw(5, 8)
    parameters = {name: 0.2 * array for name, array in parameters.items()}
    for seed in (0, 3):
        a, ix, expected = np.zeros((8, 1)), None, []
        while ix != 0 and len(expected) < 50:
            a = np.tanh(parameters["Wax"] @ one_hot(ix) + parameters["Waa"] @ a + parameters["b"])
            y = np.exp(parameters["Wya"] @ a + parameters["by"])
            rng = np.random.RandomState(seed + 2 * len(expected))
            ix = int(rng.choice(27, p=(y / y.sum()).ravel()))
            expected.append(ix)
        assert course.sample(parameters, CHAR_TO_IX, seed) == expected + [0] * (ix != 0)


# the whole model


def test_a_checkpoint_is_printed_as_the_course_prints_it():
    printed, parameters, _ = run(1)
    head, *rest = printed.split("\n")
    # One update from near-uniform logits: the loss is (0.999 7 + 0.001 (characters + 1)) ln 27, nearly.
    order = list(NAMES)
    np.random.RandomState(0).shuffle(order)
    assert re.fullmatch(r"Iteration: 0, Loss: \d+\.\d{6}", head)
    expected = (0.999 * 7 + 0.001 * (len(order[0]) + 1)) * np.log(27)
    assert_allclose(float(head.split()[-1]), expected, atol=1e-4)
    names = [course.get_sample(course.sample(parameters, CHAR_TO_IX, seed), IX_TO_CHAR) for seed in range(7)]
    assert rest == ["", *(name.removesuffix("\n") for name in names), "", "", ""]


def test_checkpoints_come_at_zero_and_every_thousand_iterations():
    printed, _, _ = run(2001, n_a=3)
    assert re.findall(r"Iteration: (\d+)", printed) == ["0", "1000", "2000"]
    assert printed.count("\n") == 3 * (1 + 1 + 7 + 2)


def test_how_many_names_are_printed_can_be_said():
    printed, _, last = run(1, dino_names=2)
    assert printed.count("\n") == 1 + 1 + 2 + 2
    assert last.endswith("\n")
    assert last.removesuffix("\n") == printed.split("\n")[3]


def test_the_model_is_its_steps_with_the_hidden_state_carried_on():
    iterations, names = 7, [" abel ", "cera", "\tdino"]
    _, parameters, _ = run(iterations, names, n_a=6)
    stripped = ["abel", "cera", "dino"]
    np.random.RandomState(0).shuffle(stripped)
    expected, a = course.initialize_parameters(6, 27, 27), np.zeros((6, 1))
    for j in range(iterations):
        indices = [CHAR_TO_IX[char] for char in stripped[j % 3]]
        _, _, a = course.optimize([None, *indices], [*indices, 0], a, expected)
    assert parameters.keys() == expected.keys()
    for name, array in parameters.items():
        assert_allclose(array, expected[name], rtol=1e-10, atol=1e-13)


def test_the_list_of_names_is_not_changed():
    names = list(NAMES)
    run(3, names)
    assert names == NAMES


def test_the_run_repeats_and_leaves_numpys_global_state_alone():
    np.random.seed(123)  # noqa: NPY002
    before = np.random.get_state()[1:3]  # noqa: NPY002
    first, second = run(1001), run(1001)
    after = np.random.get_state()[1:3]  # noqa: NPY002
    assert first[0] == second[0]
    for name, array in first[1].items():
        assert_array_equal(array, second[1][name])
    assert_array_equal(before[0], after[0])
    assert before[1] == after[1]


def test_verbose_also_prints_the_first_example_and_the_ends_of_the_list():
    plain, _, _ = run(6, n_a=3)
    verbose, _, _ = run(6, n_a=3, verbose=True)
    order = list(NAMES)
    np.random.RandomState(0).shuffle(order)
    indices = [CHAR_TO_IX[char] for char in order[0]]
    for text in (
        "j = 0 idx = 0\n",
        f"single_example = {order[0]}\n",
        f"single_example_chars = {list(order[0])}\n",
        f"single_example_ix = {indices}\n",
        f"X = {[None, *indices]} \n",
        f"Y = {[*indices, 0]} \n",
        "j = 3 idx = 3\n",
        "j = 4 idx = 0\n",
    ):
        assert text in verbose
        assert text not in plain
    assert re.findall(r"j = (\d)", verbose) == ["0", "3", "4"]
    assert plain in re.sub(r"(?s)j = 0.*?\n\n(?=Iter)|j = [34] idx = \d\n", "", verbose)


def test_no_iterations_print_nothing_and_give_the_initial_parameters():
    printed, parameters, last = run(0, n_a=4)
    assert printed == last == ""
    for name, array in course.initialize_parameters(4, 27, 27).items():
        assert_array_equal(parameters[name], array)


@pytest.mark.parametrize(
    ("names", "message"),
    [([], "got 0 names"), (["abel", "béb 9"], r"unknown: \[' ', '9', 'é'\]"), (["Abel"], r"unknown: \['A'\]")],
)
def test_names_that_cannot_be_used_are_an_error(names, message):
    with pytest.raises(NumpyrnnError, match=message):
        run(1, names)
