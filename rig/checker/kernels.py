# SPDX-License-Identifier: GPL-2.0
"""The kernels that a tree can be checked on."""

import os
import re
import subprocess
from pathlib import Path

from .rig import CACHE, HERE, UsageError, output_of


class Kernel:
    """A kernel in the cache, with what modules are built with."""

    def __init__(self, name, directory):
        self.name = name
        self.dir = Path(directory)
        self.release = (self.dir / "release").read_text().strip()

    @property
    def is_instrumented(self):
        """Whether it was built with checkers that make it slow."""
        config = self.dir / "config"
        checkers = (HERE / "vm/slow").read_text().strip()
        return config.exists() and re.search(checkers, config.read_text(), re.M) is not None

    @property
    def is_own(self):
        """Whether the rig has configured it, with little more than its tests want."""
        return (self.dir / "config").exists()

    def has(self, option):
        """Whether it was configured with that option."""
        config = self.dir / "config"
        if not config.exists():
            config = self.dir / "build" / ".config"
        return re.search(rf"^CONFIG_{option}=[ym]$", config.read_text(), re.M) is not None

    @property
    def identity(self):
        """Names the kernel for results that are kept: a release may come in several versions."""
        version = self.dir / "version"
        return f"{self.release} {version.read_text().strip() if version.exists() else ''}"

    def needed_by(self, names):
        """Of these modules, those that are the kernel's own, as it has them."""
        found = []
        for name in names:
            if not re.fullmatch(r"\w[\w-]*", name):
                continue  # a foreign module says so
            # Not as this host is set up.
            done = subprocess.run(
                ["modprobe", "-C", "/dev/null", "-S", self.release, "-d", str(self.dir / "image"),
                 "--show-depends", name], capture_output=True, text=True, check=False,
                env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
            if done.returncode == 0:
                found.append(name)
        return found


def _lines(path):
    """The columns of each kernel in a list, oldest first."""
    if not path.exists():
        return []
    return [line.split() for line in path.read_text().splitlines() if line.strip() and line[0] != "#"]


def listed():
    """The names of all kernels that a tree can be checked on: the sandbox builds for them."""
    added = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config")) / "kmodkit/kernels"
    # User-mode Linux is a program of the host's: a module in it is no longer locked up.
    return [line[0] for path in (HERE / "kernels/list", HERE / "kernels/instrumented", added)
            for line in _lines(path) if line[4] == "amd64" and line[3] != "uml" and not line[5].endswith("-llvm")]


def _stock():
    """The plain kernels of Debian's, oldest first."""
    return [line[0] for line in _lines(HERE / "kernels/list")
            if line[2] != "*" and line[3] == "amd64" and not line[5].endswith("-llvm")]


def newest():
    """The newest that is known by its version."""
    return _stock()[-1]


def between():
    """Those younger than 6.1, for a tree that allows no older ones."""
    stock = _stock()
    return stock[stock.index("6.1") + 1:-1]


def default():
    """The oldest, 6.1, the newest, and the instrumented one if it was built."""
    names = [_stock()[0], "6.1", newest()]
    if (CACHE / "kernels/6.1-kasan/release").exists():
        names.append("6.1-kasan")
    return names


def check_names(names):
    """Refuse a name before anything is done."""
    known = listed()
    if not names:
        raise UsageError(f"no kernel is named; there are: {' '.join(known)}")
    for name in names:
        if name not in known:
            raise UsageError(f"no kernel '{name}' to check on; there are: {' '.join(known)}")


def get(name):
    """Fetch a kernel if it is not in the cache."""
    return Kernel(name, output_of(HERE / "kernels/fetch", name))
