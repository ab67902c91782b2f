"""`numpyrnn gradcheck FILE.py:case` and docs/check-your-own.md: faults are found, and what goes wrong is one line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import command_tree as tree
import numpy as np
import pytest

from numpyrnn import NumpyrnnError
from numpyrnn.cases import checks_of
from numpyrnn.hints import box, hint

ROOT = Path(__file__).parents[1]
DOC = (ROOT / "docs/check-your-own.md").read_text("utf-8")
CELL = (ROOT / "docs/lstm_cell.py").read_text("utf-8")
GATES = {"f": {"Wf", "bf"}, "i": {"Wi", "bi"}, "c": {"Wc", "bc"}, "o": {"Wo", "bo"}}
INPUTS = {"xt", "a_prev"}
WEIGHTS, BIASES = {"Wf", "Wi", "Wc", "Wo"}, {"bf", "bi", "bc", "bo"}
THROUGH_C = {*INPUTS, "c_prev", *GATES["f"], *GATES["i"], *GATES["c"]}
ARRAYS = {*THROUGH_C, *GATES["o"]}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """A function that writes a file of one's own and checks it: exit status, what is printed, the error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})

    def check(text, case=":case", file="mine.py"):
        Path(file).write_text(text, "utf-8")
        return tree.invoke("numpyrnn", ["gradcheck", f"{file}{case}"])

    return check


def reds(printed):
    """The arrays whose verdict is WRONG."""
    return set(re.findall(r"^(\w+) .* WRONG", printed, re.MULTILINE))


# The page


def test_the_code_of_the_page_is_that_of_the_files():
    cell, layer, leaky, _ = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    assert cell in CELL
    assert layer in (ROOT / "docs/own_layer.py").read_text("utf-8")
    assert (ROOT / "docs/leaky_layer.py").read_text("utf-8").endswith(leaky)


@pytest.mark.parametrize("file", ["lstm_cell.py", "own_layer.py", "leaky_layer.py"])
def test_the_files_beside_the_page_are_right(check, file):
    status, printed, errors = check((ROOT / "docs" / file).read_text("utf-8"), "", file)
    assert (status, errors) == (0, "")
    cases = re.findall(r"^(\S+):(case\w*)$", printed, re.MULTILINE)
    assert cases == [
        (file, case)
        for case in ("case", "case_layer", "case_model", "case_leaky", "case_leaky_ids")
        if f"def {case}(" in (ROOT / "docs" / file).read_text()
    ]
    assert printed.count("All gradients are right.") == len(cases)


def test_without_check_state_the_error_says_how_a_state_is_declared(check):
    text = (ROOT / "docs/leaky_layer.py").read_text("utf-8")
    for right, wrong in (
        ("def check_state", "def other"),
        ("], state\n", "], 0.0\n"),
        ("masked(dy), dstate", "masked(dy), 0.0"),
    ):
        text = text.replace(right, wrong)
    status, printed, errors = check(text, ":case_leaky")
    assert status == 1
    assert "(a layer with a state defines check_state)" in printed + errors


def test_the_fault_of_the_page_gives_its_table(check):
    status, printed, _ = check(CELL.replace("dcct = dc * it * (1 - cct**2)", "dcct = dc * it"), file="wrong_cell.py")
    (shown,) = re.findall(r"```text\n(.*?)```", DOC, re.DOTALL)
    assert status == 1
    assert reds(printed) == reds(shown) == {*INPUTS, *GATES["c"]}
    assert re.findall(r"^\w+ .* WRONG|^[\w, ]+: .*", printed, re.M) == re.findall(
        r"^\w+ .* WRONG|^[\w, ]+: .*", shown, re.M
    )


