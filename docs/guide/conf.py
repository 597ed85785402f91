# SPDX-License-Identifier: GPL-2.0
"""Sphinx's configuration of the guide; `make docs` builds it."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

# pylint: disable=invalid-name
project = "kmodkit"
author = "The kmodkit developers"
project_copyright = author
release = re.search(r'KMK_VERSION "(.*)"', (HERE.parent.parent / "include/kmk/version.h").read_text())[1]
html_title = f"kmodkit {release}: the guide"
extensions = ["myst_parser", "sphinx.ext.graphviz", "source", "reference"]
html_theme = "furo"
# For furo.css, see below.
html_static_path = ["/usr/share/nodejs/normalize.css/normalize.css"]
html_copy_source = False
html_show_sphinx = False
# A page that was opened as a file may not fetch others, out of which a summary would come.
html_show_search_summary = False
highlight_language = "none"
graphviz_output_format = "svg"
nitpicky = True
nitpick_ignore = [("c:identifier", "size_t")]


def drop_furo_js(_app, _page, _template, context, _doctree):
    """Debian's furo.js is for a bundler: no browser runs it from a file. Without it furo hides its colour switch."""
    context["script_files"] = [script for script in context["script_files"] if "furo.js" not in str(script.filename)]


def find_normalize_css(app, error):
    """Debian's furo.css imports it from where only a web server or a bundler finds it."""
    if not error and app.builder.format == "html":
        style = Path(app.outdir, "_static/styles/furo.css")
        style.write_text(re.sub("^@import .*?;", '@import "../normalize.css";', style.read_text()))


def setup(app):
    """Sphinx calls this."""
    app.connect("html-page-context", drop_furo_js)
    app.connect("build-finished", find_normalize_css)
