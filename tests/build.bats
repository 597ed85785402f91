#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The build as a user types it, in a copy of the sources, against installed headers.

bats_require_minimum_version 1.5.0

setup_file() {
	export kdir
	kdir=$(find /lib/modules -path '*/6.1.*-amd64/build' | sort -V | tail -n 1)
	export src=$BATS_FILE_TMPDIR/src
	make -s -C "$BATS_TEST_DIRNAME/.." dkms-source DESTDIR="$src"
	src=$(echo "$src"/usr/src/kmodkit-*)
}

@test "every module, W=1 and sparse: no warning" {
	run make -C "$src" KDIR="$kdir" W=1 C=2
	echo "$output"
	[ "$status" -eq 0 ]
	log=$output
	run ! grep -iE 'warning|error' <<< "$log"
	[ "$(find "$src" -name 'kmk_*.ko' | wc -l)" -eq 7 ]
}

@test "every module says license, author, description and version, and describes its parameters" {
	for ko in "$src"/*/kmk_*.ko; do
		[ "$(modinfo -F license "$ko")" = GPL ]
		[ -n "$(modinfo -F author "$ko")" ]
		[ -n "$(modinfo -F description "$ko")" ]
		[ -n "$(modinfo -F version "$ko")" ]
		[ "$(modinfo -F depends "$ko")" = "" ]
		run ! grep fs- < <(modinfo -F alias "$ko")
		modinfo -p "$ko" | while read -r parameter; do
			[[ $parameter == *:*" "*"("*")" ]]
		done
	done
}

@test "make install and make uninstall, below INSTALL_MOD_PATH" {
	kver=$(basename "$(dirname "$kdir")")
	run make -C "$src" KDIR="$kdir" INSTALL_MOD_PATH="$BATS_FILE_TMPDIR/root" install
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(find "$BATS_FILE_TMPDIR/root/lib/modules/$kver/updates/kmodkit" -name 'kmk_*.ko*' | wc -l)" -eq 7 ]
	grep -q kmk_echo "$BATS_FILE_TMPDIR/root/lib/modules/$kver/modules.dep"
	run make -C "$src" KDIR="$kdir" INSTALL_MOD_PATH="$BATS_FILE_TMPDIR/root" uninstall
	[ "$status" -eq 0 ]
	[ -z "$(find "$BATS_FILE_TMPDIR/root" -name 'kmk_*')" ]
	run ! grep -q kmk_ "$BATS_FILE_TMPDIR/root/lib/modules/$kver/modules.dep"
}

@test "make clean leaves the sources and nothing else" {
	make -C "$src" KDIR="$kdir" clean
	make -s -C "$BATS_TEST_DIRNAME/.." dkms-source DESTDIR="$BATS_TEST_TMPDIR"
	run diff -r "$src" "$BATS_TEST_TMPDIR"/usr/src/kmodkit-*
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "each directory builds alone" {
	for kbuild in "$src"/*/Kbuild; do
		run make -C "$kdir" M="${kbuild%/Kbuild}" modules
		echo "$output"
		[ "$status" -eq 0 ]
		compgen -G "${kbuild%/Kbuild}/kmk_*.ko"
	done
}

@test "missing headers: one error that names the package" {
	run make -C "$src" KVER=9.9.9-none
	[ "$status" -ne 0 ]
	[[ $output == *"apt install linux-headers-9.9.9-none"* ]]
}

# Headers of a kernel RELEASE that only say that they were called.
mock_headers() {
	mkdir -p "$BATS_TEST_TMPDIR"/kdir/include/{config,generated}
	echo "#define UTS_RELEASE \"$1\"" > "$BATS_TEST_TMPDIR/kdir/include/generated/utsrelease.h"
	# shellcheck disable=SC2016 # for make
	printf 'modules:\n\t@echo "kernel build with LLVM=$(LLVM)"\n' > "$BATS_TEST_TMPDIR/kdir/Makefile"
}

@test "a kernel newer than the newest tested: built, and said in one line" {
	newest=$(awk '/^[^#]/ && $3 != "*" { print $3 }' "$BATS_TEST_DIRNAME/kernels/list" | sort -V | tail -n 1)
	for newer in "${newest%.*}.$((${newest#*.} + 1))-rc1" "${newest%.*}.1${newest#*.}.2-amd64" 20.0.1; do
		mock_headers "$newer"
		run make -s -C "$src" KDIR="$BATS_TEST_TMPDIR/kdir"
		[ "$status" -eq 0 ]
		[ "${#lines[@]}" -eq 2 ]
		[[ ${lines[0]} == "kmodkit: Linux $newer is newer than $newest,"* ]]
		[[ ${lines[1]} == "kernel build"* ]]
	done
	for older in "$newest.0" "$newest-rc5" "$newest.99+deb13-amd64" 5.10.0-9-amd64; do
		mock_headers "$older"
		run make -s -C "$src" KDIR="$BATS_TEST_TMPDIR/kdir"
		[ "$status" -eq 0 ]
		[ "${#lines[@]}" -eq 1 ]
	done
}

@test "a kernel built with clang: LLVM=1, and said" {
	mock_headers 6.12.0
	echo CONFIG_CC_IS_CLANG=y > "$BATS_TEST_TMPDIR/kdir/include/config/auto.conf"
	run make -C "$src" KDIR="$BATS_TEST_TMPDIR/kdir"
	[ "$status" -eq 0 ]
	[[ $output == *"built with clang: building with LLVM=1"* ]]
	[[ $output == *"kernel build with LLVM=1"* ]]
}

@test "a path with a space: a clear error" {
	cp -r "$src" "$BATS_TEST_TMPDIR/a path"
	run make -C "$BATS_TEST_TMPDIR/a path" KDIR="$kdir"
	[ "$status" -ne 0 ]
	[[ $output == *"has a space"* ]]
}

@test "make help lists the targets, and each exists" {
	run make -s -C "$src" help
	[ "$status" -eq 0 ]
	for target in install dkms clean demo shell check check-kernels lint; do
		[[ $output == *"make $target"* ]]
		grep -qE "^$target:" "$src/Makefile"
	done
}
