#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
The console blocks of the guide, as a script and as what the script must print.

A line that begins with "# " is a command for root in the virtual machine, one with "$ " a command
for the reader's own shell; what follows is its output. In the output "..." stands for any text
within a line, and alone for any lines, or none. Sections called "Exercise" or "A device of your own"
take minutes: their commands run only when --section names the section.
"""

import argparse
import difflib
import re
import shlex
import sys
from pathlib import Path

LONG = ("Exercise", "A device of your own")

# The shell of a chapter must not end the script; what it loaded and mounted must not reach the next.
FRESH = """
for at in $(awk '$2 ~ "^/mnt" { print $2 }' /proc/mounts); do umount "$at"; done
for module in $(awk '{ print $1 }' /proc/modules); do
    [ -z "$(find /lib/kmodkit -name "$module.ko")" ] || rmmod "$module"
done
"""


def commands(text, prompt, section):
    """Each command with that prompt, of that section or of all that take no minutes: line, command, output."""
    found = []
    current = None
    inside = False
    heading = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console" and (heading == section if section else heading not in LONG)
            current = None
        elif line.startswith("## ") and not inside:
            heading = line[3:]
        elif inside and line.startswith(("# ", "$ ")):
            current = (number, line[2:], [])
            if line[0] == prompt:
                found.append(current)
        elif inside and current:
            current[2].append(line)
        elif inside:
            raise SystemExit(f"line {number}: output without a command")
    return found


def script(chapters, prompt, section):
    """The script that runs them all, each chapter in a shell of its own."""
    lines = ["#!/bin/sh"]
    for chapter in chapters:
        found = commands(chapter.read_text(), prompt, section)
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


def compare(chapters, prompt, section, transcript):
    """Print where the transcript is another than the text; whether it is."""
    good = True
    parts = dict(re.findall(r"^== (.*)\n((?:(?!== ).*\n)*)", transcript, re.M))
    for chapter in chapters:
        rest = parts.get(chapter.name, "")
        for number, command, expected in commands(chapter.read_text(), prompt, section):
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
    parser.add_argument("--section", choices=LONG)
    parser.add_argument("--compare", metavar="TRANSCRIPT", type=Path)
    parser.add_argument("chapters", metavar="CHAPTER", type=Path, nargs="+")
    options = parser.parse_args()
    if options.compare:
        return 0 if compare(options.chapters, options.prompt, options.section, options.compare.read_text()) else 1
    print(script(options.chapters, options.prompt, options.section))
    return 0


if __name__ == "__main__":
    sys.exit(main())