def test_the_test_of_the_page_passes_and_fails_with_the_table(tmp_path):
    *_, test = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    (tmp_path / "test_cell.py").write_text(test)
    for text, status in ((CELL, 0), (CELL.replace("dc * ft}", "dc}"), 1)):
        (tmp_path / "lstm_cell.py").write_text(text)
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_cell.py"]
        ran = subprocess.run(
            command,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ran.returncode == status, ran.stdout
        assert bool(re.search(r"c_prev .* WRONG", ran.stdout)) == bool(status)


# The faults of the page's table


@pytest.mark.parametrize(
    ("right", "wrong", "red", "said"),
    [
        ("dft = dc * c_prev * ft * (1 - ft)", "dft = dc * c_prev", {*INPUTS, *GATES["f"]}, ""),
        ("dit = dc", "dit = -dc", {*INPUTS, *GATES["i"]}, "Wi, bi: all elements are wrong; backward gives -1 times"),
        ("dot = da_next", "dot = 2 * da_next", {*INPUTS, *GATES["o"]}, "backward gives 2 times the derivative"),
        ("dot = da_next * np.tanh(c_next)", "dot = da_next * c_next", {*INPUTS, *GATES["o"]}, ""),
        ('{"f": dft, "i": dit,', '{"f": dit, "i": dft,', GATES["f"] | GATES["i"], "Wf: .* gives the derivative of Wi"),
        (" * (1 - np.tanh(c_next) ** 2)", "", THROUGH_C, ""),
        ("dc = dc_next + da_next", "dc = da_next", THROUGH_C, ""),
        ("da_next * ot * (1", "da_next * (1", THROUGH_C, ""),
        ("dc * ft}", "dc}", {"c_prev"}, ""),
        ("dc * ft}", "0 * dc}", {"c_prev"}, "backward gives zeros"),
        ("Wf.T @ dft + ", "", INPUTS, ""),
        ("dconcat[n_a:], \"da_prev\": dconcat[:n_a]", "dconcat[:3], \"da_prev\": dconcat[3:]", INPUTS, ""),
        ("[a_prev, xt])\n    dconcat", "[xt, a_prev])\n    dconcat", WEIGHTS, "in another order"),
        ("dgate.sum(", "dgate.mean(", BIASES, "backward gives 0.2 times the derivative"),
        ("[a_prev, xt])\n    dconcat", "[a_prev, 2 * xt])\n    dconcat", WEIGHTS, r"12 of 28 .*, all in \[:, 4:7\]"),
        ("xt, parameters)\n", "0 * xt, parameters)\n", WEIGHTS, r"all in \[:, 4:7\]"),
        ("(a_next, c_next, a_prev", "(a_next, c_next + 1, a_prev", ARRAYS, ""),
    ],
)  # fmt: skip
def test_a_fault_makes_those_arrays_red_that_lead_to_its_line(check, right, wrong, red, said):
    assert CELL.count(right) == 1
    status, printed, errors = check(CELL.replace(right, wrong))
    assert (status, errors) == (1, "")
    assert reds(printed) == red
    assert re.search(said, printed)


# What cannot be checked


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("dit = dc", "dit = dcc"), r"mine\.py, line 46, in lstm_cell_backward: NameError: name 'dcc' is not defined"),
        (("axis=1, keepdims=True", "axis=1"), r"case: the gradient of bf must have shape \(4, 1\), got \(4,\)"),
        (('"dc_prev": dc * ft', ""), r"mine\.py:case: backward must return one gradient for each of .*'c_prev'"),
        (("dit = dc", "dit = np.nan * dc"), r"mine\.py:case: the gradient of xt must be finite, got nan at index"),
        (("return a_next, c_next, cache", "return a_next + np.inf, cache"), r"result 1 of forward must be finite"),
        (("(n_x, m))}", "(n_x, m)).astype(np.float32)}"), r"xt must be a float64 array, got float32"),
        (("ft = sig", "ft = np.random.rand() * sig"), r"forward must return the same for the same arrays"),
        (("xt, a_prev, c_prev, **parameters):", "xt, a_prev):"), r"forward must take .* by name"),
        (("    return forward, lstm", "    return lstm"), r"a case must return forward, backward and ar.* got \("),
        (("return forward, lstm_cell_backward, arrays", "raise KeyError('Wf')"), r"mine\.py, line \d+, in case: Key"),
        (("def case():", "def case(n):"), r"mine\.py:case: TypeError: case\(\) missing 1 required positional argument"),
        (("def case():", "def other():"), r"mine\.py must define a function case, its cases are: none"),
        (("def case():", "def case_b():"), r"mine\.py must define a function case, its cases are: case_b"),
        (("import numpy", "import numpi"), r"mine\.py, line 6: ModuleNotFoundError: No module named 'numpi'"),
        (("import numpy as np", "import sys; sys.exit(3)"), r"mine\.py, line 6: SystemExit: 3"),
        (("def case():", "def case(:"), r"mine\.py, line 58: SyntaxError: "),
        (("def case():", "\0def case():"), r"mine\.py: (Syntax|Value)Error: .* null bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_one_line(check, change, message):
    assert CELL.count(change[0]) >= 1
    status, printed, errors = check(CELL.replace(*change, 1))
    assert status == 1
    assert printed in ("", "mine.py:case\n")
    assert re.match(f"Error: .*{message}", errors), errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("missing.py", "missing.py could not be read: No such file or directory"),
        ("missing.py:case", "missing.py could not be read: No such file or directory"),
        (".", "must be a Python file, it is a folder"),
        ("empty.py", "empty.py must define a function whose name begins with case, its cases are: none"),
        ("large.py", "large.py must be a Python file of at most 1,048,576 bytes, it has more"),
        ("uses.py", "helper.py, line 2, in help: ZeroDivisionError: division by zero"),
        ("imports.py", "broken.py, line 1: SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(check, spec, message):
    files = {
        "empty.py": "case = 1\n",
        "large.py": "#" * (1 << 20) + "\n",
        "uses.py": "from helper import help as case\n",
    }
    files |= {"helper.py": "def help():\n    1 / 0\n", "broken.py": "def\n", "imports.py": "import broken\n"}
    for name, text in files.items():
        Path(name).write_text(text)
    status, printed, errors = tree.invoke("numpyrnn", ["gradcheck", spec])
    assert status == 1
    assert printed in ("", "uses.py:case\n")
    assert message in errors
    assert errors.count("\n") == 1


# What else holds


def test_all_cases_of_all_files_are_checked_and_one_wrong_gradient_makes_the_status_1(check):
    wrong = CELL.replace("dc * ft}", "dc}") + "\n\ndef case_first():\n    print('noise')\n    return case()\n"
    Path("right.py").write_text(CELL)
    Path("wrong.py").write_text(wrong)
    status, printed, _ = tree.invoke("numpyrnn", ["gradcheck", "wrong.py", "right.py::case"])
    assert status == 1
    assert re.findall(r"^\w+\.py:\w+$", printed, re.MULTILINE) == [
        "wrong.py:case",
        "wrong.py:case_first",
        "right.py:case",
    ]
    assert printed.count("noise") == 1


def test_a_case_may_return_a_report_and_may_import_its_neighbours(check):
    Path("neighbour_of_mine.py").write_text("SLOPE = 3\n")
    text = "import numpy as np\nfrom neighbour_of_mine import SLOPE\nfrom numpyrnn.gradcheck import check_gradients\n"
    text += (
        "def case():\n    return check_gradients(lambda x: SLOPE * x, lambda dy: SLOPE * dy, {'x': np.ones(2)}, 1)\n"
    )
    status, printed, errors = check(text)
    assert (status, errors) == (0, "")
    assert "All gradients are right." in printed


def test_a_case_may_say_how_many_results_are_differentiated(check):
    text = "import numpy as np\nfrom numpyrnn.course import lstm_backward, lstm_forward\ndef case():\n"
    text += (
        "    draw, fixed = np.random.default_rng(0).standard_normal, {'Wy': np.ones((2, 4)), 'by': np.ones((2, 1))}\n"
    )
    text += (
        "    arrays = {f'W{gate}': draw((4, 7)) for gate in 'fico'} | {f'b{gate}': draw((4, 1)) for gate in 'fico'}\n"
    )
    text += "    arrays |= {'x': draw((3, 2, 5)), 'a0': draw((4, 2))}\n"
    text += "    return lambda x, a0, **p: lstm_forward(x, a0, p | fixed), lstm_backward, arrays, 1\n"
    status, printed, errors = check(text)
    assert (status, errors) == (0, "")
    assert "1 of forward's 4 results differentiated. All gradients are right." in printed


def test_nothing_is_written_beside_the_file(check):
    check(CELL)
    assert [path.name for path in Path().iterdir()] == ["mine.py"]


def test_another_seed_gives_other_upstream_gradients(check):
    Path("cell.py").write_text(CELL)
    values = [[error.ours for error in dict(checks_of("cell.py", seed))["cell.py:case"]()] for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ([(1, 4), (1, 5), (3, 6)], ", all in [[1, 3], 4:7]"),
        ([(2, 0)], ", all in [2, 0]"),
        ([(i, 6) for i in range(4)], ", all in [:, 6]"),
        ([(i, i) for i in range(4)] + [(0, 4), (0, 5), (0, 6)], ""),
    ],
)
def test_the_place_of_the_wrong_elements_is_told_as_an_index(places, said):
    mask = np.zeros((4, 7), bool)
    mask[tuple(zip(*places, strict=True))] = True
    assert box(mask) == said


def test_a_hint_says_only_what_holds():
    rng = np.random.default_rng(0)
    slope, other = rng.standard_normal((3, 3)), rng.standard_normal((3, 3))
    wrong = np.ones((3, 3), bool)
    for ours, said in (
        (slope.T, "the transposed derivative"),
        (slope / 3, "0.333333 times the derivative"),
        (-slope, "-1 times the derivative (a sign)"),
        (slope[::-1], "the numbers of the derivative in another order"),
        (other, "the derivative of b"),
        (slope + 1e-8 * other, "few digits"),
        (slope + other, None),
    ):
        found = hint("a", {"a": ours}, {"a": slope, "b": other}, wrong)
        assert found == "all elements are wrong" if said is None else said in found
    for size in (1e300, 1e-300):
        assert hint("a", {"a": size * other}, {"a": size * slope}, wrong) == "all elements are wrong"
    assert hint("a", {"a": slope[:1, :1]}, {"a": slope[1:2, 1:2]}, wrong[:1, :1]) == "all elements are wrong"


# What is not in the table of gradients


LAYER = """import numpy as np
from numpyrnn.layer import Layer
from numpyrnn.parameters import Parameters


class Mine(Layer):
    sizes = ("input_size",)

    def __init__(self, input_size, dtype=np.float32, rng=None):
        self.input_size = input_size
        self.params = Parameters({"b": (input_size,)}, np.dtype(dtype))
        self.params["b"] = np.ones(input_size)

    def run(self, x, state, padding, drawn, cache):
        return padding.masked(x * self.params["b"]), None, x

    def run_back(self, dy, x, dstate, grads, padding):
        dy = padding.masked(dy)
        grads["b"][...] = (dy * x).sum(axis=(0, 1))
        return dy * self.params["b"], None


def case():
    return Mine(3, dtype=np.float64)
"""


def test_the_layer_of_the_tests_below_is_right(check):
    assert check(LAYER)[0] == 0


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('grads["b"][...] =', 'grads["b"][...] +=', r"must overwrite grads\['b'\]"),
        ("        dy = padding.masked(dy)\n", "        dy *= 2\n", "upstream gradient 1"),
        ("        dy = padding.masked(dy)\n", "", "must ignore dy in padding"),
        ("padding.masked(x * self.params[\"b\"])", "x * self.params[\"b\"] + 1", "must return zeros in padding"),
        ("padding.masked(x * self", "padding.masked(x * len(x) * self", "padding must affect nothing"),
        ("self, input_size, dtype", "self, input_size, slope=0.1, dtype", "sizes must name slope"),
        ("self.input_size = input_size", "self.input_size, self.s = input_size, 1", None),
        ("return padding.masked(x", "padding.masked(x", "run must return y, the last state .* `return` missing"),
        ("return dy * self", "dy * self", "run_back must return dx and dstate, got None: is a `return` missing"),
        ("return Mine", "Mine", "a case must return .* `return` missing"),
        ("class Mine(Layer)", "class Dense(Layer)", "a layer class must have a name of its own"),
    ],
)  # fmt: skip
def test_what_a_layer_does_wrong_besides_its_gradients_is_told(check, right, wrong, said):
    assert LAYER.count(right) == 1
    text = LAYER.replace(right, wrong).replace("return Mine", "return Dense" if "Dense" in wrong else "return Mine")
    status, printed, errors = check(text)
    assert status == int(said is not None)
    assert re.search(said or "", printed + errors), printed + errors


