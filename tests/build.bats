#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The build as a user types it, in a copy of the sources, against installed headers.

bats_require_minimum_version 1.5.0

setup_file() {
	export kdir
	kdir=$(find /lib/modules -path '*-amd64/build' | sort -V | tail -n 1)
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
		# of a driver that a kernel may lack: CONFIG_NLS
		run ! grep -E ' (utf|nls|.*_nls)' < <(nm -u "$ko")
		modinfo -p "$ko" | while read -r parameter; do
			[[ $parameter == *:*" "*"("*")" ]]
		done
	done
}

# The host may have them installed.
on_the_host() {
	find /lib/modules -name 'kmk_*' -exec sha256sum {} +
}

@test "make install and make uninstall, below DESTDIR or INSTALL_MOD_PATH, also a relative one" {
	kver=$(basename "$(dirname "$kdir")")
	before=$(on_the_host)
	for root in DESTDIR="$BATS_TEST_TMPDIR/one" INSTALL_MOD_PATH="$BATS_TEST_TMPDIR/two" INSTALL_MOD_PATH=../three; do
		dir=$(cd "$src" && realpath -m "${root#*=}")
		run make -C "$src" KDIR="$kdir" "$root" install
		echo "$output"
		[ "$status" -eq 0 ]
		[ "$(find "$dir/lib/modules/$kver/updates/kmodkit" -name 'kmk_*.ko*' | wc -l)" -eq 7 ]
		grep -q kmk_echo "$dir/lib/modules/$kver/modules.dep"
		[[ $output != *"another copy"* ]]
		run make -C "$src" KDIR="$kdir" "$root" uninstall
		[ "$status" -eq 0 ]
		[ -z "$(find "$dir" -name 'kmk_*')" ]
		run ! grep -q kmk_ "$dir/lib/modules/$kver/modules.dep"
	done
	[ "$(on_the_host)" = "$before" ]
}

@test "make install says so where modprobe takes another copy" {
	kver=$(basename "$(dirname "$kdir")")
	root=$BATS_TEST_TMPDIR
	make -C "$src" KDIR="$kdir" DESTDIR="$root" install
	mkdir -p "$root/etc/depmod.d"
	mv "$root/lib/modules/$kver/updates/kmodkit" "$root/lib/modules/$kver/updates/aaa"
	echo "override kmk_echo $kver updates/aaa" > "$root/etc/depmod.d/test.conf"
	printf '#!/bin/sh\nexec depmod -C %s "$@"\n' "$root/etc/depmod.d" > "$root/depmod"
	chmod +x "$root/depmod"
	run make -C "$src" KDIR="$kdir" DESTDIR="$root" DEPMOD="$root/depmod" install
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"modprobe takes another copy, $root/lib/modules/$kver/updates/aaa/chardev/kmk_echo.ko"* ]]
}

# As Yocto's module.bbclass, Buildroot's kernel-module infrastructure and Nix's recipes call it.
@test "the build and modules_install of distributions' recipes" {
	kver=$(basename "$(dirname "$kdir")")
	for name in KERNEL_SRC KERNELDIR KSRC; do
		make -C "$src" clean "$name=$kdir"
		run make -C "$src" "$name=$kdir"
		echo "$output"
		[ "$status" -eq 0 ]
		[ "$(find "$src" -name 'kmk_*.ko' | wc -l)" -eq 7 ]
	done
	run make -C "$src" KERNEL_SRC="$kdir" DEPMOD=echo \
		MODLIB="$BATS_TEST_TMPDIR/yocto/lib/modules/$kver" modules_install
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(find "$BATS_TEST_TMPDIR/yocto/lib/modules/$kver/updates" -name 'kmk_*.ko*' | wc -l)" -eq 7 ]
	run make -C "$kdir" M="$src" INSTALL_MOD_PATH="$BATS_TEST_TMPDIR/buildroot" modules_install
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(find "$BATS_TEST_TMPDIR/buildroot" -name 'kmk_*.ko*' | wc -l)" -eq 7 ]
}

