"""What `numpyrnn info` says about a model of names."""

from workbench.about import About

from .cli import app
from .model import NameTraining, Settings

PYTHON = """from numpyrnn import load
from dinos.model import sample_names

print(sample_names(load({path!r}), 5, seed=1))"""
about = About(app, NameTraining, PYTHON, {"": Settings()})
