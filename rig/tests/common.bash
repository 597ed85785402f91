# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For the tests of the rig: a tree that is made here, and its build as `kmodkit check` does it.

common_setup() {
	rig=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	tree=$BATS_TEST_TMPDIR/tree
	work=$BATS_TEST_TMPDIR/work
	mkdir -p "$tree" "$work/tree"
}

caged() {
	"$rig/sandbox" -r "$("$rig/kernels/toolchain" trixie dkms)" -w "$work" -o "$rig" "$@"
}

# The commands that kmodkit new printed, from its output.
printed() {
	sed -n 's/^  //p' <<< "$1"
}

# Build the tree for a kernel, 6.1 if none is named, without a machine.
build() {
	local kernel

	kernel=$("$rig/kernels/fetch" "${1:-6.1}")
	rm -rf "$work/tree"
	cp -r "$tree" "$work/tree"
	caged -k "$(cat "$kernel/release")" -b "$kernel/build" -o "$kernel" \
		env KBUILD_EXTRA_WARN=1 "$rig/build-tree" "$(cat "$kernel/release")"
	cat "$work/out/result"
}

# The table of calls that docs/rig.md shows, for a module mine.
use_table() {
	mkdir "$tree/table"
	echo 'obj-m := mine.o' > "$tree/Makefile"
	echo 'fuzz table' > "$tree/kmodkit.conf"
	# shellcheck disable=SC2016 # the fences of a block
	sed -n '/^```c$/,/^```$/{ /^```/!p }' "$rig/../docs/rig.md" > "$tree/table/calls.h"
}
