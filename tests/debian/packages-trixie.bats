#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The packages, built on the Debian release that ends this file's name.

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
