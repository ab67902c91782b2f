"""The notebooks: outputs belong to their texts, derivations to the code, and exercises can be solved."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_readme import PROGRAMS

from numpyrnn import course
from numpyrnn.activations import sigmoid, softmax

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
sys.path.append(str(FOLDER))
import execute  # noqa: E402
import helpers  # noqa: E402

TEXTS = {path.stem: path for path in execute.texts()}
QUICK = {"01-rnn-cell", "02-lstm-cell"}  # three seconds or less
GOLDEN = json.loads((Path(__file__).parent / "data" / "cells.json").read_text())["cases"]
PRINTED = {  # the cases of the course that a notebook prints, in their order
    "01-rnn-cell": ["rnn_cell_forward", "rnn_cell_backward", "rnn_backward"],
    "02-lstm-cell": ["lstm_cell_forward", "lstm_cell_backward", "lstm_forward"],
    "05-vanishing-gradients": ["clip_10"],
}
every = pytest.mark.parametrize("name", TEXTS)


def value(code, names):
    """The value of an expression that stands in a notebook."""
    return eval(code, dict(names))  # noqa: S307


def book(name):
    return json.loads(execute.output(TEXTS[name]).read_text("utf-8"))


def printed(name):
    """What each code cell of a notebook printed, and the value of its last expression."""
    cells = [cell["outputs"] for cell in book(name)["cells"] if cell["cell_type"] == "code"]
    return ["".join("".join(o.get("text", o.get("data", {}).get("text/plain", ""))) for o in cell) for cell in cells]


@every
def test_the_output_is_that_of_the_text(name):
    assert book(name)["metadata"]["numpyrnn"]["sha256"] == execute.digest(TEXTS[name]), "run `make notebooks`"
    cells = [cell for cell in book(name)["cells"] if cell["cell_type"] == "code"]
    assert ["".join(cell["source"]).strip() for cell in cells] == [
        code.strip() for _, code in execute.code_cells(TEXTS[name])
    ]


def test_every_output_has_a_text():
    assert {path.stem for path in execute.OUTPUTS.glob("*.ipynb")} == TEXTS.keys()


@every
def test_no_cell_failed_or_warned(name):
    outputs = [output for cell in book(name)["cells"] for output in cell.get("outputs", [])]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]


@every
def test_an_output_holds_nothing_of_the_machine_or_the_time(name):
    text = execute.output(TEXTS[name]).read_text("utf-8")
    assert not re.search(
        r"/(?:home|tmp|usr|work|Users)/|timestamp|iopub|\d\d:\d\d:\d\d|language_info|0x[0-9a-f]{6,}", text
    )


def test_the_outputs_are_small():
    assert sum(path.stat().st_size for path in execute.OUTPUTS.glob("*.ipynb")) < 2_500_000


# The course


@pytest.mark.parametrize(("name", "number"), [(name, i) for name in PRINTED for i in range(len(PRINTED[name]))])
def test_the_numbers_of_the_course_are_printed(name, number):
    cells = [text for text in printed(name) if re.search(r"^\S+\[\d\] = ", text, re.MULTILINE)]
    results = {key: np.array(value) for key, value in GOLDEN[PRINTED[name][number]]["outputs"].items()}
    names = {**results, "gradients": results, "yt": results.get("yt_pred"), "caches": range(2), "len": len}
    names["cache"] = [results.get("a_next"), results.get("c_next"), *range(8)]
    lines = re.findall(r"^(\S.*?) = ([^=]*?)(?=\n\S|\s*\Z)", cells[number], re.MULTILINE | re.DOTALL)
    assert len(lines) >= 4
    for expression, shown in lines:
        got = [float(found) for found in re.findall(r"-?\d+\.?\d*(?:e[+-]\d+)?", shown)]
        assert_allclose(got, np.ravel(value(expression, names)), rtol=1e-6, atol=1e-8, err_msg=expression)


# Derivations: the equations of a notebook are translated to NumPy with its own tables of symbols, and run


FUNCTIONS = {r"\tanh": "tanh", r"\sigma": "sigmoid", r"\mathrm{softmax}": "softmax", r"\mathrm{sum}_m": "sum_m"}
FUNCTIONS |= {r"\mathrm{diag}": "diag"}
SIZES = {"n_x": 3, "n_a": 4, "n_y": 2, "m": 5}
BLOCK = re.compile(r"^\$\$\n(.*?)^\$\$$", re.MULTILINE | re.DOTALL)
WRONG = {r"^\top": "", r"\top}": "}", "+": "-", "1 -": "1 +", r"\odot": "+", r"\mathrm{sum}_m": "", r"\tanh": ""}
MEANING = {
    **{"tanh": np.tanh, "sigmoid": sigmoid, "softmax": lambda z: softmax(z, axis=0)},
    **{"sum_m": lambda d: d.sum(axis=1, keepdims=True), "diag": lambda d: np.diag(d[:, 0]), "stacked": np.concatenate},
}


def symbols(text):
    """The tables of symbols: a dict from a symbol to its name in the code and its shape."""
    rows = re.findall(r"^\| \$(.+?)\$ \| `(\w+)` \| (\([^|]*\)) \|", text, re.MULTILINE)
    return {symbol: (name, value(shape, SIZES)) for symbol, name, shape in rows}


def equations(text):
    """The equations that give a symbol of the tables its value, as (name, formula in NumPy), in their order."""
    known = symbols(text)
    for block in re.findall(BLOCK, text):
        for line in re.sub(r"\\(?:begin|end)\{aligned\}|&|\n", " ", block).split(r"\\"):
            left, equals, right = line.partition("=")
            if equals and left.strip() in known:
                yield known[left.strip()][0], numpy_of(right, known)


def numpy_of(formula, known):
    """Translate a formula: two factors side by side are a matrix product."""
    tokens = {symbol: f"{name}!" for symbol, (name, _) in known.items()}
    tokens |= {symbol: f"?{name}" for symbol, name in FUNCTIONS.items()}
    tokens |= {r"\odot": "*", r"^\top": ".T!", r"\,": "", " ": "", "(": "?(", ")": ")!", "[": "?stacked([", "]": "])!"}
    tokens |= {";": ",", "+": "+", "-": "-", "1": "1!"}
    pattern = "|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True))
    formula = formula.strip().replace(r"\rangle\top}", r"\rangle}^\top")
    assert not re.sub(pattern, "", formula), f"unknown: {formula}"
    code = re.sub(pattern, lambda found: tokens[found[0]], formula)  # ! ends a factor, ? begins one
    code = re.sub(r"!(?=[?\w])", " @ ", code)
    return re.sub(r"(?<=\w)\?\(", "(", code).replace("!", "").replace("?", "")


def run(text, values):
    """Run all equations of a text on top of given values."""
    values = {**values}
    for name, formula in equations(text):
        assert name not in values, f"{name} is given"
        values[name] = value(formula, MEANING | values)
    return values


def given(text):
    """Random arrays for the symbols that no equation gives."""
    rng, made = np.random.default_rng(0), {name for name, _ in equations(text)}
    shapes = dict(symbols(text).values())
    return {name: rng.standard_normal(shapes[name]) for name in shapes if name not in made}


def derivation(name):
    return TEXTS[name].read_text("utf-8")


def results(name, values):
    """What the course's functions return for the values that a derivation begins with."""
    if name == "01-rnn-cell":
        a_next, yt_pred, cache = course.rnn_cell_forward(values["xt"], values["a_prev"], values)
        return {"a_next": a_next, "yt_pred": yt_pred, **course.rnn_cell_backward(values["da_next"], cache)}
    whole = values | {"Wy": np.zeros((1, SIZES["n_a"])), "by": np.zeros((1, 1))}
    a_next, c_next, _, cache = course.lstm_cell_forward(values["xt"], values["a_prev"], values["c_prev"], whole)
    gates = dict(zip(("ft", "it", "cct", "ot"), cache[4:8], strict=True))
    gradients = course.lstm_cell_backward(values["da_next"], values["dc_next"], cache)
    gradients["dconcat"] = np.concatenate([gradients.pop("da_prev"), gradients.pop("dxt")])
    return {"a_next": a_next, "c_next": c_next, **gates, **gradients}


