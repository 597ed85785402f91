# SPDX-License-Identifier: GPL-2.0
"""Read a kernel log: complaints, what each is about, and whom it is about."""

import re
from dataclasses import dataclass, field

from .rig import HERE

TIMESTAMP = re.compile(r"^(?:<\d>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")
MARKER = re.compile(r"^kmodkit: (step|end) (.*)$")

# Beside those that fail every run of the machine: what only a driver's author can be told.
MORE_COMPLAINTS = [
    "returned bad count",
    "->init suspiciously returned",
    "does not have a release\\(\\) function",
    "tried to init an initialized object",
    "cannot create duplicate filename",
    "detected buffer overflow",
    "Slab cache still has objects",
    "leaving .*behind|leaked",
    "detected field-spanning write",
]

# The class of a report: the first whose expression matches it.
CLASSES = [
    ("double-free", r"KASAN: (double-free|invalid-free)|Object already free|already free"),
    ("uninitialised", r"KMSAN: "),
    ("null-pointer", r"KASAN: null-ptr-deref|kernel NULL pointer dereference"),
    ("use-after-unload", r"RIP: 0010:0xffffffffc|unable to handle page fault for address: ffffffffc"
                         r"|Unable to handle kernel paging request at virtual address ffff80007"),
    ("use-after-free", r"KASAN: [a-z-]*use-after-free|Poison overwritten|6b6b6b6b6b6b6b"),
    ("bad-return", r"->init suspiciously returned"),
    ("attribute-overlong", r"returned bad count|invalid sysfs_emit|sysfs_emit(_at)?: invalid"),
    ("out-of-bounds", r"KASAN: [a-z-]*out-of-bounds|Redzone overwritten|UBSAN: array-index"
                      r"|detected buffer overflow|usercopy: Kernel memory|field-spanning write"
                      r"|Redzone [0-9a-fx]+|stack-protector: Kernel stack is corrupted|KASAN: wild"),
    ("bad-pointer", r"KASAN: (wild|user)-memory-access|general protection|unable to handle page fault"),
    ("sleep-in-atomic", r"sleeping function called from invalid context|scheduling while atomic"
                        r"|Invalid wait context"),
    ("lock-order", r"possible circular|possible recursive|inconsistent lock|possible deadlock"
                   r"|irq lock inversion|lock order"),
    ("lock-held", r"lock held when returning|still has locks held|bad unlock|held lock freed"),
    ("timer-alive", r"ODEBUG: .*timer_list|ODEBUG: .*hrtimer"),
    ("work-alive", r"ODEBUG: .*work_struct"),
    ("object-alive", r"ODEBUG: "),
    ("leak", r"Objects remaining|unreferenced object|Slab cache still has objects"),
    ("refcount", r"refcount_t:"),
    ("list-corruption", r"list_(add|del) corruption"),
    ("hang", r"blocked for more than|soft lockup|hard LOCKUP|INFO: rcu.*(stall|detected)"),
    ("huge-allocation", r"WARNING: .*mm/(page_alloc|util|slab|vmalloc)"),
    ("race", r"KCSAN: "),
    ("undefined-behaviour", r"UBSAN: "),
    ("panic", r"Kernel panic"),
    ("name-left", r"cannot create duplicate filename|already registered"),
]

# A module asks the kernel for a name that is taken; the kernel refuses, and says so loudly.
ABOUT_TAKEN_NAMES = re.compile(
    r"cannot create duplicate filename|already registered|register things with the same name"
    r"|kobject_add_internal failed|duplicate|kmem_cache_sanity_check|kmem_cache of name"
    r"|debugfs: .*already present")
# The exerciser's words, which it has of the module, as the kernel repeats them.
REPEATED = re.compile(r": Unknown parameter '")
# A failure that the rig itself has ordered.
ORDERED = re.compile(r"page allocation failure|FAULT_INJECTION|SLUB: Unable to allocate|vmalloc error")
# Complaints that a failed allocation does not excuse: somebody has not looked at its result.
SEVERE = re.compile(r"BUG[ :]|KASAN|UBSAN|Oops|general protection|cut here|WARNING:|refcount_t:|corruption"
                    r"|ODEBUG: (?!Out)")


