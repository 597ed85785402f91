#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Each project of kmodkit new, by the commands that it prints: with a message added, it passes
# kmodkit check, which shows that message, and becomes a package.

# shellcheck disable=SC2154 # common.bash sets rig, tree and work
bats_require_minimum_version 1.5.0
# shellcheck source=rig/tests/common.bash
load common

setup() {
	common_setup
	rmdir "$tree"
	cd "$BATS_TEST_TMPDIR" || exit
}

# Begin a project and do what is printed next, with this editor; it passes on each of these kernels.
passes() {
	local commands

	rm -rf "$tree" other-thing-dkms_*
	run -0 "$rig/kmodkit" new other_thing "${@:3}" --dir "$tree"
	commands=$(printed "$output")
	echo "$commands"
	[ "$(wc -l <<< "$commands")" -eq 3 ]
	run -0 --separate-stderr env EDITOR="$1" CHECK="-k '$2' --seconds 10" sh -ec "$commands"
	echo "$output"
	mapfile -t lines < <(sed -n '/^kernel  /,/^$/p' <<< "$output")
	for line in "${lines[@]:1:$(wc -w <<< "$2")}"; do
		[[ $line =~ \ PASS\ +PASS\ +PASS\ +PASS\ +(PASS|SKIP)\ +PASS\ +PASS\ +PASS$ ]]
	done
	dpkg-deb -c other-thing-dkms_0.1.0_all.deb > contents
	grep -w usr/src/other_thing-0.1.0/dkms.conf contents
}

@test "each template" {
	for about in "$rig"/templates/*/about; do
		passes "$rig/tests/editor" "5.10 6.1 7.3" --template "$(basename "${about%/about}")"
		[ "$(grep -c '^  other_thing: hello from its author$' <<< "$output")" -eq 3 ]
	done
}

@test "a copy of a whole module" {
	passes true 6.1 --from "$(sed -n 's,^obj-m += \(.*\)/$,\1,p' "$rig/../Kbuild" | sed -n 2p)"
}
