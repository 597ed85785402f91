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

@test "each template" {
	for about in "$rig"/templates/*/about; do
		template=$(basename "${about%/about}")
		rm -rf "$tree"
		"$rig/kmodkit" new other_thing --template "$template" --dir "$tree"
		run -0 --separate-stderr "$rig/kmodkit" check "$tree" -k "5.10 6.1 7.3" --seconds 10
		echo "$output"
		[[ ${lines[0]} =~ ^kernel\  ]]
		for line in "${lines[@]:1:3}"; do
			[[ $line =~ \ PASS\ +PASS\ +PASS\ +PASS\ +(PASS|SKIP)\ +PASS\ +PASS\ +PASS$ ]]
		done
	done
}
