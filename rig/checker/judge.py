# SPDX-License-Identifier: GPL-2.0
"""Judge the modules by a run: a verdict for each stage, and each failure by its cause."""

import re
import shlex
from dataclasses import asdict, dataclass, field
from itertools import takewhile

from . import elf, log

STAGES = ["build", "load", "surface", "tests", "exercise", "unload", "leftovers", "log"]

# A module that finds no device of its kind is not at fault.
HARDWARE = r"(device|hardware|card|adapter|chip|board|controller|sensor|cpu|processor|platform|machine|laptop|model)s?"
NO_HARDWARE = re.compile(rf"\b(no|unsupported|(failed|unable) to (find|detect)) (\w+ ){{0,3}}{HARDWARE}\b"
                         rf"|\b{HARDWARE} ((is|was|were|are) )?(unsupported|"
                         r"not (\w+ )?(found|present|detected|supported))"
                         r"|only (runs|works) on", re.I)

# The kernel's own, which come when something is used first, and stay.
KERNELS_OWN = re.compile(
    r"^(slab\t(:|kmalloc-|bio-|biovec|dm_|ext4_|sock_inode|request_queue|skbuff)"
    r"|sysfs(-dir)?\t/sys/(kernel/slab/|devices/(virtual/(bdi/|block/loop\d|vc/vcs|tty/tty\d)"
    r"|system/(cpu|node|memory)/))"
    r"|thread\t(loop\d|kworker|irq/|rcu[_oc]|ext4-|jbd2/|mld$|kdmflush|card\d+-crtc)"
    r"|debugfs(-dir)?\t/sys/kernel/debug/(bdi/|block/loop\d|kmemleak$|slab/|tracing/)"
    r"|proc(-dir)?\t/proc/(fs/(ext4|jbd2)(/|$)|net/(dev_snmp6|stat)/)"
    r"|dev\t/dev/(loop\d|vcs[au]?\d|pts/)|blockdev\t/dev/loop\d)")

LEFT_CLASSES = {
    "dev": "node-left", "devfile": "node-left", "devfile-dir": "node-left", "blockdev": "node-left",
    "proc": "proc-left", "proc-dir": "proc-left",
    "sysfs": "sysfs-left", "sysfs-dir": "sysfs-left", "class": "class-left", "bus": "class-left",
    "driver": "driver-left",
    "debugfs": "debugfs-left", "debugfs-dir": "debugfs-left", "sysctl": "sysctl-left", "sysctl-dir": "sysctl-left",
    "netdev": "netdev-left", "thread": "thread-left", "interrupt": "interrupt-left", "slab": "slab-left",
    "filesystem": "filesystem-left", "major": "major-left", "blockmajor": "major-left",
    "genl": "netlink-left", "crypto": "crypto-left", "param": "module-left", "module": "module-left",
}
# A thing left behind shows in several ways: the first is what to name it by.
ORDER = ["module", "thread", "interrupt", "netdev", "sysctl", "sysctl-dir", "class", "bus", "driver",
         "filesystem", "genl", "crypto", "proc", "proc-dir", "debugfs", "debugfs-dir", "dev", "blockdev", "slab",
         "major", "blockmajor"]


@dataclass
class Finding:
    """One failure."""
    stage: str
    kind: str
    cause: str
    words: list = field(default_factory=list)
    command: str = ""
    step: str = ""
    tries: int = 0
    came_again: int = 0

    @property
    def can_race(self):
        """Whether its step has threads or processes that meet at another moment each time."""
        return self.step.startswith(("exercise", "unload", "load and unload"))

    def is_like(self, other):
        """Whether both are the same failure."""
        return (self.stage, self.kind) == (other.stage, other.kind)


@dataclass
class Result:
    """All that is known of a tree on a kernel."""
    tree: str
    kernel: str
    release: str = ""
    name: str = ""
    stages: dict = field(default_factory=dict)
    causes: dict = field(default_factory=dict)
    findings: list = field(default_factory=list)
    surface: list = field(default_factory=list)
    logged: list = field(default_factory=list)
    exercised: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    coverage: list = field(default_factory=list)
    modules: list = field(default_factory=list)
    warnings: int = 0
    seed: int = 1
    limit: int = 30
    seconds: float = 0

    def set(self, stage, verdict, cause=""):
        """Give a stage its verdict, unless it has failed already."""
        if self.stages.get(stage) != "FAIL":
            self.stages[stage] = verdict
            if cause:
                self.causes[stage] = cause

    @property
    def failed(self):
        """Whether the modules did."""
        return "FAIL" in self.stages.values()

    def as_dict(self):
        """For JSON."""
        return asdict(self)