def agrees(name, text):
    """Whether all results of a derivation are those of the course's functions."""
    start = given(text)
    values, expected = run(text, start), results(name, start)
    return all(
        np.array_equal(values[key].shape, right.shape) and np.allclose(values[key], right)
        for key, right in expected.items()
    )


DERIVED = pytest.mark.parametrize("name", ["01-rnn-cell", "02-lstm-cell"])


@DERIVED
def test_the_equations_of_a_derivation_give_what_the_code_gives(name):
    assert agrees(name, derivation(name))


@pytest.mark.parametrize("name", ["01-rnn-cell", "02-lstm-cell", "05-vanishing-gradients"])
def test_every_symbol_has_the_shape_that_its_table_says(name):
    text = derivation(name)
    values = run(text, given(text))
    for code, shape in symbols(text).values():
        assert values[code].shape == shape, code


@pytest.mark.parametrize(("name", "least"), [("01-rnn-cell", 12), ("02-lstm-cell", 40)])
def test_a_wrong_equation_is_noticed(name, least):
    text, tried = derivation(name), 0
    blocks = [*re.finditer(BLOCK, text)]
    tables = re.sub(BLOCK, "", text)
    for block in (block for block in blocks if any(equations(tables + block[0]))):
        for old in WRONG:
            for match in re.finditer(re.escape(old), block[0]):
                start, end = block.start() + match.start(), block.start() + match.end()
                try:
                    noticed = not agrees(name, text[:start] + WRONG[old] + text[end:])
                except ValueError:  # shapes that do not fit
                    noticed = True
                assert noticed, text[start - 30 : end + 30]
                tried += 1
    assert tried >= least