@pytest.mark.parametrize(
    ("cut", "pad"), [("[:2]", "((0, len(x) - 2), (0, 0), (0, 0))"), ("[..., :2]", "((0, 0), (0, 0), (0, 1))")]
)
def test_a_layer_that_cuts_its_output_must_say_so(check, cut, pad):
    text = LAYER.replace('padding.masked(x * self.params["b"])', f'(x * self.params["b"]){cut}')
    status, printed, _ = check(text.replace("dy = padding.masked(dy)", f"dy = np.pad(dy, {pad})"))
    assert status == 1
    assert "Fault: y must have shape (5, 3, 3), it has " in printed
    assert "set output_size, or group (or lengths_out)" in printed


def test_the_faults_of_a_function_are_told(check):
    text = "import numpy as np\ndef forward(x):\n    return x**2, x\ndef backward(dy, x):\n    return 2 * dy * x\n"
    text += "def case():\n    return forward, backward, {'x': np.ones((2, 3))}\n"
    assert check(text)[0] == 0
    for right, wrong, said in (
        (
            "return x**2, x",
            "y = x**2; x *= 2; return y, x / 2",
            "must not write to its arguments, it changed x",
        ),
        ("    return 2", "    dy *= 2; return 1", "backward must not write to upstream gradient 1"),
        ("    return 2", "    2", "backward must return its gradients, got None: is a `return` missing"),
        ("return x**2, x", "x**2, x", "forward must return its results, got None: is a `return` missing"),
        ("(2, 3)", "(0, 3)", r"x must not be empty, got shape \(0, 3\)"),
        ("return x**2, x", "return x[:0], x", r"forward must not return empty arrays, got shape \(0, 3\)"),
        ("return 2 * dy * x", "return (2 * dy * x).T", r"must have shape \(2, 3\), got \(3, 2\): it is transposed"),
    ):
        assert text.count(right) == 1
        status, printed, errors = check(text.replace(right, wrong))
        assert status == 1
        assert re.search(said, printed + errors), printed + errors


