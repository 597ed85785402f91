#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# kmodkit check from end to end, on modules of the faults' directory without their faults.

bats_require_minimum_version 1.5.0

setup() {
	rig=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	tree=$BATS_TEST_TMPDIR/tree
}

@test "a correct module: its surface, its own test, what was exercised, no failure" {
	"$BATS_TEST_DIRNAME/faults/plant" "$tree" twin uninitialised > "$BATS_TEST_TMPDIR/names"
	read -r _ name < "$BATS_TEST_TMPDIR/names"
	echo 'test works' > "$tree/kmodkit.conf"
	printf '#!/bin/sh\n[ -c /dev/%s ] && rmmod %s\n' "$name" "$name" > "$tree/works"
	run -0 --separate-stderr "$rig/kmodkit" check "$tree" -k 6.1 --seconds 10
	echo "$output"
	[[ ${lines[1]} =~ ^6.1\ .*PASS\ +PASS\ +PASS\ +PASS\ +PASS\ +PASS\ +PASS\ +PASS$ ]]
	[[ $output == *"dev: /dev/$name"* ]]
	[[ $output =~ exercised:\ [1-9] ]]
}

@test "a module with a fault: exit status 1, the cause and the command that repeats it" {
	"$BATS_TEST_DIRNAME/faults/plant" "$tree" fault uninitialised > "$BATS_TEST_TMPDIR/names"
	read -r _ name < "$BATS_TEST_TMPDIR/names"
	echo 'test fails' > "$tree/kmodkit.conf"
	printf '#!/bin/sh\necho "not ok 1 - of its own"\n' > "$tree/fails"
	run -1 --separate-stderr "$rig/kmodkit" check "$tree" -k 6.1 --seconds 10
	echo "$output"
	[[ $output == *"FAIL tests of"*"fails: not ok 1 - of its own"* ]]
	[[ $output == *"FAIL exercise of"*"uninitialised: read gives away"* ]]
	[[ $output == *"again: kmodkit check $tree -k 6.1 --seed 1 --only 'exercise file /dev/$name root'"* ]]
}
