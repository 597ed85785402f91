#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of what judges and reports, which need no machine: they read what one has said."""

import contextlib
import io
import json
import os
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
# pylint: disable=wrong-import-position
from checker import coverage, elf, fuzz, judge, log, machine, report, rig  # noqa: E402
from checker.tree import Module, Tree, _in_order, files_in, read_binary  # noqa: E402

WARNING = """[    9.1] ------------[ cut here ]------------
[    9.1] WARNING: CPU: 0 PID: 9 at fs/proc/generic.c:10 thing_open+0x1/0x2 [thing]
[    9.1] Call Trace:
[    9.1]  thing_open+0x1/0x2 [thing]
[    9.1] ---[ end trace 0000000000000000 ]---
"""
KASAN = """[    9.1] ==================================================================
[    9.1] BUG: KASAN: slab-out-of-bounds in thing_write+0x1/0x2 [thing]
[    9.1] Write of size 1 at addr ffff888003 by task exercise/70
[    9.1] Call Trace:
[    9.1]  thing_write+0x1/0x2 [thing]
[    9.1] ==================================================================
"""
UNLOADED = """[    9.1] BUG: unable to handle page fault for address: ffffffffc0201000
[    9.1] #PF: supervisor instruction fetch in kernel mode
[    9.1] RIP: 0010:0xffffffffc0201000
[    9.1] Call Trace:
[    9.1]  call_timer_fn+0x1/0x2
[    9.1] ---[ end trace 0000000000000000 ]---
"""
FOREIGN = """[    0.5] WARNING: CPU: 0 PID: 0 at kernel/x.c:10 other_call+0x1/0x2
[    0.5] ---[ end trace 0000000000000000 ]---
"""
POSITIVE = """[    9.1] thing: size=-1 refused
[    9.1] do_init_module: 'thing'->init suspiciously returned 22, it should follow 0/-E convention
[    9.1] do_init_module: loading module anyway...
[    9.1] Call Trace:
[    9.1]  <TASK>
[    9.1]  dump_stack_lvl+0x1/0x2
[    9.1]  do_init_module.cold+0x1/0x2
[    9.1]  </TASK>
"""
TAKEN = """[    9.1] sysfs: cannot create duplicate filename '/devices/virtual/misc/thing'
[    9.1] Call Trace:
[    9.1]  <TASK>
[    9.1]  init_module+0x1/0x2 [thing_2]
[    9.1]  </TASK>
"""
TAKEN_SINCE_6_19 = """[    9.1] proc_dir_entry '/proc/thing' already registered
[    9.1] WARNING: fs/proc/generic.c:405 at proc_register+0x1/0x2, CPU#1: insmod/374
[    9.1] Call Trace:
[    9.1]  thing_init+0x1/0x2 [thing_2]
[    9.1] ---[ end trace 0000000000000000 ]---
"""


def in_step(step, text):
    """A console in which the text came in a step."""
    return f"[    9.0] kmodkit: step {step}\n{text}[    9.9] kmodkit: end {step}\n"


