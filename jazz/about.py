"""What `numpyrnn info` says about a model of jazz."""

from workbench.about import About

from .cli import app
from .model import RECIPES
from .training import JazzTraining

PYTHON = """import jazz

print(jazz.improvise("Dm7 | G7 | Cmaj7 | %", model={path!r}, seed=1).write("solo.mid"))"""
about = About(app, JazzTraining, PYTHON, RECIPES, "recipe")
