"""The pages' examples run, their formulas are those of the code, and the site is built from them without a network."""

import doctest
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose
from test_readme import PROGRAMS

import numpyrnn
from numpyrnn import LSTM, RNN, Adam, Dense, Sequential, Trainer, Vocabulary, save
from numpyrnn.activations import sigmoid
from numpyrnn.batches import streams

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RUN = ("bptt", "complex-step", "jazz-grammar", "kernel", "your-own-code")
COMMANDS = ("tutorial", "your-own-data")


def text(page):
    return (DOCS / f"{page}.md").read_text("utf-8")


# Examples


def blocks(page):
    """The Python of a page, block by block, each with what the page says it prints, or None."""
    pattern = r"```python\n(.*?)```(?:\n+It prints\n+```text\n(.*?)```)?"
    return [(code, shown or None) for code, shown in re.findall(pattern, text(page), re.DOTALL)]


@pytest.mark.parametrize("page", RUN)
def test_the_python_of_a_page_prints_what_the_page_says(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for code, shown in blocks(page):
        exec(compile(code, page, "exec", dont_inherit=True), names)
        printed = capsys.readouterr().out
        if shown:
            assert without_errors(printed) == without_errors(shown)
            assert_allclose(errors(printed), errors(shown), atol=1.5)
        assert "WRONG" not in printed
        assert " False" not in printed


def errors(printed):
    """The exponents of the rounding errors in a text; they depend a little on the machine."""
    return [np.log10(float(error)) for error in re.findall(r"\d(?:\.\d)?e-\d\d", printed)]


def without_errors(printed):
    return re.sub(r"\d(?:\.\d)?e-\d\d", "ERROR", printed)


def commands(page):
    """The program and the arguments of each command of a page, in order."""
    for line in re.findall(r"^ {4}(?:\$ )?((?:dinos|jazz|sonnets|piano|numpyrnn) .*)$", text(page), re.MULTILINE):
        program, *arguments = shlex.split(line, comments=True)
        yield program, arguments


@pytest.mark.slow
@pytest.mark.parametrize("page", COMMANDS)
def test_the_commands_of_a_page_work_in_their_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    Path("places.txt").write_text(
        "\n".join(f"{a}{b}" for a in ("adel", "berg", "horn") for b in ("bach", "dorf", "heim"))
    )
    Path("poems.txt").write_text((ROOT / "data/sonnets.txt").read_text("utf-8")[:6000])
    Path("chart.txt").write_text("Dm7 | G7 | Cmaj7 | %\n")
    assert CliRunner().invoke(PROGRAMS["jazz"], ["choruses", "data/choruses/blues-f-1.txt", "-o", "."]).exit_code == 0
    shutil.copy("blues-f-1.mid", "tune.mid")
    shutil.copytree(ROOT / "data/piano", "pieces")
    done = 0
    for program, arguments in commands(page):
        if arguments[0] == "train" and "--epochs" not in arguments:
            arguments += ["--epochs", "2" if "--resume" in arguments else "1"]
        made = CliRunner().invoke(PROGRAMS[program], arguments)
        assert made.exit_code == 0, (program, arguments, made.output)
        done += 1
    assert done >= 6


def test_the_commands_of_a_page_are_known():
    for page in COMMANDS:
        for program, (command, *_) in commands(page):
            assert command in PROGRAMS[program].commands


def test_the_names_that_the_tutorial_shows_are_those_of_the_model():
    command, shown = re.search(r"\$ dinos (sample .*)\n((?: {4}\w+ +(?:new|known)\n)+)", text("tutorial")).groups()
    assert CliRunner().invoke(PROGRAMS["dinos"], command.split()).stdout.split() == shown.split()


class AnyUnlessShown(doctest.OutputChecker):
    """What an example prints must be what it shows, if it shows anything."""

    def check_output(self, want, got, optionflags):
        return not want or super().check_output(want, got, optionflags)


def test_the_examples_of_the_docstrings_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "Shall I compare thee to a summer's day? " * 20
    vocabulary = Vocabulary(text)
    model = Sequential(LSTM(len(vocabulary), 4, rng=0), Dense(4, len(vocabulary), rng=0))
    save("model.npz", model, vocabulary)

    def batches(rng):
        return streams(vocabulary.encode(text), batch_size=4, steps=10)

    known = {name: getattr(numpyrnn, name) for name in numpyrnn.__all__}
    known |= {"np": np, "trainer": Trainer(model, Adam()), "batches": batches}
    found = 0
    packages = sorted({path.parent for path in ROOT.glob("*/__init__.py")} - {ROOT / "tests"})
    for path in (path for package in packages for path in sorted(package.rglob("*.py"))):
        if ">>>" not in path.read_text("utf-8"):
            continue
        module = importlib.import_module(
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        )
        runner = doctest.DocTestRunner(AnyUnlessShown(), verbose=False)
        for example in doctest.DocTestFinder().find(module, extraglobs=known):
            found += len(example.examples)
            shown = []
            assert runner.run(example, out=shown.append).failed == 0, "".join(shown)
    assert found >= 15


# Formulas


def formulas(page):
    """The lines of each displayed block of equations, as Python: h_t is h[t], a space between two arrays is @."""
    for block in re.findall(r"\\begin\{aligned\}\n(.*?)\\end\{aligned\}", text(page), re.DOTALL):
        yield [python(line) for line in block.strip().split("\\\\\n")]


def python(line):
    line = line.replace(r"\mathbf{1}", "ones").replace("&", "").replace(r"= \sum_t", "+=").strip()
    line = re.sub(r"\\mathrm\{(\w+)\}", r"\1", line)
    line = re.sub(r"_t\b", "[t]", line).replace("_{t-1}", "[t-1]")
    line = re.sub(r"_\{?([a-z]+)\}?", r"\1", line)
    for latex, code in {
        r"^\top": ".T",
        "^2": "**2",
        r"\odot": "*",
        r"\,": "@",
        r"\tanh": "tanh",
        r"\sigma": "sigmoid",
    }.items():
        line = line.replace(latex, code)
    return line


@pytest.fixture
def pass_of():
    """A function that runs formulas forward and back over five steps, and returns their names beside a layer's pass."""

    def run(layer, weights, forward, backward):
        rng = np.random.default_rng(0)
        T, N = 5, 3
        x, dy = rng.standard_normal((T, N, layer.input_size)), rng.standard_normal((T, N, layer.hidden_size))
        _, _, cache = layer.forward(x)
        dx, dstate, grads = layer.backward(dy, cache)
        names = defaultdict(float, {**weights, "tanh": np.tanh, "sigmoid": sigmoid, "ones": np.ones(N)})
        for name in {"c", *re.findall(r"(\w+)\[t", " ".join([*forward, *backward]))}:
            names[name] = defaultdict(float)
        names["h"][0] = names["c"][0] = np.zeros((N, layer.hidden_size))
        names["x"], names["dy"] = {t + 1: x[t] for t in range(T)}, {t + 1: dy[t] for t in range(T)}
        for steps, lines in ((range(1, T + 1), forward), (range(T, 0, -1), backward)):
            for names["t"] in steps:
                for line in lines:
                    exec(line, {}, names)
        assert_allclose([names["dx"][t] for t in range(1, T + 1)], dx, rtol=1e-12, atol=1e-14)
        return names, dstate, grads

    return run


def test_the_formulas_of_the_rnn_give_the_gradients_of_the_layer(pass_of):
    forward, backward, *_ = formulas("bptt")
    layer = RNN(4, 3, dtype=np.float64, rng=0)
    layer.params["b"] = [0.1, -0.2, 0.3]
    weights = {name: layer.params[name] for name in ("Wx", "Wh", "b")}
    names, dstate, grads = pass_of(layer, weights, forward, backward)
    for name in weights:
        assert_allclose(names[f"d{name}"], grads[name], rtol=1e-12, atol=1e-14)
    assert_allclose(names["back"][0], dstate, rtol=1e-12, atol=1e-14)


def test_the_formulas_of_the_lstm_give_the_gradients_of_the_layer(pass_of):
    _, _, forward, backward, of_weights = formulas("bptt")
    layer = LSTM(4, 3, dtype=np.float64, rng=0)
    weights = {f"{name}{gate}": layer.params[name][k] for name in ("Wx", "Wh", "b") for k, gate in enumerate("oifg")}
    of_all = [re.sub(r"(?<=[xhdb])f\b", gate, line) for gate in "oifg" for line in of_weights]
    backward = [*backward[:-2], *of_all, *backward[-2:]]
    names, (dh, dc), grads = pass_of(layer, weights, forward, backward)
    for name in weights:
        assert_allclose(names[f"d{name}"], grads[name[:-1]]["oifg".index(name[-1])], rtol=1e-12, atol=1e-14)
    assert_allclose(names["back"][0], dh, rtol=1e-12, atol=1e-14)
    assert_allclose(names["carry"][0], dc, rtol=1e-12, atol=1e-14)


# The site


def test_the_reference_has_every_public_module():
    listed = re.findall(r"^   ([a-z_.]+)$", text("reference"), re.MULTILINE)
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    paths = [path.relative_to(ROOT).with_suffix("") for package in ours for path in (ROOT / package).rglob("*.py")]
    found = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    left_out = {name for name in found if re.search(r"__main__$|_compiled$|\.fast\.", name)}
    assert sorted(listed) == sorted(found - left_out)


class Links(HTMLParser):
    """The addresses that a page links to and those that a browser loads with it, and the page's anchors."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        address = attrs.get("src") or attrs.get("href")
        if tag == "a" and address:
            self.links.append(address)
        elif address and attrs.get("rel") not in ("canonical", "search", "index", "next", "prev"):
            self.loaded.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-j", "auto", "-d", str(folder / "trees")]
    made = subprocess.run([*command, str(DOCS), str(folder / "html")], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return {path.resolve(): Links(path) for path in (folder / "html").rglob("*.html")}


@pytest.mark.extra("docs")
def test_links_of_the_site_lead_somewhere_nothing_is_loaded_from_elsewhere_and_search_and_formulas_work(site):
    assert len(site) > 100
    for path, page in site.items():
        for address in page.loaded:
            assert not urlsplit(address).netloc, f"{path.name} loads {address}"
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name} links to {address}"
            if parts.fragment and target in site:
                assert unquote(parts.fragment) in site[target].anchors | {""}, f"{path.name} links to {address}"
    (bptt,) = [path for path in site if path.name == "bptt.html"]
    assert "<math" in bptt.read_text("utf-8")
    assert not any("mathjax" in address.lower() for address in site[bptt].loaded)
    assert "backpropag" in (bptt.parent / "searchindex.js").read_text("utf-8")
