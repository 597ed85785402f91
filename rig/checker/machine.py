# SPDX-License-Identifier: GPL-2.0
"""Run the stages in a machine, and again after one that did not survive them."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from . import elf, log
from .rig import CACHE, HERE, RigError, lock, say

MOST_BOOTS = 10
# Steps that only look: a machine that begins again repeats them.
REPEATED = ("load",)
# How many words each line of the stages has at least.
LEAST_WORDS = {"step": 1, "verdict": 4, "found": 2, "did": 3, "text": 3, "new": 2, "lost": 2, "said": 1, "logged": 1,
               "left": 1, "leak": 1, "leak-before": 1, "note": 1, "unexercised": 1}
# The one word of a leak: allocator, cache, how many, and the address that allocated them.
WHOLE_LEAK = re.compile(r"\S+ \S+ \d+ 0x[0-9a-f]{16}")


@dataclass
class Event:
    """A line of the stages, with the step it came in."""
    step: str
    kind: str
    words: list


@dataclass
class Run:
    """The record of a machine, or of several in turn."""
    events: list = field(default_factory=list)
    reports: list = field(default_factory=list)
    deaths: list = field(default_factory=list)
    consoles: list = field(default_factory=list)
    kmemleak: str = ""
    counts: list = field(default_factory=list)
    plain: dict = field(default_factory=dict)
    boots: int = 0
    ended: bool = False

    def of(self, kind):
        """The events of a kind."""
        return [event for event in self.events if event.kind == kind]


def patience():
    """How much longer things take on this machine than on an idle one, at most ten times."""
    busy = os.getloadavg()[1] / (os.cpu_count() or 1)
    return min(10, max(1, busy) * 1.1 ** max(0, os.nice(0)))


def digest(*paths):
    """Of the contents of files, and of those in directories."""
    files = sorted(file for path in paths for file in (path.iterdir() if path.is_dir() else [path]) if file.is_file())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def programs():
    """Build the programs of the machine, once for each version of them: times would not tell those apart."""
    out = CACHE / "exercise" / digest(HERE / "exercise")
    out.mkdir(parents=True, exist_ok=True)
    with lock("exercise"):
        done = subprocess.run(["make", "-s", "-C", str(HERE / "exercise"), f"OUT={out}"],
                              capture_output=True, text=True, check=False)
    if done.returncode:
        raise RigError(f"the programs of the machine do not build: {done.stderr[-500:]}")
    return out


@dataclass
class Plan:
    """The work for a machine."""
    modules: list
    seconds: int = 20
    seed: int = 1
    only: str = ""
    with_parameters: dict = field(default_factory=dict)
    tests: dict = field(default_factory=dict)
    memory: int = 512
    progress: bool = False
    counting: bool = False


def dependencies(kernel, modules):
    """The modules of the kernel's own that others, which are built together, depend on."""
    built = {module.symbol for module in modules}
    return kernel.needed_by(sorted({name for module in modules for name in module.depends
                                    if name.replace("-", "_") not in built}))


