#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The fuzzer (tests/fuzz/): it finds a fault that is planted for it, which blind luck
# would not, and says how to bring it about; then, for some minutes, none in the modules.

cd "$BATS_TEST_DIRNAME/.." || exit

# Since Linux 6.3 it says of which kind.
use_after_free='KASAN: (slab-)?use-after-free in .*\[kmk_fault\]'

setup_file() {
	export found=$BATS_FILE_TMPDIR/found

	can_fuzz || return 0
	KMK_KO=$(rig/kernels/build "$(basename "$KMK_KERNEL")" KCOV_INSTRUMENT=y)
	export KMK_KO
	# shellcheck disable=SC2016 # for the shell in the machine
	KMK_SEED=4 KMK_FUZZ_GROUP=fault KMK_FUZZ_SECONDS=900 rig/vm/run -f build/tests/fuzz \
		sh -c 'insmod /lib/kmodkit/kmk_fault.ko fault=maze && fuzz' > "$found" || true
}

can_fuzz() {
	grep -qsx CONFIG_KASAN=y "$KMK_KERNEL/config" && grep -qsx CONFIG_KCOV=y "$KMK_KERNEL/config"
}

setup() {
	can_fuzz || skip 'this kernel has not both KASAN and KCOV'
}

# The fuzzer's output between its words "the shortest" and the next empty line.
shortest() {
	sed -n '/^# fuzz: the shortest/,/^$/p' "$found"
}

# A machine in which the command brings the fault about.
faults() {
	run rig/vm/run "${@:2}" sh -c "insmod /lib/kmodkit/kmk_fault.ko fault=maze && $1"
	[ "$status" -eq 3 ]
	[[ $output =~ $use_after_free ]]
}

@test "it finds the fault, and says with which seed" {
	grep '^# fuzz' "$found" >&2
	grep -q '^# fuzz: seed 4$' "$found"
	grep -qE "^# fuzz: the kernel says: BUG: $use_after_free" "$found"
	grep -q '^not ok 1' "$found"
}

@test "its program is as short as can be" {
	shortest >&2
	[ "$(shortest | sed '/^#/d' | cut -d ' ' -f 1 | xargs)" = 'fault fault_write' ]
}

@test "the same as C compiles, and brings it about" {
	sed -n '/^\/\* -- reproducer/,/^\/\* -- end/p' "$found" > "$BATS_TEST_TMPDIR/reproducer.c"
	gcc -static -pthread -o "$BATS_TEST_TMPDIR/reproducer" "$BATS_TEST_TMPDIR/reproducer.c"
	faults reproducer -f "$BATS_TEST_TMPDIR/reproducer"
}

@test "the program can be run again from its text" {
	shortest > "$BATS_TEST_TMPDIR/program"
	faults 'fuzz -r /tests/program' -f build/tests/fuzz -f "$BATS_TEST_TMPDIR/program"
}

@test "no program makes the kernel complain of the modules, for 5 minutes" {
	cat tests/fuzz/corpus/*.txt > "$BATS_TEST_TMPDIR/corpus"
	KMK_FUZZ_SECONDS=300 run rig/fuzz/in-vm build/tests/fuzz "$BATS_TEST_TMPDIR/corpus"
	echo "$output"
	[ "$status" -eq 0 ]
	# A third of what the stored programs alone reach
	[ "$(sed -n 's/^# fuzz: .* calls, \(.*\) edges.*/\1/p' <<< "$output")" -gt 300 ]
	for group in echo fifo irq mempool proc syscall_ext ramfs load; do
		grep -q "^# fuzz: opened $group [1-9]" <<< "$output"
	done
}
