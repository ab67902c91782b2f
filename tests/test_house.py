"""The structure of the packages: imports run one way, without circles, also those inside functions."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
BELOW = {
    "numpyrnn": set(),
    "workbench": {"numpyrnn"},
    "music": {"numpyrnn"},
    "dinos": {"numpyrnn", "workbench"},
    "sonnets": {"numpyrnn", "workbench"},
    "piano": {"numpyrnn", "workbench", "music"},
    "jazz": {"numpyrnn", "workbench", "music"},
}
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in BELOW
    for path in (ROOT / package).rglob("*.py")
}


def imported(module):
    """The names of the modules that a module imports, relative ones in full."""
    path = FILES[module]
    here = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            yield from (f"{base}.{a.name}" if f"{base}.{a.name}" in FILES else base for a in node.names)


GRAPH = {module: set(imported(module)) for module in FILES}


def test_a_package_imports_only_those_below_it():
    for module, others in GRAPH.items():
        package = module.partition(".")[0]
        above = {name for other in others if (name := other.partition(".")[0]) in BELOW} - BELOW[package] - {package}
        assert not above, f"{module} imports {above}"


def test_no_modules_import_each_other_in_a_circle():
    graph = {
        module: {other for other in others if other in FILES and other != module} for module, others in GRAPH.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)  # raises CycleError for a circle


def test_only_scores_import_music21():
    assert {module for module, others in GRAPH.items() if any(o.startswith("music21") for o in others)} == {
        "jazz.playing.leadsheet",
        "music.notation",
        "piano.notation",
    }


def test_no_file_is_longer_than_400_lines():
    lengths = {module: len(path.read_text("utf-8").splitlines()) for module, path in FILES.items()}
    assert {module: length for module, length in lengths.items() if length > 400} == {}


def test_every_package_of_the_checkout_has_its_place():
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == set(BELOW)