class Log(unittest.TestCase):
    """The text of a console."""

    def kinds(self, text):
        """The classes of the reports in it."""
        return [one.kind for one in log.read(in_step("exercise file /dev/thing root", text))]

    def test_classes(self):
        """Each report is one, and of the right class."""
        self.assertEqual(self.kinds(WARNING + KASAN + UNLOADED), ["warning", "out-of-bounds", "use-after-unload"])
        for words, kind in (
                ("BUG: sleeping function called from invalid context at a.c:1", "sleep-in-atomic"),
                ("WARNING: possible circular locking dependency detected", "lock-order"),
                ("BUG: KASAN: double-free in thing_release+0x1/0x2 [thing]", "double-free"),
                ("BUG: KASAN: slab-use-after-free in thing_release+0x1/0x2 [thing]", "use-after-free"),
                ("BUG: kernel NULL pointer dereference, address: 0000000000000000", "null-pointer"),
                ("ODEBUG: free active (active state 0) object type: timer_list hint: 0x0", "timer-alive"),
                ("ODEBUG: free active (active state 0) object type: work_struct hint: 0x0", "work-alive"),
                ("fill_read_buffer: entries_show+0x0/0x1 returned bad count", "attribute-overlong"),
                ("do_init_module: 'thing'->init suspiciously returned 22, it should follow 0/-E convention",
                 "bad-return"),
                ("INFO: task exercise:70 blocked for more than 30 seconds.", "hang"),
                ("BUG kmalloc-64 (Not tainted): Right Redzone overwritten", "out-of-bounds"),
                ("UBSAN: array-index-out-of-bounds in a.c:1:2", "out-of-bounds"),
                ("usercopy: Kernel memory exposure attempt detected from SLUB object", "out-of-bounds")):
            found = self.kinds(f"[    9.1] {words}\n")
            if "usercopy" not in words:
                self.assertEqual(found, [kind], words)

    def test_shape(self):
        """The same complaint once more, after the kernel has said that it is tainted."""
        first, second = log.read(in_step("load", "[    9.1] BUG kmalloc-64 (Not tainted): Poison overwritten\n") +
                                 in_step("twice", "[    9.2] BUG kmalloc-64 (Tainted: G    B      O      ): "
                                         "Poison overwritten\n"))
        self.assertEqual(first.shape, second.shape)

    def test_repeated(self):
        """The options of a mount are no complaint when the kernel repeats them."""
        self.assertEqual(self.kinds("[    9.1] thing: Unknown parameter 'thing_leaked_block'\n"), [])

    def test_steps(self):
        """A report belongs to the step that it came in."""
        self.assertEqual([one.step for one in log.read(FOREIGN + in_step("load", WARNING) + KASAN)],
                         ["boot", "load", "after load"])

    def test_blame(self):
        """Whose frames it has; a module that is gone has lost its name."""
        reports = log.read(in_step("load", WARNING + UNLOADED + FOREIGN))
        self.assertEqual([one.blames(["thing"]) for one in reports], [True, True, False])
        self.assertFalse(reports[0].blames(["thin"]))

    def test_baseline(self):
        """A complaint that the kernel makes without the module as well is no fault of the module's."""
        shapes = {one.shape for one in log.read(FOREIGN)}
        for one in log.read(in_step("load", FOREIGN)):
            self.assertTrue(log.is_foreign(one, ["thing"], shapes))
            self.assertFalse(log.is_foreign(one, ["thing"], set()))
        for one in log.read(in_step("load", WARNING)):
            self.assertFalse(log.is_foreign(one, ["thing"], {one.shape}))

    def test_baseline_by_chance(self):
        """Nor is it where a register holds an address of modules, or a word is like the module's name."""
        words = "[    0.5] R8: ffffffffc0201000 R9: 0\n[    0.5] Comm: thing\n[    0.5] ---"
        text = FOREIGN.replace("[    0.5] ---", words)
        for one in log.read(in_step("load", text)):
            self.assertTrue(log.is_foreign(one, ["thing"], {one.shape}))
            self.assertFalse(log.is_foreign(one, ["thing"], set()))
        for one in log.read(in_step("load", UNLOADED)):
            self.assertFalse(log.is_foreign(one, ["thing"], {one.shape}))

    def test_failure_not_looked_at(self):
        """A module that uses memory it did not get is at fault, however the allocation failed."""
        for ordered in ("[    9.0] SLUB: Unable to allocate memory on node -1\n[    9.0]   cache: kmalloc-64\n",
                        "[    9.0] exercise: page allocation failure: order:9\n[    9.0] Call Trace:\n"
                        "[    9.0]  thing_open+0x1/0x2 [thing]\n[    9.0] Mem-Info:\n"):
            found = log.read(in_step("exercise file /dev/thing root", ordered +
                                     "[    9.1] BUG: kernel NULL pointer dereference, address: 0000000000000000\n"
                                     "[    9.1] RIP: 0010:thing_open+0x1/0x2 [thing]\n"
                                     "[    9.1] ---[ end trace 0 ]---\n"))
            self.assertEqual([one.kind for one in found if not log.is_foreign(one, ["thing"], set())], ["null-pointer"])

    def test_taken(self):
        """The kernel's way to refuse a name is no fault while the names are taken on purpose."""
        for text in (TAKEN, TAKEN_SINCE_6_19):
            for step, is_foreign in (("twice", True), ("load", False)):
                reports = log.read(in_step(step, text))
                self.assertEqual([log.is_foreign(one, ["thing", "thing_2"], set()) for one in reports], [is_foreign])
        self.assertIn("proc_dir_entry", judged(LOADED, in_step("load", TAKEN_SINCE_6_19)).findings[0].words[0])

    def test_panic(self):
        """The state of all tasks, which follows a panic, is no complaint."""
        panic = "[    9.2] Kernel panic - not syncing: Fatal exception\n[    9.2] Call Trace:\n" \
                "[    9.2] INFO: NMI handler (nmi_cpu_backtrace_handler) took too long to run: 9 msecs\n"
        self.assertEqual(self.kinds(UNLOADED + panic), ["use-after-unload"])
        self.assertEqual(self.kinds(panic), ["panic"])

    def test_ordered(self):
        """An allocation that the rig made fail may be told of."""
        text = "[    9.1] exercise: page allocation failure: order:0\n[    9.1] Call Trace:\n" \
               "[    9.1]  thing_open+0x1/0x2 [thing]\n[    9.1]  </TASK>\n"
        self.assertTrue(all(log.is_foreign(one, ["thing"], set())
                            for one in log.read(in_step("exercise file /dev/thing root", text))))


