#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The guide's exercises: kmodkit check rejects each as its chapter shows it, and passes it when
# the solution is applied. EXERCISES="name ...": these alone.

bats_require_minimum_version 1.5.0

# A tree with what the reader's commands name.
make_tree() {
	mkdir -p "$1/docs/guide"
	cp -r "$guide/exercises" "$1/docs/guide/"
	ln -s "$top/rig" "$1/rig"
}

# Run the commands of a chapter's exercise in that tree; the status is that of the last.
run_exercise() {
	local status=0

	cd "$1" || exit
	"$guide/console.py" --prompt '$' --section Exercise "$guide/$2.md" > "$2.sh"
	sh "$2.sh" > "$2.transcript" || status=$?
	echo "$status" > "$2.status"
}

# A check takes a minute, most of which its machine waits: the two of an exercise run at once.
setup_file() {
	cd "$BATS_FILE_TMPDIR" || exit
	export top guide
	top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	guide=$top/docs/guide
	make_tree broken
	make_tree mended
	exercises=${EXERCISES:-$(ls "$guide/exercises")}
	export exercises
	for name in $exercises; do
		patch -d mended -p1 < "$guide/solutions/$name.patch"
		run_exercise broken "$name" &
		(run_exercise mended "$name")
		wait
	done
}

setup() {
	cd "$BATS_FILE_TMPDIR" || exit
}

@test "each exercise is rejected as its chapter shows it" {
	for name in $exercises; do
		cat "broken/$name.transcript"
		[ "$(cat "broken/$name.status")" -eq 1 ]
		run ! grep 'compiler warnings' "broken/$name.transcript"
		"$guide/console.py" --prompt '$' --section Exercise --compare "broken/$name.transcript" "$guide/$name.md"
	done
}

@test "each solution passes" {
	for name in $exercises; do
		cat "mended/$name.transcript"
		[ "$(cat "mended/$name.status")" -eq 0 ]
		grep -E '^6\.1 +.* PASS +PASS +PASS +(-|PASS) +PASS +PASS +PASS +PASS$' "mended/$name.transcript"
		run ! grep 'compiler warnings' "mended/$name.transcript"
	done
}
