# SPDX-License-Identifier: GPL-2.0
"""Which lines of a tree ran, as gcov has counted them in one or several machines."""

import json
import os
import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .rig import RigError
from .tree import Sandbox, read_result

# In the sandbox, as the counts come out of a machine with a foreign module. A source of a module that
# was never loaded has notes of the compiler's, and no counts.
READ = """for archive in [0-9]*.tar; do
    mkdir "${archive%.tar}"
    tar -C "${archive%.tar}" -xf "$archive"
    tar -C "${archive%.tar}" -xf notes.tar
done
find . -name '*.gcno' -exec "gcov-$(gcc -dumpversion | cut -d . -f 1)" --json-format --stdout {} + > counts
"""
# Where sources lie in the sandbox: a build of DKMS's has a copy.
SOURCE = re.compile(r"/kmodkit/(?:tree|dkms/[^/]+/[^/]+/build)/(.*)")


@dataclass
class Source:
    """How often each line ran, and each function."""
    lines: Counter = field(default_factory=Counter)
    functions: Counter = field(default_factory=Counter)

    def summary(self, name):
        """For a report: lines that ran, lines, and functions that did not."""
        return [name, sum(map(bool, self.lines.values())), len(self.lines),
                sorted(function for function, count in self.functions.items() if not count)]


def parsed(text):
    """The sources of gcov's JSON, a document a line: each has what one object file was made of."""
    sources = {}
    try:
        for line in filter(None, text.split("\n")):
            document = json.loads(line)
            for file in document["files"]:
                path = os.path.normpath(os.path.join(document["current_working_directory"], file["file"]))
                name = SOURCE.fullmatch(path)
                if not name or name[1].endswith(".mod.c"):
                    continue
                source = sources.setdefault(name[1], Source())
                for one in file["lines"]:
                    source.lines[one["line_number"]] += one["count"]
                for one in file["functions"]:
                    source.functions[one["name"]] += one["execution_count"]
    except (ValueError, KeyError, TypeError) as error:
        raise RigError(f"gcov's words are not understood: {error!r}") from error
    return sources


def read(kernel, notes, archives):
    """The sources that the compiler's notes and the counts of each machine are about, by their names in the tree."""
    with tempfile.TemporaryDirectory(prefix="kmodkit-") as name:
        work = Path(name)
        for name, data in [("notes", notes), *enumerate(archives)]:
            (work / f"{name}.tar").write_bytes(data)
        done = Sandbox(work).run("bash", "-ec", READ, kernel=kernel)
        text = read_result(work / "counts", 256 << 20)
    if done.returncode or not text:
        raise RigError(f"gcov did not read what was counted: {done.stderr.decode(errors='replace')[-300:]}")
    return parsed(text)


def as_info(sources, top):
    """For genhtml and editors: the format of geninfo(1)."""
    records = []
    for name, source in sorted(sources.items()):
        records += [f"SF:{top / name}"]
        records += [f"DA:{line},{count}" for line, count in sorted(source.lines.items())]
        records += ["end_of_record"]
    return "\n".join(records) + "\n"
