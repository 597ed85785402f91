# SPDX-License-Identifier: GPL-2.0
"""
The reference, from where it is kept:

    ```{manual} man/echo.4
    ```

is a whole document, the manual page as mandoc reads it. A reference to another page of ours is a
link, one to a page of the system is not.

    .. kernel-doc:: include/kmk/mempool.h

has the kernel-doc comments of a header, or of what a source exports, as reStructuredText, so in
such a document only. What kernel-doc warns of stops the build.
"""

import re
import subprocess
from xml.etree import ElementTree

import sphinx
from docutils import nodes
from docutils.statemachine import StringList
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
        # Sphinx gives the sections their links; the theme shows all else that is an <a> as one.
        for anchor in root.iterfind(".//a"):
            if "href" not in anchor.attrib or anchor.get("class") == "permalink":
                anchor.tag = "span"
                anchor.attrib.clear()
        # It has a look for these two, too.
        for table in root.iterfind(".//table[@class='Bl-column']"):
            table.set("class", "docutils")
        for block in root.iterfind(".//pre/.."):
            block.set("class", "highlight")
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


class KernelDoc(SphinxDirective):
    """kernel-doc, see above."""

    required_arguments = 1

    def run(self):
        """The declarations, each with its description."""
        name = self.arguments[0]
        self.env.note_dependency(str(TOP / name))
        command = [TOP / "docs/guide/kernel-doc", "-rst", "-Werror", "-sphinx-version", sphinx.__version__]
        if name.endswith(".c"):
            command.append("-export")
        ran = subprocess.run([*command, TOP / name], stdout=subprocess.PIPE, check=False, text=True)
        if ran.returncode:
            raise self.error(f"kernel-doc complains of {name}")
        # In C a structure and a function may share a name; for Sphinx the function needs another scope.
        described = ran.stdout
        for tag in re.findall(r"^\.\. c:struct:: (\w+)$", described, re.M):
            described = re.sub(rf"^\.\. c:function::[^\n]* {tag} \(.*?(?=^\.\. c:|\Z)",
                               rf".. c:namespace-push:: {tag}\n\n\g<0>\n.. c:namespace-pop::\n\n",
                               described, flags=re.M | re.S)
        section = nodes.section()
        self.state.nested_parse(StringList(described.splitlines(), source=name), 0, section)
        return section.children


def setup(app):
    """Sphinx calls this."""
    app.add_directive("kernel-doc", KernelDoc)
    app.add_directive("manual", Manual)
    return {"version": "1", "parallel_read_safe": True}