def test_the_jacobian_of_an_rnn_is_the_product_that_is_derived():
    values = given(derivation("05-vanishing-gradients"))
    z, Waa = values["a_next"], values["Waa"]
    a_prev = np.linalg.solve(Waa, z)
    (formula,) = [formula for name, formula in equations(derivation("05-vanishing-gradients")) if name == "jacobian"]
    jacobian = value(formula, MEANING | {"a_next": np.tanh(z), "Waa": Waa})
    by_steps = [np.tanh(Waa @ (a_prev + 1e-30j * column[:, None])).imag[:, 0] / 1e-30 for column in np.eye(len(z))]
    assert_allclose(jacobian, np.transpose(by_steps), rtol=1e-12)


# Exercises


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in TEXTS])
def test_the_code_of_a_notebook_runs_without_a_warning(name):
    code = (
        "import json, sys; names = {'__name__': '__main__'}\n"
        "for cell in json.load(sys.stdin): exec(compile(cell, '<cell>', 'exec'), names)"
    )
    untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    paths = {"PYTHONPATH": os.pathsep.join(map(str, (FOLDER, ROOT)))}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        input=json.dumps([code for _, code in execute.code_cells(TEXTS[name])]),
        capture_output=True,
        text=True,
        cwd=FOLDER,
        env={**untraced, **paths, "NUMPYRNN_BACKEND": "plain", "MPLBACKEND": "Agg"},
    )
    assert ran.returncode == 0, ran.stderr
    assert re.findall(r"Exercise .*", ran.stdout) == re.findall(r"Exercise .*", "\n".join(printed(name)))


@every
def test_every_exercise_is_first_open_and_then_solved(name):
    number = str(int(name[:2]))
    verdicts = re.findall(r"^Exercise (\d+\.\d+): (.*)\.$", "\n".join(printed(name)), re.MULTILINE)
    exercises = re.findall(r"^### Exercise (\d+\.\d+):", TEXTS[name].read_text("utf-8"), re.MULTILINE)
    assert exercises == [f"{number}.{i + 1}" for i in range(len(exercises))]
    assert len(exercises) >= 2
    assert [exercise for exercise, _ in verdicts] == [exercise for exercise in exercises for _ in range(2)]
    assert {verdict for _, verdict in verdicts[::2]} <= {"no answer yet", "not right yet"}
    assert {verdict for _, verdict in verdicts[1::2]} == {"right"}


