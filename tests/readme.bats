#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# README, and the other texts that it leads to: their commands, the recording. guide.bats tries their links.

bats_require_minimum_version 1.5.0

cd "$BATS_TEST_DIRNAME/.." || exit
texts=(README.md CONTRIBUTING.md SECURITY.md docs/*.md)

@test "README leads to each text of docs/ that is for people" {
	for text in docs/*.md docs/guide/index.md; do
		[ "$text" = docs/field.md ] || grep -F "]($text" README.md
	done
}

@test "each make target that a text names is one" {
	failed=0
	# shellcheck disable=SC2016 # the marks of code in Markdown
	while read -r target; do
		grep -qE "^([a-z_-]+ )*$target( [a-z_-]+)*:" Makefile || { echo "# make $target"; failed=1; }
	done < <(grep -ohE '(^|`|sudo )make [a-z-]+([` ]|$)' "${texts[@]}" | sed 's/.*make //; s/[` ]//' | sort -u)
	[ $failed -eq 0 ]
}

@test "README's commands for one module do in the machine what it says" {
	# shellcheck disable=SC2016 # the marks of code in Markdown
	commands=$(sed -n '/^sudo insmod/,/^```/{/^```/d;s/^sudo //;s,chardev/,/lib/kmodkit/,;p}' README.md)
	[ "$(wc -l <<< "$commands")" -eq 3 ]
	run -0 rig/vm/run sh -ec "$commands"
	[ "$output" = hello ]
}

# The commands of the recording, a line each.
recorded() {
	python3 - <<-'END'
	import xml.etree.ElementTree as etree
	for text in etree.parse('docs/pictures/demo.svg').iter('{http://www.w3.org/2000/svg}text'):
	    if text.get('font-weight') == 'bold' and 'foreground' in text.get('class'):
	        print(text.text.rstrip())
	END
}

@test "the recording shows each command of make demo, and no other: make recording makes it" {
	while read -r words; do
		eval "set -- $words"
		echo "# $*"
	done < <(sed -n 's/^show \(.*\)/\1/p' tests/vm/demo) | sort -u > "$BATS_TEST_TMPDIR/demo"
	recorded | sort -u | diff "$BATS_TEST_TMPDIR/demo" -
}

@test "the recording is small, wants nothing from the network, and has a picture for those who see it still" {
	[ "$(stat -c %s docs/pictures/demo.svg)" -lt 150000 ]
	run ! grep -oE '(href|src)="[^#"]|url\(|@import|<script|<image' docs/pictures/demo.svg
	still=$(sed -n 's/.*id="screen_view" transform="translate(0 \(-[0-9]*\))".*/\1/p' docs/pictures/demo.svg)
	grep -F "translateY(${still}px)" docs/pictures/demo.svg
}