def test_a_case_that_fails_does_not_stop_the_others(check):
    text = CELL + "\n\ndef case_a():\n    return 1\n\n\ndef case_b():\n    return case()\n"
    Path("mine.py").write_text(text)
    status, printed, errors = tree.invoke("numpyrnn", ["gradcheck", "missing.py", "mine.py"])
    assert status == 1
    assert printed.count("All gradients are right.") == 2
    assert errors.count("Error: ") == errors.count("\n") == 2


@pytest.mark.parametrize("raised", ["Odd()", "GeneratorExit()", "type('Own', (BaseException,), {})()", "SystemExit(2)"])
@pytest.mark.parametrize("place", ["case", "module"])
def test_no_exception_of_the_file_is_a_traceback(check, raised, place):
    odd = "class Odd(Exception):\n    def __str__(self):\n        raise ValueError\n\n\n"
    status, _, errors = check(odd + (f"def case():\n    raise {raised}\n" if place == "case" else f"raise {raised}\n"))
    assert status == 1
    assert errors.startswith("Error: mine.py, line ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("dc_next + da", "da", "the gates c, f, i share"),
        ("dc * ft}", "dc_next * ft}", "gradient of c_prev"),
        ("dft = dc * c_prev * ft * (1 - ft)", "dft = dc * c_prev", "gate f"),
        ("dcct = dc * it * (1 - cct**2)", "dcct = dc * it * (1 - np.tanh(cct)**2)", "gate c"),
        ("(1 - np.tanh(c_next) ** 2)", "(1 - c_next ** 2)", "the gates c, f, i share"),
        ("ft, it, cct, ot, xt, parameters = cache", "it, ft, cct, ot, xt, parameters = cache", "swapped in"),
        ('"dxt": dconcat[n_a:]', '"dxt": 2 * dconcat[n_a:]', "gradient of xt: those of the gates are right"),
        ('"da_prev": dconcat[:n_a]', '"da_prev": 0 * dconcat[:n_a]', "gradient of a_prev: those of"),
        ("dgate.sum(axis=1, keepdims=True)", "dgate.mean(axis=1, keepdims=True)", "the sum over the batch"),
        ("dgate.sum(axis=1, keepdims=True)", "dgate", "sum it over axis 1"),
        ("dgate @ concat.T", "concat @ dgate.T", "it is transposed"),
        ('{"f": dft, "i": dit,', '{"f": dit, "i": dft,', "swapped"),
        ("[a_prev, xt])\n    dconcat", "[xt, a_prev])\n    dconcat", "the product with the inputs"),
        ("dgate @ concat.T", "dgate / 5 @ concat.T", "the product with the inputs"),
        ('gradients[f"dW{gate}"] = d', 'dgate = 2 * dgate; gradients[f"dW{gate}"] = d', "the sums over the st"),
    ],
)  # fmt: skip
def test_the_mistakes_of_learners_are_found_and_their_place_is_told(check, right, wrong, said):
    assert CELL.count(right) == 1
    status, printed, errors = check(CELL.replace(right, wrong))
    assert status == 1
    assert said in printed + errors, printed + errors


def test_a_file_that_is_no_python_file_is_not_run(tmp_path):
    (tmp_path / "names.txt").write_text("raise SystemExit(3)\n")
    with pytest.raises(NumpyrnnError, match=r"ends in \.py, got .*names\.txt$"):
        checks_of(str(tmp_path / "names.txt"))