@test "the modules do not tell where they were built" {
	make -C "$src" KDIR="$kdir"
	for ko in "$src"/*/kmk_*.ko; do
		objcopy -g "$ko" "$BATS_TEST_TMPDIR/stripped.ko"
		run ! grep -qF "$src" "$BATS_TEST_TMPDIR/stripped.ko"
	done
}

@test "a build of all modules takes less than 60 CPU seconds, the probe included" {
	make -C "$src" KDIR="$kdir" clean
	TIMEFORMAT='%U %S'
	{ time make -C "$src" KDIR="$kdir" > "$BATS_TEST_TMPDIR/log" 2>&1; } 2> "$BATS_TEST_TMPDIR/times"
	[ "$(find "$src" -name 'kmk_*.ko' | wc -l)" -eq 7 ]
	read -r user system < "$BATS_TEST_TMPDIR/times"
	echo "# user $user s, system $system s" >&3
	awk "BEGIN { exit !($user + $system < 60) }"
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

@test "missing headers: one error that names the packages" {
	run make -C "$src" KVER=9.9.9-none
	[ "$status" -ne 0 ]
	[[ $output == *"apt install linux-headers-9.9.9-none"* ]]
	[[ $output == *"dnf install kernel-devel-9.9.9-none"* ]]
}

# Headers of a kernel RELEASE that only say that they were called.
mock_headers() {
	mkdir -p "$BATS_TEST_TMPDIR"/kdir/include/{config,generated}
	echo "#define UTS_RELEASE \"$1\"" > "$BATS_TEST_TMPDIR/kdir/include/generated/utsrelease.h"
	# shellcheck disable=SC2016 # for make
	printf 'modules:\n\t@echo "kernel build with LLVM=$(LLVM)"\n' > "$BATS_TEST_TMPDIR/kdir/Makefile"
}

@test "a kernel newer than the newest tested: built, and said in one line" {
	newest=$(awk '/^[^#]/ && $3 != "*" { print $3 }' "$BATS_TEST_DIRNAME/../rig/kernels/list" | sort -V | tail -n 1)
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

@test "a path that make or Kbuild would take apart: a clear error" {
	# shellcheck disable=SC2016 # the dollar itself
	for path in 'a path' 'a$path' 'a#path' 'a,path' 'a(path)' "a'path" 'a"path' 'a:path' 'a;path' 'a&path'; do
		cp -r "$src" "$BATS_TEST_TMPDIR/$path"
		(cd "$BATS_TEST_TMPDIR/$path"
		 run make KDIR="$kdir"
		 echo "$path: $output"
		 [ "$status" -ne 0 ]
		 [[ $output == *"has a space or another character"* ]])
	done
}

@test "make deb without a git clone: a clear error" {
	cp -r "$src" "$BATS_TEST_TMPDIR/src"
	mkdir "$BATS_TEST_TMPDIR/src/tests"
	ln -s /bin/true "$BATS_TEST_TMPDIR/src/tests/setup"
	run make -C "$BATS_TEST_TMPDIR/src" deb
	[ "$status" -ne 0 ]
	[[ $output == *"it wants a git clone"* ]]
}

@test "make install-tools and uninstall-tools; without a static C library, too" {
	make -s -C "$BATS_TEST_DIRNAME/.." install-tools DESTDIR="$BATS_TEST_TMPDIR/root" prefix=/usr
	[ "$("$BATS_TEST_TMPDIR/root/usr/bin/kmk" --version)" ]
	[ -e "$BATS_TEST_TMPDIR/root/usr/share/man/man5/cramfs.5" ]
	make -s -C "$BATS_TEST_DIRNAME/.." uninstall-tools DESTDIR="$BATS_TEST_TMPDIR/root" prefix=/usr
	[ -z "$(find "$BATS_TEST_TMPDIR/root" -type f)" ]

	# a compiler that cannot link statically
	printf '#!/bin/sh\ncase " $* " in *" -static "*) exit 1 ;; esac\nexec gcc "$@"\n' > "$BATS_TEST_TMPDIR/cc"
	chmod +x "$BATS_TEST_TMPDIR/cc"
	make -s -C "$BATS_TEST_DIRNAME/.." install-tools BUILD="$BATS_TEST_TMPDIR/build" \
		CC="$BATS_TEST_TMPDIR/cc" DESTDIR="$BATS_TEST_TMPDIR/root"
	[ "$("$BATS_TEST_TMPDIR/root/usr/local/bin/kmk" --version)" ]
}

@test "make help lists the targets, and each exists" {
	run make -s -C "$src" help
	[ "$status" -eq 0 ]
	for target in install dkms clean demo shell check check-kernels lint; do
		[[ $output == *"make $target"* ]]
		grep -qE "^$target:" "$src/Makefile"
	done
}
