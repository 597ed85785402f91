#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Our own tree at the door that any other comes through: kmodkit check, told nothing but
# kmodkit.conf, on Linux 6.1 (KERNEL=name for another).

bats_require_minimum_version 1.5.0

# Of the JSON, a line for each verdict, failure, thing that was found, note, and thing that was exercised.
setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || exit
	export check_status=0
	rig/kmodkit check -k "${KERNEL:-6.1}" --seconds 30 --json > "$BATS_FILE_TMPDIR/json" || check_status=$?
	/usr/bin/python3 -c 'import json, sys
result, = json.load(sys.stdin)["results"]
for stage, verdict in result["stages"].items():
    print("stage", stage, verdict, result["causes"].get(stage, ""))
for finding in result["findings"]:
    print("finding", finding["stage"], finding["kind"], finding["cause"])
for kind, name in result["surface"]:
    print("surface", kind, name)
for note in result["notes"]:
    print("note", note)
for thing, _, good in result["exercised"]:
    print("exercised", good, thing)' < "$BATS_FILE_TMPDIR/json" > "$BATS_FILE_TMPDIR/lines"
}

said() {
	sed -n "s/^$1 //p" "$BATS_FILE_TMPDIR/lines"
}

@test "every stage passes; there are no tests to run in a machine where all are loaded" {
	said finding
	[ "$check_status" -eq 0 ]
	diff <(said stage) <(printf '%s PASS \n' build load surface exercise unload leftovers log | sed '/^surface/a tests - ')
}

@test "what was found is what the list has" {
	# Of each device, of each line, and, where the kernel has types of modules, of each of these.
	kernels='sysfs(-dir)? /sys/(devices/virtual/misc/[a-z_]+/(uevent|dev|power(/.*)?)|kernel/(irq/N(/.*)?|btf/kmk_[a-z]+))'
	diff <(said surface | sed -E 's,^(interrupt |.*/kernel/irq/)[0-9]+,\1N,' | grep -vxE "$kernels" | sort) \
		<(grep -vE '^(#|$)' "$BATS_TEST_DIRNAME/surface" | sort)
}

@test "a thing of each kind was exercised, and some of its calls succeeded" {
	while read -r kind thing; do
		said exercised | grep -E "^[1-9][0-9]* $thing (root|nobody)$" || { echo "no $kind"; false; }
	done <<-'END'
	dev file /dev/.*
	proc file /proc/.*
	debugfs file /sys/kernel/debug/.*
	filesystem filesystem .*
	param text /sys/module/.*
	sysfs text /sys/devices/.*
	END
	said exercised | grep -E '^[1-9][0-9]* filesystem .* nobody$'
	run ! grep '^note no .* could be mounted' "$BATS_FILE_TMPDIR/lines"
}