class Machine:
    """A kernel with modules, and with what has been done."""

    def __init__(self, kernel, plan):
        self.kernel = kernel
        self.plan = plan
        self.run = Run()
        self.done = []
        self.dependencies = dependencies(kernel, plan.modules)

    def _prepare(self, directory):
        plan = self.plan
        for name in ("ko", "again", "with", "own"):
            (directory / name).mkdir()
        for name, data in plan.tests.items():
            (directory / "own" / name).write_bytes(data)
            (directory / "own" / name).chmod(0o755)
        hints = []
        for module in plan.modules:
            (directory / "ko" / f"{module.name}.ko").write_bytes(module.data)
            other = f"{module.symbol}_2"
            twin = elf.renamed(module.data, module.symbol, other)
            if twin:
                (directory / "again" / f"{other}.ko").write_bytes(twin)
            contents = elf.Elf(module.data)
            hints += [f'"{word}' for word in elf.words(contents)]
            hints += [f"#{number}" for number in elf.commands(contents)]
            if module.name in plan.with_parameters:
                (directory / "with" / module.name).write_text(plan.with_parameters[module.name])
        (directory / "hints").write_text("\n".join(hints) + "\n")
        (directory / "parameters").write_text("".join(
            f"{module.name} {name}\n" for module in plan.modules for name in module.parameters))
        (directory / "done").write_text("".join(f"{step}\n" for step in self.done))
        slow = self.kernel.is_instrumented
        variables = {
            "modules": " ".join(module.name for module in plan.modules),
            "dependencies": " ".join(self.dependencies),
            "seed": plan.seed, "seconds": plan.seconds, "only": plan.only,
            "restarts": "yes" if self.run.boots < MOST_BOOTS - 1 else "no",
            "storm_seconds": 30 if slow else 15,
        }
        (directory / "plan").write_text("".join(
            f"{name}={shlex.quote(str(value))}\n" for name, value in variables.items()))

    def _command(self, directory):
        # Each of the tree's own tests may take 300 s.
        seconds = int((240 + 4 * self.plan.seconds + 300 * len(self.plan.tests)) * patience())
        # Every object of every cache would make the machine's boot take twice as long.
        # A task that oopsed may hold a lock that all others wait for: begin another machine at once.
        append = "slub_debug=FZPU,kmalloc-* hash_pointers=never oops=panic kmk.unscanned"
        if self.kernel.is_instrumented:
            # rig/vm/run gives ten times that
            seconds = int((60 + self.plan.seconds + 30 * len(self.plan.tests)) * patience())
        elif self.kernel.has("KFENCE"):
            append += " kfence.sample_interval=10"
        command = [str(HERE / "vm/run"), "-k", str(self.kernel.dir), "-t", str(seconds),
                   "-r", str(self.plan.memory), "-a", append]
        for module in self.dependencies:
            command += ["-D", module]
        out = programs()
        for path in sorted(directory.iterdir()) + [out / "surface", out / "exercise"]:
            command += ["-f", str(path)]
        return command + [str(HERE / "exercise/stages")]

    def _read(self, lines):
        """Take in what the stages print; the step that was not ended is returned."""
        step, open_step, leaks = "begin", None, None
        for line in lines:
            line = line.rstrip("\n")
            if not line.startswith("@"):
                if leaks is not None:
                    leaks.append(line)
                else:
                    self.run.plain.setdefault(step, []).append(line)
                continue
            kind, *words = line[1:].split("\t")
            if len(words) < LEAST_WORDS.get(kind, 0) or \
                    (kind in ("leak", "leak-before") and not WHOLE_LEAK.fullmatch(words[0])):
                continue  # the machine died while it wrote this
            if kind == "step":
                step = open_step = words[0]
                if self.plan.progress:
                    say(f"{self.kernel.name}: {step}")
            elif kind == "end":
                open_step = None
                if step not in REPEATED:
                    self.done.append(step)
            elif kind == "kmemleak":
                leaks = []
            elif kind == "end-kmemleak":
                self.run.kmemleak += "\n".join(leaks or [])
                leaks = None
            elif kind in ("done", "restart"):
                open_step = None
                self.run.ended = kind == "done"
            self.run.events.append(Event(step, kind, words))
        return open_step

    def _boot(self):
        """Boot once; whether there is more to do."""
        with tempfile.TemporaryDirectory(prefix="kmodkit-") as name:
            directory = Path(name)
            (directory / "files").mkdir()
            self._prepare(directory / "files")
            console = directory / "console"
            environment = {**os.environ, "KMK_VM_CONSOLE": str(console),
                           "KMK_VM_EARLY": str(int(120 * patience()))}
            counts = directory / "counts"
            if self.plan.counting:
                environment["KMK_VM_GCOV"] = str(counts)
            for variable in ("KMK_KO", "KMK_KERNEL"):
                environment.pop(variable, None)
            with subprocess.Popen(self._command(directory / "files"), stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
                                  env=environment) as process:
                first = len(self.run.events)
                lines = []
                try:
                    open_step = self._read(self._until_verdict(process.stdout, lines))
                    status = process.wait()
                except BaseException:
                    process.terminate()  # or the machine would go on
                    raise
            text = console.read_text(encoding="utf-8", errors="replace") if console.exists() else ""
            if counts.exists() and counts.stat().st_size:  # a machine that died has written nothing
                self.run.counts.append(counts.read_bytes())
        self.run.boots += 1
        self.run.consoles.append(text)
        self.run.reports += log.read(text)
        events = self.run.events[first:]
        steps = [event.words[0] for event in events if event.kind == "step"]
        if status == 2 or (status in (4, 5) and not steps):  # before it had a module
            raise RigError(f"the machine did not run: {' '.join(lines)[-500:]}")
        if status == 5 and not open_step:
            raise RigError("the machine was too slow: it was in none of the module's steps when its time was over")
        if status in (4, 5):
            self.run.deaths.append((open_step or steps[-1], "panic" if status == 4 else "hang", lines))
            if not open_step or open_step in REPEATED:
                return False
            self.done.append(open_step)
            return True
        return any(event.kind == "restart" for event in events)

    @staticmethod
    def _until_verdict(stream, rest):
        """The stages' lines; what rig/vm/run says of the machine goes to @rest."""
        for line in stream:
            broken = re.match(r"@[^#]*(# vm:.*)", line, re.S)
            if broken:  # the machine died while it wrote
                line = broken.group(1)
            if line.startswith("# vm:"):
                rest.append(line)
                rest.extend(stream)
                return
            yield line

    def go(self):
        """Do all that the plan says."""
        while self._boot() and self.run.boots < MOST_BOOTS:
            if self.plan.progress:
                say(f"{self.kernel.name}: another machine, for what is left to do")
        return self.run


def baseline(kernel):
    """Reports and leftovers of the machine without any module, kept for each version of a kernel."""
    with lock(f"baseline-{kernel.name}"):
        return _baseline(kernel)


def _baseline(kernel):
    kept = CACHE / "baseline" / kernel.name
    seen_by = [HERE / name for name in ("exercise", "vm", "checker/log.py", "checker/machine.py")]
    stamp = f"{kernel.identity} {digest(*seen_by)}"
    if (kept / "stamp").exists() and (kept / "stamp").read_text() == stamp:
        return set((kept / "shapes").read_text().splitlines()), \
            set((kept / "left").read_text().splitlines())
    say(f"a run of {kernel.name} without any module, once, to compare with")
    run = Machine(kernel, Plan([])).go()
    shapes = {report.shape for report in run.reports}
    left = {re.sub(r"\d+", "#", event.words[0]) for event in run.of("left") + run.of("leak") if event.words}
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    (kept / "shapes").write_text("\n".join(shapes))
    (kept / "left").write_text("\n".join(left))
    (kept / "stamp").write_text(stamp)
    return shapes, left
