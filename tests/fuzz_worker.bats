#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The processes of the fuzzer (tests/fuzz/) that run its programs: they may die of these.

cd "$BATS_TEST_DIRNAME/.." || exit

# Behind a program that does no harm and before another, the one that does, of three calls of
# which it needs two: so short it must become, and compile as C.
shortens() {
	printf '%s\n' 'echo 0 0 0 2' '' race 'fault 0 0 0 2' 'echo 1 0 0 1' 'fault_write 0 0 0 0 : 30 e0 90 60' '' \
		'echo 0 0 0 3' > "$BATS_TEST_TMPDIR/programs"
	run rig/fuzz/in-vm -r -b "insmod /lib/kmodkit/kmk_fault.ko fault=$1" build/tests/fuzz "$BATS_TEST_TMPDIR/programs"
	echo "$output"
	[ "$status" -eq "$2" ]
	output=${output#*"# fuzz: the shortest program with which the kernel $3:"$'\n'}
	[ "${output%%$'\n\n'*}" = $'fault 0 0 0 2\nfault_write 0 0 0 0 : 30 e0 90 60' ]
	gcc -static -pthread -x c -o "$BATS_TEST_TMPDIR/reproducer" - <<< "${output#*$'\n\n'}"
}

# A program may write over the memory of the worker that runs it, as by a long read() into
# a map beside it: the worker dies then, and the kernel is not to blame.
# shellcheck disable=SC2016 # for the shell in the machine
kill_worker='until worker=$(grep -l "^PPid:.$!\$" /proc/[0-9]*/status); do :; done
	worker=${worker%/status}
	kill -SEGV ${worker#/proc/}
	wait $!'

@test "it goes on with another worker when one dies by a fault of its own" {
	KMK_FUZZ_SECONDS=5 run rig/vm/run -f build/tests/fuzz sh -c "fuzz & $kill_worker"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'# fuzz: signal 11'*' programs, '*'ok 1 - no program makes the kernel complain'* ]]
}

# Whenever a worker has read the kernel's log so often, it dies.
# shellcheck disable=SC2016 # for the shell in the machine
kill_workers='while kill -0 $! 2> /dev/null; do
		worker=$(grep -ls "^PPid:.$!\$" /proc/[0-9]*/status) || continue
		worker=${worker%/status}
		reads=$(sed -n "s/^syscr: //p" $worker/io)
		[ "${reads:-0}" -gt 100 ] && kill -SEGV ${worker#/proc/}
	done
	wait $!'

@test "what one worker did is not lost with it" {
	KMK_FUZZ_SECONDS=15 run rig/vm/run -f build/tests/fuzz sh -c "fuzz & $kill_workers"
	echo "$output"
	[ "$status" -eq 0 ]
	sed -n 's/^# fuzz: signal 11 after \(.*\) programs$/\1/p' <<< "$output" > "$BATS_TEST_TMPDIR/counts"
	[ "$(wc -l < "$BATS_TEST_TMPDIR/counts")" -gt 2 ]
	sort -c -n -u "$BATS_TEST_TMPDIR/counts"
}

@test "a program that is run again ends with its worker" {
	echo 'echo 0 0 0 1' > "$BATS_TEST_TMPDIR/program"
	run rig/vm/run -f build/tests/fuzz -f "$BATS_TEST_TMPDIR/program" \
		sh -c "fuzz -r /tests/program 1000000000 & $kill_worker"
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *'# fuzz: signal 11'*'not ok 1 - '* ]]
}

@test "no program is where the worker's heap may be" {
	echo 'echo 0 0 0 1' > "$BATS_TEST_TMPDIR/program"
	# shellcheck disable=SC2016 # for the shell in the machine
	run rig/vm/run -f build/tests/fuzz -f "$BATS_TEST_TMPDIR/program" \
		sh -c 'for i in $(seq 60); do fuzz -r /tests/program > /said || { cat /said; exit 1; }; done'
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "a program that the kernel kills is made short by other workers" {
	printf '%s\n' race 'echo 1 0 0 1' 'fault 0 0 0 2' 'lseek 0 1 0 0' 'fault_write 0 0 0 0 : 30 e0 90 60' \
		> "$BATS_TEST_TMPDIR/program"
	run rig/vm/run -f build/tests/fuzz -f "$BATS_TEST_TMPDIR/program" \
		sh -c 'insmod /lib/kmodkit/kmk_fault.ko fault=oops_maze && fuzz -r /tests/program'
	echo "$output"
	[ "$status" -eq 3 ]
	[[ $output == *'# fuzz: the kernel says: BUG: '*'not ok 1 - '* ]]
	[ "$(sed -n '/^# fuzz: the shortest/,/^$/p' <<< "$output" | sed '/^#/d' | cut -d ' ' -f 1 | xargs)" = 'fault fault_write' ]
}

@test "a program of which the kernel panics is known, and made short in other machines" {
	shortens panic_maze 4 panics
}

@test "so is one that hangs" {
	KMK_FUZZ_PATIENCE=8 shortens hang_maze 6 hangs
}
