"""What `numpyrnn info` says about a model of verse."""

from workbench.about import About

from .cli import app
from .model import SonnetTraining
from .recipes import RECIPES

PYTHON = """from numpyrnn import Sampler, load
from sonnets.write import continue_prompt

print("".join(continue_prompt(load({path!r}), "", Sampler(1, temperature=0.8))))"""
about = About(app, SonnetTraining, PYTHON, RECIPES, "recipe")
