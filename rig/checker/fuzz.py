# SPDX-License-Identifier: GPL-2.0
"""kmodkit fuzz: random programs of the system calls that a tree has a table of."""

import argparse
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from . import kernels, machine
from .report import plain
from .rig import HERE, RigError, UsageError, say
from .tree import Tree, read_result

DESCRIPTION = """Builds the modules of TREE, and boots a kernel that runs random programs of the system calls which the
tree has a table of. On a kernel with KCOV those are kept and changed that reach new code of the modules. One that
makes the kernel complain is made as short as it can be, and printed, as text and as C."""

EPILOG = """TREE is as for `kmodkit check`; its kmodkit.conf has a line `fuzz DIR`.

Exit status: 0 no program made the kernel complain, 1 one did, or the modules do not build or load, 2 usage,
3 the rig failed."""

# Behind its time the fuzzer makes a program short.
SECONDS_TO_SHORTEN = 600


def arguments(words):
    """The command line, read."""
    parser = argparse.ArgumentParser(prog="kmodkit fuzz", description=DESCRIPTION, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", nargs="?", default=".", metavar="TREE")
    parser.add_argument("-k", "--kernel", default="6.1-kasan",
                        help="as `kmodkit kernels` lists it (default 6.1-kasan); without KCOV: blindly")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default 60)")
    parser.add_argument("--seed", type=int, help="of the random programs (default: another each time)")
    parser.add_argument("--group", metavar="NAME", help="only the calls of this group of the table")
    parser.add_argument("--keep", action="store_true", help="add the programs that reached new code to DIR/corpus")
    return parser.parse_args(words)


def table_of(tree):
    """The directory with the tree's table, relative to the tree."""
    line = re.search(r"^fuzz (.+)$", read_result(tree.source / "kmodkit.conf"), re.M)
    if not line:
        raise UsageError(f"{tree.label} has no table of calls: its kmodkit.conf has no line `fuzz DIR`. "
                         "docs/rig.md of kmodkit tells what a table is; `kmodkit check` exercises a tree without one")
    directory = (tree.source / line[1]).resolve()
    if not directory.is_relative_to(tree.source) or not (directory / "calls.h").is_file():
        raise UsageError(f"{tree.label} has no file calls.h in {line[1]}, which its kmodkit.conf names")
    return directory.relative_to(tree.source)


class Corpus:
    """The programs that a tree keeps, in a file for each group."""

    def __init__(self, directory):
        self.directory = directory
        if directory.resolve() != directory:
            raise UsageError(f"{directory} is a link")

    def add(self, group, program):
        """Keep one more."""
        self.directory.mkdir(exist_ok=True)
        fd = os.open(self.directory / f"{group}.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(program)


def read(lines, corpus):
    """Show what the fuzzer says, but for what is to be kept; whether the modules are at fault."""
    fault, group, program = False, "", ""
    for line in lines:
        kept = re.fullmatch(r"# fuzz: kept ([A-Za-z0-9_-]{1,60})\n", line)
        if kept and corpus:
            group, program = kept[1], ""
        elif group:
            program += line
            if line == "\n":
                corpus.add(group, program)
                group = ""
        else:
            print(plain(line.rstrip("\n")), flush=True)
            fault = fault or re.match("not ok |# fuzz: (cannot load|the .*kernel (panics|hangs))", line) is not None
    return fault


def run(kernel, built, options, corpus):
    """Fuzz in a machine; the exit status."""
    with tempfile.TemporaryDirectory(prefix="kmodkit-") as name:
        work = Path(name)
        (work / "ko").mkdir()
        for module in built.modules:  # a table has a module's name as the kernel does
            (work / "ko" / f"{module.symbol}.ko").write_bytes(module.data)
        for name in ("fuzz", "corpus"):
            (work / name).write_bytes(built.fuzzer.get(name, b""))
        (work / "fuzz").chmod(0o755)
        command = [str(HERE / "fuzz/in-vm"), "-t", str(options.seconds + SECONDS_TO_SHORTEN)]
        for module in machine.dependencies(kernel, built.modules):
            command += ["-D", module]
        environment = {**os.environ, "KMK_KERNEL": str(kernel.dir), "KMK_KO": str(work / "ko"),
                       "KMK_FUZZ_SECONDS": str(options.seconds), "KMK_FUZZ_GROUP": options.group or "",
                       "KMK_FUZZ_KEEP": "1" if corpus else "",
                       "KMK_SEED": "" if options.seed is None else str(options.seed)}
        with subprocess.Popen(command + [str(work / "fuzz"), str(work / "corpus")], stdout=subprocess.PIPE,
                              encoding="utf-8", errors="replace", env=environment,
                              start_new_session=True) as process:
            try:
                fault = read(process.stdout, corpus)
                status = process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGTERM)  # or the machine would go on
                raise
    # As rig/vm/run has them: the kernel complained, it panicked, a module did not unload.
    if fault or status in (3, 4, 6):
        return 1
    if status:
        raise RigError(f"the fuzzer did not run: rig/fuzz/in-vm ended with exit status {status}")
    return 0


def main(words):
    """The exit status is the contract: see above."""
    options = arguments(words)
    kernels.check_names([options.kernel])
    tree = Tree(options.tree)
    table = table_of(tree)
    if options.keep and tree.packaged:
        raise UsageError(f"--keep wants a tree that somebody works on: {options.tree} is a package")
    corpus = Corpus(tree.source / table / "corpus") if options.keep else None
    kernel = kernels.get(options.kernel)
    say(f"building {tree.label} and the fuzzer with its table, for Linux {kernel.release}")
    built = tree.build(kernel, ["KCOV_INSTRUMENT=y", f"KMK_FUZZ={table}"])
    if built.result == "skip":
        raise UsageError(f"{tree.label} cannot be fuzzed on {options.kernel}: {built.cause}")
    if built.result != "ok":
        say(f"{tree.label} does not build: {plain(built.cause)}")
        return 1
    groups = built.fuzzer.get("groups", b"").decode(errors="replace").split()
    if options.group and options.group not in groups:
        raise UsageError(f"no group '{options.group}' in {table}/calls.h; there are: {plain(' '.join(groups))}")
    say(f"booting Linux {kernel.release} with {' '.join(module.name for module in built.modules)}")
    return run(kernel, built, options, corpus)
