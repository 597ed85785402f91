#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Modules for machines that have no compiler: what `make modules-for` puts where.

bats_require_minimum_version 1.5.0

setup_file() {
	export name tree release
	name=$(basename "${KMK_KERNEL:?}")
	release=$(cat "$KMK_KERNEL/release")
	tree=$BATS_FILE_TMPDIR/tree
	cd "$BATS_FILE_TMPDIR" || exit
	openssl req -new -x509 -newkey rsa:2048 -nodes -subj '/CN=kmodkit test' -days 2 \
		-keyout key.pem -out cert.pem 2> /dev/null
	SIGN_KEY=$PWD/key.pem SIGN_CERT=$PWD/cert.pem \
		"$BATS_TEST_DIRNAME/kernels/export" "$tree" "$name" > log 2>&1 || { cat log; return 1; }
}

@test "seven modules for that kernel, signed and without debug information" {
	modules=("$tree/lib/modules/$release/updates/kmodkit"/kmk_*.ko)
	[ "${#modules[@]}" -eq 7 ]
	for ko in "${modules[@]}"; do
		[ "$(modinfo -F vermagic "$ko" | cut -d' ' -f1)" = "$release" ]
		[ "$(modinfo -F signer "$ko")" = 'kmodkit test' ]
		run ! grep -q debug_info < <(readelf -SW "$ko" 2> /dev/null)
	done
}

@test "modprobe finds each in the tree" {
	for module in kmk_minimal kmk_echo kmk_proc kmk_irq kmk_syscall kmk_mempool kmk_ramfs; do
		run modprobe -d "$tree" -S "$release" --show-depends "$module"
		[ "$status" -eq 0 ]
		[[ $output == *"updates/kmodkit/$module.ko"* ]]
	done
}

@test "a kernel that enforces signatures refuses a key that it does not know, and says so" {
	ko=$tree/lib/modules/$release/updates/kmodkit/kmk_minimal.ko
	run "$BATS_TEST_DIRNAME/vm/run" -a module.sig_enforce=1 -f "$ko" insmod /tests/kmk_minimal.ko
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"ey was rejected by service"* ]]
	run "$BATS_TEST_DIRNAME/vm/run" -f "$ko" insmod /tests/kmk_minimal.ko
	[ "$status" -eq 0 ]
}
