#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# `make demo` shows what the modules did: real input going in and coming out.

bats_require_minimum_version 1.5.0

setup_file() {
	make -s -C "$BATS_TEST_DIRNAME/.." tools
	"$BATS_TEST_DIRNAME/../rig/vm/run" -f "$BATS_TEST_DIRNAME/../build/tools/kmk" \
		"$BATS_TEST_DIRNAME/vm/demo" > "$BATS_FILE_TMPDIR/transcript"
}

# The lines that follow a command in the transcript, up to the next one.
after() {
	sed 's/\x1b\[[0-9;]*m//g' "$BATS_FILE_TMPDIR/transcript" |
		awk -v command="# $1" '$0 == command { on = 1; next } /^(# |$|===)/ { on = 0 } on'
}

@test "all seven are loaded, and unloaded at the end" {
	[ "$(after lsmod | grep -c '^kmk_')" -eq 7 ]
	[ "$(after 'dmesg | grep -o "kmk_.*"' | grep -c ': loaded')" -eq 7 ]
	[ "$(after 'dmesg | grep -o "kmk_.*"' | grep -c ': unloaded')" -eq 7 ]
}

@test "no command failed but the two that show a limit" {
	cat "$BATS_FILE_TMPDIR/transcript"
	[ "$(grep -c '^(exit status' "$BATS_FILE_TMPDIR/transcript")" -eq 2 ]
	after 'dd if=/dev/zero of=/mnt/big bs=1M count=9' | grep 'No space left on device'
	after 'rmmod kmk_ramfs' | grep -i 'in use\|temporarily unavailable'
}

@test "minimal, echo and proc give back what they were given" {
	[ "$(after 'cat /sys/module/kmk_minimal/parameters/my_param')" = 7 ]
	[ "$(after 'cat /dev/echo')" = "$(printf 'hello\nhello\nand more')" ]
	[ "$(after 'echo "through the queue" > /dev/echo_fifo & head -n 1 /dev/echo_fifo')" = 'through the queue' ]
	after 'cat /proc/rust_proc' | grep -x 'first entry'
	after 'cat /proc/rust_proc' | grep -x 'second'
	after 'cat /proc/rust_proc' | grep 'third .*not red'
	run ! grep "$(printf '\033\\[31m')" "$BATS_FILE_TMPDIR/transcript"
}

@test "irq counts three interrupts and shows three events" {
	[ "$(after 'cat /sys/class/misc/irq_events/count')" = 3 ]
	[ "$(after 'kmk irq watch --events 3' | grep -c 42)" -eq 3 ]
}

@test "the system call and the pool answer" {
	after 'kmk syscall add 2 3' | grep -w 5
	after 'kmk syscall mul 6 7' | grep -w 42
	after 'kmk syscall id' | grep -iE '0x12345678|305419896'
	[ -n "$(after 'kmk mempool exercise')" ]
	[ -n "$(after 'kmk mempool stat')" ]
}

@test "cramfs keeps files, and its limit" {
	[ "$(after 'cat /mnt/dir/link')" = 'a file on cramfs' ]
	after 'df -h /mnt' | grep '100% /mnt'
}

# The demo, as on a terminal.
on_a_terminal() {
	script -qec "'$BATS_TEST_DIRNAME/../rig/vm/run' -f '$BATS_TEST_DIRNAME/../build/tools/kmk' \
		'$BATS_TEST_DIRNAME/vm/demo'" /dev/null < /dev/null
}

@test "no colours but on a terminal that wants them" {
	run ! grep -q $'\x1b' "$BATS_FILE_TMPDIR/transcript"
	on_a_terminal > "$BATS_TEST_TMPDIR/shown"
	grep -q $'\x1b\[1m' "$BATS_TEST_TMPDIR/shown"
	NO_COLOR=1 on_a_terminal > "$BATS_TEST_TMPDIR/shown"
	grep -q 'lsmod' "$BATS_TEST_TMPDIR/shown"
	run ! grep -q $'\x1b' "$BATS_TEST_TMPDIR/shown"
}
