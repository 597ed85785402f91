#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The Debian packages: built as a packager builds them, and what is in them.

bats_require_minimum_version 1.5.0

setup_file() {
	cd "$BATS_TEST_DIRNAME/.." || exit
	make deb > "$BATS_FILE_TMPDIR/log" 2>&1 || { cat "$BATS_FILE_TMPDIR/log"; return 1; }
}

setup() {
	cd "$BATS_TEST_DIRNAME/../build/deb" || exit
	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' kmodkit/dkms.conf)
}

# One Standards-Version cannot be the current one of two releases: it is the older one's.
@test "the packages have the modules' version, and lintian has nothing to say" {
	[ -e "kmodkit-dkms_${version}_all.deb" ]
	[ -e "kmodkit-utils_${version}_$(dpkg --print-architecture).deb" ]
	run lintian --allow-root --fail-on error,warning,info --display-info \
		--suppress-tags out-of-date-standards-version ./*.changes
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "kmodkit-dkms holds what DKMS builds from, and hands it over" {
	mkdir "$BATS_TEST_TMPDIR/dkms" "$BATS_TEST_TMPDIR/want"
	dpkg-deb -x kmodkit-dkms_*.deb "$BATS_TEST_TMPDIR/dkms"
	make -s -C kmodkit dkms-source DESTDIR="$BATS_TEST_TMPDIR/want"
	# the package's own hook decides: once it is removed, whatever of it stays, DKMS's does again
	sed -i '/^AUTOINSTALL="yes"$/d' "$BATS_TEST_TMPDIR"/want/usr/src/*/dkms.conf
	diff -r "$BATS_TEST_TMPDIR/want/usr/src" "$BATS_TEST_TMPDIR/dkms/usr/src"
	ls "$BATS_TEST_TMPDIR"/dkms/usr/share/doc/kmodkit-dkms/kernels.md*
	dpkg-deb -f kmodkit-dkms_*.deb Depends | grep dkms
	dpkg-deb -I kmodkit-dkms_*.deb postinst | grep -i dkms
}

@test "kmodkit-utils: the command, headers, manual pages and samples" {
	dpkg-deb -x kmodkit-utils_*.deb "$BATS_TEST_TMPDIR/utils"
	cd "$BATS_TEST_TMPDIR/utils/usr"
	run bin/kmk --version
	[[ $output == *"$version"* ]]
	[ "$(find include/kmodkit -name '*.h' | wc -l)" -eq 4 ]
	for page in kmk.1 echo.4 echo_fifo.4 irq_events.4 syscall_ext.4 mempool.4 rust_proc.5 cramfs.5 kmodkit.7; do
		[ -e "share/man/man${page##*.}/$page.gz" ]
	done
	ls share/doc/kmodkit-utils/examples/mod*.conf
}

@test "kmodkit-rig: the command, which works from there, its manual page and completion" {
	dpkg-deb -x kmodkit-rig_*_all.deb "$BATS_TEST_TMPDIR/rig"
	cd "$BATS_TEST_TMPDIR/rig/usr"
	bin/kmodkit help | grep 'kmodkit check'
	bin/kmodkit kernels | grep '^6.1 '
	bin/kmodkit check --help | grep 'Exit status: 0 all is well'
	bin/kmodkit fuzz --help | grep 'Exit status: 0 no program'
	[ -x share/kmodkit/fuzz/build ]
	[ -e share/man/man1/kmodkit.1.gz ]
	# shellcheck disable=SC2016 # for the inner shell
	run bash -c '. share/bash-completion/completions/kmodkit
		COMP_WORDS=(kmodkit check --sh) COMP_CWORD=2; _kmodkit; echo "${COMPREPLY[@]}"'
	[ "$output" = --shard ]
	[ -z "$(find . -name __pycache__)" ]
}
