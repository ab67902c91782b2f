"""The textbook functions against reference values (data/cells.json)."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from numpyrnn import NumpyrnnError, course

CELLS = Path(__file__).parent / "data" / "cells.json"
CASES = {
    name: {kind: {key: np.array(values) for key, values in case[kind].items()} for kind in ("inputs", "outputs")}
    for name, case in json.loads(CELLS.read_text())["cases"].items()
    if name.endswith(("_forward", "_backward"))
}
FORWARD = [name for name in CASES if name.endswith("_forward")]
BACKWARD = [name for name in CASES if name.endswith("_backward")]


def split(inputs):
    """A case's inputs as (states and x, parameters): parameters are those that start with W or b."""
    parameters = {name: array for name, array in inputs.items() if name[0] in "Wb"}
    return {name: array for name, array in inputs.items() if name not in parameters}, parameters


def forward(name, inputs):
    """What the forward function of a case returns, by name, and the cache (or caches) it gives."""
    name = name.removeprefix("public_").replace("_backward", "_forward")
    arrays, parameters = split(inputs)
    arguments = [arrays[key] for key in ("xt", "x", "a_prev", "a0", "c_prev") if key in arrays]
    names = {
        "rnn_cell_forward": ("a_next", "yt_pred"),
        "rnn_forward": ("a", "y_pred"),
        "lstm_cell_forward": ("a_next", "c_next", "yt_pred"),
        "lstm_forward": ("a", "y", "c"),
    }[name]
    *results, cache = getattr(course, name)(*arguments, parameters)
    return dict(zip(names, results, strict=True)), cache


def backward(name, inputs, cache):
    gradients = [inputs[key] for key in ("da", "da_next", "dc_next") if key in inputs]
    return getattr(course, name)(*gradients, cache)


def run(name, inputs):
    """The results of a case: of the forward function, or of the backward function after it."""
    results, cache = forward(name, inputs)
    return results if name in FORWARD else backward(name, inputs, cache)


def compare(got, expected):
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        assert_allclose(got[name], array, rtol=1e-12, atol=1e-15, err_msg=name)


def lock(value):
    """Make every array in a cache read-only, so that writing to one raises."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, dict):
        lock(list(value.values()))
    else:
        for part in value:
            lock(part)


def case(name):
    """A case's inputs and outputs, copied."""
    return ({key: array.copy() for key, array in CASES[name][kind].items()} for kind in ("inputs", "outputs"))


def test_the_cases_are_those_of_the_shared_data(shared_data):
    assert json.loads(CELLS.read_text()) == json.loads((shared_data / "goldens" / "cells.json").read_text())


@pytest.mark.parametrize("name", FORWARD)
def test_forward_gives_the_reference_values(name):
    inputs, expected = case(name)
    got, cache = forward(name, inputs)
    if "lstm_cell" in name:
        got |= dict(zip(("ft", "it", "cct", "ot"), cache[4:8], strict=True))
    compare(got, expected)


@pytest.mark.parametrize("name", BACKWARD)
def test_backward_gives_the_reference_values(name):
    inputs, expected = case(name)
    compare(run(name, inputs), expected)


def test_a_shorter_da_uses_the_first_caches_only():
    inputs, expected = case("lstm_backward")
    assert inputs["x"].shape[2] == 7
    assert inputs["da"].shape[2] == 4
    _, caches = forward("lstm_backward", inputs | {"x": inputs["x"][:, :, :4]})
    compare(backward("lstm_backward", inputs, caches), expected)


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_caches_hold_what_is_documented(kind):
    inputs, _ = case(f"{kind}_cell_forward")
    arrays, parameters = split(inputs)
    results = getattr(course, f"{kind}_cell_forward")(*arrays.values(), parameters)
    cache = results[-1]
    assert [id(part) for part in cache[: len(results) - 2]] == [id(part) for part in results[:-2]]  # a_next (, c_next)
    states = {"rnn": ["a_prev", "xt"], "lstm": ["a_prev", "c_prev", "xt"]}[kind]
    places = {"rnn": [1, 2], "lstm": [2, 3, 8]}[kind]
    assert all(cache[place] is arrays[name] for name, place in zip(states, places, strict=True))
    assert cache[-1] is parameters
    assert len(cache) == {"rnn": 4, "lstm": 10}[kind]


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_a_sequences_caches_are_one_a_step_and_x(kind):
    inputs, _ = case(f"{kind}_forward")
    results, (cells, x) = forward(f"{kind}_forward", inputs)
    assert x is inputs["x"]
    assert len(cells) == x.shape[2]
    for t, cell in enumerate(cells):
        assert_allclose(cell[0], results["a"][:, :, t], rtol=0)


@pytest.mark.parametrize("name", BACKWARD)
def test_nothing_that_goes_in_is_written_to(name):
    inputs, expected = case(name)
    lock(inputs)
    _, cache = forward(name, inputs)
    lock(cache)
    for _ in range(2):  # and the second pass over one cache gives the same
        compare(backward(name, inputs, cache), expected)


@pytest.mark.parametrize(
    ("name", "wrong", "shape", "message"),
    [
        ("rnn_cell_forward", "xt", (4, 10), r"xt must have shape \(3, m\), got \(4, 10\)"),
        ("rnn_cell_forward", "a_prev", (5, 9), r"a_prev must have shape \(5, 10\), got \(5, 9\)"),
        ("rnn_forward", "x", (3, 10), r"x must have shape \(n_x, m, T_x\), got \(3, 10\)"),
        ("lstm_cell_forward", "xt", (2, 10), r"xt must have shape \(3, m\), got \(2, 10\)"),
        ("lstm_cell_forward", "c_prev", (4, 10), r"c_prev must have shape \(5, 10\), got \(4, 10\)"),
        ("lstm_forward", "x", (3,), r"x must have shape \(n_x, m, T_x\), got \(3,\)"),
        ("lstm_forward", "a0", (5, 1), r"a_prev must have shape \(5, 10\), got \(5, 1\)"),
        ("rnn_cell_backward", "da_next", (5, 9), r"da_next must have shape \(5, 10\), got \(5, 9\)"),
        ("rnn_backward", "da", (5, 10, 5), r"da must have 1 to 4 steps \(as many as caches\), got 5"),
        ("lstm_cell_backward", "dc_next", (6, 10), r"dc_next must have shape \(5, 10\), got \(6, 10\)"),
        ("lstm_backward", "da", (5, 10, 0), r"da must have 1 to 7 steps \(as many as caches\), got 0"),
        ("lstm_backward", "da", (5, 3, 4), r"da must have shape \(5, 10, T_x\), got \(5, 3, 4\)"),
    ],
)
def test_a_wrong_shape_is_named_with_what_was_expected(name, wrong, shape, message):
    inputs, _ = case(name)
    with pytest.raises(NumpyrnnError, match=message):
        run(name, inputs | {wrong: np.zeros(shape)})


@pytest.mark.parametrize(("name", "missing"), [("rnn_forward", "ba"), ("lstm_forward", "Wc"), ("lstm_forward", "by")])
def test_a_missing_parameter_is_named(name, missing):
    inputs, _ = case(name)
    del inputs[missing]
    with pytest.raises(NumpyrnnError, match=rf"parameters must have .*{missing}.*, missing {missing}$"):
        forward(name, inputs)
