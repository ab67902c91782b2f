"""The defaults of the engine's signatures and class attributes are those of the docstrings."""

import ast
import importlib
import inspect
import pkgutil
import re

import pytest

import numpyrnn

MODULES = [
    importlib.import_module(f"numpyrnn.{module.name}")
    for module in pkgutil.iter_modules(numpyrnn.__path__)
    if module.name != "__main__"
]
LITERAL = r"(?:-?\d[\d.e+-]*|True|False|\"\w+\")"
ENTRY = re.compile(rf"^ *([\w, ]+) : (?:.*?default ({LITERAL}(?:, {LITERAL})*)|(?:None|({LITERAL})) \(default\))", re.M)


def documented(thing):
    """The names and values of the defaults in a docstring."""
    for names, literals, first in ENTRY.findall(thing.__doc__ or ""):
        names = names.split(", ")
        values = [ast.literal_eval(literal) for literal in (literals or first or "None").split(", ")]
        yield from zip(names, values if len(names) == len(values) else [tuple(values)])


CASES = {
    f"{thing.__qualname__}, {name}": (thing, name, value)
    for module in MODULES
    for owner in vars(module).values()
    if getattr(owner, "__module__", None) == module.__name__ and (inspect.isclass(owner) or inspect.isfunction(owner))
    for thing in [owner, *(member for member in vars(owner).values() if inspect.isfunction(member))]
    for name, value in documented(thing)
}


@pytest.mark.parametrize(("thing", "name", "value"), CASES.values(), ids=CASES)
def test_a_default_is_as_its_docstring_says(thing, name, value):
    parameters = inspect.signature(thing).parameters
    default = parameters[name].default if name in parameters else getattr(thing, name)
    assert default in (value, (value,))
    assert isinstance(default, bool) == isinstance(value, bool)


def test_the_docstrings_of_all_kinds_were_read():
    assert {"SGD, decay", "Adam, beta2", "GatedStack, dilations", "Layer.forward, cache", "Cell, gates"} <= CASES.keys()
