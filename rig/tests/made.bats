#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Each project of kmodkit new passes kmodkit check as it is.

# shellcheck disable=SC2154 # common.bash sets rig, tree and work
bats_require_minimum_version 1.5.0
# shellcheck source=rig/tests/common.bash
load common

setup() {
	common_setup
	rmdir "$tree"
}

# As it is made, it passes on each of these kernels.
passes() {
	rm -rf "$tree"
	"$rig/kmodkit" new other_thing "${@:2}" --dir "$tree"
	run -0 --separate-stderr "$rig/kmodkit" check "$tree" -k "$1" --seconds 10
	echo "$output"
	[[ ${lines[0]} =~ ^kernel\  ]]
	for line in "${lines[@]:1:$(wc -w <<< "$1")}"; do
		[[ $line =~ \ PASS\ +PASS\ +PASS\ +PASS\ +(PASS|SKIP)\ +PASS\ +PASS\ +PASS$ ]]
	done
}

@test "each template" {
	for about in "$rig"/templates/*/about; do
		passes "5.10 6.1 7.3" --template "$(basename "${about%/about}")"
	done
}

@test "a copy of a whole module" {
	passes 6.1 --from "$(sed -n 's,^obj-m += \(.*\)/$,\1,p' "$rig/../Kbuild" | sed -n 2p)"
}
