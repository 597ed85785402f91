#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
The console blocks of the guide, as a script and as what the script must print.

A line that begins with "# " is a command for root in the virtual machine, one with "$ " a command
for the reader's own shell; what follows is its output. In the output "..." stands for any text
within a line, and alone for any lines, or none. A chapter's last section, "Exercise", takes
minutes: its commands run with --exercise alone.
"""

import argparse
import difflib
import re
import shlex
import sys
from pathlib import Path

# The shell of a chapter must not end the script; what it loaded and mounted must not reach the next.
FRESH = """
for at in $(awk '$2 ~ "^/mnt" { print $2 }' /proc/mounts); do umount "$at"; done
for module in $(awk '{ print $1 }' /proc/modules); do
    [ -z "$(find /lib/kmodkit -name "$module.ko")" ] || rmmod "$module"
done
"""


def commands(text, prompt, of_exercise):
    """Each command with that prompt: line, command, output."""
    found = []
    current = None
    inside = in_exercise = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console" and in_exercise == of_exercise
            current = None
        elif line == "## Exercise":
            in_exercise = True
        elif inside and line.startswith(("# ", "$ ")):
            current = (number, line[2:], [])
            if line[0] == prompt:
                found.append(current)
        elif inside and current:
            current[2].append(line)
        elif inside:
            raise SystemExit(f"line {number}: output without a command")
    return found


def script(chapters, prompt, of_exercise):
    """The script that runs them all, each chapter in a shell of its own."""
    lines = ["#!/bin/sh"]
    for chapter in chapters:
        found = commands(chapter.read_text(), prompt, of_exercise)
        shell = [f"printf '%s\\n' {shlex.quote(prompt + ' ' + command)}\n{command}" for _, command, _ in found]
        if not shell:
            continue
        lines.append(f"echo '== {chapter.name}'")
        lines.append(f"sh -c {shlex.quote(chr(10).join(shell))} 2>&1")
        if prompt == "#":
            lines.append(FRESH.strip())
    return "\n".join(lines)


def pattern(expected):
    """The regular expression of an output."""
    return "".join(r"(.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n"
                   for line in expected)


def compare(chapters, prompt, of_exercise, transcript):
    """Print where the transcript is another than the text; whether it is."""
    good = True
    parts = dict(re.findall(r"^== (.*)\n((?:(?!== ).*\n)*)", transcript, re.M))
    for chapter in chapters:
        rest = parts.get(chapter.name, "")
        for number, command, expected in commands(chapter.read_text(), prompt, of_exercise):
            skipped, found, rest = rest.partition(f"{prompt} {command}\n")
            end = re.search(rf"^{re.escape(prompt)} ", rest, re.M)
            printed, rest = (rest[:end.start()], rest[end.start():]) if end else (rest, "")
            if found and not skipped and re.fullmatch(pattern(expected), printed):
                continue
            good = False
            print(f"{chapter}:{number}: {prompt} {command}")
            print("\n".join(difflib.unified_diff(expected, (skipped + printed).splitlines(), "in the text", "printed",
                                                 lineterm="")))
    return good


def main():
    """Without a transcript, print the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompt", choices="#$", default="#")
    parser.add_argument("--exercise", action="store_true")
    parser.add_argument("--compare", metavar="TRANSCRIPT", type=Path)
    parser.add_argument("chapters", metavar="CHAPTER", type=Path, nargs="+")
    options = parser.parse_args()
    if options.compare:
        return 0 if compare(options.chapters, options.prompt, options.exercise, options.compare.read_text()) else 1
    print(script(options.chapters, options.prompt, options.exercise))
    return 0


if __name__ == "__main__":
    sys.exit(main())