@every
def test_a_solution_is_closed_and_comes_after_its_exercise(name):
    marks = [(options, code) for options, code in execute.code_cells(TEXTS[name]) if "\nmark(" in code]
    assert ["hide-cell" in options for options, _ in marks] == [False, True] * (len(marks) // 2)
    assert [code.rstrip().splitlines()[-1] for _, code in marks[::2]] == [
        code.rstrip().splitlines()[-1] for _, code in marks[1::2]
    ]


def unfinished():
    raise NotImplementedError


@pytest.mark.parametrize(
    ("answer", "right", "verdict"),
    [
        (None, lambda x: True, "no answer yet"),
        (unfinished, lambda function: function(), "no answer yet"),
        (3, lambda x: x == 4, "not right yet"),
        (4, lambda x: x == 4, "right"),
        ("four", lambda x: x + 1, 'TypeError: can only concatenate str (not "int") to str'),
    ],
)
def test_an_answer_is_marked(answer, right, verdict, capsys):
    helpers.mark("9.9", answer, right)
    assert capsys.readouterr().out == f"Exercise 9.9: {verdict}.\n"


# The ten wrong backward passes


BUGS = TEXTS["08-find-the-bug"].read_text("utf-8").split("\n## Case ")
SETUP = [code for _, code in execute.code_cells(TEXTS["08-find-the-bug"])[:2]]


def report(code):
    """The report with which the code of a case ends; None if the shape of a gradient is wrong."""
    names = {}
    for cell in SETUP:
        exec(cell, names)
    *lines, last = code.rstrip().split("\n")
    exec("\n".join(lines) if last.startswith("check_gradients") else code, names)
    return value(last, names) if last.startswith("check_gradients") else names.get("report")


@pytest.mark.parametrize("number", range(1, 11))
def test_a_case_is_wrong_in_one_line_and_its_culprit_mends_it(number, capsys):
    text = BUGS[number]
    code = execute.CELL.search(text)[2]
    (diff,) = re.findall(r"^```diff\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    wrong, right = ("".join(line[2:] + "\n" for line in diff.splitlines() if line[0] == sign) for sign in ("-", "+"))
    assert text.startswith(f"{number}:")
    assert code.count(wrong) == 1
    before, after = report(code), report(code.replace(wrong, right))
    assert before is None or not before.ok
    assert after.ok
    assert len(wrong.splitlines()) == 1


def test_there_are_ten_cases():
    assert len(BUGS) == 11


# What the texts say of their figures


def test_the_figures_of_gates_and_gradients_are_as_the_texts_say():
    pairs = re.findall(r"cell state (0\.\d+), hidden state (-?0\.\d+)", "\n".join(printed("02-lstm-cell")))
    assert len(pairs) == 4
    assert all(float(cell) > float(hidden) for cell, hidden in pairs)
    table = "\n".join(printed("05-vanishing-gradients"))
    rows = re.findall(r"^(\S.*?) +\d+% +\d+% +(\d+)% +(\S+)$", table, re.MULTILINE)
    assert len(rows) == 7
    guessing = {name for name, share, _ in rows if int(share) < 35}
    smallest = sorted(rows, key=lambda row: float(row[2]))[:3]
    assert guessing == {name for name, *_ in smallest}
    assert all(float(norm) <= 1e-5 for *_, norm in smallest)


def test_the_pages_notebooks_and_commands_that_are_named_exist():
    texts = "\n".join(path.read_text("utf-8") for path in TEXTS.values())
    links = set(re.findall(r"\]\(([^)]+\.md)\)", texts))
    assert len(links) >= 8
    assert all((FOLDER / link).is_file() for link in links)
    named = set(re.findall(r"(?:`|^ {4})(dinos|jazz|sonnets|piano) ([a-z]+)\b", texts, re.MULTILINE))
    assert len(named) >= 5
    assert all(command in PROGRAMS[program].commands for program, command in named)
