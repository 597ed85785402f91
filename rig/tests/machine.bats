#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# kmodkit check from end to end, on modules of the faults' directory without their faults.

# shellcheck disable=SC2154 # run sets stderr
bats_require_minimum_version 1.5.0

# shellcheck source=rig/tests/common.bash
load common

setup() {
	rig=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	tree=$BATS_TEST_TMPDIR/tree
}

@test "a correct module: its surface, its own test, what was exercised, no failure" {
	"$BATS_TEST_DIRNAME/faults/plant" "$tree" twin uninitialised > "$BATS_TEST_TMPDIR/names"
	read -r _ name < "$BATS_TEST_TMPDIR/names"
	echo 'test works' > "$tree/kmodkit.conf"
	printf '#!/bin/sh\n[ -c /dev/%s ] && rmmod %s\n' "$name" "$name" > "$tree/works"
	run -0 --separate-stderr "$rig/kmodkit" check "$tree" -k 6.1 --seconds 10
	echo "$output"
	[[ ${lines[1]} =~ ^6.1\ .*PASS\ +PASS\ +PASS\ +PASS\ +PASS\ +PASS\ +PASS\ +PASS$ ]]
	[[ $output == *"dev: /dev/$name"* ]]
	[[ $output =~ exercised:\ [1-9] ]]
}

@test "a module with a fault: exit status 1, the cause and the command that repeats it" {
	"$BATS_TEST_DIRNAME/faults/plant" "$tree" fault uninitialised > "$BATS_TEST_TMPDIR/names"
	read -r _ name < "$BATS_TEST_TMPDIR/names"
	echo 'test fails' > "$tree/kmodkit.conf"
	printf '#!/bin/sh\necho "not ok 1 - of its own"\n' > "$tree/fails"
	run -1 --separate-stderr "$rig/kmodkit" check "$tree" -k 6.1 --seconds 10
	echo "$output"
	[[ $output == *"FAIL tests of"*"fails: not ok 1 - of its own"* ]]
	[[ $output == *"FAIL exercise of"*"uninitialised: read gives away"* ]]
	[[ $output == *"again: kmodkit check $tree -k 6.1 --seed 1 --only 'exercise file /dev/$name root'"* ]]
}

# A tree for DKMS beside the others of this test: its name, its source, and more lines of its dkms.conf.
dkms_tree() {
	mkdir "$BATS_TEST_TMPDIR/$1"
	printf 'PACKAGE_NAME=%s\nPACKAGE_VERSION=1.0\nBUILT_MODULE_NAME=%s\nDEST_MODULE_LOCATION=/updates\n' "$1" "$1" |
		cat - "${@:3}" > "$BATS_TEST_TMPDIR/$1/dkms.conf"
	echo "obj-m := $1.o" > "$BATS_TEST_TMPDIR/$1/Kbuild"
	printf '#include <linux/module.h>\n%s\nMODULE_LICENSE("GPL");\n' "$2" > "$BATS_TEST_TMPDIR/$1/$1.c"
}

@test "what BUILD_DEPENDS names is built, and loaded, before; which functions ran, kmodkit coverage tells" {
	# shellcheck disable=SC2016 # for DKMS
	cat > "$BATS_TEST_TMPDIR/conf" <<-'END'
	BUILD_DEPENDS[0]="lower_thing"
	MAKE[0]="make -C $kernel_source_dir M=$dkms_tree/upper_thing/1.0/build
		KBUILD_EXTRA_SYMBOLS=$dkms_tree/lower_thing/1.0/$kernelver/$arch/module/Module.symvers"
	POST_BUILD="says.sh that it was here"
	END
	dkms_tree lower_thing 'int lower_thing(void); int lower_thing(void) { return 0; } EXPORT_SYMBOL_GPL(lower_thing);'
	dkms_tree upper_thing 'int lower_thing(void); int upper_thing(void); int upper_thing(void) { return 1; }
static int __init upper_init(void) { return lower_thing(); }
static void __exit upper_exit(void) { }
module_init(upper_init); module_exit(upper_exit);' "$BATS_TEST_TMPDIR/conf"
	printf '#!/bin/sh\necho "post_build says $*"\n' > "$BATS_TEST_TMPDIR/upper_thing/says.sh"
	chmod +x "$BATS_TEST_TMPDIR/upper_thing/says.sh"
	run -0 --separate-stderr "$rig/kmodkit" coverage "$BATS_TEST_TMPDIR/upper_thing" --seconds 5 --keep "$BATS_TEST_TMPDIR/kept"
	echo "$output"
	[[ $output =~ module:\ lower_thing,\ upper_thing ]]
	[[ $output =~ upper_thing.c\ +[1-9].*never\ upper_thing ]]
	grep -qxF "SF:$BATS_TEST_TMPDIR/upper_thing/upper_thing.c" "$BATS_TEST_TMPDIR/kept/6.1-gcov.info"
	grep -q 'post_build says that it was here' "$BATS_TEST_TMPDIR/kept/6.1-gcov.build"
}

@test "kmodkit coverage on a kernel that counts nothing: a usage error" {
	dkms_tree thing ''
	run -2 --separate-stderr "$rig/kmodkit" coverage "$BATS_TEST_TMPDIR/thing" -k 6.1
	[[ $stderr == *"6.1 does not count what runs"* ]]
}

# A device whose second command, after the first, follows a pointer if $1: misc_open() leaves the device in private_data.
device_with_table() {
	mkdir "$tree"
	use_table
	cat > "$tree/mine.c" <<-END
	#include <linux/fs.h>
	#include <linux/miscdevice.h>
	#include <linux/module.h>

	static long mine_ioctl(struct file *file, unsigned int command, unsigned long argument)
	{
		static int *nowhere;

		if (command == _IO('m', 1))
			WRITE_ONCE(file->private_data, NULL);
		if (command == _IO('m', 2) && !READ_ONCE(file->private_data) && $1)
			return READ_ONCE(*nowhere);
		return 0;
	}

	static const struct file_operations mine_operations = {
		.owner = THIS_MODULE,
		.unlocked_ioctl = mine_ioctl,
	};
	static struct miscdevice mine = { MISC_DYNAMIC_MINOR, "mine", &mine_operations };
	module_misc_device(mine);
	MODULE_LICENSE("GPL");
	END
}

@test "fuzz finds a fault behind two calls, and prints the program" {
	device_with_table 1
	run -1 "$rig/kmodkit" fuzz "$tree" -k 6.1 --seconds 60 --seed 1
	echo "$output"
	[[ $output == *'# fuzz: blindly'*'NULL pointer dereference'* ]]
	[ "$(sed -n '/^# fuzz: the shortest/,/^$/p' <<< "$output" | sed '/^#/d' | cut -d ' ' -f 1 | xargs)" = 'open ioctl ioctl' ]
	[[ $output == *'/* -- reproducer -- */'*'not ok 1 - '* ]]
}

@test "fuzz finds nothing in the same device without that fault, which it calls" {
	device_with_table nowhere
	run -0 "$rig/kmodkit" fuzz "$tree" -k 6.1 --seconds 20 --seed 1
	echo "$output"
	[[ $output =~ '# fuzz: opened mine '[1-9] ]]
	[[ $output == *$'\nok 1 - '* ]]
}