def run_of(text):
    """A run in which the stages printed that."""
    one = machine.Machine.__new__(machine.Machine)
    one.run, one.done, one.plan = machine.Run(), [], machine.Plan([])
    one._read(io.StringIO(text))  # pylint: disable=protected-access
    return one.run


LOADED = "@step\tload\n@verdict\tload\tload\tPASS\tthing\n@new\tdev\t/dev/thing\n@end\tload\n"


def judged(text, console="", death=None):
    """The verdict on a module called thing."""
    run = run_of(text)
    run.reports = log.read(console)
    run.deaths = [death] if death else []
    result = judge.Result("tree", "6.1", "6.1.0", "thing/1")
    result.set("build", "PASS")
    return judge.Judge(result, run, [Module("thing", b"")], (set(), set())).judge()


class Verdicts(unittest.TestCase):
    """Judging the record of a machine."""

    def test_clean(self):
        """Nothing to complain of."""
        result = judged(LOADED + "@step\texercise file /dev/thing root\n@did\tfile /dev/thing root\t90\t40\n@done\n")
        self.assertEqual(result.stages.pop("tests"), "-")
        self.assertEqual(set(result.stages.values()), {"PASS"})
        self.assertEqual(result.exercised, [("file /dev/thing root", 90, 40)])
        self.assertEqual(result.surface, [("dev", "/dev/thing")])
        self.assertFalse(result.failed)

    def test_no_hardware(self):
        """A module without its device is skipped, with the evidence."""
        result = judged("@step\tload\n@verdict\tload\tload\tFAIL\tthing: No such device\n"
                        "@said\t[  1.0] thing: no card found\n@end\tload\n")
        self.assertEqual(result.stages["load"], "SKIP")
        self.assertIn("no card found", result.causes["load"])
        self.assertFalse(result.failed)

    def test_hardware_of_another(self):
        """A module's words about its hardware excuse no other, nor does a word that is not about hardware."""
        text = "@step\tload\n@verdict\tload\tload\tFAIL\tother: No such device\n@said\tother: no card found\n" \
               "@verdict\tload\tload\tFAIL\tthing: Invalid argument\n@said\tthing: table entry not found\n@end\tload\n"
        result = judged(text)
        self.assertEqual([one.cause for one in result.findings], ["thing does not load: Invalid argument"])
        for line, good in (("a: no supported card found", True), ("a: device not present", True),
                           ("a: unsupported CPU", True), ("a: chip was not found", True),
                           ("a: unsupported parameter", False), ("a: key not found", False)):
            self.assertEqual(bool(judge.NO_HARDWARE.search(line)), good, line)

    def test_needs_hardware_of_another(self):
        """A module that depends on one without its hardware cannot load, and is not at fault."""
        run = run_of("@step\tload\n@verdict\tload\tload\tFAIL\ta: No such device\n"
                     "@verdict\tload\tload\tFAIL\tb-b: unknown symbol in module, or unknown parameter\n@end\tload\n")
        result = judge.Judge(judge.Result("tree", "6.1"), run, [Module("a", b""), Module("b-b", b"", ["a"])],
                             (set(), set())).judge()
        self.assertEqual((result.findings, result.stages["load"]), ([], "SKIP"))

    def test_left_in_net(self):
        """A name like one of the kernel's is no excuse."""
        for line in ("proc\t/proc/net/thing", "thread\tcardreader", "dev\t/dev/loopback0", "slab\tloop_thing",
                     "sysfs-dir\t/sys/devices/virtual/workqueue/thing", "debugfs-dir\t/sys/kernel/debug/failover"):
            result = judged(LOADED + f"@step\tleftovers\n@left\t{line}\n@end\tleftovers\n")
            self.assertEqual(len(result.findings), 1, line)

    def test_lost_thread(self):
        """A thread whose work was done has not been taken away."""
        result = judged(LOADED + "@step\ttwice\n@lost\tthread\tprobe_thing\n@end\ttwice\n")
        self.assertEqual(result.findings, [])

    def test_no_load(self):
        """Another error is a failure."""
        result = judged("@step\tload\n@verdict\tload\tload\tFAIL\tthing: Invalid argument\n@end\tload\n")
        self.assertEqual(result.stages["load"], "FAIL")
        self.assertEqual(result.stages["exercise"], "-")

    def test_positive(self):
        """An init that returns no error number is named once, by the line that says so."""
        result = judged(LOADED, in_step("parameters", POSITIVE + POSITIVE))
        self.assertEqual([(one.stage, one.kind, one.cause) for one in result.findings],
                         [("load", "bad-return", "do_init_module: 'thing'->init suspiciously returned 22, "
                           "it should follow 0/-E convention")])

    def test_left(self):
        """Leftovers are named by the thing that says most; the kernel's own are not counted."""
        result = judged(LOADED + "@step\tleftovers\n@left\tsysfs\t/sys/devices/virtual/bdi/7:0\n"
                        "@left\tsysfs-dir\t/sys/class/thing\n@left\tclass\tthing\n@end\tleftovers\n")
        self.assertEqual([(one.stage, one.kind) for one in result.findings], [("leftovers", "class-left")])
        result = judged(LOADED + "@step\tleftovers\n@left\tsysfs\t/sys/devices/virtual/bdi/7:0\n@end\tleftovers\n")
        self.assertEqual(result.findings, [])

    def test_left_once(self):
        """A thing left in one step is there in the next one, too."""
        left = "@left\tproc\t/proc/thing\n"
        result = judged(LOADED + f"@step\tleftovers\n{left}@end\tleftovers\n"
                        f"@step\tparameters\n{left}@end\tparameters\n")
        self.assertEqual([(one.stage, one.kind) for one in result.findings], [("leftovers", "proc-left")])

    def test_stuck(self):
        """A module that will not unload has left nothing: it is still there."""
        result = judged(LOADED + "@step\tunload\n@verdict\tunload\tunload\tFAIL\tthing cannot be unloaded\n"
                        "@left\tdev\t/dev/thing\n@end\tunload\n")
        self.assertEqual([one.kind for one in result.findings], ["stuck"])
        self.assertEqual(result.stages["leftovers"], "-")

    def test_seconds(self):
        """The command that repeats a failure takes as long."""
        self.assertNotIn("--seconds", judged(LOADED, in_step("load", WARNING)).findings[0].command)
        result = judge.Result("tree", "6.1", limit=90)
        run = run_of(LOADED + "@step\texercise file /dev/thing root\n@found\trace\tx\n")
        judge.Judge(result, run, [Module("thing", b"")], (set(), set())).judge()
        self.assertIn("--seconds 90", result.findings[0].command)

    def test_cut(self):
        """A machine may die while it writes a line."""
        for line in ("@found\tuninit", "@verdict\tunload\tunl", "@did\tfile /dev/thing root\t9",
                     "@text\tthing", "@step",
                     "@leak\tslab kmal", "@leak-before\tslab kmalloc-8 2", "@lost\tdev", "@new", "@left", "@note"):
            self.assertEqual(run_of(LOADED + line), run_of(LOADED), line)
        rest = []
        lines = list(machine.Machine._until_verdict(  # pylint: disable=protected-access
            io.StringIO("@step\tload\n@found\tuni# vm: the kernel panicked:\n#   Oops\n"), rest))
        self.assertEqual((lines, rest), (["@step\tload\n"], ["# vm: the kernel panicked:\n", "#   Oops\n"]))

    def test_found(self):
        """A fault that no log tells of."""
        result = judged(LOADED + "@step\texercise file /dev/thing root\n@found\tuninitialised\tread gives away\n")
        self.assertEqual([(one.stage, one.kind) for one in result.findings], [("exercise", "uninitialised")])
        self.assertIn("--only 'exercise file /dev/thing root'", result.findings[0].command)

    def test_tests(self):
        """The tree's own tests have a stage, if there are any."""
        step = "@step\ttest one\nok 1\nnot ok 2 - two\n@verdict\ttest one\ttests\t"
        result = judged(LOADED + step + "FAIL\tone: not ok 2 - two\n@end\ttest one\n")
        self.assertEqual([(one.stage, one.kind, one.words) for one in result.findings],
                         [("tests", "test", ["ok 1", "not ok 2 - two"])])
        self.assertIn("--only 'test one'", result.findings[0].command)
        result = judged(LOADED + step + "PASS\tone\n@end\ttest one\n")
        self.assertEqual((result.stages["tests"], result.findings), ("PASS", []))

    def test_death(self):
        """A machine that hung is the fault of the step; one that panicked, of what it said."""
        step = "exercise file /dev/thing root"
        result = judged(LOADED, death=(step, "hang", []))
        self.assertEqual([(one.stage, one.kind) for one in result.findings], [("exercise", "hang")])
        result = judged(LOADED, in_step(step, UNLOADED), death=(step, "panic", []))
        self.assertEqual([one.kind for one in result.findings], ["use-after-unload"])
        self.assertEqual(result.stages["log"], "FAIL")

    def test_panic_elsewhere(self):
        """A panic of which the kernel said no more is told, whatever was found in another step."""
        result = judged(LOADED, in_step("load", WARNING), death=("unload", "panic", []))
        self.assertEqual([one.kind for one in result.findings], ["warning", "panic"])

    def test_leak(self):
        """The kernel's own modules have such addresses, too, before and after."""
        result = judged(LOADED + "@leak-before\tslab kmalloc-8 2 0xffffffffc0201000\n"
                        "@step\tleftovers\n@leak\tslab kmalloc-8 2 0xffffffffc0201000\n")
        self.assertEqual(result.findings, [])


