#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The checkers of an instrumented kernel, each of which must tell of a fault planted
# for it (tests/modules/kmk_fault.c): of one that keeps silent, silence says nothing.

. "$BATS_TEST_DIRNAME/../rig/vm/verdict"
ours=kmk_fault

has() {
	grep -qx "CONFIG_$1=y" "$KMK_KERNEL/config" 2> /dev/null
}

setup_file() {
	export KMK_VM_LOG=$BATS_FILE_TMPDIR/log
	local faults=()

	# Lockdep tells of one thing only, and nothing after a report of KASAN: so these come last.
	! has KASAN || faults=(rcu atomic_sleep shift index bool vm list active_timer lock_order use_after_free
			       slab_bounds vmalloc_bounds stack_bounds shared_irq leak)
	! has KCSAN || faults=(race)
	[ ${#faults[@]} -gt 0 ] || return 0
	# It has every checker that it is to have, or this fails: only the others are skipped.
	"$BATS_TEST_DIRNAME/../rig/kernels/fetch" "$(basename "$KMK_KERNEL")"
	# shellcheck disable=SC2016 # for the shell in the machine
	"$BATS_TEST_DIRNAME/../rig/vm/run" sh -c 'for fault; do
			echo "fault $fault" > /dev/kmsg
			insmod /lib/kmodkit/kmk_fault.ko fault="$fault" && rmmod kmk_fault || exit
		done' sh "${faults[@]}" > "$BATS_FILE_TMPDIR/verdict" || true
	grep -q '# vm: the kernel complained' "$BATS_FILE_TMPDIR/verdict"
}

# Some line from this fault to the next one in the log matches, of those for which rig/vm/run
# fails a run.
told() {
	has "$1" || skip "this kernel has no $1"
	sed -n "/fault $2\$/,/fault /p" "$KMK_VM_LOG" | tee /dev/stderr | without_foreign_races |
		grep -E "$complaints" | grep -E "$3"
}

@test "KASAN: use after free" {
	told KASAN use_after_free 'KASAN: use-after-free|KASAN: slab-use-after-free'
}

@test "KASAN: beyond a slab object" {
	told KASAN slab_bounds 'KASAN: slab-out-of-bounds'
}

@test "KASAN: beyond a vmalloc area" {
	told KASAN_VMALLOC vmalloc_bounds 'KASAN: vmalloc-out-of-bounds'
}

@test "KASAN: beyond a variable on the stack" {
	told KASAN_STACK stack_bounds 'KASAN: stack-out-of-bounds'
}

@test "UBSAN: shift" {
	told UBSAN_SHIFT shift 'UBSAN: shift-out-of-bounds'
}

@test "UBSAN: index" {
	told UBSAN_BOUNDS index 'UBSAN: array-index-out-of-bounds'
}

@test "UBSAN: bool" {
	told UBSAN_BOOL bool 'UBSAN: invalid-load'
}

@test "DEBUG_VM: a cleared object of a pool" {
	told DEBUG_VM vm 'WARNING: .*mm/mempool\.c'
}

@test "DEBUG_ATOMIC_SLEEP: sleep under a spinlock" {
	told DEBUG_ATOMIC_SLEEP atomic_sleep 'BUG: sleeping function called from invalid context'
}

@test "lockdep: two locks in either order" {
	told PROVE_LOCKING lock_order 'possible circular locking dependency'
}

@test "lockdep: RCU pointer used without RCU" {
	told PROVE_RCU rcu 'suspicious RCU usage'
}

@test "DEBUG_OBJECTS: active timer freed" {
	told DEBUG_OBJECTS_TIMERS active_timer 'ODEBUG: free active'
}

@test "DEBUG_LIST: corrupt list" {
	told DEBUG_LIST list 'list_del corruption'
}

@test "DEBUG_SHIRQ: cookie freed before the shared interrupt" {
	told DEBUG_SHIRQ shared_irq 'KASAN: .*use-after-free in use_cookie'
}

@test "kmemleak: leak" {
	has DEBUG_KMEMLEAK || skip 'this kernel has no kmemleak'
	# From the cache that 1234 bytes are of.
	grep -A 2 'unreferenced object' "$KMK_VM_LOG" | tee /dev/stderr |
		grep -A 1 -E "($complaints).*size 2048" | grep 'comm "insmod"'
}

# Nothing of the log tells: it is cleared, and the console has none of it.
@test "kmemleak and lockdep that are off at the end fail the run, and are told" {
	has KASAN || skip 'on this kernel neither is there to be turned off'
	KMK_VM_LOG='' run "$BATS_TEST_DIRNAME/../rig/vm/run" sh -c 'dmesg -n 1
		insmod /lib/kmodkit/kmk_fault.ko fault=use_after_free
		echo off > /sys/kernel/debug/kmemleak
		dmesg -c > /dev/null'
	[ "$status" -eq 3 ]
	[ "$output" = '# vm: checked no more at the end: kmemleak, lockdep' ]
}

@test "KCSAN: data race" {
	told KCSAN race 'KCSAN: data-race in race_thread'
}

# In a cache with no more than tells what it was built from: building it would fail.
@test "a kernel that was built from another source is built anew" {
	[ -e "$KMK_KERNEL/config" ] || skip 'this kernel was not built from source'
	local name source kernels=$BATS_TEST_TMPDIR/kmodkit/kernels

	name=$(basename "$KMK_KERNEL")
	source=$(grep "^linux-source" "$KMK_KERNEL/key")
	mkdir -p "$kernels/$name" "$BATS_TEST_TMPDIR/kmodkit/source/$source"
	cp "$KMK_KERNEL"/{config,key,release} "$kernels/$name/"
	cp "$KMK_KERNEL/version" "$BATS_TEST_TMPDIR/kmodkit/source/$source/"
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR
	[ "$("$BATS_TEST_DIRNAME/../rig/kernels/fetch" "$name")" = "$kernels/$name" ]
	echo another > "$BATS_TEST_TMPDIR/kmodkit/source/$source/version"
	run "$BATS_TEST_DIRNAME/../rig/kernels/fetch" "$name"
	[ "$status" -ne 0 ]
	[ ! -e "$kernels/$name/release" ]
}
