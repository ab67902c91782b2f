"""The documentation as a site: `make docs` builds it, offline, from the pages of this folder and the docstrings."""

import inspect
import re
import sys
from pathlib import Path

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

from numpyrnn import __version__

project, version = "numpyrnn", __version__
author = copyright = "the numpyrnn authors"
html_title = f"numpyrnn {version}"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_baseurl = ""

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "sphinx.ext.viewcode"]
templates_path = ["_templates"]
exclude_patterns = ["notebooks/*.md"]  # the texts of the notebooks; their executed forms in notebooks/outputs are shown
highlight_language = "none"
nitpicky = True  # a link to something that is not documented is an error
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
autodoc_typehints = "none"  # the docstrings give shapes, which say more than the types
viewcode_follow_imported_members = False
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "ignore-module-all": True}
add_module_names = False
numpydoc_show_class_members, numpydoc_attributes_as_param_list = False, True
html_math_renderer = "mathml"
HERE = Path(__file__).parent
MODULES = set(re.findall(r"(?m)^   ([a-z_.]+)$", (HERE / "reference.md").read_text("utf-8")))


def prepare(app, what, name, obj, options, lines):
    """Turn a docstring into what Sphinx reads: code and links for `names`, literal blocks for equations."""
    module = sys.modules.get(name) or inspect.getmodule(obj) or sys.modules.get(getattr(obj, "__module__", None))
    text = re.sub(r"(?<![`:])`([^`]+)`(?!`)", lambda found: link(found[1], module), "\n".join(lines))
    head, *sections = re.split(r"(?m)^(?=\S.*\n-{3,}$)", text, maxsplit=1)
    head = re.sub(r"(?<=[^:\s])\n\n(?= {4}\S)", "\n\n::\n\n", head)
    text = re.sub(r"(?m)^( {4})(\w+) : (.*(?:\n {8}\S.*)*)", entry, "".join([head, *sections]))
    lines[:] = [line if line.startswith("    ") else line.replace("|", r"\|") for line in text.split("\n")]


def entry(found):
    """An entry of a dict that a function returns, as an item of a list."""
    return f"{found[1]}- **{found[2]}** : {' '.join(found[3].split())}"


def link(name, module):
    """The name of a module, class or function as a link, anything else as code."""
    if name in MODULES:
        return f":py:mod:`{name}`"
    thing = getattr(module, name.split("(")[0], None)
    public = (inspect.isclass(thing) or inspect.isfunction(thing)) and not thing.__name__.startswith("_")
    if public and thing.__module__ in MODULES:
        return f":py:obj:`{name} <{thing.__module__}.{thing.__qualname__}>`"
    return f"``{name}``"


def links(app, name, source):
    """Make links of the pages that a text names, and let the links of notebooks begin at their executed forms."""
    text = source[0]
    if name.startswith("notebooks/outputs/"):
        text = text.replace("](../", "](../../")
        text = re.sub(r"\]\((\d\d-[\w-]+)\.md", r"](\1.ipynb", text)
    else:
        text = re.sub(r"(?<!\[)`docs/([\w-]+)\.md`", rf"[`\1`]({'../' * name.count('/')}\1.md)", text)
        if not any(HERE.glob("notebooks/outputs/*.ipynb")):
            text = text.replace("notebooks/outputs/*\n", "")
        text = re.sub(r"\]\(notebooks/(\d\d-[\w-]+)\.md", r"](notebooks/outputs/\1.ipynb", text)
    source[0] = text


def mathml(self, node, display):
    """Write a formula as MathML, which browsers show without a script."""
    self.body.append(convert(node.astext().replace("{aligned}", "{align*}"), display=display))
    raise SkipNode


def setup(app):
    """Add what is above to Sphinx."""
    app.connect("autodoc-process-docstring", prepare, priority=400)  # before numpydoc
    app.connect("autodoc-skip-member", lambda app, what, name, thing, skip, options: skip or inspect.isbuiltin(thing))
    app.connect("source-read", links)
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(lambda self, node: mathml(self, node, "inline"), None),
        block_renderers=(lambda self, node: mathml(self, node, "block"), None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