class Reports(unittest.TestCase):
    """The forms that results are given in."""

    def setUp(self):
        self.bad = judged(LOADED, in_step("load", WARNING))
        self.good = judged(LOADED)
        self.good.kernel = "7.3"

    def test_json(self):
        """Results that were written can be joined again."""
        texts = [report.as_json([self.bad]), report.as_json([self.good])]
        joined = report.from_json(texts)
        self.assertEqual(report.table(joined), report.table([self.bad, self.good]))
        self.assertEqual(joined[0].findings, self.bad.findings)

    def test_junit(self):
        """JUnit's own reader counts the same."""
        import junitparser  # pylint: disable=import-outside-toplevel
        xml = junitparser.JUnitXml.fromstring(report.junit([self.bad, self.good]).encode())
        self.assertEqual(sum(suite.tests for suite in xml), 14)
        self.assertEqual(sum(suite.failures for suite in xml), 2)

    def test_tap(self):
        """A reader of TAP finds every stage."""
        from tap.parser import Parser  # pylint: disable=import-outside-toplevel
        lines = [line for line in Parser().parse_text(report.tap([self.bad])) if line.category == "test"]
        self.assertEqual(len(lines), 7)
        self.assertEqual(sum(not line.ok for line in lines), 2)

    def test_odd_names(self):
        """Whatever a module and its makers say, each form stays valid, and no terminal is driven."""
        import junitparser  # pylint: disable=import-outside-toplevel
        from tap.parser import Parser  # pylint: disable=import-outside-toplevel
        odd = "a\x1b]0;b\x07\x00\udcff\ufffe|`` # TODO c\nBail out!\nok 9 - <d>"
        for text in (odd, odd.replace("``", "```")):
            result = judged(LOADED, in_step("load", WARNING))
            result.tree = result.name = text
            result.causes["load"] = text
            result.stages["tests"], result.causes["tests"] = "SKIP", text
            result.findings[0].cause, result.findings[0].words = text, [text]
            xml = junitparser.JUnitXml.fromstring(report.junit([result]).encode())
            self.assertEqual(sum(suite.failures for suite in xml), 2)
            lines = list(Parser().parse_text(report.tap([result])))
            self.assertEqual({line.category for line in lines}, {"plan", "test", "diagnostic"})
            self.assertEqual(sum(line.category == "test" and not line.ok and not line.todo for line in lines), 2)
            for form in (report.text, report.markdown, report.tap):
                self.assertNotRegex(form([result]), "[\x00-\x08\x0b-\x1f\x7f\udc80-\udcff]")
            self.assertEqual(report.from_json([report.as_json([result])])[0].name, text)

    def test_text(self):
        """The cause, the kernel's words and the command are there."""
        text = report.text([self.bad])
        for words in ("FAIL load", "thing_open", "again: kmodkit check tree -k 6.1"):
            self.assertIn(words, text)
        self.assertIn("| FAIL |", report.markdown([self.bad]))
        self.assertNotIn("came again", text)
        self.assertNotIn("\n\n\n", text)

    def test_logged(self):
        """What the module wrote to the log, each line once."""
        result = judged(LOADED + "@logged\tthing: loaded\n@logged\tthing: loaded\n@logged\tthing: a\tb\n")
        self.assertEqual(result.logged, ["thing: loaded", "thing: a b"])
        self.assertIn(" logged:\n  thing: loaded\n  thing: a b\n", report.text([result]))
        self.assertNotIn("logged:", report.text([self.good]))

    def test_tries(self):
        """Of what may be a race, how often it came."""
        bad = judged(LOADED + "@step\tunload under load\n@end\tunload under load\n",
                     in_step("unload under load", WARNING))
        self.assertTrue(bad.findings[0].can_race)
        self.assertFalse(self.bad.findings[0].can_race)
        bad.findings[0].tries, bad.findings[0].came_again = 3, 2
        self.assertIn("it came again in 2 of 3 tries", report.text([bad]))


