# SPDX-License-Identifier: GPL-2.0
"""
Two directives that quote the tree, so that the guide copies nothing:

    ```{source} chardev/kmk_echo.c
    echo_publish echo_replace
    ```

shows these definitions, each with the comment above it: a function, a structure, a table, a
variable with its structure or the rest of its paragraph, a #define, all between an #ifdef and its
#endif, a macro that stands alone, as module_init, a test, a rule of make; of a script a function
or a variable. Without names it shows the whole file.

    ```{rust} Bounds
    The guarantee, in a sentence.
    ```

is a box of that text and the row of docs/safety.md that begins so. A name that the file does not
define is an error, and stops the build.
"""

import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.directives.code import container_wrapper
from sphinx.util.docutils import SphinxDirective

TOP = Path(__file__).resolve().parent.parent.parent
FORMS = (
    r"{name}\(",                                # module_init(echo_init); judge() {{
    r"(START_TEST\(|def ){name}\b",
    r"#ifn?def {name}$",
    r"{name}(=|:( |$))",                        # PACKAGE_NAME="kmodkit", clean:
    r"#define {name}\b",
    r"(struct|union|enum) {name} {{$",
    r"\w[\w *]*\b{name}(\[\])?( = .*)?[;{{]$",  # a variable, a table
    r"\w[\w *]*\b{name}\(.*[^;]$",              # a function, but no prototype
    r"}} {name}(\[\])? = {{$",                   # a variable whose structure has no name
    r"static DEFINE_\w+\((.*, )?{name}\)",
)


def last_line(lines, first):
    """Where the definition ends that begins there."""
    if lines[first].startswith("#if"):
        depth = 0
        for last in range(first, len(lines)):
            depth += lines[last].startswith("#if") - lines[last].startswith("#endif")
            if not depth:
                return last
    if lines[first].startswith("def "):
        end = next((n for n in range(first + 1, len(lines)) if re.match(r"\S", lines[n])), len(lines))
        return max(n for n in range(first, end) if lines[n])
    # A body ends with the first brace in column 0, what has none with its paragraph.
    last = first
    while last + 1 < len(lines) and lines[last + 1] and not lines[last].endswith("{"):
        last += 1
    if lines[last].endswith("{"):
        last = next(n for n in range(last + 1, len(lines)) if lines[n].startswith("}"))
    return last


def definition(lines, name):
    """The lines that define the name, or None."""
    form = re.compile("|".join(FORMS).format(name=re.escape(name)))
    first = next((n for n, line in enumerate(lines) if form.match(line)), None)
    if first is None:
        return None
    last = last_line(lines, first)
    while lines[first].startswith(("}", "\t")):
        first -= 1
    while first and re.match(r"/\*| \*|# ", lines[first - 1]):
        first -= 1
    return lines[first:last + 1]


class Source(SphinxDirective):
    """{source}, see above."""

    has_content = True
    required_arguments = 1

    def run(self):
        """The definitions, under the name of their file."""
        name = self.arguments[0]
        path = TOP / name
        if not path.is_file():
            raise self.error(f"there is no {name}")
        self.env.note_dependency(str(path))
        whole = path.read_text()
        lines = whole.splitlines()
        parts = []
        for wanted in " ".join(self.content).split():
            found = definition(lines, wanted)
            if not found:
                raise self.error(f"{name} does not define {wanted}")
            parts.append("\n".join(found))
        text = "\n\n".join(parts) or whole
        block = nodes.literal_block(text, text, language="c" if path.suffix in (".c", ".h") else "none")
        self.set_source_info(block)
        return [container_wrapper(self, block, name)]


class Rust(SphinxDirective):
    """{rust}, see above."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        """The box."""
        path = TOP / "docs/safety.md"
        self.env.note_dependency(str(path))
        rows = [[cell.strip() for cell in line[1:-1].split("|")]
                for line in path.read_text().splitlines() if line.startswith("| ")]
        row = next((row for row in rows if row[0] == self.arguments[0] and len(row) == 5), None)
        if not row:
            raise self.error(f"docs/safety.md has no row '{self.arguments[0]}'")
        text = list(self.content) + ["", f"What stands for “{row[0]}” here:", ""]
        for what, cell in zip(("Before it runs", "While it runs", "Shown by", "The gap"), row[1:]):
            if cell:
                text.append(f"- **{what}:** {cell}")
        box = nodes.admonition(classes=["rust"])
        box += nodes.title("", "What Rust would have said")
        self.state.nested_parse(StringList(text, source=str(path)), self.content_offset, box)
        return [box]


def setup(app):
    """Sphinx calls this."""
    app.add_directive("source", Source)
    app.add_directive("rust", Rust)
    return {"version": "1", "parallel_read_safe": True}
