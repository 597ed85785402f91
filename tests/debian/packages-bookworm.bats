#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The packages, built and installed on the Debian release that ends this file's name: what a
# packager's tools say of them, and what stays of them when they go.

bats_require_minimum_version 1.5.0
# shellcheck source=tests/debian/common
load common

setup_file() {
	export suite root=$BATS_FILE_TMPDIR/root deb=$BATS_FILE_TMPDIR/root/build version tar
	suite=$(basename "$BATS_TEST_FILENAME" .bats)
	suite=${suite#packages-}
	# shellcheck disable=SC2154 # common says it
	cd "$top" || exit
	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
	tar=$(tests/debian/root "$suite" build-essential debhelper lintian dkms openssl \
		linux-image-amd64 linux-headers-amd64)
	make_root "$root" "$tar"
	in_root "$root" apt-get -q update > "$BATS_FILE_TMPDIR/log" 2>&1 ||
		{ cat "$BATS_FILE_TMPDIR/log"; return 1; }
}

# Build what git tracks as VERSION, in a directory of the root's.
build() {
	local dir=$root/$1/kmodkit

	mkdir -p "$dir"
	(cd "$top" && git ls-files -z | xargs -0 cp --parents -P -t "$dir")
	sed -i "1s/(.*)/($2)/" "$dir/debian/changelog"
	sed -i "s/\"$version\"/\"$2\"/" "$dir/dkms.conf" "$dir/include/kmk/version.h"
	in_root "$root" sh -c "cd /$1/kmodkit && dpkg-buildpackage -us -uc"
}

# Let apt do something, which leaves nothing half done.
apt_get() {
	run in_root "$root" apt-get -q -y --no-install-recommends "$@"
	echo "$output"
	[ "$status" -eq 0 ]
	consistent "$root"
}

# Every file of the root, but for the builds, what changes with any package, and the key
# that DKMS makes for itself at its first build.
files() {
	(cd "$root" && find . \( -path ./build -o -path ./older -o -path ./proc -o -path ./dev -o -path ./tmp \
		-o -path ./var/cache -o -path ./var/log -o -path ./var/lib/apt -o -path './var/lib/dpkg/*-old' \
		-o -path './var/lib/dkms/mok.*' \) -prune \
		-o -type d -print -o -type l -print -o -type f -exec sha256sum {} + | sort)
}

@test "dpkg-buildpackage builds them" {
	run build build "$version"
	echo "$output"
	[ "$status" -eq 0 ]
	[ -e "$deb/kmodkit-dkms_${version}_all.deb" ]
	[ -e "$deb/kmodkit-utils_${version}_amd64.deb" ]
}

# One Standards-Version cannot be the current one of two releases: it is the older one's.
@test "lintian has nothing to say" {
	run in_root "$root" sh -c 'lintian --allow-root --fail-on error,warning,info --display-info \
		--suppress-tags out-of-date-standards-version /build/*.changes'
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "an older version, then this one, then none: modules of one version only, and nothing stays" {
	build older 0.0.1 > "$BATS_TEST_TMPDIR/log" 2>&1
	files > "$BATS_TEST_TMPDIR/before"
	updates=$(echo "$root"/lib/modules/*)/updates/dkms
	apt_get install /older/kmodkit-dkms_0.0.1_all.deb /older/kmodkit-utils_0.0.1_amd64.deb
	[ "$(modinfo -F version "$updates"/kmk_echo.ko*)" = 0.0.1 ]

	apt_get install "/build/kmodkit-dkms_${version}_all.deb" "/build/kmodkit-utils_${version}_amd64.deb"
	[ "$(find "$updates" -name 'kmk_*.ko*' | wc -l)" -eq 7 ]
	[ "$(modinfo -F version "$updates"/kmk_echo.ko*)" = "$version" ]
	[ ! -e "$root/var/lib/dkms/kmodkit/0.0.1" ]
	[ ! -e "$root/usr/src/kmodkit-0.0.1" ]
	[[ $(in_root "$root" kmk --version) == *"$version"* ]]

	apt_get remove kmodkit-dkms kmodkit-utils
	[ ! -e "$updates" ]
	[ ! -e "$root/usr/src/kmodkit-$version" ]
	[ -z "$(in_root "$root" /etc/kernel/postinst.d/kmodkit-dkms "$(basename "${updates%/updates/dkms}")" 2>&1)" ]

	apt_get purge kmodkit-dkms kmodkit-utils
	files | diff "$BATS_TEST_TMPDIR/before" -
}

# DKMS keeps its key, and trixie's debconf a directory of its own.
@test "piuparts: installed, removed and purged without a trace" {
	make_root "$BATS_TEST_TMPDIR/chroot" "$tar"
	run piuparts --existing-chroot="$BATS_TEST_TMPDIR/chroot" --hard-link --keep-sources-list \
		--distribution="$suite" --no-eatmydata --no-upgrade-test --install-remove-install \
		--ignore=/var/lib/dkms/mok.key --ignore=/var/lib/dkms/mok.pub --ignore=/var/cache/debconf/tmp.ci/ \
		"$deb"/kmodkit-{dkms,utils}_*.deb
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "autopkgtest: the packages' own tests" {
	make_root "$BATS_TEST_TMPDIR/testbed" "$tar"
	in_root "$BATS_TEST_TMPDIR/testbed" apt-get -q update
	# shellcheck disable=SC2016 # for the inner shell
	run unshare --mount sh -c 'mount -t proc proc "$1/proc"; exec autopkgtest "$2" -- chroot "$1"' \
		in "$BATS_TEST_TMPDIR/testbed" "$(echo "$deb"/kmodkit_*.changes)"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(grep -c ' PASS' <<< "${output##*summary}")" -eq 2 ]
}