def stage_of(step):
    """The stage that a step belongs to."""
    step = step.removeprefix("after ")
    for word, stage in (("test ", "tests"), ("exercise", "exercise"), ("unload at the end", "leftovers"),
                        ("unload", "unload"),
                        ("load and unload", "unload"), ("leftovers", "leftovers")):
        if step.startswith(word):
            return stage
    return "load"


class Judge:
    """Turns what a machine showed into findings."""

    def __init__(self, result, run, modules, baseline):
        self.result = result
        self.run = run
        self.modules = modules
        self.names = [module.symbol for module in modules] + [f"{module.symbol}_2" for module in modules]
        self.shapes, self.left_anyway = baseline
        self.seen = set()

    def find(self, stage, kind, cause, words=(), step="", key=None):
        """Note a failure, once."""
        key = (stage, kind, key or cause)
        self.result.set(stage, "FAIL", cause)
        if key in self.seen:
            return
        self.seen.add(key)
        step = step.removeprefix("after ")
        again = f"kmodkit check {shlex.quote(self.result.tree)} -k {self.result.kernel} --seed {self.result.seed}"
        if self.result.limit > 30:
            again += f" --seconds {self.result.limit}"
        if step and step != "begin":
            again += f" --only {shlex.quote(step)}"
        self.result.findings.append(Finding(stage, kind, cause, list(words)[:60], again, step))

    def judge(self):
        """Everything."""
        loaded = self._load()
        tested = any(event.words[1] == "tests" for event in self.run.of("verdict"))
        done = {stage_of(event.words[0]) for event in self.run.of("end") if event.words}
        for stage in STAGES[2:]:
            # Where the machine did not come to it, nobody looked.
            has = loaded and (tested or stage != "tests") and \
                (stage in done or stage not in ("unload", "leftovers") or not done & {"exercise", "unload"})
            self.result.set(stage, "PASS" if has else "-")
        self._log()
        self._deaths()
        if loaded:
            self._surface()
            self._exercise()
        self._verdicts()
        self._leftovers()
        self._leaks()
        if loaded and not self.result.exercised and self.result.stages["exercise"] == "PASS":
            self.result.set("exercise", "SKIP", "nothing that this rig can exercise")
        return self.result

    def _load(self):
        self.result.set("load", "PASS")
        loaded, without = False, set()
        events = [event for event in self.run.events if event.step == "load" and event.kind in ("verdict", "said")]
        needs = {module.name: {name.replace("-", "_") for name in module.depends} for module in self.modules}
        for number, event in enumerate(events):
            if event.kind == "said":
                continue
            _, _, verdict, cause = event.words
            if verdict == "PASS":
                loaded = True
                continue
            module, _, error = cause.partition(": ")
            # The kernel's words follow the verdict.
            said = [log.TIMESTAMP.sub("", line.words[0])
                    for line in takewhile(lambda line: line.kind == "said", events[number + 1:])]
            if without & needs.get(module, set()):
                without.add(module.replace("-", "_"))
                self.result.notes.append(f"{module} was not loaded, as it depends on one without its hardware")
                continue
            evidence = next((line for line in said if NO_HARDWARE.search(line)), "")
            if re.match("No such device", error) or \
                    (evidence and not re.match("unknown symbol|invalid (module|parameter)", error)):
                without.add(module.replace("-", "_"))
                self.result.set("load", "SKIP", f"{module}: {error}" + (f"; it says: {evidence}" if evidence else ""))
            else:
                self.find("load", "load", f"{module} does not load: {error}", said, "load")
        return loaded

    def _log(self):
        for report in self.run.reports:
            if log.is_foreign(report, self.names, self.shapes):
                continue
            kind = report.kind
            stage = stage_of(report.step)
            where = report.where(self.names)
            cause = report.headline
            if where and where not in cause:
                cause += f" in {where}"
            if not report.blames(self.names):
                cause += " (no frame of the module's; the kernel says this only with it)"
            words = ([report.message] if report.message else []) + report.lines
            self.find(stage, kind, cause, words, report.step, (kind, report.shape, where))
            self.result.set("log", "FAIL", report.headline)

    def _deaths(self):
        for step, kind, lines in self.run.deaths:
            words = [line.rstrip() for line in lines]
            if kind == "panic" and any(finding.step == step for finding in self.result.findings):
                continue  # by what the kernel said before
            headline = next((line.strip("# ") for line in words if "panic" in line and "not syncing" in line), "")
            self.find(stage_of(step), kind, f"the machine {'panicked' if kind == 'panic' else 'hung'} in "
                      f"'{step}' {headline}".rstrip(), words, step)

    def _surface(self):
        self.result.surface = sorted({tuple(event.words[0:2]) for event in self.run.of("new") if len(event.words) > 1})
        # A second machine loads them once more.
        self.result.logged = list(dict.fromkeys(" ".join(event.words) for event in self.run.of("logged")))
        for event in self.run.of("lost"):
            if event.words[0] == "thread" or KERNELS_OWN.match("\t".join(event.words)):
                continue  # of its own, and its work may be done
            self.find("load", "name-lost", f"a second load that failed took away {' '.join(event.words)}",
                      step=event.step)

    def _exercise(self):
        for event in self.run.of("did"):
            if len(event.words) > 2:
                self.result.exercised.append((event.words[0], int(event.words[1]), int(event.words[2])))
        for event in self.run.of("unexercised"):
            self.result.notes.append(f"no time was left for {event.words[0]}: --seconds gives more")
        for event in self.run.of("note"):
            self.result.notes.append(event.words[0])
        for event in self.run.of("found"):
            kind, cause = event.words[:2]
            self.find(stage_of(event.step), kind, cause, self.run.plain.get(event.step, []), event.step,
                      (kind, re.sub(r"0x[0-9a-f]+|\d+", "#", cause)))

    def _verdicts(self):
        for event in self.run.of("verdict"):
            _, stage, verdict, cause = event.words[:4]
            if verdict == "FAIL" and event.step != "load":
                kind = {"unload": "stuck", "tests": "test"}.get(stage, "load")
                words = self.run.plain.get(event.step, []) if stage == "tests" else []
                self.find(stage, kind, cause, words, event.step, key=re.sub(r"\d+", "#", cause))

    def _leftovers(self):
        stuck = any(finding.kind == "stuck" for finding in self.result.findings)
        steps = {}
        for event in self.run.of("left"):
            line = "\t".join(event.words)
            if len(event.words) > 1 or "\t" in line:
                steps.setdefault(event.step, []).append(line)
        seen = set()
        for step, lines in steps.items():
            lines = [line for line in lines if line not in seen and not KERNELS_OWN.match(line) and
                     re.sub(r"\d+", "#", line) not in self.left_anyway]
            seen.update(lines)
            if not lines or (stuck and step != "load"):
                continue
            lines.sort(key=lambda line: (ORDER + [line.split("\t")[0]]).index(line.split("\t")[0]))
            kind, _, name = lines[0].partition("\t")
            if step == "twice":
                where, stage = "a second load that failed", "load"
            elif step in ("load", "parameters", "load without memory"):
                where, stage = "a load that failed", "load"
            else:
                where, stage = "unload", "leftovers"
            more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
            self.find(stage, LEFT_CLASSES.get(kind, "left"), f"after {where} there is still {kind} {name}{more}",
                      lines, step, (stage, LEFT_CLASSES.get(kind, "left")))

    def _symbol(self, address):
        """The function of a module that was at an address before it was unloaded, if any was."""
        address = int(address, 16)
        files = {module.name: elf.Elf(module.data) for module in self.modules}
        for event in reversed(self.run.of("text")):
            module, section, start = event.words
            name = elf.function_at(files[module], section, address - int(start, 16)) if module in files else None
            if name:
                return f"{name} [{module}]"
        return None

    def _leaks(self):
        places = {}
        counts = {}
        for event in self.run.of("leak-before"):
            _, cache, count, address = event.words[0].split(" ")
            counts[cache, address] = counts.get((cache, address), 0) - int(count)
        steps = [event.step for event in self.run.of("leak")]
        for event in self.run.of("leak"):
            if event.step != steps[-1]:
                continue  # a later look sees it as well
            allocator, cache, count, address = event.words[0].split(" ")
            counts[cache, address] = counts.get((cache, address), 0) + int(count)
            symbol = self._symbol(address)
            if symbol and counts[cache, address] > 0:
                places.setdefault(symbol, []).append((allocator, cache, counts[cache, address], event.step))
        for symbol, found in places.items():
            allocator, cache, count, step = found[-1]
            what = f"{count} bytes of vmalloc" if allocator == "vmalloc" else f"{count} objects of {cache}"
            self.find("leftovers", "leak", f"memory is not freed: {what}, allocated by {symbol}", step=step)
        for block in re.findall(r"^unreferenced object.*?(?=^unreferenced|\Z)", self.run.kmemleak, re.M | re.S):
            if not re.search(r"\[(" + "|".join(self.names) + r")\]|ffffffffc[0-9a-f]{7}\b", block):
                continue
            lines = block.splitlines()
            size = re.search(r"size (\d+)", lines[0])
            # The innermost frames are the allocator's own.
            names = [re.sub(r"^\s*\[<\w+>\]\s*", "", line).strip() for line in lines
                     if "+0x" in line or "0xffffffffc" in line]
            by = next((name for name in names if "[" in name or name.startswith("0xffffffffc")), "")
            if by.startswith("0x"):
                by = self._symbol(by.split()[0]) or by
            self.find("leftovers", "leak", f"memory is not freed: {size.group(1) if size else '?'} bytes, "
                      f"allocated by {by}", lines, "unload at the end")
