#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# kmk_irq where the kernel runs interrupt handlers in threads: all that share
# a line must agree on that.

@test "kmk_irq on real lines with threadirqs" {
	CK_RUN_CASE=real run "$BATS_TEST_DIRNAME/vm/run" -a threadirqs \
		"$BATS_TEST_DIRNAME/../build/tests/test_irq"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"shared_with_the_keyboard"* || $output == *"SKIP"* ]]
}
