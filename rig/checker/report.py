# SPDX-License-Identifier: GPL-2.0
"""Results as text for people, and as JSON, JUnit, TAP and Markdown for programs."""

import json

from .judge import STAGES, Finding, Result

MOST_WORDS = 36


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
    """What the modules brought, shortly: kinds with much in them are counted."""
    kinds = {}
    for kind, name in result.surface:
        kinds.setdefault(kind, []).append(name)
    for kind, names in sorted(kinds.items()):
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        yield f"  {kind}: {shown}"


def text(results):
    """All that a person wants to know."""
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
        if result.warnings:
            out.append(f"{title}: {result.warnings} compiler warnings with W=1")
        for stage in STAGES:
            if result.stages.get(stage) == "SKIP":
                out.append(f"SKIP {stage} of {title}: {result.causes.get(stage, '')}")
        for note in result.notes[:10]:
            out.append(f"note on {result.kernel}: {note}")
        for finding in result.findings:
            out += ["", f"FAIL {finding.stage} of {title}: {finding.kind}: {finding.cause}"]
            out += [f"    {line}" for line in finding.words[:MOST_WORDS]]
            if finding.command:
                out.append(f"  again: {finding.command}")
        out.append("")
    return "\n".join(out).rstrip() + "\n"


def markdown(results):
    """For a pull request."""
    lines = list(rows(results))
    out = ["| " + " | ".join(lines[0]) + " |", "|" + " --- |" * len(lines[0])]
    out += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in lines[1:]]
    for result in results:
        for finding in result.findings:
            out += ["", f"**{finding.stage}** on {result.kernel}: {finding.kind}: {finding.cause}", "", "```"]
            out += finding.words[:MOST_WORDS] + [finding.command, "```"]
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
                    words = "\n".join(finding.words + [finding.command])
                    failure.text = "".join(char for char in words if char in "\n\t" or char >= " ")
                    failures.append(failure)
            case.result = failures or [Failure(result.causes.get(stage, ""))]
        suite.add_testcase(case)
    for suite in suites.values():
        xml.add_testsuite(suite)
    return xml.tostring().decode()


def tap(results):
    """The Test Anything Protocol."""
    lines, number = [], 0
    for result, stage, verdict in _cases(results):
        number += 1
        skip = f" # SKIP {result.causes.get(stage, '')}" if verdict == "SKIP" else ""
        word = "not ok" if verdict == "FAIL" else "ok"
        lines.append(f"{word} {number} - {result.name or result.tree} on {result.kernel}: {stage}{skip}")
        if verdict == "FAIL":
            for finding in result.findings:
                if finding.stage == stage:
                    lines.append(f"# {finding.kind}: {finding.cause}")
                    lines += [f"#   {line}" for line in finding.words[:MOST_WORDS] + [finding.command]]
    return "\n".join([f"1..{number}"] + lines) + "\n"