class Coverage(unittest.TestCase):
    """Which lines ran."""

    @staticmethod
    def document(directory, name, counts):
        """As gcov prints it of an object file with one source."""
        return json.dumps({
            "current_working_directory": directory,
            "files": [{"file": name, "functions": [{"name": "thing_open", "execution_count": counts[0]}],
                       "lines": [{"line_number": 7 + i, "count": count} for i, count in enumerate(counts)]}]})

    def test_sums(self):
        """Machines and object files add up; the kernel's and generated sources are nobody's; DKMS builds a copy."""
        sources = coverage.parsed("\n".join([
            self.document("/usr/src/linux", "/kmodkit/tree/src/thing.c", [0, 2, 0]),
            self.document("/kmodkit/dkms/thing/1.0/build", "src/thing.c", [0, 1, 0]),
            self.document("/usr/src/linux", "include/linux/fs.h", [1]),
            self.document("/usr/src/linux", "/kmodkit/tree/thing.mod.c", [1]), ""]))
        self.assertEqual(list(sources), ["src/thing.c"])
        self.assertEqual(sources["src/thing.c"].summary("x"), ["x", 1, 3, ["thing_open"]])
        self.assertEqual(coverage.as_info(sources, Path("/top")),
                         "SF:/top/src/thing.c\nDA:7,0\nDA:8,3\nDA:9,0\nend_of_record\n")
        result = judge.Result("tree", "6.1-gcov", coverage=[sources["src/thing.c"].summary("src/thing.c")])
        self.assertIn("src/thing.c     1 of     3  33.3 %; never thing_open\n", report.text([result]))

    def test_garbage(self):
        """Foreign code may have written it."""
        for text in ("{", "[]", '{"files": 1, "current_working_directory": ""}'):
            self.assertRaises(rig.RigError, coverage.parsed, text)


