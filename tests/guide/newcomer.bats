#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# From a clean Debian 12 to a module of one's own, by the commands that are printed and no others:
# those of README and kmodkit new, then those of the guide. The root directory begins with make and
# sudo; the second test finds in it what the first one's commands installed.

bats_require_minimum_version 1.5.0
# shellcheck source=tests/debian/common
load ../debian/common
# shellcheck source=rig/tests/common.bash
load ../../rig/tests/common

setup_file() {
	[ "$(id -u)" -eq 0 ] || skip 'only root can make root directories'
	export root=$BATS_FILE_TMPDIR/root
	# shellcheck disable=SC2154 # tests/debian/common says it
	make_root "$root" "$("$top/tests/debian/root" bookworm make sudo)"
	echo "127.0.1.1 $(uname -n)" >> "$root/etc/hosts"
	# As whoever types the commands answers.
	echo 'APT::Get::Assume-Yes "true";' > "$root/etc/apt/apt.conf.d/yes"
}

# A fresh clone of HEAD, where the root directory's root finds it.
setup() {
	clone=$root/root/kmodkit
	rm -rf "$clone"
	git clone -q --no-hardlinks "$top" "$clone"
}

in_clone() {
	in_root "$root" env EDITOR=/root/kmodkit/rig/tests/editor sh -ec "cd ~/kmodkit
$1"
}

# A package with the source of that module, in which that is written.
packaged() {
	dpkg-deb --fsys-tarfile "$clone/$1-dkms_0.1.0_all.deb" > "$BATS_TEST_TMPDIR/tar"
	tar -xOf "$BATS_TEST_TMPDIR/tar" "./usr/src/$1-0.1.0/$1.c" | grep -F "$2"
	tar -tf "$BATS_TEST_TMPDIR/tar" "./usr/src/$1-0.1.0/dkms.conf"
}

@test "by what kmodkit new prints: a message of one's own is seen in the machine, and there is a package" {
	start=$SECONDS
	command=$(sed -n 's,^\(rig/kmodkit new [a-z]*[^#]*\) #.*,\1,p' "$top/README.md")
	name=$(cut -d ' ' -f 3 <<< "$command")
	run --separate-stderr in_clone "$command"
	# shellcheck disable=SC2154 # run sets it
	echo "$output" "$stderr"
	[ "$status" -eq 0 ]
	commands=$(printed "$output")
	[ "$(wc -l <<< "$commands")" -eq 3 ]
	run in_clone "$commands"
	echo "$output"
	echo "# from a clean machine to the package took $((SECONDS - start)) s" >&3
	[ "$status" -eq 0 ]
	grep "^  $name: hello from its author$" <<< "$output"
	packaged "$name" 'hello from its author'
}

@test "by what the guide prints: a character device is written, tested and packaged" {
	console=("$clone/docs/guide/console.py" --prompt '$' --section 'A device of your own')
	"${console[@]}" "$clone"/docs/guide/packaging.md > "$root/root/way"
	start=$SECONDS
	in_clone 'sh ~/way' > "$BATS_TEST_TMPDIR/transcript"
	echo "# the guide's way to a device took $((SECONDS - start)) s" >&3
	cat "$BATS_TEST_TMPDIR/transcript"
	"${console[@]}" --compare "$BATS_TEST_TMPDIR/transcript" "$clone"/docs/guide/packaging.md
	packaged memo 'if (memchr(copy, 0, size)) {'
}
