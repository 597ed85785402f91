#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
Print each link in these files, HTML or Markdown, that leads to no file, or to no anchor in it.
"""

import argparse
import functools
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin


class Page(HTMLParser):
    """The links and the anchors of a file."""

    def __init__(self, path):
        super().__init__()
        self.links = []
        self.anchors = {""}
        text = path.read_text()
        if path.suffix == ".md":
            text = MarkdownIt().use(anchors_plugin, max_level=6).render(text)
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """HTMLParser calls this."""
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value)
            elif name in ("href", "src", "srcset") or (tag, name) == ("object", "data"):
                self.links.append(value)


page = functools.cache(Page)


def leads_nowhere(path, link):
    """Whether the link in the file at that path has no target."""
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.exists():
        return True
    return target.suffix in (".html", ".md") and unquote(parts.fragment) not in page(target).anchors


def main():
    """Without a fault, print nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--external", action="store_true", help="print the addresses of other places instead")
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+")
    options = parser.parse_args()
    good = True
    external = set()
    for path in map(Path.resolve, options.files):
        for link in page(path).links:
            if urlsplit(link).scheme in ("http", "https"):
                external.add(link)
            elif not options.external and leads_nowhere(path, link):
                good = False
                print(f"{path}: {link}")
    if options.external:
        for link in sorted(external):
            print(link)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
