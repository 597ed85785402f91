# SPDX-License-Identifier: GPL-2.0
"""
The reference, from where it is kept:

    ```{manual} man/echo.4
    ```

is a whole document, the manual page as mandoc reads it. A reference to another page of ours is a
link, one to a page of the system is not.
"""

import subprocess
from xml.etree import ElementTree

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from source import TOP


def text(element):
    """The text of an element, its white space as a browser shows it."""
    return " ".join("".join(element.itertext()).split())


class Manual(SphinxDirective):
    """{manual}, see above."""

    required_arguments = 1

    def run(self):
        """The page as a section, with a section for each of its own."""
        path = TOP / self.arguments[0]
        self.env.note_dependency(str(path))
        html = subprocess.run(["mandoc", "-T", "html", "-O", "fragment,man=%N.%S.html", path],
                              stdout=subprocess.PIPE, check=True, text=True).stdout
        root = ElementTree.fromstring(f"<body>{html}</body>")
        for link in root.iterfind(".//a[@class='Xr']"):
            if f"manual/{link.get('href').removesuffix('.html')}" not in self.env.found_docs:
                del link.attrib["href"]
        # Sphinx gives the sections their links; a wide table scrolls alone, as the theme does it.
        for permalink in root.iterfind(".//a[@class='permalink']"):
            del permalink.attrib["href"]
        for table in root.iterfind(".//table[@class='Bl-column']"):
            table.set("class", "Bl-column docutils")
        page = nodes.section(ids=[path.name])
        described = text(root.find(".//span[@class='Nd']"))
        page += nodes.title("", f"{path.stem}({path.suffix[1:]}): {described}")
        for section in root.iterfind("div/section"):
            heading = section.find("h1")
            part = nodes.section(ids=[heading.get("id")])
            part += nodes.title("", text(heading))
            section.remove(heading)
            for below in section.iterfind(".//h2"):
                below.tag = "h3"
            body = "".join(ElementTree.tostring(child, encoding="unicode", method="html") for child in section)
            part += nodes.raw("", body, format="html")
            page += part
        return [page]


def setup(app):
    """Sphinx calls this."""
    app.add_directive("manual", Manual)
    return {"version": "1", "parallel_read_safe": True}
