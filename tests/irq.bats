#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# kmk_irq where the kernel runs the drivers' interrupt handlers in threads: it
# still counts each interrupt.

with_threadirqs() {
	CK_RUN_CASE=$1 run "$BATS_TEST_DIRNAME/../rig/vm/run" -a threadirqs \
		"$BATS_TEST_DIRNAME/../build/tests/test_irq"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "kmk_irq on real lines with threadirqs" {
	with_threadirqs real
	[[ $output == *"shared_with_the_keyboard"* || $output == *"SKIP"* ]]
}

@test "kmk_irq on the lines of drivers of all kinds with threadirqs" {
	with_threadirqs lines
	[[ $output == *"joins"* ]]
}
