#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The RPMs: built with Debian's rpmbuild, installed into an empty root, where a dkms that only
# writes down how it was called stands for that of RHEL.

bats_require_minimum_version 1.5.0

setup_file() {
	export top=$BATS_TEST_DIRNAME/.. root=$BATS_FILE_TMPDIR/root
	cd "$top" || exit
	make rpm > "$BATS_FILE_TMPDIR/log" 2>&1 || { cat "$BATS_FILE_TMPDIR/log"; return 1; }

	mkdir -p "$root"/{bin,usr/sbin}
	cp "$(command -v busybox)" "$root/bin/sh"
	printf '#!/bin/sh\necho "$@" >> /calls\nexit 3\n' > "$root/usr/sbin/dkms"
	chmod 755 "$root/usr/sbin/dkms"
}

setup() {
	cd "$top/build/rpm" || exit
	version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$top/dkms.conf")
	dkms=RPMS/noarch/kmodkit-dkms-$version-1.noarch.rpm
	utils=RPMS/$(uname -m)/kmodkit-utils-$version-1.$(uname -m).rpm
}

# rpm in that root, which knows no other packages. It enters it to run a package's scripts.
rpm_in_root() {
	local as_root=()

	[ "$(id -u)" -eq 0 ] || as_root=(unshare --map-root-user)
	run "${as_root[@]}" rpm --root "$root" --nodeps "$@"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "the packages have the modules' version, and rpmlint has nothing to say" {
	[ -e "$dkms" ]
	[ -e "$utils" ]
	[ -e "SRPMS/kmodkit-$version-1.src.rpm" ]
	grep -q ' 0 errors, 0 warnings' "$BATS_FILE_TMPDIR/log"
}

@test "kmodkit-dkms wants DKMS, and nothing else" {
	rpm -qp --requires "$dkms" | grep -x 'dkms >= 3.0.3'
	run ! grep -vE '^(dkms|/bin/sh$|/usr/bin/sh$|rpmlib\()' <(rpm -qp --requires "$dkms")
}

@test "installed, it holds what DKMS builds from, and has dkms add, build and install it" {
	rpm_in_root -i "$dkms"
	make -s -C "$top" dkms-source DESTDIR="$BATS_TEST_TMPDIR"
	diff -r "$BATS_TEST_TMPDIR/usr/src" "$root/usr/src"
	diff - "$root/calls" <<-END
	add -m kmodkit -v $version --rpm_safe_upgrade
	build -m kmodkit -v $version --rpm_safe_upgrade
	install -m kmodkit -v $version --rpm_safe_upgrade --force
	END
}

@test "removed, it has dkms remove it before, and leaves nothing" {
	rm -f "$root/calls"
	rpm_in_root -e kmodkit-dkms
	[ "$(cat "$root/calls")" = "remove -m kmodkit -v $version --all --rpm_safe_upgrade" ]
	[ -z "$(find "$root" -name '*kmodkit*' ! -path '*/var/lib/rpm/*')" ]
}

@test "kmodkit-utils: the command, headers, manual pages and samples" {
	rpm_in_root -i "$utils"
	[[ $("$root/usr/bin/kmk" --version) == *"$version"* ]]
	diff -r "$top/include/uapi/kmodkit" "$root/usr/include/kmodkit"
	for page in "$top"/man/*.[1-8]; do
		[ -e "$root/usr/share/man/man${page##*.}/${page##*/}.gz" ]
	done
	for sample in "$top"/debian/samples/*; do
		[ -n "$(find "$root/usr/share/doc" -name "${sample##*/}")" ]
	done
}
