#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare the plots in docs/pictures with the tables of docs/performance.md.

Usage: tests/plots.py DOCS    the plots are read as a person reads them: by their axis
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as etree

SVG = '{http://www.w3.org/2000/svg}'


def placed(element, tag):
    """The texts and marks in an element, from top to bottom, each with its x."""
    found = []
    for inner in element.iter(SVG + tag):
        place = re.match(r'translate\(([\d.]+),([\d.]+)\)', inner.get('transform', ''))
        if place:
            found.append((float(place[2]), float(place[1]), ''.join(inner.itertext()).strip()))
    return [(what, x) for _, x, what in sorted(found)]


def limit(text, kernel):
    """The bound for a kernel: of '0.45 x, 6.12: 0.28 x' the last that begins at or before it."""
    def version(word):
        return [int(n) for n in word.split('.')]

    parts = [part.rpartition(': ') for part in text.split(', ')]
    return [bound for since, _, bound in parts if not since or version(kernel) >= version(since)][-1]


def differences(picture, kernels, rows):
    svg = etree.parse(picture).getroot()
    texts = placed(svg, 'g')
    axis = dict(texts)

    def differ(what, row, x, figure):
        drawn = (x - axis['0']) / (axis['peer'] - axis['0'])
        if abs(drawn - float(figure.split(' x')[0])) > 0.005:
            yield f'{row[0]}, {row[1]}: {what} is drawn at {drawn:.2f}, and {figure} in the table'

    for column, name in enumerate(('work', 'peer')):
        words = [row[column] for row in rows]
        shown = [text for text, _ in texts if text in words]
        if shown != words:
            yield f'the lines are not those of the table, by {name}: {shown}'
    for row in rows:
        if not row[3].endswith(' x') and not any(text.startswith(', '.join(row[3:])) for text, _ in texts):
            yield f'{row[0]}: not {", ".join(row[3:])}'
    plots = [group for group in svg.iter(SVG + 'g') if '_plot_' in group.get('id', '')]
    ratios = [row for row in rows if row[3].endswith(' x')]
    for n, kernel in enumerate(kernels):
        bounds = re.findall(r'([\d.]+),[\d.]+ L', ''.join(path.get('d') for path in plots[n].iter(SVG + 'path')))
        _, *marks = placed(plots[len(kernels) + n], 'use')     # the topmost is the key's
        if f'Linux {kernel}' not in dict(placed(plots[len(kernels) + n], 'g')):
            yield f'no marks for Linux {kernel}'
        if not len(bounds) == len(marks) == len(ratios):
            yield f'Linux {kernel}: {len(ratios)} rows, {len(marks)} marks, {len(bounds)} bounds'
        for row, (_, x), bound in zip(ratios, marks, bounds):
            yield from differ(f'Linux {kernel}', row, x, row[3 + n])
            yield from differ(f'the bound for {kernel}', row, float(bound), limit(row[2], kernel))


docs = pathlib.Path(sys.argv[1])
tables = re.findall(r'^<!-- bench/rows.*?^<!-- end -->', (docs / 'performance.md').read_text(), re.M | re.S)
failed = not tables
for table in tables:
    _, head, _, *body, _ = [line.strip('| ').split(' | ') for line in table.splitlines()]
    name = 'ramfs' if 'ramfs/' in table else 'devices'
    for theme in 'light', 'dark':
        for difference in differences(docs / 'pictures' / f'bench-{name}-{theme}.svg',
                                      [column.removeprefix('Linux ') for column in head[3:]], body):
            print(f'bench-{name}-{theme}.svg: {difference}; make plots')
            failed = True
sys.exit(failed)
