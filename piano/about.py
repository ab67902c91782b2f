"""What `numpyrnn info` says about a model of piano music."""

from workbench.about import About

from .cli import app
from .model import MODELS
from .training import PianoTraining

PYTHON = """from numpyrnn import load
from piano.play import perform

print(perform(load({path!r}), seed=1).write("piano.mid"))"""
about = About(app, PianoTraining, PYTHON, MODELS, "network")
