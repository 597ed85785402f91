#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# DKMS as a package would use it, on trees of its own, against installed headers.

bats_require_minimum_version 1.5.0

setup_file() {
	export top=$BATS_TEST_DIRNAME/..
	export kver version
	kver=$(find /lib/modules -path '*/6.1.*-amd64/build' | sort -V | tail -n 1)
	kver=$(basename "$(dirname "$kver")")
	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$top/dkms.conf")
	make -s -C "$top" dkms-source DESTDIR="$BATS_FILE_TMPDIR"
	mkdir -p "$BATS_FILE_TMPDIR"/{tree,modules/"$kver"}
	ln -s "/lib/modules/$kver/build" "$BATS_FILE_TMPDIR/modules/$kver/build"
	touch "$BATS_FILE_TMPDIR/modules/$kver/modules."{order,builtin}
}

dkms() {
	command dkms "$@" --dkmstree "$BATS_FILE_TMPDIR/tree" \
		--sourcetree "$BATS_FILE_TMPDIR/usr/src" --installtree "$BATS_FILE_TMPDIR/modules"
}

modules() {
	find "$BATS_FILE_TMPDIR/modules/$kver/updates" -name 'kmk_*.ko*' | wc -l
}

quiet() {
	! grep -iE 'warning|deprecated|error' <<< "$output"
}

@test "dkms.conf has the modules' version" {
	grep -qx "#define KMK_VERSION \"$version\"" "$top/include/kmk/version.h"
}

@test "dkms.conf names every module directory, and the modules they build" {
	from_kbuild=$(sed -n 's,^obj-m += \(.*\)/,\1,p' "$top/Kbuild" | sort)
	from_conf=$(sed -n 's/^BUILT_MODULE_LOCATION.*="\(.*\)"/\1/p' "$top/dkms.conf" | sort)
	[ "$from_kbuild" = "$from_conf" ]
	[ "$(wc -l <<< "$from_conf")" -eq 7 ]
}

@test "kernels before 5.10 are excluded, and only those" {
	BUILD_EXCLUSIVE_KERNEL=
	eval "$(grep '^BUILD_EXCLUSIVE_KERNEL=' "$top/dkms.conf")"
	for old in 2.6.32-5-amd64 3.16.0-4-amd64 4.19.0-27-amd64 5.0.0-1 5.4.0-100-generic 5.9.0-1-amd64; do
		[[ ! $old =~ $BUILD_EXCLUSIVE_KERNEL ]]
	done
	for new in 5.10.0-30-amd64 5.15.0-25-generic 6.1.0-9-amd64 6.12.48+deb13-amd64 7.3.1+deb13-amd64 10.0.1; do
		[[ $new =~ $BUILD_EXCLUSIVE_KERNEL ]]
	done
}

@test "dkms add" {
	run dkms add "kmodkit/$version"
	[ "$status" -eq 0 ]
	quiet
	run dkms status
	[[ $output == *"kmodkit/$version: added"* ]]
}

@test "dkms build, without a warning" {
	[ -n "$kver" ]
	run dkms build "kmodkit/$version" -k "$kver"
	echo "$output"
	[ "$status" -eq 0 ]
	quiet
	run ! grep -i 'warning:' "$BATS_FILE_TMPDIR/tree/kmodkit/$version/$kver/"*/log/make.log
}

@test "dkms install: seven modules, for that kernel" {
	run dkms install "kmodkit/$version" -k "$kver"
	[ "$status" -eq 0 ]
	quiet
	[ "$(modules)" -eq 7 ]
	run dkms status
	[[ $output == *"kmodkit/$version, $kver, "*": installed"* ]]
	for ko in "$BATS_FILE_TMPDIR/modules/$kver/updates"/*/kmk_*.ko*; do
		[ "$(modinfo -F vermagic "$ko" | cut -d' ' -f1)" = "$kver" ]
		[ "$(modinfo -F version "$ko")" = "$version" ]
	done
}

@test "dkms remove: nothing stays" {
	run dkms remove "kmodkit/$version" --all
	[ "$status" -eq 0 ]
	quiet
	[ "$(find "$BATS_FILE_TMPDIR/modules" -name 'kmk_*')" = "" ]
	run dkms status
	[ "$output" = "" ]
}

@test "dkms on a kernel that is excluded builds nothing" {
	mkdir -p "$BATS_FILE_TMPDIR/modules/4.19.0-27-amd64"
	ln -s "/lib/modules/$kver/build" "$BATS_FILE_TMPDIR/modules/4.19.0-27-amd64/build"
	run dkms add "kmodkit/$version"
	run dkms build "kmodkit/$version" -k 4.19.0-27-amd64
	[ "$status" -ne 0 ]
	[[ $output == *BUILD_EXCLUSIVE* ]]
	run dkms remove "kmodkit/$version" --all
	[ "$status" -eq 0 ]
}
