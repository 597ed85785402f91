#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The test machine itself: each way in which a run can end is told as what it is.

setup() {
	vm=$BATS_TEST_DIRNAME/vm/run
}

@test "a command that succeeds: its output and nothing else" {
	run "$vm" sh -c 'echo hello; id -u'
	[ "$status" -eq 0 ]
	[ "$output" = "$(printf 'hello\n0')" ]
}

@test "a command that fails: exit status 1, and its own is told" {
	run "$vm" sh -c 'echo "not ok 1 - deliberate"; exit 7'
	[ "$status" -eq 1 ]
	[[ $output == *"not ok 1 - deliberate"* ]]
	[[ $output == *"# vm: the command ended with exit status 7"* ]]
}

@test "a kernel that warns: exit status 3, and the warning is shown" {
	run "$vm" sh -c 'insmod /lib/kmk/kmk_fault.ko fault=warn; echo "ok 1"'
	[ "$status" -eq 3 ]
	[[ $output == *"# vm: the kernel complained:"* ]]
	[[ $output == *"deliberate"* ]]
	[[ $output == *"fault_warn"* ]]
}

@test "a kernel that panics: exit status 4, and the panic is shown" {
	run "$vm" sh -c 'echo c > /proc/sysrq-trigger'
	[ "$status" -eq 4 ]
	[[ $output == *"# vm: the kernel panicked:"* ]]
	[[ $output == *"sysrq triggered crash"* ]]
}

@test "a machine that hangs: exit status 5 after the time given" {
	run "$vm" -t 60 sh -c 'echo before; while :; do sleep 1; done'
	[ "$status" -eq 5 ]
	[[ $output == *"before"* ]]
	[[ $output == *"# vm: no result within 60 s"* ]]
}

@test "a module that will not unload: exit status 6, and its name" {
	run "$vm" sh -c 'insmod /lib/kmk/kmk_fault.ko fault=pin'
	[ "$status" -eq 6 ]
	[[ $output == *"# vm: would not unload: kmk_fault"* ]]
}

@test "a test program that runs no test fails" {
	cat > "$BATS_TEST_TMPDIR/empty.c" <<-END
	#include "kmktest.h"
	int main(void) { return run_suite(suite_create("empty")); }
	END
	cc -I"$BATS_TEST_DIRNAME" -static -o "$BATS_TEST_TMPDIR/empty" "$BATS_TEST_TMPDIR/empty.c" \
		"$BATS_TEST_DIRNAME/kmktest.c" -lcheck -lsubunit -lm -lrt -pthread
	run "$vm" "$BATS_TEST_TMPDIR/empty"
	[ "$status" -eq 1 ]
}

@test "no kernel given, no command given: exit status 2" {
	run env KMK_KERNEL=/nowhere "$vm" true
	[ "$status" -eq 2 ]
	[[ $output == *"no kernel in '/nowhere'"* ]]
	run "$vm"
	[ "$status" -eq 2 ]
}

@test "it needs no privilege" {
	run setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$vm" echo unprivileged
	[ "$status" -eq 0 ]
	[ "$output" = unprivileged ]
}