class Locks(unittest.TestCase):
    """Two runs at once."""

    def test_lock(self):
        """The second waits for the first."""
        order = []
        with tempfile.TemporaryDirectory() as name, unittest.mock.patch.object(rig, "CACHE", Path(name)), \
                unittest.mock.patch.object(rig, "say"):
            def other():
                with rig.lock("thing"):
                    order.append("second")
            with rig.lock("thing"):
                thread = threading.Thread(target=other)
                thread.start()
                time.sleep(0.2)
                order.append("first")
            thread.join()
        self.assertEqual(order, ["first", "second"])


class Elf(unittest.TestCase):
    """A module's file is foreign, and may be anything."""

    def test_garbage(self):
        """No file makes the reader fail."""
        for data in (b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 100, b"\x7fELF\x02\x01" + b"\0" * 100):
            found = elf.Elf(data)
            self.assertEqual(elf.words(found), [])
            self.assertEqual(elf.commands(found), [])
            self.assertIsNone(elf.renamed(data, "thing", "thing_2"))


class Order(unittest.TestCase):
    """The order in which modules are loaded."""

    def test_depends(self):
        """Those that others depend on; a circle ends."""
        one, two = Module("a-b", b"", ["c"]), Module("c", b"", ["videodev"])
        self.assertEqual([module.name for module in _in_order([one, two])], ["c", "a-b"])
        two.depends.append("a_b")
        self.assertEqual(len(_in_order([one, two])), 2)


