#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# docs/ABI has an entry for each file that the modules bring to sysfs and debugfs, and no other.

bats_require_minimum_version 1.5.0

# With every module loaded and a cramfs mounted; "uevent" and "dev" are any device's.
setup_file() {
	cat > "$BATS_FILE_TMPDIR/list" <<-'END'
	#!/bin/busybox sh
	for module; do
		insmod "/lib/kmodkit/$module.ko"
	done
	mkdir /tmp/cramfs
	mount -t cramfs -o debug none /tmp/cramfs
	for device in echo echo_fifo irq_events mempool syscall_ext; do
		find "/sys/class/misc/$device/" -maxdepth 1 -type f ! -name uevent ! -name dev
	done
	find /sys/module/kmk_*/parameters/ -type f
	find /sys/kernel/debug/kmk_* -type f
	umount /tmp/cramfs
	rmmod "$@"
	END
	chmod +x "$BATS_FILE_TMPDIR/list"
	mapfile -t modules < <(sed -n 's/^BUILT_MODULE_NAME.*="\(.*\)"/\1/p' "$BATS_TEST_DIRNAME/../dkms.conf")
	"$BATS_TEST_DIRNAME/../rig/vm/run" "$BATS_FILE_TMPDIR/list" "${modules[@]}" |
		sed 's,//,/,; s,\(kmk_ramfs\)/[0-9]*:[0-9]*/,\1/<major>:<minor>/,' | sort > "$BATS_FILE_TMPDIR/files"
}

@test "what is there is described, and what is described is there" {
	run diff "$BATS_FILE_TMPDIR/files" <(sed -n 's/^What:[[:space:]]*//p' "$BATS_TEST_DIRNAME"/../docs/ABI/* | sort)
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "each entry has a date, a contact, and says who may do what" {
	for file in "$BATS_TEST_DIRNAME"/../docs/ABI/*; do
		awk -v RS= '!/\nDate:\t/ || !/\nContact:\t/ || !/\nDescription:\n\t\t\((RO|RW|WO)\) / {
			print FILENAME ": " $2; bad = 1
		} END { exit bad }' "$file"
	done
}
