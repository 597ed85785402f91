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
html_copy_source = False
html_show_sphinx = False
highlight_language = "none"
graphviz_output_format = "svg"
nitpicky = True
nitpick_ignore = [("c:identifier", "size_t")]
