#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# DKMS as a package would use it, on trees of its own, against installed headers.

bats_require_minimum_version 1.5.0

setup_file() {
	export top=$BATS_TEST_DIRNAME/..
	export kver version
	kver=$(find /lib/modules -path '*-amd64/build' | sort -V | tail -n 1)
	kver=$(basename "$(dirname "$kver")")
	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$top/dkms.conf")
	make -s -C "$top" dkms-source DESTDIR="$BATS_FILE_TMPDIR"
	mkdir -p "$BATS_FILE_TMPDIR"/{tree,modules/"$kver"}
	ln -s "/lib/modules/$kver/build" "$BATS_FILE_TMPDIR/modules/$kver/build"
	touch "$BATS_FILE_TMPDIR/modules/$kver/modules."{order,builtin}
}

# The host may have the package.
setup() {
	mkdir -p "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\nexit 1\n' > "$BATS_TEST_TMPDIR/bin/dpkg-query"
	chmod +x "$BATS_TEST_TMPDIR/bin/dpkg-query"
}

# DKMS on those trees, and with a key of its own: the host's may be root's alone, and since 3.1
# it installs for root alone.
dkms_program() {
	local as=''

	[ "$(id -u)" -eq 0 ] || as=--map-root-user
	mkdir -p "$BATS_FILE_TMPDIR/key"
	cat > "$BATS_TEST_TMPDIR/bin/dkms" <<-END
	#!/bin/sh
	exec unshare --mount $as sh -euc '
		mount --bind "$BATS_FILE_TMPDIR/key" /var/lib/dkms
		exec "$(type -P dkms)" "\$@" --dkmstree "$BATS_FILE_TMPDIR/tree" \
			--sourcetree "$BATS_FILE_TMPDIR/usr/src" --installtree "$BATS_FILE_TMPDIR/modules"
	' dkms "\$@"
	END
	chmod +x "$BATS_TEST_TMPDIR/bin/dkms"
}

dkms() {
	dkms_program
	"$BATS_TEST_TMPDIR/bin/dkms" "$@"
}

make_dkms() {
	dkms_program
	# the source is there, below another root
	run env PATH="$BATS_TEST_TMPDIR/bin:$PATH" make -C "$top" -o dkms-source KVER="$kver" "$@"
	echo "$output"
}

# Debian's hook for new kernels, which looks into /lib/modules, and asks dkms and dpkg.
kernel_hook() {
	local bin=$BATS_TEST_TMPDIR/bin options=(--mount)

	dkms_program
	printf '#!/bin/sh\necho /usr/src/kmodkit-%s\n' "$version" > "$bin/dpkg"
	chmod +x "$bin/dpkg"
	[ "$(id -u)" -eq 0 ] || options+=(--map-root-user)
	# shellcheck disable=SC2016 # for the inner shell
	unshare "${options[@]}" sh -euc '
		mount --bind "$1" /lib/modules
		mount --bind "$2" /var/lib/dkms
		PATH=$3:$PATH exec sh "$4" "$5"' \
		hook "$BATS_FILE_TMPDIR/modules" "$BATS_FILE_TMPDIR/tree" "$bin" "$top/debian/kernel-hook" "$1"
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

@test "DKMS builds for new kernels, whatever hook of a removed package is left" {
	run grep -nE 'AUTOINSTALL|/etc' "$top/dkms.conf"
	[ "${output#*:}" = 'AUTOINSTALL="yes"' ]
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

@test "make dkms, where it was done before: the new modules" {
	echo 'MODULE_INFO(again, "yes");' >> "$BATS_FILE_TMPDIR/usr/src/kmodkit-$version/minimal/kmk_minimal.c"
	make_dkms dkms
	[ "$status" -eq 0 ]
	[ "$(modules)" -eq 7 ]
	[ "$(modinfo -F again "$BATS_FILE_TMPDIR/modules/$kver/updates"/*/kmk_minimal.ko*)" = yes ]
}

@test "make dkms and dkms-uninstall, where the package is installed: refused" {
	printf '#!/bin/sh\necho installed\n' > "$BATS_TEST_TMPDIR/bin/dpkg-query"
	for target in dkms dkms-uninstall; do
		make_dkms "$target"
		[ "$status" -ne 0 ]
		[[ $output == *"kmodkit-dkms is installed"* ]]
		[ "$(modules)" -eq 7 ]
	done
}

@test "make dkms and dkms-uninstall with DESTDIR: refused, as DKMS acts on the system" {
	for target in dkms dkms-uninstall; do
		make_dkms "$target" DESTDIR="$BATS_TEST_TMPDIR/staged"
		[ "$status" -ne 0 ]
		[[ $output == *"DESTDIR is for dkms-source"* ]]
		[ ! -e "$BATS_TEST_TMPDIR/staged" ]
		[ "$(modules)" -eq 7 ]
	done
}

@test "headers that lack something: the hook says what to do, the log ends with a report, and other kernels keep theirs" {
	local headers=$BATS_TEST_TMPDIR/usr modules=$BATS_FILE_TMPDIR/modules

	cp -a "${KMK_KERNEL:?}/usr" "$headers"
	rm "$headers"/src/*-common/include/linux/hrtimer.h
	mkdir "$modules/6.99.0-lacking"
	ln -s "$headers/src/$(basename "$(realpath "$KMK_KERNEL/build")")" "$modules/6.99.0-lacking/build"
	before=$(sha256sum "$modules/$kver"/updates/*/kmk_*)

	run kernel_hook 6.99.0-lacking
	echo "$output"
	[ "$status" -eq 0 ]
	[[ ${lines[-1]} == "kmodkit-dkms: no modules for Linux 6.99.0-lacking: boot another kernel"*"(kmodkit: include/kmk/probe: no "*"/include/linux/hrtimer.h)"*"run: dkms install kmodkit/$version -k 6.99.0-lacking" ]]
	log=$BATS_FILE_TMPDIR/tree/kmodkit/$version/build/make.log
	grep 'kmodkit: include/kmk/probe: no .*/include/linux/hrtimer.h' "$log"
	[[ $(grep '^kmodkit:' "$log" | tail -n 1) == "kmodkit:   probes: "* ]]
	[ -z "$(find "$modules/6.99.0-lacking" -name 'kmk_*')" ]
	sha256sum -c <<< "$before"
	run dkms status
	[[ $output == *"kmodkit/$version, $kver, "*": installed" ]]
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
	ln -s "$(realpath "/lib/modules/$kver/build")" "$BATS_FILE_TMPDIR/modules/4.19.0-27-amd64/build"
	run dkms add "kmodkit/$version"
	run dkms build "kmodkit/$version" -k 4.19.0-27-amd64
	[ "$status" -ne 0 ]
	[[ $output == *BUILD_EXCLUSIVE* ]]
	run kernel_hook 4.19.0-27-amd64
	echo "$output"
	[ "$status" -eq 0 ]
	[[ ${lines[-1]} == "kmodkit-dkms: no modules for Linux 4.19.0-27-amd64, which is older than 5.10" ]]
	run dkms remove "kmodkit/$version" --all
	[ "$status" -eq 0 ]
}