class Conf(unittest.TestCase):
    """kmodkit.conf of a tree."""

    def test_parameters(self):
        """They are words of a command line of insmod, and nothing else."""
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "Kbuild").write_text("obj-m := thing.o\n")
            conf = Path(directory) / "kmodkit.conf"
            self.assertEqual(Tree(directory).parameters(), {})
            conf.write_text("# load no\nload thing size=4096 names=a,b\nload other $(reboot)\n")
            self.assertEqual(Tree(directory).parameters(), {"thing": "size=4096 names=a,b"})


class Undefined(unittest.TestCase):
    """Symbols that no kernel gives the modules."""

    def test_undefined(self):
        """They fail a build that ended well, each named once."""
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "log").write_text("".join(
                f'WARNING: modpost: "{symbol}" [thing.ko] undefined!\n' for symbol in ("two", "one", "two")))
            built = Tree.__new__(Tree)._read(Path(name), "ok")  # pylint: disable=protected-access
        self.assertEqual((built.result, built.cause, built.undefined),
                         ("fail", "unknown symbols: one two", ["one", "two"]))


class Foreign(unittest.TestCase):
    """Files that foreign code left in its directory."""

    def test_links(self):
        """No link leads out of it, whichever part of a path it is; a pipe has nothing to read."""
        with tempfile.TemporaryDirectory() as name:
            top = Path(name)
            for directory in ("secret", "work/out/ko", "work/package/root/usr"):
                (top / directory).mkdir(parents=True)
            (top / "secret/key").write_text("secret")
            (top / "work/out/tests").symlink_to(top / "secret")
            os.mkfifo(top / "work/out/ko/pipe.ko")
            (top / "work/out/ko/link.ko").symlink_to(top / "secret/key")
            (top / "work/out/ko/thing.ko").write_bytes(b"thing")
            one = Tree.__new__(Tree)
            built = one._read(top / "work/out", "ok")  # pylint: disable=protected-access
            self.assertEqual(built.tests, {})
            self.assertEqual([(module.name, module.data) for module in built.modules], [("thing", b"thing")])
            self.assertEqual(read_binary(top / "work/out/ko/pipe.ko"), b"")
            self.assertEqual(read_binary(top / "work/out/ko/link.ko"), b"")
            (top / "work/package/root/usr/src").symlink_to(top / "secret")
            self.assertEqual(files_in(top / "work/package/root/usr/src", top / "work/package"), [])

    def test_modes(self):
        """A copy has no file that changes its user."""
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "from").mkdir()
            (Path(name) / "from/Kbuild").write_text("obj-m := thing.o\n")
            (Path(name) / "from/tool").write_text("")
            (Path(name) / "from/tool").chmod(0o4755)
            Tree(f"{name}/from").copy_to(Path(name) / "to")
            self.assertEqual((Path(name) / "to/tool").stat().st_mode & 0o7777, 0o755)


