# SPDX-License-Identifier: GPL-2.0
"""The tree of sources that is checked, wherever it comes from, and its modules once built.

Nothing of a tree is executed here. What has to be runs in rig/sandbox.
"""

import hashlib
import os
import re
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from .rig import CACHE, HERE, RigError, UsageError, lock, output_of, say

MOST_BYTES = 512 << 20


def toolchain():
    """The root directory with DKMS and the compilers."""
    return output_of(HERE / "kernels/toolchain", "trixie", "dkms")


class Sandbox:
    """A directory that foreign code may write to, and how to run it there."""

    def __init__(self, work):
        self.work = Path(work)
        self.root = toolchain()

    def run(self, *command, kernel=None, seconds=1800):
        """Run a command; what it says is not shown, as it may be anything."""
        words = [str(HERE / "sandbox"), "-r", self.root, "-w", str(self.work), "-o", str(HERE)]
        if kernel:
            build = (kernel.dir / "build").resolve()
            words += ["-k", kernel.release, "-b", str(build), "-o", str(kernel.dir)]
            for directory in (build, CACHE / "source"):
                if directory.exists():
                    words += ["-o", str(directory)]
        try:
            return subprocess.run(words + [str(word) for word in command], timeout=seconds,
                                  stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except subprocess.TimeoutExpired as error:
            raise RigError(f"{command[0]} did not end within {seconds} s") from error


def read_result(path, most=1 << 20):
    """A text that foreign code wrote: no link is followed, and it may be huge."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return file.read(most).decode(errors="replace")


def read_binary(path):
    """The bytes of a module or a program that foreign code built; nothing of what is no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(fd, "rb") as file:
        return file.read(256 << 20) if stat.S_ISREG(os.fstat(fd).st_mode) else b""


def files_in(directory, top, pattern="*"):
    """The files in a directory below @top, where foreign code may have put links instead."""
    real = os.path.join(os.path.realpath(top), os.path.relpath(directory, top))
    if os.path.realpath(directory) != real:
        return []
    return sorted(path for path in Path(directory).glob(pattern) if path.is_file() and not path.is_symlink())


def empty(directory):
    """Remove what foreign code left, of whatever mode."""
    if os.path.isdir(directory):
        subprocess.run(["chmod", "-R", "u+rwX", str(directory)], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(directory, ignore_errors=True)
    if os.path.lexists(directory):
        raise RigError(f"{directory} cannot be removed")


@dataclass
class Module:
    """One module that was built."""
    name: str
    data: bytes
    depends: list = field(default_factory=list)
    parameters: list = field(default_factory=list)

    @property
    def symbol(self):
        """As the kernel calls it."""
        return self.name.replace("-", "_")


@dataclass
class Built:
    """The result of a build."""
    result: str
    cause: str = ""
    name: str = ""
    modules: list = field(default_factory=list)
    warnings: int = 0
    undefined: list = field(default_factory=list)
    log: str = ""
    tests: dict = field(default_factory=dict)
    notes: bytes = b""
    fuzzer: dict = field(default_factory=dict)


class Tree:
    """A tree of sources."""

    def __init__(self, argument):
        self.argument = argument
        self.label = argument
        self.source = None
        self.packaged = False
        digest = hashlib.sha256(os.path.realpath(argument).encode()).hexdigest()[:8]
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", argument.rstrip("/").split("/")[-1] or "tree")
        self.work = CACHE / "check" / f"{name}-{digest}"
        self._find()

    def _find(self):
        argument = self.argument
        if argument.startswith("apt:"):
            self._fetch(*(argument[4:].split("/", 1) + ["trixie"])[:2])
        elif argument.endswith(".deb") and os.path.isfile(argument):
            self._unpack(Path(argument).resolve())
        elif os.path.isdir(argument):
            self.source = Path(argument).resolve()
            self.label = self.source.name
            if not (self.source / "dkms.conf").exists() and not self._has_kbuild():
                raise UsageError(f"{argument} has no dkms.conf, and no Kbuild or Makefile with obj-m")
        elif re.fullmatch(r"[\w.+-]+/[\w.+~:-]+", argument):
            name, version = argument.split("/")
            for path in (Path(f"/var/lib/dkms/{name}/{version}/source"), Path(f"/usr/src/{name}-{version}")):
                if (path / "dkms.conf").exists():
                    self.source, self.packaged = path.resolve(), True
                    return
            raise UsageError(f"{argument} is no directory, and this machine's DKMS has no such module")
        else:
            raise UsageError(f"{argument} is no directory, no .deb, no NAME/VERSION and no apt:PACKAGE")

    def _has_kbuild(self):
        for directory, dirs, files in os.walk(self.source):
            # As deep as build-tree looks.
            if len(Path(directory).relative_to(self.source).parts) >= 2:
                dirs.clear()
            for name in {"Kbuild", "Makefile"}.intersection(files):
                text = read_result(os.path.join(directory, name))
                if re.search(r"^[^#\n]*\bobj-(m|\$[({]CONFIG_\w+[)}])\s*[:+?]?=", text, re.M):
                    return True
        return False

    def _fetch(self, package, suite):
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package) or not re.fullmatch(r"[a-z-]+", suite):
            raise UsageError(f"{self.argument} is not apt:PACKAGE or apt:PACKAGE/SUITE")
        into = self.work / "deb"
        into.mkdir(parents=True, exist_ok=True)
        debs = [deb for deb in into.glob("*.deb") if time.time() - deb.stat().st_mtime < 86400]
        if not debs:
            for deb in into.glob("*.deb"):
                deb.unlink()
            say(f"fetching {package} of {suite}")
            script = '. "$1/kernels/common"; use_suite "$3" "$host_arch"; cd "$2"; ' \
                     'apt-cache show "$4" > /dev/null || exit 9; apt-get -qq download "$4" ' \
                     '$(apt-cache depends --important "$4" | sed -n "s/^ *Depends: \\(.*-dkms\\)$/\\1/p")'
            done = subprocess.run(["bash", "-c", script, "fetch", str(HERE), str(into), suite, package],
                                  capture_output=True, text=True, check=False)
            debs = list(into.glob("*.deb"))
            if done.returncode == 9:
                raise UsageError(f"{suite} has no package {package}")
            if done.returncode or not debs:
                raise RigError(f"{package} of {suite} was not fetched: {' '.join(done.stderr.splitlines()[-3:])}")
        self.label = package
        # First the package itself, then what it depends on.
        self._unpack(*sorted(debs, key=lambda deb: (deb.name.partition("_")[0] != package, deb.name)))

    def _unpack(self, *debs):
        with lock(f"unpack-{self.work.name}"):
            self._unpack_once(*debs)

    def _unpack_once(self, deb, *others):
        work = self.work / "package"
        empty(work)
        work.mkdir(parents=True)
        work.chmod(0o700)
        shutil.copy(deb, work / "package.deb")
        done = Sandbox(work).run("dpkg-deb", "-x", "/kmodkit/package.deb", "/kmodkit/root")
        # A package may have links instead of any of these directories.
        found = [path for path in sorted((work / "root/usr/src").glob("*/dkms.conf"))
                 if files_in(path.parent, work, "dkms.conf")]
        if done.returncode or not found:
            raise UsageError(f"{deb.name} has no /usr/src/*/dkms.conf")
        self.source, self.packaged = found[0].parent, True
        for other in others:
            shutil.copy(other, work / "package.deb")
            Sandbox(work).run("dpkg-deb", "-x", "/kmodkit/package.deb", "/kmodkit/root")

    def parameters(self):
        """The parameters that kmodkit.conf has for each module."""
        text = read_result(self.source / "kmodkit.conf")
        return dict(re.findall(r"^load ([\w-]+) ([\w=.,:/+ -]+)$", text, re.M))

    def depends(self, source=None, above=()):
        """The trees beside it that its dkms.conf wants installed before, each behind those that it wants itself."""
        source = source or self.source
        names = re.findall(r"^\s*BUILD_DEPENDS(?:\[\d+\])?=[\"']?([\w.+-]+)", read_result(source / "dkms.conf"), re.M)
        found = []
        for path in sorted(source.parent.glob("*/dkms.conf")) if names else []:
            name = re.search(r"^\s*PACKAGE_NAME=[\"']?([\w.+-]+)", read_result(path), re.M)
            other = path.parent
            if name and name[1] in names and other not in (source, *above) and not other.is_symlink():
                found += [one for one in self.depends(other, (source, *above)) + [other] if one not in found]
        return found

    def copy_to(self, directory, source=None):
        """Copy the sources: plain files, directories and links, nothing that was built."""
        size = 0
        source = source or self.source
        # A package has nothing that is not wanted; in another tree somebody works.
        works = not self.packaged
        for here, dirs, files in os.walk(source):
            dirs[:] = [name for name in dirs if here != str(source) or name != ".git" and
                       not (works and name == "build" and not (Path(here) / name / "Makefile").exists())]
            to = directory / os.path.relpath(here, source)
            to.mkdir(parents=True, exist_ok=True)
            for name in files + [name for name in dirs if os.path.islink(os.path.join(here, name))]:
                path = os.path.join(here, name)
                status = os.lstat(path)
                if stat.S_ISLNK(status.st_mode):
                    if not os.path.lexists(to / name):
                        os.symlink(os.readlink(path), to / name)
                elif stat.S_ISREG(status.st_mode) and \
                        not (works and re.search(r"\.(ko|o|mod\.c|cmd|mod)$", name)):
                    size += status.st_size
                    shutil.copyfile(path, to / name)
                    os.chmod(to / name, status.st_mode & 0o777)  # no file that changes its user
            if size > MOST_BYTES:
                raise UsageError(f"{source} is larger than {MOST_BYTES >> 20} MiB")

    def build(self, kernel, extra=()):
        """Build the tree for a kernel, and read what came of it."""
        with lock(f"check-{self.work.name}-{kernel.name}"):
            built = self._build(kernel, extra)
        if built.result == "fail" and built.undefined and kernel.is_own:
            built.result = "skip"
            built.cause = f"{kernel.name} is configured without what has {' '.join(built.undefined[:8])}"
        return built

    def _build(self, kernel, extra):
        work = self.work / kernel.name
        empty(work)
        (work / "tree").mkdir(parents=True)
        work.chmod(0o700)  # what is left there is nobody else's to run
        self.copy_to(work / "tree")
        for number, source in enumerate(self.depends()):
            self.copy_to(work / f"depends/{number:02}", source)
        sandbox = Sandbox(work)
        built = None
        for variables in (["KBUILD_EXTRA_WARN=1"], []):
            done = sandbox.run("env", *variables, *extra, HERE / "build-tree", kernel.release, kernel=kernel)
            if os.path.islink(work / "out"):
                raise RigError("the build put a link in the place of its results")
            result = read_result(work / "out/result").strip()
            if not result:
                raise RigError(f"the build stopped: {done.stderr.decode(errors='replace')[-300:]}")
            again = self._read(work / "out", result)
            # A tree that takes warnings for errors has none of its own with W=1 alone.
            again.warnings = max(again.warnings, built.warnings if built else 0)
            built = again
            if built.result != "fail":
                break
        return built

    def _read(self, out, result):
        word, _, cause = result.split("\n")[0].partition(" ")
        log = read_result(out / "log")
        built = Built(word, cause, read_result(out / "name").split("\n")[0], log=log)
        built.warnings = len(set(re.findall(r"^.*: warning: .*$", log, re.M)))
        built.undefined = sorted(set(re.findall(r'"(\w+)" \[.*\] undefined!', log)))
        if built.undefined and word == "ok":
            built.result, built.cause = "fail", f"unknown symbols: {' '.join(built.undefined)}"
        if built.result == "ok":
            for path in files_in(out / "ko", out, "*.ko"):
                built.modules.append(self._module(path))
            built.modules = _in_order(built.modules)
            built.notes = read_binary(out / "notes")
            built.tests = {path.name: read_binary(path) for path in files_in(out / "tests", out)
                           if re.fullmatch(r"[\w.-]{1,60}", path.name)}
            built.fuzzer = {path.name: read_binary(path) for path in files_in(out / "fuzz", out)}
        return built

    @staticmethod
    def _module(path):
        info = read_result(f"{path}.info")
        depends = re.findall(r"^depends: *(\S*)$", info, re.M)
        parameters = re.findall(r"^parm: *(\w+):.*?\(?(\w+(?: \w+)*)?\)?$", info, re.M)
        soft = re.findall(r"^softdep: *pre: *(.*?)(?: post:.*)?$", info, re.M)
        module = Module(path.stem, read_binary(path))
        if not re.fullmatch(r"[\w-]{1,55}", module.name):
            raise UsageError(f"a module is called {module.name!r}")
        module.depends = [name for line in depends for name in line.split(",") if name]
        module.depends += [name for line in soft for name in line.split()]
        module.parameters = [name for name, _ in parameters]
        return module


def _in_order(modules):
    """Those that others depend on come first."""
    names = {module.symbol: module for module in modules}
    order = []

    def place(module, above):
        if module in order or module.symbol in above:
            return
        for name in module.depends:
            if name.replace("-", "_") in names:
                place(names[name.replace("-", "_")], above | {module.symbol})
        order.append(module)

    for module in modules:
        place(module, frozenset())
    return order
