# SPDX-License-Identifier: GPL-2.0
"""Results as text for people, and as JSON, JUnit, TAP and Markdown for programs."""

import json
import re

from .judge import STAGES, Finding, Result

MOST_WORDS = 36
MOST_LINES = 6


def plain(words):
    """In a line, without what would drive a terminal, or what XML and UTF-8 cannot have."""
    return re.sub(r"[^\t\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]",
                  "\N{REPLACEMENT CHARACTER}", str(words))


def cleaned(results):
    """The same results, with names and words of whatever the modules, and who wrote them, have said made plain."""
    def clean(value):
        if isinstance(value, str):
            return plain(value)
        if isinstance(value, dict):
            return {clean(key): clean(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(one) for one in value]
        return value
    return from_json([json.dumps({"results": [clean(result.as_dict()) for result in results]})])


def rows(results):
    """The table: a row for each kernel, a column for each stage."""
    several = len({result.tree for result in results}) > 1
    yield (["tree"] if several else []) + ["kernel", "release"] + STAGES
    for result in results:
        yield ([result.tree] if several else []) + [result.kernel, result.release] + \
            [result.stages.get(stage, "-") for stage in STAGES]


def table(results):
    """For a terminal."""
    lines = [[str(cell) for cell in row] for row in rows(results)]
    widths = [max(len(row[i]) for row in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in lines)


def surface(result):
    """The modules' surface, in short: kinds with much in them are counted."""
    kinds = {}
    for kind, name in result.surface:
        kinds.setdefault(kind, []).append(name)
    for kind, names in sorted(kinds.items()):
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        yield f"  {kind}: {shown}"


def coverage(result):
    """Which lines ran, a line for each source, and a sum."""
    rows = result.coverage + [["in all", sum(row[1] for row in result.coverage),
                               sum(row[2] for row in result.coverage), []]]
    width = max(len(row[0]) for row in rows)
    for name, done, count, never in rows:
        shown = ", ".join(never[:4]) + (f" and {len(never) - 4} more" if len(never) > 4 else "")
        yield (f"  {name:{width}} {done:5} of {count:5} {100 * done / max(1, count):5.1f} %"
               + (f"; never {shown}" if never else ""))


def text(results):
    """All that a person wants to know."""
    results = cleaned(results)
    out = [table(results), ""]
    for result in results:
        title = f"{result.name or result.tree} on {result.kernel}"
        if result.surface:
            out.append(f"{title} brought:")
            out += list(surface(result))
            calls = sum(did[1] for did in result.exercised)
            good = sum(did[2] for did in result.exercised)
            things = len({did[0].rpartition(" ")[0] for did in result.exercised})
            out.append(f"  exercised: {things} of these, with {calls} calls, {good} of which succeeded")
        if result.logged:
            out.append(f"{title} logged:")
            out += [f"  {line}" for line in result.logged[:MOST_LINES]]
        if result.warnings:
            out.append(f"{title}: {result.warnings} compiler warnings with W=1")
        if result.coverage:
            out.append(f"lines that ran of {title}:")
            out += list(coverage(result))
        for stage in STAGES:
            if result.stages.get(stage) == "SKIP":
                out.append(f"SKIP {stage} of {title}: {result.causes.get(stage, '')}")
        for note in result.notes[:10]:
            out.append(f"note on {result.kernel}: {note}")
        for finding in result.findings:
            out += ([""] if out[-1] else []) + [f"FAIL {finding.stage} of {title}: {finding.kind}: {finding.cause}"]
            out += [f"    {line}" for line in finding.words[:MOST_WORDS]]
            if finding.command:
                out.append(f"  again: {finding.command}")
            if finding.tries:
                out.append(f"  it came again in {finding.came_again} of {finding.tries} tries")
        out.append("")
    return "\n".join(out).rstrip() + "\n"


def markdown(results):
    """For a pull request."""
    results = cleaned(results)
    lines = [[str(cell).replace("|", "\\|") for cell in row] for row in rows(results)]
    out = ["| " + " | ".join(lines[0]) + " |", "|" + " --- |" * len(lines[0])]
    out += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in lines[1:]]
    for result in results:
        for finding in result.findings:
            words = finding.words[:MOST_WORDS] + [finding.command]
            fence = "`" * max([3] + [len(run) + 1 for line in words for run in re.findall("`+", line)])
            cause = re.sub(r"([\\`*_<>\[\]|&])", r"\\\1", finding.cause)
            out += ["", f"**{finding.stage}** on {result.kernel}: {finding.kind}: {cause}", "", fence, *words, fence]
    return "\n".join(out) + "\n"


def as_json(results):
    """Everything."""
    return json.dumps({"results": [result.as_dict() for result in results]}, indent=1) + "\n"


def from_json(texts):
    """Results of several runs, joined."""
    results = []
    for one in texts:
        for data in json.loads(one)["results"]:
            data["findings"] = [Finding(**finding) for finding in data["findings"]]
            results.append(Result(**data))
    return results


def _cases(results):
    for result in results:
        for stage in STAGES:
            verdict = result.stages.get(stage, "-")
            if verdict != "-":
                yield result, stage, verdict


def junit(results):
    """A JUnit file's text."""
    # pylint: disable-next=import-outside-toplevel # only who asks for it needs the library
    from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite
    results = cleaned(results)
    xml = JUnitXml("kmodkit")
    suites = {}
    for result, stage, verdict in _cases(results):
        suite = suites.setdefault(id(result), TestSuite(f"{result.tree} on {result.kernel}"))
        case = TestCase(stage, f"{result.name or result.tree}.{result.kernel}")
        if verdict == "SKIP":
            case.result = [Skipped(result.causes.get(stage, ""))]
        elif verdict == "FAIL":
            failures = []
            for finding in result.findings:
                if finding.stage == stage or (stage == "log" and finding.words):
                    failure = Failure(finding.cause, finding.kind)
                    failure.text = "\n".join(finding.words + [finding.command])
                    failures.append(failure)
            case.result = failures or [Failure(result.causes.get(stage, ""))]
        suite.add_testcase(case)
    for suite in suites.values():
        xml.add_testsuite(suite)
    return xml.tostring().decode()


def tap(results):
    """The Test Anything Protocol."""
    lines, number = [], 0
    for result, stage, verdict in _cases(cleaned(results)):
        number += 1
        name = (result.name or result.tree).replace("#", "-")  # which begins a directive
        skip = f" # SKIP {result.causes.get(stage, '')}" if verdict == "SKIP" else ""
        word = "not ok" if verdict == "FAIL" else "ok"
        lines.append(f"{word} {number} - {name} on {result.kernel}: {stage}{skip}")
        if verdict == "FAIL":
            for finding in result.findings:
                if finding.stage == stage:
                    lines.append(f"# {finding.kind}: {finding.cause}")
                    lines += [f"#   {line}" for line in finding.words[:MOST_WORDS] + [finding.command]]
    return "\n".join([f"1..{number}"] + lines) + "\n"
