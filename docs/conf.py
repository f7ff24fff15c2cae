"""Sphinx configuration: `bash scripts/documentation.sh` builds the site.

Pages of layers, of the API and of models are made here, of docstrings and model cards, into
`docs/generated`, so that each thing is described once.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(DOCS))

import pages  # noqa: E402

from synthtf.version import __version__  # noqa: E402

project = "synthtf"
author = "The synthtf developers"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build", "boutiques"]
html_theme = "furo"
html_title = "synthtf"
html_static_path = []
default_role = "code"
nitpicky = False
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 4
autodoc_typehints = "none"
autodoc_member_order = "alphabetical"
autoclass_content = "class"
napoleon_use_rtype = False
copybutton_prompt_text = ">>> "


def setup(app: Any) -> None:
    """Make pages, and lead links to files of the repository where these are."""
    pages.make(DOCS / "generated", ROOT)
    app.connect("source-read", lambda _, name, text: pages.relink(name, text, ROOT))
    app.connect("autodoc-process-docstring", pages.clean_docstring, priority=400)
    app.connect("autodoc-process-signature", pages.signature)