@dataclass
class Report:
    """Something that the kernel complained of, with the step it came in."""
    step: str
    lines: list = field(default_factory=list)
    fails_by_order: bool = False
    message: str = ""

    @property
    def text(self):
        """All of its words."""
        return "\n".join(self.lines)

    @property
    def kind(self):
        """The class of what it is about."""
        for name, pattern in CLASSES:
            if re.search(pattern, self.text):
                return name
        return "warning"

    @property
    def headline(self):
        """The line that says most."""
        for line in self.lines:
            if re.search(r"BUG|WARNING|KASAN|KCSAN|UBSAN|ODEBUG|Oops|general prot|blocked for|INFO:"
                         r"|returned bad count|duplicate|refcount_t|corruption|unreferenced", line):
                return line.strip()
        return self.lines[0].strip()

    @property
    def shape(self):
        """The headline without what is another each time, for comparing."""
        return re.sub(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+", "#", re.sub(r"\((Not t|T)ainted[^)]*\)", "", self.headline))

    def blames(self, modules):
        """Whether it names one of the modules, or code of one that is gone."""
        names = "|".join(re.escape(name) for name in modules)
        if re.search(rf"\[({names})(\([A-Z]+\))?[ \]]|\b({names})\b(?!.*last unloaded)",
                     re.sub(r"Modules linked in:.*", "", self.text)):
            return True
        return re.search(r"(?<![0-9a-f])(0x)?ffffffffc[0-9a-f]{7}\b", self.text) is not None

    def has_frame(self, modules):
        """Whether it shows a function of one of the modules, or one of a module that is gone."""
        names = "|".join(re.escape(name) for name in modules)
        return re.search(rf"\[({names})(\([A-Z]+\))?[ \]]|(RIP: \w+:|^[ ?]*)(\[<)?(0x)?ffffffffc[0-9a-f]{{7}}\b",
                         re.sub(r"Modules linked in:.*", "", self.text), re.M) is not None

    def where(self, modules):
        """The first function of a module's that it shows."""
        names = "|".join(re.escape(name) for name in modules)
        for pattern in (rf"(\w+(?:\.\w+)*)\+0x\w+/0x\w+ \[(?:{names})", r"(\w+)(?:\.\w+)*\+0x\w+/0x\w+"):
            for name in re.findall(pattern, self.text):
                if not re.match(r"dump_stack|show_|__warn|report_bug|sysfs_warn_dup|kasan_|print_", name):
                    return name
        return ""


def _complaints():
    known = (HERE / "vm/complaints").read_text().splitlines()
    return re.compile("|".join(known + MORE_COMPLAINTS))


def _is_over(report, line, framed):
    """Whether the line ends the report."""
    if "---[ end trace" in line:
        return True
    if framed:
        return bool(re.match(r"={30,}$", line)) and len(report.lines) > 2
    traced = any(re.search(r"cut here|Oops|unable to handle|general protection", seen)
                 for seen in report.lines)
    return "</TASK>" in line and not traced


def read(text):
    """The reports in a console's text, in their order."""
    complaints = _complaints()
    reports, step, report, framed, before = [], "boot", None, False, []
    lines = [TIMESTAMP.sub("", line) for line in text.replace("\r", "").splitlines()]
    for number, line in enumerate(lines):
        marker = MARKER.match(line)
        if marker:
            report = None
            step = marker.group(2) if marker.group(1) == "step" else f"after {marker.group(2)}"
            before = []
            continue
        if "Kernel panic - not syncing" in line:
            # The state of every task follows, and is no complaint.
            if not report and (not reports or reports[-1].step.removeprefix("after ") != step.removeprefix("after ")):
                end = next((i for i in range(number, len(lines)) if "</TASK>" in lines[i]), number + 1)
                reports.append(Report(step, lines[number:min(end, number + 60)]))
            break
        severe = complaints.search(line) and SEVERE.search(line)
        if report and report.fails_by_order and severe:
            report = None
        if report and len(report.lines) < 160:
            report.lines.append(line)
            if _is_over(report, line, framed):
                report = None
            continue
        report = None
        if complaints.search(line) and not REPEATED.search(line):
            ordered = not severe and any(ORDERED.search(seen) for seen in before[-12:] + [line])
            framed = bool(before and re.match(r"={30,}$", before[-1])) and "K" in line and "SAN" in line
            report = Report(step, fails_by_order=ordered)
            # Since Linux 6.19 the words of a WARN() come first, and no line above them.
            if line.startswith("WARNING: ") and before:
                report.message = before[-1]
            if re.match(r" *Call Trace", line):
                report.lines += before[-6:]
            report.lines.append(line)
            reports.append(report)
        before = before[-12:] + [line]
    return reports


def is_foreign(report, modules, baseline):
    """Whether the modules have nothing to do with it."""
    if report.fails_by_order:
        return True
    if report.step.startswith(("twice", "load without memory", "parameters")) and \
            ABOUT_TAKEN_NAMES.search(report.message + report.text):
        return report.step.startswith("twice")
    # Words and registers may hold a name or an address by chance.
    if report.shape in baseline and not report.has_frame(modules):
        return True
    return report.step == "boot" and not report.blames(modules)