class Copy(unittest.TestCase):
    """The part of a tree that is built."""

    def test_copy(self):
        """Where somebody works, what was built stays behind; but a package is whole."""
        with tempfile.TemporaryDirectory() as name:
            top = Path(name)
            (top / "from/build").mkdir(parents=True)
            for file in ("Kbuild", "blob.o", "build/rules.mk"):
                (top / "from" / file).write_text("obj-m := thing.o\n")
            tree = Tree(f"{name}/from")
            tree.copy_to(top / "worked")
            tree.packaged = True
            tree.copy_to(top / "packaged")
            self.assertEqual(sorted(path.name for path in (top / "worked").rglob("*")), ["Kbuild"])
            self.assertEqual(sorted(path.name for path in (top / "packaged").rglob("*")),
                             ["Kbuild", "blob.o", "build", "rules.mk"])


class Fuzz(unittest.TestCase):
    """The output of the fuzzer."""

    @staticmethod
    def read(text, corpus=None):
        """What is shown of it, and whether it is a fault."""
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            fault = fuzz.read(io.StringIO(text), corpus)
        return shown.getvalue(), fault

    def test_faults(self):
        """Of the modules, not of the rig."""
        for line in ("not ok 1 - no program makes the kernel complain",
                     "# fuzz: cannot load /lib/kmodkit/thing.ko: No such device",
                     "# fuzz: the shortest program with which the kernel hangs:",
                     "# fuzz: the kernel panics no more with the program that it ran last:"):
            self.assertEqual(self.read(line + "\n"), (line + "\n", True))
        for line in ("ok 1 - no program makes the kernel complain", "modprobe: module thing not found",
                     "# vm: the command ended with exit status 2"):
            self.assertEqual(self.read(line + "\n"), (line + "\n", False))
        self.assertNotIn("\x1b", self.read("\x1b[2J\n")[0])

    def test_kept_programs(self):
        """Each in the file of its group, which no name leads out of."""
        with tempfile.TemporaryDirectory() as directory:
            corpus = fuzz.Corpus(Path(directory).resolve() / "corpus")
            text = "before\n# fuzz: kept a\nopen 0 1\n\n# fuzz: kept a\nrace\nread 0\n\n" \
                "# fuzz: kept ../b\nclose 0\n\nafter\n"
            self.assertEqual(self.read(text, corpus)[0], "before\n# fuzz: kept ../b\nclose 0\n\nafter\n")
            self.assertEqual([path.name for path in corpus.directory.iterdir()], ["a.txt"])
            self.assertEqual((corpus.directory / "a.txt").read_text(), "open 0 1\n\nrace\nread 0\n\n")
            (corpus.directory / "c.txt").symlink_to(Path(directory) / "elsewhere")
            with self.assertRaises(OSError):
                corpus.add("c", "open 0 1\n\n")
            self.assertFalse((Path(directory) / "elsewhere").exists())


if __name__ == "__main__":
    unittest.main()
